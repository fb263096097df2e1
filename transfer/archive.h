/* Tar streams: what a Podman export holds, repaired and split while it flows. Input is hostile.
 *
 * Formats: ustar, PAX (x and g headers), GNU long names; the layout of a checkpoint archive is in the engines' checkpointctl metadata
 * (config.dump, spec.dump, network.status, stats-dump, ctr.log, devshm-checkpoint.tar, checkpoint/…, rootfs-diff.tar, deleted.files, volumes/NAME.tar).
 * No entry is ever written to a file system by this code. */
#ifndef TRANSHIP_TRANSFER_ARCHIVE_H
#define TRANSHIP_TRANSFER_ARCHIVE_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "transfer/host.h"
#include <stdint.h>

struct ts_tar_entry {
        char *name;     /* as in the archive, checked: relative, no "..", no NUL, at most 4096 bytes; trailing slash removed */
        char *link;     /* target of a link, or NULL */
        char type;      /* '0' file, '1' hard link, '2' symlink, '3' char, '4' block, '5' directory, '6' FIFO */
        uint32_t mode;  /* permission bits */
        uint64_t size_bytes; /* of the content in the stream; 0 unless type '0' */
};

/* What to do with one entry. The filter asks once an entry. */
enum ts_tar_verdict {
        TS_TAR_PASS,    /* header and content go to the output unchanged */
        TS_TAR_DROP,    /* the content is read and thrown away */
        TS_TAR_CAPTURE, /* kept in memory (at most capture_max) and handed to captured(); also passed on */
        TS_TAR_TAKE     /* the same, not passed on: captured() may write another one to the output */
};
struct ts_tar_filter {
        int (*entry)(void *ctx, const struct ts_tar_entry *e, enum ts_tar_verdict *ret, struct ts_err *err); /* returning -1 with err set stops everything */
        int (*captured)(void *ctx, const struct ts_tar_entry *e, const void *data, size_t len, struct ts_err *err); /* may be NULL */
        void *ctx;
        size_t capture_max;     /* bytes; larger is TS_ELIMIT */
        uint64_t max_entries;   /* 0 = 1,000,000 */
        unsigned stall_ms;      /* no byte moved for this long is TS_ETIMEOUT; 0 = never */
        ts_progress_fn progress; /* bytes read so far; may be NULL */
        void *progress_ctx;
};

/* Where filtered bytes go. Writing returns 0, or -1 with err. */
struct ts_sink {
        int (*write)(void *ctx, const void *data, size_t len, struct ts_err *err);
        void *ctx;
};

/* Reads a tar stream from in_fd to its end and writes the entries that pass to out, WITHOUT the closing zero blocks: more entries can follow, then ts_tar_end().
 * A PAX or GNU header travels with its entry. Errors: TS_EPROTO (bad checksum, absolute name, "..", truncated, trailing garbage that is not zero, an entry larger than
 * the stream), TS_ELIMIT, whatever the sink or callbacks say. A stream that ends without the two zero blocks is TS_EPROTO "truncated". Constant memory. */
int ts_tar_filter_run(int in_fd, const struct ts_tar_filter *f, const struct ts_sink *out, uint64_t *ret_bytes_in, struct ts_err *err);

/* A file of a dump, in memory: what is changed in it before anybody restores it
 * (transfer/agent/core_image.h). Was there anything? */
bool ts_dump_repair(const char *name, void *data, size_t len);

/* Writes one header (ustar, with a PAX header where name or size need it) for a regular file of size_bytes, root-owned; the caller writes the content and ts_tar_pad(). */
int ts_tar_header(const struct ts_sink *out, const char *name, uint32_t mode, uint64_t size_bytes, uint64_t mtime_s, struct ts_err *err);
int ts_tar_pad(const struct ts_sink *out, uint64_t size_bytes, struct ts_err *err); /* zero bytes up to the next multiple of 512 */
int ts_tar_file(const struct ts_sink *out, const char *name, uint32_t mode, const void *data, size_t len, struct ts_err *err); /* header + content + pad */
int ts_tar_link(const struct ts_sink *out, const char *name, const char *to,
                struct ts_err *err); /* a symbolic link; nothing follows */
int ts_tar_end(const struct ts_sink *out, struct ts_err *err); /* the two zero blocks */

#endif
