/* What happens, shown to people on stderr while it happens: an event sink. */
#ifndef TRANSHIP_ENGINE_CLI_PROGRESS_H
#define TRANSHIP_ENGINE_CLI_PROGRESS_H

#include "base/err.h"
#include "base/mem.h"
#include "engine/event.h"

#include <stdbool.h>

enum ts_progress_style {
        TS_PROGRESS_LINES, /* a line for each phase that ended, one every 10 s while a phase lasts */
        TS_PROGRESS_BAR    /* the same, and a last line with a spinner or bar that is redrawn at most ten times a second */
};
struct ts_progress_opts {
        int fd; /* borrowed */
        enum ts_progress_style style;
        bool colour, utf8;
        bool notes;       /* show TS_EV_NOTE too */
        unsigned columns; /* 0: ask the terminal before every line */
};

/* At most one at a time: it makes room for log lines through ts_log_around. Starts a thread. */
struct ts_progress;
int ts_progress_start(const struct ts_progress_opts *o, struct ts_progress **ret, struct ts_err *err);
/* For struct ts_event_sink; ctx is the struct ts_progress. Thread-safe, and never waits for the terminal: one that was stopped with
 * Ctrl-S must not lengthen the downtime. */
void ts_progress_emit(void *ctx, const struct ts_event *e);
/* Leaves a clean line behind; waits at most 2 s for the terminal. */
void ts_progress_free(struct ts_progress *p);
TS_DEFINE_AUTO(ts_progress, ts_progress_free);

#endif
