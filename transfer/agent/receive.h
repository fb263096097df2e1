/* The target's side of bringing a dump over: held pages files are brought up to date, other files are written, each sum is checked, and only then do the files get their names.
 *
 * Until a final round is complete everything is called NAME.part, so that no engine can take it for a dump; inventory.img, without which none can be restored, gets its name last.
 * A dump that others go on from gets its names in a directory of its own, where nothing can be restored from it alone.
 * What is not complete goes with the receiver; that directory is its owner's to remove. */
#ifndef TRANSHIP_TRANSFER_AGENT_RECEIVE_H
#define TRANSHIP_TRANSFER_AGENT_RECEIVE_H

#include "transfer/agent/frame.h"

struct ts_receive;
struct ts_receive *ts_receive_new(void); /* NULL out of memory */
void ts_receive_free(struct ts_receive *r);
TS_DEFINE_AUTO(ts_receive, ts_receive_free);

/* The directory to write to; it must be there. TS_EIO. */
int ts_receive_root(struct ts_receive *r, const char *path, struct ts_err *err);
/* Where dumps that others go on from are to be, beside the directory to write to; before the first frame. TS_EIO. */
int ts_receive_base(struct ts_receive *r, const char *path, struct ts_err *err);
/* One frame of the source. *ret_round: a round is complete, and everything in it is right. TS_EPROTO: what no honest source sends, and a wrong sum. TS_EIO, TS_ENOSPC. */
int ts_receive_frame(struct ts_receive *r, const struct ts_frame *f, bool *ret_round, struct ts_err *err);

#endif
