/* The phases as a Gantt chart: of one move, or the medians of each series. To the right the frozen part alone, from the freeze on, where it would be too small to read otherwise. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GROUPS_MAX 5U
#define ROW_HIGH 19U
#define FRAME_HIGH 174U
#define NAME_BYTES 33U
#define ZOOM_BELOW 0.4 /* the frozen part of the whole: with more of it the whole is enough */
#define LEFT 0.135     /* parts of the width */
#define MIDDLE 0.60
#define ZOOM_LEFT 0.65
#define RIGHT 0.985
#define LABEL_ROOM 1.22 /* for the durations beside the bars */

struct bar {
        char name[NAME_BYTES];
        double start_s, duration_s;
        bool frozen;
};
struct group {
        char *title;
        struct bar bars[2 * TS_REPORT_MAX_PHASES];
        unsigned n;
};
struct gantt {
        struct group groups[GROUPS_MAX];
        unsigned n, left_out;
};

static void gantt_free(struct gantt *g)
{
        for (unsigned i = 0; g && i < g->n; i++)
                free(g->groups[i].title);
        free(g);
}

static void add_bar(struct group *g, const char *name, double start_s, double duration_s, bool frozen)
{
        struct bar *b = &g->bars[g->n];

        if (g->n == TS_ARRAY_LEN(g->bars))
                return;
        (void)snprintf(b->name, sizeof(b->name), "%s", name);
        b->start_s = start_s;
        b->duration_s = duration_s;
        b->frozen = frozen;
        g->n++;
}

/* ---- medians of many ---- */

struct moves {
        const struct ts_report **v;
        size_t n;
};

/* Those of the group at its largest x, which is put into *ret_x. */
static int collect(const struct ts_result *r, const struct ts_summary *s, unsigned environment, unsigned series, struct moves *ret, double *ret_x, bool *ret_has_x, struct ts_err *err)
{
        ret->v = calloc(r->n_samples + 1, sizeof(const struct ts_report *));
        if (!ret->v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret_x = -HUGE_VAL;
        for (size_t i = 0; i < r->n_samples; i++) {
                const struct ts_sample *p = &r->samples[i];
                double x = p->has_x ? p->x : 0;

                if (p->run == TS_RESULT_WARM_UP || x < *ret_x || !ts_sample_has_phases(p) || ts_summary_environment(s, p->environment) != environment ||
                    ts_summary_series(s, p->series) != series)
                        continue;
                if (x > *ret_x)
                        ret->n = 0;
                *ret_x = x;
                *ret_has_x = p->has_x;
                ret->v[ret->n++] = p->report;
        }
        return 0;
}

static const struct ts_report_phase *phase_of(const struct ts_report *r, const char *name)
{
        for (unsigned i = 0; i < r->n_phases; i++)
                if (strcmp(ts_or(r->phases[i].name, ""), name) == 0)
                        return &r->phases[i];
        return NULL;
}

/* values: room for m->n, twice. */
static int add_median(struct group *g, const struct moves *m, const char *name, double *values, struct ts_err *err)
{
        struct ts_stats start, duration;
        unsigned frozen = 0;
        size_t n = 0;

        for (size_t i = 0; i < m->n; i++) {
                const struct ts_report_phase *p = phase_of(m->v[i], name);

                if (!p)
                        continue;
                values[n] = (double)p->start_us / 1e6;
                values[m->n + n++] = (double)p->duration_us / 1e6;
                frozen += p->frozen;
        }
        if (ts_stats(values, n, &start, err) < 0 || ts_stats(values + m->n, n, &duration, err) < 0)
                return -1;
        add_bar(g, name, start.median, duration.median, 2 * frozen > n);
        return 0;
}

static bool has_bar(const struct group *g, const char *name)
{
        for (unsigned i = 0; i < g->n; i++)
                if (strcmp(g->bars[i].name, name) == 0)
                        return true;
        return false;
}

static int by_start(const void *a, const void *b)
{
        double x = ((const struct bar *)a)->start_s, y = ((const struct bar *)b)->start_s;

        return (x > y) - (x < y);
}

static int add_medians(struct group *g, const struct moves *m, struct ts_err *err)
{
        ts_auto_free double *values = calloc(2 * m->n, sizeof(*values));

        if (!values)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < m->n; i++)
                for (unsigned k = 0; k < m->v[i]->n_phases; k++) {
                        const char *name = ts_or(m->v[i]->phases[k].name, "");

                        if (!has_bar(g, name) && g->n < TS_REPORT_MAX_PHASES && add_median(g, m, name, values, err) < 0)
                                return -1;
                }
        qsort(g->bars, g->n, sizeof(*g->bars), by_start);
        return 0;
}

static char *group_title(const struct ts_result *r, const struct ts_summary *s, unsigned environment, unsigned series, const struct moves *m, bool has_x, double x)
{
        ts_auto_free char *name = ts_summary_name(s, environment, series);
        char number[32] = "";

        ts_chart_number(x, number);
        if (!name)
                return NULL;
        return has_x && r->axis_name ? ts_fmt("%s, %s %s%s%s (n = %zu)", name, r->axis_name, number, r->axis_unit && *r->axis_unit ? " " : "", ts_or(r->axis_unit, ""), m->n) :
                                       ts_fmt("%s (n = %zu)", name, m->n);
}

static int add_group(struct gantt *all, const struct ts_result *r, const struct ts_summary *s, unsigned environment, unsigned series, struct ts_err *err)
{
        struct moves m = { NULL, 0 };
        struct group *g = &all->groups[all->n];
        bool has_x = false;
        double x = 0;
        int rc = collect(r, s, environment, series, &m, &x, &has_x, err);

        if (rc == 0 && m.n > 0 && all->n == GROUPS_MAX)
                all->left_out++;
        else if (rc == 0 && m.n > 0) {
                all->n++;
                g->title = group_title(r, s, environment, series, &m, has_x, x);
                rc = g->title ? add_medians(g, &m, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        free(m.v);
        return rc;
}

/* ---- drawing ---- */

/* From the first frozen phase on; duration 0: none is. */
static double frozen_part(const struct group *g, double *ret_from)
{
        double from = HUGE_VAL, to = -HUGE_VAL;

        for (unsigned i = 0; i < g->n; i++)
                if (g->bars[i].frozen) {
                        from = fmin(from, g->bars[i].start_s);
                        to = fmax(to, g->bars[i].start_s + g->bars[i].duration_s);
                }
        *ret_from = from;
        return to > from ? to - from : 0;
}

static void duration_text(double s, char buf[32])
{
        if (s < 0.9995)
                (void)snprintf(buf, 32, s < 0.01 ? "%.1f ms" : "%.0f ms", s * 1e3);
        else
                (void)snprintf(buf, 32, "%.2f s", s);
}

/* from, to, y, what it took; frozen ones and others apart. zoom: times from the freeze on. */
static int add_bars(const struct gantt *all, bool frozen, bool zoom, struct ts_str *s, struct ts_err *err)
{
        unsigned y = 0;

        if (ts_str_addf(s, err, "$%s%s << EOD\n", frozen ? "frozen" : "runs", zoom ? "_zoom" : "") < 0)
                return -1;
        for (unsigned i = 0; i < all->n; i++) {
                const struct group *g = &all->groups[i];
                double from = 0;

                if (zoom)
                        (void)frozen_part(g, &from);
                y += all->n > 1;
                for (unsigned k = 0; k < g->n; k++, y++) {
                        const struct bar *b = &g->bars[k];
                        char text[32];

                        duration_text(b->duration_s, text);
                        if (b->frozen == frozen && ts_str_addf(s, err, "%.6f %.6f %u \"%s\"\n", b->start_s - from, b->start_s + b->duration_s - from, y, text) < 0)
                                return -1;
                }
        }
        return ts_str_adds(s, "EOD\n", err);
}

static int add_rows(const struct gantt *all, struct ts_str *s, struct ts_err *err)
{
        unsigned y = 0;
        bool first = true;

        if (ts_str_adds(s, "set ytics scale 0 (", err) < 0)
                return -1;
        for (unsigned i = 0; i < all->n; i++) {
                y += all->n > 1;
                for (unsigned k = 0; k < all->groups[i].n; k++, y++) {
                        if (ts_str_adds(s, first ? "" : ", ", err) < 0 || ts_gnuplot_quote(s, all->groups[i].bars[k].name, 16, err) < 0 || ts_str_addf(s, err, " %u", y) < 0)
                                return -1;
                        first = false;
                }
        }
        if (ts_str_addf(s, err, ")\nset yrange [%u.7:-0.9]\nset grid noytics\n", y ? y - 1 : 0) < 0)
                return -1;
        y = 0;
        for (unsigned i = 0; all->n > 1 && i < all->n; i++) {
                if (ts_str_adds(s, "set label ", err) < 0 || ts_gnuplot_quote(s, all->groups[i].title, 90, err) < 0 ||
                    ts_str_addf(s, err, " at screen 0.012, first %u left font ',12'\n", y) < 0)
                        return -1;
                y += 1 + all->groups[i].n;
        }
        return 0;
}

static int add_panel(struct ts_str *s, double left, double right, double to_s, const char *zoom, const char *label, struct ts_err *err)
{
        if (ts_str_addf(s, err, "set lmargin at screen %.4f\nset rmargin at screen %.4f\nset xrange [0:%.6f]\nset xlabel '%s'\n", left, right, to_s * LABEL_ROOM, label) < 0)
                return -1;
        return ts_str_addf(s, err,
                           "plot $runs%s using 1:3:1:2:($3-0.34):($3+0.34) with boxxyerror fillcolor rgb '" TS_COLOUR_RUNS "' fillstyle solid border linecolor rgb '" TS_COLOUR_RUNS "' linewidth 0.8 title 'the container runs', "
                           "$frozen%s using 1:3:1:2:($3-0.34):($3+0.34) with boxxyerror fillcolor rgb '" TS_COLOUR_FROZEN "' fillstyle solid border linecolor rgb '" TS_COLOUR_FROZEN "' linewidth 0.8 title 'it is frozen: downtime', "
                           "$runs%s using 2:3:4 with labels left offset 0.5,0 font ',10' notitle, "
                           "$frozen%s using 2:3:4 with labels left offset 0.5,0 font ',10' notitle\n",
                           zoom, zoom, zoom, zoom);
}

static int draw(struct ts_chart *c, const struct gantt *all, bool *ret_zoom, struct ts_err *err)
{
        double whole = 0, part = 0;
        struct ts_str *s = &c->script;

        for (unsigned i = 0; i < all->n; i++) {
                double from;

                part = fmax(part, frozen_part(&all->groups[i], &from));
                for (unsigned k = 0; k < all->groups[i].n; k++)
                        whole = fmax(whole, all->groups[i].bars[k].start_s + all->groups[i].bars[k].duration_s);
        }
        whole = whole > 0 ? whole : 1;
        *ret_zoom = part > 0 && part < whole * ZOOM_BELOW;
        if (add_bars(all, false, false, s, err) < 0 || add_bars(all, true, false, s, err) < 0 || ts_str_adds(s, "$runs_zoom << EOD\n-1 -1 -1 \"\"\nEOD\n", err) < 0 ||
            add_bars(all, true, true, s, err) < 0)
                return -1;
        if (ts_chart_set(c, "multiplot title", c->title, TS_CHART_TITLE_FONT, err) < 0 || add_rows(all, s, err) < 0 ||
            ts_str_addf(s, err, "set border 1\nset tmargin at screen %.4f\nset bmargin at screen %.4f\nset key at screen 0.5,%.4f center center horizontal Left reverse samplen 2\n",
                        1 - (double)TS_CHART_TITLE_HIGH / c->height, 112.0 / c->height, 24.0 / c->height) < 0 ||
            add_panel(s, LEFT, *ret_zoom ? MIDDLE : RIGHT, whole, "", "Time from the begin of the command (s)", err) < 0)
                return -1;
        if (*ret_zoom && (ts_str_adds(s, "unset label\nunset key\nunset ytics\n", err) < 0 || add_panel(s, ZOOM_LEFT, RIGHT, part, "_zoom", "Time from the freeze (s)", err) < 0))
                return -1;
        return ts_str_adds(s, "unset multiplot\n", err);
}

static int add_table(struct ts_chart *c, const struct gantt *all, struct ts_err *err)
{
        static const char *const titles[] = { "of", "phase", "start (s)", "duration (s)", "frozen" };
        struct ts_list *l = &c->table.cells;

        for (size_t i = 0; i < TS_ARRAY_LEN(titles); i++)
                if (ts_list_add(l, titles[i], err) < 0)
                        return -1;
        c->table.columns = l->n;
        for (unsigned i = 0; i < all->n; i++)
                for (unsigned k = 0; k < all->groups[i].n; k++) {
                        const struct bar *b = &all->groups[i].bars[k];

                        if (ts_list_add(l, all->groups[i].title, err) < 0 || ts_list_add(l, b->name, err) < 0 || ts_list_addf(l, err, "%.3f", b->start_s) < 0 ||
                            ts_list_addf(l, err, "%.4f", b->duration_s) < 0 || ts_list_add(l, b->frozen ? "yes" : "no", err) < 0)
                                return -1;
                }
        return 0;
}

static int finish(struct ts_charts *list, const struct gantt *all, const char *name, char *title, const char *what, struct ts_err *err)
{
        struct ts_chart *c = NULL;
        unsigned rows = all->n > 1 ? all->n : 0;
        bool zoom = false;

        for (unsigned i = 0; i < all->n; i++)
                rows += all->groups[i].n;
        if (ts_chart_new(list, name, title, FRAME_HIGH + rows * ROW_HIGH, &c, err) < 0 || draw(c, all, &zoom, err) < 0 || add_table(c, all, err) < 0)
                return -1;
        if (ts_str_addf(&c->caption, err, "%s%s", what, zoom ? " Right: the frozen phases alone, on an axis of their own that begins at the freeze." : "") < 0)
                return -1;
        return all->left_out ? ts_str_addf(&c->caption, err, " %u more series are not shown.", all->left_out) : 0;
}

int ts_chart_gantt(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err)
{
        struct gantt *all = calloc(1, sizeof(*all));
        int rc = all ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
        bool varied = r->axis_name != NULL;

        (void)figure;
        for (unsigned e = 0; rc == 0 && e < s->n_environments; e++)
                for (unsigned i = 0; rc == 0 && i < s->n_series; i++)
                        rc = add_group(all, r, s, e, i, err);
        if (rc == 0 && all->n > 0)
                rc = finish(list, all, name, all->n == 1 ? ts_fmt("Phases: %s", all->groups[0].title) : ts_fmt("Phases of the series"),
                            varied ? "Median begin and median duration of each phase, at the largest value of what was varied." : "Median begin and median duration of each phase.", err);
        if (rc == 0 && all->n > 0)
                rc = ts_chart_claim(&list->v[list->n - 1], r, NULL, 0, err);
        gantt_free(all);
        return rc;
}

/* ---- of one ---- */

int ts_chart_gantt_of_report(struct ts_charts *list, const struct ts_report *r, struct ts_err *err)
{
        struct gantt *all = NULL;
        struct group *g;
        int rc;

        if (r->n_phases + r->n_rollback == 0)
                return 0;
        all = calloc(1, sizeof(*all));
        if (!all)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        all->n = 1;
        g = &all->groups[0];
        g->title = ts_strdup0(ts_or(r->container_name, "move"));
        for (unsigned i = 0; i < r->n_phases; i++)
                add_bar(g, ts_or(r->phases[i].name, "?"), (double)r->phases[i].start_us / 1e6, (double)r->phases[i].duration_us / 1e6, r->phases[i].frozen);
        for (unsigned i = 0; i < r->n_rollback; i++)
                add_bar(g, ts_or(r->rollback[i].name, "?"), (double)r->rollback[i].start_us / 1e6, (double)r->rollback[i].duration_us / 1e6, r->rollback[i].frozen);
        rc = g->title ? finish(list, all, "phases", ts_fmt("Phases of the move of %s", g->title), "Begin and duration of each phase of this one move.", err) :
                        ts_err_set(err, TS_ENOMEM, "out of memory");
        gantt_free(all);
        return rc;
}
