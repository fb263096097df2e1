/* The byte stream under a session: TCP, or the user's own ProxyJump or ProxyCommand. Decides how to reach a host; knows nothing of SSH. */
#include "transfer/ssh.h"

#include "base/io.h"
#include "transfer/host_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define PROXY_WORDS (64 << 10) /* bytes of a proxy's complaints that are kept */

/* ---- names ---- */

struct lookup {
        struct gaicb cb;
        struct addrinfo hints;
        char *host, *port;
};

static void lookup_free(struct lookup *l)
{
        if (l->cb.ar_result)
                freeaddrinfo(l->cb.ar_result);
        free(l->host);
        free(l->port);
        free(l);
}

static bool is_stopped(const struct ts_ssh *s)
{
        struct pollfd p = { .fd = s->stop_fd, .events = POLLIN };

        return poll(&p, 1, 0) > 0;
}

/* The resolver knows neither a deadline nor a stop, so it runs beside us. One that cannot be cancelled keeps its memory: better lost than written to after it is freed. */
static int lookup_wait(const struct ts_ssh *s, struct lookup *l, ts_deadline deadline)
{
        const struct gaicb *list[1] = { &l->cb };
        struct gaicb *start[1] = { &l->cb };
        int rc = getaddrinfo_a(GAI_NOWAIT, start, 1, NULL);

        if (rc != 0)
                return rc;
        while ((rc = gai_error(&l->cb)) == EAI_INPROGRESS) {
                int ms = ts_deadline_poll_ms(deadline, 100);
                struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

                if (ts_deadline_passed(deadline) || is_stopped(s))
                        return gai_cancel(&l->cb) == EAI_CANCELED ? EAI_CANCELED : EAI_INPROGRESS;
                (void)gai_suspend(list, 1, &ts);
        }
        return rc;
}

static int resolve(struct ts_ssh *s, ts_deadline deadline, struct lookup **ret, struct ts_err *err)
{
        const struct ts_ssh_conf *c = s->conf;
        struct lookup *l = calloc(1, sizeof(*l));
        int rc;

        if (!l || !(l->host = ts_strdup0(c->hostname)) || !(l->port = ts_strdup0(c->port))) {
                if (l)
                        lookup_free(l);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        l->hints.ai_socktype = SOCK_STREAM;
        l->hints.ai_family = ts_streq0(c->family, "inet") ? AF_INET : ts_streq0(c->family, "inet6") ? AF_INET6 : AF_UNSPEC;
        l->hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
        if (getaddrinfo(l->host, l->port, &l->hints, &l->cb.ar_result) == 0) {
                *ret = l;
                return 0;
        }
        l->hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        l->cb.ar_name = l->host;
        l->cb.ar_service = l->port;
        l->cb.ar_request = &l->hints;
        l->cb.ar_result = NULL;
        rc = lookup_wait(s, l, deadline);
        if (rc == 0) {
                *ret = l;
                return 0;
        }
        if (rc == EAI_INPROGRESS || rc == EAI_CANCELED)
                ts_err_set(err, TS_ETIMEOUT, "the name '%s' was not resolved in time", c->hostname);
        else
                ts_err_set(err, TS_ECONNECT, "cannot resolve the name '%s': %s", c->hostname, gai_strerror(rc));
        if (rc != EAI_INPROGRESS)
                lookup_free(l);
        return -1;
}

/* ---- TCP ---- */

static void tune(int fd)
{
        int on = 1;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)); /* for sessions that wait in a pool */
}

static int await_connect(struct ts_ssh *s, int fd, ts_deadline deadline)
{
        socklen_t len = sizeof(int);
        int e = 0;

        for (;;) {
                struct pollfd p[2] = { { .fd = fd, .events = POLLOUT }, { .fd = s->stop_fd, .events = POLLIN } };
                int n = poll(p, 2, ts_deadline_poll_ms(deadline, -1));

                if (n > 0 && p[1].revents)
                        return ECANCELED;
                if (n > 0)
                        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? errno : e;
                if (n == 0 && ts_deadline_passed(deadline))
                        return ETIMEDOUT;
        }
}

/* 0, or errno. */
static int connect_one(struct ts_ssh *s, const struct addrinfo *a, ts_deadline deadline)
{
        ts_auto_fd int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        int e;

        if (fd < 0)
                return errno;
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
                if (errno != EINPROGRESS)
                        return errno;
                e = await_connect(s, fd, deadline);
                if (e)
                        return e;
        }
        tune(fd);
        s->fd = TS_TAKE_FD(fd);
        return 0;
}

static int dial_tcp(struct ts_ssh *s, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(s->conf->connect_timeout_ms);
        struct lookup *l = NULL;
        char text[128];
        int e = EHOSTUNREACH;

        if (resolve(s, deadline, &l, err) < 0)
                return -1;
        /* Each address gets what is left of the time; a second one is reached only if the first refuses early. */
        for (const struct addrinfo *a = l->cb.ar_result; a && s->fd < 0 && e != ECANCELED; a = a->ai_next)
                e = connect_one(s, a, deadline);
        lookup_free(l);
        if (s->fd >= 0)
                return 0;
        if (e == ETIMEDOUT)
                return ts_err_set(err, TS_ETIMEOUT, "'%s' port %s did not answer within %u ms", s->conf->hostname, s->conf->port,
                                  s->conf->connect_timeout_ms);
        if (e == ECANCELED)
                return ts_err_set(err, TS_ECANCELED, "connecting to '%s' was cancelled", s->conf->alias);
        return ts_err_set(err, TS_ECONNECT, "cannot connect to '%s' port %s: %s", s->conf->hostname, s->conf->port,
                          strerror_r(e, text, sizeof(text)));
}

/* ---- proxies ---- */

/* A file in memory that takes PROXY_WORDS and then refuses: nobody has to read along, and a chatty proxy cannot block or fill anything. */
static int words_file(void)
{
        int fd = memfd_create("ssh-proxy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd >= 0 && (ftruncate(fd, PROXY_WORDS) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
                (void)close(fd);
                return -1;
        }
        return fd;
}

void ts_ssh_blame_proxy(struct ts_ssh *s, struct ts_err *err)
{
        ts_auto_free char *buf = NULL, *line = NULL;
        struct ts_str words;
        ssize_t n;

        if (s->proxy_errs < 0 || !ts_err_is_set(err) || !(buf = malloc(PROXY_WORDS + 1)))
                return;
        ts_sleep_ms(50); /* it may be about to say why */
        n = pread(s->proxy_errs, buf, PROXY_WORDS, 0);
        if (n <= 0)
                return;
        buf[n] = '\0';
        words = (struct ts_str){ .buf = buf, .len = strlen(buf) }; /* the rest of the file is zeros */
        line = ts_last_line(&words);
        if (line)
                (void)ts_err_prefix(err, "the proxy of '%s' said '%s'", s->conf->alias, line);
}

static int start_proxy(struct ts_ssh *s, const char *const *argv, struct ts_err *err)
{
        int pair[2], r;

        if (ts_socketpair(pair, err) < 0)
                return -1;
        s->proxy_errs = words_file();
        r = ts_spawn(&(struct ts_spawn){ .argv = argv, .in = pair[1], .out = pair[1], .errs = s->proxy_errs, .user = &s->conf->owner },
                     &s->proxy_pid, err);
        (void)close(pair[1]);
        s->fd = pair[0];
        return r < 0 ? -1 : ts_set_nonblock(s->fd, true, err);
}

/* The user's own command line, which is a shell's by definition (ssh_config(5)): the one shell string that is not made by ts_shell_quote(). */
static int dial_command(struct ts_ssh *s, struct ts_err *err)
{
        ts_auto_free char *expanded = NULL, *line = NULL;

        if (ts_ssh_conf_expand(s->conf, s->conf->proxy_command, &expanded, err) < 0)
                return -1;
        line = ts_fmt("exec %s", expanded);
        if (!line)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return start_proxy(s, (const char *const[]){ "/bin/sh", "-c", line, NULL }, err);
}

/* `-W` through the last hop, which is reached through the ones before it. */
static int jump_argv(struct ts_ssh *s, struct ts_list *argv, struct ts_err *err)
{
        const struct ts_ssh_conf *c = s->conf;
        const char *comma = strrchr(c->proxy_jump, ','), *last = comma ? comma + 1 : c->proxy_jump;
        ts_auto_free char *before = comma ? strndup(c->proxy_jump, (size_t)(comma - c->proxy_jump)) : NULL;
        unsigned seconds = (c->connect_timeout_ms + 999) / 1000;

        if (ts_list_add(argv, "ssh", err) < 0 ||
            (c->config_file && (ts_list_add(argv, "-F", err) < 0 || ts_list_add(argv, c->config_file, err) < 0)))
                return -1;
        if (ts_list_add(argv, "-oBatchMode=yes", err) < 0 || ts_list_addf(argv, err, "-oConnectTimeout=%u", seconds) < 0)
                return -1;
        /* What our own command line says about trust holds for the hops too; its key does not, as with ssh itself. */
        if (c->own_accept_new && ts_list_add(argv, "-oStrictHostKeyChecking=accept-new", err) < 0)
                return -1;
        if (c->own_known_hosts && ts_ssh_conf_add_known_hosts(c, argv, "-o", err) < 0)
                return -1;
        if (comma && (!before || ts_list_add(argv, "-J", err) < 0 || ts_list_add(argv, before, err) < 0))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_list_add(argv, "-W", err) < 0 || ts_list_addf(argv, err, "[%s]:%s", c->hostname, c->port) < 0)
                return -1;
        /* As a URI it cannot be taken for an option, and may carry user and port. */
        return ts_list_addf(argv, err, "%s%s", ts_starts(last, "ssh://") ? "" : "ssh://", last);
}

static int dial_jump(struct ts_ssh *s, struct ts_err *err)
{
        ts_auto_list argv = TS_LIST_INIT;

        if (jump_argv(s, &argv, err) < 0)
                return -1;
        return start_proxy(s, (const char *const *)argv.v, err);
}

int ts_ssh_dial(struct ts_ssh *s, struct ts_err *err)
{
        if (s->conf->proxy_command)
                return dial_command(s, err);
        return s->conf->proxy_jump ? dial_jump(s, err) : dial_tcp(s, err);
}
