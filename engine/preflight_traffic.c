/* Preflight, what the container's processes have open towards others: connections that cannot come
 * along, sockets and files that CRIU cannot dump. Judges what ts_traffic_script saw; kernel objects
 * without an address are in preflight_container.c. */
#include "engine/preflight.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GHOST_LIMIT ((uint64_t)1 << 20) /* CRIU's own */

/* A part of the script in preflight_facts.c: `traffic PID FD-DIRECTORIES`. Nothing of the network
 * of a container that has the host's own, but for its MPTCP sockets: those are found by what the
 * processes hold. */
const char ts_traffic_script[] =
        "deleted_files() { # open or mapped: there under another name, or with a content that has "
        "to come along\n"
        "  find \"$@\" -maxdepth 1 -lname '/* (deleted)' -printf '%p %l\n' | awk '{ l = $0; "
        "sub(/^[^ ]* /, \"\", l) } l !~ /" TS_PATHLESS "/ && n++ < 500' | while read -r p l; do\n"
        "    l=${l% (deleted)}; set -- $(stat -L -c '%h %b %B %F' -- \"$p\")\n"
        "    case $1:$4:$l in\n"
        "    0:regular:*) [ \"$2\" -lt 256 ] || printf 'ghost=%s %s\n' $(($2 * $3)) \"$l\" ;;\n"
        "    [1-9]*:regular:*) printf 'linked=%s\n' \"$l\" ;;\n"
        "    esac\n"
        "  done | sort -u | head -n 40\n"
        "}\n"
        "traffic() {\n"
        "  t=$1; shift\n"
        "  deleted_files \"$@\" $(grep -l ' (deleted)$' $maps | sed 's/maps$/map_files/')\n"
        "  if [ \"$(readlink \"/proc/$t/ns/net\")\" = \"$(readlink /proc/self/ns/net)\" ]; then\n"
        "    { find \"$@\" -maxdepth 1 -lname 'socket:*' -printf '%l\\n'; ss -HMane; } | awk "
        "'/^socket:/ { gsub(/[^0-9]/, \"\"); held[$0] = 1; next }\n"
        "      { for (i = 1; i <= NF; i++) if ($i ~ /^ino:/ && (substr($i, 5) in held)) n++ } END "
        "{ print \"mptcp=\" n + 0 }'\n"
        "    return\n"
        "  fi\n"
        "  awk '$1 ~ /^MPTCP/ { n += $3 } END { print \"mptcp=\" n + 0 }' "
        "\"/proc/$t/net/protocols\"\n"
        "  cat \"/proc/$t/net/tcp\" \"/proc/$t/net/tcp6\" | awk '$4 == \"01\" && n++ < 2000 { "
        "print \"connection=\" $2, $3 }'\n"
        "  cat \"/proc/$t/net/tcp\" \"/proc/$t/net/tcp6\" \"/proc/$t/net/udp\" "
        "\"/proc/$t/net/udp6\" | awk '$10 > 0 && $4 != \"06\" && $2 ~ /^[0-9A-F]+:/ {\n"
        "    split($2, a, \":\"); if (a[1] !~ /^0*$/ && !(a[1] in seen) && n++ < 200) { seen[a[1]] "
        "= 1; print \"bound=\" a[1] } }'\n"
        "}\n";

/* ---- addresses as /proc/net prints them (pure) ---- */
static int hex_word(const char *hex, bool big_endian, unsigned char ret[4])
{
        char word[9];
        unsigned long v;

        if (strnlen(hex, 8) < 8)
                return -1;
        memcpy(word, hex, 8);
        word[8] = '\0';
        if (strspn(word, "0123456789abcdefABCDEF") != 8)
                return -1;
        v = strtoul(word, NULL, 16);
        for (unsigned i = 0; i < 4; i++)
                ret[i] = (unsigned char)(v >> (big_endian ? 24 - 8 * i : 8 * i));
        return 0;
}

bool ts_proc_address_is(const char *hex, const char *ip, bool big_endian)
{
        unsigned char have[16], want[16] = { 0 };
        size_t digits = strcspn(ts_or(hex, ""), ": "), n = digits / 8;
        bool v4 = ip && !strchr(ip, ':');

        if (!ip || (digits != 8 && digits != 32) || (!v4 && digits == 8) ||
            inet_pton(v4 ? AF_INET : AF_INET6, ip, want) != 1)
                return false;
        for (size_t i = 0; i < n; i++)
                if (hex_word(hex + 8 * i, big_endian, have + 4 * i) < 0)
                        return false;
        if (!v4 || digits == 8)
                return !memcmp(have, want, 4 * n);
        /* ::ffff:a.b.c.d */
        return !memcmp(have, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) && !memcmp(have + 12, want, 4);
}

bool ts_proc_address4(const char *hex, bool big_endian, char ret[INET_ADDRSTRLEN])
{
        unsigned char bytes[4];

        return hex_word(hex, big_endian, bytes) == 0 &&
               inet_ntop(AF_INET, bytes, ret, INET_ADDRSTRLEN) != NULL;
}

static unsigned port_of(const char *text)
{
        const char *colon = strchr(text, ':');

        return colon ? (unsigned)(strtoul(colon + 1, NULL, 16) & 0xffff) : 0;
}

bool ts_bound_to(const struct ts_preflight *p, const char *ip)
{
        bool big = ts_arch_big_endian(ts_fact(&p->src.facts, "arch", 0));
        const char *hex;

        for (size_t n = 0; (hex = ts_fact(&p->src.facts, "bound", n)); n++)
                if (ts_proc_address_is(hex, ip, big))
                        return true;
        return false;
}

/* ---- what CRIU cannot dump ---- */
/* The last line that says it, or NULL. */
static const char *conf_line(const struct ts_view *v, const char *option)
{
        const char *line, *found = NULL;

        for (size_t n = 0; (line = ts_fact(&v->facts, "criu_conf", n)); n++)
                if (ts_criu_conf_says(line, option))
                        found = line;
        return found;
}

static bool conf_says(const struct ts_view *v, const char *option)
{
        return conf_line(v, option);
}

void ts_check_mptcp(struct ts_preflight *p)
{
        uint64_t n = ts_fact_u64(&p->src.facts, "mptcp", 0);

        if (n)
                ts_find(p->m, "mptcp",
                        "programs in Go (1.24 and newer) listen that way unless they are started "
                        "with the environment variable "
                        "GODEBUG=multipathtcp=0; or create the container with --sysctl "
                        "net.mptcp.enabled=0, or move with --cold",
                        "processes of '%s' have %llu MPTCP sockets, which CRIU cannot dump",
                        p->m->c->name, (unsigned long long)n);
}

void ts_check_linked(struct ts_preflight *p)
{
        const char *file, *conf = ts_or(p->criu_conf, "/etc/criu/runc.conf");
        ts_auto_free char *hint = ts_fmt("add the line 'link-remap' to %s on both hosts, let the "
                                         "program close the file, or move with --cold",
                                         conf);
        ts_auto_str names = TS_STR_INIT_MAX(1500);

        for (size_t n = 0; (file = ts_fact(&p->src.facts, "linked", n)); n++)
                if (n < 5)
                        (void)ts_str_addf(&names, NULL, "%s'%.200s'", n ? ", " : "", file);
        if (names.len && !(conf_says(&p->src, "link-remap") && conf_says(&p->dst, "link-remap")))
                ts_find(p->m, "hard-link", hint,
                        "a process of '%s' has %s open, which was deleted and is still there "
                        "under another name (a hard link): CRIU "
                        "refuses without link-remap",
                        p->m->c->name, ts_str_cstr(&names));
}

uint64_t ts_ghost_limit(const char *line)
{
        char *end;
        const char *digits = line ? line + strcspn(line, "0123456789#") : "";
        unsigned long long n = strtoull(digits, &end, 10);

        if (end == digits)
                return GHOST_LIMIT;
        return n << (*end == 'G' ? 30 : *end == 'M' ? 20 : *end == 'K' ? 10 : 0);
}

/* What only open descriptors keep CRIU puts into the dump, up to a limit. */
void ts_check_ghosts(struct ts_preflight *p)
{
        const char *one, *file, *conf = ts_or(p->criu_conf, "/etc/criu/runc.conf");
        uint64_t limit = ts_ghost_limit(conf_line(&p->src, "ghost-limit")), most = 0;
        ts_auto_str names = TS_STR_INIT_MAX(1500);
        ts_auto_free char *hint = NULL;
        size_t n = 0;

        for (size_t i = 0; (one = ts_fact(&p->src.facts, "ghost", i)); i++) {
                uint64_t size = strtoull(one, NULL, 10);
                char human[16];

                file = strchr(one, ' ');
                if (!file || size <= limit)
                        continue;
                ts_human_bytes(size, human);
                if (n++ < 5)
                        (void)ts_str_addf(&names, NULL, "%s'%.200s' (%s)", n > 1 ? ", " : "",
                                          file + 1, human);
                most = size > most ? size : most;
        }
        hint = ts_fmt("add the line 'ghost-limit %lluM' to %s on both hosts, let the program close "
                      "it, or move with --cold",
                      (unsigned long long)(most >> 20) + 1, conf);
        if (n)
                ts_find(p->m, "ghost-limit", ts_or(hint, ""),
                        "a process of '%s' has %s open or mapped, deleted, and larger than CRIU "
                        "takes along",
                        p->m->c->name, ts_str_cstr(&names));
}

/* Podman: CRIU makes the sockets again before anybody could bring the loopback interface up, but
 * where the runtime runs our hook (stub.c). */
void ts_check_none(struct ts_preflight *p)
{
        const char *runtime = ts_or(p->m->c->runtime, "");
        bool hook = p->m->strategy == TS_IN_PLACE &&
                    strstr(*runtime ? runtime : ts_or(p->src.e->info->runtime, ""), "runc");

        if (!hook && ts_streq0(p->m->c->network_mode, "none") && ts_fact(&p->src.facts, "bound", 0))
                ts_find(p->m, "none-connected",
                        "use runc and --strategy in-place, let it close them, or move with --cold",
                        "'%s' has --network none and sockets with a loopback address: CRIU cannot "
                        "restore them, because that "
                        "interface is down until the restore is over",
                        p->m->c->name);
}

/* ---- connections that end ---- */
static bool publishes(const struct ts_container *c, unsigned port)
{
        for (size_t i = 0; i < c->n_ports; i++)
                if (c->ports[i].host_port && c->ports[i].container_port == port &&
                    !ts_streq0(c->ports[i].proto, "udp"))
                        return true;
        return false;
}

/* Through a published port the client talks to the source host's address, which does not follow the
 * container. */
void ts_check_connections(struct ts_preflight *p)
{
        const char *line;
        size_t open = 0;

        for (size_t n = 0; (line = ts_fact(&p->src.facts, "connection", n)); n++)
                open += publishes(p->m->c, port_of(line));
        if (open)
                ts_find(p->m, "connections",
                        "they would be kept with an address of the container's own that is the "
                        "same on both hosts (macvlan, ipvlan)",
                        "%zu connection%s through published ports of '%s' will be reset when it "
                        "has moved: the clients talk to an address of "
                        "the source host, and have to connect again",
                        open, open == 1 ? "" : "s", p->m->c->name);
}
