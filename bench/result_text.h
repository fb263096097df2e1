/* The result of an experiment as text tables for people, and as CSV for programs. Pages with charts are made by bench/page.h. */
#ifndef TRANSHIP_BENCH_RESULT_TEXT_H
#define TRANSHIP_BENCH_RESULT_TEXT_H

#include "base/err.h"
#include "base/str.h"
#include "bench/result.h"
#include <stdbool.h>

/* What was measured on what, then a table a figure. columns: of the terminal; what does not fit in them is left out, the median with its interval last. */
int ts_result_text(const struct ts_result *r, bool colour, unsigned columns, struct ts_str *out, struct ts_err *err);
/* One line a measurement, in the units of bench/figures.c; without the warm-ups. RFC 4180. */
int ts_result_csv(const struct ts_result *r, bool header, struct ts_str *out, struct ts_err *err);

/* The sentences that keep a reader from believing too much; also for pages. Nothing is added where there is nothing to say. */
struct ts_summary;
int ts_result_caveats(const struct ts_result *r, const struct ts_summary *s, struct ts_list *ret, struct ts_err *err);
/* "Podman 5.4.2, runc 1.3, CRIU 4.2.1, Linux 6.18, 4 x Xeon, 8.4 GB". Caller frees; NULL only out of memory. */
char *ts_bench_host_text(const struct ts_bench_host *h);
/* "how, RTT 0.3 ms, 117.0 MB/s". Caller frees; NULL only out of memory. */
char *ts_bench_environment_text(const struct ts_bench_environment *e);

#endif
