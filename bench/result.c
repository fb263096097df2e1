/* Reads `tranship.bench/1` (bench/result.h). Decides what such a file may hold and how much of it; what it says is decided by bench/summary.c and the reports. */
#include "bench/result.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

#define NAME_BYTES 64U
#define TEXT_BYTES 4096U
#define COUNT_MAX ((int64_t)1 << 52)
#define NUMBER_MAX 1e18 /* squares of so many of them are finite */
#define RUN_MAX 1000000
#define PARAMETERS_MAX 256U
#define HOSTS_MAX 16U
#define ENVIRONMENTS_MAX 64U
#define SAMPLES_MAX 100000U
#define FIGURES_MAX 64U
#define RESPONSES_MAX 100000U

/* ---- the tables ---- */

enum kind { NAME, TEXT, COUNT, NUMBER, FLAG }; /* char *, char *, uint64_t, double, bool */
struct field {
        const char *key;
        enum kind kind;
        size_t offset;
};
#define OF(type, key, kind) { #key, kind, offsetof(struct type, key) }
static const struct field result_fields[] = {
        OF(ts_result, scenario, NAME), OF(ts_result, started_at, NAME), OF(ts_result, tool_version, NAME),
        OF(ts_result, commit, NAME),   OF(ts_result, seconds, NUMBER),  OF(ts_result, quick, FLAG),
};
static const struct field axis_fields[] = {
        { "name", NAME, offsetof(struct ts_result, axis_name) },
        { "label", NAME, offsetof(struct ts_result, axis_label) },
        { "unit", NAME, offsetof(struct ts_result, axis_unit) },
};
static const struct field host_fields[] = {
        OF(ts_bench_host, side, NAME),   OF(ts_bench_host, name, TEXT),  OF(ts_bench_host, engine, TEXT),
        OF(ts_bench_host, version, TEXT), OF(ts_bench_host, runtime, TEXT), OF(ts_bench_host, criu, TEXT),
        OF(ts_bench_host, kernel, TEXT), OF(ts_bench_host, cpu, TEXT),   OF(ts_bench_host, cpus, COUNT),
        OF(ts_bench_host, memory_bytes, COUNT),
};
static const struct field environment_fields[] = {
        OF(ts_bench_environment, name, NAME),
        OF(ts_bench_environment, how, TEXT),
        OF(ts_bench_environment, rtt_us, NUMBER),
        OF(ts_bench_environment, bytes_per_s, NUMBER),
};
static const struct field sample_fields[] = {
        OF(ts_sample, series, NAME),
        OF(ts_sample, environment, NAME),
        OF(ts_sample, direction, NAME),
        OF(ts_sample, at_us, COUNT),
        OF(ts_sample, x, NUMBER),
};

/* ---- values ---- */

static int malformed(const char *list, const char *key, struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "'%s%s%s' is not as " TS_RESULT_SCHEMA " has it", ts_or(list, ""), list ? "." : "", key);
}

static int no_memory(struct ts_err *err)
{
        return ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int read_text(const struct ts_json *v, size_t max, const char *list, const char *key, char **ret, struct ts_err *err)
{
        const char *s = ts_json_str(v, "", NULL);

        if (!s || strlen(s) > max)
                return malformed(list, key, err);
        *ret = ts_printable(s, strlen(s), max); /* it will be shown on a terminal */
        return *ret ? 0 : no_memory(err);
}

static int read_number(const struct ts_json *v, const char *list, const char *key, double *ret, struct ts_err *err)
{
        double d = ts_json_real(v, "", (double)NAN);

        if (!isfinite(d) || fabs(d) > NUMBER_MAX)
                return malformed(list, key, err);
        *ret = d;
        return 0;
}

static int read_integer(const struct ts_json *v, int64_t least, int64_t most, const char *list, const char *key, int64_t *ret, struct ts_err *err)
{
        int64_t n = ts_json_int(v, "", least - 1);

        if (n < least || n > most)
                return malformed(list, key, err);
        *ret = n;
        return 0;
}

static int read_field(const struct ts_json *v, const char *list, const struct field *f, void *at, struct ts_err *err)
{
        int64_t n = 0;

        switch (f->kind) {
        case NAME:
                return read_text(v, NAME_BYTES, list, f->key, at, err);
        case TEXT:
                return read_text(v, TEXT_BYTES, list, f->key, at, err);
        case NUMBER:
                return read_number(v, list, f->key, at, err);
        case COUNT:
                if (read_integer(v, 0, COUNT_MAX, list, f->key, &n, err) < 0)
                        return -1;
                *(uint64_t *)at = (uint64_t)n;
                return 0;
        case FLAG:
        default:
                if (!ts_json_is_bool(v))
                        return malformed(list, f->key, err);
                *(bool *)at = ts_json_bool(v, "", false);
                return 0;
        }
}

/* j's members into the struct at `base`; what is absent stays as it is there. */
static int read_fields(const struct ts_json *j, const char *list, const struct field *f, size_t n, void *base, struct ts_err *err)
{
        if (!ts_json_is_object(j))
                return malformed(NULL, ts_or(list, "result"), err);
        for (size_t i = 0; i < n; i++) {
                const struct ts_json *v = ts_json_member(j, f[i].key);

                if (!ts_json_is_null(v) && read_field(v, list, &f[i], (char *)base + f[i].offset, err) < 0)
                        return -1;
        }
        return 0;
}

/* The array `key` of j and zeroed room for it; *ret_room NULL where it is absent or empty. */
static int list_of(const struct ts_json *j, const char *list, const char *key, size_t max, size_t size, const struct ts_json **ret, void *ret_room, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, key);
        void *room = NULL;

        if (!ts_json_is_null(all) && !ts_json_is_array(all))
                return malformed(list, key, err);
        if (ts_json_len(all) > max)
                return ts_err_set(err, TS_ELIMIT, "'%s%s%s' has more than %zu elements", ts_or(list, ""), list ? "." : "", key, max);
        if (ts_json_len(all) > 0) {
                room = calloc(ts_json_len(all), size);
                if (!room)
                        return no_memory(err);
        }
        *ret = all;
        memcpy(ret_room, &room, sizeof(room));
        return 0;
}

/* ---- the lists ---- */

static int read_parameters(const struct ts_json *j, struct ts_result *r, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, "parameters");
        struct ts_json *v = NULL;
        const char *key = NULL;

        if (ts_json_is_null(all))
                return 0;
        if (!ts_json_is_object(all) || ts_json_len(all) > PARAMETERS_MAX)
                return malformed(NULL, "parameters", err);
        r->parameters = calloc(ts_json_len(all) + 1, sizeof(*r->parameters));
        if (!r->parameters)
                return no_memory(err);
        for (void *it = NULL; (it = ts_json_each(all, it, &key, &v));) {
                struct ts_parameter *p = &r->parameters[r->n_parameters++];

                if (strlen(key) > NAME_BYTES)
                        return malformed(NULL, "parameters", err);
                p->name = ts_printable(key, strlen(key), NAME_BYTES);
                if (!p->name)
                        return no_memory(err);
                if (read_text(v, TEXT_BYTES, "parameters", p->name, &p->value, err) < 0)
                        return -1;
        }
        return 0;
}

static int read_hosts(const struct ts_json *j, struct ts_result *r, struct ts_err *err)
{
        const struct ts_json *all = NULL;

        if (list_of(j, NULL, "hosts", HOSTS_MAX, sizeof(*r->hosts), &all, &r->hosts, err) < 0)
                return -1;
        while (r->n_hosts < ts_json_len(all)) {
                struct ts_bench_host *h = &r->hosts[r->n_hosts];

                if (read_fields(ts_json_at(all, r->n_hosts++), "hosts", host_fields, TS_ARRAY_LEN(host_fields), h, err) < 0)
                        return -1;
        }
        return 0;
}

static int read_environments(const struct ts_json *j, struct ts_result *r, struct ts_err *err)
{
        const struct ts_json *all = NULL;

        if (list_of(j, NULL, "environments", ENVIRONMENTS_MAX, sizeof(*r->environments), &all, &r->environments, err) < 0)
                return -1;
        while (r->n_environments < ts_json_len(all)) {
                struct ts_bench_environment *e = &r->environments[r->n_environments];

                if (read_fields(ts_json_at(all, r->n_environments++), "environments", environment_fields, TS_ARRAY_LEN(environment_fields), e, err) < 0)
                        return -1;
        }
        return 0;
}

static int read_axis(const struct ts_json *j, struct ts_result *r, struct ts_err *err)
{
        const struct ts_json *axis = ts_json_member(j, "axis");

        if (ts_json_is_null(axis))
                return 0;
        if (read_fields(axis, "axis", axis_fields, TS_ARRAY_LEN(axis_fields), r, err) < 0)
                return -1;
        return r->axis_name ? 0 : malformed("axis", "name", err);
}

/* ---- samples ---- */

static int read_figures(const struct ts_json *j, struct ts_sample *s, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, "figures");
        struct ts_json *v = NULL;
        const char *key = NULL;

        if (!ts_json_is_object(all))
                return malformed("samples", "figures", err);
        if (ts_json_len(all) > FIGURES_MAX)
                return ts_err_set(err, TS_ELIMIT, "a sample has more than %u figures", FIGURES_MAX);
        s->figures = calloc(ts_json_len(all) + 1, sizeof(*s->figures));
        if (!s->figures)
                return no_memory(err);
        for (void *it = NULL; (it = ts_json_each(all, it, &key, &v));) {
                struct ts_figure *f = &s->figures[s->n_figures++];

                if (!ts_name_valid(key, NAME_BYTES))
                        return malformed("samples", "figures", err);
                f->name = strdup(key);
                if (!f->name)
                        return no_memory(err);
                if (read_number(v, "samples.figures", f->name, &f->value, err) < 0)
                        return -1;
        }
        return 0;
}

static int read_responses(const struct ts_json *j, struct ts_sample *s, struct ts_err *err)
{
        const struct ts_json *all = NULL;

        if (list_of(j, "samples", "responses", RESPONSES_MAX, sizeof(*s->responses), &all, &s->responses, err) < 0)
                return -1;
        while (s->n_responses < ts_json_len(all)) {
                const struct ts_json *one = ts_json_at(all, s->n_responses);
                struct ts_response *p = &s->responses[s->n_responses++];

                if (!ts_json_is_array(one) || ts_json_len(one) != 3)
                        return malformed("samples", "responses", err);
                if (read_integer(ts_json_at(one, 0), -COUNT_MAX, COUNT_MAX, "samples", "responses", &p->t_us, err) < 0 ||
                    read_number(ts_json_at(one, 1), "samples", "responses", &p->ms, err) < 0 ||
                    read_number(ts_json_at(one, 2), "samples", "responses", &p->per_s, err) < 0)
                        return -1;
        }
        return 0;
}

static int read_report(const struct ts_json *j, struct ts_sample *s, struct ts_err *err)
{
        const struct ts_json *report = ts_json_member(j, "report");
        ts_auto_free struct ts_report *r = NULL;

        if (ts_json_is_null(report))
                return 0;
        r = calloc(1, sizeof(*r));
        if (!r)
                return no_memory(err);
        if (ts_report_from_json(report, r, err) < 0)
                return -1;
        s->report = TS_TAKE(r);
        return 0;
}

/* Absent names are empty ones: those who print and compare need not ask. */
static int name_sample(struct ts_sample *s, struct ts_err *err)
{
        char **const names[] = { &s->series, &s->environment, &s->direction };

        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++) {
                if (!*names[i])
                        *names[i] = strdup("");
                if (!*names[i])
                        return no_memory(err);
        }
        return 0;
}

static int read_sample(const struct ts_json *j, struct ts_sample *s, struct ts_err *err)
{
        int64_t run = 0;

        if (read_fields(j, "samples", sample_fields, TS_ARRAY_LEN(sample_fields), s, err) < 0 || name_sample(s, err) < 0 ||
            read_integer(ts_json_member(j, "run"), TS_RESULT_WARM_UP, RUN_MAX, "samples", "run", &run, err) < 0)
                return -1;
        s->run = (int)run;
        s->has_x = !ts_json_is_null(ts_json_member(j, "x"));
        return read_figures(j, s, err) < 0 || read_report(j, s, err) < 0 || read_responses(j, s, err) < 0 ? -1 : 0;
}

static int read_samples(const struct ts_json *j, struct ts_result *r, struct ts_err *err)
{
        const struct ts_json *all = NULL;

        if (ts_json_is_null(ts_json_member(j, "samples")))
                return malformed(NULL, "samples", err);
        if (list_of(j, NULL, "samples", SAMPLES_MAX, sizeof(*r->samples), &all, &r->samples, err) < 0)
                return -1;
        while (r->n_samples < ts_json_len(all)) {
                size_t i = r->n_samples++;

                if (read_sample(ts_json_at(all, i), &r->samples[i], err) < 0)
                        return ts_err_prefix(err, "sample %zu", i + 1);
        }
        return 0;
}

static int read_all(const struct ts_json *j, struct ts_result *r, struct ts_err *err)
{
        if (!ts_is_result(j))
                return malformed(NULL, "schema", err);
        if (read_fields(j, NULL, result_fields, TS_ARRAY_LEN(result_fields), r, err) < 0)
                return -1;
        if (!r->scenario || !ts_name_valid(r->scenario, NAME_BYTES)) /* files are named after it */
                return malformed(NULL, "scenario", err);
        if (r->seconds < 0)
                return malformed(NULL, "seconds", err);
        if (read_axis(j, r, err) < 0 || read_parameters(j, r, err) < 0 || read_hosts(j, r, err) < 0 || read_environments(j, r, err) < 0)
                return -1;
        return read_samples(j, r, err);
}

int ts_result_from_json(const struct ts_json *j, struct ts_result *ret, struct ts_err *err)
{
        struct ts_result r = { 0 };

        if (read_all(j, &r, err) < 0) {
                ts_result_clear(&r);
                return -1;
        }
        *ret = r;
        return 0;
}

bool ts_is_result(const struct ts_json *j)
{
        return ts_json_is_object(j) && ts_streq0(ts_json_str(j, "schema", NULL), TS_RESULT_SCHEMA);
}

/* ---- the rest ---- */

static void clear_texts(void *base, const struct field *f, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (f[i].kind == NAME || f[i].kind == TEXT) {
                        void *at = (char *)base + f[i].offset;

                        free(*(char **)at);
                }
}

static void clear_sample(struct ts_sample *s)
{
        clear_texts(s, sample_fields, TS_ARRAY_LEN(sample_fields));
        for (size_t i = 0; i < s->n_figures; i++)
                free(s->figures[i].name);
        free(s->figures);
        free(s->responses);
        ts_report_clear(s->report);
        free(s->report);
}

void ts_result_clear(struct ts_result *r)
{
        if (!r)
                return;
        clear_texts(r, result_fields, TS_ARRAY_LEN(result_fields));
        clear_texts(r, axis_fields, TS_ARRAY_LEN(axis_fields));
        for (size_t i = 0; i < r->n_parameters; i++) {
                free(r->parameters[i].name);
                free(r->parameters[i].value);
        }
        for (size_t i = 0; i < r->n_hosts; i++)
                clear_texts(&r->hosts[i], host_fields, TS_ARRAY_LEN(host_fields));
        for (size_t i = 0; i < r->n_environments; i++)
                clear_texts(&r->environments[i], environment_fields, TS_ARRAY_LEN(environment_fields));
        for (size_t i = 0; i < r->n_samples; i++)
                clear_sample(&r->samples[i]);
        free(r->parameters);
        free(r->hosts);
        free(r->environments);
        free(r->samples);
        *r = (struct ts_result){ 0 };
}

const double *ts_sample_figure(const struct ts_sample *s, const char *name)
{
        for (size_t i = 0; i < s->n_figures; i++)
                if (strcmp(s->figures[i].name, name) == 0)
                        return &s->figures[i].value;
        return NULL;
}

const char *ts_result_parameter(const struct ts_result *r, const char *name)
{
        for (size_t i = 0; i < r->n_parameters; i++)
                if (strcmp(r->parameters[i].name, name) == 0)
                        return r->parameters[i].value;
        return NULL;
}
