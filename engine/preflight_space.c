/* Preflight, free space: what will be written where on both hosts, added up by file system, against what is free there. The factors are from docs/internals/engines.md: how often each
 * engine writes the dump. A full disk in the middle costs Docker the container's memory, so this is asked before. */
#include "engine/preflight.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTAINERD_TMP "/tmp"                 /* its checkpoints pass through os.MkdirTemp */
#define CONTAINERD_ROOT "/var/lib/containerd" /* its content store */
#define SMALL ((uint64_t)8 << 20)             /* CRIU's other images, headers, the journal's copy */
#define NEEDS_MAX 32

/* Bytes to be written below a path: what stays, what lies there only while the image is brought, and only from the dump on. */
struct need {
        const struct ts_view *view;
        const char *path;
        uint64_t keep, early, late;
};
struct needs {
        struct need v[NEEDS_MAX];
        size_t n;
};

static const char *volume_root(const struct ts_view *v)
{
        return v->e->info->volume_path && *v->e->info->volume_path ? v->e->info->volume_path : ts_or(v->e->info->graph_root, "/");
}

/* ---- the questions ---- */
/* What travels; and Podman's export holds every volume, the shared ones too. */
static bool measured(const struct ts_mig *m, const struct ts_data *d)
{
        return d->src_path && (d->mode != TS_DATA_SHARED || (d->is_volume && m->strategy == TS_ARCHIVE));
}

int ts_space_ask(struct ts_preflight *p, struct ts_err *err)
{
        const struct ts_mig *m = p->m;
        struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++) {
                const char *const paths[] = { ts_or(views[i]->e->info->graph_root, "/"),
                                              volume_root(views[i]),
                                              ts_mig_staging(m),
                                              TS_OWN_TOP,
                                              CONTAINERD_TMP,
                                              CONTAINERD_ROOT };

                for (size_t k = 0; k < TS_ARRAY_LEN(paths); k++)
                        if (ts_facts_ask(&views[i]->facts, "fs", paths[k], err) < 0)
                                return -1;
        }
        for (size_t i = 0; i < m->n_data; i++) {
                const struct ts_data *d = &m->data[i];

                if (measured(m, d) && ts_facts_ask(&p->src.facts, "du", d->src_path, err) < 0)
                        return -1;
                if (d->mode != TS_DATA_SHARED && !d->is_volume && d->src_path && ts_facts_ask(&p->dst.facts, "fs", d->src_path, err) < 0)
                        return -1;
        }
        return m->c->upper_dir ? ts_facts_ask(&p->src.facts, "du", m->c->upper_dir, err) : 0;
}

/* ---- sizes ---- */
static uint64_t du_bytes(const struct ts_preflight *p, const char *path, bool *unknown)
{
        const char *kb = ts_facts_answer(&p->src.facts, "du", path);
        unsigned long long n = 0;

        if (kb && ts_parse_u64(kb, 0, UINT64_MAX / 1024, &n, NULL) == 0)
                return (uint64_t)n * 1024;
        *unknown = true;
        return 0;
}

static uint64_t kb_fact(const struct ts_preflight *p, const char *key)
{
        uint64_t kb = ts_fact_u64(&p->src.facts, key, 0);

        return kb < UINT64_MAX / 1024 ? kb * 1024 : 0;
}

uint64_t ts_memory_bytes(const struct ts_preflight *p)
{
        return kb_fact(p, "memory_kb") + kb_fact(p, "shm_kb");
}

/* What is mapped of /dev/shm is in both numbers; better too much than too little. */
static uint64_t dump_bytes(const struct ts_preflight *p)
{
        uint64_t memory = ts_memory_bytes(p);

        return p->m->strategy == TS_COLD ? 0 : ts_keeps_id(p->m) ? memory + memory / 16 + SMALL : memory + memory / 10 * 3 + SMALL;
}

/* ---- the sum ---- */
static struct need *need(struct needs *all, const struct ts_view *v, const char *path)
{
        for (size_t i = 0; i < all->n; i++)
                if (all->v[i].view == v && !strcmp(all->v[i].path, path))
                        return &all->v[i];
        if (all->n == NEEDS_MAX)
                return &all->v[NEEDS_MAX - 1];
        all->v[all->n] = (struct need){ .view = v, .path = path };
        return &all->v[all->n++];
}

/* Source: images in the bundle, the volumes' tars beside them (no call leaves them out), and all of it again in the archive. Target: archive, images unpacked from it; the volumes go straight to
 * their place. With scp the archive lies there in segments before the engine takes it. */
static void need_podman(const struct ts_preflight *p, struct needs *all, uint64_t dump, uint64_t volumes, uint64_t rootfs)
{
        const struct ts_view *s = &p->src, *d = &p->dst;
        bool scp = p->m->o->transfer == TS_TRANSFER_SCP;

        need(all, s, ts_or(s->e->info->graph_root, "/"))->late += dump + volumes;
        need(all, s, ts_mig_staging(p->m))->late += dump + volumes;
        need(all, d, ts_mig_staging(p->m))->late += (scp ? 2 : 1) * (dump + rootfs);
        need(all, d, ts_or(d->e->info->graph_root, "/"))->late += dump + rootfs;
}

/* Images on both sides, beside those of the rehearsal before, which the agents hold until the end; on the target also what an update sets aside. Docker's last dump is counted with its other copies. */
static void need_in_place(const struct ts_preflight *p, struct needs *all, uint64_t dump)
{
        unsigned base = p->m->o->precopy <= TS_PRECOPY_REHEARSAL, own = p->m->engine == TS_PODMAN, copies = base + own;

        need(all, &p->src, ts_or(p->src.e->info->graph_root, "/"))->late += copies * dump;
        need(all, &p->dst, ts_or(p->dst.e->info->graph_root, "/"))->late += copies * dump;
}

/* Both sides: containerd's temporary copy, its content store, the checkpoint directory. */
static void need_docker(const struct ts_preflight *p, struct needs *all, uint64_t dump)
{
        const struct ts_view *both[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(both); i++) {
                need(all, both[i], CONTAINERD_TMP)->late += dump;
                need(all, both[i], CONTAINERD_ROOT)->late += dump;
                need(all, both[i], ts_or(both[i]->e->info->graph_root, "/"))->late += dump;
        }
        if (p->m->o->transfer == TS_TRANSFER_SCP)
                need(all, &p->dst, ts_mig_staging(p->m))->late += dump;
}

/* Podman saves and loads through its temporary directory, Docker inside its root. */
static void need_image(const struct ts_preflight *p, struct needs *all)
{
        const struct ts_view *both[] = { &p->src, &p->dst };
        bool podman = p->src.e->info->kind == TS_PODMAN;
        uint64_t size = p->m->image && !p->m->image_on_target ? p->m->image->size_bytes : 0;

        for (size_t i = 0; i < TS_ARRAY_LEN(both); i++)
                need(all, both[i], podman ? ts_mig_staging(p->m) : ts_or(both[i]->e->info->graph_root, "/"))->early += size;
        need(all, &p->dst, ts_or(p->dst.e->info->graph_root, "/"))->keep += size;
}

static void need_data(const struct ts_preflight *p, struct needs *all, uint64_t *ret_volumes, bool *unknown)
{
        for (size_t i = 0; i < p->m->n_data; i++) {
                const struct ts_data *d = &p->m->data[i];
                uint64_t size;

                if (!measured(p->m, d))
                        continue;
                size = du_bytes(p, d->src_path, unknown);
                if (d->mode != TS_DATA_SHARED)
                        need(all, &p->dst, d->is_volume ? volume_root(&p->dst) : d->src_path)->keep += size;
                if (d->is_volume)
                        *ret_volumes += size;
        }
}

/* ---- the judgement ---- */
struct fs {
        unsigned long long dev, free_bytes;
};

/* "DEVICE FREE-BLOCKS BLOCK-SIZE" */
static bool fs_of(const struct need *n, struct fs *ret)
{
        const char *text = ts_facts_answer(&n->view->facts, "fs", n->path);
        unsigned long long v[3];

        if (!text)
                return false;
        for (size_t i = 0; i < TS_ARRAY_LEN(v); i++) {
                char *end;

                errno = 0;
                v[i] = strtoull(text, &end, 10);
                if (end == text || errno)
                        return false;
                text = end;
        }
        if (v[2] && v[1] > UINT64_MAX / v[2])
                return false;
        *ret = (struct fs){ .dev = v[0], .free_bytes = v[1] * v[2] };
        return true;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

/* All that goes to the file system of all->v[at], told once: at its first path. */
static void judge(struct ts_preflight *p, const struct needs *all, size_t at)
{
        struct need sum = { 0 };
        struct fs here, other;
        char want[16], have[16];
        bool staging = false;
        uint64_t total;

        if (!fs_of(&all->v[at], &here))
                return;
        for (size_t i = 0; i < all->n; i++) {
                if (all->v[i].view != all->v[at].view || !fs_of(&all->v[i], &other) || other.dev != here.dev)
                        continue;
                if (i < at)
                        return;
                staging = staging || !strcmp(all->v[i].path, ts_mig_staging(p->m));
                sum.keep += all->v[i].keep;
                sum.early += all->v[i].early;
                sum.late += all->v[i].late;
        }
        total = sum.keep + larger(sum.early, sum.late);
        if (total <= here.free_bytes)
                return;
        ts_human_bytes(total, want);
        ts_human_bytes(here.free_bytes, have);
        ts_find(p->m, "free-space",
                staging ? "make room there, or name a staging directory on another file system "
                          "(--staging)"
                        : "make room there",
                "the file system of '%s' on '%s' needs %s and has %s free", all->v[at].path,
                ts_view_name(all->v[at].view), want, have);
}

void ts_check_space(struct ts_preflight *p)
{
        struct needs all = { .n = 0 };
        bool unknown = false;
        uint64_t dump = dump_bytes(p), volumes = 0, rootfs = p->m->c->upper_dir ? du_bytes(p, p->m->c->upper_dir, &unknown) : 0;

        need_data(p, &all, &volumes, &unknown);
        need_image(p, &all);
        need(&all, &p->dst, ts_or(p->dst.e->info->graph_root, "/"))->keep += rootfs;
        need(&all, &p->src, TS_OWN_TOP)->keep += SMALL / 8;
        need(&all, &p->dst, TS_OWN_TOP)->keep += SMALL / 8;
        if (p->m->strategy == TS_ARCHIVE)
                need_podman(p, &all, dump, volumes, rootfs);
        else if (p->m->strategy != TS_COLD) {
                need_in_place(p, &all, dump);
                if (p->m->engine == TS_DOCKER)
                        need_docker(p, &all, dump);
        }
        for (size_t i = 0; i < all.n; i++)
                judge(p, &all, i);
        if (unknown)
                ts_find_warning(p->m, "free-space", "make sure yourself that there is room for them",
                                "some volumes or files of '%s' are too large to be measured in a second: they are not counted",
                                p->m->c->name);
}
