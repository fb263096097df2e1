/* The lock of a container: one of many gets it, it says who, only its owner lets it go, and a stale one is known for certain. On this machine, in a directory of its own. */
#include "tests/unit/unit.h"
#include "tests/unit/remove_tree.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/lock.h"
#include "engine/self.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONTAINER "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define MINE "20261120-161502-3fa9c1"
#define OTHER "20261120-161503-aaaaaa"

struct place {
        char *dir, *path;
        struct ts_host *host;
};

static struct place place_new(void)
{
        struct place p = { .dir = ts_strdup0("/tmp/test-lock-XXXXXX") };
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p.dir));
        p.path = ts_fmt("%s/a b/'locks'/" CONTAINER, p.dir); /* directories that are not there yet, and need quoting */
        UNIT_OK(ts_host_local(&p.host, &err));
        return p;
}

static void place_clear(struct place *p)
{
        CU_ASSERT_EQUAL(remove_tree(p->dir), 0);
        ts_host_free(p->host);
        free(p->dir);
        free(p->path);
}
#define AUTO_PLACE __attribute__((cleanup(place_clear))) struct place

static char boot_id[64];

static struct ts_journal_head head_of(const char *id)
{
        ts_self_boot_id(boot_id, sizeof(boot_id));
        return (struct ts_journal_head){ .id = (char *)(uintptr_t)id,
                                         .host = (char *)(uintptr_t) "laptop",
                                         .boot_id = boot_id,
                                         .pid = getpid(),
                                         .pid_start = ts_self_start_time(),
                                         .source = (char *)(uintptr_t) "a",
                                         .target = (char *)(uintptr_t) "b",
                                         .container_id = (char *)(uintptr_t)CONTAINER,
                                         .container_name = (char *)(uintptr_t) "web",
                                         .container_started_at = (char *)(uintptr_t) "2026-11-01T00:00:00Z",
                                         .container_pid = 99 };
}

/* Files in the lock's directory. */
static unsigned files(const struct place *p)
{
        ts_auto_free char *dir = ts_fmt("%s/a b/'locks'", p->dir);
        DIR *d = opendir(dir);
        unsigned n = 0;

        CU_ASSERT_PTR_NOT_NULL_FATAL(d);
        for (const struct dirent *e = readdir(d); e; e = readdir(d))
                n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
        (void)closedir(d);
        return n;
}

static void paths(void)
{
        ts_auto_free char *path = ts_lock_path(CONTAINER);

        UNIT_STR(path, TS_LOCK_DIR "/" CONTAINER);
        CU_ASSERT_PTR_NULL(ts_lock_path("../x"));
        CU_ASSERT_PTR_NULL(ts_lock_path(""));
        CU_ASSERT_PTR_NULL(ts_lock_path(NULL));
}

static void take_read_release(void)
{
        AUTO_PLACE p = place_new();
        struct ts_journal_head head = head_of(MINE);
        struct ts_lock_info i = { 0 };
        ts_auto_free char *content = NULL, *parent = ts_fmt("%s/a b/'locks'", p.dir);
        ts_auto_err err = TS_ERR_INIT;
        struct stat st;

        UNIT_FAILS(ts_lock_read(p.host, p.path, &i, NULL, &err), TS_ENOTFOUND);
        UNIT_FAILS(ts_lock_check(p.host, p.path, MINE, "one", &err), TS_ENOTFOUND);
        UNIT_OK(ts_lock_release(p.host, p.path, MINE, "one", &err)); /* nobody has it: fine */
        UNIT_OK(ts_lock_take(p.host, p.path, &head, "one", &err));
        UNIT_OK(ts_lock_take(p.host, p.path, &head, "one",
                             &err)); /* ours already: recover does that */
        UNIT_OK(ts_lock_check(p.host, p.path, MINE, "one", &err));
        UNIT_FAILS(ts_lock_check(p.host, p.path, MINE, "two", &err),
                   TS_ECONFLICT); /* the same migration, but another process */
        UNIT_OK(ts_lock_release(p.host, p.path, MINE, "two", &err));
        UNIT_OK(ts_lock_check(p.host, p.path, MINE, "one", &err));
        UNIT_OK(ts_lock_take(p.host, p.path, &head, "two", &err)); /* recover takes it over … */
        UNIT_FAILS(ts_lock_check(p.host, p.path, MINE, "one", &err),
                   TS_ECONFLICT); /* … and the first one sees that */
        UNIT_OK(ts_lock_release(p.host, p.path, MINE, "one", &err));
        UNIT_OK(ts_lock_check(p.host, p.path, MINE, "two", &err));
        UNIT_OK(ts_lock_take(p.host, p.path, &head, "one", &err));
        UNIT_OK(ts_lock_read(p.host, p.path, &i, &content, &err));
        UNIT_STR(i.migration, MINE);
        UNIT_STR(i.host, "laptop");
        UNIT_STR(i.container_id, CONTAINER);
        UNIT_STR(i.container_started_at, "2026-11-01T00:00:00Z");
        CU_ASSERT_EQUAL(i.pid, getpid());
        CU_ASSERT_EQUAL(i.container_pid, 99);
        CU_ASSERT(strlen(i.taken_at) > 10 && strchr(content, '\n') == content + strlen(content) - 1);
        CU_ASSERT_EQUAL(stat(parent, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
        CU_ASSERT_EQUAL(files(&p), 1);
        ts_auto_free char *unfinished = ts_fmt("%s.new-" MINE "-abc", p.path);
        UNIT_OK(ts_file_write_atomic(unfinished, "{}\n", 3, 0600, &err)); /* of one that was killed */
        CU_ASSERT_EQUAL(files(&p), 2);
        UNIT_OK(ts_lock_release(p.host, p.path, MINE, "three", &err));
        CU_ASSERT_EQUAL(files(&p), 1);
        UNIT_OK(ts_lock_release(p.host, p.path, OTHER, "one", &err)); /* not theirs */
        CU_ASSERT_EQUAL(files(&p), 1);
        UNIT_OK(ts_lock_release(p.host, p.path, MINE, "one", &err));
        CU_ASSERT_EQUAL(files(&p), 0);
        ts_lock_info_clear(&i);
        ts_lock_info_clear(NULL);
}

static void conflict_says_who(void)
{
        AUTO_PLACE p = place_new();
        struct ts_journal_head mine = head_of(MINE), other = head_of(OTHER);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_lock_take(p.host, p.path, &other, "one", &err));
        CU_ASSERT_EQUAL(ts_lock_take(p.host, p.path, &mine, "one", &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_ECONFLICT);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), OTHER));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "laptop"));
        CU_ASSERT_PTR_NOT_NULL_FATAL(err.hint);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "tranship status " OTHER));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.hint, "tranship recover " OTHER));
        ts_err_clear(&err);
        UNIT_FAILS(ts_lock_check(p.host, p.path, MINE, "one", &err), TS_ECONFLICT);
        CU_ASSERT_EQUAL(files(&p), 1); /* what we wrote meanwhile is gone again */
}

static void write_raw(const struct place *p, const char *text)
{
        ts_auto_free char *dir = ts_fmt("%s/a b/'locks'", p->dir);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_mkdir_p(dir, 0700, &err));
        UNIT_OK(ts_file_write_atomic(p->path, text, strlen(text), 0600, &err));
}

static void not_a_lock(void)
{
        static const char *const texts[] = { "",
                                             "\n",
                                             "{}",
                                             "[1]",
                                             "rubbish",
                                             "{\"schema\":\"tranship.lock/1\"}",
                                             "{\"schema\":\"tranship.lock/1\",\"migration\":\"../../x\"}",
                                             "{\"schema\":\"tranship.lock/9\",\"migration\":\"a\"}" };
        struct ts_journal_head head = head_of(MINE);

        for (size_t i = 0; i < TS_ARRAY_LEN(texts); i++) {
                AUTO_PLACE p = place_new();
                struct ts_lock_info info = { 0 };
                ts_auto_err err = TS_ERR_INIT;

                write_raw(&p, texts[i]);
                UNIT_FAILS(ts_lock_read(p.host, p.path, &info, NULL, &err), TS_EPROTO);
                UNIT_FAILS(ts_lock_take(p.host, p.path, &head, "one", &err), TS_EPROTO);
                UNIT_OK(ts_lock_release(p.host, p.path, MINE, "one",
                                        &err)); /* and it is left alone */
                CU_ASSERT_EQUAL(files(&p), 1);
        }
}

static void strange_values_are_harmless(void)
{
        AUTO_PLACE p = place_new();
        struct ts_lock_info i = { 0 };
        ts_auto_err err = TS_ERR_INIT;

        write_raw(&p, "{\"schema\":\"tranship.lock/1\",\"migration\":\"m\",\"host\":\"a\\u001b[31m\\nb\",\"pid\":\"x\",\"pid_start\":-5}");
        UNIT_OK(ts_lock_read(p.host, p.path, &i, NULL, &err));
        CU_ASSERT_PTR_NULL(strpbrk(i.host, "\x1b\n"));
        CU_ASSERT_EQUAL(i.pid, 0);
        UNIT_STR(i.container_id, "");
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir));
        ts_lock_info_clear(&i);
}

static void cannot_be_made(void)
{
        AUTO_PLACE p = place_new();
        struct ts_journal_head head = head_of(MINE);
        ts_auto_free char *file = ts_fmt("%s/file", p.dir), *below = ts_fmt("%s/below", file);
        ts_auto_err err = TS_ERR_INIT;
        FILE *f = fopen(file, "w");

        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        (void)fclose(f);
        UNIT_FAILS(ts_lock_take(p.host, below, &head, "one", &err), TS_ECOMMAND);
        UNIT_FAILS(ts_lock_take(p.host, "/x", &head, "one", &err), TS_EINTERNAL);
}

/* ---- breaking ---- */

static void breaking(void)
{
        AUTO_PLACE p = place_new();
        struct ts_journal_head other = head_of(OTHER), mine = head_of(MINE);
        struct ts_lock_info i = { 0 };
        ts_auto_free char *content = NULL;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_FAILS(ts_lock_break(p.host, p.path, "x", &err), TS_ENOTFOUND);
        UNIT_OK(ts_lock_take(p.host, p.path, &other, "one", &err));
        UNIT_OK(ts_lock_read(p.host, p.path, &i, &content, &err));
        UNIT_FAILS(ts_lock_break(p.host, p.path, "something else", &err), TS_ECONFLICT);
        UNIT_OK(ts_lock_check(p.host, p.path, OTHER, "one", &err));
        UNIT_OK(ts_lock_break(p.host, p.path, content, &err));
        CU_ASSERT_EQUAL(files(&p), 0);
        UNIT_OK(ts_lock_take(p.host, p.path, &mine, "one", &err));
        UNIT_FAILS(ts_lock_break(p.host, p.path, content, &err),
                   TS_ECONFLICT); /* a second one that saw the same stale lock comes too late */
        UNIT_OK(ts_lock_check(p.host, p.path, MINE, "one", &err));
        CU_ASSERT_EQUAL(files(&p), 1);
        ts_lock_info_clear(&i);
}

/* A process that has ended, and its PID and start time. */
static void dead_process(struct ts_lock_info *i, struct ts_journal_head *head)
{
        pid_t pid = fork();

        (void)i;
        if (pid == 0)
                _exit(0);
        head->pid = pid;
        head->pid_start = ts_self_start_time(); /* in any case not that of whoever gets the number next */
        (void)waitpid(pid, NULL, 0);
}

static void take_and_read(const struct place *p, const struct ts_journal_head *head, struct ts_lock_info *ret)
{
        ts_auto_err err = TS_ERR_INIT;

        ts_lock_info_clear(ret);
        UNIT_OK(ts_lock_take(p->host, p->path, head, "one", &err));
        UNIT_OK(ts_lock_read(p->host, p->path, ret, NULL, &err));
        UNIT_OK(ts_lock_release(p->host, p->path, head->id, "one", &err));
}

static void replace(char **s, const char *with)
{
        free(*s);
        *s = ts_strdup0(with);
}

static void stale(void)
{
        AUTO_PLACE p = place_new();
        struct ts_journal_head head = head_of(MINE);
        struct ts_lock_info i = { 0 };
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal *j = NULL;

        take_and_read(&p, &head, &i);
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir)); /* we live */
        head.pid_start += 1;
        take_and_read(&p, &head, &i);
        CU_ASSERT_TRUE(ts_lock_stale(&i, p.dir)); /* the number is another process's now */
        dead_process(&i, &head);
        take_and_read(&p, &head, &i);
        CU_ASSERT_TRUE(ts_lock_stale(&i, p.dir));

        UNIT_OK(ts_journal_create(p.dir, &head, &j, &err));
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir)); /* its journal is not final: recover first */
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_ROLLED_BACK, NULL, &err));
        CU_ASSERT_TRUE(ts_lock_stale(&i, p.dir));
        ts_journal_free(j);

        replace(&i.pid_ns, "pid:[1]"); /* a container: its PIDs say nothing here */
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir));
        replace(&i.boot_id, "00000000-0000-4000-8000-000000000000");
        if (*i.machine)
                CU_ASSERT_TRUE(ts_lock_stale(&i, p.dir)); /* booted since */
        replace(&i.machine, "0123456789abcdef");
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir)); /* another machine with another boot */
        replace(&i.machine, "");
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir));
        replace(&i.boot_id, "");
        CU_ASSERT_FALSE(ts_lock_stale(&i, p.dir));
        ts_lock_info_clear(&i);
}

/* ---- many at once ---- */

#define RACERS 8

struct racer {
        const struct place *p;
        char id[32];
        int rc;
        enum ts_code code;
        pthread_t thread;
        pthread_barrier_t *start;
        const char *break_first;
};

static void *race(void *arg)
{
        struct racer *r = arg;
        struct ts_journal_head head = { 0 };
        ts_auto(ts_host) struct ts_host *own = NULL; /* like processes of their own */
        ts_auto_err err = TS_ERR_INIT;

        head = (struct ts_journal_head){
                .id = r->id, .host = r->id, .boot_id = boot_id, .pid = 1, .container_id = (char *)(uintptr_t)CONTAINER
        };
        r->rc = ts_host_local(&own, &err);
        (void)pthread_barrier_wait(r->start);
        if (r->break_first)
                (void)ts_lock_break(own, r->p->path, r->break_first, NULL);
        if (r->rc == 0)
                r->rc = ts_lock_take(own, r->p->path, &head, "one", &err);
        r->code = err.code;
        return NULL;
}

static void run_race(const struct place *p, const char *break_first, struct racer racers[RACERS])
{
        pthread_barrier_t start;

        (void)pthread_barrier_init(&start, NULL, RACERS);
        for (int i = 0; i < RACERS; i++) {
                racers[i] = (struct racer){ .p = p, .start = &start, .break_first = break_first };
                (void)snprintf(racers[i].id, sizeof(racers[i].id), "racer-%d", i);
                CU_ASSERT_EQUAL_FATAL(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < RACERS; i++)
                (void)pthread_join(racers[i].thread, NULL);
        (void)pthread_barrier_destroy(&start);
}

static void one_of_many_gets_it(void)
{
        for (int round = 0; round < 3; round++) {
                AUTO_PLACE p = place_new();
                struct racer racers[RACERS];
                struct ts_lock_info i = { 0 };
                ts_auto_err err = TS_ERR_INIT;
                int winners = 0;

                (void)head_of(MINE); /* boot_id */
                run_race(&p, NULL, racers);
                UNIT_OK(ts_lock_read(p.host, p.path, &i, NULL, &err));
                for (int n = 0; n < RACERS; n++) {
                        winners += racers[n].rc == 0;
                        CU_ASSERT_EQUAL(racers[n].rc == 0, strcmp(i.migration, racers[n].id) == 0);
                        CU_ASSERT(racers[n].rc == 0 || racers[n].code == TS_ECONFLICT);
                }
                CU_ASSERT_EQUAL(winners, 1);
                CU_ASSERT_EQUAL(files(&p), 1);
                ts_lock_info_clear(&i);
        }
}

/* All see the same stale lock, break it and take it. More than one may believe it has it for a moment: ts_lock_check() tells them apart. */
static void one_of_many_breakers_keeps_it(void)
{
        for (int round = 0; round < 3; round++) {
                AUTO_PLACE p = place_new();
                struct ts_journal_head old = head_of(OTHER);
                struct racer racers[RACERS];
                struct ts_lock_info i = { 0 };
                ts_auto_free char *content = NULL;
                ts_auto_err err = TS_ERR_INIT;
                int owners = 0;

                UNIT_OK(ts_lock_take(p.host, p.path, &old, "one", &err));
                UNIT_OK(ts_lock_read(p.host, p.path, &i, &content, &err));
                run_race(&p, content, racers);
                for (int n = 0; n < RACERS; n++)
                        owners += racers[n].rc == 0 &&
                                  ts_lock_check(p.host, p.path, racers[n].id, "one", NULL) == 0;
                CU_ASSERT_EQUAL(owners, 1);
                ts_lock_info_clear(&i);
        }
}

static CU_TestInfo tests[] = { UNIT(paths),
                               UNIT(take_read_release),
                               UNIT(conflict_says_who),
                               UNIT(not_a_lock),
                               UNIT(strange_values_are_harmless),
                               UNIT(cannot_be_made),
                               UNIT(breaking),
                               UNIT(stale),
                               UNIT(one_of_many_gets_it),
                               UNIT(one_of_many_breakers_keeps_it),
                               CU_TEST_INFO_NULL };

int main(int argc, char **argv)
{
        const char *preload = getenv("LD_PRELOAD");

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        if (preload &&
            strstr(preload, "vgpreload")) { /* valgrind 3.19 has no pidfd_open(2), which running a command on this machine needs */
                (void)printf("unit lock: left out under valgrind\n");
                return 0;
        }
        return unit_run("lock", tests, argc > 1 ? argv[1] : NULL);
}
