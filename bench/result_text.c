/* See result_text.h. Decides layout, and which figures a person wants to see first; nothing is computed here. */
#include "bench/result_text.h"

#include "base/mem.h"
#include "bench/summary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MIN 40U
#define COLUMNS_DEFAULT 80U
#define NAME_WIDE_MAX 28U
#define X_WIDE 10U

#define BOLD "\033[1m"
#define YELLOW "\033[33m"
#define OFF "\033[0m"

struct sheet {
        struct ts_str *out;
        bool colour;
        unsigned columns;
};

static const char *on(const struct sheet *p, const char *colour)
{
        return p->colour ? colour : "";
}

/* ---- what it was measured on ---- */

static bool has(const char *text)
{
        return text && *text;
}

/* The client has no engine. */
char *ts_bench_host_text(const struct ts_bench_host *h)
{
        ts_auto_str s = TS_STR_INIT;
        char memory[16] = "";
        int bad = 0;

        if (h->memory_bytes)
                ts_human_bytes(h->memory_bytes, memory);
        if (has(h->engine))
                bad |= ts_str_addf(&s, NULL, "%s%s%s, ", h->engine, has(h->version) ? " " : "", ts_or(h->version, ""));
        if (has(h->runtime))
                bad |= ts_str_addf(&s, NULL, "%s, ", h->runtime);
        if (has(h->criu))
                bad |= ts_str_addf(&s, NULL, "CRIU %s, ", h->criu);
        if (has(h->kernel))
                bad |= ts_str_addf(&s, NULL, "Linux %s, ", h->kernel);
        if (h->cpus)
                bad |= ts_str_addf(&s, NULL, "%llu x %s, ", (unsigned long long)h->cpus, has(h->cpu) ? h->cpu : "CPU");
        else if (has(h->cpu))
                bad |= ts_str_addf(&s, NULL, "%s, ", h->cpu);
        if (*memory)
                bad |= ts_str_addf(&s, NULL, "%s, ", memory);
        if (s.len)
                s.buf[s.len -= 2] = '\0';
        return bad ? NULL : ts_str_take(&s);
}

char *ts_bench_environment_text(const struct ts_bench_environment *e)
{
        ts_auto_str s = TS_STR_INIT;
        int bad = ts_str_adds(&s, ts_or(e->how, ""), NULL);

        if (e->rtt_us > 0)
                bad |= ts_str_addf(&s, NULL, "%sround trip %.3g ms", s.len ? "; " : "", e->rtt_us / 1e3);
        if (e->bytes_per_s > 0)
                bad |= ts_str_addf(&s, NULL, "%s%.4g MB/s", s.len ? "; " : "", e->bytes_per_s / 1e6);
        return bad ? NULL : ts_str_take(&s);
}

/* Which figures have fewer measurements than a claim needs: some are of one direction only, and have half of them. */
static int add_few(const struct ts_summary *s, struct ts_list *ret, struct ts_err *err)
{
        ts_auto_str names = TS_STR_INIT;
        size_t figures = 0, few = 0;

        for (size_t i = 0, n; i < s->n_rows; i += n, figures++) {
                bool is_few = false;

                (void)ts_summary_figure(s, s->rows[i].figure, &n);
                for (size_t k = i; k < i + n; k++)
                        is_few = is_few || s->rows[k].stats.n < TS_CLAIM_N;
                if (is_few && ts_str_addf(&names, err, "%s%s", few++ ? "; " : "", ts_figure_label(s->rows[i].figure)) < 0)
                        return -1;
        }
        if (few == 0)
                return 0;
        return few == figures ? ts_list_addf(ret, err, "n < %u: no claim", TS_CLAIM_N)
                              : ts_list_addf(ret, err, "n < %u, no claim: %s", TS_CLAIM_N, ts_str_cstr(&names));
}

static bool alike(const struct ts_bench_host *a, const struct ts_bench_host *b)
{
        return a->cpu && ts_streq0(a->cpu, b->cpu) && ts_streq0(a->kernel, b->kernel) && a->memory_bytes == b->memory_bytes;
}

int ts_result_caveats(const struct ts_result *r, const struct ts_summary *s, struct ts_list *ret, struct ts_err *err)
{
        const struct ts_bench_host *h = r->hosts;
        bool hosts = false, client = false;

        if (r->quick && ts_list_add(ret, "quick run: it shows that it works, the figures mean nothing", err) < 0)
                return -1;
        if (s->n_rows == 0)
                return ts_list_add(ret, "nothing was measured", err);
        if (add_few(s, ret, err) < 0)
                return -1;
        for (size_t i = 1; i < r->n_hosts; i++)
                *(ts_streq0(h[i].side, TS_RESULT_CLIENT) ? &client : &hosts) |= alike(&h[0], &h[i]) || (i > 1 && alike(&h[1], &h[i]));
        if (hosts && ts_list_add(ret, "both hosts have the same processor, kernel and memory: they may share one machine, and disturb one another; memory, processors, load and disk writes are that one's then, "
                                      "shown for each", err) < 0)
                return -1;
        if (client && ts_list_add(ret, "the client has the same processor, kernel and memory as a host: it may be the same machine, and what it does is in what is measured there", err) < 0)
                return -1;
        return 0;
}

static int add_heading(const struct sheet *p, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        ts_auto_list caveats = TS_LIST_INIT;

        if (ts_str_addf(p->out, err, "%s%s%s  %s", on(p, BOLD), r->scenario, on(p, OFF), ts_or(r->started_at, "")) < 0 ||
            ts_str_addf(p->out, err, "%s%s%s%s\n", r->tool_version ? "  tranship " : "", ts_or(r->tool_version, ""), r->commit ? ", commit " : "",
                        ts_or(r->commit, "")) < 0 ||
            ts_str_addf(p->out, err, "  %zu samples and %zu warm-ups, which do not count; %.0f s\n", s->n_counted, s->n_warm_ups, r->seconds) < 0 ||
            ts_result_caveats(r, s, &caveats, err) < 0)
                return -1;
        for (size_t i = 0; i < caveats.n; i++)
                if (ts_str_addf(p->out, err, "  %s%s%s\n", on(p, YELLOW), caveats.v[i], on(p, OFF)) < 0)
                        return -1;
        return 0;
}

static int add_facts(const struct sheet *p, const struct ts_result *r, struct ts_err *err)
{
        bool any = false;

        for (size_t i = 0; i < r->n_hosts; i++) {
                ts_auto_free char *text = ts_bench_host_text(&r->hosts[i]);

                if (ts_str_addf(p->out, err, "  host %s%s%s: %s\n", ts_or(r->hosts[i].side, "?"), r->hosts[i].name ? " " : "", ts_or(r->hosts[i].name, ""),
                                ts_or(text, "")) < 0)
                        return -1;
        }
        for (size_t i = 0; i < r->n_environments; i++) {
                const struct ts_bench_environment *e = &r->environments[i];
                ts_auto_free char *text = ts_bench_environment_text(e);

                if (ts_str_addf(p->out, err, "  environment%s%s: %s\n", e->name && *e->name ? " " : "", ts_or(e->name, ""), ts_or(text, "")) < 0)
                        return -1;
        }
        for (size_t i = 0; i < r->n_parameters; i++) {
                if (!*r->parameters[i].value)
                        continue;
                if (ts_str_addf(p->out, err, "%s%s = %s", any ? ", " : "  parameters: ", r->parameters[i].name, r->parameters[i].value) < 0)
                        return -1;
                any = true;
        }
        return any ? ts_str_adds(p->out, "\n", err) : 0;
}

/* ---- the tables ---- */

/* What a person asks first, where the samples have it. */
static const char *const interesting[] = { "downtime_s",     "migration_s",    "client_gap_s",      "ping_gap_s",  "checkpoint_s",   "transfer_s",
                                           "restore_s",      "frozen_before_s", "over_limit",       "sent_bytes",  "archive_bytes",  "response_ms",
                                           "worst_response_ms", "per_s",        "errors",           "reconnects",  "a_before_bytes", "a_after_bytes",
                                           "b_before_bytes", "b_after_bytes" };

static bool is_interesting(const char *figure)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(interesting); i++)
                if (strcmp(figure, interesting[i]) == 0)
                        return true;
        return false;
}

/* The columns after the names. What is last in importance goes first where there is no room. */
struct column {
        const char *title;
        unsigned wide, importance; /* 0: always there */
};
enum { N, MEDIAN, INTERVAL, MEAN, SD, LEAST, MOST, COLUMNS };
static const struct column columns[COLUMNS] = {
        [N] = { "n", 5, 0 },
        [MEDIAN] = { "median", 10, 0 },
        [INTERVAL] = { "95 % interval", 20, 0 },
        [MEAN] = { "mean", 10, 2 },
        [SD] = { "sd", 9, 1 },
        [LEAST] = { "least", 10, 3 },
        [MOST] = { "most", 10, 3 },
};

struct layout {
        unsigned name_wide, x_wide, importance; /* what is more than that is left out */
};

static struct layout lay_out(const struct sheet *p, const struct ts_summary *s, bool has_x)
{
        struct layout l = { .name_wide = 6, .x_wide = has_x ? X_WIDE : 0 };

        for (unsigned e = 0; e < s->n_environments; e++)
                for (unsigned i = 0; i < s->n_series; i++) {
                        ts_auto_free char *name = ts_summary_name(s, e, i);
                        size_t len = strlen(ts_or(name, ""));

                        l.name_wide = len > l.name_wide ? (unsigned)len : l.name_wide;
                }
        if (l.name_wide > NAME_WIDE_MAX)
                l.name_wide = NAME_WIDE_MAX;
        for (unsigned most = 3; most > 0; most--) {
                unsigned wide = 4 + l.name_wide + l.x_wide;

                for (unsigned c = 0; c < COLUMNS; c++)
                        wide += columns[c].importance <= most ? columns[c].wide : 0;
                if (wide <= p->columns) {
                        l.importance = most;
                        break;
                }
        }
        return l;
}

static void cell_text(const struct ts_stats *s, unsigned column, int decimals, char buf[64])
{
        const double values[COLUMNS] = { [MEDIAN] = s->median, [MEAN] = s->mean, [SD] = s->sd, [LEAST] = s->least, [MOST] = s->most };

        if (column == N)
                (void)snprintf(buf, 64, "%zu%s", s->n, s->n < TS_CLAIM_N ? "*" : " ");
        else if (column == INTERVAL)
                (void)snprintf(buf, 64, "%.*f - %.*f", decimals, s->low, decimals, s->high);
        else
                (void)snprintf(buf, 64, "%.*f", decimals, values[column]);
}

static int add_row(const struct sheet *p, const struct ts_summary *s, const struct layout *l, const struct ts_summary_row *row, int decimals, struct ts_err *err)
{
        ts_auto_free char *name = ts_summary_name(s, row->environment, row->series);
        char x[32] = "";

        if (row->has_x)
                (void)snprintf(x, sizeof(x), "%.6g", row->x);
        if (ts_str_addf(p->out, err, "    %-*.*s", (int)l->name_wide, (int)l->name_wide, ts_or(name, "")) < 0 ||
            (l->x_wide && ts_str_addf(p->out, err, "%*s", (int)l->x_wide, x) < 0))
                return -1;
        for (unsigned c = 0; c < COLUMNS; c++) {
                char text[64];

                cell_text(&row->stats, c, decimals, text);
                if (columns[c].importance <= l->importance && ts_str_addf(p->out, err, "%*s", (int)columns[c].wide, text) < 0)
                        return -1;
        }
        return ts_str_adds(p->out, "\n", err);
}

static int add_figure(const struct sheet *p, const struct ts_result *r, const struct ts_summary *s, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        const char *unit = ts_figure_unit(rows->figure);
        struct layout l = lay_out(p, s, r->axis_name && rows[n - 1].has_x);
        double largest = 0;
        bool few = false;

        for (size_t i = 0; i < n; i++) {
                largest = fmax(largest, fabs(rows[i].stats.most));
                few = few || rows[i].stats.n < TS_CLAIM_N;
        }
        if (ts_str_addf(p->out, err, "\n  %s%s%s%s%s%s\n    %-*s", on(p, BOLD), ts_figure_label(rows->figure), *unit ? " [" : "", unit, *unit ? "]" : "", on(p, OFF),
                        (int)l.name_wide, "") < 0)
                return -1;
        if (l.x_wide && ts_str_addf(p->out, err, "%*.*s", (int)l.x_wide, (int)l.x_wide - 1, r->axis_name) < 0)
                return -1;
        for (unsigned c = 0; c < COLUMNS; c++)
                if (columns[c].importance <= l.importance && ts_str_addf(p->out, err, "%*s", (int)columns[c].wide, columns[c].title) < 0)
                        return -1;
        if (ts_str_adds(p->out, "\n", err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++)
                if (add_row(p, s, &l, &rows[i], ts_decimals(largest), err) < 0)
                        return -1;
        return few ? ts_str_addf(p->out, err, "    * n < %u: no claim\n", TS_CLAIM_N) : 0;
}

static int add_figures(const struct sheet *p, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        ts_auto_str others = TS_STR_INIT;

        for (size_t i = 0, n; i < s->n_rows; i += n) {
                const struct ts_summary_row *rows = ts_summary_figure(s, s->rows[i].figure, &n);

                if (!is_interesting(rows->figure)) {
                        if (ts_str_addf(&others, err, "%s%s", others.len ? ", " : "", rows->figure) < 0)
                                return -1;
                } else if (add_figure(p, r, s, rows, n, err) < 0)
                        return -1;
        }
        return others.len ? ts_str_addf(p->out, err, "\n  also measured, and printed with --format csv: %s\n", ts_str_cstr(&others)) : 0;
}

int ts_result_text(const struct ts_result *r, bool colour, unsigned columns_there, struct ts_str *out, struct ts_err *err)
{
        struct sheet p = { .out = out, .colour = colour, .columns = columns_there ? columns_there : COLUMNS_DEFAULT };
        ts_auto_summary s = { 0 };

        if (p.columns < COLUMNS_MIN)
                p.columns = COLUMNS_MIN;
        if (ts_summary(r, &s, err) < 0)
                return -1;
        return add_heading(&p, r, &s, err) < 0 || add_facts(&p, r, err) < 0 || add_figures(&p, r, &s, err) < 0 ? -1 : 0;
}

/* ---- CSV ---- */

static int csv_figure(const struct ts_result *r, const struct ts_sample *s, const struct ts_figure *f, struct ts_str *out, struct ts_err *err)
{
        const char *const names[] = { r->scenario, s->environment, s->series };
        char x[32] = "";

        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++)
                if (ts_str_add_csv(out, names[i], err) < 0)
                        return -1;
        if (s->has_x)
                (void)snprintf(x, sizeof(x), "%.10g", s->x);
        if (ts_str_addf(out, err, "%s,", x) < 0 || ts_str_add_csv(out, s->direction, err) < 0)
                return -1;
        return ts_str_addf(out, err, "%d,%s,%.10g,%s\n", s->run, f->name, f->value * ts_figure_scale(f->name), ts_figure_unit(f->name));
}

int ts_result_csv(const struct ts_result *r, bool header, struct ts_str *out, struct ts_err *err)
{
        if (header && ts_str_adds(out, "scenario,environment,series,x,direction,run,figure,value,unit\n", err) < 0)
                return -1;
        for (size_t i = 0; i < r->n_samples; i++)
                for (size_t k = 0; r->samples[i].run != TS_RESULT_WARM_UP && k < r->samples[i].n_figures; k++)
                        if (csv_figure(r, &r->samples[i], &r->samples[i].figures[k], out, err) < 0)
                                return -1;
        return 0;
}
