/* Text into HTML: escaping, tables, and gnuplot's SVG as a part of a page. */
#ifndef TRANSHIP_BENCH_HTML_H
#define TRANSHIP_BENCH_HTML_H

#include "base/err.h"
#include "base/str.h"
#include "bench/chart.h"
#include <stddef.h>

int ts_html_text(struct ts_str *out, const char *text, struct ts_err *err); /* escaped: for elements and for attributes in double quotes */
/* A printf() whose every argument is a string: %s is escaped, nothing else is understood. */
int ts_html_add(struct ts_str *out, struct ts_err *err, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* caption NULL: none. The first column of each row is its heading. */
int ts_html_table(struct ts_str *out, const struct ts_table *t, const char *caption, struct ts_err *err);
/* What gnuplot drew, to stand in a page beside others: without prologue and background, every id made unique with `prefix`, black as the colour of the text around it. Only elements that draw are let
 * through: TS_EPROTO for others, since texts of hostile files are in it. label: read to those who cannot see. */
int ts_html_svg(struct ts_str *out, const char *svg, const char *prefix, const char *label, struct ts_err *err);

#endif
