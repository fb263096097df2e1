/* The figures of samples, as data: what they are called and measured in. Decides nothing. */
#include "bench/result.h"

#include <string.h>

#define MB 1e-6
/* clang-format off */
const struct ts_figure_kind ts_figure_kinds[] = {
        { "downtime_s",        "Downtime",                          "s",     1 },
        { "migration_s",       "Migration time",                    "s",     1 },
        { "total_s",           "Whole command",                     "s",     1 },
        { "client_gap_s",      "Longest gap seen by a client",      "s",     1 },
        { "gap_difference_s",  "Client's gap minus downtime",       "s",     1 },
        { "ping_gap_s",        "Longest gap between pings",         "s",     1 },
        { "checkpoint_s",      "Checkpoint",                        "s",     1 },
        { "transfer_s",        "Transfer",                          "s",     1 },
        { "restore_s",         "Restore",                           "s",     1 },
        { "precopy_s",         "Pre-copy",                          "s",     1 },
        { "frozen_before_s",   "Frozen by rehearsals",              "s",     1 },
        { "limit_s",           "Physical limit of the downtime",    "s",     1 },
        { "engine_downtime_s", "The engine's own two calls",        "s",     1 },
        { "engine_checkpoint_s", "The engine's own checkpoint",     "s",     1 },
        { "engine_restore_s",  "The engine's own restore",          "s",     1 },
        { "over_limit",        "Downtime / physical limit",         "",      1 },
        { "rounds",            "Rounds of memory",                  "",      1 },
        { "archive_bytes",     "Size of the archive",               "MB",    MB },
        { "memory_bytes",      "Memory dumped",                     "MB",    MB },
        { "sent_bytes",        "Bytes sent",                        "MB",    MB },
        { "received_bytes",    "Bytes received",                    "MB",    MB },
        { "frozen_bytes",      "Bytes sent while frozen",           "MB",    MB },
        { "dirty_bytes",       "Pages the target did not have",     "MB",    MB },
        { "a_before_bytes",    "Memory used on A before",           "MB",    MB },
        { "a_after_bytes",     "Memory used on A after",            "MB",    MB },
        { "b_before_bytes",    "Memory used on B before",           "MB",    MB },
        { "b_after_bytes",     "Memory used on B after",            "MB",    MB },
        { "source_before_bytes", "Memory used on the source before the checkpoint", "MB", MB },
        { "source_after_bytes", "Memory used on the source after the checkpoint", "MB", MB },
        { "target_before_bytes", "Memory used on the target before the restore", "MB", MB },
        { "target_after_bytes", "Memory used on the target after the restore", "MB", MB },
        { "response_ms",       "Response time (95 %), before",      "ms",    1 },
        { "worst_response_ms", "Response time (95 %), worst second","ms",    1 },
        { "per_s",             "Transactions per second, before",   "1/s",   1 },
        { "errors",            "Errors seen by the load",           "",      1 },
        { "reconnects",        "Connections made anew by the load", "",      1 },
        { "source_cpu_before_pct", "Processors of the source, before", "%", 1 },
        { "source_cpu_during_pct", "Processors of the source, during the move", "%", 1 },
        { "source_cpu_after_pct", "Processors of the source, after", "%", 1 },
        { "source_load_before", "Load average of the source, before", "", 1 },
        { "source_load_during", "Load average of the source, during the move", "", 1 },
        { "source_load_after", "Load average of the source, after", "", 1 },
        { "source_written_before_bytes_s", "Disk writes of the source, before", "MB/s", MB },
        { "source_written_during_bytes_s", "Disk writes of the source, during the move", "MB/s", MB },
        { "source_written_after_bytes_s", "Disk writes of the source, after", "MB/s", MB },
        { "target_cpu_before_pct", "Processors of the target, before", "%", 1 },
        { "target_cpu_during_pct", "Processors of the target, during the move", "%", 1 },
        { "target_cpu_after_pct", "Processors of the target, after", "%", 1 },
        { "target_load_before", "Load average of the target, before", "", 1 },
        { "target_load_during", "Load average of the target, during the move", "", 1 },
        { "target_load_after", "Load average of the target, after", "", 1 },
        { "target_written_before_bytes_s", "Disk writes of the target, before", "MB/s", MB },
        { "target_written_during_bytes_s", "Disk writes of the target, during the move", "MB/s", MB },
        { "target_written_after_bytes_s", "Disk writes of the target, after", "MB/s", MB },
        { NULL, NULL, NULL, 0 },
};
/* clang-format on */

const struct ts_figure_kind *ts_figure_kind(const char *name)
{
        for (const struct ts_figure_kind *k = ts_figure_kinds; k->name; k++)
                if (!strcmp(k->name, name))
                        return k;
        return NULL;
}
