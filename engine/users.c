/* Other people's things (SAFETY rule 26): who uses what travels is looked at again where it is about to be final. Before the freeze on both sides, before a source's volume is removed, and before what a
 * replaced volume held goes. Looks and says; what happens then is the caller's. */
#include "engine/mig.h"
#include "engine/preflight.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *kind_str(const struct ts_data *d)
{
        return d->is_volume ? "volume" : "bind mount";
}

static const char *name_of(const struct ts_data *d)
{
        return d->is_volume ? d->mount->name : d->src_path;
}

/* A bind mount that is shared on the source by another container's was the user's word (bind-busy); on the target nobody had what is written there. */
static int check_side(struct ts_mig *m, struct ts_end *e, const char *own, struct ts_err *err)
{
        struct ts_briefs all __attribute__((cleanup(ts_briefs_clear))) = { NULL, 0 };

        if (ts_api_list(e->api, &all, err) < 0)
                return -1;
        for (size_t i = 0; i < m->n_data; i++) {
                const struct ts_data *d = &m->data[i];
                bool source = e->side == TS_SIDE_SOURCE;
                const char *user = NULL;

                if (d->mode == TS_DATA_SHARED || (source && !d->is_volume))
                        continue;
                user = ts_data_user(&all, own, d->is_volume ? d->mount->name : NULL, source ? d->src_path : d->dst_path);
                if (!user)
                        continue;
                ts_err_set(err, TS_ECONFLICT, "%s '%s' is used by container '%s' on the %s since the move began", kind_str(d), name_of(d), user, ts_side_str(e->side));
                return ts_err_hint(err, "remove that container, and try again");
        }
        return 0;
}

/* Another move that failed may have taken back what it had made, before our container was there to use it. */
static int check_networks(struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; i < m->c->n_networks; i++) {
                ts_auto(ts_network) struct ts_network *there = NULL;
                ts_auto_err why = TS_ERR_INIT;

                if (ts_api_network(m->dst.api, m->c->networks[i].name, &there, &why) == 0)
                        continue;
                if (why.code != TS_ENOTFOUND) {
                        ts_err_move(err, &why);
                        return -1;
                }
                return ts_err_set(err, TS_ECONFLICT, "network '%s' has gone from the target since the move began", m->c->networks[i].name);
        }
        return 0;
}

int ts_users_look_again(struct ts_mig *m, struct ts_err *err)
{
        bool any = false;

        if (check_networks(m, err) < 0)
                return -1;
        for (size_t i = 0; i < m->n_data; i++)
                any |= m->data[i].mode != TS_DATA_SHARED;
        if (!any)
                return 0;
        return check_side(m, &m->src, m->c->id, err) < 0 ? -1 : check_side(m, &m->dst, m->dst_id, err);
}

char *ts_volume_user(struct ts_end *e, const char *volume, const char *but, struct ts_err *err)
{
        struct ts_briefs all __attribute__((cleanup(ts_briefs_clear))) = { NULL, 0 };
        ts_auto(ts_volume) struct ts_volume *v = NULL;

        if (ts_api_list(e->api, &all, err) < 0)
                return NULL;
        (void)ts_api_volume(e->api, volume, &v, NULL);
        return ts_strdup0(ts_data_user(&all, but, volume, v ? v->mountpoint : NULL));
}

char *ts_network_user(struct ts_end *e, const char *network, const char *but, struct ts_err *err)
{
        struct ts_briefs all __attribute__((cleanup(ts_briefs_clear))) = { NULL, 0 };

        if (ts_api_list(e->api, &all, err) < 0)
                return NULL;
        for (size_t i = 0; i < all.n; i++)
                for (size_t k = 0; !ts_streq0(all.v[i].id, but) && k < all.v[i].networks.n; k++)
                        if (!strcmp(all.v[i].networks.v[k], network))
                                return ts_strdup0(ts_or(all.v[i].name, "?"));
        return NULL;
}

/* ---- what was written since ---- */

/* $1 a file of ours on the source, whose time says when the container stopped writing, made once; $2 when the engine says that it ended; $3 its dump's last file, which is older and newer than all that the
 * container wrote, or "": none that keeps its time. */
static const char stamp_script[] = "[ -e \"$1\" ] && exit 0; : >\"$1.new\" && if [ -n \"$3\" ] && [ -e \"$3\" ]; then touch -r \"$3\" -- \"$1.new\"; else touch -d \"$2\" -- \"$1.new\"; fi && mv -T -- \"$1.new\" \"$1\"";
/* $1 directory, $2 a file whose time counts. Prints the first path in it, or itself, that changed since; "?": that file is not there any more. */
static const char since_script[] = "[ -d \"$1\" ] || exit 0; [ -e \"$2\" ] || { printf '?'; exit 0; }; "
                                   "p=$(find \"$1\" -xdev -mindepth 1 -newercm \"$2\" -print -quit) || exit 1; "
                                   "[ -n \"$p\" ] || p=$(find \"$1\" -maxdepth 0 -newercm \"$2\") && printf %s \"$p\"";

char *ts_stamp_path(const struct ts_end *e)
{
        return ts_fmt("%s/%s", ts_or(e->staging, ""), e->side == TS_SIDE_SOURCE ? "stopped" : "aside");
}

/* What changed in a directory since this side's stamp: a sentence in *ret, or NULL. */
static int changed_since(struct ts_end *e, const char *dir, const char *what, char **ret, struct ts_err *err)
{
        ts_auto_free char *stamp = ts_stamp_path(e), *changed = NULL;
        const char *const argv[] = { "/bin/sh", "-c", since_script, "sh", dir, ts_or(stamp, ""), NULL };

        if (!e->staging) /* a journal that does not have it */
                changed = ts_strdup0("?");
        else if (ts_host_check(e->host, argv, &ts_slow_run, &changed, err) < 0)
                return -1;
        if (!changed || !*changed)
                return 0;
        *ret = *changed == '?' ? ts_strdup0("it is not known any more whether somebody wrote to it since") : ts_fmt("'%s' was written %s", changed, what);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_source_stamp(struct ts_mig *m, const struct ts_container *now, struct ts_err *err)
{
        ts_auto_free char *stamp = ts_stamp_path(&m->src), *last = ts_keeps_id(m) ? ts_fmt("%s/checkpoint/inventory.img", m->bundle) : ts_strdup0("");
        const char *const argv[] = { "/bin/sh", "-c", stamp_script, "sh", stamp, ts_or(now->finished_at, ""), last, NULL };

        if (!m->src.staging || !stamp || !last || !now->finished_at || ts_starts(now->finished_at, "0001"))
                return ts_err_set(err, TS_EENGINE, "the engine does not say when the container stopped");
        return ts_host_check(m->src.host, argv, NULL, NULL, err);
}

/* Says in *ret what stands against removing it, NULL: nothing. */
int ts_source_volume_in_use(struct ts_mig *m, const char *volume, char **ret, struct ts_err *err)
{
        ts_auto(ts_volume) struct ts_volume *v = NULL;
        ts_auto_free char *user = NULL;
        ts_auto_err why = TS_ERR_INIT;

        *ret = NULL;
        if (ts_api_volume(m->src.api, volume, &v, &why) < 0) {
                if (why.code == TS_ENOTFOUND)
                        return 0;
                ts_err_move(err, &why);
                return -1;
        }

        user = ts_volume_user(&m->src, volume, ts_journal_head(m->j)->container_id, &why);
        if (user)
                *ret = ts_fmt("container '%s' uses it", user);
        if (ts_err_is_set(&why) || (user && !*ret)) {
                ts_err_move(err, &why);
                return -1;
        }
        if (user)
                return 0;
        return changed_since(&m->src, ts_or(v->mountpoint, ""), "after the container had stopped there, and is not on the target", ret, err);
}

int ts_aside_in_use(struct ts_mig *m, const char *aside, char **ret, struct ts_err *err)
{
        *ret = NULL;
        return changed_since(&m->dst, aside, "there since", ret, err);
}
