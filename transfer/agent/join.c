/* See join.h. Decides who may join. */
#include "transfer/agent/join.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define PREFIX "tranship-agent-"

static socklen_t address_of(const char *name, struct sockaddr_un *ret)
{
        size_t len = strlen(name);

        *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
        if (len > TS_JOIN_NAME_MAX)
                len = TS_JOIN_NAME_MAX;
        memcpy(ret->sun_path + 1, name, len); /* the first byte stays 0 */
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

int ts_join_listen(char ret_name[TS_JOIN_NAME_MAX], struct ts_err *err)
{
        struct sockaddr_un a;
        socklen_t len;
        uint64_t r[2];
        int fd;

        if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
                return ts_err_errno(err, errno, "no random numbers");
        (void)snprintf(ret_name, TS_JOIN_NAME_MAX, PREFIX "%016llx%016llx", (unsigned long long)r[0], (unsigned long long)r[1]);
        len = address_of(ret_name, &a);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 16) == 0)
                return fd;
        ts_err_errno(err, errno, "cannot listen");
        ts_closep(&fd);
        return -1;
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
        socklen_t len = address_of(name, &a);
        ts_auto_fd int conn = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte;
        int nothing;

        if (conn < 0 || strncmp(name, PREFIX, strlen(PREFIX)) != 0)
                return 2;
        if (connect(conn, (struct sockaddr *)&a, len) < 0)
                return errno == ECONNREFUSED ? TS_JOIN_GONE : 1;
        if (hand_over(conn) < 0)
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
