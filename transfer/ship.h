/* Brings dumps and directory trees from one host to another through agents (transfer/agent): each host gets one, a small static program that is part of this one and is copied there once, or a thread where the
 * host is this machine. What the source's agent sends is passed on to the target's, unread and with constant memory, while the dump is still being written.
 *
 * One round is one dump. Rounds before the last one (rehearsals, while the container goes on) leave pages on the target from which the last one, with the container stopped, needs only
 * what has changed since. Nothing that an engine could restore is on the target before the last round is complete there and every sum was right. */
#ifndef TRANSHIP_TRANSFER_SHIP_H
#define TRANSHIP_TRANSFER_SHIP_H

#include "transfer/host.h"
#include "transfer/rate.h"

#include <stdint.h>

struct ts_agent; /* one, on one host, for one directory */
struct ts_agent_opts {
        unsigned streams;     /* SSH streams to it; 0: as many as make it faster */
        unsigned tls_low, tls_high; /* data goes by TLS to one of these ports, if it can be reached; 0, 0: by SSH alone */
        const char *owner;    /* the migration that it works for, among its arguments: who recovers finds it by that; NULL: none */
        unsigned patience_ms; /* when all of them broke: for so long new ones are tried, and what was on its way stays; 0: no such thing */
};
/* Copies the program to the host unless it is there already (its SHA-256 is its name, and is checked), starts it, greets it. directory: absolute; the only one it touches. Needs root there.
 * TS_ECONNECT, TS_ECOMMAND, TS_EIO, TS_ENOSPC, TS_EPROTO. Blocking. */
int ts_agent_start(struct ts_host *h, const char *directory, const struct ts_agent_opts *o, struct ts_agent **ret, struct ts_err *err);
/* Whether data goes to it as was wished: always, but where TLS could not be made. */
bool ts_agent_has_way(const struct ts_agent *a, const struct ts_agent_opts *o);
/* From here on another patience. */
void ts_agent_patience(struct ts_agent *a, unsigned ms);
/* Begins to end it, without waiting: several that end at once take the time of one. */
void ts_agent_stop(struct ts_agent *a);
/* Ends it; what it had not completed goes with it. The host must still be there. */
void ts_agent_free(struct ts_agent *a);
TS_DEFINE_AUTO(ts_agent, ts_agent_free);
/* The program alone: copied as above. Its path there is the caller's. Blocking. */
int ts_agent_install(struct ts_host *h, char **ret_path, struct ts_err *err);
/* Removes the program from a host. 1: it stays, for somebody else is using it. */
int ts_agent_uninstall(struct ts_host *h, struct ts_err *err);

struct ts_ship_stats {
        uint64_t bytes; /* that travelled */
        /* Of a dump: pages of the pages files; pages is the sum of the others. */
        uint64_t pages, zero, same, copied, sent;
        /* Of a tree: objects, and bytes of contents. */
        uint64_t objects, changed, removed, bytes_read, bytes_sent;
        uint64_t unset; /* objects whose attributes of chattr the target's file system did not take
                         */
};

struct ts_ship; /* a round under way: a thread */
/* Whether what comes from this agent is packed: 0 no, 1 where it pays, 2 always. */
int ts_agent_pack(struct ts_agent *source, unsigned mode, struct ts_err *err);
/* What comes from this agent goes no faster. r is borrowed; NULL: no limit. */
void ts_agent_limit(struct ts_agent *source, struct ts_rate *r);

/* Before the first round over a tree: of its own entries only those named this way travel, under the name `as`. */
int ts_agent_only(struct ts_agent *source, const char *name, const char *as, struct ts_err *err);

/* Where dumps that others go on from are to be on the target: in the directory of that name beside its agent's, as they are on the source. Before the first round; blocking. */
int ts_ship_base(struct ts_agent *target, const char *name, struct ts_err *err);
/* The dump is about to be made in the directory `name` of the source agent's (NULL: in itself): what there is of it begins to travel. Both agents stay the caller's, and serve nothing else until the end of the round.
 * stall_ms: no byte moved for so long, once the dump is complete, is TS_ETIMEOUT. */
int ts_ship_begin(struct ts_agent *source, struct ts_agent *target, const char *name, unsigned stall_ms, struct ts_ship **ret, struct ts_err *err);
/* What a round is for. Of a tree: TS_SHIP_FINAL or not. */
enum ts_ship_kind {
        TS_SHIP_PAGES, /* pages, to compare the next dump with */
        TS_SHIP_FINAL, /* everything that a restore needs */
        TS_SHIP_EARLIER /* everything, into the directory of ts_ship_base: the next dump goes on from it if it has another name, or else takes its place */
};
/* The dump is complete: the rest may travel. What is wrong is said by ts_ship_wait. */
void ts_ship_end(struct ts_ship *s, enum ts_ship_kind kind);
/* Waits until it is there; tick (may be NULL) is called ten times a second. What an agent says, TS_ECONNECT, TS_ETIMEOUT, TS_ECANCELED on ts_stop_signal. */
int ts_ship_wait(struct ts_ship *s, void (*tick)(void *ctx), void *ctx, struct ts_ship_stats *ret, struct ts_err *err);
/* A round over the directory as a tree of files (transfer/agent/tree_send.h), to be ended with ts_ship_end like one of a dump. An agent does the one or the other. */
int ts_ship_begin_tree(struct ts_agent *source, struct ts_agent *target, unsigned stall_ms, struct ts_ship **ret, struct ts_err *err);
uint64_t ts_ship_bytes(const struct ts_ship *s); /* passed on so far; any thread */
/* Also gives a round up: the agents are of no use afterwards. */
void ts_ship_free(struct ts_ship *s);
TS_DEFINE_AUTO(ts_ship, ts_ship_free);

#endif
