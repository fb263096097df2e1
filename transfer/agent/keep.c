/* See keep.h. */
#include "transfer/agent/keep.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_EVERY_MS 10
#define SAY_MS 10000U

static int try_open(const char *path)
{
        struct stat st;
        ts_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? TS_TAKE_FD(fd) : -1;
}

/* true: it has ended, or says something, which nobody should. */
static bool ended(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, LOOK_EVERY_MS) != 0 && errno != EINTR;
}

int ts_keep_serve(int in_fd, int out_fd, const char *path, struct ts_err *err)
{
        static char buf[TS_KEEP_BYTES];
        ts_auto_fd int fd = -1;
        struct stat st;
        off_t from;
        ssize_t n;

        for (bool end = false; !end;) {
                errno = 0;
                end = ended(in_fd);
                if (fd < 0)
                        fd = try_open(path);
        }
        if (fd < 0)
                return 0;
        if (fstat(fd, &st) < 0)
                return ts_err_set(err, TS_EIO, "'%s': %s", path, strerror(errno));
        from = st.st_size > (off_t)sizeof(buf) ? st.st_size - (off_t)sizeof(buf) : 0;
        n = pread(fd, buf, sizeof(buf), from);
        if (n < 0)
                return ts_err_set(err, TS_EIO, "'%s': %s", path, strerror(errno));
        return ts_write_all(out_fd, buf, (size_t)n, ts_deadline_in_ms(SAY_MS), false, err);
}

int ts_keep_main(const char *path)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_keep_serve(STDIN_FILENO, STDOUT_FILENO, path, &err) == 0)
                return 0;
        (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
        return 1;
}
