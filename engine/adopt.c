/* recover from another machine: finds the journal's copies on the two hosts, and makes one of them a journal of this machine that is known to be a claim (claims.h). Decides which migration is meant and whether the two
 * hosts say the same; what may then be done, and whether the engines bear it out, is decided elsewhere. Everything here was written by somebody else. */
#include "base/io.h"
#include "engine/claims.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include "engine/mirror.h"
#include <stdlib.h>
#include <string.h>

#define SHOWN 160 /* of a record */
#define TAIL 3    /* records of each copy that are shown where they part */

struct asked { /* one host */
        enum ts_side side;
        struct ts_host *host; /* NULL: it does not answer */
        int kind; /* of the engine that the command line names there, as far as the name tells; or 0
                   */
        struct ts_mirror_copies copies;
        struct ts_err why;
};

static void asked_clear(struct asked a[2])
{
        for (size_t i = 0; i < 2; i++) {
                ts_mirror_copies_clear(&a[i].copies);
                ts_host_free(a[i].host);
                ts_err_clear(&a[i].why);
        }
}

/* Only those that the command line names: a copy makes nobody dial. */
static void reach(struct asked *a, const struct ts_recover_opts *o)
{
        ts_auto(ts_endpoint) struct ts_endpoint *ep = NULL;
        struct ts_ssh_opts ssh = o->move.ssh;

        if (ts_endpoint_parse(a->side == TS_SIDE_SOURCE ? o->from : o->to, &ep, &a->why) < 0)
                return;
        a->kind = ep->prefer;
        if (ep->socket && strstr(ep->socket, "podman"))
                a->kind = TS_PODMAN;
        else if (ep->socket && strstr(ep->socket, "docker"))
                a->kind = TS_DOCKER;
        if (!ssh.identity)
                ssh.identity = ep->identity;
        if (ep->remote)
                (void)ts_host_ssh(ep->user, ep->host, ep->port, &ssh, &a->host, &a->why);
        else
                (void)ts_host_local(&a->host, &a->why);
}

static void fetch(struct asked *a, const char *key, bool take)
{
        ts_mirror_copies_clear(&a->copies);
        if (a->host && ts_mirror_fetch(a->host, NULL, key, a->side, take, &a->copies, &a->why) < 0)
                ts_mirror_copies_clear(&a->copies);
}

static const struct ts_mirror_copy *copy_of(const struct asked *a, const char *id)
{
        for (size_t i = 0; i < a->copies.n; i++)
                if (strcmp(a->copies.v[i].id, id) == 0)
                        return &a->copies.v[i];
        return NULL;
}

static const char *who_has(const struct asked a[2], const char *id)
{
        bool source = copy_of(&a[0], id), target = copy_of(&a[1], id);

        return source && target ? "on both hosts" : source ? "on the source alone" : "on the target alone";
}

/* ---- which migration ---- */

/* OTHER: open, but of the engine that the command line does not mean. */
enum { OPEN, OVER, OTHER, KINDS };

struct choice {
        struct found {
                char *newest;
                size_t n;
                bool podman, docker;
                struct ts_str list;
        } of[KINDS];
        struct ts_err unreadable;
};

static void choice_clear(struct choice *c)
{
        for (size_t i = 0; i < KINDS; i++) {
                free(c->of[i].newest);
                ts_str_clear(&c->of[i].list);
        }
        ts_err_clear(&c->unreadable);
}

static int found(struct found *f, const struct ts_journal *j, const char *id, const char *where,
                 struct ts_err *err)
{
        ts_auto_free char *what = ts_journal_describe(j);

        f->n++;
        *(ts_journal_engine(j) == TS_PODMAN ? &f->podman : &f->docker) = true;
        if (!f->newest || strcmp(id, f->newest) > 0) {
                free(f->newest);
                f->newest = ts_strdup0(id);
        }
        return ts_str_addf(&f->list, err, "%s%s (%s)", f->list.len ? "; " : "", ts_or(what, id),
                           where);
}

static int consider(struct choice *c, int want, const struct asked a[2],
                    const struct ts_mirror_copy *copy, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = NULL;
        ts_auto_err why = TS_ERR_INIT;
        bool other, over;

        if (ts_journal_from_text(ts_str_cstr(&copy->text), copy->text.len, &j, &why) < 0) {
                if (!ts_err_is_set(&c->unreadable)) {
                        ts_err_move(&c->unreadable, &why);
                        (void)ts_err_prefix(&c->unreadable, "the copy of the journal %.64s %s",
                                            copy->id, who_has(a, copy->id));
                }
                return 0;
        }
        over = ts_migration_over(j);
        other = want && (int)ts_journal_engine(j) != want;
        return over && other ? 0
                             : found(&c->of[over ? OVER : other ? OTHER : OPEN], j, copy->id,
                                     who_has(a, copy->id), err);
}

static int consider_all(struct choice *c, int want, const struct asked a[2], struct ts_err *err)
{
        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < a[i].copies.n; k++) {
                        const struct ts_mirror_copy *copy = &a[i].copies.v[k];

                        if (!(i == 1 && copy_of(&a[0], copy->id)) &&
                            consider(c, want, a, copy, err) < 0)
                                return -1;
                }
        return 0;
}

/* By a container's name alone: the user may have named the hosts the wrong way round, or the other
 * engine there. */
static int open_elsewhere(struct asked a[2], const struct choice *c,
                          const struct ts_recover_opts *o, struct ts_err *err)
{
        struct asked back[2] = { { .side = TS_SIDE_SOURCE, .host = a[1].host },
                                 { .side = TS_SIDE_TARGET, .host = a[0].host } };
        struct choice there = { .unreadable = TS_ERR_INIT };
        ts_auto_free char *from = ts_shell_word("%s", o->to), *to = ts_shell_word("%s", o->from);
        int rc = 0;

        if (c->of[OTHER].n) {
                ts_err_set(err, TS_EUSAGE, "the open migration of '%s' is of the other engine: %s",
                           o->container, ts_str_cstr(&c->of[OTHER].list));
                return ts_err_hint(err,
                                   "name it, and its engines: tranship recover %s --from ENGINE "
                                   "--to ENGINE",
                                   c->of[OTHER].n == 1 ? c->of[OTHER].newest : "ID");
        }
        for (size_t i = 0; i < 2; i++)
                fetch(&back[i], o->container, /* take= */ false);
        if (consider_all(&there, 0, back, NULL) == 0 && there.of[OPEN].n) {
                rc = ts_err_set(err, TS_EUSAGE, "the open migration of '%s' went the other way: %s",
                                o->container, ts_str_cstr(&there.of[OPEN].list));
                (void)ts_err_hint(err, "tranship recover %s --from %s --to %s",
                                  there.of[OPEN].n == 1 ? there.of[OPEN].newest : "ID",
                                  ts_or(from, "ENGINE"), ts_or(to, "ENGINE"));
        }
        for (size_t i = 0; i < 2; i++) {
                ts_mirror_copies_clear(&back[i].copies);
                ts_err_clear(&back[i].why);
        }
        choice_clear(&there);
        return rc;
}

static int none(const struct asked a[2], const char *key, struct ts_err *err)
{
        const struct ts_err *why = ts_err_is_set(&a[0].why) ? &a[0].why : &a[1].why;

        return ts_err_is_set(why) ? ts_err_set(err, why->code, "%s", ts_err_message(why))
                                  : ts_err_set(err, TS_ENOTFOUND,
                                               "neither host has a journal of '%s'", key);
}

/* The only one that is open; more than one, and the user chooses: a copy that somebody made up must
 * not hide the real one by a higher ID, and one name may be of a container of each engine. */
static int pick(struct ts_mig *m, struct asked a[2], struct choice *c,
                const struct ts_recover_opts *o, char **ret, struct ts_err *err)
{
        const char *key = o->id ? o->id : o->container;
        struct found *f = &c->of[c->of[OPEN].n ? OPEN : OVER];

        if (!o->id && f != &c->of[OPEN] && open_elsewhere(a, c, o, err) < 0)
                return -1;
        if (f->n > 1 && (f == &c->of[OPEN] || (f->podman && f->docker))) {
                ts_err_set(err, TS_EUSAGE, "several migrations of '%s' are %s: %s", key,
                           f == &c->of[OPEN] ? "open" : "over", ts_str_cstr(&f->list));
                return ts_err_hint(
                        err,
                        "name the one you know of: tranship recover ID --from ENGINE --to ENGINE");
        }
        if (!f->newest && ts_err_is_set(&c->unreadable)) {
                ts_err_move(err, &c->unreadable);
                return -1;
        }
        if (!f->newest)
                return none(a, key, err);
        if (ts_err_is_set(&c->unreadable))
                ts_mig_warn(m, "%s", ts_err_message(&c->unreadable));
        *ret = TS_TAKE(f->newest);
        return 0;
}

static int choose(struct ts_mig *m, struct asked a[2], const struct ts_recover_opts *o, char **ret,
                  struct ts_err *err)
{
        struct choice c = { .unreadable = TS_ERR_INIT };
        int want = o->id ? 0 : a[0].kind ? a[0].kind : a[1].kind;
        int rc = consider_all(&c, want, a, err) < 0 ? -1 : pick(m, a, &c, o, ret, err);

        choice_clear(&c);
        return rc;
}

/* ---- do they say the same? ---- */

static void show(struct ts_mig *m, const char *where, const char *text)
{
        for (unsigned n = 0; n < TAIL && *text; n++) {
                size_t len = strcspn(text, "\n");
                ts_auto_free char *line = ts_printable(text, len, SHOWN);

                ts_mig_warn(m, "the copy on the %s goes on with: %s", where, ts_or(line, "?"));
                text += len + (text[len] == '\n');
        }
        if (!*text)
                ts_mig_warn(m, "the copy on the %s ends there", where);
}

#define BEFORE 40 /* of what they have in common, in a long record */

/* Where they part, from the beginning of a record if that is not too far. */
static void show_difference(struct ts_mig *m, const char *a, const char *b)
{
        size_t at = 0, line = 0;

        for (; a[at] && a[at] == b[at]; at++)
                if (a[at] == '\n')
                        line = at + 1;
        if (at - line > SHOWN - BEFORE)
                line = at - BEFORE;
        show(m, "source", a + line);
        show(m, "target", b + line);
}

static int conflict(struct ts_mig *m, const char *id, struct ts_err *err)
{
        m->person = true;
        ts_err_set(err, TS_ECONFLICT, "the two hosts' copies of the journal of %s tell different stories: a person has to know which is true", id);
        return ts_err_hint(err,
                           "look at %s/%s.source… and %s.target… on the hosts: with the true one alone in both "
                           "places (as ID.source, ID.target, and no ID.….taken beside it) recover goes on; or "
                           "look at the container on both, and end by hand what is wrong",
                           TS_MIRROR_DIR, id, id);
}

static int read_copies(struct ts_mig *m, struct asked a[2], const char *id, struct ts_journal *ret[2], struct ts_err *err)
{
        for (size_t i = 0; i < 2; i++) {
                const struct ts_mirror_copy *c = copy_of(&a[i], id);

                if (!c)
                        continue;
                if (c->differs)
                        return conflict(m, id, err);
                if (ts_journal_from_text(ts_str_cstr(&c->text), c->text.len, &ret[i], err) < 0)
                        return ts_err_prefix(err, "the copy of the journal on the %s", ts_side_str(a[i].side));
        }
        return 0;
}

static int merge(struct ts_mig *m, const struct ts_recover_opts *o, const char *dir, const char *id, struct ts_journal *const at[2], struct ts_journal **ret, struct ts_err *err)
{
        struct ts_adoption how = { .records = { -1, -1 }, .from = (char *)(uintptr_t)o->from, .to = (char *)(uintptr_t)o->to };
        const struct ts_journal *longest = NULL;

        for (size_t i = 0; i < 2; i++) {
                if (!at[i])
                        continue;
                how.records[i] = ts_journal_records(at[i]);
                how.stage[i] = ts_journal_stage(at[i]);
                if (!longest || how.records[i] > ts_journal_records(longest))
                        longest = at[i];
        }
        if (at[0] && at[1] && !ts_starts(ts_journal_text(longest), ts_journal_text(longest == at[0] ? at[1] : at[0]))) {
                show_difference(m, ts_journal_text(at[0]), ts_journal_text(at[1]));
                return conflict(m, id, err);
        }
        if (!longest)
                return ts_err_set(err, TS_ENOTFOUND, "neither host has the journal of '%s' any more", id);
        if (ts_journal_adopt(dir, ts_journal_text(longest), strlen(ts_journal_text(longest)), &how, ret, err) == 0)
                return 0;
        m->person = err && err->code == TS_ECONFLICT && strstr(ts_err_message(err), "different stories");
        return -1;
}

int ts_adopt(struct ts_mig *m, const struct ts_recover_opts *o, const char *dir, struct ts_journal **ret, struct ts_err *err)
{
        struct asked a[2] = { { .side = TS_SIDE_SOURCE, .why = TS_ERR_INIT }, { .side = TS_SIDE_TARGET, .why = TS_ERR_INIT } };
        struct ts_journal *at[2] = { NULL, NULL };
        const char *key = o->id ? o->id : ts_or(o->container, "");
        ts_auto_free char *id = NULL;
        int rc;

        if (!o->from || !o->to) {
                ts_err_set(err, TS_EUSAGE, "there is no journal of '%s' on this machine: its copies are looked for on both hosts", key);
                return ts_err_hint(err, "give both --from ENGINE and --to ENGINE");
        }
        for (size_t i = 0; i < 2; i++) {
                reach(&a[i], o);
                fetch(&a[i], key, /* take= */ false);
                if (ts_err_is_set(&a[i].why))
                        ts_mig_warn(m, "the %s's copy of the journal: %s", ts_side_str(a[i].side), ts_err_message(&a[i].why));
        }
        rc = choose(m, a, o, &id, err);
        /* Both are taken away from a machine that may be only slow, and read once more. */
        for (size_t i = 0; rc == 0 && i < 2; i++)
                fetch(&a[i], id, /* take= */ true);
        if (rc == 0)
                rc = read_copies(m, a, id, at, err) < 0 || merge(m, o, dir, id, at, ret, err) < 0 ? -1 : 0;
        for (size_t i = 0; i < 2; i++)
                ts_journal_free(at[i]);
        asked_clear(a);
        return rc;
}

/* Whoever ends a migration removes its lock and then its copies: nothing of it is left when both
 * answer and have none. */
bool ts_adopt_ended(const struct ts_recover_opts *o, const char *lock)
{
        struct asked a[2] = { { .side = TS_SIDE_SOURCE, .why = TS_ERR_INIT },
                              { .side = TS_SIDE_TARGET, .why = TS_ERR_INIT } };
        struct ts_lock_info i = { 0 };
        ts_auto_err why = TS_ERR_INIT;
        bool ended = true;

        for (size_t k = 0; k < 2; k++) {
                reach(&a[k], o);
                fetch(&a[k], o->id, /* take= */ false);
                ended = ended && a[k].host && !ts_err_is_set(&a[k].why) && a[k].copies.n == 0;
        }
        ended = ended && (ts_lock_read(a[0].host, lock, &i, NULL, &why) == 0
                                  ? !ts_streq0(i.migration, o->id)
                                  : why.code == TS_ENOTFOUND);
        ts_lock_info_clear(&i);
        asked_clear(a);
        return ended;
}

/* ---- is it borne out? ---- */

static int stranger(struct ts_mig *m, const char *who, const char *lacks, struct ts_err *err)
{
        m->person = true;
        ts_err_set(err, TS_ECONFLICT, "the %s knows nothing of migration %s (%s): a copy of the other host is no proof", who, m->id, lacks);
        return ts_err_hint(err, "look at the container on both hosts; a copy that somebody made up is removed with: rm %s/%s.*", TS_MIRROR_DIR, m->id);
}

static bool has_lock(struct ts_mig *m)
{
        struct ts_lock_info i = { 0 };
        bool same = ts_lock_read(m->src.host, m->lock_path, &i, NULL, NULL) == 0 && ts_streq0(i.migration, m->id);

        ts_lock_info_clear(&i);
        return same;
}

int ts_adopted_check(struct ts_mig *m, struct ts_err *err)
{
        enum ts_stage stage = ts_journal_stage(m->j);
        bool may_run_there = (stage >= TS_STAGE_RESTORE_SENT && stage < TS_STAGE_TARGET_FENCED) || stage >= TS_STAGE_COMMITTED;

        if (!m->adopted || ts_migration_over(m->j))
                return 0;
        if (!m->vouched[TS_SIDE_SOURCE] && m->src.host && m->lock_path)
                m->vouched[TS_SIDE_SOURCE] = has_lock(m);
        if (!m->vouched[TS_SIDE_SOURCE] && m->src.host)
                return stranger(m, "source", "it has neither a copy of its journal nor its lock", err);
        if (!m->vouched[TS_SIDE_TARGET] && m->dst.host && may_run_there)
                return stranger(m, "target", "it has no copy of its journal", err);
        return 0;
}

const char *ts_adopted_dispute(const struct ts_mig *m, enum ts_target_seen target)
{
        const struct ts_adoption *a = m->adopted ? ts_journal_adoption(m->j) : NULL;
        enum ts_stage now = ts_journal_stage(m->j);

        if (!a || a->records[0] < 0 || a->records[1] < 0 || (now != a->stage[0] && now != a->stage[1]))
                return NULL;
        return ts_claim_dispute(a->stage[0], a->stage[1], target);
}
