/* Copies of the journal: the script that writes them, with every shell there is here; a host whose disk is full or whose script dies; finding them again. */
#include "tests/unit/unit.h"
#include "tests/unit/remove_tree.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/mirror.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "20261120-161502-3fa9c1"
#define CONTAINER "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

struct place {
        char *dir, *copies, *journals;
        struct ts_host *host;
};

static struct place place_new(void)
{
        struct place p = { .dir = ts_strdup0("/tmp/test-mirror-XXXXXX") };
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p.dir));
        p.copies = ts_fmt("%s/it's/copies", p.dir);
        p.journals = ts_fmt("%s/journals", p.dir);
        UNIT_OK(ts_host_local(&p.host, &err));
        return p;
}

static void place_clear(struct place *p)
{
        CU_ASSERT_EQUAL(remove_tree(p->dir), 0);
        ts_host_free(p->host);
        free(p->dir);
        free(p->copies);
        free(p->journals);
}
#define AUTO_PLACE __attribute__((cleanup(place_clear))) struct place

static struct ts_journal *journal(const struct place *p, const char *id, const char *name)
{
        struct ts_journal_head h = { .id = (char *)(uintptr_t)id,
                                     .source = (char *)(uintptr_t) "a",
                                     .target = (char *)(uintptr_t) "b",
                                     .container_id = (char *)(uintptr_t)CONTAINER,
                                     .container_name = (char *)(uintptr_t)name };
        struct ts_journal *j = NULL;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_journal_create(p->journals, &h, &j, &err));
        return j;
}

static void same(const struct place *p, const char *id, const char *side)
{
        ts_auto_free char *a = ts_fmt("%s/%s.jsonl", p->journals, id), *b = ts_fmt("%s/%s.%s", p->copies, id, side);
        ts_auto_str journal_text = TS_STR_INIT, copy_text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_read(a, (size_t)8 << 20, &journal_text, &err));
        UNIT_OK(ts_file_read(b, (size_t)8 << 20, &copy_text, &err));
        UNIT_STR(ts_str_cstr(&copy_text), ts_str_cstr(&journal_text));
}

static void add(struct ts_journal *j, struct ts_mirror *m)
{
        struct ts_journal_mirror hook = ts_mirror_hook(m);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_journal_add_mirror(j, &hook, &err));
}

static void copies_follow(void)
{
        AUTO_PLACE p = place_new();
        ts_auto(ts_mirror) struct ts_mirror *source = NULL, *target = NULL;
        ts_auto(ts_journal) struct ts_journal *j = journal(&p, ID, "web");
        ts_auto_free char *file = ts_fmt("%s/" ID ".source", p.copies), *unfinished = ts_fmt("%s.new", file);
        ts_auto_err err = TS_ERR_INIT;
        struct stat st;

        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, false, &source, &err));
        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_TARGET, false, &target, &err)); /* two engines of one machine */
        add(j, source);
        UNIT_OK(ts_journal_note(j, "back\\slash \\n \"quotes\" 'single' $HOME `x` %s ü  two blanks ", &err));
        add(j, target);
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err));
        same(&p, ID, "source");
        same(&p, ID, "target");
        CU_ASSERT_PTR_NULL(ts_mirror_error(source));
        CU_ASSERT_EQUAL(stat(file, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
        CU_ASSERT_EQUAL(stat(p.copies, &st), 0);
        CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
        CU_ASSERT_NOT_EQUAL(access(unfinished, F_OK), 0);
        UNIT_OK(ts_mirror_remove(p.host, p.copies, ID, TS_SIDE_SOURCE, &err));
        UNIT_OK(ts_mirror_remove(p.host, p.copies, ID, TS_SIDE_SOURCE, &err)); /* absent is fine */
        CU_ASSERT_NOT_EQUAL(access(file, F_OK), 0);
        CU_ASSERT_PTR_NULL(ts_mirror_error(NULL));
        ts_mirror_free(NULL);
}

/* A second process takes over: the old copy stays until the new one is whole. */
static void an_old_copy_is_replaced(void)
{
        AUTO_PLACE p = place_new();
        struct ts_mirror *m = NULL;
        struct ts_journal *j = journal(&p, ID, "web");
        ts_auto_free char *file = ts_fmt("%s/" ID ".target", p.copies);
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_TARGET, false, &m, &err));
        add(j, m);
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_ARMED, NULL, &err));
        ts_mirror_free(m); /* it dies */
        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_TARGET, false, &m, &err));
        UNIT_OK(ts_file_read(file, 4096, &text, &err));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&text), "armed"));
        ts_journal_free(j);
        UNIT_OK(ts_journal_open(p.journals, ID, &j, &err));
        add(j, m);
        UNIT_OK(ts_journal_note(j, "recovering", &err));
        same(&p, ID, "target");
        ts_journal_free(j);
        ts_mirror_free(m);
}

static int append_to_slot(void *ctx, const char *line, size_t len, struct ts_err *err)
{
        struct ts_mirror **slot = ctx;
        struct ts_journal_mirror hook = ts_mirror_hook(*slot);

        return hook.append(hook.ctx, line, len, err);
}

/* The connection of a copy broke: another one takes its place and has everything; but not where somebody else has taken it away. */
static void renewed_unless_taken(void)
{
        AUTO_PLACE p = place_new();
        struct ts_mirror *m = NULL;
        ts_auto(ts_journal) struct ts_journal *j = journal(&p, ID, "web");
        ts_auto_free char *file = ts_fmt("%s/" ID ".source", p.copies), *taken = ts_fmt("%s.taken", file);
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal_mirror hook;

        UNIT_FAILS(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, true, &m, &err), TS_ECOMMAND); /* there was none */
        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, false, &m, &err));
        hook = (struct ts_journal_mirror){ .append = append_to_slot, .ctx = &m };
        UNIT_OK(ts_journal_add_mirror(j, &hook, &err));
        CU_ASSERT_FALSE(ts_journal_mirrors_broken(j));
        CU_ASSERT_EQUAL(hook.append(hook.ctx, "rubbish\n", 8, NULL), -1); /* it ends */
        UNIT_OK(ts_journal_note(j, "lost", &err));
        CU_ASSERT_TRUE(ts_journal_mirrors_broken(j));
        UNIT_FAILS(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err), TS_EIO);
        ts_mirror_free(TS_TAKE(m));
        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, true, &m, &err));
        UNIT_OK(ts_journal_renew_mirror(j, hook.ctx, &err));
        CU_ASSERT_FALSE(ts_journal_mirrors_broken(j));
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err));
        same(&p, ID, "source");
        ts_mirror_free(TS_TAKE(m));
        CU_ASSERT_EQUAL(rename(file, taken), 0);
        UNIT_FAILS(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, true, &m, &err), TS_ECOMMAND);
        UNIT_OK(ts_file_write_atomic(file, "{}\n", 3, 0600, &err)); /* and writes there itself */
        UNIT_FAILS(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, true, &m, &err), TS_ECOMMAND);
        CU_ASSERT_PTR_NULL(m);
}

static void cannot_start(void)
{
        AUTO_PLACE p = place_new();
        ts_auto_free char *file = ts_fmt("%s/file", p.dir);
        struct ts_mirror *m = NULL;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_write_atomic(file, "x", 1, 0600, &err));
        UNIT_FAILS(ts_mirror_start(p.host, file, ID, TS_SIDE_SOURCE, false, &m, &err), TS_ECOMMAND);
        UNIT_FAILS(ts_mirror_start(p.host, "/proc/none", ID, TS_SIDE_SOURCE, false, &m, &err), TS_ECOMMAND);
        UNIT_FAILS(ts_mirror_start(p.host, p.copies, "../x", TS_SIDE_SOURCE, false, &m, &err), TS_EINTERNAL);
        UNIT_FAILS(ts_mirror_remove(p.host, p.copies, "", TS_SIDE_SOURCE, &err), TS_EINTERNAL);
        CU_ASSERT_PTR_NULL(m);
}

/* What stands in the place of the copy cannot be replaced: the first records fail, and every later one at once. */
static void breaks(void)
{
        AUTO_PLACE p = place_new();
        ts_auto(ts_mirror) struct ts_mirror *m = NULL;
        ts_auto(ts_journal) struct ts_journal *j = journal(&p, ID, "web");
        ts_auto_free char *in_the_way = ts_fmt("%s/" ID ".source/x", p.copies);
        ts_auto_err err = TS_ERR_INIT;
        struct ts_journal_mirror hook;
        uint64_t from_us;

        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, false, &m, &err));
        UNIT_OK(ts_mkdir_p(in_the_way, 0700, &err));
        hook = ts_mirror_hook(m);
        (void)ts_journal_add_mirror(j, &hook, &err); /* mv moves it into the directory: GNU's says yes; then the file is not one */
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(hook.append(hook.ctx, "rubbish\n", 8, &err), -1); /* the script takes nothing that is not a record */
        CU_ASSERT_PTR_NOT_NULL(ts_mirror_error(m));
        ts_err_clear(&err);
        from_us = ts_now_us();
        CU_ASSERT_EQUAL(hook.append(hook.ctx, "{}\n", 3, &err), -1);
        CU_ASSERT(ts_now_us() - from_us < 1000000);
}

static int full_disk(const struct place *p)
{
        ts_auto(ts_mirror) struct ts_mirror *m = NULL;
        ts_auto(ts_journal) struct ts_journal *j = journal(p, ID, "web");
        ts_auto_err err = TS_ERR_INIT;
        int rc = 0;

        if (ts_mkdir_p(p->copies, 0700, NULL) < 0 || unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") < 0 ||
            mount("tmpfs", p->copies, "tmpfs", 0, "size=8k") < 0)
                return 77;
        if (ts_mirror_start(p->host, p->copies, ID, TS_SIDE_TARGET, false, &m, &err) < 0)
                return 2;
        add(j, m);
        for (int i = 0; i < 100; i++)
                if (ts_journal_note(j, "a remark that takes some room, and then there is none any more for the next one", &err) < 0)
                        return 3; /* a remark does not need the copy */
        if (!ts_mirror_error(m))
                return 4;
        rc = ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err);
        return rc == -1 && ts_journal_stage(j) == TS_STAGE_BEGUN ? 0 : 5;
}

static void disk_of_the_host_is_full(void)
{
        AUTO_PLACE p = place_new();
        int status = 0;
        pid_t pid;

        (void)fflush(stdout);
        pid = fork();
        if (pid == 0)
                _exit(full_disk(&p));
        (void)waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                (void)printf("\n    no tmpfs can be mounted here: left out ");
        else
                CU_ASSERT_EQUAL(status, 0);
}

/* ---- finding them ---- */

static void make_copy(const struct place *p, const char *id, const char *name, enum ts_side side, enum ts_stage stage)
{
        struct ts_mirror *m = NULL;
        struct ts_journal *j = journal(p, id, name);
        ts_auto_free char *file = ts_fmt("%s/%s.jsonl", p->journals, id);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_mirror_start(p->host, p->copies, id, side, false, &m, &err));
        add(j, m);
        if (stage > TS_STAGE_BEGUN)
                UNIT_OK(ts_journal_set_stage(j, stage, NULL, &err));
        ts_journal_free(j);
        ts_mirror_free(m);
        CU_ASSERT_EQUAL(unlink(file), 0); /* as on another machine */
}

static size_t found(const struct place *p, const char *key, struct ts_mirror_copies *ret)
{
        ts_auto_err err = TS_ERR_INIT;

        ts_mirror_copies_clear(ret);
        UNIT_OK(ts_mirror_fetch(p->host, p->copies, key, TS_SIDE_SOURCE, true, ret, &err));
        return ret->n;
}

static const struct ts_adoption nobody = { .records = { 1, -1 } };

static void fetching(void)
{
        AUTO_PLACE p = place_new();
        struct ts_mirror_copies c = { 0 };
        ts_auto_free char *rubbish = ts_fmt("%s/20261120-000000-zzz.source", p.copies), *other = ts_fmt("%s/x y.source", p.copies);
        ts_auto_free char *renamed = ts_fmt("%s/20261120-000009-dddddd.source", p.copies);
        static const char head[] = "{\"id\":\"20261120-000002-bbbbbb\",\"container_name\":\"web\"}\n";
        ts_auto(ts_journal) struct ts_journal *j = NULL;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(found(&p, "web", &c), 0); /* no directory */
        make_copy(&p, "20261120-000001-aaaaaa", "web", TS_SIDE_SOURCE, TS_STAGE_BEGUN);
        make_copy(&p, "20261120-000001-aaaaaa", "web", TS_SIDE_TARGET, TS_STAGE_ARMED);
        make_copy(&p, "20261120-000002-bbbbbb", "db", TS_SIDE_SOURCE, TS_STAGE_RESTORED);
        make_copy(&p, "20261120-000003-cccccc", "web", TS_SIDE_SOURCE, TS_STAGE_ARMED);
        UNIT_OK(ts_file_write_atomic(rubbish, "rubbish\n", 8, 0600, &err));
        UNIT_OK(ts_file_write_atomic(other, "{}\n", 3, 0600, &err));
        UNIT_OK(ts_file_write_atomic(renamed, head, sizeof(head) - 1, 0600, &err)); /* another one's */
        CU_ASSERT_EQUAL(found(&p, "web", &c), 2);
        UNIT_STR(c.v[0].id, "20261120-000003-cccccc"); /* newest first */
        UNIT_STR(c.v[1].id, "20261120-000001-aaaaaa");
        CU_ASSERT(!c.v[1].differs);
        make_copy(&p, "20261120-000001-aaaaaa", "web", TS_SIDE_SOURCE, TS_STAGE_ARMED); /* beside the one that was taken, and another story */
        UNIT_OK(ts_mirror_fetch(p.host, p.copies, "web", TS_SIDE_SOURCE, false, &c, &err)); /* once more: nothing twice */
        CU_ASSERT_EQUAL(c.n, 2);
        CU_ASSERT(c.v[1].differs);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&c.v[1].text), "armed")); /* the longer of the two */
        ts_mirror_copies_clear(&c);
        UNIT_OK(ts_mirror_fetch(p.host, p.copies, "web", TS_SIDE_TARGET, false, &c, &err));
        CU_ASSERT_EQUAL(c.n, 1);
        CU_ASSERT_EQUAL(found(&p, "20261120-000002-bbbbbb", &c), 1);
        UNIT_STR(c.v[0].container_name, "db");
        UNIT_OK(ts_journal_adopt(p.journals, c.v[0].text.buf, c.v[0].text.len, &nobody, &j, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_RESTORED);
        CU_ASSERT_EQUAL(found(&p, CONTAINER, &c), 3);
        CU_ASSERT_EQUAL(found(&p, "9f86d081884c", &c), 3);
        CU_ASSERT_EQUAL(found(&p, "9f86d081884", &c), 0); /* too short to be meant */
        CU_ASSERT_EQUAL(found(&p, "", &c), 0);
        CU_ASSERT_EQUAL(found(&p, "nobody", &c), 0);
        ts_mirror_copies_clear(&c);
        UNIT_OK(ts_mirror_fetch(p.host, NULL, "no-such-container-anywhere", TS_SIDE_SOURCE, false, &c, &err));
        ts_mirror_copies_clear(&c);
}

/* The first machine was only slow: what the second one has read is all it could do. */
static void reading_stops_the_writer(void)
{
        AUTO_PLACE p = place_new();
        ts_auto(ts_mirror) struct ts_mirror *m = NULL;
        ts_auto(ts_journal) struct ts_journal *j = journal(&p, ID, "web"), *adopted = NULL;
        ts_auto_free char *elsewhere = ts_fmt("%s/elsewhere", p.dir);
        struct ts_mirror_copies c = { 0 };
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_mirror_start(p.host, p.copies, ID, TS_SIDE_SOURCE, false, &m, &err));
        add(j, m);
        UNIT_OK(ts_journal_set_stage(j, TS_STAGE_CHECKPOINTED, NULL, &err));
        CU_ASSERT_EQUAL(found(&p, "web", &c), 1);
        CU_ASSERT_EQUAL(ts_journal_set_stage(j, TS_STAGE_RESTORE_SENT, NULL, &err), -1);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_err_message(&err), "taken the migration over"));
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(ts_journal_stage(j), TS_STAGE_CHECKPOINTED);
        UNIT_OK(ts_journal_adopt(elsewhere, c.v[0].text.buf, c.v[0].text.len, &nobody, &adopted, &err));
        CU_ASSERT_EQUAL(ts_journal_stage(adopted), TS_STAGE_CHECKPOINTED);
        CU_ASSERT_EQUAL(found(&p, "web", &c), 1); /* and again: the second one died too */
        UNIT_OK(ts_mirror_remove(p.host, p.copies, ID, TS_SIDE_SOURCE, &err));
        CU_ASSERT_EQUAL(found(&p, "web", &c), 0);
}

static CU_TestInfo tests[] = { UNIT(copies_follow),
                               UNIT(an_old_copy_is_replaced),
                               UNIT(renewed_unless_taken),
                               UNIT(cannot_start),
                               UNIT(breaks),
                               UNIT(disk_of_the_host_is_full),
                               UNIT(fetching),
                               UNIT(reading_stops_the_writer),
                               CU_TEST_INFO_NULL };

int main(int argc, char **argv)
{
        const char *preload = getenv("LD_PRELOAD");

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        if (preload &&
            strstr(preload, "vgpreload")) { /* valgrind 3.19 has no pidfd_open(2), which running a command on this machine needs */
                (void)printf("unit mirror: left out under valgrind\n");
                return 0;
        }
        return unit_run("mirror", tests, argc > 1 ? argv[1] : NULL);
}
