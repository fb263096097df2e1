/* Probes: is the service there? For --verify (once, until it answers or time is up) and --probe (every 10 ms, in a thread, the client's view of a move).
 *
 * Forms: tcp://HOST:PORT (connects), http://HOST[:PORT]/path (2xx or 3xx answer), exec:COMMAND [ARG…] (split at blanks, no shell; exit status 0). {host} stands for the
 * address of the side under test. */
#ifndef TRANSHIP_ENGINE_PROBE_H
#define TRANSHIP_ENGINE_PROBE_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct ts_probe;
int ts_probe_parse(const char *spec, struct ts_probe **ret, struct ts_err *err); /* TS_EUSAGE */
int ts_probe_parse_command(const char *spec, struct ts_probe **ret, struct ts_err *err); /* exec: alone */
/* A probe that somebody else has named: it runs no command, and asks nobody but {host}, or the host of that name. */
bool ts_probe_is_tame(const struct ts_probe *p, const char *host);
/* It asks the host under test, or that address, and a try changes nothing but a count of
 * connections: no command does that promise. */
bool ts_probe_asks_side(const struct ts_probe *p);
bool ts_probe_asks(const struct ts_probe *p, const char *address);
void ts_probe_free(struct ts_probe *p);
TS_DEFINE_AUTO(ts_probe, ts_probe_free);
/* exec: whether its program is there and can be run, by its path or as PATH finds it: TS_ENOTFOUND. The others: always. */
int ts_probe_check(const struct ts_probe *p, struct ts_err *err);
/* One try. host replaces {host}. 0, or -1 with the reason. */
int ts_probe_once(const struct ts_probe *p, const char *host, ts_deadline deadline, struct ts_err *err);
/* Tries every 20 ms until it answers or the deadline passes (TS_ETIMEOUT with the last reason) or a signal comes (TS_ECANCELED). TS_EUSAGE: it could not be run at all (no such program, a name that cannot
 * be looked up), which says nothing about what it asks for. */
int ts_probe_until(const struct ts_probe *p, const char *host, ts_deadline deadline, struct ts_err *err);

struct ts_probe_stats {
        const char *kind; /* "tcp", "http", "exec" */
        uint64_t sent, answered, failed;
        uint64_t longest_gap_us;  /* longest time between two answers (or the start and the first, the last and the end) */
        uint64_t gap_start_us;    /* ts_now_us() when it began */
};
/* The client's view: a try every 10 ms from its own thread; a try lasts at most 1 s, and not much longer than answers usually take. {host}: source_host, then target_host whichever answers first. */
struct ts_prober;
int ts_prober_start(const struct ts_probe *p, const char *source_host, const char *target_host, struct ts_prober **ret, struct ts_err *err);
/* No tries until it is resumed, and those before are over for the service, too (0.3 s at most): CRIU refuses a dump while a connection is half made, and a hundred of ours each second meet many.
 * What is measured goes on: a gap may come out longer by that, never shorter. NULL is fine. */
void ts_prober_pause(struct ts_prober *p);
void ts_prober_resume(struct ts_prober *p);
void ts_prober_stop(struct ts_prober *p, struct ts_probe_stats *ret); /* joins and frees; NULL is fine (ret zeroed) */

#endif
