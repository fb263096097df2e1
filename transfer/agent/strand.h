/* One strand of a link (link.h): a pair of descriptors, or a TLS connection, with blocks on it in each direction. Never blocks; what comes in is hostile. */
#ifndef TRANSHIP_TRANSFER_AGENT_STRAND_H
#define TRANSHIP_TRANSFER_AGENT_STRAND_H

#include "transfer/agent/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_BLOCK_HEAD 16U                             /* kind (4 bytes), length (4), a number (8): little-endian */
#define TS_BLOCK_MAX ((128U << 10) - TS_BLOCK_HEAD) /* bytes of data in one block; with the head whole records of TLS */
#define TS_STRAND_UNNAMED UINT64_MAX

enum ts_block_kind {
        TS_BLOCK_DATA = 1, /* of the stream, from offset `at` on */
        TS_BLOCK_END,      /* … which ends at `at`; counts as one byte */
        TS_BLOCK_ACK,      /* everything before offset `at` was taken by the program there */
        TS_BLOCK_OPEN,     /* this strand's name is the number `at` */
        TS_BLOCK_DROP,     /* the strand of that name is lost: what was on its way there is not coming */
};

struct ts_block {
        struct ts_block *next;
        uint32_t kind, len;
        uint64_t at;
        const struct ts_strand *on; /* given to this one, or NULL */
        bool leaving;               /* a strand is sending it just now */
        unsigned char head[TS_BLOCK_HEAD]; /* as it goes over a strand, data right behind it */
        unsigned char data[];
};
/* data: may be NULL. One of more than half of TS_BLOCK_MAX has room for all of it. NULL: out of memory. free(), or: */
struct ts_block *ts_block_new(enum ts_block_kind kind, uint64_t at, const void *data, size_t len);
void ts_block_free(struct ts_block *b); /* keeps large ones for the next ts_block_new() of this thread, which has to call ts_block_forget() in the end */
void ts_block_forget(void);

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
