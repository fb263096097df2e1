/* What an experiment was made on: hosts and links. Looks; judges nothing. */
#include "bench/internal.h"

#include "base/io.h"
#include "bench/stats.h"

#include <string.h>

#define LINK_BYTES ((size_t)64 << 20)
#define BLOCK ((size_t)1 << 20)
#define TRIES 9
#define LINK_US 10000000ULL /* a slow one is known by then */
#define LINK_TIMEOUT_MS 120000U

/* The value of "key<blanks>: value" in a file of /proc. Caller frees; NULL: it has none. */
static char *value_of(const char *text, const char *key)
{
        const char *p = strstr(text, key);
        const char *colon = p ? strchr(p, ':') : NULL;

        if (!colon)
                return NULL;
        colon += 1 + strspn(colon + 1, " \t");
        return ts_printable(colon, strcspn(colon, "\n"), 100);
}

static uint64_t count(const char *text, const char *key)
{
        uint64_t n = 0;

        for (const char *p = text; (p = strstr(p, key)); p += strlen(key))
                n += p == text || p[-1] == '\n';
        return n;
}

struct ts_json *ts_host_facts(const char *side, struct ts_host *h, struct ts_err *err)
{
        static const char *const name[] = { "uname", "-n", NULL }, *const kernel[] = { "uname", "-r", NULL }, *const cpu[] = { "cat", "/proc/cpuinfo", NULL },
                                *const memory[] = { "cat", "/proc/meminfo", NULL };
        ts_auto_free char *host = NULL, *release = NULL, *cpus = NULL, *mem = NULL, *model = NULL, *total = NULL;
        struct ts_json *o;

        if (ts_host_check(h, name, NULL, &host, err) < 0 || ts_host_check(h, kernel, NULL, &release, err) < 0 ||
            ts_host_check(h, cpu, NULL, &cpus, err) < 0 || ts_host_check(h, memory, NULL, &mem, err) < 0)
                return NULL;
        model = value_of(cpus, "model name");
        total = value_of(mem, "MemTotal");
        o = ts_json_object();
        (void)ts_json_set_str(o, "side", side);
        (void)ts_json_set_str(o, "name", host);
        (void)ts_json_set_str(o, "kernel", release);
        (void)ts_json_set_str(o, "cpu", ts_or(model, ""));
        (void)ts_json_set_int(o, "cpus", (int64_t)count(cpus, "processor"));
        (void)ts_json_set_int(o, "memory_bytes", total ? (int64_t)strtoull(total, NULL, 10) * 1024 : 0);
        if (!o)
                ts_err_set(err, TS_ENOMEM, "out of memory");
        return o;
}

void ts_host_facts_of_report(struct ts_bench *b, const struct ts_json *report, const char *direction)
{
        static const char *const keys[] = { "engine", "version", "runtime", "criu" };
        struct ts_json *hosts = ts_json_member(b->result, "hosts");

        for (size_t i = 0; i < ts_json_len(hosts); i++) {
                struct ts_json *host = ts_json_at(hosts, i);
                const char *letter = ts_json_str(host, "side", "");
                const struct ts_json *side = ts_json_member(report, *letter == *direction ? "source" : "target");

                if (!strcmp(letter, TS_RESULT_CLIENT))
                        continue;
                for (size_t k = 0; k < TS_ARRAY_LEN(keys); k++)
                        (void)ts_json_set_str(host, keys[k], ts_json_str(side, keys[k], ""));
        }
}

/* ---- the link ---- */

/* Of a byte that comes back over one SSH channel; median of some. */
static int round_trip(struct ts_host *h, double *ret_us, struct ts_err *err)
{
        static const char *const argv[] = { "cat", NULL };
        ts_auto(ts_proc) struct ts_proc *p = NULL;
        ts_deadline deadline = ts_deadline_in_ms(LINK_TIMEOUT_MS);
        struct ts_stats s;
        double v[TRIES];
        char byte = 'x';

        if (ts_host_start(h, argv, &p, err) < 0)
                return -1;
        for (size_t i = 0; i < TRIES + 1; i++) { /* the first one waits for the program */
                uint64_t from = ts_now_us();

                if (ts_write_all(ts_proc_fd(p), &byte, 1, deadline, true, err) < 0 || ts_read_exact(ts_proc_fd(p), &byte, 1, deadline, true, err) < 0)
                        return -1;
                if (i)
                        v[i - 1] = (double)(ts_now_us() - from);
        }
        if (ts_stats(v, TRIES, &s, err) < 0)
                return -1;
        *ret_us = s.median;
        return 0;
}

static int rate(struct ts_host *h, double *ret, struct ts_err *err)
{
        static const char *const argv[] = { "/bin/sh", "-c", "exec cat >/dev/null", NULL };
        ts_auto(ts_proc) struct ts_proc *p = NULL;
        ts_auto_free char *block = malloc(BLOCK);
        ts_deadline deadline = ts_deadline_in_ms(LINK_TIMEOUT_MS);
        uint64_t from;
        size_t n;

        if (!block)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < BLOCK; i++) /* nothing that a link could pack */
                block[i] = (char)(i * 2654435761U >> 11);
        if (ts_host_start(h, argv, &p, err) < 0)
                return -1;
        from = ts_now_us();
        for (n = 0; n < LINK_BYTES && ts_now_us() - from < LINK_US; n += BLOCK)
                if (ts_write_all(ts_proc_fd(p), block, BLOCK, deadline, true, err) < 0)
                        return -1;
        if (ts_proc_end_input(p) < 0 || ts_proc_finish(p, deadline, err) < 0)
                return ts_err_set(err, TS_ECONNECT, "the connection broke");
        *ret = (double)n * 1e6 / (double)(ts_now_us() - from);
        return 0;
}

/* The environment may reach its hosts by another SSH configuration. */
static const char *ssh_config_of(const struct ts_bench *b)
{
        static const char option[] = "--ssh-config=";

        for (size_t i = 0; i < b->options.n; i++)
                if (ts_starts(b->options.v[i], option))
                        return b->options.v[i] + strlen(option);
        return b->o->ssh.config_file;
}

static int of_end(struct ts_bench *b, struct ts_bench_end *e, double *us, double *bytes, struct ts_err *err)
{
        struct ts_ssh_opts ssh = b->o->ssh;
        ts_auto(ts_host) struct ts_host *h = NULL;
        double trip = 0, r = 0;

        if (!e->ep->remote)
                return 0;
        ssh.config_file = ssh_config_of(b);
        if (!ssh.identity)
                ssh.identity = e->ep->identity;
        if (ts_host_ssh(e->ep->user, e->ep->host, e->ep->port, &ssh, &h, err) < 0 || round_trip(h, &trip, err) < 0 || rate(h, &r, err) < 0)
                return ts_err_prefix(err, "the link to %s", e->spec);
        *us = trip > *us ? trip : *us;
        *bytes = *bytes == 0 || r < *bytes ? r : *bytes;
        return 0;
}

int ts_link_facts(struct ts_bench *b, struct ts_json *environment, struct ts_err *err)
{
        double us = 0, bytes = 0;

        for (size_t i = 0; i < TS_ARRAY_LEN(b->ends); i++)
                if (of_end(b, &b->ends[i], &us, &bytes, err) < 0)
                        return -1;
        b->link_bytes_s = bytes;
        (void)ts_json_set(environment, "rtt_us", ts_json_new_real(us));
        return ts_json_set(environment, "bytes_per_s", ts_json_new_real(bytes)) < 0 ? ts_err_set(err, TS_ENOMEM, "out of memory") : 0;
}
