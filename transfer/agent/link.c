/* See link.h. Decides which strand carries what, and when the stream is at its end. */
#include "transfer/agent/link.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/thread.h"
#include "transfer/agent/join.h"
#include "transfer/agent/strand.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define STRANDS_MAX 32U
#define DROPS_MAX 64U
#define BLOCKS_MAX 1024U      /* not taken yet, in one direction: many small ones are no way to fill a memory */
#define LASTING_US 5000000U   /* a strand that lived so long was a good one */
#define ACK_AFTER (TS_LINK_WINDOW / 8)
#define TURN_BLOCKS 256U

struct ts_link {
        /* Never changes */
        bool names, closes_both;
        int listen_fd, wake_fd;
        pthread_t thread;
        bool has_thread;

        pthread_mutex_t lock; /* for these: */
        pthread_cond_t changed;
        struct ts_strand *adding;
        struct ts_link_state state;
        uint64_t next_name;
        unsigned patience_ms;
        bool stop, forsaken;

        /* The thread's: */
        struct ts_duplex *io; /* our end */
        bool gone;            /* the program closed its end: nobody reads */
        bool wrong;           /* nonsense came */
        ts_deadline lonely;   /* without a strand: until then. Strands that break before they carried anything do not put it off */
        uint64_t lonely_at;   /* bytes moved by then */
        struct ts_strand *strands;
        struct {
                struct ts_block *first, *last; /* not taken by the other side yet, in order */
                struct ts_block *next;         /* NULL, or no block before this one still has to be given to a strand */
                unsigned n;
                uint64_t end, taken; /* offsets: of what comes next; before it the other side has taken everything */
                bool ended;
        } out;
        struct {
                struct ts_block *first; /* not taken by the program yet, in order; perhaps with gaps */
                unsigned n;
                uint64_t taken, told; /* offsets: taken by the program; told to the other side */
                bool end_came, ended; /* the program was told */
        } in;
        uint64_t drops[DROPS_MAX];  /* names of the strands lost last, */
        size_t n_drops, told_drops; /* and how many of them were told */
};

static void wake(struct ts_link *l)
{
        uint64_t one = 1;

        (void)!write(l->wake_fd, &one, sizeof(one));
}

static uint64_t size_of(const struct ts_block *b)
{
        return b->kind == TS_BLOCK_END ? 1 : b->len;
}

/* ---- out ---- */

static void append(struct ts_link *l, struct ts_block *b)
{
        b->at = l->out.end;
        if (l->out.last)
                l->out.last->next = b;
        else
                l->out.first = b;
        l->out.last = b;
        if (!l->out.next)
                l->out.next = b;
        l->out.end += size_of(b);
        l->out.n++;
}

/* What was taken goes; a block that is being sent once more stays until it went. */
static void forget_taken(struct ts_link *l)
{
        struct ts_block *b;

        while ((b = l->out.first) && !b->leaving && b->at + size_of(b) <= l->out.taken) {
                l->out.first = b->next;
                if (!b->next)
                        l->out.last = NULL;
                if (l->out.next == b)
                        l->out.next = b->next;
                l->out.n--;
                ts_block_free(b);
        }
}

static bool wants_more(const struct ts_link *l)
{
        return !l->out.ended && l->out.n < BLOCKS_MAX && l->out.end - l->out.taken < TS_LINK_WINDOW;
}

/* What the program wrote, or its end. A small one is worth a copy: it may have come in a large one. NULL: out of memory. */
static struct ts_block *block_of(struct ts_block *b)
{
        struct ts_block *small;

        if (!b)
                return ts_block_new(TS_BLOCK_END, 0, NULL, 0);
        if (b->len > TS_BLOCK_MAX / 2 || b->len == b->room)
                return b;
        small = ts_block_new(TS_BLOCK_DATA, 0, b->data, b->len);
        ts_block_free(b);
        return small;
}

/* Something was read. */
static bool read_program(struct ts_link *l)
{
        struct ts_block *b = NULL;
        int n;

        if (!wants_more(l))
                return false;
        n = ts_duplex_take(l->io, &b);
        if (n == 0)
                return false;
        b = block_of(b);
        l->wrong |= !b;
        if (!b)
                return false;
        append(l, b);
        l->out.ended = n < 0;
        return true;
}

static struct ts_block *next_block(struct ts_link *l)
{
        struct ts_block *b = l->out.next;

        while (b && (b->on || b->leaving))
                b = b->next;
        l->out.next = b ? b->next : NULL;
        return b;
}

static struct ts_block *next_word(struct ts_link *l)
{
        struct ts_block *b = NULL;

        if (l->told_drops < l->n_drops) {
                b = ts_block_new(TS_BLOCK_DROP, l->drops[l->told_drops], NULL, 0);
                l->told_drops += b != NULL;
        } else if (l->in.taken - l->in.told >= ACK_AFTER || (l->in.taken != l->in.told && !l->in.first)) {
                b = ts_block_new(TS_BLOCK_ACK, l->in.taken, NULL, 0);
                if (b)
                        l->in.told = l->in.taken;
        }
        return b;
}

static bool has_tls(const struct ts_link *l)
{
        for (const struct ts_strand *s = l->strands; s; s = s->next)
                if (s->tls && !s->broken && s->name != TS_STRAND_UNNAMED)
                        return true;
        return false;
}

/* One whose name is not known could be lost without a word. rests: it gets nothing new. -1: broken. */
static int feed(struct ts_link *l, struct ts_strand *s, bool rests)
{
        while (s->name != TS_STRAND_UNNAMED) {
                int n;

                if (!s->leaving) {
                        if (rests)
                                return 0;

                        struct ts_block *b = next_word(l);

                        if (!b)
                                b = next_block(l);
                        if (!b)
                                return 0;
                        ts_strand_give(s, b);
                }
                n = ts_strand_send(s);
                if (n <= 0)
                        return n;
                forget_taken(l);
        }
        return 0;
}

/* ---- in ---- */

/* Between two others, where it does not overlap them; the window bounds what there can be. Takes it over. */
static int take_data(struct ts_link *l, struct ts_block *b)
{
        uint64_t end = l->in.taken + TS_LINK_WINDOW + TS_BLOCK_MAX + 1;
        struct ts_block **at = &l->in.first, *before = NULL;

        while (*at && (*at)->at < b->at) {
                before = *at;
                at = &before->next;
        }
        /* It came before, by a strand that was given up: blocks never change */
        if (b->at < l->in.taken || (*at && (*at)->at == b->at) || l->in.ended) {
                ts_block_free(b);
                return 0;
        }
        if (b->at > end || b->at + size_of(b) > end || l->in.n > BLOCKS_MAX || (before && before->at + size_of(before) > b->at) ||
            (*at && b->at + size_of(b) > (*at)->at)) {
                ts_block_free(b);
                return -1;
        }
        b->next = *at;
        *at = b;
        l->in.end_came |= b->kind == TS_BLOCK_END;
        l->in.n++;
        return 0;
}

static int take_word(struct ts_link *l, struct ts_strand *s, const struct ts_block *b)
{
        switch (b->kind) {
        case TS_BLOCK_ACK:
                if (b->at > l->out.end)
                        return -1;
                if (b->at > l->out.taken)
                        l->out.taken = b->at;
                forget_taken(l);
                return 0;
        case TS_BLOCK_OPEN:
                if (l->names || s->name != TS_STRAND_UNNAMED || b->at == TS_STRAND_UNNAMED)
                        return -1;
                s->name = b->at;
                return 0;
        default: /* DROP */
                if (l->names)
                        return -1;
                for (struct ts_strand *other = l->strands; other; other = other->next)
                        other->broken |= other != s && other->name == b->at;
                return 0;
        }
}

/* One block that came. 1: there may be more; 0: not now; -1: the strand is broken; -2: nonsense came. */
static int drain_one(struct ts_link *l, struct ts_strand *s)
{
        struct ts_block *b = NULL;
        int n = ts_strand_receive(s, &b);

        if (n != 1)
                return n;
        if (b->kind < TS_BLOCK_ACK)
                return take_data(l, b) < 0 ? -2 : 1;
        n = take_word(l, s, b) < 0 ? -2 : 1;
        ts_block_free(b);
        return n;
}

/* Some was left for the next turn: who floods us must not keep us from ending. */
static bool drain(struct ts_link *l, struct ts_strand *s)
{
        int n = 1;

        for (unsigned i = 0; i < TURN_BLOCKS && n == 1; i++)
                n = drain_one(l, s);
        l->wrong |= n == -2;
        s->broken |= n < 0;
        return n == 1;
}

/* The block that comes next for the program, or NULL. An agent without a strand gets nothing: what works for somebody who is gone would be in the way of who comes next. */
static struct ts_block *deliverable(const struct ts_link *l)
{
        return (l->strands || l->names) && l->in.first && l->in.first->at == l->in.taken ? l->in.first : NULL;
}

/* Something was written. */
static bool write_program(struct ts_link *l)
{
        struct ts_block *b = deliverable(l);
        uint64_t size;
        int n = -1;

        if (!b)
                return false;
        size = size_of(b);
        l->in.first = b->next;
        if (b->kind == TS_BLOCK_END) {
                l->in.ended = true;
                ts_duplex_end(l->io);
        } else if (!l->gone) {
                n = ts_duplex_give(l->io, b);
                l->gone = n < 0;
        }
        if (n == 0) {
                l->in.first = b;
                return false;
        }
        l->in.n--;
        l->in.taken += size;
        if (n < 0)
                ts_block_free(b);
        return true;
}

/* ---- strands ---- */

static void count(struct ts_link *l)
{
        unsigned n = 0, tls = 0;

        for (const struct ts_strand *s = l->strands; s; s = s->next) {
                n++;
                tls += s->tls != NULL;
        }
        (void)pthread_mutex_lock(&l->lock);
        l->state.strands = n;
        l->state.tls = tls;
        if (l->in.taken + l->out.taken > l->lonely_at)
                l->lonely = 0;
        if (n == 0 && !l->adding) {
                ts_deadline until = ts_deadline_in_ms(l->patience_ms ? l->patience_ms : 1);

                if (!l->lonely || until < l->lonely)
                        l->lonely = until;
                l->lonely_at = l->in.taken + l->out.taken;
        }
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
}

/* Its blocks are to be given to others, and what was said on it is said again. */
static void lose(struct ts_link *l, struct ts_strand *s)
{
        if (ts_now_us() - s->since_us > LASTING_US)
                l->lonely = 0;
        for (struct ts_block *b = l->out.first; b; b = b->next) {
                if (b->on != s)
                        continue;
                b->on = NULL;
                b->leaving = false;
        }
        l->out.next = l->out.first;
        l->in.told = 0;
        if (l->names) {
                if (l->n_drops == DROPS_MAX)
                        memmove(l->drops, l->drops + 1, --l->n_drops * sizeof(*l->drops));
                l->drops[l->n_drops++] = s->name;
        }
        l->told_drops = 0;
        ts_strand_free(s);
        (void)pthread_mutex_lock(&l->lock);
        l->state.lost++;
        (void)pthread_mutex_unlock(&l->lock);
}

/* Some were. */
static bool lose_broken(struct ts_link *l)
{
        struct ts_strand **at = &l->strands;
        bool some = false;

        while (*at) {
                struct ts_strand *s = *at;

                if (!s->broken) {
                        at = &s->next;
                        continue;
                }
                *at = s->next;
                lose(l, s);
                some = true;
        }
        if (some) {
                forget_taken(l);
                count(l);
        }
        return some;
}

static void take_added(struct ts_link *l)
{
        struct ts_strand *s;
        uint64_t nothing;

        (void)!read(l->wake_fd, &nothing, sizeof(nothing));
        (void)pthread_mutex_lock(&l->lock);
        s = TS_TAKE(l->adding);
        (void)pthread_mutex_unlock(&l->lock);
        while (s) {
                struct ts_strand *next = s->next;

                if (l->names) {
                        struct ts_block *b = ts_block_new(TS_BLOCK_OPEN, l->next_name, NULL, 0);

                        s->name = l->next_name++;
                        if (b)
                                ts_strand_give(s, b);
                        l->wrong |= !b;
                }
                s->since_us = ts_now_us();
                s->next = l->strands;
                l->strands = s;
                s = next;
        }
        count(l);
}

static void let_in(struct ts_link *l)
{
        int fds[2], conn;

        if (ts_join_accept(l->listen_fd, fds, &conn) == 0)
                (void)ts_link_add(l, fds[0], fds[1], conn, NULL);
}

/* ---- the thread ---- */

/* While there is a TLS connection, the SSH channels beside it only stand by. */
static bool work(struct ts_link *l)
{
        bool moved = false, tls;

        for (struct ts_strand *s = l->strands; s; s = s->next)
                moved |= drain(l, s);
        while (write_program(l))
                moved = true;
        while (read_program(l))
                moved = true;
        tls = has_tls(l);
        for (struct ts_strand *s = l->strands; s; s = s->next)
                s->broken |= !s->broken && feed(l, s, tls && !s->tls) < 0;
        return lose_broken(l) || moved;
}

/* Both sides have ended the stream, all of it was taken, and the other side was told so. */
static bool is_finished(const struct ts_link *l)
{
        bool told = l->in.told == l->in.taken;

        for (const struct ts_strand *s = l->strands; s; s = s->next)
                told &= !s->leaving;
        return l->in.ended && l->out.ended && l->out.taken == l->out.end && told;
}

static bool is_over(struct ts_link *l)
{
        bool alone = !l->strands, stop;
        uint64_t moved = l->in.taken + l->out.taken;

        (void)pthread_mutex_lock(&l->lock);
        alone &= !l->adding;
        stop = l->stop || (alone && (l->forsaken || (l->lonely && ts_deadline_passed(l->lonely))));
        l->state.moved = moved;
        if (!l->state.ending && (l->in.ended || l->out.ended)) {
                l->state.ending = true;
                (void)pthread_cond_broadcast(&l->changed);
        }
        (void)pthread_mutex_unlock(&l->lock);
        if (alone) /* then the other side needs no more than to be told, or not even that */
                stop |= l->closes_both ? l->in.end_came : l->in.ended && l->out.ended && l->out.taken == l->out.end;
        return stop || l->wrong || is_finished(l);
}

static void await(struct ts_link *l)
{
        struct pollfd p[4 + 2 * STRANDS_MAX];
        nfds_t n = 4;

        p[0] = (struct pollfd){ .fd = l->wake_fd, .events = POLLIN };
        p[1] = (struct pollfd){ .fd = l->listen_fd, .events = POLLIN };
        p[2] = (struct pollfd){ .fd = wants_more(l) ? ts_duplex_in_fd(l->io) : -1, .events = POLLIN };
        p[3] = (struct pollfd){ .fd = deliverable(l) ? ts_duplex_out_fd(l->io) : -1, .events = POLLIN };
        for (const struct ts_strand *s = l->strands; s && n + 2 <= TS_ARRAY_LEN(p); s = s->next) {
                p[n++] = (struct pollfd){ .fd = s->in, .events = POLLIN };
                p[n++] = (struct pollfd){ .fd = s->leaving ? s->out : -1, .events = POLLOUT };
        }
        if (poll(p, n, l->strands ? -1 : ts_deadline_poll_ms(l->lonely, -1)) <= 0)
                return;
        if (p[0].revents)
                take_added(l);
        if (p[1].revents)
                let_in(l);
}

static void *run(void *arg)
{
        struct ts_link *l = arg;

        count(l);
        while (!is_over(l)) {
                if (!work(l))
                        await(l);
        }
        ts_duplex_close(TS_TAKE(l->io));
        for (struct ts_strand *s = l->strands; s; s = s->next)
                s->broken = true;
        (void)lose_broken(l);
        (void)pthread_mutex_lock(&l->lock);
        l->state.over = true;
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
        return NULL;
}

/* ---- the outside ---- */

static int start(struct ts_link *l, struct ts_duplex **ret_io, struct ts_err *err)
{
        struct ts_duplex *ends[2];

        if (l->wake_fd < 0)
                return ts_err_set(err, TS_EINTERNAL, "no descriptors for another stream");
        if (ts_duplex_new(ends, err) < 0)
                return -1;
        l->io = ends[1];
        if (ts_thread_start(&l->thread, "link", run, l, err) < 0) {
                ts_duplex_close(ends[0]);
                return -1;
        }
        l->has_thread = true;
        *ret_io = ends[0];
        return 0;
}

int ts_link_new(const struct ts_link_opts *o, struct ts_link **ret, struct ts_duplex **ret_io, struct ts_err *err)
{
        ts_auto(ts_link) struct ts_link *l = calloc(1, sizeof(*l));
        pthread_condattr_t monotonic;

        if (!l) {
                ts_closep(&o->listen_fd);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        l->names = o->names;
        l->closes_both = o->closes_both;
        l->listen_fd = o->listen_fd;
        l->patience_ms = o->patience_ms;
        l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        (void)pthread_mutex_init(&l->lock, NULL);
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&l->changed, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        if (start(l, ret_io, err) < 0)
                return -1;
        *ret = TS_TAKE(l);
        return 0;
}

static int add(struct ts_link *l, struct ts_strand *s, struct ts_err *err)
{
        unsigned n = 0;
        bool taken;

        if (!s)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (void)pthread_mutex_lock(&l->lock);
        for (const struct ts_strand *other = l->adding; other; other = other->next)
                n++;
        taken = !l->state.over && l->state.strands + n < STRANDS_MAX;
        if (taken) {
                s->next = l->adding;
                l->adding = s;
        }
        (void)pthread_mutex_unlock(&l->lock);
        if (!taken) {
                ts_strand_free(s);
                return ts_err_set(err, TS_ECANCELED, "the stream is over, or has strands enough");
        }
        wake(l);
        return 0;
}

int ts_link_add(struct ts_link *l, int in, int out, int held, struct ts_err *err)
{
        return add(l, ts_strand_new(in, out, held, NULL), err);
}

int ts_link_add_tls(struct ts_link *l, int fd, struct ts_tls *tls, struct ts_err *err)
{
        return add(l, ts_strand_new(fd, fd, -1, tls), err);
}

void ts_link_patience(struct ts_link *l, unsigned ms)
{
        (void)pthread_mutex_lock(&l->lock);
        l->patience_ms = ms;
        (void)pthread_mutex_unlock(&l->lock);
        wake(l);
}

void ts_link_forsake(struct ts_link *l, bool forsaken)
{
        (void)pthread_mutex_lock(&l->lock);
        l->forsaken = forsaken;
        (void)pthread_mutex_unlock(&l->lock);
        wake(l);
}

/* lock is held. */
static bool wait_for_change(struct ts_link *l, const struct timespec *until)
{
        return pthread_cond_timedwait(&l->changed, &l->lock, until) == 0;
}

static struct timespec in_ms(unsigned ms)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += ms / 1000;
        t.tv_nsec += (long)(ms % 1000) * 1000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        return t;
}

void ts_link_watch(struct ts_link *l, unsigned ms, struct ts_link_state *state)
{
        struct timespec until = in_ms(ms);

        (void)pthread_mutex_lock(&l->lock);
        while (!l->state.over && l->state.strands == state->strands && l->state.ending == state->ending && wait_for_change(l, &until))
                ;
        *state = l->state;
        (void)pthread_mutex_unlock(&l->lock);
}

void ts_link_closing(struct ts_link *l)
{
        (void)pthread_mutex_lock(&l->lock);
        l->state.ending = true;
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
}

void ts_link_end(struct ts_link *l, unsigned linger_ms)
{
        struct timespec until = in_ms(linger_ms);

        (void)pthread_mutex_lock(&l->lock);
        while (!l->state.over && l->state.strands && wait_for_change(l, &until))
                ;
        (void)pthread_mutex_unlock(&l->lock);
}

void ts_link_free(struct ts_link *l)
{
        (void)pthread_mutex_lock(&l->lock);
        l->stop = true;
        (void)pthread_mutex_unlock(&l->lock);
        wake(l);
        if (l->has_thread)
                (void)pthread_join(l->thread, NULL);
        ts_duplex_close(l->io);
        ts_closep(&l->wake_fd);
        ts_closep(&l->listen_fd);
        while (l->adding) {
                struct ts_strand *s = l->adding;

                l->adding = s->next;
                ts_strand_free(s);
        }
        for (struct ts_block *b; (b = l->out.first); ts_block_free(b))
                l->out.first = b->next;
        for (struct ts_block *b; (b = l->in.first); ts_block_free(b))
                l->in.first = b->next;
        (void)pthread_cond_destroy(&l->changed);
        (void)pthread_mutex_destroy(&l->lock);
        free(l);
}
