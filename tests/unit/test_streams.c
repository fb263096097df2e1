/* transfer/streams.c: more streams while they bring more, not for nothing, and no more than there may be. */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "transfer/streams.h"

#define US (TS_STREAMS_LOOK_MS * 1000ULL)
#define MIB ((uint64_t)1 << 20)

/* A link that gives one stream `each` and all of them together `all`, bytes in a measurement; how many there are after so many measurements. */
static unsigned play(unsigned max, uint64_t each, uint64_t all, unsigned measurements)
{
        struct ts_streams s = { .max = max };
        unsigned n = 1;

        for (unsigned i = 0; i < measurements; i++) {
                uint64_t bytes = n * each < all ? n * each : all;

                n = ts_streams_look(&s, n, bytes, US, false);
        }
        return n;
}

static void as_many_as_help(void)
{
        static const struct {
                unsigned max;
                uint64_t each, all;
                unsigned least, most;
        } rows[] = {
                { 8, 100 * MIB, 100 * MIB, 1, 2 }, /* one fills the link: one more was tried */
                { 8, 10 * MIB, 100 * MIB, 8, 8 },  /* each is limited */
                { 8, 30 * MIB, 100 * MIB, 4, 5 },  { 4, 10 * MIB, 100 * MIB, 4, 4 },
                { 1, 10 * MIB, 100 * MIB, 1, 1 }, /* as the user says */
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
                unsigned n = play(rows[i].max, rows[i].each, rows[i].all, 18);

                if (n < rows[i].least || n > rows[i].most)
                        (void)printf("row %zu: %u\n", i, n);
                CU_ASSERT_TRUE(n >= rows[i].least && n <= rows[i].most);
        }
}

static void tries_again_later_and_seldom(void)
{
        CU_ASSERT_EQUAL(play(8, 100 * MIB, 100 * MIB, 20), 2);
        CU_ASSERT_EQUAL(play(8, 100 * MIB, 100 * MIB, 30), 3);
        CU_ASSERT_TRUE(play(8, 100 * MIB, 100 * MIB, 200) <= 6);
}

static void idle_says_nothing(void)
{
        struct ts_streams s = { .max = 8 };

        for (unsigned i = 0; i < 50; i++)
                CU_ASSERT_EQUAL(ts_streams_look(&s, 1, 1000, US, true), 1);
        CU_ASSERT_EQUAL(ts_streams_look(&s, 1, MIB, US, false), 2);
        CU_ASSERT_EQUAL(ts_streams_look(&s, 2, MIB, US, true), 2); /* what was tried is not known */
        CU_ASSERT_EQUAL(ts_streams_look(&s, 0, 0, US, false), 0);
        CU_ASSERT_EQUAL(ts_streams_look(&s, 2, MIB, 0, false), 2);
}

static CU_TestInfo tests[] = { UNIT(as_many_as_help), UNIT(tries_again_later_and_seldom), UNIT(idle_says_nothing), CU_TEST_INFO_NULL };
UNIT_MAIN("streams", tests)
