/* Makes a host forget the connections that it passed on to a container's address. Podman leaves the
 * entries of published ports in the kernel's table of connections: after the container has gone,
 * its host goes on sending what clients of those connections say to an address that is nobody's,
 * and they wait for minutes. Without the entry the host answers for itself: with a reset. The
 * agent's program, started as `forget ADDRESS…`, deletes the entries whose answers come from one of
 * them and that were not made to it. */
#ifndef TRANSHIP_TRANSFER_AGENT_FORGET_H
#define TRANSHIP_TRANSFER_AGENT_FORGET_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct ts_forget_address {
        int family;
        unsigned char addr[16];
};
/* One message of the kernel's list (pure): a struct nfgenmsg and attributes. Is it an entry to
 * forget? Then *ret_reply is its tuple of answers (the attribute, whole). */
bool ts_forget_wanted(const void *message, size_t len, const struct ts_forget_address *a, size_t n,
                      const void **ret_reply, size_t *ret_len);
int ts_forget_main(char *const addresses[]); /* the exit status; prints how many */

#endif
