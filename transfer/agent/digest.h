/* The sum of a file: XXH3-128 of its size and of those of its blocks that are not zeros, so that holes cost nothing, wherever the file system has them. Piece by piece, so that most of it is done when the last piece
 * comes. */
#ifndef TRANSHIP_TRANSFER_AGENT_DIGEST_H
#define TRANSHIP_TRANSFER_AGENT_DIGEST_H

#include "base/err.h"
#include "base/mem.h"
#include <stdint.h>

#define TS_DIGEST_BYTES 16U

struct ts_digest;
struct ts_digest *ts_digest_new(void); /* NULL out of memory */
void ts_digest_free(struct ts_digest *d);
TS_DEFINE_AUTO(ts_digest, ts_digest_free);

void ts_digest_begin(struct ts_digest *d);
void ts_digest_add(struct ts_digest *d, const void *data, size_t len);
void ts_digest_zeros(struct ts_digest *d, uint64_t len); /* the same as that many zeros added */
uint64_t ts_digest_pos(const struct ts_digest *d); /* bytes so far */
/* The next bytes from where the last ones ended up to position `end` of fd. Holes are zeros, and are not read. TS_EIO, TS_EPROTO: the file is shorter. */
int ts_digest_add_fd(struct ts_digest *d, int fd, uint64_t end, struct ts_err *err);
void ts_digest_end(struct ts_digest *d, unsigned char ret[TS_DIGEST_BYTES]); /* big-endian */

#endif
