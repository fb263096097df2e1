/* Decides what the program understands of images, networks and volumes. Podman writes its networks in lower case and Docker in upper case: both are alternatives in one table. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* ---- images ---- */

#define F(field) offsetof(struct ts_image, field)
static const struct ts_field image_fields[] = {
        { "Id", TS_HEX_ID, F(id), TS_REQUIRED, 80 },
        { "RepoTags", TS_TEXTS, F(names), TS_OPTIONAL, 1024 },
        { "Size", TS_SIZE, F(size_bytes), TS_OPTIONAL, 0 },
        { "Architecture", TS_TEXT, F(arch), TS_OPTIONAL, 64 },
        { "Os", TS_TEXT, F(os), TS_OPTIONAL, 64 },
};
#undef F

void ts_image_free(struct ts_image *i)
{
        if (!i)
                return;
        ts_decode_free(image_fields, TS_ARRAY_LEN(image_fields), i);
        ts_json_free(i->json);
        free(i);
}

int ts_api_image(struct ts_api *a, const char *ref, struct ts_image **ret, struct ts_err *err)
{
        struct ts_ask q = { .path = a->ops->image_path, .ref = ref, .doing = "inspect image" };
        ts_auto(ts_image) struct ts_image *i = calloc(1, sizeof(*i));
        if (!i)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_check_image_ref(ref, err) < 0 || ts_ask_json(a, &q, &i->json, err) < 0 ||
            ts_decode(i->json, image_fields, TS_ARRAY_LEN(image_fields), i, "image", err) < 0)
                return -1;
        *ret = TS_TAKE(i);
        return 0;
}

/* "host:5000/a/b:tag" is repo "host:5000/a/b" and tag "tag"; without a tag it is "latest". */
static int tell_tag(struct ts_api *a, const char *path, const char *image, const char *name, const char *doing, struct ts_err *err)
{
        if (ts_check_image_ref(image, err) < 0 || ts_check_image_ref(name, err) < 0)
                return -1;
        const char *slash = strrchr(name, '/'), *colon = strrchr(name, ':');
        bool tagged = colon && (!slash || colon > slash);
        ts_auto_free char *repo = strndup(name, tagged ? (size_t)(colon - name) : strlen(name));
        const char *query[] = { "repo", repo, "tag", tagged ? colon + 1 : "latest", NULL };
        struct ts_ask q = { .method = TS_POST, .path = path, .ref = image, .query = query, .doing = doing };
        return repo ? ts_tell(a, &q, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_api_image_tag(struct ts_api *a, const char *id, const char *name, struct ts_err *err)
{
        return tell_tag(a, "/images/%/tag", id, name, "tag image", err);
}

/* Docker removes an image with its last name. */
int ts_api_image_untag(struct ts_api *a, const char *name, struct ts_err *err)
{
        return a->kind == TS_PODMAN ? tell_tag(a, "/images/%/untag", name, name, "untag image", err) : ts_api_image_remove(a, name, err);
}

/* Absent already is success. */
static int tell_delete(struct ts_api *a, const char *path, const char *ref, const char *doing, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        struct ts_ask q = { .method = TS_DELETE, .path = path, .ref = ref, .timeout_ms = 120000, .doing = doing };
        if (ts_tell(a, &q, &why) == 0 || why.code == TS_ENOTFOUND)
                return 0;
        if (err && !ts_err_is_set(err))
                ts_err_move(err, &why);
        return -1;
}

int ts_api_image_remove(struct ts_api *a, const char *id, struct ts_err *err)
{
        return ts_check_image_ref(id, err) < 0 ? -1 : tell_delete(a, a->ops->image_delete, id, "remove image", err);
}

/* ---- networks ---- */

#define F(field) offsetof(struct ts_network, field)
static const struct ts_field network_fields[] = {
        { "name|Name", TS_TEXT, F(name), TS_REQUIRED, 255 },
        { "id|Id", TS_TEXT, F(id), TS_OPTIONAL, 64 },
        { "driver|Driver", TS_TEXT, F(driver), TS_OPTIONAL, 255 },
        { "network_interface|Options.parent", TS_TEXT, F(parent), TS_OPTIONAL, 64 },
        { "internal|Internal", TS_BOOL, F(internal), TS_OPTIONAL, 0 },
        { "ipv6_enabled|EnableIPv6", TS_BOOL, F(ipv6), TS_OPTIONAL, 0 },
        { "dns_enabled", TS_BOOL, F(dns), TS_OPTIONAL, 0 },
};
#undef F
#define F(field) offsetof(struct ts_subnet, field)
static const struct ts_field subnet_fields[] = {
        { "subnet|Subnet", TS_TEXT, F(subnet), TS_OPTIONAL, 64 },
        { "gateway|Gateway", TS_TEXT, F(gateway), TS_OPTIONAL, 64 },
        { "IPRange", TS_TEXT, F(range), TS_OPTIONAL, 64 },
};
#undef F

void ts_network_free(struct ts_network *n)
{
        if (!n)
                return;
        ts_decode_free(network_fields, TS_ARRAY_LEN(network_fields), n);
        for (size_t i = 0; i < n->n_subnets; i++)
                ts_decode_free(subnet_fields, TS_ARRAY_LEN(subnet_fields), &n->subnets[i]);
        free(n->subnets);
        ts_json_free(n->json);
        free(n);
}

/* Podman gives the first and the last address. */
static int decode_lease_range(const struct ts_json *j, struct ts_subnet *s, struct ts_err *err)
{
        const char *from = ts_json_str(j, "lease_range.start_ip", ""), *to = ts_json_str(j, "lease_range.end_ip", "");
        if (*from == '\0' && *to == '\0')
                return 0;
        if (!ts_form_check(TS_TEXT, from, 64) || !ts_form_check(TS_TEXT, to, 64))
                return ts_err_set(err, TS_EPROTO, "the engine's answer about the network makes no sense at 'lease_range'");
        s->range = ts_fmt("%s-%s", from, to);
        return s->range ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int decode_subnets(struct ts_network *n, struct ts_err *err)
{
        const struct ts_json *list = ts_json_get(n->json, "subnets");
        if (!ts_json_is_array(list))
                list = ts_json_get(n->json, "IPAM.Config");
        if (!ts_json_is_array(list))
                return 0;
        if (ts_decode_array(list, sizeof(*n->subnets), &n->subnets, &n->n_subnets, "subnets", err) < 0)
                return -1;
        for (size_t i = 0; i < n->n_subnets; i++)
                if (ts_decode(ts_json_at(list, i), subnet_fields, TS_ARRAY_LEN(subnet_fields), &n->subnets[i], "network", err) < 0 ||
                    decode_lease_range(ts_json_at(list, i), &n->subnets[i], err) < 0)
                        return -1;
        return 0;
}

static bool is_builtin(const struct ts_api *a, const char *name)
{
        static const char *const docker[] = { "bridge", "host", "none", "docker_gwbridge", "ingress" };
        for (size_t i = 0; a->kind == TS_DOCKER && i < TS_ARRAY_LEN(docker); i++)
                if (strcmp(docker[i], name) == 0)
                        return true;
        return a->kind == TS_PODMAN && strcmp(name, "podman") == 0;
}

/* Takes j over, also on failure. */
static int network_decode(const struct ts_api *a, struct ts_json *j, struct ts_network **ret, struct ts_err *err)
{
        ts_auto(ts_network) struct ts_network *n = calloc(1, sizeof(*n));
        if (!n) {
                ts_json_free(j);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        n->json = j;
        if (ts_decode(j, network_fields, TS_ARRAY_LEN(network_fields), n, "network", err) < 0 || decode_subnets(n, err) < 0)
                return -1;
        n->builtin = is_builtin(a, n->name);
        n->engine_major = a->have_info ? a->info.v[0] : 0;
        if (a->kind == TS_DOCKER)
                n->dns = !n->builtin;
        if (!ts_streq0(n->driver, "macvlan") && !ts_streq0(n->driver, "ipvlan")) { /* of a bridge Podman tells the bridge's own name */
                free(n->parent);
                n->parent = NULL;
        }
        *ret = TS_TAKE(n);
        return 0;
}

static int check_network_name(const char *name, struct ts_err *err)
{
        if (name && *name && *name != '/' && !strstr(name, "..") && ts_form_check(TS_TEXT, name, 255))
                return 0;
        return ts_err_set(err, TS_EUSAGE, "that cannot be the name of a network");
}

int ts_api_network(struct ts_api *a, const char *name, struct ts_network **ret, struct ts_err *err)
{
        struct ts_json *j = NULL;
        ts_auto(ts_network) struct ts_network *n = NULL;
        struct ts_ask q = { .path = a->ops->network_path, .ref = name, .doing = "inspect network" };
        if (check_network_name(name, err) < 0 || ts_ask_json(a, &q, &j, err) < 0 || network_decode(a, j, &n, err) < 0)
                return -1;
        if (strcmp(n->name, name) != 0 && !ts_streq0(n->id, name)) /* both engines also take the beginning of an ID */
                return ts_err_set(err, TS_ENOTFOUND, "there is no network '%s'", name);
        *ret = TS_TAKE(n);
        return 0;
}

int ts_api_networks(struct ts_api *a, struct ts_networks *ret, struct ts_err *err)
{
        struct ts_networks all = { NULL, 0 };
        ts_auto(ts_json) struct ts_json *j = NULL;
        if (ts_ask_json(a, &(struct ts_ask){ .path = a->ops->network_list, .doing = "list the networks" }, &j, err) < 0)
                return -1;
        size_t n = ts_json_is_array(j) ? ts_json_len(j) : 0;
        all.v = calloc(n + 1, sizeof(struct ts_network *));
        if (!all.v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (; all.n < n; all.n++)
                if (network_decode(a, ts_json_copy(ts_json_at(j, all.n)), &all.v[all.n], err) < 0) {
                        ts_networks_clear(&all);
                        return -1;
                }
        *ret = all;
        return 0;
}

void ts_networks_clear(struct ts_networks *n)
{
        for (size_t i = 0; i < n->n; i++)
                ts_network_free(n->v[i]);
        free(n->v);
        *n = (struct ts_networks){ NULL, 0 };
}

static int post_body(struct ts_api *a, const char *path, struct ts_json *body, const char *labels, const char *extra_label, const char *doing,
                     struct ts_json **ret, struct ts_err *err)
{
        struct ts_json *all = body ? ts_json_child(body, labels) : NULL;
        if (!all)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_label_add(all, extra_label, err) < 0)
                return -1;
        ts_auto_free char *json = ts_json_text(body, false);
        if (!json)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_ask_json(a, &(struct ts_ask){ .method = TS_POST, .path = path, .json = json, .doing = doing }, ret, err);
}

int ts_api_network_create_like(struct ts_api *a, const struct ts_network *src, const char *extra_label, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *body = NULL, *answer = NULL;
        if (src->builtin)
                return ts_err_set(err, TS_EINTERNAL, "network '%s' is the engine's own", src->name);
        bool podman_form = ts_json_is_string(ts_json_member(src->json, "name"));
        if (podman_form != (a->kind == TS_PODMAN))
                return ts_err_set(err, TS_EINTERNAL, "network '%s' is of another kind of engine", src->name);
        ts_auto_free char *doing = ts_fmt("create network '%s'", src->name);
        if (!doing)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        body = a->ops->network_body(a, src);
        return post_body(a, "/networks/create", body, podman_form ? "labels" : "Labels", extra_label, doing, &answer, err);
}

int ts_api_network_remove(struct ts_api *a, const char *name, struct ts_err *err)
{
        return check_network_name(name, err) < 0 ? -1 : tell_delete(a, a->ops->network_delete, name, "remove network", err);
}

/* ---- volumes ---- */

#define F(field) offsetof(struct ts_volume, field)
static const struct ts_field volume_fields[] = {
        { "Name", TS_NAME, F(name), TS_REQUIRED, 255 },
        { "Driver", TS_TEXT, F(driver), TS_OPTIONAL, 255 },
        { "Mountpoint", TS_PATH, F(mountpoint), TS_OPTIONAL, 4096 },
};
#undef F

void ts_volume_free(struct ts_volume *v)
{
        if (!v)
                return;
        ts_decode_free(volume_fields, TS_ARRAY_LEN(volume_fields), v);
        ts_json_free(v->json);
        free(v);
}

static int volume_decode(struct ts_json *j, struct ts_volume **ret, struct ts_err *err)
{
        ts_auto(ts_volume) struct ts_volume *v = calloc(1, sizeof(*v));
        if (!v) {
                ts_json_free(j);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        v->json = j;
        if (ts_decode(j, volume_fields, TS_ARRAY_LEN(volume_fields), v, "volume", err) < 0)
                return -1;
        *ret = TS_TAKE(v);
        return 0;
}

int ts_api_volume(struct ts_api *a, const char *name, struct ts_volume **ret, struct ts_err *err)
{
        struct ts_json *j = NULL;
        struct ts_ask q = { .path = a->ops->volume_path, .ref = name, .doing = "inspect volume" };
        ts_auto(ts_volume) struct ts_volume *v = NULL;
        if (ts_check_ref(name, "volume", err) < 0 || ts_ask_json(a, &q, &j, err) < 0 || volume_decode(j, &v, err) < 0)
                return -1;
        if (strcmp(v->name, name) != 0) /* Podman also takes the beginning of a name */
                return ts_err_set(err, TS_ENOTFOUND, "there is no volume '%s'", name);
        *ret = TS_TAKE(v);
        return 0;
}

/* Docker answers with the volume that is there: so it is looked for first. */
static int volume_absent(struct ts_api *a, const char *name, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        ts_auto(ts_volume) struct ts_volume *there = NULL;
        if (ts_api_volume(a, name, &there, &why) == 0)
                return ts_err_set(err, TS_ECONFLICT, "there is a volume '%s' already", name);
        if (why.code == TS_ENOTFOUND)
                return 0;
        if (err && !ts_err_is_set(err))
                ts_err_move(err, &why);
        return -1;
}

int ts_api_volume_create_like(struct ts_api *a, const struct ts_volume *src, const char *extra_label, struct ts_volume **ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *body = NULL;
        struct ts_json *answer = NULL;
        ts_auto_free char *doing = ts_fmt("create volume '%s'", src->name);
        if (!doing)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_check_ref(src->name, "volume", err) < 0 || volume_absent(a, src->name, err) < 0)
                return -1;
        body = a->ops->volume_body(src);
        if (post_body(a, a->ops->volume_create, body, "Labels", extra_label, doing, &answer, err) < 0)
                return -1;
        return volume_decode(answer, ret, err);
}

int ts_api_volume_remove(struct ts_api *a, const char *name, struct ts_err *err)
{
        return ts_check_ref(name, "volume", err) < 0 ? -1 : tell_delete(a, a->ops->volume_delete, name, "remove volume", err);
}
