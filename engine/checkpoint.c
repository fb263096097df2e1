/* checkpoint: the engine freezes and dumps the container, and we observe that it is stopped (an HTTP status alone is no evidence: SAFETY rule 1). Downtime begins here.
 * Cold: it is stopped the ordinary way instead. */
#include "base/io.h"
#include "base/log.h"
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOPPED_WITHIN_MS 10000
#define LOOK_EVERY_MS 5
#define DUMP_TRIES 10

/* The dump's first file to exist and last to be written: its size and time identify the dump in the journal. */
static char *inventory_path(const struct ts_mig *m)
{
        return ts_keeps_id(m) ? ts_fmt("%s/checkpoint/inventory.img", m->bundle) : ts_fmt("%s/checkpoints/%s/inventory.img", m->bundle, m->checkpoint);
}

int ts_inventory(struct ts_mig *m, char **ret, struct ts_err *err)
{
        ts_auto_free char *path = inventory_path(m);

        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");

        const char *const argv[] = { "stat", "--format=%s %Y %i", "--", path, NULL };
        return ts_host_check(m->src.host, argv, NULL, ret, err);
}

static int observe_stopped(struct ts_mig *m, bool *ret_marked, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(STOPPED_WITHIN_MS);

        for (;;) {
                ts_auto(ts_container) struct ts_container *now = NULL;

                if (ts_api_inspect(m->src.api, m->c->id, &now, err) < 0)
                        return ts_err_prefix(err, "after the checkpoint");
                if (!ts_streq0(now->started_at, m->c->started_at))
                        return ts_err_set(err, TS_ECONFLICT, "container '%s' was restarted by somebody else during the checkpoint", m->c->name);
                if (now->state == TS_STATE_EXITED) { /* Podman goes on showing the old pid */
                        *ret_marked = now->checkpointed;
                        return 0;
                }
                if (ts_deadline_passed(deadline)) /* it has gone on since the dump: the images are stale */
                        return ts_err_set(err, TS_EENGINE, "the engine said it dumped '%s', but it still runs", m->c->name);
                ts_sleep_ms(LOOK_EVERY_MS);
        }
}

static int journal_stopped(struct ts_mig *m, bool marked, struct ts_err *err)
{
        ts_auto_free char *inventory = NULL;
        struct ts_json *detail = ts_json_object();

        if (m->strategy != TS_COLD && ts_inventory(m, &inventory, err) < 0) {
                ts_json_free(detail);
                return ts_err_prefix(err, "the dump's images");
        }
        (void)ts_json_set_str(detail, "inventory", inventory);
        (void)ts_json_set_bool(detail, "checkpointed", marked);
        return ts_journal_set_stage(m->j, TS_STAGE_CHECKPOINTED, detail, err);
}

bool ts_refused(const struct ts_err *err)
{
        return err && (err->code == TS_EENGINE || err->code == TS_ENOTFOUND || err->code == TS_ECONFLICT);
}

struct ts_checkpoint ts_checkpoint_options(const struct ts_mig *m)
{
        return (struct ts_checkpoint){
                .name = m->checkpoint,
                .export_archive = m->strategy == TS_ARCHIVE,
                .keep = true,
                .with_previous = m->previous,
                .tcp_established = true,
                .file_locks = true,
                .print_stats = m->strategy != TS_ARCHIVE,
                .ignore_rootfs = true, /* ours is complete, the engine's is not: docs/internals/engines.md */
                .timeout_ms = m->o->checkpoint_timeout_ms,
                .dial = m->src.archive,
        };
}

static int dump_once(struct ts_mig *m, unsigned resource, struct ts_err *err)
{
        struct ts_checkpoint opts = ts_checkpoint_options(m);
        struct ts_call_result result = { 0 };

        m->dump_refused = false;
        if (m->strategy == TS_IN_PLACE && !m->o->shared_dir && ts_dump_ship(m, m->engine == TS_PODMAN ? "checkpoint" : m->checkpoint, err) < 0)
                return -1;
        if (ts_api_checkpoint(m->src.api, m->c->id, &opts, &m->dump, err) < 0 || ts_fault("checkpoint", "gone", err) < 0)
                return -1;
        if (ts_call_wait_answer(m->dump, NULL, NULL, err) < 0) {
                m->r->frozen_from_us = ts_call_sent_us(m->dump);
                m->dump_refused = ts_refused(err);
                return -1;
        }
        m->r->frozen_from_us = ts_call_sent_us(m->dump);
        if (m->strategy == TS_ARCHIVE)
                return 0; /* the body is the archive: transfer reads it */
        if (ts_call_finish(m->dump, NULL, NULL, &result, NULL, err) < 0)
                return -1;
        m->r->dump = result.dump;
        ts_call_result_clear(&result);
        m->dump_resource = resource;
        return 0;
}

/* Downtime counts from the try that worked: before it the container ran, but for the moments of the others, which a warning tells. */
static int dump(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *dir = ts_keeps_id(m) ? ts_fmt("%s/checkpoint", m->bundle) : NULL;
        unsigned n = 0;

        if (ts_journal_intent(m->j, TS_RES_CHECKPOINT, TS_SIDE_SOURCE, dir ? dir : m->checkpoint, m->c->id, NULL, &n, err) < 0)
                return -1;
        for (unsigned tries = 1;; tries++) {
                ts_auto_err why = TS_ERR_INIT;

                if (dump_once(m, n, &why) == 0) {
                        if (tries > 1)
                                ts_mig_warn(m, "%u checkpoints were refused because a connection was just being made; the container was frozen for a moment each time", tries - 1);
                        return 0;
                }
                if (!m->dump_refused || tries == DUMP_TRIES || ts_stop_signal || !ts_dump_may_pass_later(m, &why)) {
                        ts_err_move(err, &why);
                        return -1;
                }
                ts_call_free(TS_TAKE(m->dump));
                m->previous = false; /* the refused one has begun the tracking anew */
                m->r->frozen_from_us = 0;
                ts_sleep_ms(20 * tries);
                if (ts_dump_drop(m, err) < 0 || ts_rearm(m, err) < 0)
                        return -1;
        }
}

int ts_phase_checkpoint(struct ts_mig *m, struct ts_err *err)
{
        bool marked = false;

        if (ts_stage_everywhere(m, TS_STAGE_CHECKPOINT_SENT, err) < 0 || ts_fault("checkpoint", "sent", err) < 0)
                return -1;
        ts_places_hurry(m);
        if (m->strategy == TS_COLD) {
                m->r->frozen_from_us = ts_now_us();
                if (ts_api_stop(m->src.api, m->c->id, err) < 0)
                        return -1;
        } else {
                int rc = dump(m, err); /* the probe pauses since arm */

                ts_prober_resume(m->prober);
                if (rc < 0)
                        return -1;
        }
        if (observe_stopped(m, &marked, err) < 0 || ts_fault("checkpoint", "stopped", err) < 0)
                return -1;
        /* The last bytes travel while the journal is written: nobody can restore from them yet. */
        if (m->strategy != TS_ARCHIVE && ts_places_begin(m, /* final= */ true, err) < 0)
                return -1;
        return journal_stopped(m, marked, err);
}
