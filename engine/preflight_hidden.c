/* Preflight, files that no restore could open again as they are open now.
 *
 * Those that processes have open, run, map or work in, and whose path leads to something else by
 * now, or to nothing: another mount lies over it, or its own was taken away. CRIU finds a
 * file by its path, and refuses. A file that is only deleted is another matter (preflight_traffic.c)
 * and so is an open one on no mount of the container (outside() in preflight_facts.c). */
#include "engine/preflight.h"

#define NAMED_MAX 5

/* $1 the container's first process, then those that are dumped. A deleted file that is covered is
 * worse: CRIU dumps it, and no restore can put it back, on neither side. By CRIU's rules a mount is
 * covered when another one lies at its place, or over it and beside it, or so beside one that it is
 * in. What is in /proc, terminals and message queues have ways of their own. */
const char ts_paths_script[] =
        "paths() { # of what is to be compared with what is there now\n"
        "  awk '\n"
        "    $1 == \"m\" { up[$2] = $3; at[$2] = $4; split($5, v, \":\"); seq[$2] = NR\n"
        "      dev[$2] = v[1] * 256 + v[2] % 256 + int(v[2] / 256) * 1048576\n"
        "      for (i = 8; i < NF && $i != \"-\"; i++) ; fs[$2] = $(i + 1); next }\n"
        "    sub(/:mnt_id:$/, \"\", $1) { sub(\"fdinfo\", \"fd\", $1); on[$1] = $2; next }\n"
        "    $1 == \"s\" { here[$2] = $3; kind[$2] = $4 $5; next }\n"
        "    function below(path, m) { return path == at[m] || index(path, at[m] \"/\") == 1 }\n"
        "    function covered(m, t, id, n) {\n"
        "      for (t in at) if (up[t] == m && t != m && at[t] == at[m]) return 1\n"
        "      for (; (up[m] in at) && n < 100; m = up[m]) {\n"
        "        for (t in at) if (up[t] == up[m] && t != m && below(at[m], t)) return 1\n"
        "        n++\n"
        "      }\n"
        "      return 0\n"
        "    }\n"
        "    function within(path, m, t) { # what is mounted in it, there\n"
        "      gsub(/ /, \"\\\\040\", path)\n"
        "      for (t in at) if (up[t] == m && t != m && below(path, t)) return 1\n"
        "      return 0\n"
        "    }\n"
        "    function elsewhere(path, f, t, m, d) { # of what no mount is known: by the device\n"
        "      gsub(/ /, \"\\\\040\", path); split(here[f], d, \":\"); m = 0\n"
        "      for (t in at) if (below(path, t) || at[t] == \"/\")\n"
        "        if (!m || length(at[t]) > length(at[m]) ||\n"
        "          (at[t] == at[m] && seq[t] > seq[m])) m = t\n"
        "      return m && fs[m] ~ /^(tmpfs|ramfs|ext[234]|xfs)$/ && dev[m] != d[1]\n"
        "    }\n"
        "    { f = $1; path = substr($0, length(f) + 2); m = (f in on) ? on[f] : \"\" }\n"
        "    path ~ /" TS_PATHLESS "/ { next }\n"
        "    kind[f] !~ /^(regular|directory|fifo|character1$)/ { next }\n"
        "    m != \"\" && !(m in at) { next } # outside()\n"
        "    m != \"\" && !(m in known) { known[m] = covered(m) }\n"
        "    m != \"\" && known[m] { print \"covered\", f, path; next }\n"
        "    !sub(/ [(]deleted[)]$/, \"\", path) { print here[f], f, path; next }\n"
        "    m == \"\" ? elsewhere(path, f) : within(path, m) { print \"covered\", f, path }'\n"
        "}\n";
const char ts_hidden_script[] =
        "hidden() {\n"
        "  init=$1 l='' i=''; shift\n"
        "  own=$(readlink \"/proc/$init/ns/mnt\" | sed 's/[][]/?/g')\n"
        "  for p in $(find $(printf '/proc/%s/ns/mnt\\n' \"$@\") -maxdepth 0 -lname \"$own\" |\n"
        "    cut -d/ -f 3); do\n"
        "    i=\"$i /proc/$p/fdinfo\"\n"
        "    for d in exe root cwd fd map_files; do l=\"$l /proc/$p/$d\"; done\n"
        "  done\n"
        "  links=$(timeout 10 find $l -maxdepth 1 -type l -lname '/*' -printf '%p %l\\n' |\n"
        "    grep '^/proc/[0-9]*/\\(fd/[0-9]*\\|map_files/[0-9a-f-]*\\|cwd\\|root\\|exe\\) /' |\n"
        "    head -n 20000)\n"
        "  found=$({ sed 's/^\\([^ ]* [^ ]*\\) \\([^ ]*\\) [^ ]* \\([^ ]*\\)/m \\1 \\3 \\2 x/' \\\n"
        "      \"/proc/$init/mountinfo\"\n"
        "    find $i -maxdepth 1 -type f | xargs -r grep -H -s '^mnt_id:'\n"
        "    printf '%s\\n' \"$links\" | cut -d ' ' -f 1 |\n"
        "      xargs -r timeout 10 stat -L -c 's %n %d:%i %F %t' |\n"
        "      sed 's/character special file /character/'\n"
        "    printf '%s\\n' \"$links\"; } | paths)\n"
        "  { printf '%s\\n' \"$found\" | cut -d ' ' -f 3- | grep '^/' | sort -u |\n"
        "      sed \"s,^,/proc/$init/root,\" |\n"
        "      xargs -r -d '\\n' timeout 10 stat -L -c 'n %d:%i %n'\n"
        "    printf '%s\\n' \"$found\"\n"
        "  } | awk -v root=\"/proc/$init/root\" '\n"
        "    $1 == \"n\" { now[substr($0, length($2) + 4)] = $2; next }\n"
        "    { path = substr($0, length($1) + length($2) + 3); split($2, p, \"/\") }\n"
        "    ($1 == \"covered\" || now[root path] != $1) && !((p[3], path) in told) && n++ < 20 {\n"
        "      if (path != \"\") told[p[3], path] = 1\n"
        "      print $1, $2 }' | while read -r here f; do\n"
        "    path=$(readlink \"$f\") p=${f#/proc/}; p=${p%%/*}\n"
        "    case $(timeout 5 stat -Lfc %t -- \"$f\") in\n"
        "    9fa0 | 1cd1 | 19800202 | '') continue ;;\n"
        "    esac\n"
        "    case $here:$path in\n"
        "    covered:/*) ;;\n"
        "    *:*' (deleted)') continue ;;\n"
        "    *) there=$(timeout 5 stat -L -c %d:%i -- \"/proc/$init/root$path\")\n"
        "      [ $? -ne 124 ] && [ \"$(timeout 5 stat -L -c %d:%i -- \"$f\")\" = \"$here\" ] &&\n"
        "        [ \"$there\" != \"$here\" ] || continue ;;\n"
        "    esac\n"
        "    path=\"'$(printf %s \"$path\" | tr -c '[:print:]' '?')'\"\n"
        "    case $f in\n"
        "    */cwd) say hidden \"process $(named \"$p\") works in $path\" ;;\n"
        "    */root) say hidden \"process $(named \"$p\") has its root at $path\" ;;\n"
        "    */exe) say hidden \"process $(named \"$p\") runs $path\" ;;\n"
        "    */map_files/*) say hidden \"process $(named \"$p\") has $path mapped\" ;;\n"
        "    *) say hidden \"process $(named \"$p\") has $path open\" ;;\n"
        "    esac\n"
        "  done\n"
        "} 2>/dev/null\n";

/* Open for writing, and immutable since (chattr +i): the source could not open it again, either. A
 * link below fd or map_files has the mode that the file was opened with; access(2) tells without an
 * open, which others in the container would see (inotify, leases). */
const char ts_unwritable_script[] =
        "unwritable() {\n"
        "  l=''; for p; do l=\"$l /proc/$p/fd /proc/$p/map_files\"; done\n"
        "  timeout 10 find $l -maxdepth 1 -type l -perm -200 -lname '/*' \\\n"
        "    ! -lname '* (deleted)' -xtype f ! -writable -printf '%p\\n' | head -n 20 | while read -r f; do\n"
        "    p=${f#/proc/}; p=${p%%/*}\n"
        "    path=\"'$(printf %s \"$(readlink \"$f\")\" | tr -c '[:print:]' '?')'\"\n"
        "    say unwritable \"process $(named \"$p\") writes to $path\"\n"
        "  done | sort -u\n"
        "} 2>/dev/null\n";

/* All of them, some by name. The caller frees. NULL: none. */
static char *named(const struct ts_preflight *p, const char *fact)
{
        ts_auto_str names = TS_STR_INIT_MAX(1500);
        const char *one;
        size_t n = 0;

        for (; (one = ts_fact(&p->src.facts, fact, n)); n++)
                if (n < NAMED_MAX)
                        (void)ts_str_addf(&names, NULL, "%s%.250s", n ? ", " : "", one);
        return n ? ts_fmt("%s%s", ts_str_cstr(&names), n > NAMED_MAX ? ", …" : "") : NULL;
}

void ts_check_hidden(struct ts_preflight *p)
{
        ts_auto_free char *hidden = named(p, "hidden"), *unwritable = named(p, "unwritable");

        if (hidden)
                ts_find(p->m, "hidden-file",
                        "unmount what was mounted over it, let the program close or leave it, "
                        "or move with --cold",
                        "in '%s' %s: another mount hides that, or its own was taken away "
                        "(umount -l), and CRIU does not find it",
                        p->m->c->name, hidden);
        if (unwritable)
                ts_find(p->m, "immutable-file",
                        "take the attribute off (chattr -i), let the program close the file, or "
                        "move with --cold",
                        "in '%s' %s, which nobody may open for writing by now (chattr +i): once "
                        "it is frozen, neither side could restore it",
                        p->m->c->name, unwritable);
}
