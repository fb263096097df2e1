/* Small services for all commands: freeing what they hold, errors before anything was begun, and whether stdout took what was printed. */
#include "engine/cli/cli.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine/cli/render.h"

#include <errno.h>
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
        struct ts_paper p = { .colour = cli->term.err_colour, .utf8 = cli->term.utf8, .columns = ts_term_columns(STDERR_FILENO) };
        ts_auto_str text = TS_STR_INIT;

        ts_log(TS_LOG_ERROR, "%s", ts_err_message(err));
        if (ts_render_hint(err->hint, &p, &text, NULL) == 0)
                (void)fputs(ts_str_cstr(&text), stderr);
        return err->code == TS_EUSAGE ? 2 : 1;
}

int ts_cli_flush(int status)
{
        bool broken = ferror(stdout) != 0;

        errno = 0;
        if (fflush(stdout) == 0 && !broken)
                return status;
        if (errno != EPIPE) /* `| head` is nobody's error */
                ts_log(TS_LOG_ERROR, "cannot write to standard output: %s", errno ? strerror(errno) : "an earlier write failed");
        return status == 0 ? 1 : status;
}
