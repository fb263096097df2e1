/* The target's side of bringing a directory tree over: makes and changes what the source says, below one directory and nowhere else.
 *
 * Every path is walked one plain component at a time without following a symbolic link, so that nothing the source has made here can lead outside. What was there before and the source does not
 * name stays. */
#ifndef TRANSHIP_TRANSFER_AGENT_TREE_RECEIVE_H
#define TRANSHIP_TRANSFER_AGENT_TREE_RECEIVE_H

#include "transfer/agent/frame.h"

struct ts_tree_receive;
struct ts_tree_receive *ts_tree_receive_new(void); /* NULL out of memory */
void ts_tree_receive_free(struct ts_tree_receive *t);
TS_DEFINE_AUTO(ts_tree_receive, ts_tree_receive_free);

/* The directory that fd is open on, which stays the caller's. */
int ts_tree_receive_root(struct ts_tree_receive *t, int fd, struct ts_err *err);
/* What may be held back until the end of a round (paths of directories and of what has flags); TS_ELIMIT beyond. 1 GiB unless set. */
void ts_tree_receive_late_max(struct ts_tree_receive *t, size_t bytes);
/* One frame. *ret_round: a round is complete. TS_EPROTO: what no honest source sends, and a wrong sum. TS_EIO, TS_ENOSPC. */
int ts_tree_receive_frame(struct ts_tree_receive *t, const struct ts_frame *f, bool *ret_round, struct ts_err *err);
/* Objects whose attributes of chattr (flags.h) the file system here did not take. */
uint64_t ts_tree_receive_unset(const struct ts_tree_receive *t);

#endif
