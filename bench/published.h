/* The literature's figures (bench/published/, whose README.md says where each file is from), which are part of the program: what of them stands beside which scenario, and in what their set-up differs. */
#ifndef TRANSHIP_BENCH_PUBLISHED_H
#define TRANSHIP_BENCH_PUBLISHED_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define TS_PUBLISHED_FIGURES 4U
#define TS_PUBLISHED_COLUMNS_MAX 24U
#define TS_PUBLISHED_ROWS_MAX 400U

struct ts_published_figure {
        const char *column, *label; /* of the file; label NULL: the group's name is enough */
        const char *ours;           /* the figure of ours that is shown beside it, or NULL */
};
/* One chart. */
struct ts_published {
        const char *scenario, *name, *title; /* name: of the chart's file */
        const char *file;
        const char *x, *x_label;   /* the column that is a number; x NULL: a category, named by `groups` */
        const char *groups[2];     /* columns whose values together name a line (or a category); NULL-padded */
        const char *join;          /* between the two */
        bool runs;                 /* a row is one run, and their medians are drawn; otherwise it is a mean, and stands by itself */
        struct ts_published_figure figures[TS_PUBLISHED_FIGURES]; /* ended by column NULL */
        const char *y_label;
        double scale;      /* figure × scale is in the y label's unit */
        double ours_scale; /* the same for ours, from their unit in bench/figures.c */
        const char *source; /* who, where */
        const char *set_up; /* in what it differs from what is measured here */
};
extern const struct ts_published ts_published[]; /* ended by scenario NULL */

/* A file of bench/published/, cut into cells. */
struct ts_csv {
        char *text;
        const char *cells[TS_PUBLISHED_ROWS_MAX + 1][TS_PUBLISHED_COLUMNS_MAX]; /* [0]: the heading; borrowed from text */
        size_t rows, columns;                                                    /* rows without the heading */
};
/* No quotes, no empty lines; every line has as many cells as the first. TS_EPROTO, TS_ELIMIT. */
int ts_csv_parse(const char *text, size_t len, struct ts_csv *ret, struct ts_err *err);
void ts_csv_clear(struct ts_csv *c);
size_t ts_csv_column(const struct ts_csv *c, const char *name); /* c->columns: none */
bool ts_csv_number(const char *cell, double *ret);              /* false: empty, or none */
/* The built-in file. TS_ENOTFOUND. */
int ts_published_file(const char *name, const char **ret, size_t *ret_len, struct ts_err *err);

#endif
