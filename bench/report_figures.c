/* What a move's report says, as figures of a sample. Decides which of them are worth comparing. */
#include "bench/plan.h"

#include <math.h>
#include <string.h>

void ts_set_figure(struct ts_json *sample, const char *name, double value)
{
        if (!ts_json_member(sample, "figures"))
                (void)ts_json_set(sample, "figures", ts_json_object());
        if (isfinite(value))
                (void)ts_json_set(ts_json_member(sample, "figures"), name, ts_json_new_real(value));
}

double ts_get_figure(const struct ts_json *sample, const char *name)
{
        return ts_json_real(ts_json_member(ts_json_member(sample, "figures"), name), "", (double)NAN);
}

static const struct {
        const char *phase, *figure;
} phases[] = {
        { "pre-copy", "precopy_s" },
        { "checkpoint", "checkpoint_s" },
        { "transfer", "transfer_s" },
        { "restore", "restore_s" },
};

static void phase_figures(const struct ts_report *r, struct ts_json *sample)
{
        uint64_t frozen = 0, before = 0;

        for (unsigned i = 0; i < r->n_phases; i++) {
                const struct ts_report_phase *p = &r->phases[i];

                frozen += p->frozen ? p->bytes : 0;
                for (size_t k = 0; k < TS_ARRAY_LEN(phases); k++)
                        if (!strcmp(p->name, phases[k].phase))
                                ts_set_figure(sample, phases[k].figure, (double)p->duration_us / 1e6);
        }
        for (unsigned i = 0; i < r->n_precopy_frozen; i++)
                before += r->precopy_frozen_us[i];
        ts_set_figure(sample, "frozen_bytes", (double)frozen);
        ts_set_figure(sample, "frozen_before_s", (double)before / 1e6);
        ts_set_figure(sample, "rounds", r->n_precopy_frozen);
}

/* The host's memory at a moment: its last sample until then, or its first one from then on. */
static const struct ts_resource *until(const struct ts_report *r, bool target, uint64_t t_us)
{
        const struct ts_resource *found = NULL;

        for (size_t i = 0; i < r->n_resources; i++)
                if (r->resources[i].target == target && (!found || r->resources[i].t_us <= t_us))
                        found = &r->resources[i];
        return found;
}

static const struct ts_resource *from(const struct ts_report *r, bool target, uint64_t t_us)
{
        for (size_t i = 0; i < r->n_resources; i++)
                if (r->resources[i].target == target && r->resources[i].t_us >= t_us)
                        return &r->resources[i];
        return NULL;
}

static void set_memory(struct ts_json *sample, const char *name, const struct ts_resource *at)
{
        if (at)
                ts_set_figure(sample, name, (double)at->mem_used_bytes);
}

static void memory_figures(const struct ts_report *r, bool from_b, struct ts_json *sample)
{
        static const char *const names[2][2][2] = { { { "a_before_bytes", "a_after_bytes" }, { "b_before_bytes", "b_after_bytes" } },
                                                    { { "b_before_bytes", "b_after_bytes" }, { "a_before_bytes", "a_after_bytes" } } };

        for (int target = 0; target < 2; target++) {
                set_memory(sample, names[from_b][target][0], until(r, target != 0, 0));
                set_memory(sample, names[from_b][target][1], until(r, target != 0, UINT64_MAX));
        }
        for (unsigned i = 0; i < r->n_phases; i++) {
                const struct ts_report_phase *p = &r->phases[i];
                bool target = !strcmp(p->name, "restore");

                if (!target && strcmp(p->name, "checkpoint") != 0)
                        continue;
                set_memory(sample, target ? "target_before_bytes" : "source_before_bytes", until(r, target, p->start_us));
                set_memory(sample, target ? "target_after_bytes" : "source_after_bytes", from(r, target, p->start_us + p->duration_us));
        }
}

static void byte_figures(const struct ts_report *r, struct ts_json *sample)
{
        ts_set_figure(sample, "sent_bytes", (double)r->bytes.wire_sent);
        ts_set_figure(sample, "received_bytes", (double)r->bytes.wire_received);
        ts_set_figure(sample, "memory_bytes", (double)r->bytes.memory);
        if (r->bytes.archive)
                ts_set_figure(sample, "archive_bytes", (double)r->bytes.archive);
}

int ts_report_figures(const struct ts_json *report, bool from_b, struct ts_json *sample, struct ts_err *err)
{
        struct ts_report r;

        ts_report_init(&r);
        if (ts_report_from_json(report, &r, err) < 0) {
                ts_report_clear(&r);
                return ts_err_prefix(err, "the report of a move");
        }
        if (r.probed && !r.probe.answered) {
                ts_report_clear(&r);
                return ts_err_set(err, TS_EIO, "the probe of a move was never answered");
        }
        ts_set_figure(sample, "downtime_s", (double)ts_report_downtime_us(&r) / 1e6);
        ts_set_figure(sample, "migration_s", (double)ts_report_migration_us(&r) / 1e6);
        ts_set_figure(sample, "total_s", (double)ts_report_total_us(&r) / 1e6);
        if (r.probed) {
                double gap = (double)r.probe.longest_gap_us / 1e6;

                ts_set_figure(sample, "client_gap_s", gap);
                ts_set_figure(sample, "gap_difference_s", gap - (double)ts_report_downtime_us(&r) / 1e6);
        }
        phase_figures(&r, sample);
        memory_figures(&r, from_b, sample);
        byte_figures(&r, sample);
        ts_report_clear(&r);
        return 0;
}
