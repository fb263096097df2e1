/* See frame.h. Decides nothing about what is in a message. */
#include "transfer/agent/frame.h"

#include "base/io.h"

#include <inttypes.h>
#include <string.h>

#define HEADER 8U
#define ALIVE_EVERY_US 1000000U

static void put_le(unsigned char *p, uint64_t v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                p[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get_le(const unsigned char *p, size_t n)
{
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v |= (uint64_t)p[i] << 8 * i;
        return v;
}

void ts_frame_clear(struct ts_frame *f)
{
        ts_str_clear(&f->body);
}

/* ---- the wire ---- */

/* Room for len bytes of body. */
static int reserve(struct ts_frame *f, size_t len, struct ts_err *err)
{
        char *p;

        if (len < f->body.cap)
                return 0;
        p = realloc(f->body.buf, len + 1);
        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        f->body.buf = p;
        f->body.cap = len + 1;
        return 0;
}

static int parse_head(const unsigned char head[HEADER], uint32_t *ret_type, size_t *ret_len, struct ts_err *err)
{
        *ret_len = (size_t)get_le(head, 4);
        *ret_type = (uint32_t)get_le(head + 4, 4);
        return *ret_len > TS_FRAME_MAX ? ts_err_set(err, TS_ELIMIT, "a message of %zu bytes", *ret_len) : 0;
}

int ts_frame_peek(struct ts_duplex *d, uint32_t *ret_type, size_t *ret_len, struct ts_err *err)
{
        unsigned char head[HEADER];
        int n = ts_duplex_peek(d, head, HEADER);

        if (n < 0)
                return n == -1 ? ts_err_set(err, TS_ECONNECT, "it ended") : ts_err_set(err, TS_EPROTO, "a message in pieces");
        if (n == 0)
                return 0;
        if (parse_head(head, ret_type, ret_len, err) < 0)
                return -1;
        *ret_len += HEADER;
        return 1;
}

int ts_frame_read(struct ts_duplex *d, struct ts_frame *f, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        unsigned char head[HEADER];
        ssize_t n = ts_duplex_read(d, head, HEADER, deadline, cancellable, err);
        size_t len;

        if (n <= 0)
                return n < 0 ? -1 : 0;
        if ((size_t)n < HEADER && ts_duplex_read_exact(d, head + n, HEADER - (size_t)n, deadline, cancellable, err) < 0)
                return -1;
        f->body.len = 0;
        if (parse_head(head, &f->type, &len, err) < 0 || reserve(f, len, err) < 0 ||
            ts_duplex_read_exact(d, f->body.buf, len, deadline, cancellable, err) < 0)
                return -1;
        f->body.buf[len] = '\0';
        f->body.len = len;
        return 1;
}

static _Thread_local struct {
        struct ts_duplex *out;
        uint64_t last_us;
} alive;

void ts_alive_set(struct ts_duplex *out)
{
        alive.out = out;
        alive.last_us = ts_now_us();
}

int ts_alive_tick(struct ts_err *err)
{
        const struct ts_frame f = { .type = TS_FRAME_ALIVE };
        uint64_t now = alive.out ? ts_now_us() : 0;

        if (!alive.out || now - alive.last_us < ALIVE_EVERY_US)
                return 0;
        alive.last_us = now;
        return ts_frame_write(alive.out, &f, 0, false, err);
}

int ts_frame_write(struct ts_duplex *d, const struct ts_frame *f, ts_deadline deadline, bool cancellable, struct ts_err *err)
{
        unsigned char head[HEADER];

        put_le(head, f->body.len, 4);
        put_le(head + 4, f->type, 4);
        return ts_duplex_write(d, head, HEADER, f->body.buf, f->body.len, deadline, cancellable, err);
}

/* ---- building ---- */

void ts_frame_begin(struct ts_frame *f, enum ts_frame_type type)
{
        f->type = type;
        f->body.len = 0;
        f->body.max = TS_FRAME_MAX;
}

int ts_put_bytes(struct ts_frame *f, const void *data, size_t len, struct ts_err *err)
{
        return ts_str_add(&f->body, data, len, err);
}

static int put(struct ts_frame *f, uint64_t v, size_t n, struct ts_err *err)
{
        unsigned char raw[8];

        put_le(raw, v, n);
        return ts_put_bytes(f, raw, n, err);
}

int ts_put_u32(struct ts_frame *f, uint32_t v, struct ts_err *err)
{
        return put(f, v, 4, err);
}

int ts_put_u64(struct ts_frame *f, uint64_t v, struct ts_err *err)
{
        return put(f, v, 8, err);
}

void ts_set_u64(struct ts_frame *f, size_t at, uint64_t v)
{
        put_le((unsigned char *)f->body.buf + at, v, 8);
}

int ts_put_text(struct ts_frame *f, const char *s, struct ts_err *err)
{
        size_t len = strlen(s);

        if (len > TS_FRAME_TEXT_MAX)
                return ts_err_set(err, TS_ELIMIT, "a text of %zu bytes", len);
        return ts_put_u32(f, (uint32_t)len, err) < 0 ? -1 : ts_put_bytes(f, s, len, err);
}

/* ---- taking apart ---- */

struct ts_unpack ts_unpack(const struct ts_frame *f)
{
        const unsigned char *p = (const unsigned char *)ts_str_cstr(&f->body);

        return (struct ts_unpack){ .p = p, .end = p + f->body.len };
}

const void *ts_get_bytes(struct ts_unpack *u, size_t len)
{
        const void *p = u->p;

        if (u->bad || (size_t)(u->end - u->p) < len) {
                u->bad = true;
                return NULL;
        }
        u->p += len;
        return p;
}

uint32_t ts_get_u32(struct ts_unpack *u)
{
        const void *p = ts_get_bytes(u, 4);

        return p ? (uint32_t)get_le(p, 4) : 0;
}

uint64_t ts_get_u64(struct ts_unpack *u)
{
        const void *p = ts_get_bytes(u, 8);

        return p ? get_le(p, 8) : 0;
}

char *ts_get_text(struct ts_unpack *u)
{
        uint32_t len = ts_get_u32(u);
        const unsigned char *p = len <= TS_FRAME_TEXT_MAX ? ts_get_bytes(u, len) : NULL;
        char *s;

        for (uint32_t i = 0; p && i < len; i++)
                if (p[i] < 0x20 || p[i] == 0x7f)
                        p = NULL;
        s = p ? strndup((const char *)p, len) : NULL;
        u->bad |= !s;
        return s;
}

const char *ts_get_name(struct ts_unpack *u, char buf[256])
{
        ts_auto_free char *s = ts_get_text(u);

        buf[0] = '\0';
        if (s && ts_name_valid(s, 255))
                memcpy(buf, s, strlen(s) + 1);
        else
                u->bad = true;
        return buf;
}

int ts_unpack_end(const struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err)
{
        return u->bad || u->p != u->end ? ts_err_set(err, TS_EPROTO, "a message of type %" PRIu32 " makes no sense", f->type) : 0;
}

int ts_frame_error(const struct ts_frame *f, const char *who, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        uint32_t code = ts_get_u32(&u);
        ts_auto_free char *text = ts_get_text(&u);

        if (f->type != TS_FRAME_ERROR || ts_unpack_end(&u, f, NULL) < 0 || code == TS_OK || code > TS_ECANCELED)
                return ts_err_set(err, TS_EPROTO, "the agent on the %s sent a message that makes no sense", who);
        return ts_err_set(err, (enum ts_code)code, "agent on the %s: %s", who, text);
}
