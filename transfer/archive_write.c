/* Writes the entries tranship adds to an archive by itself: root-owned regular files. Everything else in an archive is passed on, not
 * made. */
#include "transfer/archive.h"

#include "transfer/tar_header.h"
#include <stdio.h>
#include <string.h>

static void put_octal(char *field, size_t width, uint64_t v)
{
        field[width - 1] = '\0';
        for (size_t i = width - 1; i-- > 0; v >>= 3)
                field[i] = (char)('0' + (v & 7));
}

static int put_header(const struct ts_sink *out, char type, const char *name, const char *link,
                      uint32_t mode, uint64_t size, uint64_t mtime_s, struct ts_err *err)
{
        struct ts_tar_raw h = { .type = type, .magic = "ustar", .version = { '0', '0' } };
        unsigned char block[TS_TAR_BLOCK];
        uint64_t sum = 0;

        memcpy(h.name, name, strnlen(name, sizeof(h.name)));
        memcpy(h.link, link, strnlen(link, sizeof(h.link)));
        put_octal(h.mode, sizeof(h.mode), mode & 07777);
        put_octal(h.uid, sizeof(h.uid), 0);
        put_octal(h.gid, sizeof(h.gid), 0);
        put_octal(h.size, sizeof(h.size), size > TS_TAR_OCTAL_MAX ? 0 : size);
        put_octal(h.mtime, sizeof(h.mtime), mtime_s > TS_TAR_OCTAL_MAX ? 0 : mtime_s);
        put_octal(h.major, sizeof(h.major), 0);
        put_octal(h.minor, sizeof(h.minor), 0);
        memset(h.checksum, ' ', sizeof(h.checksum));
        memcpy(block, &h, TS_TAR_BLOCK);
        for (size_t i = 0; i < TS_TAR_BLOCK; i++)
                sum += block[i];
        put_octal(h.checksum, sizeof(h.checksum) - 1, sum);
        return out->write(out->ctx, &h, sizeof(h), err);
}

/* The length counts its own digits. */
static int add_record(struct ts_str *s, const char *key, const char *value, struct ts_err *err)
{
        size_t body = strlen(key) + strlen(value) + strlen(" =\n"), len = body, next = body + 1;

        while (next != len) {
                len = next;
                next = body + (size_t)snprintf(NULL, 0, "%zu", len);
        }
        return ts_str_addf(s, err, "%zu %s=%s\n", len, key, value);
}

int ts_tar_header(const struct ts_sink *out, const char *name, uint32_t mode, uint64_t size_bytes, uint64_t mtime_s, struct ts_err *err)
{
        ts_auto_str pax = TS_STR_INIT_MAX(TS_TAR_META_MAX);
        ts_auto_free char *checked = NULL;
        char number[24];
        int rc = 0;

        if (ts_tar_name_clean(name, &checked, err) < 0)
                return -1;
        if (strlen(checked) > sizeof(((struct ts_tar_raw *)NULL)->name))
                rc |= add_record(&pax, "path", checked, err);
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)size_bytes);
        if (size_bytes > TS_TAR_OCTAL_MAX)
                rc |= add_record(&pax, "size", number, err);
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)mtime_s);
        if (mtime_s > TS_TAR_OCTAL_MAX)
                rc |= add_record(&pax, "mtime", number, err);
        if (rc < 0)
                return -1;
        if (pax.len > 0 &&
            (put_header(out, 'x', "PaxHeaders/entry", "", 0644, pax.len, 0, err) < 0 ||
             out->write(out->ctx, pax.buf, pax.len, err) < 0 || ts_tar_pad(out, pax.len, err) < 0))
                return -1;
        return put_header(out, '0', checked, "", mode, size_bytes, mtime_s, err);
}

int ts_tar_pad(const struct ts_sink *out, uint64_t size_bytes, struct ts_err *err)
{
        static const unsigned char zero[TS_TAR_BLOCK];
        size_t n = ts_tar_padding(size_bytes);

        return n > 0 ? out->write(out->ctx, zero, n, err) : 0;
}

int ts_tar_link(const struct ts_sink *out, const char *name, const char *to, struct ts_err *err)
{
        ts_auto_str pax = TS_STR_INIT_MAX(TS_TAR_META_MAX);

        if (strlen(to) > sizeof(((struct ts_tar_raw *)NULL)->link) &&
            (add_record(&pax, "linkpath", to, err) < 0 ||
             put_header(out, 'x', "PaxHeaders/entry", "", 0644, pax.len, 0, err) < 0 ||
             out->write(out->ctx, pax.buf, pax.len, err) < 0 || ts_tar_pad(out, pax.len, err) < 0))
                return -1;
        return put_header(out, '2', name, to, 0777, 0, 0, err);
}

int ts_tar_file(const struct ts_sink *out, const char *name, uint32_t mode, const void *data, size_t len, struct ts_err *err)
{
        if (ts_tar_header(out, name, mode, len, 0, err) < 0)
                return -1;
        if (len > 0 && out->write(out->ctx, data, len, err) < 0)
                return -1;
        return ts_tar_pad(out, len, err);
}

int ts_tar_end(const struct ts_sink *out, struct ts_err *err)
{
        static const unsigned char zero[2 * TS_TAR_BLOCK];

        return out->write(out->ctx, zero, sizeof(zero), err);
}
