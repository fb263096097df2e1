/* See sampler.h. Decides which samples are kept. */
#include "engine/sampler.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>

#define GROW 1024U

struct side {
        struct ts_sampler *sampler;
        bool target;
        struct ts_samples *samples; /* NULL: not under way */
        bool has_last;
        struct ts_host_sample last;
        uint64_t last_us;
};

struct ts_sampler {
        unsigned interval_ms;
        uint64_t t0_us;
        pthread_mutex_t lock; /* what follows */
        struct side sides[2];
        struct ts_resource *v;
        size_t n, cap;
};

/* ---- what is kept ---- */

static uint64_t grown(uint64_t from, uint64_t to)
{
        return to > from ? to - from : 0;
}

void ts_sampler_figures(const struct ts_host_sample *from, const struct ts_host_sample *to, struct ts_resource *ret)
{
        uint64_t all = grown(from->cpu_total, to->cpu_total), busy = grown(from->cpu_busy, to->cpu_busy);

        ret->mem_used_bytes = to->mem_used_bytes;
        ret->cpu_pct = all ? 100.0 * (double)(busy < all ? busy : all) / (double)all : 0;
        ret->load1 = (double)to->load1_milli / 1e3;
        ret->disk_write_bytes = grown(from->disk_write_bytes, to->disk_write_bytes);
        ret->net_sent_bytes = grown(from->net_sent_bytes, to->net_sent_bytes);
        ret->net_received_bytes = grown(from->net_received_bytes, to->net_received_bytes);
}

static bool make_room(struct ts_sampler *s)
{
        struct ts_resource *more;

        if (s->n >= TS_REPORT_MAX_RESOURCES)
                return false;
        if (s->n < s->cap)
                return true;
        more = reallocarray(s->v, s->cap + GROW, sizeof(*more));
        if (!more)
                return false;
        s->v = more;
        s->cap += GROW;
        return true;
}

static void keep(struct side *side, const struct ts_host_sample *now, uint64_t now_us)
{
        struct ts_sampler *s = side->sampler;

        if (side->has_last && make_room(s)) {
                struct ts_resource *r = &s->v[s->n++];

                *r = (struct ts_resource){ .t_us = grown(s->t0_us, now_us), .target = side->target, .phase = "" };
                ts_sampler_figures(&side->last, now, r);
        }
        side->last = *now;
        side->last_us = now_us;
        side->has_last = true;
}

/* Those that come in a heap, after the connection stood still, say no more than the next one, which counts since the one before them. */
static void take(void *ctx, const struct ts_host_sample *now)
{
        struct side *side = ctx;
        struct ts_sampler *s = side->sampler;
        uint64_t now_us;

        (void)pthread_mutex_lock(&s->lock);
        now_us = ts_now_us(); /* under the lock: samples of two threads come in order */
        if (!side->has_last || now_us - side->last_us >= (uint64_t)s->interval_ms * 500)
                keep(side, now, now_us);
        (void)pthread_mutex_unlock(&s->lock);
}

/* ---- the outside ---- */

int ts_sampler_new(unsigned interval_ms, uint64_t t0_us, struct ts_sampler **ret, struct ts_err *err)
{
        struct ts_sampler *s = calloc(1, sizeof(*s));

        if (!s)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        s->interval_ms = interval_ms;
        s->t0_us = t0_us;
        (void)pthread_mutex_init(&s->lock, NULL);
        for (size_t i = 0; i < TS_ARRAY_LEN(s->sides); i++)
                s->sides[i] = (struct side){ .sampler = s, .target = i == TS_SIDE_TARGET };
        *ret = s;
        return 0;
}

int ts_sampler_begin(struct ts_sampler *s, enum ts_side side, struct ts_host *h, struct ts_err *err)
{
        return s->sides[side].samples ? 0 : ts_samples_start(h, s->interval_ms, take, &s->sides[side], &s->sides[side].samples, err);
}

int ts_sampler_end(struct ts_sampler *s, enum ts_side side, struct ts_err *err)
{
        return ts_samples_stop(TS_TAKE(s->sides[side].samples), err);
}

/* Static, or "". */
static const char *phase_at(const struct ts_report_phase p[], unsigned n, uint64_t t_us)
{
        for (unsigned i = 0; i < n; i++)
                if (t_us >= p[i].start_us && t_us - p[i].start_us <= p[i].duration_us)
                        return p[i].name;
        return "";
}

void ts_sampler_give(struct ts_sampler *s, struct ts_report *r)
{
        for (size_t i = 0; i < s->n; i++) {
                s->v[i].phase = phase_at(r->phases, r->n_phases, s->v[i].t_us);
                if (!*s->v[i].phase)
                        s->v[i].phase = phase_at(r->rollback, r->n_rollback, s->v[i].t_us);
        }
        free(r->resources);
        r->resources = TS_TAKE(s->v);
        r->n_resources = s->n;
        s->n = s->cap = 0;
}

void ts_sampler_free(struct ts_sampler *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < TS_ARRAY_LEN(s->sides); i++)
                (void)ts_samples_stop(TS_TAKE(s->sides[i].samples), NULL);
        (void)pthread_mutex_destroy(&s->lock);
        free(s->v);
        free(s);
}
