/* See tree_send.h. Decides what has changed. */
#include "transfer/agent/tree_send.h"

#include "base/io.h"
#include "transfer/agent/delta.h"
#include "transfer/agent/entry.h"
#include "transfer/agent/flags.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <xxhash.h>

#define BLOCK ((size_t)16 << 10)
#define CHUNK ((size_t)256 << 10) /* a multiple of BLOCK, at most TS_DELTA_DATA_MAX */
#define DEPTH_MAX 512
#define FRESH_NS 1000000000LL /* changed so shortly before it was read: it may have changed again within the clock's tick */
#define OBJECTS_MAX (32U << 20)

struct sum {
        uint64_t low, high;
};

/* Of a file's blocks; a group of zeros, as holes are, is NULL. Only the last group may be shorter than the others. */
#define GROUP ((uint64_t)1024)
struct sums {
        struct sum **groups;
        uint64_t n;
};

/* What an inode was when the other side got it. */
struct inode {
        struct stat st;
        struct sums sums;
        uint64_t round; /* in which it was seen last */
        bool doubtful;  /* to be read again whatever its times say */
        bool remade;    /* in that round the other side made a new object for it: its other names there are of the old one */
        unsigned flags; /* flags.h */
        char *path;     /* the first of its names in that round */
};

struct name {
        char *path;
        uint64_t dev, ino;
        uint64_t round;
};

/* Open addressing; entries are pointers, empty is NULL, and nothing is ever taken out of a table, only made anew. */
struct table {
        void **slots;
        size_t size, used;
};

struct ts_tree_send {
        struct ts_duplex *out;
        struct ts_pack *pack;
        struct ts_list only, only_as; /* one entry each */
        struct table names, inodes;
        struct ts_frame frame, steps;
        struct ts_tree_stats stats;
        uint64_t round;
        bool final;
        dev_t dev;   /* of the root, whose file system … */
        ino_t ino;
        bool untold; /* … does not tell of writes through mappings */
        unsigned flags; /* its own */
        struct timespec began;
        unsigned char *buf;
        struct ts_digest *digest;
        struct ts_op op; /* held back; DATA is in the frame already, all but its length, … */
        size_t len_at;   /* … which belongs there */
};

struct ts_tree_send *ts_tree_send_new(struct ts_duplex *out, struct ts_pack *pack)
{
        struct ts_tree_send *t = calloc(1, sizeof(*t));

        if (!t)
                return NULL;
        t->out = out;
        t->pack = pack;
        t->buf = malloc(CHUNK);
        t->digest = ts_digest_new();
        if (t->buf && t->digest)
                return t;
        ts_tree_send_free(t);
        return NULL;
}

static void name_free(void *p)
{
        struct name *n = p;

        free(n->path);
        free(n);
}

static uint64_t groups_of(uint64_t n)
{
        return (n + GROUP - 1) / GROUP;
}

static void sums_clear(struct sums *s)
{
        for (uint64_t g = 0; g < groups_of(s->n); g++)
                free(s->groups[g]);
        free(s->groups);
        *s = (struct sums){ 0 };
}

static struct sum sums_get(const struct sums *s, uint64_t block)
{
        const struct sum *group = s->groups[block / GROUP];

        return group ? group[block % GROUP] : (struct sum){ 0, 0 };
}

static int sums_set(struct sums *s, uint64_t block, struct sum sum, struct ts_err *err)
{
        uint64_t first = block / GROUP * GROUP, n = s->n - first < GROUP ? s->n - first : GROUP;
        struct sum **group = &s->groups[block / GROUP];

        if (!*group && !sum.low && !sum.high)
                return 0;
        if (!*group)
                *group = calloc((size_t)n, sizeof(**group));
        if (!*group)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (*group)[block % GROUP] = sum;
        return 0;
}

/* Blocks from `from` to before `to` are zeros. */
static void sums_zero(struct sums *s, uint64_t from, uint64_t to)
{
        for (uint64_t end; from < to; from = end) {
                struct sum **group = &s->groups[from / GROUP];

                end = (from / GROUP + 1) * GROUP < to ? (from / GROUP + 1) * GROUP : to;
                if (from % GROUP == 0 && end - from == GROUP) {
                        free(*group);
                        *group = NULL;
                } else if (*group) {
                        memset(*group + from % GROUP, 0, (size_t)(end - from) * sizeof(**group));
                }
        }
}

/* n from here on, of which the first `common` stay. */
static int sums_size(struct sums *s, uint64_t n, uint64_t common, struct ts_err *err)
{
        struct sums more = { .groups = (struct sum **)calloc((size_t)groups_of(n) + 1, sizeof(struct sum *)), .n = n };

        if (!more.groups)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (uint64_t g = 0; g < groups_of(common); g++) {
                uint64_t first = g * GROUP, had = s->n - first < GROUP ? s->n - first : GROUP, gets = n - first < GROUP ? n - first : GROUP,
                         stay = common - first < GROUP ? common - first : GROUP;

                if (!s->groups[g])
                        continue;
                if (had == gets) {
                        more.groups[g] = TS_TAKE(s->groups[g]);
                } else {
                        more.groups[g] = calloc((size_t)gets, sizeof(struct sum));
                        if (!more.groups[g]) {
                                sums_clear(&more);
                                return ts_err_set(err, TS_ENOMEM, "out of memory");
                        }
                        memcpy(more.groups[g], s->groups[g], (size_t)stay * sizeof(struct sum));
                }
        }
        sums_clear(s);
        *s = more;
        return 0;
}

static void inode_free(void *p)
{
        struct inode *i = p;

        sums_clear(&i->sums);
        free(i->path);
        free(i);
}

static void table_clear(struct table *x, void (*drop)(void *))
{
        for (size_t i = 0; i < x->size; i++)
                if (x->slots[i])
                        drop(x->slots[i]);
        free(x->slots);
        *x = (struct table){ 0 };
}

void ts_tree_send_free(struct ts_tree_send *t)
{
        ts_list_clear(&t->only);
        ts_list_clear(&t->only_as);
        table_clear(&t->names, name_free);
        table_clear(&t->inodes, inode_free);
        ts_frame_clear(&t->frame);
        ts_frame_clear(&t->steps);
        if (t->digest)
                ts_digest_free(t->digest);
        free(t->buf);
        free(t);
}

/* ---- tables ---- */

static uint64_t hash_name(const void *p)
{
        const struct name *n = p;

        return XXH3_64bits(n->path, strlen(n->path));
}

static uint64_t hash_inode(const void *p)
{
        const struct inode *i = p;
        const uint64_t key[2] = { i->st.st_dev, i->st.st_ino };

        return XXH3_64bits(key, sizeof(key));
}

static void place(struct table *x, void *p, uint64_t hash)
{
        size_t i = hash & (x->size - 1);

        while (x->slots[i])
                i = (i + 1) & (x->size - 1);
        x->slots[i] = p;
        x->used++;
}

static int table_add(struct table *x, void *p, uint64_t (*hash)(const void *), struct ts_err *err)
{
        if (x->used >= OBJECTS_MAX)
                return ts_err_set(err, TS_ELIMIT, "more than %u objects in a directory tree", OBJECTS_MAX);
        if (x->used >= x->size / 2) {
                struct table bigger = { .size = x->size ? 2 * x->size : 256 };

                bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
                if (!bigger.slots)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                for (size_t i = 0; i < x->size; i++)
                        if (x->slots[i])
                                place(&bigger, x->slots[i], hash(x->slots[i]));
                free(x->slots);
                *x = bigger;
        }
        place(x, p, hash(p));
        return 0;
}

static struct name *find_name(const struct table *x, const char *path)
{
        size_t i = x->size ? XXH3_64bits(path, strlen(path)) & (x->size - 1) : 0;

        for (; x->size && x->slots[i]; i = (i + 1) & (x->size - 1)) {
                struct name *n = x->slots[i];

                if (!strcmp(n->path, path))
                        return n;
        }
        return NULL;
}

static struct inode *find_inode(const struct table *x, const struct stat *st)
{
        const struct inode key = { .st = *st };
        size_t i = x->size ? hash_inode(&key) & (x->size - 1) : 0;

        for (; x->size && x->slots[i]; i = (i + 1) & (x->size - 1)) {
                struct inode *n = x->slots[i];

                if (n->st.st_dev == st->st_dev && n->st.st_ino == st->st_ino)
                        return n;
        }
        return NULL;
}

/* Those not seen in this round go. */
static int table_keep(struct table *x, bool (*stays)(const void *, uint64_t), uint64_t round, uint64_t (*hash)(const void *),
                      void (*drop)(void *), struct ts_err *err)
{
        struct table kept = { 0 };
        int rc = 0;

        for (size_t i = 0; i < x->size; i++) {
                if (!x->slots[i])
                        continue;
                if (!stays(x->slots[i], round))
                        drop(x->slots[i]);
                else if (rc < 0 || table_add(&kept, x->slots[i], hash, err) < 0) {
                        drop(x->slots[i]);
                        rc = -1;
                }
        }
        free(x->slots);
        *x = kept;
        return rc;
}

static bool name_stays(const void *p, uint64_t round)
{
        return ((const struct name *)p)->round == round;
}

static bool inode_stays(const void *p, uint64_t round)
{
        return ((const struct inode *)p)->round == round;
}

/* ---- sending ---- */

static int write_frame(struct ts_tree_send *t, const struct ts_frame *f, struct ts_err *err)
{
        return ts_pack_write(t->pack, t->out, f, err);
}

static int flush_op(struct ts_tree_send *t, struct ts_err *err)
{
        struct ts_op op = t->op;

        t->op = (struct ts_op){ 0 };
        if (!op.len)
                return 0;
        if (op.kind == TS_OP_DATA) {
                ts_set_u64(&t->steps, t->len_at, op.len);
                return 0;
        }
        return ts_put_u32(&t->steps, (uint32_t)op.kind, err) < 0 || ts_put_u32(&t->steps, 0, err) < 0 ||
                               ts_put_u64(&t->steps, 0, err) < 0 || ts_put_u64(&t->steps, op.len, err) < 0
                       ? -1
                       : 0;
}

static int flush_steps(struct ts_tree_send *t, struct ts_err *err)
{
        int rc = flush_op(t, err);

        if (rc == 0 && t->steps.body.len)
                rc = write_frame(t, &t->steps, err);
        ts_frame_begin(&t->steps, TS_FRAME_STEPS);
        return rc;
}

/* Its length is known when it is over. */
static int begin_data(struct ts_tree_send *t, struct ts_err *err)
{
        if (ts_put_u32(&t->steps, TS_OP_DATA, err) < 0 || ts_put_u32(&t->steps, 0, err) < 0 || ts_put_u64(&t->steps, 0, err) < 0)
                return -1;
        t->len_at = t->steps.body.len;
        return ts_put_u64(&t->steps, 0, err);
}

/* Those of one kind that follow each other become one. */
static int step(struct ts_tree_send *t, enum ts_op_kind kind, const void *data, uint64_t len, struct ts_err *err)
{
        if (t->op.kind != kind && (flush_op(t, err) < 0 || (t->steps.body.len > CHUNK - BLOCK && flush_steps(t, err) < 0)))
                return -1;
        if (kind == TS_OP_DATA && !t->op.len && begin_data(t, err) < 0)
                return -1;
        t->op.kind = kind;
        t->op.len += len;
        if (kind != TS_OP_DATA)
                return 0;
        t->stats.bytes_sent += len;
        if (ts_put_bytes(&t->steps, data, (size_t)len, err) < 0)
                return -1;
        return t->steps.body.len > CHUNK - BLOCK ? flush_steps(t, err) : 0;
}

/* ---- contents ---- */

static struct sum sum_of(const unsigned char *p, size_t len)
{
        XXH128_hash_t h = XXH3_128bits(p, len);

        return (struct sum){ h.low64, h.high64 };
}

/* Zeros have the sum 0 whatever their number is, so that a hole needs not be read. known: so many sums are those of what the other side has. */
static int send_block(struct ts_tree_send *t, struct inode *i, uint64_t block, const unsigned char *p, size_t len, uint64_t known,
                      struct ts_err *err)
{
        bool zero = ts_is_zero(p, len);
        struct sum sum = zero ? (struct sum){ 0, 0 } : sum_of(p, len), old = sums_get(&i->sums, block);

        ts_digest_add(t->digest, p, len);
        if (sums_set(&i->sums, block, sum, err) < 0)
                return -1;
        if (block < known && sum.low == old.low && sum.high == old.high)
                return step(t, zero ? TS_OP_ZERO : TS_OP_SAME, NULL, len, err);
        return zero ? step(t, TS_OP_ZERO, NULL, len, err) : step(t, TS_OP_DATA, p, len, err);
}

static int read_chunk(int fd, unsigned char *buf, size_t want, uint64_t pos, size_t *ret, struct ts_err *err)
{
        for (*ret = 0; *ret < want;) {
                ssize_t n = pread(fd, buf + *ret, want - *ret, (off_t)(pos + *ret));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return ts_err_errno(err, errno, "cannot read");
                if (n == 0)
                        break;
                *ret += (size_t)n;
        }
        return 0;
}

/* Where data begins at or behind pos; size: nowhere. */
static uint64_t next_data(int fd, uint64_t pos, uint64_t size)
{
        off_t at = lseek(fd, (off_t)pos, SEEK_DATA);

        if (at < 0)
                return errno == ENXIO ? size : pos;
        return (uint64_t)at < size ? (uint64_t)at / BLOCK * BLOCK : size;
}

static int send_hole(struct ts_tree_send *t, struct inode *i, uint64_t *pos, uint64_t data, struct ts_err *err)
{
        uint64_t len = data - *pos;

        sums_zero(&i->sums, *pos / BLOCK, (data + BLOCK - 1) / BLOCK);
        ts_digest_zeros(t->digest, len);
        *pos = data;
        return step(t, TS_OP_ZERO, NULL, len, err);
}

static int send_range(struct ts_tree_send *t, struct inode *i, int fd, uint64_t *pos, uint64_t size, uint64_t known, struct ts_err *err)
{
        uint64_t data = next_data(fd, *pos, size);
        size_t want, got;

        if (ts_alive_tick(err) < 0)
                return -1;
        if (data > *pos)
                return send_hole(t, i, pos, data, err);
        want = size - *pos < CHUNK ? (size_t)(size - *pos) : CHUNK;
        if (read_chunk(fd, t->buf, want, *pos, &got, err) < 0)
                return -1;
        t->stats.bytes_read += got;
        if (got < want) {
                if (t->final)
                        return ts_err_set(err, TS_EPROTO, "it became shorter while it was read");
                memset(t->buf + got, 0, want - got); /* the next round tells */
                i->doubtful = true;
        }
        for (size_t at = 0; at < want; at += BLOCK)
                if (send_block(t, i, (*pos + at) / BLOCK, t->buf + at, want - at < BLOCK ? want - at : BLOCK, known, err) < 0)
                        return -1;
        *pos += want;
        return 0;
}

/* An odd last block that was one before may be a whole one now, or the other way round: its sum does not count. */
static int size_sums(struct inode *i, uint64_t old_size, uint64_t size, bool there, uint64_t *ret_known, struct ts_err *err)
{
        uint64_t n = (size + BLOCK - 1) / BLOCK, common = !there ? 0 : old_size == size ? n : (old_size < size ? old_size : size) / BLOCK;

        if (common > i->sums.n) /* of a round that was broken off */
                common = i->sums.n;
        *ret_known = common;
        return sums_size(&i->sums, n, common, err);
}

static int send_content(struct ts_tree_send *t, struct inode *i, int fd, uint64_t old_size, bool there, struct ts_err *err)
{
        uint64_t size = (uint64_t)i->st.st_size, known = 0;
        unsigned char sum[TS_DIGEST_BYTES];
        int rc = size_sums(i, old_size, size, there, &known, err);

        ts_digest_begin(t->digest);
        ts_frame_begin(&t->steps, TS_FRAME_STEPS);
        t->op = (struct ts_op){ 0 };
        for (uint64_t pos = 0; rc == 0 && pos < size;)
                rc = send_range(t, i, fd, &pos, size, known, err);
        if (rc == 0)
                rc = flush_steps(t, err);
        if (rc == 0) {
                ts_digest_end(t->digest, sum);
                ts_frame_begin(&t->frame, TS_FRAME_CLOSE);
                rc = ts_put_u64(&t->frame, size, err) < 0 || ts_put_bytes(&t->frame, sum, sizeof(sum), err) < 0 ||
                                     write_frame(t, &t->frame, err) < 0
                             ? -1
                             : 0;
        }
        return rc;
}

/* ---- objects ---- */

static bool same_time(struct timespec a, struct timespec b)
{
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool fresh(const struct ts_tree_send *t, const struct stat *st)
{
        return (t->began.tv_sec - st->st_ctim.tv_sec) * 1000000000LL + (t->began.tv_nsec - st->st_ctim.tv_nsec) < FRESH_NS;
}

static bool unchanged(const struct inode *i, const struct stat *st)
{
        return !i->doubtful && i->st.st_size == st->st_size && same_time(i->st.st_mtim, st->st_mtim) &&
               same_time(i->st.st_ctim, st->st_ctim);
}

/* Another name of an object that was sent in this round. */
static int send_link(struct ts_tree_send *t, const char *path, const char *to, struct ts_err *err)
{
        ts_frame_begin(&t->frame, TS_FRAME_LINK);
        t->stats.changed++;
        return ts_entry_put_path(&t->frame, path, err) < 0 || ts_entry_put_path(&t->frame, to, err) < 0 ? -1
                                                                                                        : write_frame(t, &t->frame, err);
}

static int learn(struct ts_tree_send *t, const char *path, const struct stat *st, struct name **name, struct inode **inode,
                 struct ts_err *err)
{
        *name = find_name(&t->names, path);
        *inode = find_inode(&t->inodes, st);
        if (!*name) {
                struct name *n = calloc(1, sizeof(*n));

                if (n)
                        n->path = ts_strdup0(path);
                if (!n || !n->path || table_add(&t->names, n, hash_name, err) < 0) {
                        if (n)
                                name_free(n);
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                }
                *name = n;
        }
        if (!*inode) {
                struct inode *i = calloc(1, sizeof(*i));

                if (i)
                        i->st = *st;
                if (!i || table_add(&t->inodes, i, hash_inode, err) < 0) {
                        free(i);
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                }
                *inode = i;
        }
        return 0;
}

static int send_entry(struct ts_tree_send *t, int dir, const char *leaf, int fd, const char *path, const struct stat *st,
                      enum ts_entry_content content, struct ts_err *err)
{
        ts_auto_entry e = { 0 };

        if (ts_entry_read(dir, leaf, fd, path, st, &e, err) < 0)
                return -1;
        e.content = content;
        t->stats.changed++;
        ts_frame_begin(&t->frame, TS_FRAME_ENTRY);
        return ts_entry_put(&t->frame, &e, err) < 0 ? -1 : write_frame(t, &t->frame, err);
}

static bool tells_of_mappings(int fd)
{
        struct statfs fs;

        return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC && fs.f_type != OVERLAYFS_SUPER_MAGIC;
}

/* What a path leads to may be another thing by now, whatever the container can make of it. */
static bool vanished(int e)
{
        return e == ENOENT || e == ELOOP || e == ENOTDIR || e == ENXIO || e == ESTALE;
}

/* Looked at before it is opened: opening a device does things. */
static int open_regular(int dir, const char *leaf, const char *path, int *ret, struct ts_err *err)
{
        ts_auto_fd int at = openat(dir, leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char magic[40];
        struct stat st;

        if (at < 0)
                return vanished(errno) ? ts_err_set(err, TS_ENOTFOUND, "'%s' is gone", path)
                                       : ts_err_errno(err, errno, "cannot open '%s'", path);
        if (fstat(at, &st) < 0 || !S_ISREG(st.st_mode))
                return ts_err_set(err, TS_ENOTFOUND, "'%s' is gone", path);
        (void)snprintf(magic, sizeof(magic), "/proc/self/fd/%d", at);
        *ret = open(magic, O_RDONLY | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
        if (*ret < 0 && errno == EPERM)
                *ret = open(magic, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        return *ret < 0 ? ts_err_errno(err, errno, "cannot open '%s'", path) : 0;
}

/* A regular file whose content has to be looked at. */
static int send_regular(struct ts_tree_send *t, int dir, const char *leaf, const char *path, struct inode *i, bool there,
                        struct ts_err *err)
{
        uint64_t old_size = (uint64_t)i->st.st_size;
        ts_auto_fd int fd = -1;
        struct stat st, after;

        if (open_regular(dir, leaf, path, &fd, err) < 0)
                return -1;
        if (!t->final && fdatasync(fd) < 0 && errno != EINVAL && errno != EROFS)
                return ts_err_errno(err, errno, "cannot write out '%s'", path);
        if (fstat(fd, &st) < 0 || st.st_ino != i->st.st_ino || st.st_dev != i->st.st_dev)
                return ts_err_set(err, TS_ENOTFOUND, "'%s' is gone", path);
        i->st = st;
        i->flags = ts_flags_of(fd);
        i->doubtful = fresh(t, &st) || (st.st_dev == t->dev ? t->untold : !tells_of_mappings(fd));
        if (send_entry(t, dir, leaf, fd, path, &st, there ? TS_ENTRY_UPDATE : TS_ENTRY_NEW, err) < 0)
                return -1;
        if (send_content(t, i, fd, old_size, there, err) < 0)
                return ts_err_prefix(err, "'%s'", path);
        if (t->final && (fstat(fd, &after) < 0 || after.st_size != st.st_size || !same_time(after.st_mtim, st.st_mtim)))
                return ts_err_set(err, TS_EPROTO, "somebody wrote to '%s' while it was read for the last time", path);
        return 0;
}

/* Only what was sent is known to be there: what fails, or is gone meanwhile, is new the next time. */
static int note_sent(struct ts_tree_send *t, struct name *n, struct inode *i, const struct stat *st, bool there, struct ts_err *err)
{
        n->dev = st->st_dev;
        n->ino = st->st_ino;
        if (i->round == t->round)
                return 0;
        i->round = t->round;
        i->remade = !there;
        free(i->path);
        i->path = ts_strdup0(n->path);
        return i->path ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int send_object(struct ts_tree_send *t, int dir, const char *leaf, int fd, const char *path, const struct stat *st,
                       struct ts_err *err)
{
        struct name *n = NULL;
        struct inode *i = NULL;
        bool there, same;
        int rc = 0;

        if (learn(t, path, st, &n, &i, err) < 0)
                return -1;
        there = i->round && n->dev == st->st_dev && n->ino == st->st_ino && (i->st.st_mode & S_IFMT) == (st->st_mode & S_IFMT);
        same = there && unchanged(i, st);
        n->round = t->round;
        t->stats.objects++;
        if (i->round == t->round && !S_ISDIR(st->st_mode)) /* a further name */
                rc = there && !i->remade ? 0 : send_link(t, path, i->path, err);
        else if (same)
                rc = 0;
        else if (S_ISREG(st->st_mode))
                rc = send_regular(t, dir, leaf, path, i, there, err);
        else {
                i->st = *st;
                i->flags = fd >= 0 ? ts_flags_of(fd) : 0;
                i->doubtful = fresh(t, st);
                /* A number may have been given to another object of the same type since: only of a directory everything that counts is in what is sent anyway. */
                rc = send_entry(t, dir, leaf, fd, path, st, there && S_ISDIR(st->st_mode) ? TS_ENTRY_META : TS_ENTRY_NEW, err);
        }
        if (rc == 0)
                return note_sent(t, n, i, st, same || (there && (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode))), err);
        n->dev = n->ino = 0;
        return -1;
}

/* ---- the tree ---- */

static int scan(struct ts_tree_send *t, int fd, const char *path, unsigned depth, struct ts_err *err);

int ts_tree_send_only(struct ts_tree_send *t, const char *name, const char *as, struct ts_err *err)
{
        return ts_list_add(&t->only, name, err) < 0 ? -1 : ts_list_add(&t->only_as, as, err);
}

/* What an entry of the root is called there; NULL: it stays here. */
static const char *top_name(const struct ts_tree_send *t, const char *leaf)
{
        for (size_t i = 0; i < t->only.n; i++)
                if (!strcmp(t->only.v[i], leaf))
                        return t->only_as.v[i];
        return t->only.n ? NULL : leaf;
}

static int scan_entry(struct ts_tree_send *t, int dir, const char *leaf, const char *parent, unsigned depth, struct ts_err *err)
{
        const char *top = depth == 0 ? top_name(t, leaf) : NULL;
        ts_auto_free char *path = depth == 0 ? ts_strdup0(top) : ts_fmt("%s/%s", parent, leaf);
        ts_auto_err failed = TS_ERR_INIT;
        struct stat st;
        int fd, rc;

        if (ts_alive_tick(err) < 0)
                return -1;
        if (depth == 0 && !top)
                return 0;
        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return vanished(errno) && !t->final ? 0 : ts_err_errno(err, errno, "cannot look at '%s'", path);
        fd = S_ISDIR(st.st_mode) ? openat(dir, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        rc = S_ISDIR(st.st_mode) && (fd < 0 || fstat(fd, &st) < 0)
                     ? (vanished(errno) ? ts_err_set(&failed, TS_ENOTFOUND, "'%s' is gone", path)
                                        : ts_err_errno(&failed, errno, "cannot open '%s'", path))
                     : send_object(t, dir, leaf, fd, path, &st, &failed);
        if (rc == 0 && fd >= 0)
                rc = scan(t, fd, path, depth + 1, &failed);
        else if (fd >= 0)
                (void)close(fd);
        if (rc < 0 && failed.code == TS_ENOTFOUND && !t->final)
                return 0; /* it went while we looked: the next round, or the end of this one, takes it away */
        if (rc < 0)
                ts_err_move(err, &failed);
        return rc;
}

/* Takes fd over. */
static int scan(struct ts_tree_send *t, int fd, const char *path, unsigned depth, struct ts_err *err)
{
        DIR *d = fdopendir(fd);
        int rc = 0;

        if (!d || depth > DEPTH_MAX) {
                rc = d ? ts_err_set(err, TS_ELIMIT, "more than %u directories in each other", DEPTH_MAX)
                       : ts_err_errno(err, errno, "cannot list '%s'", path);
                if (d)
                        (void)closedir(d);
                else
                        (void)close(fd);
                return rc;
        }
        while (rc == 0) {
                const struct dirent *e;

                errno = 0;      /* an end that is none would look as if the rest were gone */
                e = readdir(d); /* NOLINT(concurrency-mt-unsafe): a stream of our own */
                if (!e && errno)
                        rc = ts_err_errno(err, errno, "cannot list '%s'", path);
                if (!e)
                        break;
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        rc = scan_entry(t, dirfd(d), e->d_name, path, depth, err);
        }
        (void)closedir(d);
        return rc;
}

static int compare_paths(const void *a, const void *b)
{
        return -strcmp((*(struct name *const *)a)->path, (*(struct name *const *)b)->path);
}

/* What is not there any more, children before their directories. */
static int send_removed(struct ts_tree_send *t, struct ts_err *err)
{
        ts_auto_free struct name **gone = NULL;
        size_t n = 0;
        int rc = 0;

        for (size_t i = 0; i < t->names.size; i++)
                n += t->names.slots[i] && !name_stays(t->names.slots[i], t->round);
        if (n == 0)
                return 0;
        gone = (struct name **)calloc(n, sizeof(struct name *));
        if (!gone)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        n = 0;
        for (size_t i = 0; i < t->names.size; i++)
                if (t->names.slots[i] && !name_stays(t->names.slots[i], t->round))
                        gone[n++] = t->names.slots[i];
        qsort((void *)gone, n, sizeof(struct name *), compare_paths);
        for (size_t i = 0; rc == 0 && i < n; i++) {
                ts_frame_begin(&t->frame, TS_FRAME_REMOVE);
                rc = ts_entry_put_path(&t->frame, gone[i]->path, err) < 0 ? -1 : write_frame(t, &t->frame, err);
        }
        t->stats.removed = n;
        return rc;
}

static int send_flags_of(struct ts_tree_send *t, const char *path, unsigned flags,
                         struct ts_err *err)
{
        ts_frame_begin(&t->frame, TS_FRAME_FLAGS);
        return ts_entry_put_path(&t->frame, path, err) < 0 || ts_put_u32(&t->frame, flags, err) < 0
                       ? -1
                       : write_frame(t, &t->frame, err);
}

/* Last of all, for what is immutable there cannot be changed any more. */
static int send_flags(struct ts_tree_send *t, struct ts_err *err)
{
        if (t->flags && !t->only.n && send_flags_of(t, ".", t->flags, err) < 0)
                return -1;
        for (size_t n = 0; n < t->inodes.size; n++) {
                const struct inode *i = t->inodes.slots[n];

                if (ts_alive_tick(err) < 0)
                        return -1;
                if (i && i->flags && i->round == t->round &&
                    send_flags_of(t, i->path, i->flags, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_tree_send_round(struct ts_tree_send *t, const char *root, bool final, struct ts_tree_stats *ret, struct ts_err *err)
{
        int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                int e = errno;

                if (fd >= 0)
                        (void)close(fd);
                return ts_err_errno(err, e, "cannot open '%s'", root);
        }
        /* A volume that the engine mounts is not there any more once the container has stopped: all its files would seem removed */
        if (t->round && (t->dev != st.st_dev || t->ino != st.st_ino)) {
                (void)close(fd);
                return ts_err_set(err, TS_EPROTO, "'%s' is another directory than it was: something was mounted there, or is not any more", root);
        }
        t->round++;
        t->final = final;
        t->dev = st.st_dev;
        t->ino = st.st_ino;
        t->untold = !tells_of_mappings(fd);
        t->flags = ts_flags_of(fd);
        t->stats = (struct ts_tree_stats){ 0 };
        (void)clock_gettime(CLOCK_REALTIME, &t->began);
        if (send_entry(t, fd, ".", fd, ".", &st, t->only.n ? TS_ENTRY_KEEP : TS_ENTRY_META, err) < 0) {
                (void)close(fd);
                return -1;
        }
        if (scan(t, fd, ".", 0, err) < 0 || send_removed(t, err) < 0 ||
            table_keep(&t->names, name_stays, t->round, hash_name, name_free, err) < 0 ||
            table_keep(&t->inodes, inode_stays, t->round, hash_inode, inode_free, err) < 0 ||
            (final && send_flags(t, err) < 0))
                return -1;
        ts_frame_begin(&t->frame, TS_FRAME_ROUND);
        if (ts_put_u32(&t->frame, final, err) < 0 || ts_put_u32(&t->frame, 0, err) < 0 || write_frame(t, &t->frame, err) < 0)
                return -1;
        *ret = t->stats;
        return 0;
}
