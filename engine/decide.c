/* The one decision: stage of the journal × what is seen of the source × what is seen of the target → what to do next.
 *
 * A table read from the top, the first row that matches wins; three flags are applied around it in ts_decide(). Nothing here looks at the world, and nothing else
 * decides: rollback and `recover` observe, ask, act, and ask again. Why each row is as it is: docs/internals/safety.md.
 *
 * What the rows have in common:
 * - before the commit the source wins, and only a source that was seen can win: nothing is undone and nothing on the target is stopped or removed for one that does not answer;
 * - from restore-sent on the target is never fenced when there is nothing to go back to (source gone, or killed with incomplete images): it may be the last copy;
 * - a target that was asked to restore counts as running until it was fenced, whatever it looks like;
 * - newer wins: a target that worked for longer than the move takes to verify it is never stopped or removed here, whether it still runs or not; nor is anything restored over a source that ran again;
 * - after the commit the source is not removed before the target was seen to have it. */
#include "engine/decide.h"

#include "base/mem.h"

#include <string.h>

static const char *const stage_names[TS_STAGE_MAX] = {
        [TS_STAGE_BEGUN] = "begun",
        [TS_STAGE_ARMED] = "armed",
        [TS_STAGE_CHECKPOINT_SENT] = "checkpoint-sent",
        [TS_STAGE_CHECKPOINTED] = "checkpointed",
        [TS_STAGE_RESTORE_SENT] = "restore-sent",
        [TS_STAGE_RESTORE_FAILED] = "restore-failed",
        [TS_STAGE_RESTORED] = "restored",
        [TS_STAGE_VERIFY_FAILED] = "verify-failed",
        [TS_STAGE_TARGET_FENCED] = "target-fenced",
        [TS_STAGE_ROLLBACK_SENT] = "rollback-sent",
        [TS_STAGE_ROLLED_BACK] = "rolled-back",
        [TS_STAGE_COMMITTED] = "committed",
        [TS_STAGE_DONE] = "done",
};
static const char *const source_names[TS_SOURCE_MAX] = {
        [TS_SOURCE_UNREACHABLE] = "unreachable",
        [TS_SOURCE_RUNNING] = "running",
        [TS_SOURCE_MOVED_ON] = "moved-on",
        [TS_SOURCE_STOPPED_COMPLETE] = "stopped-complete",
        [TS_SOURCE_STOPPED_INCOMPLETE] = "stopped-incomplete",
        [TS_SOURCE_STOPPED_ITSELF] = "stopped-itself",
        [TS_SOURCE_GONE] = "gone",
};
static const char *const target_names[TS_TARGET_MAX] = {
        [TS_TARGET_UNREACHABLE] = "unreachable", [TS_TARGET_ABSENT] = "absent",   [TS_TARGET_CREATED] = "created",
        [TS_TARGET_RUNNING] = "running",         [TS_TARGET_STOPPED] = "stopped", [TS_TARGET_SERVING] = "serving", [TS_TARGET_SERVED] = "served",
};
static const char *const action_names[TS_ACT_MAX] = {
        [TS_ACT_NOTHING] = "nothing", [TS_ACT_UNDO] = "undo",     [TS_ACT_FENCE] = "fence",   [TS_ACT_RESTORE_SOURCE] = "restore-source",
        [TS_ACT_VERIFY] = "verify",   [TS_ACT_COMMIT] = "commit", [TS_ACT_FINISH] = "finish", [TS_ACT_WAIT] = "wait",
        [TS_ACT_PERSON] = "person",   [TS_ACT_LOST] = "lost",
};

static const char *name_of(const char *const names[], size_t n, size_t i)
{
        return i < n ? names[i] : "unknown";
}

const char *ts_stage_str(enum ts_stage s)
{
        return name_of(stage_names, TS_STAGE_MAX, (size_t)s);
}

const char *ts_source_seen_str(enum ts_source_seen s)
{
        return name_of(source_names, TS_SOURCE_MAX, (size_t)s);
}

const char *ts_target_seen_str(enum ts_target_seen t)
{
        return name_of(target_names, TS_TARGET_MAX, (size_t)t);
}

const char *ts_action_str(enum ts_action a)
{
        return name_of(action_names, TS_ACT_MAX, (size_t)a);
}

int ts_stage_parse(const char *s, enum ts_stage *ret)
{
        for (size_t i = 0; s && i < TS_STAGE_MAX; i++)
                if (strcmp(s, stage_names[i]) == 0) {
                        *ret = (enum ts_stage)i;
                        return 0;
                }
        return -1;
}

/* ---- the table ---- */

#define S(name) (1U << TS_SOURCE_##name)
#define T(name) (1U << TS_TARGET_##name)
#define ANY (~0U)
#define WORKS (T(RUNNING) | T(SERVING))
#define HELD (T(SERVING) | T(SERVED)) /* what it wrote may be nowhere else */
#define RUNS (S(RUNNING) | S(MOVED_ON))               /* somebody is served by the source now */
#define NO_WAY_BACK (S(GONE) | S(STOPPED_INCOMPLETE)) /* a rollback would end with nothing */
#define AT(name) TS_STAGE_##name, TS_STAGE_##name
#define FROM_TO(first, last) TS_STAGE_##first, TS_STAGE_##last

struct rule {
        enum ts_stage first, last; /* stages, both included */
        unsigned sources, targets; /* sets of bits */
        enum ts_action action;
        const char *why;
};

/* clang-format off */
static const struct rule rules[] = {
        /* It is over. */
        { AT(ROLLED_BACK), ANY, ANY, TS_ACT_NOTHING, "it was rolled back" },
        { AT(DONE),        ANY, ANY, TS_ACT_NOTHING, "it is done" },

        /* Before restore-sent the target cannot have been started by us. */
        { FROM_TO(BEGUN, CHECKPOINTED), S(UNREACHABLE), ANY,        TS_ACT_WAIT,   "the source does not answer, and only it can say how it is" },
        { FROM_TO(BEGUN, CHECKPOINTED), S(GONE),        WORKS,      TS_ACT_PERSON, "somebody removed the source and started what was prepared on the target: nothing else is left" },
        { FROM_TO(BEGUN, CHECKPOINTED), ANY,            WORKS,      TS_ACT_FENCE,  "somebody started what was prepared on the target: the source wins" },
        { FROM_TO(BEGUN, ARMED),        ANY,            ANY,        TS_ACT_UNDO,   "the source was not stopped yet" },
        { FROM_TO(CHECKPOINT_SENT, CHECKPOINTED), S(RUNNING),            ANY, TS_ACT_UNDO,           "the source still runs, and the target was never asked to" },
        { FROM_TO(CHECKPOINT_SENT, CHECKPOINTED), S(MOVED_ON),           ANY, TS_ACT_UNDO,           "somebody started the source again: its checkpoint is out of date" },
        { FROM_TO(CHECKPOINT_SENT, CHECKPOINTED), S(STOPPED_ITSELF),     ANY, TS_ACT_UNDO,           "the source ended by itself or was stopped by somebody, not by the checkpoint" },
        { FROM_TO(CHECKPOINT_SENT, CHECKPOINTED), S(STOPPED_COMPLETE),   ANY, TS_ACT_RESTORE_SOURCE, "the source is stopped, its images are complete, and the target was never asked to run" },
        { FROM_TO(CHECKPOINT_SENT, CHECKPOINTED), S(STOPPED_INCOMPLETE), ANY, TS_ACT_LOST,           "the source was killed by a dump whose images are not complete" },
        { FROM_TO(CHECKPOINT_SENT, CHECKPOINTED), S(GONE),               ANY, TS_ACT_UNDO,           "the source was removed by somebody: there is nothing to go back to" },

        /* From restore-sent on the target may run until it is fenced. */
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), ANY, T(UNREACHABLE), TS_ACT_WAIT, "the target does not answer and may run: without a fence nothing goes back" },
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), RUNS, HELD,          TS_ACT_PERSON, "the source runs again, and the target ran as well: each may have what the other has not" },
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), RUNS, ANY,           TS_ACT_FENCE, "the source runs: before the commit it wins" },
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), S(STOPPED_ITSELF), WORKS | T(SERVED), TS_ACT_PERSON, "the source ran again since its dump, and so did the target: each may have what the other has not" },
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), ANY, T(SERVED),      TS_ACT_PERSON, "the target ran and was stopped since: what it wrote is newer than the source" },
        { AT(RESTORE_SENT),   ANY,         WORKS,      TS_ACT_VERIFY, "the target runs and the source does not: the answer was lost, the restore was not" },
        { AT(RESTORED),       ANY,         WORKS,      TS_ACT_VERIFY, "the target was restored and runs" },
        { AT(RESTORE_FAILED), NO_WAY_BACK, WORKS,      TS_ACT_VERIFY, "the target runs although its engine said no, and there is nothing to go back to" },
        { AT(RESTORE_FAILED), ANY,         T(SERVING), TS_ACT_VERIFY, "the target runs although its engine said no, and may have for any time" },
        { AT(VERIFY_FAILED),  ANY,         T(SERVING), TS_ACT_VERIFY, "verification failed, but the target runs and may have for any time: it is asked once more" },
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), S(UNREACHABLE), ANY, TS_ACT_WAIT,   "the source does not answer: the target is left alone until there is something to go back to" },
        { FROM_TO(RESTORE_SENT, VERIFY_FAILED), NO_WAY_BACK,    ANY, TS_ACT_PERSON, "there is nothing to go back to: what is on the target may be the last copy" },
        { AT(RESTORE_SENT),   ANY, ANY, TS_ACT_FENCE, "the target was asked to run; that it does not now proves nothing" },
        { AT(RESTORE_FAILED), ANY, ANY, TS_ACT_FENCE, "the target engine could not restore" },
        { AT(RESTORED),       ANY, ANY, TS_ACT_FENCE, "the target was restored but does not run any more" },
        { AT(VERIFY_FAILED),  ANY, ANY, TS_ACT_FENCE, "verification on the target failed" },

        /* The target is fenced: what it looks like matters only if somebody started it again. */
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), S(UNREACHABLE),        ANY,        TS_ACT_WAIT,           "the source does not answer; the target is fenced" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), NO_WAY_BACK,           WORKS,      TS_ACT_PERSON,         "somebody started it on the target again, and there is nothing to go back to" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), ANY,                   T(SERVING), TS_ACT_PERSON,         "it runs on the target again, and may have for any time" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), ANY,                   T(RUNNING), TS_ACT_FENCE,          "somebody started it on the target again: before the commit the source wins" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), RUNS,                  ANY,        TS_ACT_UNDO,           "the source runs and the target cannot" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), S(STOPPED_COMPLETE),   ANY,        TS_ACT_RESTORE_SOURCE, "the target is fenced and the source's images are complete" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), S(STOPPED_INCOMPLETE), ANY,        TS_ACT_LOST,           "the target is fenced and the source's images are not complete" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), S(STOPPED_ITSELF),     ANY,        TS_ACT_UNDO,           "the source ran again and then ended by itself or was stopped by somebody" },
        { FROM_TO(TARGET_FENCED, ROLLBACK_SENT), S(GONE),               ANY,        TS_ACT_PERSON,         "the source was removed by somebody and the target is fenced: only saved images are left" },

        /* After the commit nothing goes back, and the source is the last copy until the target was seen to have it. */
        { AT(COMMITTED), RUNS,    ANY,                        TS_ACT_PERSON, "somebody started the source again after the commit: both may run, neither is killed" },
        { AT(COMMITTED), ANY,     T(UNREACHABLE),             TS_ACT_WAIT,   "the target does not answer: the source is not removed before it was seen there" },
        { AT(COMMITTED), S(GONE), ANY,                        TS_ACT_FINISH, "the target has it and the source is removed already" },
        { AT(COMMITTED), ANY,     WORKS | T(STOPPED) | T(SERVED),  TS_ACT_FINISH, "the target has it: the move is finished" },
        { AT(COMMITTED), ANY,     ANY,                        TS_ACT_PERSON, "the target had it and has it no more: the source is the last copy" },
};
/* clang-format on */

static const struct rule nonsense = { FROM_TO(BEGUN, DONE), ANY, ANY, TS_ACT_PERSON,
                                      "the journal says something this version does not know" };
static const struct rule keep_running = { AT(VERIFY_FAILED), ANY, WORKS, TS_ACT_COMMIT,
                                          "verification failed, the target runs, and it is to be kept all the same" };
static const struct rule denied = { AT(VERIFY_FAILED), ANY, T(SERVING), TS_ACT_PERSON,
                                    "verification failed, but the target runs and may have for any time: what it wrote is newer than the source" };
static const struct rule shared_commit = {
        AT(VERIFY_FAILED), ANY, WORKS, TS_ACT_COMMIT,
        "verification failed, but the target runs and has written to a directory both hosts share: there is no way back"
};
static const struct rule shared_verify = {
        AT(RESTORE_FAILED), ANY, WORKS, TS_ACT_VERIFY,
        "the target runs although its engine said no, and may have written to a directory both hosts share: there is no way back"
};
static const struct rule shared_person = {
        FROM_TO(CHECKPOINT_SENT, ROLLBACK_SENT), ANY, ANY, TS_ACT_PERSON,
        "the target may have written to a directory both hosts share: the source's memory may not fit it any more"
};

static const struct rule *look_up(enum ts_stage stage, enum ts_source_seen source, enum ts_target_seen target)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(rules); i++) {
                const struct rule *r = &rules[i];

                if (stage >= r->first && stage <= r->last && (r->sources & 1U << source) && (r->targets & 1U << target))
                        return r;
        }
        return &nonsense;
}

static bool known(const struct ts_case *c)
{
        return (unsigned)c->stage < TS_STAGE_MAX && (unsigned)c->source < TS_SOURCE_MAX && (unsigned)c->target < TS_TARGET_MAX;
}

static bool works(const struct ts_case *c)
{
        return c->target == TS_TARGET_RUNNING || c->target == TS_TARGET_SERVING;
}

/* Whether the target may have run our container, or anything else that writes where it writes, after the source's memory was saved. */
static bool target_may_have_run(const struct ts_case *c)
{
        bool asked = c->stage == TS_STAGE_RESTORE_SENT || c->stage == TS_STAGE_RESTORED || c->stage == TS_STAGE_VERIFY_FAILED;

        return asked || (works(c) && c->stage >= TS_STAGE_CHECKPOINT_SENT);
}

/* The flags. All of them give way to a source that runs: it wins over --on-verify-failure=keep, and nothing is restored over its files. */
static const struct rule *apply_flags(const struct ts_case *c, const struct rule *plain)
{
        bool source_runs = c->source == TS_SOURCE_RUNNING || c->source == TS_SOURCE_MOVED_ON, runs = works(c);

        if (source_runs || (plain->action == TS_ACT_PERSON && c->source == TS_SOURCE_STOPPED_ITSELF)) /* it has what the target has not */
                return plain;
        if (c->stage == TS_STAGE_VERIFY_FAILED && runs && c->keep_on_verify_failure)
                return &keep_running;
        if (c->stage == TS_STAGE_VERIFY_FAILED && runs && c->shared_writable)
                return &shared_commit;
        if (c->stage == TS_STAGE_VERIFY_FAILED && c->target == TS_TARGET_SERVING && c->denied)
                return &denied;
        if (!c->shared_writable)
                return plain;
        if (c->stage == TS_STAGE_RESTORE_FAILED && runs)
                return &shared_verify;
        return plain->action == TS_ACT_FENCE && target_may_have_run(c) ? &shared_person : plain;
}

enum ts_action ts_decide(const struct ts_case *c, const char **ret_why)
{
        enum ts_source_seen source = c->source;
        const struct rule *r;

        if (c->cold && source == TS_SOURCE_STOPPED_INCOMPLETE)
                source = TS_SOURCE_STOPPED_COMPLETE; /* there are no images that could be incomplete */
        r = known(c) ? apply_flags(c, look_up(c->stage, source, c->target)) : &nonsense;
        if (ret_why)
                *ret_why = r->why;
        return r->action;
}
