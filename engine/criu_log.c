/* Explains failures of CRIU and the engines by one table. Decides which line of a text is the cause; what to do about it is the caller's
 * and the user's. */
#include "engine/criu_log.h"

#include "base/mem.h"
#include "base/str.h"
#include <string.h>

#define MESSAGE_MAX (64 << 10) /* of an engine's message; a log may be of any length */

#define OPTION(podman, criu) \
        "podman: the option '" podman "'; docker, and podman with runc: '" criu "' in /etc/criu/runc.conf, on both hosts"

/* What betrays a cause: part of a line, whatever the case of its letters, and what must be in the same line too ("\n…": in the line before). The first row that fits
 * counts, so the special ones stand before the general ones. A row without words of its own means the same as the row above it. */
struct row {
        const char *text, *also;
        const char *code, *explanation, *hint;
};

/* clang-format off */
static const struct row causes[] = {
        /* sockets and files of the processes */
        { "Some file locks are hold by dumping tasks", NULL, "file-locks",
          "a process holds file locks and criu was not told to take them along", OPTION("file-locks", "file-locks") },
        { "Can not set posix lock", NULL, "file-locks-held",
          "a file lock of the container is held by somebody else on the target",
          "look for another process that uses the same files (a shared volume)" },
        { "Can not set flock", NULL, NULL, NULL, NULL },
        { "Can not set ofd lock", NULL, NULL, NULL, NULL },
        { "Connected TCP socket", NULL, "tcp-established",
          "the container has open TCP connections and criu was not told to keep them", OPTION("tcp-established", "tcp-established") },
        { "In-flight connection", NULL, "tcp-in-flight",
          "a connection was just being made and not yet accepted", "try again, or set 'skip-in-flight' in /etc/criu/runc.conf" },
        { "multipathtcp", NULL, "mptcp",
          "a process uses multipath TCP, which criu cannot dump", "Go programs: set GODEBUG=multipathtcp=0 in the container" },
        { "Unsupported proto 262", NULL, NULL, NULL, NULL },
        { "Unsupported proto", NULL, "socket-kind",
          "a process uses a kind of socket that criu cannot dump", NULL },
        { "Unsupported socket", NULL, NULL, NULL, NULL },
        { "Unknown socket collected", NULL, NULL, NULL, NULL },
        { "Can't get ", " opt", "socket-option",
          "this criu does not know the socket options of this kernel", "criu 4.2 or newer is needed on kernel 6.16 and later" },
        { "Can't bind transport socket", NULL, "criu-socket",
          "another restore in the same network namespace has the socket criu needs",
          "restore one after the other, or with criu 4.1 or newer" },
        { "Can't bind inet socket", "Cannot assign requested address", "address-missing",
          "the container's address does not exist on the target",
          "the target needs a network with the same subnet, and the container the same static address" },
        { "Can't connect inet socket back", NULL, "tcp-restore",
          "an open connection could not be put back: its address is not there, or its port is taken",
          "keep the container's address (no new name), or let connections be closed" },
        { "io_uring", NULL, "io-uring",
          "a process uses io_uring, which criu cannot dump",
          "switch io_uring off in the program, or deny it with the seccomp profile; redis: io-uring no" },
        { "aio ring", NULL, "aio",
          "a process has asynchronous I/O under way, which criu cannot carry", "mariadb, mysql: innodb_use_native_aio=0" },
        { "wrong aio:", NULL, NULL, NULL, NULL },
        { "aio iocbs", NULL, "aio",
          "asynchronous I/O could not be set up on the target", "raise fs.aio-max-nr there, or mariadb, mysql: innodb_use_native_aio=0" },
        { "Can't dump ghost file", NULL, "ghost-limit",
          "a process keeps a deleted file open that is larger than criu's limit",
          "set 'ghost-limit 100M' (or what it takes) in /etc/criu/runc.conf, on both hosts" },
        { "ghost", NULL, "ghost-file",
          "a deleted file that is still open could not be carried", "let the program close it, or look for a full disk" },
        { "fsnotify:", NULL, "inotify",
          "a process watches files (inotify) whose names criu cannot find",
          "set 'force-irmap' in /etc/criu/runc.conf on both hosts, and 'irmap-scan-path DIR' for each directory it watches, or stop the watcher" },
        { "inotify", NULL, NULL, NULL, NULL },
        { "External socket", NULL, "unix-external",
          "a process has a Unix socket whose other end is outside of the container",
          "unmount that socket (a log, D-Bus or engine socket), or set 'ext-unix-sk' in /etc/criu/runc.conf" },
        { "name-less external socket", NULL, "unix-external",
          "a process has a Unix socket whose other end is outside of the container",
          "start the container without the attached descriptor" },
        { "Can't dump half of", "unix connection", "unix-external",
          "a process has a Unix socket whose other end is outside of the container",
          "unmount that socket (a log, D-Bus or engine socket), or set 'ext-unix-sk' in /etc/criu/runc.conf" },
        { "--shell-job", NULL, "tty",
          "a process hangs on a terminal from outside of the container",
          "start the container without a shell of the host attached to it (podman run -d)" },
        { "dangling tty", NULL, NULL, NULL, NULL },
        { "tty", "slave", "tty",
          "a terminal of the container could not be carried", "start the container without -t, or end exec sessions first" },
        { "pidfd", NULL, "pidfd",
          "a process holds a pidfd that this criu or kernel cannot carry",
          "criu 4.1 or newer is needed; pidfds of processes outside of the container cannot travel" },
        { "POKEDATA", NULL, "jit-memory",
          "criu cannot write into the memory of a process: its first executable memory is shared and may not be written (code made by a "
          "compiler at run time)",
          "php: opcache.jit_buffer_size=0 (opcache.jit=off keeps the memory); or move with --cold" },
        /* CRIU says the same of a file that lost its name and of one whose name is covered. */
        { "link-remap", "\n(deleted)", "hard-link",
          "a process has a file open that was deleted and is still there under another name (a hard link)",
          "set 'link-remap' in /etc/criu/runc.conf on both hosts, or let the program close the file" },
        { "link-remap", "\nDumping path for", "hidden-file",
          "a process has a file, a directory or a program open that is hidden by another mount",
          "unmount what was mounted over it, let the program close it, or move with --cold" },
        { "Can't link remap to", NULL, NULL, NULL, NULL },
        { "Unaccessible path opened", NULL, NULL, NULL, NULL },
        { "overmounted mounts", NULL, NULL, NULL, NULL },
        { "link-remap", NULL, "hard-link",
          "a process has a file open that was deleted and is still there under another name (a hard link), or that another mount hides",
          "if it was deleted: set 'link-remap' in /etc/criu/runc.conf on both hosts; or let the program close it, unmount what was mounted over it, or move with --cold" },
        { "Unseizable non-zombie", "state D", "busy",
          "a process cannot be stopped: it waits for its child (vfork) or for a device",
          "wait until that is done and try again, or move with --cold" },
        { "Unseizable non-zombie", NULL, "traced",
          "a process is being traced by a debugger (strace, gdb)", "end the debugger and try again" },
        { "pending SIGTRAP", NULL, NULL, NULL, NULL },
        { "packetized mode", NULL, "pipe-packets",
          "a process has a pipe in packet mode (O_DIRECT), which criu cannot carry", "move with --cold" },
        { "corked dgram", NULL, "udp-corked",
          "a process was just putting a datagram together (UDP_CORK)", "try again" },
        { "filter on-board", NULL, "packet-filter",
          "a network interface of the container (tun, tap) has a packet filter, which criu cannot carry",
          "end the program, or move with --cold" },
        { "Control messages in queue", NULL, "unix-queue",
          "a file descriptor, or a message with its sender's credentials, was on its way through a Unix socket and not yet received",
          "try again, or move with --cold" },
        { "skqueue: recvmsg fail", "reset by peer", "unix-reset",
          "a process has a Unix socket open whose other end was closed before it had read everything",
          "let the program close it, or move with --cold" },
        { "more than 32 groups", NULL, "netlink",
          "a process listens to messages of the kernel (netlink) in a way that criu cannot carry",
          "end the program, or move with --cold" },
        { "Groups above 32", NULL, NULL, NULL, NULL },
        { "bound to groups but not to portid", NULL, NULL, NULL, NULL },
        { "Multiple MC membership", NULL, "multicast",
          "a process has several multicast memberships on one packet socket, which criu cannot carry",
          "end the program, or move with --cold" },
        { "from an external network namespace", NULL, "socket-elsewhere",
          "a process holds a socket of another network namespace",
          "it was given one from outside, as by socket activation: start it without" },
        { "is outside of its pid namespace", NULL, "exec-session",
          "a process was started from outside of the container (podman exec, docker exec)",
          "end exec sessions first" },
        { "found while seizing", NULL, "zombie",
          "a process of the container had ended and nobody has collected it",
          "try again; if it comes again, the container's first process does not wait for its children" },
        { "Zombie thread", NULL, NULL, NULL, NULL },
        { "Zombies with threads", NULL, NULL, NULL, NULL },
        { "Individually stopped threads", NULL, "stopped",
          "single threads of a process are stopped", "let them go on, or end the debugger that stopped them" },
        { "unsupported stop signal", NULL, "stopped",
          "a process is stopped in a way that criu does not know", "let it go on (kill -CONT)" },
        { "mqueue isn't empty", NULL, "mqueue",
          "there is a POSIX message queue (in /dev/mqueue), which criu cannot carry",
          "let the program remove it (mq_unlink), or move with --cold" },
        { "socket has data to read", NULL, "netlink-queue",
          "a message of the kernel's (netlink) was not read yet", "try again, or move with --cold" },
        { "Inconsistent sched params", NULL, "scheduler",
          "a process has a scheduler of its own (SCHED_DEADLINE, SCHED_EXT), which criu cannot restore",
          "let the program choose another one, or move with --cold" },
        { "No tun device for file", NULL, "tun",
          "a process has a TUN or TAP interface (a VPN), which criu cannot restore in this engine's network",
          "end the program, or move with --cold" },
        { "Can't make VM id", NULL, "memory-shared",
          "two processes share their memory (vfork, or clone with CLONE_VM), which criu cannot carry",
          "wait until one of them has ended, or move with --cold" },
        { "running in 32-bit mode", NULL, "32-bit",
          "a process is a 32-bit program, which this criu or kernel cannot carry", "move with --cold" },
        { "LDT descriptors", NULL, "32-bit",
          "a process has segments of its own (LDT, as Wine does), which criu cannot carry",
          "move with --cold" },
        { "high memory region", NULL, "kernel-old",
          "this kernel does not let criu read a process's memory above the usual end", "a newer kernel is needed" },
        { "Sysv shmem", "hole", "sysv-shm",
          "a System V shared memory segment is attached only in part", "move with --cold" },
        { "Unsupported link", NULL, "link-kind",
          "a network interface was made inside the container that criu does not know",
          "remove it, or move with --cold" },
        { "autofs not supported", NULL, "autofs",
          "an automounter's file system is mounted in the container, and the kernel has no autofs",
          "unmount it" },
        { "deleted root", NULL, "bind-deleted",
          "what a bind mount of the container shows was deleted on its host",
          "make the container anew with a source that exists" },
        { "memfd", NULL, "memfd",
          "a memory file (memfd) of a process could not be carried", "the target may lack memory or huge pages" },
        { "Can't dump file", "of that type", "file-kind",
          "a process has a file open that criu cannot dump (a device, or something of the kernel's)",
          "the line names it; graphics cards need criu's plugin" },
        { "has uprobes vma", NULL, "uprobes",
          "somebody traces the container with uprobes",
          "stop the tracer (bpftrace, perf, an eBPF agent), or set 'allow-uprobes' in /etc/criu/runc.conf" },
        { "allow-uprobes", NULL, "uprobes",
          "the container was dumped while it was traced with uprobes", "set 'allow-uprobes' in /etc/criu/runc.conf on the target too" },
        { "Unknown shit", NULL, "mapping-kind",
          "a process has memory of a kind that criu does not know (a device's, or something of the kernel's)",
          "the line names it; end the program, or move with --cold" },
        { "Unsupported mapping", NULL, NULL, NULL, NULL },
        { "has bad size", NULL, "file-changed",
          "a file the container has open is not the one it had when it was dumped",
          "its files on the target must be those of the checkpoint: volumes, bind mounts and root file system changes" },
        { "has bad build-ID", NULL, "file-changed",
          "a program or library on the target is not the one the container runs", "the same image must be on both engines" },
        { "has bad mode", NULL, "file-changed",
          "a file the container has open has another mode or type on the target",
          "its files on the target must be those of the checkpoint" },
        { "Can't open file", "Operation not permitted", "immutable-file",
          "a file that the container has open may not be opened again: it was made immutable "
          "meanwhile (chattr), or is a device that this container may not use",
          "take the attribute off (chattr -i, chattr -a) and try again, or move with --cold" },
        { "Can't open file", "No such file", "file-missing",
          "a file the container has open is not on the target", "is it in a bind mount, or in a volume that did not travel" },
        { "Unable to detach", "No such process", "ended-at-once",
          "a process ended in the moment it was to go on; criu interrupts system calls, and some programs "
          "take that for an error",
          "try again, or move with --cold" },
        /* mounts and namespaces */
        { "another root than mntns", NULL, "chroot",
          "the container's root is not the root of its mount namespace (a chroot)",
          "the host itself, or the runtime, must use pivot_root" },
        { "doesn't have a proper root mount", NULL, "external-mount",
          "a mount comes from outside of the container and criu was not told of it",
          "mounts made after the start of the container cannot travel: unmount them" },
        { "unreachable sharing", NULL, "external-mount",
          "a mount is shared with the host in a way criu cannot put back",
          "use private propagation for that bind mount, or set 'enable-external-masters' in /etc/criu/runc.conf" },
        { "fuse mount but not external", NULL, "fuse",
          "a FUSE file system is mounted in the container", "unmount it" },
        { "No mapping for", "mountpoint", "bind-mount",
          "a bind mount of the container is not known to the target's engine", "create the container there with the same mounts" },
        { "Can't lookup mount", "memfd:", "memfd",
          "a memory file (memfd) of huge pages of a process could not be carried", "start the program without huge pages, or move with --cold" },
        { "Can't lookup mount=", NULL, "external-mount",
          "a process has a file open that lies outside of the container's mounts",
          "look at its open files (the line names one): something of the host was passed in, or its mount was taken away (umount -l)" },
        { "Can't mount at", NULL, "bind-mount",
          "a mount of the container could not be made on the target", "the source directory of each bind mount must exist there" },
        { "Can't parse", "mountinfo", "long-mountinfo",
          "this criu cannot read the list of mounts, which is too long (an image of very many layers)",
          "a newer criu, or an image of fewer layers" },
        { "Can't dump nested", NULL, "nested-namespace",
          "a process made namespaces of its own inside the container (a sandbox, a container in a container)",
          "such programs cannot be moved alive; browsers and the like: switch their sandbox off" },
        { "Nested mount namespaces", NULL, NULL, NULL, NULL },
        { "more than one netns", NULL, NULL, NULL, NULL },
        { "Time namespaces are not supported", NULL, NULL, NULL, NULL },
        { "target user namespace", NULL, "user-namespace",
          "a namespace of the container belongs to another user namespace than its own",
          "create it without --userns, --uidmap and userns-remap, or move with --cold" },
        { "bind-mount /proc/0/ns/net", NULL, "docker-netns",
          "this docker cannot restore a container that has its own network namespace (26.0.0, and 28.0 or newer)",
          "use the network mode 'host' or 'container:NAME', another docker, or --cold" },
        { "external netns", NULL, "netns",
          "the network namespace the container had is not there", NULL },
        /* kernel, hardware, security */
        { "Tracking memory is not available", NULL, "memory-tracking",
          "this kernel does not tell which memory was written to (CONFIG_MEM_SOFT_DIRTY)", "move without pre-dump" },
        { "dirty memory tracker", NULL, NULL, NULL, NULL },
        { "memory tracking", NULL, NULL, NULL, NULL },
        { "Dirty tracking is OFF", NULL, NULL, NULL, NULL },
        { "Can't get rlimit", NULL, "rlimit",
          "criu may not read the limits of a process of another user",
          "the engine lacks CAP_SYS_RESOURCE on that host: a container or a virtual machine of its own took it away" },
        { "vdso", NULL, "vdso",
          "this criu does not know the vDSO of this kernel", "a newer criu is needed: 4.2 works with kernel 6.18" },
        { "capabilities do not match", NULL, "cpu",
          "the target's processor lacks features the container uses",
          "move to an equal or newer processor, or compare with 'criu cpuinfo check'" },
        { "CPU Feature", NULL, NULL, NULL, NULL },
        { "xsave", NULL, "cpu",
          "the registers of the two processors differ in size",
          "move to an equal or newer processor, or compare with 'criu cpuinfo check'" },
        { "xfeatures", NULL, "cpu",
          "the registers of the two processors differ", "move to an equal or newer processor, or compare with 'criu cpuinfo check'" },
        { "rseq", NULL, "rseq",
          "this kernel or criu cannot carry restartable sequences, which newer C libraries use",
          "kernel 5.13 and criu 3.17 are needed; or GLIBC_TUNABLES=glibc.pthread.rseq=0 in the container" },
        { "suspend seccomp", NULL, "seccomp",
          "criu may not suspend the system call filter of the container",
          "the engine lacks CAP_SYS_ADMIN there: does it run in a container itself" },
        { "seccomp", NULL, "seccomp",
          "the system call filter of the container could not be carried", "a newer kernel or criu, or --security-opt seccomp=unconfined" },
        { "lsm profile", NULL, "lsm",
          "the security profile (AppArmor, SELinux) of the container could not be set on the target",
          "both hosts need the same security module, with the same profile loaded" },
        { "lsm types", NULL, "lsm",
          "the two hosts use different security modules (AppArmor, SELinux)", "both hosts need the same security module" },
        { "apparmor", NULL, "lsm",
          "AppArmor refused", "load the same profiles on the target, or run the container with apparmor=unconfined" },
        { "selinux", NULL, "lsm",
          "SELinux refused", "look for 'denied' in the target's audit log" },
        { "Can't fork for", "File exists", "pid-taken",
          "a process ID the container needs is taken", "the container needs a PID namespace of its own (not --pid host)" },
        { "do not match expected", NULL, NULL, NULL, NULL },
        { "Locking network failed", NULL, "network-lock",
          "criu could not stop the container's network traffic (iptables or nftables)",
          "install iptables on that host, or set 'network-lock nftables' in /etc/criu/runc.conf" },
        { "iptables-restore", NULL, NULL, NULL, NULL },
        /* control groups; before "no space", which the kernel also says of an empty cpuset */
        { "cpuset", NULL, "cpuset",
          "the container's processors (cpuset) cannot be set as they were",
          "drop --cpuset-cpus; or use runc with 'manage-cgroups ignore' in /etc/criu/runc.conf: the "
          "container then sees the host's control groups until it is started anew" },
        { "systemd slice", NULL, "cgroup-manager",
          "the two engines manage control groups in different ways (systemd, cgroupfs)",
          "set the same cgroup_manager in containers.conf on both hosts" },
        { "cg:", NULL, "cgroup",
          "the container's control groups could not be put back",
          "both hosts need the same cgroup version; or set 'manage-cgroups ignore' in "
          "/etc/criu/runc.conf: the container then sees the host's control groups until it is "
          "started anew" },
        { "cg-prop:", NULL, NULL, NULL, NULL },
        /* disk, images */
        { "No space left on device", NULL, "no-space",
          "a disk is full", "free some: the images, an archive of them and, with docker, two more copies must fit" },
        { "Disk quota exceeded", NULL, "no-space",
          "a disk quota is used up", NULL },
        { "(empty-image)", NULL, "image-incomplete",
          "a file of the checkpoint is missing or empty", "it did not travel whole, or the dump failed" },
        { "Not supported images version", NULL, "criu-version",
          "the checkpoint was made by a newer criu", "the target needs the same criu or a newer one" },
        { "no parent inventory", NULL, "parent-missing",
          "the pre-dump that this checkpoint builds on is missing", NULL },
        /* the engines */
        { "image not known", NULL, "image-missing",
          "the target engine does not have the container's image (the same ID)",
          "load it there first: tranship does so unless told not to" },
        { "No such image", NULL, "image-missing",
          "the target engine does not have the container's image", "load it there first: tranship does so unless told not to" },
        { "not in any subnet", NULL, "subnet",
          "the container's address lies in no subnet of the network on the target", "create the network there with the same subnet" },
        { "unable to find network", NULL, "network-missing",
          "a network of the container does not exist on the target", "create it there with the same name and subnet" },
        { "network not found", NULL, NULL, NULL, NULL },
        { "template configuration at", NULL, "not-initialised",
          "the target container was never initialised: its bundle has no config.json", "call init on it before the restore" },
        { "content digest", "not found", "docker-25",
          "docker 25.0.0 to 25.0.3 cannot restore any checkpoint", "update to 25.0.4 or newer" },
        { "content sha256", "already exists", "content-exists",
          "containerd still has an equal checkpoint from before",
          "try again, or add a file of any other content to the checkpoint directory" },
        { "custom checkpointdir is not supported", NULL, "checkpoint-dir",
          "this docker restores only from the container's own checkpoint directory", NULL },
        { "experimental", "disabled", "experimental",
          "docker's checkpoints are switched off", "set \"experimental\": true in /etc/docker/daemon.json and restart the daemon" },
        { "init.pid: no such file", NULL, "shim-lost",
          "runc could not restore; docker only saw that it ended", "the reason is in restore.log" },
        { "ttrpc: closed", NULL, "shim-lost",
          "the container's shim ended during the restore", "the reason is in restore.log and the log of containerd" },
        { "is already allocated to container ID", NULL, "address-allocated",
          "the engine gave the container's address to another container, or never took it back from one that was killed while it started",
          "remove the container that has it; if there is none, and no container runs on that host: rm /run/containers/networks/ipam.db (podman makes it anew)" },
        { "port is already allocated", NULL, "address-in-use",
          "a port the container publishes is taken on the target",
          "free it; after a failed restore podman's own service process may hold it until it is restarted" },
        { "Address already in use", NULL, "address-in-use",
          "a port or address the container needs is taken on the target",
          "free it; after a failed restore podman's own service process may hold it until it is restarted" },
        { "Address in use", NULL, "address-in-use",
          "a port or address the container needs is taken on the target", "free it" },
        { "volume already exists", NULL, "volume-exists",
          "a volume of that name exists on the target", "remove it there, or let tranship use it" },
        { "volume with name", "already exists", NULL, NULL, NULL },
        { "name", "in use", "name-in-use",
          "a container of that name exists on the target", "remove or rename it there" },
        { "ID is already in use", NULL, "name-in-use",
          "a container of that ID exists on the target", "remove it there: an earlier restore may have left it" },
        { "container already exists", NULL, "name-in-use",
          "a container of that name or ID exists on the target", "remove or rename it there" },
        { "invalid symlink", NULL, "symlink",
          "podman does not unpack a symbolic link that leads above the root", "move the container in place" },
        { "started with '--rm'", NULL, "auto-remove",
          "the container removes itself when it stops (--rm), and the checkpoint with it", "create it without --rm" },
        { "libcriu", NULL, "runtime",
          "crun did not find criu's library libcriu.so.2, or an old one",
          "install it on that host: libcriu2 (debian, ubuntu), criu-libs (fedora)" },
        { "cannot checkpoint", NULL, "not-running",
          "the container does not run", NULL },
        { "does not support checkpoint", NULL, "runtime",
          "the runtime of that engine cannot checkpoint", "install criu, and crun with libcriu or runc" },
        { "requires root", NULL, "rootless",
          "checkpoints need an engine that runs as root", "use the system's podman socket" },
        { "executable file not found", "criu", "criu-missing",
          "criu is not installed there", "install it" },
        { "CRIU version", "or higher", "criu-version",
          "the criu there is too old", "install a newer one" },
};

/* Rows that only say that something failed: taken when nothing else fits. */
static const struct row weak_causes[] = {
        { "Dumping FAILED", NULL, "dump-failed",
          "criu could not dump the container; it runs on", "the reason is above this line in dump.log" },
        { "Restoring FAILED", NULL, "restore-failed",
          "criu could not restore the container", "the reason is above this line in restore.log" },
        { "checkpointing failed", NULL, "dump-failed",
          "criu could not dump the container; it runs on", "the reason is in dump.log" },
        { "restoring failed", NULL, "restore-failed",
          "criu could not restore the container", "the reason is in restore.log" },
        { "criu failed", NULL, "criu-failed",
          "criu failed", "the reason is in the log whose path the message has" },
};
/* clang-format on */

/* Errors that CRIU goes on after: it reports them in runs that end well. */
static const struct {
        const char *what, *also; /* also: NULL, or it has to have that, too */
} noise[] = {
        { "Can't setup RLIMIT_NOFILE for self", NULL },
        { "cgroupd: recv req error", NULL },
        { "(criu/util.c", "exited, status=" },
};

struct line {
        const char *p;
        size_t len;
};

static bool line_has(struct line l, const char *what)
{
        size_t n = strlen(what);

        for (size_t i = 0; i + n <= l.len; i++)
                if (strncasecmp(l.p + i, what, n) == 0)
                        return true;
        return false;
}

static bool is_noise(struct line l)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(noise); i++)
                if (line_has(l, noise[i].what) && (!noise[i].also || line_has(l, noise[i].also)))
                        return true;
        return false;
}

static bool next_line(const char **p, struct line *ret)
{
        *p += strspn(*p, "\r\n");
        *ret = (struct line){ *p, strcspn(*p, "\r\n") };
        *p += ret->len;
        return ret->len > 0;
}

/* Which lines of a text count: in a log of CRIU's those of a level, in anything else all. */
enum level { LEVEL_ALL, LEVEL_ERROR, LEVEL_WARNING };

static bool counts(struct line l, enum level level)
{
        if (level == LEVEL_ERROR)
                return line_has(l, "Error (") && !is_noise(l);
        return level == LEVEL_ALL || line_has(l, "Warn  (");
}

static bool has_also(struct line l, struct line before, const char *also)
{
        return !also || (*also == '\n' ? line_has(before, also + 1) : line_has(l, also));
}

static const struct row *row_of(struct line l, struct line before, const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (line_has(l, rows[i].text) && has_also(l, before, rows[i].also)) {
                        while (!rows[i].code)
                                i--;
                        return &rows[i];
                }
        return NULL;
}

static const struct row *find_row(const char *text, enum level level, const struct row *rows, size_t n, struct line *ret)
{
        const char *p = text;
        struct line l, before = { text, 0 };

        for (; next_line(&p, &l) && (level != LEVEL_ALL || l.p - text < MESSAGE_MAX); before = l) {
                const struct row *found = counts(l, level) ? row_of(l, before, rows, n) : NULL;

                if (found) {
                        *ret = l;
                        return found;
                }
        }
        return NULL;
}

static int add_line(struct ts_str *s, struct line l, struct ts_err *err)
{
        ts_auto_free char *shown = ts_printable(l.p, l.len, TS_CRIU_LINE_BYTES_MAX);

        if (!shown)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return (s->len > 0 && ts_str_adds(s, "\n", err) < 0) || ts_str_adds(s, shown, err) < 0 ? -1 : 0;
}

/* The first ones, and in the last place at the latest the one that says why. */
static int collect_lines(const char *text, enum level level, struct line why, struct ts_str *ret, struct ts_err *err)
{
        bool has_why = why.len == 0;
        struct line l;

        for (size_t n = 0; n < TS_CRIU_LINES_MAX && next_line(&text, &l);) {
                if (!counts(l, level) && l.p != why.p)
                        continue;
                if (n == TS_CRIU_LINES_MAX - 1 && !has_why)
                        l = why;
                has_why |= l.p == why.p;
                if (add_line(ret, l, err) < 0)
                        return -1;
                n++;
        }
        return 0;
}

void ts_criu_explanation_clear(struct ts_criu_explanation *e)
{
        free(e->lines);
        *e = (struct ts_criu_explanation){ 0 };
}

static bool has_time(struct line l)
{
        return l.len > 11 && l.p[0] == '(' && l.p[3] == '.' && strspn(l.p + 1, "0123456789") == 2 && strspn(l.p + 4, "0123456789") == 6;
}

/* A log that ended well has no line of an error, and much in it that looks like a cause. Its first line may be cut. */
static bool is_log(const char *text)
{
        const char *p = text;
        struct line l;

        if (strstr(text, "Error ("))
                return true;
        for (int n = 0; n < 8 && next_line(&p, &l); n++)
                if (has_time(l))
                        return true;
        return false;
}

int ts_criu_explain(const char *text, struct ts_criu_explanation *ret, struct ts_err *err)
{
        const enum level level = is_log(text) ? LEVEL_ERROR : LEVEL_ALL;
        const struct row *row;
        ts_auto_str lines = TS_STR_INIT;
        struct line why = { NULL, 0 };
        char *taken;

        row = find_row(text, level, causes, TS_ARRAY_LEN(causes), &why);
        if (!row && level == LEVEL_ERROR)
                row = find_row(text, LEVEL_WARNING, causes, TS_ARRAY_LEN(causes), &why);
        if (!row)
                row = find_row(text, level, weak_causes, TS_ARRAY_LEN(weak_causes), &why);
        if (collect_lines(text, level, why, &lines, err) < 0)
                return -1;
        taken = ts_str_take(&lines);
        if (!taken)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        ts_criu_explanation_clear(ret);
        ret->lines = taken;
        if (row) {
                ret->code = row->code;
                ret->explanation = row->explanation;
                ret->hint = row->hint;
        }
        return 0;
}

const char *ts_criu_explain_err(const char *text, struct ts_err *err)
{
        ts_auto_criu_explanation e = { 0 };

        if (ts_criu_explain(text, &e, NULL) < 0 || !e.code)
                return NULL;
        if (e.hint)
                (void)ts_err_hint(err, "%s: %s", e.explanation, e.hint);
        else
                (void)ts_err_hint(err, "%s", e.explanation);
        return e.code;
}

bool ts_criu_cause_at(size_t i, struct ts_criu_cause *ret)
{
        const size_t n = TS_ARRAY_LEN(causes), all = n + TS_ARRAY_LEN(weak_causes);
        const struct row *own, *said;

        if (i >= all)
                return false;
        own = said = i < n ? &causes[i] : &weak_causes[i - n];
        while (!said->code)
                said--;
        *ret = (struct ts_criu_cause){ own->text, own->also, said->code, said->explanation, said->hint };
        return true;
}
