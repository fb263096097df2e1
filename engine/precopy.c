/* pre-copy: everything that can be brought over while the container runs. First the files, in one go; then memory, by rehearsals: checkpoints that leave the container running, whose pages stay on the
 * target as what the last dump is compared with. Their images are deleted on the source as soon as they were sent, and are never complete on the target: nothing can be restored from them (SAFETY rule 11).
 * Where the kernel tells what was written since (predump.c) by pre-dumps instead, which freeze the container for less, and leave less for the last dump to write. Nothing can be restored from one alone.
 * When to stop is decided in rounds.c. */
#include "base/io.h"
#include "engine/mig.h"
#include "engine/rounds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_AGAIN_BYTES ((uint64_t)8 << 20) /* what changed in the files meanwhile is worth a further round */
#define FILES_ROUNDS_MAX 5
#define REFUSED_MAX 5

/* ---- files ---- */

static int send_files(struct ts_mig *m, uint64_t *ret_bytes, struct ts_err *err)
{
        uint64_t before = m->phase_bytes;

        if (ts_places_begin(m, /* final= */ false, err) < 0 || ts_fault("pre-copy", "files", err) < 0 || ts_places_wait(m, err) < 0)
                return -1;
        *ret_bytes = m->phase_bytes - before;
        return 0;
}

static int settle_files(struct ts_mig *m, struct ts_err *err)
{
        uint64_t last = UINT64_MAX;

        for (unsigned i = 0; i < FILES_ROUNDS_MAX; i++) {
                uint64_t bytes = 0;

                if (send_files(m, &bytes, err) < 0)
                        return -1;
                if (bytes < FILES_AGAIN_BYTES || bytes > last / 2)
                        break;
                last = bytes;
        }
        return 0;
}

/* ---- memory ---- */

/* Docker's have a name, Podman's a directory. */
static char *name_dump(struct ts_mig *m)
{
        m->n_rehearsals++;
        if (m->engine == TS_DOCKER)
                return ts_fmt("%s-r%u", m->checkpoint, m->n_rehearsals);
        return m->tracked ? ts_predump_name(m) : ts_fmt("%s/checkpoint", m->bundle);
}

static struct ts_checkpoint options(const struct ts_mig *m, const char *name)
{
        struct ts_checkpoint o = ts_checkpoint_options(m);

        if (m->tracked)
                return (struct ts_checkpoint){ .pre_checkpoint = true, .leave_running = true, .print_stats = true, .timeout_ms = o.timeout_ms };
        o.name = name;
        o.leave_running = true;
        return o;
}

static int make_way(struct ts_mig *m, struct ts_err *err)
{
        return ts_rearm(m, err) < 0 || (m->tracked && ts_predump_clear(m, err) < 0) ? -1 : 0;
}

static int drop_images(struct ts_mig *m, const char *name, unsigned resource, struct ts_err *err)
{
        int rc;

        if (m->engine == TS_DOCKER)
                rc = ts_api_checkpoint_delete(m->src.api, m->c->id, name, err);
        else
                rc = m->tracked ? ts_predump_clear(m, err) : ts_images_clear(m, err);
        return rc < 0 ? ts_err_prefix(err, m->tracked ? "images of a pre-dump" : "images of a rehearsal") : ts_journal_res_state(m->j, resource, TS_RES_UNDONE, err);
}

/* *ret_sent: the engine was asked. */
static int dump(struct ts_mig *m, const char *name, struct ts_round *round, bool *ret_sent, struct ts_err *err)
{
        struct ts_checkpoint opts = options(m, name);
        ts_auto(ts_call) struct ts_call *call = NULL;
        struct ts_call_result result = { 0 };

        *ret_sent = false;
        if (ts_dump_ship(m, m->engine == TS_DOCKER ? name : m->tracked ? TS_PREDUMP : "checkpoint", err) < 0)
                return -1;
        *ret_sent = true;
        if (ts_api_checkpoint(m->src.api, m->c->id, &opts, &call, err) < 0 || ts_fault("pre-copy", "rehearsal", err) < 0)
                return -1;
        if (ts_call_finish(call, NULL, NULL, &result, NULL, err) < 0)
                return ts_err_prefix(err, m->tracked ? "a pre-dump" : "a rehearsal of the checkpoint");
        round->begin_us = ts_call_sent_us(call);
        round->dump_us = ts_now_us() - round->begin_us;
        if (m->tracked)
                ts_predump_remember(m);
        round->write_us = m->tracked && result.dump.valid ? result.dump.memwrite_us : 0;
        ts_report_frozen(m->r, result.dump.valid ? result.dump.frozen_us : round->dump_us);
        ts_call_result_clear(&result);
        return 0;
}

/* The connection broke, and the answer is lost with it: once nothing of this rehearsal can come any more it is as if it had been refused. */
static int outlive(struct ts_mig *m, const char *name, unsigned resource, struct ts_err *err)
{
        bool forbidden = false;

        ts_mig_warn(m, "the answer to a rehearsal was lost: it is given up");
        if (ts_quiesce_rehearsal(m, name, &forbidden, err) < 0)
                return -1;
        if (m->engine == TS_PODMAN && ts_end_start_service(m, &m->src, err) < 0) /* the one before was ended */
                return -1;
        if (ts_same_generation(m, err) < 0 || ts_dump_drop(m, err) < 0)
                return -1;
        if (!forbidden)
                return drop_images(m, name, resource, err);
        ts_mig_note(m, "an empty checkpoint '%s' stays with the container: a request for it may still be on its way, and is refused so", name);
        return ts_journal_res_state(m->j, resource, TS_RES_KEPT, err);
}

/* The engine makes no pre-dump of this container. The ones before are of no use either: it has begun the tracking anew. */
static int rehearse_instead(struct ts_mig *m, struct ts_rounds *rounds, unsigned resource, const struct ts_err *why, struct ts_err *err)
{
        ts_mig_note(m, "rehearsals instead of pre-dumps: %s", ts_err_message(why));
        if (ts_dump_drop(m, err) < 0 || drop_images(m, "", resource, err) < 0)
                return -1;
        m->tracked = rounds->tracked = false;
        return 0;
}

/* 1: the dump was refused for a reason that passes, such as a connection that was just being made. */
static int rehearse(struct ts_mig *m, struct ts_rounds *rounds, struct ts_err *err)
{
        struct ts_round round = { 0 };
        ts_auto_free char *name = name_dump(m);
        uint64_t memory = m->r->bytes.memory;
        ts_auto_err why = TS_ERR_INIT;
        unsigned n = 0;
        bool sent;
        int rc;

        if (!name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (make_way(m, err) < 0 || ts_journal_intent(m->j, TS_RES_CHECKPOINT, TS_SIDE_SOURCE, name, m->c->id, NULL, &n, err) < 0)
                return -1;
        if (!m->tracked) /* a gap by that is shorter than the last dump's, which is as long and followed by a restore; a pre-dump writes while clients are served */
                ts_prober_pause(m->prober);
        rc = dump(m, name, &round, &sent, &why);
        ts_prober_resume(m->prober);
        if ((rc == 0 || ts_refused(&why)) &&
            ts_journal_res_state(m->j, n, TS_RES_MADE, err) < 0) /* answered: nothing of it is still to come */
                return -1;
        if (rc < 0 && m->tracked) /* nothing may go on from the ones before */
                rounds->n = 0;
        if (rc < 0 && m->tracked && ts_refused(&why))
                return rehearse_instead(m, rounds, n, &why, err);
        if (rc < 0 && sent && why.code == TS_ECONNECT && m->o->reconnect_timeout_ms && m->n_places && (m->engine == TS_DOCKER || m->src.service))
                return outlive(m, name, n, err) < 0 ? -1 : 1;
        if (rc < 0) {
                bool passes = ts_dump_may_pass_later(m, &why);

                if (!passes) {
                        ts_explain_failure(m, &why);
                        ts_err_move(err, &why);
                        return -1;
                }
                return ts_dump_drop(m, err) < 0 || drop_images(m, name, n, err) < 0 ? -1 : 1;
        }
        if (ts_places_begin(m, /* final= */ false, err) < 0 || ts_places_wait(m, err) < 0 || (!m->tracked && drop_images(m, name, n, err) < 0))
                return -1;
        round.sent_us = ts_now_us() - round.begin_us;
        ts_unburden(m);
        round.duration_us = ts_now_us() - round.begin_us;
        round.bytes = m->r->bytes.memory - memory;
        rounds->v[rounds->n++] = round;
        return 0;
}

static void tell(struct ts_mig *m, const struct ts_rounds *rounds)
{
        struct ts_forecast f = ts_rounds_forecast(rounds);

        if (!f.known)
                return;
        m->r->predicted_us = f.downtime_us;
        ts_mig_note(m, "predicted downtime %s%.2f s: dump %.2f s, %.1f MB still to send %.2f s, restore %.2f s",
                    rounds->n == 1 ? "at most " : "", (double)f.downtime_us / 1e6, (double)f.dump_us / 1e6, (double)f.bytes / 1e6,
                    (double)f.transfer_us / 1e6, (double)f.restore_us / 1e6);
}

static int refuse(struct ts_mig *m, const struct ts_rounds *rounds, const char *why, struct ts_err *err)
{
        struct ts_forecast f = ts_rounds_forecast(rounds);

        ts_err_set(err, TS_EREFUSED, "the container would be frozen for about %.2f s, --max-downtime allows %.2f s: %s",
                   (double)(rounds->n ? f.downtime_us : f.dump_us) / 1e6, (double)m->o->max_downtime_ms / 1e3, why);
        return ts_err_hint(err, "allow more, or try when the container writes less");
}

static int send_memory(struct ts_mig *m, struct ts_err *err)
{
        struct ts_rounds rounds = { .tracked = m->tracked, .memory_bytes = m->memory_bytes, .max_downtime_us = (uint64_t)m->o->max_downtime_ms * 1000 };
        const char *why = "";
        unsigned refused = 0;

        for (;;) {
                enum ts_round_choice choice = ts_rounds_choose(&rounds, &why);
                int rc;

                if (choice == TS_ROUND_REFUSE)
                        return refuse(m, &rounds, why, err);
                if (choice == TS_ROUND_FREEZE)
                        break;
                rc = rehearse(m, &rounds, err);
                if (rc < 0)
                        return -1;
                if (rc > 0)
                        ts_sleep_ms(20 * (refused + 1));
                if (rc > 0 && ++refused == REFUSED_MAX) {
                        if (rounds.max_downtime_us)
                                return refuse(m, &rounds, "no rehearsal was possible, each time a connection was just being made, or broke", err);
                        ts_mig_warn(m, "rehearsals were given up: each time a connection was just being made, or broke; more memory is sent while "
                                       "the container is frozen");
                        break;
                }
        }
        tell(m, &rounds);
        m->previous = m->tracked && rounds.n > 0;
        return 0;
}

int ts_phase_precopy(struct ts_mig *m, struct ts_err *err)
{
        if (ts_same_generation(m, err) < 0 || settle_files(m, err) < 0)
                return -1;
        return m->strategy != TS_IN_PLACE || m->o->shared_dir || m->o->precopy > TS_PRECOPY_REHEARSAL ? 0 : send_memory(m, err);
}
