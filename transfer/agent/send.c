/* See send.h. Decides which files of a dump travel how: pages files step by step against what the other side holds, the rest as they are. */
#include "transfer/agent/send.h"

#include "base/io.h"
#include "transfer/agent/core_image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PARENT "parent"                            /* CRIU's link to the dump that one goes on from */
#define EARLIER_MAX (TS_DELTA_FILES_MAX / 2 - 32U) /* its files and as many new ones have numbers */
#define STEPS_SOFT ((size_t)256 << 10)             /* a frame is sent when it has so much */

struct pages {
        unsigned long long number; /* of pages-N.img */
        uint32_t file;
        uint64_t size;                      /* of this round, once it was sent … */
        unsigned char sum[TS_DIGEST_BYTES]; /* … and its sum */
        bool sent;
        struct stat seen; /* when it was complete */
};

struct ts_send {
        struct ts_duplex *out;
        int root;
        struct ts_pack *pack;
        char *name;    /* of the dump's directory */
        char *earlier; /* of the one before, if others may go on from it, … */
        char *parent;  /* … and of the one that this dump goes on from */
        struct pages *held;
        size_t n_held; /* the parent's */
        int dump;      /* it, or -1: it is not there yet */
        struct ts_delta *delta;
        struct ts_frame steps, other;
        struct pages *pages; /* rising numbers */
        size_t n_pages, cap_pages;
        struct pages *now; /* under way */
        int fd;            /* of it, the delta's */
        uint32_t sums;     /* of this round */
        uint64_t bytes;
};

static int write_frame(struct ts_send *s, const struct ts_frame *f, struct ts_err *err)
{
        s->bytes += f->body.len;
        return ts_pack_write(s->pack, s->out, f, err);
}

static int flush_steps(struct ts_send *s, struct ts_err *err)
{
        int rc = s->steps.body.len ? write_frame(s, &s->steps, err) : 0;

        ts_frame_begin(&s->steps, TS_FRAME_STEPS);
        return rc;
}

static int take_step(void *ctx, const struct ts_op *op, const void *data, struct ts_err *err)
{
        struct ts_send *s = ctx;

        if (s->steps.body.len + (data ? op->len : 0) > STEPS_SOFT + TS_DELTA_DATA_MAX && flush_steps(s, err) < 0)
                return -1;
        if (ts_put_u32(&s->steps, (uint32_t)op->kind, err) < 0 || ts_put_u32(&s->steps, op->file, err) < 0 ||
            ts_put_u64(&s->steps, op->from, err) < 0 || ts_put_u64(&s->steps, op->len, err) < 0 ||
            (data && ts_put_bytes(&s->steps, data, (size_t)op->len, err) < 0))
                return -1;
        return s->steps.body.len >= STEPS_SOFT ? flush_steps(s, err) : 0;
}

struct ts_send *ts_send_new(struct ts_duplex *out, struct ts_pack *pack)
{
        struct ts_send *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->out = out;
        s->pack = pack;
        s->root = s->dump = s->fd = -1;
        s->delta = ts_delta_new(take_step, s);
        ts_frame_begin(&s->steps, TS_FRAME_STEPS);
        if (s->delta)
                return s;
        ts_send_free(s);
        return NULL;
}

void ts_send_free(struct ts_send *s)
{
        if (s->delta)
                ts_delta_free(s->delta);
        if (s->root >= 0)
                (void)close(s->root);
        if (s->dump >= 0)
                (void)close(s->dump);
        free(s->name);
        free(s->earlier);
        free(s->parent);
        free(s->held);
        ts_frame_clear(&s->steps);
        ts_frame_clear(&s->other);
        free(s->pages);
        free(s);
}

uint64_t ts_send_bytes(const struct ts_send *s)
{
        return s->bytes;
}

int ts_send_root(struct ts_send *s, const char *path, struct ts_err *err)
{
        s->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return s->root < 0 ? ts_err_errno(err, errno, "cannot open '%s'", path) : ts_send_watch(s, ".", err);
}

static void name_of(const struct pages *p, char buf[64])
{
        (void)snprintf(buf, 64, "pages-%llu.img", p->number);
}

/* In that directory, as it was when it was sent. */
static bool is_still(const struct pages *p, int dir)
{
        const struct stat *was = &p->seen;
        struct stat st;
        char name[64];

        name_of(p, name);
        return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == was->st_ino && st.st_size == was->st_size &&
               st.st_mtim.tv_sec == was->st_mtim.tv_sec && st.st_mtim.tv_nsec == was->st_mtim.tv_nsec;
}

/* The files of the dump before stay, here and there, under their numbers; the names are free for those of the next one. The other side looks at their sums again: what happened to them since they came must not get into a
 * container. */
static int go_on(struct ts_send *s, struct ts_err *err)
{
        ts_auto_fd int dir = openat(s->root, s->earlier, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (s->held)
                return ts_err_set(err, TS_EPROTO, "a second dump that goes on from another one");
        s->parent = TS_TAKE(s->earlier);
        s->held = TS_TAKE(s->pages);
        s->n_held = s->n_pages;
        s->n_pages = s->cap_pages = 0;
        ts_frame_begin(&s->other, TS_FRAME_HELD);
        for (size_t i = 0; i < s->n_held; i++) {
                const struct pages *p = &s->held[i];

                if (!p->seen.st_ino) /* of a process that is gone */
                        continue;
                if (!is_still(p, dir)) { /* somebody wrote another dump there: nothing goes on from it */
                        ts_delta_forget(s->delta, p->file);
                        free(TS_TAKE(s->parent));
                        continue;
                }
                ts_delta_keep(s->delta, p->file);
                if (ts_put_u32(&s->other, p->file, err) < 0 || ts_put_u64(&s->other, p->size, err) < 0 ||
                    ts_put_bytes(&s->other, p->sum, TS_DIGEST_BYTES, err) < 0)
                        return -1;
        }
        return write_frame(s, &s->other, err);
}

int ts_send_watch(struct ts_send *s, const char *name, struct ts_err *err)
{
        if (s->dump >= 0)
                (void)close(TS_TAKE_FD(s->dump));
        free(s->name);
        s->name = ts_strdup0(name);
        if (!s->name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (s->earlier && strcmp(s->name, s->earlier) != 0)
                return go_on(s, err);
        free(TS_TAKE(s->earlier));
        return 0;
}

/* 1: it is there. */
static int open_dump(struct ts_send *s, struct ts_err *err)
{
        if (s->dump < 0)
                s->dump = openat(s->root, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (s->dump < 0 && errno != ENOENT)
                return ts_err_errno(err, errno, "cannot open '%s'", s->name);
        return s->dump >= 0;
}

/* ---- the directory ---- */

struct written {
        unsigned long long number;
        struct timespec changed;
};

struct names {
        struct ts_list others;
        struct written *pages; /* in the order in which they were written last */
        size_t n;
};

static void names_clear(struct names *n)
{
        ts_list_clear(&n->others);
        free(n->pages);
}

static bool pages_number(const char *name, unsigned long long *ret)
{
        char digits[24];
        size_t len = strlen(name);

        if (!ts_starts(name, "pages-") || len < 11 || len - 10 >= sizeof(digits) || strcmp(name + len - 4, ".img") != 0)
                return false;
        memcpy(digits, name + 6, len - 10);
        digits[len - 10] = '\0';
        return ts_parse_u64(digits, 0, UINT64_MAX, ret, NULL) == 0;
}

static int compare(const void *a, const void *b)
{
        const struct written *x = a, *y = b;

        if (x->changed.tv_sec != y->changed.tv_sec)
                return x->changed.tv_sec < y->changed.tv_sec ? -1 : 1;
        if (x->changed.tv_nsec != y->changed.tv_nsec)
                return x->changed.tv_nsec < y->changed.tv_nsec ? -1 : 1;
        return (x->number > y->number) - (x->number < y->number);
}

static int add_name(const struct ts_send *s, struct names *n, const char *name, struct ts_err *err)
{
        unsigned long long number = 0;
        struct stat st;

        if (!pages_number(name, &number))
                return ts_list_add(&n->others, name, err);
        if ((n->n & (n->n + 1)) == 0) { /* full at each power of two less one */
                struct written *p = realloc(n->pages, (2 * n->n + 2) * sizeof(*p));

                if (!p)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                n->pages = p;
        }
        if (fstatat(s->dump, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : ts_err_errno(err, errno, "cannot look at '%s'", name);
        n->pages[n->n++] = (struct written){ .number = number, .changed = st.st_ctim };
        return 0;
}

static int list_root(struct ts_send *s, struct names *ret, struct ts_err *err)
{
        int fd, rc = open_dump(s, err);
        DIR *d;

        if (rc <= 0)
                return rc;
        rc = 0;
        fd = openat(s->dump, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                rc = ts_err_errno(err, errno, "cannot list the dump's directory");
                if (fd >= 0)
                        (void)close(fd);
                return rc;
        }
        while (rc == 0) {
                const struct dirent *e;

                errno = 0;
                e = readdir(d); /* NOLINT(concurrency-mt-unsafe): a stream of our own */
                if (!e && errno)
                        rc = ts_err_errno(err, errno, "cannot list the dump's directory");
                if (!e)
                        break;
                if (e->d_name[0] != '.')
                        rc = add_name(s, ret, e->d_name, err);
        }
        (void)closedir(d);
        if (ret->n)
                qsort(ret->pages, ret->n, sizeof(*ret->pages), compare);
        return rc;
}

/* ---- pages ---- */

static struct pages *find(struct ts_send *s, unsigned long long number)
{
        for (size_t i = 0; i < s->n_pages; i++)
                if (s->pages[i].number == number)
                        return &s->pages[i];
        return NULL;
}

static int learn(struct ts_send *s, unsigned long long number, struct ts_err *err)
{
        struct pages p = { .number = number };

        if (s->n_pages == s->cap_pages) {
                size_t cap = s->cap_pages ? 2 * s->cap_pages : 16;
                struct pages *more = realloc(s->pages, cap * sizeof(*more));

                if (!more)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                s->pages = more;
                s->cap_pages = cap;
        }
        if (ts_delta_add(s->delta, &p.file, err) < 0)
                return -1;
        s->pages[s->n_pages++] = p;
        return 0;
}

static int say_pages(struct ts_send *s, const struct pages *p, struct ts_err *err)
{
        char name[64];

        name_of(p, name);
        ts_frame_begin(&s->other, TS_FRAME_PAGES);
        return ts_put_u32(&s->other, p->file, err) < 0 || ts_put_text(&s->other, name, err) < 0 ? -1 : write_frame(s, &s->other, err);
}

static int begin(struct ts_send *s, unsigned long long number, struct ts_err *err)
{
        char name[64];

        if (!find(s, number) && learn(s, number, err) < 0)
                return -1;
        s->now = find(s, number);
        name_of(s->now, name);
        s->fd = openat(s->dump, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (s->fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", name);
        return ts_delta_begin(s->delta, s->now->file, s->fd, err) < 0 ? -1 : say_pages(s, s->now, err);
}

static int size_now(const struct ts_send *s, uint64_t *ret, struct ts_err *err)
{
        if (fstat(s->fd, &s->now->seen) < 0)
                return ts_err_errno(err, errno, "cannot look at a pages file");
        *ret = (uint64_t)s->now->seen.st_size;
        return 0;
}

/* Whole pages only, while it may grow: so it can go on. */
static int end(struct ts_send *s, bool complete, struct ts_err *err)
{
        uint64_t size = 0;

        if (!s->now)
                return 0;
        if (size_now(s, &size, err) < 0)
                return -1;
        size -= complete ? 0 : size % TS_PAGE;
        if (ts_delta_end(s->delta, size, s->now->sum, err) < 0 || flush_steps(s, err) < 0)
                return -1;
        s->now->size = size;
        s->now->sent = true;
        s->now = NULL;
        ts_frame_begin(&s->other, TS_FRAME_SIZE);
        return ts_put_u64(&s->other, size, err) < 0 ? -1 : write_frame(s, &s->other, err);
}

/* Every file that is there: all but the last one are thought to be complete. */
static int send_pages(struct ts_send *s, const struct names *n, struct ts_err *err)
{
        for (size_t i = 0; i < n->n; i++) {
                const struct pages *known = find(s, n->pages[i].number);

                if (known && (known == s->now || known->sent))
                        continue;
                if (end(s, false, err) < 0 || begin(s, n->pages[i].number, err) < 0)
                        return -1;
        }
        return 0;
}

/* The dump is complete: what files have got since their turn was over. */
static int send_tails(struct ts_send *s, struct ts_err *err)
{
        if (end(s, true, err) < 0)
                return -1;
        for (size_t i = 0; i < s->n_pages; i++) {
                struct pages *p = &s->pages[i];
                struct stat st;
                char name[64];

                name_of(p, name);
                if (!p->sent || fstatat(s->dump, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (uint64_t)st.st_size == p->size)
                        continue;
                s->fd = ts_delta_resume(s->delta, p->file, err);
                if (s->fd < 0)
                        return ts_err_prefix(err, "'%s'", name);
                s->now = p;
                if (say_pages(s, p, err) < 0 || end(s, true, err) < 0)
                        return ts_err_prefix(err, "'%s'", name);
        }
        return 0;
}

int ts_send_grown(struct ts_send *s, bool *ret_more, struct ts_err *err)
{
        struct names n = { .others = TS_LIST_INIT };
        uint64_t before = s->bytes, size = 0;
        int rc = list_root(s, &n, err);

        if (rc == 0)
                rc = send_pages(s, &n, err);
        if (rc == 0 && s->now)
                rc = size_now(s, &size, err) < 0 ? -1 : ts_delta_feed(s->delta, size, err);
        if (rc == 0)
                rc = flush_steps(s, err); /* the other side goes along */
        if (ret_more)
                *ret_more = s->bytes != before;
        names_clear(&n);
        return rc;
}

/* ---- the rest ---- */

static int send_sum(struct ts_send *s, const char *name, uint64_t size, const unsigned char sum[TS_DIGEST_BYTES], struct ts_err *err)
{
        ts_frame_begin(&s->other, TS_FRAME_SUM);
        s->sums++;
        if (ts_put_u64(&s->other, size, err) < 0 || ts_put_bytes(&s->other, sum, TS_DIGEST_BYTES, err) < 0 ||
            ts_put_text(&s->other, name, err) < 0)
                return -1;
        return write_frame(s, &s->other, err);
}

static int send_bytes(struct ts_send *s, int fd, uint64_t size, struct ts_digest *digest, struct ts_err *err)
{
        static const size_t chunk = STEPS_SOFT;
        ts_auto_free char *buf = malloc(chunk);

        if (!buf)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (uint64_t left = size; left > 0;) {
                size_t want = left < chunk ? (size_t)left : chunk;

                ts_frame_begin(&s->other, TS_FRAME_BYTES);
                if (ts_read_exact(fd, buf, want, 0, false, err) < 0 || ts_put_bytes(&s->other, buf, want, err) < 0 ||
                    write_frame(s, &s->other, err) < 0)
                        return -1;
                ts_digest_add(digest, buf, want);
                left -= want;
        }
        return 0;
}

static int send_file(struct ts_send *s, const char *name, struct ts_err *err)
{
        ts_auto_fd int fd = openat(s->dump, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        ts_auto(ts_digest) struct ts_digest *digest = ts_digest_new();
        unsigned char sum[TS_DIGEST_BYTES];
        struct stat st;

        if (!digest)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (fd < 0 || fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", name);
        if (!S_ISREG(st.st_mode))
                return ts_err_set(err, TS_EPROTO, "'%s' in the dump is not a file", name);
        ts_frame_begin(&s->other, TS_FRAME_FILE);
        if (ts_put_u32(&s->other, (uint32_t)st.st_mode & 07777, err) < 0 || ts_put_u64(&s->other, (uint64_t)st.st_size, err) < 0 ||
            ts_put_text(&s->other, name, err) < 0 || write_frame(s, &s->other, err) < 0)
                return -1;
        if (send_bytes(s, fd, (uint64_t)st.st_size, digest, err) < 0)
                return -1;
        ts_digest_end(digest, sum);
        return send_sum(s, name, (uint64_t)st.st_size, sum, err);
}

/* The dump says that it goes on from another one: that has to be the one that the other side has, as it was. */
static int send_parent(struct ts_send *s, struct ts_err *err)
{
        ts_auto_free char *want = ts_fmt("../%s", ts_or(s->parent, ""));
        ts_auto_fd int dir = s->parent ? openat(s->root, s->parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        char link[300];
        bool some = false;
        ssize_t n = readlinkat(s->dump, PARENT, link, sizeof(link) - 1);

        if (!want)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        link[n < 0 ? 0 : n] = '\0';
        if (dir < 0 || strcmp(link, want) != 0)
                return ts_err_set(err, TS_EPROTO, "somebody made another earlier dump meanwhile: the last one goes on from '%s', which is not what was sent", link);
        for (size_t i = 0; i < s->n_held; i++) {
                const struct pages *p = &s->held[i];

                if (p->seen.st_ino && !is_still(p, dir))
                        return ts_err_set(err, TS_EPROTO,
                                          "somebody made another earlier dump meanwhile: 'pages-%llu.img' is not what it was", p->number);
                some |= p->seen.st_ino != 0;
        }
        if (!some)
                return ts_err_set(err, TS_EPROTO, "the dump goes on from one without pages");
        ts_frame_begin(&s->other, TS_FRAME_PARENT);
        return write_frame(s, &s->other, err);
}

/* What was read while it was written: nothing was added since, and CRIU only ever appends. */
static int sum_pages(struct ts_send *s, enum ts_round_kind kind, struct ts_err *err)
{
        for (size_t i = 0; i < s->n_pages; i++) {
                struct stat st;
                char name[64];

                if (!s->pages[i].sent) {
                        s->pages[i].seen = (struct stat){ 0 };
                        continue;
                }
                name_of(&s->pages[i], name);
                if (fstatat(s->dump, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return ts_err_errno(err, errno, "cannot look at '%s'", name);
                if ((uint64_t)st.st_size != s->pages[i].size)
                        return ts_err_set(err, TS_EPROTO, "'%s' has grown after the dump was complete", name);
                if (kind == TS_ROUND_EARLIER && !is_still(&s->pages[i], s->dump))
                        return ts_err_set(err, TS_EPROTO, "'%s' was written again after it was sent", name);
                if (send_sum(s, name, s->pages[i].size, s->pages[i].sum, err) < 0)
                        return -1;
        }
        return 0;
}

static int end_round(struct ts_send *s, enum ts_round_kind kind, struct ts_delta_stats *ret_stats, struct ts_err *err)
{
        ts_frame_begin(&s->other, TS_FRAME_ROUND);
        if (ts_put_u32(&s->other, kind, err) < 0 || ts_put_u32(&s->other, s->sums, err) < 0 || write_frame(s, &s->other, err) < 0)
                return -1;
        *ret_stats = *ts_delta_stats(s->delta);
        s->sums = 0;
        for (size_t i = 0; i < s->n_pages; i++)
                s->pages[i].sent = false;
        free(TS_TAKE(s->parent)); /* another try of a dump that did not work out goes on from none */
        if (kind == TS_ROUND_EARLIER) {
                s->earlier = ts_strdup0(s->name);
                if (!s->earlier)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return kind == TS_ROUND_FINAL ? 0 : ts_delta_settle(s->delta, err);
}

int ts_send_finish(struct ts_send *s, enum ts_round_kind kind, struct ts_delta_stats *ret_stats, struct ts_err *err)
{
        struct names n = { .others = TS_LIST_INIT };
        int rc = list_root(s, &n, err);

        if (rc == 0 && kind != TS_ROUND_PAGES && s->dump < 0)
                rc = ts_err_set(err, TS_EPROTO, "there is no dump in '%s'", s->name);
        if (rc == 0)
                rc = send_pages(s, &n, err) < 0 || send_tails(s, err) < 0 ? -1 : 0;
        if (rc == 0 && kind == TS_ROUND_EARLIER && n.n > EARLIER_MAX)
                rc = ts_err_set(err, TS_ELIMIT, "a dump of %zu processes is none to go on from", n.n);
        if (rc == 0 && kind == TS_ROUND_EARLIER && !ts_list_has(&n.others, "inventory.img"))
                rc = ts_err_set(err, TS_EPROTO, "the dump in '%s' is not complete", s->name);
        for (size_t i = 0; rc == 0 && kind == TS_ROUND_FINAL && i < n.others.n; i++)
                rc = ts_core_settle(s->dump, n.others.v[i], err);
        for (size_t i = 0; rc == 0 && kind != TS_ROUND_PAGES && i < n.others.n; i++)
                rc = strcmp(n.others.v[i], PARENT) ? send_file(s, n.others.v[i], err) : send_parent(s, err);
        names_clear(&n);
        return rc < 0 || sum_pages(s, kind, err) < 0 ? -1 : end_round(s, kind, ret_stats, err);
}
