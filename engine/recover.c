/* recover: from a journal back to a migration, then the same settle() a failed move uses. Also status. */
#include "engine/claims.h"
#include "engine/decide.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include "engine/mirror.h"
#include "base/io.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_PROBE "none" /* recover --verify none: that it runs is enough */

static char *journal_dir(const char *state_dir)
{
        ts_auto_free char *state = state_dir ? ts_strdup0(state_dir) : ts_state_dir();

        return ts_fmt("%s/journal", ts_or(state, "/var/lib/tranship"));
}

#define KEEP_DAYS 90 /* what is over, for people who ask what happened */

void ts_journals_tidy(const char *state_dir)
{
        ts_auto_free char *dir = journal_dir(state_dir);

        if (dir)
                ts_journal_prune(dir, KEEP_DAYS);
}

struct ts_json *ts_mig_options_json(const struct ts_mig *m)
{
        struct ts_json *o = ts_json_object();
        struct ts_json *volumes = ts_json_array();

        for (size_t i = 0; i < m->n_data; i++)
                if (m->data[i].is_volume && m->data[i].only_user && m->data[i].mode != TS_DATA_SHARED)
                        (void)ts_json_append(volumes, ts_json_new_str(m->data[i].mount->name));
        (void)ts_json_set_str(o, "engine", ts_engine_kind_str(m->engine));
        (void)ts_json_set_bool(o, "keep_source", m->o->keep_source);
        (void)ts_json_set_bool(o, "shared_writable", m->shared_writable);
        (void)ts_json_set_bool(o, "keep_on_verify_failure", m->o->on_verify_failure == TS_VERIFY_KEEP);
        (void)ts_json_set_str(o, "bundle", m->bundle);
        (void)ts_json_set_str(o, "source_identity", m->src.identity);
        (void)ts_json_set_str(o, "target_identity", m->dst.identity);
        (void)ts_json_set_str(o, "checkpoint", m->checkpoint);
        (void)ts_json_set_str(o, "image", m->c ? m->c->image_name : NULL);
        (void)ts_json_set_str(o, "verify", m->o->verify);
        (void)ts_json_set_bool(o, "marked", true);
        (void)ts_json_set_str(o, "restored_at", m->c ? m->c->restored_at : NULL);
        (void)ts_json_set(o, "source_volumes", volumes);
        return o;
}

/* The container on the target, by the journal. One that was made there is removed only with its label; what only the other host says of its ID is not even looked for. */
static bool names_target(const struct ts_mig *m, const struct ts_res *r)
{
        return r->side == TS_SIDE_TARGET && r->id && !m->dst_id && (!m->adopted || ts_keeps_id(m) || (!r->claimed && ts_is_engine_id(r->id)));
}

static void take_resource(struct ts_mig *m, const struct ts_res *r)
{
        struct ts_end *e = ts_mig_end(m, r->side);

        if (ts_undo_refused(m, r)) /* told when it comes to that */
                return;
        if (r->kind == TS_RES_CONTAINER && names_target(m, r))
                m->dst_id = ts_strdup0(r->id);
        else if (r->kind == TS_RES_POLICY && !m->policy)
                m->policy = ts_strdup0(r->before);
        else if (r->kind == TS_RES_STAGING && !e->staging)
                e->staging = ts_strdup0(r->name);
        else if (r->kind == TS_RES_SERVICE && r->state == TS_RES_MADE && !e->service) {
                e->service = ts_strdup0(r->name);
                e->service_id = ts_strdup0(r->id);
        }
}

/* Journals from before in place was Podman's, too, have no "engine". */
enum ts_engine_kind ts_journal_engine(const struct ts_journal *j)
{
        const struct ts_journal_head *head = ts_journal_head(j);
        const char *engine = ts_json_str(head->options, "engine", NULL);

        if (engine)
                return ts_streq0(engine, ts_engine_kind_str(TS_PODMAN)) ? TS_PODMAN : TS_DOCKER;
        return ts_streq0(head->strategy, ts_strategy_str(TS_ARCHIVE)) ? TS_PODMAN : TS_DOCKER;
}

/* For one who has to choose among several. What a copy says of the engines is shown, and nothing
 * else. */
char *ts_journal_describe(const struct ts_journal *j)
{
        const struct ts_journal_head *head = ts_journal_head(j);

        return ts_fmt("%s: '%s', %s, from %s to %s, %s", head->id, head->container_name,
                      ts_engine_kind_str(ts_journal_engine(j)), ts_or(head->source, "?"),
                      ts_or(head->target, "?"), ts_stage_str(ts_journal_stage(j)));
}

/* The journal knows no other words than these (journal_record.c). */
static int take_strategy(struct ts_mig *m, const struct ts_journal_head *head, struct ts_err *err)
{
        static const enum ts_strategy strategies[] = { TS_ARCHIVE, TS_IN_PLACE, TS_COLD };
        size_t i = 0;

        while (i < TS_ARRAY_LEN(strategies) && !ts_streq0(head->strategy, ts_strategy_str(strategies[i])))
                i++;
        if (i == TS_ARRAY_LEN(strategies))
                return ts_err_set(err, TS_EPROTO, "the journal of %s does not say how the container was moved", head->id);
        m->strategy = strategies[i];
        m->engine = ts_journal_engine(m->j);
        return 0;
}

/* The command line's probe, or the journal's. That of a copy is somebody else's word: it is asked only where it can do no harm, and otherwise has to be given again, if it will be wanted. */
static int take_verify(struct ts_mig *m, const struct ts_journal_head *head, struct ts_err *err)
{
        bool given = m->o->verify && *m->o->verify;
        const char *text = given ? m->o->verify : ts_json_str(head->options, "verify", NULL);
        enum ts_stage stage = ts_journal_stage(m->j);
        ts_auto_free char *shown = NULL;

        if (!text || !*text || ts_streq0(text, NO_PROBE))
                return 0;
        if (ts_probe_parse(text, &m->verify, err) < 0)
                return given ? -1 : ts_err_prefix(err, "journal of %s", head->id);
        if (given || !m->adopted || ts_probe_is_tame(m->verify, m->dst.ep->host))
                return 0;
        ts_probe_free(TS_TAKE(m->verify));
        if (stage < TS_STAGE_RESTORE_SENT || stage >= TS_STAGE_TARGET_FENCED)
                return 0;
        shown = ts_printable(text, strlen(text), 200);
        ts_err_set(err, TS_EREFUSED, "the move was to be verified with '%s', says the copy of its journal on a host: what a host says is not run, and nobody but the target is asked for it", ts_or(shown, "?"));
        return ts_err_hint(err, "give the probe yourself, as you know it: tranship recover %s --verify PROBE (or none)", head->id);
}

/* A copy does not say whom to dial: the command line does, or did when the copy was taken over. */
static int take_endpoints(struct ts_mig *m, const struct ts_journal_head *head, const char *from, const char *to, struct ts_err *err)
{
        const struct ts_adoption *a = ts_journal_adoption(m->j);

        if (!from)
                from = a ? a->from : head->source;
        if (!to)
                to = a ? a->to : head->target;
        if (!from || !to) {
                ts_err_set(err, TS_EUSAGE, "the journal of %s came from a host, which does not say whom to connect to", head->id);
                return ts_err_hint(err, "give both --from ENGINE and --to ENGINE");
        }
        if (ts_endpoint_parse(from, &m->src.ep, err) < 0 || ts_endpoint_parse(to, &m->dst.ep, err) < 0)
                return ts_err_prefix(err, "journal of %s", head->id);
        /* A host's name alone: of its two engines the migration's. Only a choice between two sockets:
         * whether that one knows the container is seen then. */
        for (size_t i = 0; i < 2; i++) {
                struct ts_endpoint *ep = i ? m->dst.ep : m->src.ep;

                if (!ep->socket && !ep->prefer)
                        ep->prefer = (int)m->engine;
        }
        return 0;
}

int ts_mig_from_journal(struct ts_mig *m, const char *from, const char *to, struct ts_err *err)
{
        const struct ts_journal_head *head = ts_journal_head(m->j);
        const struct ts_adoption *a = ts_journal_adoption(m->j);
        const struct ts_json *o = head->options;

        m->recovering = true;
        m->src.side = TS_SIDE_SOURCE;
        m->dst.side = TS_SIDE_TARGET;
        m->id = ts_strdup0(head->id);
        m->label = ts_fmt("tranship.migration=%s", head->id);
        m->adopted = a != NULL;
        for (size_t i = 0; a && i < TS_ARRAY_LEN(m->vouched); i++)
                m->vouched[i] = a->records[i] >= 0;
        m->checkpoint = a ? ts_fmt("tranship-%s", head->id) : ts_strdup0(ts_json_str(o, "checkpoint", NULL));
        m->bundle = a ? ts_strdup0("") : ts_strdup0(ts_json_str(o, "bundle", NULL)); /* as the engine says, when it is asked (observe.c) */
        m->lock_path = ts_lock_path(head->container_id);
        if (take_strategy(m, head, err) < 0)
                return -1;
        m->shared_writable = ts_json_bool(o, "shared_writable", false);
        m->marked = ts_json_bool(o, "marked", false);
        m->committed = ts_journal_stage(m->j) >= TS_STAGE_COMMITTED;
        m->src.identity = ts_strdup0(ts_json_str(o, "source_identity", NULL));
        m->dst.identity = ts_strdup0(ts_json_str(o, "target_identity", NULL));
        if (!m->bundle || (!a && m->bundle[0] != '/') || !m->checkpoint || !m->src.identity || !m->dst.identity)
                return ts_err_set(err, TS_EPROTO, "the journal of %s does not say what recovery needs", head->id);
        if (take_endpoints(m, head, from, to, err) < 0 || take_verify(m, head, err) < 0)
                return -1;
        for (size_t i = 0; i < ts_journal_res_count(m->j); i++)
                take_resource(m, ts_journal_res(m->j, i));
        return 0;
}

bool ts_migration_over(const struct ts_journal *j)
{
        return ts_journal_stage(j) == TS_STAGE_DONE || (ts_journal_stage(j) == TS_STAGE_ROLLED_BACK && !ts_undo_pending(j));
}

/* The one that is not final; more than one: the user chooses. */
static int find_open_journal(const char *dir, char **ret, struct ts_err *err)
{
        ts_auto_list ids = TS_LIST_INIT;
        ts_auto_free char *found = NULL;
        ts_auto_str all = TS_STR_INIT;
        ts_auto_err unreadable = TS_ERR_INIT;
        size_t n = 0;

        if (ts_journal_ids(dir, &ids, err) < 0)
                return -1;
        for (size_t i = 0; i < ids.n; i++) {
                ts_auto(ts_journal) struct ts_journal *j = NULL;
                ts_auto_free char *what = NULL;

                /* One damaged file must not keep the others from being recovered. */
                if (ts_journal_read(dir, ids.v[i], &j, ts_err_is_set(&unreadable) ? NULL : &unreadable) < 0 || ts_migration_over(j))
                        continue;
                what = ts_journal_describe(j);
                if (n++ == 0)
                        found = ts_strdup0(ids.v[i]);
                if (ts_str_addf(&all, err, "%s%s", all.len ? "; " : "", ts_or(what, ids.v[i])) < 0)
                        return -1;
        }
        if (n > 1) {
                ts_err_set(err, TS_EUSAGE, "several migrations are open: %s", ts_str_cstr(&all));
                return ts_err_hint(err,
                                   "name one: tranship recover ID (tranship status lists them)");
        }
        if (!found && ts_err_is_set(&unreadable)) {
                ts_err_move(err, &unreadable);
                return -1;
        }
        if (ts_err_is_set(&unreadable))
                ts_log(TS_LOG_WARNING, "%s", ts_err_message(&unreadable));
        if (!found) {
                ts_err_set(err, TS_ENOTFOUND, "nothing to recover: no migration is open here");
                return ts_err_hint(err, "one that was begun on another machine: tranship recover --container NAME --from ENGINE --to ENGINE");
        }
        *ret = TS_TAKE(found);
        return 0;
}

/* It came from hosts, which may know more by now, or that it is over: then what is here was only a
 * copy, and goes. Where one of them does not answer it is followed as it is. */
static int adopt_again(struct ts_mig *m, const struct ts_recover_opts *o, const char *dir,
                       struct ts_err *err)
{
        const struct ts_adoption *a = ts_journal_adoption(m->j);
        ts_auto_free char *id = ts_strdup0(ts_journal_head(m->j)->id), *from = NULL, *to = NULL,
                          *lock = ts_lock_path(ts_journal_head(m->j)->container_id);
        struct ts_recover_opts with = *o;
        ts_auto_err why = TS_ERR_INIT;
        bool over = ts_migration_over(m->j);

        with.id = id;
        with.from = from = ts_strdup0(ts_or(o->from, a->from));
        with.to = to = ts_strdup0(ts_or(o->to, a->to));
        if (over && !(o->from && o->to))
                return 0;
        ts_journal_free(TS_TAKE(m->j));
        if (ts_adopt(m, &with, dir, &m->j, &why) == 0)
                return 0;
        if (why.code != TS_ENOTFOUND && why.code != TS_ECONNECT) {
                ts_err_move(err, &why);
                return -1;
        }
        if (ts_journal_open(dir, id, &m->j, err) < 0)
                return -1;
        if (over || why.code != TS_ENOTFOUND || !lock || !ts_adopt_ended(&with, lock))
                return 0;
        ts_journal_forget(m->j);
        ts_journal_free(TS_TAKE(m->j));
        return ts_err_set(err, TS_ENOTFOUND,
                          "migration %s was ended from another machine: neither host has a copy of "
                          "its journal any more, nor its lock; it is not open here any more, either",
                          id);
}

/* A journal that is here goes before what hosts say; one that came from them is compared with what they have now, where they are named. */
static int open_journal(struct ts_mig *m, const struct ts_recover_opts *o, struct ts_err *err)
{
        ts_auto_free char *dir = journal_dir(o->move.state_dir);
        ts_auto_free char *found = NULL;
        ts_auto_err local = TS_ERR_INIT;

        if (!dir)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (o->id && ts_journal_open(dir, o->id, &m->j, &local) == 0)
                return ts_journal_adoption(m->j) ? adopt_again(m, o, dir, err) : 0;
        if (o->id && (local.code != TS_ENOTFOUND || (!o->from && !o->to))) {
                ts_err_move(err, &local);
                return -1;
        }
        if (o->id || o->container)
                return ts_adopt(m, o, dir, &m->j, err);
        if (find_open_journal(dir, &found, err) < 0 || ts_journal_open(dir, found, &m->j, err) < 0)
                return -1;
        return ts_journal_adoption(m->j) ? adopt_again(m, o, dir, err) : 0;
}

/* A person's words: the target will never run it; start afresh from the files. */
static int persons_word(struct ts_mig *m, const struct ts_recover_opts *o, struct ts_err *err)
{
        enum ts_stage stage = ts_journal_stage(m->j);

        if (o->target_is_dead && stage >= TS_STAGE_COMMITTED)
                return ts_err_set(err, TS_EUSAGE, "migration %s is committed: the container belongs to the target", m->id);
        if (o->target_is_dead && m->shared_writable && stage >= TS_STAGE_RESTORE_SENT && stage < TS_STAGE_TARGET_FENCED)
                return ts_err_set(err, TS_EREFUSED, "both hosts write one directory, and the target may have run: the source's memory may not fit what is there now");
        if (o->target_is_dead && stage < TS_STAGE_TARGET_FENCED) {
                struct ts_json *by = ts_json_object();

                (void)ts_json_set_str(by, "by", "a person: --target-is-dead");
                return ts_journal_set_stage(m->j, TS_STAGE_TARGET_FENCED, by, err);
        }
        return 0;
}

/* It runs without it: what there was of its memory is of no use any more. */
static void drop_memory(struct ts_mig *m)
{
        const char *id = ts_journal_head(m->j)->container_id;
        ts_auto_err failed = TS_ERR_INIT;

        for (size_t i = 0; i < ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = ts_journal_res(m->j, i);
                const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", r->name, NULL };
                ts_auto_err err = TS_ERR_INIT;

                if (ts_undo_refused(m, r))
                        continue;
                if (r->kind == TS_RES_LINK && r->side == TS_SIDE_SOURCE && ts_unlink_checkpoints(m, &m->src, r, &err) < 0)
                        ts_mig_leftover(m, "link '%s' on the source: %s", r->name, ts_err_message(&err));
                if (r->kind == TS_RES_DUMP_DIR && strstr(r->name, m->id) && ts_host_check(m->src.host, argv, &ts_slow_run, NULL, &err) < 0)
                        ts_mig_leftover(m, "directory '%s' on the source: %s", r->name, ts_err_message(&err));
        }
        if (ts_keeps_id(m))
                ts_drop_source_images(m);
        else if (m->strategy != TS_COLD &&
                 ts_api_checkpoint_delete(m->src.api, id, m->checkpoint, &failed) < 0 &&
                 failed.code != TS_ENOTFOUND)
                ts_mig_leftover(m, "checkpoint '%s' on the source: %s", m->checkpoint,
                                ts_err_message(&failed));
}

/* It did not start: what was to go at once stays, until recover is told so again. */
static void tell_memory(struct ts_mig *m)
{
        for (size_t i = 0; i < ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = ts_journal_res(m->j, i);

                if (r->kind == TS_RES_DUMP_DIR && !ts_undo_refused(m, r))
                        ts_mig_leftover(m, TS_MEMORY_LEFT, r->name);
        }
}

static int start_afresh(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *now = NULL;
        ts_auto_err failed = TS_ERR_INIT;

        if (ts_api_inspect(m->src.api, ts_journal_head(m->j)->container_id, &now, err) < 0)
                return -1;
        if (now->state != TS_STATE_EXITED || ts_ran_since(m, now))
                return ts_err_set(err, TS_EREFUSED, "the container is not as migration %s left it", m->id);
        ts_mig_note(m, "starting '%s' afresh on the source: what was only in its memory is lost", ts_journal_head(m->j)->container_name);
        if (ts_fault("cold", "before", err) < 0 || ts_mig_decides(m, err) < 0 || ts_api_start(m->src.api, now->id, err) < 0) {
                tell_memory(m);
                return -1;
        }
        drop_memory(m);
        if (ts_predump_was_made(m) && ts_predump_remove(&m->src, m->bundle, &failed) < 0)
                ts_mig_leftover(m, "pre-dump of the source in '%s': %s", m->bundle, ts_err_message(&failed));
        return m->policy ? ts_set_policy(m->src.api, now->id, m->policy, err) : 0;
}

/* Only where the decision was "lost", and only what this migration left stopped: anything else has a life of its own by now. The end of the migration gave its lock back: it is taken once more, or another
 * one may have begun to move what is started here. */
static int cold_start(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err failed = TS_ERR_INIT;
        int rc;

        if (!ts_json_bool(ts_journal_detail(m->j, TS_STAGE_ROLLED_BACK), "lost", false))
                return ts_err_set(err, TS_EREFUSED, "migration %s did not lose the container's memory: there is nothing to start afresh", m->id);
        if (ts_end_reconnect(m, &m->src, err) < 0 || ts_mig_hold(m, err) < 0)
                return -1;
        rc = start_afresh(m, err);
        if (ts_mig_let_go(m, &failed) < 0)
                ts_mig_leftover(m, "lock '%s' on the source: %s", m->lock_path, ts_err_message(&failed));
        return rc;
}

/* What the move was told and the clean-up and the decisions need again: the journal's word, not this command line's. */
static void take_options(struct ts_move_opts *move, const struct ts_json *o)
{
        move->keep_source = ts_json_bool(o, "keep_source", false);
        if (ts_json_bool(o, "keep_on_verify_failure", false)) /* a person may say so now, too */
                move->on_verify_failure = TS_VERIFY_KEEP;
}

static enum ts_outcome recover(struct ts_mig *m, const struct ts_recover_opts *o, struct ts_move_opts *move, struct ts_err *err)
{
        const struct ts_journal_head *head;
        enum ts_outcome outcome;

        if (open_journal(m, o, err) < 0 || ts_mig_from_journal(m, o->from, o->to, err) < 0 || persons_word(m, o, err) < 0)
                return m->person ? TS_OUT_UNKNOWN : TS_OUT_REFUSED;
        head = ts_journal_head(m->j);
        take_options(move, head->options);
        m->memory_may_go = o->cold_start;
        m->r->id = ts_strdup0(head->id);
        m->r->container_name = ts_strdup0(head->container_name);
        m->r->source_id = ts_strdup0(head->container_id);
        m->r->strategy = ts_strdup0(head->strategy);
        m->r->transfer = ts_strdup0(head->transfer);
        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_BEGIN, .text = head->container_name });
        ts_end_connect(m, &m->src, NULL); /* an end that does not answer is for settle to wait for */
        ts_end_connect(m, &m->dst, NULL);
        if (ts_adopted_check(m, err) < 0)
                return TS_OUT_UNKNOWN;
        if (ts_journal_stage(m->j) != TS_STAGE_DONE && ts_journal_stage(m->j) != TS_STAGE_ROLLED_BACK)
                ts_mirrors_start(m);
        outcome = ts_settle(m, err);
        if (o->cold_start && (outcome == TS_OUT_LOST || outcome == TS_OUT_ROLLED_BACK)) {
                ts_err_clear(err);
                return cold_start(m, err) < 0 ? TS_OUT_REFUSED : TS_OUT_ROLLED_BACK;
        }
        if (outcome == TS_OUT_ROLLED_BACK)
                ts_err_clear(err);
        return outcome;
}

int ts_recover(const struct ts_recover_opts *o, struct ts_report *report)
{
        struct ts_move_opts move = o->move;
        struct ts_findings none = { NULL, 0 };
        struct ts_mig m = { .o = &move, .r = report, .findings = &none, .phase = "recover" };
        ts_auto_err err = TS_ERR_INIT;
        char now[32];

        ts_utc_now(now);
        report->t0_us = ts_now_us();
        report->started_at = ts_strdup0(now);
        report->outcome = recover(&m, o, &move, &err);
        ts_err_move(&report->error, &err);
        report->error_phase = "recover";
        report->end_us = ts_now_us();
        ts_mig_emit(&m, &(struct ts_event){ .kind = TS_EV_END, .text = ts_outcome_str(report->outcome), .ok = !ts_err_is_set(&report->error) });
        ts_mig_clear(&m);
        ts_journals_tidy(o->move.state_dir);
        /* What recover brought to its good end is success, whichever side has the container. */
        if (report->outcome == TS_OUT_ROLLED_BACK && !ts_err_is_set(&report->error) && report->leftovers.n == 0)
                return 0;
        return ts_outcome_exit_status(report->outcome, &report->error);
}

static const char *owner(enum ts_stage s)
{
        if (s >= TS_STAGE_COMMITTED)
                return "target";
        return s <= TS_STAGE_CHECKPOINTED || s == TS_STAGE_ROLLED_BACK ? "source" : "unknown";
}

int ts_status(const char *state_dir, struct ts_statuses *ret, struct ts_err *err)
{
        ts_auto_free char *dir = journal_dir(state_dir);
        ts_auto_list ids = TS_LIST_INIT;

        *ret = (struct ts_statuses){ NULL, 0 };
        if (ts_journal_ids(ts_or(dir, ""), &ids, err) < 0)
                return -1;
        ret->v = calloc(ids.n + 1, sizeof(*ret->v));
        if (!ret->v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < ids.n; i++) {
                ts_auto(ts_journal) struct ts_journal *j = NULL;
                struct ts_status *s = &ret->v[ret->n];
                const struct ts_journal_head *head;

                ts_auto_err damaged = TS_ERR_INIT;

                if (ts_journal_read(dir, ids.v[i], &j, &damaged) < 0) { /* the others are worth seeing all the same */
                        *s = (struct ts_status){ .id = ts_strdup0(ids.v[i]), .container = ts_strdup0("?"), .source = ts_strdup0("?"), .target = ts_strdup0("?"),
                                                 .started_at = ts_strdup0("?"), .stage = ts_strdup0("unreadable"), .owner = "unknown", .problem = ts_strdup0(ts_err_message(&damaged)) };
                        ret->n++;
                        continue;
                }
                head = ts_journal_head(j);
                *s = (struct ts_status){ .id = ts_strdup0(head->id),
                                         .container = ts_strdup0(head->container_name),
                                         .source = ts_strdup0(head->source),
                                         .target = ts_strdup0(head->target),
                                         .started_at = ts_strdup0(head->started_at),
                                         .stage = ts_strdup0(ts_stage_str(ts_journal_stage(j))),
                                         .live = ts_journal_is_live(dir, head->id) > 0,
                                         .final = ts_migration_over(j),
                                         .owner = owner(ts_journal_stage(j)) };
                ret->n++;
        }
        return 0;
}

void ts_statuses_clear(struct ts_statuses *s)
{
        for (size_t i = 0; i < s->n; i++) {
                free(s->v[i].id);
                free(s->v[i].container);
                free(s->v[i].source);
                free(s->v[i].target);
                free(s->v[i].started_at);
                free(s->v[i].stage);
                free(s->v[i].problem);
        }
        free(s->v);
        *s = (struct ts_statuses){ NULL, 0 };
}
