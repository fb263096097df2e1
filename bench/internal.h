/* Between the files of the runner alone. */
#ifndef TRANSHIP_BENCH_INTERNAL_H
#define TRANSHIP_BENCH_INTERNAL_H

#include "bench/plan.h"

/* The workload is in reach of its client: the probe is answered. What is not reached before a move says nothing of it. TS_ETIMEOUT, TS_ECANCELED. */
int ts_client_ready(struct ts_bench *b, struct ts_err *err);

int ts_params_set(struct ts_bench *b, struct ts_err *err); /* defaults, then what was said; TS_EUSAGE */
struct ts_json *ts_params_json(const struct ts_bench *b);

int ts_bench_end_open(struct ts_bench *b, struct ts_bench_end *e, const char *letter, const char *spec, struct ts_err *err);
void ts_bench_end_close(struct ts_bench_end *e);
/* Sees to it that the parameter image is there before time is measured. One that cannot be had is no error yet: a move may bring it. TS_ECANCELED. */
int ts_bench_end_image(struct ts_bench *b, struct ts_bench_end *e, struct ts_err *err);
/* For us alone, until it is closed or our connection ends; by a file in that directory of the host. Once more: held anew if it was lost meanwhile. TS_ECONFLICT: another experiment has it. */
int ts_bench_end_hold(struct ts_bench_end *e, const char *directory, struct ts_err *err);

/* Name, kernel, processor and memory of a host. */
struct ts_json *ts_host_facts(const char *side, struct ts_host *h, struct ts_err *err);
/* What only a report knows: engine, version, runtime, CRIU. */
void ts_host_facts_of_report(struct ts_bench *b, const struct ts_json *report, const char *direction);
/* How fast the SSH connections of the environment are, of the slower side: its rate, and the time for a byte to come back. */
int ts_link_facts(struct ts_bench *b, struct ts_json *environment, struct ts_err *err);

int ts_environments_check(const struct ts_list *specs, struct ts_err *err); /* TS_EUSAGE */
int ts_environment_up(struct ts_bench *b, const char *spec, struct ts_err *err);
void ts_environment_down(struct ts_bench *b);

#endif
