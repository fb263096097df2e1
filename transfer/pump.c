/* Moves bytes between a channel and a socket pair, in a thread of its own. Decides when which direction is closed and what counts as the end;
 * does not decide which session is used nor what becomes of it afterwards. */
#include "transfer/host_impl.h"

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define CHUNK (256u << 10)
#define LINGER_MS 5000        /* a tunnel whose caller is gone gets this long to deliver what was written */
#define CLOSE_MS 2000         /* a channel gets this long to close in good order; else its session is not used again */
#define NOW ((ts_deadline)1)  /* a deadline that has always passed */

struct half {
        char *buf; /* CHUNK bytes */
        size_t off, len;
};

struct ts_flow {
        struct ts_flow_opts opts;
        struct ts_ssh *s;
        LIBSSH2_CHANNEL *ch;
        int fd;      /* our end of the pair */
        int stop_fd; /* event: end at once */
        int done_fd; /* event: the thread is at its end */
        pthread_t thread;
        bool started, joined;

        struct half up, down;   /* caller → channel, channel → caller */
        bool up_eof, up_closed; /* the caller ended its side; the channel was told */
        bool down_eof;          /* the channel's end was passed on */
        bool gone;              /* the caller closed the pair: nobody reads */
        bool finished;
        ts_deadline linger;
        char *mark;         /* still to come, with its end of line; NULL: it came */
        size_t noise_bytes; /* of down.buf, while it is */

        int status;
        struct ts_tail errs;
        struct ts_err err;
};

/* ---- caller → channel ---- */

static bool half_empty(const struct half *h)
{
        return h->off == h->len;
}

/* Has nothing new: false. */
static bool read_caller(struct ts_flow *f)
{
        ssize_t n = recv(f->fd, f->up.buf, CHUNK, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return false;
        if (n <= 0) { /* the end, or a reset: closed with our bytes unread */
                f->up_eof = true;
                f->gone = f->gone || n < 0;
                return true;
        }
        f->up.off = 0;
        f->up.len = (size_t)n;
        return true;
}

static int end_channel_input(struct ts_flow *f, struct ts_err *err)
{
        int rc = libssh2_channel_send_eof(f->ch);

        if (rc == LIBSSH2_ERROR_EAGAIN)
                return 0;
        f->up_closed = true;
        return rc == 0 || rc == LIBSSH2_ERROR_CHANNEL_CLOSED || rc == LIBSSH2_ERROR_CHANNEL_EOF_SENT
                       ? 0
                       : ts_ssh_fail(f->s, rc, "cannot end the input", err);
}

/* 1: something moved. 0: nothing can at the moment. */
static int write_channel(struct ts_flow *f, struct ts_err *err)
{
        ssize_t n = libssh2_channel_write(f->ch, f->up.buf + f->up.off, f->up.len - f->up.off);

        if (n > 0) {
                f->up.off += (size_t)n;
                atomic_fetch_add(&f->opts.wire->sent, (unsigned long long)n);
                return 1;
        }
        if (n == 0 || n == LIBSSH2_ERROR_EAGAIN)
                return 0;
        if (n == LIBSSH2_ERROR_CHANNEL_CLOSED || n == LIBSSH2_ERROR_CHANNEL_EOF_SENT) {
                f->up_closed = true;
                return 0;
        }
        return ts_ssh_fail(f->s, n, "cannot send", err);
}

static int move_up(struct ts_flow *f, bool *moved, struct ts_err *err)
{
        while (!f->up_closed && ts_ssh_unsent(f->s) < TS_SSH_OUT_SOFT) {
                int n;

                if (half_empty(&f->up) && !f->up_eof && !read_caller(f))
                        return 0;
                if (half_empty(&f->up))
                        return end_channel_input(f, err);
                n = write_channel(f, err);
                if (n <= 0)
                        return n;
                *moved = true;
        }
        return 0;
}

/* ---- channel → caller ---- */

static void keep_noise(struct ts_flow *f, size_t len)
{
        char *none = NULL;
        size_t line = strcspn(f->down.buf, "\r\n"); /* the mark's own end is behind */
        char *text = len > 0 ? ts_printable(f->down.buf, line < len ? line : len, 100) : NULL;

        if (text && !atomic_compare_exchange_strong(f->opts.noise, &none, text))
                free(text);
}

/* n more bytes came. What is in front of the mark is nobody's. */
static int look_for_mark(struct ts_flow *f, size_t n, struct ts_err *err)
{
        const char *at;

        f->noise_bytes += n;
        at = memmem(f->down.buf, f->noise_bytes, f->mark, strlen(f->mark));
        if (at) {
                keep_noise(f, (size_t)(at - f->down.buf));
                f->down.off = (size_t)(at - f->down.buf) + strlen(f->mark);
                f->down.len = f->noise_bytes;
                free(TS_TAKE(f->mark));
                return 1;
        }
        if (f->noise_bytes < CHUNK)
                return 1;
        return ts_err_set(err, TS_EPROTO, "the login shell of '%s' on '%s' prints without end",
                          f->s->conf->user, f->s->conf->alias);
}

static int read_channel(struct ts_flow *f, struct ts_err *err)
{
        size_t from = f->mark ? f->noise_bytes : 0;
        ssize_t n = libssh2_channel_read(f->ch, f->down.buf + from, CHUNK - from);

        if (n > 0) {
                atomic_fetch_add(&f->opts.wire->received, (unsigned long long)n);
                if (f->mark)
                        return look_for_mark(f, (size_t)n, err);
                f->down.off = 0;
                f->down.len = (size_t)n;
                return 1;
        }
        return n == 0 || n == LIBSSH2_ERROR_EAGAIN ? 0 : ts_ssh_fail(f->s, n, "cannot receive", err);
}

static void write_caller(struct ts_flow *f, bool *moved)
{
        while (!half_empty(&f->down)) {
                ssize_t n;

                if (f->gone) {
                        f->down.off = f->down.len;
                        return;
                }
                n = send(f->fd, f->down.buf + f->down.off, f->down.len - f->down.off, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n < 0) {
                        f->gone = true;
                        continue;
                }
                f->down.off += (size_t)n;
                *moved = true;
        }
}

static int move_down(struct ts_flow *f, bool *moved, struct ts_err *err)
{
        int n;

        write_caller(f, moved);
        if (!half_empty(&f->down) || f->down_eof)
                return 0;
        n = read_channel(f, err);
        if (n <= 0)
                return n;
        *moved = true;
        write_caller(f, moved);
        return 0;
}

/* Read whatever the state of the other streams: it is also what lets libssh2 see keepalives and window changes. */
static int move_errs(struct ts_flow *f, bool *moved, struct ts_err *err)
{
        char buf[4096];
        ssize_t n = libssh2_channel_read_stderr(f->ch, buf, sizeof(buf));

        if (n > 0) {
                *moved = true;
                atomic_fetch_add(&f->opts.wire->received, (unsigned long long)n);
                ts_tail_add(&f->errs, buf, (size_t)n);
                if (f->errs.whole && f->errs.overflow)
                        return ts_err_set(err, TS_ELIMIT, "more than %zu bytes on stderr", f->errs.max);
                return 0;
        }
        return n == 0 || n == LIBSSH2_ERROR_EAGAIN ? 0 : ts_ssh_fail(f->s, n, "cannot receive", err);
}

/* ---- the end ---- */

/* An account without a shell, a forced command, a password that has to be changed first. */
static int was_not_run(const struct ts_flow *f, struct ts_err *err)
{
        ts_auto_str said = TS_STR_INIT;
        ts_auto_free char *line = NULL, *try = NULL;

        if (ts_str_add(&said, f->down.buf, f->noise_bytes, NULL) == 0)
                line = ts_last_line(&said);
        if (!line)
                line = ts_last_line(&f->errs.text);
        ts_err_set(err, TS_EPROTO, "the login shell of '%s' on '%s' runs no commands%s%s%s",
                   f->s->conf->user, f->s->conf->alias, line ? ": it says '" : "", ts_or(line, ""),
                   line ? "'" : "");
        try = ts_ssh_conf_try(f->s->conf, /* batch= */ true);
        return ts_err_hint(err, "`%s` has to succeed", ts_or(try, "ssh"));
}

static int look_for_end(struct ts_flow *f, bool *moved, struct ts_err *err)
{
        int rc;

        if (!f->opts.command && f->gone && f->up_closed) { /* delivered, and nobody wants to hear the answer */
                f->finished = true;
                return 0;
        }
        if (!f->down_eof && half_empty(&f->down) && libssh2_channel_eof(f->ch) == 1) {
                f->down_eof = *moved = true;
                (void)shutdown(f->fd, SHUT_WR);
        }
        if (!f->down_eof)
                return 0;
        rc = libssh2_channel_wait_closed(f->ch);
        if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN)
                return ts_ssh_fail(f->s, rc, "the end of the channel", err);
        f->finished = rc == 0 || (!f->opts.command && f->up_closed);
        return f->finished && f->mark && !f->gone ? was_not_run(f, err) : 0;
}

static const struct {
        const char *name;
        int number;
} signals[] = {
        { "ABRT", SIGABRT }, { "ALRM", SIGALRM }, { "FPE", SIGFPE },   { "HUP", SIGHUP },   { "ILL", SIGILL },
        { "INT", SIGINT },   { "KILL", SIGKILL }, { "PIPE", SIGPIPE }, { "QUIT", SIGQUIT }, { "SEGV", SIGSEGV },
        { "TERM", SIGTERM }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },
};

static int exit_status(struct ts_ssh *s, LIBSSH2_CHANNEL *ch)
{
        char *name = NULL;
        size_t len = 0;
        int status = 255; /* a signal without a portable name */

        if (libssh2_channel_get_exit_signal(ch, &name, &len, NULL, NULL, NULL, NULL) != 0 || !name)
                return libssh2_channel_get_exit_status(ch);
        for (size_t i = 0; i < TS_ARRAY_LEN(signals); i++) {
                if (strcmp(name, signals[i].name) == 0)
                        status = 128 + signals[i].number;
        }
        libssh2_free(s->session, name);
        return status;
}

/* ---- the thread ---- */

static void watch_caller(const struct ts_flow *f, struct pollfd *p)
{
        bool read = half_empty(&f->up) && !f->up_eof && !f->up_closed && ts_ssh_unsent(f->s) < TS_SSH_OUT_SOFT;

        *p = (struct pollfd){ .fd = f->fd };
        if (f->gone || (f->up_eof && f->down_eof))
                p->fd = -1; /* it would only say POLLHUP, again and again */
        p->events = (short)((read ? POLLIN : 0) | (half_empty(&f->down) ? 0 : POLLOUT));
}

/* POLLHUP: both directions are shut, so the caller closed the pair, or shut its side after we shut ours. What it wrote before is still there to be read. */
static void caller_hung_up(struct ts_flow *f)
{
        f->gone = true;
        if (!f->opts.command && !f->linger)
                f->linger = ts_deadline_in_ms(LINGER_MS);
}

static int one_turn(struct ts_flow *f, bool *moved, struct ts_err *err)
{
        *moved = false;
        if (move_up(f, moved, err) < 0 || move_down(f, moved, err) < 0 || move_errs(f, moved, err) < 0)
                return -1;
        return look_for_end(f, moved, err);
}

static int pump(struct ts_flow *f, struct ts_err *err)
{
        for (;;) {
                struct pollfd p;
                bool moved;

                if (one_turn(f, &moved, err) < 0)
                        return -1;
                if (f->finished || (f->linger && ts_deadline_passed(f->linger)))
                        return 0;
                watch_caller(f, &p);
                if (ts_ssh_wait(f->s, &p, 1, moved ? NOW : f->linger, err) < 0)
                        return -1;
                if (p.fd >= 0 && p.revents & (POLLHUP | POLLERR))
                        caller_hung_up(f);
        }
}

/* A command that is to end at once. Closing its channel only closes its pipes; OpenSSH also takes a signal, which libssh2 can send since 1.11. */
static void kill_command(struct ts_flow *f)
{
#if LIBSSH2_VERSION_NUM >= 0x010b00
        if (f->opts.command && !f->s->dead) {
                (void)libssh2_channel_signal_ex(f->ch, "KILL", 4);
                (void)ts_ssh_flush(f->s, NULL);
        }
#else
        (void)f;
#endif
}

/* Is the channel closed in good order, so that the session can carry another one? */
static bool close_channel(struct ts_flow *f)
{
        ts_auto_err ignored = TS_ERR_INIT;
        ts_deadline deadline = ts_deadline_in_ms(CLOSE_MS);

        if (f->s->dead)
                return false;
        if (TS_SSH_AWAIT(f->s, deadline, "closing a channel", &ignored, libssh2_channel_close(f->ch)) != 0)
                return false;
        return TS_SSH_AWAIT(f->s, deadline, "closing a channel", &ignored, libssh2_channel_free(f->ch)) == 0 &&
               ts_ssh_flush(f->s, &ignored) == 0;
}

static void say_tunnel_trouble(const struct ts_flow *f)
{
        if (f->opts.command)
                return;
        if (f->errs.text.len)
                ts_debug("tunnel through %s: its helper said '%s'", f->s->conf->alias, f->errs.text.buf);
        if (ts_err_is_set(&f->err))
                ts_debug("tunnel through %s: %s", f->s->conf->alias, ts_err_message(&f->err));
}

/* The caller must see the end after the last byte, and not a reset because of bytes that nobody took. */
static void close_pair(struct ts_flow *f)
{
        (void)shutdown(f->fd, SHUT_RDWR);
        while (!ts_err_is_set(&f->err) && recv(f->fd, f->up.buf, CHUNK, MSG_DONTWAIT) > 0)
                ;
        (void)close(TS_TAKE_FD(f->fd));
}

static void *flow_main(void *arg)
{
        struct ts_flow *f = arg;
        uint64_t one = 1;
        bool reusable = false;

        if (pump(f, &f->err) < 0) {
                kill_command(f);
        } else {
                if (f->opts.command)
                        f->status = exit_status(f->s, f->ch);
                reusable = close_channel(f);
        }
        say_tunnel_trouble(f);
        close_pair(f);
        f->s->stop_fd = -1;
        if (!reusable) {
                ts_ssh_free(f->s);
                f->s = NULL;
        }
        f->opts.release(f->opts.ctx, TS_TAKE(f->s));
        (void)!write(f->done_fd, &one, sizeof(one));
        return NULL;
}

/* ---- the outside ---- */

static struct ts_flow *flow_new(struct ts_ssh *s, LIBSSH2_CHANNEL *ch, const struct ts_flow_opts *opts)
{
        struct ts_flow *f = calloc(1, sizeof(*f));

        if (!f)
                return NULL;
        f->opts = *opts;
        f->s = s;
        f->ch = ch;
        f->fd = -1;
        f->mark = opts->mark ? ts_fmt("%s\n", opts->mark) : NULL;
        f->errs.max = opts->err_max;
        f->errs.whole = opts->err_whole;
        f->errs.text.max = opts->err_max;
        f->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        f->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        f->up.buf = malloc(CHUNK);
        f->down.buf = malloc(CHUNK);
        return f;
}

static int flow_run(struct ts_flow *f, int *ret_fd, struct ts_err *err)
{
        int pair[2];

        if (f->stop_fd < 0 || f->done_fd < 0 || !f->up.buf || !f->down.buf ||
            (f->opts.mark && !f->mark))
                return ts_err_set(err, TS_ENOMEM, "no memory or descriptors for another flow");
        if (ts_socketpair_wide(pair, err) < 0)
                return -1;
        f->fd = pair[1];
        f->s->stop_fd = f->stop_fd;
        if (ts_thread_start(&f->thread, "ssh", flow_main, f, err) < 0) {
                (void)close(pair[0]);
                return -1;
        }
        f->started = true;
        *ret_fd = pair[0];
        return 0;
}

int ts_flow_start(struct ts_ssh *s, LIBSSH2_CHANNEL *ch, const struct ts_flow_opts *opts, struct ts_flow **ret, int *ret_fd,
                  struct ts_err *err)
{
        struct ts_flow *f = flow_new(s, ch, opts);

        if (!f) {
                ts_ssh_free(s);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        if (flow_run(f, ret_fd, err) < 0) {
                ts_flow_free(f);
                return -1;
        }
        *ret = f;
        return 0;
}

bool ts_flow_is_done(const struct ts_flow *f)
{
        struct pollfd p = { .fd = f->done_fd, .events = POLLIN };

        return f->joined || poll(&p, 1, 0) > 0;
}

static void flow_join(struct ts_flow *f)
{
        if (f->started && !f->joined)
                (void)pthread_join(f->thread, NULL);
        f->joined = true;
}

int ts_flow_wait(struct ts_flow *f, ts_deadline deadline, int *ret_status, struct ts_err *err)
{
        struct pollfd p = { .fd = f->done_fd, .events = POLLIN };

        while (!f->joined && poll(&p, 1, ts_deadline_poll_ms(deadline, -1)) <= 0) {
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "it did not end in time");
        }
        flow_join(f);
        if (ts_err_is_set(&f->err)) {
                ts_err_set(err, f->err.code, "%s", ts_err_message(&f->err));
                return f->err.hint ? ts_err_hint(err, "%s", f->err.hint) : -1;
        }
        *ret_status = f->status;
        return 0;
}

const struct ts_str *ts_flow_stderr(const struct ts_flow *f)
{
        return &f->errs.text;
}

void ts_flow_stop(struct ts_flow *f)
{
        uint64_t one = 1;

        (void)!write(f->stop_fd, &one, sizeof(one));
}

void ts_flow_free(struct ts_flow *f)
{
        if (!f)
                return;
        if (f->stop_fd >= 0)
                ts_flow_stop(f);
        flow_join(f);
        ts_ssh_free(f->s); /* only of a flow that never started */
        if (f->fd >= 0)
                (void)close(f->fd);
        if (f->stop_fd >= 0)
                (void)close(f->stop_fd);
        if (f->done_fd >= 0)
                (void)close(f->done_fd);
        free(f->mark);
        free(f->up.buf);
        free(f->down.buf);
        ts_str_clear(&f->errs.text);
        ts_err_clear(&f->err);
        free(f);
}
