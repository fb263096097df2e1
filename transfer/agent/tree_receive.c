/* See tree_receive.h. Decides where a path leads; every one is hostile. */
#include "transfer/agent/tree_receive.h"

#include "transfer/agent/entry.h"
#include "transfer/agent/flags.h"
#include "transfer/agent/patch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define DEPTH_MAX 512
#define LATE_MAX (32U << 20)
#define LATE_BYTES_MAX ((size_t)1 << 30) /* some seven million directories: one path can be repeated at will */
#define NAMES_MAX 1024
#define FILE_MAX_BYTES ((uint64_t)1 << 44)

/* The time of a directory, or its flags and a file's, are set when nothing in it changes any more.
 */
struct late {
        char *path;
        struct timespec mtime;
        unsigned flags; /* instead of the time, if not 0 */
};

struct ts_tree_receive {
        int root;
        dev_t dev;
        char *parent_path; /* of parent_fd: the last one that was walked to */
        int parent_fd;
        struct late *late;
        size_t n_late, cap_late;
        size_t late_bytes, late_max;
        bool keeps; /* only some of the root's entries come: of the others nothing changes */
        struct ts_list names;  /* which, then */
        uint64_t unset;        /* objects whose flags could not be set */
        struct ts_entry file; /* whose content is under way, if path is set */
        struct ts_patch *patch;
        int file_fd; /* the patch's */
        bool saved;  /* the time of parent_fd is among the late ones */
        bool over;   /* a final round is complete */
};

struct ts_tree_receive *ts_tree_receive_new(void)
{
        struct ts_tree_receive *t = calloc(1, sizeof(*t));

        if (t) {
                t->root = t->parent_fd = t->file_fd = -1;
                t->late_max = LATE_BYTES_MAX;
        }
        return t;
}

void ts_tree_receive_late_max(struct ts_tree_receive *t, size_t bytes)
{
        t->late_max = bytes;
}

static void forget_parent(struct ts_tree_receive *t)
{
        if (t->parent_fd >= 0)
                (void)close(t->parent_fd);
        t->parent_fd = -1;
        t->saved = false;
        free(TS_TAKE(t->parent_path));
}

static void forget_file(struct ts_tree_receive *t)
{
        if (t->patch)
                ts_patch_free(TS_TAKE(t->patch));
        t->file_fd = -1;
        ts_entry_clear(&t->file);
}

static void forget_late(struct ts_tree_receive *t)
{
        for (size_t i = 0; i < t->n_late; i++)
                free(t->late[i].path);
        t->n_late = 0;
        t->late_bytes = 0;
}

void ts_tree_receive_free(struct ts_tree_receive *t)
{
        forget_parent(t);
        forget_file(t);
        forget_late(t);
        free(t->late);
        ts_list_clear(&t->names);
        if (t->root >= 0)
                (void)close(t->root);
        free(t);
}

int ts_tree_receive_root(struct ts_tree_receive *t, int fd, struct ts_err *err)
{
        struct stat st;

        t->root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (t->root < 0 || fstat(t->root, &st) < 0)
                return ts_err_errno(err, errno, "cannot open the directory");
        t->dev = st.st_dev;
        return 0;
}

static int bad(const char *what, struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "the source sent %s", what);
}

/* ---- paths ---- */

/* The directory that holds path, and its last component in *leaf. The descriptor stays t's. */
static int walk(struct ts_tree_receive *t, const char *path, const char **leaf, struct ts_err *err)
{
        const char *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : 0;
        ts_auto_free char *parent = strndup(path, len);
        ts_auto_fd int fd = -1;

        *leaf = slash ? slash + 1 : path;
        if (!parent)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (t->parent_fd >= 0 && !strcmp(t->parent_path, parent))
                return t->parent_fd;
        fd = openat(t->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (char *p = parent; fd >= 0 && *p;) {
                size_t n = strcspn(p, "/");
                bool last = p[n] == '\0';
                int next;

                p[n] = '\0';
                next = openat(fd, p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                p[n] = last ? '\0' : '/';
                (void)close(fd);
                fd = next;
                p += last ? n : n + 1;
        }
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot open the directory of '%s'", path);
        forget_parent(t);
        t->parent_fd = TS_TAKE_FD(fd);
        t->parent_path = TS_TAKE(parent);
        return t->parent_fd;
}

static int remove_object(struct ts_tree_receive *t, int dir, const char *leaf, unsigned depth, struct ts_err *err);

/* Takes fd over. */
static int remove_below(struct ts_tree_receive *t, int fd, unsigned depth, struct ts_err *err)
{
        DIR *d = fdopendir(fd);
        int rc = 0;

        if (!d) {
                rc = ts_err_errno(err, errno, "cannot list a directory to remove");
                (void)close(fd);
                return rc;
        }
        while (rc == 0) {
                const struct dirent *e;

                errno = 0;
                e = readdir(d); /* NOLINT(concurrency-mt-unsafe): a stream of our own */
                if (!e && errno)
                        rc = ts_err_errno(err, errno, "cannot list a directory to remove");
                if (!e)
                        break;
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        rc = remove_object(t, dirfd(d), e->d_name, depth + 1, err);
        }
        (void)closedir(d);
        return rc;
}

/* What is not there is removed. Another file system is left alone. */
static int remove_object(struct ts_tree_receive *t, int dir, const char *leaf, unsigned depth, struct ts_err *err)
{
        struct stat st;
        int fd;

        if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : ts_err_errno(err, errno, "cannot look at '%s'", leaf);
        if (!S_ISDIR(st.st_mode))
                return unlinkat(dir, leaf, 0) < 0 && errno != ENOENT ? ts_err_errno(err, errno, "cannot remove '%s'", leaf) : 0;
        if (st.st_dev != t->dev || depth > DEPTH_MAX)
                return ts_err_set(err, TS_EREFUSED, "'%s' to be removed is another file system, or too deep", leaf);
        forget_parent(t); /* it may be that one */
        fd = openat(dir, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", leaf);
        if (remove_below(t, fd, depth, err) < 0)
                return -1;
        return unlinkat(dir, leaf, AT_REMOVEDIR) < 0 ? ts_err_errno(err, errno, "cannot remove '%s'", leaf) : 0;
}

/* The same, where dir may be the cached parent. */
static int make_room(struct ts_tree_receive *t, int dir, const char *leaf, struct ts_err *err)
{
        ts_auto_fd int own = dup(dir);

        return own < 0 ? ts_err_errno(err, errno, "cannot duplicate a descriptor") : remove_object(t, own, leaf, 0, err);
}

/* ---- objects ---- */

static int set_late(struct ts_tree_receive *t, const char *path, struct timespec mtime,
                    unsigned flags, struct ts_err *err)
{
        t->late_bytes += sizeof(struct late) + strlen(path) + 1;
        if (t->n_late == LATE_MAX || t->late_bytes > t->late_max)
                return ts_err_set(err, TS_ELIMIT, "too many directories and flags in a round");
        if (t->n_late == t->cap_late) {
                size_t cap = t->cap_late ? 2 * t->cap_late : 64;
                struct late *more = realloc(t->late, cap * sizeof(*more));

                if (!more)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                t->late = more;
                t->cap_late = cap;
        }
        t->late[t->n_late] =
                (struct late){ .path = ts_strdup0(path), .mtime = mtime, .flags = flags };
        return t->late[t->n_late].path ? (t->n_late++, 0) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* Before something is made or removed in the directory of the last walk: its time stays what the source said of it, in this round or an earlier one. Of several times the first one counts in the end. */
static int keep_time(struct ts_tree_receive *t, struct ts_err *err)
{
        struct stat st;

        if (t->saved)
                return 0;
        if (fstat(t->parent_fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot look at a directory");
        t->saved = true;
        return set_late(t, *t->parent_path ? t->parent_path : ".", st.st_mtim, 0, err);
}

static int take_directory(struct ts_tree_receive *t, int dir, const char *leaf, const struct ts_entry *e, struct ts_err *err)
{
        ts_auto_fd int fd = -1;
        struct stat st;

        if (e->content == TS_ENTRY_NEW && (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode)) &&
            (make_room(t, dir, leaf, err) < 0 || ts_entry_make(dir, leaf, e, err) < 0))
                return -1;
        fd = openat(dir, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", e->path);
        return ts_entry_apply(dir, leaf, fd, e, err) < 0
                       ? -1
                       : set_late(t, e->path, e->st.st_mtim, 0, err);
}

static int begin_file(struct ts_tree_receive *t, int dir, const char *leaf, struct ts_entry *e, struct ts_err *err)
{
        int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (e->content == TS_ENTRY_NEW ? O_CREAT | O_EXCL : 0);
        uint32_t number = 0;
        struct stat st;
        int fd = openat(dir, leaf, flags, 0600);

        if (fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", e->path);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
                (void)close(fd);
                return ts_err_set(err, TS_EPROTO, "'%s' is no regular file here", e->path);
        }
        t->patch = ts_patch_new(FILE_MAX_BYTES, -1);
        if (!t->patch) {
                (void)close(fd);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        t->file_fd = fd;
        t->file = *e;
        *e = (struct ts_entry){ 0 };
        return ts_patch_add(t->patch, fd, &number, err) < 0 ? -1 : ts_patch_begin(t->patch, number, err);
}

/* Which entry of the root it is, or is in. */
static int note_name(struct ts_tree_receive *t, const char *path, struct ts_err *err)
{
        ts_auto_free char *name = strndup(path, strcspn(path, "/"));

        if (!name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_list_has(&t->names, name))
                return 0;
        return t->names.n == NAMES_MAX ? ts_err_set(err, TS_ELIMIT, "more than %d names", NAMES_MAX)
                                       : ts_list_add(&t->names, name, err);
}

static bool came(const struct ts_tree_receive *t, const char *path)
{
        ts_auto_free char *name = strndup(path, strcspn(path, "/"));

        return !t->keeps || (name && ts_list_has(&t->names, name));
}

/* Set at the end of the round, which has to be the last. */
static int take_flags(struct ts_tree_receive *t, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        ts_auto_free char *path = ts_entry_get_path(&u, true);
        uint32_t flags = ts_get_u32(&u);

        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (!flags || flags & ~TS_FLAGS_ALL || !came(t, path))
                return bad("flags that make no sense", err);
        return set_late(t, path, (struct timespec){ 0 }, flags, err);
}

static int take_entry(struct ts_tree_receive *t, const struct ts_frame *f, struct ts_err *err)
{
        ts_auto_entry e = { 0 };
        const char *leaf = ".";
        int dir = t->root;

        if (ts_entry_get(f, &e, err) < 0)
                return -1;
        if (strcmp(e.path, ".") != 0)
                dir = walk(t, e.path, &leaf, err);
        if (dir < 0 || (e.content == TS_ENTRY_NEW && strcmp(e.path, ".") != 0 && keep_time(t, err) < 0))
                return -1;
        if (e.content == TS_ENTRY_KEEP) {
                t->keeps = true;
                return 0;
        }
        if (t->keeps && note_name(t, e.path, err) < 0)
                return -1;
        if (S_ISDIR(e.st.st_mode))
                return take_directory(t, dir, leaf, &e, err);
        if (e.content == TS_ENTRY_META)
                return bad("half of an object", err);
        if (e.content == TS_ENTRY_NEW) {
                if (make_room(t, dir, leaf, err) < 0)
                        return -1;
                dir = walk(t, e.path, &leaf, err);
                if (dir < 0)
                        return -1;
        }
        if (S_ISREG(e.st.st_mode))
                return begin_file(t, dir, leaf, &e, err);
        return ts_entry_make(dir, leaf, &e, err) < 0 ? -1 : ts_entry_apply(dir, leaf, -1, &e, err);
}

static int end_file(struct ts_tree_receive *t, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        uint64_t size = ts_get_u64(&u), found = 0;
        const unsigned char *want = ts_get_bytes(&u, 16);
        unsigned char sum[16];
        const char *leaf;
        int dir;

        if (ts_unpack_end(&u, f, err) < 0 || ts_patch_end(t->patch, &found, sum, err) < 0)
                return -1;
        if (found != size || memcmp(sum, want, 16) != 0)
                return ts_err_set(err, TS_EPROTO, "'%s' is not what was sent: its sum differs", t->file.path);
        dir = walk(t, t->file.path, &leaf, err);
        if (dir < 0 || ts_entry_apply(dir, leaf, t->file_fd, &t->file, err) < 0)
                return -1;
        forget_file(t);
        return 0;
}

static int take_link(struct ts_tree_receive *t, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        ts_auto_free char *path = ts_entry_get_path(&u, false);
        ts_auto_free char *to = ts_entry_get_path(&u, false);
        const char *leaf, *to_leaf;
        ts_auto_fd int to_dir = -1;
        int dir;

        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (!strcmp(path, to))
                return bad("a link to itself", err);
        dir = walk(t, path, &leaf, err);
        if (dir < 0 || keep_time(t, err) < 0 || make_room(t, dir, leaf, err) < 0)
                return -1;
        dir = walk(t, to, &to_leaf, err);
        to_dir = dir < 0 ? -1 : dup(dir);
        if (to_dir < 0)
                return dir < 0 ? -1 : ts_err_errno(err, errno, "cannot duplicate a descriptor");
        dir = walk(t, path, &leaf, err);
        if (dir < 0)
                return -1;
        return linkat(to_dir, to_leaf, dir, leaf, 0) < 0 ? ts_err_errno(err, errno, "cannot link '%s' to '%s'", path, to) : 0;
}

static int take_removal(struct ts_tree_receive *t, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        ts_auto_free char *path = ts_entry_get_path(&u, false);
        ts_auto_err failed = TS_ERR_INIT;
        const char *leaf;
        int dir;

        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        dir = walk(t, path, &leaf, &failed);
        if (dir >= 0)
                return keep_time(t, err) < 0 ? -1 : make_room(t, dir, leaf, err);
        if (failed.sys_errno == ENOENT || failed.sys_errno == ENOTDIR || failed.sys_errno == ELOOP) /* gone with what it was in */
                return 0;
        ts_err_move(err, &failed);
        return -1;
}

/* A file system that does not have them is no reason not to move: it is told. */
static void set_flags(struct ts_tree_receive *t, const char *path, unsigned flags)
{
        const char *leaf = ".";
        int dir = !strcmp(path, ".") ? t->root : walk(t, path, &leaf, NULL);
        ts_auto_fd int fd = dir < 0 ? -1 : ts_flags_open(dir, leaf, t->dev);

        t->unset += fd < 0 || ts_flags_set(fd, flags) < 0;
}

uint64_t ts_tree_receive_unset(const struct ts_tree_receive *t)
{
        return t->unset;
}

static int end_round(struct ts_tree_receive *t, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);

        t->over = ts_get_u32(&u) != 0;
        (void)ts_get_u32(&u);
        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        for (size_t i = 0; i < t->n_late; i++)
                if (t->late[i].flags && !t->over)
                        return bad("flags before the last round", err);
        for (size_t i = t->n_late; i-- > 0;) {
                const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, t->late[i].mtime };
                bool top = !strcmp(t->late[i].path, ".");
                ts_auto_err gone = TS_ERR_INIT;
                const char *leaf = ".";
                int dir = t->late[i].flags ? -1
                          : top            ? t->root
                                           : walk(t, t->late[i].path, &leaf, &gone);

                if (dir >= 0 && utimensat(dir, leaf, times, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
                        return ts_err_errno(err, errno, "cannot set the time of '%s'", t->late[i].path);
        }
        for (size_t i = 0; i < t->n_late; i++) {
                if (ts_alive_tick(err) < 0)
                        return -1;
                if (t->late[i].flags)
                        set_flags(t, t->late[i].path, t->late[i].flags);
        }
        forget_late(t);
        forget_parent(t);
        return 0;
}

int ts_tree_receive_frame(struct ts_tree_receive *t, const struct ts_frame *f, bool *ret_round, struct ts_err *err)
{
        bool in_file = t->file.path;

        *ret_round = false;
        if (t->over)
                return bad("a message after the last round", err);
        if (in_file != (f->type == TS_FRAME_STEPS || f->type == TS_FRAME_CLOSE))
                return bad("a message at the wrong time", err);
        switch (f->type) {
        case TS_FRAME_ENTRY:
                return take_entry(t, f, err);
        case TS_FRAME_STEPS:
                return ts_patch_steps(t->patch, f, err) < 0 ? ts_err_prefix(err, "'%s'", t->file.path) : 0;
        case TS_FRAME_CLOSE:
                return end_file(t, f, err);
        case TS_FRAME_LINK:
                return take_link(t, f, err);
        case TS_FRAME_REMOVE:
                return take_removal(t, f, err);
        case TS_FRAME_FLAGS:
                return take_flags(t, f, err);
        case TS_FRAME_ROUND:
                *ret_round = true;
                return end_round(t, f, err);
        default:
                return bad("a message that is not for a tree", err);
        }
}
