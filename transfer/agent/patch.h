/* Brings held files up to date, in place, by the steps of delta.h. The steps come from the other side and are hostile: every position is checked.
 *
 * A page that is overwritten is first put aside in a spill file, since it may be wanted elsewhere later in the round. So an update costs what changed, and memory that has only moved
 * need not travel. Memory: 4 bytes a page of a file that changes, and half a MiB. */
#ifndef TRANSHIP_TRANSFER_AGENT_PATCH_H
#define TRANSHIP_TRANSFER_AGENT_PATCH_H

#include "transfer/agent/delta.h"
#include "transfer/agent/frame.h"

struct ts_patch;
/* No file may become larger than max_bytes. spill_fd: an empty file to read and write, taken over; or -1: nothing is put aside, and there is no COPY. NULL out of memory. */
struct ts_patch *ts_patch_new(uint64_t max_bytes, int spill_fd);
void ts_patch_free(struct ts_patch *p); /* closes what it was given */
TS_DEFINE_AUTO(ts_patch, ts_patch_free);

/* A held file, empty or of an earlier round; its number, counted from 0, as the other side counts. fd: read and write; taken over (also on failure). */
int ts_patch_add(struct ts_patch *p, int fd, uint32_t *ret_file, struct ts_err *err);
int ts_patch_begin(struct ts_patch *p, uint32_t file, struct ts_err *err);
/* A file whose update ended in this round, with whole pages, goes on from there; nothing can stay from here on. */
int ts_patch_resume(struct ts_patch *p, uint32_t file, struct ts_err *err);
/* data as for ts_op_fn. TS_EPROTO: a step that makes no sense. TS_ELIMIT. TS_EIO, TS_ENOSPC. */
int ts_patch_step(struct ts_patch *p, const struct ts_op *op, const void *data, struct ts_err *err);
/* All steps of a STEPS message. */
int ts_patch_steps(struct ts_patch *p, const struct ts_frame *f, struct ts_err *err);
/* The file ends where the steps ended. *ret_size may be NULL. ret_sum: XXH3-128 of all of it: of what was written, and of what the file says of the rest, also of what stayed. */
int ts_patch_end(struct ts_patch *p, uint64_t *ret_size, unsigned char ret_sum[TS_DIGEST_BYTES], struct ts_err *err);
/* The round is over: what was put aside is dropped, and the files as they are now are what the next round begins with. */
int ts_patch_settle(struct ts_patch *p, struct ts_err *err);
/* The descriptor of a file; stays the patch's. -1: no such file. */
int ts_patch_fd(const struct ts_patch *p, uint32_t file);

#endif
