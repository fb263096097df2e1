/* A connection to a Unix socket on another host, one direction of which is packed on its way (zstd): engines send and take archives that are mostly zeros, and pack them for their own command lines alone. */
#ifndef TRANSHIP_TRANSFER_PACKED_H
#define TRANSHIP_TRANSFER_PACKED_H

#include "transfer/agent/squeeze.h" /* ts_packer: what is packed here and unpacked there by `tranship-agent unpack` */
#include "transfer/host.h"

enum ts_packed_way { TS_PACKED_UP, TS_PACKED_DOWN }; /* what is said to the socket; what it says */

struct ts_packed;
/* agent: the program's path there (ts_agent_install). *ret_fd is the caller's, like that of ts_host_dial_unix. TS_ECONNECT, TS_ENOMEM; that nobody listens there is said by an end of *ret_fd. */
int ts_packed_dial(struct ts_host *h, const char *agent, const char *socket, enum ts_packed_way way, struct ts_packed **ret, int *ret_fd, struct ts_err *err);
/* Ends it at once, and waits for its threads. NULL is fine. The host must still be there. */
void ts_packed_free(struct ts_packed *p);
TS_DEFINE_AUTO(ts_packed, ts_packed_free);

#endif
