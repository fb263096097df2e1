/* Preflight, what the user calls shared: whether it can be the same directory on both hosts at all.
 * Nobody would notice otherwise: the container goes on with whatever the target has at that path,
 * and what it wrote stays behind. Looks only: nothing is written into the user's directory, links
 * are not followed, and of its entries only the first are looked at.
 *
 * File systems of one host's own (ext4, xfs …) are the same only where both hosts are one machine,
 * and device and inode number say it. Others are judged by inode numbers where these come from the
 * server (NFS, Ceph …), else (FUSE, SMB) by names and sizes; one entry that agrees is enough, for a
 * directory changes while it is looked at. */
#include "engine/preflight.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ENTRIES_MAX 64 /* the script has it, too */

/* $1 number of the question, $2 path. First "MAGIC DEVICE INODE", then how find ended, and the
 * entries (of a file: itself) of two looks: "LOOKS TYPE INODE SIZE NAME". */
const char ts_shared_script[] =
        "listed() {\n"
        "  if [ -d \"$1\" ]; then\n"
        "    cd -- \"$1/.\" || return\n"
        "    { timeout 5 find . -mindepth 1 -maxdepth 1 ! -name '*[[:cntrl:]]*' -printf '%f\\n'; "
        "echo \"/$?\"; } |\n"
        "      sort | awk '/^[/]/ { print \"find\", $0 >\"/dev/stderr\"; next } n++ < 64' |\n"
        "      timeout 5 xargs -r -d '\\n' stat -c '%f %i %s %n' --\n"
        "  else\n"
        "    timeout 5 stat -L -c '%f %i %s' -- \"$1\"\n"
        "  fi |\n"
        "    awk '{ t = substr($1, 1, 1); n = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ ?/, \"\", n)\n"
        "      print t, $2, t == 4 ? 0 : $3, n }'\n"
        "}\n"
        "shared() {\n"
        "  case $(timeout 5 stat -L -c %F -- \"$2\") in directory|regular*) ;; *) return ;; esac\n"
        "  say \"a.$1\" \"$(stat -L -f -c %t -- \"$2\") $(stat -L -c '%d %i' -- \"$2\")\"\n"
        "  { (listed \"$2\"); sleep 0.2; (listed \"$2\"); } 2>&1 | sort | uniq -c |\n"
        "    sed \"s/^ */a.$1=/\"\n"
        "} 2>/dev/null\n";

enum ino { ANY, SERVERS, LOCAL }; /* what inode numbers are worth */

static enum ino worth(unsigned long long magic)
{
        static const struct {
                unsigned long long magic;
                enum ino ino;
        } known[] = {
                { 0xef53, LOCAL /* ext2, ext3, ext4 */ }, { 0x58465342, LOCAL /* xfs */ },
                { 0x9123683e, LOCAL /* btrfs */ },        { 0xf2f52010, LOCAL /* f2fs */ },
                { 0x2fc12fc1, LOCAL /* zfs */ },          { 0x01021994, LOCAL /* tmpfs */ },
                { 0x858458f6, LOCAL /* ramfs */ },        { 0x794c7630, LOCAL /* overlay */ },
                { 0xca451a4e, LOCAL /* bcachefs */ },     { 0x3153464a, LOCAL /* jfs */ },
                { 0x52654973, LOCAL /* reiserfs */ },     { 0x4d44, LOCAL /* vfat */ },
                { 0x2011bab0, LOCAL /* exfat */ },        { 0x6969, SERVERS /* nfs */ },
                { 0x00c36400, SERVERS /* ceph */ },       { 0x01161970, SERVERS /* gfs2 */ },
                { 0x7461636f, SERVERS /* ocfs2 */ },      { 0x0bd00bd0, SERVERS /* lustre */ },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(known); i++)
                if (known[i].magic == magic)
                        return known[i].ino;
        return ANY;
}

struct entry {
        unsigned looks;
        char type;
        unsigned long long ino, size;
        const char *name; /* of the directory itself; borrowed */
};
struct seen {
        unsigned long long magic, dev, ino;
        bool whole; /* the listing is */
        struct entry entries[2 * ENTRIES_MAX];
        size_t n;
};

/* The next number of a line, after one blank if it is not the first; false: there is none. */
static bool number(const char **at, int base, unsigned long long *ret)
{
        char *end;

        if (!isxdigit((unsigned char)**at))
                return false;
        errno = 0;
        *ret = strtoull(*at, &end, base);
        if (end == *at || errno != 0)
                return false;
        *at = end + (*end == ' ');
        return true;
}

/* LOOKS TYPE INODE SIZE NAME */
static bool entry_parse(const char *line, struct entry *ret)
{
        unsigned long long looks;

        if (!number(&line, 10, &looks) || looks > 9 || !*line || line[1] != ' ')
                return false;
        ret->looks = (unsigned)looks;
        ret->type = *line;
        line += 2;
        if (!number(&line, 10, &ret->ino) || !number(&line, 10, &ret->size))
                return false;
        ret->name = line;
        return true;
}

static void take_entry(struct seen *s, const char *line)
{
        if (ts_starts(line, "2 find /0") || ts_starts(line, "1 find /") ||
            ts_starts(line, "2 find /"))
                s->whole = s->whole && !strcmp(line, "2 find /0");
        else if (s->n < TS_ARRAY_LEN(s->entries) && entry_parse(line, &s->entries[s->n]))
                s->n++;
}

static bool seen_parse(const struct ts_facts *f, const char *path, struct seen *ret)
{
        const char *line = path ? ts_facts_answer(f, "shared", path) : NULL;

        *ret = (struct seen){ .whole = true };
        if (!line || !number(&line, 16, &ret->magic) || !number(&line, 10, &ret->dev) ||
            !number(&line, 10, &ret->ino))
                return false;
        for (size_t n = 1; (line = ts_facts_answer_n(f, "shared", path, n)); n++)
                take_entry(ret, line);
        return true;
}

static bool agree(const struct entry *a, const struct entry *b, bool by_ino)
{
        return !strcmp(a->name, b->name) && a->type == b->type &&
               (by_ino ? a->ino == b->ino : a->size == b->size);
}

static bool moves(const struct seen *s, const char *name)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->entries[i].looks < 2 && !strcmp(s->entries[i].name, name))
                        return true;
        return false;
}

/* An entry that stood still and is not there, or is another one there and stands still as well.
 * NULL: none. */
static const struct entry *missing(const struct seen *a, const struct seen *b)
{
        for (size_t i = 0; i < a->n; i++)
                if (a->entries[i].looks >= 2 && !moves(b, a->entries[i].name))
                        return &a->entries[i];
        return NULL;
}

/* No entry of one is the other's, and one at least should be: which. */
static const struct entry *strange(const struct seen *a, const struct seen *b, bool by_ino)
{
        for (size_t i = 0; i < a->n; i++)
                for (size_t k = 0; k < b->n; k++)
                        if (agree(&a->entries[i], &b->entries[k], by_ino))
                                return NULL;
        if (!a->whole || !b->whole)
                return NULL;
        return missing(a, b) ? missing(a, b) : missing(b, a);
}

static char *differ(const struct seen *a, const struct seen *b, bool one_machine)
{
        enum ino here = worth(a->magic), there = worth(b->magic);
        bool by_ino = here != ANY && there != ANY;
        const struct entry *e;

        if (here == LOCAL && there == LOCAL) {
                if (one_machine && a->dev == b->dev && a->ino == b->ino)
                        return NULL;
                return ts_strdup0(one_machine ? "it differs in its device or inode number"
                                              : "each host has it on a file system of its own");
        }
        if (by_ino && a->ino != b->ino)
                return ts_fmt("its inode number is %llu on the source and %llu on the target",
                              a->ino, b->ino);
        e = strange(a, b, by_ino);
        if (!e)
                return NULL;
        return *e->name ? ts_fmt("nothing in it is the same, not even '%.200s'", e->name)
                        : ts_strdup0("its size is another one");
}

char *ts_shared_differ(const struct ts_facts *here, const char *path_here,
                       const struct ts_facts *there, const char *path_there)
{
        const char *boot = ts_fact(here, "boot", 0);
        struct seen a, b;

        if (!seen_parse(here, path_here, &a) || !seen_parse(there, path_there, &b))
                return NULL;
        return differ(&a, &b, boot && *boot && ts_fact_is(there, "boot", boot));
}

char *ts_read_differ(const struct ts_facts *here, const struct ts_facts *there, const char *path)
{
        struct seen a, b;
        const struct entry *e = seen_parse(here, path, &a) && seen_parse(there, path, &b)
                                        ? strange(&a, &b, false)
                                        : NULL;

        return !e         ? NULL
               : *e->name ? ts_fmt(" (not even '%.200s' in it is the same)", e->name)
                          : ts_strdup0("");
}

/* ---- on both hosts ---- */

static bool is_kernels(const char *path)
{
        static const char *const tops[] = { "/dev", "/proc", "/sys" };

        for (size_t i = 0; i < TS_ARRAY_LEN(tops); i++)
                if (ts_starts(path, tops[i]) &&
                    (path[strlen(tops[i])] == '/' || path[strlen(tops[i])] == '\0'))
                        return true;
        return false;
}

/* Of a volume that is mounted only while a container uses it, what it is mounted from, where that
 * is a directory. */
static const char *volume_path(const struct ts_volume *v)
{
        const struct ts_json *o = ts_json_get(v->json, "Options");
        const char *device = ts_json_str(o, "device", ts_json_str(o, "DEVICE", "")),
                   *type = ts_json_str(o, "type", ts_json_str(o, "TYPE", "")),
                   *how = ts_json_str(o, "o", ts_json_str(o, "OPTIONS", ""));

        if (v->driver && *v->driver && strcmp(v->driver, "local") != 0)
                return NULL;
        if (!*device && !*type)
                return v->mountpoint;
        return *device == '/' && strstr(how, "bind") ? device : NULL;
}

static const char *path_of(const struct ts_preflight *p, const struct ts_view *v, size_t i)
{
        const struct ts_data *d = &p->m->data[i];
        const char *path = NULL;

        if (d->mode == TS_DATA_SHARED)
                path = !d->is_volume                       ? d->src_path
                       : i < v->n_volumes && v->volumes[i] ? volume_path(v->volumes[i])
                                                           : NULL;
        return path && !is_kernels(path) ? path : NULL;
}

int ts_shared_ask(struct ts_preflight *p, struct ts_view *v, struct ts_err *err)
{
        for (size_t i = 0; i < p->m->n_data; i++) {
                const char *path = path_of(p, v, i);

                if (path && ts_facts_ask(&v->facts, "shared", path, err) < 0)
                        return -1;
        }
        return 0;
}

/* What is only read may be another one, if it says the same. */
static void check_read(struct ts_preflight *p, const struct ts_data *d, const char *path)
{
        ts_auto_free char *say = ts_data_say(d, "copy");
        ts_auto_free char *hint =
                ts_fmt("make it the same there, or move away what is there and say %s, if it should "
                       "not be the target's own",
                       ts_or(say, ""));
        ts_auto_free char *why = path ? ts_read_differ(&p->src.facts, &p->dst.facts, path) : NULL;

        if (why)
                ts_find_warning(p->m, "not-shared", ts_or(hint, ""),
                                "'%s' has other content on the target%s, and '%s' will read that",
                                path, why, p->m->c->name);
}

static void check_written(struct ts_preflight *p, size_t i)
{
        const struct ts_data *d = &p->m->data[i];
        const char *name = d->is_volume ? d->mount->name : d->src_path;
        ts_auto_free char *why = ts_shared_differ(&p->src.facts, path_of(p, &p->src, i),
                                                  &p->dst.facts, path_of(p, &p->dst, i));
        ts_auto_free char *say = ts_data_say(d, d->is_volume ? "replace" : "copy");
        ts_auto_free char *hint =
                ts_fmt("%ssay %s, or mount the same storage on both hosts; skip it only if '%s' is "
                       "to go on with what the target has",
                       d->is_volume ? "" : "move away what is there and ", ts_or(say, ""),
                       p->m->c->name);

        if (why)
                ts_find(p->m, "not-shared", hint,
                        "'%s' is said to be shared, but the target has another one: %s", name, why);
}

void ts_check_shared(struct ts_preflight *p)
{
        for (size_t i = 0; i < p->m->n_data; i++) {
                const struct ts_data *d = &p->m->data[i];

                if (ts_data_writable(p->m, d) && ts_data_decided(p->m, d))
                        check_written(p, i);
                else if (!ts_data_writable(p->m, d) && !d->is_volume)
                        check_read(p, d, path_of(p, &p->src, i));
        }
}
