/* Results of experiments and reports of single moves as one page of HTML that needs nothing else: no network, no script, no font, no picture of its own; to be read on a screen, light or dark, on paper, and aloud. */
#ifndef TRANSHIP_BENCH_PAGE_H
#define TRANSHIP_BENCH_PAGE_H

#include "base/err.h"
#include "base/str.h"
#include "bench/result.h"
#include <stddef.h>

struct ts_page_part {
        const char *file;               /* where it is from, for people */
        const struct ts_result *result; /* one of the two, the other is NULL */
        const struct ts_report *report;
};
/* Charts are drawn by gnuplot (its errors: bench/gnuplot.h). Blocks for about a second a chart. */
int ts_page_html(const struct ts_page_part parts[], size_t n, struct ts_str *out, struct ts_err *err);

#endif
