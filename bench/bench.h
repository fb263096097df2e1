/* `tranship bench`: an experiment with real moves, repeated, in turns, every sample kept. What is measured is what a user gets: each move is a run of `tranship move`.
 *
 * The containers are the experiment's own, named tranship-bench-…, labelled tranship.bench=yes; what is left of an earlier one is removed at the begin, by that label,
 * volumes by that name, too. Two experiments with one engine would remove each other's: the second one is refused. */
#ifndef TRANSHIP_BENCH_BENCH_H
#define TRANSHIP_BENCH_BENCH_H

#include "base/err.h"
#include "base/str.h"
#include "transfer/host.h"
#include <stdbool.h>

struct ts_scenario_parameter {
        const char *name, *fallback, *quick; /* quick: with --quick; NULL: as fallback. A fallback of NULL: it must be given */
        const char *help;
};
struct ts_scenario {
        const char *name, *summary;
        const struct ts_scenario_parameter *parameters; /* ended by name NULL */
        const struct ts_plan *plan;                     /* bench/plan.h */
};
extern const struct ts_scenario ts_scenarios[];         /* ended by name NULL */
extern const struct ts_scenario_parameter ts_common_parameters[]; /* of all of them */

/* All borrowed. */
struct ts_bench_opts {
        const char *scenario;
        const char *from, *to;              /* ENGINE, as for a move; A and B */
        const struct ts_list *set;          /* NAME=VALUE */
        const struct ts_list *environments; /* NAME, or NAME=OPTIONS of tranship move, split at blanks */
        const char *hook;                   /* program that is run with "up NAME" before the moves of an environment, and "down NAME" after them; what it prints on its first line says how it is made. Or NULL */
        const char *output;                 /* the result file */
        bool quick;
        void (*say)(void *ctx, const char *line); /* what was just measured; or NULL */
        void *say_ctx;
        const struct ts_list *move_options; /* words for every move */
        const char *probe;                  /* of the moves, or NULL: it must be answered before each of them, too */
        struct ts_ssh_opts ssh;
        const char *self;                   /* this program */
        const char *podman, *docker;        /* the programs on the hosts */
};
/* Runs it, writes the result file anew after every sample. 0, or -1: TS_EUSAGE; a move or a check that failed (what was measured before it is in the file); TS_ECANCELED. */
int ts_bench(const struct ts_bench_opts *o, struct ts_err *err);
const struct ts_scenario *ts_scenario_find(const char *name, struct ts_err *err); /* NULL: TS_EUSAGE */
/* The scenarios and their parameters, for people. */
int ts_scenarios_text(struct ts_str *out, struct ts_err *err);

#endif
