/* tranship report. Decides which files are read, from where, and in which form they are printed; the forms are the engine's, for reports of moves, and bench's, for results of experiments. */
#include "engine/cli/cli.h"

#include "api/json.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench/chart.h"
#include "bench/page.h"
#include "bench/result.h"
#include "bench/result_text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES ((size_t)64 << 20) /* of a result with all its samples and curves; a report has some kilobytes */
#define EXIT_BAD_FILE 2
#define SUFFIX ".json"
#define LAST_MAX 50 /* moves that metrics tell of where no files are named */

/* A file: the report of a move, or the result of an experiment. */
struct document {
        const char *path; /* borrowed */
        struct ts_json *json;
        bool is_result;
        struct ts_report report;
        struct ts_result result;
};

static void document_clear(struct document *d)
{
        ts_json_free(d->json);
        ts_report_clear(&d->report);
        ts_result_clear(&d->result);
        *d = (struct document){ 0 };
}

static int read_text(const char *path, struct ts_str *text, struct ts_err *err)
{
        if (strcmp(path, "-") != 0)
                return ts_file_read(path, FILE_MAX_BYTES, text, err);
        *text = (struct ts_str)TS_STR_INIT_MAX(FILE_MAX_BYTES);
        return ts_read_to_end(STDIN_FILENO, text, /* deadline= */ 0, err);
}

static int read_document(const char *path, struct document *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_str text = TS_STR_INIT;
        int rc;

        if (read_text(path, &text, err) < 0)
                return strstr(ts_err_message(err), path) ? -1 : ts_err_prefix(err, "'%s'", path);
        if (ts_json_parse(ts_str_cstr(&text), text.len, FILE_MAX_BYTES, &j, err) < 0)
                return ts_err_prefix(err, "'%s' is not a report", path);
        ret->is_result = ts_is_result(j);
        rc = ret->is_result ? ts_result_from_json(j, &ret->result, err) : ts_report_from_json(j, &ret->report, err);
        if (rc < 0)
                return ts_err_prefix(err, "'%s' is not a %s", path, ret->is_result ? "result" : "report");
        ret->path = path;
        ret->json = TS_TAKE(j);
        return 0;
}

static int add_json(const struct ts_json *j, struct ts_str *out, struct ts_err *err)
{
        ts_auto_free char *text = ts_json_text(j, /* pretty= */ true);

        return text ? ts_str_addf(out, err, "%s\n", text) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- which ---- */

static int is_report(const struct dirent *e)
{
        size_t len = strlen(e->d_name);

        return e->d_name[0] >= '0' && e->d_name[0] <= '9' && len > strlen(SUFFIX) && !strcmp(e->d_name + len - strlen(SUFFIX), SUFFIX);
}

/* The newest ones of the directory that moves write theirs to, oldest first: their names begin with the time. */
static int add_last(const char *dir, int most, struct ts_list *ret, struct ts_err *err)
{
        struct dirent **found = NULL;
        int n = scandir(dir, &found, is_report, alphasort), rc = 0;

        if (n < 0)
                return ts_err_errno(err, errno, "cannot list '%s'", dir);
        for (int i = 0; i < n; i++) {
                if (rc == 0 && n - i <= most)
                        rc = ts_list_addf(ret, err, "%s/%s", dir, found[i]->d_name);
                free(found[i]);
        }
        free(found);
        return rc == 0 && n == 0 ? ts_err_set(err, TS_ENOTFOUND, "no report in '%s' yet", dir) : rc;
}

/* Those that were named; else the last ones. */
static int choose(const struct ts_cli *cli, struct ts_list *ret, struct ts_err *err)
{
        const char *dir = ts_conf_str(cli->conf, "report_dir");

        for (size_t i = 0; i < cli->operands.n; i++)
                if (ts_list_add(ret, cli->operands.v[i], err) < 0)
                        return -1;
        if (cli->operands.n)
                return 0;
        if (dir)
                return add_last(dir, ts_streq0(cli->args.format, "prometheus") ? LAST_MAX : 1, ret, err);
        ts_err_set(err, TS_EUSAGE, "which report? give its file, or - for standard input");
        return ts_err_hint(err, "or the directory where moves write them: --report-dir DIR");
}

/* ---- one after the other, or all together ---- */

struct printing {
        const struct ts_cli *cli;
        const struct ts_list *paths;
        const char *format;
        size_t reports, results; /* printed */
        struct document *kept;   /* of n_kept: printed together in the end */
        size_t n_kept;
        struct ts_str held; /* for --output */
        enum ts_chart_format chart_format;
        struct ts_list charts; /* files of --charts, those that were written */
};

static int emit(struct printing *p, const struct ts_str *text, struct ts_err *err)
{
        if (p->cli->args.output)
                return ts_str_add(&p->held, ts_str_cstr(text), text->len, err);
        ts_cli_print(stdout, "%s", ts_str_cstr(text));
        return 0;
}

static int add_text(const struct printing *p, const struct document *d, struct ts_str *out, struct ts_err *err)
{
        bool file = p->cli->args.output != NULL, colour = !file && p->cli->term.out_colour;
        unsigned columns = file ? 0 : ts_term_message_columns(STDOUT_FILENO);

        if (columns == TS_COLUMNS_ENDLESS)
                columns = 0; /* no terminal either */
        if (p->paths->n > 1 && ts_str_addf(out, err, "%s%s:\n", p->reports + p->results ? "\n" : "", d->path) < 0)
                return -1;
        return d->is_result ? ts_result_text(&d->result, colour, columns, out, err) : ts_report_text(&d->report, colour, columns, out, err);
}

static int add_csv(const struct printing *p, const struct document *d, struct ts_str *out, struct ts_err *err)
{
        return d->is_result ? ts_result_csv(&d->result, /* header= */ p->results == 0, out, err) :
                              ts_report_csv(&d->report, /* header= */ p->reports == 0, out, err);
}

/* Prometheus wants what belongs to one metric in one place, and a page is one. */
static int keep(struct printing *p, struct document *d, struct ts_err *err)
{
        if (d->is_result && strcmp(p->format, "prometheus") == 0)
                return ts_err_set(err, TS_EUSAGE, "'%s' is the result of an experiment: metrics are of moves", d->path);
        ts_json_free(TS_TAKE(d->json));
        p->kept[p->n_kept++] = *d;
        *d = (struct document){ 0 };
        return 0;
}

static int print_document(struct printing *p, struct document *d, struct ts_err *err)
{
        ts_auto_str out = TS_STR_INIT;
        int rc;

        if (p->kept)
                return keep(p, d, err);
        if (strcmp(p->format, "json") == 0)
                rc = add_json(d->json, &out, err);
        else
                rc = strcmp(p->format, "csv") == 0 ? add_csv(p, d, &out, err) : add_text(p, d, &out, err);
        if (rc < 0 || emit(p, &out, err) < 0)
                return -1;
        p->reports += !d->is_result;
        p->results += d->is_result;
        return 0;
}

static int add_metrics(const struct printing *p, struct ts_str *out, struct ts_err *err)
{
        ts_auto_free struct ts_report *reports = calloc(p->n_kept + 1, sizeof(*reports));

        if (!reports)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < p->n_kept; i++)
                reports[i] = p->kept[i].report; /* borrowed */
        return ts_report_prometheus(reports, p->n_kept, out, err);
}

static int add_page(const struct printing *p, struct ts_str *out, struct ts_err *err)
{
        ts_auto_free struct ts_page_part *parts = calloc(p->n_kept + 1, sizeof(*parts));

        if (!parts)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < p->n_kept; i++) {
                const struct document *d = &p->kept[i];

                parts[i] = (struct ts_page_part){ .file = d->path, .result = d->is_result ? &d->result : NULL, .report = d->is_result ? NULL : &d->report };
        }
        return p->n_kept ? ts_page_html(parts, p->n_kept, out, err) : 0;
}

static int print_kept(struct printing *p, struct ts_err *err)
{
        ts_auto_str out = TS_STR_INIT;
        int rc = strcmp(p->format, "html") == 0 ? add_page(p, &out, err) : add_metrics(p, &out, err);

        if (rc == 0)
                rc = emit(p, &out, err);
        for (size_t i = 0; i < p->n_kept; i++)
                document_clear(&p->kept[i]);
        free(TS_TAKE(p->kept));
        return rc;
}

/* ---- charts as files ---- */

/* A name nobody has yet of those that were written: two results may be of one scenario. */
static int name_chart(struct printing *p, const char *of, const char *chart, struct ts_err *err)
{
        for (size_t n = 1;; n++) {
                ts_auto_free char *number = n > 1 ? ts_fmt("-%zu", n) : strdup(""),
                                  *path = number ? ts_fmt("%s/%s-%s%s.%s", p->cli->args.charts, of, chart, number, ts_chart_format_str(p->chart_format)) : NULL;

                if (!path)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (!ts_list_has(&p->charts, path))
                        return ts_list_add(&p->charts, path, err);
        }
}

static int write_charts(struct printing *p, const struct ts_charts *charts, const char *of, struct ts_err *err)
{
        for (size_t i = 0; i < charts->n; i++) {
                ts_auto_str picture = TS_STR_INIT;

                if (name_chart(p, of, charts->v[i].name, err) < 0 || ts_chart_draw(&charts->v[i], p->chart_format, &picture, err) < 0 ||
                    ts_file_write_atomic(p->charts.v[p->charts.n - 1], picture.buf, picture.len, 0644, err) < 0)
                        return -1;
        }
        return 0;
}

static int draw_document(struct printing *p, const struct document *d, struct ts_err *err)
{
        ts_auto_charts charts = { NULL, 0 };
        ts_auto_summary summary = { 0 };
        const char *id = d->report.id && ts_name_valid(d->report.id, 64) ? d->report.id : "move";

        if (!p->cli->args.charts)
                return 0;
        if (!d->is_result)
                return ts_charts_of_report(&d->report, &charts, err) < 0 ? -1 : write_charts(p, &charts, id, err);
        if (ts_summary(&d->result, &summary, err) < 0 || ts_charts_of_result(&d->result, &summary, &charts, err) < 0)
                return -1;
        return write_charts(p, &charts, d->result.scenario, err);
}

/* ---- all of it ---- */

static int print_all(struct printing *p)
{
        int status = 0;

        for (size_t i = 0; i < p->paths->n; i++) {
                struct document d = { 0 };
                ts_auto_err err = TS_ERR_INIT;

                if (read_document(p->paths->v[i], &d, &err) < 0 || draw_document(p, &d, &err) < 0 || print_document(p, &d, &err) < 0) {
                        ts_cli_sync(); /* before the lines on stderr */
                        (void)ts_cli_fail(p->cli, &err);
                        status = EXIT_BAD_FILE;
                }
                document_clear(&d);
        }
        return status;
}

static int prepare(struct printing *p, struct ts_err *err)
{
        const struct ts_args *a = &p->cli->args;
        struct stat st;

        if (a->output && stat(a->output, &st) == 0 && !S_ISREG(st.st_mode)) /* it would be replaced */
                return ts_err_set(err, TS_EUSAGE, "--output: '%s' is not a file", a->output);
        if (a->chart_format && !a->charts)
                return ts_err_set(err, TS_EUSAGE, "--chart-format is of the files of --charts DIR, which is missing");
        if (ts_chart_format_parse(ts_or(a->chart_format, "svg"), &p->chart_format, err) < 0 || (a->charts && ts_mkdir_p(a->charts, 0755, err) < 0))
                return -1;
        if (strcmp(p->format, "prometheus") != 0 && strcmp(p->format, "html") != 0)
                return 0;
        p->kept = calloc(p->paths->n, sizeof(*p->kept));
        return p->kept ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int run(struct printing *p, int *ret_status, struct ts_err *err)
{
        if (prepare(p, err) < 0)
                return -1;
        *ret_status = print_all(p);
        if (p->kept && print_kept(p, err) < 0)
                return -1;
        return p->held.len ? ts_file_write_atomic(p->cli->args.output, p->held.buf, p->held.len, 0644, err) : 0;
}

int ts_cmd_report(struct ts_cli *cli)
{
        ts_auto_list paths = TS_LIST_INIT;
        struct printing p = { .cli = cli, .paths = &paths, .format = ts_or(cli->args.format, "text") };
        ts_auto_err err = TS_ERR_INIT;
        int status = 0, rc;

        if (choose(cli, &paths, &err) < 0) {
                (void)ts_cli_fail(cli, &err);
                return EXIT_BAD_FILE;
        }
        rc = run(&p, &status, &err);
        ts_str_clear(&p.held);
        ts_list_clear(&p.charts);
        return rc < 0 ? ts_cli_fail(cli, &err) : ts_cli_flush(status);
}
