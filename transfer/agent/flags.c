/* See flags.h. Decides what is opened to be looked at. */
#include "transfer/agent/flags.h"

#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXED ((unsigned)(FS_IMMUTABLE_FL | FS_APPEND_FL))
#define DEPTH_MAX 512

_Static_assert(TS_FLAGS_ALL == (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_SYNC_FL | FS_NODUMP_FL |
                                FS_NOATIME_FL | FS_DIRSYNC_FL),
               "the kernel's numbers");

/* The kernel reads and writes an int, whatever the call's own definition says. */
static int get(int fd, unsigned *ret)
{
        unsigned long word = 0;

        if (ioctl(fd, FS_IOC_GETFLAGS, &word) < 0)
                return -1;
        memcpy(ret, &word, sizeof(*ret));
        return 0;
}

static int set(int fd, unsigned flags)
{
        unsigned long word = 0;

        memcpy(&word, &flags, sizeof(flags));
        return ioctl(fd, FS_IOC_SETFLAGS, &word);
}

unsigned ts_flags_of(int fd)
{
        unsigned flags = 0;

        return get(fd, &flags) == 0 ? flags & TS_FLAGS_ALL : 0;
}

int ts_flags_set(int fd, unsigned flags)
{
        unsigned old = 0;

        return get(fd, &old) < 0 ? -1 : set(fd, (old & ~TS_FLAGS_ALL) | flags);
}

int ts_flags_open(int dir, const char *name, unsigned long long dev)
{
        ts_auto_fd int at = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char magic[40];
        struct stat st;

        if (at < 0 || fstat(at, &st) < 0)
                return -1;
        if (st.st_dev != dev || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
                errno = EOPNOTSUPP;
                return -1;
        }
        (void)snprintf(magic, sizeof(magic), "/proc/self/fd/%d", at);
        return open(magic,
                    O_RDONLY | O_NONBLOCK | O_CLOEXEC | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
}

/* ---- before something is removed ---- */

static int release(int fd)
{
        unsigned flags = 0;

        return get(fd, &flags) < 0 || !(flags & FIXED) ? 0 : set(fd, flags & ~FIXED);
}

/* Without opening it: most files have nothing of the kind. */
static bool is_fixed(int dir, const char *name)
{
        struct statx x;

        return statx(dir, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x) == 0 &&
               x.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND);
}

static int release_below(int fd, dev_t dev, unsigned depth);

static int release_entry(int dir, const struct dirent *e, dev_t dev, unsigned depth)
{
        bool plain = e->d_type != DT_DIR && e->d_type != DT_UNKNOWN;
        ts_auto_fd int fd = -1;
        struct stat st;

        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
            (plain && !is_fixed(dir, e->d_name)))
                return 0;
        fd = ts_flags_open(dir, e->d_name, dev);
        if (fd < 0 || fstat(fd, &st) < 0)
                return 0; /* nothing that could have them, or another file system */
        if (S_ISDIR(st.st_mode))
                return release_below(TS_TAKE_FD(fd), dev, depth + 1);
        return release(fd);
}

/* Takes fd over. */
static int release_below(int fd, dev_t dev, unsigned depth)
{
        int rc = release(fd);
        const struct dirent *e;
        DIR *d = depth > DEPTH_MAX ? NULL : fdopendir(fd);

        if (!d) {
                (void)close(fd);
                return -1;
        }
        while ((e = readdir(d))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
                rc |= release_entry(dirfd(d), e, dev, depth);
        (void)closedir(d);
        return rc;
}

int ts_unflag_main(const char *path)
{
        struct stat st;
        int fd;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : 1;
        fd = ts_flags_open(AT_FDCWD, path, st.st_dev);
        if (fd < 0)
                return errno == EOPNOTSUPP ? 0 : 1;
        if (S_ISDIR(st.st_mode))
                return release_below(fd, st.st_dev, 0) == 0 ? 0 : 1;

        int rc = release(fd);

        (void)close(fd);
        return rc == 0 ? 0 : 1;
}
