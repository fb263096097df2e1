/* Decides what a name of an engine means: which host, which user, which socket. Connects nothing. Whatever ends up in a host or user is fit to be an argument of ssh. */
#include "api/endpoint.h"

#include "api/connections.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SPEC_MAX 4096
#define SOCKET_PATH_MAX 107 /* sockaddr_un */

enum { PODMAN = 1, DOCKER = 2 };

static const struct {
        const char *path;
        int prefer;
} local_sockets[] = {
        { "/run/podman/podman.sock", PODMAN },
        { "/run/docker.sock", DOCKER },
        { "/var/run/docker.sock", DOCKER },
};

void ts_endpoint_free(struct ts_endpoint *e)
{
        if (!e)
                return;
        free(e->user);
        free(e->host);
        free(e->socket);
        free(e->identity);
        free(e->label);
        free(e);
}

static int bad(struct ts_err *err, const char *spec, const char *why)
{
        ts_auto_free char *clean = ts_printable(spec, strlen(spec), 200);
        return ts_err_set(err, TS_EUSAGE, "'%s' is not an engine: %s", ts_or(clean, "?"), why);
}

/* ---- parts of a URI ---- */

static int hex(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX. NULL: a bad escape, a control character, or out of memory. Caller frees. */
static char *unescape(const char *s, size_t len)
{
        char *out = malloc(len + 1), *to = out;
        for (const char *p = s; out && p < s + len; p++) {
                int c = (unsigned char)*p;
                if (c == '%') {
                        c = s + len - p > 2 && hex(p[1]) >= 0 && hex(p[2]) >= 0 ? hex(p[1]) * 16 + hex(p[2]) : 0;
                        p += 2;
                }
                if (c < 0x20 || c == 0x7f) {
                        free(out);
                        return NULL;
                }
                *to++ = (char)c;
        }
        if (out)
                *to = '\0';
        return out;
}

static bool only(const char *s, const char *more)
{
        for (; *s; s++)
                if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr(more, *s)))
                        return false;
        return true;
}

static bool user_is_fit(const char *s)
{
        return *s && *s != '-' && strlen(s) <= 255 && only(s, "._-+@\\$");
}

static bool host_is_fit(const char *s)
{
        return *s && *s != '-' && *s != '.' && strlen(s) <= 255 && only(s, "._-");
}

/* An address, perhaps with a zone: "fe80::1%eth0" */
static bool ip6_is_fit(const char *s)
{
        struct in6_addr a;
        size_t n = strcspn(s, "%");
        ts_auto_free char *address = strndup(s, n);
        return address && inet_pton(AF_INET6, address, &a) == 1 && (s[n] == '\0' || (s[n + 1] && strlen(s + n) <= 32 && only(s + n + 1, "._-")));
}

static int set_socket(struct ts_endpoint *e, const char *path, struct ts_err *err)
{
        ts_auto_free char *decoded = unescape(path, strlen(path));
        if (!decoded || *decoded != '/' || decoded[1] == '\0')
                return bad(err, e->label, "the path of its socket must be absolute");
        if (strlen(decoded) > SOCKET_PATH_MAX)
                return bad(err, e->label, "the path of its socket is longer than a socket's may be");
        e->socket = TS_TAKE(decoded);
        return 0;
}

static int set_user(struct ts_endpoint *e, const char *s, size_t len, struct ts_err *err)
{
        if (memchr(s, ':', len)) {
                (void)ts_err_set(err, TS_EUSAGE, "a password in the address of an engine is not accepted"); /* and not shown */
                return ts_err_hint(err, "use an SSH key or the agent");
        }
        e->user = unescape(s, len);
        return e->user && user_is_fit(e->user) ? 0 : bad(err, e->label, "that cannot be a user's name");
}

static int set_port(struct ts_endpoint *e, const char *s, size_t len, struct ts_err *err)
{
        unsigned long long port;
        ts_auto_free char *digits = strndup(s, len);
        if (!digits || ts_parse_u64(digits, 1, 65535, &port, NULL) < 0)
                return bad(err, e->label, "a port is a number from 1 to 65535");
        e->port = (unsigned)port;
        return 0;
}

/* "host", "host:port", "[ip6]", "[ip6]:port" */
static int set_host(struct ts_endpoint *e, const char *s, size_t len, struct ts_err *err)
{
        bool brackets = len > 0 && *s == '[';
        const char *end = s + len, *close = brackets ? memchr(s, ']', len) : NULL;
        const char *colon = brackets ? (close && close + 1 < end ? close + 1 : NULL) : memchr(s, ':', len);
        if (brackets && (!close || (colon && *colon != ':')))
                return bad(err, e->label, "an IPv6 address stands between '[' and ']'");
        const char *from = brackets ? s + 1 : s, *to = close ? close : colon ? colon : end;
        /* cppcheck-suppress nullPointerArithmeticRedundantCheck ; with brackets there is a close, or we are gone already */
        e->host = unescape(from, (size_t)(to - from));
        if (!e->host || !(brackets ? ip6_is_fit(e->host) : host_is_fit(e->host)))
                return bad(err, e->label, "that cannot be the name of a host");
        return colon ? set_port(e, colon + 1, (size_t)(end - colon - 1), err) : 0;
}

static int parse_ssh(struct ts_endpoint *e, const char *rest, struct ts_err *err)
{
        size_t n = strcspn(rest, "/?#");
        const char *path = rest + n, *sep = NULL;
        for (const char *p = rest; p < rest + n; p++) /* the last one: some users' names have an @ */
                if (*p == '@')
                        sep = p;
        e->remote = true;
        if (strpbrk(path, "?#"))
                return bad(err, e->label, "an address of an engine has neither '?' nor '#'");
        if (sep && set_user(e, rest, (size_t)(sep - rest), err) < 0)
                return -1;
        const char *host = sep ? sep + 1 : rest;
        if (set_host(e, host, (size_t)(rest + n - host), err) < 0)
                return -1;
        return *path == '\0' || strcmp(path, "/") == 0 ? 0 : set_socket(e, path, err);
}

static int parse_unix(struct ts_endpoint *e, const char *rest, struct ts_err *err)
{
        return set_socket(e, rest, err);
}

static const struct {
        const char *scheme;
        int (*parse)(struct ts_endpoint *e, const char *rest, struct ts_err *err);
} schemes[] = { { "unix://", parse_unix }, { "ssh://", parse_ssh } };

/* 1: it was one of ours, 0: no URI of ours, -1 */
static int parse_uri(struct ts_endpoint *e, const char *uri, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(schemes); i++)
                if (ts_starts(uri, schemes[i].scheme))
                        return schemes[i].parse(e, uri + strlen(schemes[i].scheme), err) < 0 ? -1 : 1;
        if (!strstr(uri, "://"))
                return 0;
        (void)bad(err, uri, "only unix:// and ssh:// are");
        return ts_err_hint(err, "an engine that listens on TCP can be reached through SSH on its host: ssh://user@host");
}

/* ---- names ---- */

static struct ts_endpoint *endpoint_new(const char *label, int prefer, struct ts_err *err)
{
        struct ts_endpoint *e = calloc(1, sizeof(*e));
        if (e)
                e->label = strdup(label);
        if (!e || !e->label) {
                ts_endpoint_free(e);
                (void)ts_err_set(err, TS_ENOMEM, "out of memory");
                return NULL;
        }
        e->prefer = prefer;
        return e;
}

static const char *kind_prefix(int prefer)
{
        return prefer == PODMAN ? "podman:" : "docker:";
}

static int from_connection(const char *label, const struct ts_connection *c, struct ts_endpoint **ret, struct ts_err *err)
{
        ts_auto(ts_endpoint) struct ts_endpoint *e = endpoint_new(label, c->prefer, err);
        if (!e)
                return -1;
        int rc = parse_uri(e, c->uri, err);
        if (rc == 0)
                rc = bad(err, c->uri, "only unix:// and ssh:// are");
        if (rc < 0)
                return ts_err_prefix(err, "%s%s", kind_prefix(c->prefer), c->name);
        e->identity = ts_strdup0(c->identity);
        *ret = TS_TAKE(e);
        return 0;
}

static int say_names(const struct ts_connections *all, struct ts_err *err)
{
        ts_auto_str names = TS_STR_INIT_MAX(1024);
        for (size_t i = 0; i < all->n; i++) {
                ts_auto_free char *clean = ts_printable(all->v[i].name, strlen(all->v[i].name), 64);
                ts_auto_free char *word =
                        ts_shell_word("%s%s", kind_prefix(all->v[i].prefer), ts_or(clean, "?"));
                (void)ts_str_addf(&names, NULL, "%s%s", names.len > 0 ? ", " : "",
                                  ts_or(word, "?"));
        }
        if (names.len == 0)
                return ts_err_hint(err, "give unix:///path or ssh://user@host, or name a connection with 'podman system connection add' or 'docker context create'");
        return ts_err_hint(err, "known names: %s", ts_str_cstr(&names));
}

/* Among the connections of that kind (0: of any). */
static int by_name(const char *spec, const char *name, int kind, struct ts_endpoint **ret, struct ts_err *err)
{
        struct ts_connections all = { NULL, 0 };
        const struct ts_connection *found = NULL;
        size_t matches = 0;
        if (ts_connections_load(&all, err) < 0)
                return -1;
        for (size_t i = 0; i < all.n; i++)
                if ((kind == 0 || all.v[i].prefer == kind) && strcmp(all.v[i].name, name) == 0) {
                        found = &all.v[i];
                        matches++;
                }
        int rc;
        if (matches == 1) {
                rc = from_connection(spec, found, ret, err);
        } else if (matches > 1) {
                rc = ts_err_set(err, TS_EUSAGE, "'%s' is the name of two engines: podman:%s and docker:%s", spec, name, name);
        } else {
                (void)bad(err, spec, "there is no connection or context of that name");
                rc = strchr(name, '@') || ts_starts(name, "ssh:")
                             ? ts_err_hint(err, "a host is ssh://USER@HOST, or ssh://USER@HOST/SOCKET")
                             : say_names(&all, err);
        }
        ts_connections_clear(&all);
        return rc;
}

static bool is_socket(const char *path, struct stat *st)
{
        return stat(path, st) == 0 && S_ISSOCK(st->st_mode);
}

static int from_socket(const char *label, const char *path, int prefer, struct ts_endpoint **ret, struct ts_err *err)
{
        ts_auto(ts_endpoint) struct ts_endpoint *e = endpoint_new(label, prefer, err);
        if (!e)
                return -1;
        if (strlen(path) > SOCKET_PATH_MAX)
                return bad(err, label, "the path of its socket is longer than a socket's may be");
        e->socket = strdup(path);
        if (!e->socket)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = TS_TAKE(e);
        return 0;
}

/* The local sockets that exist, each once, however many names it has. */
static int local(const char *label, struct ts_endpoint **ret, struct ts_err *err)
{
        struct stat seen[TS_ARRAY_LEN(local_sockets)] = { 0 }, st;
        size_t n = 0, which[TS_ARRAY_LEN(local_sockets)] = { 0 };
        for (size_t i = 0; i < TS_ARRAY_LEN(local_sockets); i++) {
                bool again = !is_socket(local_sockets[i].path, &st);
                for (size_t k = 0; !again && k < n; k++)
                        again = seen[k].st_dev == st.st_dev && seen[k].st_ino == st.st_ino;
                if (again)
                        continue;
                seen[n] = st;
                which[n++] = i;
        }
        if (n == 1)
                return from_socket(label ? label : local_sockets[which[0]].path, local_sockets[which[0]].path, local_sockets[which[0]].prefer, ret, err);
        if (n > 1) {
                (void)ts_err_set(err, TS_EUSAGE, "there are two engines here: unix://%s and unix://%s", local_sockets[which[0]].path, local_sockets[which[1]].path);
                return ts_err_hint(err, "say which with --from");
        }
        (void)ts_err_set(err, TS_EUSAGE, "there is no engine here that could be reached");
        return ts_err_hint(err, "start one with 'systemctl start podman.socket' or 'systemctl start docker', or say where it is with --from; the sockets may need root");
}

int ts_endpoint_parse(const char *spec, struct ts_endpoint **ret, struct ts_err *err)
{
        struct stat st;
        if (!spec || *spec == '\0')
                return ts_err_set(err, TS_EUSAGE, "the name of an engine is empty");
        if (strlen(spec) > SPEC_MAX)
                return ts_err_set(err, TS_EUSAGE, "the name of an engine is too long");
        ts_auto(ts_endpoint) struct ts_endpoint *e = endpoint_new(spec, 0, err);
        if (!e)
                return -1;
        int rc = parse_uri(e, spec, err);
        if (rc != 0) {
                if (rc > 0)
                        *ret = TS_TAKE(e);
                return rc < 0 ? -1 : 0;
        }
        if (strcmp(spec, "local") == 0)
                return local(spec, ret, err);
        if (*spec == '/')
                return is_socket(spec, &st) ? from_socket(spec, spec, 0, ret, err) : bad(err, spec, "there is no socket of that name");
        if (ts_starts(spec, "podman:"))
                return by_name(spec, spec + strlen("podman:"), PODMAN, ret, err);
        if (ts_starts(spec, "docker:"))
                return by_name(spec, spec + strlen("docker:"), DOCKER, ret, err);
        return by_name(spec, spec, 0, ret, err);
}

/* ---- back to text ---- */

/* Only what an address would take for something else. */
static int add_escaped(struct ts_str *s, const char *text)
{
        int rc = 0;

        for (; *text && rc == 0; text++)
                rc = strchr("%?# ", *text) ? ts_str_addf(s, NULL, "%%%02X", (unsigned)*text)
                                           : ts_str_add(s, text, 1, NULL);
        return rc;
}

char *ts_endpoint_uri(const struct ts_endpoint *e, const char *socket)
{
        bool ip6 = e->host && strchr(e->host, ':');
        ts_auto_str s = TS_STR_INIT;

        if (ts_str_adds(&s, e->remote ? "ssh://" : "unix://", NULL) < 0 ||
            (e->user && (add_escaped(&s, e->user) < 0 || ts_str_adds(&s, "@", NULL) < 0)) ||
            (ip6 && ts_str_adds(&s, "[", NULL) < 0) ||
            (e->host && add_escaped(&s, e->host) < 0) || (ip6 && ts_str_adds(&s, "]", NULL) < 0) ||
            (e->port && ts_str_addf(&s, NULL, ":%u", e->port) < 0) || add_escaped(&s, socket) < 0)
                return NULL;
        return ts_shell_word("%s", ts_str_cstr(&s));
}

/* ---- without a name ---- */

static int from_variable(const char *variable, const char *value, int prefer, struct ts_endpoint **ret, struct ts_err *err)
{
        if (ts_endpoint_parse(value, ret, err) < 0)
                return ts_err_prefix(err, "%s", variable);
        (*ret)->prefer = prefer;
        return 0;
}

/* NULL when it is not set or empty. */
static const char *environment(const char *variable)
{
        const char *value = getenv(variable);
        return value && *value ? value : NULL;
}

int ts_endpoint_default(struct ts_endpoint **ret, struct ts_err *err)
{
        const char *podman = environment("CONTAINER_HOST"), *docker = environment("DOCKER_HOST"), *context = environment("DOCKER_CONTEXT");
        if (podman && docker && strcmp(podman, docker) != 0) {
                (void)ts_err_set(err, TS_EUSAGE, "CONTAINER_HOST and DOCKER_HOST name two engines");
                return ts_err_hint(err, "say which with --from");
        }
        if (podman)
                return from_variable("CONTAINER_HOST", podman, PODMAN, ret, err);
        if (docker)
                return from_variable("DOCKER_HOST", docker, DOCKER, ret, err);
        if (context && strcmp(context, "default") != 0)
                return by_name(context, context, DOCKER, ret, err);
        return local(NULL, ret, err);
}
