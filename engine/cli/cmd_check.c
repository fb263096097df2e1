/* tranship check. Decides nothing: it is a move that ends after the preflight. */
#include "engine/cli/cli.h"

int ts_cmd_check(struct ts_cli *cli)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_run r;

        if (ts_run_begin(&r, cli, /* moves= */ true, &err) < 0)
                return ts_run_fail(&r, &err);
        r.checking = true;
        return ts_run_end(&r, ts_check(&r.o, &r.report, &r.findings));
}
