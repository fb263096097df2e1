/* What a host tells about itself: one constant script, read-only, run once; everything that varies is an argument. Its answers are lines "KEY=VALUE" and hostile like
 * everything from the other side. Judges nothing.
 *
 * The script comes on standard input (`sh -s`), for a shell word may not hold a newline. criu check and du, the slow ones, run beside the rest: their pipes are read last. */
#include "engine/preflight.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FACTS_MAX_BYTES ((size_t)4 << 20)
#define FACTS_MAX_LINES 50000
#define FACTS_TIMEOUT_MS 30000

/* $1 podman (or empty), $2 CRIU's configuration file, $3 "criu" when it is needed, then pairs: kind, value. */
static const char script_head[] =
        "LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        "export LC_ALL PATH\n"
        "say() { printf '%s=%s\\n' \"$1\" \"$2\"; }\n"
        "first() { head -n 1 -- \"$1\" 2>/dev/null; }\n"
        "tools() {\n"
        "  for t in tar find stat sync mkdir mv rm cut head tail cat cp sort ${podman:+setsid} "
        "$podman; do\n"
        "    command -v \"$t\" >/dev/null 2>&1 || say missing \"$t\"\n"
        "  done\n"
        "  for t in tar find stat; do\n"
        "    case $(\"$t\" --version 2>/dev/null | head -n 1) in *GNU*|*uutils*) ;; *) say not_gnu "
        "\"$t\" ;; esac\n"
        "  done\n"
        "}\n"
        "listening() { # of /proc/net/tcp: state 0A, udp: 07\n"
        "  cat \"/proc/net/$1\" \"/proc/net/${1}6\" 2>/dev/null | awk -v k=\"$1\" -v s=\"$2\" '$4 "
        "== s { print k \"=\" $2 }'\n"
        "}\n"
        "host_facts() {\n"
        "  say uid \"$(id -u)\"\n"
        "  say machine \"$(first /etc/machine-id)\"\n"
        "  say boot \"$(first /proc/sys/kernel/random/boot_id)\"\n"
        "  say netns \"$(readlink /proc/self/ns/net)\"\n"
        "  say kernel \"$(uname -r)\"\n"
        "  say arch \"$(uname -m)\"\n"
        "  say cpu \"$(grep -m 1 -E '^(flags|Features)[[:space:]]*:' /proc/cpuinfo)\"\n"
        "  [ -r \"$conf\" ] && sed 's/^/criu_conf=/' \"$conf\"\n"
        "  awk 'NR > 1 { print \"route=\" $1, $2, $3, $8 }' /proc/net/route\n"
        "  [ -r /proc/net/ipv6_route ] && awk '{ print \"route6=\" $1, $2, $5, $10 }' "
        "/proc/net/ipv6_route\n"
        "  awk '/32 host LOCAL/ { print \"address=\" a } /\\|--/ { a = $2 }' /proc/net/fib_trie\n"
        "  [ -r /proc/net/if_inet6 ] && awk '{ print \"address6=\" $1 }' /proc/net/if_inet6\n"
        "  listening tcp 0A; listening udp 07\n"
        "} 2>/dev/null\n"
        "criu_facts() {\n"
        "  command -v criu >/dev/null 2>&1 || return 0\n"
        "  if ldconfig -p >/dev/null 2>&1; then ldconfig -p | grep -q 'libcriu[.]so[.]2' || say "
        "libcriu no; fi\n"
        "  say criu \"$(criu --version 2>/dev/null | sed -n 's/^Version: *//p')\"\n"
        "  [ \"$(id -u)\" = 0 ] || return 0\n"
        "  if out=$(criu check 2>&1); then say criu_check ok; else say criu_check \"$(printf "
        "'%s\\n' \"$out\" | grep -m 1 -i error)\"; fi\n"
        "}\n";

static const char script_databases[] =
        /* SQLite's with a write-ahead log: NAME is open, NAME-shm is mapped. 20 of a process. */
        "wal() {\n"
        "  { find \"/proc/$1/fd\" -maxdepth 1 -type l -printf '%l\\n'; echo\n"
        "    cat \"/proc/$1/maps\"; } |\n"
        "    awk -v who=\"$(tr -cd 'A-Za-z0-9._-' <\"/proc/$1/comm\")\" '\n"
        "      !mapped { if ($0 == \"\") mapped = 1; else open[$0] = 1; next }\n"
        "      $2 ~ /s$/ && /-shm$/ {\n"
        "        f = substr($0, index($0, \"/\")); f = substr(f, 1, length(f) - 4)\n"
        "        if ((f in open) && !(f in seen) && n++ < 20) {\n"
        "          seen[f] = 1; print \"wal=\" (who ? who : \"?\"), f } }'\n"
        "}\n"
        /* Files that a process has locked (POSIX) and mapped: by device and inode. 20 of a process. */
        "mapped_locks() {\n"
        "  { cat \"/proc/$1/fdinfo/\"*; cat \"/proc/$1/maps\"; } |\n"
        "    awk -v who=\"$(tr -cd 'A-Za-z0-9._-' <\"/proc/$1/comm\")\" '\n"
        "      $1 == \"lock:\" { if ($3 == \"POSIX\") held[$7] = 1; next }\n"
        "      $1 ~ /^[0-9a-f]+-[0-9a-f]+$/ && (($4 \":\" $5) in held) {\n"
        "        f = substr($0, index($0, \"/\"))\n"
        "        if (!(f in seen) && n++ < 20) {\n"
        "          seen[f] = 1; print \"mapped_lock=\" (who ? who : \"?\"), f } }'\n"
        "}\n"
        "lockers() { # of these processes\n"
        "  { printf 'pid %s\\n' \"$@\"; cat /proc/locks; } |\n"
        "    awk '$1 == \"pid\" { own[$2] = 1; next } !/ POSIX / { next }\n"
        "      { for (i = 1; i < NF; i++)\n"
        "          if ($i ~ /^(READ|WRITE)$/ && ($(i + 1) in own)) print $(i + 1) }' | sort -u\n"
        "}\n"
        /* All that are open for writing, by their first bytes. 1000 files are looked at. */
        "databases() {\n"
        "  timeout 5 find -L $1 -maxdepth 1 -type f -size +0 -links +0 -printf '%s %p\\n' |\n"
        "    awk '$1 % 512 == 0 && n++ < 1000 { print $2 }' |\n"
        "    xargs -r timeout 5 head -v -c 15 | awk '/^==> / { f = $2; next }\n"
        "      $0 == \"SQLite format 3\" && f ~ /^.proc.[0-9]+.fd.[0-9]+$/ { print f }' |\n"
        "    while read -r f; do\n"
        "      p=${f#/proc/}; p=${p%%/*}\n"
        "      grep -q '^flags:.*[1256]$' \"/proc/$p/fdinfo/${f##*/}\" || continue\n"
        "      who=$(tr -cd 'A-Za-z0-9._-' <\"/proc/$p/comm\")\n"
        "      say sqlite \"${who:-?} $(readlink \"$f\" | head -n 1)\"\n"
        "    done | sort -u | head -n 20\n"
        "}\n";

/* Processes of the container: those of its PID namespace, or of its cgroup where it shares the host's. Memory is what a dump holds: anonymous and shared pages. */
static const char script_processes[] =
        "pids() {\n"
        "  if [ \"$1\" = hostpid ]; then\n"
        "    l=$(awk '{ if (length($0) > length(l)) l = $0 } END { print l }' "
        "\"/proc/$2/cgroup\")\n"
        "    grep -lxF -e \"$l\" /proc/[0-9]*/cgroup | cut -d/ -f3\n"
        "  else\n"
        "    ns=$(readlink \"/proc/$2/ns/pid\" | sed 's/[][]/?/g')\n"
        "    [ -n \"$ns\" ] && find /proc/[0-9]*/ns/pid -maxdepth 0 -lname \"$ns\" | cut -d/ -f3\n"
        "  fi\n"
        "} 2>/dev/null\n"
        "named() { echo \"$1 ($(tr -c '[:print:]' ' ' <\"/proc/$1/comm\" | sed 's/ *$//'))\"; }\n"
        "strangers() { # who is traced, and who came from outside: its parent is no process of the "
        "container\n"
        "  kind=$1 init=$2 tasks=''; shift 2\n"
        "  for p; do tasks=\"$tasks /proc/$p/task/[0-9]*/status\"; done\n"
        "  grep -H -E '^(PPid|TracerPid):' $tasks | awk -F'[/: \\t]+' -v init=\"$init\" '\n"
        "    $7 == \"PPid\" { parent[$3] = $8 } $7 == \"TracerPid\" && $8 != 0 { tracer[$3] = $8 "
        "}\n"
        "    END { for (p in tracer) print \"traced\", p, tracer[p]; for (p in parent) if (p != "
        "init && !(parent[p] in parent)) print \"exec\", p, parent[p] }' |\n"
        "  while read -r what p q; do\n"
        "    case $what in\n"
        "    traced) say traced \"process $(named \"$p\") is traced by process $(named \"$q\")\" "
        ";;\n"
        "    exec) [ \"$kind\" = pid ] && [ \"$(readlink \"/proc/$q/ns/pid\")\" = \"$(readlink "
        "\"/proc/$init/ns/pid\")\" ] ||\n"
        "      say exec \"$(tr -c '[:print:]' ' ' <\"/proc/$p/cmdline\" | cut -c 1-120 | sed 's/ "
        "*$//')\" ;;\n"
        "    esac\n"
        "  done\n"
        "} 2>/dev/null\n"
        "hollow() { # where overlay copies up a mode without the content, the upper file is zeros\n"
        "  upper=$(grep -m 1 ' / / .* - overlay .*metacopy=on' \"/proc/$1/mountinfo\" | sed -n "
        "'s/.*upperdir=\\([^,]*\\).*/\\1/p')\n"
        "  [ -n \"$upper\" ] || return 0\n"
        "  say metacopy on\n"
        "  timeout 10 find \"$upper\" -xdev -type f -size +0 -printf '/%P\\n' | while IFS= read -r "
        "f; do\n"
        "    timeout 5 cmp -s -- \"$upper$f\" \"/proc/$1/root$f\" || say hollow \"$f\"\n"
        "  done | head -n 20\n"
        "} 2>/dev/null\n"
        "processes() {\n"
        "  all=$(pids \"$1\" \"$2\") fds='' rolls='' maps=''\n"
        "  for p in $all; do fds=\"$fds /proc/$p/fd\" rolls=\"$rolls /proc/$p/smaps_rollup\" "
        "maps=\"$maps /proc/$p/maps\"; done\n"
        "  [ -n \"$all\" ] || return 0\n"
        "  say processes \"$(printf '%s\\n' $all | grep -c .)\"\n"
        "  cat $rolls | awk '/^(Pss_Anon|Pss_Shmem|SwapPss):/ { a += $2; f = 1 } /^Pss:/ { t += $2 "
        "} END { printf \"memory_kb=%d\\n\", f ? "
        "a : t }'\n"
        "  [ -n \"$(find $fds -maxdepth 1 -lname 'anon_inode:*io_uring*' -print -quit)\" ] && say "
        "io_uring yes\n"
        "  [ -n \"$(grep -lF '/[aio]' $maps)\" ] && say aio yes\n"
        "  for p in $(grep -l -e '-shm$' $maps | cut -d/ -f3); do wal \"$p\"; done\n"
        "  databases \"$fds\"\n"
        "  for p in $(lockers $all); do mapped_locks \"$p\"; done\n"
        "  { find $fds -maxdepth 1 -lname 'socket:*' -printf '%l\\n'\n"
        "    for f in tcp tcp6 udp udp6; do echo \"$f\"; cat \"/proc/$2/net/$f\"; done\n"
        "  } | awk '/^socket:/ { gsub(/[^0-9]/, \"\"); held[$0] = 1; next } NF == 1 { k = "
        "substr($0, 1, 3); next }\n"
        "    !($10 in held) { next } k == \"tcp\" && $4 == \"01\" { n++ } (k == \"tcp\" && $4 == "
        "\"0A\") || (k == \"udp\" && $4 == \"07\") "
        "{ print \"own_\" k \"=\" $2 }\n"
        "    END { printf \"established=%d\\n\", n }'\n"
        "  { printf 'pid %s\\n' $all; cat /proc/locks; } | awk '$1 == \"pid\" { own[$2] = 1; next "
        "}\n"
        "    { for (i = 1; i < NF; i++) if ($i ~ /^(READ|WRITE|RW)$/ && ($(i + 1) in own)) n++ } "
        "END { printf \"locks=%d\\n\", n }'\n"
        "  traffic \"$2\" $fds\n"
        "  u=$(readlink \"/proc/$2/ns/user\") v=$(readlink /proc/self/ns/user)\n"
        "  [ -z \"$u\" ] || [ -z \"$v\" ] || [ \"$u\" = \"$v\" ] || say userns own\n"
        "  grep -q ' /sbin/docker-init ' \"/proc/$2/mountinfo\" && say docker_init yes\n"
        "  hollow \"$2\"\n"
        "  strangers \"$1\" \"$2\" $all\n"
        "  kernel \"$2\" $all\n"
        "  inside \"$2\"\n"
        "  users $all\n"
        "  dumped=$(born \"$2\" $all)\n"
        "  outside $dumped; hidden \"$2\" $dumped; unwritable $dumped\n"
        "  say shm_kb \"$(du -sk \"/proc/$2/root/dev/shm\" | cut -f 1)\"\n"
        "  [ -n \"$(find \"/proc/$2/root/dev/shm\" -mindepth 1 -print -quit)\" ] && say shm yes\n"
        "  say looked yes\n"
        "} 2>/dev/null\n";

static const char script_passed[] =
        "users() { # CRIU asks for the limits of each; of another user's without CAP_SYS_RESOURCE, in vain\n"
        "  case $(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) in *[13579bdf]\?\?\?\?\?\?) return 0 ;; esac\n"
        "  l=''; for p; do l=\"$l /proc/$p/status\"; done\n"
        "  p=$(grep -H -s -E '^[UG]id:' $l | awk '$2 || $3 || $4 { split($1, part, \"/\"); print part[3]; exit }')\n"
        "  [ -z \"$p\" ] || say other_user \"process $(named \"$p\")\"\n"
        "} 2>/dev/null\n"
        /* Not what has no path, though it looks like one. Looked at twice: a number may have become
         * another file's in between. */
        "born() { # of all processes those that the first one brought forth: who came by exec is not dumped\n"
        "  init=$1 l=''; for p; do l=\"$l /proc/$p/status\"; done\n"
        "  grep -H -s '^PPid:' $l | awk -v init=\"$init\" '{ split($1, a, \"/\"); up[a[3]] = $2 }\n"
        "    END { for (p in up) { q = p; n = 0; while (q != init && (q in up) && n++ < 999) q = up[q]; if (q == init) print p } }'\n"
        "} 2>/dev/null\n"
        "outside() { # files of the host that were passed in: on none of the container's mounts\n"
        "  [ $# -gt 0 ] || return 0\n"
        "  l='' i='' m=''; for p; do l=\"$l /proc/$p/fd\" i=\"$i /proc/$p/fdinfo\" "
        "m=\"$m /proc/$p/mountinfo\"; done\n"
        "  { cat $m | awk '{ print \"m\", $1 }' | sort -u\n"
        "    find $i -maxdepth 1 -type f | xargs -r grep -H -s '^mnt_id:'\n"
        "    find $l -maxdepth 1 -type l -printf '%p %l\\n'\n"
        "  } | awk '$1 == \"m\" { ok[$2] = 1; next }\n"
        "    $1 ~ /:mnt_id:$/ { split($1, a, \":\"); sub(\"/fdinfo/\", \"/fd/\", a[1]); id[a[1]] = $2; next "
        "}\n"
        "    { f = $1; p = substr($0, length(f) + 2) }\n"
        "    (f in id) && !(id[f] in ok) && p ~ /^[/]/ && p !~ "
        "/" TS_PATHLESS "/ && "
        "n++ < 20 { print id[f], f, p }' |\n"
        "  while read -r id f path; do\n"
        "    p=${f#/proc/}; p=${p%%/*}\n"
        "    [ \"$(readlink \"$f\")\" = \"$path\" ] && grep -qx \"mnt_id:[[:space:]]*$id\" "
        "\"/proc/$p/fdinfo/${f##*/}\" || continue\n"
        "    [ \"$(stat -Lfc %t \"$f\")\" = 19800202 ] && continue # a POSIX message queue\n"
        "    say outside \"process $(named \"$p\") has '$path' open\"; break\n"
        "  done\n"
        "} 2>/dev/null\n";

static const char script_answers[] =
        TS_UNSAFE_SH "\n"
        "kind_of() {\n"
        "  if [ -d \"$1\" ]; then\n"
        "    if [ -n \"$(find -H \"$1\" -mindepth 1 -maxdepth 1 -print -quit)\" ]; then echo dir; "
        "else echo empty; fi\n"
        "  elif [ -f \"$1\" ]; then echo file; elif [ -S \"$1\" ]; then echo socket\n"
        "  elif [ -e \"$1\" ] || [ -L \"$1\" ]; then echo other; else echo missing; fi\n"
        "}\n"
        /* By access(2), which knows of attributes (chattr) and of what is mounted read-only. */
        "writable() {\n"
        "  d=$1; while [ -n \"$d\" ] && ! [ -e \"$d\" ]; do d=${d%/*}; done; d=${d:-/}\n"
        "  if [ -w \"$d\" ]; then echo yes; else echo \"no $d\"; fi\n"
        "}\n"
        "file_system() {\n"
        "  d=$1; while [ -n \"$d\" ] && ! [ -e \"$d\" ]; do d=${d%/*}; done\n"
        "  echo \"$(stat -L -c %d -- \"${d:-/}\")\" \"$(stat -f -c '%a %S' -- \"${d:-/}\")\"\n"
        "}\n"
        /* The kernel remembers for hours who had an address. Asked again, a machine that is gone
         * says nothing within three seconds; what was entered by hand is left as it is. */
        "answers_now() {\n"
        "  [ \"$3\" = 0x2 ] && ip neigh change \"$1\" dev \"$2\" nud probe || return 0\n"
        "  n=0; while [ $n -lt 50 ]; do\n"
        "    case $(ip neigh show to \"$1\" dev \"$2\") in\n"
        "    *REACHABLE*) return 0 ;; *FAILED*|'') return 1 ;;\n"
        "    esac\n"
        "    n=$((n + 1)); sleep 0.1\n"
        "  done\n"
        "}\n"
        "answer() {\n"
        "  case $1 in\n"
        "  fs) file_system \"$2\" ;;\n"
        "  path) kind_of \"$2\" ;;\n"
        "  write) writable \"$2\" ;;\n"
        "  ino) stat -L -c '%d:%i' -- \"$2\" ;;\n"
        "  neigh) awk -v a=\"$2\" '$1 == a && $3 != \"0x0\" { print $6, $3, $4 }' /proc/net/arp | "
        "head -n 4 |\n"
        "    while read -r dev flags mac; do (answers_now \"$2\" \"$dev\" \"$flags\") && printf "
        "'%s ' \"$mac\"; done ;;\n"
        "  link) [ -e \"/sys/class/net/$2\" ] && echo yes ;;\n"
        "  leaf) if [ -L \"$2\" ]; then echo link; else echo plain; fi ;;\n"
        "  own|sticky) unsafe \"$2\" \"$1\" || echo safe ;;\n"
        "  lock) [ -e \"$2\" ] && echo \"held $(first \"$2\")\" ;;\n"
        "  unit) echo \"$(systemctl is-active -- \"$2\")\" \"$(systemctl is-enabled -- \"$2\")\" "
        ";;\n"
        "  plain) tr '\\000' '\\n' <\"${2%:*}\" | grep -aF \"\\\"id\\\":\\\"${2##*:}\\\"\" | grep "
        "-m 1 -acF 'ipamV4Config\":\"[{\\\"PreferredPool\\\":\\\"\\\"' | sed 's/1/yes/' ;;\n"
        "  pod) \"$podman\" pod inspect --format '{{.Name}}' -- \"$2\" ;;\n"
        "  secret) \"$podman\" secret inspect \"$2\" >/dev/null && echo yes ;;\n"
        "  esac\n"
        "} 2>/dev/null\n"
        "answers() {\n"
        "  n=0\n"
        "  while [ $# -gt 1 ]; do\n"
        "    case $1 in\n"
        "    du) ;;\n"
        "    shared) (shared \"$n\" \"$2\") ;;\n"
        "    pid|hostpid) (processes \"$1\" \"$2\") ;;\n" /* its variables are its own: n is ours */
        "    neigh) say \"a.$n\" \"$(answer \"$1\" \"$2\")\" & ;;\n" /* each may wait for seconds */
        "    *) say \"a.$n\" \"$(answer \"$1\" \"$2\")\" ;;\n"
        "    esac\n"
        "    n=$((n + 1)); shift 2\n"
        "  done\n"
        "  wait\n"
        "}\n"
        "sizes() {\n"
        "  n=0\n"
        "  while [ $# -gt 1 ]; do\n"
        "    if [ \"$1\" = du ]; then k=$(timeout 1 du -sxk -- \"$2\" 2>/dev/null | cut -f 1); say "
        "\"a.$n\" \"${k:-?}\"; fi\n"
        "    n=$((n + 1)); shift 2\n"
        "  done\n"
        "}\n"
        "gather() { host_facts; tools; answers \"$@\"; }\n"
        "main() {\n"
        "  podman=$1 conf=$2 criu=$3; shift 3\n"
        "  { if [ \"$criu\" = criu ]; then criu_facts; fi; } </dev/null | { sizes \"$@\" "
        "</dev/null | { gather \"$@\" </dev/null; cat; }; "
        "cat; }\n"
        "  say end yes\n"
        "}\n"
        "main \"$@\"\n"
        "exit 0\n";

void ts_facts_clear(struct ts_facts *f)
{
        ts_list_clear(&f->lines);
        ts_list_clear(&f->asked);
}

const char *ts_fact(const struct ts_facts *f, const char *key, size_t n)
{
        size_t len = strlen(key);

        for (size_t i = 0; i < f->lines.n; i++)
                if (!strncmp(f->lines.v[i], key, len) && f->lines.v[i][len] == '=' && n-- == 0)
                        return f->lines.v[i] + len + 1;
        return NULL;
}

uint64_t ts_fact_u64(const struct ts_facts *f, const char *key, uint64_t fallback)
{
        const char *s = ts_fact(f, key, 0);
        unsigned long long n = 0;

        return s && ts_parse_u64(s, 0, UINT64_MAX, &n, NULL) == 0 ? (uint64_t)n : fallback;
}

bool ts_fact_is(const struct ts_facts *f, const char *key, const char *value)
{
        const char *s = ts_fact(f, key, 0);

        return s && !strcmp(s, value);
}

/* The number of the question, or asked.n / 2. */
static size_t question(const struct ts_facts *f, const char *kind, const char *value)
{
        size_t i = 0;

        while (i + 1 < f->asked.n && (strcmp(f->asked.v[i], kind) != 0 || strcmp(f->asked.v[i + 1], value) != 0))
                i += 2;
        return i / 2;
}

int ts_facts_ask(struct ts_facts *f, const char *kind, const char *value, struct ts_err *err)
{
        if (!ts_data_sayable(value) || question(f, kind, value) < f->asked.n / 2)
                return 0; /* what cannot be asked has no answer: its check says so */
        return ts_list_add(&f->asked, kind, err) < 0 || ts_list_add(&f->asked, value, err) < 0 ? -1 : 0;
}

const char *ts_facts_answer(const struct ts_facts *f, const char *kind, const char *value)
{
        return ts_facts_answer_n(f, kind, value, 0);
}

const char *ts_facts_answer_n(const struct ts_facts *f, const char *kind, const char *value,
                              size_t i)
{
        char key[32];
        size_t n;

        if (!value || (n = question(f, kind, value)) >= f->asked.n / 2)
                return NULL;
        (void)snprintf(key, sizeof(key), "a.%zu", n);
        return ts_fact(f, key, i);
}

int ts_facts_parse(struct ts_facts *f, const char *text, struct ts_err *err)
{
        while (*text) {
                size_t len = strcspn(text, "\n");

                if (memchr(text, '=', len)) {
                        if (f->lines.n >= FACTS_MAX_LINES)
                                return ts_err_set(err, TS_ELIMIT, "more than %d lines", FACTS_MAX_LINES);
                        if (ts_list_addf(&f->lines, err, "%.*s", (int)len, text) < 0)
                                return -1;
                }
                text += len + (text[len] == '\n');
        }
        return ts_fact_is(f, "end", "yes") ? 0 : ts_err_set(err, TS_EPROTO, "the answer has no end");
}

int ts_facts_fetch(struct ts_facts *f, struct ts_host *h, const struct ts_facts_opts *o, struct ts_err *err)
{
        ts_auto_str script = TS_STR_INIT;
        ts_auto_list argv = TS_LIST_INIT;
        ts_auto_run r = { 0 };
        struct ts_run_opts run = { .max_output = FACTS_MAX_BYTES, .timeout_ms = FACTS_TIMEOUT_MS };
        const char *const fixed[] = { "sh", "-s", "--", ts_or(o->podman, ""), o->criu_conf, o->criu ? "criu" : "" };

        for (size_t i = 0; i < TS_ARRAY_LEN(fixed); i++)
                if (ts_list_add(&argv, fixed[i], err) < 0)
                        return -1;
        for (size_t i = 0; i < f->asked.n; i++)
                if (ts_list_add(&argv, f->asked.v[i], err) < 0)
                        return -1;
        if (ts_str_adds(&script, script_head, err) < 0 ||
            ts_str_adds(&script, ts_traffic_script, err) < 0 ||
            ts_str_adds(&script, script_databases, err) < 0 ||
            ts_str_adds(&script, ts_scheduling_script, err) < 0 ||
            ts_str_adds(&script, ts_kernel_script, err) < 0 ||
            ts_str_adds(&script, script_passed, err) < 0 ||
            ts_str_adds(&script, ts_paths_script, err) < 0 ||
            ts_str_adds(&script, ts_hidden_script, err) < 0 ||
            ts_str_adds(&script, ts_unwritable_script, err) < 0 ||
            ts_str_adds(&script, ts_sysctl_script, err) < 0 ||
            ts_str_adds(&script, ts_inside_script, err) < 0 ||
            ts_str_adds(&script, ts_shared_script, err) < 0 ||
            ts_str_adds(&script, script_processes, err) < 0 ||
            ts_str_adds(&script, script_answers, err) < 0)
                return -1;
        run.input = script.buf;
        run.input_len = script.len;
        if (ts_host_run(h, (const char *const *)argv.v, &run, &r, err) < 0)
                return -1;
        if (ts_facts_parse(f, ts_str_cstr(&r.out), err) < 0) {
                ts_auto_free char *said = ts_printable(ts_str_cstr(&r.err), r.err.len, 200);

                return ts_err_hint(err, "the host's shell said: %s", ts_or(said, ""));
        }
        return 0;
}
