/* Where Podman writes its images on the source, and how they go again.
 *
 * At the end of a checkpoint the engine unmounts the container's overlay, and the kernel then writes out the whole file system below it (ovl_sync_fs): all of the dump, with the container frozen. So where there is
 * memory to spare the images go to a directory in memory, to which the bundle's `checkpoint` is a link. A host that loses its power loses the memory of a running container anyway. */
#include "base/io.h"
#include "engine/mig.h"
#include <stdlib.h>
#include <string.h>

#define MEMORY_DIR "/dev/shm"
#define SMALL ((uint64_t)64 << 20)
#define COPIES 2 /* a rehearsal's pages, which the agent holds, and the dump after it */
#define KEEP_FREE 8 /* this part of the host's memory stays free */
#define COLLECTED_MS 10000

/* What Podman writes for a restore: memory, the content of /dev/shm, addresses; and what CRIU says of it. */
static const char *const names[] = { "checkpoint", "devshm-checkpoint.tar", "network.status", "dump.log", "stats-dump" };

int ts_images_remove(struct ts_end *e, const char *bundle, struct ts_err *err)
{
        ts_auto_list argv = TS_LIST_INIT;

        if (bundle[0] != '/' || !bundle[1])
                return ts_err_set(err, TS_EPROTO, "the engine does not say where the container's directory is");
        if (ts_list_add(&argv, "rm", err) < 0 || ts_list_add(&argv, "-rf", err) < 0 || ts_list_add(&argv, "--", err) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++)
                if (ts_list_addf(&argv, err, "%s/%s", bundle, names[i]) < 0)
                        return -1;
        return ts_host_check(e->host, (const char *const *)argv.v, &ts_slow_run, NULL, err);
}

/* ---- in memory ---- */

/* $1 directory. Bytes that may be used there: none where it is not in memory. */
static const char room_script[] = "[ \"$(stat -f -c %T -- \"$1\")\" = tmpfs ] || { echo 0 0 0; exit 0; }; "
                                  "awk -v free=\"$(stat -f -c '%a*%S' -- \"$1\")\" '/^MemTotal:/ { t = $2 } /^MemAvailable:/ { a = $2 } END { split(free, f, \"*\"); printf \"%d %d %d\\n\", f[1] * f[2] / 1024, a, t }' /proc/meminfo";

static bool is_room(struct ts_mig *m, uint64_t bytes)
{
        const char *const argv[] = { "/bin/sh", "-c", room_script, "sh", MEMORY_DIR, NULL };
        ts_auto_free char *out = NULL;
        char *end = NULL;
        unsigned long long kib[3] = { 0 };

        if (ts_host_check(m->src.host, argv, NULL, &out, NULL) < 0 || !out)
                return false;
        end = out;
        for (size_t i = 0; i < TS_ARRAY_LEN(kib); i++)
                kib[i] = strtoull(end, &end, 10);
        return kib[0] > bytes / 1024 && kib[1] > bytes / 1024 + kib[2] / KEEP_FREE;
}

static int make_dir(struct ts_mig *m, const char *parent, struct ts_err *err)
{
        ts_auto_free char *dir = ts_fmt("%s/tranship-%s", parent, m->id);
        const char *const argv[] = { "mkdir", "-m", "0700", "--", ts_or(dir, ""), NULL };
        unsigned n = 0;

        if (!dir)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        /* Made exclusively, where nobody else can take it away. */
        if (ts_own_dir_check(m->src.host, parent, true, err) < 0 || ts_journal_intent(m->j, TS_RES_DUMP_DIR, TS_SIDE_SOURCE, dir, NULL, "absent", &n, err) < 0 || ts_host_check(m->src.host, argv, NULL, NULL, err) < 0)
                return -1;
        m->dump_dir = TS_TAKE(dir);
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

/* ---- in a directory that both hosts have ---- */

/* Does the target really see what the source wrote there? $1 directory of this migration, $2 its ID. */
static const char seen_script[] = "[ \"$(cat -- \"$1/seen\")\" = \"$2\" ]";
/* $1 what Podman's restore reads, $2 where it lies */
static const char replace_script[] = "rm -rf --one-file-system -- \"$1\" && ln -s -- \"$2\" \"$1\"";
/* $1 Docker's directory of a container's checkpoints, $2 where they are to lie: not if there are some, or a person's link */
static const char link_empty_script[] = "[ ! -d \"$1\" ] || rmdir -- \"$1\" || exit 2; ln -sT -- \"$2\" \"$1\"";

/* Docker writes to and reads from `checkpoints` beside the container; that becomes a link. */
static int link_checkpoints(struct ts_mig *m, enum ts_side side, const char *bundle, struct ts_err *err)
{
        struct ts_end *e = ts_mig_end(m, side);
        ts_auto_free char *path = ts_fmt("%s/checkpoints", ts_or(bundle, ""));
        const char *const argv[] = { "/bin/sh", "-c", link_empty_script, "sh", path, m->dump_dir, NULL };
        ts_auto_run r = { 0 };
        unsigned n = 0;

        if (!path || path[0] != '/')
                return ts_err_set(err, TS_EENGINE, "the engine does not say where the container's directory is");
        if (ts_journal_intent(m->j, TS_RES_LINK, side, path, m->dump_dir, "absent", &n, err) < 0 || ts_host_run(e->host, argv, NULL, &r, err) < 0)
                return -1;
        if (r.status == 2)
                return ts_err_set(err, TS_EREFUSED, "the container has checkpoints of its own on the %s, in '%s': remove them first", ts_side_str(side), path);
        if (r.status != 0)
                return ts_err_set(err, TS_ECOMMAND, "cannot make '%s' on the %s a link", path, ts_side_str(side));
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

int ts_images_share(struct ts_mig *m, const char *target_bundle, struct ts_err *err)
{
        ts_auto_free char *seen = ts_fmt("%s/seen", m->dump_dir), *there = ts_fmt("%s/checkpoint", target_bundle), *images = ts_fmt("%s/checkpoint", m->dump_dir);
        const char *const look[] = { "/bin/sh", "-c", seen_script, "sh", m->dump_dir, m->id, NULL }, *const replace[] = { "/bin/sh", "-c", replace_script, "sh", there, images, NULL };

        if (!seen || !there || !images)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_host_put(m->src.host, seen, 0600, m->id, strlen(m->id), err) < 0)
                return -1;
        if (ts_host_check(m->dst.host, look, NULL, NULL, NULL) < 0) {
                ts_err_set(err, TS_EREFUSED, "'%s' on the target is not the directory that it is on the source", m->o->shared_dir);
                return ts_err_hint(err, "mount the same one on both hosts, with root allowed to write (no_root_squash), or leave out --transfer shared");
        }
        return ts_keeps_id(m) ? ts_host_check(m->dst.host, replace, NULL, NULL, err) : link_checkpoints(m, TS_SIDE_TARGET, target_bundle, err);
}

/* ---- both ---- */

int ts_images_place(struct ts_mig *m, struct ts_err *err)
{
        uint64_t dump = m->memory_bytes + m->memory_bytes / 8 + SMALL;

        if (m->strategy != TS_IN_PLACE)
                return 0;
        if (m->o->shared_dir) {
                if (make_dir(m, m->o->shared_dir, err) < 0)
                        return -1;
                return ts_keeps_id(m) ? 0 : link_checkpoints(m, TS_SIDE_SOURCE, m->bundle, err);
        }
        if (!ts_keeps_id(m)) /* Docker copies its images where containerd says */
                return 0;
        if (m->o->dump == TS_DUMP_DISK)
                return 0;
        if (m->memory_bytes && is_room(m, COPIES * dump))
                return make_dir(m, MEMORY_DIR, err);
        if (m->o->dump == TS_DUMP_MEMORY)
                return ts_err_set(err, TS_EREFUSED, "--dump memory: the source has no room for %llu MiB in its memory", (unsigned long long)(COPIES * dump >> 20));
        return 0;
}

/* $1 bundle, $2 directory in memory. */
static const char link_script[] = "rm -rf --one-file-system -- \"$2/checkpoint\" && mkdir -m 0700 -- \"$2/checkpoint\" && ln -s -- \"$2/checkpoint\" \"$1/checkpoint\"";

/* containerd before 2.0 writes the container's description beside each of its dumps, and fails when it has an equal one (services/tasks/local.go, writeContent): after CRIU has killed the container, and
 * Docker then removes the images. The one of the dump before goes when containerd collects its garbage, a moment after Docker's answer, and later on a busy host.
 * $1 container, $2 Docker's root directory. Prints the first file that holds one. */
static const char held_script[] = "for d in /var/lib/containerd \"$2/containerd/daemon\"; do d=$d/io.containerd.content.v1.content/blobs/sha256; [ ! -d \"$d\" ] || "
                                  "find \"$d\" -type f -size -1024k -exec grep -lF -- \"$1\" {} + 2>/dev/null; done | head -n 1";

static int wait_for_containerd(struct ts_mig *m, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", held_script, "sh", m->c->id, m->src.info->graph_root, NULL };
        ts_deadline deadline = ts_deadline_in_ms(COLLECTED_MS);

        for (;;) {
                ts_auto_free char *held = NULL;

                if (ts_host_check(m->src.host, argv, NULL, &held, err) < 0)
                        return -1;
                if (!held || !*held)
                        return 0;
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by a signal");
                if (ts_deadline_passed(deadline)) {
                        ts_err_set(err, TS_EREFUSED, "containerd on the source still has '%s', of an earlier checkpoint of '%s': a dump now could stop the container and then fail", held, m->c->name);
                        return ts_err_hint(err, "try again in a while; 'ctr --namespace moby content ls' lists what containerd has");
                }
                ts_sleep_ms(100);
        }
}

int ts_images_clear(struct ts_mig *m, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", link_script, "sh", m->bundle, m->dump_dir, NULL };

        if (!ts_keeps_id(m))
                return m->strategy == TS_COLD ? 0 : wait_for_containerd(m, err); /* Docker's images carry the migration's ID */
        if (ts_images_remove(&m->src, m->bundle, err) < 0)
                return -1;
        return m->dump_dir ? ts_host_check(m->src.host, argv, NULL, NULL, err) : 0;
}
