/* The archive filter: whatever comes in, no crash, memory bounded by its limits, and every name the callback sees is relative and without
 * "..". What it passed on, closed with zero blocks, must be an archive to itself again: with the same entries. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "base/str.h"
#include "transfer/archive.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CAPTURE_MAX = 4096 };

struct state {
        unsigned n;
        uint64_t hash; /* of the entries that passed */
        bool all_pass;
        struct ts_str out;
};

static void check_name(const char *name)
{
        if (name[0] == '\0' || name[0] == '/' || strlen(name) > 4096)
                abort();
        for (const char *p = name; *p;) {
                size_t len = strcspn(p, "/");

                if (len == 0 || (len == 2 && memcmp(p, "..", 2) == 0) || (len == 1 && p[0] == '.' && strcmp(name, ".") != 0))
                        abort();
                p += len;
                if (*p == '/' && *++p == '\0') /* no slash at the end */
                        abort();
        }
}

static int on_entry(void *ctx, const struct ts_tar_entry *e, enum ts_tar_verdict *ret, struct ts_err *err)
{
        struct state *s = ctx;
        unsigned choice = s->all_pass ? 0 : s->n % 3;

        (void)err;
        check_name(e->name);
        if (!strchr("0123456", e->type) || e->mode > 07777 || (e->type != '0' && e->size_bytes > 0) ||
            ((e->type == '1' || e->type == '2') != (e->link != NULL)))
                abort();
        s->n++;
        *ret = choice == 1 ? TS_TAR_DROP : choice == 2 ? TS_TAR_CAPTURE : TS_TAR_PASS;
        if (choice == 0 || choice == 2) {
                for (const char *p = e->name; *p; p++)
                        s->hash = s->hash * 31 + (unsigned char)*p;
                s->hash = s->hash * 31 + (unsigned char)e->type + e->size_bytes;
        }
        return 0;
}

static int on_captured(void *ctx, const struct ts_tar_entry *e, const void *data, size_t len, struct ts_err *err)
{
        const unsigned char *p = data;
        unsigned sum = 0;

        (void)ctx;
        (void)err;
        if (len != e->size_bytes || len > CAPTURE_MAX)
                abort();
        for (size_t i = 0; i < len; i++)
                sum += p[i];
        return (int)(sum & 0); /* the sum only makes every byte be read */
}

static int on_write(void *ctx, const void *data, size_t len, struct ts_err *err)
{
        return ts_str_add(&((struct state *)ctx)->out, data, len, err);
}

static int filter(const void *data, size_t size, struct state *s)
{
        const struct ts_tar_filter f = {
                .entry = on_entry, .captured = on_captured, .ctx = s, .capture_max = CAPTURE_MAX, .max_entries = 1000
        };
        const struct ts_sink sink = { on_write, s };
        ts_auto_fd int fd = memfd_create("in", MFD_CLOEXEC);
        uint64_t n = 0;
        int rc;

        if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size) || lseek(fd, 0, SEEK_SET) != 0)
                return -1;
        rc = ts_tar_filter_run(fd, &f, &sink, &n, NULL);
        if (s->out.len > size || (rc == 0 && n != size))
                abort();
        return rc;
}

/* Gives every block that claims to be a header the right checksum: otherwise hardly a mutation would get past it. */
static void repair(uint8_t *data, size_t size)
{
        for (size_t at = 0; at + 512 <= size; at += 512) {
                unsigned sum = 0;

                if (memcmp(data + at + 257, "ustar", 5) != 0)
                        continue;
                memset(data + at + 148, ' ', 8);
                for (size_t i = 0; i < 512; i++)
                        sum += data[at + i];
                for (size_t i = 0; i < 6; i++)
                        data[at + 148 + i] = (uint8_t)('0' + (sum >> (15 - 3 * i) & 7));
                data[at + 154] = 0;
        }
}

static void one_input(const uint8_t *data, size_t size)
{
        struct state first = { 0 }, second = { .all_pass = true };
        const struct ts_sink sink = { on_write, &first };

        if (filter(data, size, &first) == 0) {
                if (ts_tar_end(&sink, NULL) < 0 || filter(first.out.buf, first.out.len, &second) < 0 || second.hash != first.hash)
                        abort();
        }
        ts_str_clear(&first.out);
        ts_str_clear(&second.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *copy = malloc(size ? size : 1);

        if (!copy)
                abort();
        if (size > 0)
                memcpy(copy, data, size);
        one_input(data, size);
        repair(copy, size);
        one_input(copy, size);
        free(copy);
        return 0;
}
