/* Samples of one host while something else goes on: a thread that reads /proc of this machine, or what the agent's program prints on another one. */
#ifndef TRANSHIP_TRANSFER_SAMPLES_H
#define TRANSHIP_TRANSFER_SAMPLES_H

#include "transfer/agent/sample.h"
#include "transfer/host.h"

struct ts_samples;
typedef void ts_samples_fn(void *ctx, const struct ts_host_sample *now); /* called by the thread, when a sample has come */

/* Blocks for bringing the agent's program to another host, unless it is there; the errors are those of ts_agent_install(). Everything after that is the thread's work, over a connection of its own. h must
 * outlive it. */
int ts_samples_start(struct ts_host *h, unsigned interval_ms, ts_samples_fn *take, void *ctx, struct ts_samples **ret, struct ts_err *err);
/* Ends it, at once, whatever the host does, and frees it; NULL is fine. -1: it had ended by itself, or nothing came of the host in the end: err says why. */
int ts_samples_stop(struct ts_samples *s, struct ts_err *err);

#endif
