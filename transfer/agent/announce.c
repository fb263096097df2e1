/* See announce.h. */
#include "transfer/agent/announce.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const unsigned again_ms[] = { 50, 150, 300, 500, 1000 };

void ts_announce_arp(const unsigned char mac[6], const unsigned char ip[4], unsigned op,
                     unsigned char ret[TS_ARP_BYTES])
{
        static const unsigned char head[7] = {
                0, 1, 8, 0, 6, 4, 0
        }; /* Ethernet, IPv4, lengths of their addresses */

        memset(ret, 0, TS_ARP_BYTES);
        memcpy(ret, head, sizeof(head));
        ret[7] = (unsigned char)op;
        memcpy(ret + 8, mac, 6);
        memcpy(ret + 14, ip, 4);
        memset(ret + 18, op == ARPOP_REQUEST ? 0 : 0xff, 6);
        memcpy(ret + 24, ip, 4);
}

void ts_announce_na(const unsigned char mac[6], const unsigned char ip[16],
                    unsigned char ret[TS_NA_BYTES])
{
        memset(ret, 0, TS_NA_BYTES); /* the kernel fills in the checksum */
        ret[0] = 136;
        ret[4] = 0x20; /* override what is known */
        memcpy(ret + 8, ip, 16);
        ret[24] = 2; /* target's link-layer address, 1 × 8 bytes */
        ret[25] = 1;
        memcpy(ret + 26, mac, 6);
}

/* ---- one round ---- */
struct port {
        unsigned index;
        unsigned char mac[6];
};

/* Only what has neighbours. */
static bool port_of(const struct ifaddrs *all, const char *name, struct port *ret)
{
        for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
                struct sockaddr_ll ll;

                if (!a->ifa_addr || a->ifa_addr->sa_family != AF_PACKET ||
                    strcmp(a->ifa_name, name) != 0)
                        continue;
                memcpy(&ll, a->ifa_addr, sizeof(ll));
                if (!(a->ifa_flags & IFF_UP) || a->ifa_flags & (IFF_LOOPBACK | IFF_NOARP) ||
                    ll.sll_hatype != ARPHRD_ETHER || ll.sll_halen != 6)
                        return false;
                ret->index = (unsigned)ll.sll_ifindex;
                memcpy(ret->mac, ll.sll_addr, 6);
                return true;
        }
        return false;
}

static size_t send_arp(int fd, const struct port *p, const struct sockaddr *address)
{
        struct sockaddr_ll to = { .sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ARP),
                                  .sll_ifindex = (int)p->index,
                                  .sll_halen = 6 };
        struct sockaddr_in in;
        unsigned char ip[4], packet[TS_ARP_BYTES];
        size_t n = 0;

        memcpy(&in, address, sizeof(in));
        memcpy(ip, &in.sin_addr, 4);
        memset(to.sll_addr, 0xff, 6);
        for (unsigned op = ARPOP_REQUEST; op <= ARPOP_REPLY; op++) {
                ts_announce_arp(p->mac, ip, op, packet);
                n += sendto(fd, packet, sizeof(packet), MSG_DONTWAIT, (const struct sockaddr *)&to,
                            sizeof(to)) == (ssize_t)sizeof(packet);
        }
        return n;
}

/* From the address itself: one that is not usable yet cannot be bound, and is left to a later
 * round. */
static size_t send_na(const struct port *p, const struct sockaddr *address)
{
        const int hops = 255, index = (int)p->index;
        struct sockaddr_in6 from, to = { .sin6_family = AF_INET6, .sin6_scope_id = p->index };
        unsigned char ip[16], packet[TS_NA_BYTES];
        ts_auto_fd int fd =
                socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

        memcpy(&from, address, sizeof(from));
        memcpy(ip, &from.sin6_addr, 16);
        ts_announce_na(p->mac, ip, packet);
        if (fd < 0 || inet_pton(AF_INET6, "ff02::1", &to.sin6_addr) != 1 ||
            setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)) < 0 ||
            setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) < 0 ||
            bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
                return 0;
        return sendto(fd, packet, sizeof(packet), 0, (const struct sockaddr *)&to, sizeof(to)) ==
               (ssize_t)sizeof(packet);
}

int ts_announce_once(size_t *ret_count, struct ts_err *err)
{
        ts_auto_fd int arp =
                socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* protocol 0: receives nothing */
        struct ifaddrs *all = NULL;
        struct port p;

        *ret_count = 0;
        if (arp < 0 || getifaddrs(&all) < 0)
                return ts_err_set(err, TS_EIO, "the interfaces cannot be looked at: %s",
                                  strerror(errno));
        for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
                if (!a->ifa_addr || !port_of(all, a->ifa_name, &p))
                        continue;
                if (a->ifa_addr->sa_family == AF_INET)
                        *ret_count += send_arp(arp, &p, a->ifa_addr);
                else if (a->ifa_addr->sa_family == AF_INET6)
                        *ret_count += send_na(&p, a->ifa_addr);
        }
        freeifaddrs(all);
        return 0;
}

/* ---- the program ---- */
/* Never in the host's own namespace: its addresses are none of ours. */
static int enter(const char *pid, struct ts_err *err)
{
        unsigned long long n;
        char path[64];
        struct stat there, here;
        ts_auto_fd int fd = -1;

        if (ts_parse_u64(pid, 1, INT32_MAX, &n, err) < 0)
                return -1;
        (void)snprintf(path, sizeof(path), "/proc/%llu/ns/net", n);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &there) < 0 || stat("/proc/self/ns/net", &here) < 0)
                return ts_err_set(err, TS_EIO, "'%s': %s", path, strerror(errno));
        if (there.st_ino == here.st_ino && there.st_dev == here.st_dev)
                return ts_err_set(err, TS_EUSAGE, "process %llu has the network of the host", n);
        return setns(fd, CLONE_NEWNET) < 0
                       ? ts_err_set(err, TS_EIO, "entering '%s': %s", path, strerror(errno))
                       : 0;
}

/* Who started us does not wait for it. */
static void repeat(void)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fork() != 0)
                return;
        (void)setsid();
        for (int fd = 0; null >= 0 && fd < 3; fd++)
                (void)dup2(null, fd);
        for (size_t i = 0; i < TS_ARRAY_LEN(again_ms); i++) {
                size_t n = 0;

                ts_sleep_ms(again_ms[i]);
                (void)ts_announce_once(&n, NULL);
        }
        _exit(0);
}

int ts_announce_main(const char *pid)
{
        ts_auto_err err = TS_ERR_INIT;
        size_t n = 0;

        if (enter(pid, &err) < 0 || ts_announce_once(&n, &err) < 0) {
                (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
                return 1;
        }
        (void)printf("%zu\n", n);
        (void)fflush(stdout);
        repeat();
        return 0;
}
