/* See receive.h. Decides what may become a file here; every name and number in a frame is hostile. */
#include "transfer/agent/receive.h"

#include "base/io.h"
#include "transfer/agent/patch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 65536U
#define FILE_MAX_BYTES ((uint64_t)1 << 44)
#define PART ".part"
#define PARENT "parent" /* CRIU's link to the dump that one goes on from */

struct item {
        char *name;
        uint32_t file; /* of the patch, or NOT_HELD */
        bool here;     /* written in this round */
        bool right;    /* and its sum is right */
        bool based;    /* it has its name, in the directory of earlier dumps; else NAME.part */
        uint64_t size;
        unsigned char sum[TS_DIGEST_BYTES]; /* of what was written here, once it is complete */
};
#define NOT_HELD UINT32_MAX

struct ts_receive {
        int root;
        int base;             /* the directory of earlier dumps, or -1 */
        char *base_name;      /* its own name */
        struct ts_list based; /* names there of what is not held */
        bool goes_on;         /* the dump may go on from the one there, … */
        bool parent;          /* … and does */
        struct ts_patch *patch;
        struct item *items; /* each file once */
        size_t n, cap;
        struct item *pages; /* under way */
        struct item *small;
        int small_fd;
        uint64_t small_left;
        uint32_t sums;
        bool over; /* a final round is complete */
};

struct ts_receive *ts_receive_new(void)
{
        struct ts_receive *r = calloc(1, sizeof(*r));

        if (r)
                r->root = r->base = r->small_fd = -1;
        return r;
}

static void part_name(const char *name, char buf[300])
{
        (void)snprintf(buf, 300, "%s" PART, name);
}

/* The directory that a file is in, and what it is called there for the time being. */
static int where(const struct ts_receive *r, const struct item *it, char buf[300])
{
        if (it->based)
                (void)snprintf(buf, 300, "%s", it->name);
        else
                part_name(it->name, buf);
        return it->based ? r->base : r->root;
}

static void forget(struct ts_receive *r, struct item *it)
{
        char name[300];
        int dir = where(r, it, name);

        (void)unlinkat(dir, name, 0);
        free(it->name);
        it->name = NULL;
}

void ts_receive_free(struct ts_receive *r)
{
        for (size_t i = 0; i < r->n; i++)
                if (r->items[i].name)
                        forget(r, &r->items[i]);
        free(r->items);
        if (r->patch)
                ts_patch_free(r->patch);
        if (r->small_fd >= 0)
                (void)close(r->small_fd);
        if (r->root >= 0)
                (void)close(r->root);
        if (r->base >= 0)
                (void)close(r->base);
        free(r->base_name);
        ts_list_clear(&r->based);
        free(r);
}

int ts_receive_root(struct ts_receive *r, const char *path, struct ts_err *err)
{
        ts_auto_free char *spill = ts_fmt("%s/.spill-XXXXXX", path);
        int fd;

        r->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r->root < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", path);
        fd = openat(r->root, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        if (fd < 0 && spill) { /* not every file system has those */
                fd = mkostemp(spill, O_CLOEXEC);
                if (fd >= 0)
                        (void)unlink(spill);
        }
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot make a file in '%s'", path);
        r->patch = ts_patch_new(FILE_MAX_BYTES, fd);
        return r->patch ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int bad(const char *what, struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "the source sent %s", what);
}

/* One that could be taken for another's part is none. */
static int get_name(struct ts_unpack *u, char name[256], const struct ts_frame *f, struct ts_err *err)
{
        size_t len = strlen(ts_get_name(u, name)), tail = strlen(PART);

        if (ts_unpack_end(u, f, err) < 0)
                return -1;
        return (len >= tail && !strcmp(name + len - tail, PART)) || !strcmp(name, PARENT) ? bad("a name that is ours", err) : 0;
}

static struct item *find(struct ts_receive *r, const char *name)
{
        for (size_t i = 0; i < r->n; i++)
                if (r->items[i].name && !strcmp(r->items[i].name, name))
                        return &r->items[i];
        return NULL;
}

static struct item *add(struct ts_receive *r, const char *name, uint32_t file, struct ts_err *err)
{
        struct item item = { .name = ts_strdup0(name), .file = file };

        if (r->n == FILES_MAX) {
                ts_err_set(err, TS_ELIMIT, "more than %u files in a dump", FILES_MAX);
                free(item.name);
                return NULL;
        }
        if (r->n == r->cap) {
                size_t cap = r->cap ? 2 * r->cap : 64;
                struct item *more = realloc(r->items, cap * sizeof(*more));

                if (more) {
                        r->items = more;
                        r->cap = cap;
                }
        }
        if (!item.name || r->n == r->cap) {
                free(item.name);
                ts_err_set(err, TS_ENOMEM, "out of memory");
                return NULL;
        }
        r->items[r->n] = item;
        return &r->items[r->n++];
}

static int make_part(const struct ts_receive *r, const char *name, struct ts_err *err)
{
        char part[300];
        int fd;

        part_name(name, part);
        (void)unlinkat(r->root, part, 0); /* of an agent that died */
        fd = openat(r->root, part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? ts_err_errno(err, errno, "cannot make '%s'", part) : fd;
}

/* ---- the dump that others go on from ---- */

int ts_receive_base(struct ts_receive *r, const char *path, struct ts_err *err)
{
        const char *slash = strrchr(path, '/');

        if (r->base >= 0 || r->n || !slash || !slash[1])
                return ts_err_set(err, TS_EPROTO, "a directory of earlier dumps at the wrong time");
        r->base_name = ts_strdup0(slash + 1);
        if (!r->base_name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        r->base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return r->base < 0 ? ts_err_errno(err, errno, "cannot open '%s'", path) : 0;
}

static struct item *find_file(struct ts_receive *r, uint32_t file)
{
        for (size_t i = 0; i < r->n; i++)
                if (r->items[i].name && r->items[i].based && r->items[i].file == file)
                        return &r->items[i];
        return NULL;
}

/* It is what was sent, still, and is nobody's to change from here on. */
static int hold(struct ts_receive *r, struct ts_unpack *u, struct ts_digest *digest, struct ts_err *err)
{
        uint32_t file = ts_get_u32(u);
        uint64_t size = ts_get_u64(u);
        const unsigned char *want = ts_get_bytes(u, TS_DIGEST_BYTES);
        struct item *it = find_file(r, file);
        unsigned char sum[TS_DIGEST_BYTES];

        if (!want || !it || it->file == NOT_HELD || it->size != size)
                return bad("an earlier dump that it did not send", err);
        ts_digest_begin(digest);
        if (ts_digest_add_fd(digest, ts_patch_fd(r->patch, file), size, err) < 0)
                return ts_err_prefix(err, "'%s' of the earlier dump", it->name);
        ts_digest_end(digest, sum);
        if (memcmp(sum, want, sizeof(sum)) != 0)
                return ts_err_set(err, TS_EPROTO, "'%s' of the earlier dump is not what was sent: its sum differs", it->name);
        free(TS_TAKE(it->name));
        return 0;
}

/* From here on names mean files of the next dump. */
static int go_on(struct ts_receive *r, struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        ts_auto(ts_digest) struct ts_digest *digest = ts_digest_new();

        if (!digest)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (r->base < 0 || r->goes_on || r->pages || r->small)
                return bad("an earlier dump at the wrong time", err);
        while (u->p < u->end && !u->bad)
                if (hold(r, u, digest, err) < 0)
                        return -1;
        for (size_t i = 0; i < r->n; i++) {
                if (r->items[i].here)
                        return bad("an earlier dump at the wrong time", err);
                if (r->items[i].name)
                        forget(r, &r->items[i]);
        }
        r->goes_on = r->n > 0;
        r->n = 0;
        return ts_unpack_end(u, f, err);
}

/* ---- pages ---- */

static int begin_pages(struct ts_receive *r, struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        uint32_t file = ts_get_u32(u), made = 0;
        char name[256];
        struct item *it;

        if (get_name(u, name, f, err) < 0)
                return -1;
        if (r->pages || r->small_left)
                return bad("two files at once", err);
        it = find(r, name);
        if (!it) {
                int fd = make_part(r, name, err);

                if (fd < 0 || ts_patch_add(r->patch, fd, &made, err) < 0)
                        return -1;
                it = add(r, name, made, err);
                if (!it)
                        return -1;
        }
        if (it->file != file || it->right)
                return bad("a file under another's number", err);
        r->pages = it;
        if (it->here) /* it has grown since its end */
                return ts_patch_resume(r->patch, file, err);
        it->here = true;
        return ts_patch_begin(r->patch, file, err);
}

static int end_pages(struct ts_receive *r, struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        uint64_t size = ts_get_u64(u);

        if (ts_unpack_end(u, f, err) < 0)
                return -1;
        if (!r->pages || ts_patch_end(r->patch, &r->pages->size, r->pages->sum, err) < 0)
                return bad("the end of a file that was not begun", err);
        if (r->pages->size != size)
                return bad("a file of another size than it says", err);
        r->pages = NULL;
        return 0;
}

/* ---- other files ---- */

static void end_small(struct ts_receive *r)
{
        (void)close(TS_TAKE_FD(r->small_fd));
        r->small = NULL;
}

static int begin_small(struct ts_receive *r, struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        uint32_t mode = ts_get_u32(u);
        uint64_t size = ts_get_u64(u);
        char name[256];

        if (get_name(u, name, f, err) < 0)
                return -1;
        if (r->pages || r->small || find(r, name))
                return bad("two files at once, or one twice", err);
        if (size > FILE_MAX_BYTES)
                return bad("a file that is too large", err);
        r->small_fd = make_part(r, name, err);
        if (r->small_fd < 0)
                return -1;
        r->small = add(r, name, NOT_HELD, err);
        if (!r->small)
                return -1;
        if (fchmod(r->small_fd, mode & 0700) < 0)
                return ts_err_errno(err, errno, "cannot set the mode of '%s'", name);
        r->small->here = true;
        r->small->size = r->small_left = size;
        if (size == 0)
                end_small(r);
        return 0;
}

static int take_bytes(struct ts_receive *r, const struct ts_frame *f, struct ts_err *err)
{
        if (!r->small || f->body.len == 0 || f->body.len > r->small_left)
                return bad("bytes of no file", err);
        if (ts_write_all(r->small_fd, f->body.buf, f->body.len, 0, false, err) < 0)
                return ts_err_prefix(err, "cannot write '%s'", r->small->name);
        r->small_left -= f->body.len;
        if (r->small_left == 0)
                end_small(r);
        return 0;
}

/* ---- the end of a round ---- */

static int sum_small(const struct ts_receive *r, struct item *it, struct ts_err *err)
{
        ts_auto(ts_digest) struct ts_digest *digest = ts_digest_new();
        ts_auto_fd int fd = -1;
        char part[300];

        if (!digest)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        part_name(it->name, part);
        fd = openat(r->root, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", it->name);
        if (ts_digest_add_fd(digest, fd, it->size, err) < 0)
                return -1;
        ts_digest_end(digest, it->sum);
        return 0;
}

static int check_sum(struct ts_receive *r, struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        uint64_t size = ts_get_u64(u);
        const unsigned char *want = ts_get_bytes(u, 16);
        char name[256];
        struct item *it;

        if (get_name(u, name, f, err) < 0)
                return -1;
        it = find(r, name);
        if (!it || !it->here || it->right || it == r->pages || it == r->small || it->size != size)
                return bad("the sum of a file that it did not send", err);
        if (it->file == NOT_HELD && sum_small(r, it, err) < 0)
                return -1;
        if (memcmp(it->sum, want, TS_DIGEST_BYTES) != 0)
                return ts_err_set(err, TS_EPROTO, "'%s' is not what was sent: its sum differs", name);
        it->right = true;
        r->sums++;
        return 0;
}

static int give_name(const struct ts_receive *r, const struct item *it, struct ts_err *err)
{
        char name[300];
        int dir = where(r, it, name);

        if (!it->here) { /* a process that was there in a rehearsal, and is no more */
                (void)unlinkat(dir, name, 0);
                return 0;
        }
        return renameat(dir, name, r->root, it->name) < 0 ? ts_err_errno(err, errno, "cannot give '%s' its name", it->name) : 0;
}

/* All of it is in the directory of earlier dumps then. What is not held comes anew each time; of a process that is gone the pages stay, and nothing names them. */
static int give_base_names(struct ts_receive *r, struct ts_err *err)
{
        size_t n = 0;

        for (size_t i = 0; i < r->based.n; i++)
                (void)unlinkat(r->base, r->based.v[i], 0);
        ts_list_clear(&r->based);
        for (size_t i = 0; i < r->n; i++) {
                struct item *it = &r->items[i];
                char name[300];
                int dir = where(r, it, name);

                if (it->here && !it->based && renameat(dir, name, r->base, it->name) < 0)
                        return ts_err_errno(err, errno, "cannot give '%s' its name", it->name);
                it->based |= it->here;
        }
        for (size_t i = 0; i < r->n; i++)
                if (r->items[i].file == NOT_HELD && ts_list_add(&r->based, r->items[i].name, err) < 0)
                        return -1;
        for (size_t i = 0; i < r->n; i++) {
                if (r->items[i].file == NOT_HELD)
                        free(r->items[i].name);
                else
                        r->items[n++] = r->items[i];
        }
        r->n = n;
        return 0;
}

static int give_names(const struct ts_receive *r, struct ts_err *err)
{
        const struct item *last = NULL;

        for (size_t i = 0; i < r->n; i++) {
                if (!strcmp(r->items[i].name, "inventory.img"))
                        last = &r->items[i];
                else if (give_name(r, &r->items[i], err) < 0)
                        return -1;
        }
        if (r->parent) {
                ts_auto_free char *to = ts_fmt("../%s", r->base_name);

                if (!to)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (symlinkat(to, r->root, PARENT) < 0)
                        return ts_err_errno(err, errno, "cannot make the link to the earlier dump");
        }
        return last ? give_name(r, last, err) : 0;
}

static int end_round(struct ts_receive *r, struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        uint32_t kind = ts_get_u32(u), files = ts_get_u32(u);

        if (ts_unpack_end(u, f, err) < 0)
                return -1;
        if (r->pages || r->small || files != r->sums || kind > TS_ROUND_EARLIER ||
            (kind == TS_ROUND_EARLIER && (r->base < 0 || r->goes_on)) || (r->parent && kind != TS_ROUND_FINAL))
                return bad("the end of a round that is not complete", err);
        for (size_t i = 0; i < r->n; i++)
                if (r->items[i].here != r->items[i].right)
                        return bad("a file without its sum", err);
        if (kind == TS_ROUND_FINAL) {
                r->over = true;
                return give_names(r, err);
        }
        if (kind == TS_ROUND_EARLIER && give_base_names(r, err) < 0)
                return -1;
        if (r->goes_on) { /* that one did not work out: no other does */
                (void)close(TS_TAKE_FD(r->base));
                r->goes_on = false;
        }
        for (size_t i = 0; i < r->n; i++) {
                if (r->items[i].file == NOT_HELD)
                        return bad("more than pages before the last round", err);
                r->items[i].here = r->items[i].right = false;
        }
        r->sums = 0;
        return ts_patch_settle(r->patch, err);
}

int ts_receive_frame(struct ts_receive *r, const struct ts_frame *f, bool *ret_round, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);

        *ret_round = false;
        if (!r->patch || r->over)
                return bad("a message at the wrong time", err);
        switch (f->type) {
        case TS_FRAME_PAGES:
                return begin_pages(r, &u, f, err);
        case TS_FRAME_STEPS:
                return r->pages ? ts_patch_steps(r->patch, f, err) : bad("steps of no file", err);
        case TS_FRAME_SIZE:
                return end_pages(r, &u, f, err);
        case TS_FRAME_FILE:
                return begin_small(r, &u, f, err);
        case TS_FRAME_BYTES:
                return take_bytes(r, f, err);
        case TS_FRAME_SUM:
                return check_sum(r, &u, f, err);
        case TS_FRAME_HELD:
                return go_on(r, &u, f, err);
        case TS_FRAME_PARENT:
                r->parent = true;
                return r->goes_on ? ts_unpack_end(&u, f, err) : bad("a dump that goes on from none", err);
        case TS_FRAME_ROUND:
                *ret_round = true;
                return end_round(r, &u, f, err);
        default:
                return bad("a message that is not for a target", err);
        }
}
