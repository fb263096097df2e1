/* The source's side of bringing a dump to the other host: pages files while they are written, what else there is when the dump is complete, and a sum of each file. */
#ifndef TRANSHIP_TRANSFER_AGENT_SEND_H
#define TRANSHIP_TRANSFER_AGENT_SEND_H

#include "transfer/agent/delta.h"
#include "transfer/agent/frame.h"
#include "transfer/agent/pack.h"

struct ts_send;
struct ts_send *ts_send_new(struct ts_duplex *out, struct ts_pack *pack); /* both borrowed; NULL out of memory */
void ts_send_free(struct ts_send *s);
TS_DEFINE_AUTO(ts_send, ts_send_free);

/* The directory that the dumps are made in. TS_EIO. */
int ts_send_root(struct ts_send *s, const char *path, struct ts_err *err);
/* The next round is the dump in the directory `name` of it, or in itself: ".". It need not be there yet; of the dump before it what the other side holds is kept open here, all of it may go.
 * If that was one to go on from (TS_ROUND_EARLIER), a dump of another name does, one of the same name takes its place. */
int ts_send_watch(struct ts_send *s, const char *name, struct ts_err *err);
/* A dump is under way: sends what pages files have grown by. CRIU writes one at a time, in the order of their numbers; containerd, which unpacks an archive, in the order of their names; both only append. Which one is being
 * written is a guess, and what a file got after its turn is sent when the dump is complete. *ret_more (may be NULL): something was sent. */
int ts_send_grown(struct ts_send *s, bool *ret_more, struct ts_err *err);
/* The dump is complete. Afterwards the next round can begin. TS_EPROTO: a file is not what it was. */
int ts_send_finish(struct ts_send *s, enum ts_round_kind kind, struct ts_delta_stats *ret_stats, struct ts_err *err);
uint64_t ts_send_bytes(const struct ts_send *s); /* of frames, so far */

#endif
