/* Copies of the journal on the hosts, so that `recover --from --to CONTAINER` works from another machine: `/var/lib/tranship/journal/ID.source` and `ID.target`, 0600 in a directory 0700.
 *
 * A mirror is a small constant shell script on the host (needs /bin/sh, mkdir, mv, sync) that lives as long as the move: it gets lines, syncs them, and answers. The first lines are written beside the
 * file and take its place when they are whole, so a copy is never shorter than one that was there before. A copy is not named like a journal: on the machine of tranship itself both may share a directory.
 *
 * Reading a copy takes it away from whoever writes it (it is renamed to `….taken`): the script sees that after its next batch, and the first machine, if it lives, does not get its restore-sent through. */
#ifndef TRANSHIP_ENGINE_MIRROR_H
#define TRANSHIP_ENGINE_MIRROR_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/journal.h"
#include "transfer/host.h"

#define TS_MIRROR_TAKEN "another machine has taken the migration over" /* what is said of a copy that was */
#define TS_MIRROR_DIR "/var/lib/tranship/journal"
#define TS_MIRROR_TIMEOUT_MS 5000 /* for the answer to each record */

struct ts_mirror;
/* Starts the script for the migration `id`. dir NULL: TS_MIRROR_DIR. again: after a connection broke, in the place of the copy that this process has written, unless another machine has taken it: TS_ECOMMAND. Blocks until it is ready: TS_ECOMMAND (not permitted, disk full …), TS_ECONNECT, TS_ETIMEOUT. h must outlive the mirror. */
int ts_mirror_start(struct ts_host *h, const char *dir, const char *id, enum ts_side side, bool again, struct ts_mirror **ret, struct ts_err *err);
/* What ts_journal_add_mirror() wants; valid while m is. */
struct ts_journal_mirror ts_mirror_hook(struct ts_mirror *m);
/* The first failure of an append, for a warning; NULL: none. Borrowed. */
const char *ts_mirror_error(const struct ts_mirror *m);
void ts_mirror_free(struct ts_mirror *m); /* the copy stays */
TS_DEFINE_AUTO(ts_mirror, ts_mirror_free);

int ts_mirror_remove(struct ts_host *h, const char *dir, const char *id, enum ts_side side, struct ts_err *err); /* absent is success */

struct ts_mirror_copy {
        char *id;         /* of the migration */
        char *container_id, *container_name;
        struct ts_str text; /* for ts_journal_adopt() */
        bool differs;       /* this host has another one that is not the beginning of it */
};
struct ts_mirror_copies { struct ts_mirror_copy *v; size_t n; };
/* Adds to *ret the copies of that side on the host whose migration ID, container name or container ID (12 digits or more of it) is key, newest first; what was taken away and what was written since are one: the
 * longer of the two. take: away from who writes them; otherwise they are only looked at. Files that are not ours alone are passed over. No directory, or nothing found, is success. At most 256 copies are looked at
 * (those of the migration ID key first), 64 kept, each of at most 8 MiB; what is not a journal is passed over. */
int ts_mirror_fetch(struct ts_host *h, const char *dir, const char *key, enum ts_side side, bool take, struct ts_mirror_copies *ret, struct ts_err *err);
void ts_mirror_copies_clear(struct ts_mirror_copies *c);

#endif
