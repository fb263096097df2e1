/* bench/stats.c: the figures everybody else gets from the same list, and an interval that is honest. */
#include "tests/unit/unit.h"

#include "bench/stats.h"

#include <math.h>
#include <stdint.h>

static struct ts_err err = TS_ERR_INIT;

static bool near(double a, double b)
{
        return fabs(a - b) < 1e-9;
}

static void known_lists(void)
{
        static const double some[] = { 9, 2, 5, 4, 7, 4, 5, 4 }, even[] = { 4, 1, 3, 2 };
        double same[10];
        struct ts_stats s;

        UNIT_OK(ts_stats(some, 8, &s, &err));
        CU_ASSERT_EQUAL(s.n, 8);
        CU_ASSERT_TRUE(near(s.mean, 5) && near(s.sd, sqrt(32.0 / 7)) && near(s.least, 2) && near(s.most, 9));
        CU_ASSERT_TRUE(near(s.q1, 4) && near(s.median, 4.5) && near(s.q3, 5.5));
        CU_ASSERT_TRUE(s.low <= s.median && s.median <= s.high && s.low >= s.least && s.high <= s.most && s.low < s.high);
        CU_ASSERT_EQUAL(some[0], 9);
        UNIT_OK(ts_stats(even, 4, &s, &err));
        CU_ASSERT_TRUE(near(s.q1, 1.75) && near(s.median, 2.5) && near(s.q3, 3.25));
        for (size_t i = 0; i < 10; i++)
                same[i] = 0.25;
        UNIT_OK(ts_stats(same, 10, &s, &err));
        CU_ASSERT_TRUE(near(s.sd, 0) && near(s.low, 0.25) && near(s.high, 0.25));
        UNIT_OK(ts_stats(some, 1, &s, &err));
        CU_ASSERT_TRUE(s.n == 1 && near(s.median, 9) && near(s.sd, 0) && near(s.low, 9) && near(s.high, 9));
        UNIT_FAILS(ts_stats(some, 0, &s, &err), TS_EUSAGE);
}

/* How often the interval of ten has the true median in it. The percentile method is a little short for so few: 0.95 is not to be had, and much less would be a mistake. */
static void the_interval_covers(void)
{
        enum { TIMES = 400, N = 10 };
        uint64_t x = 7;
        unsigned covered = 0;

        for (unsigned t = 0; t < TIMES; t++) {
                double v[N];
                struct ts_stats s;

                for (unsigned i = 0; i < N; i++) {
                        x = x * UINT64_C(6364136223846793005) + 1442695040888963407U;
                        v[i] = -log1p(-(double)(x >> 11) * 0x1p-53); /* skewed, like durations: the median is ln 2 */
                }
                UNIT_OK(ts_stats(v, N, &s, &err));
                covered += s.low <= M_LN2 && M_LN2 <= s.high;
        }
        CU_ASSERT_TRUE(covered > TIMES * 88 / 100);
        CU_ASSERT_TRUE(covered < TIMES);
}

static CU_TestInfo tests[] = { UNIT(known_lists), UNIT(the_interval_covers), CU_TEST_INFO_NULL };
UNIT_MAIN("stats", tests)
