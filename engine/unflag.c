/* Files that are immutable, or only appended to (chattr): the engines cannot remove them, nor can
 * rm. They are released just before what is ours to remove is removed. Nothing else waits for it:
 * where it fails, so does the removal, which says why. */
#include "engine/mig.h"
#include "transfer/ship.h"
#include <stdlib.h>

static void unflag(struct ts_end *e, const char *path, unsigned ms)
{
        const struct ts_run_opts opts = { .timeout_ms = ms };
        const char *argv[] = { NULL, "unflag", path, NULL };

        if (!e->host || !path || path[0] != '/' || path[1] == '\0')
                return;
        if (!e->unflagger && ts_agent_install(e->host, &e->unflagger, NULL) < 0)
                return;
        argv[0] = e->unflagger;
        (void)ts_host_check(e->host, argv, &opts, NULL, NULL);
}

void ts_unflag(struct ts_end *e, const char *path)
{
        unflag(e, path, ts_slow_run.timeout_ms);
}

void ts_unflag_volume(struct ts_end *e, const struct ts_volume *v)
{
        if (v && (!v->driver || !*v->driver || ts_streq0(v->driver, "local")))
                ts_unflag(e, v->mountpoint);
}

void ts_unflag_container(struct ts_end *e, const struct ts_container *c, unsigned ms)
{
        unflag(e, c->upper_dir, ms);
        unflag(e, c->bundle_dir, ms);
}
