/* See packed.h. Decides how an end travels: one of what flows is an end there, too; one in the middle of what is packed, or of the program there, breaks both directions off. */
#include "transfer/packed.h"

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"

#include <sys/socket.h>

#define LAST_WORDS_MS 500U /* for the program's exit status, once its output ended */

struct ts_packed {
        struct ts_proc *proc;
        enum ts_packed_way way;
        int fd; /* our end of the caller's */
        struct {
                pthread_t thread;
                bool runs;
        } up, down;
};

/* The other host first: or what ends here would be packed to its end as if that had been meant. */
static void break_off(struct ts_packed *p)
{
        if (p->proc)
                (void)shutdown(ts_proc_fd(p->proc), SHUT_RDWR);
        if (p->fd >= 0)
                (void)shutdown(p->fd, SHUT_RDWR);
}

static void *send_up(void *arg)
{
        struct ts_packed *p = arg;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_squeeze(p->fd, ts_proc_fd(p->proc), p->way == TS_PACKED_UP ? TS_SQUEEZE_PACK : TS_SQUEEZE_PLAIN, &err) == 0)
                (void)ts_proc_end_input(p->proc);
        else if (err.code == TS_ECONNECT)
                (void)shutdown(p->fd, SHUT_RD); /* whoever writes is told; what was answered may still be read */
        else
                break_off(p);
        return NULL;
}

static void *send_down(void *arg)
{
        struct ts_packed *p = arg;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_squeeze(ts_proc_fd(p->proc), p->fd, p->way == TS_PACKED_DOWN ? TS_SQUEEZE_UNPACK : TS_SQUEEZE_PLAIN, &err) == 0 &&
            ts_proc_finish(p->proc, ts_deadline_in_ms(LAST_WORDS_MS), &err) == 0) {
                (void)shutdown(p->fd, SHUT_WR);
                return NULL;
        }
        ts_log(TS_LOG_DEBUG, "a packed connection ended: %s", ts_err_message(&err));
        break_off(p);
        return NULL;
}

static int begin(struct ts_packed *p, struct ts_err *err)
{
        if (ts_thread_start(&p->up.thread, "packed up", send_up, p, err) < 0)
                return -1;
        p->up.runs = true;
        if (ts_thread_start(&p->down.thread, "packed down", send_down, p, err) < 0)
                return -1;
        p->down.runs = true;
        return 0;
}

int ts_packed_dial(struct ts_host *h, const char *agent, const char *socket, enum ts_packed_way way, struct ts_packed **ret, int *ret_fd, struct ts_err *err)
{
        const char *const argv[] = { agent, "dial", socket, way == TS_PACKED_UP ? "up" : "down", NULL };
        ts_auto(ts_packed) struct ts_packed *p = calloc(1, sizeof(*p));
        ts_auto_fd int theirs = -1;
        int fds[2];

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        p->way = way;
        p->fd = -1;
        if (ts_host_start(h, argv, &p->proc, err) < 0 || ts_socketpair_wide(fds, err) < 0)
                return -1;
        p->fd = fds[0];
        theirs = fds[1];
        if (begin(p, err) < 0)
                return -1;
        *ret_fd = TS_TAKE_FD(theirs);
        *ret = TS_TAKE(p);
        return 0;
}

void ts_packed_free(struct ts_packed *p)
{
        if (!p)
                return;
        break_off(p);
        if (p->up.runs)
                (void)pthread_join(p->up.thread, NULL);
        if (p->down.runs)
                (void)pthread_join(p->down.thread, NULL);
        ts_proc_free(p->proc);
        ts_closep(&p->fd);
        free(p);
}
