/* See patch.h. Decides whether a step is possible; what it should be was decided on the other side. */
#include "transfer/agent/patch.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define BUFFER ((size_t)256 << 10)

struct file {
        int fd;
        uint64_t old_size; /* when it was begun in this round … */
        uint64_t held;     /* … and of that, what is still in the file where it was not overwritten */
        uint64_t new_size; /* once it is done */
        bool begun, done;
        uint32_t *
                spilled; /* by page of the old version: its place in the spill file, from 1 on, or 0: still in the file. NULL: nothing is spilled */
};

struct ts_patch {
        struct file *files;
        uint32_t n;
        uint64_t max_bytes;
        int spill_fd;
        uint32_t spill_pages;

        struct file *f; /* under way, or NULL … */
        bool over;      /* … and whether its last, odd-sized step came */
        uint64_t pos;
        struct ts_digest *digest;      /* of the file under way, behind pos */
        unsigned char *buffer, *aside; /* BUFFER bytes each */
};

struct ts_patch *ts_patch_new(uint64_t max_bytes, int spill_fd)
{
        struct ts_patch *p = calloc(1, sizeof(*p));

        if (!p) {
                if (spill_fd >= 0)
                        (void)close(spill_fd);
                return NULL;
        }
        p->max_bytes = max_bytes;
        p->spill_fd = spill_fd;
        p->files = calloc(TS_DELTA_FILES_MAX, sizeof(*p->files));
        p->buffer = malloc(BUFFER);
        p->aside = malloc(BUFFER);
        p->digest = ts_digest_new();
        if (p->files && p->buffer && p->aside && p->digest)
                return p;
        ts_patch_free(p);
        return NULL;
}

void ts_patch_free(struct ts_patch *p)
{
        for (uint32_t i = 0; i < p->n; i++) {
                (void)close(p->files[i].fd);
                free(p->files[i].spilled);
        }
        if (p->spill_fd >= 0)
                (void)close(p->spill_fd);
        free(p->files);
        free(p->buffer);
        free(p->aside);
        if (p->digest)
                ts_digest_free(p->digest);
        free(p);
}

int ts_patch_add(struct ts_patch *p, int fd, uint32_t *ret_file, struct ts_err *err)
{
        if (p->n == TS_DELTA_FILES_MAX) {
                (void)close(fd);
                return ts_err_set(err, TS_ELIMIT, "more than %u files to update", TS_DELTA_FILES_MAX);
        }
        *ret_file = p->n;
        p->files[p->n++] = (struct file){ .fd = fd };
        return 0;
}

int ts_patch_fd(const struct ts_patch *p, uint32_t file)
{
        return file < p->n ? p->files[file].fd : -1;
}

static int size_of(int fd, uint64_t *ret, struct ts_err *err)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot look at a held file");
        if (!S_ISREG(st.st_mode))
                return ts_err_set(err, TS_EPROTO, "a held file is not a file");
        *ret = (uint64_t)st.st_size;
        return 0;
}

int ts_patch_begin(struct ts_patch *p, uint32_t file, struct ts_err *err)
{
        if (p->f || file >= p->n || p->files[file].begun)
                return ts_err_set(err, TS_EPROTO, "an update of file %" PRIu32 " cannot begin", file);
        if (size_of(p->files[file].fd, &p->files[file].old_size, err) < 0)
                return -1;
        p->f = &p->files[file];
        p->f->held = p->f->old_size;
        p->f->begun = true;
        p->pos = 0;
        p->over = false;
        ts_digest_begin(p->digest);
        return 0;
}

int ts_patch_resume(struct ts_patch *p, uint32_t file, struct ts_err *err)
{
        struct file *f = file < p->n ? &p->files[file] : NULL;

        if (p->f || !f || !f->done || f->new_size % TS_PAGE)
                return ts_err_set(err, TS_EPROTO, "an update of file %" PRIu32 " cannot go on", file);
        p->f = f;
        f->done = false;
        f->held = 0; /* its end was cut off */
        p->pos = f->new_size;
        p->over = false;
        ts_digest_begin(p->digest);
        return 0;
}

static int write_at(int fd, const void *buf, size_t len, uint64_t to, struct ts_err *err)
{
        for (size_t put = 0; put < len;) {
                ssize_t n = pwrite(fd, (const char *)buf + put, len - put, (off_t)(to + put));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return ts_err_errno(err, errno, "cannot write a held file");
                put += (size_t)n;
        }
        return 0;
}

/* Puts n whole pages aside. Zeros are nobody's source. */
static int spill_pages(struct ts_patch *p, uint64_t first, size_t n, struct ts_err *err)
{
        struct file *f = p->f;

        if (ts_read_at(f->fd, p->aside, n * TS_PAGE, first * TS_PAGE, err) < 0)
                return -1;
        if (ts_is_zero(p->aside, n * TS_PAGE))
                return 0;
        if (n > UINT32_MAX - 1 - p->spill_pages)
                return ts_err_set(err, TS_ELIMIT, "too much has changed");
        if (!f->spilled)
                f->spilled = calloc((size_t)(f->old_size / TS_PAGE), sizeof(*f->spilled));
        if (!f->spilled)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (write_at(p->spill_fd, p->aside, n * TS_PAGE, (uint64_t)p->spill_pages * TS_PAGE, err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++)
                f->spilled[first + i] = ++p->spill_pages;
        return 0;
}

/* Puts aside what the old version has from page `first` to before page `end`; an odd end is nobody's source. */
static int spill(struct ts_patch *p, uint64_t first, uint64_t end, struct ts_err *err)
{
        uint64_t pages = p->f->held / TS_PAGE;

        if (p->spill_fd < 0)
                return 0;
        if (end > pages)
                end = pages;
        for (size_t n; first < end; first += n) {
                n = end - first < BUFFER / TS_PAGE ? (size_t)(end - first) : BUFFER / TS_PAGE;
                if (spill_pages(p, first, n, err) < 0)
                        return -1;
        }
        return 0;
}

/* The next len bytes are about to be overwritten. */
static int make_way(struct ts_patch *p, uint64_t pos, uint64_t len, struct ts_err *err)
{
        return spill(p, pos / TS_PAGE, (pos + len + TS_PAGE - 1) / TS_PAGE, err);
}

/* Only what was there needs to be made zeros: the file grows with zeros by itself. */
static int zero(struct ts_patch *p, uint64_t len, struct ts_err *err)
{
        int fd = p->f->fd;
        uint64_t end = p->pos + len < p->f->held ? p->pos + len : p->f->held;

        if (p->pos >= end)
                return 0;
        if (make_way(p, p->pos, len, err) < 0)
                return -1;
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)p->pos, (off_t)(end - p->pos)) == 0)
                return 0;
        memset(p->buffer, 0, BUFFER);
        for (uint64_t at = p->pos; at < end;) {
                size_t n = end - at < BUFFER ? (size_t)(end - at) : BUFFER;

                if (write_at(fd, p->buffer, n, at, err) < 0)
                        return -1;
                at += n;
        }
        return 0;
}

/* Pages as they were when the round began: the longest run that lies together, of at most len bytes. */
static int read_old(const struct ts_patch *p, const struct file *f, uint64_t from, size_t len, size_t *ret_len, struct ts_err *err)
{
        const uint32_t *spilled = f->spilled ? f->spilled + from / TS_PAGE : NULL;
        size_t pages = len / TS_PAGE, n = 1;

        if (!spilled || !*spilled) {
                while (n < pages && (!spilled || !spilled[n]))
                        n++;
                *ret_len = n * TS_PAGE;
                return ts_read_at(f->fd, p->buffer, *ret_len, from, err);
        }
        while (n < pages && spilled[n] == spilled[0] + n)
                n++;
        *ret_len = n * TS_PAGE;
        return ts_read_at(p->spill_fd, p->buffer, *ret_len, (uint64_t)(spilled[0] - 1) * TS_PAGE, err);
}

/* COPY: all of it must have been there. The size of a file that was not begun yet is the one it has. */
static int check_old(struct file *f, const struct ts_op *op, struct ts_err *err)
{
        uint64_t size = f->old_size;

        if (!f->begun && size_of(f->fd, &size, err) < 0)
                return -1;
        return op->len <= size && op->from <= size - op->len ? 0 : ts_err_set(err, TS_EPROTO, "a copy of what was not there");
}

/* REPEAT: all of it must have been written. */
static int check_new(const struct ts_patch *p, const struct file *f, const struct ts_op *op, struct ts_err *err)
{
        uint64_t size = f == p->f ? p->pos : f->done ? f->new_size : 0;

        return op->len <= size && op->from <= size - op->len ? 0 : ts_err_set(err, TS_EPROTO, "a repetition of what was not written");
}

static int copy(struct ts_patch *p, const struct ts_op *op, struct ts_err *err)
{
        struct file *f = op->file < p->n ? &p->files[op->file] : NULL;

        if (!f || op->from % TS_PAGE || op->len % TS_PAGE || (op->kind == TS_OP_COPY && p->spill_fd < 0))
                return ts_err_set(err, TS_EPROTO, "a copy from nowhere");
        if ((op->kind == TS_OP_COPY ? check_old(f, op, err) : check_new(p, f, op, err)) < 0)
                return -1;
        for (uint64_t done = 0; done < op->len;) {
                size_t n = op->len - done < BUFFER ? (size_t)(op->len - done) : BUFFER;

                if ((op->kind == TS_OP_COPY ? read_old(p, f, op->from + done, n, &n, err)
                                            : ts_read_at(f->fd, p->buffer, n, op->from + done, err)) < 0 ||
                    make_way(p, p->pos + done, n, err) < 0 || write_at(p->f->fd, p->buffer, n, p->pos + done, err) < 0)
                        return -1;
                done += n;
        }
        return 0;
}

static int put(struct ts_patch *p, const struct ts_op *op, const void *data, struct ts_err *err)
{
        if (op->len > TS_DELTA_DATA_MAX || !data)
                return ts_err_set(err, TS_EPROTO, "too much data in a step");
        if (make_way(p, p->pos, op->len, err) < 0 || write_at(p->f->fd, data, (size_t)op->len, p->pos, err) < 0)
                return -1;
        if (ts_digest_pos(p->digest) == p->pos) /* while it is at hand; what was not yet comes from the file */
                ts_digest_add(p->digest, data, (size_t)op->len);
        return 0;
}

static int stay(const struct ts_patch *p, const struct ts_op *op, struct ts_err *err)
{
        return op->len <= p->f->held && p->pos <= p->f->held - op->len ? 0
                                                                               : ts_err_set(err, TS_EPROTO, "what is to stay is not there");
}

int ts_patch_step(struct ts_patch *p, const struct ts_op *op, const void *data, struct ts_err *err)
{
        int rc;

        if (!p->f || p->over || op->len == 0)
                return ts_err_set(err, TS_EPROTO, "a step out of order");
        if (op->len > p->max_bytes - p->pos)
                return ts_err_set(err, TS_ELIMIT, "a file is to become larger than %" PRIu64 " bytes", p->max_bytes);
        switch (op->kind) {
        case TS_OP_SAME:
                rc = stay(p, op, err);
                break;
        case TS_OP_ZERO:
                rc = zero(p, op->len, err);
                break;
        case TS_OP_COPY:
        case TS_OP_REPEAT:
                rc = copy(p, op, err);
                break;
        case TS_OP_DATA:
                rc = put(p, op, data, err);
                break;
        default:
                rc = ts_err_set(err, TS_EPROTO, "an unknown step (%d)", (int)op->kind);
        }
        if (rc < 0)
                return -1;
        p->pos += op->len;
        p->over = op->len % TS_PAGE != 0;
        return 0;
}

/* What was written does not change any more in this round: its sum is made while more is on its way. Zeros at the end are not in the file yet. */
static int go_along(struct ts_patch *p, struct ts_err *err)
{
        uint64_t size = 0;

        if (!p->f || size_of(p->f->fd, &size, err) < 0)
                return p->f ? -1 : 0;
        return ts_digest_add_fd(p->digest, p->f->fd, p->pos < size ? p->pos : size, err);
}

int ts_patch_steps(struct ts_patch *p, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);

        while (u.p < u.end && !u.bad) {
                struct ts_op op = { .kind = (enum ts_op_kind)ts_get_u32(&u) };
                const void *data = NULL;

                op.file = ts_get_u32(&u);
                op.from = ts_get_u64(&u);
                op.len = ts_get_u64(&u);
                if (op.kind == TS_OP_DATA)
                        data = op.len <= TS_DELTA_DATA_MAX ? ts_get_bytes(&u, (size_t)op.len) : NULL;
                if (!u.bad && ts_patch_step(p, &op, data, err) < 0)
                        return -1;
        }
        return ts_unpack_end(&u, f, err) < 0 ? -1 : go_along(p, err);
}

int ts_patch_end(struct ts_patch *p, uint64_t *ret_size, unsigned char ret_sum[TS_DIGEST_BYTES], struct ts_err *err)
{
        struct file *f = p->f;
        uint64_t first;

        if (!f)
                return ts_err_set(err, TS_EPROTO, "no update is under way");
        /* What is cut off may still be wanted in this round, but for a page that was put aside when its beginning was overwritten. */
        first = p->pos / TS_PAGE;
        if (f->spilled && first < f->old_size / TS_PAGE && f->spilled[first])
                first++;
        if (spill(p, first, UINT64_MAX, err) < 0)
                return -1;
        if (ftruncate(f->fd, (off_t)p->pos) < 0)
                return ts_err_errno(err, errno, "cannot set the size of a held file");
        if (ts_digest_add_fd(p->digest, f->fd, p->pos, err) < 0)
                return -1;
        ts_digest_end(p->digest, ret_sum);
        f->new_size = p->pos;
        f->done = true;
        p->f = NULL;
        if (ret_size)
                *ret_size = f->new_size;
        return 0;
}

int ts_patch_settle(struct ts_patch *p, struct ts_err *err)
{
        if (p->f)
                return ts_err_set(err, TS_EPROTO, "an update is still under way");
        for (uint32_t i = 0; i < p->n; i++) {
                free(p->files[i].spilled);
                p->files[i] = (struct file){ .fd = p->files[i].fd };
        }
        p->spill_pages = 0;
        if (p->spill_fd < 0)
                return 0;
        return ftruncate(p->spill_fd, 0) < 0 ? ts_err_errno(err, errno, "cannot empty the spill file") : 0;
}
