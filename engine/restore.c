/* restore: the one moment after which the target may run. `restore-sent` is in the journal, synced, and on a host's copy where there is one, before the trigger leaves our hand: for an import the end of
 * the archive, which we have withheld so far (SAFETY rule 2); in place the request itself. */
#include "base/io.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int journal_sent(struct ts_mig *m, struct ts_err *err)
{
        unsigned n = 0;

        /* In place the lock was looked at while the last bytes were on their way. */
        if ((m->strategy == TS_ARCHIVE && ts_mig_decides(m, err) < 0) || ts_source_still_stopped(m, err) < 0)
                return -1;
        if (m->strategy == TS_ARCHIVE) { /* the import keeps the ID */
                if (ts_journal_intent(m->j, TS_RES_CONTAINER, TS_SIDE_TARGET, m->c->name, m->c->id, "absent", &n, err) < 0)
                        return -1;
                free(m->dst_id);
                m->dst_id = ts_strdup0(m->c->id);
        }
        return ts_stage_everywhere(m, TS_STAGE_RESTORE_SENT, err);
}

/* A refusal is evidence of what the engine did; no answer, or one that cannot be read, is evidence of nothing: the stage stays. */
static int journal_answer(struct ts_mig *m, int rc, bool refused, struct ts_err *err)
{
        if (rc == 0)
                return ts_journal_set_stage(m->j, TS_STAGE_RESTORED, NULL, err);
        if (refused)
                (void)ts_journal_set_stage(m->j, TS_STAGE_RESTORE_FAILED, NULL, NULL);
        return -1;
}

static int finish_call(struct ts_mig *m, struct ts_call *call, struct ts_err *err)
{
        struct ts_call_result result = { 0 };
        bool refused = false;
        int rc = ts_call_finish(call, NULL, NULL, &result, &refused, err);

        ts_door_begin_open(m, &m->dst);
        if (rc == 0) {
                m->r->restore = result.restore;
                if (m->strategy == TS_ARCHIVE && result.id) {
                        free(m->dst_id);
                        m->dst_id = TS_TAKE(result.id);
                }
        }
        ts_call_result_clear(&result);
        m->restore_overdue = rc < 0 && err && err->code == TS_ETIMEOUT;
        return journal_answer(m, rc, refused, err);
}

static int sent(struct ts_err *err)
{
        return ts_fault("restore", "sent", err) < 0 || ts_fault("restore", "gone", err) < 0 ? -1 : 0;
}

static int call_sink(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        return ts_write_all(ts_call_body_fd(ctx), data, len, ts_deadline_in_ms(60000), false, err);
}

static int restore_import(struct ts_mig *m, struct ts_err *err)
{
        struct ts_sink sink = { .write = call_sink, .ctx = m->import };

        if (ts_tar_end(&sink, err) < 0 || ts_call_end_body(m->import, err) < 0 || sent(err) < 0)
                return -1;
        return finish_call(m, m->import, err);
}

struct ts_restore ts_restore_options(const struct ts_mig *m)
{
        return (struct ts_restore){ .name = m->checkpoint, .keep = true, .tcp_established = true, .file_locks = true, .ignore_rootfs = true, .print_stats = true, .timeout_ms = m->o->restore_timeout_ms };
}

/* The user skipped "address-taken": the container gets another address there. */
bool ts_other_address(const struct ts_mig *m)
{
        for (size_t i = 0; i < m->findings->n; i++)
                if (m->findings->v[i].skipped && !strcmp(m->findings->v[i].code, "address-taken"))
                        return true;
        return false;
}

static int restore_in_place(struct ts_mig *m, struct ts_err *err)
{
        struct ts_restore opts = ts_restore_options(m);
        ts_auto(ts_call) struct ts_call *call = NULL;

        opts.ignore_static_ip = opts.ignore_static_mac = ts_other_address(m);
        if (ts_api_restore(m->dst.api, m->dst_id, &opts, &call, err) < 0 || sent(err) < 0)
                return -1;
        return finish_call(m, call, err);
}

static int start_cold(struct ts_mig *m, struct ts_err *err)
{
        int rc = ts_api_start(m->dst.api, m->dst_id, err);
        bool refused = rc < 0 && err && (err->code == TS_EENGINE || err->code == TS_ENOTFOUND || err->code == TS_ECONFLICT);

        return journal_answer(m, rc, refused, err);
}

int ts_phase_restore(struct ts_mig *m, struct ts_err *err)
{
        int rc;

        if (journal_sent(m, err) < 0 || ts_fault("restore", "journalled", err) < 0)
                return -1;
        if (m->strategy == TS_COLD)
                return ts_fault("restore", "sent", err) < 0 ? -1 : start_cold(m, err);
        rc = m->strategy == TS_ARCHIVE ? restore_import(m, err) : restore_in_place(m, err);
        ts_door_end_open(m, &m->dst);
        return rc;
}
