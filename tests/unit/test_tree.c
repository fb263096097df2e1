/* transfer/agent: directory trees come over as they are, round after round, whatever is in them and whatever happens to them in between. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/agent/delta.h"
#include "transfer/agent/entry.h"
#include "transfer/agent/flags.h"
#include "transfer/agent/tree_receive.h"
#include "transfer/agent/tree_send.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct ts_err err = TS_ERR_INIT;

/* A source and a target directory, and what was sent between them. */
static unsigned pairs;

struct pair {
        char top[64];
        char *from, *to;
        struct ts_tree_send *send;
        struct ts_tree_receive *receive;
        struct ts_duplex *ends[2];
        pthread_t thread;
        int rc;
        struct ts_err failed;
        struct ts_tree_stats stats;
        struct ts_pack *pack;
};

static void shell(const char *fmt, const char *a, const char *b)
{
        ts_auto_free char *env_a = ts_fmt("A=%s", a), *env_b = ts_fmt("B=%s", b);
        pid_t pid = fork();
        int status = -1;

        if (pid == 0) {
                char *const argv[] = { strdup("sh"), strdup("-euc"), strdup(fmt), NULL }, *const env[] = {
                        env_a, env_b, strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), NULL
                };

                (void)execve("/bin/sh", argv, env);
                _exit(127);
        }
        CU_ASSERT_FATAL(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (status != 0)
                (void)printf("\n    status %d of: %s\n", status, fmt);
        CU_ASSERT_EQUAL(status, 0);
}

static struct pair *pair_new(void)
{
        struct pair *p = calloc(1, sizeof(*p));
        int fd;

        if (!p)
                abort();
        (void)snprintf(p->top, sizeof(p->top), "/var/tmp/tranship-tree-XXXXXX"); /* on a disk: xattrs, holes, times of mappings */
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p->top));
        p->from = ts_fmt("%s/from", p->top);
        p->to = ts_fmt("%s/to", p->top);
        CU_ASSERT_FATAL(mkdir(p->from, 0750) == 0 && mkdir(p->to, 0700) == 0);
        UNIT_OK(ts_duplex_new(p->ends, &err));
        p->pack = ts_pack_new();
        CU_ASSERT_PTR_NOT_NULL_FATAL(p->pack);
        ts_pack_set(p->pack, (enum ts_pack_mode)(pairs++ % 3)); /* off, auto, on in turn */
        p->send = ts_tree_send_new(p->ends[0], p->pack);
        p->receive = ts_tree_receive_new();
        CU_ASSERT_FATAL(p->send && p->receive);
        fd = open(p->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        UNIT_OK(ts_tree_receive_root(p->receive, fd, &err));
        (void)close(fd);
        return p;
}

static void pair_free(struct pair *p)
{
        ts_tree_send_free(p->send);
        ts_tree_receive_free(p->receive);
        ts_pack_free(p->pack);
        ts_duplex_close(p->ends[0]);
        ts_duplex_close(p->ends[1]);
        shell("rm -rf \"$A\"", p->top, "");
        free(p->from);
        free(p->to);
        free(p);
}

static void *receive(void *arg)
{
        struct pair *p = arg;
        ts_auto_frame f = { 0 }, opened = { 0 };
        ts_auto(ts_pack) struct ts_pack *opener = ts_pack_new();
        bool round = false;

        p->rc = 0;
        while (!round && p->rc == 0) {
                bool packed;

                if (ts_frame_read(p->ends[1], &f, ts_deadline_in_ms(30000), false, &p->failed) != 1) {
                        p->rc = -1;
                        break;
                }
                packed = f.type == TS_FRAME_PACKED;
                if ((packed && ts_pack_open(opener, &f, &opened, &p->failed) < 0) ||
                    ts_tree_receive_frame(p->receive, packed ? &opened : &f, &round, &p->failed) < 0)
                        p->rc = -1;
        }
        if (p->rc < 0)
                ts_duplex_break(p->ends[1]);
        return NULL;
}

static void bring(struct pair *p, bool final)
{
        int rc;

        CU_ASSERT_EQUAL_FATAL(pthread_create(&p->thread, NULL, receive, p), 0);
        rc = ts_tree_send_round(p->send, p->from, final, &p->stats, &err);
        if (rc < 0)
                ts_duplex_break(p->ends[0]);
        (void)pthread_join(p->thread, NULL);
        if (rc < 0)
                (void)printf("\n    send: %s\n", ts_err_message(&err));
        ts_err_clear(&err);
        if (p->rc < 0)
                (void)printf("\n    receive: %s\n", ts_err_message(&p->failed));
        CU_ASSERT_FATAL(rc == 0 && p->rc == 0);
}

/* Type, mode, owner, size, links, time to the nanosecond, link target, device; attributes; contents. */
static void same_trees(const struct pair *p)
{
        static const char look[] =
                "cd \"$1\" && find . -printf '%y %m %U %G %n %T@ %l %p\\n' | sort -k 8 >\"$2.list\";"
                "find . -type f -printf '%s %p\\n' | sort >\"$2.sizes\"; find . \\( -type b -o -type c \\) -exec stat -c '%t %T %n' {} + | "
                "sort >\"$2.devices\";"
                "find . ! -type l -print0 | sort -z | xargs -0 -r getfattr -dhm - --absolute-names -e hex >\"$2.attributes\" 2>/dev/null;"
                "find . -type f -print0 | sort -z | xargs -0 -r sha256sum >\"$2.sums\"; find . ! -type d -links +1 -printf '%i %p\\n' | "
                "sort "
                "-k 2 |"
                "awk '{ if (!($1 in n)) n[$1] = ++c; print n[$1], $2 }' >\"$2.groups\"";
        ts_auto_free char *script = ts_fmt("look() { %s; }; (look \"$A/from\" \"$A/a\"); (look \"$A/to\" \"$A/b\");"
                                           "for f in list sizes devices attributes sums groups; do diff \"$A/a.$f\" \"$A/b.$f\" >&2; done",
                                           look);

        shell(script, p->top, "");
}

/* Only what was named, under the name it was given; what else is there, on either side, stays as it is. */
static void only_some(void)
{
        struct pair *p = pair_new();

        shell("mkdir \"$A/from/logs\"; echo 1 >\"$A/from/logs/one\"; echo secret >\"$A/from/secret\"; echo log >\"$A/from/a.log\"; echo "
              "mine >\"$A/to/mine\"",
              p->top, "");
        UNIT_OK(ts_tree_send_only(p->send, "logs", "logs", &err));
        UNIT_OK(ts_tree_send_only(p->send, "a.log", "b.log", &err));
        UNIT_OK(ts_tree_send_only(p->send, "absent", "absent", &err));
        bring(p, false);
        shell("rm \"$A/from/logs/one\"; echo 2 >\"$A/from/logs/two\"; echo more >>\"$A/from/a.log\"", p->top, "");
        bring(p, true);
        shell("cd \"$A/to\" && [ \"$(find . -mindepth 1 | sort | tr '\\n' ' ')\" = './b.log ./logs ./logs/two ./mine ' ] && cmp b.log "
              "../from/a.log && [ \"$(cat mine)\" = mine ]",
              p->top, "");
        pair_free(p);
}

/* A name that is made anew on the target does not change the time of its directory. */
static void times_of_directories(void)
{
        struct pair *p = pair_new();

        shell("mkdir \"$A/from/d\" \"$A/from/e\"; echo 1 >\"$A/from/d/x\"; echo 2 >\"$A/from/e/y\"; ln \"$A/from/d/x\" \"$A/from/e/z\"; "
              "touch -d 2001-01-01 \"$A/from/d\" \"$A/from/e\" \"$A/from\"",
              p->top, "");
        bring(p, false);
        shell("echo 3 >\"$A/from/d/new\" && mv \"$A/from/d/new\" \"$A/from/d/x\"; touch -d 2001-01-01 \"$A/from/d\"; rm \"$A/from/e/y\"; "
              "touch -d 2002-02-02 \"$A/from/e\"",
              p->top, "");
        bring(p, true);
        same_trees(p);
        pair_free(p);
}

static void everything_there_is(void)
{
        struct pair *p;

        if (geteuid() != 0) {
                (void)printf("(needs root) ");
                return;
        }
        p = pair_new();

        shell("cd \"$A\"; mkdir -p d/e/f; echo hello >d/file; chmod 4755 d/file; printf x >d/e/one; : >empty; ln -s ../d/file d/e/link; ln "
              "-s nowhere broken; ln d/file d/e/hard; ln d/file third;"
              "mkfifo d/fifo; mknod d/null c 1 3; mknod d/whiteout c 0 0; mknod d/block b 7 99; python3 -c 'import socket; "
              "socket.socket(socket.AF_UNIX).bind(\"d/socket\")';"
              "chown 1234:5678 d/e/one; chown -h 7:8 d/e/link; chmod 0 d/e/one; chmod 1777 d/e; truncate -s 10M sparse; printf middle | dd "
              "of=sparse bs=1 seek=5000000 conv=notrunc 2>/dev/null;"
              "setfattr -n user.test -v value d/file; setfattr -n trusted.overlay.opaque -v y d/e/f; setfattr -n trusted.overlay.origin -v "
              "z d/e/f; setfacl -m u:42:rw empty; setcap cap_net_raw+ep empty;"
              "touch -d '2001-02-03 04:05:06.123456789' empty d/e; touch -h -d '1999-01-01 00:00:00.5' broken; printf 'new\\nline' "
              ">\"$(printf 'strange\\nname \\377 ')\"; chmod 2711 .; touch -d 2010-01-01 .",
              p->from, "");
        bring(p, true);
        shell("setfattr -x trusted.overlay.origin d/e/f 2>/dev/null || true; cd \"$A/from\"; setfattr -x trusted.overlay.origin d/e/f",
              p->top, "");
        same_trees(p);
        shell("[ $(stat -c %b \"$A/to/sparse\") -lt 100 ]", p->top, "");
        pair_free(p);
}

static void only_what_changed(void)
{
        struct pair *p = pair_new();

        shell("cd \"$A\"; mkdir a b; head -c 10000000 /dev/urandom >a/big; head -c 100000 /dev/urandom >a/small; for i in 1 2 3; do echo "
              "$i >b/$i; done; find . -exec touch -d '2 hours ago' {} +",
              p->from, "");
        shell("sleep 1.2", "", "");
        bring(p, false);
        CU_ASSERT_EQUAL(p->stats.bytes_sent, 10100006);
        same_trees(p);
        bring(p, false);
        CU_ASSERT_EQUAL(p->stats.bytes_sent, 0);
        CU_ASSERT_EQUAL(p->stats.bytes_read, 0);
        CU_ASSERT_EQUAL(p->stats.changed, 1); /* the root is always told */
        shell("cd \"$A\"; printf XY | dd of=a/big bs=1 seek=5000000 conv=notrunc 2>/dev/null; rm b/2; mv b/3 b/4; chmod 600 a/small",
              p->from, "");
        bring(p, true);
        CU_ASSERT_EQUAL(p->stats.bytes_sent, 16384 + 2);
        CU_ASSERT_EQUAL(p->stats.removed, 2);
        same_trees(p);
        pair_free(p);
}

/* The same size and the same time to the second, within the clock's tick. */
static void changes_at_once_are_seen(void)
{
        struct pair *p = pair_new();

        for (int i = 0; i < 20; i++) {
                ts_auto_free char *path = ts_fmt("%s/file", p->from), *text = ts_fmt("%d", 100 + i);

                UNIT_OK(ts_file_write_atomic(path, text, 3, 0600, &err));
                bring(p, false);
                shell("printf %s 777 >\"$A/file\"", p->from, "");
                bring(p, i == 19);
                same_trees(p);
        }
        pair_free(p);
}

static void types_change(void)
{
        struct pair *p;

        if (geteuid() != 0) {
                (void)printf("(needs root) ");
                return;
        }
        p = pair_new();

        shell("cd \"$A\"; mkdir -p x/y/z; echo 1 >x/y/z/f; echo 2 >file; ln -s file link; mkfifo pipe; echo 3 >h1; ln h1 h2; ln h1 h3",
              p->from, "");
        bring(p, false);
        shell("cd \"$A\"; rm -r x; echo now a file >x; rm file; mkdir -p file/with; echo 4 >file/with/content; rm link; ln -s elsewhere "
              "link; rm pipe; mknod pipe c 1 5; rm h2; cp h1 h2; echo 5 >>h3; mv h3 h4",
              p->from, "");
        bring(p, false);
        same_trees(p);
        shell("cd \"$A\"; mkfifo p; ln p q; ln p r; sleep 1.2", p->from, "");
        bring(p, false);
        shell("cd \"$A\"; chown 5:6 p; sleep 1.2", p->from, "");
        bring(p, false);
        same_trees(p);
        shell("cd \"$A\"; rm -r file; ln -s / file; mv x x2; ln h2 h5; mkdir x; mv x2 x/x", p->from, "");
        bring(p, true);
        same_trees(p);
        pair_free(p);
}

/* More on request: TS_HISTORIES=500 */
static int n_histories(void)
{
        const char *n = getenv("TS_HISTORIES");

        return n ? (int)strtol(n, NULL, 10) : 6;
}

/* Programs at work, at random. */
static void random_histories(void)
{
        for (int seed = 1; seed <= n_histories(); seed++) {
                struct pair *p = pair_new();

                for (int round = 0; round < 6; round++) {
                        ts_auto_free char *text = ts_fmt("%d.%d", seed, round);

                        shell("cd \"$A\"; python3 - \"$B\" <<'END'\n"
                              "import os, random, sys, shutil\n"
                              "r = random.Random(sys.argv[1])\n"
                              "def paths(kind=None):\n"
                              "    found = ['.'] if kind == 'd' else []\n"
                              "    for d, ds, fs in os.walk('.'):\n"
                              "        found += [os.path.join(d, x) for x in (ds if kind == 'd' else fs if kind == 'f' else ds + fs)]\n"
                              "    return [p for p in found if kind == 'd' and not os.path.islink(p) or kind != 'd' and (kind is None or "
                              "os.path.isfile(p) and not os.path.islink(p))]\n"
                              "new = lambda: os.path.join(r.choice(paths('d')), '%x' % r.randrange(40))\n"
                              "for i in range(60):\n"
                              "    a, p = r.randrange(12), new()\n"
                              "    files, every = paths('f'), paths()\n"
                              "    try:\n"
                              "        if a == 0: os.mkdir(p)\n"
                              "        elif a < 4: open(p, 'wb').write(r.randbytes(r.choice((0, 1, 5000, 16384, 70000, 300000))))\n"
                              "        elif a == 4 and files:\n"
                              "            with open(r.choice(files), 'r+b') as f: f.seek(r.randrange(100000)); "
                              "f.write(r.randbytes(3000))\n"
                              "        elif a == 5 and files: os.truncate(r.choice(files), r.randrange(200000))\n"
                              "        elif a == 6 and every:\n"
                              "            q = r.choice(every); shutil.rmtree(q) if os.path.isdir(q) and not os.path.islink(q) else "
                              "os.unlink(q)\n"
                              "        elif a == 7 and every: os.rename(r.choice(every), p)\n"
                              "        elif a == 8 and files: os.link(r.choice(files), p)\n"
                              "        elif a == 9: os.symlink(r.choice(('a', '../b', '/etc')), p)\n"
                              "        elif a == 10 and every: os.chmod(r.choice([q for q in every if not os.path.islink(q)]), "
                              "r.randrange(0o7777) | 0o700)\n"
                              "        elif a == 11 and files: os.setxattr(r.choice(files), 'user.x', r.randbytes(r.randrange(50)))\n"
                              "    except OSError: pass\n"
                              "    except IndexError: pass\n"
                              "END\n",
                              p->from, text);
                        bring(p, round == 5);
                        same_trees(p);
                }
                pair_free(p);
        }
}

static unsigned flags_at(const char *dir, const char *name)
{
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        ts_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        CU_ASSERT_FATAL(fd >= 0);
        return ts_flags_of(fd);
}

static bool flag(const char *dir, const char *name, unsigned flags)
{
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        ts_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        CU_ASSERT_FATAL(fd >= 0);
        return ts_flags_set(fd, flags) == 0;
}

#define FIXED 0x10U /* immutable */

/* Only in the last round, and in it after everything else: what is immutable can still change. */
static void attributes_of_chattr(void)
{
        struct pair *p = pair_new();

        shell("cd \"$A\"; echo a >f; mkdir d; echo b >d/g; echo c >h; ln f f2; ln -s f l; touch -d "
              "2001-02-03 f d",
              p->from, "");
        if (!flag(p->from, "f", FIXED)) {
                (void)printf(" (not here: this file system, or root, cannot) ");
                pair_free(p);
                return;
        }
        CU_ASSERT(flag(p->from, "h", 0x20U) && flag(p->from, "d/g", 0x40U) &&
                  flag(p->from, "d", FIXED));
        bring(p, false);
        CU_ASSERT_EQUAL(flags_at(p->to, "f") | flags_at(p->to, "h") | flags_at(p->to, "d"), 0);
        CU_ASSERT(flag(p->from, "f", 0) && flag(p->from, "d", 0));
        shell("cd \"$A\"; echo more >>f; echo new >d/new", p->from, "");
        CU_ASSERT(flag(p->from, "f", FIXED) && flag(p->from, "d", FIXED) && flag(p->from, "h", 0));
        bring(p, false);
        bring(p, true);
        CU_ASSERT_EQUAL(ts_tree_receive_unset(p->receive), 0);
        CU_ASSERT_EQUAL(flags_at(p->to, "f"), FIXED);
        CU_ASSERT_EQUAL(flags_at(p->to, "f2"), FIXED);
        CU_ASSERT_EQUAL(flags_at(p->to, "d"), FIXED);
        CU_ASSERT_EQUAL(flags_at(p->to, "d/g"), 0x40U);
        CU_ASSERT_EQUAL(flags_at(p->to, "h"), 0);
        same_trees(p);
        CU_ASSERT_EQUAL(ts_unflag_main(p->top), 0);
        CU_ASSERT_EQUAL(flags_at(p->to, "f") | flags_at(p->from, "d"), 0);
        CU_ASSERT_EQUAL(flags_at(p->to, "d/g"), 0x40U); /* nobody is kept from removing that */
        pair_free(p);
}

/* ---- hostile sources ---- */

static void entry(struct ts_frame *f, const char *path, mode_t mode, const char *link, enum ts_entry_content content)
{
        ts_auto_free char *p = strdup(path), *l = link ? strdup(link) : NULL;
        const struct ts_entry e = { .content = content, .path = p, .link = l, .st = { .st_mode = mode } };

        ts_frame_begin(f, TS_FRAME_ENTRY);
        UNIT_OK(ts_entry_put(f, &e, &err));
}

static void flags_frame(struct ts_frame *f, const char *path, uint32_t flags)
{
        ts_frame_begin(f, TS_FRAME_FLAGS);
        UNIT_OK(ts_entry_put_path(f, path, &err));
        UNIT_OK(ts_put_u32(f, flags, &err));
}

static void end_of_round(struct ts_frame *f, uint32_t final)
{
        ts_frame_begin(f, TS_FRAME_ROUND);
        UNIT_OK(ts_put_u32(f, final, &err));
        UNIT_OK(ts_put_u32(f, 0, &err));
}

/* On nothing but what came, not through links, none that do not travel, not before the end. */
static void flags_are_ours(void)
{
        static const struct {
                const char *path;
                uint32_t flags;
        } bad[] = { { "../x", FIXED },
                    { "/etc/passwd", FIXED },
                    { "x", 0 },
                    { "x", 0x80000U },
                    { "x", UINT32_MAX } };
        bool round = false;

        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++) {
                struct pair *p = pair_new();
                ts_auto_frame f = { 0 };

                flags_frame(&f, bad[i].path, bad[i].flags);
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
                pair_free(p);
        }

        struct pair *p = pair_new();
        ts_auto_frame f = { 0 };

        shell("echo precious >\"$A/precious\"; echo theirs >\"$A/to/theirs\"", p->top, "");
        entry(&f, ".", S_IFDIR | 0700, NULL, TS_ENTRY_KEEP);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        flags_frame(&f, "theirs", FIXED);
        UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
        flags_frame(&f, ".", FIXED);
        UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
        entry(&f, "link", S_IFLNK | 0777, "../precious", TS_ENTRY_NEW);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        entry(&f, "fifo", S_IFIFO | 0600, NULL, TS_ENTRY_NEW);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        flags_frame(&f, "link", FIXED);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        flags_frame(&f, "fifo", FIXED);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        end_of_round(&f, 0);
        UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
        end_of_round(&f, 1);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        CU_ASSERT_EQUAL(ts_tree_receive_unset(p->receive), 2);
        CU_ASSERT_EQUAL(flags_at(p->top, "precious") | flags_at(p->to, "theirs"), 0);
        pair_free(p);
}

static void paths_lead_nowhere_else(void)
{
        static const char *const paths[] = { "../x", "/etc/x", "a/../../x", "", "a//b", "a/./b", "..", "a/..", "a/" };
        bool round = false;

        for (size_t i = 0; i < TS_ARRAY_LEN(paths); i++) {
                struct pair *p = pair_new();
                ts_auto_frame f = { 0 };

                entry(&f, paths[i], S_IFREG | 0600, NULL, TS_ENTRY_NEW);
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
                ts_frame_begin(&f, TS_FRAME_REMOVE);
                UNIT_OK(ts_entry_put_path(&f, paths[i], &err));
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
                ts_frame_begin(&f, TS_FRAME_LINK);
                UNIT_OK(ts_entry_put_path(&f, "x", &err));
                UNIT_OK(ts_entry_put_path(&f, paths[i], &err));
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
                pair_free(p);
        }
}

static void links_are_not_followed(void)
{
        struct pair *p = pair_new();
        ts_auto_frame f = { 0 };
        bool round = false;

        shell("echo precious >\"$A/precious\"; mkdir \"$A/outside\"; echo precious >\"$A/outside/file\"", p->top, "");
        entry(&f, "out", S_IFLNK | 0777, "../outside", TS_ENTRY_NEW);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        entry(&f, "out/file", S_IFREG | 0600, NULL, TS_ENTRY_NEW);
        CU_ASSERT_EQUAL(ts_tree_receive_frame(p->receive, &f, &round, &err), -1);
        ts_err_clear(&err);
        entry(&f, "out", S_IFDIR | 0777, NULL, TS_ENTRY_META);
        CU_ASSERT_EQUAL(ts_tree_receive_frame(p->receive, &f, &round, &err), -1);
        ts_err_clear(&err);
        entry(&f, "doc", S_IFLNK | 0777, "../precious", TS_ENTRY_NEW);
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
        entry(&f, "doc", S_IFREG | 0600, NULL, TS_ENTRY_UPDATE);
        CU_ASSERT_EQUAL(ts_tree_receive_frame(p->receive, &f, &round, &err), -1);
        ts_err_clear(&err);
        ts_frame_begin(&f, TS_FRAME_REMOVE);
        UNIT_OK(ts_entry_put_path(&f, "out/file", &err));
        UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err)); /* nothing of that name is in the tree */
        shell("[ \"$(cat \"$A/precious\" \"$A/outside/file\" | sort -u)\" = precious ]", p->top, "");
        pair_free(p);
}

static void messages_out_of_order(void)
{
        static const uint32_t types[] = { TS_FRAME_STEPS,
                                          TS_FRAME_CLOSE,
                                          TS_FRAME_PAGES,
                                          TS_FRAME_SIZE,
                                          TS_FRAME_FILE,
                                          TS_FRAME_BYTES,
                                          TS_FRAME_SUM,
                                          TS_FRAME_ENTRY,
                                          TS_FRAME_LINK,
                                          TS_FRAME_REMOVE,
                                          99 };

        for (size_t i = 0; i < TS_ARRAY_LEN(types); i++) {
                struct pair *p = pair_new();
                ts_auto_frame f = { 0 };
                bool round = false;

                ts_frame_begin(&f, (enum ts_frame_type)types[i]);
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
                entry(&f, "file", S_IFREG | 0600, NULL, TS_ENTRY_NEW);
                UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO);
                ts_frame_begin(&f, TS_FRAME_CLOSE);
                UNIT_OK(ts_put_u64(&f, 0, &err));
                UNIT_OK(ts_put_bytes(&f, "0123456789abcdef", 16, &err));
                UNIT_FAILS(ts_tree_receive_frame(p->receive, &f, &round, &err), TS_EPROTO); /* a wrong sum */
                pair_free(p);
        }
}

/* What is held back until the end of a round is bounded, however often one path comes. */
static void repeated_paths_are_bounded(void)
{
        for (int flags = 0; flags < 2; flags++) {
                struct pair *p = pair_new();
                ts_auto_frame f = { 0 };
                bool round = false;
                char path[256];
                int n = 0;

                memset(path, 'x', 255);
                path[255] = '\0';
                ts_tree_receive_late_max(p->receive, 100000);
                entry(&f, path, S_IFDIR | 0700, NULL, TS_ENTRY_NEW);
                UNIT_OK(ts_tree_receive_frame(p->receive, &f, &round, &err));
                if (flags)
                        flags_frame(&f, path, FIXED);
                else
                        entry(&f, path, S_IFDIR | 0700, NULL, TS_ENTRY_META);
                while (n < 400 && ts_tree_receive_frame(p->receive, &f, &round, &err) == 0)
                        n++;
                CU_ASSERT(n > 200 && n < 400);
                CU_ASSERT_EQUAL(err.code, TS_ELIMIT);
                ts_err_clear(&err);
                pair_free(p);
        }
}

/* A volume that is mounted while somebody uses it, and is not any more: its files are not removed. */
static void another_directory(void)
{
        struct pair *p = pair_new();

        shell("echo kept >\"$A/file\"", p->from, "");
        bring(p, false);
        shell("mv \"$A\" \"$A-before\"; mkdir \"$A\"", p->from, "");
        UNIT_FAILS(ts_tree_send_round(p->send, p->from, true, &p->stats, &err), TS_EPROTO);
        shell("rmdir \"$A\"; mv \"$A-before\" \"$A\"", p->from, "");
        bring(p, true);
        same_trees(p);
        pair_free(p);
}

/* Holes cost nothing, whatever their size: made, filled and made again between rounds, in files that grow and shrink. */
static void large_holes(void)
{
        struct pair *p = pair_new();
        uint64_t before;

        shell("set -e; cd \"$A/from\"; truncate -s 8T big; printf one | dd of=big bs=1 seek=1T conv=notrunc 2>/dev/null; head -c 300000 /dev/urandom >punched; cp punched shrinks; "
              "truncate -s 1T punched shrinks", p->top, "");
        before = ts_now_us();
        bring(p, false);
        shell("set -e; cd \"$A\"; cmp -n 400000 from/punched to/punched; [ $(stat -c %s to/big) = 8796093022208 ]; [ $(stat -c %b to/big) -lt 100 ]; "
              "[ \"$(dd if=to/big bs=1 skip=1T count=3 2>/dev/null)\" = one ]", p->top, "");
        shell("set -e; cd \"$A/from\"; printf two | dd of=big bs=1 seek=2T conv=notrunc 2>/dev/null; fallocate -p -o 1T -l 65536 big; truncate -s 7T big; "
              "fallocate -p -o 16384 -l 100000 punched; truncate -s 20000 shrinks; truncate -s 2T shrinks; printf end >>shrinks", p->top, "");
        bring(p, true);
        shell("set -e; cd \"$A\"; cmp -n 400000 from/punched to/punched; cmp -n 400000 from/shrinks to/shrinks; [ $(stat -c %s to/big) = 7696581394432 ]; "
              "[ $(stat -c %b to/big) -lt 100 ]; [ \"$(dd if=to/big bs=1 skip=2T count=3 2>/dev/null)\" = two ]; "
              "[ -z \"$(dd if=to/big bs=1 skip=1T count=3 2>/dev/null | tr -d '\\0')\" ]; [ \"$(tail -c 3 to/shrinks)\" = end ]", p->top, "");
        CU_ASSERT(ts_now_us() - before < 60000000);
        pair_free(p);
}

static CU_TestInfo tests[] = {
        UNIT(large_holes),
        UNIT(only_some),
        UNIT(times_of_directories),
        UNIT(everything_there_is),
        UNIT(only_what_changed),
        UNIT(changes_at_once_are_seen),
        UNIT(types_change),
        UNIT(another_directory),
        UNIT(random_histories),
        UNIT(paths_lead_nowhere_else),
        UNIT(attributes_of_chattr),
        UNIT(flags_are_ours),
        UNIT(repeated_paths_are_bounded),
        UNIT(links_are_not_followed),
        UNIT(messages_out_of_order),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("tree", tests)
