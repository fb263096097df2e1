/* Decides what a Docker engine is told so that it makes a container like another one: an inspect answer becomes the body of a create request.
 *
 * Both hold the same objects Config and HostConfig, so most members are copied; the tables say which are not, and since which API version there are which. A member that is in no table is newer than
 * this program: it is copied too. What cannot be carried over becomes a warning, never silence. Networks are in docker_network.c.
 *
 * The image brings its own environment, command, volumes …; the engine merges them into what it is told. Since the source's are the result of such a merge with the same image, merging again changes
 * nothing, but for an entry point that was reset: it must be asked for with [""]. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum action {
        COPY,       /* unless it is empty: null, "", 0, false, [], {} */
        COPY_EMPTY, /* unless it is null: 0, false or [] mean something */
        DROP,       /* of no use to a copy, or of Windows */
        MADE,       /* by a function below */
};
struct rule {
        const char *key;
        enum action action;
        int since, until; /* API 1.x; 0 = always */
};

static const struct rule config_rules[] = {
        { "Hostname", COPY, 0, 0 }, /* also a default one, the source's short ID: the processes have seen it */
        { "Domainname", COPY, 0, 0 },
        { "User", COPY, 0, 0 },
        { "AttachStdin", COPY, 0, 0 },
        { "AttachStdout", COPY, 0, 0 },
        { "AttachStderr", COPY, 0, 0 },
        { "ExposedPorts", COPY, 0, 0 },
        { "Tty", COPY, 0, 0 },
        { "OpenStdin", COPY, 0, 0 },
        { "StdinOnce", COPY, 0, 0 },
        { "Env", COPY, 0, 0 },
        { "Cmd", COPY, 0, 0 },
        { "Healthcheck", COPY, 0, 0 },
        { "ArgsEscaped", DROP, 0, 0 },
        { "Image", MADE, 0, 0 },
        { "Volumes", COPY, 0, 0 },
        { "WorkingDir", COPY, 0, 0 },
        { "Entrypoint", MADE, 0, 0 },
        { "NetworkDisabled", COPY, 0, 0 },
        { "MacAddress", MADE, 0, 0 },
        { "OnBuild", DROP, 0, 0 },
        { "Labels", MADE, 0, 0 },
        { "StopSignal", COPY, 0, 0 },
        { "StopTimeout", COPY_EMPTY, 0, 0 },
        { "Shell", COPY, 0, 0 },
};

static const struct rule host_rules[] = {
        { "Binds", MADE, 0, 0 },
        { "ContainerIDFile", DROP, 0, 0 },
        { "LogConfig", COPY, 0, 0 },
        { "NetworkMode", MADE, 0, 0 },
        { "PortBindings", MADE, 0, 0 },
        { "RestartPolicy", MADE, 0, 0 },
        { "AutoRemove", DROP, 0, 0 }, /* a copy that stops before it is restored must stay */
        { "VolumeDriver", COPY, 0, 0 },
        { "VolumesFrom", DROP, 0, 0 }, /* what came from there is among the mounts */
        { "ConsoleSize", DROP, 0, 0 },
        { "Annotations", COPY, 43, 0 },
        { "CapAdd", MADE, 0, 0 },
        { "CapDrop", MADE, 0, 0 },
        { "Capabilities", COPY, 40, 40 },
        { "CgroupnsMode", COPY, 41, 0 },
        { "Dns", COPY, 0, 0 },
        { "DnsOptions", COPY, 0, 0 },
        { "DnsSearch", COPY, 0, 0 },
        { "ExtraHosts", COPY, 0, 0 },
        { "GroupAdd", COPY, 0, 0 },
        { "IpcMode", COPY, 0, 0 },
        { "Cgroup", COPY, 0, 0 },
        { "Links", MADE, 0, 0 },
        { "OomScoreAdj", COPY, 0, 0 },
        { "PidMode", COPY, 0, 0 },
        { "Privileged", COPY, 0, 0 },
        { "PublishAllPorts", COPY, 0, 0 }, /* those it had chosen are asked for one by one */
        { "ReadonlyRootfs", COPY, 0, 0 },
        { "SecurityOpt", COPY, 0, 0 },
        { "StorageOpt", COPY, 0, 0 },
        { "Tmpfs", COPY, 0, 0 },
        { "UTSMode", COPY, 0, 0 },
        { "UsernsMode", COPY, 0, 0 },
        { "ShmSize", COPY, 0, 0 },
        { "Sysctls", COPY, 0, 0 },
        { "Runtime", COPY, 0, 0 },
        { "Isolation", COPY, 0, 0 },
        { "CpuShares", COPY, 0, 0 },
        { "Memory", COPY, 0, 0 },
        { "NanoCpus", COPY, 0, 0 },
        { "CgroupParent", COPY, 0, 0 },
        { "BlkioWeight", COPY, 0, 0 },
        { "BlkioWeightDevice", COPY, 0, 0 },
        { "BlkioDeviceReadBps", COPY, 0, 0 },
        { "BlkioDeviceWriteBps", COPY, 0, 0 },
        { "BlkioDeviceReadIOps", COPY, 0, 0 },
        { "BlkioDeviceWriteIOps", COPY, 0, 0 },
        { "CpuPeriod", COPY, 0, 0 },
        { "CpuQuota", COPY, 0, 0 },
        { "CpuRealtimePeriod", COPY, 0, 0 },
        { "CpuRealtimeRuntime", COPY, 0, 0 },
        { "CpusetCpus", COPY, 0, 0 },
        { "CpusetMems", COPY, 0, 0 },
        { "Devices", COPY, 0, 0 },
        { "DeviceCgroupRules", COPY, 0, 0 },
        { "DeviceRequests", COPY, 40, 0 },
        { "DiskQuota", DROP, 0, 0 },
        { "KernelMemory", COPY, 0, 41 },
        { "KernelMemoryTCP", COPY, 40, 41 },
        { "MemoryReservation", COPY, 0, 0 },
        { "MemorySwap", COPY, 0, 0 },
        { "MemorySwappiness", COPY_EMPTY, 0, 0 },
        { "OomKillDisable", COPY, 0, 0 },
        { "PidsLimit", COPY, 0, 0 },
        { "Ulimits", COPY, 0, 0 },
        { "CpuCount", DROP, 0, 0 },
        { "CpuPercent", DROP, 0, 0 },
        { "IOMaximumIOps", DROP, 0, 0 },
        { "IOMaximumBandwidth", DROP, 0, 0 },
        { "Mounts", MADE, 0, 0 },
        { "MaskedPaths", COPY_EMPTY, 38, 0 },
        { "ReadonlyPaths", COPY_EMPTY, 38, 0 },
        { "Init", COPY_EMPTY, 0, 0 },
};

struct maker {
        const struct ts_create *c;
        const struct ts_json *inspect;
        int minor;
        struct ts_json *config; /* becomes the body */
        struct ts_json *host;
        struct ts_list *warnings;
};

static int out_of_memory(struct ts_err *err)
{
        return ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- what is copied ---- */

static bool is_empty(const struct ts_json *v)
{
        if (ts_json_is_object(v) || ts_json_is_array(v))
                return ts_json_len(v) == 0;
        if (ts_json_is_string(v))
                return *ts_json_str(v, "", "") == '\0';
        return ts_json_is_null(v) || (ts_json_is_int(v) && ts_json_int(v, "", 0) == 0) || (ts_json_is_bool(v) && !ts_json_bool(v, "", false));
}

static const struct rule *rule_of(const struct rule *rules, size_t n, const char *key)
{
        static const struct rule unknown = { NULL, COPY, 0, 0 };
        for (size_t i = 0; i < n; i++)
                if (strcmp(rules[i].key, key) == 0)
                        return &rules[i];
        return &unknown;
}

static int warn(struct maker *m, struct ts_err *err, const char *key, const char *why)
{
        ts_auto_free char *clean = ts_printable(key, strlen(key), 64);
        return m->warnings ? ts_list_addf(m->warnings, err, "%s: %s", ts_or(clean, "?"), why) : 0;
}

static int copy_one(struct maker *m, const struct rule *r, const char *key, const struct ts_json *value, struct ts_json *to, struct ts_err *err)
{
        if (r->action == DROP || r->action == MADE || ts_json_is_null(value) || (r->action == COPY && is_empty(value)))
                return 0;
        if (m->minor < r->since)
                return warn(m, err, key, "the target's Docker is too old for this setting of the container");
        if (r->until && m->minor > r->until)
                return warn(m, err, key, "the target's Docker no longer knows this setting of the container");
        return ts_json_set(to, key, ts_json_copy(value)) < 0 ? out_of_memory(err) : 0;
}

static int copy_members(struct maker *m, const char *object, const struct rule *rules, size_t n, struct ts_json *to, struct ts_err *err)
{
        const struct ts_json *from = ts_json_member(m->inspect, object);
        const char *key;
        struct ts_json *value;
        if (!ts_json_is_object(from))
                return ts_err_set(err, TS_EPROTO, "the inspect answer to create from has no '%s'", object);
        for (void *it = NULL; (it = ts_json_each(from, it, &key, &value));)
                if (copy_one(m, rule_of(rules, n, key), key, value, to, err) < 0)
                        return -1;
        return 0;
}

/* ---- mounts ---- */

static bool same_path(const char *a, const char *b)
{
        size_t na = strlen(a), nb = strlen(b);
        while (na > 1 && a[na - 1] == '/')
                na--;
        while (nb > 1 && b[nb - 1] == '/')
                nb--;
        return na == nb && strncmp(a, b, na) == 0;
}

/* "source:destination[:mode]"; "destination" alone is an anonymous volume. Caller frees. */
static char *bind_destination(const char *bind)
{
        const char *colon = strchr(bind, ':');
        return colon ? strndup(colon + 1, strcspn(colon + 1, ":")) : strdup(bind);
}

static const struct ts_json *mount_at(const struct maker *m, const char *destination)
{
        const struct ts_json *all = ts_json_member(m->inspect, "Mounts");
        for (size_t i = 0; i < ts_json_len(all); i++)
                if (same_path(ts_json_str(ts_json_at(all, i), "Destination", ""), destination))
                        return ts_json_at(all, i);
        return NULL;
}

/* A volume's data comes from the source: what the image has at that place must not be copied into an empty one. Where no mode was given the engine had chosen "z" (SELinux), which it does no longer
 * where there is one. Caller frees. */
static char *bind_without_copy(const struct maker *m, const char *bind)
{
        const char *colon = strchr(bind, ':'), *mode = colon ? strchr(colon + 1, ':') : NULL;
        if (*bind == '/' || (mode && strstr(mode, "nocopy")))
                return strdup(bind);
        if (mode)
                return ts_fmt("%s,nocopy", bind);
        ts_auto_free char *destination = bind_destination(bind);
        bool shared_label = destination && strcmp(ts_json_str(mount_at(m, destination), "Mode", ""), "z") == 0;
        return ts_fmt("%s:%snocopy", bind, shared_label ? "z," : "");
}

static int make_binds(struct maker *m, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(m->inspect, "HostConfig.Binds");
        if (ts_json_len(all) == 0)
                return 0;
        struct ts_json *to = ts_json_child_array(m->host, "Binds");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const char *bind = ts_json_str(ts_json_at(all, i), "", "");
                if (!strchr(bind, ':')) /* anonymous: it is among the mounts, where it has its name */
                        continue;
                ts_auto_free char *text = bind_without_copy(m, bind);
                if (!to || !text || ts_json_append(to, ts_json_new_str(text)) < 0)
                        return out_of_memory(err);
        }
        return 0;
}

static int no_copy(struct ts_json *mount, struct ts_err *err)
{
        struct ts_json *options = ts_json_child(mount, "VolumeOptions");
        return !options || ts_json_set_bool(options, "NoCopy", true) < 0 ? out_of_memory(err) : 0;
}

/* Those the user wrote as mounts; an anonymous volume among them gets the name the engine had given it. */
static int make_mounts(struct maker *m, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(m->inspect, "HostConfig.Mounts");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                struct ts_json *to = ts_json_child_array(m->host, "Mounts"), *one = ts_json_copy(ts_json_at(all, i));
                if (!to || ts_json_append(to, one) < 0)
                        return out_of_memory(err);
                if (strcmp(ts_json_str(one, "Type", ""), "volume") != 0)
                        continue;
                const char *name = ts_json_str(mount_at(m, ts_json_str(one, "Target", "")), "Name", NULL);
                if (*ts_json_str(one, "Source", "") == '\0' && ts_json_set_str(one, "Source", name) < 0)
                        return out_of_memory(err);
                if (no_copy(one, err) < 0)
                        return -1;
        }
        return 0;
}

static bool is_bound(const struct maker *m, const char *destination)
{
        const struct ts_json *binds = ts_json_member(m->host, "Binds"), *mounts = ts_json_member(m->host, "Mounts");
        for (size_t i = 0; i < ts_json_len(binds); i++) {
                ts_auto_free char *there = bind_destination(ts_json_str(ts_json_at(binds, i), "", ""));
                if (there && same_path(there, destination))
                        return true;
        }
        for (size_t i = 0; i < ts_json_len(mounts); i++)
                if (same_path(ts_json_str(ts_json_at(mounts, i), "Target", ""), destination))
                        return true;
        return false;
}

static int add_mount(struct maker *m, const struct ts_json *from, struct ts_err *err)
{
        const char *type = ts_json_str(from, "Type", ""), *propagation = ts_json_str(from, "Propagation", "");
        bool volume = strcmp(type, "volume") == 0;
        struct ts_json *to = ts_json_child_array(m->host, "Mounts"), *one = ts_json_object();
        if (!to || ts_json_append(to, one) < 0)
                return out_of_memory(err);
        if (ts_json_set_str(one, "Type", type) < 0 || ts_json_set_str(one, "Source", ts_json_str(from, volume ? "Name" : "Source", "")) < 0 ||
            ts_json_set_str(one, "Target", ts_json_str(from, "Destination", "")) < 0 ||
            ts_json_set_bool(one, "ReadOnly", !ts_json_bool(from, "RW", true)) < 0)
                return out_of_memory(err);
        if (volume)
                return no_copy(one, err);
        struct ts_json *options = *propagation ? ts_json_child(one, "BindOptions") : NULL;
        return *propagation && (!options || ts_json_set_str(options, "Propagation", propagation) < 0) ? out_of_memory(err) : 0;
}

/* Anonymous volumes, those of the image, and what came from other containers: everything that is mounted and was not asked for by the copied members. */
static int make_other_mounts(struct maker *m, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(m->inspect, "Mounts");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const struct ts_json *one = ts_json_at(all, i);
                const char *type = ts_json_str(one, "Type", "");
                if (strcmp(type, "volume") != 0 && strcmp(type, "bind") != 0)
                        continue;
                if (!is_bound(m, ts_json_str(one, "Destination", "")) && add_mount(m, one, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- ports ---- */

static bool is_fixed(const char *port)
{
        return *port && strcmp(port, "0") != 0 && !strchr(port, '-');
}

/* A port the engine had chosen is asked for now: clients know it. */
static int fix_ports(struct ts_json *bindings, const struct ts_json *actual)
{
        for (size_t i = 0; i < ts_json_len(bindings); i++) {
                struct ts_json *b = ts_json_at(bindings, i);
                const struct ts_json *now = i < ts_json_len(actual) ? ts_json_at(actual, i) : ts_json_at(actual, 0);
                if (!is_fixed(ts_json_str(b, "HostPort", "")) && now && ts_json_set_str(b, "HostPort", ts_json_str(now, "HostPort", "")) < 0)
                        return -1;
        }
        return 0;
}

static int publish(struct ts_json *ports, const char *key, const struct ts_json *actual)
{
        struct ts_json *list = ts_json_child_array(ports, key), *one = ts_json_object();
        if (!list || ts_json_append(list, one) < 0 || ts_json_set_str(one, "HostIp", "") < 0)
                return -1;
        return ts_json_set_str(one, "HostPort", ts_json_str(ts_json_at(actual, 0), "HostPort", ""));
}

static int make_ports(struct maker *m, struct ts_err *err)
{
        const struct ts_json *asked = ts_json_get(m->inspect, "HostConfig.PortBindings"), *actual = ts_json_get(m->inspect, "NetworkSettings.Ports");
        struct ts_json *ports = ts_json_is_object(asked) ? ts_json_copy(asked) : ts_json_object(), *list;
        const char *key;
        if (ts_json_set(m->host, "PortBindings", ports) < 0)
                return out_of_memory(err);
        for (void *it = NULL; (it = ts_json_each(ports, it, &key, &list));)
                if (fix_ports(list, ts_json_member(actual, key)) < 0)
                        return out_of_memory(err);
        if (!ts_json_bool(m->inspect, "HostConfig.PublishAllPorts", false))
                return 0;
        for (void *it = NULL; (it = ts_json_each(actual, it, &key, &list));)
                if (ts_json_len(list) > 0 && !ts_json_member(ports, key) && publish(ports, key, list) < 0)
                        return out_of_memory(err);
        return 0;
}

/* ---- the rest ---- */

/* "CAP_SYS_ADMIN" is new; "SYS_ADMIN" is taken by old and new engines. */
static int make_capabilities(struct maker *m, const char *key, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(ts_json_member(m->inspect, "HostConfig"), key);
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const char *one = ts_json_str(ts_json_at(all, i), "", "");
                struct ts_json *to = ts_json_child_array(m->host, key);
                if (!to || ts_json_append(to, ts_json_new_str(one + (ts_starts(one, "CAP_") ? 4 : 0))) < 0)
                        return out_of_memory(err);
        }
        return 0;
}

/* "/other:/this/alias" is shown for what is asked for as "other:alias". */
static int make_links(struct maker *m, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(m->inspect, "HostConfig.Links");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const char *link = ts_json_str(ts_json_at(all, i), "", ""), *colon = strchr(link, ':'), *slash = colon ? strrchr(colon, '/') : NULL;
                ts_auto_free char *text = slash ? ts_fmt("%.*s:%s", (int)(colon - link) - (*link == '/'), link + (*link == '/'), slash + 1) : strdup(link);
                struct ts_json *to = ts_json_child_array(m->host, "Links");
                if (!to || !text || ts_json_append(to, ts_json_new_str(text)) < 0)
                        return out_of_memory(err);
                if (warn(m, err, "Links", "the linked container has to be on the target too") < 0)
                        return -1;
        }
        return 0;
}

static int make_policy(struct maker *m, struct ts_err *err)
{
        struct ts_json *policy = ts_json_child(m->host, "RestartPolicy");
        return !policy || ts_json_set_str(policy, "Name", "no") < 0 ? out_of_memory(err) : 0;
}

/* An entry point that is null was reset by the user, or the image has none: [""] says both. */
static int make_entrypoint(struct maker *m, struct ts_err *err)
{
        const struct ts_json *asked = ts_json_get(m->inspect, "Config.Entrypoint");
        if (ts_json_len(asked) > 0 || ts_json_is_string(asked))
                return ts_json_set(m->config, "Entrypoint", ts_json_copy(asked)) < 0 ? out_of_memory(err) : 0;
        if (ts_json_set(m->config, "Entrypoint", ts_json_array()) < 0 || ts_json_append(ts_json_member(m->config, "Entrypoint"), ts_json_new_str("")) < 0)
                return out_of_memory(err);
        return 0;
}

static bool is_free(const struct maker *m, const char *network)
{
        return m->c->free_addresses ||
               (m->c->free_networks && ts_list_has(m->c->free_networks, network));
}

/* An address that is kept without having been asked for is marked, so that the next move may let it
 * go. */
static int mark_chosen(struct maker *m, struct ts_json *labels, struct ts_err *err)
{
        const char *network;
        struct ts_json *one;
        for (void *it = NULL;
             (it = ts_json_each(ts_json_get(m->inspect, "NetworkSettings.Networks"), it, &network,
                                &one));) {
                ts_auto_free char *key = ts_fmt(TS_DOCKER_CHOSEN "%s", network);
                const char *ip = ts_json_str(one, "IPAddress", "");
                bool kept = ts_docker_network_is_own(network) && *ip && !is_free(m, network) &&
                            ts_docker_address_chosen(m->inspect, network);
                if (!key)
                        return out_of_memory(err);
                (void)ts_json_del(labels, key);
                if (kept && ts_json_set_str(labels, key, ip) < 0)
                        return out_of_memory(err);
        }
        return 0;
}

static int make_labels(struct maker *m, struct ts_err *err)
{
        const struct ts_json *all = ts_json_get(m->inspect, "Config.Labels");
        struct ts_json *labels = ts_json_is_object(all) ? ts_json_copy(all) : ts_json_object();
        if (ts_json_set(m->config, "Labels", labels) < 0)
                return out_of_memory(err);
        if (mark_chosen(m, labels, err) < 0)
                return -1;
        return ts_label_add(labels, m->c->extra_label, err);
}

static int make_network(struct maker *m, struct ts_err *err)
{
        ts_auto_free char *mode = ts_docker_first_network(m->inspect);
        if (!mode || ts_json_set_str(m->host, "NetworkMode", mode) < 0)
                return out_of_memory(err);
        if (strcmp(mode, "bridge") != 0 && !ts_docker_network_is_own(mode))
                return 0;
        struct ts_json *endpoint = ts_docker_endpoint(m->inspect, mode, m->minor, is_free(m, mode));
        const char *mac = ts_docker_mac(m->inspect, mode);
        if (m->minor < 44 && ts_json_set_str(m->config, "MacAddress", mac) < 0) {
                ts_json_free(endpoint);
                return out_of_memory(err);
        }
        if (endpoint && ts_json_len(endpoint) == 0) {
                ts_json_free(endpoint);
                return 0;
        }
        struct ts_json *networking = ts_json_child(m->config, "NetworkingConfig"), *all = networking ? ts_json_child(networking, "EndpointsConfig") : NULL;
        if (!all) {
                ts_json_free(endpoint);
                return out_of_memory(err);
        }
        return ts_json_set(all, mode, endpoint) < 0 ? out_of_memory(err) : 0;
}

/* What the engine refuses beside a namespace that is another's. */
static void drop_conflicts(struct maker *m)
{
        static const char *const with_other_network[] = { "Dns", "DnsOptions", "DnsSearch", "ExtraHosts", "Links", "PortBindings" };
        bool others = ts_starts(ts_json_str(m->host, "NetworkMode", ""), "container:");
        if (others || strcmp(ts_json_str(m->host, "UTSMode", ""), "host") == 0)
                (void)ts_json_del(m->config, "Hostname");
        if (!others)
                return;
        (void)ts_json_del(m->config, "ExposedPorts");
        for (size_t i = 0; i < TS_ARRAY_LEN(with_other_network); i++)
                (void)ts_json_del(m->host, with_other_network[i]);
}

static int make_all(struct maker *m, struct ts_err *err)
{
        if (ts_json_set_str(m->config, "Image", m->c->image_ref) < 0)
                return out_of_memory(err);
        if (copy_members(m, "Config", config_rules, TS_ARRAY_LEN(config_rules), m->config, err) < 0 ||
            copy_members(m, "HostConfig", host_rules, TS_ARRAY_LEN(host_rules), m->host, err) < 0 || make_entrypoint(m, err) < 0 ||
            make_labels(m, err) < 0 || make_binds(m, err) < 0 || make_mounts(m, err) < 0 || make_other_mounts(m, err) < 0 || make_ports(m, err) < 0 ||
            make_capabilities(m, "CapAdd", err) < 0 || make_capabilities(m, "CapDrop", err) < 0 || make_links(m, err) < 0 ||
            make_policy(m, err) < 0 || make_network(m, err) < 0)
                return -1;
        drop_conflicts(m);
        return 0;
}

int ts_docker_create_body(const struct ts_create *c, int minor, struct ts_json **ret, struct ts_list *ret_warnings, struct ts_err *err)
{
        if (!c->inspect)
                return ts_err_set(err, TS_EUSAGE, "there is no inspect answer to create container '%s' from", c->name);
        ts_auto(ts_json) struct ts_json *body = ts_json_object();
        struct maker m = { .c = c, .inspect = c->inspect, .minor = minor, .config = body, .warnings = ret_warnings };
        m.host = body ? ts_json_child(body, "HostConfig") : NULL;
        if (!m.host)
                return out_of_memory(err);
        if (make_all(&m, err) < 0)
                return -1;
        *ret = TS_TAKE(body);
        return 0;
}
