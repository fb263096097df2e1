/* transfer/agent/delta and patch: what one says, the other does; the result is the same files, and little travels. */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "transfer/agent/patch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGES(n) ((size_t)(n)*TS_PAGE)

static struct ts_err err = TS_ERR_INIT;
static uint64_t seed = 1;

static uint64_t rnd(void)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed;
}

/* A file of this content. */
static int file_of(const void *data, size_t len)
{
        int fd = memfd_create("test", MFD_CLOEXEC);

        CU_ASSERT_FATAL(fd >= 0 && pwrite(fd, data, len, 0) == (ssize_t)len);
        return fd;
}

/* Both sides, joined. */
struct pair {
        struct ts_delta *delta;
        struct ts_patch *patch;
        uint64_t steps, data_bytes;
};

static int carry(void *ctx, const struct ts_op *op, const void *data, struct ts_err *e)
{
        struct pair *p = ctx;

        p->steps++;
        p->data_bytes += op->kind == TS_OP_DATA ? op->len : 0;
        return ts_patch_step(p->patch, op, data, e);
}

static struct pair *pair_new(void)
{
        struct pair *p = calloc(1, sizeof(*p));

        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        p->delta = ts_delta_new(carry, p);
        p->patch = ts_patch_new(1U << 30, memfd_create("spill", MFD_CLOEXEC));
        CU_ASSERT_FATAL(p->delta && p->patch);
        return p;
}

static void pair_free(struct pair *p)
{
        ts_delta_free(p->delta);
        ts_patch_free(p->patch);
        free(p);
}

static void pair_add(struct pair *p)
{
        uint32_t a = 0, b = 0;

        UNIT_OK(ts_delta_add(p->delta, &a, &err));
        UNIT_OK(ts_patch_add(p->patch, memfd_create("held", MFD_CLOEXEC), &b, &err));
        CU_ASSERT_EQUAL(a, b);
}

static void check_held(struct pair *p, uint32_t file, const void *data, size_t len)
{
        ts_auto_free char *found = malloc(len + 1);
        CU_ASSERT_EQUAL(pread(ts_patch_fd(p->patch, file), found, len + 1, 0), (ssize_t)len);
        CU_ASSERT_EQUAL(memcmp(found, data, len), 0);
}

static void settle(struct pair *p)
{
        UNIT_OK(ts_delta_settle(p->delta, &err));
        UNIT_OK(ts_patch_settle(p->patch, &err));
}

/* One new version, fed in pieces as while it is being written. Returns the bytes that travelled. */
static uint64_t update(struct pair *p, uint32_t file, const void *data, size_t len)
{
        uint64_t before = p->data_bytes, size = 0;
        unsigned char sum[TS_DIGEST_BYTES], theirs[TS_DIGEST_BYTES], whole[TS_DIGEST_BYTES];
        ts_auto(ts_digest) struct ts_digest *digest = ts_digest_new();
        int fd = memfd_create("new", MFD_CLOEXEC);

        UNIT_OK(ts_delta_begin(p->delta, file, fd, &err));
        UNIT_OK(ts_patch_begin(p->patch, file, &err));
        for (size_t done = 0; done < len;) {
                size_t n = 1 + rnd() % (len / 3 + 1);

                n = n < len - done ? n : len - done;
                CU_ASSERT_FATAL(pwrite(fd, (const char *)data + done, n, (off_t)done) == (ssize_t)n);
                done += n;
                UNIT_OK(ts_delta_feed(p->delta, done, &err));
        }
        UNIT_OK(ts_delta_end(p->delta, len, sum, &err));
        UNIT_OK(ts_patch_end(p->patch, &size, theirs, &err));
        CU_ASSERT_EQUAL(size, len);
        ts_digest_add(digest, data, len);
        ts_digest_end(digest, whole);
        CU_ASSERT_TRUE(memcmp(sum, whole, sizeof(sum)) == 0 && memcmp(theirs, whole, sizeof(sum)) == 0);
        check_held(p, file, data, len);
        return p->data_bytes - before;
}

static unsigned char *random_pages(size_t pages)
{
        unsigned char *m = malloc(PAGES(pages) + 1);

        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        for (size_t i = 0; i < PAGES(pages); i += 8)
                memcpy(m + i, &(uint64_t){ rnd() }, 8);
        return m;
}

static void unchanged_costs_nothing(void)
{
        struct pair *p = pair_new();
        ts_auto_free unsigned char *m = random_pages(300);

        pair_add(p);
        CU_ASSERT_EQUAL(update(p, 0, m, PAGES(300)), PAGES(300));
        settle(p);
        CU_ASSERT_EQUAL(update(p, 0, m, PAGES(300)), 0);
        CU_ASSERT_EQUAL(ts_delta_stats(p->delta)->same, 300);
        pair_free(p);
}

static void changed_pages_only(void)
{
        struct pair *p = pair_new();
        ts_auto_free unsigned char *m = random_pages(1000);

        pair_add(p);
        (void)update(p, 0, m, PAGES(1000));
        settle(p);
        for (size_t i = 0; i < 1000; i += 100)
                m[PAGES(i) + i]++;
        CU_ASSERT_EQUAL(update(p, 0, m, PAGES(1000)), PAGES(10));
        pair_free(p);
}

static void shifted_pages_are_found(void)
{
        for (int by = -70; by <= 70; by += 7) {
                struct pair *p = pair_new();
                ts_auto_free unsigned char *m = random_pages(700);
                size_t from = by < 0 ? 0 : (size_t)by, to = by < 0 ? (size_t)-by : 0;

                pair_add(p);
                (void)update(p, 0, m, PAGES(500));
                settle(p);
                memmove(m + PAGES(to), m + PAGES(from), PAGES(400));
                CU_ASSERT_EQUAL(update(p, 0, m, PAGES(to + 400)), 0);
                pair_free(p);
        }
}

/* Whatever was overwritten or cut off in this round: it is still a source. */
static void other_files_are_sources(void)
{
        struct pair *p = pair_new();
        ts_auto_free unsigned char *m = random_pages(600);

        pair_add(p);
        pair_add(p);
        (void)update(p, 0, m, PAGES(300));
        (void)update(p, 1, m + PAGES(300), PAGES(300));
        settle(p);
        CU_ASSERT_EQUAL(update(p, 0, m + PAGES(250), PAGES(50) + 100), 100);
        CU_ASSERT_EQUAL(update(p, 1, m, PAGES(600)), 0);
        settle(p);
        CU_ASSERT_EQUAL(update(p, 0, m + PAGES(1), PAGES(599)), 0);
        pair_free(p);
}

static void zeros_cost_nothing(void)
{
        struct pair *p = pair_new();
        ts_auto_free unsigned char *m = random_pages(400);
        struct stat st;

        pair_add(p);
        memset(m + PAGES(100), 0, PAGES(200));
        CU_ASSERT_EQUAL(update(p, 0, m, PAGES(400)), PAGES(200));
        settle(p);
        memset(m, 0, PAGES(390));
        CU_ASSERT_EQUAL(update(p, 0, m, PAGES(400)), 0);
        CU_ASSERT_EQUAL(fstat(ts_patch_fd(p->patch, 0), &st), 0);
        CU_ASSERT_TRUE(st.st_blocks <= 10 * 8 + 8);
        settle(p);
        memset(m, 1, PAGES(400)); /* the same page four hundred times: it travels once */
        CU_ASSERT_EQUAL(update(p, 0, m, PAGES(400)), PAGES(1));
        pair_free(p);
}

static void odd_ends(void)
{
        static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 12288, 70001, 1, 0, 5000, 262144, 262145, 524287 };
        struct pair *p = pair_new();
        ts_auto_free unsigned char *m = random_pages(200);

        pair_add(p);
        for (size_t i = 0; i < TS_ARRAY_LEN(sizes); i++) {
                (void)update(p, 0, m, sizes[i]);
                settle(p);
                CU_ASSERT_EQUAL(update(p, 0, m, sizes[i]), 0);
                settle(p);
        }
        pair_free(p);
}

/* What programs do to their memory, at random, for several rounds and files. */
static void mutate(unsigned char *m, size_t *pages, size_t room)
{
        for (int i = 0; i < 6; i++) {
                size_t at = *pages ? rnd() % *pages : 0, n = 1 + rnd() % 40;

                n = n < *pages - at ? n : *pages - at;
                switch (rnd() % 6) {
                case 0:
                        memset(m + PAGES(at), (int)(rnd() % 2), PAGES(n));
                        break;
                case 1: /* inserted */
                        n = n < room - *pages ? n : room - *pages;
                        memmove(m + PAGES(at + n), m + PAGES(at), PAGES(*pages - at));
                        *pages += n;
                        break;
                case 2: /* removed */
                        memmove(m + PAGES(at), m + PAGES(at + n), PAGES(*pages - at - n));
                        *pages -= n;
                        break;
                case 3: /* swapped */
                        if (at + 2 * n <= *pages)
                                memmove(m + PAGES(at), m + PAGES(at + n), PAGES(n));
                        break;
                default:
                        for (size_t k = at; k < at + n; k++)
                                m[PAGES(k) + rnd() % TS_PAGE]++;
                }
        }
}

static void random_histories(void)
{
        enum { ROOM = 600, FILES = 3 };

        for (unsigned n = 1; n <= 60; n++) {
                struct pair *p = pair_new();
                unsigned char *m[FILES];
                size_t pages[FILES];

                seed = n;
                for (uint32_t f = 0; f < FILES; f++) {
                        pair_add(p);
                        m[f] = random_pages(ROOM);
                        pages[f] = rnd() % 300;
                }
                for (int round = 0; round < 5; round++) {
                        for (uint32_t f = 0; f < FILES; f++) {
                                size_t odd = rnd() % 3 ? 0 : rnd() % TS_PAGE;

                                (void)update(p, f, m[f], PAGES(pages[f]) + (pages[f] < ROOM ? odd : 0));
                                mutate(m[f], &pages[f], ROOM);
                                if (rnd() % 4 == 0) /* memory moves from one process to another */
                                        memcpy(m[f], m[(f + 1) % FILES], PAGES(pages[f]));
                        }
                        settle(p);
                }
                for (uint32_t f = 0; f < FILES; f++)
                        free(m[f]);
                pair_free(p);
        }
}

static void sources_that_change_are_errors(void)
{
        struct pair *p = pair_new();
        ts_auto_free unsigned char *m = random_pages(10);
        unsigned char sum[TS_DIGEST_BYTES];

        pair_add(p);
        UNIT_OK(ts_patch_begin(p->patch, 0, &err));
        UNIT_OK(ts_delta_begin(p->delta, 0, file_of(m, PAGES(10)), &err));
        UNIT_FAILS(ts_delta_settle(p->delta, &err), TS_EINTERNAL);
        UNIT_OK(ts_delta_feed(p->delta, PAGES(10), &err));
        UNIT_FAILS(ts_delta_feed(p->delta, PAGES(11), &err), TS_EPROTO);
        UNIT_FAILS(ts_delta_end(p->delta, PAGES(9), sum, &err), TS_EPROTO);
        UNIT_FAILS(ts_delta_begin(p->delta, 0, file_of(m, 1), &err), TS_EINTERNAL);
        UNIT_FAILS(ts_delta_begin(p->delta, 1, file_of(m, 1), &err), TS_EINTERNAL);
        pair_free(p);
}

/* Steps that no honest side sends. */
static void hostile_steps(void)
{
        static const struct {
                struct ts_op op;
                enum ts_code code;
        } bad[] = {
                { { .kind = TS_OP_SAME, .len = PAGES(5) }, TS_EPROTO },
                { { .kind = TS_OP_SAME, .len = UINT64_MAX }, TS_ELIMIT },
                { { .kind = TS_OP_SAME, .len = 0 }, TS_EPROTO },
                { { .kind = TS_OP_ZERO, .len = (1U << 30) + 1 }, TS_ELIMIT },
                { { .kind = TS_OP_REPEAT, .file = 0, .from = 0, .len = TS_PAGE }, TS_EPROTO },
                { { .kind = TS_OP_COPY, .file = 0, .from = 0, .len = TS_PAGE - 1 }, TS_EPROTO },
                { { .kind = TS_OP_COPY, .file = 7, .from = 0, .len = TS_PAGE }, TS_EPROTO },
                { { .kind = TS_OP_COPY, .file = 0, .from = PAGES(4), .len = TS_PAGE }, TS_EPROTO },
                { { .kind = TS_OP_COPY, .file = 0, .from = 100, .len = TS_PAGE }, TS_EPROTO },
                { { .kind = TS_OP_COPY, .file = 0, .from = UINT64_MAX & ~4095ULL, .len = PAGES(2) }, TS_EPROTO },
                { { .kind = TS_OP_DATA, .len = TS_DELTA_DATA_MAX + 1 }, TS_EPROTO },
                { { .kind = 9, .len = 1 }, TS_EPROTO },
        };
        ts_auto_free unsigned char *m = random_pages(70);

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                ts_auto(ts_patch) struct ts_patch *p = ts_patch_new(1U << 30, memfd_create("spill", MFD_CLOEXEC));
                uint32_t file = 0;

                UNIT_FAILS(ts_patch_step(p, &bad[i].op, m, &err), TS_EPROTO);
                UNIT_FAILS(ts_patch_end(p, NULL, (unsigned char[TS_DIGEST_BYTES]){ 0 }, &err), TS_EPROTO);
                UNIT_FAILS(ts_patch_begin(p, 0, &err), TS_EPROTO);
                UNIT_OK(ts_patch_add(p, file_of(m, PAGES(4)), &file, &err));
                UNIT_OK(ts_patch_begin(p, file, &err));
                UNIT_FAILS(ts_patch_begin(p, file, &err), TS_EPROTO);
                UNIT_FAILS(ts_patch_step(p, &bad[i].op, m, &err), bad[i].code);
        }
}

static void nothing_after_an_odd_step(void)
{
        ts_auto(ts_patch) struct ts_patch *p = ts_patch_new(1000000, memfd_create("spill", MFD_CLOEXEC));
        uint32_t file = 0;

        UNIT_OK(ts_patch_add(p, file_of("", 0), &file, &err));
        UNIT_OK(ts_patch_begin(p, file, &err));
        UNIT_OK(ts_patch_step(p, &(struct ts_op){ .kind = TS_OP_DATA, .len = 3 }, "abc", &err));
        UNIT_FAILS(ts_patch_step(p, &(struct ts_op){ .kind = TS_OP_DATA, .len = 3 }, "abc", &err), TS_EPROTO);
}

static CU_TestInfo tests[] = {
        UNIT(unchanged_costs_nothing),
        UNIT(changed_pages_only),
        UNIT(shifted_pages_are_found),
        UNIT(other_files_are_sources),
        UNIT(zeros_cost_nothing),
        UNIT(odd_ends),
        UNIT(random_histories),
        UNIT(sources_that_change_are_errors),
        UNIT(hostile_steps),
        UNIT(nothing_after_an_odd_step),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("delta", tests)
