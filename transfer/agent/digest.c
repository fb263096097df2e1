/* See digest.h. Decides what of a file its sum is made of: the blocks that are not zeros, each with
 * its number, and the size. */
#include "transfer/agent/digest.h"

#include "base/io.h"
#include "transfer/agent/delta.h"
#include "transfer/agent/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define CHUNK ((size_t)256 << 10)
#define BLOCK ((size_t)16 << 10)

struct ts_digest {
        XXH3_state_t *state;
        unsigned char *buf;
        uint64_t pos;
        unsigned char *part; /* of the block that pos is in: what came of it */
        bool some;           /* part has bytes, not only zeros that were never written to it */
};

struct ts_digest *ts_digest_new(void)
{
        struct ts_digest *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->state = XXH3_createState();
        d->buf = malloc(CHUNK);
        d->part = malloc(BLOCK);
        if (d->state && d->buf && d->part) {
                ts_digest_begin(d);
                return d;
        }
        ts_digest_free(d);
        return NULL;
}

void ts_digest_free(struct ts_digest *d)
{
        (void)XXH3_freeState(d->state);
        free(d->buf);
        free(d->part);
        free(d);
}

void ts_digest_begin(struct ts_digest *d)
{
        d->pos = 0;
        d->some = false;
        (void)XXH3_128bits_reset(d->state);
}

static void add_number(struct ts_digest *d, uint64_t number)
{
        const uint64_t le = htole64(number);

        (void)XXH3_128bits_update(d->state, &le, sizeof(le));
}

static void add_block(struct ts_digest *d, uint64_t number, const unsigned char *p, size_t len)
{
        if (ts_is_zero(p, len))
                return;
        add_number(d, number);
        (void)XXH3_128bits_update(d->state, p, len);
}

/* A part of a block that began, or will end, elsewhere; p NULL: zeros. */
static void add_part(struct ts_digest *d, const unsigned char *p, size_t len)
{
        size_t at = d->pos % BLOCK;

        if (p && !d->some) {
                memset(d->part, 0, at);
                d->some = true;
        }
        if (d->some && p)
                memcpy(d->part + at, p, len);
        else if (d->some)
                memset(d->part + at, 0, len);
        if (at + len == BLOCK && d->some) {
                add_block(d, d->pos / BLOCK, d->part, BLOCK);
                d->some = false;
        }
        d->pos += len;
}

void ts_digest_add(struct ts_digest *d, const void *data, size_t len)
{
        for (const unsigned char *p = data; len > 0;) {
                size_t at = d->pos % BLOCK, n = BLOCK - at < len ? BLOCK - at : len;

                if (n == BLOCK) {
                        add_block(d, d->pos / BLOCK, p, BLOCK);
                        d->pos += BLOCK;
                } else {
                        add_part(d, p, n);
                }
                p += n;
                len -= n;
        }
}

void ts_digest_zeros(struct ts_digest *d, uint64_t len)
{
        size_t at = d->pos % BLOCK;

        if (at) {
                size_t n = BLOCK - at < len ? BLOCK - at : (size_t)len;

                add_part(d, NULL, n);
                len -= n;
        }
        d->pos += len;
}

uint64_t ts_digest_pos(const struct ts_digest *d)
{
        return d->pos;
}

/* Where the next data are, at most end; where that cannot be said, everything is data. */
static uint64_t next_data(int fd, uint64_t pos, uint64_t end)
{
        off_t at = lseek(fd, (off_t)pos, SEEK_DATA);

        if (at < 0)
                return errno == ENXIO ? end : pos;
        return (uint64_t)at < end ? (uint64_t)at : end;
}

int ts_digest_add_fd(struct ts_digest *d, int fd, uint64_t end, struct ts_err *err)
{
        struct stat st;

        if (d->pos >= end)
                return 0;
        if (fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot look at a file");
        if ((uint64_t)st.st_size < end)
                return ts_err_set(err, TS_EPROTO, "a file ends at %llu",
                                  (unsigned long long)st.st_size);
        while (d->pos < end) {
                uint64_t data = next_data(fd, d->pos, end);
                size_t n = end - data < CHUNK ? (size_t)(end - data) : CHUNK;

                ts_digest_zeros(d, data - d->pos);
                if (ts_alive_tick(err) < 0 || ts_read_at(fd, d->buf, n, d->pos, err) < 0)
                        return -1;
                ts_digest_add(d, d->buf, n);
        }
        return 0;
}

void ts_digest_end(struct ts_digest *d, unsigned char ret[TS_DIGEST_BYTES])
{
        XXH128_canonical_t canonical;

        if (d->some)
                add_block(d, d->pos / BLOCK, d->part, d->pos % BLOCK);
        add_number(d, d->pos);
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(d->state));
        memcpy(ret, canonical.digest, TS_DIGEST_BYTES);
}
