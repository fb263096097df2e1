/* transfer/archive: what GNU tar writes passes unchanged; what no honest writer makes is refused; nothing grows with the input. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/archive.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- making archives ---- */

static int add_to_str(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        return ts_str_add(ctx, data, len, err);
}

static void seal(char *h)
{
        unsigned sum = 0;

        memset(h + 148, ' ', 8);
        for (int i = 0; i < 512; i++)
                sum += (unsigned char)h[i];
        (void)snprintf(h + 148, 8, "%06o", sum);
}

/* A header with everything in place, to be spoilt by the tests. */
static void header(char h[512], const char *name, char type, unsigned long long size)
{
        memset(h, 0, 512);
        memcpy(h, name, strnlen(name, 100));
        (void)snprintf(h + 100, 8, "%07o", 0644U);
        (void)snprintf(h + 124, 12, "%011llo", size & 077777777777);
        (void)snprintf(h + 136, 12, "%011o", 0U);
        h[156] = type;
        memcpy(h + 257, "ustar\00000", 8);
        seal(h);
}

static void put(struct ts_str *s, const void *data, size_t len)
{
        static const char zero[512];

        (void)ts_str_add(s, data, len, NULL);
        (void)ts_str_add(s, zero, (512 - len % 512) % 512, NULL);
}

static void entry(struct ts_str *s, const char *name, char type, const char *data, size_t len)
{
        char h[512];

        header(h, name, type, len);
        put(s, h, 512);
        if (len > 0)
                put(s, data, len);
}

static void end(struct ts_str *s)
{
        static const char zero[1024];

        (void)ts_str_add(s, zero, sizeof(zero), NULL);
}

/* ---- running the filter ---- */

struct seen {
        char log[4096]; /* "type name size link\n" of every entry */
        const char *drop, *capture;
        char captured[64];
        size_t captured_len;
        const struct ts_sink *inject;
};

static int on_entry(void *ctx, const struct ts_tar_entry *e, enum ts_tar_verdict *ret, struct ts_err *err)
{
        struct seen *s = ctx;
        size_t n = strlen(s->log);

        (void)err;
        (void)snprintf(s->log + n, sizeof(s->log) - n, "%c %s %llu %s\n", e->type, e->name, (unsigned long long)e->size_bytes,
                       ts_or(e->link, "-"));
        *ret = ts_streq0(e->name, s->drop) ? TS_TAR_DROP : ts_streq0(e->name, s->capture) ? TS_TAR_CAPTURE : TS_TAR_PASS;
        return 0;
}

static int on_captured(void *ctx, const struct ts_tar_entry *e, const void *data, size_t len, struct ts_err *err)
{
        struct seen *s = ctx;

        CU_ASSERT_EQUAL(len, e->size_bytes);
        memcpy(s->captured, data, len < sizeof(s->captured) ? len : sizeof(s->captured));
        s->captured_len = len;
        return s->inject ? ts_tar_file(s->inject, "injected", 0600, "new", 3, err) : 0;
}

static int as_file(const void *data, size_t len)
{
        int fd = memfd_create("archive", MFD_CLOEXEC);

        if (write(fd, data, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
                CU_FAIL("memfd");
        return fd;
}

static int filter_fd(int fd, struct seen *seen, struct ts_str *out, size_t capture_max, struct ts_err *err)
{
        const struct ts_tar_filter f = { .entry = on_entry,
                                         .captured = on_captured,
                                         .ctx = seen,
                                         .capture_max = capture_max,
                                         .stall_ms = 5000 };
        const struct ts_sink sink = { add_to_str, out };
        uint64_t n = 0;
        int rc;

        rc = ts_tar_filter_run(fd, &f, &sink, &n, err);
        CU_ASSERT_TRUE(rc < 0 || n >= 1024);
        return rc;
}

static int filter(const struct ts_str *in, struct seen *seen, struct ts_str *out, struct ts_err *err)
{
        ts_auto_fd int fd = as_file(in->buf, in->len);

        return filter_fd(fd, seen, out, 1 << 20, err);
}

/* The archive must be refused with this code. */
static void refused(const struct ts_str *in, enum ts_code want, const char *why)
{
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        ts_auto_str out = TS_STR_INIT;

        if (filter(in, &seen, &out, &err) == 0)
                (void)printf("\n    taken: %s\n", why);
        else if (err.code != want)
                (void)printf("\n    %s: %s %s\n", why, ts_code_str(err.code), ts_err_message(&err));
        CU_ASSERT_EQUAL(err.code, want);
        ts_err_clear(&err);
}

/* ---- GNU tar as the other writer and reader ---- */

static int run(const char *const argv[], const void *in, size_t in_len, struct ts_str *out)
{
        ts_auto_fd int in_fd = as_file(ts_or(in, ""), in_len);
        ts_auto_fd int out_fd = memfd_create("out", MFD_CLOEXEC);
        char piece[4096];
        ssize_t n;
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                (void)dup2(in_fd, 0);
                (void)dup2(out_fd, 1);
                (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        (void)waitpid(pid, &status, 0);
        (void)lseek(out_fd, 0, SEEK_SET);
        while ((n = read(out_fd, piece, sizeof(piece))) > 0)
                (void)ts_str_add(out, piece, (size_t)n, NULL);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        struct ts_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_write_atomic(path, data, len, 0644, &err));
}

#define LONG_NAME "a-name-of-more-than-a-hundred-bytes-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-end"

static void make_tree(char *dir)
{
        static char megabyte[1 << 20];
        ts_auto_free char *sub = NULL;
        ts_auto_free char *sparse = NULL;
        ts_auto_free char *link = NULL;
        ts_auto_free char *hard = NULL;
        ts_auto_free char *target = NULL;
        ts_auto_fd int fd = -1;

        for (size_t i = 0; i < sizeof(megabyte); i++)
                megabyte[i] = (char)(i * 2654435761U >> 13);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        sub = ts_fmt("%s/d/%s", dir, LONG_NAME);
        CU_ASSERT_EQUAL_FATAL(ts_mkdir_p(sub, 0755, NULL), 0);
        write_file(sub, LONG_NAME, "deep", 4);
        write_file(dir, "megabyte", megabyte, sizeof(megabyte));
        write_file(dir, "empty", "", 0);
        write_file(dir, "small", "hello\n", 6);
        link = ts_fmt("%s/link", dir);
        CU_ASSERT_EQUAL(symlink("../" LONG_NAME "/" LONG_NAME, link), 0);
        hard = ts_fmt("%s/small-too", dir);
        target = ts_fmt("%s/small", dir);
        CU_ASSERT_EQUAL(linkat(AT_FDCWD, target, AT_FDCWD, hard, 0), 0);
        sparse = ts_fmt("%s/sparse", dir);
        fd = open(sparse, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        for (off_t at = 0; at < (off_t)16 << 20; at += 1 << 18) /* more holes than fit one header */
                CU_ASSERT_EQUAL(pwrite(fd, "x", 1, at), 1);
}

static void remove_tree(const char *dir)
{
        ts_auto_str out = TS_STR_INIT;

        CU_ASSERT_EQUAL(run((const char *const[]){ "rm", "-rf", dir, NULL }, NULL, 0, &out), 0);
}

static void make_archive(const char *dir, const char *format, const char *more, struct ts_str *ret)
{
        CU_ASSERT_EQUAL_FATAL(run((const char *const[]){ "tar", "-C", dir, format, "--sort=name", "-c", ".", more, NULL }, NULL, 0, ret),
                              0);
}

/* What formats without long names can hold. */
static void make_short_archive(const char *dir, const char *format, struct ts_str *ret)
{
        CU_ASSERT_EQUAL_FATAL(run((const char *const[]){ "tar", "-C", dir, format, "-c", "empty", "small", "small-too", "megabyte", NULL },
                                  NULL, 0, ret),
                              0);
}

/* Unchanged but for the zeros at the end. */
static void same_but_end(const struct ts_str *in, const struct ts_str *out)
{
        CU_ASSERT_TRUE_FATAL(out->len + 1024 <= in->len);
        CU_ASSERT_EQUAL(memcmp(in->buf, out->buf, out->len), 0);
        for (size_t i = out->len; i < in->len; i++)
                if (in->buf[i] != 0) {
                        CU_FAIL("the filter stopped too early");
                        break;
                }
}

static void passes_what_gnu_tar_writes(void)
{
        static const char *const formats[] = { "--format=gnu", "--format=posix", "--format=ustar", "--format=v7", "--format=oldgnu" };
        char dir[] = "/tmp/ts-archive-XXXXXX";
        struct ts_err err = TS_ERR_INIT;

        make_tree(dir);
        for (size_t i = 0; i < 2 * TS_ARRAY_LEN(formats); i++) {
                const char *format = formats[i / 2];
                bool can_sparse = strstr(format, "gnu") || strstr(format, "posix");
                ts_auto_str in = TS_STR_INIT_MAX((size_t)256 << 20);
                ts_auto_str out = TS_STR_INIT_MAX((size_t)256 << 20);
                struct seen seen = { 0 };

                if ((i & 1) && !can_sparse)
                        continue;
                if (can_sparse)
                        make_archive(dir, format, (i & 1) ? "--sparse" : NULL, &in);
                else
                        make_short_archive(dir, format, &in);
                UNIT_OK(filter(&in, &seen, &out, &err));
                same_but_end(&in, &out);
                CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, "0 empty 0 -\n"));
                CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, "0 megabyte 1048576 -\n"));
                if (can_sparse) {
                        CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, "5 . 0 -\n"));
                        CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, "0 d/" LONG_NAME "/" LONG_NAME " 4 -\n"));
                        CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, "2 link 0 ../" LONG_NAME "/" LONG_NAME "\n"));
                        CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, "1 small-too 0 ./small\n"));
                        CU_ASSERT_PTR_NOT_NULL(strstr(seen.log, (i & 1) ? "0 sparse " : "0 sparse 16515073 -\n"));
                }
        }
        remove_tree(dir);
}

struct feeder {
        int fd;
        const struct ts_str *data;
        size_t step;
};
static void *feed(void *arg)
{
        const struct feeder *f = arg;

        for (size_t at = 0; at < f->data->len;) {
                size_t n = f->data->len - at < f->step ? f->data->len - at : f->step;

                if (ts_write_all(f->fd, f->data->buf + at, n, 0, false, NULL) < 0)
                        break;
                at += n;
        }
        (void)shutdown(f->fd, SHUT_WR);
        return NULL;
}

static void does_not_mind_how_bytes_arrive(void)
{
        static const size_t steps[] = { 1, 97, 511, 512, 997, 65537 };
        ts_auto_str in = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        char data[5000];

        memset(data, 'd', sizeof(data));
        for (int i = 0; i < 40; i++) {
                entry(&in, "file", '0', data, (size_t)i * 117);
                entry(&in, "dir/", '5', NULL, 0);
        }
        end(&in);
        for (size_t i = 0; i < TS_ARRAY_LEN(steps); i++) {
                ts_auto_str out = TS_STR_INIT;
                struct seen seen = { 0 };
                int fds[2] = { -1, -1 };
                pthread_t thread;
                struct feeder f = { .data = &in, .step = steps[i] };

                UNIT_OK(ts_socketpair(fds, &err));
                f.fd = fds[1];
                CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, feed, &f), 0);
                UNIT_OK(filter_fd(fds[0], &seen, &out, 0, &err));
                (void)pthread_join(thread, NULL);
                same_but_end(&in, &out);
                (void)close(fds[0]);
                (void)close(fds[1]);
        }
}

static void captures_and_drops(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT, want = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { .drop = "drop", .capture = "capture" };

        entry(&in, "first", '0', "1", 1);
        entry(&in, "x", 'x', "13 mtime=1.5\n", 13);
        entry(&in, "drop", '0', "gone", 4);
        entry(&in, "capture", '0', "kept", 4);
        entry(&in, "last", '0', "9", 1);
        end(&in);
        entry(&want, "first", '0', "1", 1);
        entry(&want, "capture", '0', "kept", 4);
        entry(&want, "last", '0', "9", 1);
        UNIT_OK(filter(&in, &seen, &out, &err));
        CU_ASSERT_EQUAL(out.len, want.len);
        CU_ASSERT_EQUAL(memcmp(out.buf, want.buf, want.len), 0);
        CU_ASSERT_EQUAL(seen.captured_len, 4);
        CU_ASSERT_EQUAL(memcmp(seen.captured, "kept", 4), 0);
        UNIT_STR(seen.log, "0 first 1 -\n0 drop 4 -\n0 capture 4 -\n0 last 1 -\n");
}

/* Whoever is told of a captured entry may add others right there. */
static void lets_entries_be_added(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT, again = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        const struct ts_sink sink = { add_to_str, &out };
        struct seen seen = { .capture = "capture", .inject = &sink }, second = { 0 };

        entry(&in, "first", '0', "1", 1);
        entry(&in, "capture", '0', "kept", 4);
        entry(&in, "last", '0', "9", 1);
        end(&in);
        UNIT_OK(filter(&in, &seen, &out, &err));
        UNIT_OK(ts_tar_end(&sink, &err));
        UNIT_OK(filter(&out, &second, &again, &err));
        UNIT_STR(second.log, "0 first 1 -\n0 capture 4 -\n0 injected 3 -\n0 last 1 -\n");
}

static void writes_what_gnu_tar_reads(void)
{
        ts_auto_str made = TS_STR_INIT, listed = TS_STR_INIT, again = TS_STR_INIT;
        const struct ts_sink sink = { add_to_str, &made };
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };

        UNIT_OK(ts_tar_file(&sink, "config.dump", 0600, "{}", 2, &err));
        UNIT_OK(ts_tar_file(&sink, "d/" LONG_NAME, 0640, "long", 4, &err));
        UNIT_OK(ts_tar_file(&sink, "empty", 0755, NULL, 0, &err));
        UNIT_OK(ts_tar_end(&sink, &err));
        CU_ASSERT_EQUAL(made.len % 512, 0);
        CU_ASSERT_EQUAL(run((const char *const[]){ "tar", "-tv", "--numeric-owner", "--utc", NULL }, made.buf, made.len, &listed), 0);
        UNIT_STR(ts_str_cstr(&listed), "-rw------- 0/0               2 1970-01-01 00:00 config.dump\n"
                                       "-rw-r----- 0/0               4 1970-01-01 00:00 d/" LONG_NAME "\n"
                                       "-rwxr-xr-x 0/0               0 1970-01-01 00:00 empty\n");
        UNIT_OK(filter(&made, &seen, &again, &err));
        UNIT_STR(seen.log, "0 config.dump 2 -\n0 d/" LONG_NAME " 4 -\n0 empty 0 -\n");
        UNIT_FAILS(ts_tar_header(&sink, "../up", 0600, 0, 0, &err), TS_EPROTO);
        UNIT_FAILS(ts_tar_header(&sink, "/abs", 0600, 0, 0, &err), TS_EPROTO);
}

/* PAX records count their own digits: names of every length around the steps. */
static void writes_names_of_any_length(void)
{
        struct ts_err err = TS_ERR_INIT;
        char name[1100];

        for (size_t n = 1; n < sizeof(name); n++) {
                ts_auto_str made = TS_STR_INIT, out = TS_STR_INIT;
                ts_auto_free char *want = NULL;
                const struct ts_sink sink = { add_to_str, &made };
                struct seen seen = { 0 };

                memset(name, 'n', n);
                name[n] = '\0';
                want = ts_fmt("0 %s 0 -\n", name);
                UNIT_OK(ts_tar_file(&sink, name, 0600, NULL, 0, &err));
                UNIT_OK(ts_tar_end(&sink, &err));
                UNIT_OK(filter(&made, &seen, &out, &err));
                CU_ASSERT_STRING_EQUAL(seen.log, want);
                if (n == sizeof(name) - 1)
                        break;
        }
}

static int stop_at_once(void *ctx, const struct ts_tar_entry *e, enum ts_tar_verdict *ret, struct ts_err *err)
{
        *(uint64_t *)ctx = e->size_bytes;
        (void)ret;
        return ts_err_set(err, TS_ECANCELED, "enough");
}

static void carries_sizes_above_eight_gigabytes(void)
{
        static const uint64_t sizes[] = { 077777777777, 0100000000000, (uint64_t)1 << 40, (uint64_t)1 << 50 };
        struct ts_err err = TS_ERR_INIT;
        uint64_t seen = 0;
        const struct ts_tar_filter f = { .entry = stop_at_once, .ctx = &seen };

        for (size_t i = 0; i < TS_ARRAY_LEN(sizes); i++) {
                ts_auto_str made = TS_STR_INIT;
                const struct ts_sink sink = { add_to_str, &made };
                ts_auto_fd int fd = -1;

                UNIT_OK(ts_tar_header(&sink, "pages-1.img", 0600, sizes[i], (uint64_t)1 << 40, &err));
                fd = as_file(made.buf, made.len);
                UNIT_FAILS(ts_tar_filter_run(fd, &f, &sink, NULL, &err), TS_ECANCELED);
                CU_ASSERT_EQUAL(seen, sizes[i]);
        }
}

static void reads_base_256_sizes(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT, bad = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        char h[512];

        header(h, "binary", '0', 0);
        memset(h + 124, 0, 12);
        h[124] = (char)0x80;
        h[134] = 2;
        h[135] = 3;
        seal(h);
        put(&in, h, 512);
        for (int i = 0; i < 515; i++)
                (void)ts_str_adds(&in, "b", NULL);
        for (int i = 0; i < 1024 - 515; i++)
                (void)ts_str_add(&in, "", 1, NULL);
        end(&in);
        UNIT_OK(filter(&in, &seen, &out, &err));
        UNIT_STR(seen.log, "0 binary 515 -\n");
        memset(h + 124, 0xff, 12); /* -1 */
        seal(h);
        put(&bad, h, 512);
        refused(&bad, TS_EPROTO, "negative size");
        h[124] = (char)0x80; /* 2^88 - 1 */
        seal(h);
        memcpy(bad.buf, h, 512);
        refused(&bad, TS_EPROTO, "size of 88 bits");
        h[124] = (char)0x80;
        memset(h + 125, 0, 3); /* 2^64 - 1 */
        seal(h);
        memcpy(bad.buf, h, 512);
        refused(&bad, TS_EPROTO, "size of 64 bits");
}

static void pax_overrides_name_link_and_size(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        char h[512];

        entry(&in, "g", 'g', "15 comment=abc\n", 15);
        entry(&in, "x", 'x', "10 size=4\n", 10);
        header(h, "short", '0', 0);
        put(&in, h, 512);
        put(&in, "four", 4);
        entry(&in, "x", 'x', "15 path=d/././\n21 linkpath=../there\n", 36);
        header(h, "short", '2', 0);
        memcpy(h + 157, "nowhere", 7);
        seal(h);
        put(&in, h, 512);
        entry(&in, "x", 'x', "8 path=\n", 8); /* empty: the name of the header stays */
        entry(&in, "stays", '0', NULL, 0);
        entry(&in, "././@LongLink", 'L', "gnu/long\0", 9);
        entry(&in, "././@LongLink", 'K', "gnu/link\0", 9);
        header(h, "short", '1', 0);
        put(&in, h, 512);
        end(&in);
        UNIT_OK(filter(&in, &seen, &out, &err));
        UNIT_STR(seen.log, "0 short 4 -\n2 d 0 ../there\n0 stays 0 -\n1 gnu/long 0 gnu/link\n");
        same_but_end(&in, &out);
}

static void joins_prefix_and_name(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        char h[512];

        header(h, "name", '0', 0);
        memcpy(h + 345, "some/prefix", 11);
        seal(h);
        put(&in, h, 512);
        memcpy(h + 257, "ustar  ", 8); /* GNU: times are there */
        seal(h);
        put(&in, h, 512);
        memset(h + 257, 0, 8); /* before POSIX: nothing is */
        memcpy(h, "dir/", 5);
        h[156] = '\0';
        seal(h);
        put(&in, h, 512);
        end(&in);
        UNIT_OK(filter(&in, &seen, &out, &err));
        UNIT_STR(seen.log, "0 some/prefix/name 0 -\n0 name 0 -\n5 dir 0 -\n");
}

static void refuses_bad_names(void)
{
        static const char *const names[] = { "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./..", "a//../b", "/", "//", "" };
        ts_auto_free char *name = calloc(1, 4200);
        ts_auto_free char *record = NULL;

        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++) {
                ts_auto_str in = TS_STR_INIT, link = TS_STR_INIT;
                char h[512];

                entry(&in, names[i], '0', NULL, 0);
                end(&in);
                refused(&in, TS_EPROTO, names[i]);
                header(h, "hard", '1', 0); /* a hard link's target is a name in the archive */
                memcpy(h + 157, names[i], strlen(names[i]));
                seal(h);
                put(&link, h, 512);
                end(&link);
                refused(&link, TS_EPROTO, names[i]);
        }
        for (size_t n = 4095; n <= 4097; n++) {
                ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT;
                struct ts_err err = TS_ERR_INIT;
                struct seen seen = { 0 };

                memset(name, 'n', n);
                name[n] = '\0';
                free(record);
                record = ts_fmt("%zu path=%s\n", n + 11, name);
                entry(&in, "x", 'x', record, strlen(record));
                entry(&in, "short", '0', NULL, 0);
                end(&in);
                if (n > 4096)
                        refused(&in, TS_EPROTO, "4097 bytes");
                else
                        UNIT_OK(filter(&in, &seen, &out, &err));
        }
}

static void refuses_bad_extensions(void)
{
        static const struct {
                const char *first, *second; /* contents of one or two headers */
                char type, second_type;
        } cases[] = {
                { "8 path=a\n", NULL, 'x', 0 },    /* too short by one */
                { "13 path=abc\n", NULL, 'x', 0 }, /* longer than the header */
                { "path=a\n", NULL, 'x', 0 },      /* no length */
                { "99 path=a\n", NULL, 'x', 0 },   /* longer than there is */
                { "4 =\n", NULL, 'x', 0 },         /* no key */
                { "8 patha\n", NULL, 'x', 0 },     /* no equals sign */
                { "10 size=a\n", NULL, 'x', 0 },   /* no number */
                { "11 size=-1\n", NULL, 'x', 0 },  /* negative */
                { "30 size=99999999999999999999\n", NULL, 'x', 0 },
                { "13 path=/abs\n", NULL, 'x', 0 },
                { "14 path=../up\n", NULL, 'x', 0 },
                { "22 GNU.sparse.name=..\n", NULL, 'x', 0 },
                { "10 path=a\n", "10 path=b\n", 'x', 'x' }, /* twice */
                { "a", "b", 'L', 'L' },
                { "a", "b", 'K', 'K' },
                { "10 path=a\n", "b", 'x', 'L' }, /* two opinions */
                { "a", "10 path=b\n", 'L', 'x' },
                { "10 path=a\n", "9 comm=a\n", 'x', 'g' },
                { "10 path=a\n", NULL, 'g', 0 }, /* renames everything */
                { "10 size=1\n", NULL, 'g', 0 },
                { "14 linkpath=a\n", NULL, 'g', 0 },
                { "22 GNU.sparse.major=1\n", NULL, 'g', 0 },
                { "10 size=4\n", NULL, 'D', 0 }, /* types nobody needs */
                { "", NULL, 'M', 0 },
                { "", NULL, 'V', 0 },
                { "", NULL, 'z', 0 },
                { "content", NULL, '5', 0 }, /* readers disagree on whether it is there */
                { "content", NULL, '1', 0 },
                { "content", NULL, '6', 0 },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                ts_auto_str in = TS_STR_INIT;

                entry(&in, "x", cases[i].type, cases[i].first, strlen(cases[i].first));
                if (cases[i].second)
                        entry(&in, "x", cases[i].second_type, cases[i].second, strlen(cases[i].second));
                entry(&in, "file", '0', NULL, 0);
                end(&in);
                refused(&in, TS_EPROTO, cases[i].first);
        }
}

static void refuses_nul_in_names(void)
{
        ts_auto_str in = TS_STR_INIT, key = TS_STR_INIT, last = TS_STR_INIT;

        entry(&in, "x", 'x', "12 path=a\0b\n", 12);
        entry(&in, "file", '0', NULL, 0);
        end(&in);
        refused(&in, TS_EPROTO, "NUL in a value");
        entry(&key, "x", 'x', "12 pa\0th=ab\n", 12);
        entry(&key, "file", '0', NULL, 0);
        end(&key);
        refused(&key, TS_EPROTO, "NUL in a key");
        entry(&last, "x", 'x', "10 path=a\n", 10);
        end(&last);
        refused(&last, TS_EPROTO, "an extension of nothing");
}

static void refuses_every_cut(void)
{
        ts_auto_str in = TS_STR_INIT;
        size_t len;

        entry(&in, "x", 'x', "10 path=a\n", 10);
        entry(&in, "file", '0', "content", 7);
        entry(&in, "././@LongLink", 'L', "gnu/long\0", 9);
        entry(&in, "dir", '5', NULL, 0);
        end(&in);
        len = in.len;
        for (in.len = 0; in.len < len; in.len += in.len % 512 < 3 || in.len % 512 > 508 ? 1 : 61)
                refused(&in, TS_EPROTO, "cut");
        in.len = len - 1;
        refused(&in, TS_EPROTO, "cut by one byte");
}

static void refuses_what_comes_after_the_end(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT, one = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        char zero[700] = "";

        entry(&in, "file", '0', "content", 7);
        end(&in);
        CU_ASSERT_EQUAL(ts_str_add(&in, zero, sizeof(zero), NULL), 0); /* padding need not be whole blocks */
        UNIT_OK(filter(&in, &seen, &out, &err));
        CU_ASSERT_EQUAL(out.len, 1024);
        CU_ASSERT_EQUAL(ts_str_adds(&in, "x", NULL), 0);
        refused(&in, TS_EPROTO, "garbage after the end");
        entry(&one, "file", '0', "content", 7);
        CU_ASSERT_EQUAL(ts_str_add(&one, zero, 512, NULL), 0);
        entry(&one, "file", '0', "content", 7);
        end(&one);
        refused(&one, TS_EPROTO, "an entry after one zero block");
}

static void bounds_the_zeros_after_the_end(void)
{
        ts_auto_fd int fd = memfd_create("zeros", MFD_CLOEXEC);
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        ts_auto_str out = TS_STR_INIT;

        CU_ASSERT_EQUAL(ftruncate(fd, (off_t)32 << 20), 0);
        UNIT_OK(filter_fd(fd, &seen, &out, 0, &err));
        CU_ASSERT_EQUAL(ftruncate(fd, (off_t)80 << 20), 0);
        (void)lseek(fd, 0, SEEK_SET);
        UNIT_FAILS(filter_fd(fd, &seen, &out, 0, &err), TS_ELIMIT);
}

static void refuses_flipped_header_bytes(void)
{
        ts_auto_str in = TS_STR_INIT;

        entry(&in, "file", '0', "content", 7);
        end(&in);
        for (size_t i = 0; i < 512; i++) {
                if (i >= 148 && i < 156)
                        continue;
                in.buf[i] ^= 0x10;
                refused(&in, TS_EPROTO, "flipped byte");
                in.buf[i] ^= 0x10;
        }
        memset(in.buf + 148, 'z', 8);
        refused(&in, TS_EPROTO, "no checksum");
}

static void takes_signed_checksums(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { 0 };
        int sum = 0;
        char h[512];

        header(h, "\xc3\xa4", '0', 0);
        memset(h + 148, ' ', 8);
        for (int i = 0; i < 512; i++)
                sum += (signed char)h[i];
        (void)snprintf(h + 148, 8, "%06o", (unsigned)sum);
        put(&in, h, 512);
        end(&in);
        UNIT_OK(filter(&in, &seen, &out, &err));
        UNIT_STR(seen.log, "0 \xc3\xa4 0 -\n");
}

static void keeps_its_limits(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT, meta = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        struct seen seen = { .capture = "b" };
        struct ts_tar_filter f = { .entry = on_entry, .ctx = &seen, .max_entries = 2, .capture_max = 3 };
        const struct ts_sink sink = { add_to_str, &out };
        ts_auto_fd int fd = -1;
        char h[512];

        entry(&in, "a", '0', "1", 1);
        entry(&in, "b", '0', "333", 3);
        end(&in);
        fd = as_file(in.buf, in.len);
        UNIT_OK(ts_tar_filter_run(fd, &f, &sink, NULL, &err));
        f.capture_max = 2;
        (void)lseek(fd, 0, SEEK_SET);
        UNIT_FAILS(ts_tar_filter_run(fd, &f, &sink, NULL, &err), TS_ELIMIT);
        f.capture_max = 3;
        f.max_entries = 1;
        (void)lseek(fd, 0, SEEK_SET);
        UNIT_FAILS(ts_tar_filter_run(fd, &f, &sink, NULL, &err), TS_ELIMIT);
        header(h, "x", 'x', (1 << 20) + 1);
        put(&meta, h, 512);
        refused(&meta, TS_ELIMIT, "an extension header of a megabyte");
        header(h, "S", 'S', 0); /* maps without end */
        h[482] = 1;
        seal(h);
        meta.len = 0;
        put(&meta, h, 512);
        memset(h, 1, 512);
        for (int i = 0; i < 10000; i++)
                put(&meta, h, 512);
        refused(&meta, TS_ELIMIT, "a sparse map without end");
}

static void does_not_take_sparse_files_apart(void)
{
        struct ts_err err = TS_ERR_INIT;
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT;
        struct seen seen = { .capture = "sparse" };

        entry(&in, "x", 'x', "22 GNU.sparse.major=1\n26 GNU.sparse.name=sparse\n", 48);
        entry(&in, "GNUSparseFile.1/sparse", '0', "1\n0\n1\n", 6);
        end(&in);
        UNIT_FAILS(filter(&in, &seen, &out, &err), TS_EPROTO);
}

static int no_more(void *ctx, uint64_t bytes)
{
        (void)ctx;
        return bytes > 0;
}
static int full(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        (void)ctx;
        (void)data;
        (void)len;
        return ts_err_errno(err, ENOSPC, "write");
}

static void passes_failures_on(void)
{
        ts_auto_str in = TS_STR_INIT, out = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        const struct ts_sink sink = { add_to_str, &out }, full_sink = { full, NULL };
        const struct ts_tar_filter stall = { .stall_ms = 30 }, stopped = { .progress = no_more }, plain = { 0 };
        uint64_t n = 42;
        int fds[2] = { -1, -1 };
        ts_auto_fd int directory = open("/", O_RDONLY | O_CLOEXEC);
        ts_auto_fd int fd = -1;

        entry(&in, "a", '0', "1", 1);
        end(&in);
        fd = as_file(in.buf, in.len);
        UNIT_FAILS(ts_tar_filter_run(fd, &stopped, &sink, &n, &err), TS_ECANCELED);
        (void)lseek(fd, 0, SEEK_SET);
        UNIT_FAILS(ts_tar_filter_run(fd, &plain, &full_sink, &n, &err), TS_ENOSPC);
        UNIT_OK(ts_socketpair(fds, &err));
        UNIT_FAILS(ts_tar_filter_run(fds[0], &stall, &sink, &n, &err), TS_ETIMEOUT);
        UNIT_FAILS(ts_tar_filter_run(directory, &plain, &sink, &n, &err), TS_EIO);
        CU_ASSERT_EQUAL(n, 42);
        (void)close(fds[0]);
        (void)close(fds[1]);
        (void)lseek(fd, 0, SEEK_SET);
        out.len = 0;
        UNIT_OK(ts_tar_filter_run(fd, &plain, &sink, &n, &err)); /* no entry(): all passes */
        CU_ASSERT_EQUAL(n, in.len);
        same_but_end(&in, &out);
}

static CU_TestInfo tests[] = { UNIT(passes_what_gnu_tar_writes),
                               UNIT(does_not_mind_how_bytes_arrive),
                               UNIT(captures_and_drops),
                               UNIT(lets_entries_be_added),
                               UNIT(writes_what_gnu_tar_reads),
                               UNIT(writes_names_of_any_length),
                               UNIT(carries_sizes_above_eight_gigabytes),
                               UNIT(reads_base_256_sizes),
                               UNIT(pax_overrides_name_link_and_size),
                               UNIT(joins_prefix_and_name),
                               UNIT(refuses_bad_names),
                               UNIT(refuses_bad_extensions),
                               UNIT(refuses_nul_in_names),
                               UNIT(refuses_every_cut),
                               UNIT(refuses_what_comes_after_the_end),
                               UNIT(bounds_the_zeros_after_the_end),
                               UNIT(refuses_flipped_header_bytes),
                               UNIT(takes_signed_checksums),
                               UNIT(keeps_its_limits),
                               UNIT(does_not_take_sparse_files_apart),
                               UNIT(passes_failures_on),
                               CU_TEST_INFO_NULL };
UNIT_MAIN("archive", tests)
