/* A stream of bytes in both directions between two threads, like a socket pair, but that blocks (block.h) are handed over instead of copied into the kernel and out of it.
 *
 * What one end writes in one piece and can be held by one block stays in one block; longer ones begin a block of their own.
 * At each end one thread may write, and one may read; the same one, or another. */
#ifndef TRANSHIP_TRANSFER_AGENT_DUPLEX_H
#define TRANSHIP_TRANSFER_AGENT_DUPLEX_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "transfer/agent/block.h"
#include <sys/types.h>

struct ts_duplex; /* one end */

int ts_duplex_new(struct ts_duplex *ret[2], struct ts_err *err);
/* The other end reads what was written, and then the end; what it writes fails. NULL: nothing. */
void ts_duplex_close(struct ts_duplex *d);
TS_DEFINE_AUTO(ts_duplex, ts_duplex_close);
void ts_duplex_end(struct ts_duplex *d);   /* of what this end writes */
void ts_duplex_break(struct ts_duplex *d); /* nobody writes any more, at either end: who waits sees that. Any thread, as long as this end is open */

/* For poll(): POLLIN on the first says that a read would not wait, on the second that a write would not. Borrowed. */
int ts_duplex_in_fd(const struct ts_duplex *d);
int ts_duplex_out_fd(const struct ts_duplex *d);
bool ts_duplex_readable(const struct ts_duplex *d);
bool ts_duplex_writable(const struct ts_duplex *d);

/* Waiting: like ts_read_some(), ts_read_exact() and ts_write_all(); head (may be NULL) and data are one piece. */
ssize_t ts_duplex_read(struct ts_duplex *d, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err);
int ts_duplex_read_exact(struct ts_duplex *d, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err);
int ts_duplex_write(struct ts_duplex *d, const void *head, size_t head_len, const void *data, size_t len, ts_deadline deadline,
                    bool cancellable, struct ts_err *err);

/* Not waiting: */
/* The next len bytes, which stay. 1: there they are; 0: nothing there; -1: the end; -2: they are in pieces. */
int ts_duplex_peek(struct ts_duplex *d, void *buf, size_t len);
/* At most len bytes from one stream to another, whole blocks as they are, unless they are small. Bytes; 0: the end; -1: errno, EAGAIN (nothing there, or no room: ts_duplex_writable(to)), EPIPE (of `to`), ENOMEM. */
ssize_t ts_duplex_pass(struct ts_duplex *from, struct ts_duplex *to, size_t len);
/* The next block, the caller's; not where a part of it was read. 1: there it is; 0: not now; -1: the end. */
int ts_duplex_take(struct ts_duplex *d, struct ts_block **ret);
/* A block, given away. 1; 0: no room; -1: nobody reads: then it is still the caller's. */
int ts_duplex_give(struct ts_duplex *d, struct ts_block *b);

#endif
