/* api/decode.c and all that uses it, against recorded answers of engines. */
#include "tests/unit/api_fixture.h"
#include "tests/unit/api_server.h"
#include "tests/unit/unit.h"

#include "api/api_priv.h"

static struct ts_err err = TS_ERR_INIT;

/* ---- the decoder itself ---- */

struct sample {
        char *text, *raw, *id, *name, *path;
        int64_t number;
        uint64_t size;
        bool flag;
        struct ts_list texts, values;
};
#define F(field) offsetof(struct sample, field)
static const struct ts_field sample_fields[] = {
        { "a.b|c", TS_TEXT, F(text), TS_OPTIONAL, 8 },
        { "raw", TS_RAW_TEXT, F(raw), TS_OPTIONAL, 0 },
        { "id", TS_HEX_ID, F(id), TS_REQUIRED, 80 },
        { "name", TS_NAME, F(name), TS_OPTIONAL, 16 },
        { "path", TS_PATH, F(path), TS_OPTIONAL, 32 },
        { "number", TS_INT, F(number), TS_OPTIONAL, 0 },
        { "size", TS_SIZE, F(size), TS_OPTIONAL, 0 },
        { "flag", TS_BOOL, F(flag), TS_OPTIONAL, 0 },
        { "texts", TS_TEXTS, F(texts), TS_OPTIONAL, 8 },
        { "values", TS_TEXT_VALUES, F(values), TS_OPTIONAL, 8 },
};
#undef F

static int decode(const char *text, struct sample *s)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
        *s = (struct sample){ .number = 42 };
        return ts_decode(j, sample_fields, TS_ARRAY_LEN(sample_fields), s, "sample", &err);
}

static void forget(struct sample *s)
{
        ts_decode_free(sample_fields, TS_ARRAY_LEN(sample_fields), s);
}

#define ID "0123456789abcdef"

static void every_form(void)
{
        struct sample s;
        UNIT_OK(decode("{\"a\":{\"b\":\"x y\"},\"raw\":\"1\\n2\",\"id\":\"sha256:" ID "\",\"name\":\"/web.1\",\"path\":\"/a/b..c\",\"number\":-5,\"size\":7,\"flag\":true,"
                       "\"texts\":[\"p\",\"\"],\"values\":{\"k\":\"v=w\"}}",
                       &s));
        UNIT_STR(s.text, "x y");
        UNIT_STR(s.raw, "1\n2");
        UNIT_STR(s.id, ID);
        UNIT_STR(s.name, "web.1");
        UNIT_STR(s.path, "/a/b..c");
        CU_ASSERT_EQUAL(s.number, -5);
        CU_ASSERT_EQUAL(s.size, 7);
        CU_ASSERT_TRUE(s.flag);
        CU_ASSERT_EQUAL(s.texts.n, 2);
        UNIT_STR(s.values.v[0], "k=v=w");
        forget(&s);
        UNIT_OK(decode("{\"a\":{\"b\":\"\"},\"c\":\"second\",\"id\":\"" ID "\",\"raw\":null,\"name\":\"\"}", &s));
        UNIT_STR(s.text, "second");
        UNIT_STR(s.name, NULL);
        CU_ASSERT_EQUAL(s.number, 42);
        forget(&s);
}

static const char *const nonsense[] = {
        "{}",
        "[]",
        "7",
        "{\"id\":7}",
        "{\"id\":\"\"}",
        "{\"id\":\"0123456789a\"}",
        "{\"id\":\"0123456789ABCDEF\"}",
        "{\"id\":\"../0123456789abc\"}",
        "{\"id\":\"" ID "\",\"c\":\"123456789\"}",
        "{\"id\":\"" ID "\",\"c\":\"a\\nb\"}",
        "{\"id\":\"" ID "\",\"c\":{}}",
        "{\"id\":\"" ID "\",\"name\":\"//x\"}",
        "{\"id\":\"" ID "\",\"name\":\"..\"}",
        "{\"id\":\"" ID "\",\"name\":\"a b\"}",
        "{\"id\":\"" ID "\",\"path\":\"relative\"}",
        "{\"id\":\"" ID "\",\"path\":\"/a/../b\"}",
        "{\"id\":\"" ID "\",\"path\":\"/..\"}",
        "{\"id\":\"" ID "\",\"number\":\"5\"}",
        "{\"id\":\"" ID "\",\"number\":1.5}",
        "{\"id\":\"" ID "\",\"size\":-1}",
        "{\"id\":\"" ID "\",\"size\":18446744073709551615}",
        "{\"id\":\"" ID "\",\"flag\":1}",
        "{\"id\":\"" ID "\",\"texts\":{}}",
        "{\"id\":\"" ID "\",\"texts\":[1]}",
        "{\"id\":\"" ID "\",\"values\":[]}",
        "{\"id\":\"" ID "\",\"values\":{\"k\":1}}",
};

static void nonsense_is_refused(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(nonsense); i++) {
                struct sample s;
                if (decode(nonsense[i], &s) == 0)
                        (void)printf("\n    accepted: %s\n", nonsense[i]);
                forget(&s);
                CU_ASSERT_EQUAL(err.code, TS_EPROTO);
                ts_err_clear(&err);
        }
}

/* ---- containers ---- */

static struct ts_container *container(const char *name)
{
        struct ts_container *c = NULL;
        UNIT_OK(ts_container_decode(fixture(name), &c, &err));
        return c;
}

static const struct ts_mount *mount_at(const struct ts_container *c, const char *destination)
{
        for (size_t i = 0; i < c->n_mounts; i++)
                if (strcmp(c->mounts[i].destination, destination) == 0)
                        return &c->mounts[i];
        CU_FAIL_FATAL("no such mount");
        return NULL;
}

static void podman_container(const char *name)
{
        ts_auto(ts_container) struct ts_container *c = container(name);
        CU_ASSERT_EQUAL(strlen(c->id), 64);
        UNIT_STR(c->name, "rich");
        CU_ASSERT_EQUAL(strlen(c->image_id), 64);
        UNIT_STR(c->image_name, "docker.io/library/counter:latest");
        CU_ASSERT_EQUAL(c->state, TS_STATE_RUNNING);
        CU_ASSERT_TRUE(c->pid > 1);
        CU_ASSERT_TRUE(c->tty);
        CU_ASSERT_FALSE(c->auto_remove || c->privileged || c->paused || c->checkpointed || c->restored);
        UNIT_STR(c->restart_policy, "on-failure");
        CU_ASSERT_EQUAL(c->restart_max, 3);
        UNIT_STR(c->network_mode, "bridge");
        UNIT_STR(c->ipc_mode, "shareable");
        UNIT_STR(c->pid_mode, "private");
        UNIT_STR(c->runtime, "runc");
        UNIT_STR(c->log_driver, "k8s-file");
        CU_ASSERT_PTR_NOT_NULL(strstr(c->log_path, "/userdata/ctr.log"));
        UNIT_STR(c->hostname, "richhost");
        CU_ASSERT_PTR_NOT_NULL(strstr(c->upper_dir, "/diff"));
        CU_ASSERT_EQUAL(c->lower_dirs.n, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(c->bundle_dir, "/userdata"));
        UNIT_STR(c->pod, NULL);
        CU_ASSERT_EQUAL(c->dependencies.n, 0);
        CU_ASSERT_EQUAL(c->n_mounts, 3);
        UNIT_STR(mount_at(c, "/data")->name, "pvol");
        CU_ASSERT_FALSE(mount_at(c, "/data")->rw || mount_at(c, "/data")->anonymous);
        CU_ASSERT_TRUE(mount_at(c, "/anon")->rw && mount_at(c, "/anon")->anonymous);
        UNIT_STR(mount_at(c, "/hosttmp")->source, "/tmp");
        CU_ASSERT_EQUAL_FATAL(c->n_networks, 1);
        UNIT_STR(c->networks[0].name, "labnet");
        UNIT_STR(c->networks[0].ip, "10.99.9.77");
        UNIT_STR(c->networks[0].mac, "02:00:00:00:09:77");
        UNIT_STR(c->networks[0].ip6, NULL);
        CU_ASSERT_EQUAL(c->n_ports, 2);
        UNIT_STR(ts_container_label(c, "a"), "b");
        UNIT_STR(ts_container_label(c, "none"), NULL);
        CU_ASSERT_TRUE(ts_json_is_object(c->json));
}

static void podman_containers(void)
{
        podman_container("podman-5.4.2-inspect-v5");
        podman_container("podman-5.4.2-inspect-v4");
}

static void docker_container(void)
{
        ts_auto(ts_container) struct ts_container *c = container("docker-26.1.5-inspect");
        UNIT_STR(c->name, "dc1");
        CU_ASSERT_EQUAL(strlen(c->image_id), 64);
        UNIT_STR(c->image_name, "counter");
        CU_ASSERT_EQUAL(c->state, TS_STATE_RUNNING);
        UNIT_STR(c->network_mode, "dnet");
        UNIT_STR(c->runtime, "runc");
        UNIT_STR(c->log_driver, "json-file");
        CU_ASSERT_EQUAL(strlen(c->hostname), 12);
        CU_ASSERT_EQUAL(c->lower_dirs.n, 2);
        CU_ASSERT_EQUAL(c->n_networks, 2);
        UNIT_STR(c->networks[0].static_ip, "10.99.8.5");
        UNIT_STR(c->networks[0].static_mac, NULL);
        UNIT_STR(c->networks[1].static_ip, NULL);
        CU_ASSERT_TRUE(mount_at(c, "/anon")->anonymous && mount_at(c, "/anon2")->anonymous);
        CU_ASSERT_EQUAL(c->n_ports, 6); /* 80, 9000 and 99, IPv4 and IPv6 */
        for (size_t i = 0; i < c->n_ports; i++)
                CU_ASSERT_TRUE(c->ports[i].host_port >= 8081 && strcmp(c->ports[i].proto, "tcp") == 0);
        ts_auto(ts_container) struct ts_container *joined = container("docker-26.1.5-inspect-joined");
        CU_ASSERT_TRUE(ts_starts(joined->network_mode, "container:"));
        CU_ASSERT_EQUAL(joined->n_networks, 0);
}

static void docker_1709_container(void)
{
        ts_auto(ts_container) struct ts_container *c = container("docker-17.09-documented-inspect");
        UNIT_STR(c->name, "web");
        UNIT_STR(c->restart_policy, "unless-stopped");
        CU_ASSERT_EQUAL(c->pid, 14021);
        UNIT_STR(c->networks[0].static_ip, "10.0.9.7");
        UNIT_STR(c->networks[0].static_mac, "02:42:0a:00:09:07");
        UNIT_STR(c->networks[1].static_mac, NULL);
        CU_ASSERT_EQUAL(c->lower_dirs.n, 2);
        CU_ASSERT_TRUE(mount_at(c, "/cache")->anonymous);
}

static const struct {
        const char *text;
        enum ts_state state;
} states[] = {
        { "created", TS_STATE_CREATED },     { "configured", TS_STATE_CREATED }, { "initialized", TS_STATE_CREATED }, { "running", TS_STATE_RUNNING },
        { "paused", TS_STATE_PAUSED },       { "exited", TS_STATE_EXITED },      { "stopped", TS_STATE_EXITED },      { "restarting", TS_STATE_OTHER },
        { "removing", TS_STATE_OTHER },      { "dead", TS_STATE_OTHER },         { "stopping", TS_STATE_OTHER },      { "", TS_STATE_OTHER },
};

static void states_of_both_engines(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(states); i++)
                CU_ASSERT_EQUAL(ts_state_parse(states[i].text), states[i].state);
        UNIT_STR(ts_state_str(TS_STATE_ABSENT), "absent");
        UNIT_STR(ts_state_str(TS_STATE_OTHER), "other");
        UNIT_STR(ts_state_str((enum ts_state)99), "?");
}

/* Each is the recorded answer with one thing changed. */
static const struct {
        const char *from, *to;
} spoilt[] = {
        { "\"Id\":\"", "\"Id\":\"../" },
        { "\"Name\":\"/dc1\"", "\"Name\":\"/dc1;reboot\"" },
        { "\"Pid\":", "\"Pid\":\"x\",\"Was\":" },
        { "\"Destination\":\"/data\"", "\"Destination\":\"/../etc\"" },
        { "\"UpperDir\":\"/", "\"UpperDir\":\"" },
        { "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8081\"", "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"99999\"" },
        { "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\"", "\"0/tcp\":[{\"HostIp\":\"0.0.0.0\"" },
        { "\"LowerDir\":\"", "\"LowerDir\":\"x:" },
        { "\"dnet\":{\"IPAM", "\"\":{\"IPAM" },
};

static void spoilt_answers(void)
{
        ts_auto_free char *whole = fixture_text("docker-26.1.5-inspect");
        for (size_t i = 0; i < TS_ARRAY_LEN(spoilt); i++) {
                struct ts_container *c = NULL;
                struct ts_json *j = NULL;
                const char *at = strstr(whole, spoilt[i].from);
                CU_ASSERT_PTR_NOT_NULL_FATAL(at);
                ts_auto_free char *text = ts_fmt("%.*s%s%s", (int)(at - whole), whole, spoilt[i].to, at + strlen(spoilt[i].from));
                UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
                if (ts_container_decode(j, &c, &err) == 0)
                        (void)printf("\n    accepted: %s\n", spoilt[i].to);
                CU_ASSERT_PTR_NULL(c);
                ts_container_free(c);
                CU_ASSERT_EQUAL(err.code, TS_EPROTO);
                ts_err_clear(&err);
        }
}

/* ---- whole questions, answered with fixtures ---- */

struct route {
        const char *target, *status, *fixture; /* fixture NULL: "{}" */
};
struct engine {
        const char *ping;
        const struct route *routes; /* the first whose target is in the request line; the end: target NULL */
};

static void serve_fixtures(struct server *s, int fd, int nth)
{
        const struct engine *e = s->ctx;
        char head[4096];
        (void)nth;
        while (server_read_head(s, fd, head, sizeof(head)) > 0) {
                const struct route *r = e->routes;
                (void)server_skip(fd, server_body_length(head));
                *strchr(head, '\r') = '\0';
                if (strstr(head, "/_ping")) {
                        server_answer(fd, "200 OK", e->ping, "OK");
                        continue;
                }
                while (r->target && !strstr(head, r->target))
                        r++;
                char *body = r->fixture ? fixture_text(r->fixture) : strdup("{}");
                server_answer(fd, r->target ? r->status : "501 Not Implemented", "", body);
                free(body);
        }
}

static struct ts_api *open_engine(struct server *s, const struct engine *e)
{
        struct ts_api *a = NULL;
        struct ts_dial d = { server_dial, s };
        *s = (struct server){ .serve = serve_fixtures, .ctx = e };
        UNIT_OK(ts_api_open(&d, &a, &err));
        return a;
}

static const struct route podman_routes[] = {
        { "/v5.0.0/libpod/info", "200 OK", "podman-5.4.2-info" },
        { "/containers/json?all=true", "200 OK", "podman-5.4.2-list" },
        { "/containers/nope/json", "404 Not Found", "podman-5.4.2-error-404" },
        { "/json HTTP", "200 OK", NULL },
        { NULL, NULL, NULL },
};
static const struct route podman_one_routes[] = {
        { "/containers/rich/changes?diffType=container", "200 OK", "podman-5.4.2-changes" },
        { "/networks/json", "200 OK", "podman-5.4.2-networks" },
        { "/networks/labnet/json", "200 OK", "podman-5.4.2-network" },
        { "/networks/lab/json", "200 OK", "podman-5.4.2-network" },
        { "/volumes/pvol/json", "200 OK", "podman-5.4.2-volume" },
        { "/volumes/pv/json", "200 OK", "podman-5.4.2-volume" },
        { "/images/counter/json", "200 OK", "podman-5.4.2-image" },
        { "DELETE", "404 Not Found", "podman-5.4.2-error-404" },
        { "/containers/", "200 OK", "podman-5.4.2-inspect-v5" },
        { NULL, NULL, NULL },
};
static const char podman_ping[] = "Libpod-Api-Version: 5.4.2\r\nApi-Version: 1.41\r\n";
static const char docker_ping[] = "Api-Version: 1.45\r\nDocker-Experimental: true\r\n";
static const char docker_1709_ping[] = "Api-Version: 1.32\r\nDocker-Experimental: true\r\n";

static void podman_info(void)
{
        static const struct engine e = { podman_ping, podman_routes };
        struct server s = { .ctx = NULL };
        struct ts_api *a = open_engine(&s, &e);
        const struct ts_engine_info *i = NULL, *again = NULL;
        struct ts_container *none = NULL;
        UNIT_OK(ts_api_info(a, &i, &err));
        UNIT_OK(ts_api_info(a, &again, &err));
        CU_ASSERT_PTR_EQUAL(i, again);
        CU_ASSERT_EQUAL(i->kind, TS_PODMAN);
        UNIT_STR(i->version, "5.4.2");
        CU_ASSERT_TRUE(i->v[0] == 5 && i->v[1] == 4 && i->v[2] == 2);
        UNIT_STR(i->arch, "amd64");
        UNIT_STR(i->runtime, "runc");
        CU_ASSERT_PTR_NOT_NULL(strstr(i->runtime_version, "runc version 1.1.15"));
        UNIT_STR(i->graph_root, "/var/lib/containers/storage");
        UNIT_STR(i->volume_path, "/var/lib/containers/storage/volumes");
        UNIT_STR(i->tmp_dir, "/var/tmp");
        UNIT_STR(i->cgroup_version, "2");
        UNIT_STR(i->network_backend, "netavark");
        UNIT_STR(i->security, "seccomp");
        CU_ASSERT_FALSE(i->rootless);
        UNIT_FAILS(ts_api_inspect(a, "nope", &none, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_api_kill(a, "x", "KILL", &err), TS_EENGINE);
        ts_api_free(a);
        server_join(&s);
}

static void docker_info(void)
{
        static const struct route routes[] = { { "/v1.45/info", "200 OK", "docker-26.1.5-info" }, { NULL, NULL, NULL } };
        static const struct route routes_1709[] = { { "/v1.32/info", "200 OK", "docker-17.09-documented-info" }, { NULL, NULL, NULL } };
        static const struct engine engines[] = { { docker_ping, routes }, { docker_1709_ping, routes_1709 } };
        for (size_t n = 0; n < TS_ARRAY_LEN(engines); n++) {
                struct server s = { .ctx = NULL };
                struct ts_api *a = open_engine(&s, &engines[n]);
                const struct ts_engine_info *i = NULL;
                UNIT_OK(ts_api_info(a, &i, &err));
                UNIT_STR(i->arch, "amd64"); /* "x86_64" in the answer */
                UNIT_STR(i->graph_root, "/var/lib/docker");
                UNIT_STR(i->volume_path, "/var/lib/docker/volumes");
                UNIT_STR(i->graph_driver, "overlay2");
                UNIT_STR(i->api_version, n == 0 ? "1.45" : "1.32");
                UNIT_STR(i->cgroup_version, n == 0 ? "2" : "1"); /* 17.09 does not say */
                UNIT_STR(i->security, n == 0 ? "seccomp,cgroupns" : "seccomp");
                CU_ASSERT_TRUE(i->experimental && !i->swarm && !i->rootless && i->id);
                CU_ASSERT_EQUAL(i->v[0], n == 0 ? 26 : 17);
                CU_ASSERT_EQUAL(i->v[1], n == 0 ? 1 : 9);
                ts_api_free(a);
                server_join(&s);
        }
}

static void podman_resources(void)
{
        static const struct engine e = { podman_ping, podman_one_routes };
        struct server s = { .ctx = NULL };
        struct ts_api *a = open_engine(&s, &e);
        struct ts_changes c;
        struct ts_networks all;
        ts_auto(ts_network) struct ts_network *n = NULL;
        ts_auto(ts_volume) struct ts_volume *v = NULL;
        ts_auto(ts_image) struct ts_image *i = NULL;
        UNIT_OK(ts_api_changes(a, "rich", &c, &err));
        CU_ASSERT_TRUE(c.n > 2 && c.v[0].path[0] == '/' && c.v[0].kind == 1);
        ts_changes_clear(&c);
        UNIT_OK(ts_api_networks(a, &all, &err));
        CU_ASSERT_EQUAL(all.n, 3);
        for (size_t k = 0; k < all.n; k++) {
                CU_ASSERT_EQUAL(all.v[k]->builtin, strcmp(all.v[k]->name, "podman") == 0);
                UNIT_STR(all.v[k]->parent, strcmp(all.v[k]->name, "pmac") == 0 ? "eth0" : NULL);
        }
        ts_networks_clear(&all);
        UNIT_OK(ts_api_network(a, "labnet", &n, &err));
        CU_ASSERT_TRUE(n->dns && !n->internal && n->n_subnets == 1);
        UNIT_STR(n->subnets[0].subnet, "10.99.9.0/24");
        UNIT_STR(n->subnets[0].gateway, "10.99.9.1");
        UNIT_OK(ts_api_volume(a, "pvol", &v, &err));
        UNIT_STR(v->mountpoint, "/var/lib/containers/storage/volumes/pvol/_data");
        UNIT_OK(ts_api_image(a, "counter", &i, &err));
        CU_ASSERT_TRUE(ts_list_has(&i->names, "docker.io/library/counter:latest"));
        CU_ASSERT_EQUAL(strlen(i->id), 64);
        struct ts_network *wrong = NULL; /* the beginning of a name is no name */
        struct ts_volume *wrong_volume = NULL;
        UNIT_FAILS(ts_api_network(a, "lab", &wrong, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_api_volume(a, "pv", &wrong_volume, &err), TS_ENOTFOUND);
        UNIT_OK(ts_api_remove(a, "rich", true, true, &err)); /* 404 */
        UNIT_OK(ts_api_volume_remove(a, "pvol", &err));
        UNIT_OK(ts_api_network_remove(a, "labnet", &err));
        UNIT_OK(ts_api_image_remove(a, "counter", &err));
        ts_api_free(a);
        server_join(&s);
}

static const struct route docker_routes[] = {
        { "/info", "200 OK", "docker-26.1.5-info" },
        { "/containers/json?all=true", "200 OK", "docker-26.1.5-list" },
        { "/containers/dc1/changes HTTP", "200 OK", "docker-26.1.5-changes" },
        { "/networks HTTP", "200 OK", "docker-26.1.5-networks" },
        { "/networks/dnet HTTP", "200 OK", "docker-26.1.5-network" },
        { "/networks/81785bd6fd40 HTTP", "200 OK", "docker-26.1.5-network" },
        { "/volumes/dvol HTTP", "200 OK", "docker-26.1.5-volume" },
        { "/images/counter/json", "200 OK", "docker-26.1.5-image" },
        { "/rename?name=dc1", "409 Conflict", "docker-26.1.5-error-409" },
        { "DELETE", "404 Not Found", "docker-26.1.5-error-404" },
        { "/containers/dc1/json", "200 OK", "docker-26.1.5-inspect" },
        { "/containers/dc2/json", "200 OK", "docker-26.1.5-inspect-joined" },
        { NULL, NULL, NULL },
};
static const struct engine docker_engine = { docker_ping, docker_routes };

static void docker_resources(void)
{
        struct server s = { .ctx = NULL };
        struct ts_api *a = open_engine(&s, &docker_engine);
        struct ts_changes c;
        struct ts_networks all;
        struct ts_network *wrong = NULL;
        ts_auto(ts_network) struct ts_network *n = NULL;
        ts_auto(ts_volume) struct ts_volume *v = NULL;
        ts_auto(ts_image) struct ts_image *i = NULL;
        UNIT_OK(ts_api_changes(a, "dc1", &c, &err));
        CU_ASSERT_TRUE(c.n > 2);
        ts_changes_clear(&c);
        UNIT_OK(ts_api_networks(a, &all, &err));
        CU_ASSERT_EQUAL(all.n, 6);
        ts_networks_clear(&all);
        UNIT_OK(ts_api_network(a, "dnet", &n, &err));
        UNIT_STR(n->subnets[0].subnet, "10.99.8.0/24");
        CU_ASSERT_FALSE(n->builtin);
        UNIT_FAILS(ts_api_network(a, "81785bd6fd40", &wrong, &err), TS_ENOTFOUND);
        UNIT_OK(ts_api_volume(a, "dvol", &v, &err));
        UNIT_OK(ts_api_image(a, "counter", &i, &err));
        CU_ASSERT_TRUE(ts_list_has(&i->names, "counter:latest"));
        UNIT_FAILS(ts_api_rename(a, "dc2", "dc1", &err), TS_ECONFLICT);
        UNIT_OK(ts_api_remove(a, "dc9", true, true, &err));
        ts_api_free(a);
        server_join(&s);
}

static void docker_containers(void)
{
        struct server s = { .ctx = NULL };
        struct ts_api *a = open_engine(&s, &docker_engine);
        ts_auto(ts_container) struct ts_container *c = NULL, *joined = NULL;
        UNIT_OK(ts_api_inspect(a, "dc1", &c, &err));
        CU_ASSERT_TRUE(ts_starts(c->bundle_dir, "/var/lib/docker/containers/"));
        UNIT_STR(c->bundle_dir + strlen("/var/lib/docker/containers/"), c->id);
        UNIT_STR(c->networks[0].static_mac, NULL); /* made from the address */
        CU_ASSERT_EQUAL(c->dependencies.n, 0);
        UNIT_OK(ts_api_inspect(a, "dc2", &joined, &err));
        CU_ASSERT_EQUAL_FATAL(joined->dependencies.n, 1);
        UNIT_STR(joined->dependencies.v[0], c->id);
        ts_api_free(a);
        server_join(&s);
}

static void lists(void)
{
        static const struct route routes_1709[] = { { "/containers/json?all=true", "200 OK", "docker-17.09-documented-list" }, { NULL, NULL, NULL } };
        static const struct route podman_list[] = { { "/containers/json?all=true", "200 OK", "podman-5.4.2-list" },
                                                    { "/containers/", "200 OK", "podman-5.4.2-inspect-v5" },
                                                    { NULL, NULL, NULL } };
        static const struct {
                struct engine e;
                const char *name, *network, *volume, *label;
        } cases[] = {
                { { docker_ping, docker_routes }, "dc1", "dnet", "dvol", "a=b" },
                { { docker_1709_ping, routes_1709 }, "web", "backend", "appdata", "com.example.vendor=Acme" },
                { { podman_ping, podman_list }, "rich", "labnet", "pvol", "a=b" },
        };
        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                struct server s = { .ctx = NULL };
                struct ts_api *a = open_engine(&s, &cases[i].e);
                struct ts_briefs b = { NULL, 0 };
                const struct ts_brief *found = NULL;
                UNIT_OK(ts_api_list(a, &b, &err));
                for (size_t k = 0; k < b.n; k++)
                        if (strcmp(b.v[k].name, cases[i].name) == 0)
                                found = &b.v[k];
                CU_ASSERT_PTR_NOT_NULL_FATAL(found);
                CU_ASSERT_EQUAL(found->state, TS_STATE_RUNNING);
                CU_ASSERT_TRUE(ts_list_has(&found->volumes, cases[i].volume));
                CU_ASSERT_TRUE(ts_list_has(&found->networks, cases[i].network));
                CU_ASSERT_TRUE(ts_list_has(&found->labels, cases[i].label));
                CU_ASSERT_EQUAL(strlen(found->image_id), 64);
                CU_ASSERT_PTR_NOT_NULL(found->network_mode);
                ts_briefs_clear(&b);
                ts_api_free(a);
                server_join(&s);
        }
}

/* A container of which the engine says what cannot be used is in the list, with what is known: its ID and name. */
static void lists_have_what_cannot_be_read(void)
{
        static const struct route routes[] = { { "/containers/json?all=true", "200 OK", "podman-5.4.2-list" },
                                               { "/containers/", "200 OK", "podman-5.4.2-list" },
                                               { NULL, NULL, NULL } };
        const struct engine e = { podman_ping, routes };
        struct server s = { .ctx = NULL };
        struct ts_api *a = open_engine(&s, &e);
        struct ts_briefs b = { NULL, 0 };
        UNIT_OK(ts_api_list(a, &b, &err));
        CU_ASSERT_NOT_EQUAL_FATAL(b.n, 0);
        for (size_t i = 0; i < b.n; i++) {
                CU_ASSERT_EQUAL(strlen(b.v[i].id), 64);
                CU_ASSERT_PTR_NOT_NULL_FATAL(b.v[i].unreadable);
                CU_ASSERT_PTR_NOT_NULL(strstr(b.v[i].unreadable, "container"));
        }
        ts_briefs_clear(&b);
        ts_api_free(a);
        server_join(&s);
}

static void reports_of_long_calls(void)
{
        struct ts_call_result r = { 0 };
        ts_auto_free char *dump = fixture_text("podman-5.4.2-checkpoint"), *restore = fixture_text("podman-5.4.2-restore");
        ts_auto_free char *load = fixture_text("docker-26.1.5-error-load");
        UNIT_OK(ts_podman_ops.decode_checkpoint(dump, strlen(dump), &r, &err));
        CU_ASSERT_EQUAL(strlen(r.id), 64);
        CU_ASSERT_TRUE(r.dump.valid && r.dump.frozen_us > 0 && r.dump.freezing_us > 0 && r.dump.pages_written > 0);
        ts_call_result_clear(&r);
        UNIT_OK(ts_podman_ops.decode_restore(restore, strlen(restore), &r, &err));
        CU_ASSERT_TRUE(r.restore.valid && r.restore.restore_us > 0 && r.restore.pages_restored > 0);
        ts_call_result_clear(&r);
        static const char without[] = "{\"Id\":\"" ID "\",\"criu_statistics\":null}";
        UNIT_OK(ts_podman_ops.decode_restore(without, strlen(without), &r, &err));
        CU_ASSERT_FALSE(r.restore.valid);
        ts_call_result_clear(&r);
        UNIT_FAILS(ts_podman_ops.decode_checkpoint("{}", 2, &r, &err), TS_EPROTO);
        UNIT_FAILS(ts_podman_ops.decode_checkpoint(NULL, 0, &r, &err), TS_EPROTO);
        UNIT_FAILS(ts_docker_ops.decode_load(load, strlen(load), &r, &err), TS_EENGINE);
        static const char loaded[] = "{\"stream\":\"Loaded image: counter:latest\\n\"}\r\n";
        UNIT_OK(ts_docker_ops.decode_load(loaded, strlen(loaded), &r, &err));
        UNIT_OK(ts_docker_ops.decode_load(NULL, 0, &r, &err));
        ts_call_result_clear(&r);
}

/* Podman 6 keeps other networks' containers out unless the network says otherwise. */
static void networks_between_podman_5_and_6(void)
{
        static const struct {
                const char *body;
                int from, to;
                const char *isolate;
        } rows[] = {
                { "{\"driver\":\"bridge\"}", 5, 6, "false" },
                { "{\"driver\":\"bridge\",\"options\":{\"mtu\":\"1400\"}}", 4, 7, "false" },
                { "{\"driver\":\"bridge\",\"options\":{\"isolate\":\"true\"}}", 5, 6, "true" },
                { "{\"driver\":\"bridge\"}", 6, 5, "strict" },
                { "{\"driver\":\"bridge\"}", 5, 5, NULL },
                { "{\"driver\":\"bridge\"}", 6, 6, NULL },
                { "{\"driver\":\"bridge\"}", 0, 6, NULL },
                { "{\"driver\":\"macvlan\"}", 5, 6, NULL },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
                ts_auto(ts_json) struct ts_json *body = NULL;
                UNIT_OK(ts_json_parse(rows[i].body, strlen(rows[i].body), 0, &body, &err));
                CU_ASSERT_EQUAL(ts_podman_network_isolation(body, rows[i].from, rows[i].to), 0);
                UNIT_STR(ts_json_str(body, "options.isolate", NULL), rows[i].isolate);
        }
}

static CU_TestInfo tests[] = {
        UNIT(every_form),
        UNIT(nonsense_is_refused),
        UNIT(podman_containers),
        UNIT(docker_container),
        UNIT(docker_1709_container),
        UNIT(states_of_both_engines),
        UNIT(spoilt_answers),
        UNIT(podman_info),
        UNIT(docker_info),
        UNIT(podman_resources),
        UNIT(docker_resources),
        UNIT(docker_containers),
        UNIT(lists),
        UNIT(lists_have_what_cannot_be_read),
        UNIT(reports_of_long_calls),
        UNIT(networks_between_podman_5_and_6),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("api_decode", tests)
