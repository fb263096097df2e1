/* Lists an upper directory with find, and asks a small tar for what find cannot tell: device numbers and the overlay's attributes
 * (getfattr is not on every host, GNU tar is). Decides what each name is; what follows from it is rootfs.c's. */
#include "transfer/rootfs_scan.h"

#include "base/mem.h"
#include "transfer/tar_header.h"
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 300000

void ts_upper_clear(struct ts_upper *u)
{
        free(u->v);
        ts_str_clear(&u->text);
        *u = (struct ts_upper){ 0 };
}

/* The last line is the reason more often than not; tar's own last line never is. */
int ts_upper_run(struct ts_host *h, const char *const argv[], const struct ts_str *input, struct ts_run_result *ret, struct ts_err *err)
{
        const struct ts_run_opts opts = { .input = input ? input->buf : NULL,
                                          .input_len = input ? input->len : 0,
                                          .max_output = TS_UPPER_OUTPUT_MAX,
                                          .timeout_ms = TIMEOUT_MS };
        ts_auto_run r = { 0 };
        ts_auto_free char *first = NULL;

        if (ts_host_run(h, argv, &opts, &r, err) < 0)
                return -1;
        if (r.status != 0) {
                first = ts_printable(ts_str_cstr(&r.err), strcspn(ts_str_cstr(&r.err), "\n"), 300);
                return ts_err_set(err, TS_ECOMMAND, "%s on '%s' ended with status %d: %s", argv[2], ts_host_name(h), r.status,
                                  ts_or(first, ""));
        }
        *ret = r;
        r = (struct ts_run_result){ 0 };
        return 0;
}

static int compare_nodes(const void *a, const void *b)
{
        return strcmp(((const struct ts_upper_node *)a)->path, ((const struct ts_upper_node *)b)->path);
}

struct key {
        const char *path;
        size_t len;
};

static int compare_key(const void *key, const void *node)
{
        const struct key *k = key;
        const char *path = ((const struct ts_upper_node *)node)->path;
        int order = strncmp(k->path, path, k->len);

        return order ? order : path[k->len] ? -1 : 0;
}

const struct ts_upper_node *ts_upper_find(const struct ts_upper *u, const char *path, size_t len)
{
        const struct key k = { path, len };

        return u->n ? bsearch(&k, u->v, u->n, sizeof(u->v[0]), compare_key) : NULL;
}

/* One record: "TYPE SIZE BLOCKS PATH\0LINK\0". Returns where the next begins, or NULL. */
static const char *parse_record(const char *p, const char *end, struct ts_upper_node *ret)
{
        const char *size, *blocks, *path, *link;

        if (end - p < 8 || p[1] != ' ')
                return NULL;
        size = p + 2;
        blocks = memchr(size, ' ', (size_t)(end - size));
        path = blocks ? memchr(blocks + 1, ' ', (size_t)(end - blocks - 1)) : NULL;
        link = path ? memchr(path, '\0', (size_t)(end - path)) : NULL;
        if (!link || !memchr(link + 1, '\0', (size_t)(end - link - 1)) || path[1] == '\0')
                return NULL;
        *ret = (struct ts_upper_node){ .path = path + 1, .link = link + 1, .type = p[0] };
        ret->hollow = p[0] == 'f' && !ts_starts(size, "0 ") && ts_starts(blocks + 1, "0 ");
        return link + 1 + strlen(link + 1) + 1;
}

static int parse_listing(struct ts_upper *u, struct ts_err *err)
{
        const char *end = u->text.buf + u->text.len;
        struct ts_upper_node node;
        size_t cap = 0;

        for (const char *p = u->text.buf; p && p < end;) {
                p = parse_record(p, end, &node);
                if (!p)
                        return ts_err_set(err, TS_EPROTO, "find gave something other than a listing");
                if (u->n == cap) {
                        struct ts_upper_node *grown;

                        cap = cap ? 2 * cap : 256;
                        grown = realloc(u->v, cap * sizeof(*grown));
                        if (!grown)
                                return ts_err_set(err, TS_ENOMEM, "out of memory");
                        u->v = grown;
                }
                u->v[u->n++] = node;
        }
        if (u->n > 0)
                qsort(u->v, u->n, sizeof(u->v[0]), compare_nodes);
        return 0;
}

static int list_nodes(struct ts_host *h, const char *dir, struct ts_upper *u, struct ts_err *err)
{
        ts_auto_run r = { 0 };

        if (ts_upper_run(h,
                         (const char *const[]){ "env", "LC_ALL=C", "find", dir, "-mindepth", "1", "-printf", "%y %s %b %P\\0%l\\0", NULL },
                         NULL, &r, err) < 0)
                return -1;
        u->text = r.out;
        r.out = (struct ts_str)TS_STR_INIT;
        return parse_listing(u, err);
}

static int is_attribute(const char *key, size_t len, const char *name)
{
        static const char *const prefixes[] = { "SCHILY.xattr.trusted.overlay.", "SCHILY.xattr.user.overlay." };

        for (size_t i = 0; i < TS_ARRAY_LEN(prefixes); i++) {
                size_t n = strlen(prefixes[i]);

                if (len == n + strlen(name) && memcmp(key, prefixes[i], n) == 0 && memcmp(key + n, name, len - n) == 0)
                        return 1;
        }
        return 0;
}

static int note_attribute(void *ctx, const char *key, size_t key_len, const char *value, size_t len, struct ts_err *err)
{
        struct ts_upper_node *found = ctx;

        (void)err;
        if (is_attribute(key, key_len, "opaque"))
                found->opaque = len == 1 && value[0] == 'y';
        else if (is_attribute(key, key_len, "redirect") || is_attribute(key, key_len, "metacopy"))
                found->refers = true;
        return 0;
}

/* One entry of the answer: found has what its pax header said, the header the device. */
static int note_entry(const struct ts_upper *u, const struct ts_tar_raw *h, struct ts_tar_overlay *o, uint64_t size,
                      const struct ts_upper_node *found, struct ts_err *err)
{
        struct ts_tar_entry e = { 0 };
        const struct ts_upper_node *node;
        uint64_t major = 0, minor = 0;

        if (ts_tar_entry_build(h, o, size, &e, err) < 0)
                return -1;
        node = ts_upper_find(u, e.name, strlen(e.name));
        ts_tar_entry_clear(&e);
        if (!node || (h->type == '3' && ts_tar_raw_device(h, &major, &minor, err) < 0))
                return ts_err_set(err, TS_EPROTO, "tar gave something that was not asked for");
        u->v[node - u->v].whiteout = h->type == '3' && major == 0 && minor == 0;
        u->v[node - u->v].opaque = found->opaque && node->type == 'd';
        u->v[node - u->v].refers = found->refers;
        return 0;
}

static int read_answer(const struct ts_upper *u, const struct ts_str *tar, struct ts_err *err)
{
        struct ts_upper_node found = { 0 };
        struct ts_tar_overlay o = { 0 };
        struct ts_tar_raw h;
        uint64_t size = 0;
        int rc = 0;

        for (size_t at = 0; rc == 0 && at + TS_TAR_BLOCK <= tar->len; at += TS_TAR_BLOCK + (size_t)size + ts_tar_padding(size)) {
                memcpy(&h, tar->buf + at, sizeof(h));
                if (h.name[0] == '\0')
                        break;
                if (ts_tar_raw_check(&h, err) < 0 || ts_tar_raw_size(&h, &size, err) < 0 || size > tar->len - at - TS_TAR_BLOCK) {
                        rc = ts_err_set(err, TS_EPROTO, "tar gave something other than an archive");
                } else if (h.type == 'x') {
                        rc = ts_tar_overlay_add(&o, h.type, tar->buf + at + TS_TAR_BLOCK, (size_t)size, err);
                        rc |= ts_tar_pax_each(tar->buf + at + TS_TAR_BLOCK, (size_t)size, note_attribute, &found, err);
                } else {
                        rc = note_entry(u, &h, &o, size, &found, err);
                        ts_tar_overlay_clear(&o);
                        found = (struct ts_upper_node){ 0 };
                }
        }
        ts_tar_overlay_clear(&o);
        return rc;
}

/* Directories, character devices and hollow files are all that overlay treats in a way of its own; their content is nothing. */
static int probe_nodes(struct ts_host *h, const char *dir, const struct ts_upper *u, struct ts_err *err)
{
        ts_auto_run r = { 0 };
        ts_auto_str names = TS_STR_INIT_MAX(TS_UPPER_OUTPUT_MAX);

        for (size_t i = 0; i < u->n; i++)
                if ((u->v[i].type == 'd' || u->v[i].type == 'c' || u->v[i].hollow) &&
                    ts_str_add(&names, u->v[i].path, strlen(u->v[i].path) + 1, err) < 0)
                        return -1;
        if (names.len == 0)
                return 0;
        if (ts_upper_run(h,
                         (const char *const[]){ "env", "LC_ALL=C", "tar", "-C", dir, "--create", "--file=-", "--format=posix",
                                                "--pax-option=delete=atime,delete=ctime,delete=mtime", "--numeric-owner",
                                                "--hard-dereference", "--sparse", "--xattrs", "--xattrs-include=trusted.overlay.*",
                                                "--xattrs-include=user.overlay.*", "--no-recursion", "--null", "--files-from=-", NULL },
                         &names, &r, err) < 0)
                return -1;
        return read_answer(u, &r.out, err);
}

int ts_upper_scan(struct ts_host *h, const char *dir, struct ts_upper *ret, struct ts_err *err)
{
        ts_auto_upper u = { 0 };

        if (dir[0] != '/')
                return ts_err_set(err, TS_EUSAGE, "'%s' is not an absolute path", dir);
        if (list_nodes(h, dir, &u, err) < 0 || probe_nodes(h, dir, &u, err) < 0)
                return ts_err_prefix(err, "upper directory '%s'", dir);
        *ret = u;
        u = (struct ts_upper){ 0 };
        return 0;
}
