/* Keeps a file that its owner will delete: opens it as soon as it is there and gives its end when
 * nobody needs it any more. A runtime's log of a failed restore is deleted by containerd before
 * Docker has answered. The agent's program, started as `keep PATH`, waits until its standard input
 * ends. */
#ifndef TRANSHIP_TRANSFER_AGENT_KEEP_H
#define TRANSHIP_TRANSFER_AGENT_KEEP_H

#include "base/err.h"

#define TS_KEEP_BYTES 65536U

/* Until in_fd ends: then the last TS_KEEP_BYTES of the file go to out_fd; nothing, if it never was
 * there. Only a regular file, and not by a link. */
int ts_keep_serve(int in_fd, int out_fd, const char *path, struct ts_err *err);
int ts_keep_main(const char *path); /* the exit status */

#endif
