/* Pipes and Unix sockets. */
#include "holds.h"

#include <stddef.h>
#include <sys/un.h>

static int a[2], b[2], l = -1;

static int pipe_make(void)
{
        TRY(pipe(a));
        return put(a[1], "data");
}

static int pipe_check(void)
{
        return through(a[0], a[1], "data");
}

static int pipe_size_make(void)
{
        TRY(pipe(a));
        TRY(fcntl(a[1], F_SETPIPE_SZ, 1 << 18));
        return 0;
}

static int pipe_size_check(void)
{
        WANT(fcntl(a[0], F_GETPIPE_SZ) == 1 << 18);
        return 0;
}

static int pipe_flags_make(void)
{
        TRY(pipe(a));
        TRY(fcntl(a[0], F_SETFL, O_NONBLOCK));
        return 0;
}

static int pipe_flags_check(void)
{
        WANT(fcntl(a[0], F_GETFL) & O_NONBLOCK);
        WANT(!(fcntl(a[1], F_GETFL) & O_NONBLOCK));
        return 0;
}

static int pipe_closed_make(void)
{
        if (pipe_make() < 0)
                return -1;
        return close(a[1]);
}

static int pipe_closed_check(void)
{
        struct pollfd p = { .fd = a[0], .events = POLLIN };
        int n = 0;

        TRY(ioctl(a[0], FIONREAD, &n));
        WANT(n == 4);
        WANT(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLHUP));
        return 0;
}

/* Full to the last byte: a writer would wait. */
static int pipe_full_make(void)
{
        static char much[1 << 16];

        TRY(pipe2(a, O_NONBLOCK));
        TRY(write(a[1], much, sizeof(much)));
        return 0;
}

static int pipe_full_check(void)
{
        int n = 0;

        TRY(ioctl(a[0], FIONREAD, &n));
        WANT(n == 1 << 16);
        WANT(write(a[1], "x", 1) < 0 && errno == EAGAIN);
        return 0;
}

static int pipe_packet_make(void)
{
        TRY(pipe2(a, O_DIRECT));
        (void)put(a[1], "one");
        return put(a[1], "two");
}

static int pipe_packet_check(void)
{
        return through(a[0], a[1], "one") < 0 || through(a[0], a[1], "two") < 0 ? -1 : 0;
}

/* Two processes with an end each. */
static int pipe_shared_make(void)
{
        char byte;

        TRY(pipe(a));
        TRY(pipe(b));
        if (fork() == 0) {
                (void)close(a[1]);
                while (read(a[0], &byte, 1) == 1)
                        (void)write(b[1], &byte, 1);
                _exit(0);
        }
        return 0;
}

static int pipe_shared_check(void)
{
        char byte = 0;

        TRY(write(a[1], "x", 1));
        TRY(read(b[0], &byte, 1));
        WANT(byte == 'x');
        return 0;
}

static int fifo_make(void)
{
        TRY(mkfifo("/tmp/fifo", 0600));
        TRY(a[0] = open("/tmp/fifo", O_RDWR));
        return put(a[0], "data");
}

static int fifo_check(void)
{
        TRY(l = open("/tmp/fifo", O_WRONLY | O_NONBLOCK));
        (void)close(l);
        return through(a[0], a[0], "data");
}

static int fifo_deleted_make(void)
{
        TRY(mkfifo("/tmp/fifo-deleted", 0600));
        TRY(a[0] = open("/tmp/fifo-deleted", O_RDWR));
        TRY(unlink("/tmp/fifo-deleted"));
        return put(a[0], "data");
}

static int fifo_deleted_check(void)
{
        return through(a[0], a[0], "data");
}

static int pair(int type)
{
        TRY(socketpair(AF_UNIX, type, 0, a));
        if (put(a[0], "one") < 0 || put(a[1], "back") < 0)
                return -1;
        return type == SOCK_STREAM ? 0 : put(a[0], "two");
}

static int pair_check(bool stream)
{
        if (through(a[1], a[0], "one") < 0 || through(a[0], a[1], "back") < 0)
                return -1;
        return stream ? 0 : through(a[1], a[0], "two");
}

static int pair_stream_make(void)
{
        return pair(SOCK_STREAM);
}

static int pair_stream_check(void)
{
        return pair_check(true);
}

static int pair_dgram_make(void)
{
        return pair(SOCK_DGRAM);
}

static int pair_dgram_check(void)
{
        return pair_check(false);
}

static int pair_seqpacket_make(void)
{
        return pair(SOCK_SEQPACKET);
}

static int pair_seqpacket_check(void)
{
        return pair_check(false);
}

static int pair_shutdown_make(void)
{
        if (pair(SOCK_STREAM) < 0)
                return -1;
        TRY(shutdown(a[0], SHUT_WR));
        return 0;
}

static int pair_shutdown_check(void)
{
        char byte[9];

        WANT(send(a[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
        TRY(recv(a[1], byte, 3, MSG_PEEK | MSG_DONTWAIT));
        WANT(memcmp(byte, "one", 3) == 0);
        TRY(write(a[1], "x", 1));
        return 0;
}

static int pair_closed_make(void)
{
        TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
        return put(a[1], "back") < 0 ? -1 : close(a[1]);
}

static int pair_closed_check(void)
{
        char byte[9];

        TRY(recv(a[0], byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT));
        WANT(memcmp(byte, "back", 4) == 0);
        WANT(send(a[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
        return 0;
}

/* It had not read everything. The error that says so is gone when somebody, as a dump that fails, has looked. */
static int pair_reset_make(void)
{
        if (pair(SOCK_STREAM) < 0)
                return -1;
        return close(a[1]);
}

static int pair_reset_check(void)
{
        struct pollfd p = { .fd = a[0], .events = POLLIN };

        WANT(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
        return 0;
}

static int send_fd(int to, int fd)
{
        union {
                struct cmsghdr h;
                char space[CMSG_SPACE(sizeof(int))];
        } u = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)),
                       .cmsg_level = SOL_SOCKET,
                       .cmsg_type = SCM_RIGHTS } };
        struct msghdr m = { .msg_iov = &(struct iovec){ (char *)"f", 1 },
                            .msg_iovlen = 1,
                            .msg_control = u.space,
                            .msg_controllen = sizeof(u.space) };

        memcpy(CMSG_DATA(&u.h), &fd, sizeof(fd));
        TRY(sendmsg(to, &m, 0));
        return 0;
}

/* A descriptor on its way, with what is behind it open nowhere else. */
static int unix_rights_make(void)
{
        TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
        TRY(pipe(b));
        if (put(b[1], "data") < 0 || send_fd(a[0], b[0]) < 0)
                return -1;
        return close(b[0]);
}

static int unix_rights_check(void)
{
        char byte, space[CMSG_SPACE(sizeof(int))] = "";
        struct msghdr m = { .msg_iov = &(struct iovec){ &byte, 1 },
                            .msg_iovlen = 1,
                            .msg_control = space,
                            .msg_controllen = sizeof(space) };
        int fd = -1;

        TRY(recvmsg(a[1], &m, MSG_DONTWAIT));
        WANT(CMSG_FIRSTHDR(&m));
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
        if (through(fd, b[1], "data") < 0 || send_fd(a[0], fd) < 0)
                return -1;
        return close(fd);
}

static socklen_t address(struct sockaddr_un *to, const char *path)
{
        *to = (struct sockaddr_un){ .sun_family = AF_UNIX };
        (void)snprintf(to->sun_path, sizeof(to->sun_path), "%s", path);
        if (*path == '@')
                to->sun_path[0] = 0;
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
}

static int unix_socket(int type, const char *path)
{
        struct sockaddr_un to;
        socklen_t len = address(&to, path);

        TRY(l = socket(AF_UNIX, type, 0));
        TRY(bind(l, (struct sockaddr *)&to, len));
        if (type != SOCK_DGRAM)
                TRY(listen(l, 5));
        return 0;
}

static int unix_connect(int type, const char *path)
{
        struct sockaddr_un to;
        socklen_t len = address(&to, path);

        TRY(a[0] = socket(AF_UNIX, type, 0));
        TRY(connect(a[0], (struct sockaddr *)&to, len));
        return 0;
}

static int unix_accept(const char *path)
{
        if (unix_connect(SOCK_STREAM, path) < 0)
                return -1;
        TRY(a[1] = accept(l, NULL, NULL));
        return 0;
}

static int unix_listen_make(void)
{
        return unix_socket(SOCK_STREAM, "/tmp/unix-listen");
}

static int unix_listen_check(void)
{
        return unix_accept("/tmp/unix-listen") < 0 || close(a[0]) < 0 || close(a[1]) < 0 ? -1 : 0;
}

static int unix_abstract_make(void)
{
        return unix_socket(SOCK_STREAM, "@unix-abstract");
}

static int unix_abstract_check(void)
{
        return unix_accept("@unix-abstract") < 0 || close(a[0]) < 0 || close(a[1]) < 0 ? -1 : 0;
}

static int unix_connected_make(void)
{
        return unix_socket(SOCK_STREAM, "/tmp/unix-connected") < 0 ||
                               unix_accept("/tmp/unix-connected") < 0
                       ? -1
                       : put(a[0], "one");
}

static int unix_connected_check(void)
{
        return through(a[1], a[0], "one");
}

/* As programs do that have a new listener of the same name: the connections live on. */
static int unix_deleted_make(void)
{
        if (unix_socket(SOCK_STREAM, "/tmp/unix-deleted") < 0 ||
            unix_accept("/tmp/unix-deleted") < 0)
                return -1;
        TRY(unlink("/tmp/unix-deleted"));
        return put(a[0], "one");
}

static int unix_deleted_check(void)
{
        return through(a[1], a[0], "one");
}

static int unix_backlog_make(void)
{
        return unix_socket(SOCK_STREAM, "/tmp/unix-backlog") < 0 ||
                               unix_connect(SOCK_STREAM, "/tmp/unix-backlog") < 0
                       ? -1
                       : put(a[0], "one");
}

static int unix_backlog_check(void)
{
        struct pollfd p = { .fd = l, .events = POLLIN };

        WANT(poll(&p, 1, 0) == 1);
        return 0;
}

static int unix_dgram_make(void)
{
        return unix_socket(SOCK_DGRAM, "/tmp/unix-dgram") < 0 ||
                               unix_connect(SOCK_DGRAM, "/tmp/unix-dgram") < 0 ||
                               put(a[0], "one") < 0
                       ? -1
                       : put(a[0], "two");
}

static int unix_dgram_check(void)
{
        return through(l, a[0], "one") < 0 ? -1 : through(l, a[0], "two");
}

static int unix_credentials_make(void)
{
        int on = 1;

        TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
        TRY(setsockopt(a[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
        return 0;
}

static int unix_credentials_queued_make(void)
{
        return unix_credentials_make() < 0 ? -1 : put(a[0], "data");
}

static int unix_credentials_queued_check(void)
{
        return through(a[1], a[0], "data");
}

static int unix_credentials_check(void)
{
        struct ucred who = { 0 };
        socklen_t len = sizeof(who);
        int on = 0, size = sizeof(on);

        TRY(getsockopt(a[1], SOL_SOCKET, SO_PASSCRED, &on, (socklen_t *)&size));
        WANT(on == 1);
        TRY(getsockopt(a[1], SOL_SOCKET, SO_PEERCRED, &who, &len));
        WANT(who.pid == getpid());
        return 0;
}

static int unix_buffers_make(void)
{
        int size = 77777;

        if (pair(SOCK_STREAM) < 0)
                return -1;
        TRY(setsockopt(a[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
        return 0;
}

static int unix_buffers_check(void)
{
        int size = 0;
        socklen_t len = sizeof(size);

        TRY(getsockopt(a[0], SOL_SOCKET, SO_SNDBUF, &size, &len));
        WANT(size == 2 * 77777);
        return 0;
}

/* Sockets made before fork(): one open file in two processes. */
static int pair_inherited_make(void)
{
        char byte;

        TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
        if (fork() == 0) {
                (void)close(a[0]);
                while (read(a[1], &byte, 1) == 1)
                        (void)write(a[1], &byte, 1);
                _exit(0);
        }
        return close(a[1]);
}

static int pair_inherited_check(void)
{
        char byte = 0;

        TRY(write(a[0], "x", 1));
        TRY(read(a[0], &byte, 1));
        WANT(byte == 'x');
        return 0;
}

const struct object pipe_objects[] = {
        OBJECT(pipe),
        OBJECT(pipe_size),
        OBJECT(pipe_flags),
        OBJECT(pipe_closed),
        OBJECT(pipe_full),
        OBJECT(pipe_packet),
        OBJECT(pipe_shared),
        OBJECT(fifo),
        OBJECT(fifo_deleted),
        OBJECT(pair_stream),
        OBJECT(pair_dgram),
        OBJECT(pair_seqpacket),
        OBJECT(pair_shutdown),
        OBJECT(pair_closed),
        OBJECT(pair_reset),
        OBJECT(pair_inherited),
        OBJECT(unix_rights),
        OBJECT(unix_listen),
        OBJECT(unix_abstract),
        OBJECT(unix_connected),
        OBJECT(unix_deleted),
        OBJECT(unix_backlog),
        OBJECT(unix_dgram),
        OBJECT(unix_credentials),
        OBJECT(unix_credentials_queued),
        OBJECT(unix_buffers),
        END,
};
