/* Reports as metrics in Prometheus' text format (0.0.4). Decides their names: what a report has not measured is not there, rather than 0. */
#include "engine/report.h"

#include "base/mem.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PREFIX "tranship_migration_"

/* ---- labels ---- */

static int add_label(struct ts_str *out, const char *name, const char *value, struct ts_err *err)
{
        if (ts_str_addf(out, err, "%s%s=\"", out->buf[out->len - 1] == '{' ? "" : ",", name) < 0)
                return -1;
        for (const char *p = value; *p; p++)
                if ((*p == '\n' ? ts_str_adds(out, "\\n", err) : ts_str_addf(out, err, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p)) < 0)
                        return -1;
        return ts_str_adds(out, "\"", err);
}

/* What tells one migration from another; the rest is in _info, to be joined. */
static int begin(struct ts_str *out, const char *metric, const struct ts_report *r, struct ts_err *err)
{
        return ts_str_addf(out, err, PREFIX "%s{", metric) < 0 || add_label(out, "id", ts_or(r->id, ""), err) < 0 ||
                               add_label(out, "container", ts_or(r->container_name, ""), err) < 0
                       ? -1
                       : 0;
}

static int end(struct ts_str *out, uint64_t value, bool us, struct ts_err *err)
{
        return us ? ts_str_addf(out, err, "} %" PRIu64 ".%06" PRIu64 "\n", value / 1000000, value % 1000000)
                  : ts_str_addf(out, err, "} %" PRIu64 "\n", value);
}

/* What was said of one metric, under its heading; nothing: no heading. */
static int add_metric(struct ts_str *out, const char *name, const char *help, const struct ts_str *said, struct ts_err *err)
{
        return !said->len ? 0
                          : ts_str_addf(out, err, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s gauge\n%s", name, help, name, ts_str_cstr(said));
}

/* ---- one figure a migration ---- */

/* 0: not measured. */
static uint64_t rehearsed_us(const struct ts_report *r)
{
        uint64_t sum = 0;

        for (unsigned i = 0; i < r->n_precopy_frozen; i++)
                sum += r->precopy_frozen_us[i];
        return sum;
}

static uint64_t predicted_us(const struct ts_report *r)
{
        return r->predicted_us;
}

static uint64_t gap_us(const struct ts_report *r)
{
        return r->probed ? r->probe.longest_gap_us : 0;
}

static uint64_t started_us(const struct ts_report *r)
{
        return ts_utc_us(r->started_at);
}

static const struct {
        const char *name, *help;
        uint64_t (*us)(const struct ts_report *r);
} times[] = {
        { "start_timestamp_seconds", "When the command began.", started_us },
        { "downtime_seconds", "From the checkpoint request until the container was verified running on the target.", ts_report_downtime_us },
        { "time_seconds", "From the first preparation until the container was verified running on the target.", ts_report_migration_us },
        { "total_seconds", "The whole command.", ts_report_total_us },
        { "precopy_frozen_seconds", "Frozen by rehearsals, while it still ran on the source.", rehearsed_us },
        { "predicted_downtime_seconds", "The downtime as forecast before the freeze.", predicted_us },
        { "probe_longest_gap_seconds", "The longest time a client outside had no answer.", gap_us },
};

static int add_times(const struct ts_report reports[], size_t n, struct ts_str *out, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(times); i++) {
                ts_auto_str said = TS_STR_INIT;

                for (size_t k = 0; k < n; k++) {
                        uint64_t us = times[i].us(&reports[k]);

                        if (us && (begin(&said, times[i].name, &reports[k], err) < 0 || end(&said, us, true, err) < 0))
                                return -1;
                }
                if (add_metric(out, times[i].name, times[i].help, &said, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- several, by a label ---- */

struct part {
        const char *name;
        uint64_t value;
};

static int add_parts(const struct ts_report *r, const char *metric, const char *label, const struct part *parts, size_t n,
                     struct ts_str *out, struct ts_err *err)
{
        for (size_t i = 0; i < n; i++)
                if (parts[i].value && (begin(out, metric, r, err) < 0 || add_label(out, label, parts[i].name, err) < 0 ||
                                       end(out, parts[i].value, false, err) < 0))
                        return -1;
        return 0;
}

static int add_bytes(const struct ts_report *r, struct ts_str *out, struct ts_err *err)
{
        const struct part parts[] = { { "memory", r->bytes.memory },       { "volumes", r->bytes.volumes },
                                      { "rootfs", r->bytes.rootfs },       { "image", r->bytes.image },
                                      { "archive", r->bytes.archive },     { "wire_sent", r->bytes.wire_sent },
                                      { "wire_received", r->bytes.wire_received } };

        return add_parts(r, "bytes", "kind", parts, TS_ARRAY_LEN(parts), out, err);
}

static int add_pages(const struct ts_report *r, struct ts_str *out, struct ts_err *err)
{
        const struct part parts[] = { { "total", r->pages.total },
                                      { "sent", r->pages.sent },
                                      { "deduplicated", r->pages.deduplicated },
                                      { "zero", r->pages.zero } };

        return add_parts(r, "pages", "kind", parts, TS_ARRAY_LEN(parts), out, err);
}

/* A phase that comes twice (after a retry, say) counts once, together. */
static int add_phases(const struct ts_report *r, struct ts_str *out, struct ts_err *err)
{
        for (unsigned i = 0; i < r->n_phases; i++) {
                const char *name = ts_or(r->phases[i].name, "");
                uint64_t us = 0;
                bool before = false;

                for (unsigned k = 0; k < r->n_phases; k++)
                        if (ts_streq0(ts_or(r->phases[k].name, ""), name)) {
                                us += r->phases[k].duration_us;
                                before |= k < i;
                        }
                if (before)
                        continue;
                if (begin(out, "phase_seconds", r, err) < 0 || add_label(out, "phase", name, err) < 0 ||
                    add_label(out, "frozen", r->phases[i].frozen ? "1" : "0", err) < 0 || end(out, us, true, err) < 0)
                        return -1;
        }
        return 0;
}

static int add_success(const struct ts_report *r, struct ts_str *out, struct ts_err *err)
{
        if (r->outcome == TS_OUT_CHECKED)
                return 0;
        return begin(out, "success", r, err) < 0 ? -1 : end(out, r->outcome == TS_OUT_MOVED || r->outcome == TS_OUT_LEFTOVERS, false, err);
}

static int add_info(const struct ts_report *r, struct ts_str *out, struct ts_err *err)
{
        const struct {
                const char *name, *value;
        } labels[] = { { "outcome", ts_outcome_str(r->outcome) }, { "strategy", r->strategy },
                       { "transfer", r->transfer },               { "image", r->image },
                       { "source", r->source.host },              { "source_engine", r->source.engine },
                       { "target", r->target.host },              { "target_engine", r->target.engine } };

        if (begin(out, "info", r, err) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(labels); i++)
                if (labels[i].value && add_label(out, labels[i].name, labels[i].value, err) < 0)
                        return -1;
        return end(out, 1, false, err);
}

static const struct {
        const char *name, *help;
        int (*add)(const struct ts_report *r, struct ts_str *out, struct ts_err *err);
} metrics[] = {
        { "info", "What was moved, from where, to where and how.", add_info },
        { "success", "1: the container was moved.", add_success },
        { "phase_seconds", "How long each phase took; frozen: it is part of the downtime.", add_phases },
        { "bytes", "Bytes by what they were; wire: all of SSH, or TLS.", add_bytes },
        { "pages", "Pages of memory in the last dump.", add_pages },
};

int ts_report_prometheus(const struct ts_report reports[], size_t n, struct ts_str *out, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(metrics); i++) {
                ts_auto_str said = TS_STR_INIT;

                for (size_t k = 0; k < n; k++)
                        if (metrics[i].add(&reports[k], &said, err) < 0)
                                return -1;
                if (add_metric(out, metrics[i].name, metrics[i].help, &said, err) < 0)
                        return -1;
        }
        return add_times(reports, n, out, err);
}
