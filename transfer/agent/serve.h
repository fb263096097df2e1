/* An agent: what works on a host's own files for a migration, told by messages (frame.h). The same code runs in a small static program on a remote host and in a thread for a local one. */
#ifndef TRANSHIP_TRANSFER_AGENT_SERVE_H
#define TRANSHIP_TRANSFER_AGENT_SERVE_H

#include "base/err.h"

/* Serves until in_fd ends (0), or something failed: then the other side was told with an ERROR (-1). Does not close the descriptors. For HELLO: tool, and where others may join (join.h) or "". */
int ts_agent_serve(int in_fd, int out_fd, const char *tool, const char *listens, struct ts_err *err);

#endif
