/* Agents over SSH: the program is copied once, dumps come over with what changed, and whatever breaks is noticed and leaves nothing. */
#include "frame.h"

#include "transfer/ship.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/stat.h>

#define MIB ((size_t)1 << 20)
#define STALL_MS (is_slow() ? 120000u : 20000u)

static const struct ts_agent_opts opts = { .patience_ms = 30000 };

static const char *make_dir(const char *name)
{
        const char *dir = lab_path(name);
        ts_auto_free char *command = ts_fmt("rm -rf %s && mkdir %s", dir, dir);

        lab_shell(command);
        return dir;
}

static void write_pattern(const char *dir, const char *name, size_t len, uint64_t offset)
{
        ts_auto_free char *path = ts_fmt("%s/%s", dir, name);
        ts_auto_free unsigned char *buf = malloc(len);
        ts_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (!buf)
                abort();
        fill_pattern(buf, len, offset);
        CU_ASSERT_FATAL(fd >= 0 && write(fd, buf, len) == (ssize_t)len);
}

static void same_dirs(const char *a, const char *b)
{
        ts_auto_free char *command = ts_fmt("diff -r %s %s", a, b);

        lab_shell(command);
}

static void round_of(struct ts_agent *source, struct ts_agent *target, bool final, struct ts_ship_stats *ret)
{
        ts_auto(ts_ship) struct ts_ship *s = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_ship_begin(source, target, NULL, STALL_MS, &s, &err));
        ts_ship_end(s, final ? TS_SHIP_FINAL : TS_SHIP_PAGES);
        OK(ts_ship_wait(s, NULL, NULL, ret, &err));
        CU_ASSERT_EQUAL(ts_ship_bytes(s), ret->bytes);
}

static void two_rounds(struct ts_host *from, struct ts_host *to)
{
        ts_auto(ts_agent) struct ts_agent *source = NULL;
        ts_auto(ts_agent) struct ts_agent *target = NULL;
        const char *in = make_dir("dump-in"), *out = make_dir("dump-out");
        struct ts_ship_stats st;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_agent_start(from, in, &opts, &source, &err));
        OK(ts_agent_start(to, out, &opts, &target, &err));
        write_pattern(in, "pages-1.img", 16 * MIB, 0);
        round_of(source, target, false, &st);
        CU_ASSERT_EQUAL(st.sent, 4096);
        CU_ASSERT_TRUE(st.bytes > 16 * MIB && st.bytes < 17 * MIB);
        lab_shell("rm $TS_SSH_DIR/dump-in/*");
        write_pattern(in, "pages-1.img", 16 * MIB, 4096 * 100); /* a hundred pages are gone in front, and as many are new behind */
        write_pattern(in, "inventory.img", 100, 7);
        round_of(source, target, true, &st);
        CU_ASSERT_EQUAL(st.copied, 4096 - 100);
        CU_ASSERT_EQUAL(st.sent, 100);
        CU_ASSERT_TRUE(st.bytes < MIB);
        same_dirs(in, out);
}

static void tree_round(struct ts_agent *source, struct ts_agent *target, bool final, struct ts_ship_stats *ret)
{
        ts_auto(ts_ship) struct ts_ship *s = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_ship_begin_tree(source, target, STALL_MS, &s, &err));
        ts_ship_end(s, final ? TS_SHIP_FINAL : TS_SHIP_PAGES);
        OK(ts_ship_wait(s, NULL, NULL, ret, &err));
}

static void ship_between(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        two_rounds(local, remote);
        two_rounds(remote, local);
        two_rounds(remote, remote);
        two_rounds(local, local);
        OK(ts_agent_uninstall(remote, &err));
        ts_host_free(local);
        ts_host_free(remote);
}

static void ship_trees(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        ts_auto(ts_agent) struct ts_agent *source = NULL;
        ts_auto(ts_agent) struct ts_agent *target = NULL;
        const char *in = make_dir("tree-in"), *out = make_dir("tree-out");
        struct ts_ship_stats st;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        OK(ts_agent_start(local, in, &opts, &source, &err));
        OK(ts_agent_start(remote, out, &opts, &target, &err));
        lab_shell("mkdir $TS_SSH_DIR/tree-in/d; ln -s d $TS_SSH_DIR/tree-in/l");
        write_pattern(in, "d/file", MIB, 0);
        tree_round(source, target, false, &st);
        CU_ASSERT_EQUAL(st.objects, 3);
        CU_ASSERT_EQUAL(st.bytes_sent, MIB);
        write_pattern(in, "d/other", 10, 0);
        tree_round(source, target, true, &st);
        CU_ASSERT_EQUAL(st.objects, 4);
        CU_ASSERT_EQUAL(st.bytes_sent, 10);
        same_dirs(in, out);
        ts_agent_free(TS_TAKE(source));
        ts_agent_free(TS_TAKE(target));
        OK(ts_agent_uninstall(remote, &err));
        ts_host_free(local);
        ts_host_free(remote);
}

/* Whatever lies under its name: what runs is what we sent. */
static void ship_checks_its_program(void)
{
        struct ts_host *h = lab_connect("box");
        ts_auto(ts_agent) struct ts_agent *a = NULL;
        ts_auto_err err = TS_ERR_INIT;
        const char *dir = make_dir("dump-in");

        OK(ts_agent_start(h, dir, &opts, &a, &err));
        ts_agent_free(TS_TAKE(a));
        /* It holds a lock of the file that is about to be another one: whoever removes that would not see it. */
        lab_shell("i=0; while pgrep --ns $$ --nslist pid -f ^/var/lib/tranship/agent/ >/dev/null && [ $((i+=1)) -le 1200 ]; do sleep 0.1; done");
        lab_shell("for f in /var/lib/tranship/agent/[0-9a-f]*; do cp /bin/true $f.new && mv $f.new $f && : >$f.cut && touch -d '2 hours ago' $f.cut; done");
        OK(ts_agent_start(h, dir, &opts, &a, &err));
        lab_shell("[ $(ls /var/lib/tranship/agent | grep -vc ^join-) = 1 ] && [ $(stat -c %a /var/lib/tranship/agent) = 700 ]");
        ts_agent_free(TS_TAKE(a));
        lab_shell("for f in /var/lib/tranship/agent/[0-9a-f]*; do : >$f.cut && touch -d '2 hours ago' $f.cut; done");
        FAILS(ts_agent_start(h, "/nowhere/at/all/\n", &opts, &a, &err), TS_EPROTO);
        FAILS(ts_agent_start(h, "/nowhere/at/all", &opts, &a, &err), TS_EIO);
        OK(ts_agent_uninstall(h, &err));
        lab_shell("[ ! -e /var/lib/tranship/agent ]");
        ts_host_free(h);
}

/* An agent dies, or the connection to it: an error, and nothing on the target. */
static void ship_killed(void)
{
        static const int at[] = { 0, 1 }; /* source, target */
        struct ts_host *local = NULL;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        for (size_t i = 0; i < TS_ARRAY_LEN(at); i++) {
                struct ts_host *remote = lab_connect("box");
                ts_auto(ts_agent) struct ts_agent *source = NULL;
                ts_auto(ts_agent) struct ts_agent *target = NULL;
                ts_auto(ts_ship) struct ts_ship *s = NULL;
                const char *in = make_dir("dump-in"), *out = make_dir("dump-out");
                ts_auto_free char *look = ts_fmt("[ -z \"$(ls -A %s)\" ]", out);
                struct ts_ship_stats st;

                OK(ts_agent_start(at[i] == 0 ? remote : local, in, &opts, &source, &err));
                OK(ts_agent_start(at[i] == 1 ? remote : local, out, &opts, &target, &err));
                OK(ts_ship_begin(source, target, NULL, STALL_MS, &s, &err));
                write_pattern(in, "pages-1.img", 16 * MIB, 0);
                while (ts_ship_bytes(s) == 0)
                        ts_sleep_ms(5);
                lab_shell("pkill --ns $$ --nslist pid -KILL -f ^/var/lib/tranship/agent/");
                ts_ship_end(s, TS_SHIP_FINAL);
                CU_ASSERT_EQUAL(ts_ship_wait(s, NULL, NULL, &st, &err), -1);
                (void)printf("'%s' ", ts_err_message(&err));
                ts_err_clear(&err);
                ts_ship_free(TS_TAKE(s));
                ts_agent_free(TS_TAKE(source));
                ts_agent_free(TS_TAKE(target));
                if (at[i] == 0) /* a target that lives cleans up after itself */
                        lab_shell(look);
                OK(ts_agent_uninstall(remote, &err));
                ts_host_free(remote);
        }
        ts_host_free(local);
}

/* Every SSH session with an agent on it dies, and there is one, or will be soon; the agents do not. An agent that has lost its own before has another parent by
 * now. */
static void kill_connections(void)
{
        lab_shell("n=0; i=0; while [ $n = 0 ] && [ $((i+=1)) -le 200 ]; do sleep 0.05; "
                  "for p in $(pgrep --ns $$ --nslist pid -f ^/var/lib/tranship/agent/); do q=$(ps -o ppid= -p $p | tr -d ' '); "
                  "case $(ps -o comm= -p ${q:-1}) in sshd*) kill -KILL $q; n=$((n+1));; esac; done; done; [ $n -gt 0 ]");
}

/* The connections break, again and again: what had arrived stays, what was on its way comes again, and no more than that. */
static void connections_break(struct ts_host *from, struct ts_host *to, const struct ts_agent_opts *o, void (*cut)(void))
{
        ts_auto(ts_agent) struct ts_agent *source = NULL;
        ts_auto(ts_agent) struct ts_agent *target = NULL;
        ts_auto(ts_ship) struct ts_ship *s = NULL;
        const char *in = make_dir("tree-in"), *out = make_dir("tree-out");
        struct ts_ship_stats st;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t sent, got, before[2], after[2];
        size_t len = 128 * MIB;

        write_pattern(in, "file", len, 0);
        OK(ts_agent_start(from, in, o, &source, &err));
        OK(ts_agent_start(to, out, o, &target, &err));
        ts_host_wire(from, &sent, &before[0]);
        ts_host_wire(to, &before[1], &got);
        OK(ts_ship_begin_tree(source, target, STALL_MS, &s, &err));
        ts_ship_end(s, TS_SHIP_PAGES);
        for (uint64_t next = len / 8; next < len && !ts_err_is_set(&err); next += len / 4) {
                for (unsigned i = 0; ts_ship_bytes(s) < next && i < 20000; i++)
                        ts_sleep_ms(1);
                cut();
        }
        OK(ts_ship_wait(s, NULL, NULL, &st, &err));
        ts_ship_free(TS_TAKE(s));
        CU_ASSERT_EQUAL(st.bytes_sent, len);
        ts_host_wire(from, &sent, &after[0]);
        ts_host_wire(to, &after[1], &got);
        for (size_t i = 0; i < 2; i++)
                CU_ASSERT_TRUE(after[i] - before[i] < len + 5 * 9 * MIB); /* a window a time */
        lab_shell("echo more >$TS_SSH_DIR/tree-in/more");
        cut(); /* nothing is on its way */
        tree_round(source, target, true, &st);
        CU_ASSERT_EQUAL(st.bytes_sent, 5);
        same_dirs(in, out);
}

static void ship_reconnects(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        const struct ts_agent_opts three = { .streams = 3, .patience_ms = 30000 };
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        connections_break(local, remote, &opts, kill_connections);
        connections_break(remote, local, &three, kill_connections);
        OK(ts_agent_uninstall(remote, &err));
        ts_host_free(local);
        ts_host_free(remote);
}

#define TLS_LOW 49352U
#define TLS_HIGH 49379U

/* What came by SSH channels and by TLS alike, from a host and to one. */
static uint64_t carried(struct ts_host *h)
{
        uint64_t sent, received;

        ts_host_wire(h, &sent, &received);
        return sent + received;
}

/* Needs CONFIG_INET_DIAG_DESTROY, which most kernels have. */
static void kill_tls(void)
{
        lab_shell("for i in $(seq 200); do ss -HKtn state established sport ge 49352 and sport le 49379 | grep -q . && exit; sleep 0.05; done; "
                  "ss -tn >&2; exit 1");
}

static void ship_by_tls(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        const struct ts_agent_opts tls = { .streams = 1, .tls_low = TLS_LOW, .tls_high = TLS_HIGH, .patience_ms = 30000 };
        ts_auto(ts_agent) struct ts_agent *source = NULL;
        ts_auto(ts_agent) struct ts_agent *target = NULL;
        const char *in = make_dir("tree-in"), *out = make_dir("tree-out");
        struct ts_ship_stats st;
        ts_auto_err err = TS_ERR_INIT;
        uint64_t before;

        OK(ts_host_local(&local, &err));
        write_pattern(in, "file", 32 * MIB, 0);
        OK(ts_agent_start(local, in, &tls, &source, &err));
        OK(ts_agent_start(remote, out, &tls, &target, &err));
        CU_ASSERT_TRUE(ts_agent_has_way(source, &tls));
        CU_ASSERT_TRUE(ts_agent_has_way(target, &tls));
        before = carried(remote);
        tree_round(source, target, true, &st);
        CU_ASSERT_TRUE(carried(remote) - before > 32 * MIB && carried(remote) - before < 34 * MIB); /* once */
        same_dirs(in, out);
        lab_shell("ss -Htln sport ge 49352 and sport le 49379 | grep -q ' 127.0.0.1:'"); /* and at no other address */
        ts_agent_free(TS_TAKE(source));
        ts_agent_free(TS_TAKE(target));
        connections_break(local, remote, &tls, kill_connections); /* those of SSH, which stand by */
        connections_break(local, remote, &tls, kill_tls);
        connections_break(remote, local, &tls, kill_tls);
        two_rounds(remote, remote);
        OK(ts_agent_uninstall(remote, &err));
        ts_host_free(local);
        ts_host_free(remote);
}

/* No port is free, or the way there is a proxy's: by SSH, and nobody is asked again. */
static void ship_without_tls(void)
{
        static const char *const hosts[] = { "box", "jump" };
        struct ts_host *local = NULL;
        int taken = -1;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        for (size_t i = 0; i < TS_ARRAY_LEN(hosts); i++) {
                struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                socklen_t len = sizeof(a);
                struct ts_host *remote = lab_connect(hosts[i]);
                ts_auto(ts_agent) struct ts_agent *source = NULL;
                ts_auto(ts_agent) struct ts_agent *target = NULL;
                const char *in = make_dir("tree-in"), *out = make_dir("tree-out");
                struct ts_agent_opts tls = { .patience_ms = 30000 };
                struct ts_ship_stats st;

                taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                CU_ASSERT_FATAL(bind(taken, (struct sockaddr *)&a, len) == 0 && listen(taken, 1) == 0 &&
                                getsockname(taken, (struct sockaddr *)&a, &len) == 0);
                tls.tls_low = tls.tls_high = ntohs(a.sin_port);
                write_pattern(in, "file", MIB, 0);
                OK(ts_agent_start(local, in, &tls, &source, &err));
                OK(ts_agent_start(remote, out, &tls, &target, &err));
                CU_ASSERT_FALSE(ts_agent_has_way(target, &tls));
                tree_round(source, target, true, &st);
                same_dirs(in, out);
                ts_agent_free(TS_TAKE(source));
                ts_agent_free(TS_TAKE(target));
                (void)close(taken);
                OK(ts_agent_uninstall(remote, &err));
                ts_host_free(remote);
        }
        ts_host_free(local);
}

/* No patience: the first connection that breaks is the end, and the agent's, too. */
static void ship_does_not_reconnect(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        ts_auto(ts_agent) struct ts_agent *source = NULL;
        ts_auto(ts_agent) struct ts_agent *target = NULL;
        ts_auto(ts_ship) struct ts_ship *s = NULL;
        const char *in = make_dir("tree-in"), *out = make_dir("tree-out");
        struct ts_ship_stats st;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        OK(ts_agent_start(local, in, &opts, &source, &err));
        OK(ts_agent_start(remote, out, &opts, &target, &err));
        ts_agent_patience(target, 0);
        kill_connections();
        OK(ts_ship_begin_tree(source, target, STALL_MS, &s, &err));
        ts_ship_end(s, TS_SHIP_PAGES);
        CU_ASSERT_EQUAL(ts_ship_wait(s, NULL, NULL, &st, &err), -1);
        (void)printf("'%s' ", ts_err_message(&err));
        ts_err_clear(&err);
        ts_ship_free(TS_TAKE(s));
        ts_agent_free(TS_TAKE(source));
        ts_agent_free(TS_TAKE(target));
        lab_shell("pkill --ns $$ --nslist pid -KILL -f ^/var/lib/tranship/agent/ || true");
        OK(ts_agent_uninstall(remote, &err));
        ts_host_free(local);
        ts_host_free(remote);
}

/* An agent that says nothing, on a host that answers: the limit holds for the wait that is under way when the dump is complete. */
static void ship_silent(void)
{
        struct ts_host *local = NULL, *remote = lab_connect("box");
        ts_auto(ts_agent) struct ts_agent *source = NULL;
        ts_auto(ts_agent) struct ts_agent *target = NULL;
        ts_auto(ts_ship) struct ts_ship *s = NULL;
        const char *in = make_dir("dump-in"), *out = make_dir("dump-out");
        struct ts_ship_stats st;
        ts_auto_err err = TS_ERR_INIT;

        OK(ts_host_local(&local, &err));
        OK(ts_agent_start(remote, in, &opts, &source, &err));
        OK(ts_agent_start(local, out, &opts, &target, &err));
        OK(ts_ship_begin(source, target, NULL, 2000, &s, &err));
        lab_shell("pkill --ns $$ --nslist pid -STOP -f ^/var/lib/tranship/agent/");
        ts_ship_end(s, TS_SHIP_FINAL);
        FAILS(ts_ship_wait(s, NULL, NULL, &st, &err), TS_ETIMEOUT);
        lab_shell("pkill --ns $$ --nslist pid -KILL -f ^/var/lib/tranship/agent/");
        ts_ship_free(TS_TAKE(s));
        ts_agent_free(TS_TAKE(source));
        ts_agent_free(TS_TAKE(target));
        OK(ts_agent_uninstall(remote, &err));
        ts_host_free(local);
        ts_host_free(remote);
}

const struct test_case ship_cases[] = { CASE(ship_between), CASE(ship_trees),      CASE(ship_checks_its_program), CASE(ship_killed),
                                        CASE(ship_silent),  CASE(ship_reconnects), CASE(ship_does_not_reconnect), CASE(ship_by_tls), CASE(ship_without_tls), CASES_END };
