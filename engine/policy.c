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

const char *ts_strategy_str(enum ts_strategy s)
{
        return s == TS_COLD ? "cold" : s == TS_ARCHIVE ? "archive" : "in-place";
}

int ts_choose_strategy(struct ts_mig *m, struct ts_err *err)
{
        const char *asked = ts_or(m->o->strategy, "auto");
        bool scp = m->o->transfer == TS_TRANSFER_SCP;

        m->engine = ts_api_kind(m->src.api);
        if (m->engine == TS_DOCKER && !strcmp(asked, "archive"))
                return ts_err_set(err, TS_EUSAGE, "--strategy archive is Podman's: Docker cannot export a checkpoint");
        if (scp && (m->engine == TS_DOCKER || m->o->cold))
                return ts_err_set(err, TS_EUSAGE, "--transfer scp is for archives of Podman's: %s",
                                  m->o->cold ? "a cold move has none" : "Docker makes none");
        if (m->engine == TS_PODMAN && scp && !strcmp(asked, "in-place"))
                return ts_err_set(err, TS_EUSAGE, "--transfer scp is for --strategy archive: in place, files go from agent to agent");
        if (m->o->cold)
                m->strategy = TS_COLD;
        else if (m->engine == TS_PODMAN && (!strcmp(asked, "archive") || scp))
                m->strategy = TS_ARCHIVE;
        else
                m->strategy = TS_IN_PLACE;
        if (m->strategy == TS_ARCHIVE && strcmp(asked, "archive") != 0)
                ts_mig_note(m, "strategy archive: --transfer scp was asked for");
        if (m->o->bandwidth && m->strategy == TS_ARCHIVE)
                return ts_err_set(err, TS_EUSAGE, "--bandwidth is for moves in place: an engine sends its archive as fast as it can");
        if (m->o->max_downtime_ms && (m->strategy != TS_IN_PLACE || m->o->precopy > TS_PRECOPY_REHEARSAL || m->o->shared_dir))
                return ts_err_set(err, TS_EUSAGE,
                                  "--max-downtime needs memory to travel before, which only --strategy in-place with --precopy all or "
                                  "rehearsal does, and not with a shared directory");
        if (m->o->shared_dir && (strstr(m->o->shared_dir, "/../") || strchr(m->o->shared_dir, '\n')))
                return ts_err_set(err, TS_EUSAGE, "--transfer shared:DIR wants a path without '..'");
        if (m->o->shared_dir && m->strategy != TS_IN_PLACE)
                return ts_err_set(err, TS_EUSAGE,
                                  "--transfer shared:DIR is for moves in place: otherwise there is no dump that could lie there");
        m->r->strategy = ts_strdup0(ts_strategy_str(m->strategy));
        if (m->o->transfer == TS_TRANSFER_TLS && m->strategy == TS_ARCHIVE)
                ts_mig_note(m, "the archive goes by SSH: --transfer tls is for what agents bring");
        m->r->transfer = ts_strdup0(m->o->shared_dir                    ? "shared"
                                    : m->strategy == TS_ARCHIVE         ? (scp ? "scp" : "stream")
                                    : m->o->transfer == TS_TRANSFER_TLS ? "tls"
                                                                        : "stream");
        return 0;
}
