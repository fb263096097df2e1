/* Descriptors that stand for events, timers, signals. */
#include "holds.h"

#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/fanotify.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

static int a = -1, b = -1;
#define LONG 3600 /* seconds; a test takes less */

static int watched(int epoll, int fd, uint32_t events, uint64_t data)
{
        struct epoll_event e = { .events = events, .data.u64 = data };

        TRY(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e));
        return 0;
}

static int epoll_make(void)
{
        TRY(a = epoll_create1(0));
        TRY(b = eventfd(3, 0));
        return watched(a, b, EPOLLIN, 0x1234567890);
}

static int epoll_check(void)
{
        struct epoll_event e[2];

        WANT(epoll_wait(a, e, 2, 0) == 1);
        WANT(e[0].events == EPOLLIN && e[0].data.u64 == 0x1234567890);
        return 0;
}

static int epoll_edge_make(void)
{
        TRY(a = epoll_create1(0));
        TRY(b = eventfd(0, 0));
        return watched(a, b, EPOLLIN | EPOLLET | EPOLLONESHOT, 7);
}

static int epoll_edge_check(void)
{
        struct epoll_event e[2] = { { .events = EPOLLIN | EPOLLET | EPOLLONESHOT, .data.u64 = 7 } };
        uint64_t v = 1;

        WANT(epoll_wait(a, e + 1, 1, 0) == 0);
        TRY(write(b, &v, sizeof(v)));
        WANT(epoll_wait(a, e + 1, 1, 0) == 1);
        WANT(epoll_wait(a, e + 1, 1, 0) == 0);
        TRY(read(b, &v, sizeof(v)));
        TRY(epoll_ctl(a, EPOLL_CTL_MOD, b, e));
        return 0;
}

static int epoll_nested_make(void)
{
        int inner;

        TRY(a = epoll_create1(0));
        TRY(inner = epoll_create1(0));
        TRY(b = eventfd(3, 0));
        return watched(inner, b, EPOLLIN, 1) < 0 ? -1 : watched(a, inner, EPOLLIN, 2);
}

static int epoll_nested_check(void)
{
        struct epoll_event e[2];

        WANT(epoll_wait(a, e, 2, 0) == 1 && e[0].data.u64 == 2);
        return 0;
}

/* What is watched has no descriptor of that number any more: it was dup()ed and closed. */
static int epoll_moved_make(void)
{
        int fd;

        TRY(a = epoll_create1(0));
        TRY(fd = eventfd(3, 0));
        if (watched(a, fd, EPOLLIN, 9) < 0)
                return -1;
        TRY(b = fcntl(fd, F_DUPFD, 100));
        return close(fd);
}

static int epoll_moved_check(void)
{
        struct epoll_event e[2];

        WANT(epoll_wait(a, e, 2, 0) == 1 && e[0].data.u64 == 9);
        return 0;
}

static int eventfd_make(void)
{
        TRY(a = eventfd(7, EFD_NONBLOCK));
        return 0;
}

static int eventfd_check(void)
{
        uint64_t v = 0;

        TRY(read(a, &v, sizeof(v)));
        WANT(v == 7);
        TRY(write(a, &v, sizeof(v)));
        return 0;
}

static int eventfd_semaphore_make(void)
{
        TRY(a = eventfd(7, EFD_NONBLOCK | EFD_SEMAPHORE));
        return 0;
}

static int eventfd_semaphore_check(void)
{
        uint64_t v = 0;

        TRY(read(a, &v, sizeof(v)));
        WANT(v == 1);
        TRY(write(a, &v, sizeof(v)));
        return 0;
}

static int signalfd_make(void)
{
        sigset_t s;

        (void)sigemptyset(&s);
        (void)sigaddset(&s, SIGUSR1);
        TRY(sigprocmask(SIG_BLOCK, &s, NULL));
        TRY(a = signalfd(-1, &s, SFD_NONBLOCK));
        TRY(kill(getpid(), SIGUSR1));
        return 0;
}

static int signalfd_check(void)
{
        struct signalfd_siginfo i = { 0 };

        TRY(read(a, &i, sizeof(i)));
        WANT(i.ssi_signo == SIGUSR1 && i.ssi_pid == (uint32_t)getpid());
        TRY(kill(getpid(), SIGUSR1));
        return 0;
}

static int timerfd(int clock, int seconds, int interval)
{
        struct itimerspec t = { { interval, 0 }, { seconds, 0 } };

        TRY(a = timerfd_create(clock, TFD_NONBLOCK));
        TRY(timerfd_settime(a, 0, &t, NULL));
        return 0;
}

static int timerfd_is(int interval)
{
        struct itimerspec t = { 0 };

        TRY(timerfd_gettime(a, &t));
        WANT(t.it_interval.tv_sec == interval);
        WANT(t.it_value.tv_sec > LONG - 900 && t.it_value.tv_sec <= LONG);
        return 0;
}

static int timerfd_make(void)
{
        return timerfd(CLOCK_MONOTONIC, LONG, 77);
}

static int timerfd_check(void)
{
        return timerfd_is(77);
}

static int timerfd_boottime_make(void)
{
        return timerfd(CLOCK_BOOTTIME, LONG, 0);
}

static int timerfd_boottime_check(void)
{
        return timerfd_is(0);
}

static int timerfd_realtime_make(void)
{
        return timerfd(CLOCK_REALTIME, LONG, 0);
}

static int timerfd_realtime_check(void)
{
        return timerfd_is(0);
}

/* It rang, and nobody has read it. */
static int timerfd_rang_make(void)
{
        struct itimerspec t = { .it_value = { 0, 1000 } };

        TRY(a = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
        TRY(timerfd_settime(a, 0, &t, NULL));
        (void)nap(20);
        return 0;
}

static int timerfd_rang_check(void)
{
        struct pollfd p = { .fd = a, .events = POLLIN };

        WANT(poll(&p, 1, 0) == 1);
        return 0;
}

/* To be told when somebody sets the clock. */
static int timerfd_cancel_make(void)
{
        struct itimerspec t = { .it_value = { time(NULL) + LONG, 0 } };

        TRY(a = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
        TRY(timerfd_settime(a, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &t, NULL));
        return 0;
}

static int timerfd_cancel_check(void)
{
        char line[64];
        bool found = false;
        FILE *f;

        (void)snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", a);
        f = fopen(line, "r");
        while (f && fgets(line, sizeof(line), f))
                found |= strstr(line, "settime flags: 03") != NULL;
        if (f)
                (void)fclose(f);
        WANT(found);
        return 0;
}

static timer_t t_id;
static int posix_timer_make(void)
{
        struct sigevent e = { .sigev_notify = SIGEV_SIGNAL,
                              .sigev_signo = SIGRTMIN + 2,
                              .sigev_value.sival_int = 7 };
        struct itimerspec t = { { 77, 0 }, { LONG, 0 } };

        TRY(timer_create(CLOCK_MONOTONIC, &e, &t_id));
        TRY(timer_settime(t_id, 0, &t, NULL));
        return 0;
}

static int posix_timer_check(void)
{
        struct itimerspec t = { 0 };

        TRY(timer_gettime(t_id, &t));
        WANT(t.it_interval.tv_sec == 77 && t.it_value.tv_sec > LONG - 900);
        return 0;
}

/* Of the processor time of the process. */
static int posix_timer_cpu_make(void)
{
        struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2 };
        struct itimerspec t = { .it_value = { LONG, 0 } };

        TRY(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &t_id));
        TRY(timer_settime(t_id, 0, &t, NULL));
        return 0;
}

static int posix_timer_cpu_check(void)
{
        struct itimerspec t = { 0 };

        TRY(timer_gettime(t_id, &t));
        WANT(t.it_value.tv_sec > LONG - 900);
        return 0;
}

static int itimer_make(void)
{
        struct itimerval r = { { 77, 0 }, { LONG, 0 } };

        TRY(setitimer(ITIMER_REAL, &r, NULL));
        TRY(setitimer(ITIMER_VIRTUAL, &r, NULL));
        TRY(setitimer(ITIMER_PROF, &r, NULL));
        return 0;
}

static int itimer_check(void)
{
        for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
                struct itimerval r = { 0 };

                TRY(getitimer(which, &r));
                WANT(r.it_interval.tv_sec == 77 && r.it_value.tv_sec > LONG - 900);
        }
        return 0;
}

static int alarm_make(void)
{
        (void)alarm(LONG);
        return 0;
}

static int alarm_check(void)
{
        unsigned left = alarm(LONG);

        WANT(left > LONG - 900 && left <= LONG);
        return 0;
}

static int inotify_make(void)
{
        TRY(mkdir("/tmp/watched", 0700));
        TRY(a = inotify_init1(IN_NONBLOCK));
        TRY(b = inotify_add_watch(a, "/tmp/watched", IN_CREATE));
        return 0;
}

static int inotify_check(void)
{
        char e[1024] __attribute__((aligned(8)));
        int fd;

        TRY(fd = open("/tmp/watched/new", O_CREAT | O_RDWR, 0600));
        (void)close(fd);
        TRY(unlink("/tmp/watched/new"));
        TRY(read(a, e, sizeof(e)));
        WANT(((struct inotify_event *)(void *)e)->wd == b);
        return 0;
}

static int inotify_file_make(void)
{
        TRY(a = inotify_init1(IN_NONBLOCK));
        TRY(b = inotify_add_watch(a, "/etc/app.conf", IN_MODIFY | IN_OPEN));
        return 0;
}

static int inotify_file_check(void)
{
        char e[1024] __attribute__((aligned(8)));
        int fd;

        TRY(fd = open("/etc/app.conf", O_RDONLY));
        (void)close(fd);
        TRY(read(a, e, sizeof(e)));
        return 0;
}

/* An event that nobody has read. */
static int inotify_queued_make(void)
{
        int fd;

        TRY(mkdir("/tmp/queued", 0700));
        TRY(a = inotify_init1(IN_NONBLOCK));
        TRY(b = inotify_add_watch(a, "/tmp/queued", IN_CREATE));
        TRY(fd = open("/tmp/queued/new", O_CREAT | O_RDWR, 0600));
        return close(fd);
}

static int inotify_queued_check(void)
{
        int n = 0;

        TRY(ioctl(a, FIONREAD, &n));
        WANT(n > 0);
        return 0;
}

static int inotify_empty_make(void)
{
        TRY(a = inotify_init1(IN_NONBLOCK));
        return 0;
}

static int inotify_empty_check(void)
{
        TRY(b = inotify_add_watch(a, "/etc/app.conf", IN_MODIFY));
        return inotify_rm_watch(a, b);
}

static int fanotify_make(void)
{
        TRY(a = (int)syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));
        TRY(syscall(SYS_fanotify_mark, a, FAN_MARK_ADD, (uint64_t)FAN_OPEN, AT_FDCWD,
                    "/etc/app.conf"));
        return 0;
}

static int fanotify_check(void)
{
        struct fanotify_event_metadata e;
        int fd;

        TRY(fd = open("/etc/app.conf", O_RDONLY));
        (void)close(fd);
        TRY(read(a, &e, sizeof(e)));
        return close(e.fd);
}

static int fanotify_mount_make(void)
{
        TRY(a = (int)syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));
        TRY(syscall(SYS_fanotify_mark, a, FAN_MARK_ADD | FAN_MARK_MOUNT, (uint64_t)FAN_OPEN,
                    AT_FDCWD, "/"));
        return 0;
}

static int fanotify_mount_check(void)
{
        struct pollfd p = { .fd = a, .events = POLLIN };
        int fd;

        TRY(fd = open("/etc/app.conf", O_RDONLY));
        (void)close(fd);
        WANT(poll(&p, 1, 100) == 1);
        return 0;
}

static int pidfd_make(void)
{
        TRY(a = (int)syscall(SYS_pidfd_open, sleeper(), 0));
        return 0;
}

static int pidfd_check(void)
{
        TRY(syscall(SYS_pidfd_send_signal, a, 0, NULL, 0));
        return 0;
}

static int pidfd_ended_make(void)
{
        pid_t child = sleeper();

        TRY(a = (int)syscall(SYS_pidfd_open, child, 0));
        TRY(kill(child, SIGKILL));
        TRY(waitpid(child, NULL, 0));
        return 0;
}

static int pidfd_ended_check(void)
{
        struct pollfd p = { .fd = a, .events = POLLIN };

        WANT(poll(&p, 1, 0) == 1);
        WANT(syscall(SYS_pidfd_send_signal, a, 0, NULL, 0) < 0 && errno == ESRCH);
        return 0;
}

static int io_uring_make(void)
{
        struct io_uring_params p = { 0 };

        TRY(a = (int)syscall(SYS_io_uring_setup, 4, &p));
        return 0;
}

static int io_uring_check(void)
{
        TRY(syscall(SYS_io_uring_enter, a, 0, 0, 0, NULL, 0));
        return 0;
}

static aio_context_t context;
static int aio_make(void)
{
        TRY(syscall(SYS_io_setup, 8, &context));
        return 0;
}

static int aio_check(void)
{
        static char text[4] = "data";
        struct iocb one = { .aio_lio_opcode = IOCB_CMD_PWRITE,
                            .aio_buf = (uintptr_t)text,
                            .aio_nbytes = 4 },
                    *list = &one;
        struct io_event e;

        TRY(b = open("/tmp/aio", O_CREAT | O_RDWR, 0600));
        one.aio_fildes = (uint32_t)b;
        WANT(syscall(SYS_io_submit, context, 1, &list) == 1);
        WANT(syscall(SYS_io_getevents, context, 1, 1, &e, NULL) == 1);
        return close(b);
}

static int userfaultfd_make(void)
{
        struct uffdio_api api = { .api = UFFD_API };

        TRY(a = (int)syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
        TRY(ioctl(a, UFFDIO_API, &api));
        return 0;
}

static int userfaultfd_check(void)
{
        WANT(fcntl(a, F_GETFL) >= 0);
        return 0;
}

static int bpf_map_make(void)
{
        union bpf_attr at = {
                .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 4
        };
        uint32_t key = 1;
        uint64_t value = 7;

        TRY(a = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &at, sizeof(at)));
        at = (union bpf_attr){ .map_fd = (uint32_t)a,
                               .key = (uintptr_t)&key,
                               .value = (uintptr_t)&value };
        TRY(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &at, sizeof(at)));
        return 0;
}

static int bpf_map_check(void)
{
        uint32_t key = 1;
        uint64_t value = 0;
        union bpf_attr at = { .map_fd = (uint32_t)a,
                              .key = (uintptr_t)&key,
                              .value = (uintptr_t)&value };

        TRY(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &at, sizeof(at)));
        WANT(value == 7);
        return 0;
}

static int bpf_program_make(void)
{
        struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K },
                                   { .code = BPF_JMP | BPF_EXIT } };
        union bpf_attr at = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                              .insns = (uintptr_t)code,
                              .insn_cnt = 2,
                              .license = (uintptr_t) "GPL" };

        TRY(a = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &at, sizeof(at)));
        return 0;
}

static int bpf_program_check(void)
{
        WANT(fcntl(a, F_GETFL) >= 0);
        return 0;
}

static int perf_event_make(void)
{
        struct perf_event_attr at = { .type = PERF_TYPE_SOFTWARE,
                                      .size = sizeof(at),
                                      .config = PERF_COUNT_SW_TASK_CLOCK,
                                      .exclude_kernel = 1 };

        TRY(a = (int)syscall(SYS_perf_event_open, &at, 0, -1, -1, 0));
        return 0;
}

static int perf_event_check(void)
{
        uint64_t v;

        TRY(read(a, &v, sizeof(v)));
        return 0;
}

const struct object event_objects[] = {
        OBJECT(epoll),
        OBJECT(epoll_edge),
        OBJECT(epoll_nested),
        OBJECT(epoll_moved),
        OBJECT(eventfd),
        OBJECT(eventfd_semaphore),
        OBJECT(signalfd),
        OBJECT(timerfd),
        OBJECT(timerfd_boottime),
        OBJECT(timerfd_realtime),
        OBJECT(timerfd_rang),
        OBJECT(timerfd_cancel),
        OBJECT(posix_timer),
        OBJECT(posix_timer_cpu),
        OBJECT(itimer),
        OBJECT(alarm),
        OBJECT(inotify),
        OBJECT(inotify_file),
        OBJECT(inotify_queued),
        OBJECT(inotify_empty),
        OBJECT(fanotify),
        OBJECT(fanotify_mount),
        OBJECT(pidfd),
        OBJECT(pidfd_ended),
        OBJECT(io_uring),
        OBJECT(aio),
        OBJECT(userfaultfd),
        OBJECT(bpf_map),
        OBJECT(bpf_program),
        OBJECT(perf_event),
        END,
};
