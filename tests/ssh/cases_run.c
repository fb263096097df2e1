/* Commands to their end: the same table for a local host and one over SSH. */
#include "frame.h"

#include <signal.h>

static void output_and_status_on(struct ts_host *h)
{
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_run(h, ARGV("sh", "-c", "echo out; echo complaint >&2; exit 7"), NULL, &r, &err));
        STR_IS(ts_str_cstr(&r.out), "out\n");
        STR_IS(ts_str_cstr(&r.err), "complaint\n");
        CU_ASSERT_EQUAL(r.status, 7);
        ts_run_result_clear(&r);
        OK(ts_host_run(h, ARGV("true"), NULL, &r, &err));
        CU_ASSERT(r.status == 0 && r.out.len == 0 && r.err.len == 0);
}
BOTH(output_and_status)

static void input_on(struct ts_host *h)
{
        size_t len = ((size_t)1 << 20) + 3;
        ts_auto_free unsigned char *data = malloc(len);
        struct ts_run_opts opts = { .input = data, .input_len = len, .max_output = 2 << 20 };
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;

        fill_pattern(data, len, 0);
        OK(ts_host_run(h, ARGV("cat"), &opts, &r, &err));
        CU_ASSERT(r.out.len == len && memcmp(r.out.buf, data, len) == 0);
        ts_run_result_clear(&r);
        OK(ts_host_run(h, ARGV("cat"), NULL, &r, &err)); /* none: an end at once */
        CU_ASSERT(r.out.len == 0);
        ts_run_result_clear(&r);
        OK(ts_host_run(h, ARGV("true"), &opts, &r, &err)); /* nobody reads it */
        CU_ASSERT_EQUAL(r.status, 0);
}
BOTH(input)

static void signals_on(struct ts_host *h)
{
        static const int numbers[] = { SIGTERM, SIGKILL, SIGSEGV, SIGHUP };
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(numbers); i++) {
                ts_auto_free char *script = ts_fmt("kill -%d $$", numbers[i]);
                ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };

                OK(ts_host_run(h, ARGV("sh", "-c", script), NULL, &r, &err));
                CU_ASSERT_EQUAL(r.status, 128 + numbers[i]);
        }
}
BOTH(signals)

static void not_found_on(struct ts_host *h)
{
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_run(h, ARGV("no-such-program-anywhere"), NULL, &r, &err));
        CU_ASSERT_EQUAL(r.status, 127);
        HAS(ts_str_cstr(&r.err), "not found");
        ts_run_result_clear(&r);
        OK(ts_host_run(h, ARGV(lab_path("files/plain")), NULL, &r, &err));
        CU_ASSERT_EQUAL(r.status, 126);
        ts_run_result_clear(&r);
        FAILS(ts_host_run(h, (const char *const[]){ NULL }, NULL, &r, &err), TS_EUSAGE);
}
BOTH(not_found)

static void limits_on(struct ts_host *h)
{
        struct ts_run_opts opts = { .max_output = 1000 };
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_run(h, ARGV("head", "-c", "1000", "/dev/zero"), &opts, &r, &err));
        CU_ASSERT(r.status == 0 && r.out.len == 1000);
        ts_run_result_clear(&r);
        FAILS(ts_host_run(h, ARGV("head", "-c", "1001", "/dev/zero"), &opts, &r, &err), TS_ELIMIT);
        FAILS(ts_host_run(h, ARGV("yes"), NULL, &r, &err), TS_ELIMIT); /* 1 MiB when nothing is said */
        OK(ts_host_run(h, ARGV("sh", "-c", "head -c 1000 /dev/zero >&2"), &opts, &r, &err));
        CU_ASSERT(r.status == 0 && r.err.len == 1000);
        ts_run_result_clear(&r);
        FAILS(ts_host_run(h, ARGV("sh", "-c", "head -c 1001 /dev/zero >&2"), &opts, &r, &err), TS_ELIMIT);
        FAILS(ts_host_run(h, ARGV("sh", "-c", "yes >&2"), NULL, &r, &err), TS_ELIMIT);
        ts_err_clear(&err);
        OK(ts_host_run(h, ARGV("true"), NULL, &r, &err)); /* it still works */
}
BOTH(limits)

static void time_limit_on(struct ts_host *h)
{
        struct ts_run_opts opts = { .timeout_ms = 400 };
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };
        ts_auto_err err = TS_ERR_INIT;
        uint64_t start = ts_now_us();

        FAILS(ts_host_run(h, ARGV("sleep", "3"), &opts, &r, &err), TS_ETIMEOUT);
        FAILS(ts_host_run(h, ARGV("sh", "-c", "exec >&-; sleep 3"), &opts, &r, &err), TS_ETIMEOUT); /* its output has ended, it has not */
        CU_ASSERT(ms_since(start) < (is_slow() ? 20000 : 2500));
        ts_err_clear(&err);
        OK(ts_host_run(h, ARGV("true"), NULL, &r, &err));
}
BOTH(time_limit)

static void check_on(struct ts_host *h)
{
        ts_auto_free char *out = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_check(h, ARGV("printf", "a\\nb\\n\\n"), NULL, &out, &err));
        STR_IS(out, "a\nb\n");
        FAILS(ts_host_check(h, ARGV("sh", "-c", "echo first >&2; echo the reason >&2; exit 3"), NULL, NULL, &err), TS_ECOMMAND);
        STR_IS(err.message, "'sh' failed: the reason");
        FAILS(ts_host_check(h, ARGV("false"), NULL, NULL, &err), TS_ECOMMAND);
        STR_IS(err.message, "'false' ended with status 1");
        FAILS(ts_host_check(h, ARGV("sh", "-c", "kill -9 $$"), NULL, NULL, &err), TS_ECOMMAND);
        STR_IS(err.message, "'sh' was ended by signal 9");
}
BOTH(check)

/* Every word must arrive as it was, whatever a shell might make of it. */
static void quoting_on(struct ts_host *h)
{
        static const char *const words[] = {
                "",         " ",    "a b",     "it's",  "\"q\"", "$HOME", "`id`",
                "$(id)",    "*",    "?[a-z]",  "~",     "~root", "\\",    "\\n",
                "a\\",      "''",   "'",       "!x!",   "#no",   ";ls",   "&",
                "|",        "<x>",  "a=b",     "{1,2}", "-n",    "--",    "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                "\xff\xfe", "%s%n", "a'b\"c$d"
        };
        const char *argv[TS_ARRAY_LEN(words) + 5] = { "sh", "-c", "for w in \"$@\"; do printf '<%s>' \"$w\"; done", "sh" };
        ts_auto_str want = TS_STR_INIT;
        ts_auto_free char *out = NULL;
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(words); i++) {
                argv[i + 4] = words[i];
                OK(ts_str_addf(&want, &err, "<%s>", words[i]));
        }
        OK(ts_host_check(h, argv, NULL, &out, &err));
        STR_IS(out, want.buf);
}
BOTH(quoting)

/* Control characters go through where there is no shell, and are refused, not mangled, where there is one; likewise what fits into no packet. */
static void words_ssh_cannot_carry(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        ts_auto_free char *out = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        OK(ts_host_check(local, ARGV("printf", "%s", "a\nb\tc"), NULL, &out, &err));
        STR_IS(out, "a\nb\tc");
        FAILS(ts_host_check(remote, ARGV("printf", "%s", "a\nb"), NULL, NULL, &err), TS_EUSAGE);
        {
                ts_auto_free char *word = calloc(1, 40001);

                memset(word, 'x', 40000);
                FAILS(ts_host_check(remote, ARGV("printf", "%s", word), NULL, NULL, &err), TS_ELIMIT);
                word[31900] = '\0';
                ts_err_clear(&err);
                OK(ts_host_check(remote, ARGV("printf", "%s", word), NULL, NULL, &err));
        }
        ts_host_free(local);
        ts_host_free(remote);
}

/* One command after the other uses one session. */
static void one_session(void)
{
        struct ts_host *h = lab_connect("box");
        ts_auto_err err = TS_ERR_INIT;
        unsigned before;

        OK(ts_host_check(h, ARGV("true"), NULL, NULL, &err)); /* sshd may write its line after it has let us in, but not after a command */
        before = lab_log_count("Accepted publickey");
        for (int i = 0; i < 20; i++)
                OK(ts_host_check(h, ARGV("true"), NULL, NULL, &err));
        CU_ASSERT_EQUAL(lab_log_count("Accepted publickey"), before);
        ts_host_free(h);
}

/* What a child gets: three descriptors, no signals ignored or blocked, a group of its own. */
static void clean_child(void)
{
        struct ts_host *h = NULL;
        ts_auto_free char *out = NULL, *fds = NULL;
        int leaky = dup(0); /* not CLOEXEC */
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&h, &err));
        OK(ts_host_check(h, ARGV("sh", "-c", "ls /proc/self/fd | wc -l; test -S /dev/stdin && echo socket"), NULL, &fds, &err));
        STR_IS(fds, "4\nsocket"); /* ls has its directory open */
        OK(ts_host_check(
                h,
                ARGV("sh", "-c",
                     "grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t'; ps -o pgid= -p $$ | tr -d ' ' | grep -qx $$ && echo own"),
                NULL, &out, &err));
        STR_IS(out, "SigBlk:0000000000000000SigIgn:0000000000000000own");
        (void)close(leaky);
        ts_host_free(h);
}

const struct test_case run_cases[] = {
        CASE_BOTH(output_and_status),
        CASE_BOTH(input),
        CASE_BOTH(signals),
        CASE_BOTH(not_found),
        CASE_BOTH(limits),
        CASE_BOTH(time_limit),
        CASE_BOTH(check),
        CASE_BOTH(quoting),
        CASE(words_ssh_cannot_carry),
        CASE(one_session),
        CASE(clean_child),
        CASES_END,
};
