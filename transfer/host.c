/* A host, local or remote: what is the same for both. Decides how a command is fed, collected and judged; how it is started is host_local.c's and host_ssh.c's business. */
#include "transfer/host.h"

#include "base/io.h"
#include "transfer/host_impl.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define OUTPUT_MAX_DEFAULT ((size_t)1 << 20)
#define TIMEOUT_MS_DEFAULT 30000
#define READ_CHUNK 65536

const char *ts_host_name(const struct ts_host *h)
{
        return h->name;
}

const char *ts_host_address(const struct ts_host *h)
{
        return h->address ? h->address : "127.0.0.1";
}

void ts_host_free(struct ts_host *h)
{
        if (h)
                h->ops->free(h);
}

void ts_host_warm(struct ts_host *h, unsigned n)
{
        if (h->ops->warm)
                h->ops->warm(h, n);
}

bool ts_host_is_local(const struct ts_host *h)
{
        return h->is_local;
}

void ts_host_wire(const struct ts_host *h, uint64_t *ret_sent, uint64_t *ret_received)
{
        if (ret_sent)
                *ret_sent = atomic_load(&h->wire.sent);
        if (ret_received)
                *ret_received = atomic_load(&h->wire.received);
}

int ts_host_dial_unix(struct ts_host *h, const char *path, const char *const fallback_argv[], int *ret_fd, struct ts_err *err)
{
        return h->ops->dial(h, path, fallback_argv, ret_fd, err);
}

/* ---- processes ---- */

int ts_host_start(struct ts_host *h, const char *const argv[], struct ts_proc **ret, struct ts_err *err)
{
        return h->ops->start(h, argv, &(struct ts_start_opts){ .err_max = TS_STDERR_TAIL }, ret, err);
}

int ts_proc_fd(const struct ts_proc *p)
{
        return p->fd;
}

int ts_proc_end_input(struct ts_proc *p)
{
        /* ENOTCONN: it has ended already, and its input with it. */
        return shutdown(p->fd, SHUT_WR) < 0 && errno != ENOTCONN ? -1 : 0;
}

int ts_proc_wait(struct ts_proc *p, ts_deadline deadline, int *ret_status, struct ts_err *err)
{
        if (p->ops->wait(p, deadline, ret_status, err) < 0)
                return ts_err_prefix(err, "'%s'", p->what);
        return 0;
}

const char *ts_proc_stderr(const struct ts_proc *p)
{
        return ts_str_cstr(p->ops->errs(p));
}

char *ts_last_line(const struct ts_str *text)
{
        size_t end = text->len, start;

        while (end > 0 && isspace((unsigned char)text->buf[end - 1]))
                end--;
        for (start = end; start > 0 && text->buf[start - 1] != '\n';)
                start--;
        return end > start ? ts_printable(text->buf + start, end - start, 400) : NULL;
}

static int judge(const char *what, int status, const struct ts_str *errs, struct ts_err *err)
{
        ts_auto_free char *line = NULL;

        if (status == 0)
                return 0;
        line = ts_last_line(errs);
        if (line)
                return ts_err_set(err, TS_ECOMMAND, "'%s' failed: %s", what, line);
        if (status > 128)
                return ts_err_set(err, TS_ECOMMAND, "'%s' was ended by signal %d", what, status - 128);
        return ts_err_set(err, TS_ECOMMAND, "'%s' ended with status %d", what, status);
}

int ts_proc_finish(struct ts_proc *p, ts_deadline deadline, struct ts_err *err)
{
        int status = 0;

        if (ts_proc_wait(p, deadline, &status, err) < 0)
                return -1;
        return judge(p->what, status, p->ops->errs(p), err);
}

void ts_proc_free(struct ts_proc *p)
{
        if (p)
                p->ops->free(p);
}

/* ---- run ---- */

void ts_run_result_clear(struct ts_run_result *r)
{
        ts_str_clear(&r->out);
        ts_str_clear(&r->err);
        r->status = 0;
}

struct feeding {
        const char *data;
        size_t left;
        bool ended;
};

/* A command need not read all its input: that it stopped is no error. */
static void feed(struct ts_proc *p, struct feeding *in)
{
        while (in->left > 0) {
                ssize_t n = send(p->fd, in->data, in->left, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n < 0)
                        break;
                in->data += n;
                in->left -= (size_t)n;
        }
        if (!in->ended)
                (void)ts_proc_end_input(p);
        in->ended = true;
        in->left = 0;
}

/* 1: something came. 0: the end. A reset is an end too: ts_proc_wait() knows whether it was a good one. */
static int take(struct ts_proc *p, struct ts_str *out, struct ts_err *err)
{
        char buf[READ_CHUNK];
        ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR;
        if (n == 0)
                return 0;
        if (ts_str_add(out, buf, (size_t)n, err) < 0)
                return err && err->code == TS_ELIMIT ? ts_err_prefix(err, "'%s' printed more than %zu bytes", p->what, out->max) : -1;
        return 1;
}

static int converse(struct ts_proc *p, const struct ts_run_opts *o, ts_deadline deadline, struct ts_str *out, struct ts_err *err)
{
        struct feeding in = { o->input, o->input ? o->input_len : 0, false };
        int more = 1;

        feed(p, &in);
        while (more > 0) {
                struct pollfd poller = { .fd = p->fd, .events = (short)(POLLIN | (in.left ? POLLOUT : 0)) };

                if (poll(&poller, 1, ts_deadline_poll_ms(deadline, -1)) <= 0 && ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "'%s' did not end in time", p->what);
                if (in.left)
                        feed(p, &in);
                more = take(p, out, err);
        }
        return more;
}

int ts_host_run(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts, struct ts_run_result *ret, struct ts_err *err)
{
        static const struct ts_run_opts none = { 0 };
        const struct ts_run_opts *o = opts ? opts : &none;
        size_t max = o->max_output ? o->max_output : OUTPUT_MAX_DEFAULT;
        ts_auto(ts_proc) struct ts_proc *p = NULL;
        ts_auto_run r = { 0, TS_STR_INIT_MAX(max), TS_STR_INIT_MAX(max) };
        ts_deadline deadline;

        *ret = (struct ts_run_result){ 0, TS_STR_INIT, TS_STR_INIT };
        if (h->ops->start(h, argv, &(struct ts_start_opts){ .control = true, .err_max = max, .err_whole = true }, &p, err) < 0)
                return -1;
        deadline = ts_deadline_in_ms(o->timeout_ms ? o->timeout_ms : TIMEOUT_MS_DEFAULT);
        if (converse(p, o, deadline, &r.out, err) < 0 || ts_proc_wait(p, deadline, &r.status, err) < 0)
                return -1;
        if (ts_str_add(&r.err, ts_proc_stderr(p), p->ops->errs(p)->len, err) < 0)
                return -1;
        *ret = r;
        r = (struct ts_run_result){ 0, TS_STR_INIT, TS_STR_INIT };
        return 0;
}

int ts_host_check(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts, char **ret_out, struct ts_err *err)
{
        ts_auto_run r = { 0, TS_STR_INIT, TS_STR_INIT };

        if (ts_host_run(h, argv, opts, &r, err) < 0 || judge(argv[0], r.status, &r.err, err) < 0)
                return -1;
        if (!ret_out)
                return 0;
        if (r.out.len > 0 && r.out.buf[r.out.len - 1] == '\n')
                r.out.buf[--r.out.len] = '\0';
        *ret_out = ts_str_take(&r.out);
        return *ret_out ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- files ---- */

static int check_path(const char *path, struct ts_err *err)
{
        if (path[0] != '/')
                return ts_err_set(err, TS_EUSAGE, "the path '%s' on a host is not absolute", path);
        for (const char *p = path; *p; p++) {
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                        return ts_err_set(err, TS_EUSAGE, "a path on a host has a control character");
        }
        return 0;
}

int ts_host_scp_send(struct ts_host *h, const char *path, unsigned mode, uint64_t size_bytes, int in_fd, ts_progress_fn progress, void *ctx,
                     struct ts_err *err)
{
        struct ts_source src = { .fd = in_fd, .size_bytes = size_bytes, .progress = progress, .ctx = ctx };

        if (check_path(path, err) < 0)
                return -1;
        if (size_bytes > INT64_MAX)
                return ts_err_set(err, TS_EUSAGE, "no file is %llu bytes long", (unsigned long long)size_bytes);
        return h->ops->send_file(h, path, mode & 07777, &src, err);
}

int ts_host_put(struct ts_host *h, const char *path, unsigned mode, const void *data, size_t len, struct ts_err *err)
{
        struct ts_source src = { .fd = -1, .data = data, .size_bytes = len };

        return check_path(path, err) < 0 ? -1 : h->ops->send_file(h, path, mode & 07777, &src, err);
}
