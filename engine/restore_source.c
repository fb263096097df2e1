/* The way back: the source's container restored from the dump it still has. Only ever called when decide() says the target cannot run (SAFETY rules 1–3, 14). */
#include "engine/mig.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNNING_WITHIN_MS 10000

static int observe_running(struct ts_mig *m, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(RUNNING_WITHIN_MS);
        const char *id = ts_journal_head(m->j)->container_id;

        for (;;) {
                ts_auto(ts_container) struct ts_container *now = NULL;

                if (ts_api_inspect(m->src.api, id, &now, err) < 0)
                        return -1;
                if (now->state == TS_STATE_RUNNING)
                        return 0;
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_EENGINE, "the engine said it restored the container, but it is %s", ts_state_str(now->state));
                ts_sleep_ms(20);
        }
}

/* Docker's content store refuses to take the same archive twice while the first waits for its garbage collection; one more file with unique content makes it another archive. */
static int make_unique(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *path = ts_fmt("%s/checkpoints/%s/tranship-rollback", m->bundle, m->checkpoint);
        ts_auto_free char *unique = ts_fmt("%s %llu", m->id, (unsigned long long)ts_now_us()); /* also of a try a moment before */

        if (!path || !unique)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_host_put(m->src.host, path, 0600, unique, strlen(unique), err);
}

int ts_restore_source(struct ts_mig *m, struct ts_err *err)
{
        const char *id = ts_journal_head(m->j)->container_id;
        struct ts_restore opts = ts_restore_options(m);
        ts_auto(ts_call) struct ts_call *call = NULL;
        int rc;

        if (m->strategy == TS_COLD)
                return ts_api_start(m->src.api, id, err) < 0 ? -1 : observe_running(m, err);
        if (m->engine == TS_DOCKER && make_unique(m, err) < 0)
                return -1;
        ts_door_shut(m, &m->src);
        rc = ts_api_restore(m->src.api, id, &opts, &call, err) < 0 ? -1 : ts_call_finish(call, NULL, NULL, NULL, NULL, err);
        ts_door_open(m, &m->src);
        if (rc < 0) {
                ts_explain_failure(m, err);
                return -1;
        }
        return observe_running(m, err);
}
