/* ts_relay(): exact sizes, early ends, stalls, stops, and every kind of descriptor. */
#include "frame.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int filled(uint64_t len)
{
        int fd = memfd_create("relay", MFD_CLOEXEC);
        ts_auto_free unsigned char *buf = malloc(len + 1);

        CU_ASSERT_FATAL(fd >= 0 && buf != NULL);
        fill_pattern(buf, len, 0);
        CU_ASSERT_FATAL(ts_write_all(fd, buf, len, 0, false, NULL) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

static void relay_sizes(void)
{
        static const struct {
                uint64_t have, want, copied;
        } rows[] = { { 1000, UINT64_MAX, 1000 },
                     { 1000, 1000, 1000 },
                     { 1000, 10, 10 },
                     { 0, UINT64_MAX, 0 },
                     { 5, 0, 0 },
                     { 262145, 262144, 262144 },
                     { 3000000, UINT64_MAX, 3000000 } };
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(rows); i++) {
                ts_auto_fd int in = filled(rows[i].have), out = memfd_create("out", MFD_CLOEXEC);
                uint64_t n = 77;

                OK(ts_relay(in, out, rows[i].want, 1000, NULL, NULL, &n, &err));
                CU_ASSERT_EQUAL(n, rows[i].copied);
                CU_ASSERT(lseek(out, 0, SEEK_SET) == 0 && read_pattern(out, 1000) == rows[i].copied);
        }
}

static void relay_early_end(void)
{
        ts_auto_fd int in = filled(100), out = memfd_create("out", MFD_CLOEXEC);
        uint64_t n = 77;
        ts_auto_err err = TS_ERR_INIT;

        FAILS(ts_relay(in, out, 101, 1000, NULL, NULL, &n, &err), TS_EPROTO);
        CU_ASSERT_EQUAL(n, 77); /* set only on success */
}

static void relay_stalls(void)
{
        uint64_t start_us;
        int in[2], out[2];
        ts_auto_fd int file = filled(8u << 20);
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_pipe(in, &err));
        OK(ts_socketpair(out, &err));
        start_us = ts_now_us();
        FAILS(ts_relay(in[0], out[0], UINT64_MAX, 300, NULL, NULL, NULL, &err), TS_ETIMEOUT); /* nobody writes */
        FAILS(ts_relay(file, out[0], UINT64_MAX, 300, NULL, NULL, NULL, &err), TS_ETIMEOUT);  /* nobody reads a socket */
        FAILS(ts_relay(file, in[1], UINT64_MAX, 300, NULL, NULL, NULL, &err), TS_ETIMEOUT);   /* nor a pipe */
        CU_ASSERT(ms_since(start_us) >= 900 && ms_since(start_us) < 5000);
        for (int i = 0; i < 2; i++) {
                (void)close(in[i]);
                (void)close(out[i]);
        }
}

static void relay_lost(void)
{
        ts_auto_fd int file = filled(1u << 20);
        int pair[2];
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_socketpair(pair, &err));
        (void)close(pair[1]);
        FAILS(ts_relay(file, pair[0], UINT64_MAX, 1000, NULL, NULL, NULL, &err), TS_ECONNECT);
        (void)close(pair[0]);
}

static int enough(void *ctx, uint64_t bytes)
{
        (void)ctx;
        (void)bytes;
        return 1;
}

static void relay_stopped(void)
{
        int in[2];
        ts_auto_fd int out = memfd_create("out", MFD_CLOEXEC);
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_pipe(in, &err));
        ts_stop_signal = 15;
        FAILS(ts_relay(in[0], out, UINT64_MAX, 0, NULL, NULL, NULL, &err), TS_ECANCELED);
        ts_stop_signal = 0;
        FAILS(ts_relay(in[0], out, UINT64_MAX, 0, enough, NULL, NULL, &err), TS_ECANCELED);
        (void)close(in[0]);
        (void)close(in[1]);
}

/* From one flow to another: two commands of a host in a row. */
static void relay_flows_on(struct ts_host *h)
{
        uint64_t len = is_slow() ? 1u << 20 : 20000003, n = 0;
        struct ts_proc *from = NULL, *to = NULL;
        struct writer *w;
        ts_auto_free char *want = NULL;
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_start(h, ARGV("cat"), &from, &err));
        OK(ts_host_start(h, ARGV("sh", "-c", "cksum"), &to, &err));
        w = writer_start(ts_proc_fd(from), len);
        OK(ts_relay(ts_proc_fd(from), ts_proc_fd(to), UINT64_MAX, 30000, NULL, NULL, &n, &err));
        CU_ASSERT(writer_join(w) && n == len);
        OK(ts_proc_finish(from, ts_deadline_in_ms(30000), &err));
        OK(ts_proc_end_input(to));
        OK(ts_read_to_end(ts_proc_fd(to), &out, ts_deadline_in_ms(30000), &err));
        OK(ts_proc_finish(to, ts_deadline_in_ms(30000), &err));
        want = ts_fmt(" %llu\n", (unsigned long long)len);
        HAS(ts_str_cstr(&out), want);
        ts_proc_free(from);
        ts_proc_free(to);
}
BOTH(relay_flows)

const struct test_case relay_cases[] = {
        CASE(relay_sizes),   CASE(relay_early_end),  CASE(relay_stalls), CASE(relay_lost),
        CASE(relay_stopped), CASE_BOTH(relay_flows), CASES_END,
};
