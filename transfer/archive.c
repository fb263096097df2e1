/* Tar streams: reads one entry after the other, asks the filter, passes bytes on in large pieces.
 *
 * Decides where entries begin and end and that the archive is whole. What a header means tar_header.c decides, what to keep the filter. */
#include "transfer/archive.h"

#include "base/clock.h"
#include "base/io.h"
#include "transfer/agent/core_image.h"
#include "transfer/tar_header.h"
#include <string.h>

enum {
        BLOCK = TS_TAR_BLOCK,
        PAGE = 4096,
        BUFFER = 256 << 10,
        DIRECT_WRITE = 32 << 10, /* from here on a write is worth a call of its own */
        PADDING_LIMIT = 64 << 20 /* zero bytes after the end */
};
#define DEFAULT_MAX_ENTRIES 1000000u
enum { GNU_SPARSE_MORE = 482, GNU_SPARSE_NEXT = 504 }; /* offsets of the "another block follows" bytes of type 'S' */

struct run {
        int in_fd;
        const struct ts_tar_filter *f;
        const struct ts_sink *out;
        unsigned char *in, *held;
        size_t pos, len, held_len;
        uint64_t total, entries;
        bool eof;
        struct ts_str meta; /* headers as they came, waiting for their entry's verdict */
        struct ts_tar_overlay over;
};

static bool all_zero(const unsigned char *p, size_t n)
{
        return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* ---- bytes in and out ---- */

static int fill(struct run *r, struct ts_err *err)
{
        ssize_t n;

        if (r->pos > 0) {
                memmove(r->in, r->in + r->pos, r->len - r->pos);
                r->len -= r->pos;
                r->pos = 0;
        }
        n = ts_read_some(r->in_fd, r->in + r->len, BUFFER - r->len, ts_deadline_in_ms(r->f->stall_ms), true, err);
        if (n < 0)
                return -1;
        r->eof = n == 0;
        r->len += (size_t)n;
        r->total += (uint64_t)n;
        if (n > 0 && r->f->progress && r->f->progress(r->f->progress_ctx, r->total) != 0)
                return ts_err_set(err, TS_ECANCELED, "stopped while reading an archive");
        return 0;
}

static int truncated(struct run *r, struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "archive is truncated after %llu bytes", (unsigned long long)r->total);
}

/* The next block, borrowed until the next call. */
static int next_block(struct run *r, const unsigned char **ret, struct ts_err *err)
{
        while (r->len - r->pos < BLOCK) {
                if (r->eof)
                        return truncated(r, err);
                if (fill(r, err) < 0)
                        return -1;
        }
        *ret = r->in + r->pos;
        r->pos += BLOCK;
        return 0;
}

static int out_flush(struct run *r, struct ts_err *err)
{
        size_t n = r->held_len;

        r->held_len = 0;
        return n > 0 ? r->out->write(r->out->ctx, r->held, n, err) : 0;
}

/* Small pieces are collected, so that an archive of many small files does not cost one system call a block. */
static int out_write(struct run *r, const void *data, size_t len, struct ts_err *err)
{
        if (r->held_len + len > BUFFER && out_flush(r, err) < 0)
                return -1;
        if (len >= DIRECT_WRITE) {
                if (out_flush(r, err) < 0)
                        return -1;
                return r->out->write(r->out->ctx, data, len, err);
        }
        memcpy(r->held + r->held_len, data, len);
        r->held_len += len;
        return 0;
}

/* Reads the content of an extension header; keeps it whole in r->meta. A global one belongs to nothing and goes out at once. */
static int read_meta(struct run *r, const unsigned char *block, char type, uint64_t size, struct ts_err *err)
{
        size_t start;

        if (size > TS_TAR_META_MAX)
                return ts_err_set(err, TS_ELIMIT, "archive has an extension header of more than %d bytes", TS_TAR_META_MAX);
        if (ts_str_add(&r->meta, block, BLOCK, err) < 0)
                return -1;
        start = r->meta.len;
        for (uint64_t left = size + ts_tar_padding(size); left > 0; left -= BLOCK)
                if (next_block(r, &block, err) < 0 || ts_str_add(&r->meta, block, BLOCK, err) < 0)
                        return -1;
        if (ts_tar_overlay_add(&r->over, type, r->meta.buf + start, (size_t)size, err) < 0)
                return -1;
        if (type != 'g')
                return 0;
        start = r->meta.len;
        r->meta.len = 0;
        return out_write(r, r->meta.buf, start, err);
}

/* The maps of a sparse file in GNU's old format follow its header and are not counted in its size. */
static int read_sparse_maps(struct run *r, const unsigned char *block, struct ts_err *err)
{
        r->over.sparse = true;
        for (size_t more = GNU_SPARSE_MORE; block[more]; more = GNU_SPARSE_NEXT)
                if (next_block(r, &block, err) < 0 || ts_str_add(&r->meta, block, BLOCK, err) < 0)
                        return -1;
        return 0;
}

struct content {
        enum ts_tar_verdict verdict;
        unsigned char *kept;
};

static int take_piece(struct run *r, const struct content *c, uint64_t at, const unsigned char *p, size_t n, uint64_t size,
                      struct ts_err *err)
{
        size_t real = at >= size ? 0 : size - at < n ? (size_t)(size - at) : n; /* the rest is padding */

        if (c->kept && real > 0)
                memcpy(c->kept + at, p, real);
        switch (c->verdict) {
        case TS_TAR_PASS:
        case TS_TAR_CAPTURE:
                return out_write(r, p, n, err);
        case TS_TAR_DROP:
        case TS_TAR_TAKE:
        default:
                return 0;
        }
}

static int move_content(struct run *r, const struct content *c, uint64_t size, struct ts_err *err)
{
        uint64_t all = size + ts_tar_padding(size);

        for (uint64_t at = 0; at < all;) {
                size_t n = r->len - r->pos;

                if (n == 0) {
                        if (r->eof)
                                return truncated(r, err);
                        if (fill(r, err) < 0)
                                return -1;
                        continue;
                }
                if (n > all - at)
                        n = (size_t)(all - at);
                if (take_piece(r, c, at, r->in + r->pos, n, size, err) < 0)
                        return -1;
                r->pos += n;
                at += n;
        }
        return 0;
}

static bool is_kept(enum ts_tar_verdict v)
{
        return v == TS_TAR_CAPTURE || v == TS_TAR_TAKE;
}

/* The entry's own bytes are complete; whoever is told may write to the same sink, so nothing is held back. */
static int tell(struct run *r, const struct ts_tar_entry *e, const struct content *c, struct ts_err *err)
{
        if (is_kept(c->verdict) && r->f->captured)
                return out_flush(r, err) < 0 ? -1 : r->f->captured(r->f->ctx, e, c->kept, (size_t)e->size_bytes, err);
        return 0;
}

static int handle_entry(struct run *r, const struct ts_tar_entry *e, uint64_t size, struct ts_err *err)
{
        struct content c = { .verdict = TS_TAR_PASS };
        ts_auto_free unsigned char *kept = NULL;

        if (r->f->entry && r->f->entry(r->f->ctx, e, &c.verdict, err) < 0)
                return -1;
        if (r->over.sparse && is_kept(c.verdict))
                return ts_err_set(err, TS_EPROTO, "archive holds '%s' as a sparse file, which is not supported here", e->name);
        if (is_kept(c.verdict)) {
                if (e->size_bytes > r->f->capture_max)
                        return ts_err_set(err, TS_ELIMIT, "'%s' in the archive has %llu bytes, more than %zu", e->name,
                                          (unsigned long long)e->size_bytes, r->f->capture_max);
                kept = calloc(1, (size_t)e->size_bytes + 1);
                if (!kept)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                c.kept = kept;
        }
        if ((c.verdict == TS_TAR_PASS || c.verdict == TS_TAR_CAPTURE) && out_write(r, r->meta.buf, r->meta.len, err) < 0)
                return -1;
        r->meta.len = 0;
        return move_content(r, &c, size, err) < 0 ? -1 : tell(r, e, &c, err);
}

static int count_entry(struct run *r, struct ts_err *err)
{
        uint64_t max = r->f->max_entries ? r->f->max_entries : DEFAULT_MAX_ENTRIES;

        return ++r->entries > max ? ts_err_set(err, TS_ELIMIT, "archive has more than %llu entries", (unsigned long long)max) : 0;
}

static int read_entry(struct run *r, const struct ts_tar_raw *h, const unsigned char *block, uint64_t size, struct ts_err *err)
{
        struct ts_tar_entry e = { 0 };
        int rc;

        if (ts_str_add(&r->meta, block, BLOCK, err) < 0)
                return -1;
        if (h->type == 'S' && read_sparse_maps(r, block, err) < 0)
                return -1;
        if (ts_tar_entry_build(h, &r->over, size, &e, err) < 0)
                return -1;
        rc = handle_entry(r, &e, size, err);
        ts_tar_entry_clear(&e);
        ts_tar_overlay_clear(&r->over);
        return rc;
}

/* One header block that is not zero: an extension header, or an entry with all that belongs to it. */
static int one_header(struct run *r, const unsigned char *block, struct ts_err *err)
{
        struct ts_tar_raw h;
        uint64_t size;
        bool travels;

        memcpy(&h, block, sizeof(h));
        travels = h.type == 'x' || h.type == 'L' || h.type == 'K';
        if (ts_tar_raw_check(&h, err) < 0 || ts_tar_raw_size(&h, &size, err) < 0)
                return -1;
        if (!travels && count_entry(r, err) < 0)
                return -1;
        if (travels || h.type == 'g')
                return read_meta(r, block, h.type, size, err);
        return read_entry(r, &h, block, r->over.has_size ? r->over.size : size, err);
}

/* After the two zero blocks only zeros may come: writers fill their last record. */
static int read_padding(struct run *r, struct ts_err *err)
{
        uint64_t end = r->total;

        for (;;) {
                if (!all_zero(r->in + r->pos, r->len - r->pos))
                        return ts_err_set(err, TS_EPROTO, "archive has data after its end");
                r->pos = r->len;
                if (r->eof)
                        return 0;
                if (r->total - end > PADDING_LIMIT)
                        return ts_err_set(err, TS_ELIMIT, "archive has more than %d bytes after its end", PADDING_LIMIT);
                if (fill(r, err) < 0)
                        return -1;
        }
}

static int run_all(struct run *r, struct ts_err *err)
{
        const unsigned char *block = r->in;

        for (;;) {
                if (next_block(r, &block, err) < 0)
                        return -1;
                if (all_zero(block, BLOCK))
                        break;
                if (one_header(r, block, err) < 0)
                        return -1;
        }
        if (r->over.seen)
                return ts_err_set(err, TS_EPROTO, "archive ends after an extension header");
        if (next_block(r, &block, err) < 0)
                return -1;
        if (!all_zero(block, BLOCK))
                return ts_err_set(err, TS_EPROTO, "archive has data after its end");
        return read_padding(r, err) < 0 ? -1 : out_flush(r, err);
}

int ts_tar_filter_run(int in_fd, const struct ts_tar_filter *f, const struct ts_sink *out, uint64_t *ret_bytes_in, struct ts_err *err)
{
        struct run r = { .in_fd = in_fd, .f = f, .out = out, .meta = TS_STR_INIT_MAX((size_t)4 * TS_TAR_META_MAX) };
        int rc = -1;

        r.in = aligned_alloc(PAGE, BUFFER); /* the kernel copies faster so */
        r.held = malloc(BUFFER);
        if (r.in && r.held)
                rc = run_all(&r, err);
        else
                (void)ts_err_set(err, TS_ENOMEM, "out of memory");
        if (rc == 0 && ret_bytes_in)
                *ret_bytes_in = r.total;
        ts_tar_overlay_clear(&r.over);
        ts_str_clear(&r.meta);
        free(r.in);
        free(r.held);
        return rc;
}

bool ts_dump_repair(const char *name, void *data, size_t len)
{
        return ts_core_repair(name, data, len);
}
