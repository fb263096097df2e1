/* Passes a round on. Decides whose word counts when one of the agents ends: the one that said why. */
#include "transfer/ship_impl.h"

#include "base/io.h"
#include "base/thread.h"
#include "transfer/agent/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#define LOOK_MS 200
#define PIPE_SIZE (1 << 20)
#define TICK_NS 100000000

struct ts_ship {
        struct ts_agent *source, *target;
        bool tree;
        unsigned stall_ms;
        pthread_t thread;
        bool has_thread;
        int pipe[2];
        _Atomic uint64_t bytes;
        _Atomic bool given_up;
        _Atomic bool complete; /* the dump is: from here on a stall counts */
        /* The thread's until it was joined. */
        int rc;
        struct ts_err err;
        uint64_t figures[6]; /* of the source's READY */
};

/* Until the source says something. While the dump is being written that may take as long as it takes; the limit begins when it is complete, also for a wait that is under way by then. */
static int wait_for_source(struct ts_ship *s, struct ts_err *err)
{
        ts_deadline deadline = 0;

        for (;;) {
                struct pollfd p = { .fd = s->source->fd, .events = POLLIN };

                if (poll(&p, 1, LOOK_MS) > 0)
                        return 0;
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by a signal");
                if (!deadline && atomic_load(&s->complete))
                        deadline = ts_deadline_in_ms(s->stall_ms);
                if (deadline && ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "the agent on '%s' is silent for %u ms", s->source->who, s->stall_ms);
        }
}

/* The target's end is shut: what it said before is why. */
static int target_said(struct ts_ship *s, int e, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        ts_auto_err nothing = TS_ERR_INIT;
        int n;

        do
                n = ts_frame_read(s->target->fd, &f, ts_deadline_in_ms(5000), false, &nothing);
        while (n > 0 && f.type == TS_FRAME_ALIVE);
        if (n > 0)
                return ts_frame_error(&f, s->target->who, err);
        return ts_err_errno(err, e, "agent on '%s'", s->target->who);
}

/* What the target says while something is handed over: that it is at long work, or why it has ended. */
static int listen_to_target(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame said = { 0 };
        int n = ts_frame_read(s->target->fd, &said, ts_deadline_in_ms(s->stall_ms), true, err);

        if (n <= 0)
                return n < 0 ? ts_err_prefix(err, "agent on '%s'", s->target->who)
                             : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->target->who);
        return said.type == TS_FRAME_ALIVE ? 0 : ts_frame_error(&said, s->target->who, err);
}

/* A frame on its way: its head is written, its body goes through a pipe, so that its bytes are not copied here. */
struct passing {
        unsigned char head[TS_FRAME_HEAD];
        size_t head_left, left, piped; /* left: bytes of the body that the source still has */
};

static bool wants_source(const struct passing *p)
{
        return !p->head_left && !p->piped && p->left;
}

/* Bytes moved; 0: the source's end; -1: errno. */
static ssize_t move_some(struct ts_ship *s, struct passing *p)
{
        ssize_t n;

        if (p->head_left) {
                n = send(s->target->fd, p->head + TS_FRAME_HEAD - p->head_left, p->head_left,
                         MSG_DONTWAIT | MSG_NOSIGNAL | (p->left ? MSG_MORE : 0));
                p->head_left -= n > 0 ? (size_t)n : 0;
        } else if (wants_source(p)) {
                n = splice(s->source->fd, NULL, s->pipe[1], NULL, p->left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
                p->left -= n > 0 ? (size_t)n : 0;
                p->piped += n > 0 ? (size_t)n : 0;
        } else {
                n = splice(s->pipe[0], NULL, s->target->fd, NULL, p->piped, SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (p->left ? SPLICE_F_MORE : 0));
                p->piped -= n > 0 ? (size_t)n : 0;
        }
        return n;
}

static int hand_over(struct ts_ship *s, uint32_t type, size_t len, struct ts_err *err)
{
        struct passing p = { .head_left = TS_FRAME_HEAD, .left = len };
        ts_deadline deadline = ts_deadline_in_ms(s->stall_ms);

        ts_frame_head(type, len, p.head);
        while (p.head_left || p.piped || p.left) {
                bool source = wants_source(&p);
                struct pollfd w[2] = { { .fd = s->target->fd, .events = (short)(POLLIN | (source ? 0 : POLLOUT)) },
                                       { .fd = source ? s->source->fd : -1, .events = POLLIN } };
                ssize_t n;

                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by a signal");
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "the agent on '%s' %s nothing for %u ms",
                                          source ? s->source->who : s->target->who, source ? "says" : "takes", s->stall_ms);
                if (poll(w, 2, LOOK_MS) <= 0)
                        continue;
                if (w[0].revents & POLLIN) {
                        if (listen_to_target(s, err) < 0)
                                return -1;
                        deadline = ts_deadline_in_ms(s->stall_ms);
                } else if (w[0].revents & (POLLERR | POLLHUP)) {
                        return target_said(s, EPIPE, err);
                }
                if (!(source ? w[1].revents : w[0].revents & POLLOUT))
                        continue;
                n = move_some(s, &p);
                if (n < 0 && errno != EAGAIN && errno != EINTR) {
                        if (w[0].revents & POLLIN)
                                continue; /* it says why, in its next message */
                        return source ? ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended (%s)", s->source->who, strerrorname_np(errno))
                                      : target_said(s, errno, err);
                }
                if (n == 0)
                        return ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->source->who);
                if (n > 0)
                        deadline = ts_deadline_in_ms(s->stall_ms);
        }
        return 0;
}

static int read_ready(const struct ts_frame *f, const char *who, uint64_t figures[6], struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);

        if (f->type != TS_FRAME_READY)
                return ts_frame_error(f, who, err);
        for (size_t i = 0; i < 6; i++)
                figures[i] = ts_get_u64(&u);
        return ts_unpack_end(&u, f, err);
}

static int pass_on(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        size_t len = 0;

        for (;;) {
                ts_deadline deadline;
                int n;

                if (wait_for_source(s, err) < 0)
                        return ts_err_prefix(err, "agent on '%s'", s->source->who);
                deadline = ts_deadline_in_ms(s->stall_ms);
                n = ts_frame_read_head(s->source->fd, &f, &len, deadline, false, err);
                if (n <= 0)
                        return n < 0 ? ts_err_prefix(err, "agent on '%s'", s->source->who)
                                     : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->source->who);
                if (ts_frame_is_data(f.type)) {
                        if (ts_rate_take(s->source->rate, len, &s->given_up, err) < 0 || hand_over(s, f.type, len, err) < 0)
                                return -1;
                        atomic_fetch_add(&s->bytes, len);
                        continue;
                }
                if (ts_frame_read_body(s->source->fd, &f, len, deadline, false, err) < 0)
                        return ts_err_prefix(err, "agent on '%s'", s->source->who);
                if (f.type != TS_FRAME_ALIVE)
                        return read_ready(&f, s->source->who, s->figures, err);
        }
}

static int wait_for_target(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        uint64_t none[6];
        int n;

        do
                n = ts_frame_read(s->target->fd, &f, ts_deadline_in_ms(s->stall_ms), true, err);
        while (n > 0 && f.type == TS_FRAME_ALIVE);
        if (n <= 0)
                return n < 0 ? ts_err_prefix(err, "agent on '%s'", s->target->who)
                             : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->target->who);
        return read_ready(&f, s->target->who, none, err);
}

static void *run(void *arg)
{
        struct ts_ship *s = arg;

        s->rc = pass_on(s, &s->err) < 0 || wait_for_target(s, &s->err) < 0 ? -1 : 0;
        return NULL;
}

static int begin(struct ts_agent *source, struct ts_agent *target, const struct ts_frame *first, unsigned stall_ms, struct ts_ship **ret,
                 struct ts_err *err)
{
        ts_auto(ts_ship) struct ts_ship *s = calloc(1, sizeof(*s));

        if (!s)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        s->source = source;
        s->target = target;
        s->tree = !first;
        s->stall_ms = stall_ms;
        s->pipe[0] = s->pipe[1] = -1;
        if (ts_pipe(s->pipe, err) < 0)
                return -1;
        (void)fcntl(s->pipe[0], F_SETPIPE_SZ, PIPE_SIZE); /* else a smaller one, which does as well */
        if (ts_set_nonblock(target->fd, true, err) < 0)
                return -1;
        if (first && ts_frame_write(source->fd, first, ts_deadline_in_ms(stall_ms), true, err) < 0)
                return ts_err_prefix(err, "agent on '%s'", source->who);
        if (ts_thread_start(&s->thread, "ship", run, s, err) < 0)
                return -1;
        s->has_thread = true;
        *ret = TS_TAKE(s);
        return 0;
}

int ts_ship_begin(struct ts_agent *source, struct ts_agent *target, const char *name, unsigned stall_ms, struct ts_ship **ret,
                  struct ts_err *err)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_WATCH);
        return ts_put_text(&f, ts_or(name, "."), err) < 0 ? -1 : begin(source, target, &f, stall_ms, ret, err);
}

int ts_ship_begin_tree(struct ts_agent *source, struct ts_agent *target, unsigned stall_ms, struct ts_ship **ret, struct ts_err *err)
{
        return begin(source, target, NULL, stall_ms, ret, err);
}

_Static_assert((int)TS_SHIP_PAGES == (int)TS_ROUND_PAGES && (int)TS_SHIP_FINAL == (int)TS_ROUND_FINAL &&
                       (int)TS_SHIP_EARLIER == (int)TS_ROUND_EARLIER,
               "kinds of rounds");

void ts_ship_end(struct ts_ship *s, enum ts_ship_kind kind)
{
        ts_auto_frame f = { 0 };

        atomic_store(&s->complete, true);
        ts_frame_begin(&f, s->tree ? TS_FRAME_SCAN : TS_FRAME_FINISH);
        if (ts_put_u32(&f, s->tree ? kind == TS_SHIP_FINAL : kind, NULL) < 0 ||
            ts_frame_write(s->source->fd, &f, ts_deadline_in_ms(s->stall_ms), false, NULL) < 0)
                (void)shutdown(s->source->fd, SHUT_RDWR); /* the thread knows better why */
}

static void join(struct ts_ship *s)
{
        if (s->has_thread)
                (void)pthread_join(s->thread, NULL);
        s->has_thread = false;
}

static void join_ticking(struct ts_ship *s, void (*tick)(void *ctx), void *ctx)
{
        while (s->has_thread) {
                struct timespec until;

                (void)clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_nsec += TICK_NS;
                until.tv_sec += until.tv_nsec / 1000000000;
                until.tv_nsec %= 1000000000;
                if (pthread_clockjoin_np(s->thread, NULL, CLOCK_MONOTONIC, &until) == 0)
                        s->has_thread = false;
                else
                        tick(ctx);
        }
}

int ts_ship_wait(struct ts_ship *s, void (*tick)(void *ctx), void *ctx, struct ts_ship_stats *ret, struct ts_err *err)
{
        uint64_t *const dump[] = { &ret->pages, &ret->zero, &ret->same, &ret->copied, &ret->sent }, *const tree[] = {
                &ret->objects, &ret->changed, &ret->removed, &ret->bytes_read, &ret->bytes_sent
        };

        if (tick)
                join_ticking(s, tick, ctx);
        join(s);
        if (s->rc < 0) {
                ts_err_move(err, &s->err);
                return -1;
        }
        *ret = (struct ts_ship_stats){ .bytes = atomic_load(&s->bytes) };
        for (size_t i = 0; i < TS_ARRAY_LEN(dump); i++)
                *(s->tree ? tree : dump)[i] = s->figures[i];
        return 0;
}

uint64_t ts_ship_bytes(const struct ts_ship *s)
{
        return atomic_load(&s->bytes);
}

void ts_ship_free(struct ts_ship *s)
{
        if (s->has_thread) { /* the thread sees the end of both */
                atomic_store(&s->given_up, true);
                (void)shutdown(s->source->fd, SHUT_RDWR);
                (void)shutdown(s->target->fd, SHUT_RDWR);
        }
        join(s);
        ts_closep(&s->pipe[0]);
        ts_closep(&s->pipe[1]);
        ts_err_clear(&s->err);
        free(s);
}
