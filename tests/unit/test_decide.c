/* The decision: every stage × source × target × flags. Three independent looks: the golden table (tests/fixtures/decide.golden, reviewed by hand; `test_decide --print-golden` writes it), statements that must
 * hold for every case whatever the table says, and a model of the world that is driven by nothing but ts_decide(). docs/internals/safety.md shows the table of `test_decide --print-table`. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/decide.h"
#include "tests/unit/decide_model.h"

#define GOLDEN TS_SOURCE_DIR "/tests/fixtures/decide.golden"
#define SAFETY TS_SOURCE_DIR "/docs/internals/safety.md"

enum { SHARED = 1, KEEP = 2, COLD = 4, DENIED = 8, FLAGS_MAX = 16 };
static const char *const flag_names[FLAGS_MAX] = { "plain",
                                                   "shared",
                                                   "keep",
                                                   "shared+keep",
                                                   "cold",
                                                   "shared+cold",
                                                   "keep+cold",
                                                   "shared+keep+cold",
                                                   "denied",
                                                   "shared+denied",
                                                   "keep+denied",
                                                   "shared+keep+denied",
                                                   "cold+denied",
                                                   "shared+cold+denied",
                                                   "keep+cold+denied",
                                                   "all" };

static struct ts_case case_of(unsigned stage, unsigned source, unsigned target, unsigned flags)
{
        return (struct ts_case){ .stage = (enum ts_stage)stage,
                                 .source = (enum ts_source_seen)source,
                                 .target = (enum ts_target_seen)target,
                                 .shared_writable = (flags & SHARED) != 0,
                                 .keep_on_verify_failure = (flags & KEEP) != 0,
                                 .cold = (flags & COLD) != 0,
                                 .denied = (flags & DENIED) != 0 };
}

static enum ts_action decide(unsigned stage, unsigned source, unsigned target, unsigned flags)
{
        struct ts_case c = case_of(stage, source, target, flags);

        return ts_decide(&c, NULL);
}

#define FOR_ALL(stage, source, target)                                      \
        for (unsigned stage = 0; stage < TS_STAGE_MAX; stage++)             \
                for (unsigned source = 0; source < TS_SOURCE_MAX; source++) \
                        for (unsigned target = 0; target < TS_TARGET_MAX; target++)

/* ---- the golden table ---- */

/* "stage source target action", then for every combination of flags that decides otherwise "flags:action". */
static void golden_text(struct ts_str *s)
{
        FOR_ALL(stage, source, target)
        {
                enum ts_action plain = decide(stage, source, target, 0);

                (void)ts_str_addf(s, NULL, "%-15s %-18s %-11s %s", ts_stage_str((enum ts_stage)stage),
                                  ts_source_seen_str((enum ts_source_seen)source), ts_target_seen_str((enum ts_target_seen)target),
                                  ts_action_str(plain));
                for (unsigned f = 1; f < FLAGS_MAX; f++)
                        if (decide(stage, source, target, f) !=
                            (f & DENIED ? decide(stage, source, target, f & ~(unsigned)DENIED)
                                        : plain))
                                (void)ts_str_addf(s, NULL, " %s:%s", flag_names[f], ts_action_str(decide(stage, source, target, f)));
                (void)ts_str_adds(s, "\n", NULL);
        }
}

static void golden(void)
{
        ts_auto_str want = TS_STR_INIT, got = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        const char *g, *w;

        UNIT_OK(ts_file_read(GOLDEN, (size_t)1 << 20, &want, &err));
        golden_text(&got);
        for (g = ts_str_cstr(&got), w = ts_str_cstr(&want); *g || *w;) {
                int gn = (int)strcspn(g, "\n"), wn = (int)strcspn(w, "\n");

                if (gn != wn || strncmp(g, w, (size_t)gn) != 0) {
                        (void)printf("\n    decided: %.*s\n    golden:  %.*s\n", gn, g, wn, w);
                        CU_FAIL("not as in the golden table");
                }
                g += gn + (g[gn] == '\n');
                w += wn + (w[wn] == '\n');
        }
}

/* ---- what holds for every case ---- */

struct facts {
        bool before_commit, after_commit, over, before_restore, may_run, fenced; /* stages */
        bool source_runs, source_seen, way_back, target_runs, target_seen;
        bool held; /* the target may have what nobody else has */
};

static struct facts facts_of(const struct ts_case *c)
{
        enum ts_stage s = c->stage;

        return (struct facts){
                .over = s == TS_STAGE_DONE || s == TS_STAGE_ROLLED_BACK,
                .after_commit = s == TS_STAGE_COMMITTED,
                .before_commit = s <= TS_STAGE_ROLLBACK_SENT,
                .before_restore = s <= TS_STAGE_CHECKPOINTED,
                .may_run = s >= TS_STAGE_RESTORE_SENT && s <= TS_STAGE_VERIFY_FAILED,
                .fenced = s == TS_STAGE_TARGET_FENCED || s == TS_STAGE_ROLLBACK_SENT,
                .source_runs = c->source == TS_SOURCE_RUNNING || c->source == TS_SOURCE_MOVED_ON,
                .source_seen = c->source != TS_SOURCE_UNREACHABLE,
                .way_back = c->source != TS_SOURCE_GONE &&
                            (c->source != TS_SOURCE_STOPPED_INCOMPLETE || c->cold),
                .target_runs = c->target == TS_TARGET_RUNNING || c->target == TS_TARGET_SERVING,
                .held = c->target == TS_TARGET_SERVING || c->target == TS_TARGET_SERVED,
                .target_seen = c->target != TS_TARGET_UNREACHABLE,
        };
}

/* A rule: if the action is this, then that must be so. */
static bool action_is_sound(const struct ts_case *c, enum ts_action a)
{
        struct facts f = facts_of(c);
        bool complete = c->source == TS_SOURCE_STOPPED_COMPLETE || (c->cold && c->source == TS_SOURCE_STOPPED_INCOMPLETE);

        switch (a) {
        case TS_ACT_NOTHING:
                return f.over;
        case TS_ACT_UNDO:
                return f.source_seen && (!complete || c->stage <= TS_STAGE_ARMED) && !f.target_runs && (f.before_restore || f.fenced);
        case TS_ACT_FENCE: /* something to go back to, seen; after restore-sent never without */
                return f.before_commit && f.target_seen && f.source_seen &&
                       (f.may_run || f.target_runs) &&
                       (f.before_restore || !f.held) && /* newer wins */
                       (f.way_back || (f.before_restore && c->source != TS_SOURCE_GONE));
        case TS_ACT_RESTORE_SOURCE: /* evidence that the target cannot run */
                return complete && !f.target_runs && (f.before_restore || f.fenced);
        case TS_ACT_VERIFY:
                return f.target_runs && !f.source_runs && f.may_run &&
                       (c->stage != TS_STAGE_VERIFY_FAILED || (f.held && !c->denied));
        case TS_ACT_COMMIT:
                return f.target_runs && !f.source_runs && c->stage == TS_STAGE_VERIFY_FAILED &&
                       (c->keep_on_verify_failure || c->shared_writable);
        case TS_ACT_FINISH: /* the last copy is deleted last */
                return f.after_commit && !f.source_runs && f.target_seen &&
                       (f.target_runs || f.held || c->target == TS_TARGET_STOPPED ||
                        c->source == TS_SOURCE_GONE);
        case TS_ACT_WAIT: /* never for a side that answers */
                return !f.over && (!f.source_seen || !f.target_seen);
        case TS_ACT_LOST:
                return c->source == TS_SOURCE_STOPPED_INCOMPLETE && !c->cold && !f.target_runs && (f.before_restore || f.fenced);
        case TS_ACT_PERSON:
                return !f.over &&
                       (f.after_commit || !f.way_back || c->shared_writable ||
                        (f.held && !f.before_restore) ||
                        (c->source == TS_SOURCE_STOPPED_ITSELF && f.target_runs && f.may_run));
        case TS_ACT_MAX:
        default:
                return false;
        }
}

static void every_action_is_sound(void)
{
        FOR_ALL(stage, source, target)
        for (unsigned flags = 0; flags < FLAGS_MAX; flags++) {
                struct ts_case c = case_of(stage, source, target, flags);
                enum ts_action a = ts_decide(&c, NULL);

                if (!action_is_sound(&c, a))
                        (void)printf("\n    %s, %s, %s, %s: %s\n", ts_stage_str(c.stage), ts_source_seen_str(c.source),
                                     ts_target_seen_str(c.target), flag_names[flags], ts_action_str(a));
                CU_ASSERT(action_is_sound(&c, a));
        }
}

/* The other direction: in this situation it must be this action. */
static void rules_of_safety(void)
{
        FOR_ALL(stage, source, target)
        for (unsigned flags = 0; flags < FLAGS_MAX; flags++) {
                struct ts_case c = case_of(stage, source, target, flags);
                struct facts f = facts_of(&c);
                enum ts_action a = ts_decide(&c, NULL);

                if (f.over)
                        CU_ASSERT_EQUAL(a, TS_ACT_NOTHING);
                if (f.before_commit && f.source_runs &&
                    f.target_runs) /* rule 6: the source wins before the commit; rule 24: but not over what is newer */
                        CU_ASSERT_EQUAL(a,
                                        f.held && !f.before_restore ? TS_ACT_PERSON : TS_ACT_FENCE);
                if (f.may_run && f.held) /* rule 24: the only copy of what it wrote */
                        CU_ASSERT(a == TS_ACT_VERIFY || a == TS_ACT_COMMIT || a == TS_ACT_PERSON);
                if (f.may_run && f.held && !f.target_runs)
                        CU_ASSERT_EQUAL(a, TS_ACT_PERSON);
                if (f.may_run && c.source == TS_SOURCE_STOPPED_ITSELF &&
                    f.target_runs) /* both ran since: neither is chosen */
                        CU_ASSERT_EQUAL(a, TS_ACT_PERSON);
                if (f.after_commit && f.source_runs) /* rule 6: kill and delete neither after it */
                        CU_ASSERT_EQUAL(a, TS_ACT_PERSON);
                if (f.may_run && !f.target_seen) /* rule 3: no rollback without a fence */
                        CU_ASSERT_EQUAL(a, TS_ACT_WAIT);
                if (f.before_restore && f.source_seen && !f.target_runs) /* rule 3: needs nothing from the target */
                        CU_ASSERT_EQUAL(a, decide(stage, source, TS_TARGET_UNREACHABLE, flags));
                if ((c.stage == TS_STAGE_RESTORE_SENT || c.stage == TS_STAGE_RESTORED) &&
                    f.target_runs && !f.source_runs &&
                    c.source != TS_SOURCE_STOPPED_ITSELF) /* rule 4: go forward */
                        CU_ASSERT_EQUAL(a, TS_ACT_VERIFY);
                if (f.before_commit && c.shared_writable && !f.source_runs && c.stage >= TS_STAGE_RESTORE_SENT &&
                    f.target_runs) /* rule 5: only keep */
                        CU_ASSERT(a != TS_ACT_FENCE && a != TS_ACT_RESTORE_SOURCE);
                if (f.before_commit && c.source == TS_SOURCE_MOVED_ON) /* rule 6: never over newer files */
                        CU_ASSERT(a == TS_ACT_UNDO || a == TS_ACT_FENCE || a == TS_ACT_WAIT ||
                                  (f.held && a == TS_ACT_PERSON));
                if (f.after_commit) /* rule 18: nothing goes back */
                        CU_ASSERT(a == TS_ACT_FINISH || a == TS_ACT_PERSON || a == TS_ACT_WAIT);
                if (f.before_commit && !f.source_seen && !f.target_seen)
                        CU_ASSERT_EQUAL(a, TS_ACT_WAIT);
        }
}

static void flags_matter_only_where_they_may(void)
{
        FOR_ALL(stage, source, target)
        for (unsigned flags = 0; flags < FLAGS_MAX; flags++) {
                enum ts_action a = decide(stage, source, target, flags);

                if (stage != TS_STAGE_VERIFY_FAILED ||
                    (target != TS_TARGET_RUNNING && target != TS_TARGET_SERVING))
                        CU_ASSERT_EQUAL(a, decide(stage, source, target, flags & ~(unsigned)KEEP));
                if (stage != TS_STAGE_VERIFY_FAILED || target != TS_TARGET_SERVING)
                        CU_ASSERT_EQUAL(a,
                                        decide(stage, source, target, flags & ~(unsigned)DENIED));
                if (source != TS_SOURCE_STOPPED_INCOMPLETE)
                        CU_ASSERT_EQUAL(a, decide(stage, source, target, flags & ~(unsigned)COLD));
                if (source == TS_SOURCE_STOPPED_INCOMPLETE && flags & COLD)
                        CU_ASSERT_EQUAL(a, decide(stage, TS_SOURCE_STOPPED_COMPLETE, target, flags));
                if (source == TS_SOURCE_RUNNING || source == TS_SOURCE_MOVED_ON)
                        CU_ASSERT_EQUAL(a, decide(stage, source, target, 0));
        }
}

static void reasons_are_sentences(void)
{
        FOR_ALL(stage, source, target)
        for (unsigned flags = 0; flags < FLAGS_MAX; flags++) {
                struct ts_case c = case_of(stage, source, target, flags);
                const char *why = NULL;

                (void)ts_decide(&c, &why);
                CU_ASSERT_PTR_NOT_NULL_FATAL(why);
                CU_ASSERT(strlen(why) > 8 && strlen(why) < 140 && !strchr(why, '\n') && why[strlen(why) - 1] != '.');
        }
}

static void nonsense_is_for_a_person(void)
{
        static const struct {
                unsigned stage, source, target;
        } bad[] = {
                { TS_STAGE_MAX, 0, 0 }, { 0, TS_SOURCE_MAX, 0 }, { 0, 0, TS_TARGET_MAX }, { 4000000000U, 1, 1 }, { 1, 77, 1 }, { 1, 1, 99 }
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++)
                for (unsigned flags = 0; flags < FLAGS_MAX; flags++)
                        CU_ASSERT_EQUAL(decide(bad[i].stage, bad[i].source, bad[i].target, flags), TS_ACT_PERSON);
}

static void names(void)
{
        enum ts_stage s;

        for (unsigned i = 0; i < TS_STAGE_MAX; i++) {
                CU_ASSERT_EQUAL(ts_stage_parse(ts_stage_str((enum ts_stage)i), &s), 0);
                CU_ASSERT_EQUAL(s, i);
        }
        CU_ASSERT_EQUAL(ts_stage_parse("", &s), -1);
        CU_ASSERT_EQUAL(ts_stage_parse("unknown", &s), -1);
        CU_ASSERT_EQUAL(ts_stage_parse(NULL, &s), -1);
        UNIT_STR(ts_stage_str(TS_STAGE_CHECKPOINT_SENT), "checkpoint-sent");
        UNIT_STR(ts_stage_str(TS_STAGE_MAX), "unknown");
        UNIT_STR(ts_action_str(TS_ACT_RESTORE_SOURCE), "restore-source");
        UNIT_STR(ts_action_str((enum ts_action)99), "unknown");
        UNIT_STR(ts_source_seen_str((enum ts_source_seen)99), "unknown");
        UNIT_STR(ts_target_seen_str((enum ts_target_seen)99), "unknown");
}

/* ---- the model ---- */

#define WALKS 400000
#define WALK_TIME_MS 1500 /* under valgrind far fewer fit */

static unsigned pick_random(void *ctx, unsigned n)
{
        uint64_t *state = ctx; /* xorshift64* */

        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return (unsigned)((*state * 2685821657736338717ULL) >> 33) % n;
}

static const char *walk(uint64_t seed, bool verbose, struct model *ret)
{
        uint64_t state = seed * 0x9e3779b97f4a7c15ULL + 1;

        *ret = (struct model){ .pick = pick_random, .ctx = &state, .verbose = verbose };
        return model_walk(ret);
}

static void worlds(void)
{
        static const char *const ends[] = { "not ended", "rolled back", "moved", "leftovers", "person", "lost" };
        uint64_t steps = 0, reached[TS_STAGE_MAX] = { 0 }, ended[6] = { 0 }, walks = 0;
        ts_deadline deadline = ts_deadline_in_ms(WALK_TIME_MS);

        for (uint64_t seed = 1; seed <= WALKS && !(seed % 64 == 0 && ts_deadline_passed(deadline)); seed++, walks++) {
                struct model m;
                const char *wrong = walk(seed, false, &m);

                steps += m.steps;
                reached[m.stage]++;
                ended[m.ended]++;
                if (wrong) {
                        (void)printf("\n    seed %llu: %s\n", (unsigned long long)seed, wrong);
                        (void)walk(seed, true, &m);
                        CU_FAIL_FATAL("the model broke a rule");
                }
        }
        (void)printf("\n    %llu walks, %llu steps:", (unsigned long long)walks, (unsigned long long)steps);
        for (size_t i = 1; i < TS_ARRAY_LEN(ends); i++)
                (void)printf(" %s %llu,", ends[i], (unsigned long long)ended[i]);
        (void)printf(" ");
        CU_ASSERT(walks < 1000 ||
                  (ended[ENDED_ROLLED_BACK] && ended[ENDED_MOVED] && ended[ENDED_PERSON] && ended[ENDED_LOST])); /* it gets everywhere */
        CU_ASSERT(walks < 1000 || (reached[TS_STAGE_DONE] && reached[TS_STAGE_ROLLED_BACK]));
}

/* ---- the table for people ---- */

static bool same_row(unsigned a, unsigned b)
{
        for (unsigned source = 0; source < TS_SOURCE_MAX; source++)
                for (unsigned target = 0; target < TS_TARGET_MAX; target++)
                        for (unsigned flags = 0; flags < FLAGS_MAX; flags++)
                                if (decide(a, source, target, flags) != decide(b, source, target, flags))
                                        return false;
        return true;
}

/* One table for each run of stages that decide alike. */
static void add_stages(struct ts_str *s, unsigned first, unsigned last)
{
        (void)ts_str_adds(s, "\n**", NULL);
        for (unsigned i = first; i <= last; i++)
                (void)ts_str_addf(s, NULL, "%s%s", i > first ? ", " : "", ts_stage_str((enum ts_stage)i));
        (void)ts_str_adds(s, "**\n\n| source \\ target |", NULL);
        for (unsigned target = 0; target < TS_TARGET_MAX; target++)
                (void)ts_str_addf(s, NULL, " %s |", ts_target_seen_str((enum ts_target_seen)target));
        (void)ts_str_adds(s, "\n|---|---|---|---|---|---|---|---|\n", NULL);
        for (unsigned source = 0; source < TS_SOURCE_MAX; source++) {
                (void)ts_str_addf(s, NULL, "| %s |", ts_source_seen_str((enum ts_source_seen)source));
                for (unsigned target = 0; target < TS_TARGET_MAX; target++) {
                        enum ts_action plain = decide(first, source, target, 0),
                                       shared = decide(first, source, target, SHARED),
                                       keep = decide(first, source, target, KEEP),
                                       no = decide(first, source, target, DENIED);

                        (void)ts_str_addf(s, NULL, " %s", ts_action_str(plain));
                        if (shared != plain)
                                (void)ts_str_addf(s, NULL, "; shared: %s", ts_action_str(shared));
                        if (keep != plain)
                                (void)ts_str_addf(s, NULL, "; keep: %s", ts_action_str(keep));
                        if (no != plain)
                                (void)ts_str_addf(s, NULL, "; denied: %s", ts_action_str(no));
                        (void)ts_str_adds(s, " |", NULL);
                }
                (void)ts_str_adds(s, "\n", NULL);
        }
}

static void table_text(struct ts_str *s)
{
        for (unsigned first = 0, last; first < TS_STAGE_MAX; first = last + 1) {
                for (last = first; last + 1 < TS_STAGE_MAX && same_row(first, last + 1); last++)
                        ;
                if (decide(first, 0, 0, 0) != TS_ACT_NOTHING)
                        add_stages(s, first, last);
        }
}

static void table_is_documented(void)
{
        ts_auto_str doc = TS_STR_INIT, table = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_read(SAFETY, (size_t)1 << 20, &doc, &err));
        table_text(&table);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&doc), ts_str_cstr(&table))); /* else: test_decide --print-table */
}

static CU_TestInfo tests[] = { UNIT(golden),
                               UNIT(every_action_is_sound),
                               UNIT(rules_of_safety),
                               UNIT(flags_matter_only_where_they_may),
                               UNIT(reasons_are_sentences),
                               UNIT(nonsense_is_for_a_person),
                               UNIT(names),
                               UNIT(worlds),
                               UNIT(table_is_documented),
                               CU_TEST_INFO_NULL };

int main(int argc, char **argv)
{
        ts_auto_str s = TS_STR_INIT;
        struct model m;

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        if (argc > 1 && strcmp(argv[1], "--print-golden") == 0)
                golden_text(&s);
        else if (argc > 1 && strcmp(argv[1], "--print-table") == 0)
                table_text(&s);
        else if (argc > 2 && strcmp(argv[1], "--walk") == 0)
                return walk(strtoull(argv[2], NULL, 10), true, &m) ? 1 : 0;
        else
                return unit_run("decide", tests, argc > 1 ? argv[1] : NULL);
        (void)fputs(ts_str_cstr(&s), stdout);
        return 0;
}
