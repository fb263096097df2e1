/* Messages between tranship and its agents: framed, bounded, typed. What comes in is hostile until it was unpacked without a complaint.
 *
 * On the wire: length of the body (4 bytes), type (4 bytes), body; all numbers little-endian. Both sides say HELLO first. An agent that gets a message it does not know answers ERROR and ends.
 *
 * An agent's directory holds dumps (WATCH, FINISH) or is a tree that is brought over as it is (SCAN), not both.
 *
 * Who sends what (fields in brackets, in order; s: text of at most 4096 bytes, d: the rest of the body):
 *   both     HELLO   [u32 version, s tool, s name]   where others may join the agent (join.h); "" of tranship, and of an agent in its own process
 *   to both  ROOT    [s directory]                 what the agent may touch from here on; one, named by the migration; READY when it is there
 *            TLS     [u32 low, u32 high, u32 silence in ms, 32 bytes]   listen on one of these ports for TLS connections with that key (tls.h); READY says which it is, first, or 0: none
 *   to source WATCH  [s name]                      a dump is about to be made in that directory of the root (".": the root): send its pages while they are written
 *            FINISH  [u32 round]                   it is complete: send the rest, as that kind of a round wants it
 *            ONLY    [s name, s as]                of the tree's own entries this one, which the other side calls so; as often as there are such
 *            PACK    [u32 mode]                    whether to pack what is sent (pack.h)
 *            SCAN    [u32 final]                   send what changed in the tree since the last time
 *   to target BASE   [s name]                      of a directory beside the root: where dumps that others go on from are to be; before the first round. READY when it is there
 *   source → target (tranship passes them on unread)
 *            PAGES   [u32 file, s name]            steps for the held file of that number follow
 *            STEPS   [ {u32 kind, u32 file, u64 from, u64 len, bytes of DATA} … ]
 *            SIZE    [u64 size]                    the file is complete
 *            FILE    [u32 mode, u64 size, s name]  a small file; its bytes follow
 *            BYTES   [d]
 *            SUM     [u64 size, 16 bytes, s name]  XXH3-128 of a file of this round
 *            ROUND   [u32 round, u32 files]        the round is over, of that kind (of a tree: final or not): so many SUMs were sent
 *            ENTRY   (entry.c)                     an object of a tree; if it is a regular file that is new or changed, STEPS follow, and
 *            CLOSE   [u64 size, 16 bytes]          its size and XXH3-128
 *            LINK    [s path, s path]              the first is a further name of the second
 *            REMOVE  [s path]                      one that was sent in an earlier round
 *            FLAGS   [s path, u32 flags]           its attributes of chattr (flags.h); at the end of the last round
 *            PACKED  [u32 type, u32 size, d]       STEPS or BYTES of that size, as a zstd frame
 *            HELD    [ {u32 file, u64 size, 16 bytes} … ]   the next dump goes on from the one that is there: its pages files, and their sums. They stay as they are, and keep their numbers
 *            PARENT  []                            the dump is complete only together with that one
 *   answers  READY   [u64 × 6: pages, zero, same, copied, sent, bytes of frames; trees: objects, changed, removed, bytes read, bytes sent, 0]   of source: the round was sent; of target: it is there and every sum is right; trees: first the number of objects that did not take their flags
 *            ALIVE   []                            long work is under way: once a second
 *            ERROR   [u32 code, s message]         and the agent ends */
#ifndef TRANSHIP_TRANSFER_AGENT_FRAME_H
#define TRANSHIP_TRANSFER_AGENT_FRAME_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "transfer/agent/duplex.h"
#include <stdint.h>

#define TS_AGENT_VERSION 5U
#define TS_FRAME_MAX ((size_t)1 << 20) /* bytes of a body */
#define TS_FRAME_TEXT_MAX 4096U

enum ts_frame_type {
        TS_FRAME_HELLO = 1,
        TS_FRAME_ROOT,
        TS_FRAME_WATCH,
        TS_FRAME_FINISH,
        TS_FRAME_ONLY,
        TS_FRAME_PACK,
        TS_FRAME_SCAN,
        TS_FRAME_BASE,
        TS_FRAME_TLS,
        TS_FRAME_PAGES = 16, /* from here on: source to target */
        TS_FRAME_STEPS,
        TS_FRAME_SIZE,
        TS_FRAME_FILE,
        TS_FRAME_BYTES,
        TS_FRAME_SUM,
        TS_FRAME_ROUND,
        TS_FRAME_ENTRY, /* … and of trees */
        TS_FRAME_LINK,
        TS_FRAME_REMOVE,
        TS_FRAME_CLOSE,
        TS_FRAME_PACKED,
        TS_FRAME_HELD,
        TS_FRAME_PARENT,
        TS_FRAME_FLAGS, /* of trees */
        TS_FRAME_READY = 32, /* from here on: answers */
        TS_FRAME_ALIVE,
        TS_FRAME_ERROR
};
/* Kinds of rounds over a dump. */
enum ts_round_kind {
        TS_ROUND_PAGES,  /* only pages, to compare the next dump with */
        TS_ROUND_FINAL,  /* everything: it can be restored from */
        TS_ROUND_EARLIER /* everything, in the directory of BASE: the next dump may go on from it, or take its place */
};
static inline int ts_frame_is_data(uint32_t type)
{
        return type >= TS_FRAME_PAGES && type <= TS_FRAME_FLAGS;
}

struct ts_frame {
        uint32_t type;
        struct ts_str body;
};
void ts_frame_clear(struct ts_frame *f);
#define ts_auto_frame __attribute__((cleanup(ts_frame_clear))) struct ts_frame

/* Reads one; reuses f's memory. 1: got one; 0: the end, before a frame began; -1: TS_EPROTO, TS_ELIMIT, what ts_duplex_read() says. */
int ts_frame_read(struct ts_duplex *d, struct ts_frame *f, ts_deadline deadline, bool cancellable, struct ts_err *err);
/* What the next one is, and its length with its head; it stays where it is. 1: there it is; 0: not yet; -1: TS_ECONNECT (its end), TS_EPROTO, TS_ELIMIT. Does not wait. */
int ts_frame_peek(struct ts_duplex *d, uint32_t *ret_type, size_t *ret_len, struct ts_err *err);
/* Writes one in one piece. */
int ts_frame_write(struct ts_duplex *d, const struct ts_frame *f, ts_deadline deadline, bool cancellable, struct ts_err *err);

/* Building: begin, then the fields. TS_ENOMEM, TS_ELIMIT. */
void ts_frame_begin(struct ts_frame *f, enum ts_frame_type type);
int ts_put_u32(struct ts_frame *f, uint32_t v, struct ts_err *err);
int ts_put_u64(struct ts_frame *f, uint64_t v, struct ts_err *err);
void ts_set_u64(struct ts_frame *f, size_t at, uint64_t v); /* of what was put before */
int ts_put_text(struct ts_frame *f, const char *s, struct ts_err *err);
int ts_put_bytes(struct ts_frame *f, const void *data, size_t len, struct ts_err *err);

/* Taking apart: a cursor that stays bad once anything was missing; fields are then 0, "" or NULL. */
struct ts_unpack {
        const unsigned char *p, *end;
        bool bad;
};
struct ts_unpack ts_unpack(const struct ts_frame *f);
uint32_t ts_get_u32(struct ts_unpack *u);
uint64_t ts_get_u64(struct ts_unpack *u);
const void *ts_get_bytes(struct ts_unpack *u, size_t len); /* borrowed from the frame */
/* A file name of one component: [A-Za-z0-9_.-], not beginning with a dot, at most 255 bytes. Caller's buffer. */
const char *ts_get_name(struct ts_unpack *u, char buf[256]);
/* Text without control characters; at most TS_FRAME_TEXT_MAX bytes. Caller frees; NULL: bad. */
char *ts_get_text(struct ts_unpack *u);
/* TS_EPROTO when anything was missing or is left over. */
int ts_unpack_end(const struct ts_unpack *u, const struct ts_frame *f, struct ts_err *err);

/* For an agent's long work, of this thread: from set on, tick sends ALIVE to out (NULL: to nobody; borrowed) if more than a second has gone since the last one; -1: nobody
 * is there any more, TS_ECONNECT and others, so that the work can end. An agent's writes have no time limit: it lives as long as its channel, and ship.c judges what takes too long. */
void ts_alive_set(struct ts_duplex *out);
int ts_alive_tick(struct ts_err *err);

/* An ERROR of the other side as err. Returns -1. */
int ts_frame_error(const struct ts_frame *f, const char *who, struct ts_err *err);

#endif
