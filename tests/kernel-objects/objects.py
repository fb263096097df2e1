"""Kernel objects that processes hold (holds.c makes each of them), and what becomes of each when its container moves.

WORDS has all of them, in the order of the table in docs/compatibility.md. What is in none of the other tables moves and is what it was.
"""

from typing import NamedTuple


class Outcome(NamedTuple):
    """how: moves, warned, refused, fails (at the freeze: exit 4, the container goes on), lost (without a word).

    code: of the finding. text: what the finding, or the cause, has in it. kept: it is still what it was after the move.
    """

    how: str
    code: str = ""
    text: str = ""
    kept: bool = True


MOVES = Outcome("moves")


def warned(text, code="kernel-state", kept=False):
    return Outcome("warned", code, text, kept)


def refused(text, code="kernel-objects"):
    return Outcome("refused", code, text)


def fails(text):
    return Outcome("fails", "", text)


def lost(text=""):
    return Outcome("lost", "", text, False)


WORDS = {
    "pipes and Unix sockets": {
        "pipe": "pipe with data in it",
        "pipe-size": "its size",
        "pipe-flags": "its flags",
        "pipe-closed": "one whose writer is gone",
        "pipe-full": "full one",
        "pipe-shared": "one between two processes",
        "pipe-packet": "pipe in packet mode (O_DIRECT)",
        "fifo": "FIFO with data in it",
        "fifo-deleted": "FIFO with data in it, deleted",
        "pair-stream": "stream socket pair with data in it",
        "pair-dgram": "datagram socket pair with data in it",
        "pair-seqpacket": "seqpacket socket pair with data in it",
        "pair-shutdown": "one half shut down",
        "pair-closed": "one whose other end is closed",
        "pair-reset": "Unix socket whose other end was closed before it had read everything",
        "pair-inherited": "one between two processes",
        "unix-listen": "Unix listener",
        "unix-abstract": "with an abstract address",
        "unix-connected": "Unix connection with data in it",
        "unix-deleted": "whose listener's path was deleted",
        "unix-dgram": "bound Unix datagram socket with data in it",
        "unix-buffers": "size of its buffers",
        "unix-backlog": "Unix connection that was not accepted yet",
        "unix-rights": "descriptor on its way through a Unix socket",
        "unix-credentials": "SO_PASSCRED of a Unix socket",
        "unix-credentials-queued": "message with credentials (SO_PASSCRED) that waits in a Unix socket",
    },
    "sockets": {
        "tcp-listen": "TCP listener",
        "tcp": "TCP connection with data both ways",
        "tcp6": "the same with IPv6",
        "tcp-shutdown": "one half shut down",
        "tcp-closed": "one that the other end has closed",
        "tcp-bound": "bound socket that does not listen",
        "tcp-options": "TCP_NODELAY, SO_KEEPALIVE and its times, SO_REUSEADDR, SO_REUSEPORT",
        "tcp-tos": "IP_TOS",
        "tcp-priority": "SO_PRIORITY",
        "tcp-lowat": "SO_RCVLOWAT",
        "tcp-tuning": "TCP_USER_TIMEOUT",
        "tcp-congestion": "congestion control of one connection (TCP_CONGESTION)",
        "tcp-urgent": "urgent data (MSG_OOB)",
        "tcp-backlog": "TCP connection that was not accepted yet",
        "tcp-connecting": "TCP connection that is being made",
        "udp": "UDP socket, bound and connected",
        "udp-queued": "UDP datagram that was not read yet",
        "udp6-queued": "the same with IPv6",
        "udp-multicast": "multicast membership",
        "udp-corked": "datagram that is being put together (UDP_CORK)",
        "udplite": "UDP-Lite socket",
        "mptcp": "MPTCP socket",
        "ping": "ping socket (SOCK_DGRAM, ICMP)",
        "raw": "raw socket",
        "raw-filter": "its ICMP filter",
        "packet": "packet socket",
        "socket-filter": "filter of a socket (SO_ATTACH_FILTER)",
        "socket-timeout": "SO_RCVTIMEO",
        "socket-device": "SO_BINDTODEVICE",
        "netlink-route": "netlink socket with groups of its own",
        "netlink-uevent": "netlink socket for events of devices",
        "netlink-diag": "netlink socket for sock_diag",
        "netlink-queued": "answer that waits in a netlink socket",
        "vsock": "VSOCK listener",
    },
    "files and terminals": {
        "file-position": "position of an open file",
        "file-flags": "its flags",
        "file-dup": "descriptors that share it",
        "file-owner": "who gets its signal (F_SETOWN, F_SETSIG)",
        "file-path": "O_PATH",
        "file-write-hint": "write hint of a file (F_SET_RW_HINT)",
        "file-deleted": "deleted file that is open",
        "file-unnamed": "file that never had a name (O_TMPFILE)",
        "file-replaced": "deleted file with another one of its name",
        "file-linked": "open file, deleted under one of two names",
        "lock-flock": "flock()",
        "lock-posix": "POSIX lock",
        "lock-ofd": "OFD lock",
        "lock-waiting": "process that waits for one",
        "lease": "lease",
        "directory": "open directory",
        "directory-deleted": "deleted directory that is open",
        "directory-notify": "dnotify",
        "dev-null": "/dev/null",
        "dev-zero": "/dev/zero",
        "dev-urandom": "/dev/urandom",
        "dev-full": "/dev/full",
        "dev-fuse": "/dev/fuse",
        "dev-loop": "loop device",
        "dev-net-tun": "TUN interface",
        "dev-tty": "/dev/tty",
        "proc-file": "file of the process's own /proc",
        "proc-other": "of another process's",
        "proc-ended": "file of /proc of a process that has ended",
        "sys-file": "file of /sys",
        "cgroup-directory": "directory of a control group",
        "ns-file": "descriptor of a namespace",
        "terminal": "terminal of its own (pts), its settings and size",
        "terminal-typed": "with data both ways",
        "terminal-controlling": "controlling terminal",
        "terminal-hung-up": "terminal whose master is closed",
        "mount-tmpfs": "tmpfs mounted inside",
        "mount-bind": "bind mount made inside",
    "mount-detached": "mount without a place (open_tree)",
        "mount-context": "mount that is being made (fsopen)",
    },
    "memory and IPC": {
        "anonymous": "memory",
        "shared-anonymous": "shared between processes",
        "file-private": "file mapped and changed privately",
        "file-shared": "file mapped shared",
        "file-mapped-deleted": "deleted since",
        "madvise-dontfork": "MADV_DONTFORK",
        "madvise-wipeonfork": "MADV_WIPEONFORK",
        "madvise-dontdump": "MADV_DONTDUMP",
        "madvise-hugepage": "MADV_HUGEPAGE",
        "madvise-nohugepage": "MADV_NOHUGEPAGE",
        "madvise-mergeable": "MADV_MERGEABLE",
        "madvise-random": "MADV_RANDOM",
        "mlock": "mlock()",
        "mlock-future": "mlockall(MCL_FUTURE)",
        "guard": "PROT_NONE",
        "guard-pages": "guard pages (MADV_GUARD_INSTALL)",
        "grows-down": "MAP_GROWSDOWN",
        "jit": "code made at run time in shared memory below everything else",
        "write-execute": "memory that is written and executed",
        "memory-sealed": "mseal()",
        "memory-policy": "NUMA policy",
        "memory-merge": "PR_SET_MEMORY_MERGE",
        "memory-no-thp": "PR_SET_THP_DISABLE",
        "memory-no-exec": "PR_SET_MDWE",
        "memfd": "memfd",
        "memfd-sealed": "its seals",
        "memfd-huge": "memfd of huge pages",
    "memfd-secret": "memfd_secret()",
        "sysv-memory": "System V shared memory",
        "sysv-memory-removed": "removed since",
        "sysv-memory-unused": "attached by nobody",
        "sysv-semaphore": "System V semaphores",
        "sysv-semaphore-undo": "undo values (SEM_UNDO) of a System V semaphore",
        "sysv-messages": "System V messages",
        "posix-memory": "POSIX shared memory",
        "posix-semaphore": "POSIX semaphore with a name, by who has made it",
        "posix-messages": "POSIX message queue",
        "posix-messages-unused": "POSIX message queue that nobody has open",
    },
    "events and timers": {
        "epoll": "epoll",
        "epoll-edge": "EPOLLET, EPOLLONESHOT",
        "epoll-nested": "epoll in epoll",
        "epoll-moved": "what it watches has another number since",
        "eventfd": "eventfd",
        "eventfd-semaphore": "semaphore of eventfd (EFD_SEMAPHORE)",
        "signalfd": "signalfd",
        "timerfd": "timerfd",
        "timerfd-boottime": "CLOCK_BOOTTIME",
        "timerfd-realtime": "CLOCK_REALTIME",
        "timerfd-rang": "one that rang",
        "timerfd-cancel": "TFD_TIMER_CANCEL_ON_SET",
        "posix-timer": "POSIX timer",
        "posix-timer-cpu": "of processor time",
        "itimer": "setitimer()",
        "alarm": "alarm()",
        "inotify": "directory of the container's own file system watched by inotify",
        "inotify-file": "file of /etc watched by inotify",
        "inotify-queued": "event of inotify that was not read",
        "inotify-empty": "inotify without a watch",
        "fanotify": "fanotify mark of a file",
        "fanotify-mount": "fanotify mark of a mount",
        "pidfd": "pidfd",
        "pidfd-ended": "of a process that has ended",
        "io-uring": "io_uring",
        "aio": "asynchronous I/O (io_setup)",
        "userfaultfd": "userfaultfd",
        "bpf-map": "BPF map",
        "bpf-program": "BPF program",
        "perf-event": "perf event",
    },
    "processes": {
        "signal-pending": "pending signals with their values",
        "signal-handlers": "signal handlers",
        "signal-mask": "blocked signals",
        "signal-stack": "sigaltstack()",
        "thread-name": "name of a thread",
        "thread-credentials": "user of a thread alone",
        "thread-priority": "nice value of a thread alone",
        "robust-mutex": "robust mutex",
        "futex": "futex",
        "rseq": "restartable sequence",
        "zombie": "child that ended and was not waited for",
        "zombie-leader": "process whose first thread has ended",
        "stopped": "stopped process",
        "groups": "sessions and process groups",
        "orphan-session": "session whose leader is gone",
        "vfork": "vfork()",
        "traced": "process traced by another one of the container",
        "shared-files": "processes that share descriptors (CLONE_FILES)",
        "shared-memory": "processes that share memory (CLONE_VM)",
        "subreaper": "PR_SET_CHILD_SUBREAPER",
        "death-signal": "PR_SET_PDEATHSIG",
        "dumpable": "PR_SET_DUMPABLE",
        "process-name": "PR_SET_NAME",
        "oom-score": "oom_score_adj",
        "core-filter": "coredump_filter",
        "nice": "nice value",
        "sched-batch": "SCHED_BATCH",
        "sched-idle": "SCHED_IDLE",
        "sched-fifo": "SCHED_FIFO",
        "sched-reset": "SCHED_RESET_ON_FORK",
        "sched-deadline": "SCHED_DEADLINE",
        "sched-slice": "time slice of its own",
        "affinity": "processor affinity",
        "thread-affinity": "processor affinity of a thread alone",
        "timer-slack": "timer slack",
        "thread-timer-slack": "timer slack of a thread alone",
        "io-priority": "I/O priority",
        "thread-io-priority": "I/O priority of a thread alone",
        "limits": "limits (setrlimit)",
        "umask": "umask",
        "cwd": "working directory",
        "cwd-deleted": "deleted since",
        "chroot": "chroot()",
        "personality": "personality()",
        "group-list": "list of groups (setgroups)",
        "capabilities": "capabilities",
        "securebits": "securebits",
        "no-new-privs": "no_new_privs",
        "seccomp-filter": "seccomp filter",
        "seccomp-strict": "strict seccomp",
        "seccomp-listener": "listener of a seccomp filter",
        "landlock": "Landlock",
        "no-tsc": "PR_SET_TSC",
        "machine-check": "PR_MCE_KILL",
        "key-session": "key in the session keyring",
        "key-process": "key in the process keyring",
        "ns-user": "user namespace made inside",
        "ns-net": "network namespace made inside",
        "ns-ipc": "IPC namespace made inside",
        "ns-uts": "UTS namespace made inside",
        "ns-mount": "mount namespace made inside",
        "ns-cgroup": "cgroup namespace made inside",
        "ns-pid": "PID namespace made inside",
        "ns-time": "time namespace made inside",
    },
}

CAPS = [x for c in "SYS_ADMIN NET_RAW NET_ADMIN SYS_NICE SYS_PTRACE IPC_LOCK BPF PERFMON LEASE".split() for x in ("--cap-add", c)]
FREE = ["--security-opt", "seccomp=unconfined"]
SETS = {  # of options of `run`
    "plain": [],
    "unconfined": FREE,
    "capable": FREE + CAPS,
    "devices": FREE + CAPS + ["--device", "/dev/fuse", "--device", "/dev/loop7", "--device", "/dev/net/tun"],
}
OPTIONS = {  # what an object needs beyond `run NAME`
    **dict.fromkeys("io-uring userfaultfd memory-sealed personality key-session key-process seccomp-strict vsock ns-user".split(), "unconfined"),
    **dict.fromkeys("""raw raw-filter packet mount-tmpfs mount-bind mount-detached mount-context fanotify fanotify-mount bpf-map bpf-program perf-event
        ns-mount ns-cgroup ns-net ns-ipc ns-uts ns-pid ns-time sched-fifo sched-deadline memory-policy capabilities""".split(), "capable"),
    **dict.fromkeys("dev-fuse dev-loop dev-net-tun".split(), "devices"),
}

OUTCOMES = {  # of both engines
    "pipe-packet": refused("a pipe in packet mode (O_DIRECT) of process"),
    "pair-reset": fails("closed before it had read everything"),
    "unix-backlog": refused("connections to 1 Unix sockets"),
    "unix-credentials-queued": fails("credentials"),
    "tcp-tuning": lost(),
    "tcp-congestion": warned("congestion control of 1 TCP connections"),
    "tcp-urgent": lost(),
    "tcp-backlog": refused("TCP sockets that were not accepted yet"),
    "tcp-connecting": refused("TCP sockets that were not accepted yet"),
    "udp-queued": warned("datagrams that wait in"),
    "udp6-queued": warned("datagrams that wait in"),
    "udp-multicast": warned("1 multicast memberships"),
    "udp-corked": fails("UDP_CORK"),
    "mptcp": refused("1 MPTCP sockets", "mptcp"),
    "ping": refused("1 ping sockets"),
    "netlink-queued": refused("netlink sockets"),
    "vsock": fails("a kind of socket"),
    "file-write-hint": lost(),
    "file-linked": refused("/tmp/linked", "hard-link"),
    "directory-notify": lost(),
    "dev-net-tun": refused("an open device of process"),
    "dev-fuse": refused("an open device of process"),
    "dev-loop": refused("an open device of process"),
    "lease": refused("a lease of process"),
    "mount-detached": refused("on none of the mounts", "outside-file"),
    "mount-context": refused("an open fscontext of process"),
    "memfd-huge": fails("huge pages"),
    "memfd-secret": refused("secret memory (memfd_secret) of process"),
    "mlock-future": lost(),
    "jit": fails("compiler at run time"),
    "memory-policy": warned("NUMA policy of process"),
    "memory-merge": warned("PR_SET_MEMORY_MERGE of process"),
    "memory-no-exec": lost(),
    "memory-sealed": lost(),
    "sysv-semaphore": warned("undo values (SEM_UNDO) of", kept=True),
    "sysv-semaphore-undo": warned("undo values (SEM_UNDO) of"),
    "posix-semaphore": refused("/dev/shm/sem.", "hard-link"),
    "posix-messages": refused("a POSIX message queue of process"),
    "posix-messages-unused": refused(" POSIX message queues"),
    "eventfd-semaphore": refused("a semaphore of eventfd (EFD_SEMAPHORE) of process"),
    "inotify": fails("force-irmap"),
    "inotify-queued": fails("force-irmap"),
    "io-uring": refused("io_uring", "io-uring"),
    "aio": refused("kernel AIO", "aio"),
    "bpf-map": refused("an open bpf-map of process"),
    "bpf-program": refused("an open bpf-prog of process"),
    "userfaultfd": refused("an open userfaultfd of process"),
    "perf-event": refused("an open perf_event of process"),
    "seccomp-listener": refused("an open seccompnotify of process"),
    "affinity": warned("processor affinity of process"),
    "thread-affinity": warned("processor affinity of process"),
    "timer-slack": warned("timer slack of process"),
    "thread-timer-slack": warned("timer slack of process"),
    "io-priority": warned("I/O priority of process"),
    "thread-io-priority": warned("I/O priority of process"),
    "vfork": refused("a vfork() without an end of process"),
    "zombie-leader": refused("threads without their first one of process"),
    "traced": refused("is traced by process", "traced"),
    "shared-memory": fails("share their memory"),
    "sched-deadline": refused("a scheduler of its own (SCHED_DEADLINE, SCHED_EXT) of process"),
    "core-filter": warned("coredump_filter of process"),
    "sched-slice": lost(),
    "no-tsc": lost(),
    "key-session": lost(),
    "key-process": lost(),
    "personality": warned("personality of process"),
    "machine-check": lost(),
    "landlock": lost(),
    "ns-user": refused("a namespace of its own (user) of process"),
    "ns-net": refused("a namespace of its own (net) of process"),
    "ns-ipc": refused("a namespace of its own (ipc) of process"),
    "ns-uts": refused("a namespace of its own (uts) of process"),
    "ns-cgroup": refused("a namespace of its own (cgroup) of process"),
    "ns-pid": refused("a namespace of its own (pid) of process"),
    "ns-time": refused("a namespace of its own (time) of process"),
}
DOCKER = {}  # where Docker's is another


def outcome(name, engine):
    return DOCKER.get(name, OUTCOMES.get(name, MOVES)) if engine == "docker" else OUTCOMES.get(name, MOVES)


def cell(o):
    return {
        "moves": "moves",
        "warned": f"moves{', is kept' * o.kept}{', is lost' * (not o.kept)}, with a warning: `{o.code}`",
        "refused": f"live refused: `{o.code}`; `--cold` moves",
        "fails": f"fails at the freeze, the container goes on; the cause is named: {o.text}",
        "lost": "moves; **is lost without a word**",
    }[o.how]


def table():
    """A row for each outcome of each kind."""
    lines = []
    for kind, words in WORDS.items():
        rows = {}
        for n in words:
            rows.setdefault((outcome(n, "podman").how, cell(outcome(n, "podman")), cell(outcome(n, "docker"))), []).append(n)
        for (how, podman, docker), names in rows.items():
            tests = ["moves"] if how == "moves" else names
            lines.append(f"| {kind}: {', '.join(f'{words[n]} (`{n}`)' for n in names)} | {podman} | {docker if docker != podman else 'the same'} | "
                         + ", ".join(f"`kernel-objects/{t}`" for t in tests) + " |")
    return "\n".join(lines)
