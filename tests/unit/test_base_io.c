/* base/io: deadlines, cancellation, bounds, atomic files, and whose home counts. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64]; /* a fresh one for every test */

static void dir_make(void)
{
        (void)snprintf(dir, sizeof(dir), "/tmp/tranship-unit-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
}

static const char *in_dir(const char *name)
{
        static char paths[4][128];
        static unsigned turn;
        char *path = paths[turn++ % 4];

        (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
        return path;
}

static void remove_tree(const char *path)
{
        DIR *d = opendir(path);
        const struct dirent *e;

        while (d && (e = readdir(d))) {
                ts_auto_free char *child = ts_fmt("%s/%s", path, e->d_name);

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || !child)
                        continue;
                if (unlink(child) < 0)
                        remove_tree(child);
        }
        if (d)
                (void)closedir(d);
        (void)rmdir(path);
}

static unsigned files_in(const char *path)
{
        DIR *d = opendir(path);
        unsigned n = 0;

        while (d && readdir(d))
                n++;
        if (d)
                (void)closedir(d);
        return n < 2 ? 0 : n - 2;
}

static bool is_cloexec(int fd)
{
        return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/* ---- descriptors ---- */

static void pairs_are_cloexec(void)
{
        int fds[2];
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_pipe(fds, &err));
        CU_ASSERT_TRUE(is_cloexec(fds[0]) && is_cloexec(fds[1]));
        (void)close(fds[0]);
        (void)close(fds[1]);
        UNIT_OK(ts_socketpair(fds, &err));
        CU_ASSERT_TRUE(is_cloexec(fds[0]) && is_cloexec(fds[1]));
        CU_ASSERT_FALSE(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
        UNIT_OK(ts_set_nonblock(fds[0], true, &err));
        CU_ASSERT_TRUE(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
        UNIT_OK(ts_set_nonblock(fds[0], false, &err));
        CU_ASSERT_FALSE(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
        (void)close(fds[0]);
        (void)close(fds[1]);
        UNIT_FAILS(ts_set_nonblock(fds[0], true, &err), TS_EIO);
}

static void read_times_out(void)
{
        int fds[2];
        char c;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t t = ts_now_us();

        UNIT_OK(ts_pipe(fds, &err));
        UNIT_FAILS((int)ts_read_some(fds[0], &c, 1, ts_deadline_in_ms(50), false, &err), TS_ETIMEOUT);
        UNIT_FAILS((int)ts_read_some(fds[0], &c, 1, ts_deadline_in_ms(50), true, &err), TS_ETIMEOUT);
        UNIT_FAILS((int)ts_read_some(fds[0], &c, 1, ts_now_us() - 1, false, &err), TS_ETIMEOUT);
        CU_ASSERT_TRUE(ts_now_us() - t >= 100000);
        CU_ASSERT_TRUE(ts_now_us() - t < 10000000);
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void read_works_in_both_modes(void)
{
        for (int nonblock = 0; nonblock < 2; nonblock++) {
                int fds[2];
                char buf[16] = "";
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(ts_socketpair(fds, &err));
                UNIT_OK(ts_set_nonblock(fds[0], nonblock, &err));
                UNIT_OK(ts_write_all(fds[1], "hello", 5, ts_deadline_in_ms(5000), false, &err));
                CU_ASSERT_EQUAL(ts_read_some(fds[0], buf, sizeof(buf), ts_deadline_in_ms(5000), false, &err), 5);
                UNIT_STR(buf, "hello");
                (void)close(fds[1]);
                CU_ASSERT_EQUAL(ts_read_some(fds[0], buf, sizeof(buf), ts_deadline_in_ms(5000), false, &err), 0);
                (void)close(fds[0]);
                CU_ASSERT_FALSE(ts_err_is_set(&err));
        }
}

/* Nobody reads: neither a blocking pipe nor a blocking socket may hold us past the deadline. */
static void write_times_out_when_blocking(void)
{
        int (*const make[])(int *, struct ts_err *) = { ts_pipe, ts_socketpair };
        ts_auto_free char *data = calloc(1, 4 << 20);

        CU_ASSERT_PTR_NOT_NULL_FATAL(data);
        for (size_t i = 0; i < TS_ARRAY_LEN(make); i++) {
                int fds[2];
                uint64_t t = ts_now_us();
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(make[i](fds, &err));
                UNIT_FAILS(ts_write_all(fds[1], data, 4 << 20, ts_deadline_in_ms(100), false, &err), TS_ETIMEOUT);
                CU_ASSERT_TRUE(ts_now_us() - t < 10000000);
                (void)close(fds[0]);
                (void)close(fds[1]);
        }
}

static void write_to_nobody_is_a_lost_connection(void)
{
        int (*const make[])(int *, struct ts_err *) = { ts_pipe, ts_socketpair };
        void (*old)(int) = signal(SIGPIPE, SIG_IGN);

        for (size_t i = 0; i < TS_ARRAY_LEN(make); i++) {
                int fds[2];
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(make[i](fds, &err));
                (void)close(fds[0]);
                CU_ASSERT_EQUAL(ts_write_all(fds[1], "x", 1, ts_deadline_in_ms(5000), false, &err), -1);
                CU_ASSERT_EQUAL(err.code, TS_ECONNECT);
                CU_ASSERT_EQUAL(err.sys_errno, EPIPE);
                (void)close(fds[1]);
        }
        (void)signal(SIGPIPE, old);
}

static void write_to_socket_raises_no_signal(void)
{
        int fds[2];
        ts_auto_err err = TS_ERR_INIT;

        (void)signal(SIGPIPE, SIG_DFL);
        UNIT_OK(ts_socketpair(fds, &err));
        (void)close(fds[0]);
        UNIT_FAILS(ts_write_all(fds[1], "x", 1, ts_deadline_in_ms(5000), false, &err), TS_ECONNECT);
        (void)close(fds[1]);
}

#define BULK ((size_t)5 << 20)
static void *write_bulk(void *arg)
{
        int fd = *(int *)arg;
        ts_auto_free unsigned char *data = malloc(BULK);
        ts_auto_err err = TS_ERR_INIT;

        if (!data)
                return NULL;
        for (size_t i = 0; i < BULK; i++)
                data[i] = (unsigned char)(i * 31 + (i >> 12));
        (void)ts_write_all(fd, data, BULK, ts_deadline_in_ms(60000), true, &err);
        (void)close(fd);
        return NULL;
}

static void bulk_arrives_whole(void)
{
        int (*const make[])(int *, struct ts_err *) = { ts_pipe, ts_socketpair };
        ts_auto_free unsigned char *data = malloc(BULK);

        CU_ASSERT_PTR_NOT_NULL_FATAL(data);
        for (size_t i = 0; i < TS_ARRAY_LEN(make); i++) {
                int fds[2];
                bool same = true;
                char c;
                pthread_t thread;
                ts_auto_err err = TS_ERR_INIT;

                UNIT_OK(make[i](fds, &err));
                CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_bulk, &fds[1]), 0);
                UNIT_OK(ts_read_exact(fds[0], data, BULK, ts_deadline_in_ms(60000), true, &err));
                CU_ASSERT_EQUAL(ts_read_some(fds[0], &c, 1, ts_deadline_in_ms(60000), true, &err), 0);
                (void)pthread_join(thread, NULL);
                for (size_t n = 0; n < BULK; n++)
                        same = same && data[n] == (unsigned char)(n * 31 + (n >> 12));
                CU_ASSERT_TRUE(same);
                (void)close(fds[0]);
        }
}

static void read_exact_tells_an_early_end(void)
{
        int fds[2];
        char buf[8];
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_pipe(fds, &err));
        UNIT_OK(ts_write_all(fds[1], "abc", 3, 0, false, &err));
        (void)close(fds[1]);
        UNIT_OK(ts_read_exact(fds[0], buf, 0, 0, false, &err));
        CU_ASSERT_EQUAL(ts_read_exact(fds[0], buf, 8, ts_deadline_in_ms(5000), false, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_EPROTO);
        UNIT_STR(ts_err_message(&err), "ended early: 3 of 8 bytes");
        (void)close(fds[0]);
}

static void read_to_end_is_bounded(void)
{
        static const size_t sizes[] = { 0, 1, 999, 1000 };

        for (size_t i = 0; i < TS_ARRAY_LEN(sizes) + 1; i++) {
                size_t size = i < TS_ARRAY_LEN(sizes) ? sizes[i] : 1001;
                int fds[2];
                char data[1001];
                ts_auto_str s = TS_STR_INIT_MAX(1000);
                ts_auto_err err = TS_ERR_INIT;

                memset(data, 'd', sizeof(data));
                UNIT_OK(ts_pipe(fds, &err));
                UNIT_OK(ts_write_all(fds[1], data, size, 0, false, &err));
                (void)close(fds[1]);
                if (size > 1000) {
                        UNIT_FAILS(ts_read_to_end(fds[0], &s, ts_deadline_in_ms(5000), &err), TS_ELIMIT);
                } else {
                        UNIT_OK(ts_read_to_end(fds[0], &s, ts_deadline_in_ms(5000), &err));
                        CU_ASSERT_EQUAL(s.len, size);
                }
                (void)close(fds[0]);
        }
}

static void waiting_on_nonsense_fails(void)
{
        char c = 'x';
        ts_auto_err err = TS_ERR_INIT;

        UNIT_FAILS((int)ts_read_some(-1, &c, 1, 0, false, &err), TS_EINTERNAL); /* poll ignores negative ones: would wait for ever */
        UNIT_FAILS((int)ts_read_some(1023, &c, 1, ts_deadline_in_ms(5000), false, &err), TS_EIO);
        UNIT_FAILS(ts_write_all(1023, &c, 1, ts_deadline_in_ms(5000), false, &err), TS_EIO);
}

static void signals_cancel(void)
{
        int fds[2];
        char c = 'x';
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_pipe(fds, &err));
        ts_stop_signal = SIGTERM;
        UNIT_FAILS((int)ts_read_some(fds[0], &c, 1, 0, true, &err), TS_ECANCELED);
        UNIT_FAILS(ts_read_exact(fds[0], &c, 1, 0, true, &err), TS_ECANCELED);
        UNIT_FAILS(ts_write_all(fds[1], &c, 1, 0, true, &err), TS_ECANCELED);
        UNIT_FAILS(ts_read_to_end(fds[0], &s, 0, &err), TS_ECANCELED);
        UNIT_OK(ts_write_all(fds[1], &c, 1, 0, false, &err)); /* those that must not be cancelled are not */
        UNIT_OK(ts_read_exact(fds[0], &c, 1, 0, false, &err));
        ts_stop_signal = 0;
        (void)close(fds[0]);
        (void)close(fds[1]);
}

static void *stop_soon(void *unused)
{
        (void)unused;
        ts_sleep_ms(50);
        ts_stop_signal = SIGINT; /* as if the handler had run in another thread, just before poll() */
        return NULL;
}

static void signals_cancel_a_wait_under_way(void)
{
        int fds[2];
        char c;
        pthread_t thread;
        uint64_t t = ts_now_us();
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_pipe(fds, &err));
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, stop_soon, NULL), 0);
        UNIT_FAILS((int)ts_read_some(fds[0], &c, 1, ts_deadline_in_ms(30000), true, &err), TS_ECANCELED);
        CU_ASSERT_TRUE(ts_now_us() - t < 10000000);
        (void)pthread_join(thread, NULL);
        ts_stop_signal = 0;
        (void)close(fds[0]);
        (void)close(fds[1]);
}

/* ---- files ---- */

static void file_round_trip(void)
{
        static const char data[] = "line\nwith \0 NUL\n";
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        struct stat st;
        mode_t mask;

        dir_make();
        mask = umask(077);
        UNIT_OK(ts_file_write_atomic(in_dir("f"), data, sizeof(data), 0644, &err));
        (void)umask(mask);
        CU_ASSERT_EQUAL(stat(in_dir("f"), &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0644);
        UNIT_OK(ts_file_read(in_dir("f"), sizeof(data), &s, &err));
        CU_ASSERT_EQUAL(s.len, sizeof(data));
        CU_ASSERT_EQUAL(memcmp(s.buf, data, sizeof(data)), 0);
        UNIT_OK(ts_file_write_atomic(in_dir("f"), "new", 3, 0600, &err));
        UNIT_OK(ts_file_read(in_dir("f"), 100, &s, &err)); /* what was there is replaced */
        UNIT_STR(s.buf, "new");
        CU_ASSERT_EQUAL(stat(in_dir("f"), &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
        CU_ASSERT_EQUAL(files_in(dir), 1);
        remove_tree(dir);
}

static void file_read_is_bounded(void)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        dir_make();
        UNIT_OK(ts_file_write_atomic(in_dir("f"), "12345", 5, 0600, &err));
        UNIT_FAILS(ts_file_read(in_dir("f"), 4, &s, &err), TS_ELIMIT);
        CU_ASSERT_PTR_NULL(s.buf);
        UNIT_OK(ts_file_read(in_dir("f"), 5, &s, &err));
        UNIT_FAILS(ts_file_read(in_dir("f"), 0, &s, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_file_read("/dev/zero", 100000, &s, &err), TS_ELIMIT);
        UNIT_STR(s.buf, "12345");
        remove_tree(dir);
}

static void file_read_of_odd_things(void)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        dir_make();
        UNIT_FAILS(ts_file_read(in_dir("none"), 10, &s, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_file_read(in_dir("none/below"), 10, &s, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_file_read(dir, 10, &s, &err), TS_EIO);
        UNIT_OK(ts_file_write_atomic(in_dir("empty"), "", 0, 0600, &err));
        UNIT_OK(ts_file_read(in_dir("empty"), 10, &s, &err));
        CU_ASSERT_PTR_NOT_NULL(s.buf);
        CU_ASSERT_EQUAL(s.len, 0);
        CU_ASSERT_EQUAL_FATAL(mkfifo(in_dir("fifo"), 0600), 0); /* would hang without O_NONBLOCK */
        UNIT_OK(ts_file_read(in_dir("fifo"), 10, &s, &err));
        CU_ASSERT_EQUAL(s.len, 0);
        remove_tree(dir);
}

static void file_write_leaves_nothing_behind(void)
{
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *stale = NULL;
        struct stat st;

        dir_make();
        UNIT_FAILS(ts_file_write_atomic(in_dir("none/f"), "x", 1, 0600, &err), TS_ENOTFOUND);
        CU_ASSERT_EQUAL_FATAL(mkdir(in_dir("d"), 0700), 0);
        UNIT_FAILS(ts_file_write_atomic(in_dir("d"), "x", 1, 0600, &err), TS_EIO); /* a directory cannot be replaced */
        CU_ASSERT_EQUAL(mkfifo(in_dir("fifo"), 0600), 0);
        UNIT_FAILS(ts_file_write_atomic(in_dir("fifo"), "x", 1, 0600, &err), TS_EUSAGE);
        CU_ASSERT_TRUE(lstat(in_dir("fifo"), &st) == 0 && S_ISFIFO(st.st_mode));
        CU_ASSERT_EQUAL(unlink(in_dir("fifo")), 0);
        CU_ASSERT_EQUAL(files_in(dir), 1);
        stale = ts_fmt("%s/f.tmp-%ld", dir, (long)getpid());
        CU_ASSERT_EQUAL_FATAL(symlink("/tmp/tranship-unit-must-not-appear", stale), 0); /* of a dead process, or planted */
        UNIT_OK(ts_file_write_atomic(in_dir("f"), "x", 1, 0600, &err));
        CU_ASSERT_NOT_EQUAL(access("/tmp/tranship-unit-must-not-appear", F_OK), 0);
        CU_ASSERT_EQUAL(files_in(dir), 2);
        remove_tree(dir);
}

static void file_write_reports_a_full_disk(void)
{
        ts_auto_err err = TS_ERR_INIT;
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return;
        CU_ASSERT_EQUAL(ts_write_all(fd, "x", 1, 0, false, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_ENOSPC);
        CU_ASSERT_EQUAL(err.sys_errno, ENOSPC);
        (void)close(fd);
}

static void file_write_relative(void)
{
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *before = getcwd(NULL, 0);

        dir_make();
        CU_ASSERT_EQUAL_FATAL(chdir(dir), 0);
        UNIT_OK(ts_file_write_atomic("plain", "x", 1, 0600, &err));
        UNIT_OK(ts_mkdir_p("a/b", 0700, &err));
        CU_ASSERT_EQUAL(access("a/b", F_OK), 0);
        CU_ASSERT_EQUAL_FATAL(chdir(before), 0);
        remove_tree(dir);
}

static void mkdir_p_makes_parents(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct stat st;

        dir_make();
        UNIT_OK(ts_mkdir_p(in_dir("a/b/c"), 0700, &err));
        UNIT_OK(ts_mkdir_p(in_dir("a/b/c"), 0755, &err));
        UNIT_OK(ts_mkdir_p(in_dir("a//b///d/"), 0700, &err));
        UNIT_OK(ts_mkdir_p("/", 0700, &err));
        CU_ASSERT_EQUAL(stat(in_dir("a/b/d"), &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
        UNIT_OK(ts_file_write_atomic(in_dir("file"), "x", 1, 0600, &err));
        UNIT_FAILS(ts_mkdir_p(in_dir("file"), 0700, &err), TS_EIO);
        UNIT_FAILS(ts_mkdir_p(in_dir("file/below"), 0700, &err), TS_EIO);
        UNIT_FAILS(ts_mkdir_p("", 0700, &err), TS_EUSAGE);
        UNIT_OK(symlink("a", in_dir("link"))); /* a link to a directory is one */
        UNIT_OK(ts_mkdir_p(in_dir("link/e"), 0700, &err));
        CU_ASSERT_EQUAL(stat(in_dir("a/e"), &st), 0);
        remove_tree(dir);
}

/* ---- whose set-up counts ---- */

static void home_is_the_callers(void)
{
        const struct passwd *me = getpwuid(getuid());
        ts_auto_free char *own = NULL, *sudo = NULL, *odd = NULL, *unknown = NULL;

        CU_ASSERT_PTR_NOT_NULL_FATAL(me);
        (void)unsetenv("SUDO_UID");
        own = ts_user_home();
        UNIT_STR(own, me->pw_dir);
        if (geteuid() != 0)
                return;
        (void)setenv("SUDO_UID", "1", 1); /* daemon: /usr/sbin everywhere we know */
        sudo = ts_user_home();
        me = getpwuid(1);
        UNIT_STR(sudo, me ? me->pw_dir : NULL);
        (void)setenv("SUDO_UID", "1; rm", 1);
        odd = ts_user_home();
        CU_ASSERT_PTR_NOT_NULL(odd);
        (void)setenv("SUDO_UID", "4123456789", 1);
        unknown = ts_user_home();
        CU_ASSERT_PTR_NULL(unknown);
        (void)unsetenv("SUDO_UID");
}

static void state_dir_order(void)
{
        ts_auto_free char *named = NULL, *usual = NULL;

        (void)setenv("TRANSHIP_STATE_DIR", "/x/state", 1);
        named = ts_state_dir();
        UNIT_STR(named, "/x/state");
        (void)unsetenv("TRANSHIP_STATE_DIR");
        (void)setenv("XDG_STATE_HOME", "/x/xdg", 1);
        usual = ts_state_dir();
        UNIT_STR(usual, geteuid() == 0 ? "/var/lib/tranship" : "/x/xdg/tranship");
        (void)unsetenv("XDG_STATE_HOME");
}

static CU_TestInfo tests[] = {
        UNIT(pairs_are_cloexec),
        UNIT(read_times_out),
        UNIT(read_works_in_both_modes),
        UNIT(write_times_out_when_blocking),
        UNIT(write_to_nobody_is_a_lost_connection),
        UNIT(write_to_socket_raises_no_signal),
        UNIT(bulk_arrives_whole),
        UNIT(read_exact_tells_an_early_end),
        UNIT(read_to_end_is_bounded),
        UNIT(waiting_on_nonsense_fails),
        UNIT(signals_cancel),
        UNIT(signals_cancel_a_wait_under_way),
        UNIT(file_round_trip),
        UNIT(file_read_is_bounded),
        UNIT(file_read_of_odd_things),
        UNIT(file_write_leaves_nothing_behind),
        UNIT(file_write_reports_a_full_disk),
        UNIT(file_write_relative),
        UNIT(mkdir_p_makes_parents),
        UNIT(home_is_the_callers),
        UNIT(state_dir_order),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("base-io", tests)
