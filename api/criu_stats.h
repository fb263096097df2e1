/* CRIU's own figures of a dump or a restore: the files `stats-dump` and `stats-restore` beside its images.
 *
 * Knowledge: CRIU's images/stats.proto (fields), include/magic.h and image.c (a service magic, the magic of statistics, a 32-bit length,
 * one protobuf message; images before 1.1 lack the first). Byte order is that of the host that wrote them. Input is hostile: at most 64
 * KiB, unknown fields are skipped.
 *
 * Times are microseconds by CRIU's clock on that host, fit for durations only. Fields this CRIU did not write are 0. No allocation,
 * nothing blocks. */
#ifndef TRANSHIP_API_CRIU_STATS_H
#define TRANSHIP_API_CRIU_STATS_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_CRIU_STATS_MAX ((size_t)64 << 10)

struct ts_criu_dump {
        bool valid;
        uint64_t freezing_us; /* until all tasks stood still */
        uint64_t frozen_us;   /* how long they stood still */
        uint64_t memdump_us;  /* of that: memory taken into pipes */
        uint64_t memwrite_us; /* and written to the images */
        uint64_t irmap_us;    /* paths of watched inodes looked up */
        uint64_t pages_scanned, pages_skipped_parent, pages_written, pages_lazy;
        uint64_t page_pipes, page_pipe_bufs;
        uint64_t shpages_scanned, shpages_skipped_parent, shpages_written; /* the same for shared memory */
};

struct ts_criu_restore {
        bool valid;
        uint64_t pages_compared, pages_skipped_cow, pages_restored;
        uint64_t forking_us; /* until all tasks existed */
        uint64_t restore_us; /* the whole restore */
};

/* data: the whole file. TS_EPROTO: not such a file, damaged, or the other kind; TS_ELIMIT: larger than TS_CRIU_STATS_MAX. */
int ts_criu_stats_parse_dump(const void *data, size_t len, struct ts_criu_dump *ret, struct ts_err *err);
int ts_criu_stats_parse_restore(const void *data, size_t len, struct ts_criu_restore *ret, struct ts_err *err);

#endif
