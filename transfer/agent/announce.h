/* Tells the neighbours of a container where its addresses are now. A switch goes on sending frames
 * for a MAC address to the port that it last came from, for minutes: after a move to another host
 * new clients get no answer until the container says something by itself. On a host the agent's
 * program, started as `announce PID`, enters that process's network namespace, sends gratuitous ARP
 * and unsolicited neighbour advertisements for every address there, ends, and leaves a child that
 * repeats it for two seconds: a frame may be lost, and an IPv6 address may not be usable yet. */
#ifndef TRANSHIP_TRANSFER_AGENT_ANNOUNCE_H
#define TRANSHIP_TRANSFER_AGENT_ANNOUNCE_H

#include "base/err.h"
#include <stddef.h>

#define TS_ARP_BYTES 28U
#define TS_NA_BYTES 32U

/* The packets (pure): op 1 is a request, 2 a reply. */
void ts_announce_arp(const unsigned char mac[6], const unsigned char ip[4], unsigned op,
                     unsigned char ret[TS_ARP_BYTES]);
void ts_announce_na(const unsigned char mac[6], const unsigned char ip[16],
                    unsigned char ret[TS_NA_BYTES]);

/* One round, in the network namespace of the calling thread. *ret_count: packets that were sent. */
int ts_announce_once(size_t *ret_count, struct ts_err *err);
int ts_announce_main(const char *pid); /* the exit status */

#endif
