/* The entry: descriptors, signals, and which command runs. Decides nothing about migrations. */
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- signals ---- */

static volatile sig_atomic_t stop_seen;

/* The first one is for the engine, which goes back to a safe state (or forward, after the commit). A further one changes nothing: to die
 * half-way is what must not happen. */
static void on_stop(int signal_number)
{
        static const char again[] = "\ntranship: already rolling back, please wait: nothing may be left half-way\n";
        struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
        int saved = errno;

        if (!stop_seen) {
                stop_seen = 1;
                if (ts_stop_hold)
                        ts_stop_held = signal_number;
                else
                        ts_stop_signal = signal_number;
        } else if (signal_number != SIGXCPU && poll(&out, 1, 0) > 0) { /* never wait for a terminal in here */
                (void)!write(STDERR_FILENO, again, sizeof(again) - 1);
        }
        errno = saved;
}

/* Those that people, a terminal, or a limit of CPU time (each second from the soft one on) end
 * programs with. What was ignored when we were started (nohup, a shell's background job) stays
 * ignored. */
static void catch_stop_signals(void)
{
        static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU };

        for (size_t i = 0; i < TS_ARRAY_LEN(numbers); i++) {
                struct sigaction old, action = { .sa_handler = on_stop };

                (void)sigemptyset(&action.sa_mask);
                if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
                        (void)sigaction(numbers[i], &action, NULL);
        }
}

/* Descriptors 0 to 2 are open from here on: otherwise a socket to an engine could become stdout. */
static void open_standard_descriptors(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd >= 0)
                (void)close(fd);
}

/* ---- one command ---- */

static int print_text(const struct ts_str *text, int rc, const struct ts_cli *cli, const struct ts_err *err)
{
        if (rc < 0)
                return ts_cli_fail(cli, err);
        ts_cli_print(stdout, "%s", ts_str_cstr(text));
        return ts_cli_flush(0);
}

/* For the fault matrix, which is made from it. */
static int print_phases(void)
{
        const char *name;

        for (unsigned i = 0; (name = ts_phase_name(i, NULL)); i++)
                ts_cli_print(stdout, "%s\n", name);
        return ts_cli_flush(0);
}

static int print_help(const struct ts_cli *cli)
{
        unsigned columns = ts_term_columns(STDOUT_FILENO);
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        int rc = cli->command ? ts_command_help(cli->command, columns, &text, &err) : ts_usage_text(columns, &text, &err);

        return print_text(&text, rc, cli, &err);
}

static int print_version(void)
{
        ts_cli_print(stdout, "tranship " TS_VERSION "\n");
        return ts_cli_flush(0);
}

static int usage_error(const struct ts_cli *cli, const struct ts_err *err)
{
        int status = ts_cli_fail(cli, err);

        if (!err->hint)
                (void)fprintf(stderr, "try 'tranship %s%s--help'\n", cli->command ? cli->command->name : "", cli->command ? " " : "");
        return status;
}

static int check_operands(const struct ts_cli *cli, struct ts_err *err)
{
        const struct ts_command *c = cli->command;

        for (size_t i = 0; i < cli->operands.n; i++)
                if (!*cli->operands.v[i])
                        return ts_err_set(err, TS_EUSAGE, "an empty argument is not %s", *c->operands ? "a name" : "expected");
        if (cli->operands.n <= c->max_operands)
                return 0;
        if (!c->many)
                return ts_err_set(err, TS_EUSAGE, "'%s' is one argument too many", cli->operands.v[c->max_operands]);
        ts_err_set(err, TS_EUSAGE, "%s", c->many);
        return cli->args.events && !*cli->args.events ? ts_err_hint(err, "or is one of them the file for --events? write --events=FILE")
                                                      : -1;
}

static enum ts_level log_level(const struct ts_args *a)
{
        return a->quiet ? TS_LOG_ERROR : a->verbose == 0 ? TS_LOG_NOTICE : a->verbose == 1 ? TS_LOG_INFO : TS_LOG_DEBUG;
}

static int load_settings(struct ts_cli *cli, struct ts_err *err)
{
        const char *const files[] = { cli->args.config, NULL };

        if ((cli->args.config ? ts_conf_load_files(files, /* must_exist= */ true, &cli->conf, err) : ts_conf_load(&cli->conf, err)) < 0)
                return -1;
        return ts_opt_apply_settings(&cli->args.settings, cli->conf, err);
}

static int run_command(struct ts_cli *cli, int argc, char **argv)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_opt_parse(cli->command->groups, argc, argv, &cli->args, &cli->operands, &err) < 0)
                return usage_error(cli, &err);
        if (cli->args.help)
                return print_help(cli);
        if (cli->args.version)
                return print_version();
        if (check_operands(cli, &err) < 0)
                return usage_error(cli, &err);
        if (load_settings(cli, &err) < 0) {
                (void)ts_cli_fail(cli, &err);
                return 2; /* whatever is wrong with it, it is the configuration */
        }
        ts_term_init(&cli->term, ts_or(ts_conf_str(cli->conf, "color"), "auto"));
        ts_log_setup(log_level(&cli->args), cli->term.err_colour);
        if (cli->command->migrates)
                catch_stop_signals();
        return cli->command->run(cli);
}

static bool is_word(const char *word, const char *a, const char *b)
{
        return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static int dispatch(struct ts_cli *cli, int argc, char **argv)
{
        ts_auto_err err = TS_ERR_INIT;
        const char *word = argc > 1 ? argv[1] : "";

        if (is_word(word, "--help", "-h") || (strcmp(word, "help") == 0 && argc == 2))
                return print_help(cli);
        if (is_word(word, "--version", "-V"))
                return print_version();
        if (strcmp(word, "--dump-options") == 0)
                return ts_dump_options();
        if (strcmp(word, "__phases") == 0)
                return print_phases();
        if (strcmp(word, "__complete") == 0)
                return ts_complete(argc - 2, argv + 2);
        if (argc < 2)
                ts_err_set(&err, TS_EUSAGE, "which command? move, check, status, recover, report, bench or config");
        else if (word[0] == '-')
                ts_err_set(&err, TS_EUSAGE, "'%.60s' stands before the command; options follow it", word);
        if (ts_err_is_set(&err))
                return usage_error(cli, &err);
        if (strcmp(word, "help") == 0) {
                cli->command = ts_command_find(argv[2], &err);
                return cli->command ? print_help(cli) : usage_error(cli, &err);
        }
        cli->command = ts_command_find(word, &err);
        return cli->command ? run_command(cli, argc - 1, argv + 1) : usage_error(cli, &err);
}

int main(int argc, char **argv)
{
        struct ts_cli cli = { 0 };
        int status;

        open_standard_descriptors();
        ts_ignore_write_signals();
        ts_term_init(&cli.term, "auto");
        ts_log_setup(TS_LOG_NOTICE, cli.term.err_colour);
        status = dispatch(&cli, argc, argv);
        ts_cli_clear(&cli);
        return status;
}
