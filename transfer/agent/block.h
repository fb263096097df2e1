/* A piece of a stream of bytes. It goes from thread to thread (duplex.h) and over the strands of a link (strand.h) without being copied. */
#ifndef TRANSHIP_TRANSFER_AGENT_BLOCK_H
#define TRANSHIP_TRANSFER_AGENT_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_BLOCK_HEAD 16U                           /* kind (4 bytes), length (4), a number (8): little-endian */
#define TS_BLOCK_MAX ((128U << 10) - TS_BLOCK_HEAD) /* bytes of data in one block; with the head whole records of TLS */

enum ts_block_kind {
        TS_BLOCK_DATA = 1, /* of the stream, from offset `at` on */
        TS_BLOCK_END,      /* … which ends at `at`; counts as one byte */
        TS_BLOCK_ACK,      /* everything before offset `at` was taken by the program there */
        TS_BLOCK_OPEN,     /* this strand's name is the number `at` */
        TS_BLOCK_DROP,     /* the strand of that name is lost: what was on its way there is not coming */
};

struct ts_strand;
struct ts_block {
        struct ts_block *next;
        uint32_t kind, len, room; /* bytes of data, and how many there could be */
        uint64_t at;
        const struct ts_strand *on;        /* given to this one, or NULL */
        bool leaving;                      /* a strand is sending it just now */
        unsigned char head[TS_BLOCK_HEAD]; /* as it goes over a strand, data right behind it */
        unsigned char data[];
};

/* data: may be NULL. One of more than half of TS_BLOCK_MAX has room for all of it. NULL: out of memory. */
struct ts_block *ts_block_new(enum ts_block_kind kind, uint64_t at, const void *data, size_t len);
/* Of data, with room for TS_BLOCK_MAX bytes and none in it. NULL: out of memory. */
struct ts_block *ts_block_roomy(void);
/* Keeps a few large ones for whoever needs the next: any thread. NULL: nothing. */
void ts_block_free(struct ts_block *b);

#endif
