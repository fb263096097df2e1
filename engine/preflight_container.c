/* Preflight, the container itself: its state, who would start it again, who depends on it, what its processes hold that a dump cannot take along, and whether its name, ID and
 * image are free and at hand on the target. */
#include "engine/preflight.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCKER_TTY_API "1.40" /* 19.03 */

const char *ts_program(const struct ts_preflight *p)
{
        return p->m->engine == TS_PODMAN ? "podman" : "docker";
}

char *ts_removal(const struct ts_preflight *p, const struct ts_briefs *all, const char *name)
{
        const char *engine = ts_program(p);
        ts_auto_free char *word = ts_shell_word("%s", ts_or(name, ""));
        enum ts_state state = TS_STATE_RUNNING;

        for (size_t i = 0; i < all->n; i++)
                if (ts_streq0(all->v[i].name, name))
                        state = all->v[i].state;
        if (!word)
                return NULL;
        if (state == TS_STATE_CREATED || state == TS_STATE_EXITED)
                return ts_fmt("%s rm %s", engine, word);
        if (state == TS_STATE_PAUSED)
                return ts_fmt("%s unpause %s && %s stop %s && %s rm %s", engine, word, engine, word, engine, word);
        return ts_fmt("%s stop %s && %s rm %s", engine, word, engine, word);
}

/* ---- state and policies ---- */
void ts_check_state(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;
        ts_auto_free char *word = ts_shell_word("%s", c->name);
        ts_auto_free char *unpause = ts_fmt("unpause it first, on the source: %s unpause %s", ts_program(p), ts_or(word, ""));

        if (c->paused || c->state == TS_STATE_PAUSED)
                ts_find(p->m, "paused", ts_or(unpause, ""), "'%s' is paused", c->name);
        else if (c->state != TS_STATE_RUNNING && c->checkpointed)
                ts_find(p->m, "not-running",
                        "`tranship status` tells if a migration of it is unfinished; the engine's own restore brings it back",
                        "'%s' was checkpointed and does not run", c->name);
        else if (c->state != TS_STATE_RUNNING)
                ts_find(p->m, "not-running",
                        p->m->strategy == TS_COLD
                                ? "start it: --cold, too, moves a container that runs, which it "
                                  "stops here and starts there"
                                : "start it, or copy it by other means: there is no memory to move",
                        "'%s' does not run (%s)", c->name, ts_state_str(c->state));
}

void ts_check_auto_remove(struct ts_preflight *p)
{
        if (p->m->c->auto_remove)
                ts_find(p->m, "auto-remove", "create it without --rm",
                        "'%s' was started with --rm: the engine would delete it, its files and its checkpoint as soon as it is frozen",
                        p->m->c->name);
}

void ts_check_restart_policy(struct ts_preflight *p)
{
        const char *policy = p->m->c->restart_policy;

        if (policy && *policy && strcmp(policy, "no") != 0 && !ts_engine_can_set_restart_policy(p->src.e->info))
                ts_find(p->m, "restart-policy", "upgrade Podman to 5.1, or create the container with --restart=no",
                        "'%s' has the restart policy '%s', which this engine cannot switch off: it might start the container again after "
                        "the freeze",
                        p->m->c->name, policy);
}

/* ---- supervisors ---- */
static const struct {
        const char *prefix, *owner;
} supervisors[] = {
        { "PODMAN_SYSTEMD_UNIT", "systemd" },
        { "com.docker.swarm.", "Docker Swarm" },
        { "com.docker.stack.", "Docker Swarm" },
        { "io.podman.compose.", "Podman Compose" },
        { "com.docker.compose.", "Docker Compose" },
        { "io.kubernetes.", "Kubernetes" },
        { "io.podman.kube.", "podman kube play" },
        { "io.podman.annotations.kube.", "podman kube play" },
        { "com.hashicorp.nomad.", "Nomad" },
        { "com.amazonaws.ecs.", "Amazon ECS" },
        { "io.rancher.", "Rancher" },
        { "io.balena.", "balena" },
};

const char *ts_supervisor(const char *label_key)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(supervisors); i++) {
                size_t len = strlen(supervisors[i].prefix);

                if (supervisors[i].prefix[len - 1] == '.' ? ts_starts(label_key, supervisors[i].prefix)
                                                          : !strcmp(label_key, supervisors[i].prefix))
                        return supervisors[i].owner;
        }
        return NULL;
}

/* The unit, Compose project, service … : the label that tells a person most. */
static const char *owned_thing(const struct ts_container *c)
{
        static const char *const keys[] = { "PODMAN_SYSTEMD_UNIT",        "com.docker.swarm.service.name", "io.podman.compose.project",
                                            "com.docker.compose.project", "io.kubernetes.pod.name",        "com.hashicorp.nomad.alloc_id" };

        for (size_t i = 0; i < TS_ARRAY_LEN(keys); i++)
                if (ts_container_label(c, keys[i]))
                        return ts_container_label(c, keys[i]);
        return NULL;
}

/* One finding an owner: Compose alone sets a dozen labels, and podman-compose those of Docker Compose too. */
void ts_check_supervisor(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;
        const char *unit = ts_container_label(c, "PODMAN_SYSTEMD_UNIT"), *state = ts_facts_answer(&p->src.facts, "unit", unit);
        const char *first = NULL, *thing = owned_thing(c);
        bool running = state && ts_starts(state, "active");

        for (size_t i = 0; !first && i < TS_ARRAY_LEN(supervisors); i++)
                for (size_t k = 0; !first && k < c->n_labels; k++)
                        if (c->labels[k].key && ts_streq0(ts_supervisor(c->labels[k].key), supervisors[i].owner))
                                first = supervisors[i].owner;
        if (first)
                ts_find(p->m, "supervisor",
                        unit ? "remove its unit or Quadlet file on the source without stopping it (systemctl disable --now would stop it), "
                               "then say --skip supervisor"
                             : "take it out of its owner's hands on the source, then say --skip supervisor",
                        "'%s' belongs to %s%s%s%s%s, which would start it again on the source", c->name, first, thing ? " ('" : "",
                        ts_or(thing, ""), thing ? "')" : "", running ? ", a unit that runs now" : "");
}

/* ---- who needs whom ---- */
static char *joined(const struct ts_list *l)
{
        struct ts_str s = TS_STR_INIT_MAX(300);

        for (size_t i = 0; i < l->n; i++)
                if (ts_str_addf(&s, NULL, "%s'%.64s'", i ? ", " : "", l->v[i]) < 0)
                        break;
        return ts_str_take(&s);
}

void ts_check_dependents(struct ts_preflight *p)
{
        ts_auto_free char *names = joined(&p->src.dependents);
        ts_auto_str hint = TS_STR_INIT;

        (void)ts_str_adds(&hint, "create them anew on the target when it is there, and remove them here first: ", NULL);
        for (size_t i = 0; i < p->src.dependents.n; i++) {
                ts_auto_free char *remove = ts_removal(p, &p->src.containers, p->src.dependents.v[i]);

                (void)ts_str_addf(&hint, NULL, "%s%s", i ? " && " : "", ts_or(remove, ""));
        }
        if (p->src.dependents.n)
                ts_find(p->m, "dependents", ts_str_cstr(&hint),
                        "%s need%s '%s' (its network, volumes or the like) and would be left behind", ts_or(names, "other containers"),
                        p->src.dependents.n == 1 ? "s" : "", p->m->c->name);
}

static const struct ts_brief *brief_of(const struct ts_briefs *all, const char *ref)
{
        for (size_t i = 0; i < all->n; i++)
                if (ts_streq0(all->v[i].id, ref) || ts_streq0(all->v[i].name, ref))
                        return &all->v[i];
        return NULL;
}

/* Engines name it by its ID on the source; on the target it is the running container of the same
 * name. wanting: those that are not there, by name. */
static void look_for_other(struct ts_preflight *p, const char *ref, struct ts_list *wanting)
{
        const struct ts_brief *here = brief_of(&p->src.containers, ref);
        const char *name = here && here->name ? here->name : ref;
        const struct ts_brief *there = brief_of(&p->dst.containers, name);

        if (ts_list_add(&p->m->others, ref, NULL) == 0)
                (void)ts_list_add(&p->m->others, name, NULL);
        if (ts_keeps_id(p->m) || !there || there->state != TS_STATE_RUNNING)
                (void)ts_list_add(wanting, name, NULL);
}

void ts_check_dependency(struct ts_preflight *p)
{
        const struct ts_list *all = &p->m->c->dependencies;
        ts_auto_list wanting = TS_LIST_INIT;
        ts_auto_free char *names = NULL;

        ts_list_clear(&p->m->others);
        for (size_t i = 0; i < all->n; i++)
                look_for_other(p, all->v[i], &wanting);
        names = joined(&wanting);
        if (wanting.n && ts_keeps_id(p->m))
                ts_find(p->m, "dependency",
                        "move with --cold, while a container of that name runs on the target",
                        "'%s' needs another container, %s: Podman dumps no container that does",
                        p->m->c->name, ts_or(names, "?"));
        else if (wanting.n)
                ts_find(p->m, "dependency",
                        "run a container of that name on the target first: this one joins it there",
                        "'%s' needs another container, which does not run on the target: %s",
                        p->m->c->name, ts_or(names, "?"));
}

void ts_check_pod(struct ts_preflight *p)
{
        const char *id = p->m->c->pod,
                   *name = id ? ts_facts_answer(&p->src.facts, "pod", id) : NULL;

        if (id && *id)
                ts_find(p->m, "pod", "create it outside a pod",
                        "'%s' is in the pod '%.64s', which does not come along", p->m->c->name,
                        name && *name ? name : id);
}

/* ---- what a dump cannot take ---- */
void ts_check_tty(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; p->m->c->tty && i < TS_ARRAY_LEN(views); i++)
                if (ts_version_compare(views[i]->e->info->api_version, DOCKER_TTY_API, 2) < 0)
                        ts_find(p->m, "tty", "upgrade Docker to 19.03, or move with --cold",
                                "'%s' has a terminal, which Docker %s on '%s' cannot checkpoint", p->m->c->name,
                                ts_or(views[i]->e->info->version, "?"), ts_view_name(views[i]));
}

void ts_check_processes(struct ts_preflight *p)
{
        if (ts_fact_is(&p->src.facts, "io_uring", "yes"))
                ts_find(p->m, "io-uring",
                        "switch it off in the program (MariaDB: innodb-use-native-aio=0; libuv, Node.js: UV_USE_IO_URING=0; PostgreSQL 18: "
                        "io_method=worker), or move with --cold",
                        "processes of '%s' use io_uring, which CRIU cannot dump", p->m->c->name);
        if (ts_fact_is(&p->src.facts, "aio", "yes"))
                ts_find(p->m, "aio",
                        "switch it off in the program (MariaDB, MySQL: innodb-use-native-aio=0; nginx: aio off), or move with --cold",
                        "processes of '%s' use kernel AIO, of which CRIU cannot dump what is under way", p->m->c->name);
}

/* The file is the same one on both hosts, and has the same numbers of device and inode there. */
static bool is_same_file(const struct ts_preflight *p, const char *path)
{
        const struct ts_mig *m = p->m;
        const char *here, *there;
        size_t longest = 0, best = m->n_data;

        for (size_t i = 0; i < m->n_data; i++) {
                const char *at = ts_or(m->data[i].mount->destination, "");
                size_t len = strlen(at);

                while (len > 0 && at[len - 1] == '/')
                        len--;
                if (len >= longest && strncmp(path, at, len) == 0 && path[len] == '/') {
                        best = i;
                        longest = len;
                }
        }
        if (best == m->n_data || m->data[best].mode != TS_DATA_SHARED)
                return false;
        here = ts_facts_answer(&p->src.facts, "ino", ts_shared_at(p, &p->src, best));
        there = ts_facts_answer(&p->dst.facts, "ino", ts_shared_at(p, &p->dst, best));
        return here && *here && ts_streq0(here, there);
}

static bool has_wal(const struct ts_facts *f, const char *line)
{
        const char *wal;

        for (size_t i = 0; (wal = ts_fact(f, "wal", i)); i++)
                if (!strcmp(wal, line))
                        return true;
        return false;
}

#define SQLITE_HINT                                                                              \
        "move with --cold; or have the program close the database just before "                  \
        "(--before-freeze exec:COMMAND) and say --skip "

/* SQLite looks up what a process knows of a database by device and inode number, and a copy has
 * others: what the process opens on the target is another database to it than what it opened on
 * the source. The two do not see each other's locks, and whichever is closed first takes the log
 * away from below the other.
 * Without such a log SQLite compares the numbers before it writes, and takes the connection for
 * one to a file that was moved away. */
void ts_check_sqlite(struct ts_preflight *p)
{
        const struct ts_facts *f = &p->src.facts;
        const char *line;

        for (size_t i = 0; (line = ts_fact(f, "wal", i)); i++) {
                const char *file = strchr(line, ' ');

                if (file && !is_same_file(p, file + 1))
                        ts_find(p->m, "sqlite-wal",
                                SQLITE_HINT "sqlite-wal; a program that opens it once, and nobody "
                                            "else while it runs, can be moved with that, too",
                                "'%.*s' has the SQLite database '%s' open with a write-ahead log: "
                                "what it writes after the move may be lost if it opens it once "
                                "more while this connection is open",
                                (int)(file - line), line, file + 1);
        }
        for (size_t i = 0; (line = ts_fact(f, "sqlite", i)); i++) {
                const char *file = strchr(line, ' ');

                if (file && !has_wal(f, line) && !is_same_file(p, file + 1))
                        ts_find(p->m, "sqlite-moved", SQLITE_HINT "sqlite-moved",
                                "'%.*s' has the SQLite database '%s' open: after the move each "
                                "write over this connection fails ('attempt to write a readonly "
                                "database')",
                                (int)(file - line), line, file + 1);
        }
}

/* A POSIX lock goes with the first descriptor of the file that its process closes. CRIU puts locks
 * back, then maps the file over a descriptor of its own and closes that: the lock is gone. Who locks
 * the file next takes himself for the first one there, and makes its shared state anew. */
void ts_check_mapped_locks(struct ts_preflight *p)
{
        const struct ts_facts *f = &p->src.facts;
        const char *line;

        for (size_t i = 0; (line = ts_fact(f, "mapped_lock", i)); i++) {
                const char *file = strchr(line, ' ');
                size_t len = strlen(line);
                ts_auto_free char *database = NULL;

                if (!file)
                        continue;
                if (len > 4 && !strcmp(line + len - 4, "-shm"))
                        database = ts_fmt("%.*s", (int)(len - 4), line);
                if (database && has_wal(f, database) && !is_same_file(p, file + 1))
                        continue; /* sqlite-wal says it */
                ts_find(p->m, "mapped-lock",
                        "move with --cold; where no other process opens that file while this one "
                        "runs, say --skip mapped-lock",
                        "'%.*s' has a lock on '%s', which it has mapped as well: criu loses such "
                        "locks, and the next process that opens the file may spoil it (LMDB, SQLite "
                        "and Berkeley DB do)",
                        (int)(file - line), line, file + 1);
        }
}

/* Shareable: the engine's own tmpfs outside the container, which no dump holds. Private: in the container's mount namespace, and CRIU takes it along. */
void ts_check_shm(struct ts_preflight *p)
{
        const char *ipc = ts_or(p->m->c->ipc_mode, "");

        if ((!strcmp(ipc, "shareable") || ts_starts(ipc, "container:")) && ts_fact_is(&p->src.facts, "shm", "yes"))
                ts_find(p->m, "ipc-shareable", "create it with --ipc private",
                        "'%s' has files in /dev/shm, and with --ipc %s Docker's checkpoint leaves them out", p->m->c->name, ipc);
}

void ts_check_devices(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        if (c->privileged)
                ts_find(p->m, "privileged", "make sure that what it uses of the host is on the target too", "'%s' is privileged", c->name);
        if (ts_json_len(ts_json_get(c->json, "HostConfig.Devices")) || ts_json_len(ts_json_get(c->json, "HostConfig.DeviceRequests")))
                ts_find(p->m, "devices", "a device that is open at the freeze makes CRIU refuse; the target needs the same devices",
                        "'%s' was given devices of the host", c->name);
}

void ts_check_log_driver(struct ts_preflight *p)
{
        static const char *const in_files[] = { "json-file", "k8s-file", "none", "" };
        const char *driver = ts_or(p->m->c->log_driver, "");

        if (p->m->engine == TS_DOCKER && !strcmp(driver, "local"))
                return;

        for (size_t i = 0; i < TS_ARRAY_LEN(in_files); i++)
                if (!strcmp(driver, in_files[i]))
                        return;
        ts_find(p->m, "log-driver", "save them first if they matter",
                "the log driver '%s' keeps no file that could travel: old log lines stay on the source", driver);
}

void ts_check_secrets(struct ts_preflight *p)
{
        const struct ts_json *secrets = ts_json_get(p->m->c->json, "Config.Secrets");

        for (size_t i = 0; i < ts_json_len(secrets); i++) {
                const char *name = ts_json_str(ts_json_at(secrets, i), "Name", ""), *there = ts_facts_answer(&p->dst.facts, "secret", name);

                ts_auto_free char *word = ts_shell_word("%s", name);
                ts_auto_free char *hint =
                        ts_fmt("create it there: podman secret create %s FILE", ts_or(word, ""));

                if (!there || strcmp(there, "yes") != 0)
                        ts_find(p->m, "secrets", ts_or(hint, ""), "the target has no secret '%s'",
                                name);
        }
}

/* ---- what the target has already ---- */
char *ts_remove_there(const struct ts_preflight *p, const char *name)
{
        const char *mark = NULL;
        ts_auto_free char *remove = ts_removal(p, &p->dst.containers, name);

        for (const char *at = name; at && (at = strstr(at, TS_KEPT_MARK)); at++)
                mark = at + strlen(TS_KEPT_MARK);
        if (!ts_journal_id_valid(mark))
                return ts_fmt("move that container away first, or remove it there: %s", ts_or(remove, ""));
        return ts_fmt("that is what an earlier move left (--keep-source): if it is of no use any "
                      "more, on "
                      "the target: %s",
                      ts_or(remove, ""));
}

void ts_check_names(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < p->dst.containers.n; i++) {
                const struct ts_brief *b = &p->dst.containers.v[i];

                ts_auto_free char *away = ts_remove_there(p, b->name), *remove = ts_removal(p, &p->dst.containers, b->name);
                ts_auto_free char *word = ts_shell_word("%s", ts_or(b->name, ""));
                ts_auto_free char *rename = ts_fmt("give it another name there: %s rename %s NAME   ·   or remove it there: %s",
                                                   ts_program(p), ts_or(word, ""), ts_or(remove, ""));

                if (ts_streq0(b->id, c->id))
                        ts_find(p->m, "id-taken", ts_or(away, ""),
                                "the target has a container with this ID: '%s' (%s)", ts_or(b->name, "?"), ts_state_str(b->state));
                else if (ts_streq0(b->name, c->name))
                        ts_find(p->m, "name-taken", ts_or(rename, ""), "the target has a container named '%s' (%.12s, %s)",
                                c->name, ts_or(b->id, "?"), ts_state_str(b->state));
        }
}

/* Podman's import only wants the name to mean something, and then goes by the source's ID. */
void ts_check_image(struct ts_preflight *p)
{
        const struct ts_mig *m = p->m;
        const struct ts_image *named = p->dst.by_name;

        if (!m->image && m->c->image_id)
                ts_find(p->m, "image-unavailable",
                        "tag or pull the very same image on the source again (docker commit would make another one)",
                        "the source no longer has the image of '%s' (%s)", m->c->name, ts_or(m->c->image_name, ts_or(m->c->image_id, "?")));
        if (ts_keeps_id(m) && named && !ts_streq0(named->id, m->c->image_id))
                ts_find(p->m, "image-tag-differs",
                        "to have the name for this one: podman tag, podman untag there",
                        "on the target '%s' is another image (%.12s) and stays so: the container keeps its own (%.12s), without that name",
                        ts_or(m->c->image_name, "?"), ts_or(named->id, "?"), ts_or(m->c->image_id, "?"));
}
