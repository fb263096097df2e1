/* The connections to one agent: SSH channels, each with a session of its own: the first starts the program, the others join it (agent/join.h). Together they carry one stream (agent/link.h); what breaks is connected
 * anew, and more are added while that makes it faster. TLS connections (agent/tls.h), where they are wanted and can be made,
 * carry the data instead. */
#ifndef TRANSHIP_TRANSFER_SHIP_CHANNELS_H
#define TRANSHIP_TRANSFER_SHIP_CHANNELS_H

#include "transfer/agent/duplex.h"
#include "transfer/agent/tls.h"
#include "transfer/host.h"

struct ts_channels;
/* Starts the program, of that path. streams: as many; 0: as many as make it faster. *ret_io is the caller's. What ts_host_start says. */
int ts_channels_new(struct ts_host *h, const char *program, const char *owner, unsigned streams,
                    struct ts_channels **ret, struct ts_duplex **ret_io, struct ts_err *err);
/* The agent listens under that name: from here on a channel that is lost is replaced, for so long. The name comes from the other side: TS_EPROTO. */
int ts_channels_keep(struct ts_channels *c, const char *name, unsigned patience_ms, struct ts_err *err);
/* Before ts_channels_keep(): the agent listens there for who has the key (0: it cannot), and from here on TLS is tried first. Where it fails at once that is said, once a host. Blocking, some seconds at most. */
bool ts_channels_tls_possible(struct ts_channels *c);
void ts_channels_tls(struct ts_channels *c, unsigned port, const unsigned char key[TS_TLS_KEY]);
bool ts_channels_has_tls(const struct ts_channels *c);
unsigned ts_channels_silence_ms(const struct ts_channels *c); /* a connection that says nothing for so long is lost */
void ts_channels_patience(struct ts_channels *c, unsigned patience_ms);
/* The descriptor was closed: begins to end the stream and the program; does not wait. */
void ts_channels_stop(struct ts_channels *c);
/* Waits a second at most, from ts_channels_stop() on. */
void ts_channels_free(struct ts_channels *c);
TS_DEFINE_AUTO(ts_channels, ts_channels_free);

#endif
