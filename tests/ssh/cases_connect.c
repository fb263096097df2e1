/* Reaching a host: configuration, host keys, authentication, proxies, and servers that do not answer. */
#include "frame.h"

#include "transfer/ssh_conf.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int try_connect(const char *alias, const struct ts_ssh_opts *opts, struct ts_err *err)
{
        struct ts_host *h = NULL;
        struct ts_ssh_opts standard = lab_opts();
        int r = ts_host_ssh(NULL, alias, 0, opts ? opts : &standard, &h, err);

        ts_host_free(h);
        return r;
}

/* Connects and runs a command. */
static void works(const char *alias)
{
        struct ts_host *h = lab_connect(alias);
        ts_auto_free char *out = NULL;
        ts_auto_err err = TS_ERR_INIT;

        STR_IS(ts_host_name(h), alias);
        OK(ts_host_check(h, ARGV("echo", "here"), NULL, &out, &err));
        STR_IS(out, "here");
        ts_host_free(h);
}

/* ---- ways in ---- */

static void key_without_pass_phrase(void)
{
        works("box");
        works("ecdsakey");
}

static void agent_key(void)
{
        works("agent");
        works("agentonly");
}

static void alias_with_port(void)
{
        struct ts_ssh_opts opts = lab_opts();
        struct ts_host *h = NULL;
        ts_auto_err err = TS_ERR_INIT;

        works("box");
        FAILS(ts_host_ssh(NULL, "box", 1, &opts, &h, &err), TS_ECONNECT);               /* a port of ours wins */
        FAILS(ts_host_ssh("nobody-of-that-name", "box", 0, &opts, &h, &err), TS_EAUTH); /* and a user */
        HAS(err.message, "nobody-of-that-name");
}

static void jump_host(void)
{
        works("jump");
        works("twojumps");
}

static void jump_host_refused(void)
{
        ts_auto_err err = TS_ERR_INIT;

        FAILS(try_connect("badjump", NULL, &err), TS_ECONNECT);
        HAS(err.message, "Host key verification failed"); /* the proxy's own words */
}

static void proxy_command(void)
{
        works("command");
}

static void identity_option(void)
{
        struct ts_ssh_opts opts = lab_opts();
        ts_auto_err err = TS_ERR_INIT;

        opts.identity = lab_path("id");
        OK(try_connect("stranger", &opts, &err));
        opts.identity = lab_path("no-such-key");
        FAILS(try_connect("stranger", &opts, &err), TS_ENOTFOUND);
}

/* ---- host keys ---- */

static void changed_host_key(void)
{
        struct ts_ssh_opts opts = lab_opts();
        ts_auto_err err = TS_ERR_INIT;

        FAILS(try_connect("wrong", NULL, &err), TS_EAUTH);
        HAS(err.hint, "SHA256:");
        HAS(err.hint, "ssh-keygen -R '[127.0.0.1]:");
        opts.accept_new = true;
        FAILS(try_connect("wrong", &opts, &err), TS_EAUTH);
        FAILS(try_connect("rsa", &opts, &err), TS_EAUTH); /* another type is no way around it */
        FAILS(try_connect("revoked", &opts, &err), TS_EAUTH);
        HAS(err.message, "revoked");
}

static void unknown_host_key(void)
{
        struct ts_ssh_opts opts = lab_opts();
        struct stat st;
        ts_auto_err err = TS_ERR_INIT;

        FAILS(try_connect("none", NULL, &err), TS_EAUTH);
        HAS(err.hint, "SHA256:");
        HAS(err.hint, "--accept-new");
        FAILS(try_connect("negated", NULL, &err), TS_EAUTH);
        CU_ASSERT(stat(lab_path("known_none"), &st) == 0 && st.st_size == 0);
        opts.accept_new = true;
        OK(try_connect("none", &opts, &err));
        CU_ASSERT(stat(lab_path("known_none"), &st) == 0 && st.st_size > 50);
        OK(try_connect("none", NULL, &err));
        lab_shell("ssh -F \"$TS_SSH_DIR/config\" -o BatchMode=yes none true"); /* ssh can read what we wrote */
}

static void known_hosts_option(void)
{
        struct ts_ssh_opts opts = lab_opts();
        ts_auto_err err = TS_ERR_INIT;

        opts.known_hosts = lab_path("new-dir/known");
        FAILS(try_connect("box", &opts, &err), TS_EAUTH);
        opts.accept_new = true;
        OK(try_connect("box", &opts, &err));
        OK(try_connect("jump", &opts, &err)); /* the hop's key goes there too */
        opts.accept_new = false;
        OK(try_connect("jump", &opts, &err));
}

static void known_hosts_forms(void)
{
        works("hashed");
        works("pattern");
        works("portless");
        works("alias");
        works("alias-of-two");
        works("alias-of-one");
        works("garbage");
        works("ecdsa"); /* the server would prefer its ed25519 key, which is not known */
}

/* ---- refusals ---- */

static void locked_key(void)
{
        ts_auto_err err = TS_ERR_INIT;

        FAILS(try_connect("locked", NULL, &err), TS_EAUTH);
        HAS(err.message, "pass phrase");
        HAS(err.hint, "ssh-add ");
        HAS(err.hint, "id_locked");
}

static void stranger_key(void)
{
        ts_auto_err err = TS_ERR_INIT;

        FAILS(try_connect("stranger", NULL, &err), TS_EAUTH);
        HAS(err.message, "accepts no key");
}

static void bad_names(void)
{
        ts_auto_err err = TS_ERR_INIT;

        FAILS(try_connect("-oProxyCommand=touch /tmp/never", NULL, &err), TS_EUSAGE);
        FAILS(try_connect("", NULL, &err), TS_EUSAGE);
        FAILS(try_connect("a b", NULL, &err), TS_EUSAGE);
        FAILS(try_connect("a\nb", NULL, &err), TS_EUSAGE);
        FAILS(try_connect("$(true)", NULL, &err), TS_EUSAGE);
        FAILS(try_connect("closed", NULL, &err), TS_ECONNECT);
        FAILS(try_connect("no-such-name.invalid", NULL, &err), TS_ECONNECT);
}

static void bad_configuration(void)
{
        struct ts_ssh_opts opts = lab_opts();
        ts_auto_err err = TS_ERR_INIT;

        opts.config_file = lab_path("no-such-file");
        FAILS(try_connect("box", &opts, &err), TS_EIO);
        OK(ts_file_write_atomic(lab_path("broken"), "Nonsense yes\n", 13, 0600, &err));
        opts.config_file = lab_path("broken");
        FAILS(try_connect("box", &opts, &err), TS_EUSAGE);
        HAS(err.message, "onsense");
}

/* ---- servers that do not behave ---- */

enum manner { SILENT, CHATTY, GARBAGE, CLOSES, MANNERS };

struct server {
        pthread_t thread;
        int listener, stop[2];
        enum manner manner;
        unsigned port;
};

static void behave(struct server *s, int fd)
{
        static const char line[] = "a line before the banner, of which there is no end\r\n";
        struct pollfd stop = { .fd = s->stop[0], .events = POLLIN };

        if (s->manner == GARBAGE)
                (void)!write(fd, "SSH-2.0-x\r\n\377\377\377\377\377\377\377\377\377\377\377\377", 23);
        if (s->manner == SILENT || s->manner == GARBAGE)
                (void)poll(&stop, 1, 20000);
        while (s->manner == CHATTY && poll(&stop, 1, 0) == 0 && send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0)
                ;
}

static void *server_main(void *arg)
{
        struct server *s = arg;

        for (;;) {
                struct pollfd p[2] = { { .fd = s->listener, .events = POLLIN }, { .fd = s->stop[0], .events = POLLIN } };
                ts_auto_fd int fd = -1;

                if (poll(p, 2, -1) > 0 && p[1].revents)
                        return NULL;
                fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
                behave(s, fd);
        }
}

static void server_start(struct server *s, enum manner manner)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(a);

        *s = (struct server){ .manner = manner };
        s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CU_ASSERT_FATAL(bind(s->listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->listener, 8) == 0);
        CU_ASSERT_FATAL(getsockname(s->listener, (struct sockaddr *)&a, &len) == 0 && ts_pipe(s->stop, NULL) == 0);
        s->port = ntohs(a.sin_port);
        CU_ASSERT_FATAL(pthread_create(&s->thread, NULL, server_main, s) == 0);
}

static void server_stop(struct server *s)
{
        (void)!write(s->stop[1], "", 1);
        (void)pthread_join(s->thread, NULL);
        (void)close(s->listener);
        (void)close(s->stop[0]);
        (void)close(s->stop[1]);
}

static void misbehaving_servers(void)
{
        static const enum ts_code codes[MANNERS] = { TS_ETIMEOUT, TS_ETIMEOUT, TS_ECONNECT, TS_ECONNECT };

        for (int m = SILENT; m < MANNERS; m++) {
                struct ts_ssh_opts opts = lab_opts();
                struct ts_host *h = NULL;
                struct server s;
                uint64_t start;
                ts_auto_err err = TS_ERR_INIT;

                server_start(&s, (enum manner)m);
                opts.connect_timeout_ms = is_slow() ? 8000 : 1000;
                start = ts_now_us();
                CU_ASSERT(ts_host_ssh(NULL, "box", s.port, &opts, &h, &err) == -1);
                if (err.code != codes[m])
                        (void)printf("\n    manner %d: %s: %s\n", m, ts_code_str(err.code), ts_err_message(&err));
                CU_ASSERT_EQUAL(err.code, codes[m]);
                CU_ASSERT(ms_since(start) < (is_slow() ? 30000 : 4000));
                server_stop(&s);
        }
}

/* An agent that accepts and is then silent must not keep the key files from being tried. */
static void agent_that_hangs(void)
{
        struct ts_ssh_opts opts = lab_opts();
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ts_auto_err err = TS_ERR_INIT;

        (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", lab_path("deaf.sock"));
        CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 4) == 0);
        opts.connect_timeout_ms = is_slow() ? 10000 : 1500;
        OK(try_connect("deafagent", &opts, &err));
        (void)close(fd);
        OK(try_connect("deafagent", &opts, &err)); /* nor one that is gone */
        (void)unlink(a.sun_path);
}

/* ---- configuration ---- */

static void parses_configuration(void)
{
        struct ts_ssh_conf c = { 0 };
        char text[] =
                "user me\nhostname h.example\nport 2222\nidentityfile ~/.ssh/my key\nidentityfile /k\nuserknownhostsfile /a ~/b none\n"
                "stricthostkeychecking accept-new\nconnecttimeout 7\nidentitiesonly yes\nproxyjump none\nproxycommand foo %h:%p %% "
                "%r\nunheardof thing\nbare\n";
        char bad_port[] = "user me\nhostname h\nport 99999\n", fdpass[] = "user me\nproxyusefdpass yes\n", empty[] = "";
        ts_auto_free char *expanded = NULL;
        ts_auto_err err = TS_ERR_INIT;

        c.alias = ts_strdup0("short");
        c.owner.home = ts_strdup0("/home/me");
        OK(ts_ssh_conf_parse(&c, text, &err));
        STR_IS(c.hostname, "h.example");
        STR_IS(c.identities.v[0], "/home/me/.ssh/my key");
        CU_ASSERT(c.identities.n == 2 && c.known_hosts.n == 2);
        STR_IS(c.known_hosts.v[1], "/home/me/b");
        CU_ASSERT(c.accept_new && c.identities_only && c.connect_timeout_ms == 7000 && !c.proxy_jump);
        OK(ts_ssh_conf_expand(&c, c.proxy_command, &expanded, &err));
        STR_IS(expanded, "foo h.example:2222 % me");
        FAILS(ts_ssh_conf_expand(&c, "%C", &expanded, &err), TS_EUSAGE);
        FAILS(ts_ssh_conf_expand(&c, "x%", &expanded, &err), TS_EUSAGE);
        FAILS(ts_ssh_conf_parse(&c, fdpass, &err), TS_EUSAGE);
        ts_ssh_conf_clear(&c);
        c = (struct ts_ssh_conf){ .alias = ts_strdup0("short") };
        FAILS(ts_ssh_conf_parse(&c, bad_port, &err), TS_EUSAGE);
        ts_ssh_conf_clear(&c);
        c = (struct ts_ssh_conf){ .alias = ts_strdup0("short") };
        FAILS(ts_ssh_conf_parse(&c, empty, &err), TS_EPROTO);
        ts_ssh_conf_clear(&c);
}

/* Under sudo it is the caller's configuration: files, home directory, and the uid of everything it starts. */
static void under_sudo(void)
{
        struct ts_ssh_conf c = { 0 };
        struct ts_ssh_opts opts = lab_opts();
        struct passwd *nobody = getpwnam("nobody");
        ts_auto_err err = TS_ERR_INIT;
        char uid[32];

        SKIP_UNLESS(geteuid() == 0 && nobody, "needs root");
        (void)snprintf(uid, sizeof(uid), "%lu", (unsigned long)nobody->pw_uid);
        (void)setenv("SUDO_UID", uid, 1);
        OK(ts_ssh_conf_load(NULL, "some.host", 0, NULL, &c, &err));
        CU_ASSERT(c.owner.switch_to && c.owner.uid == nobody->pw_uid);
        STR_IS(c.user, "nobody"); /* ssh itself ran as nobody */
        STR_IS(c.owner.home, nobody->pw_dir);
        CU_ASSERT(c.known_hosts.n > 0 && ts_starts(c.known_hosts.v[0], nobody->pw_dir));
        CU_ASSERT(c.identities.n > 0 && ts_starts(c.identities.v[0], nobody->pw_dir));
        ts_ssh_conf_clear(&c);
        OK(ts_ssh_conf_load(NULL, "box", 0, &opts, &c, &err)); /* a file of root's: as root */
        CU_ASSERT(!c.owner.switch_to);
        ts_ssh_conf_clear(&c);
        lab_shell("cp \"$TS_SSH_DIR/config\" \"$TS_SSH_DIR/nobodys\" && chown nobody \"$TS_SSH_DIR/nobodys\" && chmod 600 "
                  "\"$TS_SSH_DIR/nobodys\"");
        opts.config_file = lab_path("nobodys");
        OK(ts_ssh_conf_load(NULL, "box", 0, &opts, &c, &err));
        CU_ASSERT(c.owner.switch_to);
        ts_ssh_conf_clear(&c);
        OK(try_connect("box", &opts, &err));
        OK(try_connect("command", &opts, &err)); /* the proxy runs as nobody and gets through */
        (void)unsetenv("SUDO_UID");
}

const struct test_case connect_cases[] = {
        CASE(parses_configuration), CASE(key_without_pass_phrase), CASE(agent_key),        CASE(alias_with_port),  CASE(jump_host),
        CASE(jump_host_refused),    CASE(proxy_command),           CASE(identity_option),  CASE(changed_host_key), CASE(unknown_host_key),
        CASE(known_hosts_option),   CASE(known_hosts_forms),       CASE(locked_key),       CASE(stranger_key),     CASE(bad_names),
        CASE(bad_configuration),    CASE(misbehaving_servers),     CASE(agent_that_hangs), CASE(under_sudo),       CASES_END,
};
