/* `--events`: what happens as JSON lines, for programs. */
#ifndef TRANSHIP_ENGINE_CLI_EVENTS_JSON_H
#define TRANSHIP_ENGINE_CLI_EVENTS_JSON_H

#include "base/err.h"
#include "base/mem.h"
#include "engine/event.h"

#include <stdbool.h>
#include <stdint.h>

struct ts_events;
/* spec: "-" or "" (stdout), "fd:N" (a descriptor the caller of tranship opened for writing), or a file's path: made 0600, emptied if it
 * exists. t0_us: what t_us in the lines counts from. TS_EUSAGE for a malformed spec or a descriptor not open for writing, TS_EIO. */
int ts_events_open(const char *spec, uint64_t t0_us, struct ts_events **ret, struct ts_err *err);
bool ts_events_to_stdout(const char *spec); /* for those who must keep stdout pure */
/* For struct ts_event_sink; ctx is the struct ts_events. Never waits for the reader: 4 MiB may be under way, then progress lines and
 * after them all others are dropped, and counted in the last line. Thread-safe. */
void ts_events_emit(void *ctx, const struct ts_event *e);
/* Waits at most 5 s for the reader. */
int ts_events_free(struct ts_events *e); /* gives the errno of the write that failed, after which all was dropped; or 0 */
TS_DEFINE_AUTO(ts_events, ts_events_free);

#endif
