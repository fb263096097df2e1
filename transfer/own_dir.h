/* Directories of ours on a host, where root's files lie: each part of their path is root's and
 * nobody else can change it.
 *
 * Then names are as good as descriptors: nobody but root can put anything else in the place of a
 * part, for that is done in the one above it. So a path is looked at from the top, each part
 * without following links, and what is missing is made (0700) where everything above it was seen to
 * be safe. */
#ifndef TRANSHIP_TRANSFER_OWN_DIR_H
#define TRANSHIP_TRANSFER_OWN_DIR_H

#include "transfer/host.h"

#define TS_OWN_TOP "/var/lib/tranship"
#define TS_STAGING_DIR TS_OWN_TOP "/staging"

/* A shell function: `unsafe PATH HOW` prints which part of the path is not safe, and why, and
 * succeeds; it fails where all of what there is of it is safe. HOW: "make" makes what is missing;
 * "sticky" allows directories that everybody may write to but where nobody can take away what is
 * another's, for who makes what he wants in it exclusively. */
#define TS_UNSAFE_SH                                                                              \
        "unsafe() { ( set -f; h=$2; IFS=/; set -- $1; IFS=' '; p=''; "                            \
        "while :; do why=''; "                                                                    \
        "s=$(LC_ALL=C stat -c '%u %g %a %F' -- \"${p:-/}\" 2>/dev/null); "                        \
        "if [ -z \"$s\" ]; then [ \"$h\" = make ] || exit 1; mkdir -m 0700 -- \"$p\" "            \
        "2>/dev/null; "                                                                           \
        "s=$(LC_ALL=C stat -c '%u %g %a %F' -- \"$p\" 2>&1) || { printf '%s\\n' \"$s\"; exit 0; " \
        "}; fi; "                                                                                 \
        "u=${s%% *} s=${s#* }; g=${s%% *} s=${s#* }; a=${s%% *} t=${s#* }; "                      \
        "case $a in *[2367]) why='is writable by everybody';; *[2367]?) why=\"is writable by "    \
        "group $g\";; esac; "                                                                     \
        "case $h$a in sticky[1357][0-7]*) why='';; esac; "                                        \
        "[ \"$u\" = 0 ] || why=\"belongs to user $u\"; "                                          \
        "case $t in directory) ;; 'symbolic link') why='is a symbolic link';; *) why='is no "     \
        "directory';; esac; "                                                                     \
        "[ -z \"$why\" ] || { printf '%s\\n' \"'${p:-/}' $why\"; exit 0; }; "                     \
        "while [ $# -gt 0 ] && [ -z \"$1\" ]; do shift; done; [ $# -gt 0 ] || exit 1; p=$p/$1; "  \
        "shift; "                                                                                 \
        "done ) }; "

/* The directory is there, and safe. TS_EREFUSED: it is not, and why; TS_ECOMMAND: it cannot be
 * made. */
int ts_own_dir(struct ts_host *h, const char *path, struct ts_err *err);
/* What there is of it is safe: nothing is made. sticky: as above. */
int ts_own_dir_check(struct ts_host *h, const char *path, bool sticky, struct ts_err *err);

#endif
