/* See digest.h. */
#include "transfer/agent/digest.h"

#include "base/io.h"
#include "transfer/agent/frame.h"

#include <string.h>
#include <xxhash.h>

#define CHUNK ((size_t)256 << 10)

struct ts_digest {
        XXH3_state_t *state;
        unsigned char *buf;
        uint64_t pos;
};

struct ts_digest *ts_digest_new(void)
{
        struct ts_digest *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->state = XXH3_createState();
        d->buf = malloc(CHUNK);
        if (d->state && d->buf) {
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
        free(d);
}

void ts_digest_begin(struct ts_digest *d)
{
        d->pos = 0;
        (void)XXH3_128bits_reset(d->state);
}

void ts_digest_add(struct ts_digest *d, const void *data, size_t len)
{
        (void)XXH3_128bits_update(d->state, data, len);
        d->pos += len;
}

uint64_t ts_digest_pos(const struct ts_digest *d)
{
        return d->pos;
}

int ts_digest_add_fd(struct ts_digest *d, int fd, uint64_t end, struct ts_err *err)
{
        while (d->pos < end) {
                size_t n = end - d->pos < CHUNK ? (size_t)(end - d->pos) : CHUNK;

                if (ts_alive_tick(err) < 0 || ts_read_at(fd, d->buf, n, d->pos, err) < 0)
                        return -1;
                ts_digest_add(d, d->buf, n);
        }
        return 0;
}

void ts_digest_end(struct ts_digest *d, unsigned char ret[TS_DIGEST_BYTES])
{
        XXH128_canonical_t canonical;

        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(d->state));
        memcpy(ret, canonical.digest, TS_DIGEST_BYTES);
}
