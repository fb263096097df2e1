/* What both hosts are doing while a move runs, for its report. Nothing waits for it, and what is wrong with it is a warning: a host that says nothing has no samples. */
#ifndef TRANSHIP_ENGINE_SAMPLER_H
#define TRANSHIP_ENGINE_SAMPLER_H

#include "base/err.h"
#include "base/mem.h"
#include "engine/journal.h"
#include "engine/report.h"
#include "transfer/samples.h"

struct ts_sampler;

/* t0_us: ts_now_us() that the times of samples are relative to. TS_ENOMEM. */
int ts_sampler_new(unsigned interval_ms, uint64_t t0_us, struct ts_sampler **ret, struct ts_err *err);
/* Begins with one side, or goes on with it: as ts_samples_start(). h is borrowed until the side ends. */
int ts_sampler_begin(struct ts_sampler *s, enum ts_side side, struct ts_host *h, struct ts_err *err);
/* Before the host's connection goes: as ts_samples_stop(). */
int ts_sampler_end(struct ts_sampler *s, enum ts_side side, struct ts_err *err);
/* When both sides have ended: the samples become the report's, each with the phase of the report in which it lies. */
void ts_sampler_give(struct ts_sampler *s, struct ts_report *r);
void ts_sampler_free(struct ts_sampler *s); /* ends both sides */
TS_DEFINE_AUTO(ts_sampler, ts_sampler_free);

/* Fills the figures of *ret from two samples of one host. Counters that went back began anew: nothing is known of the time between. */
void ts_sampler_figures(const struct ts_host_sample *from, const struct ts_host_sample *to, struct ts_resource *ret);

#endif
