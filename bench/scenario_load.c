/* load: a database with many writers; what its clients see while it moves. The load comes from a program of the distribution (sysbench), the pings from ping(8), both on the machine that runs this. */
#include "bench/plan.h"
#include "bench/scenarios.h"

#include "base/io.h"
#include "engine/sampler.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define RESPONSES_MAX 20000
#define PREPARE_TIMEOUT_MS 300000U
#define SAMPLE_MS 200U
#define LINE_EVERY_US 1000000U
#define ANSWERED_WITHIN_MS 60000U
#define PING_BACK_MS 2000U /* an answer has to be as new as that, in the end */

const struct ts_scenario_parameter ts_load_parameters[] = {
        { "threads", "150,450", "20", "writers" },
        { "rows", "10000", "500", "of the table that is compared" },
        { "before", "10", "4", "seconds of load before the move, and after it" },
        { "prepare", "sysbench oltp_insert --db-driver=mysql --mysql-host={address} --mysql-user=root --mysql-db=bench --tables=4 --table-size=1000 prepare", NULL, "what makes the load's tables; split at blanks" },
        { "load",
          "sysbench oltp_insert --db-driver=mysql --mysql-host={address} --mysql-user=root --mysql-db=bench --tables=4 --table-size=1000 --threads={threads} --time=0 --events=0 "
          "--report-interval=1 --percentile=95 --mysql-ignore-errors=all run",
          NULL, "the load; its lines hold 'tps: N' and '(ms,95%): N' each second, and perhaps 'err/s: N' and 'reconn/s: N'; split at blanks" },
        { "ping", "ping -n -i 0.01 {address}", NULL, "prints a line for every answer; split at blanks; empty: none" },
        TS_DATABASE_PARAMETERS,
        { NULL, NULL, NULL, NULL },
};

/* What came from the load and the pings while a sample was taken. */
struct seen {
        pthread_mutex_t lock;
        struct ts_response v[RESPONSES_MAX]; /* t_us: ts_now_us() */
        size_t n;
        uint64_t last_line_us, answered_us; /* the last one of all, and the last one that had answers */
        double errors, reconnects;          /* of all lines; NAN: they do not say it */
        uint64_t last_ping_us, longest_us, first_ping_us; /* of the answers to pings */
};

static double after(const char *line, const char *word)
{
        const char *p = strstr(line, word);

        return p ? strtod(p + strlen(word), NULL) : (double)NAN;
}

static void load_line(void *ctx, uint64_t now_us, const char *line)
{
        struct seen *s = ctx;
        double per_s = after(line, "tps:"), ms = after(line, "(ms,95%):"), errors = after(line, "err/s:"), reconnects = after(line, "reconn/s:");
        double seconds;

        if (!isfinite(per_s) || !isfinite(ms))
                return;
        (void)pthread_mutex_lock(&s->lock);
        if (s->n < RESPONSES_MAX)
                s->v[s->n++] = (struct ts_response){ .t_us = (int64_t)now_us, .ms = ms, .per_s = per_s };
        seconds = s->last_line_us ? (double)(now_us - s->last_line_us) / 1e6 : 1;
        s->errors += errors * seconds;
        s->reconnects += reconnects * seconds;
        s->last_line_us = now_us;
        if (per_s > 0)
                s->answered_us = now_us;
        (void)pthread_mutex_unlock(&s->lock);
}

static void ping_line(void *ctx, uint64_t now_us, const char *line)
{
        struct seen *s = ctx;

        if (!strstr(line, "bytes from"))
                return;
        (void)pthread_mutex_lock(&s->lock);
        if (s->last_ping_us && now_us - s->last_ping_us > s->longest_us)
                s->longest_us = now_us - s->last_ping_us;
        if (!s->first_ping_us)
                s->first_ping_us = now_us;
        s->last_ping_us = now_us;
        (void)pthread_mutex_unlock(&s->lock);
}

/* Its words, with {address} and {threads} put in. */
static int words_of(struct ts_bench *b, const char *parameter, struct ts_list *l, struct ts_err *err)
{
        ts_auto_list raw = TS_LIST_INIT;
        static const char *const names[] = { "{address}", "{threads}" };

        if (ts_list_words(&raw, ts_param(b, parameter), err) < 0)
                return -1;
        for (size_t i = 0; i < raw.n; i++) {
                ts_auto_free char *word = ts_strdup0(raw.v[i]);

                for (size_t k = 0; word && k < TS_ARRAY_LEN(names); k++) {
                        char *at = strstr(word, names[k]), *done;

                        if (!at)
                                continue;
                        *at = '\0';
                        done = k == 0 ? ts_fmt("%s%s%s", word, ts_param(b, "address"), at + strlen(names[k])) : ts_fmt("%s%.0f%s", word, b->x, at + strlen(names[k]));
                        free(word);
                        word = done;
                }
                if (ts_list_add(l, word, err) < 0)
                        return -1;
        }
        return 0;
}

static int pause_for(double seconds, struct ts_err *err)
{
        uint64_t until = ts_now_us() + (uint64_t)(seconds * 1e6);

        while (ts_now_us() < until) {
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                ts_sleep_ms(20);
        }
        return 0;
}

/* The moment of the report's begin, by our clock: it says it by the wall's. */
static int64_t began_us(const struct ts_json *report)
{
        char now[32];

        ts_utc_now(now);
        return (int64_t)ts_now_us() - (int64_t)ts_utc_us(now) + (int64_t)ts_utc_us(ts_json_str(report, "started_at", NULL));
}

static void response_figures(const struct seen *s, int64_t t0_us, struct ts_json *sample)
{
        struct ts_json *all = ts_json_array();
        double before_ms = 0, before_per_s = 0, worst = 0;
        unsigned n = 0;

        for (size_t i = 0; i < s->n; i++) {
                int64_t t_us = s->v[i].t_us - t0_us;
                struct ts_json *one = ts_json_array();

                (void)ts_json_append(one, ts_json_new_int(t_us));
                (void)ts_json_append(one, ts_json_new_real(s->v[i].ms));
                (void)ts_json_append(one, ts_json_new_real(s->v[i].per_s));
                (void)ts_json_append(all, one);
                if (s->v[i].per_s == 0) /* nobody was answered in that second: there is no response time */
                        continue;
                if (t_us < 0) {
                        before_ms += s->v[i].ms;
                        before_per_s += s->v[i].per_s;
                        n++;
                }
                worst = s->v[i].ms > worst ? s->v[i].ms : worst;
        }
        (void)ts_json_set(sample, "responses", all);
        if (n) {
                ts_set_figure(sample, "response_ms", before_ms / n);
                ts_set_figure(sample, "per_s", before_per_s / n);
        }
        ts_set_figure(sample, "worst_response_ms", worst);
        ts_set_figure(sample, "errors", round(s->errors));
        ts_set_figure(sample, "reconnects", round(s->reconnects));
}

/* ---- what the hosts were doing: before the move, during it, after it ---- */

static const char *const windows[] = { "before", "during", "after" };
static const char *const roles[] = { "source", "target" };

struct mean {
        double cpu, load, written, seconds; /* cpu: times seconds */
        size_t n;
};

static void mean_figures(const struct mean *m, const char *role, const char *window, struct ts_json *sample)
{
        char name[64];

        if (!m->n || m->seconds <= 0)
                return;
        (void)snprintf(name, sizeof(name), "%s_cpu_%s_pct", role, window);
        ts_set_figure(sample, name, m->cpu / m->seconds);
        (void)snprintf(name, sizeof(name), "%s_load_%s", role, window);
        ts_set_figure(sample, name, m->load / (double)m->n);
        (void)snprintf(name, sizeof(name), "%s_written_%s_bytes_s", role, window);
        ts_set_figure(sample, name, m->written / m->seconds);
}

/* The move lay between the two times, on the sampler's axis. */
static void host_figures(struct ts_sampler *sampler, uint64_t from_us, uint64_t to_us, struct ts_json *sample)
{
        struct mean m[TS_ARRAY_LEN(roles)][TS_ARRAY_LEN(windows)] = { 0 };
        uint64_t last[TS_ARRAY_LEN(roles)] = { 0 }; /* a sample counts for the time since the one before it */
        struct ts_report r;

        ts_report_init(&r);
        ts_sampler_give(sampler, &r);
        for (size_t i = 0; i < r.n_resources; i++) {
                const struct ts_resource *v = &r.resources[i];
                struct mean *of = &m[v->target][v->t_us < from_us ? 0 : v->t_us <= to_us ? 1 : 2];

                double seconds = (double)(v->t_us - last[v->target]) / 1e6;

                last[v->target] = v->t_us;
                of->seconds += seconds;
                of->cpu += v->cpu_pct * seconds;
                of->load += v->load1;
                of->written += (double)v->disk_write_bytes;
                of->n++;
        }
        ts_report_clear(&r);
        for (size_t i = 0; i < TS_ARRAY_LEN(roles); i++)
                for (size_t k = 0; k < TS_ARRAY_LEN(windows); k++)
                        mean_figures(&m[i][k], roles[i], windows[k], sample);
}

/* The load has to be answered after the move: a line that has answers, and whose second lies behind it. */
static int wait_answered(struct ts_bench *b, struct seen *s, const struct ts_beside *load, uint64_t moved_us, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(ANSWERED_WITHIN_MS);

        for (;;) {
                uint64_t answered_us;

                (void)pthread_mutex_lock(&s->lock);
                answered_us = s->answered_us;
                (void)pthread_mutex_unlock(&s->lock);
                if (!ts_beside_runs(load))
                        return ts_err_set(err, TS_ECOMMAND, "the load ended by itself: '%.100s'", ts_param(b, "load"));
                if (answered_us > moved_us + LINE_EVERY_US)
                        return 0;
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_EIO, "the load was not answered any more after the move");
                ts_sleep_ms(20);
        }
}

/* Load before, a move, load after; the hosts are looked at all the time. */
static int sampled_move(struct ts_bench *b, struct seen *s, const struct ts_beside *load, double seconds, struct ts_json *sample, struct ts_err *err)
{
        ts_auto(ts_sampler) struct ts_sampler *sampler = NULL;
        uint64_t t0_us = ts_now_us(), from_us = 0, to_us = 0;
        int rc;

        if (ts_sampler_new(SAMPLE_MS, t0_us, &sampler, err) < 0 || ts_sampler_begin(sampler, TS_SIDE_SOURCE, TS_FROM(b)->host, err) < 0 ||
            ts_sampler_begin(sampler, TS_SIDE_TARGET, TS_TO(b)->host, err) < 0 || pause_for(seconds, err) < 0)
                return -1;
        from_us = ts_now_us() - t0_us;
        rc = ts_move_one(b, TS_DATABASE, NULL, sample, err);
        to_us = ts_now_us() - t0_us;
        if (rc == 0)
                rc = pause_for(seconds, err) < 0 ? -1 : wait_answered(b, s, load, t0_us + to_us, err);
        (void)ts_sampler_end(sampler, TS_SIDE_SOURCE, NULL); /* fewer samples are no failure */
        (void)ts_sampler_end(sampler, TS_SIDE_TARGET, NULL);
        if (rc == 0)
                host_figures(sampler, from_us, to_us, sample);
        return rc;
}

/* The time since the last answer counts, too; and there has to be one after the move. */
static int end_pings(struct seen *s, const struct ts_beside *ping, struct ts_err *err)
{
        uint64_t since;

        (void)pthread_mutex_lock(&s->lock);
        since = ts_now_us() - s->last_ping_us;
        if (s->last_ping_us && since > s->longest_us)
                s->longest_us = since;
        (void)pthread_mutex_unlock(&s->lock);
        if (!ts_beside_runs(ping))
                return ts_err_set(err, TS_ECOMMAND, "the ping ended by itself");
        return since < PING_BACK_MS * 1000ULL ? 0 : ts_err_set(err, TS_EIO, "no ping was answered for %.1f s", (double)since / 1e6);
}

static int under_load(struct ts_bench *b, struct seen *s, struct ts_json *sample, struct ts_err *err)
{
        struct ts_beside load = { .fd = -1 }, ping = { .fd = -1 };
        ts_auto_list load_argv = TS_LIST_INIT, ping_argv = TS_LIST_INIT;
        uint64_t seconds = 0;
        int rc = words_of(b, "load", &load_argv, err) < 0 || words_of(b, "ping", &ping_argv, err) < 0 || ts_param_u64(b, "before", &seconds, err) < 0 ? -1 : 0;

        if (rc == 0)
                rc = ts_beside_start(&load, &load_argv, load_line, s, err);
        if (rc == 0 && ping_argv.n)
                rc = ts_beside_start(&ping, &ping_argv, ping_line, s, err);
        if (rc == 0)
                rc = sampled_move(b, s, &load, (double)seconds, sample, err);
        if (rc == 0 && ping_argv.n)
                rc = end_pings(s, &ping, err);
        ts_beside_stop(&ping);
        ts_beside_stop(&load);
        return rc;
}

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        struct seen *s = calloc(1, sizeof(*s));
        int rc;

        (void)w;
        if (!s)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (void)pthread_mutex_init(&s->lock, NULL);
        rc = under_load(b, s, sample, err);
        if (rc == 0 && s->n == 0)
                rc = ts_err_set(err, TS_ECOMMAND, "the load said nothing; does '%.100s' work here?", ts_param(b, "load"));
        if (rc == 0)
                response_figures(s, began_us(ts_json_member(sample, "report")), sample);
        if (rc == 0 && s->first_ping_us)
                ts_set_figure(sample, "ping_gap_s", (double)s->longest_us / 1e6);
        (void)pthread_mutex_destroy(&s->lock);
        free(s);
        return rc;
}

static int ways(struct ts_bench *b, struct ts_err *err)
{
        if (!*ts_param(b, "network") || !*ts_param(b, "address")) {
                ts_err_set(err, TS_EUSAGE, "load needs an address that goes with the container");
                return ts_err_hint(err, "--set network=NAME (macvlan, on both hosts) --set address=ADDRESS");
        }
        return ts_add_way(b, &(struct ts_way){ .move = move }, err, "tranship");
}

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        ts_auto(ts_host) struct ts_host *here = NULL;
        ts_auto_list argv = TS_LIST_INIT;
        struct ts_run_opts o = { .timeout_ms = PREPARE_TIMEOUT_MS };
        uint64_t rows = 0;

        (void)w;
        if (ts_param_u64(b, "rows", &rows, err) < 0 || ts_database_start(b, rows, err) < 0 || words_of(b, "prepare", &argv, err) < 0)
                return -1;
        if (ts_database_sql(b, "SET GLOBAL max_connections = 2000", NULL, err) < 0)
                return -1;
        if (!argv.n)
                return 0;
        return ts_host_local(&here, err) < 0 || ts_host_check(here, (const char *const *)argv.v, &o, NULL, err) < 0 ? ts_err_prefix(err, "%s", argv.v[0]) : 0;
}

const struct ts_plan ts_load_plan = { .axis = "threads", .label = "Writers", .unit = "", .fresh = true, .ways = ways, .begin = begin, .check = ts_database_check };
