/* Pre-dumps (Podman): CRIU dumps the memory of a container that goes on, and the kernel remembers what is written from then on. The last dump then holds only that, and a link to the earlier one, which a
 * restore needs beside it. So the earlier one is brought over, complete, while the container runs (TS_SHIP_EARLIER).
 *
 * Every dump that tracks begins the tracking anew, also one that fails or whose answer is lost: a dump that went on from an older one afterwards would be wrong without a word. So only the dump right after a
 * pre-dump that was answered may go on from it; any other is complete in itself. docs/internals/in-place.md has what was seen. */
#include "engine/mig.h"
#include <stdlib.h>
#include <string.h>

#define CHECK_TIMEOUT_MS 10000

/* $1 a process of the container. Podman's own check never says no: its answer is the question (go-criu, FeatureCheck). With very many processes an agent has no numbers left for a second set of pages files. */
static const char possible_script[] = "criu check --feature mem_dirty_track || exit 1; "
                                      "d=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/mounts)$(sed -n 's/^0:://p' \"/proc/$1/cgroup\"); "
                                      "[ \"$(find \"$d\" -name cgroup.procs -exec cat {} + | wc -l)\" -le 500 ]";

bool ts_predump_possible(struct ts_mig *m)
{
        ts_auto_free char *pid = ts_fmt("%lld", (long long)m->c->pid);
        const char *const argv[] = { "/bin/sh", "-c", possible_script, "sh", ts_or(pid, ""), NULL };
        const struct ts_run_opts opts = { .timeout_ms = CHECK_TIMEOUT_MS };
        ts_auto_run r = { 0 };

        if (!ts_keeps_id(m) || m->strategy != TS_IN_PLACE || m->o->precopy != TS_PRECOPY_ALL || m->o->shared_dir)
                return false;
        return ts_host_run(m->src.host, argv, &opts, &r, NULL) == 0 && r.status == 0;
}

char *ts_predump_name(const struct ts_mig *m)
{
        return ts_fmt("%s/" TS_PREDUMP, ts_or(m->bundle, ""));
}

/* $1 where the engine writes it, $2 where that is to be. */
static const char clear_script[] = "rm -rf --one-file-system -- \"$1\" \"$2\" && mkdir -m 0700 -- \"$2\" && { [ \"$1\" = \"$2\" ] || ln -s -- \"$2\" \"$1\"; }";

int ts_predump_clear(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *name = ts_predump_name(m), *dir = ts_fmt("%s/" TS_PREDUMP, ts_or(m->dump_dir, m->bundle));
        const char *const argv[] = { "/bin/sh", "-c", clear_script, "sh", ts_or(name, ""), ts_or(dir, ""), NULL };

        return name && dir ? ts_host_check(m->src.host, argv, &ts_slow_run, NULL, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

bool ts_predump_was_made(const struct ts_mig *m)
{
        ts_auto_free char *name = ts_predump_name(m);

        for (size_t i = 0; i < ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = ts_journal_res(m->j, i);

                if (r->kind == TS_RES_CHECKPOINT && ts_streq0(r->name, name))
                        return true;
        }
        return false;
}

/* CRIU's log is written by every dump of the container: which one that was. Caller frees; NULL: there is none, or out of memory. */
static char *last_dump(struct ts_mig *m)
{
        ts_auto_free char *path = ts_fmt("%s/dump.log", m->bundle);
        const char *const argv[] = { "stat", "--format=%i %y %s", "--", ts_or(path, ""), NULL };
        char *out = NULL;

        return ts_host_check(m->src.host, argv, NULL, &out, NULL) == 0 ? out : NULL;
}

void ts_predump_remember(struct ts_mig *m)
{
        free(m->predump_log);
        m->predump_log = last_dump(m);
}

void ts_predump_look_again(struct ts_mig *m)
{
        ts_auto_free char *now = m->previous ? last_dump(m) : NULL;

        if (!m->previous || (now && ts_streq0(now, m->predump_log)))
                return;
        m->previous = false;
        ts_mig_warn(m, "somebody else has made a checkpoint of '%s' since the pre-dump: the last dump is made anew", m->c->name);
}

int ts_predump_remove(struct ts_end *e, const char *bundle, struct ts_err *err)
{
        ts_auto_free char *name = ts_fmt("%s/" TS_PREDUMP, bundle);
        const char *const argv[] = { "rm", "-rf", "--one-file-system", "--", ts_or(name, ""), NULL };

        if (bundle[0] != '/' || !bundle[1])
                return ts_err_set(err, TS_EPROTO, "the engine does not say where the container's directory is");
        return name ? ts_host_check(e->host, argv, &ts_slow_run, NULL, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}
