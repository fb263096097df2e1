/* Packed connections to a socket of a host: what goes in comes out in both directions, and an end in the middle is one for the caller, too. */
#include "frame.h"

#include "transfer/packed.h"
#include "transfer/ship.h"

#include <sys/socket.h>
#include <unistd.h>

#define AGENT "pgrep --ns $$ --nslist pid -f '^/var/lib/tranship/agent/[0-9a-f]* dial '"
#define DEADLINE ts_deadline_in_ms(30000)

static const enum ts_packed_way ways[] = { TS_PACKED_UP, TS_PACKED_DOWN };

static char *installed(struct ts_host *h)
{
        char *path = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_agent_install(h, &path, &err));
        return path;
}

static void nobody_is_left(struct ts_host *h)
{
        ts_auto_err err = TS_ERR_INIT;

        lab_shell("for i in $(seq 300); do " AGENT " >/dev/null || exit 0; sleep 0.1; done; exit 1");
        OK(ts_agent_uninstall(h, &err));
        ts_host_free(h);
}

static void packed_talk(void)
{
        struct ts_host *h = lab_connect("box");
        const char *path = lab_path("echo.sock");
        ts_auto_free char *agent = installed(h);
        struct echo *e = echo_start(path);
        uint64_t len = is_slow() ? 300001 : 5000001;
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(ways); i++) {
                ts_auto(ts_packed) struct ts_packed *p = NULL;
                ts_auto_fd int fd = -1;
                struct writer *w;

                OK(ts_packed_dial(h, agent, path, ways[i], &p, &fd, &err));
                w = writer_start(fd, len);
                CU_ASSERT_EQUAL(read_pattern(fd, 60000), len); /* the echo ends after the half-close, and so does this */
                CU_ASSERT(writer_join(w));
        }
        echo_stop(e);
        nobody_is_left(h);
}

/* Zeros hardly travel, in the direction that is packed. */
static void packed_small(void)
{
        struct ts_host *h = lab_connect("box");
        const char *path = lab_path("echo.sock");
        ts_auto_free char *agent = installed(h);
        struct echo *e = echo_start(path);
        const size_t len = 100000; /* as much as lies between the ends */
        ts_auto_free char *zeros = calloc(1, len), *back = malloc(len);
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(ways); i++) {
                ts_auto(ts_packed) struct ts_packed *p = NULL;
                ts_auto_fd int fd = -1;
                uint64_t sent[2], received[2];

                OK(ts_packed_dial(h, agent, path, ways[i], &p, &fd, &err));
                ts_host_wire(h, &sent[0], &received[0]);
                OK(ts_write_all(fd, zeros, len, DEADLINE, false, &err));
                OK(ts_read_exact(fd, back, len, DEADLINE, false, &err)); /* though more may come */
                ts_host_wire(h, &sent[1], &received[1]);
                CU_ASSERT_TRUE(!memcmp(zeros, back, len));
                CU_ASSERT_EQUAL(ways[i] == TS_PACKED_UP, sent[1] - sent[0] < len / 10);
                CU_ASSERT_EQUAL(ways[i] == TS_PACKED_DOWN, received[1] - received[0] < len / 10);
        }
        echo_stop(e);
        nobody_is_left(h);
}

static void packed_nobody(void)
{
        struct ts_host *h = lab_connect("box");
        ts_auto_free char *agent = installed(h);
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(ways); i++) {
                ts_auto(ts_packed) struct ts_packed *p = NULL;
                ts_auto_fd int fd = -1;
                char c;

                OK(ts_packed_dial(h, agent, lab_path("nobody.sock"), ways[i], &p, &fd, &err));
                CU_ASSERT(ts_read_some(fd, &c, 1, DEADLINE, false, &err) <= 0);
                ts_err_clear(&err);
        }
        nobody_is_left(h);
}

/* Given up with data under way, before or after the caller's end is closed. */
static void packed_given_up(void)
{
        struct ts_host *h = lab_connect("box");
        const char *path = lab_path("echo.sock");
        ts_auto_free char *agent = installed(h);
        struct echo *e = echo_start(path);
        ts_auto_free char *block = calloc(1, 1 << 20);
        ts_auto_err err = TS_ERR_INIT;

        for (unsigned i = 0; i < 8; i++) {
                struct ts_packed *p = NULL;
                ts_auto_fd int fd = -1;
                uint64_t start_us;

                OK(ts_packed_dial(h, agent, path, ways[i % 2], &p, &fd, &err));
                if (i / 2)
                        OK(ts_write_all(fd, block, (size_t)1 << (8 + 4 * (i / 2)), DEADLINE, false, &err));
                if (i & 4)
                        ts_closep(&fd);
                start_us = ts_now_us();
                ts_packed_free(p);
                CU_ASSERT(ms_since(start_us) < (is_slow() ? 30000 : 4000));
        }
        ts_packed_free(NULL);
        echo_stop(e);
        nobody_is_left(h);
}

/* The connection breaks, or the program there ends, while something is on its way: the caller sees it. */
static void packed_broken(void)
{
        static const char *const kill[] = { "kill -KILL $(" AGENT ")", "kill -KILL $(ps -o ppid= -p $(" AGENT "))" };

        for (size_t i = 0; i < TS_ARRAY_LEN(kill) * TS_ARRAY_LEN(ways); i++) {
                struct ts_host *h = lab_connect("box");
                const char *path = lab_path("echo.sock");
                ts_auto_free char *agent = installed(h);
                struct echo *e = echo_start(path);
                struct ts_packed *p = NULL;
                ts_auto_fd int fd = -1;
                ts_auto_err err = TS_ERR_INIT;
                char buf[4];

                OK(ts_packed_dial(h, agent, path, ways[i % 2], &p, &fd, &err));
                OK(ts_write_all(fd, "ping", 4, DEADLINE, false, &err));
                OK(ts_read_exact(fd, buf, 4, DEADLINE, false, &err));
                lab_shell(kill[i / 2]);
                CU_ASSERT(ts_read_some(fd, buf, 1, DEADLINE, false, &err) <= 0);
                ts_err_clear(&err);
                while (ts_write_all(fd, buf, sizeof(buf), DEADLINE, false, &err) == 0) /* nobody takes it */
                        ;
                CU_ASSERT_EQUAL(err.code, TS_ECONNECT);
                ts_err_clear(&err);
                ts_packed_free(p);
                echo_stop(e);
                nobody_is_left(h);
        }
}

const struct test_case packed_cases[] = { CASE(packed_talk), CASE(packed_small), CASE(packed_nobody), CASE(packed_given_up), CASE(packed_broken), CASES_END };
