/* What happens after a failure, and what `recover` does: look, decide (decide.c), act, until it is over. No rule lives here; waiting and its limits do. */
#include "base/io.h"
#include "base/log.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include "transfer/packed.h"
#include "engine/phases.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FENCE_TIMEOUT_MS 60000
#define RESTORE_TRIES 3
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 2000
#define ROUNDS_MAX 1000 /* a decision that goes in circles is a bug: a person looks */

struct settle {
        struct ts_mig *m;
        ts_deadline deadline;
        unsigned pause_ms;
        unsigned restore_tries;
        char *waiting_for; /* of the last wait; owned */
        bool quiesced; /* a dump that was asked for cannot begin any more */
        struct ts_case
                seen; /* of the last round that saw both sides; without one, both are unreachable */
        struct ts_err *why; /* the failure that led here; what follows may add a hint */
        enum ts_outcome outcome;
        bool over;
};

static void end(struct settle *s, enum ts_outcome outcome)
{
        s->outcome = outcome;
        s->over = true;
}

/* What a person would type on each side, when only a person can say what happened there. */
static char *manual_commands(const struct ts_mig *m)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        const char *target = m->dst_id ? m->dst_id : head->container_name;

        if (m->committed)
                return ts_fmt("what the journal knows: tranship status   ·   then: tranship recover %s", m->id);
        if (ts_keeps_id(m))
                return ts_fmt(
                        "when both sides answer: tranship recover %s   ·   by hand, on the target: "
                        "podman rm -f %s   ·   only when it is gone there, on the source: "
                        "podman container restore --keep --tcp-established --file-locks %s   ·   "
                        "if the target will never run it again: tranship recover %s "
                        "--target-is-dead",
                        m->id, target, head->container_id, m->id);
        return ts_fmt("when both sides answer: tranship recover %s   ·   by hand, on the target: %s rm -f %s   ·   only when it is gone there, on the source: %s start %s%s %s   ·   "
                      "if the target will never run it again: tranship recover %s --target-is-dead",
                      m->id, m->dst.info && m->dst.info->kind == TS_PODMAN ? "podman" : "docker", target, m->src.info && m->src.info->kind == TS_PODMAN ? "podman" : "docker",
                      m->strategy == TS_COLD ? "" : "--checkpoint ", m->strategy == TS_COLD ? "" : m->checkpoint, head->container_id, m->id);
}

static const char *program_of(const struct ts_end *e, enum ts_engine_kind journal)
{
        return (e->info ? e->info->kind : journal) == TS_PODMAN ? "podman" : "docker";
}

/* The target holds what nobody else has: a person chooses. Each of the two ways, followed, leads to the end of the migration. */
static char *choice(const struct ts_mig *m, const struct ts_case *c)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        const char *there = program_of(&m->dst, m->engine),
                   *target = m->dst_id ? m->dst_id : head->container_name;
        bool stopped = c->target == TS_TARGET_SERVED;
        bool both = c->source == TS_SOURCE_RUNNING || c->source == TS_SOURCE_MOVED_ON ||
                    c->source == TS_SOURCE_STOPPED_ITSELF;
        ts_auto_free char *start =
                stopped ? ts_fmt("on the target: %s start %.12s   ·   ", there, target)
                        : ts_strdup0("");
        ts_auto_free char *end = both ? ts_fmt("on the source: %s rm -f %.12s   ·   ",
                                               program_of(&m->src, m->engine), head->container_id)
                                      : ts_strdup0("");

        return ts_fmt("if the target is to have it%s: %s%s%stranship recover %s%s   ·   if the "
                      "source is to have it, and what was written on the target since is to be "
                      "lost: on the target: "
                      "%s rm -f %.12s   ·   then: tranship recover %s",
                      both ? ", and what was written on the source since is to be lost" : "",
                      ts_or(end, ""), ts_or(start, ""), both || stopped ? "then: " : "", m->id,
                      m->denied ? " --on-verify-failure keep" : "", there, target, m->id);
}

/* What it came to, before the failure that led here, if one did (recover has none). */
static void tell(struct settle *s, const char *reason, const char *commands)
{
        if (!ts_err_is_set(s->why))
                ts_err_set(s->why, TS_ECONFLICT, "%s", reason);
        else
                ts_err_prefix(s->why, "%s", reason);
        free(TS_TAKE(s->why->hint)); /* that of the first failure is not what matters now */
        ts_err_hint(s->why, "%s", commands);
}

static void person_with(struct settle *s, const char *reason, const char *commands);

static void person_chooses(struct settle *s, const struct ts_case *c, const char *reason)
{
        ts_auto_free char *commands = choice(s->m, c);

        person_with(s, reason, ts_or(commands, ""));
}

/* A person must look (exit 6): say what is known and the exact next commands. */
static void person(struct settle *s, const char *reason)
{
        ts_auto_free char *commands = manual_commands(s->m);

        person_with(s, reason, ts_or(commands, ""));
}

/* Neither side may run: what is known of each, not only what is not. */
static void tell_seen(struct settle *s)
{
        static const char *const source[TS_SOURCE_MAX] = {
                [TS_SOURCE_UNREACHABLE] = "the source did not answer",
                [TS_SOURCE_RUNNING] = "it runs on the source",
                [TS_SOURCE_MOVED_ON] = "it runs on the source, started there since",
                [TS_SOURCE_STOPPED_COMPLETE] = "on the source it is stopped, as the move left it",
                [TS_SOURCE_STOPPED_INCOMPLETE] =
                        "on the source it is stopped, and its checkpoint is not whole",
                [TS_SOURCE_STOPPED_ITSELF] = "on the source it is stopped, and not by the move",
                [TS_SOURCE_GONE] = "the source has it no more",
        };
        static const char *const target[TS_TARGET_MAX] = {
                [TS_TARGET_UNREACHABLE] = "the target did not answer",
                [TS_TARGET_ABSENT] = "the target does not have it",
                [TS_TARGET_CREATED] = "on the target it never ran",
                [TS_TARGET_RUNNING] = "it runs on the target",
                [TS_TARGET_STOPPED] = "on the target it does not run",
                [TS_TARGET_SERVING] = "it runs on the target, and may have for some time",
                [TS_TARGET_SERVED] = "on the target it ran, and does not any more",
        };

        ts_mig_warn(s->m, "what was seen of '%s' last: %s; %s",
                    ts_journal_head(s->m->j)->container_name, source[s->seen.source],
                    target[s->seen.target]);
}

static void person_with(struct settle *s, const char *reason, const char *commands)
{
        tell_seen(s);
        tell(s, reason, commands);
        end(s, TS_OUT_UNKNOWN);
}

/* Each thing that is waited for gets the whole time. */
static void wait_or(struct settle *s, const char *what)
{
        struct ts_mig *m = s->m;

        if (!ts_streq0(s->waiting_for, what)) {
                free(s->waiting_for);
                s->waiting_for = ts_strdup0(what);
                s->deadline = ts_deadline_in_ms(m->o->fence_timeout_ms ? m->o->fence_timeout_ms : DEFAULT_FENCE_TIMEOUT_MS);
                s->pause_ms = FIRST_PAUSE_MS;
        }
        if (ts_deadline_passed(s->deadline) && m->committed) {
                ts_mig_leftover(m, "%s: tranship recover %s finishes it", what, m->id);
                end(s, TS_OUT_LEFTOVERS);
                return;
        }
        if (ts_deadline_passed(s->deadline)) {
                person(s, what);
                return;
        }
        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_WAITING, .text = what });
        ts_sleep_ms(s->pause_ms);
        s->pause_ms = s->pause_ms * 2 < LONGEST_PAUSE_MS ? s->pause_ms * 2 : LONGEST_PAUSE_MS;
}

/* The decision is made and written down; what could not be taken back now is only tried again by a later recover, never decided anew: the source may have a life of its own by then. */
static void undo(struct settle *s, enum ts_outcome outcome)
{
        struct ts_mig *m = s->m;
        struct ts_json *detail = ts_json_object();
        int left;

        (void)ts_json_set_bool(detail, "lost", outcome == TS_OUT_LOST);
        if (ts_journal_stage(m->j) < TS_STAGE_ROLLED_BACK)
                (void)ts_journal_set_stage(m->j, TS_STAGE_ROLLED_BACK, detail, NULL);
        else
                ts_json_free(detail);
        left = ts_undo_all(m);
        if (left == 0)
                ts_mirrors_remove(m);
        end(s, outcome);
}

/* Restored on the source, it may have ended since: some programs do, whatever brought them back. */
static bool runs_still(struct settle *s)
{
        const struct ts_journal_head *head = ts_journal_head(s->m->j);
        ts_auto(ts_container) struct ts_container *now = NULL;

        if (!s->m->src.api || ts_api_inspect(s->m->src.api, head->container_id, &now, NULL) < 0 ||
            now->state != TS_STATE_EXITED)
                return true;
        ts_mig_warn(s->m, "'%s' does not run any more: back on the source it ended with status %lld",
                    head->container_name, (long long)now->exit_code);
        return false;
}

/* Says so when there is nothing that "runs as before" (SAFETY rule 17). */
static void undo_and_tell(struct settle *s, const struct ts_case *c, const char *why)
{
        bool runs = c->source == TS_SOURCE_RUNNING || c->source == TS_SOURCE_MOVED_ON;

        if (runs && c->stage >= TS_STAGE_CHECKPOINT_SENT)
                ts_drop_source_images(s->m); /* its memory, on a disk */
        undo(s, TS_OUT_ROLLED_BACK);
        if (runs) {
                s->m->r->source_not_running |= !runs_still(s);
                return;
        }
        ts_mig_warn(s->m, "%s", why);
        s->m->r->source_not_running = true;
        if (c->source == TS_SOURCE_GONE)
                s->outcome = TS_OUT_UNKNOWN;
}

/* This process decides no more: another one has taken the migration over, and whatever is done here now is one thing too many (SAFETY rule 25). */
static void stand_back(struct settle *s)
{
        ts_auto_free char *commands =
                ts_fmt("what became of it: look on both hosts   ·   when the other one has ended: "
                       "tranship recover %s closes the journal here",
                       s->m->id);
        ts_auto_free char *reason = ts_fmt(
                "another process has taken migration %s over: nothing more is done by this one",
                s->m->id);

        ts_err_clear(s->why);
        person_with(s, ts_or(reason, "another process has taken the migration over"),
                    ts_or(commands, ""));
}

static void fence(struct settle *s)
{
        struct ts_mig *m = s->m;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_fence_target(m, &err) < 0) {
                if (m->deposed)
                        return;
                ts_debug("fence: %s", ts_err_message(&err));
                wait_or(s, "the target could not be fenced");
                return;
        }
        ts_mirrors_renew(m);
        if (ts_journal_stage(m->j) < TS_STAGE_TARGET_FENCED && ts_journal_set_stage(m->j, TS_STAGE_TARGET_FENCED, NULL, &err) < 0)
                person(s, ts_err_message(&err));
}

static void lose(struct settle *s, const char *reason);

/* It failed each time: a person mends what the engine names, or says that the memory is not needed. */
static void give_up_restoring(struct settle *s)
{
        ts_auto_free char *ways = ts_fmt(
                "when what its engine says is mended on the source: tranship recover %s   ·   if what "
                "was only in its memory may be lost, it starts afresh from its files: tranship recover "
                "%s --cold",
                s->m->id, s->m->id);

        if (s->m->memory_may_go)
                lose(s, "the source could not be restored, and its memory may be lost, as was said");
        else
                person_with(s, "the source could not be restored; its checkpoint is kept",
                            ts_or(ways, ""));
}

static void restore_source(struct settle *s)
{
        struct ts_mig *m = s->m;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_journal_stage(m->j) < TS_STAGE_ROLLBACK_SENT && ts_journal_set_stage(m->j, TS_STAGE_ROLLBACK_SENT, NULL, &err) < 0) {
                person(s, ts_err_message(&err));
                return;
        }
        if (ts_mig_decides(m, &err) < 0) {
                if (!m->deposed)
                        wait_or(s, ts_err_message(&err));
                return;
        }
        if (ts_restore_source(m, &err) == 0)
                return; /* the next look sees it running: undo */
        ts_drop_source_service(m); /* it may hold the published ports of the failed try */
        /* Each try unpacked the whole memory once more; one without an answer may still read it. */
        if (m->engine == TS_DOCKER && m->strategy != TS_COLD && ts_refused(&err))
                ts_sweep_containerd(m, &m->src);
        ts_mig_warn(m, "restoring '%s' on the source: %s", ts_journal_head(m->j)->container_name, ts_err_message(&err));
        if (++s->restore_tries < RESTORE_TRIES)
                wait_or(s, "the source could not be restored yet");
        else
                give_up_restoring(s);
}

static void verify(struct settle *s)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_verify_target(s->m, &err) == 0 || s->m->deposed)
                return;
        ts_mig_warn(s->m, "%s", ts_err_message(&err));
        if (s->m->recovering && err.code == TS_EUSAGE) {
                ts_auto_free char *commands =
                        ts_fmt("tranship recover %s --verify PROBE, with one that can be run here  "
                               " ·   or, if it is enough that the container runs: tranship recover "
                               "%s --verify none",
                               s->m->id, s->m->id);

                person_with(s,
                            "nobody asked the target whether it is alive: it runs, and is left as "
                            "it is",
                            ts_or(commands, ""));
        } else if (!s->m->denied || ts_journal_stage(s->m->j) < TS_STAGE_VERIFY_FAILED) {
                wait_or(s, "the target could not be verified");
        }
}

static void finish(struct settle *s)
{
        struct ts_mig *m = s->m;

        m->committed = true;
        (void)ts_phase_cleanup(m, NULL);
        if (m->deposed)
                return;
        if (m->both_may_run) {
                person(s, "somebody started the source again after the commit: both may run, neither is killed");
                return;
        }
        ts_err_clear(s->why);
        end(s, m->r->leftovers.n ? TS_OUT_LEFTOVERS : TS_OUT_MOVED);
}

/* What touches the container wants its lock. This process may never have had it: a move that found it taken has only its own things to take back. One that begins where another process died takes it again. */
static bool may_act(struct settle *s, enum ts_action a)
{
        struct ts_mig *m = s->m;
        ts_auto_err err = TS_ERR_INIT;

        if (m->locked && a != TS_ACT_WAIT && a != TS_ACT_PERSON && ts_mig_decides(m, NULL) < 0 &&
            m->deposed)
                return false;
        if (!m->recovering || m->locked || (a == TS_ACT_NOTHING && !ts_undo_pending(m->j)) || a == TS_ACT_WAIT || a == TS_ACT_PERSON || ts_end_reconnect(m, &m->src, NULL) < 0)
                return true;
        if (ts_mig_lock(m, &err) == 0)
                return false; /* whoever had it may have acted until now: look again */
        if (err.code == TS_ECONFLICT) {
                ts_err_move(s->why, &err);
                end(s, TS_OUT_REFUSED);
        } else {
                wait_or(s, ts_err_message(&err));
        }
        return false;
}

/* The source runs, but was asked to dump, and the request may still be on its way: first make sure that it is not, then look again. */
static bool dump_may_come(struct settle *s, const struct ts_case *c)
{
        ts_auto_err err = TS_ERR_INIT;

        if (s->quiesced || s->m->dump_refused || c->stage != TS_STAGE_CHECKPOINT_SENT || c->source != TS_SOURCE_RUNNING)
                return false;
        s->quiesced = ts_quiesce_source(s->m, &err) == 0;
        if (s->quiesced)
                ts_debug("source: a dump cannot begin any more");
        else
                wait_or(s, ts_err_message(&err));
        return true;
}

static void lose(struct settle *s, const char *reason)
{
        ts_auto_free char *command = ts_fmt("start it afresh from its files: tranship recover %s --cold", s->m->id);

        s->m->lost = true;
        undo(s, TS_OUT_LOST);
        tell(s, reason, ts_or(command, ""));
}

static void act(struct settle *s, const struct ts_case *c, enum ts_action a, const char *why)
{
        ts_auto_err err = TS_ERR_INIT;

        ts_debug("decided: %s (%s)", ts_action_str(a), why);
        if (!may_act(s, a) || ((a == TS_ACT_UNDO || a == TS_ACT_LOST) && dump_may_come(s, c)))
                return;
        (void)ts_fault("settle", ts_action_str(a), NULL);
        switch (a) {
        case TS_ACT_NOTHING:
                if (c->stage == TS_STAGE_ROLLED_BACK && ts_undo_pending(s->m->j))
                        undo(s, TS_OUT_ROLLED_BACK);
                else
                        end(s, c->stage == TS_STAGE_DONE ? TS_OUT_MOVED : TS_OUT_ROLLED_BACK);
                break;
        case TS_ACT_UNDO:
                undo_and_tell(s, c, why);
                break;
        case TS_ACT_FENCE:
                fence(s);
                break;
        case TS_ACT_RESTORE_SOURCE:
                restore_source(s);
                break;
        case TS_ACT_VERIFY:
                verify(s);
                break;
        case TS_ACT_COMMIT:
                ts_mig_warn(s->m, "kept on the target although it was not verified, as asked");
                if (ts_commit(s->m, &err) < 0 && !s->m->deposed)
                        person(s, ts_err_message(&err));
                break;
        case TS_ACT_FINISH:
                finish(s);
                break;
        case TS_ACT_WAIT:
                wait_or(s, why);
                break;
        case TS_ACT_LOST:
                lose(s, why);
                break;
        case TS_ACT_PERSON:
        case TS_ACT_MAX:
                if ((c->target == TS_TARGET_SERVING || c->target == TS_TARGET_SERVED) &&
                    c->stage < TS_STAGE_TARGET_FENCED)
                        person_chooses(s, c, why);
                else
                        person(s, why);
                break;
        }
        (void)ts_fault("settled", ts_action_str(a), NULL);
}

/* The restore had its time, and the engine, which answers otherwise, says nothing about the container: once, what works at it is ended. Only where that leads somewhere: there is a source to go back
 * to, and nothing that both hosts write. True: look again. */
static bool unstick(struct settle *s, const struct ts_case *c)
{
        ts_auto_err err = TS_ERR_INIT;

        if (!s->m->restore_overdue || !s->m->target_hangs || c->stage != TS_STAGE_RESTORE_SENT || c->source != TS_SOURCE_STOPPED_COMPLETE || c->shared_writable)
                return false;
        s->m->restore_overdue = false;
        if (ts_break_restore(s->m, &err) == 0)
                return true;
        ts_debug("the restore that hangs: %s", ts_err_message(&err));
        return false;
}

enum ts_outcome ts_settle(struct ts_mig *m, struct ts_err *ret_why)
{
        struct settle s = { .m = m, .pause_ms = FIRST_PAUSE_MS, .why = ret_why };
        uint64_t from = ts_now_us();

        ts_stop_hold = 1; /* a rollback is what a signal asks for: it is not stopped by one */
        ts_stop_signal = 0;
        ts_prober_resume(m->prober);
        ts_call_free(TS_TAKE(m->import)); /* a body without its end: the engine discards it */
        ts_call_free(TS_TAKE(m->dump));
        ts_proc_free(TS_TAKE(m->feed));
        ts_archive_hang_up(&m->src);
        ts_archive_hang_up(&m->dst);
        ts_scp_out_free(TS_TAKE(m->scp));
        ts_packer_free(TS_TAKE(m->packer));
        ts_places_close(m);
        for (unsigned round = 0; !s.over; round++) {
                struct ts_case c = { .stage = ts_journal_stage(m->j),
                                     .shared_writable = m->shared_writable,
                                     .keep_on_verify_failure =
                                             m->o->on_verify_failure == TS_VERIFY_KEEP,
                                     .cold = m->strategy == TS_COLD,
                                     .denied = m->denied };
                ts_auto_err err = TS_ERR_INIT;
                const char *why = "";

                if (m->deposed) {
                        stand_back(&s);
                        continue;
                }
                if (round == ROUNDS_MAX) {
                        person(&s, "no decision was reached");
                        continue;
                }
                if (ts_observe_source(m, &c.source, &err) < 0 ||
                    ts_observe_target(m, &c.target, &err) < 0) {
                        wait_or(&s, ts_err_message(&err));
                        continue;
                }
                s.seen = c;
                if ((why = ts_adopted_dispute(m, c.target)))
                        person(&s, why);
                else if (c.target == TS_TARGET_UNREACHABLE && unstick(&s, &c))
                        continue;
                else {
                        enum ts_action a = ts_decide(&c, &why);

                        act(&s, &c, a, why);
                }
        }
        if (m->r->n_rollback < TS_REPORT_MAX_PHASES)
                m->r->rollback[m->r->n_rollback++] =
                        (struct ts_report_phase){ .name = "settle", .start_us = from - m->r->t0_us, .duration_us = ts_now_us() - from };
        free(s.waiting_for);
        return s.outcome;
}
