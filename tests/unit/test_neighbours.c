/* What the agent tells a network after a move, and what it makes the source's host forget: packets
 * as they go out, the kernel's entries as they come in. */
#include "tests/unit/unit.h"

#include "transfer/agent/announce.h"
#include "transfer/agent/forget.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

static const unsigned char mac[6] = { 2, 0x77, 0, 0, 0, 9 }, ip[4] = { 10, 77, 0, 9 };

static void gratuitous_arp(void)
{
        static const unsigned char request[TS_ARP_BYTES] = { 0, 1, 8, 0, 6,  4,  0, 1, 2, 0x77,
                                                             0, 0, 0, 9, 10, 77, 0, 9, 0, 0,
                                                             0, 0, 0, 0, 10, 77, 0, 9 };
        unsigned char packet[TS_ARP_BYTES];

        ts_announce_arp(mac, ip, 1, packet);
        CU_ASSERT_EQUAL(memcmp(packet, request, sizeof(request)), 0);
        ts_announce_arp(mac, ip, 2, packet);
        CU_ASSERT_EQUAL(packet[7], 2);
        CU_ASSERT_EQUAL(packet[18], 0xff);
}

static void unsolicited_advertisement(void)
{
        unsigned char address[16] = { 0xfd, 0x77, [15] = 9 }, packet[TS_NA_BYTES];

        ts_announce_na(mac, address, packet);
        CU_ASSERT_EQUAL(packet[0], 136);
        CU_ASSERT_EQUAL(packet[4], 0x20); /* override, not solicited */
        CU_ASSERT_EQUAL(memcmp(packet + 8, address, 16), 0);
        CU_ASSERT_EQUAL(packet[24], 2);
        CU_ASSERT_EQUAL(packet[25], 1);
        CU_ASSERT_EQUAL(memcmp(packet + 26, mac, 6), 0);
}

/* ---- entries ---- */
struct entry {
        unsigned char buf[256];
        size_t len;
};

/* An attribute: its header, then what was put in by fill. Returns where its length has to be
 * written. */
static size_t open_attr(struct entry *e, unsigned type)
{
        size_t at = e->len;

        e->buf[e->len++] = 0;
        e->buf[e->len++] = 0;
        e->buf[e->len++] = (unsigned char)type;
        e->buf[e->len++] = (unsigned char)(type >> 8);
        return at;
}

static void close_attr(struct entry *e, size_t at)
{
        uint16_t len = (uint16_t)(e->len - at);

        memcpy(e->buf + at, &len, 2);
}

static void add_tuple(struct entry *e, unsigned which, const char *from, const char *to)
{
        size_t tuple = open_attr(e, which | 0x8000U),
               addresses = open_attr(e, CTA_TUPLE_IP | 0x8000U), one;

        one = open_attr(e, CTA_IP_V4_SRC);
        (void)inet_pton(AF_INET, from, e->buf + e->len);
        e->len += 4;
        close_attr(e, one);
        one = open_attr(e, CTA_IP_V4_DST);
        (void)inet_pton(AF_INET, to, e->buf + e->len);
        e->len += 4;
        close_attr(e, one);
        close_attr(e, addresses);
        close_attr(e, tuple);
}

static struct entry entry(const char *client, const char *dialled, const char *answers)
{
        struct entry e = { .buf = { AF_INET }, .len = 4 };

        add_tuple(&e, CTA_TUPLE_ORIG, client, dialled);
        add_tuple(&e, CTA_TUPLE_REPLY, answers, client);
        return e;
}

static bool wanted(const struct entry *e, size_t len)
{
        struct ts_forget_address a[2] = { { .family = AF_INET }, { .family = AF_INET6 } };
        const void *reply = NULL;
        size_t n = 0;
        bool yes;

        (void)inet_pton(AF_INET, "10.88.0.5", a[0].addr);
        yes = ts_forget_wanted(e->buf, len, a, 2, &reply, &n);
        if (yes) {
                CU_ASSERT_EQUAL(n, 24);
                CU_ASSERT_TRUE((const unsigned char *)reply + n <= e->buf + len);
        }
        return yes;
}

static void entries_to_forget(void)
{
        struct entry e = entry("192.0.2.7", "10.77.0.1", "10.88.0.5");

        CU_ASSERT_TRUE(wanted(&e, e.len));
        for (size_t len = 0; len < e.len; len++) /* cut short at every byte */
                CU_ASSERT_FALSE(wanted(&e, len));
        e = entry("192.0.2.7", "10.88.0.5",
                  "10.88.0.5"); /* to the container itself: nothing was passed on */
        CU_ASSERT_FALSE(wanted(&e, e.len));
        e = entry("192.0.2.7", "10.77.0.1", "10.88.0.6"); /* another container's */
        CU_ASSERT_FALSE(wanted(&e, e.len));
        e = entry("192.0.2.7", "10.77.0.1", "10.88.0.5");
        for (size_t i = 4; i < e.len; i++) { /* lengths and types that lie */
                struct entry bad = e;

                bad.buf[i] = 0xff;
                (void)wanted(&bad, bad.len);
                bad.buf[i] = 1;
                (void)wanted(&bad, bad.len);
        }
}

static CU_TestInfo tests[] = {
        UNIT(gratuitous_arp),
        UNIT(unsolicited_advertisement),
        UNIT(entries_to_forget),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("neighbours", tests)
