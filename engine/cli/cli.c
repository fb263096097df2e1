/* Small services for all commands: freeing what they hold, errors before anything was begun, and whether stdout took what was printed. */
#include "engine/cli/cli.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine/cli/render.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ts_cli_clear(struct ts_cli *cli)
{
        ts_list_clear(&cli->args.settings);
        ts_list_clear(&cli->args.set);
        ts_list_clear(&cli->args.environments);
        ts_list_clear(&cli->operands);
        ts_conf_free(TS_TAKE(cli->conf));
}

int ts_cli_fail(const struct ts_cli *cli, const struct ts_err *err)
{
        struct ts_paper p = { .colour = cli->term.err_colour, .utf8 = cli->term.utf8, .columns = ts_term_message_columns(STDERR_FILENO) };
        ts_auto_str text = TS_STR_INIT;

        ts_log(TS_LOG_ERROR, "%s", ts_err_message(err));
        if (ts_render_hint(err->hint, &p, &text, NULL) == 0)
                (void)fputs(ts_str_cstr(&text), stderr);
        return err->code == TS_EUSAGE ? 2 : 1;
}

/* The first failure counts: stdio remembers that there was one, and not which. */
static int stdout_errno;

static void note(bool failed)
{
        if (failed && !stdout_errno)
                stdout_errno = errno ? errno : EIO;
}

void ts_cli_print(FILE *out, const char *fmt, ...)
{
        va_list ap;
        int n;

        errno = 0;
        va_start(ap, fmt);
        n = vfprintf(out, fmt, ap);
        va_end(ap);
        note(n < 0 && out == stdout);
}

void ts_cli_sync(void)
{
        errno = 0;
        note(fflush(stdout) != 0);
}

int ts_cli_flush(int status)
{
        ts_cli_sync();
        if (!stdout_errno || stdout_errno == EPIPE) /* `| head` is nobody's error */
                return status;
        ts_log(TS_LOG_ERROR, "cannot write to standard output: %s", strerror(stdout_errno));
        return status == 0 ? 1 : status;
}

int ts_cli_flush_changed(int status)
{
        ts_cli_sync();
        if (stdout_errno)
                ts_log(TS_LOG_ERROR, "the result could not be written to standard output (%s); the exit status is what counts",
                       strerror(stdout_errno));
        return status;
}
