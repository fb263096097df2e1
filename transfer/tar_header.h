/* What one header of a tar archive says: internal to the archive code, nothing here reads or writes.
 *
 * Where two readers of tar are known to disagree (GNU tar and Go's archive/tar: a size on an entry without content, a long name given
 * twice, a name in a global header) the header is refused instead of guessed at, because what the filter saw must be what the engine
 * unpacks. Knowledge: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format". Errors:
 * TS_EPROTO, TS_ENOMEM. */
#ifndef TRANSHIP_TRANSFER_TAR_HEADER_H
#define TRANSHIP_TRANSFER_TAR_HEADER_H

#include "base/err.h"
#include "transfer/archive.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        TS_TAR_BLOCK = 512,
        TS_TAR_NAME_MAX = 4096,
        TS_TAR_META_MAX = 1 << 20 /* one extension header; Go's reader has the same bound */
};
#define TS_TAR_SIZE_MAX ((uint64_t)INT64_MAX - 2 * TS_TAR_BLOCK)
#define TS_TAR_OCTAL_MAX 077777777777u /* what eleven digits hold */

/* The block as it lies in the stream. */
struct ts_tar_raw {
        char name[100];
        char mode[8];
        char uid[8];
        char gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char type;
        char link[100];
        char magic[6];
        char version[2];
        char uname[32];
        char gname[32];
        char major[8];
        char minor[8];
        char prefix[155];
        char unused[12];
};
_Static_assert(sizeof(struct ts_tar_raw) == TS_TAR_BLOCK, "a tar header is one block");

/* What extension headers (x, g, L, K) say about the entry that follows them. Zero-initialise; ts_tar_overlay_clear() after the entry. */
struct ts_tar_overlay {
        char *name, *link, *sparse_name;
        uint64_t size;
        bool has_size;
        bool sparse;
        unsigned seen; /* a bit per kind of extension header */
};
void ts_tar_overlay_clear(struct ts_tar_overlay *o);
/* type: x, g, L or K; data: its content. */
int ts_tar_overlay_add(struct ts_tar_overlay *o, char type, const char *data, size_t len, struct ts_err *err);

/* Each record of a pax header, in order; key and value are not terminated. fn's -1 ends the walk. */
typedef int (*ts_tar_pax_fn)(void *ctx, const char *key, size_t key_len, const char *value, size_t len, struct ts_err *err);
int ts_tar_pax_each(const char *data, size_t len, ts_tar_pax_fn fn, void *ctx, struct ts_err *err);

int ts_tar_raw_check(const struct ts_tar_raw *h, struct ts_err *err); /* the checksum, signed or unsigned */
int ts_tar_raw_size(const struct ts_tar_raw *h, uint64_t *ret, struct ts_err *err);
int ts_tar_raw_device(const struct ts_tar_raw *h, uint64_t *ret_major, uint64_t *ret_minor, struct ts_err *err);
/* All checks of an entry; size is the one that counts (the overlay's where it has one). Fields of the overlay may be taken over. */
int ts_tar_entry_build(const struct ts_tar_raw *h, struct ts_tar_overlay *o, uint64_t size, struct ts_tar_entry *ret, struct ts_err *err);
void ts_tar_entry_clear(struct ts_tar_entry *e);

/* Relative, no "..", at most TS_TAR_NAME_MAX bytes; "." components and doubled or trailing slashes go, so that "./a" and "a" are one name
 * here, as they are to whoever unpacks them. The root of the archive is ".". */
int ts_tar_name_clean(const char *raw, char **ret, struct ts_err *err);
size_t ts_tar_padding(uint64_t size_bytes); /* zero bytes up to the next block */

#endif
