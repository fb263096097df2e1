/* base/str: bounds, lists, parsing, and quoting, which is also tried on a real shell. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- growing strings ---- */

static void str_empty(void)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *taken = NULL;

        UNIT_STR(ts_str_cstr(&s), "");
        UNIT_OK(ts_str_add(&s, NULL, 0, &err));
        CU_ASSERT_PTR_NOT_NULL_FATAL(s.buf);
        CU_ASSERT_EQUAL(s.len, 0);
        UNIT_STR(s.buf, "");
        ts_str_clear(&s);
        ts_str_clear(&s);
        ts_str_clear(NULL);
        CU_ASSERT_PTR_NULL(s.buf);
        taken = ts_str_take(&s);
        UNIT_STR(taken, "");
}

static void str_grows(void)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        for (int i = 0; i < 10000; i++)
                UNIT_OK(ts_str_addf(&s, &err, "%04d,", i));
        CU_ASSERT_EQUAL_FATAL(s.len, 50000);
        CU_ASSERT_EQUAL(strlen(s.buf), 50000);
        CU_ASSERT_TRUE(s.cap > s.len);
        CU_ASSERT_TRUE(s.cap <= 4 * s.len);
        CU_ASSERT_EQUAL(memcmp(s.buf + 5 * 1234, "1234,", 5), 0);
}

static void str_keeps_nul_bytes(void)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_str_add(&s, "a\0b", 3, &err));
        UNIT_OK(ts_str_adds(&s, "c", &err));
        CU_ASSERT_EQUAL(s.len, 4);
        CU_ASSERT_EQUAL(memcmp(s.buf, "a\0bc\0", 5), 0);
}

static void str_stops_at_its_maximum(void)
{
        for (size_t max = 1; max < 200; max++) {
                ts_auto_str s = TS_STR_INIT_MAX(max);
                ts_auto_err err = TS_ERR_INIT;

                for (size_t i = 0; i < max; i++)
                        UNIT_OK(ts_str_add(&s, "x", 1, &err));
                CU_ASSERT_TRUE(s.cap <= max + 1);
                UNIT_FAILS(ts_str_add(&s, "y", 1, &err), TS_ELIMIT);
                UNIT_FAILS(ts_str_adds(&s, "yy", &err), TS_ELIMIT);
                UNIT_FAILS(ts_str_addf(&s, &err, "%d", 7), TS_ELIMIT);
                CU_ASSERT_EQUAL(ts_str_add(&s, "y", 1, NULL), -1);
                UNIT_OK(ts_str_add(&s, "", 0, &err));
                CU_ASSERT_EQUAL(s.len, max);
                CU_ASSERT_EQUAL(strspn(s.buf, "x"), max);
        }
}

static void str_huge_additions_do_not_wrap(void)
{
        ts_auto_str s = TS_STR_INIT_MAX(100);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_str_adds(&s, "abc", &err));
        UNIT_FAILS(ts_str_add(&s, "x", SIZE_MAX, &err), TS_ELIMIT);
        UNIT_FAILS(ts_str_add(&s, "x", SIZE_MAX - 3, &err), TS_ELIMIT);
        UNIT_FAILS(ts_str_add(&s, "x", 98, &err), TS_ELIMIT);
        UNIT_STR(s.buf, "abc");
}

static void str_default_maximum(void)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *block = calloc(1, (size_t)1 << 20);

        CU_ASSERT_PTR_NOT_NULL_FATAL(block);
        for (int i = 0; i < 64; i++)
                UNIT_OK(ts_str_add(&s, block, (size_t)1 << 20, &err));
        UNIT_FAILS(ts_str_adds(&s, "x", &err), TS_ELIMIT);
        CU_ASSERT_EQUAL(s.len, TS_STR_MAX);
}

static void str_take_hands_over(void)
{
        ts_auto_str s = TS_STR_INIT_MAX(10);
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *taken = NULL;

        UNIT_OK(ts_str_adds(&s, "abc", &err));
        taken = ts_str_take(&s);
        UNIT_STR(taken, "abc");
        CU_ASSERT_PTR_NULL(s.buf);
        CU_ASSERT_EQUAL(s.len, 0);
        CU_ASSERT_EQUAL(s.cap, 0);
        CU_ASSERT_EQUAL(s.max, 10);
        UNIT_OK(ts_str_adds(&s, "again", &err));
        UNIT_STR(s.buf, "again");
}

static void fmt_and_strdup0(void)
{
        ts_auto_free char *a = ts_fmt("%s-%d", "x", 7), *b = ts_strdup0("y"), *c = ts_strdup0(NULL);

        UNIT_STR(a, "x-7");
        UNIT_STR(b, "y");
        CU_ASSERT_PTR_NULL(c);
}

/* ---- lists ---- */

static void list_grows(void)
{
        ts_auto_list l = TS_LIST_INIT;
        ts_auto_err err = TS_ERR_INIT;
        char word[8] = "w";

        CU_ASSERT_FALSE(ts_list_has(&l, "w"));
        UNIT_OK(ts_list_add(&l, word, &err));
        word[0] = 'z'; /* the list has its own copy */
        for (int i = 0; i < 100; i++)
                UNIT_OK(ts_list_addf(&l, &err, "n%d", i));
        UNIT_FAILS(ts_list_add(&l, NULL, &err), TS_ENOMEM); /* the result of a ts_fmt() that found no memory */
        CU_ASSERT_EQUAL_FATAL(l.n, 101);
        CU_ASSERT_PTR_NULL(l.v[101]);
        UNIT_STR(l.v[0], "w");
        UNIT_STR(l.v[100], "n99");
        CU_ASSERT_TRUE(ts_list_has(&l, "n42"));
        CU_ASSERT_FALSE(ts_list_has(&l, "n4 2"));
        ts_list_clear(&l);
        ts_list_clear(&l);
        ts_list_clear(NULL);
        CU_ASSERT_EQUAL(l.n, 0);
        CU_ASSERT_PTR_NULL(l.v);
}

/* ---- quoting ---- */

static void quote_table(void)
{
        static const struct {
                const char *argv[6];
                const char *want;
        } cases[] = {
                { { "ls", NULL }, "ls" },
                { { "ls", "-l", "/var/lib/x_1.tar", NULL }, "ls -l /var/lib/x_1.tar" },
                { { "a", "", NULL }, "a ''" },
                { { "", NULL }, "''" },
                { { "a", "b c", NULL }, "a 'b c'" },
                { { "a", "it's", NULL }, "a 'it'\\''s'" },
                { { "a", "'", NULL }, "a ''\\'''" },
                { { "a", "''", NULL }, "a ''\\'''\\'''" },
                { { "a", "$HOME", "`id`", "$(id)", NULL }, "a '$HOME' '`id`' '$(id)'" },
                { { "a", "*", "?", "[x]", "~", NULL }, "a '*' '?' '[x]' '~'" },
                { { "a", ";", "&", "|", "#x", NULL }, "a ';' '&' '|' '#x'" },
                { { "a", "k=v", "user@host:22", "50%", "a+b,c-d", NULL }, "a k=v user@host:22 50% a+b,c-d" },
                { { "a", "\\", "\"", "!", "{a,b}", NULL }, "a '\\' '\"' '!' '{a,b}'" },
                { { "a", "é", "\xff", NULL }, "a '\xc3\xa9' '\xff'" },
                { { "A=b", "C=d", "id", NULL }, "'A=b' C=d id" },
                { { "if", "if", NULL }, "'if' if" },
                { { "-x", "--", NULL }, "-x --" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_free char *got = NULL;
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(ts_shell_quote(cases[i].argv, &got, &err));
                UNIT_STR(got, cases[i].want);
        }
}

static void quote_refuses(void)
{
        static const char *const words[] = { "a\nb", "a\tb", "\r", "\033[0m", "\x01", "x\x7f" };
        const char *const nothing[] = { NULL };
        char *got = NULL;
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(words); i++) {
                const char *const argv[] = { "echo", "fine", words[i], NULL };

                UNIT_FAILS(ts_shell_quote(argv, &got, &err), TS_EUSAGE);
        }
        UNIT_FAILS(ts_shell_quote(nothing, &got, &err), TS_EUSAGE);
        UNIT_FAILS(ts_shell_quote(NULL, &got, &err), TS_EUSAGE);
        CU_ASSERT_PTR_NULL(got);
}

static void a_word_of_a_command(void)
{
        static const struct {
                const char *text, *want;
        } cases[] = {
                { "", "''" },
                { "/srv/data=copy", "/srv/data=copy" },
                { "A=b", "A=b" }, /* not a first word */
                { "/srv/my data=copy", "'/srv/my data=copy'" },
                { "it's $HOME", "'it'\\''s $HOME'" },
                { "a\nb\033[0m", "'a?b?[0m'" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_free char *got = ts_shell_word("%s", cases[i].text);

                UNIT_STR(got, cases[i].want);
        }
}

/* What `shell -c line` writes. */
static void shell_output(const char *shell, const char *line, struct ts_str *ret)
{
        const char *const argv[] = { shell, "-c", line, NULL };
        posix_spawn_file_actions_t actions;
        ts_auto_err err = TS_ERR_INIT;
        int fds[2], status = -1;
        pid_t pid;

        UNIT_OK(ts_pipe(fds, &err));
        (void)posix_spawn_file_actions_init(&actions);
        (void)posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
        CU_ASSERT_EQUAL_FATAL(posix_spawn(&pid, shell, &actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
        (void)posix_spawn_file_actions_destroy(&actions);
        (void)close(fds[1]);
        UNIT_OK(ts_read_to_end(fds[0], ret, ts_deadline_in_ms(20000), &err));
        (void)close(fds[0]);
        CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
        CU_ASSERT_EQUAL(status, 0);
}

/* argv[0] and [1] are printf and its format: so the output is every further word with a NUL behind it. */
static void compare_with_shell(const char *shell, const char *const argv[])
{
        ts_auto_free char *line = NULL;
        ts_auto_str want = TS_STR_INIT, got = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 2; argv[i]; i++)
                UNIT_OK(ts_str_add(&want, argv[i], strlen(argv[i]) + 1, &err));
        UNIT_OK(ts_shell_quote(argv, &line, &err));
        shell_output(shell, line, &got);
        CU_ASSERT_EQUAL(got.len, want.len);
        CU_ASSERT_TRUE(got.len == want.len && memcmp(ts_str_cstr(&got), ts_str_cstr(&want), got.len) == 0);
}

static const char *const shells[] = { "/bin/sh", "/bin/bash", "/bin/dash", "/bin/ksh", "/bin/mksh", "/bin/zsh" };

static void quote_survives_real_shells(void)
{
        static const char *const argv[] = { "printf", "%s\\0",    "",      "plain",      "two words", "it's",       "''",  "'",
                                            "a'b'c",  "$HOME",    "${x}",  "$(echo no)", "`echo no`", "*",          "/*",  "?",
                                            "[a-z]",  "~",        "~root", "{a,b}",      "\\",        "\\n",        "\\'", "\"",
                                            "\"'\"",  ";",        "&&",    "|",          ">",         "</dev/null", "#",   "!",
                                            "!!",     "^a^b",     "%1",    "-n",         "--",        "a=b",        "=ls", "if",
                                            "é",      "\xff\xfe", " lead", "trail ",     "  ",        NULL };

        for (size_t i = 0; i < TS_ARRAY_LEN(shells); i++)
                if (access(shells[i], X_OK) == 0 && !strstr(shells[i], "zsh")) /* zsh -c expands a bare =ls unless told to be sh */
                        compare_with_shell(shells[i], argv);
}

/* Bytes that a shell looks at, mixed at random; the seed is fixed. */
static void quote_survives_random_words(void)
{
        static const char alphabet[] = "ab01 '\"\\$`*?[]{}()<>|&;#~!^%=@:,.+-_/\x80\xc3\xa9\xff";
        unsigned long long state = 20260821;

        for (int round = 0; round < 40; round++) {
                char words[20][24];
                const char *argv[23] = { "printf", "%s\\0" };

                for (size_t w = 0; w < 20; w++) {
                        size_t len;

                        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                        len = (state >> 33) % 23;
                        for (size_t i = 0; i < len; i++) {
                                state = state * 6364136223846793005ULL + 1442695040888963407ULL;
                                words[w][i] = alphabet[(state >> 33) % (sizeof(alphabet) - 1)];
                        }
                        words[w][len] = '\0';
                        argv[2 + w] = words[w];
                }
                compare_with_shell("/bin/sh", argv);
        }
}

/* Quoting is also applied to a quoted line: `ssh host "sh -c '…'"`. */
static void quote_nests(void)
{
        const char *const inner[] = { "printf", "%s", "it's \"$HOME\" \\ 'x'", NULL };
        ts_auto_free char *line = NULL, *outer_line = NULL;
        ts_auto_str got = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        const char *outer[4] = { "sh", "-c", NULL, NULL };

        UNIT_OK(ts_shell_quote(inner, &line, &err));
        outer[2] = line;
        UNIT_OK(ts_shell_quote(outer, &outer_line, &err));
        shell_output("/bin/sh", outer_line, &got);
        UNIT_STR(ts_str_cstr(&got), inner[2]);
}

/* A first word must be run, never be read as an assignment or a keyword. */
static void quote_first_word_is_a_command(void)
{
        static const char *const firsts[] = { "X=1", "if", "while", "case", "time", "done" };

        for (size_t i = 0; i < TS_ARRAY_LEN(firsts); i++) {
                const char *const argv[] = { firsts[i], "1", NULL };
                ts_auto_free char *line = NULL, *script = NULL;
                ts_auto_str got = TS_STR_INIT;
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(ts_shell_quote(argv, &line, &err));
                script = ts_fmt("%s 2>/dev/null; echo $?", line);
                shell_output("/bin/sh", script, &got);
                UNIT_STR(ts_str_cstr(&got), "127\n");
        }
}

/* ---- comparing and parsing ---- */

static void comparing(void)
{
        CU_ASSERT_TRUE(ts_streq0(NULL, NULL));
        CU_ASSERT_TRUE(ts_streq0("a", "a"));
        CU_ASSERT_FALSE(ts_streq0("a", NULL));
        CU_ASSERT_FALSE(ts_streq0(NULL, "a"));
        CU_ASSERT_FALSE(ts_streq0("a", "b"));
        CU_ASSERT_TRUE(ts_starts("ssh://x", "ssh://"));
        CU_ASSERT_TRUE(ts_starts("x", ""));
        CU_ASSERT_FALSE(ts_starts("ssh:", "ssh://"));
        CU_ASSERT_FALSE(ts_starts(NULL, "x"));
        UNIT_STR(ts_or(NULL, "f"), "f");
        UNIT_STR(ts_or("s", "f"), "s");
}

static void parse_u64_accepts(void)
{
        static const struct {
                const char *s;
                unsigned long long min, max, want;
        } cases[] = {
                { "0", 0, 0, 0 }, { "007", 0, 10, 7 }, { "65535", 1, 65535, 65535 }, { "18446744073709551615", 0, UINT64_MAX, UINT64_MAX }
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                unsigned long long n = 99;
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(ts_parse_u64(cases[i].s, cases[i].min, cases[i].max, &n, &err));
                CU_ASSERT_EQUAL(n, cases[i].want);
        }
}

static void parse_u64_refuses(void)
{
        static const char *const bad[] = {
                "",    " 1", "1 ", "+1", "-1", "0x10", "1e3", "1.0", "a", "65536", "0", "18446744073709551616", "99999999999999999999999",
                "1\n", "١",  NULL
        };
        unsigned long long n = 99;
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++)
                UNIT_FAILS(ts_parse_u64(bad[i], 1, 65535, &n, &err), TS_EUSAGE);
        CU_ASSERT_EQUAL(n, 99);
        CU_ASSERT_EQUAL(ts_parse_u64("x", 1, 2, &n, &err), -1);
        UNIT_STR(ts_err_message(&err), "'x' is not a whole number from 1 to 2");
}

static void durations(void)
{
        static const struct {
                const char *s;
                unsigned long long want;
        } good[] = { { "0", 0 },
                     { "5", 5000 },
                     { "5s", 5000 },
                     { "500ms", 500 },
                     { "2m", 120000 },
                     { "1h", 3600000 },
                     { "18446744073709551615ms", UINT64_MAX },
                     { "18446744073709551s", 18446744073709551000ULL } };
        static const char *const bad[] = { "",
                                           "s",
                                           "ms",
                                           "-1",
                                           "5 s",
                                           "5S",
                                           "1.5s",
                                           "5min",
                                           "5d",
                                           " 5",
                                           "5ss",
                                           "18446744073709552s",
                                           "18446744073709551616ms",
                                           "5124095576030432h",
                                           NULL };
        unsigned long long ms;
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(good); i++) {
                ms = 1;
                UNIT_OK(ts_parse_duration_ms(good[i].s, &ms, &err));
                CU_ASSERT_EQUAL(ms, good[i].want);
        }
        ms = 77;
        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++)
                UNIT_FAILS(ts_parse_duration_ms(bad[i], &ms, &err), TS_EUSAGE);
        CU_ASSERT_EQUAL(ms, 77);
}

static void names(void)
{
        static const char *const good[] = { "a", "0", "web-1", "My_app.v2", "a--b", "a..b" };
        static const char *const bad[] = { "",    ".", "..",  "-a",  "_a",   ".a",   "a/b", "a b",
                                           "a\n", "é", "a:b", "a@b", "../x", "a\\b", "$a",  NULL };

        for (size_t i = 0; i < TS_ARRAY_LEN(good); i++)
                CU_ASSERT_TRUE(ts_name_valid(good[i], 64));
        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++)
                CU_ASSERT_FALSE(ts_name_valid(bad[i], 64));
        CU_ASSERT_TRUE(ts_name_valid("abcd", 4));
        CU_ASSERT_FALSE(ts_name_valid("abcde", 4));
        CU_ASSERT_FALSE(ts_name_valid("a", 0));
}

/* ---- showing ---- */

static void printable(void)
{
        static const struct {
                const char *s;
                size_t len, max;
                const char *want;
        } cases[] = {
                { "plain", 5, 100, "plain" },
                { "plain", 5, 3, "pla" },
                { "plain", 5, 0, "" },
                { "", 0, 10, "" },
                { NULL, 5, 10, "" },
                { "a\0b", 3, 10, "a?b" },
                { "a\n\r\t\x1b[0m\x7f", 9, 20, "a????[0m?" },
                { "é€😀", 9, 20, "é€😀" },
                { "é€😀", 9, 8, "é€" }, /* no half character */
                { "é€😀", 9, 4, "é" },
                { "\xc3", 1, 9, "?" }, /* cut short */
                { "\xc3(", 2, 9, "?(" },
                { "\xff\xfe", 2, 9, "??" },
                { "\xc0\xaf", 2, 9, "??" }, /* overlong */
                { "\xe0\x80\xaf", 3, 9, "???" },
                { "\xed\xa0\x80", 3, 9, "???" },      /* surrogate */
                { "\xf4\x90\x80\x80", 4, 9, "????" }, /* past U+10FFFF */
                { "\xc2\x9b"
                  "31m",
                  5, 9, "?31m" }, /* C1: CSI in one character */
                { "a\xe2\x80\xa8"
                  "b",
                  5, 9, "a?b" }, /* line separator */
                { "a\xe2\x80\xae"
                  "b",
                  5, 9, "a?b" }, /* right-to-left override */
                { "a\xe2\x81\xa6"
                  "b",
                  5, 9, "a?b" }, /* isolate */
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_free char *got = ts_printable(cases[i].s, cases[i].len, cases[i].max);

                UNIT_STR(got, cases[i].want);
        }
}

static void human_bytes(void)
{
        static const struct {
                unsigned long long bytes;
                const char *want;
        } cases[] = {
                { 0, "0 B" },
                { 999, "999 B" },
                { 1000, "1.0 kB" },
                { 1049, "1.0 kB" },
                { 268435456, "268.4 MB" },
                { 999949, "999.9 kB" },
                { 999950, "1.0 MB" },
                { 999999, "1.0 MB" },
                { 1000000000, "1.0 GB" },
                { 5000000000000ULL, "5.0 TB" },
                { UINT64_MAX, "18.4 EB" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                char buf[16];

                ts_human_bytes(cases[i].bytes, buf);
                UNIT_STR(buf, cases[i].want);
        }
}

static CU_TestInfo tests[] = {
        UNIT(str_empty),
        UNIT(str_grows),
        UNIT(str_keeps_nul_bytes),
        UNIT(str_stops_at_its_maximum),
        UNIT(str_huge_additions_do_not_wrap),
        UNIT(str_default_maximum),
        UNIT(str_take_hands_over),
        UNIT(fmt_and_strdup0),
        UNIT(list_grows),
        UNIT(quote_table),
        UNIT(quote_refuses),
        UNIT(a_word_of_a_command),
        UNIT(quote_survives_real_shells),
        UNIT(quote_survives_random_words),
        UNIT(quote_nests),
        UNIT(quote_first_word_is_a_command),
        UNIT(comparing),
        UNIT(parse_u64_accepts),
        UNIT(parse_u64_refuses),
        UNIT(durations),
        UNIT(names),
        UNIT(printable),
        UNIT(human_bytes),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("base-str", tests)
