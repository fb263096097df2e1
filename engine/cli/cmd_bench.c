/* tranship bench. Decides how an experiment's own moves are called by what was said here; what an experiment is, bench/ knows. */
#include "engine/cli/cli.h"

#include "base/io.h"
#include "base/log.h"
#include "bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PARAMETERS_MAX_BYTES ((size_t)64 << 10)
#define SELF "/proc/self/exe"

/* What was said on this command line, said again to each move: "peer_timeout=5s" becomes "--peer-timeout=5s", "accept_new=no" "--no-accept-new". Files and environment speak to them themselves. */
static int add_setting(const struct ts_cli *cli, const char *said, struct ts_list *l, struct ts_err *err)
{
        const char *equals = strchr(said, '=');
        ts_auto_free char *name = strndup(said, (size_t)(equals - said));
        const struct ts_opt *o;

        for (char *p = name; p && *p; p++)
                if (*p == '_')
                        *p = '-';
        o = name ? ts_opt_find(cli->command->groups, name) : NULL;
        if (!o)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!strcmp(name, "from") || !strcmp(name, "to") || !strcmp(name, "progress") || !strcmp(name, "color"))
                return 0;
        if (ts_opt_can_negate(o))
                return ts_list_addf(l, err, "--%s%s", strcmp(equals + 1, "no") ? "" : "no-", name);
        return ts_list_addf(l, err, "--%s=%s", name, equals + 1);
}

static int move_options(const struct ts_cli *cli, struct ts_list *l, struct ts_err *err)
{
        if (cli->args.config && ts_list_addf(l, err, "--config=%s", cli->args.config) < 0)
                return -1;
        for (size_t i = 0; i < cli->args.settings.n; i++)
                if (add_setting(cli, cli->args.settings.v[i], l, err) < 0)
                        return -1;
        return 0;
}

static int add_runs(const char *said, struct ts_list *l, struct ts_err *err)
{
        unsigned long long n;

        return ts_parse_u64(said, 1, 10000, &n, err) < 0 ? ts_err_prefix(err, "--runs") : ts_list_addf(l, err, "runs=%llu", n);
}

/* Those of the file, then those of the command line. */
static int parameters(const struct ts_cli *cli, struct ts_list *l, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;

        if (cli->args.parameters && ts_file_read(cli->args.parameters, PARAMETERS_MAX_BYTES, &text, err) < 0)
                return -1;
        for (char *save = NULL, *line = text.buf ? strtok_r(text.buf, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
                line += strspn(line, " \t");
                if (*line && *line != '#' && ts_list_add(l, line, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < cli->args.set.n; i++)
                if (ts_list_add(l, cli->args.set.v[i], err) < 0)
                        return -1;
        return cli->args.runs ? add_runs(cli->args.runs, l, err) : 0;
}

static int fill_opts(const struct ts_cli *cli, struct ts_bench_opts *o, struct ts_err *err)
{
        const struct ts_conf *c = cli->conf;
        if (!ts_scenario_find(cli->operands.v[0], err))
                return -1;
        *o = (struct ts_bench_opts){
                .scenario = cli->operands.v[0],
                .from = ts_conf_str(c, "from"),
                .to = ts_conf_str(c, "to"),
                .environments = &cli->args.environments,
                .hook = cli->args.hook,
                .quick = cli->args.quick,
                .podman = ts_conf_str(c, "podman"),
                .docker = ts_conf_str(c, "docker"),
                .probe = ts_conf_str(c, "probe"),
        };
        ts_run_ssh_opts(c, &o->ssh);
        if (!o->from || !o->to) {
                ts_err_set(err, TS_EUSAGE, "between which engines? --from ENGINE and --to ENGINE");
                return ts_err_hint(err, "tranship bench %s --from ssh://root@alpha --to ssh://root@beta", o->scenario);
        }
        return 0;
}

static int print_scenarios(const struct ts_cli *cli)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_scenarios_text(&text, &err) < 0)
                return ts_cli_fail(cli, &err);
        ts_cli_print(stdout, "%s", ts_str_cstr(&text));
        return ts_cli_flush(0);
}

/* As `tranship report FILE` would. */
static int print_result(struct ts_cli *cli, const char *path)
{
        ts_auto_err err = TS_ERR_INIT;

        ts_list_clear(&cli->operands);
        if (ts_list_add(&cli->operands, path, &err) < 0)
                return ts_cli_fail(cli, &err);
        cli->args.format = cli->args.json ? "json" : "text";
        cli->args.output = NULL;
        return ts_cmd_report(cli);
}

static int self_path(char *buf, size_t size, struct ts_err *err)
{
        ssize_t n = readlink(SELF, buf, size - 1);

        if (n < 0)
                return ts_err_errno(err, errno, "cannot find out where this program is");
        buf[n] = '\0';
        return 0;
}

static void say(void *ctx, const char *line)
{
        (void)ctx;
        (void)fprintf(stderr, "%s\n", line);
}

int ts_cmd_bench(struct ts_cli *cli)
{
        ts_auto_free char *output = NULL;
        ts_auto_list words = TS_LIST_INIT, set = TS_LIST_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_bench_opts o;
        char self[4096];

        if (!cli->operands.n)
                return print_scenarios(cli);
        output = cli->args.output ? ts_strdup0(cli->args.output) : ts_fmt("tranship-bench-%s.json", cli->operands.v[0]);
        if (!output || fill_opts(cli, &o, &err) < 0 || parameters(cli, &set, &err) < 0 || move_options(cli, &words, &err) < 0 || self_path(self, sizeof(self), &err) < 0)
                return ts_cli_fail(cli, &err);
        o.set = &set;
        o.move_options = &words;
        o.output = output;
        o.self = self;
        if (ts_log_enabled(TS_LOG_NOTICE))
                o.say = say;
        if (ts_bench(&o, &err) < 0) {
                int status = ts_cli_fail(cli, &err);

                if (err.code != TS_EUSAGE && access(output, F_OK) == 0)
                        ts_log(TS_LOG_NOTICE, "what was measured before is in '%s'", output);
                return status;
        }
        ts_log(TS_LOG_NOTICE, "every sample is in '%s'", output);
        return print_result(cli, output);
}
