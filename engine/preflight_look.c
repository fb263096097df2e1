/* Preflight looks at both sides: everything the checks compare is fetched here, the two sides in threads of their own, first from the engine, then from the host.
 * Reads only; judges nothing. */
#include "engine/lock.h"
#include "engine/preflight.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRIU_CONF "/etc/criu/runc.conf"
#define DOCKER_NETWORKS "network/files/local-kv.db" /* below Docker's root */

static int absent_is_fine(int rc, struct ts_err *why, struct ts_err *err)
{
        if (rc == 0 || why->code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, why);
        return -1;
}

/* ---- from the engine ---- */
static int look_networks(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        const struct ts_container *c = p->m->c;

        v->used = calloc(c->n_networks + 1, sizeof(struct ts_network *));
        if (!v->used)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        v->n_used = c->n_networks;
        for (size_t i = 0; i < c->n_networks; i++) {
                ts_auto_err why = TS_ERR_INIT;

                if (absent_is_fine(ts_api_network(v->e->api, c->networks[i].name, &v->used[i], &why), &why, err) < 0)
                        return ts_err_prefix(err, "network '%s'", c->networks[i].name);
        }
        return 0;
}

static int look_volumes(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        const struct ts_mig *m = p->m;

        v->volumes = calloc(m->n_data + 1, sizeof(struct ts_volume *));
        if (!v->volumes)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        v->n_volumes = m->n_data;
        for (size_t i = 0; i < m->n_data; i++) {
                ts_auto_err why = TS_ERR_INIT;

                if (m->data[i].is_volume &&
                    absent_is_fine(ts_api_volume(v->e->api, m->data[i].mount->name, &v->volumes[i], &why), &why, err) < 0)
                        return ts_err_prefix(err, "volume '%s'", m->data[i].mount->name);
        }
        return 0;
}

static int add_dependent(struct ts_view *v, const struct ts_container *other, const struct ts_container *c, struct ts_err *err)
{
        for (size_t i = 0; i < other->dependencies.n; i++)
                if (ts_streq0(other->dependencies.v[i], c->id) || ts_streq0(other->dependencies.v[i], c->name))
                        return ts_list_add(&v->dependents, other->name, err);
        return 0;
}

/* Only a dependent knows of whom it depends. */
static int look_dependents(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < v->containers.n; i++) {
                ts_auto(ts_container) struct ts_container *other = NULL;
                ts_auto_err why = TS_ERR_INIT;

                if (ts_streq0(v->containers.v[i].id, c->id) || v->containers.v[i].unreadable)
                        continue;
                if (ts_api_inspect(v->e->api, v->containers.v[i].id, &other, &why) < 0 && (why.code == TS_EPROTO || why.code == TS_ELIMIT)) {
                        v->containers.v[i].unreadable = ts_strdup0(ts_err_message(&why));
                        continue;
                }
                if (absent_is_fine(other ? 0 : -1, &why, err) < 0)
                        return ts_err_prefix(err, "container '%s'", ts_or(v->containers.v[i].name, ""));
                if (other && add_dependent(v, other, c, err) < 0)
                        return -1;
        }
        return 0;
}

static int look_target_image(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        const struct ts_container *c = p->m->c;
        ts_auto_err why = TS_ERR_INIT;

        if (c->image_id && absent_is_fine(ts_api_image(v->e->api, c->image_id, &v->by_id, &why), &why, err) < 0)
                return -1;
        ts_err_clear(&why);
        return c->image_name && *c->image_name ? absent_is_fine(ts_api_image(v->e->api, c->image_name, &v->by_name, &why), &why, err) : 0;
}

static int look_engine(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        if (ts_api_list(v->e->api, &v->containers, err) < 0 || look_volumes(p, v, err) < 0)
                return -1;
        if (v == &p->src)
                return look_dependents(p, v, err);
        return look_target_image(p, v, err) < 0 || look_networks(p, v, err) < 0 || ts_api_networks(v->e->api, &v->networks, err) < 0 ? -1
                                                                                                                                     : 0;
}

/* ---- from the host ---- */
static const char *criu_conf(const struct ts_container *c)
{
        const char *own = ts_json_str(ts_json_member(ts_json_get(c->json, "HostConfig.Annotations"), "org.criu.config"), "", NULL);

        return own && ts_data_sayable(own) ? own : CRIU_CONF;
}

static int ask_source(struct ts_preflight *p, struct ts_err *err)
{
        const struct ts_container *c = p->m->c;
        struct ts_facts *f = &p->src.facts;
        ts_auto_free char *pid = ts_fmt("%lld", (long long)c->pid);
        ts_auto_free char *lock = ts_lock_path(c->id);
        const char *unit = ts_container_label(c, "PODMAN_SYSTEMD_UNIT");

        if (!pid || !lock)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (c->pid > 0 && ts_facts_ask(f, c->pid_mode && !strcmp(c->pid_mode, "host") ? "hostpid" : "pid", pid, err) < 0)
                return -1;
        for (size_t i = 0; i < p->m->n_data; i++)
                if (!p->m->data[i].is_volume && ts_facts_ask(f, "path", p->m->data[i].src_path, err) < 0)
                        return -1;
        for (size_t i = 0; i < c->n_mounts; i++)
                if (ts_streq0(c->mounts[i].type, "bind") && c->mounts[i].source &&
                    ts_facts_ask(f, "leaf", c->mounts[i].source, err) < 0)
                        return -1;
        if (c->pod && *c->pod && ts_facts_ask(f, "pod", c->pod, err) < 0)
                return -1;
        return ts_facts_ask(f, "lock", lock, err) < 0 || (unit && ts_facts_ask(f, "unit", unit, err) < 0) ? -1 : 0;
}

static int ask_parents(struct ts_preflight *p, struct ts_facts *f, struct ts_err *err)
{
        for (size_t i = 0; i < p->src.n_used; i++)
                if (p->src.used[i] && p->src.used[i]->parent && ts_facts_ask(f, "link", p->src.used[i]->parent, err) < 0)
                        return -1;
        return 0;
}

static int ask_target(struct ts_preflight *p, struct ts_err *err)
{
        const struct ts_container *c = p->m->c;
        const struct ts_json *secrets = ts_json_get(c->json, "Config.Secrets");
        struct ts_facts *f = &p->dst.facts;

        for (size_t i = 0; i < c->n_mounts; i++)
                if (ts_streq0(c->mounts[i].type, "bind") && c->mounts[i].source && (ts_facts_ask(f, "path", c->mounts[i].source, err) < 0 || ts_facts_ask(f, "leaf", c->mounts[i].source, err) < 0))
                        return -1;
        for (size_t i = 0; i < ts_json_len(secrets); i++)
                if (ts_facts_ask(f, "secret", ts_json_str(ts_json_at(secrets, i), "Name", ""), err) < 0)
                        return -1;
        for (size_t i = 0; i < c->n_networks; i++)
                if (c->networks[i].ip && *c->networks[i].ip &&
                    ts_facts_ask(f, "neigh", c->networks[i].ip, err) < 0)
                        return -1;
        return ask_parents(p, f, err);
}

/* A host that could not look at the processes (no room for one more, a container that was started
 * anew in that moment) has not said that nothing stands in the way. */
static bool looked(const struct ts_preflight *p, const struct ts_view *v)
{
        return v != &p->src || p->m->c->state != TS_STATE_RUNNING || p->m->strategy == TS_COLD ||
               !ts_fact_is(&v->facts, "uid", "0") || ts_fact_is(&v->facts, "looked", "yes");
}

static int fetch_facts(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        const struct ts_mig *m = p->m;
        struct ts_facts_opts o = { .criu_conf = criu_conf(m->c), .criu = m->strategy != TS_COLD };

        if (ts_api_kind(v->e->api) == TS_PODMAN)
                o.podman = m->o->podman && *m->o->podman ? m->o->podman : "podman";
        for (int tries = 0; tries < 2; tries++) {
                ts_list_clear(&v->facts.lines);
                if (ts_facts_fetch(&v->facts, v->e->host, &o, err) < 0)
                        return -1;
                if (looked(p, v))
                        return 0;
        }
        return ts_err_set(err, TS_ECONFLICT,
                          "the processes of '%s' could not be looked at; the first is %lld, its engine says",
                          m->c->name, (long long)m->c->pid);
}

/* Docker does not tell whether a network was made with a subnet of its user's, and takes a
 * container's address only there; its own records say it. */
static int ask_plain(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        for (size_t i = 0; v == &p->dst && v->e->info->kind == TS_DOCKER && i < v->n_used; i++) {
                ts_auto_free char *value = v->used[i] ? ts_plain_question(v, v->used[i]) : NULL;

                if (value && ts_facts_ask(&v->facts, "plain", value, err) < 0)
                        return -1;
        }
        return 0;
}

const char *ts_shared_at(const struct ts_preflight *p, const struct ts_view *v, size_t i)
{
        const struct ts_data *d = &p->m->data[i];

        if (d->mode != TS_DATA_SHARED)
                return NULL;
        if (v == &p->src || !d->is_volume)
                return d->src_path;
        return i < v->n_volumes && v->volumes[i] ? v->volumes[i]->mountpoint : NULL;
}

const char *ts_written_at(const struct ts_preflight *p, size_t i)
{
        const struct ts_data *d = &p->m->data[i];

        if (!d->is_volume)
                return d->mode == TS_DATA_COPY ? d->src_path : NULL;
        return d->mode == TS_DATA_REPLACE && i < p->dst.n_volumes && p->dst.volumes[i]
                       ? p->dst.volumes[i]->mountpoint
                       : NULL;
}

/* Which device and inode number it is there: what the user calls shared may be mounted under
 * another device number, or be another directory of that name. */
static int ask_shared(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        for (size_t i = 0; i < p->m->n_data; i++) {
                const char *path = ts_shared_at(p, v, i);

                if (path && ts_facts_ask(&v->facts, "ino", path, err) < 0)
                        return -1;
        }
        return ts_shared_ask(p, v, err);
}

/* What is made there, or put aside. */
static int ask_writable(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        for (size_t i = 0; v == &p->dst && i < p->m->n_data; i++) {
                const char *path = ts_written_at(p, i);

                if (path && ts_facts_ask(&v->facts, "write", path, err) < 0)
                        return -1;
        }
        return 0;
}

/* Where root's files of ours will be, on both hosts. */
static int ask_own(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        const struct ts_move_opts *o = p->m->o;

        for (size_t i = 0; i < TS_OWN_DIRS; i++)
                if (ts_facts_ask(&v->facts, "own", ts_own_dir_at(p->m, i), err) < 0)
                        return -1;
        return o->shared_dir ? ts_facts_ask(&v->facts, "sticky", o->shared_dir, err) : 0;
}

/* ---- both at once ---- */
struct looker {
        struct ts_preflight *p;
        struct ts_view *v;
        struct ts_err err;
        int rc;
        pthread_t thread;
        bool started;
};

static void *look_thread(void *arg)
{
        struct looker *l = arg;

        l->rc = look_engine(l->p, l->v, &l->err);
        if (l->rc == 0)
                l->rc = ask_plain(l->p, l->v, &l->err);
        if (l->rc == 0)
                l->rc = ask_shared(l->p, l->v, &l->err);
        if (l->rc == 0)
                l->rc = ask_writable(l->p, l->v, &l->err);
        if (l->rc == 0)
                l->rc = fetch_facts(l->p, l->v, &l->err);
        if (l->rc < 0)
                ts_err_prefix(&l->err, "looking at '%s'", ts_view_name(l->v));
        return NULL;
}

static int look_both(struct ts_preflight *p, struct ts_err *err)
{
        struct looker both[2] = { { .p = p, .v = &p->src, .err = TS_ERR_INIT }, { .p = p, .v = &p->dst, .err = TS_ERR_INIT } };
        int rc = 0;

        both[0].started = pthread_create(&both[0].thread, NULL, look_thread, &both[0]) == 0;
        (void)look_thread(&both[1]);
        if (both[0].started)
                (void)pthread_join(both[0].thread, NULL);
        else
                (void)look_thread(&both[0]);
        for (size_t i = 0; i < TS_ARRAY_LEN(both); i++) {
                if (both[i].rc < 0 && rc == 0) {
                        ts_err_move(err, &both[i].err);
                        rc = -1;
                }
                ts_err_clear(&both[i].err);
        }
        return rc;
}

char *ts_plain_question(const struct ts_view *v, const struct ts_network *n)
{
        return n->id && v->e->info->graph_root
                       ? ts_fmt("%s/" DOCKER_NETWORKS ":%s", v->e->info->graph_root, n->id)
                       : NULL;
}

int ts_preflight_look(struct ts_preflight *p, struct ts_err *err)
{
        p->criu_conf = criu_conf(p->m->c);
        if (look_networks(p, &p->src, err) < 0) /* the target is asked about them */
                return -1;
        for (size_t i = 0; i < 2; i++) {
                struct ts_view *v = i ? &p->dst : &p->src;

                if (v->e->info->graph_root && ts_facts_ask(&v->facts, "ino", v->e->info->graph_root, err) < 0)
                        return -1;
                if (ask_own(p, v, err) < 0)
                        return -1;
        }
        if (ask_source(p, err) < 0 || ask_target(p, err) < 0 || ts_space_ask(p, err) < 0 ||
            look_both(p, err) < 0 || ts_log_look(p, err) < 0)
                return -1;
        p->m->image_on_target = p->dst.by_id != NULL;
        return 0;
}

static void view_clear(struct ts_view *v)
{
        for (size_t i = 0; i < v->n_used; i++)
                ts_network_free(v->used[i]);
        for (size_t i = 0; i < v->n_volumes; i++)
                ts_volume_free(v->volumes[i]);
        free(v->used);
        free(v->volumes);
        ts_networks_clear(&v->networks);
        ts_briefs_clear(&v->containers);
        ts_image_free(v->by_id);
        ts_image_free(v->by_name);
        ts_list_clear(&v->dependents);
        ts_facts_clear(&v->facts);
}

void ts_preflight_clear(struct ts_preflight *p)
{
        free(TS_TAKE(p->log_said));
        view_clear(&p->src);
        view_clear(&p->dst);
}

bool ts_preflight_same_net(const struct ts_preflight *p)
{
        const char *boot = ts_fact(&p->src.facts, "boot", 0), *netns = ts_fact(&p->src.facts, "netns", 0);

        return boot && *boot && netns && *netns && ts_fact_is(&p->dst.facts, "boot", boot) && ts_fact_is(&p->dst.facts, "netns", netns);
}
