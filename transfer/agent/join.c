/* See join.h. Decides who may join. */
#include "transfer/agent/join.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#define PREFIX "join-"
#define NOT_YET "." /* before a name at which nobody listens yet: others would sweep it away … */
#define HIDDEN_S 60 /* … but not for longer: who made it is dead */

/* Of that name in the directory of this program. false: it has none, or it is too long. */
static bool address_of(const char *name, struct sockaddr_un *ret)
{
        char exe[sizeof(ret->sun_path)];
        ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        char *slash;

        if (n <= 0 || (size_t)n >= sizeof(exe) - 1)
                return false;
        exe[n] = '\0';
        slash = strrchr(exe, '/');
        if (!slash)
                return false;
        *slash = '\0';
        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        return (size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/%s", exe, name) < sizeof(ret->sun_path);
}

/* Does not wait: the other one may have been stopped. Non-blocking. */
static int reach(const struct sockaddr_un *a)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0)
                return fd;
        ts_closep(&fd);
        return -1;
}

/* One that is not at its address yet, and may be about to listen. */
static bool is_young(const struct sockaddr_un *a)
{
        struct stat st;

        return lstat(a->sun_path, &st) < 0 || st.st_mtime > time(NULL) - HIDDEN_S;
}

void ts_join_sweep(void)
{
        struct sockaddr_un a;
        const struct dirent *e;
        DIR *d;

        if (!address_of("", &a))
                return;
        d = opendir(a.sun_path);
        while (d && (e = readdir(d))) {
                bool hidden = strncmp(e->d_name, NOT_YET PREFIX, strlen(NOT_YET PREFIX)) == 0;
                int fd;

                if ((!hidden && strncmp(e->d_name, PREFIX, strlen(PREFIX)) != 0) ||
                    !address_of(e->d_name, &a) || (hidden && is_young(&a)))
                        continue;
                fd = reach(&a);
                if (fd < 0 && errno == ECONNREFUSED)
                        (void)unlink(a.sun_path);
                ts_closep(&fd);
        }
        if (d)
                (void)closedir(d);
}

/* At that address only once it listens. */
static int listen_at(int fd, const char *name, struct ts_err *err)
{
        ts_auto_free char *hidden = ts_fmt(NOT_YET "%s", name);
        struct sockaddr_un a, first;
        mode_t mask;
        int rc;

        if (!hidden || !address_of(name, &a) || !address_of(hidden, &first))
                return ts_err_set(err, TS_EIO, "the program's path is too long for a socket beside it");
        mask = umask(0177);
        rc = bind(fd, (const struct sockaddr *)&first, sizeof(first));
        (void)umask(mask);
        return rc == 0 && listen(fd, 16) == 0 && rename(first.sun_path, a.sun_path) == 0
                       ? 0
                       : ts_err_errno(err, errno, "cannot listen at '%s'", a.sun_path);
}

int ts_join_listen(const char *owner, char ret_name[TS_JOIN_NAME_MAX], struct ts_err *err)
{
        uint64_t r[2];
        int fd;

        ts_join_sweep();
        if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
                return ts_err_errno(err, errno, "no random numbers");
        (void)snprintf(ret_name, TS_JOIN_NAME_MAX, PREFIX "%.32s%s%016llx%016llx", owner ? owner : "",
                       owner ? "-" : "", (unsigned long long)r[0], (unsigned long long)r[1]);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return ts_err_errno(err, errno, "no socket");
        if (listen_at(fd, ret_name, err) == 0)
                return fd;
        (void)close(fd);
        return -1;
}

void ts_join_forget(const char *name)
{
        struct sockaddr_un a;

        if (address_of(name, &a))
                (void)unlink(a.sun_path);
}

static int is_allowed(int conn)
{
        struct ucred who;
        socklen_t len = sizeof(who);

        return getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == geteuid();
}

union control {
        char buf[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr align;
};

static int take(int conn, int ret_fds[2])
{
        char byte;
        union control c = { 0 };
        struct iovec v = { &byte, 1 };
        struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };
        struct cmsghdr *h;

        if (recvmsg(conn, &m, MSG_CMSG_CLOEXEC) != 1)
                return -1;
        h = CMSG_FIRSTHDR(&m);
        if (!h || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(2 * sizeof(int)))
                return -1;
        memcpy(ret_fds, CMSG_DATA(h), 2 * sizeof(int));
        return 0;
}

int ts_join_accept(int listen_fd, int ret_fds[2], int *ret_conn)
{
        const struct timeval second = { .tv_sec = 1 };
        int conn = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (conn < 0)
                return -1;
        if (is_allowed(conn) && setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)) == 0 && take(conn, ret_fds) == 0) {
                *ret_conn = conn;
                return 0;
        }
        (void)close(conn);
        return -1;
}

static int hand_over(int conn)
{
        const int fds[2] = { STDIN_FILENO, STDOUT_FILENO };
        char byte = 0;
        union control c = { 0 };
        struct iovec v = { &byte, 1 };
        struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);

        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(fds));
        memcpy(CMSG_DATA(h), fds, sizeof(fds));
        return sendmsg(conn, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int ts_join_main(const char *name)
{
        struct sockaddr_un a;
        ts_auto_fd int conn = -1;
        char byte;
        int nothing;

        if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || strchr(name, '/') || !address_of(name, &a))
                return 2;
        conn = reach(&a);
        if (conn < 0)
                return errno == ECONNREFUSED || errno == ENOENT ? TS_JOIN_GONE : 1;
        if (hand_over(conn) < 0 || ts_set_nonblock(conn, false, NULL) < 0)
                return 1;
        /* They are the agent's alone now: their ends must be seen when it closes them, not when this does */
        nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (nothing >= 0) {
                (void)dup2(nothing, STDIN_FILENO);
                (void)dup2(nothing, STDOUT_FILENO);
                (void)close(nothing);
        }
        while (read(conn, &byte, 1) < 0 && errno == EINTR)
                ;
        return 0;
}
