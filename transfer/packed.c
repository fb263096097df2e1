/* See packed.h. Decides how an end travels: one of what flows is an end there, too; one that comes in the middle breaks both directions off. */
#include "transfer/packed.h"

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"

#include <sys/socket.h>

struct ts_packed {
        struct ts_proc *proc;
        enum ts_packed_way way;
        int fd; /* our end of the caller's */
        pthread_t up, down;
};

static void break_off(struct ts_packed *p, const struct ts_err *why)
{
        ts_log(TS_LOG_DEBUG, "a packed connection ended: %s", ts_err_message(why));
        (void)shutdown(p->fd, SHUT_RDWR);
        (void)shutdown(ts_proc_fd(p->proc), SHUT_RDWR);
}

static void *send_up(void *arg)
{
        struct ts_packed *p = arg;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_squeeze(p->fd, ts_proc_fd(p->proc), p->way == TS_PACKED_UP ? TS_SQUEEZE_PACK : TS_SQUEEZE_PLAIN, &err) == 0)
                (void)shutdown(ts_proc_fd(p->proc), SHUT_WR);
        return NULL; /* else the other side is gone, which the other thread sees when it has heard everything */
}

static void *send_down(void *arg)
{
        struct ts_packed *p = arg;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_squeeze(ts_proc_fd(p->proc), p->fd, p->way == TS_PACKED_DOWN ? TS_SQUEEZE_UNPACK : TS_SQUEEZE_PLAIN, &err) == 0)
                (void)shutdown(p->fd, SHUT_WR);
        else
                break_off(p, &err);
        return NULL;
}

int ts_packed_dial(struct ts_host *h, const char *agent, const char *socket, enum ts_packed_way way, struct ts_packed **ret, int *ret_fd, struct ts_err *err)
{
        const char *const argv[] = { agent, "dial", socket, way == TS_PACKED_UP ? "up" : "down", NULL };
        struct ts_packed *p = calloc(1, sizeof(*p));
        ts_auto_fd int theirs = -1;
        int fds[2];

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *p = (struct ts_packed){ .way = way, .fd = -1 };
        if (ts_host_start(h, argv, &p->proc, err) < 0 || ts_socketpair_wide(fds, err) < 0) {
                ts_packed_free(p);
                return -1;
        }
        p->fd = fds[0];
        theirs = fds[1];
        if (ts_thread_start(&p->up, "packed up", send_up, p, err) < 0) {
                p->up = 0;
                ts_packed_free(p);
                return -1;
        }
        if (ts_thread_start(&p->down, "packed down", send_down, p, err) < 0) {
                p->down = 0;
                ts_packed_free(p);
                return -1;
        }
        *ret_fd = TS_TAKE_FD(theirs);
        *ret = p;
        return 0;
}

void ts_packed_free(struct ts_packed *p)
{
        if (!p)
                return;
        if (p->fd >= 0)
                (void)shutdown(p->fd, SHUT_RDWR);
        if (p->proc)
                (void)shutdown(ts_proc_fd(p->proc), SHUT_RDWR);
        if (p->up)
                (void)pthread_join(p->up, NULL);
        if (p->down)
                (void)pthread_join(p->down, NULL);
        ts_proc_free(p->proc);
        ts_closep(&p->fd);
        free(p);
}
