/* The result of an experiment: what a file says comes back, hostile files are refused, what its samples say together, as text and as CSV. */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "bench/result.h"
#include "bench/result_text.h"
#include "bench/summary.h"

#include <math.h>

static struct ts_err err = TS_ERR_INIT;

static const char good[] =
        "{\"schema\":\"tranship.bench/1\",\"scenario\":\"mysql-rows\",\"started_at\":\"2026-11-26T12:00:00Z\",\"seconds\":81.5,\"tool_version\":\"1.0.0\","
        "\"commit\":\"6d5cc19\",\"quick\":true,\"parameters\":{\"rows\":\"100 500\",\"runs\":\"2\"},"
        "\"axis\":{\"name\":\"rows\",\"label\":\"Rows in the database\",\"unit\":\"\"},"
        "\"hosts\":[{\"side\":\"a\",\"name\":\"alpha\",\"engine\":\"Podman\",\"version\":\"5.4.2\",\"runtime\":\"runc 1.3\",\"criu\":\"4.2.1\",\"kernel\":\"6.18\","
        "\"cpu\":\"Some CPU\",\"cpus\":2,\"memory_bytes\":2000000000},{\"side\":\"b\",\"cpu\":\"Other CPU\"},"
        "{\"side\":\"client\",\"name\":\"here\",\"engine\":\"\",\"kernel\":\"6.18\",\"cpu\":\"Some CPU\",\"cpus\":2,\"memory_bytes\":2000000000}],"
        "\"environments\":[{\"name\":\"lan\",\"how\":\"as it is\",\"rtt_us\":200,\"bytes_per_s\":1e8}],"
        "\"samples\":["
        "{\"series\":\"tls\",\"environment\":\"lan\",\"direction\":\"a-b\",\"run\":-1,\"at_us\":1,\"x\":100,\"figures\":{\"downtime_s\":99}},"
        "{\"series\":\"tls\",\"environment\":\"lan\",\"direction\":\"a-b\",\"run\":0,\"at_us\":2,\"x\":100,\"figures\":{\"downtime_s\":1.0,\"sent_bytes\":2000000,\"odd\":7},"
        "\"report\":{\"schema\":\"tranship.report/1\",\"outcome\":\"moved\",\"phases\":[{\"name\":\"checkpoint\",\"start_us\":5,\"duration_us\":6,\"frozen\":true}]},"
        "\"responses\":[[-1000000,2.5,100],[0,3,90.5]]},"
        "{\"series\":\"tls\",\"environment\":\"lan\",\"direction\":\"b-a\",\"run\":1,\"at_us\":3,\"x\":100,\"figures\":{\"downtime_s\":3.0,\"sent_bytes\":4000000}},"
        "{\"series\":\"ssh\",\"environment\":\"lan\",\"direction\":\"a-b\",\"run\":0,\"at_us\":4,\"x\":500,\"figures\":{\"downtime_s\":5}},"
        "{\"run\":0,\"figures\":{}}"
        "]}";

static struct ts_json *parsed(const char *text)
{
        struct ts_json *j = NULL;

        UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
        return j;
}

static struct ts_result sample(void)
{
        ts_auto(ts_json) struct ts_json *j = parsed(good);
        struct ts_result r = { 0 };

        CU_ASSERT_TRUE(ts_is_result(j));
        UNIT_OK(ts_result_from_json(j, &r, &err));
        return r;
}

static void reads_all(void)
{
        ts_auto_result r = sample();

        UNIT_STR(r.scenario, "mysql-rows");
        UNIT_STR(r.commit, "6d5cc19");
        CU_ASSERT_TRUE(r.quick && r.seconds == 81.5);
        UNIT_STR(r.axis_label, "Rows in the database");
        CU_ASSERT_EQUAL_FATAL(r.n_hosts, 3);
        UNIT_STR(r.hosts[0].kernel, "6.18");
        CU_ASSERT_TRUE(r.hosts[0].cpus == 2 && r.hosts[0].memory_bytes == 2000000000 && !r.hosts[1].engine);
        CU_ASSERT_TRUE(r.n_environments == 1 && r.environments[0].rtt_us == 200 && r.environments[0].bytes_per_s == 1e8);
        UNIT_STR(ts_result_parameter(&r, "runs"), "2");
        CU_ASSERT_PTR_NULL(ts_result_parameter(&r, "run"));
        CU_ASSERT_EQUAL_FATAL(r.n_samples, 5);
        CU_ASSERT_TRUE(r.samples[0].run == TS_RESULT_WARM_UP && r.samples[0].has_x && r.samples[0].x == 100);
        CU_ASSERT_PTR_NULL(r.samples[0].report);
        CU_ASSERT_PTR_NOT_NULL_FATAL(r.samples[1].report);
        CU_ASSERT_EQUAL(r.samples[1].report->n_phases, 1);
        CU_ASSERT_TRUE(r.samples[1].n_responses == 2 && r.samples[1].responses[0].t_us == -1000000 && r.samples[1].responses[1].per_s == 90.5);
        CU_ASSERT_TRUE(*ts_sample_figure(&r.samples[1], "odd") == 7);
        CU_ASSERT_PTR_NULL(ts_sample_figure(&r.samples[1], "migration_s"));
        UNIT_STR(r.samples[4].series, "");
        CU_ASSERT_FALSE(r.samples[4].has_x);
        ts_result_clear(NULL);
}

/* `good` with one piece of it changed. */
static struct ts_json *changed(const char *from, const char *to)
{
        const char *at = strstr(good, from);
        ts_auto_free char *text = NULL;

        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        text = ts_fmt("%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
        return parsed(text);
}

static void hostile_files(void)
{
        static const struct {
                const char *from, *to;
        } cases[] = {
                { "tranship.bench/1", "tranship.bench/2" },
                { "\"scenario\":\"mysql-rows\",", "" },
                { "\"mysql-rows\"", "7" },
                { "\"mysql-rows\"", "\"../x\"" },
                { "\"mysql-rows\"", "\"\"" },
                { "81.5", "\"81\"" },
                { "81.5", "-1" },
                { "\"quick\":true", "\"quick\":1" },
                { "{\"rows\":\"100 500\",\"runs\":\"2\"}", "[]" },
                { "\"100 500\"", "100" },
                { "{\"name\":\"rows\",\"label\"", "{\"label\"" },
                { "{\"name\":\"rows\",", "{\"name\":[]," },
                { "\"axis\":{\"name\":\"rows\",\"label\":\"Rows in the database\",\"unit\":\"\"}", "\"axis\":\"rows\"" },
                { "\"cpus\":2", "\"cpus\":-2" },
                { "\"cpus\":2", "\"cpus\":2.5" },
                { "\"memory_bytes\":2000000000", "\"memory_bytes\":18446744073709551615" },
                { "{\"side\":\"b\",\"cpu\":\"Other CPU\"}", "\"b\"" },
                { "\"rtt_us\":200", "\"rtt_us\":\"fast\"" },
                { "\"bytes_per_s\":1e8", "\"bytes_per_s\":1e300" },
                { "\"run\":-1", "\"run\":-2" },
                { "\"run\":-1", "\"run\":0.5" },
                { "\"run\":-1,", "" },
                { "\"at_us\":1,", "\"at_us\":-1," },
                { "\"x\":100", "\"x\":\"100\"" },
                { "{\"downtime_s\":99}", "[]" },
                { "{\"downtime_s\":99}", "{\"a b\":1}" },
                { "{\"downtime_s\":99}", "{\"\":1}" },
                { "{\"downtime_s\":99}", "{\"downtime_s\":null}" },
                { "{\"downtime_s\":99}", "{\"downtime_s\":\"1\"}" },
                { "{\"downtime_s\":99}", "{\"downtime_s\":-1e200}" },
                { ",\"figures\":{}", "" },
                { "\"outcome\":\"moved\"", "\"outcome\":\"triumph\"" },
                { "\"report\":{", "\"report\":7,\"x2\":{" },
                { "[-1000000,2.5,100]", "[-1000000,2.5]" },
                { "[-1000000,2.5,100]", "[0.5,2.5,1]" },
                { "[-1000000,2.5,100]", "[0,\"2.5\",1]" },
                { "[-1000000,2.5,100]", "[0,1,2,3]" },
                { "[-1000000,2.5,100]", "7" },
                { "\"samples\":[", "\"samples\":[7," },
                { "\"samples\":[", "\"samplers\":[" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto(ts_json) struct ts_json *j = changed(cases[i].from, cases[i].to);
                struct ts_result r = { 0 };

                if (ts_result_from_json(j, &r, &err) == 0) {
                        (void)printf("\n    %s was accepted\n", cases[i].to);
                        ts_result_clear(&r);
                }
                CU_ASSERT_EQUAL(err.code, TS_EPROTO);
                ts_err_clear(&err);
        }
}

/* A result whose list `key` (with a %s for its elements) has n of them. */
static int with_many(const char *frame, const char *element, size_t n)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_str list = TS_STR_INIT, text = TS_STR_INIT;
        struct ts_result r = { 0 };
        const char *at = strchr(frame, '@');
        int rc;

        for (size_t i = 0; i < n; i++)
                UNIT_OK(ts_str_addf(&list, &err, "%s%s", i ? "," : "", element));
        UNIT_OK(ts_str_addf(&text, &err, "{\"schema\":\"tranship.bench/1\",\"scenario\":\"x\",%.*s%s%s}", (int)(at - frame), frame, ts_str_cstr(&list), at + 1));
        UNIT_OK(ts_json_parse(ts_str_cstr(&text), text.len, 0, &j, &err));
        rc = ts_result_from_json(j, &r, &err);
        ts_result_clear(&r);
        return rc;
}

static void lists_are_bounded(void)
{
        static const char sample_of[] = "\"samples\":[@]", responses[] = "\"samples\":[{\"run\":0,\"figures\":{},\"responses\":[@]}]";

        UNIT_OK(with_many(sample_of, "{\"run\":0,\"figures\":{}}", 1000));
        UNIT_FAILS(with_many(sample_of, "{\"run\":0,\"figures\":{}}", 100001), TS_ELIMIT);
        UNIT_OK(with_many(responses, "[0,0,0]", 1000));
        UNIT_FAILS(with_many(responses, "[0,0,0]", 100001), TS_ELIMIT);
        UNIT_OK(with_many("\"samples\":[],\"hosts\":[@]", "{}", 16));
        UNIT_FAILS(with_many("\"samples\":[],\"hosts\":[@]", "{}", 17), TS_ELIMIT);
        UNIT_FAILS(with_many("\"samples\":[],\"environments\":[@]", "{}", 65), TS_ELIMIT);
}

static void figures_are_bounded(void)
{
        for (int n = 64; n <= 65; n++) {
                ts_auto(ts_json) struct ts_json *j = NULL;
                ts_auto_str text = TS_STR_INIT;
                struct ts_result r = { 0 };

                UNIT_OK(ts_str_adds(&text, "{\"schema\":\"tranship.bench/1\",\"scenario\":\"x\",\"samples\":[{\"run\":0,\"figures\":{", &err));
                for (int i = 0; i < n; i++)
                        UNIT_OK(ts_str_addf(&text, &err, "%s\"f%d\":1", i ? "," : "", i));
                UNIT_OK(ts_str_adds(&text, "}}]}", &err));
                j = parsed(ts_str_cstr(&text));
                if (n == 64)
                        UNIT_OK(ts_result_from_json(j, &r, &err));
                else
                        UNIT_FAILS(ts_result_from_json(j, &r, &err), TS_ELIMIT);
                ts_result_clear(&r);
        }
}

static void names_talk_to_no_terminal(void)
{
        ts_auto(ts_json) struct ts_json *j = changed("\"alpha\"", "\"a\\u001b]0;title\\u0007\""), *k = changed("\"series\":\"ssh\"", "\"series\":\"\\u001b[31m\"");
        struct ts_result r = { 0 };

        UNIT_OK(ts_result_from_json(j, &r, &err));
        CU_ASSERT_PTR_NULL(strpbrk(r.hosts[0].name, "\x1b\x07"));
        ts_result_clear(&r);
        UNIT_OK(ts_result_from_json(k, &r, &err));
        CU_ASSERT_PTR_NULL(strchr(r.samples[3].series, '\x1b'));
        ts_result_clear(&r);
}

static void said_together(void)
{
        ts_auto_result r = sample();
        ts_auto_summary s = { 0 };
        const struct ts_summary_row *rows;
        size_t n = 0;

        UNIT_OK(ts_summary(&r, &s, &err));
        CU_ASSERT_TRUE(s.n_counted == 4 && s.n_warm_ups == 1 && s.n_rows == 4 && s.least_n == 1);
        CU_ASSERT_TRUE(s.n_series == 3 && s.n_environments == 2);
        rows = ts_summary_figure(&s, "downtime_s", &n);
        CU_ASSERT_EQUAL_FATAL(n, 2);
        CU_ASSERT_TRUE(rows[0].stats.n == 2 && rows[0].stats.median == 2 && rows[0].x == 100 && rows[1].x == 500);
        rows = ts_summary_figure(&s, "sent_bytes", &n);
        CU_ASSERT_EQUAL_FATAL(n, 1);
        CU_ASSERT_TRUE(fabs(rows->stats.median - 3) < 1e-9); /* MB */
        rows = ts_summary_figure(&s, "odd", &n);
        CU_ASSERT_TRUE(n == 1 && !rows->kind && rows->stats.median == 7);
        CU_ASSERT_PTR_NULL(ts_summary_figure(&s, "none", &n));
        UNIT_STR(ts_figure_label("downtime_s"), "Downtime");
        UNIT_STR(ts_figure_unit("odd"), "");
}

static void has(const char *text, const char *part)
{
        if (!strstr(text, part))
                (void)printf("\n    '%s' is not in:\n%s", part, text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static void text_says_it(void)
{
        ts_auto_result r = sample();
        ts_auto_str text = TS_STR_INIT, narrow = TS_STR_INIT, colour = TS_STR_INIT, alike = TS_STR_INIT;

        UNIT_OK(ts_result_text(&r, false, 120, &text, &err));
        has(ts_str_cstr(&text), "mysql-rows  2026-11-26T12:00:00Z  tranship 1.0.0, commit 6d5cc19\n");
        has(ts_str_cstr(&text), "4 samples and 1 warm-ups, which do not count");
        has(ts_str_cstr(&text), "the figures mean nothing");
        has(ts_str_cstr(&text), "n < 10: no claim");
        has(ts_str_cstr(&text), "host a alpha: Podman 5.4.2, runc 1.3, CRIU 4.2.1, Linux 6.18, 2 x Some CPU, 2.0 GB\n");
        has(ts_str_cstr(&text), "host client here: Linux 6.18, 2 x Some CPU, 2.0 GB\n");
        has(ts_str_cstr(&text), "the client has the same processor, kernel and memory as a host");
        CU_ASSERT_PTR_NULL(strstr(ts_str_cstr(&text), "both hosts have the same"));
        free(r.hosts[1].cpu);
        free(r.hosts[1].kernel);
        r.hosts[1].cpu = ts_strdup0(r.hosts[0].cpu);
        r.hosts[1].kernel = ts_strdup0(r.hosts[0].kernel);
        r.hosts[1].memory_bytes = r.hosts[0].memory_bytes;
        UNIT_OK(ts_result_text(&r, false, 120, &alike, &err));
        has(ts_str_cstr(&alike), "both hosts have the same processor, kernel and memory");
        has(ts_str_cstr(&text), "environment lan: as it is; round trip 0.2 ms; 100 MB/s\n");
        has(ts_str_cstr(&text), "parameters: rows = 100 500, runs = 2\n");
        has(ts_str_cstr(&text), "Downtime [s]\n");
        has(ts_str_cstr(&text), "tls, lan");
        has(ts_str_cstr(&text), "1.000 - 3.000");
        has(ts_str_cstr(&text), "--format csv: odd\n");
        CU_ASSERT_PTR_NULL(strstr(ts_str_cstr(&text), "99"));
        UNIT_OK(ts_result_text(&r, false, 60, &narrow, &err));
        CU_ASSERT_PTR_NULL(strstr(ts_str_cstr(&narrow), "least"));
        UNIT_OK(ts_result_text(&r, true, 80, &colour, &err));
        CU_ASSERT_PTR_NOT_NULL(strchr(ts_str_cstr(&colour), '\033'));
        CU_ASSERT_PTR_NULL(strchr(ts_str_cstr(&text), '\033'));
}

static void csv_is_long(void)
{
        ts_auto(ts_json) struct ts_json *j = changed("\"series\":\"ssh\"", "\"series\":\"a,\\\"b\\\"\"");
        ts_auto_result r = { 0 };
        ts_auto_str text = TS_STR_INIT;

        UNIT_OK(ts_result_from_json(j, &r, &err));
        UNIT_OK(ts_result_csv(&r, true, &text, &err));
        UNIT_STR(ts_str_cstr(&text), "scenario,environment,series,x,direction,run,figure,value,unit\n"
                                     "mysql-rows,lan,tls,100,a-b,0,downtime_s,1,s\n"
                                     "mysql-rows,lan,tls,100,a-b,0,sent_bytes,2,MB\n"
                                     "mysql-rows,lan,tls,100,a-b,0,odd,7,\n"
                                     "mysql-rows,lan,tls,100,b-a,1,downtime_s,3,s\n"
                                     "mysql-rows,lan,tls,100,b-a,1,sent_bytes,4,MB\n"
                                     "mysql-rows,lan,\"a,\"\"b\"\"\",500,a-b,0,downtime_s,5,s\n");
}

static void nothing_measured(void)
{
        ts_auto(ts_json) struct ts_json *j = parsed("{\"schema\":\"tranship.bench/1\",\"scenario\":\"x\",\"samples\":[]}");
        ts_auto_result r = { 0 };
        ts_auto_str text = TS_STR_INIT, csv = TS_STR_INIT;

        UNIT_OK(ts_result_from_json(j, &r, &err));
        UNIT_OK(ts_result_text(&r, false, 80, &text, &err));
        has(ts_str_cstr(&text), "nothing was measured");
        UNIT_OK(ts_result_csv(&r, false, &csv, &err));
        CU_ASSERT_EQUAL(csv.len, 0);
}

static CU_TestInfo tests[] = {
        UNIT(reads_all),     UNIT(hostile_files), UNIT(lists_are_bounded), UNIT(figures_are_bounded), UNIT(names_talk_to_no_terminal),
        UNIT(said_together), UNIT(text_says_it),  UNIT(csv_is_long),       UNIT(nothing_measured),    CU_TEST_INFO_NULL,
};
UNIT_MAIN("result", tests)
