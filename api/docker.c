/* Decides how Docker's API is asked, from 1.32 (17.09) on. What both engines have in common is elsewhere; how a container is created again is in docker_create.c. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the engine ---- */

#define F(field) offsetof(struct ts_engine_info, field)
static const struct ts_field info_fields[] = {
        { "ServerVersion", TS_TEXT, F(version), TS_REQUIRED, 64 },
        { "Architecture", TS_TEXT, F(arch), TS_REQUIRED, 64 },
        { "OSType", TS_TEXT, F(os), TS_OPTIONAL, 64 },
        { "KernelVersion", TS_TEXT, F(kernel), TS_OPTIONAL, 255 },
        { "Name", TS_TEXT, F(hostname), TS_OPTIONAL, 255 },
        { "DefaultRuntime", TS_TEXT, F(runtime), TS_OPTIONAL, 255 },
        { "RuncCommit.ID", TS_TEXT, F(runtime_version), TS_OPTIONAL, 255 },
        { "ID", TS_TEXT, F(id), TS_OPTIONAL, 255 },
        { "DockerRootDir", TS_PATH, F(graph_root), TS_REQUIRED, 4096 },
        { "Driver", TS_TEXT, F(graph_driver), TS_OPTIONAL, 64 },
        { "CgroupVersion", TS_TEXT, F(cgroup_version), TS_OPTIONAL, 8 },
        { "CgroupDriver", TS_TEXT, F(cgroup_manager), TS_OPTIONAL, 64 },
        { "LoggingDriver", TS_TEXT, F(log_driver), TS_OPTIONAL, 64 },
        { "ExperimentalBuild", TS_BOOL, F(experimental), TS_OPTIONAL, 0 },
        { "LiveRestoreEnabled", TS_BOOL, F(live_restore), TS_OPTIONAL, 0 },
};
#undef F

/* ["name=seccomp,profile=builtin", "name=rootless", …] → "seccomp,rootless" */
static char *security_of(const struct ts_json *options, bool *ret_rootless)
{
        ts_auto_str all = TS_STR_INIT;
        for (size_t i = 0; ts_json_is_array(options) && i < ts_json_len(options) && i < 64; i++) {
                const char *one = ts_json_str(ts_json_at(options, i), "", "");
                one += ts_starts(one, "name=") ? strlen("name=") : 0;
                ts_auto_free char *name = ts_printable(one, strcspn(one, ","), 32);
                if (!name || ts_str_addf(&all, NULL, "%s%s", all.len > 0 ? "," : "", name) < 0)
                        return NULL;
                *ret_rootless = *ret_rootless || strcmp(name, "rootless") == 0;
        }
        return ts_str_take(&all);
}

static int docker_info(struct ts_api *a, struct ts_engine_info *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        if (ts_ask_json(a, &(struct ts_ask){ .path = "/info", .doing = "ask Docker about itself" }, &j, err) < 0 ||
            ts_decode(j, info_fields, TS_ARRAY_LEN(info_fields), ret, "engine", err) < 0)
                return -1;
        free(ret->security);
        free(ret->api_version);
        free(ret->volume_path);
        ret->security = security_of(ts_json_get(j, "SecurityOptions"), &ret->rootless);
        ret->api_version = ts_fmt("1.%d", a->minor);
        ret->volume_path = ts_fmt("%s/volumes", ret->graph_root);
        ret->swarm = strcmp(ts_json_str(j, "Swarm.LocalNodeState", "inactive"), "inactive") != 0;
        ret->experimental = ret->experimental || a->experimental;
        return ret->security && ret->api_version && ret->volume_path ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- containers ---- */

#define F(field) offsetof(struct ts_brief, field)
static const struct ts_field brief_fields[] = {
        { "Id", TS_HEX_ID, F(id), TS_REQUIRED, 64 },
        { "ImageID", TS_HEX_ID, F(image_id), TS_OPTIONAL, 80 },
        { "HostConfig.NetworkMode", TS_TEXT, F(network_mode), TS_OPTIONAL, 512 },
        { "Labels", TS_TEXT_VALUES, F(labels), TS_OPTIONAL, 65536 },
};
#undef F

/* "/web", and "/other/alias" for each link to it: its own name has one slash. */
static const char *own_name(const struct ts_json *names)
{
        for (size_t i = 0; i < ts_json_len(names); i++) {
                const char *name = ts_form_check(TS_NAME, ts_json_str(ts_json_at(names, i), "", ""), 255);
                if (name)
                        return name;
        }
        return NULL;
}

static int fill_brief(const struct ts_json *j, struct ts_brief *b, struct ts_err *err)
{
        const struct ts_json *mounts = ts_json_member(j, "Mounts"), *networks = ts_json_get(j, "NetworkSettings.Networks");
        const char *name = own_name(ts_json_member(j, "Names")), *key;
        struct ts_json *value;
        if (ts_decode(j, brief_fields, TS_ARRAY_LEN(brief_fields), b, "containers", err) < 0)
                return -1;
        b->state = ts_state_parse(ts_json_str(j, "State", ""));
        b->name = strdup(name ? name : b->id); /* one that is being removed may have none */
        if (!b->name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < ts_json_len(mounts); i++) {
                const char *what = ts_json_str(ts_json_at(mounts, i), "Name", ts_json_str(ts_json_at(mounts, i), "Source", ""));
                if (*what && ts_list_add(&b->volumes, what, err) < 0)
                        return -1;
        }
        for (void *it = NULL; (it = ts_json_each(networks, it, &key, &value));)
                if (ts_list_add(&b->networks, key, err) < 0)
                        return -1;
        return 0;
}

/* One whose entry cannot be used must not keep all others from moving: its ID and its name are enough. */
static int add_brief(const struct ts_json *j, struct ts_briefs *ret, struct ts_err *err)
{
        const char *name = own_name(ts_json_member(j, "Names")), *id = ts_form_check(TS_HEX_ID, ts_json_str(j, "Id", ""), 64);
        struct ts_brief *b = NULL;
        ts_auto_err why = TS_ERR_INIT;

        if (ts_brief_add(ret, &b, err) < 0)
                return -1;
        if (fill_brief(j, b, &why) == 0)
                return 0;
        if (!id || (why.code != TS_EPROTO && why.code != TS_ELIMIT)) {
                ts_err_move(err, &why);
                return -1;
        }
        free(b->id);
        free(b->name);
        b->id = strdup(id);
        b->name = strdup(name ? name : id);
        b->unreadable = strdup(ts_err_message(&why));
        return b->id && b->name && b->unreadable ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int docker_list(struct ts_api *a, struct ts_briefs *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        const char *query[] = { "all", "true", NULL };
        if (ts_ask_json(a, &(struct ts_ask){ .path = "/containers/json", .query = query, .doing = "list the containers" }, &j, err) < 0)
                return -1;
        if (ts_json_len(j) > TS_DECODE_MAX_ITEMS)
                return ts_err_set(err, TS_ELIMIT, "Docker has more than %d containers", TS_DECODE_MAX_ITEMS);
        for (size_t i = 0; i < ts_json_len(j); i++)
                if (add_brief(ts_json_at(j, i), ret, err) < 0)
                        return -1;
        return 0;
}

/* "container:X" in a mode, the containers volumes come from, and those that are linked. */
static int add_dependencies(struct ts_container *c, struct ts_err *err)
{
        const char *const modes[] = { c->network_mode, c->ipc_mode, c->pid_mode };
        const struct ts_json *const lists[] = { ts_json_get(c->json, "HostConfig.VolumesFrom"), ts_json_get(c->json, "HostConfig.Links") };
        for (size_t i = 0; i < TS_ARRAY_LEN(modes); i++) {
                const char *other = modes[i] && ts_starts(modes[i], "container:") ? modes[i] + strlen("container:") : NULL;
                if (other && !ts_list_has(&c->dependencies, other) && ts_list_add(&c->dependencies, other, err) < 0)
                        return -1;
        }
        for (size_t k = 0; k < TS_ARRAY_LEN(lists); k++)
                for (size_t i = 0; ts_json_is_array(lists[k]) && i < ts_json_len(lists[k]) && i < 1000; i++) {
                        const char *text = ts_json_str(ts_json_at(lists[k], i), "", "");
                        text += k == 1 && *text == '/'; /* "/other:/this/alias" */
                        ts_auto_free char *other = strndup(text, strcspn(text, ":"));
                        if (other && *other && !ts_list_has(&c->dependencies, other) && ts_list_add(&c->dependencies, other, err) < 0)
                                return -1;
                }
        return 0;
}

/* Since API 1.44 it is not told whether a MAC address was asked for; before Docker 28 one that was made can be told by its form. */
static int add_static_macs(struct ts_api *a, struct ts_container *c, const struct ts_engine_info *info, struct ts_err *err)
{
        for (size_t i = 0; a->minor >= 44 && info->v[0] < 28 && i < c->n_networks; i++) {
                struct ts_network_use *n = &c->networks[i];
                if (n->static_mac || !n->mac || !n->ip || ts_docker_mac_is_made(n->mac, n->ip))
                        continue;
                n->static_mac = strdup(n->mac);
                if (!n->static_mac)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

/* A label remembers that an address was not asked for, but kept. */
static void forget_chosen(struct ts_container *c)
{
        for (size_t i = 0; i < c->n_networks; i++)
                if (c->networks[i].static_ip &&
                    ts_docker_address_chosen(c->json, c->networks[i].name))
                        free(TS_TAKE(c->networks[i].static_ip));
}

static int docker_complete(struct ts_api *a, struct ts_container *c, struct ts_err *err)
{
        const struct ts_engine_info *info = NULL;
        if (ts_api_info(a, &info, err) < 0 || add_dependencies(c, err) < 0 || add_static_macs(a, c, info, err) < 0)
                return -1;
        forget_chosen(c);
        free(c->bundle_dir);
        c->bundle_dir = ts_fmt("%s/containers/%s", info->graph_root, c->id);
        return c->bundle_dir ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int docker_set_policy(struct ts_api *a, const char *id, const char *policy, int64_t max_retries, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *body = ts_json_object();
        struct ts_json *p = body ? ts_json_child(body, "RestartPolicy") : NULL;
        bool count = strcmp(policy, "on-failure") == 0; /* others with a count are refused */
        if (!p || ts_json_set_str(p, "Name", policy) < 0 || ts_json_set_int(p, "MaximumRetryCount", count ? max_retries : 0) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        ts_auto_free char *json = ts_json_text(body, false);
        struct ts_ask q = { .method = TS_POST, .path = "/containers/%/update", .ref = id, .json = json, .doing = "set the restart policy of container" };
        return json ? ts_tell(a, &q, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* The name the user knows the image by, when it means the same image here; it is what the engine shows later. */
static bool means_same_image(struct ts_api *a, const char *name, const char *ref)
{
        ts_auto(ts_image) struct ts_image *i = NULL;
        const char *id = ts_form_check(TS_HEX_ID, ref, 80);
        return id && ts_api_image(a, name, &i, NULL) == 0 && strcmp(i->id, id) == 0;
}

static int docker_create(struct ts_api *a, const struct ts_create *c, struct ts_json **ret, struct ts_list *ret_warnings, struct ts_err *err)
{
        struct ts_create named = *c;
        const char *name = ts_json_str(c->inspect, "Config.Image", "");
        if (*name && means_same_image(a, name, c->image_ref))
                named.image_ref = name;
        return ts_docker_create_body(&named, a->minor, ret, ret_warnings, err);
}

static int connect(struct ts_api *a, const char *id, const char *network,
                   const struct ts_json *inspect, bool free_address, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *body = ts_json_object();
        ts_auto_free char *doing = ts_fmt("connect container '%s' to network", id);
        if (!body || !doing || ts_json_set_str(body, "Container", id) < 0 ||
            ts_json_set(body, "EndpointConfig",
                        ts_docker_endpoint(inspect, network, a->minor, free_address)) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        ts_auto_free char *json = ts_json_text(body, false);
        struct ts_ask q = { .method = TS_POST, .path = "/networks/%/connect", .ref = network, .json = json, .doing = doing };
        return json ? ts_tell(a, &q, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int docker_connect_networks(struct ts_api *a, const char *id, const struct ts_json *inspect,
                                   const struct ts_list *free_networks, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(inspect, "NetworkSettings.Networks");
        ts_auto_free char *first = ts_docker_first_network(inspect);
        const char *name;
        struct ts_json *one;
        if (!first)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (void *it = NULL; (it = ts_json_each(all, it, &name, &one));)
                if (strcmp(name, first) != 0 && ts_form_check(TS_TEXT, name, 255) &&
                    connect(a, id, name, inspect, free_networks && ts_list_has(free_networks, name),
                            err) < 0)
                        return -1;
        return 0;
}

/* ---- long calls ---- */

static int refuse_podmans(bool any, struct ts_err *err)
{
        return any ? ts_err_set(err, TS_EINTERNAL, "Docker has no checkpoint archives") : 0;
}

static int docker_checkpoint(struct ts_api *a, const char *id, const struct ts_checkpoint *o, struct ts_str *target, char **ret_json, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *body = ts_json_object();
        if (refuse_podmans(o->export_archive, err) < 0 || ts_check_ref(o->name, "checkpoint", err) < 0)
                return -1;
        if (ts_json_set_str(body, "CheckpointID", o->name) < 0 || ts_json_set_str(body, "CheckpointDir", o->dir) < 0 ||
            ts_json_set_bool(body, "Exit", !o->leave_running) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret_json = ts_json_text(body, false);
        return *ret_json ? ts_target_add(a, target, "/containers/%/checkpoints", id, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int docker_restore(struct ts_api *a, const char *id, const struct ts_restore *o, struct ts_str *target, struct ts_err *err)
{
        if (refuse_podmans(o->import, err) < 0 || ts_check_ref(o->name, "checkpoint", err) < 0 ||
            ts_target_add(a, target, "/containers/%/start", id, err) < 0)
                return -1;
        return ts_url_query(target, "checkpoint", o->name, err);
}

/* One JSON object a line; a failure comes with status 200 and is told by the last of them. */
static int decode_load(const char *text, size_t len, struct ts_call_result *ret, struct ts_err *err)
{
        (void)ret;
        for (const char *end = text ? text + len : text; text && text < end;) {
                const char *nl = memchr(text, '\n', (size_t)(end - text));
                size_t n = nl ? (size_t)(nl - text) : (size_t)(end - text);
                ts_auto(ts_json) struct ts_json *line = NULL;
                if (ts_json_parse(text, n, 0, &line, NULL) == 0) {
                        const char *why = ts_json_str(line, "errorDetail.message", ts_json_str(line, "error", NULL));
                        ts_auto_free char *clean = why ? ts_printable(why, strlen(why), 1000) : NULL;
                        if (why)
                                return ts_err_set(err, TS_EENGINE, "cannot load an image: Docker says: %s", ts_or(clean, "?"));
                }
                text += n + 1;
        }
        return 0;
}

/* ---- bodies ---- */

/* Takes over what is an object or array and not empty. */
static int copy_members(struct ts_json *to, const struct ts_json *from, const char *const keys[], size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct ts_json *v = ts_json_member(from, keys[i]);
                if (!ts_json_is_null(v) && ts_json_set(to, keys[i], ts_json_copy(v)) < 0)
                        return -1;
        }
        return 0;
}

static struct ts_json *network_body(const struct ts_api *a, const struct ts_network *src)
{
        static const char *const keys[] = { "Name", "Driver", "Internal", "Attachable", "Ingress", "EnableIPv6", "IPAM", "Options", "Labels" };
        struct ts_json *body = ts_json_object();
        int rc = copy_members(body, src->json, keys, TS_ARRAY_LEN(keys));
        if (a->minor >= 47) /* a daemon that does not tell it cannot be told either */
                rc |= copy_members(body, src->json, (const char *const[]){ "EnableIPv4" }, 1);
        if (a->minor < 44) /* later it is always checked, and not to be asked for */
                rc |= ts_json_set_bool(body, "CheckDuplicate", true);
        if (rc == 0)
                return body;
        ts_json_free(body);
        return NULL;
}

static struct ts_json *volume_body(const struct ts_volume *src)
{
        static const char *const keys[] = { "Name", "Driver", "Labels" };
        const struct ts_json *options = ts_json_member(src->json, "Options");
        struct ts_json *body = ts_json_object();
        int rc = copy_members(body, src->json, keys, TS_ARRAY_LEN(keys));
        if (ts_json_is_object(options))
                rc |= ts_json_set(body, "DriverOpts", ts_json_copy(options));
        if (rc == 0)
                return body;
        ts_json_free(body);
        return NULL;
}

const struct ts_api_ops ts_docker_ops = {
        .name = "Docker",
        .info = docker_info,
        .list = docker_list,
        .complete = docker_complete,
        .remove_volumes = "v",
        .set_policy = docker_set_policy,
        .create_body = docker_create,
        .create_says_name = true,
        .connect_networks = docker_connect_networks,
        .checkpoint = docker_checkpoint,
        .restore = docker_restore,
        .decode_load = decode_load,
        .image_get = "/images/get",
        .image_get_name = "names",
        .image_load = "/images/load?quiet=1",
        .image_path = "/images/%/json",
        .network_path = "/networks/%",
        .network_list = "/networks",
        .volume_path = "/volumes/%",
        .image_delete = "/images/%",
        .network_delete = "/networks/%",
        .volume_delete = "/volumes/%",
        .volume_create = "/volumes/create",
        .network_body = network_body,
        .volume_body = volume_body,
};
