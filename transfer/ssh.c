/* A session's input, output, waiting and sign of life. Decides when a peer counts as lost; does not decide what is said on the channels. */
#include "transfer/ssh.h"

#include "base/io.h"

#include <errno.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SPINS_MAX 1000 /* calls in a row that no loop of ours makes */
#define SPIN_POLL_MS 20
#define ASK_MIN_MS 1000 /* silence after which a keepalive is sent: a third of the peer's time within these bounds */
#define ASK_MAX_MS 15000
#define ASK_GRACE_MS 2000 /* libssh2 sends no two keepalives within 2 s */
#define LOOK_US 500000    /* how often the life of a peer that owes an answer is looked at; */
#define ASLEEP_US 2000000 /* when we did not look for this long, the silence was ours (stopped, suspended, starved) */

/* ---- the callbacks ---- */

static ssize_t lose(struct ts_ssh *s, int e)
{
        if (!s->dead) {
                s->dead = true;
                s->dead_errno = e;
        }
        return e ? -e : 0;
}

/* Puts what is unsent at the start and makes room for len more. */
static bool out_reserve(struct ts_ssh *s, size_t len)
{
        size_t want;
        char *grown;

        if (s->out_off == s->out_len)
                s->out_off = s->out_len = 0;
        if (s->out_cap - s->out_len >= len)
                return true;
        if (s->out_off) {
                memmove(s->out, s->out + s->out_off, s->out_len - s->out_off);
                s->out_len -= s->out_off;
                s->out_off = 0;
        }
        want = s->out_len + len;
        if (want <= s->out_cap)
                return true;
        if (want > TS_SSH_OUT_HARD)
                return false;
        want = want < TS_SSH_OUT_SOFT + (128u << 10) ? TS_SSH_OUT_SOFT + (128u << 10) : 2 * want;
        grown = realloc(s->out, want);
        if (!grown)
                return false;
        s->out = grown;
        s->out_cap = want;
        return true;
}

static ssize_t ssh_send(libssh2_socket_t fd, const void *data, size_t len, int flags, void **abstract)
{
        struct ts_ssh *s = *abstract;

        (void)fd;
        (void)flags;
        if (s->dead)
                return -ECONNRESET;
        if (!out_reserve(s, len))
                return lose(s, ENOBUFS);
        memcpy(s->out + s->out_len, data, len);
        s->out_len += len;
        s->queued_bytes += len;
        return (ssize_t)len;
}

static bool send_some(struct ts_ssh *s)
{
        while (s->out_off < s->out_len) {
                ssize_t n = send(s->fd, s->out + s->out_off, s->out_len - s->out_off, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return true;
                if (n < 0) {
                        lose(s, errno);
                        return false;
                }
                s->out_off += (size_t)n;
                s->sent_bytes += (uint64_t)n;
        }
        return true;
}

void ts_ssh_heard(struct ts_ssh *s)
{
        s->heard_us = s->alive_us = ts_now_us();
        s->tried_us = s->asked_us = 0;
}

static ssize_t refill(struct ts_ssh *s)
{
        ssize_t n;

        do
                n = recv(s->fd, s->in, TS_SSH_IN_SIZE, MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n <= 0)
                return lose(s, n < 0 ? errno : 0);
        s->in_off = 0;
        s->in_len = (size_t)n;
        s->turn_left -= (size_t)n < s->turn_left ? (size_t)n : s->turn_left;
        ts_ssh_heard(s);
        return n;
}

/* Some of libssh2's error paths call again and again until something else than EAGAIN comes, whatever the mode (scp.c: `while(libssh2_channel_free(…) == EAGAIN)`).
 * They are slowed down here, and ended at the deadline of the call. */
static ssize_t spin(struct ts_ssh *s)
{
        struct pollfd p = { .fd = s->fd, .events = POLLIN };

        if (++s->spins < SPINS_MAX)
                return -EAGAIN;
        (void)send_some(s);
        (void)poll(&p, 1, SPIN_POLL_MS);
        s->turn_left = TS_SSH_TURN;
        return s->limit && ts_deadline_passed(s->limit) ? lose(s, ETIMEDOUT) : -EAGAIN;
}

static ssize_t ssh_recv(libssh2_socket_t fd, void *buf, size_t len, int flags, void **abstract)
{
        struct ts_ssh *s = *abstract;

        (void)fd;
        (void)flags;
        if (s->in_off == s->in_len) {
                ssize_t n = s->dead ? -ECONNRESET : s->turn_left == 0 ? -EAGAIN : refill(s);

                if (n == -EAGAIN)
                        return spin(s);
                if (n <= 0)
                        return n;
        }
        if (len > s->in_len - s->in_off)
                len = s->in_len - s->in_off;
        memcpy(buf, s->in + s->in_off, len);
        s->in_off += len;
        s->taken_bytes += len;
        return (ssize_t)len;
}

/* libssh2 queues what nobody asked for, such as answers to no question, until the session is freed: what it may take has an end. */
static void *ssh_realloc(void *old, size_t len, void **abstract)
{
        struct ts_ssh *s = *abstract;
        size_t before = old ? malloc_usable_size(old) : 0;
        void *p;

        len = len ? len : 1; /* realloc() of nothing frees */
        if (len > TS_SSH_MEMORY || s->memory_bytes - before > TS_SSH_MEMORY - len)
                return NULL;
        p = realloc(old, len);
        if (p)
                s->memory_bytes += malloc_usable_size(p) - before;
        return p;
}

static void *ssh_alloc(size_t len, void **abstract)
{
        return ssh_realloc(NULL, len, abstract);
}

static void ssh_release(void *p, void **abstract)
{
        struct ts_ssh *s = *abstract;

        if (p)
                s->memory_bytes -= malloc_usable_size(p);
        free(p);
}

void ts_ssh_adopt(struct ts_ssh *s, void *p)
{
        s->memory_bytes += malloc_usable_size(p);
}

void ts_ssh_turn(struct ts_ssh *s)
{
        s->turn_left = TS_SSH_TURN;
        s->spins = 0;
}

/* ---- life ---- */

static uint64_t ask_after_us(const struct ts_ssh *s)
{
        uint64_t ms = s->conf->peer_timeout_ms / 3;

        return (ms < ASK_MIN_MS ? ASK_MIN_MS : ms > ASK_MAX_MS ? ASK_MAX_MS : ms) * 1000;
}

/* Bytes that leave our kernel are a sign of life too: on a slow line the answer to a keepalive waits behind all that was queued before it. */
static void note_delivered(struct ts_ssh *s, uint64_t now)
{
        int unsent = 0;
        uint64_t delivered;

        if (ioctl(s->fd, SIOCOUTQ, &unsent) < 0 || unsent < 0 || (uint64_t)unsent > s->sent_bytes)
                return;
        delivered = s->sent_bytes - (uint64_t)unsent;
        if (delivered <= s->delivered_bytes)
                return;
        /* Only up to the keepalive itself: a trickle into a stopped peer's kernel proves nothing. */
        if (!s->asked_us || s->delivered_bytes < s->asked_mark)
                s->alive_us = now;
        s->delivered_bytes = delivered;
}

static int gone_silent(struct ts_ssh *s, struct ts_err *err)
{
        lose(s, ETIMEDOUT);
        return ts_err_set(err, TS_ECONNECT, "no answer from '%s' for %u ms", s->conf->alias, s->conf->peer_timeout_ms);
}

static uint64_t later(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static void ask(struct ts_ssh *s, uint64_t now)
{
        uint64_t before = s->queued_bytes;
        int next;

        if (!s->tried_us)
                s->tried_us = now;
        (void)libssh2_keepalive_send(s->session, &next);
        if (s->queued_bytes == before)
                return;
        s->asked_us = now;
        s->asked_mark = s->queued_bytes;
}

static bool is_readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* When to look again, or 0 with err set when the peer is gone. */
static uint64_t check_life(struct ts_ssh *s, struct ts_err *err)
{
        uint64_t now = ts_now_us(), patience = (uint64_t)s->conf->peer_timeout_ms * 1000, due = s->heard_us + ask_after_us(s);

        if (s->tried_us && now - s->checked_us > ASLEEP_US)
                s->alive_us = now;
        s->checked_us = now;
        if (!s->asked_us && now >= due)
                ask(s, now);
        if (!s->tried_us)
                return due;
        note_delivered(s, now);
        due = s->asked_us ? later(s->asked_us, s->alive_us) + patience : later(s->tried_us, s->alive_us) + patience + ASK_GRACE_MS * 1000;
        if (now < due)
                return now + LOOK_US < due ? now + LOOK_US : due;
        if (is_readable(s->fd)) /* it did answer */
                return now;
        (void)gone_silent(s, err);
        return 0;
}

/* ---- waiting ---- */

int ts_ssh_flush(struct ts_ssh *s, struct ts_err *err)
{
        return send_some(s) ? 0 : ts_ssh_fail(s, LIBSSH2_ERROR_SOCKET_SEND, "cannot send", err);
}

static int poll_timeout(uint64_t wake_us, ts_deadline deadline)
{
        int ms = ts_deadline_poll_ms(deadline, -1), life = wake_us ? ts_deadline_poll_ms(wake_us, -1) : -1;

        return ms < 0 || (life >= 0 && life < ms) ? life : ms;
}

static bool is_stopped(const struct pollfd *p)
{
        return p->fd >= 0 && p->revents != 0;
}

int ts_ssh_wait(struct ts_ssh *s, struct pollfd *others, nfds_t n, ts_deadline deadline, struct ts_err *err)
{
        struct pollfd p[5] = { { .fd = s->fd, .events = POLLIN }, { .fd = s->stop_fd, .events = POLLIN } };
        uint64_t wake_us = 0;
        int timeout_ms;

        ts_ssh_turn(s);
        for (nfds_t i = 0; i < n; i++) {
                others[i].revents = 0;
                p[i + 2] = others[i];
        }
        if (s->dead)
                return ts_ssh_fail(s, LIBSSH2_ERROR_SOCKET_DISCONNECT, "the connection", err);
        if (s->up) {
                wake_us = check_life(s, err);
                if (wake_us == 0)
                        return -1;
        }
        if (ts_ssh_flush(s, err) < 0)
                return -1;
        p[0].events = (short)(POLLIN | (ts_ssh_unsent(s) ? POLLOUT : 0));
        timeout_ms = ts_ssh_has_input(s) || s->taken_bytes != s->taken_at_wait ? 0 : poll_timeout(wake_us, deadline);
        s->taken_at_wait = s->taken_bytes;
        if (poll(p, n + 2, timeout_ms) < 0 && errno != EINTR)
                return ts_err_errno(err, errno, "cannot wait for '%s'", s->conf->alias);
        if (is_stopped(&p[1]))
                return ts_err_set(err, TS_ECANCELED, "the connection to '%s' is being closed", s->conf->alias);
        for (nfds_t i = 0; i < n; i++)
                others[i].revents = p[i + 2].revents;
        return 0;
}

int ts_ssh_again(struct ts_ssh *s, ts_deadline deadline, const char *what, struct ts_err *err)
{
        if (ts_deadline_passed(deadline))
                return ts_err_set(err, TS_ETIMEOUT, "'%s' did not answer in time (%s)", s->conf->alias, what);
        return ts_ssh_wait(s, NULL, 0, deadline, err);
}

/* ---- errors ---- */

bool ts_ssh_is_lost(const struct ts_ssh *s, long rc)
{
        switch (rc) {
        case LIBSSH2_ERROR_SOCKET_NONE:
        case LIBSSH2_ERROR_SOCKET_SEND:
        case LIBSSH2_ERROR_SOCKET_RECV:
        case LIBSSH2_ERROR_SOCKET_DISCONNECT:
        case LIBSSH2_ERROR_SOCKET_TIMEOUT:
        case LIBSSH2_ERROR_BANNER_RECV:
        case LIBSSH2_ERROR_BANNER_SEND:
                return true;
        default:
                return s->dead;
        }
}

static int lost(struct ts_ssh *s, const char *what, struct ts_err *err)
{
        char buf[128];

        if (s->dead_errno)
                return ts_err_set(err, TS_ECONNECT, "%s: the connection to '%s' was lost: %s", what, s->conf->alias,
                                  strerror_r(s->dead_errno, buf, sizeof(buf)));
        return ts_err_set(err, TS_ECONNECT, "%s: '%s' closed the connection", what, s->conf->alias);
}

int ts_ssh_fail(struct ts_ssh *s, long rc, const char *what, struct ts_err *err)
{
        bool is_lost = ts_ssh_is_lost(s, rc);
        ts_auto_free char *clean = NULL;
        char *text = NULL;
        int len = 0;

        if (s->dead)
                return lost(s, what, err);
        s->dead = is_lost;
        (void)libssh2_session_last_error(s->session, &text, &len, 0);
        clean = text && len > 0 ? ts_printable(text, (size_t)len, 200) : NULL;
        return ts_err_set(err, is_lost ? TS_ECONNECT : TS_EPROTO, "%s: '%s': %s", what, s->conf->alias,
                          ts_or(clean, "unknown error of the ssh library"));
}

bool ts_ssh_looks_alive(struct ts_ssh *s)
{
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        char c;
        ssize_t n;

        if (s->dead || poll(&p, 1, 0) < 0 || p.revents & (POLLERR | POLLHUP | POLLNVAL))
                return false;
        if (!(p.revents & POLLIN))
                return true;
        n = recv(s->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* ---- making and freeing ---- */

static void set_callbacks(LIBSSH2_SESSION *session)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
        (void)libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_SEND, (libssh2_cb_generic *)ssh_send);
        (void)libssh2_session_callback_set2(session, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)ssh_recv);
#else
        /* ISO C has no conversion from a function to void *; POSIX promises that the bytes are the same. */
        ssize_t (*send_fn)(libssh2_socket_t, const void *, size_t, int, void **) = ssh_send;
        ssize_t (*recv_fn)(libssh2_socket_t, void *, size_t, int, void **) = ssh_recv;
        void *p;

        memcpy(&p, &send_fn, sizeof(p));
        (void)libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND, p);
        memcpy(&p, &recv_fn, sizeof(p));
        (void)libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, p);
#endif
}

struct ts_ssh *ts_ssh_new(const struct ts_ssh_conf *conf, int stop_fd)
{
        struct ts_ssh *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->conf = conf;
        s->fd = s->proxy_errs = -1;
        s->stop_fd = stop_fd;
        ts_ssh_heard(s);
        s->in = malloc(TS_SSH_IN_SIZE);
        s->session = s->in ? libssh2_session_init_ex(ssh_alloc, ssh_release, ssh_realloc, s) : NULL;
        if (!s->session) {
                ts_ssh_free(s);
                return NULL;
        }
        set_callbacks(s->session);
        libssh2_session_set_blocking(s->session, 0);
        libssh2_keepalive_config(s->session, 1, ASK_GRACE_MS / 1000);
        return s;
}

void ts_ssh_free(struct ts_ssh *s)
{
        if (!s)
                return;
        if (s->session) {
                if (s->up && !s->dead) { /* good manners, if the kernel takes it at once */
                        (void)libssh2_session_disconnect(s->session, "done");
                        (void)send_some(s);
                }
                s->dead = true; /* nothing below waits: the callbacks refuse */
                for (int i = 0; i < 100 && libssh2_session_free(s->session) == LIBSSH2_ERROR_EAGAIN; i++)
                        ;
        }
        if (s->fd >= 0)
                (void)close(s->fd);
        if (s->proxy_errs >= 0)
                (void)close(s->proxy_errs);
        ts_kill_and_reap(s->proxy_pid);
        free(s->in);
        free(s->out);
        free(s);
}
