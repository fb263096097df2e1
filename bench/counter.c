/* A counter as a workload: numbers in its log, of which none may come twice. */
#include "bench/plan.h"

#include "base/io.h"

#include <string.h>

#define GOES_ON_WITHIN_MS 20000U
#define LOOK_EVERY_MS 50U

int ts_counter_start(struct ts_bench *b, struct ts_bench_end *e, const char *name, const char *options, struct ts_err *err)
{
        ts_auto_list args = TS_LIST_INIT;

        return ts_list_words(&args, "sh -c", err) < 0 ||
                               ts_list_addf(&args, err, "i=0; while :; do echo $i; i=$((i+1)); sleep %s; done", ts_param(b, "interval")) < 0
                       ? -1
                       : ts_cli_run(b, e, name, options, ts_param(b, "image"), &args, err);
}

int ts_counter_last(struct ts_bench_end *e, const char *name, uint64_t *ret, struct ts_err *err)
{
        ts_auto_free char *line = NULL;
        unsigned long long n = 0;

        if (ts_cli(e, &line, err, "logs", "--tail", "1", name, NULL) < 0)
                return -1;
        if (!*line) { /* it has not printed yet */
                *ret = 0;
                return 0;
        }
        if (ts_parse_u64(line, 0, UINT64_MAX, &n, err) < 0)
                return ts_err_prefix(err, "the counter printed something else");
        *ret = n;
        return 0;
}

int ts_counter_goes_on(struct ts_bench_end *e, const char *name, uint64_t from, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(GOES_ON_WITHIN_MS);
        uint64_t n = 0;

        for (;;) {
                if (ts_counter_last(e, name, &n, err) < 0)
                        return -1;
                if (n > from)
                        return 0;
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_EIO, "counter '%s' does not go on from %llu: %llu", name, (unsigned long long)from, (unsigned long long)n);
                ts_sleep_ms(LOOK_EVERY_MS);
        }
}
