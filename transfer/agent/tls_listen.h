/* Where TLS connections reach an agent: a port on the address that its SSH connection came to, and on no other. */
#ifndef TRANSHIP_TRANSFER_AGENT_TLS_LISTEN_H
#define TRANSHIP_TRANSFER_AGENT_TLS_LISTEN_H

#include "transfer/agent/link.h"
#include "transfer/agent/tls.h"

struct ts_tls_listen;
struct ts_tls_listen_opts {
        unsigned low, high;  /* the first free port of these; 0 and 0: any */
        unsigned silence_ms; /* see ts_tls_tune() */
        unsigned char key[TS_TLS_KEY];
};
/* A thread of its own: whoever has the key becomes a strand of l, which must outlive it. address: numeric, perhaps with %scope. TS_EIO: no port is free, and others. */
int ts_tls_listen_start(struct ts_link *l, const char *address, const struct ts_tls_listen_opts *o, struct ts_tls_listen **ret,
                        unsigned *ret_port, struct ts_err *err);
void ts_tls_listen_free(struct ts_tls_listen *t);
TS_DEFINE_AUTO(ts_tls_listen, ts_tls_listen_free);

#endif
