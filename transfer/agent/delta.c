/* See delta.h. Decides step by step what the other side can make of what it holds, with bytes as the evidence. */
#include "transfer/agent/delta.h"

#include "transfer/agent/frame.h"

#include "base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define CHUNK TS_DELTA_DATA_MAX
#define STEP_MAX ((uint64_t)4 << 20) /* of one step, so that the other side can go along */
#define SAME_TAG_MAX 4 /* pages that occur often stand in the index this many times, and are compared with so many candidates */

struct version {
        int fd; /* -1: none */
        uint64_t size;
};

struct file {
        struct version old, new;
        bool done; /* the new one is complete on the other side */
        bool kept; /* there will be no other version */
        bool cut;  /* the other side has put what there was behind the end aside already */
};

/* Where a held page is. */
struct place {
        uint32_t file;
        bool new; /* of which version */
        uint64_t from;
};

/* A place and 20 bits of the page's hash, plus 1: 0 is empty. */
typedef uint64_t slot;
#define TAG_SHIFT 44
#define FILE_SHIFT 33
#define NEW_BIT (1ULL << 32)

struct index {
        slot *slots;
        size_t size, used; /* size: a power of two */
};

struct ts_delta {
        ts_op_fn emit;
        void *ctx;
        struct file *files;
        uint32_t n;
        struct index index;
        struct ts_delta_stats stats;

        struct file *f;           /* under way, or NULL */
        uint64_t pos;             /* everything before it was decided */
        struct ts_digest *digest; /* of the file under way */
        struct ts_op op;          /* held back: may go on. kind 0: none */
        size_t data_len;
        unsigned char *data;         /* of op, if TS_OP_DATA; CHUNK bytes */
        unsigned char *now, *before; /* CHUNK bytes of the new and of the old version at pos */

        /* Held pages are looked at in runs. */
        unsigned char *window;
        int window_fd;
        uint64_t window_from;
        size_t window_len;
        struct place next; /* where the last match would go on */
        bool has_next;
};

struct ts_delta *ts_delta_new(ts_op_fn emit, void *ctx)
{
        struct ts_delta *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->emit = emit;
        d->ctx = ctx;
        d->files = calloc(TS_DELTA_FILES_MAX, sizeof(*d->files));
        d->data = malloc(CHUNK);
        d->now = malloc(CHUNK);
        d->before = malloc(CHUNK);
        d->window = malloc(CHUNK);
        d->window_fd = -1;
        d->digest = ts_digest_new();
        if (d->files && d->data && d->now && d->before && d->window && d->digest)
                return d;
        ts_delta_free(d);
        return NULL;
}

static void drop(struct version *v)
{
        if (v->fd >= 0)
                (void)close(v->fd);
        *v = (struct version){ .fd = -1 };
}

void ts_delta_free(struct ts_delta *d)
{
        for (uint32_t i = 0; i < d->n; i++) {
                drop(&d->files[i].old);
                drop(&d->files[i].new);
        }
        free(d->files);
        free(d->index.slots);
        free(d->data);
        free(d->now);
        free(d->before);
        free(d->window);
        if (d->digest)
                ts_digest_free(d->digest);
        free(d);
}

const struct ts_delta_stats *ts_delta_stats(const struct ts_delta *d)
{
        return &d->stats;
}

/* ---- reading ---- */

/* A held page, or NULL: not there (yet), or unreadable, which is the same to us. */
static const unsigned char *held_page(struct ts_delta *d, const struct place *at)
{
        const struct file *f = &d->files[at->file];
        int fd = at->new ? f->new.fd : f->old.fd;
        uint64_t from = at->from, size = !at->new    ? f->old.size
                                         : f == d->f ? d->pos
                                                     : f->new.size; /* of the file under way, what lies behind us is not there yet */

        if (from + TS_PAGE > size)
                return NULL;
        if (fd != d->window_fd || from < d->window_from || from + TS_PAGE > d->window_from + d->window_len) {
                size_t want = !d->has_next          ? TS_PAGE
                              : size - from < CHUNK ? (size_t)(size - from)
                                                    : CHUNK; /* one page, until it proves to be the first of many */
                ssize_t n = pread(fd, d->window, want, (off_t)from);

                d->window_fd = -1;
                if (n < (ssize_t)TS_PAGE)
                        return NULL;
                d->window_fd = fd;
                d->window_from = from;
                d->window_len = (size_t)n;
        }
        return d->window + (from - d->window_from);
}

/* ---- the index ---- */

static uint64_t hash_of(const unsigned char *page)
{
        return XXH3_64bits(page, TS_PAGE);
}

static slot slot_of(uint64_t hash, const struct place *at)
{
        return (hash >> TAG_SHIFT << TAG_SHIFT | (uint64_t)at->file << FILE_SHIFT | (at->new ? NEW_BIT : 0) | at->from / TS_PAGE) + 1;
}

static struct place place_of(slot s)
{
        s--;
        return (struct place){ .file = (uint32_t)(s >> FILE_SHIFT & (TS_DELTA_FILES_MAX - 1)),
                               .new = s &NEW_BIT,
                               .from = (s & (NEW_BIT - 1)) * TS_PAGE };
}

static bool same_tag(slot s, uint64_t hash)
{
        return (s - 1) >> TAG_SHIFT == hash >> TAG_SHIFT;
}

/* Room for that many pages at a load of three quarters; empty. */
static int index_reset(struct index *x, uint64_t pages, struct ts_err *err)
{
        size_t size = 1024;

        while (size / 4 * 3 < pages)
                size *= 2;
        if (size > x->size) {
                free(x->slots);
                *x = (struct index){ .slots = malloc(size * sizeof(slot)), .size = size };
                if (!x->slots) {
                        x->size = 0;
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                }
        }
        memset(x->slots, 0, x->size * sizeof(slot));
        x->used = 0;
        return 0;
}

/* When it is full, or cannot say where it is, the page is not found again: that costs bytes, nothing else. */
static void index_add(struct index *x, uint64_t hash, const struct place *at)
{
        unsigned alike = 0;
        slot s = slot_of(hash, at);

        if (x->used >= x->size / 4 * 3 || at->from / TS_PAGE >= NEW_BIT || s == 0)
                return;
        for (size_t i = hash & (x->size - 1);; i = (i + 1) & (x->size - 1)) {
                if (x->slots[i] == 0) {
                        x->slots[i] = s;
                        x->used++;
                        return;
                }
                if (same_tag(x->slots[i], hash) && ++alike == SAME_TAG_MAX)
                        return;
        }
}

/* Where the other side has this page, if anywhere. */
static bool find(struct ts_delta *d, const unsigned char *page, uint64_t hash, struct place *ret)
{
        const struct index *x = &d->index;
        unsigned tries = 0;

        d->has_next = false;
        for (size_t i = hash & (x->size - 1); x->slots[i]; i = (i + 1) & (x->size - 1)) {
                const unsigned char *held;

                if (!same_tag(x->slots[i], hash))
                        continue;
                *ret = place_of(x->slots[i]);
                held = held_page(d, ret);
                if (held && memcmp(held, page, TS_PAGE) == 0)
                        return true;
                if (++tries == SAME_TAG_MAX)
                        break;
        }
        return false;
}

/* ---- steps ---- */

static int flush(struct ts_delta *d, struct ts_err *err)
{
        struct ts_op op = d->op;

        d->op = (struct ts_op){ 0 };
        if (op.len == 0)
                return 0;
        return d->emit(d->ctx, &op, op.kind == TS_OP_DATA ? d->data : NULL, err);
}

/* Whether the step that is held back can take up another one. at: COPY, REPEAT. */
static bool goes_on(const struct ts_delta *d, enum ts_op_kind kind, const struct place *at, size_t len)
{
        const struct ts_op *op = &d->op;

        if (op->kind != kind || op->len >= STEP_MAX)
                return false;
        if (kind == TS_OP_DATA)
                return op->len + len <= CHUNK;
        if (!at)
                return true;
        if (op->file != at->file || op->from + op->len != at->from)
                return false;
        return kind == TS_OP_COPY || &d->files[at->file] != d->f || at->from + len <= d->pos - op->len; /* written before the step began */
}

static int step(struct ts_delta *d, enum ts_op_kind kind, const struct place *at, const void *data, size_t len, struct ts_err *err)
{
        if (!goes_on(d, kind, at, len)) {
                if (flush(d, err) < 0)
                        return -1;
                d->op = (struct ts_op){ .kind = kind, .file = at ? at->file : 0, .from = at ? at->from : 0 };
        }
        if (kind == TS_OP_DATA)
                memcpy(d->data + d->op.len, data, len);
        d->op.len += len;
        d->pos += len;
        return 0;
}

static int send_page(struct ts_delta *d, const unsigned char *now, uint64_t hash, struct ts_err *err)
{
        index_add(&d->index, hash, &(struct place){ .file = (uint32_t)(d->f - d->files), .new = true, .from = d->pos });
        d->stats.sent++;
        return step(d, TS_OP_DATA, NULL, now, TS_PAGE, err);
}

/* One page, or the file's odd end. before: what the other side has there, or NULL. */
static int decide(struct ts_delta *d, const unsigned char *now, const unsigned char *before, size_t len, struct ts_err *err)
{
        const unsigned char *held;
        struct place at = d->next;

        d->stats.pages++;
        if (before && memcmp(now, before, len) == 0) {
                d->stats.same++;
                return step(d, TS_OP_SAME, NULL, NULL, len, err);
        }
        if (ts_is_zero(now, len)) {
                d->stats.zero++;
                return step(d, TS_OP_ZERO, NULL, NULL, len, err);
        }
        if (len < TS_PAGE) {
                d->stats.sent++;
                return step(d, TS_OP_DATA, NULL, now, len, err);
        }
        held = d->has_next ? held_page(d, &at) : NULL;
        if (!held || memcmp(held, now, TS_PAGE) != 0) {
                uint64_t hash = hash_of(now);

                if (!find(d, now, hash, &at))
                        return send_page(d, now, hash, err);
        }
        d->next = (struct place){ .file = at.file, .new = at.new, .from = at.from + TS_PAGE };
        d->has_next = true;
        d->stats.copied++;
        return step(d, at.new ? TS_OP_REPEAT : TS_OP_COPY, &at, NULL, TS_PAGE, err);
}

/* Everything up to a multiple of the page, or to the end. */
static int go_to(struct ts_delta *d, uint64_t end, struct ts_err *err)
{
        while (d->pos < end) {
                size_t len = end - d->pos < CHUNK ? (size_t)(end - d->pos) : CHUNK, had = 0;

                if (ts_alive_tick(err) < 0 || ts_read_at(d->f->new.fd, d->now, len, d->pos, err) < 0)
                        return -1;
                ts_digest_add(d->digest, d->now, len);
                if (d->pos < d->f->old.size && !d->f->cut) {
                        had = d->f->old.size - d->pos < len ? (size_t)(d->f->old.size - d->pos) : len;
                        if (ts_read_at(d->f->old.fd, d->before, had, d->pos, err) < 0)
                                return -1;
                }
                for (size_t i = 0; i < len; i += TS_PAGE) {
                        size_t n = len - i < TS_PAGE ? len - i : TS_PAGE;

                        if (decide(d, d->now + i, i + n <= had ? d->before + i : NULL, n, err) < 0)
                                return -1;
                }
        }
        return 0;
}

/* ---- files ---- */

int ts_delta_add(struct ts_delta *d, uint32_t *ret_file, struct ts_err *err)
{
        if (d->n == TS_DELTA_FILES_MAX)
                return ts_err_set(err, TS_ELIMIT, "more than %u files to send", TS_DELTA_FILES_MAX);
        *ret_file = d->n;
        d->files[d->n++] = (struct file){ .old.fd = -1, .new.fd = -1 };
        return 0;
}

void ts_delta_forget(struct ts_delta *d, uint32_t file)
{
        drop(&d->files[file].old);
        d->window_fd = -1;
}

void ts_delta_keep(struct ts_delta *d, uint32_t file)
{
        d->files[file].kept = true;
}

int ts_delta_begin(struct ts_delta *d, uint32_t file, int fd, struct ts_err *err)
{
        if (d->f || file >= d->n || d->files[file].done || d->files[file].kept) {
                (void)close(fd);
                return ts_err_set(err, TS_EINTERNAL, "file %" PRIu32 " cannot be sent now", file);
        }
        d->f = &d->files[file];
        d->f->new = (struct version){ .fd = fd };
        ts_digest_begin(d->digest);
        d->pos = 0;
        d->has_next = false;
        if (d->index.size == 0 && index_reset(&d->index, 0, err) < 0)
                return -1;
        return 0;
}

int ts_delta_feed(struct ts_delta *d, uint64_t upto_bytes, struct ts_err *err)
{
        if (!d->f)
                return ts_err_set(err, TS_EINTERNAL, "no file is being sent");
        if (upto_bytes < d->pos)
                return ts_err_set(err, TS_EPROTO, "a file that is being sent became shorter");
        return go_to(d, upto_bytes / TS_PAGE * TS_PAGE, err);
}

int ts_delta_end(struct ts_delta *d, uint64_t size_bytes, unsigned char ret_sum[TS_DIGEST_BYTES], struct ts_err *err)
{
        if (!d->f)
                return ts_err_set(err, TS_EINTERNAL, "no file is being sent");
        if (size_bytes < d->pos)
                return ts_err_set(err, TS_EPROTO, "a file that is being sent became shorter");
        if (go_to(d, size_bytes, err) < 0 || flush(d, err) < 0)
                return -1;
        d->f->new.size = size_bytes;
        d->f->done = true;
        d->f = NULL;
        ts_digest_end(d->digest, ret_sum);
        return 0;
}

int ts_delta_resume(struct ts_delta *d, uint32_t file, struct ts_err *err)
{
        struct file *f = file < d->n ? &d->files[file] : NULL;

        if (d->f || !f || !f->done || f->kept || f->new.size % TS_PAGE)
                return ts_err_set(err, TS_EPROTO, "it has grown after its end");
        ts_digest_begin(d->digest);
        if (ts_digest_add_fd(d->digest, f->new.fd, f->new.size, err) < 0)
                return -1;
        d->f = f;
        f->done = false;
        f->cut = true;
        d->pos = f->new.size;
        d->has_next = false;
        return f->new.fd;
}

static int index_file(struct ts_delta *d, uint32_t file, struct ts_err *err)
{
        const struct version *v = &d->files[file].old;

        for (uint64_t pos = 0; pos + TS_PAGE <= v->size;) {
                size_t len = v->size - pos < CHUNK ? (size_t)(v->size - pos) / TS_PAGE * TS_PAGE : CHUNK;

                if (ts_alive_tick(err) < 0)
                        return -1;
                if (ts_read_at(v->fd, d->now, len, pos, err) < 0)
                        return -1;
                for (size_t i = 0; i < len; i += TS_PAGE)
                        if (!ts_is_zero(d->now + i, TS_PAGE))
                                index_add(&d->index, hash_of(d->now + i), &(struct place){ .file = file, .from = pos + i });
                pos += len;
        }
        return 0;
}

int ts_delta_settle(struct ts_delta *d, struct ts_err *err)
{
        uint64_t pages = 0;

        if (d->f)
                return ts_err_set(err, TS_EINTERNAL, "a file is still being sent");
        for (uint32_t i = 0; i < d->n; i++) {
                struct file *f = &d->files[i];

                if (!f->kept) {
                        drop(&f->old);
                        f->old = f->new;
                        f->new = (struct version){ .fd = -1 };
                        f->done = f->cut = false;
                }
                pages += f->old.size / TS_PAGE;
        }
        d->window_fd = -1;
        d->has_next = false;
        d->stats = (struct ts_delta_stats){ 0 };
        if (index_reset(&d->index, pages, err) < 0)
                return -1;
        for (uint32_t i = 0; i < d->n; i++)
                if (index_file(d, i, err) < 0)
                        return -1;
        return 0;
}
