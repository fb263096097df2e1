/* Events as JSON lines. Decides which fields each kind has and where the lines go; does not decide what happens. */
#include "engine/cli/events_json.h"

#include "api/json.h"
#include "base/clock.h"
#include "base/str.h"
#include "engine/cli/outbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA "tranship.events/1"
#define PENDING_MAX ((size_t)4 << 20)
#define PENDING_PROGRESS_MAX ((size_t)1 << 20) /* progress gives way first */
#define LAST_FLUSH_MS 5000

struct ts_events {
        pthread_mutex_t lock;
        int fd;
        uint64_t t0_us;
        bool begun; /* the first line, with the schema, is out */
        struct ts_outbuf out;
};

enum { HAS_ID = 1, HAS_PHASE = 2, HAS_TEXT = 4, HAS_OK = 8, HAS_FROZEN = 16, HAS_DURATION = 32, HAS_BYTES = 64, HAS_TOTAL = 128 };

/* What each kind carries (engine/event.h). */
static const unsigned fields[] = {
        [TS_EV_BEGIN] = HAS_ID | HAS_TEXT,
        [TS_EV_PHASE_BEGIN] = HAS_PHASE | HAS_FROZEN,
        [TS_EV_PHASE_END] = HAS_PHASE | HAS_FROZEN | HAS_OK | HAS_DURATION | HAS_BYTES,
        [TS_EV_PROGRESS] = HAS_PHASE | HAS_TEXT | HAS_BYTES | HAS_TOTAL,
        [TS_EV_WARNING] = HAS_PHASE | HAS_TEXT,
        [TS_EV_NOTE] = HAS_PHASE | HAS_TEXT,
        [TS_EV_ROLLBACK] = HAS_PHASE | HAS_TEXT,
        [TS_EV_WAITING] = HAS_PHASE | HAS_TEXT,
        [TS_EV_COMMIT] = 0,
        [TS_EV_END] = HAS_TEXT | HAS_OK,
};

bool ts_events_to_stdout(const char *spec)
{
        return strcmp(spec, "") == 0 || strcmp(spec, "-") == 0 || strcmp(spec, "fd:1") == 0;
}

static int open_descriptor(const char *number, int *ret_fd, struct ts_err *err)
{
        unsigned long long n;
        int flags, fd;

        if (ts_parse_u64(number, 0, INT_MAX, &n, /* err= */ NULL) < 0)
                return ts_err_set(err, TS_EUSAGE, "'fd:%.40s' is not fd: and the number of a descriptor", number);
        flags = fcntl((int)n, F_GETFL);
        if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
                return ts_err_set(err, TS_EUSAGE, "descriptor %llu is not open for writing", n);
        fd = fcntl((int)n, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot use descriptor %llu", n);
        *ret_fd = fd;
        return 0;
}

static int open_spec(const char *spec, int *ret_fd, struct ts_err *err)
{
        int fd;

        if (ts_events_to_stdout(spec))
                return open_descriptor("1", ret_fd, err);
        if (ts_starts(spec, "fd:"))
                return open_descriptor(spec + strlen("fd:"), ret_fd, err);
        fd = open(spec, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot write events to '%s'", spec);
        *ret_fd = fd;
        return 0;
}

int ts_events_open(const char *spec, uint64_t t0_us, struct ts_events **ret, struct ts_err *err)
{
        struct ts_events *e;
        int fd = -1;

        if (open_spec(spec, &fd, err) < 0)
                return -1;
        e = calloc(1, sizeof(*e));
        if (!e) {
                (void)close(fd);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        (void)pthread_mutex_init(&e->lock, NULL);
        e->fd = fd;
        e->t0_us = t0_us;
        ts_outbuf_init(&e->out, fd, PENDING_MAX);
        *ret = e;
        return 0;
}

static void set_u64(struct ts_json *o, const char *key, uint64_t n)
{
        (void)ts_json_set_int(o, key, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

static void set_fields(struct ts_json *o, const struct ts_event *ev, unsigned has)
{
        if (has & HAS_ID)
                (void)ts_json_set_str(o, "id", ev->phase);
        if (has & HAS_PHASE)
                (void)ts_json_set_str(o, "phase", ev->phase);
        if (has & HAS_TEXT)
                (void)ts_json_set_str(o, "text", ev->text);
        if (has & HAS_OK)
                (void)ts_json_set_bool(o, "ok", ev->ok);
        if (has & HAS_FROZEN)
                (void)ts_json_set_bool(o, "frozen", ev->frozen);
        if (has & HAS_DURATION)
                set_u64(o, "duration_us", ev->duration_us);
        if (has & HAS_BYTES)
                set_u64(o, "bytes", ev->bytes);
        if (has & HAS_TOTAL)
                set_u64(o, "total_bytes", ev->total_bytes);
}

static char *event_line(struct ts_events *e, const struct ts_event *ev)
{
        ts_auto(ts_json) struct ts_json *o = ts_json_object();
        ts_auto_free char *text = NULL;
        char now[32];

        ts_utc_now(now);
        if (!e->begun)
                (void)ts_json_set_str(o, "schema", SCHEMA);
        (void)ts_json_set_str(o, "event", ts_event_kind_str(ev->kind));
        set_u64(o, "t_us", ev->t_us > e->t0_us ? ev->t_us - e->t0_us : 0);
        (void)ts_json_set_str(o, "time", now);
        set_fields(o, ev, (size_t)ev->kind < TS_ARRAY_LEN(fields) ? fields[ev->kind] : HAS_PHASE | HAS_TEXT);
        if (ev->kind == TS_EV_END && e->out.dropped > 0)
                set_u64(o, "dropped", e->out.dropped);
        text = o ? ts_json_text(o, /* pretty= */ false) : NULL;
        return text ? ts_fmt("%s\n", text) : NULL;
}

void ts_events_emit(void *ctx, const struct ts_event *ev)
{
        struct ts_events *e = ctx;

        (void)pthread_mutex_lock(&e->lock);
        if (ev->kind == TS_EV_PROGRESS && e->out.pending.len > PENDING_PROGRESS_MAX) {
                e->out.dropped++;
        } else {
                ts_auto_free char *line = event_line(e, ev);

                if (line && ts_outbuf_add(&e->out, line, strlen(line)))
                        e->begun = true;
        }
        ts_outbuf_flush(&e->out, 0);
        (void)pthread_mutex_unlock(&e->lock);
}

int ts_events_free(struct ts_events *e)
{
        int lost;

        if (!e)
                return 0;
        ts_outbuf_flush(&e->out, LAST_FLUSH_MS);
        lost = e->out.broken;
        ts_outbuf_clear(&e->out);
        (void)close(e->fd);
        (void)pthread_mutex_destroy(&e->lock);
        free(e);
        return lost;
}
