/* See summary.h. Decides which samples belong together; what a list of measurements says is in stats.c. */
#include "bench/summary.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

/* A measurement and where it belongs. */
struct entry {
        const char *figure;
        const struct ts_figure_kind *kind;
        unsigned environment, series;
        bool has_x;
        double x, value;
};

static int compare_places(const struct entry *a, const struct entry *b)
{
        if (a->kind != b->kind)
                return !a->kind ? 1 : !b->kind ? -1 : a->kind < b->kind ? -1 : 1; /* of one table */
        if (!a->kind && strcmp(a->figure, b->figure) != 0)
                return strcmp(a->figure, b->figure);
        if (a->environment != b->environment)
                return a->environment < b->environment ? -1 : 1;
        if (a->series != b->series)
                return a->series < b->series ? -1 : 1;
        if (a->has_x != b->has_x)
                return a->has_x ? 1 : -1;
        return (a->x > b->x) - (a->x < b->x);
}

static int compare(const void *a, const void *b)
{
        return compare_places(a, b);
}

static unsigned find(const char *const names[], unsigned n, const char *name)
{
        unsigned i = 0;

        while (i < n && strcmp(names[i], name) != 0)
                i++;
        return i;
}

static int learn(const char *names[], unsigned *n, const char *name, const char *what, struct ts_err *err)
{
        if (find(names, *n, name) < *n)
                return 0;
        if (*n == TS_SUMMARY_NAMES_MAX)
                return ts_err_set(err, TS_ELIMIT, "more than %u %s", TS_SUMMARY_NAMES_MAX, what);
        names[(*n)++] = name;
        return 0;
}

/* Those that are counted, in the order in which they come first: that of the plan, which is the first warm-up's. */
static void keep_counted(const char *names[], unsigned *n, const bool counted[])
{
        unsigned kept = 0;

        for (unsigned i = 0; i < *n; i++)
                if (counted[i])
                        names[kept++] = names[i];
        *n = kept;
}

static int learn_names(const struct ts_result *r, struct ts_summary *s, size_t *ret_figures, struct ts_err *err)
{
        bool series[TS_SUMMARY_NAMES_MAX] = { false }, environments[TS_SUMMARY_NAMES_MAX] = { false };

        for (size_t i = 0; i < r->n_samples; i++) {
                const struct ts_sample *p = &r->samples[i];

                if (learn(s->environments, &s->n_environments, p->environment, "environments", err) < 0 ||
                    learn(s->series, &s->n_series, p->series, "series", err) < 0)
                        return -1;
                if (p->run == TS_RESULT_WARM_UP) {
                        s->n_warm_ups++;
                        continue;
                }
                s->n_counted++;
                *ret_figures += p->n_figures;
                series[ts_summary_series(s, p->series)] = environments[ts_summary_environment(s, p->environment)] = true;
        }
        keep_counted(s->series, &s->n_series, series);
        keep_counted(s->environments, &s->n_environments, environments);
        return 0;
}

static void add_sample(const struct ts_summary *s, const struct ts_sample *p, struct entry **at)
{
        unsigned environment = ts_summary_environment(s, p->environment), series = ts_summary_series(s, p->series);

        for (size_t i = 0; i < p->n_figures; i++) {
                const struct ts_figure_kind *kind = ts_figure_kind(p->figures[i].name);

                *(*at)++ = (struct entry){ .figure = p->figures[i].name,
                                           .kind = kind,
                                           .environment = environment,
                                           .series = series,
                                           .has_x = p->has_x,
                                           .x = p->has_x ? p->x : 0,
                                           .value = p->figures[i].value * (kind ? kind->scale : 1) };
        }
}

/* One row of the entries [from, to), which belong together. values: room for them. */
static int add_row(struct ts_summary *s, const struct entry *e, size_t n, double *values, struct ts_err *err)
{
        struct ts_summary_row *row = &s->rows[s->n_rows];

        for (size_t i = 0; i < n; i++)
                values[i] = e[i].value;
        *row = (struct ts_summary_row){ e->figure, e->kind, e->environment, e->series, e->has_x, e->x, { 0 } };
        if (ts_stats(values, n, &row->stats, err) < 0)
                return -1;
        s->n_rows++;
        if (s->least_n == 0 || n < s->least_n)
                s->least_n = n;
        return 0;
}

static size_t run_length(const struct entry *e, size_t n)
{
        size_t len = 1;

        while (len < n && compare_places(e, e + len) == 0)
                len++;
        return len;
}

static int add_rows(struct ts_summary *s, struct entry *e, size_t n, struct ts_err *err)
{
        ts_auto_free double *values = calloc(n, sizeof(*values));
        size_t rows = 0;

        if (!values)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        qsort(e, n, sizeof(*e), compare);
        for (size_t i = 0; i < n; i += run_length(e + i, n - i))
                rows++;
        if (rows > TS_SUMMARY_ROWS_MAX)
                return ts_err_set(err, TS_ELIMIT, "more than %u different measurements", TS_SUMMARY_ROWS_MAX);
        s->rows = calloc(rows, sizeof(*s->rows));
        if (!s->rows)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0, len; i < n; i += len) {
                len = run_length(e + i, n - i);
                if (add_row(s, e + i, len, values, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_summary(const struct ts_result *r, struct ts_summary *ret, struct ts_err *err)
{
        ts_auto_summary s = { 0 };
        ts_auto_free struct entry *entries = NULL;
        struct entry *at;
        size_t n = 0;

        if (learn_names(r, &s, &n, err) < 0)
                return -1;
        if (n > 0) {
                entries = at = calloc(n, sizeof(*entries));
                if (!entries)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                for (size_t i = 0; i < r->n_samples; i++)
                        if (r->samples[i].run != TS_RESULT_WARM_UP)
                                add_sample(&s, &r->samples[i], &at);
                if (add_rows(&s, entries, n, err) < 0)
                        return -1;
        }
        *ret = s;
        s.rows = NULL;
        return 0;
}

void ts_summary_clear(struct ts_summary *s)
{
        free(s->rows);
        *s = (struct ts_summary){ 0 };
}

unsigned ts_summary_series(const struct ts_summary *s, const char *name)
{
        return find(s->series, s->n_series, name);
}

unsigned ts_summary_environment(const struct ts_summary *s, const char *name)
{
        return find(s->environments, s->n_environments, name);
}

const struct ts_summary_row *ts_summary_figure(const struct ts_summary *s, const char *figure, size_t *ret_n)
{
        size_t from = 0, to;

        while (from < s->n_rows && strcmp(s->rows[from].figure, figure) != 0)
                from++;
        for (to = from; to < s->n_rows && strcmp(s->rows[to].figure, figure) == 0;)
                to++;
        *ret_n = to - from;
        return to > from ? &s->rows[from] : NULL;
}

const char *ts_figure_label(const char *figure)
{
        const struct ts_figure_kind *k = ts_figure_kind(figure);

        return k ? k->label : figure;
}

const char *ts_figure_unit(const char *figure)
{
        const struct ts_figure_kind *k = ts_figure_kind(figure);

        return k ? k->unit : "";
}

double ts_figure_scale(const char *figure)
{
        const struct ts_figure_kind *k = ts_figure_kind(figure);

        return k ? k->scale : 1;
}

char *ts_summary_name(const struct ts_summary *s, unsigned environment, unsigned series)
{
        const char *e = environment < s->n_environments ? s->environments[environment] : "", *p = series < s->n_series ? s->series[series] : "";

        if (s->n_environments > 1 && s->n_series > 1)
                return ts_fmt("%s, %s", *p ? p : "?", *e ? e : "?");
        return ts_strdup0(s->n_environments > 1 || !*p ? (*e ? e : "all") : p);
}

int ts_decimals(double largest)
{
        double l = fabs(largest);

        return l >= 1000 ? 0 : l >= 100 ? 1 : l >= 10 ? 2 : l >= 1 ? 3 : 4;
}
