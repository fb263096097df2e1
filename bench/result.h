/* The result of an experiment, `tranship.bench/1`: every raw sample, and what it was measured on. Written by the runner (bench/run.h) after each sample, read by the reports (bench/page.h).
 *
 * {
 *   schema, scenario, started_at (UTC), seconds, tool_version, commit, quick
 *   parameters {name: text}                                       all of them, also those nobody changed
 *   axis {name, label, unit}                                      what the samples' x is; absent where nothing is varied
 *   hosts [{side: a|b|client, name, engine, version, runtime, criu, kernel, cpu, cpus, memory_bytes}]
 *   seed                                                          of the order in which the ways took turns
 *   environments [{name, how, rtt_us, bytes_per_s}]               how: what the hook said of it, and the options of tranship move there; the figures, of the slower side's SSH connection, as measured before its first sample, 0: not
 *   samples [{series, environment, direction: a-b|b-a|both, run, at_us, x, figures {name: number}, report, reports, responses [[t_us, ms, per_s]]}]
 * }
 * run: -1 is the warm-up, which does not count. at_us: of its begin, from the begin of the experiment. report: tranship.report/1 as the move printed it (with its resources), absent where tranship did not move
 * it; of several at once, the one with the longest downtime, and then reports has all of them. responses: of the load's clients; t_us on the report's axis. figures: in the units of bench/figures.c. */
#ifndef TRANSHIP_BENCH_RESULT_H
#define TRANSHIP_BENCH_RESULT_H

#include "api/json.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/report.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_RESULT_SCHEMA "tranship.bench/1"
#define TS_RESULT_WARM_UP (-1)
#define TS_RESULT_CLIENT "client" /* the side that ran the experiment */
#define TS_RESULT_BOTH "both" /* directions at once */

struct ts_figure {
        char *name;
        double value;
};
struct ts_response {
        int64_t t_us; /* on the report's axis; may lie before its begin */
        double ms, per_s;
};
struct ts_sample {
        char *series, *environment, *direction; /* environment: "" where there is only one, without a name */
        int run;
        uint64_t at_us;
        bool has_x;
        double x;
        struct ts_figure *figures;
        size_t n_figures;
        struct ts_report *report; /* or NULL */
        struct ts_response *responses;
        size_t n_responses;
};
struct ts_bench_host {
        char *side, *name, *engine, *version, *runtime, *criu, *kernel, *cpu;
        uint64_t cpus, memory_bytes;
};
struct ts_bench_environment {
        char *name, *how;
        double rtt_us, bytes_per_s;
};
struct ts_parameter {
        char *name, *value;
};
struct ts_result {
        char *scenario, *started_at, *tool_version, *commit;
        double seconds;
        bool quick; /* shows that it works; its figures mean nothing */
        struct ts_parameter *parameters;
        size_t n_parameters;
        char *axis_name, *axis_label, *axis_unit; /* name NULL: nothing is varied */
        struct ts_bench_host *hosts;
        size_t n_hosts;
        struct ts_bench_environment *environments;
        size_t n_environments;
        struct ts_sample *samples;
        size_t n_samples;
};
void ts_result_clear(struct ts_result *r);
#define ts_auto_result __attribute__((cleanup(ts_result_clear))) struct ts_result

/* Of a saved file, hostile: names are short and printable, numbers finite, lists bounded. TS_EPROTO, TS_ELIMIT, TS_ENOMEM. */
int ts_result_from_json(const struct ts_json *j, struct ts_result *ret, struct ts_err *err);
/* Whether this is one at all, by its schema. */
bool ts_is_result(const struct ts_json *j);

/* NULL: it has none of that name. */
const double *ts_sample_figure(const struct ts_sample *s, const char *name);
const char *ts_result_parameter(const struct ts_result *r, const char *name); /* or NULL; borrowed */

/* How figures are called and measured. */
struct ts_figure_kind {
        const char *name;  /* as in the file: "downtime_s" */
        const char *label; /* for people: "Downtime" */
        const char *unit;  /* "s", "MB", … */
        double scale;      /* figure × scale is in that unit */
};
extern const struct ts_figure_kind ts_figure_kinds[]; /* ended by name NULL */
const struct ts_figure_kind *ts_figure_kind(const char *name); /* NULL: unknown, its name must do */

#endif
