/* The files of a container beyond its image: what lies in the upper directory of an overlay mount.
 *
 * For the archive strategy: what Podman's import applies to a fresh root, a tar of what was added or changed and a list of what was deleted. (In place and cold moves bring the directory over as it is,
 * through agents: transfer/ship.h.)
 *
 * Hosts need root, GNU tar (1.27), find and xargs; busybox has others (a preflight asks). Every call blocks and runs commands on the host
 * unless it says otherwise. Nobody may write to the directories meanwhile (the container is frozen or stopped).
 * Sockets do not travel: CRIU makes those of the processes anew. Neither do SELinux labels (they belong to the host's policy), inode
 * flags (chattr) or access times; several names of one FIFO or device become several of them.
 *
 * Knowledge. Kernel, Documentation/filesystems/overlayfs.rst: a deleted name is a character device 0:0 in the upper; a directory that
 * hides the one below it has the attribute trusted.overlay.opaque=y, and a new directory gets it too where nothing is below; origin,
 * impure, nlink, uuid and the like hold handles of one file system. Podman 4.3.1, 5.4.2 and 5.8.2, libpod/container_internal_common.go
 * and pkg/checkpoint/crutils: the restore unpacks rootfs-diff.tar first and then removes every path of deleted.files with all that is
 * below. Its `changes` call reports a directory that was removed and made again as deleted and its new children as added, so its own list
 * would remove them: the plan below lists what the upper hides instead. The call fails where a file of the image became a directory with
 * children (ENOTDIR); changes may then be NULL. The unpacking refuses relative symbolic links that lead above the root. */
#ifndef TRANSHIP_TRANSFER_ROOTFS_H
#define TRANSHIP_TRANSFER_ROOTFS_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "transfer/host.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As the engines' changes call numbers them. */
enum ts_rootfs_kind { TS_ROOTFS_MODIFIED = 0, TS_ROOTFS_ADDED = 1, TS_ROOTFS_DELETED = 2 };
struct ts_rootfs_change {
        enum ts_rootfs_kind kind;
        const char *path; /* absolute, in the container; borrowed */
};

/* Zero-initialise; ts_rootfs_plan_clear() when done. */
struct ts_rootfs_plan {
        /* Relative paths, parents first; directories too, so that their modes and owners travel; nothing recursive. */
        struct ts_list include;
        /* Absolute paths, sorted: what is below and must not be there. */
        struct ts_list deleted;
        /* Those of deleted that are symbolic links in the image. Podman >= 5.8.2 resolves such a path and removes what the link points to: with
         * such an engine the archive way must be refused while this is not empty. */
        struct ts_list deleted_links;
        char *deleted_json; /* content of deleted.files (a JSON array); NULL when nothing is deleted */
};
void ts_rootfs_plan_clear(struct ts_rootfs_plan *p);
#define ts_auto_rootfs_plan __attribute__((cleanup(ts_rootfs_plan_clear))) struct ts_rootfs_plan

/* Decides what travels. upper and lowers: absolute paths on the host, lowers from the top one down (inspect's LowerDir, split at colons).
 * changes: the answer of the engine's changes call, kinds 0 and 1 choose what is included; or NULL: all of the upper but what Podman
 * itself puts there (/etc/hosts and the like). What is deleted always comes from the upper and the lowers; changes of kind 2 are not
 * looked at. TS_EREFUSED: what the diff cannot carry (a change that is not in the upper; a file that only refers to the image, as with
 * metacopy or redirect_dir; a symbolic link that leads above the root; a deleted name that is not UTF-8). TS_EUSAGE: a path that is not
 * absolute. TS_ELIMIT, and what ts_host_run() says. */
int ts_rootfs_diff_plan(struct ts_host *h, const char *upper, const char *const lowers[], size_t n_lowers,
                        const struct ts_rootfs_change *changes, size_t n_changes, struct ts_rootfs_plan *ret, struct ts_err *err);

/* Size of the tar that ts_rootfs_diff_start() will give, to the byte, with its closing blocks; 0 when the plan includes nothing. No
 * content is read. */
int ts_rootfs_diff_size(struct ts_host *h, const char *upper, const struct ts_rootfs_plan *p, uint64_t *ret_bytes, struct ts_err *err);

/* Writes the list of names to list_path on the host (0600; its directory exists; the caller removes it afterwards) and starts the tar.
 * Its standard input is ended already; read ts_proc_fd() to the end, then ts_proc_finish(). PAX format; owners as numbers, times to the
 * nanosecond, extended attributes (capabilities and ACLs among them) but the overlay's own, holes as holes, hard links. TS_EUSAGE when
 * the plan includes nothing. */
int ts_rootfs_diff_start(struct ts_host *h, const char *upper, const struct ts_rootfs_plan *p, const char *list_path, struct ts_proc **ret,
                         struct ts_err *err);

#endif
