/* The frame of move, check and recover. Decides where events and results go and what happens when they cannot be written; does not decide
 * what they say. */
#include "engine/cli/cli.h"

#include "api/json.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/cli/events_json.h"
#include "engine/cli/progress.h"
#include "engine/cli/render.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- options in ---- */

static unsigned timeout_ms(const struct ts_conf *c, const char *key)
{
        uint64_t ms = ts_conf_u64(c, key);

        return ms > UINT32_MAX ? UINT32_MAX : (unsigned)ms;
}

static const char *shared_dir(const char *transfer)
{
        return transfer && ts_starts(transfer, "shared:") ? transfer + strlen("shared:") : NULL;
}

static enum ts_transfer transfer(const char *how)
{
        return ts_streq0(how, "scp") ? TS_TRANSFER_SCP : ts_streq0(how, "tls") ? TS_TRANSFER_TLS : TS_TRANSFER_STREAM;
}

void ts_run_ssh_opts(const struct ts_conf *c, struct ts_ssh_opts *ret)
{
        *ret = (struct ts_ssh_opts){ .config_file = ts_conf_str(c, "ssh_config"),
                                     .identity = ts_conf_str(c, "identity"),
                                     .known_hosts = ts_conf_str(c, "known_hosts"),
                                     .accept_new = ts_conf_bool(c, "accept_new"),
                                     .connect_timeout_ms = timeout_ms(c, "connect_timeout"),
                                     .peer_timeout_ms = timeout_ms(c, "peer_timeout") };
}

static void fill_opts(struct ts_run *r)
{
        const struct ts_conf *c = r->cli->conf;
        const struct ts_args *a = &r->cli->args;

        r->o = (struct ts_move_opts){
                .from = ts_conf_str(c, "from"),
                .to = ts_conf_str(c, "to"),
                .container = r->cli->operands.n ? r->cli->operands.v[0] : NULL,
                .strategy = ts_conf_str(c, "strategy"),
                .shared_dir = shared_dir(ts_conf_str(c, "transfer")),
                .transfer = transfer(ts_conf_str(c, "transfer")),
                .cold = a->cold,
                .keep_source = ts_conf_bool(c, "keep_source"),
                .remove_agent = a->remove_agent,
                .dry_run = a->dry_run,
                .volumes = ts_conf_list(c, "volume"),
                .binds = ts_conf_list(c, "bind"),
                .skips = ts_conf_list(c, "skip"),
                .probe = ts_conf_str(c, "probe"),
                .verify = ts_conf_str(c, "verify"),
                .before_freeze = ts_conf_str(c, "before_freeze"),
                .sample_ms = timeout_ms(c, "sample"),
                .compress = (enum ts_compress)ts_conf_enum(c, "compress"),
                .bandwidth = ts_conf_u64(c, "bandwidth"),
                .streams = (unsigned)ts_conf_u64(c, "streams"),
                .dump = (enum ts_dump)ts_conf_enum(c, "dump"),
                .precopy = (enum ts_precopy)ts_conf_enum(c, "precopy"),
                .max_downtime_ms = timeout_ms(c, "max_downtime"),
                .verify_timeout_ms = timeout_ms(c, "verify_timeout"),
                .fence_timeout_ms = timeout_ms(c, "fence_timeout"),
                .peer_timeout_ms = timeout_ms(c, "peer_timeout"),
                .reconnect_timeout_ms = timeout_ms(c, "reconnect_timeout"),
                .checkpoint_timeout_ms = timeout_ms(c, "checkpoint_timeout"),
                .restore_timeout_ms = timeout_ms(c, "restore_timeout"),
                .on_verify_failure =
                        strcmp(ts_or(ts_conf_str(c, "on_verify_failure"), ""), "keep") == 0 ? TS_VERIFY_KEEP : TS_VERIFY_ROLLBACK,
                .staging = ts_conf_str(c, "staging"),
                .state_dir = ts_conf_str(c, "state_dir"),
                .podman = ts_conf_str(c, "podman"),
                .docker = ts_conf_str(c, "docker"),
        };
        ts_run_ssh_opts(c, &r->o.ssh);
        if (r->o.transfer == TS_TRANSFER_TLS)
                (void)ts_parse_ports(ts_conf_str(c, "tls_ports"), &r->o.tls_low, &r->o.tls_high); /* checked when it was read */
}

static int need_operands(const struct ts_run *r, struct ts_err *err)
{
        if (!r->o.container) {
                ts_err_set(err, TS_EUSAGE, "which container? give its name or ID");
                return ts_err_hint(err, "tranship %s --to ENGINE CONTAINER", r->cli->command->name);
        }
        if (!r->o.to) {
                ts_err_set(err, TS_EUSAGE, "where to? --to ENGINE is missing");
                return ts_err_hint(
                        err, "--to ssh://user@host, --to podman:NAME or --to docker:NAME; or 'to = ENGINE' in the configuration file");
        }
        return 0;
}

/* A report that cannot be written is better known before the container is frozen. */
static int check_report_place(const struct ts_run *r, struct ts_err *err)
{
        const char *file = ts_conf_str(r->cli->conf, "report"), *dir = ts_conf_str(r->cli->conf, "report_dir");
        struct stat st;

        if (file && stat(file, &st) == 0 && !S_ISREG(st.st_mode))
                return ts_err_set(err, TS_EUSAGE, "--report: '%s' is not a file", file);
        if (file) {
                const char *slash = strrchr(file, '/');
                ts_auto_free char *parent = !slash ? strdup(".") : slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));

                if (!parent)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (access(parent, W_OK) < 0)
                        return ts_err_set(err, TS_EUSAGE, "--report: cannot write to directory '%s': %s", parent, strerror(errno));
        }
        if (dir && ts_mkdir_p(dir, 0700, err) < 0)
                return ts_err_prefix(err, "--report-dir");
        if (dir && access(dir, W_OK) < 0)
                return ts_err_set(err, TS_EUSAGE, "--report-dir: cannot write to '%s': %s", dir, strerror(errno));
        return 0;
}

/* ---- events out ---- */

/* To all who listen. The engine does not repeat the ID in its first event: it is in the report by then. */
static void emit(void *ctx, const struct ts_event *e)
{
        struct ts_run *r = ctx;
        struct ts_event full = *e;

        if (e->kind == TS_EV_BEGIN)
                full.phase = r->report.id;
        if (r->progress)
                ts_progress_emit(r->progress, &full);
        if (r->events)
                ts_events_emit(r->events, &full);
}

static int start_progress(struct ts_run *r, struct ts_err *err)
{
        const struct ts_term *t = &r->cli->term;
        const char *when = ts_or(ts_conf_str(r->cli->conf, "progress"), "auto");
        bool bar = strcmp(when, "always") == 0 || (strcmp(when, "auto") == 0 && t->err_tty);
        struct ts_progress_opts o = { .fd = STDERR_FILENO,
                                      .style = bar ? TS_PROGRESS_BAR : TS_PROGRESS_LINES,
                                      .colour = t->err_colour,
                                      .utf8 = t->utf8,
                                      .notes = ts_log_enabled(TS_LOG_INFO) };

        return r->cli->args.quiet ? 0 : ts_progress_start(&o, &r->progress, err);
}

static int start_events(struct ts_run *r, struct ts_err *err)
{
        const struct ts_args *a = &r->cli->args;

        if (!a->events)
                return 0;
        if (a->json && ts_events_to_stdout(a->events)) {
                ts_err_set(err, TS_EUSAGE, "--json and --events both want standard output");
                return ts_err_hint(err, "--events=FILE, or --report FILE in place of --json");
        }
        return ts_events_open(a->events, ts_now_us(), &r->events, err);
}

int ts_run_begin(struct ts_run *r, struct ts_cli *cli, bool moves, struct ts_err *err)
{
        *r = (struct ts_run){ .cli = cli };
        ts_report_init(&r->report);
        fill_opts(r);
        r->o.events = (struct ts_event_sink){ emit, r };
        if ((moves && need_operands(r, err) < 0) || check_report_place(r, err) < 0 || start_events(r, err) < 0)
                return -1;
        return start_progress(r, err);
}

/* ---- results out ---- */

static bool stdout_is_for_events(const struct ts_run *r)
{
        return r->cli->args.events && ts_events_to_stdout(r->cli->args.events);
}

static struct ts_paper paper_for(const struct ts_run *r, FILE *out)
{
        const struct ts_term *t = &r->cli->term;

        return (struct ts_paper){ .colour = out == stdout ? t->out_colour : t->err_colour,
                                  .utf8 = t->utf8,
                                  .columns = ts_term_message_columns(fileno(out)) };
}

/* The report object. What preflight found goes in too: where that is the result, and where it was not enough to refuse. */
static char *report_json(const struct ts_run *r)
{
        ts_auto(ts_json) struct ts_json *j = ts_report_json(&r->report);
        ts_auto_free char *text = NULL;

        if (j && (r->findings.n || r->report.outcome == TS_OUT_CHECKED || r->report.outcome == TS_OUT_REFUSED))
                (void)ts_json_set(j, "findings", ts_findings_json(&r->findings));
        text = j ? ts_json_text(j, /* pretty= */ true) : NULL;
        return text ? ts_fmt("%s\n", text) : NULL;
}

static void write_report(const char *path, const char *text)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_file_write_atomic(path, text, strlen(text), 0600, &err) < 0)
                ts_log(TS_LOG_ERROR, "the report could not be written to '%s': %s", path, ts_err_message(&err));
}

static void write_reports(const struct ts_run *r, const char *text)
{
        const char *file = ts_conf_str(r->cli->conf, "report"), *dir = ts_conf_str(r->cli->conf, "report_dir");
        ts_auto_free char *in_dir = dir && r->report.id && ts_name_valid(r->report.id, 64) ? ts_fmt("%s/%s.json", dir, r->report.id) : NULL;

        if (file)
                write_report(file, text);
        if (in_dir)
                write_report(in_dir, text);
}

static void print_table(const struct ts_run *r, FILE *out)
{
        struct ts_paper p = paper_for(r, out);
        ts_auto_str text = TS_STR_INIT;

        if (ts_report_text(&r->report, p.colour, p.columns == TS_COLUMNS_ENDLESS ? 0 : p.columns, &text, NULL) == 0)
                ts_cli_print(out, "%s", ts_str_cstr(&text));
}

/* check: what preflight found, and a last line that says whether it may move. */
static void print_check(const struct ts_run *r, FILE *out)
{
        struct ts_paper p = paper_for(r, out);
        ts_auto_str text = TS_STR_INIT;
        size_t refusing, warnings;

        ts_findings_count(&r->findings, &refusing, &warnings);
        if (ts_render_findings(&r->findings, &p, &text, NULL) == 0 && r->report.outcome == TS_OUT_CHECKED) {
                (void)ts_str_addf(&text, NULL, "'%s' can move", ts_or(r->report.container_name, ""));
                (void)ts_str_addf(&text, NULL, warnings ? " (%zu warning%s)\n" : "\n", warnings, warnings == 1 ? "" : "s");
        }
        if (r->cli->args.dry_run && r->report.outcome == TS_OUT_CHECKED)
                (void)ts_render_plan(&p, &text, NULL);
        ts_cli_print(out, "%s", ts_str_cstr(&text));
}

static void print_recovered(const struct ts_run *r, FILE *out)
{
        const struct ts_report *rep = &r->report;
        const char *name = ts_or(rep->container_name, "");

        if (rep->outcome == TS_OUT_MOVED || rep->outcome == TS_OUT_LEFTOVERS)
                ts_cli_print(out, "migration %s is finished: the target has '%s'\n", ts_or(rep->id, ""), name);
        else if (rep->outcome == TS_OUT_ROLLED_BACK)
                ts_cli_print(out, "migration %s is rolled back: the source has '%s'\n", ts_or(rep->id, ""), name);
}

static void print_error(const struct ts_report *rep)
{
        const char *phase = rep->error_phase;
        /* What was wrong before the first phase began is not the phase's. */
        bool named = phase && rep->error.code != TS_EUSAGE && strcmp(phase, "recover") != 0;

        if (ts_err_is_set(&rep->error))
                ts_log(TS_LOG_ERROR, "%s%s%s", named ? phase : "", named ? ": " : "", ts_err_message(&rep->error));
}

/* What went wrong, on stderr. table: the phase table, which says the error and its hint too, was printed on stdout. */
static void print_failure(const struct ts_run *r, int status, bool table)
{
        struct ts_paper p = paper_for(r, stderr);
        bool seen = table && r->cli->term.out_tty && r->cli->term.err_tty;
        ts_auto_str text = TS_STR_INIT;
        size_t refusing, warnings;

        ts_findings_count(&r->findings, &refusing, &warnings);
        if (refusing == 0 && r->cli->args.quiet && !r->checking) /* what is lost is said in any case: else while it runs */
                (void)ts_render_findings(&r->findings, &p, &text, NULL);
        if (status == 3 && refusing > 0) {
                ts_log(TS_LOG_ERROR, "'%s' cannot move: %zu problem%s", ts_or(r->report.container_name, ""), refusing,
                       refusing == 1 ? "" : "s");
                if (!r->checking || r->cli->args.json || stdout_is_for_events(r))
                        (void)ts_render_findings(&r->findings, &p, &text, NULL);
                (void)ts_render_ending(&r->report, status, /* hint= */ false, &p, &text, NULL);
        } else if (status != 0) {
                if (!seen)
                        print_error(&r->report);
                (void)ts_render_ending(&r->report, status, /* hint= */ !seen, &p, &text, NULL);
        }
        (void)fputs(ts_str_cstr(&text), stderr);
}

static void print_results(const struct ts_run *r, int status, const char *json)
{
        FILE *out = stdout_is_for_events(r) ? stderr : stdout;
        bool table = !r->cli->args.json && !r->checking && !r->recovering &&
                     status != 2 && status != 3 && r->report.n_phases > 0; /* nothing was tried */

        if (r->cli->args.json)
                ts_cli_print(stdout, "%s", json);
        else if (r->checking)
                print_check(r, out);
        else if (r->recovering)
                print_recovered(r, out);
        if (table && !r->cli->args.quiet && r->cli->term.out_tty && r->cli->term.err_tty)
                (void)fputs("\n", stderr); /* apart from the progress lines above it */
        if (table)
                print_table(r, out);
        ts_cli_sync(); /* before the lines that follow on stderr */
        print_failure(r, status, table);
}

static void clear(struct ts_run *r)
{
        ts_progress_free(TS_TAKE(r->progress));
        (void)ts_events_free(TS_TAKE(r->events));
        ts_findings_clear(&r->findings);
        ts_report_clear(&r->report);
}

int ts_run_end(struct ts_run *r, int status)
{
        ts_auto_free char *json = report_json(r);
        bool looked;
        int lost;

        ts_progress_free(TS_TAKE(r->progress));
        lost = ts_events_free(TS_TAKE(r->events));
        if (lost && (lost != EPIPE || !r->checking)) /* see ts_cli_flush */
                ts_log(TS_LOG_ERROR, "events could not be written: %s", strerror(lost));
        if (!json)
                ts_log(TS_LOG_ERROR, "out of memory for the report");
        else if (r->report.error.code != TS_EUSAGE) /* nothing was tried */
                write_reports(r, json);
        print_results(r, status, ts_or(json, ""));
        looked = r->checking;
        clear(r);
        return looked ? ts_cli_flush(status) : ts_cli_flush_changed(status);
}

int ts_run_fail(struct ts_run *r, const struct ts_err *err)
{
        int status = ts_cli_fail(r->cli, err);

        clear(r);
        return status;
}
