/* The report as data: outcomes and exit statuses, the two figures everybody asks for, CSV. The text for people is in report_text.c, JSON in report_json.c. */
#include "engine/report.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

/* What each outcome is called and how the program ends with it. */
static const struct {
        const char *name;
        int exit_status;
} outcomes[] = {
        [TS_OUT_UNKNOWN] = { "unknown", 6 },
        [TS_OUT_MOVED] = { "moved", 0 },
        [TS_OUT_LEFTOVERS] = { "moved-with-leftovers", 5 },
        [TS_OUT_ROLLED_BACK] = { "rolled-back", 4 },
        [TS_OUT_REFUSED] = { "refused", 3 },
        [TS_OUT_LOST] = { "memory-lost", 7 },
        [TS_OUT_CHECKED] = { "checked", 0 },
};

/* Where nothing was changed the kind of error says more than the outcome. */
static const struct {
        enum ts_outcome outcome;
        enum ts_code code;
        int exit_status;
} exceptions[] = {
        { TS_OUT_REFUSED, TS_EUSAGE, 2 },
        { TS_OUT_REFUSED, TS_EINTERNAL, 1 },
        { TS_OUT_REFUSED, TS_ENOMEM, 1 },
};

const char *ts_outcome_str(enum ts_outcome o)
{
        return (size_t)o < TS_ARRAY_LEN(outcomes) ? outcomes[o].name : "unknown";
}

int ts_outcome_exit_status(enum ts_outcome o, const struct ts_err *err)
{
        for (size_t i = 0; ts_err_is_set(err) && i < TS_ARRAY_LEN(exceptions); i++)
                if (exceptions[i].outcome == o && exceptions[i].code == err->code)
                        return exceptions[i].exit_status;
        return (size_t)o < TS_ARRAY_LEN(outcomes) ? outcomes[o].exit_status : 1;
}

void ts_report_init(struct ts_report *r)
{
        *r = (struct ts_report){ .outcome = TS_OUT_UNKNOWN };
}

static void side_clear(struct ts_report_side *s)
{
        char *const all[] = { s->engine, s->version, s->runtime, s->criu, s->kernel, s->host };

        for (size_t i = 0; i < TS_ARRAY_LEN(all); i++)
                free(all[i]);
}

void ts_report_clear(struct ts_report *r)
{
        if (!r)
                return;
        char *const all[] = { r->id, r->started_at, r->container_name, r->image, r->source_id, r->target_id, r->strategy, r->transfer };

        for (size_t i = 0; i < TS_ARRAY_LEN(all); i++)
                free(all[i]);
        side_clear(&r->source);
        side_clear(&r->target);
        ts_err_clear(&r->error);
        ts_list_clear(&r->warnings);
        ts_list_clear(&r->leftovers);
        free(r->resources);
        ts_report_init(r);
}

static uint64_t between(uint64_t from_us, uint64_t to_us)
{
        return from_us != 0 && to_us > from_us ? to_us - from_us : 0;
}

void ts_report_frozen(struct ts_report *r, uint64_t us)
{
        if (r->n_precopy_frozen < TS_REPORT_MAX_FREEZES)
                r->precopy_frozen_us[r->n_precopy_frozen++] = us;
}

uint64_t ts_report_downtime_us(const struct ts_report *r)
{
        return between(r->frozen_from_us, r->running_at_us);
}

uint64_t ts_report_migration_us(const struct ts_report *r)
{
        return between(r->prepare_from_us, r->running_at_us);
}

uint64_t ts_report_total_us(const struct ts_report *r)
{
        return r->end_us > r->t0_us ? r->end_us - r->t0_us : 0;
}

/* ---- CSV (RFC 4180, one line a phase, the figures of the whole move repeated on each) ---- */

static int csv_phase(const struct ts_report *r, const char *part, const struct ts_report_phase *p, struct ts_str *out, struct ts_err *err)
{
        const char *const texts[] = { r->id,
                                      r->started_at,
                                      r->container_name,
                                      r->source.engine,
                                      r->target.engine,
                                      r->strategy,
                                      r->transfer,
                                      ts_outcome_str(r->outcome),
                                      part,
                                      p->name };

        for (size_t i = 0; i < TS_ARRAY_LEN(texts); i++)
                if (ts_str_add_csv(out, ts_or(texts[i], ""), err) < 0)
                        return -1;
        return ts_str_addf(out, err, "%" PRIu64 ",%" PRIu64 ",%d,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", p->start_us,
                           p->duration_us, p->frozen, p->bytes, ts_report_downtime_us(r), ts_report_migration_us(r),
                           ts_report_total_us(r));
}

int ts_report_csv(const struct ts_report *r, bool header, struct ts_str *out, struct ts_err *err)
{
        if (header && ts_str_adds(out,
                                  "id,started_at,container,source_engine,target_engine,strategy,transfer,outcome,part,phase,"
                                  "start_us,duration_us,frozen,bytes,downtime_us,migration_time_us,total_us\n",
                                  err) < 0)
                return -1;
        for (unsigned i = 0; i < r->n_phases; i++)
                if (csv_phase(r, "move", &r->phases[i], out, err) < 0)
                        return -1;
        for (unsigned i = 0; i < r->n_rollback; i++)
                if (csv_phase(r, "rollback", &r->rollback[i], out, err) < 0)
                        return -1;
        return 0;
}
