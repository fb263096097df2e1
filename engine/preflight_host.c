/* Preflight, the two hosts: root, tools, CRIU and its configuration, processor, kernel, the lock, and this machine's room for the journal. */
#include "base/io.h"
#include "engine/lock.h"
#include "engine/preflight.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define JOURNAL_BYTES ((uint64_t)1 << 20)

static bool is_root(const struct ts_view *v)
{
        return ts_fact_is(&v->facts, "uid", "0");
}

void ts_check_root(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++)
                if (!is_root(views[i]))
                        ts_find(p->m, "root-access",
                                ts_host_is_local(views[i]->e->host) ? "run tranship as root (sudo keeps your SSH set-up)"
                                                                    : "connect as root: ssh://root@HOST",
                                "commands on '%s' do not run as root: files of containers and CRIU need it", ts_view_name(views[i]));
}

static void check_missing(struct ts_preflight *p, const struct ts_view *v)
{
        ts_auto_str names = TS_STR_INIT;
        const char *tool;

        for (size_t n = 0; (tool = ts_fact(&v->facts, "missing", n)); n++)
                (void)ts_str_addf(&names, NULL, "%s'%s'", n ? ", " : "", tool);
        if (names.len)
                ts_find(p->m, "tools-missing", "install them there", "'%s' lacks %s", ts_view_name(v), ts_str_cstr(&names));
}

void ts_check_tools(struct ts_preflight *p)
{
        const struct ts_view *views[] = { &p->src, &p->dst };
        const char *tool;

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++) {
                check_missing(p, views[i]);
                for (size_t n = 0; (tool = ts_fact(&views[i]->facts, "not_gnu", n)); n++)
                        ts_find(p->m, "tools-missing",
                                "install GNU tar, findutils and coreutils there (BusyBox cannot keep all attributes)",
                                "'%s' on '%s' is not the GNU one", tool, ts_view_name(views[i]));
        }
}

/* ---- CRIU ---- */
static bool check_criu_of(struct ts_preflight *p, const struct ts_view *v)
{
        const char *version = ts_fact(&v->facts, "criu", 0), *check = ts_fact(&v->facts, "criu_check", 0);

        if (!version) {
                ts_find(p->m, "criu-missing", "install criu there (apt install criu, dnf install criu), or move with --cold",
                        "CRIU is not installed on '%s'", ts_view_name(v));
                return false;
        }
        if (is_root(v) && !ts_streq0(check, "ok"))
                ts_find(p->m, "criu-check",
                        "run `criu check` there: it names what the kernel lacks; a CRIU that fits the kernel often helps; or move with "
                        "--cold",
                        "CRIU %s on '%s' does not work with its kernel%s%s", version, ts_view_name(v), check && *check ? ": " : "",
                        ts_or(check, ""));
        return *version != '\0';
}

/* An older CRIU may meet images it does not know. Within one minor version only fixes differ. */
void ts_check_criu(struct ts_preflight *p)
{
        const char *s = ts_fact(&p->src.facts, "criu", 0), *d = ts_fact(&p->dst.facts, "criu", 0),
                   *hint = "install the source's version on the target, or a newer one";
        bool have_src = check_criu_of(p, &p->src), have_dst = check_criu_of(p, &p->dst);

        if (!have_src || !have_dst)
                return;
        if (ts_version_compare(d, s, 2) < 0)
                ts_find(p->m, "criu-older", hint, "CRIU on the target (%s) is older than on the source (%s): it may not read the images", d,
                        s);
        else if (ts_version_compare(d, s, 3) < 0)
                ts_find_warning(p->m, "criu-older", hint, "CRIU on the target (%s) is a little older than on the source (%s)", d, s);
}

bool ts_criu_conf_says(const char *line, const char *option)
{
        size_t len = strlen(option);

        line += strspn(line, " \t");
        line += ts_starts(line, "--") ? 2 : 0;
        return !strncmp(line, option, len) && (line[len] == '\0' || strchr(" \t\r#", line[len]));
}

static bool conf_has(const struct ts_view *v, const char *option)
{
        const char *line;

        for (size_t n = 0; (line = ts_fact(&v->facts, "criu_conf", n)); n++)
                if (ts_criu_conf_says(line, option))
                        return true;
        return false;
}

/* Docker passes neither option; CRIU takes them from runc's configuration file. The dump needs them on the source, the restore on the target, and a roll-back on the source again. */
static const struct conf_need {
        const char *code, *option, *fact, *what;
} conf_needs[] = {
        { "criu-tcp", "tcp-established", "established", "open TCP connections" },
        { "criu-locks", "file-locks", "locks", "file locks" },
};

static void check_conf(struct ts_preflight *p, const struct conf_need *c, const struct ts_view *v)
{
        uint64_t count = ts_fact_u64(&p->src.facts, c->fact, 0);
        ts_auto_free char *hint =
                ts_fmt("add the line '%s' to /etc/criu/runc.conf on '%s' (tranship never edits it)", c->option, ts_view_name(v));

        if (conf_has(v, c->option))
                return;
        if (count)
                ts_find(p->m, c->code, hint, "'%s' has %s (%llu), and /etc/criu/runc.conf on '%s' lacks '%s': CRIU would refuse",
                        p->m->c->name, c->what, (unsigned long long)count, ts_view_name(v), c->option);
        else
                ts_find_warning(p->m, c->code, hint,
                                "/etc/criu/runc.conf on '%s' lacks '%s': should '%s' have %s at the freeze, CRIU refuses", ts_view_name(v),
                                c->option, p->m->c->name, c->what);
}

void ts_check_criu_conf(struct ts_preflight *p)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(conf_needs); i++) {
                check_conf(p, &conf_needs[i], &p->src);
                check_conf(p, &conf_needs[i], &p->dst);
        }
}

/* ---- processor, kernel ---- */
/* Of the flags of /proc/cpuinfo, those a program can use or notice by itself; a '*' at the end stands for anything. The rest tells of the kernel's and the hypervisor's affairs. ARM's
 * "Features" are all of the first sort and are not looked up here. */
static const char *const cpu_usable[] = { "3dnow*",   "abm",       "adx",        "aes",       "amx*",       "avx*",     "bmi1",  "bmi2",
                                          "cldemote", "clflush",   "clflushopt", "clwb",      "clzero",     "cmov",     "cx16",  "cx8",
                                          "enqcmd",   "erms",      "f16c",       "fma",       "fma4",       "fsgsbase", "fsrm",  "fxsr*",
                                          "gfni",     "hle",       "lahf_lm",    "mmx*",      "movbe",      "movdir*",  "mpx",   "mwaitx",
                                          "ospke",    "pclmulqdq", "pku",        "pni",       "popcnt",     "ptwrite",  "rdpid", "rdrand",
                                          "rdseed",   "rdtscp",    "rtm",        "serialize", "sha*",       "sm3",      "sm4",   "sse*",
                                          "ssse3",    "tbm",       "user_shstk", "vaes",      "vpclmulqdq", "waitpkg",  "xop",   "xsave*",
                                          "xgetbv1",  "xsavec",    "cmpccxadd",  "raoint" };

static bool usable(const char *flag, size_t len)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(cpu_usable); i++) {
                size_t n = strlen(cpu_usable[i]);
                bool open = cpu_usable[i][n - 1] == '*';

                n -= open;
                if (open ? len >= n && !strncmp(flag, cpu_usable[i], n) : len == n && !strncmp(flag, cpu_usable[i], n))
                        return true;
        }
        return false;
}

static bool has_flag(const char *flags, const char *flag, size_t len)
{
        for (const char *at = flags + strspn(flags, " "); *at; at += strspn(at, " ")) {
                size_t n = strcspn(at, " ");

                if (n == len && !strncmp(at, flag, len))
                        return true;
                at += n;
        }
        return false;
}

char *ts_cpu_missing(const char *source, const char *target)
{
        const char *s = strchr(ts_or(source, ""), ':'), *d = strchr(ts_or(target, ""), ':');
        bool arm = ts_starts(ts_or(source, ""), "Features");
        struct ts_str missing = TS_STR_INIT_MAX(400);

        if (!s || !d)
                return NULL;
        for (s += 1 + strspn(s + 1, " "); *s; s += strspn(s, " ")) {
                size_t len = strcspn(s, " ");

                if ((arm || usable(s, len)) && !has_flag(d + 1, s, len))
                        (void)ts_str_addf(&missing, NULL, "%s%.*s", missing.len ? " " : "", (int)len, s);
                s += len;
        }
        if (missing.len)
                return ts_str_take(&missing);
        ts_str_clear(&missing);
        return NULL;
}

void ts_check_cpu(struct ts_preflight *p)
{
        ts_auto_free char *missing = ts_cpu_missing(ts_fact(&p->src.facts, "cpu", 0), ts_fact(&p->dst.facts, "cpu", 0));

        if (missing)
                ts_find(p->m, "cpu-features",
                        "choose a target with the same or a newer processor, give the virtual machine the same CPU model, or move with "
                        "--cold",
                        "the target's processor lacks what programs may already be using: %s", missing);
}

void ts_check_kernel(struct ts_preflight *p)
{
        const char *s = ts_fact(&p->src.facts, "kernel", 0), *d = ts_fact(&p->dst.facts, "kernel", 0);

        if (s && d && ts_version_compare(d, s, 2) < 0)
                ts_find(p->m, "kernel-older", "a restore may need what only the newer kernel has",
                        "the target's kernel (%s) is older than the source's (%s)", d, s);
}

/* ---- lock and journal ---- */
void ts_check_lock(struct ts_preflight *p)
{
        ts_auto_free char *path = ts_lock_path(p->m->c->id);
        const char *held = path ? ts_facts_answer(&p->src.facts, "lock", path) : NULL;
        ts_auto(ts_json) struct ts_json *who = NULL;
        ts_auto_free char *hint = NULL;
        const char *id;

        if (!held || !ts_starts(held, "held "))
                return;
        held += strlen("held ");
        (void)ts_json_parse(held, strlen(held), 4096, &who, NULL);
        id = ts_json_str(who, "migration", NULL);
        id = ts_journal_id_valid(id) ? id : "ID";
        hint = ts_fmt("`tranship status %s` on the machine that moves it says how far it is; if its process "
                      "died, `tranship recover %s` there finishes it or rolls it back, and so does, on "
                      "any machine, `tranship recover %s --from ENGINE --to ENGINE`",
                      id, id, id);
        ts_find(p->m, "lock-held", ts_or(hint, ""),
                "migration '%s', begun on '%s' at %s, holds the lock '%s' on '%s'", ts_json_str(who, "migration", "?"),
                ts_json_str(who, "host", "?"), ts_json_str(who, "taken_at", "?"), path, ts_view_name(&p->src));
}

/* Can it be turned to the running source? {host} is the side under test; an address of the
 * container's own is, from another machine than the two, one that it has until it moves and then
 * again. What an address means that is neither, only the user knows; and what a command changes,
 * too: such a probe is not asked beforehand. */
static bool turns_to_source(const struct ts_preflight *p, const struct ts_probe *probe)
{
        const struct ts_container *c = p->m->c;
        bool elsewhere = !ts_host_is_local(p->src.e->host) && !ts_host_is_local(p->dst.e->host);
        bool own = false;

        for (size_t i = 0; elsewhere && i < c->n_networks; i++)
                own = own || ts_probe_asks(probe, c->networks[i].ip);
        return c->state == TS_STATE_RUNNING && !c->paused && (own || ts_probe_asks_side(probe));
}

#define ANSWER_MS 2000

/* What the running source does not answer the target will not: found out only there, it would be
 * after the freeze. */
static void check_answer(struct ts_preflight *p, const char *option, const char *spec,
                         const struct ts_probe *probe, bool matters)
{
        ts_auto_err why = TS_ERR_INIT;

        if (!turns_to_source(p, probe) ||
            ts_probe_until(probe, p->src.e->address, ts_deadline_in_ms(ANSWER_MS), &why) == 0 ||
            why.code == TS_ECANCELED)
                return;
        (matters ? ts_find : ts_find_warning)(
                p->m, "probe-fails",
                matters ? "say what the container really answers (address, port, path), or start "
                          "what "
                          "should answer: unanswered on the target, too, the move would be taken "
                          "back"
                        : "say what the container really answers (address, port, path)",
                "%s '%s': the running '%s' does not answer on the source: %s", option, spec,
                p->m->c->name, ts_err_message(&why));
}

/* A probe whose program is not here says nothing about the target, and would undo a move that is well. */
void ts_check_probes(struct ts_preflight *p)
{
        const struct ts_move_opts *o = p->m->o;
        const struct {
                const char *option, *spec;
                const struct ts_probe *probe;
                bool matters;
        } probes[] = {
                { "--verify", o->verify, p->m->verify, o->on_verify_failure != TS_VERIFY_KEEP },
                { "--probe", o->probe, p->m->probe, false },
                { "--before-freeze", o->before_freeze, p->m->before_freeze, false },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(probes); i++) {
                ts_auto_err why = TS_ERR_INIT;

                if (!probes[i].probe)
                        continue;
                if (ts_probe_check(probes[i].probe, &why) < 0)
                        ts_find(p->m, "probe-program", "it runs on this machine, without a shell: give the path of a program that is here, or install it", "%s: %s", probes[i].option, ts_err_message(&why));
                else
                        check_answer(p, probes[i].option, probes[i].spec, probes[i].probe,
                                     probes[i].matters);
        }
}

/* The nearest of it that exists: the rest will be made in it, if it is a directory. */
static void nearest(char *path)
{
        while (*path && access(path, F_OK) < 0) {
                char *slash = strrchr(path, '/');

                if (!slash)
                        return;
                *(slash == path ? slash + 1 : slash) = '\0';
                if (slash == path)
                        return;
        }
}

void ts_check_journal(struct ts_preflight *p)
{
        ts_auto_free char *dir = p->m->o->state_dir && *p->m->o->state_dir ? ts_strdup0(p->m->o->state_dir) : ts_state_dir();
        ts_auto_free char *there = ts_strdup0(dir);
        const char *hint = "name a directory that can be written with state-dir, or make room";
        struct statvfs fs;
        struct stat at;

        if (!dir || !there) {
                ts_find(p->m, "journal-space", hint, "there is no directory for the journal: the user's home is not known");
                return;
        }
        nearest(there);
        if (access(there, W_OK) < 0 || stat(there, &at) < 0 || statvfs(there, &fs) < 0)
                ts_find(p->m, "journal-space", hint, "the journal cannot be written to '%s': %s", dir, strerror(errno));
        else if (!S_ISDIR(at.st_mode))
                ts_find(p->m, "journal-space", hint, "the journal cannot be written to '%s': '%s' is no directory", dir, there);
        else if ((uint64_t)fs.f_bavail * fs.f_frsize < JOURNAL_BYTES)
                ts_find(p->m, "journal-space", hint, "no room for the journal in '%s'", dir);
}

/* ---- directories of ours ---- */
static void judge_dir(struct ts_preflight *p, const struct ts_view *v, const char *kind, const char *path, const char *what, const char *hint)
{
        const char *said = ts_facts_answer(&v->facts, kind, path);

        if (said && *said && strcmp(said, "safe") != 0)
                ts_find(p->m, "unsafe-directory", hint, "%s '%s' on '%s' is not safe from other users: %s", what, path, ts_view_name(v), said);
}

/* Where somebody else than root can put his files in the place of ours, the engines would take those for the container. */
void ts_check_own_dirs(struct ts_preflight *p)
{
        static const char *const mend = "chown root and chmod go-w what is named; no part of the path may be a symbolic link",
                                *const other = "name one with --staging of which every part belongs to root and is writable by nobody else, as " TS_STAGING_DIR " is, "
                                               "and none is a symbolic link";
        const struct ts_view *views[] = { &p->src, &p->dst };

        for (size_t i = 0; i < TS_ARRAY_LEN(views); i++) {
                for (size_t k = 0; k < TS_OWN_DIRS; k++) {
                        bool staging = k == 2, chosen = p->m->o->staging && *p->m->o->staging;

                        if (staging && !chosen)
                                continue; /* it is below the first */
                        judge_dir(p, views[i], "own", ts_own_dir_at(p->m, k), staging ? "the staging directory" : "the directory", staging ? other : mend);
                }
                if (p->m->o->shared_dir)
                        judge_dir(p, views[i], "sticky", p->m->o->shared_dir, "the directory of --transfer shared", mend);
        }
}
