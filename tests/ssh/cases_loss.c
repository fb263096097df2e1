/* The other side goes: killed, stopped, cut off. It is always noticed, in bounded time, and a command is never repeated. */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#define DEADLINE ts_deadline_in_ms(60000)
/* peer_timeout_ms is 2 s here; a keepalive is sent after 1 s of silence, and libssh2 sends no two within 2 s. */
#define PEER_MS (is_slow() ? 10000u : 2000u)
#define NOTICED_MS (is_slow() ? 60000u : 9000u)

static struct ts_host *connect_to(const char *alias)
{
        struct ts_ssh_opts opts = lab_opts();
        struct ts_host *h = NULL;
        ts_auto_err err = TS_ERR_INIT;

        opts.peer_timeout_ms = PEER_MS;
        OK(ts_host_ssh(NULL, alias, 0, &opts, &h, &err));
        return h;
}

/* Starts a command over SSH that first tells the PID of its sshd. */
static struct ts_proc *start_known(struct ts_host *h, const char *rest, pid_t *ret_sshd)
{
        ts_auto_free char *script = ts_fmt("echo $PPID; %s", rest);
        struct ts_proc *p = NULL;
        ts_auto_err err = TS_ERR_INIT;
        char text[32] = "";

        OK(ts_host_start(h, ARGV("sh", "-c", script), &p, &err));
        for (size_t i = 0; i + 1 < sizeof(text); i++) { /* nothing of what follows */
                OK(ts_read_exact(ts_proc_fd(p), text + i, 1, DEADLINE, false, &err));
                if (text[i] == '\n')
                        break;
        }
        *ret_sshd = (pid_t)strtol(text, NULL, 10);
        CU_ASSERT_FATAL(*ret_sshd > 1);
        return p;
}

static pid_t control_sshd(struct ts_host *h)
{
        ts_auto_free char *out = NULL;
        ts_auto_err err = TS_ERR_INIT;
        pid_t pid;

        OK(ts_host_check(h, ARGV("sh", "-c", "echo $PPID"), NULL, &out, &err));
        pid = (pid_t)strtol(out, NULL, 10);
        CU_ASSERT_FATAL(pid > 1);
        return pid;
}

/* Reads or writes until it is over; fails if that takes too long. */
static void drain(int fd)
{
        ts_auto_free char *buf = malloc(1 << 18);
        ts_deadline deadline = DEADLINE;

        while (ts_read_some(fd, buf, 1 << 18, deadline, false, NULL) > 0)
                ;
        CU_ASSERT(!ts_deadline_passed(deadline));
}

static void stuff(int fd)
{
        ts_auto_free char *buf = calloc(1, 1 << 18);
        ts_deadline deadline = DEADLINE;

        while (ts_write_all(fd, buf, 1 << 18, deadline, false, NULL) == 0)
                ;
        CU_ASSERT(!ts_deadline_passed(deadline));
}

static void ends_lost(struct ts_proc *p)
{
        ts_auto_err err = TS_ERR_INIT;
        int status = 77;

        FAILS(ts_proc_wait(p, DEADLINE, &status, &err), TS_ECONNECT);
        CU_ASSERT_EQUAL(status, 77);
        (void)printf("'%s' ", ts_err_message(&err));
        ts_proc_free(p);
}

/* ---- killed ---- */

static void killed_while_reading(void)
{
        struct ts_host *h = connect_to("box");
        pid_t sshd;
        struct ts_proc *p = start_known(h, "exec yes", &sshd);
        uint64_t start_us = ts_now_us();

        ts_sleep_ms(100);
        (void)kill(sshd, SIGKILL);
        drain(ts_proc_fd(p));
        ends_lost(p);
        CU_ASSERT(ms_since(start_us) < NOTICED_MS);
        ts_host_free(h);
}

static void killed_while_writing(void)
{
        struct ts_host *h = connect_to("box");
        pid_t sshd;
        struct ts_proc *p = start_known(h, "exec cat >/dev/null", &sshd);

        (void)kill(sshd, SIGKILL);
        stuff(ts_proc_fd(p));
        ends_lost(p);
        ts_host_free(h);
}

/* The end of the output has been seen, the status not yet: it must not be taken for 0. */
static void killed_before_status(void)
{
        struct ts_host *h = connect_to("box");
        pid_t sshd;
        struct ts_proc *p = start_known(h, "exec >&- 2>&-; sleep 2", &sshd);

        drain(ts_proc_fd(p));
        (void)kill(sshd, SIGKILL);
        ends_lost(p);
        ts_host_free(h);
}

/* Lost while idle: connected anew. Lost while the command ran: an error, and the command ran once. */
static void control_comes_back(void)
{
        struct ts_host *h = connect_to("box");
        const char *marks = lab_path("marks");
        ts_auto_free char *script = ts_fmt("echo x >> %s; kill -9 $PPID; sleep 1", marks), *out = NULL;
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;

        (void)kill(control_sshd(h), SIGKILL);
        ts_sleep_ms(200);
        OK(ts_host_check(h, ARGV("true"), NULL, NULL, &err));
        FAILS(ts_host_run(h, ARGV("sh", "-c", script), NULL, &r, &err), TS_ECONNECT);
        ts_err_clear(&err);
        OK(ts_host_check(h, ARGV("cat", marks), NULL, &out, &err));
        STR_IS(out, "x");
        (void)unlink(marks);
        ts_host_free(h);
}

/* Idle sessions of the pool die too: the next flow gets a good one. */
static void pool_comes_back(void)
{
        struct ts_host *h = connect_to("box");
        ts_auto_err err = TS_ERR_INIT;
        pid_t sshd;
        int how[] = { SIGKILL, SIGSTOP };

        for (size_t i = 0; i < TS_ARRAY_LEN(how); i++) {
                struct ts_proc *p = start_known(h, "exec true", &sshd);

                OK(ts_proc_finish(p, DEADLINE, &err));
                ts_proc_free(p);
                if (how[i] == SIGSTOP)
                        ts_sleep_ms(100);
                (void)kill(sshd, how[i]);
                ts_sleep_ms(100);
                OK(ts_host_put(h, lab_path("files/put"), 0600, "x", 1, &err));
                (void)unlink(lab_path("files/put"));
                (void)kill(sshd, SIGKILL);
                (void)kill(sshd, SIGCONT);
                p = start_known(h, "exec true", &sshd);
                OK(ts_proc_finish(p, DEADLINE, &err));
                ts_proc_free(p);
                (void)kill(sshd, how[i]);
                ts_sleep_ms(100);
                p = start_known(h, "exec true", &sshd);
                OK(ts_proc_finish(p, DEADLINE, &err));
                ts_proc_free(p);
        }
        ts_host_free(h);
}

static void killed_scp(void)
{
        struct ts_host *h = connect_to("box");
        ts_auto_fd int fd = memfd_create("sparse", MFD_CLOEXEC);
        struct ts_proc *killer = NULL;
        struct ts_host *local = NULL;
        ts_auto_err err = TS_ERR_INIT;
        pid_t sshd;
        struct ts_proc *p = start_known(h, "exec true", &sshd); /* its session is the next flow's */
        ts_auto_free char *script = ts_fmt("sleep 0.3; kill -9 %d", (int)sshd);

        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        CU_ASSERT(ftruncate(fd, (off_t)8 << 30) == 0);
        OK(ts_host_local(&local, &err));
        OK(ts_host_start(local, ARGV("sh", "-c", script), &killer, &err));
        FAILS(ts_host_scp_send(h, "/dev/null", 0600, (uint64_t)8 << 30, fd, NULL, NULL, &err), TS_ECONNECT);
        ts_proc_free(killer);
        ts_host_free(local);
        ts_host_free(h);
}

/* ---- silent ---- */

/* What happens on a flow while its sshd is stopped. */
static void silent(const char *command, void (*use)(int fd))
{
        struct ts_host *h = connect_to("box");
        pid_t sshd;
        struct ts_proc *p = start_known(h, command, &sshd);
        uint64_t start_us;

        ts_sleep_ms(200);
        (void)kill(sshd, SIGSTOP);
        start_us = ts_now_us();
        use(ts_proc_fd(p));
        ends_lost(p);
        CU_ASSERT(ms_since(start_us) >= PEER_MS && ms_since(start_us) < NOTICED_MS);
        (void)kill(sshd, SIGKILL);
        (void)kill(sshd, SIGCONT);
        ts_host_free(h);
}

static void stopped_while_quiet(void)
{
        silent("exec cat", drain);
}

static void stopped_while_reading(void)
{
        silent("exec yes", drain);
}

static void stopped_while_writing(void)
{
        silent("exec cat >/dev/null", stuff);
}

/* Little bits that the stopped peer's kernel takes are no sign of life. */
static void trickle(int fd)
{
        ts_deadline deadline = DEADLINE;

        while (ts_write_all(fd, "a little bit", 12, deadline, false, NULL) == 0 && !ts_deadline_passed(deadline))
                ts_sleep_ms(50);
        CU_ASSERT(!ts_deadline_passed(deadline));
}

static void stopped_while_trickling(void)
{
        silent("exec cat >/dev/null", trickle);
}

static void stopped_command(void)
{
        struct ts_host *h = connect_to("box");
        pid_t sshd = control_sshd(h);
        ts_auto_free char *script = ts_fmt("kill -STOP $PPID; sleep 1");
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;
        uint64_t start_us = ts_now_us();

        FAILS(ts_host_run(h, ARGV("sh", "-c", script), NULL, &r, &err), TS_ECONNECT);
        CU_ASSERT(ms_since(start_us) >= PEER_MS && ms_since(start_us) < NOTICED_MS);
        (void)kill(sshd, SIGKILL);
        (void)kill(sshd, SIGCONT);
        ts_err_clear(&err);
        OK(ts_host_run(h, ARGV("true"), NULL, &r, &err));
        ts_host_free(h);
}

static void stopped_scp(void)
{
        struct ts_host *h = connect_to("box"), *local = NULL;
        ts_auto_fd int fd = memfd_create("sparse", MFD_CLOEXEC);
        struct ts_proc *stopper = NULL, *p;
        ts_auto_err err = TS_ERR_INIT;
        pid_t sshd;
        uint64_t start_us;

        p = start_known(h, "exec true", &sshd);
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        {
                ts_auto_free char *script = ts_fmt("sleep 0.3; kill -STOP %d", (int)sshd);

                CU_ASSERT(ftruncate(fd, (off_t)8 << 30) == 0);
                OK(ts_host_local(&local, &err));
                OK(ts_host_start(local, ARGV("sh", "-c", script), &stopper, &err));
        }
        start_us = ts_now_us();
        FAILS(ts_host_scp_send(h, "/dev/null", 0600, (uint64_t)8 << 30, fd, NULL, NULL, &err), TS_ECONNECT);
        CU_ASSERT(ms_since(start_us) < NOTICED_MS + 1000);
        (void)kill(sshd, SIGKILL);
        (void)kill(sshd, SIGCONT);
        ts_proc_free(stopper);
        ts_host_free(local);
        ts_host_free(h);
}

/* A dialled tunnel has no status: its descriptor ends, and what was being sent is not taken for complete by anybody. */
static void stopped_tunnel(void)
{
        struct ts_host *h = connect_to("box");
        const char *path = lab_path("echo.sock");
        struct echo *e = echo_start(path);
        ts_auto_err err = TS_ERR_INIT;
        struct ts_proc *p;
        pid_t sshd;
        uint64_t start_us;
        int fd = -1;

        p = start_known(h, "exec true", &sshd);
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        OK(ts_host_dial_unix(h, path, dial_helper(path), &fd, &err));
        (void)kill(sshd, SIGSTOP);
        start_us = ts_now_us();
        drain(fd);
        CU_ASSERT(ms_since(start_us) >= PEER_MS && ms_since(start_us) < NOTICED_MS);
        CU_ASSERT(ts_write_all(fd, "x", 1, DEADLINE, false, &err) == -1 && err.code == TS_ECONNECT);
        (void)kill(sshd, SIGKILL);
        (void)kill(sshd, SIGCONT);
        (void)close(fd);
        ts_host_free(h);
        echo_stop(e);
}

/* A short stop is not the end. */
static void short_pause(void)
{
        struct ts_host *h = connect_to("box");
        pid_t sshd;
        struct ts_proc *p = start_known(h, "exec cat", &sshd);
        uint64_t len = 3000000;
        struct writer *w;
        ts_auto_err err = TS_ERR_INIT;

        (void)kill(sshd, SIGSTOP);
        w = writer_start(ts_proc_fd(p), len);
        ts_sleep_ms(1200);
        (void)kill(sshd, SIGCONT);
        CU_ASSERT_EQUAL(read_pattern(ts_proc_fd(p), 60000), len);
        CU_ASSERT(writer_join(w));
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        ts_host_free(h);
}

/* ---- cut ---- */

static void cable(const char *state)
{
        ts_auto_free char *command = ts_fmt("ip link set \"$(cat \"$TS_SSH_DIR/cable\")\" %s", state);

        lab_shell(command);
}

static void cut_cable(void)
{
        struct ts_host *h, *again = NULL;
        struct ts_ssh_opts opts = lab_opts();
        struct ts_proc *reading, *writing;
        ts_auto_err err = TS_ERR_INIT;
        pid_t ignored;
        uint64_t start_us;

        SKIP_UNLESS(lab_has("cable"), "no network namespaces");
        h = connect_to("cable");
        reading = start_known(h, "exec cat", &ignored);
        writing = start_known(h, "exec cat >/dev/null", &ignored);
        cable("down");
        start_us = ts_now_us();
        stuff(ts_proc_fd(writing));
        ends_lost(writing);
        drain(ts_proc_fd(reading));
        ends_lost(reading);
        CU_ASSERT(ms_since(start_us) < NOTICED_MS);
        opts.connect_timeout_ms = 1000;
        CU_ASSERT(ts_host_ssh(NULL, "cable", 0, &opts, &again, &err) == -1 && (err.code == TS_ETIMEOUT || err.code == TS_ECONNECT));
        ts_err_clear(&err);
        cable("up");
        OK(ts_host_check(h, ARGV("true"), NULL, NULL, &err)); /* the control session, or a new one */
        ts_host_free(h);
}

/* Short enough for TCP to mend it. */
static void cable_flaps(void)
{
        struct ts_host *h;
        struct ts_proc *p;
        struct writer *w;
        uint64_t len = is_slow() ? 2000000 : 40000000;
        ts_auto_err err = TS_ERR_INIT;
        pid_t ignored;

        SKIP_UNLESS(lab_has("cable"), "no network namespaces");
        h = connect_to("cable");
        p = start_known(h, "exec cat", &ignored);
        w = writer_start(ts_proc_fd(p), len);
        cable("down");
        ts_sleep_ms(500);
        cable("up");
        CU_ASSERT_EQUAL(read_pattern(ts_proc_fd(p), 60000), len);
        CU_ASSERT(writer_join(w));
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        ts_host_free(h);
}

const struct test_case loss_cases[] = {
        CASE(killed_while_reading),
        CASE(killed_while_writing),
        CASE(killed_before_status),
        CASE(control_comes_back),
        CASE(pool_comes_back),
        CASE(killed_scp),
        CASE(stopped_while_quiet),
        CASE(stopped_while_reading),
        CASE(stopped_while_writing),
        CASE(stopped_while_trickling),
        CASE(stopped_command),
        CASE(stopped_scp),
        CASE(stopped_tunnel),
        CASE(short_pause),
        CASE(cut_cable),
        CASE(cable_flaps),
        CASES_END,
};
