/* When to stop copying memory from a container that runs, and freeze it. Pure: figures of the rounds so far in, a choice and a forecast out. */
#ifndef TRANSHIP_ENGINE_ROUNDS_H
#define TRANSHIP_ENGINE_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_ROUNDS_MAX 8

/* One rehearsal, a dump that leaves the container running, or one pre-dump; brought over. */
struct ts_round {
        uint64_t begin_us;    /* when the dump was asked for */
        uint64_t dump_us;     /* until the engine answered: the container was frozen for most of it, or the less of it if it was a pre-dump */
        uint64_t sent_us;     /* until everything was there */
        uint64_t duration_us; /* until the next one can begin */
        uint64_t bytes;       /* of memory that travelled */
        uint64_t write_us;    /* of dump_us, with the container running: pages were written */
};

struct ts_rounds {
        struct ts_round v[TS_ROUNDS_MAX];
        size_t n;
        bool tracked;             /* they were pre-dumps: the last dump writes only what has changed since */
        uint64_t memory_bytes;    /* of the container, as the kernel counted it before */
        uint64_t max_downtime_us; /* what the user allows, 0: nothing said */
};

struct ts_forecast {
        bool known; /* something was measured */
        uint64_t dump_us, bytes, transfer_us, restore_us;
        uint64_t downtime_us; /* the sum */
};

enum ts_round_choice { TS_ROUND_AGAIN, TS_ROUND_FREEZE, TS_ROUND_REFUSE /* the freeze would be longer than allowed */ };

/* What a freeze right now would cost. */
struct ts_forecast ts_rounds_forecast(const struct ts_rounds *r);
/* *ret_why: a static sentence. */
enum ts_round_choice ts_rounds_choose(const struct ts_rounds *r, const char **ret_why);

#endif
