/* transfer: what the frozen container is made of, to the target. Two shapes:
 *   archive   the engine's export flows through a filter that leaves the volumes out (they come as all data does, places.c) and the engine's incomplete root file system difference, and adds a whole one;
 *             the result flows into the target engine's import (stream) or into segments on the target host (scp). Its end is withheld: restore.c sends it.
 *   in place  the last round of every directory (places.c); the dump has been on its way since it was begun. */
#include "base/io.h"
#include "base/log.h"
#include "engine/lock.h"
#include "engine/mig.h"
#include "transfer/packed.h"
#include "transfer/relay.h"
#include "transfer/rootfs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_LOG "ctr.log"
#define STALL_MS 120000
#define CAPTURE_MAX ((size_t)1 << 20)
#define DUMP "checkpoint/" /* before the names of the dump's files */
#define END_OF_TAR_BYTES 1024
#define TAR_WAIT_MS 600000

/* ---- archive: where the filtered bytes go ---- */
static int import_write(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        struct ts_mig *m = ctx;

        m->archive_bytes += len;
        return ts_write_all(ts_call_body_fd(m->import), data, len, ts_deadline_in_ms(STALL_MS), true, err);
}

static int segment_write(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        struct ts_mig *m = ctx;

        m->archive_bytes += len;
        return m->packer ? ts_packer_write(m->packer, data, len, false, err) : ts_scp_out_write(m->scp, data, len, err);
}

int ts_open_segments(struct ts_mig *m, struct ts_err *err)
{
        return ts_scp_out_new(m, &m->scp, err) < 0 || (m->dst.agent && ts_packer_new(ts_scp_out_write, m->scp, &m->packer, err) < 0) ? -1 : 0;
}

static void import_options(struct ts_mig *m, struct ts_restore *o)
{
        bool other = ts_other_address(m);

        *o = (struct ts_restore){
                .import = true,
                .keep = true,
                .tcp_established = true,
                .file_locks = true,
                .ignore_volumes = true, /* they are made in prepare and filled since */
                .ignore_static_ip = other, /* Podman 4.3 lets the first govern both: always together */
                .ignore_static_mac = other,
                .print_stats = true,
                .timeout_ms = m->o->restore_timeout_ms,
        };
}

int ts_open_import(struct ts_mig *m, struct ts_err *err)
{
        struct ts_restore opts;

        ts_archive_predial(m, &m->dst);
        import_options(m, &opts);
        opts.dial = m->dst.archive;
        return ts_api_restore(m->dst.api, "import", &opts, &m->import, err);
}

/* ---- archive: the filter ---- */
static bool is_volume(const struct ts_mig *m, const char *entry)
{
        for (size_t i = 0; i < m->n_data; i++) {
                ts_auto_free char *name = m->data[i].is_volume ? ts_fmt("volumes/%s.tar", m->data[i].mount->name) : NULL;

                if (ts_streq0(name, entry))
                        return true;
        }
        return false;
}

struct filter {
        struct ts_mig *m;
        const struct ts_sink *sink;
};

static int on_entry(void *ctx, const struct ts_tar_entry *e, enum ts_tar_verdict *ret, struct ts_err *err)
{
        struct ts_mig *m = ((struct filter *)ctx)->m;

        *ret = TS_TAR_PASS;
        if (ts_starts(e->name, "volumes/") && !is_volume(m, e->name))
                return ts_err_set(err, TS_EPROTO, "the export holds '%s', a volume the container does not have", e->name);
        if (ts_starts(e->name, "volumes/") || !strcmp(e->name, "rootfs-diff.tar") ||
            !strcmp(e->name, "deleted.files") || (m->log_from && !strcmp(e->name, OWN_LOG)))
                *ret = TS_TAR_DROP; /* ours are complete; Podman can be asked to leave none of them out, and makes them while the container is frozen */
        else if (!strcmp(e->name, "stats-dump"))
                *ret = TS_TAR_CAPTURE;
        else if (ts_record_changes(m) && !strcmp(e->name, "config.dump"))
                *ret = TS_TAR_TAKE;
        else if (ts_starts(e->name, DUMP "core-") && e->size_bytes <= CAPTURE_MAX)
                *ret = TS_TAR_TAKE;
        else if (ts_starts(e->name, DUMP "pages-"))
                m->r->bytes.memory += e->size_bytes;
        return 0;
}

static int edit_record(const struct filter *f, const char *data, size_t len, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *record = NULL;
        ts_auto_free char *text = NULL;

        if (ts_json_parse(data, len, CAPTURE_MAX, &record, err) < 0 || ts_record_change(f->m, record, err) < 0)
                return ts_err_prefix(err, "the container's record");
        text = ts_json_text(record, false);
        return text ? ts_tar_file(f->sink, "config.dump", 0600, text, strlen(text), err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int pass_repaired(const struct filter *f, const struct ts_tar_entry *e, const char *data,
                         size_t len, struct ts_err *err)
{
        ts_auto_free char *image = malloc(len + 1);

        if (!image)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        memcpy(image, data, len);
        (void)ts_dump_repair(e->name + strlen(DUMP), image, len);
        return ts_tar_file(f->sink, e->name, e->mode, image, len, err);
}

static int on_captured(void *ctx, const struct ts_tar_entry *e, const void *data, size_t len, struct ts_err *err)
{
        struct ts_report *r = ((struct filter *)ctx)->m->r;

        if (!strcmp(e->name, "config.dump"))
                return edit_record(ctx, data, len, err);
        if (ts_starts(e->name, DUMP))
                return pass_repaired(ctx, e, data, len, err);
        (void)ts_criu_stats_parse_dump(data, len, &r->dump, NULL); /* figures only: a move does not fail for them */
        r->pages = (struct ts_report_pages){ .total = r->dump.pages_written + r->dump.pages_skipped_parent, .sent = r->dump.pages_written, .deduplicated = r->dump.pages_skipped_parent };
        return 0;
}

static int filter_archive(struct ts_mig *m, const struct ts_sink *sink, struct ts_err *err)
{
        struct filter both = { .m = m, .sink = sink };
        struct ts_tar_filter f = { .entry = on_entry,
                                   .captured = on_captured,
                                   .ctx = &both,
                                   .capture_max = CAPTURE_MAX,
                                   .stall_ms = STALL_MS,
                                   .progress = ts_mig_progress,
                                   .progress_ctx = m };
        int rc;

        m->progress_what = "memory and files";
        m->progress_total = 0;
        rc = ts_tar_filter_run(ts_call_body_fd(m->dump), &f, sink, &m->r->bytes.archive, err);
        if (rc < 0)
                return ts_err_prefix(err, "the export");
        rc = ts_call_finish(m->dump, NULL, NULL, NULL, NULL, err);
        return rc < 0 ? ts_err_prefix(err, "the export") : 0;
}

/* ---- archive: the root file system's difference, whole ---- */
static int copy_proc(struct ts_proc *p, const struct ts_sink *sink, uint64_t size_bytes, struct ts_err *err)
{
        ts_auto_free char *buf = malloc(1 << 16);
        uint64_t left = size_bytes;

        if (!buf)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (;;) {
                ssize_t n = ts_read_some(ts_proc_fd(p), buf, 1 << 16, ts_deadline_in_ms(STALL_MS), true, err);

                if (n < 0)
                        return -1;
                if (n == 0)
                        break;
                if ((uint64_t)n > left)
                        return ts_err_set(err, TS_EPROTO, "tar gave more than it announced");
                left -= (uint64_t)n;
                if (sink->write(sink->ctx, buf, (size_t)n, err) < 0)
                        return -1;
        }
        if (left)
                return ts_err_set(err, TS_EPROTO, "tar gave less than it announced");
        return ts_proc_finish(p, ts_deadline_in_ms(TAR_WAIT_MS), err);
}

static int add_diff(struct ts_mig *m, const struct ts_rootfs_plan *plan, const struct ts_sink *sink, struct ts_err *err)
{
        ts_auto_free char *list = ts_fmt("%s/rootfs.list", m->src.staging);
        ts_auto(ts_proc) struct ts_proc *tar = NULL;
        uint64_t size = 0;

        if (!list)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_rootfs_diff_size(m->src.host, m->c->upper_dir, plan, &size, err) < 0 || ts_tar_header(sink, "rootfs-diff.tar", 0600, size, 0, err) < 0 ||
            ts_rootfs_diff_start(m->src.host, m->c->upper_dir, plan, list, &tar, err) < 0 || copy_proc(tar, sink, size, err) < 0)
                return -1;
        m->r->bytes.rootfs = size;
        return ts_tar_pad(sink, size, err);
}

/* Podman from 5.8.2 on resolves a path of deleted.files before it removes it (rootfs.h). */
static bool follows_deleted_links(const struct ts_engine_info *i)
{
        return i->v[0] > 5 || (i->v[0] == 5 && (i->v[1] > 8 || (i->v[1] == 8 && i->v[2] >= 2)));
}

/* An import keeps the source's ID and leaves what else is in the archive in the container's directory: by this file it is known whose import it was (stub.c). */
static int add_mark(struct ts_mig *m, const struct ts_sink *sink, struct ts_err *err)
{
        ts_auto_free char *name = ts_fmt("tranship-%s", m->id);

        return name ? ts_tar_file(sink, name, 0600, "", 0, err)
                    : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* Made from the upper directory itself, not from the engine's list of changes: that one is wrong for directories removed and made again (rootfs.h), and asking costs downtime. */
static int add_rootfs(struct ts_mig *m, const struct ts_sink *sink, struct ts_err *err)
{
        ts_auto_rootfs_plan plan = { 0 };

        if (!m->c->upper_dir)
                return ts_err_set(err, TS_EENGINE, "the engine does not say where the container's root file system changes are");
        if (ts_rootfs_diff_plan(m->src.host, m->c->upper_dir, (const char *const *)m->c->lower_dirs.v, m->c->lower_dirs.n, NULL, 0, &plan, err) < 0)
                return ts_err_prefix(err, "root file system changes");
        if (plan.deleted_links.n && follows_deleted_links(m->dst.info)) {
                ts_err_set(err, TS_EREFUSED, "the container removed the symbolic link '%s' of its image, and this version of Podman would remove what it points to instead", plan.deleted_links.v[0]);
                return ts_err_hint(err, "move it with --cold, or to a Podman older than 5.8.2");
        }
        if (plan.include.n && add_diff(m, &plan, sink, err) < 0)
                return ts_err_prefix(err, "root file system changes");
        return plan.deleted_json ? ts_tar_file(sink, "deleted.files", 0600, plan.deleted_json, strlen(plan.deleted_json), err) : 0;
}

/* Its own place for a log that is elsewhere: a link (log_file.c). */
static int add_log(struct ts_mig *m, const struct ts_sink *sink, struct ts_err *err)
{
        return (m->log_to && ts_tar_link(sink, OWN_LOG, m->log_to, err) < 0) ||
                               ts_log_copy(m, err) < 0
                       ? -1
                       : 0;
}

/* ---- archive: scp ---- */
/* The request's header comes through the channel up to its empty line, then the segments from the disk there, then what else comes through the channel: the withheld end. If the channel dies before that end
 * the body is short of its announced length and the engine discards it, as it does where a segment is missing. $1 directory, $2 socket, $3 program, $4 what unpacks the segments. */
static const char feed_script[] = "cr=$(printf '\\r'); "
                                  "{ while IFS= read -r l; do printf '%s\\n' \"$l\"; [ \"$l\" = \"$cr\" ] && break; done; "
                                  "  if [ -n \"$4\" ]; then cat -- \"$1\"/seg.* | \"$4\" unpack || exit 1; else for f in \"$1\"/seg.*; do cat -- \"$f\" || exit 1; done; fi; "
                                  "exec cat; } | \"$3\" --remote --url \"unix://$2\" system dial-stdio";

static int dial_feed(void *ctx, int *ret_fd, struct ts_err *err)
{
        struct ts_mig *m = ctx;
        const char *const argv[] = { "/bin/sh", "-c", feed_script, "sh", m->dst.staging, m->dst.socket, m->o->podman, m->packer ? m->dst.agent : "", NULL };

        if (m->feed)
                return ts_err_set(err, TS_EINTERNAL, "the import is sent once");
        if (ts_host_start(m->dst.host, argv, &m->feed, err) < 0)
                return ts_err_prefix(err, "feeding the segments to the engine");
        *ret_fd = fcntl(ts_proc_fd(m->feed), F_DUPFD_CLOEXEC, 0);
        return *ret_fd < 0 ? ts_err_errno(err, errno, "feeding the segments") : 0;
}

static int open_fed_import(struct ts_mig *m, struct ts_err *err)
{
        struct ts_dial dial = { .dial = dial_feed, .ctx = m };
        struct ts_restore opts;
        uint64_t sent = 0;

        if ((m->packer && ts_packer_end(m->packer, err) < 0) || ts_scp_out_flush(m->scp, &sent, err) < 0)
                return ts_err_prefix(err, "segments on the target host");
        import_options(m, &opts);
        opts.declared_bytes = m->archive_bytes + END_OF_TAR_BYTES;
        opts.own_bytes = END_OF_TAR_BYTES;
        opts.dial = &dial;
        return ts_api_restore(m->dst.api, "import", &opts, &m->import, err);
}

/* ---- archive ---- */
static int transfer_archive(struct ts_mig *m, struct ts_err *err)
{
        bool scp = m->o->transfer == TS_TRANSFER_SCP;
        struct ts_sink sink = { .write = scp ? segment_write : import_write, .ctx = m };

        /* What does not ride in it, volumes and bind mounts, comes beside it */
        if (ts_places_begin(m, /* final= */ true, err) < 0 || filter_archive(m, &sink, err) < 0 ||
            ts_fault("transfer", "half", err) < 0 || add_rootfs(m, &sink, err) < 0 ||
            add_mark(m, &sink, err) < 0 || add_log(m, &sink, err) < 0 || ts_places_wait(m, err) < 0)
                return -1;
        m->phase_bytes += m->archive_bytes;
        return scp ? open_fed_import(m, err) : 0;
}

/* ---- in place ---- */
/* Somebody who started it, even for a moment, changed files of it. */
static int still_created(struct ts_mig *m, struct ts_err *err)
{
        ts_auto(ts_container) struct ts_container *there = NULL;

        if (ts_api_inspect(m->dst.api, m->dst_id, &there, err) < 0)
                return ts_err_prefix(err, "the container prepared on the target");
        return there->state == TS_STATE_CREATED ? 0 : ts_err_set(err, TS_ECONFLICT, "somebody started the container prepared on the target");
}

static int transfer_in_place(struct ts_mig *m, struct ts_err *err)
{
        /* What has to be done before the restore anyway, while the last bytes are on their way (checkpoint.c). */
        if ((m->strategy != TS_COLD &&
             ts_journal_res_state(m->j, m->dump_resource, TS_RES_MADE, err) < 0) ||
            ts_mig_decides(m, err) < 0)
                return -1;
        if (ts_fault("transfer", "half", err) < 0 || ts_places_wait(m, err) < 0)
                return -1;
        return ts_log_copy(m, err) < 0 ? -1 : still_created(m, err);
}

int ts_phase_transfer(struct ts_mig *m, struct ts_err *err)
{
        return m->strategy == TS_ARCHIVE ? transfer_archive(m, err) : transfer_in_place(m, err);
}
