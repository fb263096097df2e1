/* What a process is: credentials, signals, threads, limits, namespaces. */
#include "holds.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>

static int a = -1;
static pid_t child;
static struct stat was;

/* ---- signals */

static int signal_pending_make(void)
{
        sigset_t s;

        (void)sigemptyset(&s);
        (void)sigaddset(&s, SIGUSR1);
        (void)sigaddset(&s, SIGRTMIN + 3);
        TRY(sigprocmask(SIG_BLOCK, &s, NULL));
        TRY(kill(getpid(), SIGUSR1));
        TRY(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 7 }));
        TRY(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){ .sival_int = 8 }));
        return 0;
}

static int taken(int number, int value)
{
        struct timespec none = { 0 };
        siginfo_t i = { 0 };
        sigset_t s;

        (void)sigemptyset(&s);
        (void)sigaddset(&s, number);
        TRY(sigtimedwait(&s, &i, &none));
        WANT(value == 0 || i.si_value.sival_int == value);
        return 0;
}

static int signal_pending_check(void)
{
        if (taken(SIGRTMIN + 3, 7) < 0 || taken(SIGRTMIN + 3, 8) < 0 || taken(SIGUSR1, 0) < 0)
                return -1;
        return signal_pending_make();
}

static void handler(int number)
{
        a = number;
}

static int signal_handlers_make(void)
{
        struct sigaction h = { .sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK };

        (void)sigaddset(&h.sa_mask, SIGUSR2);
        TRY(sigaction(SIGUSR1, &h, NULL));
        (void)signal(SIGHUP, SIG_IGN);
        return 0;
}

static int signal_handlers_check(void)
{
        struct sigaction h = { 0 };

        TRY(sigaction(SIGUSR1, NULL, &h));
        WANT(h.sa_handler == handler && (h.sa_flags & SA_RESTART) && (h.sa_flags & SA_ONSTACK) &&
             sigismember(&h.sa_mask, SIGUSR2));
        TRY(sigaction(SIGHUP, NULL, &h));
        WANT(h.sa_handler == SIG_IGN);
        TRY(raise(SIGUSR1));
        WANT(a == SIGUSR1);
        return 0;
}

static int signal_mask_make(void)
{
        sigset_t s;

        (void)sigemptyset(&s);
        (void)sigaddset(&s, SIGUSR2);
        TRY(sigprocmask(SIG_BLOCK, &s, NULL));
        return 0;
}

static int signal_mask_check(void)
{
        sigset_t s;

        TRY(sigprocmask(SIG_BLOCK, NULL, &s));
        WANT(sigismember(&s, SIGUSR2) && !sigismember(&s, SIGUSR1));
        return 0;
}

static char stack[1 << 16];
static int signal_stack_make(void)
{
        TRY(sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL));
        return 0;
}

static int signal_stack_check(void)
{
        stack_t s = { 0 };

        TRY(sigaltstack(NULL, &s));
        WANT(s.ss_sp == stack && s.ss_size == sizeof(stack));
        return 0;
}

/* ---- threads */

static pthread_t thread;
static volatile int thread_step, thread_result;
static int (*thread_make)(void), (*thread_check)(void);

/* What thread_make() makes is the thread's alone. */
static void *in_thread(void *unused)
{
        (void)unused;
        thread_result = thread_make();
        thread_step = 1;
        for (;;) {
                while (thread_step != 2)
                        (void)nap(10);
                thread_result = thread_check();
                thread_step = 1;
        }
        return NULL;
}

static int thread_begin(int (*make)(void), int (*check)(void))
{
        thread_make = make;
        thread_check = check;
        WANT(pthread_create(&thread, NULL, in_thread, NULL) == 0);
        while (thread_step != 1)
                (void)nap(10);
        return thread_result;
}

static int thread_ask(void)
{
        thread_step = 2;
        for (int i = 0; i < 500 && thread_step != 1; i++)
                (void)nap(10);
        WANT(thread_step == 1);
        return thread_result;
}

static int name_thread(void)
{
        return prctl(PR_SET_NAME, "it-thread", 0UL, 0UL, 0UL);
}

static int is_named(const char *name)
{
        char found[32] = "";

        TRY(prctl(PR_GET_NAME, found, 0UL, 0UL, 0UL));
        if (strcmp(found, name) != 0)
                return differs("the name of before");
        return 0;
}

static int thread_is_named(void)
{
        return is_named("it-thread");
}

static int thread_name_make(void)
{
        return thread_begin(name_thread, thread_is_named);
}

static int thread_name_check(void)
{
        return thread_ask() < 0 || is_named("holds") < 0 ? -1 : 0;
}

static int other_user(void)
{
        TRY(syscall(SYS_setresgid, 77, 77, 77));
        TRY(syscall(SYS_setresuid, 77, 77, 77));
        return 0;
}

static int is_other_user(void)
{
        WANT(syscall(SYS_geteuid) == 77 && syscall(SYS_getegid) == 77);
        return 0;
}

static int thread_credentials_make(void)
{
        return thread_begin(other_user, is_other_user);
}

static int thread_credentials_check(void)
{
        if (thread_ask() < 0)
                return -1;
        WANT(syscall(SYS_geteuid) == 0);
        return 0;
}

static int thread_nice(void)
{
        TRY(setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 9));
        return 0;
}

static int thread_is_nice(void)
{
        WANT(getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)) == 9);
        return 0;
}

static int thread_priority_make(void)
{
        return thread_begin(thread_nice, thread_is_nice);
}

static int thread_priority_check(void)
{
        if (thread_ask() < 0)
                return -1;
        WANT(getpriority(PRIO_PROCESS, 0) == 0);
        return 0;
}

static int pin(void)
{
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(0, &one);
        TRY(sched_setaffinity(0, sizeof(one), &one));
        return 0;
}

static int is_pinned(void)
{
        cpu_set_t now;

        TRY(sched_getaffinity(0, sizeof(now), &now));
        WANT(CPU_COUNT(&now) == 1 && CPU_ISSET(0, &now));
        return 0;
}

static int affinity_make(void)
{
        return pin();
}

static int affinity_check(void)
{
        return is_pinned();
}

static int thread_affinity_make(void)
{
        return thread_begin(pin, is_pinned);
}

static int thread_affinity_check(void)
{
        return thread_ask();
}

static int slacken(void)
{
        TRY(prctl(PR_SET_TIMERSLACK, 777000UL, 0UL, 0UL, 0UL));
        return 0;
}

static int is_slack(void)
{
        WANT(prctl(PR_GET_TIMERSLACK, 0UL, 0UL, 0UL, 0UL) == 777000);
        return 0;
}

static int timer_slack_make(void)
{
        return slacken();
}

static int timer_slack_check(void)
{
        return is_slack();
}

static int thread_timer_slack_make(void)
{
        return thread_begin(slacken, is_slack);
}

static int thread_timer_slack_check(void)
{
        return thread_ask();
}

static int set_io(void)
{
        TRY(syscall(SYS_ioprio_set, 1, 0, 3 << 13));
        return 0;
}

static int is_io(void)
{
        WANT(syscall(SYS_ioprio_get, 1, 0) == 3 << 13);
        return 0;
}

static int io_priority_make(void)
{
        return set_io();
}

static int io_priority_check(void)
{
        return is_io();
}

static int thread_io_priority_make(void)
{
        return thread_begin(set_io, is_io);
}

static int thread_io_priority_check(void)
{
        return thread_ask();
}

static pthread_mutex_t robust;
static int robust_mutex_make(void)
{
        pthread_mutexattr_t at;

        (void)pthread_mutexattr_init(&at);
        (void)pthread_mutexattr_setrobust(&at, PTHREAD_MUTEX_ROBUST);
        WANT(pthread_mutex_init(&robust, &at) == 0 && pthread_mutex_lock(&robust) == 0);
        return 0;
}

static int robust_mutex_check(void)
{
        void *head = NULL;
        size_t size;

        TRY(syscall(SYS_get_robust_list, 0, &head, &size));
        WANT(head);
        WANT(pthread_mutex_trylock(&robust) == EBUSY);
        return 0;
}

/* A thread that sleeps in the kernel on a futex, with an hour to go. */
static int futex_word;
static void *wait_for_word(void *unused)
{
        struct timespec hour = { .tv_sec = 3600 };

        for (;; *(volatile int *)&futex_word = 0)
                while (*(volatile int *)&futex_word == 0)
                        (void)syscall(SYS_futex, &futex_word, 0, 0, &hour, NULL, 0);
        return unused;
}

static int futex_make(void)
{
        WANT(pthread_create(&thread, NULL, wait_for_word, NULL) == 0);
        (void)nap(20);
        return 0;
}

static int futex_check(void)
{
        futex_word = 1;
        TRY(syscall(SYS_futex, &futex_word, 1, 1, NULL, NULL, 0));
        for (int i = 0; i < 200 && *(volatile int *)&futex_word; i++)
                (void)nap(10);
        WANT(*(volatile int *)&futex_word == 0);
        return 0;
}

static struct {
        uint32_t cpu_id_start, cpu_id;
        uint64_t cs;
        uint32_t flags;
        char rest[12];
} __attribute__((aligned(32))) sequence;

/* The C library has registered one already: it is enough that it is still alive. */
static int rseq_make(void)
{
        if (syscall(SYS_rseq, &sequence, 32, 0, 0x53053053) < 0)
                WANT(errno == EINVAL || errno == EBUSY);
        return 0;
}

static int rseq_check(void)
{
        WANT(syscall(SYS_rseq, &sequence, 32, 0, 0x53053053) < 0);
        WANT(errno == EBUSY || errno == EINVAL);
        return 0;
}

/* ---- children */

static int zombie_make(void)
{
        TRY(child = fork());
        if (child == 0)
                _exit(7);
        (void)nap(50);
        return 0;
}

static int zombie_check(void)
{
        siginfo_t i = { 0 };

        TRY(waitid(P_PID, (id_t)child, &i, WEXITED | WNOHANG | WNOWAIT));
        WANT(i.si_pid == child && i.si_status == 7);
        return 0;
}

static int zombie_leader_make(void)
{
        TRY(child = fork());
        if (child == 0) {
                (void)pthread_create(&thread, NULL, wait_for_word, NULL);
                (void)nap(20);
                (void)syscall(SYS_exit, 0); /* this thread alone */
        }
        (void)nap(100);
        return 0;
}

static int zombie_leader_check(void)
{
        TRY(kill(child, 0));
        return 0;
}

static int stopped_make(void)
{
        TRY(child = sleeper());
        TRY(kill(child, SIGSTOP));
        (void)nap(50);
        return 0;
}

static int stopped_check(void)
{
        siginfo_t i = { 0 };

        TRY(waitid(P_PID, (id_t)child, &i, WSTOPPED | WNOHANG | WNOWAIT));
        WANT(i.si_pid == child && i.si_status == SIGSTOP);
        return 0;
}

static int groups_make(void)
{
        TRY(child = fork());
        if (child == 0) {
                (void)setsid();
                pid_t grandchild = sleeper();
                (void)setpgid(grandchild, grandchild);
                for (;;)
                        (void)pause();
        }
        (void)nap(50);
        return 0;
}

static int groups_check(void)
{
        WANT(getsid(child) == child && getpgid(child) == child);
        WANT(getsid(0) != child);
        return 0;
}

/* The leader of the session is gone, its other process lives. */
static int orphan_session_make(void)
{
        int p[2];

        TRY(pipe(p));
        TRY(child = fork());
        if (child == 0) {
                pid_t left;

                (void)setsid();
                left = fork();
                if (left == 0)
                        for (;;)
                                (void)pause();
                (void)write(p[1], &left, sizeof(left));
                _exit(0);
        }
        TRY(read(p[0], &a, sizeof(a)));
        TRY(waitpid(child, NULL, 0));
        return close(p[0]) < 0 || close(p[1]) < 0 ? -1 : 0;
}

static int orphan_session_check(void)
{
        WANT(getsid(a) == child);
        return 0;
}

static int vfork_make(void)
{
        TRY(child = fork());
        if (child == 0) {
                if (vfork() == 0)
                        for (;;)
                                (void)pause();
                _exit(7);
        }
        (void)nap(50);
        return 0;
}

static int vfork_check(void)
{
        WANT(waitpid(child, NULL, WNOHANG) == 0);
        return 0;
}

static int traced_make(void)
{
        TRY(child = sleeper());
        TRY(ptrace(PTRACE_SEIZE, child, NULL, NULL));
        return 0;
}

static int traced_check(void)
{
        TRY(ptrace(PTRACE_INTERRUPT, child, NULL, NULL));
        TRY(waitpid(child, NULL, __WALL));
        TRY(ptrace(PTRACE_CONT, child, NULL, NULL));
        return 0;
}

static volatile int word, copied;
static int copy_words(void *unused)
{
        (void)unused;
        for (;; (void)nap(10))
                copied = word;
        return 0;
}

/* Two processes with one table of descriptors. */
static int shared_files_make(void)
{
        TRY(child = clone(copy_words, stack + sizeof(stack) - 64, CLONE_FILES | SIGCHLD, NULL));
        return 0;
}

static int shared_files_check(void)
{
        char path[64];

        TRY(a = open("/dev/null", O_RDONLY));
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", child, a);
        TRY(access(path, F_OK));
        return close(a);
}

static int shared_memory_make(void)
{
        TRY(child = clone(copy_words, stack + sizeof(stack) - 64, CLONE_VM | SIGCHLD, NULL));
        return 0;
}

static int shared_memory_check(void)
{
        word++;
        for (int i = 0; i < 200 && copied != word; i++)
                (void)nap(10);
        WANT(copied == word);
        return 0;
}

static int subreaper_make(void)
{
        TRY(prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL));
        return 0;
}

static int subreaper_check(void)
{
        int on = 0;

        TRY(prctl(PR_GET_CHILD_SUBREAPER, &on, 0UL, 0UL, 0UL));
        WANT(on == 1);
        return 0;
}

static int death_signal_make(void)
{
        TRY(prctl(PR_SET_PDEATHSIG, SIGUSR1, 0UL, 0UL, 0UL));
        return 0;
}

static int death_signal_check(void)
{
        int number = 0;

        TRY(prctl(PR_GET_PDEATHSIG, &number, 0UL, 0UL, 0UL));
        WANT(number == SIGUSR1);
        return 0;
}

static int dumpable_make(void)
{
        TRY(prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL));
        return 0;
}

static int dumpable_check(void)
{
        WANT(prctl(PR_GET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) == 0);
        return 0;
}

static int process_name_make(void)
{
        TRY(prctl(PR_SET_NAME, "it-name", 0UL, 0UL, 0UL));
        return 0;
}

static int process_name_check(void)
{
        return is_named("it-name");
}

static int read_file(const char *path, char *ret, size_t size)
{
        ssize_t n;
        int fd;

        TRY(fd = open(path, O_RDONLY));
        TRY(n = read(fd, ret, size - 1));
        ret[n] = 0;
        return close(fd);
}

static int write_file(const char *path, const char *text)
{
        int fd;

        TRY(fd = open(path, O_WRONLY));
        TRY(write(fd, text, strlen(text)));
        return close(fd);
}

static int oom_score_make(void)
{
        return write_file("/proc/self/oom_score_adj", "77");
}

static int oom_score_check(void)
{
        char found[16] = "";

        if (read_file("/proc/self/oom_score_adj", found, sizeof(found)) < 0)
                return -1;
        WANT(strtol(found, NULL, 10) == 77);
        return 0;
}

static int core_filter_make(void)
{
        return write_file("/proc/self/coredump_filter", "0x7f");
}

static int core_filter_check(void)
{
        char found[16] = "";

        if (read_file("/proc/self/coredump_filter", found, sizeof(found)) < 0)
                return -1;
        WANT(strtol(found, NULL, 16) == 0x7f);
        return 0;
}

static int nice_make(void)
{
        TRY(setpriority(PRIO_PROCESS, 0, 9));
        return 0;
}

static int nice_check(void)
{
        WANT(getpriority(PRIO_PROCESS, 0) == 9);
        return 0;
}

#define SCHEDULER(name, policy, priority)                                              \
        static int name##_make(void)                                                   \
        {                                                                              \
                TRY(sched_setscheduler(0, policy, &(struct sched_param){ priority })); \
                return 0;                                                              \
        }                                                                              \
        static int name##_check(void)                                                  \
        {                                                                              \
                WANT(sched_getscheduler(0) == (policy));                               \
                return 0;                                                              \
        }
SCHEDULER(sched_batch, SCHED_BATCH, 0)
SCHEDULER(sched_idle, SCHED_IDLE, 0)
SCHEDULER(sched_fifo, SCHED_FIFO, 7)
SCHEDULER(sched_reset, SCHED_BATCH | SCHED_RESET_ON_FORK, 0)

struct attributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t util_min, util_max;
};

static int sched_deadline_make(void)
{
        struct attributes at = { .size = 48,
                                 .policy = 6,
                                 .runtime = 1000000,
                                 .deadline = 100000000,
                                 .period = 100000000 };

        TRY(syscall(SYS_sched_setattr, 0, &at, 0));
        return 0;
}

static int sched_deadline_check(void)
{
        WANT(sched_getscheduler(0) == 6);
        return 0;
}

/* A time slice of its own, since Linux 6.12. */
static int sched_slice_make(void)
{
        struct attributes at = { .size = 48, .policy = SCHED_BATCH, .runtime = 50000000 };

        TRY(syscall(SYS_sched_setattr, 0, &at, 0));
        at.runtime = 0;
        TRY(syscall(SYS_sched_getattr, 0, &at, 48, 0));
        WANT(at.runtime == 50000000);
        return 0;
}

static int sched_slice_check(void)
{
        struct attributes at = { .size = 48 };

        TRY(syscall(SYS_sched_getattr, 0, &at, 48, 0));
        WANT(at.runtime == 50000000);
        return 0;
}

static int limits_make(void)
{
        TRY(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 77, 99 }));
        TRY(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
        return 0;
}

static int limits_check(void)
{
        struct rlimit r;

        TRY(getrlimit(RLIMIT_NOFILE, &r));
        WANT(r.rlim_cur == 77 && r.rlim_max == 99);
        TRY(getrlimit(RLIMIT_CORE, &r));
        WANT(r.rlim_max == 0);
        return 0;
}

static int umask_make(void)
{
        (void)umask(0127);
        return 0;
}

static int umask_check(void)
{
        WANT(umask(0127) == 0127);
        return 0;
}

static int cwd_make(void)
{
        TRY(mkdir("/tmp/cwd", 0700));
        TRY(chdir("/tmp/cwd"));
        return 0;
}

static int cwd_check(void)
{
        char at[64];

        WANT(getcwd(at, sizeof(at)) && strcmp(at, "/tmp/cwd") == 0);
        return 0;
}

static int cwd_deleted_make(void)
{
        TRY(mkdir("/tmp/cwd-deleted", 0700));
        TRY(chdir("/tmp/cwd-deleted"));
        TRY(rmdir("/tmp/cwd-deleted"));
        return 0;
}

static int cwd_deleted_check(void)
{
        char at[64];

        WANT(!getcwd(at, sizeof(at)) && errno == ENOENT);
        return 0;
}

static int chroot_make(void)
{
        TRY(chroot("/srv"));
        TRY(chdir("/"));
        return 0;
}

static int chroot_check(void)
{
        TRY(access("/files/one", F_OK));
        WANT(access("/srv", F_OK) < 0);
        return 0;
}

static int personality_make(void)
{
        TRY(personality(ADDR_NO_RANDOMIZE));
        return 0;
}

static int personality_check(void)
{
        WANT(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
        return 0;
}

/* ---- rights */

static int group_list_make(void)
{
        gid_t groups[] = { 7, 77, 777 };

        TRY(syscall(SYS_setgroups, 3, groups));
        return 0;
}

static int group_list_check(void)
{
        gid_t groups[8];

        WANT(getgroups(8, groups) == 3 && groups[0] == 7 && groups[2] == 777);
        return 0;
}

static struct __user_cap_data_struct caps[2];
static struct __user_cap_header_struct cap_header = { _LINUX_CAPABILITY_VERSION_3, 0 };

static int capabilities_make(void)
{
        TRY(prctl(PR_CAPBSET_DROP, CAP_KILL, 0UL, 0UL, 0UL));
        TRY(syscall(SYS_capget, &cap_header, caps));
        caps[0].effective &= ~(1U << CAP_CHOWN);
        caps[0].inheritable |= 1U << CAP_CHOWN;
        TRY(syscall(SYS_capset, &cap_header, caps));
        TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0UL, 0UL));
        return 0;
}

static int capabilities_check(void)
{
        struct __user_cap_data_struct now[2];

        WANT(prctl(PR_CAPBSET_READ, CAP_KILL, 0UL, 0UL, 0UL) == 0);
        TRY(syscall(SYS_capget, &cap_header, now));
        WANT(memcmp(now, caps, sizeof(now)) == 0);
        WANT(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0UL, 0UL) == 1);
        return 0;
}

static int securebits_make(void)
{
        TRY(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NOROOT, 0UL, 0UL, 0UL));
        return 0;
}

static int securebits_check(void)
{
        WANT(prctl(PR_GET_SECUREBITS, 0UL, 0UL, 0UL, 0UL) == (SECBIT_KEEP_CAPS | SECBIT_NOROOT));
        return 0;
}

static int no_new_privs_make(void)
{
        TRY(prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL));
        return 0;
}

static int no_new_privs_check(void)
{
        WANT(prctl(PR_GET_NO_NEW_PRIVS, 0UL, 0UL, 0UL, 0UL) == 1);
        return 0;
}

static int filter(unsigned flags)
{
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog p = { 4, code };

        TRY(prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL));
        TRY(a = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p));
        return 0;
}

static int seccomp_filter_make(void)
{
        return filter(0);
}

static int seccomp_filter_check(void)
{
        WANT(syscall(SYS_getpgid, 0) < 0 && errno == 77);
        return 0;
}

static int seccomp_listener_make(void)
{
        return filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

static int seccomp_listener_check(void)
{
        WANT(fcntl(a, F_GETFL) >= 0);
        return 0;
}

static bool status_has(pid_t pid, const char *line)
{
        char found[4096] = "", path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
        return read_file(path, found, sizeof(found)) == 0 && strstr(found, line);
}

/* A process that may do nothing but read and write. */
static int seccomp_strict_make(void)
{
        int p[2];

        TRY(pipe(p));
        TRY(child = fork());
        if (child == 0) {
                char byte;

                (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0UL, 0UL, 0UL);
                for (;;)
                        (void)read(p[0], &byte, 1);
        }
        (void)nap(50);
        WANT(status_has(child, "Seccomp:\t1"));
        return 0;
}

static int seccomp_strict_check(void)
{
        WANT(status_has(child, "Seccomp:\t1"));
        return 0;
}

static int landlock_make(void)
{
        struct landlock_ruleset_attr at = { .handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_DIR };

        TRY(a = (int)syscall(SYS_landlock_create_ruleset, &at, sizeof(at), 0));
        TRY(prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL));
        TRY(syscall(SYS_landlock_restrict_self, a, 0));
        return close(a);
}

static int landlock_check(void)
{
        WANT(mkdir("/tmp/landlocked", 0700) < 0 && errno == EACCES);
        return 0;
}

static int no_tsc_make(void)
{
        TRY(prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0UL, 0UL, 0UL));
        return 0;
}

static int no_tsc_check(void)
{
        int mode = 0;

        TRY(prctl(PR_GET_TSC, &mode, 0UL, 0UL, 0UL));
        WANT(mode == PR_TSC_SIGSEGV);
        return 0;
}

static int machine_check_make(void)
{
        TRY(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0UL, 0UL));
        return 0;
}

static int machine_check_check(void)
{
        WANT(prctl(PR_MCE_KILL_GET, 0UL, 0UL, 0UL, 0UL) == PR_MCE_KILL_EARLY);
        return 0;
}

/* ---- keys */

static int key(const char *ring_name, const char *name, long ring)
{
        if (ring_name)
                TRY(syscall(SYS_keyctl, 1 /* JOIN_SESSION */, ring_name));
        TRY(a = (int)syscall(SYS_add_key, "user", name, "secret", 6, ring));
        return 0;
}

static int key_is(const char *name, long ring)
{
        char found[8] = "";
        long id;

        TRY(id = syscall(SYS_keyctl, 10 /* SEARCH */, ring, "user", name, 0));
        TRY(syscall(SYS_keyctl, 11 /* READ */, id, found, sizeof(found)));
        WANT(strcmp(found, "secret") == 0);
        return 0;
}

static int key_session_make(void)
{
        return key("it-session", "it-session-key", -3);
}

static int key_session_check(void)
{
        return key_is("it-session-key", -3);
}

static int key_process_make(void)
{
        return key(NULL, "it-process-key", -2);
}

static int key_process_check(void)
{
        return key_is("it-process-key", -2);
}

/* ---- namespaces of the process alone */

static int own(const char *ns, int flag)
{
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
        TRY(unshare(flag));
        TRY(stat(path, &was));
        return 0;
}

static int still_own(const char *ns)
{
        struct stat mine, first;
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
        TRY(stat(path, &mine));
        (void)snprintf(path, sizeof(path), "/proc/1/ns/%s", ns);
        TRY(stat(path, &first));
        WANT(mine.st_ino != first.st_ino);
        return 0;
}

#define NAMESPACE(name, ns, flag)     \
        static int name##_make(void)  \
        {                             \
                return own(ns, flag); \
        }                             \
        static int name##_check(void) \
        {                             \
                return still_own(ns); \
        }
static int ns_user_make(void)
{
        if (own("user", CLONE_NEWUSER) < 0)
                return -1;
        return write_file("/proc/self/uid_map", "0 0 1");
}

static int ns_user_check(void)
{
        char found[128] = "";
        unsigned from = 1, to = 1, n = 0;

        if (read_file("/proc/self/uid_map", found, sizeof(found)) < 0)
                return -1;
        WANT(sscanf(found, "%u %u %u", &from, &to, &n) == 3 && n == 1);
        return 0;
}

NAMESPACE(ns_net, "net", CLONE_NEWNET)
NAMESPACE(ns_ipc, "ipc", CLONE_NEWIPC)
NAMESPACE(ns_uts, "uts", CLONE_NEWUTS)
NAMESPACE(ns_mount, "mnt", CLONE_NEWNS)
NAMESPACE(ns_cgroup, "cgroup", CLONE_NEWCGROUP)

static int ns_pid_make(void)
{
        TRY(unshare(CLONE_NEWPID));
        TRY(child = sleeper());
        return 0;
}

static int ns_pid_check(void)
{
        TRY(kill(child, 0));
        return 0;
}

static int ns_time_make(void)
{
        TRY(unshare(0x80));
        TRY(child = sleeper());
        return 0;
}

static int ns_time_check(void)
{
        TRY(kill(child, 0));
        return 0;
}

const struct object process_objects[] = {
        OBJECT(signal_pending),
        OBJECT(signal_handlers),
        OBJECT(signal_mask),
        OBJECT(signal_stack),
        OBJECT(thread_name),
        OBJECT(thread_credentials),
        OBJECT(thread_priority),
        OBJECT(affinity),
        OBJECT(thread_affinity),
        OBJECT(timer_slack),
        OBJECT(thread_timer_slack),
        OBJECT(io_priority),
        OBJECT(thread_io_priority),
        OBJECT(robust_mutex),
        OBJECT(futex),
        OBJECT(rseq),
        OBJECT(zombie),
        OBJECT(zombie_leader),
        OBJECT(stopped),
        OBJECT(groups),
        OBJECT(orphan_session),
        OBJECT(vfork),
        OBJECT(traced),
        OBJECT(shared_files),
        OBJECT(shared_memory),
        OBJECT(subreaper),
        OBJECT(death_signal),
        OBJECT(dumpable),
        OBJECT(process_name),
        OBJECT(oom_score),
        OBJECT(core_filter),
        OBJECT(nice),
        OBJECT(sched_batch),
        OBJECT(sched_idle),
        OBJECT(sched_fifo),
        OBJECT(sched_reset),
        OBJECT(sched_deadline),
        OBJECT(sched_slice),
        OBJECT(limits),
        OBJECT(umask),
        OBJECT(cwd),
        OBJECT(cwd_deleted),
        OBJECT(chroot),
        OBJECT(personality),
        OBJECT(group_list),
        OBJECT(capabilities),
        OBJECT(securebits),
        OBJECT(no_new_privs),
        OBJECT(seccomp_filter),
        OBJECT(seccomp_listener),
        OBJECT(seccomp_strict),
        OBJECT(landlock),
        OBJECT(no_tsc),
        OBJECT(machine_check),
        OBJECT(key_session),
        OBJECT(key_process),
        OBJECT(ns_user),
        OBJECT(ns_net),
        OBJECT(ns_ipc),
        OBJECT(ns_uts),
        OBJECT(ns_mount),
        OBJECT(ns_cgroup),
        OBJECT(ns_pid),
        OBJECT(ns_time),
        END,
};
