/* What of a dump's processes is changed before anybody restores them, in files core-N.img.
 *
 * The signal that the container's first process asked for at its parent's end (PR_SET_PDEATHSIG)
 * goes. Its parent is outside of the container; CRIU puts the request back, and the restore itself
 * is the parent then, and ends: the process would get the signal at once, on whichever side it is
 * restored. Requests of other processes, whose parents come along, stay.
 *
 * A poll(), a sleep or a wait for a futex that the freeze has interrupted is made again. CRIU lets it
 * fail with EINTR, though no signal came, and some programs take that for an error, or for the end of
 * the time: tail -f ends, and so does a container that sleeps. A time limit begins anew, unless the
 * kernel was told to leave what is left of it where it was (sleep() does). Other system calls CRIU
 * makes again itself. */
#ifndef TRANSHIP_TRANSFER_AGENT_CORE_IMAGE_H
#define TRANSHIP_TRANSFER_AGENT_CORE_IMAGE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* The bytes of such an image (pure): was there anything to change? What is no image that we know
 * stays as it is. */
bool ts_core_no_request(unsigned char *image, size_t len);
bool ts_core_call_again(unsigned char *image, size_t len);
/* Both, of a file of that name. */
bool ts_core_repair(const char *name, unsigned char *image, size_t len);
/* The same in a dump's directory, if the file has such a name. Its size stays the same. */
int ts_core_settle(int dump, const char *name, struct ts_err *err);

#endif
