/* The charts of a result or of the report of one move: which there are, what they say in words, and the same as a table. Drawing is gnuplot's (bench/gnuplot.h).
 *
 * What a scenario gets is a table in chart.c; a file for each kind of chart, bench/chart_*.c. Published figures are charts of their own (bench/chart_published.c). */
#ifndef TRANSHIP_BENCH_CHART_H
#define TRANSHIP_BENCH_CHART_H

#include "base/err.h"
#include "base/str.h"
#include "bench/gnuplot.h"
#include "bench/result.h"
#include "bench/summary.h"
#include <stdbool.h>
#include <stddef.h>

/* Plain text, row after row; the first row is the heading. */
struct ts_table {
        struct ts_list cells;
        size_t columns;
};
struct ts_chart {
        const char *name;     /* of its file: "downtime"; static */
        char *title;          /* "Downtime against Rows in the database" */
        struct ts_str caption; /* in words: what is shown, of how many, what the bars are */
        struct ts_str script; /* for gnuplot, without terminal */
        unsigned width, height;
        bool published; /* figures of others are in it */
        struct ts_table table;
};
struct ts_charts {
        struct ts_chart *v;
        size_t n;
};
/* None where the samples do not have what a chart shows. s: of r. */
int ts_charts_of_result(const struct ts_result *r, const struct ts_summary *s, struct ts_charts *ret, struct ts_err *err);
int ts_charts_of_report(const struct ts_report *r, struct ts_charts *ret, struct ts_err *err);
void ts_charts_clear(struct ts_charts *c);
#define ts_auto_charts __attribute__((cleanup(ts_charts_clear))) struct ts_charts
int ts_chart_draw(const struct ts_chart *c, enum ts_chart_format f, struct ts_str *ret, struct ts_err *err);

#endif
