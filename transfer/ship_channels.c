/* See ship_channels.h. Decides when a connection is replaced, and when that is given up. */
#include "transfer/ship_channels.h"

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "transfer/agent/join.h"
#include "transfer/agent/link.h"
#include "transfer/host_impl.h"
#include "transfer/streams.h"
#include "transfer/tls_dial.h"

#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

#define STREAMS_MAX 16U
#define CHANNELS_MAX (STREAMS_MAX + 1) /* the first one's place is not used again */
#define LASTING_US 1000000U            /* a channel that lives so long is a good one */
#define NOW ((ts_deadline)1)           /* has always passed */
#define END_MS 1000                    /* for saying good-bye */
#define TLS_FIRST_MS 3000U             /* to connect, and to say hello */
#define TLS_AGAIN_MS 500U              /* the same later, when the container may be frozen */
#define TLS_PAUSE_MAX_MS 30000U
#define STEP_MS 100U                   /* for a thread to take what it was given */
#define AGAIN_MS 200U                  /* between tries; doubled up to: */
#define AGAIN_MAX_MS 3000U
#define IDLE_BYTES (1U << 20) /* less than that in a measurement says nothing about the link */

struct ts_channels {
        struct ts_host *host;
        const char *who; /* borrowed */
        char *program, *name;
        struct ts_link *link;
        int stop_fd;          /* event */
        ts_deadline stopping; /* 0: not yet */
        pthread_t keeper;
        bool has_keeper;
        /* The keeper's, once there is one: */
        struct ts_proc *procs[CHANNELS_MAX]; /* [0]: the agent itself */
        bool gone;                           /* the agent is */
        unsigned lost;                       /* that were told */
        unsigned found;                      /* of them, so many have another one instead, … */
        uint64_t found_us;                   /* … since then */
        bool trying;                         /* that it is unreachable was told */
        struct ts_streams streams;
        unsigned wanted, beside; /* of these, so many SSH channels stand by beside TLS */
        bool automatic;
        unsigned tls_port; /* 0: SSH alone */
        unsigned char key[TS_TLS_KEY];
        unsigned tls_pause_ms; /* 0: the last one lasted */
        uint64_t tls_since_us, tls_next_us;
        unsigned again_ms;    /* how long the next try waits if the last one brought nothing that lasted: */
        uint64_t joined_us;   /* it was then, … */
        unsigned joined_lost; /* … when so many had been lost */
        bool join_failed;
};

/* The process's descriptor becomes a strand. */
static int add(struct ts_channels *c, struct ts_proc *p, struct ts_err *err)
{
        int fd = TS_TAKE_FD(p->fd);

        return ts_link_add(c->link, fd, fd, -1, err);
}

static int start(struct ts_channels *c, const char *owner, struct ts_err *err)
{
        const char *const argv[] = { c->program, owner ? "for" : NULL, owner, NULL };

        return ts_host_start(c->host, argv, &c->procs[0], err) < 0 ? -1 : add(c, c->procs[0], err);
}

int ts_channels_new(struct ts_host *h, const char *program, const char *owner, unsigned streams,
                    struct ts_channels **ret, struct ts_duplex **ret_io, struct ts_err *err)
{
        ts_auto(ts_channels) struct ts_channels *c = calloc(1, sizeof(*c));
        struct ts_duplex *io = NULL;

        if (!c)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        c->host = h;
        c->who = ts_host_name(h);
        c->program = ts_strdup0(program);
        c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        c->wanted = streams > STREAMS_MAX ? STREAMS_MAX : streams ? streams : 1;
        c->automatic = !streams;
        c->streams.max = streams ? 1 : TS_STREAMS_AUTO_MAX;
        if (!c->program || c->stop_fd < 0)
                return ts_err_set(err, TS_ENOMEM, "no memory or descriptors for another agent");
        if (ts_link_new(&(struct ts_link_opts){ .names = true, .listen_fd = -1, .patience_ms = UINT32_MAX }, &c->link, &io, err) < 0)
                return -1;
        if (start(c, owner, err) < 0) {
                ts_duplex_close(io);
                return -1;
        }
        ts_link_forsake(c->link, true); /* until the agent has said where it listens */
        *ret = TS_TAKE(c);
        *ret_io = io;
        return 0;
}

/* ---- the keeper ---- */

/* Processes that have ended. What the agent itself ended with, and that nobody is there to join, is final; a connection that broke is not. */
static void reap(struct ts_channels *c)
{
        for (unsigned i = 0; i < CHANNELS_MAX; i++) {
                ts_auto_err failed = TS_ERR_INIT;
                int status = -1;

                if (!c->procs[i])
                        continue;
                if (ts_proc_wait(c->procs[i], NOW, &status, &failed) < 0 && failed.code == TS_ETIMEOUT)
                        continue;
                ts_debug("agent on '%s', channel %u: %s, status %d", c->who, i, ts_err_is_set(&failed) ? ts_err_message(&failed) : "ended",
                         status);
                c->gone |= !ts_err_is_set(&failed) && (i == 0 || status == TS_JOIN_GONE || status == 126 || status == 127);
                ts_proc_free(TS_TAKE(c->procs[i]));
        }
}

static bool stopped(const struct ts_channels *c, unsigned ms)
{
        struct pollfd p = { .fd = c->stop_fd, .events = POLLIN };

        return poll(&p, 1, (int)ms) > 0;
}

static int add_tls(struct ts_channels *c, unsigned step_ms, struct ts_err *err)
{
        struct ts_tls *tls = NULL;
        int fd = -1;

        return ts_tls_dial(c->host, c->tls_port, c->key, step_ms, c->stop_fd, &fd, &tls, err) < 0 ? -1 : ts_link_add_tls(c->link, fd, tls, err);
}

static void no_tls(struct ts_channels *c, const char *why)
{
        if (!atomic_exchange(&c->host->no_tls, true))
                ts_log(TS_LOG_WARNING, "no TLS to '%s', data goes by SSH: %s", c->who, why);
}

bool ts_channels_tls_possible(struct ts_channels *c)
{
        int family = c->host->peer.ss_family;

        if (family != AF_INET && family != AF_INET6)
                no_tls(c, "it is reached through a proxy");
        return !atomic_load(&c->host->no_tls);
}

void ts_channels_tls(struct ts_channels *c, unsigned port, const unsigned char key[TS_TLS_KEY])
{
        struct ts_link_state both = { .strands = 1 };
        ts_auto_err failed = TS_ERR_INIT;

        if (port == 0) {
                no_tls(c, "its agent can listen on none of the ports");
                return;
        }
        c->tls_port = port;
        memcpy(c->key, key, TS_TLS_KEY);
        if (add_tls(c, TLS_FIRST_MS, &failed) < 0) {
                c->tls_port = 0;
                if (failed.code == TS_ECONNECT || failed.code == TS_ETIMEOUT || failed.code == TS_EAUTH)
                        no_tls(c, ts_err_message(&failed));
                return;
        }
        ts_debug("agent on '%s': TLS to port %u", c->who, port);
        c->beside = 1;
        c->wanted += c->beside;
        ts_link_watch(c->link, STEP_MS, &both);
}

bool ts_channels_has_tls(const struct ts_channels *c)
{
        return c->tls_port != 0;
}

unsigned ts_channels_silence_ms(const struct ts_channels *c)
{
        return ts_tls_silence_ms(c->host);
}

static int join_agent(struct ts_channels *c, struct ts_err *err)
{
        const char *const argv[] = { c->program, "join", c->name, NULL };
        const struct ts_start_opts o = { .err_max = TS_STDERR_TAIL, .fresh = true, .stop_fd = c->stop_fd };
        unsigned i = 1;

        while (i < CHANNELS_MAX && c->procs[i])
                i++;
        if (i == CHANNELS_MAX)
                return ts_err_set(err, TS_ELIMIT, "channels enough");
        return c->host->ops->start(c->host, argv, &o, &c->procs[i], err) < 0 ? -1 : add(c, c->procs[i], err);
}

static void measure(struct ts_channels *c, const struct ts_link_state *then, const struct ts_link_state *now, uint64_t us)
{
        uint64_t bytes = now->moved - then->moved;
        unsigned n = ts_streams_look(&c->streams, now->strands - c->beside, bytes, us, bytes < IDLE_BYTES);

        if (n + c->beside > c->wanted && now->strands == c->wanted)
                c->wanted = n + c->beside;
}

/* Only once it has lasted for a moment: an agent that died is looked for, too, and is none to connect to. */
static void tell_found(struct ts_channels *c, const struct ts_link_state *st, uint64_t now_us)
{
        if (st->lost == c->lost || st->strands < c->wanted)
                return;
        if (c->found != st->lost) {
                c->found = st->lost;
                c->found_us = now_us;
        } else if (now_us - c->found_us > (uint64_t)TS_STREAMS_LOOK_MS * 900) {
                ts_log(TS_LOG_WARNING, "a connection to '%s' was lost and made anew", c->who);
                c->lost = st->lost;
                c->trying = false;
        }
}

static void tell_trying(struct ts_channels *c, const struct ts_err *failed, bool last)
{
        ts_log(last && !c->trying ? TS_LOG_WARNING : TS_LOG_DEBUG, "the connection to '%s' was lost; trying again: %s", c->who,
               ts_err_message(failed));
        c->trying |= last;
}

/* One more channel, after a pause where the last one did not last. */
static void add_one(struct ts_channels *c, const struct ts_link_state *st)
{
        bool again = c->join_failed || (st->lost > c->joined_lost && c->joined_us && ts_now_us() - c->joined_us < LASTING_US);
        ts_auto_err failed = TS_ERR_INIT;

        c->again_ms = !again ? AGAIN_MS : c->again_ms * 2 < AGAIN_MAX_MS ? c->again_ms * 2 : AGAIN_MAX_MS;
        if (again && stopped(c, c->again_ms))
                return;
        c->join_failed = join_agent(c, &failed) < 0;
        c->joined_us = ts_now_us();
        c->joined_lost = st->lost;
        if (!c->join_failed) {
                ts_debug("agent on '%s': %u of %u channels", c->who, st->strands + 1, c->wanted);
        } else if (c->automatic && st->strands && !c->tls_port) { /* the host does not want more */
                ts_debug("agent on '%s': %u channels are enough: %s", c->who, st->strands, ts_err_message(&failed));
                c->wanted = c->streams.max = st->strands;
        } else if (!stopped(c, 0)) {
                tell_trying(c, &failed, st->strands == 0);
        }
}

static unsigned longer(unsigned pause_ms)
{
        return !pause_ms ? AGAIN_MS : pause_ms * 2 < TLS_PAUSE_MAX_MS ? pause_ms * 2 : TLS_PAUSE_MAX_MS;
}

/* Does not wait for long, nor in between: SSH, which stands by, may want to be made anew meanwhile. One that breaks as soon as it is there must not keep everything from going by SSH. */
static void add_one_tls(struct ts_channels *c, const struct ts_link_state *st)
{
        bool soon = c->tls_since_us && ts_now_us() - c->tls_since_us < LASTING_US + (uint64_t)c->tls_pause_ms * 1000;
        ts_auto_err failed = TS_ERR_INIT;

        if (ts_now_us() < c->tls_next_us)
                return;
        if (add_tls(c, TLS_AGAIN_MS, &failed) == 0) {
                c->tls_pause_ms = soon ? longer(c->tls_pause_ms) : 0;
                c->tls_since_us = ts_now_us();
                ts_debug("agent on '%s': %u TLS connections", c->who, st->tls + 1);
        } else if (st->tls) { /* the host does not want more */
                c->wanted = st->strands;
                c->streams.max = st->tls;
        } else if (!stopped(c, 0)) {
                ts_log(c->tls_pause_ms ? TS_LOG_DEBUG : TS_LOG_WARNING, "TLS to '%s' was lost, data goes by SSH: %s", c->who, ts_err_message(&failed));
                c->tls_pause_ms = longer(c->tls_pause_ms);
        }
        c->tls_next_us = ts_now_us() + (uint64_t)c->tls_pause_ms * 1000;
}

static void *keep(void *arg)
{
        struct ts_channels *c = arg;
        struct ts_link_state then = { 0 }, st = { .strands = c->wanted };
        uint64_t then_us = ts_now_us();

        while (!st.over && !st.ending && !c->gone && !stopped(c, 0)) {
                uint64_t now_us;

                ts_link_watch(c->link, TS_STREAMS_LOOK_MS, &st);
                reap(c);
                now_us = ts_now_us();
                tell_found(c, &st, now_us);
                if (st.strands == c->wanted && now_us - then_us >= (uint64_t)TS_STREAMS_LOOK_MS * 1000)
                        measure(c, &then, &st, now_us - then_us);
                then = st;
                then_us = now_us;
                if (st.over || st.ending || c->gone || st.strands >= c->wanted)
                        continue;
                if (c->tls_port && st.strands > st.tls)
                        add_one_tls(c, &st);
                else
                        add_one(c, &st);
        }
        ts_link_forsake(c->link, true);
        return NULL;
}

int ts_channels_keep(struct ts_channels *c, const char *name, unsigned patience_ms, struct ts_err *err)
{
        if (!ts_name_valid(name, TS_JOIN_NAME_MAX - 1))
                return ts_err_set(err, TS_EPROTO, "it listens under no name");
        c->name = ts_strdup0(name);
        if (!c->name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        ts_link_patience(c->link, patience_ms);
        ts_link_forsake(c->link, false);
        c->has_keeper = ts_thread_start(&c->keeper, "keeper", keep, c, err) == 0;
        return c->has_keeper ? 0 : -1;
}

void ts_channels_patience(struct ts_channels *c, unsigned patience_ms)
{
        ts_link_patience(c->link, patience_ms);
}

void ts_channels_stop(struct ts_channels *c)
{
        uint64_t one = 1;

        if (c->stopping)
                return;
        c->stopping = ts_deadline_in_ms(END_MS);
        if (c->stop_fd >= 0)
                (void)!write(c->stop_fd, &one, sizeof(one));
        if (c->link)
                ts_link_closing(c->link);
}

void ts_channels_free(struct ts_channels *c)
{
        ts_channels_stop(c);
        if (c->has_keeper)
                (void)pthread_join(c->keeper, NULL);
        if (c->link) {
                ts_link_end(c->link, (unsigned)ts_deadline_poll_ms(c->stopping, END_MS));
                ts_link_free(c->link);
        }
        for (unsigned i = 0; i < CHANNELS_MAX; i++)
                if (c->procs[i])
                        ts_proc_free(c->procs[i]);
        ts_closep(&c->stop_fd);
        OPENSSL_cleanse(c->key, sizeof(c->key));
        free(c->program);
        free(c->name);
        free(c);
}
