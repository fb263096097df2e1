/* two-way: services that move in both directions at once. */
#include "bench/plan.h"
#include "bench/scenarios.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

#define MOST 6

const struct ts_scenario_parameter ts_two_way_parameters[] = {
        { "many", "3", NULL, "services that go each way in IV" },
        TS_COUNTER_PARAMETERS,
        { NULL, NULL, NULL, NULL },
};

/* way.a of them go from A, way.b from B. */
static unsigned side_of(const struct ts_way *w, unsigned i)
{
        return i < (unsigned)w->a ? 0 : 1;
}

static unsigned all_of(const struct ts_way *w)
{
        return (unsigned)(w->a + w->b);
}

static void name_of(unsigned i, char buf[64])
{
        (void)snprintf(buf, 64, TS_COUNTER "-%u", i + 1);
}

static double largest(double a, double b)
{
        return a > b ? a : b;
}

/* The sample is one of all: that of the longest downtime, with its report and phases; and the time until all had moved. The reports of all are kept beside it. */
static void merge(struct ts_json *sample, const struct ts_json *one)
{
        static const char *const longest[] = { "migration_s", "total_s" };
        static const char *const its[] = { "downtime_s", "checkpoint_s", "restore_s", "transfer_s", "precopy_s",
                                           "source_before_bytes", "source_after_bytes", "target_before_bytes", "target_after_bytes" };
        static const char *const memory[] = { "a_before_bytes", "a_after_bytes", "b_before_bytes", "b_after_bytes" };

        for (size_t i = 0; i < TS_ARRAY_LEN(longest); i++) {
                double now = ts_get_figure(sample, longest[i]), v = ts_get_figure(one, longest[i]);

                ts_set_figure(sample, longest[i], isnan(now) ? v : largest(now, v));
        }
        if (!(ts_get_figure(sample, "downtime_s") >= ts_get_figure(one, "downtime_s"))) {
                for (size_t i = 0; i < TS_ARRAY_LEN(its); i++)
                        ts_set_figure(sample, its[i], ts_get_figure(one, its[i]));
                (void)ts_json_set(sample, "report", ts_json_copy(ts_json_member(one, "report")));
        }
        for (size_t i = 0; i < TS_ARRAY_LEN(memory); i++) {
                double v = ts_get_figure(one, memory[i]), now = ts_get_figure(sample, memory[i]);

                ts_set_figure(sample, memory[i], isnan(now) ? v : largest(now, v));
        }
}

static int end_all(struct ts_bench *b, struct ts_moving *m, unsigned n, struct ts_json *sample, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *all = ts_json_array();
        int rc = 0;

        for (unsigned i = 0; i < n; i++) { /* all of them, also after a failure: none is left behind */
                ts_auto(ts_json) struct ts_json *one = ts_json_object();

                if (m[i].pid == 0)
                        continue;
                if (ts_moving_end(b, &m[i], one, rc == 0 ? err : NULL) < 0) {
                        rc = -1;
                        continue;
                }
                merge(sample, one);
                if (n > 1)
                        (void)ts_json_append(all, ts_json_copy(ts_json_member(one, "report")));
        }
        if (n > 1) {
                (void)ts_json_set_str(sample, "direction", TS_RESULT_BOTH);
                (void)ts_json_set(sample, "reports", TS_TAKE(all));
        }
        return rc;
}

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        struct ts_moving m[MOST] = { 0 };
        int rc = 0;

        for (unsigned i = 0; rc == 0 && i < all_of(w); i++) {
                char name[64];

                name_of(i, name);
                rc = ts_moving_start(b, name, side_of(w, i), NULL, &m[i], err);
        }
        if (rc < 0) /* those that were begun go back, all at once */
                for (unsigned i = 0; i < all_of(w); i++)
                        if (m[i].pid > 0)
                                (void)kill(m[i].pid, SIGINT);
        if (end_all(b, m, all_of(w), sample, rc == 0 ? err : NULL) < 0)
                rc = -1;
        return rc;
}

static int ways(struct ts_bench *b, struct ts_err *err)
{
        uint64_t many = 0;

        if (ts_param_u64(b, "many", &many, err) < 0)
                return -1;
        if (many < 1 || many > MOST / 2)
                return ts_err_set(err, TS_EUSAGE, "parameter 'many': 1 to %d", MOST / 2);
        return ts_add_way(b, &(struct ts_way){ .move = move, .a = 1 }, err, "I: A to B") < 0 ||
                               ts_add_way(b, &(struct ts_way){ .move = move, .b = 1 }, err, "II: B to A") < 0 ||
                               ts_add_way(b, &(struct ts_way){ .move = move, .a = 1, .b = 1 }, err, "III: one each way") < 0 ||
                               ts_add_way(b, &(struct ts_way){ .move = move, .a = (double)many, .b = (double)many }, err, "IV: %u each way", (unsigned)many) < 0
                       ? -1
                       : 0;
}

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        for (unsigned i = 0; i < all_of(w); i++) {
                char name[64];

                name_of(i, name);
                if (ts_counter_start(b, &b->ends[side_of(w, i)], name, ts_apart(b), err) < 0)
                        return -1;
        }
        b->at = w->a > 0 ? 0 : 1;
        for (unsigned i = 0; i < all_of(w); i++) {
                char name[64];

                name_of(i, name);
                if (ts_counter_goes_on(&b->ends[side_of(w, i)], name, &(struct ts_count){ 0 }, err) < 0 || ts_counter_last(&b->ends[side_of(w, i)], name, &b->counts[i], err) < 0)
                        return -1;
        }
        b->moved = w;
        return 0;
}

static int check(struct ts_bench *b, struct ts_err *err)
{
        for (unsigned i = 0; i < all_of(b->moved); i++) {
                char name[64];

                name_of(i, name);
                if (ts_counter_goes_on(&b->ends[1 - side_of(b->moved, i)], name, &b->counts[i], err) < 0)
                        return -1;
        }
        return 0;
}

const struct ts_plan ts_two_way_plan = { .fresh = true, .ways = ways, .begin = begin, .check = check };
