/* See forget.h. The kernel's interface: linux/netfilter/nfnetlink_conntrack.h. */
#include "transfer/agent/forget.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ADDRESSES_MAX 64U
#define FORGET_MAX 100000U /* entries; more are left to their time-outs */
#define LIST_S 20

/* ---- attributes (pure) ---- */
struct attributes {
        const unsigned char *p;
        size_t len;
};

/* The next one, checked: its payload, and the whole of it. */
static bool next(struct attributes *in, uint16_t *ret_type, struct attributes *ret,
                 struct attributes *ret_whole)
{
        struct nlattr a;
        size_t step;

        if (in->len < sizeof(a))
                return false;
        memcpy(&a, in->p, sizeof(a));
        if (a.nla_len < sizeof(a) || a.nla_len > in->len)
                return false;
        *ret_type = a.nla_type & 0x3fffU; /* without the flags */
        *ret = (struct attributes){ in->p + sizeof(a), a.nla_len - sizeof(a) };
        *ret_whole = (struct attributes){ in->p, a.nla_len };
        step = ((size_t)a.nla_len + 3U) & ~(size_t)3U;
        step = step < in->len ? step : in->len;
        in->p += step;
        in->len -= step;
        return true;
}

static bool find(struct attributes in, uint16_t type, struct attributes *ret,
                 struct attributes *ret_whole)
{
        uint16_t found;

        while (next(&in, &found, ret, ret_whole))
                if (found == type)
                        return true;
        return false;
}

/* The source or destination of a tuple. */
static bool address_in(struct attributes tuple, bool source, struct ts_forget_address *ret)
{
        struct attributes ip, whole, address;

        if (!find(tuple, CTA_TUPLE_IP, &ip, &whole))
                return false;
        *ret = (struct ts_forget_address){ .family = AF_INET };
        if (find(ip, source ? CTA_IP_V4_SRC : CTA_IP_V4_DST, &address, &whole) &&
            address.len == 4) {
                memcpy(ret->addr, address.p, 4);
                return true;
        }
        ret->family = AF_INET6;
        if (!find(ip, source ? CTA_IP_V6_SRC : CTA_IP_V6_DST, &address, &whole) ||
            address.len != 16)
                return false;
        memcpy(ret->addr, address.p, 16);
        return true;
}

static bool equal(const struct ts_forget_address *a, const struct ts_forget_address *b)
{
        return a->family == b->family && !memcmp(a->addr, b->addr, a->family == AF_INET ? 4 : 16);
}

bool ts_forget_wanted(const void *message, size_t len, const struct ts_forget_address *a, size_t n,
                      const void **ret_reply, size_t *ret_len)
{
        struct attributes all, orig, reply, whole, answers;
        struct ts_forget_address to, from;

        if (len < NLMSG_ALIGN(sizeof(struct nfgenmsg)))
                return false;
        all = (struct attributes){ (const unsigned char *)message +
                                           NLMSG_ALIGN(sizeof(struct nfgenmsg)),
                                   len - NLMSG_ALIGN(sizeof(struct nfgenmsg)) };
        if (!find(all, CTA_TUPLE_ORIG, &orig, &whole) ||
            !find(all, CTA_TUPLE_REPLY, &reply, &answers) || !address_in(orig, false, &to) ||
            !address_in(reply, true, &from) || equal(&to, &from))
                return false;
        for (size_t i = 0; i < n; i++)
                if (equal(&from, &a[i])) {
                        *ret_reply = answers.p;
                        *ret_len = answers.len;
                        return true;
                }
        return false;
}

/* ---- the kernel ---- */
static int talk(struct ts_err *err)
{
        const struct timeval patience = { .tv_sec = 5 };
        ts_auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
                return ts_err_set(err, TS_EIO, "the kernel's connections cannot be looked at: %s",
                                  strerror(errno));
        return TS_TAKE_FD(fd);
}

static int request(int fd, unsigned type, unsigned flags, unsigned family, const void *attribute,
                   size_t len, struct ts_err *err)
{
        unsigned char buf[512] = { 0 };
        struct nlmsghdr h = { .nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type),
                              .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
        const struct nfgenmsg g = { .nfgen_family = (uint8_t)family };
        const size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(g));

        if (head + len > sizeof(buf))
                return ts_err_set(err, TS_EPROTO, "an entry of %zu bytes", len);
        h.nlmsg_len = (uint32_t)(head + len);
        memcpy(buf, &h, sizeof(h));
        memcpy(buf + NLMSG_HDRLEN, &g, sizeof(g));
        if (len)
                memcpy(buf + head, attribute, len);
        return send(fd, buf, head + len, 0) == (ssize_t)(head + len)
                       ? 0
                       : ts_err_set(err, TS_EIO, "asking for connections: %s", strerror(errno));
}

struct wanted {
        unsigned family;
        size_t len;
        unsigned char reply[256];
};
struct list {
        const struct ts_forget_address *a;
        size_t n_a;
        struct wanted *v;
        size_t n, room;
};

static int keep(struct list *l, const unsigned char *message, size_t len, struct ts_err *err)
{
        const void *reply = NULL;
        size_t reply_len = 0;
        struct wanted *v = l->v;

        if (l->n == FORGET_MAX ||
            !ts_forget_wanted(message, len, l->a, l->n_a, &reply, &reply_len) ||
            reply_len > sizeof(v->reply))
                return 0;
        if (l->n == l->room) {
                v = reallocarray(l->v, l->room ? 2 * l->room : 16, sizeof(*v));
                if (!v)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                l->v = v;
                l->room = l->room ? 2 * l->room : 16;
        }
        v[l->n] = (struct wanted){ .family = message[0], .len = reply_len };
        memcpy(v[l->n++].reply, reply, reply_len);
        return 0;
}

/* All messages of one read. 1: that was the last; 0: more to come. */
static int take(struct list *l, const unsigned char *buf, size_t len, struct ts_err *err)
{
        while (len >= NLMSG_HDRLEN) {
                struct nlmsghdr h;
                size_t step;

                memcpy(&h, buf, sizeof(h));
                if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > len)
                        break;
                if (h.nlmsg_type == NLMSG_DONE)
                        return 1;
                if (h.nlmsg_type == NLMSG_ERROR)
                        return ts_err_set(err, TS_EIO, "the kernel does not list its connections");
                if (keep(l, buf + NLMSG_HDRLEN, h.nlmsg_len - NLMSG_HDRLEN, err) < 0)
                        return -1;
                step = NLMSG_ALIGN((size_t)h.nlmsg_len);
                if (step >= len)
                        break;
                buf += step;
                len -= step;
        }
        return 0;
}

static int list(int fd, struct list *l, struct ts_err *err)
{
        static unsigned char buf[65536];
        ts_deadline deadline = ts_deadline_in_ms(LIST_S * 1000);
        int rc = 0;

        if (request(fd, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, NULL, 0, err) < 0)
                return -1;
        while (rc == 0) {
                ssize_t n = recv(fd, buf, sizeof(buf), 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0 || ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_EIO, "reading the kernel's connections: %s",
                                          n < 0 ? strerror(errno) : "no end");
                rc = take(l, buf, (size_t)n, err);
        }
        return rc < 0 ? -1 : 0;
}

/* An entry that has ended meanwhile is as good. */
static size_t forget(int fd, const struct list *l)
{
        unsigned char answer[1024];
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++) {
                struct nlmsghdr h;
                struct nlmsgerr e;
                ssize_t got;

                if (request(fd, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, l->v[i].family, l->v[i].reply,
                            l->v[i].len, NULL) < 0)
                        continue;
                got = recv(fd, answer, sizeof(answer), 0);
                if (got < (ssize_t)(NLMSG_HDRLEN + sizeof(e)))
                        continue;
                memcpy(&h, answer, sizeof(h));
                memcpy(&e, answer + NLMSG_HDRLEN, sizeof(e));
                n += h.nlmsg_type == NLMSG_ERROR && e.error == 0;
        }
        return n;
}

static int run(char *const addresses[], size_t *ret_count, struct ts_err *err)
{
        struct ts_forget_address a[ADDRESSES_MAX];
        struct list l = { .a = a };
        ts_auto_fd int fd = -1;
        int rc;

        for (size_t i = 0; addresses[i]; i++) {
                if (l.n_a == ADDRESSES_MAX)
                        return ts_err_set(err, TS_EUSAGE, "more than %u addresses", ADDRESSES_MAX);
                a[l.n_a] =
                        (struct ts_forget_address){ .family = strchr(addresses[i], ':') ? AF_INET6
                                                                                        : AF_INET };
                if (inet_pton(a[l.n_a].family, addresses[i], a[l.n_a].addr) != 1)
                        return ts_err_set(err, TS_EUSAGE, "'%s' is no address", addresses[i]);
                l.n_a++;
        }
        fd = talk(err);
        if (fd < 0)
                return -1;
        rc = list(fd, &l, err);
        if (rc == 0)
                *ret_count = forget(fd, &l);
        free(l.v);
        return rc;
}

int ts_forget_main(char *const addresses[])
{
        ts_auto_err err = TS_ERR_INIT;
        size_t n = 0;

        if (run(addresses, &n, &err) == 0) {
                (void)printf("%zu\n", n);
                return 0;
        }
        (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
        return 1;
}
