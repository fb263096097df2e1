/* Podman in place: the container on the target, with the source's ID, that a restore accepts although it was never started there. A "stub import": an archive that holds only what the container is, not its
 * memory; libpod makes the container and then refuses for want of images, before anything of a network, a mount or a port. The method, its sources and its traps: docs/internals/in-place.md.
 *
 * It rests on two refusals of the engine. Both must be exactly the expected ones, and what they leave is looked at: any other engine is refused here, while the source still runs untouched. */
#include "base/io.h"
#include "engine/mig.h"
#include "transfer/archive.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX_BYTES ((size_t)16 << 20)
#define CALL_TIMEOUT_MS 60000
#define NO_PREVIOUS "/" TS_PREDUMP ": no such file or directory"
#define NO_IMAGES "a complete checkpoint for this container cannot be found"

/* Not as expected: the engine is another one than those this was made for. */
static int unlike(struct ts_mig *m, const char *what, const struct ts_err *answer, const char *instead, struct ts_err *err)
{
        m->cannot_in_place = true;
        ts_err_set(err, TS_EREFUSED, "%s: %s", what, ts_err_is_set(answer) ? ts_err_message(answer) : instead);
        return ts_err_hint(err, "move it with --strategy archive");
}

/* ---- what the container is ---- */

/* The engine's own record of the container. It writes it down before it looks for the images of an earlier checkpoint, which are not there: nothing is frozen, and the call fails after milliseconds. */
static int let_record_be_written(struct ts_mig *m, struct ts_err *err)
{
        struct ts_checkpoint opts = { .export_archive = true, .with_previous = true, .leave_running = true, .timeout_ms = CALL_TIMEOUT_MS };
        ts_auto_free char *previous = ts_predump_name(m);
        const char *const argv[] = { "test", "-e", ts_or(previous, ""), NULL };
        ts_auto_run there = { 0 };
        ts_auto(ts_call) struct ts_call *call = NULL;
        ts_auto_err answer = TS_ERR_INIT;

        if (ts_host_run(m->src.host, argv, NULL, &there, err) < 0)
                return -1;
        if (there.status == 0) {
                m->cannot_in_place = true;
                ts_err_set(err, TS_EREFUSED, "somebody made an earlier checkpoint of '%s', in '%s'", m->c->name, previous);
                return ts_err_hint(err, "remove it if nobody needs it, or move with --strategy archive");
        }
        if (ts_api_checkpoint(m->src.api, m->c->id, &opts, &call, err) < 0)
                return -1;
        if (ts_call_wait_answer(call, NULL, NULL, &answer) < 0 && answer.code == TS_EENGINE && strstr(ts_err_message(&answer), NO_PREVIOUS))
                return 0;
        if (answer.code == TS_ECONNECT || answer.code == TS_ETIMEOUT) {
                ts_err_move(err, &answer);
                return -1;
        }
        return unlike(m, "this version of Podman does not give the container's record as expected", &answer, "it checkpointed", err);
}

static int read_json(struct ts_end *e, const char *dir, const char *name, struct ts_json **ret, struct ts_err *err)
{
        const struct ts_run_opts opts = { .max_output = FILE_MAX_BYTES };
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        const char *const argv[] = { "cat", "--", ts_or(path, ""), NULL };
        ts_auto_run r = { 0 };

        if (ts_host_run(e->host, argv, &opts, &r, err) < 0)
                return -1;
        if (r.status != 0)
                return ts_err_set(err, TS_EENGINE, "'%s' cannot be read on the %s", path, ts_side_str(e->side));
        return ts_json_parse(ts_str_cstr(&r.out), r.out.len, FILE_MAX_BYTES, ret, err) < 0
                       ? ts_err_prefix(err, "'%s' on the %s", path, ts_side_str(e->side))
                       : 0;
}

/* It holds the environment, which may be secret: it is there for moments, and journalled. */
static int read_record(struct ts_mig *m, struct ts_json **ret, struct ts_err *err)
{
        ts_auto_err undo = TS_ERR_INIT;
        unsigned n = 0;
        int rc;

        if (ts_journal_intent(m->j, TS_RES_RECORD, TS_SIDE_SOURCE, m->bundle, NULL, NULL, &n, err) < 0)
                return -1;
        rc = let_record_be_written(m, err) < 0 || read_json(&m->src, m->bundle, "config.dump", ret, err) < 0 ? -1 : 0;
        if (ts_record_remove(&m->src, m->bundle, rc < 0 ? &undo : err) < 0)
                return -1;
        return rc < 0 ? -1 : ts_journal_res_state(m->j, n, TS_RES_UNDONE, err);
}

int ts_record_remove(struct ts_end *e, const char *bundle, struct ts_err *err)
{
        ts_auto_free char *config = ts_fmt("%s/config.dump", bundle), *spec = ts_fmt("%s/spec.dump", bundle);
        const char *const argv[] = { "rm", "-f", "--", ts_or(config, ""), ts_or(spec, ""), NULL };

        return config && spec ? ts_host_check(e->host, argv, NULL, NULL, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- what it shall be there ---- */

static bool adds_itself(const char *alias, const struct ts_json *record)
{
        const char *id = ts_json_str(record, "id", "");

        return ts_streq0(alias, ts_json_str(record, "spec.hostname", NULL)) || (strlen(alias) == 12 && !strncmp(alias, id, 12));
}

/* The import adds the container's own names to those that it finds. */
static int clean_aliases(struct ts_json *record, struct ts_err *err)
{
        struct ts_json *networks = ts_json_member(record, "newNetworks"), *use;
        const char *name;
        void *it = NULL;

        while ((it = ts_json_each(networks, it, &name, &use))) {
                const struct ts_json *old = ts_json_member(use, "aliases");
                struct ts_json *kept;

                if (!ts_json_is_array(old))
                        continue;
                kept = ts_json_array();
                for (size_t i = 0; i < ts_json_len(old); i++) {
                        const char *alias = ts_json_str(ts_json_at(old, i), "", "");

                        if (!adds_itself(alias, record))
                                (void)ts_json_append(kept, ts_json_new_str(alias));
                }
                if (ts_json_set(use, "aliases", kept) < 0)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

/* --cgroups split, as Quadlet asks for: below the group of whoever starts it. */
static bool splits_groups(const struct ts_mig *m)
{
        return strstr(ts_json_str(m->c->json, "State.CgroupPath", ""), "/libpod-payload-") != NULL;
}

bool ts_record_changes(const struct ts_mig *m)
{
        return m->image_by_id || splits_groups(m);
}

/* Where Podman itself manages the control groups, it writes a parent into the record of such a
 * container, too, and refuses to take it back. */
int ts_record_change(const struct ts_mig *m, struct ts_json *record, struct ts_err *err)
{
        if (splits_groups(m))
                (void)ts_json_del(record, "cgroupParent");
        if (!m->image_by_id)
                return 0;
        return ts_json_set_str(record, "rootfsImageName", m->image->id) < 0
                       ? ts_err_set(err, TS_ENOMEM, "out of memory")
                       : 0;
}

/* Its policy comes after the commit: a boot of the target must not start it. */
static int edit_record(struct ts_mig *m, struct ts_json *record, struct ts_err *err)
{
        if (!ts_streq0(ts_json_str(record, "id", NULL), m->c->id))
                return ts_err_set(err, TS_EPROTO, "the record on the source is of another container");
        if (ts_json_member(record, "restart_policy") && ts_json_set_str(record, "restart_policy", "no") < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_record_change(m, record, err) < 0 ? -1 : clean_aliases(record, err);
}

/* ---- making it ---- */

static int call_write(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        return ts_write_all(ts_call_body_fd(ctx), data, len, ts_deadline_in_ms(CALL_TIMEOUT_MS), false, err);
}

/* spec.dump is what the container was asked to be, not what the source made of it: a later stop and start on the target begins from there. */
static int send_stub(struct ts_call *call, const struct ts_json *record, struct ts_err *err)
{
        ts_auto_free char *config = ts_json_text(record, false), *spec = ts_json_text(ts_json_member(record, "spec"), false);
        struct ts_sink sink = { .write = call_write, .ctx = call };

        if (!config || !spec)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_tar_file(&sink, "config.dump", 0600, config, strlen(config), err) < 0 ||
                               ts_tar_file(&sink, "spec.dump", 0600, spec, strlen(spec), err) < 0 || ts_tar_end(&sink, err) < 0 ||
                               ts_call_end_body(call, err) < 0
                       ? -1
                       : 0;
}

static int import_stub(struct ts_mig *m, const struct ts_json *record, struct ts_err *err)
{
        struct ts_restore opts = { .import = true, .ignore_volumes = true, .timeout_ms = CALL_TIMEOUT_MS };
        ts_auto(ts_call) struct ts_call *call = NULL;
        ts_auto_err answer = TS_ERR_INIT;
        bool refused = false;

        if (ts_api_restore(m->dst.api, "import", &opts, &call, err) < 0 || send_stub(call, record, err) < 0)
                return -1;
        if (ts_call_finish(call, NULL, NULL, NULL, &refused, &answer) < 0 && refused && strstr(ts_err_message(&answer), NO_IMAGES))
                return 0;
        if (!refused && ts_err_is_set(&answer)) {
                ts_err_move(err, &answer);
                return -1;
        }
        return unlike(m, "Podman on the target does not make the container as expected", &answer, "it restored it", err);
}

/* ---- its bundle ---- */

struct moved {
        const char *from, *to;
};

static char *dir_of(const char *path)
{
        ts_auto_free char *dir = ts_strdup0(path);
        char *slash = dir ? strrchr(dir, '/') : NULL;

        if (!slash || slash == dir)
                return NULL;
        *slash = '\0';
        return TS_TAKE(dir);
}

/* A path in one of the source's directories, in the target's: the innermost one counts. */
static char *translate(const char *path, const struct moved *dirs, size_t n)
{
        const struct moved *best = NULL;
        size_t longest = 0;

        for (size_t i = 0; i < n; i++) {
                size_t len = dirs[i].from ? strlen(dirs[i].from) : 0;

                if (len > longest && dirs[i].to && !strncmp(path, dirs[i].from, len) && (path[len] == '/' || path[len] == '\0')) {
                        best = &dirs[i];
                        longest = len;
                }
        }
        return best ? ts_fmt("%s%s", best->to, path + longest) : ts_strdup0(path);
}

static int translate_mounts(struct ts_json *config, const struct moved *dirs, size_t n, struct ts_err *err)
{
        const struct ts_json *mounts = ts_json_member(config, "mounts");

        for (size_t i = 0; i < ts_json_len(mounts); i++) {
                struct ts_json *mount = ts_json_at(mounts, i);
                const char *source = ts_json_str(mount, "source", "");
                ts_auto_free char *there = source[0] == '/' ? translate(source, dirs, n) : NULL;

                if (source[0] == '/' && (!there || ts_json_set_str(mount, "source", there) < 0))
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

static int translate_all(struct ts_mig *m, struct ts_json *config, const struct ts_container *there, const struct ts_json *own,
                         struct ts_err *err)
{
        ts_auto_free char *run = dir_of(ts_json_str(m->c->json, "PidFile", "")),
                          *run_there = dir_of(ts_json_str(there->json, "PidFile", "")), *layer = dir_of(there->upper_dir),
                          *root = layer ? ts_fmt("%s/merged", layer) : NULL;
        ts_auto_free struct moved *dirs = calloc(m->n_data + 2, sizeof(*dirs));
        const char *cgroup = ts_json_str(own, "linux.cgroupsPath", NULL);
        size_t n = 0;

        if (!run || !run_there || !root || !dirs)
                return ts_err_set(err, TS_EENGINE, "Podman does not say where the container's directories are");
        for (size_t i = 0; i < m->n_data; i++)
                dirs[n++] = (struct moved){ m->data[i].src_path, m->data[i].dst_path };
        dirs[n++] = (struct moved){ m->bundle, there->bundle_dir };
        dirs[n++] = (struct moved){ run, run_there };
        if (translate_mounts(config, dirs, n, err) < 0)
                return -1;
        if (ts_json_set_str(ts_json_member(config, "root"), "path", root) < 0 ||
            (cgroup && ts_json_set_str(ts_json_member(config, "linux"), "cgroupsPath", cgroup) < 0))
                return ts_err_set(err, TS_EPROTO, "the container's config.json on the source is not what a runtime takes");
        return 0;
}

/* ---- --network none ---- */
/* Neither the runtime nor CRIU brings the loopback interface of such a namespace up again, and
 * sockets with a loopback address cannot be restored before it is. The runtime runs these hooks at
 * the right moment: the namespace is there, the sockets are not. $1… is nothing: the process is
 * told on standard input, as JSON. */
#define LO_HOOK "tranship-lo"
static const char lo_script[] = "p=$(tr -d ' \\n' | sed -n 's/.*\"pid\":\\([0-9]*\\).*/\\1/p'); "
                                "nsenter -t \"${p:-0}\" -n ip link set lo up; :";

static int lo_hook(struct ts_json **ret, struct ts_err *err)
{
        static const char text[] = "{\"path\": \"/bin/sh\", \"args\": [], \"env\": "
                                   "[\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"]}";
        ts_auto(ts_json) struct ts_json *hook = NULL;
        struct ts_json *args;

        if (ts_json_parse(text, strlen(text), 0, &hook, err) < 0)
                return -1;
        args = ts_json_array();
        if (ts_json_append(args, ts_json_new_str(LO_HOOK)) < 0 ||
            ts_json_append(args, ts_json_new_str("-c")) < 0 ||
            ts_json_append(args, ts_json_new_str(lo_script)) < 0) {
                ts_json_free(args);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        if (ts_json_set(hook, "args", args) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = TS_TAKE(hook);
        return 0;
}

/* An earlier move may have left one there: the description is the source's. */
static int add_lo_hook(const struct ts_mig *m, struct ts_json *config, struct ts_err *err)
{
        struct ts_json *hook = NULL;
        const struct ts_json *all = ts_json_get(config, "hooks.createRuntime");

        if (!ts_streq0(m->c->network_mode, "none"))
                return 0;
        for (size_t i = 0; i < ts_json_len(all); i++)
                if (!strcmp(ts_json_str(ts_json_at(ts_json_get(ts_json_at(all, i), "args"), 0), "",
                                        ""),
                            LO_HOOK))
                        return 0;
        if (!ts_json_is_object(ts_json_member(config, "hooks")) &&
            ts_json_set(config, "hooks", ts_json_object()) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (!ts_json_is_array(all) &&
            ts_json_set(ts_json_member(config, "hooks"), "createRuntime", ts_json_array()) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (lo_hook(&hook, err) < 0)
                return -1;
        return ts_json_append(ts_json_get(config, "hooks.createRuntime"), hook) == 0
                       ? 0
                       : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* What the runtime is given there: the source's, with the target's paths. The name space of the network is put in by the restore. */
static int make_bundle(struct ts_mig *m, const struct ts_container *there, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *config = NULL;
        ts_auto(ts_json) struct ts_json *own = NULL;
        ts_auto_free char *path = ts_fmt("%s/config.json", there->bundle_dir), *text = NULL;

        if (read_json(&m->src, m->bundle, "config.json", &config, err) < 0 ||
            read_json(&m->dst, there->bundle_dir, "config.json", &own, err) < 0 ||
            translate_all(m, config, there, own, err) < 0 || add_lo_hook(m, config, err) < 0)
                return -1;
        text = ts_json_text(config, false);
        if (!path || !text)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_host_put(m->dst.host, path, 0600, text, strlen(text), err);
}

/* ---- whose it is ---- */
/* The ID is the source's: a container that has it there may have been brought by another migration since. A label could not be taken off again, so ours has a
 * file in its directory. It stays as long as the container: another machine may still have an open journal of this migration. */

static char *signature(const struct ts_mig *m, const struct ts_container *there)
{
        return ts_fmt("%s/tranship-%s", there->bundle_dir, m->id);
}

static int sign(struct ts_mig *m, const struct ts_container *there, struct ts_err *err)
{
        ts_auto_free char *path = signature(m, there);

        return path ? ts_host_put(m->dst.host, path, 0600, "", 0, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_stub_is_ours(struct ts_mig *m, const struct ts_container *there, bool *ret, struct ts_err *err)
{
        ts_auto_free char *path = there->bundle_dir ? signature(m, there) : NULL;
        const char *const argv[] = { "test", "-e", ts_or(path, ""), NULL };
        ts_auto_run r = { 0 };

        if (m->adopted && !ts_keeps_id(m)) {
                *ret = ts_streq0(ts_container_label(there, "tranship.migration"), m->id);
                return 0;
        }
        *ret = (m->committed && !m->adopted) || !ts_keeps_id(m) ||
               (m->strategy == TS_IN_PLACE ? there->state == TS_STATE_CREATED : !m->marked);
        if (*ret)
                return 0;
        if (!path || !m->dst.host)
                return ts_err_set(err, TS_ECONNECT, "whose container it is on the target cannot be told");
        if (ts_host_run(m->dst.host, argv, NULL, &r, err) < 0)
                return -1;
        *ret = r.status == 0;
        return 0;
}

/* ---- all of it ---- */

static int absent_there(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *c = NULL;
        ts_auto_err look = TS_ERR_INIT;

        if (ts_api_inspect(m->dst.api, m->c->id, &c, &look) == 0)
                return ts_err_set(err, TS_ECONFLICT, "the target has a container with the ID of '%s' by now", m->c->name);
        if (look.code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, &look);
        return -1;
}

int ts_make_stub(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *record = NULL;
        ts_auto(ts_container) struct ts_container *there = NULL;
        unsigned n = 0;

        if (read_record(m, &record, err) < 0 || edit_record(m, record, err) < 0 || absent_there(m, err) < 0 ||
            ts_journal_intent(m->j, TS_RES_CONTAINER, TS_SIDE_TARGET, m->c->name, m->c->id, "absent", &n, err) < 0)
                return -1;
        m->dst_id = ts_strdup0(m->c->id);
        if (!m->dst_id)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (import_stub(m, record, err) < 0)
                return ts_err_prefix(err, "creating '%s' on the target", m->c->name);
        if (ts_api_inspect(m->dst.api, m->dst_id, &there, err) < 0)
                return -1;
        if (there->state != TS_STATE_CREATED || !there->upper_dir || !there->bundle_dir)
                return ts_err_set(err, TS_ECONFLICT, "the container made on the target is not as expected (%s)",
                                  ts_state_str(there->state));
        return make_bundle(m, there, err) < 0 || sign(m, there, err) < 0 ? -1 : ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}
