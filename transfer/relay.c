/* Copies from one descriptor to another. Decides how a stall and a stop are noticed; does not know what the bytes are and closes nothing. */
#include "transfer/relay.h"

#include "base/io.h"
#include "transfer/host_impl.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define CHUNK (256u << 10)
#define LOOK_MS 200       /* how often a wait looks at the stop signal and the progress function */
#define PROGRESS_US 50000 /* and how often the function is called while bytes flow */

struct copy {
        const struct ts_copy_opts *o;
        uint64_t done_bytes;
        ts_deadline stall;
        uint64_t told_us;
        bool is_socket, is_pipe; /* the output */
};

static int tell(struct copy *c, bool now, struct ts_err *err)
{
        uint64_t t = ts_now_us();

        if (!c->o->progress || (!now && t - c->told_us < PROGRESS_US))
                return 0;
        c->told_us = t;
        return c->o->progress(c->o->ctx, c->done_bytes)
                       ? ts_err_set(err, TS_ECANCELED, "stopped after %llu bytes", (unsigned long long)c->done_bytes)
                       : 0;
}

static void moved(struct copy *c)
{
        c->stall = ts_deadline_in_ms(c->o->stall_ms);
}

static int wait_for(struct copy *c, int fd, short events, struct ts_err *err)
{
        for (;;) {
                struct pollfd p = { .fd = fd, .events = events };
                int n;

                if (c->o->cancellable && ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by signal %d", (int)ts_stop_signal);
                n = poll(&p, 1, ts_deadline_poll_ms(c->stall, LOOK_MS));
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return ts_err_errno(err, errno, "cannot wait for descriptor %d", fd);
                if (n == 0 && ts_deadline_passed(c->stall))
                        return ts_err_set(err, TS_ETIMEOUT, "nothing moved for %u ms (%s)", c->o->stall_ms,
                                          events & POLLIN ? "the sender is silent" : "the receiver takes nothing");
                if (tell(c, true, err) < 0)
                        return -1;
        }
}

static int failed(int e, const char *what, struct ts_err *err)
{
        if (e != EPIPE && e != ECONNRESET)
                return ts_err_errno(err, e, "failed while %s", what);
        ts_err_set(err, TS_ECONNECT, "lost the other side while %s", what);
        if (err && err->code == TS_ECONNECT && !err->sys_errno)
                err->sys_errno = e;
        return -1;
}

static bool is_again(int e)
{
        return e == EAGAIN || e == EINTR;
}

static ssize_t read_some(struct copy *c, int fd, char *buf, size_t len, struct ts_err *err)
{
        for (;;) {
                ssize_t n;

                if (wait_for(c, fd, POLLIN, err) < 0)
                        return -1;
                n = read(fd, buf, len);
                if (n >= 0)
                        return n;
                if (!is_again(errno))
                        return failed(errno, "reading", err);
        }
}

/* What fits now, on a descriptor that may be a blocking one. */
static ssize_t write_now(struct copy *c, int fd, char *buf, size_t len)
{
        if (c->is_socket)
                return send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (c->is_pipe) {
                struct iovec v = { buf, len };
                struct pollfd p = { .fd = fd, .events = POLLOUT };
                ssize_t n = pwritev2(fd, &v, 1, -1, RWF_NOWAIT);

                if (n >= 0 || errno != EOPNOTSUPP)
                        return n;
                if (poll(&p, 1, 0) <= 0) { /* a kernel without it: POLLOUT promises PIPE_BUF bytes */
                        errno = EAGAIN;
                        return -1;
                }
                return write(fd, buf, len < PIPE_BUF ? len : PIPE_BUF);
        }
        return write(fd, buf, len);
}

static int write_all(struct copy *c, int fd, char *buf, size_t len, struct ts_err *err)
{
        while (len > 0) {
                ssize_t n = write_now(c, fd, buf, len);

                if (n < 0 && is_again(errno)) {
                        if (wait_for(c, fd, POLLOUT, err) < 0)
                                return -1;
                        continue;
                }
                if (n < 0)
                        return failed(errno, "writing", err);
                buf += n;
                len -= (size_t)n;
                c->done_bytes += (uint64_t)n;
                moved(c);
        }
        return 0;
}

static int copy(struct copy *c, int in_fd, int out_fd, char *buf, struct ts_err *err)
{
        while (c->done_bytes < c->o->size_bytes) {
                uint64_t left = c->o->size_bytes - c->done_bytes;
                ssize_t n = read_some(c, in_fd, buf, left < CHUNK ? (size_t)left : CHUNK, err);

                if (n < 0)
                        return -1;
                if (n == 0 && c->o->size_bytes == UINT64_MAX)
                        return 0;
                if (n == 0)
                        return ts_err_set(err, TS_EPROTO, "ended early: %llu of %llu bytes", (unsigned long long)c->done_bytes,
                                          (unsigned long long)c->o->size_bytes);
                moved(c);
                if (write_all(c, out_fd, buf, (size_t)n, err) < 0 || tell(c, false, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_copy(int in_fd, int out_fd, const struct ts_copy_opts *o, uint64_t *ret_bytes, struct ts_err *err)
{
        struct copy c = { .o = o };
        ts_auto_free char *buf = malloc(CHUNK);
        struct stat st;

        if (!buf)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (fstat(out_fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot write to descriptor %d", out_fd);
        c.is_socket = S_ISSOCK(st.st_mode);
        c.is_pipe = S_ISFIFO(st.st_mode);
        moved(&c);
        if (copy(&c, in_fd, out_fd, buf, err) < 0 || tell(&c, true, err) < 0)
                return -1;
        if (ret_bytes)
                *ret_bytes = c.done_bytes;
        return 0;
}

int ts_relay(int in_fd, int out_fd, uint64_t size_bytes, unsigned stall_ms, ts_progress_fn progress, void *ctx, uint64_t *ret_bytes,
             struct ts_err *err)
{
        const struct ts_copy_opts o = {
                .size_bytes = size_bytes, .stall_ms = stall_ms, .cancellable = true, .progress = progress, .ctx = ctx
        };

        return ts_copy(in_fd, out_fd, &o, ret_bytes, err);
}
