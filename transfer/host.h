/* A host: the machine an engine runs on. Local, or reached over SSH. Commands, files and dialled sockets, the same for both.
 *
 * Everything that flows is a plain descriptor: a remote command, a remote Unix socket and a local one look alike to the caller, so that
 * `api` (libcurl) and the relay need not know about SSH. For a remote side each flow has an SSH session of its own, driven by one thread
 * (libssh2 allows one caller a session; a session per flow also keeps one flow's full window from stopping another). docs/internals/tunnel.md
 * is the contract of that thread: half-close, errors, keepalive.
 *
 * Thread safety: ts_host_* may be called from several threads; a ts_proc belongs to one thread. */
#ifndef TRANSHIP_TRANSFER_HOST_H
#define TRANSHIP_TRANSFER_HOST_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

struct ts_host;
struct ts_proc;

struct ts_ssh_opts {
        const char *config_file; /* like `ssh -F`; NULL: the user's own */
        const char *identity;    /* like `ssh -i`; NULL: what the configuration says */
        const char *known_hosts; /* like UserKnownHostsFile; NULL: what the configuration says */
        bool accept_new;         /* an unknown host key is added to known_hosts (a changed one is always refused) */
        unsigned connect_timeout_ms;
        unsigned peer_timeout_ms; /* a flow whose keepalives stay unanswered for this long fails with TS_ECONNECT */
};

/* This machine. */
int ts_host_local(struct ts_host **ret, struct ts_err *err);
/* user@host, host, or an alias of the SSH configuration; port 0: as configured. Resolves with `ssh -G`, connects one control session and authenticates
 * (agent, keys; ProxyJump and ProxyCommand are honoured). Blocking, at most connect_timeout_ms per step.
 * TS_ECONNECT, TS_EAUTH (unknown or changed host key: the hint has the fingerprint and the command that would accept it; no key accepted), TS_ETIMEOUT. */
int ts_host_ssh(const char *user, const char *host, unsigned port, const struct ts_ssh_opts *opts, struct ts_host **ret, struct ts_err *err);
void ts_host_free(struct ts_host *h);
TS_DEFINE_AUTO(ts_host, ts_host_free);

const char *ts_host_name(const struct ts_host *h); /* "local" or what the user typed; borrowed */
const char *ts_host_address(const struct ts_host *h); /* what the SSH configuration says HostName is; "127.0.0.1" for this machine; borrowed */
bool ts_host_is_local(const struct ts_host *h);

/* Opens n spare SSH sessions ahead of time, so that the next flows start without a handshake. Failures are silent: the flow will tell. Non-blocking
 * (background threads); a no-op for the local host. */
void ts_host_warm(struct ts_host *h, unsigned n);

struct ts_run_opts {
        const void *input; /* standard input, or NULL for none */
        size_t input_len;
        size_t max_output;   /* bytes of stdout and of stderr kept, 0 = 1 MiB; more is TS_ELIMIT */
        unsigned timeout_ms; /* 0 = 30 s */
};
struct ts_run_result {
        int status; /* exit status, 128+n for signal n */
        struct ts_str out, err;
};
void ts_run_result_clear(struct ts_run_result *r);
#define ts_auto_run __attribute__((cleanup(ts_run_result_clear))) struct ts_run_result

/* Runs argv (NULL-terminated, no shell on a local host; quoted by ts_shell_quote for a remote one) to its end. 0 whatever its status; -1 only when it could not be run
 * or watched to its end: TS_ECONNECT, TS_ETIMEOUT, TS_ELIMIT. Uses the control session, one command at a time. If the control session was lost it is
 * connected anew once (the command itself is never repeated after it was sent). result is zero-initialised by the callee. */
int ts_host_run(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts, struct ts_run_result *ret, struct ts_err *err);
/* The same; a status other than 0 is TS_ECOMMAND with the last line of stderr as the message. ret_out (may be NULL) gets stdout without the last newline. */
int ts_host_check(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts, char **ret_out, struct ts_err *err);

/* Starts argv with a bidirectional descriptor: what is written there is its standard input, what it prints is read from there. */
int ts_host_start(struct ts_host *h, const char *const argv[], struct ts_proc **ret, struct ts_err *err);
int ts_proc_fd(const struct ts_proc *p);          /* borrowed; blocking */
int ts_proc_end_input(struct ts_proc *p);         /* its standard input ends (half-close) */
/* Waits for the end of the command: everything it printed must have been read (or the descriptor be at its end). Status as in ts_run_result; -1 with TS_ECONNECT when the connection broke
 * before the exit status came: the command may still run. A non-zero status is not an error here. */
int ts_proc_wait(struct ts_proc *p, ts_deadline deadline, int *ret_status, struct ts_err *err);
/* ts_proc_wait, but a non-zero status is TS_ECOMMAND with the tail of stderr. */
int ts_proc_finish(struct ts_proc *p, ts_deadline deadline, struct ts_err *err);
const char *ts_proc_stderr(const struct ts_proc *p); /* the last 4 KiB, after wait; borrowed */
void ts_proc_free(struct ts_proc *p);             /* ends it hard if it still runs: closes the channel, kills the local child */
TS_DEFINE_AUTO(ts_proc, ts_proc_free);

/* A connected descriptor to a Unix socket on the host. Remote: direct-streamlocal where libssh2 has it and sshd allows it, otherwise an exec channel
 * running fallback_argv (the engine's `system dial-stdio`; may be NULL). The descriptor is the caller's; closing it ends the tunnel and its thread. */
int ts_host_dial_unix(struct ts_host *h, const char *path, const char *const fallback_argv[], int *ret_fd, struct ts_err *err);

/* Called now and then while bytes flow; bytes are cumulative for this call. Returning non-zero stops the transfer with TS_ECANCELED. */
typedef int (*ts_progress_fn)(void *ctx, uint64_t bytes);

/* libssh2 SCP: exactly size_bytes from in_fd to path on the host with mode (0600 …). The parent directory must exist. A local host gets a plain file, O_EXCL not required.
 * TS_ENOSPC (the target's disk is full: known by df on the directory after a failure), TS_ECONNECT, TS_EIO, TS_EPROTO when in_fd ends early. Blocking. */
int ts_host_scp_send(struct ts_host *h, const char *path, unsigned mode, uint64_t size_bytes, int in_fd, ts_progress_fn progress, void *ctx, struct ts_err *err);
/* A small file: ts_host_scp_send from memory. */
int ts_host_put(struct ts_host *h, const char *path, unsigned mode, const void *data, size_t len, struct ts_err *err);

/* Wire counters of all sessions of this host so far (payload bytes through channels). */
void ts_host_wire(const struct ts_host *h, uint64_t *ret_sent, uint64_t *ret_received);

#endif
