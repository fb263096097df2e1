/* Open files, locks, directories, devices. */
#include "holds.h"

#include <dirent.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <termios.h>

static int a = -1, b = -1;
static char name[64];

/* A file of its own with a text in it, in `a`. */
static int file(const char *called, int flags)
{
        (void)snprintf(name, sizeof(name), "/tmp/%s", called);
        TRY(a = open(name, O_CREAT | O_RDWR | flags, 0600));
        return put(a, "0123456789");
}

static int holds_text(int fd)
{
        char found[32] = "";

        TRY(pread(fd, found, sizeof(found) - 1, 0));
        WANT(strcmp(found, "0123456789") == 0);
        return 0;
}

static int file_position_make(void)
{
        if (file("position", 0) < 0)
                return -1;
        TRY(lseek(a, 7, SEEK_SET));
        return 0;
}

static int file_position_check(void)
{
        WANT(lseek(a, 0, SEEK_CUR) == 7);
        return holds_text(a);
}

static int file_flags_make(void)
{
        if (file("flags", O_APPEND | O_NONBLOCK | O_NOATIME | O_DSYNC) < 0)
                return -1;
        TRY(fcntl(a, F_SETFD, FD_CLOEXEC));
        return 0;
}

static int file_flags_check(void)
{
        const int all = O_APPEND | O_NONBLOCK | O_NOATIME | O_DSYNC;

        WANT((fcntl(a, F_GETFL) & all) == all);
        WANT(fcntl(a, F_GETFD) == FD_CLOEXEC);
        return 0;
}

static int file_deleted_make(void)
{
        if (file("deleted", 0) < 0)
                return -1;
        TRY(unlink(name));
        return 0;
}

static int file_deleted_check(void)
{
        struct stat s;

        TRY(fstat(a, &s));
        WANT(s.st_nlink == 0);
        return holds_text(a);
}

static int file_unnamed_make(void)
{
        TRY(a = open("/tmp", O_TMPFILE | O_RDWR, 0600));
        return put(a, "0123456789");
}

static int file_unnamed_check(void)
{
        return holds_text(a);
}

/* Deleted, with a file of the same name since. */
static int file_replaced_make(void)
{
        if (file("replaced", 0) < 0)
                return -1;
        TRY(unlink(name));
        TRY(b = open(name, O_CREAT | O_RDWR, 0600));
        return put(b, "new");
}

static int file_replaced_check(void)
{
        char found[8] = "";

        TRY(pread(b, found, 7, 0));
        WANT(strcmp(found, "new") == 0);
        return holds_text(a);
}

static int file_linked_make(void)
{
        if (file("linked", 0) < 0)
                return -1;
        TRY(link(name, "/tmp/linked-too"));
        TRY(unlink(name));
        return 0;
}

static int file_linked_check(void)
{
        return holds_text(a);
}

static int file_dup_make(void)
{
        if (file("dup", 0) < 0)
                return -1;
        TRY(b = fcntl(a, F_DUPFD, 900));
        return 0;
}

static int file_dup_check(void)
{
        WANT(b >= 900);
        TRY(lseek(a, 3, SEEK_SET));
        WANT(lseek(b, 0, SEEK_CUR) == 3);
        return 0;
}

static int file_owner_make(void)
{
        int p[2];

        TRY(pipe(p));
        a = p[0];
        TRY(fcntl(a, F_SETOWN, getpid()));
        TRY(fcntl(a, F_SETSIG, SIGRTMIN + 1));
        return 0;
}

static int file_owner_check(void)
{
        WANT(fcntl(a, F_GETOWN) == getpid());
        WANT(fcntl(a, F_GETSIG) == SIGRTMIN + 1);
        return 0;
}

static int file_path_make(void)
{
        if (file("path", 0) < 0)
                return -1;
        (void)close(a);
        TRY(a = open(name, O_PATH));
        return 0;
}

static int file_path_check(void)
{
        WANT(fcntl(a, F_GETFL) & O_PATH);
        return 0;
}

static int file_write_hint_make(void)
{
        uint64_t hint = RWH_WRITE_LIFE_LONG;

        if (file("hint", 0) < 0)
                return -1;
        TRY(fcntl(a, F_SET_RW_HINT, &hint));
        return 0;
}

static int file_write_hint_check(void)
{
        uint64_t hint = 0;

        TRY(fcntl(a, F_GET_RW_HINT, &hint));
        WANT(hint == RWH_WRITE_LIFE_LONG);
        return 0;
}

static int lock_flock_make(void)
{
        if (file("flock", 0) < 0)
                return -1;
        TRY(flock(a, LOCK_EX));
        return 0;
}

static int lock_flock_check(void)
{
        int other;

        TRY(other = open(name, O_RDWR));
        WANT(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
        return close(other);
}

static int locked(void)
{
        struct flock l = { .l_type = F_WRLCK, .l_start = 2, .l_len = 3 };
        int other, status;
        pid_t child;

        TRY(child = fork());
        if (child == 0) {
                other = open(name, O_RDWR);
                _exit(other >= 0 && fcntl(other, F_GETLK, &l) == 0 && l.l_type == F_WRLCK &&
                                      l.l_start == 2 && l.l_len == 3
                              ? 0
                              : 1);
        }
        TRY(waitpid(child, &status, 0));
        WANT(status == 0);
        return 0;
}

static int lock_posix_make(void)
{
        struct flock l = { .l_type = F_WRLCK, .l_start = 2, .l_len = 3 };

        if (file("posix", 0) < 0)
                return -1;
        TRY(fcntl(a, F_SETLK, &l));
        return 0;
}

static int lock_posix_check(void)
{
        return locked();
}

static int lock_ofd_make(void)
{
        struct flock l = { .l_type = F_WRLCK, .l_start = 2, .l_len = 3 };

        if (file("ofd", 0) < 0)
                return -1;
        TRY(fcntl(a, F_OFD_SETLK, &l));
        return 0;
}

static int lock_ofd_check(void)
{
        return locked();
}

/* A process that waits for a lock which another one has. */
static int lock_waiting_make(void)
{
        struct flock l = { .l_type = F_WRLCK, .l_start = 2, .l_len = 3 };
        pid_t child;

        if (file("waiting", 0) < 0)
                return -1;
        TRY(fcntl(a, F_SETLK, &l));
        TRY(child = fork());
        if (child == 0) {
                (void)fcntl(a, F_SETLKW, &l);
                _exit(0);
        }
        (void)nap(50);
        return 0;
}

static int lock_waiting_check(void)
{
        WANT(waitpid(-1, NULL, WNOHANG) == 0);
        return locked();
}

static int lease_make(void)
{
        if (file("lease", 0) < 0)
                return -1;
        TRY(fcntl(a, F_SETLEASE, F_WRLCK));
        return 0;
}

static int lease_check(void)
{
        WANT(fcntl(a, F_GETLEASE) == F_WRLCK);
        return 0;
}

static int directory_make(void)
{
        TRY(mkdir("/tmp/directory", 0700));
        TRY(mkdir("/tmp/directory/in", 0700));
        TRY(a = open("/tmp/directory", O_RDONLY | O_DIRECTORY));
        return 0;
}

static int directory_check(void)
{
        TRY(faccessat(a, "in", F_OK, 0));
        return 0;
}

static int directory_deleted_make(void)
{
        TRY(mkdir("/tmp/directory-deleted", 0700));
        TRY(a = open("/tmp/directory-deleted", O_RDONLY | O_DIRECTORY));
        TRY(rmdir("/tmp/directory-deleted"));
        return 0;
}

static int directory_deleted_check(void)
{
        struct stat s;

        TRY(fstat(a, &s));
        WANT(S_ISDIR(s.st_mode));
        return 0;
}

static int directory_notify_make(void)
{
        TRY(mkdir("/tmp/noted", 0700));
        TRY(a = open("/tmp/noted", O_RDONLY | O_DIRECTORY));
        (void)signal(SIGIO, SIG_IGN);
        TRY(fcntl(a, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
        return 0;
}

static volatile sig_atomic_t noted;

static void note(int number)
{
        (void)number;
        noted = 1;
}

static int directory_notify_check(void)
{
        noted = 0;
        (void)signal(SIGIO, note);
        TRY(b = open("/tmp/noted/new", O_CREAT | O_RDWR, 0600));
        (void)close(b);
        TRY(unlink("/tmp/noted/new"));
        (void)nap(20);
        WANT(noted);
        return 0;
}

static int device(const char *path)
{
        (void)snprintf(name, sizeof(name), "%s", path);
        TRY(a = open(path, O_RDWR));
        return 0;
}

static int device_is(void)
{
        struct stat is, should;

        TRY(fstat(a, &is));
        TRY(stat(name, &should));
        WANT(is.st_rdev == should.st_rdev);
        return 0;
}

static int dev_null_make(void)
{
        return device("/dev/null");
}

static int dev_null_check(void)
{
        return device_is();
}

static int dev_zero_make(void)
{
        return device("/dev/zero");
}

static int dev_zero_check(void)
{
        return device_is();
}

static int dev_urandom_make(void)
{
        return device("/dev/urandom");
}

static int dev_urandom_check(void)
{
        return device_is();
}

static int dev_full_make(void)
{
        return device("/dev/full");
}

static int dev_full_check(void)
{
        return device_is();
}

static int dev_fuse_make(void)
{
        return device("/dev/fuse");
}

static int dev_fuse_check(void)
{
        return device_is();
}

static int dev_loop_make(void)
{
        return device("/dev/loop7");
}

static int dev_loop_check(void)
{
        return device_is();
}

static int dev_net_tun_make(void)
{
        struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };

        (void)mkdir("/dev/net", 0755);
        (void)mknod("/dev/net/tun", S_IFCHR | 0600, makedev(10, 200));
        if (device("/dev/net/tun") < 0)
                return -1;
        TRY(ioctl(a, TUNSETIFF, &r));
        return 0;
}

static int dev_net_tun_check(void)
{
        struct ifreq r;

        TRY(ioctl(a, TUNGETIFF, &r));
        return 0;
}

static int proc_file_make(void)
{
        TRY(a = open("/proc/self/status", O_RDONLY));
        TRY(b = open("/proc/sys/kernel/hostname", O_RDONLY));
        return 0;
}

static int proc_file_check(void)
{
        char found[200] = "";

        TRY(lseek(a, 0, SEEK_SET));
        TRY(read(a, found, sizeof(found) - 1));
        WANT(strncmp(found, "Name:", 5) == 0);
        return 0;
}

static int proc_other_make(void)
{
        (void)snprintf(name, sizeof(name), "/proc/%d/stat", sleeper());
        TRY(a = open(name, O_RDONLY));
        return 0;
}

static int proc_other_check(void)
{
        char byte;

        TRY(pread(a, &byte, 1, 0));
        return 0;
}

/* Of a process that has ended since. */
static int proc_ended_make(void)
{
        pid_t child = sleeper();

        (void)snprintf(name, sizeof(name), "/proc/%d/stat", child);
        TRY(a = open(name, O_RDONLY));
        TRY(kill(child, SIGKILL));
        TRY(waitpid(child, NULL, 0));
        return 0;
}

static int proc_ended_check(void)
{
        char byte;

        WANT(pread(a, &byte, 1, 0) < 0 && errno == ESRCH);
        return 0;
}

static int sys_file_make(void)
{
        TRY(a = open("/sys/devices/system/cpu/online", O_RDONLY));
        return 0;
}

static int sys_file_check(void)
{
        char byte;

        TRY(pread(a, &byte, 1, 0));
        WANT(byte == '0');
        return 0;
}

static int cgroup_directory_make(void)
{
        TRY(a = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY));
        return 0;
}

static int cgroup_directory_check(void)
{
        TRY(faccessat(a, ".", F_OK, 0));
        return 0;
}

static int ns_file_make(void)
{
        TRY(a = open("/proc/self/ns/net", O_RDONLY));
        TRY(b = open("/proc/self/ns/uts", O_RDONLY));
        return 0;
}

static int ns_file_check(void)
{
        struct stat is, should;

        TRY(fstat(a, &is));
        TRY(stat("/proc/self/ns/net", &should));
        WANT(is.st_ino == should.st_ino);
        return 0;
}

static int terminal(void)
{
        struct termios t;

        TRY(a = posix_openpt(O_RDWR | O_NOCTTY));
        TRY(grantpt(a));
        TRY(unlockpt(a));
        TRY(b = open(ptsname(a), O_RDWR | O_NOCTTY));
        TRY(tcgetattr(b, &t));
        cfmakeraw(&t);
        t.c_cc[VERASE] = 'Q';
        TRY(tcsetattr(b, TCSANOW, &t));
        TRY(ioctl(a, TIOCSWINSZ, &(struct winsize){ .ws_row = 77, .ws_col = 33 }));
        return 0;
}

static int terminal_is(void)
{
        struct winsize w = { 0 };
        struct termios t;

        TRY(tcgetattr(b, &t));
        WANT(!(t.c_lflag & (ICANON | ECHO)) && t.c_cc[VERASE] == 'Q');
        TRY(ioctl(b, TIOCGWINSZ, &w));
        WANT(w.ws_row == 77 && w.ws_col == 33);
        return 0;
}

static int terminal_make(void)
{
        return terminal();
}

static int terminal_check(void)
{
        char found[8] = "";

        if (terminal_is() < 0 || put(a, "typed") < 0)
                return -1;
        (void)nap(20);
        TRY(read(b, found, sizeof(found)));
        WANT(strcmp(found, "typed") == 0);
        return 0;
}

static int terminal_typed_make(void)
{
        if (terminal() < 0 || put(a, "typed") < 0 || put(b, "shown") < 0)
                return -1;
        return nap(20);
}

static int terminal_typed_check(void)
{
        if (through(b, a, "typed") < 0 || through(a, b, "shown") < 0)
                return -1;
        (void)nap(20); /* the terminal hands it over by itself */
        return terminal_is();
}

static int terminal_controlling_make(void)
{
        TRY(setsid());
        if (terminal() < 0)
                return -1;
        TRY(ioctl(b, TIOCSCTTY, 0));
        return 0;
}

static int terminal_controlling_check(void)
{
        int tty;

        TRY(tty = open("/dev/tty", O_RDWR));
        (void)close(tty);
        WANT(tcgetpgrp(b) == getpid() && tcgetsid(b) == getpid());
        return terminal_is();
}

static int dev_tty_make(void)
{
        if (terminal_controlling_make() < 0)
                return -1;
        TRY(a = open("/dev/tty", O_RDWR)); /* the master stays open, below another number */
        return 0;
}

static int dev_tty_check(void)
{
        struct winsize w = { 0 };

        TRY(ioctl(a, TIOCGWINSZ, &w));
        WANT(w.ws_row == 77);
        return 0;
}

/* The master is gone: who reads gets an error. */
static int terminal_hung_up_make(void)
{
        if (terminal() < 0)
                return -1;
        return close(a);
}

static int terminal_hung_up_check(void)
{
        struct pollfd p = { .fd = b, .events = POLLIN };

        WANT(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
        return 0;
}

/* Mounted in a mount namespace of its own process, or in the container's. */
static int mount_tmpfs_make(void)
{
        TRY(mkdir("/tmp/mounted", 0700));
        TRY(mount("it", "/tmp/mounted", "tmpfs", MS_NOSUID, "size=1m"));
        TRY(a = open("/tmp/mounted/in", O_CREAT | O_RDWR, 0600));
        return put(a, "0123456789");
}

static int mount_tmpfs_check(void)
{
        if (holds_text(a) < 0)
                return -1;
        TRY(access("/tmp/mounted/in", F_OK));
        return 0;
}

static int mount_bind_make(void)
{
        TRY(mkdir("/tmp/bound", 0700));
        TRY(mount("/srv", "/tmp/bound", NULL, MS_BIND, NULL));
        return 0;
}

static int mount_bind_check(void)
{
        TRY(access("/tmp/bound/files/one", F_OK));
        return 0;
}

static int mount_detached_make(void)
{
        TRY(a = (int)syscall(SYS_open_tree, AT_FDCWD, "/srv", 1 /* OPEN_TREE_CLONE */));
        return 0;
}

static int mount_detached_check(void)
{
        TRY(faccessat(a, "files/one", F_OK, 0));
        return 0;
}

static int mount_context_make(void)
{
        TRY(a = (int)syscall(SYS_fsopen, "tmpfs", 0));
        return 0;
}

static int mount_context_check(void)
{
        WANT(fcntl(a, F_GETFL) >= 0);
        return 0;
}

const struct object file_objects[] = {
        OBJECT(file_position),
        OBJECT(file_flags),
        OBJECT(file_deleted),
        OBJECT(file_unnamed),
        OBJECT(file_replaced),
        OBJECT(file_linked),
        OBJECT(file_dup),
        OBJECT(file_owner),
        OBJECT(file_path),
        OBJECT(file_write_hint),
        OBJECT(lock_flock),
        OBJECT(lock_posix),
        OBJECT(lock_ofd),
        OBJECT(lock_waiting),
        OBJECT(lease),
        OBJECT(directory),
        OBJECT(directory_deleted),
        OBJECT(directory_notify),
        OBJECT(dev_null),
        OBJECT(dev_zero),
        OBJECT(dev_urandom),
        OBJECT(dev_full),
        OBJECT(dev_fuse),
        OBJECT(dev_loop),
        OBJECT(dev_net_tun),
        OBJECT(dev_tty),
        OBJECT(proc_file),
        OBJECT(proc_other),
        OBJECT(proc_ended),
        OBJECT(sys_file),
        OBJECT(cgroup_directory),
        OBJECT(ns_file),
        OBJECT(terminal),
        OBJECT(terminal_typed),
        OBJECT(terminal_controlling),
        OBJECT(terminal_hung_up),
        OBJECT(mount_tmpfs),
        OBJECT(mount_bind),
        OBJECT(mount_detached),
        OBJECT(mount_context),
        END,
};
