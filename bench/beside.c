/* A program on this machine that runs beside a move, whose lines mean something when they come: a load, a ping. */
#include "bench/plan.h"

#include "base/io.h"
#include "base/thread.h"
#include "transfer/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define LINE_MAX_BYTES 4096U
#define END_WITHIN_MS 5000U

static void *listen_to(void *arg)
{
        struct ts_beside *s = arg;
        char line[LINE_MAX_BYTES];
        size_t len = 0;

        for (;;) {
                char buf[4096];
                ssize_t n = ts_read_some(s->fd, buf, sizeof(buf), /* deadline= */ 0, false, NULL);

                if (n <= 0)
                        return NULL;
                for (ssize_t i = 0; i < n; i++) {
                        if (buf[i] != '\n') {
                                if (len + 1 < sizeof(line))
                                        line[len++] = buf[i];
                                continue;
                        }
                        line[len] = '\0';
                        s->line(s->ctx, ts_now_us(), line);
                        len = 0;
                }
        }
}

int ts_beside_start(struct ts_beside *s, const struct ts_list *argv, void (*line)(void *, uint64_t, const char *), void *ctx, struct ts_err *err)
{
        int fds[2];
        pid_t pid = 0;

        *s = (struct ts_beside){ .fd = -1, .line = line, .ctx = ctx };
        if (ts_pipe(fds, err) < 0)
                return -1;
        if (ts_spawn(&(struct ts_spawn){ .argv = (const char *const *)argv->v, .in = -1, .out = fds[1], .errs = fds[1] }, &pid, err) < 0) {
                (void)close(fds[0]);
                (void)close(fds[1]);
                return -1;
        }
        (void)close(fds[1]);
        s->pid = pid;
        s->fd = fds[0];
        s->has_thread = ts_thread_start(&s->thread, "beside", listen_to, s, err) == 0;
        if (s->has_thread)
                return 0;
        ts_beside_stop(s);
        return -1;
}

bool ts_beside_runs(const struct ts_beside *s)
{
        return s->pid > 0 && !ts_has_ended(s->pid);
}

void ts_beside_stop(struct ts_beside *s)
{
        int status = 0;

        if (s->pid > 0) {
                (void)kill(-s->pid, SIGINT);
                (void)ts_reap(s->pid, ts_deadline_in_ms(END_WITHIN_MS), &status, NULL);
                (void)kill(-s->pid, SIGKILL); /* what it had started, which could hold its output open */
        }
        if (s->has_thread)
                (void)pthread_join(s->thread, NULL);
        if (s->fd >= 0 && s->pid > 0)
                (void)close(s->fd);
        s->pid = 0;
        s->fd = -1;
        s->has_thread = false;
}
