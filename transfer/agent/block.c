/* See block.h. Decides which blocks are kept for the next one. */
#include "transfer/agent/block.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Memory from the system for each of the large ones would cost more than what is done with it. */
#define KEPT_MAX 64U
static struct {
        pthread_mutex_t lock;
        struct ts_block *first;
        unsigned n;
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct ts_block *take_kept(void)
{
        struct ts_block *b;

        (void)pthread_mutex_lock(&kept.lock);
        b = kept.first;
        if (b) {
                kept.first = b->next;
                kept.n--;
        }
        (void)pthread_mutex_unlock(&kept.lock);
        return b;
}

/* false: there are enough. */
static bool keep(struct ts_block *b)
{
        bool room;

        (void)pthread_mutex_lock(&kept.lock);
        room = kept.n < KEPT_MAX;
        if (room) {
                b->next = kept.first;
                kept.first = b;
                kept.n++;
        }
        (void)pthread_mutex_unlock(&kept.lock);
        return room;
}

static struct ts_block *with_room(enum ts_block_kind kind, uint64_t at, size_t room)
{
        struct ts_block *b = room == TS_BLOCK_MAX ? take_kept() : NULL;

        if (!b)
                b = malloc(sizeof(*b) + room);
        if (b)
                *b = (struct ts_block){ .kind = kind, .at = at, .room = (uint32_t)room };
        return b;
}

struct ts_block *ts_block_new(enum ts_block_kind kind, uint64_t at, const void *data, size_t len)
{
        struct ts_block *b = with_room(kind, at, len > TS_BLOCK_MAX / 2 ? TS_BLOCK_MAX : len);

        if (!b)
                return NULL;
        b->len = (uint32_t)len;
        if (data)
                memcpy(b->data, data, len);
        return b;
}

struct ts_block *ts_block_roomy(void)
{
        return with_room(TS_BLOCK_DATA, 0, TS_BLOCK_MAX);
}

void ts_block_free(struct ts_block *b)
{
        if (b && (b->room != TS_BLOCK_MAX || !keep(b)))
                free(b);
}
