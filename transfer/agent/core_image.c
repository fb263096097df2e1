/* See core_image.h. An image is two magic numbers, a length, and a message of protocol buffers; the
 * numbers of the fields are those of CRIU's images/core.proto. */
#include "transfer/agent/core_image.h"

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 12U /* magic numbers and length */
#define MOST ((size_t)1 << 20)
#define THREAD_CORE 5U /* in a core_entry */
#define PDEATH_SIG 8U  /* in a thread_core_entry */

static const unsigned char magic[] = { 0x19, 0x43, 0x56, 0x54, 0x47, 0x38, 0x05, 0x55 };

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct part {
        unsigned char *p;
        size_t len;
};

static bool varint(struct part *from, uint64_t *ret)
{
        *ret = 0;
        for (unsigned shift = 0; shift < 64 && from->len > 0; shift += 7) {
                unsigned char byte = *from->p;

                from->p++;
                from->len--;
                *ret |= (uint64_t)(byte & 0x7fU) << shift;
                if (!(byte & 0x80U))
                        return true;
        }
        return false;
}

/* One field off the front: its number, and its content as it stands there. */
static bool next(struct part *from, uint64_t *ret_number, unsigned *ret_wire, struct part *ret)
{
        uint64_t tag, n = 0;

        if (!varint(from, &tag))
                return false;
        *ret_number = tag >> 3;
        *ret_wire = (unsigned)(tag & 7U);
        ret->p = from->p;
        switch (*ret_wire) {
        case VARINT:
                if (!varint(from, &n))
                        return false;
                ret->len = (size_t)(from->p - ret->p);
                return true;
        case FIXED64:
                n = 8;
                break;
        case FIXED32:
                n = 4;
                break;
        case BYTES:
                if (!varint(from, &n))
                        return false;
                ret->p = from->p;
                break;
        default:
                return false;
        }
        if (n > from->len)
                return false;
        ret->len = (size_t)n;
        from->p += n;
        from->len -= (size_t)n;
        return true;
}

static bool find(struct part in, uint64_t number, unsigned wire, struct part *ret)
{
        uint64_t n;
        unsigned w;

        while (in.len > 0 && next(&in, &n, &w, ret))
                if (n == number && w == wire)
                        return true;
        return false;
}

bool ts_core_no_request(unsigned char *image, size_t len)
{
        struct part core, thread, asked;
        bool some = false;

        if (len < HEAD || memcmp(image, magic, sizeof(magic)) != 0)
                return false;
        core = (struct part){ image + HEAD, image[8] | (size_t)image[9] << 8 |
                                                    (size_t)image[10] << 16 | (size_t)image[11] << 24 };
        if (core.len > len - HEAD || !find(core, THREAD_CORE, BYTES, &thread) ||
            !find(thread, PDEATH_SIG, VARINT, &asked))
                return false;
        for (size_t i = 0; i < asked.len; i++) {
                some |= (asked.p[i] & 0x7fU) != 0;
                asked.p[i] &= 0x80U; /* nought, in as many bytes */
        }
        return some;
}

int ts_core_settle(int dump, struct ts_err *err)
{
        ts_auto_fd int fd = openat(dump, TS_CORE_FIRST, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        ts_auto_free unsigned char *image = NULL;
        struct stat st;

        if (fd < 0 && errno == ENOENT)
                return 0; /* of a container that shares its host's numbers of processes */
        if (fd < 0 || fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", TS_CORE_FIRST);
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (size_t)st.st_size > MOST)
                return 0;
        image = malloc((size_t)st.st_size);
        if (!image)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_read_exact(fd, image, (size_t)st.st_size, 0, false, err) < 0)
                return ts_err_prefix(err, "'%s'", TS_CORE_FIRST);
        if (!ts_core_no_request(image, (size_t)st.st_size))
                return 0;
        if (pwrite(fd, image, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
                return ts_err_errno(err, errno, "cannot write '%s'", TS_CORE_FIRST);
        return 0;
}
