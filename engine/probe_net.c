/* One try over TCP: a connection, or an HTTP request and the status of its answer. Non-blocking throughout; names are looked up in a thread, because getaddrinfo(3) has no
 * deadline. */
#include "engine/probe_priv.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define STATUS_LINE_MAX 512

/* ---- names ---- */

/* Shared by the one who asks and the thread that looks: the last of the two frees it. */
struct lookup {
        pthread_mutex_t lock;
        pthread_cond_t done_cond;
        int users;
        bool done;
        char *host, *port;
        int status; /* of getaddrinfo */
        struct addrinfo *found;
};

static void lookup_leave(struct lookup *l)
{
        bool last = --l->users == 0;

        (void)pthread_mutex_unlock(&l->lock);
        if (!last)
                return;
        if (l->found)
                freeaddrinfo(l->found);
        (void)pthread_cond_destroy(&l->done_cond);
        (void)pthread_mutex_destroy(&l->lock);
        free(l->host);
        free(l->port);
        free(l);
}

static void *lookup_thread(void *arg)
{
        struct lookup *l = arg;
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        struct addrinfo *found = NULL;
        int status = getaddrinfo(l->host, l->port, &hints, &found);

        (void)pthread_mutex_lock(&l->lock);
        l->status = status;
        l->found = found;
        l->done = true;
        (void)pthread_cond_signal(&l->done_cond);
        lookup_leave(l);
        return NULL;
}

static struct lookup *lookup_new(const char *host, const char *port)
{
        struct lookup *l = calloc(1, sizeof(*l));
        pthread_condattr_t attr;

        if (!l)
                return NULL;
        l->users = 1;
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_mutex_init(&l->lock, NULL);
        (void)pthread_cond_init(&l->done_cond, &attr);
        (void)pthread_condattr_destroy(&attr);
        l->host = strdup(host);
        l->port = strdup(port);
        return l;
}

static int lookup_begin(struct lookup *l)
{
        pthread_attr_t attr;
        pthread_t thread;
        int e;

        if (!l->host || !l->port)
                return ENOMEM;
        (void)pthread_attr_init(&attr);
        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        l->users++;
        e = pthread_create(&thread, &attr, lookup_thread, l);
        if (e)
                l->users--;
        (void)pthread_attr_destroy(&attr);
        return e;
}

static void lookup_wait(struct lookup *l, const struct ts_try *t)
{
        while (!l->done && !ts_try_over(t)) {
                struct timespec until;

                (void)clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_nsec += (long)TS_TRY_SLICE_MS * 1000000;
                until.tv_sec += until.tv_nsec / 1000000000;
                until.tv_nsec %= 1000000000;
                (void)pthread_cond_timedwait(&l->done_cond, &l->lock, &until);
        }
}

static int look_up(const char *host, const char *port, const struct ts_try *t, struct addrinfo **ret, struct ts_err *err)
{
        const struct addrinfo numeric = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
        struct lookup *l;
        int e, rc = -1;

        if (getaddrinfo(host, port, &numeric, ret) == 0)
                return 0;
        l = lookup_new(host, port);
        if (!l)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (void)pthread_mutex_lock(&l->lock);
        e = lookup_begin(l);
        if (e)
                (void)ts_err_errno(err, e, "cannot look up '%s'", host);
        else
                lookup_wait(l, t);
        if (!e && !l->done)
                (void)ts_try_failed(t, "looking up the host", err);
        else if (!e && l->status != 0)
                (void)ts_err_set(err, TS_ENOTFOUND, "cannot look up '%s': %s", host, gai_strerror(l->status));
        else if (!e) {
                *ret = TS_TAKE(l->found);
                rc = 0;
        }
        lookup_leave(l);
        return rc;
}

/* ---- connections ---- */

static int wait_for(int fd, short events, const struct ts_try *t, const char *what, struct ts_err *err)
{
        while (!ts_try_over(t)) {
                struct pollfd p = { .fd = fd, .events = events };
                int n = poll(&p, 1, ts_deadline_poll_ms(t->deadline, TS_TRY_SLICE_MS));

                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return ts_err_errno(err, errno, "failed while %s", what);
        }
        return ts_try_failed(t, what, err);
}

static int refused(int e, struct ts_err *err)
{
        char text[128];

        return ts_err_set(err, TS_ECONNECT, "cannot connect: %s", strerror_r(e, text, sizeof(text)));
}

static int connect_one(const struct addrinfo *a, const struct ts_try *t, int *ret_fd, struct ts_err *err)
{
        ts_auto_fd int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        int e = 0;
        socklen_t len = sizeof(e);

        if (fd < 0)
                return ts_err_errno(err, errno, "cannot make a socket");
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
                if (errno != EINPROGRESS)
                        return refused(errno, err);
                if (wait_for(fd, POLLOUT, t, "connecting", err) < 0)
                        return -1;
                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 || e != 0)
                        return refused(e ? e : errno, err);
        }
        *ret_fd = TS_TAKE_FD(fd);
        return 0;
}

static int connect_any(const char *host, const char *port, const struct ts_try *t, int *ret_fd, struct ts_err *err)
{
        struct addrinfo *found = NULL;
        int rc = -1;

        if (look_up(host, port, t, &found, err) < 0)
                return -1;
        for (const struct addrinfo *a = found; a && rc < 0 && !ts_try_over(t); a = a->ai_next)
                rc = connect_one(a, t, ret_fd, err);
        freeaddrinfo(found);
        if (rc < 0 && !ts_err_is_set(err))
                (void)ts_try_failed(t, "connecting", err);
        return rc;
}

/* ---- HTTP ---- */

static int send_all(int fd, const char *data, size_t len, const struct ts_try *t, struct ts_err *err)
{
        while (len > 0) {
                ssize_t n;

                if (wait_for(fd, POLLOUT, t, "sending the request", err) < 0)
                        return -1;
                n = send(fd, data, len, MSG_NOSIGNAL);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n < 0)
                        return ts_err_set(err, TS_ECONNECT, "the connection broke while sending the request");
                data += n;
                len -= (size_t)n;
        }
        return 0;
}

/* The first line of the answer, or as much of it as tells the status. */
static int read_status_line(int fd, char line[STATUS_LINE_MAX], const struct ts_try *t, struct ts_err *err)
{
        size_t got = 0;

        while (got + 1 < STATUS_LINE_MAX) {
                ssize_t n;

                if (wait_for(fd, POLLIN, t, "waiting for the answer", err) < 0)
                        return -1;
                n = recv(fd, line + got, STATUS_LINE_MAX - 1 - got, 0);
                if (n < 0 && (errno == EAGAIN || errno == EINTR))
                        continue;
                if (n <= 0)
                        return ts_err_set(err, TS_ECONNECT, "the connection ended without an answer");
                got += (size_t)n;
                line[got] = '\0';
                if (memchr(line, '\n', got))
                        return 0;
        }
        return ts_err_set(err, TS_EPROTO, "the answer is not HTTP");
}

static int check_status(const char *line, struct ts_err *err)
{
        size_t version = strspn(line, "HTP/1.0"); /* HTTP/1.0, HTTP/1.1 */
        const char *code = line + version;

        if (!ts_starts(line, "HTTP/1.") || code[0] != ' ' || strspn(code + 1, "0123456789") != 3)
                return ts_err_set(err, TS_EPROTO, "the answer is not HTTP");
        if (code[1] == '2' || code[1] == '3')
                return 0;
        return ts_err_set(err, TS_ECOMMAND, "HTTP status %.3s", code + 1);
}

static int ask_http(const struct ts_probe *p, const char *host, int fd, const struct ts_try *t, struct ts_err *err)
{
        ts_auto_free char *path = ts_probe_expand(p->path, host);
        ts_auto_free char *authority = ts_probe_expand(p->host, host);
        bool v6 = authority && strchr(authority, ':');
        ts_auto_free char *request = NULL;
        char line[STATUS_LINE_MAX] = "";

        request = path && authority ? ts_fmt("GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: tranship/" TS_VERSION
                                             "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                                             path, v6 ? "[" : "", authority, v6 ? "]" : "", p->port)
                                    : NULL;
        if (!request)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (send_all(fd, request, strlen(request), t, err) < 0 || read_status_line(fd, line, t, err) < 0)
                return -1;
        return check_status(line, err);
}

int ts_probe_net(const struct ts_probe *p, const char *host, const struct ts_try *t, struct ts_err *err)
{
        ts_auto_free char *name = ts_probe_expand(p->host, ts_or(host, ""));
        ts_auto_fd int fd = -1;
        int rc;

        if (!name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        rc = connect_any(name, p->port, t, &fd, err);
        if (rc == 0 && p->kind == TS_PROBE_HTTP)
                rc = ask_http(p, ts_or(host, ""), fd, t, err);
        return rc < 0 ? ts_err_prefix(err, "%s port %s", name, p->port) : 0;
}
