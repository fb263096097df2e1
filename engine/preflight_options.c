/* Preflight, options of the container that were learned from failures: what no restore brings back, what would be lost without a word, and what the engines themselves keep their data in. */
#include "engine/preflight.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 3 /* of many alike that a message has */
#define HOLLOW_MAX 20 /* as in preflight_facts.c */

/* ---- other containers ---- */
void ts_check_unreadable(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++)
                for (size_t k = 0; k < views[i]->containers.n; k++) {
                        const struct ts_brief *b = &views[i]->containers.v[k];

                        if (b->unreadable && !ts_streq0(b->id, p->m->c->id))
                                ts_find(p->m, "container-unreadable", "see for yourself that it uses no volume or network of this one",
                                        "nothing is known of container '%s' on '%s': %s", b->name, ts_view_name(views[i]), b->unreadable);
                }
}

/* ---- where the engines keep what a container consists of ---- */
void ts_check_storage(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };
        bool podman = ts_api_kind(p->m->src.api) == TS_PODMAN;
        const char *own = ts_json_str(p->m->c->json, "GraphDriver.Name", ts_json_str(p->m->c->json, "Driver", ""));
        const char *works = podman ? "overlay" : "overlay2";

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++) {
                const char *driver = ts_or(views[i]->e->info->graph_driver, "");

                if (i == 0 && *own)
                        driver = own; /* it may be older than the engine's setting */
                if (strcmp(driver, works) != 0)
                        ts_find(p->m, "storage-driver",
                                podman ? "set driver = \"overlay\" in /etc/containers/storage.conf there"
                                       : "set \"storage-driver\": \"overlay2\" in /etc/docker/daemon.json there, without the containerd image store (\"features\")",
                                "%s on '%s' keeps %s with the storage driver '%s': only '%s' has the files of a container where they can be taken and put",
                                ts_engine_kind_str(views[i]->e->info->kind), ts_view_name(views[i]), i ? "containers" : "this container", driver, works);
        }
}

void ts_check_rootfs(struct ts_preflight *p)
{
        const char *rootfs = ts_json_str(p->m->c->json, "Rootfs", "");

        if (*rootfs)
                ts_find(p->m, "rootfs", "make an image of it (tar -C DIR -c . | podman import - NAME) and create the container from that",
                        "'%s' was created with --rootfs: its root file system is '%s' of its host and no image", p->m->c->name, rootfs);
}

/* What Podman's import restores has the mount points, but not the directory with the secrets that they lie in. */
void ts_check_secrets_archive(struct ts_preflight *p)
{
        const struct ts_json *secrets = ts_json_get(p->m->c->json, "Config.Secrets");

        if (p->m->strategy == TS_ARCHIVE && ts_json_len(secrets))
                ts_find(p->m, "secrets-archive", "leave --strategy archive (and --transfer scp) away: in place they come along",
                        "'%s' has the secret '%s' mounted, which Podman does not put back when it restores an archive", p->m->c->name,
                        ts_json_str(ts_json_at(secrets, 0), "Name", "?"));
}

/* ---- name spaces ---- */
static const char *mapping(const struct ts_container *c)
{
        const struct ts_json *map = ts_json_get(c->json, "HostConfig.IDMappings.UidMap");

        return ts_json_str(ts_json_at(map, 0), "", ts_or(c->userns_mode, ""));
}

/* Docker with user remapping has its data under ROOT/UID.GID. */
static const char *remap(const struct ts_engine_info *i)
{
        const char *slash = strrchr(ts_or(i->graph_root, ""), '/');
        size_t digits = slash ? strspn(slash + 1, "0123456789") : 0;

        return i->kind == TS_DOCKER && digits && slash[1 + digits] == '.' && slash[2 + digits] >= '0' && slash[2 + digits] <= '9' ? slash + 1 : "";
}

static void check_userns(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;
        const char *s = remap(p->src.e->info), *d = remap(p->dst.e->info), *how = mapping(c);
        bool podman = p->src.e->info->kind == TS_PODMAN, cold = p->m->strategy == TS_COLD;
        bool own = ts_fact_is(&p->src.facts, "userns", "own") || (podman && ts_json_len(ts_json_get(c->json, "HostConfig.IDMappings.UidMap")));

        if (strcmp(s, d) != 0)
                ts_find(p->m, "userns", "set userns-remap alike on both", "user IDs are remapped to %s on the source and %s on the target",
                        *s ? s : "nothing", *d ? d : "nothing");
        else if (own && podman)
                ts_find(p->m, "userns", "create it without --userns, --uidmap, --gidmap and --subuidname, and move that one",
                        "'%s' has a user namespace of its own (%s): a restore fails on both sides, and a new one would have its files under other owners", c->name, how);
        else if (own && !cold)
                ts_find(p->m, "userns", "move it with --cold, or create it with --userns host", "the users of '%s' are remapped (userns-remap %s): Docker cannot restore it",
                        c->name, *s ? s : how);
}

void ts_check_namespaces(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        if (p->m->strategy != TS_COLD && c->pid_mode && !strcmp(c->pid_mode, "host"))
                ts_find(p->m, "pid-host", "create it without --pid host, or move with --cold",
                        "'%s' shares the host's process IDs: they would have to be free on the target", c->name);
        if (p->m->strategy != TS_COLD && c->ipc_mode && !strcmp(c->ipc_mode, "host"))
                ts_find(p->m, "ipc-host", "create it with --ipc private, or move with --cold",
                        "'%s' was created with --ipc host: its /dev/shm is the host's, which a checkpoint takes for the container's own", c->name);
        check_userns(p);
}

void ts_check_docker_init(struct ts_preflight *p)
{
        if (ts_json_bool(p->m->c->json, "HostConfig.Init", false) || ts_fact_is(&p->src.facts, "docker_init", "yes"))
                ts_find(p->m, "docker-init", "create it with --init=false (an image may bring tini or dumb-init itself), or move with --cold",
                        "'%s' runs below Docker's own init (--init): Docker cannot restore such a container, on neither side", p->m->c->name);
}

/* ---- processes ---- */
void ts_check_traced(struct ts_preflight *p)
{
        const char *who = ts_fact(&p->src.facts, "traced", 0);

        if (who)
                ts_find(p->m, "traced", "end the tracer (strace, gdb, a profiler) first", "%s: CRIU cannot dump a process that has a tracer", who);
}

/* Seen in machines that are containers themselves. */
void ts_check_limits(struct ts_preflight *p)
{
        const char *who = ts_fact(&p->src.facts, "other_user", 0);

        if (who)
                ts_find(p->m, "limits-hidden",
                        "give that machine CAP_SYS_RESOURCE, run the container's processes as root (--user 0:0), or move with --cold",
                        "%s of '%s' is not root's, and root on '%s' has no CAP_SYS_RESOURCE: CRIU cannot read its limits", who,
                        p->m->c->name, ts_view_name(&p->src));
}

void ts_check_outside(struct ts_preflight *p)
{
        const char *what = ts_fact(&p->src.facts, "outside", 0);

        if (what)
                ts_find(p->m, "outside-file",
                        "if it came by --preserve-fds or --preserve-fd, create it without and mount what it needs; if its mount was taken away (umount -l), let the program close it; "
                        "or move with --cold",
                        "%s, which is on none of the mounts of '%s': CRIU cannot dump it", what, p->m->c->name);
}

void ts_check_exec_sessions(struct ts_preflight *p)
{
        ts_auto_str names = TS_STR_INIT_MAX(400);
        const char *one;
        size_t n = 0;

        for (; (one = ts_fact(&p->src.facts, "exec", n)); n++)
                if (n < NAMED_MAX)
                        (void)ts_str_addf(&names, NULL, "%s'%s'", n ? ", " : "", one);
        if (n)
                ts_find(p->m, "exec-sessions", "start them again on the target",
                        "%zu process%s came into '%s' from outside (exec) and will be gone: %s%s", n, n > 1 ? "es" : "", p->m->c->name, ts_str_cstr(&names),
                        n > NAMED_MAX ? ", …" : "");
}

/* ---- files that the upper directory only refers to ---- */
void ts_check_metacopy(struct ts_preflight *p)
{
        const struct ts_mig *m = p->m;
        const char *first = ts_fact(&p->src.facts, "hollow", 0);
        ts_auto_free char *word = ts_shell_word("%s", ts_or(first, ""));
        ts_auto_free char *hint =
                ts_fmt("open each for writing, which copies it whole: podman exec %s "
                       "sh -c ': >>\"$1\"' sh %s",
                       m->c->name, ts_or(word, ""));
        size_t n = 0;

        while (ts_fact(&p->src.facts, "hollow", n))
                n++;
        if (first)
                ts_find(p->m, "metacopy", ts_or(hint, ""),
                        "%zu%s file%s of its image that '%s' gave another mode or owner ha%s no content of %s own there (the storage has metacopy=on): '%s'%s", n,
                        n >= HOLLOW_MAX ? " or more" : "", n > 1 ? "s" : "", m->c->name, n > 1 ? "ve" : "s", n > 1 ? "their" : "its", first, n > 1 ? ", …" : "");
        else if (m->strategy == TS_ARCHIVE && ts_fact_is(&p->src.facts, "metacopy", "on"))
                ts_find(p->m, "metacopy", "leave --strategy archive away",
                        "the storage of the source has metacopy=on: files of '%s' may have no content of their own, which an archive cannot tell", m->c->name);
}
