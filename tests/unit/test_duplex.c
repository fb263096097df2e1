/* transfer/agent/duplex.c: each end reads exactly what the other one wrote, however it is handed on; nothing grows without bound, and every end is seen. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/agent/duplex.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#define MIB ((size_t)1 << 20)
#define DEADLINE ts_deadline_in_ms(20000)
#define AT_ONCE ((ts_deadline)1)

static struct ts_err err = TS_ERR_INIT;

static uint64_t next_random(uint64_t *x)
{
        *x ^= *x << 13;
        *x ^= *x >> 7;
        return *x ^= *x << 17;
}

static unsigned char byte_at(size_t i)
{
        return (unsigned char)(i ^ i >> 8 ^ i >> 16);
}

static bool ready(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) == 1;
}

/* What the descriptors and the functions say is the same. */
static void says(const struct ts_duplex *d, bool readable, bool writable)
{
        CU_ASSERT_EQUAL(ts_duplex_readable(d), readable);
        CU_ASSERT_EQUAL(ready(ts_duplex_in_fd(d)), readable);
        CU_ASSERT_EQUAL(ts_duplex_writable(d), writable);
        CU_ASSERT_EQUAL(ready(ts_duplex_out_fd(d)), writable);
}

static void put(struct ts_duplex *d, const char *s)
{
        UNIT_OK(ts_duplex_write(d, s, 1, s + 1, strlen(s) - 1, DEADLINE, false, &err));
}

static void get(struct ts_duplex *d, const char *s)
{
        char buf[64] = "";

        UNIT_OK(ts_duplex_read_exact(d, buf, strlen(s), DEADLINE, false, &err));
        CU_ASSERT_STRING_EQUAL(buf, s);
}

static void there_and_back(void)
{
        struct ts_duplex *d[2];
        char c;

        UNIT_OK(ts_duplex_new(d, &err));
        says(d[0], false, true);
        says(d[1], false, true);
        put(d[0], "one");
        put(d[0], "two");
        put(d[1], "three");
        says(d[0], true, true);
        says(d[1], true, true);
        get(d[1], "o");
        get(d[1], "net");
        says(d[1], true, true);
        get(d[1], "wo");
        says(d[1], false, true);
        get(d[0], "three");
        UNIT_FAILS((int)ts_duplex_read(d[0], &c, 1, AT_ONCE, false, &err), TS_ETIMEOUT);
        ts_duplex_close(d[0]);
        ts_duplex_close(d[1]);
}

static void ends(void)
{
        struct ts_duplex *d[2];
        struct ts_block *b;
        char c;

        UNIT_OK(ts_duplex_new(d, &err));
        put(d[0], "last");
        ts_duplex_end(d[0]);
        UNIT_FAILS(ts_duplex_write(d[0], NULL, 0, "x", 1, DEADLINE, false, &err), TS_ECONNECT);
        put(d[1], "not yet");
        get(d[1], "last");
        CU_ASSERT_EQUAL(ts_duplex_read(d[1], &c, 1, DEADLINE, false, &err), 0);
        UNIT_FAILS(ts_duplex_read_exact(d[1], &c, 1, DEADLINE, false, &err), TS_EPROTO);
        CU_ASSERT_EQUAL(ts_duplex_take(d[1], &b), -1);
        CU_ASSERT_EQUAL(ts_duplex_peek(d[1], &c, 1), -1);
        ts_duplex_close(d[1]);
        get(d[0], "not yet");
        CU_ASSERT_EQUAL(ts_duplex_read(d[0], &c, 1, DEADLINE, false, &err), 0);
        b = ts_block_new(TS_BLOCK_DATA, 0, "x", 1);
        CU_ASSERT_EQUAL(ts_duplex_give(d[0], b), -1);
        ts_block_free(b);
        says(d[0], true, true);
        ts_duplex_close(d[0]);
        ts_duplex_close(NULL);

        UNIT_OK(ts_duplex_new(d, &err));
        put(d[0], "before");
        ts_duplex_break(d[1]);
        UNIT_FAILS(ts_duplex_write(d[0], NULL, 0, "x", 1, DEADLINE, false, &err), TS_ECONNECT);
        UNIT_FAILS(ts_duplex_write(d[1], NULL, 0, "x", 1, DEADLINE, false, &err), TS_ECONNECT);
        get(d[1], "before");
        CU_ASSERT_EQUAL(ts_duplex_read(d[1], &c, 1, DEADLINE, false, &err), 0);
        CU_ASSERT_EQUAL(ts_duplex_read(d[0], &c, 1, DEADLINE, false, &err), 0);
        ts_duplex_close(d[0]);
        put(d[1], ""); /* nothing, to nobody */
        ts_duplex_close(d[1]);
}

/* Tiny pieces share blocks, and what waits is bounded by what it costs, not by what was written. */
static void bounded(void)
{
        static const size_t sizes[] = { 1, 100, 70000, 128 << 10, MIB };
        static char data[MIB];

        for (size_t i = 0; i < TS_ARRAY_LEN(sizes); i++) {
                struct ts_duplex *d[2];
                size_t written = 0;

                UNIT_OK(ts_duplex_new(d, &err));
                while (ts_duplex_writable(d[0]) && written < 4 * MIB) {
                        int rc = ts_duplex_write(d[0], NULL, 0, data, sizes[i], AT_ONCE, false, &err);

                        CU_ASSERT_TRUE(rc == 0 || err.code == TS_ETIMEOUT);
                        ts_err_clear(&err);
                        written += sizes[i];
                }
                CU_ASSERT_TRUE(written >= MIB / 2 && written <= 2 * MIB);
                says(d[0], false, false);
                says(d[1], true, true);
                UNIT_OK(ts_duplex_read_exact(d[1], data, MIB / 2, DEADLINE, false, &err));
                says(d[0], false, true);
                ts_duplex_close(d[0]);
                ts_duplex_close(d[1]);
        }
}

/* A head is never in two blocks, so that who looks for it finds it. */
static void peeking(void)
{
        struct ts_duplex *d[2];
        char *much = calloc(1, 3 * TS_BLOCK_MAX), buf[8], rest[64];

        UNIT_OK(ts_duplex_new(d, &err));
        CU_ASSERT_EQUAL(ts_duplex_peek(d[1], buf, 8), 0);
        for (unsigned i = 0; i < 4; i++) {
                UNIT_OK(ts_duplex_write(d[0], "small one", 9, "", 0, DEADLINE, false, &err));
                UNIT_OK(ts_duplex_write(d[0], "large one", 9, much, TS_BLOCK_MAX + i, DEADLINE, false, &err));
                CU_ASSERT_EQUAL(ts_duplex_peek(d[1], buf, 8), 1);
                CU_ASSERT_EQUAL(memcmp(buf, "small on", 8), 0);
                CU_ASSERT_EQUAL(ts_duplex_read(d[1], rest, 9, DEADLINE, false, &err), 9);
                CU_ASSERT_EQUAL(ts_duplex_peek(d[1], buf, 8), 1);
                CU_ASSERT_EQUAL(memcmp(buf, "large on", 8), 0);
                UNIT_OK(ts_duplex_read_exact(d[1], much, 9 + TS_BLOCK_MAX + i, DEADLINE, false, &err));
                memset(much, 0, 9);
        }
        put(d[0], "short");
        CU_ASSERT_EQUAL(ts_duplex_peek(d[1], buf, 8), -2);
        get(d[1], "short");
        ts_duplex_close(d[0]);
        ts_duplex_close(d[1]);
        free(much);
}

static void passing_on(void)
{
        struct ts_duplex *a[2], *b[2];
        struct ts_block *block = ts_block_roomy(), *same = NULL;
        char *much = calloc(1, 2 * MIB);

        UNIT_OK(ts_duplex_new(a, &err));
        UNIT_OK(ts_duplex_new(b, &err));
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 10), -1);
        CU_ASSERT_EQUAL(errno, EAGAIN);
        /* A part is copied, and the rest of it; a whole one is the same in the end */
        put(a[0], "0123456789");
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 4), 4);
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 100), 6);
        get(b[1], "0123456789");
        memset(block->data, 'x', 10000);
        block->len = 10000;
        CU_ASSERT_EQUAL(ts_duplex_give(a[0], block), 1);
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 10000), 10000);
        CU_ASSERT_EQUAL(ts_duplex_take(b[1], &same), 1);
        CU_ASSERT_PTR_EQUAL(same, block);
        ts_block_free(same);
        says(a[1], false, true);
        /* No room, nobody there, the end */
        CU_ASSERT_EQUAL(ts_duplex_write(b[0], NULL, 0, much, 2 * MIB, AT_ONCE, false, NULL), -1);
        put(a[0], "more");
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 4), -1);
        CU_ASSERT_EQUAL(errno, EAGAIN);
        CU_ASSERT_FALSE(ts_duplex_writable(b[0]));
        ts_duplex_close(b[1]);
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 4), -1);
        CU_ASSERT_EQUAL(errno, EPIPE);
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 2), -1);
        CU_ASSERT_EQUAL(errno, EPIPE);
        get(a[1], "more");
        ts_duplex_close(a[0]);
        CU_ASSERT_EQUAL(ts_duplex_pass(a[1], b[0], 4), 0);
        ts_duplex_close(a[1]);
        ts_duplex_close(b[0]);
        free(much);
}

/* One by one, as they come: the same as if they were written there. */
static void small_ones_together(void)
{
        struct ts_duplex *a[2], *b[2];
        struct ts_block *block;
        char piece[150] = "";
        size_t n = 0, blocks = 0;

        UNIT_OK(ts_duplex_new(a, &err));
        UNIT_OK(ts_duplex_new(b, &err));
        while (ts_duplex_writable(b[0]) && n < 100000) {
                UNIT_OK(ts_duplex_write(a[0], NULL, 0, piece, sizeof(piece), DEADLINE, false, &err));
                CU_ASSERT_EQUAL_FATAL(ts_duplex_pass(a[1], b[0], sizeof(piece)), sizeof(piece));
                n++;
        }
        for (; ts_duplex_take(b[1], &block) == 1; blocks++)
                ts_block_free(block);
        CU_ASSERT_TRUE(n > 5000 && blocks < 12);
        for (unsigned i = 0; i < 2; i++) {
                ts_duplex_close(a[i]);
                ts_duplex_close(b[i]);
        }
}

/* Also where nothing needs to be waited for. */
static void stopped(void)
{
        struct ts_duplex *d[2];
        char c;

        UNIT_OK(ts_duplex_new(d, &err));
        put(d[0], "something");
        ts_stop_signal = SIGINT;
        UNIT_FAILS((int)ts_duplex_read(d[1], &c, 1, DEADLINE, true, &err), TS_ECANCELED);
        UNIT_FAILS(ts_duplex_write(d[1], NULL, 0, "x", 1, DEADLINE, true, &err), TS_ECANCELED);
        CU_ASSERT_EQUAL(ts_duplex_read(d[1], &c, 1, DEADLINE, false, &err), 1);
        ts_stop_signal = 0;
        ts_duplex_close(d[0]);
        ts_duplex_close(d[1]);
}

/* ---- threads ---- */

struct runner {
        struct ts_duplex *from, *to;
        size_t len;
        uint64_t seed;
        bool right;
        pthread_t thread;
};

static size_t some(uint64_t *x, size_t most)
{
        size_t n = next_random(x) % 3 ? next_random(x) % 200 : next_random(x) % 300000;

        return n + 1 < most ? n + 1 : most;
}

static void *write_all(void *arg)
{
        struct runner *r = arg;
        unsigned char *buf = malloc(r->len);

        for (size_t i = 0; buf && i < r->len; i++)
                buf[i] = byte_at(i);
        r->right = buf;
        for (size_t i = 0; i < r->len && r->right;) {
                size_t n = some(&r->seed, r->len - i), head = n < 8 ? 0 : 8;

                r->right = ts_duplex_write(r->to, buf + i, head, buf + i + head, n - head, DEADLINE, false, NULL) == 0;
                i += n;
        }
        ts_duplex_end(r->to);
        free(buf);
        return NULL;
}

static void *pass_all(void *arg)
{
        struct runner *r = arg;
        ssize_t n;

        while ((n = ts_duplex_pass(r->from, r->to, some(&r->seed, SIZE_MAX))) != 0) {
                struct pollfd p = { .fd = ts_duplex_writable(r->to) ? ts_duplex_in_fd(r->from) : ts_duplex_out_fd(r->to),
                                    .events = POLLIN };

                if (n < 0 && errno != EAGAIN)
                        return NULL;
                if (n < 0)
                        (void)poll(&p, 1, -1);
        }
        ts_duplex_end(r->to);
        r->right = true;
        return NULL;
}

static void *read_all(void *arg)
{
        struct runner *r = arg;
        static _Thread_local unsigned char buf[50000];
        size_t got = 0;
        ssize_t n;

        r->right = true;
        while ((n = ts_duplex_read(r->from, buf, some(&r->seed, sizeof(buf)), DEADLINE, false, NULL)) > 0)
                for (ssize_t i = 0; i < n; i++)
                        r->right &= buf[i] == byte_at(got++);
        r->right &= n == 0 && got == r->len;
        return NULL;
}

/* Two ends, one in the middle, both directions at once. */
static void all_at_once(void)
{
        enum { LEN = 40 << 20 };
        struct ts_duplex *a[2], *b[2];
        void *(*const work[6])(void *) = { write_all, pass_all, read_all, write_all, pass_all, read_all };

        UNIT_OK(ts_duplex_new(a, &err));
        UNIT_OK(ts_duplex_new(b, &err));

        struct runner r[6] = { { .to = a[0] }, { .from = a[1], .to = b[0] }, { .from = b[1] },
                               { .to = b[1] }, { .from = b[0], .to = a[1] }, { .from = a[0] } };

        for (unsigned i = 0; i < 6; i++) {
                r[i].len = LEN;
                r[i].seed = 77 + i;
                CU_ASSERT_EQUAL_FATAL(pthread_create(&r[i].thread, NULL, work[i], &r[i]), 0);
        }
        for (unsigned i = 0; i < 6; i++) {
                (void)pthread_join(r[i].thread, NULL);
                CU_ASSERT_TRUE(r[i].right);
        }
        for (unsigned i = 0; i < 2; i++) {
                ts_duplex_close(a[i]);
                ts_duplex_close(b[i]);
        }
}

static void *close_late(void *arg)
{
        ts_sleep_ms(20);
        ts_duplex_close(arg);
        return NULL;
}

/* Who waits sees the end that comes meanwhile. */
static void woken(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct ts_duplex *d[2];
                pthread_t t;
                char c, *much = calloc(1, 2 * MIB);

                UNIT_OK(ts_duplex_new(d, &err));
                CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, close_late, d[1]), 0);
                if (i) {
                        CU_ASSERT_EQUAL(ts_duplex_read(d[0], &c, 1, DEADLINE, false, &err), 0);
                } else {
                        UNIT_FAILS(ts_duplex_write(d[0], NULL, 0, much, 2 * MIB, DEADLINE, false, &err), TS_ECONNECT);
                }
                (void)pthread_join(t, NULL);
                ts_duplex_close(d[0]);
                free(much);
        }
}

static CU_TestInfo tests[] = { UNIT(there_and_back),      UNIT(ends),    UNIT(bounded),     UNIT(peeking), UNIT(passing_on),
                               UNIT(small_ones_together), UNIT(stopped), UNIT(all_at_once), UNIT(woken),   CU_TEST_INFO_NULL };
UNIT_MAIN("duplex", tests)
