/* The phases of a migration and their runner. Private to engine/. */
#ifndef TRANSHIP_ENGINE_PHASES_H
#define TRANSHIP_ENGINE_PHASES_H

#include "engine/mig.h"

enum ts_phase_flags {
        TS_PHASE_FROZEN = 1 << 0,  /* the container answers nobody: counts as downtime */
        TS_PHASE_CHECK = 1 << 1,   /* also part of `tranship check` */
        TS_PHASE_ATOMIC = 1 << 2,  /* a signal waits for its end: the engine's call cannot be cancelled */
        TS_PHASE_COMMITS = 1 << 3, /* when it succeeds the target owns the container */
};

struct ts_phase {
        const char *name;
        bool (*wanted)(const struct ts_mig *m); /* NULL: always */
        int (*run)(struct ts_mig *m, struct ts_err *err);
        unsigned flags;
};
/* In order; ends with name NULL. What a phase made is taken back by kind of resource (undo.c), from the journal, not by phase: a crash leaves a journal, not a call stack. */
extern const struct ts_phase ts_phases[];

/* Runs the phases from `first` (NULL: the first) on; only those with TS_PHASE_CHECK if check_only. On failure m->phase names the culprit. */
int ts_phases_run(struct ts_mig *m, const char *first, bool check_only, struct ts_err *err);

#endif
