/* See tls_dial.h. Decides how long it may be silent. */
#include "transfer/tls_dial.h"

#include "base/io.h"
#include "transfer/host_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define SILENCE_MS 3000U

unsigned ts_tls_silence_ms(const struct ts_host *h)
{
        return h->peer_timeout_ms < SILENCE_MS ? h->peer_timeout_ms : SILENCE_MS;
}

/* 0, or errno. */
static int await(int fd, int stop_fd, ts_deadline deadline)
{
        struct pollfd p[2] = { { .fd = fd, .events = POLLOUT }, { .fd = stop_fd, .events = POLLIN } };
        socklen_t len = sizeof(int);
        int e = 0;

        while (poll(p, 2, ts_deadline_poll_ms(deadline, -1)) < 0 && errno == EINTR)
                ;
        if (p[1].revents)
                return ECANCELED;
        if (!p[0].revents)
                return ETIMEDOUT;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0 ? errno : e;
}

static int reach(const struct ts_host *h, unsigned port, unsigned step_ms, int stop_fd, int *ret, struct ts_err *err)
{
        union {
                struct sockaddr_storage any;
                struct sockaddr_in in;
                struct sockaddr_in6 in6;
        } a = { .any = h->peer };
        ts_auto_fd int fd = -1;
        int e = 0;

        if (a.any.ss_family == AF_INET)
                a.in.sin_port = htons((uint16_t)port);
        else if (a.any.ss_family == AF_INET6)
                a.in6.sin6_port = htons((uint16_t)port);
        else
                return ts_err_set(err, TS_ECONNECT, "it is reached through a proxy");
        fd = socket(a.any.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return ts_err_errno(err, errno, "no socket");
        if (connect(fd, (const struct sockaddr *)&a, h->peer_len) < 0)
                e = errno == EINPROGRESS ? await(fd, stop_fd, ts_deadline_in_ms(step_ms)) : errno;
        if (e == ECANCELED)
                return ts_err_set(err, TS_ECANCELED, "connecting was cancelled");
        if (e) {
                char text[128];

                return ts_err_set(err, e == ETIMEDOUT ? TS_ETIMEOUT : TS_ECONNECT, "cannot connect to port %u: %s", port,
                                  strerror_r(e, text, sizeof(text)));
        }
        *ret = TS_TAKE_FD(fd);
        return 0;
}

int ts_tls_dial(struct ts_host *h, unsigned port, const unsigned char key[TS_TLS_KEY], unsigned step_ms, int stop_fd, int *ret_fd,
                struct ts_tls **ret, struct ts_err *err)
{
        ts_auto_fd int fd = -1;

        if (reach(h, port, step_ms, stop_fd, &fd, err) < 0)
                return -1;
        ts_tls_tune(fd, ts_tls_silence_ms(h));
        if (ts_tls_open(fd, TS_TLS_CLIENT, key, ts_deadline_in_ms(step_ms), stop_fd, ret, err) < 0)
                return -1;
        ts_tls_count(*ret, &h->wire.sent, &h->wire.received);
        *ret_fd = TS_TAKE_FD(fd);
        return 0;
}
