/* Journal, report and probes when memory runs out at every allocation in turn: the call says so, nothing stays allocated, and what is in the file stays a journal. */
#include "tests/unit/torture.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/journal.h"
#include "engine/journal_priv.h"
#include "engine/probe.h"
#include "engine/report.h"

#include <unistd.h>

/* torture(), but for the code: jansson calls some of its failed allocations a syntax error. */
static void survive(int (*scenario)(struct ts_err *err))
{
        (void)scenario(NULL);
        for (long n = 0; n < 100000; n++) {
                struct ts_err err = TS_ERR_INIT;
                long before = live;
                int rc;

                failed = false;
                countdown = n;
                rc = scenario(&err);
                countdown = -1;
                ts_err_clear(&err);
                before = live - before;
                if (before != 0)
                        (void)printf("\n    allocation %ld: %ld blocks are lost\n", n, before);
                CU_ASSERT_EQUAL(before, 0);
                CU_ASSERT(rc == 0 || failed);
                if (!failed)
                        return;
        }
        CU_FAIL("no end");
}

static char dir[64];
static const char text[] =
        "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/"
        "1\",\"id\":\"m1\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c1\",\"container_name\":\"web\"}\n"
        "{\"seq\":1,\"type\":\"intent\",\"n\":0,\"kind\":\"volume\",\"side\":\"target\",\"name\":\"v\",\"before\":\"absent\"}\n"
        "{\"seq\":2,\"type\":\"res-id\",\"n\":0,\"id\":\"x\"}\n"
        "{\"seq\":3,\"type\":\"stage\",\"stage\":\"armed\",\"detail\":{\"a\":1}}\n"
        "{\"seq\":4,\"type\":\"withdrawn\"}\n"
        "{\"seq\":5,\"type\":\"note\",\"text\":\"torn";

static int reads(struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();

        return j ? ts_journal_parse(j, text, strlen(text), err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static void remove_journal(void)
{
        char path[sizeof(dir) + 16];

        (void)snprintf(path, sizeof(path), "%s/m1.jsonl", dir);
        (void)unlink(path);
}

static int writes(struct ts_err *err)
{
        struct ts_journal_head h = { .id = (char *)(uintptr_t) "m1",
                                     .source = (char *)(uintptr_t) "a",
                                     .target = (char *)(uintptr_t) "b",
                                     .container_id = (char *)(uintptr_t) "c1",
                                     .container_name = (char *)(uintptr_t) "web" };
        ts_auto(ts_journal) struct ts_journal *j = NULL;
        unsigned n;

        remove_journal();
        if (ts_journal_create(dir, &h, &j, err) < 0 ||
            ts_journal_intent(j, TS_RES_VOLUME, TS_SIDE_TARGET, "v", NULL, "absent", &n, err) < 0 ||
            ts_journal_res_id(j, n, "x", err) < 0 || ts_journal_res_state(j, n, TS_RES_MADE, err) < 0)
                return -1;
        return ts_journal_note(j, "a remark", err) < 0 ? -1 : ts_journal_set_stage(j, TS_STAGE_ARMED, ts_json_object(), err);
}

/* What writes() left behind when it failed is read back, with all the memory there is. */
static int writes_and_is_read(struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = NULL;
        ts_auto_err why = TS_ERR_INIT;
        int rc = writes(err);
#ifndef NO_TORTURE
        long left = countdown;

        countdown = -1;
#endif
        if (ts_journal_read(dir, "m1", &j, &why) < 0)
                CU_ASSERT_EQUAL(why.code, TS_ENOTFOUND);
#ifndef NO_TORTURE
        countdown = left;
#endif
        return rc;
}

static int reports(struct ts_err *err)
{
        struct ts_report r, back;
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_str out = TS_STR_INIT;
        int rc = -1;

        ts_report_init(&r);
        r.phases[r.n_phases++] =
                (struct ts_report_phase){ .name = "checkpoint", .start_us = 1, .duration_us = 2, .bytes = 3, .frozen = true };
        r.t0_us = r.prepare_from_us = r.frozen_from_us = 10;
        r.running_at_us = r.end_us = 20;
        r.dump.valid = r.restore.valid = r.probed = r.source_not_running = true;
        r.probe.kind = "tcp";
        r.bytes.memory = 17;
        r.container_name = ts_strdup0("web");
        if (!r.container_name || ts_list_add(&r.warnings, "a warning of several words", err) < 0) {
                ts_err_set(err, TS_ENOMEM, "out of memory");
        } else if (!(j = ts_report_json(&r))) {
                ts_err_set(err, TS_ENOMEM, "out of memory");
        } else if (ts_report_from_json(j, &back, err) == 0) {
                rc = ts_report_text(&back, true, 80, &out, err) < 0 ? -1 : ts_report_csv(&back, true, &out, err);
                ts_report_clear(&back);
        }
        ts_report_clear(&r);
        return rc;
}

static int probes(struct ts_err *err)
{
        static const char *const specs[] = { "tcp://{host}:80", "http://[::1]/x", "exec:a b {host}" };

        for (size_t i = 0; i < TS_ARRAY_LEN(specs); i++) {
                ts_auto(ts_probe) struct ts_probe *p = NULL;

                if (ts_probe_parse(specs[i], &p, err) < 0)
                        return -1;
        }
        return 0;
}

static void reading(void)
{
        survive(reads);
}

static void writing(void)
{
        (void)snprintf(dir, sizeof(dir), "%s/test-journal-memory-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        survive(writes);
        survive(writes_and_is_read);
        remove_journal();
        CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void reporting(void)
{
        survive(reports);
}

static void probing(void)
{
        torture(probes);
}

static CU_TestInfo tests[] = { UNIT(reading), UNIT(writing), UNIT(reporting), UNIT(probing), CU_TEST_INFO_NULL };
UNIT_MAIN("journal_memory", tests)
