/* A stream of bytes in both directions between tranship and an agent, over one or more strands: pipes or sockets, each an SSH channel with a session of its own, or TLS connections (tls.h), which are
 * preferred as long as there is one.
 *
 * What was sent is kept until the program on the other side has taken it, at most TS_LINK_WINDOW bytes: so a strand may break, and what was on its way goes again over another one, or over one that is
 * added later. Both programs see a stream like any other (duplex.h) and know nothing of it. While there is no strand the stream stands still; when none is added in time, it ends.
 *
 * Both sides are alike, but that one adds and names the strands (tranship) and the other accepts them: the link of an agent listens on a socket (join.h). A thread of its own; nothing else may touch
 * the strands' descriptors. */
#ifndef TRANSHIP_TRANSFER_AGENT_LINK_H
#define TRANSHIP_TRANSFER_AGENT_LINK_H

#include "base/err.h"
#include "base/mem.h"
#include "transfer/agent/duplex.h"
#include <stdbool.h>
#include <stdint.h>

#define TS_LINK_WINDOW (8U << 20)

struct ts_link;
struct ts_tls;
struct ts_link_opts {
        bool names;           /* adds and names the strands */
        bool closes_both;     /* the other side ends both directions at once: after its end nothing is worth waiting for a strand */
        int listen_fd;        /* strands come from here; -1: none do. The link's from then on, also on failure */
        unsigned patience_ms; /* so long without a strand is the end */
};
/* *ret_io is the program's end of the stream, the caller's. TS_ENOMEM, TS_EINTERNAL. */
int ts_link_new(const struct ts_link_opts *o, struct ts_link **ret, struct ts_duplex **ret_io, struct ts_err *err);
/* Waits, linger_ms at most and not without a strand, until both sides have ended the stream and nothing is on its way; the caller's end must be closed. */
void ts_link_end(struct ts_link *l, unsigned linger_ms);
void ts_link_closing(struct ts_link *l); /* the caller's end is about to be closed, for those who ts_link_watch(); any thread */
/* At once. */
void ts_link_free(struct ts_link *l);
TS_DEFINE_AUTO(ts_link, ts_link_free);

/* Any thread may: */
/* Another strand; the descriptors (they may be the same one; held is only closed with it, -1: none) are the link's. TS_ENOMEM; TS_ECANCELED when it is over. */
int ts_link_add(struct ts_link *l, int in, int out, int held, struct ts_err *err);
int ts_link_add_tls(struct ts_link *l, int fd, struct ts_tls *tls, struct ts_err *err); /* both are the link's */
void ts_link_patience(struct ts_link *l, unsigned ms);
/* Nobody will add a strand, or not any more: without one the stream is at its end. */
void ts_link_forsake(struct ts_link *l, bool forsaken);

struct ts_link_state {
        unsigned strands, tls, lost; /* alive; of these, TLS; broken so far */
        bool over, ending;      /* ending: one side has closed the stream */
        uint64_t moved;         /* bytes taken by either program */
};
/* Waits until the number of strands or `ending` is another one than *state says or it is over, at most ms; then fills state. */
void ts_link_watch(struct ts_link *l, unsigned ms, struct ts_link_state *state);

#endif
