/* Probes against real sockets and processes: answers, refusals, silence, nonsense; deadlines are kept; the prober sees the gap a client sees. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether it took no longer than that; under valgrind nothing is as fast as it should be. */
static bool within(uint64_t took_us, uint64_t most_us)
{
        const char *preload = getenv("LD_PRELOAD");

        return took_us < most_us * (preload && strstr(preload, "vgpreload") ? 20 : 1);
}

/* ---- a server that says what it is told to say ---- */

struct server {
        int fd;
        unsigned port;
        const char *answer; /* NULL: takes connections and stays silent */
        bool request_first; /* keeps the request in `request` before it answers */
        char request[2048];
        atomic_bool stop;
        atomic_uint served;
        unsigned late_ms;
        pthread_t thread;
};

static void serve_one(struct server *s, int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };
        size_t got = 0;

        while (s->request_first && got + 1 < sizeof(s->request) && !strstr(s->request, "\r\n\r\n") && poll(&p, 1, 1000) > 0) {
                ssize_t n = read(fd, s->request + got, sizeof(s->request) - 1 - got);

                if (n <= 0)
                        break;
                got += (size_t)n;
                s->request[got] = '\0';
        }
        atomic_fetch_add(&s->served, 1);
        ts_sleep_ms(__atomic_load_n(&s->late_ms, __ATOMIC_SEQ_CST));
        if (s->answer)
                (void)!send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
        struct server *s = arg;
        int silent[64];
        size_t n_silent = 0;

        while (!atomic_load(&s->stop)) {
                struct pollfd p = { .fd = s->fd, .events = POLLIN };
                int fd = poll(&p, 1, 20) > 0 ? accept4(s->fd, NULL, NULL, SOCK_CLOEXEC) : -1;

                if (fd < 0)
                        continue;
                if (!s->answer && n_silent < TS_ARRAY_LEN(silent)) {
                        silent[n_silent++] = fd;
                        continue;
                }
                serve_one(s, fd);
                (void)close(fd);
        }
        while (n_silent > 0)
                (void)close(silent[--n_silent]);
        return NULL;
}

/* Listens on an address of 127/8; port 0: any. False: it is taken. */
static bool listen_on(struct server *s, const char *address, unsigned port)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
        socklen_t len = sizeof(a);
        int one = 1;

        CU_ASSERT_EQUAL(inet_pton(AF_INET, address, &a.sin_addr), 1);
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s->fd, 64) < 0 ||
            getsockname(s->fd, (struct sockaddr *)&a, &len) < 0) {
                (void)close(s->fd);
                return false;
        }
        s->port = ntohs(a.sin_port);
        return true;
}

static void server_start(struct server *s, const char *address, unsigned port, const char *answer)
{
        *s = (struct server){ .answer = answer, .request_first = answer && ts_starts(answer, "HTTP") };
        CU_ASSERT_TRUE_FATAL(listen_on(s, address, port));
        CU_ASSERT_EQUAL_FATAL(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
        atomic_store(&s->stop, true);
        (void)pthread_join(s->thread, NULL);
        (void)close(s->fd);
}

static struct ts_probe *probe(const char *spec)
{
        struct ts_probe *p = NULL;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_probe_parse(spec, &p, &err));
        return p;
}

static struct ts_probe *probe_port(const char *format_before, unsigned port, const char *after)
{
        ts_auto_free char *spec = ts_fmt("%s%u%s", format_before, port, after);

        return probe(spec);
}

/* ---- specifications ---- */

static void good_specifications(void)
{
        static const char *const good[] = { "tcp://localhost:80",
                                            "tcp://{host}:3306",
                                            "tcp://[::1]:1",
                                            "tcp://[{host}]:65535",
                                            "tcp://[fe80::1%eth0]:22",
                                            "http://{host}",
                                            "http://a-b_c.example/x?y=z&{host}",
                                            "http://[::1]:8080/",
                                            "http://10.0.0.1:8080/health",
                                            "exec:true",
                                            "exec:/bin/sh -c exit",
                                            "exec:  curl  -s  http://{host}/" };

        for (size_t i = 0; i < TS_ARRAY_LEN(good); i++)
                ts_probe_free(probe(good[i]));
        ts_probe_free(NULL);
}

static void bad_specifications(void)
{
        static const char *const bad[] = { "",
                                           "tcp",
                                           "tcp://",
                                           "tcp://localhost",
                                           "tcp://localhost:",
                                           "tcp://:80",
                                           "tcp://localhost:0",
                                           "tcp://localhost:65536",
                                           "tcp://localhost:80x",
                                           "tcp://localhost:99999999999",
                                           "tcp://a b:80",
                                           "tcp://a/b:80",
                                           "tcp://::1:80",
                                           "tcp://[]:80",
                                           "tcp://{host}x:80",
                                           "http://",
                                           "http:///path",
                                           "http://host/a b",
                                           "http://host:x/",
                                           "http://host\r\nX: y/",
                                           "http://user@host/",
                                           "exec:",
                                           "exec:   ",
                                           "exec:a\nb",
                                           "ftp://x",
                                           "https://host/",
                                           "TCP://host:1" };
        ts_auto_free char *huge = calloc(1, 5001);
        ts_auto_free char *words = NULL;
        ts_auto_str many = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_probe *p = NULL;

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                if (ts_probe_parse(bad[i], &p, &err) == 0)
                        (void)printf("\n    '%s' was accepted\n", bad[i]);
                CU_ASSERT_EQUAL(err.code, TS_EUSAGE);
                CU_ASSERT_PTR_NULL(p);
                ts_err_clear(&err);
        }
        memset(huge, 'x', 5000);
        memcpy(huge, "exec:", 5);
        UNIT_FAILS(ts_probe_parse(huge, &p, &err), TS_EUSAGE);
        UNIT_OK(ts_str_adds(&many, "exec:", &err));
        for (int i = 0; i < 65; i++)
                UNIT_OK(ts_str_adds(&many, "x ", &err));
        words = ts_str_take(&many);
        UNIT_FAILS(ts_probe_parse(words, &p, &err), TS_EUSAGE);
        CU_ASSERT_EQUAL(ts_probe_parse("https://host/", &p, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(err.hint);
}

/* ---- tcp ---- */

static void tcp(void)
{
        struct server s;
        ts_auto(ts_probe) struct ts_probe *p = NULL, *fixed = NULL, *named = NULL;
        ts_auto_err err = TS_ERR_INIT;

        server_start(&s, "127.0.0.1", 0, NULL);
        p = probe_port("tcp://{host}:", s.port, "");
        fixed = probe_port("tcp://127.0.0.1:", s.port, "");
        named = probe_port("tcp://localhost:", s.port, "");
        UNIT_OK(ts_probe_once(p, "127.0.0.1", ts_deadline_in_ms(2000), &err));
        UNIT_OK(ts_probe_once(fixed, NULL, ts_deadline_in_ms(2000), &err));
        UNIT_OK(ts_probe_once(named, NULL, ts_deadline_in_ms(5000), &err)); /* by name: looked up */
        UNIT_FAILS(ts_probe_once(p, NULL, ts_deadline_in_ms(2000), &err), TS_EUSAGE);
        UNIT_FAILS(ts_probe_once(p, "", ts_deadline_in_ms(2000), &err), TS_EUSAGE);
        server_stop(&s);
        UNIT_FAILS(ts_probe_once(p, "127.0.0.1", ts_deadline_in_ms(2000), &err), TS_ECONNECT);
        CU_ASSERT_EQUAL(ts_probe_once(p, "name.invalid", ts_deadline_in_ms(3000), &err), -1);
        CU_ASSERT(err.code == TS_ENOTFOUND || err.code == TS_ETIMEOUT); /* as the resolver here has it */
}

/* A full backlog: the SYN is not answered. */
static void deadlines_are_kept(void)
{
        struct sockaddr_in a = { .sin_family = AF_INET };
        socklen_t len = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[16];
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t from_us, took_us;

        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        CU_ASSERT_EQUAL(listen(fd, 0), 0);
        CU_ASSERT_EQUAL(getsockname(fd, (struct sockaddr *)&a, &len), 0);
        for (size_t i = 0; i < TS_ARRAY_LEN(fill); i++) {
                fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)connect(fill[i], (struct sockaddr *)&a, sizeof(a));
        }
        p = probe_port("tcp://127.0.0.1:", ntohs(a.sin_port), "");
        from_us = ts_now_us();
        UNIT_FAILS(ts_probe_once(p, NULL, ts_deadline_in_ms(300), &err), TS_ETIMEOUT);
        took_us = ts_now_us() - from_us;
        CU_ASSERT(took_us >= 300000 && within(took_us, 2000000));
        for (size_t i = 0; i < TS_ARRAY_LEN(fill); i++)
                (void)close(fill[i]);
        (void)close(fd);
}

/* ---- http ---- */

static void http_answers(void)
{
        static const struct {
                const char *answer;
                enum ts_code code;
        } cases[] = {
                { "HTTP/1.1 200 OK\r\n\r\nhello", TS_OK },
                { "HTTP/1.0 204 No Content\r\n\r\n", TS_OK },
                { "HTTP/1.1 301 Moved\r\nLocation: /x\r\n\r\n", TS_OK },
                { "HTTP/1.1 200\r\n\r\n", TS_OK },
                { "HTTP/1.1 404 Not Found\r\n\r\n", TS_ECOMMAND },
                { "HTTP/1.1 503 Service Unavailable\r\n\r\n", TS_ECOMMAND },
                { "HTTP/1.1 100 Continue\r\n\r\n", TS_ECOMMAND },
                { "HTTP/1.1 20 OK\r\n\r\n", TS_EPROTO },
                { "HTTP/1.1 2000 OK\r\n\r\n", TS_EPROTO },
                { "HTTP/2 200 OK\r\n\r\n", TS_EPROTO },
                { "HTTP/1.1 \n", TS_EPROTO },
                { "SSH-2.0-OpenSSH_9.2\r\n", TS_EPROTO },
                { "\n", TS_EPROTO },
                { "", TS_ECONNECT },
                { "HTTP/1.1 200", TS_ECONNECT }, /* ends early */
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                struct server s;
                ts_auto(ts_probe) struct ts_probe *p = NULL;
                ts_auto_err err = TS_ERR_INIT;

                server_start(&s, "127.0.0.1", 0, cases[i].answer);
                p = probe_port("http://127.0.0.1:", s.port, "/health");
                (void)ts_probe_once(p, NULL, ts_deadline_in_ms(3000), &err);
                if (err.code != cases[i].code)
                        (void)printf("\n    '%s': %s: %s\n", cases[i].answer, ts_code_str(err.code), ts_err_message(&err));
                CU_ASSERT_EQUAL(err.code, cases[i].code);
                server_stop(&s);
        }
}

static void http_requests(void)
{
        struct server s;
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        ts_auto_free char *host = NULL;
        ts_auto_err err = TS_ERR_INIT;

        server_start(&s, "127.0.0.1", 0, "HTTP/1.1 200 OK\r\n\r\n");
        p = probe_port("http://{host}:", s.port, "/a?from={host}");
        UNIT_OK(ts_probe_once(p, "127.0.0.1", ts_deadline_in_ms(3000), &err));
        server_stop(&s);
        host = ts_fmt("\r\nHost: 127.0.0.1:%u\r\n", s.port);
        CU_ASSERT_TRUE(ts_starts(s.request, "GET /a?from=127.0.0.1 HTTP/1.1\r\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(s.request, host));
        CU_ASSERT_PTR_NOT_NULL(strstr(s.request, "\r\nConnection: close\r\n"));
}

static void http_silence_and_noise(void)
{
        static char noise[4096];
        struct server silent, noisy;
        ts_auto(ts_probe) struct ts_probe *p = NULL, *n = NULL;
        ts_auto_err err = TS_ERR_INIT;

        memset(noise, 'x', sizeof(noise) - 1);
        server_start(&silent, "127.0.0.1", 0, NULL);
        server_start(&noisy, "127.0.0.1", 0, noise);
        p = probe_port("http://127.0.0.1:", silent.port, "/");
        n = probe_port("http://127.0.0.1:", noisy.port, "/");
        UNIT_FAILS(ts_probe_once(p, NULL, ts_deadline_in_ms(200), &err), TS_ETIMEOUT);
        UNIT_FAILS(ts_probe_once(n, NULL, ts_deadline_in_ms(3000), &err), TS_EPROTO);
        server_stop(&silent);
        server_stop(&noisy);
}

/* ---- exec ---- */

static void commands(void)
{
        ts_auto(ts_probe) struct ts_probe *good = probe("exec:true"), *bad = probe("exec:false"), *none = probe("exec:/no/such/command"),
                                          *slow = probe("exec:sleep 30"), *host = probe("exec:test {host} = 10.0.0.1"),
                                          *quiet = probe("exec:cat");
        ts_auto_err err = TS_ERR_INIT;
        uint64_t from_us;

        UNIT_OK(ts_probe_once(good, NULL, ts_deadline_in_ms(5000), &err));
        UNIT_FAILS(ts_probe_once(bad, NULL, ts_deadline_in_ms(5000), &err), TS_ECOMMAND);
        CU_ASSERT_EQUAL(ts_probe_once(none, NULL, ts_deadline_in_ms(5000), &err), -1);
        ts_err_clear(&err);
        UNIT_OK(ts_probe_once(host, "10.0.0.1", ts_deadline_in_ms(5000), &err));
        UNIT_FAILS(ts_probe_once(host, "10.0.0.2", ts_deadline_in_ms(5000), &err), TS_ECOMMAND);
        UNIT_OK(ts_probe_once(quiet, NULL, ts_deadline_in_ms(5000), &err)); /* its input is empty */
        from_us = ts_now_us();
        UNIT_FAILS(ts_probe_once(slow, NULL, ts_deadline_in_ms(200), &err), TS_ETIMEOUT);
        CU_ASSERT(within(ts_now_us() - from_us, 5000000));
}

/* What a command left running goes with it. */
static void commands_take_their_children_along(void)
{
        char script[] = "/tmp/test-probe-XXXXXX", pid_file[64];
        int fd = mkstemp(script);
        ts_auto_free char *spec = ts_fmt("exec:sh %s", script);
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        unsigned long long pid = 0;

        (void)snprintf(pid_file, sizeof(pid_file), "%s.pid", script);
        CU_ASSERT(dprintf(fd, "sleep 60 & echo $! > %s; wait\n", pid_file) > 0);
        (void)close(fd);
        p = probe(spec);
        UNIT_FAILS(ts_probe_once(p, NULL, ts_deadline_in_ms(500), &err), TS_ETIMEOUT);
        UNIT_OK(ts_file_read(pid_file, 64, &text, &err));
        text.buf[strcspn(text.buf, "\n")] = '\0';
        UNIT_OK(ts_parse_u64(text.buf, 1, 1ULL << 31, &pid, &err));
        for (int i = 0; i < 100 && kill((pid_t)pid, 0) == 0; i++) { /* until init has reaped it */
                ts_auto_free char *stat = ts_fmt("/proc/%llu/stat", pid);
                ts_auto_str s = TS_STR_INIT;

                if (ts_file_read(stat, 4096, &s, NULL) == 0 && strstr(ts_str_cstr(&s), ") Z "))
                        break;
                ts_sleep_ms(10);
                CU_ASSERT(i < 99);
        }
        (void)unlink(script);
        (void)unlink(pid_file);
}

/* ---- until it answers ---- */

static void *start_later(void *arg)
{
        struct server *s = arg;

        ts_sleep_ms(300);
        CU_ASSERT_TRUE(listen_on(s, "127.0.0.1", s->port));
        return NULL;
}

static void until_it_answers(void)
{
        struct server s = { .fd = -1 };
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        ts_auto_err err = TS_ERR_INIT;
        pthread_t thread;
        uint64_t from_us, took_us;

        CU_ASSERT_TRUE(listen_on(&s, "127.0.0.1", 0)); /* a port that is free */
        (void)close(s.fd);
        p = probe_port("tcp://{host}:", s.port, "");
        CU_ASSERT_EQUAL(pthread_create(&thread, NULL, start_later, &s), 0);
        from_us = ts_now_us();
        UNIT_OK(ts_probe_until(p, "127.0.0.1", ts_deadline_in_ms(10000), &err));
        took_us = ts_now_us() - from_us;
        CU_ASSERT(took_us >= 290000 && within(took_us, 5000000));
        (void)pthread_join(thread, NULL);
        (void)close(s.fd);
        from_us = ts_now_us();
        CU_ASSERT_EQUAL(ts_probe_until(p, "127.0.0.1", ts_deadline_in_ms(200), &err), -1);
        took_us = ts_now_us() - from_us;
        CU_ASSERT_EQUAL(err.code, TS_ETIMEOUT);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "onnect")); /* and why */
        CU_ASSERT(took_us >= 200000 && within(took_us, 2000000));
        ts_err_clear(&err);
        UNIT_FAILS(ts_probe_until(p, NULL, ts_deadline_in_ms(60000), &err), TS_EUSAGE); /* will not get better */
        ts_stop_signal = SIGINT;
        UNIT_FAILS(ts_probe_until(p, "127.0.0.1", ts_deadline_in_ms(60000), &err), TS_ECANCELED);
        ts_stop_signal = 0;
}

/* ---- the client's view ---- */

static void the_gap(void)
{
        struct server s;
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        struct ts_prober *prober = NULL;
        struct ts_probe_stats stats;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t closed_us;
        unsigned port;

        server_start(&s, "127.0.0.1", 0, "hello");
        port = s.port;
        p = probe_port("tcp://127.0.0.1:", port, "");
        UNIT_OK(ts_prober_start(p, NULL, NULL, &prober, &err));
        ts_sleep_ms(300);
        closed_us = ts_now_us();
        server_stop(&s);
        ts_sleep_ms(400);
        server_start(&s, "127.0.0.1", port, "hello");
        ts_sleep_ms(300);
        ts_prober_stop(prober, &stats);
        server_stop(&s);
        UNIT_STR(stats.kind, "tcp");
        CU_ASSERT_EQUAL(stats.sent, stats.answered + stats.failed);
        CU_ASSERT(stats.answered > 5 && stats.failed > 5);
        CU_ASSERT(stats.longest_gap_us >= 380000 && within(stats.longest_gap_us, 2000000));
        CU_ASSERT(stats.gap_start_us + 200000 > closed_us && within(stats.gap_start_us + 200000 - closed_us, 400000));
}

/* A try that hangs is not waited for much longer than answers took: the service is back before a lost packet would be sent again. */
static void what_hangs_is_given_up(void)
{
        static const char fine[] = "HTTP/1.0 200 OK\r\n\r\n";
        struct server s;
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        struct ts_prober *prober = NULL;
        struct ts_probe_stats stats;
        ts_auto_err err = TS_ERR_INIT;

        server_start(&s, "127.0.0.1", 0, fine);
        p = probe_port("http://127.0.0.1:", s.port, "/");
        UNIT_OK(ts_prober_start(p, NULL, NULL, &prober, &err));
        ts_sleep_ms(300);
        __atomic_store_n(&s.answer, NULL, __ATOMIC_SEQ_CST);
        ts_sleep_ms(300);
        __atomic_store_n(&s.answer, fine, __ATOMIC_SEQ_CST);
        ts_sleep_ms(1500);
        ts_prober_stop(prober, &stats);
        server_stop(&s);
        CU_ASSERT(stats.longest_gap_us >= 250000 && within(stats.longest_gap_us, 900000));
}

static void nobody_ever_answers(void)
{
        ts_auto(ts_probe) struct ts_probe *p = probe("exec:false"), *silent = NULL;
        struct ts_prober *prober = NULL;
        struct ts_probe_stats stats;
        struct server s;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t from_us = ts_now_us();

        UNIT_OK(ts_prober_start(p, NULL, NULL, &prober, &err));
        ts_sleep_ms(200);
        ts_prober_stop(prober, &stats);
        CU_ASSERT_EQUAL(stats.answered, 0);
        CU_ASSERT(stats.longest_gap_us >= 190000 && stats.gap_start_us >= from_us); /* from the start to the end */
        server_start(&s, "127.0.0.1", 0, NULL);
        silent = probe_port("http://127.0.0.1:", s.port, "/");
        UNIT_OK(ts_prober_start(silent, NULL, NULL, &prober, &err));
        ts_sleep_ms(50);
        from_us = ts_now_us();
        ts_prober_stop(prober, &stats); /* in the middle of a try that hangs: not a second longer */
        CU_ASSERT(within(ts_now_us() - from_us, 700000));
        server_stop(&s);
        ts_prober_stop(NULL, &stats);
        CU_ASSERT_EQUAL(stats.sent, 0);
}

/* {host}: the service goes from one address to the other while a try at the first one hangs. */
static void both_sides(void)
{
        struct server source, target;
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        struct ts_prober *prober = NULL;
        struct ts_probe_stats stats;
        ts_auto_err err = TS_ERR_INIT;
        unsigned port;

        server_start(&source, "127.0.0.1", 0, "HTTP/1.1 200 OK\r\n\r\n");
        port = source.port;
        p = probe_port("http://{host}:", port, "/");
        UNIT_FAILS(ts_prober_start(p, "127.0.0.1", NULL, &prober, &err), TS_EUSAGE);
        UNIT_OK(ts_prober_start(p, "127.0.0.1", "127.0.0.2", &prober, &err));
        ts_sleep_ms(200);
        server_stop(&source);
        server_start(&source, "127.0.0.1", port, NULL); /* frozen: takes connections and says nothing */
        ts_sleep_ms(200);
        server_start(&target, "127.0.0.2", port, "HTTP/1.1 200 OK\r\n\r\n");
        ts_sleep_ms(400);
        ts_prober_stop(prober, &stats);
        server_stop(&source);
        server_stop(&target);
        CU_ASSERT(stats.answered > 10);
        CU_ASSERT(stats.longest_gap_us >= 180000 && within(stats.longest_gap_us, 900000)); /* the hanging try did not hide the target */
        CU_ASSERT_EQUAL(stats.sent, stats.answered + stats.failed);
}

static void answer_late(struct server *s, unsigned ms)
{
        __atomic_store_n(&s->late_ms, ms, __ATOMIC_SEQ_CST);
}

/* A service that takes longer from some point on than any answer did is seen again, though later. */
static void slower_than_ever(void)
{
        struct server s;
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        struct ts_prober *prober = NULL;
        struct ts_probe_stats stats;
        ts_auto_err err = TS_ERR_INIT;

        server_start(&s, "127.0.0.1", 0, "HTTP/1.0 200 OK\r\n\r\n");
        p = probe_port("http://127.0.0.1:", s.port, "/");
        UNIT_OK(ts_prober_start(p, NULL, NULL, &prober, &err));
        ts_sleep_ms(300);
        answer_late(&s, 150);
        ts_sleep_ms(12000);
        ts_prober_stop(prober, &stats);
        server_stop(&s);
        CU_ASSERT(stats.longest_gap_us >= 1000000 && within(stats.longest_gap_us, 11000000));
}

/* No connection of ours is there while it pauses, and what is measured goes on. */
static void a_pause(void)
{
        struct server s;
        ts_auto(ts_probe) struct ts_probe *p = NULL;
        struct ts_prober *prober = NULL;
        struct ts_probe_stats stats;
        ts_auto_err err = TS_ERR_INIT;
        unsigned before, during;

        ts_prober_pause(NULL);
        ts_prober_resume(NULL);
        server_start(&s, "127.0.0.1", 0, "HTTP/1.0 200 OK\r\n\r\n");
        p = probe_port("http://127.0.0.1:", s.port, "/");
        UNIT_OK(ts_prober_start(p, NULL, NULL, &prober, &err));
        ts_sleep_ms(300);
        ts_prober_pause(prober);
        before = atomic_load(&s.served);
        ts_sleep_ms(400);
        during = atomic_load(&s.served);
        ts_prober_resume(prober);
        ts_sleep_ms(300);
        ts_prober_stop(prober, &stats);
        CU_ASSERT_EQUAL(during, before);
        CU_ASSERT(before > 5 && atomic_load(&s.served) > during + 5);
        CU_ASSERT(stats.longest_gap_us >= 400000 && within(stats.longest_gap_us, 900000));
        server_stop(&s);
}

static CU_TestInfo tests[] = { UNIT(good_specifications),
                               UNIT(bad_specifications),
                               UNIT(tcp),
                               UNIT(deadlines_are_kept),
                               UNIT(http_answers),
                               UNIT(http_requests),
                               UNIT(http_silence_and_noise),
                               UNIT(commands),
                               UNIT(commands_take_their_children_along),
                               UNIT(until_it_answers),
                               UNIT(the_gap), UNIT(what_hangs_is_given_up),
                               UNIT(nobody_ever_answers),
                               UNIT(both_sides),
                               UNIT(a_pause), UNIT(slower_than_ever),
                               CU_TEST_INFO_NULL };
UNIT_MAIN("probe", tests)
