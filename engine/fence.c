/* Fencing: making sure that the target does not run the container and cannot come to run it (SAFETY rules 1–3).
 *
 * Where the container existed before its restore was sent (Docker, cold), a start that arrives after its removal finds nothing; what an engine that died meanwhile had started is ended by process. An import is different: the record is made by the request
 * itself, so "no such container" proves nothing while one may be under way. Then either the engine has given its final answer, or the process that serves the request (our private service) must be
 * gone, with everything it started for this container, before the container is removed and its absence means something. */
#include "engine/claims.h"
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNFLAG_MS 5000
#define FENCE_SCRIPT_TIMEOUT_MS 60000

/* $1 container ID, $2 runtime, $3 the runtime's state directory ("": its default). Ends whatever works for the container or is it, until nothing of it is left:
 *   - the monitor, the runtime and CRIU that have its ID among their arguments, and all their descendants (`criu swrk` has no such argument);
 *   - a CRIU that has a file of the container open;
 *   - processes in the container's control group;
 *   - processes that have one of the container's files mounted: its ID is in the mount's root (field 4, /etc/hosts and the like). In field 5, the mount point, it stands for every process of the host
 *     that has a copy of the host's mounts: those are none of our business.
 * Then what a killed runtime leaves, and would keep the container from ever being restored there again: its record, the mount it gave CRIU as the root, the control group. */
static const char end_processes_script[] =
        "id=$1; n=0; "
        "seeds() { "
        "for f in $(grep -lsaF -- \"$id\" /proc/[0-9]*/cmdline); do p=${f#/proc/}; p=${p%/cmdline}; "
        "case $(cat /proc/$p/comm 2>/dev/null) in conmon|runc*|crun*|criu*|podman|containerd-shim*) echo $p;; esac; done; "
        "for f in $(grep -lsx criu /proc/[0-9]*/comm); do p=${f#/proc/}; p=${p%/comm}; ls -l /proc/$p/fd 2>/dev/null | grep -qF -- \"/$id/\" && echo $p; done; "
        "grep -lsF -- \"$id\" /proc/[0-9]*/cgroup | cut -d/ -f3; "
        "awk -v id=\"/$id/\" 'index($4, id) && !index($5, id) { split(FILENAME, a, \"/\"); print a[3]; nextfile }' /proc/[0-9]*/mountinfo 2>/dev/null; "
        "}; "
        "family() { awk -v seeds=\"$*\" 'BEGIN { n = split(seeds, s, \" \"); for (i = 1; i <= n; i++) want[s[i]] = 1 } "
        "/^PPid:/ { split(FILENAME, a, \"/\"); parent[a[3]] = $2 } "
        "END { do { more = 0; for (p in parent) if (!(p in want) && (parent[p] in want)) { want[p] = 1; more = 1 } } while (more); for (p in want) print p }' /proc/[0-9]*/status 2>/dev/null; }; "
        "while :; do "
        "left=; all=$(seeds); [ -n \"$all\" ] && for p in $(family $all); do "
        "[ \"$p\" = \"$$\" ] && continue; [ -d /proc/$p ] || continue; grep -q '^State:.Z' /proc/$p/status 2>/dev/null && continue; left=\"$left $p\"; done; "
        "[ -z \"$left\" ] && break; "
        "n=$((n+1)); [ $n -gt 200 ] && { echo \"still alive:$left\" >&2; exit 1; }; "
        "kill -9 $left 2>/dev/null; sleep 0.05; "
        "done; "
        "d=${3:-/run/${2##*/}}/$id; umount \"$d/criu-root\" 2>/dev/null; "
        "\"$2\" ${3:+--root \"$3\"} delete --force \"$id\" >/dev/null 2>&1; "
        "rmdir \"$d/criu-root\" \"$d\" 2>/dev/null; find /sys/fs/cgroup -depth -type d -path \"*$id*\" -exec rmdir {} + 2>/dev/null; "
        "exit 0";

#define DOCKER_RUNTIME_STATE "/run/docker/runtime-%s/moby"

/* Was there a private service that requests went to? All of them had the same socket, one after the other. */
static bool had_service(const struct ts_mig *m, enum ts_side side)
{
        for (size_t i = ts_journal_res_count(m->j); i-- > 0;) {
                const struct ts_res *r = ts_journal_res(m->j, i);

                if (r->kind == TS_RES_SERVICE && r->side == side)
                        return r->id != NULL;
        }
        return false;
}

/* Its process is gone: the engine's own socket from here on. */
static int end_service(struct ts_mig *m, struct ts_end *e, struct ts_err *err)
{
        ts_auto_free char *socket = ts_service_socket(m->id, e->side);

        free(TS_TAKE(e->service)); /* our connections first: Podman waits for them when it is to end */
        ts_api_free(TS_TAKE(e->api));
        e->info = NULL;
        if (!socket)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_end_stop_service(e, socket, err) < 0)
                return ts_err_prefix(err, "private service on the %s", ts_side_str(e->side));
        return ts_end_reconnect(m, e, err);
}

/* An import keeps the ID: on a machine that has both engines the processes of the two could not be told apart. */
static bool one_machine(const struct ts_mig *m)
{
        return ts_keeps_id(m) && m->src.machine && m->dst.machine && !strcmp(m->src.machine, m->dst.machine);
}

static int end_processes(struct ts_mig *m, const char *container_id, struct ts_err *err)
{
        const char *runtime = m->dst.info && m->dst.info->runtime ? m->dst.info->runtime : "runc";
        ts_auto_free char *state = m->engine == TS_PODMAN ? ts_strdup0("") : ts_fmt(DOCKER_RUNTIME_STATE, runtime);
        const struct ts_run_opts opts = { .timeout_ms = FENCE_SCRIPT_TIMEOUT_MS };
        const char *const argv[] = { "/bin/sh", "-c", end_processes_script, "sh", container_id, runtime, ts_or(state, ""), NULL };

        if (one_machine(m))
                return ts_err_set(err, TS_EENGINE, "both engines are on one machine: the target's processes cannot be told from the source's");
        return ts_host_check(m->dst.host, argv, &opts, NULL, err) < 0 ? ts_err_prefix(err, "processes of the container on the target") : 0;
}

static int end_server(struct ts_mig *m, const char *container_id, struct ts_err *err)
{
        if (!had_service(m, TS_SIDE_TARGET))
                return ts_err_set(err, TS_EINTERNAL, "the restore went through the engine's own service, which is not ours to end");
        return end_service(m, &m->dst, err) < 0 ? -1 : end_processes(m, container_id, err);
}

/* Podman: whether a restore may still be under way: sent, and no final answer in the journal. */
static bool restore_in_flight(const struct ts_mig *m)
{
        return ts_keeps_id(m) && ts_journal_stage(m->j) == TS_STAGE_RESTORE_SENT;
}

static int remove_and_observe(struct ts_mig *m, const char *id, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *was = NULL, *still = NULL;
        ts_auto_err look = TS_ERR_INIT;

        /* Podman forgets the container and fails at its files, which it then cannot tell any more. */
        (void)ts_api_inspect(m->dst.api, id, &was, NULL);
        if (ts_mig_decides(m, err) < 0) /* after the last wait */
                return -1;
        if (ts_api_remove(m->dst.api, id, true, false, &look) < 0) {
                if (!ts_refused(&look)) {
                        ts_err_move(err, &look);
                        return ts_err_prefix(err, "removing the container on the target");
                }
                /* Perhaps an immutable file is in the way. The source waits for this. */
                ts_err_clear(&look);
                if (was)
                        ts_unflag_container(&m->dst, was, UNFLAG_MS);
                if (ts_mig_decides(m, err) < 0)
                        return -1;
                if (ts_api_remove(m->dst.api, id, true, false, &look) < 0 &&
                    look.code != TS_ENOTFOUND) {
                        ts_err_move(err, &look);
                        return ts_err_prefix(err, "removing the container on the target");
                }
                ts_err_clear(&look);
        }
        if (ts_api_inspect(m->dst.api, id, &still, &look) == 0)
                return ts_err_set(err, TS_ECONFLICT, "the container on the target is still there after its removal");
        if (look.code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, &look);
        return -1;
}

/* A host that has no copy of its own of an adopted journal knows nothing of this migration: nothing is ended there for it. */
static int may_fence(struct ts_mig *m, struct ts_err *err)
{
        return ts_vouched(m, TS_SIDE_TARGET) ? 0 : ts_err_set(err, TS_EREFUSED, "the target has no copy of the journal of %s: nothing is ended there", m->id);
}

/* The journal's word for the container's ID is no proof: its label is (claims.h). */
static int check_label(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *there = NULL;
        ts_auto_err look = TS_ERR_INIT;

        if (!m->adopted || ts_keeps_id(m) || !m->dst_id)
                return 0;
        if (ts_api_inspect(m->dst.api, m->dst_id, &there, &look) == 0 && !ts_streq0(ts_container_label(there, "tranship.migration"), m->id))
                free(TS_TAKE(m->dst_id));
        if (there || look.code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, &look);
        return -1;
}

/* While a restore hangs the engine holds the container's lock and tells nothing about it: there is nothing to observe, and would not be for as long as it hangs. */
int ts_break_restore(struct ts_mig *m, struct ts_err *err)
{
        const char *id = m->dst_id ? m->dst_id : ts_journal_head(m->j)->container_id;
        const char *const argv[] = { "true", NULL };

        if (!m->dst.host)
                return ts_err_set(err, TS_ECONNECT, "the target does not answer");
        if (may_fence(m, err) < 0 || ts_host_check(m->dst.host, argv, NULL, NULL, err) < 0 || ts_mig_decides(m, err) < 0)
                return -1;
        return ts_keeps_id(m) ? end_server(m, id, err) : end_processes(m, id, err);
}

int ts_fence_target(struct ts_mig *m, struct ts_err *err)
{
        const char *id;

        ts_call_free(TS_TAKE(m->import)); /* breaks a body that was not complete */
        if (ts_end_reconnect(m, &m->dst, err) < 0 || ts_mig_decides(m, err) < 0 || may_fence(m, err) < 0 || check_label(m, err) < 0)
                return -1;
        if (ts_mirrors_taken(m))
                return ts_err_set(err, TS_ECONFLICT, "another process has taken migration %s over",
                                  m->id);
        id = m->dst_id ? m->dst_id : m->strategy == TS_ARCHIVE ? ts_journal_head(m->j)->container_id : NULL;
        if (!id) { /* created with its answer lost: observe_target adopts it by label */
                enum ts_target_seen seen;

                if (ts_observe_target(m, &seen, err) < 0)
                        return -1;
                if (seen == TS_TARGET_UNREACHABLE)
                        return ts_err_set(err, TS_ECONNECT, "the target does not answer");
                id = m->dst_id;
        }
        if (!id)
                return 0; /* nothing was ever created there, and without it nothing can start */
        if (restore_in_flight(m) && end_server(m, id, err) < 0)
                return -1;
        if (m->engine == TS_DOCKER && m->strategy != TS_COLD)
                ts_sweep_containerd(m, &m->dst); /* by the images that go with the container */
        if (remove_and_observe(m, id, err) < 0)
                return -1;
        /* The engine forgets what it no longer waits for: a Podman that gave up (after 240 s, or because its monitor died) leaves runtime and CRIU at work, and a Docker daemon may have died between
         * starting the task and writing that down. Then the removal ended nothing. */
        return ts_journal_stage(m->j) >= TS_STAGE_RESTORE_SENT && !one_machine(m) ? end_processes(m, id, err) : 0;
}

/* ---- the source ---- */

int ts_end_requests(struct ts_mig *m, enum ts_side side, struct ts_err *err)
{
        return had_service(m, side) ? end_service(m, ts_mig_end(m, side), err) : 0;
}

void ts_drop_source_service(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (m->src.service && ts_end_requests(m, TS_SIDE_SOURCE, &err) < 0)
                ts_mig_warn(m, "%s", ts_err_message(&err));
}

/* $1 container ID. Waits for a dump that the runtime is at: it is never broken off, CRIU may be inside the processes. */
static const char await_dump_script[] = "n=0; "
                                        "while :; do "
                                        "left=; "
                                        "for d in /proc/[0-9]*; do "
                                        "case $(cat $d/comm 2>/dev/null) in runc*|crun*) "
                                        "a=$(tr '\\0' '\\n' <$d/cmdline 2>/dev/null); case $a in *checkpoint*\"$1\"*) left=$d;; esac;; esac; "
                                        "done; "
                                        "[ -z \"$left\" ] && exit 0; "
                                        "n=$((n+1)); [ $n -gt 500 ] && { echo \"still at it: $left\" >&2; exit 1; }; sleep 0.1; "
                                        "done";

/* The engine makes no dump whose directory is there already: ours, with a mark in it, stays, since a request on a stuck connection may come at any time. One that is not ours: the dump has begun, and
 * the engine answers our next look when it is over. $1 directory of all, $2 of this dump. */
static const char forbid_dump_script[] = "mkdir -p -m 0700 -- \"$1\" && { mkdir -m 0700 -- \"$2\" 2>/dev/null && : >\"$2/tranship-none\" || [ -e \"$2/tranship-none\" ]; } || "
                                         "{ echo 'the dump has begun' >&2; exit 1; }";

static int forbid_dump(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *dir = ts_fmt("%s/checkpoints", ts_or(m->bundle, "")), *own = ts_fmt("%s/%s", ts_or(dir, ""), ts_or(m->checkpoint, ""));
        const char *const argv[] = { "/bin/sh", "-c", forbid_dump_script, "sh", dir, own, NULL };

        if (!dir || !own)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_host_check(m->src.host, argv, NULL, NULL, err) < 0)
                return -1;
        m->dump_forbidden = true;
        return 0;
}

/* Docker: the images are on their way into their directory for a while after the runtime ended. */
static const char await_images_script[] = "n=0; a=; while [ -d \"$1\" ]; do b=$(ls -ln --time-style=full-iso -- \"$1\" 2>/dev/null); [ \"$a\" = \"$b\" ] && n=$((n+1)) || n=0; [ $n -ge 6 ] && exit 0; a=$b; sleep 0.5; done; exit 0";

int ts_quiesce_rehearsal(struct ts_mig *m, const char *name, bool *ret_forbidden, struct ts_err *err)
{
        const char *id = ts_journal_head(m->j)->container_id;
        const struct ts_run_opts opts = { .timeout_ms = FENCE_SCRIPT_TIMEOUT_MS };
        const char *const await_argv[] = { "/bin/sh", "-c", await_dump_script, "sh", id, NULL };
        ts_auto_free char *dir = ts_fmt("%s/checkpoints", ts_or(m->bundle, "")), *own = ts_fmt("%s/%s", ts_or(dir, ""), name);
        const char *const forbid[] = { "/bin/sh", "-c", forbid_dump_script, "sh", ts_or(dir, ""), ts_or(own, ""), NULL };
        const char *const images[] = { "/bin/sh", "-c", await_images_script, "sh", ts_or(own, ""), NULL };

        if (ts_end_reconnect(m, &m->src, err) < 0)
                return -1;
        if (m->engine == TS_PODMAN)
                return ts_end_requests(m, TS_SIDE_SOURCE, err) < 0 ? -1 : ts_host_check(m->src.host, await_argv, &opts, NULL, err);
        *ret_forbidden = ts_host_check(m->src.host, forbid, NULL, NULL, NULL) == 0;
        if (*ret_forbidden)
                return 0;
        /* It has begun, and comes to its end. */
        return ts_host_check(m->src.host, await_argv, &opts, NULL, err) < 0 ? -1 : ts_host_check(m->src.host, images, &opts, NULL, err);
}

int ts_quiesce_source(struct ts_mig *m, struct ts_err *err)
{
        const char *id = ts_journal_head(m->j)->container_id;
        const struct ts_run_opts opts = { .timeout_ms = FENCE_SCRIPT_TIMEOUT_MS };
        const char *const await_argv[] = { "/bin/sh", "-c", await_dump_script, "sh", id, NULL };

        if (ts_end_reconnect(m, &m->src, err) < 0)
                return -1;
        if (m->strategy == TS_COLD) /* a stop that may still come: done now, so that the start comes after it */
                return ts_api_stop(m->src.api, id, err);
        if (!had_service(m, TS_SIDE_SOURCE))
                return ts_keeps_id(m) ? 0 : forbid_dump(m, err);
        return end_service(m, &m->src, err) < 0 ? -1 : ts_host_check(m->src.host, await_argv, &opts, NULL, err);
}
