/* A counter as a workload: "TOKEN N" in its log, N rising; the token is of its memory, so one that was started afresh is told from one that was moved. */
#include "bench/plan.h"

#include "base/io.h"

#include <string.h>

#define GOES_ON_WITHIN_MS 20000U
#define LOOK_EVERY_MS 50U

const char *ts_apart(const struct ts_bench *b)
{
        return *ts_param(b, "network") ? "" : "--network none";
}

int ts_counter_start(struct ts_bench *b, struct ts_bench_end *e, const char *name, const char *options, struct ts_err *err)
{
        ts_auto_list args = TS_LIST_INIT;

        return ts_list_words(&args, "sh -c", err) < 0 ||
                               ts_list_addf(&args, err, "t=$(cat /proc/sys/kernel/random/uuid); i=0; while :; do echo \"$t $i\"; i=$((i+1)); sleep %s; done", ts_param(b, "interval")) < 0
                       ? -1
                       : ts_cli_run(b, e, name, options, ts_param(b, "image"), &args, err);
}

int ts_counter_last(struct ts_bench_end *e, const char *name, struct ts_count *ret, struct ts_err *err)
{
        ts_auto_free char *line = NULL;
        unsigned long long n = 0;
        const char *blank;

        if (ts_cli(e, TS_WORDS("logs", "--tail", "1", name), &line, err) < 0)
                return -1;
        if (!*line) { /* it has not printed yet */
                *ret = (struct ts_count){ 0 };
                return 0;
        }
        blank = strchr(line, ' ');
        if (!blank || (size_t)(blank - line) >= sizeof(ret->token) || ts_parse_u64(blank + 1, 0, UINT64_MAX, &n, NULL) < 0)
                return ts_err_set(err, TS_EPROTO, "counter '%s' printed something else: '%.60s'", name, line);
        *ret = (struct ts_count){ .n = n };
        memcpy(ret->token, line, (size_t)(blank - line));
        return 0;
}

int ts_counter_goes_on(struct ts_bench_end *e, const char *name, const struct ts_count *from, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(GOES_ON_WITHIN_MS);
        struct ts_count now;

        for (;;) {
                if (ts_counter_last(e, name, &now, err) < 0)
                        return -1;
                if (*from->token && *now.token && strcmp(now.token, from->token) != 0)
                        return ts_err_set(err, TS_EIO, "counter '%s' was started afresh: its memory is another one", name);
                if (now.n > from->n)
                        return 0;
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_EIO, "counter '%s' does not go on from %llu: %llu", name, (unsigned long long)from->n, (unsigned long long)now.n);
                ts_sleep_ms(LOOK_EVERY_MS);
        }
}
