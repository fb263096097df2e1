/* Choices that are pure: the strategy of a move; restart policies as the journal writes them ("always", "on-failure:3"). */
#include "engine/mig.h"
#include <stdlib.h>
#include <string.h>

int ts_set_policy(struct ts_api *api, const char *id, const char *policy, struct ts_err *err)
{
        ts_auto_free char *name = ts_strdup0(policy);
        char *colon = name ? strchr(name, ':') : NULL;
        unsigned long long max = 0;

        if (!name)
                return ts_err_set(err, TS_EPROTO, "no restart policy");
        if (colon) {
                *colon++ = '\0';
                if (ts_parse_u64(colon, 0, 1000000, &max, err) < 0)
                        return ts_err_prefix(err, "restart policy '%s'", policy);
        }
        return ts_api_set_restart_policy(api, id, name, (int64_t)max, err);
}

int ts_choose_strategy(struct ts_mig *m, struct ts_err *err)
{
        bool podman = ts_api_kind(m->src.api) == TS_PODMAN;
        const char *asked = ts_or(m->o->strategy, "auto");

        if (podman && !strcmp(asked, "in-place") && !m->o->cold)
                return ts_err_set(err, TS_EUSAGE, "--strategy in-place is not there yet for Podman: use archive");
        if (!podman && !strcmp(asked, "archive"))
                return ts_err_set(err, TS_EUSAGE, "--strategy archive is Podman's: Docker cannot export a checkpoint");
        m->cold = m->o->cold;
        m->archive = podman && !m->cold;
        m->r->strategy = ts_strdup0(m->cold ? "cold" : m->archive ? "archive" : "in-place");
        m->r->transfer = ts_strdup0(m->archive && m->o->transfer == TS_TRANSFER_SCP ? "scp" : "stream");
        return 0;
}
