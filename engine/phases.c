/* The order of a migration, and the one runner that times it, tells it, stops it at a signal and injects faults at every boundary.
 * What a phase does is in its own file; what is taken back after a failure is in settle.c and undo.c. */
#include "engine/phases.h"
#include "base/io.h"
#include <stdlib.h>
#include <string.h>

static int preflight(struct ts_mig *m, struct ts_err *err)
{
        if (ts_choose_strategy(m, err) < 0 || ts_phase_preflight(m, err) < 0)
                return -1;
        free(m->bundle);
        m->bundle = ts_strdup0(m->c->bundle_dir);
        m->r->image = ts_strdup0(m->c->image_name);
        m->r->source_id = ts_strdup0(m->c->id);
        if (ts_findings_refuse(m->findings))
                return ts_err_set(err, TS_EREFUSED, "preflight says no");
        if (!m->check_only)
                ts_findings_tell(m);
        return 0;
}

static bool wants_precopy(const struct ts_mig *m)
{
        return m->o->precopy != TS_PRECOPY_NONE && (m->strategy != TS_ARCHIVE || m->n_places);
}

const struct ts_phase ts_phases[] = {
        { "connect", NULL, ts_phase_connect, TS_PHASE_CHECK },
        { "preflight", NULL, preflight, TS_PHASE_CHECK },
        { "prepare", NULL, ts_phase_prepare, 0 },
        { "pre-copy", wants_precopy, ts_phase_precopy, 0 },
        { "arm", NULL, ts_phase_arm, 0 },
        { "checkpoint", NULL, ts_phase_checkpoint, TS_PHASE_FROZEN | TS_PHASE_ATOMIC },
        { "transfer", NULL, ts_phase_transfer, TS_PHASE_FROZEN },
        { "restore", NULL, ts_phase_restore, TS_PHASE_FROZEN | TS_PHASE_ATOMIC },
        { "verify", NULL, ts_phase_verify, TS_PHASE_FROZEN | TS_PHASE_COMMITS },
        { "cleanup", NULL, ts_phase_cleanup, 0 },
        { NULL, NULL, NULL, 0 },
};

const char *ts_phase_name(unsigned i, bool *ret_frozen)
{
        if (i >= TS_ARRAY_LEN(ts_phases) - 1)
                return NULL;
        if (ret_frozen)
                *ret_frozen = ts_phases[i].flags & TS_PHASE_FROZEN;
        return ts_phases[i].name;
}

static struct ts_report_phase *report_phase(struct ts_mig *m, const struct ts_phase *p)
{
        struct ts_report *r = m->r;
        struct ts_report_phase *rp;

        if (r->n_phases == TS_REPORT_MAX_PHASES)
                return NULL;
        rp = &r->phases[r->n_phases++];
        *rp = (struct ts_report_phase){ .name = p->name, .start_us = ts_now_us() - r->t0_us, .frozen = p->flags & TS_PHASE_FROZEN };
        return rp;
}

static int stopped_by_signal(const struct ts_mig *m, struct ts_err *err)
{
        if (!ts_stop_signal || m->committed)
                return 0;
        return ts_err_set(err, TS_ECANCELED, "stopped by SIG%s", ts_or(sigabbrev_np(ts_stop_signal), "?"));
}

static int run_one(struct ts_mig *m, const struct ts_phase *p, struct ts_err *err)
{
        struct ts_report_phase *rp;
        uint64_t bytes;
        int rc;

        m->phase = p->name;
        if (stopped_by_signal(m, err) < 0)
                return -1;
        rp = report_phase(m, p);
        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_PHASE_BEGIN, .frozen = p->flags & TS_PHASE_FROZEN });
        m->phase_bytes = 0;
        rc = ts_fault(p->name, "before", err) < 0 || p->run(m, err) < 0 || ts_fault(p->name, "after", err) < 0 ? -1 : 0;
        bytes = m->phase_bytes;
        if (rp) {
                rp->duration_us = ts_now_us() - m->r->t0_us - rp->start_us;
                rp->bytes = bytes;
        }
        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_PHASE_END,
                                           .ok = rc == 0,
                                           .frozen = p->flags & TS_PHASE_FROZEN,
                                           .duration_us = rp ? rp->duration_us : 0,
                                           .bytes = bytes });
        return rc;
}

int ts_phases_run(struct ts_mig *m, const char *first, bool check_only, struct ts_err *err)
{
        bool on = !first;

        for (const struct ts_phase *p = ts_phases; p->name; p++) {
                on = on || !strcmp(p->name, first);
                if (!on || (check_only && !(p->flags & TS_PHASE_CHECK)) || (p->wanted && !p->wanted(m)))
                        continue;
                if (run_one(m, p, err) < 0)
                        return -1;
                if (p->flags & TS_PHASE_COMMITS)
                        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_COMMIT });
        }
        return 0;
}
