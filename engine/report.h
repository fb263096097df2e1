/* The report of one migration, `tranship.report/1`. Filled while the move runs; written as JSON or text by whoever asked. */
#ifndef TRANSHIP_ENGINE_REPORT_H
#define TRANSHIP_ENGINE_REPORT_H

#include "api/criu_stats.h"
#include "api/json.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/probe.h"
#include <stdbool.h>
#include <stdint.h>

enum ts_outcome { TS_OUT_UNKNOWN, TS_OUT_MOVED, TS_OUT_LEFTOVERS, TS_OUT_ROLLED_BACK, TS_OUT_REFUSED, TS_OUT_LOST, TS_OUT_CHECKED };
const char *ts_outcome_str(enum ts_outcome o); /* "moved", "moved-with-leftovers", "rolled-back", "refused", "unknown", "memory-lost", "checked" */
int ts_outcome_exit_status(enum ts_outcome o, const struct ts_err *err); /* the one table of exit statuses: 0..7 */

struct ts_report_phase { const char *name; uint64_t start_us, duration_us, bytes; bool frozen; }; /* start_us relative to report.t0_us */
#define TS_REPORT_MAX_PHASES 32
#define TS_REPORT_MAX_FREEZES 16

/* What a host was doing at one moment. Rates and shares are of the time since the host's sample before. */
struct ts_resource {
        uint64_t t_us; /* relative to report.t0_us */
        bool target;   /* whose host: the target's, otherwise the source's */
        uint64_t mem_used_bytes;   /* MemTotal - MemAvailable */
        double cpu_pct;            /* of all processors: 0 … 100 */
        double load1;
        uint64_t disk_write_bytes, net_sent_bytes, net_received_bytes; /* since the sample before */
        const char *phase;         /* running then: static; "" between two */
};
#define TS_REPORT_MAX_RESOURCES 100000U
struct ts_report_side { char *engine, *version, *runtime, *criu, *kernel, *host; };
struct ts_report {
        char *id, *started_at; /* UTC */
        uint64_t t0_us;        /* ts_now_us() at the command's start */
        enum ts_outcome outcome;
        char *container_name, *image, *source_id, *target_id, *strategy, *transfer;
        struct ts_report_side source, target;
        struct ts_report_phase phases[TS_REPORT_MAX_PHASES]; unsigned n_phases;
        struct ts_report_phase rollback[TS_REPORT_MAX_PHASES]; unsigned n_rollback;
        uint64_t frozen_from_us, running_at_us; /* absolute; 0 = did not happen: downtime is their difference */
        uint64_t prepare_from_us;               /* absolute; migration time counts from here to running_at_us */
        uint64_t end_us;                        /* absolute */
        uint64_t verify_us;
        uint64_t predicted_us;                  /* the downtime, as forecast before the freeze; 0: not */
        uint64_t precopy_frozen_us[TS_REPORT_MAX_FREEZES]; unsigned n_precopy_frozen; /* of rehearsals */
        struct ts_report_pages { uint64_t total, sent, deduplicated, zero; } pages; /* of the last dump */
        struct { uint64_t memory, volumes, rootfs, image, archive, wire_sent, wire_received; } bytes;
        struct ts_criu_dump dump;
        struct ts_criu_restore restore;
        bool probed; struct ts_probe_stats probe;
        struct ts_resource *resources; size_t n_resources; /* of --sample, in the order of their times; owned */
        struct ts_err error; const char *error_phase;
        bool source_not_running; /* rolled back, but the source does not run: it ended by itself, or somebody stopped or removed it */
        struct ts_list warnings, leftovers;
};
void ts_report_init(struct ts_report *r);
void ts_report_clear(struct ts_report *r);
void ts_report_frozen(struct ts_report *r, uint64_t us); /* a rehearsal froze the container for so long */
uint64_t ts_report_downtime_us(const struct ts_report *r);  /* 0: none measured */
uint64_t ts_report_migration_us(const struct ts_report *r);
uint64_t ts_report_total_us(const struct ts_report *r); /* of the command */
struct ts_json *ts_report_json(const struct ts_report *r);  /* caller frees */
/* The phase table for people: name, start, duration, bytes, share of the downtime as a bar where wide enough; then downtime, migration time, CRIU's own figures, bytes by kind, warnings, leftovers. columns: 0 where there is no terminal: as for 80, and messages are not broken; hints never are. */
int ts_report_text(const struct ts_report *r, bool colour, unsigned columns, struct ts_str *out, struct ts_err *err);
/* The same from a saved report (for `tranship report FILE`), and as CSV (one line a phase). */
int ts_report_from_json(const struct ts_json *j, struct ts_report *ret, struct ts_err *err); /* hostile input: TS_EPROTO */
int ts_report_csv(const struct ts_report *r, bool header, struct ts_str *out, struct ts_err *err);
/* All of them as metrics in Prometheus' text format, what belongs to one metric in one place. */
int ts_report_prometheus(const struct ts_report reports[], size_t n, struct ts_str *out, struct ts_err *err);

#endif
