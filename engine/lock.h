/* One migration a container: a lock file on the source's host, `/var/lib/tranship/locks/CONTAINER-ID`, made atomically and held by nobody's process, so that it outlives a crash and `recover` finds it.
 *
 * Its content is one JSON line that says who holds it. A lock is stale when its process is gone from this very machine and its journal is final or absent (ts_lock_stale); what to do about one is the
 * caller's decision, after it looked at the container's generation. Plain commands through ts_host_run, no shell; a path that names another directory (tests) works the same.
 * All calls block for a few commands on the host. Besides what is named: whatever ts_host_run fails with, TS_ECOMMAND (not permitted, disk full). */
#ifndef TRANSHIP_ENGINE_LOCK_H
#define TRANSHIP_ENGINE_LOCK_H

#include "base/err.h"
#include "engine/journal.h"
#include "transfer/host.h"
#include <stdbool.h>
#include <stdint.h>

#define TS_LOCK_DIR "/var/lib/tranship/locks"

struct ts_lock_info {
        char *migration;      /* ID */
        char *token; /* of the process that acts: a move and whoever recovers it have one ID, and are two */
        char *host, *boot_id; /* of the machine whose tranship took it */
        char *machine;        /* a digest of its machine ID: two machines may have one host name; "" when it has none */
        char *pid_ns;         /* its process name space: elsewhere the number means another process */
        int64_t pid, pid_start;
        char *container_id, *container_started_at; /* the generation that was found then … */
        int64_t container_pid;                     /* … and its process */
        char *taken_at;                            /* UTC */
};
void ts_lock_info_clear(struct ts_lock_info *i);

char *ts_lock_path(const char *container_id); /* in TS_LOCK_DIR; NULL: out of memory or not an ID. Caller frees. */
/* Takes it for the migration of head and the process of the token (1 to 64 letters and digits); head's host, boot and process are that one's. One that another process of the same migration has is taken
 * over: it is moved away before it is made anew, so that the other one finds it gone, or another's, before it acts. TS_ECONFLICT says who has it and hints at `tranship status` or `tranship recover`. */
int ts_lock_take(struct ts_host *h, const char *path, const struct ts_journal_head *head,
                 const char *token, struct ts_err *err);
/* TS_ENOTFOUND: nobody has it; TS_EPROTO: the file is not ours. ret_content (may be NULL) is the exact content, for ts_lock_break. Caller clears and frees. */
int ts_lock_read(struct ts_host *h, const char *path, struct ts_lock_info *ret, char **ret_content, struct ts_err *err);
/* Is it (still) that migration's and that process's? TS_ECONFLICT when somebody else has it, TS_ENOTFOUND when nobody has. For the moment before each act that cannot be taken back. */
int ts_lock_check(struct ts_host *h, const char *path, const char *migration, const char *token,
                  struct ts_err *err);
/* Removes it if they have it; absent or somebody else's is success and left alone. */
int ts_lock_release(struct ts_host *h, const char *path, const char *migration, const char *token,
                    struct ts_err *err);
/* Removes it if its content is still expected: moved away first, then compared, and put back if it is another's. TS_ECONFLICT when it changed, TS_ENOTFOUND when it is gone already. */
int ts_lock_break(struct ts_host *h, const char *path, const char *expected, struct ts_err *err);
/* True only if it is certain that nobody holds it any more: taken on this machine, the process gone or the machine booted since, and the journal in journal_dir final or absent. */
bool ts_lock_stale(const struct ts_lock_info *i, const char *journal_dir);

#endif
