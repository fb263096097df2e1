/* tranship recover. Decides which options go together; what becomes of the migration is decided in the engine. */
#include "engine/cli/cli.h"

#include "base/mem.h"

/* From another machine all three are needed, and no ID. */
static int check_way(const struct ts_recover_opts *o, const struct ts_cli *cli, struct ts_err *err)
{
        if (o->container && o->id)
                return ts_err_set(err, TS_EUSAGE, "an ID and --container are two ways to name one migration: give one of them");
        if (o->container && (!o->from || !o->to))
                return ts_err_set(err, TS_EUSAGE,
                                  "--container needs --from ENGINE and --to ENGINE: the journal is looked for on those hosts");
        if (cli->args.cold && o->target_is_dead)
                return ts_err_set(err, TS_EUSAGE, "--cold and --target-is-dead are different ways out: give one of them");
        return 0;
}

int ts_cmd_recover(struct ts_cli *cli)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_recover_opts o;
        struct ts_run r;

        if (ts_run_begin(&r, cli, /* moves= */ false, &err) < 0)
                return ts_run_fail(&r, &err);
        o = (struct ts_recover_opts){ .id = TS_TAKE(r.o.container),
                                      .from = r.o.from,
                                      .to = r.o.to,
                                      .container = cli->args.container,
                                      .target_is_dead = cli->args.target_is_dead,
                                      .cold_start = cli->args.cold };
        r.recovering = true;
        r.o.cold = false; /* how it was moved is in the journal */
        o.move = r.o;
        if (check_way(&o, cli, &err) < 0)
                return ts_run_fail(&r, &err);
        return ts_run_end(&r, ts_recover(&o, &r.report));
}
