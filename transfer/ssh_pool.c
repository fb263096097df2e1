/* Sessions ready for use. Decides how many are connected at a time and kept; does not decide what they carry. */
#include "transfer/ssh_pool.h"

#include "base/log.h"
#include "base/thread.h"

#include <pthread.h>
#include <sys/eventfd.h>

#define IDLE_MAX 16
#define HANDSHAKES_MAX 4 /* sshd drops unauthenticated connections beyond MaxStartups, 10 by default */
#define HANDSHAKE_LOOK_MS 20
#define CONNECT_AGAIN_MS 300
#define WARM_MAX 32

struct ts_pool {
        const struct ts_ssh_conf *conf;
        int stop_fd; /* event */

        pthread_mutex_t lock;          /* for all below */
        struct ts_ssh *idle[IDLE_MAX]; /* the latest last */
        size_t n_idle;
        unsigned handshakes;
        pthread_t warmers[WARM_MAX];
        size_t n_warmers;
        bool closing;
};

int ts_pool_new(const struct ts_ssh_conf *conf, struct ts_pool **ret, struct ts_err *err)
{
        struct ts_pool *p = calloc(1, sizeof(*p));

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        p->conf = conf;
        (void)pthread_mutex_init(&p->lock, NULL);
        p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (p->stop_fd < 0) {
                ts_pool_free(p);
                return ts_err_set(err, TS_EINTERNAL, "no descriptors for another host");
        }
        *ret = p;
        return 0;
}

/* ---- connecting ---- */

static bool is_stopped(int stop_fd, unsigned ms)
{
        struct pollfd stop = { .fd = stop_fd, .events = POLLIN };

        return poll(&stop, 1, (int)ms) > 0;
}

static int enter_handshake(struct ts_pool *p, int stop_fd, struct ts_err *err)
{
        bool stopped = false;
        int r = 0;

        (void)pthread_mutex_lock(&p->lock);
        while (p->handshakes >= HANDSHAKES_MAX && !p->closing && !stopped) { /* each of them has its deadlines */
                (void)pthread_mutex_unlock(&p->lock);
                stopped = is_stopped(stop_fd, HANDSHAKE_LOOK_MS);
                (void)pthread_mutex_lock(&p->lock);
        }
        if (p->closing || stopped)
                r = ts_err_set(err, TS_ECANCELED, "the connection to '%s' is being closed", p->conf->alias);
        else
                p->handshakes++;
        (void)pthread_mutex_unlock(&p->lock);
        return r;
}

static void leave_handshake(struct ts_pool *p)
{
        (void)pthread_mutex_lock(&p->lock);
        p->handshakes--;
        (void)pthread_mutex_unlock(&p->lock);
}

int ts_pool_connect(struct ts_pool *p, unsigned tries, int stop_fd, struct ts_ssh **ret, struct ts_err *err)
{
        if (stop_fd < 0)
                stop_fd = p->stop_fd;
        for (unsigned i = 1;; i++) {
                struct ts_err failed = TS_ERR_INIT;
                int r;

                if (enter_handshake(p, stop_fd, err) < 0)
                        return -1;
                r = ts_ssh_connect(p->conf, stop_fd, ret, &failed);
                leave_handshake(p);
                if (r == 0)
                        return 0;
                if (failed.code != TS_ECONNECT || i >= tries || is_stopped(stop_fd, CONNECT_AGAIN_MS * i)) {
                        ts_err_move(err, &failed);
                        return -1;
                }
                ts_err_clear(&failed);
        }
}

/* ---- idle sessions ---- */

static struct ts_ssh *pop(struct ts_pool *p)
{
        struct ts_ssh *s = NULL;

        (void)pthread_mutex_lock(&p->lock);
        if (p->n_idle > 0)
                s = p->idle[--p->n_idle];
        (void)pthread_mutex_unlock(&p->lock);
        return s;
}

struct ts_ssh *ts_pool_take(struct ts_pool *p)
{
        for (;;) {
                struct ts_ssh *s = pop(p);

                if (!s || ts_ssh_looks_alive(s))
                        return s;
                ts_ssh_free(s);
        }
}

void ts_pool_rest(struct ts_pool *p, struct ts_ssh *s)
{
        s->idle_since_us = ts_now_us();
        s->stop_fd = p->stop_fd;
}

void ts_pool_give(struct ts_pool *p, struct ts_ssh *s)
{
        bool kept = false;

        if (!s)
                return;
        ts_pool_rest(p, s);
        (void)pthread_mutex_lock(&p->lock);
        if (p->n_idle < IDLE_MAX && !p->closing) {
                p->idle[p->n_idle++] = s;
                kept = true;
        }
        (void)pthread_mutex_unlock(&p->lock);
        if (!kept)
                ts_ssh_free(s);
}

void ts_pool_drop_idle(struct ts_pool *p)
{
        struct ts_ssh *s;

        while ((s = pop(p)))
                ts_ssh_free(s);
}

static void *warm_one(void *arg)
{
        struct ts_pool *p = arg;
        struct ts_ssh *s = NULL;
        ts_auto_err failed = TS_ERR_INIT;

        if (ts_pool_connect(p, 1, -1, &s, &failed) == 0)
                ts_pool_give(p, s);
        else
                ts_debug("a spare session to %s: %s", p->conf->alias, ts_err_message(&failed));
        return NULL;
}

void ts_pool_warm(struct ts_pool *p, unsigned n)
{
        (void)pthread_mutex_lock(&p->lock);
        for (unsigned i = 0; i < n && p->n_warmers < WARM_MAX; i++) {
                if (ts_thread_start(&p->warmers[p->n_warmers], "warm", warm_one, p, NULL) == 0)
                        p->n_warmers++;
        }
        (void)pthread_mutex_unlock(&p->lock);
}

/* ---- the end ---- */

void ts_pool_stop(struct ts_pool *p)
{
        uint64_t one = 1;

        (void)pthread_mutex_lock(&p->lock);
        p->closing = true;
        (void)pthread_mutex_unlock(&p->lock);
        (void)!write(p->stop_fd, &one, sizeof(one));
}

void ts_pool_free(struct ts_pool *p)
{
        if (!p)
                return;
        for (size_t i = 0; i < p->n_warmers; i++)
                (void)pthread_join(p->warmers[i], NULL);
        ts_pool_drop_idle(p);
        if (p->stop_fd >= 0)
                (void)close(p->stop_fd);
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
}
