/* Reads the two tables of numbers CRIU leaves behind. Decides whether the bytes are what they claim; what the numbers mean for a move is
 * the caller's. */
#include "api/criu_stats.h"

#include "base/mem.h"
#include <string.h>

#define MAGIC_SERVICE 0x55105940u
#define MAGIC_COMMON 0x54564319u
#define MAGIC_STATS 0x57093306u

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { ENTRY_DUMP = 1, ENTRY_RESTORE = 2 }; /* members of the outer message */

/* A member of the inner message: its number, where its value goes, its largest value, and whether every CRIU writes it. */
struct member {
        uint32_t number;
        size_t offset;
        uint64_t max;
        bool required;
};
static const struct member dump_members[] = {
        { 1, offsetof(struct ts_criu_dump, freezing_us), UINT32_MAX, true },
        { 2, offsetof(struct ts_criu_dump, frozen_us), UINT32_MAX, true },
        { 3, offsetof(struct ts_criu_dump, memdump_us), UINT32_MAX, true },
        { 4, offsetof(struct ts_criu_dump, memwrite_us), UINT32_MAX, true },
        { 5, offsetof(struct ts_criu_dump, pages_scanned), UINT64_MAX, true },
        { 6, offsetof(struct ts_criu_dump, pages_skipped_parent), UINT64_MAX, true },
        { 7, offsetof(struct ts_criu_dump, pages_written), UINT64_MAX, true },
        { 8, offsetof(struct ts_criu_dump, irmap_us), UINT32_MAX, false },
        { 9, offsetof(struct ts_criu_dump, pages_lazy), UINT64_MAX, false },
        { 10, offsetof(struct ts_criu_dump, page_pipes), UINT64_MAX, false },
        { 11, offsetof(struct ts_criu_dump, page_pipe_bufs), UINT64_MAX, false },
        { 12, offsetof(struct ts_criu_dump, shpages_scanned), UINT64_MAX, false },
        { 13, offsetof(struct ts_criu_dump, shpages_skipped_parent), UINT64_MAX, false },
        { 14, offsetof(struct ts_criu_dump, shpages_written), UINT64_MAX, false },
};
static const struct member restore_members[] = {
        { 1, offsetof(struct ts_criu_restore, pages_compared), UINT64_MAX, true },
        { 2, offsetof(struct ts_criu_restore, pages_skipped_cow), UINT64_MAX, true },
        { 3, offsetof(struct ts_criu_restore, forking_us), UINT32_MAX, true },
        { 4, offsetof(struct ts_criu_restore, restore_us), UINT32_MAX, true },
        { 5, offsetof(struct ts_criu_restore, pages_restored), UINT64_MAX, false },
};

struct cursor {
        const unsigned char *p, *end;
};

static int damaged(struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "criu statistics are damaged");
}

static int read_varint(struct cursor *c, uint64_t *ret)
{
        uint64_t v = 0;

        for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
                unsigned char b = *c->p++;

                if (shift == 63 && b > 1)
                        return -1;
                v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80)) {
                        *ret = v;
                        return 0;
                }
        }
        return -1;
}

/* One field: its number, and a number or a piece of bytes; what has neither comes back as an empty piece. */
struct field {
        uint32_t number;
        bool is_value;
        uint64_t value;
        struct cursor bytes;
};

static int read_field(struct cursor *c, struct field *ret)
{
        uint64_t key, len = 0;

        if (read_varint(c, &key) < 0 || key >> 3 == 0 || key >> 3 > 0x1fffffff)
                return -1;
        *ret = (struct field){ .number = (uint32_t)(key >> 3), .is_value = (key & 7) == WIRE_VARINT };
        if (ret->is_value)
                return read_varint(c, &ret->value);
        if ((key & 7) == WIRE_64)
                len = 8;
        else if ((key & 7) == WIRE_32)
                len = 4;
        else if ((key & 7) != WIRE_BYTES || read_varint(c, &len) < 0)
                return -1;
        if (len > (uint64_t)(c->end - c->p))
                return -1;
        ret->bytes = (struct cursor){ c->p, c->p + ((key & 7) == WIRE_BYTES ? len : 0) };
        c->p += len;
        return 0;
}

static uint32_t load32(const unsigned char *p, bool big)
{
        return big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
                   : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Steps over magics and length; the cursor is then the outer message. */
static int open_image(const unsigned char *data, size_t len, struct cursor *ret, struct ts_err *err)
{
        size_t at = 0;
        bool big;

        if (len > TS_CRIU_STATS_MAX)
                return ts_err_set(err, TS_ELIMIT, "criu statistics have %zu bytes, more than %zu", len, TS_CRIU_STATS_MAX);
        if (len < 8)
                return ts_err_set(err, TS_EPROTO, "not a file of criu statistics");
        big = load32(data, true) == MAGIC_SERVICE || load32(data, true) == MAGIC_COMMON || load32(data, true) == MAGIC_STATS;
        if (load32(data, big) == MAGIC_SERVICE || load32(data, big) == MAGIC_COMMON)
                at += 4;
        if (load32(data + at, big) != MAGIC_STATS)
                return ts_err_set(err, TS_EPROTO, "not a file of criu statistics");
        at += 4;
        if (len - at < 4 || load32(data + at, big) != len - at - 4)
                return damaged(err);
        *ret = (struct cursor){ data + at + 4, data + len };
        return 0;
}

static int find_entry(struct cursor outer, uint32_t which, struct cursor *ret, struct ts_err *err)
{
        bool found = false;
        struct field f;

        while (outer.p < outer.end) {
                if (read_field(&outer, &f) < 0)
                        return damaged(err);
                if (f.number == which && !f.is_value) {
                        *ret = f.bytes;
                        found = true;
                }
        }
        return found ? 0 : ts_err_set(err, TS_EPROTO, "criu statistics are not those of a %s", which == ENTRY_DUMP ? "dump" : "restore");
}

static int read_members(struct cursor c, const struct member *members, size_t n, void *ret, struct ts_err *err)
{
        uint32_t seen = 0;
        struct field f;

        while (c.p < c.end) {
                if (read_field(&c, &f) < 0)
                        return damaged(err);
                for (size_t i = 0; i < n && f.is_value; i++) {
                        if (members[i].number != f.number)
                                continue;
                        if (f.value > members[i].max)
                                return damaged(err);
                        memcpy((char *)ret + members[i].offset, &f.value, sizeof(f.value));
                        seen |= UINT32_C(1) << i;
                }
        }
        for (size_t i = 0; i < n; i++)
                if (members[i].required && !(seen & UINT32_C(1) << i))
                        return ts_err_set(err, TS_EPROTO, "criu statistics lack member %u", members[i].number);
        return 0;
}

int ts_criu_stats_parse_dump(const void *data, size_t len, struct ts_criu_dump *ret, struct ts_err *err)
{
        struct ts_criu_dump d = { .valid = true };
        struct cursor c = { 0 };

        if (open_image(data, len, &c, err) < 0 || find_entry(c, ENTRY_DUMP, &c, err) < 0 ||
            read_members(c, dump_members, TS_ARRAY_LEN(dump_members), &d, err) < 0)
                return -1;
        *ret = d;
        return 0;
}

int ts_criu_stats_parse_restore(const void *data, size_t len, struct ts_criu_restore *ret, struct ts_err *err)
{
        struct ts_criu_restore r = { .valid = true };
        struct cursor c = { 0 };

        if (open_image(data, len, &c, err) < 0 || find_entry(c, ENTRY_RESTORE, &c, err) < 0 ||
            read_members(c, restore_members, TS_ARRAY_LEN(restore_members), &r, err) < 0)
                return -1;
        *ret = r;
        return 0;
}
