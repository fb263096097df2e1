/* See tls_listen.h. Decides for how long somebody may try. */
#include "transfer/agent/tls_listen.h"

#include "base/io.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#define HELLO_MS 3000 /* one at a time; who is kept waiting by a stranger takes SSH */
#define PAUSE_MS 200

struct ts_tls_listen {
        struct ts_link *link;
        struct ts_tls_listen_opts o;
        int fd, stop_fd;
        pthread_t thread;
        bool has_thread;
};

union address {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
};

static socklen_t parse(const char *text, union address *ret)
{
        ts_auto_free char *plain = strndup(text, strcspn(text, "%"));

        if (!plain)
                return 0;
        *ret = (union address){ .in = { .sin_family = AF_INET } };
        if (inet_pton(AF_INET, plain, &ret->in.sin_addr) == 1)
                return sizeof(ret->in);
        *ret = (union address){ .in6 = { .sin6_family = AF_INET6 } };
        if (text[strlen(plain)])
                ret->in6.sin6_scope_id = if_nametoindex(text + strlen(plain) + 1);
        return inet_pton(AF_INET6, plain, &ret->in6.sin6_addr) == 1 ? sizeof(ret->in6) : 0;
}

/* The port's place is the same in both. */
_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "ports");

/* A descriptor, or -1 with errno. */
static int listen_at(union address *a, socklen_t len, unsigned port)
{
        ts_auto_fd int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int on = 1;

        a->in.sin_port = htons((uint16_t)port);
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 && bind(fd, &a->sa, len) == 0 && listen(fd, 16) == 0 &&
            getsockname(fd, &a->sa, &len) == 0)
                return TS_TAKE_FD(fd);
        return -1;
}

static int listen_somewhere(struct ts_tls_listen *t, const char *address, unsigned *ret_port, struct ts_err *err)
{
        union address a;
        socklen_t len = parse(address, &a);

        if (!len)
                return ts_err_set(err, TS_EIO, "'%s' is no address", address);
        for (unsigned port = t->o.low; port <= t->o.high; port++) {
                t->fd = listen_at(&a, len, port);
                if (t->fd >= 0) {
                        *ret_port = ntohs(a.in.sin_port);
                        return 0;
                }
                if (errno != EADDRINUSE && errno != EACCES)
                        break;
        }
        return ts_err_errno(err, errno, "no port from %u to %u at '%s'", t->o.low, t->o.high, address);
}

static void let_in(struct ts_tls_listen *t)
{
        ts_auto_fd int fd = accept4(t->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct ts_tls *tls = NULL;

        if (fd < 0) { /* perhaps no descriptors: it would go round and round */
                (void)poll(&(struct pollfd){ .fd = t->stop_fd, .events = POLLIN }, 1, errno == EAGAIN ? 0 : PAUSE_MS);
                return;
        }
        ts_tls_tune(fd, t->o.silence_ms);
        if (ts_tls_open(fd, TS_TLS_SERVER, t->o.key, ts_deadline_in_ms(HELLO_MS), t->stop_fd, &tls, NULL) == 0)
                (void)ts_link_add_tls(t->link, TS_TAKE_FD(fd), tls, NULL);
}

static void *run(void *arg)
{
        struct ts_tls_listen *t = arg;
        struct pollfd p[2] = { { .fd = t->fd, .events = POLLIN }, { .fd = t->stop_fd, .events = POLLIN } };

        while (poll(p, 2, -1) >= 0 || errno == EINTR) {
                if (p[1].revents)
                        break;
                if (p[0].revents)
                        let_in(t);
        }
        return NULL;
}

int ts_tls_listen_start(struct ts_link *l, const char *address, const struct ts_tls_listen_opts *o, struct ts_tls_listen **ret,
                        unsigned *ret_port, struct ts_err *err)
{
        ts_auto(ts_tls_listen) struct ts_tls_listen *t = calloc(1, sizeof(*t));
        unsigned port = 0;

        if (!t)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        t->link = l;
        t->o = *o;
        t->fd = -1;
        t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (t->stop_fd < 0)
                return ts_err_errno(err, errno, "no descriptor");
        if (listen_somewhere(t, address, &port, err) < 0 || ts_thread_start(&t->thread, "tls", run, t, err) < 0)
                return -1;
        t->has_thread = true;
        *ret_port = port;
        *ret = TS_TAKE(t);
        return 0;
}

void ts_tls_listen_free(struct ts_tls_listen *t)
{
        uint64_t one = 1;

        if (t->stop_fd >= 0)
                (void)!write(t->stop_fd, &one, sizeof(one));
        if (t->has_thread)
                (void)pthread_join(t->thread, NULL);
        ts_closep(&t->fd);
        ts_closep(&t->stop_fd);
        OPENSSL_cleanse(&t->o, sizeof(t->o));
        free(t);
}
