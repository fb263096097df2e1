/* Samples of hosts: what /proc says and may say, lines of an agent as they come in, the program with a peer that ends or stops reading, and the sampler on this machine. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "engine/sampler.h"
#include "transfer/agent/sample.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define KIB 1024ULL
#define MOST ((uint64_t)INT64_MAX)

/* ---- /proc ---- */

static void memory(void)
{
        static const struct {
                const char *text;
                uint64_t want;
        } rows[] = {
                { "MemTotal:        8000000 kB\nMemFree:          100000 kB\nMemAvailable:    6000000 kB\nBuffers: 1 kB\n", 2000000 * KIB },
                { "MemAvailable: 1 kB\nMemTotal: 3 kB", 2 * KIB },
                { "", 0 },
                { "MemTotal: 8 kB\n", 0 },
                { "MemTotal: x kB\nMemAvailable: 1 kB\n", 0 },
                { "MemTotal: 1 kB\nMemAvailable: 2 kB\n", 0 },
                { "xMemTotal: 8 kB\nMemAvailable: 2 kB\n", 0 },
                { "MemTotal:\n8 kB\nMemAvailable: 2 kB\n", 0 }, /* the number of another line */
                { "MemTotal: 99999999999999999999999999 kB\nMemAvailable: 0 kB\n", MOST },
                { "MemTotal: -1 kB\nMemAvailable: -2 kB\n", 0 },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++)
                CU_ASSERT_EQUAL(ts_sample_memory(rows[i].text), rows[i].want);
}

static void processors(void)
{
        static const struct {
                const char *text;
                uint64_t busy, total;
        } rows[] = {
                { "cpu  100 20 30 1000 50 6 7 8 900 90\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 17\n", 171, 1221 }, /* guests are in user */
                { "cpu  1 2 3 4\n", 6, 10 },
                { "cpu0 1 2 3 4\n", 0, 0 },
                { "cpu  1 2 x 4\n", 3, 3 },
                { "", 0, 0 },
                { "cpu  99999999999999999999 1 1 99999999999999999999\n", MOST, MOST },
        };
        struct ts_host_sample s = { .cpu_busy = 7, .cpu_total = 8 };

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
                ts_sample_cpu(rows[i].text, &s);
                CU_ASSERT_EQUAL(s.cpu_busy, rows[i].busy);
                CU_ASSERT_EQUAL(s.cpu_total, rows[i].total);
        }
}

static void load(void)
{
        CU_ASSERT_EQUAL(ts_sample_load_milli("0.42 0.30 0.20 1/345 678\n"), 420);
        CU_ASSERT_EQUAL(ts_sample_load_milli("12.3"), 12300);
        CU_ASSERT_EQUAL(ts_sample_load_milli("1.23456 x"), 1234);
        CU_ASSERT_EQUAL(ts_sample_load_milli("7. "), 7000);
        CU_ASSERT_EQUAL(ts_sample_load_milli("."), 0);
        CU_ASSERT_EQUAL(ts_sample_load_milli("3"), 0);
        CU_ASSERT_EQUAL(ts_sample_load_milli(""), 0);
        CU_ASSERT_EQUAL(ts_sample_load_milli("99999999999999999999.9"), MOST);
}

/* A line of diskstats, of a device that so many sectors were written to. */
#define DISK(name, sectors) "   8       0 " name " 1 2 3 4 5 6 " #sectors " 8 9 10 11 12 13 14 15 16 17\n"

static void disks(void)
{
        static const struct {
                const char *text;
                uint64_t sectors;
        } rows[] = {
                { DISK("sda", 100) DISK("sda1", 60) DISK("sda2", 40), 100 },
                { DISK("sda", 1) DISK("sdaa", 2) DISK("sdaa1", 4) DISK("sdb", 8), 11 },
                { DISK("nvme0n1", 1) DISK("nvme0n1p1", 2) DISK("nvme0n10", 4) DISK("nvme0n10p12", 8), 5 },
                { DISK("mmcblk0", 1) DISK("mmcblk0p1", 2) DISK("mmcblk0boot0", 4), 5 },
                { DISK("nvme0n1", 1) DISK("nvme0n1p", 2) DISK("nvme0n1px", 4), 7 }, /* these are none */
                { DISK("vda", 1) DISK("dm-0", 1) DISK("md127", 1) DISK("loop0", 1) DISK("ram0", 1) DISK("zram0", 1) DISK("sr0", 1) DISK("zd16", 1) DISK("bcache0", 1), 1 },
                { DISK("xvda1", 5), 5 }, /* of a machine that has no whole disk */
                { "   8 0 sda 1 2 3 4 5 6\n" DISK("sdb", 3), 3 }, /* too short */
                { "8 x sda 1 2 3 4 5 6 7\n8 0\n\n8 0 \n" DISK("sdb", 3), 3 },
                { DISK("a", 99999999999999999999) DISK("b", 1), MOST },
                { "", 0 },
                { "\n\n\n", 0 },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
                uint64_t want = rows[i].sectors == MOST ? MOST : rows[i].sectors * 512, got = ts_sample_disks(rows[i].text);

                if (got != want)
                        (void)printf("row %zu: %" PRIu64 "\n", i, got);
                CU_ASSERT_EQUAL(got, want);
        }
}

#define NET(name, received, sent) name ": " #received " 2 3 4 5 6 7 8 " #sent " 10 11 12 13 14 15 16\n"
#define NET_HEAD "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"

static void network(void)
{
        static const struct {
                const char *text;
                uint64_t received, sent;
        } rows[] = {
                { NET_HEAD NET("    lo", 1000, 1000) NET("  eth0", 10, 20) NET("enp3s0", 1, 2), 11, 22 },
                { NET("eth0", 1, 2) NET("veth1a2b", 8, 8) NET("podman0", 8, 8) NET("docker0", 8, 8) NET("br-0af", 8, 8) NET("br0", 8, 8) NET("eth0.10", 8, 8) NET("bond0", 8, 8) NET("wg0", 8, 8), 1, 2 },
                { NET("lol", 1, 2) NET("brown", 4, 8), 5, 10 },
                { "eth0:10 2 3 4 5 6 7 8 20 10\n", 10, 20 }, /* as old kernels had it */
                { "eth0: 10 2 3 4 5 6 7 8\n" NET("eth1", 1, 2), 1, 2 },
                { ": 1 2 3 4 5 6 7 8 9\n:\neth0\neth1: x\n", 0, 0 },
                { NET("a", 99999999999999999999, 1) NET("b", 1, 99999999999999999999), MOST, MOST },
                { "", 0, 0 },
        };
        struct ts_host_sample s = { 0 };

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
                ts_sample_net(rows[i].text, &s);
                if (s.net_received_bytes != rows[i].received || s.net_sent_bytes != rows[i].sent)
                        (void)printf("row %zu: %" PRIu64 ", %" PRIu64 "\n", i, s.net_received_bytes, s.net_sent_bytes);
                CU_ASSERT_EQUAL(s.net_received_bytes, rows[i].received);
                CU_ASSERT_EQUAL(s.net_sent_bytes, rows[i].sent);
        }
}

static void this_machine(void)
{
        struct ts_host_sample a, b;

        ts_sample_read(&a);
        ts_sleep_ms(50);
        ts_sample_read(&b);
        CU_ASSERT_TRUE(b.mem_used_bytes > 1 << 20 && b.mem_used_bytes < (uint64_t)1 << 50);
        CU_ASSERT_TRUE(b.cpu_total > a.cpu_total && a.cpu_total > a.cpu_busy && b.cpu_busy >= a.cpu_busy);
        CU_ASSERT_TRUE(b.load1_milli < 10000000);
        CU_ASSERT_TRUE(b.disk_write_bytes >= a.disk_write_bytes && b.net_sent_bytes >= a.net_sent_bytes);
}

/* ---- lines ---- */

static void lines_come_back(void)
{
        static const struct ts_host_sample samples[] = {
                { 0 },
                { 1, 2, 3, 4, 5, 6, 7 },
                { MOST, MOST, MOST, MOST, MOST, MOST, MOST },
        };
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(samples); i++) {
                char line[TS_SAMPLE_LINE_MAX];
                size_t len = ts_sample_line(&samples[i], line), all = len;
                struct ts_sample_in in = { .len = 0 };
                struct ts_host_sample got = { 0 };
                const char *p = line;

                CU_ASSERT_EQUAL(strlen(line), len);
                CU_ASSERT_EQUAL(ts_sample_next(&in, &p, &len, &got, &err), 1);
                CU_ASSERT_TRUE(len == 0 && memcmp(&got, &samples[i], sizeof(got)) == 0);
                memset(&got, 0, sizeof(got));
                for (size_t k = 0; k < all; k++) { /* as slowly as can be */
                        const char *byte = line + k;
                        size_t one = 1;

                        CU_ASSERT_EQUAL(ts_sample_next(&in, &byte, &one, &got, &err), k + 1 == all);
                }
                CU_ASSERT_EQUAL(memcmp(&got, &samples[i], sizeof(got)), 0);
        }
}

static void hostile_lines(void)
{
        static const char *const lines[] = {
                "\n",
                "1 2 3 4 5 6\n",
                "1 2 3 4 5 6 7 8\n",
                "1 2 3 4 5 6 7 \n",
                " 1 2 3 4 5 6 7\n",
                "1  2 3 4 5 6 7\n",
                "1 2 3 4 5 6 7\r\n",
                "1 2 3 4 5 6 -7\n",
                "+1 2 3 4 5 6 7\n",
                "1 2 3 4 5 6 0x7\n",
                "1 2 3 4 5 6 7.5\n",
                "1 2 3 4 5 6 9223372036854775808\n",
                "1 2 3 4 5 6 99999999999999999999999\n",
                "tranship-agent: started by tranship, not by hand\n",
                "\x1b[2J 1 2 3 4 5 6 7\n",
        };
        static const char nul[] = "1 2 3\0 4 5 6 7\n";
        struct ts_sample_in in = { .len = 0 };
        struct ts_host_sample s = { .load1_milli = 77 };
        char endless[3 * TS_SAMPLE_LINE_MAX];
        ts_auto_err err = TS_ERR_INIT;
        const char *p = nul;
        size_t len = sizeof(nul) - 1;

        UNIT_FAILS(ts_sample_next(&in, &p, &len, &s, &err), TS_EPROTO);
        for (size_t i = 0; i < TS_ARRAY_LEN(lines); i++) {
                p = lines[i];
                len = strlen(p);
                UNIT_FAILS(ts_sample_next(&in, &p, &len, &s, &err), TS_EPROTO);
                CU_ASSERT_EQUAL(len, 0);
        }
        memset(endless, '1', sizeof(endless));
        p = endless;
        len = sizeof(endless);
        UNIT_FAILS(ts_sample_next(&in, &p, &len, &s, &err), TS_EPROTO);
        CU_ASSERT_EQUAL(s.load1_milli, 77); /* set only on success */
}

static void several_at_once(void)
{
        const char *p = "1 2 3 4 5 6 7\n2 3 4 5 6 7 8\n3 4 5";
        struct ts_sample_in in = { .len = 0 };
        struct ts_host_sample s;
        ts_auto_err err = TS_ERR_INIT;
        size_t len = strlen(p);

        CU_ASSERT_EQUAL(ts_sample_next(&in, &p, &len, &s, &err), 1);
        CU_ASSERT_EQUAL(ts_sample_next(&in, &p, &len, &s, &err), 1);
        CU_ASSERT_EQUAL(s.mem_used_bytes, 2);
        CU_ASSERT_EQUAL(ts_sample_next(&in, &p, &len, &s, &err), 0);
        p = " 6 7 8 9\n";
        len = strlen(p);
        CU_ASSERT_EQUAL(ts_sample_next(&in, &p, &len, &s, &err), 1);
        CU_ASSERT_EQUAL(s.net_received_bytes, 9);
}

/* ---- the program ---- */

struct program {
        pthread_t thread;
        int in[2], out[2], rc;
        unsigned patience_ms;
        struct ts_err err;
};

static void *serve(void *arg)
{
        struct program *p = arg;

        p->rc = ts_sample_serve(p->in[0], p->out[1], 5, p->patience_ms, &p->err);
        return NULL;
}

static void start(struct program *p, unsigned patience_ms)
{
        ts_auto_err err = TS_ERR_INIT;

        *p = (struct program){ .rc = 77, .patience_ms = patience_ms };
        UNIT_OK(ts_pipe(p->in, &err));
        UNIT_OK(ts_pipe(p->out, &err));
        CU_ASSERT_TRUE(fcntl(p->out[1], F_SETPIPE_SZ, 4096) >= 4096); /* soon full */
        UNIT_OK(ts_thread_start(&p->thread, "program", serve, p, &err));
}

static void ended_as(struct program *p, int rc, enum ts_code code)
{
        (void)pthread_join(p->thread, NULL);
        CU_ASSERT_EQUAL(p->rc, rc);
        CU_ASSERT_EQUAL(p->err.code, code);
        ts_err_clear(&p->err);
        for (int i = 0; i < 2; i++) {
                ts_closep(&p->in[i]);
                ts_closep(&p->out[i]);
        }
}

static void read_samples(int fd, unsigned n)
{
        struct ts_sample_in in = { .len = 0 };
        struct ts_host_sample s;
        ts_auto_err err = TS_ERR_INIT;

        while (n > 0) {
                char buf[100];
                const char *data = buf;
                ssize_t got = read(fd, buf, sizeof(buf));
                size_t len = got > 0 ? (size_t)got : 0;
                int rc;

                CU_ASSERT_FATAL(got > 0);
                while ((rc = ts_sample_next(&in, &data, &len, &s, &err)) > 0)
                        n -= n > 0;
                UNIT_OK(rc);
        }
}

static void ends_with_its_input(void)
{
        struct program p;

        start(&p, 5000);
        read_samples(p.out[0], 3);
        (void)close(TS_TAKE_FD(p.in[1]));
        ended_as(&p, 0, TS_OK);
        start(&p, 5000);
        CU_ASSERT_EQUAL(write(p.in[1], "x", 1), 1); /* nobody says anything to it */
        ended_as(&p, 0, TS_OK);
}

static void ends_when_nobody_reads(void)
{
        struct program p;

        start(&p, 100);
        ended_as(&p, -1, TS_ETIMEOUT);
}

static void ends_when_nobody_will_read(void)
{
        struct program p;

        start(&p, 5000);
        (void)close(TS_TAKE_FD(p.out[0]));
        ended_as(&p, -1, TS_ECONNECT);
}

static void arguments(void)
{
        CU_ASSERT_EQUAL(ts_sample_main(""), 2);
        CU_ASSERT_EQUAL(ts_sample_main("0"), 2);
        CU_ASSERT_EQUAL(ts_sample_main("49"), 2);
        CU_ASSERT_EQUAL(ts_sample_main("60001"), 2);
        CU_ASSERT_EQUAL(ts_sample_main("100x"), 2);
        CU_ASSERT_EQUAL(ts_sample_main("-100"), 2);
}

/* ---- the sampler ---- */

static void figures(void)
{
        const struct ts_host_sample a = { 100, 10, 100, 500, 1000, 2000, 3000 }, b = { 90, 60, 200, 1500, 1001, 2002, 3003 };
        struct ts_resource r = { 0 };

        ts_sampler_figures(&a, &b, &r);
        CU_ASSERT_EQUAL(r.mem_used_bytes, 90);
        CU_ASSERT_DOUBLE_EQUAL(r.cpu_pct, 50, 1e-9);
        CU_ASSERT_DOUBLE_EQUAL(r.load1, 1.5, 1e-9);
        CU_ASSERT_TRUE(r.disk_write_bytes == 1 && r.net_sent_bytes == 2 && r.net_received_bytes == 3);
        ts_sampler_figures(&b, &a, &r); /* a host that was started anew */
        CU_ASSERT_EQUAL(r.mem_used_bytes, 100);
        CU_ASSERT_DOUBLE_EQUAL(r.cpu_pct, 0, 0);
        CU_ASSERT_TRUE(r.disk_write_bytes == 0 && r.net_sent_bytes == 0 && r.net_received_bytes == 0);
        ts_sampler_figures(&(struct ts_host_sample){ .cpu_total = 5 }, &(struct ts_host_sample){ .cpu_busy = MOST, .cpu_total = 6 }, &r);
        CU_ASSERT_DOUBLE_EQUAL(r.cpu_pct, 100, 0); /* more than there is */
}

static void both_sides_here(void)
{
        ts_auto(ts_host) struct ts_host *here = NULL;
        ts_auto(ts_sampler) struct ts_sampler *s = NULL;
        struct ts_report r;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t t0_us = ts_now_us(), us;
        unsigned of[2] = { 0, 0 };

        ts_report_init(&r);
        r.phases[r.n_phases++] = (struct ts_report_phase){ .name = "first", .start_us = 0, .duration_us = 1000000 };
        r.rollback[r.n_rollback++] = (struct ts_report_phase){ .name = "settle", .start_us = 1000001, .duration_us = UINT64_MAX / 4 };
        UNIT_OK(ts_host_local(&here, &err));
        UNIT_OK(ts_sampler_new(50, t0_us, &s, &err));
        UNIT_OK(ts_sampler_end(s, TS_SIDE_SOURCE, &err)); /* not begun */
        UNIT_OK(ts_sampler_begin(s, TS_SIDE_SOURCE, here, &err));
        UNIT_OK(ts_sampler_begin(s, TS_SIDE_SOURCE, here, &err)); /* runs already */
        UNIT_OK(ts_sampler_begin(s, TS_SIDE_TARGET, here, &err));
        ts_sleep_ms(600);
        UNIT_OK(ts_sampler_end(s, TS_SIDE_TARGET, &err));
        UNIT_OK(ts_sampler_begin(s, TS_SIDE_TARGET, here, &err)); /* goes on */
        ts_sleep_ms(600);
        us = ts_now_us();
        UNIT_OK(ts_sampler_end(s, TS_SIDE_SOURCE, &err));
        UNIT_OK(ts_sampler_end(s, TS_SIDE_TARGET, &err));
        CU_ASSERT_TRUE(ts_now_us() - us < 1000000);
        ts_sampler_give(s, &r);
        CU_ASSERT_TRUE(r.n_resources >= 20);
        for (size_t i = 0; i < r.n_resources; i++) {
                const struct ts_resource *x = &r.resources[i];

                of[x->target]++;
                CU_ASSERT_TRUE(i == 0 || x->t_us >= r.resources[i - 1].t_us);
                CU_ASSERT_TRUE(x->t_us <= ts_now_us() - t0_us);
                CU_ASSERT_TRUE(x->mem_used_bytes > 0 && x->cpu_pct >= 0 && x->cpu_pct <= 100);
                UNIT_STR(x->phase, x->t_us <= 1000000 ? "first" : "settle");
        }
        CU_ASSERT_TRUE(of[0] >= 10 && of[1] >= 10);
        ts_report_clear(&r);
        UNIT_OK(ts_sampler_begin(s, TS_SIDE_SOURCE, here, &err)); /* ended by being freed, before the host is */
}

static CU_TestInfo tests[] = { UNIT(memory),
                               UNIT(processors),
                               UNIT(load),
                               UNIT(disks),
                               UNIT(network),
                               UNIT(this_machine),
                               UNIT(lines_come_back),
                               UNIT(hostile_lines),
                               UNIT(several_at_once),
                               UNIT(ends_with_its_input),
                               UNIT(ends_when_nobody_reads),
                               UNIT(ends_when_nobody_will_read),
                               UNIT(arguments),
                               UNIT(figures),
                               UNIT(both_sides_here),
                               CU_TEST_INFO_NULL };
UNIT_MAIN("sample", tests)
