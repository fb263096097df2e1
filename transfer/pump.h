/* A flow: one channel of one session, and the thread that moves its bytes to and from a socket pair. docs/internals/tunnel.md is its contract.
 *
 * Private to transfer/. */
#ifndef TRANSHIP_TRANSFER_PUMP_H
#define TRANSHIP_TRANSFER_PUMP_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "transfer/ssh.h"
#include "transfer/tail.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Payload through the channels of one host. */
struct ts_wire {
        atomic_ullong sent, received;
};

struct ts_flow;

struct ts_flow_opts {
        bool command;   /* wait for an exit status; else a tunnel, which ends with its caller */
        size_t err_max; /* see ts_tail */
        bool err_whole;
        struct ts_wire *wire;
        /* The line that comes before what the command prints, or NULL. What is in front of it is the
         * login shell's own and goes to nobody. A command that ends without it was not run. */
        const char *mark;
        _Atomic(char *) *noise; /* set once to the first line that was in front of it */
        /* Called by the thread at its end with the session when it is fit for another channel, else with NULL (the session is closed then). */
        void (*release)(void *ctx, struct ts_ssh *s);
        void *ctx;
};

/* Takes s and ch, also on failure. *ret_fd is the caller's end of the pair, blocking. */
int ts_flow_start(struct ts_ssh *s, LIBSSH2_CHANNEL *ch, const struct ts_flow_opts *opts, struct ts_flow **ret, int *ret_fd,
                  struct ts_err *err);
/* Has the thread nothing more to do? */
bool ts_flow_is_done(const struct ts_flow *f);
/* Waits for the end. *ret_status as in ts_run_result. TS_ETIMEOUT, or why the flow broke. */
int ts_flow_wait(struct ts_flow *f, ts_deadline deadline, int *ret_status, struct ts_err *err);
const struct ts_str *ts_flow_stderr(const struct ts_flow *f); /* after the end */
void ts_flow_stop(struct ts_flow *f);                         /* asks the thread to end at once; returns immediately */
void ts_flow_free(struct ts_flow *f);                         /* stops, joins, frees */
TS_DEFINE_AUTO(ts_flow, ts_flow_free);

#endif
