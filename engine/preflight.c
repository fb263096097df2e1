/* Preflight: everything that would go wrong is said before anything is changed, all at once. This file has the table of codes and the order of work; what is looked at is in
 * preflight_look.c and preflight_facts.c, what is judged in the files named after their subject. Whether the move goes on is the caller's decision (ts_findings_refuse). */
#include "engine/preflight.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX ((size_t)2048) /* sixteen objects and their processes */

#define SKIP TS_CHECK_SKIPPABLE
#define INVARIANT TS_CHECK_INVARIANT
#define WARNING TS_CHECK_WARNING
#define FIRM 0 /* cannot work at all */
#define BOTH (TS_ON_PODMAN | TS_ON_DOCKER)
#define ANY_MODE (TS_ON_LIVE | TS_ON_COLD)
#define ALWAYS (BOTH | ANY_MODE)
#define LIVE (BOTH | TS_ON_LIVE)
#define PODMAN_LIVE (TS_ON_PODMAN | TS_ON_LIVE)
#define DOCKER_LIVE (TS_ON_DOCKER | TS_ON_LIVE)

/* In the order in which a user would mend them. The codes are stable: --skip, reports and the manual use them. */
const struct ts_check ts_checks[] = {
        { "same-engine", INVARIANT | TS_CHECK_FINAL, ALWAYS, ts_check_same_engine },
        { "engines-differ", FIRM, ALWAYS, ts_check_engines },
        { "engine-too-old", FIRM, ALWAYS, NULL },
        { "rootless", FIRM, ALWAYS, ts_check_rootless },
        { "root-access", FIRM, ALWAYS, ts_check_root },
        { "tools-missing", SKIP, ALWAYS, ts_check_tools },
        { "docker-experimental-off", FIRM, DOCKER_LIVE, ts_check_experimental },
        { "docker-restore-broken", INVARIANT, DOCKER_LIVE, ts_check_docker_restore },
        { "runtime-differs", SKIP, LIVE, ts_check_runtime },
        { "runtime-no-criu", SKIP, LIVE, ts_check_runtime_criu },
        { "criu-missing", FIRM, LIVE, ts_check_criu },
        { "criu-check", SKIP, LIVE, NULL },
        { "criu-older", SKIP, LIVE, NULL },
        { "criu-tcp", SKIP, DOCKER_LIVE, ts_check_criu_conf },
        { "criu-locks", SKIP, DOCKER_LIVE, NULL },
        { "architecture", FIRM, ALWAYS, ts_check_architecture },
        { "cpu-features", SKIP, LIVE, ts_check_cpu },
        { "kernel-older", WARNING, LIVE, ts_check_kernel },
        { "cgroup-version", SKIP, LIVE, ts_check_cgroup_version },
        { "cgroup-manager", SKIP, LIVE, ts_check_cgroup_manager },
        { "security-differs", WARNING, ALWAYS, ts_check_security },
        { "live-restore", WARNING, TS_ON_DOCKER | ANY_MODE, ts_check_live_restore },
        /* Under way, or broken off: what is not as it should be is so for that, and no hint but this
         * one's is to be followed. */
        { "lock-held", INVARIANT | TS_CHECK_FINAL, ALWAYS, ts_check_lock },
        { "not-running", FIRM, ALWAYS, ts_check_state },
        { "paused", FIRM, ALWAYS, NULL },
        { "journal-space", INVARIANT, ALWAYS, ts_check_journal },
        { "unsafe-directory", INVARIANT, ALWAYS, ts_check_own_dirs },
        { "probe-program", FIRM, ALWAYS, ts_check_probes },
        { "probe-fails", SKIP, ALWAYS, NULL },
        { "auto-remove", INVARIANT, ALWAYS, ts_check_auto_remove },
        { "restart-policy", INVARIANT, ALWAYS, ts_check_restart_policy },
        { "supervisor", SKIP, ALWAYS, ts_check_supervisor },
        { "dependents", INVARIANT, ALWAYS, ts_check_dependents },
        { "dependency", SKIP, ALWAYS, ts_check_dependency },
        { "pod", SKIP, TS_ON_PODMAN | ANY_MODE, ts_check_pod },
        { "tty", SKIP, DOCKER_LIVE, ts_check_tty },
        { "io-uring", SKIP, LIVE, ts_check_processes },
        { "aio", SKIP, LIVE, NULL },
        { "mptcp", SKIP, LIVE, ts_check_mptcp },
        { "hard-link", SKIP, LIVE, ts_check_linked },
        { "ghost-limit", SKIP, LIVE, ts_check_ghosts },
        { "hidden-file", SKIP, LIVE, ts_check_hidden },
        { "immutable-file", SKIP, LIVE, NULL },
        { "traced", FIRM, LIVE, ts_check_traced },
        { "limits-hidden", SKIP, LIVE, ts_check_limits },
        { "outside-file", SKIP, LIVE, ts_check_outside },
        { "exec-sessions", WARNING, ALWAYS, ts_check_exec_sessions },
        { "kernel-objects", SKIP, LIVE, ts_check_kernel_state },
        { "kernel-state", WARNING, LIVE, NULL },
        { "sqlite-wal", SKIP, LIVE, ts_check_sqlite },
        { "sqlite-moved", SKIP, LIVE, NULL },
        { "mapped-lock", SKIP, LIVE, ts_check_mapped_locks },
        { "ipc-shareable", SKIP, DOCKER_LIVE, ts_check_shm },
        { "pid-host", SKIP, LIVE, NULL },
        { "ipc-host", FIRM, LIVE, NULL },
        { "userns", FIRM, ALWAYS, ts_check_namespaces },
        { "docker-init", FIRM, DOCKER_LIVE, ts_check_docker_init },
        { "privileged", WARNING, ALWAYS, ts_check_devices },
        { "devices", WARNING, ALWAYS, NULL },
        { "log-driver", WARNING, ALWAYS, ts_check_log_driver },
        { "secrets-archive", FIRM, PODMAN_LIVE, ts_check_secrets_archive },
        { "log-path", SKIP, TS_ON_PODMAN | ANY_MODE, ts_check_log_path },
        { "secrets", SKIP, TS_ON_PODMAN | ANY_MODE, ts_check_secrets },
        { "rootfs", FIRM, TS_ON_PODMAN | ANY_MODE, ts_check_rootfs },
        { "storage-driver", FIRM, ALWAYS, ts_check_storage },
        { "metacopy", FIRM, ALWAYS, ts_check_metacopy },
        { "container-unreadable", WARNING, ALWAYS, ts_check_unreadable },
        { "name-taken", INVARIANT, ALWAYS, ts_check_names },
        { "id-taken", INVARIANT, ALWAYS, NULL },
        { "image-unavailable", FIRM, ALWAYS, ts_check_image },
        { "image-tag-differs", WARNING, PODMAN_LIVE, NULL },
        { "network-differs", SKIP, ALWAYS, ts_check_networks },
        { "network-driver", SKIP, ALWAYS, NULL },
        { "network-parent", SKIP, ALWAYS, NULL },
        { "subnet-taken", SKIP, ALWAYS, NULL },
        { "address-taken", SKIP, ALWAYS, ts_check_addresses },
        { "address-changes", WARNING, ALWAYS, NULL },
        { "port-taken", SKIP, ALWAYS, ts_check_ports },
        { "host-ip", SKIP, ALWAYS, NULL },
        { "none-connected", SKIP, PODMAN_LIVE, ts_check_none },
        { "connections", WARNING, LIVE, ts_check_connections },
        { "mount-unsupported", FIRM, ALWAYS, ts_check_mounts },
        { "volume-exists", INVARIANT, ALWAYS, ts_check_volumes },
        { "volume-missing", FIRM, ALWAYS, NULL },
        { "volume-driver", SKIP, ALWAYS, NULL },
        { "volume-busy", INVARIANT, ALWAYS, NULL },
        { "replace-busy", INVARIANT, ALWAYS, NULL },
        { "target-unwritable", FIRM, ALWAYS, NULL },
        { "bind-undecided", INVARIANT, ALWAYS, ts_check_binds },
        { "bind-missing", SKIP, ALWAYS, NULL },
        { "not-shared", SKIP, ALWAYS, ts_check_shared },
        { "bind-exists", INVARIANT, ALWAYS, NULL },
        { "bind-busy", SKIP, ALWAYS, NULL },
        { "bind-link", INVARIANT, LIVE, ts_check_bind_links },
        { "free-space", SKIP, ALWAYS, ts_check_space },
        { NULL, 0, 0, NULL },
};

const struct ts_check *ts_check_find(const char *code)
{
        for (const struct ts_check *c = ts_checks; c->code; c++)
                if (!strcmp(c->code, code))
                        return c;
        return NULL;
}

/* ---- findings ---- */
/* Room for one more, grown when the count is a power of two (the phase itself made the first two). For want of memory a warning is given up, and a problem takes the place of
 * the last finding: the answer stays no. */
static struct ts_finding *room(struct ts_findings *f, bool warning)
{
        struct ts_finding *v;

        if ((f->n & (f->n - 1)) != 0 || f->n == 1 || (f->n == 0 && f->v))
                return &f->v[f->n++];
        v = realloc(f->v, (f->n ? 2 * f->n : 2) * sizeof(*v));
        if (v) {
                f->v = v;
                return &f->v[f->n++];
        }
        if (warning || f->n == 0)
                return NULL;
        free(f->v[f->n - 1].message);
        free(f->v[f->n - 1].hint);
        return &f->v[f->n - 1];
}

static char *one_line(char *text)
{
        char *clean = text ? ts_printable(text, strlen(text), MESSAGE_MAX) : NULL;

        free(text);
        return clean;
}

enum how { AS_LISTED, AS_WARNING, AS_FIRM };

static void find(struct ts_mig *m, const char *code, enum how how, const char *hint, const char *fmt, va_list ap)
        __attribute__((format(printf, 5, 0)));
static void find(struct ts_mig *m, const char *code, enum how how, const char *hint, const char *fmt, va_list ap)
{
        bool warning = how == AS_WARNING;
        const struct ts_check *check = ts_check_find(code);
        struct ts_finding *f = room(m->findings, warning || (check && (check->flags & WARNING)));
        char *text = NULL;

        if (!f)
                return;
        if (vasprintf(&text, fmt, ap) < 0)
                text = NULL;
        *f = (struct ts_finding){
                .code = check ? check->code : "internal", .warning = warning, .message = one_line(text), .hint = one_line(ts_strdup0(hint))
        };
        if (!check)
                return;
        f->warning = warning || (check->flags & WARNING);
        f->skippable = (check->flags & SKIP) && how != AS_FIRM;
        f->skipped = f->skippable && m->o->skips && ts_list_has(m->o->skips, code);
}

void ts_find(struct ts_mig *m, const char *code, const char *hint, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        find(m, code, AS_LISTED, hint, fmt, ap);
        va_end(ap);
}

void ts_find_firm(struct ts_mig *m, const char *code, const char *hint, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        find(m, code, AS_FIRM, hint, fmt, ap);
        va_end(ap);
}

void ts_find_warning(struct ts_mig *m, const char *code, const char *hint, const char *fmt, ...)
{
        va_list ap;

        va_start(ap, fmt);
        find(m, code, AS_WARNING, hint, fmt, ap);
        va_end(ap);
}

bool ts_findings_refuse(const struct ts_findings *f)
{
        for (size_t i = 0; i < f->n; i++)
                if (!f->v[i].warning && !f->v[i].skipped)
                        return true;
        return false;
}

/* In a move, where nobody is asked any more. */
void ts_findings_tell(struct ts_mig *m)
{
        for (size_t i = 0; i < m->findings->n; i++) {
                const struct ts_finding *f = &m->findings->v[i];
                ts_auto_free char *text = ts_fmt("%s%s: %s", f->code, f->skipped ? " (skipped, as asked)" : "",
                                                 ts_or(f->message, ""));

                ts_mig_emit(m, &(struct ts_event){ .kind = TS_EV_WARNING, .text = text });
        }
}

/* ---- the order of work ---- */
int ts_skips_check(const struct ts_mig *m, struct ts_err *err)
{
        for (size_t i = 0; m->o->skips && i < m->o->skips->n; i++) {
                const struct ts_check *c = ts_check_find(m->o->skips->v[i]);

                if (!c) {
                        ts_err_set(err, TS_EUSAGE, "--skip '%s': no such code", m->o->skips->v[i]);
                        return ts_err_hint(err, "the codes are those that `tranship check` prints, such as free-space");
                }
                if (!(c->flags & (SKIP | WARNING))) {
                        ts_err_set(err, TS_EUSAGE, "--skip '%s': this one cannot be skipped", c->code);
                        return ts_err_hint(err, "%s",
                                           c->flags & INVARIANT ? "data or a second copy of the container would be at stake"
                                                                : "the move could not work at all");
                }
        }
        return 0;
}

static int inspect(struct ts_mig *m, struct ts_err *err)
{
        const char *engine = ts_engine_kind_str(ts_api_kind(m->src.api));

        ts_container_free(TS_TAKE(m->c));
        if (ts_api_inspect(m->src.api, m->o->container, &m->c, err) == 0)
                return 0;
        if (!err || err->code != TS_ENOTFOUND)
                return ts_err_prefix(err, "container '%s'", m->o->container);
        ts_err_clear(err);
        ts_err_set(err, TS_ENOTFOUND, "no container '%s' in %s on '%s'", m->o->container, engine, m->src.ep->label);
        return ts_err_hint(err, "`%s ps -a` there lists them; is --from the engine that has it?",
                           ts_api_kind(m->src.api) == TS_PODMAN ? "podman" : "docker");
}

/* A source that lost the image is a finding: the target may have it. */
static int find_image(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_err why = TS_ERR_INIT;

        ts_image_free(TS_TAKE(m->image));
        if (!m->c->image_id)
                return 0; /* podman run --rootfs: a finding */
        if (ts_api_image(m->src.api, ts_or(m->c->image_id, ""), &m->image, &why) == 0 || why.code == TS_ENOTFOUND)
                return 0;
        ts_err_move(err, &why);
        return ts_err_prefix(err, "image of '%s'", m->c->name);
}

static bool applies(const struct ts_check *c, const struct ts_mig *m)
{
        unsigned engine = ts_api_kind(m->src.api) == TS_PODMAN ? TS_ON_PODMAN : TS_ON_DOCKER;

        return c->run && (c->when & engine) && (c->when & (m->strategy == TS_COLD ? TS_ON_COLD : TS_ON_LIVE));
}

static void judge(struct ts_preflight *p)
{
        for (const struct ts_check *c = ts_checks; c->code; c++) {
                size_t before = p->m->findings->n;

                if (applies(c, p->m))
                        c->run(p);
                if ((c->flags & TS_CHECK_FINAL) && p->m->findings->n > before)
                        return;
        }
}

static int make_room(struct ts_findings *f, struct ts_err *err)
{
        if (f->v || (f->v = calloc(2, sizeof(*f->v))))
                return 0;
        return ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int look_and_judge(struct ts_preflight *p, struct ts_err *err)
{
        struct ts_mig *m = p->m;

        if (inspect(m, err) < 0)
                return -1;
        if (ts_api_kind(m->src.api) != ts_api_kind(m->dst.api)) { /* nothing else is worth saying: the target will be another one */
                ts_check_engines(p);
                return 0;
        }
        if (find_image(m, err) < 0 || ts_data_plan(m, err) < 0 || ts_preflight_look(p, err) < 0)
                return -1;
        if (!m->bundle)
                m->bundle = ts_strdup0(m->c->bundle_dir);
        m->memory_bytes = ts_memory_bytes(p);
        ts_data_settle(p);
        judge(p);
        return 0;
}

int ts_phase_preflight(struct ts_mig *m, struct ts_err *err)
{
        struct ts_preflight p = { .m = m, .src = { .e = &m->src }, .dst = { .e = &m->dst } };
        int rc;

        if (make_room(m->findings, err) < 0)
                return -1;
        rc = look_and_judge(&p, err);
        ts_preflight_clear(&p);
        return rc;
}
