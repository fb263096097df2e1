/* After the source's container has gone: connections through its published ports end at once,
 * instead of waiting for an address that is nobody's. Best effort. */
#include "engine/mig.h"
#include "transfer/ship.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static bool is_address(const char *text)
{
        unsigned char buf[sizeof(struct in6_addr)];

        return text && *text &&
               (inet_pton(AF_INET, text, buf) == 1 || inet_pton(AF_INET6, text, buf) == 1);
}

static int forget(struct ts_mig *m, struct ts_err *err)
{
        ts_auto_free char *agent = NULL;
        ts_auto_list argv = TS_LIST_INIT;

        if (ts_agent_install(m->src.host, &agent, err) < 0 || ts_list_add(&argv, agent, err) < 0 ||
            ts_list_add(&argv, "forget", err) < 0)
                return -1;
        for (size_t i = 0; i < m->c->n_networks; i++)
                if ((is_address(m->c->networks[i].ip) &&
                     ts_list_add(&argv, m->c->networks[i].ip, err) < 0) ||
                    (is_address(m->c->networks[i].ip6) &&
                     ts_list_add(&argv, m->c->networks[i].ip6, err) < 0))
                        return -1;
        return argv.n == 2
                       ? 0
                       : ts_host_check(m->src.host, (const char *const *)argv.v, NULL, NULL, err);
}

void ts_forget_connections(struct ts_mig *m)
{
        ts_auto_err err = TS_ERR_INIT;

        if (m->c && m->c->n_ports && m->engine == TS_PODMAN &&
            forget(m, &err) < 0) /* Docker does it itself */
                ts_mig_warn(m,
                            "clients with open connections to published ports of the source may "
                            "wait in vain: %s",
                            ts_err_message(&err));
}
