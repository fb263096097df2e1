/* See entry.h. Decides which attributes travel and what a path may look like. */
#include "transfer/agent/entry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define XATTRS_MAX 1024U
#define XATTR_BYTES_MAX ((size_t)512 << 10)

void ts_entry_clear(struct ts_entry *e)
{
        free(e->path);
        free(e->link);
        free(e->xattrs);
        ts_str_clear(&e->memory);
        *e = (struct ts_entry){ 0 };
}

static bool travels(const char *name)
{
        static const char *const stay[] = { "security.selinux",       "security.evm",           "security.ima",
                                            "trusted.overlay.origin", "trusted.overlay.impure", "trusted.overlay.nlink",
                                            "trusted.overlay.uuid",   "trusted.overlay.upper" };

        for (size_t i = 0; i < TS_ARRAY_LEN(stay); i++)
                if (!strcmp(name, stay[i]))
                        return false;
        return true;
}

/* The object itself, whatever it is, as a path for the calls that have no descriptor of their own. */
static void magic(int fd, char buf[40])
{
        (void)snprintf(buf, 40, "/proc/self/fd/%d", fd);
}

/* ---- reading ---- */

/* One attribute into memory: name, NUL, value. */
static int read_xattr(const char *at, const char *name, struct ts_entry *e, struct ts_err *err)
{
        ts_auto_free char *value = malloc(XATTR_BYTES_MAX); /* as large as any, so that it cannot outgrow what it was said to have */
        ssize_t n = value ? getxattr(at, name, value, XATTR_BYTES_MAX) : -1;

        if (!value)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!strcmp(name, "trusted.overlay.metacopy")) /* its content is in the layer below: here it is zeros */
                return ts_err_set(err, TS_EREFUSED, "it has no content of its own (metacopy=on)");
        if (n < 0)
                return errno == ENODATA || errno == EOPNOTSUPP ? 0 : ts_err_errno(err, errno, "cannot read the attribute '%s'", name);
        /* Offsets, while memory may still move. */
        e->xattrs[e->n_xattrs++] = (struct ts_xattr){ .len = (size_t)n };
        return ts_str_add(&e->memory, name, strlen(name) + 1, err) < 0 ? -1 : ts_str_add(&e->memory, value, (size_t)n, err);
}

static void place_xattrs(struct ts_entry *e)
{
        const char *p = ts_str_cstr(&e->memory);

        for (size_t i = 0; i < e->n_xattrs; i++) {
                e->xattrs[i].name = p;
                e->xattrs[i].value = p + strlen(p) + 1;
                p += strlen(p) + 1 + e->xattrs[i].len;
        }
}

static int read_xattrs(int fd, struct ts_entry *e, struct ts_err *err)
{
        char at[40];
        ssize_t len;
        ts_auto_free char *names = NULL;

        magic(fd, at);
        len = listxattr(at, NULL, 0); /* most have none */
        if (len < 0)
                return errno == EOPNOTSUPP ? 0 : ts_err_errno(err, errno, "cannot list the attributes of '%s'", e->path);
        if (len == 0)
                return 0;
        names = malloc(XATTR_BYTES_MAX + 1);
        e->xattrs = calloc(XATTRS_MAX, sizeof(*e->xattrs));
        if (!names || !e->xattrs)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        len = listxattr(at, names, XATTR_BYTES_MAX);
        if (len < 0)
                return ts_err_errno(err, errno, "cannot list the attributes of '%s'", e->path);
        names[len] = '\0';
        e->memory.max = XATTR_BYTES_MAX;
        for (const char *n = names; n < names + len; n += strlen(n) + 1) {
                if (!travels(n))
                        continue;
                if (e->n_xattrs == XATTRS_MAX)
                        return ts_err_set(err, TS_ELIMIT, "'%s' has more than %u attributes", e->path, XATTRS_MAX);
                if (read_xattr(at, n, e, err) < 0)
                        return ts_err_prefix(err, "'%s'", e->path);
        }
        place_xattrs(e);
        return 0;
}

static int read_link(int fd, struct ts_entry *e, struct ts_err *err)
{
        char buf[4097];
        ssize_t n = readlinkat(fd, "", buf, sizeof(buf));

        if (n < 0 || n == (ssize_t)sizeof(buf))
                return ts_err_errno(err, n < 0 ? errno : ENAMETOOLONG, "cannot read the link '%s'", e->path);
        e->link = strndup(buf, (size_t)n);
        return e->link ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_entry_read(int dir, const char *name, int fd, const char *path, const struct stat *st, struct ts_entry *ret, struct ts_err *err)
{
        ts_auto_entry e = { .path = ts_strdup0(path), .st = *st };
        ts_auto_fd int own = -1;
        struct stat now;

        if (!e.path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (fd < 0) {
                fd = own = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        return errno == ENOENT ? ts_err_set(err, TS_ENOTFOUND, "'%s' is gone", path)
                                               : ts_err_errno(err, errno, "cannot open '%s'", path);
                if (fstat(fd, &now) < 0 || now.st_ino != st->st_ino || (now.st_mode & S_IFMT) != (st->st_mode & S_IFMT))
                        return ts_err_set(err, TS_ENOTFOUND, "'%s' is gone", path);
        }
        if ((S_ISLNK(st->st_mode) && read_link(fd, &e, err) < 0) || read_xattrs(fd, &e, err) < 0)
                return -1;
        *ret = e;
        e = (struct ts_entry){ 0 };
        return 0;
}

/* ---- messages ---- */

static int put_blob(struct ts_frame *f, const void *data, size_t len, struct ts_err *err)
{
        return ts_put_u32(f, (uint32_t)len, err) < 0 ? -1 : ts_put_bytes(f, data, len, err);
}

int ts_entry_put_path(struct ts_frame *f, const char *path, struct ts_err *err)
{
        size_t len = strlen(path);

        return len > TS_ENTRY_PATH_MAX ? ts_err_set(err, TS_ELIMIT, "a path of %zu bytes", len) : put_blob(f, path, len, err);
}

int ts_entry_put(struct ts_frame *f, const struct ts_entry *e, struct ts_err *err)
{
        const uint32_t words[] = { (uint32_t)e->content, e->st.st_mode,       e->st.st_uid, e->st.st_gid, (uint32_t)e->st.st_mtim.tv_nsec,
                                   major(e->st.st_rdev), minor(e->st.st_rdev) };

        for (size_t i = 0; i < TS_ARRAY_LEN(words); i++)
                if (ts_put_u32(f, words[i], err) < 0)
                        return -1;
        if (ts_put_u64(f, (uint64_t)e->st.st_mtim.tv_sec, err) < 0 || ts_put_u64(f, (uint64_t)e->st.st_size, err) < 0 ||
            ts_entry_put_path(f, e->path, err) < 0 || put_blob(f, ts_or(e->link, ""), strlen(ts_or(e->link, "")), err) < 0 ||
            ts_put_u32(f, (uint32_t)e->n_xattrs, err) < 0)
                return -1;
        for (size_t i = 0; i < e->n_xattrs; i++)
                if (put_blob(f, e->xattrs[i].name, strlen(e->xattrs[i].name), err) < 0 ||
                    put_blob(f, e->xattrs[i].value, e->xattrs[i].len, err) < 0)
                        return -1;
        return 0;
}

/* A string of at most max bytes without a NUL. */
static char *get_string(struct ts_unpack *u, size_t max)
{
        uint32_t len = ts_get_u32(u);
        const char *p = len <= max ? ts_get_bytes(u, len) : NULL;
        char *s = p && !memchr(p, 0, len) ? strndup(p, len) : NULL;

        u->bad |= !s;
        return s;
}

static bool plain_path(const char *path)
{
        for (const char *p = path;;) {
                size_t n = strcspn(p, "/");

                if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                if (!p[n])
                        return true;
                p += n + 1;
        }
}

char *ts_entry_get_path(struct ts_unpack *u, bool root_too)
{
        char *path = get_string(u, TS_ENTRY_PATH_MAX);

        if (path && (plain_path(path) || (root_too && !strcmp(path, "."))))
                return path;
        free(path);
        u->bad = true;
        return NULL;
}

static int get_xattrs(struct ts_unpack *u, struct ts_entry *e, struct ts_err *err)
{
        uint32_t n = ts_get_u32(u);

        if (n > XATTRS_MAX || u->bad) {
                u->bad = true;
                return 0;
        }
        e->xattrs = calloc((size_t)n + 1, sizeof(*e->xattrs));
        if (!e->xattrs)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        e->memory.max = XATTR_BYTES_MAX;
        for (uint32_t i = 0; i < n && !u->bad; i++) {
                ts_auto_free char *name = get_string(u, 255);
                uint32_t len = ts_get_u32(u);
                const void *value = ts_get_bytes(u, len);

                if (!name || !*name || !value || !travels(name)) {
                        u->bad = true;
                        return 0;
                }
                e->xattrs[e->n_xattrs++] = (struct ts_xattr){ .len = len };
                if (ts_str_add(&e->memory, name, strlen(name) + 1, err) < 0 || ts_str_add(&e->memory, value, len, err) < 0)
                        return -1;
        }
        place_xattrs(e);
        return 0;
}

static bool known_type(mode_t mode)
{
        return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) || S_ISSOCK(mode);
}

int ts_entry_get(const struct ts_frame *f, struct ts_entry *ret, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        ts_auto_entry e = { 0 };
        uint32_t words[7];

        for (size_t i = 0; i < TS_ARRAY_LEN(words); i++)
                words[i] = ts_get_u32(&u);
        e.content = (enum ts_entry_content)words[0];
        e.st.st_mode = words[1];
        e.st.st_uid = words[2];
        e.st.st_gid = words[3];
        e.st.st_mtim.tv_nsec = words[4];
        e.st.st_rdev = makedev(words[5], words[6]);
        e.st.st_mtim.tv_sec = (time_t)ts_get_u64(&u);
        e.st.st_size = (off_t)ts_get_u64(&u);
        e.path = ts_entry_get_path(&u, true);
        e.link = get_string(&u, 4096);
        if (get_xattrs(&u, &e, err) < 0)
                return -1;
        u.bad |= e.content > TS_ENTRY_KEEP || !known_type(e.st.st_mode) || words[4] >= 1000000000 || e.st.st_size < 0 ||
                 (e.content == TS_ENTRY_UPDATE && !S_ISREG(e.st.st_mode)) || (e.link && !*e.link == S_ISLNK(e.st.st_mode)) ||
                 (e.path && !strcmp(e.path, ".") && (!S_ISDIR(e.st.st_mode) || (e.content != TS_ENTRY_META && e.content != TS_ENTRY_KEEP))) ||
                 (e.path && strcmp(e.path, ".") != 0 && e.content == TS_ENTRY_KEEP);
        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        *ret = e;
        e = (struct ts_entry){ 0 };
        return 0;
}

/* ---- making ---- */

int ts_entry_make(int dir, const char *name, const struct ts_entry *e, struct ts_err *err)
{
        mode_t mode = e->st.st_mode;
        int rc;

        if (S_ISDIR(mode))
                rc = mkdirat(dir, name, 0700);
        else if (S_ISLNK(mode))
                rc = symlinkat(e->link, dir, name);
        else
                rc = mknodat(dir, name, (mode & S_IFMT) | 0600, S_ISCHR(mode) || S_ISBLK(mode) ? e->st.st_rdev : 0);
        return rc < 0 ? ts_err_errno(err, errno, "cannot make '%s'", e->path) : 0;
}

static const struct ts_xattr *find_xattr(const struct ts_entry *e, const char *name)
{
        for (size_t i = 0; i < e->n_xattrs; i++)
                if (!strcmp(e->xattrs[i].name, name))
                        return &e->xattrs[i];
        return NULL;
}

static int remove_others(const char *at, const struct ts_entry *e, struct ts_err *err)
{
        ssize_t len = listxattr(at, NULL, 0);
        ts_auto_free char *names = len > 0 ? malloc((size_t)len + 1) : NULL;

        if (len <= 0)
                return 0;
        len = names ? listxattr(at, names, (size_t)len) : -1;
        if (len < 0)
                return names ? ts_err_errno(err, errno, "cannot list the attributes of '%s'", e->path)
                             : ts_err_set(err, TS_ENOMEM, "out of memory");
        names[len] = '\0';
        for (const char *n = names; n < names + len; n += strlen(n) + 1)
                if (travels(n) && !find_xattr(e, n) && removexattr(at, n) < 0 && errno != ENODATA)
                        return ts_err_errno(err, errno, "cannot remove the attribute '%s' of '%s'", n, e->path);
        return 0;
}

static int apply_xattrs(int fd, const struct ts_entry *e, struct ts_err *err)
{
        char at[40];

        magic(fd, at);
        if (remove_others(at, e, err) < 0)
                return -1;
        for (size_t i = 0; i < e->n_xattrs; i++)
                if (setxattr(at, e->xattrs[i].name, e->xattrs[i].value, e->xattrs[i].len, 0) < 0)
                        return ts_err_errno(err, errno, "cannot set the attribute '%s' of '%s'", e->xattrs[i].name, e->path);
        return 0;
}

int ts_entry_apply(int dir, const char *name, int fd, const struct ts_entry *e, struct ts_err *err)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, e->st.st_mtim };
        ts_auto_fd int own = -1;

        if (fd < 0) {
                fd = own = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        return ts_err_errno(err, errno, "cannot open '%s'", e->path);
        }
        if (fchownat(fd, "", e->st.st_uid, e->st.st_gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
                return ts_err_errno(err, errno, "cannot set the owner of '%s'", e->path);
        /* The owner first: it takes set-user-ID bits and capabilities away. */
        if (!S_ISLNK(e->st.st_mode)) {
                char at[40];

                magic(fd, at);
                if (chmod(at, e->st.st_mode & 07777) < 0)
                        return ts_err_errno(err, errno, "cannot set the mode of '%s'", e->path);
        }
        if (apply_xattrs(fd, e, err) < 0)
                return -1;
        if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return ts_err_errno(err, errno, "cannot set the time of '%s'", e->path);
        return 0;
}
