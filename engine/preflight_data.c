/* Preflight, volumes and bind mounts: the plan of what happens to each (copied, replaced on the target, shared by both hosts) from the container and the user's word, and what stands in its way. */
#include "engine/preflight.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the user's word ---- */
static const struct {
        const char *option, *word;
        enum ts_data_mode mode;
} choices[] = {
        { "--volume", "replace", TS_DATA_REPLACE },
        { "--volume", "shared", TS_DATA_SHARED },
        { "--bind", "copy", TS_DATA_COPY },
        { "--bind", "shared", TS_DATA_SHARED },
};

int ts_data_choice_parse(const char *spec, const char *option, struct ts_data_choice *ret, struct ts_err *err)
{
        const char *eq = strrchr(spec, '=');
        bool volume = !strcmp(option, "--volume");

        for (size_t i = 0; eq && eq > spec && i < TS_ARRAY_LEN(choices); i++)
                if (!strcmp(choices[i].option, option) && !strcmp(choices[i].word, eq + 1)) {
                        ret->mode = choices[i].mode;
                        ret->name = ts_fmt("%.*s", (int)(eq - spec), spec);
                        return ret->name ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
                }
        ts_err_set(err, TS_EUSAGE, "%s '%s' is not %s", option, spec, volume ? "NAME=replace or NAME=shared" : "PATH=shared or PATH=copy");
        return ts_err_hint(err, "%s", volume ? "for example --volume db-data=replace" : "for example --bind /srv/www=copy");
}

/* "/srv/www/" is "/srv/www". */
static bool same_path(const char *a, const char *b)
{
        size_t n = strlen(ts_or(a, "")), k = strlen(ts_or(b, ""));

        while (n > 1 && a[n - 1] == '/')
                n--;
        while (k > 1 && b[k - 1] == '/')
                k--;
        return n && n == k && !memcmp(a, b, n);
}

static bool named(const struct ts_mount *mount, bool volume, const char *name)
{
        if (volume)
                return ts_streq0(mount->type, "volume") && ts_streq0(mount->name, name);
        return ts_streq0(mount->type, "bind") && (same_path(mount->source, name) || same_path(mount->destination, name));
}

/* What the user said about this mount; false: nothing. */
static bool chosen(const struct ts_mig *m, const struct ts_mount *mount, bool volume, enum ts_data_mode *ret)
{
        const struct ts_list *l = volume ? m->o->volumes : m->o->binds;
        bool found = false;

        for (size_t i = 0; l && i < l->n && !found; i++) {
                struct ts_data_choice c = { 0 };

                if (ts_data_choice_parse(l->v[i], volume ? "--volume" : "--bind", &c, NULL) < 0)
                        continue; /* refused by check_choices */
                found = named(mount, volume, c.name);
                if (found)
                        *ret = c.mode;
                free(c.name);
        }
        return found;
}

static int unknown(const struct ts_mig *m, bool volume, const char *name, struct ts_err *err)
{
        ts_auto_str has = TS_STR_INIT_MAX(400);

        for (size_t i = 0; i < m->c->n_mounts; i++) {
                const struct ts_mount *mount = &m->c->mounts[i];

                if (ts_streq0(mount->type, volume ? "volume" : "bind"))
                        (void)ts_str_addf(&has, NULL, "%s'%s'", has.len ? ", " : "", ts_or(volume ? mount->name : mount->source, "?"));
        }
        ts_err_set(err, TS_EUSAGE, "%s '%s': '%s' has no such %s", volume ? "--volume" : "--bind", name, m->c->name,
                   volume ? "volume" : "bind mount");
        return ts_err_hint(err, "it has %s", has.len ? ts_str_cstr(&has) : "none");
}

static int check_choice(const struct ts_mig *m, bool volume, const struct ts_list *l, size_t at, struct ts_err *err)
{
        const char *option = volume ? "--volume" : "--bind";
        struct ts_data_choice c = { 0 };
        bool known = false;
        int rc = 0;

        if (ts_data_choice_parse(l->v[at], option, &c, err) < 0)
                return -1;
        for (size_t i = 0; !known && i < m->c->n_mounts; i++)
                known = named(&m->c->mounts[i], volume, c.name);
        if (!known)
                rc = unknown(m, volume, c.name, err);
        for (size_t i = 0; rc == 0 && i < at; i++) {
                struct ts_data_choice earlier = { 0 };

                if (ts_data_choice_parse(l->v[i], option, &earlier, err) < 0)
                        rc = -1;
                else if (!strcmp(earlier.name, c.name) && earlier.mode != c.mode)
                        rc = ts_err_set(err, TS_EUSAGE, "%s says two things about '%s'", option, c.name);
                free(earlier.name);
        }
        free(c.name);
        return rc;
}

static int check_choices(const struct ts_mig *m, bool volume, struct ts_err *err)
{
        const struct ts_list *l = volume ? m->o->volumes : m->o->binds;

        for (size_t i = 0; l && i < l->n; i++)
                if (check_choice(m, volume, l, i, err) < 0)
                        return -1;
        return 0;
}

/* ---- the plan ---- */
bool ts_data_sayable(const char *s)
{
        if (!s || !*s)
                return false;
        for (; *s; s++)
                if (iscntrl((unsigned char)*s))
                        return false;
        return true;
}

static bool planned(const struct ts_mig *m, const struct ts_mount *mount, bool volume)
{
        for (size_t i = 0; i < m->n_data; i++)
                if (m->data[i].is_volume == volume &&
                    (volume ? ts_streq0(m->data[i].mount->name, mount->name) : same_path(m->data[i].src_path, mount->source)))
                        return true;
        return false;
}

/* A volume travels; a bind mount is shared unless the user says copy (a writable one without a word is refused: bind-undecided). */
static int plan_one(struct ts_mig *m, const struct ts_mount *mount, bool volume, struct ts_err *err)
{
        struct ts_data *d = &m->data[m->n_data];

        *d = (struct ts_data){ .mount = mount, .is_volume = volume, .mode = volume ? TS_DATA_COPY : TS_DATA_SHARED };
        (void)chosen(m, mount, volume, &d->mode);
        d->src_path = ts_strdup0(mount->source);
        d->dst_path = volume ? NULL : ts_strdup0(mount->source);
        if (mount->source && (!d->src_path || (!volume && !d->dst_path))) {
                free(d->src_path);
                free(d->dst_path);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        m->n_data++;
        return 0;
}

static void forget_plan(struct ts_mig *m)
{
        for (size_t i = 0; i < m->n_data; i++) {
                free(m->data[i].src_path);
                free(m->data[i].dst_path);
                free(m->data[i].src_file);
        }
        free(TS_TAKE(m->data));
        m->n_data = 0;
}

int ts_data_plan(struct ts_mig *m, struct ts_err *err)
{
        forget_plan(m);
        if (check_choices(m, true, err) < 0 || check_choices(m, false, err) < 0)
                return -1;
        m->data = calloc(m->c->n_mounts + 1, sizeof(*m->data));
        if (!m->data)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < m->c->n_mounts; i++) {
                const struct ts_mount *mount = &m->c->mounts[i];
                bool volume = ts_streq0(mount->type, "volume") && mount->name;

                if ((volume || (ts_streq0(mount->type, "bind") && mount->source)) && !planned(m, mount, volume) &&
                    plan_one(m, mount, volume, err) < 0)
                        return -1;
        }
        return 0;
}

bool ts_data_decided(const struct ts_mig *m, const struct ts_data *d)
{
        enum ts_data_mode mode;

        return chosen(m, d->mount, d->is_volume, &mode);
}

/* Any of the container's mounts of it, for it may be mounted twice. */
bool ts_data_writable(const struct ts_mig *m, const struct ts_data *d)
{
        for (size_t i = 0; i < m->c->n_mounts; i++) {
                const struct ts_mount *mount = &m->c->mounts[i];

                if (mount->rw && ts_streq0(mount->type, d->mount->type) &&
                    (d->is_volume ? ts_streq0(mount->name, d->mount->name) : same_path(mount->source, d->src_path)))
                        return true;
        }
        return false;
}

/* "/srv/www" holds "/srv/www" and "/srv/www/a". */
static bool holds_path(const char *outer, const char *inner)
{
        size_t n = strlen(ts_or(outer, ""));

        while (n > 1 && outer[n - 1] == '/')
                n--;
        return n > 1 && inner && !strncmp(outer, inner, n) && (inner[n] == '/' || inner[n] == '\0');
}

const char *ts_data_user(const struct ts_briefs *all, const char *but, const char *volume, const char *path)
{
        for (size_t i = 0; i < all->n; i++) {
                const struct ts_brief *b = &all->v[i];

                if (but && ts_streq0(b->id, but))
                        continue;
                for (size_t k = 0; k < b->volumes.n; k++)
                        if (volume && b->volumes.v[k][0] != '/' ? !strcmp(b->volumes.v[k], volume) : holds_path(path, b->volumes.v[k]))
                                return ts_or(b->name, "?");
        }
        return NULL;
}

/* Another container of the source that uses it: its name, or NULL. */
static const char *other_user(const struct ts_preflight *p, const struct ts_data *d)
{
        return ts_data_user(&p->src.containers, p->m->c->id, d->is_volume ? d->mount->name : NULL, d->src_path);
}

/* Nothing is replaced under a container of the target, running or not: what it writes would be gone with what was set aside. */
static void check_user_there(struct ts_preflight *p, const struct ts_data *d, const char *path)
{
        const char *user = ts_data_user(&p->dst.containers, NULL, d->is_volume ? d->mount->name : NULL, path);
        ts_auto_free char *hint = ts_remove_there(p, user);

        if (user)
                ts_find(p->m, "replace-busy", ts_or(hint, ""),
                        "%s '%s' is used by container '%s' on the target: its files there cannot be replaced", d->is_volume ? "volume" : "bind mount",
                        d->is_volume ? d->mount->name : d->src_path, user);
}

void ts_data_settle(struct ts_preflight *p)
{
        struct ts_mig *m = p->m;

        m->shared_writable = false;
        for (size_t i = 0; i < m->n_data; i++) {
                struct ts_data *d = &m->data[i];
                const char *kind = d->is_volume || !d->src_path ? NULL : ts_facts_answer(&p->src.facts, "path", d->src_path);
                bool socket = ts_streq0(kind, "socket");

                d->special = socket || ts_streq0(kind, "other");
                if (d->is_volume && p->dst.volumes[i] && !d->dst_path)
                        d->dst_path = ts_strdup0(p->dst.volumes[i]->mountpoint);
                d->only_user = d->is_volume && d->mode != TS_DATA_SHARED && !other_user(p, d); /* what is shared stays, whoever uses it */
                /* Each host has a socket of its own. */
                m->shared_writable = m->shared_writable || (d->mode == TS_DATA_SHARED &&
                                                            ts_data_writable(m, d) && !socket);
        }
}

/* ---- the checks ---- */

/* "--bind '/srv/my data=copy'": what the user is to say of it. An option takes several, with commas
 * between them (conf/settings.c). Caller frees. */
char *ts_data_say(const struct ts_data *d, const char *choice)
{
        ts_auto_free char *word = NULL;
        ts_auto_str name = TS_STR_INIT;

        for (const char *p = d->is_volume ? d->mount->name : d->src_path; *p; p++)
                if ((strchr(",\\", *p) && ts_str_adds(&name, "\\", NULL) < 0) ||
                    ts_str_add(&name, p, 1, NULL) < 0)
                        return NULL;
        word = ts_shell_word("%s=%s", ts_str_cstr(&name), choice);
        return word ? ts_fmt("%s %s", d->is_volume ? "--volume" : "--bind", word) : NULL;
}

static void unsupported(struct ts_preflight *p, const struct ts_mount *mount)
{
        static const struct {
                const char *type, *what, *hint;
        } kinds[] = {
                { "overlay", "an overlay (:O), whose changes the engine throws away when the container stops", "create the container without :O, on a volume with a copy of the files" },
                { "subpath", "a part of a volume (subpath), which the engine does not find again at a restore", "create the container with a volume of its own for it" },
                { "image", "the content of another image, which the engine mounts anew at every start", "create the container without it, or with a volume that holds a copy" },
        };
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < TS_ARRAY_LEN(kinds); i++)
                if (!strcmp(kinds[i].type, mount->type)) {
                        ts_find(p->m, "mount-unsupported", kinds[i].hint, "'%s' in '%s' is %s%s%s%s", ts_or(mount->destination, "?"), c->name, kinds[i].what,
                                mount->name ? " (volume '" : "", ts_or(mount->name, ""), mount->name ? "')" : "");
                        return;
                }
        ts_find(p->m, "mount-unsupported", "create the container without it", "'%s' in '%s' is a mount of type '%s', which does not come along",
                ts_or(mount->destination, "?"), c->name, mount->type);
}

/* Podman lists an image that is mounted twice: as such, and as the overlay over it. */
static bool listed_before(const struct ts_container *c, size_t at)
{
        for (size_t i = 0; i < at; i++)
                if (ts_streq0(c->mounts[i].destination, c->mounts[at].destination))
                        return true;
        return false;
}

void ts_check_mounts(struct ts_preflight *p)
{
        static const char *const known[] = { "volume", "bind", "tmpfs", "devpts", "proc", "sysfs", "mqueue", "" };
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < c->n_mounts; i++) {
                const struct ts_mount *mount = &c->mounts[i];
                bool is_known = false, data = ts_streq0(mount->type, "volume") || ts_streq0(mount->type, "bind");

                for (size_t k = 0; k < TS_ARRAY_LEN(known); k++)
                        is_known = is_known || !strcmp(ts_or(mount->type, ""), known[k]);
                if (!is_known && !listed_before(c, i))
                        unsupported(p, mount);
                else if (data && !ts_data_sayable(mount->source))
                        ts_find(p->m, "mount-unsupported", "rename it", "the path behind '%s' in '%s' is empty or holds control characters",
                                ts_or(mount->destination, "?"), c->name);
        }
}

/* A volume that the engine mounts for as long as a container runs: what it holds is not there any more when the last round reads it, and a copy could go over the network onto itself. NULL: it is a directory. */
static const char *mounted_from(const struct ts_volume *v)
{
        const struct ts_json *options = v ? ts_json_get(v->json, "Options") : NULL;
        const char *device = ts_json_str(options, "device", ts_json_str(options, "DEVICE", "")), *type = ts_json_str(options, "type", ts_json_str(options, "TYPE", ""));

        return *device ? device : *type ? type : NULL;
}

static void check_driver(struct ts_preflight *p, const struct ts_data *d, const struct ts_volume *here, const struct ts_volume *there)
{
        const char *driver = here && here->driver ? here->driver : ts_or(d->mount->driver, "local"), *from = mounted_from(here);

        ts_auto_free char *shared = ts_data_say(d, "shared");
        ts_auto_free char *hint =
                ts_fmt("create the volume on the target and say %s (the same data)",
                       ts_or(shared, ""));

        if (d->mode == TS_DATA_SHARED && there)
                return; /* it is there, and the user said what it is */
        if (*driver && strcmp(driver, "local") != 0)
                ts_find(p->m, "volume-driver", ts_or(hint, ""),
                        "volume '%s' has the driver '%s': its content is there only while a container uses it, and tranship cannot know that the target has it", d->mount->name, driver);
        else if (from)
                ts_find(p->m, "volume-driver", ts_or(hint, ""),
                        "volume '%s' is mounted from '%s' while a container uses it: it cannot be copied from one that has stopped, and a copy could be one onto itself", d->mount->name, from);
}

static void check_volume(struct ts_preflight *p, const struct ts_data *d, const struct ts_volume *here, const struct ts_volume *there)
{
        const char *user = other_user(p, d);
        ts_auto_free char *replace = ts_data_say(d, "replace"), *shared = ts_data_say(d, "shared");
        const char *has = there ? ts_data_user(&p->dst.containers, NULL, d->mount->name,
                                               there->mountpoint)
                                : NULL;
        ts_auto_free char *first = has ? ts_remove_there(p, has) : NULL;
        ts_auto_free char *of = has ? ts_fmt(", which container '%s' uses", has) : NULL;
        ts_auto_free char *exists =
                ts_fmt("%s%ssay %s (its content there is replaced) or %s (both hosts "
                       "see the same data)%s",
                       ts_or(first, ""), first ? "   ·   then " : "", ts_or(replace, ""),
                       ts_or(shared, ""), first ? "" : ", or remove it there");
        bool unnamed = d->mount->anonymous; /* nobody could say what to do with it */
        ts_auto_free char *called =
                unnamed ? ts_fmt("the unnamed volume at '%s'", ts_or(d->mount->destination, "?"))
                        : ts_fmt("volume '%s'", d->mount->name);
        ts_auto_free char *busy =
                ts_fmt("move or remove the other container first%s%s",
                       unnamed ? ""
                               : ", or put the volume on storage that both hosts mount and say ",
                       unnamed ? "" : ts_or(shared, ""));

        if (there && d->mode == TS_DATA_COPY)
                ts_find(p->m, "volume-exists", ts_or(exists, ""),
                        "the target has a volume '%s'%s", d->mount->name, ts_or(of, ""));
        if (there && d->mode == TS_DATA_REPLACE)
                check_user_there(p, d, there->mountpoint);
        if (!there && d->mode == TS_DATA_SHARED)
                ts_find(p->m, "volume-missing", "create it there on the same data, or leave --volume away to have it copied",
                        "volume '%s' is said to be shared, but the target has none", d->mount->name);
        if (user && d->mode != TS_DATA_SHARED)
                ts_find(p->m, "volume-busy", ts_or(busy, ""),
                        "%s is also used by container '%s' on the source", ts_or(called, ""), user);
        check_driver(p, d, here, there);
}

static void check_writable(struct ts_preflight *p, size_t i)
{
        const char *path = ts_written_at(p, i),
                   *said = ts_or(ts_facts_answer(&p->dst.facts, "write", path), "");

        if (path && ts_starts(said, "no "))
                ts_find(p->m, "target-unwritable",
                        "take the attribute off there (chattr -i), or mount it for writing",
                        "'%s' on the target cannot be written to: it is immutable, or mounted "
                        "read-only",
                        said + strlen("no "));
}

void ts_check_volumes(struct ts_preflight *p)
{
        for (size_t i = 0; i < p->m->n_data; i++)
                check_writable(p, i);
        for (size_t i = 0; i < p->m->n_data; i++)
                if (p->m->data[i].is_volume)
                        check_volume(p, &p->m->data[i], p->src.volumes[i], p->dst.volumes[i]);
}

/* Nothing is copied over what is there: an empty directory takes a directory. */
static bool in_the_way(const struct ts_preflight *p, const struct ts_data *d)
{
        const char *there = ts_or(ts_facts_answer(&p->dst.facts, "path", d->src_path), ""),
                   *here = ts_or(ts_facts_answer(&p->src.facts, "path", d->src_path), "");

        return ts_streq0(ts_facts_answer(&p->dst.facts, "leaf", d->src_path), "link") ||
               (strcmp(there, "missing") != 0 && (strcmp(there, "empty") != 0 || !strcmp(here, "file")));
}

static void check_copy(struct ts_preflight *p, const struct ts_data *d)
{
        const char *there = ts_or(ts_facts_answer(&p->dst.facts, "path", d->src_path), ""),
                   *here = ts_or(ts_facts_answer(&p->src.facts, "path", d->src_path), "");
        const char *user = other_user(p, d);
        ts_auto_free char *shared = ts_data_say(d, "shared");
        ts_auto_free char *too = ts_fmt("say %s if the target has it too", ts_or(shared, ""));
        ts_auto_free char *link =
                ts_fmt("remove the link there, or say %s if both hosts see the same "
                       "files",
                       ts_or(shared, ""));
        ts_auto_free char *away =
                ts_fmt("move it away there, or say %s if both hosts see the same files",
                       ts_or(shared, ""));

        if (d->special || !strcmp(here, "missing"))
                ts_find(p->m, "mount-unsupported", ts_or(too, ""),
                        "'%s' on the source is %s and cannot be copied", d->src_path, *here == 'm' ? "gone" : "a socket or device");
        if (ts_streq0(ts_facts_answer(&p->dst.facts, "leaf", d->src_path), "link"))
                ts_find(p->m, "bind-exists", ts_or(link, ""),
                        "'%s' is to be copied, but is a symbolic link on the target", d->src_path);
        else if (in_the_way(p, d))
                ts_find(p->m, "bind-exists", ts_or(away, ""),
                        "'%s' is to be copied, but is on the target already%s", d->src_path, *there ? "" : " (or could not be looked at)");
        if (user)
                ts_find(p->m, "bind-busy", "make sure the other container no longer writes there",
                        "'%s' is also mounted by container '%s' on the source", d->src_path, user);
        check_user_there(p, d, d->src_path);
}

static void check_bind(struct ts_preflight *p, const struct ts_data *d)
{
        const char *there = ts_or(ts_facts_answer(&p->dst.facts, "path", d->src_path), "missing");
        ts_auto_free char *shared = ts_data_say(d, "shared"), *copy = ts_data_say(d, "copy");
        ts_auto_free char *hint =
                d->special ? ts_fmt("a socket or device cannot be copied: say %s if the target has "
                                    "its like there",
                                    ts_or(shared, ""))
                           : ts_fmt("say %s (both hosts see the same files, as with NFS) or %s%s",
                                    ts_or(shared, ""),
                                    in_the_way(p, d) ? "move what is there on the target already away first, and say " : "",
                                    ts_or(copy, ""));
        ts_auto_free char *missing =
                ts_fmt("make it there with the same content, or say %s", ts_or(copy, ""));

        if (d->mode == TS_DATA_COPY) {
                check_copy(p, d);
                return;
        }
        if (ts_data_writable(p->m, d) && !ts_data_decided(p->m, d)) {
                ts_find(p->m, "bind-undecided", hint, "'%s' writes to '%s' of its host", p->m->c->name, d->src_path);
                return;
        }
        if (!strcmp(there, "missing"))
                ts_find(p->m, "bind-missing", ts_or(missing, ""),
                        "'%s', mounted at '%s', is not on the target", d->src_path, ts_or(d->mount->destination, "?"));
}

/* CRIU mounts what is at the path itself, and a link cannot be mounted: the restore fails, and so does
 * the way back on a host that has the link. Links further up are followed. */
static void check_link(struct ts_preflight *p, const char *path)
{
        bool here = ts_streq0(ts_facts_answer(&p->src.facts, "leaf", path), "link"),
             there = ts_streq0(ts_facts_answer(&p->dst.facts, "leaf", path), "link");

        if (here || there)
                ts_find(p->m, "bind-link",
                        "create it with the path that the link leads to (readlink -f), or move with "
                        "--cold",
                        "the bind mount '%s' of '%s' is a symbolic link on %s: CRIU cannot restore it "
                        "there",
                        path, p->m->c->name,
                        here && there ? "both hosts"
                        : here        ? "the source"
                                      : "the target");
}

void ts_check_bind_links(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < c->n_mounts; i++)
                if (ts_streq0(c->mounts[i].type, "bind") && c->mounts[i].source)
                        check_link(p, c->mounts[i].source);
}

void ts_check_binds(struct ts_preflight *p)
{
        for (size_t i = 0; i < p->m->n_data; i++)
                if (!p->m->data[i].is_volume && p->m->data[i].src_path)
                        check_bind(p, &p->m->data[i]);
}
