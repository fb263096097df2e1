/* The command line's own pieces: what was asked for, the commands, and the frame around those that run a migration. */
#ifndef TRANSHIP_ENGINE_CLI_CLI_H
#define TRANSHIP_ENGINE_CLI_CLI_H

#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"
#include "engine/cli/opt.h"
#include "engine/cli/term.h"
#include "engine/move.h"

#include <stdbool.h>
#include <stdio.h>

/* What the options of all commands fill; each command's table says which it has. */
struct ts_args {
        bool help, version, json, cold, dry_run, remove_agent, quiet, target_is_dead;
        unsigned verbose;
        const char *config;       /* --config, or NULL */
        const char *container;    /* recover --container */
        const char *events;       /* --events: "" for stdout; NULL: none */
        const char *format;       /* report --format */
        const char *output;       /* the file that is written, or NULL */
        const char *charts;       /* report --charts: a directory, or NULL */
        const char *chart_format; /* report --chart-format, or NULL */
        const char *parameters, *runs, *hook; /* of bench, as typed; or NULL */
        bool quick;
        struct ts_list set, environments;
        struct ts_list settings;  /* see ts_opt_apply_settings */
};

struct ts_cli {
        const struct ts_command *command;
        struct ts_args args;
        struct ts_list operands;
        struct ts_conf *conf; /* in force, flags included */
        struct ts_term term;
};
void ts_cli_clear(struct ts_cli *cli);

struct ts_command {
        const char *name;
        const char *operands;  /* for the usage line, or "" */
        const char *summary;   /* one line */
        unsigned max_operands; /* more are an error of their own kind where `many` says so */
        const char *many;      /* the message for more, or NULL */
        bool migrates;         /* signals roll back instead of killing */
        const struct ts_opt_group *groups;
        int (*run)(struct ts_cli *cli); /* gives the exit status */
};
extern const struct ts_command ts_commands[];                                   /* ended by name NULL */
const struct ts_command *ts_command_find(const char *name, struct ts_err *err); /* NULL: TS_EUSAGE with the nearest one */

struct ts_exit_status {
        int status;
        const char *text;
};
extern const struct ts_exit_status ts_exit_statuses[]; /* ended by text NULL; the words for ts_outcome_exit_status */

int ts_usage_text(unsigned columns, struct ts_str *out, struct ts_err *err); /* tranship --help */
int ts_command_help(const struct ts_command *c, unsigned columns, struct ts_str *out, struct ts_err *err);

/* Hidden, for the completion scripts and the documentation's test. Both print to stdout and give the exit status. */
int ts_dump_options(void);                   /* tab-separated lines; see complete.c */
int ts_complete(int n, char *const words[]); /* candidates for the last of the words after `tranship`, one a line */

int ts_cmd_move(struct ts_cli *cli);
int ts_cmd_check(struct ts_cli *cli);
int ts_cmd_status(struct ts_cli *cli);
int ts_cmd_recover(struct ts_cli *cli);
int ts_cmd_report(struct ts_cli *cli);
int ts_cmd_config(struct ts_cli *cli);
int ts_cmd_bench(struct ts_cli *cli);

/* Prints the error and its hint on stderr. Gives 2 for TS_EUSAGE, else 1: for failures before anything was begun. */
int ts_cli_fail(const struct ts_cli *cli, const struct ts_err *err);
/* Prints, and remembers the first failure where out is stdout: all that goes there goes this way. */
void ts_cli_print(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Flushes stdout in between, before lines on stderr. */
void ts_cli_sync(void);
/* The end of a command that only looks: flushes stdout, and gives the status; where stdout failed, an error on stderr and 1 in place of 0.
 * A reader that went away (`| head`) is no failure. */
int ts_cli_flush(int status);
/* The end of a command that may have changed hosts: a failure of stdout is told on stderr, and the status stays. Whoever acts on it
 * would otherwise take a container for unmoved because nobody read the table. */
int ts_cli_flush_changed(int status);

/* What the configuration in force says of SSH; borrowed from it. */
void ts_run_ssh_opts(const struct ts_conf *c, struct ts_ssh_opts *ret);

/* The frame around move, check and recover: options in, events out while it runs, results and reports after it. */
struct ts_run {
        struct ts_cli *cli;
        struct ts_move_opts o; /* borrows from cli */
        struct ts_report report;
        struct ts_findings findings;
        struct ts_progress *progress; /* or NULL */
        struct ts_events *events;     /* or NULL */
        bool checking;                /* check and --dry-run: what preflight found is the result */
        bool recovering;              /* recover: there is no phase table, a line says which side has it */
};
/* moves: the command needs a container and --to. r is cleared by ts_run_end or ts_run_fail, after a failure too. */
int ts_run_begin(struct ts_run *r, struct ts_cli *cli, bool moves, struct ts_err *err);
/* Closes the event sinks, writes the reports, prints the results; gives the final exit status. Clears r. */
int ts_run_end(struct ts_run *r, int status);
/* For a failure of ts_run_begin or between the two: clears r, prints err, gives the exit status. */
int ts_run_fail(struct ts_run *r, const struct ts_err *err);

#endif
