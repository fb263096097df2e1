/* Network settings of the kernel (sysctl net.*) that the container was made with: the runtime applies them when it creates a network namespace, the restore makes a new one, and CRIU does not carry
 * them for a namespace the engine made. Put back from the runtime's own configuration of the container; trouble is a warning. */
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX ((size_t)4 << 20)
#define DOCKER_CONFIG "/run/containerd/io.containerd.runtime.v2.task/moby/%s/config.json"

/* $1 path below /proc/sys, $2 value, and so on in pairs. Runs in the container's network namespace: /proc/sys/net shows the reader's. */
static const char write_script[] = "rc=0; while [ $# -ge 2 ]; do printf '%s\\n' \"$2\" >\"/proc/sys/$1\" || rc=1; shift 2; done; exit $rc";

static int read_config(struct ts_mig *m, const struct ts_container *there, struct ts_json **ret, struct ts_err *err)
{
        bool podman = m->dst.info->kind == TS_PODMAN;
        ts_auto_free char *path = podman ? ts_fmt("%s/config.json", ts_or(there->bundle_dir, "")) : ts_fmt(DOCKER_CONFIG, there->id);
        const char *const argv[] = { "cat", "--", ts_or(path, ""), NULL };
        const struct ts_run_opts opts = { .max_output = CONFIG_MAX };
        ts_auto_free char *text = NULL;

        if (ts_host_check(m->dst.host, argv, &opts, &text, err) < 0)
                return -1;
        return ts_json_parse(text, strlen(text), CONFIG_MAX, ret, err);
}

/* "net.ipv4.ip_forward" → "net/ipv4/ip_forward"; only what looks like one. */
static char *path_of(const char *key)
{
        char *path;

        if (!ts_starts(key, "net.") || strstr(key, "..") || strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != strlen(key))
                return NULL;
        path = ts_strdup0(key);
        for (char *p = path; p && *p; p++)
                if (*p == '.')
                        *p = '/';
        return path;
}

static int add_settings(const struct ts_json *sysctl, struct ts_list *argv, struct ts_err *err)
{
        struct ts_json *value = NULL;
        const char *key = NULL;

        for (void *it = NULL; (it = ts_json_each(sysctl, it, &key, &value));) {
                ts_auto_free char *path = path_of(key);

                if (path && ts_json_is_string(value) && (ts_list_add(argv, path, err) < 0 || ts_list_add(argv, ts_json_str(value, "", ""), err) < 0))
                        return -1;
        }
        return 0;
}

static int put_back(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *there = NULL;
        ts_auto(ts_json) struct ts_json *config = NULL;
        ts_auto_list argv = TS_LIST_INIT;
        const char *const first[] = { "--net", "--", "/bin/sh", "-c", write_script, "sh" };
        size_t fixed;

        if (ts_api_inspect(m->dst.api, m->dst_id, &there, err) < 0)
                return -1;
        if (there->state != TS_STATE_RUNNING || there->pid <= 0 || ts_streq0(there->network_mode, "host"))
                return 0;
        if (read_config(m, there, &config, err) < 0 || ts_list_add(&argv, "nsenter", err) < 0 || ts_list_addf(&argv, err, "--target=%lld", (long long)there->pid) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(first); i++)
                if (ts_list_add(&argv, first[i], err) < 0)
                        return -1;
        fixed = argv.n;
        if (add_settings(ts_json_get(config, "linux.sysctl"), &argv, err) < 0)
                return -1;
        return argv.n == fixed ? 0 : ts_host_check(m->dst.host, (const char *const *)argv.v, NULL, NULL, err);
}

void ts_sysctls_put_back(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (m->strategy != TS_COLD && put_back(m, &err) < 0)
                ts_mig_warn(m, "network settings (sysctl net.*) of the container were not all put back: %s", ts_err_message(&err));
}
