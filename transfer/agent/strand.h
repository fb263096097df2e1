/* One strand of a link (link.h): a pair of descriptors with blocks on it, in each direction. Never blocks; what comes in is hostile. */
#ifndef TRANSHIP_TRANSFER_AGENT_STRAND_H
#define TRANSHIP_TRANSFER_AGENT_STRAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_BLOCK_HEAD 16U           /* kind (4 bytes), length (4), a number (8): little-endian */
#define TS_BLOCK_MAX (128U << 10)   /* bytes of data in one block */
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
        unsigned char data[];
};
struct ts_block *ts_block_new(enum ts_block_kind kind, uint64_t at, const void *data, size_t len); /* NULL: out of memory. free() */

struct ts_strand {
        struct ts_strand *next;
        uint64_t name;
        int in, out;
        int held; /* a descriptor that is closed with it, or -1 */
        bool out_is_socket;
        bool broken;       /* the owner's mark */
        uint64_t since_us; /* the owner's, too */
        /* out */
        struct ts_block *leaving; /* borrowed, but for those of a kind from TS_BLOCK_ACK on */
        size_t left;              /* bytes of it that went, head included */
        unsigned char out_head[TS_BLOCK_HEAD];
        /* in */
        unsigned char in_head[TS_BLOCK_HEAD];
        size_t came; /* bytes of the block that is coming, head included */
        struct ts_block *coming;
};
/* Takes the descriptors over; they become non-blocking. NULL: out of memory, and they are closed. */
struct ts_strand *ts_strand_new(int in, int out, int held);
void ts_strand_free(struct ts_strand *s);
/* The strand must have nothing else to send. */
void ts_strand_give(struct ts_strand *s, struct ts_block *b);
/* 1: it went, and is still the caller's if it was; 0: not now; -1: the strand is broken. */
int ts_strand_send(struct ts_strand *s);
/* 1: a block, the caller's; 0: not now; -1: the strand is broken or at its end; -2: nonsense came. */
int ts_strand_receive(struct ts_strand *s, struct ts_block **ret);

#endif
