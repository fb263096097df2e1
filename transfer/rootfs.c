/* The diff of a container's root for Podman's import: decides what goes into the tar and what into deleted.files, and has GNU tar make
 * the one. */
#include "transfer/rootfs.h"

#include "transfer/rootfs_scan.h"
#include <stdlib.h>
#include <string.h>

/* Podman puts these there itself and leaves them out of its changes (libpod/diff.go); the names alone, not what is below. */
static const char *const managed_paths[] = { "dev", "etc/hostname",      "etc/hosts",  "etc/mtab",        "etc/resolv.conf", "proc",
                                             "run", "run/.containerenv", "run/notify", "run/podman-init", "run/secrets",     "sys" };

/* Names that go to a command's standard input or a file: each ends with a NUL. */
#define NAMES_MAX TS_UPPER_OUTPUT_MAX

void ts_rootfs_plan_clear(struct ts_rootfs_plan *p)
{
        ts_list_clear(&p->include);
        ts_list_clear(&p->deleted);
        ts_list_clear(&p->deleted_links);
        free(p->deleted_json);
        *p = (struct ts_rootfs_plan){ 0 };
}

static bool is_managed(const char *path)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(managed_paths); i++)
                if (strcmp(path, managed_paths[i]) == 0)
                        return true;
        return false;
}

/* ---- what is included ---- */

/* The engine's changes of kinds 0 and 1, relative and sorted. */
struct wanted {
        const char **v;
        size_t n;
        bool all; /* there was no list */
};

static int compare_strings(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int collect_wanted(const struct ts_upper *u, const struct ts_rootfs_change *changes, size_t n, struct wanted *w, struct ts_err *err)
{
        w->all = !changes;
        if (!changes || n == 0)
                return 0;
        w->v = calloc(n, sizeof(w->v[0]));
        if (!w->v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < n; i++) {
                const char *path = changes[i].path + strspn(changes[i].path, "/");
                const struct ts_upper_node *node = ts_upper_find(u, path, strlen(path));

                if (changes[i].kind == TS_ROOTFS_DELETED)
                        continue;
                if (!node || node->whiteout) {
                        (void)ts_err_set(err, TS_EREFUSED, "the engine reports '%s' as changed, but it is not in the upper directory",
                                         changes[i].path);
                        return ts_err_hint(err, "move the container in place, or take the upper directory as it is");
                }
                w->v[w->n++] = path;
        }
        if (w->n > 0)
                qsort(w->v, w->n, sizeof(w->v[0]), compare_strings);
        return 0;
}

/* An opaque directory is "deleted" to the engine, with its children added: it is needed all the same. */
static bool is_wanted(const struct wanted *w, const struct ts_upper_node *node)
{
        if (w->all)
                return !is_managed(node->path);
        if (node->opaque && !is_managed(node->path))
                return true;
        return w->n > 0 && bsearch(&node->path, w->v, w->n, sizeof(w->v[0]), compare_strings);
}

/* Podman's unpacking follows the link by its text alone, from the directory it is in. */
static bool leads_out(const struct ts_upper_node *node)
{
        long depth = 0;

        if (node->type != 'l' || node->link[0] == '/')
                return false;
        for (const char *p = node->path; (p = strchr(p, '/')); p++)
                depth++;
        for (const char *p = node->link; *p;) {
                size_t len = strcspn(p, "/");

                depth += len == 2 && p[0] == '.' && p[1] == '.' ? -1 : len == 0 || (len == 1 && p[0] == '.') ? 0 : 1;
                if (depth < 0)
                        return true;
                p += len;
                p += strspn(p, "/");
        }
        return false;
}

static int refuse_node(const struct ts_upper_node *node, struct ts_err *err)
{
        ts_auto_free char *path = ts_printable(node->path, strlen(node->path), 300);

        if (node->refers)
                (void)ts_err_set(err, TS_EREFUSED, "'/%s' has its content in the image by reference (metacopy or redirect_dir)",
                                 ts_or(path, "?"));
        else if (leads_out(node))
                (void)ts_err_set(err, TS_EREFUSED, "the symbolic link '/%s' leads above the root, which podman's import refuses",
                                 ts_or(path, "?"));
        else
                return 0;
        return ts_err_hint(err, "move the container in place");
}

static int plan_included(const struct ts_upper *u, const struct wanted *w, struct ts_rootfs_plan *p, struct ts_err *err)
{
        for (size_t i = 0; i < u->n; i++) {
                const struct ts_upper_node *node = &u->v[i];

                if (node->whiteout || node->type == 's' || !is_wanted(w, node))
                        continue;
                if (refuse_node(node, err) < 0 || ts_list_add(&p->include, node->path, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- what is deleted ---- */

/* Every directory above path, from the root down; stops where fn says so (not 0). */
static int each_parent(const struct ts_upper *u, const char *path, int (*fn)(const struct ts_upper_node *parent))
{
        for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
                int rc = fn(ts_upper_find(u, path, (size_t)(p - path)));

                if (rc)
                        return rc;
        }
        return 0;
}

static int stop_at_opaque(const struct ts_upper_node *parent)
{
        return parent && parent->opaque;
}
static int stop_unless_directory(const struct ts_upper_node *parent)
{
        return !parent || parent->type != 'd';
}

/* One question to the host for all lowers: "l" with the path of a deleted name: is it a symbolic link there; "d" with that of an opaque
 * directory: what does it hide. Only the uppermost opaque ones: all below them is hidden by them already. */
static int ask_lowers(const struct ts_upper *u, const char *const lowers[], size_t n_lowers, struct ts_str *ret, struct ts_err *err)
{
        for (size_t i = 0; i < u->n; i++) {
                const struct ts_upper_node *node = &u->v[i];

                if (!node->whiteout && (!node->opaque || each_parent(u, node->path, stop_at_opaque)))
                        continue;
                for (size_t k = 0; k < n_lowers; k++)
                        if (ts_str_addf(ret, err, "%c%s/%s", node->whiteout ? 'l' : 'd', lowers[k], node->path) < 0 ||
                            ts_str_add(ret, "", 1, err) < 0)
                                return -1;
        }
        return 0;
}

/* Answers "TYPE PATH" without the blank, NUL-terminated. A lower layer's own whiteouts come as type c and do no harm: there is nothing to
 * delete then. */
static const char lower_script[] =
        "for a do p=${a#?}; " /* a command over SSH is one line */
        "case $a in "
        "l*) if [ -L \"$p\" ]; then printf 'l%s\\0' \"$p\"; fi ;; "
        "d*) if [ -d \"$p\" ] && [ ! -L \"$p\" ]; then find \"$p\" -mindepth 1 -printf '%y%p\\0' || exit 1; fi ;; "
        "esac; done";

/* The part of an answer that is the path in the container. */
static const char *below_lower(const char *path, const char *const lowers[], size_t n_lowers)
{
        const char *best = NULL;

        for (size_t k = 0; k < n_lowers; k++)
                if (ts_starts(path, lowers[k]) && path[strlen(lowers[k])] == '/' && (!best || path + strlen(lowers[k]) + 1 > best))
                        best = path + strlen(lowers[k]) + 1;
        return best;
}

/* A hidden name is to be deleted when the upper has none of its own there and all above it is the upper's: what is above and missing is
 * deleted as a whole, and where the upper has a file the name below it is gone with the directory. */
static bool is_uncovered(const struct ts_upper *u, const char *path)
{
        return !ts_upper_find(u, path, strlen(path)) && !each_parent(u, path, stop_unless_directory);
}

struct names {
        char **v; /* type, then relative path; borrowed */
        size_t n;
};

static int compare_names(const void *a, const void *b)
{
        const char *x = *(const char *const *)a, *y = *(const char *const *)b;
        int order = strcmp(x + 1, y + 1);

        return order ? order : (y[0] == 'l') - (x[0] == 'l'); /* a link first: one layer is enough */
}

static int collect_names(const struct ts_upper *u, const struct ts_str *answer, const char *const lowers[], size_t n_lowers,
                         struct names *ret, struct ts_err *err)
{
        size_t cap = 0;

        for (char *p = answer->buf, *end = p + answer->len; p && p < end; p += strlen(p) + 1) {
                const char *path = below_lower(p + 1, lowers, n_lowers);
                const struct ts_upper_node *node = path ? ts_upper_find(u, path, strlen(path)) : NULL;
                size_t shift = path ? (size_t)(path - p) : 0;

                if (!path || path[0] == '\0')
                        return ts_err_set(err, TS_EPROTO, "find gave something other than a listing");
                if (!(node && node->whiteout) && !is_uncovered(u, path))
                        continue;
                if (ret->n == cap) {
                        char **grown;

                        cap = cap ? 2 * cap : 256;
                        grown = realloc(ret->v, cap * sizeof(*grown));
                        if (!grown)
                                return ts_err_set(err, TS_ENOMEM, "out of memory");
                        ret->v = grown;
                }
                p[shift - 1] = p[0]; /* the type moves to where the slash was */
                p += shift - 1;
                ret->v[ret->n++] = p;
        }
        if (ret->n > 0)
                qsort(ret->v, ret->n, sizeof(ret->v[0]), compare_names);
        return 0;
}

static int merge_deleted(const struct ts_upper *u, const struct names *names, struct ts_rootfs_plan *p, struct ts_err *err)
{
        ts_auto_list all = TS_LIST_INIT;

        for (size_t i = 0; i < u->n; i++)
                if (u->v[i].whiteout && !is_managed(u->v[i].path) && ts_list_addf(&all, err, "/%s", u->v[i].path) < 0)
                        return -1;
        for (size_t i = 0; i < names->n; i++) {
                const char *path = names->v[i] + 1;
                const struct ts_upper_node *node = ts_upper_find(u, path, strlen(path));

                if ((i > 0 && strcmp(names->v[i - 1] + 1, path) == 0) || is_managed(path))
                        continue;
                if (!node && ts_list_addf(&all, err, "/%s", path) < 0)
                        return -1;
                if (names->v[i][0] == 'l' && ts_list_addf(&p->deleted_links, err, "/%s", path) < 0)
                        return -1;
        }
        if (all.n > 0)
                qsort(all.v, all.n, sizeof(all.v[0]), compare_strings);
        p->deleted = all;
        all = (struct ts_list)TS_LIST_INIT;
        return 0;
}

static int plan_deleted(struct ts_host *h, const struct ts_upper *u, const char *const lowers[], size_t n_lowers, struct ts_rootfs_plan *p,
                        struct ts_err *err)
{
        ts_auto_str ask = TS_STR_INIT_MAX(NAMES_MAX);
        ts_auto_run r = { 0 };
        struct names names = { 0 };
        int rc;

        if (ask_lowers(u, lowers, n_lowers, &ask, err) < 0)
                return -1;
        if (ask.len > 0 &&
            ts_upper_run(h, (const char *const[]){ "env", "LC_ALL=C", "xargs", "-0", "-r", "sh", "-c", lower_script, "sh", NULL }, &ask, &r,
                         err) < 0)
                return ts_err_prefix(err, "lower directories");
        rc = collect_names(u, &r.out, lowers, n_lowers, &names, err);
        if (rc == 0)
                rc = merge_deleted(u, &names, p, err);
        free(names.v);
        return rc;
}

/* ---- deleted.files ---- */

/* Bytes of the UTF-8 sequence at s, 0 when it is none (overlong ones and surrogates included). */
static size_t utf8_length(const unsigned char *s)
{
        static const struct {
                unsigned char mask, lead;
                uint32_t min;
        } forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

        for (size_t i = 0; i < TS_ARRAY_LEN(forms); i++) {
                uint32_t v = s[0] & (unsigned char)~forms[i].mask;

                if ((s[0] & forms[i].mask) != forms[i].lead)
                        continue;
                for (size_t k = 1; k <= i; k++) {
                        if ((s[k] & 0xc0) != 0x80)
                                return 0;
                        v = v << 6 | (s[k] & 0x3f);
                }
                return v < forms[i].min || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff) ? 0 : i + 1;
        }
        return 0;
}

static int add_json_string(struct ts_str *s, const char *text, struct ts_err *err)
{
        int rc = ts_str_adds(s, "\"", err);

        for (const unsigned char *p = (const unsigned char *)text; rc == 0 && *p;) {
                size_t len = utf8_length(p);

                if (len == 0) {
                        ts_auto_free char *shown = ts_printable(text, strlen(text), 300);

                        (void)ts_err_set(err, TS_EREFUSED, "the deleted name '%s' is not UTF-8, which podman's import cannot take",
                                         ts_or(shown, "?"));
                        return ts_err_hint(err, "move the container in place");
                }
                if (*p < 0x20 || *p == '"' || *p == '\\')
                        rc = ts_str_addf(s, err, "\\u%04x", *p);
                else
                        rc = ts_str_add(s, p, len, err);
                p += len;
        }
        return rc < 0 ? -1 : ts_str_adds(s, "\"", err);
}

static int build_json(struct ts_rootfs_plan *p, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT_MAX(NAMES_MAX);

        if (p->deleted.n == 0)
                return 0;
        for (size_t i = 0; i < p->deleted.n; i++)
                if (ts_str_adds(&s, i > 0 ? "," : "[", err) < 0 || add_json_string(&s, p->deleted.v[i], err) < 0)
                        return -1;
        if (ts_str_adds(&s, "]", err) < 0)
                return -1;
        p->deleted_json = ts_str_take(&s);
        return p->deleted_json ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_rootfs_diff_plan(struct ts_host *h, const char *upper, const char *const lowers[], size_t n_lowers,
                        const struct ts_rootfs_change *changes, size_t n_changes, struct ts_rootfs_plan *ret, struct ts_err *err)
{
        ts_auto_rootfs_plan p = { 0 };
        ts_auto_upper u = { 0 };
        struct wanted w = { 0 };
        int rc;

        for (size_t i = 0; i < n_lowers; i++)
                if (lowers[i][0] != '/')
                        return ts_err_set(err, TS_EUSAGE, "'%s' is not an absolute path", lowers[i]);
        if (ts_upper_scan(h, upper, &u, err) < 0)
                return -1;
        rc = collect_wanted(&u, changes, n_changes, &w, err);
        if (rc == 0)
                rc = plan_included(&u, &w, &p, err);
        free(w.v);
        if (rc < 0 || plan_deleted(h, &u, lowers, n_lowers, &p, err) < 0 || build_json(&p, err) < 0)
                return -1;
        *ret = p;
        p = (struct ts_rootfs_plan){ 0 };
        return 0;
}

/* ---- the tar ---- */

static int include_names(const struct ts_rootfs_plan *p, struct ts_str *ret, struct ts_err *err)
{
        for (size_t i = 0; i < p->include.n; i++)
                if (ts_str_add(ret, p->include.v[i], strlen(p->include.v[i]) + 1, err) < 0)
                        return -1;
        return 0;
}

/* Nothing here may depend on when it runs (access times, a process ID in a name), so that two runs give the same number of bytes.
 * Attributes '*' hold the ACLs too. */
#define DIFF_TAR(upper, output, names)                                                                                                     \
        "env", "LC_ALL=C", "tar", "-C", (upper), "--create", (output), "--format=posix",                                                   \
                "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f", "--numeric-owner", "--sparse", "--xattrs",          \
                "--xattrs-include=*", "--xattrs-exclude=trusted.overlay.*", "--xattrs-exclude=user.overlay.*",                             \
                "--xattrs-exclude=security.selinux", "--xattrs-exclude=security.evm", "--blocking-factor=512", "--no-recursion", "--null", \
                (names)

int ts_rootfs_diff_size(struct ts_host *h, const char *upper, const struct ts_rootfs_plan *p, uint64_t *ret_bytes, struct ts_err *err)
{
        static const char label[] = "Total bytes written: ";
        ts_auto_str names = TS_STR_INIT_MAX(NAMES_MAX);
        ts_auto_run r = { 0 };
        char digits[24] = "";
        unsigned long long n = 0;
        const char *found;
        size_t len;

        if (p->include.n == 0) {
                *ret_bytes = 0;
                return 0;
        }
        /* GNU tar knows /dev/null and reads no content then. */
        if (include_names(p, &names, err) < 0 ||
            ts_upper_run(h, (const char *const[]){ DIFF_TAR(upper, "--file=/dev/null", "--files-from=-"), "--totals", NULL }, &names, &r,
                         err) < 0)
                return ts_err_prefix(err, "size of the root file system changes");
        found = strstr(ts_str_cstr(&r.err), label);
        len = found ? strspn(found + strlen(label), "0123456789") : 0;
        if (len > 0 && len < sizeof(digits))
                memcpy(digits, found + strlen(label), len);
        if (ts_parse_u64(digits, 1, UINT64_MAX, &n, NULL) < 0)
                return ts_err_set(err, TS_EPROTO, "tar on '%s' did not tell the size of its archive", ts_host_name(h));
        *ret_bytes = n;
        return 0;
}

int ts_rootfs_diff_start(struct ts_host *h, const char *upper, const struct ts_rootfs_plan *p, const char *list_path, struct ts_proc **ret,
                         struct ts_err *err)
{
        ts_auto_str names = TS_STR_INIT_MAX(NAMES_MAX);
        ts_auto_free char *from = ts_fmt("--files-from=%s", list_path);
        ts_auto(ts_proc) struct ts_proc *proc = NULL;

        if (p->include.n == 0)
                return ts_err_set(err, TS_EUSAGE, "the root file system has no changes");
        if (!from)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (include_names(p, &names, err) < 0 || ts_host_put(h, list_path, 0600, names.buf, names.len, err) < 0)
                return ts_err_prefix(err, "list of root file system changes");
        if (ts_host_start(h, (const char *const[]){ DIFF_TAR(upper, "--file=-", from), NULL }, &proc, err) < 0)
                return -1;
        (void)ts_proc_end_input(proc);
        *ret = TS_TAKE(proc);
        return 0;
}
