/* What lies in an upper directory: internal to rootfs.c. */
#ifndef TRANSHIP_TRANSFER_ROOTFS_SCAN_H
#define TRANSHIP_TRANSFER_ROOTFS_SCAN_H

#include "base/err.h"
#include "base/str.h"
#include "transfer/host.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ts_upper_node {
        const char *path; /* relative, no slash at the end */
        const char *link; /* of a symbolic link, else "" */
        char type;        /* as find -printf %y: f d l c b p s */
        bool hollow;      /* a file with a size and no blocks: may be nothing but a reference to the image */
        bool whiteout;    /* a deleted name */
        bool opaque;      /* a directory that hides what is below it */
        bool refers;      /* its content, or that of the directory, is somewhere below (metacopy, redirect) */
};
struct ts_upper {
        struct ts_upper_node *v; /* sorted by path: parents come first */
        size_t n;
        struct ts_str text; /* what v points into */
};
void ts_upper_clear(struct ts_upper *u);
#define ts_auto_upper __attribute__((cleanup(ts_upper_clear))) struct ts_upper

/* Two commands on the host, whatever the number of files. TS_EUSAGE when dir is not absolute. */
int ts_upper_scan(struct ts_host *h, const char *dir, struct ts_upper *ret, struct ts_err *err);
/* NULL when there is none. len: bytes of path that count. */
const struct ts_upper_node *ts_upper_find(const struct ts_upper *u, const char *path, size_t len);

/* ts_host_run that must end with 0; output up to TS_UPPER_OUTPUT_MAX. input may be NULL. */
#define TS_UPPER_OUTPUT_MAX ((size_t)512 << 20)
int ts_upper_run(struct ts_host *h, const char *const argv[], const struct ts_str *input, struct ts_run_result *ret, struct ts_err *err);

#endif
