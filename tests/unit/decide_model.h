/* A small world for ts_decide(): two engines, requests that are under way, answers that get lost, hosts that vanish, processes of ours that die, and people who start, stop and remove things. A move
 * runs through it in the order of the phases and, after the first trouble, is driven by ts_decide() alone, as engine/settle.c does it. model_walk() checks at every step what SAFETY asks for and
 * aborts the walk with a sentence when it does not hold. Used by test_decide.c with a seed and by fuzz_decide.c with bytes.
 *
 * What the model takes from the real engines, and from how engine/observe.c looks at them: a request to checkpoint or restore the source is over once the source was looked at; an import on the target
 * is not, and only a fence ends it. Between looking and acting at most one thing happens. */
#ifndef TRANSHIP_TESTS_UNIT_DECIDE_MODEL_H
#define TRANSHIP_TESTS_UNIT_DECIDE_MODEL_H

#include "engine/decide.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

enum { MODEL_CALM_STEPS = 24, MODEL_PEOPLE = 3, MODEL_ROUNDS = 40, MODEL_OVERTAKEN = 12 };
enum who { NOBODY, ORIGINAL, US, PEOPLE };
enum images { IMAGES_NONE, IMAGES_INCOMPLETE, IMAGES_COMPLETE };
enum on_target { ABSENT, CREATED, RUNNING, STOPPED };
enum ended { NOT_ENDED, ENDED_ROLLED_BACK, ENDED_MOVED, ENDED_LEFTOVERS, ENDED_PERSON, ENDED_LOST };

struct model {
        unsigned (*pick)(void *ctx, unsigned n); /* 0 … n-1; always 0 when there is nothing left to choose from */
        void *ctx;
        bool verbose;
        bool calm; /* nothing fails any more */

        /* the truth */
        bool source_up, target_up; /* reachable */
        bool present, running;     /* the source's container */
        enum who by;               /* who made it run */
        bool original;             /* it never ran again since the move began: the generation of the journal */
        bool by_dump;              /* it is stopped because we dumped (or, cold, stopped) it */
        enum images images;
        enum on_target target;
        enum who target_by;
        bool target_holds;       /* what is on the target is the moved container, not a fresh one */
        bool target_ran;         /* it ran on the target by our doing since the dump */
        bool worked;     /* what is on the target now ran after restore-sent, by whomever … */
        bool long_since; /* … for longer than the move takes to verify it */
        bool import;             /* a restore on the target is under way */
        bool answer_yes;         /* what the engine said to it */
        bool dumping, restoring; /* requests on the source are under way */
        unsigned people;         /* how often somebody may still interfere */
        bool interfered;

        /* what tranship knows */
        enum ts_stage stage;
        bool word; /* a person said that the target is dead, and may be wrong */
        bool overtaken; /* another machine recovers while this process is suspended between its look and its act */
        bool recovering; /* another process: the move that asked for the restore is gone */
        bool denied;     /* this process asked the target, and the answer was no */
        bool shared, keep, cold, precreated;
        enum ended ended;
        bool newer; /* the truth at the last look: an import that lands between that and a fence has done nothing yet */

        const char *wrong; /* what did not hold */
        uint64_t steps;
};

static inline bool chance(struct model *m, unsigned one_in)
{
        return !m->calm && m->pick(m->ctx, one_in) == 1;
}

__attribute__((format(printf, 2, 3))) static inline void say(const struct model *m, const char *fmt, ...)
{
        va_list ap;

        if (!m->verbose)
                return;
        va_start(ap, fmt);
        (void)vprintf(fmt, ap);
        va_end(ap);
        (void)printf("   [source %s%s by %d images %d%s | target %d by %d%s%s | %s]\n",
                     m->present ? m->running ? "running" : "stopped" : "gone", m->original ? "" : " again", m->by, m->images,
                     m->source_up ? "" : " cut off", m->target, m->target_by, m->import ? " importing" : "", m->target_up ? "" : " cut off",
                     ts_stage_str(m->stage));
}

static inline void hold(struct model *m, bool holds, const char *what)
{
        if (!holds && !m->wrong)
                m->wrong = what;
}

/* ---- what must hold ---- */

static inline bool source_is_a_copy(const struct model *m)
{
        return m->present && (m->running || !m->by_dump || m->images == IMAGES_COMPLETE || m->cold);
}

static inline bool target_is_a_copy(const struct model *m)
{
        return m->target_holds && (m->target == RUNNING || m->target == STOPPED);
}

/* What it wrote is nowhere else: it ran, and not only under the eyes of the move that asked for it. */
static inline bool target_is_newer(const struct model *m)
{
        return target_is_a_copy(m) && m->worked && m->stage >= TS_STAGE_RESTORE_SENT &&
               (m->recovering || m->long_since);
}

static inline void check_world(struct model *m)
{
        bool both = m->running && m->target == RUNNING;

        hold(m, !both || m->by == PEOPLE || m->target_by == PEOPLE || m->word,
             "both run, and nobody but us made them");
        hold(m, !m->import || !m->running || m->by == PEOPLE || m->word,
             "the source runs by our doing while the target may come to run");
}

/* ---- things that happen ---- */

static inline void source_starts(struct model *m, enum who by)
{
        m->running = true;
        m->by = by;
        m->original = false;
        m->by_dump = false;
}

static inline void dump_lands(struct model *m)
{
        m->dumping = false;
        if (!m->present || !m->running || !m->original || chance(m, 8)) {
                say(m, "  the dump fails");
                return;
        }
        m->running = false;
        m->by = NOBODY;
        m->by_dump = true;
        m->target_ran = m->worked = m->long_since = false;
        m->images = m->cold ? IMAGES_NONE : chance(m, 8) ? IMAGES_INCOMPLETE : IMAGES_COMPLETE;
        say(m, "  the dump lands");
}

static inline void rollback_lands(struct model *m)
{
        m->restoring = false;
        if (!m->present || m->running || chance(m, 8)) {
                say(m, "  the restore on the source fails");
                return;
        }
        hold(m, m->cold || m->images == IMAGES_COMPLETE, "restored from images that are not complete");
        hold(m, m->cold || m->by_dump, "restored old memory over newer files");
        hold(m, m->cold || !m->shared || !m->target_ran, "restored old memory beside a shared directory that the target wrote");
        hold(m, !m->import || m->word, "the source is restored while the target may come to run");
        source_starts(m, US);
        say(m, "  the source is restored");
}

static inline void import_lands(struct model *m)
{
        m->import = false;
        if (m->target == RUNNING || chance(m, 6)) { /* the engine refuses a second start */
                if (m->target == ABSENT && chance(m, 2))
                        m->target = CREATED;
                say(m, "  the restore on the target fails");
                return;
        }
        m->target = RUNNING;
        m->target_by = US;
        m->target_holds = m->target_ran = m->worked = m->answer_yes = true;
        say(m, "  the target is restored");
}

/* Whatever is under way on the source is over before anybody gets an answer about it. */
static inline void flush_source(struct model *m)
{
        if (m->dumping)
                dump_lands(m);
        if (m->restoring)
                rollback_lands(m);
}

static inline void somebody_interferes(struct model *m)
{
        if (m->people == 0)
                return;
        m->people--;
        m->interfered = true;
        flush_source(m);
        switch (m->pick(m->ctx, 6)) {
        case 0:
                if (m->present && !m->running)
                        source_starts(m, PEOPLE);
                break;
        case 1:
                m->running = false;
                m->by = NOBODY;
                break;
        case 2:
                if (m->target == CREATED || m->target == STOPPED) {
                        m->target = RUNNING;
                        m->target_by = PEOPLE;
                        m->worked |= m->stage >= TS_STAGE_RESTORE_SENT;
                        m->target_holds =
                                m->stage >= TS_STAGE_RESTORE_SENT; /* what somebody starts afresh cannot be told from what was restored */
                }
                break;
        case 3:
                if (m->target == RUNNING)
                        m->target = STOPPED;
                break;
        case 4:
                if (!m->running)
                        m->present = false;
                break;
        default:
                if (m->target != RUNNING && !m->import) {
                        m->target = ABSENT;
                        m->target_holds = m->worked = m->long_since = false;
                }
                break;
        }
        say(m, "  somebody interferes");
}

static inline void something_happens(struct model *m)
{
        m->steps++;
        switch (m->pick(m->ctx, 12)) {
        case 1:
                m->source_up = !m->source_up;
                say(m, "  the source %s", m->source_up ? "is back" : "is cut off");
                break;
        case 2:
                m->target_up = !m->target_up;
                say(m, "  the target %s", m->target_up ? "is back" : "is cut off");
                break;
        case 3:
                flush_source(m);
                break;
        case 4:
        case 5:
                if (m->import)
                        import_lands(m);
                break;
        case 6:
                somebody_interferes(m);
                break;
        default:
                break;
        }
        check_world(m);
}

/* ---- what tranship sees and does ---- */

static inline enum ts_source_seen see_source(struct model *m)
{
        if (!m->source_up)
                return TS_SOURCE_UNREACHABLE;
        flush_source(m);
        if (!m->present)
                return TS_SOURCE_GONE;
        if (m->running)
                return m->original ? TS_SOURCE_RUNNING : TS_SOURCE_MOVED_ON;
        if (m->cold)
                return TS_SOURCE_STOPPED_COMPLETE;
        if (!m->by_dump)
                return TS_SOURCE_STOPPED_ITSELF;
        return m->images == IMAGES_COMPLETE ? TS_SOURCE_STOPPED_COMPLETE : TS_SOURCE_STOPPED_INCOMPLETE;
}

static inline enum ts_target_seen see_target(const struct model *m)
{
        bool newer = m->worked && (m->recovering || m->long_since);
        static const enum ts_target_seen seen[] = {
                [ABSENT] = TS_TARGET_ABSENT, [CREATED] = TS_TARGET_CREATED, [RUNNING] = TS_TARGET_RUNNING, [STOPPED] = TS_TARGET_STOPPED
        };

        if (!m->target_up)
                return TS_TARGET_UNREACHABLE;
        if (newer && (m->target == RUNNING || m->target == STOPPED))
                return m->target == RUNNING ? TS_TARGET_SERVING : TS_TARGET_SERVED;
        return seen[m->target];
}

static inline void advance(struct model *m, enum ts_stage s)
{
        if (m->stage < s)
                m->stage = s;
}

static inline void remove_target(struct model *m)
{
        m->import = false;
        m->target = ABSENT;
        m->target_holds = m->worked = m->long_since = false;
}

static inline void do_undo(struct model *m, bool lost)
{
        bool neither = m->present && !m->running && m->by_dump;

        hold(m, m->stage < TS_STAGE_ROLLED_BACK, "undone after its end or after the commit");
        hold(m, !m->import || m->word, "undone while the target may come to run");
        hold(m, m->target != RUNNING || m->target_by != US || m->word,
             "undone while it runs on the target by our doing");
        hold(m, lost ? m->images == IMAGES_INCOMPLETE && !m->running : !neither,
             lost ? "given up, and it was not lost" : "undone with the source stopped by us");
        if (m->target_up && m->target != RUNNING && !m->worked) { /* what ran there is left alone (undo.c) */
                hold(m, !target_is_a_copy(m) || source_is_a_copy(m) || lost, "the last copy was undone");
                remove_target(m);
        }
        if (m->target_up && m->source_up) { /* else something is left, and recover comes again */
                if (!m->by_dump)
                        m->images = IMAGES_NONE;
                m->stage = TS_STAGE_ROLLED_BACK;
        }
        m->ended = lost ? ENDED_LOST : ENDED_ROLLED_BACK;
}

static inline void do_fence(struct model *m)
{
        hold(m, m->stage < TS_STAGE_ROLLED_BACK, "fenced after its end or after the commit");
        if (!m->target_up || chance(m, 8))
                return;
        hold(m, !target_is_a_copy(m) || source_is_a_copy(m), "the last copy was fenced");
        hold(m, !m->newer, "what the target wrote was fenced");
        remove_target(m);
        if (!chance(m, 8)) /* else we die before it is in the journal */
                advance(m, TS_STAGE_TARGET_FENCED);
}

static inline void do_restore_source(struct model *m)
{
        hold(m, m->stage < TS_STAGE_ROLLED_BACK, "the source restored after its end or after the commit");
        hold(m, m->target != RUNNING || m->target_by != US || m->word,
             "the source restored while it runs on the target by our doing");
        advance(m, TS_STAGE_ROLLBACK_SENT);
        if (!m->source_up || chance(m, 8))
                return;
        m->restoring = true;
        if (!chance(m, 4)) /* else the answer is lost */
                rollback_lands(m);
}

/* seen: by the look that led here. */
static inline void do_commit(struct model *m, bool seen)
{
        hold(m, m->stage >= TS_STAGE_RESTORE_SENT && m->stage <= TS_STAGE_VERIFY_FAILED, "committed what was not restored, or was fenced");
        hold(m, !m->running || m->by == PEOPLE, "committed while the source runs by our doing");
        hold(m, seen, "committed a target that was not seen running");
        advance(m, TS_STAGE_COMMITTED);
}

static inline void do_verify(struct model *m)
{
        hold(m, m->stage >= TS_STAGE_RESTORE_SENT && m->stage <= TS_STAGE_VERIFY_FAILED,
             "verified what was not restored, or was fenced");
        hold(m, !m->denied, "verified a second time");
        if (!m->target_up)
                return;
        if (m->target == RUNNING && !chance(m, 4))
                do_commit(m, true);
        else {
                m->denied = true;
                advance(m, TS_STAGE_VERIFY_FAILED);
        }
}

static inline void do_finish(struct model *m)
{
        bool all = m->target_up && m->source_up;

        hold(m, m->stage == TS_STAGE_COMMITTED, "finished what was not committed");
        flush_source(m);
        if (m->target_up && m->source_up && m->present && !m->running) { /* in that order: first the target gets its policy */
                hold(m, target_is_a_copy(m) || m->target == RUNNING, "the source was removed and the target does not have it");
                m->present = false;
                m->images = IMAGES_NONE;
        }
        if (all)
                m->stage = TS_STAGE_DONE;
        m->ended = all ? ENDED_MOVED : ENDED_LEFTOVERS;
}

static inline enum ts_action model_round(struct model *m);

/* This process is suspended after it decided; another machine takes the lock over, recovers, and comes as far as it comes. True: the look at the lock says so, and nothing is done. What this one's journal says is
 * out of date then. */
static inline bool another_recovers(struct model *m)
{
        enum ts_stage own = m->stage;

        if (m->overtaken || m->stage >= TS_STAGE_ROLLED_BACK || !chance(m, 24))
                return false;
        say(m, "  another machine recovers");
        m->overtaken = m->recovering = true;
        m->denied = false;
        for (int i = 0; i < MODEL_OVERTAKEN && m->ended == NOT_ENDED && !m->wrong; i++)
                (void)model_round(m);
        m->overtaken = m->denied = false;
        m->stage = own;
        m->ended = ENDED_PERSON;
        say(m, "  the other machine has recovered");
        return true;
}

/* One round of settle: look, decide, something happens, act. */
static inline enum ts_action model_round(struct model *m)
{
        struct ts_case c = { .stage = m->stage, .shared_writable = m->shared, .keep_on_verify_failure = m->keep, .cold = m->cold };
        enum ts_action a;
        const char *why = NULL;
        bool is_removal;

        if (chance(m, 8)) { /* we died; somebody recovers */
                m->recovering = true;
                m->denied = false;
        }
        m->long_since |= m->worked && chance(m, 6);
        m->newer = target_is_newer(m);
        c.denied = m->denied;
        c.source = see_source(m);
        c.target = see_target(m);
        a = ts_decide(&c, &why);
        hold(m, why != NULL && *why, "no reason was given");
        say(m, "%s, %s, %s: %s (%s)", ts_stage_str(c.stage), ts_source_seen_str(c.source), ts_target_seen_str(c.target), ts_action_str(a),
            why);
        m->steps++;
        /* A removal by somebody, or a start, exactly between our look and our act cannot be seen by anybody. */
        is_removal = a == TS_ACT_FENCE || a == TS_ACT_FINISH || a == TS_ACT_UNDO || a == TS_ACT_RESTORE_SOURCE || a == TS_ACT_LOST;
        if (!m->calm) {
                unsigned people = m->people;

                m->people = is_removal ? 0 : people;
                something_happens(m);
                m->people = is_removal ? people : m->people;
        }
        if (a != TS_ACT_WAIT && a != TS_ACT_PERSON && a != TS_ACT_NOTHING && another_recovers(m))
                return a;
        switch (a) {
        case TS_ACT_NOTHING:
                hold(m, m->stage == TS_STAGE_DONE || m->stage == TS_STAGE_ROLLED_BACK, "nothing is done, and it is not over");
                m->ended = m->stage == TS_STAGE_DONE ? ENDED_MOVED : ENDED_ROLLED_BACK;
                break;
        case TS_ACT_UNDO:
                do_undo(m, false);
                break;
        case TS_ACT_LOST:
                do_undo(m, true);
                break;
        case TS_ACT_FENCE:
                do_fence(m);
                break;
        case TS_ACT_RESTORE_SOURCE:
                do_restore_source(m);
                break;
        case TS_ACT_VERIFY:
                do_verify(m);
                break;
        case TS_ACT_COMMIT:
                do_commit(m, c.target == TS_TARGET_RUNNING || c.target == TS_TARGET_SERVING);
                break;
        case TS_ACT_FINISH:
                do_finish(m);
                break;
        case TS_ACT_WAIT:
                hold(m, c.source == TS_SOURCE_UNREACHABLE || c.target == TS_TARGET_UNREACHABLE, "waits although both sides answer");
                break;
        case TS_ACT_PERSON:
        case TS_ACT_MAX:
        default:
                m->ended = ENDED_PERSON;
                break;
        }
        check_world(m);
        return a;
}

/* ---- the move, forward ---- */

/* True: trouble, and settle takes over. */
static inline bool trouble(struct model *m)
{
        something_happens(m);
        return chance(m, 8);
}

static inline bool forward_to_dump(struct model *m)
{
        m->target = m->precreated ? CREATED : ABSENT;
        if (trouble(m))
                return false;
        m->stage = TS_STAGE_ARMED;
        if (trouble(m) || !m->source_up || see_source(m) != TS_SOURCE_RUNNING)
                return false;
        m->stage = TS_STAGE_CHECKPOINT_SENT;
        if (trouble(m) || !m->source_up)
                return false;
        m->dumping = true;
        if (trouble(m) || see_source(m) != TS_SOURCE_STOPPED_COMPLETE)
                return false;
        m->stage = TS_STAGE_CHECKPOINTED;
        return !trouble(m);
}

static inline void forward_to_target(struct model *m)
{
        if (see_target(m) != (m->precreated ? TS_TARGET_CREATED : TS_TARGET_ABSENT))
                return;
        m->stage = TS_STAGE_RESTORE_SENT;
        if (trouble(m) || !m->target_up)
                return;
        m->import = true;
        if (trouble(m))
                return;
        if (m->import)
                import_lands(m);
        if (trouble(m) || !m->target_up)
                return; /* the answer is lost */
        m->stage = m->answer_yes ? TS_STAGE_RESTORED : TS_STAGE_RESTORE_FAILED;
        if (m->stage == TS_STAGE_RESTORED && !trouble(m))
                do_verify(m);
}

/* ---- a walk ---- */

static inline void check_end(struct model *m)
{
        bool one = m->running != (m->target == RUNNING);

        if (m->ended == ENDED_ROLLED_BACK && m->stage == TS_STAGE_ROLLED_BACK)
                hold(m, m->interfered || m->running || m->images == IMAGES_INCOMPLETE, "rolled back, and the source does not run");
        if (m->ended == ENDED_MOVED)
                hold(m, m->interfered || m->target == RUNNING, "moved, and the target does not run");
        if (!m->interfered && m->images != IMAGES_INCOMPLETE && !m->shared)
                hold(m, one && m->ended != ENDED_PERSON && m->ended != ENDED_LOST, "nobody interfered, and it does not run on one side");
        if (m->ended == ENDED_LOST)
                hold(m, m->images == IMAGES_INCOMPLETE, "given up, and the images were complete");
}

/* One move from its beginning to its end. NULL, or what did not hold. */
static inline const char *model_walk(struct model *m)
{
        unsigned flags = m->pick(m->ctx, 16);

        m->source_up = m->target_up = m->present = m->running = m->original = true;
        m->by = ORIGINAL;
        m->people = m->pick(m->ctx, MODEL_PEOPLE + 1);
        m->shared = flags & 1;
        m->keep = flags & 2;
        m->cold = flags & 4;
        m->precreated = flags & 8 || m->cold;
        if (forward_to_dump(m))
                forward_to_target(m);
        say(m, "from here on decided");
        for (int i = 0; i < MODEL_ROUNDS && !m->wrong && (m->ended == NOT_ENDED || !chance(m, 3)); i++) {
                if (m->ended == ENDED_PERSON && !m->target_up && !m->shared &&
                    m->stage >= TS_STAGE_RESTORE_SENT && m->stage < TS_STAGE_TARGET_FENCED &&
                    chance(m, 4)) {
                        m->word = m->interfered = true;
                        advance(m, TS_STAGE_TARGET_FENCED);
                }
                m->recovering |= m->ended != NOT_ENDED; /* recover comes again */
                m->denied &= m->ended == NOT_ENDED;
                m->ended = NOT_ENDED;
                (void)model_round(m);
                something_happens(m);
        }
        /* Calm: both sides answer, nobody interferes, and it must come to an end. */
        m->calm = m->source_up = m->target_up = true;
        m->people = 0;
        say(m, "calm");
        m->ended = NOT_ENDED;
        m->recovering = true;
        m->denied = false;
        for (int i = 0; i < MODEL_CALM_STEPS && !m->wrong && m->ended == NOT_ENDED; i++)
                (void)model_round(m);
        hold(m, m->ended != NOT_ENDED, "it does not come to an end");
        if (!m->wrong)
                check_end(m);
        return m->wrong;
}

#endif
