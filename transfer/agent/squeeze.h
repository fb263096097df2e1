/* Copies a stream that may be packed (zstd, one frame from the begin to the end) on its way. What has arrived is passed on at once: a peer that waits for it is not kept waiting for more. */
#ifndef TRANSHIP_TRANSFER_AGENT_SQUEEZE_H
#define TRANSHIP_TRANSFER_AGENT_SQUEEZE_H

#include "base/err.h"

enum ts_squeeze { TS_SQUEEZE_PLAIN, TS_SQUEEZE_PACK, TS_SQUEEZE_UNPACK };

/* Until the end of in_fd, which it passes on only if it is one: a packed stream that ends in the middle, or goes on after its end, is TS_EPROTO. No deadline: whoever wants it to end shuts a descriptor down.
 * Constant memory, also for hostile input. TS_ECONNECT, TS_EIO, TS_ENOMEM. */
int ts_squeeze(int in_fd, int out_fd, enum ts_squeeze how, struct ts_err *err);

#endif
