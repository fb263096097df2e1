/* What the command line shows: texts in columns, findings, progress lines, events as JSON, and output that nobody reads. */
#include "api/json.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "engine/cli/cli.h"
#include "engine/cli/events_json.h"
#include "engine/cli/outbuf.h"
#include "engine/cli/progress.h"
#include "engine/cli/progress_draw.h"
#include "engine/cli/render.h"
#include "engine/cli/term.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static bool utf8(void)
{
        return setlocale(LC_CTYPE, "C.UTF-8") || setlocale(LC_CTYPE, "C.utf8");
}

/* ---- texts ---- */

static void cut_and_padded(void)
{
        static const struct {
                const char *text, *want;
                unsigned columns;
                bool pad;
        } cases[] = {
                { "web", "web", 5, false },    { "web", "web  ", 5, true },     { "counter", "coun…", 5, false }, { "", "     ", 5, true },
                { "größe", "größe", 5, true }, { "größere", "größ…", 5, true }, { "漢字漢字", "漢字…", 5, true }, { "x", "", 0, true },
        };

        CU_ASSERT_TRUE_FATAL(utf8());
        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_str out = TS_STR_INIT;
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(ts_text_add(&out, cases[i].text, cases[i].columns, cases[i].pad, true, &err));
                UNIT_STR(ts_str_cstr(&out), cases[i].want);
        }
}

static void wrapped(void)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                { "", "\n" },
                { "one two", "one two\n" },
                { "one two three four", "one two\n  three\n  four\n" },
                { "a-word-longer-than-the-line then", "a-word-longer-than-the-line\n  then\n" },
                { "  blanks   between  ", "blanks\n  between\n" },
                { "say 'a  b c d e=f'", "say\n  'a  b c d e=f'\n" },
                { "(run `ssh a b c`), host's end", "(run\n  `ssh a b c`),\n  host's\n  end\n" },
                { "x 'it'\\''s a b', c", "x\n  'it'\\''s a b',\n  c\n" },
                { "the 'ends never x y", "the 'ends\n  never x\n  y\n" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_str out = TS_STR_INIT;
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(ts_text_wrap(&out, cases[i].text, 0, 2, 10, &err));
                UNIT_STR(ts_str_cstr(&out), cases[i].want);
        }
}

/* ---- findings ---- */

static char text_exists[] = "volume 'data' exists on the target", hint_exists[] = "--volume data=replace or --volume data=shared";
static char text_cpu[] = "no avx2 there", text_logs[] = "logs stay";
static struct ts_finding found[] = {
        { .code = "logs", .warning = true, .message = text_logs },
        { .code = "volume-exists", .message = text_exists, .hint = hint_exists },
        { .code = "cpu-features", .skippable = true, .message = text_cpu },
        { .code = "same-cpu", .skippable = true, .skipped = true, .message = text_cpu },
};
static const struct ts_findings findings = { found, TS_ARRAY_LEN(found) };

static void findings_for_people(void)
{
        struct ts_paper p = { .colour = false, .utf8 = true, .columns = 100 };
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_render_findings(&findings, &p, &out, &err));
        UNIT_STR(ts_str_cstr(&out), "  ✗ volume-exists  volume 'data' exists on the target\n"
                                    "      → --volume data=replace or --volume data=shared\n"
                                    "  ✗ cpu-features   no avx2 there\n"
                                    "      → --skip cpu-features to go on in spite of it\n"
                                    "  ! logs           logs stay\n"
                                    "  ! same-cpu       no avx2 there (skipped, as asked)\n");
}

static void findings_in_ascii(void)
{
        struct ts_paper p = { .colour = false, .utf8 = false, .columns = 100 };
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_render_findings(&findings, &p, &out, &err));
        for (const char *c = ts_str_cstr(&out); *c; c++)
                CU_ASSERT_TRUE((unsigned char)*c < 0x80);
        CU_ASSERT_PTR_NULL(strchr(ts_str_cstr(&out), '\033'));
}

static void findings_for_programs(void)
{
        ts_auto(ts_json) struct ts_json *j = ts_findings_json(&findings);

        CU_ASSERT_EQUAL_FATAL(ts_json_len(j), 4);
        UNIT_STR(ts_json_str(ts_json_at(j, 0), "severity", NULL), "warning");
        UNIT_STR(ts_json_str(ts_json_at(j, 1), "severity", NULL), "error");
        UNIT_STR(ts_json_str(ts_json_at(j, 1), "code", NULL), "volume-exists");
        CU_ASSERT_TRUE(ts_json_bool(ts_json_at(j, 2), "skippable", false));
}

static void every_command_of_a_hint_has_its_line(void)
{
        struct ts_paper p = { .colour = false, .utf8 = false, .columns = 100 };
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_render_hint("first: a b   ·   then: c", &p, &out, &err));
        UNIT_STR(ts_str_cstr(&out), "  -> first: a b\n  -> then: c\n");
}

static void a_hint_is_one_line(void)
{
        static const char command[] = "podman container restore --keep --tcp-established --file-locks --import /var/lib/tranship/x.tar web";
        struct ts_paper p = { .utf8 = false, .columns = 40 };
        ts_auto_free char *want = ts_fmt("  -> %s\n", command);
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_render_hint(command, &p, &out, &err));
        UNIT_STR(ts_str_cstr(&out), want);
}

static void messages_are_whole_without_a_terminal(void)
{
        static char text[] = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen";
        struct ts_finding f = { .code = "logs", .message = text };
        struct ts_findings one = { &f, 1 };
        ts_auto_fd int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        struct ts_paper p = { .utf8 = false };
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_report r;

        (void)unsetenv("COLUMNS");
        p.columns = ts_term_message_columns(fd);
        CU_ASSERT_EQUAL(ts_term_columns(fd), 80);
        UNIT_OK(ts_render_findings(&one, &p, &out, &err));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&out), text));
        (void)setenv("COLUMNS", "60", 1);
        CU_ASSERT_EQUAL(ts_term_message_columns(fd), 60);
        (void)unsetenv("COLUMNS");
        ts_report_init(&r);
        ts_err_set(&r.error, TS_ECONNECT, "%s", text);
        ts_err_hint(&r.error, "%s", text);
        UNIT_OK(ts_list_add(&r.warnings, text, &err));
        for (unsigned columns = 0; columns <= 60; columns += 60) {
                ts_auto_str page = TS_STR_INIT;
                size_t n = 0;

                UNIT_OK(ts_report_text(&r, /* colour= */ false, columns, &page, &err));
                for (const char *at = ts_str_cstr(&page); (at = strstr(at, text)); at++)
                        n++;
                CU_ASSERT_EQUAL(n, columns ? 1 : 3); /* the hint always */
        }
        ts_report_clear(&r);
}

/* ---- standard output ---- */

/* The status of a command that prints much to out, and then ends with 0; out is closed. */
static int ends_with(int (*end)(int status), int out)
{
        int status = -1;
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0) {
                (void)dup2(out, STDOUT_FILENO);
                (void)freopen("/dev/null", "w", stderr);
                (void)setvbuf(stdout, NULL, _IOFBF, 64);
                for (int i = 0; i < 100; i++)
                        ts_cli_print(stdout, "line %d of a table\n", i);
                ts_cli_sync();
                _exit(end(0));
        }
        (void)close(out);
        CU_ASSERT_TRUE_FATAL(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int nobody_reads(void)
{
        ts_auto_err err = TS_ERR_INIT;
        int fds[2];

        CU_ASSERT_EQUAL_FATAL(ts_pipe(fds, &err), 0);
        (void)close(fds[0]);
        return fds[1];
}

static void a_broken_stdout_changes_no_status_of_a_move(void)
{
        CU_ASSERT_EQUAL(ends_with(ts_cli_flush_changed, nobody_reads()), 0);
        CU_ASSERT_EQUAL(ends_with(ts_cli_flush_changed, open("/dev/full", O_WRONLY | O_CLOEXEC)), 0);
        CU_ASSERT_EQUAL(ends_with(ts_cli_flush, nobody_reads()), 0);
        CU_ASSERT_EQUAL(ends_with(ts_cli_flush, open("/dev/full", O_WRONLY | O_CLOEXEC)), 1);
        CU_ASSERT_EQUAL(ends_with(ts_cli_flush, open("/dev/null", O_WRONLY | O_CLOEXEC)), 0);
}

static void endings(void)
{
        static const struct {
                int status;
                const char *has;
        } cases[] = {
                { 3, "nothing was changed" },    { 4, "the source is as it was" }, { 5, "tranship recover 2026-x" },
                { 6, "tranship status 2026-x" }, { 7, "memory is lost" },
        };
        struct ts_paper p = { .colour = false, .utf8 = true, .columns = 100 };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_str out = TS_STR_INIT;
                ts_auto_err err = TS_ERR_INIT;
                struct ts_report r;

                ts_report_init(&r);
                r.id = strdup("2026-x");
                ts_err_set(&r.error, TS_ECONNECT, "cut");
                ts_err_hint(&r.error, "plug it in");
                UNIT_OK(ts_list_add(&r.leftovers, "staging on 'h2'", &err));
                UNIT_OK(ts_render_ending(&r, cases[i].status, i % 2, &p, &out, &err));
                CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&out), cases[i].has));
                CU_ASSERT_EQUAL(strstr(ts_str_cstr(&out), "plug it in") != NULL, i % 2 || cases[i].status == 6);
                CU_ASSERT_EQUAL(strstr(ts_str_cstr(&out), "staging on 'h2'") != NULL, cases[i].status == 6);
                ts_report_clear(&r);
        }
}

/* ---- progress ---- */

static void never_wider_than_the_terminal(void)
{
        static const struct ts_active actives[] = {
                { .phase = "transfer",
                  .what = "memory and files of a container with quite a long name",
                  .frozen = true,
                  .frozen_from_us = 1,
                  .bytes = 128 << 20,
                  .total_bytes = 256 << 20,
                  .rate = 1 << 20 },
                { .phase = "a-phase-with-a-long-name",
                  .what = "größer als alles andere",
                  .bytes = UINT64_MAX,
                  .total_bytes = 1,
                  .rate = 1 },
                { .phase = "restore", .what = "target", .waiting = true, .total_bytes = UINT64_MAX, .rate = UINT64_MAX },
                { .phase = "verify" },
        };

        CU_ASSERT_TRUE_FATAL(utf8());
        for (size_t i = 0; i < TS_ARRAY_LEN(actives); i++)
                for (unsigned columns = 20; columns < 200; columns++) {
                        struct ts_look look = { .colour = false, .utf8 = columns % 2, .columns = columns };
                        ts_auto_str out = TS_STR_INIT;

                        CU_ASSERT_EQUAL(ts_draw_active(&actives[i], &look, UINT64_C(3000000), &out), 0);
                        CU_ASSERT_TRUE(ts_text_columns(ts_str_cstr(&out)) < columns);
                }
}

static void durations(void)
{
        static const struct {
                uint64_t us;
                const char *want;
        } cases[] = { { 0, "0.000 s" }, { 412000, "0.412 s" }, { 12345678, "12.3 s" }, { 187000000, "3:07" }, { 3723000000, "1:02:03" } };
        char buf[16];

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_draw_duration(cases[i].us, buf);
                UNIT_STR(buf, cases[i].want);
        }
        ts_draw_duration(UINT64_MAX, buf);
        CU_ASSERT_TRUE(strlen(buf) < sizeof(buf));
}

/* Gives what a progress display wrote for some events. Caller frees. */
static char *shown(enum ts_progress_style style, const struct ts_event *events, size_t n)
{
        struct ts_progress_opts o = { .style = style, .columns = 80, .utf8 = true };
        ts_auto(ts_progress) struct ts_progress *p = NULL;
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        int fds[2];

        CU_ASSERT_EQUAL_FATAL(ts_pipe(fds, &err), 0);
        o.fd = fds[1];
        CU_ASSERT_EQUAL_FATAL(ts_progress_start(&o, &p, &err), 0);
        for (size_t i = 0; i < n; i++)
                ts_progress_emit(p, &events[i]);
        ts_progress_free(TS_TAKE(p));
        (void)close(fds[1]);
        UNIT_OK(ts_read_to_end(fds[0], &text, 0, &err));
        (void)close(fds[0]);
        return ts_str_take(&text);
}

static const struct ts_event story[] = {
        { .kind = TS_EV_BEGIN, .phase = "ID", .text = "web" },
        { .kind = TS_EV_PHASE_BEGIN, .phase = "transfer", .frozen = true },
        { .kind = TS_EV_PROGRESS, .phase = "transfer", .text = "memory", .bytes = 5, .total_bytes = 10 },
        { .kind = TS_EV_NOTE, .text = "not shown" },
        { .kind = TS_EV_PHASE_END, .phase = "transfer", .ok = true, .frozen = true, .bytes = 1000000, .duration_us = 500000 },
        { .kind = TS_EV_WARNING, .text = "a\033[31mred\nwarning" },
        { .kind = TS_EV_PHASE_BEGIN, .phase = "restore", .frozen = true },
        { .kind = TS_EV_PHASE_END, .phase = "restore", .frozen = true, .duration_us = 1 },
        { .kind = TS_EV_ROLLBACK, .text = "no" },
        { .kind = TS_EV_WAITING, .text = "h2" },
        { .kind = TS_EV_COMMIT },
        { .kind = TS_EV_END, .text = "moved", .ok = true },
};

static void plain_lines(void)
{
        static const char *const want[] = { "web  ID",
                                            "✓ transfer      0.500 s     1.0 MB     2.0 MB/s  frozen",
                                            "! a?[31mred?warning",
                                            "✗ restore       0.000 s  frozen  failed",
                                            "↩ rolling back: no",
                                            "… waiting: h2",
                                            "✓ committed" };
        ts_auto_free char *text = shown(TS_PROGRESS_LINES, story, TS_ARRAY_LEN(story));

        for (size_t i = 0; i < TS_ARRAY_LEN(want); i++) {
                if (!strstr(text, want[i]))
                        (void)printf("\n    not there: %s\n%s", want[i], text);
                CU_ASSERT_PTR_NOT_NULL(strstr(text, want[i]));
        }
        CU_ASSERT_PTR_NULL(strchr(text, '\r'));
        CU_ASSERT_PTR_NULL(strchr(text, '\033'));
        CU_ASSERT_PTR_NULL(strstr(text, "not shown"));
}

static void bar_leaves_a_clean_line(void)
{
        ts_auto_free char *text = shown(TS_PROGRESS_BAR, story, 2), *end = NULL;

        CU_ASSERT_TRUE_FATAL(strlen(text) > 4);
        end = strdup(text + strlen(text) - 4);
        CU_ASSERT_TRUE(strcmp(end, "\r\033[K") == 0 || end[3] == '\n'); /* the thread may not have come to draw */
}

static void progress_never_waits(void)
{
        struct ts_progress_opts o = { .style = TS_PROGRESS_LINES, .columns = 80 };
        ts_auto(ts_progress) struct ts_progress *p = NULL;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t from;
        int fds[2];

        CU_ASSERT_EQUAL_FATAL(ts_pipe(fds, &err), 0);
        o.fd = fds[1];
        UNIT_OK(ts_progress_start(&o, &p, &err));
        from = ts_now_us();
        for (int i = 0; i < 5000; i++) /* much more than a pipe holds, and nobody reads */
                ts_progress_emit(p, &(struct ts_event){ .kind = TS_EV_WARNING, .text = "the same warning again and again" });
        CU_ASSERT_TRUE(ts_now_us() - from < 20000000);
        (void)close(fds[0]);
        ts_progress_free(TS_TAKE(p));
        (void)close(fds[1]);
}

/* ---- events ---- */

static void each_line_is_json(void)
{
        char path[] = "/tmp/tranship-test-XXXXXX";
        ts_auto_fd int fd = mkstemp(path);
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_events *e = NULL;
        size_t n = 0;

        CU_ASSERT_TRUE_FATAL(fd >= 0);
        UNIT_OK(ts_events_open(path, 0, &e, &err));
        for (size_t i = 0; i < TS_ARRAY_LEN(story); i++)
                ts_events_emit(e, &story[i]);
        ts_events_free(e);
        UNIT_OK(ts_file_read(path, 1 << 20, &text, &err));
        for (char *save = NULL, *line = strtok_r(text.buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                ts_auto(ts_json) struct ts_json *j = NULL;

                UNIT_OK(ts_json_parse(line, strlen(line), 0, &j, &err));
                UNIT_STR(ts_json_str(j, "event", NULL), ts_event_kind_str(story[n].kind));
                UNIT_STR(ts_json_str(j, "schema", NULL), n == 0 ? "tranship.events/1" : NULL);
                CU_ASSERT_TRUE(ts_json_int(j, "t_us", -1) >= 0);
                n++;
        }
        CU_ASSERT_EQUAL(n, TS_ARRAY_LEN(story));
        (void)unlink(path);
}

static void events_to_a_descriptor(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_events *e = NULL;
        char spec[32], buf[512] = "";
        int fds[2];

        CU_ASSERT_EQUAL_FATAL(ts_pipe(fds, &err), 0);
        (void)snprintf(spec, sizeof(spec), "fd:%d", fds[1]);
        UNIT_OK(ts_events_open(spec, 0, &e, &err));
        ts_events_emit(e, &story[0]);
        CU_ASSERT_TRUE(read(fds[0], buf, sizeof(buf) - 1) > 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\"id\":\"ID\""));
        ts_events_free(e);
        (void)snprintf(spec, sizeof(spec), "fd:%d", fds[0]);
        UNIT_FAILS(ts_events_open(spec, 0, &e, &err), TS_EUSAGE); /* a reading end */
        UNIT_FAILS(ts_events_open("fd:x", 0, &e, &err), TS_EUSAGE);
        UNIT_FAILS(ts_events_open("fd:4000", 0, &e, &err), TS_EUSAGE);
        UNIT_FAILS(ts_events_open("/nowhere/at/all", 0, &e, &err), TS_EIO);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void events_never_wait(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_events *e = NULL;
        char spec[32];
        uint64_t from = ts_now_us();
        int fds[2];

        CU_ASSERT_EQUAL_FATAL(ts_pipe(fds, &err), 0);
        (void)snprintf(spec, sizeof(spec), "fd:%d", fds[1]);
        UNIT_OK(ts_events_open(spec, 0, &e, &err));
        for (int i = 0; i < 20000; i++)
                ts_events_emit(e, &story[2]);
        CU_ASSERT_TRUE(ts_now_us() - from < 20000000);
        (void)close(fds[0]); /* gone: the end does not wait for it */
        ts_events_free(e);
        (void)close(fds[1]);
}

static void outbuf_keeps_order(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_outbuf b;
        char buf[8192];
        size_t got = 0, sent = 0;
        int fds[2];

        CU_ASSERT_EQUAL_FATAL(ts_socketpair(fds, &err), 0);
        ts_outbuf_init(&b, fds[0], 1 << 20);
        for (unsigned i = 0; i < 100000; i++) {
                unsigned char c = (unsigned char)(i % 251);

                CU_ASSERT_TRUE(ts_outbuf_add(&b, &c, 1));
        }
        for (sent = 100000; got < sent;) {
                ssize_t n;

                ts_outbuf_flush(&b, 0);
                n = read(fds[1], buf, sizeof(buf));
                CU_ASSERT_TRUE_FATAL(n > 0);
                for (ssize_t i = 0; i < n; i++)
                        if ((unsigned char)buf[i] != (got + (size_t)i) % 251)
                                CU_FAIL_FATAL("out of order");
                got += (size_t)n;
        }
        CU_ASSERT_EQUAL(b.pending.len, 0);
        (void)close(fds[1]);
        (void)ts_outbuf_add(&b, "x", 1);
        ts_outbuf_flush(&b, 100);
        CU_ASSERT_EQUAL(b.broken, EPIPE);
        CU_ASSERT_FALSE(ts_outbuf_add(&b, "x", 1));
        ts_outbuf_clear(&b);
        (void)close(fds[0]);
}

static CU_TestInfo tests[] = {
        UNIT(cut_and_padded),
        UNIT(wrapped),
        UNIT(findings_for_people),
        UNIT(findings_in_ascii),
        UNIT(findings_for_programs),
        UNIT(every_command_of_a_hint_has_its_line),
        UNIT(a_hint_is_one_line),
        UNIT(messages_are_whole_without_a_terminal),
        UNIT(a_broken_stdout_changes_no_status_of_a_move),
        UNIT(endings),
        UNIT(never_wider_than_the_terminal),
        UNIT(durations),
        UNIT(plain_lines),
        UNIT(bar_leaves_a_clean_line),
        UNIT(progress_never_waits),
        UNIT(each_line_is_json),
        UNIT(events_to_a_descriptor),
        UNIT(events_never_wait),
        UNIT(outbuf_keeps_order),
        CU_TEST_INFO_NULL,
};
int main(int argc, char **argv)
{
        (void)signal(SIGPIPE, SIG_IGN);
        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        return unit_run("cli_output", tests, argc > 1 ? argv[1] : NULL);
}
