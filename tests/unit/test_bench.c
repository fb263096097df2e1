/* bench/: what a scenario's parameters may be, what a report says as figures, how words are split. The loop itself is run with real engines (bench/all). */
#include "tests/unit/unit.h"

#include "bench/internal.h"

#include <math.h>

static struct ts_err err = TS_ERR_INIT;

static const struct ts_scenario_parameter parameters[] = {
        { "rows", "100,500", "10", "rows" },
        { "image", NULL, NULL, "the image" },
        { NULL, NULL, NULL, NULL },
};
static const struct ts_scenario scenario = { "some", "a scenario", parameters, NULL };

struct made {
        struct ts_bench_opts o;
        struct ts_bench b;
        struct ts_list set;
};

static void make(struct made *m, bool quick, const char *words)
{
        *m = (struct made){ .o = { .quick = quick } };
        UNIT_OK(ts_list_words(&m->set, words, &err));
        m->o.set = &m->set;
        m->b.o = &m->o;
        m->b.scenario = &scenario;
}

static void drop(struct made *m)
{
        ts_list_clear(&m->set);
        ts_list_clear(&m->b.values);
}

static void parameters_and_their_defaults(void)
{
        struct made m;
        double v[4];
        size_t n = 0;
        uint64_t u = 0;

        make(&m, false, "image=x=y network=lan");
        UNIT_OK(ts_params_set(&m.b, &err));
        UNIT_STR(ts_param(&m.b, "image"), "x=y");
        UNIT_STR(ts_param(&m.b, "network"), "lan");
        UNIT_STR(ts_param(&m.b, "address"), "");
        UNIT_OK(ts_param_u64(&m.b, "runs", &u, &err));
        CU_ASSERT_EQUAL(u, 10);
        UNIT_OK(ts_param_numbers(&m.b, "rows", v, 4, &n, &err));
        CU_ASSERT_TRUE(n == 2 && v[0] == 100 && v[1] == 500);
        UNIT_FAILS(ts_param_numbers(&m.b, "rows", v, 1, &n, &err), TS_EUSAGE);
        UNIT_FAILS(ts_param_u64(&m.b, "image", &u, &err), TS_EUSAGE);
        drop(&m);
        make(&m, true, "image=x");
        UNIT_OK(ts_params_set(&m.b, &err));
        UNIT_STR(ts_param(&m.b, "rows"), "10");
        UNIT_STR(ts_param(&m.b, "runs"), "1");
        drop(&m);
}

static void refused(const char *words, const char *message)
{
        struct made m;

        make(&m, false, words);
        CU_ASSERT_EQUAL(ts_params_set(&m.b, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_EUSAGE);
        UNIT_STR(ts_err_message(&err), message);
        ts_err_clear(&err);
        drop(&m);
}

static void bad_parameters(void)
{
        static const char *const lists[] = { "rows=", "rows=1,,x", "rows=nan", "rows=inf", "rows=-1", "rows=1x" };

        refused("rows=1", "some needs the parameter 'image': the image");
        refused("image=x row=1", "some has no parameter 'row'; did you mean 'rows'?");
        refused("image=x unheard-of=1", "some has no parameter 'unheard-of'");
        refused("image", "--set: 'image' is not NAME=VALUE");
        for (size_t i = 0; i < TS_ARRAY_LEN(lists); i++) {
                struct made m;
                double v[4];
                size_t n;

                make(&m, false, lists[i]);
                UNIT_OK(ts_list_words(&m.set, "image=x", &err));
                UNIT_OK(ts_params_set(&m.b, &err));
                UNIT_FAILS(ts_param_numbers(&m.b, "rows", v, 4, &n, &err), TS_EUSAGE);
                drop(&m);
        }
}

static void scenarios_are_well_formed(void)
{
        ts_auto_str text = TS_STR_INIT;

        for (const struct ts_scenario *s = ts_scenarios; s->name; s++) {
                bool has_axis = !s->plan->axis;

                CU_ASSERT_TRUE(*s->summary && s->plan->ways && s->plan->begin && s->plan->check);
                CU_ASSERT_TRUE(!s->plan->axis == !s->plan->label);
                CU_ASSERT_PTR_EQUAL(ts_scenario_find(s->name, &err), s);
                for (const struct ts_scenario_parameter *p = s->parameters; p->name; p++) {
                        has_axis |= s->plan->axis && !strcmp(p->name, s->plan->axis);
                        CU_ASSERT_TRUE(*p->help != '\0');
                        for (const struct ts_scenario_parameter *q = ts_common_parameters; q->name; q++)
                                CU_ASSERT_TRUE(strcmp(p->name, q->name) != 0);
                }
                CU_ASSERT_TRUE(has_axis);
        }
        CU_ASSERT_PTR_NULL(ts_scenario_find("mysql-row", &err));
        UNIT_STR(ts_err_message(&err), "no scenario 'mysql-row'; did you mean 'mysql-rows'?");
        ts_err_clear(&err);
        UNIT_OK(ts_scenarios_text(&text, &err));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&text), "memory-sweep"));
}

/* ---- figures ---- */

static bool is(const struct ts_json *sample, const char *figure, double value)
{
        return fabs(ts_get_figure(sample, figure) - value) < 1e-9;
}

static struct ts_json *report_of(unsigned answered)
{
        struct ts_report r;
        struct ts_json *j;

        ts_report_init(&r);
        r.t0_us = 1000000;
        r.prepare_from_us = 2000000;
        r.frozen_from_us = 5000000;
        r.running_at_us = 7500000;
        r.end_us = 9000000;
        r.phases[r.n_phases++] = (struct ts_report_phase){ "pre-copy", 1000000, 3000000, 1000, false };
        r.phases[r.n_phases++] = (struct ts_report_phase){ "checkpoint", 4000000, 1500000, 10, true };
        r.phases[r.n_phases++] = (struct ts_report_phase){ "transfer", 5500000, 100000, 20, true };
        r.phases[r.n_phases++] = (struct ts_report_phase){ "restore", 5600000, 700000, 0, true };
        ts_report_frozen(&r, 400000);
        ts_report_frozen(&r, 100000);
        r.bytes.wire_sent = 77;
        r.outcome = TS_OUT_MOVED;
        r.probed = true;
        r.probe = (struct ts_probe_stats){ .kind = "tcp", .sent = 5, .answered = answered, .longest_gap_us = 2750000 };
        j = ts_report_json(&r);
        ts_report_clear(&r);
        return j;
}

static void a_report_as_figures(void)
{
        ts_auto(ts_json) struct ts_json *report = report_of(4);
        ts_auto(ts_json) struct ts_json *unseen = report_of(0);
        ts_auto(ts_json) struct ts_json *sample = ts_json_object();
        ts_auto(ts_json) struct ts_json *nothing = ts_json_object();

        UNIT_OK(ts_report_figures(report, false, sample, &err));
        CU_ASSERT_TRUE(is(sample, "downtime_s", 2.5) && is(sample, "migration_s", 5.5) && is(sample, "checkpoint_s", 1.5) && is(sample, "restore_s", 0.7));
        CU_ASSERT_TRUE(is(sample, "client_gap_s", 2.75) && is(sample, "gap_difference_s", 0.25));
        CU_ASSERT_TRUE(is(sample, "frozen_bytes", 30) && is(sample, "frozen_before_s", 0.5) && is(sample, "rounds", 2) && is(sample, "sent_bytes", 77));
        CU_ASSERT_TRUE(isnan(ts_get_figure(sample, "archive_bytes")) && isnan(ts_get_figure(sample, "a_before_bytes")));
        UNIT_FAILS(ts_report_figures(nothing, false, sample, &err), TS_EPROTO);
        UNIT_FAILS(ts_report_figures(unseen, false, sample, &err), TS_EIO); /* nobody saw it move */
}

/* Of whom it is goes by the direction; when, by the engine's calls. */
static void memory_in_both_directions(void)
{
        static const struct { uint64_t t_us, used[2]; } looked[] = { { 0, { 10, 50 } }, { 3900000, { 11, 51 } }, { 5550000, { 12, 52 } }, { 6400000, { 13, 53 } } };
        struct ts_report r;
        ts_auto(ts_json) struct ts_json *report = NULL;

        ts_report_init(&r);
        r.outcome = TS_OUT_MOVED;
        r.phases[r.n_phases++] = (struct ts_report_phase){ "checkpoint", 4000000, 1500000, 10, true };
        r.phases[r.n_phases++] = (struct ts_report_phase){ "restore", 5600000, 700000, 0, true };
        r.resources = calloc(2 * TS_ARRAY_LEN(looked), sizeof(*r.resources));
        CU_ASSERT_PTR_NOT_NULL_FATAL(r.resources);
        for (size_t i = 0; i < TS_ARRAY_LEN(looked); i++)
                for (int target = 0; target < 2; target++)
                        r.resources[r.n_resources++] = (struct ts_resource){ .t_us = looked[i].t_us, .target = target != 0, .mem_used_bytes = looked[i].used[target], .phase = "" };
        report = ts_report_json(&r);
        ts_report_clear(&r);
        for (int from_b = 0; from_b < 2; from_b++) {
                ts_auto(ts_json) struct ts_json *sample = ts_json_object();

                UNIT_OK(ts_report_figures(report, from_b != 0, sample, &err));
                CU_ASSERT_TRUE(is(sample, from_b ? "b_before_bytes" : "a_before_bytes", 10) && is(sample, from_b ? "b_after_bytes" : "a_after_bytes", 13));
                CU_ASSERT_TRUE(is(sample, from_b ? "a_before_bytes" : "b_before_bytes", 50) && is(sample, from_b ? "a_after_bytes" : "b_after_bytes", 53));
                CU_ASSERT_TRUE(is(sample, "source_before_bytes", 11) && is(sample, "source_after_bytes", 12));
                CU_ASSERT_TRUE(is(sample, "target_before_bytes", 52) && is(sample, "target_after_bytes", 53));
        }
}

static void known_figures(void)
{
        for (const struct ts_figure_kind *k = ts_figure_kinds; k->name; k++) {
                CU_ASSERT_PTR_EQUAL(ts_figure_kind(k->name), k); /* no name twice */
                CU_ASSERT_TRUE(*k->label && k->scale > 0);
        }
        CU_ASSERT_PTR_NULL(ts_figure_kind("nothing"));
}

/* ---- a program beside a move ---- */

struct heard {
        unsigned n;
        char last[64];
};

static void hear(void *ctx, uint64_t now_us, const char *line)
{
        struct heard *h = ctx;

        CU_ASSERT_TRUE(now_us > 0);
        h->n++;
        (void)snprintf(h->last, sizeof(h->last), "%.60s", line);
}

static void a_program_beside(void)
{
        ts_auto_list argv = TS_LIST_INIT, nothing = TS_LIST_INIT;
        struct heard h = { 0 };
        struct ts_beside s;

        UNIT_OK(ts_list_words(&argv, "sh -c", &err));
        UNIT_OK(ts_list_add(&argv, "echo one; printf '%5000s\\n' x; echo three; exec sleep 60", &err));
        UNIT_OK(ts_beside_start(&s, &argv, hear, &h, &err));
        for (int i = 0; i < 500 && __atomic_load_n(&h.n, __ATOMIC_SEQ_CST) < 3; i++)
                ts_sleep_ms(10);
        ts_beside_stop(&s);
        CU_ASSERT_EQUAL(h.n, 3);
        UNIT_STR(h.last, "three");
        ts_beside_stop(&s); /* twice is once */
        UNIT_OK(ts_list_words(&nothing, "/does/not/exist", &err));
        UNIT_OK(ts_beside_start(&s, &nothing, hear, &h, &err)); /* it says so itself, and ends */
        ts_beside_stop(&s);
}

/* ---- an engine for one experiment ---- */

static void held_by(struct ts_bench_end *e, const char *socket)
{
        UNIT_OK(ts_host_local(&e->host, &err));
        e->socket = ts_strdup0(socket);
}

static void an_engine_is_held(void)
{
        struct ts_bench_end first = { .letter = "a", .spec = "first" }, second = { .letter = "b", .spec = "second" }, other = { .letter = "b", .spec = "other" };
        char dir[] = "/tmp/tranship-bench-test-XXXXXX";

        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        held_by(&first, "/run/an.sock");
        held_by(&second, "/run/an.sock");
        held_by(&other, "/run/other.sock");
        UNIT_OK(ts_bench_end_hold(&first, dir, &err));
        UNIT_OK(ts_bench_end_hold(&first, dir, &err)); /* it has it */
        CU_ASSERT_EQUAL(ts_bench_end_hold(&second, dir, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_ECONFLICT);
        UNIT_STR(ts_err_message(&err), "another experiment is under way with the engine of second");
        ts_err_clear(&err);
        UNIT_OK(ts_bench_end_hold(&other, dir, &err)); /* another engine of that host */
        ts_bench_end_close(&first);
        ts_bench_end_close(&second);
        held_by(&second, "/run/an.sock");
        UNIT_OK(ts_bench_end_hold(&second, dir, &err));
        ts_bench_end_close(&second);
        ts_bench_end_close(&other);
        held_by(&first, "/run/an.sock");
        UNIT_FAILS(ts_bench_end_hold(&first, "/does/not/exist", &err), TS_ECOMMAND);
        ts_bench_end_close(&first);
        for (size_t i = 0; i < 2; i++) {
                ts_auto_free char *path = ts_fmt("%s/tranship-bench-run-%s.sock.lock", dir, i ? "other" : "an");

                CU_ASSERT_EQUAL(unlink(path), 0);
        }
        CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static CU_TestInfo tests[] = {
        UNIT(parameters_and_their_defaults), UNIT(bad_parameters), UNIT(scenarios_are_well_formed), UNIT(a_report_as_figures), UNIT(memory_in_both_directions), UNIT(known_figures), UNIT(a_program_beside), UNIT(an_engine_is_held), CU_TEST_INFO_NULL,
};
UNIT_MAIN("bench", tests)
