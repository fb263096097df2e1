/* Descriptors and files. Everything is CLOEXEC, bounded, and has a deadline where a peer is involved. */
#ifndef TRANSHIP_BASE_IO_H
#define TRANSHIP_BASE_IO_H

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Set by the command line's signal handlers; every wait below looks at it unless told not to. 0, or the signal's number. */
extern volatile sig_atomic_t ts_stop_signal;
/* While not 0 the handlers leave ts_stop_signal alone: what runs must not be stopped (a rollback, the clean-up after the commit). */
extern volatile sig_atomic_t ts_stop_hold;
extern volatile sig_atomic_t ts_stop_held; /* the one that came meanwhile, or 0 */
/* What a write may raise is that write's error from here on (EPIPE, EFBIG at a limit of a file's
 * size), or nothing at all (a job in the background writes to its terminal): a log that is full
 * must not end, or stop, what has a container in its hands. For a program's start; spawned
 * programs get the defaults back. */
void ts_ignore_write_signals(void);

int ts_set_nonblock(int fd, bool on, struct ts_err *err);
int ts_socketpair(int ret_fds[2], struct ts_err *err); /* AF_UNIX stream, CLOEXEC, blocking */
/* The same for what carries much: up to 1 MiB lies between its ends, or what the kernel allows this user. */
int ts_socketpair_wide(int ret_fds[2], struct ts_err *err);
int ts_pipe(int ret_fds[2], struct ts_err *err);
/* Until poll() says one of the events, or that something is wrong. what: "reading", "writing", for messages. TS_ETIMEOUT, TS_ECANCELED when cancellable and a signal came. */
int ts_wait_fd(int fd, short events, const char *what, ts_deadline deadline, bool cancellable, struct ts_err *err);
bool ts_fd_quiet(int fd); /* a connection that has neither ended nor been spoken to */
/* Works on blocking and non-blocking descriptors (polls). TS_ETIMEOUT, TS_EIO (EPIPE: TS_ECONNECT), TS_ECANCELED when cancellable and a signal came. */
int ts_write_all(int fd, const void *data, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err);
/* At most len bytes; returns the count, 0 at the end, -1 with err. */
ssize_t ts_read_some(int fd, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err);
/* Exactly len bytes, or TS_EPROTO "ended early". */
int ts_read_exact(int fd, void *buf, size_t len, ts_deadline deadline, bool cancellable, struct ts_err *err);
/* Exactly len bytes of a file at `from`, or TS_EPROTO "ends at". No deadline: a file. */
int ts_read_at(int fd, void *buf, size_t len, uint64_t from, struct ts_err *err);
/* Until the end; TS_ELIMIT past s->max. */
int ts_read_to_end(int fd, struct ts_str *s, ts_deadline deadline, struct ts_err *err);

/* The whole of a file of at most max bytes. TS_ENOTFOUND, TS_ELIMIT, TS_EIO. Caller clears. */
int ts_file_read(const char *path, size_t max, struct ts_str *ret, struct ts_err *err);
/* Writes to path.tmp-PID, fsyncs, renames, fsyncs the directory. TS_EUSAGE for a device, a pipe or a socket: it stays what it is. */
int ts_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct ts_err *err);
/* mkdir -p; new directories get mode. */
int ts_mkdir_p(const char *path, mode_t mode, struct ts_err *err);
/* $HOME of the user whose set-up counts: under sudo the caller's (SUDO_UID), otherwise the password entry's. Caller frees; NULL when unknown. */
char *ts_user_home(void);
/* /var/lib/tranship for root, else $XDG_STATE_HOME/tranship or ~/.local/state/tranship; $TRANSHIP_STATE_DIR first. Caller frees. */
char *ts_state_dir(void);

#endif
