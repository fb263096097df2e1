/* Taking back what the journal lists, newest first, one function a kind of resource. Every step is idempotent: recover may come a second time. Also used after the commit for what
 * must not stay (staging, services, lock). */
#include "engine/claims.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include "transfer/own_dir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ts_run_opts ts_slow_run = { .timeout_ms = 600000 };

/* $1: what sha256sum says of our dump's inventory. containerd unpacks every checkpoint it restores into a temporary directory and never removes it: whole memory images. Those of ours have our dump's
 * inventory. Everybody may put something of that name there (a FIFO would be read for ever): only a directory that is root's is looked into, which nobody else can take away or change. */
static const char sweep_script[] = "for d in \"${TMPDIR:-/tmp}\"/ctrd-checkpoint* /run/user/0/ctrd-checkpoint*; do "
                                   "[ -n \"$(find \"$d\" -maxdepth 0 -type d -uid 0 ! -perm /022 2>/dev/null)\" ] && "
                                   "[ -n \"$(find \"$d/inventory.img\" -maxdepth 0 -type f -uid 0 2>/dev/null)\" ] && "
                                   "[ \"$(sha256sum <\"$d/inventory.img\")\" = \"$1\" ] && rm -rf --one-file-system -- \"$d\"; done; exit 0";
static const char digest_script[] = "[ -s \"$1/inventory.img\" ] || exit 1; exec sha256sum <\"$1/inventory.img\"";
static const struct ts_run_opts sweep_run = { .timeout_ms = 60000 };

/* recover has not made the container on the target, and asks where it is. */
static void find_target_bundle(struct ts_mig *m)
{
        ts_auto(ts_container) struct ts_container *there = NULL;

        if (!m->target_bundle && m->dst_id && m->dst.api && ts_api_inspect(m->dst.api, m->dst_id, &there, NULL) == 0)
                m->target_bundle = ts_strdup0(there->bundle_dir);
}

/* NULL: no images of the final dump below that container's directory, or an answer that is none. */
static char *inventory_digest(const struct ts_mig *m, struct ts_end *e, const char *bundle)
{
        ts_auto_free char *dir = ts_fmt("%s/checkpoints/%s", ts_or(bundle, ""), ts_or(m->checkpoint, ""));
        const char *const argv[] = { "/bin/sh", "-c", digest_script, "sh", ts_or(dir, ""), NULL };
        ts_auto_free char *digest = NULL;

        if (!bundle || !m->checkpoint || !e->host ||
            ts_host_check(e->host, argv, &sweep_run, &digest, NULL) < 0)
                return NULL;
        return strspn(digest, "0123456789abcdef") == 64 && !strcmp(digest + 64, "  -")
                       ? TS_TAKE(digest)
                       : NULL;
}

void ts_sweep_containerd(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_free char *digest = NULL;

        if (e->side == TS_SIDE_TARGET) {
                find_target_bundle(m);
                digest = inventory_digest(m, e, m->target_bundle);
        }
        /* Somebody has removed the container on the target, and its images with it: the source has the
         * same. But where the journal came from hosts, one of them has no say in what goes on the other. */
        if (!digest && (e->side == TS_SIDE_SOURCE || !m->adopted))
                digest = inventory_digest(m, &m->src, m->bundle);

        const char *const argv[] = { "/bin/sh", "-c", sweep_script, "sh", ts_or(digest, ""), NULL };

        if (digest && e->host)
                (void)ts_host_check(e->host, argv, &sweep_run, NULL, NULL);
}

static int undo_lock(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        if (ts_lock_release(e->host, r->name, m->id, m->lock_token, err) < 0)
                return -1;
        m->locked = false;
        return 0;
}

/* $1 directory, $2 migration. What leads there was safe when it was made; who recovers may come much
 * later. Agents that were killed leave the sockets that they were reached by. */
static const char remove_script[] = TS_UNSAFE_SH
        "rm -f -- \"/var/lib/tranship/agent/join-$2-\"*; "
        "if unsafe \"${1%/*}\" sticky; then exit 4; fi; rm -rf --one-file-system -- \"$1\"";

/* Only a directory whose name ends in our ID: whatever the journal says, nothing else is removed recursively. */
static int remove_tree(struct ts_mig *m, struct ts_end *e, const char *path, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", remove_script, "sh", path, m->id, NULL };
        ts_auto_free char *said = NULL;
        ts_auto_run r = { 0 };

        if (path[0] != '/' || !strstr(path, m->id) || strstr(path, "/../"))
                return ts_err_set(err, TS_EPROTO, "'%s' does not look like a directory of this migration", path);
        if (ts_host_run(e->host, argv, &ts_slow_run, &r, err) < 0)
                return -1;
        if (r.status == 0)
                return 0;
        said = r.status == 4 ? ts_printable(ts_str_cstr(&r.out), r.out.len, 300) : ts_printable(ts_str_cstr(&r.err), r.err.len, 300);
        return ts_err_set(err, r.status == 4 ? TS_EREFUSED : TS_ECOMMAND, "'%s' cannot be removed%s: %s", path, r.status == 4 ? " safely" : "", ts_or(said, "?"));
}

static int undo_staging(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        return remove_tree(m, e, r->name, err);
}

/* Podman's restore reads `checkpoint` of the container's directory, which is a link into ours for as long as that is there: with it the link goes, or the engine's next checkpoint has nowhere to write to.
 * $1 link, $2 where it leads. */
static const char drop_link_script[] = "[ -L \"$1\" ] && [ \"$(readlink -- \"$1\")\" = \"$2\" ] || exit 0; rm -f -- \"$1\"";

static int undo_dump_dir(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        ts_auto_free char *link = ts_fmt("%s/checkpoint", ts_or(m->bundle, "")), *to = ts_fmt("%s/checkpoint", r->name);
        const char *const argv[] = { "/bin/sh", "-c", drop_link_script, "sh", ts_or(link, ""), ts_or(to, ""), NULL };

        if (!link || !to)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_keeps_id(m) && ts_host_check(e->host, argv, NULL, NULL, err) < 0)
                return -1;
        return remove_tree(m, e, r->name, err);
}

static int undo_service(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        ts_auto_free char *dir = ts_strdup0(r->name);
        char *slash = dir ? strrchr(dir, '/') : NULL;

        if (e->service) { /* our connections first: Podman waits for them when it is to end */
                free(TS_TAKE(e->service));
                ts_api_free(TS_TAKE(e->api));
                e->info = NULL;
        }
        if (slash)
                *slash = '\0';
        if (r->id ? ts_end_stop_service(e, r->name, err) < 0 : slash && ts_end_stop_unknown(e, dir, err) < 0)
                return -1;
        if (ts_end_reconnect(m, e, err) < 0)
                return -1;
        return slash ? remove_tree(m, e, dir, err) : 0;
}

/* Absent is success; *ret NULL. */
static int look_at_image(struct ts_end *e, const char *ref, struct ts_image **ret, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;

        if (ts_api_image(e->api, ref, ret, &why) == 0 || why.code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, &why);
        return -1;
}

/* That somebody uses it by now is no trouble: it stays. */
static int unless_used(int rc, struct ts_err *why, struct ts_err *err)
{
        if (rc == 0 || why->code == TS_ECONFLICT || why->code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, why);
        return -1;
}

/* A name that we gave goes while it means what we gave it to; an image that we brought, while it has no other name. */
static int undo_image(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        ts_auto(ts_image) struct ts_image *there = NULL;
        ts_auto_err why = TS_ERR_INIT;
        bool tag = !r->id || ts_streq0(r->before, TS_IMAGE_TAG);

        (void)m;
        if (look_at_image(e, tag ? r->name : r->id, &there, err) < 0)
                return -1;
        if (!there || (tag && r->id && !ts_streq0(there->id, r->id)) || (!tag && there->names.n))
                return 0;
        return unless_used(tag ? ts_api_image_untag(e->api, r->name, &why) : ts_api_image_remove(e->api, r->id, &why), &why, err);
}

/* Podman's JSON has "labels", Docker's "Labels". */
static bool labelled_ours(const struct ts_mig *m, const struct ts_json *json)
{
        const struct ts_json *labels = ts_json_member(json, "Labels");

        if (!labels)
                labels = ts_json_member(json, "labels");
        return ts_streq0(ts_json_str(ts_json_member(labels, "tranship.migration"), "", NULL), m->id);
}

/* Our container on the target: if it could not be removed, what it uses stays to be taken back. */
static const char *own_there(const struct ts_mig *m)
{
        return m->dst_id ? m->dst_id : ts_keeps_id(m) ? ts_journal_head(m->j)->container_id : NULL;
}

/* It is somebody's by now, for good; a Docker container that was not started yet keeps nobody from removing its network. */
static int left_alone(struct ts_mig *m, const struct ts_end *e, const struct ts_res *r, const char *user)
{
        ts_mig_leftover(m, "%s '%s' on the %s is left alone: container '%s' uses it", ts_res_kind_str(r->kind), r->name, ts_side_str(e->side), user);
        return 0;
}

/* Only what carries our label: between the journal's "absent" and our creating it somebody else may have been faster. */
static int undo_network(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        ts_auto(ts_network) struct ts_network *n = NULL;
        ts_auto_free char *user = NULL;
        ts_auto_err look = TS_ERR_INIT;

        if (ts_api_network(e->api, r->name, &n, &look) < 0) {
                if (look.code == TS_ENOTFOUND)
                        return 0;
                ts_err_move(err, &look);
                return -1;
        }
        if (!labelled_ours(m, n->json))
                return 0;
        user = ts_network_user(e, r->name, own_there(m), err);
        if (user)
                return left_alone(m, e, r, user);
        return err && ts_err_is_set(err) ? -1 : ts_api_network_remove(e->api, r->name, err);
}

static int remove_volume(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        ts_auto(ts_volume) struct ts_volume *v = NULL;
        ts_auto_free char *user = NULL;
        ts_auto_err look = TS_ERR_INIT;

        if (ts_api_volume(e->api, r->name, &v, &look) < 0) {
                if (look.code == TS_ENOTFOUND)
                        return 0;
                ts_err_move(err, &look);
                return -1;
        }
        if (!labelled_ours(m, v->json))
                return 0;
        user = ts_volume_user(e, r->name, own_there(m), err);
        if (user)
                return left_alone(m, e, r, user);
        if (err && ts_err_is_set(err))
                return -1;
        ts_unflag_volume(e, v);
        return ts_api_volume_remove(e->api, r->name, err); /* not while a container uses it */
}

/* What is put back is there: what came in its place goes. */
static int release_replaced(struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        const char *const argv[] = { "test", "-e", r->before, NULL };
        ts_auto_run run = { 0 };

        if (ts_host_run(e->host, argv, NULL, &run, err) < 0)
                return -1;
        if (run.status == 0)
                ts_unflag(e, r->id);
        return 0;
}

/* $1 data directory, $2 what it held before. */
static const char put_back_script[] = "[ -e \"$2\" ] || exit 0; rm -rf --one-file-system -- \"$1\" && mv -T -- \"$2\" \"$1\"";

static int unless_replaced_used(struct ts_mig *m, struct ts_end *e, const struct ts_res *r,
                                struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        ts_auto_free char *user = ts_volume_user(e, r->name, own_there(m), &why);

        if (user)
                return ts_err_set(err, TS_ECONFLICT,
                                  "container '%s' uses it now; what it held is in '%s'", user,
                                  r->before);
        if (!ts_err_is_set(&why))
                return 0;
        ts_err_move(err, &why);
        return -1;
}

static int undo_volume(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        if (!r->before || !strcmp(r->before, "absent"))
                return remove_volume(m, e, r, err);

        const char *const argv[] = { "/bin/sh", "-c", put_back_script, "sh", ts_or(r->id, ""), r->before, NULL };
        if (!r->id || !strstr(r->before, m->id))
                return ts_err_set(err, TS_EPROTO, "volume '%s': the journal does not say where its content was", r->name);
        if (unless_replaced_used(m, e, r, err) < 0 || release_replaced(e, r, err) < 0 ||
            unless_replaced_used(m, e, r, err) < 0) /* that took its time */
                return -1;
        return ts_host_check(e->host, argv, &ts_slow_run, NULL, err);
}

/* What is asked for by its name is removed by its ID, *ret; NULL: nothing of ours is there (any
 * more). */
static int look_at_container(struct ts_mig *m, struct ts_end *e, const char *id, char **ret,
                             struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *c = NULL;
        ts_auto_err look = TS_ERR_INIT;
        bool ours = false;

        if (ts_api_inspect(e->api, id, &c, &look) < 0 || ts_stub_is_ours(m, c, &ours, &look) < 0) {
                if (look.code == TS_ENOTFOUND)
                        return 0;
                ts_err_move(err, &look);
                return -1;
        }
        if (!ours || (!ts_keeps_id(m) && !ts_streq0(ts_container_label(c, "tranship.migration"), m->id)))
                return 0;
        /* Whoever decided that it goes has fenced it, and that removed it: what works here, or did, somebody wants (SAFETY rule 24). */
        if (!ts_target_worked(m, c)) {
                *ret = ts_strdup0(c->id);
                return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        m->target_left = true;
        ts_err_set(err, TS_EREFUSED, "it ran there, and what it wrote may be nowhere else");
        return ts_err_hint(err, "if it is to be lost: remove the container there, then `tranship recover %s`", m->id);
}

static int undo_container(struct ts_mig *m, struct ts_end *e, const struct ts_res *r,
                          struct ts_err *err)
{
        const char *id = ts_or(r->id ? r->id : m->dst_id, r->name);
        ts_auto_free char *seen = NULL, *still = NULL;
        ts_auto(ts_container) struct ts_container *was = NULL;

        /* An import that was not answered makes its record when it comes to it (SAFETY rule 2). */
        if (r->state == TS_RES_INTENT && ts_keeps_id(m) && ts_end_requests(m, e->side, err) < 0)
                return -1;
        if (look_at_container(m, e, id, &seen, err) < 0)
                return -1;
        if (!seen)
                return 0;
        if (ts_api_inspect(e->api, seen, &was, NULL) == 0)
                ts_unflag_container(e, was, ts_slow_run.timeout_ms);
        if (look_at_container(m, e, seen, &still, err) < 0) /* that took its time */
                return -1;
        return still ? ts_api_remove(e->api, still, true, false, err) : 0;
}

static int undo_policy(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        int rc = ts_set_policy(e->api, r->id, r->before, err);

        (void)m;
        if (rc < 0 && err && err->code == TS_ENOTFOUND) {
                ts_err_clear(err);
                return 0; /* the container is gone: nothing to give a policy to */
        }
        return rc;
}

/* Docker's last dump: what may still come of it was seen to before anything is taken back (settle.c), in a way that stays. */
static bool seen_to(const struct ts_mig *m, const struct ts_res *r)
{
        return m->engine == TS_DOCKER && ts_streq0(r->name, m->checkpoint);
}

/* Docker's by the engine; Podman's is a directory of the container's. Only when the source does not need it any more: never when its memory may be all that is left of it. */
static int undo_checkpoint(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        ts_auto_free char *own = ts_fmt("%s/checkpoint", ts_or(m->bundle, "")), *earlier = ts_predump_name(m);
        bool forbidden = false;

        if (r->state == TS_RES_INTENT && !seen_to(m, r) && ts_quiesce_rehearsal(m, r->name, &forbidden, err) < 0)
                return -1;
        if (forbidden) {
                ts_mig_note(m, "an empty checkpoint '%s' stays with the container: a request for it may still be on its way, and is refused so", r->name);
                return 0;
        }
        if (r->name[0] != '/') {
                ts_sweep_containerd(m, e);
                return ts_api_checkpoint_delete(e->api, r->id, r->name, err);
        }
        if (ts_streq0(earlier, r->name)) {
                if (ts_predump_remove(e, m->bundle, err) < 0)
                        return -1;
        } else if (!ts_streq0(own, r->name)) {
                return ts_err_set(err, TS_EPROTO, "'%s' is not the container's checkpoint", r->name);
        }
        return ts_images_remove(e, m->bundle, err);
}

static int undo_rename(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        (void)m;
        return ts_api_rename(e->api, r->id, r->before, err);
}

static int undo_door(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        (void)m;
        return ts_door_remove(e, r->name, err);
}

static int undo_record(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        return ts_streq0(r->name, m->bundle) ? ts_record_remove(e, r->name, err) : ts_err_set(err, TS_EPROTO, "'%s' is not the container's directory", r->name);
}

/* A bind mount's directory that was absent before. */
static int undo_path(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", r->name, NULL };
        const char *const empty_argv[] = { "rmdir", "--ignore-fail-on-non-empty", "--", r->name, NULL };

        (void)m;
        if (r->name[0] != '/' || r->name[1] == '\0' || strstr(r->name, "/../"))
                return ts_err_set(err, TS_EPROTO, "'%s' is not a path to remove", r->name);
        if (r->state == TS_RES_INTENT) { /* somebody else may have made it since */
                (void)ts_host_check(e->host, empty_argv, NULL, NULL, NULL);
                return 0;
        }
        ts_unflag(e, r->name);
        return ts_host_check(e->host, argv, &ts_slow_run, NULL, err);
}

/* $1 link, if it still leads to $2; $3 "": or a checkpoint that must stay forbidden (fence.c), with its mark, in the directory that takes the link's place. */
static const char unlink_script[] = "[ -L \"$1\" ] && [ \"$(readlink -- \"$1\")\" = \"$2\" ] || exit 0; "
                                    "[ -z \"$3\" ] || { mkdir -p -m 0700 -- \"$1.new/$3\" && : >\"$1.new/$3/tranship-none\"; } || exit 1; "
                                    "rm -- \"$1\" && { [ -z \"$3\" ] || mv -T -- \"$1.new\" \"$1\"; }";

int ts_unlink_checkpoints(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        bool forbidden = r->side == TS_SIDE_SOURCE && m->dump_forbidden;
        const char *const argv[] = { "/bin/sh", "-c", unlink_script, "sh", r->name, ts_or(r->id, ""), forbidden ? ts_or(m->checkpoint, "") : "", NULL };

        return ts_host_check(e->host, argv, NULL, NULL, err);
}

static int undo_log(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err)
{
        return ts_log_undo(m, e, r->name, err);
}

static const struct {
        int (*undo)(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err);
        bool stays_after_commit; /* it belongs to the moved container */
        bool needs_api;
} kinds[TS_RES_KIND_MAX] = {
        [TS_RES_LOCK] = { undo_lock, false, false },
        [TS_RES_STAGING] = { undo_staging, false, false },
        [TS_RES_SERVICE] = { undo_service, false, false },
        [TS_RES_IMAGE] = { undo_image, true, true },
        [TS_RES_NETWORK] = { undo_network, true, true },
        [TS_RES_VOLUME] = { undo_volume, true, true },
        [TS_RES_CONTAINER] = { undo_container, true, true },
        [TS_RES_POLICY] = { undo_policy, true, true },
        [TS_RES_CHECKPOINT] = { undo_checkpoint, false, true },
        [TS_RES_RENAME] = { undo_rename, true, true },
        [TS_RES_PATH] = { undo_path, true, false },
        [TS_RES_RECORD] = { undo_record, false, false },
        [TS_RES_DUMP_DIR] = { undo_dump_dir, false, false },
        [TS_RES_LINK] = { ts_unlink_checkpoints, false, false },
        [TS_RES_DOOR] = { undo_door, false, false },
        [TS_RES_LOG] = { undo_log, false, false },
};

/* The container is there, but not by this migration: another one brought it since, and it uses what has the same names. */
static bool came_since(struct ts_mig *m)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        ts_auto(ts_container) struct ts_container *c = NULL;
        bool ours = false;

        if (ts_end_reconnect(m, &m->dst, NULL) < 0 || ts_api_inspect(m->dst.api, ts_keeps_id(m) ? head->container_id : head->container_name, &c, NULL) < 0)
                return false;
        if (ts_keeps_id(m))
                return ts_stub_is_ours(m, c, &ours, NULL) == 0 && !ours;
        return !ts_streq0(ts_container_label(c, "tranship.migration"), m->id);
}

/* What a moved container needs is taken back late only while the source still has it: otherwise another migration may have brought it there since, and this would be the only copy.
 * 1: the source says that it has it no more, or it is seen there by another migration. */
static int in_use(struct ts_mig *m, const struct ts_res *r, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *c = NULL;
        ts_auto_err failed = TS_ERR_INIT;

        if (m->target_left && r->side == TS_SIDE_TARGET && kinds[r->kind].stays_after_commit)
                return ts_err_set(err, TS_EREFUSED, "left alone: the container there may use it");
        if (!m->recovering || r->side != TS_SIDE_TARGET || !kinds[r->kind].stays_after_commit)
                return 0;
        if (came_since(m))
                return 1;
        if (ts_end_reconnect(m, &m->src, &failed) == 0 && ts_api_inspect(m->src.api, ts_journal_head(m->j)->container_id, &c, &failed) == 0)
                return 0;
        if (failed.code == TS_ENOTFOUND && m->src.api)
                return 1;
        /* A code of its own: that the source is silent says nothing about the target. */
        return ts_err_set(err, TS_EREFUSED, "left alone, it may be in use: %s", ts_err_message(&failed));
}

/* ---- journals that came from hosts (claims.h) ---- */

bool ts_vouched(const struct ts_mig *m, enum ts_side side)
{
        return !m->adopted || m->vouched[side];
}

/* What the claim is compared with beside the source's container: asked of the host that it is about. */
static void ask_about(struct ts_mig *m, const struct ts_res *r, struct ts_container **ret_target, struct ts_volume **ret_volume)
{
        if (r->kind == TS_RES_LINK && r->side == TS_SIDE_TARGET && m->dst.api && m->dst_id)
                (void)ts_api_inspect(m->dst.api, m->dst_id, ret_target, NULL);
        if (r->kind == TS_RES_VOLUME && m->dst.api && r->name)
                (void)ts_api_volume(m->dst.api, r->name, ret_volume, NULL);
}

bool ts_volume_was_its(const struct ts_mig *m, const char *name)
{
        return !m->adopted || ts_claim_is_volume(&(struct ts_facts){ .source = m->source_now }, name);
}

const char *ts_undo_refused(struct ts_mig *m, const struct ts_res *r)
{
        ts_auto(ts_container) struct ts_container *target = NULL;
        ts_auto(ts_volume) struct ts_volume *volume = NULL;

        if (!m->adopted)
                return NULL;
        ask_about(m, r, &target, &volume);
        const struct ts_facts f = { .id = m->id,
                                    .container_id = ts_journal_head(m->j)->container_id,
                                    .adopted = true,
                                    .podman = m->engine == TS_PODMAN,
                                    .keeps_id = ts_keeps_id(m),
                                    .archive = m->strategy == TS_ARCHIVE,
                                    .staging = m->o->staging,
                                    .bundle = { m->source_now ? m->source_now->bundle_dir : NULL, target ? target->bundle_dir : NULL },
                                    .source = m->source_now,
                                    .mountpoint = volume ? volume->mountpoint : NULL };

        return ts_claim_refused(&f, r);
}

/* 1: it was left where it is, for good; *ret_refused: because it is none of ours. */
static int undo_one(struct ts_mig *m, const struct ts_res *r, const char **ret_refused, struct ts_err *err)
{
        struct ts_end *e = ts_mig_end(m, r->side);
        int used = in_use(m, r, err);

        if (used != 0)
                return used;
        if (kinds[r->kind].needs_api || !e->host ? ts_end_reconnect(m, e, err) < 0 : false)
                return -1;
        if (!ts_vouched(m, r->side))
                return ts_err_set(err, TS_EREFUSED, "left alone: the %s has no copy of this journal", ts_side_str(r->side));
        *ret_refused = ts_undo_refused(m, r);
        return *ret_refused ? 1 : kinds[r->kind].undo(m, e, r, err);
}

/* LOST: the incomplete images may still be worth something to a person, and a policy would start the container afresh without a word (SAFETY rule 13). */
static bool kept_when_lost(const struct ts_mig *m, const struct ts_res *r)
{
        return m->lost && (r->kind == TS_RES_CHECKPOINT || r->kind == TS_RES_DUMP_DIR || r->kind == TS_RES_LINK || r->kind == TS_RES_POLICY);
}

bool ts_undo_pending(const struct ts_journal *j)
{
        for (size_t i = 0; i < ts_journal_res_count(j); i++) {
                enum ts_res_state state = ts_journal_res(j, i)->state;

                if (state != TS_RES_UNDONE && state != TS_RES_KEPT)
                        return true;
        }
        return false;
}

/* The i-th to take back: newest first, but locks last, also those that a recover took. */
static const struct ts_res *in_order(const struct ts_journal *j, size_t i)
{
        size_t n = ts_journal_res_count(j);
        const struct ts_res *r = ts_journal_res(j, n - 1 - i % n);

        return (r->kind == TS_RES_LOCK) == (i >= n) ? r : NULL;
}

int ts_undo_all(struct ts_mig *m)
{
        int left = 0, left_on_source = 0;
        bool silent[2] = { false, false }; /* by side */

        if (m->recovering && !m->deposed) {
                ts_agents_end(m, &m->src);
                ts_agents_end(m, &m->dst);
        }
        for (size_t i = 0; i < 2 * ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = in_order(m->j, i);
                ts_auto_err err = TS_ERR_INIT;
                const char *refused = NULL;
                int rc = -1;

                if (!r || r->state == TS_RES_UNDONE || r->state == TS_RES_KEPT)
                        continue;
                if (m->deposed || (kinds[r->kind].stays_after_commit && !m->committed && ts_mig_decides(m, NULL) < 0 && m->deposed)) {
                        ts_mig_leftover(m, "the rest is left to the process that has taken migration %s over", m->id);
                        return left + 1;
                }
                if ((m->committed && kinds[r->kind].stays_after_commit) || kept_when_lost(m, r)) {
                        (void)ts_journal_res_state(m->j, r->n, TS_RES_KEPT, NULL);
                        /* With a person's word it goes at once (recover.c). */
                        if (!m->committed && r->kind == TS_RES_DUMP_DIR && !m->memory_may_go)
                                ts_mig_leftover(m, TS_MEMORY_LEFT, r->name);
                        continue;
                }
                if (r->kind == TS_RES_CHECKPOINT && m->dump_forbidden && ts_streq0(r->name, m->checkpoint)) {
                        ts_mig_note(m, "an empty checkpoint '%s' stays with the container: a request for it may still be on its way, and is refused so", r->name);
                        (void)ts_journal_res_state(m->j, r->n, TS_RES_KEPT, NULL);
                        continue;
                }
                if (r->kind == TS_RES_LOCK && left_on_source && !m->committed) { /* nobody may begin with a source that is half taken back */
                        ts_mig_leftover(m, "lock of '%s', kept until the rest is taken back", ts_journal_head(m->j)->container_name);
                        continue;
                }
                if (silent[r->side]) /* asked once, and every time would take a time-out */
                        ts_err_set(&err, TS_ECONNECT, "the %s does not answer", ts_side_str(r->side));
                else
                        rc = undo_one(m, r, &refused, &err);
                if (refused) { /* told, and over: another look would find the same */
                        ts_mig_leftover(m, "%s '%s' on the %s is left alone: a copy of the journal names it, but %s", ts_res_kind_str(r->kind), ts_or(r->name, "?"), ts_side_str(r->side), refused);
                        (void)ts_journal_res_state(m->j, r->n, TS_RES_KEPT, NULL);
                        m->n_kept++;
                        continue;
                }
                m->r->source_not_running |= rc > 0 && !came_since(m);
                if (rc > 0)
                        ts_mig_warn(m, "%s '%s' on the target is left alone, it may be in use by a container that came there since", ts_res_kind_str(r->kind), r->name);
                if (rc >= 0) {
                        (void)ts_journal_res_state(m->j, r->n, rc > 0 ? TS_RES_KEPT : TS_RES_UNDONE, NULL);
                        continue;
                }
                silent[r->side] = err.code == TS_ECONNECT || err.code == TS_ETIMEOUT;
                left++;
                left_on_source += r->side == TS_SIDE_SOURCE;
                ts_mig_leftover(m, "%s '%s' on the %s: %s", ts_res_kind_str(r->kind), r->name, ts_side_str(r->side), ts_err_message(&err));
        }
        return left;
}
