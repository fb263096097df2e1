/* See squeeze.h. Decides when what was packed leaves. */
#include "transfer/agent/squeeze.h"

#include "base/io.h"
#include "base/mem.h"

#include <poll.h>
#include <zstd.h>

#define LEVEL 1         /* what engines say is mostly zeros or has to hurry */
#define WINDOW_LOG_MAX 23 /* 8 MiB: more than level 1 makes */
#define CHUNK ((size_t)256 << 10)

static int failed(size_t code, enum ts_code kind, struct ts_err *err)
{
        return ts_err_set(err, kind, "zstd: %s", ZSTD_getErrorName(code));
}

/* ---- packing ---- */

struct ts_packer {
        int (*give)(void *ctx, const void *data, size_t len, struct ts_err *err);
        void *ctx;
        ZSTD_CCtx *zstd;
        unsigned char out[CHUNK];
};

int ts_packer_new(int (*give)(void *ctx, const void *data, size_t len, struct ts_err *err), void *ctx, struct ts_packer **ret, struct ts_err *err)
{
        ts_auto(ts_packer) struct ts_packer *p = malloc(sizeof(*p));

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        p->give = give;
        p->ctx = ctx;
        p->zstd = ZSTD_createCCtx();
        if (!p->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, LEVEL)) || ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1)))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = TS_TAKE(p);
        return 0;
}

static int pack(struct ts_packer *p, const void *data, size_t len, ZSTD_EndDirective how, struct ts_err *err)
{
        ZSTD_inBuffer in = { data, len, 0 };
        size_t left;

        do {
                ZSTD_outBuffer out = { p->out, CHUNK, 0 };

                left = ZSTD_compressStream2(p->zstd, &out, &in, how);
                if (ZSTD_isError(left))
                        return failed(left, TS_EINTERNAL, err);
                if (out.pos && p->give(p->ctx, p->out, out.pos, err) < 0)
                        return -1;
        } while (how == ZSTD_e_continue ? in.pos < in.size : left > 0);
        return 0;
}

int ts_packer_write(struct ts_packer *p, const void *data, size_t len, bool flush, struct ts_err *err)
{
        return pack(p, data, len, flush ? ZSTD_e_flush : ZSTD_e_continue, err);
}

int ts_packer_end(struct ts_packer *p, struct ts_err *err)
{
        return pack(p, NULL, 0, ZSTD_e_end, err);
}

void ts_packer_free(struct ts_packer *p)
{
        if (!p)
                return;
        (void)ZSTD_freeCCtx(p->zstd);
        free(p);
}

/* ---- from one descriptor to another ---- */

struct squeeze {
        int in_fd, out_fd;
        struct ts_packer *packer;
        ZSTD_DCtx *unpack;
        unsigned char *in, *out; /* CHUNK bytes each */
        bool between; /* unpack: at the begin or the end of a frame */
        bool any;
};

static int give(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        const struct squeeze *s = ctx;

        return len ? ts_write_all(s->out_fd, data, len, 0, false, err) : 0;
}

static bool more_is_there(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

static int unpack_some(struct squeeze *s, size_t len, struct ts_err *err)
{
        ZSTD_inBuffer in = { s->in, len, 0 };
        ZSTD_outBuffer out;

        if (s->any && s->between)
                return ts_err_set(err, TS_EPROTO, "a packed stream goes on after its end");
        s->any = true;
        do {
                size_t left;

                out = (ZSTD_outBuffer){ s->out, CHUNK, 0 };
                left = ZSTD_decompressStream(s->unpack, &out, &in);
                if (ZSTD_isError(left))
                        return failed(left, TS_EPROTO, err);
                if (give(s, s->out, out.pos, err) < 0)
                        return -1;
                s->between = left == 0;
                if (s->between && in.pos < in.size)
                        return ts_err_set(err, TS_EPROTO, "a packed stream goes on after its end");
        } while (!s->between && (in.pos < in.size || out.pos == out.size)); /* a full buffer: there may be more */
        return 0;
}

static int take(struct squeeze *s, size_t len, struct ts_err *err)
{
        if (s->packer)
                return ts_packer_write(s->packer, s->in, len, !more_is_there(s->in_fd), err);
        return s->unpack ? unpack_some(s, len, err) : give(s, s->in, len, err);
}

static int end(struct squeeze *s, struct ts_err *err)
{
        if (s->packer)
                return ts_packer_end(s->packer, err);
        return s->unpack && !s->between ? ts_err_set(err, TS_EPROTO, "a packed stream ends in the middle") : 0;
}

static int copy(struct squeeze *s, struct ts_err *err)
{
        for (;;) {
                ssize_t n = ts_read_some(s->in_fd, s->in, CHUNK, 0, false, err);

                if (n < 0)
                        return -1;
                if (n == 0)
                        return end(s, err);
                if (take(s, (size_t)n, err) < 0)
                        return -1;
        }
}

static int set_up(struct squeeze *s, enum ts_squeeze how, struct ts_err *err)
{
        s->in = malloc(CHUNK);
        s->out = malloc(CHUNK);
        if (how == TS_SQUEEZE_PACK && ts_packer_new(give, s, &s->packer, err) < 0)
                return -1;
        if (how == TS_SQUEEZE_UNPACK)
                s->unpack = ZSTD_createDCtx();
        if (!s->in || !s->out || (how == TS_SQUEEZE_UNPACK && (!s->unpack || ZSTD_isError(ZSTD_DCtx_setParameter(s->unpack, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return 0;
}

int ts_squeeze(int in_fd, int out_fd, enum ts_squeeze how, struct ts_err *err)
{
        struct squeeze s = { .in_fd = in_fd, .out_fd = out_fd };
        int rc = set_up(&s, how, err) < 0 ? -1 : copy(&s, err);

        ts_packer_free(s.packer);
        (void)ZSTD_freeDCtx(s.unpack);
        free(s.in);
        free(s.out);
        return rc;
}
