/* A line with a delay, for kernels without netem: takes TCP connections, makes one to the target for each, and holds back what comes from either side.
 *
 * usage: delay-relay [--delay-ms N] [--buffer-kib N] [--with-parent] ADDRESS:PORT[-PORT]=ADDRESS:PORT ...
 *
 * A range of ports goes to as many from the target's on. IPv4 only. Says "ready" once it listens; ends on SIGTERM, --with-parent also when what started it ends.
 *
 * Every read is stamped and written when its delay is over. On a line with the delay d a client's first byte, or the server's greeting, is under way 3 d after the SYN: the target is connected to that late. The end of
 * one direction is passed on as one, behind its bytes; a reset ends both at once. A direction that holds more than its buffer is not read from until it holds less: then the sender waits, as for a window. So a
 * direction carries at most buffer / delay, and needs at most its buffer of memory. What it is not: TCP over the line, whose own windows, losses and their recovery each end here. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 400
#define READ_MAX ((size_t)256 << 10)
#define MS 1000000ULL

/* Read together; no bytes: the end. */
struct chunk {
        struct chunk *next;
        uint64_t due_ns;
        size_t n, done;
        unsigned char bytes[];
};

/* What was read from one side and is to be written to the other. */
struct direction {
        struct chunk *first, **last;
        size_t held;
        bool ended, full, shut; /* nothing more to read; the other side's socket takes nothing now; its end was passed on */
};

struct connection;
struct source { /* of events: a listening socket (no connection), or one side of a connection */
        int fd;
        uint32_t asked;
        bool known;
        struct connection *c;
        struct sockaddr_in target;
};

struct connection {
        struct connection *next;
        struct source side[2]; /* who came; the target */
        struct direction from[2];
        uint64_t connect_ns;
        bool connecting, connected, dead;
};

static int ep = -1;
static uint64_t delay_ns = 10 * MS;
static size_t buffer = (size_t)4 << 20;
static struct connection *connections;
static unsigned n_connections;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        fputs("delay-relay: ", stderr);
        vfprintf(stderr, format, ap);
        fputc('\n', stderr);
        va_end(ap);
        exit(1);
}

static uint64_t now_ns(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

/* ---- connections ---- */

/* Out of the set where nothing is asked: the kernel tells of hang-ups all the same, again and again. */
static void ask(struct source *s, uint32_t events)
{
        struct epoll_event e = { .events = events, .data.ptr = s };

        if (s->fd < 0 || events == s->asked)
                return;
        if (epoll_ctl(ep, !events ? EPOLL_CTL_DEL : s->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e) < 0)
                die("epoll: %s", strerror(errno));
        s->known = events != 0;
        s->asked = events;
}

static void reset(struct connection *c)
{
        struct linger l = { .l_onoff = 1 };

        for (int i = 0; i < 2; i++)
                if (c->side[i].fd >= 0)
                        setsockopt(c->side[i].fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
        c->dead = true;
}

static bool put(struct direction *d, const unsigned char *bytes, size_t n, uint64_t now)
{
        struct chunk *k = malloc(sizeof(*k) + n);

        if (!k)
                return false;
        *k = (struct chunk){ .due_ns = now + delay_ns, .n = n };
        if (n)
                memcpy(k->bytes, bytes, n);
        else
                d->ended = true;
        d->held += sizeof(*k) + n;
        *d->last = k;
        d->last = &k->next;
        return true;
}

static void drop_first(struct direction *d)
{
        struct chunk *k = d->first;

        d->held -= sizeof(*k) + k->n;
        d->first = k->next;
        if (!d->first)
                d->last = &d->first;
        free(k);
}

static void take_in(struct connection *c, int i)
{
        static unsigned char bytes[READ_MAX];
        struct direction *d = &c->from[i];
        size_t room = d->held < buffer ? buffer - d->held : 0;
        ssize_t n;

        if (d->ended || !room)
                return;
        n = recv(c->side[i].fd, bytes, room < sizeof(bytes) ? room : sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 ? errno != EAGAIN && errno != EINTR : !put(d, bytes, (size_t)n, now_ns()))
                reset(c);
}

static void give_out(struct connection *c, int i, uint64_t now)
{
        struct direction *d = &c->from[i];
        int fd = c->side[!i].fd;

        d->full = false;
        while (!c->dead && d->first && d->first->due_ns <= now) {
                struct chunk *k = d->first;
                ssize_t n;

                if (k->n == 0) {
                        shutdown(fd, SHUT_WR);
                        d->shut = true;
                        drop_first(d);
                        return;
                }
                n = send(fd, k->bytes + k->done, k->n - k->done, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN) {
                        d->full = true;
                        return;
                }
                if (n < 0 && errno != EINTR)
                        reset(c);
                k->done += n > 0 ? (size_t)n : 0;
                if (k->done == k->n)
                        drop_first(d);
        }
}

static void tune(int fd)
{
        int on = 1;

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void begin_connect(struct connection *c)
{
        struct source *s = &c->side[1];

        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->fd < 0) {
                reset(c);
                return;
        }
        tune(s->fd);
        c->connecting = true;
        if (connect(s->fd, (const struct sockaddr *)&s->target, sizeof(s->target)) < 0 && errno != EINPROGRESS)
                reset(c);
}

static void end_connect(struct connection *c)
{
        int e = 0;
        socklen_t len = sizeof(e);

        c->connecting = false;
        c->connected = getsockopt(c->side[1].fd, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e == 0;
        if (!c->connected)
                reset(c);
}

static void happened(struct source *s, uint32_t events)
{
        struct connection *c = s->c;
        int i = s == &c->side[1];

        if (c->dead)
                return;
        if (i && c->connecting)
                end_connect(c);
        else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                take_in(c, i);
}

/* What is due, and what to wait for. */
static void go_on(struct connection *c, uint64_t now)
{
        if (!c->connecting && !c->connected && !c->dead && c->connect_ns <= now)
                begin_connect(c);
        for (int i = 0; i < 2 && c->connected; i++)
                give_out(c, i, now);
        if (c->from[0].shut && c->from[1].shut)
                c->dead = true;
        for (int i = 0; i < 2 && !c->dead; i++) {
                bool reads = !c->from[i].ended && c->from[i].held < buffer && (i == 0 || c->connected);
                bool writes = c->from[!i].full || (i == 1 && c->connecting);

                ask(&c->side[i], (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U));
        }
}

static void bury(struct connection *c)
{
        for (int i = 0; i < 2; i++) {
                if (c->side[i].fd >= 0)
                        close(c->side[i].fd);
                while (c->from[i].first)
                        drop_first(&c->from[i]);
        }
        free(c);
        n_connections--;
}

static void come_in(const struct source *listening)
{
        int fd = accept4(listening->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct connection *c;

        if (fd < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
                        die("accept: %s", strerror(errno));
                return;
        }
        c = n_connections < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;
        if (!c) {
                close(fd);
                return;
        }
        tune(fd);
        for (int i = 0; i < 2; i++) {
                c->side[i] = (struct source){ .fd = i ? -1 : fd, .c = c, .target = listening->target };
                c->from[i].last = &c->from[i].first;
        }
        c->connect_ns = now_ns() + 3 * delay_ns;
        c->next = connections;
        connections = c;
        n_connections++;
}

/* The next time something is due by itself; 0: never. What waits for room in a socket is told by its event. */
static uint64_t go_on_all(void)
{
        uint64_t now = now_ns(), wake = 0;

        for (struct connection **p = &connections; *p;) {
                struct connection *c = *p;

                go_on(c, now);
                if (c->dead) {
                        *p = c->next;
                        bury(c);
                        continue;
                }
                p = &c->next;
                if (!c->connecting && !c->connected && (!wake || c->connect_ns < wake))
                        wake = c->connect_ns;
                for (int i = 0; i < 2 && c->connected; i++)
                        if (c->from[i].first && !c->from[i].full && (!wake || c->from[i].first->due_ns < wake))
                                wake = c->from[i].first->due_ns;
        }
        return wake;
}

/* ---- its command line ---- */

static unsigned long number(const char *text, const char *end, unsigned long max)
{
        char *e = NULL;
        unsigned long n;

        errno = 0;
        n = strtoul(text, &e, 10);
        if (*text < '0' || *text > '9' || e != end || errno || n > max)
                die("not a number up to %lu: %s", max, text);
        return n;
}

/* "ADDRESS:PORT[-PORT]" up to end; the number of ports. */
static unsigned place(const char *text, const char *end, struct sockaddr_in *ret)
{
        const char *colon = memchr(text, ':', (size_t)(end - text)), *dash = colon ? memchr(colon, '-', (size_t)(end - colon)) : NULL;
        char address[INET_ADDRSTRLEN];
        unsigned long low, high;

        *ret = (struct sockaddr_in){ .sin_family = AF_INET };
        if (!colon || (size_t)(colon - text) >= sizeof(address))
                die("not ADDRESS:PORT: %s", text);
        memcpy(address, text, (size_t)(colon - text));
        address[colon - text] = '\0';
        if (inet_pton(AF_INET, address, &ret->sin_addr) != 1)
                die("not an IPv4 address: %s", address);
        low = number(colon + 1, dash ? dash : end, 65535);
        high = dash ? number(dash + 1, end, 65535) : low;
        if (low == 0 || high < low)
                die("not a port, or a range of them: %s", colon + 1);
        ret->sin_port = htons((uint16_t)low);
        return (unsigned)(high - low + 1);
}

static void listen_at(struct sockaddr_in at, struct sockaddr_in target)
{
        struct source *s = calloc(1, sizeof(*s));
        int on = 1;

        if (!s)
                die("out of memory");
        s->target = target;
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(s->fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(s->fd, 128) < 0)
                die("cannot listen on port %u: %s", ntohs(at.sin_port), strerror(errno));
        ask(s, EPOLLIN);
}

static void add(const char *text)
{
        const char *equals = strchr(text, '=');
        struct sockaddr_in at, target;
        unsigned n;

        if (!equals)
                die("not LISTEN=TARGET: %s", text);
        n = place(text, equals, &at);
        if (place(equals + 1, equals + strlen(equals), &target) != 1)
                die("the target has one port: %s", text);
        if (ntohs(target.sin_port) + n - 1 > 65535)
                die("the target's ports end at 65535: %s", text);
        for (unsigned i = 0; i < n; i++) {
                listen_at(at, target);
                at.sin_port = htons((uint16_t)(ntohs(at.sin_port) + 1));
                target.sin_port = htons((uint16_t)(ntohs(target.sin_port) + 1));
        }
}

int main(int argc, char **argv)
{
        struct epoll_event events[64];
        int i = 1;

        ep = epoll_create1(EPOLL_CLOEXEC);
        if (ep < 0)
                die("epoll: %s", strerror(errno));
        for (; i < argc && argv[i][0] == '-'; i++) {
                if (strcmp(argv[i], "--delay-ms") == 0 && i + 1 < argc) {
                        i++;
                        delay_ns = number(argv[i], argv[i] + strlen(argv[i]), 60000) * MS;
                } else if (strcmp(argv[i], "--buffer-kib") == 0 && i + 1 < argc) {
                        i++;
                        buffer = number(argv[i], argv[i] + strlen(argv[i]), 1UL << 20) << 10;
                } else if (strcmp(argv[i], "--with-parent") == 0) {
                        prctl(PR_SET_PDEATHSIG, SIGTERM);
                } else {
                        die("unknown option: %s", argv[i]);
                }
        }
        if (i == argc || buffer == 0)
                die("usage: delay-relay [--delay-ms N] [--buffer-kib N] [--with-parent] ADDRESS:PORT[-PORT]=ADDRESS:PORT ...");
        for (; i < argc; i++)
                add(argv[i]);
        puts("ready");
        fflush(stdout);
        for (;;) {
                uint64_t wake = go_on_all(), now = now_ns(), left = wake > now ? wake - now : 0;
                struct timespec t = { (time_t)(left / (1000 * MS)), (long)(left % (1000 * MS)) };
                int n = epoll_pwait2(ep, events, 64, wake ? &t : NULL, NULL);

                if (n < 0 && errno != EINTR)
                        die("epoll: %s", strerror(errno));
                for (int k = 0; k < n; k++) {
                        struct source *s = events[k].data.ptr;

                        if (s->c)
                                happened(s, events[k].events);
                        else
                                come_in(s);
                }
        }
}
