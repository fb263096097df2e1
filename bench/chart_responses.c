/* What the clients of a load saw over time: how long an answer took, and how many there were, with the phases behind them. Of the typical move of each series. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>

#define SERIES_MAX 3U
#define PANEL_HIGH 104U
#define GAP_HIGH 16U
#define HEAD_HIGH 40U /* over a series: its name, and the phases' */
#define AXIS_HIGH 92U
#define POINTS_MAX 1500U
#define LEFT 0.09
#define LABEL_AT 0.016
#define RIGHT 0.985

struct one {
        const struct ts_sample *sample;
        char *name;
};
struct them {
        struct one v[SERIES_MAX];
        unsigned n, left_out;
        double from_s, to_s;
};

static void them_clear(struct them *t)
{
        for (unsigned i = 0; i < t->n; i++)
                free(t->v[i].name);
}

static int choose(struct them *t, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        t->from_s = HUGE_VAL;
        t->to_s = -HUGE_VAL;
        for (unsigned e = 0; e < s->n_environments; e++)
                for (unsigned i = 0; i < s->n_series; i++) {
                        const struct ts_sample *p = ts_chart_typical(r, s, e, i, ts_sample_has_responses);

                        if (p && t->n == SERIES_MAX)
                                t->left_out++;
                        if (!p || t->n == SERIES_MAX)
                                continue;
                        t->v[t->n] = (struct one){ p, ts_summary_name(s, e, i) };
                        if (!t->v[t->n++].name)
                                return ts_err_set(err, TS_ENOMEM, "out of memory");
                        for (size_t k = 0; k < p->n_responses; k++) {
                                t->from_s = fmin(t->from_s, (double)p->responses[k].t_us / 1e6);
                                t->to_s = fmax(t->to_s, (double)p->responses[k].t_us / 1e6);
                        }
                }
        if (t->to_s <= t->from_s)
                t->to_s = t->from_s + 1;
        return 0;
}

/* Where there are too many, the worst of a few neighbours: that is what a client remembers. Where nobody got an answer there is no point, and the line is broken. */
static int add_data(const struct ts_sample *p, unsigned number, struct ts_str *s, struct ts_err *err)
{
        size_t each = (p->n_responses + POINTS_MAX - 1) / POINTS_MAX;

        if (ts_str_addf(s, err, "$r%u << EOD\n", number) < 0)
                return -1;
        for (size_t i = 0; i < p->n_responses; i += each) {
                double ms = 0, per_s = 0;
                size_t n = 0;

                for (; n < each && i + n < p->n_responses; n++) {
                        ms = fmax(ms, p->responses[i + n].ms);
                        per_s += p->responses[i + n].per_s;
                }
                if (ts_str_addf(s, err, per_s > 0 ? "%.4f %.6g %.6g\n" : "%.4f NaN 0\n", (double)p->responses[i].t_us / 1e6, ms, per_s / (double)n) < 0)
                        return -1;
        }
        return ts_str_adds(s, "EOD\n", err);
}

static bool is_log(const struct ts_sample *p)
{
        double least = HUGE_VAL, most = 0;

        for (size_t i = 0; i < p->n_responses; i++)
                if (p->responses[i].ms > 0) {
                        least = fmin(least, p->responses[i].ms);
                        most = fmax(most, p->responses[i].ms);
                }
        return ts_panel_is_log(least, most);
}

static double most_of(const struct ts_sample *p, bool rate)
{
        double most = 0;

        for (size_t i = 0; i < p->n_responses; i++)
                most = fmax(most, rate ? p->responses[i].per_s : p->responses[i].ms);
        return most;
}

static int add_panel(struct ts_chart *c, const struct them *t, unsigned i, bool rate, double top, struct ts_err *err)
{
        bool last = rate && i + 1 == t->n;
        struct ts_str *s = &c->script;
        double to, step;

        ts_chart_ticks(most_of(t->v[i].sample, rate), &to, &step);
        if (ts_str_addf(s, err, "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset label '%s' at screen %.4f, graph 0.5 center rotate by 90 font ',11'\n", 1 - top / c->height,
                        1 - (top + PANEL_HIGH - GAP_HIGH) / c->height, rate ? "Answers (1/s)" : "Response (ms)", LABEL_AT) < 0)
                return -1;
        if (!rate && is_log(t->v[i].sample) ? ts_str_adds(s, "set logscale y\nset yrange [*:*]\nset ytics 10\nset mytics 1\n", err) < 0 :
                                              ts_str_addf(s, err, "unset logscale y\nset yrange [0:%.10g]\nset ytics 0,%.10g\n", to, step) < 0)
                return -1;
        if (ts_str_adds(s, last ? "set format x '%g'\nset xlabel 'Time from the begin of the command (s)'\n" : "set format x ''\nset xlabel ''\n", err) < 0)
                return -1;
        return ts_str_addf(s, err, "plot $r%u using 1:%u with %s linecolor rgb '%s'\n", i, rate ? 3U : 2U,
                           rate ? "steps linewidth 1.6" : "linespoints linewidth 1 pointtype 7 pointsize 0.25", rate ? TS_COLOUR_TARGET : TS_COLOUR_SOURCE);
}

static int add_one(struct ts_chart *c, const struct them *t, unsigned i, struct ts_err *err)
{
        double top = TS_CHART_TITLE_HIGH + HEAD_HIGH + i * (2.0 * PANEL_HIGH + HEAD_HIGH);
        const struct ts_report *r = t->v[i].sample->report;

        for (int rate = 0; rate <= 1; rate++) {
                double at = top + rate * (double)PANEL_HIGH;

                if (r ? ts_chart_phases(r, t->from_s, t->to_s, rate == 0, &c->script, err) < 0 : ts_str_adds(&c->script, "unset label\nunset arrow\nunset object\n", err) < 0)
                        return -1;
                if (rate == 0 && (ts_str_adds(&c->script, "set label ", err) < 0 || ts_gnuplot_quote(&c->script, t->v[i].name, 90, err) < 0 ||
                                  ts_str_addf(&c->script, err, " at screen 0.012,%.4f left font ',12'\n", 1 - (top - 24) / c->height) < 0))
                        return -1;
                if (add_panel(c, t, i, rate, at, err) < 0)
                        return -1;
        }
        return 0;
}

static int add_table(struct ts_chart *c, const struct them *t, struct ts_err *err)
{
        static const char *const heads[] = { "series", "points", "longest response (ms)", "fewest answers (1/s)", "most answers (1/s)" };
        struct ts_list *l = &c->table.cells;

        for (size_t i = 0; i < TS_ARRAY_LEN(heads); i++)
                if (ts_list_add(l, heads[i], err) < 0)
                        return -1;
        c->table.columns = l->n;
        for (unsigned i = 0; i < t->n; i++) {
                const struct ts_sample *p = t->v[i].sample;
                double ms = 0, least = HUGE_VAL, most = 0;

                for (size_t k = 0; k < p->n_responses; k++) {
                        ms = fmax(ms, p->responses[k].ms);
                        least = fmin(least, p->responses[k].per_s);
                        most = fmax(most, p->responses[k].per_s);
                }
                if (ts_list_add(l, t->v[i].name, err) < 0 || ts_list_addf(l, err, "%zu", p->n_responses) < 0 || ts_list_addf(l, err, "%.1f", ms) < 0 ||
                    ts_list_addf(l, err, "%.1f", least) < 0 || ts_list_addf(l, err, "%.1f", most) < 0)
                        return -1;
        }
        return 0;
}

static int make(struct ts_charts *list, const struct ts_result *r, const struct them *t, const char *name, struct ts_err *err)
{
        struct ts_chart *c = NULL;

        if (ts_chart_new(list, name, ts_fmt("What the clients saw"), TS_CHART_TITLE_HIGH + t->n * (HEAD_HIGH + 2 * PANEL_HIGH) + AXIS_HIGH - HEAD_HIGH, &c, err) < 0 ||
            ts_chart_set(c, "multiplot title", c->title, TS_CHART_TITLE_FONT, err) < 0 ||
            ts_str_addf(&c->script, err, "set lmargin at screen %.3f\nset rmargin at screen %.3f\nset xrange [%.6f:%.6f]\n", LEFT, RIGHT, t->from_s, t->to_s) < 0)
                return -1;
        for (unsigned i = 0; i < t->n; i++)
                if (add_data(t->v[i].sample, i, &c->script, err) < 0 || add_one(c, t, i, err) < 0)
                        return -1;
        if (ts_str_adds(&c->script, "unset multiplot\n", err) < 0 ||
            ts_str_adds(&c->caption,
                        "Of each series one move, the one whose downtime is nearest the median, at the largest value of what was varied: how long the clients waited for an answer, and how many answers a second "
                        "they got; the line is broken where nobody got one. Shaded: the container is frozen; thin lines: a phase begins.",
                        err) < 0)
                return -1;
        if (t->left_out && ts_str_addf(&c->caption, err, " %u more series are not shown.", t->left_out) < 0)
                return -1;
        return ts_chart_claim(c, r, NULL, 0, err) < 0 ? -1 : add_table(c, t, err);
}

int ts_chart_responses(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err)
{
        struct them t = { .n = 0 };
        int rc = choose(&t, r, s, err);

        (void)figure;
        if (rc == 0 && t.n > 0)
                rc = make(list, r, &t, name, err);
        them_clear(&t);
        return rc;
}
