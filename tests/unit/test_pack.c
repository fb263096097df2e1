/* transfer/agent/pack.c: what is packed comes out as it went in, and nothing else comes out; on a slow way it packs, on a fast one it does not. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "transfer/agent/pack.h"

#include <pthread.h>

static struct ts_err err = TS_ERR_INIT;

static struct ts_frame make(enum ts_frame_type type, size_t len, unsigned noise)
{
        struct ts_frame f = { 0 };

        ts_frame_begin(&f, type);
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)(noise ? (noise = noise * 1103515245 + 12345) >> 16 : i / 100);

                UNIT_OK(ts_put_bytes(&f, &c, 1, &err));
        }
        return f;
}

static void there_and_back(void)
{
        static const size_t sizes[] = { 1, 4095, 4096, 100000 }; /* no more than fits at once */
        struct ts_duplex *ends[2];

        UNIT_OK(ts_duplex_new(ends, &err));
        for (size_t i = 0; i < TS_ARRAY_LEN(sizes); i++)
                for (unsigned noise = 0; noise < 2; noise++) {
                        ts_auto(ts_pack) struct ts_pack *p = ts_pack_new();
                        ts_auto_frame f = make(TS_FRAME_STEPS, sizes[i], noise), got = { 0 }, opened = { 0 };
                        const struct ts_frame *r = &got;

                        ts_pack_set(p, TS_PACK_ON);
                        UNIT_OK(ts_pack_write(p, ends[0], &f, &err));
                        CU_ASSERT_EQUAL_FATAL(ts_frame_read(ends[1], &got, ts_deadline_in_ms(10000), false, &err), 1);
                        CU_ASSERT_EQUAL(got.type == TS_FRAME_PACKED, !noise && sizes[i] >= 4096);
                        if (got.type == TS_FRAME_PACKED) {
                                UNIT_OK(ts_pack_open(p, &got, &opened, &err));
                                r = &opened;
                        }
                        CU_ASSERT_TRUE(r->type == f.type && r->body.len == f.body.len && memcmp(r->body.buf, f.body.buf, f.body.len) == 0);
                }
        ts_duplex_close(ends[0]);
        ts_duplex_close(ends[1]);
}

static void damaged(void)
{
        ts_auto(ts_pack) struct ts_pack *p = ts_pack_new();
        ts_auto_frame f = { 0 }, opened = { 0 };
        static const struct {
                uint32_t type, len;
        } bad[] = { { TS_FRAME_ENTRY, 10 }, { TS_FRAME_PACKED, 10 },        { TS_FRAME_STEPS, 0 },
                    { TS_FRAME_STEPS, 10 }, { TS_FRAME_STEPS, UINT32_MAX }, { TS_FRAME_ERROR, 10 } };

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                ts_frame_begin(&f, TS_FRAME_PACKED);
                UNIT_OK(ts_put_u32(&f, bad[i].type, &err));
                UNIT_OK(ts_put_u32(&f, bad[i].len, &err));
                UNIT_OK(ts_put_bytes(&f, "no zstd frame", 13, &err));
                UNIT_FAILS(ts_pack_open(p, &f, &opened, &err), TS_EPROTO);
        }
        ts_frame_begin(&f, TS_FRAME_PACKED);
        UNIT_FAILS(ts_pack_open(p, &f, &opened, &err), TS_EPROTO);
}

struct drain {
        struct ts_duplex *io;
        uint64_t bytes_per_s; /* 0: as fast as can be */
        uint64_t packed, plain;
};

static void *drain(void *arg)
{
        struct drain *d = arg;
        ts_auto_frame f = { 0 };

        while (ts_frame_read(d->io, &f, ts_deadline_in_ms(60000), false, NULL) == 1) {
                *(f.type == TS_FRAME_PACKED ? &d->packed : &d->plain) += 1;
                if (d->bytes_per_s)
                        ts_sleep_ms((unsigned)(f.body.len * 1000 / d->bytes_per_s));
        }
        return NULL;
}

/* Frames through a link; the time it took. */
static uint64_t send_through(struct drain *d, enum ts_pack_mode mode, unsigned noise, unsigned frames)
{
        ts_auto(ts_pack) struct ts_pack *p = ts_pack_new();
        ts_auto_frame f = make(TS_FRAME_STEPS, 256 << 10, noise);
        uint64_t from;
        pthread_t t;
        struct ts_duplex *ends[2];

        UNIT_OK(ts_duplex_new(ends, &err));
        d->io = ends[1];
        CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, drain, d), 0);
        ts_pack_set(p, mode);
        from = ts_now_us();
        for (unsigned i = 0; i < frames; i++)
                UNIT_OK(ts_pack_write(p, ends[0], &f, &err));
        from = ts_now_us() - from;
        ts_duplex_close(ends[0]);
        (void)pthread_join(t, NULL);
        ts_duplex_close(ends[1]);
        return from;
}

/* Whether most of what was sent in the end was packed. */
static bool packs(uint64_t bytes_per_s, unsigned noise, unsigned frames)
{
        struct drain d = { .bytes_per_s = bytes_per_s };

        (void)send_through(&d, TS_PACK_AUTO, noise, frames);
        return d.packed > d.plain;
}

static void adapts(void)
{
        struct drain any = { 0 };
        uint64_t us = send_through(&any, TS_PACK_ON, 0, 16), slow = us ? 16 * (256ULL << 10) * 1000000 / us / 4 : UINT64_MAX;

        if (slow > 50 << 20)
                slow = 50 << 20;
        CU_ASSERT_TRUE(packs(slow, 0, 700));  /* a link four times slower than zstd is here, and what packs well */
        CU_ASSERT_FALSE(packs(50 << 20, 7, 400)); /* noise */
}

static CU_TestInfo tests[] = { UNIT(there_and_back), UNIT(damaged), UNIT(adapts), CU_TEST_INFO_NULL };
UNIT_MAIN("pack", tests)
