/* transfer/agent/core_image.c: the request of the first process goes, an interrupted call is made again, nothing else of an image changes, and what is no such image is left alone. */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "transfer/agent/core_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct ts_err err = TS_ERR_INIT;

/* As CRIU writes it: magic numbers, length; mtype, thread_info (with what looks like the field), tc, thread_core (futex_rla, sched_nice, pdeath_sig, comm). */
static const unsigned char image[] = {
        0x19, 0x43, 0x56, 0x54, 0x47, 0x38, 0x05, 0x55, 33, 0, 0, 0, /* head */
        0x08, 1,                                                   /* mtype */
        0x12, 4, 0x40, 15, 0x2a, 0,                                /* thread_info */
        0x1a, 5, 0x32, 3, 'm', 'p', 'd',                           /* tc */
        0x2a, 16, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x40, 15, 0x6a, 3, 'm', 'p', 'd', /* thread_core */
};
#define AT 39 /* the signal in it */
#define FIRST "core-1.img"

static void goes(void)
{
        unsigned char p[sizeof(image)], before[sizeof(image)];

        memcpy(p, image, sizeof(image));
        memcpy(before, p, sizeof(p));
        CU_ASSERT_EQUAL(p[AT], 15);
        CU_ASSERT(ts_core_no_request(p, sizeof(p)));
        CU_ASSERT_EQUAL(p[AT], 0);
        before[AT] = 0;
        CU_ASSERT_EQUAL(memcmp(p, before, sizeof(p)), 0);
        CU_ASSERT(!ts_core_no_request(p, sizeof(p)));
}

/* A core whose thread_info has registers: ax (-EINTR, in ten bytes), orig_ax, ip, mode. */
static const unsigned char polling[] = {
        0x19, 0x43, 0x56, 0x54, 0x47, 0x38, 0x05, 0x55, 28, 0, 0, 0, /* head */
        0x08, 1, 0x12, 24, 0x12, 22,                              /* mtype, thread_info, gpregs */
        0x58, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x80, 0x01, 7, /* ax, orig_ax */
        0x88, 0x01, 0x81, 0x40, 0xe0, 0x01, 1, 0, /* ip: 0x2001, mode, and what belongs to nobody */
};

static void again(void)
{
        static const unsigned char ax[] = { 0x87, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0 };
        static const struct {
                size_t at;
                unsigned char value;
        } others[] = { { 31, 1 }, { 19, 0xf8 }, { 38, 2 } }; /* another call, another error, 32 bits */
        unsigned char p[sizeof(polling)];

        memcpy(p, polling, sizeof(p));
        CU_ASSERT(ts_core_call_again(p, sizeof(p)));
        CU_ASSERT_EQUAL(memcmp(p + 19, ax, sizeof(ax)), 0);
        CU_ASSERT_EQUAL(p[34], 0xff); /* 0x1fff */
        CU_ASSERT_EQUAL(p[35], 0x3f);
        CU_ASSERT_EQUAL(memcmp(p + 36, polling + 36, sizeof(p) - 36), 0);
        CU_ASSERT(!ts_core_call_again(p, sizeof(p)));
        memcpy(p, polling, sizeof(p));
        p[31] = 35; /* nanosleep */
        CU_ASSERT(ts_core_call_again(p, sizeof(p)));
        CU_ASSERT_EQUAL(p[19], 0xa3);
        for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
                memcpy(p, polling, sizeof(p));
                p[others[i].at] = others[i].value;
                CU_ASSERT(!ts_core_call_again(p, sizeof(p)));
        }
}

static void stays(void)
{
        for (size_t len = 0; len < sizeof(image); len++) { /* cut off anywhere */
                ts_auto_free unsigned char *p = malloc(len + 1);

                memcpy(p, image, len);
                CU_ASSERT(!ts_core_no_request(p, len));
                CU_ASSERT_EQUAL(memcmp(p, image, len), 0);
        }
        for (size_t at = 0; at < sizeof(image); at++) /* any one byte wrong: nothing beyond the end is touched */
                for (unsigned v = 0; v < 256; v++) {
                        ts_auto_free unsigned char *p = malloc(sizeof(image));

                        memcpy(p, image, sizeof(image));
                        p[at] = (unsigned char)v;
                        (void)ts_core_no_request(p, sizeof(image));
                        if (at < sizeof(polling)) {
                                memcpy(p, polling, sizeof(polling));
                                p[at] = (unsigned char)v;
                                (void)ts_core_call_again(p, sizeof(polling));
                        }
                }
}

static void in_a_directory(void)
{
        char dir[] = "/tmp/test-core-XXXXXX";
        unsigned char p[sizeof(image)];
        int d, fd;

        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        UNIT_OK(ts_core_settle(d, "pages-1.img", &err)); /* none */
        memcpy(p, image, sizeof(image));
        fd = openat(d, FIRST, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CU_ASSERT_EQUAL(write(fd, p, sizeof(p)), (ssize_t)sizeof(p));
        UNIT_OK(ts_core_settle(d, FIRST, &err));
        CU_ASSERT_EQUAL(pread(fd, p, sizeof(p), 0), (ssize_t)sizeof(p));
        CU_ASSERT_EQUAL(p[AT], 0);
        (void)close(fd);
        CU_ASSERT_EQUAL(unlinkat(d, FIRST, 0), 0);
        CU_ASSERT_EQUAL(symlinkat("/etc/passwd", d, FIRST), 0);
        UNIT_FAILS(ts_core_settle(d, FIRST, &err), TS_EIO);
        CU_ASSERT_EQUAL(unlinkat(d, FIRST, 0), 0);
        (void)close(d);
        CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static CU_TestInfo tests[] = { UNIT(goes), UNIT(again), UNIT(stays), UNIT(in_a_directory), CU_TEST_INFO_NULL };
UNIT_MAIN("core_image", tests)
