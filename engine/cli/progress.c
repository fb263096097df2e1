/* Progress for people. Decides what is shown of the events, when it is redrawn, and that nobody waits for a terminal; the texts are drawn
 * in progress_draw.c. */
#include "engine/cli/progress.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/cli/outbuf.h"
#include "engine/cli/progress_draw.h"
#include "engine/cli/term.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_MAX ((size_t)64 << 10)
#define FRAME_MS 100
#define PLAIN_EVERY_US UINT64_C(10000000) /* a sign of life where nothing is redrawn */
#define RATE_STEP_US UINT64_C(250000)
#define LAST_FLUSH_MS 2000
#define LOG_FLUSH_MS 500
#define CLEAR_LINE "\r\033[K"

struct ts_progress {
        struct ts_progress_opts o;
        pthread_mutex_t lock;
        pthread_cond_t wake; /* the thread: something to draw, or the end */
        pthread_t thread;
        bool stop;
        bool shown;     /* the last line on the terminal is ours to redraw */
        bool told_stop; /* the signal was mentioned */
        struct ts_active active;
        uint64_t start_us;            /* plain lines carry the time since */
        uint64_t rate_us, rate_bytes; /* where the rate was last looked at */
        uint64_t plain_us;            /* last plain line of this phase */
        struct ts_outbuf out;
};

/* For ts_log_around, which knows no context. */
static struct ts_progress *current;

static struct ts_look look_of(const struct ts_progress *p)
{
        return (struct ts_look){ .colour = p->o.colour,
                                 .utf8 = p->o.utf8,
                                 .columns = p->o.columns ? p->o.columns : ts_term_columns(p->o.fd) };
}

static void put(struct ts_progress *p, const char *text)
{
        (void)ts_outbuf_add(&p->out, text, strlen(text));
}

static void erase(struct ts_progress *p)
{
        if (p->shown)
                put(p, CLEAR_LINE);
        p->shown = false;
}

/* The line that is redrawn. Left out while the terminal is behind: frames are not worth a queue. */
static void draw_active(struct ts_progress *p)
{
        struct ts_look look = look_of(p);
        ts_auto_str line = TS_STR_INIT;

        if (p->o.style != TS_PROGRESS_BAR || !p->active.phase[0] || p->out.pending.len > 0)
                return;
        p->active.frame++;
        if (ts_str_adds(&line, CLEAR_LINE, NULL) < 0 || ts_draw_active(&p->active, &look, ts_now_us(), &line) < 0)
                return;
        put(p, ts_str_cstr(&line));
        p->shown = true;
}

/* A line that stays. In plain style with the time since the start before it. */
static void put_line(struct ts_progress *p, const struct ts_str *text)
{
        char since[32] = "";

        erase(p);
        if (p->o.style == TS_PROGRESS_LINES)
                (void)snprintf(since, sizeof(since), "[%8.3f] ", (double)(ts_now_us() - p->start_us) / 1e6);
        put(p, since);
        put(p, ts_str_cstr(text));
        put(p, "\n");
}

static void put_drawn(struct ts_progress *p, int drawn, const struct ts_str *text)
{
        if (drawn == 0)
                put_line(p, text);
}

/* ---- events ---- */

/* A printable copy that fits, whole characters only: texts may come from an engine. */
static void copy_text(char *to, size_t size, const char *from)
{
        ts_auto_free char *clean = ts_printable(ts_or(from, ""), strlen(ts_or(from, "")), size - 1);

        (void)snprintf(to, size, "%s", ts_or(clean, ""));
}

static void begin_phase(struct ts_progress *p, const struct ts_event *e)
{
        struct ts_active *a = &p->active;

        copy_text(a->phase, sizeof(a->phase), e->phase);
        a->start_us = e->t_us;
        a->frozen = e->frozen;
        if (e->frozen && !a->frozen_from_us)
                a->frozen_from_us = e->t_us;
        a->what[0] = '\0';
        a->bytes = a->total_bytes = a->rate = 0;
        a->waiting = false;
        p->plain_us = e->t_us;
}

/* Bytes a second, smoothed: half of it is from the last half second. */
static void update_rate(struct ts_progress *p, uint64_t now)
{
        struct ts_active *a = &p->active;
        uint64_t span = now - p->rate_us, rate;

        if (a->bytes < p->rate_bytes || now < p->rate_us) {
                p->rate_us = now;
                p->rate_bytes = a->bytes;
                a->rate = 0;
                return;
        }
        if (span < RATE_STEP_US)
                return;
        rate = (uint64_t)((double)(a->bytes - p->rate_bytes) * 1e6 / (double)span);
        a->rate = a->rate ? a->rate / 10 * 7 + rate / 10 * 3 : rate;
        p->rate_us = now;
        p->rate_bytes = a->bytes;
}

static void progress(struct ts_progress *p, const struct ts_event *e)
{
        struct ts_active *a = &p->active;
        char what[sizeof(a->what)];

        copy_text(what, sizeof(what), e->text);
        if (strcmp(a->what, what) != 0 || e->bytes < a->bytes) {
                memcpy(a->what, what, sizeof(what));
                a->rate = 0;
                p->rate_us = e->t_us;
                p->rate_bytes = e->bytes;
        }
        a->waiting = false;
        a->bytes = e->bytes;
        a->total_bytes = e->total_bytes;
        update_rate(p, e->t_us);
}

static void end_phase(struct ts_progress *p, const struct ts_event *e)
{
        struct ts_look look = look_of(p);
        ts_auto_str line = TS_STR_INIT;

        put_drawn(p, ts_draw_phase_end(e, &look, &line), &line);
        p->active.phase[0] = '\0';
        p->active.waiting = false;
}

static void waiting(struct ts_progress *p, const struct ts_event *e)
{
        struct ts_active *a = &p->active;
        char what[sizeof(a->what)];

        copy_text(what, sizeof(what), e->text);
        if (a->waiting && strcmp(a->what, what) == 0)
                return;
        memcpy(a->what, what, sizeof(what));
        a->waiting = true;
        if (p->o.style == TS_PROGRESS_LINES || !a->phase[0]) {
                struct ts_look look = look_of(p);
                ts_auto_str line = TS_STR_INIT;

                put_drawn(p, ts_draw_remark(e, &look, &line), &line);
        }
}

static void remark(struct ts_progress *p, const struct ts_event *e)
{
        struct ts_look look = look_of(p);
        ts_auto_str line = TS_STR_INIT;

        if (e->kind == TS_EV_COMMIT)
                p->active.frozen_from_us = 0;
        put_drawn(p, ts_draw_remark(e, &look, &line), &line);
}

/* What follows has no phases: it is shown as one, and the container is still down if it was. */
static void rollback(struct ts_progress *p, const struct ts_event *e)
{
        struct ts_event as_phase = *e;

        remark(p, e);
        as_phase.phase = "rollback";
        as_phase.frozen = p->active.frozen_from_us != 0;
        begin_phase(p, &as_phase);
}

static void take(struct ts_progress *p, const struct ts_event *e)
{
        switch (e->kind) {
        case TS_EV_PHASE_BEGIN:
                begin_phase(p, e);
                break;
        case TS_EV_PHASE_END:
                end_phase(p, e);
                break;
        case TS_EV_PROGRESS:
                progress(p, e);
                break;
        case TS_EV_WAITING:
                waiting(p, e);
                break;
        case TS_EV_ROLLBACK:
                rollback(p, e);
                break;
        case TS_EV_NOTE:
                if (p->o.notes)
                        remark(p, e);
                break;
        case TS_EV_BEGIN:
        case TS_EV_WARNING:
        case TS_EV_COMMIT:
                remark(p, e);
                break;
        case TS_EV_END:
                p->active = (struct ts_active){ 0 };
                erase(p);
                break;
        }
}

void ts_progress_emit(void *ctx, const struct ts_event *e)
{
        struct ts_progress *p = ctx;

        (void)pthread_mutex_lock(&p->lock);
        take(p, e);
        ts_outbuf_flush(&p->out, 0);
        (void)pthread_mutex_unlock(&p->lock);
}

/* ---- the thread ---- */

static void plain_sign_of_life(struct ts_progress *p, uint64_t now)
{
        struct ts_look look = look_of(p);
        ts_auto_str line = TS_STR_INIT;

        if (p->o.style != TS_PROGRESS_LINES || !p->active.phase[0] || now < p->plain_us + PLAIN_EVERY_US)
                return;
        p->plain_us = now;
        put_drawn(p, ts_draw_plain(&p->active, &look, now, &line), &line);
}

static void tell_stop(struct ts_progress *p)
{
        struct ts_look look = look_of(p);
        ts_auto_str line = TS_STR_INIT;

        if (!ts_stop_signal || p->told_stop)
                return;
        p->told_stop = true;
        put_drawn(p, ts_draw_stopping(&look, &line), &line);
}

static void *run(void *arg)
{
        struct ts_progress *p = arg;

        (void)pthread_mutex_lock(&p->lock);
        while (!p->stop) {
                struct timespec until;

                tell_stop(p);
                plain_sign_of_life(p, ts_now_us());
                ts_outbuf_flush(&p->out, 0);
                draw_active(p);
                ts_outbuf_flush(&p->out, 0);
                (void)clock_gettime(CLOCK_MONOTONIC, &until);
                until.tv_nsec += FRAME_MS * 1000000L;
                if (until.tv_nsec >= 1000000000L) {
                        until.tv_nsec -= 1000000000L;
                        until.tv_sec++;
                }
                (void)pthread_cond_timedwait(&p->wake, &p->lock, &until);
        }
        (void)pthread_mutex_unlock(&p->lock);
        return NULL;
}

/* Around a log line: our line goes away before it and comes back with the next frame. The lock is held in between; ts_log waits for the
 * terminal in any case. */
static void before_log(void)
{
        (void)pthread_mutex_lock(&current->lock);
        erase(current);
        ts_outbuf_flush(&current->out, LOG_FLUSH_MS);
}

static void after_log(void)
{
        (void)pthread_mutex_unlock(&current->lock);
}

static int start_thread(struct ts_progress *p, struct ts_err *err)
{
        pthread_condattr_t attr;

        (void)pthread_mutex_init(&p->lock, NULL);
        (void)pthread_condattr_init(&attr);
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&p->wake, &attr);
        (void)pthread_condattr_destroy(&attr);
        if (ts_thread_start(&p->thread, "progress", run, p, err) == 0)
                return 0;
        (void)pthread_cond_destroy(&p->wake);
        (void)pthread_mutex_destroy(&p->lock);
        return -1;
}

int ts_progress_start(const struct ts_progress_opts *o, struct ts_progress **ret, struct ts_err *err)
{
        struct ts_progress *p = calloc(1, sizeof(*p));

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        p->o = *o;
        p->start_us = ts_now_us();
        ts_outbuf_init(&p->out, o->fd, PENDING_MAX);
        if (start_thread(p, err) < 0) {
                free(p);
                return -1;
        }
        current = p;
        ts_log_around(before_log, after_log);
        *ret = p;
        return 0;
}

void ts_progress_free(struct ts_progress *p)
{
        if (!p)
                return;
        ts_log_around(NULL, NULL);
        current = NULL;
        (void)pthread_mutex_lock(&p->lock);
        p->stop = true;
        (void)pthread_cond_signal(&p->wake);
        (void)pthread_mutex_unlock(&p->lock);
        (void)pthread_join(p->thread, NULL);
        erase(p);
        ts_outbuf_flush(&p->out, LAST_FLUSH_MS);
        ts_outbuf_clear(&p->out);
        (void)pthread_cond_destroy(&p->wake);
        (void)pthread_mutex_destroy(&p->lock);
        free(p);
}
