/* counter-size: what a counter weighs when it has run for a while, in each direction. By archive, as in the literature: its size is what is asked for.
 * The two of a run count at the same time, or most of the experiment would be waiting; the second one is begun so much later that the first one has moved when its time has come. */
#include "bench/plan.h"
#include "bench/scenarios.h"

#include "base/io.h"

#define APART_S 8.0
#define LATE_S 1.0 /* longer than that it must not have counted beyond its time */

static const char *const names[] = { TS_COUNTER "-a", TS_COUNTER "-b" }; /* by the side it starts from, which is way.a */

const struct ts_scenario_parameter ts_counter_size_parameters[] = {
        { "seconds", "10,21,100", "2,4", "for which it counts before it is moved" },
        { "options", "--strategy=archive", NULL, "of tranship move (Docker: empty, it has no archives)" },
        TS_COUNTER_PARAMETERS,
        { NULL, NULL, NULL, NULL },
};

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        return ts_move_one(b, names[b->at], w->option, sample, err);
}

static int ways(struct ts_bench *b, struct ts_err *err)
{
        struct ts_way w = { .move = move, .option = ts_param(b, "options") };

        if (*ts_param(b, "address"))
                return ts_err_set(err, TS_EUSAGE, "counter-size has a container on each host at the same time: they cannot have one address");
        if (ts_add_way(b, &w, err, "A to B") < 0)
                return -1;
        w.a = 1;
        return ts_add_way(b, &w, err, "B to A");
}

static int start(struct ts_bench *b, unsigned side, struct ts_err *err)
{
        if (ts_counter_start(b, &b->ends[side], names[side], ts_apart(b), err) < 0)
                return -1;
        b->started_us[side] = ts_now_us();
        return 0;
}

static int count_until(const struct ts_bench *b, unsigned side, double seconds, struct ts_err *err)
{
        uint64_t until = b->started_us[side] + (uint64_t)(seconds * 1e6);

        while (ts_now_us() < until) {
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                ts_sleep_ms(10);
        }
        return 0;
}

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        unsigned side = (unsigned)w->a;

        b->at = side;
        if (b->started_us[side] && (double)(ts_now_us() - b->started_us[side]) / 1e6 > b->x + LATE_S) { /* the move before took too long */
                if (ts_cli(TS_FROM(b), TS_WORDS("rm", "--force", names[side]), NULL, err) < 0 || start(b, side, err) < 0)
                        return -1;
        } else if (!b->started_us[side]) {
                if (start(b, side, err) < 0)
                        return -1;
                if (b->x > APART_S && (count_until(b, side, APART_S, err) < 0 || start(b, 1 - side, err) < 0))
                        return -1;
        }
        if (count_until(b, side, b->x, err) < 0)
                return -1;
        b->started_us[side] = 0;
        return ts_counter_last(TS_FROM(b), names[side], &b->counts[0], err);
}

static int check(struct ts_bench *b, struct ts_err *err)
{
        return ts_counter_goes_on(TS_FROM(b), names[1 - b->at], &b->counts[0], err);
}

const struct ts_plan ts_counter_size_plan = {
        .axis = "seconds", .label = "Counted for", .unit = "s", .fresh = true, .together = true, .ways = ways, .begin = begin, .check = check
};
