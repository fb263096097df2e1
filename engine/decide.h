/* One decision, one place: what has to happen next to a migration that did not end. A pure function, used by rollback and by `recover` alike.
 * The rules and their reasons: docs/internals/safety.md. */
#ifndef TRANSHIP_ENGINE_DECIDE_H
#define TRANSHIP_ENGINE_DECIDE_H

#include <stdbool.h>

/* How far the journal says it came. Written before the side effect it names ("SENT"), or after the observation it names. Order matters: later is larger. */
enum ts_stage {
        TS_STAGE_BEGUN,           /* resources may have been made; the source was not touched */
        TS_STAGE_ARMED,           /* the source's restart policy may be off */
        TS_STAGE_CHECKPOINT_SENT, /* the source may be frozen or stopped (cold: stopping) */
        TS_STAGE_CHECKPOINTED,    /* observed: the source is stopped, with the generation that was dumped */
        TS_STAGE_RESTORE_SENT,    /* the target may run from here on */
        TS_STAGE_RESTORE_FAILED,  /* the target engine's final answer was no */
        TS_STAGE_RESTORED,        /* the target engine's final answer was yes */
        TS_STAGE_VERIFY_FAILED,   /* it runs or ran there, but verification said no */
        TS_STAGE_TARGET_FENCED,   /* observed: the target does not run and cannot any more */
        TS_STAGE_ROLLBACK_SENT,   /* the source may run again */
        TS_STAGE_ROLLED_BACK,     /* final: the source is as it was (or as its owner left it) */
        TS_STAGE_COMMITTED,       /* the target is verified; nothing goes back */
        TS_STAGE_DONE,            /* final: cleaned up */
        TS_STAGE_MAX
};
const char *ts_stage_str(enum ts_stage s); /* "begun", "checkpoint-sent", … : the journal's words */
int ts_stage_parse(const char *s, enum ts_stage *ret); /* -1 unknown */

enum ts_source_seen {
        TS_SOURCE_UNREACHABLE,
        TS_SOURCE_RUNNING, /* with the generation of the journal */
        TS_SOURCE_MOVED_ON, /* running with another generation: somebody started it, or our own rollback did */
        TS_SOURCE_STOPPED_COMPLETE, /* stopped; the final dump's images are complete (cold: stopped is enough) */
        TS_SOURCE_STOPPED_INCOMPLETE, /* killed by a dump whose images are not complete */
        TS_SOURCE_STOPPED_ITSELF, /* ended or was stopped by somebody, without our dump, or ran again since: newer than any images */
        TS_SOURCE_GONE, /* removed by somebody */
        TS_SOURCE_MAX
};
enum ts_target_seen {
        TS_TARGET_UNREACHABLE,
        TS_TARGET_ABSENT,  /* no such container: proves nothing while a restore may be under way */
        TS_TARGET_CREATED, /* there, never started */
        TS_TARGET_RUNNING, /* or paused; for no longer than the move that had it restored takes to verify it, and still looked at by that move */
        TS_TARGET_STOPPED, /* there, not running; it never ran, or no longer than that */
        TS_TARGET_SERVING, /* runs, and may have for any time: it may hold what nobody else has */
        TS_TARGET_SERVED,  /* the same, stopped since */
        TS_TARGET_MAX
};
const char *ts_source_seen_str(enum ts_source_seen s);
const char *ts_target_seen_str(enum ts_target_seen t);

struct ts_case {
        enum ts_stage stage;
        enum ts_source_seen source;
        enum ts_target_seen target;
        bool shared_writable;      /* both hosts write one directory: no way back once the target may have run */
        bool keep_on_verify_failure;
        bool cold;                 /* stop/start instead of checkpoint/restore: a stopped source is always complete */
        bool denied; /* this process asked the target whether it is alive, and the answer was no */
};

enum ts_action {
        TS_ACT_NOTHING,        /* it is over */
        TS_ACT_UNDO,           /* take back what was made, put the policy back; the source stays as it is now */
        TS_ACT_FENCE,          /* make sure the target cannot run, journal it, decide again */
        TS_ACT_RESTORE_SOURCE, /* restore (cold: start) on the source, then undo */
        TS_ACT_VERIFY,         /* go forward: verify the target; then commit or journal VERIFY_FAILED and decide again */
        TS_ACT_COMMIT,         /* go forward without a verification: the user said keep */
        TS_ACT_FINISH,         /* after the commit: switch and clean up */
        TS_ACT_WAIT,           /* a side we need does not answer: ask again until the fence timeout, then a person (exit 6; after the commit: exit 5) */
        TS_ACT_PERSON,         /* exit 6 */
        TS_ACT_LOST,           /* exit 7: undo what can be, no fresh start */
        TS_ACT_MAX
};
const char *ts_action_str(enum ts_action a);

/* *ret_why, if not NULL, gets a static sentence that says why: shown to the user. */
enum ts_action ts_decide(const struct ts_case *c, const char **ret_why);

#endif
