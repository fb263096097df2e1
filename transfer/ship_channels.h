/* The SSH channels to one agent, each with a session of its own: the first starts the program, the others join it (agent/join.h). Together they carry one stream (agent/link.h); what breaks is connected
 * anew, and more are added while that makes it faster. */
#ifndef TRANSHIP_TRANSFER_SHIP_CHANNELS_H
#define TRANSHIP_TRANSFER_SHIP_CHANNELS_H

#include "transfer/host.h"

struct ts_channels;
/* Starts the program, of that path. streams: as many; 0: as many as make it faster. *ret_fd is the caller's. What ts_host_start says. */
int ts_channels_new(struct ts_host *h, const char *program, unsigned streams, struct ts_channels **ret, int *ret_fd, struct ts_err *err);
/* The agent listens under that name: from here on a channel that is lost is replaced, for so long. The name comes from the other side: TS_EPROTO. */
int ts_channels_keep(struct ts_channels *c, const char *name, unsigned patience_ms, struct ts_err *err);
void ts_channels_patience(struct ts_channels *c, unsigned patience_ms);
/* The descriptor was closed: begins to end the stream and the program; does not wait. */
void ts_channels_stop(struct ts_channels *c);
/* Waits a second at most, from ts_channels_stop() on. */
void ts_channels_free(struct ts_channels *c);
TS_DEFINE_AUTO(ts_channels, ts_channels_free);

#endif
