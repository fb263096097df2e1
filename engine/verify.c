/* verify: the target is observed running, and the user's own probe answers there. Its success is the commit point. */
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 5

static int observe_running(struct ts_mig *m, ts_deadline deadline, struct ts_err *err)
{
        for (;;) {
                ts_auto(ts_container) struct ts_container *now = NULL;

                if (ts_api_inspect(m->dst.api, m->dst_id, &now, err) < 0)
                        return ts_err_prefix(err, "after the restore");
                if (now->state == TS_STATE_RUNNING && now->pid > 0) {
                        ts_lo_begin(m, now);
                        ts_announce_begin(m, now);
                        return 0;
                }
                if (now->state == TS_STATE_EXITED)
                        return ts_err_set(err, TS_EENGINE, "container '%s' ended on the target with status %lld right after the restore", ts_journal_head(m->j)->container_name, (long long)now->exit_code);
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_EENGINE, "container '%s' is not running on the target (%s)", ts_journal_head(m->j)->container_name, ts_state_str(now->state));
                ts_sleep_ms(LOOK_EVERY_MS);
        }
}

/* *ret_verdict: whether a failure says something about the target. That its engine could not be asked, or that a signal came, says nothing; after a signal the way is forward: the
 * target has worked since the restore, and going back would lose what it did. A probe that could not be run says nothing either; but the move itself was told not to commit what did not answer, and
 * takes back what it has seen for a moment only. */
static int verify(struct ts_mig *m, bool *ret_verdict, struct ts_err *err)
{
        ts_deadline deadline =
                ts_deadline_in_ms(m->o->verify_timeout_ms ? m->o->verify_timeout_ms : TS_VERIFY_MS);
        ts_auto_err why = TS_ERR_INIT;

        *ret_verdict = false;
        if (observe_running(m, deadline, &why) < 0) {
                *ret_verdict = why.code == TS_EENGINE || why.code == TS_ENOTFOUND;
        } else if (!m->verify || ts_probe_until(m->verify, m->dst.address, deadline, &why) == 0) {
                return 0;
        } else {
                *ret_verdict =
                        why.code != TS_ECANCELED && (why.code != TS_EUSAGE || !m->recovering);
                ts_err_prefix(&why, "--verify");
        }
        if (err)
                ts_err_move(err, &why);
        return -1;
}

/* A source that somebody started since the restore wins (SAFETY rule 6); one that cannot be asked was seen stopped before. */
static bool started_meanwhile(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err look = TS_ERR_INIT;

        if (ts_source_still_stopped(m, &look) == 0 || look.code != TS_ECONFLICT)
                return false;
        if (err)
                ts_err_move(err, &look);
        return true;
}

int ts_verify_target(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        uint64_t from = ts_now_us();
        bool verdict = false;

        if (verify(m, &verdict, &why) < 0) {
                m->denied |= verdict;
                if (verdict && ts_journal_stage(m->j) < TS_STAGE_VERIFY_FAILED)
                        (void)ts_journal_set_stage(m->j, TS_STAGE_VERIFY_FAILED, NULL, NULL);
                if (err)
                        ts_err_move(err, &why);
                return -1;
        }
        m->r->running_at_us = ts_now_us();
        m->r->verify_us = m->r->running_at_us - from;
        return started_meanwhile(m, err) ? -1 : ts_commit(m, err);
}

/* From here on nothing goes back. */
int ts_commit(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;

        /* A source that cannot be reached does not keep from it: nobody else takes back a target that runs (decide.c), and its copy of the journal says who recovers. */
        bool answers = ts_mig_decides(m, &why) == 0;

        if (m->deposed || ts_mirrors_taken(m))
                return ts_err_set(err, TS_ECONFLICT, "another process has taken migration %s over",
                                  m->id);
        if (answers)
                ts_mirrors_renew(m);
        if (ts_journal_set_stage(m->j, TS_STAGE_COMMITTED, NULL, err) < 0)
                return -1;
        m->committed = true;
        if (!m->r->running_at_us)
                m->r->running_at_us = ts_now_us();
        return 0;
}

int ts_phase_verify(struct ts_mig *m, struct ts_err *err)
{
        return ts_verify_target(m, err);
}
