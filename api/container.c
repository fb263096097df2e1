/* Decides what of an inspect answer the program understands. Both engines answer alike (Podman imitates Docker): one table for the fields, and the few that differ are alternatives in it.
 * Does not ask anything. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define F(field) offsetof(struct ts_container, field)
static const struct ts_field container_fields[] = {
        { "Id", TS_HEX_ID, F(id), TS_REQUIRED, 64 },
        { "Name", TS_NAME, F(name), TS_REQUIRED, 255 },
        { "Image", TS_HEX_ID, F(image_id), TS_OPTIONAL, 80 }, /* none: Podman with --rootfs */
        { "ImageName|Config.Image", TS_TEXT, F(image_name), TS_OPTIONAL, 1024 },
        { "State.Pid", TS_INT, F(pid), TS_REQUIRED, 0 },
        { "State.ExitCode", TS_INT, F(exit_code), TS_OPTIONAL, 0 },
        { "State.StartedAt", TS_TEXT, F(started_at), TS_REQUIRED, 64 },
        { "State.FinishedAt", TS_TEXT, F(finished_at), TS_OPTIONAL, 64 },
        { "State.Paused", TS_BOOL, F(paused), TS_OPTIONAL, 0 },
        { "State.Checkpointed", TS_BOOL, F(checkpointed), TS_OPTIONAL, 0 }, /* Podman, as the next */
        { "State.Restored", TS_BOOL, F(restored), TS_OPTIONAL, 0 },
        { "State.RestoredAt", TS_TEXT, F(restored_at), TS_OPTIONAL, 64 },
        { "Created", TS_TEXT, F(created_at), TS_OPTIONAL, 64 },
        { "HostConfig.AutoRemove", TS_BOOL, F(auto_remove), TS_OPTIONAL, 0 },
        { "HostConfig.Privileged", TS_BOOL, F(privileged), TS_OPTIONAL, 0 },
        { "HostConfig.RestartPolicy.Name", TS_TEXT, F(restart_policy), TS_OPTIONAL, 64 },
        { "HostConfig.RestartPolicy.MaximumRetryCount", TS_INT, F(restart_max), TS_OPTIONAL, 0 },
        { "HostConfig.NetworkMode", TS_TEXT, F(network_mode), TS_OPTIONAL, 512 },
        { "HostConfig.IpcMode", TS_TEXT, F(ipc_mode), TS_OPTIONAL, 512 },
        { "HostConfig.PidMode", TS_TEXT, F(pid_mode), TS_OPTIONAL, 512 },
        { "HostConfig.UsernsMode", TS_TEXT, F(userns_mode), TS_OPTIONAL, 512 },
        { "OCIRuntime|HostConfig.Runtime", TS_TEXT, F(runtime), TS_OPTIONAL, 512 },
        { "HostConfig.LogConfig.Type", TS_TEXT, F(log_driver), TS_OPTIONAL, 128 },
        { "LogPath|HostConfig.LogConfig.Path", TS_PATH, F(log_path), TS_OPTIONAL, 4096 },
        { "HostConfig.CgroupParent", TS_TEXT, F(cgroup_parent), TS_OPTIONAL, 1024 },
        { "Config.Hostname", TS_TEXT, F(hostname), TS_OPTIONAL, 255 },
        { "Config.Tty", TS_BOOL, F(tty), TS_OPTIONAL, 0 },
        { "GraphDriver.Data.UpperDir", TS_PATH, F(upper_dir), TS_OPTIONAL, 4096 },
        { "StaticDir", TS_PATH, F(bundle_dir), TS_OPTIONAL, 4096 },
        { "Pod", TS_HEX_ID, F(pod), TS_OPTIONAL, 64 },
        { "Dependencies", TS_TEXTS, F(dependencies), TS_OPTIONAL, 255 },
};
#undef F
#define F(field) offsetof(struct ts_mount, field)
static const struct ts_field mount_fields[] = {
        { "Type", TS_TEXT, F(type), TS_REQUIRED, 32 },
        { "Name", TS_NAME, F(name), TS_OPTIONAL, 255 },
        { "Source", TS_RAW_TEXT, F(source), TS_OPTIONAL, 4096 }, /* a path only where data lies behind it: an image has its name there */
        { "Destination", TS_PATH, F(destination), TS_REQUIRED, 4096 },
        { "Driver", TS_TEXT, F(driver), TS_OPTIONAL, 255 },
        { "RW", TS_BOOL, F(rw), TS_OPTIONAL, 0 },
};
#undef F
#define F(field) offsetof(struct ts_network_use, field)
static const struct ts_field network_use_fields[] = {
        { "IPAddress", TS_TEXT, F(ip), TS_OPTIONAL, 64 },
        { "MacAddress", TS_TEXT, F(mac), TS_OPTIONAL, 64 },
        { "GlobalIPv6Address", TS_TEXT, F(ip6), TS_OPTIONAL, 64 },
        { "IPAMConfig.IPv4Address", TS_TEXT, F(static_ip), TS_OPTIONAL, 64 }, /* Docker; Podman does not tell */
};
#undef F

static bool is_overlay(const struct ts_json *options)
{
        for (size_t i = 0; ts_json_is_array(options) && i < ts_json_len(options); i++) {
                const char *one = ts_json_str(ts_json_at(options, i), "", "");
                if (strcmp(one, "O") == 0 || ts_starts(one, "lowerdir="))
                        return true;
        }
        return false;
}

/* Podman calls more things "bind" and "volume" than lie behind their source: an overlay over them (":O", and what it makes of an image), a part of a volume, a file system of the kernel. Those get a type
 * of their own, and no source: only data has one. */
static int name_kind(const struct ts_json *j, struct ts_mount *m, struct ts_err *err)
{
        bool volume = ts_streq0(m->type, "volume"), bind = ts_streq0(m->type, "bind");
        const char *kind = NULL;
        if ((volume || bind) && is_overlay(ts_json_member(j, "Options")))
                kind = "overlay";
        else if (volume && *ts_json_str(j, "SubPath", ""))
                kind = "subpath";
        else if (bind && m->source && ts_name_valid(m->source, 32))
                kind = m->source;
        else if ((volume || bind) && m->source && !ts_form_check(TS_PATH, m->source, 4096))
                return ts_err_set(err, TS_EPROTO, "the engine's answer about the container's mounts makes no sense at 'Source'");
        if (kind) {
                ts_auto_free char *own = strdup(kind);
                if (!own)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                free(m->type);
                m->type = TS_TAKE(own);
        }
        if (kind || !(volume || bind))
                free(TS_TAKE(m->source));
        return 0;
}

static int decode_mounts(struct ts_container *c, struct ts_err *err)
{
        const struct ts_json *list = ts_json_get(c->json, "Mounts");
        if (ts_decode_array(list, sizeof(*c->mounts), &c->mounts, &c->n_mounts, "mounts", err) < 0)
                return -1;
        for (size_t i = 0; i < c->n_mounts; i++) {
                struct ts_mount *m = &c->mounts[i];
                if (ts_decode(ts_json_at(list, i), mount_fields, TS_ARRAY_LEN(mount_fields), m, "container's mounts", err) < 0)
                        return -1;
                if (name_kind(ts_json_at(list, i), m, err) < 0)
                        return -1;
                m->anonymous = m->name && strlen(m->name) == 64 && strspn(m->name, "0123456789abcdef") == 64;
        }
        return 0;
}

static char *static_mac(const struct ts_container *c, const struct ts_network_use *n)
{
        /* Before API 1.44 there was one for the container; it was that of the network it was created on. */
        const char *mac = ts_json_str(c->json, "Config.MacAddress", "");
        return *mac && ts_streq0(mac, n->mac) ? strdup(mac) : NULL;
}

static int decode_networks(struct ts_container *c, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(c->json, "NetworkSettings.Networks");
        const char *name;
        struct ts_json *one;
        size_t i = 0;
        /* "none" and "host" are listed like networks, but no network need be there for them. */
        if (ts_streq0(c->network_mode, "none") || ts_streq0(c->network_mode, "host"))
                return 0;
        if (ts_decode_array(all, sizeof(*c->networks), &c->networks, &c->n_networks, "networks", err) < 0)
                return -1;
        for (void *it = NULL; i < c->n_networks && (it = ts_json_each(all, it, &name, &one)); i++) {
                struct ts_network_use *n = &c->networks[i];
                if (*name == '\0' || !ts_form_check(TS_TEXT, name, 255))
                        return ts_err_set(err, TS_EPROTO, "the engine's answer about the container has a network without a proper name");
                n->name = strdup(name);
                if (!n->name)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (ts_json_is_null(one))
                        continue;
                if (ts_decode(one, network_use_fields, TS_ARRAY_LEN(network_use_fields), n, "container's networks", err) < 0)
                        return -1;
                n->static_mac = static_mac(c, n);
        }
        return 0;
}

/* "80/tcp" */
static int decode_port_key(const char *key, struct ts_port *p, struct ts_err *err)
{
        unsigned long long number;
        char digits[8];
        size_t n = strcspn(key, "/");
        if (n >= sizeof(digits) || (key[n] && !ts_name_valid(key + n + 1, 8)))
                return ts_err_set(err, TS_EPROTO, "the engine's answer about the container has a port it cannot have");
        memcpy(digits, key, n);
        digits[n] = '\0';
        if (ts_parse_u64(digits, 1, 65535, &number, NULL) < 0)
                return ts_err_set(err, TS_EPROTO, "the engine's answer about the container has a port it cannot have");
        p->container_port = (unsigned)number;
        p->proto = strdup(key[n] ? key + n + 1 : "tcp");
        return p->proto ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int decode_port(const char *key, const struct ts_json *binding, struct ts_port *p, struct ts_err *err)
{
        unsigned long long number = 0;
        const char *host_port = ts_json_str(binding, "HostPort", ""), *host_ip = ts_json_str(binding, "HostIp", "");
        if (decode_port_key(key, p, err) < 0)
                return -1;
        /* Docker allows a range "8000-8010" in what was asked for: the first counts, nothing is known of the choice before the start. */
        ts_auto_free char *first = strndup(host_port, strcspn(host_port, "-"));
        if (!first || (*first && ts_parse_u64(first, 0, 65535, &number, NULL) < 0) || !ts_form_check(TS_TEXT, host_ip, 64))
                return ts_err_set(err, TS_EPROTO, "the engine's answer about the container has a port it cannot have");
        p->host_port = (unsigned)number;
        p->host_ip = *host_ip ? strdup(host_ip) : NULL;
        return 0;
}

static size_t count_bindings(const struct ts_json *ports)
{
        const char *key;
        struct ts_json *list;
        size_t n = 0;
        for (void *it = NULL; (it = ts_json_each(ports, it, &key, &list));)
                n += ts_json_len(list);
        return n;
}

/* As they are published now; of a container that does not run, as they were asked for. */
static int decode_ports(struct ts_container *c, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(c->json, "NetworkSettings.Ports");
        const char *key;
        struct ts_json *list;
        size_t n = count_bindings(all);
        if (n == 0) {
                all = ts_json_get(c->json, "HostConfig.PortBindings");
                n = count_bindings(all);
        }
        if (n == 0)
                return 0;
        if (n > TS_DECODE_MAX_ITEMS)
                return ts_err_set(err, TS_ELIMIT, "the container has more than %d ports", TS_DECODE_MAX_ITEMS);
        c->ports = calloc(n, sizeof(*c->ports));
        if (!c->ports)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (void *it = NULL; (it = ts_json_each(all, it, &key, &list));)
                for (size_t i = 0; ts_json_is_array(list) && i < ts_json_len(list); i++)
                        if (decode_port(key, ts_json_at(list, i), &c->ports[c->n_ports++], err) < 0)
                                return -1;
        return 0;
}

static int decode_labels(struct ts_container *c, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(c->json, "Config.Labels");
        const char *key;
        struct ts_json *value;
        size_t i = 0;
        if (!ts_json_is_object(all))
                return 0;
        if (ts_decode_array(all, sizeof(*c->labels), &c->labels, &c->n_labels, "labels", err) < 0)
                return -1;
        for (void *it = NULL; i < c->n_labels && (it = ts_json_each(all, it, &key, &value)); i++) {
                c->labels[i].key = strdup(key);
                c->labels[i].value = strdup(ts_json_str(value, "", ""));
                if (!c->labels[i].key || !c->labels[i].value)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

static int decode_lower_dirs(struct ts_container *c, struct ts_err *err)
{
        const char *p = ts_json_str(c->json, "GraphDriver.Data.LowerDir", "");
        while (*p) {
                size_t n = strcspn(p, ":");
                ts_auto_free char *dir = strndup(p, n);
                if (dir && !ts_form_check(TS_PATH, dir, 4096))
                        return ts_err_set(err, TS_EPROTO, "the engine's answer about the container makes no sense at 'GraphDriver.Data.LowerDir'");
                if (ts_list_add(&c->lower_dirs, dir, err) < 0)
                        return -1;
                p += n + (p[n] == ':');
        }
        return 0;
}

static int decode_all(struct ts_container *c, struct ts_err *err)
{
        if (ts_decode(c->json, container_fields, TS_ARRAY_LEN(container_fields), c, "container", err) < 0)
                return -1;
        c->state = ts_state_parse(ts_json_str(c->json, "State.Status", ""));
        if (!c->restart_policy)
                c->restart_policy = strdup("no"); /* "" is how both engines say it when nobody asked for one */
        return decode_lower_dirs(c, err) < 0 || decode_mounts(c, err) < 0 || decode_networks(c, err) < 0 || decode_ports(c, err) < 0 ||
                               decode_labels(c, err) < 0
                       ? -1
                       : 0;
}

int ts_container_decode(struct ts_json *j, struct ts_container **ret, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *c = calloc(1, sizeof(*c));
        if (!c) {
                ts_json_free(j);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        c->json = j;
        if (decode_all(c, err) < 0)
                return -1;
        *ret = TS_TAKE(c);
        return 0;
}

void ts_container_free(struct ts_container *c)
{
        if (!c)
                return;
        ts_decode_free(container_fields, TS_ARRAY_LEN(container_fields), c);
        ts_list_clear(&c->lower_dirs);
        for (size_t i = 0; i < c->n_mounts; i++)
                ts_decode_free(mount_fields, TS_ARRAY_LEN(mount_fields), &c->mounts[i]);
        for (size_t i = 0; i < c->n_networks; i++) {
                ts_decode_free(network_use_fields, TS_ARRAY_LEN(network_use_fields), &c->networks[i]);
                free(c->networks[i].name);
                free(c->networks[i].static_mac);
        }
        for (size_t i = 0; i < c->n_ports; i++) {
                free(c->ports[i].host_ip);
                free(c->ports[i].proto);
        }
        for (size_t i = 0; i < c->n_labels; i++) {
                free(c->labels[i].key);
                free(c->labels[i].value);
        }
        free(c->mounts);
        free(c->networks);
        free(c->ports);
        free(c->labels);
        ts_json_free(c->json);
        free(c);
}

const char *ts_container_label(const struct ts_container *c, const char *key)
{
        for (size_t i = 0; i < c->n_labels; i++)
                if (strcmp(c->labels[i].key, key) == 0)
                        return c->labels[i].value;
        return NULL;
}

/* ---- states ---- */

static const struct {
        const char *text;
        enum ts_state state;
} states[] = {
        { "created", TS_STATE_CREATED },     { "configured", TS_STATE_CREATED }, /* Podman's inner name */
        { "initialized", TS_STATE_CREATED }, /* Podman: the runtime has it, its process waits */
        { "running", TS_STATE_RUNNING },     { "paused", TS_STATE_PAUSED },
        { "exited", TS_STATE_EXITED },       { "stopped", TS_STATE_EXITED }, /* Podman: stopped, not yet cleaned up */
};

enum ts_state ts_state_parse(const char *text)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(states); i++)
                if (strcmp(states[i].text, text) == 0)
                        return states[i].state;
        return TS_STATE_OTHER; /* restarting, removing, stopping, dead, and what comes */
}

const char *ts_state_str(enum ts_state s)
{
        static const char *const names[] = { "absent", "created", "running", "paused", "exited", "other" };
        return (unsigned)s < TS_ARRAY_LEN(names) ? names[s] : "?";
}

/* ---- lists ---- */

int ts_brief_add(struct ts_briefs *b, struct ts_brief **ret, struct ts_err *err)
{
        struct ts_brief *v = reallocarray(b->v, b->n + 1, sizeof(*v));
        if (!v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        b->v = v;
        v[b->n] = (struct ts_brief){ .id = NULL };
        *ret = &v[b->n++];
        return 0;
}

void ts_briefs_clear(struct ts_briefs *b)
{
        for (size_t i = 0; i < b->n; i++) {
                struct ts_brief *one = &b->v[i];
                free(one->id);
                free(one->name);
                free(one->image_id);
                free(one->unreadable);
                free(one->network_mode);
                ts_list_clear(&one->volumes);
                ts_list_clear(&one->labels);
                ts_list_clear(&one->networks);
        }
        free(b->v);
        *b = (struct ts_briefs){ NULL, 0 };
}
