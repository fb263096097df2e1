/* The container's new place, told to its neighbours (transfer/agent/announce.h): for networks that
 * lead out of the host. Whether there is one, and the program for it, is known before the freeze;
 * it is started as soon as the container was seen running, and nobody waits for it. Best effort. */
#include "engine/mig.h"
#include "transfer/ship.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANNOUNCE_MS 10000

/* A bridge that an engine made and named for itself has nobody else on it. */
static bool leads_out(const struct ts_network *n)
{
        const char *named = ts_json_str(ts_json_member(ts_json_member(n->json, "Options"),
                                                       "com.docker.network.bridge.name"),
                                        "", NULL);
        const char *podmans = ts_json_str(n->json, "network_interface", NULL);
        size_t digits = podmans && ts_starts(podmans, "podman")
                                ? strspn(podmans + strlen("podman"), "0123456789")
                                : 0;

        if (!ts_streq0(n->driver, "bridge"))
                return true;
        return !n->builtin &&
               (named || (podmans && *podmans && (!digits || podmans[strlen("podman") + digits])));
}

static bool needs_lo(const struct ts_mig *m, const struct ts_container *c)
{
        return m->dst.info->kind == TS_PODMAN && ts_streq0(c->network_mode, "none");
}

/* How many sessions with the target's host that and the loopback interface will take. */
unsigned ts_announce_plan(struct ts_mig *m, const struct ts_container *c)
{
        ts_auto_err err = TS_ERR_INIT;
        bool wanted = false;

        for (size_t i = 0; c && !wanted && i < c->n_networks; i++) {
                ts_auto(ts_network) struct ts_network *n = NULL;

                wanted = ts_api_network(m->dst.api, c->networks[i].name, &n, NULL) == 0 && leads_out(n);
        }
        if (wanted && !m->announcer && ts_agent_install(m->dst.host, &m->announcer, &err) < 0)
                ts_mig_warn(m,
                            "new clients may have to wait until the network knows where the container "
                            "is: %s",
                            ts_err_message(&err));
        return (m->announcer ? 1U : 0U) + (c && needs_lo(m, c) ? 1U : 0U);
}

void ts_announce_begin(struct ts_mig *m, const struct ts_container *there)
{
        char pid[32];
        const char *const argv[] = { ts_or(m->announcer, ""), "announce", pid, NULL };

        (void)snprintf(pid, sizeof(pid), "%lld", (long long)there->pid);
        if (m->recovering)
                (void)ts_announce_plan(m, there);
        if (m->announcer && !m->announcing)
                (void)ts_host_start(m->dst.host, argv, &m->announcing, NULL);
}

void ts_announce_end(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (!m->announcing)
                return;
        (void)ts_proc_end_input(m->announcing);
        if (ts_proc_finish(m->announcing, ts_deadline_in_ms(ANNOUNCE_MS), &err) < 0)
                ts_mig_warn(m,
                            "new clients may have to wait until the network knows where the "
                            "container is: %s",
                            ts_err_message(&err));
        ts_proc_free(TS_TAKE(m->announcing));
}

/* After Podman's own restore, too, it is down. Where sockets need it earlier the stub's hook has
 * done it already (stub.c). */
void ts_lo_begin(struct ts_mig *m, const struct ts_container *there)
{
        ts_auto_free char *target = ts_fmt("--target=%lld", (long long)there->pid);
        const char *const argv[] = {
                "nsenter", ts_or(target, ""), "--net", "--", "ip", "link", "set", "lo", "up", NULL
        };

        if (target && !m->lo && needs_lo(m, there))
                (void)ts_host_start(m->dst.host, argv, &m->lo, NULL);
}

void ts_lo_end(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (!m->lo)
                return;
        (void)ts_proc_end_input(m->lo);
        if (ts_proc_finish(m->lo, ts_deadline_in_ms(ANNOUNCE_MS), &err) < 0)
                ts_mig_warn(m, "the loopback interface of the container is down: %s",
                            ts_err_message(&err));
        ts_proc_free(TS_TAKE(m->lo));
}
