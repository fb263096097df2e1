/* This machine as a host. Decides how a local child is fed, watched and ended, so that it looks like a remote command. */
#include "transfer/host_impl.h"

#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "transfer/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define DIAL_MS 10000
#define DIAL_AGAIN_MS 20

/* The child, and a thread that reads its stderr and reaps it. */
struct local_proc {
        struct ts_proc base;
        pid_t pid;
        int pid_fd; /* -1: the kernel has none */
        int errs_fd;
        int far_fd;           /* the child's end of the pair, see end_input() */
        int stop_fd, done_fd; /* events */
        pthread_t thread;
        bool started, joined;
        int status;
        struct ts_tail errs;
};

/* ---- the watching thread ---- */

/* False: nothing more will come. */
static bool read_errs(struct local_proc *p)
{
        char buf[4096];
        ssize_t n = read(p->errs_fd, buf, sizeof(buf));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        ts_tail_add(&p->errs, buf, (size_t)n);
        return n > 0;
}

/* The pipe may be held open by a grandchild: what is in it at the child's end is all we take. */
static void drain_errs(struct local_proc *p)
{
        struct pollfd e = { .fd = p->errs_fd, .events = POLLIN };

        while (poll(&e, 1, 0) > 0 && e.revents & POLLIN && read_errs(p))
                ;
}

/* A socket that is closed with bytes unread resets its peer: the caller would get an error instead of the end after the last byte of output. So the child's end is kept
 * until the child is gone, and what it did not read is taken out. Output of grandchildren still comes. */
static void end_input(struct local_proc *p)
{
        char buf[4096];

        (void)shutdown(p->far_fd, SHUT_RD);
        while (recv(p->far_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
                ;
        (void)close(TS_TAKE_FD(p->far_fd));
}

static void *watch(void *arg)
{
        struct local_proc *p = arg;
        struct pollfd fds[3] = { { .fd = p->pid_fd, .events = POLLIN },
                                 { .fd = p->errs_fd, .events = POLLIN },
                                 { .fd = p->stop_fd, .events = POLLIN } };
        uint64_t one = 1;
        ts_auto_err ignored = TS_ERR_INIT;

        while (!ts_has_ended(p->pid)) {
                bool too_much;

                if (poll(fds, 3, p->pid_fd < 0 ? TS_CHILD_LOOK_MS : -1) < 0)
                        continue;
                if (fds[1].revents && !read_errs(p))
                        fds[1].fd = -1;
                too_much = p->errs.whole && p->errs.overflow;
                if ((fds[2].revents || too_much) && fds[2].fd >= 0) {
                        (void)kill(-p->pid, SIGKILL);
                        fds[2].fd = -1;
                }
        }
        (void)ts_reap(p->pid, 0, &p->status, &ignored);
        end_input(p);
        drain_errs(p);
        (void)!write(p->done_fd, &one, sizeof(one));
        return NULL;
}

/* ---- the process ---- */

static void local_join(struct local_proc *p)
{
        if (p->started && !p->joined)
                (void)pthread_join(p->thread, NULL);
        p->joined = true;
}

static int local_wait(struct ts_proc *base, ts_deadline deadline, int *ret_status, struct ts_err *err)
{
        struct local_proc *p = (struct local_proc *)base;
        struct pollfd done = { .fd = p->done_fd, .events = POLLIN };

        while (!p->joined && poll(&done, 1, ts_deadline_poll_ms(deadline, -1)) <= 0) {
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "it did not end in time");
        }
        local_join(p);
        if (p->errs.whole && p->errs.overflow)
                return ts_err_set(err, TS_ELIMIT, "more than %zu bytes on stderr", p->errs.max);
        *ret_status = p->status;
        return 0;
}

static const struct ts_str *local_errs(const struct ts_proc *base)
{
        return &((const struct local_proc *)base)->errs.text;
}

static void local_proc_free(struct ts_proc *base)
{
        struct local_proc *p = (struct local_proc *)base;
        uint64_t one = 1;

        if (p->started)
                (void)!write(p->stop_fd, &one, sizeof(one));
        else
                ts_kill_and_reap(p->pid);
        local_join(p);
        /* Only now: the thread closes one of them. */
        ts_closep(&base->fd);
        ts_closep(&p->pid_fd);
        ts_closep(&p->errs_fd);
        ts_closep(&p->far_fd);
        ts_closep(&p->stop_fd);
        ts_closep(&p->done_fd);
        ts_str_clear(&p->errs.text);
        free(base->what);
        free(p);
}

static const struct ts_proc_ops local_proc_ops = { local_wait, local_errs, local_proc_free };

static struct local_proc *local_proc_new(const char *what, const struct ts_start_opts *o)
{
        struct local_proc *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        p->base.ops = &local_proc_ops;
        p->base.fd = p->pid_fd = p->errs_fd = p->far_fd = -1;
        p->base.what = ts_strdup0(what);
        p->stop_fd = eventfd(0, EFD_CLOEXEC);
        p->done_fd = eventfd(0, EFD_CLOEXEC);
        p->errs.max = p->errs.text.max = o->err_max;
        p->errs.whole = o->err_whole;
        if (p->base.what && p->stop_fd >= 0 && p->done_fd >= 0)
                return p;
        local_proc_free(&p->base);
        return NULL;
}

static int spawn_child(struct local_proc *p, const char *const argv[], struct ts_err *err)
{
        int pair[2], errs[2], r;

        if (ts_socketpair(pair, err) < 0)
                return -1;
        p->base.fd = pair[0];
        p->far_fd = pair[1];
        if (ts_pipe(errs, err) < 0)
                return -1;
        p->errs_fd = errs[0];
        r = ts_spawn(&(struct ts_spawn){ .argv = argv, .in = pair[1], .out = pair[1], .errs = errs[1] }, &p->pid, err);
        (void)close(errs[1]);
        if (r < 0)
                return -1;
        p->pid_fd = pidfd_open(p->pid, 0);
        return 0;
}

static int start_watching(struct local_proc *p, struct ts_err *err)
{
        p->started = ts_thread_start(&p->thread, "watch", watch, p, err) == 0;
        return p->started ? 0 : -1;
}

static int local_start(struct ts_host *h, const char *const argv[], const struct ts_start_opts *o, struct ts_proc **ret, struct ts_err *err)
{
        struct local_proc *p;

        (void)h;
        if (!argv[0])
                return ts_err_set(err, TS_EUSAGE, "no command");
        p = local_proc_new(argv[0], o);
        if (!p)
                return ts_err_set(err, TS_ENOMEM, "no memory or descriptors for another process");
        if (spawn_child(p, argv, err) < 0 || start_watching(p, err) < 0) {
                local_proc_free(&p->base);
                return -1;
        }
        *ret = &p->base;
        return 0;
}

/* ---- sockets ---- */

/* A Unix socket connects at once or not at all; EAGAIN means that its backlog is full. */
static int connect_unix(int fd, const struct sockaddr_un *addr, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(DIAL_MS);

        while (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        return ts_err_set(err, errno == ENOENT ? TS_ENOTFOUND : TS_ECONNECT, "cannot connect to '%s': %s", addr->sun_path,
                                          strerror(errno));
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "'%s' takes no more connections", addr->sun_path);
                ts_sleep_ms(DIAL_AGAIN_MS);
        }
        return 0;
}

static int local_dial(struct ts_host *h, const char *path, const char *const fallback_argv[], int *ret_fd, struct ts_err *err)
{
        struct sockaddr_un addr = { .sun_family = AF_UNIX };
        ts_auto_fd int fd = -1;

        (void)h;
        (void)fallback_argv;
        if (strlen(path) >= sizeof(addr.sun_path))
                return ts_err_set(err, TS_EUSAGE, "the socket path '%s' is longer than %zu bytes", path, sizeof(addr.sun_path) - 1);
        memcpy(addr.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot make a socket");
        if (connect_unix(fd, &addr, err) < 0 || ts_set_nonblock(fd, false, err) < 0)
                return -1;
        *ret_fd = TS_TAKE_FD(fd);
        return 0;
}

/* ---- files ---- */

static int fill(struct ts_host *h, int fd, const struct ts_source *src, struct ts_err *err)
{
        if (src->fd < 0 && ts_write_all(fd, src->data, src->size_bytes, 0, false, err) < 0)
                return -1;
        if (src->fd >= 0 &&
            ts_copy(src->fd, fd, &(struct ts_copy_opts){ .size_bytes = src->size_bytes, .progress = src->progress, .ctx = src->ctx }, NULL,
                    err) < 0)
                return -1;
        atomic_fetch_add(&h->wire.sent, (unsigned long long)src->size_bytes);
        return 0;
}

static int local_send_file(struct ts_host *h, const char *path, unsigned mode, const struct ts_source *src, struct ts_err *err)
{
        ts_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, mode);
        struct stat st;
        int copy;

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return ts_err_set(err, TS_ENOTFOUND, "cannot write '%s': its directory does not exist", path);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot write '%s'", path);
        /* Devices and FIFOs keep their mode, as with scp; and the umask does not count. */
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fchmod(fd, mode) < 0)
                return ts_err_errno(err, errno, "cannot set the mode of '%s'", path);
        if (fill(h, fd, src, err) < 0)
                return ts_err_prefix(err, "cannot write '%s'", path);
        copy = TS_TAKE_FD(fd);
        if (close(copy) < 0) /* NFS tells here that the disk is full */
                return ts_err_errno(err, errno, "cannot write '%s'", path);
        return 0;
}

static void local_free(struct ts_host *h)
{
        free(h->name);
        free(h);
}

static const struct ts_host_ops local_ops = { .start = local_start, .dial = local_dial, .send_file = local_send_file, .free = local_free };

int ts_host_local(struct ts_host **ret, struct ts_err *err)
{
        struct ts_host *h = calloc(1, sizeof(*h));

        if (!h || !(h->name = ts_strdup0("local"))) {
                free(h);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        h->ops = &local_ops;
        h->is_local = true;
        *ret = h;
        return 0;
}
