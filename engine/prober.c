/* The client's view of a move: tries without end from threads of its own, and the longest time nobody answered.
 *
 * With {host} both sides are tried at the same time by a thread each, or a try that hangs at a side that is going away would hide that the other one answers. What counts as the client's
 * tries are those of the side that answered last; an answer of the other side makes that one the client's. */
#include "engine/probe_priv.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#define EVERY_MS 10
#define TRY_MS 1000U     /* of a try, at most; and before any was answered */
#define LEAST_TRY_MS 100U
#define SLOWER_US 5000000U /* nobody has answered for so long: it may have become slower than that */
#define PAUSE_TRIES_MS 100U    /* a pause waits so long for tries under way */
#define PAUSE_MS 10U           /* and then for the service to be rid of them, beside the time an answer takes */
#define PAUSE_ANSWER_MS 200U  /* of which it grants so much */
#define STACK_BYTES ((size_t)256 << 10)

struct side {
        struct ts_prober *prober;
        char *host; /* or NULL */
        pthread_t thread;
        bool started;
        double answer_us, varies_us; /* how long answers take: smoothed, and smoothed difference from that; 0: none came */
        bool trying;
};

struct ts_prober {
        const struct ts_probe *probe; /* borrowed */
        atomic_bool stop;
        pthread_mutex_t lock; /* what follows */
        pthread_cond_t stop_cond;
        bool paused;
        const struct side *current;
        uint64_t last_answer_us;
        struct ts_probe_stats stats;
        struct side sides[2];
};

static void note_gap(struct ts_prober *p, uint64_t now_us)
{
        uint64_t gap = now_us > p->last_answer_us ? now_us - p->last_answer_us : 0;

        if (gap <= p->stats.longest_gap_us)
                return;
        p->stats.longest_gap_us = gap;
        p->stats.gap_start_us = p->last_answer_us;
}

/* As TCP does for its time-out (RFC 6298, section 2): one slow answer is soon forgotten. */
static void learn(struct side *s, double took_us)
{
        if (s->answer_us == 0) {
                s->answer_us = took_us;
                s->varies_us = took_us / 2;
                return;
        }
        s->varies_us += (fabs(took_us - s->answer_us) - s->varies_us) / 4;
        s->answer_us += (took_us - s->answer_us) / 8;
}

static void note_try(struct side *s, uint64_t from_us, bool answered)
{
        struct ts_prober *p = s->prober;
        uint64_t now_us;

        (void)pthread_mutex_lock(&p->lock);
        s->trying = false;
        now_us = ts_now_us(); /* under the lock: answers of two threads come in order */
        if (answered) {
                learn(s, (double)(now_us - from_us));
                note_gap(p, now_us);
                p->last_answer_us = now_us;
                p->current = s;
                p->stats.answered++;
                p->stats.sent++;
        } else if (p->current == s && !atomic_load(&p->stop)) {
                p->stats.failed++;
                p->stats.sent++;
        }
        (void)pthread_mutex_unlock(&p->lock);
}

/* Until that point of time, or the stop. */
static void rest(struct ts_prober *p, uint64_t until_us)
{
        (void)pthread_mutex_lock(&p->lock);
        while (!atomic_load(&p->stop) && ts_now_us() < until_us) {
                uint64_t left_us = until_us - ts_now_us();
                struct timespec ts;

                if (left_us > (uint64_t)EVERY_MS * 1000)
                        break;
                (void)clock_gettime(CLOCK_MONOTONIC, &ts);
                ts.tv_nsec += (long)left_us * 1000;
                ts.tv_sec += ts.tv_nsec / 1000000000;
                ts.tv_nsec %= 1000000000;
                (void)pthread_cond_timedwait(&p->stop_cond, &p->lock, &ts);
        }
        (void)pthread_mutex_unlock(&p->lock);
}

static bool silent_for_long(struct ts_prober *p)
{
        bool is;

        (void)pthread_mutex_lock(&p->lock);
        is = ts_now_us() > p->last_answer_us + SLOWER_US;
        (void)pthread_mutex_unlock(&p->lock);
        return is;
}

/* How long an answer is worth waiting for. A packet that was lost is sent again after a second: whoever waited for that would not see that the service has been back for most of it. */
static unsigned patience_ms(const struct side *s)
{
        double ms = (s->answer_us + 4 * s->varies_us) / 1000;

        return s->answer_us == 0 || ms > TRY_MS || silent_for_long(s->prober) ? TRY_MS : ms < LEAST_TRY_MS ? LEAST_TRY_MS : (unsigned)ms;
}

static void try_once(struct side *s)
{
        struct ts_prober *p = s->prober;
        const struct ts_try t = { .deadline = ts_deadline_in_ms(patience_ms(s)), .stop = &p->stop };
        uint64_t from_us = ts_now_us();
        ts_auto_err err = TS_ERR_INIT;

        note_try(s, from_us, ts_probe_try(p->probe, s->host, &t, &err) == 0);
}

static bool may_try(struct side *s)
{
        bool may;

        (void)pthread_mutex_lock(&s->prober->lock);
        may = s->trying = !s->prober->paused;
        (void)pthread_mutex_unlock(&s->prober->lock);
        return may;
}

static void *run(void *arg)
{
        struct side *s = arg;
        struct ts_prober *p = s->prober;

        while (!atomic_load(&p->stop)) {
                uint64_t next_us = ts_now_us() + (uint64_t)EVERY_MS * 1000;

                if (may_try(s))
                        try_once(s);
                rest(p, next_us);
        }
        return NULL;
}

static struct ts_prober *prober_new(const struct ts_probe *probe)
{
        struct ts_prober *p = calloc(1, sizeof(*p));
        pthread_condattr_t attr;

        if (!p)
                return NULL;
        p->probe = probe;
        (void)pthread_mutex_init(&p->lock, NULL);
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&p->stop_cond, &attr);
        (void)pthread_condattr_destroy(&attr);
        p->current = &p->sides[0];
        p->stats.kind = ts_probe_kind_str(probe->kind);
        p->stats.gap_start_us = p->last_answer_us = ts_now_us();
        return p;
}

static int side_start(struct ts_prober *p, struct side *s, const char *host, struct ts_err *err)
{
        pthread_attr_t attr;
        int e;

        s->prober = p;
        s->host = ts_strdup0(host);
        if (host && !s->host)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (void)pthread_attr_init(&attr);
        (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
        e = pthread_create(&s->thread, &attr, run, s);
        (void)pthread_attr_destroy(&attr);
        if (e)
                return ts_err_errno(err, e, "cannot start a thread for the probe");
        s->started = true;
        return 0;
}

int ts_prober_start(const struct ts_probe *p, const char *source_host, const char *target_host, struct ts_prober **ret, struct ts_err *err)
{
        struct ts_probe_stats ignored;
        bool both = p->uses_host && !ts_streq0(source_host, target_host);
        struct ts_prober *n;

        if (p->uses_host && (!source_host || !*source_host || !target_host || !*target_host))
                return ts_err_set(err, TS_EUSAGE, "the probe names {host}, but the address of a side is not known");
        n = prober_new(p);
        if (!n)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (side_start(n, &n->sides[0], source_host, err) < 0 || (both && side_start(n, &n->sides[1], target_host, err) < 0)) {
                ts_prober_stop(n, &ignored);
                return -1;
        }
        *ret = n;
        return 0;
}

static bool is_trying(struct ts_prober *p, double *ret_answer_us)
{
        bool trying = false;

        *ret_answer_us = 0;
        (void)pthread_mutex_lock(&p->lock);
        for (size_t i = 0; i < TS_ARRAY_LEN(p->sides); i++) {
                trying = trying || p->sides[i].trying;
                if (p->sides[i].answer_us > *ret_answer_us)
                        *ret_answer_us = p->sides[i].answer_us;
        }
        (void)pthread_mutex_unlock(&p->lock);
        return trying;
}

static void set_paused(struct ts_prober *p, bool paused)
{
        if (!p)
                return;
        (void)pthread_mutex_lock(&p->lock);
        p->paused = paused;
        (void)pthread_mutex_unlock(&p->lock);
}

void ts_prober_pause(struct ts_prober *p)
{
        ts_deadline deadline = ts_deadline_in_ms(PAUSE_TRIES_MS);
        double answer_us = 0;

        if (!p)
                return;
        set_paused(p, true);
        while (is_trying(p, &answer_us) && !ts_deadline_passed(deadline))
                ts_sleep_ms(1);
        ts_sleep_ms(PAUSE_MS + (answer_us > PAUSE_ANSWER_MS * 1000.0 ? PAUSE_ANSWER_MS : (unsigned)(answer_us / 1000)));
}

void ts_prober_resume(struct ts_prober *p)
{
        set_paused(p, false);
}

void ts_prober_stop(struct ts_prober *p, struct ts_probe_stats *ret)
{
        *ret = (struct ts_probe_stats){ 0 };
        if (!p)
                return;
        (void)pthread_mutex_lock(&p->lock);
        atomic_store(&p->stop, true);
        (void)pthread_cond_broadcast(&p->stop_cond);
        note_gap(p, ts_now_us());
        *ret = p->stats;
        (void)pthread_mutex_unlock(&p->lock);
        for (size_t i = 0; i < TS_ARRAY_LEN(p->sides); i++) {
                if (p->sides[i].started)
                        (void)pthread_join(p->sides[i].thread, NULL);
                free(p->sides[i].host);
        }
        (void)pthread_cond_destroy(&p->stop_cond);
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
}
