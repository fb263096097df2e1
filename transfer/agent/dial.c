/* See dial.h. */
#include "transfer/agent/dial.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "transfer/agent/squeeze.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct up {
        int fd;
        enum ts_squeeze how;
};

static int reach(const char *path, int *ret_fd, struct ts_err *err)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        ts_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(a.sun_path))
                return ts_err_set(err, TS_EUSAGE, "the path of the socket is longer than %zu bytes", sizeof(a.sun_path) - 1);
        memcpy(a.sun_path, path, strlen(path));
        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
                return ts_err_set(err, TS_ECONNECT, "cannot connect to '%s': %s", path, strerror(errno));
        *ret_fd = TS_TAKE_FD(fd);
        return 0;
}

/* Who takes no more has something to say of it, which the other thread passes on. Anything else breaks the request off. */
static void *send_up(void *arg)
{
        const struct up *u = arg;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_squeeze(STDIN_FILENO, u->fd, u->how, &err) == 0)
                (void)shutdown(u->fd, SHUT_WR);
        else if (err.code != TS_ECONNECT)
                (void)shutdown(u->fd, SHUT_RDWR);
        return NULL;
}

int ts_unpack_main(void)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_squeeze(STDIN_FILENO, STDOUT_FILENO, TS_SQUEEZE_UNPACK, &err) == 0)
                return 0;
        (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
        return 1;
}

int ts_dial_main(const char *path, const char *direction)
{
        bool down = !strcmp(direction, "down");
        struct up up = { .fd = -1, .how = down ? TS_SQUEEZE_PLAIN : TS_SQUEEZE_UNPACK };
        ts_auto_err err = TS_ERR_INIT;
        pthread_t thread;

        if (!down && strcmp(direction, "up") != 0)
                return 2;
        if (reach(path, &up.fd, &err) == 0 && ts_thread_start(&thread, "up", send_up, &up, &err) == 0 &&
            ts_squeeze(up.fd, STDOUT_FILENO, down ? TS_SQUEEZE_PACK : TS_SQUEEZE_PLAIN, &err) == 0)
                _exit(0); /* the other thread may wait for standard input for ever */
        (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
        _exit(1);
}
