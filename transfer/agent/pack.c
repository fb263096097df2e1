/* See pack.h. Decides when it pays. */
#include "transfer/agent/pack.h"

#include <string.h>
#include <zstd.h>

#define LEVEL 1
#define WORTH_BYTES ((size_t)4 << 10)
#define HEAD 8U                          /* of a PACKED: type and length of what is inside */
#define SETTLE_BYTES ((uint64_t)2 << 20) /* after a change of mind what is on its way still tells of the other */
#define TRY_BYTES ((uint64_t)4 << 20)    /* then so much is measured */
#define STAY_BYTES ((uint64_t)48 << 20)  /* and the better one stays for so long, before the other is tried again */

struct ts_pack {
        enum ts_pack_mode mode;
        ZSTD_CCtx *out;
        ZSTD_DCtx *in;
        struct ts_frame packed;
        bool packing;      /* now */
        bool trying;       /* the other one than the better */
        uint64_t done;     /* bytes before packing since the last change */
        uint64_t spent_us; /* of the measurement: packing and writing, not what lies between */
        uint64_t measured; /* bytes of it */
        double cost[2];    /* by packing: µs a byte; 0: not measured */
};

struct ts_pack *ts_pack_new(void)
{
        return calloc(1, sizeof(struct ts_pack));
}

void ts_pack_free(struct ts_pack *p)
{
        if (!p)
                return;
        (void)ZSTD_freeCCtx(p->out);
        (void)ZSTD_freeDCtx(p->in);
        ts_frame_clear(&p->packed);
        free(p);
}

void ts_pack_set(struct ts_pack *p, enum ts_pack_mode mode)
{
        p->mode = mode;
        p->packing = mode == TS_PACK_ON;
}

static void change(struct ts_pack *p, bool packing, bool trying)
{
        p->packing = packing;
        p->trying = trying;
        p->done = p->measured = p->spent_us = 0;
}

/* After a frame of so many bytes. */
static void learn(struct ts_pack *p, size_t len, uint64_t us)
{
        p->done += len;
        if (p->done <= SETTLE_BYTES)
                return;
        p->measured += len;
        p->spent_us += us;
        if (p->measured < (p->trying ? TRY_BYTES : STAY_BYTES))
                return;
        p->cost[p->packing] = (double)p->spent_us / (double)p->measured;
        if (!p->trying)
                change(p, !p->packing, true);
        else
                change(p, p->cost[1] < p->cost[0], false);
}

static int pack(struct ts_pack *p, const struct ts_frame *f, struct ts_err *err)
{
        size_t bound = ZSTD_compressBound(f->body.len), n;
        ts_auto_free char *buf = NULL;

        if (!p->out)
                p->out = ZSTD_createCCtx();
        buf = malloc(bound);
        if (!p->out || !buf)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        n = ZSTD_compressCCtx(p->out, buf, bound, f->body.buf, f->body.len, LEVEL);
        if (ZSTD_isError(n))
                return ts_err_set(err, TS_EINTERNAL, "zstd: %s", ZSTD_getErrorName(n));
        ts_frame_begin(&p->packed, TS_FRAME_PACKED);
        if (n + HEAD >= f->body.len)
                return 0; /* it is not smaller */
        return ts_put_u32(&p->packed, f->type, err) < 0 || ts_put_u32(&p->packed, (uint32_t)f->body.len, err) < 0 ||
                               ts_put_bytes(&p->packed, buf, n, err) < 0
                       ? -1
                       : 1;
}

static bool may_be_inside(uint32_t type)
{
        return type == TS_FRAME_STEPS || type == TS_FRAME_BYTES;
}

int ts_pack_write(struct ts_pack *p, struct ts_duplex *out, const struct ts_frame *f, struct ts_err *err)
{
        uint64_t from = ts_now_us();
        int packed = 0;

        if (p->mode == TS_PACK_OFF || f->body.len < WORTH_BYTES || !may_be_inside(f->type))
                return ts_frame_write(out, f, 0, false, err);
        if (p->packing)
                packed = pack(p, f, err);
        if (packed < 0 || ts_frame_write(out, packed ? &p->packed : f, 0, false, err) < 0)
                return -1;
        if (p->mode == TS_PACK_AUTO)
                learn(p, f->body.len, ts_now_us() - from);
        return 0;
}

int ts_pack_open(struct ts_pack *p, const struct ts_frame *packed, struct ts_frame *ret, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(packed);
        uint32_t type = ts_get_u32(&u), len = ts_get_u32(&u);
        ts_auto_free char *buf = NULL;
        size_t n;

        if (u.bad || !may_be_inside(type) || len == 0 || len > TS_FRAME_MAX)
                return ts_err_set(err, TS_EPROTO, "a packed message that cannot be one");
        if (!p->in)
                p->in = ZSTD_createDCtx();
        buf = malloc(len);
        if (!p->in || !buf)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        n = ZSTD_decompressDCtx(p->in, buf, len, u.p, (size_t)(u.end - u.p));
        if (ZSTD_isError(n) || n != len)
                return ts_err_set(err, TS_EPROTO, "a packed message is damaged");
        ts_frame_begin(ret, (enum ts_frame_type)type);
        return ts_put_bytes(ret, buf, len, err);
}
