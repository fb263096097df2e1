/* See rate.h. Each flow books the time its bytes take, one after the other; what was not used is lost, but for a moment. */
#include "transfer/rate.h"

#include "base/clock.h"
#include "base/io.h"

#include <pthread.h>
#include <stdatomic.h>

#define BURST_US 50000U
#define LOOK_MS 100U

struct ts_rate {
        pthread_mutex_t lock;
        uint64_t bytes_per_s;
        uint64_t free_us; /* booked until then */
};

struct ts_rate *ts_rate_new(uint64_t bytes_per_s)
{
        struct ts_rate *r = calloc(1, sizeof(*r));

        if (!r)
                return NULL;
        (void)pthread_mutex_init(&r->lock, NULL);
        r->bytes_per_s = bytes_per_s ? bytes_per_s : 1;
        return r;
}

void ts_rate_free(struct ts_rate *r)
{
        if (!r)
                return;
        (void)pthread_mutex_destroy(&r->lock);
        free(r);
}

int ts_rate_take(struct ts_rate *r, uint64_t bytes, const _Atomic bool *given_up, struct ts_err *err)
{
        uint64_t now = ts_now_us(), until;

        if (!r)
                return 0;
        (void)pthread_mutex_lock(&r->lock);
        if (r->free_us + BURST_US < now)
                r->free_us = now - BURST_US;
        until = r->free_us;
        r->free_us += (uint64_t)((double)bytes * 1e6 / (double)r->bytes_per_s);
        (void)pthread_mutex_unlock(&r->lock);
        while (now < until) {
                uint64_t left_ms = (until - now + 999) / 1000;

                if (ts_stop_signal || (given_up && atomic_load(given_up)))
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                ts_sleep_ms(left_ms < LOOK_MS ? (unsigned)left_ms : LOOK_MS);
                now = ts_now_us();
        }
        return 0;
}
