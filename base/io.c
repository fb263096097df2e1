/* Descriptors and files. Decides how waiting, deadlines and cancellation work; does not know what is read or written. */
#include "base/io.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

volatile sig_atomic_t ts_stop_hold;
volatile sig_atomic_t ts_stop_held;
volatile sig_atomic_t ts_stop_signal;

/* A signal may arrive between the look at ts_stop_signal and poll(), or go to another thread: so no wait is longer than this. */
#define STOP_CHECK_MS 200
#define READ_CHUNK 65536
#define WIDE (1 << 20)

void ts_ignore_write_signals(void)
{
        static const int raised[] = { SIGPIPE, SIGXFSZ, SIGTTOU };

        for (size_t i = 0; i < TS_ARRAY_LEN(raised); i++)
                (void)signal(raised[i], SIG_IGN);
}

int ts_set_nonblock(int fd, bool on, struct ts_err *err)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return ts_err_errno(err, errno, "cannot read the flags of descriptor %d", fd);
        flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
        if (fcntl(fd, F_SETFL, flags) < 0)
                return ts_err_errno(err, errno, "cannot set the flags of descriptor %d", fd);
        return 0;
}

int ts_socketpair(int ret_fds[2], struct ts_err *err)
{
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return ts_err_errno(err, errno, "cannot make a socket pair");
        ret_fds[0] = fds[0];
        ret_fds[1] = fds[1];
        return 0;
}

int ts_socketpair_wide(int ret_fds[2], struct ts_err *err)
{
        const int size = WIDE;

        if (ts_socketpair(ret_fds, err) < 0)
                return -1;
        for (int i = 0; i < 2; i++)
                if (setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
                        (void)setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        return 0;
}

int ts_pipe(int ret_fds[2], struct ts_err *err)
{
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return ts_err_errno(err, errno, "cannot make a pipe");
        ret_fds[0] = fds[0];
        ret_fds[1] = fds[1];
        return 0;
}

/* ---- waiting, reading, writing ---- */

bool ts_fd_quiet(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) == 0;
}

int ts_wait_fd(int fd, short events, const char *what, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        if (fd < 0) /* poll() would ignore it and wait for ever */
                return ts_err_set(err, TS_EINTERNAL, "a wait for no descriptor");
        for (;;) {
                struct pollfd p = { .fd = fd, .events = events };
                int n;

                if (cancellable && ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by signal %d", (int)ts_stop_signal);
                n = poll(&p, 1, ts_deadline_poll_ms(deadline, cancellable ? STOP_CHECK_MS : -1));
                if (n > 0)
                        return 0; /* POLLERR and POLLHUP too: the read or write then says what it is */
                if (n < 0 && errno != EINTR)
                        return ts_err_errno(err, errno, "cannot wait for descriptor %d", fd);
                if (n == 0 && ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "timed out while %s", what);
        }
}

static bool errno_is_again(int e)
{
        return e == EINTR || e == EAGAIN || e == EWOULDBLOCK;
}

static bool errno_is_lost(int e)
{
        return e == EPIPE || e == ECONNRESET || e == ECONNABORTED || e == ETIMEDOUT || e == EHOSTUNREACH || e == ENETUNREACH;
}

static int io_failed(int e, const char *what, struct ts_err *err)
{
        if (errno_is_lost(e)) {
                char text[128];

                ts_err_set(err, TS_ECONNECT, "lost the other side while %s: %s", what, strerror_r(e, text, sizeof(text)));
                if (err && err->code == TS_ECONNECT && !err->sys_errno)
                        err->sys_errno = e;
                return -1;
        }
        return ts_err_errno(err, e, "failed while %s", what);
}

enum fd_kind { FD_FILE, FD_SOCKET, FD_PIPE };

static enum fd_kind fd_kind(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
                return FD_FILE;
        return S_ISSOCK(st.st_mode) ? FD_SOCKET : FD_PIPE;
}

/* Writes what fits without blocking, even on a blocking descriptor, and never raises SIGPIPE on sockets. may_block: nobody waits for it to end. */
static ssize_t write_now(int fd, enum fd_kind kind, const char *data, size_t len, bool may_block)
{
        if (kind == FD_SOCKET)
                return send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (kind == FD_PIPE && len > PIPE_BUF && !may_block)
                len = PIPE_BUF; /* POLLOUT promises this much; more could block past the deadline */
        return write(fd, data, len);
}

int ts_write_all(int fd, const void *data, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        enum fd_kind kind = fd_kind(fd);
        const char *p = data;

        while (len > 0) {
                ssize_t n;

                if (ts_wait_fd(fd, POLLOUT, "writing", deadline, cancellable, err) < 0)
                        return -1;
                n = write_now(fd, kind, p, len, !deadline && !cancellable);
                if (n < 0 && errno_is_again(errno))
                        continue;
                if (n < 0)
                        return io_failed(errno, "writing", err);
                p += n;
                len -= (size_t)n;
        }
        return 0;
}

ssize_t ts_read_some(int fd, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        for (;;) {
                ssize_t n;

                if (ts_wait_fd(fd, POLLIN, "reading", deadline, cancellable, err) < 0)
                        return -1;
                n = read(fd, buf, len);
                if (n >= 0)
                        return n;
                if (!errno_is_again(errno))
                        return io_failed(errno, "reading", err);
        }
}

int ts_read_exact(int fd, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        char *p = buf;
        size_t got = 0;

        while (got < len) {
                ssize_t n = ts_read_some(fd, p + got, len - got, deadline, cancellable, err);

                if (n < 0)
                        return -1;
                if (n == 0)
                        return ts_err_set(err, TS_EPROTO, "ended early: %zu of %zu bytes", got, len);
                got += (size_t)n;
        }
        return 0;
}

int ts_read_at(int fd, void *buf, size_t len, uint64_t from, struct ts_err *err)
{
        for (size_t got = 0; got < len;) {
                ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(from + got));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return ts_err_errno(err, errno, "cannot read a file");
                if (n == 0)
                        return ts_err_set(err, TS_EPROTO, "a file ends at %llu", (unsigned long long)(from + got));
                got += (size_t)n;
        }
        return 0;
}

int ts_read_to_end(int fd, struct ts_str *s, ts_deadline deadline, struct ts_err *err)
{
        ts_auto_free char *chunk = malloc(READ_CHUNK);

        if (!chunk)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (;;) {
                ssize_t n = ts_read_some(fd, chunk, READ_CHUNK, deadline, true, err);

                if (n <= 0)
                        return (int)n;
                if (ts_str_add(s, chunk, (size_t)n, err) < 0)
                        return -1;
        }
}

/* ---- files ---- */

static int file_failed(int e, const char *what, const char *path, struct ts_err *err)
{
        if (e == ENOENT || e == ENOTDIR) {
                ts_err_set(err, TS_ENOTFOUND, "cannot %s '%s': it does not exist", what, path);
                if (err && err->code == TS_ENOTFOUND && !err->sys_errno)
                        err->sys_errno = e;
                return -1;
        }
        return ts_err_errno(err, e, "cannot %s '%s'", what, path);
}

int ts_file_read(const char *path, size_t max, struct ts_str *ret, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT_MAX(max);
        ts_auto_free char *chunk = NULL;
        ts_auto_fd int fd = -1;
        ssize_t n;

        if (max == 0)
                return ts_err_set(err, TS_EINTERNAL, "a read of '%s' without a limit", path);
        chunk = malloc(READ_CHUNK);
        if (!chunk)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        /* O_NONBLOCK: a FIFO in the place of a file must not hold us; files do not care. */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return file_failed(errno, "open", path, err);
        while ((n = read(fd, chunk, READ_CHUNK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return file_failed(errno, "read", path, err);
                if (ts_str_add(&s, chunk, (size_t)n, err) < 0)
                        return ts_err_prefix(err, "cannot read '%s'", path);
        }
        if (ts_str_add(&s, "", 0, err) < 0) /* so that an empty file has a buffer too */
                return -1;
        ts_str_clear(ret);
        *ret = s;
        s = (struct ts_str)TS_STR_INIT;
        return 0;
}

/* The rename is on disk only when the directory is. */
static int sync_parent(const char *path, struct ts_err *err)
{
        const char *slash = strrchr(path, '/');
        ts_auto_free char *dir = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
        ts_auto_fd int fd = -1;

        if (!dir)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return file_failed(errno, "open", dir, err);
        if (fsync(fd) < 0 && errno != EINVAL) /* EINVAL: this file system cannot sync directories */
                return file_failed(errno, "sync", dir, err);
        return 0;
}

static int open_temporary(const char *path, mode_t mode, int *ret_fd, struct ts_err *err)
{
        for (int attempt = 0;; attempt++) {
                int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

                if (fd >= 0) {
                        *ret_fd = fd;
                        return 0;
                }
                if (errno != EEXIST || attempt > 0 || unlink(path) < 0) /* left by a dead process that had our PID */
                        return file_failed(errno, "create", path, err);
        }
}

static int fill_file(int fd, const char *path, const void *data, size_t len, mode_t mode, struct ts_err *err)
{
        if (ts_write_all(fd, data, len, 0, false, err) < 0)
                return ts_err_prefix(err, "cannot write '%s'", path);
        if (fchmod(fd, mode) < 0) /* the umask does not count: the caller said what it wants */
                return file_failed(errno, "set the mode of", path, err);
        if (fsync(fd) < 0)
                return file_failed(errno, "sync", path, err);
        return 0;
}

int ts_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct ts_err *err)
{
        ts_auto_free char *temporary = ts_fmt("%s.tmp-%ld", path, (long)getpid());
        ts_auto_fd int fd = -1;
        struct stat st;

        if (!temporary)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode)) /* root could replace /dev/null, and everybody would suffer */
                return ts_err_set(err, TS_EUSAGE, "'%s' is not a file: it is not replaced", path);
        if (open_temporary(temporary, mode & 0700, &fd, err) < 0)
                return -1;
        if (fill_file(fd, temporary, data, len, mode, err) < 0) {
                (void)unlink(temporary);
                return -1;
        }
        if (rename(temporary, path) < 0) {
                file_failed(errno, "replace", path, err);
                (void)unlink(temporary);
                return -1;
        }
        return sync_parent(path, err);
}

static int make_dir(const char *path, mode_t mode, struct ts_err *err)
{
        struct stat st;

        if (mkdir(path, mode) == 0 || errno == EEXIST) {
                if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                        return 0;
                return ts_err_errno(err, ENOTDIR, "cannot make the directory '%s'", path);
        }
        return ts_err_errno(err, errno, "cannot make the directory '%s'", path);
}

int ts_mkdir_p(const char *path, mode_t mode, struct ts_err *err)
{
        ts_auto_free char *partial = strdup(path);

        if (!partial)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!*path)
                return ts_err_set(err, TS_EUSAGE, "an empty path for a directory");
        for (char *p = partial + 1; *p; p++) {
                if (*p != '/' || p[-1] == '/')
                        continue;
                *p = '\0';
                if (make_dir(partial, mode, err) < 0)
                        return -1;
                *p = '/';
        }
        return make_dir(partial, mode, err);
}
