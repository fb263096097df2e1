/* Preflight, inside: what was seen on both sides, and the checks that judge it. Private to engine/preflight*.c and its unit test.
 *
 * Three steps. Look: everything is fetched from both engines and hosts, side by side, and nothing is changed (preflight_look.c, preflight_facts.c). Plan: what happens to
 * each volume and bind mount (preflight_data.c). Judge: the table in preflight.c, whose functions only compare what was seen and add findings. */
#ifndef TRANSHIP_ENGINE_PREFLIGHT_H
#define TRANSHIP_ENGINE_PREFLIGHT_H

#include "engine/mig.h"
#include <netinet/in.h>

/* ---- what a host told: "KEY=VALUE" lines, a key may come several times ---- */
struct ts_facts {
        struct ts_list lines;
        struct ts_list asked; /* pairs: kind, value */
};
void ts_facts_clear(struct ts_facts *f);
/* The value of the n-th line of that key, or NULL. Borrowed. */
const char *ts_fact(const struct ts_facts *f, const char *key, size_t n);
uint64_t ts_fact_u64(const struct ts_facts *f, const char *key, uint64_t fallback);
bool ts_fact_is(const struct ts_facts *f, const char *key, const char *value);
/* Adds a question about a value to the next ts_facts_fetch; asking twice is asking once. Kinds: fs,
 * path, du, ino, neigh, link, lock, unit, secret, pod, pid, hostpid, plain, leaf, shared,
 * own and sticky (own_dir.h). */
int ts_facts_ask(struct ts_facts *f, const char *kind, const char *value, struct ts_err *err);
/* What was answered to ts_facts_ask(kind, value), or NULL. */
const char *ts_facts_answer(const struct ts_facts *f, const char *kind, const char *value);
/* The i-th line of it. */
const char *ts_facts_answer_n(const struct ts_facts *f, const char *kind, const char *value,
                              size_t i);
struct ts_facts_opts {
        const char *podman /* program, or NULL */, *criu_conf;
        bool criu;
};
/* One command on the host, read-only. TS_ECONNECT, TS_ETIMEOUT, TS_EPROTO when the answer has no end. */
int ts_facts_fetch(struct ts_facts *f, struct ts_host *h, const struct ts_facts_opts *o, struct ts_err *err);
int ts_facts_parse(struct ts_facts *f, const char *text, struct ts_err *err);

/* ---- one side ---- */
struct ts_view {
        struct ts_end *e;
        struct ts_facts facts;
        struct ts_briefs containers;
        struct ts_network **used; /* of the container's networks, by index; NULL: not there */
        size_t n_used;
        struct ts_networks networks; /* target: all */
        struct ts_volume **volumes;  /* of m->data, by index; NULL: not there, or a bind mount */
        size_t n_volumes;
        struct ts_image *by_id, *by_name; /* target; NULL: not there */
        struct ts_list dependents;        /* source: names of containers that need this one */
};
struct ts_preflight {
        struct ts_mig *m;
        struct ts_view src, dst;
        enum ts_log_status {
                TS_LOG_FINE,
                TS_LOG_UNSAFE = 4,
                TS_LOG_NO_DIRECTORY,
                TS_LOG_THERE,
                TS_LOG_NO_FILE
        } log_status;          /* log_file.c; others: it could not be looked at */
        char *log_said;        /* which directory, and why */
        const char *criu_conf; /* CRIU's configuration file of this container: borrowed */
};
/* Fills both views. The container, its image and m->data are known. */
int ts_preflight_look(struct ts_preflight *p, struct ts_err *err);
void ts_preflight_clear(struct ts_preflight *p);
/* "'NAME'", as the user called that side. */
static inline const char *ts_view_name(const struct ts_view *v)
{
        return v->e->ep->label;
}
/* Where the shared data[i] is on that view's host; NULL: not shared, or there is no such volume. */
const char *ts_shared_at(const struct ts_preflight *p, const struct ts_view *v, size_t i);
/* What ts_facts_ask("plain") is asked about a network of Docker's on that side: "yes" when its
 * addresses cannot be chosen. Caller frees; NULL: it cannot be asked. */
char *ts_plain_question(const struct ts_view *v, const struct ts_network *n);
/* Both sides are one machine and one network: ports and addresses of the source are seen on the target too. */
bool ts_preflight_same_net(const struct ts_preflight *p);

/* ---- findings ---- */
#define TS_CHECK_SKIPPABLE \
        0x1u /* --skip CODE makes it a warning; without it: never, for then the move would break its promise or cannot work at all */
#define TS_CHECK_INVARIANT 0x2u /* never both, never neither, nothing lost depends on it: never skippable */
#define TS_CHECK_WARNING 0x4u   /* only worth knowing */
#define TS_CHECK_FINAL 0x8u     /* once it is found, nothing after it is worth saying */
#define TS_ON_PODMAN 0x1u
#define TS_ON_DOCKER 0x2u
#define TS_ON_LIVE 0x4u
#define TS_ON_COLD 0x8u
struct ts_check {
        const char *code;
        unsigned flags, when;                /* when: at least one engine bit and one mode bit must fit */
        void (*run)(struct ts_preflight *p); /* NULL: the code is found by the function of another row */
};
extern const struct ts_check ts_checks[]; /* ended by a NULL code */
const struct ts_check *ts_check_find(const char *code);
/* Like ts_find, but not to be skipped, whatever the table says. */
void ts_find_firm(struct ts_mig *m, const char *code, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Like ts_find, but only a warning whatever the table says. */
void ts_find_warning(struct ts_mig *m, const char *code, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* What to do about a container that is in the way on the target: that of an earlier move with
 * --keep-source is known by its name. Caller frees; NULL only out of memory. */
char *ts_remove_there(const struct ts_preflight *p, const char *name);
/* The commands of the engine's program that remove a container in the state it is in: `rm` alone refuses one that runs, and Podman's `stop`
 * one that is paused. name: of all, or one not among them, which counts as running. Caller frees; NULL only out of memory. */
char *ts_removal(const struct ts_preflight *p, const struct ts_briefs *all, const char *name);
const char *ts_program(const struct ts_preflight *p); /* "podman" or "docker" */

/* ---- the checks, by file ---- */
/* preflight_engine.c: the two engines */
void ts_check_engines(struct ts_preflight *p);
void ts_check_same_engine(struct ts_preflight *p);
void ts_check_rootless(struct ts_preflight *p);
void ts_check_experimental(struct ts_preflight *p);
void ts_check_docker_restore(struct ts_preflight *p);
void ts_check_runtime(struct ts_preflight *p);
void ts_check_runtime_criu(struct ts_preflight *p);
void ts_check_architecture(struct ts_preflight *p);
void ts_check_cgroup_version(struct ts_preflight *p);
void ts_check_cgroup_manager(struct ts_preflight *p);
void ts_check_security(struct ts_preflight *p);
void ts_check_live_restore(struct ts_preflight *p);
/* preflight_host.c: the two hosts */
void ts_check_root(struct ts_preflight *p);
void ts_check_tools(struct ts_preflight *p);
void ts_check_criu(struct ts_preflight *p);
void ts_check_criu_conf(struct ts_preflight *p);
void ts_check_cpu(struct ts_preflight *p);
void ts_check_kernel(struct ts_preflight *p);
void ts_check_lock(struct ts_preflight *p);
void ts_check_journal(struct ts_preflight *p);
/* log_file.c: a log of Podman's that is not beside the container */
int ts_log_look(struct ts_preflight *p, struct ts_err *err);
void ts_check_log_path(struct ts_preflight *p);
void ts_check_own_dirs(struct ts_preflight *p);
void ts_check_probes(struct ts_preflight *p);
/* preflight_container.c: the container and what depends on it */
void ts_check_state(struct ts_preflight *p);
void ts_check_auto_remove(struct ts_preflight *p);
void ts_check_restart_policy(struct ts_preflight *p);
void ts_check_supervisor(struct ts_preflight *p);
void ts_check_dependents(struct ts_preflight *p);
void ts_check_dependency(struct ts_preflight *p);
void ts_check_pod(struct ts_preflight *p);
void ts_check_tty(struct ts_preflight *p);
void ts_check_processes(struct ts_preflight *p);
void ts_check_sqlite(struct ts_preflight *p);
void ts_check_mapped_locks(struct ts_preflight *p);
void ts_check_shm(struct ts_preflight *p);
void ts_check_namespaces(struct ts_preflight *p);
void ts_check_devices(struct ts_preflight *p);
void ts_check_log_driver(struct ts_preflight *p);
void ts_check_secrets(struct ts_preflight *p);
void ts_check_names(struct ts_preflight *p);
void ts_check_image(struct ts_preflight *p);
/* preflight_options.c: options of the container, and the storage */
void ts_check_unreadable(struct ts_preflight *p);
void ts_check_storage(struct ts_preflight *p);
void ts_check_secrets_archive(struct ts_preflight *p);
void ts_check_rootfs(struct ts_preflight *p);
void ts_check_docker_init(struct ts_preflight *p);
void ts_check_traced(struct ts_preflight *p);
void ts_check_limits(struct ts_preflight *p);
void ts_check_outside(struct ts_preflight *p);
void ts_check_exec_sessions(struct ts_preflight *p);
void ts_check_metacopy(struct ts_preflight *p);
/* preflight_net.c: networks, addresses, ports */
void ts_check_networks(struct ts_preflight *p);
void ts_check_addresses(struct ts_preflight *p);
void ts_check_ports(struct ts_preflight *p);
/* preflight_traffic.c: connections, sockets and files that processes have open */
extern const char ts_traffic_script[];
/* What /proc shows with a path it does not have: memory that is shared, and the like. A regular
 * expression of awk's and grep's, of the link's text. */
#define TS_PATHLESS                                                                                \
        "^[/](memfd:|secretmem |dmabuf:|anon_hugepage|SYSV|.aio.|dev[/]zero [(]deleted[)])"
/* preflight_hidden.c: open files that no restore can open again */
extern const char ts_paths_script[], ts_hidden_script[], ts_unwritable_script[];
void ts_check_hidden(struct ts_preflight *p);
/* preflight_kernel.c: what CRIU drops, or cannot dump */
extern const char ts_scheduling_script[], ts_kernel_script[];
void ts_check_kernel_state(struct ts_preflight *p);
void ts_check_mptcp(struct ts_preflight *p);
void ts_check_linked(struct ts_preflight *p);
uint64_t ts_ghost_limit(const char *line); /* bytes; line: of CRIU's configuration, or NULL */
void ts_check_ghosts(struct ts_preflight *p);
void ts_check_none(struct ts_preflight *p);
void ts_check_connections(struct ts_preflight *p);
bool ts_bound_to(const struct ts_preflight *p,
                 const char *ip); /* a socket of the container has that address for its own */
/* "0100007F" or "0100007F:1F90" as in /proc/net/tcp; also 32 digits as in tcp6. */
bool ts_proc_address_is(const char *hex, const char *ip, bool big_endian);
bool ts_proc_address4(const char *hex, bool big_endian, char ret[INET_ADDRSTRLEN]); /* 8 digits, as text */
/* preflight_inside.c: what was set up inside beside what the engine makes */
extern const char ts_inside_script[], ts_sysctl_script[];
bool ts_address_is_made(const char *settings, const char *address); /* not in the engine's NetworkSettings */
void ts_note_inside(struct ts_preflight *p);
/* preflight_data.c: volumes and bind mounts */
void ts_check_mounts(struct ts_preflight *p);
void ts_check_volumes(struct ts_preflight *p);
void ts_check_binds(struct ts_preflight *p);
void ts_check_bind_links(struct ts_preflight *p);
const char *ts_written_at(const struct ts_preflight *p, size_t i); /* preflight_look.c: where a move writes on the target itself; or NULL */
/* preflight_shared.c: whether what is said to be shared can be the same on both hosts */
extern const char ts_shared_script[];
int ts_shared_ask(struct ts_preflight *p, struct ts_view *v, struct ts_err *err);
void ts_check_shared(struct ts_preflight *p);
/* Why they cannot be the same; NULL: they may be, as far as can be seen. Caller frees. */
char *ts_shared_differ(const struct ts_facts *here, const char *path_here,
                       const struct ts_facts *there, const char *path_there);
/* "" or what is other in it; NULL: they may have the same content. Caller frees. */
char *ts_read_differ(const struct ts_facts *here, const struct ts_facts *there, const char *path);
/* preflight_space.c */
uint64_t ts_memory_bytes(const struct ts_preflight *p); /* of the container's processes, and of its /dev/shm */
void ts_check_space(struct ts_preflight *p);
/* Questions to the hosts that only this check has. */
int ts_space_ask(struct ts_preflight *p, struct ts_err *err);

/* Directories on both hosts that only root may be able to change. */
#define TS_OWN_DIRS 3
static inline const char *ts_own_dir_at(const struct ts_mig *m, size_t i)
{
        return i == 0 ? TS_OWN_TOP : i == 1 ? "/run/tranship" : ts_mig_staging(m);
}

/* ---- the plan for volumes and bind mounts ---- */
/* "NAME=HOW" with HOW one of words[0..1] (→ modes[0..1]); the last '=' counts. TS_EUSAGE. */
struct ts_data_choice {
        char *name;
        enum ts_data_mode mode;
};
int ts_data_choice_parse(const char *spec, const char *option, struct ts_data_choice *ret,
                         struct ts_err *err); /* option: "--volume" or "--bind" */
/* Fills m->data from m->c and the options. TS_EUSAGE: malformed, or names what the container does not have. */
int ts_data_plan(struct ts_mig *m, struct ts_err *err);
/* Whether --bind said something about this mount; a writable bind mount without a word is in m->data as shared, and a finding. */
bool ts_data_decided(const struct ts_mig *m, const struct ts_data *d);
/* "--bind '/srv/my data=copy'": what the user is to say of it. Caller frees. */
char *ts_data_say(const struct ts_data *d, const char *choice);
/* Any of the container's mounts of it is. */
bool ts_data_writable(const struct ts_mig *m, const struct ts_data *d);
/* The name of a container (not of the ID `but`) that uses a volume, or mounts a path or what is below it. volume, path, but may be NULL. NULL: nobody does. */
const char *ts_data_user(const struct ts_briefs *all, const char *but, const char *volume, const char *path);
/* After the look: only_user, dst_path of what is on the target, shared_writable. */
void ts_data_settle(struct ts_preflight *p);
/* A path or name that can be given to a shell on the host: not empty, no control characters. */
bool ts_data_sayable(const char *s);

/* ---- pure parts ---- */
enum ts_restore_gate { TS_RESTORE_WORKS, TS_RESTORE_DIGEST /* 25.0.0 to 25.0.3 */, TS_RESTORE_NETNS /* 26.0.0, 28 and later */ };
enum ts_restore_gate ts_docker_restore_gate(const int v[3], const char *network_mode);
/* "1.41" against 1.32: -1, 0, 1 by number, not by text. Also kernels and CRIU: at most depth numbers count, anything after them is ignored. */
int ts_version_compare(const char *a, const char *b, unsigned depth);
/* Instructions and registers a program may use that source has and target has not, blank-separated; NULL: none. Caller frees. */
char *ts_cpu_missing(const char *source, const char *target);
/* Who starts containers with this label: "systemd", "Docker Compose" …; NULL: nobody. */
const char *ts_supervisor(const char *label_key);
/* Does a line of CRIU's configuration file switch this option on? */
bool ts_criu_conf_says(const char *line, const char *option);

struct ts_prefix {
        int family;
        unsigned char addr[16];
        unsigned len;
};                                                         /* family: AF_INET, AF_INET6 */
int ts_prefix_parse(const char *s, struct ts_prefix *ret); /* "10.0.0.0/8", "10.0.0.1" (a whole address); -1: neither */
bool ts_prefix_overlap(const struct ts_prefix *a, const struct ts_prefix *b);
bool ts_prefix_holds(const struct ts_prefix *net, const char *address); /* address may carry its own /length: ignored */
/* "IFACE DEST GATEWAY MASK" of /proc/net/route; only routes of a directly connected network (no gateway). -1: not one. */
int ts_prefix_from_route(const char *line, bool big_endian, struct ts_prefix *ret);
/* "IFACE…" of /proc/net/ipv6_route as "DEST LEN NEXTHOP IFACE". */
int ts_prefix_from_route6(const char *line, struct ts_prefix *ret);
/* Does a listening socket ("0100007F:1F90" as in /proc/net/tcp) stand in the way of publishing host_ip:port? host_ip "" or NULL: everywhere. */
bool ts_listen_conflicts(const char *socket, const char *host_ip, unsigned port, bool big_endian);
bool ts_arch_big_endian(const char *uname_m);

#endif
