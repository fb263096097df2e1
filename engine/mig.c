/* Small services of a migration: events, notes, progress, the end of its memory. Decides nothing. */
#include "engine/mig.h"
#include "transfer/packed.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/sampler.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PROGRESS_EVERY_US 100000

void ts_mig_emit(struct ts_mig *m, const struct ts_event *e)
{
        struct ts_event full = *e;

        full.t_us = ts_now_us();
        if (!full.phase)
                full.phase = m->phase;
        if (m->o->events.emit)
                m->o->events.emit(m->o->events.ctx, &full);
}

static void emit_text(struct ts_mig *m, enum ts_event_kind kind, struct ts_list *also, const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));
static void emit_text(struct ts_mig *m, enum ts_event_kind kind, struct ts_list *also, const char *fmt, va_list ap)
{
        ts_auto_free char *text = NULL;

        if (vasprintf(&text, fmt, ap) < 0) {
                text = NULL;
                return;
        }
        if (also)
                (void)ts_list_add(also, text, NULL);
        ts_mig_emit(m, &(struct ts_event){ .kind = kind, .text = text });
}

void ts_mig_note(struct ts_mig *m, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        emit_text(m, TS_EV_NOTE, NULL, fmt, ap);
        va_end(ap);
}

void ts_mig_warn(struct ts_mig *m, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        emit_text(m, TS_EV_WARNING, &m->r->warnings, fmt, ap);
        va_end(ap);
}

void ts_mig_leftover(struct ts_mig *m, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        emit_text(m, TS_EV_WARNING, &m->r->leftovers, fmt, ap);
        va_end(ap);
}

int ts_mig_progress(void *mig, uint64_t bytes)
{
        struct ts_mig *m = mig;
        uint64_t now = ts_now_us();

        if (ts_stop_signal && !m->committed)
                return 1;
        if (now - m->progress_last_us < PROGRESS_EVERY_US)
                return 0;
        m->progress_last_us = now;
        ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_PROGRESS, .text = m->progress_what, .bytes = bytes, .total_bytes = m->progress_total });
        return 0;
}

void ts_sampling_begin(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_err err = TS_ERR_INIT;

        if (m->sampler && e->host && ts_sampler_begin(m->sampler, e->side, e->host, &err) < 0)
                ts_mig_warn(m, "no samples of '%s': %s", e->ep->label, ts_err_message(&err));
}

void ts_sampling_end(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_err err = TS_ERR_INIT;

        if (m->sampler && ts_sampler_end(m->sampler, e->side, &err) < 0)
                ts_mig_warn(m, "samples of '%s' ended early: %s", e->ep->label, ts_err_message(&err));
}

void ts_findings_clear(struct ts_findings *f)
{
        for (size_t i = 0; i < f->n; i++) {
                free(f->v[i].message);
                free(f->v[i].hint);
        }
        free(f->v);
        *f = (struct ts_findings){ NULL, 0 };
}

void ts_mig_clear(struct ts_mig *m)
{
        struct ts_probe_stats ignored;

        ts_prober_stop(TS_TAKE(m->prober), &ignored);
        ts_sampler_free(TS_TAKE(m->sampler)); /* before the hosts, which it uses */
        ts_call_free(TS_TAKE(m->import));
        ts_call_free(TS_TAKE(m->dump));
        ts_proc_free(TS_TAKE(m->door_opener));
        ts_proc_free(TS_TAKE(m->announcing));
        ts_proc_free(TS_TAKE(m->lo));
        ts_proc_free(TS_TAKE(m->log_keeper));
        free(TS_TAKE(m->announcer));
        ts_proc_free(TS_TAKE(m->feed));
        ts_archive_hang_up(&m->src);
        ts_archive_hang_up(&m->dst);
        ts_scp_out_free(TS_TAKE(m->scp));
        ts_packer_free(TS_TAKE(m->packer));
        ts_places_close(m);
        ts_rate_free(TS_TAKE(m->rate));
        ts_journal_free(TS_TAKE(m->j)); /* before the hosts: its mirrors use them */
        ts_mirrors_free(TS_TAKE(m->mirrors));
        ts_probe_free(TS_TAKE(m->probe));
        ts_probe_free(TS_TAKE(m->verify));
        ts_probe_free(TS_TAKE(m->before_freeze));
        ts_end_close(&m->src);
        ts_end_close(&m->dst);
        ts_endpoint_free(TS_TAKE(m->src.ep));
        ts_endpoint_free(TS_TAKE(m->dst.ep));
        free(m->log_from);
        free(m->log_to);
        for (size_t i = 0; i < m->n_data; i++) {
                free(m->data[i].src_path);
                free(m->data[i].dst_path);
                free(m->data[i].src_file);
        }
        free(TS_TAKE(m->data));
        ts_container_free(TS_TAKE(m->c));
        ts_container_free(TS_TAKE(m->source_now));
        ts_image_free(TS_TAKE(m->image));
        free(TS_TAKE(m->id));
        free(TS_TAKE(m->lock_path));
        free(TS_TAKE(m->label));
        free(TS_TAKE(m->dst_id));
        free(TS_TAKE(m->checkpoint));
        free(TS_TAKE(m->bundle));
        free(TS_TAKE(m->dump_dir));
        free(TS_TAKE(m->target_bundle));
        free(TS_TAKE(m->policy));
        free(TS_TAKE(m->predump_log));
        ts_list_clear(&m->others);
        ts_list_clear(&m->free_networks);
}
