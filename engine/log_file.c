/* A Podman log that its user put elsewhere (--log-opt path=): the file goes to the same path on the
 * target, and Podman's own place for it, to which every restore sets it back, becomes a link to it.
 *
 * Only where nobody but root can change what lies on the way, and where nothing is: it is made
 * exclusively, under a name with the migration's ID, and gets its own as a further one. That pair
 * is the mark by which undo.c knows it as ours. On the source it is read without following links
 * and without waiting, for it may be anything by now. */
#include "engine/preflight.h"
#include "transfer/relay.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_MS 120000
#define WAIT_MS 60000

static char *mark_of(const struct ts_mig *m, const char *path)
{
        return ts_fmt("%s.tranship-%s", path, m->id);
}

/* ---- looking ---- */

/* Where the file is that Podman's own place leads to, after an earlier move; NULL: it is the
 * file. */
static int where(struct ts_preflight *p, char **ret, struct ts_err *err)
{
        const struct ts_container *c = p->m->c;
        const char *const argv[] = { "readlink", "--", c->log_path, NULL };
        size_t len = strlen(c->bundle_dir);
        ts_auto_run r = { 0 };

        *ret = NULL;
        if (strncmp(c->log_path, c->bundle_dir, len) != 0 || c->log_path[len] != '/') {
                *ret = ts_strdup0(c->log_path);
                return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        if (ts_host_run(p->m->src.host, argv, NULL, &r, err) < 0)
                return -1;
        if (r.status == 0 && r.out.len > 1 && r.out.buf[0] == '/') {
                *ret = strndup(r.out.buf, r.out.len - 1);
                if (!*ret)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

/* $1 path: what stands in its way on the target. */
static const char look_script[] =
        TS_UNSAFE_SH "d=${1%/*}; d=${d:-/}; if unsafe \"$d\" look; then exit 4; fi; "
                     "[ -d \"$d\" ] || { echo \"$d\"; exit 5; }; [ ! -e \"$1\" ] && [ ! -L \"$1\" "
                     "] || exit 6; exit 0";
/* $1 path: is it a file on the source, or nothing yet? */
static const char is_file_script[] = "[ ! -L \"$1\" ] && { [ -f \"$1\" ] || [ ! -e \"$1\" ]; }";

int ts_log_look(struct ts_preflight *p, struct ts_err *err)
{
        struct ts_mig *m = p->m;
        const struct ts_container *c = m->c;
        const char *driver = ts_or(c->log_driver, "");

        free(TS_TAKE(m->log_from));
        free(TS_TAKE(m->log_to));
        free(TS_TAKE(p->log_said));
        p->log_status = 0;
        if (ts_api_kind(m->src.api) != TS_PODMAN || !c->log_path || !c->bundle_dir ||
            (strcmp(driver, "k8s-file") != 0 && strcmp(driver, "json-file") != 0))
                return 0;
        if (where(p, &m->log_from, err) < 0)
                return -1;
        if (!m->log_from || !ts_data_sayable(m->log_from)) {
                free(TS_TAKE(m->log_from));
                return 0;
        }

        const char *const look[] = { "/bin/sh", "-c", look_script, "sh", m->log_from, NULL },
                          *const is_file[] = { "/bin/sh", "-c",        is_file_script,
                                               "sh",      m->log_from, NULL };
        ts_auto_run there = { 0 }, here = { 0 };
        if (ts_host_run(m->dst.host, look, NULL, &there, err) < 0 ||
            ts_host_run(m->src.host, is_file, NULL, &here, err) < 0)
                return -1;
        p->log_status = here.status ? TS_LOG_NO_FILE : (enum ts_log_status)there.status;
        p->log_said =
                ts_printable(ts_str_cstr(&there.out), there.out.len ? there.out.len - 1 : 0, 300);
        m->log_to = p->log_status ? NULL : ts_strdup0(m->log_from);
        return p->log_said && (p->log_status || m->log_to)
                       ? 0
                       : ts_err_set(err, TS_ENOMEM, "out of memory");
}

void ts_check_log_path(struct ts_preflight *p)
{
        static const char *const without = ", or say --skip log-path: then it goes to Podman's own "
                                           "place (with --strategy archive it stays on the source)";
        const struct ts_mig *m = p->m;
        ts_auto_free char *hint = NULL, *dir = NULL;

        if (!m->log_from || !p->log_status)
                return;
        switch (p->log_status) {
        case TS_LOG_NO_FILE:
                ts_find(p->m, "log-path", "say --skip log-path: it stays on the source",
                        "the log of '%s', '%s', is no regular file on the source", m->c->name,
                        m->log_from);
                break;
        case TS_LOG_UNSAFE:
                hint = ts_fmt("make what is named root's and writable by nobody else there (chown "
                              "root, chmod go-w)%s",
                              without);
                ts_find(p->m, "log-path", ts_or(hint, ""),
                        "the log of '%s', '%s', cannot be written safely on the target: %s",
                        m->c->name, m->log_from, ts_or(p->log_said, ""));
                break;
        case TS_LOG_NO_DIRECTORY:
                dir = ts_shell_word("%s", ts_or(p->log_said, ""));
                hint = ts_fmt("make it there: mkdir -p %s%s", ts_or(dir, ""), without);
                ts_find(p->m, "log-path", ts_or(hint, ""),
                        "the log of '%s' is '%s', and the target has no directory '%s'", m->c->name,
                        m->log_from, ts_or(p->log_said, ""));
                break;
        default:
                hint = ts_fmt("move it away there%s", without);
                ts_find(p->m, "log-path", ts_or(hint, ""),
                        "the log of '%s' is '%s', and that is on the target already", m->c->name,
                        m->log_from);
        }
}

/* ---- making ---- */

/* $1 path, $2 its mark. */
static const char place_script[] =
        TS_UNSAFE_SH "d=${1%/*}; if unsafe \"${d:-/}\" look >&2; then exit 4; fi; umask 077; set "
                     "-C; : >\"$2\" && ln -T -- \"$2\" \"$1\"";

int ts_log_place(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *mark = m->log_to ? mark_of(m, m->log_to) : NULL,
                          *own = ts_fmt("%s/ctr.log", ts_or(m->target_bundle, ""));
        const char *const place[] = { "/bin/sh",
                                      "-c",
                                      place_script,
                                      "sh",
                                      ts_or(m->log_to, ""),
                                      ts_or(mark, ""),
                                      NULL },
                          *const lead[] = { "ln", "-sT", "--", ts_or(m->log_to, ""), own, NULL };
        unsigned n = 0;

        if (!m->log_to)
                return 0;
        if (!mark || !own)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_journal_intent(m->j, TS_RES_LOG, TS_SIDE_TARGET, m->log_to, NULL, "absent", &n,
                              err) < 0 ||
            ts_host_check(m->dst.host, place, NULL, NULL, err) < 0 ||
            (m->strategy != TS_ARCHIVE && ts_host_check(m->dst.host, lead, NULL, NULL, err) < 0))
                return ts_err_prefix(err, "the log '%s' on the target", m->log_to);
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

/* ---- bringing ---- */

static const char read_script[] = "[ -f \"$1\" ] && [ ! -L \"$1\" ] || exit 0; exec dd if=\"$1\" "
                                  "iflag=nofollow,nonblock bs=65536 status=none";
/* $1 where to, $2 its mark, or empty: it is to be made. */
static const char write_script[] =
        "umask 077; if [ -z \"$2\" ]; then set -C; exec cat >\"$1\"; fi; "
        "[ \"$1\" -ef \"$2\" ] || { echo 'somebody put another file in its place' >&2; exit 1; }; "
        "exec cat >\"$2\"";

int ts_log_copy(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *to = m->log_to ? ts_strdup0(m->log_to)
                                          : ts_fmt("%s/ctr.log", ts_or(m->target_bundle, "")),
                          *mark = m->log_to ? mark_of(m, m->log_to) : ts_strdup0("");
        const char *const
                read_argv[] = { "/bin/sh", "-c", read_script, "sh", ts_or(m->log_from, ""), NULL },
                *const write_argv[] = { "/bin/sh", "-c", write_script, "sh", to, mark, NULL };
        ts_auto(ts_proc) struct ts_proc *in = NULL;
        ts_auto(ts_proc) struct ts_proc *out = NULL;

        if (!m->log_from)
                return 0;
        if (!m->log_to && m->strategy == TS_ARCHIVE) {
                ts_mig_warn(m, "the log so far stays on the source: '%s'", m->log_from);
                return 0;
        }
        if (!to || !mark)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        m->progress_what = "log";
        if (ts_host_start(m->src.host, read_argv, &in, err) < 0 ||
            ts_host_start(m->dst.host, write_argv, &out, err) < 0 ||
            ts_relay(ts_proc_fd(in), ts_proc_fd(out), UINT64_MAX, STALL_MS, ts_mig_progress, m,
                     NULL, err) < 0)
                return ts_err_prefix(err, "log");
        (void)ts_proc_end_input(out);
        return ts_proc_finish(in, ts_deadline_in_ms(WAIT_MS), err) < 0 ||
                               ts_proc_finish(out, ts_deadline_in_ms(WAIT_MS), err) < 0
                       ? ts_err_prefix(err, "log")
                       : 0;
}

/* ---- taking away ---- */

/* $1 path, $2 its mark, $3 "kept": it belongs to the moved container. */
static const char remove_script[] =
        "[ \"$3\" = kept ] || { [ -f \"$2\" ] && [ ! -L \"$2\" ] && [ ! -L \"$1\" ] && [ \"$1\" "
        "-ef \"$2\" ] && rm -f -- \"$1\"; }; rm -f -- \"$2\"";

int ts_log_undo(struct ts_mig *m, struct ts_end *e, const char *path, struct ts_err *err)
{
        ts_auto_free char *mark = mark_of(m, path);
        const char *const argv[] = { "/bin/sh",
                                     "-c",
                                     remove_script,
                                     "sh",
                                     path,
                                     ts_or(mark, ""),
                                     m->committed ? "kept" : "",
                                     NULL };

        if (!mark || path[0] != '/')
                return ts_err_set(err, TS_EPROTO, "'%s' is not the path of a log", path);
        return ts_host_check(e->host, argv, NULL, NULL, err);
}

/* $1 path. */
static const char forget_script[] =
        TS_UNSAFE_SH "d=${1%/*}; if unsafe \"${d:-/}\" look >&2; then exit 4; fi; [ ! -f \"$1\" ] "
                     "|| [ -L \"$1\" ] || rm -f -- \"$1\"";

/* Who recovers has not looked at the log himself. */
void ts_log_recall(struct ts_mig *m)
{
        for (size_t i = 0; !m->log_to && i < ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = ts_journal_res(m->j, i);

                if (r->kind != TS_RES_LOG || r->state != TS_RES_MADE || ts_undo_refused(m, r))
                        continue;
                free(m->log_from);
                m->log_from = ts_strdup0(r->name);
                m->log_to = ts_strdup0(r->name);
        }
}

void ts_log_forget(struct ts_mig *m)
{
        const char *const argv[] = { "/bin/sh", "-c", forget_script, "sh", ts_or(m->log_from, ""),
                                     NULL };

        if (m->log_to && ts_host_check(m->src.host, argv, NULL, NULL, NULL) < 0)
                ts_mig_note(m, "the log '%s' stays on the source", m->log_from);
}
