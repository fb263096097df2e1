/* What is there now? Looks at both sides and translates into the words of decide.h. An HTTP 404 is only "absent" here; what that proves is decided elsewhere. */
#include "base/clock.h"
#include "base/log.h"
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool unreachable(const struct ts_err *err)
{
        return err->code == TS_ECONNECT || err->code == TS_ETIMEOUT || err->code == TS_EAUTH;
}

enum images { IMAGES_COMPLETE, IMAGES_INCOMPLETE, IMAGES_NONE, IMAGES_UNKNOWN /* could not be asked, or still being written */ };

/* Podman, the answer never came: CRIU's own log says how the dump ended. Older ones were removed in arm. */
static enum images podman_images(struct ts_mig *m, const struct ts_container *now, bool there)
{
        ts_auto_free char *log = ts_fmt("%s/dump.log", m->bundle);
        const char *const begun[] = { "test", "-s", ts_or(log, ""), NULL };
        const char *const finished[] = { "grep", "-q", "Dumping finished successfully", ts_or(log, ""), NULL };
        ts_auto_run r1 = { 0 };
        ts_auto_run r2 = { 0 };

        if (there && now->checkpointed)
                return IMAGES_COMPLETE;
        if (ts_host_run(m->src.host, begun, NULL, &r1, NULL) < 0 || r1.status > 1 || ts_host_run(m->src.host, finished, NULL, &r2, NULL) < 0)
                return IMAGES_UNKNOWN;
        if (there && r2.status == 0)
                return IMAGES_COMPLETE;
        return r1.status == 0 ? IMAGES_INCOMPLETE : IMAGES_NONE;
}

/* $1 directory. Exit 0: complete, as far as can be told from outside: nothing in it has changed for three seconds, and what every dump has is there. 1: no such directory. 2: still changing, or
 * not complete. */
static const char settled_script[] = "look() { ls -ln --time-style=full-iso -- \"$1\" 2>/dev/null; }; [ -d \"$1\" ] || exit 1; a=$(look \"$1\"); sleep 3; [ \"$a\" = \"$(look \"$1\")\" ] || exit 2; "
                                     "[ -s \"$1/inventory.img\" ] && [ -s \"$1/pstree.img\" ] && [ -s \"$1/descriptors.json\" ] || exit 2";

/* Docker, the answer never came: the engine shows the container stopped from the moment CRIU killed it, while the images are still on their way into this directory (docs/internals/engines.md). A failed dump has
 * its directory removed. */
static enum images docker_images(struct ts_mig *m, const struct ts_container *now)
{
        ts_auto_free char *dir = ts_fmt("%s/checkpoints/%s", m->bundle, m->checkpoint);
        const char *const argv[] = { "/bin/sh", "-c", settled_script, "sh", ts_or(dir, ""), NULL };
        ts_auto_run r = { 0 };

        if (ts_host_run(m->src.host, argv, NULL, &r, NULL) < 0)
                return IMAGES_UNKNOWN;
        if (r.status == 0)
                return IMAGES_COMPLETE;
        return r.status != 1 ? IMAGES_UNKNOWN : now->exit_code == 128 + 9 ? IMAGES_INCOMPLETE : IMAGES_NONE;
}

/* The dump of this migration: the one the journal describes, or what can be found out of one whose answer never reached the journal. */
static enum images look_at_images(struct ts_mig *m, const struct ts_container *now)
{
        const char *known = ts_json_str(ts_journal_detail(m->j, TS_STAGE_CHECKPOINTED), "inventory", NULL);
        ts_auto_free char *inventory = NULL;
        ts_auto_err err = TS_ERR_INIT;
        bool there = ts_inventory(m, &inventory, &err) == 0;

        if (!there && err.code != TS_ECOMMAND) /* "no such file" is an answer, a broken connection is none */
                return IMAGES_UNKNOWN;
        if (known)
                return there && ts_streq0(known, inventory) ? IMAGES_COMPLETE : IMAGES_INCOMPLETE;
        return ts_keeps_id(m) ? podman_images(m, now, there) : docker_images(m, now);
}

/* Stopped, but not by our dump: it ran again after it. Podman's StartedAt does not change in a restore: but the time of that is told, until the next checkpoint, and the mark "checkpointed" goes. */
bool ts_ran_since(const struct ts_mig *m, const struct ts_container *now)
{
        const struct ts_json *dumped = ts_journal_detail(m->j, TS_STAGE_CHECKPOINTED);
        const char *restored = ts_json_str(ts_journal_head(m->j)->options, "restored_at", NULL);

        if (!ts_streq0(now->started_at, ts_journal_head(m->j)->container_started_at) ||
            (restored && ts_utc_us(now->restored_at) && !ts_streq0(restored, now->restored_at)))
                return true;
        return ts_json_bool(dumped, "checkpointed", false) && !now->checkpointed;
}

static enum ts_source_seen judge_stopped(struct ts_mig *m, const struct ts_container *now)
{
        if (ts_journal_stage(m->j) < TS_STAGE_CHECKPOINT_SENT || ts_ran_since(m, now))
                return TS_SOURCE_STOPPED_ITSELF;
        if (m->strategy == TS_COLD)
                return TS_SOURCE_STOPPED_COMPLETE;
        switch (look_at_images(m, now)) {
        case IMAGES_COMPLETE:
                return TS_SOURCE_STOPPED_COMPLETE;
        case IMAGES_INCOMPLETE:
                return TS_SOURCE_STOPPED_INCOMPLETE;
        case IMAGES_NONE:
                return TS_SOURCE_STOPPED_ITSELF;
        case IMAGES_UNKNOWN:
                break;
        }
        return TS_SOURCE_UNREACHABLE;
}

/* A journal that came from a host does not say where the container lies: its engine does, each time. */
static void take_facts(struct ts_mig *m, struct ts_container **now)
{
        if (!m->adopted)
                return;
        ts_container_free(m->source_now);
        m->source_now = TS_TAKE(*now);
}

static void take_bundle(struct ts_mig *m, const struct ts_container *now)
{
        if (!m->adopted || !now->bundle_dir || now->bundle_dir[0] != '/')
                return;
        free(m->bundle);
        m->bundle = ts_strdup0(now->bundle_dir);
}

int ts_observe_source(struct ts_mig *m, enum ts_source_seen *ret, struct ts_err *err)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto(ts_container) struct ts_container *now = NULL;
        ts_auto_err why = TS_ERR_INIT;

        if (ts_end_reconnect(m, &m->src, &why) < 0 || ts_api_inspect(m->src.api, head->container_id, &now, &why) < 0) {
                if (why.code == TS_ENOTFOUND && m->src.api)
                        *ret = TS_SOURCE_GONE;
                else if (unreachable(&why) || !m->src.api)
                        *ret = TS_SOURCE_UNREACHABLE;
                else {
                        ts_err_move(err, &why);
                        return -1;
                }
                ts_debug("source: %s: %s", ts_source_seen_str(*ret), ts_err_message(&why));
                return 0;
        }
        take_bundle(m, now);
        if (now->state == TS_STATE_RUNNING || now->state == TS_STATE_PAUSED)
                *ret = now->pid == head->container_pid && ts_streq0(now->started_at, head->container_started_at) ? TS_SOURCE_RUNNING : TS_SOURCE_MOVED_ON;
        else if (now->state == TS_STATE_OTHER)
                *ret = TS_SOURCE_UNREACHABLE; /* between two states: look again */
        else
                *ret = judge_stopped(m, now);
        ts_debug("source: %s", ts_source_seen_str(*ret));
        take_facts(m, &now);
        return 0;
}

/* A connection, or a private service, that ended for want of work is opened again once. */
static int inspect_source(struct ts_mig *m, struct ts_container **ret, struct ts_err *err)
{
        const char *id = ts_journal_head(m->j)->container_id;
        ts_auto_err first = TS_ERR_INIT;

        if (m->src.api && ts_api_inspect(m->src.api, id, ret, &first) == 0)
                return 0;
        if (!m->src.api || first.code == TS_ECONNECT)
                return ts_end_reconnect(m, &m->src, err) < 0 ? -1 : ts_api_inspect(m->src.api, id, ret, err);
        if (err)
                ts_err_move(err, &first);
        return -1;
}

int ts_source_still_stopped(struct ts_mig *m, struct ts_err *err)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto(ts_container) struct ts_container *now = NULL;

        if (inspect_source(m, &now, err) < 0)
                return ts_err_prefix(err, "the source, once more");
        if (now->state != TS_STATE_EXITED || ts_ran_since(m, now))
                return ts_err_set(err, TS_ECONFLICT, "somebody started '%s' on the source again", head->container_name);
        return 0;
}

/* An import gives the container the source's ID; otherwise it has the ID its creation told, or, if that answer was lost, our label and the source's name. Before the import was sent a container with
 * the source's ID is not ours: another migration brought it there while we were about to begin. */
static int find_target(struct ts_mig *m, struct ts_container **ret, struct ts_err *err)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto(ts_container) struct ts_container *c = NULL;
        bool ours = false;

        if (ts_keeps_id(m) && (!m->dst_id || (m->strategy == TS_ARCHIVE && ts_journal_stage(m->j) < TS_STAGE_RESTORE_SENT)))
                return ts_err_set(err, TS_ENOTFOUND, "nothing was imported on the target yet");
        if (m->dst_id) {
                if (ts_api_inspect(m->dst.api, m->dst_id, &c, err) < 0 || ts_stub_is_ours(m, c, &ours, err) < 0)
                        return -1;
                if (!ours)
                        return ts_err_set(err, TS_ENOTFOUND, "the container on the target came there by another migration");
                *ret = TS_TAKE(c);
                return 0;
        }
        if (ts_api_inspect(m->dst.api, head->container_name, &c, err) < 0)
                return -1;
        if (!ts_streq0(ts_container_label(c, "tranship.migration"), m->id))
                return ts_err_set(err, TS_ENOTFOUND, "the container '%s' on the target is not ours", head->container_name);
        m->dst_id = ts_strdup0(c->id);
        *ret = TS_TAKE(c);
        return 0;
}

/* ---- for how long the target has run ---- */

#define STUB_MS \
        1000 /* Podman's import says "started" when it makes its record; a start by somebody comes later */

/* By the host's own clock, which the engine's times are from. 0: not known. */
static uint64_t host_now_us(struct ts_mig *m)
{
        const char *const argv[] = { "date", "-u", "+%Y-%m-%dT%H:%M:%SZ", NULL };
        ts_auto_free char *text = NULL;

        return m->dst.host && ts_host_check(m->dst.host, argv, NULL, &text, NULL) == 0
                       ? ts_utc_us(text)
                       : 0;
}

/* When it began to run there. 0: it never did, as far as the engine tells. */
static uint64_t ran_from(const struct ts_mig *m, const struct ts_container *now)
{
        uint64_t restored = ts_utc_us(now->restored_at), started = ts_utc_us(now->started_at),
                 created = ts_utc_us(now->created_at);

        if (restored || now->state == TS_STATE_CREATED)
                return restored;
        return ts_keeps_id(m) && now->restored_at && started < created + STUB_MS * 1000ULL
                       ? 0
                       : started;
}

bool ts_target_worked(const struct ts_mig *m, const struct ts_container *now)
{
        return now->state == TS_STATE_RUNNING || now->state == TS_STATE_PAUSED || ran_from(m, now);
}

/* The move that had it restored takes back what ran for as long as it takes to verify it, since that is what it was told to do. Whoever comes later, or sees it run for longer, does not: what was
 * written there may be nowhere else (SAFETY rule 24). Whatever cannot be told counts as long. */
static bool is_held(struct ts_mig *m, const struct ts_container *now, bool runs)
{
        uint64_t from = ran_from(m, now), ended = ts_utc_us(now->finished_at), until;
        unsigned window_ms = (m->o->verify_timeout_ms ? m->o->verify_timeout_ms : TS_VERIFY_MS) +
                             TS_VERIFY_SLACK_MS;

        if (ts_journal_stage(m->j) < TS_STAGE_RESTORE_SENT)
                return false;
        if (m->recovering)
                return runs || from;
        if (!from)
                return false;
        if (runs && ended) /* stopped and started again */
                return true;
        until = runs ? host_now_us(m) : ended;
        return !until || until + 1000000 < from || until > from + window_ms * 1000ULL;
}

int ts_observe_target(struct ts_mig *m, enum ts_target_seen *ret, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *now = NULL;
        ts_auto_err why = TS_ERR_INIT;
        bool answers = ts_end_reconnect(m, &m->dst, &why) == 0, found = answers && find_target(m, &now, &why) == 0;

        m->target_hangs = answers && !found && why.code == TS_ETIMEOUT;
        if (!found) {
                if (why.code == TS_ENOTFOUND && m->dst.api)
                        *ret = TS_TARGET_ABSENT;
                else if (unreachable(&why) || !m->dst.api)
                        *ret = TS_TARGET_UNREACHABLE;
                else {
                        ts_err_move(err, &why);
                        return -1;
                }
        } else if (now->state == TS_STATE_RUNNING || now->state == TS_STATE_PAUSED) {
                *ret = is_held(m, now, true) ? TS_TARGET_SERVING : TS_TARGET_RUNNING;
        } else if (now->state == TS_STATE_OTHER) {
                *ret = TS_TARGET_UNREACHABLE; /* between two states: look again */
        } else {
                *ret = is_held(m, now, false)           ? TS_TARGET_SERVED
                       : now->state == TS_STATE_CREATED ? TS_TARGET_CREATED
                                                        : TS_TARGET_STOPPED;
        }
        ts_debug("target: %s", ts_target_seen_str(*ret));
        return 0;
}
