/* One strand of a link (link.h): a pair of descriptors, or a TLS connection, with blocks on it in each direction. Never blocks; what comes in is hostile. */
#ifndef TRANSHIP_TRANSFER_AGENT_STRAND_H
#define TRANSHIP_TRANSFER_AGENT_STRAND_H

#include "transfer/agent/block.h"
#include "transfer/agent/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_STRAND_UNNAMED UINT64_MAX

struct ts_strand {
        struct ts_strand *next;
        uint64_t name;
        int in, out;
        int held; /* a descriptor that is closed with it, or -1 */
        struct ts_tls *tls; /* over `in`, which is `out`; or NULL */
        bool out_is_socket;
        bool broken;       /* the owner's mark */
        uint64_t since_us; /* the owner's, too */
        /* out */
        struct ts_block *leaving; /* borrowed, but for those of a kind from TS_BLOCK_ACK on */
        size_t left;              /* bytes of it that went, head included */
        /* in */
        unsigned char in_head[TS_BLOCK_HEAD];
        size_t came; /* bytes of the block that is coming, head included */
        struct ts_block *coming;
};
/* Takes the descriptors over; they become non-blocking. tls: over them, or NULL; taken over, too. NULL: out of memory, and they are closed. */
struct ts_strand *ts_strand_new(int in, int out, int held, struct ts_tls *tls);
void ts_strand_free(struct ts_strand *s);
/* The strand must have nothing else to send. */
void ts_strand_give(struct ts_strand *s, struct ts_block *b);
/* 1: it went, and is still the caller's if it was; 0: not now; -1: the strand is broken. */
int ts_strand_send(struct ts_strand *s);
/* 1: a block, the caller's; 0: not now; -1: the strand is broken or at its end; -2: nonsense came. */
int ts_strand_receive(struct ts_strand *s, struct ts_block **ret);

#endif
