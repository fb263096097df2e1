/* Which charts a result gets, and what all charts share (bench/chart_priv.h). The kinds are in files of their own. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LABEL_SHARE 0.065 /* a phase narrower than this part of the axis has no label */

/* ---- which ---- */

typedef int (*kind_fn)(struct ts_charts *, const struct ts_result *, const struct ts_summary *, const char *, const char *, struct ts_err *);

/* In the order of the page. scenario NULL: all of them. A chart whose figure no sample has is left out, so that rows may be general. Lines want an axis with two values or more, boxes the
 * opposite. */
static const struct {
        const char *scenario;
        kind_fn kind;
        const char *name, *figure;
} plan[] = {
        { NULL, ts_chart_lines, "downtime", "downtime_s" },
        { NULL, ts_chart_lines, "migration", "migration_s" },
        { NULL, ts_chart_boxes, "downtime", "downtime_s" },
        { NULL, ts_chart_boxes, "migration", "migration_s" },
        { NULL, ts_chart_boxes, "client-gap", "client_gap_s" },
        { "counter-size", ts_chart_lines, "transfer", "transfer_s" },
        { "counter-size", ts_chart_lines, "archive", "archive_bytes" },
        { "memory-sweep", ts_chart_lines, "limit", "limit_s" },
        { "memory-sweep", ts_chart_lines, "over-limit", "over_limit" },
        { "strategies", ts_chart_boxes, "sent", "sent_bytes" },
        { "load", ts_chart_lines, "client-gap", "client_gap_s" },
        { "load", ts_chart_lines, "response", "response_ms" },
        { "load", ts_chart_lines, "worst-response", "worst_response_ms" },
        { "load", ts_chart_lines, "throughput", "per_s" },
        { NULL, ts_chart_gantt, "phases", NULL },
        { NULL, ts_chart_responses, "responses", NULL },
        { NULL, ts_chart_resources, "resources", NULL },
};

int ts_charts_of_result(const struct ts_result *r, const struct ts_summary *s, struct ts_charts *ret, struct ts_err *err)
{
        ts_auto_charts all = { NULL, 0 };

        for (size_t i = 0; i < TS_ARRAY_LEN(plan); i++)
                if ((!plan[i].scenario || strcmp(plan[i].scenario, r->scenario) == 0) && plan[i].kind(&all, r, s, plan[i].name, plan[i].figure, err) < 0)
                        return -1;
        if (ts_chart_published(&all, r, s, err) < 0)
                return -1;
        *ret = all;
        all = (struct ts_charts){ NULL, 0 };
        return 0;
}

int ts_charts_of_report(const struct ts_report *r, struct ts_charts *ret, struct ts_err *err)
{
        ts_auto_charts all = { NULL, 0 };

        if (ts_chart_gantt_of_report(&all, r, err) < 0 || ts_chart_resources_of_report(&all, r, err) < 0)
                return -1;
        *ret = all;
        all = (struct ts_charts){ NULL, 0 };
        return 0;
}

static void chart_clear(struct ts_chart *c)
{
        free(c->title);
        ts_str_clear(&c->caption);
        ts_str_clear(&c->script);
        ts_list_clear(&c->table.cells);
}

void ts_charts_clear(struct ts_charts *c)
{
        for (size_t i = 0; i < c->n; i++)
                chart_clear(&c->v[i]);
        free(c->v);
        *c = (struct ts_charts){ NULL, 0 };
}

int ts_chart_draw(const struct ts_chart *c, enum ts_chart_format f, struct ts_str *ret, struct ts_err *err)
{
        return ts_gnuplot_draw(&c->script, f, c->width, c->height, ret, err) < 0 ? ts_err_prefix(err, "chart '%s'", c->name) : 0;
}

/* ---- what all have ---- */

const char *ts_chart_colour(unsigned i)
{
        static const char *const colours[] = { "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "black" };

        return colours[i % TS_ARRAY_LEN(colours)];
}

int ts_chart_new(struct ts_charts *list, const char *name, char *title, unsigned height, struct ts_chart **ret, struct ts_err *err)
{
        static const char common[] = "set border 3 linecolor rgb 'black' linewidth 1\n"
                                     "set tics nomirror out scale 0.6\n"
                                     "set grid xtics ytics linecolor rgb '" TS_COLOUR_FAINT "' linewidth 0.4 dashtype 3\n"
                                     "set datafile missing '?'\n"
                                     "set style fill solid noborder\n"
                                     "set key noautotitle\n";
        struct ts_chart *v, *c;

        v = title ? reallocarray(list->v, list->n + 1, sizeof(*v)) : NULL;
        if (!v) {
                free(title);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        list->v = v;
        c = &v[list->n++];
        *c = (struct ts_chart){ .name = name, .title = title, .width = TS_CHART_WIDE, .height = height };
        *ret = c;
        return ts_str_adds(&c->script, common, err);
}

void ts_chart_drop_last(struct ts_charts *list)
{
        chart_clear(&list->v[--list->n]);
}

int ts_chart_set(struct ts_chart *c, const char *key, const char *text, const char *rest, struct ts_err *err)
{
        return ts_str_addf(&c->script, err, "set %s ", key) < 0 || ts_gnuplot_quote(&c->script, text, 120, err) < 0 ||
                               ts_str_addf(&c->script, err, " %s\n", rest) < 0 ?
                       -1 :
                       0;
}

int ts_chart_claim(struct ts_chart *c, const struct ts_result *r, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        size_t least = SIZE_MAX, most = 0;

        for (size_t i = 0; i < n; i++) {
                least = rows[i].stats.n < least ? rows[i].stats.n : least;
                most = rows[i].stats.n > most ? rows[i].stats.n : most;
        }
        if (n > 0 && (least == most ? ts_str_addf(&c->caption, err, " n = %zu each", least) : ts_str_addf(&c->caption, err, " n = %zu to %zu each", least, most)) < 0)
                return -1;
        if (n > 0 && ts_str_adds(&c->caption, "; warm-ups do not count.", err) < 0)
                return -1;
        if (n > 0 && least < TS_CLAIM_N && ts_str_addf(&c->caption, err, " n < %u: no claim.", TS_CLAIM_N) < 0)
                return -1;
        return r->quick ? ts_str_adds(&c->caption, " Quick run: the figures mean nothing.", err) : 0;
}

char *ts_chart_axis_label(const char *label, const char *unit)
{
        return unit && *unit ? ts_fmt("%s (%s)", label, unit) : ts_strdup0(label);
}

void ts_chart_number(double x, char buf[32])
{
        double a = fabs(x);

        if (a >= 1e9)
                (void)snprintf(buf, 32, "%.4gG", x / 1e9);
        else if (a >= 1e6)
                (void)snprintf(buf, 32, "%.4gM", x / 1e6);
        else if (a >= 1e4)
                (void)snprintf(buf, 32, "%.4gk", x / 1e3);
        else if (a >= 1e3 && x == floor(x))
                (void)snprintf(buf, 32, "%s%d,%03d", x < 0 ? "-" : "", (int)a / 1000, (int)a % 1000);
        else
                (void)snprintf(buf, 32, "%.4g", x);
}

void ts_chart_ticks(double most, double *ret_to, double *ret_step)
{
        static const double steps[] = { 1, 2, 2.5, 5, 10 };
        double rough = (most > 0 ? most : 1) / 3, power = pow(10, floor(log10(rough)));
        size_t i = 0;

        while (i + 1 < TS_ARRAY_LEN(steps) && steps[i] * power < rough)
                i++;
        *ret_step = steps[i] * power;
        *ret_to = fmax(ceil(most * 1.02 / *ret_step), 1) * *ret_step;
}

int ts_chart_table_heading(struct ts_chart *c, const struct ts_result *r, const char *what, bool has_x, const char *unit, struct ts_err *err)
{
        static const char *const titles[] = { "n", "median", "95 % interval", "quartiles", "least", "most" };
        struct ts_list *l = &c->table.cells;

        if (ts_list_add(l, what, err) < 0 || (has_x && ts_list_add(l, r->axis_label ? r->axis_label : ts_or(r->axis_name, "x"), err) < 0))
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(titles); i++)
                if (ts_list_addf(l, err, i && *unit ? "%s (%s)" : "%s", titles[i], unit) < 0)
                        return -1;
        c->table.columns = l->n;
        return 0;
}

int ts_chart_table_row(struct ts_chart *c, const struct ts_summary *s, const struct ts_summary_row *row, bool has_x, int decimals, struct ts_err *err)
{
        ts_auto_free char *name = ts_summary_name(s, row->environment, row->series);
        const struct ts_stats *t = &row->stats;
        struct ts_list *l = &c->table.cells;

        if (ts_list_add(l, name, err) < 0 || (has_x && ts_list_addf(l, err, "%.6g", row->x) < 0))
                return -1;
        return ts_list_addf(l, err, "%zu", t->n) < 0 || ts_list_addf(l, err, "%.*f", decimals, t->median) < 0 ||
                               ts_list_addf(l, err, "%.*f – %.*f", decimals, t->low, decimals, t->high) < 0 ||
                               ts_list_addf(l, err, "%.*f – %.*f", decimals, t->q1, decimals, t->q3) < 0 || ts_list_addf(l, err, "%.*f", decimals, t->least) < 0 ||
                               ts_list_addf(l, err, "%.*f", decimals, t->most) < 0 ?
                       -1 :
                       0;
}

/* ---- phases behind curves ---- */

static double begin_s(const struct ts_report_phase *p)
{
        return (double)p->start_us / 1e6;
}

static double end_s(const struct ts_report_phase *p)
{
        return (double)(p->start_us + p->duration_us) / 1e6;
}

static int add_phase_label(const char *name, double from, double to, struct ts_str *script, struct ts_err *err)
{
        if (ts_str_adds(script, "set label ", err) < 0 || ts_gnuplot_quote(script, name, 16, err) < 0)
                return -1;
        return ts_str_addf(script, err, " at first %.6f, graph 1 center offset 0,0.6 font ',10'\n", (from + to) / 2);
}

int ts_chart_phases(const struct ts_report *r, double from_s, double to_s, bool labels, struct ts_str *script, struct ts_err *err)
{
        double frozen_from = 0, frozen_to = 0, wide = (to_s - from_s) * LABEL_SHARE;

        if (ts_str_adds(script, "unset label\nunset arrow\nunset object\n", err) < 0)
                return -1;
        for (unsigned i = 0; i < r->n_phases; i++) {
                const struct ts_report_phase *p = &r->phases[i];
                double from = fmax(begin_s(p), from_s), to = fmin(end_s(p), to_s);

                if (to < from)
                        continue;
                if (p->frozen && ts_str_addf(script, err, "set object rectangle from first %.6f, graph 0 to first %.6f, graph 1 behind fillcolor rgb '" TS_COLOUR_FROZEN "' fillstyle transparent solid 0.18 noborder\n",
                                             from, to) < 0)
                        return -1;
                if (ts_str_addf(script, err, "set arrow from first %.6f, graph 0 to first %.6f, graph 1 nohead back linecolor rgb '" TS_COLOUR_FAINT "' linewidth 0.7\n", from, from) < 0)
                        return -1;
                if (labels && !p->frozen && to - from >= wide && add_phase_label(ts_or(p->name, ""), from, to, script, err) < 0)
                        return -1;
                if (p->frozen) {
                        frozen_from = frozen_to > 0 ? frozen_from : from;
                        frozen_to = to;
                }
        }
        return labels && frozen_to > 0 ? add_phase_label("frozen", frozen_from, frozen_to, script, err) : 0;
}

/* ---- one of many ---- */

bool ts_sample_has_resources(const struct ts_sample *s)
{
        return s->report && s->report->n_resources > 1;
}

bool ts_sample_has_responses(const struct ts_sample *s)
{
        return s->n_responses > 1;
}

bool ts_sample_has_phases(const struct ts_sample *s)
{
        return s->report && s->report->n_phases > 0;
}

static double median_downtime(const struct ts_summary *s, unsigned environment, unsigned series, double x)
{
        size_t n = 0;
        const struct ts_summary_row *rows = ts_summary_figure(s, "downtime_s", &n);

        for (size_t i = 0; i < n; i++)
                if (rows[i].environment == environment && rows[i].series == series && rows[i].x == x)
                        return rows[i].stats.median;
        return 0;
}

const struct ts_sample *ts_chart_typical(const struct ts_result *r, const struct ts_summary *s, unsigned environment, unsigned series, bool (*suits)(const struct ts_sample *))
{
        const struct ts_sample *best = NULL;
        double largest = -HUGE_VAL, off = HUGE_VAL, median = 0;

        for (size_t i = 0; i < r->n_samples; i++) {
                const struct ts_sample *p = &r->samples[i];
                const double *downtime;
                double x = p->has_x ? p->x : 0, distance;

                if (p->run == TS_RESULT_WARM_UP || x < largest || ts_summary_environment(s, p->environment) != environment ||
                    ts_summary_series(s, p->series) != series || !suits(p))
                        continue;
                if (x > largest) {
                        largest = x;
                        off = HUGE_VAL;
                        median = median_downtime(s, environment, series, x);
                        best = p;
                }
                downtime = ts_sample_figure(p, "downtime_s");
                distance = downtime ? fabs(*downtime - median) : HUGE_VAL;
                if (distance < off) {
                        off = distance;
                        best = p;
                }
        }
        return best;
}
