/* Copies bytes from one descriptor to another with constant memory. */
#ifndef TRANSHIP_TRANSFER_RELAY_H
#define TRANSHIP_TRANSFER_RELAY_H

#include "base/clock.h"
#include "base/err.h"
#include "transfer/host.h"
#include <stdint.h>

/* Copies until the end of in_fd, or size_bytes if it is not UINT64_MAX (then an early end is TS_EPROTO). Stall: no byte moved for stall_ms (0 = never) is TS_ETIMEOUT.
 * Honours ts_stop_signal (TS_ECANCELED). Does not close or half-close anything. ret_bytes may be NULL. */
int ts_relay(int in_fd, int out_fd, uint64_t size_bytes, unsigned stall_ms, ts_progress_fn progress, void *ctx, uint64_t *ret_bytes, struct ts_err *err);

#endif
