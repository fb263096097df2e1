/* Decides what Podman is told so that it makes a container like another one.
 *
 * `podman generate spec` (5.4) is the start, but it forgets much: host name, namespaces of the host, signals, limits, capabilities, DNS, health check, log and security options … What it leaves out is
 * completed from the source's inspect answer; what it says is left alone. Settings that neither of them shows are looked for in the command the container was created with, or become a warning. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct maker {
        const struct ts_json *inspect;
        struct ts_json *spec;
        struct ts_list *warnings; /* or NULL */
};

static int out_of_memory(struct ts_err *err)
{
        return ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int warn(struct maker *m, struct ts_err *err, const char *text)
{
        return m->warnings ? ts_list_add(m->warnings, text, err) : 0;
}

/* ---- what is copied ---- */

static const struct {
        const char *from, *to;
} copies[] = {
        { "Config.WorkingDir", "work_dir" },
        { "Config.StopTimeout", "stop_timeout" },
        { "Config.Healthcheck", "healthconfig" },
        { "Config.StartupHealthCheck", "startupHealthConfig" },
        { "Config.Tty", "terminal" },
        { "Config.OpenStdin", "stdin" },
        { "HostConfig.CapAdd", "cap_add" },
        { "HostConfig.CapDrop", "cap_drop" },
        { "HostConfig.OomScoreAdj", "oom_score_adj" },
        { "HostConfig.ReadonlyRootfs", "read_only_filesystem" },
        { "HostConfig.Init", "init" },
        { "HostConfig.CgroupParent", "cgroup_parent" },
        { "HostConfig.HostsFile", "base_hosts_file" },
        { "OCIRuntime", "oci_runtime" },
};

/* Only with a network namespace of its own. */
static const struct {
        const char *from, *to;
} net_copies[] = {
        { "HostConfig.Dns", "dns_server" },
        { "HostConfig.DnsSearch", "dns_search" },
        { "HostConfig.DnsOptions", "dns_option" },
        { "HostConfig.ExtraHosts", "hostadd" },
};

static bool says_nothing(const struct ts_json *v)
{
        if (ts_json_is_string(v))
                return *ts_json_str(v, "", "") == '\0';
        if (ts_json_is_bool(v))
                return !ts_json_bool(v, "", false);
        return ts_json_is_null(v) || (!ts_json_is_int(v) && ts_json_len(v) == 0);
}

static int copy(struct maker *m, const char *from, const char *to, struct ts_err *err)
{
        const struct ts_json *v = ts_json_get(m->inspect, from);
        if (says_nothing(v) || !ts_json_is_null(ts_json_member(m->spec, to)))
                return 0;
        return ts_json_set(m->spec, to, ts_json_copy(v)) < 0 ? out_of_memory(err) : 0;
}

static int copy_all(struct maker *m, struct ts_err *err)
{
        bool others_network = ts_starts(ts_json_str(m->inspect, "HostConfig.NetworkMode", ""), "container:");
        for (size_t i = 0; i < TS_ARRAY_LEN(copies); i++)
                if (copy(m, copies[i].from, copies[i].to, err) < 0)
                        return -1;
        for (size_t i = 0; !others_network && i < TS_ARRAY_LEN(net_copies); i++)
                if (copy(m, net_copies[i].from, net_copies[i].to, err) < 0)
                        return -1;
        const struct ts_json *systemd = ts_json_get(m->inspect, "Config.SystemdMode");
        if (ts_json_is_bool(systemd) && ts_json_set_str(m->spec, "systemd", ts_json_bool(systemd, "", false) ? "always" : "false") < 0)
                return out_of_memory(err);
        if (!ts_json_bool(m->inspect, "Config.Passwd", true) && ts_json_set_bool(m->spec, "manage_password", false) < 0)
                return out_of_memory(err);
        return ts_json_is_null(ts_json_member(m->spec, "host_device_list")) || !ts_json_is_null(ts_json_member(m->spec, "devices")) ||
                               ts_json_set(m->spec, "devices", ts_json_copy(ts_json_member(m->spec, "host_device_list"))) == 0
                       ? 0
                       : out_of_memory(err);
}

/* ---- namespaces and host name ---- */

static const struct {
        const char *mode, *to;
} namespaces[] = {
        { "HostConfig.PidMode", "pidns" },       { "HostConfig.UTSMode", "utsns" },     { "HostConfig.IpcMode", "ipcns" },
        { "HostConfig.CgroupMode", "cgroupns" }, { "HostConfig.NetworkMode", "netns" },
};

/* "container:ID", "ns:/path", "host", "none", and "private" where that is not what is made anyway. */
static int make_namespace(struct maker *m, const char *mode, const char *to)
{
        const char *colon = strchr(mode, ':');
        bool path = ts_starts(mode, "ns:"), container = ts_starts(mode, "container:");
        bool own = strcmp(mode, "private") == 0 && strcmp(to, "ipcns") == 0; /* not "shareable" */
        if (!path && !container && !own && strcmp(mode, "host") != 0 && strcmp(mode, "none") != 0)
                return 0;
        struct ts_json *ns = ts_json_object();
        if (ts_json_set(m->spec, to, ns) < 0 || ts_json_set_str(ns, "nsmode", path ? "path" : container ? "container" : mode) < 0)
                return -1;
        return ts_json_set_str(ns, "value", colon ? colon + 1 : NULL);
}

/* What is refused beside a namespace that is not the container's own. */
static void drop_conflicts(struct maker *m)
{
        static const char *const with_network[] = { "Networks", "portmappings", "expose" };
        const char *ipc = ts_json_str(m->spec, "ipcns.nsmode", "");
        if (strcmp(ipc, "host") == 0 || strcmp(ipc, "container") == 0 || strcmp(ipc, "none") == 0)
                (void)ts_json_del(m->spec, "shm_size");
        for (size_t i = 0; strcmp(ts_json_str(m->spec, "netns.nsmode", ""), "container") == 0 && i < TS_ARRAY_LEN(with_network); i++)
                (void)ts_json_del(m->spec, with_network[i]);
}

static int make_namespaces(struct maker *m, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(namespaces); i++)
                if (make_namespace(m, ts_json_str(m->inspect, namespaces[i].mode, ""), namespaces[i].to) < 0)
                        return out_of_memory(err);
        drop_conflicts(m);
        return 0;
}

/* A tmpfs is filled from the image unless that is forbidden, which the specification does not say. */
static int make_tmpfs(struct maker *m, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(m->spec, "mounts");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                struct ts_json *one = ts_json_at(all, i), *options = ts_json_child_array(one, "options");
                bool copied = strcmp(ts_json_str(one, "type", ""), "tmpfs") != 0;
                for (size_t k = 0; k < ts_json_len(options); k++)
                        copied |= strcmp(ts_json_str(ts_json_at(options, k), "", ""), "tmpcopyup") == 0;
                if (!copied && ts_json_append(options, ts_json_new_str("notmpcopyup")) < 0)
                        return out_of_memory(err);
        }
        return 0;
}

/* Also a default one, the source's short ID: the processes have seen it. */
static int make_hostname(struct maker *m, struct ts_err *err)
{
        const char *uts = ts_json_str(m->inspect, "HostConfig.UTSMode", ""), *name = ts_json_str(m->inspect, "Config.Hostname", NULL);
        if (strcmp(uts, "private") != 0 && *uts)
                return 0;
        return ts_json_set_str(m->spec, "hostname", name) < 0 ? out_of_memory(err) : 0;
}

/* ---- what has another form ---- */

/* "SIGINT", "SIGRTMIN+3", or a number already (Podman 4). */
static int64_t signal_number(const struct ts_json *v)
{
        static const char rtmin[] = "SIGRTMIN";
        const char *name = ts_json_str(v, "", "");
        unsigned long long plus = 0;
        if (ts_json_is_int(v))
                return ts_json_int(v, "", 0);
        if (!ts_starts(name, "SIG"))
                return 0;
        if (ts_starts(name, rtmin) && (name[8] == '\0' || (name[8] == '+' && ts_parse_u64(name + 9, 0, 30, &plus, NULL) == 0)))
                return 34 + (int64_t)plus;
        for (int i = 1; i < 32; i++)
                if (ts_streq0(sigabbrev_np(i), name + 3))
                        return i;
        return 0;
}

static int make_stop_signal(struct maker *m, struct ts_err *err)
{
        int64_t number = signal_number(ts_json_get(m->inspect, "Config.StopSignal"));
        if (number <= 0 || !ts_json_is_null(ts_json_member(m->spec, "stop_signal")))
                return 0;
        return ts_json_set_int(m->spec, "stop_signal", number) < 0 ? out_of_memory(err) : 0;
}

/* Podman writes some itself; of the others all are the user's. */
static int make_annotations(struct maker *m, struct ts_err *err)
{
        static const char *const own[] = { "io.container.", "io.podman.annotations.autoremove", "io.podman.annotations.volumes-from", "org.opencontainers.image.stopSignal", "org.systemd.property.KillSignal",
                                           "org.systemd.property.TimeoutStopUSec" };
        const char *key;
        struct ts_json *value, *to = NULL;
        for (void *it = NULL; (it = ts_json_each(ts_json_get(m->inspect, "Config.Annotations"), it, &key, &value));) {
                bool made = false;
                for (size_t i = 0; i < TS_ARRAY_LEN(own); i++)
                        made = made || ts_starts(key, own[i]);
                if (made)
                        continue;
                to = ts_json_child(m->spec, "annotations");
                if (!to || (!ts_json_member(to, key) && ts_json_set(to, key, ts_json_copy(value)) < 0))
                        return out_of_memory(err);
        }
        return 0;
}

/* -1 is shown for "no limit"; asked for it is 2^64-1. */
static struct ts_json *limit(int64_t n)
{
        static const char none[] = "18446744073709551615";
        struct ts_json *j = NULL;
        if (n >= 0)
                return ts_json_new_int(n);
        (void)ts_json_parse(none, strlen(none), 0, &j, NULL);
        return j;
}

int ts_podman_add_limits(const struct ts_json *inspect, struct ts_json *body)
{
        const struct ts_json *all = ts_json_get(inspect, "HostConfig.Ulimits");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const struct ts_json *one = ts_json_at(all, i);
                const char *name = ts_json_str(one, "Name", "");
                struct ts_json *to = ts_json_child_array(body, "r_limits"), *l = ts_json_object();
                name += ts_starts(name, "RLIMIT_") ? strlen("RLIMIT_") : 0; /* it is put there again */
                if (!to || ts_json_append(to, l) < 0 || ts_json_set_str(l, "type", name) < 0 ||
                    ts_json_set(l, "soft", limit(ts_json_int(one, "Soft", -1))) < 0 ||
                    ts_json_set(l, "hard", limit(ts_json_int(one, "Hard", -1))) < 0)
                        return -1;
        }
        return 0;
}

static int make_limits(struct maker *m, struct ts_err *err)
{
        if (!ts_json_is_null(ts_json_member(m->spec, "r_limits")))
                return 0;
        return ts_podman_add_limits(m->inspect, m->spec) < 0 ? out_of_memory(err) : 0;
}

static int make_security(struct maker *m, struct ts_err *err)
{
        static const struct {
                const char *prefix, *to;
        } options[] = { { "seccomp=", "seccomp_profile_path" }, { "apparmor=", "apparmor_profile" } };
        const struct ts_json *all = ts_json_get(m->inspect, "HostConfig.SecurityOpt");
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const char *one = ts_json_str(ts_json_at(all, i), "", "");
                int rc = 0;
                if (strcmp(one, "no-new-privileges") == 0)
                        rc = ts_json_set_bool(m->spec, "no_new_privileges", true);
                for (size_t k = 0; k < TS_ARRAY_LEN(options); k++)
                        if (ts_starts(one, options[k].prefix))
                                rc |= ts_json_set_str(m->spec, options[k].to, one + strlen(options[k].prefix));
                if (ts_starts(one, "unmask=")) {
                        struct ts_json *to = ts_json_child_array(m->spec, "unmask");
                        rc |= to ? ts_json_append(to, ts_json_new_str("ALL")) : -1; /* "all" is the only one that is shown */
                }
                if (rc < 0)
                        return out_of_memory(err);
        }
        return 0;
}

/* "1.5MB", decimal units. */
static int64_t human_size(const char *s)
{
        static const char units[] = "BkMGT";
        char *end;
        double n = strtod(s, &end);
        const char *unit = *end ? strchr(units, *end) : NULL;
        if (end == s || !unit || n < 0 || n > 1e6)
                return 0;
        for (; unit > units; unit--)
                n *= 1000;
        return (int64_t)n;
}

/* The path only if it is not where Podman puts it. */
static int make_log(struct maker *m, struct ts_err *err)
{
        const struct ts_json *from = ts_json_get(m->inspect, "HostConfig.LogConfig");
        const char *driver = ts_json_str(from, "Type", ""), *path = ts_json_str(from, "Path", ""), *tag = ts_json_str(from, "Tag", "");
        const char *own = ts_json_str(m->inspect, "StaticDir", "/");
        int64_t size = human_size(ts_json_str(from, "Size", ""));
        if (*driver == '\0' || !ts_json_is_null(ts_json_member(m->spec, "log_configuration")))
                return 0;
        struct ts_json *to = ts_json_child(m->spec, "log_configuration"), *options = to && *tag ? ts_json_child(to, "options") : NULL;
        if (!to || ts_json_set_str(to, "driver", driver) < 0 || (*path && !ts_starts(path, own) && ts_json_set_str(to, "path", path) < 0) ||
            (size > 0 && ts_json_set_int(to, "size", size) < 0) || (*tag && (!options || ts_json_set_str(options, "tag", tag) < 0)))
                return out_of_memory(err);
        return 0;
}

static int make_health_action(struct maker *m, struct ts_err *err)
{
        static const char *const actions[] = { "none", "invalid", "kill", "restart", "stop" };
        const char *action = ts_json_str(m->inspect, "Config.HealthcheckOnFailureAction", "");
        for (size_t i = 2; i < TS_ARRAY_LEN(actions); i++)
                if (strcmp(action, actions[i]) == 0 && ts_json_set_int(m->spec, "health_check_on_failure_action", (int64_t)i) < 0)
                        return out_of_memory(err);
        return 0;
}

/* ---- what only the command of the creation shows ---- */

static int add_sysctl(struct maker *m, const char *pair, struct ts_err *err)
{
        struct ts_json *to = ts_json_child(m->spec, "sysctl");
        return to ? ts_label_add(to, pair, err) : out_of_memory(err);
}

/* The value of one option among them, or NULL. */
static const char *option(const struct ts_json *words, size_t i, const char *name)
{
        const char *word = ts_json_str(ts_json_at(words, i), "", "");
        size_t len = strlen(name);
        if (strncmp(word, name, len) != 0)
                return NULL;
        return word[len] == '=' ? word + len + 1 : word[len] == '\0' ? ts_json_str(ts_json_at(words, i + 1), "", "") : NULL;
}

/* A word of the container's own command is none of these. */
static int set_cgroups(struct maker *m, const char *mode, struct ts_err *err)
{
        static const char *const modes[] = { "enabled", "disabled", "no-conmon", "split" };
        for (size_t i = 0; mode && i < TS_ARRAY_LEN(modes); i++)
                if (strcmp(mode, modes[i]) == 0 && ts_json_set_str(m->spec, "cgroups_mode", mode) < 0)
                        return out_of_memory(err);
        return 0;
}

/* --rdt-class, which `podman generate spec` forgets. */
static int make_rdt(struct maker *m, struct ts_err *err)
{
        const char *class = ts_json_str(m->inspect, "HostConfig.IntelRdtClosID", "");
        struct ts_json *rdt;

        if (!*class || !ts_json_is_null(ts_json_member(m->spec, "intelRdt")))
                return 0;
        rdt = ts_json_child(m->spec, "intelRdt");
        return rdt && ts_json_set_str(rdt, "closID", class) == 0 ? 0 : out_of_memory(err);
}

static int make_from_command(struct maker *m, struct ts_err *err)
{
        static const char *const lost[] = { "--secret", "--userns", "--pidfile", "--conmon-pidfile", "--preserve-fds", "--preserve-fd" };
        const struct ts_json *words = ts_json_get(m->inspect, "Config.CreateCommand");
        for (size_t i = 0; i < ts_json_len(words); i++) {
                const char *sysctl = option(words, i, "--sysctl");
                if (sysctl && add_sysctl(m, sysctl, err) < 0)
                        return -1;
                if (set_cgroups(m, option(words, i, "--cgroups"), err) < 0)
                        return -1;
                for (size_t k = 0; k < TS_ARRAY_LEN(lost); k++)
                        if (option(words, i, lost[k])) {
                                ts_auto_free char *text = ts_fmt("%s: it is not set on the target", lost[k]);
                                if (!text || warn(m, err, text) < 0)
                                        return -1;
                        }
        }
        return 0;
}

/* ---- what is the same for every copy ---- */

/* Unlike Docker's, volumes are not marked "nocopy": before 5.7 Podman hands that on to the runtime, and runc 1.2 refuses it.
 *
 * Podman adds the short ID of the new container and the host name by itself. */
static int without_own_aliases(struct maker *m, struct ts_err *err)
{
        const char *id = ts_json_str(m->inspect, "Id", ""), *hostname = ts_json_str(m->spec, "hostname", ""), *name;
        struct ts_json *network;
        for (void *it = NULL; (it = ts_json_each(ts_json_member(m->spec, "Networks"), it, &name, &network));) {
                const struct ts_json *all = ts_json_member(network, "aliases");
                struct ts_json *kept = ts_json_array();
                for (size_t i = 0; i < ts_json_len(all); i++) {
                        const char *one = ts_json_str(ts_json_at(all, i), "", "");
                        bool own = (strlen(one) == 12 && ts_starts(id, one)) || strcmp(one, hostname) == 0;
                        if (!own && ts_json_append(kept, ts_json_new_str(one)) < 0) {
                                ts_json_free(kept);
                                return out_of_memory(err);
                        }
                }
                if (ts_json_set(network, "aliases", kept) < 0)
                        return out_of_memory(err);
        }
        return 0;
}

static int make_fixed(struct maker *m, const struct ts_create *c, struct ts_err *err)
{
        struct ts_json *labels = ts_json_child(m->spec, "labels");
        (void)ts_json_del(m->spec, "restart_tries");
        (void)ts_json_del(m->spec, "removeImage");
        if (!labels || ts_json_set_str(m->spec, "name", c->name) < 0 || ts_json_set_str(m->spec, "image", c->image_ref) < 0 ||
            ts_json_set_str(m->spec, "restart_policy", "no") < 0 || ts_json_set_bool(m->spec, "remove", false) < 0)
                return out_of_memory(err);
        return ts_label_add(labels, c->extra_label, err) < 0 || without_own_aliases(m, err) < 0 ? -1 : 0;
}

static int complete(struct maker *m, struct ts_err *err)
{
        static int (*const makers[])(struct maker *m, struct ts_err *err) = {
                copy_all,    make_namespaces, make_tmpfs, make_hostname,      make_stop_signal,  make_annotations,
                make_limits, make_security,   make_log,   make_health_action, make_from_command, make_rdt,
        };
        for (size_t i = 0; i < TS_ARRAY_LEN(makers); i++)
                if (makers[i](m, err) < 0)
                        return -1;
        return 0;
}

int ts_podman_create_body(struct ts_api *a, const struct ts_create *c, struct ts_json **ret, struct ts_list *ret_warnings, struct ts_err *err)
{
        (void)a;
        if (!ts_json_is_object(c->spec))
                return ts_err_set(err, TS_EUSAGE, "there is no specification to create container '%s' from", c->name);
        ts_auto(ts_json) struct ts_json *spec = ts_json_copy(c->spec);
        struct maker m = { .inspect = c->inspect, .spec = spec, .warnings = ret_warnings };
        if (!spec)
                return out_of_memory(err);
        if (c->inspect ? complete(&m, err) < 0 : warn(&m, err, "without the source's inspect answer host name, limits and other settings are lost") < 0)
                return -1;
        if (make_fixed(&m, c, err) < 0)
                return -1;
        *ret = TS_TAKE(spec);
        return 0;
}
