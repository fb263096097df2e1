/* Preflight, the two engines: are they two, of one kind, new enough, and can the target restore what the source dumps? What versions do wrong is from docs/internals/engines.md. */
#include "engine/preflight.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PODMAN_OLDEST 4
#define DOCKER_OLDEST_API "1.32" /* 17.09 */

/* Takes the number at *s and the dot after it; 0 and the end where there is none. */
static unsigned long next_number(const char **s)
{
        unsigned long n = 0;

        for (; isdigit((unsigned char)**s); (*s)++)
                n = n < 100000000 ? 10 * n + (unsigned long)(**s - '0') : n;
        *s = **s == '.' ? *s + 1 : "";
        return n;
}

int ts_version_compare(const char *a, const char *b, unsigned depth)
{
        a = ts_or(a, "");
        b = ts_or(b, "");
        a += strcspn(a, "0123456789");
        b += strcspn(b, "0123456789");
        for (unsigned i = 0; i < depth; i++) {
                unsigned long x = next_number(&a), y = next_number(&b);

                if (x != y)
                        return x < y ? -1 : 1;
        }
        return 0;
}

enum ts_restore_gate ts_docker_restore_gate(const int v[3], const char *network_mode)
{
        bool own_netns = !network_mode || (strcmp(network_mode, "host") != 0 && !ts_starts(network_mode, "container:"));

        if (v[0] == 25 && v[1] == 0 && v[2] <= 3)
                return TS_RESTORE_DIGEST;
        if (own_netns && (v[0] >= 28 || (v[0] == 26 && v[1] == 0 && v[2] == 0)))
                return TS_RESTORE_NETNS;
        return TS_RESTORE_WORKS;
}

/* ---- which engines ---- */
static bool too_old(const struct ts_engine_info *i)
{
        return i->kind == TS_PODMAN ? i->v[0] < PODMAN_OLDEST : ts_version_compare(i->api_version, DOCKER_OLDEST_API, 2) < 0;
}

void ts_check_engines(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };
        enum ts_engine_kind s = p->src.e->info->kind, d = p->dst.e->info->kind;

        if (s != d)
                ts_find(p->m, "engines-differ", "choose a target of the same kind: the engines' checkpoints do not fit each other",
                        "the source is %s, the target is %s", ts_engine_kind_str(s), ts_engine_kind_str(d));
        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++)
                if (too_old(views[i]->e->info))
                        ts_find(p->m, "engine-too-old", "upgrade it: Podman 4.0 or Docker 17.09 is the oldest that works",
                                "%s %s on '%s' is too old", ts_engine_kind_str(views[i]->e->info->kind),
                                ts_or(views[i]->e->info->version, "?"), ts_view_name(views[i]));
}

/* Two names for one engine. A machine is told by its boot ID (cloned machines share their machine ID), its storage by device and inode. */
void ts_check_same_engine(struct ts_preflight *p)
{
        const struct ts_engine_info *s = p->src.e->info, *d = p->dst.e->info;
        const char *boot = ts_fact(&p->src.facts, "boot", 0), *machine = ts_fact(&p->src.facts, "machine", 0);
        const char *ino = ts_facts_answer(&p->src.facts, "ino", s->graph_root),
                   *ino_dst = ts_facts_answer(&p->dst.facts, "ino", d->graph_root);
        const char *hint = "name another engine with --to";

        if (s->kind == TS_DOCKER && s->id && *s->id && ts_streq0(s->id, d->id)) {
                ts_find(p->m, "same-engine",
                        "name another engine with --to; if one machine is a clone of the other, stop Docker on one, delete 'engine-id' in "
                        "its data root (older: /etc/docker/key.json) and start it",
                        "'%s' and '%s' are one engine: both have the ID %s", ts_view_name(&p->src), ts_view_name(&p->dst), s->id);
                return;
        }
        if (boot && *boot && ino && *ino && ino_dst && *ino_dst) {
                if (ts_fact_is(&p->dst.facts, "boot", boot) && !strcmp(ino, ino_dst))
                        ts_find(p->m, "same-engine", hint, "'%s' and '%s' are one engine: the same machine and the same storage '%s'",
                                ts_view_name(&p->src), ts_view_name(&p->dst), ts_or(s->graph_root, ""));
                return;
        }
        if (machine && *machine && ts_fact_is(&p->dst.facts, "machine", machine) && ts_streq0(s->graph_root, d->graph_root))
                ts_find(p->m, "same-engine", hint, "'%s' and '%s' cannot be told apart: the same machine ID and the same storage path '%s'",
                        ts_view_name(&p->src), ts_view_name(&p->dst), ts_or(s->graph_root, ""));
}

void ts_check_rootless(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++)
                if (views[i]->e->info->rootless)
                        ts_find(p->m, "rootless", "use the rootful engine: only root may dump and restore processes",
                                "the engine on '%s' is rootless", ts_view_name(views[i]));
}

/* ---- Docker ---- */
void ts_check_experimental(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++)
                if (!views[i]->e->info->experimental)
                        ts_find(p->m, "docker-experimental-off",
                                "put \"experimental\": true into /etc/docker/daemon.json there and restart Docker (containers stop unless "
                                "live-restore is on); or move with --cold",
                                "Docker on '%s' has its checkpoint calls switched off", ts_view_name(views[i]));
}

void ts_check_docker_restore(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->dst, &p->src };
        const char *what[] = { "cannot restore there", "could not be restored on the source if the move failed" };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++) {
                const struct ts_engine_info *info = views[i]->e->info;

                switch (ts_docker_restore_gate(info->v, p->m->c->network_mode)) {
                case TS_RESTORE_WORKS:
                        break;
                case TS_RESTORE_DIGEST:
                        ts_find(p->m, "docker-restore-broken",
                                "upgrade it to 25.0.4 or a later one up to 27.5.1 (but 26.0.0); or move with --cold",
                                "'%s' %s: Docker %s on '%s' loses the checkpoint's digest (25.0.0 to 25.0.3 do)", p->m->c->name, what[i],
                                ts_or(info->version, "?"), ts_view_name(views[i]));
                        break;
                case TS_RESTORE_NETNS:
                        ts_find(p->m, "docker-restore-broken",
                                "what works: --cold; Docker 26.0.1 to 27.5.1; a container with --network host or --network container:OTHER",
                                "'%s' %s: Docker %s on '%s' cannot restore a container that has its own network namespace (26.0.0 and all "
                                "from 28 on)",
                                p->m->c->name, what[i], ts_or(info->version, "?"), ts_view_name(views[i]));
                        break;
                }
        }
}

void ts_check_live_restore(struct ts_preflight *p)
{
        if (p->src.e->info->live_restore && !p->dst.e->info->live_restore)
                ts_find(p->m, "live-restore", "put \"live-restore\": true into the target's /etc/docker/daemon.json if it matters",
                        "the source's Docker keeps containers when it restarts (live-restore), the target's does not");
}

/* ---- runtime, machine, cgroups ---- */
static const char *base_name(const char *path)
{
        const char *slash = strrchr(ts_or(path, ""), '/');

        return slash ? slash + 1 : ts_or(path, "");
}

/* Docker's "runc" is containerd's "io.containerd.runc.v2". */
static bool same_runtime(const char *a, const char *b)
{
        a = ts_starts(base_name(a), "io.containerd.runc.") ? "runc" : base_name(a);
        b = ts_starts(base_name(b), "io.containerd.runc.") ? "runc" : base_name(b);
        return !*a || !*b || !strcmp(a, b);
}

void ts_check_runtime(struct ts_preflight *p)
{
        const char *own = p->m->c->runtime && *p->m->c->runtime ? p->m->c->runtime : p->src.e->info->runtime;

        if (!same_runtime(own, p->dst.e->info->runtime))
                ts_find(p->m, "runtime-differs",
                        p->src.e->info->kind == TS_PODMAN
                                ? "set runtime = \"…\" in the target's /etc/containers/containers.conf to the source's, or move with --cold"
                                : "make it the target's \"default-runtime\" in /etc/docker/daemon.json, or move with --cold",
                        "'%s' runs with %s, the target restores with %s: their checkpoints do not fit each other", p->m->c->name,
                        base_name(own), base_name(p->dst.e->info->runtime));
}

/* crun loads CRIU's library when it is asked for a dump; Debian only recommends it. */
static void check_library(struct ts_preflight *p, const struct ts_view *v)
{
        const char *own =
                p->m->c->runtime && *p->m->c->runtime ? p->m->c->runtime : v->e->info->runtime;

        if (!strcmp(base_name(own), "crun") && ts_fact_is(&v->facts, "libcriu", "no"))
                ts_find(p->m, "runtime-no-criu",
                        "install it there: libcriu2 (Debian, Ubuntu), criu-libs (Fedora)",
                        "crun on '%s' needs CRIU's library libcriu.so.2, which is not installed",
                        ts_view_name(v));
}

/* crun lists what it was built with: "+SYSTEMD +SELINUX … +CRIU". */
void ts_check_runtime_criu(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++)
                check_library(p, views[i]);

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++) {
                const char *text = ts_or(views[i]->e->info->runtime_version, "");

                if (strstr(text, "crun") && strchr(text, '+') && !strstr(text, "+CRIU"))
                        ts_find(p->m, "runtime-no-criu",
                                "install a crun built with CRIU there (crun --version shows +CRIU), or use runc on both sides",
                                "crun on '%s' was built without CRIU", ts_view_name(views[i]));
        }
}

/* The host's own word (uname -m) where there is one: engines spell it differently. */
static const char *arch_of(const struct ts_view *v)
{
        const char *arch = ts_fact(&v->facts, "arch", 0);

        return arch && *arch ? arch : ts_or(v->e->info->arch, "");
}

void ts_check_architecture(struct ts_preflight *p)
{
        const char *s = arch_of(&p->src), *d = arch_of(&p->dst);

        if (strcmp(s, d) != 0)
                ts_find(p->m, "architecture", "choose a target of the same architecture", "the source is %s, the target is %s", s, d);
}

void ts_check_cgroup_version(struct ts_preflight *p)
{
        const char *s = p->src.e->info->cgroup_version, *d = p->dst.e->info->cgroup_version;

        if (s && d && strcmp(s, d) != 0)
                ts_find(p->m, "cgroup-version",
                        "boot both with the same (systemd.unified_cgroup_hierarchy=1 is version 2), or move with --cold",
                        "the source has cgroups version %s, the target version %s", s, d);
}

void ts_check_cgroup_manager(struct ts_preflight *p)
{
        const char *s = p->src.e->info->cgroup_manager, *d = p->dst.e->info->cgroup_manager;

        if (s && d && strcmp(s, d) != 0)
                ts_find(p->m, "cgroup-manager",
                        p->src.e->info->kind == TS_PODMAN ? "set cgroup_manager in containers.conf alike on both, or move with --cold"
                                                          : "set native.cgroupdriver in daemon.json alike on both, or move with --cold",
                        "the source's cgroups are managed by %s, the target's by %s", s, d);
}

static bool has_word(const char *list, const char *word)
{
        size_t len = strlen(word);

        for (const char *at = list; (at = strstr(at, word)); at += len)
                if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
                        return true;
        return false;
}

void ts_check_security(struct ts_preflight *p)
{
        static const char *const modules[] = { "selinux", "apparmor" };
        const char *s = ts_or(p->src.e->info->security, ""), *d = ts_or(p->dst.e->info->security, "");

        for (size_t i = 0; i < TS_ARRAY_LEN(modules); i++)
                if (has_word(s, modules[i]) != has_word(d, modules[i]))
                        ts_find(p->m, "security-differs", "a restore may fail on labels or profiles that the target does not know",
                                "%s is on at the %s only", modules[i], has_word(s, modules[i]) ? "source" : "target");
}
