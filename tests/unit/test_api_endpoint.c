/* api/endpoint.c, connections.c, containers_conf.c: what names of engines mean. The homes are made for the test. */
#include "tests/unit/unit.h"
#include "tests/unit/remove_tree.h"

#include "api/connections.h"
#include "api/endpoint.h"
#include "base/io.h"
#include "base/str.h"

#include <sys/socket.h>
#include <sys/un.h>

static struct ts_err err = TS_ERR_INIT;
static char home[64];

/* ---- URIs ---- */

static const struct {
        const char *spec;
        bool remote;
        const char *user, *host;
        unsigned port;
        const char *socket;
} good[] = {
        { "unix:///run/podman/podman.sock", false, NULL, NULL, 0, "/run/podman/podman.sock" },
        { "unix:///with%20space.sock", false, NULL, NULL, 0, "/with space.sock" },
        { "ssh://host", true, NULL, "host", 0, NULL },
        { "ssh://host/", true, NULL, "host", 0, NULL },
        { "ssh://host:2222", true, NULL, "host", 2222, NULL },
        { "ssh://me@host.example.org:22/run/docker.sock", true, "me", "host.example.org", 22, "/run/docker.sock" },
        { "ssh://core@127.0.0.1:63418/run/user/501/podman/podman.sock", true, "core", "127.0.0.1", 63418, "/run/user/501/podman/podman.sock" },
        { "ssh://root@[::1]", true, "root", "::1", 0, NULL },
        { "ssh://root@[2001:db8::7]:2200/x.sock", true, "root", "2001:db8::7", 2200, "/x.sock" },
        { "ssh://[fe80::1%25eth0]:22", true, NULL, "fe80::1%eth0", 22, NULL },
        { "ssh://my%2Ename@host", true, "my.name", "host", 0, NULL },
        { "ssh://me@corp.example@host", true, "me@corp.example", "host", 0, NULL },
        { "ssh://CORP%5Cme@host", true, "CORP\\me", "host", 0, NULL },
        { "ssh://an_alias-1", true, NULL, "an_alias-1", 0, NULL },
};

static void good_uris(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(good); i++) {
                ts_auto(ts_endpoint) struct ts_endpoint *e = NULL;
                UNIT_OK(ts_endpoint_parse(good[i].spec, &e, &err));
                CU_ASSERT_EQUAL(e->remote, good[i].remote);
                UNIT_STR(e->user, good[i].user);
                UNIT_STR(e->host, good[i].host);
                CU_ASSERT_EQUAL(e->port, good[i].port);
                UNIT_STR(e->socket, good[i].socket);
                UNIT_STR(e->label, good[i].spec);
                UNIT_STR(e->identity, NULL);
                CU_ASSERT_EQUAL(e->prefer, 0);
        }
}

static const char *const bad[] = {
        "",
        "unix://",
        "unix:///",
        "unix://relative.sock",
        "unix:///a%00b",
        "unix:///a%0ab",
        "unix:///a%zz",
        "unix:///a%4",
        "unix:////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////////",
        "ssh://",
        "ssh:///run/x.sock",
        "ssh://@host",
        "ssh://user@",
        "ssh://-oProxyCommand=x",
        "ssh://-l@host",
        "ssh://u@-host",
        "ssh://us er@host",
        "ssh://user@ho st",
        "ssh://user@host;reboot",
        "ssh://user@$(reboot)",
        "ssh://user@`x`",
        "ssh://us'er@host",
        "ssh://host:",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://host:22x",
        "ssh://host:-1",
        "ssh://::1",
        "ssh://[::1",
        "ssh://[::1]x",
        "ssh://[::1]:",
        "ssh://[nonsense]",
        "ssh://[::1%25]",
        "ssh://[::1%25a;b]",
        "ssh://host?x=y",
        "ssh://host/run/x.sock#y",
        "ssh://host/%0a",
        "ssh://user:secret@host",
        "tcp://127.0.0.1:2375",
        "http://host",
        "npipe:////./pipe/docker_engine",
        "fd://",
        "podman:",
        "docker:",
        "podman:nobody",
        "no-such-name",
        "/no/such/socket",
        "..",
        "a\nb",
};

static void bad_uris(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                struct ts_endpoint *e = NULL;
                if (ts_endpoint_parse(bad[i], &e, NULL) == 0)
                        (void)printf("\n    accepted: %s\n", bad[i]);
                ts_endpoint_free(e);
                e = NULL;
                UNIT_FAILS(ts_endpoint_parse(bad[i], &e, &err), TS_EUSAGE);
                CU_ASSERT_PTR_NULL(e);
        }
}

static void passwords_are_not_shown(void)
{
        struct ts_endpoint *e = NULL;
        CU_ASSERT_EQUAL(ts_endpoint_parse("ssh://user:secret@host", &e, &err), -1);
        CU_ASSERT_PTR_NULL(strstr(ts_err_message(&err), "secret"));
        CU_ASSERT_PTR_NOT_NULL(err.hint);
        ts_err_clear(&err);
}

/* ---- homes ---- */

static void put(const char *name, const char *text)
{
        ts_auto_free char *path = ts_fmt("%s/%s", home, name), *dir = ts_fmt("%s/%s", home, name);
        *strrchr(dir, '/') = '\0';
        UNIT_OK(ts_mkdir_p(dir, 0700, &err));
        UNIT_OK(ts_file_write_atomic(path, text, strlen(text), 0600, &err));
}

static void set(const char *variable, const char *name)
{
        ts_auto_free char *path = ts_fmt("%s/%s", home, name);
        (void)setenv(variable, path, 1);
}

static void clean_environment(void)
{
        static const char *const variables[] = { "CONTAINER_HOST", "DOCKER_HOST", "DOCKER_CONTEXT", "PODMAN_CONNECTIONS_CONF" };
        for (size_t i = 0; i < TS_ARRAY_LEN(variables); i++)
                (void)unsetenv(variables[i]);
        set("XDG_CONFIG_HOME", "config");
        set("DOCKER_CONFIG", "docker");
        set("CONTAINERS_CONF", "containers.conf");
}

static void make_home(void)
{
        clean_environment();
        put("config/containers/podman-connections.json",
            "{\"Connection\":{\"Default\":\"prod\",\"Connections\":{"
            "\"prod\":{\"URI\":\"ssh://root@prod.example:22/run/podman/podman.sock\",\"Identity\":\"/home/me/.ssh/id_prod\"},"
            "\"both\":{\"URI\":\"unix:///run/a.sock\"},\"over\":{\"URI\":\"ssh://new\"},\"tcp\":{\"URI\":\"tcp://x:1\"}}},\"Farm\":{}}");
        put("containers.conf", "# comment\n[engine]\nactive_service = \"old\"\nenv = [\"A=[x]\", # \"]\n 'b',\n]\n[engine.service_destinations]\n"
                               "  [engine.service_destinations.old]\n  uri = \"ssh://core@old:2200/run/x.sock\"\n  identity = '/k'\n"
                               "[engine.service_destinations.\"with space\"]\nuri='ssh://spaced'\n[engine.service_destinations.over]\nuri=\"ssh://stale\"\n");
        put("docker/contexts/meta/aa/meta.json", "{\"Name\":\"dock\",\"Metadata\":{},\"Endpoints\":{\"docker\":{\"Host\":\"ssh://me@dock\",\"SkipTLSVerify\":false}}}");
        put("docker/contexts/meta/bb/meta.json", "{\"Name\":\"both\",\"Metadata\":{},\"Endpoints\":{\"docker\":{\"Host\":\"unix:///run/b.sock\"}}}");
        put("docker/contexts/meta/cc/meta.json", "{\"Name\":\"kube\",\"Endpoints\":{\"kubernetes\":{}}}");
}

static const struct {
        const char *spec, *host, *socket, *identity;
        int prefer;
} named[] = {
        { "podman:prod", "prod.example", "/run/podman/podman.sock", "/home/me/.ssh/id_prod", 1 },
        { "prod", "prod.example", "/run/podman/podman.sock", "/home/me/.ssh/id_prod", 1 },
        { "podman:old", "old", "/run/x.sock", "/k", 1 },
        { "with space", "spaced", NULL, NULL, 1 },
        { "podman:over", "new", NULL, NULL, 1 },
        { "docker:dock", "dock", NULL, NULL, 2 },
        { "dock", "dock", NULL, NULL, 2 },
        { "podman:both", NULL, "/run/a.sock", NULL, 1 },
        { "docker:both", NULL, "/run/b.sock", NULL, 2 },
};

static void names_of_connections_and_contexts(void)
{
        make_home();
        for (size_t i = 0; i < TS_ARRAY_LEN(named); i++) {
                ts_auto(ts_endpoint) struct ts_endpoint *e = NULL;
                UNIT_OK(ts_endpoint_parse(named[i].spec, &e, &err));
                UNIT_STR(e->host, named[i].host);
                UNIT_STR(e->socket, named[i].socket);
                UNIT_STR(e->identity, named[i].identity);
                CU_ASSERT_EQUAL(e->prefer, named[i].prefer);
                CU_ASSERT_EQUAL(e->remote, named[i].host != NULL);
                UNIT_STR(e->label, named[i].spec);
        }
}

static void addresses_of_sockets(void)
{
        static const struct {
                const char *spec, *socket, *want;
        } cases[] = {
                { "ssh://h1", "/run/docker.sock", "ssh://h1/run/docker.sock" },
                { "ssh://root@h1:2222/", "/run/a.sock", "ssh://root@h1:2222/run/a.sock" },
                { "ssh://root@[fe80::1%25eth0]", "/a", "'ssh://root@[fe80::1%25eth0]/a'" },
                { "unix:///x", "/run/my socket?", "unix:///run/my%20socket%3F" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto(ts_endpoint) struct ts_endpoint *e = NULL, *again = NULL;
                ts_auto_free char *uri = NULL;

                UNIT_OK(ts_endpoint_parse(cases[i].spec, &e, &err));
                uri = ts_endpoint_uri(e, cases[i].socket);
                UNIT_STR(uri, cases[i].want);
                if (uri && *uri != '\'') {
                        UNIT_OK(ts_endpoint_parse(uri, &again, &err));
                        UNIT_STR(again->socket, cases[i].socket);
                        UNIT_STR(again->user, e->user);
                }
        }
}

static void unclear_names(void)
{
        struct ts_endpoint *e = NULL;
        make_home();
        CU_ASSERT_EQUAL(ts_endpoint_parse("both", &e, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "podman:both and docker:both"));
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(ts_endpoint_parse("nobody", &e, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "podman:prod"));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "docker:dock"));
        ts_err_clear(&err);
        UNIT_FAILS(ts_endpoint_parse("podman:dock", &e, &err), TS_EUSAGE);
        UNIT_FAILS(ts_endpoint_parse("docker:kube", &e, &err), TS_EUSAGE);
        UNIT_FAILS(ts_endpoint_parse("podman:tcp", &e, &err), TS_EUSAGE);
}

static void damaged_files_are_named(void)
{
        static const char *const files[][2] = { { "config/containers/podman-connections.json", "{\"Connection\":" },
                                                { "containers.conf", "[engine\nx=1\n" },
                                                { "docker/contexts/meta/dd/meta.json", "nonsense" } };
        for (size_t i = 0; i < TS_ARRAY_LEN(files); i++) {
                struct ts_endpoint *e = NULL;
                make_home();
                put(files[i][0], files[i][1]);
                CU_ASSERT_EQUAL(ts_endpoint_parse("prod", &e, &err), -1);
                CU_ASSERT_EQUAL(err.code, TS_EUSAGE);
                CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), strrchr(files[i][0], '/') ? strrchr(files[i][0], '/') : files[i][0]));
                ts_err_clear(&err);
        }
        put("docker/contexts/meta/dd/meta.json", "{}");
}

static void environment(void)
{
        ts_auto(ts_endpoint) struct ts_endpoint *e = NULL, *f = NULL, *g = NULL;
        struct ts_endpoint *none = NULL;
        make_home();
        (void)setenv("CONTAINER_HOST", "ssh://pod", 1);
        UNIT_OK(ts_endpoint_default(&e, &err));
        UNIT_STR(e->host, "pod");
        CU_ASSERT_EQUAL(e->prefer, 1);
        (void)setenv("DOCKER_HOST", "ssh://dock", 1);
        UNIT_FAILS(ts_endpoint_default(&none, &err), TS_EUSAGE);
        (void)unsetenv("CONTAINER_HOST");
        UNIT_OK(ts_endpoint_default(&f, &err));
        UNIT_STR(f->host, "dock");
        CU_ASSERT_EQUAL(f->prefer, 2);
        (void)setenv("DOCKER_HOST", "tcp://1.2.3.4:2375", 1);
        CU_ASSERT_EQUAL(ts_endpoint_default(&none, &err), -1);
        CU_ASSERT_TRUE(ts_starts(ts_err_message(&err), "DOCKER_HOST"));
        ts_err_clear(&err);
        (void)unsetenv("DOCKER_HOST");
        (void)setenv("DOCKER_CONTEXT", "dock", 1);
        UNIT_OK(ts_endpoint_default(&g, &err));
        UNIT_STR(g->user, "me");
        clean_environment();
}

static void plain_socket_paths(void)
{
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        struct ts_endpoint *none = NULL;
        ts_auto(ts_endpoint) struct ts_endpoint *e = NULL;
        ts_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/engine.sock", home);
        CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
        UNIT_OK(ts_endpoint_parse(a.sun_path, &e, &err));
        UNIT_STR(e->socket, a.sun_path);
        CU_ASSERT_FALSE(e->remote);
        (void)unlink(a.sun_path);
        UNIT_FAILS(ts_endpoint_parse(a.sun_path, &none, &err), TS_EUSAGE);
        UNIT_FAILS(ts_endpoint_parse("/etc/passwd", &none, &err), TS_EUSAGE);
}

/* ---- TOML ---- */

static const struct {
        const char *text;
        const char *uri; /* of "n"; NULL: none */
} tomls[] = {
        { "[engine.service_destinations.n]\nuri=\"ssh://a\"", "ssh://a" },
        { "[ engine . service_destinations . \"n\" ]\r\nuri = 'ssh://a' # c\r\n", "ssh://a" },
        { "[engine.service_destinations]\nn.uri = \"ssh://a\"\n", "ssh://a" },
        { "[engine]\nservice_destinations.n.uri = \"ssh://a\"\n", "ssh://a" },
        { "engine.service_destinations.n.uri = \"ssh://\\\"a\\\\\"\n", "ssh://\"a\\" },
        { "[engine.service_destinations.n]\nuri=\"\"\"ssh://a\"\"\"\n", "ssh://a" },
        { "[other.service_destinations.n]\nuri=\"ssh://a\"\n", NULL },
        { "[engine.service_destinations.n.deeper]\nuri=\"ssh://a\"\n", NULL },
        { "[[engine.service_destinations.n]]\nuri=\"ssh://a\"\n", NULL },
        { "[engine.service_destinations.n]\nuri=5\n", NULL },
        { "[engine.service_destinations.n]\nis_machine=true\n[engine.service_destinations.m]\nuri=\"ssh://b\"", NULL },
        { "[a]\nx = [\n '''\n[engine.service_destinations.n]\nuri=\"ssh://no\"\n''' ]\n", NULL },
        { "[a]\nx = \"\"\"\n[engine.service_destinations.n]\nuri='ssh://no'\n\\\"\"\"\"\n", NULL },
        { "a.b.c.d.e.f.g.h.i.j = 1\n[engine.service_destinations.n]\nuri=\"ssh://a\"\nx={a=1,b=[{c=\"}\"}]}\n", "ssh://a" },
        { "", NULL },
};

static void toml(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(tomls); i++) {
                struct ts_connections c = { NULL, 0 };
                const char *uri = NULL;
                UNIT_OK(ts_containers_conf_parse(tomls[i].text, strlen(tomls[i].text), &c, &err));
                for (size_t k = 0; k < c.n; k++)
                        if (strcmp(c.v[k].name, "n") == 0)
                                uri = c.v[k].uri;
                UNIT_STR(uri, tomls[i].uri);
                ts_connections_clear(&c);
        }
        static const char *const damaged[] = { "[", "[a", "[a]]x", "x", "x=\"", "x='''a", "=1", "[a..b]", "[engine.service_destinations.n]\nuri=\"\\q\"" };
        for (size_t i = 0; i < TS_ARRAY_LEN(damaged); i++) {
                struct ts_connections c = { NULL, 0 };
                int rc = ts_containers_conf_parse(damaged[i], strlen(damaged[i]), &c, &err);
                if (rc == 0)
                        (void)printf("\n    accepted: %s\n", damaged[i]);
                CU_ASSERT_EQUAL(rc, -1);
                ts_err_clear(&err);
                ts_connections_clear(&c);
        }
}

static void remove_home(void)
{
        CU_ASSERT_EQUAL(remove_tree(home), 0);
}

static CU_TestInfo tests[] = {
        UNIT(good_uris),
        UNIT(bad_uris),
        UNIT(passwords_are_not_shown),
        UNIT(names_of_connections_and_contexts),
        UNIT(addresses_of_sockets),
        UNIT(unclear_names),
        UNIT(damaged_files_are_named),
        UNIT(environment),
        UNIT(plain_socket_paths),
        UNIT(toml),
        UNIT(remove_home),
        CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
        (void)snprintf(home, sizeof(home), "/tmp/tranship-endpoint-XXXXXX");
        if (!mkdtemp(home))
                return 1;
        clean_environment();
        return unit_run("api_endpoint", tests, argc > 1 ? argv[1] : NULL);
}
