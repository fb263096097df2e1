/* The journal: what a migration intends, before it does it. One file of JSON lines a migration (`<state dir>/journal/ID.jsonl`, 0600), every record synced before the call returns; a copy on each host
 * where we are root (/var/lib/tranship/journal/), so that another machine can recover. Space is allocated at the start. Schema "tranship.journal/1".
 *
 * Reading is lenient about a last line cut short (a crash), strict about everything else. */
#ifndef TRANSHIP_ENGINE_JOURNAL_H
#define TRANSHIP_ENGINE_JOURNAL_H

#include "api/json.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/decide.h"
#include <stdbool.h>
#include <stdint.h>

enum ts_side { TS_SIDE_SOURCE, TS_SIDE_TARGET };
const char *ts_side_str(enum ts_side s);

/* Something made or changed that has to be taken back (or cleaned up at the end). Names are deterministic. */
enum ts_res_kind {
        TS_RES_LOCK,       /* name: path of the lock file */
        TS_RES_STAGING,    /* name: directory */
        TS_RES_SERVICE,    /* private engine service; name: socket path, id: "PID STARTTIME" */
        TS_RES_IMAGE,      /* name: reference, id: image ID; before: "absent" */
        TS_RES_NETWORK,    /* name */
        TS_RES_VOLUME,     /* name; before: "absent", or the backup directory of one that was replaced */
        TS_RES_CONTAINER,  /* name, id (may be learnt later) */
        TS_RES_POLICY,     /* restart policy of the container id; before: "always", "on-failure:3" … */
        TS_RES_CHECKPOINT, /* name: checkpoint ID or directory */
        TS_RES_RENAME,     /* id: container, before: old name, name: new name */
        TS_RES_PATH,       /* a directory or file on a host that was absent before (a copied bind mount) */
        TS_RES_RECORD,     /* Podman's own record of the container, written into its bundle; name: the bundle */
        TS_RES_DUMP_DIR,   /* directory, in memory or shared, that the source's images are written to; name */
        TS_RES_LINK,       /* in the place of an engine's directory of checkpoints; name: its path, id: where it leads */
        TS_RES_DOOR,       /* packet filter table on a host that holds back what comes for the container; name */
        TS_RES_LOG,        /* file, Podman's log that is not beside the container; name: its path */
        TS_RES_KIND_MAX
};
const char *ts_res_kind_str(enum ts_res_kind k);
enum ts_res_state { TS_RES_INTENT, TS_RES_MADE, TS_RES_UNDONE, TS_RES_KEPT /* belongs to the moved container now */ };
struct ts_res {
        unsigned n; /* number in the journal, from 0 */
        enum ts_res_kind kind;
        enum ts_side side;
        enum ts_res_state state;
        char *name, *id, *before; /* may be NULL */
        int64_t seq;  /* of the latest record about it */
        bool claimed; /* of an adopted journal: the host it lies on did not say so in its own copy */
};

/* A journal that came from hosts is a claim (claims.h). What each of them had when it was taken over, and whom the user named then. */
struct ts_adoption {
        int64_t records[2];      /* by side: of that host's own copy; -1: it had none, or did not answer */
        enum ts_stage stage[2];  /* by side: as that copy said */
        char *from, *to;         /* ENGINE, as on the command line; owned when read */
};

struct ts_journal_head { /* everything `recover` needs without the command line; borrowed when given, owned when read */
        char *id;         /* of the migration: "20261120-161502-3fa9c1" */
        char *tool_version, *started_at, *host, *boot_id; /* of the machine that runs tranship */
        int64_t pid, pid_start; /* its process: /proc/PID/stat field 22 */
        char *source, *target;  /* endpoint as canonical URI */
        char *container_id, *container_name, *container_started_at; /* the generation … */
        int64_t container_pid;                                      /* … that is moved */
        char *strategy, *transfer;
        struct ts_json *options; /* object: what the phases need again (keep_source, verify, shared_writable, cold, …) */
};
void ts_journal_head_clear(struct ts_journal_head *h);

struct ts_journal;
/* Creates the file; TS_ECONFLICT if the ID exists. 256 KiB are allocated. dir is made 0700. */
int ts_journal_create(const char *dir, const struct ts_journal_head *head, struct ts_journal **ret, struct ts_err *err);
/* Reads and reopens for appending; takes an exclusive flock so that one process writes (TS_ECONFLICT if another one has it: the migration is under way). Also TS_ENOTFOUND, TS_EPROTO. */
int ts_journal_open(const char *dir, const char *id, struct ts_journal **ret, struct ts_err *err);
/* Read-only, no lock: for `status`. */
int ts_journal_read(const char *dir, const char *id, struct ts_journal **ret, struct ts_err *err);
/* Adopts the text of a copy found on a host: writes it into dir and opens it, with a record that says so. A journal of this machine's own that is as long, or goes on, is opened as it is. TS_ECONFLICT: the two
 * tell different stories; TS_EPROTO also: it has an ID that no tranship gives. */
int ts_journal_adopt(const char *dir, const char *text, size_t len, const struct ts_adoption *how, struct ts_journal **ret, struct ts_err *err);
const struct ts_adoption *ts_journal_adoption(const struct ts_journal *j); /* the latest; NULL: this machine's own journal */
/* A text, checked, in memory only: for looking at a copy. */
int ts_journal_from_text(const char *text, size_t len, struct ts_journal **ret, struct ts_err *err);
const char *ts_journal_text(const struct ts_journal *j); /* of all complete records; borrowed */
int64_t ts_journal_records(const struct ts_journal *j);
void ts_journal_free(struct ts_journal *j);
TS_DEFINE_AUTO(ts_journal, ts_journal_free);
int ts_journal_ids(const char *dir, struct ts_list *ret, struct ts_err *err); /* oldest first; an absent dir is empty */
bool ts_journal_id_valid(const char *id); /* as this program makes them; NULL is none */
int ts_journal_is_live(const char *dir, const char *id); /* 1: some process holds its lock, 0: not */

/* Where each appended line also goes; the copy's failure is passed on to the caller of the append only when `required` says so (restore-sent), otherwise remembered as a warning. */
struct ts_journal_mirror { int (*append)(void *ctx, const char *line, size_t len, struct ts_err *err); void *ctx; bool broken; };
int ts_journal_add_mirror(struct ts_journal *j, const struct ts_journal_mirror *m, struct ts_err *err); /* copies *m; sends everything so far */
int ts_journal_renew_mirror(struct ts_journal *j, const void *ctx, struct ts_err *err); /* the one of that ctx works again: everything is sent once more */
bool ts_journal_mirrors_broken(const struct ts_journal *j); /* at least one */

const struct ts_journal_head *ts_journal_head(const struct ts_journal *j);
enum ts_stage ts_journal_stage(const struct ts_journal *j);
/* detail may be NULL; taken over. With every record t_us (ts_now_us) and wall-clock time go in. A stage may not go back (TS_EINTERNAL). */
int ts_journal_set_stage(struct ts_journal *j, enum ts_stage s, struct ts_json *detail, struct ts_err *err);
const struct ts_json *ts_journal_detail(const struct ts_journal *j, enum ts_stage s); /* detail of the latest record of that stage, or NULL */

/* Intent: before making it. Gives the number. */
int ts_journal_intent(struct ts_journal *j, enum ts_res_kind k, enum ts_side side, const char *name, const char *id, const char *before, unsigned *ret_n, struct ts_err *err);
int ts_journal_res_id(struct ts_journal *j, unsigned n, const char *id, struct ts_err *err); /* the ID became known */
int ts_journal_res_state(struct ts_journal *j, unsigned n, enum ts_res_state state, struct ts_err *err);
size_t ts_journal_res_count(const struct ts_journal *j);
const struct ts_res *ts_journal_res(const struct ts_journal *j, size_t n);
int ts_journal_note(struct ts_journal *j, const char *text, struct ts_err *err); /* a free remark for people */

/* Deletes one that is open, and so nobody else's, and was only a copy. It is still to be freed. */
void ts_journal_forget(const struct ts_journal *j);
/* After the end: journals older than days that are final are deleted. */
void ts_journal_prune(const char *dir, unsigned days);

#endif
