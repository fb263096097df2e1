/* One end of a migration: the host and its engine, reached, reached again after a break, and Podman's private service.
 *
 * Why a private service: a failed restore leaves published ports bound in the engine's service process until it ends (docs/internals/engines.md), and the proof that a restore
 * cannot go on is that the process serving it is gone. Both need a process that is ours to end. It also chooses its own temporary directory. */
#include "base/io.h"
#include "base/log.h"
#include "engine/claims.h"
#include "engine/mig.h"
#include "engine/reach.h"
#include "transfer/packed.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any pause of a move: nobody talks to the service while gigabytes are copied from host to host. */
#define SERVICE_IDLE_S "86400"

/* A spare that was closed or spoken to meanwhile is no use. */
static int dial_end(void *ctx, int *ret_fd, struct ts_err *err)
{
        struct ts_end *e = ctx;
        int spare = atomic_exchange(&e->spare, 0) - 1;

        if (spare >= 0 && ts_fd_quiet(spare)) {
                *ret_fd = spare;
                return 0;
        }
        if (spare >= 0)
                (void)close(spare);
        return ts_host_dial_unix(e->host, e->socket, (const char *const *)e->fallback.v, ret_fd, err);
}

int ts_end_predial(struct ts_end *e, struct ts_err *err)
{
        int fd = -1;

        if (ts_host_dial_unix(e->host, e->socket, (const char *const *)e->fallback.v, &fd, err) < 0)
                return -1;
        fd = atomic_exchange(&e->spare, fd + 1) - 1;
        if (fd >= 0)
                (void)close(fd);
        return 0;
}

static int set_socket(struct ts_mig *m, struct ts_end *e, const char *socket, struct ts_err *err)
{
        if (socket != e->socket) {
                free(e->socket);
                e->socket = ts_strdup0(socket);
        }
        ts_list_clear(&e->fallback);
        return ts_socket_dial_argv(ts_socket_kind(socket) == TS_PODMAN ? m->o->podman : m->o->docker, socket, &e->fallback, err);
}

static int find_socket(struct ts_mig *m, struct ts_end *e, int want, struct ts_err *err)
{
        const char *found = NULL;

        return ts_socket_find(e->host, e->ep, want, &found, err) < 0 ? -1 : set_socket(m, e, found, err);
}

static int connect_host(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        struct ts_ssh_opts ssh = m->o->ssh;

        if (!e->ep->remote)
                return ts_host_local(&e->host, err);
        if (!ssh.identity)
                ssh.identity = e->ep->identity;
        return ts_host_ssh(e->ep->user, e->ep->host, e->ep->port, &ssh, &e->host, err);
}

/* The same engine as before a break, or as the journal says? What another one does not have proves nothing (SAFETY rule 1). */
static int identify(struct ts_end *e, struct ts_err *err)
{
        const char *const argv[] = { "cat", "/etc/machine-id", NULL };
        ts_auto_free char *machine = NULL, *identity = NULL;

        if (ts_host_check(e->host, argv, NULL, &machine, err) < 0)
                return ts_err_prefix(err, "machine ID of '%s'", ts_host_name(e->host));
        identity = ts_fmt("%s %s %s", machine, ts_or(e->info->graph_root, ""), ts_or(e->info->id, ""));
        if (!identity)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (e->identity && strcmp(e->identity, identity) != 0)
                return ts_err_set(err, TS_ECONNECT, "another engine answers at '%s' than before", e->ep->label);
        free(e->machine);
        free(e->identity);
        e->machine = TS_TAKE(machine);
        e->identity = TS_TAKE(identity);
        return 0;
}

static int open_api(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        struct ts_dial dial = { .dial = dial_end, .ctx = e };
        ts_auto(ts_api) struct ts_api *api = NULL;

        if (ts_api_open(&dial, &api, err) < 0 || ts_api_info(api, &e->info, err) < 0)
                return ts_err_prefix(err, "engine '%s' (%s)", e->ep->label, e->socket);
        ts_api_set_peer_check(api, m->o->peer_timeout_ms);
        e->api = TS_TAKE(api);
        if (identify(e, err) == 0)
                return 0;
        ts_api_free(TS_TAKE(e->api));
        e->info = NULL;
        return -1;
}

/* The engine on a host that is connected. */
static int connect_engine(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        int want = e->ep->prefer;

        if (!want && e->side == TS_SIDE_TARGET && m->src.api)
                want = (int)ts_api_kind(m->src.api);
        if (e->service ? set_socket(m, e, e->service, err) < 0 : find_socket(m, e, want, err) < 0)
                return -1;
        return open_api(m, e, err);
}

/* The end as a URI that another machine understands: for the journal. */
char *ts_end_uri(const struct ts_end *e)
{
        bool v6 = e->ep->host && strchr(e->ep->host, ':');
        char port[16] = "";

        if (!e->ep->remote)
                return ts_fmt("unix://%s", e->socket);
        if (e->ep->port)
                (void)snprintf(port, sizeof(port), ":%u", e->ep->port);
        return ts_fmt("ssh://%s%s%s%s%s%s%s", ts_or(e->ep->user, ""), e->ep->user ? "@" : "", v6 ? "[" : "", e->ep->host, v6 ? "]" : "", port, e->socket);
}

static int reach_host(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        if (connect_host(m, e, err) < 0)
                return ts_err_prefix(err, "host of '%s'", e->ep->label);
        free(e->address);
        e->address = ts_strdup0(ts_host_address(e->host));
        return 0;
}

int ts_end_connect(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        return reach_host(m, e, err) < 0 ? -1 : connect_engine(m, e, err);
}

struct other_end {
        struct ts_mig *m;
        struct ts_err err;
        int rc;
};

static void *reach_target(void *arg)
{
        struct other_end *o = arg;

        o->rc = reach_host(o->m, &o->m->dst, &o->err);
        return NULL;
}

/* Both hosts side by side; then the engines, the source's first: the target is looked for in its kind. */
int ts_ends_connect(struct ts_mig *m, struct ts_err *err)
{
        struct other_end other = { .m = m, .err = TS_ERR_INIT, .rc = 0 };
        pthread_t thread;
        int rc = pthread_create(&thread, NULL, reach_target, &other);

        if (rc != 0)
                return ts_err_errno(err, rc, "a thread");
        rc = ts_end_connect(m, &m->src, err);
        (void)pthread_join(thread, NULL);
        if (rc == 0 && other.rc < 0) {
                ts_err_move(err, &other.err);
                rc = -1;
        }
        ts_err_clear(&other.err);
        return rc < 0 ? -1 : connect_engine(m, &m->dst, err);
}

static void drop_host(struct ts_end *e)
{
        uint64_t sent = 0, received = 0;

        int spare = atomic_exchange(&e->spare, 0) - 1;

        if (spare >= 0)
                (void)close(spare);
        ts_api_free(TS_TAKE(e->api)); /* its tunnels are the host's */
        e->info = NULL;
        if (e->host)
                ts_host_wire(e->host, &sent, &received);
        e->wire_sent += sent;
        e->wire_received += received;
        ts_host_free(TS_TAKE(e->host));
}

void ts_end_wire(const struct ts_end *e, uint64_t *ret_sent, uint64_t *ret_received)
{
        *ret_sent = *ret_received = 0;
        if (e->host)
                ts_host_wire(e->host, ret_sent, ret_received);
        *ret_sent += e->wire_sent;
        *ret_received += e->wire_received;
}

void ts_end_close(struct ts_end *e)
{
        drop_host(e);
        ts_list_clear(&e->fallback);
        free(TS_TAKE(e->socket));
        free(TS_TAKE(e->service));
        free(TS_TAKE(e->service_id));
        free(TS_TAKE(e->staging));
        free(TS_TAKE(e->address));
        free(TS_TAKE(e->unflagger));
        free(TS_TAKE(e->machine));
        free(TS_TAKE(e->identity));
}

int ts_end_ping(struct ts_end *e, struct ts_err *err)
{
        if (!e->api)
                return ts_err_set(err, TS_ECONNECT, "engine '%s' is not connected", e->ep->label);
        return ts_api_ping(e->api, 5000, err);
}

static bool host_answers(struct ts_end *e)
{
        const char *const argv[] = { "true", NULL };

        return e->host && ts_host_check(e->host, argv, NULL, NULL, NULL) == 0;
}

/* The engine anew, on the host's present connection if that one is alive. */
static int connect_again(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        ts_api_free(TS_TAKE(e->api));
        e->info = NULL;
        if (host_answers(e))
                return connect_engine(m, e, err);
        ts_mirror_end(m, e->side); /* what lives on the host's connection ends before it */
        ts_sampling_end(m, e);
        ts_archive_hang_up(e);
        if (e->side == TS_SIDE_TARGET) {
                ts_proc_free(TS_TAKE(m->feed));
                ts_proc_free(TS_TAKE(m->door_opener));
                ts_scp_out_free(TS_TAKE(m->scp));
                ts_packer_free(TS_TAKE(m->packer));
        }
        ts_places_close(m);
        drop_host(e);
        if (ts_end_connect(m, e, err) < 0)
                return -1;
        ts_mirror_begin(m, e);
        ts_sampling_begin(m, e);
        return 0;
}

/* Keeps what identifies the end (service, staging), replaces the connections. A private service that is gone gives way to the engine's own socket. */
int ts_end_reconnect(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        ts_auto_err first = TS_ERR_INIT;

        if (e->api && ts_end_ping(e, NULL) == 0)
                return 0;
        if (connect_again(m, e, &first) == 0)
                return 0;
        if (e->service && host_answers(e)) {
                free(TS_TAKE(e->service)); /* service_id stays: the fence wants it */
                return connect_again(m, e, err);
        }
        ts_err_move(err, &first);
        return -1;
}

/* $1 directory, $2 program, $3 temporary directory, $4 idle seconds. Prints "PID STARTTIME" once the socket is there. It ends by itself when nobody has asked for a while: that is
 * what removes it if tranship dies, while a restore under way still comes to its end. */
static const char service_script[] = "umask 077; rm -f -- \"$1/podman.sock\" || exit 1; "
                                     "TMPDIR=$3 setsid \"$2\" system service --time=\"$4\" \"unix://$1/podman.sock\" </dev/null >\"$1/service.log\" 2>&1 & "
                                     "p=$!; n=0; "
                                     "while ! [ -S \"$1/podman.sock\" ]; do "
                                     "  n=$((n+1)); if [ $n -gt 500 ] || ! kill -0 $p 2>/dev/null; then tail -n 3 \"$1/service.log\" >&2; kill $p 2>/dev/null; exit 1; fi; "
                                     "sleep 0.02; "
                                     "done; "
                                     "echo $p $(cut -d' ' -f22 /proc/$p/stat)";

int ts_end_start_service(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        ts_auto_free char *dir = ts_fmt(TS_SERVICE_DIR "/%s-%s", m->id, ts_side_str(e->side));
        ts_auto_free char *socket = ts_service_socket(m->id, e->side);
        const char *const argv[] = { "/bin/sh", "-c", service_script, "sh", dir, m->o->podman, e->staging, SERVICE_IDLE_S, NULL };
        unsigned n = 0;

        if (ts_journal_intent(m->j, TS_RES_SERVICE, e->side, socket, NULL, NULL, &n, err) < 0)
                return -1;
        free(TS_TAKE(e->service_id));
        free(TS_TAKE(e->service));
        if (ts_own_dir(e->host, dir, err) < 0 || ts_host_check(e->host, argv, NULL, &e->service_id, err) < 0)
                return ts_err_prefix(err, "private Podman service on '%s'", e->ep->label);
        if (ts_journal_res_id(m->j, n, e->service_id, err) < 0 || ts_journal_res_state(m->j, n, TS_RES_MADE, err) < 0)
                return -1;
        e->service = TS_TAKE(socket);
        ts_api_free(TS_TAKE(e->api));
        return set_socket(m, e, e->service, err) < 0 ? -1 : open_api(m, e, err);
}

/* $1 socket. The service that listens on it, of our user, by its arguments: whatever a journal says of a PID, nothing else is ended. Not while it has children, for ten seconds: a Podman that ends while it sets a
 * network up (netavark is its child) never frees the address. Then polite first: the service ends its connections. */
static const char stop_script[] = "u=unix://$1; s=system; n=0; " /* $s: this shell has the script among its arguments, too */
                                  "ours() { for f in $(grep -lsaF -- \"$u\" /proc/[0-9]*/cmdline); do p=${f#/proc/}; p=${p%/cmdline}; [ -O \"/proc/$p\" ] || continue; "
                                  "case \" $(tr '\\0' ' ' <\"$f\" 2>/dev/null)\" in *\" $s service \"*\" $u \"*) grep -q '^State:.Z' /proc/$p/status 2>/dev/null || echo $p;; esac; done; }; "
                                  "all=$(ours); [ -n \"$all\" ] || exit 0; "
                                  "while [ $n -lt 100 ] && [ -n \"$(for p in $all; do cat /proc/$p/task/*/children 2>/dev/null; done)\" ]; do n=$((n+1)); sleep 0.1; done; "
                                  "kill $all 2>/dev/null; n=0; "
                                  "while all=$(ours); [ -n \"$all\" ]; do "
                                  "  n=$((n+1)); [ $n -eq 100 ] && kill -9 $all 2>/dev/null; [ $n -gt 500 ] && exit 1; "
                                  "sleep 0.02; "
                                  "done; exit 0";

int ts_end_stop_service(struct ts_end *e, const char *socket, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", stop_script, "sh", socket, NULL };

        return ts_host_check(e->host, argv, NULL, NULL, err);
}

/* Nobody learnt its process: tranship was killed while it was started. $1: the directory that only this migration has. What starts it has that among its arguments, what was started its socket; the script that
 * starts it ends first, and then nothing comes any more. Only root's, and only on the host itself. */
static const char stop_unknown_script[] = "ours() { [ -n \"$1\" ] && [ \"$1\" != $$ ] && [ \"$(stat -c %u -- \"/proc/$1\" 2>/dev/null)\" = 0 ] && "
                                          "[ \"$(readlink -- \"/proc/$1/ns/pid\")\" = \"$(readlink /proc/$$/ns/pid)\" ] && "
                                          "tr '\\0' '\\n' <\"/proc/$1/cmdline\" 2>/dev/null | grep -qxF -e \"$2\" -e \"unix://$2/podman.sock\"; }; n=0; "
                                          "while :; do "
                                          "left=; for f in $(grep -lsaF -- \"$1\" /proc/[0-9]*/cmdline); do p=${f#/proc/}; p=${p%/cmdline}; "
                                          "ours \"$p\" \"$1\" && ! grep -q '^State:.Z' \"/proc/$p/status\" && left=\"$left $p\"; done; "
                                          "[ -z \"$left\" ] && exit 0; "
                                          "n=$((n+1)); [ $n -gt 100 ] && { echo \"still alive:$left\" >&2; exit 1; }; "
                                          "[ $n -gt 50 ] && kill -9 $left 2>/dev/null || kill $left 2>/dev/null; sleep 0.1; "
                                          "done";

int ts_end_stop_unknown(struct ts_end *e, const char *dir, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", stop_unknown_script, "sh", dir, NULL };

        return ts_host_check(e->host, argv, NULL, NULL, err) < 0 ? ts_err_prefix(err, "private Podman service below '%s'", dir) : 0;
}
