/* transfer/agent/squeeze.c: what goes in comes out, at once; what ends in the middle, goes on after its end or is no such stream is said to be so. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "transfer/agent/squeeze.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ts_err err = TS_ERR_INIT;

static char *make(size_t len, unsigned noise)
{
        char *p = malloc(len + 1);

        for (size_t i = 0; i < len; i++)
                p[i] = (char)(noise ? (noise = noise * 1103515245 + 12345) >> 16 : i / 1000);
        return p;
}

static int collect(void *ctx, const void *data, size_t len, struct ts_err *e)
{
        return ts_str_add(ctx, data, len, e);
}

static void pack_all(const char *data, size_t len, struct ts_str *ret)
{
        ts_auto(ts_packer) struct ts_packer *p = NULL;

        UNIT_OK(ts_packer_new(collect, ret, &p, &err));
        UNIT_OK(ts_packer_write(p, data, len, false, &err));
        UNIT_OK(ts_packer_end(p, &err));
}

struct job {
        int in_fd, out_fd, rc;
        enum ts_squeeze how;
        struct ts_err err;
};

static void *work(void *arg)
{
        struct job *j = arg;

        j->rc = ts_squeeze(j->in_fd, j->out_fd, j->how, &j->err);
        (void)shutdown(j->out_fd, SHUT_WR);
        return NULL;
}

/* Through a squeeze, from the begin to the end; its code. */
static enum ts_code through(enum ts_squeeze how, const char *data, size_t len, struct ts_str *ret)
{
        int in[2], out[2];
        struct job j = { .how = how, .err = TS_ERR_INIT };
        pthread_t thread;
        enum ts_code code;

        UNIT_OK(ts_socketpair(in, &err));
        UNIT_OK(ts_socketpair(out, &err));
        j.in_fd = in[1];
        j.out_fd = out[1];
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, work, &j), 0);
        /* in pieces that fit: what comes out is read between them */
        for (size_t at = 0; at < len;) {
                char buf[65536];
                ssize_t n = send(in[0], data + at, len - at < 4096 ? len - at : 4096, MSG_DONTWAIT | MSG_NOSIGNAL);

                at += n > 0 ? (size_t)n : 0;
                if (n < 0 && errno != EAGAIN)
                        break;
                while ((n = recv(out[0], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
                        UNIT_OK(ts_str_add(ret, buf, (size_t)n, &err));
        }
        (void)shutdown(in[0], SHUT_WR);
        UNIT_OK(ts_read_to_end(out[0], ret, ts_deadline_in_ms(20000), &err));
        CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
        code = j.rc < 0 ? j.err.code : TS_OK;
        ts_err_clear(&j.err);
        for (int i = 0; i < 2; i++) {
                (void)close(in[i]);
                (void)close(out[i]);
        }
        return code;
}

static bool same(const struct ts_str *s, const char *data, size_t len)
{
        return s->len == len && (len == 0 || memcmp(s->buf, data, len) == 0);
}

static void there_and_back(void)
{
        static const size_t sizes[] = { 0, 1, 4096, 262144, 262145, 3000000 };

        for (size_t i = 0; i < TS_ARRAY_LEN(sizes); i++)
                for (unsigned noise = 0; noise < 2; noise++) {
                        ts_auto_free char *data = make(sizes[i], noise);
                        ts_auto_str plain = TS_STR_INIT, packed = TS_STR_INIT, back = TS_STR_INIT, once = TS_STR_INIT;

                        CU_ASSERT_EQUAL(through(TS_SQUEEZE_PLAIN, data, sizes[i], &plain), TS_OK);
                        CU_ASSERT_TRUE(same(&plain, data, sizes[i]));
                        CU_ASSERT_EQUAL(through(TS_SQUEEZE_PACK, data, sizes[i], &packed), TS_OK);
                        CU_ASSERT_TRUE(packed.len > 0 && (noise || sizes[i] < 262144 || packed.len < sizes[i] / 10));
                        CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, packed.buf, packed.len, &back), TS_OK);
                        CU_ASSERT_TRUE(same(&back, data, sizes[i]));
                        back.len = 0;
                        pack_all(data, sizes[i], &once);
                        CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, once.buf, once.len, &back), TS_OK);
                        CU_ASSERT_TRUE(same(&back, data, sizes[i]));
                }
}

static void what_is_wrong(void)
{
        ts_auto_free char *data = make(100000, 7);
        ts_auto_str packed = TS_STR_INIT, two = TS_STR_INIT, more = TS_STR_INIT, out = TS_STR_INIT, nothing = TS_STR_INIT;

        pack_all(data, 100000, &packed);
        for (size_t cut = 0; cut < packed.len; cut += cut < 20 ? 1 : packed.len / 9) {
                out.len = 0;
                CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, packed.buf, cut, &out), TS_EPROTO);
                CU_ASSERT_TRUE(out.len < 100000 || cut + 4 >= packed.len); /* all but its sum */
        }
        UNIT_OK(ts_str_add(&more, packed.buf, packed.len, &err));
        UNIT_OK(ts_str_add(&more, "x", 1, &err));
        CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, more.buf, more.len, &out), TS_EPROTO);
        UNIT_OK(ts_str_add(&two, packed.buf, packed.len, &err));
        UNIT_OK(ts_str_add(&two, packed.buf, packed.len, &err));
        CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, two.buf, two.len, &out), TS_EPROTO);
        CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, data, 1000, &nothing), TS_EPROTO);
        CU_ASSERT_EQUAL(nothing.len, 0);
        for (size_t at = 0; at < packed.len; at += packed.len / 50 + 1) { /* a bit that turned over: the sum sees it */
                packed.buf[at] ^= 0x10;
                CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, packed.buf, packed.len, &out), TS_EPROTO);
                packed.buf[at] ^= 0x10;
        }
}

/* A window of a gigabyte is what a hostile stream would have us take. */
static void a_large_window(void)
{
        static const char head[] = { (char)0x28, (char)0xb5, 0x2f, (char)0xfd, 0x00, (char)0xa0, 0x01, 0x00, 0x00 };
        ts_auto_str out = TS_STR_INIT;

        CU_ASSERT_EQUAL(through(TS_SQUEEZE_UNPACK, head, sizeof(head), &out), TS_EPROTO);
        CU_ASSERT_EQUAL(out.len, 0);
}

/* A peer that waits for what was said gets it, though more may come. */
static void nothing_is_held_back(void)
{
        int in[2], middle[2], out[2];
        struct job pack = { .how = TS_SQUEEZE_PACK, .err = TS_ERR_INIT }, unpack = { .how = TS_SQUEEZE_UNPACK, .err = TS_ERR_INIT };
        pthread_t threads[2];
        char buf[16];

        UNIT_OK(ts_socketpair(in, &err));
        UNIT_OK(ts_socketpair(middle, &err));
        UNIT_OK(ts_socketpair(out, &err));
        pack.in_fd = in[1];
        pack.out_fd = middle[0];
        unpack.in_fd = middle[1];
        unpack.out_fd = out[1];
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[0], NULL, work, &pack), 0);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[1], NULL, work, &unpack), 0);
        for (unsigned i = 0; i < 20; i++) {
                UNIT_OK(ts_write_all(in[0], "request", 7, ts_deadline_in_ms(5000), false, &err));
                UNIT_OK(ts_read_exact(out[0], buf, 7, ts_deadline_in_ms(10000), false, &err));
        }
        (void)shutdown(in[0], SHUT_WR);
        CU_ASSERT_EQUAL(ts_read_some(out[0], buf, 1, ts_deadline_in_ms(10000), false, &err), 0);
        for (size_t i = 0; i < 2; i++)
                CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT_TRUE(pack.rc == 0 && unpack.rc == 0);
        for (int i = 0; i < 2; i++) {
                (void)close(in[i]);
                (void)close(middle[i]);
                (void)close(out[i]);
        }
}

/* Nobody takes it any more. */
static void the_other_side_is_gone(void)
{
        static const enum ts_squeeze ways[] = { TS_SQUEEZE_PLAIN, TS_SQUEEZE_PACK };

        for (size_t i = 0; i < TS_ARRAY_LEN(ways); i++) {
                int in[2], out[2];

                UNIT_OK(ts_socketpair(in, &err));
                UNIT_OK(ts_socketpair(out, &err));
                (void)close(out[0]);
                UNIT_OK(ts_write_all(in[0], "x", 1, ts_deadline_in_ms(5000), false, &err));
                UNIT_FAILS(ts_squeeze(in[1], out[1], ways[i], &err), TS_ECONNECT);
                (void)close(in[0]);
                (void)close(in[1]);
                (void)close(out[1]);
        }
}

static CU_TestInfo tests[] = { UNIT(there_and_back), UNIT(what_is_wrong), UNIT(a_large_window), UNIT(nothing_is_held_back), UNIT(the_other_side_is_gone), CU_TEST_INFO_NULL };
UNIT_MAIN("squeeze", tests)
