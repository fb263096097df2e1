/* Decides how Podman's own API (libpod) is asked. What both engines have in common is elsewhere. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX 4096

/* ---- the engine ---- */

#define F(field) offsetof(struct ts_engine_info, field)
static const struct ts_field info_fields[] = {
        { "version.Version", TS_TEXT, F(version), TS_REQUIRED, 64 },
        { "version.APIVersion", TS_TEXT, F(api_version), TS_OPTIONAL, 64 },
        { "host.arch", TS_TEXT, F(arch), TS_REQUIRED, 64 },
        { "host.os", TS_TEXT, F(os), TS_OPTIONAL, 64 },
        { "host.kernel", TS_TEXT, F(kernel), TS_OPTIONAL, 255 },
        { "host.hostname", TS_TEXT, F(hostname), TS_OPTIONAL, 255 },
        { "host.ociRuntime.name", TS_TEXT, F(runtime), TS_OPTIONAL, 255 },
        { "host.ociRuntime.version", TS_RAW_TEXT, F(runtime_version), TS_OPTIONAL, 4096 },
        { "host.cgroupVersion", TS_TEXT, F(cgroup_version), TS_OPTIONAL, 8 },
        { "host.cgroupManager", TS_TEXT, F(cgroup_manager), TS_OPTIONAL, 64 },
        { "host.logDriver", TS_TEXT, F(log_driver), TS_OPTIONAL, 64 },
        { "host.networkBackend", TS_TEXT, F(network_backend), TS_OPTIONAL, 64 },
        { "host.security.rootless", TS_BOOL, F(rootless), TS_OPTIONAL, 0 },
        { "store.graphRoot", TS_PATH, F(graph_root), TS_REQUIRED, 4096 },
        { "store.graphDriverName", TS_TEXT, F(graph_driver), TS_OPTIONAL, 64 },
        { "store.volumePath", TS_PATH, F(volume_path), TS_OPTIONAL, 4096 },
        { "store.imageCopyTmpDir", TS_PATH, F(tmp_dir), TS_OPTIONAL, 4096 },
};
#undef F

static char *security_of(const struct ts_json *j)
{
        static const char *const names[][2] = { { "host.security.selinuxEnabled", "selinux" },
                                                { "host.security.apparmorEnabled", "apparmor" },
                                                { "host.security.seccompEnabled", "seccomp" } };
        ts_auto_str all = TS_STR_INIT;
        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++)
                if (ts_json_bool(j, names[i][0], false) && ts_str_addf(&all, NULL, "%s%s", all.len > 0 ? "," : "", names[i][1]) < 0)
                        return NULL;
        return ts_str_take(&all);
}

static int podman_info(struct ts_api *a, struct ts_engine_info *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        if (ts_ask_json(a, &(struct ts_ask){ .path = "/info", .doing = "ask Podman about itself" }, &j, err) < 0 ||
            ts_decode(j, info_fields, TS_ARRAY_LEN(info_fields), ret, "engine", err) < 0)
                return -1;
        ret->experimental = true; /* nothing needs to be switched on */
        free(ret->security);
        ret->security = security_of(j);
        return ret->security ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- containers ---- */

/* The list says where things are mounted but not what; so each is asked for. */
static int fill_brief(const struct ts_container *c, struct ts_brief *b, struct ts_err *err)
{
        b->id = strdup(c->id);
        b->name = strdup(c->name);
        b->image_id = ts_strdup0(c->image_id);
        b->network_mode = ts_strdup0(c->network_mode);
        b->state = c->state;
        if (!b->id || !b->name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < c->n_mounts; i++)
                if ((c->mounts[i].name || c->mounts[i].source) &&
                    ts_list_add(&b->volumes, c->mounts[i].name ? c->mounts[i].name : c->mounts[i].source, err) < 0)
                        return -1;
        for (size_t i = 0; i < c->n_labels; i++)
                if (ts_list_addf(&b->labels, err, "%s=%s", c->labels[i].key, c->labels[i].value) < 0)
                        return -1;
        for (size_t i = 0; i < c->n_networks; i++)
                if (ts_list_add(&b->networks, c->networks[i].name, err) < 0)
                        return -1;
        return 0;
}

/* One whose answer cannot be used must not keep all others from moving. */
static int unreadable_brief(const struct ts_json *listed, const char *id, const struct ts_err *why, struct ts_brief *b, struct ts_err *err)
{
        const char *name = ts_form_check(TS_NAME, ts_json_str(ts_json_at(ts_json_member(listed, "Names"), 0), "", ""), 255);
        b->id = strdup(id);
        b->name = strdup(name ? name : id);
        b->unreadable = strdup(ts_err_message(why));
        return b->id && b->name && b->unreadable ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int podman_list(struct ts_api *a, struct ts_briefs *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        const char *query[] = { "all", "true", NULL };
        if (ts_ask_json(a, &(struct ts_ask){ .path = "/containers/json", .query = query, .doing = "list the containers" }, &j, err) < 0)
                return -1;
        if (ts_json_len(j) > LIST_MAX)
                return ts_err_set(err, TS_ELIMIT, "Podman has more than %d containers", LIST_MAX);
        for (size_t i = 0; i < ts_json_len(j); i++) {
                ts_auto_err why = TS_ERR_INIT;
                ts_auto(ts_container) struct ts_container *c = NULL;
                struct ts_brief *b = NULL;
                const char *id = ts_form_check(TS_HEX_ID, ts_json_str(ts_json_at(j, i), "Id", ""), 64);
                if (!id)
                        return ts_err_set(err, TS_EPROTO, "Podman's list of containers makes no sense");
                if (ts_api_inspect(a, id, &c, &why) < 0) {
                        if (why.code == TS_ENOTFOUND) /* gone since */
                                continue;
                        if (why.code == TS_EPROTO || why.code == TS_ELIMIT) {
                                if (ts_brief_add(ret, &b, err) < 0 || unreadable_brief(ts_json_at(j, i), id, &why, b, err) < 0)
                                        return -1;
                                continue;
                        }
                        if (err && !ts_err_is_set(err))
                                ts_err_move(err, &why);
                        return -1;
                }
                if (ts_brief_add(ret, &b, err) < 0 || fill_brief(c, b, err) < 0)
                        return -1;
        }
        return 0;
}

static int podman_complete(struct ts_api *a, struct ts_container *c, struct ts_err *err)
{
        (void)a;
        (void)c;
        (void)err;
        return 0;
}

static bool is_before(const struct ts_api *a, int major, int minor)
{
        return a->v[0] < major || (a->v[0] == major && a->v[1] < minor);
}

/* The body of an update that changes no limit, of which each line of versions has its own. Up to
 * 5.3 an object replaces the limits of cgroups, even an empty one, and only null leaves them. Up to
 * 5.7 an empty object does, where null would crash the request. Since then an object without ulimits
 * empties those, so the ones that the container has are said again. */
static char *body_without_change(struct ts_api *a, const char *id, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *inspect = NULL;
        ts_auto(ts_json) struct ts_json *body = ts_json_object();
        struct ts_ask q = { .path = "/containers/%/json", .ref = id, .doing = "inspect container" };
        char *text = NULL;
        if (is_before(a, 5, 8))
                text = strdup(is_before(a, 5, 4) ? "null" : "{}");
        else if (ts_ask_json(a, &q, &inspect, err) < 0)
                return NULL;
        else if (body && ts_podman_add_limits(inspect, body) == 0)
                text = ts_json_text(body, false);
        if (!text)
                (void)ts_err_set(err, TS_ENOMEM, "out of memory");
        return text;
}

static int podman_set_policy(struct ts_api *a, const char *id, const char *policy, int64_t max_retries, struct ts_err *err)
{
        char retries[24];
        bool count = strcmp(policy, "on-failure") == 0 && max_retries > 0;
        const char *query[] = { "restartPolicy", policy, "restartRetries", count ? retries : NULL, NULL };
        ts_auto_free char *body = body_without_change(a, id, err);
        struct ts_ask q = { .method = TS_POST,
                            .path = "/containers/%/update",
                            .ref = id,
                            .query = query,
                            .json = body,
                            .doing = "set the restart policy of container" };
        (void)snprintf(retries, sizeof(retries), "%lld", (long long)max_retries);
        return body ? ts_tell(a, &q, err) : -1;
}

static int podman_connect_networks(struct ts_api *a, const char *id, const struct ts_json *inspect,
                                   const struct ts_list *free_networks, struct ts_err *err)
{
        (void)a;
        (void)free_networks;
        (void)id;
        (void)inspect;
        (void)err;
        return 0; /* all are in the specification */
}

/* ---- long calls ---- */

static int podman_checkpoint(struct ts_api *a, const char *id, const struct ts_checkpoint *o, struct ts_str *target, char **ret_json, struct ts_err *err)
{
        const struct {
                const char *key;
                bool value;
        } flags[] = {
                { "export", o->export_archive },
                { "keep", o->keep },
                { "leaveRunning", o->leave_running },
                { "preCheckpoint", o->pre_checkpoint },
                { "withPrevious", o->with_previous },
                { "tcpEstablished", o->tcp_established },
                { "fileLocks", o->file_locks },
                { "ignoreRootFS", o->ignore_rootfs },
                { "printStats", o->print_stats },
        };
        (void)ret_json;
        if (ts_target_add(a, target, "/containers/%/checkpoint", id, err) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(flags); i++)
                if (ts_target_bool(target, flags[i].key, flags[i].value, err) < 0)
                        return -1;
        return 0;
}

static int podman_restore(struct ts_api *a, const char *id, const struct ts_restore *o, struct ts_str *target, struct ts_err *err)
{
        const struct {
                const char *key;
                bool value;
        } flags[] = {
                { "import", o->import },
                { "keep", o->keep },
                { "tcpEstablished", o->tcp_established },
                { "fileLocks", o->file_locks },
                { "ignoreRootFS", o->ignore_rootfs },
                { "ignoreVolumes", o->ignore_volumes },
                { "ignoreStaticIP", o->ignore_static_ip },
                { "ignoreStaticMAC", o->ignore_static_mac },
                { "printStats", o->print_stats },
        };
        if (ts_target_add(a, target, "/containers/%/restore", id, err) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(flags); i++)
                if (ts_target_bool(target, flags[i].key, flags[i].value, err) < 0)
                        return -1;
        return ts_url_query(target, "publishPorts", o->publish_ports, err);
}

static uint64_t count(const struct ts_json *j, const char *path)
{
        int64_t n = ts_json_int(j, path, 0);
        return n > 0 ? (uint64_t)n : 0;
}

/* {"Id": …, "criu_statistics": {…} or null} */
static int decode_report(const char *text, size_t len, struct ts_json **ret_stats, struct ts_json **ret_root, struct ts_call_result *ret, struct ts_err *err)
{
        if (ts_json_parse(ts_or(text, ""), len, 0, ret_root, err) < 0)
                return -1;
        const char *id = ts_form_check(TS_HEX_ID, ts_json_str(*ret_root, "Id", ""), 64);
        if (!id)
                return ts_err_set(err, TS_EPROTO, "Podman's report has no container ID");
        ret->id = strdup(id);
        *ret_stats = ts_json_get(*ret_root, "criu_statistics");
        return ret->id ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int decode_checkpoint(const char *text, size_t len, struct ts_call_result *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *root = NULL;
        struct ts_json *s = NULL;
        if (decode_report(text, len, &s, &root, ret, err) < 0)
                return -1;
        ret->dump = (struct ts_criu_dump){
                .valid = ts_json_is_object(s),
                .freezing_us = count(s, "freezing_time"),
                .frozen_us = count(s, "frozen_time"),
                .memdump_us = count(s, "memdump_time"),
                .memwrite_us = count(s, "memwrite_time"),
                .pages_scanned = count(s, "pages_scanned"),
                .pages_written = count(s, "pages_written"),
        };
        return 0;
}

static int decode_restore(const char *text, size_t len, struct ts_call_result *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *root = NULL;
        struct ts_json *s = NULL;
        if (decode_report(text, len, &s, &root, ret, err) < 0)
                return -1;
        ret->restore = (struct ts_criu_restore){
                .valid = ts_json_is_object(s),
                .pages_compared = count(s, "pages_compared"),
                .pages_skipped_cow = count(s, "pages_skipped_cow"),
                .pages_restored = count(s, "pages_restored"),
                .forking_us = count(s, "forking_time"),
                .restore_us = count(s, "restore_time"),
        };
        return 0;
}

/* ---- bodies ---- */

/* Since Podman 6 (netavark 2) containers of other bridge networks are kept out unless it says
 * otherwise, before it they were let in. */
int ts_podman_network_isolation(struct ts_json *body, int from_major, int to_major)
{
        struct ts_json *options;

        if (strcmp(ts_json_str(body, "driver", ""), "bridge") != 0 || from_major <= 0 ||
            to_major <= 0 || (from_major < 6) == (to_major < 6) ||
            !ts_json_is_null(ts_json_get(body, "options.isolate")))
                return 0;
        options = ts_json_child(body, "options");
        return options ? ts_json_set_str(options, "isolate", to_major < 6 ? "strict" : "false")
                       : -1;
}

/* What a network is, without what only this instance of it has. */
static struct ts_json *network_body(const struct ts_api *a, const struct ts_network *src)
{
        static const char *const not_these[] = { "id", "created", "containers" };
        struct ts_json *body = ts_json_copy(src->json);
        for (size_t i = 0; body && i < TS_ARRAY_LEN(not_these); i++)
                (void)ts_json_del(body, not_these[i]);
        if (body)
                (void)ts_podman_network_isolation(body, src->engine_major,
                                                  a->have_info ? a->info.v[0] : 0);
        if (body && !src->parent) /* a bridge's own name may be taken there */
                (void)ts_json_del(body, "network_interface");
        return body;
}

static struct ts_json *volume_body(const struct ts_volume *src)
{
        static const char *const keys[] = { "Labels", "Options" };
        struct ts_json *body = ts_json_object();
        int rc = ts_json_set_str(body, "Name", src->name) | ts_json_set_str(body, "Driver", src->driver);
        for (size_t i = 0; i < TS_ARRAY_LEN(keys); i++) {
                const struct ts_json *v = ts_json_member(src->json, keys[i]);
                if (ts_json_is_object(v))
                        rc |= ts_json_set(body, keys[i], ts_json_copy(v));
        }
        if (rc == 0)
                return body;
        ts_json_free(body);
        return NULL;
}

static const char *const changes_query[] = { "diffType", "container", NULL };

const struct ts_api_ops ts_podman_ops = {
        .name = "Podman",
        .info = podman_info,
        .list = podman_list,
        .complete = podman_complete,
        .remove_volumes = "volumes",
        .changes_query = changes_query,
        .set_policy = podman_set_policy,
        .create_body = ts_podman_create_body,
        .connect_networks = podman_connect_networks,
        .checkpoint = podman_checkpoint,
        .restore = podman_restore,
        .decode_checkpoint = decode_checkpoint,
        .decode_restore = decode_restore,
        .image_get = "/images/export?format=docker-archive",
        .image_get_name = "references",
        .image_load = "/images/load",
        .image_path = "/images/%/json",
        .network_path = "/networks/%/json",
        .network_list = "/networks/json",
        .volume_path = "/volumes/%/json",
        .image_delete = "/images/%",
        .network_delete = "/networks/%",
        .volume_delete = "/volumes/%",
        .volume_create = "/volumes/create",
        .network_body = network_body,
        .volume_body = volume_body,
};
