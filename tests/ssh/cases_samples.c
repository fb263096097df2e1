/* Samples of a host over SSH: they come, whatever goes wrong is told, and a stop takes no time and leaves no process. */
#include "frame.h"

#include "transfer/samples.h"
#include "transfer/ship.h"

#include <stdatomic.h>

#define INTERVAL_MS 87U /* nobody else's: the process is found by it */
#define AGENT "pgrep --ns $$ --nslist pid -f '^/var/lib/tranship/agent/[0-9a-f]* sample 87$'"
#define STOP_MS (is_slow() ? 10000u : 1000u)

struct seen {
        atomic_uint n;
        struct ts_host_sample last; /* the thread's, until it has ended */
};

static void take(void *ctx, const struct ts_host_sample *now)
{
        struct seen *seen = ctx;

        seen->last = *now;
        atomic_fetch_add(&seen->n, 1);
}

static struct ts_samples *begin(struct ts_host *h, struct seen *seen, unsigned wait_for)
{
        struct ts_samples *s = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_samples_start(h, INTERVAL_MS, take, seen, &s, &err));
        for (unsigned i = 0; atomic_load(&seen->n) < wait_for && i < 3000; i++)
                ts_sleep_ms(10);
        CU_ASSERT_TRUE(atomic_load(&seen->n) >= wait_for);
        return s;
}

static int stop_soon(struct ts_samples *s, struct ts_err *err)
{
        uint64_t start_us = ts_now_us();
        int rc = ts_samples_stop(s, err);

        if (ms_since(start_us) >= STOP_MS)
                (void)printf("\n    stopped after %llu ms\n", (unsigned long long)ms_since(start_us));
        CU_ASSERT_TRUE(ms_since(start_us) < STOP_MS);
        return rc;
}

static void nobody_is_left(void)
{
        lab_shell("for i in $(seq 300); do " AGENT " >/dev/null || exit 0; sleep 0.1; done; exit 1");
}

static void samples_come_on(struct ts_host *h)
{
        struct seen seen = { 0 };
        struct ts_samples *s = begin(h, &seen, 5);
        ts_auto_err err = TS_ERR_INIT;

        OK(stop_soon(s, &err));
        CU_ASSERT_TRUE(seen.last.mem_used_bytes > 1 << 20 && seen.last.cpu_total > 0);
        nobody_is_left();
        s = begin(h, &seen, 0); /* most probably still connecting */
        OK(stop_soon(s, &err));
        nobody_is_left();
        OK(ts_samples_stop(NULL, &err));
        if (!ts_host_is_local(h))
                OK(ts_agent_uninstall(h, &err));
}
BOTH(samples_come)

static void samples_agent_killed(void)
{
        struct ts_host *h = lab_connect("box");
        struct seen seen = { 0 };
        struct ts_samples *s = begin(h, &seen, 2);
        ts_auto_err err = TS_ERR_INIT;

        lab_shell("kill -KILL $(" AGENT ")");
        ts_sleep_ms(1000);
        FAILS(stop_soon(s, &err), TS_ECOMMAND);
        (void)printf("'%s' ", ts_err_message(&err));
        ts_err_clear(&err);
        OK(ts_agent_uninstall(h, &err));
        ts_host_free(h);
}

static void samples_connection_killed(void)
{
        struct ts_host *h = lab_connect("box");
        struct seen seen = { 0 };
        struct ts_samples *s = begin(h, &seen, 2);
        ts_auto_err err = TS_ERR_INIT;

        lab_shell("kill -KILL $(ps -o ppid= -p $(" AGENT "))");
        ts_sleep_ms(1000);
        FAILS(stop_soon(s, &err), TS_ECONNECT);
        (void)printf("'%s' ", ts_err_message(&err));
        nobody_is_left(); /* its input has ended */
        ts_err_clear(&err);
        OK(ts_agent_uninstall(h, &err));
        ts_host_free(h);
}

/* A host that hangs is no reason to wait for it, and its agent ends when it goes on. */
static void samples_host_hangs(void)
{
        struct ts_host *h = lab_connect("box");
        struct seen seen = { 0 };
        struct ts_samples *s = begin(h, &seen, 2);
        ts_auto_err err = TS_ERR_INIT;

        lab_shell("ps -o ppid= -p $(" AGENT ") >$TS_SSH_DIR/hangs; kill -STOP $(cat $TS_SSH_DIR/hangs)");
        ts_sleep_ms(500);
        OK(stop_soon(s, &err)); /* for so short a time that is nothing to tell */
        lab_shell("kill -CONT $(cat $TS_SSH_DIR/hangs)");
        nobody_is_left();
        OK(ts_agent_uninstall(h, &err));
        ts_host_free(h);
}

/* The program cannot be brought there: told at the beginning. */
static void samples_no_program(void)
{
        struct ts_host *h = lab_connect("box");
        struct ts_samples *s = NULL;
        struct seen seen = { 0 };
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_agent_uninstall(h, &err));
        /* An agent that was killed leaves its socket there */
        lab_shell("rm -rf /var/lib/tranship/agent && mkdir -p /var/lib/tranship && : >/var/lib/tranship/agent");
        FAILS(ts_samples_start(h, INTERVAL_MS, take, &seen, &s, &err), TS_EREFUSED);
        (void)printf("'%s' ", ts_err_message(&err));
        CU_ASSERT_PTR_NULL(s);
        ts_err_clear(&err);
        lab_shell("rm /var/lib/tranship/agent");
        ts_host_free(h);
}

const struct test_case samples_cases[] = {
        CASE_BOTH(samples_come), CASE(samples_agent_killed), CASE(samples_connection_killed), CASE(samples_host_hangs), CASE(samples_no_program), CASES_END
};
