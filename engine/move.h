/* A migration: the entry points the command line calls. Everything below them emits events and never prints. */
#ifndef TRANSHIP_ENGINE_MOVE_H
#define TRANSHIP_ENGINE_MOVE_H

#include "base/err.h"
#include "base/str.h"
#include "engine/event.h"
#include "engine/journal.h"
#include "engine/report.h"
#include "transfer/host.h"
#include <stdbool.h>
#include <stdint.h>

enum ts_transfer { TS_TRANSFER_STREAM, TS_TRANSFER_SCP, TS_TRANSFER_TLS };
/* In the order of the settings' choices. */
enum ts_dump { TS_DUMP_AUTO, TS_DUMP_MEMORY, TS_DUMP_DISK };
enum ts_precopy { TS_PRECOPY_ALL, TS_PRECOPY_REHEARSAL, TS_PRECOPY_FILES, TS_PRECOPY_NONE };
enum ts_compress { TS_COMPRESS_OFF, TS_COMPRESS_ARCHIVE, TS_COMPRESS_AUTO, TS_COMPRESS_ON };
enum ts_on_verify_failure { TS_VERIFY_ROLLBACK, TS_VERIFY_KEEP };

/* All borrowed; plain data filled from the configuration in force. Zero means the default where one is named. */
struct ts_move_opts {
        const char *from, *to;   /* ENGINE; from NULL: see ts_endpoint_default */
        const char *container;
        const char *strategy;    /* "auto" (in place), "archive" (Podman), "in-place" */
        enum ts_transfer transfer;
        const char *shared_dir;  /* directory that both hosts have: the dump goes there, and does not travel; or NULL */
        struct ts_ssh_opts ssh;
        bool cold, keep_source, dry_run;
        bool remove_agent;       /* of the hosts, afterwards, however it ended */
        const struct ts_list *volumes; /* NAME=replace|shared */
        const struct ts_list *binds;   /* PATH=shared|copy */
        const struct ts_list *skips;   /* preflight codes */
        const char *probe, *verify;    /* NULL: none */
        const char *before_freeze;     /* "exec:COMMAND", or NULL */
        unsigned sample_ms;       /* what the hosts are doing, so often, into the report; 0: not */
        enum ts_compress compress;
        uint64_t bandwidth;       /* bytes a second that memory and files may take, 0: no limit */
        unsigned streams;         /* as for ts_agent_start(), like these: */
        unsigned tls_low, tls_high;
        enum ts_dump dump;        /* where Podman writes its images on the source */
        enum ts_precopy precopy;  /* what travels before the freeze */
        unsigned max_downtime_ms; /* refuse a freeze that is forecast to be longer; 0: no limit */
        unsigned verify_timeout_ms, fence_timeout_ms, peer_timeout_ms, reconnect_timeout_ms, checkpoint_timeout_ms, restore_timeout_ms;
        enum ts_on_verify_failure on_verify_failure;
        const char *staging;     /* directory on the hosts, NULL or "": /var/lib/tranship/staging */
        const char *state_dir;   /* NULL: ts_state_dir() */
        const char *podman, *docker; /* the programs' names on the hosts */
        struct ts_event_sink events;
};

/* One preflight finding. */
struct ts_finding {
        const char *code; /* stable, e.g. "volume-exists": static */
        bool skippable;   /* --skip CODE makes it a warning */
        bool skipped;
        bool warning;     /* only worth knowing */
        char *message, *hint;
};
struct ts_findings { struct ts_finding *v; size_t n; };
void ts_findings_clear(struct ts_findings *f);

/* Both fill *report (initialised by the caller with ts_report_init) whatever happens and return the exit status (0..7, the table in report.h). findings: all of preflight's, also when it passed. */
int ts_move(const struct ts_move_opts *o, struct ts_report *report, struct ts_findings *findings);
int ts_check(const struct ts_move_opts *o, struct ts_report *report, struct ts_findings *findings);

const char *ts_phase_name(unsigned i, bool *ret_frozen); /* the i-th phase's name, NULL past the last; static. ret_frozen may be NULL */

/* One line of `tranship status`. */
struct ts_status {
        char *id, *container, *source, *target, *started_at, *stage;
        bool live;      /* its process runs */
        bool final;     /* nothing is left to do */
        char *problem;     /* why the journal cannot be read; or NULL */
        const char *owner; /* "source", "target", "unknown": which side has the container by the journal; static */
};
struct ts_statuses { struct ts_status *v; size_t n; };
int ts_status(const char *state_dir, struct ts_statuses *ret, struct ts_err *err);
void ts_statuses_clear(struct ts_statuses *s);

struct ts_recover_opts {
        const char *id;           /* NULL: the only one that is not final; or found by from/to/container */
        const char *from, *to, *container; /* another machine: the journal's copy is fetched from these hosts */
        bool target_is_dead;      /* a person's word that the target will never run it */
        bool cold_start;          /* after exit 7: start the source afresh from its files */
        struct ts_move_opts move; /* ssh, timeouts, programs, events, state_dir */
};
/* Finishes or rolls back. Exit status as for a move. */
int ts_recover(const struct ts_recover_opts *o, struct ts_report *report);

#endif
