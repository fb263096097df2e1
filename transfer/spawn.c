/* Starting programs. Decides what a child inherits (nothing but three descriptors) and as whom it runs; does not decide what is run. */
#include "transfer/spawn.h"

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define GROUPS_MAX 256

void ts_user_clear(struct ts_user *u)
{
        free(u->name);
        free(u->home);
        *u = (struct ts_user){ 0 };
}

static int user_lookup(uid_t uid, struct ts_user *u, struct ts_err *err)
{
        ts_auto_free char *buf = malloc(16384);
        struct passwd entry, *found = NULL;

        if (!buf)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (getpwuid_r(uid, &entry, buf, 16384, &found) != 0 || !found)
                return ts_err_set(err, TS_EUSAGE, "SUDO_UID names user %lu, who does not exist", (unsigned long)uid);
        u->switch_to = true;
        u->uid = uid;
        u->gid = entry.pw_gid;
        u->name = ts_strdup0(entry.pw_name);
        return u->name ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_user_calling(struct ts_user *ret, struct ts_err *err)
{
        const char *text = getenv("SUDO_UID");
        unsigned long long uid = 0;
        struct ts_user u = { 0 };

        if (geteuid() == 0 && text && ts_parse_u64(text, 0, UINT32_MAX - 1, &uid, NULL) == 0 && uid != 0 &&
            user_lookup((uid_t)uid, &u, err) < 0) {
                ts_user_clear(&u);
                return -1;
        }
        u.home = ts_user_home();
        *ret = u;
        return 0;
}

/* Everything the child needs that may allocate or lock: made before fork(), because afterwards only async-signal-safe calls are allowed. */
struct child {
        const struct ts_spawn *s;
        char **env;
        gid_t groups[GROUPS_MAX];
        int n_groups;
        int null_fd;
};

static int child_env(const struct ts_user *u, struct ts_list *env, struct ts_err *err)
{
        static const char *const replaced[] = { "HOME=", "USER=", "LOGNAME=", "MAIL=" };

        for (char **e = environ; *e; e++) {
                bool drop = false;

                for (size_t i = 0; i < TS_ARRAY_LEN(replaced); i++)
                        drop = drop || ts_starts(*e, replaced[i]);
                if (!drop && ts_list_add(env, *e, err) < 0)
                        return -1;
        }
        if (u->home && ts_list_addf(env, err, "HOME=%s", u->home) < 0)
                return -1;
        if (ts_list_addf(env, err, "USER=%s", u->name) < 0)
                return -1;
        return ts_list_addf(env, err, "LOGNAME=%s", u->name);
}

static int child_prepare(struct child *c, struct ts_list *env, struct ts_err *err)
{
        const struct ts_user *u = c->s->user;

        c->env = environ;
        if (!u || !u->switch_to)
                return 0;
        c->n_groups = GROUPS_MAX;
        if (getgrouplist(u->name, u->gid, c->groups, &c->n_groups) < 0)
                return ts_err_set(err, TS_ELIMIT, "user '%s' is in more than %d groups", u->name, GROUPS_MAX);
        if (child_env(u, env, err) < 0)
                return -1;
        c->env = env->v;
        return 0;
}

static void say(const char *text)
{
        (void)!write(STDERR_FILENO, text, strlen(text));
}

/* Raw system calls: glibc's wrappers would talk to the other threads, which do not exist in the child. */
static bool become(const struct child *c)
{
        const struct ts_user *u = c->s->user;

        if (!u || !u->switch_to)
                return true;
        return syscall(SYS_setgroups, c->n_groups, c->groups) == 0 && syscall(SYS_setresgid, u->gid, u->gid, u->gid) == 0 &&
               syscall(SYS_setresuid, u->uid, u->uid, u->uid) == 0;
}

static void reset_signals(void)
{
        sigset_t none;

        for (int n = 1; n < NSIG; n++)
                (void)signal(n, SIG_DFL); /* ignored ones (SIGPIPE) would stay ignored over exec */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves the three descriptors to 0, 1 and 2. They are moved above 2 first, so that none is overwritten before its turn. */
static bool place_descriptors(const struct child *c)
{
        int fds[3] = { c->s->in, c->s->out, c->s->errs };

        for (int i = 0; i < 3; i++) {
                fds[i] = fcntl(fds[i] < 0 ? c->null_fd : fds[i], F_DUPFD_CLOEXEC, 3);
                if (fds[i] < 0)
                        return false;
        }
        for (int i = 0; i < 3; i++) {
                if (dup2(fds[i], i) < 0)
                        return false;
        }
        /* All our descriptors are CLOEXEC already; a library's may not be. */
        (void)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
        return true;
}

static void run_child(const struct child *c) __attribute__((noreturn));
static void run_child(const struct child *c)
{
        char **argv;
        int e;

        (void)setpgid(0, 0);
        reset_signals();
        if (!place_descriptors(c) || !become(c)) {
                say("cannot set up the child process\n");
                _exit(126);
        }
        memcpy(&argv, &c->s->argv, sizeof(argv)); /* execvpe() wants char *const *, and does not write there */
        (void)execvpe(argv[0], argv, c->env);
        e = errno;
        say(argv[0]);
        say(e == ENOENT ? ": not found\n" : e == EACCES ? ": permission denied\n" : ": cannot be executed\n");
        _exit(e == ENOENT ? 127 : 126);
}

int ts_spawn(const struct ts_spawn *s, pid_t *ret_pid, struct ts_err *err)
{
        struct child c = { .s = s };
        ts_auto_list env = TS_LIST_INIT;
        ts_auto_fd int null_fd = -1;
        sigset_t all, old;
        pid_t pid;
        int e;

        if (child_prepare(&c, &env, err) < 0)
                return -1;
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0)
                return ts_err_errno(err, errno, "cannot open '/dev/null'");
        c.null_fd = null_fd;
        /* Our handlers must not run in the child before it has reset them. */
        sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        pid = fork();
        if (pid == 0)
                run_child(&c);
        e = errno;
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (pid < 0)
                return ts_err_errno(err, e, "cannot start '%s'", s->argv[0]);
        (void)setpgid(pid, pid); /* also here: whoever comes first, nobody signals a group that does not exist yet */
        *ret_pid = pid;
        return 0;
}

int ts_wait_status(int raw)
{
        if (WIFEXITED(raw))
                return WEXITSTATUS(raw);
        return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : 255;
}

static int wait_now(pid_t pid)
{
        int raw = 0;

        while (waitpid(pid, &raw, 0) < 0 && errno == EINTR)
                ;
        return ts_wait_status(raw);
}

bool ts_has_ended(pid_t pid)
{
        siginfo_t info = { 0 };

        return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? errno == ECHILD : info.si_pid == pid;
}

int ts_reap(pid_t pid, ts_deadline deadline, int *ret_status, struct ts_err *err)
{
        ts_auto_fd int fd = pidfd_open(pid, 0);
        struct pollfd p = { .fd = fd, .events = POLLIN };

        while (!ts_has_ended(pid)) {
                if (ts_deadline_passed(deadline)) {
                        ts_kill_and_reap(pid);
                        return ts_err_set(err, TS_ETIMEOUT, "a program did not end in time");
                }
                (void)poll(&p, 1, ts_deadline_poll_ms(deadline, fd < 0 ? TS_CHILD_LOOK_MS : -1));
        }
        *ret_status = wait_now(pid);
        return 0;
}

void ts_kill_and_reap(pid_t pid)
{
        if (pid <= 0)
                return;
        (void)kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
