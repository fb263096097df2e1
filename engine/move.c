/* The entry points: move and check. Sets a migration up, runs the phases, and when one fails settles what was begun. */
#include "engine/move.h"
#include "base/io.h"
#include "engine/lock.h"
#include "engine/phases.h"
#include "engine/sampler.h"
#include "transfer/ship.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* "20261120-161502-3fa9c1": sorts by time, safe as a file name, a label and a Docker checkpoint name. */
static char *new_id(void)
{
        char stamp[32];
        unsigned char rnd[3] = { 0 };
        time_t now = time(NULL);
        struct tm tm;

        if (!gmtime_r(&now, &tm) || getrandom(rnd, sizeof(rnd), 0) != sizeof(rnd) || strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm) == 0)
                return NULL;
        return ts_fmt("%s-%02x%02x%02x", stamp, rnd[0], rnd[1], rnd[2]);
}

static int setup(struct ts_mig *m, struct ts_err *err)
{
        const struct ts_move_opts *o = m->o;
        char now[32];

        m->src.side = TS_SIDE_SOURCE;
        m->dst.side = TS_SIDE_TARGET;
        m->id = new_id();
        if (!m->id)
                return ts_err_set(err, TS_EINTERNAL, "no time or no random numbers");
        m->label = ts_fmt("tranship.migration=%s", m->id);
        m->checkpoint = ts_fmt("tranship-%s", m->id);
        ts_utc_now(now);
        m->r->id = ts_strdup0(m->id);
        m->r->started_at = ts_strdup0(now);
        m->r->container_name = ts_strdup0(o->container);
        if (!m->label || !m->checkpoint)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!o->to)
                return ts_err_set(err, TS_EUSAGE, "where to? --to ENGINE is missing");
        if (o->probe && ts_probe_parse(o->probe, &m->probe, err) < 0)
                return ts_err_prefix(err, "--probe");
        if (o->verify && ts_probe_parse(o->verify, &m->verify, err) < 0)
                return ts_err_prefix(err, "--verify");
        if (o->before_freeze && ts_probe_parse_command(o->before_freeze, &m->before_freeze, err) < 0)
                return ts_err_prefix(err, "--before-freeze");
        if ((o->from ? ts_endpoint_parse(o->from, &m->src.ep, err) : ts_endpoint_default(&m->src.ep, err)) < 0)
                return ts_err_prefix(err, o->from ? "--from" : "no --from");
        if (ts_endpoint_parse(o->to, &m->dst.ep, err) < 0)
                return ts_err_prefix(err, "--to");
        return 0;
}

static char *criu_version(struct ts_end *e)
{
        const char *const argv[] = { "criu", "--version", NULL };
        ts_auto_free char *out = NULL;
        char *version;

        if (ts_host_check(e->host, argv, NULL, &out, NULL) < 0 || !out || !(version = strstr(out, "Version: ")))
                return NULL;
        version += strlen("Version: ");
        version[strcspn(version, "\r\n")] = '\0';
        return ts_strdup0(version);
}

static void report_side(struct ts_end *e, struct ts_report_side *s)
{
        if (!e->info)
                return;
        s->engine = ts_strdup0(ts_engine_kind_str(e->info->kind));
        s->version = ts_strdup0(e->info->version);
        s->runtime = ts_strdup0(e->info->runtime);
        s->kernel = ts_strdup0(e->info->kernel);
        s->host = ts_strdup0(e->info->hostname);
        s->criu = criu_version(e);
}

static void start_sampling(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (!m->o->sample_ms || m->check_only)
                return;
        if (ts_sampler_new(m->o->sample_ms, m->r->t0_us, &m->sampler, &err) < 0)
                ts_mig_warn(m, "no samples: %s", ts_err_message(&err));
        ts_sampling_begin(m, &m->src);
        ts_sampling_begin(m, &m->dst);
}

static void stop_sampling(struct ts_mig *m)
{
        if (!m->sampler)
                return;
        ts_sampling_end(m, &m->src);
        ts_sampling_end(m, &m->dst);
        ts_sampler_give(m->sampler, m->r);
        if (m->r->n_resources == TS_REPORT_MAX_RESOURCES)
                ts_mig_warn(m, "only the first %u samples were kept: a longer --sample reaches further", TS_REPORT_MAX_RESOURCES);
}

int ts_phase_connect(struct ts_mig *m, struct ts_err *err)
{
        if (ts_skips_check(m, err) < 0 || ts_ends_connect(m, err) < 0)
                return -1;
        start_sampling(m); /* first, so that nothing of the move is missed */
        report_side(&m->src, &m->r->source);
        report_side(&m->dst, &m->r->target);
        return 0;
}

/* Everything up to here changed nothing. */
static bool nothing_changed(const struct ts_mig *m)
{
        return !m->j;
}

static enum ts_outcome failed(struct ts_mig *m, struct ts_err *err)
{
        enum ts_outcome out;
        bool refused;

        m->r->error_phase = m->phase;
        if (nothing_changed(m)) {
                ts_err_move(&m->r->error, err);
                return TS_OUT_REFUSED;
        }
        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_ROLLBACK, .text = ts_err_message(err) });
        ts_explain_failure(m, err);
        refused = err->code == TS_EREFUSED && ts_journal_stage(m->j) == TS_STAGE_BEGUN;
        out = ts_settle(m, err);
        if (refused && out == TS_OUT_ROLLED_BACK && m->r->leftovers.n == 0 && !m->r->source_not_running)
                out = TS_OUT_REFUSED; /* everything made for it is gone, and the container never noticed */
        ts_err_move(&m->r->error, err);
        return out;
}

static void finish_report(struct ts_mig *m)
{
        struct ts_report *r = m->r;
        uint64_t s1 = 0, r1 = 0, s2 = 0, r2 = 0;

        r->end_us = ts_now_us();
        stop_sampling(m);
        if (m->prober) {
                r->probed = true;
                ts_prober_stop(TS_TAKE(m->prober), &r->probe);
        }
        ts_end_wire(&m->src, &s1, &r1);
        ts_end_wire(&m->dst, &s2, &r2);
        r->bytes.wire_sent = s1 + s2;
        r->bytes.wire_received = r1 + r2;
        if (m->dst_id && !r->target_id)
                r->target_id = ts_strdup0(m->dst_id);
}

/* --dry-run: what a move would do beyond the check. */
static void tell_phases(struct ts_mig *m)
{
        ts_auto_str text = TS_STR_INIT;

        for (const struct ts_phase *p = ts_phases; p->name; p++)
                if (!(p->flags & TS_PHASE_CHECK) && (!p->wanted || p->wanted(m)))
                        (void)ts_str_addf(&text, NULL, "%s%s%s", text.len ? " → " : "", p->name, p->flags & TS_PHASE_FROZEN ? " (frozen)" : "");
        ts_mig_note(m, "a move would go on with: %s", ts_str_cstr(&text));
}

static void remove_agents(struct ts_mig *m)
{
        struct ts_host *hosts[] = { m->src.host, m->dst.host };

        ts_places_close(m);
        ts_archive_hang_up(&m->src);
        ts_archive_hang_up(&m->dst);
        ts_proc_free(TS_TAKE(m->log_keeper));
        for (size_t i = 0; i < TS_ARRAY_LEN(hosts); i++) {
                ts_auto_err err = TS_ERR_INIT;

                int rc = hosts[i] ? ts_agent_uninstall(hosts[i], &err) : 0;

                if (rc < 0)
                        ts_mig_warn(m, "the agent's program on '%s': %s", ts_host_name(hosts[i]), ts_err_message(&err));
                else if (rc > 0)
                        ts_mig_warn(m, "the agent's program stays on '%s': another migration uses it there", ts_host_name(hosts[i]));
        }
}

/* *ret_archive: the engines cannot do it in place, and nothing was said about how. */
static int run(const struct ts_move_opts *o, struct ts_report *report, struct ts_findings *findings, bool check_only, bool *ret_archive)
{
        struct ts_mig m = { .o = o, .r = report, .findings = findings, .check_only = check_only, .marked = true, .phase = "connect" };
        ts_auto_err err = TS_ERR_INIT;
        int status;

        report->t0_us = ts_now_us();
        if (setup(&m, &err) < 0) {
                ts_err_move(&report->error, &err);
                report->error_phase = m.phase;
                report->outcome = TS_OUT_REFUSED;
        } else {
                ts_mig_emit(&m, &(struct ts_event){ .kind = TS_EV_BEGIN, .text = o->container });
                if (ts_phases_run(&m, NULL, check_only, &err) < 0)
                        report->outcome = failed(&m, &err);
                else
                        report->outcome = check_only ? TS_OUT_CHECKED : report->leftovers.n ? TS_OUT_LEFTOVERS : TS_OUT_MOVED;
                if (o->dry_run && report->outcome == TS_OUT_CHECKED)
                        tell_phases(&m);
                *ret_archive = m.cannot_in_place && report->outcome == TS_OUT_REFUSED && ts_streq0(ts_or(o->strategy, "auto"), "auto") && !o->max_downtime_ms && !o->bandwidth && !o->shared_dir;
                if (*ret_archive)
                        ts_mig_note(&m, "strategy archive: %s", ts_err_message(&report->error));
                if (o->remove_agent && !check_only)
                        remove_agents(&m);
                finish_report(&m);
                ts_mig_emit(&m, &(struct ts_event){ .kind = TS_EV_END, .text = ts_outcome_str(report->outcome), .ok = !ts_err_is_set(&report->error) });
        }
        status = ts_outcome_exit_status(report->outcome, &report->error);
        ts_mig_clear(&m);
        return status;
}

int ts_move(const struct ts_move_opts *o, struct ts_report *report, struct ts_findings *findings)
{
        struct ts_move_opts archive = *o;
        bool again = false;
        int status = run(o, report, findings, o->dry_run, &again);

        if (!again)
                ts_journals_tidy(o->state_dir);
        if (!again || ts_stop_signal || ts_stop_held)
                return status;
        ts_stop_hold = 0; /* of the way back from the first one */
        archive.strategy = "archive";
        ts_report_clear(report);
        ts_report_init(report);
        ts_findings_clear(findings);
        return run(&archive, report, findings, o->dry_run, &again);
}

int ts_check(const struct ts_move_opts *o, struct ts_report *report, struct ts_findings *findings)
{
        bool again = false;

        return run(o, report, findings, true, &again);
}
