/* See strand.h. Decides what a block looks like on the wire. */
#include "transfer/agent/strand.h"

#include "base/io.h"
#include "base/mem.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_socket(int fd)
{
        int type;
        socklen_t len = sizeof(type);

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

struct ts_strand *ts_strand_new(int in, int out, int held, struct ts_tls *tls)
{
        struct ts_strand *s = calloc(1, sizeof(*s));

        if (s && ts_set_nonblock(in, true, NULL) == 0 && ts_set_nonblock(out, true, NULL) == 0) {
                *s = (struct ts_strand){ .name = TS_STRAND_UNNAMED, .in = in, .out = out, .held = held, .tls = tls, .out_is_socket = is_socket(out) };
                return s;
        }
        free(s);
        if (tls)
                ts_tls_free(tls);
        ts_closep(&in);
        if (out != in)
                ts_closep(&out);
        ts_closep(&held);
        return NULL;
}

static bool is_own(const struct ts_block *b)
{
        return b->kind >= TS_BLOCK_ACK;
}

void ts_strand_free(struct ts_strand *s)
{
        if (s->tls)
                ts_tls_free(s->tls);
        ts_closep(&s->in);
        if (s->out != s->in)
                ts_closep(&s->out);
        ts_closep(&s->held);
        if (s->leaving && is_own(s->leaving))
                ts_block_free(s->leaving);
        ts_block_free(s->coming);
        free(s);
}

/* ---- out ---- */

static void put_head(struct ts_block *b)
{
        const uint32_t words[2] = { htole32(b->kind), htole32(b->len) };
        const uint64_t at = htole64(b->at);

        memcpy(b->head, words, 8);
        memcpy(b->head + 8, &at, 8);
}

_Static_assert(offsetof(struct ts_block, data) == offsetof(struct ts_block, head) + TS_BLOCK_HEAD, "a block goes in one piece");

void ts_strand_give(struct ts_strand *s, struct ts_block *b)
{
        put_head(b);
        s->leaving = b;
        s->left = 0;
        b->on = s;
        b->leaving = true;
}

static ssize_t send_some(struct ts_strand *s)
{
        const unsigned char *p = (const unsigned char *)s->leaving + offsetof(struct ts_block, head) + s->left;
        size_t len = TS_BLOCK_HEAD + s->leaving->len - s->left;

        if (s->tls)
                return ts_tls_write(s->tls, p, len);
        return s->out_is_socket ? send(s->out, p, len, MSG_NOSIGNAL | MSG_DONTWAIT) : write(s->out, p, len);
}

int ts_strand_send(struct ts_strand *s)
{
        struct ts_block *b = s->leaving;

        while (s->left < TS_BLOCK_HEAD + b->len) {
                ssize_t n = send_some(s);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -1;
                s->left += (size_t)n;
        }
        b->leaving = false;
        s->leaving = NULL;
        if (is_own(b))
                ts_block_free(b);
        return 1;
}

/* ---- in ---- */

/* Of the block's head or data; 1: all of it is there. */
static int fill(struct ts_strand *s, unsigned char *to, size_t from, size_t len)
{
        while (s->came < from + len) {
                unsigned char *p = to + (s->came - from);
                size_t missing = from + len - s->came;
                ssize_t n = s->tls ? ts_tls_read(s->tls, p, missing) : read(s->in, p, missing);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 && errno == EAGAIN ? 0 : -1;
                s->came += (size_t)n;
        }
        return 1;
}

static int begin(struct ts_strand *s)
{
        uint32_t words[2];
        uint64_t at;

        memcpy(words, s->in_head, 8);
        memcpy(&at, s->in_head + 8, 8);
        words[0] = le32toh(words[0]);
        words[1] = le32toh(words[1]);
        if (words[0] < TS_BLOCK_DATA || words[0] > TS_BLOCK_DROP || words[1] > TS_BLOCK_MAX ||
            (words[1] > 0) != (words[0] == TS_BLOCK_DATA))
                return -2;
        s->coming = ts_block_new((enum ts_block_kind)words[0], le64toh(at), NULL, words[1]);
        return s->coming ? 1 : -1;
}

int ts_strand_receive(struct ts_strand *s, struct ts_block **ret)
{
        int n = fill(s, s->in_head, 0, s->came < TS_BLOCK_HEAD ? TS_BLOCK_HEAD : 0);

        if (n == 1 && !s->coming)
                n = begin(s);
        if (n == 1)
                n = fill(s, s->coming->data, TS_BLOCK_HEAD, s->coming->len);
        if (n != 1)
                return n;
        *ret = TS_TAKE(s->coming);
        s->came = 0;
        return 1;
}
