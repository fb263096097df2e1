/* transfer/rate.c: never faster than the limit, whoever shares it; a signal ends the wait. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "transfer/rate.h"

#include <pthread.h>
#include <signal.h>

#define KIB 1024U
#define BURST_US 50000U

static void *take(void *arg)
{
        ts_auto_err err = TS_ERR_INIT;

        for (unsigned i = 0; i < 50; i++)
                (void)ts_rate_take(arg, 4 * KIB, NULL, &err);
        return NULL;
}

static void several_share_it(void)
{
        ts_auto(ts_rate) struct ts_rate *r = ts_rate_new(4000 * KIB); /* 3 × 200 KiB at 4,000 KiB/s: 150 ms */
        uint64_t from = ts_now_us();
        pthread_t t[3];

        for (size_t i = 0; i < 3; i++)
                CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, take, r), 0);
        for (size_t i = 0; i < 3; i++)
                (void)pthread_join(t[i], NULL);
        CU_ASSERT_TRUE(ts_now_us() - from >= 150000 - 1000 - BURST_US); /* the last booking is not waited for */
}

static void none_is_no_limit(void)
{
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(ts_rate_take(NULL, UINT64_MAX, NULL, &err), 0);
}

static void a_signal_ends_it(void)
{
        ts_auto(ts_rate) struct ts_rate *r = ts_rate_new(1);
        _Atomic bool given_up = true;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_rate_take(r, 1000000, NULL, &err)); /* books the next days */
        ts_stop_signal = SIGINT;
        UNIT_FAILS(ts_rate_take(r, 1, NULL, &err), TS_ECANCELED);
        ts_stop_signal = 0;
        UNIT_FAILS(ts_rate_take(r, 1, &given_up, &err), TS_ECANCELED);
}

static CU_TestInfo tests[] = { UNIT(several_share_it), UNIT(none_is_no_limit), UNIT(a_signal_ends_it), CU_TEST_INFO_NULL };
UNIT_MAIN("rate", tests)
