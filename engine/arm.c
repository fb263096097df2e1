/* arm: the last look before the freeze. Is it still the container we examined? No old images may lie where the new ones will come (SAFETY rule 11), and the engine must not start it again by itself
 * (rule 7). */
#include "base/io.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEFORE_FREEZE_MS 60000

int ts_same_generation(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *now = NULL;
        ts_auto_err why = TS_ERR_INIT;

        if (ts_api_inspect(m->src.api, m->c->id, &now, &why) < 0) {
                if (why.code == TS_ENOTFOUND)
                        return ts_err_set(err, TS_ECONFLICT, "container '%s' is not there any more: somebody removed it or moved it away", m->c->name);
                ts_err_move(err, &why);
                return -1;
        }
        if (now->state != TS_STATE_RUNNING) {
                ts_err_set(err, TS_ECONFLICT, "container '%s' is not running any more (%s)%s",
                           m->c->name, ts_state_str(now->state),
                           m->n_rehearsals ? ", after memory was sent ahead" : "");
                /* A dump that lets it run on interrupts its system calls all the same. */
                return m->n_rehearsals ? ts_err_hint(err, "if nobody stopped it: some programs end when a checkpoint "
                                                          "interrupts a system call; start it and move it with "
                                                          "--precopy files, which sends no memory ahead")
                                       : -1;
        }
        if (!ts_streq0(now->name, m->c->name))
                return ts_err_set(err, TS_ECONFLICT, "container '%s' was renamed by somebody else, to '%s'", m->c->name, now->name);
        if (now->pid != m->c->pid || !ts_streq0(now->started_at, m->c->started_at))
                return ts_err_set(err, TS_ECONFLICT, "container '%s' was restarted by somebody else", m->c->name);
        return 0;
}

int ts_rearm(struct ts_mig *m, struct ts_err *err)
{
        return ts_same_generation(m, err) < 0 ? -1 : ts_images_clear(m, err);
}

static int policy_off(struct ts_mig *m, struct ts_err *err)
{
        unsigned n = 0;

        if (!m->c->restart_policy || !*m->c->restart_policy || !strcmp(m->c->restart_policy, "no"))
                return 0;
        m->policy = m->c->restart_max > 0 ? ts_fmt("%s:%lld", m->c->restart_policy, (long long)m->c->restart_max) : ts_strdup0(m->c->restart_policy);
        if (!m->policy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_journal_intent(m->j, TS_RES_POLICY, TS_SIDE_SOURCE, "restart", m->c->id, m->policy, &n, err) < 0 ||
            ts_api_set_restart_policy(m->src.api, m->c->id, "no", 0, err) < 0)
                return -1;
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

/* The user's own preparation, such as closing a database. It is the last thing that happens while everything can still be left as it is. */
static int before_freeze(struct ts_mig *m, struct ts_err *err)
{
        if (!m->before_freeze)
                return 0;
        if (ts_probe_once(m->before_freeze, m->src.address, ts_deadline_in_ms(BEFORE_FREEZE_MS), err) < 0)
                return ts_err_prefix(err, "--before-freeze");
        return ts_stop_signal ? ts_err_set(err, TS_ECANCELED, "stopped by signal %d", (int)ts_stop_signal) : 0;
}

int ts_phase_arm(struct ts_mig *m, struct ts_err *err)
{
        if (ts_mig_decides(m, err) < 0 || ts_same_generation(m, err) < 0 || ts_users_look_again(m, err) < 0 || ts_journal_set_stage(m->j, TS_STAGE_ARMED, NULL, err) < 0)
                return -1;
        if (!m->unburdened) /* by the last rehearsal */
                ts_unburden(m);
        ts_predump_look_again(m); /* the log it goes by is cleared now */
        if (ts_images_clear(m, err) < 0 || policy_off(m, err) < 0)
                return -1;
        ts_log_keep(m);
        if (m->strategy != TS_COLD)
                ts_door_shut(m, &m->dst);
        if (m->strategy == TS_ARCHIVE)
                ts_archive_predial(m, &m->src);
        if (m->strategy == TS_ARCHIVE && (m->o->transfer == TS_TRANSFER_SCP ? ts_open_segments(m, err) : ts_open_import(m, err)) < 0)
                return -1;
        if (before_freeze(m, err) < 0)
                return -1;
        /* One that nobody uses keeps a private service from ending: Go waits five seconds for what may still be said on it */
        if (ts_same_generation(m, err) < 0 || (!m->src.archive && ts_end_predial(&m->src, err) < 0))
                return -1;
        if (m->strategy != TS_ARCHIVE && ts_end_predial(&m->dst, err) < 0)
                return -1;
        if (m->strategy != TS_COLD)
                ts_prober_pause(m->prober); /* until the dump is made (checkpoint.c) */
        return 0;
}
