/* Is the engine still there while a long call says nothing? Private to api/. Driven from the waiting caller's thread, one step a tick; only dialling can block it. */
#ifndef TRANSHIP_API_PEER_H
#define TRANSHIP_API_PEER_H

#include "api/api.h"

struct ts_peer;
int ts_peer_new(const struct ts_dial *dial, unsigned timeout_ms, struct ts_peer **ret, struct ts_err *err);
void ts_peer_free(struct ts_peer *p);
/* moved_us: when the call's connection last carried something. TS_ECONNECT when pings failed for timeout_ms on end; the time a dial takes counts. */
int ts_peer_step(struct ts_peer *p, uint64_t moved_us, struct ts_err *err);

#endif
