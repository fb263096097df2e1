/* Decides how an engine is recognised, how its answers become errors, and what is the same for both. What differs is in podman.c and docker.c; images, networks and volumes are in resource.c. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMOVE_TIMEOUT_MS 120000 /* layers and volumes are deleted within the request */

const char *ts_engine_kind_str(enum ts_engine_kind k)
{
        return k == TS_PODMAN ? "Podman" : k == TS_DOCKER ? "Docker" : "?";
}

/* ---- asking ---- */

int ts_target_add(const struct ts_api *a, struct ts_str *target, const char *path, const char *ref, struct ts_err *err)
{
        const char *mark = strchr(path, '%');
        if (ts_str_adds(target, a->prefix, err) < 0)
                return -1;
        if (!mark)
                return ts_str_adds(target, path, err);
        /* '/', ':' and '@' stay: both engines take image references that way. */
        if (ts_str_add(target, path, (size_t)(mark - path), err) < 0 || ts_url_add(target, ref, "/:@", err) < 0)
                return -1;
        return ts_str_adds(target, mark + 1, err);
}

int ts_target_bool(struct ts_str *target, const char *key, bool value, struct ts_err *err)
{
        return value ? ts_url_query(target, key, "true", err) : 0;
}

int ts_ask(struct ts_api *a, const struct ts_ask *q, struct ts_http_answer *ret, struct ts_err *err)
{
        ts_auto_str target = TS_STR_INIT;
        ts_auto_free char *doing = q->ref ? ts_fmt("%s '%s'", q->doing, q->ref) : ts_fmt("%s", q->doing);
        if (!doing)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_target_add(a, &target, q->path, q->ref, err) < 0)
                return -1;
        for (const char *const *p = q->query; p && *p; p += 2)
                if (ts_url_query(&target, p[0], p[1], err) < 0)
                        return -1;
        struct ts_http_request r = { .method = q->method, .target = target.buf, .json = q->json, .timeout_ms = q->timeout_ms };
        bool first = !ts_err_is_set(err);
        if (ts_http_do(a->http, &r, ret, err) < 0)
                return first ? ts_err_prefix(err, "cannot %s", doing) : -1;
        if ((ret->status >= 200 && ret->status < 300) || ret->status == 304)
                return 0;
        return ts_http_refusal(ret->status, ret->body.buf, ret->body.len, a->ops->name, doing, err);
}

int ts_ask_json(struct ts_api *a, const struct ts_ask *q, struct ts_json **ret, struct ts_err *err)
{
        ts_auto_http_answer answer = TS_HTTP_ANSWER_INIT;
        if (ts_ask(a, q, &answer, err) < 0)
                return -1;
        bool first = !ts_err_is_set(err);
        if (ts_json_parse(ts_str_cstr(&answer.body), answer.body.len, TS_HTTP_MAX_BODY, ret, err) < 0)
                return first ? ts_err_prefix(err, "cannot %s: the answer of %s", q->doing, a->ops->name) : -1;
        return 0;
}

int ts_tell(struct ts_api *a, const struct ts_ask *q, struct ts_err *err)
{
        ts_auto_http_answer answer = TS_HTTP_ANSWER_INIT;
        return ts_ask(a, q, &answer, err);
}

int ts_check_ref(const char *ref, const char *what, struct ts_err *err)
{
        if (ref && ts_name_valid(ref, 255))
                return 0;
        ts_auto_free char *clean = ts_printable(ts_or(ref, ""), strlen(ts_or(ref, "")), 80);
        return ts_err_set(err, TS_EUSAGE, "'%s' cannot be the name of a %s", ts_or(clean, "?"), what);
}

int ts_check_image_ref(const char *ref, struct ts_err *err)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@-";
        if (ref && *ref && strlen(ref) <= 1024 && ref[strspn(ref, allowed)] == '\0' && ref[0] != '-' && ref[0] != '/' && !strstr(ref, "..") &&
            !strstr(ref, "//"))
                return 0;
        ts_auto_free char *clean = ts_printable(ts_or(ref, ""), strlen(ts_or(ref, "")), 80);
        return ts_err_set(err, TS_EUSAGE, "'%s' cannot be the name of an image", ts_or(clean, "?"));
}

int ts_label_add(struct ts_json *labels, const char *label, struct ts_err *err)
{
        if (!label)
                return 0;
        const char *eq = strchr(label, '=');
        ts_auto_free char *key = strndup(label, eq ? (size_t)(eq - label) : strlen(label));
        if (!key || ts_json_set_str(labels, key, eq ? eq + 1 : "") < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return 0;
}

static struct ts_json *child(struct ts_json *object, const char *key, struct ts_json *(*make)(void))
{
        struct ts_json *there = ts_json_member(object, key);
        if (!ts_json_is_null(there))
                return there;
        return ts_json_set(object, key, make()) < 0 ? NULL : ts_json_member(object, key);
}

struct ts_json *ts_json_child(struct ts_json *object, const char *key)
{
        return child(object, key, ts_json_object);
}

struct ts_json *ts_json_child_array(struct ts_json *object, const char *key)
{
        return child(object, key, ts_json_array);
}

/* ---- opening ---- */

/* "5.4.2", "26.1.5+dfsg1", "1.45": up to three numbers, at least two. */
static bool parse_version(const char *text, int ret[3])
{
        size_t n = 0;
        ret[0] = ret[1] = ret[2] = 0;
        for (const char *p = text; n < 3 && *p >= '0' && *p <= '9'; n++) {
                for (; *p >= '0' && *p <= '9'; p++)
                        if (ret[n] < 10000)
                                ret[n] = ret[n] * 10 + (*p - '0');
                p += *p == '.';
        }
        return n >= 2;
}

static int open_podman(struct ts_api *a, const char *version, struct ts_err *err)
{
        a->kind = TS_PODMAN;
        a->ops = &ts_podman_ops;
        if (!parse_version(version, a->v))
                return ts_err_set(err, TS_EPROTO, "the engine's version '%s' is none", version);
        if (a->v[0] < 4) {
                (void)ts_err_set(err, TS_EENGINE, "Podman %s is too old", version);
                return ts_err_hint(err, "tranship needs Podman 4.0 or later");
        }
        /* Asked as version 4, Podman 5 shows entry points and signals as Podman 4 did. */
        (void)snprintf(a->prefix, sizeof(a->prefix), "/v%d.0.0/libpod", a->v[0] < 5 ? 4 : 5);
        return 0;
}

/* Daemons that do not say it with every answer say it here. */
static int ask_api_version(struct ts_api *a, char buf[16], struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        if (ts_ask_json(a, &(struct ts_ask){ .path = "/version", .doing = "ask for the version" }, &j, err) < 0)
                return -1;
        (void)snprintf(buf, 16, "%.15s", ts_json_str(j, "ApiVersion", "?"));
        return 0;
}

static int open_docker(struct ts_api *a, struct ts_http_answer *ping, struct ts_err *err)
{
        int v[3];
        a->kind = TS_DOCKER;
        a->ops = &ts_docker_ops;
        if (*ping->api_version == '\0' && ask_api_version(a, ping->api_version, err) < 0)
                return -1;
        if (!parse_version(ping->api_version, v) || v[0] != 1)
                return ts_err_set(err, TS_EPROTO, "the socket does not speak the API of Podman or Docker");
        if (v[1] < TS_DOCKER_API_MIN) {
                (void)ts_err_set(err, TS_EENGINE, "Docker's API %d.%d is too old", v[0], v[1]);
                return ts_err_hint(err, "tranship needs Docker 17.09 (API 1.%d) or later", TS_DOCKER_API_MIN);
        }
        a->minor = v[1] < TS_DOCKER_API_MAX ? v[1] : TS_DOCKER_API_MAX;
        a->experimental = strcmp(ping->experimental, "true") == 0;
        (void)snprintf(a->prefix, sizeof(a->prefix), "/v1.%d", a->minor);
        return 0;
}

static int recognise(struct ts_api *a, struct ts_err *err)
{
        ts_auto_http_answer ping = TS_HTTP_ANSWER_INIT;
        struct ts_http_request r = { .method = TS_GET, .target = "/_ping", .max_body = 4096 };
        if (ts_http_do(a->http, &r, &ping, err) < 0)
                return -1;
        if (ping.status != 200)
                return ts_http_refusal(ping.status, ping.body.buf, ping.body.len, "the engine", "ping it", err);
        return *ping.libpod_version ? open_podman(a, ping.libpod_version, err) : open_docker(a, &ping, err);
}

int ts_api_open(const struct ts_dial *dial, struct ts_api **ret, struct ts_err *err)
{
        ts_auto(ts_api) struct ts_api *a = calloc(1, sizeof(*a));
        if (!a)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        a->dial = *dial;
        a->ops = &ts_docker_ops; /* for messages until it is known */
        if (ts_http_new(dial, &a->http, err) < 0 || recognise(a, err) < 0)
                return -1;
        *ret = TS_TAKE(a);
        return 0;
}

void ts_api_free(struct ts_api *a)
{
        if (!a)
                return;
        struct ts_engine_info *i = &a->info;
        char *const owned[] = { i->version,    i->api_version,  i->arch,        i->os,      i->kernel,         i->hostname,       i->runtime,
                                i->id,         i->graph_root,   i->volume_path, i->tmp_dir, i->cgroup_version, i->cgroup_manager, i->log_driver,
                                i->graph_driver, i->network_backend, i->security, i->runtime_version };
        for (size_t n = 0; n < TS_ARRAY_LEN(owned); n++)
                free(owned[n]);
        ts_http_free(a->http);
        free(a);
}

enum ts_engine_kind ts_api_kind(const struct ts_api *a)
{
        return a->kind;
}

int ts_api_ping(struct ts_api *a, unsigned timeout_ms, struct ts_err *err)
{
        ts_auto_http_answer ping = TS_HTTP_ANSWER_INIT;
        struct ts_http_request r = { .method = TS_GET, .target = "/_ping", .max_body = 4096, .timeout_ms = timeout_ms };
        if (ts_http_do(a->http, &r, &ping, err) < 0)
                return -1;
        return ping.status == 200 ? 0 : ts_http_refusal(ping.status, ping.body.buf, ping.body.len, a->ops->name, "ping the engine", err);
}

void ts_api_set_peer_check(struct ts_api *a, unsigned peer_timeout_ms)
{
        a->peer_timeout_ms = peer_timeout_ms;
}

/* uname's names and Go's are both in use. */
static int normalise_arch(struct ts_engine_info *i, struct ts_err *err)
{
        static const char *const names[][2] = { { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "arm" }, { "i686", "386" } };
        for (size_t n = 0; i->arch && n < TS_ARRAY_LEN(names); n++) {
                if (strcmp(i->arch, names[n][0]) != 0)
                        continue;
                free(i->arch);
                i->arch = strdup(names[n][1]);
                return i->arch ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

static int normalise_cgroup(struct ts_engine_info *i, struct ts_err *err)
{
        char *plain = strdup(i->cgroup_version ? i->cgroup_version + (*i->cgroup_version == 'v') : "1"); /* Docker before API 1.41 says nothing */
        free(i->cgroup_version);
        i->cgroup_version = plain;
        return plain ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_api_info(struct ts_api *a, const struct ts_engine_info **ret, struct ts_err *err)
{
        if (!a->have_info) {
                a->info.kind = a->kind;
                if (a->ops->info(a, &a->info, err) < 0 || normalise_arch(&a->info, err) < 0 || normalise_cgroup(&a->info, err) < 0)
                        return -1;
                (void)parse_version(ts_or(a->info.version, ""), a->info.v);
                a->have_info = true;
        }
        *ret = &a->info;
        return 0;
}

/* ---- containers ---- */

int ts_api_inspect(struct ts_api *a, const char *ref, struct ts_container **ret, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *c = NULL;
        struct ts_json *j = NULL;
        if (ts_check_ref(ref, "container", err) < 0 ||
            ts_ask_json(a, &(struct ts_ask){ .path = "/containers/%/json", .ref = ref, .doing = "inspect container" }, &j, err) < 0 ||
            ts_container_decode(j, &c, err) < 0 || a->ops->complete(a, c, err) < 0)
                return -1;
        *ret = TS_TAKE(c);
        return 0;
}

int ts_api_list(struct ts_api *a, struct ts_briefs *ret, struct ts_err *err)
{
        struct ts_briefs b = { NULL, 0 };
        if (a->ops->list(a, &b, err) < 0) {
                ts_briefs_clear(&b);
                return -1;
        }
        *ret = b;
        return 0;
}

static int decode_change(const struct ts_json *j, struct ts_change *c, struct ts_err *err)
{
        int64_t kind = ts_json_int(j, "Kind", -1);
        const char *path = ts_json_str(j, "Path", "");
        if (kind < 0 || kind > 2 || !ts_form_check(TS_PATH, path, 65536))
                return ts_err_set(err, TS_EPROTO, "the engine's list of changed files makes no sense");
        c->kind = (int)kind;
        c->path = strdup(path);
        return c->path ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_api_changes(struct ts_api *a, const char *id, struct ts_changes *ret, struct ts_err *err)
{
        struct ts_changes c = { NULL, 0 };
        ts_auto(ts_json) struct ts_json *j = NULL;
        struct ts_ask q = { .path = "/containers/%/changes", .ref = id, .query = a->ops->changes_query, .doing = "list the changes of container" };
        if (ts_check_ref(id, "container", err) < 0 || ts_ask_json(a, &q, &j, err) < 0)
                return -1;
        if (!ts_json_is_array(j)) { /* null: there are none */
                *ret = c;
                return ts_json_is_null(j) ? 0 : ts_err_set(err, TS_EPROTO, "the engine's list of changed files is none");
        }
        c.n = ts_json_len(j);
        c.v = calloc(c.n ? c.n : 1, sizeof(*c.v));
        if (!c.v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < c.n; i++)
                if (decode_change(ts_json_at(j, i), &c.v[i], err) < 0) {
                        ts_changes_clear(&c);
                        return -1;
                }
        *ret = c;
        return 0;
}

void ts_changes_clear(struct ts_changes *c)
{
        for (size_t i = 0; i < c->n; i++)
                free(c->v[i].path);
        free(c->v);
        *c = (struct ts_changes){ NULL, 0 };
}

int ts_api_start(struct ts_api *a, const char *id, struct ts_err *err)
{
        struct ts_ask q = { .method = TS_POST, .path = "/containers/%/start", .ref = id, .doing = "start container" };
        return ts_check_ref(id, "container", err) < 0 ? -1 : ts_tell(a, &q, err);
}

/* Without a time in the query both engines take the container's own. */
int ts_api_stop(struct ts_api *a, const char *id, struct ts_err *err)
{
        struct ts_ask q = { .method = TS_POST, .path = "/containers/%/stop", .ref = id, .doing = "stop container", .timeout_ms = TS_API_STOP_MAX_S * 1000 + TS_API_TIMEOUT_MS };
        return ts_check_ref(id, "container", err) < 0 ? -1 : ts_tell(a, &q, err);
}

int ts_api_kill(struct ts_api *a, const char *id, const char *signal, struct ts_err *err)
{
        const char *query[] = { "signal", signal, NULL };
        struct ts_ask q = { .method = TS_POST, .path = "/containers/%/kill", .ref = id, .query = query, .doing = "kill container" };
        return ts_check_ref(id, "container", err) < 0 ? -1 : ts_tell(a, &q, err);
}

int ts_api_remove(struct ts_api *a, const char *id, bool force, bool anonymous_volumes, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        /* Podman would ask it to stop first and wait (10 s): Docker kills at once, and so must it. */
        const char *timeout = force && a->kind == TS_PODMAN ? "timeout" : NULL;
        const char *query[] = { "force", force ? "true" : "false", a->ops->remove_volumes, anonymous_volumes ? "true" : "false", timeout, "0", NULL };
        struct ts_ask q = { .method = TS_DELETE, .path = "/containers/%", .ref = id, .query = query, .timeout_ms = REMOVE_TIMEOUT_MS,
                            .doing = "remove container" };
        if (ts_check_ref(id, "container", err) < 0)
                return -1;
        if (ts_tell(a, &q, &why) == 0 || why.code == TS_ENOTFOUND)
                return 0;
        if (err && !ts_err_is_set(err))
                ts_err_move(err, &why);
        return -1;
}

int ts_api_rename(struct ts_api *a, const char *id, const char *new_name, struct ts_err *err)
{
        const char *query[] = { "name", new_name, NULL };
        struct ts_ask q = { .method = TS_POST, .path = "/containers/%/rename", .ref = id, .query = query, .doing = "rename container" };
        return ts_check_ref(id, "container", err) < 0 || ts_check_ref(new_name, "container", err) < 0 ? -1 : ts_tell(a, &q, err);
}

bool ts_engine_can_set_restart_policy(const struct ts_engine_info *i)
{
        return i->kind == TS_DOCKER || i->v[0] > 5 || (i->v[0] == 5 && i->v[1] >= 1);
}

int ts_api_set_restart_policy(struct ts_api *a, const char *id, const char *policy, int64_t max_retries, struct ts_err *err)
{
        const struct ts_engine_info known = { .kind = a->kind, .v = { a->v[0], a->v[1], a->v[2] } };

        if (ts_check_ref(id, "container", err) < 0)
                return -1;
        if (!ts_engine_can_set_restart_policy(&known)) {
                (void)ts_err_set(err, TS_EENGINE, "Podman %d.%d cannot change the restart policy of container '%s'", a->v[0], a->v[1], id);
                return ts_err_hint(err, "Podman 5.1 and later can; or create the container again with --restart=no");
        }
        return a->ops->set_policy(a, id, policy, max_retries, err);
}

static int keep_warnings(const struct ts_json *answer, struct ts_list *ret, struct ts_err *err)
{
        const struct ts_json *list = ts_json_get(answer, "Warnings");
        for (size_t i = 0; ret && ts_json_is_array(list) && i < ts_json_len(list) && i < 100; i++) {
                const char *text = ts_json_str(ts_json_at(list, i), "", "");
                ts_auto_free char *clean = ts_printable(text, strlen(text), 300);
                if (ts_list_add(ret, clean, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_api_create(struct ts_api *a, const struct ts_create *c, char **ret_id, struct ts_list *ret_warnings, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *body = NULL, *answer = NULL;
        if (ts_check_ref(c->name, "container", err) < 0 || ts_check_image_ref(c->image_ref, err) < 0 ||
            a->ops->create_body(a, c, &body, ret_warnings, err) < 0)
                return -1;
        ts_auto_free char *json = ts_json_text(body, false);
        const char *query[] = { "name", a->ops->create_says_name ? c->name : NULL, NULL };
        struct ts_ask q = { .method = TS_POST, .path = "/containers/create", .query = query, .json = json, .timeout_ms = REMOVE_TIMEOUT_MS };
        ts_auto_free char *doing = ts_fmt("create container '%s'", c->name);
        if (!json || !doing)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        q.doing = doing;
        if (ts_ask_json(a, &q, &answer, err) < 0)
                return -1;
        const char *id = ts_form_check(TS_HEX_ID, ts_json_str(answer, "Id", ""), 80);
        if (!id)
                return ts_err_set(err, TS_EPROTO, "%s created container '%s' without telling its ID", a->ops->name, c->name);
        if (keep_warnings(answer, ret_warnings, err) < 0)
                return -1;
        *ret_id = strdup(id);
        return *ret_id ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_api_connect_networks(struct ts_api *a, const char *id, const struct ts_json *inspect,
                            const struct ts_list *free_networks, struct ts_err *err)
{
        return ts_check_ref(id, "container", err) < 0
                       ? -1
                       : a->ops->connect_networks(a, id, inspect, free_networks, err);
}

/* ---- long calls ---- */

static int start_call(struct ts_api *a, struct ts_call_start *s, const char *verb, const char *ref, struct ts_call **ret, struct ts_err *err)
{
        ts_auto_free char *doing = ref ? ts_fmt("%s '%s'", verb, ref) : ts_fmt("%s", verb);
        if (!doing)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        s->engine = a->ops->name;
        s->doing = doing;
        s->ping = &a->dial;
        s->peer_timeout_ms = a->peer_timeout_ms;
        if (!s->dial)
                s->dial = &a->dial;
        bool first = !ts_err_is_set(err);
        if (ts_call_new(s, ret, err) < 0)
                return first ? ts_err_prefix(err, "cannot %s", doing) : -1;
        return 0;
}

int ts_api_checkpoint(struct ts_api *a, const char *id, const struct ts_checkpoint *o, struct ts_call **ret, struct ts_err *err)
{
        ts_auto_str target = TS_STR_INIT;
        ts_auto_free char *json = NULL;
        if (ts_check_ref(id, "container", err) < 0 || a->ops->checkpoint(a, id, o, &target, &json, err) < 0)
                return -1;
        struct ts_call_start s = { .target = target.buf, .json = json, .dial = o->dial, .timeout_ms = o->timeout_ms };
        s.body = o->export_archive ? TS_CALL_DOWNLOAD : TS_CALL_NO_BODY;
        s.decode = o->export_archive ? NULL : a->ops->decode_checkpoint;
        return start_call(a, &s, "checkpoint container", id, ret, err);
}

int ts_api_restore(struct ts_api *a, const char *id, const struct ts_restore *o, struct ts_call **ret, struct ts_err *err)
{
        ts_auto_str target = TS_STR_INIT;
        const char *ref = o->import ? "import" : id; /* what Podman's own client says; not looked at */
        if (ts_check_ref(ref, "container", err) < 0 || a->ops->restore(a, ref, o, &target, err) < 0)
                return -1;
        struct ts_call_start s = { .target = target.buf, .dial = o->dial, .timeout_ms = o->timeout_ms, .decode = a->ops->decode_restore };
        s.body = o->import ? TS_CALL_UPLOAD : TS_CALL_NO_BODY;
        s.declared_bytes = o->declared_bytes;
        s.own_bytes = o->own_bytes;
        return start_call(a, &s, "restore container", o->import ? ts_or(id, NULL) : id, ret, err);
}

static int needs_docker(const struct ts_api *a, const char *id, const char *name, struct ts_err *err)
{
        if (a->kind != TS_DOCKER)
                return ts_err_set(err, TS_EINTERNAL, "only Docker has named checkpoints");
        return ts_check_ref(id, "container", err) < 0 || ts_check_ref(name, "checkpoint", err) < 0 ? -1 : 0;
}

int ts_api_checkpoints(struct ts_api *a, const char *id, struct ts_list *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        struct ts_ask q = { .path = "/containers/%/checkpoints", .ref = id, .doing = "list the checkpoints of container" };
        if (needs_docker(a, id, "x", err) < 0 || ts_ask_json(a, &q, &j, err) < 0)
                return -1;
        for (size_t i = 0; ts_json_is_array(j) && i < ts_json_len(j); i++) {
                const char *name = ts_form_check(TS_NAME, ts_json_str(ts_json_at(j, i), "Name", ""), 255);
                if (!name)
                        return ts_err_set(err, TS_EPROTO, "the engine's list of checkpoints makes no sense");
                if (ts_list_add(ret, name, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_api_checkpoint_delete(struct ts_api *a, const char *id, const char *name, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        if (needs_docker(a, id, name, err) < 0)
                return -1;
        ts_auto_free char *path = ts_fmt("/containers/%%/checkpoints/%s", name); /* a checked name needs no escape */
        struct ts_ask q = { .method = TS_DELETE, .path = path, .ref = id, .timeout_ms = REMOVE_TIMEOUT_MS, .doing = "delete a checkpoint of container" };
        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_tell(a, &q, &why) == 0 || why.code == TS_ENOTFOUND)
                return 0;
        ts_auto_list left = TS_LIST_INIT; /* that there is none comes as any failure, status 500 */
        if (ts_api_checkpoints(a, id, &left, NULL) == 0 && !ts_list_has(&left, name))
                return 0;
        if (err && !ts_err_is_set(err))
                ts_err_move(err, &why);
        return -1;
}

/* ---- images, as streams ---- */

int ts_api_image_get(struct ts_api *a, const char *const names[], struct ts_call **ret, struct ts_err *err)
{
        ts_auto_str target = TS_STR_INIT;
        if (!names[0])
                return ts_err_set(err, TS_EINTERNAL, "no image to export was named");
        if (ts_target_add(a, &target, a->ops->image_get, NULL, err) < 0)
                return -1;
        for (size_t i = 0; names[i]; i++)
                if (ts_check_image_ref(names[i], err) < 0 || ts_url_query(&target, a->ops->image_get_name, names[i], err) < 0)
                        return -1;
        struct ts_call_start s = { .target = target.buf, .get = true, .body = TS_CALL_DOWNLOAD };
        return start_call(a, &s, "export image", names[0], ret, err);
}

int ts_api_image_load(struct ts_api *a, struct ts_call **ret, struct ts_err *err)
{
        ts_auto_str target = TS_STR_INIT;
        if (ts_target_add(a, &target, a->ops->image_load, NULL, err) < 0)
                return -1;
        struct ts_call_start s = { .target = target.buf, .body = TS_CALL_UPLOAD, .decode = a->ops->decode_load };
        return start_call(a, &s, "load an image", NULL, ret, err);
}
