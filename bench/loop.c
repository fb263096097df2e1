/* The loop of all experiments: environments, values of x, runs, ways in turns. Decides the order and what is kept; what is done is the plan's (bench/scenario_*.c). */
#include "bench/internal.h"

#include "base/io.h"
#include "base/log.h"
#include "bench/stats.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef TS_COMMIT
#define TS_COMMIT ""
#endif
#define X_MAX 64
#define WARM_UPS 2 /* one in each direction */

int ts_add_way(struct ts_bench *b, const struct ts_way *w, struct ts_err *err, const char *series, ...)
{
        va_list ap;
        char *name = NULL;

        va_start(ap, series);
        if (vasprintf(&name, series, ap) < 0)
                name = NULL;
        va_end(ap);
        if (!name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (b->n_ways == TS_WAYS_MAX) {
                free(name);
                return ts_err_set(err, TS_EUSAGE, "more than %d ways to compare", TS_WAYS_MAX);
        }
        b->ways[b->n_ways] = *w;
        b->ways[b->n_ways++].series = name;
        return 0;
}

/* ---- the file ---- */

static int keep(struct ts_bench *b, struct ts_err *err)
{
        ts_auto_free char *text = NULL;

        (void)ts_json_set(b->result, "seconds", ts_json_new_real((double)(ts_now_us() - b->t0_us) / 1e6));
        text = ts_json_text(b->result, /* pretty= */ true);
        if (!text)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_file_write_atomic(b->o->output, text, strlen(text), 0644, err);
}

static int add_host(struct ts_json *hosts, const char *side, struct ts_host *h, struct ts_err *err)
{
        struct ts_json *facts = ts_host_facts(side, h, err);

        if (!facts)
                return -1;
        return ts_json_append(hosts, facts) < 0 ? ts_err_set(err, TS_ENOMEM, "out of memory") : 0;
}

static int begin_result(struct ts_bench *b, struct ts_err *err)
{
        ts_auto(ts_host) struct ts_host *client = NULL;
        char now[32];
        struct ts_json *hosts = ts_json_array(), *axis = ts_json_object(), *r = b->result = ts_json_object();
        int bad;

        ts_utc_now(now);
        bad = ts_json_set_str(r, "schema", TS_RESULT_SCHEMA) | ts_json_set_str(r, "scenario", b->scenario->name) | ts_json_set_str(r, "started_at", now) |
              ts_json_set(r, "seconds", ts_json_new_real(0)) | ts_json_set_str(r, "tool_version", TS_VERSION) | ts_json_set_str(r, "commit", TS_COMMIT) |
              ts_json_set_bool(r, "quick", b->o->quick) | ts_json_set(r, "parameters", ts_params_json(b)) | ts_json_set(r, "hosts", hosts);
        if (b->scenario->plan->axis)
                bad |= ts_json_set_str(axis, "name", b->scenario->plan->axis) | ts_json_set_str(axis, "label", b->scenario->plan->label) |
                       ts_json_set_str(axis, "unit", b->scenario->plan->unit) | ts_json_set(r, "axis", axis);
        else
                ts_json_free(axis);
        bad |= ts_json_set_int(r, "seed", (int64_t)(b->random & INT64_MAX)) | ts_json_set(r, "environments", ts_json_array()) | ts_json_set(r, "samples", ts_json_array());
        b->samples = ts_json_member(r, "samples");
        if (bad)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < TS_ARRAY_LEN(b->ends); i++)
                if (add_host(hosts, b->ends[i].letter, b->ends[i].host, err) < 0)
                        return -1;
        return ts_host_local(&client, err) < 0 ? -1 : add_host(hosts, TS_RESULT_CLIENT, client, err);
}

/* ---- one run ---- */

static void say_sample(const struct ts_bench *b, const struct ts_way *w, const struct ts_json *sample)
{
        ts_auto_str s = TS_STR_INIT;
        double downtime = ts_get_figure(sample, "downtime_s"), migration = ts_get_figure(sample, "migration_s");

        if (!b->o->say)
                return;
        if (*b->environment)
                (void)ts_str_addf(&s, NULL, "%s  ", b->environment);
        if (b->scenario->plan->axis)
                (void)ts_str_addf(&s, NULL, "%g%s%s  ", b->x, *b->scenario->plan->unit ? " " : "", b->scenario->plan->unit);
        (void)ts_str_addf(&s, NULL, "%s  %s  ", w->series, ts_json_str(sample, "direction", ""));
        if (b->run < 0)
                (void)ts_str_adds(&s, "warm-up", NULL);
        else
                (void)ts_str_addf(&s, NULL, "run %d of %u", b->run + 1, b->runs);
        if (!isnan(downtime))
                (void)ts_str_addf(&s, NULL, "  downtime %.3f s", downtime);
        if (!isnan(migration))
                (void)ts_str_addf(&s, NULL, "  migration %.3f s", migration);
        b->o->say(b->o->say_ctx, ts_str_cstr(&s));
}

static struct ts_json *begin_sample(const struct ts_bench *b, const struct ts_way *w)
{
        struct ts_json *s = ts_json_object();
        ts_auto_free char *direction = ts_fmt("%s-%s", TS_FROM(b)->letter, TS_TO(b)->letter);

        (void)ts_json_set_str(s, "series", w->series);
        (void)ts_json_set_str(s, "environment", b->environment);
        (void)ts_json_set_str(s, "direction", direction);
        (void)ts_json_set_int(s, "run", b->run < 0 ? TS_RESULT_WARM_UP : b->run);
        (void)ts_json_set_int(s, "at_us", (int64_t)(ts_now_us() - b->t0_us));
        if (b->scenario->plan->axis)
                (void)ts_json_set(s, "x", ts_json_new_real(b->x));
        return s;
}

static int hold(struct ts_bench *b, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(b->ends); i++)
                if (ts_bench_end_hold(&b->ends[i], "/run", err) < 0)
                        return -1;
        return 0;
}

/* Its check comes before it is kept: what went wrong is no sample. */
static int one(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        const struct ts_plan *plan = b->scenario->plan;
        ts_auto(ts_json) struct ts_json *sample = NULL;

        if (ts_stop_signal)
                return ts_err_set(err, TS_ECANCELED, "stopped");
        if (hold(b, err) < 0) {
                b->must_look |= err && err->code == TS_ECONFLICT; /* what is there may be another's */
                return -1;
        }
        if (plan->fresh) {
                b->at = (unsigned)(b->run + WARM_UPS) % 2;
                if (plan->begin(b, w, err) < 0)
                        return -1;
        }
        if (ts_client_ready(b, err) < 0)
                return -1;
        sample = begin_sample(b, w);
        if (!sample)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (w->move(b, w, sample, err) < 0 || plan->check(b, err) < 0)
                return ts_err_prefix(err, "%s", w->series);
        if (plan->fresh && !plan->together && ts_remove_ours(b, err) < 0)
                return -1;
        if (!b->hosts_known && ts_json_member(sample, "report")) {
                ts_host_facts_of_report(b, ts_json_member(sample, "report"), ts_json_str(sample, "direction", "a"));
                b->hosts_known = true;
        }
        say_sample(b, w, sample);
        return ts_json_append(b->samples, TS_TAKE(sample)) < 0 ? ts_err_set(err, TS_ENOMEM, "out of memory") : keep(b, err);
}

/* What comes before a way must not be the same each time: who follows a slow one would pay for it. */
static void shuffle(struct ts_bench *b, size_t order[TS_WAYS_MAX])
{
        for (size_t i = 0; i < b->n_ways; i++) {
                size_t k = (size_t)(ts_stats_random(&b->random) % (i + 1));

                order[i] = order[k];
                order[k] = i;
        }
}

static void reverse(size_t order[], size_t n)
{
        for (size_t i = 0; i < n / 2; i++) {
                size_t other = order[n - 1 - i];

                order[n - 1 - i] = order[i];
                order[i] = other;
        }
}

/* The first warm-up has the plan's order: it is the one in which a report shows them. Each second run goes the way of the one before it backwards: so every way that moves goes once in each direction, also where one
 * starts from the side that the one before it came to. */
static int all_runs(struct ts_bench *b, struct ts_err *err)
{
        size_t order[TS_WAYS_MAX] = { 0 };
        int first = b->o->quick ? -1 : -WARM_UPS;

        for (size_t i = 0; i < b->n_ways; i++)
                order[i] = i;
        for (b->run = first; b->run < (int)b->runs; b->run++) {
                if ((b->run - first) % 2)
                        reverse(order, b->n_ways);
                else if (b->run > first)
                        shuffle(b, order);
                for (size_t i = 0; i < b->n_ways; i++)
                        if (one(b, &b->ways[order[i]], err) < 0)
                                return -1;
                if (b->scenario->plan->together && ts_remove_ours(b, err) < 0)
                        return -1;
        }
        return 0;
}

static int all_x(struct ts_bench *b, struct ts_err *err)
{
        const struct ts_plan *plan = b->scenario->plan;
        double x[X_MAX] = { 0 };
        size_t n = 1;

        if (plan->axis && ts_param_numbers(b, plan->axis, x, X_MAX, &n, err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                b->x = x[i];
                b->at = 0;
                if (!plan->fresh && plan->begin(b, NULL, err) < 0)
                        return -1;
                if (all_runs(b, err) < 0 || (!plan->fresh && ts_remove_ours(b, err) < 0))
                        return -1;
        }
        return 0;
}

/* Also after Ctrl-C: what was begun here is not left behind. */
static void clean_up(struct ts_bench *b, bool failed)
{
        ts_auto_err why = TS_ERR_INIT;
        int stopped;

        ts_stop_hold = 1; /* from here on the handler leaves the other one alone */
        stopped = ts_stop_signal;
        ts_stop_signal = 0;
        if (failed && b->must_look)
                ts_log(TS_LOG_WARNING, "nothing was removed: look at the containers labelled " TS_BENCH_LABELLED " on both engines");
        else if (failed && ts_remove_ours(b, &why) < 0)
                ts_log(TS_LOG_WARNING, "not all could be removed: %s", ts_err_message(&why));
        ts_environment_down(b);
        ts_stop_signal = stopped ? stopped : ts_stop_held;
        ts_stop_hold = 0;
        if (!ts_stop_signal)
                ts_stop_signal = ts_stop_held; /* it came between the two */
}

static int all_environments(struct ts_bench *b, struct ts_err *err)
{
        const struct ts_list *l = b->o->environments;

        for (size_t i = 0; i < (l && l->n ? l->n : 1); i++) {
                int rc = ts_environment_up(b, l && l->n ? l->v[i] : "", err) < 0 ? -1 : all_x(b, err);

                clean_up(b, rc < 0);
                if (rc < 0)
                        return -1;
        }
        return 0;
}

/* ---- the whole ---- */

static int set_up(struct ts_bench *b, struct ts_err *err)
{
        uint64_t runs = 0;
        char directory[] = "/tmp/tranship-bench-XXXXXX";

        if (ts_params_set(b, err) < 0 || ts_param_u64(b, "runs", &runs, err) < 0)
                return -1;
        b->runs = (unsigned)(runs < 1 ? 1 : runs > 10000 ? 10000 : runs);
        b->random = ts_now_us();
        if (ts_environments_check(b->o->environments, err) < 0 || (b->o->probe && ts_probe_parse(b->o->probe, &b->probe, err) < 0))
                return -1;
        if (ts_bench_end_open(b, &b->ends[0], "a", b->o->from, err) < 0 || ts_bench_end_open(b, &b->ends[1], "b", b->o->to, err) < 0)
                return -1;
        if (hold(b, err) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(b->ends); i++)
                if (ts_bench_end_image(b, &b->ends[i], err) < 0)
                        return -1;
        if (!mkdtemp(directory) || !(b->directory = ts_strdup0(directory)))
                return ts_err_set(err, TS_EIO, "cannot make a directory in /tmp");
        return b->scenario->plan->ways(b, err) < 0 || begin_result(b, err) < 0 ? -1 : ts_remove_ours(b, err);
}

static void tear_down(struct ts_bench *b)
{
        for (size_t i = 0; i < b->n_ways; i++)
                free(b->ways[i].series);
        for (size_t i = 0; i < TS_ARRAY_LEN(b->ends); i++)
                ts_bench_end_close(&b->ends[i]);
        if (b->directory)
                (void)rmdir(b->directory);
        free(b->directory);
        ts_probe_free(b->probe);
        free(b->expected);
        free(b->shared_option);
        ts_list_clear(&b->values);
        ts_list_clear(&b->options);
        ts_json_free(b->result);
}

int ts_bench(const struct ts_bench_opts *o, struct ts_err *err)
{
        struct ts_bench b = { .o = o, .scenario = ts_scenario_find(o->scenario, err), .t0_us = ts_now_us() };
        int rc = b.scenario ? set_up(&b, err) : -1;

        if (rc == 0)
                rc = all_environments(&b, err);
        tear_down(&b);
        return rc;
}
