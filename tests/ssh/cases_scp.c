/* Files to a host: sizes, modes, refusals, counters. */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DEADLINE ts_deadline_in_ms(60000)

static bool file_is_pattern(const char *path, uint64_t len)
{
        ts_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == len && read_pattern(fd, 1000) == len;
}

static int pattern_file(uint64_t len)
{
        int fd = memfd_create("pattern", MFD_CLOEXEC);
        ts_auto_free unsigned char *buf = malloc(len + 1);

        CU_ASSERT_FATAL(fd >= 0 && buf != NULL);
        fill_pattern(buf, len, 0);
        CU_ASSERT_FATAL(ts_write_all(fd, buf, len, 0, false, NULL) == 0 && lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

static void sizes_on(struct ts_host *h)
{
        static const uint64_t sizes[] = { 0,     1,     2,     997,   4096,   32699,  32700,  32701,
                                          32767, 32768, 32769, 65536, 262143, 262144, 262145, 3000001 };
        const char *path = lab_path("files/sized");
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(sizes); i++) {
                ts_auto_fd int fd = pattern_file(sizes[i]);

                OK(ts_host_scp_send(h, path, 0600, sizes[i], fd, NULL, NULL, &err));
                CU_ASSERT(file_is_pattern(path, sizes[i]));
        }
        (void)unlink(path);
}
BOTH(sizes)

/* A pipe that gives odd bits, and more than is wanted of it. */
static void odd_blocks_on(struct ts_host *h)
{
        const char *path = lab_path("files/odd");
        uint64_t len = is_slow() ? 300007 : 5000011;
        struct ts_host *local = NULL;
        struct ts_proc *p = NULL;
        struct writer *w;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        OK(ts_host_start(local, ARGV("cat"), &p, &err));
        w = writer_start(ts_proc_fd(p), len + 5000);
        OK(ts_host_scp_send(h, path, 0600, len, ts_proc_fd(p), NULL, NULL, &err));
        CU_ASSERT_EQUAL(read_pattern(ts_proc_fd(p), 1), UINT64_MAX); /* the rest is still there, and is no start of the pattern */
        CU_ASSERT(file_is_pattern(path, len));
        (void)writer_join(w);
        ts_proc_free(p);
        ts_host_free(local);
        (void)unlink(path);
}
BOTH(odd_blocks)

static void modes_on(struct ts_host *h)
{
        static const unsigned modes[] = { 0600, 0640, 0755, 0400 };
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(modes); i++) {
                const char *path = lab_path("files/with a 'quote' and $sign");
                struct stat st;

                OK(ts_host_put(h, path, modes[i], "content", 7, &err));
                CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 07777) == modes[i] && st.st_size == 7);
                (void)unlink(path);
        }
        OK(ts_host_put(h, lab_path("files/twice"), 0600, "a longer content", 16, &err));
        OK(ts_host_put(h, lab_path("files/twice"), 0600, "short", 5, &err));
        CU_ASSERT(!file_is_pattern(lab_path("files/twice"), 16));
        (void)unlink(lab_path("files/twice"));
}
BOTH(modes)

static void refusals_on(struct ts_host *h)
{
        ts_auto_fd int fd = pattern_file(1000);
        ts_auto_err err = TS_ERR_INIT;

        FAILS(ts_host_scp_send(h, lab_path("no/such/dir/file"), 0600, 1000, fd, NULL, NULL, &err), TS_ENOTFOUND);
        HAS(err.message, "directory does not exist");
        FAILS(ts_host_put(h, "relative", 0600, "x", 1, &err), TS_EUSAGE);
        FAILS(ts_host_put(h, "/tmp/a\nb", 0600, "x", 1, &err), TS_EUSAGE);
        CU_ASSERT(lseek(fd, 0, SEEK_SET) == 0);
        FAILS(ts_host_scp_send(h, lab_path("files/short"), 0600, 1001, fd, NULL, NULL, &err), TS_EPROTO);
        HAS(err.message, "ended early");
        ts_err_clear(&err);
        OK(ts_host_put(h, lab_path("files/after"), 0600, "x", 1, &err)); /* it still works */
        (void)unlink(lab_path("files/after"));
        (void)unlink(lab_path("files/short"));
}
BOTH(refusals)

static void disk_full_on(struct ts_host *h)
{
        uint64_t len = 3u << 20;
        ts_auto_fd int fd = pattern_file(len);
        ts_auto_err err = TS_ERR_INIT;

        SKIP_UNLESS(lab_has("full.there"), "no small file system");
        FAILS(ts_host_scp_send(h, lab_path("full/file"), 0600, len, fd, NULL, NULL, &err), TS_ENOSPC);
        (void)printf("'%s' ", ts_err_message(&err));
        ts_err_clear(&err);
        (void)unlink(lab_path("full/file"));
        OK(ts_host_put(h, lab_path("full/small"), 0600, "fits", 4, &err));
        (void)unlink(lab_path("full/small"));
}
BOTH(disk_full)

struct seen {
        unsigned calls;
        uint64_t last_bytes, stop_at;
        bool went_back;
};

static int look(void *ctx, uint64_t bytes)
{
        struct seen *s = ctx;

        s->went_back = s->went_back || bytes < s->last_bytes;
        s->last_bytes = bytes;
        s->calls++;
        return s->stop_at && bytes >= s->stop_at;
}

static void progress_on(struct ts_host *h)
{
        uint64_t len = is_slow() ? 2000000 : 30000000;
        ts_auto_fd int fd = pattern_file(len);
        struct seen seen = { 0 };
        struct stat st;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_scp_send(h, "/dev/null", 0600, len, fd, look, &seen, &err));
        CU_ASSERT(seen.calls > 0 && seen.last_bytes == len && !seen.went_back);
        CU_ASSERT(stat("/dev/null", &st) == 0 && (st.st_mode & 07777) == 0666); /* no file, so its mode stays */
        CU_ASSERT(lseek(fd, 0, SEEK_SET) == 0);
        seen = (struct seen){ .stop_at = 1 };
        FAILS(ts_host_scp_send(h, lab_path("files/stopped"), 0600, len, fd, look, &seen, &err), TS_ECANCELED);
        CU_ASSERT(seen.last_bytes < len);
        (void)unlink(lab_path("files/stopped"));
}
BOTH(progress)

static int impatient(void *ctx, uint64_t bytes)
{
        (void)bytes;
        return ++*(unsigned *)ctx > 2;
}

/* Nothing comes from the source: the progress function is asked all the same, and can end it. */
static void silent_source_on(struct ts_host *h)
{
        uint64_t start_us = ts_now_us();
        unsigned calls = 0;
        int fds[2];
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_pipe(fds, &err));
        FAILS(ts_host_scp_send(h, lab_path("files/silent"), 0600, 1000, fds[0], impatient, &calls, &err), TS_ECANCELED);
        CU_ASSERT(ms_since(start_us) < 20000);
        (void)close(fds[0]);
        (void)close(fds[1]);
        (void)unlink(lab_path("files/silent"));
}
BOTH(silent_source)

/* More than 4 GiB, into a FIFO that is counted, so that no disk is filled. */
static void beyond_4_gib(void)
{
        struct ts_host *h = lab_connect("box");
        uint64_t len = is_slow() ? 5000000 : ((uint64_t)4 << 30) + 5;
        ts_auto_fd int fd = memfd_create("sparse", MFD_CLOEXEC);
        const char *fifo = lab_path("files/fifo");
        ts_auto_free char *want = ts_fmt("%llu\n", (unsigned long long)len);
        struct ts_host *local = NULL;
        struct ts_proc *p = NULL;
        ts_auto_str out = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t start_us;

        CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, (off_t)len) == 0 && mkfifo(fifo, 0600) == 0);
        OK(ts_host_local(&local, &err));
        OK(ts_host_start(local, ARGV("wc", "-c", fifo), &p, &err));
        start_us = ts_now_us();
        OK(ts_host_scp_send(h, fifo, 0600, len, fd, NULL, NULL, &err));
        (void)printf("%llu MB/s ", (unsigned long long)(len / 1000 / (ms_since(start_us) + 1)));
        OK(ts_read_to_end(ts_proc_fd(p), &out, DEADLINE, &err));
        if (out.len > strlen(want) - 1)
                out.buf[strlen(want) - 1] = '\n', out.buf[strlen(want)] = '\0';
        STR_IS(ts_str_cstr(&out), want);
        ts_proc_free(p);
        ts_host_free(local);
        ts_host_free(h);
        (void)unlink(fifo);
}

static void wire_counters(void)
{
        struct ts_host *h = lab_connect("box");
        ts_auto_fd int fd = pattern_file(100000);
        struct ts_run_opts opts = { .input = "12345", .input_len = 5 };
        uint64_t sent = 1, received = 1;
        ts_auto_err err = TS_ERR_INIT;

        ts_host_wire(h, &sent, &received);
        CU_ASSERT(sent == 0 && received == 0);
        OK(ts_host_check(h, ARGV("sh", "-c", "cat; echo 67 >&2"), &opts, NULL, &err));
        ts_host_wire(h, &sent, &received);
        CU_ASSERT(sent == 5 && received == 8 + strlen("tranship-0123456789abcdef\n")); /* the mark before what a command prints */
        OK(ts_host_scp_send(h, "/dev/null", 0600, 100000, fd, NULL, NULL, &err));
        ts_host_wire(h, &sent, NULL);
        CU_ASSERT_EQUAL(sent, 100005);
        ts_host_free(h);
}

const struct test_case scp_cases[] = {
        CASE_BOTH(sizes),    CASE_BOTH(odd_blocks),    CASE_BOTH(modes),   CASE_BOTH(refusals), CASE_BOTH(disk_full),
        CASE_BOTH(progress), CASE_BOTH(silent_source), CASE(beyond_4_gib), CASE(wire_counters), CASES_END,
};
