/* tranship report. Decides where reports are read from and in which form they are printed; the forms are the engine's. */
#include "engine/cli/cli.h"

#include "api/json.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define REPORT_MAX_BYTES ((size_t)16 << 20)
#define EXIT_BAD_FILE 2

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

/* printed: how many came before. */
static int print_one(const struct ts_cli *cli, size_t i, size_t printed, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        const char *format = ts_or(cli->args.format, "text"), *path = cli->operands.v[i];
        ts_auto_str out = TS_STR_INIT;
        struct ts_report r;
        int rc;

        ts_report_init(&r);
        rc = read_report(path, &j, &r, err);
        if (rc == 0 && strcmp(format, "json") == 0)
                rc = add_json(j, &out, err);
        else if (rc == 0 && strcmp(format, "csv") == 0)
                rc = ts_report_csv(&r, /* header= */ printed == 0, &out, err);
        else if (rc == 0) {
                rc = cli->operands.n > 1 ? ts_str_addf(&out, err, "%s%s:\n", printed ? "\n" : "", path) : 0;
                rc = rc < 0 ? rc : ts_report_text(&r, cli->term.out_colour, ts_term_columns(STDOUT_FILENO), &out, err);
        }
        if (rc == 0)
                (void)fputs(ts_str_cstr(&out), stdout);
        ts_report_clear(&r);
        return rc;
}

int ts_cmd_report(struct ts_cli *cli)
{
        ts_auto_err none = TS_ERR_INIT;
        size_t printed = 0;
        int status = 0;

        if (cli->operands.n == 0) {
                ts_err_set(&none, TS_EUSAGE, "which report? give its file, or - for standard input");
                return ts_cli_fail(cli, &none);
        }
        for (size_t i = 0; i < cli->operands.n; i++) {
                ts_auto_err err = TS_ERR_INIT;

                if (print_one(cli, i, printed, &err) == 0) {
                        printed++;
                        continue;
                }
                (void)fflush(stdout); /* before the lines on stderr */
                (void)ts_cli_fail(cli, &err);
                status = EXIT_BAD_FILE;
        }
        return ts_cli_flush(status);
}
