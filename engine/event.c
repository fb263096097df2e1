/* The words for kinds of events. Stable: programs read them (--events). */
#include "engine/event.h"

#include "base/mem.h"

static const char *const kind_names[] = {
        [TS_EV_BEGIN] = "begin",       [TS_EV_PHASE_BEGIN] = "phase-begin", [TS_EV_PHASE_END] = "phase-end",
        [TS_EV_PROGRESS] = "progress", [TS_EV_WARNING] = "warning",         [TS_EV_NOTE] = "note",
        [TS_EV_ROLLBACK] = "rollback", [TS_EV_WAITING] = "waiting",         [TS_EV_COMMIT] = "commit",
        [TS_EV_END] = "end",
};

const char *ts_event_kind_str(enum ts_event_kind k)
{
        return (size_t)k < TS_ARRAY_LEN(kind_names) ? kind_names[k] : "unknown";
}
