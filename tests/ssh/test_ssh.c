/* The tests of transfer/ against a real sshd: main, the frame, and two helpers that the servers run. See tests/ssh/run. */
#include "frame.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char self[4096];
static unsigned n_skipped, n_ran;
static bool case_skipped;

void skip_case(const char *reason)
{
        (void)printf("skipped: %s ... ", reason);
        case_skipped = true;
}

bool is_slow(void)
{
        return getenv("TS_SSH_SLOW") != NULL;
}

/* ---- the lab ---- */

const char *lab_path(const char *name)
{
        static char buf[8][512];
        static unsigned turn;
        char *p = buf[turn++ % 8];

        (void)snprintf(p, 512, "%s/%s", ts_or(getenv("TS_SSH_DIR"), "/nonexistent"), name);
        return p;
}

bool lab_has(const char *name)
{
        return access(lab_path(name), F_OK) == 0;
}

struct ts_ssh_opts lab_opts(void)
{
        return (struct ts_ssh_opts){ .config_file = lab_path("config"),
                                     .connect_timeout_ms = is_slow() ? 60000 : 10000,
                                     .peer_timeout_ms = is_slow() ? 20000 : 5000 };
}

struct ts_host *lab_connect(const char *alias)
{
        struct ts_ssh_opts opts = lab_opts();
        struct ts_host *h = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_ssh(NULL, alias, 0, &opts, &h, &err));
        return h;
}

void on_local(void (*f)(struct ts_host *h))
{
        struct ts_host *h = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&h, &err));
        CU_ASSERT(ts_host_is_local(h));
        f(h);
        ts_host_free(h);
}

void on_ssh(void (*f)(struct ts_host *h))
{
        struct ts_host *h = lab_connect("box");

        CU_ASSERT(!ts_host_is_local(h));
        f(h);
        ts_host_free(h);
}

unsigned lab_log_count(const char *text)
{
        ts_auto_str s = TS_STR_INIT;
        unsigned n = 0;

        if (ts_file_read(lab_path("sshd.log"), 64u << 20, &s, NULL) < 0)
                return 0;
        for (const char *p = s.buf; (p = strstr(p, text)); p++)
                n++;
        return n;
}

void lab_shell(const char *command)
{
        struct ts_host *h = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&h, &err));
        if (ts_host_check(h, ARGV("sh", "-c", command), NULL, NULL, &err) < 0)
                (void)printf("\n    %s: %s\n", command, ts_err_message(&err));
        CU_ASSERT_FALSE_FATAL(ts_err_is_set(&err));
        ts_host_free(h);
}

/* ---- bytes ---- */

uint64_t ms_since(uint64_t start_us)
{
        return (ts_now_us() - start_us) / 1000;
}

static unsigned char pattern_at(uint64_t i)
{
        return (unsigned char)(i * 2654435761u >> 13 ^ i >> 20);
}

void fill_pattern(unsigned char *buf, size_t len, uint64_t offset)
{
        for (size_t i = 0; i < len; i++)
                buf[i] = pattern_at(offset + i);
}

bool same_pattern(const unsigned char *buf, size_t len, uint64_t offset)
{
        for (size_t i = 0; i < len; i++) {
                if (buf[i] != pattern_at(offset + i))
                        return false;
        }
        return true;
}

struct writer {
        pthread_t thread;
        int fd;
        uint64_t len;
        bool all;
};

static void *write_pattern(void *arg)
{
        static const size_t blocks[] = { 997, 1, 32769, 65536, 7, 262144, 4095 }; /* odd ones */
        struct writer *w = arg;
        ts_auto_free unsigned char *buf = malloc(262144);
        uint64_t done = 0;

        for (size_t i = 0; buf && done < w->len; i++) {
                size_t n = blocks[i % TS_ARRAY_LEN(blocks)];

                n = n < w->len - done ? n : (size_t)(w->len - done);
                fill_pattern(buf, n, done);
                if (ts_write_all(w->fd, buf, n, ts_deadline_in_ms(120000), false, NULL) < 0)
                        break;
                done += n;
        }
        (void)shutdown(w->fd, SHUT_WR);
        w->all = done == w->len;
        return NULL;
}

struct writer *writer_start(int fd, uint64_t len)
{
        struct writer *w = calloc(1, sizeof(*w));

        CU_ASSERT_FATAL(w != NULL);
        w->fd = fd;
        w->len = len;
        CU_ASSERT_FATAL(pthread_create(&w->thread, NULL, write_pattern, w) == 0);
        return w;
}

bool writer_join(struct writer *w)
{
        bool all;

        (void)pthread_join(w->thread, NULL);
        all = w->all;
        free(w);
        return all;
}

uint64_t read_pattern(int fd, unsigned timeout_ms)
{
        ts_auto_free unsigned char *buf = malloc(262144);
        uint64_t done = 0;

        for (;;) {
                ssize_t n = ts_read_some(fd, buf, 262144, ts_deadline_in_ms(timeout_ms), false, NULL);

                if (n <= 0)
                        return done;
                if (!same_pattern(buf, (size_t)n, done))
                        return UINT64_MAX;
                done += (uint64_t)n;
        }
}

/* ---- an echo on a Unix socket ---- */

struct echo {
        pthread_t thread;
        int listener, stop[2];
        char path[108];
};

static int unix_socket(const char *path, struct sockaddr_un *addr)
{
        *addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
        (void)snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void echo_one(int fd)
{
        char buf[65536];
        ssize_t n;

        while ((n = read(fd, buf, sizeof(buf))) > 0) {
                if (ts_write_all(fd, buf, (size_t)n, ts_deadline_in_ms(60000), false, NULL) < 0)
                        break;
        }
        (void)close(fd);
}

static void *echo_main(void *arg)
{
        struct echo *e = arg;

        for (;;) {
                struct pollfd p[2] = { { .fd = e->listener, .events = POLLIN }, { .fd = e->stop[0], .events = POLLIN } };

                if (poll(p, 2, -1) > 0 && p[1].revents)
                        return NULL;
                echo_one(accept4(e->listener, NULL, NULL, SOCK_CLOEXEC));
        }
}

struct echo *echo_start(const char *path)
{
        struct echo *e = calloc(1, sizeof(*e));
        struct sockaddr_un addr;

        CU_ASSERT_FATAL(e != NULL);
        (void)snprintf(e->path, sizeof(e->path), "%s", path);
        (void)unlink(path);
        e->listener = unix_socket(path, &addr);
        CU_ASSERT_FATAL(bind(e->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(e->listener, 16) == 0);
        CU_ASSERT_FATAL(ts_pipe(e->stop, NULL) == 0);
        CU_ASSERT_FATAL(pthread_create(&e->thread, NULL, echo_main, e) == 0);
        return e;
}

void echo_stop(struct echo *e)
{
        (void)!write(e->stop[1], "", 1);
        (void)pthread_join(e->thread, NULL);
        (void)close(e->listener);
        (void)close(e->stop[0]);
        (void)close(e->stop[1]);
        (void)unlink(e->path);
        free(e);
}

/* ---- helpers that are started as other processes ---- */

const char *const *dial_helper(const char *path)
{
        static const char *argv[4];

        argv[0] = self;
        argv[1] = "--unix";
        argv[2] = path;
        return argv;
}

static int copy_until_end(int from, int to)
{
        char buf[65536];
        ssize_t n;

        while ((n = read(from, buf, sizeof(buf))) > 0) {
                if (ts_write_all(to, buf, (size_t)n, 0, false, NULL) < 0)
                        return 1;
        }
        return n < 0;
}

/* stdin → fd with half-close, fd → stdout, independent of each other. What `podman system dial-stdio` does. */
static int splice_stdio(int fd)
{
        pid_t child = fork();
        int r;

        if (child == 0) {
                r = copy_until_end(0, fd);
                (void)shutdown(fd, SHUT_WR);
                _exit(r);
        }
        r = copy_until_end(fd, 1);
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        return r;
}

static int helper_unix(const char *path)
{
        struct sockaddr_un addr;
        int fd = unix_socket(path, &addr);

        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
                (void)fprintf(stderr, "cannot connect to %s: %s\n", path, strerror(errno));
                return 1;
        }
        return splice_stdio(fd);
}

static int helper_tcp(const char *host, const char *port)
{
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *a = NULL;
        int fd = -1;

        if (getaddrinfo(host, port, &hints, &a) == 0)
                fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
                (void)fprintf(stderr, "cannot connect to %s port %s\n", host, port);
                return 1;
        }
        freeaddrinfo(a);
        return splice_stdio(fd);
}

/* ---- running ---- */

static unsigned entries(const char *dir)
{
        DIR *d = opendir(dir);
        unsigned n = 0;

        while (d && readdir(d))
                n++;
        if (d)
                (void)closedir(d);
        return n;
}

static unsigned children(void)
{
        siginfo_t info = { 0 };

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? 1 : 0; /* ECHILD: there is none */
}

static unsigned threads_before, fds_before;
static uint64_t started_us;

static void before_case(void)
{
        case_skipped = false;
        threads_before = entries("/proc/self/task");
        fds_before = entries("/proc/self/fd");
        started_us = ts_now_us();
}

/* Nothing may be left behind: no thread, no descriptor, no child. (The resolver's thread stays for a second.) */
static void after_case(void)
{
        unsigned threads = entries("/proc/self/task"), fds = entries("/proc/self/fd"), left = children();

        for (int i = 0; i < 30 && threads > threads_before; i++) {
                ts_sleep_ms(100);
                threads = entries("/proc/self/task");
        }
        if (threads > threads_before || fds != fds_before || left)
                (void)printf("\n    left behind: threads %u → %u, descriptors %u → %u, children %u\n", threads_before, threads, fds_before,
                             fds, left);
        CU_ASSERT(threads <= threads_before && fds == fds_before && left == 0);
        n_ran++;
        n_skipped += case_skipped;
        (void)printf("(%llu ms) ", (unsigned long long)ms_since(started_us));
        (void)fflush(stdout);
}

static void choose(CU_TestInfo *chosen, size_t max, const struct test_case *cases, const char *only)
{
        size_t n = 0;

        for (const struct test_case *c = cases; c->name && n + 1 < max; c++) {
                if (!only || strstr(c->name, only))
                        chosen[n++] = (CU_TestInfo){ c->name, c->function };
        }
}

static int run_all(const char *only)
{
        static const struct {
                const char *name;
                const struct test_case *cases;
        } tables[] = { { "connect", connect_cases }, { "run", run_cases },   { "flow", flow_cases }, { "scp", scp_cases },
                       { "relay", relay_cases },     { "loss", loss_cases }, { "ship", ship_cases },
                       { "samples", samples_cases }, { "packed", packed_cases } };
        static CU_TestInfo chosen[TS_ARRAY_LEN(tables)][128];
        CU_SuiteInfo suites[TS_ARRAY_LEN(tables) + 1] = { CU_SUITE_INFO_NULL };
        unsigned failed;

        for (size_t i = 0; i < TS_ARRAY_LEN(tables); i++) {
                choose(chosen[i], 128, tables[i].cases, only);
                suites[i] = (CU_SuiteInfo){ tables[i].name, NULL, NULL, before_case, after_case, chosen[i] };
        }
        if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
                (void)printf("%s\n0 passed, 1 failed, 0 skipped\n", CU_get_error_msg());
                return 1;
        }
        CU_basic_set_mode(CU_BRM_VERBOSE);
        (void)CU_basic_run_tests();
        failed = CU_get_number_of_tests_failed();
        CU_cleanup_registry();
        (void)printf("\n%u passed, %u failed, %u skipped\n", n_ran - failed - n_skipped, failed, n_skipped);
        return failed || n_ran == 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
        (void)signal(SIGPIPE, SIG_IGN);
        if (argc == 3 && strcmp(argv[1], "--unix") == 0)
                return helper_unix(argv[2]);
        if (argc == 4 && strcmp(argv[1], "--tcp") == 0)
                return helper_tcp(argv[2], argv[3]);
        if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || !getenv("TS_SSH_DIR")) {
                (void)fprintf(stderr, "test_ssh: started by tests/ssh/run\n");
                return 2;
        }
        if (getenv("TS_SSH_SELF")) /* under valgrind /proc/self/exe is valgrind's */
                (void)snprintf(self, sizeof(self), "%s", getenv("TS_SSH_SELF"));
        if (getenv("TS_SSH_VERBOSE"))
                ts_log_setup(TS_LOG_DEBUG, false);
        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        return run_all(argc > 1 ? argv[1] : NULL);
}
