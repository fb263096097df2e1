/* What the samples of a result say together: one row for each figure, environment, series and x, with its spread. Warm-ups do not count. */
#ifndef TRANSHIP_BENCH_SUMMARY_H
#define TRANSHIP_BENCH_SUMMARY_H

#include "base/err.h"
#include "bench/result.h"
#include "bench/stats.h"
#include <stdbool.h>
#include <stddef.h>

#define TS_SUMMARY_NAMES_MAX 64U  /* series, and environments */
#define TS_SUMMARY_ROWS_MAX 20000U
#define TS_CLAIM_N 10U /* with fewer measurements nothing is claimed */

struct ts_summary_row {
        const char *figure;                /* its name in the file */
        const struct ts_figure_kind *kind; /* NULL: unknown */
        unsigned environment, series;      /* of the summary's lists */
        bool has_x;
        double x;
        struct ts_stats stats; /* in the kind's unit */
};
/* Names are borrowed from the result, in the order in which they come there, warm-ups included. */
struct ts_summary {
        const char *environments[TS_SUMMARY_NAMES_MAX], *series[TS_SUMMARY_NAMES_MAX];
        unsigned n_environments, n_series;
        struct ts_summary_row *rows; /* by figure (the order of ts_figure_kinds, then unknown ones), environment, series, x */
        size_t n_rows;
        size_t n_counted, n_warm_ups; /* samples */
        size_t least_n;               /* the smallest n of a row; 0 without rows */
};
/* TS_ELIMIT: too many names or rows. TS_ENOMEM. */
int ts_summary(const struct ts_result *r, struct ts_summary *ret, struct ts_err *err);
void ts_summary_clear(struct ts_summary *s);
#define ts_auto_summary __attribute__((cleanup(ts_summary_clear))) struct ts_summary

/* Where the series or environment of a sample is in the lists. */
unsigned ts_summary_series(const struct ts_summary *s, const char *name);
unsigned ts_summary_environment(const struct ts_summary *s, const char *name);
/* The rows of a figure: a part of s->rows; NULL and 0 where no sample has it. */
const struct ts_summary_row *ts_summary_figure(const struct ts_summary *s, const char *figure, size_t *ret_n);
const char *ts_figure_label(const char *figure); /* "Downtime"; borrowed */
const char *ts_figure_unit(const char *figure);  /* "s", or "" */
double ts_figure_scale(const char *figure);
/* "podman-tls, wan": what divides a line of a chart or table from the others. Caller frees; NULL only out of memory. */
char *ts_summary_name(const struct ts_summary *s, unsigned environment, unsigned series);
/* How many digits after the point four figures need, where `largest` is the largest. */
int ts_decimals(double largest);

#endif
