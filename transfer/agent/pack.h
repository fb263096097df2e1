/* Frames packed with zstd, where that lets them arrive earlier: which of the two is the bottleneck, the link or the processor, is measured again and again while bytes flow. */
#ifndef TRANSHIP_TRANSFER_AGENT_PACK_H
#define TRANSHIP_TRANSFER_AGENT_PACK_H

#include "transfer/agent/frame.h"

enum ts_pack_mode { TS_PACK_OFF, TS_PACK_AUTO, TS_PACK_ON };

struct ts_pack;
struct ts_pack *ts_pack_new(void); /* off; NULL out of memory */
void ts_pack_free(struct ts_pack *p);
TS_DEFINE_AUTO(ts_pack, ts_pack_free);
void ts_pack_set(struct ts_pack *p, enum ts_pack_mode mode);
/* Writes f, or a PACKED with it inside. */
int ts_pack_write(struct ts_pack *p, struct ts_duplex *out, const struct ts_frame *f, struct ts_err *err);
/* What is inside a PACKED, into ret. TS_EPROTO: it is not what it says, or not a message that may be inside. */
int ts_pack_open(struct ts_pack *p, const struct ts_frame *packed, struct ts_frame *ret, struct ts_err *err);

#endif
