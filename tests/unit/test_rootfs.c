/* transfer/rootfs on real overlay mounts: everything a container can do to its files, carried by copy and by diff, and compared name by
 * name. Needs root, and a file system below /var/tmp that overlay takes as an upper. Mounts live in a mount namespace of their own. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/rootfs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static char base_dir[] = "/var/tmp/ts-rootfs-XXXXXX";
static struct ts_host *host;

/* ---- small tools; each failure ends the test ---- */

#define MUST(what) CU_ASSERT_TRUE_FATAL(what)

/* One path below base_dir; a ring, so that several can be in one expression. */
static const char *at(const char *name)
{
        static char ring[16][512];
        static unsigned next;
        char *p = ring[next++ % 16];

        (void)snprintf(p, sizeof(ring[0]), "%s/%s", base_dir, name);
        return p;
}

static int run(const char *const argv[])
{
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        (void)waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(...) MUST(run((const char *const[]){ __VA_ARGS__, NULL }) == 0)

static void make_dir(const char *name)
{
        MUST(ts_mkdir_p(at(name), 0755, NULL) == 0);
}

static void write_file(const char *name, const char *text)
{
        int fd = open(at(name), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

        MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        (void)close(fd);
}

static void set_time(const char *name, time_t s, long ns)
{
        const struct timespec t[2] = { { .tv_sec = s, .tv_nsec = ns }, { .tv_sec = s, .tv_nsec = ns } };

        MUST(utimensat(AT_FDCWD, at(name), t, AT_SYMLINK_NOFOLLOW) == 0);
}

static void set_attribute(const char *name, const char *key, const void *value, size_t len)
{
        MUST(lsetxattr(at(name), key, value, len, 0) == 0);
}

/* volatile: unmounting would otherwise wait for the whole disk, which others use too; then a used work directory is refused. */
static void mount_overlay(const char *lowers, const char *name)
{
        ts_auto_free char *upper = ts_fmt("%s-upper", name);
        ts_auto_free char *work = ts_fmt("%s-work", name);
        ts_auto_free char *options = NULL;

        RUN("rm", "-rf", at(work));
        make_dir(upper);
        make_dir(work);
        make_dir(name);
        options = ts_fmt("lowerdir=%s,upperdir=%s,workdir=%s,volatile", lowers, at(upper), at(work));
        if (mount("overlay", at(name), "overlay", 0, options) == 0)
                return;
        *strrchr(options, ',') = '\0'; /* before Linux 5.10 */
        if (mount("overlay", at(name), "overlay", 0, options) == 0)
                return;
        (void)printf("\n    mount overlay %s: %s\n", options, strerror(errno));
        CU_FAIL_FATAL("overlay cannot be mounted");
}

static void unmount(const char *name)
{
        MUST(umount2(at(name), 0) == 0);
}

static void clean(void)
{
        RUN("find", base_dir, "-mindepth", "1", "-delete");
}

/* ---- what a tree is: one line a name ---- */

enum { RAW = 1, NO_DIR_TIMES = 2 }; /* RAW: overlay's attributes that must travel too */

/* The first name of each inode with several names, in order of path. */
struct links {
        struct {
                ino_t ino;
                char *path;
        } v[64];
        size_t n;
};

static const char *first_name(struct links *l, ino_t ino, const char *path)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->v[i].ino == ino)
                        return l->v[i].path;
        MUST(l->n < TS_ARRAY_LEN(l->v));
        l->v[l->n].ino = ino;
        l->v[l->n].path = strdup(path);
        return l->v[l->n++].path;
}

static int compare_text(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void describe_attributes(const char *path, int flags, struct ts_str *out)
{
        char names[4096], value[4096];
        const char *sorted[64] = { NULL };
        size_t n = 0;
        ssize_t len = llistxattr(path, names, sizeof(names));

        for (char *p = names; len > 0 && p < names + len; p += strlen(p) + 1)
                if (!strstr(p, ".overlay.") || ((flags & RAW) && strstr(p, ".overlay.opaque")))
                        sorted[n++] = p;
        qsort(sorted, n, sizeof(sorted[0]), compare_text);
        for (size_t i = 0; i < n; i++) {
                ssize_t got = lgetxattr(path, sorted[i], value, sizeof(value));

                MUST(got >= 0);
                MUST(ts_str_addf(out, NULL, " %s=", sorted[i]) == 0);
                for (ssize_t k = 0; k < got; k++)
                        MUST(ts_str_addf(out, NULL, "%02x", (unsigned char)value[k]) == 0);
        }
}

static void describe_content(const char *path, const struct stat *st, struct ts_str *out)
{
        char buf[65536];
        unsigned long long sum = 14695981039346656037ULL;
        ssize_t n;
        int fd;

        if (S_ISLNK(st->st_mode)) {
                n = readlink(path, buf, sizeof(buf) - 1);
                MUST(n >= 0 && ts_str_addf(out, NULL, " -> %.*s", (int)n, buf) == 0);
        } else if (S_ISREG(st->st_mode)) {
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
                while ((n = read(fd, buf, sizeof(buf))) > 0)
                        for (ssize_t i = 0; i < n; i++)
                                sum = (sum ^ (unsigned char)buf[i]) * 1099511628211ULL;
                (void)close(fd);
                MUST(n == 0 && ts_str_addf(out, NULL, " %lld bytes %016llx%s", (long long)st->st_size, sum,
                                           st->st_blocks * 512 < st->st_size / 2 ? " sparse" : "") == 0);
        }
}

static void describe(const char *path, const char *shown, int flags, struct links *links, struct ts_str *out)
{
        struct dirent **names = NULL;
        struct stat st;
        int n;

        MUST(lstat(path, &st) == 0);
        MUST(ts_str_addf(out, NULL, "%s %o %u:%u %u:%u", shown, st.st_mode, st.st_uid, st.st_gid, major(st.st_rdev), minor(st.st_rdev)) ==
             0);
        if (!S_ISDIR(st.st_mode) || !(flags & NO_DIR_TIMES))
                MUST(ts_str_addf(out, NULL, " %lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec) == 0);
        if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !(S_ISCHR(st.st_mode) && st.st_rdev == 0))
                MUST(ts_str_addf(out, NULL, " is %s", first_name(links, st.st_ino, shown)) == 0);
        describe_attributes(path, flags, out);
        describe_content(path, &st, out);
        MUST(ts_str_adds(out, "\n", NULL) == 0);
        if (!S_ISDIR(st.st_mode))
                return;
        n = scandir(path, &names, NULL, NULL);
        MUST(n >= 0);
        for (int i = 0; i < n; i++) /* sorted as bytes */
                for (int k = i + 1; k < n; k++)
                        if (strcmp(names[k]->d_name, names[i]->d_name) < 0) {
                                struct dirent *t = names[i];

                                names[i] = names[k];
                                names[k] = t;
                        }
        for (int i = 0; i < n; i++) {
                ts_auto_free char *child = ts_fmt("%s/%s", path, names[i]->d_name);
                ts_auto_free char *child_shown = ts_fmt("%s/%s", shown, names[i]->d_name);

                if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
                        describe(child, child_shown, flags, links, out);
                free(names[i]);
        }
        free(names);
}

static struct ts_str manifest(const char *name, int flags)
{
        struct ts_str out = TS_STR_INIT;
        struct links links = { .n = 0 };

        describe(at(name), "", flags, &links, &out);
        for (size_t i = 0; i < links.n; i++)
                free(links.v[i].path);
        return out;
}

static void same_tree(const char *a, const char *b, int flags)
{
        ts_auto_str x = manifest(a, flags);
        ts_auto_str y = manifest(b, flags);
        const char *p = ts_str_cstr(&x), *q = ts_str_cstr(&y);

        while (*p && *p == *q) {
                const char *line = strchr(p, '\n');

                if (!line || strncmp(p, q, (size_t)(line + 1 - p)) != 0)
                        break;
                q += line + 1 - p;
                p = line + 1;
        }
        if (*p || *q)
                (void)printf("\n    %s: %.*s\n    %s: %.*s\n", a, (int)strcspn(p, "\n"), p, b, (int)strcspn(q, "\n"), q);
        CU_ASSERT_STRING_EQUAL(ts_str_cstr(&x), ts_str_cstr(&y));
}

/* ---- a container and what it does ---- */

#define LONG "name-of-more-than-a-hundred-bytes-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789-0123456789"
static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 0x20 }; /* CAP_NET_RAW, effective */

/* Two layers; the upper one of them deletes and hides too. */
static const char *make_lowers(void)
{
        static char option[1100];

        make_dir("low1/etc/apt");
        make_dir("low1/opaque/sub/deep");
        make_dir("low1/gone/inner");
        make_dir("low1/becomes-file/x");
        make_dir("low1/becomes-link");
        make_dir("low1/only-mode");
        make_dir("low1/kept");
        write_file("low1/etc/modified", "before");
        write_file("low1/etc/deleted", "before");
        write_file("low1/etc/hardlinked", "before");
        write_file("low1/etc/renamed", "before");
        write_file("low1/etc/owner", "before");
        write_file("low1/etc/apt/hidden-by-low2", "before");
        write_file("low1/opaque/old", "before");
        write_file("low1/opaque/both", "before");
        write_file("low1/opaque/sub/old", "before");
        write_file("low1/opaque/sub/deep/old", "before");
        write_file("low1/opaque/file-then-dir", "before");
        write_file("low1/gone/inner/x", "before");
        write_file("low1/becomes-dir", "before");
        write_file("low1/becomes-file/x/y", "before");
        write_file("low1/kept/same", "before");
        MUST(symlink("modified", at("low1/etc/deleted-link")) == 0);
        MUST(symlink("old", at("low1/opaque/old-link")) == 0);
        make_dir("low2/etc/apt");
        make_dir("low2/opaque/from-low2");
        write_file("low2/opaque/from-low2/x", "before");
        set_attribute("low2/etc/apt", "trusted.overlay.opaque", "y", 1);
        MUST(mknod(at("low2/opaque/both"), S_IFCHR, makedev(0, 0)) == 0);
        MUST(chmod(at("low1/kept"), 0750) == 0);
        (void)snprintf(option, sizeof(option), "%s:%s", at("low2"), at("low1"));
        return option;
}

static void change_names(void)
{
        write_file("m/etc/modified", "after, and longer");
        MUST(unlink(at("m/etc/deleted")) == 0);
        MUST(unlink(at("m/etc/deleted-link")) == 0);
        MUST(rename(at("m/etc/renamed"), at("m/etc/new-name")) == 0);
        MUST(link(at("m/etc/hardlinked"), at("m/etc/hardlinked-too")) == 0);
        RUN("rm", "-r", at("m/gone"));
        RUN("rm", "-r", at("m/opaque"));
        make_dir("m/opaque/sub");
        make_dir("m/opaque/file-then-dir");
        write_file("m/opaque/both", "after");
        write_file("m/opaque/new", "after");
        write_file("m/opaque/sub/new", "after");
        write_file("m/opaque/file-then-dir/x", "after");
        write_file("m/opaque/from-low2", "a file now");
        RUN("rm", "-r", at("m/becomes-file"), at("m/becomes-link"), at("m/becomes-dir"));
        write_file("m/becomes-file", "after");
        MUST(symlink("kept", at("m/becomes-link")) == 0);
        make_dir("m/becomes-dir/with");
        write_file("m/becomes-dir/with/child", "after");
        write_file("m/new\nline", "after");
        write_file("m/-C", "after");
        write_file("m/back\\slash \"quoted\" 'too' $HOME `x`", "after");
        write_file("m/latin-\xe4", "after");
        make_dir("m/" LONG "/" LONG);
        write_file("m/" LONG "/" LONG "/" LONG, "after");
}

static void change_kinds(void)
{
        static char megabyte[1 << 20];
        int fd;

        make_dir("m/new/empty");
        MUST(mkfifo(at("m/new/fifo"), 0640) == 0);
        MUST(mknod(at("m/new/char"), S_IFCHR | 0666, makedev(1, 3)) == 0);
        MUST(mknod(at("m/new/block"), S_IFBLK | 0660, makedev(7, 200)) == 0);
        MUST(symlink("/etc/modified", at("m/new/absolute")) == 0);
        MUST(symlink("../nowhere", at("m/new/dangling")) == 0);
        write_file("m/new/a", "linked");
        MUST(link(at("m/new/a"), at("m/new/b")) == 0);
        write_file("m/new/empty-file", "");
        for (size_t i = 0; i < sizeof(megabyte); i++)
                megabyte[i] = (char)(i * 2654435761U >> 11);
        fd = open(at("m/new/sparse"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        MUST(fd >= 0 && pwrite(fd, megabyte, sizeof(megabyte), 5 << 20) == (ssize_t)sizeof(megabyte) && ftruncate(fd, 64 << 20) == 0);
        (void)close(fd);
        fd = open(at("m/new/hollow"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        MUST(fd >= 0 && ftruncate(fd, 3 << 20) == 0);
        (void)close(fd);
        fd = open(at("m/new/big"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        MUST(fd >= 0 && write(fd, megabyte, sizeof(megabyte)) == (ssize_t)sizeof(megabyte));
        (void)close(fd);
}

static void change_attributes(void)
{
        static const unsigned char acl[] = {
                2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   6,  0, 12, 0, 0,   0,   4,   0,
                5, 0, 255, 255, 255, 255, 16, 0, 7,   0,   255, 255, 255, 255, 32, 0, 5,  0, 255, 255, 255, 255
        };

        MUST(chmod(at("m/only-mode"), 02770) == 0 && chown(at("m/only-mode"), 12345, 54321) == 0);
        MUST(chown(at("m/etc/owner"), 4000000, 7) == 0 && chmod(at("m/etc/owner"), 04711) == 0);
        MUST(lchown(at("m/new/dangling"), 33, 44) == 0);
        set_attribute("m/new/a", "user.note", "val\0ue\n=x", 9);
        set_attribute("m/new/b", "trusted.own", "t", 1);
        set_attribute("m/new/big", "security.capability", capability, sizeof(capability));
        set_attribute("m/new", "system.posix_acl_default", acl, sizeof(acl));
        set_attribute("m/new/empty-file", "system.posix_acl_access", acl, sizeof(acl));
        set_time("m/new/dangling", 1000000000, 1);
        set_time("m/new/big", 1234567890, 123456789);
        set_time("m/new/fifo", 4102444800, 0);
        set_time("m/only-mode", 1111111111, 999999999);
        set_time("m/new/empty", 5, 5);
}

static const char *make_container(void)
{
        const char *lowers = make_lowers();

        mount_overlay(lowers, "m");
        change_names();
        change_kinds();
        change_attributes();
        return lowers;
}

/* ---- diff ---- */

static bool has(const struct ts_list *l, const char *s)
{
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->v[i], s) == 0)
                        return true;
        return false;
}

/* What Podman does: unpack over the image, then remove. Returns the size of the tar. */
static uint64_t apply_as_podman(const struct ts_rootfs_plan *p, const char *upper, const char *into)
{
        struct ts_err err = TS_ERR_INIT;
        ts_auto(ts_proc) struct ts_proc *proc = NULL;
        static char buf[1 << 18];
        uint64_t size = 0;
        ssize_t n;
        int fd = open(at("diff.tar"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

        UNIT_OK(ts_rootfs_diff_start(host, at(upper), p, at("list"), &proc, &err));
        while ((n = ts_read_some(ts_proc_fd(proc), buf, sizeof(buf), ts_deadline_in_ms(20000), false, &err)) > 0) {
                MUST(write(fd, buf, (size_t)n) == n);
                size += (uint64_t)n;
        }
        MUST(n == 0);
        UNIT_OK(ts_proc_finish(proc, ts_deadline_in_ms(20000), &err));
        (void)close(fd);
        for (size_t i = 0; i < p->include.n; i++) { /* Podman replaces a directory by whatever comes, tar does not */
                ts_auto_free char *from = ts_fmt("%s/%s", at(upper), p->include.v[i]);
                ts_auto_free char *to = ts_fmt("%s/%s", at(into), p->include.v[i]);
                struct stat a, b;

                if (lstat(from, &a) == 0 && lstat(to, &b) == 0 && !S_ISDIR(a.st_mode) && S_ISDIR(b.st_mode))
                        RUN("rm", "-r", to);
        }
        RUN("tar", "-C", at(into), "-xf", at("diff.tar"), "--numeric-owner", "--same-owner", "-p", "--xattrs", "--xattrs-include=*",
            "--delay-directory-restore", "--warning=no-timestamp");
        for (size_t i = 0; i < p->deleted.n; i++) {
                ts_auto_free char *path = ts_fmt("%s%s", at(into), p->deleted.v[i]);

                RUN("rm", "-rf", path);
        }
        return size;
}

static void check_diff(const struct ts_rootfs_change *changes, size_t n)
{
        struct ts_err err = TS_ERR_INIT;
        const char *lowers = make_container();
        const char *const dirs[] = { at("low2"), at("low1") };
        ts_auto_rootfs_plan p = { 0 };
        uint64_t size = 0;

        unmount("m");
        UNIT_OK(ts_rootfs_diff_plan(host, at("m-upper"), dirs, 2, changes, n, &p, &err));
        UNIT_OK(ts_rootfs_diff_size(host, at("m-upper"), &p, &size, &err));
        mount_overlay(lowers, "n");
        CU_ASSERT_EQUAL(apply_as_podman(&p, "m-upper", "n"), size);
        UNIT_STR(p.deleted_json, "[\"/etc/deleted\",\"/etc/deleted-link\",\"/etc/renamed\",\"/gone\",\"/opaque/old\",\"/opaque/"
                                 "old-link\",\"/opaque/sub/deep\",\"/opaque/sub/old\"]");
        CU_ASSERT_EQUAL(p.deleted_links.n, 2);
        CU_ASSERT_TRUE(has(&p.deleted_links, "/etc/deleted-link") && has(&p.deleted_links, "/opaque/old-link"));
        CU_ASSERT_TRUE(has(&p.include, "opaque") && has(&p.include, "only-mode") && has(&p.include, "-C"));
        CU_ASSERT_FALSE(has(&p.include, "gone") || has(&p.include, "kept") || has(&p.include, "etc/deleted"));
        mount_overlay(lowers, "m");
        same_tree("m", "n", NO_DIR_TIMES); /* deleting touches the directories, with Podman too */
        unmount("m");
        unmount("n");
        clean();
}

static void diffs_the_whole_upper(void)
{
        check_diff(NULL, 0);
}

/* As Podman 5.4.2 reports this container: see the header for its view of directories made again. */
static void diffs_what_the_engine_reports(void)
{
        static const struct ts_rootfs_change changes[] = { { 0, "/" LONG },
                                                           { 1, "/" LONG "/" LONG },
                                                           { 1, "/" LONG "/" LONG "/" LONG },
                                                           { 1, "/-C" },
                                                           { 1, "/back\\slash \"quoted\" 'too' $HOME `x`" },
                                                           { 1, "/latin-\xe4" },
                                                           { 1, "/new\nline" },
                                                           { 0, "/becomes-file" },
                                                           { 0, "/becomes-link" },
                                                           { 2, "/becomes-dir" },
                                                           { 1, "/becomes-dir/with" },
                                                           { 1, "/becomes-dir/with/child" },
                                                           { 0, "/etc" },
                                                           { 2, "/etc/deleted" },
                                                           { 2, "/etc/deleted-link" },
                                                           { 0, "/etc/hardlinked" },
                                                           { 1, "/etc/hardlinked-too" },
                                                           { 0, "/etc/modified" },
                                                           { 1, "/etc/new-name" },
                                                           { 0, "/etc/owner" },
                                                           { 2, "/etc/renamed" },
                                                           { 2, "/gone" },
                                                           { 1, "/new" },
                                                           { 1, "/new/a" },
                                                           { 1, "/new/absolute" },
                                                           { 1, "/new/b" },
                                                           { 1, "/new/big" },
                                                           { 1, "/new/block" },
                                                           { 1, "/new/char" },
                                                           { 1, "/new/dangling" },
                                                           { 1, "/new/empty" },
                                                           { 1, "/new/empty-file" },
                                                           { 1, "/new/fifo" },
                                                           { 1, "/new/hollow" },
                                                           { 1, "/new/sparse" },
                                                           { 0, "/only-mode" },
                                                           { 2, "/opaque" },
                                                           { 1, "/opaque/both" },
                                                           { 0, "/opaque/file-then-dir" },
                                                           { 1, "/opaque/file-then-dir/x" },
                                                           { 0, "/opaque/from-low2" },
                                                           { 1, "/opaque/new" },
                                                           { 0, "/opaque/sub" },
                                                           { 1, "/opaque/sub/new" } };

        check_diff(changes, TS_ARRAY_LEN(changes));
}

static void leaves_out_what_podman_makes(void)
{
        struct ts_err err = TS_ERR_INIT;
        const char *const dirs[] = { at("low1") };
        ts_auto_rootfs_plan p = { 0 };
        uint64_t size = 7;
        struct ts_proc *proc = NULL;

        make_dir("low1/etc");
        make_dir("m-upper/run/secrets");
        make_dir("m-upper/proc");
        make_dir("m-upper/etc");
        write_file("m-upper/etc/hosts", "");
        write_file("m-upper/run/.containerenv", "");
        RUN("python3", "-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", at("m-upper/run/socket"));
        UNIT_OK(ts_rootfs_diff_plan(host, at("m-upper"), dirs, 1, NULL, 0, &p, &err));
        CU_ASSERT_EQUAL(p.include.n, 1);
        UNIT_STR(p.include.v[0], "etc");
        CU_ASSERT_PTR_NULL(p.deleted_json);
        ts_rootfs_plan_clear(&p);
        UNIT_OK(ts_rootfs_diff_plan(host, at("m-upper"), dirs, 1, (const struct ts_rootfs_change[]){ { 2, "/x" } }, 1, &p, &err));
        CU_ASSERT_EQUAL(p.include.n, 0);
        UNIT_OK(ts_rootfs_diff_size(host, at("m-upper"), &p, &size, &err));
        CU_ASSERT_EQUAL(size, 0);
        UNIT_FAILS(ts_rootfs_diff_start(host, at("m-upper"), &p, at("list"), &proc, &err), TS_EUSAGE);
        clean();
}

static void refused_diff(enum ts_code want, const char *upper, const struct ts_rootfs_change *changes, size_t n)
{
        struct ts_err err = TS_ERR_INIT;
        const char *const dirs[] = { at("low1") };
        struct ts_rootfs_plan p = { 0 };

        UNIT_FAILS(ts_rootfs_diff_plan(host, upper, dirs, 1, changes, n, &p, &err), want);
        CU_ASSERT_EQUAL(p.include.n, 0);
        clean();
        make_dir("low1");
        make_dir("u/d");
}

static void refuses_what_a_diff_cannot_carry(void)
{
        static const struct ts_rootfs_change missing = { 1, "/missing" };
        static const char *const out[] = { "../x", "../../x", "a/../../../x", "./../d/../../x", ".." };
        static const char *const in[] = { "/../../x", "x", ".", "../d/x", "a/b/../../../d" };

        make_dir("low1");
        make_dir("u/d");
        refused_diff(TS_EUSAGE, "relative", NULL, 0);
        refused_diff(TS_ECOMMAND, "/does-not-exist", NULL, 0);
        refused_diff(TS_EREFUSED, at("u"), &missing, 1);
        write_file("u/meta", "");
        MUST(truncate(at("u/meta"), 5000) == 0);
        set_attribute("u/meta", "trusted.overlay.metacopy", "", 0);
        refused_diff(TS_EREFUSED, at("u"), NULL, 0);
        set_attribute("u/d", "trusted.overlay.redirect", "/else", 5);
        refused_diff(TS_EREFUSED, at("u"), NULL, 0);
        MUST(mknod(at("u/latin-\xe4"), S_IFCHR, makedev(0, 0)) == 0);
        refused_diff(TS_EREFUSED, at("u"), NULL, 0);
        for (size_t i = 1; i < TS_ARRAY_LEN(out); i++) {
                MUST(symlink(out[i], at(i == 4 ? "u/link" : "u/d/link")) == 0);
                refused_diff(TS_EREFUSED, at("u"), NULL, 0);
        }
        for (size_t i = 0; i < TS_ARRAY_LEN(in); i++) {
                const char *const dirs[] = { at("low1") };
                ts_auto_rootfs_plan p = { 0 };
                struct ts_err err = TS_ERR_INIT;

                MUST(symlink(in[i], at("u/d/link")) == 0);
                UNIT_OK(ts_rootfs_diff_plan(host, at("u"), dirs, 1, NULL, 0, &p, &err));
                MUST(unlink(at("u/d/link")) == 0);
        }
        clean();
}

/* Without the care taken here Podman would remove what was just unpacked. */
static void lists_only_what_is_hidden(void)
{
        struct ts_err err = TS_ERR_INIT;
        const char *const dirs[] = { at("low2"), at("low1") };
        ts_auto_rootfs_plan p = { 0 };

        make_dir("low1/d/sub/deep");
        write_file("low1/d/sub/deep/x", "x");
        write_file("low1/d/file", "x");
        make_dir("low1/d/dir-then-file/x");
        make_dir("low2/d/sub");
        make_dir("u/d/sub");
        write_file("low2/d/sub/\"q\"\n", "x");
        write_file("u/d/dir-then-file", "x");
        make_dir("u/d/new/new");
        set_attribute("u/d", "trusted.overlay.opaque", "y", 1);
        set_attribute("u/d/new", "trusted.overlay.opaque", "y", 1);
        UNIT_OK(ts_rootfs_diff_plan(host, at("u"), dirs, 2, NULL, 0, &p, &err));
        UNIT_STR(p.deleted_json, "[\"/d/file\",\"/d/sub/\\u0022q\\u0022\\u000a\",\"/d/sub/deep\"]");
        CU_ASSERT_EQUAL(p.include.n, 5);
        clean();
}

static void copes_with_many_names(void)
{
        struct ts_err err = TS_ERR_INIT;
        ts_auto_rootfs_plan p = { 0 };
        uint64_t size = 0;

        make_dir("low1/was");
        make_dir("u/was");
        make_dir("u/is");
        set_attribute("u/was", "trusted.overlay.opaque", "y", 1);
        for (int i = 0; i < 4000; i++) {
                ts_auto_free char *was = ts_fmt("low1/was/%d-a-name-of-some-length", i);
                ts_auto_free char *is = ts_fmt("u/is/%d", i);
                ts_auto_free char *gone = ts_fmt("u/gone-%d", i);

                MUST(mknod(at(was), S_IFREG | 0644, 0) == 0 && mkdir(at(is), 0755) == 0);
                MUST(i >= 300 || mknod(at(gone), S_IFCHR, makedev(0, 0)) == 0);
        }
        UNIT_OK(ts_rootfs_diff_plan(host, at("u"), (const char *const[]){ at("low1") }, 1, NULL, 0, &p, &err));
        CU_ASSERT_EQUAL_FATAL(p.deleted.n, 4300);
        CU_ASSERT_EQUAL(p.include.n, 4002);
        make_dir("n");
        UNIT_OK(ts_rootfs_diff_size(host, at("u"), &p, &size, &err));
        p.deleted.n = 0; /* one rm each takes too long here */
        CU_ASSERT_EQUAL(apply_as_podman(&p, "u", "n"), size);
        p.deleted.n = 4300;
        clean();
}

static CU_TestInfo tests[] = { UNIT(diffs_the_whole_upper),
                               UNIT(diffs_what_the_engine_reports),
                               UNIT(leaves_out_what_podman_makes),
                               UNIT(refuses_what_a_diff_cannot_carry),
                               UNIT(lists_only_what_is_hidden),
                               UNIT(copes_with_many_names),
                               CU_TEST_INFO_NULL };

int main(int argc, char **argv)
{
        struct ts_err err = TS_ERR_INIT;
        int rc;

        (void)setvbuf(stdout, NULL, _IOLBF, 0);
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(base_dir) ||
            ts_host_local(&host, &err) < 0) {
                (void)printf("unit rootfs: needs root and /var/tmp: %s\n", err.message ? err.message : strerror(errno));
                return 1;
        }
        rc = unit_run("rootfs", tests, argc > 1 ? argv[1] : NULL);
        ts_host_free(host);
        (void)umount2(at("m"), MNT_DETACH);
        (void)umount2(at("n"), MNT_DETACH);
        (void)umount2(at("w"), MNT_DETACH);
        (void)run((const char *const[]){ "rm", "-rf", "--one-file-system", base_dir, NULL });
        return rc;
}
