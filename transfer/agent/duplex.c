/* See duplex.h. Decides how much may lie between the ends, and what its descriptors say. */
#include "transfer/agent/duplex.h"

#include "base/io.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#define ENOUGH ((size_t)1 << 20) /* bytes that wait, blocks' own included: then there is no room for more */
#define SMALL 4096U              /* a block that is passed on in one with others where others wait */

/* One direction. */
struct half {
        struct ts_block *first, *last; /* that wait */
        size_t weight;                 /* of them */
        bool begun;                    /* its reader has one of which something is left */
        bool ended;                    /* nothing more is written */
        bool gone;                     /* nobody reads */
        struct {
                int fd; /* an event */
                bool on;
        } in, out;
};

struct ts_duplex {
        struct pair *pair;
        struct half *in, *out;
        struct ts_block *now; /* the reader's: taken from `in` */
        size_t done;          /* bytes of it that were read */
};

struct pair {
        pthread_mutex_t lock;
        struct half halves[2];
        struct ts_duplex ends[2];
        unsigned open;
};

/* ---- one direction; the lock is held ---- */

static bool can_read(const struct half *h)
{
        return h->first || h->begun || h->ended;
}

static bool can_write(const struct half *h)
{
        return h->weight < ENOUGH || h->ended || h->gone;
}

static void set(int fd, bool *on, bool wanted)
{
        uint64_t n = 1;

        if (*on == wanted)
                return;
        *on = wanted;
        if (wanted)
                (void)!write(fd, &n, sizeof(n));
        else
                (void)!read(fd, &n, sizeof(n));
}

static void tell(struct half *h)
{
        set(h->in.fd, &h->in.on, can_read(h));
        set(h->out.fd, &h->out.on, can_write(h));
}

static size_t weight_of(const struct ts_block *b)
{
        return sizeof(*b) + b->room;
}

static void push(struct half *h, struct ts_block *b)
{
        b->next = NULL;
        if (h->last)
                h->last->next = b;
        else
                h->first = b;
        h->last = b;
        h->weight += weight_of(b);
}

static struct ts_block *pop(struct half *h)
{
        struct ts_block *b = h->first;

        if (!b)
                return NULL;
        h->first = b->next;
        if (!h->first)
                h->last = NULL;
        h->weight -= weight_of(b);
        b->next = NULL;
        return b;
}

static void drop(struct half *h)
{
        for (struct ts_block *b; (b = pop(h));)
                ts_block_free(b);
}

/* ---- making and ending ---- */

static void lock(const struct ts_duplex *d)
{
        (void)pthread_mutex_lock(&d->pair->lock);
}

static void unlock(const struct ts_duplex *d)
{
        (void)pthread_mutex_unlock(&d->pair->lock);
}

static void pair_free(struct pair *p)
{
        for (int i = 0; i < 2; i++) {
                drop(&p->halves[i]);
                ts_closep(&p->halves[i].in.fd);
                ts_closep(&p->halves[i].out.fd);
        }
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
}

int ts_duplex_new(struct ts_duplex *ret[2], struct ts_err *err)
{
        struct pair *p = calloc(1, sizeof(*p));
        bool all = true;

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (void)pthread_mutex_init(&p->lock, NULL);
        p->open = 2;
        for (int i = 0; i < 2; i++) {
                struct half *h = &p->halves[i];

                p->ends[i] = (struct ts_duplex){ .pair = p, .in = h, .out = &p->halves[1 - i] };
                h->in.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                h->out.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
                all &= h->in.fd >= 0 && h->out.fd >= 0;
                if (all)
                        tell(h);
        }
        if (!all) {
                pair_free(p);
                return ts_err_set(err, TS_EINTERNAL, "no descriptors for another stream");
        }
        ret[0] = &p->ends[0];
        ret[1] = &p->ends[1];
        return 0;
}

void ts_duplex_close(struct ts_duplex *d)
{
        struct pair *p = d ? d->pair : NULL;
        bool last;

        if (!d)
                return;
        ts_block_free(TS_TAKE(d->now));
        lock(d);
        drop(d->in);
        d->in->begun = false;
        d->in->gone = d->out->ended = true;
        tell(d->in);
        tell(d->out);
        last = --p->open == 0;
        unlock(d);
        if (last)
                pair_free(p);
}

void ts_duplex_end(struct ts_duplex *d)
{
        lock(d);
        d->out->ended = true;
        tell(d->out);
        unlock(d);
}

void ts_duplex_break(struct ts_duplex *d)
{
        lock(d);
        d->in->ended = d->out->ended = true;
        tell(d->in);
        tell(d->out);
        unlock(d);
}

/* ---- what can be done ---- */

int ts_duplex_in_fd(const struct ts_duplex *d)
{
        return d->in->in.fd;
}

int ts_duplex_out_fd(const struct ts_duplex *d)
{
        return d->out->out.fd;
}

bool ts_duplex_readable(const struct ts_duplex *d)
{
        bool can;

        lock(d);
        can = can_read(d->in);
        unlock(d);
        return can;
}

bool ts_duplex_writable(const struct ts_duplex *d)
{
        bool can;

        lock(d);
        can = can_write(d->out);
        unlock(d);
        return can;
}

/* ---- reading ---- */

/* A block is there in d->now: 1; 0: not now; -1: the end. */
static int look(struct ts_duplex *d)
{
        bool ended;

        if (d->now)
                return 1;
        lock(d);
        d->now = pop(d->in);
        d->done = 0;
        ended = d->in->ended;
        if (d->now) {
                d->in->begun = true;
                tell(d->in);
        }
        unlock(d);
        return d->now ? 1 : ended ? -1 : 0;
}

/* The block in d->now is another one's from here on. */
static struct ts_block *release(struct ts_duplex *d)
{
        lock(d);
        d->in->begun = false;
        tell(d->in);
        unlock(d);
        return TS_TAKE(d->now);
}

/* So many bytes more of it were read. */
static void advance(struct ts_duplex *d, size_t n)
{
        d->done += n;
        if (d->done == d->now->len)
                ts_block_free(release(d));
}

static int look_for_stop(bool cancellable, struct ts_err *err)
{
        return cancellable && ts_stop_signal ? ts_err_set(err, TS_ECANCELED, "stopped by signal %d", (int)ts_stop_signal) : 0;
}

/* Waits until at least so many bytes of the len are there. Fewer: it ended. */
static ssize_t read_least(struct ts_duplex *d, void *buf, size_t len, size_t least, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        size_t got = 0;

        if (look_for_stop(cancellable, err) < 0)
                return -1;
        while (got < len) {
                int there = look(d);
                size_t n;

                if (there == 0 && got < least) {
                        if (ts_wait_fd(d->in->in.fd, POLLIN, "reading", deadline, cancellable, err) < 0)
                                return -1;
                        continue;
                }
                if (there <= 0)
                        break;
                n = d->now->len - d->done < len - got ? d->now->len - d->done : len - got;
                memcpy((char *)buf + got, d->now->data + d->done, n);
                got += n;
                advance(d, n);
        }
        return (ssize_t)got;
}

ssize_t ts_duplex_read(struct ts_duplex *d, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        return read_least(d, buf, len, 1, deadline, cancellable, err);
}

int ts_duplex_read_exact(struct ts_duplex *d, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        ssize_t n = read_least(d, buf, len, len, deadline, cancellable, err);

        if (n < 0)
                return -1;
        return (size_t)n == len ? 0 : ts_err_set(err, TS_EPROTO, "ended early: %zd of %zu bytes", n, len);
}

int ts_duplex_peek(struct ts_duplex *d, void *buf, size_t len)
{
        int there = look(d);

        if (there <= 0)
                return there;
        if (d->now->len - d->done < len)
                return -2;
        memcpy(buf, d->now->data + d->done, len);
        return 1;
}

int ts_duplex_take(struct ts_duplex *d, struct ts_block **ret)
{
        int there = look(d);

        if (there == 1)
                *ret = release(d);
        return there;
}

/* ---- writing ---- */

int ts_duplex_give(struct ts_duplex *d, struct ts_block *b)
{
        int rc;

        lock(d);
        rc = d->out->ended || d->out->gone ? -1 : can_write(d->out);
        if (rc == 1) {
                push(d->out, b);
                tell(d->out);
        }
        unlock(d);
        return rc;
}

struct piece {
        const unsigned char *part[2];
        size_t len[2];
};

static size_t left_of(const struct piece *p)
{
        return p->len[0] + p->len[1];
}

static void fill(struct ts_block *b, struct piece *p)
{
        for (int i = 0; i < 2; i++) {
                size_t room = b->room - b->len, n = p->len[i] < room ? p->len[i] : room;

                if (!n)
                        continue;
                memcpy(b->data + b->len, p->part[i], n);
                b->len += (uint32_t)n;
                p->part[i] += n;
                p->len[i] -= n;
        }
}

/* All of it into the last block that waits, if it has room. waits: there is such a block. */
static bool add_to_last(struct ts_duplex *d, struct piece *p, bool *waits)
{
        struct half *h = d->out;
        bool fits;

        lock(d);
        *waits = h->last;
        fits = h->last && !h->ended && !h->gone && h->last->room - h->last->len >= left_of(p);
        if (fits)
                fill(h->last, p);
        unlock(d);
        return fits;
}

/* Into one block. 1, 0, -1 as ts_duplex_give() says it; -2: out of memory. */
static int write_some(struct ts_duplex *d, struct piece *p)
{
        struct piece left = *p;
        struct ts_block *b;
        bool waits;
        int rc;

        if (!ts_duplex_writable(d))
                return 0;
        if (add_to_last(d, p, &waits))
                return 1;
        /* Where one waits already, others will come before it is read: they shall find room in this one */
        b = waits || left_of(p) > TS_BLOCK_MAX / 2 ? ts_block_roomy() : ts_block_new(TS_BLOCK_DATA, 0, NULL, left_of(p));
        if (!b)
                return -2;
        b->len = 0;
        fill(b, &left);
        rc = ts_duplex_give(d, b);
        if (rc == 1)
                *p = left;
        else
                ts_block_free(b);
        return rc;
}

int ts_duplex_write(struct ts_duplex *d, const void *head, size_t head_len, const void *data, size_t len, ts_deadline deadline,
                    bool cancellable, struct ts_err *err)
{
        struct piece p = { { head, data }, { head_len, len } };

        while (left_of(&p)) {
                if (look_for_stop(cancellable, err) < 0)
                        return -1;
                switch (write_some(d, &p)) {
                case 1:
                        break;
                case 0:
                        if (ts_wait_fd(d->out->out.fd, POLLIN, "writing", deadline, cancellable, err) < 0)
                                return -1;
                        break;
                case -1:
                        return ts_err_set(err, TS_ECONNECT, "lost the other side while writing");
                default:
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                }
        }
        return 0;
}

/* So many bytes of the block that is being read, copied. */
static ssize_t pass_part(struct ts_duplex *from, struct ts_duplex *to, size_t n)
{
        struct piece p = { { from->now->data + from->done }, { n } };
        int rc = write_some(to, &p);

        if (rc != 1) {
                errno = rc == 0 ? EAGAIN : rc == -1 ? EPIPE : ENOMEM;
                return -1;
        }
        advance(from, n);
        return (ssize_t)n;
}

ssize_t ts_duplex_pass(struct ts_duplex *from, struct ts_duplex *to, size_t len)
{
        int there = look(from), rc;
        size_t n;

        if (there <= 0) {
                errno = EAGAIN;
                return there < 0 ? 0 : -1;
        }
        n = from->now->len - from->done;
        if (from->done > 0 || n > len || n <= SMALL)
                return pass_part(from, to, n < len ? n : len);
        rc = ts_duplex_give(to, from->now);
        if (rc != 1) {
                errno = rc == 0 ? EAGAIN : EPIPE;
                return -1;
        }
        (void)release(from);
        return (ssize_t)n;
}
