/* prepare: everything that can be made while the container still serves. Journal, lock, staging, image, networks, volumes, and (where the engine restores into an existing one) the
 * target container, created but not started: no address or port of the source comes up (SAFETY rule 10).
 * Each thing is journalled as an intent before it is made; undo.c takes it back by kind. */
#include "base/io.h"
#include "base/log.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include "engine/self.h"
#include "transfer/own_dir.h"
#include "transfer/relay.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define STALL_MS 120000
#define WARM_SESSIONS 4

static int make_journal(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *dir = m->o->state_dir ? ts_fmt("%s/journal", m->o->state_dir) : NULL;
        ts_auto_free char *state = ts_state_dir();
        struct ts_json *options = ts_mig_options_json(m);
        char host[HOST_NAME_MAX + 1] = "", boot[64] = "", now[32];
        int rc;

        if (!dir)
                dir = ts_fmt("%s/journal", ts_or(state, "/var/lib/tranship"));
        ts_utc_now(now);
        (void)gethostname(host, sizeof(host) - 1);
        ts_self_boot_id(boot, sizeof(boot));
        struct ts_journal_head head = {
                .id = m->id,
                .tool_version = (char *)(uintptr_t)TS_VERSION,
                .started_at = now,
                .host = host,
                .boot_id = boot,
                .pid = getpid(),
                .pid_start = ts_self_start_time(),
                .source = ts_end_uri(&m->src),
                .target = ts_end_uri(&m->dst),
                .container_id = m->c->id,
                .container_name = m->c->name,
                .container_started_at = m->c->started_at,
                .container_pid = m->c->pid,
                .strategy = m->r->strategy,
                .transfer = m->r->transfer,
                .options = options,
        };
        rc = ts_journal_create(dir, &head, &m->j, err);
        free(head.source);
        free(head.target);
        ts_json_free(options);
        return rc;
}

/* "3fa9c1…": who acts is told from whoever acted before for the same migration. */
static int new_token(char buf[TS_TOKEN_SIZE])
{
        unsigned char rnd[(TS_TOKEN_SIZE - 1) / 2];

        if (getrandom(rnd, sizeof(rnd), 0) != sizeof(rnd))
                return -1;
        for (size_t i = 0; i < sizeof(rnd); i++)
                (void)snprintf(buf + 2 * i, 3, "%02x", rnd[i]);
        return 0;
}

int ts_mig_hold(struct ts_mig *m, struct ts_err *err)
{
        struct ts_journal_head mine = *ts_journal_head(m->j); /* but for the process: the one that acts now */
        char host[256] = "?", boot[64];

        (void)gethostname(host, sizeof(host) - 1);
        ts_self_boot_id(boot, sizeof(boot));
        mine.host = host;
        mine.boot_id = boot;
        mine.pid = getpid();
        mine.pid_start = ts_self_start_time();
        if (!m->lock_path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!*m->lock_token && new_token(m->lock_token) < 0)
                return ts_err_set(err, TS_EINTERNAL, "no random numbers");
        if (ts_own_dir(m->src.host, TS_LOCK_DIR, err) < 0 ||
            ts_lock_take(m->src.host, m->lock_path, &mine, m->lock_token, err) < 0)
                return -1;
        m->locked = true;
        return 0;
}

int ts_mig_let_go(struct ts_mig *m, struct ts_err *err)
{
        if (m->locked && ts_lock_release(m->src.host, m->lock_path, m->id, m->lock_token, err) < 0)
                return -1;
        m->locked = false;
        return 0;
}

int ts_mig_lock(struct ts_mig *m, struct ts_err *err)
{
        unsigned n = 0;

        if (!m->lock_path)
                m->lock_path = ts_lock_path(ts_journal_head(m->j)->container_id);
        if (!m->lock_path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!ts_vouched(m, TS_SIDE_SOURCE))
                return ts_err_set(err, TS_ECONFLICT, "the source knows nothing of migration %s: it has neither a copy of its journal nor its lock", m->id);
        if (ts_journal_intent(m->j, TS_RES_LOCK, TS_SIDE_SOURCE, m->lock_path, m->id, NULL, &n, err) < 0 || ts_mig_hold(m, err) < 0)
                return -1;
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

int ts_mig_decides(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;

        if (!m->deposed && !m->locked)
                return m->recovering ? ts_err_set(err, TS_ECONNECT, "the source does not answer, and the container's lock is there") : 0;
        if (!m->deposed && ts_lock_check(m->src.host, m->lock_path, m->id, m->lock_token, &why) == 0)
                return 0;
        if (why.code == TS_ECONNECT && ts_end_reconnect(m, &m->src, NULL) == 0) {
                ts_err_clear(&why);
                if (ts_lock_check(m->src.host, m->lock_path, m->id, m->lock_token, &why) == 0)
                        return 0;
        }
        m->deposed |= why.code == TS_ECONFLICT || why.code == TS_ENOTFOUND;
        if (m->deposed)
                return ts_err_set(err, TS_ECONFLICT, "another process has taken migration %s over", m->id);
        ts_err_move(err, &why);
        return -1;
}

static int make_staging(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        unsigned n = 0;

        e->staging = ts_fmt("%s/%s-%s", ts_mig_staging(m), m->id, ts_side_str(e->side));
        if (!e->staging)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_journal_intent(m->j, TS_RES_STAGING, e->side, e->staging, NULL, NULL, &n, err) < 0)
                return -1;
        if (ts_own_dir(e->host, e->staging, err) < 0)
                return ts_err_prefix(err, "staging directory on '%s'", e->ep->label);
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

/* ---- image ---- */
static int relay_image(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_call) struct ts_call *get = NULL;
        ts_auto(ts_call) struct ts_call *load = NULL;
        const char *const names[] = { m->image->id, NULL }; /* a load takes its names away from other images without a word: they are given afterwards, where they are free */
        bool refused = false;

        if (ts_api_image_get(m->src.api, names, &get, err) < 0 || ts_call_wait_answer(get, NULL, NULL, err) < 0 || ts_api_image_load(m->dst.api, &load, err) < 0)
                return -1;
        m->progress_what = "image";
        m->progress_total = m->image->size_bytes;
        if (ts_relay(ts_call_body_fd(get), ts_call_body_fd(load), UINT64_MAX, STALL_MS, ts_mig_progress, m, &m->r->bytes.image, err) < 0) {
                ts_auto_err engine = TS_ERR_INIT;

                /* A refusal of the target engine closes the body: its own words are better than "broken pipe". */
                if (!ts_stop_signal && ts_call_finish(load, NULL, NULL, NULL, &refused, &engine) < 0 && refused) {
                        ts_err_clear(err);
                        ts_err_move(err, &engine);
                }
                return -1;
        }
        if (ts_call_finish(get, NULL, NULL, NULL, NULL, err) < 0 || ts_call_end_body(load, err) < 0)
                return -1;
        return ts_call_finish(load, NULL, NULL, NULL, NULL, err);
}

static int bring_image(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_image) struct ts_image *there = NULL;
        unsigned n = 0;

        if (m->image_on_target) {
                ts_mig_note(m, "image '%s' is on the target already", ts_or(m->c->image_name, m->c->image_id));
                return 0;
        }
        if (ts_journal_intent(m->j, TS_RES_IMAGE, TS_SIDE_TARGET, ts_or(m->c->image_name, m->c->image_id), m->image->id, "absent", &n, err) < 0)
                return -1;
        if (relay_image(m, err) < 0)
                return ts_err_prefix(err, "image '%s'", ts_or(m->c->image_name, m->c->image_id));
        if (ts_api_image(m->dst.api, m->image->id, &there, err) < 0)
                return ts_err_prefix(err, "image '%s' has another ID after it was loaded on the target", ts_or(m->c->image_name, m->c->image_id));
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

/* A name that the target has keeps what it means there (SAFETY rule 26). */
static int give_name(struct ts_mig *m, const char *name, struct ts_err *err)
{
        ts_auto(ts_image) struct ts_image *there = NULL;
        ts_auto_err look = TS_ERR_INIT;
        unsigned n = 0;

        if (strchr(name, '@') || !strcmp(name, m->image->id) || ts_api_image(m->dst.api, name, &there, &look) == 0)
                return 0;
        if (look.code != TS_ENOTFOUND) {
                ts_err_move(err, &look);
                return -1;
        }
        if (ts_journal_intent(m->j, TS_RES_IMAGE, TS_SIDE_TARGET, name, m->image->id, TS_IMAGE_TAG, &n, err) < 0 || ts_api_image_tag(m->dst.api, m->image->id, name, err) < 0)
                return -1;
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

/* NAME@sha256:…: a digest is of what a registry sends, and no engine takes it for a tag. */
static int find_digest(struct ts_mig *m, const char *name, struct ts_err *err)
{
        ts_auto(ts_image) struct ts_image *there = NULL;
        ts_auto_err look = TS_ERR_INIT;

        if (ts_api_image(m->dst.api, name, &there, &look) == 0)
                return 0;
        if (look.code != TS_ENOTFOUND) {
                ts_err_move(err, &look);
                return -1;
        }
        m->image_by_id = true;
        ts_mig_note(m, "on the target the image is known by its ID: '%s' is a registry's name for it", name);
        return 0;
}

/* The names of an image that was brought; and the one that the import of Podman looks for. */
static int name_image(struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; !m->image_on_target && i < m->image->names.n; i++)
                if (give_name(m, m->image->names.v[i], err) < 0)
                        return -1;
        if (!ts_keeps_id(m) || !m->c->image_name)
                return 0;
        return strchr(m->c->image_name, '@') ? find_digest(m, m->c->image_name, err) : give_name(m, m->c->image_name, err);
}

/* ---- networks ---- */
static int bring_networks(struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; i < m->c->n_networks; i++) {
                const char *name = m->c->networks[i].name;
                ts_auto(ts_network) struct ts_network *here = NULL;
                ts_auto(ts_network) struct ts_network *there = NULL;
                unsigned n = 0;

                if (ts_api_network(m->dst.api, name, &there, NULL) == 0)
                        continue;
                if (ts_api_network(m->src.api, name, &here, err) < 0)
                        return ts_err_prefix(err, "network '%s' on the source", name);
                if (here->builtin)
                        continue;
                if (ts_journal_intent(m->j, TS_RES_NETWORK, TS_SIDE_TARGET, name, NULL, "absent", &n, err) < 0)
                        return -1;
                if (ts_api_network_create_like(m->dst.api, here, m->label, err) < 0)
                        return ts_err_prefix(err, "network '%s' on the target", name);
                if (ts_journal_res_state(m->j, n, TS_RES_MADE, err) < 0)
                        return -1;
                ts_mig_note(m, "network '%s' made on the target", name);
        }
        return 0;
}

/* ---- volumes and bind mounts ---- */
/* $1 data directory, $2 where its present content goes, $3 remembers when. */
static const char set_aside_script[] = "[ -e \"$2\" ] && exit 3; mv -T -- \"$1\" \"$2\" && touch -- \"$3\" && mkdir -m 0755 -- \"$1\" && chown --reference=\"$2\" -- \"$1\" && chmod --reference=\"$2\" -- \"$1\"";

static int replace_volume(struct ts_mig *m, struct ts_data *d, const struct ts_volume *there, struct ts_err *err)
{
        ts_auto_free char *backup = ts_fmt("%s.tranship-%s", there->mountpoint, m->id), *stamp = ts_stamp_path(&m->dst);
        const char *const argv[] = { "/bin/sh", "-c", set_aside_script, "sh", there->mountpoint, ts_or(backup, ""), ts_or(stamp, ""), NULL };
        unsigned n = 0;

        d->dst_path = ts_strdup0(there->mountpoint);
        if (ts_journal_intent(m->j, TS_RES_VOLUME, TS_SIDE_TARGET, there->name, there->mountpoint, backup, &n, err) < 0)
                return -1;
        if (ts_host_check(m->dst.host, argv, NULL, NULL, err) < 0)
                return ts_err_prefix(err, "setting aside what volume '%s' holds on the target", there->name);
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

static int make_volume(struct ts_mig *m, struct ts_data *d, const struct ts_volume *here, struct ts_err *err)
{
        ts_auto(ts_volume) struct ts_volume *made = NULL;
        unsigned n = 0;

        if (ts_journal_intent(m->j, TS_RES_VOLUME, TS_SIDE_TARGET, here->name, NULL, "absent", &n, err) < 0 ||
            ts_api_volume_create_like(m->dst.api, here, m->label, &made, err) < 0)
                return -1;
        d->dst_path = ts_strdup0(made->mountpoint);
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

static int bring_volume(struct ts_mig *m, struct ts_data *d, struct ts_err *err)
{
        ts_auto(ts_volume) struct ts_volume *here = NULL;
        ts_auto(ts_volume) struct ts_volume *there = NULL;

        if (ts_api_volume(m->src.api, d->mount->name, &here, err) < 0)
                return -1;
        free(d->src_path);
        d->src_path = ts_strdup0(here->mountpoint);
        if (ts_api_volume(m->dst.api, d->mount->name, &there, NULL) < 0) {
                if (d->mode == TS_DATA_SHARED)
                        return ts_err_set(err, TS_ENOTFOUND, "it is said to be shared, but the target has no such volume");
                return make_volume(m, d, here, err);
        }
        d->dst_path = ts_strdup0(there->mountpoint);
        if (d->mode == TS_DATA_SHARED)
                return 0;
        if (d->mode != TS_DATA_REPLACE)
                return ts_err_set(err, TS_ECONFLICT, "it exists on the target");
        free(TS_TAKE(d->dst_path));
        return replace_volume(m, d, there, err);
}

/* $1 path. Prints where the file is that it leads to; nothing for a directory. */
static const char file_script[] = "[ ! -f \"$1\" ] || readlink -f -- \"$1\"";
/* $1 path, $2 the directory it is in. */
static const char make_file_script[] = "umask 077; mkdir -p -- \"$2\" && set -C && : >\"$1\"";

static int look_for_file(struct ts_mig *m, struct ts_data *d, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", file_script, "sh", d->src_path, NULL };
        ts_auto_free char *file = NULL;

        if (ts_host_check(m->src.host, argv, NULL, &file, err) < 0)
                return -1;
        if (file && file[0] == '/')
                d->src_file = TS_TAKE(file);
        return 0;
}

/* A copied bind mount goes to the same path: made if it is not there. A file is, too, for an engine would make a directory where there is none. */
static int bring_bind(struct ts_mig *m, struct ts_data *d, struct ts_err *err)
{
        ts_auto_free char *parent = ts_strdup0(d->src_path);
        char *slash = parent ? strrchr(parent, '/') : NULL;
        const char *const test[] = { "/bin/sh", "-c", "[ -e \"$1\" ] || [ -L \"$1\" ]", "sh", d->src_path, NULL };
        const char *const make[] = { "mkdir", "-p", "--", d->src_path, NULL };
        const char *const make_file[] = { "/bin/sh", "-c", make_file_script, "sh", d->src_path, ts_or(parent, ""), NULL };
        ts_auto_run r = { 0 };
        unsigned n = 0;

        d->dst_path = ts_strdup0(d->src_path);
        if (d->mode == TS_DATA_SHARED)
                return 0;
        if (!slash)
                return ts_err_set(err, TS_EPROTO, "it is not an absolute path");
        slash[slash == parent] = '\0';
        if (look_for_file(m, d, err) < 0 || ts_host_run(m->dst.host, test, NULL, &r, err) < 0)
                return -1;
        if (r.status == 0)
                return d->src_file ? ts_err_set(err, TS_ECONFLICT, "it is on the target by now") : 0;
        if (ts_journal_intent(m->j, TS_RES_PATH, TS_SIDE_TARGET, d->dst_path, NULL, "absent", &n, err) < 0 ||
            ts_host_check(m->dst.host, d->src_file ? make_file : make, NULL, NULL, err) < 0)
                return -1;
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

static int bring_data(struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; i < m->n_data; i++) {
                struct ts_data *d = &m->data[i];

                if (d->is_volume ? bring_volume(m, d, err) < 0 : bring_bind(m, d, err) < 0)
                        return ts_err_prefix(err, "%s '%s'", d->is_volume ? "volume" : "bind mount", d->is_volume ? d->mount->name : d->src_path);
        }
        return 0;
}

/* ---- container ---- */
static int podman_spec(struct ts_mig *m, struct ts_json **ret, struct ts_err *err)
{
        const char *const argv[] = { m->o->podman, "generate", "spec", "--compact", m->c->id, NULL };
        ts_auto_free char *text = NULL;

        if (ts_host_check(m->src.host, argv, NULL, &text, err) < 0)
                return ts_err_prefix(err, "the container's specification");
        return ts_json_parse(ts_or(text, ""), strlen(ts_or(text, "")), 0, ret, err);
}

/* "container:ID": the container that it shares a namespace with has another ID on the target, but
 * the same name. */
static int name_other(const struct ts_mig *m, struct ts_json *host_config, const char *key)
{
        const char *mode = ts_json_str(host_config, key, ""),
                   *id = ts_starts(mode, "container:") ? mode + strlen("container:") : NULL;

        for (size_t i = 0; id && i + 1 < m->others.n; i += 2) {
                ts_auto_free char *named = !strcmp(m->others.v[i], id)
                                                   ? ts_fmt("container:%s", m->others.v[i + 1])
                                                   : NULL;

                if (named)
                        return ts_json_set_str(host_config, key, named);
        }
        return 0;
}

static int name_others(const struct ts_mig *m, struct ts_json **ret, struct ts_err *err)
{
        static const char *const modes[] = { "NetworkMode", "IpcMode", "PidMode" };
        ts_auto(ts_json) struct ts_json *copy = ts_json_copy(m->c->json);
        struct ts_json *host_config = copy ? ts_json_member(copy, "HostConfig") : NULL;

        for (size_t i = 0; host_config && i < TS_ARRAY_LEN(modes); i++)
                if (name_other(m, host_config, modes[i]) < 0)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = TS_TAKE(copy);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int make_container(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *spec = NULL;
        ts_auto(ts_json) struct ts_json *like = NULL;
        ts_auto_list warnings = TS_LIST_INIT;
        struct ts_create create = { .name = m->c->name,
                                    .image_ref = m->image->id,
                                    .image_inspect = m->image->json,
                                    .extra_label = m->label,
                                    .free_networks = &m->free_networks };
        unsigned n = 0;

        if (m->strategy == TS_ARCHIVE)
                return 0; /* the import makes it, under the source's ID */
        if (ts_keeps_id(m))
                return ts_make_stub(m, err);
        if (ts_api_kind(m->src.api) == TS_PODMAN && podman_spec(m, &spec, err) < 0)
                return -1;
        if (name_others(m, &like, err) < 0)
                return -1;
        create.inspect = like;
        create.spec = spec;
        if (ts_journal_intent(m->j, TS_RES_CONTAINER, TS_SIDE_TARGET, m->c->name, NULL, "absent", &n, err) < 0)
                return -1;
        if (ts_api_create(m->dst.api, &create, &m->dst_id, &warnings, err) < 0)
                return ts_err_prefix(err, "creating '%s' on the target", m->c->name);
        if (ts_journal_res_id(m->j, n, m->dst_id, err) < 0 || ts_journal_res_state(m->j, n, TS_RES_MADE, err) < 0)
                return -1;
        for (size_t i = 0; i < warnings.n; i++)
                ts_mig_warn(m, "target engine: %s", warnings.v[i]);
        if (ts_api_kind(m->src.api) == TS_DOCKER &&
            ts_api_connect_networks(m->dst.api, m->dst_id, m->c->json, &m->free_networks, err) < 0)
                return ts_err_prefix(err, "networks of '%s' on the target", m->c->name);
        return 0;
}

/* Nothing else was made yet: what is wrong here is a refusal, not a failure (exit 3). */
static int refuse(struct ts_mig *m)
{
        if (ts_mig_let_go(m, NULL) < 0)
                return -1;
        ts_mirrors_remove(m);
        if (ts_journal_res_state(m->j, 0, TS_RES_UNDONE, NULL) < 0 || ts_journal_set_stage(m->j, TS_STAGE_ROLLED_BACK, NULL, NULL) < 0)
                return -1;
        ts_journal_free(TS_TAKE(m->j));
        return 0;
}

/* Somebody else may have the container, or may have had it since preflight looked. */
static int first_lock(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;

        if (ts_mig_lock(m, &why) == 0 && ts_same_generation(m, &why) == 0)
                return 0;
        if (why.code == TS_ECONFLICT)
                (void)refuse(m); /* else it is rolled back like any other */
        ts_err_move(err, &why);
        return -1;
}

int ts_phase_prepare(struct ts_mig *m, struct ts_err *err)
{
        bool podman = ts_api_kind(m->src.api) == TS_PODMAN;

        m->r->prepare_from_us = ts_now_us();
        if (m->probe && ts_prober_start(m->probe, m->src.address, m->dst.address, &m->prober, err) < 0)
                return ts_err_prefix(err, "--probe");
        if (make_journal(m, err) < 0)
                return -1;
        ts_mirrors_start(m); /* before anything else, or a lock could be there that no host explains */
        if (first_lock(m, err) < 0 || ts_fault("prepare", "locked", err) < 0)
                return -1;
        if (make_staging(m, &m->src, err) < 0 || make_staging(m, &m->dst, err) < 0)
                return -1;
        if (podman && (ts_end_start_service(m, &m->src, err) < 0 || ts_end_start_service(m, &m->dst, err) < 0))
                return -1;
        if (bring_image(m, err) < 0 || name_image(m, err) < 0 || bring_data(m, err) < 0 || bring_networks(m, err) < 0 || make_container(m, err) < 0)
                return -1;
        if (ts_images_place(m, err) < 0)
                return -1;
        if ((m->strategy != TS_ARCHIVE && ts_fault("prepare", "places", err) < 0) ||
            ts_places_open(m, err) < 0 || ts_log_place(m, err) < 0)
                return -1;
        if (m->strategy == TS_ARCHIVE)
                ts_archive_prepare(m);
        m->phase_bytes = m->r->bytes.image;
        ts_host_warm(m->src.host, WARM_SESSIONS);
        ts_host_warm(m->dst.host, WARM_SESSIONS + ts_announce_plan(m, m->c) + (m->engine == TS_DOCKER ? 1U : 0U)); /* and the keeper of the log */
        return 0;
}
