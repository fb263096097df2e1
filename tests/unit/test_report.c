/* The report: JSON as DESIGN has it and back again, hostile files, text that fits its columns, CSV that spreadsheets read, exit statuses. */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "engine/report.h"

#include <langinfo.h>
#include <locale.h>

#define T0 UINT64_C(5000000000)

static void add_samples(struct ts_report *r)
{
        static const struct ts_resource samples[] = {
                { 1400000, false, 1900000000, 12.5, 0.25, 4096, 1000, 2000, "checkpoint" },
                { 1410000, true, 900000000, 0, 1.75, 0, 2000, 1000, "checkpoint" },
                { 1600000, false, 2100000000, 100, 0.25, 125300000, 0, 0, "transfer" },
                { 1610000, true, 800000000, 50.5, 1.75, 0, 0, 0, "" },
        };

        r->resources = malloc(sizeof(samples));
        CU_ASSERT_PTR_NOT_NULL_FATAL(r->resources);
        memcpy(r->resources, samples, sizeof(samples));
        r->n_resources = TS_ARRAY_LEN(samples);
}

static struct ts_report sample(void)
{
        static const struct ts_report_phase phases[] = {
                { "connect", 120, 12400, 0, false },
                { "preflight", 12600, 80100, 0, false },
                { "prepare", 93000, 1204000, 268400000, false },
                { "arm", 1297000, 3200, 0, false },
                { "checkpoint", 1301000, 281400, 0, true },
                { "transfer", 1582400, 330000, 125300000, true },
                { "restore", 1912400, 260000, 0, true },
                { "verify", 2172400, 12300, 0, true },
                { "cleanup", 2184700, 300000, 0, false },
        };
        struct ts_report r;

        ts_report_init(&r);
        r.id = ts_strdup0("20261120-161502-3fa9c1");
        r.started_at = ts_strdup0("2026-11-20T16:15:02.000000Z");
        r.container_name = ts_strdup0("mariadb");
        r.image = ts_strdup0("localhost/mariadb:1");
        r.source_id = ts_strdup0("aaaa");
        r.target_id = ts_strdup0("bbbb");
        r.strategy = ts_strdup0("archive");
        r.transfer = ts_strdup0("stream");
        r.source = (struct ts_report_side){ ts_strdup0("Podman"), ts_strdup0("5.4.2"), ts_strdup0("runc 1.3"),
                                            ts_strdup0("4.2.1"),  ts_strdup0("6.18"),  ts_strdup0("alpha") };
        r.target = (struct ts_report_side){ ts_strdup0("Podman"), ts_strdup0("5.4.2"), ts_strdup0("runc 1.3"),
                                            ts_strdup0("4.2.1"),  ts_strdup0("6.18"),  ts_strdup0("beta") };
        r.outcome = TS_OUT_LEFTOVERS;
        memcpy(r.phases, phases, sizeof(phases));
        r.n_phases = TS_ARRAY_LEN(phases);
        r.t0_us = T0;
        r.frozen_from_us = T0 + 1301000;
        r.running_at_us = T0 + 2184700;
        r.prepare_from_us = T0 + 93000;
        r.end_us = T0 + 2500000;
        r.verify_us = 12300;
        r.bytes.memory = 125300000;
        r.bytes.image = 268400000;
        r.bytes.volumes = 12000;
        r.bytes.wire_sent = 400000000;
        r.bytes.wire_received = 2100000;
        r.dump = (struct ts_criu_dump){ .valid = true,
                                        .freezing_us = 900,
                                        .frozen_us = 112300,
                                        .memdump_us = 80100,
                                        .memwrite_us = 20200,
                                        .pages_scanned = 30000,
                                        .pages_skipped_parent = 10,
                                        .pages_written = 23737 };
        r.restore = (struct ts_criu_restore){ .valid = true, .forking_us = 2200, .restore_us = 150200, .pages_restored = 23000 };
        r.probed = true;
        r.probe = (struct ts_probe_stats){ "tcp", 320, 312, 8, 934000, T0 + 1310000 };
        add_samples(&r);
        CU_ASSERT_EQUAL(ts_list_add(&r.warnings,
                                    "the restart policy could not be set: this Podman has no update call, so it stays 'no' until the "
                                    "container is made again",
                                    NULL),
                        0);
        CU_ASSERT_EQUAL(ts_list_add(&r.leftovers, "container 'mariadb' on the source", NULL), 0);
        return r;
}

static struct ts_report sample_failed(void)
{
        struct ts_report r = sample();

        r.outcome = TS_OUT_ROLLED_BACK;
        r.source_not_running = true; /* it ended by itself */
        r.running_at_us = 0;
        r.n_phases = 7;
        r.rollback[r.n_rollback++] = (struct ts_report_phase){ .name = "settle", .start_us = 2172400, .duration_us = 800000 };
        r.error_phase = "restore";
        (void)ts_err_set(&r.error, TS_EENGINE, "the target engine could not restore: criu failed: type RESTORE errno 0");
        (void)ts_err_hint(&r.error, "look into /var/lib/containers/storage/overlay-containers/restore.log, then try again with --cold");
        return r;
}

static struct ts_json *json_of(const struct ts_report *r)
{
        struct ts_json *j = ts_report_json(r);

        CU_ASSERT_PTR_NOT_NULL_FATAL(j);
        return j;
}

/* ---- JSON ---- */

enum kind { TEXT, FIGURE, REAL, FLAG, OBJECT, ARRAY, FIGURES };
static const struct member {
        const char *path;
        enum kind kind;
} schema[] = { /* DESIGN, "Report" */
        { "schema", TEXT },
        { "id", TEXT },
        { "tool_version", TEXT },
        { "started_at", TEXT },
        { "outcome", TEXT },
        { "container.name", TEXT },
        { "container.image", TEXT },
        { "container.source_id", TEXT },
        { "container.target_id", TEXT },
        { "strategy", TEXT },
        { "transfer", TEXT },
        { "source.engine", TEXT },
        { "source.version", TEXT },
        { "source.runtime", TEXT },
        { "source.criu", TEXT },
        { "source.kernel", TEXT },
        { "source.host", TEXT },
        { "target.engine", TEXT },
        { "target.host", TEXT },
        { "phases", ARRAY },
        { "downtime_us", FIGURE },
        { "migration_time_us", FIGURE },
        { "total_us", FIGURE },
        { "bytes.memory", FIGURE },
        { "bytes.volumes", FIGURE },
        { "bytes.rootfs", FIGURE },
        { "bytes.archive", FIGURE },
        { "bytes.wire_sent", FIGURE },
        { "bytes.wire_received", FIGURE },
        { "pages.total", FIGURE },
        { "pages.sent", FIGURE },
        { "pages.deduplicated", FIGURE },
        { "criu.dump.freezing_us", FIGURE },
        { "criu.dump.frozen_us", FIGURE },
        { "criu.dump.memdump_us", FIGURE },
        { "criu.dump.memwrite_us", FIGURE },
        { "criu.dump.pages_written", FIGURE },
        { "criu.restore.restore_us", FIGURE },
        { "criu.restore.pages_restored", FIGURE },
        { "probe.kind", TEXT },
        { "probe.sent", FIGURE },
        { "probe.answered", FIGURE },
        { "probe.failed", FIGURE },
        { "probe.longest_gap_us", FIGURE },
        { "warnings", ARRAY },
        { "leftovers", ARRAY },
        { "precopy_frozen_us", FIGURES },
        { "verify_us", FIGURE },
        { "rollback", ARRAY },
        { "resources", ARRAY },
}, failure[] = {
        { "source_not_running", FLAG },
        { "error.code", TEXT },
        { "error.phase", TEXT },
        { "error.message", TEXT },
        { "error.hint", TEXT },
}, phase[] = {
        { "name", TEXT },
        { "start_us", FIGURE },
        { "duration_us", FIGURE },
        { "frozen", FLAG },
        { "bytes", FIGURE },
}, resource[] = {
        { "t_us", FIGURE },
        { "side", TEXT },
        { "phase", TEXT },
        { "mem_used_bytes", FIGURE },
        { "cpu_pct", REAL },
        { "load1", REAL },
        { "disk_write_bytes", FIGURE },
        { "net_sent_bytes", FIGURE },
        { "net_received_bytes", FIGURE },
};

static bool is_kind(const struct ts_json *j, enum kind kind)
{
        switch (kind) {
        case TEXT:
                return ts_json_is_string(j);
        case FIGURE:
                return ts_json_int(j, "", -1) >= 0;
        case REAL:
                return ts_json_real(j, "", -1) >= 0;
        case FLAG:
                return ts_json_bool(j, "", false) == ts_json_bool(j, "", true);
        case OBJECT:
                return ts_json_is_object(j);
        case ARRAY:
        case FIGURES:
        default:
                return ts_json_is_array(j);
        }
}

static void check_members(const struct ts_json *j, const struct member *m, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct ts_json *v = ts_json_get(j, m[i].path);

                if (!v || !is_kind(v, m[i].kind))
                        (void)printf("\n    %s\n", m[i].path);
                CU_ASSERT(v && is_kind(v, m[i].kind));
        }
}

static void json_is_as_designed(void)
{
        struct ts_report good = sample(), bad = sample_failed(), empty;
        ts_auto(ts_json) struct ts_json *g = json_of(&good), *b = json_of(&bad), *e = NULL;

        check_members(g, schema, TS_ARRAY_LEN(schema));
        check_members(b, failure, TS_ARRAY_LEN(failure));
        for (size_t i = 0; i < ts_json_len(ts_json_get(g, "phases")); i++)
                check_members(ts_json_at(ts_json_get(g, "phases"), i), phase, TS_ARRAY_LEN(phase));
        CU_ASSERT_EQUAL(ts_json_len(ts_json_get(g, "resources")), 4);
        for (size_t i = 0; i < ts_json_len(ts_json_get(g, "resources")); i++)
                check_members(ts_json_at(ts_json_get(g, "resources"), i), resource, TS_ARRAY_LEN(resource));
        UNIT_STR(ts_json_str(g, "schema", ""), "tranship.report/1");
        UNIT_STR(ts_json_str(g, "outcome", ""), "moved-with-leftovers");
        CU_ASSERT_EQUAL(ts_json_int(g, "downtime_us", 0), 883700);
        CU_ASSERT_EQUAL(ts_json_int(g, "migration_time_us", 0), 2091700);
        CU_ASSERT_EQUAL(ts_json_int(g, "total_us", 0), 2500000);
        CU_ASSERT_EQUAL(ts_json_int(g, "probe.gap_start_us", 0), 1310000); /* relative, as everything */
        CU_ASSERT_PTR_NULL(ts_json_get(g, "error"));
        UNIT_STR(ts_json_str(b, "error.code", ""), "engine");
        UNIT_STR(ts_json_str(b, "error.phase", ""), "restore");
        CU_ASSERT_EQUAL(ts_json_int(b, "downtime_us", -1), 0);
        CU_ASSERT_EQUAL(ts_json_len(ts_json_get(b, "rollback")), 1);
        ts_report_init(&empty); /* refused before anything was known */
        e = json_of(&empty);
        UNIT_STR(ts_json_str(e, "outcome", ""), "unknown");
        CU_ASSERT_PTR_NULL(ts_json_get(e, "probe"));
        CU_ASSERT_PTR_NULL(ts_json_get(e, "criu"));
        CU_ASSERT_PTR_NULL(ts_json_get(e, "resources"));
        CU_ASSERT_PTR_NULL(ts_json_get(e, "id"));
        CU_ASSERT_PTR_NOT_NULL(ts_json_get(e, "phases"));
        ts_report_clear(&good);
        ts_report_clear(&bad);
        ts_report_clear(&empty);
        ts_report_clear(NULL);
}

static void json_comes_back(void)
{
        struct ts_report from[3] = { sample(), sample_failed() };

        ts_report_init(&from[2]);
        for (size_t i = 0; i < TS_ARRAY_LEN(from); i++) {
                ts_auto(ts_json) struct ts_json *j = json_of(&from[i]), *again = NULL;
                ts_auto_str a = TS_STR_INIT, b = TS_STR_INIT;
                ts_auto_err err = TS_ERR_INIT;
                struct ts_report r;

                UNIT_OK(ts_report_from_json(j, &r, &err));
                again = json_of(&r);
                CU_ASSERT_TRUE(ts_json_equal(j, again));
                CU_ASSERT_EQUAL(ts_report_downtime_us(&r), ts_report_downtime_us(&from[i]));
                CU_ASSERT_EQUAL(ts_report_migration_us(&r), ts_report_migration_us(&from[i]));
                UNIT_OK(ts_report_text(&from[i], true, 80, &a, &err));
                UNIT_OK(ts_report_text(&r, true, 80, &b, &err));
                UNIT_STR(ts_str_cstr(&b), ts_str_cstr(&a));
                ts_report_clear(&r);
                ts_report_clear(&from[i]);
        }
}

/* Puts text in the place of what `path` names, whatever it is. */
static struct ts_json *with(const struct ts_json *j, const char *path, const char *value)
{
        struct ts_json *copy = ts_json_copy(j), *parent = copy, *v = NULL;
        const char *dot = strrchr(path, '.');
        ts_auto_free char *above = dot ? strndup(path, (size_t)(dot - path)) : NULL;
        ts_auto_err err = TS_ERR_INIT;

        if (above)
                parent = ts_json_get(copy, above);
        UNIT_OK(ts_json_parse(value, strlen(value), 0, &v, &err));
        CU_ASSERT_EQUAL_FATAL(ts_json_set(parent, dot ? dot + 1 : path, v), 0);
        return copy;
}

static void hostile_files(void)
{
        static const char *const wrong[][8] = {
                [TEXT] = { "17", "{}", "[]", "true", "1.5" },
                [FIGURE] = { "-1", "\"17\"", "{}", "1.5", "true", "9223372036854775807", "4503599627370497", "18446744073709551615" },
                [FLAG] = { "1", "\"true\"", "[]" },
                [OBJECT] = { "1", "[]", "\"x\"" },
                [FIGURES] = { "1", "{}", "\"x\"", "[{}]", "[-1]", "[1.5]", "[\"1\"]" },
                [ARRAY] = { "1", "{}", "\"x\"", "[{}]", "[[]]", "[1]" },
        };
        static const struct member objects[] = { { "container", OBJECT }, { "source", OBJECT }, { "bytes", OBJECT }, { "criu", OBJECT },
                                                 { "criu.dump", OBJECT }, { "probe", OBJECT },  { "error", OBJECT } };
        struct ts_report r = sample_failed(), out;
        ts_auto(ts_json) struct ts_json *good = json_of(&r);
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(schema) + TS_ARRAY_LEN(failure) + TS_ARRAY_LEN(objects); i++) {
                const struct member *m = i < TS_ARRAY_LEN(schema) ? &schema[i]
                                         : i < TS_ARRAY_LEN(schema) + TS_ARRAY_LEN(failure)
                                                 ? &failure[i - TS_ARRAY_LEN(schema)]
                                                 : &objects[i - TS_ARRAY_LEN(schema) - TS_ARRAY_LEN(failure)];

                for (size_t k = 0; k < TS_ARRAY_LEN(wrong[0]) && wrong[m->kind][k]; k++) {
                        ts_auto(ts_json) struct ts_json *bad = with(good, m->path, wrong[m->kind][k]);

                        if (ts_starts(m->path, "tool_version")) { /* written, not read */
                                UNIT_OK(ts_report_from_json(bad, &out, &err));
                                ts_report_clear(&out);
                                continue;
                        }
                        if (ts_report_from_json(bad, &out, &err) == 0) {
                                (void)printf("\n    %s = %s was accepted\n", m->path, wrong[m->kind][k]);
                                ts_report_clear(&out);
                        }
                        CU_ASSERT_EQUAL(err.code, TS_EPROTO);
                        ts_err_clear(&err);
                }
        }
        ts_report_clear(&r);
}

static void more_hostile_files(void)
{
        static const struct {
                const char *path, *value;
        } cases[] = {
                { "schema", "\"tranship.report/2\"" },
                { "outcome", "\"splendid\"" },
                { "probe.kind", "\"icmp\"" },
                { "error.code", "\"ok\"" },
                { "error.phase", "\"a b\"" },
                { "phases", "[{\"name\":\"x/y\"}]" },
                { "phases", "[{\"name\":\"\"}]" },
                { "phases", "[{\"name\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}]" },
                { "phases", "[{\"name\":\"x\",\"start_us\":-1}]" },
                { "phases", "[{\"name\":\"x\",\"frozen\":2}]" },
                { "warnings", "[\"fine\",null]" },
                { "resources", "[{\"side\":\"middle\"}]" },
                { "resources", "[{\"side\":\"source\",\"phase\":\"a b\"}]" },
                { "resources", "[{\"side\":\"source\",\"t_us\":-1}]" },
                { "resources", "[{\"side\":\"source\",\"t_us\":4503599627370497}]" },
                { "resources", "[{\"side\":\"source\",\"t_us\":1.5}]" },
                { "resources", "[{\"side\":\"source\",\"cpu_pct\":100.5}]" },
                { "resources", "[{\"side\":\"source\",\"cpu_pct\":-0.5}]" },
                { "resources", "[{\"side\":\"source\",\"cpu_pct\":\"NaN\"}]" },
                { "resources", "[{\"side\":\"source\",\"load1\":1e300}]" },
                { "resources", "[{\"side\":\"source\",\"load1\":true}]" },
                { "resources", "[{\"side\":\"source\",\"mem_used_bytes\":\"1\"}]" },
        };
        struct ts_report r = sample_failed(), out;
        ts_auto(ts_json) struct ts_json *good = json_of(&r), *many = ts_json_copy(good), *long_text = ts_json_copy(good), *escape = NULL,
                                        *array = ts_json_array();
        ts_auto_free char *text = calloc(1, 5000);
        ts_auto_err err = TS_ERR_INIT;
        struct ts_json *phases = ts_json_array();

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto(ts_json) struct ts_json *bad = with(good, cases[i].path, cases[i].value);

                UNIT_FAILS(ts_report_from_json(bad, &out, &err), TS_EPROTO);
        }
        UNIT_FAILS(ts_report_from_json(array, &out, &err), TS_EPROTO);
        for (int i = 0; i <= TS_REPORT_MAX_PHASES; i++) {
                struct ts_json *p = ts_json_object();

                CU_ASSERT_EQUAL(ts_json_set_str(p, "name", "x"), 0);
                CU_ASSERT_EQUAL(ts_json_append(phases, p), 0);
        }
        CU_ASSERT_EQUAL(ts_json_set(many, "phases", phases), 0);
        UNIT_FAILS(ts_report_from_json(many, &out, &err), TS_EPROTO);
        memset(text, 'x', 4999);
        CU_ASSERT_EQUAL(ts_json_set_str(long_text, "id", text), 0);
        UNIT_FAILS(ts_report_from_json(long_text, &out, &err), TS_EPROTO);
        escape = with(good, "container.name", "\"a\\u001b]0;title\\u0007b\""); /* would talk to the terminal */
        UNIT_OK(ts_report_from_json(escape, &out, &err));
        CU_ASSERT_PTR_NULL(strpbrk(out.container_name, "\x1b\x07"));
        ts_report_clear(&out);
        ts_report_clear(&r);
}

static void too_many_samples(void)
{
        ts_auto(ts_json) struct ts_json *one = NULL, *whole = NULL;
        struct ts_report r = sample(), out;
        struct ts_json *all = ts_json_array();
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_json_parse("{\"side\":\"target\"}", 17, 0, &one, &err));
        whole = json_of(&r);
        for (unsigned i = 0; i < TS_REPORT_MAX_RESOURCES; i++)
                (void)ts_json_append(all, ts_json_copy(one));
        CU_ASSERT_EQUAL(ts_json_set(whole, "resources", all), 0);
        UNIT_OK(ts_report_from_json(whole, &out, &err));
        CU_ASSERT_EQUAL(out.n_resources, TS_REPORT_MAX_RESOURCES);
        ts_report_clear(&out);
        CU_ASSERT_EQUAL(ts_json_append(ts_json_member(whole, "resources"), ts_json_copy(one)), 0);
        UNIT_FAILS(ts_report_from_json(whole, &out, &err), TS_EPROTO);
        ts_report_clear(&r);
}

/* The largest figures of a hostile file stay figures: nothing overflows on the way back. */
static void largest_figures(void)
{
        struct ts_report r = sample(), out;
        ts_auto(ts_json) struct ts_json *good = json_of(&r), *a = with(good, "downtime_us", "4503599627370496"),
                                        *b = with(a, "total_us", "0"),
                                        *c = with(b, "phases",
                                                  "[{\"name\":\"x\",\"start_us\":4503599627370496,\"duration_us\":4503599627370496,"
                                                  "\"bytes\":4503599627370496,\"frozen\":true}]"),
                                        *again = NULL;
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_report_from_json(c, &out, &err));
        again = json_of(&out);
        CU_ASSERT_EQUAL(ts_json_int(again, "downtime_us", 0), INT64_C(4503599627370496));
        UNIT_OK(ts_report_text(&out, false, 80, &text, &err));
        ts_report_clear(&out);
        r.bytes.memory = UINT64_MAX; /* and what is written can be read */
        ts_json_free(again);
        again = json_of(&r);
        UNIT_OK(ts_report_from_json(again, &out, &err));
        ts_report_clear(&out);
        ts_report_clear(&r);
}

/* ---- text ---- */

static size_t columns_of(const char *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++) {
                if (s[i] == '\033') /* a colour takes no room */
                        while (s[i] != 'm')
                                i++;
                else
                        n += ((unsigned char)s[i] & 0xc0) != 0x80;
        }
        return n;
}

static void check_columns(const struct ts_report *r, bool colour, unsigned columns)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_report_text(r, colour, columns, &text, &err));
        CU_ASSERT_EQUAL(text.buf[text.len - 1], '\n');
        for (const char *p = ts_str_cstr(&text); *p;) {
                size_t len = strcspn(p, "\n"), wide = columns_of(p, len);
                bool one_word = strcspn(p + strspn(p, " "), " \n") + strspn(p, " ") >= len; /* a path is not broken */

                if (strncmp(p, "  hint", 6) == 0) /* may be a command, and is pasted */
                        one_word = true;
                if (wide > columns && !one_word)
                        (void)printf("\n    %zu columns of %u: %.*s\n", wide, columns, (int)len, p);
                CU_ASSERT(wide <= columns || one_word);
                CU_ASSERT(len == 0 || p[len - 1] != ' ');
                p += len + (p[len] == '\n');
        }
        CU_ASSERT_EQUAL(strchr(ts_str_cstr(&text), '\033') != NULL, colour);
}

static void text_fits(void)
{
        static const unsigned widths[] = { 40, 41, 50, 60, 72, 80, 100, 132, 200 };
        struct ts_report reports[] = { sample(), sample_failed() };

        for (int utf8 = 0; utf8 <= 1; utf8++) {
                if (!setlocale(LC_ALL, utf8 ? "C.UTF-8" : "C"))
                        continue;
                for (size_t r = 0; r < TS_ARRAY_LEN(reports); r++)
                        for (size_t w = 0; w < TS_ARRAY_LEN(widths); w++) {
                                check_columns(&reports[r], false, widths[w]);
                                check_columns(&reports[r], true, widths[w]);
                        }
        }
        (void)setlocale(LC_ALL, "C");
        for (size_t r = 0; r < TS_ARRAY_LEN(reports); r++)
                ts_report_clear(&reports[r]);
}

static void has(const char *text, const char *part)
{
        if (!strstr(text, part))
                (void)printf("\n    '%s' is not in:\n%s", part, text);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static void text_says_it(void)
{
        struct ts_report r = sample(), f = sample_failed();
        ts_auto_str ascii = TS_STR_INIT, utf8 = TS_STR_INIT, failed = TS_STR_INIT, plain = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        (void)setlocale(LC_ALL, "C");
        UNIT_OK(ts_report_text(&r, false, 80, &ascii, &err));
        has(ts_str_cstr(&ascii), "mariadb moved-with-leftovers  Podman 5.4.2 on alpha -> Podman 5.4.2 on beta\n");
        has(ts_str_cstr(&ascii), "  checkpoint   1.301 s   281.4 ms               32 %  ########\n");
        has(ts_str_cstr(&ascii), "  prepare      0.093 s    1.204 s    268.4 MB\n");
        has(ts_str_cstr(&ascii), "  downtime        883.7 ms  from checkpoint request");
        has(ts_str_cstr(&ascii), "  migration time   2.092 s");
        has(ts_str_cstr(&ascii), "312 of 320 tcp probes answered");
        has(ts_str_cstr(&ascii), "23,737 pages");
        has(ts_str_cstr(&ascii), "  source host     2.1 GB of memory in use at most, CPU 56 % busy on average,");
        has(ts_str_cstr(&ascii), "125.3 MB written to disks (2 samples)\n");
        has(ts_str_cstr(&ascii), "  target host     900.0 MB of memory in use at most, CPU 25 % busy on average,");
        has(ts_str_cstr(&ascii), "left to clean up\n  - container 'mariadb' on the source\n");
        for (const char *p = ts_str_cstr(&ascii); *p; p++)
                CU_ASSERT((unsigned char)*p < 0x80);
        if (setlocale(LC_ALL, "C.UTF-8") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0) {
                UNIT_OK(ts_report_text(&r, false, 80, &utf8, &err));
                has(ts_str_cstr(&utf8), "█");
                has(ts_str_cstr(&utf8), "→");
        }
        (void)setlocale(LC_ALL, "C");
        UNIT_OK(ts_report_text(&f, false, 80, &failed, &err));
        has(ts_str_cstr(&failed), "source          does not run: it ended by itself");
        has(ts_str_cstr(&failed), "rollback");
        has(ts_str_cstr(&failed), "settle");
        has(ts_str_cstr(&failed), "error           restore: the target engine could not restore");
        has(ts_str_cstr(&failed), "hint            look into");
        CU_ASSERT_PTR_NULL(strstr(ts_str_cstr(&failed), "downtime"));
        ts_report_clear(&r);
        ts_report_init(&r);
        UNIT_OK(ts_report_text(&r, false, 0, &plain, &err)); /* nothing is known: still text */
        ts_report_clear(&f);
}

/* ---- CSV, exit statuses ---- */

static unsigned fields_in(const char *line)
{
        unsigned n = 1;
        bool quoted = false;

        for (; *line && (*line != '\n' || quoted); line++) {
                quoted ^= *line == '"';
                n += *line == ',' && !quoted;
        }
        return n;
}

static void csv(void)
{
        struct ts_report r = sample_failed();
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        unsigned lines = 0, want;

        free(r.container_name);
        r.container_name = ts_strdup0("a,\"b\"");
        UNIT_OK(ts_report_csv(&r, true, &text, &err));
        want = fields_in(ts_str_cstr(&text));
        CU_ASSERT_EQUAL(want, 17);
        for (const char *p = ts_str_cstr(&text); *p; p += strcspn(p, "\n") + 1, lines++)
                CU_ASSERT_EQUAL(fields_in(p), want);
        CU_ASSERT_EQUAL(lines, 1 + 7 + 1);
        has(ts_str_cstr(&text),
            ",\"a,\"\"b\"\"\",Podman,Podman,archive,stream,rolled-back,move,checkpoint,1301000,281400,1,0,0,0,2500000\n");
        has(ts_str_cstr(&text), ",rollback,settle,");
        text.len = 0;
        UNIT_OK(ts_report_csv(&r, false, &text, &err));
        CU_ASSERT_FALSE(ts_starts(ts_str_cstr(&text), "id,"));
        ts_report_clear(&r);
}

/* One line has so many of these. */
static unsigned lines_with(const char *text, const char *what)
{
        unsigned n = 0;

        for (const char *p = text; (p = strstr(p, what)); p++)
                n++;
        return n;
}

static void prometheus(void)
{
        struct ts_report both[] = { sample_failed(), sample() };
        ts_auto_str text = TS_STR_INIT, nothing = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        free(both[0].container_name);
        both[0].container_name = ts_strdup0("a\\\"b\nc");
        UNIT_OK(ts_report_prometheus(both, 2, &text, &err));
        CU_ASSERT_EQUAL(lines_with(ts_str_cstr(&text), "# TYPE tranship_migration_info gauge\n"), 1);
        CU_ASSERT_EQUAL(lines_with(ts_str_cstr(&text), "\ntranship_migration_info{"), 2);
        CU_ASSERT_EQUAL(lines_with(ts_str_cstr(&text), "\ntranship_migration_downtime_seconds{"), 1); /* the other one has none */
        has(ts_str_cstr(&text), "container=\"a\\\\\\\"b\\nc\"");
        has(ts_str_cstr(&text), "outcome=\"rolled-back\"");
        has(ts_str_cstr(&text), "phase=\"checkpoint\",frozen=\"1\"} ");
        UNIT_OK(ts_report_prometheus(NULL, 0, &nothing, &err));
        CU_ASSERT_EQUAL(nothing.len, 0);
        ts_report_clear(&both[0]);
        ts_report_clear(&both[1]);
}

static void exit_statuses(void)
{
        static const struct {
                enum ts_outcome outcome;
                enum ts_code code;
                int status;
        } cases[] = {
                { TS_OUT_MOVED, TS_OK, 0 },          { TS_OUT_CHECKED, TS_OK, 0 },
                { TS_OUT_LEFTOVERS, TS_EENGINE, 5 }, { TS_OUT_ROLLED_BACK, TS_ECONNECT, 4 },
                { TS_OUT_REFUSED, TS_EREFUSED, 3 },  { TS_OUT_REFUSED, TS_ECONNECT, 3 },
                { TS_OUT_REFUSED, TS_EUSAGE, 2 },    { TS_OUT_REFUSED, TS_EINTERNAL, 1 },
                { TS_OUT_REFUSED, TS_ENOMEM, 1 },    { TS_OUT_REFUSED, TS_ECANCELED, 3 },
                { TS_OUT_UNKNOWN, TS_ETIMEOUT, 6 },  { TS_OUT_UNKNOWN, TS_OK, 6 },
                { TS_OUT_UNKNOWN, TS_EUSAGE, 6 },    { TS_OUT_LOST, TS_EENGINE, 7 },
                { (enum ts_outcome)77, TS_OK, 1 },   { TS_OUT_ROLLED_BACK, TS_EUSAGE, 4 },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                struct ts_err err = { .code = cases[i].code };

                CU_ASSERT_EQUAL(ts_outcome_exit_status(cases[i].outcome, &err), cases[i].status);
        }
        CU_ASSERT_EQUAL(ts_outcome_exit_status(TS_OUT_LOST, NULL), 7);
        UNIT_STR(ts_outcome_str(TS_OUT_LOST), "memory-lost");
        UNIT_STR(ts_outcome_str((enum ts_outcome)77), "unknown");
}

/* The request comes within the first frozen phase, and it runs within the last. */
static void shares_are_the_whole_at_most(void)
{
        static const struct ts_report_phase phases[] = {
                { .name = "arm", .duration_us = 900000 },
                { .name = "checkpoint", .start_us = 900000, .duration_us = 800000, .frozen = true },
                { .name = "restore", .start_us = 1700000, .duration_us = 300000, .frozen = true },
                { .name = "verify", .start_us = 2000000, .duration_us = 100000, .frozen = true },
        };
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_report r;

        ts_report_init(&r);
        memcpy(r.phases, phases, sizeof(phases));
        r.n_phases = TS_ARRAY_LEN(phases);
        r.frozen_from_us = 1000000;
        r.running_at_us = 2000000; /* one second of downtime, 1.2 s of phases */
        UNIT_OK(ts_report_text(&r, false, 80, &text, &err));
        has(ts_str_cstr(&text), " 60 %");
        has(ts_str_cstr(&text), " 30 %");
        has(ts_str_cstr(&text), " 10 %");
        ts_report_clear(&r);
}

static CU_TestInfo tests[] = { UNIT(shares_are_the_whole_at_most),
                               UNIT(json_is_as_designed),
                               UNIT(json_comes_back),
                               UNIT(hostile_files),
                               UNIT(more_hostile_files),
                               UNIT(too_many_samples),
                               UNIT(largest_figures),
                               UNIT(text_fits),
                               UNIT(text_says_it),
                               UNIT(csv),
                               UNIT(exit_statuses),
                               UNIT(prometheus),
                               CU_TEST_INFO_NULL };
UNIT_MAIN("report", tests)
