/* Passes a round on. Decides whose word counts when one of the agents ends: the one that said why. */
#include "transfer/ship_impl.h"

#include "base/io.h"
#include "base/thread.h"
#include "transfer/agent/frame.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

#define LOOK_MS 200
#define TICK_NS 100000000

struct ts_ship {
        struct ts_agent *source, *target;
        bool tree;
        unsigned stall_ms;
        pthread_t thread;
        bool has_thread;
        _Atomic uint64_t bytes;
        _Atomic bool given_up;
        _Atomic bool complete; /* the dump is: from here on a stall counts */
        /* The thread's until it was joined. */
        int rc;
        struct ts_err err;
        uint64_t figures[6]; /* of the source's READY */
        uint64_t theirs[6];  /* of the target's */
};

/* Until the source says something. While the dump is being written that may take as long as it takes; the limit begins when it is complete, also for a wait that is under way by then. */
static int wait_for_source(struct ts_ship *s, struct ts_err *err)
{
        ts_deadline deadline = 0;

        for (;;) {
                struct pollfd p = { .fd = ts_duplex_in_fd(s->source->io), .events = POLLIN };

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

/* The target reads no more: what it said before is why. */
static int target_said(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        ts_auto_err nothing = TS_ERR_INIT;
        int n;

        do
                n = ts_frame_read(s->target->io, &f, ts_deadline_in_ms(5000), false, &nothing);
        while (n > 0 && f.type == TS_FRAME_ALIVE);
        return n > 0 ? ts_frame_error(&f, s->target->who, err) : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->target->who);
}

/* What the target says while something is handed over: that it is at long work, or why it has ended. */
static int listen_to_target(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame said = { 0 };
        int n = ts_frame_read(s->target->io, &said, ts_deadline_in_ms(s->stall_ms), true, err);

        if (n <= 0)
                return n < 0 ? ts_err_prefix(err, "agent on '%s'", s->target->who)
                             : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->target->who);
        return said.type == TS_FRAME_ALIVE ? 0 : ts_frame_error(&said, s->target->who, err);
}

/* Until something can be done, or LOOK_MS. Without room at the target, nothing that the source has is of use. */
static void await(const struct ts_ship *s, bool source)
{
        struct pollfd p[2] = { { .fd = ts_duplex_in_fd(s->target->io), .events = POLLIN },
                               { .fd = source ? ts_duplex_in_fd(s->source->io) : ts_duplex_out_fd(s->target->io), .events = POLLIN } };

        (void)poll(p, 2, LOOK_MS);
}

/* The next so many bytes of the source, which are one frame. */
static int hand_over(struct ts_ship *s, size_t left, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(s->stall_ms);

        while (left) {
                bool source = ts_duplex_writable(s->target->io);
                ssize_t n;

                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by a signal");
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "the agent on '%s' %s nothing for %u ms",
                                          source ? s->source->who : s->target->who, source ? "says" : "takes", s->stall_ms);
                if (ts_duplex_readable(s->target->io)) {
                        if (listen_to_target(s, err) < 0)
                                return -1;
                        deadline = ts_deadline_in_ms(s->stall_ms);
                }
                n = ts_duplex_pass(s->source->io, s->target->io, left);
                if (n > 0) {
                        left -= (size_t)n;
                        deadline = ts_deadline_in_ms(s->stall_ms);
                } else if (n == 0) {
                        return ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->source->who);
                } else if (errno == EAGAIN) {
                        await(s, source);
                } else {
                        return errno == EPIPE ? target_said(s, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
                }
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

/* What the source says that is not for the target. 1: its READY. */
static int hear(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        int n = ts_frame_read(s->source->io, &f, ts_deadline_in_ms(s->stall_ms), false, err);

        if (n <= 0)
                return n < 0 ? ts_err_prefix(err, "agent on '%s'", s->source->who)
                             : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->source->who);
        if (f.type == TS_FRAME_ALIVE)
                return 0;
        return read_ready(&f, s->source->who, s->figures, err) < 0 ? -1 : 1;
}

/* One frame of the source, or the wait for it. 1: it was its READY. */
static int pass_one(struct ts_ship *s, struct ts_err *err)
{
        uint32_t type;
        size_t len;
        int n = ts_frame_peek(s->source->io, &type, &len, err);

        if (n < 0 || (n == 0 && wait_for_source(s, err) < 0))
                return ts_err_prefix(err, "agent on '%s'", s->source->who);
        if (n == 0)
                return 0;
        if (!ts_frame_is_data(type))
                return hear(s, err);
        if (ts_rate_take(s->source->rate, len, &s->given_up, err) < 0 || hand_over(s, len, err) < 0)
                return -1;
        atomic_fetch_add(&s->bytes, len);
        return 0;
}

static int pass_on(struct ts_ship *s, struct ts_err *err)
{
        int n = 0;

        while (n == 0)
                n = ts_stop_signal ? ts_err_set(err, TS_ECANCELED, "stopped by a signal") : pass_one(s, err);
        return n;
}

static int wait_for_target(struct ts_ship *s, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        int n;

        do
                n = ts_frame_read(s->target->io, &f, ts_deadline_in_ms(s->stall_ms), true, err);
        while (n > 0 && f.type == TS_FRAME_ALIVE);
        if (n <= 0)
                return n < 0 ? ts_err_prefix(err, "agent on '%s'", s->target->who)
                             : ts_err_set(err, TS_ECONNECT, "the agent on '%s' ended", s->target->who);
        return read_ready(&f, s->target->who, s->theirs, err);
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
        if (first && ts_frame_write(source->io, first, ts_deadline_in_ms(stall_ms), true, err) < 0)
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
            ts_frame_write(s->source->io, &f, ts_deadline_in_ms(s->stall_ms), false, NULL) < 0)
                ts_duplex_break(s->source->io); /* the thread knows better why */
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
        ret->unset = s->tree ? s->theirs[0] : 0;
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
                ts_duplex_break(s->source->io);
                ts_duplex_break(s->target->io);
        }
        join(s);
        ts_err_clear(&s->err);
        free(s);
}
