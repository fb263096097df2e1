/* A figure against what was varied: the median of each x, with its interval and the quartiles. */
#include "bench/chart_priv.h"

#include "base/mem.h"

#include <math.h>

#define HIGH 400U
#define KEY_ROW_HIGH 22U

/* Is there an axis, and a line along it? */
static bool has_line(const struct ts_result *r, const struct ts_summary_row *rows, size_t n)
{
        for (size_t i = 1; r->axis_name && i < n; i++)
                if (rows[i].has_x && rows[i - 1].has_x && rows[i].x != rows[0].x)
                        return true;
        return false;
}

static int describe(struct ts_chart *c, const struct ts_result *r, const struct ts_panel *p, const struct ts_summary_row *rows, size_t n, struct ts_err *err)
{
        double x_from = HUGE_VAL, x_to = -HUGE_VAL, y_from = HUGE_VAL, y_to = -HUGE_VAL;
        const char *logs;

        for (size_t i = 0; i < n; i++) {
                x_from = fmin(x_from, rows[i].x);
                x_to = fmax(x_to, rows[i].x);
        }
        ts_panel_range(p, &y_from, &y_to);
        logs = ts_panel_is_log(x_from, x_to) ? ts_panel_is_log(y_from, y_to) ? " Both axes are logarithmic." : " The horizontal axis is logarithmic." :
               ts_panel_is_log(y_from, y_to) ? " The vertical axis is logarithmic." :
                                               "";
        if (ts_str_addf(&c->caption, err, "Points: medians, joined for the eye; bars: 95 %% interval of the median (bootstrap); bands: the quartiles.%s%s", logs,
                        p->n == TS_PANEL_LINES_MAX ? " Further lines are only in the table." : "") < 0)
                return -1;
        return ts_chart_claim(c, r, rows, n, err);
}

static int add_table(struct ts_chart *c, const struct ts_result *r, const struct ts_summary *s, const struct ts_summary_row *rows, size_t n, double largest, struct ts_err *err)
{
        if (ts_chart_table_heading(c, r, "series", /* has_x= */ true, ts_figure_unit(rows->figure), err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++)
                if (ts_chart_table_row(c, s, &rows[i], /* has_x= */ true, ts_decimals(largest), err) < 0)
                        return -1;
        return 0;
}

static int draw(struct ts_chart *c, const struct ts_panel *p, struct ts_err *err)
{
        unsigned key_rows = (unsigned)(p->n + 2) / 3;

        c->height += key_rows * KEY_ROW_HIGH;
        if (ts_str_addf(&c->script, err, "set key bmargin center horizontal Left reverse samplen 2.5\nset bmargin %u\nset rmargin 3\n", 4 + 2 * key_rows) < 0)
                return -1;
        return ts_panel_plot(p, 0, &c->script, err);
}

int ts_chart_lines(struct ts_charts *list, const struct ts_result *r, const struct ts_summary *s, const char *name, const char *figure, struct ts_err *err)
{
        size_t n = 0;
        const struct ts_summary_row *rows = ts_summary_figure(s, figure, &n);
        const char *along = r->axis_label ? r->axis_label : r->axis_name;
        ts_auto_free char *x = NULL, *y = NULL, *title = NULL;
        double from = HUGE_VAL, to = -HUGE_VAL;
        struct ts_chart *c = NULL;
        struct ts_panel p = { 0 };
        int rc;

        if (!has_line(r, rows, n))
                return 0;
        title = ts_fmt("%s against %s", ts_figure_label(figure), along);
        x = ts_chart_axis_label(along, r->axis_unit);
        y = ts_chart_axis_label(ts_figure_label(figure), ts_figure_unit(figure));
        if (!x || !y || ts_chart_new(list, name, title ? ts_strdup0(title) : NULL, HIGH, &c, err) < 0)
                return x && y ? -1 : ts_err_set(err, TS_ENOMEM, "out of memory");
        rc = ts_panel_of_figure(&p, s, figure, NULL, err);
        p.title = title;
        p.x_label = x;
        p.y_label = y;
        ts_panel_range(&p, &from, &to);
        if (rc == 0)
                rc = draw(c, &p, err) < 0 || describe(c, r, &p, rows, n, err) < 0 ? -1 : add_table(c, r, s, rows, n, to, err);
        ts_panel_clear(&p);
        return rc;
}
