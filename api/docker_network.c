/* Decides which place on which networks a copy of a Docker container gets: addresses, names, options. */
#include "api/api_priv.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct ts_json *networks_of(const struct ts_json *inspect)
{
        return ts_json_get(inspect, "NetworkSettings.Networks");
}

bool ts_docker_network_is_own(const char *mode)
{
        return strcmp(mode, "bridge") != 0 && strcmp(mode, "default") != 0 && strcmp(mode, "host") != 0 && strcmp(mode, "none") != 0 &&
               !ts_starts(mode, "container:");
}

/* The mode may be a network's ID, or the beginning of one. */
static const char *name_of_id(const struct ts_json *networks, const char *id)
{
        const char *name;
        struct ts_json *one;
        for (void *it = NULL; strlen(id) >= 12 && (it = ts_json_each(networks, it, &name, &one));)
                if (ts_starts(ts_json_str(one, "NetworkID", ""), id))
                        return name;
        return NULL;
}

/* Taken off the network it was created on, it starts on what is left. */
char *ts_docker_first_network(const struct ts_json *inspect)
{
        const struct ts_json *networks = networks_of(inspect);
        const char *mode = ts_json_str(inspect, "HostConfig.NetworkMode", "default"), *first;
        struct ts_json *one;
        if (strcmp(mode, "default") == 0 || *mode == '\0')
                mode = "bridge";
        if (strcmp(mode, "host") == 0 || strcmp(mode, "none") == 0 || ts_starts(mode, "container:") || ts_json_member(networks, mode))
                return strdup(mode);
        const char *by_id = name_of_id(networks, mode);
        if (by_id)
                return strdup(by_id);
        return strdup(ts_json_each(networks, NULL, &first, &one) ? first : mode);
}

bool ts_docker_mac_is_made(const char *mac, const char *ip)
{
        struct in_addr a;
        char made[18];
        if (inet_pton(AF_INET, ip, &a) != 1)
                return false;
        const unsigned char *b = (const unsigned char *)&a.s_addr;
        (void)snprintf(made, sizeof(made), "02:42:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3]);
        return strcasecmp(mac, made) == 0;
}

/* On the shared default bridge a made address must not be asked for: there the next container with that IP address makes the same. */
const char *ts_docker_mac(const struct ts_json *inspect, const char *network)
{
        const struct ts_json *e = ts_json_member(networks_of(inspect), network);
        const char *mac = ts_json_str(e, "MacAddress", ""), *asked = ts_json_str(inspect, "Config.MacAddress", "");
        if (*mac == '\0')
                mac = asked;
        if (*mac == '\0' || (!ts_docker_network_is_own(network) && *asked == '\0' && ts_docker_mac_is_made(mac, ts_json_str(e, "IPAddress", ""))))
                return NULL;
        return mac;
}

/* An address that an engine had chosen looks as if the user had asked for it once it was kept: a
 * label remembers it. */
bool ts_docker_address_chosen(const struct ts_json *inspect, const char *network)
{
        ts_auto_free char *key = ts_fmt(TS_DOCKER_CHOSEN "%s", network);
        const struct ts_json *e = ts_json_member(networks_of(inspect), network);
        const char *asked = ts_json_str(e, "IPAMConfig.IPv4Address", ""),
                   *label = ts_json_str(ts_json_member(ts_json_get(inspect, "Config.Labels"),
                                                       ts_or(key, "")),
                                        "", "");
        return *asked == '\0' || strcmp(asked, label) == 0;
}

static struct ts_json *ipam(const struct ts_json *inspect, const char *network,
                            const struct ts_json *endpoint, bool free_addresses)
{
        static const char *const addresses[][2] = { { "IPAddress", "IPv4Address" }, { "GlobalIPv6Address", "IPv6Address" } };
        const struct ts_json *asked = ts_json_member(endpoint, "IPAMConfig");
        struct ts_json *all = ts_json_is_object(asked) ? ts_json_copy(asked) : ts_json_object();
        for (size_t i = 0; free_addresses && ts_docker_address_chosen(inspect, network) &&
                           i < TS_ARRAY_LEN(addresses);
             i++)
                (void)ts_json_del(all, addresses[i][1]);
        for (size_t i = 0; !free_addresses && i < TS_ARRAY_LEN(addresses); i++) {
                const char *now = ts_json_str(endpoint, addresses[i][0], "");
                if (*now && *ts_json_str(all, addresses[i][1], "") == '\0' && ts_json_set_str(all, addresses[i][1], now) < 0) {
                        ts_json_free(all);
                        return NULL;
                }
        }
        return all;
}

/* Before API 1.45 the short ID of the container is among them. */
static struct ts_json *aliases(const struct ts_json *inspect, const struct ts_json *endpoint)
{
        const struct ts_json *all = ts_json_member(endpoint, "Aliases");
        const char *id = ts_json_str(inspect, "Id", "");
        struct ts_json *kept = ts_json_array();
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const char *one = ts_json_str(ts_json_at(all, i), "", "");
                if (*one == '\0' || (strlen(one) == 12 && ts_starts(id, one)))
                        continue;
                if (ts_json_append(kept, ts_json_new_str(one)) < 0) {
                        ts_json_free(kept);
                        return NULL;
                }
        }
        return kept;
}

/* Sets what is not empty; takes value over. */
static int set_if(struct ts_json *o, const char *key, struct ts_json *value)
{
        if (value && ts_json_len(value) == 0) {
                ts_json_free(value);
                return 0;
        }
        return ts_json_set(o, key, value);
}

static int copy_if(struct ts_json *o, const struct ts_json *from, const char *key)
{
        const struct ts_json *v = ts_json_member(from, key);
        return ts_json_len(v) > 0 ? ts_json_set(o, key, ts_json_copy(v)) : 0;
}

static int fill_endpoint(struct ts_json *o, const struct ts_json *inspect, const char *network, int minor, bool free_addresses)
{
        const struct ts_json *e = ts_json_member(networks_of(inspect), network);
        int64_t priority = ts_json_int(e, "GwPriority", 0);
        const char *mac = ts_docker_mac(inspect, network);
        if (mac && free_addresses && ts_docker_mac_is_made(mac, ts_json_str(e, "IPAddress", "")))
                mac = NULL; /* it goes with the address */
        if (ts_docker_network_is_own(
                    network) && /* the default bridge takes neither names nor addresses */
            (set_if(o, "IPAMConfig", ipam(inspect, network, e, free_addresses)) < 0 ||
             set_if(o, "Aliases", aliases(inspect, e)) < 0 || copy_if(o, e, "Links") < 0))
                return -1;
        if (copy_if(o, e, "DriverOpts") < 0 || (minor >= 44 && ts_json_set_str(o, "MacAddress", mac) < 0))
                return -1;
        return minor >= 48 && priority != 0 ? ts_json_set_int(o, "GwPriority", priority) : 0;
}

struct ts_json *ts_docker_endpoint(const struct ts_json *inspect, const char *network, int minor, bool free_addresses)
{
        struct ts_json *o = ts_json_object();
        if (o && fill_endpoint(o, inspect, network, minor, free_addresses) < 0) {
                ts_json_free(o);
                return NULL;
        }
        return o;
}
