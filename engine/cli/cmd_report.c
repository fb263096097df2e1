/* tranship report. Decides which reports are read, from where, and in which form they are printed; the forms are the engine's. */
#include "engine/cli/cli.h"

#include "api/json.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REPORT_MAX_BYTES ((size_t)48 << 20) /* more than one has with all the samples that it may hold */
#define EXIT_BAD_FILE 2
#define SUFFIX ".json"
#define LAST_MAX 50 /* moves that metrics tell of where no files are named */

static int read_text(const char *path, struct ts_str *text, struct ts_err *err)
{
        if (strcmp(path, "-") != 0)
                return ts_file_read(path, REPORT_MAX_BYTES, text, err);
        *text = (struct ts_str)TS_STR_INIT_MAX(REPORT_MAX_BYTES);
        return ts_read_to_end(STDIN_FILENO, text, /* deadline= */ 0, err);
}

static int read_report(const char *path, struct ts_json **ret_json, struct ts_report *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_str text = TS_STR_INIT;

        if (read_text(path, &text, err) < 0)
                return strstr(ts_err_message(err), path) ? -1 : ts_err_prefix(err, "'%s'", path);
        if (ts_json_parse(ts_str_cstr(&text), text.len, REPORT_MAX_BYTES, &j, err) < 0 || ts_report_from_json(j, ret, err) < 0)
                return ts_err_prefix(err, "'%s' is not a report", path);
        *ret_json = TS_TAKE(j);
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
        size_t printed;
        struct ts_report *kept; /* of n_kept: printed together in the end */
        size_t n_kept;
};

static int print_one(struct printing *p, const char *path, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_str out = TS_STR_INIT;
        struct ts_report r;
        int rc;

        ts_report_init(&r);
        rc = read_report(path, &j, &r, err);
        if (rc == 0 && p->kept) {
                p->kept[p->n_kept++] = r;
                return 0;
        }
        if (rc == 0 && strcmp(p->format, "json") == 0)
                rc = add_json(j, &out, err);
        else if (rc == 0 && strcmp(p->format, "csv") == 0)
                rc = ts_report_csv(&r, /* header= */ p->printed == 0, &out, err);
        else if (rc == 0) {
                rc = p->paths->n > 1 ? ts_str_addf(&out, err, "%s%s:\n", p->printed ? "\n" : "", path) : 0;
                rc = rc < 0 ? rc : ts_report_text(&r, p->cli->term.out_colour, ts_term_columns(STDOUT_FILENO), &out, err);
        }
        if (rc == 0)
                (void)fputs(ts_str_cstr(&out), stdout);
        p->printed += rc == 0;
        ts_report_clear(&r);
        return rc;
}

/* Prometheus wants what belongs to one metric in one place. */
static int print_kept(struct printing *p, struct ts_err *err)
{
        ts_auto_str out = TS_STR_INIT;
        int rc = ts_report_prometheus(p->kept, p->n_kept, &out, err);

        if (rc == 0)
                (void)fputs(ts_str_cstr(&out), stdout);
        for (size_t i = 0; i < p->n_kept; i++)
                ts_report_clear(&p->kept[i]);
        free(TS_TAKE(p->kept));
        return rc;
}

static int print_all(struct printing *p)
{
        int status = 0;

        for (size_t i = 0; i < p->paths->n; i++) {
                ts_auto_err err = TS_ERR_INIT;

                if (print_one(p, p->paths->v[i], &err) == 0)
                        continue;
                (void)fflush(stdout); /* before the lines on stderr */
                (void)ts_cli_fail(p->cli, &err);
                status = EXIT_BAD_FILE;
        }
        return status;
}

int ts_cmd_report(struct ts_cli *cli)
{
        ts_auto_list paths = TS_LIST_INIT;
        struct printing p = { .cli = cli, .paths = &paths, .format = ts_or(cli->args.format, "text") };
        ts_auto_err err = TS_ERR_INIT;
        int status;

        if (choose(cli, &paths, &err) < 0) {
                (void)ts_cli_fail(cli, &err);
                return EXIT_BAD_FILE;
        }
        if (strcmp(p.format, "prometheus") == 0) {
                p.kept = calloc(paths.n, sizeof(*p.kept));
                if (!p.kept) {
                        ts_err_set(&err, TS_ENOMEM, "out of memory");
                        return ts_cli_fail(cli, &err);
                }
        }
        status = print_all(&p);
        if (p.kept && print_kept(&p, &err) < 0)
                return ts_cli_fail(cli, &err);
        return ts_cli_flush(status);
}
