/* What was set up within the container's name spaces beside what its engine makes: firewall rules,
 * addresses, mounts, files that the engine brought and somebody changed. A restore makes the name
 * spaces anew, as the engine knows them; the rest is gone without a word (SAFETY rule 29), or the
 * restore fails for the want of it, on the source as well (rule 28). */
#include "engine/preflight.h"
#include <arpa/inet.h>
#include <string.h>

/* $t the container's first process. What the host has no program for is not seen. */
const char ts_inside_script[] =
        "mounted() { # by the container alone: CRIU looks for their parts on the host, or refuses\n"
        "  awk 'NR == FNR { host[$3] = 1; next }\n"
        "    { for (i = 7; i < NF && $i != \"-\"; i++) ; k = $(i + 1) }\n"
        "    k == \"nsfs\" || (!($3 in host) && (k ~ /^(overlay|hugetlbfs|fuse([.].*)?)$/ ||\n"
        "      k ~ /^(ext[234]|xfs|btrfs|f2fs|fuseblk|vfat|iso9660|squashfs|erofs)$/ ||\n"
        "      k ~ /^(nfs4?|cifs|smb3|9p|ceph)$/)) { print k, $5 }' \\\n"
        "    /proc/self/mountinfo \"/proc/$t/mountinfo\" | tr -c '[:print:]\\n' '?' |\n"
        "    head -n 20 | while read -r k d; do\n"
        "      say stuck \"a mount of kind $k that was made inside, at '$d'\"\n"
        "    done\n"
        "}\n"
        "edited() { # files that the engine brings: changed since the start\n"
        "  since=$(awk -v hz=\"$(getconf CLK_TCK || echo 100)\" '\n"
        "    NR == FNR { if ($1 == \"btime\") b = $2; next }\n"
        "    { sub(/.*[)] /, \"\"); printf \"%d\", b + $20 / hz + 5 }' \\\n"
        "    /proc/stat \"/proc/$t/stat\")\n"
        "  awk '$5 ~ /^[/]etc[/](hosts|resolv[.]conf|hostname)$/ && $4 ~ /containers[/]/ {\n"
        "    print $5 }' \"/proc/$t/mountinfo\" | sort -u | while read -r f; do\n"
        "      [ \"$(stat -c %Y -- \"/proc/$t/root$f\")\" -gt \"$since\" ] && say edited \"$f\"\n"
        "    done\n"
        "}\n"
        "attributes() { # CRIU packs a tmpfs with tar, and without them\n"
        "  awk '{ for (i = 7; i < NF && $i != \"-\"; i++) ; k = $(i + 1) }\n"
        "    k == \"tmpfs\" && $4 == \"/\" && $5 != \"/dev\" && $6 ~ /(^|,)rw(,|$)/ {\n"
        "      print $5 }' \\\n"
        "    \"/proc/$t/mountinfo\" | sort -u | head -n 20 | while read -r d; do\n"
        "    { timeout 2 ls -AlR -- \"/proc/$t/root$d\" | grep '^[-bcdlps][-rwxsStT]\\{9\\}+ '\n"
        "      timeout 2 getfattr -RPh -m - -- \"/proc/$t/root$d\" ||\n"
        "        timeout 2 getcap -r \"/proc/$t/root$d\"\n"
        "    } | grep -q . &&\n"
        "      say lost \"extended attributes of files in $(printf %s \"$d\" |\n"
        "        tr -c '[:print:]' '?')\"\n"
        "  done\n"
        "}\n"
        "in_net() { nsenter --net -t \"$t\" -- \"$@\"; }\n"
        "counted() { # of the lines that are read\n"
        "  n=$(grep -c .)\n"
        "  [ \"$n\" -eq 0 ] || say lost \"$1 ($n)\"\n"
        "}\n"
        "network() { # Docker's own rules answer for its name server\n"
        "  { for s in iptables ip6tables; do\n"
        "      in_net $s-legacy-save | sed -n 's/^-A .*/& # handle 0/p'\n"
        "    done\n"
        "    in_net nft -a list ruleset\n"
        "  } | awk '/^table/ { ours = $3 ~ /^(CRIU|tranship_)/ }\n"
        "    /[{] # handle [0-9]+$/ { chain = $2; next }\n"
        "    /# handle [0-9]+$/ && !ours && chain !~ /^DOCKER_/ && !/DOCKER_/' |\n"
        "    counted 'firewall rules'\n"
        "  { in_net ip route show table all; in_net ip -6 route show table all; } |\n"
        "    awk '/ proto (kernel|static|ra|dhcp)/ || ($1 == \"default\" && !/ table /) { next }\n"
        "      $1 ~ /^(local|broadcast|anycast|multicast)$/ { next } 1' | counted routes\n"
        "  { in_net ip rule; in_net ip -6 rule; } | grep -Ev '^(0|3276[67]):' |\n"
        "    counted 'rules of routing'\n"
        "  in_net tc qdisc show | awk -v std=\"$(cat /proc/sys/net/core/default_qdisc)\" '\n"
        "    $2 != std && $2 !~ /^(noqueue|noop|pfifo_fast|fq_codel|mq)$/' |\n"
        "    counted 'queueing disciplines (tc)'\n"
        "  in_net ip -o link show | awk '$2 != \"lo:\" && $2 !~ /@(if[0-9]+|NONE):$/ &&\n"
        "    (/[<,]UP[,>]/ ||\n"
        "      $2 !~ /^(tunl|gre|gretap|erspan|ip_vti|ip6_vti|sit|ip6tnl|ip6gre)0:$/) {\n"
        "      sub(/[@:].*/, \"\", $2); print \"made=\" $2 }' |\n"
        "    tr -c '[:print:]\\n' '?' | head -n 20\n"
        "  awk '/32 host LOCAL/ { print \"inside=\" a } /[|]--/ { a = $2 }' \\\n"
        "    \"/proc/$t/net/fib_trie\" | sort -u | head -n 200\n"
        "  awk '$4 == \"00\" && $5 ~ /^[89a-f]/ { print \"inside6=\" $1 }' \\\n"
        "    \"/proc/$t/net/if_inet6\" | head -n 200\n"
        "  awk 'NR > 1 && $5 > 1 { print \"packet=\" $5 }' \"/proc/$t/net/packet\" | sort -u |\n"
        "    head -n 20\n"
        "}\n"
        "inside() {\n"
        "  t=$1\n"
        "  mounted; edited; attributes\n"
        "  [ \"$(readlink \"/proc/$t/ns/net\")\" = \"$(readlink /proc/self/ns/net)\" ] ||\n"
        "    { network; settings; }\n"
        "} 2>/dev/null\n";

/* A network name space that the engine makes, with addresses that it tells. */
static bool engines_own(const struct ts_container *c)
{
        static const char *const others[] = { "host", "ns:", "container:", "pasta", "slirp4netns" };

        for (size_t i = 0; i < TS_ARRAY_LEN(others); i++)
                if (ts_starts(ts_or(c->network_mode, ""), others[i]))
                        return false;
        return true;
}

/* In the engine's words about the container's networks: its own, a second one, a link-local one. */
static bool is_given(const char *settings, const char *address)
{
        ts_auto_free char *alone = ts_fmt("\"%s\"", address), *long_one = ts_fmt("\"%s/", address);

        return !alone || !long_one || strstr(settings, alone) || strstr(settings, long_one);
}

bool ts_address_is_made(const char *settings, const char *address)
{
        unsigned char v4[4], v6[16];

        if (inet_pton(AF_INET, address, v4) == 1)
                return v4[0] != 0 && v4[0] != 127 && v4[0] < 224 && !is_given(settings, address);
        return inet_pton(AF_INET6, address, v6) == 1 && !is_given(settings, address);
}

/* "20010db8…", 32 digits as /proc/net/if_inet6 has them. */
static bool text_of(const char *hex, char ret[INET6_ADDRSTRLEN])
{
        ts_auto_str s = TS_STR_INIT;
        unsigned char bytes[16];

        for (size_t i = 0; strlen(hex) == 32 && i < 32; i += 4)
                (void)ts_str_addf(&s, NULL, "%s%.4s", i ? ":" : "", hex + i);
        return inet_pton(AF_INET6, ts_str_cstr(&s), bytes) == 1 &&
               inet_ntop(AF_INET6, bytes, ret, INET6_ADDRSTRLEN) != NULL;
}

static void note(struct ts_preflight *p, const char *kind, const char *what, const char *name)
{
        (void)ts_list_addf(&p->src.facts.lines, NULL, "%s=%s%s", kind, what, name);
}

/* CRIU binds a socket of IPv6 to an address that is not there yet, one of IPv4 it does not. */
static void note_bound(struct ts_preflight *p, const char *settings)
{
        bool big = ts_arch_big_endian(ts_fact(&p->src.facts, "arch", 0));
        const char *hex;

        for (size_t n = 0; (hex = ts_fact(&p->src.facts, "bound", n)); n++) {
                char address[INET_ADDRSTRLEN];

                if (strlen(hex) == 8 && ts_proc_address4(hex, big, address) &&
                    ts_address_is_made(settings, address))
                        note(p, "stuck", "a socket with an address that no engine gave it, ",
                             address);
        }
}

/* CRIU binds it by the number of the interface. Docker gives it whatever number was the next on the
 * host, and another one at every restore; Podman counts from 2. */
static void note_packet(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;
        const char *fact;
        unsigned long long i;

        for (size_t n = 0; (fact = ts_fact(&p->src.facts, "packet", n)); n++) {
                if (ts_parse_u64(fact, 0, UINT32_MAX, &i, NULL) < 0)
                        continue;
                if (p->m->engine == TS_DOCKER || i > 1 + c->n_networks) {
                        note(p, "stuck", "a packet socket that is bound to an interface", "");
                        return;
                }
        }
}

/* Before what is told of them. */
void ts_note_inside(struct ts_preflight *p)
{
        const struct ts_container *c = p->m->c;
        ts_auto_free char *settings =
                ts_json_text(ts_json_get(c->json, "NetworkSettings"), /* pretty= */ false);
        const char *fact;

        /* A network that it is put on later changes them, too. */
        for (size_t n = 0; c->n_networks < 2 && (fact = ts_fact(&p->src.facts, "edited", n)); n++)
                note(p, "lost", "what was written into ", fact);
        if (!settings || !engines_own(c))
                return;
        for (size_t n = 0; (fact = ts_fact(&p->src.facts, "inside", n)); n++)
                if (ts_address_is_made(settings, fact))
                        note(p, "lost", "the address ", fact);
        for (size_t n = 0; (fact = ts_fact(&p->src.facts, "inside6", n)); n++) {
                char address[INET6_ADDRSTRLEN];

                if (text_of(fact, address) && ts_address_is_made(settings, address))
                        note(p, "lost", "the address ", address);
        }
        /* What is bound to one could not be restored on either side, and who is, no list says. */
        for (size_t n = 0; (fact = ts_fact(&p->src.facts, "made", n)); n++)
                note(p, "stuck", "a network interface that was made inside, ", fact);
        note_bound(p, settings);
        note_packet(p);
}
