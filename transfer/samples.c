/* See samples.h. Decides when a host is held for silent. */
#include "transfer/samples.h"

#include "base/thread.h"
#include "transfer/host_impl.h"
#include "transfer/ship.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define LAST_WORDS_MS 500U /* for the program's exit status, once its output ended */
#define SILENT_MS 10000U   /* longer than the interval */

struct ts_samples {
        struct ts_host *host;
        char *program; /* on another host */
        unsigned interval_ms;
        ts_samples_fn *take;
        void *ctx;
        int stop_fd; /* event */
        pthread_t thread;
        /* The thread's while it runs: */
        uint64_t heard_us; /* or when it began */
        struct ts_err err;
};

static bool is_stopped(const struct ts_samples *s)
{
        struct pollfd p = { .fd = s->stop_fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* ---- here ---- */

static void look_here(struct ts_samples *s)
{
        uint64_t next_us = ts_now_us();

        do {
                struct ts_host_sample now;

                ts_sample_read(&now);
                s->heard_us = ts_now_us();
                s->take(s->ctx, &now);
        } while (ts_sample_rest(s->stop_fd, s->interval_ms, &next_us));
}

/* ---- there ---- */

static int start_program(struct ts_samples *s, struct ts_proc **ret, struct ts_err *err)
{
        ts_auto_free char *interval = ts_fmt("%u", s->interval_ms);
        const char *const argv[] = { s->program, "sample", interval, NULL };
        const struct ts_start_opts o = { .err_max = TS_STDERR_TAIL, .fresh = true, .stop_fd = s->stop_fd };

        return interval ? s->host->ops->start(s->host, argv, &o, ret, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int take_lines(struct ts_samples *s, struct ts_sample_in *in, const char *data, size_t len, struct ts_err *err)
{
        struct ts_host_sample now;
        int n;

        while ((n = ts_sample_next(in, &data, &len, &now, err)) > 0) {
                s->heard_us = ts_now_us();
                s->take(s->ctx, &now);
        }
        return n;
}

/* Its output is at its end. */
static int why_ended(struct ts_proc *p, struct ts_err *err)
{
        if (ts_proc_finish(p, ts_deadline_in_ms(LAST_WORDS_MS), err) < 0)
                return -1;
        return ts_err_set(err, TS_ECONNECT, "the agent ended");
}

/* Until it is stopped: a host that is busy may be silent for long, and one that is gone is noticed by SSH. */
static int listen_to(struct ts_samples *s, struct ts_proc *p, struct ts_err *err)
{
        struct pollfd fds[] = { { .fd = s->stop_fd, .events = POLLIN }, { .fd = ts_proc_fd(p), .events = POLLIN } };
        struct ts_sample_in in = { .len = 0 };

        while (!is_stopped(s)) {
                char buf[4096];
                ssize_t n;

                if (poll(fds, TS_ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
                        return ts_err_errno(err, errno, "waiting for samples");
                n = recv(fds[1].fd, buf, sizeof(buf), MSG_DONTWAIT);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n <= 0)
                        return why_ended(p, err);
                if (take_lines(s, &in, buf, (size_t)n, err) < 0)
                        return -1;
        }
        return 0;
}

static int look_there(struct ts_samples *s, struct ts_err *err)
{
        ts_auto(ts_proc) struct ts_proc *p = NULL;

        return start_program(s, &p, err) < 0 ? -1 : listen_to(s, p, err);
}

/* ---- both ---- */

static void *run(void *arg)
{
        struct ts_samples *s = arg;

        if (ts_host_is_local(s->host))
                look_here(s);
        else if (look_there(s, &s->err) < 0 && is_stopped(s))
                ts_err_clear(&s->err); /* that is why */
        return NULL;
}

static void samples_free(struct ts_samples *s)
{
        ts_closep(&s->stop_fd);
        ts_err_clear(&s->err);
        free(s->program);
        free(s);
}

static int start(struct ts_samples *s, struct ts_err *err)
{
        if (!ts_host_is_local(s->host) && ts_agent_install(s->host, &s->program, err) < 0)
                return -1;
        s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (s->stop_fd < 0)
                return ts_err_errno(err, errno, "no descriptor for samples");
        s->heard_us = ts_now_us();
        return ts_thread_start(&s->thread, "samples", run, s, err);
}

int ts_samples_start(struct ts_host *h, unsigned interval_ms, ts_samples_fn *take, void *ctx, struct ts_samples **ret, struct ts_err *err)
{
        struct ts_samples *s = calloc(1, sizeof(*s));

        if (!s)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *s = (struct ts_samples){ .host = h, .interval_ms = interval_ms, .take = take, .ctx = ctx, .stop_fd = -1 };
        if (start(s, err) < 0) {
                samples_free(s);
                return -1;
        }
        *ret = s;
        return 0;
}

int ts_samples_stop(struct ts_samples *s, struct ts_err *err)
{
        uint64_t one = 1, silent_ms;
        int rc = 0;

        if (!s)
                return 0;
        (void)!write(s->stop_fd, &one, sizeof(one));
        (void)pthread_join(s->thread, NULL);
        silent_ms = (ts_now_us() - s->heard_us) / 1000;
        if (!ts_err_is_set(&s->err) && silent_ms > SILENT_MS + s->interval_ms)
                ts_err_set(&s->err, TS_ETIMEOUT, "nothing came in the last %llu s", (unsigned long long)silent_ms / 1000);
        if (ts_err_is_set(&s->err)) {
                rc = -1;
                if (err && !ts_err_is_set(err))
                        ts_err_move(err, &s->err);
        }
        samples_free(s);
        return rc;
}
