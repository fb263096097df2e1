/* tranship move. Decides nothing: the frame fills the options and shows what comes of it (run.c), the engine moves. */
#include "engine/cli/cli.h"

int ts_cmd_move(struct ts_cli *cli)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_run r;

        if (ts_run_begin(&r, cli, /* moves= */ true, &err) < 0)
                return ts_run_fail(&r, &err);
        r.checking = cli->args.dry_run;
        return ts_run_end(&r, ts_move(&r.o, &r.report, &r.findings));
}
