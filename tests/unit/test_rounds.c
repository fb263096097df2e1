/* engine/rounds.c: when to stop copying memory, as a table of situations. */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "engine/rounds.h"

#define MIB ((uint64_t)1 << 20)
#define S 1000000ULL

struct situation {
        const char *what;
        struct ts_rounds r;
        enum ts_round_choice want;
};

static const struct situation situations[] = {
        { "little memory", { .memory_bytes = 2 * MIB }, TS_ROUND_FREEZE },
        { "much memory", { .memory_bytes = 200 * MIB }, TS_ROUND_AGAIN },
        { "little memory, but a limit: only a measurement can tell", { .memory_bytes = 2 * MIB, .max_downtime_us = S }, TS_ROUND_AGAIN },
        { "more memory than can be dumped in time", { .memory_bytes = 4096 * MIB, .max_downtime_us = S }, TS_ROUND_REFUSE },
        { "a short first round", { .v = { { 0, S / 3, S, S, 40 * MIB, 0 } }, .n = 1, .memory_bytes = 100 * MIB }, TS_ROUND_FREEZE },
        { "a long first round", { .v = { { 0, S, 9 * S, 9 * S, 1024 * MIB, 0 } }, .n = 1, .memory_bytes = 1024 * MIB }, TS_ROUND_AGAIN },
        { "the rest is sent faster than a dump is made",
          { .v = { { 0, S, 9 * S, 9 * S, 1024 * MIB, 0 }, { 9 * S, S, 2 * S, 2 * S, 144 * MIB, 0 } }, .n = 2 },
          TS_ROUND_FREEZE },
        { "a slow link: rounds still pay",
          { .v = { { 0, S, 100 * S, 100 * S, 1000 * MIB, 0 }, { 100 * S, S, 31 * S, 31 * S, 300 * MIB, 0 } }, .n = 2 },
          TS_ROUND_AGAIN },
        { "it writes as fast as it can be sent",
          { .v = { { 0, S, 10 * S, 10 * S, 1000 * MIB, 0 }, { 10 * S, S, 10 * S, 10 * S, 1000 * MIB, 0 } }, .n = 2 },
          TS_ROUND_FREEZE },
        { "the same, with a limit",
          { .v = { { 0, S, 10 * S, 10 * S, 1000 * MIB, 0 }, { 10 * S, S, 10 * S, 10 * S, 1000 * MIB, 0 } },
            .n = 2,
            .max_downtime_us = 3 * S },
          TS_ROUND_REFUSE },
        { "within the limit",
          { .v = { { 0, S / 3, S, S, 40 * MIB, 0 }, { S, S / 3, S / 2, S / 2, MIB, 0 } }, .n = 2, .max_downtime_us = S },
          TS_ROUND_FREEZE },
        { "one round: all of it may have changed",
          { .v = { { 0, S / 3, S, S, 40 * MIB, 0 } }, .n = 1, .max_downtime_us = S },
          TS_ROUND_AGAIN },
        { "the dump alone takes too long",
          { .v = { { 0, S, 2 * S, 2 * S, 40 * MIB, 0 }, { 2 * S, S, 2 * S, 2 * S, MIB, 0 } }, .n = 2, .max_downtime_us = S },
          TS_ROUND_REFUSE },
        { "pre-dumps: their freeze is short", { .memory_bytes = 4096 * MIB, .max_downtime_us = S, .tracked = true }, TS_ROUND_AGAIN },
        { "a pre-dump: the last dump may have little to write",
          { .v = { { 0, S, 2 * S, 2 * S, 40 * MIB, S * 9 / 10 } }, .n = 1, .max_downtime_us = S * 3 / 2, .tracked = true },
          TS_ROUND_AGAIN },
        { "two of them: it has",
          { .v = { { 0, S, 2 * S, 2 * S, 40 * MIB, S * 9 / 10 }, { 2 * S, S, S, S, MIB, S * 9 / 10 } },
            .n = 2,
            .max_downtime_us = S * 3 / 2,
            .tracked = true },
          TS_ROUND_FREEZE },
        { "as rehearsals they would not be enough",
          { .v = { { 0, S, 2 * S, 2 * S, 40 * MIB, 0 }, { 2 * S, S, S, S, MIB, 0 } }, .n = 2, .max_downtime_us = S * 3 / 2 },
          TS_ROUND_REFUSE },
};

static void choices(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(situations); i++) {
                const char *why = NULL;
                enum ts_round_choice got = ts_rounds_choose(&situations[i].r, &why);

                if (got != situations[i].want)
                        (void)printf("%s: %d, not %d (%s)\n", situations[i].what, (int)got, (int)situations[i].want, why);
                CU_ASSERT_EQUAL(got, situations[i].want);
                CU_ASSERT_PTR_NOT_NULL(why);
        }
}

static void forecasts(void)
{
        struct ts_rounds r = { .v = { { 0, S / 2, 2 * S, 2 * S, 200 * MIB, 0 }, { 2 * S, S / 2, S, S, 20 * MIB, 0 } }, .n = 2 };
        struct ts_forecast f = ts_rounds_forecast(&r);

        CU_ASSERT_TRUE(f.known);
        CU_ASSERT_EQUAL(f.dump_us, S / 2);
        CU_ASSERT_EQUAL(f.bytes, 10 * MIB);     /* 20 MiB changed in the 2 s between the dumps, 1 s has gone since */
        CU_ASSERT_EQUAL(f.transfer_us, S / 10); /* at 100 MiB/s */
        CU_ASSERT_TRUE(f.downtime_us >= f.dump_us + f.transfer_us + f.restore_us);
        r.tracked = true; /* 0.4 of 0.5 s were writing, of which 19 of 20 fall away: 10 of 200 MiB change */
        r.v[1].write_us = S * 2 / 5;
        CU_ASSERT_EQUAL(ts_rounds_forecast(&r).dump_us, S / 2 - S * 2 / 5 * 19 / 20);
        CU_ASSERT_EQUAL(ts_rounds_forecast(&r).restore_us, S / 2);
        r.n = 0;
        CU_ASSERT_FALSE(ts_rounds_forecast(&r).known);
}

/* Whatever the figures are, it comes to an end. */
static void ends(void)
{
        uint64_t seed = 1;
        unsigned most = 0;

        for (unsigned run = 0; run < 20000; run++) {
                struct ts_rounds r = { .memory_bytes = (seed >> 20) & 0xffffffffff,
                                       .max_downtime_us = run % 3 ? 0 : (seed >> 10) & 0xffffff,
                                       .tracked = run % 2 };
                const char *why = NULL;
                uint64_t now = 0;
                unsigned rounds = 0;

                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                while (ts_rounds_choose(&r, &why) == TS_ROUND_AGAIN) {
                        struct ts_round *x = &r.v[r.n];

                        CU_ASSERT_TRUE_FATAL(r.n < TS_ROUNDS_MAX && ++rounds <= TS_ROUNDS_MAX);
                        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                        x->begin_us = now;
                        x->dump_us = (seed >> 40) & 0xffffff;
                        x->write_us = (seed >> 38) & 0xffffff;
                        x->duration_us = x->dump_us + ((seed >> 20) & 0xfffffff);
                        x->sent_us = x->duration_us;
                        x->bytes = seed >> (16 + seed % 32);
                        now += x->duration_us;
                        r.n++;
                }
                most = rounds > most ? rounds : most;
        }
        CU_ASSERT_TRUE(most > 2);
}

static CU_TestInfo tests[] = { UNIT(choices), UNIT(forecasts), UNIT(ends), CU_TEST_INFO_NULL };
UNIT_MAIN("rounds", tests)
