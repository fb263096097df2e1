/* api/criu_stats: real files of CRIU 4.2.1 (a process with 1 MiB of memory, dumped and restored), and damaged ones. */
#include "tests/unit/unit.h"

#include "api/criu_stats.h"
#include "base/io.h"

#define FIXTURE(name) TS_SOURCE_DIR "/tests/fixtures/" name

static struct ts_str load(const char *path)
{
        struct ts_err err = TS_ERR_INIT;
        struct ts_str s = TS_STR_INIT;

        UNIT_OK(ts_file_read(path, TS_CRIU_STATS_MAX, &s, &err));
        return s;
}

static void reads_a_real_dump(void)
{
        ts_auto_str s = load(FIXTURE("criu-4.2.1-stats-dump"));
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_dump d = { 0 };

        UNIT_OK(ts_criu_stats_parse_dump(s.buf, s.len, &d, &err));
        CU_ASSERT_TRUE(d.valid);
        CU_ASSERT_EQUAL(d.freezing_us, 2600);
        CU_ASSERT_EQUAL(d.frozen_us, 9598);
        CU_ASSERT_EQUAL(d.memdump_us, 1773);
        CU_ASSERT_EQUAL(d.memwrite_us, 696);
        CU_ASSERT_EQUAL(d.pages_scanned, 299);
        CU_ASSERT_EQUAL(d.pages_skipped_parent, 0);
        CU_ASSERT_EQUAL(d.pages_written, 285);
        CU_ASSERT_EQUAL(d.page_pipes, 7);
        CU_ASSERT_EQUAL(d.page_pipe_bufs, 7);
        CU_ASSERT_EQUAL(d.shpages_written, 0);
}

static void reads_a_real_restore(void)
{
        ts_auto_str s = load(FIXTURE("criu-4.2.1-stats-restore"));
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_restore r = { 0 };

        UNIT_OK(ts_criu_stats_parse_restore(s.buf, s.len, &r, &err));
        CU_ASSERT_TRUE(r.valid);
        CU_ASSERT_EQUAL(r.pages_compared, 0);
        CU_ASSERT_EQUAL(r.forking_us, 3);
        CU_ASSERT_EQUAL(r.restore_us, 4096);
        CU_ASSERT_EQUAL(r.pages_restored, 285);
}

static void tells_dump_from_restore(void)
{
        ts_auto_str dump = load(FIXTURE("criu-4.2.1-stats-dump"));
        ts_auto_str restore = load(FIXTURE("criu-4.2.1-stats-restore"));
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_dump d = { 0 };
        struct ts_criu_restore r = { 0 };

        UNIT_FAILS(ts_criu_stats_parse_dump(restore.buf, restore.len, &d, &err), TS_EPROTO);
        UNIT_FAILS(ts_criu_stats_parse_restore(dump.buf, dump.len, &r, &err), TS_EPROTO);
        CU_ASSERT_FALSE(d.valid || r.valid);
}

/* The image is assembled from here: magics, length, then this outer message. */
static int parse(const void *magics, size_t magics_len, const char *message, size_t len, struct ts_criu_restore *ret, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT;
        unsigned char length[4] = { (unsigned char)len, (unsigned char)(len >> 8), 0, 0 };

        if (ts_str_add(&s, magics, magics_len, err) < 0 || ts_str_add(&s, length, 4, err) < 0 || ts_str_add(&s, message, len, err) < 0)
                return -1;
        return ts_criu_stats_parse_restore(s.buf, s.len, ret, err);
}
#define SERVICE "\x40\x59\x10\x55"
#define STATS "\x06\x33\x09\x57"
#define PARSE(magics, message) parse(magics, sizeof(magics) - 1, message, sizeof(message) - 1, &r, &err)
#define MINIMUM "\x08\x01\x10\x02\x18\x03\x20\x04"

static void takes_what_protobuf_allows(void)
{
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_restore r = { 0 };

        UNIT_OK(PARSE(STATS, "\x12\x08" MINIMUM)); /* images before 1.1 */
        UNIT_OK(PARSE("\x19\x43\x56\x54" STATS, "\x12\x08" MINIMUM));
        UNIT_OK(PARSE(SERVICE STATS, "\x12\x08\x20\x04\x18\x03\x10\x02\x08\x01")); /* any order */
        CU_ASSERT_EQUAL(r.restore_us, 4);
        CU_ASSERT_EQUAL(r.pages_restored, 0);
        /* members nobody has heard of: a varint, 64 bits, bytes, 32 bits, and one after the message */
        UNIT_OK(PARSE(SERVICE STATS, "\x12\x20\x98\x06\x07\x99\x06"
                                     "12345678"
                                     "\x9a\x06\x02zz\x9d\x06"
                                     "1234" MINIMUM "\x18\x07"));
        CU_ASSERT_EQUAL(r.forking_us, 3);
        UNIT_OK(PARSE(SERVICE STATS, "\x12\x13\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" MINIMUM));
        CU_ASSERT_EQUAL(r.pages_restored, UINT64_MAX);
        UNIT_OK(PARSE(SERVICE STATS, "\x12\x0a" MINIMUM "\x20\x09")); /* the last one counts */
        CU_ASSERT_EQUAL(r.restore_us, 9);
}

static void reads_the_other_byte_order(void)
{
        static const char image[] = "\x55\x10\x59\x40\x57\x09\x33\x06\0\0\0\x0a\x12\x08" MINIMUM;
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_restore r = { 0 };

        UNIT_OK(ts_criu_stats_parse_restore(image, sizeof(image) - 1, &r, &err));
        CU_ASSERT_EQUAL(r.pages_skipped_cow, 2);
}

static void refuses_damage(void)
{
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_restore r = { 0 };

        UNIT_FAILS(PARSE("\x40\x59\x10\x54" STATS, "\x12\x08" MINIMUM), TS_EPROTO);                              /* magic */
        UNIT_FAILS(PARSE(SERVICE SERVICE, "\x12\x08" MINIMUM), TS_EPROTO);                                       /* magic */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x09" MINIMUM), TS_EPROTO);                                         /* inner length */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x06\x08\x01\x10\x02\x18\x03"), TS_EPROTO);                         /* a required member */
        UNIT_FAILS(PARSE(SERVICE STATS, ""), TS_EPROTO);                                                         /* nothing */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x08\x08\x01\x10\x02\x1b\x03\x20\x04"), TS_EPROTO);                 /* a group */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x02\x00\x01"), TS_EPROTO);                                         /* member 0 */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x0c\x08\x01\x10\x02\x18\x80\x80\x80\x80\x10\x20\x04"), TS_EPROTO); /* a time above 32 bits */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x0b\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), TS_EPROTO);     /* 65 bits */
        UNIT_FAILS(PARSE(SERVICE STATS, "\x12\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), TS_EPROTO);         /* eleven bytes */
        CU_ASSERT_FALSE(r.valid);
}

static void refuses_every_cut(void)
{
        ts_auto_str s = load(FIXTURE("criu-4.2.1-stats-dump"));
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_dump d = { 0 };

        for (size_t n = 0; n < s.len; n++) {
                char *exact = malloc(n ? n : 1);

                memcpy(exact, s.buf, n);
                UNIT_FAILS(ts_criu_stats_parse_dump(exact, n, &d, &err), TS_EPROTO);
                free(exact);
        }
        CU_ASSERT_EQUAL(ts_str_adds(&s, "x", NULL), 0);
        UNIT_FAILS(ts_criu_stats_parse_dump(s.buf, s.len, &d, &err), TS_EPROTO);
        CU_ASSERT_FALSE(d.valid);
}

static void refuses_what_is_too_large(void)
{
        char *huge = calloc(1, TS_CRIU_STATS_MAX + 1);
        struct ts_err err = TS_ERR_INIT;
        struct ts_criu_dump d = { 0 };

        UNIT_FAILS(ts_criu_stats_parse_dump(huge, TS_CRIU_STATS_MAX + 1, &d, &err), TS_ELIMIT);
        UNIT_FAILS(ts_criu_stats_parse_dump(huge, TS_CRIU_STATS_MAX, &d, &err), TS_EPROTO);
        free(huge);
}

static CU_TestInfo tests[] = { UNIT(reads_a_real_dump),          UNIT(reads_a_real_restore),       UNIT(tells_dump_from_restore),
                               UNIT(takes_what_protobuf_allows), UNIT(reads_the_other_byte_order), UNIT(refuses_damage),
                               UNIT(refuses_every_cut),          UNIT(refuses_what_is_too_large),  CU_TEST_INFO_NULL };
UNIT_MAIN("criu_stats", tests)
