/* The commands, their options and the exit statuses, as data. Everything the program says about itself is made from these tables. */
#include "engine/cli/cli.h"

#include "base/mem.h"

#include <string.h>

/* clang-format off */
#define FIELD(f) offsetof(struct ts_args, f)
#define SETTING(n) { .name = n, .type = TS_OPT_SETTING, .offset = FIELD(settings) }
#define PATH(n, l) { .name = n, .letter = l, .type = TS_OPT_PATH, .offset = FIELD(settings) }
#define FLAG(n, l, field, h) { .name = n, .letter = l, .type = TS_OPT_FLAG, .offset = FIELD(field), .help = h }
#define LIST(n, field, a, h) { .name = n, .type = TS_OPT_LIST, .arg = a, .offset = FIELD(field), .help = h }
#define STRING(n, field, a, h) { .name = n, .type = TS_OPT_STRING, .arg = a, .offset = FIELD(field), .help = h }
#define END { .name = NULL }
/* clang-format on */

static const struct ts_opt engine_opts[] = { SETTING("from"), SETTING("to"), END };
static const struct ts_opt way_opts[] = {
        SETTING("transfer"),
        SETTING("tls-ports"),
        SETTING("strategy"),
        SETTING("precopy"),
        SETTING("max-downtime"),
        SETTING("dump"),
        SETTING("bandwidth"),
        SETTING("streams"),
        SETTING("compress"),
        END,
};
static const struct ts_opt move_opts[] = {
        FLAG("cold", 0, cold, "stop, move and start it instead of moving its memory: for what cannot be restored live"),
        SETTING("keep-source"),
        FLAG("remove-agent", 0, remove_agent, "remove the agent's program from both hosts afterwards; otherwise it stays for the next move"),
        FLAG("dry-run", 'n', dry_run, "only check, and print the phases that would run"),
        END,
};
static const struct ts_opt data_opts[] = { SETTING("volume"), SETTING("bind"), SETTING("skip"), END };
static const struct ts_opt watch_opts[] = { SETTING("before-freeze"), SETTING("verify"), SETTING("on-verify-failure"), SETTING("probe"), SETTING("sample"), END };
static const struct ts_opt patience_opts[] = {
        SETTING("connect-timeout"),
        SETTING("peer-timeout"),
        SETTING("reconnect-timeout"),
        SETTING("checkpoint-timeout"),
        SETTING("restore-timeout"),
        SETTING("verify-timeout"),
        SETTING("fence-timeout"),
        END,
};
static const struct ts_opt ssh_opts[] = { PATH("ssh-config", 'F'), PATH("identity", 'i'), PATH("known-hosts", 0), SETTING("accept-new"),
                                          END };
static const struct ts_opt host_opts[] = { SETTING("staging"), SETTING("podman"), SETTING("docker"), END };
static const struct ts_opt journal_opts[] = { PATH("state-dir", 0), END };
static const struct ts_opt recover_opts[] = {
        STRING("container", container, "NAME", "find the migration by its container: with --from and --to, from another machine"),
        FLAG("target-is-dead", 0, target_is_dead,
             "your word that the target will never run it again: the source is restored without a fence"),
        FLAG("cold", 0, cold, "where its memory is lost (7), or cannot be restored: start the source afresh from its files"),
        SETTING("verify"),
        SETTING("on-verify-failure"),
        END,
};
static const char *const report_formats[] = { "text", "csv", "json", "prometheus", "html", NULL };
static const char *const chart_formats[] = { "svg", "png", "pdf", NULL };
static const struct ts_opt report_opts[] = {
        { .name = "format",
          .type = TS_OPT_CHOICE,
          .arg = "FORMAT",
          .offset = FIELD(format),
          .choices = report_formats,
          .help = "how to print it [text]" },
        STRING("output", output, "FILE", "write it to a file instead of standard output"),
        STRING("charts", charts, "DIR", "draw the charts into files of this directory, too (needs gnuplot)"),
        { .name = "chart-format",
          .type = TS_OPT_CHOICE,
          .arg = "FORMAT",
          .offset = FIELD(chart_format),
          .choices = chart_formats,
          .help = "of the files of --charts [svg]" },
        PATH("report-dir", 0),
        END,
};
#define JSON(h) FLAG("json", 0, json, h)
static const struct ts_opt result_opts[] = {
        JSON("print the report, and nothing else, on standard output as JSON"),
        SETTING("report"),
        PATH("report-dir", 0),
        { .name = "events",
          .type = TS_OPT_OPTIONAL,
          .arg = "FILE|-|fd:N",
          .offset = FIELD(events),
          .help = "write what happens as JSON lines to a file, standard output (default) or an open descriptor" },
        END,
};
static const struct ts_opt bench_opts[] = {
        LIST("set", set, "NAME=VALUE", "a parameter of the scenario; without a scenario they are listed"),
        STRING("parameters", parameters, "FILE", "a file with a NAME=VALUE on each line; --set comes after it"),
        STRING("runs", runs, "N", "of each kind that count; two before them, one in each direction, do not"),
        FLAG("quick", 0, quick, "a few small runs: shows that it works, measures nothing"),
        LIST("environment", environments, "NAME[=OPTIONS]", "do all of it in that environment, with such options of move; repeatable"),
        STRING("environment-hook", hook, "PROGRAM", "makes environments: run with 'up NAME' before, 'down NAME' after"),
        STRING("output", output, "FILE", "the result file [tranship-bench-SCENARIO.json]"),
        JSON("print the result, and nothing else, on standard output as JSON"),
        END,
};
static const struct ts_opt json_opts[] = { JSON("print JSON"), END };
static const struct ts_opt common_opts[] = {
        SETTING("progress"),
        SETTING("color"),
        FLAG("quiet", 'q', quiet, "no progress: only errors, and what preflight warns of, on standard error"),
        { .name = "verbose", .letter = 'v', .type = TS_OPT_COUNT, .offset = FIELD(verbose), .help = "say more; twice: everything" },
        STRING("config", config, "FILE", "read only this configuration file instead of the system's and the user's"),
        FLAG("help", 'h', help, "print this and exit"),
        FLAG("version", 'V', version, "print the version and exit"),
        END,
};

static const struct ts_opt_group move_groups[] = {
        { "Engines", engine_opts },
        { "How it travels", way_opts },
        { "The move", move_opts },
        { "Data and findings", data_opts },
        { "Is it alive", watch_opts },
        { "Patience", patience_opts },
        { "SSH", ssh_opts },
        { "Hosts", host_opts },
        { "Journal", journal_opts },
        { "Results", result_opts },
        { "Common", common_opts },
        { NULL, NULL },
};
static const struct ts_opt_group bench_groups[] = {
        { "Engines: A and B", engine_opts },
        { "The experiment", bench_opts },
        { "How the moves travel", way_opts },
        { "Data and findings", data_opts },
        { "Is it alive", watch_opts },
        { "Patience", patience_opts },
        { "SSH", ssh_opts },
        { "Hosts", host_opts },
        { "Journal", journal_opts },
        { "Common", common_opts },
        { NULL, NULL },
};
static const struct ts_opt_group recover_groups[] = {
        { "Engines", engine_opts }, { "The recovery", recover_opts }, { "Patience", patience_opts },
        { "SSH", ssh_opts },        { "Hosts", host_opts },           { "Journal", journal_opts },
        { "Results", result_opts }, { "Common", common_opts },        { NULL, NULL },
};
static const struct ts_opt_group status_groups[] = {
        { "Results", json_opts },
        { "Journal", journal_opts },
        { "Common", common_opts },
        { NULL, NULL },
};
static const struct ts_opt_group report_groups[] = {
        { "Results", report_opts },
        { "Common", common_opts },
        { NULL, NULL },
};
static const struct ts_opt_group config_groups[] = {
        { "Results", json_opts },
        { "Common", common_opts },
        { NULL, NULL },
};

#define ONE "one container at a time in this version"
const struct ts_command ts_commands[] = {
        { "move", "CONTAINER", "move a running container and print the phase table", 1, ONE, true, move_groups, ts_cmd_move },
        { "check", "CONTAINER", "preflight only: every problem at once, nothing changed", 1, ONE, true, move_groups, ts_cmd_check },
        { "status", "[ID]", "what is under way, and which side owns the container", 1, NULL, false, status_groups, ts_cmd_status },
        { "recover", "[ID]", "finish or roll back a migration whose process died", 1, NULL, true, recover_groups, ts_cmd_recover },
        { "report", "[FILE...]", "print saved reports and results as text, CSV, JSON, metrics or a page", 1000, NULL, false, report_groups, ts_cmd_report },
        { "bench", "[SCENARIO]", "repeat moves, vary the load, compare with a baseline", 1, "one scenario at a time", true, bench_groups, ts_cmd_bench },
        { "config", "", "the settings in force and where each came from", 0, NULL, false, config_groups, ts_cmd_config },
        { NULL, NULL, NULL, 0, NULL, false, NULL, NULL },
};

const struct ts_exit_status ts_exit_statuses[] = {
        { 0, "done" },
        { 1, "internal error; nothing was changed" },
        { 2, "the command line, the configuration or a file named there is wrong; nothing was changed" },
        { 3, "refused before the freeze; nothing was changed" },
        { 4, "failed and rolled back; the source is as it was" },
        { 5, "moved, but something was left to clean up" },
        { 6, "a person must look; the commands are printed" },
        { 7, "the container's memory is lost; its files are intact" },
        { 0, NULL },
};

const struct ts_command *ts_command_find(const char *name, struct ts_err *err)
{
        const char *names[TS_ARRAY_LEN(ts_commands)] = { NULL };
        const char *near;

        for (size_t i = 0; ts_commands[i].name; i++) {
                if (strcmp(ts_commands[i].name, name) == 0)
                        return &ts_commands[i];
                names[i] = ts_commands[i].name;
        }
        near = ts_opt_nearest(name, names);
        if (near)
                (void)ts_err_set(err, TS_EUSAGE, "unknown command '%.60s'; did you mean '%s'?", name, near);
        else
                (void)ts_err_set(err, TS_EUSAGE, "unknown command '%.60s'", name);
        return NULL;
}

int ts_usage_text(unsigned columns, struct ts_str *out, struct ts_err *err)
{
        if (ts_str_adds(
                    out,
                    "usage: tranship COMMAND [OPTION]...\n\nMoves a running container between two Podman or Docker engines.\n\nCommands:\n",
                    err) < 0)
                return -1;
        for (const struct ts_command *c = ts_commands; c->name; c++)
                if (ts_str_addf(out, err, "  %-8s %-10s %s\n", c->name, c->operands, c->summary) < 0)
                        return -1;
        if (ts_str_adds(out, "\nExit status:\n", err) < 0)
                return -1;
        for (const struct ts_exit_status *e = ts_exit_statuses; e->text; e++)
                if (ts_str_addf(out, err, "  %d  ", e->status) < 0 || ts_text_wrap(out, e->text, 5, 5, columns, err) < 0)
                        return -1;
        return ts_str_adds(out, "\n'tranship COMMAND --help' has the options of a command, tranship(1) the rest.\n", err);
}

int ts_command_help(const struct ts_command *c, unsigned columns, struct ts_str *out, struct ts_err *err)
{
        if (ts_str_addf(out, err, "usage: tranship %s [OPTION]...%s%s\n\n%c", c->name, *c->operands ? " " : "", c->operands,
                        c->summary[0] - 'a' + 'A') < 0 ||
            ts_text_wrap(out, c->summary + 1, 1, 0, columns, err) < 0)
                return -1;
        return ts_opt_help_text(c->groups, columns, out, err);
}
