/* One try by a command: its exit status is the answer. No shell; it gets no input and its output is thrown away; what is not done in time is killed with all its children. */
#include "engine/probe_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int expand_argv(const struct ts_probe *p, const char *host, struct ts_list *argv, struct ts_err *err)
{
        for (size_t i = 0; i < p->argv.n; i++) {
                ts_auto_free char *word = ts_probe_expand(p->argv.v[i], host);

                if (!word)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (ts_list_add(argv, word, err) < 0)
                        return -1;
        }
        return 0;
}

/* A group of its own, so that its children can be ended too and the terminal's Ctrl-C goes to us alone; signals as at login. */
static int set_attributes(posix_spawnattr_t *attr)
{
        sigset_t none, all;
        int e;

        (void)sigemptyset(&none);
        (void)sigfillset(&all);
        e = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        e = e ? e : posix_spawnattr_setpgroup(attr, 0);
        e = e ? e : posix_spawnattr_setsigmask(attr, &none);
        return e ? e : posix_spawnattr_setsigdefault(attr, &all);
}

static int set_files(posix_spawn_file_actions_t *files)
{
        int e = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

        e = e ? e : posix_spawn_file_actions_addopen(files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        return e ? e : posix_spawn_file_actions_adddup2(files, STDOUT_FILENO, STDERR_FILENO);
}

static int spawn(char *const argv[], pid_t *ret, struct ts_err *err)
{
        posix_spawn_file_actions_t files;
        posix_spawnattr_t attr;
        int e;

        if (posix_spawn_file_actions_init(&files) != 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (posix_spawnattr_init(&attr) != 0) {
                (void)posix_spawn_file_actions_destroy(&files);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        e = set_files(&files);
        e = e ? e : set_attributes(&attr);
        e = e ? e : posix_spawnp(ret, argv[0], &files, &attr, argv, environ);
        (void)posix_spawnattr_destroy(&attr);
        (void)posix_spawn_file_actions_destroy(&files);
        if (e == ENOMEM || e == EAGAIN)
                return ts_err_errno(err, e, "cannot run '%s'", argv[0]);
        return e ? ts_err_set(err, TS_EUSAGE, "it could not be run: '%s': %s", argv[0], strerror(e))
                 : 0;
}

/* Waits for the end of the process without taking its status. Kernels before 5.3 have no pidfd: looked at again and again there. */
static bool wait_for_end(pid_t pid, const struct ts_try *t)
{
        ts_auto_fd int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        int slice_ms = fd < 0 ? 2 : TS_TRY_SLICE_MS;

        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                siginfo_t info = { 0 };

                if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
                        return true;
                if (ts_try_over(t))
                        return false;
                (void)poll(&p, 1, ts_deadline_poll_ms(t->deadline, slice_ms));
        }
}

static bool can_run(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool is_in_path(const char *name)
{
        for (const char *p = ts_or(getenv("PATH"), "/usr/bin:/bin"); p;) {
                size_t len = strcspn(p, ":");
                ts_auto_free char *path =
                        len ? ts_fmt("%.*s/%s", (int)len, p, name) : ts_fmt("./%s", name);

                if (path && can_run(path))
                        return true;
                p = p[len] ? p + len + 1 : NULL;
        }
        return false;
}

int ts_probe_check(const struct ts_probe *p, struct ts_err *err)
{
        const char *name = p->kind == TS_PROBE_EXEC ? p->argv.v[0] : NULL;

        if (!name || strstr(name, "{host}") ||
            (strchr(name, '/') ? can_run(name) : is_in_path(name)))
                return 0;
        return ts_err_set(err, TS_ENOTFOUND,
                          strchr(name, '/') ? "'%s' is not a program that can be run"
                                            : "there is no program '%s' in PATH",
                          name);
}

int ts_probe_exec(const struct ts_probe *p, const char *host, const struct ts_try *t, struct ts_err *err)
{
        ts_auto_list argv = TS_LIST_INIT;
        int status = 0;
        bool ended;
        pid_t pid = -1;

        if (expand_argv(p, ts_or(host, ""), &argv, err) < 0)
                return -1;
        if (!argv.v)
                return ts_err_set(err, TS_EINTERNAL, "a probe without a command");
        if (spawn(argv.v, &pid, err) < 0)
                return -1;
        ended = wait_for_end(pid, t);
        (void)kill(-pid, SIGKILL); /* while the process is not reaped the group cannot be another's */
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (!ended) {
                (void)ts_try_failed(t, "waiting for its end", err);
                return ts_err_prefix(err, "command '%s'", argv.v[0]);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFEXITED(status) &&
            (WEXITSTATUS(status) == 126 ||
             WEXITSTATUS(status) == 127)) /* of env, sh, timeout and their like */
                return ts_err_set(
                        err, TS_ENOTFOUND,
                        "command '%s' ended with status %d: it found no program that can be run",
                        argv.v[0], WEXITSTATUS(status));
        if (WIFEXITED(status))
                return ts_err_set(err, TS_ECOMMAND, "command '%s' ended with status %d", argv.v[0], WEXITSTATUS(status));
        return ts_err_set(err, TS_ECOMMAND, "command '%s' was ended by signal %d", argv.v[0], WTERMSIG(status));
}
