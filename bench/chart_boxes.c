/* Comparisons: a box for each series, lying, so that names are read without turning the head, with every measurement as a point. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

#define BOXES_MAX 30U
#define ROW_HIGH 46U
#define FRAME_HIGH 110U
#define POINTS_MAX 500U /* of a box: more of them show nothing more */
#define CHAR_WIDE 6.8   /* pixels */
#define NAME_CHARS_MAX 44U

static bool along_axis(const struct ts_result *r, const struct ts_summary_row *rows, size_t n)
{
        for (size_t i = 1; r->axis_name && i < n; i++)
                if (rows[i].x != rows[0].x)
                        return true;
        return false;
}

/* Points lie in a row by turns a little above and below it: those of one value are still seen as several. */
static int add_points(const struct ts_result *r, const struct ts_summary *s, const struct ts_summary_row *row, size_t y, size_t n_boxes, struct ts_str *out, struct ts_err *err)
{
        static const double away[] = { 0, 0.09, -0.09, 0.18, -0.18, 0.05, -0.05, 0.14, -0.14 };
        size_t n = 0;

        for (size_t i = 0; i < r->n_samples && n < POINTS_MAX; i++) {
                const struct ts_sample *p = &r->samples[i];
                const double *v = ts_sample_figure(p, row->figure);

                if (!v || p->run == TS_RESULT_WARM_UP || ts_summary_environment(s, p->environment) != row->environment || ts_summary_series(s, p->series) != row->series)
                        continue;
                if (ts_str_addf(out, err, "%.10g %.3f\n", *v * ts_figure_scale(row->figure), (double)(n_boxes - y) + away[n % TS_ARRAY_LEN(away)]) < 0)
                        return -1;
                n++;
        }
        return 0;
}

static int add_data(struct ts_chart *c, const struct ts_result *r, const struct ts_summary *s, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        for (size_t i = 0; i < n; i++) {
                const struct ts_stats *t = &rows[i].stats;

                if (ts_str_addf(&c->script, err, "$box%zu << EOD\n%zu %.10g %.10g %.10g %.10g %.10g\nEOD\n$points%zu << EOD\n", i, n - i, t->least, t->q1, t->median, t->q3,
                                t->most, i) < 0 ||
                    add_points(r, s, &rows[i], i, n, &c->script, err) < 0 || ts_str_adds(&c->script, "EOD\n", err) < 0)
                        return -1;
        }
        return 0;
}

static int add_names(struct ts_chart *c, const struct ts_summary *s, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        size_t longest = 4;

        if (ts_str_adds(&c->script, "set ytics (", err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                ts_auto_free char *name = ts_summary_name(s, rows[i].environment, rows[i].series);
                size_t len = name ? strlen(name) : 0;

                longest = len > longest ? len : longest;
                if (ts_str_adds(&c->script, i ? ", " : "", err) < 0 || ts_gnuplot_quote(&c->script, ts_or(name, ""), NAME_CHARS_MAX, err) < 0 ||
                    ts_str_addf(&c->script, err, " %zu", n - i) < 0)
                        return -1;
        }
        longest = longest < NAME_CHARS_MAX ? longest : NAME_CHARS_MAX;
        return ts_str_addf(&c->script, err, ") scale 0\nset lmargin at screen %.4f\nset yrange [0.4:%zu.6]\nset grid noytics\n", ((double)longest * CHAR_WIDE + 24) / TS_CHART_WIDE, n);
}

static int add_axis(struct ts_chart *c, const struct ts_summary_row *rows, size_t n, const char *label, bool *ret_log, struct ts_err *err)
{
        double from = HUGE_VAL, to = -HUGE_VAL;

        for (size_t i = 0; i < n; i++) {
                from = fmin(from, rows[i].stats.least);
                to = fmax(to, rows[i].stats.most);
        }
        *ret_log = ts_panel_is_log(from, to);
        if (from == to)
                to = from + fmax(fabs(from), 1);
        if (*ret_log ? ts_str_addf(&c->script, err, "set logscale x\nset xrange [%.10g:%.10g]\n", from / 1.3, to * 1.3) < 0 :
                       ts_str_addf(&c->script, err, "set xrange [%.10g:%.10g]\n", fmin(from * 1.05, 0), to * 1.05) < 0)
                return -1;
        return ts_chart_set(c, "xlabel", label, "", err);
}

static int add_plot(struct ts_chart *c, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        if (ts_str_adds(&c->script, "set rmargin 4\nset border 1\nplot ", err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                const char *colour = ts_chart_colour(rows[i].series);

                if (ts_str_addf(&c->script, err,
                                "%s$box%zu using 2:1:($6-$2):(0) with vectors nohead linecolor rgb '%s' linewidth 1.5, "
                                "$box%zu using 4:1:3:5:($1-0.3):($1+0.3) with boxxyerror fillcolor rgb '%s' fillstyle transparent solid 0.3 border linecolor rgb '%s' linewidth 1.2, "
                                "$points%zu using 1:2 with points pointtype 7 pointsize 0.35 linecolor rgb '%s', "
                                "$box%zu using 4:($1-0.3):(0):(0.6) with vectors nohead linecolor rgb '%s' linewidth 3.5",
                                i ? ", " : "", i, colour, i, colour, colour, i, colour, i, colour) < 0)
                        return -1;
        }
        return ts_str_adds(&c->script, "\n", err);
}

static int add_table(struct ts_chart *c, const struct ts_result *r, const struct ts_summary *s, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        double largest = 0;

        for (size_t i = 0; i < n; i++)
                largest = fmax(largest, fabs(rows[i].stats.most));
        if (ts_chart_table_heading(c, r, "series", /* has_x= */ false, ts_figure_unit(rows->figure), err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++)
                if (ts_chart_table_row(c, s, &rows[i], /* has_x= */ false, ts_decimals(largest), err) < 0)
                        return -1;
        return 0;
}

int ts_chart_boxes(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err)
{
        size_t all = 0, n;
        const struct ts_summary_row *rows = ts_summary_figure(s, figure, &all);
        ts_auto_free char *label = NULL;
        struct ts_chart *c = NULL;
        bool log = false;

        if (all == 0 || along_axis(r, rows, all))
                return 0;
        n = all < BOXES_MAX ? all : BOXES_MAX;
        label = ts_chart_axis_label(ts_figure_label(figure), ts_figure_unit(figure));
        if (!label || ts_chart_new(list, name, ts_fmt("%s compared", ts_figure_label(figure)), FRAME_HIGH + ROW_HIGH * (unsigned)n, &c, err) < 0)
                return label ? -1 : ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_chart_set(c, "title", c->title, TS_CHART_TITLE_FONT, err) < 0 || add_names(c, s, rows, n, err) < 0 || add_axis(c, rows, n, label, &log, err) < 0 ||
            add_data(c, r, s, rows, n, err) < 0 || add_plot(c, rows, n, err) < 0)
                return -1;
        if (ts_str_addf(&c->caption, err, "Boxes: the quartiles, with the median as a thick line; lines: from the least to the most; points: every measurement.%s%s",
                        log ? " The axis is logarithmic." : "", n < all ? " Further rows are only in the table." : "") < 0)
                return -1;
        return ts_chart_claim(c, r, rows, all, err) < 0 ? -1 : add_table(c, r, s, rows, all, err);
}
