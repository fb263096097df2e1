/* Sockets of the network, and those of the kernel. */
#include "holds.h"

#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/if_ether.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>

static int l = -1, a = -1, b = -1;
static union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
} to;
static socklen_t len;

/* Bound to a free port of the loopback address; `to` is the address. */
static int loopback(int family, int type)
{
        memset(&to, 0, sizeof(to));
        to.sa.sa_family = (sa_family_t)family;
        if (family == AF_INET)
                to.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
                to.in6.sin6_addr = in6addr_loopback;
        len = family == AF_INET ? sizeof(to.in) : sizeof(to.in6);
        TRY(l = socket(family, type, 0));
        TRY(bind(l, &to.sa, len));
        TRY(getsockname(l, &to.sa, &len));
        return 0;
}

static int joined(int family)
{
        if (loopback(family, SOCK_STREAM) < 0)
                return -1;
        TRY(listen(l, 5));
        TRY(a = socket(family, SOCK_STREAM, 0));
        TRY(connect(a, &to.sa, len));
        TRY(b = accept(l, NULL, NULL));
        return 0;
}

static int tcp_listen_make(void)
{
        if (loopback(AF_INET, SOCK_STREAM) < 0)
                return -1;
        TRY(listen(l, 5));
        return 0;
}

static int tcp_listen_check(void)
{
        TRY(a = socket(AF_INET, SOCK_STREAM, 0));
        TRY(connect(a, &to.sa, len));
        TRY(b = accept(l, NULL, NULL));
        return close(a) < 0 || close(b) < 0 ? -1 : 0;
}

static int tcp_make(void)
{
        return joined(AF_INET) < 0 || put(a, "there") < 0 || put(b, "back") < 0 ? -1 : 0;
}

static int tcp_check(void)
{
        return through(b, a, "there") < 0 || through(a, b, "back") < 0 ? -1 : 0;
}

static int tcp6_make(void)
{
        return joined(AF_INET6) < 0 || put(a, "there") < 0 || put(b, "back") < 0 ? -1 : 0;
}

static int tcp6_check(void)
{
        return tcp_check();
}

static int peeks(int fd, const char *text)
{
        char found[64] = "";

        TRY(recv(fd, found, sizeof(found) - 1, MSG_PEEK | MSG_DONTWAIT));
        if (strcmp(found, text) != 0)
                return differs("what was sent");
        return 0;
}

static int tcp_shutdown_make(void)
{
        if (tcp_make() < 0)
                return -1;
        TRY(shutdown(a, SHUT_WR));
        (void)nap(50);
        return 0;
}

static int tcp_shutdown_check(void)
{
        WANT(send(a, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
        if (peeks(b, "there") < 0)
                return -1;
        return through(a, b, "back");
}

static int tcp_closed_make(void)
{
        if (joined(AF_INET) < 0 || put(a, "there") < 0)
                return -1;
        return close(a);
}

static int tcp_closed_check(void)
{
        struct pollfd p = { .fd = b, .events = POLLIN | POLLRDHUP };

        WANT(poll(&p, 1, 0) == 1 && p.revents & POLLRDHUP);
        return peeks(b, "there");
}

/* Made, and not accepted: the other side may have sent something already. */
static int tcp_backlog_make(void)
{
        if (loopback(AF_INET, SOCK_STREAM) < 0)
                return -1;
        TRY(listen(l, 5));
        TRY(a = socket(AF_INET, SOCK_STREAM, 0));
        TRY(connect(a, &to.sa, len));
        return put(a, "there");
}

static int tcp_backlog_check(void)
{
        struct pollfd p = { .fd = l, .events = POLLIN };

        WANT(poll(&p, 1, 0) == 1);
        return 0;
}

/* The listener has no room: nobody answers the request for a connection. */
static int tcp_connecting_make(void)
{
        if (loopback(AF_INET, SOCK_STREAM) < 0)
                return -1;
        TRY(listen(l, 0));
        TRY(a = socket(AF_INET, SOCK_STREAM, 0));
        TRY(connect(a, &to.sa, len));
        TRY(b = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        WANT(connect(b, &to.sa, len) < 0 && errno == EINPROGRESS);
        return 0;
}

static int tcp_connecting_check(void)
{
        struct tcp_info i = { 0 };
        socklen_t size = sizeof(i);

        TRY(getsockopt(b, IPPROTO_TCP, TCP_INFO, &i, &size));
        WANT(i.tcpi_state == TCP_SYN_SENT);
        return 0;
}

static int tcp_bound_make(void)
{
        return loopback(AF_INET, SOCK_STREAM);
}

static int tcp_bound_check(void)
{
        struct sockaddr_in now = { 0 };
        socklen_t size = sizeof(now);

        TRY(getsockname(l, (struct sockaddr *)&now, &size));
        WANT(now.sin_port == to.in.sin_port);
        return 0;
}

static const struct {
        int level, name, value;
} tcp_options[] = {
        { SOL_SOCKET, SO_KEEPALIVE, 1 },      { IPPROTO_TCP, TCP_KEEPIDLE, 77 },     { IPPROTO_TCP, TCP_KEEPINTVL, 7 },
        { IPPROTO_TCP, TCP_KEEPCNT, 3 },      { IPPROTO_TCP, TCP_NODELAY, 1 },       { SOL_SOCKET, SO_REUSEADDR, 1 },
        { SOL_SOCKET, SO_REUSEPORT, 1 },
}, tcp_tuning[] = {
        { IPPROTO_TCP, TCP_USER_TIMEOUT, 7777 },
}, tcp_tos[] = {
        { IPPROTO_IP, IP_TOS, 0x10 },
}, tcp_priority[] = {
        { SOL_SOCKET, SO_PRIORITY, 5 },
}, tcp_lowat[] = {
        { SOL_SOCKET, SO_RCVLOWAT, 9 },
};
#define SET(list)                                                   \
        for (size_t i = 0; i < sizeof(list) / sizeof(*(list)); i++) \
        TRY(setsockopt(a, (list)[i].level, (list)[i].name, &(list)[i].value, sizeof(int)))
#define SAME(list)                                                                  \
        for (size_t i = 0; i < sizeof(list) / sizeof(*(list)); i++) {               \
                int value = -1;                                                     \
                socklen_t size = sizeof(value);                                     \
                TRY(getsockopt(a, (list)[i].level, (list)[i].name, &value, &size)); \
                WANT(value == (list)[i].value);                                     \
        }
#define OPTIONS(name)                    \
        static int name##_make(void)     \
        {                                \
                if (joined(AF_INET) < 0) \
                        return -1;       \
                SET(name);               \
                return 0;                \
        }                                \
        static int name##_check(void)    \
        {                                \
                SAME(name);              \
                return 0;                \
        }
OPTIONS(tcp_options)
OPTIONS(tcp_tuning)
OPTIONS(tcp_tos)
OPTIONS(tcp_priority)
OPTIONS(tcp_lowat)

static int tcp_congestion_make(void)
{
        if (joined(AF_INET) < 0)
                return -1;
        TRY(setsockopt(a, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
        return 0;
}

static int tcp_congestion_check(void)
{
        char found[16] = "";
        socklen_t size = sizeof(found);

        TRY(getsockopt(a, IPPROTO_TCP, TCP_CONGESTION, found, &size));
        WANT(strcmp(found, "reno") == 0);
        return 0;
}

static int tcp_urgent_make(void)
{
        if (joined(AF_INET) < 0)
                return -1;
        TRY(send(a, "u", 1, MSG_OOB));
        return put(a, "there");
}

static int tcp_urgent_check(void)
{
        char byte = 0;

        TRY(recv(b, &byte, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT));
        WANT(byte == 'u');
        return 0;
}

static int udp_make(void)
{
        if (loopback(AF_INET, SOCK_DGRAM) < 0)
                return -1;
        TRY(a = socket(AF_INET, SOCK_DGRAM, 0));
        TRY(connect(a, &to.sa, len));
        return 0;
}

static int udp_check(void)
{
        char found[8] = "";

        TRY(send(a, "one", 3, 0));
        TRY(recv(l, found, sizeof(found), MSG_DONTWAIT));
        WANT(strcmp(found, "one") == 0);
        return 0;
}

static int udp_queued_make(void)
{
        return udp_make() < 0 ? -1 : put(a, "one");
}

static int udp_queued_check(void)
{
        return through(l, a, "one");
}

static int udp6_queued_make(void)
{
        if (loopback(AF_INET6, SOCK_DGRAM) < 0)
                return -1;
        TRY(a = socket(AF_INET6, SOCK_DGRAM, 0));
        TRY(connect(a, &to.sa, len));
        return put(a, "one");
}

static int udp6_queued_check(void)
{
        return through(l, a, "one");
}

static int udp_multicast_make(void)
{
        struct ip_mreqn group = { .imr_multiaddr.s_addr = htonl(0xefff0707) };

        group.imr_ifindex = 1;
        TRY(a = socket(AF_INET, SOCK_DGRAM, 0));
        TRY(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)));
        return 0;
}

static int udp_multicast_check(void)
{
        struct ip_mreqn group = { .imr_multiaddr.s_addr = htonl(0xefff0707) };

        group.imr_ifindex = 1;
        WANT(setsockopt(a, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 &&
             errno == EADDRINUSE);
        return 0;
}

static int udp_corked_make(void)
{
        int on = 1;

        if (udp_make() < 0)
                return -1;
        TRY(setsockopt(a, IPPROTO_UDP, 1, &on, sizeof(on)));
        return put(a, "half");
}

static int udp_corked_check(void)
{
        int on = 0;
        char found[8] = "";

        TRY(setsockopt(a, IPPROTO_UDP, 1, &on, sizeof(on)));
        TRY(recv(l, found, sizeof(found), MSG_DONTWAIT));
        WANT(strcmp(found, "half") == 0);
        on = 1;
        TRY(setsockopt(a, IPPROTO_UDP, 1, &on, sizeof(on)));
        return put(a, "half");
}

static int udplite_make(void)
{
        TRY(a = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
        return 0;
}

static int is_socket(int type)
{
        int found = 0;
        socklen_t size = sizeof(found);

        TRY(getsockopt(a, SOL_SOCKET, SO_TYPE, &found, &size));
        WANT(found == type);
        return 0;
}

static int udplite_check(void)
{
        return is_socket(SOCK_DGRAM);
}

static int mptcp_make(void)
{
        struct sockaddr_in any = { .sin_family = AF_INET };

        TRY(a = socket(AF_INET, SOCK_STREAM, 262));
        TRY(bind(a, (struct sockaddr *)&any, sizeof(any)));
        TRY(listen(a, 5));
        return 0;
}

static int mptcp_check(void)
{
        return is_socket(SOCK_STREAM);
}

static int ping_make(void)
{
        TRY(a = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
        to.in = (struct sockaddr_in){ .sin_family = AF_INET };
        TRY(bind(a, &to.sa, sizeof(to.in)));
        return 0;
}

static int ping_check(void)
{
        return is_socket(SOCK_DGRAM);
}

static int raw_make(void)
{
        TRY(a = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        return 0;
}

static int raw_check(void)
{
        return is_socket(SOCK_RAW);
}

static int raw_filter_make(void)
{
        struct icmp_filter only = { .data = ~(1U << ICMP_ECHOREPLY) };

        TRY(a = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
        TRY(setsockopt(a, SOL_RAW, ICMP_FILTER, &only, sizeof(only)));
        return 0;
}

static int raw_filter_check(void)
{
        struct icmp_filter only = { 0 };
        socklen_t size = sizeof(only);

        TRY(getsockopt(a, SOL_RAW, ICMP_FILTER, &only, &size));
        WANT(only.data == ~(1U << ICMP_ECHOREPLY));
        return 0;
}

static int packet_make(void)
{
        struct sockaddr_ll at = { .sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_IP),
                                  .sll_ifindex = 1 };

        TRY(a = socket(AF_PACKET, SOCK_RAW, 0));
        TRY(bind(a, (struct sockaddr *)&at, sizeof(at)));
        return 0;
}

static int packet_check(void)
{
        struct sockaddr_ll at = { 0 };
        socklen_t size = sizeof(at);

        TRY(getsockname(a, (struct sockaddr *)&at, &size));
        WANT(at.sll_protocol == htons(ETH_P_IP) && at.sll_ifindex == 1);
        return is_socket(SOCK_RAW);
}

/* A classic filter that takes nothing. */
static int socket_filter_make(void)
{
        struct sock_filter none[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
        struct sock_fprog p = { .len = 1, .filter = none };

        if (udp_make() < 0)
                return -1;
        TRY(setsockopt(l, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)));
        return 0;
}

static int socket_filter_check(void)
{
        char found[8];

        TRY(send(a, "one", 3, 0));
        WANT(recv(l, found, sizeof(found), MSG_DONTWAIT) < 0 && errno == EAGAIN);
        return 0;
}

static int socket_timeout_make(void)
{
        struct timeval t = { .tv_sec = 7 };

        if (udp_make() < 0)
                return -1;
        TRY(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)));
        return 0;
}

static int socket_timeout_check(void)
{
        struct timeval t = { 0 };
        socklen_t size = sizeof(t);

        TRY(getsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &t, &size));
        WANT(t.tv_sec == 7);
        return 0;
}

static int socket_device_make(void)
{
        if (udp_make() < 0)
                return -1;
        TRY(setsockopt(l, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
        return 0;
}

static int socket_device_check(void)
{
        char found[16] = "";
        socklen_t size = sizeof(found);

        TRY(getsockopt(l, SOL_SOCKET, SO_BINDTODEVICE, found, &size));
        WANT(strcmp(found, "lo") == 0);
        return 0;
}

static int netlink(int protocol, unsigned groups)
{
        struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = groups };

        TRY(a = socket(AF_NETLINK, SOCK_RAW, protocol));
        TRY(bind(a, (struct sockaddr *)&at, sizeof(at)));
        return 0;
}

static int netlink_is(unsigned groups)
{
        struct sockaddr_nl at = { 0 };
        socklen_t size = sizeof(at);

        TRY(getsockname(a, (struct sockaddr *)&at, &size));
        WANT(at.nl_groups == groups);
        return 0;
}

static int netlink_route_make(void)
{
        return netlink(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_IFADDR);
}

static int netlink_route_check(void)
{
        return netlink_is(RTMGRP_LINK | RTMGRP_IPV4_IFADDR);
}

static int netlink_uevent_make(void)
{
        return netlink(NETLINK_KOBJECT_UEVENT, 1);
}

static int netlink_uevent_check(void)
{
        return netlink_is(1);
}

static int netlink_diag_make(void)
{
        return netlink(NETLINK_SOCK_DIAG, 0);
}

static int netlink_diag_check(void)
{
        return netlink_is(0);
}

/* An answer of the kernel that was not read. */
static int netlink_queued_make(void)
{
        struct {
                struct nlmsghdr h;
                struct rtgenmsg g;
        } ask = { .h = { .nlmsg_len = sizeof(ask),
                         .nlmsg_type = RTM_GETLINK,
                         .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };

        if (netlink(NETLINK_ROUTE, 0) < 0)
                return -1;
        TRY(send(a, &ask, sizeof(ask), 0));
        return 0;
}

static int netlink_queued_check(void)
{
        char found[8];

        TRY(recv(a, found, sizeof(found), MSG_PEEK | MSG_DONTWAIT));
        return 0;
}

static int vsock_make(void)
{
        struct sockaddr_vm at = { .svm_family = AF_VSOCK,
                                  .svm_cid = VMADDR_CID_ANY,
                                  .svm_port = VMADDR_PORT_ANY };

        TRY(a = socket(AF_VSOCK, SOCK_STREAM, 0));
        TRY(bind(a, (struct sockaddr *)&at, sizeof(at)));
        TRY(listen(a, 5));
        return 0;
}

static int vsock_check(void)
{
        return is_socket(SOCK_STREAM);
}

const struct object inet_objects[] = {
        OBJECT(tcp_listen),
        OBJECT(tcp),
        OBJECT(tcp6),
        OBJECT(tcp_shutdown),
        OBJECT(tcp_closed),
        OBJECT(tcp_backlog),
        OBJECT(tcp_connecting),
        OBJECT(tcp_bound),
        OBJECT(tcp_options),
        OBJECT(tcp_tuning),
        OBJECT(tcp_tos),
        OBJECT(tcp_priority),
        OBJECT(tcp_lowat),
        OBJECT(tcp_congestion),
        OBJECT(tcp_urgent),
        OBJECT(udp),
        OBJECT(udp_queued),
        OBJECT(udp6_queued),
        OBJECT(udp_multicast),
        OBJECT(udp_corked),
        OBJECT(udplite),
        OBJECT(mptcp),
        OBJECT(ping),
        OBJECT(raw),
        OBJECT(raw_filter),
        OBJECT(packet),
        OBJECT(socket_filter),
        OBJECT(socket_timeout),
        OBJECT(socket_device),
        OBJECT(netlink_route),
        OBJECT(netlink_uevent),
        OBJECT(netlink_diag),
        OBJECT(netlink_queued),
        OBJECT(vsock),
        END,
};
