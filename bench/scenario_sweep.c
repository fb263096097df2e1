/* memory-sweep: how much memory, how fast it is written, how fast the link; against what no tool can go below by much: the engine's own checkpoint and restore, and the pages that had to travel in between. */
#include "bench/plan.h"
#include "bench/scenarios.h"

#include "base/io.h"
#include "conf/settings.h"

#include <string.h>

#define NAME "tranship-bench-memory"
#define READY_WITHIN_MS 300000U
#define CHECKED_WITHIN_MS 120000U
#define LOOK_EVERY_MS 100U
#define LIST_MAX 8
#define PAGE 4096.0
#define MIB 1048576.0
#define COPY_BYTES ((size_t)64 << 20)

const struct ts_scenario_parameter ts_sweep_parameters[] = {
        { "mib", "64,256,1024", "32,64", "MiB of memory" },
        { "rates", "0,16,64", "16", "MiB a second that are written anew" },
        { "bandwidths", "0,50M", "0", "bytes a second that a move may take (as --bandwidth); 0: no limit" },
        { "image", NULL, NULL, "a program that fills memory and checks it: BALLAST_MIB, BALLAST_RATE; see tests/lab.d/ballast.c" },
        { NULL, NULL, NULL, NULL },
};

/* ---- the workload ---- */

static int logs(struct ts_bench *b, char **ret, struct ts_err *err)
{
        return ts_cli(TS_FROM(b), TS_WORDS("logs", NAME), ret, err);
}

static unsigned occurrences(const char *text, const char *word)
{
        unsigned n = 0;

        for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
                n++;
        return n;
}

/* Until it has said so more than n times. */
static int wait_said(struct ts_bench *b, const char *word, unsigned n, unsigned within_ms, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(within_ms);

        for (;;) {
                ts_auto_free char *text = NULL;

                if (logs(b, &text, err) < 0)
                        return -1;
                if (strstr(text, "BAD"))
                        return ts_err_set(err, TS_EIO, "the memory is not what it should be");
                if (occurrences(text, word) > n)
                        return 0;
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "the program that fills memory does not say '%s'", word);
                ts_sleep_ms(LOOK_EVERY_MS);
        }
}

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        ts_auto_free char *options = ts_fmt("--env BALLAST_MIB=%g --env BALLAST_RATE=%g", b->x, w->a);

        if (!options)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_cli_run(b, TS_FROM(b), NAME, options, ts_param(b, "image"), NULL, err) < 0 ? -1 : wait_said(b, "all right", 0, READY_WITHIN_MS, err);
}

static int check(struct ts_bench *b, struct ts_err *err)
{
        ts_auto_free char *text = NULL;
        unsigned said;

        if (logs(b, &text, err) < 0)
                return -1;
        said = occurrences(text, "checked");
        return ts_cli(TS_FROM(b), TS_WORDS("kill", "--signal", "USR1", NAME), NULL, err) < 0 ? -1 : wait_said(b, "checked", said, CHECKED_WITHIN_MS, err);
}

/* ---- what is possible ---- */

/* Bytes a second, the best of some. */
static double copy_rate(void)
{
        ts_auto_free char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
        double best = 0;

        if (!from || !to)
                return 0;
        memset(from, 1, COPY_BYTES);
        memset(to, 2, COPY_BYTES);
        for (int i = 0; i < 5; i++) {
                uint64_t t0 = ts_now_us(), us;

                memcpy(to, from, COPY_BYTES);
                us = ts_now_us() - t0;
                if (us && to[i] == from[i] && (double)COPY_BYTES * 1e6 / (double)us > best)
                        best = (double)COPY_BYTES * 1e6 / (double)us;
        }
        return best;
}

static void lower(double *rate, double other)
{
        if (other > 0 && (*rate <= 0 || other < *rate))
                *rate = other;
}

/* The engine's two calls, and between them the pages that the target could not have yet, at the slowest of memory, link with its cipher (both as measured), and the limit asked for. */
static void set_limit(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample)
{
        double sent = (double)ts_json_int(ts_json_member(sample, "report"), "pages.sent", -1) * PAGE;
        double rate = b->memory_bytes_s, engine = ts_get_figure(sample, "engine_downtime_s"), limit;

        if (sent < 0) /* by archive nobody counts them */
                return;
        lower(&rate, b->link_bytes_s);
        lower(&rate, w->b);
        limit = engine + (rate > 0 ? sent / rate : 0);
        ts_set_figure(sample, "dirty_bytes", sent);
        ts_set_figure(sample, "limit_s", limit);
        ts_set_figure(sample, "over_limit", ts_get_figure(sample, "downtime_s") / limit);
}

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        ts_auto_free char *option = w->b > 0 ? ts_fmt("--bandwidth=%.0f", w->b) : NULL;

        if (ts_move_one(b, NAME, option, sample, err) < 0 || check(b, err) < 0 || ts_engine_calls(b, NAME, sample, "engine_", err) < 0)
                return -1;
        set_limit(b, w, sample);
        return 0;
}

/* Each as --bandwidth reads it. */
static int bandwidths(struct ts_bench *b, double *ret, size_t *ret_n, struct ts_err *err)
{
        ts_auto_free char *copy = ts_strdup0(ts_param(b, "bandwidths"));
        const struct ts_setting *all = ts_conf_settings(&(size_t){ 0 });
        int setting = ts_setting_find("bandwidth", err);
        size_t n = 0;

        if (setting < 0 || !copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (char *save = NULL, *s = strtok_r(copy, ",", &save); s; s = strtok_r(NULL, ",", &save)) {
                struct ts_value v = TS_VALUE_INIT;

                if (n == LIST_MAX)
                        return ts_err_set(err, TS_EUSAGE, "parameter 'bandwidths': more than %d values", LIST_MAX);
                if (ts_value_parse(&all[setting], s, &v, err) < 0)
                        return ts_err_prefix(err, "parameter 'bandwidths'");
                ret[n++] = (double)v.number;
                ts_value_clear(&v);
        }
        *ret_n = n;
        return n ? 0 : ts_err_set(err, TS_EUSAGE, "parameter 'bandwidths' is empty");
}

static int ways(struct ts_bench *b, struct ts_err *err)
{
        double rates[LIST_MAX], limits[LIST_MAX];
        size_t n_rates = 0, n_limits = 0;

        if (ts_param_numbers(b, "rates", rates, LIST_MAX, &n_rates, err) < 0 || bandwidths(b, limits, &n_limits, err) < 0)
                return -1;
        b->memory_bytes_s = copy_rate();
        for (size_t i = 0; i < n_rates; i++)
                for (size_t k = 0; k < n_limits; k++) {
                        struct ts_way w = { .move = move, .a = rates[i], .b = limits[k] };

                        if ((limits[k] > 0 ? ts_add_way(b, &w, err, "%g MiB/s written, at most %g MiB/s", rates[i], limits[k] / MIB) :
                                             ts_add_way(b, &w, err, "%g MiB/s written", rates[i])) < 0)
                                return -1;
                }
        return 0;
}

const struct ts_plan ts_sweep_plan = { .axis = "mib", .label = "Memory", .unit = "MiB", .fresh = true, .ways = ways, .begin = begin, .check = check };
