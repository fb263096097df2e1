/* One SSH session on libssh2: connected, the host's key checked, authenticated; and how everything on it waits.
 *
 * Private to transfer/. A session belongs to one thread at a time.
 *
 * libssh2 is used as a state machine only: its SEND callback appends to a queue of ours and never says EAGAIN, its RECV callback reads ahead. So the trap that a packet half sent must be
 * retried with the same buffer before any other call cannot spring, and EAGAIN always means "more input is needed": ts_ssh_wait() is the one place that waits. */
#ifndef TRANSHIP_TRANSFER_SSH_H
#define TRANSHIP_TRANSFER_SSH_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "transfer/ssh_conf.h"

#include <libssh2.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TS_SSH_IN_SIZE (256u << 10)       /* read-ahead */
#define TS_SSH_OUT_SOFT (512u << 10)      /* no more channel data is encrypted while this much waits to be sent */
#define TS_SSH_OUT_HARD (8u << 20)        /* a peer that asks and never reads */
#define TS_SSH_WINDOW (4u << 20)          /* our receive window: what a peer may have under way to us */
#define TS_SSH_MEMORY ((size_t)128 << 20) /* for libssh2, a session */
#define TS_SSH_TURN (1u << 20)            /* input handled before the caller gets a turn */

struct ts_ssh {
        LIBSSH2_SESSION *session;
        const struct ts_ssh_conf *conf; /* borrowed */
        int fd;                         /* socket, or our end of the proxy's */
        int stop_fd;                    /* readable: give up (TS_ECANCELED); borrowed, -1 = none */
        pid_t proxy_pid;                /* ProxyJump, ProxyCommand */
        int proxy_errs;                 /* what the proxy printed, an unlinked file; -1 = none */
        bool dead;                      /* the connection is gone, or not to be trusted any more */
        int dead_errno;                 /* why, or 0: the other side closed it */
        bool up;                        /* authenticated: keepalives may be sent */

        size_t memory_bytes; /* held by libssh2 */
        char *in;            /* TS_SSH_IN_SIZE bytes */
        size_t in_off, in_len;
        uint64_t taken_bytes;   /* ever given to libssh2 */
        uint64_t taken_at_wait; /* of these, before the last wait */
        size_t turn_left;       /* bytes of input that may still be read before the next wait */
        unsigned spins;         /* RECV calls without a wait between them: see ssh_recv() */
        ts_deadline limit;      /* of the call under way, for such a spin */
        char *out;
        size_t out_off, out_len, out_cap;

        uint64_t queued_bytes;    /* ever put into out */
        uint64_t sent_bytes;      /* ever given to the kernel */
        uint64_t delivered_bytes; /* of these, known to have left our kernel */
        uint64_t heard_us;        /* last input */
        uint64_t alive_us;        /* last sign of life */
        uint64_t tried_us;        /* since when an answer is wanted; 0 = none is */
        uint64_t asked_us;        /* when the keepalive that wants it was queued; 0 = not yet */
        uint64_t asked_mark;      /* queued_bytes then */
        uint64_t checked_us;      /* when we last looked */
        uint64_t idle_since_us;   /* in a pool */
};

/* Connects, checks the host's key, authenticates. conf and stop_fd are borrowed and must outlive the session. Blocking: each step at most conf->connect_timeout_ms.
 * TS_ECONNECT, TS_ETIMEOUT, TS_EAUTH, TS_EPROTO, TS_ECANCELED. */
int ts_ssh_connect(const struct ts_ssh_conf *conf, int stop_fd, struct ts_ssh **ret, struct ts_err *err);
/* Closes at once, without waiting for the other side. */
void ts_ssh_free(struct ts_ssh *s);
TS_DEFINE_AUTO(ts_ssh, ts_ssh_free);

/* Returns at once when libssh2 took input since the last wait: a call on one channel or stream may have queued what another one waits for.
 * Otherwise sends what is queued, and waits until the session has input, one of the n (at most 3) other descriptors is ready, or the deadline (not an error: look at the clock). Keeps the session
 * alive. TS_ECONNECT: lost, or no sign of life for peer_timeout_ms. TS_ECANCELED: stop_fd. The first descriptors' revents are set. */
int ts_ssh_wait(struct ts_ssh *s, struct pollfd *others, nfds_t n, ts_deadline deadline, struct ts_err *err);
/* Sends what the kernel takes now. */
int ts_ssh_flush(struct ts_ssh *s, struct ts_err *err);
/* Memory from malloc() that libssh2 will free. */
void ts_ssh_adopt(struct ts_ssh *s, void *p);
/* The peer owes us nothing from now on. */
void ts_ssh_heard(struct ts_ssh *s);
/* A new budget of input. Called by whoever calls libssh2 in a loop of its own. */
void ts_ssh_turn(struct ts_ssh *s);
static inline size_t ts_ssh_unsent(const struct ts_ssh *s)
{
        return s->out_len - s->out_off;
}
static inline bool ts_ssh_has_input(const struct ts_ssh *s)
{
        return s->in_len > s->in_off;
}

/* One step of an await: 0 = call again, -1 = failed. */
int ts_ssh_again(struct ts_ssh *s, ts_deadline deadline, const char *what, struct ts_err *err);
/* Calls `call` until it says something else than LIBSSH2_ERROR_EAGAIN. Its value; EAGAIN when waiting failed (err is set). */
#define TS_SSH_AWAIT(s, deadline, what, err, call)                                                                        \
        __extension__({                                                                                                   \
                long rc_;                                                                                                 \
                ts_ssh_turn(s);                                                                                           \
                (s)->limit = (deadline);                                                                                  \
                while ((rc_ = (long)(call)) == LIBSSH2_ERROR_EAGAIN && ts_ssh_again((s), (deadline), (what), (err)) == 0) \
                        ;                                                                                                 \
                rc_;                                                                                                      \
        })
/* For calls that return a channel and leave the code in the session. */
static inline long ts_ssh_channel_rc(struct ts_ssh *s, LIBSSH2_CHANNEL *ch)
{
        return ch ? 0 : libssh2_session_last_errno(s->session);
}

/* Sets err from libssh2's last error (code rc), with `what` in front: TS_ECONNECT when the connection is gone, TS_EPROTO otherwise. Returns -1. */
int ts_ssh_fail(struct ts_ssh *s, long rc, const char *what, struct ts_err *err);
/* Is rc (or the state of the session) a lost connection? */
bool ts_ssh_is_lost(const struct ts_ssh *s, long rc);
/* Not closed by the other side, as far as can be seen without asking it. */
bool ts_ssh_looks_alive(struct ts_ssh *s);

/* The steps of ts_ssh_connect(), each in a file of its own. */
struct ts_ssh *ts_ssh_new(const struct ts_ssh_conf *conf, int stop_fd); /* NULL: out of memory */
int ts_ssh_dial(struct ts_ssh *s, struct ts_err *err);                  /* ssh_dial.c: TCP or proxy → fd */
int ts_ssh_prefer_known(struct ts_ssh *s, struct ts_err *err);          /* ssh_hostkey.c: before the handshake */
int ts_ssh_check_host_key(struct ts_ssh *s, struct ts_err *err);        /* ssh_hostkey.c: after it */
int ts_ssh_authenticate(struct ts_ssh *s, struct ts_err *err);          /* ssh_auth.c */
/* Puts the proxy's last words into err's message, if there are any. */
void ts_ssh_blame_proxy(struct ts_ssh *s, struct ts_err *err);
/* Makes the words of the comma list `wanted` that are also in `allowed` (NULL: all are) and known to libssh2 its preference, in the order of wanted. *ret_any: were there any? If not,
 * nothing is changed. */
int ts_ssh_prefer(struct ts_ssh *s, int method, const char *wanted, const char *allowed, bool *ret_any, struct ts_err *err);

#endif
