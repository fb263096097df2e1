/* What a directory tree consists of, as messages: read from one host's file system, made on
 * another's.
 *
 * All of it travels: type, permissions, owner, times to the nanosecond, devices, extended
 * attributes (capabilities and ACLs are such, an overlay's whiteouts are devices and its opaque
 * directories have one). Not: access times, attributes of chattr (flags.h), SELinux labels (they
 * belong to the host), and the attributes in which an overlay keeps handles of its own file system.
 */
#ifndef TRANSHIP_TRANSFER_AGENT_ENTRY_H
#define TRANSHIP_TRANSFER_AGENT_ENTRY_H

#include "transfer/agent/frame.h"

#include <sys/stat.h>

#define TS_ENTRY_PATH_MAX 4095U

enum ts_entry_content {
        TS_ENTRY_META = 0, /* what is there stays; only what is said about it changes */
        TS_ENTRY_NEW,      /* a new object; of a regular file the content follows */
        TS_ENTRY_UPDATE,   /* a regular file that is there; what changed in it follows */
        TS_ENTRY_KEEP      /* of the root alone: it is as it is, for only some of what is in it travels */
};

struct ts_xattr {
        const char *name; /* NUL-terminated */
        const void *value;
        size_t len;
};
/* Owned by whoever filled it; ts_entry_clear(). */
struct ts_entry {
        enum ts_entry_content content;
        char *path;     /* relative to the root, "." for itself */
        char *link;     /* of a symbolic link, else NULL */
        struct stat st; /* st_mode, st_uid, st_gid, st_mtim, st_rdev, st_size */
        struct ts_xattr *xattrs;
        size_t n_xattrs;
        struct ts_str memory; /* of the attributes */
};
void ts_entry_clear(struct ts_entry *e);
#define ts_auto_entry __attribute__((cleanup(ts_entry_clear))) struct ts_entry

/* Fills link and attributes of an object that st describes. dir, name: where it is; fd: open on it, or -1 where it cannot be opened. TS_ENOTFOUND: it is gone. */
int ts_entry_read(int dir, const char *name, int fd, const char *path, const struct stat *st, struct ts_entry *ret, struct ts_err *err);
int ts_entry_put(struct ts_frame *f, const struct ts_entry *e, struct ts_err *err);
/* Everything checked: a path of plain components, a known type, no attribute that does not travel. TS_EPROTO. */
int ts_entry_get(const struct ts_frame *f, struct ts_entry *ret, struct ts_err *err);
/* A path alone, checked the same; "." only if root_too. Caller frees; NULL: u is bad. */
char *ts_entry_get_path(struct ts_unpack *u, bool root_too);
int ts_entry_put_path(struct ts_frame *f, const char *path, struct ts_err *err);

/* Makes an object that is neither a regular file nor there. */
int ts_entry_make(int dir, const char *name, const struct ts_entry *e, struct ts_err *err);
/* Owner, permissions, attributes (others are removed), time. fd: open on it for a regular file or directory, else -1. */
int ts_entry_apply(int dir, const char *name, int fd, const struct ts_entry *e, struct ts_err *err);

#endif
