/* What happens, told to whoever shows it: the terminal, a program (--events, JSON lines). The engine only emits. */
#ifndef TRANSHIP_ENGINE_EVENT_H
#define TRANSHIP_ENGINE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum ts_event_kind {
        TS_EV_BEGIN,       /* id, text: container */
        TS_EV_PHASE_BEGIN, /* phase */
        TS_EV_PHASE_END,   /* phase, ok, duration_us, bytes */
        TS_EV_PROGRESS,    /* phase, text: what moves ("image", "volume data"), bytes, total_bytes (0: unknown) */
        TS_EV_WARNING,     /* text */
        TS_EV_NOTE,        /* text: a step worth telling ("image 'x' is already there") */
        TS_EV_ROLLBACK,    /* text: why */
        TS_EV_WAITING,     /* text: what for */
        TS_EV_COMMIT,
        TS_EV_END          /* text: outcome, ok */
};
const char *ts_event_kind_str(enum ts_event_kind k); /* "begin", "phase-begin", … */
struct ts_event {
        enum ts_event_kind kind;
        uint64_t t_us; /* ts_now_us() */
        const char *phase, *text; /* may be NULL; borrowed for the call */
        bool ok, frozen;
        uint64_t duration_us, bytes, total_bytes;
};
struct ts_event_sink { void (*emit)(void *ctx, const struct ts_event *e); void *ctx; };

#endif
