/* Decides where connections and contexts are looked for. What the names mean is in endpoint.c. */
#include "api/connections.h"

#include "api/json.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)
#define ENTRIES_MAX 1000

void ts_connections_clear(struct ts_connections *c)
{
        for (size_t i = 0; i < c->n; i++) {
                free(c->v[i].name);
                free(c->v[i].uri);
                free(c->v[i].identity);
        }
        free(c->v);
        *c = (struct ts_connections){ NULL, 0 };
}

static int add(struct ts_connections *c, const char *name, const char *uri, const char *identity, int prefer, struct ts_err *err)
{
        for (size_t i = 0; i < c->n; i++) /* as the engine's own client does: podman-connections.json is over containers.conf */
                if (c->v[i].prefer == prefer && strcmp(c->v[i].name, name) == 0) {
                        free(c->v[i].uri);
                        free(c->v[i].identity);
                        c->v[i].uri = strdup(uri);
                        c->v[i].identity = ts_strdup0(identity);
                        return c->v[i].uri ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
                }
        struct ts_connection *v = reallocarray(c->v, c->n + 1, sizeof(*v));
        if (!v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        c->v = v;
        v[c->n] = (struct ts_connection){ strdup(name), strdup(uri), identity && *identity ? strdup(identity) : NULL, prefer };
        c->n++;
        return v[c->n - 1].name && v[c->n - 1].uri ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* $variable, else the user's home and rest. Caller frees; NULL when there is no home. */
static char *place(const char *variable, const char *below_variable, const char *below_home)
{
        const char *set = variable ? getenv(variable) : NULL;
        if (set && *set)
                return ts_fmt("%s%s", set, below_variable);
        ts_auto_free char *home = ts_user_home();
        return home ? ts_fmt("%s%s", home, below_home) : NULL;
}

/* 1: read, 0: there is none. */
static int read_file(const char *path, struct ts_str *text, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;
        if (ts_file_read(path, FILE_MAX, text, &why) == 0)
                return 1;
        if (why.code == TS_ENOTFOUND || why.sys_errno == 13 /* a file that is none of ours */)
                return 0;
        return ts_err_set(err, TS_EUSAGE, "%s", ts_err_message(&why));
}

/* ---- Podman ---- */

static int load_connections_json(const char *path, struct ts_connections *c, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err why = TS_ERR_INIT;
        ts_auto(ts_json) struct ts_json *j = NULL;
        const char *name;
        struct ts_json *one;
        int there = read_file(path, &text, err);
        if (there <= 0)
                return there;
        if (ts_json_parse(ts_str_cstr(&text), text.len, FILE_MAX, &j, &why) < 0)
                return ts_err_set(err, TS_EUSAGE, "'%s': %s", path, ts_err_message(&why));
        for (void *it = NULL; (it = ts_json_each(ts_json_get(j, "Connection.Connections"), it, &name, &one));)
                if (add(c, name, ts_json_str(one, "URI", ""), ts_json_str(one, "Identity", NULL), 1, err) < 0)
                        return -1;
        return 0;
}

static int load_containers_conf(const char *path, struct ts_connections *c, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err why = TS_ERR_INIT;
        int there = read_file(path, &text, err);
        if (there <= 0)
                return there;
        if (ts_containers_conf_parse(ts_str_cstr(&text), text.len, c, &why) < 0)
                return ts_err_set(err, why.code, "'%s': %s", path, ts_err_message(&why));
        return 0;
}

static int is_conf(const struct dirent *d)
{
        size_t n = strlen(d->d_name);
        return n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

static int load_conf_dir(const char *dir, struct ts_connections *c, struct ts_err *err)
{
        struct dirent **names = NULL;
        int n = scandir(dir, &names, is_conf, alphasort), rc = 0;
        for (int i = 0; i < n; i++) {
                ts_auto_free char *path = ts_fmt("%s/%s", dir, names[i]->d_name);
                if (rc == 0 && i < ENTRIES_MAX)
                        rc = path ? load_containers_conf(path, c, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
                free(names[i]);
        }
        free(names);
        return rc;
}

static int load_podman(struct ts_connections *c, struct ts_err *err)
{
        const char *only = getenv("CONTAINERS_CONF");
        ts_auto_free char *user = place("XDG_CONFIG_HOME", "/containers/containers.conf", "/.config/containers/containers.conf");
        ts_auto_free char *user_dir = user ? ts_fmt("%s.d", user) : NULL;
        const char *const files[] = { "/usr/share/containers/containers.conf", "/etc/containers/containers.conf", user };
        const char *const dirs[] = { NULL, "/etc/containers/containers.conf.d", user_dir };
        if (only && *only) {
                if (load_containers_conf(only, c, err) < 0)
                        return -1;
        } else {
                for (size_t i = 0; i < TS_ARRAY_LEN(files); i++)
                        if ((files[i] && load_containers_conf(files[i], c, err) < 0) || (dirs[i] && load_conf_dir(dirs[i], c, err) < 0))
                                return -1;
        }
        const char *json = getenv("PODMAN_CONNECTIONS_CONF");
        ts_auto_free char *usual = place("XDG_CONFIG_HOME", "/containers/podman-connections.json", "/.config/containers/podman-connections.json");
        if (json && *json)
                return load_connections_json(json, c, err);
        return usual ? load_connections_json(usual, c, err) : 0;
}

/* ---- Docker ---- */

static int load_context(const char *path, struct ts_connections *c, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err why = TS_ERR_INIT;
        ts_auto(ts_json) struct ts_json *j = NULL;
        int there = read_file(path, &text, err);
        if (there <= 0)
                return there;
        if (ts_json_parse(ts_str_cstr(&text), text.len, FILE_MAX, &j, &why) < 0)
                return ts_err_set(err, TS_EUSAGE, "'%s': %s", path, ts_err_message(&why));
        const char *name = ts_json_str(j, "Name", ""), *host = ts_json_str(j, "Endpoints.docker.Host", "");
        return *name && *host ? add(c, name, host, NULL, 2, err) : 0;
}

static int not_hidden(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

static int load_docker(struct ts_connections *c, struct ts_err *err)
{
        struct dirent **names = NULL;
        ts_auto_free char *dir = place("DOCKER_CONFIG", "/contexts/meta", "/.docker/contexts/meta");
        int n = dir ? scandir(dir, &names, not_hidden, alphasort) : 0, rc = 0;
        for (int i = 0; i < n; i++) {
                ts_auto_free char *path = ts_fmt("%s/%s/meta.json", dir, names[i]->d_name);
                if (rc == 0 && i < ENTRIES_MAX)
                        rc = path ? load_context(path, c, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
                free(names[i]);
        }
        free(names);
        return rc;
}

int ts_connections_load(struct ts_connections *ret, struct ts_err *err)
{
        struct ts_connections c = { NULL, 0 };
        if (load_podman(&c, err) < 0 || load_docker(&c, err) < 0) {
                ts_connections_clear(&c);
                return -1;
        }
        *ret = c;
        return 0;
}
