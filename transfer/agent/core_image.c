/* See core_image.h. An image is two magic numbers, a length, and a message of protocol buffers; the
 * numbers of the fields are those of CRIU's images/core.proto. */
#include "transfer/agent/core_image.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 12U /* magic numbers and length */
#define MOST ((size_t)1 << 20)
#define THREAD_INFO 2U /* in a core_entry: x86-64's */
#define THREAD_CORE 5U
#define GPREGS 2U /* in a thread_info_x86 */
#define AX 11U    /* in a user_x86_regs_entry */
#define ORIG_AX 16U
#define IP 17U
#define MODE 28U
#define COMPAT 2U /* of 32 bits, where the numbers are others */
#define PDEATH_SIG 8U /* in a thread_core_entry */
#define SYSCALL_LEN 2U /* of the instruction */

#define FIRST "core-1.img" /* of the process that is 1 in the container */

/* System calls that the kernel makes again itself after such an interruption, with what it knows of
 * the time that is left: poll, nanosleep, futex, clock_nanosleep. */
static const uint64_t again[] = { 7, 35, 202, 230 };

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

static bool open_core(unsigned char *image, size_t len, struct part *ret)
{
        if (len < HEAD || memcmp(image, magic, sizeof(magic)) != 0)
                return false;
        *ret = (struct part){ image + HEAD, image[8] | (size_t)image[9] << 8 |
                                                    (size_t)image[10] << 16 | (size_t)image[11] << 24 };
        return ret->len <= len - HEAD;
}

static bool number(struct part in, uint64_t field, struct part *ret_at, uint64_t *ret)
{
        struct part copy;

        if (!find(in, field, VARINT, ret_at))
                return false;
        copy = *ret_at;
        return varint(&copy, ret);
}

/* Another number in as many bytes. */
static bool put(struct part at, uint64_t n)
{
        if (at.len < 10 && n >> (7 * at.len))
                return false;
        for (size_t i = 0; i < at.len; i++, n >>= 7)
                at.p[i] = (unsigned char)((n & 0x7fU) | (i + 1 < at.len ? 0x80U : 0U));
        return true;
}

bool ts_core_no_request(unsigned char *image, size_t len)
{
        struct part core, thread, at;
        uint64_t asked;

        return open_core(image, len, &core) && find(core, THREAD_CORE, BYTES, &thread) &&
               number(thread, PDEATH_SIG, &at, &asked) && asked && put(at, 0);
}

static bool is_made_again(uint64_t call)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(again); i++)
                if (again[i] == call)
                        return true;
        return false;
}

bool ts_core_call_again(unsigned char *image, size_t len)
{
        struct part core, info, regs, ax_at, orig_at, ip_at, mode_at;
        uint64_t ax, orig, ip, mode;

        return open_core(image, len, &core) && find(core, THREAD_INFO, BYTES, &info) &&
               find(info, GPREGS, BYTES, &regs) && number(regs, AX, &ax_at, &ax) &&
               number(regs, ORIG_AX, &orig_at, &orig) && number(regs, IP, &ip_at, &ip) &&
               !(number(regs, MODE, &mode_at, &mode) && mode == COMPAT) &&
               ax == (uint64_t)-EINTR && is_made_again(orig) && ip > SYSCALL_LEN && put(ax_at, orig) &&
               put(ip_at, ip - SYSCALL_LEN);
}

bool ts_core_repair(const char *name, unsigned char *image, size_t len)
{
        bool changed;

        if (!ts_starts(name, "core-"))
                return false;
        changed = ts_core_call_again(image, len);
        return (!strcmp(name, FIRST) && ts_core_no_request(image, len)) || changed;
}

/* Of each process and thread; one that cannot be told stays as CRIU wrote it. */
static int settle_one(int dump, const char *name, struct ts_err *err)
{
        ts_auto_fd int fd = openat(dump, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        ts_auto_free unsigned char *image = NULL;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", name);
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (size_t)st.st_size > MOST)
                return 0;
        image = malloc((size_t)st.st_size);
        if (!image)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_read_exact(fd, image, (size_t)st.st_size, 0, false, err) < 0)
                return ts_err_prefix(err, "'%s'", name);
        if (ts_core_repair(name, image, (size_t)st.st_size) &&
            pwrite(fd, image, (size_t)st.st_size, 0) != (ssize_t)st.st_size)
                return ts_err_errno(err, errno, "cannot write '%s'", name);
        return 0;
}

int ts_core_settle(int dump, const char *name, struct ts_err *err)
{
        return ts_starts(name, "core-") ? settle_one(dump, name, err) : 0;
}
