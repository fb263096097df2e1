/* An agent: what works on a host's own files for a migration, told by messages (frame.h). The same code runs in a small static program on a remote host and in a thread for a local one. */
#ifndef TRANSHIP_TRANSFER_AGENT_SERVE_H
#define TRANSHIP_TRANSFER_AGENT_SERVE_H

#include "base/err.h"
#include "transfer/agent/duplex.h"
#include "transfer/agent/tls_listen.h"

/* How it can be reached besides; not one in tranship's own process. */
struct ts_agent_doors {
        const char *listens; /* where others may join (join.h) */
        int (*tls)(void *ctx, const struct ts_tls_listen_opts *o, unsigned *ret_port, struct ts_err *err); /* begins to listen */
        void *ctx;
};
/* Serves until the other side ends the stream (0), or something failed: then it was told with an ERROR (-1). Does not close the stream. tool: for HELLO. doors: NULL: none. */
int ts_agent_serve(struct ts_duplex *io, const char *tool, const struct ts_agent_doors *doors, struct ts_err *err);

/* Exit status of `remove`. */
#define TS_AGENT_IN_USE 3

#endif
