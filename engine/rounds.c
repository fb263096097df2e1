/* See rounds.h. A round costs its container a freeze, as long as the engine's dump takes; it pays where the freeze of the end becomes shorter by more than that. */
#include "engine/rounds.h"

#define WORTH_BYTES ((uint64_t)16 << 20)     /* of memory: below it all of it is sent faster than a dump is made */
#define LONG_ROUND_US 2000000ULL             /* a first round that took longer left a part behind that is worth a second one */
#define SHRINK_PERCENT 70                    /* the next round has to leave so much less behind */
#define OVERHEAD_US 100000ULL                /* looking, journalling, verifying */
#define PREDUMP_PART 10                      /* a pre-dump freezes for no more than such a part of it (seen: a thirtieth) */
#define DUMP_FIXED_US 150000ULL              /* a dump of nothing, and … */
#define DUMP_BYTES_PER_S ((uint64_t)1 << 30) /* … what an engine writes at best: for a forecast when nothing was measured */

/* Bytes a second at the best round; 0: not known. */
static uint64_t link_rate(const struct ts_rounds *r)
{
        uint64_t best = 0;

        for (size_t i = 0; i < r->n; i++) {
                uint64_t rate = r->v[i].sent_us ? r->v[i].bytes * 1000000 / r->v[i].sent_us : 0;

                best = rate > best ? rate : best;
        }
        return best;
}

/* For so long a pre-dump wrote while the container ran. */
static uint64_t written(const struct ts_round *v)
{
        return v->write_us < v->dump_us ? v->write_us : v->dump_us;
}

/* How long the round itself froze the container. */
static uint64_t freeze_of(const struct ts_rounds *r, const struct ts_round *v)
{
        return r->tracked ? v->dump_us - written(v) : v->dump_us;
}

/* How much of the memory changes in a time. After one round nobody knows: all of it may. */
static uint64_t changed_in(const struct ts_rounds *r, uint64_t us)
{
        const struct ts_round *last = &r->v[r->n - 1], *before = last - 1;
        uint64_t bytes, since;

        if (r->n == 1)
                return last->bytes;
        since = last->begin_us - before->begin_us;
        bytes = since ? (uint64_t)((double)last->bytes * (double)us / (double)since) : last->bytes;
        return bytes < r->v[0].bytes ? bytes : r->v[0].bytes;
}

static uint64_t time_for(uint64_t bytes, uint64_t rate)
{
        return rate ? (uint64_t)((double)bytes * 1e6 / (double)rate) : 0;
}

/* What a dump with the container frozen takes. One after a pre-dump leaves out the writing of what has not changed. */
static uint64_t dump_of(const struct ts_rounds *r, uint64_t changed)
{
        const struct ts_round *last = &r->v[r->n - 1];
        uint64_t all = r->v[0].bytes;

        if (!r->tracked || all == 0 || changed >= all)
                return last->dump_us;
        return last->dump_us - (uint64_t)((double)written(last) * (double)(all - changed) / (double)all);
}

struct ts_forecast ts_rounds_forecast(const struct ts_rounds *r)
{
        struct ts_forecast f = { .known = r->n > 0 };

        if (r->n == 0) {
                f.bytes = r->memory_bytes;
                f.dump_us = DUMP_FIXED_US + time_for(r->memory_bytes, DUMP_BYTES_PER_S);
        } else {
                f.bytes = changed_in(r, r->v[r->n - 1].duration_us);
                f.dump_us = dump_of(r, f.bytes);
                f.transfer_us = time_for(f.bytes, link_rate(r));
        }
        f.restore_us = r->n ? r->v[r->n - 1].dump_us : f.dump_us; /* reads what the dump wrote */
        f.downtime_us = f.dump_us + f.transfer_us + f.restore_us + OVERHEAD_US;
        return f;
}

static enum ts_round_choice choose_first(const struct ts_rounds *r, const char **ret_why)
{
        uint64_t freeze = ts_rounds_forecast(r).dump_us / (r->tracked ? PREDUMP_PART : 1);

        if (r->max_downtime_us && freeze > r->max_downtime_us) {
                *ret_why = "a dump of so much memory alone takes longer than allowed";
                return TS_ROUND_REFUSE;
        }
        if (r->max_downtime_us || r->memory_bytes >= WORTH_BYTES) {
                *ret_why = "memory is sent while the container runs";
                return TS_ROUND_AGAIN;
        }
        *ret_why = "there is little memory to send";
        return TS_ROUND_FREEZE;
}

/* After a round: does another one leave less behind, by more than it costs? */
static bool helps(const struct ts_rounds *r, bool over_budget, const char **ret_why)
{
        const struct ts_round *last = &r->v[r->n - 1];
        uint64_t rate = link_rate(r), now = changed_in(r, last->duration_us), next;

        if (r->n == 1) {
                *ret_why = "much has changed while the first round was under way";
                return over_budget || last->sent_us > LONG_ROUND_US;
        }
        next = changed_in(r, last->dump_us + time_for(now, rate));
        *ret_why = "another round leaves less to send";
        if (next * 100 > now * SHRINK_PERCENT)
                return false;
        return over_budget || time_for(now - next, rate) > freeze_of(r, last);
}

enum ts_round_choice ts_rounds_choose(const struct ts_rounds *r, const char **ret_why)
{
        struct ts_forecast f = ts_rounds_forecast(r);
        bool over_budget = r->max_downtime_us && f.downtime_us > r->max_downtime_us;
        uint64_t least;

        if (r->n == 0)
                return choose_first(r, ret_why);
        least = f.downtime_us - f.transfer_us;
        if (r->tracked && r->n == 1) /* nobody knows yet how little the last dump will write */
                least -= written(&r->v[0]);
        if (over_budget && least > r->max_downtime_us) {
                *ret_why = "the engines' dump and restore alone take longer than allowed";
                return TS_ROUND_REFUSE;
        }
        if (r->n < TS_ROUNDS_MAX && helps(r, over_budget, ret_why))
                return TS_ROUND_AGAIN;
        *ret_why = over_budget ? "no round brings the downtime below what is allowed" : "another round would not help";
        return over_budget ? TS_ROUND_REFUSE : TS_ROUND_FREEZE;
}
