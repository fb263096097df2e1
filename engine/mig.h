/* The state of one migration, shared by the phases. Private to engine/.
 *
 * Who fills what: connect (sides), preflight (container, plan), prepare (journal, staging, dst_id), arm, checkpoint (dump), transfer, restore, verify. Every field is owned by the
 * migration unless a comment says otherwise. */
#ifndef TRANSHIP_ENGINE_MIG_H
#define TRANSHIP_ENGINE_MIG_H

#include "api/api.h"
#include "api/endpoint.h"
#include "engine/move.h"
#include "engine/probe.h"
#include "transfer/archive.h"
#include "transfer/host.h"
#include "transfer/own_dir.h"
#include "transfer/rate.h"
#include <pthread.h>
#include <stdatomic.h>

/* One end: the host, its engine, and how to reach it again after a break. */
struct ts_end {
        enum ts_side side;
        struct ts_endpoint *ep;
        struct ts_host *host;
        struct ts_api *api;
        const struct ts_engine_info *info; /* borrowed from api */
        char *socket;       /* engine socket in use */
        char *service;      /* socket of our private service, or NULL */
        char *service_id;   /* "PID STARTTIME" */
        struct ts_list fallback; /* argv of the engine's dial-stdio for `socket` */
        char *staging;      /* STAGING/ID on this host, made by prepare; or NULL */
        char *address;      /* what {host} in probes becomes */
        char *machine;      /* machine ID of the host; with `identity`: is it still the same engine after a break? NULL: not known yet */
        char *identity;     /* machine ID, graph root and Docker's daemon ID */
        atomic_int spare;   /* 1 + a connection to the engine dialled ahead of time; 0: none */
        struct ts_packed *packed;    /* the archive's connection (export.c); or NULL */
        int packed_fd;               /* 1 + that one, until it is used; 0: none */
        char *unflagger; /* the agent's program on the host (unflag.c), once it was needed */
        char *agent;                 /* the program on the host, which packs and unpacks an archive; NULL: it is not packed */
        struct ts_proc *agent_held;  /* keeps it there until then */
        struct ts_dial archive_dial;
        const struct ts_dial *archive; /* how to make such a connection; NULL: like any other */
        uint64_t wire_sent, wire_received; /* bytes of host connections that are closed already */
};

/* What happens to one volume or bind mount. */
enum ts_data_mode { TS_DATA_COPY, TS_DATA_SHARED, TS_DATA_REPLACE };
struct ts_data {
        const struct ts_mount *mount; /* borrowed from mig.c */
        bool is_volume;
        enum ts_data_mode mode;
        char *src_path;  /* on the source host */
        char *dst_path;  /* on the target host; known after prepare for volumes */
        char *src_file;  /* a copied bind mount of one file: where that is, without links; else NULL */
        bool special;    /* a socket or a device of the host: it is neither opened nor copied */
        bool only_user;  /* no other container of the source uses it: it goes with the container */
};

/* How state leaves the source. */
enum ts_strategy {
        TS_ARCHIVE,  /* Podman: the engine exports an archive, and imports it */
        TS_IN_PLACE, /* the engines dump into and restore from their own storage, agents bring the files over */
        TS_COLD      /* stop and start instead of checkpoint and restore */
};
const char *ts_strategy_str(enum ts_strategy s); /* "archive", "in-place", "cold" */

#define TS_TOKEN_SIZE 33

struct ts_mig {
        const struct ts_move_opts *o; /* borrowed */
        struct ts_report *r;          /* borrowed */
        struct ts_findings *findings; /* borrowed */
        char *id;                     /* of the migration */
        bool check_only;              /* nothing may be changed */
        const char *phase;            /* running now: static */
        uint64_t phase_bytes;         /* the running phase moved: for its line in the report */
        struct ts_end src, dst;
        struct ts_container *c;       /* the source container as found by preflight */
        struct ts_image *image;       /* of it, on the source */
        bool image_on_target;
        bool image_by_id; /* the target does not know it by the digest that the container's record names, and cannot be told */
        struct ts_list others; /* pairs: ID on the source, name, of the containers that it shares
                                  namespaces with */
        struct ts_list
                free_networks; /* Docker: there it gets another address, which its engine chooses */
        struct ts_data *data;
        size_t n_data;
        bool shared_writable;         /* some writable directory is used by both hosts */
        enum ts_strategy strategy;
        enum ts_engine_kind engine;   /* of both sides */
        struct ts_journal *j;         /* NULL until prepare */
        char *lock_path;
        char lock_token[TS_TOKEN_SIZE]; /* of this process: "" until it takes the lock */
        char *label;                  /* "tranship.migration=ID" */
        char *dst_id;                 /* container on the target: known before restore */
        char *checkpoint;             /* Docker: name of the final dump */
        char *bundle;                 /* the source container's directory: Podman's bundle (checkpoint/, dump.log), Docker's containers/ID */
        char *dump_dir;               /* where the source's images are made, in memory (Podman) or shared, or NULL: in the bundle */
        char *target_bundle;          /* the same on the target, or NULL: not known */
        char *policy;                 /* the source's restart policy as journalled: "always", "on-failure:3" */
        bool committed;
        bool door_shut[2];            /* by side */
        bool lost;                    /* decided: the memory is gone */
        bool memory_may_go;           /* recover --cold: a person's word that it is not needed */
        bool locked;                  /* the container's lock is ours, taken by this process */
        bool person;                  /* what went wrong is for a person to judge (exit 6) */
        bool adopted;                 /* the journal came from hosts: a claim (claims.h) */
        bool vouched[2];              /* by side: that host has a copy of its own of the journal, or the lock of this migration */
        struct ts_container *source_now; /* adopted: the source as its engine says now, or NULL */
        bool recovering;              /* begun by another process: its lock may have been another's since */
        bool cannot_in_place;         /* refused by an engine that does not do what in-place rests on; nothing is left of the attempt */
        bool dump_refused;            /* the engine's final answer to the checkpoint was no */
        bool dump_forbidden;          /* Docker: a directory of the dump's name keeps one that was asked for from coming late */
        bool target_hangs;            /* at the last look the target's engine answered, but not about the container */
        bool restore_overdue;         /* the engine did not answer the restore within --restore-timeout */
        size_t n_kept;                /* leftovers that are somebody's data, and stay for good */
        bool deposed;                 /* another process has taken the migration over */
        bool marked;                  /* an archive of this migration has a file of its own in it, by which its import is known */
        bool target_left;             /* the container on the target was not taken back: neither is what it uses */
        bool denied;                  /* this process asked the target whether it is alive, and the answer was no */
        bool both_may_run;            /* somebody started the source after the commit */

        uint64_t memory_bytes;        /* of the container, as preflight saw it */
        /* Of Podman's log where that is elsewhere, on the source and on the target (log_file.c);
         * log_to NULL: there it goes to the engine's own place. */
        char *log_from, *log_to;
        struct ts_rate *rate;         /* of everything that agents send, or NULL */
        struct ts_place *places;      /* directories under way (places.c) */
        size_t n_places;
        bool tracked;                 /* the source's kernel tells what was written since a dump: pre-dumps instead of rehearsals */
        bool previous;                /* the last pre-dump is on the target, and the next dump goes on from it */
        char *predump_log;            /* which dump's log there was right after that one, or NULL */
        unsigned n_rehearsals; /* tried */
        bool unburdened;       /* the source was written out, and may be frozen */

        unsigned dump_resource;       /* in the journal, of the last dump */
        struct ts_proc *door_opener;  /* under way */
        char *announcer; /* the program on the target that tells neighbours where the container is,
                            or NULL: nobody to tell */
        struct ts_proc *announcing;   /* under way */
        struct ts_proc *log_keeper;   /* Docker: holds the log of the restore (explain.c) */
        struct ts_proc *lo;           /* the loopback interface is being brought up */
        struct ts_call *dump;         /* checkpoint with export under way: its body is the archive */
        struct ts_call *import;       /* restore with import under way */
        uint64_t archive_bytes;       /* sent into the import so far */
        struct ts_scp_out *scp;       /* segments under way (scp transfer) */
        struct ts_packer *packer;     /* they are packed (scp transfer); or NULL */
        struct ts_proc *feed;         /* gives the segments to the target engine (scp transfer) */

        struct ts_probe *probe, *verify, *before_freeze; /* parsed from the options, or NULL */
        struct ts_prober *prober;
        struct ts_sampler *sampler;      /* of --sample, or NULL */
        uint64_t progress_last_us;
        const char *progress_what; /* "image", "memory and files" … : static */
        uint64_t progress_total;   /* bytes, or 0: not known */
        struct ts_mirrors *mirrors; /* copies of the journal on the hosts */
};

/* Podman, live: the container has the source's ID on the target too, and everything that may start it goes through a private service. */
static inline bool ts_keeps_id(const struct ts_mig *m)
{
        return m->engine == TS_PODMAN && m->strategy != TS_COLD;
}

/* ---- events (report.c keeps figures; these tell) ---- */
/* The container's record (config.dump) as the target's import shall have it: its image by the ID, if
 * the name does not lead to it there, and without a parent of its control group beside --cgroups split. */
bool ts_record_changes(const struct ts_mig *m); /* there is anything to do */
int ts_record_change(const struct ts_mig *m, struct ts_json *record, struct ts_err *err);
void ts_mig_note(struct ts_mig *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ts_mig_warn(struct ts_mig *m, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* also into the report */
void ts_mig_leftover(struct ts_mig *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ts_mig_emit(struct ts_mig *m, const struct ts_event *e); /* fills t_us, phase */
/* A ts_progress_fn with ctx = mig: emits at most ten events a second, of m->progress_what. Stops (non-zero) on a signal unless the migration is committed. */
int ts_mig_progress(void *mig, uint64_t bytes);

/* ---- samples of what the hosts are doing (--sample); what is wrong with them is a warning ---- */
void ts_sampling_begin(struct ts_mig *m, struct ts_end *e); /* once it is connected, or connected anew */
void ts_sampling_end(struct ts_mig *m, struct ts_end *e);   /* its connection is about to go; at once */

/* ---- ends ---- */
int ts_end_connect(struct ts_mig *m, struct ts_end *e, struct ts_err *err);     /* host, engine, info */
int ts_ends_connect(struct ts_mig *m, struct ts_err *err);                      /* both */
int ts_end_reconnect(struct ts_mig *m, struct ts_end *e, struct ts_err *err);   /* after a break: new host session and engine connection where the old ones are dead */
int ts_end_ping(struct ts_end *e, struct ts_err *err);
/* Dials the engine now for the next request that needs a connection: where SSH has to start the engine's own program as a tunnel that takes a tenth of a second. */
int ts_end_predial(struct ts_end *e, struct ts_err *err);
char *ts_end_uri(const struct ts_end *e); /* with the socket in use; caller frees */
void ts_end_wire(const struct ts_end *e, uint64_t *ret_sent, uint64_t *ret_received); /* of all its connections so far */
void ts_end_close(struct ts_end *e);
int ts_end_start_service(struct ts_mig *m, struct ts_end *e, struct ts_err *err); /* Podman: a private service, journalled; the api of e is opened anew on it */
int ts_end_stop_service(struct ts_end *e, const char *socket, struct ts_err *err); /* ours that listens on it, found by its arguments; waits until it is gone */
/* Where directories for what is under way are made, on both hosts. */
static inline const char *ts_mig_staging(const struct ts_mig *m) { return m->o->staging && *m->o->staging ? m->o->staging : TS_STAGING_DIR; }
int ts_end_stop_unknown(struct ts_end *e, const char *dir, struct ts_err *err); /* one whose process nobody learnt, by its directory */
static inline struct ts_end *ts_mig_end(struct ts_mig *m, enum ts_side s) { return s == TS_SIDE_SOURCE ? &m->src : &m->dst; }

/* ---- the phases: each 0 or -1 with err ---- */
int ts_phase_connect(struct ts_mig *m, struct ts_err *err);
int ts_skips_check(const struct ts_mig *m, struct ts_err *err); /* --skip names codes, and such as can be skipped; TS_EUSAGE */
int ts_phase_preflight(struct ts_mig *m, struct ts_err *err);
int ts_phase_prepare(struct ts_mig *m, struct ts_err *err);
int ts_phase_precopy(struct ts_mig *m, struct ts_err *err);
int ts_phase_arm(struct ts_mig *m, struct ts_err *err);
int ts_phase_checkpoint(struct ts_mig *m, struct ts_err *err);
int ts_phase_transfer(struct ts_mig *m, struct ts_err *err);
int ts_phase_restore(struct ts_mig *m, struct ts_err *err);
int ts_phase_verify(struct ts_mig *m, struct ts_err *err);
int ts_phase_cleanup(struct ts_mig *m, struct ts_err *err);

/* ---- archive: its own connections, packed on their way (export.c). What cannot be had is told, and done without. ---- */
void ts_archive_prepare(struct ts_mig *m);                   /* what packs and unpacks, on both hosts */
void ts_archive_predial(struct ts_mig *m, struct ts_end *e); /* before the freeze */
void ts_archive_hang_up(struct ts_end *e);
/* Where the archive will go. By scp: segments on the target's host. By stream: the header of the import request, so that the target engine is ready for the body: it restores nothing before the body's end,
 * which is withheld (SAFETY rule 2). */
int ts_open_segments(struct ts_mig *m, struct ts_err *err);
int ts_open_import(struct ts_mig *m, struct ts_err *err);

/* ---- in place ---- */
/* Podman: makes the container on the target, with the source's ID, restorable and never started (docs/internals/in-place.md). Fills dst_id, target_bundle. */
int ts_make_stub(struct ts_mig *m, struct ts_err *err);
/* Whether a container with that ID on the target is the one that this migration made, or restored. */
int ts_stub_is_ours(struct ts_mig *m, const struct ts_container *there, bool *ret, struct ts_err *err);
int ts_record_remove(struct ts_end *e, const char *bundle, struct ts_err *err); /* what ts_make_stub let the source write into its bundle */
/* log_file.c: before the freeze, in the last round, when it is taken back or was committed, and
 * when the source's container is gone. */
int ts_log_place(struct ts_mig *m, struct ts_err *err);
int ts_log_copy(struct ts_mig *m, struct ts_err *err);
int ts_log_undo(struct ts_mig *m, struct ts_end *e, const char *path, struct ts_err *err);
void ts_log_recall(struct ts_mig *m);
void ts_log_forget(struct ts_mig *m);
/* The directories that travel, an agent on each side of each. */
int ts_places_open(struct ts_mig *m, struct ts_err *err);
int ts_dump_ship(struct ts_mig *m, const char *name, struct ts_err *err); /* a dump of that name is about to be made: ships it while it is written */
int ts_dump_drop(struct ts_mig *m, struct ts_err *err);                   /* it failed: what came over of it serves the next one */
/* A round over all trees, and the rest of a dump that is complete. final: everything that a restore needs, and nobody writes to it any more. */
int ts_places_begin(struct ts_mig *m, bool final, struct ts_err *err);
int ts_places_wait(struct ts_mig *m, struct ts_err *err);
void ts_places_hurry(struct ts_mig *m); /* the container is about to be frozen: a connection that breaks is not waited for as long */
void ts_agents_end(struct ts_mig *m, struct ts_end *e); /* those of a process that died, which would wait for it; best effort */
void ts_places_close(struct ts_mig *m); /* what was not completed on the target goes */

/* ---- pre-dumps (predump.c) ---- */
#define TS_PREDUMP "pre-checkpoint" /* Podman's name for one, beside `checkpoint` */
bool ts_predump_possible(struct ts_mig *m);
char *ts_predump_name(const struct ts_mig *m); /* where the engine writes one; caller frees, NULL out of memory */
int ts_predump_clear(struct ts_mig *m, struct ts_err *err); /* an empty place for the next one */
bool ts_predump_was_made(const struct ts_mig *m); /* or may have been */
/* After one was answered; and before the last dump: if another dump was made since, which would have begun the tracking anew, nothing goes on from ours. */
void ts_predump_remember(struct ts_mig *m);
void ts_predump_look_again(struct ts_mig *m);
int ts_predump_remove(struct ts_end *e, const char *bundle, struct ts_err *err);

/* ---- Podman's images on the source (images.c) ---- */
int ts_images_place(struct ts_mig *m, struct ts_err *err); /* in memory, where there is room: fills dump_dir, journalled */
int ts_images_share(struct ts_mig *m, const char *target_bundle, struct ts_err *err); /* --transfer shared: the target sees them, too */
int ts_images_clear(struct ts_mig *m, struct ts_err *err); /* those of any dump go, the next one has its place */
int ts_images_remove(struct ts_end *e, const char *bundle, struct ts_err *err); /* of any dump that lies in that bundle, and its logs */

/* ---- what dumps and restores are asked for, always the same ---- */
struct ts_checkpoint ts_checkpoint_options(const struct ts_mig *m);
bool ts_other_address(const struct ts_mig *m);
struct ts_restore ts_restore_options(const struct ts_mig *m); /* from the engine's own storage */
int ts_write_out(struct ts_mig *m, struct ts_end *e, unsigned timeout_ms, struct ts_err *err);
void ts_unburden(struct ts_mig *m); /* the source, so that the freeze waits for less */

/* ---- immutable files (unflag.c): before something of ours is removed; where it cannot be done,
 * the removal says so ---- */
void ts_unflag(struct ts_end *e, const char *path);
void ts_unflag_volume(struct ts_end *e, const struct ts_volume *v);
/* ms: at most, for each of two. Who runs again keeps them: to be called only for what is stopped. */
void ts_unflag_container(struct ts_end *e, const struct ts_container *c, unsigned ms);

/* ---- other people's things (users.c) ---- */
int ts_users_look_again(struct ts_mig *m, struct ts_err *err); /* TS_ECONFLICT: somebody has begun to use what travels, or what it replaces */
char *ts_volume_user(struct ts_end *e, const char *volume, const char *but, struct ts_err *err); /* name of a container, not of the ID `but`; caller frees; NULL: nobody, or err is set */
char *ts_stamp_path(const struct ts_end *e); /* a file in the staging directory; on the target its time is when a volume's content was set aside; caller frees */
char *ts_network_user(struct ts_end *e, const char *network, const char *but, struct ts_err *err); /* the same: any container, running or not */
/* When the stopped source wrote for the last time: remembered in its staging directory, before the container goes. */
int ts_source_stamp(struct ts_mig *m, const struct ts_container *now, struct ts_err *err);
/* *ret: why it is not to be removed, or NULL; caller frees. */
int ts_source_volume_in_use(struct ts_mig *m, const char *volume, char **ret, struct ts_err *err);
int ts_aside_in_use(struct ts_mig *m, const char *aside, char **ret, struct ts_err *err); /* what a replaced volume held */

#define TS_IMAGE_TAG "tag" /* `before` of a TS_RES_IMAGE that is a name which was free, given to the image `id` */

/* ---- preflight ---- */
/* Adds a finding; flags of the code come from the one table of checks. */
void ts_find(struct ts_mig *m, const char *code, const char *hint, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool ts_findings_refuse(const struct ts_findings *f);
void ts_findings_tell(struct ts_mig *m); /* each as a warning */

int ts_choose_strategy(struct ts_mig *m, struct ts_err *err); /* fills engine, strategy and the report's strategy, transfer */
int ts_set_policy(struct ts_api *api, const char *id, const char *policy, struct ts_err *err); /* policy as journalled */

/* ---- ways back and forward ---- */
#define TS_MEMORY_LEFT "what there is of the container's memory, in '%s' on the source" /* a leftover */
void ts_drop_source_images(struct ts_mig *m); /* Podman's, when nothing will be restored from them any more */
int ts_mig_lock(struct ts_mig *m, struct ts_err *err); /* journalled; TS_ECONFLICT: another migration has the container. One that another process of this migration has is taken over */
/* The same without the journal, for an act after its end; given back by ts_mig_let_go(). What a process that dies meanwhile leaves is a stale lock, which the next one breaks. */
int ts_mig_hold(struct ts_mig *m, struct ts_err *err);
int ts_mig_let_go(struct ts_mig *m, struct ts_err *err);
/* After the last wait before each act that cannot be taken back (SAFETY rule 25): is it still for this process to act? TS_ECONFLICT, and m->deposed: another one has taken the migration over, nothing more is
 * done here. Otherwise: it cannot be told, since the source does not answer. A process that never had the lock has nothing but its own things. */
int ts_mig_decides(struct ts_mig *m, struct ts_err *err);
bool ts_refused(const struct ts_err *err); /* the engine's final answer was no */
/* Is it still the running container that preflight saw? TS_ECONFLICT. */
int ts_same_generation(struct ts_mig *m, struct ts_err *err);
/* A dump that was asked for and not seen: makes sure that it cannot begin any more, and waits for one that has. 0: what is observed from now on stays. */
int ts_quiesce_source(struct ts_mig *m, struct ts_err *err);
int ts_observe_source(struct ts_mig *m, enum ts_source_seen *ret, struct ts_err *err);
/* The last look before the target may run, and before the commit: still stopped, still the generation that was dumped. TS_ECONFLICT. */
int ts_source_still_stopped(struct ts_mig *m, struct ts_err *err);
bool ts_ran_since(const struct ts_mig *m, const struct ts_container *now); /* the source, stopped, but not by our dump: it ran again after it */
bool ts_target_worked(const struct ts_mig *m, const struct ts_container *now); /* it runs there, or did */
int ts_observe_target(struct ts_mig *m, enum ts_target_seen *ret, struct ts_err *err);
int ts_fence_target(struct ts_mig *m, struct ts_err *err);     /* 0: observed: it cannot run */
int ts_break_restore(struct ts_mig *m, struct ts_err *err);    /* ends what works at a restore that hangs; the engine can be asked about the container again then */
/* A request that was not answered is over, and with it whatever worked for it: ends the private service that got it. */
int ts_end_requests(struct ts_mig *m, enum ts_side side, struct ts_err *err);
/* The same for a rehearsal whose answer did not come: it cannot begin any more, and nothing writes images any more. */
int ts_quiesce_rehearsal(struct ts_mig *m, const char *name, bool *ret_forbidden, struct ts_err *err); /* *ret_forbidden: a directory keeps Docker from making it, and has to stay */
void ts_drop_source_service(struct ts_mig *m);                  /* ends the source's private service and goes on with the engine's own socket */
int ts_restore_source(struct ts_mig *m, struct ts_err *err);   /* 0: observed: it runs */
#define TS_VERIFY_MS 5000
#define TS_VERIFY_SLACK_MS 10000 /* for looking and acting: what the move may still take back of the target's work besides the time for verifying it */
/* 0: verified and committed; journals VERIFY_FAILED. TS_EUSAGE when recovering: the probe could not be run, which says nothing. */
int ts_verify_target(struct ts_mig *m, struct ts_err *err);
int ts_commit(struct ts_mig *m, struct ts_err *err);
int ts_inventory(struct ts_mig *m, char **ret, struct ts_err *err); /* identifies the final dump's images on the source host: size, time, inode of inventory.img */
extern const struct ts_run_opts ts_slow_run; /* for commands that remove or move much */
void ts_sweep_containerd(struct ts_mig *m, struct ts_end *e); /* Docker: temporary copies of our dump, before its directory goes */
/* ---- journals that came from hosts (adopt.c) ---- */
#define TS_KEPT_MARK \
        "-moved-" /* between the name of a container that --keep-source kept and the ID */
enum ts_engine_kind ts_journal_engine(const struct ts_journal *j);
char *ts_journal_describe(
        const struct ts_journal *j); /* one line; caller frees, NULL only out of memory */
int ts_adopt(struct ts_mig *m, const struct ts_recover_opts *o, const char *dir, struct ts_journal **ret, struct ts_err *err); /* sets m->person */
bool ts_adopt_ended(const struct ts_recover_opts *o, const char *lock); /* both answer, and have nothing of o->id */
/* Once both ends were connected: do the hosts know this migration? m->person. */
int ts_adopted_check(struct ts_mig *m, struct ts_err *err);
const char *ts_adopted_dispute(const struct ts_mig *m, enum ts_target_seen target); /* NULL, or why what only one host's copy says is not followed */
bool ts_migration_over(const struct ts_journal *j); /* nothing is left to do for it */
bool ts_vouched(const struct ts_mig *m, enum ts_side side); /* may something be done on that host for this journal? */
const char *ts_undo_refused(struct ts_mig *m, const struct ts_res *r); /* NULL, or why a record of an adopted journal is left alone: static */
bool ts_volume_was_its(const struct ts_mig *m, const char *name); /* of the source's container, as far as its engine says */
bool ts_undo_pending(const struct ts_journal *j);             /* something the journal lists is neither taken back nor kept */
int ts_unlink_checkpoints(struct ts_mig *m, struct ts_end *e, const struct ts_res *r, struct ts_err *err); /* a TS_RES_LINK */
int ts_undo_all(struct ts_mig *m);                             /* number of resources that could not be taken back (they are leftovers) */
/* Observes, decides, acts, until it is over. Gives the outcome. */
enum ts_outcome ts_settle(struct ts_mig *m, struct ts_err *ret_why);
/* Back from a journal: endpoints, container facts. For recover. */
int ts_mig_from_journal(struct ts_mig *m, const char *from, const char *to, struct ts_err *err); /* from, to: another way to the same engines, or NULL */
void ts_journals_tidy(const char *state_dir); /* after a move or a recover: journals that are over, and old, go */
struct ts_json *ts_mig_options_json(const struct ts_mig *m); /* what ts_mig_from_journal needs */

/* Fetches CRIU's and the runtime's own words for a failed checkpoint or restore from the host and puts an explanation into err. Best effort. */
bool ts_dump_may_pass_later(struct ts_mig *m, const struct ts_err *err); /* a dump that failed for a reason that passes in a moment */
int ts_rearm(struct ts_mig *m, struct ts_err *err); /* before another try: still the same container, no images of the failed one */
void ts_log_keep(struct ts_mig *m); /* before the freeze: what a failed restore will say, which its
                                       engine deletes */
void ts_explain_failure(struct ts_mig *m, struct ts_err *err);

void ts_mig_clear(struct ts_mig *m);

/* ---- the door: packets for an address that follows the container, held back while it is restored (door.c); best effort ---- */
void ts_door_shut(struct ts_mig *m, struct ts_end *e);
void ts_door_open(struct ts_mig *m, struct ts_end *e);
/* The same in two halves, between which other things can be done; the journal learns of it in the clean-up. */
void ts_door_begin_open(struct ts_mig *m, struct ts_end *e);
void ts_door_end_open(struct ts_mig *m, struct ts_end *e);
int ts_door_remove(struct ts_end *e, const char *table, struct ts_err *err); /* absent is success */

/* ---- the container's new place, told to the neighbours of its addresses (announce.c); best effort
 * ---- */
unsigned ts_announce_plan(struct ts_mig *m, const struct ts_container *c); /* before the freeze */
void ts_announce_begin(struct ts_mig *m,
                       const struct ts_container *there); /* it runs there; at once */
void ts_announce_end(struct ts_mig *m);
/* Podman, --network none: the loopback interface is up again; at once. The second waits for it. */
void ts_lo_begin(struct ts_mig *m, const struct ts_container *there);
void ts_lo_end(struct ts_mig *m);
void ts_forget_connections(struct ts_mig *m); /* forget.c: the source's container has gone */

void ts_sysctls_put_back(struct ts_mig *m); /* net.* of the container on the target; best effort */

/* ---- copies of the journal on both hosts ---- */
struct ts_mirrors;
void ts_mirrors_start(struct ts_mig *m); /* best effort: a host that will not have it is a warning */
void ts_mirror_begin(struct ts_mig *m, struct ts_end *e);        /* one of them, with a new connection */
void ts_mirror_end(struct ts_mig *m, enum ts_side side);          /* its connection is about to go */
/* A stage that has to be in every copy: one whose connection broke is written anew, unless another machine has taken the migration over. TS_ECOMMAND, TS_ECONNECT and what ts_journal_set_stage says. */
int ts_stage_everywhere(struct ts_mig *m, enum ts_stage stage, struct ts_err *err);
/* Whether another machine has taken the copy on the target away, to recover from it: then m->deposed. That guards what is done there also while the source, where the lock is, cannot be reached from one of
 * the two. A copy whose connection broke is written anew. */
bool ts_mirrors_taken(struct ts_mig *m);
/* Once both hosts were seen to answer, before a stage that allows an act: whoever recovers from any copy is to know of it. What cannot be written now is only less known. */
void ts_mirrors_renew(struct ts_mig *m);
void ts_mirrors_remove(struct ts_mig *m); /* the migration is over */
void ts_mirrors_free(struct ts_mirrors *x);

/* ---- scp transfer: numbered segments on the target host ---- */
struct ts_scp_out;
int ts_scp_out_new(struct ts_mig *m, struct ts_scp_out **ret, struct ts_err *err);
int ts_scp_out_write(void *scp_out, const void *data, size_t len, struct ts_err *err); /* a ts_sink.write */
int ts_scp_out_flush(struct ts_scp_out *x, uint64_t *ret_bytes, struct ts_err *err);   /* every byte lies on the target host */
void ts_scp_out_free(struct ts_scp_out *x);

/* ---- fault injection (builds with TS_FAULTS): TRANSHIP_FAULT="PHASE:POINT:ACTION[,…]", POINT before|after|a name inside the phase, ACTION error|kill|int|term|hup|stop ---- */
#ifdef TS_FAULTS
int ts_fault(const char *phase, const char *point, struct ts_err *err);
#else
static inline int ts_fault(const char *phase, const char *point, struct ts_err *err)
{
        (void)phase;
        (void)point;
        (void)err;
        return 0;
}
#endif

#endif
