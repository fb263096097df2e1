/* What the kinds of charts share: the list they add to, colours and marks, lines in panels, phases behind curves. For bench/chart*.c only. */
#ifndef TRANSHIP_BENCH_CHART_PRIV_H
#define TRANSHIP_BENCH_CHART_PRIV_H

#include "bench/chart.h"
#include "bench/summary.h"

#define TS_CHART_WIDE 900U
#define TS_CHART_TITLE_HIGH 44U /* pixels over the panels */
#define TS_CHART_LABEL_CHARS 44U

/* Okabe and Ito's colours, which everybody can tell apart; without their yellow, which paper swallows. black is the colour of the text. */
const char *ts_chart_colour(unsigned i);
/* Of two hosts, or of two states. */
#define TS_COLOUR_SOURCE "#0072B2"
#define TS_COLOUR_TARGET "#E69F00"
#define TS_COLOUR_RUNS "#56B4E9"
#define TS_COLOUR_FROZEN "#D55E00"
#define TS_COLOUR_FAINT "#909090" /* grids and marks: to be seen on white and on black */

/* A new chart at the list's end; borrowed, valid until the next one. Its script begins with what all have in common. title: taken over, NULL is TS_ENOMEM. */
int ts_chart_new(struct ts_charts *list, const char *name, char *title, unsigned height, struct ts_chart **ret, struct ts_err *err);
void ts_chart_drop_last(struct ts_charts *list); /* it turned out to have nothing to show */
/* "set KEY 'TEXT'REST": for labels. */
int ts_chart_set(struct ts_chart *c, const char *key, const char *text, const char *rest, struct ts_err *err);
#define TS_CHART_TITLE_FONT "font ',15'"
/* Ends the sentence of a caption with what every reader must know: n, warm-ups, quick runs. rows NULL: only of quick ones. */
int ts_chart_claim(struct ts_chart *c, const struct ts_result *r, const struct ts_summary_row *rows, size_t n, struct ts_err *err);
/* Name, then unit in parentheses. Caller frees; NULL only out of memory. */
char *ts_chart_axis_label(const char *label, const char *unit);
/* "1,500", "20k", "64M": a tick's label. */
void ts_chart_number(double x, char buf[32]);
/* For a vertical axis from 0 that few ticks do for: where it ends, and the distance of its ticks. */
void ts_chart_ticks(double most, double *ret_to, double *ret_step);
/* A row of the table with numbers of a group. */
int ts_chart_table_heading(struct ts_chart *c, const struct ts_result *r, const char *what, bool has_x, const char *unit, struct ts_err *err);
int ts_chart_table_row(struct ts_chart *c, const struct ts_summary *s, const struct ts_summary_row *row, bool has_x, int decimals, struct ts_err *err);

/* ---- lines in a panel (chart_panel.c) ---- */

struct ts_point {
        double x, median, q1, q3, low, high;
        size_t n;
};
struct ts_line {
        char *title;
        struct ts_point *points;
        size_t n;
};
struct ts_panel {
        const char *title, *x_label, *y_label; /* borrowed; title NULL: none */
        bool title_small;                      /* of a part */
        struct ts_list categories;             /* names at x = 0, 1, 2, …; none: x is a number */
        struct ts_line *lines;
        size_t n;
        bool published;                        /* hollow marks, dashes, and other colours first */
        double y_from, y_to;                   /* of all panels beside each other; equal: its own */
};
#define TS_PANEL_LINES_MAX 24U
void ts_panel_clear(struct ts_panel *p);
/* A line without points; title is taken over, NULL is TS_ENOMEM. TS_ELIMIT past TS_PANEL_LINES_MAX. */
int ts_panel_line(struct ts_panel *p, char *title, struct ts_err *err);
int ts_panel_point(struct ts_panel *p, const struct ts_point *at, struct ts_err *err); /* of the line that was added last; in the order of x */
/* One line for each environment and series that has the figure. */
int ts_panel_of_figure(struct ts_panel *p, const struct ts_summary *s, const char *figure, const char *name, struct ts_err *err);
void ts_panel_range(const struct ts_panel *p, double *from, double *to); /* widens [*from, *to] to the panel's values */
bool ts_panel_is_log(double from, double to);                             /* worth it */
/* Datablocks named after `number`, axes and the plot command. */
int ts_panel_plot(const struct ts_panel *p, unsigned number, struct ts_str *script, struct ts_err *err);

/* ---- phases behind curves (chart.c) ---- */

/* The frozen phases as a shade, the others' begins as lines; labels: with their names above, where there is room. Times from from_s to to_s are shown. Forgets what was set before. */
int ts_chart_phases(const struct ts_report *r, double from_s, double to_s, bool labels, struct ts_str *script, struct ts_err *err);
/* The counted sample of the group whose downtime is nearest the median, at the largest x, of those that `suits`; NULL: none. */
const struct ts_sample *ts_chart_typical(const struct ts_result *r, const struct ts_summary *s, unsigned environment, unsigned series, bool (*suits)(const struct ts_sample *));
bool ts_sample_has_resources(const struct ts_sample *s);
bool ts_sample_has_responses(const struct ts_sample *s);
bool ts_sample_has_phases(const struct ts_sample *s);

/* ---- the kinds: each adds its chart, or none ---- */

int ts_chart_lines(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err);
int ts_chart_boxes(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err);
int ts_chart_gantt(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err);
int ts_chart_resources(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err);
int ts_chart_responses(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err);
int ts_chart_published(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err);
int ts_chart_gantt_of_report(struct ts_charts *list, const struct ts_report *r, struct ts_err *err);
int ts_chart_resources_of_report(struct ts_charts *list, const struct ts_report *r, struct ts_err *err);

#endif
