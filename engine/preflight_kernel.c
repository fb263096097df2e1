/* Kernel objects that CRIU drops without a word, or cannot dump: which processes of the container have
 * them, as far as /proc shows it (SAFETY rule 29). Judges what ts_kernel_script saw. */
#include "engine/preflight.h"

#define NAMED_MAX 5

/* $1 the container's first process, then all of them. Each line names the object and its process. */
const char ts_kernel_script[] =
        "lost() { say lost \"$1 of process $(named \"$2\")\"; }\n"
        "kernel() {\n"
        "  init=$1 files='' infos='' slack=''; shift\n"
        "  for p; do\n"
        "    files=\"$files /proc/$p/status\" infos=\"$infos /proc/$p/fdinfo\"\n"
        "    slack=\"$slack /proc/$p/timerslack_ns\"\n"
        "  done\n"
        "  set=$(cat \"/proc/$init/cpuset\") of=/sys/fs/cgroup\n"
        "  cpus=$(cat \"$of$set/cpuset.cpus.effective\" \"$of/cpuset$set/cpuset.effective_cpus\" "
        "\\\n"
        "    /sys/devices/system/cpu/online | head -n 1)\n"
        "  grep -H '^Cpus_allowed_list:' $files | awk -F'[/:[:space:]]+' -v all=\"$cpus\" '\n"
        "    $NF != all { print $3 }' | head -n 20 |\n"
        "    while read -r p; do lost 'processor affinity' \"$p\"; done\n"
        "  grep -Hv -x -e 50000 -e 0 $slack | cut -d/ -f3 | head -n 20 |\n"
        "    while read -r p; do lost 'timer slack' \"$p\"; done\n"
        "  printf '%s\\n' \"$@\" | head -n 200 | while read -r p; do\n"
        "    case $(ionice -p \"$p\") in none*|'') ;; *) lost 'I/O priority' \"$p\" ;; esac\n"
        "  done\n"
        "  n=$(nsenter --ipc -t \"$init\" cat /proc/sysvipc/sem | tail -n +2 | grep -c .)\n"
        "  [ \"${n:-0}\" -gt 0 ] && say lost \"undo values (SEM_UNDO) of $n System V semaphore "
        "sets\"\n"
        "  n=$(cat \"/proc/$init/net/udp\" \"/proc/$init/net/udp6\" |\n"
        "    awk '$5 ~ /:/ && $5 !~ /:00000000$/ { n++ } END { print n + 0 }')\n"
        "  [ \"$n\" -gt 0 ] && say lost \"datagrams that wait in $n UDP sockets\"\n"
        "  n=$(nsenter --net -t \"$init\" ss -xlH | awk '$3 > 0 { n++ } END { print n + 0 }')\n"
        "  [ \"${n:-0}\" -gt 0 ] && say stuck \"connections to $n Unix sockets that were not "
        "accepted yet\"\n"
        "  for f in $(find $infos -maxdepth 1 -type f | xargs -r grep -l '^flags:.*[4-7]....$'); "
        "do\n"
        "    p=${f#/proc/}; p=${p%%/*}\n"
        "    case $(readlink \"/proc/$p/fd/${f##*/}\") in\n"
        "    pipe:*) say stuck \"a pipe in packet mode (O_DIRECT) of process $(named \"$p\")\" ;;\n"
        "    esac\n"
        "  done | head -n 20\n"
        "  find $fds -maxdepth 1 -lname '/*' ! -lname '/*/*' | head -n 1000 | while read -r f; do\n"
        "    p=${f#/proc/}; p=${p%%/*}\n"
        "    [ \"$(stat -Lfc %t \"$f\")\" = 19800202 ] &&\n"
        "      say stuck \"a POSIX message queue of process $(named \"$p\")\"\n"
        "  done | sort -u | head -n 20\n"
        "} 2>/dev/null\n";

static void tell(struct ts_preflight *p, const char *fact, const char *code, const char *hint,
                 const char *what)
{
        ts_auto_str names = TS_STR_INIT_MAX(600);
        const char *one;
        size_t n = 0;

        for (; (one = ts_fact(&p->src.facts, fact, n)); n++)
                if (n < NAMED_MAX)
                        (void)ts_str_addf(&names, NULL, "%s%.100s", n ? ", " : "", one);
        if (n)
                ts_find(p->m, code, hint, "%s: %s%s", what, ts_str_cstr(&names),
                        n > NAMED_MAX ? ", …" : "");
}

void ts_check_kernel_state(struct ts_preflight *p)
{
        tell(p, "lost", "kernel-state",
             "set it again in the program, or by a hand, when it has moved",
             "a checkpoint does not hold");
        tell(p, "stuck", "kernel-objects", "let the program close it first, or move with --cold",
             "CRIU cannot dump");
}
