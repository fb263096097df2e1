/* engine/criu_log: messages as CRIU, the runtimes and the engines print them, and logs of real failures. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "base/mem.h"
#include "engine/criu_log.h"

#define FIXTURE(name) TS_SOURCE_DIR "/tests/fixtures/" name

static void explains(const char *text, const char *code)
{
        struct ts_err err = TS_ERR_INIT;
        ts_auto_criu_explanation e = { 0 };

        UNIT_OK(ts_criu_explain(text, &e, &err));
        if (!ts_streq0(e.code, code))
                (void)printf("\n    %s\n", text);
        UNIT_STR(e.code, code);
        CU_ASSERT_PTR_NOT_NULL(e.lines);
}

/* As printed: CRIU with its place and prefix, the others as they came over the API. */
static const struct {
        const char *text, *code;
} messages[] = {
        /* clang-format off */
        { "(00.06) Error (criu/file-lock.c:110): Some file locks are hold by dumping tasks! You can try --file-locks to dump them.", "file-locks" },
        { "(00.06)      1: Error (criu/file-lock.c:590): Can not set posix lock!", "file-locks-held" },
        { "(00.685912) Error (criu/sk-inet.c:188): inet: Connected TCP socket, consider using --tcp-established option.", "tcp-established" },
        { "(00.123498)   1374: Error (criu/sk-inet.c:654): inet: Connected TCP socket in image", "tcp-established" },
        { "(00.1) Error (criu/sk-inet.c:185): inet: In-flight connection (l) for 1f", "tcp-in-flight" },
        { "(01.3) Error (criu/cr-restore.c:1924): Unable to detach 64831: No such process", "ended-at-once" },
        { "(00.1) Error (criu/sk-inet.c:137): inet: Unsupported proto 262 for socket 3d09", "mptcp" },
        { "(00.1) Error (criu/sk-inet.c:139): inet: For Go programs, consider using \"GODEBUG=multipathtcp=0\" to disable MPTCP", "mptcp" },
        { "(00.1) Error (criu/sk-inet.c:137): inet: Unsupported proto 132 for socket 3d09", "socket-kind" },
        { "(00.2) Error (criu/sockets.c:640): sockets: Can't get 1:16 opt: Operation not supported", "socket-option" },
        { "(00.28)      1: Error (criu/files.c:1654): Can't bind transport socket /crtools-fd-1: Address already in use", "criu-socket" },
        { "(00.2)      1: Error (criu/sk-inet.c:764): inet: Can't bind inet socket (id 115): Cannot assign requested address", "address-missing" },
        { "(00.2)      1: Error (criu/sk-inet.c:1059): inet: Can't bind inet socket (id 4): Address already in use", "address-in-use" },
        { "(00.2) 2203: Error (criu/sk-inet.c:759): inet: Can't connect inet socket back: Cannot assign requested address", "tcp-restore" },
        { "IPAM error: requested ip address 10.88.0.7 is already allocated to container ID 2f1c0a8be2", "address-allocated" },
        { "(00.011691) Error (criu/proc_parse.c:479): Unknown shit 600 (anon_inode:[io_uring])", "io-uring" },
        { "(00.1) Error (criu/cr-dump.c:1663): Failed to check aio rings (pid: 42)", "aio" },
        { "(00.1) Error (criu/files-reg.c:800): Can't dump ghost file /tmp/x of 10485760 size, increase limit", "ghost-limit" },
        { "(00.06) Error (compel/src/lib/ptrace.c:80): POKEDATA failed: Input/output error\n"
          "(00.06) Error (compel/src/lib/infect.c:921): parasite memfd_create() failed", "jit-memory" },
        { "(00.1) Error (criu/files-reg.c:1216): Can't create link remap for /data/x. Use link-remap option.", "hard-link" },
        { "(00.1) Dumping path for 3 fd via self 21 [/d/f (deleted)]\n(00.1) Strip ' (deleted)' tag from './d/f (deleted)'\n"
          "(00.1) Error (criu/files-reg.c:1122): Can't create link remap for /d/f. Use link-remap option.", "hard-link" },
        { "(00.1) Dumping path for 3 fd via self 21 [/d/f]\n"
          "(00.1) Error (criu/files-reg.c:1122): Can't create link remap for /d/f. Use link-remap option.", "hidden-file" },
        { "(00.1) Error (criu/files-reg.c:1160): Can't link remap to /d/f: Invalid cross-device link", "hidden-file" },
        { "(00.1) Error (criu/files-reg.c:1444): Unaccessible path opened 1048594:2, need 155:3146653", "hidden-file" },
        { "(00.1) Error (criu/files-reg.c:1796): Open files on overmounted mounts are not supported yet; mount=628 fd=3 path=/m/f", "hidden-file" },
        { "could not load `libcriu.so.2`: cannot checkpoint, the container does not run", "runtime" },
        { "(00.1) Error (compel/src/lib/infect.c:418): Unseizable non-zombie 31 found, state S, err -1/1", "traced" },
        { "(00.1) Error (criu/pipes.c:320): The packetized mode for pipes is not supported yet", "pipe-packets" },
        { "(00.1) Error (criu/sk-inet.c:421): inet: Can't dump corked dgram socket 3f", "udp-corked" },
        { "(00.1) Error (criu/sk-netlink.c:71): Can't dump netlink with filter on-board", "packet-filter" },
        { "(00.1) Error (criu/sk-queue.c:167): Control messages in queue, not supported", "unix-queue" },
        { "(00.1) Error (criu/sk-queue.c:235): skqueue: recvmsg fail: error: Connection reset by peer", "unix-reset" },
        { "(10.1) Error (compel/src/lib/infect.c:262): Unseizable non-zombie 31 found, state D, err -1/4", "busy" },
        { "(00.1) Error (criu/cr-dump.c:669): Can't make VM id for 31", "memory-shared" },
        { "(00.1) Error (criu/filesystems.c:650): mqueue isn't empty", "mqueue" },
        { "(00.2) 6: Error (criu/cr-restore.c:2639): Inconsistent sched params received (6.0.0)\n"
          "(00.3) Error (criu/cgroup.c:2055): cg: cgroupd: recv req error: No such file or directory", "scheduler" },
        { "(00.1) Error (criu/net.c:3009): net: Unable to dump more than one netns if the --emptyns is set", "nested-namespace" },
        { "(00.2) 6: Error (criu/tun.c:391): tun: No tun device for file tun0", "tun" },
        { "(00.1) Error (criu/sk-netlink.c:77): netlink: The socket has data to read", "netlink-queue" },
        { "(00.1) Error (criu/sk-netlink.c:131): The netlink socket 0x1 has more than 32 groups", "netlink" },
        { "(00.1) Error (criu/sk-packet.c:210): Multiple MC membership not supported (but can be)", "multicast" },
        { "(00.1) Error (criu/sockets.c:900): Unable to dump a socket from an external network namespace", "socket-elsewhere" },
        { "(00.1) Error (criu/cr-dump.c:410): A session leader of 31(9) is outside of its pid namespace", "exec-session" },
        { "(00.1) Error (criu/seize.c:700): zombie 31 (comm sh) found while seizing", "zombie" },
        { "(00.1) Error (criu/seize.c:710): Zombies with threads are not supported", "zombie" },
        { "(00.1) Error (criu/seize.c:720): Individually stopped threads not supported", "stopped" },
        { "(00.1) Error (criu/arch/x86/crtools.c:90): Can't dump task 31 running in 32-bit mode", "32-bit" },
        { "(00.1) Error (criu/arch/x86/crtools.c:95): Can't dump task 31 with LDT descriptors", "32-bit" },
        { "(00.1) Error (criu/ipc_ns.c:400): Sysv shmem 1000 with a hole not supported", "sysv-shm" },
        { "(00.1) Error (criu/net.c:700): Unsupported link 4 (type 65534 kind wireguard)", "link-kind" },
        { "(00.1) Error (criu/autofs.c:900): autofs not supported.", "autofs" },
        { "(00.1) Error (criu/mount.c:1200): Unsupported st_mode 010000 deleted root ./x", "bind-deleted" },
        { "(00.1) Error (criu/mount.c:3000): Nested mount namespaces are not supported in this mode", "nested-namespace" },
        { "(00.1) Error (criu/timens.c:20): Time namespaces are not supported", "nested-namespace" },
        { "(00.1) Error (criu/namespaces.c:500): One or more namespaces doesn't belong to the target user namespace", "user-namespace" },
        { "(00.1) Error (criu/proc_parse.c:479): Unknown shit 600 (anon_inode:[perf_event])", "mapping-kind" },
        { "(00.1) Error (criu/fsnotify.c:266): fsnotify: \tCan't dump that handle", "inotify" },
        { "(00.1) Error (criu/sk-unix.c:874): unix: External socket is used. Consider using --ext-unix-sk option.", "unix-external" },
        { "(00.1) Error (criu/sk-unix.c:815): unix: Can't dump half of stream unix connection. name: a; peer name: b", "unix-external" },
        { "(00.1) Error (criu/tty.c:1838): tty: Found dangling tty with sid 9 pgid 9 (pts) on peer fd 0.", "tty" },
        { "(00.1) Error (criu/pidfd.c:77): pidfd: pidfd_open syscall is not supported", "pidfd" },
        { "(00.1) Error (criu/files-ext.c:98): Can't dump file 17 of that type [20660] (chr 195:255)", "file-kind" },
        { "(00.1) Error (criu/proc_parse.c:614): PID 7 has uprobes vma. Consider using --allow-uprobes.", "uprobes" },
        { "(00.1)   1: Error (criu/files-reg.c:2175): File etc/x.conf has bad size 3 (expect 7)", "file-changed" },
        { "(23.9) 58: Error (criu/files-reg.c:1565): Can't open file var/x.log on restore: No such file or directory", "file-missing" },
        { "(23.9) 58: Error (criu/files-reg.c:1565): Can't open file var/x.log on restore: Operation not permitted", "immutable-file" },
        { "(00.1) Error (criu/mount.c:3876): mnt: The root task has another root than mntns: /x", "chroot" },
        { "(00.1) Error (criu/mount.c:945): mnt: Mount 1133 ./sys/fs/cgroup/freezer (master_id: 26 shared_id: 0) has unreachable sharing. Try --enable-external-masters.", "external-mount" },
        { "(00.1) Error (criu/mount.c:700): mnt: 120:./data doesn't have a proper root mount", "external-mount" },
        { "(00.1) Error (criu/mount.c:3201): mnt: No mapping for 731:(null) mountpoint", "bind-mount" },
        { "(00.09)      1: Error (criu/mount.c:1959): mnt: Can't mount at /tmp/.criu.mntns.7JfA22/12-0000000000/my: No such file or directory", "bind-mount" },
        { "(00.264188)      1: Error (criu/mount.c:1941): mnt: Can't parse 0's mountinfo", "long-mountinfo" },
        { "(00.1) Error (criu/namespaces.c:900): Can't dump nested user namespace for 31", "nested-namespace" },
        { "(00.1) Error (criu/mem.c:90): Tracking memory is not available. Consider omitting --track-mem option.", "memory-tracking" },
        { "system (architecture/kernel/CRIU) does not support memory tracking", "memory-tracking" },
        { "CRIU memory tracking not supported", "memory-tracking" },
        { "(00.1) Error (criu/cr-dump.c:388): Can't get rlimit 0: Permission denied", "rlimit" },
        { "(00.1) Error (criu/cpu.c:400): cpu: CPU capabilities do not match run time", "cpu" },
        { "(00.1) Error (criu/cpu.c:274): cpu: CPU xsave size mismatch (2696/832)", "cpu" },
        { "(00.1) Error (criu/seccomp.c:90): seccomp: Can't fetch seccomp metadata on tid_real 3 pos 0", "seccomp" },
        { "(00.1) Error (compel/src/lib/infect.c:200): suspending seccomp failed: Operation not permitted", "seccomp" },
        { "(00.241528) pie: 6: Error (criu/pie/restorer.c:180): can't write lsm profile -13", "lsm" },
        { "(14.06) 47748: Error (criu/lsm.c:279): mismatched lsm types and lsm profile specified", "lsm" },
        { "(00.1) Error (criu/cr-restore.c:1237): Can't fork for 32424: File exists", "pid-taken" },
        { "(00.1) Error (criu/net.c:3200): Locking network failed: iptables-restore returned -1. This may be connected to disabled CONFIG_NETFILTER_XT_MARK kernel option.", "network-lock" },
        { "(00.03)      1: Error (criu/cgroup.c:1100): cg: Can't move 1 into cpuset//x.scope/cgroup.procs (-1/14): No space left on device", "cpuset" },
        { "(00.03) Error (criu/cgroup.c:1350): cg: Failed writing 0-3 to cpuset/x/cpuset.cpus: Permission denied", "cpuset" },
        { "(00.03) 1: Error (criu/cgroup.c:1092): cg: Can't move 1 into unifie//x/cgroup.procs (-1/-1): Bad file descriptor", "cgroup" },
        { "(00.1) Error (criu/page-xfer.c:300): Unable to write pages: No space left on device", "no-space" },
        { "(00.038580) Error (criu/protobuf.c:72): Unexpected EOF on (empty-image)", "image-incomplete" },
        { "did not receive systemd slice as cgroup parent when using systemd to manage cgroups: invalid argument", "cgroup-manager" },
        { "unable to find image: localhost/counter: image not known", "image-missing" },
        { "requested static ip 10.89.0.7 not in any subnet on network lab", "subnet" },
        { "unable to find network with name or ID lab: network not found", "network-missing" },
        { "template configuration at /var/lib/containers/x/userdata/config.json not found", "not-initialised" },
        { "bind-mount /proc/0/ns/net -> /var/run/docker/netns/3a04efd7a547: no such file or directory", "docker-netns" },
        { "failed to upload checkpoint to containerd: commit failed: content sha256:c859: already exists", "content-exists" },
        { "content digest c859faee: not found", "docker-25" },
        { "custom checkpointdir is not supported", "checkpoint-dir" },
        { "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.", "experimental" },
        { "failed to retrieve OCI runtime container pid: open /run/x/init.pid: no such file or directory: unknown", "shim-lost" },
        { "Bind for 0.0.0.0:80 failed: port is already allocated", "address-in-use" },
        { "cannot listen on the TCP port: listen tcp4 :8080: bind: address already in use", "address-in-use" },
        { "volume with name data already exists: volume already exists", "volume-exists" },
        { "Conflict. The container name \"/db\" is already in use by container \"ab\". You have to remove (or rename) that container to be able to reuse that name.", "name-in-use" },
        { "creating container storage: the container name \"db\" is already in use by ab. You have to remove that container to be able to reuse that name: that name is already in use", "name-in-use" },
        { "cannot checkpoint containers that have been started with '--rm' unless '--export' is used", "auto-remove" },
        { "\"exited\" is not running, cannot checkpoint: container state improper", "not-running" },
        { "checkpointing requires root", "rootless" },
        { "could not load `libcriu.so.2`: `no such file`", "runtime" },
        { "runc did not terminate successfully: exit status 1: criu failed: type NOTIFY errno 0 path= /run/x/criu-dump.log: unknown", "criu-failed" },
        { "OCI runtime error: crun: CRIU restoring failed -52. Please check CRIU logfile /x/restore.log", "restore-failed" },
        { "something nobody has seen yet", NULL },
        { "", NULL },
        { "\n\n\r\n", NULL },
        /* clang-format on */
};

static void knows_what_the_programs_say(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(messages); i++)
                explains(messages[i].text, messages[i].code);
}

static void load(const char *path, struct ts_str *ret)
{
        struct ts_err err = TS_ERR_INIT;

        UNIT_OK(ts_file_read(path, 1 << 20, ret, &err));
}

static void reads_a_real_dump_log(void)
{
        ts_auto_str s = TS_STR_INIT;
        struct ts_err err = TS_ERR_INIT;
        ts_auto_criu_explanation e = { 0 };

        load(FIXTURE("criu-4.2.1-dump-mount.log"), &s);
        UNIT_OK(ts_criu_explain(s.buf, &e, &err));
        UNIT_STR(e.code, "external-mount");
        UNIT_STR(e.lines, "(00.045265) Error (criu/files-reg.c:1790): Can't lookup mount=24 for fd=10 path=/dev/null\n"
                          "(00.045280) Error (criu/cr-dump.c:1545): Dump files (pid: 6) failed with -1\n"
                          "(00.046243) Error (criu/cr-dump.c:1975): Dumping FAILED.");
        ts_str_clear(&s);
        load(FIXTURE("criu-3.17-dump-vdso.log"), &s);
        UNIT_OK(ts_criu_explain(s.buf, &e, &err)); /* the old lines are not lost */
        UNIT_STR(e.code, "vdso");
        CU_ASSERT_TRUE(ts_starts(e.lines, "(00.075931) Error (criu/vdso.c:381): vdso: Unexpected rt vDSO area bounds\n"));
}

/* Debug lines are full of words that are causes elsewhere. */
static void does_not_take_debugging_for_a_cause(void)
{
        explains("(00.011682) Handling VMA: anon_inode:[io_uring]\n(00.011691) cg: cpuset\n(00.02) Error (criu/x.c:1): odd\n", NULL);
        explains("(00.011682) Handling VMA: anon_inode:[io_uring]\n(00.011691) seccomp: no\n", NULL); /* ended well */
        explains("ndling VMA: anon_inode:[io_uring]\n(00.011691) seccomp: no\n", NULL);               /* the tail of one */
        explains("(00.1) Warn  (criu/cr-check.c:813): Dirty tracking is OFF. Memory snapshot will not work.\n(00.2) Error (criu/x.c:1): "
                 "odd\n",
                 "memory-tracking");
        explains("(00.1) Error (criu/x.c:1): odd\n(00.3) Error (criu/cr-dump.c:2111): Dumping FAILED.\n", "dump-failed");
        explains("(00.1) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n", NULL);
}

static void prefers_the_first_cause(void)
{
        explains("(00.1) Error (criu/mount.c:1): mnt: Can't mount at /x: No such file\n(00.2) Error (criu/cgroup.c:1): cg: x\n",
                 "bind-mount");
        explains("(00.1) Error (criu/cr-dump.c:2111): Dumping FAILED.\n(00.2) Error (criu/cgroup.c:1): cg: x\n",
                 "cgroup"); /* weak ones last */
}

static void keeps_few_and_short_lines(void)
{
        struct ts_err err = TS_ERR_INIT;
        ts_auto_str s = TS_STR_INIT;
        ts_auto_criu_explanation e = { 0 };
        size_t lines = 1;

        for (int i = 0; i < 100; i++) {
                UNIT_OK(ts_str_addf(&s, &err, "(00.1) Error (criu/x.c:%d): odd \x1b[31m", i));
                for (int k = 0; k < 100; k++)
                        UNIT_OK(ts_str_adds(&s, "long ", &err));
                UNIT_OK(ts_str_adds(&s, i == 50 ? "\n(00.1) Error (criu/y.c:1): lsm profile\n" : "\n", &err));
        }
        UNIT_OK(ts_criu_explain(s.buf, &e, &err));
        UNIT_STR(e.code, "lsm");
        CU_ASSERT_TRUE(strlen(e.lines) < TS_CRIU_LINES_MAX * (TS_CRIU_LINE_BYTES_MAX + 2));
        for (const char *p = e.lines; (p = strchr(p, '\n')); p++)
                lines++;
        CU_ASSERT_EQUAL(lines, TS_CRIU_LINES_MAX);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.lines, "lsm profile"));
        CU_ASSERT_PTR_NULL(strchr(e.lines, '\x1b'));
}

static void gives_an_error_its_hint(void)
{
        struct ts_err err = TS_ERR_INIT;

        (void)ts_err_set(&err, TS_EENGINE, "restore: 500");
        CU_ASSERT_PTR_NULL(ts_criu_explain_err("nobody knows", &err));
        CU_ASSERT_PTR_NULL(err.hint);
        UNIT_STR(ts_criu_explain_err("image not known", &err), "image-missing");
        CU_ASSERT_TRUE(err.hint && ts_starts(err.hint, "the target engine does not have the container's image"));
        UNIT_STR(ts_criu_explain_err("lsm profile", &err), "lsm"); /* the first hint stays */
        CU_ASSERT_TRUE(ts_starts(err.hint, "the target engine does not have"));
        ts_err_clear(&err);
}

/* Every row can be reached with its own words, and reads as a message does. */
static void has_a_table_in_order(void)
{
        struct ts_criu_cause c;
        size_t n = 0;

        for (; ts_criu_cause_at(n, &c); n++) {
                const char *also = ts_or(c.also, "");
                ts_auto_free char *text = *also == '\n' ? ts_fmt("%s\n%s", also + 1, c.text)
                                                        : ts_fmt("%s %s", c.text, also);
                struct ts_err err = TS_ERR_INIT;
                ts_auto_criu_explanation e = { 0 };

                CU_ASSERT_PTR_NOT_NULL_FATAL(c.code);
                UNIT_OK(ts_criu_explain(text, &e, &err));
                UNIT_STR(e.code, c.code);
                CU_ASSERT_EQUAL(strspn(c.code, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(c.code));
                CU_ASSERT_TRUE(c.explanation[0] && c.explanation[strlen(c.explanation) - 1] != '.' && !strchr(c.explanation, '\n'));
                CU_ASSERT_TRUE(!c.hint || (c.hint[0] && c.hint[strlen(c.hint) - 1] != '.' && !strchr(c.hint, '\n')));
        }
        CU_ASSERT_TRUE(n > 90);
}

static CU_TestInfo tests[] = { UNIT(knows_what_the_programs_say),
                               UNIT(reads_a_real_dump_log),
                               UNIT(does_not_take_debugging_for_a_cause),
                               UNIT(prefers_the_first_cause),
                               UNIT(keeps_few_and_short_lines),
                               UNIT(gives_an_error_its_hint),
                               UNIT(has_a_table_in_order),
                               CU_TEST_INFO_NULL };
UNIT_MAIN("criu_log", tests)
