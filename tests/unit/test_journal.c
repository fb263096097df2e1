/* The journal: what is written comes back whatever cuts it short, one process writes, a full disk changes nothing, copies from elsewhere are checked. */
#include "tests/unit/unit.h"
#include "tests/unit/remove_tree.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/journal.h"
#include "engine/journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ID "20261120-161502-3fa9c1"
#define CONTAINER "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static char *temp_dir(void)
{
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* thousands of fsync()s */
        char *dir = ts_fmt("%s/test-journal-XXXXXX", base);

        CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        return dir;
}

static void remove_dir(char **dir)
{
        CU_ASSERT_EQUAL(remove_tree(*dir), 0);
        free(*dir);
}
#define AUTO_DIR __attribute__((cleanup(remove_dir))) char *

static struct ts_journal_head head_of(char *id, struct ts_json *options)
{
        return (struct ts_journal_head){ .id = id,
                                         .tool_version = (char *)(uintptr_t) "1.0.0",
                                         .started_at = (char *)(uintptr_t) "2026-11-20T16:15:02.000000Z",
                                         .host = (char *)(uintptr_t) "laptop",
                                         .boot_id = (char *)(uintptr_t) "7c5b3f2e-0000-4000-8000-000000000001",
                                         .pid = 4711,
                                         .pid_start = 123456,
                                         .source = (char *)(uintptr_t) "unix:///run/podman/podman.sock",
                                         .target = (char *)(uintptr_t) "ssh://root@beta:22/run/podman/podman.sock",
                                         .container_id = (char *)(uintptr_t)CONTAINER,
                                         .container_name = (char *)(uintptr_t) "web",
                                         .container_started_at = (char *)(uintptr_t) "2026-11-01T00:00:00Z",
                                         .container_pid = 99,
                                         .strategy = (char *)(uintptr_t) "archive",
                                         .transfer = (char *)(uintptr_t) "stream",
                                         .options = options };
}

static struct ts_journal *create(const char *dir, const char *id)
{
        ts_auto(ts_json) struct ts_json *options = ts_json_object();
        struct ts_journal *j = NULL;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal_head h = head_of((char *)(uintptr_t)id, options);

        CU_ASSERT_EQUAL_FATAL(ts_json_set_bool(options, "keep_source", true), 0);
        UNIT_OK(ts_journal_create(dir, &h, &j, &err));
        return j;
}

/* A journal with a record of every kind. */
static void fill(struct ts_journal *j)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_json *detail = ts_json_object();
        unsigned n = 99;

        UNIT_OK(ts_journal_intent(j, TS_RES_LOCK, TS_SIDE_SOURCE, "/var/lib/tranship/locks/" CONTAINER, ID, NULL, &n, &err));
        CU_ASSERT_EQUAL(n, 0);
        UNIT_OK(ts_journal_res_state(j, 0, TS_RES_MADE, &err));
        UNIT_OK(ts_journal_intent(j, TS_RES_CONTAINER, TS_SIDE_TARGET, "web", NULL, "absent", &n, &err));
        CU_ASSERT_EQUAL(n, 1);
        UNIT_OK(ts_journal_res_id(j, 1, CONTAINER, &err));
        UNIT_OK(ts_journal_res_state(j, 1, TS_RES_MADE, &err));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_ARMED, NULL, &err));
        UNIT_OK(ts_journal_note(j, "two\nlines and \x1b[31m colour", &err));
        UNIT_OK(ts_json_set_str(detail, "inventory", "17 \"quoted\" \\ ü"));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_CHECKPOINTED, detail, &err));
        UNIT_OK(ts_journal_res_state(j, 0, TS_RES_UNDONE, &err));
}

/* What fill() says after its first n records (the head is record 0). */
static void check_prefix(const struct ts_journal *j, size_t records)
{
        enum ts_stage stage = records > 9 ? TS_STAGE_CHECKPOINTED : records > 6 ? TS_STAGE_ARMED : TS_STAGE_BEGUN;
        size_t res = records > 3 ? 2 : records > 1 ? 1 : 0;

        UNIT_STR(ts_journal_head(j)->id, ID);
        CU_ASSERT_EQUAL(ts_journal_stage(j), records > 8 ? TS_STAGE_CHECKPOINTED : stage);
        CU_ASSERT_EQUAL(ts_journal_res_count(j), res);
        if (records > 4)
                UNIT_STR(ts_journal_res(j, 1)->id, CONTAINER);
        if (records > 9)
                CU_ASSERT_EQUAL(ts_journal_res(j, 0)->state, TS_RES_UNDONE);
}

static char *path_of(const char *dir, const char *id)
{
        return ts_fmt("%s/%s.jsonl", dir, id);
}

static void put(const char *dir, const char *id, const char *text, size_t len)
{
        ts_auto_free char *path = path_of(dir, id);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_write_atomic(path, text, len, 0600, &err));
}

static void get(const char *dir, const char *id, struct ts_str *ret)
{
        ts_auto_free char *path = path_of(dir, id);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_read(path, (size_t)16 << 20, ret, &err));
}

/* ---- what is written comes back ---- */

static void round_trip(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_free char *sub = ts_fmt("%s/a/journal", dir), *path = path_of(sub, ID);
        ts_auto(ts_journal) struct ts_journal *w = create(sub, ID), *r = NULL;
        const struct ts_journal_head *h;
        ts_auto_err err = TS_ERR_INIT;
        struct stat st;

        fill(w);
        UNIT_OK(ts_journal_read(sub, ID, &r, &err));
        check_prefix(r, 10);
        check_prefix(w, 10);
        h = ts_journal_head(r);
        UNIT_STR(h->tool_version, "1.0.0");
        UNIT_STR(h->started_at, "2026-11-20T16:15:02.000000Z");
        UNIT_STR(h->host, "laptop");
        UNIT_STR(h->source, "unix:///run/podman/podman.sock");
        UNIT_STR(h->target, "ssh://root@beta:22/run/podman/podman.sock");
        UNIT_STR(h->container_id, CONTAINER);
        UNIT_STR(h->strategy, "archive");
        CU_ASSERT_EQUAL(h->pid, 4711);
        CU_ASSERT_EQUAL(h->pid_start, 123456);
        CU_ASSERT_EQUAL(h->container_pid, 99);
        CU_ASSERT_TRUE(ts_json_bool(h->options, "keep_source", false));
        UNIT_STR(ts_json_str(ts_journal_detail(r, TS_STAGE_CHECKPOINTED), "inventory", NULL), "17 \"quoted\" \\ ü");
        CU_ASSERT_PTR_NOT_NULL(ts_journal_detail(r, TS_STAGE_ARMED)); /* recorded without detail: empty, not absent */
        CU_ASSERT_PTR_NULL(ts_journal_detail(r, TS_STAGE_COMMITTED));
        CU_ASSERT_PTR_NULL(ts_journal_detail(r, TS_STAGE_MAX));
        CU_ASSERT_PTR_NULL(ts_journal_res(r, 2));
        UNIT_STR(ts_journal_res(r, 1)->before, "absent");
        UNIT_STR(ts_res_kind_str(ts_journal_res(r, 1)->kind), "container");
        UNIT_STR(ts_side_str(ts_journal_res(r, 1)->side), "target");
        CU_ASSERT_EQUAL(stat(path, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
        CU_ASSERT(st.st_blocks * 512 >= 256 * 1024); /* allocated at the start */
        CU_ASSERT_EQUAL(stat(sub, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
}

static void names_of_nothing(void)
{
        UNIT_STR(ts_side_str((enum ts_side)7), "unknown");
        UNIT_STR(ts_res_kind_str(TS_RES_KIND_MAX), "unknown");
        UNIT_STR(ts_res_kind_str(TS_RES_PATH), "path");
}

static void heads_that_say_too_little(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = NULL;
        struct ts_journal_head h = head_of((char *)(uintptr_t) "../x", NULL);

        UNIT_FAILS(ts_journal_create(dir, &h, &j, &err), TS_EINTERNAL);
        h = head_of((char *)(uintptr_t)ID, NULL);
        h.container_id = NULL;
        UNIT_FAILS(ts_journal_create(dir, &h, &j, &err), TS_EINTERNAL);
        h = head_of((char *)(uintptr_t)ID, NULL);
        h.target = NULL;
        UNIT_FAILS(ts_journal_create(dir, &h, &j, &err), TS_EINTERNAL);
        h = head_of((char *)(uintptr_t)ID, NULL); /* no options is fine */
        UNIT_OK(ts_journal_create(dir, &h, &j, &err));
        ts_journal_free(j);
        ts_journal_free(NULL);
        ts_journal_head_clear(NULL);
}

static void not_there(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_free char *link = path_of(dir, "link"), *fifo = path_of(dir, "fifo");
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = NULL;

        UNIT_FAILS(ts_journal_read(dir, ID, &j, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_journal_open(dir, ID, &j, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_journal_open("/nonexistent", ID, &j, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_journal_read(dir, "../../etc/passwd", &j, &err), TS_EUSAGE);
        UNIT_FAILS(ts_journal_open(dir, "", &j, &err), TS_EUSAGE);
        CU_ASSERT_EQUAL(symlink("/etc/passwd", link), 0);
        UNIT_FAILS(ts_journal_read(dir, "link", &j, &err), TS_EIO);
        CU_ASSERT_EQUAL(mkfifo(fifo, 0600), 0);
        UNIT_FAILS(ts_journal_open(dir, "fifo", &j, &err), TS_EPROTO); /* and does not wait for a writer */
        CU_ASSERT_EQUAL(ts_journal_is_live(dir, ID), 0);
        CU_ASSERT_EQUAL(ts_journal_is_live(dir, "../x"), 0);
}

/* ---- cut short ---- */

static size_t lines_in(const char *text, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                n += text[i] == '\n';
        return n;
}

/* Opens the file as it is, goes on writing, reads it again. */
static void goes_on(const char *dir, size_t records)
{
        ts_auto_err err = TS_ERR_INIT;
        ts_auto(ts_journal) struct ts_journal *r = NULL, *again = NULL;
        struct ts_journal *w = NULL;

        UNIT_OK(ts_journal_read(dir, ID, &r, &err));
        check_prefix(r, records);
        UNIT_OK(ts_journal_open(dir, ID, &w, &err));
        check_prefix(w, records);
        UNIT_OK(ts_journal_note(w, "after the crash", &err));
        UNIT_OK(ts_journal_set_stage(w, TS_STAGE_ROLLED_BACK, NULL, &err));
        ts_journal_free(w);
        UNIT_OK(ts_journal_read(dir, ID, &again, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(again), TS_STAGE_ROLLED_BACK);
        CU_ASSERT_EQUAL(ts_journal_res_count(again), ts_journal_res_count(r));
}

static void crash_at_every_byte(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = create(dir, ID);

        fill(j);
        ts_journal_free(j);
        get(dir, ID, &text);
        CU_ASSERT_EQUAL(lines_in(text.buf, text.len), 10);
        for (size_t len = 0; len <= text.len; len++) {
                bool whole_line = len > 0 && (text.buf[len - 1] == '\n' ||
                                              (len < text.len && text.buf[len] == '\n')); /* only its newline is missing */
                size_t records = lines_in(text.buf, len) + (whole_line && text.buf[len - 1] != '\n');

                put(dir, ID, text.buf, len);
                if (records == 0) {
                        UNIT_FAILS(ts_journal_read(dir, ID, &j, &err), TS_EPROTO);
                        UNIT_FAILS(ts_journal_open(dir, ID, &j, &err), TS_EPROTO);
                } else
                        goes_on(dir, records);
        }
}

/* File systems that write the size before the data leave zeros; pages may arrive out of order. */
static void crash_with_zeros(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_str text = TS_STR_INIT, torn = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = create(dir, ID);
        char zeros[5000] = { 0 };
        size_t last;

        fill(j);
        ts_journal_free(j);
        get(dir, ID, &text);
        for (last = text.len - 1; text.buf[last - 1] != '\n'; last--)
                ;
        UNIT_OK(ts_str_add(&torn, text.buf, text.len, &err)); /* zeros after the end */
        UNIT_OK(ts_str_add(&torn, zeros, sizeof(zeros), &err));
        put(dir, ID, torn.buf, torn.len);
        goes_on(dir, 10);
        torn.len = 0;
        UNIT_OK(ts_str_add(&torn, text.buf, text.len, &err)); /* a hole in the last record */
        memset(torn.buf + last + 3, 0, 20);
        put(dir, ID, torn.buf, torn.len);
        goes_on(dir, 9);
        torn.buf[10] = '\0'; /* a hole elsewhere is not from a crash */
        put(dir, ID, torn.buf, torn.len);
        UNIT_FAILS(ts_journal_read(dir, ID, &j, &err), TS_EPROTO);
}

/* Strict about everything that is not the end. */
static void damage_at_every_byte(void)
{
        static const char bytes[] = { 'x', '"', '}', '\n', '9', (char)0xff, '\0' };
        AUTO_DIR dir = temp_dir();
        ts_auto_str text = TS_STR_INIT;
        struct ts_journal *w = create(dir, ID);
        size_t strict = 0, end;

        fill(w);
        ts_journal_free(w);
        get(dir, ID, &text);
        for (end = text.len - 1; text.buf[end - 1] != '\n'; end--)
                ;
        for (size_t at = 0; at < end; at++)
                for (size_t b = 0; b < sizeof(bytes); b++) {
                        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();
                        ts_auto_err err = TS_ERR_INIT;
                        char was = text.buf[at];

                        text.buf[at] = bytes[b];
                        if (ts_journal_parse(j, text.buf, text.len, &err) < 0) {
                                strict++;
                                CU_ASSERT_EQUAL(err.code, TS_EPROTO);
                        }
                        text.buf[at] = was;
                }
        CU_ASSERT(strict > end); /* most damage is seen; within strings it cannot be */
}

static const struct ts_adoption nobody = { .records = { 1, -1 } };

static int parse_only(const char *text, size_t len, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();

        if (ts_journal_parse(j, text, len, err) < 0)
                return -1;
        *ret = TS_TAKE(j);
        return 0;
}

static void strange_texts(void)
{
#define HEAD                                                          \
        "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/" \
        "1\",\"id\":\"x1\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c1\",\"container_name\":\"web\"}\n"
#define HEAD_WITH(rest)                                               \
        "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/" \
        "1\",\"id\":\"x1\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c1\",\"container_name\":\"web\"," rest "}\n"
#define INTENT(n, rest) "{\"seq\":" #n ",\"type\":\"intent\",\"n\":0,\"side\":\"target\"," rest "}\n"
        static const struct {
                const char *text;
                enum ts_code code; /* TS_OK: accepted */
        } cases[] = {
                { HEAD, TS_OK },
                { HEAD_WITH("\"strategy\":\"in-place\",\"transfer\":\"tls\",\"options\":{\"engine\":\"Docker\"}"), TS_OK },
                { HEAD_WITH("\"strategy\":\"post-copy\""), TS_EPROTO }, /* words of a newer version stop us */
                { HEAD_WITH("\"strategy\":5"), TS_EPROTO },
                { HEAD_WITH("\"transfer\":\"pigeon\""), TS_EPROTO },
                { HEAD_WITH("\"options\":{\"engine\":\"incus\"}"), TS_EPROTO },
                { "", TS_EPROTO },
                { "\n", TS_EPROTO },
                { "{}\n", TS_EPROTO },
                { "[]\n", TS_EPROTO },
                { HEAD "\n", TS_EPROTO },
                { HEAD HEAD, TS_EPROTO },
                { HEAD "null\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"head\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":2,\"type\":\"note\",\"text\":\"\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":\"1\",\"type\":\"note\",\"text\":\"\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"note\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"dance\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"note\",\"text\":\"\",\"more\":[{}]}\n", TS_OK },
                { HEAD "{\"seq\":1,\"seq\":1,\"type\":\"note\",\"text\":\"\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"stage\",\"stage\":\"armed\",\"detail\":17}\n", TS_OK },
                { HEAD "{\"seq\":1,\"type\":\"stage\",\"stage\":\"elsewhere\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"stage\",\"stage\":\"committed\"}\n{\"seq\":2,\"type\":\"stage\",\"stage\":\"armed\"}\n",
                  TS_EPROTO },
                { HEAD
                  "{\"seq\":1,\"type\":\"stage\",\"stage\":\"target-fenced\"}\n{\"seq\":2,\"type\":\"stage\",\"stage\":\"committed\"}\n",
                  TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"stage\",\"stage\":\"rolled-back\"}\n{\"seq\":2,\"type\":\"stage\",\"stage\":\"done\"}\n",
                  TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"withdrawn\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"stage\",\"stage\":\"armed\"}\n{\"seq\":2,\"type\":\"note\",\"text\":\"\"}\n{\"seq\":3,"
                       "\"type\":\"withdrawn\"}\n",
                  TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"stage\",\"stage\":\"armed\"}\n{\"seq\":2,\"type\":\"withdrawn\"}\n{\"seq\":3,\"type\":"
                       "\"withdrawn\"}\n",
                  TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/srv/data\""), TS_OK },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/srv//data/\""), TS_OK },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/srv/..data/.x\""), TS_OK },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/srv/../etc\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/srv/./etc\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/..\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"path\",\"name\":\"/\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"staging\",\"name\":\"//\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"staging\",\"name\":\"tmp\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"staging\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"lock\",\"name\":\"/x/../y\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"volume\",\"name\":\"a\\nb\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"volume\",\"name\":\"a\\u007fb\""), TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"elephant\",\"name\":\"a\""), TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"intent\",\"n\":0,\"side\":\"middle\",\"kind\":\"volume\",\"name\":\"a\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"intent\",\"n\":1,\"side\":\"target\",\"kind\":\"volume\",\"name\":\"a\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"res-state\",\"n\":0,\"state\":\"made\"}\n", TS_EPROTO },
                { HEAD "{\"seq\":1,\"type\":\"res-id\",\"n\":-1,\"id\":\"a\"}\n", TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"volume\",\"name\":\"a\"") "{\"seq\":2,\"type\":\"res-state\",\"n\":0,\"state\":\"gone\"}\n",
                  TS_EPROTO },
                { HEAD INTENT(1, "\"kind\":\"volume\",\"name\":\"a\"") "{\"seq\":2,\"type\":\"res-id\",\"n\":0}\n", TS_EPROTO },
                { HEAD INTENT(
                          1,
                          "\"kind\":\"volume\",\"name\":\"a\"") "{\"seq\":2,\"type\":\"res-id\",\"n\":9223372036854775807,\"id\":\"\"}\n",
                  TS_EPROTO },
                { "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/"
                  "2\",\"id\":\"x1\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c1\",\"container_name\":\"web\"}\n",
                  TS_EPROTO },
                { "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/1\",\"id\":\"../"
                  "x\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c1\",\"container_name\":\"web\"}\n",
                  TS_EPROTO },
                { "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/"
                  "1\",\"id\":\"x1\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c/1\",\"container_name\":\"web\"}\n",
                  TS_EPROTO },
                { "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/"
                  "1\",\"id\":\"x1\",\"source\":\"a\",\"container_id\":\"c1\",\"container_name\":\"web\"}\n",
                  TS_EPROTO },
                { "{\"seq\":0,\"type\":\"head\",\"schema\":\"tranship.journal/"
                  "1\",\"id\":\"x1\",\"source\":\"a\",\"target\":\"b\",\"container_id\":\"c1\",\"container_name\":\"web\",\"options\":[]}"
                  "\n",
                  TS_EPROTO },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto(ts_journal) struct ts_journal *j = NULL;
                ts_auto_err err = TS_ERR_INIT;
                int rc = parse_only(cases[i].text, strlen(cases[i].text), &j, &err);

                if (err.code != cases[i].code)
                        (void)printf("\n    case %zu: %s: %s\n", i, ts_code_str(err.code), ts_err_message(&err));
                CU_ASSERT_EQUAL(err.code, cases[i].code);
                CU_ASSERT_EQUAL(rc, cases[i].code == TS_OK ? 0 : -1);
        }
}

static void too_large(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *text = calloc(1, TS_JOURNAL_MAX_BYTES + 2);
        ts_auto_free char *name = calloc(1, TS_JOURNAL_MAX_STRING + 2);
        ts_auto(ts_journal) struct ts_journal *w = create(dir, ID);
        struct ts_journal *j = NULL;
        struct ts_json *big = ts_json_object();

        memset(text, ' ', TS_JOURNAL_MAX_BYTES + 1);
        UNIT_FAILS(ts_journal_adopt(dir, text, TS_JOURNAL_MAX_BYTES + 1, &nobody, &j, &err), TS_ELIMIT);
        put(dir, "big", text, TS_JOURNAL_MAX_BYTES + 1);
        UNIT_FAILS(ts_journal_read(dir, "big", &j, &err), TS_ELIMIT);
        memset(name, 'n', TS_JOURNAL_MAX_STRING + 1);
        UNIT_FAILS(ts_journal_intent(w, TS_RES_VOLUME, TS_SIDE_TARGET, name, NULL, NULL, NULL, &err), TS_EUSAGE);
        text[TS_JOURNAL_MAX_LINE] = '\0';
        UNIT_OK(ts_json_set_str(big, "x", text));
        UNIT_FAILS(ts_journal_set_stage(w, TS_STAGE_ARMED, big, &err), TS_ELIMIT);
        CU_ASSERT_EQUAL(ts_journal_stage(w), TS_STAGE_BEGUN);
        UNIT_OK(ts_journal_set_stage(w, TS_STAGE_ARMED, NULL, &err));
}

/* ---- what may be written ---- */

static void stages_only_forward(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto(ts_journal) struct ts_journal *j = create(dir, ID), *k = create(dir, "k");
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_RESTORED, NULL, &err));
        UNIT_FAILS(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_set_stage(j, TS_STAGE_MAX, NULL, &err), TS_EINTERNAL);
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_RESTORED, NULL, &err)); /* again is fine */
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_COMMITTED, NULL, &err));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_DONE, NULL, &err));
        UNIT_FAILS(ts_journal_set_stage(j, TS_STAGE_ROLLED_BACK, NULL, &err), TS_EINTERNAL);
        UNIT_OK(ts_journal_set_stage(k, TS_STAGE_TARGET_FENCED, NULL, &err));
        UNIT_FAILS(ts_journal_set_stage(k, TS_STAGE_COMMITTED, NULL, &err), TS_EINTERNAL); /* what is fenced is not committed */
        UNIT_OK(ts_journal_set_stage(k, TS_STAGE_ROLLED_BACK, NULL, &err));
        UNIT_FAILS(ts_journal_set_stage(k, TS_STAGE_COMMITTED, NULL, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_set_stage(k, TS_STAGE_DONE, NULL, &err), TS_EINTERNAL);
}

static void resources_are_checked(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto(ts_journal) struct ts_journal *w = create(dir, ID), *r = NULL;
        ts_auto_err err = TS_ERR_INIT;
        unsigned n = 77;

        UNIT_FAILS(ts_journal_intent(w, TS_RES_PATH, TS_SIDE_TARGET, "/srv/\xff\xfe", NULL, NULL, &n, &err),
                   TS_EUSAGE); /* would be stored as another path */
        UNIT_FAILS(ts_journal_intent(w, TS_RES_VOLUME, TS_SIDE_TARGET, "a\nb", NULL, NULL, &n, &err), TS_EUSAGE);
        UNIT_FAILS(ts_journal_intent(w, TS_RES_STAGING, TS_SIDE_TARGET, "/var/tmp/../x", NULL, NULL, &n, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_intent(w, TS_RES_STAGING, TS_SIDE_TARGET, NULL, NULL, NULL, &n, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_intent(w, TS_RES_KIND_MAX, TS_SIDE_TARGET, "a", NULL, NULL, &n, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_res_id(w, 0, "x", &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_res_state(w, 0, TS_RES_MADE, &err), TS_EINTERNAL);
        CU_ASSERT_EQUAL(n, 77);
        CU_ASSERT_EQUAL(ts_journal_res_count(w), 0);
        UNIT_OK(ts_journal_intent(w, TS_RES_PATH, TS_SIDE_TARGET, "/srv/Ünïcode 目录", NULL, "absent", NULL, &err));
        UNIT_FAILS(ts_journal_res_id(w, 0, NULL, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_res_state(w, 0, (enum ts_res_state)9, &err), TS_EINTERNAL);
        UNIT_OK(ts_journal_res_state(w, 0, TS_RES_KEPT, &err));
        UNIT_OK(ts_journal_read(dir, ID, &r, &err));
        UNIT_STR(ts_journal_res(r, 0)->name, "/srv/Ünïcode 目录");
        CU_ASSERT_EQUAL(ts_journal_res(r, 0)->state, TS_RES_KEPT);
        UNIT_FAILS(ts_journal_note(r, "read-only", &err), TS_EINTERNAL);
        UNIT_FAILS(ts_journal_set_stage(r, TS_STAGE_ARMED, ts_json_object(), &err), TS_EINTERNAL);
}

/* ---- two at once ---- */

/* What a journal says is done as us: not what somebody else could have written. */
static void journals_of_others(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_free char *path = path_of(dir, ID);
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = create(dir, ID);

        ts_journal_free(j);
        CU_ASSERT_EQUAL(chmod(path, 0620), 0);
        UNIT_FAILS(ts_journal_open(dir, ID, &j, &err), TS_EPROTO);
        CU_ASSERT_EQUAL(chmod(path, 0600), 0);
        CU_ASSERT_EQUAL(chmod(dir, 0777), 0);
        UNIT_FAILS(ts_journal_read(dir, ID, &j, &err), TS_EPROTO);
        CU_ASSERT_EQUAL(chmod(dir, 0700), 0);
        if (geteuid() == 0) {
                CU_ASSERT_EQUAL(chown(path, 12345, 0), 0);
                UNIT_FAILS(ts_journal_open(dir, ID, &j, &err), TS_EPROTO);
                CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
        }
        UNIT_OK(ts_journal_open(dir, ID, &j, &err));
        ts_journal_free(j);
}

static void one_writer(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *w = create(dir, ID), *other = NULL, *r = NULL;
        struct ts_journal_head h = head_of((char *)(uintptr_t)ID, NULL);

        CU_ASSERT_EQUAL(ts_journal_is_live(dir, ID), 1);
        CU_ASSERT_EQUAL(ts_journal_open(dir, ID, &other, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_ECONFLICT);
        CU_ASSERT_PTR_NOT_NULL(err.hint);
        ts_err_clear(&err);
        UNIT_FAILS(ts_journal_create(dir, &h, &other, &err), TS_ECONFLICT);
        UNIT_OK(ts_journal_read(dir, ID, &r, &err));
        ts_journal_free(r);
        ts_journal_free(w);
        CU_ASSERT_EQUAL(ts_journal_is_live(dir, ID), 0);
        UNIT_FAILS(ts_journal_create(dir, &h, &other, &err), TS_ECONFLICT);
        UNIT_OK(ts_journal_open(dir, ID, &other, &err));
        CU_ASSERT_EQUAL(ts_journal_is_live(dir, ID), 1);
        ts_journal_free(other);
}

static void a_killed_writer_lets_go(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = NULL;
        int fds[2];
        char ready;
        pid_t pid;

        ts_journal_free(create(dir, ID));
        UNIT_OK(ts_pipe(fds, &err));
        pid = fork();
        if (pid == 0) {
                if (ts_journal_open(dir, ID, &j, NULL) == 0 && ts_journal_set_stage(j, TS_STAGE_ARMED, NULL, NULL) == 0)
                        (void)!write(fds[1], "x", 1);
                (void)pause();
                _exit(0);
        }
        CU_ASSERT_EQUAL(read(fds[0], &ready, 1), 1);
        UNIT_FAILS(ts_journal_open(dir, ID, &j, &err), TS_ECONFLICT);
        CU_ASSERT_EQUAL(ts_journal_is_live(dir, ID), 1);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        UNIT_OK(ts_journal_open(dir, ID, &j, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_ARMED);
        ts_journal_free(j);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

/* is_live() takes the lock for a moment: an open at the same time must not fail for that. */
static void looking_does_not_disturb(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_err err = TS_ERR_INIT;
        pid_t pid;

        ts_journal_free(create(dir, ID));
        pid = fork();
        if (pid == 0) {
                for (;;)
                        (void)ts_journal_is_live(dir, ID);
        }
        for (int i = 0; i < 100; i++) {
                struct ts_journal *j = NULL;

                UNIT_OK(ts_journal_open(dir, ID, &j, &err));
                ts_journal_free(j);
        }
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
}

/* ---- a full disk ---- */

/* In a child: fork() gives it limits and mounts of its own. -1: could not be set up there. */
static int in_child(int (*body)(const char *dir), const char *dir)
{
        int status = 0;
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(body(dir) & 0xff);
        (void)waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

#define MUST(x)                                    \
        do {                                       \
                if (!(x))                          \
                        return __LINE__ % 200 + 2; \
        } while (0)
enum { PASSED = 0, NOT_POSSIBLE = 1 };

static int limited_file(const char *dir)
{
        ts_auto(ts_journal) struct ts_journal *j = create(dir, ID), *r = NULL;
        ts_auto_str before = TS_STR_INIT, after = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct rlimit limit;

        (void)signal(SIGXFSZ, SIG_IGN);
        get(dir, ID, &before);
        MUST(getrlimit(RLIMIT_FSIZE, &limit) == 0);
        limit.rlim_cur = before.len + 20; /* in the middle of the next record */
        MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        MUST(ts_journal_set_stage(j, TS_STAGE_ARMED, NULL, &err) == -1);
        MUST(err.code == TS_EIO && err.sys_errno == EFBIG);
        MUST(ts_journal_stage(j) == TS_STAGE_BEGUN);
        MUST(ts_journal_intent(j, TS_RES_VOLUME, TS_SIDE_TARGET, "v", NULL, NULL, NULL, NULL) == -1);
        MUST(ts_journal_res_count(j) == 0);
        get(dir, ID, &after);
        MUST(before.len == after.len && memcmp(before.buf, after.buf, before.len) == 0);
        limit.rlim_cur = limit.rlim_max;
        MUST(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        MUST(ts_journal_intent(j, TS_RES_VOLUME, TS_SIDE_TARGET, "v", NULL, NULL, NULL, NULL) == 0); /* the disk has room again */
        MUST(ts_journal_set_stage(j, TS_STAGE_ARMED, NULL, NULL) == 0);
        MUST(ts_journal_read(dir, ID, &r, NULL) == 0 && ts_journal_stage(r) == TS_STAGE_ARMED && ts_journal_res_count(r) == 1);
        return PASSED;
}

static void fill_disk(const char *dir)
{
        ts_auto_free char *path = ts_fmt("%s/ballast", dir);
        ts_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        char block[4096] = { 0 };

        while (write(fd, block, sizeof(block)) > 0)
                ;
}

static int tiny_disk(const char *dir)
{
        struct ts_journal_head h = head_of((char *)(uintptr_t) "second", NULL);
        ts_auto(ts_journal) struct ts_journal *j = NULL, *none = NULL;
        ts_auto_err err = TS_ERR_INIT;

        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0 ||
            mount("tmpfs", dir, "tmpfs", 0, "size=300k") < 0)
                return NOT_POSSIBLE;
        j = create(dir, ID);
        MUST(ts_journal_create(dir, &h, &none, &err) == -1); /* 256 KiB are not there a second time */
        MUST(err.code == TS_ENOSPC);
        fill_disk(dir);
        for (int i = 0; i < 200; i++) /* the space was allocated: nothing can take it away */
                MUST(ts_journal_note(j, "a record although the disk is full, long enough to need more than a block in the end", NULL) == 0);
        MUST(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, NULL) == 0);
        return PASSED;
}

static void disk_is_full(void)
{
        AUTO_DIR dir = temp_dir();
        AUTO_DIR mounted = temp_dir();
        int rc;

        CU_ASSERT_EQUAL(in_child(limited_file, dir), PASSED);
        rc = in_child(tiny_disk, mounted);
        if (rc == NOT_POSSIBLE)
                (void)printf("\n    no tmpfs can be mounted here: left out ");
        else
                CU_ASSERT_EQUAL(rc, PASSED);
}

/* ---- copies ---- */

struct copy {
        struct ts_str text;
        int fail_after; /* calls; -1: never */
        int calls;
};

static int copy_append(void *ctx, const char *line, size_t len, struct ts_err *err)
{
        struct copy *c = ctx;

        c->calls++;
        if (c->fail_after >= 0 && c->calls > c->fail_after)
                return ts_err_set(err, TS_ECONNECT, "the host of the copy is gone");
        return ts_str_add(&c->text, line, len, err);
}

static void copies_are_the_same(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto(ts_journal) struct ts_journal *j = create(dir, ID);
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct copy early = { .fail_after = -1 }, late = { .fail_after = -1 };

        UNIT_OK(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &early, false }, &err));
        fill(j);
        UNIT_OK(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &late, false }, &err));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err));
        get(dir, ID, &text);
        UNIT_STR(ts_str_cstr(&early.text), ts_str_cstr(&text));
        UNIT_STR(ts_str_cstr(&late.text), ts_str_cstr(&text));
        ts_str_clear(&early.text);
        ts_str_clear(&late.text);
}

static void a_copy_that_fails(void)
{
        AUTO_DIR dir = temp_dir();
        struct ts_journal *j = create(dir, ID);
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct copy good = { .fail_after = -1 }, bad = { .fail_after = 2 }, none = { .fail_after = 0 };

        UNIT_FAILS(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &none, false }, &err), TS_ECONNECT);
        UNIT_OK(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &good, false }, &err));
        UNIT_OK(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &bad, false }, &err));
        UNIT_OK(ts_journal_note(j, "both have this", &err));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_ARMED, NULL, &err)); /* the copy breaks: nobody needs it for this */
        UNIT_FAILS(ts_journal_set_stage(j, TS_STAGE_CHECKPOINT_SENT, NULL, &err), TS_ECONNECT);
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_ARMED);
        CU_ASSERT_EQUAL(bad.calls, 3); /* and it is left alone from then on */
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_ROLLED_BACK, NULL, &err));
        get(dir, ID, &text);
        UNIT_STR(ts_str_cstr(&good.text), ts_str_cstr(&text)); /* the good one knows of the withdrawal */
        ts_journal_free(j);
        UNIT_OK(ts_journal_read(dir, ID, &j, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_ROLLED_BACK);
        CU_ASSERT_PTR_NULL(ts_journal_detail(j, TS_STAGE_CHECKPOINT_SENT));
        ts_journal_free(j);
        ts_str_clear(&good.text);
        ts_str_clear(&bad.text);
}

static void restore_sent_needs_every_copy(void)
{
        AUTO_DIR dir = temp_dir();
        struct ts_journal *j = create(dir, ID), *r = NULL;
        ts_auto_err err = TS_ERR_INIT;
        struct copy bad = { .fail_after = 2 };

        UNIT_OK(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &bad, false }, &err));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_CHECKPOINTED, NULL, &err));
        CU_ASSERT_EQUAL(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "the host of the copy is gone"));
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_CHECKPOINTED); /* so that the rollback needs nothing from the target */
        UNIT_OK(ts_journal_read(dir, ID, &r, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(r), TS_STAGE_CHECKPOINTED);
        ts_journal_free(r);
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_ROLLBACK_SENT, NULL, &err)); /* which does not need the copy either */
        for (unsigned i = 0; i < TS_JOURNAL_MAX_MIRRORS; i++) {
                struct copy c = { .fail_after = -1 };
                bool room = i + 1 < TS_JOURNAL_MAX_MIRRORS;

                CU_ASSERT_EQUAL(ts_journal_add_mirror(j, &(struct ts_journal_mirror){ copy_append, &c, false }, &err), room ? 0 : -1);
                ts_str_clear(&c.text);
        }
        ts_journal_free(j);
        ts_str_clear(&bad.text);
}

/* ---- journals from elsewhere ---- */

static void adopting(void)
{
        AUTO_DIR here = temp_dir();
        AUTO_DIR there = temp_dir();
        ts_auto_str old = TS_STR_INIT, new = TS_STR_INIT, now = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = create(there, ID), *a = NULL;

        get(there, ID, &old);
        fill(j);
        ts_journal_free(j);
        get(there, ID, &new);
        UNIT_OK(ts_journal_adopt(here, old.buf, old.len, &nobody, &a, &err));
        CU_ASSERT_EQUAL(ts_journal_is_live(here, ID), 1);
        UNIT_FAILS(ts_journal_adopt(here, new.buf, new.len, &nobody, &j, &err), TS_ECONFLICT); /* somebody works with it */
        ts_journal_free(a);
        UNIT_OK(ts_journal_adopt(here, new.buf, new.len, &nobody, &a, &err)); /* the copy goes on where ours ends */
        check_prefix(a, 10);
        UNIT_OK(ts_journal_note(a, "recovered here", &err));
        ts_journal_free(a);
        UNIT_OK(ts_journal_adopt(here, old.buf, old.len - 1, &nobody, &a, &err)); /* ours is newer; a lost newline does not matter */
        check_prefix(a, 10);
        ts_journal_free(a);
        get(here, ID, &now);
        CU_ASSERT(now.len > new.len &&memcmp(now.buf, new.buf, new.len) == 0);
        old.buf[old.len - 3] ^= 1; /* another story */
        UNIT_FAILS(ts_journal_adopt(here, "x", 1, &nobody, &a, &err), TS_EPROTO);
        j = create(there, "other");
        ts_journal_free(j);
        ts_str_clear(&now);
        get(there, "other", &now);
        put(there, ID, now.buf, now.len);
        UNIT_FAILS(ts_journal_read(there, ID, &j, &err), TS_EPROTO); /* a file under the name of another */
        j = create(there, "20261120-161502-000000");
        UNIT_OK(ts_journal_note(j, "this way", &err));
        ts_journal_free(j);
        ts_str_clear(&now);
        get(there, "20261120-161502-000000", &now);
        UNIT_OK(ts_journal_adopt(here, now.buf, now.len, &nobody, &j, &err));
        ts_journal_free(j);
        memcpy(strstr(now.buf, "this way"), "that way", 8);
        UNIT_FAILS(ts_journal_adopt(here, now.buf, now.len, &nobody, &j, &err), TS_ECONFLICT);
}

/* ---- the directory ---- */

static void age(const char *dir, const char *id, time_t days)
{
        ts_auto_free char *path = path_of(dir, id);
        struct timespec times[2] = { { .tv_sec = time(NULL) - days * 86400 }, { .tv_sec = time(NULL) - days * 86400 } };

        CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void listing_and_pruning(void)
{
        static const char *const ids[] = { "20261119-000000-a", "20261120-000000-b", "20261121-000000-c", "20261122-000000-d" };
        AUTO_DIR dir = temp_dir();
        ts_auto_free char *absent = ts_fmt("%s/absent", dir);
        ts_auto_list list = TS_LIST_INIT, rest = TS_LIST_INIT, none = TS_LIST_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *live;

        UNIT_OK(ts_journal_ids(absent, &none, &err));
        CU_ASSERT_EQUAL(none.n, 0);
        ts_journal_prune(absent, 1);
        for (size_t i = TS_ARRAY_LEN(ids); i-- > 0;) {
                struct ts_journal *j = create(dir, ids[i]);

                if (i != 1)
                        UNIT_OK(ts_journal_set_stage(j, i == 0 ? TS_STAGE_DONE : TS_STAGE_ROLLED_BACK, NULL, &err));
                ts_journal_free(j);
                if (i != 2)
                        age(dir, ids[i], 40);
        }
        put(dir, "..hidden", "x", 1);
        put(dir, "rubbish", "x", 1);
        age(dir, "rubbish", 40);
        UNIT_OK(ts_journal_ids(dir, &list, &err));
        CU_ASSERT_EQUAL_FATAL(list.n, 5);
        for (size_t i = 0; i < TS_ARRAY_LEN(ids); i++)
                UNIT_STR(list.v[i], ids[i]);
        UNIT_OK(ts_journal_open(dir, ids[3], &live, &err));
        age(dir, ids[3], 40);
        ts_journal_prune(dir, 30); /* final and old goes; unfinished, young, in use and not understood stays */
        ts_journal_free(live);
        UNIT_OK(ts_journal_ids(dir, &rest, &err));
        CU_ASSERT_EQUAL_FATAL(rest.n, 4);
        UNIT_STR(rest.v[0], ids[1]);
        UNIT_STR(rest.v[1], ids[2]);
        UNIT_STR(rest.v[2], ids[3]);
}

static void final_journals_give_their_space_back(void)
{
        AUTO_DIR dir = temp_dir();
        ts_auto_free char *path = path_of(dir, ID);
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = create(dir, ID);
        struct stat st;

        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_DONE, NULL, &err));
        ts_journal_free(j);
        CU_ASSERT_EQUAL(stat(path, &st), 0);
        CU_ASSERT(st.st_blocks * 512 < 64 * 1024);
        UNIT_OK(ts_journal_read(dir, ID, &j, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_DONE);
        ts_journal_free(j);
}

static CU_TestInfo tests[] = { UNIT(round_trip),
                               UNIT(names_of_nothing),
                               UNIT(heads_that_say_too_little),
                               UNIT(not_there),
                               UNIT(crash_at_every_byte),
                               UNIT(crash_with_zeros),
                               UNIT(damage_at_every_byte),
                               UNIT(strange_texts),
                               UNIT(too_large),
                               UNIT(stages_only_forward),
                               UNIT(resources_are_checked),
                               UNIT(journals_of_others),
                               UNIT(one_writer),
                               UNIT(a_killed_writer_lets_go),
                               UNIT(looking_does_not_disturb),
                               UNIT(disk_is_full),
                               UNIT(copies_are_the_same),
                               UNIT(a_copy_that_fails),
                               UNIT(restore_sent_needs_every_copy),
                               UNIT(adopting),
                               UNIT(listing_and_pruning),
                               UNIT(final_journals_give_their_space_back),
                               CU_TEST_INFO_NULL };
UNIT_MAIN("journal", tests)
