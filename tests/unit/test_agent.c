/* transfer/agent: two agents, one dump after the other; what comes out is what went in, and nothing else gets through. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/agent/delta.h"
#include "transfer/agent/frame.h"
#include "transfer/agent/serve.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#define DEADLINE ts_deadline_in_ms(20000)

static struct ts_err err = TS_ERR_INIT;

struct agent {
        pthread_t thread;
        struct ts_duplex *io, *theirs;
        char dir[64];
};

static void *serve(void *arg)
{
        struct agent *a = arg;
        ts_auto_err failed = TS_ERR_INIT;

        (void)ts_agent_serve(a->theirs, "test", NULL, &failed);
        ts_duplex_close(a->theirs);
        return NULL;
}

static void put(struct ts_duplex *io, const struct ts_frame *f)
{
        UNIT_OK(ts_frame_write(io, f, DEADLINE, false, &err));
}

static void say_hello(struct ts_duplex *io, uint32_t version)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_HELLO);
        UNIT_OK(ts_put_u32(&f, version, &err));
        UNIT_OK(ts_put_text(&f, "test", &err));
        UNIT_OK(ts_put_text(&f, "", &err));
        put(io, &f);
}

static void say_root(struct ts_duplex *io, const char *dir)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_ROOT);
        UNIT_OK(ts_put_text(&f, dir, &err));
        put(io, &f);
}

static void start(struct agent *a)
{
        struct ts_duplex *ends[2];

        UNIT_OK(ts_duplex_new(ends, &err));
        a->io = ends[0];
        a->theirs = ends[1];
        (void)snprintf(a->dir, sizeof(a->dir), "/tmp/tranship-agent-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(a->dir));
        CU_ASSERT_EQUAL_FATAL(pthread_create(&a->thread, NULL, serve, a), 0);
}

static void greet_at(struct agent *a, const char *dir)
{
        ts_auto_frame f = { 0 };

        say_hello(a->io, TS_AGENT_VERSION);
        say_root(a->io, dir);
        CU_ASSERT_EQUAL(ts_frame_read(a->io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(f.type, TS_FRAME_HELLO);
        CU_ASSERT_EQUAL(ts_frame_read(a->io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(f.type, TS_FRAME_READY);
}

static void greet(struct agent *a)
{
        greet_at(a, a->dir);
}

static void for_each_file(const char *dir, void (*fn)(const char *path))
{
        DIR *d = opendir(dir);

        CU_ASSERT_PTR_NOT_NULL_FATAL(d);
        for (const struct dirent *e; (e = readdir(d));) {
                ts_auto_free char *path = ts_fmt("%s/%s", dir, e->d_name);

                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        fn(path);
        }
        (void)closedir(d);
}

static void remove_file(const char *path)
{
        (void)unlink(path);
}

static size_t counted;
static void count_file(const char *path)
{
        (void)path;
        counted++;
}

static size_t files_in(const char *dir)
{
        counted = 0;
        for_each_file(dir, count_file);
        return counted;
}

static void stop(struct agent *a)
{
        ts_duplex_close(a->io);
        (void)pthread_join(a->thread, NULL);
        for_each_file(a->dir, remove_file);
        CU_ASSERT_EQUAL(rmdir(a->dir), 0);
}

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        ts_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CU_ASSERT_FATAL(fd >= 0 && write(fd, data, len) == (ssize_t)len);
}

static void append_file(const char *dir, const char *name, const void *data, size_t len)
{
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        ts_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        CU_ASSERT_FATAL(fd >= 0 && write(fd, data, len) == (ssize_t)len);
}

static void same_file(const char *a, const char *b, const char *name)
{
        ts_auto_free char *pa = ts_fmt("%s/%s", a, name), *pb = ts_fmt("%s/%s", b, name);
        ts_auto_str x = TS_STR_INIT, y = TS_STR_INIT;

        UNIT_OK(ts_file_read(pa, 64 << 20, &x, &err));
        UNIT_OK(ts_file_read(pb, 64 << 20, &y, &err));
        CU_ASSERT_TRUE(x.len == y.len && memcmp(ts_str_cstr(&x), ts_str_cstr(&y), x.len) == 0);
}

static uint64_t seed = 7;
static unsigned char *random_bytes(size_t n)
{
        unsigned char *m = malloc(n);

        if (!m)
                abort();
        for (size_t i = 0; i < n; i++) {
                seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
                m[i] = (unsigned char)(seed >> 56);
        }
        return m;
}

static void watch(struct agent *source)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_WATCH);
        UNIT_OK(ts_put_text(&f, ".", &err));
        put(source->io, &f);
}

/* Passes a round on; spoil: the n-th data frame is damaged. The source's count of pages sent, or -1 with err. */
static int64_t finish(struct agent *source, struct agent *target, enum ts_round_kind kind, int spoil)
{
        ts_auto_frame f = { 0 };
        struct ts_unpack u;
        uint64_t sent;

        ts_frame_begin(&f, TS_FRAME_FINISH);
        UNIT_OK(ts_put_u32(&f, kind, &err));
        put(source->io, &f);
        for (;;) {
                CU_ASSERT_EQUAL_FATAL(ts_frame_read(source->io, &f, DEADLINE, false, &err), 1);
                if (!ts_frame_is_data(f.type))
                        break;
                if (spoil-- == 0)
                        f.body.buf[f.body.len / 2] ^= 1;
                if (ts_frame_write(target->io, &f, DEADLINE, false, NULL) < 0)
                        break; /* it has ended: its error is there to be read */
        }
        if (f.type == TS_FRAME_ERROR)
                return ts_frame_error(&f, "source", &err);
        if (f.type == TS_FRAME_READY) {
                u = ts_unpack(&f);
                for (int i = 0; i < 4; i++)
                        (void)ts_get_u64(&u);
                sent = ts_get_u64(&u);
        } else {
                sent = 0;
        }
        CU_ASSERT_EQUAL_FATAL(ts_frame_read(target->io, &f, DEADLINE, false, &err), 1);
        return f.type == TS_FRAME_READY ? (int64_t)sent : ts_frame_error(&f, "target", &err);
}

static void a_dump(void)
{
        struct agent source, target;
        ts_auto_free unsigned char *m = random_bytes(3000000);

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        write_file(source.dir, "pages-1.img", m, 1 << 20);
        write_file(source.dir, "pages-2.img", m + 1000, 4096 * 7);
        write_file(source.dir, "inventory.img", "inventory", 9);
        write_file(source.dir, "core-1.img", m, 700000);
        write_file(source.dir, "empty", "", 0);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_FINAL, -1), 256 + 7);
        CU_ASSERT_EQUAL(files_in(target.dir), 5);
        same_file(source.dir, target.dir, "pages-1.img");
        same_file(source.dir, target.dir, "pages-2.img");
        same_file(source.dir, target.dir, "core-1.img");
        same_file(source.dir, target.dir, "inventory.img");
        same_file(source.dir, target.dir, "empty");
        stop(&source);
        stop(&target);
}

/* Each dump in a directory of its own, which may come late. */
static void dumps_in_directories(void)
{
        struct agent source, target;
        ts_auto_free unsigned char *m = random_bytes(1 << 20);
        ts_auto_free char *first = NULL, *second = NULL;
        ts_auto_frame f = { 0 };

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        first = ts_fmt("%s/first", source.dir);
        second = ts_fmt("%s/second", source.dir);
        ts_frame_begin(&f, TS_FRAME_WATCH);
        UNIT_OK(ts_put_text(&f, "first", &err));
        put(source.io, &f);
        CU_ASSERT_EQUAL(mkdir(first, 0700), 0);
        write_file(first, "pages-1.img", m, 1 << 20);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_PAGES, -1), 256);
        for_each_file(first, remove_file);
        CU_ASSERT_EQUAL(rmdir(first), 0);
        ts_frame_begin(&f, TS_FRAME_WATCH);
        UNIT_OK(ts_put_text(&f, "second", &err));
        put(source.io, &f);
        CU_ASSERT_EQUAL(mkdir(second, 0700), 0);
        m[4096]++;
        write_file(second, "pages-1.img", m, 1 << 20);
        write_file(second, "inventory.img", "inventory", 9);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_FINAL, -1), 1);
        same_file(second, target.dir, "pages-1.img");
        same_file(second, target.dir, "inventory.img");
        for_each_file(second, remove_file);
        CU_ASSERT_EQUAL(rmdir(second), 0);
        stop(&source);
        stop(&target);
}

static void no_dump_there(void)
{
        struct agent source, target;
        ts_auto_frame f = { 0 };

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        ts_frame_begin(&f, TS_FRAME_WATCH);
        UNIT_OK(ts_put_text(&f, "absent", &err));
        put(source.io, &f);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_PAGES, -1), 0); /* a dump that failed at once */
        put(source.io, &f);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_FINAL, -1), -1);
        ts_err_clear(&err);
        stop(&source);
        stop(&target);
}

static void rehearsals_first(void)
{
        struct agent source, target;
        ts_auto_free unsigned char *m = random_bytes(4 << 20);

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        write_file(source.dir, "pages-1.img", m, 1 << 20);
        write_file(source.dir, "pages-2.img", m + (1 << 20), 1 << 20);
        write_file(source.dir, "inventory.img", "old", 3);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_PAGES, -1), 512);
        CU_ASSERT_EQUAL(files_in(target.dir), 2); /* no inventory: nothing to restore from */
        for_each_file(source.dir, remove_file);   /* a rehearsal's images go */

        m[5]++;
        write_file(source.dir, "pages-1.img", m, 1 << 20);
        write_file(source.dir, "inventory.img", "old", 3);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_PAGES, -1), 1);
        for_each_file(source.dir, remove_file);

        m[99999]++;
        write_file(source.dir, "pages-1.img", m, (1 << 20) + 4096);
        write_file(source.dir, "pages-3.img", m + 4096, 8192);
        write_file(source.dir, "inventory.img", "new", 3);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_FINAL, -1), 2);
        CU_ASSERT_EQUAL(files_in(target.dir), 3);
        same_file(source.dir, target.dir, "pages-1.img");
        same_file(source.dir, target.dir, "pages-3.img");
        same_file(source.dir, target.dir, "inventory.img");
        stop(&source);
        stop(&target);
}

/* Pages travel while the dump is being written. */
static void while_it_grows(void)
{
        struct agent source, target;
        ts_auto_free unsigned char *m = random_bytes(8 << 20);
        ts_auto_frame f = { 0 };

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        watch(&source);
        append_file(source.dir, "pages-1.img", m, 3000001);
        CU_ASSERT_EQUAL(ts_frame_read(source.io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(f.type, TS_FRAME_PAGES);
        put(target.io, &f);
        CU_ASSERT_EQUAL(ts_frame_read(source.io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(f.type, TS_FRAME_STEPS);
        put(target.io, &f);
        append_file(source.dir, "pages-1.img", m + 3000001, 1194303); /* 4 MiB in all */
        append_file(source.dir, "pages-2.img", m + (4 << 20), 1 << 20);
        write_file(source.dir, "inventory.img", "new", 3);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_FINAL, -1), 1024 + 256);
        same_file(source.dir, target.dir, "pages-1.img");
        same_file(source.dir, target.dir, "pages-2.img");
        stop(&source);
        stop(&target);
}

/* Passes frames on up to one of that type. */
static void pass_on(struct agent *source, struct agent *target, enum ts_frame_type last)
{
        ts_auto_frame f = { 0 };

        do {
                CU_ASSERT_EQUAL_FATAL(ts_frame_read(source->io, &f, DEADLINE, false, &err), 1);
                put(target->io, &f);
        } while (f.type != last);
}

/* containerd unpacks a dump in the order of names, pages-10.img before pages-2.img: the file with the highest number need not be the one that grows. */
static void grown_after_its_turn(void)
{
        struct agent source, target;
        ts_auto_free unsigned char *m = random_bytes(8 << 20);

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        append_file(source.dir, "pages-2.img", m, 4 << 20);
        append_file(source.dir, "pages-10.img", m + (4 << 20), 2 << 20);
        watch(&source);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_PAGES, -1), 1536);
        for_each_file(source.dir, remove_file);
        watch(&source);
        append_file(source.dir, "pages-2.img", m + 4096, 1000001);
        append_file(source.dir, "pages-10.img", m + (5 << 20), 8191);
        pass_on(&source, &target, TS_FRAME_SIZE);
        append_file(source.dir, "pages-2.img", m + 4096 + 1000001, 48575); /* 1 MiB */
        memset(m + (6 << 20), 0, 1 << 20);
        append_file(source.dir, "pages-2.img", m + (6 << 20), 1 << 20);
        append_file(source.dir, "pages-2.img", m + (2 << 20), (2 << 20) + 77); /* what was there already, and an odd end */
        append_file(source.dir, "pages-10.img", m + (5 << 20) + 8191, 100000);
        write_file(source.dir, "inventory.img", "new", 3);
        CU_ASSERT(finish(&source, &target, TS_ROUND_FINAL, -1) >= 0);
        same_file(source.dir, target.dir, "pages-2.img");
        same_file(source.dir, target.dir, "pages-10.img");
        stop(&source);
        stop(&target);
}

/* Whatever is damaged on the way or on the target's disk: no dump appears there. */
static void damage_is_found(void)
{
        ts_auto_free unsigned char *m = random_bytes(1 << 20);

        for (int i = 0; i < 12; i++) {
                struct agent source, target;
                int64_t rc;

                start(&source);
                start(&target);
                greet(&source);
                greet(&target);
                write_file(source.dir, "pages-1.img", m, 1 << 20);
                write_file(source.dir, "inventory.img", "inventory", 9);
                rc = finish(&source, &target, TS_ROUND_FINAL, i);
                if (i < 9)
                        CU_ASSERT_EQUAL(rc, -1);
                if (rc < 0) {
                        CU_ASSERT_TRUE(err.code != TS_OK);
                        ts_duplex_close(TS_TAKE(target.io));
                        (void)pthread_join(target.thread, NULL);
                        CU_ASSERT_EQUAL(files_in(target.dir), 0);
                        CU_ASSERT_EQUAL(rmdir(target.dir), 0);
                        ts_err_clear(&err);
                        stop(&source);
                        continue;
                }
                stop(&source);
                stop(&target);
        }
}

static void damaged_base_is_found(void)
{
        struct agent source, target;
        ts_auto_free unsigned char *m = random_bytes(1 << 20);
        ts_auto_free char *part = NULL;
        ts_auto_fd int fd = -1;

        start(&source);
        start(&target);
        greet(&source);
        greet(&target);
        write_file(source.dir, "pages-1.img", m, 1 << 20);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_PAGES, -1), 256);
        part = ts_fmt("%s/pages-1.img.part", target.dir);
        fd = open(part, O_WRONLY | O_CLOEXEC);
        CU_ASSERT_EQUAL(pwrite(fd, "damage", 6, 12345), 6);
        write_file(source.dir, "inventory.img", "inventory", 9);
        CU_ASSERT_EQUAL(finish(&source, &target, TS_ROUND_FINAL, -1), -1);
        CU_ASSERT_EQUAL(err.code, TS_EPROTO);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "its sum differs"));
        ts_err_clear(&err);
        stop(&source);
        stop(&target);
}

/* ---- a dump that goes on from an earlier one ---- */

static char *in(const char *dir, const char *name)
{
        return ts_fmt("%s/%s", dir, name);
}

/* Of a dump in a directory of that name. */
static void watch_named(const struct agent *source, const char *name)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_WATCH);
        UNIT_OK(ts_put_text(&f, name, &err));
        put(source->io, &f);
}

struct pair {
        struct agent source, target;
        char *pre, *last;        /* the two dumps, on the source … */
        char *pre_there, *there; /* … and on the target */
};

/* $TARGET/dump is the target's directory, $TARGET/pre the one of earlier dumps. */
static void start_pair(struct pair *p)
{
        ts_auto_frame f = { 0 };

        start(&p->source);
        start(&p->target);
        *p = (struct pair){ .source = p->source,
                            .target = p->target,
                            .pre = in(p->source.dir, "pre"),
                            .last = in(p->source.dir, "last"),
                            .pre_there = in(p->target.dir, "pre"),
                            .there = in(p->target.dir, "dump") };
        CU_ASSERT_EQUAL(mkdir(p->pre, 0700) | mkdir(p->last, 0700) | mkdir(p->pre_there, 0700) | mkdir(p->there, 0700), 0);
        greet(&p->source);
        greet_at(&p->target, p->there);
        ts_frame_begin(&f, TS_FRAME_BASE);
        UNIT_OK(ts_put_text(&f, "pre", &err));
        put(p->target.io, &f);
        CU_ASSERT_EQUAL_FATAL(ts_frame_read(p->target.io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(f.type, TS_FRAME_READY);
}

static void stop_pair(struct pair *p)
{
        char *const dirs[] = { p->pre, p->last, p->pre_there, p->there };

        for (size_t i = 0; i < 4; i++) {
                for_each_file(dirs[i], remove_file);
                CU_ASSERT_EQUAL(rmdir(dirs[i]), 0);
                free(dirs[i]);
        }
        stop(&p->source);
        stop(&p->target);
}

static void write_earlier(const struct pair *p, const unsigned char *m)
{
        write_file(p->pre, "pages-1.img", m, 1 << 20);
        write_file(p->pre, "pages-2.img", m + (1 << 20), 8192);
        write_file(p->pre, "pagemap-1.img", m, 30);
        write_file(p->pre, "inventory.img", "earlier", 7);
}

static void start_with_earlier(struct pair *p, const unsigned char *m)
{
        start_pair(p);
        watch_named(&p->source, "pre");
        write_earlier(p, m);
        CU_ASSERT_EQUAL(finish(&p->source, &p->target, TS_ROUND_EARLIER, -1), 256 + 2);
}

static void check_earlier(const struct pair *p)
{
        same_file(p->pre, p->pre_there, "pages-1.img");
        same_file(p->pre, p->pre_there, "pages-2.img");
        same_file(p->pre, p->pre_there, "pagemap-1.img");
        same_file(p->pre, p->pre_there, "inventory.img");
        CU_ASSERT_EQUAL(files_in(p->there), 0);
}

/* Dirty pages only, one of which is what it was, at another place. */
static void write_last(const struct pair *p, const unsigned char *m, const char *parent)
{
        ts_auto_free char *link = in(p->last, "parent");

        write_file(p->last, "pages-1.img", m + (size_t)4096 * 77, 4096);
        append_file(p->last, "pages-1.img", m + (2 << 20), 8192);
        write_file(p->last, "inventory.img", "inventory", 9);
        if (parent)
                CU_ASSERT_EQUAL(symlink(parent, link), 0);
}

static void goes_on_from_an_earlier_one(void)
{
        struct pair p = { 0 };
        ts_auto_free unsigned char *m = random_bytes(3 << 20);
        ts_auto_free char *link = NULL;
        char text[100] = "";

        start_pair(&p);
        watch_named(&p.source, "pre");
        write_earlier(&p, m);
        write_file(p.pre, "pages-3.img", m, 4096);
        write_file(p.pre, "pagemap-3.img", m, 30);
        CU_ASSERT_EQUAL(finish(&p.source, &p.target, TS_ROUND_EARLIER, -1), 256 + 2);
        check_earlier(&p);
        CU_ASSERT_EQUAL(files_in(p.pre_there), 6);
        for_each_file(p.pre, remove_file); /* another one takes its place, without the third process */
        watch_named(&p.source, "pre");
        m[5000]++;
        write_earlier(&p, m);
        CU_ASSERT_EQUAL(finish(&p.source, &p.target, TS_ROUND_EARLIER, -1), 1);
        check_earlier(&p);
        CU_ASSERT_EQUAL(files_in(p.pre_there), 5); /* pages that no pagemap names */
        watch_named(&p.source, "last");
        write_last(&p, m, "../pre");
        CU_ASSERT_EQUAL(finish(&p.source, &p.target, TS_ROUND_FINAL, -1), 2);
        same_file(p.last, p.there, "pages-1.img");
        same_file(p.last, p.there, "inventory.img");
        same_file(p.pre, p.pre_there, "pages-1.img");
        CU_ASSERT_EQUAL(files_in(p.there), 3);
        link = in(p.there, "parent");
        CU_ASSERT_EQUAL(readlink(link, text, sizeof(text) - 1), 6);
        CU_ASSERT_STRING_EQUAL(text, "../pre");
        stop_pair(&p);
}

/* A dump of so many bytes of m, in a fresh directory; the pages that were sent. */
static int64_t last_round(const struct pair *p, const unsigned char *m, size_t len, enum ts_round_kind kind)
{
        struct agent source = p->source, target = p->target;

        for_each_file(p->last, remove_file);
        watch_named(&source, "last");
        write_file(p->last, "pages-1.img", m, len);
        write_file(p->last, "inventory.img", "inventory", 9);
        return finish(&source, &target, kind, -1);
}

static void check_last(const struct pair *p)
{
        same_file(p->last, p->there, "pages-1.img");
        CU_ASSERT_EQUAL(files_in(p->there), 2);
}

/* It was refused; the next one is complete in itself, and still finds its pages there. */
static void goes_on_from_none_after_all(void)
{
        struct pair p = { 0 };
        ts_auto_free unsigned char *m = random_bytes(3 << 20);

        start_with_earlier(&p, m);
        CU_ASSERT_EQUAL(last_round(&p, m + (2 << 20), 8192, TS_ROUND_PAGES), 2);
        CU_ASSERT_EQUAL(last_round(&p, m, (2 << 20) + 8192, TS_ROUND_FINAL), 256 - 2);
        check_last(&p);
        stop_pair(&p);
}

/* The engine makes no other pre-dump: rehearsals, with what came of it as a base. */
static void rehearsals_after_all(void)
{
        struct pair p = { 0 };
        ts_auto_free unsigned char *m = random_bytes(3 << 20);

        start_with_earlier(&p, m);
        for_each_file(p.pre, remove_file);
        watch_named(&p.source, "pre"); /* refused */
        CU_ASSERT_EQUAL(finish(&p.source, &p.target, TS_ROUND_PAGES, -1), 0);
        CU_ASSERT_EQUAL(last_round(&p, m, 2 << 20, TS_ROUND_PAGES), 512);
        CU_ASSERT_EQUAL(last_round(&p, m, 1 << 20, TS_ROUND_FINAL), 0);
        check_last(&p);
        stop_pair(&p);
}

/* Somebody writes another one in the same files: what comes is complete in itself, and compared with nothing of that. */
static void written_over(void)
{
        struct pair p = { 0 };
        ts_auto_free unsigned char *m = random_bytes(3 << 20);

        start_with_earlier(&p, m);
        write_file(p.pre, "pages-1.img", m + 4096, 1 << 20);
        write_file(p.pre, "pages-2.img", m + 4096, 8192);
        CU_ASSERT_EQUAL(last_round(&p, m + 4096, 1 << 20, TS_ROUND_FINAL), 256);
        check_last(&p);
        stop_pair(&p);
}

enum harm { DAMAGED, SHORTER, MADE_AGAIN, ELSEWHERE, TOO_LATE, UNKNOWN, HARMS };
static void do_harm(enum harm how, const struct pair *p, const unsigned char *m)
{
        ts_auto_free char *there = in(p->pre_there, "pages-2.img"), *here = in(p->pre, "pages-1.img");

        if (how == DAMAGED)
                write_file(p->pre_there, "pages-2.img", m, 8192);
        if (how == SHORTER)
                CU_ASSERT_EQUAL(truncate(there, 4096), 0);
        if (how == MADE_AGAIN) {
                remove_file(here);
                write_file(p->pre, "pages-1.img", m, 1 << 20);
        }
}

static void another_earlier_one_is_found(void)
{
        ts_auto_free unsigned char *m = random_bytes(3 << 20);

        for (enum harm how = DAMAGED; how < HARMS; how++) {
                struct pair p = { 0 };

                start_pair(&p);
                watch_named(&p.source, "pre");
                write_earlier(&p, m);
                CU_ASSERT_EQUAL(finish(&p.source, &p.target, how == UNKNOWN ? TS_ROUND_PAGES : TS_ROUND_EARLIER, -1), 256 + 2);
                do_harm(how, &p, m);
                if (how == TOO_LATE) { /* a dump was refused since */
                        watch_named(&p.source, "last");
                        CU_ASSERT_EQUAL(finish(&p.source, &p.target, TS_ROUND_PAGES, -1), 0);
                }
                watch_named(&p.source, "last");
                write_last(&p, m, how == ELSEWHERE ? "../elsewhere" : "../pre");
                CU_ASSERT_EQUAL(finish(&p.source, &p.target, TS_ROUND_FINAL, -1), -1);
                CU_ASSERT_TRUE(err.code != TS_OK);
                ts_err_clear(&err);
                stop_pair(&p);
        }
}

/* One frame to a fresh agent: it says what is wrong, and ends. */
static void answer_to(const struct ts_frame *f, bool root, enum ts_code code)
{
        struct agent a;
        ts_auto_frame answer = { 0 };

        start(&a);
        say_hello(a.io, TS_AGENT_VERSION);
        CU_ASSERT_EQUAL(ts_frame_read(a.io, &answer, DEADLINE, false, &err), 1);
        if (root) {
                say_root(a.io, a.dir);
                CU_ASSERT_EQUAL(ts_frame_read(a.io, &answer, DEADLINE, false, &err), 1);
                CU_ASSERT_EQUAL(answer.type, TS_FRAME_READY);
        }
        put(a.io, f);
        if (ts_frame_read(a.io, &answer, DEADLINE, false, &err) != 1)
                (void)printf("\n    no answer to a message of type %u: %s\n", f->type, ts_err_message(&err));
        CU_ASSERT_EQUAL(ts_frame_error(&answer, "target", &err), -1);
        CU_ASSERT_EQUAL(err.code, code);
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(ts_frame_read(a.io, &answer, DEADLINE, false, NULL), 0);
        stop(&a);
}

static void hostile_frames(void)
{
        static const char *const names[] = { "../x", "/etc/passwd", ".part", "a/b", "", "a\nb", "-rf", "..", "a.part" };
        ts_auto_frame f = { 0 };

        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++) {
                ts_frame_begin(&f, TS_FRAME_FILE);
                UNIT_OK(ts_put_u32(&f, 0600, &err));
                UNIT_OK(ts_put_u64(&f, 1, &err));
                UNIT_OK(ts_put_text(&f, names[i], &err));
                answer_to(&f, true, TS_EPROTO);
                ts_frame_begin(&f, TS_FRAME_PAGES);
                UNIT_OK(ts_put_u32(&f, 0, &err));
                UNIT_OK(ts_put_text(&f, names[i], &err));
                answer_to(&f, true, TS_EPROTO);
                if (!strcmp(names[i], "a.part"))
                        continue; /* a source may be called so */
                ts_frame_begin(&f, TS_FRAME_WATCH);
                UNIT_OK(ts_put_text(&f, names[i], &err));
                answer_to(&f, true, TS_EPROTO);
                ts_frame_begin(&f, TS_FRAME_ONLY);
                UNIT_OK(ts_put_text(&f, "a", &err));
                UNIT_OK(ts_put_text(&f, names[i], &err));
                answer_to(&f, true, TS_EPROTO);
        }
        for (uint32_t type = 0; type < 40; type++) {
                ts_frame_begin(&f, (enum ts_frame_type)type);
                answer_to(&f, true, TS_EPROTO);
                answer_to(&f, false, TS_EPROTO);
        }
        ts_frame_begin(&f, TS_FRAME_ROOT);
        UNIT_OK(ts_put_text(&f, "relative", &err));
        answer_to(&f, false, TS_EPROTO);
        ts_frame_begin(&f, TS_FRAME_ROOT);
        UNIT_OK(ts_put_text(&f, "/tmp/../etc", &err));
        answer_to(&f, false, TS_EPROTO);
        ts_frame_begin(&f, TS_FRAME_ROUND); /* an empty round is one */
        UNIT_OK(ts_put_u32(&f, 2, &err));
        UNIT_OK(ts_put_u32(&f, 0, &err));
        answer_to(&f, true, TS_EPROTO);
}

static void wrong_beginnings(void)
{
        struct agent a;
        ts_auto_frame f = { 0 };
        unsigned char huge[8] = { 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0 };

        start(&a);
        say_hello(a.io, TS_AGENT_VERSION + 1);
        CU_ASSERT_EQUAL(ts_frame_read(a.io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(ts_frame_read(a.io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(f.type, TS_FRAME_ERROR);
        stop(&a);
        start(&a);
        CU_ASSERT_EQUAL(ts_frame_read(a.io, &f, DEADLINE, false, &err), 1);
        UNIT_OK(ts_duplex_write(a.io, NULL, 0, huge, sizeof(huge), DEADLINE, false, &err));
        CU_ASSERT_EQUAL(ts_frame_read(a.io, &f, DEADLINE, false, &err), 1);
        CU_ASSERT_EQUAL(ts_frame_error(&f, "target", &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_ELIMIT);
        ts_err_clear(&err);
        stop(&a);
}

static CU_TestInfo tests[] = {
        UNIT(a_dump),
        UNIT(dumps_in_directories),
        UNIT(no_dump_there),
        UNIT(rehearsals_first),
        UNIT(while_it_grows),
        UNIT(grown_after_its_turn),
        UNIT(damage_is_found),
        UNIT(damaged_base_is_found),
        UNIT(goes_on_from_an_earlier_one),
        UNIT(goes_on_from_none_after_all),
        UNIT(rehearsals_after_all),
        UNIT(written_over),
        UNIT(another_earlier_one_is_found),
        UNIT(hostile_frames),
        UNIT(wrong_beginnings),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("agent", tests)
