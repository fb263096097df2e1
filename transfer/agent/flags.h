/* The attributes of chattr that travel with a file: that it is immutable, or only appended to, and
 * who should leave it alone (nodump, noatime, sync, dirsync). Others belong to the file system
 * (nocow, compression, verity, projects).
 *
 * An immutable file can be neither written to nor removed, so they are set last of all, and taken
 * away again before anything of ours is removed: on a host the agent's program, started as `unflag
 * DIR`, takes immutable and append-only from everything below, without following links and without
 * leaving the file system. */
#ifndef TRANSHIP_TRANSFER_AGENT_FLAGS_H
#define TRANSHIP_TRANSFER_AGENT_FLAGS_H

#include "base/err.h"

#define TS_FLAGS_ALL                                                                               \
        (0x10U /* immutable */ | 0x20U /* append-only */ | 0x08U /* sync */ | 0x40U /* nodump */ | \
         0x80U /* noatime */ | 0x10000U /* dirsync */)

/* Of an open regular file or directory; 0 where there are none. */
unsigned ts_flags_of(int fd);
/* What is at that name of dir, if it is a regular file or a directory on the file system dev: that
 * can be opened without doing anything. -1: it is not, errno says why. */
int ts_flags_open(int dir, const char *name, unsigned long long dev);
/* Those of TS_FLAGS_ALL become these, the others stay. -1: errno. */
int ts_flags_set(int fd, unsigned flags);
/* The exit status: 0 when nothing is left that could not be removed. */
int ts_unflag_main(const char *path);

#endif
