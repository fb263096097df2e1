/* A host over SSH. Decides which session carries what: one for control, one for every flow, a few kept ready. */
#include "transfer/host_impl.h"

#include "base/io.h"
#include "base/log.h"
#include "transfer/ssh_pool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define CONNECT_TRIES 3
#define COMMAND_MAX 32000    /* what libssh2 can put into one packet; input has no such limit */
#define MARK_SIZE 32
#define PUT_MS 120000        /* a small file, or the agent's program, through a slow wire */
#define STALE_US 20000000    /* a session idle for longer may have been forgotten by a firewall: */
#define STALE_ANSWER_MS 3000 /* then it gets this long to open a channel before a new one is connected */

struct flow_node {
        struct ts_flow *flow;
        struct flow_node *next;
};

struct ssh_host {
        struct ts_host base;
        struct ts_ssh_conf conf;
        struct ts_pool *pool;

        pthread_mutex_t control_lock; /* held while a command runs on the control session */
        struct ts_ssh *control;       /* NULL: lost, or in use */

        pthread_mutex_t tunnels_lock;
        struct flow_node *tunnels; /* dialled: nobody else ends their threads */
};

struct ssh_proc {
        struct ts_proc base;
        struct ssh_host *host;
        struct ts_flow *flow;
        bool control;
};

/* ---- channels ---- */

typedef long channel_open_fn(struct ts_ssh *s, const void *arg, LIBSSH2_CHANNEL **ret);

static long open_session_channel(struct ts_ssh *s, const void *arg, LIBSSH2_CHANNEL **ret)
{
        (void)arg;
        *ret = libssh2_channel_open_ex(s->session, "session", 7, TS_SSH_WINDOW, LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0);
        return ts_ssh_channel_rc(s, *ret);
}

static ts_deadline answer_deadline(const struct ts_ssh *s)
{
        bool stale = s->idle_since_us && ts_now_us() - s->idle_since_us > STALE_US;

        return ts_deadline_in_ms(stale && s->conf->connect_timeout_ms > STALE_ANSWER_MS ? STALE_ANSWER_MS : s->conf->connect_timeout_ms);
}

static int open_channel(struct ts_ssh *s, channel_open_fn *open, const void *arg, LIBSSH2_CHANNEL **ret, bool *ret_lost, struct ts_err *err)
{
        ts_deadline deadline = answer_deadline(s);
        LIBSSH2_CHANNEL *ch = NULL;
        long rc;

        ts_ssh_heard(s); /* its time in the pool was nobody's silence */
        rc = TS_SSH_AWAIT(s, deadline, "opening a channel", err, open(s, arg, &ch));
        *ret_lost = rc == LIBSSH2_ERROR_EAGAIN || ts_ssh_is_lost(s, rc);
        *ret = ch;
        if (ch)
                return 0;
        return rc == LIBSSH2_ERROR_EAGAIN ? -1 : ts_ssh_fail(s, rc, "opening a channel", err);
}

/* A session with a channel on it. spare (may be NULL) is taken: if it turns out to be lost, a new session is connected, once, unless it is a new one itself. */
static int session_with_channel(struct ssh_host *h, struct ts_ssh *spare, bool is_new, struct ts_ssh **ret_s, LIBSSH2_CHANNEL **ret_ch,
                                struct ts_err *err)
{
        ts_auto(ts_ssh) struct ts_ssh *s = spare;
        bool fresh = !spare || is_new, lost;

        for (;;) {
                struct ts_err failed = TS_ERR_INIT;

                if (!s && ts_pool_connect(h->pool, CONNECT_TRIES, -1, &s, err) < 0)
                        return -1;
                if (open_channel(s, open_session_channel, NULL, ret_ch, &lost, &failed) == 0) {
                        *ret_s = TS_TAKE(s);
                        return 0;
                }
                if (fresh || !lost) {
                        ts_err_move(err, &failed);
                        return -1;
                }
                ts_debug("an idle session to %s was lost (%s): connecting anew", h->base.name, ts_err_message(&failed));
                ts_err_clear(&failed);
                ts_ssh_free(TS_TAKE(s));
                ts_pool_drop_idle(h->pool);
                fresh = true;
        }
}

/* Start-up files of a login shell may print, which would come before what the command prints. */
static int make_mark(char mark[MARK_SIZE], struct ts_err *err)
{
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return ts_err_errno(err, errno, "getrandom");
        (void)snprintf(mark, MARK_SIZE, "tranship-%016llx", (unsigned long long)random);
        return 0;
}

/* Every shell knows `echo` and `exec`. */
static int exec_command(struct ts_ssh *s, LIBSSH2_CHANNEL *ch, const char *command,
                        const char *mark, struct ts_err *err)
{
        ts_auto_free char *line = ts_fmt("echo %s; exec %s", mark, command);
        ts_deadline deadline = ts_deadline_in_ms(s->conf->connect_timeout_ms);
        long rc;

        if (!line)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        rc = TS_SSH_AWAIT(s, deadline, "starting a command", err,
                          libssh2_channel_process_startup(ch, "exec", 4, line,
                                                          (unsigned)strlen(line)));
        if (rc == 0)
                return 0;
        if (rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
                return ts_err_set(err, TS_EPROTO, "'%s' refuses to run commands", s->conf->alias);
        return rc == LIBSSH2_ERROR_EAGAIN ? -1 : ts_ssh_fail(s, rc, "starting a command", err);
}

static int quote_command(const char *const argv[], char **ret, struct ts_err *err)
{
        ts_auto_free char *line = NULL;

        if (ts_shell_quote(argv, &line, err) < 0)
                return -1;
        if (strlen(line) > COMMAND_MAX)
                return ts_err_set(err, TS_ELIMIT, "the command '%s' is longer than %d bytes", argv[0], COMMAND_MAX);
        *ret = TS_TAKE(line);
        return 0;
}

/* ---- processes ---- */

static void release_control(void *ctx, struct ts_ssh *s)
{
        struct ssh_host *h = ctx; /* control_lock is held by the one who waits for this flow */

        if (s)
                ts_pool_rest(h->pool, s);
        h->control = s;
}

static void release_flow(void *ctx, struct ts_ssh *s)
{
        ts_pool_give(((struct ssh_host *)ctx)->pool, s);
}

static int ssh_wait(struct ts_proc *base, ts_deadline deadline, int *ret_status, struct ts_err *err)
{
        return ts_flow_wait(((struct ssh_proc *)base)->flow, deadline, ret_status, err);
}

static const struct ts_str *ssh_errs(const struct ts_proc *base)
{
        return ts_flow_stderr(((const struct ssh_proc *)base)->flow);
}

static void ssh_proc_free(struct ts_proc *base)
{
        struct ssh_proc *p = (struct ssh_proc *)base;

        ts_flow_free(p->flow);
        if (p->control)
                (void)pthread_mutex_unlock(&p->host->control_lock);
        if (base->fd >= 0)
                (void)close(base->fd);
        free(base->what);
        free(p);
}

static const struct ts_proc_ops ssh_proc_ops = { ssh_wait, ssh_errs, ssh_proc_free };

static struct ssh_proc *ssh_proc_new(struct ssh_host *h, const char *what, bool control)
{
        struct ssh_proc *p = calloc(1, sizeof(*p));

        if (!p)
                return NULL;
        p->base.ops = &ssh_proc_ops;
        p->base.fd = -1;
        p->base.what = ts_strdup0(what);
        p->host = h;
        if (!p->base.what) {
                free(p);
                return NULL;
        }
        if (control)
                (void)pthread_mutex_lock(&h->control_lock); /* whoever holds it has a deadline */
        p->control = control;
        return p;
}

static int start_flow(struct ssh_host *h, struct ssh_proc *p, const char *line, const struct ts_start_opts *o, struct ts_err *err)
{
        char mark[MARK_SIZE];
        struct ts_flow_opts fo = { .command = true,
                                   .err_max = o->err_max,
                                   .err_whole = o->err_whole,
                                   .wire = &h->base.wire,
                                   .mark = mark,
                                   .noise = &h->base.noise,
                                   .release = o->control ? release_control : release_flow,
                                   .ctx = h };
        ts_auto(ts_ssh) struct ts_ssh *s = NULL;
        LIBSSH2_CHANNEL *ch = NULL;

        if (make_mark(mark, err) < 0)
                return -1;
        if (o->fresh && ts_pool_connect(h->pool, 1, o->stop_fd, &s, err) < 0)
                return -1;
        if (!s && o->control)
                s = TS_TAKE(h->control);
        else if (!s)
                s = ts_pool_take(h->pool);
        if (session_with_channel(h, TS_TAKE(s), o->fresh, &s, &ch, err) < 0)
                return -1;
        if (exec_command(s, ch, line, mark, err) <
            0) /* from here on it may have been started: no second try */
                return -1;
        return ts_flow_start(TS_TAKE(s), ch, &fo, &p->flow, &p->base.fd, err);
}

static int ssh_start(struct ts_host *base, const char *const argv[], const struct ts_start_opts *o, struct ts_proc **ret,
                     struct ts_err *err)
{
        struct ssh_host *h = (struct ssh_host *)base;
        ts_auto_free char *line = NULL;
        struct ssh_proc *p;

        if (!argv[0])
                return ts_err_set(err, TS_EUSAGE, "no command");
        if (quote_command(argv, &line, err) < 0)
                return -1;
        p = ssh_proc_new(h, argv[0], o->control);
        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (start_flow(h, p, line, o, err) < 0) {
                ssh_proc_free(&p->base);
                return -1;
        }
        *ret = &p->base;
        return 0;
}

/* ---- sockets ---- */

/* Threads of tunnels that have ended are joined when the next one is made. */
static void reap_tunnels(struct ssh_host *h, bool all)
{
        struct flow_node *ended = NULL, **link;

        (void)pthread_mutex_lock(&h->tunnels_lock);
        for (link = &h->tunnels; *link;) {
                struct flow_node *n = *link;

                if (!all && !ts_flow_is_done(n->flow)) {
                        link = &n->next;
                        continue;
                }
                *link = n->next;
                n->next = ended;
                ended = n;
        }
        (void)pthread_mutex_unlock(&h->tunnels_lock);
        for (struct flow_node *n = ended; n; n = n->next)
                ts_flow_stop(n->flow); /* all at once, then one after the other: */
        while (ended) {
                struct flow_node *n = ended;

                ended = n->next;
                ts_flow_free(n->flow);
                free(n);
        }
}

/* mark: NULL for one without a command. */
static int start_tunnel(struct ssh_host *h, struct ts_ssh *s, LIBSSH2_CHANNEL *ch, const char *mark,
                        int *ret_fd, struct ts_err *err)
{
        struct ts_flow_opts fo = { .err_max = TS_STDERR_TAIL,
                                   .wire = &h->base.wire,
                                   .mark = mark,
                                   .noise = &h->base.noise,
                                   .release = release_flow,
                                   .ctx = h };
        struct flow_node *n = calloc(1, sizeof(*n));

        if (!n) {
                ts_ssh_free(s);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        if (ts_flow_start(s, ch, &fo, &n->flow, ret_fd, err) < 0) {
                free(n);
                return -1;
        }
        (void)pthread_mutex_lock(&h->tunnels_lock);
        n->next = h->tunnels;
        h->tunnels = n;
        (void)pthread_mutex_unlock(&h->tunnels_lock);
        return 0;
}

#ifdef TS_HAVE_STREAMLOCAL
static long open_streamlocal(struct ts_ssh *s, const void *arg, LIBSSH2_CHANNEL **ret)
{
        *ret = libssh2_channel_direct_streamlocal_ex(s->session, arg, "localhost", 0);
        return ts_ssh_channel_rc(s, *ret);
}
#endif

/* The channel goes to the socket itself where both sides can do that. sshd says "open failed" both for a socket that is not there and for a forwarding that is not
 * allowed, so that any refusal leads to the helper, if there is one. 1: done. 0: the helper's turn. */
static int dial_direct(struct ssh_host *h, struct ts_ssh **s, const char *path, bool has_helper, LIBSSH2_CHANNEL **ret, struct ts_err *err)
{
#ifdef TS_HAVE_STREAMLOCAL
        for (int round = 0;; round++) {
                struct ts_err failed = TS_ERR_INIT;
                bool lost, again;

                if (open_channel(*s, open_streamlocal, path, ret, &lost, &failed) == 0) {
                        ts_debug("%s: a direct channel to %s", h->base.name, path);
                        return 1;
                }
                again = lost && round == 0;
                if (!lost && has_helper) {
                        ts_debug("%s: no direct channel to %s: %s", h->base.name, path, ts_err_message(&failed));
                        ts_err_clear(&failed);
                        return 0;
                }
                if (!again) {
                        ts_err_move(err, &failed);
                        return ts_err_prefix(err, "cannot reach '%s' on '%s'", path, h->base.name);
                }
                ts_err_clear(&failed);
                ts_ssh_free(TS_TAKE(*s));
                if (ts_pool_connect(h->pool, CONNECT_TRIES, -1, s, err) < 0)
                        return -1;
        }
#else
        (void)s;
        (void)ret;
        if (has_helper)
                return 0;
        return ts_err_set(err, TS_EUSAGE, "cannot reach '%s' on '%s': this libssh2 does not forward sockets, and there is no helper", path,
                          h->base.name);
#endif
}

static int ssh_dial(struct ts_host *base, const char *path, const char *const fallback_argv[], int *ret_fd, struct ts_err *err)
{
        struct ssh_host *h = (struct ssh_host *)base;
        ts_auto_free char *line = NULL;
        ts_auto(ts_ssh) struct ts_ssh *s = NULL;
        LIBSSH2_CHANNEL *ch = NULL;
        bool has_helper = fallback_argv && fallback_argv[0];
        char mark[MARK_SIZE];
        int r;

        reap_tunnels(h, false);
        if (has_helper && quote_command(fallback_argv, &line, err) < 0)
                return -1;
        s = ts_pool_take(h->pool);
#ifdef TS_HAVE_STREAMLOCAL
        if (!s && ts_pool_connect(h->pool, CONNECT_TRIES, -1, &s, err) < 0)
                return -1;
#endif
        r = dial_direct(h, &s, path, has_helper, &ch, err);
        if (r < 0)
                return -1;
        if (r == 0) {
                struct ts_ssh *spare = TS_TAKE(s);

                if (make_mark(mark, err) < 0 ||
                    session_with_channel(h, spare, false, &s, &ch, err) < 0 ||
                    exec_command(s, ch, line, mark, err) < 0)
                        return -1;
        }
        return start_tunnel(h, TS_TAKE(s), ch, r == 0 ? mark : NULL, ret_fd, err);
}

/* ---- files ---- */

/* Does `test` say no? Not when it could not be asked. */
static bool test_fails(struct ts_host *h, const char *flag, const char *dir)
{
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };

        return ts_host_run(h, (const char *const[]){ "test", flag, dir, NULL }, NULL, &r, NULL) == 0 && r.status == 1;
}

/* KiB; UINT64_MAX when unknown. */
static unsigned long long free_kib(struct ts_host *h, const char *dir)
{
        ts_auto_free char *text = NULL;
        unsigned long long kib = ULLONG_MAX;
        char *save = NULL, *word;

        if (ts_host_check(h, (const char *const[]){ "df", "-Pk", dir, NULL }, NULL, &text, NULL) < 0 || !strchr(text, '\n'))
                return ULLONG_MAX;
        word = strtok_r(strchr(text, '\n'), " \t\n", &save); /* file system, size, used, available */
        for (int i = 0; i < 3 && word; i++)
                word = strtok_r(NULL, " \t\n", &save);
        return word && ts_parse_u64(word, 0, ULLONG_MAX / 1024, &kib, NULL) == 0 ? kib : ULLONG_MAX;
}

/* A full disk, a missing directory and a read-only one all end an scp in much the same way: look which it was. */
static void explain_refusal(struct ts_host *h, const char *path, uint64_t size_bytes, struct ts_err *err)
{
        const char *slash = strrchr(path, '/');
        ts_auto_free char *dir = slash == path ? ts_strdup0("/") : strndup(path, (size_t)(slash - path));
        struct ts_err found = TS_ERR_INIT;
        unsigned long long kib;

        if (!dir)
                return;
        if (test_fails(h, "-d", dir))
                ts_err_set(&found, TS_ENOTFOUND, "cannot write '%s' on '%s': its directory does not exist", path, h->name);
        else if (test_fails(h, "-w", dir))
                ts_err_set(&found, TS_EIO, "cannot write '%s' on '%s': its directory is not writable", path, h->name);
        else if ((kib = free_kib(h, dir)) < size_bytes / 1024)
                ts_err_set(&found, TS_ENOSPC, "cannot write '%s' on '%s': only %llu KiB are free there", path, h->name, kib);
        if (ts_err_is_set(&found))
                ts_err_move(err, &found);
}

/* On an idle session when there is one. One that turns out to be lost before the receiver was ready has cost nothing: then, once, a new one. */
static int send_file(struct ssh_host *h, const char *path, unsigned mode, const struct ts_source *src, struct ts_err *err)
{
        ts_auto(ts_ssh) struct ts_ssh *s = ts_pool_take(h->pool);
        bool fresh = !s;

        for (;;) {
                struct ts_err failed = TS_ERR_INIT;
                struct ts_scp_end end = { 0 };
                int r;

                if (!s && ts_pool_connect(h->pool, CONNECT_TRIES, -1, &s, err) < 0)
                        return -1;
                ts_ssh_heard(s); /* its time in the pool was nobody's silence */
                r = ts_scp_send(s, &h->base.wire, path, mode, src, &end, &failed);
                if (end.reusable)
                        ts_pool_give(h->pool, TS_TAKE(s));
                if (r == 0)
                        return 0;
                if (fresh || end.opened || (failed.code != TS_ECONNECT && failed.code != TS_ETIMEOUT)) {
                        ts_err_move(err, &failed);
                        return -1;
                }
                ts_err_clear(&failed);
                ts_ssh_free(TS_TAKE(s));
                ts_pool_drop_idle(h->pool);
                fresh = true;
        }
}

/* Where the login shell prints, SCP's first word is not understood: a command writes the content. */
static int put_by_command(struct ts_host *h, const char *path, unsigned mode,
                          const struct ts_source *src, struct ts_err *err)
{
        static const char script[] = "umask 077; cat >\"$1\" && chmod \"$2\" \"$1\"";
        char octal[8];

        if (src->fd >= 0) {
                ts_err_set(err, TS_EPROTO,
                           "SCP cannot be used with '%s': its login shell prints '%s' before each "
                           "command",
                           h->name, h->noise);
                return ts_err_hint(err, "let its start-up files print only for a terminal ([ -t 1 "
                                        "] && …), or leave --transfer scp out");
        }
        (void)snprintf(octal, sizeof(octal), "%04o", mode);
        return ts_host_check(h,
                             (const char *const[]){ "sh", "-c", script, "sh", path, octal, NULL },
                             &(struct ts_run_opts){ .input = src->data,
                                                    .input_len = (size_t)src->size_bytes,
                                                    .timeout_ms = PUT_MS },
                             NULL, err);
}

static int ssh_send_file(struct ts_host *base, const char *path, unsigned mode, const struct ts_source *src, struct ts_err *err)
{
        struct ts_err failed = TS_ERR_INIT;

        if (atomic_load(&base->noise))
                return put_by_command(base, path, mode, src, err);
        if (send_file((struct ssh_host *)base, path, mode, src, &failed) == 0)
                return 0;
        if (failed.code == TS_EIO)
                explain_refusal(base, path, src->size_bytes, &failed);
        if (failed.code == TS_EIO && atomic_load(&base->noise)) { /* so it came to light */
                ts_err_clear(&failed);
                return put_by_command(base, path, mode, src, err);
        }
        ts_err_move(err, &failed);
        return -1;
}

/* ---- the host ---- */

static void ssh_warm(struct ts_host *base, unsigned n)
{
        ts_pool_warm(((struct ssh_host *)base)->pool, n);
}

static void ssh_free(struct ts_host *base)
{
        struct ssh_host *h = (struct ssh_host *)base;

        if (h->pool)
                ts_pool_stop(h->pool);
        reap_tunnels(h, true);
        ts_ssh_free(h->control);
        ts_pool_free(h->pool);
        (void)pthread_mutex_destroy(&h->tunnels_lock);
        (void)pthread_mutex_destroy(&h->control_lock);
        ts_ssh_conf_clear(&h->conf);
        free(h->base.name);
        free(h->base.address);
        free(h->base.noise);
        free(h);
}

static const struct ts_host_ops ssh_ops = {
        .start = ssh_start, .dial = ssh_dial, .send_file = ssh_send_file, .warm = ssh_warm, .free = ssh_free
};

static int connect_host(struct ssh_host *h, const char *user, const char *host, unsigned port, const struct ts_ssh_opts *opts,
                        struct ts_err *err)
{
        h->base.name = user && *user ? ts_fmt("%s@%s", user, host) : ts_strdup0(host);
        if (!h->base.name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_ssh_conf_load(user, host, port, opts, &h->conf, err) < 0 || ts_pool_new(&h->conf, &h->pool, err) < 0)
                return -1;
        h->base.address = ts_strdup0(h->conf.hostname);
        if (!h->base.address)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_pool_connect(h->pool, 1, -1, &h->control, err) < 0)
                return -1;
        h->base.peer_len = sizeof(h->base.peer);
        if (getpeername(h->control->fd, (struct sockaddr *)&h->base.peer, &h->base.peer_len) < 0)
                h->base.peer_len = 0;
        h->base.peer_timeout_ms = h->conf.peer_timeout_ms;
        ts_pool_rest(h->pool, h->control);
        return 0;
}

int ts_host_ssh(const char *user, const char *host, unsigned port, const struct ts_ssh_opts *opts, struct ts_host **ret, struct ts_err *err)
{
        struct ssh_host *h = calloc(1, sizeof(*h));

        if (!h)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        h->base.ops = &ssh_ops;
        (void)pthread_mutex_init(&h->tunnels_lock, NULL);
        (void)pthread_mutex_init(&h->control_lock, NULL);
        if (connect_host(h, user, ts_or(host, ""), port, opts, err) < 0) {
                ssh_free(&h->base);
                return -1;
        }
        *ret = &h->base;
        return 0;
}
