/* The directories a container consists of, each with an agent on both sides that brings it over, round after round: the dumps, the root file system's upper directory, volumes and bind mounts, and
 * the few files that the engine keeps beside them. Everything travels at once; nothing on the target has a name that an engine would restore from before a final round is complete. */
#include "engine/mig.h"
#include "transfer/ship.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_MS 120000
#define DOCKER_LOCAL_LOGS "local-logs"
#define ROTATED_MIN 9 /* looked for whatever the options say */
#define ROTATED_MAX 1000
#define FROZEN_PATIENCE_MS 3000 /* the way back takes about as long */

enum kind { DUMP, TREE };

struct ts_place {
        enum kind kind;
        const char *what;
        char *from, *to;
        struct ts_agent *source, *target;
        struct ts_ship *ship; /* the round under way */
        uint64_t *bytes;      /* where what travelled is counted; borrowed */
};

static int make_dir(struct ts_end *e, const char *path, struct ts_err *err)
{
        const char *const argv[] = { "mkdir", "-p", "-m", "0700", "--", path, NULL };

        return ts_host_check(e->host, argv, NULL, NULL, err);
}

/* Takes from and to over. */
static int add(struct ts_mig *m, enum kind kind, const char *what, char *from, char *to, uint64_t *bytes, struct ts_err *err)
{
        struct ts_place *p = &m->places[m->n_places];
        const struct ts_agent_opts opts = { .owner = m->id,
                                            .streams = !m->o->streams && m->rate ? 1 : m->o->streams,
                                            .tls_low = m->o->tls_low,
                                            .tls_high = m->o->tls_high,
                                            .patience_ms = m->o->reconnect_timeout_ms };

        ts_auto_free char *followed = ts_fmt("%s/.", ts_or(from, ""));

        *p = (struct ts_place){ .kind = kind, .what = what, .from = from, .to = to, .bytes = bytes };
        m->n_places++;
        if (!from || !to)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (kind == DUMP && (make_dir(&m->dst, to, err) < 0 || make_dir(&m->src, from, err) < 0))
                return -1;
        /* Here a person may have put a link to where the files are (serve.c); there the directory was made, or looked at, and nobody may put another in its place. */
        if (!followed)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_agent_start(m->src.host, kind == TREE ? followed : from, &opts, &p->source, err) < 0 || ts_agent_start(m->dst.host, to, &opts, &p->target, err) < 0)
                return ts_err_prefix(err, "%s '%s'", what, from);
        ts_agent_limit(p->source, m->rate);
        if (ts_streq0(m->r->transfer, "tls") && (!ts_agent_has_way(p->source, &opts) || !ts_agent_has_way(p->target, &opts))) {
                free(m->r->transfer);
                m->r->transfer = ts_strdup0("stream"); /* it was said why */
        }
        return m->o->compress < TS_COMPRESS_AUTO ? 0 : ts_agent_pack(p->source, m->o->compress == TS_COMPRESS_AUTO ? 1 : 2, err);
}

/* Pre-dumps: a place for them on both sides. */
static int add_earlier(struct ts_mig *m, const struct ts_container *there, struct ts_err *err)
{
        ts_auto_free char *name = ts_predump_name(m), *to = ts_fmt("%s/" TS_PREDUMP, there->bundle_dir);
        unsigned n = 0;

        if (!name || !to)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_journal_intent(m->j, TS_RES_CHECKPOINT, TS_SIDE_SOURCE, name, m->c->id, "absent", &n, err) < 0 || ts_predump_clear(m, err) < 0 ||
            ts_journal_res_state(m->j, n, TS_RES_MADE, err) < 0)
                return -1;
        return make_dir(&m->dst, to, err) < 0 ? -1 : ts_ship_base(m->places->target, TS_PREDUMP, err);
}

static int add_dump(struct ts_mig *m, const struct ts_container *there, struct ts_err *err)
{
        bool podman = m->engine == TS_PODMAN;

        if (add(m, DUMP, "dump", podman ? ts_strdup0(ts_or(m->dump_dir, m->bundle)) : ts_fmt("%s/checkpoints", m->bundle),
                podman ? ts_fmt("%s/checkpoint", there->bundle_dir) : ts_fmt("%s/checkpoints/%s", there->bundle_dir, m->checkpoint),
                &m->r->bytes.memory, err) < 0)
                return -1;
        m->tracked = ts_predump_possible(m);
        return m->tracked ? add_earlier(m, there, err) : 0;
}

/* What lies below another directory that travels, here and there, travels with it. */
static bool travels_with(const struct ts_data *d, const struct ts_data *other)
{
        size_t here = strlen(other->src_path), there = strlen(other->dst_path);

        return d != other && ts_starts(d->src_path, other->src_path) && d->src_path[here] == '/' &&
               ts_starts(d->dst_path, other->dst_path) && !strcmp(d->src_path + here, d->dst_path + there);
}

static bool is_ours(const struct ts_data *d)
{
        return d->mode != TS_DATA_SHARED;
}

static bool travels_alone(const struct ts_mig *m, const struct ts_data *d)
{
        for (size_t i = 0; i < m->n_data; i++)
                if (is_ours(&m->data[i]) && travels_with(d, &m->data[i]))
                        return false;
        return is_ours(d);
}

/* A single file: of the directory that it is in nothing else travels. */
static int add_file(struct ts_mig *m, const struct ts_data *d, struct ts_err *err)
{
        ts_auto_free char *from = ts_strdup0(d->src_file), *to = ts_strdup0(d->dst_path);
        char *name = from ? strrchr(from, '/') : NULL, *as = to ? strrchr(to, '/') : NULL;

        if (!name || !as || !name[1] || !as[1])
                return ts_err_set(err, TS_EPROTO, "'%s' is not the path of a file", ts_or(d->src_file, ""));
        *name++ = '\0';
        *as++ = '\0';
        if (add(m, TREE, "bind mount", ts_strdup0(*from ? from : "/"), ts_strdup0(*to ? to : "/"), &m->r->bytes.volumes, err) < 0)
                return -1;
        return ts_agent_only(m->places[m->n_places - 1].source, name, as, err);
}

static int add_data(struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; i < m->n_data; i++) {
                struct ts_data *d = &m->data[i];

                if (!travels_alone(m, d))
                        continue;
                if (d->src_file ? add_file(m, d, err) < 0
                                : add(m, TREE, d->is_volume ? "volume" : "bind mount", ts_strdup0(d->src_path), ts_strdup0(d->dst_path), &m->r->bytes.volumes, err) < 0)
                        return -1;
        }
        return 0;
}

/* The name of a file that lies in dir itself, or NULL. */
static const char *name_in(const char *dir, const char *path)
{
        size_t len = strlen(dir);

        if (!path || strncmp(path, dir, len) != 0 || path[len] != '/' || !path[len + 1] || strchr(path + len + 1, '/'))
                return NULL;
        return path + len + 1;
}

/* Older parts of the log: Docker's json-file counts them from 1 on, and may pack them. One that comes to be while the container goes on has its name already. */
static int name_rotated(struct ts_mig *m, struct ts_agent *source, const char *log, const char *there, struct ts_err *err)
{
        static const char *const ends[] = { "", ".gz" };
        const char *count = ts_json_str(ts_json_member(ts_json_get(m->c->json, "HostConfig.LogConfig.Config"), "max-file"), "", "");
        unsigned long long n = ROTATED_MIN;

        (void)ts_parse_u64(count, ROTATED_MIN, ROTATED_MAX, &n, NULL);
        for (unsigned long long i = 1; i <= n; i++)
                for (size_t k = 0; k < TS_ARRAY_LEN(ends); k++) {
                        ts_auto_free char *from = ts_fmt("%s.%llu%s", log, i, ends[k]), *to = ts_fmt("%s.%llu%s", there, i, ends[k]);

                        if (!from || !to)
                                return ts_err_set(err, TS_ENOMEM, "out of memory");
                        if (ts_agent_only(source, from, to, err) < 0)
                                return -1;
                }
        return 0;
}

/* The log so far, where the engine keeps one beside the container: it appends to it. */
static int name_log(struct ts_mig *m, const struct ts_container *there, struct ts_agent *source, struct ts_err *err)
{
        ts_auto_free char *made_up = ts_fmt("%s-json.log", there->id);
        const char *log = m->log_from ? NULL : name_in(m->bundle, m->c->log_path),
                   *log_there = name_in(there->bundle_dir, there->log_path);

        log_there = log_there ? log_there : m->engine == TS_DOCKER ? ts_or(made_up, log) : log;
        return log && (ts_agent_only(source, log, log_there, err) < 0 || name_rotated(m, source, log, log_there, err) < 0) ? -1 : 0;
}

/* What Podman's restore reads beside the images. */
static const char *const podman_files[] = { "network.status", "devshm-checkpoint.tar", "artifacts" };

static int add_files(struct ts_mig *m, const struct ts_container *there, struct ts_err *err)
{
        bool podman = ts_keeps_id(m), local = !podman && ts_streq0(m->c->log_driver, "local");
        struct ts_agent *source;

        if (!podman && !local && !name_in(m->bundle, m->c->log_path))
                return 0;
        if (add(m, TREE, "engine's files", ts_strdup0(m->bundle), ts_strdup0(there->bundle_dir), &m->r->bytes.rootfs, err) < 0)
                return -1;
        source = m->places[m->n_places - 1].source;
        for (size_t i = 0; podman && i < TS_ARRAY_LEN(podman_files); i++)
                if (ts_agent_only(source, podman_files[i], podman_files[i], err) < 0)
                        return -1;
        if (local) /* a directory of its driver's */
                return ts_agent_only(source, DOCKER_LOCAL_LOGS, DOCKER_LOCAL_LOGS, err);
        return name_log(m, there, source, err);
}

/* The engine may have made a working directory or the like when it created the container. */
static int empty(struct ts_end *e, const char *dir, struct ts_err *err)
{
        const char *const argv[] = { "find", dir, "-xdev", "-mindepth", "1", "-delete", NULL };

        return ts_host_check(e->host, argv, &ts_slow_run, NULL, err);
}

/* All of it but the data: what there is of a container that the target's engine has made. */
static int add_container(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *there = NULL;

        if (ts_api_inspect(m->dst.api, m->dst_id, &there, err) < 0)
                return -1;
        if (!m->c->upper_dir || !there->upper_dir || !there->bundle_dir)
                return ts_err_set(err, TS_EENGINE, "the engine does not say where the container's files are");
        free(m->target_bundle);
        m->target_bundle = ts_strdup0(there->bundle_dir);
        if (!m->target_bundle)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (empty(&m->dst, there->upper_dir, err) < 0)
                return -1;
        if (m->o->shared_dir && ts_images_share(m, there->bundle_dir, err) < 0)
                return -1;
        if (m->strategy != TS_COLD && !m->o->shared_dir && add_dump(m, there, err) < 0)
                return -1;
        return add(m, TREE, "root file system", ts_strdup0(m->c->upper_dir), ts_strdup0(there->upper_dir), &m->r->bytes.rootfs, err) < 0
                       ? -1
                       : add_files(m, there, err);
}

int ts_places_open(struct ts_mig *m, struct ts_err *err)
{
        if (m->o->bandwidth && !m->rate)
                m->rate = ts_rate_new(m->o->bandwidth);
        m->places = calloc(m->n_data + 3, sizeof(*m->places));
        if (!m->places || (m->o->bandwidth && !m->rate))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (m->strategy != TS_ARCHIVE && add_container(m, err) < 0)
                return -1;
        return add_data(m, err);
}

/* $1 migration. Only what runs the agent's program as root's, and was started for it. */
static const char end_agents_script[] =
        "for f in $(grep -lsaF -- \"$1\" /proc/[0-9]*/cmdline); do d=${f%/cmdline}; "
        "case $(readlink \"$d/exe\") in /var/lib/tranship/agent/*) ;; *) continue;; esac; "
        "case $(tr '\\0' ' ' <\"$f\") in *\" for $1 \") kill \"${d#/proc/}\" 2>/dev/null;; esac; done; exit 0";

void ts_agents_end(struct ts_mig *m, struct ts_end *e)
{
        const char *const argv[] = { "/bin/sh", "-c", end_agents_script, "sh", m->id, NULL };

        if (e->host)
                (void)ts_host_check(e->host, argv, NULL, NULL, NULL);
}

void ts_places_close(struct ts_mig *m)
{
        for (size_t i = 0; i < m->n_places; i++) {
                struct ts_place *p = &m->places[i];

                if (p->ship)
                        ts_ship_free(TS_TAKE(p->ship));
                if (p->source)
                        ts_agent_stop(p->source);
                if (p->target)
                        ts_agent_stop(p->target);
        }
        for (size_t i = 0; i < m->n_places; i++) {
                struct ts_place *p = &m->places[i];

                if (p->source)
                        ts_agent_free(p->source);
                if (p->target)
                        ts_agent_free(p->target);
                free(p->from);
                free(p->to);
        }
        free(m->places);
        m->places = NULL;
        m->n_places = 0;
}

void ts_places_hurry(struct ts_mig *m)
{
        unsigned ms = m->o->reconnect_timeout_ms < FROZEN_PATIENCE_MS ? m->o->reconnect_timeout_ms : FROZEN_PATIENCE_MS;

        for (size_t i = 0; i < m->n_places; i++) {
                ts_agent_patience(m->places[i].source, ms);
                ts_agent_patience(m->places[i].target, ms);
        }
}

/* ---- rounds ---- */

/* They went with a connection: nothing of the container is on its way any more. */
static int no_places(struct ts_err *err)
{
        return ts_err_set(err, TS_ECONNECT, "the connection to a host was lost, and with it what was on its way");
}

int ts_dump_ship(struct ts_mig *m, const char *name, struct ts_err *err)
{
        struct ts_place *p = m->places;

        if (!m->n_places)
                return no_places(err);
        return ts_ship_begin(p->source, p->target, name, STALL_MS, &p->ship, err);
}

static void tick(void *ctx)
{
        struct ts_mig *m = ctx;
        uint64_t sum = 0;

        for (size_t i = 0; i < m->n_places; i++)
                sum += m->places[i].ship ? ts_ship_bytes(m->places[i].ship) : 0;
        (void)ts_mig_progress(m, sum);
}

static int wait_for(struct ts_mig *m, struct ts_place *p, struct ts_ship_stats *ret, struct ts_err *err)
{
        int rc = ts_ship_wait(p->ship, tick, m, ret, err);

        if (rc == 0) {
                if (p->kind == DUMP)
                        m->r->pages = (struct ts_report_pages){ ret->pages, ret->sent, ret->same + ret->copied, ret->zero };
                if (ret->unset)
                        ts_mig_warn(m,
                                    "%llu files of %s '%s' are on the target without the "
                                    "attributes that chattr had given them: the file system there "
                                    "does not take them",
                                    (unsigned long long)ret->unset, p->what, p->from);
                *p->bytes += ret->bytes;
                m->phase_bytes += ret->bytes;
        }
        ts_ship_free(TS_TAKE(p->ship));
        return rc < 0 ? ts_err_prefix(err, "%s '%s'", p->what, p->from) : 0;
}

int ts_dump_drop(struct ts_mig *m, struct ts_err *err)
{
        struct ts_ship_stats sent = { 0 };

        if (!m->n_places || m->places[0].kind != DUMP || !m->places[0].ship)
                return 0;
        ts_ship_end(m->places[0].ship, TS_SHIP_PAGES);
        return wait_for(m, &m->places[0], &sent, err);
}

/* Of an archive only the data, which does not ride in it; there may be none. */
static bool should_have_places(const struct ts_mig *m)
{
        bool some = m->strategy != TS_ARCHIVE;

        for (size_t i = 0; i < m->n_data; i++)
                some |= is_ours(&m->data[i]);
        return some;
}

int ts_places_begin(struct ts_mig *m, bool final, struct ts_err *err)
{
        if (!m->n_places)
                return should_have_places(m) ? no_places(err) : 0;
        m->progress_what = "memory and files";
        m->progress_total = 0;
        for (size_t i = 0; i < m->n_places; i++) {
                struct ts_place *p = &m->places[i];

                if (p->kind == TREE && ts_ship_begin_tree(p->source, p->target, STALL_MS, &p->ship, err) < 0)
                        return ts_err_prefix(err, "%s '%s'", p->what, p->from);
                if (p->ship)
                        ts_ship_end(p->ship, final ? TS_SHIP_FINAL : m->tracked ? TS_SHIP_EARLIER : TS_SHIP_PAGES);
        }
        return 0;
}

int ts_places_wait(struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; i < m->n_places; i++) {
                struct ts_ship_stats sent = { 0 };

                if (m->places[i].ship && wait_for(m, &m->places[i], &sent, err) < 0)
                        return -1;
        }
        return 0;
}
