/* What a local and a remote host have in common behind host.h. Private to transfer/. */
#ifndef TRANSHIP_TRANSFER_HOST_IMPL_H
#define TRANSHIP_TRANSFER_HOST_IMPL_H

#include "transfer/host.h"
#include "transfer/pump.h"

#include <sys/socket.h>

#define TS_STDERR_TAIL 4096
#define TS_SCP_BLOCK (256u << 10)

struct ts_start_opts {
        bool control;   /* on the control session; the process must be freed by the thread that started it */
        bool fresh;     /* on a new session: one that was kept may have been lost with others */
        int stop_fd;    /* fresh: readable: connecting ends with TS_ECANCELED */
        size_t err_max; /* see ts_tail */
        bool err_whole;
};

/* Where a file's content comes from: a descriptor, or memory. */
struct ts_source {
        int fd; /* -1: data */
        const char *data;
        uint64_t size_bytes;
        ts_progress_fn progress;
        void *ctx;
};

struct ts_host_ops {
        int (*start)(struct ts_host *h, const char *const argv[], const struct ts_start_opts *opts, struct ts_proc **ret,
                     struct ts_err *err);
        int (*dial)(struct ts_host *h, const char *path, const char *const fallback_argv[], int *ret_fd, struct ts_err *err);
        int (*send_file)(struct ts_host *h, const char *path, unsigned mode, const struct ts_source *src, struct ts_err *err);
        void (*warm)(struct ts_host *h, unsigned n);
        void (*free)(struct ts_host *h);
};
struct ts_host {
        const struct ts_host_ops *ops;
        char *name;
        char *address; /* HostName of the SSH configuration, or NULL: this machine */
        bool is_local;
        struct sockaddr_storage peer; /* what its SSH connections go to; of no family: a proxy */
        socklen_t peer_len;
        unsigned peer_timeout_ms;
        atomic_bool no_tls; /* was tried in vain, and told */
        _Atomic(char *) noise; /* what the login shell prints before it runs a command, or NULL */
        struct ts_wire wire;
};

struct ts_proc_ops {
        int (*wait)(struct ts_proc *p, ts_deadline deadline, int *ret_status, struct ts_err *err);
        const struct ts_str *(*errs)(const struct ts_proc *p);
        void (*free)(struct ts_proc *p);
};
struct ts_proc {
        const struct ts_proc_ops *ops;
        int fd;
        char *what; /* the command's first word, for messages */
};

/* How a ts_scp_send() left its session. */
struct ts_scp_end {
        bool opened;   /* the receiver was ready: the source may have been read from */
        bool reusable; /* it can carry another channel */
};
/* scp.c: on a session and thread of the caller's. */
int ts_scp_send(struct ts_ssh *s, struct ts_wire *wire, const char *path, unsigned mode, const struct ts_source *src,
                struct ts_scp_end *ret_end, struct ts_err *err);

/* relay.c: ts_relay(), with a choice whether a signal to the program ends it. */
struct ts_copy_opts {
        uint64_t size_bytes; /* UINT64_MAX: until the end */
        unsigned stall_ms;   /* 0 = never */
        bool cancellable;
        ts_progress_fn progress;
        void *ctx;
};
int ts_copy(int in_fd, int out_fd, const struct ts_copy_opts *o, uint64_t *ret_bytes, struct ts_err *err);

/* The last line of text that is not empty, printable; NULL when there is none. Caller frees. */
char *ts_last_line(const struct ts_str *text);

#endif
