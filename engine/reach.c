/* See reach.h. Decides which of a host's sockets is meant. */
#include "engine/reach.h"

#include <string.h>

static const struct {
        enum ts_engine_kind kind;
        const char *path;
} well_known[] = {
        { TS_PODMAN, "/run/podman/podman.sock" },
        { TS_DOCKER, "/run/docker.sock" },
        { TS_DOCKER, "/var/run/docker.sock" },
};

enum ts_engine_kind ts_socket_kind(const char *path)
{
        return strstr(path, "podman") ? TS_PODMAN : TS_DOCKER;
}

int ts_socket_find(struct ts_host *h, const struct ts_endpoint *ep, int want, const char **ret, struct ts_err *err)
{
        const char *found = ep->socket;
        ts_auto_free char *uri = NULL;
        int found_kind = 0;

        for (size_t i = 0; !ep->socket && i < TS_ARRAY_LEN(well_known); i++) {
                ts_auto_run r = { 0 };
                const char *const argv[] = { "test", "-S", well_known[i].path, NULL };

                if (want && (int)well_known[i].kind != want)
                        continue;
                if (ts_host_run(h, argv, NULL, &r, err) < 0)
                        return -1;
                if (r.status != 0 || found_kind == (int)well_known[i].kind)
                        continue;
                if (found) {
                        ts_auto_free char *a = ts_endpoint_uri(ep, found),
                                          *b = ts_endpoint_uri(ep, well_known[i].path);

                        ts_err_set(err, TS_EUSAGE, "'%s' has both Podman and Docker", ep->label);
                        return ts_err_hint(err, "name the socket: %s, or %s", ts_or(a, found),
                                           ts_or(b, well_known[i].path));
                }
                found = well_known[i].path;
                found_kind = (int)well_known[i].kind;
        }
        if (found) {
                *ret = found;
                return 0;
        }
        ts_err_set(err, TS_ENOTFOUND, "no engine socket on '%s'", ep->label);
        uri = ts_endpoint_uri(ep, "/path/to.sock");
        return ts_err_hint(
                err,
                "start it there (systemctl start podman.socket, or docker), or name the socket: %s",
                ts_or(uri, "ssh://HOST/path/to.sock"));
}

int ts_socket_dial_argv(const char *program, const char *socket, struct ts_list *ret, struct ts_err *err)
{
        bool podman = ts_socket_kind(socket) == TS_PODMAN;

        if (ts_list_add(ret, program, err) < 0 || (podman && ts_list_add(ret, "--remote", err) < 0))
                return -1;
        return ts_list_add(ret, podman ? "--url" : "--host", err) < 0 || ts_list_addf(ret, err, "unix://%s", socket) < 0 || ts_list_add(ret, "system", err) < 0 ||
                               ts_list_add(ret, "dial-stdio", err) < 0
                       ? -1
                       : 0;
}
