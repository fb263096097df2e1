/* Charts are drawn by gnuplot, a program of its own: the script goes in, the picture comes out, no file is written.
 *
 * gnuplot can run commands (system, backquotes in double quotes, pipes as file names), so nothing from a file reaches it but numbers, and texts through ts_gnuplot_quote(). It reads no start-up file. */
#ifndef TRANSHIP_BENCH_GNUPLOT_H
#define TRANSHIP_BENCH_GNUPLOT_H

#include "base/err.h"
#include "base/str.h"
#include <stddef.h>

enum ts_chart_format { TS_CHART_SVG, TS_CHART_PNG, TS_CHART_PDF };
const char *ts_chart_format_str(enum ts_chart_format f); /* "svg", …: also how its files end */
/* TS_EUSAGE */
int ts_chart_format_parse(const char *name, enum ts_chart_format *ret, struct ts_err *err);

/* Appends text as a string in single quotes, in which gnuplot substitutes nothing; quotes become typographic ones, control characters blanks, and what is longer than max_chars (0: any length) gets an ellipsis. */
int ts_gnuplot_quote(struct ts_str *out, const char *text, size_t max_chars, struct ts_err *err);
/* Draws: width and height in CSS pixels; PNG has twice as many. Blocks for at most a minute; a signal does not end it. TS_ENOTFOUND (gnuplot is not installed), TS_ECOMMAND, TS_ETIMEOUT, TS_ELIMIT. */
int ts_gnuplot_draw(const struct ts_str *script, enum ts_chart_format f, unsigned width, unsigned height, struct ts_str *ret, struct ts_err *err);

#endif
