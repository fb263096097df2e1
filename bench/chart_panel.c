/* Lines in a panel: medians with their interval as bars and the quartiles as bands. Decides scales, ticks, colours and marks; which lines there are is decided by the charts. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

#define LOG_RATIO 40.0 /* from the least to the most: beyond it a linear axis hides the small ones */
#define TICKS_MAX 12U
#define LINE_OF_CATEGORIES 44U /* characters beside each other */

void ts_panel_clear(struct ts_panel *p)
{
        for (size_t i = 0; i < p->n; i++) {
                free(p->lines[i].title);
                free(p->lines[i].points);
        }
        free(p->lines);
        ts_list_clear(&p->categories);
        *p = (struct ts_panel){ 0 };
}

int ts_panel_line(struct ts_panel *p, char *title, struct ts_err *err)
{
        struct ts_line *v;

        if (title && p->n == TS_PANEL_LINES_MAX) {
                free(title);
                return ts_err_set(err, TS_ELIMIT, "more than %u lines", TS_PANEL_LINES_MAX);
        }
        v = title ? reallocarray(p->lines, p->n + 1, sizeof(*v)) : NULL;
        if (!v) {
                free(title);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        p->lines = v;
        v[p->n++] = (struct ts_line){ .title = title };
        return 0;
}

int ts_panel_point(struct ts_panel *p, const struct ts_point *at, struct ts_err *err)
{
        struct ts_line *l = &p->lines[p->n - 1];
        struct ts_point *v = reallocarray(l->points, l->n + 1, sizeof(*v));

        if (!v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        l->points = v;
        v[l->n++] = *at;
        return 0;
}

int ts_panel_of_figure(struct ts_panel *p, const struct ts_summary *s, const char *figure, const char *name, struct ts_err *err)
{
        size_t n = 0;
        const struct ts_summary_row *rows = ts_summary_figure(s, figure, &n);

        for (size_t i = 0; i < n; i++) {
                const struct ts_summary_row *row = &rows[i];
                const struct ts_stats *t = &row->stats;
                bool first = i == 0 || rows[i - 1].environment != row->environment || rows[i - 1].series != row->series;

                if (first && p->n == TS_PANEL_LINES_MAX)
                        return 0;
                if (first) {
                        ts_auto_free char *group = ts_summary_name(s, row->environment, row->series);

                        if (!group || ts_panel_line(p, name && n > 1 ? ts_fmt("%s: %s", group, name) : ts_strdup0(name ? name : group), err) < 0)
                                return group ? -1 : ts_err_set(err, TS_ENOMEM, "out of memory");
                }
                if (ts_panel_point(p, &(struct ts_point){ row->has_x ? row->x : 0, t->median, t->q1, t->q3, t->low, t->high, t->n }, err) < 0)
                        return -1;
        }
        return 0;
}

void ts_panel_range(const struct ts_panel *p, double *from, double *to)
{
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < p->lines[i].n; k++) {
                        const struct ts_point *at = &p->lines[i].points[k];

                        *from = fmin(*from, fmin(at->q1, at->low));
                        *to = fmax(*to, fmax(at->q3, at->high));
                }
}

bool ts_panel_is_log(double from, double to)
{
        return from > 0 && to / from > LOG_RATIO;
}

/* ---- axes ---- */

/* The different values of x, ascending; SIZE_MAX: more than TICKS_MAX. */
static size_t distinct_x(const struct ts_panel *p, double x[TICKS_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < p->lines[i].n; k++) {
                        double v = p->lines[i].points[k].x;
                        size_t at = 0;

                        while (at < n && x[at] < v)
                                at++;
                        if (at < n && x[at] == v)
                                continue;
                        if (n == TICKS_MAX)
                                return SIZE_MAX;
                        memmove(&x[at + 1], &x[at], (n - at) * sizeof(*x));
                        x[at] = v;
                        n++;
                }
        return n;
}

static void range_x(const struct ts_panel *p, double *from, double *to)
{
        *from = HUGE_VAL;
        *to = -HUGE_VAL;
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < p->lines[i].n; k++) {
                        *from = fmin(*from, p->lines[i].points[k].x);
                        *to = fmax(*to, p->lines[i].points[k].x);
                }
}

static int add_ticks(const struct ts_panel *p, bool log, struct ts_str *s, struct ts_err *err)
{
        double x[TICKS_MAX];
        size_t n = log ? distinct_x(p, x) : SIZE_MAX;

        if (n == SIZE_MAX)
                return ts_str_adds(s, "set xtics autofreq\nset format x '%.10g'\n", err);
        if (ts_str_adds(s, "set xtics (", err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                char label[32];

                ts_chart_number(x[i], label);
                if (ts_str_addf(s, err, "%s'%s' %.10g", i ? ", " : "", label, x[i]) < 0)
                        return -1;
        }
        return ts_str_adds(s, ")\n", err);
}

/* Where they have no room beside each other, every second one is a line lower. */
static int add_categories(const struct ts_panel *p, struct ts_str *s, struct ts_err *err)
{
        size_t characters = 0;

        if (ts_str_addf(s, err, "unset logscale x\nset xrange [-0.5:%zu.5]\nset xtics (", p->categories.n - 1) < 0)
                return -1;
        for (size_t i = 0; i < p->categories.n; i++)
                characters += strlen(p->categories.v[i]);
        for (size_t i = 0; i < p->categories.n; i++)
                if (ts_str_adds(s, i ? ", " : "", err) < 0 || ts_str_adds(s, characters > LINE_OF_CATEGORIES && i % 2 ? "\"\\n\"." : "", err) < 0 || ts_gnuplot_quote(s, p->categories.v[i], 20, err) < 0 || ts_str_addf(s, err, " %zu", i) < 0)
                        return -1;
        return ts_str_adds(s, ")\n", err);
}

static int add_x(const struct ts_panel *p, struct ts_str *s, struct ts_err *err)
{
        double from, to;
        bool log;

        if (p->categories.n)
                return add_categories(p, s, err);
        range_x(p, &from, &to);
        log = ts_panel_is_log(from, to);
        if (log) {
                double margin = pow(to / from, 0.05);

                return ts_str_addf(s, err, "set logscale x\nset xrange [%.10g:%.10g]\n", from / margin, to * margin) < 0 ? -1 : add_ticks(p, log, s, err);
        }
        if (from == to)
                return ts_str_addf(s, err, "unset logscale x\nset xrange [%.10g:%.10g]\nset xtics (%.10g)\n", from - 1, to + 1, from);
        return ts_str_addf(s, err, "unset logscale x\nset xrange [%.10g:%.10g]\n", from - (to - from) * 0.05, to + (to - from) * 0.05) < 0 ?
                       -1 :
                       add_ticks(p, log, s, err);
}

static int add_y(const struct ts_panel *p, struct ts_str *s, struct ts_err *err)
{
        double from = p->y_from, to = p->y_to;

        if (from == to) {
                from = HUGE_VAL;
                to = -HUGE_VAL;
                ts_panel_range(p, &from, &to);
        }
        if (ts_panel_is_log(from, to))
                return ts_str_addf(s, err, "set logscale y\nset yrange [%.10g:%.10g]\n", from / 1.4, to * 1.4);
        if (from == to)
                to = from + fmax(fabs(from), 1);
        return ts_str_addf(s, err, "unset logscale y\nset yrange [%.10g:%.10g]\n", fmin(from * 1.06, 0), to * 1.06);
}

static int add_label(const char *key, const char *text, const char *rest, struct ts_str *s, struct ts_err *err)
{
        return ts_str_addf(s, err, "set %s ", key) < 0 || ts_gnuplot_quote(s, ts_or(text, ""), 90, err) < 0 || ts_str_addf(s, err, "%s\n", rest) < 0 ? -1 : 0;
}

/* ---- lines ---- */

/* Categories have the lines' points beside one another. */
static double x_of(const struct ts_panel *p, size_t line, double x)
{
        return p->categories.n && p->n > 1 ? x + ((double)line - (double)(p->n - 1) / 2) * 0.5 / (double)p->n : x;
}

static int add_data(const struct ts_panel *p, unsigned number, size_t line, struct ts_str *s, struct ts_err *err)
{
        const struct ts_line *l = &p->lines[line];

        if (ts_str_addf(s, err, "$p%u_%zu << EOD\n", number, line) < 0)
                return -1;
        for (size_t i = 0; i < l->n; i++) {
                const struct ts_point *at = &l->points[i];

                if (ts_str_addf(s, err, "%.10g %.10g %.10g %.10g %.10g %.10g\n", x_of(p, line, at->x), at->median, at->q1, at->q3, at->low, at->high) < 0)
                        return -1;
        }
        return ts_str_adds(s, "EOD\n", err);
}

static bool has_spread(const struct ts_line *l)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->points[i].n > 1)
                        return true;
        return false;
}

static const char *colour_of(const struct ts_panel *p, size_t line)
{
        static const char *const published[] = { "#D55E00", "#CC79A7", "#56B4E9", "#009E73", "#E69F00", "#0072B2", "black" };

        return p->published ? published[line % TS_ARRAY_LEN(published)] : ts_chart_colour((unsigned)line);
}

/* Bands and bars first, so that the points lie above them; not with yerrorbars, which clear the room around their points. */
static int add_spread(const struct ts_panel *p, unsigned number, size_t line, struct ts_str *s, struct ts_err *err)
{
        const char *colour = colour_of(p, line);

        if (!has_spread(&p->lines[line]))
                return 0;
        if (p->lines[line].n > 1 && !p->categories.n &&
            ts_str_addf(s, err, "$p%u_%zu using 1:3:4 with filledcurves fillcolor rgb '%s' fillstyle transparent solid 0.18 noborder, ", number, line, colour) < 0)
                return -1;
        return ts_str_addf(s, err, "$p%u_%zu using 1:5:(0):($6-$5) with vectors heads size screen 0.005,90 fixed nofilled linecolor rgb '%s' linewidth 1.4, ", number, line, colour);
}

static int add_line(const struct ts_panel *p, unsigned number, size_t line, struct ts_str *s, struct ts_err *err)
{
        static const unsigned full[] = { 7, 5, 9, 13, 11, 15, 1, 2 }, hollow[] = { 6, 4, 8, 12, 10, 14, 1, 2 };
        size_t mark = line % TS_ARRAY_LEN(full);

        if (add_spread(p, number, line, s, err) < 0 ||
            ts_str_addf(s, err, "$p%u_%zu using 1:2 with %s linecolor rgb '%s' linewidth 1.6 pointtype %u pointsize %s%s title ", number, line,
                        p->categories.n ? "points" : "linespoints", colour_of(p, line), p->published ? hollow[mark] : full[mark], p->published ? "0.9" : "0.75",
                        p->published && !p->categories.n ? " dashtype 2" : "") < 0)
                return -1;
        return ts_gnuplot_quote(s, p->lines[line].title, TS_CHART_LABEL_CHARS, err);
}

int ts_panel_plot(const struct ts_panel *p, unsigned number, struct ts_str *script, struct ts_err *err)
{
        for (size_t i = 0; i < p->n; i++)
                if (add_data(p, number, i, script, err) < 0)
                        return -1;
        if (add_label("xlabel", p->x_label, "", script, err) < 0 || add_label("ylabel", p->y_label, "", script, err) < 0 ||
            add_label("title", p->title, p->title_small ? " font ',12'" : " " TS_CHART_TITLE_FONT, script, err) < 0 || add_x(p, script, err) < 0 || add_y(p, script, err) < 0 ||
            ts_str_adds(script, "plot ", err) < 0)
                return -1;
        for (size_t i = 0; i < p->n; i++)
                if ((i > 0 && ts_str_adds(script, ", ", err) < 0) || add_line(p, number, i, script, err) < 0)
                        return -1;
        return ts_str_adds(script, "\n", err);
}
