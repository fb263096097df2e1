/* What both hosts were doing during a move: one panel a resource over one axis of time, the phases behind them. Of one move: the typical one, where there are many. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

#define PANEL_HIGH 92U
#define AXIS_HIGH 88U
#define POINTS_MAX 400U /* of a curve; more are averaged */
#define LEFT 0.09
#define LABEL_AT 0.016
#define RIGHT 0.985

/* Means over the samples that one point stands for; a rate is the sum over their time. */
struct sums {
        double t_s, span_s, n;
        double cpu_pct, load1, mem_bytes, disk_bytes, sent_bytes, received_bytes;
};

enum { CPU, MEMORY, LOAD, DISK, SENT, RECEIVED, CURVES };
static const char *const titles[CURVES] = {
        [CPU] = "CPU (%)", [MEMORY] = "Memory (MB)", [LOAD] = "Load", [DISK] = "Disk (MB/s)", [SENT] = "Sent (MB/s)", [RECEIVED] = "Recv. (MB/s)",
};

static size_t count(const struct ts_report *r, bool target)
{
        size_t n = 0;

        for (size_t i = 0; i < r->n_resources; i++)
                n += r->resources[i].target == target;
        return n;
}

static void add_to(struct sums *s, const struct ts_resource *r, double span_s)
{
        s->t_s = (double)r->t_us / 1e6;
        s->span_s += span_s;
        s->n++;
        s->cpu_pct += r->cpu_pct;
        s->load1 += r->load1;
        s->mem_bytes += (double)r->mem_used_bytes;
        s->disk_bytes += (double)r->disk_write_bytes;
        s->sent_bytes += (double)r->net_sent_bytes;
        s->received_bytes += (double)r->net_received_bytes;
}

static int add_point(const struct sums *s, struct ts_str *out, struct ts_err *err)
{
        if (ts_str_addf(out, err, "%.4f %.3f %.3f %.3f", s->t_s, s->cpu_pct / s->n, s->mem_bytes / s->n / 1e6, s->load1 / s->n) < 0)
                return -1;
        if (s->span_s <= 0) /* the first one: since when is not known */
                return ts_str_adds(out, " ? ? ?\n", err);
        return ts_str_addf(out, err, " %.4f %.4f %.4f\n", s->disk_bytes / s->span_s / 1e6, s->sent_bytes / s->span_s / 1e6, s->received_bytes / s->span_s / 1e6);
}

static int add_host(const struct ts_report *r, bool target, struct ts_str *out, struct ts_err *err)
{
        size_t each = (count(r, target) + POINTS_MAX - 1) / POINTS_MAX;
        struct sums s = { 0 };
        uint64_t before_us = 0;
        bool first = true;

        if (ts_str_addf(out, err, "$%s << EOD\n", target ? "target" : "source") < 0)
                return -1;
        for (size_t i = 0; i < r->n_resources; i++) {
                const struct ts_resource *p = &r->resources[i];

                if (p->target != target)
                        continue;
                add_to(&s, p, first || p->t_us <= before_us ? 0 : (double)(p->t_us - before_us) / 1e6);
                before_us = p->t_us;
                if (first || s.n >= (double)each) {
                        if (add_point(&s, out, err) < 0)
                                return -1;
                        s = (struct sums){ 0 };
                }
                first = false;
        }
        if (s.n > 0 && add_point(&s, out, err) < 0)
                return -1;
        return ts_str_adds(out, "EOD\n", err);
}

static double most_seconds(const struct ts_report *r)
{
        double most = 0;

        for (size_t i = 0; i < r->n_resources; i++)
                most = fmax(most, (double)r->resources[i].t_us / 1e6);
        for (unsigned i = 0; i < r->n_phases; i++)
                most = fmax(most, (double)(r->phases[i].start_us + r->phases[i].duration_us) / 1e6);
        return most > 0 ? most : 1;
}

static int add_curve(const char *host, const char *colour, unsigned curve, struct ts_str *s, struct ts_err *err)
{
        return ts_str_addf(s, err, "%s$%s using 1:%u with lines linecolor rgb '%s' linewidth 1.6%s title '%s'", strcmp(host, "target") == 0 ? ", " : "plot ", host, curve + 2, colour,
                           strcmp(host, "target") == 0 ? " dashtype 2" : "", host);
}

/* The largest value that is drawn, of both hosts. */
static double most_of(const struct ts_report *r, unsigned curve)
{
        uint64_t before_us[2] = { 0, 0 };
        bool seen[2] = { false, false };
        double most = 0;

        for (size_t i = 0; i < r->n_resources; i++) {
                const struct ts_resource *p = &r->resources[i];
                double span_s = p->t_us > before_us[p->target] ? (double)(p->t_us - before_us[p->target]) / 1e6 : 0;
                const uint64_t bytes[CURVES] = { [DISK] = p->disk_write_bytes, [SENT] = p->net_sent_bytes, [RECEIVED] = p->net_received_bytes };

                if (curve == CPU || curve == MEMORY || curve == LOAD)
                        most = fmax(most, curve == CPU ? 100 : curve == LOAD ? p->load1 : (double)p->mem_used_bytes / 1e6);
                else if (seen[p->target] && span_s > 0)
                        most = fmax(most, (double)bytes[curve] / span_s / 1e6);
                before_us[p->target] = p->t_us;
                seen[p->target] = true;
        }
        return most;
}

static int add_panel(struct ts_chart *c, const struct ts_report *r, unsigned i, bool both, struct ts_err *err)
{
        double high = c->height, top = TS_CHART_TITLE_HIGH + 18 + i * (double)PANEL_HIGH, to = 100, step = 50;
        struct ts_str *s = &c->script;

        if (i != CPU)
                ts_chart_ticks(most_of(r, i), &to, &step);
        if (ts_str_addf(s, err, "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset label '%s' at screen %.4f, graph 0.5 center rotate by 90 font ',11'\nset yrange [0:%.10g]\nset ytics 0,%.10g\n",
                        1 - top / high, 1 - (top + PANEL_HIGH - 14) / high, titles[i], LABEL_AT, to, step) < 0)
                return -1;
        if (ts_str_adds(s, i + 1 == CURVES ? "set format x '%g'\nset xlabel 'Time from the begin of the command (s)'\n" : "set format x ''\n", err) < 0 ||
            add_curve("source", TS_COLOUR_SOURCE, i, s, err) < 0 || (both && add_curve("target", TS_COLOUR_TARGET, i, s, err) < 0))
                return -1;
        return ts_str_adds(s, i == 0 ? "\nunset key\n" : "\n", err); /* one key is enough */
}

static int draw(struct ts_chart *c, const struct ts_report *r, struct ts_err *err)
{
        double most = most_seconds(r);
        bool both = count(r, true) > 0;

        if (add_host(r, false, &c->script, err) < 0 || add_host(r, true, &c->script, err) < 0 || ts_chart_set(c, "multiplot title", c->title, TS_CHART_TITLE_FONT, err) < 0 ||
            ts_str_addf(&c->script, err,
                        "set lmargin at screen %.3f\nset rmargin at screen %.3f\nset xrange [0:%.6f]\n"
                        "set key at screen %.3f,%.4f right center horizontal samplen 3\n",
                        LEFT, RIGHT, most, RIGHT, 14.0 / c->height) < 0)
                return -1;
        for (unsigned i = 0; i < CURVES; i++)
                if (ts_chart_phases(r, 0, most, i == 0, &c->script, err) < 0 || add_panel(c, r, i, both, err) < 0)
                        return -1;
        return ts_str_adds(&c->script, "unset multiplot\n", err);
}

/* ---- the same as a table: the mean and the most of each host ---- */

static int add_table_rows(struct ts_chart *c, const struct ts_report *r, bool target, struct ts_err *err)
{
        struct sums s = { 0 };
        double most_cpu = 0, most_load = 0, most_mem = 0;
        uint64_t first_us = 0;
        struct ts_list *l = &c->table.cells;

        for (size_t i = 0; i < r->n_resources; i++) {
                const struct ts_resource *p = &r->resources[i];

                if (p->target != target)
                        continue;
                first_us = s.n > 0 ? first_us : p->t_us;
                add_to(&s, p, 0);
                most_cpu = fmax(most_cpu, p->cpu_pct);
                most_load = fmax(most_load, p->load1);
                most_mem = fmax(most_mem, (double)p->mem_used_bytes);
        }
        if (s.n <= 0)
                return 0;
        return ts_list_add(l, target ? "target" : "source", err) < 0 || ts_list_addf(l, err, "%.1f / %.1f", s.cpu_pct / s.n, most_cpu) < 0 ||
                               ts_list_addf(l, err, "%.1f / %.1f", s.mem_bytes / s.n / 1e6, most_mem / 1e6) < 0 ||
                               ts_list_addf(l, err, "%.2f / %.2f", s.load1 / s.n, most_load) < 0 || ts_list_addf(l, err, "%.1f", s.disk_bytes / 1e6) < 0 ||
                               ts_list_addf(l, err, "%.1f", s.sent_bytes / 1e6) < 0 || ts_list_addf(l, err, "%.1f", s.received_bytes / 1e6) < 0 ?
                       -1 :
                       0;
}

static int add_table(struct ts_chart *c, const struct ts_report *r, struct ts_err *err)
{
        static const char *const heads[] = { "host", "CPU, mean / most (%)", "memory, mean / most (MB)", "load, mean / most", "written to disks (MB)", "sent (MB)", "received (MB)" };

        for (size_t i = 0; i < TS_ARRAY_LEN(heads); i++)
                if (ts_list_add(&c->table.cells, heads[i], err) < 0)
                        return -1;
        c->table.columns = TS_ARRAY_LEN(heads);
        return add_table_rows(c, r, false, err) < 0 ? -1 : add_table_rows(c, r, true, err);
}

static int make(struct ts_charts *list, const struct ts_report *r, const char *name, char *title, const char *which, struct ts_err *err)
{
        struct ts_chart *c = NULL;

        if (ts_chart_new(list, name, title, TS_CHART_TITLE_HIGH + CURVES * PANEL_HIGH + AXIS_HIGH, &c, err) < 0 || draw(c, r, err) < 0 || add_table(c, r, err) < 0)
                return -1;
        return ts_str_addf(&c->caption, err, "%s Both hosts on one axis of time: share of all processors, memory in use, load of the last minute, what was written to disks, and what the network sent and received. "
                                             "Shaded: the container is frozen; thin lines: a phase begins.",
                           which);
}

int ts_chart_resources(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err)
{
        (void)figure;
        for (unsigned e = 0; e < s->n_environments; e++)
                for (unsigned i = 0; i < s->n_series; i++) {
                        const struct ts_sample *p = ts_chart_typical(r, s, e, i, ts_sample_has_resources);
                        ts_auto_free char *group = p ? ts_summary_name(s, e, i) : NULL;

                        if (group)
                                return make(list, p->report, name, ts_fmt("Resources of both hosts: %s", group),
                                            "One move: the one whose downtime is nearest the median of its series; those of all the others are in the file.", err);
                }
        return 0;
}

int ts_chart_resources_of_report(struct ts_charts *list, const struct ts_report *r, struct ts_err *err)
{
        if (r->n_resources < 2)
                return 0;
        return make(list, r, "resources", ts_fmt("Resources of both hosts during the move of %s", ts_or(r->container_name, "a container")), "One move.", err);
}
