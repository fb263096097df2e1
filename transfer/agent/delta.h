/* Finds out what the other side lacks: new versions of files, page by page, against everything it holds.
 *
 * The other side holds one copy of each file and brings it up to date in place, in rising order of position; what it overwrites it keeps aside until the round is over (patch.h). So any
 * page of the old versions, and any page written already in this round, can be named as a source, wherever it has moved to. This side keeps both versions open and compares bytes; a hash
 * only says where to look. Pages of zeros cost nothing.
 *
 * Memory: 11 to 22 bytes a page held, and one MiB. No other module of ours but base; hashing is XXH3 (xxhash). One thread. */
#ifndef TRANSHIP_TRANSFER_AGENT_DELTA_H
#define TRANSHIP_TRANSFER_AGENT_DELTA_H

#include "base/err.h"
#include "base/mem.h"
#include "transfer/agent/digest.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define TS_PAGE 4096U
#define TS_DELTA_FILES_MAX 2048U              /* of one set */
#define TS_DELTA_DATA_MAX ((size_t)256 << 10) /* bytes of one TS_OP_DATA */

/* One step of an update; positions are implied: each begins where the one before ended. */
enum ts_op_kind {
        TS_OP_SAME = 1, /* what is there stays */
        TS_OP_ZERO,     /* zeros */
        TS_OP_COPY,     /* pages of a held file as it was when the round began */
        TS_OP_REPEAT,   /* pages of a held file that were written in this round already, before this step */
        TS_OP_DATA      /* the bytes follow */
};
struct ts_op {
        enum ts_op_kind kind;
        uint32_t file; /* COPY, REPEAT */
        uint64_t from; /* COPY, REPEAT: bytes, a multiple of TS_PAGE */
        uint64_t len;  /* bytes; only the last one of a file may be no multiple of TS_PAGE, and never a COPY or REPEAT */
};

/* Takes one step; data: op->len bytes for TS_OP_DATA, else NULL. */
typedef int (*ts_op_fn)(void *ctx, const struct ts_op *op, const void *data, struct ts_err *err);

struct ts_delta_stats {
        uint64_t pages, zero, same, copied, sent; /* pages = the sum of the others */
};

struct ts_delta;
struct ts_delta *ts_delta_new(ts_op_fn emit, void *ctx); /* NULL out of memory */
void ts_delta_free(struct ts_delta *d);                  /* closes what it was given */
TS_DEFINE_AUTO(ts_delta, ts_delta_free);

/* The other side is about to get, or holds an old version of, a file: its number there, counted from 0. */
int ts_delta_add(struct ts_delta *d, uint32_t *ret_file, struct ts_err *err);
/* Between rounds: what there is of the file here is no more what the other side has, and is nobody's source. */
void ts_delta_forget(struct ts_delta *d, uint32_t file);
/* Between rounds: the file stays as it is from here on, a source of pages in every round that comes. */
void ts_delta_keep(struct ts_delta *d, uint32_t file);
/* Begins the new version of a file. fd is taken over (also on failure), and may still grow; what was read of it must not change any more. */
int ts_delta_begin(struct ts_delta *d, uint32_t file, int fd, struct ts_err *err);
/* Emits what is whole pages below upto_bytes and was not emitted yet. Steps may be held back to be joined with the next. TS_EIO, TS_EPROTO (the file is shorter), the callback's errors. */
int ts_delta_feed(struct ts_delta *d, uint64_t upto_bytes, struct ts_err *err);
/* Emits the rest: the file has size_bytes. ret_sum: XXH3-128 of all of it, as it was read. */
int ts_delta_end(struct ts_delta *d, uint64_t size_bytes, unsigned char ret_sum[TS_DIGEST_BYTES], struct ts_err *err);
/* A file whose new version ended, with whole pages, goes on after all, from there. Returns its descriptor, which stays ours; -1: TS_EPROTO, TS_EIO. */
int ts_delta_resume(struct ts_delta *d, uint32_t file, struct ts_err *err);
/* The round is over: the new versions are what the other side holds. Files without one are held no more (they keep their numbers). Reads everything once, to index it. */
int ts_delta_settle(struct ts_delta *d, struct ts_err *err);
/* Of this round; reset by ts_delta_settle. */
const struct ts_delta_stats *ts_delta_stats(const struct ts_delta *d);

static inline bool ts_is_zero(const unsigned char *p, size_t len) /* len > 0 */
{
        return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

#endif
