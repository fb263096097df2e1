/* Starts a program on this machine: fork and exec with exactly three descriptors, a clean signal state and a process group of its own.
 *
 * No shell. The child gets no PDEATHSIG (it would fire when the *thread* that forked ends): it learns of our death by the end of its input. */
#ifndef TRANSHIP_TRANSFER_SPAWN_H
#define TRANSHIP_TRANSFER_SPAWN_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <sys/types.h>

/* As whom the child runs. */
struct ts_user {
        bool switch_to; /* false: as ourselves, the rest is not looked at but for home */
        uid_t uid;
        gid_t gid;
        char *name; /* owned */
        char *home; /* owned; of the user that counts, also when there is no switch */
};
void ts_user_clear(struct ts_user *u);
/* Whose SSH set-up counts: under sudo (we are root and SUDO_UID names somebody else) the caller's, otherwise our own. */
int ts_user_calling(struct ts_user *ret, struct ts_err *err);

struct ts_spawn {
        const char *const *argv;    /* NULL-terminated; argv[0] is looked up in PATH */
        int in, out, errs;          /* descriptors for 0, 1, 2; -1 = /dev/null. Borrowed */
        const struct ts_user *user; /* NULL: as ourselves */
};
/* 0 and the child's PID (also its process group). A program that cannot be executed exits with 127 (not found) or 126 and says so on its stderr,
 * as a shell would: local and remote commands then fail alike. */
int ts_spawn(const struct ts_spawn *s, pid_t *ret_pid, struct ts_err *err);

/* Has the child ended? It stays to be reaped. For kernels without pidfd_open(2). */
bool ts_has_ended(pid_t pid);
#define TS_CHILD_LOOK_MS 20 /* how often to ask, then */
/* Waits for the child's end, at most until deadline; then it is killed and TS_ETIMEOUT. *ret_status as in ts_wait_status(). */
int ts_reap(pid_t pid, ts_deadline deadline, int *ret_status, struct ts_err *err);
/* What waitpid() said, as a shell would put it: the exit status, or 128 + the signal. */
int ts_wait_status(int raw);
/* Ends the child's group with SIGKILL and reaps the child. Nothing for pid <= 0. */
void ts_kill_and_reap(pid_t pid);

#endif
