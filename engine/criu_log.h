/* Why CRIU or an engine refused: from its log or message to words a person can act on.
 *
 * Knowledge: CRIU's own messages (4.2; the substrings hold back to 3.11), Podman 4.3 to 5.8, runc and crun, moby and containerd, and what
 * their users reported; one table in criu_log.c, in the order of precedence. Nothing here asks a host or changes anything: text in, text
 * out. Input is hostile (any bytes, any length); only a bounded part of it comes back. */
#ifndef TRANSHIP_ENGINE_CRIU_LOG_H
#define TRANSHIP_ENGINE_CRIU_LOG_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define TS_CRIU_LINES_MAX 8        /* lines that come back */
#define TS_CRIU_LINE_BYTES_MAX 300 /* of each */

/* Zero-initialise; ts_criu_explanation_clear() when done. */
struct ts_criu_explanation {
        const char *code; /* stable, for reports: "file-locks"; NULL, as the next two, when no cause is known; all three are static */
        const char *explanation; /* what it means: one line, lower case, no full stop */
        const char *hint;        /* what can be done, or NULL */
        char *lines;             /* the lines that matter, one below the other, printable; "" when there are none; owned */
};
void ts_criu_explanation_clear(struct ts_criu_explanation *e);
#define ts_auto_criu_explanation __attribute__((cleanup(ts_criu_explanation_clear))) struct ts_criu_explanation

/* text: a dump.log or restore.log (its tail will do), or an engine's error message. In a log only the lines of errors count, and warnings
 * where these tell nothing; in a message all lines do (the first 64 KiB). The first line with a known cause wins: what follows are
 * consequences. What *ret held before is cleared. 0, also when no cause is known; -1 with TS_ENOMEM. */
int ts_criu_explain(const char *text, struct ts_criu_explanation *ret, struct ts_err *err);

/* Gives err, which is set, the hint "EXPLANATION: HINT" for what text shows, unless it has a hint. The code (static), or NULL when no
 * cause is known; then err is as it was. */
const char *ts_criu_explain_err(const char *text, struct ts_err *err);

/* The table, for the manual and the tests: false past the last row. */
struct ts_criu_cause {
        const char *text; /* part of a line, whatever the case of its letters */
        const char *also; /* must be in the same line too ("\n…": in the line before), or NULL */
        const char *code, *explanation, *hint;
};
bool ts_criu_cause_at(size_t i, struct ts_criu_cause *ret);

#endif
