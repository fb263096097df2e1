/* What a journal that came from a host may have done. Such a copy is a claim of a stranger: it says which migration, and where it stands, but never what is removed, ended or dialled. Each name in it is worked out
 * again, from the migration's ID, the side, and what the engines say now; what is not equal is left alone and told. Pure: a table of kinds, nothing is asked or done here (undo.c does; tests/fuzz/fuzz_recover.c
 * gives it whole hostile journals).
 *
 * A host speaks for itself alone. A record about one host that only the other one's copy has (ts_res.claimed) counts for nothing where the thing carries no mark of ours; with a mark that only root there can have
 * made (a label, a name with the ID in a directory of root's) it may be taken back all the same. */
#ifndef TRANSHIP_ENGINE_CLAIMS_H
#define TRANSHIP_ENGINE_CLAIMS_H

#include "api/api.h"
#include "engine/journal.h"

#define TS_SERVICE_DIR "/run/tranship"   /* private engine services, ID-SIDE below it */
#define TS_MEMORY_DIR "/dev/shm"         /* images in memory, tranship-ID below it */

struct ts_facts { /* all borrowed */
        const char *id;           /* of the migration */
        const char *container_id; /* of the container that is moved */
        bool adopted;             /* the journal came from a host; otherwise it is this machine's own and is believed */
        bool podman;              /* the engine of both sides */
        bool keeps_id;            /* the container has its ID on the target, too */
        bool archive;
        const char *staging;      /* of this command line, or NULL */
        const char *bundle[2];    /* by side: the container's directory, as that engine says now, or NULL: not known */
        const struct ts_container *source; /* as the source's engine says now, or NULL: not known, or gone */
        const char *mountpoint;   /* of the volume the record is about, as the target's engine says now, or NULL */
};

/* May what the record is about be taken back? NULL: yes, by the names in it. Else why not: static, "… it is left alone: %s". What carries a label is removed only with it: undo.c looks. */
const char *ts_claim_refused(const struct ts_facts *f, const struct ts_res *r);
bool ts_policy_valid(const char *policy); /* "no", "always", "unless-stopped", "on-failure", "on-failure:3" */
/* Does the volume belong to the container, as its engine says now? For what goes with the source. */
bool ts_claim_is_volume(const struct ts_facts *f, const char *name);

/* Two hosts' copies, one the beginning of the other, stand at these stages. NULL: the engines bear the longer one out; else why a person looks. */
const char *ts_claim_dispute(enum ts_stage a, enum ts_stage b, enum ts_target_seen target);

bool ts_is_engine_id(const char *id); /* 64 hexadecimal digits, as both engines give them */
/* Deterministic names. Caller frees; NULL out of memory. */
char *ts_service_socket(const char *id, enum ts_side side);
char *ts_door_table(const char *id);

#endif
