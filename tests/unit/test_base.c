/* base/err, base/clock, base/log, base/mem. The strings are in test_base_str.c, descriptors and files in test_base_io.c. */
#include "tests/unit/unit.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- err ---- */

static void err_set_keeps_the_first(void)
{
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_FALSE(ts_err_is_set(&err));
        CU_ASSERT_FALSE(ts_err_is_set(NULL));
        CU_ASSERT_EQUAL(ts_err_set(&err, TS_ENOTFOUND, "no such container '%s'", "db"), -1);
        CU_ASSERT_EQUAL(ts_err_set(&err, TS_EIO, "second"), -1);
        CU_ASSERT_EQUAL(ts_err_errno(&err, EIO, "third"), -1);
        CU_ASSERT_TRUE(ts_err_is_set(&err));
        CU_ASSERT_EQUAL(err.code, TS_ENOTFOUND);
        CU_ASSERT_EQUAL(err.sys_errno, 0);
        UNIT_STR(ts_err_message(&err), "no such container 'db'");
        CU_ASSERT_PTR_NULL(err.hint);
}

static void err_null_is_fine(void)
{
        CU_ASSERT_EQUAL(ts_err_set(NULL, TS_EIO, "x"), -1);
        CU_ASSERT_EQUAL(ts_err_errno(NULL, EIO, "x"), -1);
        CU_ASSERT_EQUAL(ts_err_prefix(NULL, "x"), -1);
        CU_ASSERT_EQUAL(ts_err_hint(NULL, "x"), -1);
        ts_err_clear(NULL);
        UNIT_STR(ts_err_message(NULL), "ok");
}

static void err_ok_is_not_a_failure(void)
{
        ts_auto_err err = TS_ERR_INIT;

        UNIT_FAILS(ts_err_set(&err, TS_OK, "a bug of the caller"), TS_EINTERNAL);
        CU_ASSERT_EQUAL(ts_err_prefix(&err, "nothing"), -1);
        CU_ASSERT_EQUAL(ts_err_hint(&err, "nothing"), -1);
        CU_ASSERT_FALSE(ts_err_is_set(&err));
        CU_ASSERT_PTR_NULL(err.message);
        CU_ASSERT_PTR_NULL(err.hint);
}

static void err_errno_chooses_the_code(void)
{
        static const struct {
                int sys_errno;
                enum ts_code code;
        } cases[] = { { EIO, TS_EIO },       { EACCES, TS_EIO },    { ENOSPC, TS_ENOSPC },
                      { EDQUOT, TS_ENOSPC }, { ENOMEM, TS_ENOMEM }, { 0, TS_EIO } };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_err err = TS_ERR_INIT;

                CU_ASSERT_EQUAL(ts_err_errno(&err, cases[i].sys_errno, "cannot write '%s'", "/x"), -1);
                CU_ASSERT_EQUAL(err.code, cases[i].code);
                CU_ASSERT_EQUAL(err.sys_errno, cases[i].sys_errno);
                CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "cannot write '/x': "));
        }
}

static void err_errno_appends_the_text(void)
{
        ts_auto_err err = TS_ERR_INIT;

        ts_err_errno(&err, ENOENT, "cannot open '%s'", "/etc/x");
        UNIT_STR(ts_err_message(&err), "cannot open '/etc/x': No such file or directory");
}

static void err_prefix_and_hint(void)
{
        ts_auto_err err = TS_ERR_INIT;

        ts_err_set(&err, TS_ECONNECT, "refused");
        CU_ASSERT_EQUAL(ts_err_prefix(&err, "engine '%s'", "b"), -1);
        CU_ASSERT_EQUAL(ts_err_prefix(&err, "target"), -1);
        UNIT_STR(ts_err_message(&err), "target: engine 'b': refused");
        CU_ASSERT_EQUAL(ts_err_hint(&err, "start it with '%s'", "systemctl start podman.socket"), -1);
        CU_ASSERT_EQUAL(ts_err_hint(&err, "another"), -1);
        UNIT_STR(err.hint, "start it with 'systemctl start podman.socket'");
        CU_ASSERT_EQUAL(err.code, TS_ECONNECT);
}

static void err_message_is_one_printable_line(void)
{
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *longer = malloc(100001);

        CU_ASSERT_PTR_NOT_NULL_FATAL(longer);
        memset(longer, 'a', 100000);
        longer[100000] = '\0';
        ts_err_set(&err, TS_EENGINE, "engine says: %s", "a\nb\033[31mred\033[0m\r\t.");
        UNIT_STR(ts_err_message(&err), "engine says: a?b?[31mred?[0m??.");
        ts_err_hint(&err, "a\nb");
        UNIT_STR(err.hint, "a?b");
        ts_err_clear(&err);
        ts_err_set(&err, TS_EENGINE, "%s", longer);
        CU_ASSERT_EQUAL(strlen(ts_err_message(&err)), 2048);
}

static void err_move_hands_over(void)
{
        ts_auto_err a = TS_ERR_INIT, b = TS_ERR_INIT;

        ts_err_set(&a, TS_EAUTH, "key refused");
        ts_err_hint(&a, "try --identity");
        a.http_status = 500;
        ts_err_set(&b, TS_EIO, "older, must not leak");
        ts_err_move(&b, &a);
        CU_ASSERT_EQUAL(b.code, TS_EAUTH);
        CU_ASSERT_EQUAL(b.http_status, 500);
        UNIT_STR(b.message, "key refused");
        UNIT_STR(b.hint, "try --identity");
        CU_ASSERT_FALSE(ts_err_is_set(&a));
        CU_ASSERT_PTR_NULL(a.message);
        CU_ASSERT_EQUAL(a.http_status, 0);
        ts_err_move(&b, &b);
        CU_ASSERT_EQUAL(b.code, TS_EAUTH);
        ts_err_move(NULL, &b); /* nobody wants it: freed */
        CU_ASSERT_FALSE(ts_err_is_set(&b));
        ts_err_move(&b, NULL);
}

static void err_clear_is_repeatable(void)
{
        struct ts_err err = TS_ERR_INIT;

        ts_err_errno(&err, EIO, "x");
        err.http_status = 404;
        ts_err_clear(&err);
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(err.code, TS_OK);
        CU_ASSERT_EQUAL(err.sys_errno, 0);
        CU_ASSERT_EQUAL(err.http_status, 0);
        UNIT_STR(ts_err_message(&err), "ok");
}

static void err_codes_have_distinct_names(void)
{
        for (int i = TS_OK; i <= TS_ECANCELED; i++) {
                const char *name = ts_code_str((enum ts_code)i);

                CU_ASSERT_STRING_NOT_EQUAL(name, "unknown");
                CU_ASSERT_TRUE(*name != '\0');
                for (int j = TS_OK; j < i; j++)
                        CU_ASSERT_STRING_NOT_EQUAL(name, ts_code_str((enum ts_code)j));
        }
        UNIT_STR(ts_code_str((enum ts_code)999), "unknown");
        UNIT_STR(ts_code_str(TS_EINTERNAL), "internal");
        UNIT_STR(ts_code_str(TS_EUSAGE), "usage");
        UNIT_STR(ts_code_str(TS_EREFUSED), "refused");
}

/* ---- mem ---- */

static void take_empties_the_variable(void)
{
        char *p = strdup("x"), *q = TS_TAKE(p);
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken = TS_TAKE_FD(fd);

        CU_ASSERT_PTR_NULL(p);
        UNIT_STR(q, "x");
        CU_ASSERT_EQUAL(fd, -1);
        CU_ASSERT_TRUE(taken >= 0);
        free(q);
        ts_closep(&fd);
        ts_closep(&taken);
        CU_ASSERT_EQUAL(fcntl(taken, F_GETFD), -1);
}

struct thing {
        int *freed;
};
static void thing_free(struct thing *t)
{
        (*t->freed)++;
}
TS_DEFINE_AUTO(thing, thing_free);

static void auto_frees_once(void)
{
        int freed = 0;
        struct thing one = { &freed };

        {
                ts_auto(thing) struct thing *a = &one;
                ts_auto(thing) struct thing *b = NULL;

                CU_ASSERT_PTR_NOT_NULL(a);
                CU_ASSERT_PTR_NULL(b);
        }
        CU_ASSERT_EQUAL(freed, 1);
}

/* ---- clock ---- */

static void now_never_goes_back(void)
{
        uint64_t last = ts_now_us();

        CU_ASSERT_TRUE(last > 0);
        for (int i = 0; i < 10000; i++) {
                uint64_t now = ts_now_us();

                if (now < last)
                        CU_FAIL("went back");
                last = now;
        }
}

static void deadline_never(void)
{
        CU_ASSERT_EQUAL(ts_deadline_in_ms(0), 0);
        CU_ASSERT_FALSE(ts_deadline_passed(0));
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(0, -1), -1);
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(0, 250), 250);
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(0, 0), 0);
}

static void deadline_counts_down(void)
{
        ts_deadline d = ts_deadline_in_ms(60000);
        int left = ts_deadline_poll_ms(d, -1);

        CU_ASSERT_FALSE(ts_deadline_passed(d));
        CU_ASSERT_TRUE(left > 50000 && left <= 60000);
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(d, 100), 100);
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(d, 0), 0);
        d = ts_now_us() - 1;
        CU_ASSERT_TRUE(ts_deadline_passed(d));
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(d, -1), 0);
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(d, 100), 0);
}

/* Rounded down, the last fraction of a millisecond would be a busy loop of poll(…, 0). */
static void deadline_rounds_up(void)
{
        ts_deadline d = ts_now_us() + 900;

        CU_ASSERT_EQUAL(ts_deadline_poll_ms(d, -1), ts_deadline_passed(d) ? 0 : 1);
}

static void deadline_saturates(void)
{
        ts_deadline d = ts_deadline_in_ms(UINT64_MAX);

        CU_ASSERT_EQUAL(d, UINT64_MAX);
        CU_ASSERT_FALSE(ts_deadline_passed(d));
        CU_ASSERT_EQUAL(ts_deadline_poll_ms(d, -1), INT32_MAX);
}

static void utc_has_its_form(void)
{
        static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
        char buf[32];

        ts_utc_now(buf);
        CU_ASSERT_EQUAL_FATAL(strlen(buf), sizeof(form) - 1);
        for (size_t i = 0; form[i]; i++)
                CU_ASSERT_TRUE(form[i] == 'd' ? buf[i] >= '0' && buf[i] <= '9' : buf[i] == form[i]);
}

static void on_alarm(int signal_number)
{
        (void)signal_number;
}

static void sleep_sleeps_and_wakes(void)
{
        struct sigaction act = { .sa_handler = on_alarm }, old;
        struct itimerval soon = { .it_value = { .tv_usec = 30000 } };
        uint64_t t = ts_now_us();

        ts_sleep_ms(20);
        CU_ASSERT_TRUE(ts_now_us() - t >= 20000);
        (void)sigaction(SIGALRM, &act, &old);
        t = ts_now_us();
        (void)setitimer(ITIMER_REAL, &soon, NULL);
        ts_sleep_ms(20000);
        CU_ASSERT_TRUE(ts_now_us() - t < 10000000);
        (void)sigaction(SIGALRM, &old, NULL);
}

/* ---- log ---- */

static int saved_stderr = -1;
static FILE *captured;

static void capture_begin(void)
{
        (void)fflush(stderr);
        saved_stderr = dup(STDERR_FILENO);
        captured = tmpfile();
        CU_ASSERT_PTR_NOT_NULL_FATAL(captured);
        CU_ASSERT_TRUE_FATAL(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

static char *capture_end(void)
{
        static char text[65536];
        size_t n;

        (void)fflush(stderr);
        (void)dup2(saved_stderr, STDERR_FILENO);
        (void)close(saved_stderr);
        (void)fseek(captured, 0, SEEK_SET);
        n = fread(text, 1, sizeof(text) - 1, captured);
        text[n] = '\0';
        (void)fclose(captured);
        ts_log_setup(TS_LOG_NOTICE, false);
        return text;
}

static void log_levels(void)
{
        static const enum ts_level shown[] = { TS_LOG_ERROR, TS_LOG_WARNING, TS_LOG_NOTICE };

        ts_log_setup(TS_LOG_NOTICE, false);
        for (size_t i = 0; i < TS_ARRAY_LEN(shown); i++)
                CU_ASSERT_TRUE(ts_log_enabled(shown[i]));
        CU_ASSERT_FALSE(ts_log_enabled(TS_LOG_INFO));
        CU_ASSERT_FALSE(ts_log_enabled(TS_LOG_DEBUG));
        capture_begin();
        ts_log(TS_LOG_ERROR, "bad %d", 1);
        ts_log(TS_LOG_WARNING, "odd");
        ts_log(TS_LOG_NOTICE, "said");
        ts_log(TS_LOG_INFO, "hidden");
        ts_debug("hidden");
        ts_log((enum ts_level)77, "no such level");
        UNIT_STR(capture_end(), "error: bad 1\nwarning: odd\nsaid\n");
}

static void log_quiet_and_verbose(void)
{
        const char *text;

        ts_log_setup(TS_LOG_ERROR, false);
        CU_ASSERT_FALSE(ts_log_enabled(TS_LOG_WARNING));
        ts_log_setup(TS_LOG_DEBUG, false);
        capture_begin();
        ts_debug("%s", "deep");
        text = capture_end();
        CU_ASSERT_TRUE(ts_starts(text, "debug: +0."));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, " deep\n"));
}

static void log_lines_are_one_line(void)
{
        ts_log_setup(TS_LOG_NOTICE, false);
        capture_begin();
        ts_log(TS_LOG_WARNING, "a\nerror: forged\033[2J");
        UNIT_STR(capture_end(), "warning: a?error: forged?[2J\n");
}

static void log_colour(void)
{
        capture_begin();
        ts_log_setup(TS_LOG_NOTICE, true);
        ts_log(TS_LOG_ERROR, "bad");
        ts_log(TS_LOG_NOTICE, "plain");
        UNIT_STR(capture_end(), "\033[1;31merror: \033[0mbad\nplain\n");
}

static void log_keeps_errno(void)
{
        capture_begin();
        errno = EXDEV;
        ts_log(TS_LOG_ERROR, "x");
        CU_ASSERT_EQUAL(errno, EXDEV);
        (void)capture_end();
}

static int around_before, around_after;
static void count_before(void)
{
        around_before++;
        (void)fputs("<", stderr);
}
static void count_after(void)
{
        around_after++;
        (void)fputs(">", stderr);
}

static void log_around_lines(void)
{
        around_before = around_after = 0;
        ts_log_setup(TS_LOG_NOTICE, false);
        ts_log_around(count_before, count_after);
        capture_begin();
        ts_log(TS_LOG_NOTICE, "x");
        ts_log(TS_LOG_DEBUG, "not shown, so nobody steps aside");
        ts_log_around(NULL, NULL);
        ts_log(TS_LOG_NOTICE, "y");
        UNIT_STR(capture_end(), "<x\n>y\n");
        CU_ASSERT_EQUAL(around_before, 1);
        CU_ASSERT_EQUAL(around_after, 1);
}

static void *log_many(void *word)
{
        for (int i = 0; i < 100; i++)
                ts_log(TS_LOG_NOTICE, "%s %s %s", (const char *)word, (const char *)word, (const char *)word);
        return NULL;
}

static void log_threads_do_not_mix(void)
{
        static char words[4][8] = { "aaaaaa", "bbbbbb", "cccccc", "dddddd" };
        pthread_t threads[4];
        char *text, *line, *rest = NULL;
        int lines = 0;

        ts_log_setup(TS_LOG_NOTICE, false);
        capture_begin();
        for (size_t i = 0; i < 4; i++)
                CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, log_many, words[i]), 0);
        for (size_t i = 0; i < 4; i++)
                (void)pthread_join(threads[i], NULL);
        text = capture_end();
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), lines++)
                for (size_t i = 0; line[i]; i++)
                        if (i >= 20 || (i % 7 == 6 ? line[i] != ' ' : line[i] != line[0]))
                                CU_FAIL("a mixed line");
        CU_ASSERT_EQUAL(lines, 400);
}

static void moments_are_read_as_they_are_printed(void)
{
        char now[32];
        struct timespec ts;
        uint64_t us;

        CU_ASSERT_EQUAL(ts_utc_us("2026-08-21T09:15:02.123456Z"), UINT64_C(1787303702123456));
        CU_ASSERT_EQUAL(ts_utc_us("2026-08-21T09:15:02.5"), UINT64_C(1787303702500000));
        CU_ASSERT_EQUAL(ts_utc_us("2026-08-21T09:15:02Z"), UINT64_C(1787303702000000));
        CU_ASSERT_EQUAL(ts_utc_us("2026-08-21T11:15:02+02:00"), UINT64_C(1787303702000000));
        CU_ASSERT_EQUAL(ts_utc_us("2026-08-21T05:45:02.123456789-03:30"), UINT64_C(1787303702123456));
        CU_ASSERT(ts_utc_us(NULL) == 0 && ts_utc_us("") == 0 && ts_utc_us("yesterday") == 0 && ts_utc_us("1969-01-01T00:00:00Z") == 0);
        ts_utc_now(now);
        (void)clock_gettime(CLOCK_REALTIME, &ts);
        us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
        CU_ASSERT(ts_utc_us(now) <= us && us - ts_utc_us(now) < 60000000);
}

static CU_TestInfo tests[] = {
        UNIT(moments_are_read_as_they_are_printed),
        UNIT(err_set_keeps_the_first),
        UNIT(err_null_is_fine),
        UNIT(err_ok_is_not_a_failure),
        UNIT(err_errno_chooses_the_code),
        UNIT(err_errno_appends_the_text),
        UNIT(err_prefix_and_hint),
        UNIT(err_message_is_one_printable_line),
        UNIT(err_move_hands_over),
        UNIT(err_clear_is_repeatable),
        UNIT(err_codes_have_distinct_names),
        UNIT(take_empties_the_variable),
        UNIT(auto_frees_once),
        UNIT(now_never_goes_back),
        UNIT(deadline_never),
        UNIT(deadline_counts_down),
        UNIT(deadline_rounds_up),
        UNIT(deadline_saturates),
        UNIT(utc_has_its_form),
        UNIT(sleep_sleeps_and_wakes),
        UNIT(log_levels),
        UNIT(log_quiet_and_verbose),
        UNIT(log_lines_are_one_line),
        UNIT(log_colour),
        UNIT(log_keeps_errno),
        UNIT(log_around_lines),
        UNIT(log_threads_do_not_mix),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("base", tests)
