/* What the parts of the probes share: probe.c (specifications), probe_net.c (tcp, http), probe_exec.c (commands), prober.c (the client's view). For nobody else. */
#ifndef TRANSHIP_ENGINE_PROBE_PRIV_H
#define TRANSHIP_ENGINE_PROBE_PRIV_H

#include "base/str.h"
#include "engine/probe.h"

#include <stdatomic.h>
#include <stdbool.h>

enum ts_probe_kind { TS_PROBE_TCP, TS_PROBE_HTTP, TS_PROBE_EXEC };

struct ts_probe {
        enum ts_probe_kind kind;
        char *host;          /* may hold {host} */
        char *port;          /* decimal */
        char *path;          /* http: with its slash */
        struct ts_list argv; /* exec: may hold {host} */
        bool uses_host;
};

/* When to give up a try: at the deadline, or when *stop (may be NULL) is set. */
struct ts_try {
        ts_deadline deadline;
        const atomic_bool *stop;
};
#define TS_TRY_SLICE_MS 50 /* how long a wait goes on without looking at stop */

const char *ts_probe_kind_str(enum ts_probe_kind k);
bool ts_try_over(const struct ts_try *t);
int ts_try_failed(const struct ts_try *t, const char *what, struct ts_err *err); /* TS_ETIMEOUT or TS_ECANCELED */
/* text with every {host} replaced. NULL out of memory. Caller frees. */
char *ts_probe_expand(const char *text, const char *host);
int ts_probe_try(const struct ts_probe *p, const char *host, const struct ts_try *t, struct ts_err *err);
int ts_probe_net(const struct ts_probe *p, const char *host, const struct ts_try *t, struct ts_err *err);
int ts_probe_exec(const struct ts_probe *p, const char *host, const struct ts_try *t, struct ts_err *err);

#endif
