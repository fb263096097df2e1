/* Descriptors: commands that are talked to, sockets that are dialled, many at a time. */
#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define DEADLINE ts_deadline_in_ms(60000)

/* Gone, or waiting to be reaped by whoever has that duty. */
static bool is_gone(const char *pid_text)
{
        ts_auto_free char *path = ts_fmt("/proc/%ld/stat", strtol(pid_text, NULL, 10));

        for (int i = 0; i < 100; i++) {
                ts_auto_str stat = TS_STR_INIT;

                if (ts_file_read(path, 4096, &stat, NULL) < 0 || strstr(ts_str_cstr(&stat), ") Z "))
                        return true;
                ts_sleep_ms(50);
        }
        return false;
}

/* 2 s for the peer, and silences that are longer. */
static struct ts_host *impatient(struct ts_host *h)
{
        struct ts_ssh_opts opts = lab_opts();
        struct ts_host *other = NULL;
        ts_auto_err err = TS_ERR_INIT;

        opts.peer_timeout_ms = is_slow() ? 20000 : 2000;
        if (ts_host_is_local(h))
                OK(ts_host_local(&other, &err));
        else
                OK(ts_host_ssh(NULL, "box", 0, &opts, &other, &err));
        return other;
}

static struct ts_proc *start(struct ts_host *h, const char *const *argv)
{
        struct ts_proc *p = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_start(h, argv, &p, &err));
        return p;
}

static void half_close_on(struct ts_host *h)
{
        struct ts_proc *p = start(h, ARGV("cat"));
        ts_auto_err err = TS_ERR_INIT;
        char buf[16] = "";
        int status = -1;

        OK(ts_write_all(ts_proc_fd(p), "ping", 4, DEADLINE, false, &err));
        OK(ts_read_exact(ts_proc_fd(p), buf, 4, DEADLINE, false, &err));
        STR_IS(buf, "ping");
        OK(ts_write_all(ts_proc_fd(p), "last", 4, DEADLINE, false, &err));
        OK(ts_proc_end_input(p));
        OK(ts_read_exact(ts_proc_fd(p), buf, 4, DEADLINE, false, &err)); /* the other direction is still open */
        STR_IS(buf, "last");
        CU_ASSERT(ts_read_some(ts_proc_fd(p), buf, 1, DEADLINE, false, &err) == 0);
        OK(ts_proc_wait(p, DEADLINE, &status, &err));
        OK(ts_proc_wait(p, DEADLINE, &status, &err)); /* as often as one likes */
        CU_ASSERT_EQUAL(status, 0);
        CU_ASSERT(ts_proc_end_input(p) == 0);
        ts_proc_free(p);
}
BOTH(half_close)

static void counts_input_on(struct ts_host *h)
{
        uint64_t len = is_slow() ? 1000003 : 20000003;
        struct ts_proc *p = start(h, ARGV("wc", "-c"));
        struct writer *w = writer_start(ts_proc_fd(p), len);
        ts_auto_free char *want = ts_fmt("%llu\n", (unsigned long long)len);
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_read_to_end(ts_proc_fd(p), &out, DEADLINE, &err));
        CU_ASSERT(writer_join(w));
        STR_IS(ts_str_cstr(&out), want);
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
}
BOTH(counts_input)

static void both_directions(struct ts_host *h, uint64_t len)
{
        struct ts_proc *p = start(h, ARGV("cat"));
        struct writer *w = writer_start(ts_proc_fd(p), len);
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(read_pattern(ts_proc_fd(p), 60000), len);
        CU_ASSERT(writer_join(w));
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
}

static void duplex_on(struct ts_host *h)
{
        both_directions(h, is_slow() ? 2u << 20 : (64u << 20) + 17);
        both_directions(h, 0);
}
BOTH(duplex)

/* The server exchanges new keys every megabyte, in the middle of everything. */
static void rekeying(void)
{
        struct ts_host *h = lab_connect("rekey");

        both_directions(h, is_slow() ? 3u << 20 : 24u << 20);
        ts_host_free(h);
}

/* The caller reads nothing for a while: the sender is held up, nothing is lost, nothing grows. */
static void slow_reader_on(struct ts_host *standard)
{
        uint64_t len = is_slow() ? 8u << 20 : 32u << 20;
        struct ts_host *h = impatient(standard);
        struct ts_proc *p = start(h, ARGV("cat"));
        struct writer *w = writer_start(ts_proc_fd(p), len);
        ts_auto_err err = TS_ERR_INIT;

        ts_sleep_ms(4500); /* longer than the peer's time: keepalives must go on */
        CU_ASSERT_EQUAL(read_pattern(ts_proc_fd(p), 60000), len);
        CU_ASSERT(writer_join(w));
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        ts_host_free(h);
}
BOTH(slow_reader)

/* Likewise a command that does not read. */
static void slow_command_on(struct ts_host *standard)
{
        uint64_t len = 8u << 20;
        struct ts_host *h = impatient(standard);
        struct ts_proc *p = start(h, ARGV("sh", "-c", "sleep 5; wc -c"));
        struct writer *w = writer_start(ts_proc_fd(p), len);
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_read_to_end(ts_proc_fd(p), &out, DEADLINE, &err));
        CU_ASSERT(writer_join(w));
        STR_IS(ts_str_cstr(&out), "8388608\n");
        OK(ts_proc_finish(p, DEADLINE, &err));
        ts_proc_free(p);
        ts_host_free(h);
}
BOTH(slow_command)

static void status_on(struct ts_host *h)
{
        struct ts_proc *p = start(h, ARGV("sh", "-c", "echo the reason >&2; exit 3"));
        ts_auto_err err = TS_ERR_INIT;
        int status = 0;

        OK(ts_proc_wait(p, DEADLINE, &status, &err));
        CU_ASSERT_EQUAL(status, 3);
        STR_IS(ts_proc_stderr(p), "the reason\n");
        FAILS(ts_proc_finish(p, DEADLINE, &err), TS_ECOMMAND);
        STR_IS(err.message, "'sh' failed: the reason");
        ts_proc_free(p);
}
BOTH(status)

/* Only the end of stderr is kept, and however much there is, it holds nothing up. */
static void stderr_tail_on(struct ts_host *h)
{
        struct ts_proc *p = start(h, ARGV("sh", "-c", "yes 123456789 | head -c 3000000 >&2; echo out; echo 'the end' >&2"));
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        const char *tail;

        OK(ts_read_to_end(ts_proc_fd(p), &out, DEADLINE, &err));
        OK(ts_proc_finish(p, DEADLINE, &err));
        STR_IS(ts_str_cstr(&out), "out\n");
        tail = ts_proc_stderr(p);
        CU_ASSERT_EQUAL(strlen(tail), 4096);
        STR_IS(tail + 4096 - 18, "123456789\nthe end\n");
        ts_proc_free(p);
}
BOTH(stderr_tail)

static void wait_deadline_on(struct ts_host *h)
{
        struct ts_proc *p = start(h, ARGV("cat"));
        ts_auto_err err = TS_ERR_INIT;
        uint64_t start_us = ts_now_us();
        int status = -1;

        FAILS(ts_proc_wait(p, ts_deadline_in_ms(200), &status, &err), TS_ETIMEOUT);
        CU_ASSERT(ms_since(start_us) >= 200 && ms_since(start_us) < 5000);
        ts_err_clear(&err);
        OK(ts_proc_end_input(p));
        OK(ts_proc_wait(p, DEADLINE, &status, &err));
        CU_ASSERT_EQUAL(status, 0);
        ts_proc_free(p);
}
BOTH(wait_deadline)

/* A command that ends while we write: the writer is told, the status is its own. */
static void ends_early_on(struct ts_host *h)
{
        struct ts_proc *p = start(h, ARGV("sh", "-c", "head -c 5; exit 4"));
        ts_auto_free char *block = calloc(1, 1 << 20);
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        int status = 0, r = 0;

        for (int i = 0; i < 200 && r == 0; i++)
                r = ts_write_all(ts_proc_fd(p), block, 1 << 20, DEADLINE, false, &err);
        CU_ASSERT(r == -1 && err.code == TS_ECONNECT);
        ts_err_clear(&err);
        OK(ts_read_to_end(ts_proc_fd(p), &out, DEADLINE, &err));
        CU_ASSERT_EQUAL(out.len, 5);
        OK(ts_proc_wait(p, DEADLINE, &status, &err));
        CU_ASSERT_EQUAL(status, 4);
        ts_proc_free(p);
}
BOTH(ends_early)

/* Freeing ends it. (Over SSH: by the end of its input; libssh2 before 1.11 can send no signal.) */
static void free_ends_on(struct ts_host *h)
{
        struct ts_proc *p = start(h, ARGV("sh", "-c", "echo $$; exec cat"));
        ts_auto_err err = TS_ERR_INIT;
        char pid[32] = "";
        uint64_t start_us;

        CU_ASSERT(ts_read_some(ts_proc_fd(p), pid, sizeof(pid) - 1, DEADLINE, false, &err) > 1);
        start_us = ts_now_us();
        ts_proc_free(p);
        CU_ASSERT(ms_since(start_us) < 3000);
        CU_ASSERT(is_gone(pid));
        ts_proc_free(NULL);
}
BOTH(free_ends)

/* SIGKILL of this program leaves a local child without us: it must see the end of its input. */
static void orphan_sees_end(void)
{
        struct ts_host *h = NULL;
        struct ts_proc *p = NULL;
        ts_auto_err err = TS_ERR_INIT;
        char pid[32] = "";
        int pipe_fds[2];
        pid_t child;

        OK(ts_pipe(pipe_fds, &err));
        child = fork();
        if (child == 0) { /* stands for tranship */
                if (ts_host_local(&h, NULL) < 0 || ts_host_start(h, ARGV("sh", "-c", "echo $$; exec cat"), &p, NULL) < 0 ||
                    ts_read_some(ts_proc_fd(p), pid, sizeof(pid) - 1, DEADLINE, false, NULL) < 2)
                        _exit(1);
                (void)!write(pipe_fds[1], pid, strlen(pid));
                (void)raise(SIGKILL);
        }
        CU_ASSERT(ts_read_some(pipe_fds[0], pid, sizeof(pid) - 1, DEADLINE, false, &err) > 1);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        CU_ASSERT(is_gone(pid));
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
}

/* ---- dialling ---- */

static void talk(int fd)
{
        uint64_t len = is_slow() ? 300001 : 5000001;
        struct writer *w = writer_start(fd, len);

        CU_ASSERT_EQUAL(read_pattern(fd, 60000), len); /* the echo ends after the half-close, and so does the tunnel */
        CU_ASSERT(writer_join(w));
}

static void dial_on(struct ts_host *h)
{
        const char *path = lab_path("echo.sock");
        struct echo *e = echo_start(path);
        ts_auto_err err = TS_ERR_INIT;

        for (int i = 0; i < 3; i++) {
                ts_auto_fd int fd = -1;

                OK(ts_host_dial_unix(h, path, dial_helper(path), &fd, &err));
                talk(fd);
        }
        echo_stop(e);
}
BOTH(dial)

/* Through a server that forwards no sockets: the helper's way. */
static void dial_fallback(void)
{
        struct ts_host *h = lab_connect("nolocal");

        dial_on(h);
        ts_host_free(h);
}

/* Where libssh2 forwards no sockets (before 1.11) the other half of the promise: without a helper it is refused. */
static void dial_direct(void)
{
#ifdef TS_HAVE_STREAMLOCAL
        struct ts_host *h = lab_connect("box");
        const char *path = lab_path("echo.sock");
        struct echo *e = echo_start(path);
        ts_auto_err err = TS_ERR_INIT;
        int fd = -1;

        OK(ts_host_dial_unix(h, path, NULL, &fd, &err));
        talk(fd);
        (void)close(fd);
        echo_stop(e);
        FAILS(ts_host_dial_unix(h, path, NULL, &fd, &err), TS_EPROTO);
        ts_host_free(h);
#else
        struct ts_host *h = lab_connect("box");
        ts_auto_err err = TS_ERR_INIT;
        int fd = -1;

        FAILS(ts_host_dial_unix(h, lab_path("echo.sock"), NULL, &fd, &err), TS_EUSAGE);
        ts_host_free(h);
#endif
}

static void dial_nobody(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("nolocal");
        const char *path = lab_path("nobody.sock");
        ts_auto_err err = TS_ERR_INIT;
        char c;
        int fd = -1;

        OK(ts_host_local(&local, &err));
        FAILS(ts_host_dial_unix(local, path, NULL, &fd, &err), TS_ENOTFOUND);
        ts_err_clear(&err);
        OK(ts_host_dial_unix(remote, path, dial_helper(path), &fd, &err)); /* the helper finds out, and ends */
        CU_ASSERT(ts_read_some(fd, &c, 1, DEADLINE, false, &err) <= 0);
        (void)close(fd);
        ts_host_free(local);
        ts_host_free(remote);
}

/* Closing the descriptor ends the thread and the connection, with data under way in both directions. */
static void dial_close(void)
{
        struct ts_host *h = lab_connect("box");
        const char *path = lab_path("echo.sock");
        struct echo *e = echo_start(path);
        ts_auto_free char *block = calloc(1, 1 << 20);
        ts_auto_err err = TS_ERR_INIT;

        for (int i = 0; i < 5; i++) {
                int fd = -1;

                OK(ts_host_dial_unix(h, path, dial_helper(path), &fd, &err));
                if (i)
                        OK(ts_write_all(fd, block, (size_t)1 << (10 + 2 * i), DEADLINE, false, &err));
                (void)close(fd);
        }
        ts_host_free(h);
        echo_stop(e);
}

/* The host goes while its tunnel is open: the caller sees the end, no thread stays. */
static void host_freed_first(void)
{
        struct ts_host *h = lab_connect("box");
        const char *path = lab_path("echo.sock");
        struct echo *e = echo_start(path);
        ts_auto_err err = TS_ERR_INIT;
        uint64_t start_us;
        char c;
        int fd = -1;

        OK(ts_host_dial_unix(h, path, dial_helper(path), &fd, &err));
        start_us = ts_now_us();
        ts_host_free(h);
        CU_ASSERT(ms_since(start_us) < 3000);
        CU_ASSERT(ts_read_some(fd, &c, 1, DEADLINE, false, &err) <= 0);
        (void)close(fd);
        echo_stop(e);
}

/* ---- many ---- */

#define MANY 50

struct one_of_many {
        pthread_t thread;
        struct ts_host *h;
        unsigned len;
        bool good;
};

static void *one_flow(void *arg)
{
        struct one_of_many *o = arg;
        struct ts_proc *p = NULL;
        ts_auto_free unsigned char *in = malloc(o->len), *out = malloc(o->len);
        ts_auto_err err = TS_ERR_INIT;

        fill_pattern(in, o->len, o->len);
        if (ts_host_start(o->h, ARGV("cat"), &p, &err) == 0) {
                o->good = ts_write_all(ts_proc_fd(p), in, o->len, DEADLINE, false, &err) == 0 &&
                          ts_read_exact(ts_proc_fd(p), out, o->len, DEADLINE, false, &err) == 0 && memcmp(in, out, o->len) == 0 &&
                          ts_proc_end_input(p) == 0 && ts_proc_finish(p, DEADLINE, &err) == 0;
        }
        if (!o->good)
                (void)printf("\n    flow: %s\n", ts_err_message(&err));
        ts_proc_free(p);
        return NULL;
}

static void many_flows_on(struct ts_host *h)
{
        static struct one_of_many all[MANY];
        unsigned n = is_slow() ? 10 : MANY, good = 0;

        for (unsigned i = 0; i < n; i++) {
                all[i] = (struct one_of_many){ .h = h, .len = 1000 + i * 3001 };
                CU_ASSERT_FATAL(pthread_create(&all[i].thread, NULL, one_flow, &all[i]) == 0);
        }
        for (unsigned i = 0; i < n; i++) {
                (void)pthread_join(all[i].thread, NULL);
                good += all[i].good;
        }
        CU_ASSERT_EQUAL(good, n);
}
BOTH(many_flows)

/* A flow's session carries the next flow; a warmed host needs no handshake for the first ones. */
static void sessions_are_used_again(void)
{
        struct ts_host *h = lab_connect("box");
        unsigned before;

        before = lab_log_count("Accepted publickey");
        for (int i = 0; i < 10; i++)
                both_directions(h, 1000);
        CU_ASSERT_EQUAL(lab_log_count("Accepted publickey"), before + 1);
        ts_host_warm(h, 3);
        for (int i = 0; i < 100 && lab_log_count("Accepted publickey") < before + 4; i++)
                ts_sleep_ms(100);
        ts_sleep_ms(300);
        before = lab_log_count("Accepted publickey");
        {
                struct ts_proc *a = start(h, ARGV("cat")), *b = start(h, ARGV("cat")), *c = start(h, ARGV("cat")),
                               *d = start(h, ARGV("cat"));

                CU_ASSERT_EQUAL(lab_log_count("Accepted publickey"), before);
                ts_proc_free(a);
                ts_proc_free(b);
                ts_proc_free(c);
                ts_proc_free(d);
        }
        ts_host_free(h);
}

/* Freed in the middle of its handshakes. */
static void free_while_warming(void)
{
        struct ts_host *h = lab_connect("box");
        uint64_t start_us = ts_now_us();

        ts_host_warm(h, 8);
        ts_sleep_ms(5);
        ts_host_free(h);
        CU_ASSERT(ms_since(start_us) < (is_slow() ? 20000 : 3000));
        on_local(half_close_on);
}

const struct test_case flow_cases[] = {
        CASE_BOTH(half_close),    CASE_BOTH(counts_input),
        CASE_BOTH(duplex),        CASE(rekeying),
        CASE_BOTH(slow_reader),   CASE_BOTH(slow_command),
        CASE_BOTH(status),        CASE_BOTH(stderr_tail),
        CASE_BOTH(wait_deadline), CASE_BOTH(ends_early),
        CASE_BOTH(free_ends),     CASE(orphan_sees_end),
        CASE_BOTH(dial),          CASE(dial_fallback),
        CASE(dial_direct),        CASE(dial_nobody),
        CASE(dial_close),         CASE(host_freed_first),
        CASE_BOTH(many_flows),    CASE(sessions_are_used_again),
        CASE(free_while_warming), CASES_END,
};
