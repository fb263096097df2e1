/* cleanup: after the commit. The policy on the target first; then the source's checkpoint, then its container if its generation is still ours, then the volumes only it used (SAFETY rule 18); staging and
 * services last. Trouble here is a leftover (exit 5), never a failure of the move. */
#include "base/log.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITE_OUT_MS 600000
#define UNBURDEN_MS 60000 /* with a disk that is slow */

static void policy_on_target(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (m->policy && ts_set_policy(m->dst.api, m->dst_id, m->policy, &err) < 0)
                ts_mig_leftover(m, "restart policy '%s' of the moved container: %s", m->policy, ts_err_message(&err));
}

/* Is the source still exactly what we stopped? Otherwise somebody uses it: nothing of it is touched. */
static int source_is_ours(struct ts_mig *m, bool *ret_gone, struct ts_err *err)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto(ts_container) struct ts_container *now = NULL;
        ts_auto_err stamp = TS_ERR_INIT;
        ts_auto_err look = TS_ERR_INIT;

        *ret_gone = false;
        if (ts_api_inspect(m->src.api, head->container_id, &now, &look) < 0) {
                *ret_gone = look.code == TS_ENOTFOUND;
                if (*ret_gone)
                        return 0;
                ts_err_move(err, &look);
                return -1;
        }
        m->both_may_run = now->state == TS_STATE_RUNNING || now->state == TS_STATE_PAUSED;
        if (m->both_may_run || ts_ran_since(m, now))
                return ts_err_set(err, TS_ECONFLICT, "somebody started it again");
        if (!m->o->keep_source && ts_source_stamp(m, now, &stamp) < 0)
                ts_debug("source: %s", ts_err_message(&stamp)); /* its volumes are kept then */
        return 0;
}

void ts_drop_source_images(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_keeps_id(m) && ts_images_remove(&m->src, m->bundle, &err) < 0)
                ts_mig_leftover(m, "checkpoint of the source in '%s': %s", m->bundle, ts_err_message(&err));
}

static void keep_source(struct ts_mig *m)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto_free char *name = ts_fmt("%s" TS_KEPT_MARK "%s", head->container_name, m->id);
        ts_auto_err err = TS_ERR_INIT;

        ts_auto(ts_container) struct ts_container *now = NULL;

        if (ts_api_inspect(m->src.api, head->container_id, &now, NULL) == 0 && ts_streq0(now->name, name))
                return; /* an earlier clean-up came that far */
        if (ts_api_rename(m->src.api, head->container_id, name, &err) < 0)
                ts_mig_leftover(m, "renaming the source's container to '%s': %s", name, ts_err_message(&err));
        else
                ts_mig_note(m, "the source's container is kept as '%s', stopped, restart policy 'no'", name);
}

/* A leftover that is somebody's data: no later recover would decide otherwise. */
static void keep_for_good(struct ts_mig *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void keep_for_good(struct ts_mig *m, const char *fmt, ...)
{
        char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        if (vasprintf(&text, fmt, ap) < 0)
                text = NULL;
        va_end(ap);
        ts_mig_leftover(m, "%s", ts_or(text, "something"));
        free(text);
        m->n_kept++;
}

static int remove_volume(struct ts_mig *m, const char *name, struct ts_err *err)
{
        ts_auto(ts_volume) struct ts_volume *v = NULL;

        if (ts_api_volume(m->src.api, name, &v, NULL) == 0)
                ts_unflag_volume(&m->src, v);
        return ts_api_volume_remove(m->src.api, name, err);
}

/* An earlier clean-up that was broken off came that far. */
static bool is_gone(struct ts_mig *m, const char *volume)
{
        ts_auto(ts_volume) struct ts_volume *v = NULL;
        ts_auto_err err = TS_ERR_INIT;

        return ts_api_volume(m->src.api, volume, &v, &err) < 0 && err.code == TS_ENOTFOUND;
}

static void remove_volumes(struct ts_mig *m)
{
        const struct ts_json *names = ts_json_get(ts_journal_head(m->j)->options, "source_volumes");

        for (size_t i = 0; i < ts_json_len(names); i++) {
                const char *name = ts_json_str(ts_json_at(names, i), "", "");
                ts_auto_free char *use = NULL;
                ts_auto_err err = TS_ERR_INIT;

                if (is_gone(m, name))
                        continue;
                if (!ts_volume_was_its(m, name))
                        keep_for_good(m, "volume '%s' on the source is left alone: a copy of the journal names it, but it was not the container's, as far as its engine says", name);
                else if (ts_source_volume_in_use(m, name, &use, &err) == 0 && use)
                        keep_for_good(m, "volume '%s' on the source is kept: %s", name, use);
                else if (ts_err_is_set(&err) || remove_volume(m, name, &err) < 0)
                        ts_mig_leftover(m, "volume '%s' on the source: %s", name, ts_err_message(&err));
        }
}

/* To take attributes off a large tree takes its time, in which somebody may have started it. */
static int remove_source(struct ts_mig *m, struct ts_err *err)
{
        const char *id = ts_journal_head(m->j)->container_id;
        ts_auto(ts_container) struct ts_container *was = NULL;
        bool gone = false;

        if (ts_api_inspect(m->src.api, id, &was, NULL) == 0)
                ts_unflag_container(&m->src, was, ts_slow_run.timeout_ms);
        if (ts_fault("cleanup", "unflagged", err) < 0 || ts_mig_decides(m, err) < 0 ||
            source_is_ours(m, &gone, err) < 0)
                return -1;
        if (!gone && ts_api_remove(m->src.api, id, false, false, err) < 0)
                return -1;
        (void)ts_fault("cleanup", "removed", NULL);
        return 0;
}

static void source_away(struct ts_mig *m)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto_err err = TS_ERR_INIT;
        bool gone = false;

        if (!ts_vouched(m, TS_SIDE_SOURCE)) {
                ts_mig_leftover(m, "container '%s' on the source is left as it is: the source has no copy of this journal", head->container_name);
                return;
        }
        if (ts_end_reconnect(m, &m->src, &err) < 0 || ts_mig_decides(m, &err) < 0 || source_is_ours(m, &gone, &err) < 0) {
                ts_mig_leftover(m, "container '%s' on the source is left as it is: %s", head->container_name, ts_err_message(&err));
                return;
        }
        ts_log_recall(m); /* while the source's engine knows whose it is */
        if (gone) {       /* a clean-up that was broken off after the container */
                if (!m->o->keep_source) {
                        remove_volumes(m);
                        if (m->log_to) /* by now it may be another container's */
                                ts_mig_warn(m, "the log '%s' stays on the source", m->log_to);
                }
                return;
        }
        ts_drop_source_images(m);
        if (m->o->keep_source) {
                keep_source(m);
                ts_forget_connections(m);
                return;
        }
        if (remove_source(m, &err) < 0) {
                ts_mig_leftover(m, "container '%s' on the source: %s", head->container_name, ts_err_message(&err));
                (void)source_is_ours(m, &gone, NULL); /* a refusal may be that it runs again */
        } else {
                remove_volumes(m);
                ts_log_forget(m);
        }
        ts_forget_connections(m);
}

/* Podman keeps what it was given to restore from, the container's memory, in its directory (SAFETY rule 21). */
static void drop_imported_images(struct ts_mig *m)
{
        ts_auto(ts_container) struct ts_container *there = NULL;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_api_inspect(m->dst.api, m->dst_id, &there, &err) < 0 || ts_images_remove(&m->dst, ts_or(there->bundle_dir, ""), &err) < 0 ||
            (ts_predump_was_made(m) && ts_predump_remove(&m->dst, ts_or(there->bundle_dir, ""), &err) < 0))
                ts_mig_leftover(m, "checkpoint of the moved container on the target: %s", ts_err_message(&err));
}

/* Docker's images under the moved container: restored once, never again. */
static void drop_target_images(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (ts_keeps_id(m))
                drop_imported_images(m);
        if (!ts_keeps_id(m) && m->strategy != TS_COLD)
                ts_sweep_containerd(m, &m->dst);
        if (!ts_keeps_id(m) && m->strategy != TS_COLD && ts_api_checkpoint_delete(m->dst.api, m->dst_id, m->checkpoint, &err) < 0)
                ts_mig_leftover(m, "checkpoint '%s' on the target: %s", m->checkpoint, ts_err_message(&err));
}

static int remove_backup(struct ts_mig *m, const char *path, struct ts_err *err)
{
        const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", path, NULL };

        ts_unflag(&m->dst, path);
        if (ts_mig_decides(m, err) < 0)
                return -1;
        return ts_host_check(m->dst.host, argv, &ts_slow_run, NULL, err);
}

/* What a replaced volume held before goes only now. */
static void drop_backups(struct ts_mig *m)
{
        for (size_t i = 0; i < ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = ts_journal_res(m->j, i);
                ts_auto_free char *use = NULL;
                ts_auto_err err = TS_ERR_INIT;

                if (r->kind != TS_RES_VOLUME || r->state == TS_RES_KEPT || !r->before || !strcmp(r->before, "absent") || !strstr(r->before, m->id) || !ts_vouched(m, r->side) || ts_undo_refused(m, r))
                        continue;
                if (ts_aside_in_use(m, r->before, &use, &err) == 0 && use)
                        keep_for_good(m, "former content of volume '%s' is kept in '%s': %s", r->name, r->before, use);
                else if (ts_err_is_set(&err) || remove_backup(m, r->before, &err) < 0)
                        ts_mig_leftover(m, "former content of volume '%s' in '%s': %s", r->name, r->before, ts_err_message(&err));
        }
}

/* The kernel writes out a file system when an overlay on it is unmounted, as the engine does at the end of a checkpoint: what waits by then would be waited for with the container frozen. Only faster:
 * without it the dump is as good. */
void ts_unburden(struct ts_mig *m)
{
        (void)ts_write_out(m, &m->src, UNBURDEN_MS, NULL);
        m->unburdened = true;
}

/* Writes out everything of the container on that host, so that a loss of power takes nothing of it. */
int ts_write_out(struct ts_mig *m, struct ts_end *e, unsigned timeout_ms, struct ts_err *err)
{
        const struct ts_run_opts opts = { .timeout_ms = timeout_ms };
        ts_auto_list argv = TS_LIST_INIT;

        if (ts_list_add(&argv, "sync", err) < 0)
                return -1;
        if (m->recovering) /* where the data lies is not known any more: everything */
                return ts_host_check(e->host, (const char *const *)argv.v, &opts, NULL, err);
        if (ts_list_add(&argv, "-f", err) < 0 || ts_list_add(&argv, "--", err) < 0)
                return -1;
        for (size_t i = 0; i < m->n_data; i++) {
                const char *path = e->side == TS_SIDE_SOURCE ? m->data[i].src_path : m->data[i].dst_path;

                if (path && !m->data[i].special && ts_list_add(&argv, path, err) < 0)
                        return -1;
        }
        if (ts_list_add(&argv, e->info && e->info->graph_root ? e->info->graph_root : "/", err) < 0)
                return -1;
        return ts_host_check(e->host, (const char *const *)argv.v, &opts, NULL, err);
}

/* Some programs end when CRIU resumes them, with whatever status: the first process of a container
 * that asked for a signal at its parent's end gets it when the restore's own processes end. */
static void say_if_ended(struct ts_mig *m)
{
        ts_auto(ts_container) struct ts_container *now = NULL;

        if (m->dst_id && ts_api_inspect(m->dst.api, m->dst_id, &now, NULL) == 0 &&
            now->state == TS_STATE_EXITED)
                ts_mig_warn(m,
                            "'%s' does not run any more: after the move it ended on the target "
                            "with status %lld; a program that does so each time moves with --cold",
                            ts_or(now->name, m->dst_id), (long long)now->exit_code);
}

/* A volume goes with its container; what is outside of the engine's storage is not ours to remove.
 */
static void say_what_stays(struct ts_mig *m)
{
        for (size_t i = 0; i < m->n_data; i++)
                if (!m->data[i].is_volume && m->data[i].mode == TS_DATA_COPY && !m->data[i].special)
                        ts_mig_warn(
                                m,
                                "'%s' was copied and stays on the source, too: it is no volume, so "
                                "it is yours to remove there",
                                m->data[i].src_path);
}

int ts_phase_cleanup(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err reach = TS_ERR_INIT;

        if (ts_mig_decides(m, NULL) < 0 && m->deposed)
                return ts_err_set(err, TS_ECONFLICT, "another process has taken migration %s over", m->id);
        if (ts_end_reconnect(m, &m->dst, &reach) < 0) {
                /* Nothing of the source goes before the target was seen to have it, and its policy (SAFETY rules 12, 18). */
                ts_mig_leftover(m, "the target does not answer any more: %s; tranship recover %s finishes the move", ts_err_message(&reach), m->id);
                return 0;
        }
        policy_on_target(m);
        ts_lo_end(m);
        ts_announce_end(m);
        ts_sysctls_put_back(m);
        drop_target_images(m);
        if (ts_write_out(m, &m->dst, WRITE_OUT_MS, &reach) < 0) {
                /* The last good copy goes last (SAFETY rule 12). */
                ts_mig_leftover(m, "container '%s' on the source is kept: the target's disks may not have everything yet: %s", ts_journal_head(m->j)->container_name, ts_err_message(&reach));
        } else {
                drop_backups(m);
                source_away(m);
        }
        if (!m->deposed && ts_undo_all(m) == 0 && m->r->leftovers.n == m->n_kept) {
                (void)ts_journal_set_stage(m->j, TS_STAGE_DONE, NULL, NULL);
                ts_mirrors_remove(m);
        }
        if (m->deposed)
                return ts_err_set(err, TS_ECONFLICT, "another process has taken migration %s over", m->id);
        say_if_ended(m);
        if (!m->o->keep_source && !m->both_may_run)
                say_what_stays(m);
        /* The only other failure here: a person has to choose one of the two (SAFETY rule 6). */
        return m->both_may_run ? ts_err_set(err, TS_ECONFLICT, "somebody started '%s' on the source again after the move was committed", ts_journal_head(m->j)->container_name) : 0;
}
