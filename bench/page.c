/* See page.h. Decides what a reader is told, and in which order: what was measured, on what, what it does not say, the charts, the figures, every measurement. */
#include "bench/page.h"

#include "base/mem.h"
#include "bench/chart.h"
#include "bench/html.h"
#include "bench/result_text.h"
#include "bench/summary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SAMPLES_SHOWN 2000U
#define COLUMNS_MAX 70U

/* Okabe and Ito's colours are in the charts, their blue a little lighter on a dark page; everything else is the text's colour on the page's. */
static const char head[] =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        "<style>\n"
        ":root { --page: #ffffff; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --note: #fff4d6; }\n"
        "@media (prefers-color-scheme: dark) { :root { --page: #14171a; --text: #e6e8ea; --soft: #a0a8b0; --line: #3a4149; --note: #3a3116; }\n"
        " svg [stroke='rgb(  0, 114, 178)'] { stroke: #3d8fd1; } svg [fill='rgb(  0, 114, 178)'] { fill: #3d8fd1; } svg [color='rgb(  0, 114, 178)'] { color: #3d8fd1; } }\n"
        "body { background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem 1.25rem 3rem; }\n"
        "h1, h2, h3 { line-height: 1.2; } h1 { font-size: 1.7rem; } h2 { font-size: 1.35rem; margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem; } h3 { font-size: 1.1rem; }\n"
        "figure { margin: 1.5rem 0; } figure > svg { display: block; width: 100%; height: auto; } svg text { font-family: system-ui, sans-serif; fill: currentColor; stroke: none; }\n"
        "figcaption { color: var(--soft); font-size: .9rem; max-width: 52rem; }\n"
        ".wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; margin: .75rem 0; }\n"
        "caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }\n"
        "th, td { padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; } thead th:not(:first-child), td { text-align: right; } .facts td { text-align: left; }\n"
        "th { font-weight: 600; } tbody th { font-weight: 400; }\n"
        ".notes { background: var(--note); padding: .6rem 1rem .6rem 2rem; border-left: 4px solid #d55e00; } summary { cursor: pointer; color: var(--soft); }\n"
        "nav ol { columns: 2; } a { color: inherit; }\n"
        "@media print { :root { --page: #ffffff; --text: #000000; --soft: #333333; --line: #999999; --note: #f3f3f3; } body { max-width: none; font-size: 10pt; padding: 0; }\n"
        " figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } details, nav { display: none; } .wide { overflow: visible; } }\n"
        "</style>\n";

static int no_memory(struct ts_err *err)
{
        return ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- what it was measured on ---- */

static int add_fact(struct ts_str *out, const char *what, const char *text, struct ts_err *err)
{
        return text && *text ? ts_html_add(out, err, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", what, text) : 0;
}

static int add_hosts(struct ts_str *out, const struct ts_result *r, struct ts_err *err)
{
        for (size_t i = 0; i < r->n_hosts; i++) {
                const struct ts_bench_host *h = &r->hosts[i];
                ts_auto_free char *text = ts_bench_host_text(h), *what = ts_fmt("Host %s%s%s", ts_or(h->side, "?"), h->name ? ", " : "", ts_or(h->name, ""));

                if (!text || !what)
                        return no_memory(err);
                if (add_fact(out, what, text, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < r->n_environments; i++) {
                const struct ts_bench_environment *e = &r->environments[i];
                ts_auto_free char *text = ts_bench_environment_text(e), *what = ts_fmt("Environment%s%s", e->name && *e->name ? " " : "", ts_or(e->name, ""));

                if (!text || !what)
                        return no_memory(err);
                if (add_fact(out, what, *text ? text : "as it is", err) < 0)
                        return -1;
        }
        return 0;
}

static int add_result_facts(struct ts_str *out, const struct ts_result *r, const char *file, struct ts_err *err)
{
        ts_auto_str parameters = TS_STR_INIT;
        ts_auto_free char *version = ts_fmt("%s%s%s", ts_or(r->tool_version, "unknown"), r->commit ? ", commit " : "", ts_or(r->commit, "")),
                          *when = ts_fmt("%s, %.0f s", ts_or(r->started_at, "unknown"), r->seconds);

        if (!version || !when)
                return no_memory(err);
        for (size_t i = 0; i < r->n_parameters; i++)
                if (*r->parameters[i].value && ts_str_addf(&parameters, err, "%s%s = %s", parameters.len ? "; " : "", r->parameters[i].name, r->parameters[i].value) < 0)
                        return -1;
        if (ts_str_adds(out, "<h3>On what</h3>\n<div class=\"wide facts\"><table><tbody>\n", err) < 0 || add_hosts(out, r, err) < 0 ||
            add_fact(out, "Parameters", ts_str_cstr(&parameters), err) < 0 || add_fact(out, "tranship", version, err) < 0 || add_fact(out, "Begun, took", when, err) < 0 ||
            add_fact(out, "File", file, err) < 0)
                return -1;
        return ts_str_adds(out, "</tbody></table></div>\n", err);
}

static int add_names(struct ts_str *out, const char *what, const char *const names[], unsigned n, struct ts_err *err)
{
        if (n < 2)
                return 0;
        if (ts_html_add(out, err, " %s: ", what) < 0)
                return -1;
        for (unsigned i = 0; i < n; i++)
                if (ts_html_add(out, err, "%s%s", i ? "; " : "", *names[i] ? names[i] : "?") < 0)
                        return -1;
        return ts_str_adds(out, ".", err);
}

static int add_measured(struct ts_str *out, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        if (ts_str_addf(out, err, "<p>%zu samples; %zu warm-ups before them do not count.", s->n_counted, s->n_warm_ups) < 0 ||
            add_names(out, "Series", s->series, s->n_series, err) < 0 || add_names(out, "Environments", s->environments, s->n_environments, err) < 0)
                return -1;
        if (r->axis_name && ts_html_add(out, err, " Varied: %s%s%s%s.", r->axis_label ? r->axis_label : r->axis_name, r->axis_unit && *r->axis_unit ? " (" : "", ts_or(r->axis_unit, ""),
                                        r->axis_unit && *r->axis_unit ? ")" : "") < 0)
                return -1;
        return ts_str_adds(out, "</p>\n", err);
}

static int add_caveats(struct ts_str *out, const struct ts_list *caveats, struct ts_err *err)
{
        if (caveats->n == 0)
                return 0;
        if (ts_str_adds(out, "<h3>What it does not say</h3>\n<ul class=\"notes\">\n", err) < 0)
                return -1;
        for (size_t i = 0; i < caveats->n; i++)
                if (ts_html_add(out, err, "<li>%s</li>\n", caveats->v[i]) < 0)
                        return -1;
        return ts_str_adds(out, "</ul>\n", err);
}

/* ---- charts ---- */

static int add_chart(struct ts_str *out, const struct ts_chart *c, size_t part, size_t number, struct ts_err *err)
{
        ts_auto_str svg = TS_STR_INIT;
        char prefix[48];

        (void)snprintf(prefix, sizeof(prefix), "c%zu-%zu-", part + 1, number + 1);
        if (ts_chart_draw(c, TS_CHART_SVG, &svg, err) < 0 || ts_html_add(out, err, c->published ? "<figure class=\"published\" id=\"%sfigure\">\n" : "<figure id=\"%sfigure\">\n", prefix) < 0 ||
            ts_html_svg(out, ts_str_cstr(&svg), prefix, c->title, err) < 0)
                return -1;
        if (ts_html_add(out, err, "<figcaption>%s</figcaption>\n<details><summary>The chart as a table</summary>\n", ts_str_cstr(&c->caption)) < 0 ||
            ts_html_table(out, &c->table, c->title, err) < 0)
                return -1;
        return ts_str_adds(out, "</details>\n</figure>\n", err);
}

static int add_charts(struct ts_str *out, const struct ts_charts *charts, size_t part, bool published, const char *heading, struct ts_err *err)
{
        bool any = false;

        for (size_t i = 0; i < charts->n; i++) {
                if (charts->v[i].published != published)
                        continue;
                if (!any && ts_str_addf(out, err, "<h3>%s</h3>\n", heading) < 0)
                        return -1;
                any = true;
                if (add_chart(out, &charts->v[i], part, i, err) < 0)
                        return -1;
        }
        return 0;
}

/* A cell with a number, or an empty one. */
static int add_x(struct ts_list *l, bool there, double x, struct ts_err *err)
{
        return there ? ts_list_addf(l, err, "%.6g", x) : ts_list_add(l, "", err);
}

/* ---- all figures, and all samples ---- */

static int figure_cells(struct ts_table *t, const struct ts_result *r, const struct ts_summary *s, const struct ts_summary_row *row, int d, struct ts_err *err)
{
        ts_auto_free char *name = ts_summary_name(s, row->environment, row->series);
        const struct ts_stats *v = &row->stats;
        const char *unit = ts_figure_unit(row->figure);

        if (ts_list_addf(&t->cells, err, *unit ? "%s (%s)" : "%s%s", ts_figure_label(row->figure), unit) < 0 || ts_list_add(&t->cells, name, err) < 0 ||
            (r->axis_name && add_x(&t->cells, row->has_x, row->x, err) < 0))
                return -1;
        return ts_list_addf(&t->cells, err, "%zu%s", v->n, v->n < TS_CLAIM_N ? "*" : "") < 0 || ts_list_addf(&t->cells, err, "%.*f", d, v->median) < 0 ||
                               ts_list_addf(&t->cells, err, "%.*f – %.*f", d, v->low, d, v->high) < 0 || ts_list_addf(&t->cells, err, "%.*f", d, v->mean) < 0 ||
                               ts_list_addf(&t->cells, err, "%.*f", d, v->sd) < 0 || ts_list_addf(&t->cells, err, "%.*f", d, v->least) < 0 ||
                               ts_list_addf(&t->cells, err, "%.*f", d, v->most) < 0 ?
                       -1 :
                       0;
}

static int fill_figures(struct ts_table *t, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        static const char *const titles[] = { "n", "median", "95 % interval", "mean", "sd", "least", "most" };

        if (ts_list_add(&t->cells, "figure", err) < 0 || ts_list_add(&t->cells, "series", err) < 0 ||
            (r->axis_name && ts_list_add(&t->cells, r->axis_label ? r->axis_label : r->axis_name, err) < 0))
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(titles); i++)
                if (ts_list_add(&t->cells, titles[i], err) < 0)
                        return -1;
        t->columns = t->cells.n;
        for (size_t i = 0, n; i < s->n_rows; i += n) {
                const struct ts_summary_row *rows = ts_summary_figure(s, s->rows[i].figure, &n);
                double largest = 0;

                for (size_t k = 0; k < n; k++)
                        largest = fmax(largest, fabs(rows[k].stats.most));
                for (size_t k = 0; k < n; k++)
                        if (figure_cells(t, r, s, &rows[k], ts_decimals(largest), err) < 0)
                                return -1;
        }
        return 0;
}

static int add_figures(struct ts_str *out, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        struct ts_table t = { TS_LIST_INIT, 0 };
        int rc = fill_figures(&t, r, s, err);

        if (rc == 0)
                rc = ts_str_adds(out, "<h3>The figures</h3>\n", err) < 0 ? -1 : ts_html_table(out, &t, NULL, err);
        ts_list_clear(&t.cells);
        if (rc == 0 && s->least_n && s->least_n < TS_CLAIM_N)
                rc = ts_str_addf(out, err, "<p>* n &lt; %u: no claim.</p>\n", TS_CLAIM_N);
        return rc;
}

/* Columns of the table of samples: every figure that one of them has. */
static size_t figure_names(const struct ts_summary *s, const char *names[COLUMNS_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < s->n_rows && n < COLUMNS_MAX; i++)
                if (n == 0 || strcmp(names[n - 1], s->rows[i].figure) != 0)
                        names[n++] = s->rows[i].figure;
        return n;
}

static int sample_cells(struct ts_table *t, const struct ts_sample *p, const char *const names[], size_t n, struct ts_err *err)
{
        if (ts_list_add(&t->cells, p->series, err) < 0 || ts_list_add(&t->cells, p->environment, err) < 0 || add_x(&t->cells, p->has_x, p->x, err) < 0 ||
            ts_list_add(&t->cells, p->direction, err) < 0 || (p->run == TS_RESULT_WARM_UP ? ts_list_add(&t->cells, "warm-up", err) : ts_list_addf(&t->cells, err, "%d", p->run)) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                const double *v = ts_sample_figure(p, names[i]);

                if (add_x(&t->cells, v != NULL, v ? *v * ts_figure_scale(names[i]) : 0, err) < 0)
                        return -1;
        }
        return 0;
}

static int fill_samples(struct ts_table *t, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        static const char *const titles[] = { "series", "environment", "x", "direction", "run" };
        const char *names[COLUMNS_MAX];
        size_t n = figure_names(s, names);

        for (size_t i = 0; i < TS_ARRAY_LEN(titles); i++)
                if (ts_list_add(&t->cells, titles[i], err) < 0)
                        return -1;
        for (size_t i = 0; i < n; i++)
                if (ts_list_addf(&t->cells, err, *ts_figure_unit(names[i]) ? "%s, %s" : "%s%s", ts_figure_label(names[i]), ts_figure_unit(names[i])) < 0)
                        return -1;
        t->columns = t->cells.n;
        for (size_t i = 0; i < r->n_samples && i < SAMPLES_SHOWN; i++)
                if (sample_cells(t, &r->samples[i], names, n, err) < 0)
                        return -1;
        return 0;
}

static int add_samples(struct ts_str *out, const struct ts_result *r, const struct ts_summary *s, struct ts_err *err)
{
        struct ts_table t = { TS_LIST_INIT, 0 };
        int rc = fill_samples(&t, r, s, err);

        if (rc == 0)
                rc = ts_str_addf(out, err, "<details><summary>Every measurement (%zu)</summary>\n", r->n_samples) < 0 ? -1 : ts_html_table(out, &t, NULL, err);
        ts_list_clear(&t.cells);
        if (rc == 0 && r->n_samples > SAMPLES_SHOWN)
                rc = ts_str_addf(out, err, "<p>The first %u; the file has all of them.</p>\n", SAMPLES_SHOWN);
        return rc < 0 ? -1 : ts_str_adds(out, "</details>\n", err);
}

/* ---- sections ---- */

static int add_result(struct ts_str *out, const struct ts_page_part *p, size_t number, struct ts_err *err)
{
        const struct ts_result *r = p->result;
        ts_auto_summary s = { 0 };
        ts_auto_charts charts = { NULL, 0 };
        ts_auto_list caveats = TS_LIST_INIT;

        if (ts_summary(r, &s, err) < 0 || ts_charts_of_result(r, &s, &charts, err) < 0 || ts_result_caveats(r, &s, &caveats, err) < 0)
                return -1;
        if (add_measured(out, r, &s, err) < 0 || add_caveats(out, &caveats, err) < 0 || add_charts(out, &charts, number, /* published= */ false, "Charts", err) < 0 ||
            add_charts(out, &charts, number, /* published= */ true, "Beside published figures", err) < 0 || add_figures(out, r, &s, err) < 0)
                return -1;
        return add_result_facts(out, r, p->file, err) < 0 ? -1 : add_samples(out, r, &s, err);
}

static int add_side(struct ts_str *out, const char *what, const struct ts_report_side *side, struct ts_err *err)
{
        ts_auto_free char *text = ts_fmt("%s %s%s%s, %s, CRIU %s, Linux %s", ts_or(side->engine, "?"), ts_or(side->version, ""), side->host ? " on " : "", ts_or(side->host, ""),
                                         ts_or(side->runtime, "?"), ts_or(side->criu, "?"), ts_or(side->kernel, "?"));

        return text ? add_fact(out, what, text, err) : no_memory(err);
}

static int add_report(struct ts_str *out, const struct ts_page_part *p, size_t number, struct ts_err *err)
{
        const struct ts_report *r = p->report;
        ts_auto_charts charts = { NULL, 0 };
        ts_auto_str text = TS_STR_INIT;

        if (ts_charts_of_report(r, &charts, err) < 0 || ts_report_text(r, /* colour= */ false, 110, &text, err) < 0)
                return -1;
        if (ts_html_add(out, err, "<p>One move: %s.</p>\n", ts_outcome_str(r->outcome)) < 0 || add_charts(out, &charts, number, false, "Charts", err) < 0 ||
            ts_html_add(out, err, "<h3>The report</h3>\n<pre class=\"wide\">%s</pre>\n", ts_str_cstr(&text)) < 0)
                return -1;
        if (ts_str_adds(out, "<h3>On what</h3>\n<div class=\"wide facts\"><table><tbody>\n", err) < 0 || add_side(out, "Source", &r->source, err) < 0 ||
            add_side(out, "Target", &r->target, err) < 0 || add_fact(out, "Image", r->image, err) < 0 || add_fact(out, "Begun", r->started_at, err) < 0 ||
            add_fact(out, "ID", r->id, err) < 0 || add_fact(out, "File", p->file, err) < 0)
                return -1;
        return ts_str_adds(out, "</tbody></table></div>\n", err);
}

static char *title_of(const struct ts_page_part *p)
{
        return p->result ? ts_fmt("Experiment %s", p->result->scenario) : ts_fmt("Move of %s", ts_or(p->report->container_name, "a container"));
}

static int add_part(struct ts_str *out, const struct ts_page_part *p, size_t number, struct ts_err *err)
{
        ts_auto_free char *title = title_of(p);

        if (!title)
                return no_memory(err);
        if (ts_str_addf(out, err, "<section id=\"part-%zu\">\n", number + 1) < 0 || ts_html_add(out, err, "<h2>%s</h2>\n", title) < 0)
                return -1;
        if (p->result ? add_result(out, p, number, err) < 0 : add_report(out, p, number, err) < 0)
                return ts_err_prefix(err, "'%s'", p->file);
        return ts_str_adds(out, "</section>\n", err);
}

static int add_contents(struct ts_str *out, const struct ts_page_part parts[], size_t n, struct ts_err *err)
{
        if (n < 2)
                return 0;
        if (ts_str_adds(out, "<nav aria-label=\"Contents\"><ol>\n", err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                ts_auto_free char *title = title_of(&parts[i]);

                if (!title)
                        return no_memory(err);
                if (ts_str_addf(out, err, "<li><a href=\"#part-%zu\">", i + 1) < 0 || ts_html_add(out, err, "%s</a></li>\n", title) < 0)
                        return -1;
        }
        return ts_str_adds(out, "</ol></nav>\n", err);
}

int ts_page_html(const struct ts_page_part parts[], size_t n, struct ts_str *out, struct ts_err *err)
{
        ts_auto_free char *title = n == 1 ? title_of(&parts[0]) : ts_strdup0("moves of running containers");

        if (!title)
                return no_memory(err);
        if (ts_str_adds(out, head, err) < 0 || ts_html_add(out, err, "<title>tranship: %s</title>\n</head>\n<body>\n<main>\n<h1>Moves of running containers, measured by tranship</h1>\n", title) < 0 ||
            add_contents(out, parts, n, err) < 0)
                return -1;
        for (size_t i = 0; i < n; i++)
                if (add_part(out, &parts[i], i, err) < 0)
                        return -1;
        return ts_str_adds(out, "</main>\n</body>\n</html>\n", err);
}
