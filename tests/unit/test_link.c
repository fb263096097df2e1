/* transfer/agent/link.c: whatever breaks, each program gets exactly what the other one wrote; and what comes in is bounded. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "transfer/agent/join.h"
#include "transfer/agent/link.h"
#include "transfer/agent/strand.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* ---- a strand that breaks ---- */

struct wire {
        int a, b;
        size_t lasts; /* bytes, in both directions together; SIZE_MAX: as long as its ends */
        bool mute;    /* then it goes silent instead, for the one at b */
        pthread_t thread;
};

static bool pass(struct wire *w, int from, int to)
{
        char buf[8192];
        ssize_t n = recv(from, buf, w->lasts < sizeof(buf) ? w->lasts : sizeof(buf), MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
                return true;
        if (n <= 0 || ts_write_all(to, buf, (size_t)n, 0, false, NULL) < 0)
                return false;
        if (w->lasts != SIZE_MAX)
                w->lasts -= (size_t)n;
        return w->lasts > 0;
}

static void *carry(void *arg)
{
        struct wire *w = arg;

        for (bool goes = true; goes;) {
                struct pollfd p[2] = { { .fd = w->a, .events = POLLIN }, { .fd = w->b, .events = POLLIN } };

                (void)poll(p, 2, -1);
                if (p[0].revents)
                        goes = pass(w, w->a, w->b);
                if (goes && p[1].revents)
                        goes = pass(w, w->b, w->a);
        }
        (void)close(w->a);
        if (w->mute) { /* b never hears of the end: its side is told by the other link */
                struct pollfd p = { .fd = w->b, .events = 0 };

                while (poll(&p, 1, -1) <= 0 || !(p.revents & POLLHUP))
                        ;
        }
        (void)close(w->b);
        return NULL;
}

struct pair {
        struct ts_link *a, *b;
        struct ts_duplex *io_a, *io_b;
        struct wire wires[256];
        size_t n;
};

static void connect_pair(struct pair *p, unsigned patience_ms)
{
        ts_auto_err err = TS_ERR_INIT;

        *p = (struct pair){ 0 };
        UNIT_OK(ts_link_new(&(struct ts_link_opts){ .names = true, .listen_fd = -1, .patience_ms = patience_ms }, &p->a, &p->io_a, &err));
        UNIT_OK(ts_link_new(&(struct ts_link_opts){ .listen_fd = -1, .patience_ms = patience_ms }, &p->b, &p->io_b, &err));
}

static void add_wire(struct pair *p, size_t lasts, bool mute)
{
        int left[2], right[2];
        struct wire *w = &p->wires[p->n];
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_TRUE_FATAL(p->n < TS_ARRAY_LEN(p->wires));
        p->n++;
        UNIT_OK(ts_socketpair(left, &err));
        UNIT_OK(ts_socketpair(right, &err));
        *w = (struct wire){ .a = left[1], .b = right[0], .lasts = lasts, .mute = mute };
        CU_ASSERT_EQUAL_FATAL(pthread_create(&w->thread, NULL, carry, w), 0);
        (void)ts_link_add(p->a, left[0], left[0], -1, NULL); /* it may be over by now */
        (void)ts_link_add(p->b, right[1], right[1], -1, NULL);
}

static void end_pair(struct pair *p)
{
        ts_duplex_close(TS_TAKE(p->io_a));
        ts_duplex_close(TS_TAKE(p->io_b));
        ts_link_end(p->a, 5000);
        ts_link_end(p->b, 5000);
        ts_link_free(p->a);
        ts_link_free(p->b);
        for (size_t i = 0; i < p->n; i++)
                (void)pthread_join(p->wires[i].thread, NULL);
}

/* ---- what the programs say ---- */

struct stream {
        struct ts_duplex *io;
        size_t len;
        uint64_t seed;
        bool right; /* what was read is what should come */
        pthread_t thread;
};

static uint64_t next_random(uint64_t *x)
{
        *x ^= *x << 13;
        *x ^= *x >> 7;
        return *x ^= *x << 17;
}

static void *say(void *arg)
{
        struct stream *s = arg;
        uint64_t x = s->seed, sizes = ~s->seed, buf[4096];

        for (size_t left = s->len; left;) {
                size_t n = 8 * (1 + next_random(&sizes) % TS_ARRAY_LEN(buf));

                if (next_random(&sizes) % 4)
                        n = 8 + n % 64;
                if (n > left)
                        n = left;
                for (size_t i = 0; i < n / 8; i++)
                        buf[i] = next_random(&x);
                if (ts_duplex_write(s->io, NULL, 0, buf, n, 0, false, NULL) < 0)
                        return NULL;
                left -= n;
        }
        ts_duplex_end(s->io);
        return NULL;
}

static void *hear(void *arg)
{
        struct stream *s = arg;
        uint64_t x = s->seed, buf[1024];
        size_t len = 0;

        s->right = true;
        while (len < s->len && s->right) {
                size_t n = s->len - len < sizeof(buf) ? s->len - len : sizeof(buf);

                if (ts_duplex_read_exact(s->io, buf, n, 0, false, NULL) < 0)
                        s->right = false;
                for (size_t i = 0; i < n / 8 && s->right; i++)
                        s->right = buf[i] == next_random(&x);
                len += n;
        }
        s->right = s->right && ts_duplex_read(s->io, buf, 1, 0, false, NULL) == 0;
        return NULL;
}

/* Both say so much, through strands that last so long each. */
static void talk(struct pair *p, size_t len, unsigned strands, size_t lasts, uint64_t seed)
{
        struct stream s[4] = { { .io = p->io_a, .len = len, .seed = seed },
                               { .io = p->io_b, .len = len, .seed = seed },
                               { .io = p->io_b, .len = len / 2, .seed = seed + 1 },
                               { .io = p->io_a, .len = len / 2, .seed = seed + 1 } };
        struct ts_link_state st = { 0 };
        uint64_t x = seed + 2;

        for (size_t i = 0; i < 4; i++)
                CU_ASSERT_EQUAL_FATAL(pthread_create(&s[i].thread, NULL, i % 2 ? hear : say, &s[i]), 0);
        do {
                for (unsigned i = st.strands; i < strands && !st.ending; i++)
                        add_wire(p, lasts == SIZE_MAX ? lasts : lasts / 2 + next_random(&x) % lasts, next_random(&x) % 2);
                ts_sleep_ms(1);
                st.strands = UINT32_MAX;
                ts_link_watch(p->a, 0, &st);
        } while (!st.over && !(st.ending && lasts != SIZE_MAX) && lasts != SIZE_MAX);
        if (lasts != SIZE_MAX) /* the rest on one that lasts */
                add_wire(p, SIZE_MAX, false);
        for (size_t i = 0; i < 4; i++)
                (void)pthread_join(s[i].thread, NULL);
        CU_ASSERT_TRUE(s[1].right);
        CU_ASSERT_TRUE(s[3].right);
}

static void one_strand(void)
{
        struct pair p;

        connect_pair(&p, 5000);
        talk(&p, 20 * MIB, 1, SIZE_MAX, 1);
        end_pair(&p);
}

static void several_strands(void)
{
        struct pair p;

        connect_pair(&p, 5000);
        talk(&p, 40 * MIB, 5, SIZE_MAX, 2);
        end_pair(&p);
}

static void strands_that_break(void)
{
        unsigned lost = 0;

        for (unsigned i = 0; i < 6; i++) {
                struct pair p;
                struct ts_link_state st = { .strands = UINT32_MAX };

                connect_pair(&p, 5000);
                talk(&p, 24 * MIB, 1 + i % 3, 1 + MIB * (i % 2 ? 3 : 1), 3 + i);
                ts_link_watch(p.a, 0, &st);
                lost += st.lost;
                end_pair(&p);
        }
        CU_ASSERT_TRUE(lost > 6); /* not in each of them: the rest may find the way that lasts first */
}

/* ---- the end ---- */

static bool at_end(struct ts_duplex *io)
{
        char c;

        return ts_duplex_read(io, &c, 1, ts_deadline_in_ms(20000), false, NULL) == 0;
}

static void nobody_joins(void)
{
        struct pair p;

        connect_pair(&p, 50);
        CU_ASSERT_TRUE(at_end(p.io_a));
        CU_ASSERT_TRUE(at_end(p.io_b));
        end_pair(&p);
        connect_pair(&p, 0);
        CU_ASSERT_TRUE(at_end(p.io_a));
        end_pair(&p);
}

/* Strands that come and go without carrying anything are no reason to go on waiting. */
static void flapping_is_no_life(void)
{
        struct pair p;
        struct ts_link_state st = { .strands = UINT32_MAX };

        connect_pair(&p, 300);
        (void)ts_duplex_write(p.io_a, NULL, 0, "something", 9, 0, false, NULL);
        for (unsigned i = 0; i < 100 && !st.over; i++) {
                add_wire(&p, 1, false);
                ts_sleep_ms(30);
                st.strands = UINT32_MAX;
                ts_link_watch(p.a, 0, &st);
        }
        CU_ASSERT_TRUE(st.over);
        end_pair(&p);
}

static void forsaken(void)
{
        struct pair p;

        connect_pair(&p, 60000);
        add_wire(&p, 100, false);
        (void)ts_duplex_write(p.io_a, NULL, 0, (char[200]){ 0 }, 200, 0, false, NULL);
        ts_link_forsake(p.a, true);
        CU_ASSERT_TRUE(at_end(p.io_a));
        ts_link_patience(p.b, 10);
        end_pair(&p);
}

/* The other program is gone: what is written still goes away, and the end is seen. */
static void one_side_leaves(void)
{
        struct pair p;
        ts_auto_free char *much = calloc(1, 20 * MIB);

        connect_pair(&p, 60000);
        add_wire(&p, SIZE_MAX, false);
        ts_duplex_close(TS_TAKE(p.io_b));
        CU_ASSERT_EQUAL(ts_duplex_write(p.io_a, NULL, 0, much, 20 * MIB, ts_deadline_in_ms(20000), false, NULL), 0);
        CU_ASSERT_TRUE(at_end(p.io_a));
        end_pair(&p);
}

/* ---- hostile ---- */

/* As an agent has it, with one strand whose other end is the test's. */
struct lone {
        struct ts_link *l;
        struct ts_duplex *io;
        int strand;
};

static struct lone lone_new(void)
{
        struct lone x = { 0 };
        int pair[2];
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_link_new(&(struct ts_link_opts){ .closes_both = true, .listen_fd = -1, .patience_ms = 60000 }, &x.l, &x.io, &err));
        UNIT_OK(ts_socketpair(pair, &err));
        UNIT_OK(ts_link_add(x.l, pair[0], pair[0], -1, &err));
        x.strand = pair[1];
        return x;
}

static void lone_free(struct lone *x)
{
        ts_duplex_close(x->io);
        ts_link_free(x->l);
        (void)close(x->strand);
}

static void put(int fd, enum ts_block_kind kind, uint64_t at, uint32_t len)
{
        unsigned char head[TS_BLOCK_HEAD];
        static const char data[64];
        const uint32_t words[2] = { kind, len };

        memcpy(head, words, 8); /* these tests run on little-endian machines */
        memcpy(head + 8, &at, 8);
        (void)send(fd, head, sizeof(head), MSG_NOSIGNAL);
        if (len && len <= sizeof(data))
                (void)send(fd, data, len, MSG_NOSIGNAL);
}

static void nonsense(void)
{
        static const struct {
                enum ts_block_kind kind;
                uint64_t at;
                uint32_t len;
        } bad[][2] = {
                { { 0, 0, 0 } },
                { { 6, 0, 0 } },
                { { TS_BLOCK_DATA, 0, TS_BLOCK_MAX + 1 } },
                { { TS_BLOCK_DATA, 0, UINT32_MAX } },
                { { TS_BLOCK_DATA, 0, 0 } },
                { { TS_BLOCK_ACK, 0, 8 } },
                { { TS_BLOCK_ACK, 1, 0 } },
                { { TS_BLOCK_DATA, UINT64_MAX, 8 } },
                { { TS_BLOCK_DATA, UINT64_MAX - 7, 8 } },
                { { TS_BLOCK_DATA, 2 * TS_LINK_WINDOW, 8 } },
                { { TS_BLOCK_DATA, 100, 16 }, { TS_BLOCK_DATA, 108, 16 } },
                { { TS_BLOCK_DATA, 108, 16 }, { TS_BLOCK_DATA, 100, 16 } },
                { { TS_BLOCK_OPEN, 1, 0 }, { TS_BLOCK_OPEN, 2, 0 } },
                { { TS_BLOCK_OPEN, UINT64_MAX, 0 } },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                struct lone x = lone_new();

                for (size_t k = 0; k < 2; k++)
                        if (k == 0 || bad[i][k].kind)
                                put(x.strand, bad[i][k].kind, bad[i][k].at, bad[i][k].len);
                CU_ASSERT_TRUE(at_end(x.io));
                lone_free(&x);
        }
}

/* Gaps everywhere: bounded. */
static void too_many_pieces(void)
{
        struct lone x = lone_new();

        for (uint64_t i = 1; i < 1200; i++)
                put(x.strand, TS_BLOCK_DATA, 2 * i, 1);
        CU_ASSERT_TRUE(at_end(x.io));
        lone_free(&x);
}

/* The other side has ended and is gone: not waited for, whatever did not come. */
static void its_end_is_the_end(void)
{
        struct lone x = lone_new();

        put(x.strand, TS_BLOCK_OPEN, 1, 0);
        put(x.strand, TS_BLOCK_END, 100, 0); /* what was before is missing */
        (void)shutdown(x.strand, SHUT_RDWR);
        CU_ASSERT_TRUE(at_end(x.io));
        lone_free(&x);
}

/* ---- joining ---- */

static void joined(void)
{
        char name[TS_JOIN_NAME_MAX], other[TS_JOIN_NAME_MAX];
        int in[2], out[2], fds[2], conn, listening, status;
        ts_auto_err err = TS_ERR_INIT;
        pid_t pid;
        char c = 0;

        listening = ts_join_listen("20261120-161502-3fa9c1", name, &err);
        CU_ASSERT_TRUE_FATAL(listening >= 0);
        UNIT_OK(ts_pipe(in, &err));
        UNIT_OK(ts_pipe(out, &err));
        pid = fork();
        if (pid == 0) {
                (void)dup2(in[0], STDIN_FILENO);
                (void)dup2(out[1], STDOUT_FILENO);
                _exit(ts_join_main(name));
        }
        CU_ASSERT_TRUE(poll(&(struct pollfd){ .fd = listening, .events = POLLIN }, 1, 20000) == 1);
        CU_ASSERT_EQUAL_FATAL(ts_join_accept(listening, fds, &conn), 0);
        (void)!write(in[1], "i", 1);
        CU_ASSERT_EQUAL(read(fds[0], &c, 1), 1);
        CU_ASSERT_EQUAL(c, 'i');
        (void)!write(fds[1], "o", 1);
        CU_ASSERT_EQUAL(read(out[0], &c, 1), 1);
        CU_ASSERT_EQUAL(c, 'o');
        (void)close(conn);
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT_EQUAL(status, 0);
        (void)close(listening);
        CU_ASSERT_EQUAL(ts_join_main(name), TS_JOIN_GONE); /* as if it had been killed */
        listening = ts_join_listen(NULL, other, &err);           /* which sweeps */
        CU_ASSERT_TRUE_FATAL(listening >= 0);
        CU_ASSERT_EQUAL(ts_join_main(name), TS_JOIN_GONE);
        (void)close(listening);
        ts_join_forget(other);
        CU_ASSERT_EQUAL(ts_join_main(other), TS_JOIN_GONE);
        CU_ASSERT_EQUAL(ts_join_main("join-../x"), 2);
        CU_ASSERT_EQUAL(ts_join_main("somebody-else"), 2);
        for (size_t i = 0; i < 2; i++) {
                (void)close(in[i]);
                (void)close(out[i]);
                (void)close(fds[i]);
        }
}

/* Of one that died before it was at its address: gone once it is old enough, not before. */
static void hidden_ones_are_swept(void)
{
        const struct timespec old[2] = { { .tv_sec = time(NULL) - 90 }, { .tv_sec = time(NULL) - 90 } };
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        ts_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char exe[sizeof(a.sun_path)] = { 0 }, *slash;

        CU_ASSERT_FATAL(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
        slash = strrchr(exe, '/');
        CU_ASSERT_PTR_NOT_NULL_FATAL(slash);
        *slash = '\0';
        CU_ASSERT_FATAL((size_t)snprintf(a.sun_path, sizeof(a.sun_path), "%s/.join-dead", exe) < sizeof(a.sun_path));
        (void)unlink(a.sun_path);
        CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
        ts_join_sweep();
        CU_ASSERT_EQUAL(access(a.sun_path, F_OK), 0);
        CU_ASSERT_EQUAL_FATAL(utimensat(AT_FDCWD, a.sun_path, old, 0), 0);
        ts_join_sweep();
        CU_ASSERT_NOT_EQUAL(access(a.sun_path, F_OK), 0);
        (void)unlink(a.sun_path);
}

static CU_TestInfo tests[] = {
        UNIT(one_strand), UNIT(several_strands), UNIT(strands_that_break), UNIT(nobody_joins),    UNIT(flapping_is_no_life),
        UNIT(forsaken),   UNIT(one_side_leaves), UNIT(nonsense),           UNIT(too_many_pieces), UNIT(its_end_is_the_end),
        UNIT(joined),     UNIT(hidden_ones_are_swept), CU_TEST_INFO_NULL
};
UNIT_MAIN("link", tests)
