/* Decides what a tar header means and whether it may be believed; header file says how strict and why. Does not decide what to keep. */
#include "transfer/tar_header.h"

#include "base/mem.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

enum { SEEN_PAX = 1, SEEN_GNU_NAME = 2, SEEN_GNU_LINK = 4 };

/* ---- fields ---- */

/* GNU's base-256: the top bit is set, the rest is a big-endian number; negative ones have no meaning here. */
static int parse_binary(const char *field, size_t width, uint64_t *ret)
{
        uint64_t v = (unsigned char)field[0] & 0x7f;

        if (v & 0x40)
                return -1;
        for (size_t i = 1; i < width; i++) {
                if (v >> 56)
                        return -1;
                v = v << 8 | (unsigned char)field[i];
        }
        *ret = v;
        return 0;
}

static int parse_octal(const char *field, size_t width, uint64_t *ret)
{
        size_t i = 0;
        uint64_t v = 0;

        while (i < width && field[i] == ' ')
                i++;
        for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
                v = v << 3 | (uint64_t)(field[i] - '0');
        for (; i < width; i++)
                if (field[i] != ' ' && field[i] != '\0')
                        return -1;
        *ret = v;
        return 0;
}

static int parse_number(const char *field, size_t width, const char *what, uint64_t max, uint64_t *ret, struct ts_err *err)
{
        uint64_t v = 0;
        int bad = (unsigned char)field[0] & 0x80 ? parse_binary(field, width, &v) : parse_octal(field, width, &v);

        if (bad || v > max)
                return ts_err_set(err, TS_EPROTO, "archive has a bad %s in a header", what);
        *ret = v;
        return 0;
}

/* Old writers summed signed bytes; every reader takes both. */
int ts_tar_raw_check(const struct ts_tar_raw *h, struct ts_err *err)
{
        const unsigned char *block = (const unsigned char *)h;
        uint64_t want;
        int64_t u = 8 * ' ', s = 8 * ' ';
        size_t from = offsetof(struct ts_tar_raw, checksum);

        if (parse_number(h->checksum, sizeof(h->checksum), "checksum", UINT32_MAX, &want, err) < 0)
                return -1;
        for (size_t i = 0; i < TS_TAR_BLOCK; i++) {
                if (i >= from && i < from + sizeof(h->checksum))
                        continue;
                u += block[i];
                s += (signed char)block[i];
        }
        if (u != (int64_t)want && s != (int64_t)want)
                return ts_err_set(err, TS_EPROTO, "archive has a header with a bad checksum");
        return 0;
}

int ts_tar_raw_size(const struct ts_tar_raw *h, uint64_t *ret, struct ts_err *err)
{
        return parse_number(h->size, sizeof(h->size), "size", TS_TAR_SIZE_MAX, ret, err);
}

int ts_tar_raw_device(const struct ts_tar_raw *h, uint64_t *ret_major, uint64_t *ret_minor, struct ts_err *err)
{
        if (parse_number(h->major, sizeof(h->major), "device", UINT32_MAX, ret_major, err) < 0)
                return -1;
        return parse_number(h->minor, sizeof(h->minor), "device", UINT32_MAX, ret_minor, err);
}

size_t ts_tar_padding(uint64_t size_bytes)
{
        return (size_t)((TS_TAR_BLOCK - size_bytes % TS_TAR_BLOCK) % TS_TAR_BLOCK);
}

/* ---- names ---- */

int ts_tar_name_clean(const char *raw, char **ret, struct ts_err *err)
{
        ts_auto_free char *clean = NULL;
        ts_auto_free char *shown = NULL;
        size_t n = 0;

        if (raw[0] == '\0')
                return ts_err_set(err, TS_EPROTO, "archive has an entry without a name");
        if (strlen(raw) > TS_TAR_NAME_MAX)
                return ts_err_set(err, TS_EPROTO, "archive has a name longer than %d bytes", TS_TAR_NAME_MAX);
        clean = malloc(strlen(raw) + 2);
        if (!clean)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        shown = ts_printable(raw, strlen(raw), 200);
        if (raw[0] == '/')
                return ts_err_set(err, TS_EPROTO, "archive has the absolute name '%s'", ts_or(shown, "?"));
        for (const char *p = raw; *p;) {
                size_t len = strcspn(p, "/");

                if (len == 2 && p[0] == '.' && p[1] == '.')
                        return ts_err_set(err, TS_EPROTO, "archive has the name '%s' that leads out of it", ts_or(shown, "?"));
                if (len > 0 && !(len == 1 && p[0] == '.')) {
                        if (n > 0)
                                clean[n++] = '/';
                        memcpy(clean + n, p, len);
                        n += len;
                }
                p += len;
                p += strspn(p, "/");
        }
        if (n == 0)
                clean[n++] = '.';
        clean[n] = '\0';
        *ret = TS_TAKE(clean);
        return 0;
}

static int header_name(const struct ts_tar_raw *h, char **ret, struct ts_err *err)
{
        int name_len = (int)strnlen(h->name, sizeof(h->name));
        int prefix_len = (int)strnlen(h->prefix, sizeof(h->prefix));

        /* GNU keeps times where POSIX has the prefix. */
        if (memcmp(h->magic, "ustar", 6) != 0)
                prefix_len = 0;
        *ret = prefix_len > 0 ? ts_fmt("%.*s/%.*s", prefix_len, h->prefix, name_len, h->name) : ts_fmt("%.*s", name_len, h->name);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ---- extension headers ---- */

static int set_string(char **to, const char *value, size_t len, struct ts_err *err)
{
        char *copy;

        if (memchr(value, '\0', len))
                return ts_err_set(err, TS_EPROTO, "archive has a name with a NUL byte");
        if (len == 0) /* POSIX: an empty value takes the record back */
                return 0;
        copy = strndup(value, len);
        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        free(*to);
        *to = copy;
        return 0;
}

static int set_size(struct ts_tar_overlay *o, const char *value, size_t len, struct ts_err *err)
{
        char digits[24];
        unsigned long long v;

        if (len == 0)
                return 0;
        if (len >= sizeof(digits))
                return ts_err_set(err, TS_EPROTO, "archive has a bad size in a header");
        memcpy(digits, value, len);
        digits[len] = '\0';
        if (strlen(digits) != len || ts_parse_u64(digits, 0, TS_TAR_SIZE_MAX, &v, NULL) < 0)
                return ts_err_set(err, TS_EPROTO, "archive has a bad size in a header");
        o->size = v;
        o->has_size = true;
        return 0;
}

static bool key_is(const char *key, size_t len, const char *want)
{
        return strlen(want) == len && memcmp(key, want, len) == 0;
}

static int pax_record(void *ctx, const char *key, size_t key_len, const char *value, size_t len, struct ts_err *err)
{
        static const char sparse[] = "GNU.sparse.";
        struct ts_tar_overlay *o = ctx;

        if (key_is(key, key_len, "path"))
                return set_string(&o->name, value, len, err);
        if (key_is(key, key_len, "linkpath"))
                return set_string(&o->link, value, len, err);
        if (key_is(key, key_len, "size"))
                return set_size(o, value, len, err);
        o->sparse |= key_len > strlen(sparse) && memcmp(key, sparse, strlen(sparse)) == 0;
        return key_is(key, key_len, "GNU.sparse.name") ? set_string(&o->sparse_name, value, len, err) : 0;
}

/* Go's reader ignores global records, GNU tar obeys them: those that matter are refused. */
static int pax_global_record(void *ctx, const char *key, size_t key_len, const char *value, size_t len, struct ts_err *err)
{
        struct ts_tar_overlay probe = { 0 };
        bool matters;

        (void)ctx;
        if (pax_record(&probe, key, key_len, value, len, err) < 0)
                return -1;
        matters = probe.name || probe.link || probe.sparse_name || probe.has_size || probe.sparse;
        ts_tar_overlay_clear(&probe);
        return matters ? ts_err_set(err, TS_EPROTO, "archive has a global header that renames or resizes entries") : 0;
}

/* "LENGTH KEY=VALUE\n", LENGTH counting all of it. */
int ts_tar_pax_each(const char *data, size_t len, ts_tar_pax_fn fn, void *ctx, struct ts_err *err)
{
        for (const char *p = data, *end = data + len; p < end;) {
                size_t record = 0, digits = 0;
                const char *key, *equals;

                for (; p + digits < end && digits < 8 && p[digits] >= '0' && p[digits] <= '9'; digits++)
                        record = record * 10 + (size_t)(p[digits] - '0');
                if (digits == 0 || record > (size_t)(end - p) || record < digits + strlen(" k=\n") || p[digits] != ' ' ||
                    p[record - 1] != '\n')
                        return ts_err_set(err, TS_EPROTO, "archive has a malformed extended header");
                key = p + digits + 1;
                p += record;
                equals = memchr(key, '=', (size_t)(p - 1 - key));
                if (!equals || equals == key || memchr(key, '\0', (size_t)(equals - key)))
                        return ts_err_set(err, TS_EPROTO, "archive has a malformed extended header");
                if (fn(ctx, key, (size_t)(equals - key), equals + 1, (size_t)(p - 1 - equals - 1), err) < 0)
                        return -1;
        }
        return 0;
}

int ts_tar_overlay_add(struct ts_tar_overlay *o, char type, const char *data, size_t len, struct ts_err *err)
{
        unsigned bit = type == 'L' ? SEEN_GNU_NAME : type == 'K' ? SEEN_GNU_LINK : SEEN_PAX;
        unsigned other = bit == SEEN_PAX ? SEEN_GNU_NAME | SEEN_GNU_LINK : SEEN_PAX;

        if (type == 'g') {
                if (o->seen)
                        return ts_err_set(err, TS_EPROTO, "archive has a global header in the wrong place");
                return ts_tar_pax_each(data, len, pax_global_record, NULL, err);
        }
        if (o->seen & bit)
                return ts_err_set(err, TS_EPROTO, "archive has two extension headers for one entry");
        if (o->seen & other) /* GNU tar believes the one, Go the other */
                return ts_err_set(err, TS_EPROTO, "archive mixes GNU and POSIX extension headers");
        o->seen |= bit;
        if (type == 'x')
                return ts_tar_pax_each(data, len, pax_record, o, err);
        return set_string(type == 'L' ? &o->name : &o->link, data, strnlen(data, len), err);
}

void ts_tar_overlay_clear(struct ts_tar_overlay *o)
{
        free(o->name);
        free(o->link);
        free(o->sparse_name);
        *o = (struct ts_tar_overlay){ 0 };
}

/* ---- entries ---- */

/* '\0' and '7' are files; an old writer's directory is a file whose name ends in a slash. 0: a type we do not take. */
static char plain_type(char type, const char *name)
{
        if (type == '\0' || type == '0' || type == '7' || type == 'S')
                return type != 'S' && name[0] && name[strlen(name) - 1] == '/' ? '5' : '0';
        return type >= '1' && type <= '6' ? type : 0;
}

static int check_entry(const struct ts_tar_entry *e, uint64_t size, struct ts_err *err)
{
        ts_auto_free char *target = NULL;

        if (e->type != '0' && size > 0)
                return ts_err_set(err, TS_EPROTO, "archive has content for '%s', which can have none", e->name);
        if (e->link && strlen(e->link) > TS_TAR_NAME_MAX)
                return ts_err_set(err, TS_EPROTO, "archive has a link longer than %d bytes", TS_TAR_NAME_MAX);
        return e->type == '1' ? ts_tar_name_clean(ts_or(e->link, ""), &target, err) : 0;
}

static int entry_name(const struct ts_tar_raw *h, struct ts_tar_overlay *o, struct ts_tar_entry *e, struct ts_err *err)
{
        ts_auto_free char *raw = TS_TAKE(o->name);
        ts_auto_free char *stored = NULL;

        if (!raw && header_name(h, &raw, err) < 0)
                return -1;
        e->type = plain_type(h->type, raw);
        if (!e->type)
                return ts_err_set(err, TS_EPROTO, "archive has an entry of the unknown type 0x%02x", (unsigned)(unsigned char)h->type);
        if (ts_tar_name_clean(raw, &stored, err) < 0)
                return -1;
        if (o->sparse_name) /* the stored name of a sparse file is made up, but a plain reader would use it */
                return ts_tar_name_clean(o->sparse_name, &e->name, err);
        e->name = TS_TAKE(stored);
        return 0;
}

static int entry_fields(const struct ts_tar_raw *h, struct ts_tar_overlay *o, uint64_t size, struct ts_tar_entry *e, struct ts_err *err)
{
        uint64_t mode;

        if (parse_number(h->mode, sizeof(h->mode), "mode", UINT32_MAX, &mode, err) < 0 || entry_name(h, o, e, err) < 0)
                return -1;
        if (h->type == 'S' && (o->seen & SEEN_PAX))
                return ts_err_set(err, TS_EPROTO, "archive mixes GNU and POSIX extension headers");
        if (e->type == '1' || e->type == '2') {
                e->link = o->link ? TS_TAKE(o->link) : strndup(h->link, sizeof(h->link));
                if (!e->link)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        e->mode = (uint32_t)mode & 07777;
        e->size_bytes = e->type == '0' ? size : 0;
        return check_entry(e, size, err);
}

int ts_tar_entry_build(const struct ts_tar_raw *h, struct ts_tar_overlay *o, uint64_t size, struct ts_tar_entry *ret, struct ts_err *err)
{
        struct ts_tar_entry e = { 0 };

        if (entry_fields(h, o, size, &e, err) < 0) {
                ts_tar_entry_clear(&e);
                return -1;
        }
        *ret = e;
        return 0;
}

void ts_tar_entry_clear(struct ts_tar_entry *e)
{
        free(e->name);
        free(e->link);
        *e = (struct ts_tar_entry){ 0 };
}
