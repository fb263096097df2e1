/* The door of a container whose address follows it (macvlan, ipvlan): shut while it is being restored.
 *
 * The engine brings up the container's network with its address before CRIU has made its sockets again, tenths of a second later. A client's packet that comes in between finds no socket, and the kernel answers
 * with a reset: the open connection that was to survive is gone, and a new one is refused. So packets for the address are dropped at the parent interface until the restore has answered; a client then only sees
 * silence, and sends again. An ingress chain of the parent's comes before macvlan takes its packets. Best effort: without nft it is a warning. */
#include "engine/claims.h"
#include "engine/mig.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MS 10000

static bool is_address(int family, const char *text)
{
        unsigned char buf[sizeof(struct in6_addr)];

        return text && inet_pton(family, text, buf) == 1;
}

static int add_chain(struct ts_str *rules, const char *parent, const struct ts_network_use *use, unsigned n, struct ts_err *err)
{
        if (ts_str_addf(rules, err, "chain in%u { type filter hook ingress device \"%s\" priority -500; ", n, parent) < 0)
                return -1;
        if (is_address(AF_INET, use->ip) && ts_str_addf(rules, err, "ip daddr %s drop; ", use->ip) < 0)
                return -1;
        if (is_address(AF_INET6, use->ip6) && ts_str_addf(rules, err, "ip6 daddr %s drop; ", use->ip6) < 0)
                return -1;
        return ts_str_adds(rules, "}\n", err);
}

/* One chain a network whose address follows the container; nothing when there is none. The names come from engines: checked before they go into rules. */
static int make_rules(struct ts_mig *m, struct ts_end *e, struct ts_str *rules, struct ts_err *err)
{
        for (size_t i = 0; m->c && i < m->c->n_networks; i++) {
                const struct ts_network_use *use = &m->c->networks[i];
                ts_auto(ts_network) struct ts_network *n = NULL;

                if ((!is_address(AF_INET, use->ip) && !is_address(AF_INET6, use->ip6)) || ts_api_network(e->api, use->name, &n, NULL) < 0)
                        continue;
                if (!n->parent || !ts_name_valid(n->parent, 15) || (!ts_streq0(n->driver, "macvlan") && !ts_streq0(n->driver, "ipvlan")))
                        continue;
                if (add_chain(rules, n->parent, use, (unsigned)i, err) < 0)
                        return -1;
        }
        return 0;
}

static int shut(struct ts_mig *m, struct ts_end *e, const char *table, struct ts_err *err)
{
        const char *const argv[] = { "nft", "-f", "-", NULL };
        ts_auto_str rules = TS_STR_INIT;
        ts_auto_str all = TS_STR_INIT;
        struct ts_run_opts run = { 0 };
        unsigned n = 0;

        if (make_rules(m, e, &rules, err) < 0 || rules.len == 0)
                return rules.len == 0 ? 0 : -1;
        if (ts_str_addf(&all, err, "table netdev %s {\n%s}\n", table, ts_str_cstr(&rules)) < 0)
                return -1;
        run.input = all.buf;
        run.input_len = all.len;
        if (ts_journal_intent(m->j, TS_RES_DOOR, e->side, table, NULL, NULL, &n, err) < 0 || ts_host_check(e->host, argv, &run, NULL, err) < 0)
                return -1;
        m->door_shut[e->side] = true;
        return ts_journal_res_state(m->j, n, TS_RES_MADE, err);
}

void ts_door_shut(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_free char *table = ts_door_table(m->id);
        ts_auto_err err = TS_ERR_INIT;

        if (table && shut(m, e, table, &err) < 0)
                ts_mig_warn(m, "open connections may break: packets for the container cannot be held back while it is restored on the %s: %s", ts_side_str(e->side), ts_err_message(&err));
}

int ts_door_remove(struct ts_end *e, const char *table, struct ts_err *err)
{
        const char *const argv[] = { "nft", "delete", "table", "netdev", table, NULL };
        const char *const look[] = { "nft", "list", "table", "netdev", table, NULL };
        ts_auto_run r = { 0 };

        if (ts_host_check(e->host, argv, NULL, NULL, NULL) == 0)
                return 0;
        /* Not there is as good; without nft there never was one. */
        if (ts_host_run(e->host, look, NULL, &r, err) < 0)
                return -1;
        return r.status != 0 ? 0 : ts_err_set(err, TS_ECOMMAND, "the packet filter table '%s' could not be removed: nft delete table netdev %s", table, table);
}

void ts_door_begin_open(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_free char *table = m->door_shut[e->side] ? ts_door_table(m->id) : NULL;
        const char *const argv[] = { "nft", "delete", "table", "netdev", table, NULL };

        if (table && !m->door_opener)
                (void)ts_host_start(e->host, argv, &m->door_opener, NULL);
}

void ts_door_end_open(struct ts_mig *m, struct ts_end *e)
{
        int status = -1;

        if (m->door_opener) {
                (void)ts_proc_end_input(m->door_opener);
                if (ts_proc_wait(m->door_opener, ts_deadline_in_ms(OPEN_MS), &status, NULL) < 0)
                        status = -1;
                ts_proc_free(TS_TAKE(m->door_opener));
        }
        if (status != 0)
                ts_door_open(m, e);
        m->door_shut[e->side] = false;
}

void ts_door_open(struct ts_mig *m, struct ts_end *e)
{
        if (!m->door_shut[e->side])
                return;
        for (size_t i = 0; i < ts_journal_res_count(m->j); i++) {
                const struct ts_res *r = ts_journal_res(m->j, i);
                ts_auto_err err = TS_ERR_INIT;

                if (r->kind != TS_RES_DOOR || r->side != e->side || r->state != TS_RES_MADE)
                        continue;
                if (ts_door_remove(e, r->name, &err) < 0)
                        ts_mig_warn(m, "%s", ts_err_message(&err));
                else
                        (void)ts_journal_res_state(m->j, r->n, TS_RES_UNDONE, NULL);
        }
        m->door_shut[e->side] = false;
}
