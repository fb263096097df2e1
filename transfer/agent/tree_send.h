/* The source's side of bringing a directory tree over, again and again: what is new, what changed, what is gone since the last round.
 *
 * An object whose inode number, size, times, owner and mode are what they were has not changed, but for two cases that are looked at again: it was changed within the last second before it was read, or its
 * file system does not tell of writes through a mapping (tmpfs). Elsewhere such writes set the time when the page is first written after it was clean; before a file is read while somebody may write to
 * it, its pages are made clean. Of a file that changed, the blocks whose sum differs travel.
 *
 * Memory: 1/1024 of the size of the files (16 bytes a block of 16 KiB), and some 300 bytes an object. */
#ifndef TRANSHIP_TRANSFER_AGENT_TREE_SEND_H
#define TRANSHIP_TRANSFER_AGENT_TREE_SEND_H

#include "transfer/agent/frame.h"
#include "transfer/agent/pack.h"

struct ts_tree_stats {
        uint64_t objects, changed, removed; /* changed: also new ones */
        uint64_t bytes_read, bytes_sent;    /* of contents */
};

struct ts_tree_send;
struct ts_tree_send *ts_tree_send_new(struct ts_duplex *out, struct ts_pack *pack); /* both borrowed; NULL out of memory */
void ts_tree_send_free(struct ts_tree_send *t);
TS_DEFINE_AUTO(ts_tree_send, ts_tree_send_free);

/* Before the first round: of the entries of the root itself only those named this way travel, under the name `as`. */
int ts_tree_send_only(struct ts_tree_send *t, const char *name, const char *as, struct ts_err *err);

/* One round over the tree at `root`. final: nobody writes to it any more, so that what changes while it is read is an error (TS_EPROTO); before, it is left for the next round.
 * TS_EPROTO, too, where the root is not the directory that it was in the round before. */
int ts_tree_send_round(struct ts_tree_send *t, const char *root, bool final, struct ts_tree_stats *ret, struct ts_err *err);

#endif
