/* What the user calls an engine: URIs, Podman system connections, Docker contexts, environment, local sockets. Names only; nothing is connected here.
 *
 * Sources: podman-connections.json and containers.conf ([engine.service_destinations], Podman 4) of the user and the system; ~/.docker/contexts/meta/SHA256/meta.json and
 * DOCKER_CONFIG; CONTAINER_HOST, DOCKER_HOST, DOCKER_CONTEXT. Under sudo the calling user's files (ts_user_home). */
#ifndef TRANSHIP_API_ENDPOINT_H
#define TRANSHIP_API_ENDPOINT_H

#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>

struct ts_endpoint {
        bool remote;      /* over SSH */
        char *user;       /* or NULL: as SSH is configured */
        char *host;       /* remote only; also an alias of the SSH configuration; IPv6 without brackets */
        unsigned port;    /* 0: as SSH is configured */
        char *socket;     /* absolute path on that host, or NULL: look there (/run/podman/podman.sock, /run/docker.sock, /var/run/docker.sock) */
        char *identity;   /* SSH key named by a Podman connection, or NULL */
        char *label;      /* what the user typed: for messages */
        int prefer;       /* 0 unknown, 1 Podman, 2 Docker: from the kind of name, used when socket is NULL */
};
void ts_endpoint_free(struct ts_endpoint *e);
TS_DEFINE_AUTO(ts_endpoint, ts_endpoint_free);

/* spec: unix:///path, ssh://[user@]host[:port][/path], podman:NAME, docker:NAME, or a bare NAME that is unique among connections and contexts (TS_EUSAGE lists the candidates otherwise; a plain existing
 * socket path and `local` are accepted too). tcp:// and others are TS_EUSAGE with a hint. Passwords in URIs are refused. */
int ts_endpoint_parse(const char *spec, struct ts_endpoint **ret, struct ts_err *err);
/* Without --from: CONTAINER_HOST, DOCKER_HOST, then the local sockets that exist; two candidates are TS_EUSAGE naming them, none TS_EUSAGE saying how to start one. */
int ts_endpoint_default(struct ts_endpoint **ret, struct ts_err *err);
/* The address of a socket on the same host, as ts_endpoint_parse takes it, quoted for a shell.
 * Caller frees; NULL only out of memory. */
char *ts_endpoint_uri(const struct ts_endpoint *e, const char *socket);

#endif
