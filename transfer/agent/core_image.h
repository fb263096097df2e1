/* One thing of a dump is changed before anybody restores it: the signal that the container's first
 * process asked for at its parent's end (PR_SET_PDEATHSIG). Its parent is outside of the container;
 * CRIU puts the request back, and the restore itself is the parent then, and ends: the process
 * would get the signal at once, on whichever side it is restored. Requests of other processes, whose
 * parents come along, stay. */
#ifndef TRANSHIP_TRANSFER_AGENT_CORE_IMAGE_H
#define TRANSHIP_TRANSFER_AGENT_CORE_IMAGE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define TS_CORE_FIRST "core-1.img" /* of the process that is 1 in the container */

/* The bytes of that image (pure): was there such a request? It is not any more. What is no image
 * that we know stays as it is. */
bool ts_core_no_request(unsigned char *image, size_t len);
/* The same in the file, in a dump's directory. Its size stays the same. */
int ts_core_settle(int dump, struct ts_err *err);

#endif
