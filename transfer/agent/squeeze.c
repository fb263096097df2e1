/* See squeeze.h. Decides when what was packed leaves. */
#include "transfer/agent/squeeze.h"

#include "base/io.h"
#include "base/mem.h"

#include <poll.h>
#include <zstd.h>

#define LEVEL 1         /* what engines say is mostly zeros or has to hurry */
#define WINDOW_LOG_MAX 23 /* 8 MiB: more than level 1 makes */
#define CHUNK ((size_t)256 << 10)

struct squeeze {
        int in_fd, out_fd;
        ZSTD_CCtx *pack;
        ZSTD_DCtx *unpack;
        unsigned char *in, *out; /* CHUNK bytes each */
        bool between; /* unpack: at the begin or the end of a frame */
        bool any;
};

static int failed(size_t code, enum ts_code kind, struct ts_err *err)
{
        return ts_err_set(err, kind, "zstd: %s", ZSTD_getErrorName(code));
}

static int give(const struct squeeze *s, const void *data, size_t len, struct ts_err *err)
{
        return len ? ts_write_all(s->out_fd, data, len, 0, false, err) : 0;
}

static bool more_is_there(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

static int pack_some(struct squeeze *s, size_t len, ZSTD_EndDirective how, struct ts_err *err)
{
        ZSTD_inBuffer in = { s->in, len, 0 };
        size_t left;

        do {
                ZSTD_outBuffer out = { s->out, CHUNK, 0 };

                left = ZSTD_compressStream2(s->pack, &out, &in, how);
                if (ZSTD_isError(left))
                        return failed(left, TS_EINTERNAL, err);
                if (give(s, s->out, out.pos, err) < 0)
                        return -1;
        } while (how == ZSTD_e_continue ? in.pos < in.size : left > 0);
        return 0;
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
        } while (in.pos < in.size || out.pos == out.size);
        return 0;
}

static int take(struct squeeze *s, size_t len, struct ts_err *err)
{
        if (s->pack)
                return pack_some(s, len, more_is_there(s->in_fd) ? ZSTD_e_continue : ZSTD_e_flush, err);
        return s->unpack ? unpack_some(s, len, err) : give(s, s->in, len, err);
}

static int end(struct squeeze *s, struct ts_err *err)
{
        if (s->pack)
                return pack_some(s, 0, ZSTD_e_end, err);
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

static bool set_up(struct squeeze *s, enum ts_squeeze how)
{
        s->in = malloc(CHUNK);
        s->out = malloc(CHUNK);
        if (how == TS_SQUEEZE_PACK)
                s->pack = ZSTD_createCCtx();
        if (how == TS_SQUEEZE_UNPACK)
                s->unpack = ZSTD_createDCtx();
        return s->in && s->out && (how != TS_SQUEEZE_PACK || (s->pack && !ZSTD_isError(ZSTD_CCtx_setParameter(s->pack, ZSTD_c_compressionLevel, LEVEL)))) &&
               (how != TS_SQUEEZE_UNPACK || (s->unpack && !ZSTD_isError(ZSTD_DCtx_setParameter(s->unpack, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))));
}

int ts_squeeze(int in_fd, int out_fd, enum ts_squeeze how, struct ts_err *err)
{
        struct squeeze s = { .in_fd = in_fd, .out_fd = out_fd };
        int rc = set_up(&s, how) ? copy(&s, err) : ts_err_set(err, TS_ENOMEM, "out of memory");

        (void)ZSTD_freeCCtx(s.pack);
        (void)ZSTD_freeDCtx(s.unpack);
        free(s.in);
        free(s.out);
        return rc;
}
