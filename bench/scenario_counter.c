/* counter-size: what a counter weighs when it has run for a while, in each direction. By archive, as in the literature: its size is what is asked for. */
#include "bench/plan.h"
#include "bench/scenarios.h"

#include "base/io.h"

const struct ts_scenario_parameter ts_counter_size_parameters[] = {
        { "seconds", "10,21,100", "2,4", "for which it counts before it is moved" },
        { "options", "--strategy=archive", NULL, "of tranship move (Docker: empty, it has no archives)" },
        TS_COUNTER_PARAMETERS,
        { NULL, NULL, NULL, NULL },
};

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        return ts_move_one(b, TS_COUNTER, w->option, sample, err);
}

/* way.a: the side it starts from. */
static int ways(struct ts_bench *b, struct ts_err *err)
{
        struct ts_way w = { .move = move, .option = ts_param(b, "options") };

        if (ts_add_way(b, &w, err, "A to B") < 0)
                return -1;
        w.a = 1;
        return ts_add_way(b, &w, err, "B to A");
}

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        uint64_t until;

        b->at = (unsigned)w->a;
        if (ts_counter_start(b, TS_FROM(b), TS_COUNTER, "", err) < 0)
                return -1;
        until = ts_now_us() + (uint64_t)(b->x * 1e6);
        while (ts_now_us() < until && !ts_stop_signal)
                ts_sleep_ms(10);
        return ts_counter_last(TS_FROM(b), TS_COUNTER, &b->counts[0], err);
}

static int check(struct ts_bench *b, struct ts_err *err)
{
        return ts_counter_goes_on(TS_FROM(b), TS_COUNTER, &b->counts[0], err);
}

const struct ts_plan ts_counter_size_plan = { .axis = "seconds", .label = "Counted for", .unit = "s", .fresh = true, .ways = ways, .begin = begin, .check = check };
