/* Published figures beside ours: two panels with one vertical axis, never in one panel, the theirs hollow and dashed. What stands beside what is a table in published.c. */
#include "bench/chart_priv.h"

#include "base/mem.h"
#include "bench/published.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HIGH 390U
#define KEY_ROW_HIGH 24U
#define OURS_RIGHT 0.475
#define THEIRS_LEFT 0.555

/* ---- theirs ---- */

static char *group_name(const struct ts_published *what, const struct ts_csv *csv, size_t row)
{
        const char *parts[2] = { "", "" };

        for (size_t i = 0; i < TS_ARRAY_LEN(parts) && what->groups[i]; i++) {
                size_t column = ts_csv_column(csv, what->groups[i]);

                parts[i] = column < csv->columns ? csv->cells[row][column] : "?";
        }
        return *parts[1] ? ts_fmt("%s%s%s", parts[0], what->join, parts[1]) : ts_strdup0(parts[0]);
}

struct value {
        char *group;
        double x, y;
};
struct values {
        struct value v[TS_PUBLISHED_ROWS_MAX];
        size_t n;
};

static void values_free(struct values *all)
{
        for (size_t i = 0; all && i < all->n; i++)
                free(all->v[i].group);
        free(all);
}

static int by_group_and_x(const void *a, const void *b)
{
        const struct value *p = a, *q = b;
        int order = strcmp(p->group, q->group);

        return order ? order : (p->x > q->x) - (p->x < q->x);
}

/* What the column says, sorted. x of a category: its number in p->categories. */
static int collect(const struct ts_published *what, const struct ts_csv *csv, const char *column, struct ts_panel *p, struct values *ret, struct ts_err *err)
{
        size_t y = ts_csv_column(csv, column), x = what->x ? ts_csv_column(csv, what->x) : 0;

        if (y == csv->columns || x == csv->columns)
                return ts_err_set(err, TS_EINTERNAL, "'%s' has no column '%s'", what->file, y == csv->columns ? column : what->x);
        for (size_t row = 1; row <= csv->rows; row++) {
                ts_auto_free char *group = group_name(what, csv, row);
                struct value *v = &ret->v[ret->n];

                if (!group)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (!what->x && !ts_list_has(&p->categories, group) && ts_list_add(&p->categories, group, err) < 0)
                        return -1;
                v->x = (double)(p->categories.n ? p->categories.n - 1 : 0);
                if (!ts_csv_number(csv->cells[row][y], &v->y) || (what->x && !ts_csv_number(csv->cells[row][x], &v->x)))
                        continue;
                v->y *= what->scale;
                if (!what->x)
                        for (size_t i = 0; i < p->categories.n; i++)
                                v->x = strcmp(p->categories.v[i], group) == 0 ? (double)i : v->x;
                v->group = what->x ? TS_TAKE(group) : strdup("");
                if (!v->group)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                ret->n++;
        }
        qsort(ret->v, ret->n, sizeof(*ret->v), by_group_and_x);
        return 0;
}

static int add_point(struct ts_panel *p, const struct value *v, size_t n, struct ts_err *err)
{
        double y[TS_PUBLISHED_ROWS_MAX];
        struct ts_stats t;

        for (size_t i = 0; i < n; i++)
                y[i] = v[i].y;
        if (ts_stats(y, n, &t, err) < 0)
                return -1;
        return ts_panel_point(p, &(struct ts_point){ v->x, t.median, t.q1, t.q3, t.low, t.high, n }, err);
}

static int add_values(struct ts_panel *p, const struct values *all, bool runs, const char *label, struct ts_err *err)
{
        for (size_t i = 0, n; i < all->n; i += n) {
                const struct value *v = &all->v[i];

                for (n = 1; runs && i + n < all->n && by_group_and_x(v, v + n) == 0;)
                        n++;
                if ((i == 0 || strcmp(v->group, v[-1].group) != 0) && ts_panel_line(p, ts_fmt("published: %s", label ? label : v->group), err) < 0)
                        return -1;
                if (add_point(p, v, n, err) < 0)
                        return -1;
        }
        return 0;
}

static int theirs(const struct ts_published *what, struct ts_panel *p, struct ts_err *err)
{
        ts_auto_free struct ts_csv *csv = calloc(1, sizeof(*csv));
        const char *text = NULL;
        size_t len = 0;
        int rc;

        if (!csv)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        rc = ts_published_file(what->file, &text, &len, err) < 0 ? -1 : ts_csv_parse(text, len, csv, err);
        for (size_t i = 0; rc == 0 && i < TS_PUBLISHED_FIGURES && what->figures[i].column; i++) {
                struct values *all = calloc(1, sizeof(*all));

                rc = !all ? ts_err_set(err, TS_ENOMEM, "out of memory") :
                     collect(what, csv, what->figures[i].column, p, all, err) < 0 ? -1 :
                                                                                    add_values(p, all, what->runs, what->figures[i].label, err);
                values_free(all);
        }
        ts_csv_clear(csv);
        return rc;
}

/* ---- ours ---- */

static void scale_points(struct ts_panel *p, double by)
{
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < p->lines[i].n; k++) {
                        struct ts_point *at = &p->lines[i].points[k];

                        at->median *= by;
                        at->q1 *= by;
                        at->q3 *= by;
                        at->low *= by;
                        at->high *= by;
                }
}

/* Without an axis every environment and series is a category, and every figure a line. */
static int ours_by_category(const struct ts_published *what, const struct ts_summary *s, struct ts_panel *p, struct ts_err *err)
{
        for (unsigned e = 0; e < s->n_environments; e++)
                for (unsigned i = 0; i < s->n_series; i++) {
                        ts_auto_free char *name = ts_summary_name(s, e, i);

                        if (ts_list_add(&p->categories, name, err) < 0)
                                return -1;
                }
        for (size_t f = 0; f < TS_PUBLISHED_FIGURES && what->figures[f].ours; f++) {
                size_t n = 0;
                const struct ts_summary_row *rows = ts_summary_figure(s, what->figures[f].ours, &n);

                if (n > 0 && ts_panel_line(p, ts_strdup0(ts_or(what->figures[f].label, ts_figure_label(what->figures[f].ours))), err) < 0)
                        return -1;
                for (size_t i = 0; i < n; i++) {
                        const struct ts_stats *t = &rows[i].stats;

                        if (ts_panel_point(p, &(struct ts_point){ rows[i].environment * s->n_series + rows[i].series, t->median, t->q1, t->q3, t->low, t->high, t->n }, err) < 0)
                                return -1;
                }
        }
        return 0;
}

static int ours(const struct ts_published *what, const struct ts_result *r, const struct ts_summary *s, struct ts_panel *p, struct ts_err *err)
{
        int rc = r->axis_name && what->x ? ts_panel_of_figure(p, s, what->figures[0].ours, NULL, err) : ours_by_category(what, s, p, err);

        scale_points(p, what->ours_scale);
        return rc;
}

/* ---- both ---- */

static int add_rows(struct ts_chart *c, const struct ts_panel *p, const char *whose, struct ts_err *err)
{
        struct ts_list *l = &c->table.cells;
        double from = HUGE_VAL, to = -HUGE_VAL;

        ts_panel_range(p, &from, &to);
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = 0; k < p->lines[i].n; k++) {
                        const struct ts_point *at = &p->lines[i].points[k];
                        int d = ts_decimals(to);

                        if (ts_list_add(l, whose, err) < 0 || ts_list_add(l, p->lines[i].title, err) < 0 ||
                            (p->categories.n ? ts_list_add(l, p->categories.v[(size_t)at->x], err) : ts_list_addf(l, err, "%.6g", at->x)) < 0 ||
                            ts_list_addf(l, err, "%zu", at->n) < 0 || ts_list_addf(l, err, "%.*f", d, at->median) < 0 ||
                            (at->n > 1 ? ts_list_addf(l, err, "%.*f – %.*f", d, at->q1, d, at->q3) : ts_list_add(l, "", err)) < 0)
                                return -1;
                }
        return 0;
}

static int add_table(struct ts_chart *c, const struct ts_published *what, const struct ts_panel *we, const struct ts_panel *they, struct ts_err *err)
{
        struct ts_list *l = &c->table.cells;

        if (ts_list_add(l, "whose", err) < 0 || ts_list_add(l, "line", err) < 0 || ts_list_add(l, "x", err) < 0 || ts_list_add(l, "values", err) < 0 ||
            ts_list_addf(l, err, "median, %s", what->y_label) < 0 || ts_list_add(l, "quartiles", err) < 0)
                return -1;
        c->table.columns = l->n;
        return add_rows(c, we, "ours", err) < 0 ? -1 : add_rows(c, they, "published", err);
}

static int draw(struct ts_chart *c, struct ts_panel *we, struct ts_panel *they, const char *our_x, const char *their_x, const char *y, struct ts_err *err)
{
        size_t most = we->n > they->n ? we->n : they->n;
        double from = HUGE_VAL, to = -HUGE_VAL, bottom;

        ts_panel_range(we, &from, &to);
        ts_panel_range(they, &from, &to);
        we->y_from = they->y_from = from;
        we->y_to = they->y_to = to;
        we->x_label = our_x;
        they->x_label = their_x;
        we->y_label = y;
        we->title = "This measurement";
        they->title = "Published by others: not the same set-up";
        they->published = true;
        we->title_small = they->title_small = true;
        c->height = HIGH + (unsigned)most * KEY_ROW_HIGH;
        bottom = (74.0 + (double)most * KEY_ROW_HIGH) / c->height;
        if (ts_chart_set(c, "multiplot title", c->title, TS_CHART_TITLE_FONT, err) < 0 ||
            ts_str_addf(&c->script, err,
                        "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset ytics autofreq\nset lmargin at screen 0.085\nset rmargin at screen %.3f\n"
                        "set key at screen 0.085,%.4f left bottom vertical maxcols 1 Left reverse samplen 3 spacing 1.1\n",
                        1 - (TS_CHART_TITLE_HIGH + 26.0) / c->height, bottom, OURS_RIGHT, 6.0 / c->height) < 0 ||
            ts_panel_plot(we, 0, &c->script, err) < 0)
                return -1;
        if (ts_str_addf(&c->script, err, "set lmargin at screen %.3f\nset rmargin at screen 0.985\nset key at screen %.3f,%.4f\n", THEIRS_LEFT, THEIRS_LEFT, 6.0 / c->height) < 0 ||
            ts_panel_plot(they, 1, &c->script, err) < 0)
                return -1;
        return ts_str_adds(&c->script, "unset multiplot\n", err);
}

/* The figure of ours that has the fewest measurements: no more is claimed. */
static const struct ts_summary_row *fewest(const struct ts_published *what, const struct ts_summary *s, size_t *ret_n)
{
        const struct ts_summary_row *found = NULL;
        size_t least = SIZE_MAX;

        for (size_t f = 0; f < TS_PUBLISHED_FIGURES && what->figures[f].ours; f++) {
                size_t n = 0;
                const struct ts_summary_row *rows = ts_summary_figure(s, what->figures[f].ours, &n);

                for (size_t i = 0; i < n; i++)
                        if (rows[i].stats.n < least) {
                                least = rows[i].stats.n;
                                found = rows;
                                *ret_n = n;
                        }
        }
        return found;
}

static int make(struct ts_charts *list, const struct ts_published *what, const struct ts_result *r, const struct ts_summary *s, struct ts_panel *we, struct ts_panel *they, struct ts_err *err)
{
        ts_auto_free char *x = ts_chart_axis_label(r->axis_label ? r->axis_label : ts_or(r->axis_name, ""), r->axis_unit);
        struct ts_chart *c = NULL;
        size_t n = 0;
        const struct ts_summary_row *rows = fewest(what, s, &n);

        if (!x)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_chart_new(list, what->name, ts_strdup0(what->title), HIGH, &c, err) < 0)
                return -1;
        c->published = true;
        if (draw(c, we, they, we->categories.n ? "" : x, ts_or(what->x_label, ""), what->y_label, err) < 0 ||
            ts_str_addf(&c->caption, err,
                        "Left: this measurement. Right, hollow marks and dashed lines: what others have published, as it stands in %s. Both panels have the same vertical axis, and that is all they have in common. "
                        "Their set-up: %s Points: %s. Ours:",
                        what->source, what->set_up, what->runs ? "medians of the runs as printed, with interval and quartiles" : "each value as it is printed") < 0 ||
            ts_chart_claim(c, r, rows, n, err) < 0)
                return -1;
        return add_table(c, what, we, they, err);
}

int ts_chart_published(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        for (const struct ts_published *what = ts_published; what->scenario; what++) {
                struct ts_panel we = { 0 }, they = { 0 };
                int rc;

                if (strcmp(what->scenario, r->scenario) != 0)
                        continue;
                rc = ours(what, r, s, &we, err);
                if (rc == 0 && we.n > 0)
                        rc = theirs(what, &they, err) < 0 ? -1 : make(list, what, r, s, &we, &they, err);
                ts_panel_clear(&we);
                ts_panel_clear(&they);
                if (rc < 0)
                        return -1;
        }
        return 0;
}
