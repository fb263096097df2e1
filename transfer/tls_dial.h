/* Reaches an agent's port for TLS, at the address that its host's SSH connections go to. */
#ifndef TRANSHIP_TRANSFER_TLS_DIAL_H
#define TRANSHIP_TRANSFER_TLS_DIAL_H

#include "transfer/agent/tls.h"
#include "transfer/host.h"

/* How long such a connection may be silent: not for long, since SSH is there as well. */
unsigned ts_tls_silence_ms(const struct ts_host *h);
/* *ret_fd and *ret are the caller's. stop_fd: readable: TS_ECANCELED. step_ms: for the connection, and then for its hello. TS_ECONNECT, TS_ETIMEOUT, TS_EAUTH (ts_tls_open()). Blocking. */
int ts_tls_dial(struct ts_host *h, unsigned port, const unsigned char key[TS_TLS_KEY], unsigned step_ms, int stop_fd, int *ret_fd,
                struct ts_tls **ret, struct ts_err *err);

#endif
