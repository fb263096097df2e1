/* An engine: Podman or Docker behind one interface. REST over a connected descriptor (libcurl), JSON decoded at this border (jansson).
 *
 * What the engines really do is in docs/internals/engines.md. A struct ts_api may be used by one thread at a time; calls that run long have a thread of their own
 * (struct ts_call). Every call is bounded: ordinary ones by TS_API_TIMEOUT_MS, long ones by their deadline and by the peer check (ts_api_set_peer_check).
 * Errors of all calls: TS_ECONNECT (could not reach or lost it: it may have acted), TS_ETIMEOUT, TS_EPROTO (an answer that makes no sense), TS_ENOTFOUND (404), TS_ECONFLICT (409),
 * TS_EENGINE (any other final refusal, http_status set, the engine's own message in it). */
#ifndef TRANSHIP_API_API_H
#define TRANSHIP_API_API_H

#include "api/criu_stats.h"
#include "api/json.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define TS_API_TIMEOUT_MS 30000

struct ts_api;
enum ts_engine_kind { TS_PODMAN = 1, TS_DOCKER = 2 };
const char *ts_engine_kind_str(enum ts_engine_kind k); /* "Podman", "Docker" */

/* Gives a connected, blocking stream descriptor to the engine's socket; called for every new connection (keep-alive makes them few), from the thread that makes the call. */
struct ts_dial {
        int (*dial)(void *ctx, int *ret_fd, struct ts_err *err);
        void *ctx;
};

/* Connects, pings, finds out which engine it is and negotiates the version (Podman: /v4.0.0/libpod or newer; Docker: API 1.32 … what both know). *dial is copied; its ctx must outlive the api. */
int ts_api_open(const struct ts_dial *dial, struct ts_api **ret, struct ts_err *err);
void ts_api_free(struct ts_api *a);
TS_DEFINE_AUTO(ts_api, ts_api_free);
enum ts_engine_kind ts_api_kind(const struct ts_api *a);
int ts_api_ping(struct ts_api *a, unsigned timeout_ms, struct ts_err *err);
/* While a call runs long and nothing moves, `_ping` is asked on a second connection every few seconds; when that fails for peer_timeout_ms on end the call fails with TS_ECONNECT. 0 switches it off. */
void ts_api_set_peer_check(struct ts_api *a, unsigned peer_timeout_ms);

struct ts_engine_info {
        enum ts_engine_kind kind;
        char *version;       /* "5.4.2" */
        int v[3];            /* the same as numbers */
        char *api_version;   /* in use */
        char *arch, *os, *kernel, *hostname;
        char *runtime;       /* default OCI runtime: "runc", "crun" */
        char *runtime_version; /* first line(s) as the engine tells, may be NULL */
        char *id;            /* Docker: the daemon's ID; Podman: NULL */
        char *graph_root;    /* Podman graphRoot, Docker root dir: absolute path on the host */
        char *graph_driver;  /* "overlay", "overlay2", "overlayfs" (containerd image store) */
        char *volume_path;   /* Podman */
        char *tmp_dir;       /* Podman store.imageCopyTmpDir */
        char *cgroup_version; /* "1", "2", "v1", "v2" normalised to "1" / "2" */
        char *cgroup_manager; /* "systemd", "cgroupfs" */
        char *log_driver, *network_backend, *security; /* security: comma separated selinux,apparmor,seccomp */
        bool rootless, experimental, live_restore, swarm;
};
/* Borrowed, valid while a lives; fetched once. */
int ts_api_info(struct ts_api *a, const struct ts_engine_info **ret, struct ts_err *err);

/* ---- containers ---- */
enum ts_state { TS_STATE_ABSENT, TS_STATE_CREATED, TS_STATE_RUNNING, TS_STATE_PAUSED, TS_STATE_EXITED, TS_STATE_OTHER };
const char *ts_state_str(enum ts_state s);
struct ts_mount {
        char *type;        /* "volume", "bind", "tmpfs", "image", …; also "overlay" (:O) and "subpath", which Podman calls bind or volume */
        char *name;        /* volumes */
        char *source;      /* path on the host */
        char *destination; /* path in the container */
        char *driver;      /* volumes: "local" */
        bool rw;
        bool anonymous;    /* a volume whose name the engine made up (64 hex digits) */
};
struct ts_network_use {
        char *name;
        char *ip, *mac, *ip6; /* as running, or NULL */
        char *static_ip, *static_mac; /* asked for by the user at create, or NULL */
};
struct ts_port { char *host_ip; unsigned host_port, container_port; char *proto; };
struct ts_label { char *key, *value; };
struct ts_container {
        char *id, *name, *image_id /* hex, without "sha256:" */, *image_name;
        enum ts_state state;
        bool auto_remove, privileged, tty, paused, checkpointed, restored;
        int64_t pid, exit_code;
        char *started_at, *finished_at, *created_at, *restored_at /* Podman */; /* as the engine prints them; the generation is id + started_at + pid */
        char *restart_policy; /* "no", "always", "on-failure", "unless-stopped" */
        int64_t restart_max;
        char *network_mode, *ipc_mode, *pid_mode, *userns_mode, *runtime, *log_driver, *log_path, *cgroup_parent, *hostname;
        char *upper_dir;         /* overlay, or NULL */
        struct ts_list lower_dirs;
        char *bundle_dir;        /* Podman: the static directory with checkpoint/, dump.log, restore.log; Docker: <root>/containers/<id> */
        char *pod;               /* or NULL */
        struct ts_list dependencies; /* IDs this one needs (network container:X, volumes-from …) */
        struct ts_mount *mounts; size_t n_mounts;
        struct ts_network_use *networks; size_t n_networks;
        struct ts_port *ports; size_t n_ports;
        struct ts_label *labels; size_t n_labels;
        struct ts_json *json;    /* the whole inspect answer */
};
void ts_container_free(struct ts_container *c);
TS_DEFINE_AUTO(ts_container, ts_container_free);
const char *ts_container_label(const struct ts_container *c, const char *key); /* or NULL; borrowed */

/* ref: name, ID or unique ID prefix; checked before it goes into a URL. TS_ENOTFOUND. */
int ts_api_inspect(struct ts_api *a, const char *ref, struct ts_container **ret, struct ts_err *err);
struct ts_brief { char *id, *name; enum ts_state state; char *image_id; struct ts_list volumes /* names and bind sources */, labels /* key=value */; char *network_mode; struct ts_list networks; char *unreadable; /* why its engine's answer about it cannot be used; then only id and name are known */ };
struct ts_briefs { struct ts_brief *v; size_t n; };
int ts_api_list(struct ts_api *a, struct ts_briefs *ret, struct ts_err *err); /* all containers, running or not */
void ts_briefs_clear(struct ts_briefs *b);

struct ts_change { int kind; /* 0 modified, 1 added, 2 deleted */ char *path; /* absolute, in the container */ };
struct ts_changes { struct ts_change *v; size_t n; };
int ts_api_changes(struct ts_api *a, const char *id, struct ts_changes *ret, struct ts_err *err);
void ts_changes_clear(struct ts_changes *c);

int ts_api_start(struct ts_api *a, const char *id, struct ts_err *err);  /* fresh start; running already is success */
int ts_api_stop(struct ts_api *a, const char *id, struct ts_err *err);  /* within the time the container was given for it (--stop-timeout); at most TS_API_STOP_MAX_S */
#define TS_API_STOP_MAX_S 3600
int ts_api_kill(struct ts_api *a, const char *id, const char *signal, struct ts_err *err);
int ts_api_remove(struct ts_api *a, const char *id, bool force, bool anonymous_volumes, struct ts_err *err); /* absent already is success */
int ts_api_rename(struct ts_api *a, const char *id, const char *new_name, struct ts_err *err);
/* TS_EENGINE with a hint on Podman before 5.1, which cannot. */
int ts_api_set_restart_policy(struct ts_api *a, const char *id, const char *policy, int64_t max_retries, struct ts_err *err);
bool ts_engine_can_set_restart_policy(const struct ts_engine_info *i);

/* Docker: creates a container like the one src describes (an inspect answer of a source): command, environment, mounts, networks with addresses and aliases, ports, limits, labels,
 * hostname, user, capabilities, ulimits, health check, log driver, runtime … `extra_label` "k=v" is added. The restart policy is created as "no": it is set after the commit. image_ref: what to create from.
 * Podman: spec is what `podman generate spec` printed (or NULL: TS_EUSAGE). Gives the new ID. */
struct ts_create {
        const char *name;
        const char *image_ref;          /* image ID on the target */
        const struct ts_json *inspect;  /* the source's inspect answer. Docker: everything comes from it. Podman: completes spec, which forgets much (NULL gives a warning) */
        const struct ts_json *image_inspect; /* Docker: the image's, to leave out what comes from it; may be NULL */
        const struct ts_json *spec;     /* Podman: SpecGenerator JSON */
        const char *extra_label;        /* or NULL */
        bool free_addresses;            /* Docker: only addresses the user had asked for; else those it runs with are kept on networks of the user's own */
        const struct ts_list *free_networks; /* the same for these networks alone, or NULL */
};
int ts_api_create(struct ts_api *a, const struct ts_create *c, char **ret_id, struct ts_list *ret_warnings, struct ts_err *err);
/* Puts the container on its further networks (Docker takes one at create): those of inspect beyond
 * the first. free_networks: as in struct ts_create. */
int ts_api_connect_networks(struct ts_api *a, const char *id, const struct ts_json *inspect,
                            const struct ts_list *free_networks, struct ts_err *err);

/* ---- long calls ---- */
/* A request in a thread of its own. The order of use: start; write the body (restore) or wait for the answer and read the body (checkpoint); finish. Freeing one that is under way breaks
 * its connection at once and joins the thread; a request body cut short that way is never complete for the engine. */
struct ts_call;
void ts_call_free(struct ts_call *c);
TS_DEFINE_AUTO(ts_call, ts_call_free);

struct ts_checkpoint {
        const char *name;     /* Docker: checkpoint ID */
        const char *dir;      /* Docker: CheckpointDir, or NULL for the container's own */
        bool export_archive;  /* Podman: the answer's body is a tar archive */
        bool pre_checkpoint;  /* Podman: memory only, of a container that goes on; with_previous then goes on from there */
        bool keep, leave_running, with_previous, tcp_established, file_locks, ignore_rootfs, print_stats; /* Podman; Docker knows only leave_running */
        unsigned timeout_ms;  /* for the final answer; 0 = none */
        const struct ts_dial *dial; /* of this request alone; or NULL */
};
int ts_api_checkpoint(struct ts_api *a, const char *id, const struct ts_checkpoint *o, struct ts_call **ret, struct ts_err *err);

struct ts_restore {
        const char *name;        /* Docker: checkpoint ID (start?checkpoint=) */
        bool import;             /* Podman: the body is an archive; id is ignored then */
        bool keep, tcp_established, file_locks, ignore_rootfs, ignore_volumes, ignore_static_ip, ignore_static_mac, print_stats; /* Podman */
        const char *publish_ports; /* Podman, or NULL */
        /* Podman import: 0/0 = chunked, everything comes through ts_call_body_fd. Otherwise the request says Content-Length: declared_bytes, of which only own_bytes come through the
         * descriptor: the rest is put in by the far end of the dialled tunnel right after the request's header (scp transfer). `dial` may name that special tunnel, used for this request alone. */
        uint64_t declared_bytes, own_bytes;
        const struct ts_dial *dial;
        unsigned timeout_ms;     /* for the final answer, counted from the end of the body; 0 = none */
};
int ts_api_restore(struct ts_api *a, const char *id, const struct ts_restore *o, struct ts_call **ret, struct ts_err *err);

/* Microseconds (ts_now_us) at which the first byte of the request was about to be written. */
uint64_t ts_call_sent_us(const struct ts_call *c);
/* Waits for the header of the answer (Podman's export: the container is dumped and stopped by then). 0 when its status is 2xx; else -1 with the engine's message (read to its end). Calls tick, if given, about every 100 ms. */
int ts_call_wait_answer(struct ts_call *c, void (*tick)(void *ctx), void *ctx, struct ts_err *err);
/* Checkpoint with export: read the answer's body here to its end. Restore with import: write the request's body here. Borrowed; the caller must not close it. A body end that comes from a broken connection is
 * told by ts_call_finish. */
int ts_call_body_fd(struct ts_call *c);
/* The body written so far is the whole body: only after this does the engine see its end. Without it the request is broken off. */
int ts_call_end_body(struct ts_call *c, struct ts_err *err);
/* Waits for the end of everything. ret may be NULL. *ret_refused (may be NULL): the engine finally said no (a status line that is no success). Otherwise a failure leaves open whether it acted:
 * no answer came, or one that began with success and cannot be read. */
struct ts_call_result { char *id; struct ts_criu_dump dump; struct ts_criu_restore restore; uint64_t body_bytes; };
void ts_call_result_clear(struct ts_call_result *r);
int ts_call_finish(struct ts_call *c, void (*tick)(void *ctx), void *ctx, struct ts_call_result *ret, bool *ret_refused, struct ts_err *err);

int ts_api_checkpoints(struct ts_api *a, const char *id, struct ts_list *ret, struct ts_err *err);           /* Docker */
int ts_api_checkpoint_delete(struct ts_api *a, const char *id, const char *name, struct ts_err *err);        /* Docker; absent is success */

/* ---- images ---- */
struct ts_image { char *id; /* hex */ struct ts_list names; uint64_t size_bytes; char *arch, *os; struct ts_json *json; };
void ts_image_free(struct ts_image *i);
TS_DEFINE_AUTO(ts_image, ts_image_free);
int ts_api_image(struct ts_api *a, const char *ref, struct ts_image **ret, struct ts_err *err); /* TS_ENOTFOUND */
/* The image as a docker-archive on ts_call_body_fd(). names: what it is called there (so that the tags travel); at least one, an ID if it has no name. */
int ts_api_image_get(struct ts_api *a, const char *const names[], struct ts_call **ret, struct ts_err *err);
int ts_api_image_load(struct ts_api *a, struct ts_call **ret, struct ts_err *err); /* body: the archive; then ts_call_end_body, ts_call_finish */
int ts_api_image_tag(struct ts_api *a, const char *id, const char *name, struct ts_err *err);
int ts_api_image_untag(struct ts_api *a, const char *name, struct ts_err *err); /* Podman: the image stays; Docker: it goes with its last name */
int ts_api_image_remove(struct ts_api *a, const char *id, struct ts_err *err); /* not forced; absent is success */

/* ---- networks, volumes ---- */
struct ts_subnet { char *subnet, *gateway, *range; };
struct ts_network {
        char *name, *id, *driver, *parent /* macvlan, ipvlan: interface */;
        struct ts_subnet *subnets;
        size_t n_subnets;
        bool internal, ipv6, builtin /* podman, bridge, host, none */, dns;
        struct ts_json *json;
        int engine_major; /* version of the engine that told of it; 0: not known */
};
void ts_network_free(struct ts_network *n);
TS_DEFINE_AUTO(ts_network, ts_network_free);
int ts_api_network(struct ts_api *a, const char *name, struct ts_network **ret, struct ts_err *err); /* TS_ENOTFOUND */
struct ts_networks { struct ts_network **v; size_t n; };
int ts_api_networks(struct ts_api *a, struct ts_networks *ret, struct ts_err *err);
void ts_networks_clear(struct ts_networks *n);
int ts_api_network_create_like(struct ts_api *a, const struct ts_network *src, const char *extra_label, struct ts_err *err); /* same engine kind */
int ts_api_network_remove(struct ts_api *a, const char *name, struct ts_err *err); /* not forced; absent is success */

struct ts_volume { char *name, *driver, *mountpoint; struct ts_json *json; };
void ts_volume_free(struct ts_volume *v);
TS_DEFINE_AUTO(ts_volume, ts_volume_free);
int ts_api_volume(struct ts_api *a, const char *name, struct ts_volume **ret, struct ts_err *err); /* TS_ENOTFOUND */
int ts_api_volume_create_like(struct ts_api *a, const struct ts_volume *src, const char *extra_label, struct ts_volume **ret, struct ts_err *err);
int ts_api_volume_remove(struct ts_api *a, const char *name, struct ts_err *err); /* not forced; absent is success */

#endif
