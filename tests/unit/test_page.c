/* Charts and the page: names from hostile files are neither commands for gnuplot nor HTML, published figures are read as they stand, a page holds together. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "bench/chart_priv.h"
#include "bench/html.h"
#include "bench/page.h"
#include "bench/published.h"

#include <math.h>
#include <unistd.h>

static struct ts_err err = TS_ERR_INIT;

static const char *const hostile[] = {
        "`touch %s`", "'; system 'touch %s' #", "'.system('touch %s').'", "\"; system \"touch %s\"", "@touch %s", "$(touch %s)", "\\'; !touch %s", "x' title '`touch %s`", "| touch %s", "<%s", "''''; system 'touch %s'", "a''''b; system 'touch %s'", "\"`touch %s`\"",
};

static bool have_gnuplot(void)
{
        const char *path = getenv("PATH");
        ts_auto_free char *all = strdup(path ? path : ""), *file = NULL;

        for (char *rest = all, *dir; all && (dir = strsep(&rest, ":"));) {
                free(file);
                file = ts_fmt("%s/gnuplot", dir);
                if (file && access(file, X_OK) == 0)
                        return true;
        }
        CU_ASSERT_PTR_NULL(getenv("CI")); /* there what is left out has failed */
        return false;
}

static void quoted(const char *text, size_t max, const char *want)
{
        ts_auto_str s = TS_STR_INIT;

        UNIT_OK(ts_gnuplot_quote(&s, text, max, &err));
        UNIT_STR(ts_str_cstr(&s), want);
}

static void texts_are_quoted(void)
{
        quoted("", 0, "''");
        quoted("it's", 0, "'it’s'");
        quoted("''", 0, "'’’'");
        quoted("a\nb\tc\x7f", 0, "'a b c '");
        quoted("`x` \"y\" \\", 0, "'`x` \"y\" \\'");
        quoted("abcdef", 3, "'abc…'");
        quoted("äöü", 3, "'äöü'");
        quoted("äöüß", 3, "'äöü…'");
}

/* A result every one of whose names would make a file if anybody ran it. */
static int hostile_result(const char *mark, const char *name, struct ts_result *ret)
{
        ts_auto(ts_json) struct ts_json *j = NULL, *sample = NULL, *samples = ts_json_array();
        static const char text[] = "{\"schema\":\"tranship.bench/1\",\"scenario\":\"load\",\"samples\":[]}",
                          one[] = "{\"run\":0,\"x\":1,\"figures\":{\"downtime_s\":1,\"migration_s\":2},\"responses\":[[0,1,1],[1000000,2,2]],"
                                  "\"report\":{\"schema\":\"tranship.report/1\",\"outcome\":\"moved\",\"phases\":[{\"name\":\"arm\",\"start_us\":0,\"duration_us\":9,\"frozen\":true}]}}";
        ts_auto_free char *evil = NULL;
        ts_auto_str s = TS_STR_INIT;
        const char *at = strstr(name, "%s");

        UNIT_OK(ts_str_addf(&s, &err, "%.*s%s%s", (int)(at - name), name, mark, at + 2));
        evil = ts_str_take(&s);
        UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
        UNIT_OK(ts_json_parse(one, strlen(one), 0, &sample, &err));
        for (int x = 1; x <= 2; x++) {
                struct ts_json *copy = ts_json_copy(sample);
                int bad = ts_json_set_str(copy, "series", evil) | ts_json_set_str(copy, "environment", x == 1 ? evil : "b") | ts_json_set_int(copy, "x", x);

                CU_ASSERT_EQUAL(bad | ts_json_append(samples, copy), 0);
                copy = ts_json_copy(sample);
                bad = ts_json_set_str(copy, "series", evil) | ts_json_set_str(copy, "environment", evil) | ts_json_set_int(copy, "x", x);
                CU_ASSERT_EQUAL(bad | ts_json_append(samples, copy), 0);
        }
        struct ts_json *axis = ts_json_object();
        int bad = ts_json_set_str(axis, "name", evil) | ts_json_set_str(axis, "label", evil) | ts_json_set_str(axis, "unit", evil);

        CU_ASSERT_EQUAL(bad | ts_json_set(j, "axis", axis) | ts_json_set(j, "samples", TS_TAKE(samples)), 0);
        return ts_result_from_json(j, ret, &err);
}

static void names_are_no_commands(void)
{
        char dir[] = "/tmp/test_page_XXXXXX";
        ts_auto_free char *mark = NULL;

        if (!have_gnuplot())
                return;
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        mark = ts_fmt("%s/x", dir);
        for (size_t i = 0; i < TS_ARRAY_LEN(hostile); i++) {
                ts_auto_result r = { 0 };
                ts_auto_str page = TS_STR_INIT;

                UNIT_OK(hostile_result(mark, hostile[i], &r));
                UNIT_OK(ts_page_html(&(struct ts_page_part){ .file = hostile[i], .result = &r }, 1, &page, &err));
                CU_ASSERT_NOT_EQUAL(access(mark, F_OK), 0);
                CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&page), "<svg"));
        }
        (void)unlink(mark);
        (void)rmdir(dir);
}

static void gnuplot_fails(void)
{
        ts_auto_str script = TS_STR_INIT, out = TS_STR_INIT;

        if (!have_gnuplot())
                return;
        UNIT_OK(ts_str_adds(&script, "plot nonsense(x\n", &err));
        UNIT_FAILS(ts_gnuplot_draw(&script, TS_CHART_SVG, 100, 100, &out, &err), TS_ECOMMAND);
        CU_ASSERT_EQUAL(out.len, 0);
}

static void gnuplot_is_missing(void)
{
        ts_auto_free char *path = ts_strdup0(getenv("PATH"));
        ts_auto_str script = TS_STR_INIT, out = TS_STR_INIT;

        CU_ASSERT_EQUAL(setenv("PATH", "/nowhere", 1), 0);
        CU_ASSERT_EQUAL(ts_gnuplot_draw(&script, TS_CHART_SVG, 100, 100, &out, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_ENOTFOUND);
        UNIT_STR(err.hint, "install gnuplot-nox");
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(setenv("PATH", path ? path : "", 1), 0);
}

static void html_is_escaped(void)
{
        ts_auto_str s = TS_STR_INIT;

        UNIT_OK(ts_html_add(&s, &err, "<b>%s</b>%s", "<i>&\"'", "x"));
        UNIT_STR(ts_str_cstr(&s), "<b>&lt;i&gt;&amp;&quot;&#39;</b>x");
}

static void svg_is_checked(void)
{
        static const char *const bad[] = {
                "",
                "<svg>",
                "<svg viewBox=\"0 0 1 1\"><script>x</script></svg>",
                "<svg viewBox=\"0 0 1 1\"><g onload=\"x\"><path/></g></svg>",
                "<svg viewBox=\"0 0 1 1\"><g ONLOAD=\"x\"><path/></g></svg>",
                "<svg viewBox=\"0 0 1 1\"><foreignObject></foreignObject></svg>",
                "<svg viewBox=\"0 0 1 1\"><image href=\"http://x\"/></svg>",
                "<svg viewBox=\"0 0 1 1\"><a href=\"x\"></a></svg>",
                "<svg viewBox=\"0 0 1 1\"><g x=\"",
                "<svg viewBox=\"0 0 1 1\"><style>x</style></svg>",
                "<svg viewBox=\"0 0 1 1\"><title>",
        };
        ts_auto_str good = TS_STR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                ts_auto_str s = TS_STR_INIT;

                UNIT_FAILS(ts_html_svg(&s, bad[i], "p-", "x", &err), TS_EPROTO);
        }
        UNIT_OK(ts_html_svg(&good,
                            "<?xml version=\"1.0\"?>\n<svg viewBox=\"0 0 9 8\" x=\"1\">\n<title>Gnuplot</title><rect width=\"9\"/><defs><path id='a' stroke='black'/></defs><filter id='f'><feFlood/></filter>"
                            "<g fill=\"none\">\n</g><g color=\"black\"><use xlink:href='#a'/><text>a&lt;b on c</text></g></svg>\n",
                            "p-", "a \"b\"", &err));
        UNIT_STR(ts_str_cstr(&good), "<svg role=\"img\" aria-label=\"a &quot;b&quot;\" viewBox=\"0 0 9 8\">\n<defs><path id='p-a' stroke='currentColor'/></defs>"
                                     "<g><use href='#p-a'/><text>a&lt;b on c</text></g></svg>\n");
}

static void csv_is_read(void)
{
        struct ts_csv *csv = calloc(1, sizeof(*csv));
        ts_auto_str many = TS_STR_INIT;
        double d = 0;

        CU_ASSERT_PTR_NOT_NULL_FATAL(csv);
        UNIT_OK(ts_csv_parse("a,b\n1,\n2,x\n", 11, csv, &err));
        CU_ASSERT_TRUE(csv->rows == 2 && csv->columns == 2 && ts_csv_column(csv, "b") == 1 && ts_csv_column(csv, "c") == 2);
        CU_ASSERT_TRUE(ts_csv_number(csv->cells[1][0], &d) && d == 1 && !ts_csv_number(csv->cells[1][1], &d) && !ts_csv_number(csv->cells[2][1], &d));
        ts_csv_clear(csv);
        UNIT_FAILS(ts_csv_parse("", 0, csv, &err), TS_EPROTO);
        UNIT_FAILS(ts_csv_parse("a,b\n1\n", 6, csv, &err), TS_EPROTO);
        UNIT_FAILS(ts_csv_parse("\"a\"\n", 4, csv, &err), TS_EPROTO);
        for (int i = 0; i < 402; i++)
                UNIT_OK(ts_str_adds(&many, "1\n", &err));
        UNIT_FAILS(ts_csv_parse(ts_str_cstr(&many), many.len, csv, &err), TS_ELIMIT);
        free(csv);
}

/* Every row of the table names a file that is there, and columns that it has. */
static void published_table_holds(void)
{
        struct ts_csv *csv = calloc(1, sizeof(*csv));
        const char *text = NULL;
        size_t len = 0, n = 0;

        CU_ASSERT_PTR_NOT_NULL_FATAL(csv);
        for (const struct ts_published *p = ts_published; p->scenario; p++, n++) {
                UNIT_OK(ts_published_file(p->file, &text, &len, &err));
                UNIT_OK(ts_csv_parse(text, len, csv, &err));
                CU_ASSERT_TRUE(!p->x || ts_csv_column(csv, p->x) < csv->columns);
                for (size_t i = 0; i < 2 && p->groups[i]; i++)
                        CU_ASSERT_TRUE(ts_csv_column(csv, p->groups[i]) < csv->columns);
                for (size_t i = 0; i < TS_PUBLISHED_FIGURES && p->figures[i].column; i++) {
                        CU_ASSERT_TRUE(ts_csv_column(csv, p->figures[i].column) < csv->columns);
                        CU_ASSERT_PTR_NOT_NULL(ts_figure_kind(p->figures[i].ours));
                }
                ts_csv_clear(csv);
        }
        CU_ASSERT_TRUE(n >= 5);
        UNIT_FAILS(ts_published_file("none.csv", &text, &len, &err), TS_ENOTFOUND);
        free(csv);
}

static void ticks(void)
{
        static const struct {
                double most, to, step;
        } cases[] = { { 0, 1, 0.5 }, { 1, 1.5, 0.5 }, { 910, 1000, 500 }, { 148, 200, 100 }, { 3e-3, 4e-3, 1e-3 } };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                double to = 0, step = 0;

                ts_chart_ticks(cases[i].most, &to, &step);
                CU_ASSERT_TRUE(to >= cases[i].most && step > 0 && to / step >= 1 && to / step <= 5);
        }
}

static void sample_page(const char *name, bool result, const char *const texts[])
{
        ts_auto_free char *path = ts_fmt(TS_SOURCE_DIR "/bench/sample-data/%s", name);
        ts_auto_str text = TS_STR_INIT, page = TS_STR_INIT;
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_result r = { 0 };
        struct ts_report one;

        ts_report_init(&one);
        UNIT_OK(ts_file_read(path, 1 << 20, &text, &err));
        UNIT_OK(ts_json_parse(ts_str_cstr(&text), text.len, 0, &j, &err));
        if (result)
                UNIT_OK(ts_result_from_json(j, &r, &err));
        else
                UNIT_OK(ts_report_from_json(j, &one, &err));
        UNIT_OK(ts_page_html(&(struct ts_page_part){ .file = name, .result = result ? &r : NULL, .report = result ? NULL : &one }, 1, &page, &err));
        for (; *texts; texts++) {
                if (!strstr(ts_str_cstr(&page), *texts))
                        (void)printf("\n    %s: no '%s'\n", name, *texts);
                CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&page), *texts));
        }
        CU_ASSERT_PTR_NULL(strstr(ts_str_cstr(&page), "<script"));
        CU_ASSERT_PTR_NULL(strstr(ts_str_cstr(&page), "src="));
        ts_report_clear(&one);
}

static void pages_of_the_samples(void)
{
        if (!have_gnuplot())
                return;
        sample_page("mysql-rows.json", true, (const char *const[]){ "Downtime against Rows in the database", "Published by others", "M. A. Aziz", "Podman 1.6.4", "n = 10 each", "<table>", NULL });
        sample_page("load.json", true, (const char *const[]){ "What the clients saw", "n &lt; 10: no claim", "CloudHopper", NULL });
        sample_page("two-way.json", true, (const char *const[]){ "Downtime compared", "Memory beside published figures", NULL });
        sample_page("move.json", false, (const char *const[]){ "Phases of the move of mariadb-example", "CRIU 4.2.1", NULL });
}

static CU_TestInfo tests[] = {
        UNIT(texts_are_quoted), UNIT(names_are_no_commands), UNIT(gnuplot_fails), UNIT(gnuplot_is_missing), UNIT(html_is_escaped),      UNIT(svg_is_checked),
        UNIT(csv_is_read),      UNIT(published_table_holds), UNIT(ticks),         UNIT(pages_of_the_samples), CU_TEST_INFO_NULL,
};
UNIT_MAIN("page", tests)
