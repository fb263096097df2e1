/* Preflight, networks: do those of the container exist on the target and fit, or can they be made there; is the container's address free; are its published ports? */
#include "engine/preflight.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- prefixes (pure) ---- */
int ts_prefix_parse(const char *s, struct ts_prefix *ret)
{
        char text[INET6_ADDRSTRLEN];
        struct ts_prefix p = { 0 };
        size_t len = strcspn(ts_or(s, ""), "/");
        unsigned long long bits;

        if (!s || len == 0 || len >= sizeof(text))
                return -1;
        memcpy(text, s, len);
        text[len] = '\0';
        p.family = strchr(text, ':') ? AF_INET6 : AF_INET;
        bits = p.family == AF_INET ? 32 : 128;
        if (inet_pton(p.family, text, p.addr) != 1 || (s[len] && ts_parse_u64(s + len + 1, 0, bits, &bits, NULL) < 0))
                return -1;
        p.len = (unsigned)bits;
        *ret = p;
        return 0;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
        unsigned rest = bits % 8;

        if (memcmp(a, b, bits / 8) != 0)
                return false;
        return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

bool ts_prefix_overlap(const struct ts_prefix *a, const struct ts_prefix *b)
{
        return a->family == b->family && same_bits(a->addr, b->addr, a->len < b->len ? a->len : b->len);
}

bool ts_prefix_holds(const struct ts_prefix *net, const char *address)
{
        struct ts_prefix a;

        if (ts_prefix_parse(address, &a) < 0)
                return false;
        a.len = a.family == AF_INET ? 32 : 128;
        return ts_prefix_overlap(net, &a);
}

bool ts_arch_big_endian(const char *uname_m)
{
        return uname_m && (!strcmp(uname_m, "s390x") || !strcmp(uname_m, "ppc64") || !strcmp(uname_m, "ppc"));
}

/* /proc/net prints an address in network order as a number of the host. */
static int proc_addr(const char *hex, bool big_endian, unsigned char ret[4])
{
        unsigned long v;

        if (strspn(hex, "0123456789abcdefABCDEF") != 8)
                return -1;
        v = strtoul(hex, NULL, 16);
        for (unsigned i = 0; i < 4; i++)
                ret[i] = (unsigned char)(v >> (big_endian ? 24 - 8 * i : 8 * i));
        return 0;
}

static unsigned mask_len(const unsigned char mask[4])
{
        unsigned n = 0;

        while (n < 32 && mask[n / 8] & (0x80u >> n % 8))
                n++;
        return n;
}

int ts_prefix_from_route(const char *line, bool big_endian, struct ts_prefix *ret)
{
        char iface[32], dest[16], gateway[16], mask[16];
        unsigned char m[4];
        struct ts_prefix p = { .family = AF_INET };

        if (sscanf(ts_or(line, ""), "%31s %15s %15s %15s", iface, dest, gateway, mask) != 4 || strcmp(gateway, "00000000") != 0 ||
            !strcmp(iface, "lo"))
                return -1;
        if (proc_addr(dest, big_endian, p.addr) < 0 || proc_addr(mask, big_endian, m) < 0)
                return -1;
        p.len = mask_len(m);
        if (p.len == 0) /* a default route through a device */
                return -1;
        *ret = p;
        return 0;
}

int ts_prefix_from_route6(const char *line, struct ts_prefix *ret)
{
        char dest[40], len[8], hop[40], iface[32];
        struct ts_prefix p = { .family = AF_INET6 };

        if (sscanf(ts_or(line, ""), "%39s %7s %39s %31s", dest, len, hop, iface) != 4 || strspn(dest, "0123456789abcdef") != 32 ||
            strlen(hop) != 32 || strspn(hop, "0") != 32 || !strcmp(iface, "lo"))
                return -1;
        for (size_t i = 0; i < 16; i++)
                p.addr[i] = (unsigned char)strtoul((const char[3]){ dest[2 * i], dest[2 * i + 1], '\0' }, NULL, 16);
        p.len = (unsigned)strtoul(len, NULL, 16);
        if (p.len == 0 || p.len >= 128 || p.addr[0] == 0xff ||
            (p.addr[0] == 0xfe && (p.addr[1] & 0xc0) == 0x80)) /* host, multicast, link-local */
                return -1;
        *ret = p;
        return 0;
}

/* ---- networks ---- */
/* The address the container must have again: Podman's import brings back every one, a container made anew only those its user chose. */
static const char *wanted_ip(const struct ts_mig *m, const struct ts_network_use *u)
{
        const char *ip = ts_keeps_id(m) ? u->ip : u->static_ip;

        return ip && *ip ? ip : NULL;
}

/* Docker: a running address that its engine chose is kept on networks of the user's own, where that
 * can be. */
static const char *hoped_ip(const struct ts_mig *m, const struct ts_network_use *u)
{
        bool chosen = m->engine == TS_DOCKER && strcmp(u->name, "bridge") != 0 &&
                      !(u->static_ip && *u->static_ip);

        return chosen && u->ip && *u->ip ? u->ip : NULL;
}

/* There it gets another address: names and aliases stay. What has an address of its own open needs
 * that very one to be restored. */
static void other_address(struct ts_preflight *p, const struct ts_network_use *u, const char *code,
                          const char *hint, const char *why)
{
        bool needed = p->m->strategy != TS_COLD && ts_bound_to(p, u->ip);
        ts_auto_free char *or_cold = ts_fmt("%s, or move with --cold", hint);

        if (!ts_list_has(&p->m->free_networks, u->name))
                (void)ts_list_add(&p->m->free_networks, u->name, NULL);
        if (needed)
                ts_find_firm(p->m, code, or_cold,
                             "'%s' has connections open from its address %s on network '%s', and "
                             "cannot have it on the target: %s",
                             p->m->c->name, u->ip, u->name, why);
        else
                ts_find(p->m, "address-changes",
                        "other containers find it by its name; choose the address (--ip) where it "
                        "matters",
                        "'%s' gets another address than %s on network '%s': %s", p->m->c->name,
                        u->ip, u->name, why);
}

static bool network_holds(const struct ts_network *n, const char *ip)
{
        for (size_t i = 0; i < n->n_subnets; i++) {
                struct ts_prefix s;

                if (ts_prefix_parse(n->subnets[i].subnet, &s) == 0 && ts_prefix_holds(&s, ip))
                        return true;
        }
        return false;
}

static void check_present(struct ts_preflight *p, const struct ts_network_use *u, const struct ts_network *here,
                          const struct ts_network *there)
{
        ts_auto_free char *question = ts_plain_question(&p->dst, there);
        const char *ip = wanted_ip(p->m, u), *hoped = hoped_ip(p->m, u),
                   *plain = ts_facts_answer(&p->dst.facts, "plain", question),
                   *hint = "remove or rename it on the target, so that it is made like the "
                           "source's, or make it alike";

        if (here && !ts_streq0(here->driver, there->driver))
                ts_find(p->m, "network-differs", hint, "network '%s' has the driver '%s' on the source and '%s' on the target", u->name,
                        ts_or(here->driver, ""), ts_or(there->driver, ""));
        else if (ip && ts_streq0(plain, "yes"))
                ts_find(p->m, "network-differs", "make it there anew with --subnet",
                        "network '%s' on the target was made without a subnet: Docker gives no "
                        "container there the address %s that '%s' must have",
                        u->name, ip, p->m->c->name);
        else if (hoped && ts_streq0(plain, "yes"))
                other_address(p, u, "network-differs", "make it there anew with --subnet",
                              "the network there was made without a subnet, and Docker chooses");
        else if (hoped && there->n_subnets && !network_holds(there, hoped))
                other_address(p, u, "network-differs", hint,
                              "the network there has another subnet");
        else if (ip && there->n_subnets && !network_holds(there, ip))
                ts_find(p->m, "network-differs", hint, "network '%s' on the target (%s) has no room for the container's address %s",
                        u->name, ts_or(there->subnets[0].subnet, "?"), ip);
}

static bool on_parent(const struct ts_network *n)
{
        return ts_streq0(n->driver, "macvlan") || ts_streq0(n->driver, "ipvlan");
}

static void check_driver(struct ts_preflight *p, const struct ts_network *n)
{
        const char *parent = n->parent && *n->parent ? n->parent : NULL, *there = ts_facts_answer(&p->dst.facts, "link", parent);

        if (!ts_streq0(n->driver, "bridge") && !on_parent(n))
                ts_find(p->m, "network-driver", "create it on the target yourself",
                        "network '%s' has the driver '%s': tranship cannot make one like it", n->name, ts_or(n->driver, ""));
        if (on_parent(n) && parent && !strchr(parent, '.') &&
            !ts_streq0(there, "yes")) /* eth0.5: the engines make VLAN interfaces themselves */
                ts_find(p->m, "network-parent",
                        "create the network on the target yourself, on the interface that reaches the same network segment",
                        "network '%s' is on the interface '%s', which the target does not have", n->name, parent);
}

/* What an engine lets go of: not its own network, and none that a container is on. */
static char *make_room(const struct ts_preflight *p, const struct ts_network *n)
{
        static const char another[] = "create the container's network with another subnet";
        ts_auto_free char *word = ts_shell_word("%s", ts_or(n->name, ""));
        const char *user = NULL;

        if (ts_streq0(n->name, p->m->engine == TS_PODMAN ? "podman" : "bridge"))
                return strdup(another);
        for (size_t i = 0; i < p->dst.containers.n && !user; i++)
                if (ts_list_has(&p->dst.containers.v[i].networks, ts_or(n->name, "")))
                        user = p->dst.containers.v[i].name;
        if (user)
                return ts_fmt("%s; that one there is in use, by container '%s' for one", another, user);
        return ts_fmt("%s, or remove that one there: %s network rm %s", another, ts_program(p), ts_or(word, ""));
}

static void check_other_networks(struct ts_preflight *p, const struct ts_network *n, const struct ts_prefix *subnet, const char *text)
{
        for (size_t i = 0; i < p->dst.networks.n; i++) {
                const struct ts_network *o = p->dst.networks.v[i];
                ts_auto_free char *hint = make_room(p, o);

                for (size_t k = 0; k < o->n_subnets; k++) {
                        struct ts_prefix s;

                        if (ts_prefix_parse(o->subnets[k].subnet, &s) == 0 && ts_prefix_overlap(subnet, &s))
                                ts_find(p->m, "subnet-taken", ts_or(hint, ""),
                                        "network '%s' (%s) is to be made on the target, where network '%s' has %s", n->name, text,
                                        ts_or(o->name, "?"), ts_or(o->subnets[k].subnet, "?"));
                }
        }
}

static void route_taken(struct ts_preflight *p, const struct ts_network *n, const char *text, const char *route)
{
        ts_find(p->m, "subnet-taken", "create the container's network with another subnet",
                "network '%s' (%s) is to be made on the target, whose interface '%.*s' is in that subnet already", n->name, text,
                (int)strcspn(route, " "), route);
}

/* Only a bridge brings the subnet to the host itself; macvlan and ipvlan share the network the host is in. The routes of networks we know are told by their names already. */
static bool route_is_known(const struct ts_preflight *p, const struct ts_prefix *route)
{
        for (size_t i = 0; i < p->dst.networks.n; i++)
                for (size_t k = 0; k < p->dst.networks.v[i]->n_subnets; k++) {
                        struct ts_prefix s;

                        if (ts_prefix_parse(p->dst.networks.v[i]->subnets[k].subnet, &s) == 0 && s.len == route->len &&
                            ts_prefix_overlap(&s, route))
                                return true;
                }
        return false;
}

static void check_routes(struct ts_preflight *p, const struct ts_network *n, const struct ts_prefix *subnet, const char *text)
{
        bool big = ts_arch_big_endian(ts_fact(&p->dst.facts, "arch", 0));
        const char *line, *iface;
        struct ts_prefix r;

        for (size_t i = 0; (line = ts_fact(&p->dst.facts, "route", i)); i++)
                if (ts_prefix_from_route(line, big, &r) == 0 && ts_prefix_overlap(subnet, &r) && !route_is_known(p, &r))
                        route_taken(p, n, text, line);
        for (size_t i = 0; (line = ts_fact(&p->dst.facts, "route6", i)); i++)
                if (ts_prefix_from_route6(line, &r) == 0 && ts_prefix_overlap(subnet, &r) && !route_is_known(p, &r) &&
                    (iface = strrchr(line, ' ')))
                        route_taken(p, n, text, iface + 1);
}

static void check_absent(struct ts_preflight *p, const struct ts_network *n)
{
        check_driver(p, n);
        for (size_t i = 0; i < n->n_subnets; i++) {
                const char *text = ts_or(n->subnets[i].subnet, "");
                struct ts_prefix s;

                if (ts_prefix_parse(text, &s) < 0)
                        continue;
                if (!on_parent(n) || p->dst.e->info->kind == TS_DOCKER) /* Podman lets several macvlan networks share a subnet */
                        check_other_networks(p, n, &s, text);
                if (!on_parent(n))
                        check_routes(p, n, &s, text);
        }
}

void ts_check_networks(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < c->n_networks; i++) {
                const struct ts_network *here = p->src.used[i], *there = p->dst.used[i];

                if (there)
                        check_present(p, &c->networks[i], here, there);
                else if (here && !here->builtin)
                        check_absent(p, here);
                else
                        ts_find(p->m, "network-differs", "create it there", "the target has no network '%s', and %s", c->networks[i].name,
                                here ? "the engine makes this one itself" : "the source no longer has it either");
        }
}

/* ---- addresses ---- */
static bool same_address(const char *a, const char *b)
{
        struct ts_prefix x;

        if (!a || !b || ts_prefix_parse(a, &x) < 0)
                return false;
        x.len = x.family == AF_INET ? 32 : 128;
        return ts_prefix_holds(&x, b);
}

/* Who skips it wants another address there. Podman can be told that for a restore, if no
 * connection needs the old one. */
static void taken(struct ts_preflight *p, const struct ts_network_use *u, const char *hint, const char *message)
{
        bool other = ts_keeps_id(p->m) && !ts_bound_to(p, u->ip) && !ts_bound_to(p, u->ip6);

        if (other)
                ts_find(p->m, "address-taken", hint, "%s", message);
        else
                ts_find_firm(p->m, "address-taken", hint, "%s", message);
}

/* In ticks: the sentence may go on behind it. */
static char *stop_there(const struct ts_preflight *p, const char *name)
{
        ts_auto_free char *word = name ? ts_shell_word("%s", name) : NULL;

        return word ? ts_fmt("stop that one there (`%s stop %s`), or give it another address", ts_program(p), word)
                    : strdup("stop that one there, or give it another address");
}

static void taken_by(struct ts_preflight *p, const struct ts_network_use *u, const char *what, const char *who)
{
        ts_auto_free char *message = ts_fmt("%s, which '%s' must have on network '%s', is used on the target by container '%s'", what,
                                            p->m->c->name, u->name, ts_or(who, "?"));

        ts_auto_free char *hint = stop_there(p, who);

        taken(p, u, ts_or(hint, ""), ts_or(message, what));
}

static void check_member(struct ts_preflight *p, const struct ts_network_use *u, const char *id, const char *name, const char *ip,
                         const char *mac)
{
        const char *want = wanted_ip(p->m, u), *hoped = hoped_ip(p->m, u),
                   *want_mac = ts_keeps_id(p->m) ? u->mac : u->static_mac;

        if (ts_streq0(id, p->m->c->id))
                return; /* the same engine, or a left-over of an earlier move: told elsewhere */
        if (hoped && same_address(ip, hoped)) {
                ts_auto_free char *why = ts_fmt("container '%s' has it there", ts_or(name, "?"));

                ts_auto_free char *hint = stop_there(p, name);

                other_address(p, u, "address-taken", ts_or(hint, "stop that one"),
                              ts_or(why, "it is taken there"));
                return;
        }
        if (want && same_address(ip, want))
                taken_by(p, u, want, name);
        else if (want_mac && *want_mac && mac && !strcasecmp(mac, want_mac))
                taken_by(p, u, want_mac, name);
}

/* Docker: "Containers": {ID: {Name, IPv4Address, MacAddress}}. */
static void check_docker_members(struct ts_preflight *p, const struct ts_network_use *u, const struct ts_network *n)
{
        struct ts_json *c = NULL;
        const char *id = NULL;

        for (void *it = NULL; (it = ts_json_each(ts_json_get(n->json, "Containers"), it, &id, &c));)
                check_member(p, u, id, ts_json_str(c, "Name", NULL), ts_json_str(c, "IPv4Address", NULL),
                             ts_json_str(c, "MacAddress", NULL));
}

/* Podman 5: "containers": {ID: {name, interfaces: {eth0: {mac_address, subnets: [{ipnet}]}}}}. Older ones do not tell. */
static void check_podman_members(struct ts_preflight *p, const struct ts_network_use *u, const struct ts_network *n)
{
        struct ts_json *c = NULL, *i = NULL;
        const char *id = NULL, *iface = NULL;

        for (void *it = NULL; (it = ts_json_each(ts_json_get(n->json, "containers"), it, &id, &c));)
                for (void *in = NULL; (in = ts_json_each(ts_json_get(c, "interfaces"), in, &iface, &i));)
                        check_member(p, u, id, ts_json_str(c, "name", NULL),
                                     ts_json_str(ts_json_at(ts_json_get(i, "subnets"), 0), "ipnet", NULL),
                                     ts_json_str(i, "mac_address", NULL));
}

/* Another machine that answers for that address where the target is; false: none. The container
 * itself answers on a macvlan network: a neighbour with its MAC is no reason. */
static bool neighbour(const struct ts_preflight *p, const struct ts_network_use *u, const char *ip,
                      char ret_mac[32])
{
        const char *at = ts_or(ts_facts_answer(&p->dst.facts, "neigh", ip), "");

        for (int n = 0; sscanf(at, "%31s%n", ret_mac, &n) == 1; at += n)
                if (strspn(ret_mac, "0:") != strlen(ret_mac) && u->mac &&
                    strcasecmp(ret_mac, u->mac) != 0)
                        return true;
        return false;
}

static void check_neighbours(struct ts_preflight *p, const struct ts_network_use *u,
                             const char *want)
{
        const char *line;
        char mac[32];

        if (neighbour(p, u, want, mac)) {
                ts_auto_free char *message =
                        ts_fmt("another machine (%s) answers the target for the address %s of '%s'",
                               mac, want, p->m->c->name);

                taken(p, u, "find out which machine it is, and give one of the two another address",
                      ts_or(message, want));
        }
        for (size_t n = 0; (line = ts_fact(&p->dst.facts, "address", n)); n++)
                if (same_address(line, want)) {
                        ts_auto_free char *message = ts_fmt("%s, the address of '%s', is the target host's own", want, p->m->c->name);

                        taken(p, u, "give the container or the host another one", ts_or(message, want));
                        return;
                }
}

/* Somebody on the network that it will be on again has the address that its engine had chosen. */
static void check_hoped(struct ts_preflight *p, const struct ts_network_use *u, const char *hoped)
{
        const char *line;
        char mac[32];

        if (neighbour(p, u, hoped, mac))
                other_address(p, u, "address-taken", "find out which machine it is",
                              "another machine answers the target for it");
        for (size_t n = 0; (line = ts_fact(&p->dst.facts, "address", n)); n++)
                if (same_address(line, hoped))
                        other_address(p, u, "address-taken", "give the host another one",
                                      "it is the target host's own");
}

/* The one network of Docker's on which nobody can choose. */
static void check_default_bridge(struct ts_preflight *p, const struct ts_network_use *u)
{
        if (p->m->strategy != TS_COLD && ts_bound_to(p, u->ip))
                ts_find(p->m, "address-changes",
                        "on a network of the user's own (docker network create --subnet) the "
                        "address is kept",
                        "'%s' has connections open from its address %s on Docker's default bridge: "
                        "should Docker give it another one on the "
                        "target, the restore fails and the source goes on",
                        p->m->c->name, u->ip);
}

void ts_check_addresses(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < c->n_networks; i++) {
                const char *want = wanted_ip(p->m, &c->networks[i]),
                           *hoped = hoped_ip(p->m, &c->networks[i]);

                if (p->m->engine == TS_DOCKER && !strcmp(c->networks[i].name, "bridge"))
                        check_default_bridge(p, &c->networks[i]);
                if (hoped)
                        check_hoped(p, &c->networks[i], hoped);
                if (p->dst.used[i]) {
                        check_docker_members(p, &c->networks[i], p->dst.used[i]);
                        check_podman_members(p, &c->networks[i], p->dst.used[i]);
                }
                if (want)
                        check_neighbours(p, &c->networks[i], want);
        }
}

/* ---- ports ---- */
bool ts_listen_conflicts(const char *socket, const char *host_ip, unsigned port, bool big_endian)
{
        const char *colon = strchr(ts_or(socket, ""), ':');
        bool everywhere = !host_ip || !*host_ip || !strcmp(host_ip, "0.0.0.0") || !strcmp(host_ip, "::");
        unsigned char addr[4], want[4];

        if (!colon || strtoul(colon + 1, NULL, 16) != port)
                return false;
        if (everywhere || strspn(socket, "0") >= (size_t)(colon - socket))
                return true;
        return colon - socket == 8 && proc_addr(socket, big_endian, addr) == 0 && inet_pton(AF_INET, host_ip, want) == 1 &&
               !memcmp(addr, want, 4);
}

static bool udp(const char *proto)
{
        return proto && !strcasecmp(proto, "udp");
}

static bool port_taken(const struct ts_preflight *p, const char *proto, const char *host_ip, unsigned port)
{
        bool big = ts_arch_big_endian(ts_fact(&p->dst.facts, "arch", 0));
        const char *socket;

        for (size_t n = 0; (socket = ts_fact(&p->dst.facts, udp(proto) ? "udp" : "tcp", n)); n++)
                if (ts_listen_conflicts(socket, host_ip, port, big))
                        return true;
        return false;
}

/* A container on the host's network listens there itself. */
static void check_own_ports(struct ts_preflight *p, const char *key, const char *proto)
{
        const char *socket, *colon;

        for (size_t n = 0; (socket = ts_fact(&p->src.facts, key, n)); n++) {
                unsigned long port = (colon = strchr(socket, ':')) ? strtoul(colon + 1, NULL, 16) : 0;

                if (port && port <= 65535 && port_taken(p, proto, NULL, (unsigned)port))
                        ts_find(p->m, "port-taken", "stop what listens there (ss -ltnup on the target)",
                                "'%s' is on the host's network and listens on %s port %lu, which is in use on the target", p->m->c->name,
                                proto, port);
        }
}

static bool has_address(const struct ts_view *v, const char *ip)
{
        const char *line;
        unsigned char want[16];
        char text[33];

        if (inet_pton(AF_INET, ip, want) == 1 && want[0] == 127) /* all of them are there */
                return true;
        for (size_t n = 0; (line = ts_fact(&v->facts, "address", n)); n++)
                if (same_address(line, ip))
                        return true;
        if (inet_pton(AF_INET6, ip, want) != 1)
                return false;
        for (size_t i = 0; i < sizeof(want); i++)
                (void)snprintf(text + 2 * i, 3, "%02x", want[i]);
        for (size_t n = 0; (line = ts_fact(&v->facts, "address6", n)); n++)
                if (!strcasecmp(line, text))
                        return true;
        return false;
}

/* "-p 10.1.2.3:80:80": the target has to have that address. */
static void check_host_ip(struct ts_preflight *p, const struct ts_port *port)
{
        struct ts_prefix any;

        if (!port->host_ip || ts_prefix_parse(port->host_ip, &any) < 0 ||
            !strcmp(port->host_ip, "0.0.0.0") || !strcmp(port->host_ip, "::") ||
            !ts_fact(&p->dst.facts, "address", 0) || has_address(&p->dst, port->host_ip))
                return;
        ts_find(p->m, "host-ip",
                "give the target that address first, or create the container without it (-p "
                "HOSTPORT:PORT)",
                "'%s' publishes port %u on the address %s of its host, which the target does not "
                "have",
                p->m->c->name, port->host_port, port->host_ip);
}

/* Docker lists a port of 0.0.0.0 and of [::] apiece: to people they are one. */
static bool told_already(const struct ts_preflight *p, size_t at)
{
        const struct ts_container *c = p->m->c;
        const struct ts_port *a = &c->ports[at];

        for (size_t i = 0; i < at; i++)
                if (c->ports[i].host_port == a->host_port && udp(c->ports[i].proto) == udp(a->proto) &&
                    port_taken(p, c->ports[i].proto, c->ports[i].host_ip, c->ports[i].host_port))
                        return true;
        return false;
}

void ts_check_ports(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;

        for (size_t i = 0; i < c->n_ports; i++)
                check_host_ip(p, &c->ports[i]);

        if (ts_preflight_same_net(p))
                return; /* what listens there is the container itself, until it is frozen */
        for (size_t i = 0; i < c->n_ports; i++)
                if (c->ports[i].host_port && port_taken(p, c->ports[i].proto, c->ports[i].host_ip, c->ports[i].host_port) &&
                    !told_already(p, i))
                        ts_find(p->m, "port-taken", "stop what listens there (ss -ltnup on the target)",
                                "'%s' publishes %s port %u, which is in use on the target", c->name, ts_or(c->ports[i].proto, "tcp"),
                                c->ports[i].host_port);
        if (ts_streq0(c->network_mode, "host")) {
                check_own_ports(p, "own_tcp", "tcp");
                check_own_ports(p, "own_udp", "udp");
        }
}
