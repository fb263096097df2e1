/* Streams that are packed (zstd, one frame from the begin to the end) on their way. What has arrived is passed on at once: a peer that waits for it is not kept waiting for more. */
#ifndef TRANSHIP_TRANSFER_AGENT_SQUEEZE_H
#define TRANSHIP_TRANSFER_AGENT_SQUEEZE_H

#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>

/* Packs piece by piece and gives the result away; give returns 0, or -1 with err. */
struct ts_packer;
int ts_packer_new(int (*give)(void *ctx, const void *data, size_t len, struct ts_err *err), void *ctx, struct ts_packer **ret, struct ts_err *err);
int ts_packer_write(struct ts_packer *p, const void *data, size_t len, bool flush, struct ts_err *err); /* flush: nothing of it stays here */
int ts_packer_end(struct ts_packer *p, struct ts_err *err);
void ts_packer_free(struct ts_packer *p); /* NULL is fine */
TS_DEFINE_AUTO(ts_packer, ts_packer_free);

enum ts_squeeze { TS_SQUEEZE_PLAIN, TS_SQUEEZE_PACK, TS_SQUEEZE_UNPACK };

/* Until the end of in_fd, which it passes on only if it is one: a packed stream that ends in the middle, or goes on after its end, is TS_EPROTO. No deadline: whoever wants it to end shuts a descriptor down.
 * Constant memory, also for hostile input. TS_ECONNECT, TS_EIO, TS_ENOMEM. */
int ts_squeeze(int in_fd, int out_fd, enum ts_squeeze how, struct ts_err *err);

#endif
