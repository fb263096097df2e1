/* Puts the words of CRIU and the runtime into a failed checkpoint or restore: fetches the logs' tails from the host and looks the known troubles up (criu_log.c). Best effort: never another failure. */
#include "base/io.h"
#include "engine/criu_log.h"
#include "engine/mig.h"
#include "transfer/ship.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAIL_BYTES "65536"
#define LOG_MAX ((size_t)1 << 17)
#define KEPT_MS 10000
#define DOCKER_RESTORE_LOG "/run/containerd/io.containerd.runtime.v2.task/moby/%s/work/restore.log"

static char *log_tail(struct ts_end *e, const char *path)
{
        const char *const argv[] = { "tail", "-c", TAIL_BYTES, "--", path, NULL };
        ts_auto_run r = { 0 };

        if (!path || !e->host || ts_host_run(e->host, argv, NULL, &r, NULL) < 0 || r.status != 0)
                return NULL;
        return ts_str_take(&r.out);
}

/* containerd deletes the log of a failed restore before Docker answers: the agent holds it open
 * from when it is there. */
void ts_log_keep(struct ts_mig *m)
{
        ts_auto_free char *agent = NULL, *path = ts_fmt(DOCKER_RESTORE_LOG, ts_or(m->dst_id, ""));
        ts_auto_err err = TS_ERR_INIT;

        if (m->engine != TS_DOCKER || m->strategy == TS_COLD || !path || m->log_keeper)
                return;
        if (ts_agent_install(m->dst.host, &agent, &err) == 0) {
                const char *const argv[] = { agent, "keep", path, NULL };

                (void)ts_host_start(m->dst.host, argv, &m->log_keeper, NULL);
        }
}

static char *kept_log(struct ts_mig *m)
{
        ts_auto(ts_proc) struct ts_proc *p = TS_TAKE(m->log_keeper);
        ts_auto_str log = TS_STR_INIT_MAX(LOG_MAX);

        if (!p || ts_proc_end_input(p) < 0 ||
            ts_read_to_end(ts_proc_fd(p), &log, ts_deadline_in_ms(KEPT_MS), NULL) < 0)
                return NULL;
        return log.len ? ts_str_take(&log) : NULL;
}

/* Podman keeps the logs in the bundle; Docker's error text names its file ("path= /…/criu-dump.log"). */
static char *log_path(struct ts_mig *m, const struct ts_err *err, bool restore)
{
        const char *named = err->message ? strstr(err->message, "/criu-dump.log") : NULL;
        const char *from = named;

        if (ts_keeps_id(m)) {
                const char *bundle = restore && m->target_bundle ? m->target_bundle : m->bundle;

                return ts_fmt("%s/%s", ts_or(bundle, ""), restore ? "restore.log" : "dump.log");
        }
        while (from && from > err->message && from[-1] != ' ' && from[-1] != '=')
                from--;
        return from && *from == '/' ? ts_fmt("%.*s/criu-dump.log", (int)(named - from), from) : NULL;
}

/* CRIU does not dump a listening socket while a connection waits to be accepted: with busy clients one often does, a moment later it does not. The container was let go on. */
bool ts_dump_may_pass_later(struct ts_mig *m, const struct ts_err *err)
{
        ts_auto_free char *path = log_path(m, err, false);
        ts_auto_free char *log = log_tail(&m->src, path);

        return log && strstr(log, "In-flight connection") && strstr(log, "Dumping FAILED");
}

/* What the engine says of a failed runtime is its command line; what CRIU says is why. */
static void say_why(struct ts_mig *m, const struct ts_criu_explanation *why, bool restore, struct ts_err *err)
{
        ts_auto_err engine = TS_ERR_INIT;

        ts_err_move(&engine, err);
        ts_mig_warn(m, "%s", ts_err_message(&engine));
        ts_err_set(err, engine.code, "criu cannot %s the container: %s", restore ? "restore" : "dump", why->explanation);
        err->http_status = engine.http_status;
        if (why->hint)
                ts_err_hint(err, "%s", why->hint);
}

void ts_explain_failure(struct ts_mig *m, struct ts_err *err)
{
        bool restore = m->phase && !strcmp(m->phase, "restore");
        struct ts_end *e = restore ? &m->dst : &m->src;
        ts_auto_free char *path = NULL, *log = NULL;
        ts_auto_criu_explanation from_log = { 0 };
        ts_auto_str said = TS_STR_INIT;

        if (!err || m->strategy == TS_COLD || !m->phase || (!restore && strcmp(m->phase, "checkpoint") != 0 && strcmp(m->phase, "pre-copy") != 0) || err->code != TS_EENGINE)
                return;
        path = log_path(m, err, restore);
        log = restore && m->log_keeper ? kept_log(m) : log_tail(e, path);
        if (log && ts_criu_explain(log, &from_log, NULL) == 0 && from_log.code && !err->hint)
                say_why(m, &from_log, restore, err);
        else
                (void)ts_criu_explain_err(ts_err_message(err), err);
        for (char *save = NULL, *line = from_log.lines ? strtok_r(from_log.lines, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
                (void)ts_str_addf(&said, NULL, "%s%s", said.len ? "; " : "", line);
        if (said.len) /* a warning is one line */
                ts_mig_warn(m, "%s says: %s", restore ? "restore.log" : "dump.log", ts_str_cstr(&said));
}
