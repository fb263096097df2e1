/* See sample.h. Decides what counts as a disk and as the network. */
#include "transfer/agent/sample.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)
#define NUMBER_MAX ((uint64_t)INT64_MAX)
#define SECTOR 512U /* of the kernel's counters, whatever the disk's is */
#define PATIENCE_MS 10000U

struct word {
        const char *s;
        size_t len;
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static uint64_t sum(uint64_t a, uint64_t b)
{
        return a > NUMBER_MAX || b > NUMBER_MAX - a ? NUMBER_MAX : a + b;
}

static uint64_t times(uint64_t n, uint64_t unit)
{
        return n > NUMBER_MAX / unit ? NUMBER_MAX : n * unit;
}

static void skip_blanks(const char **p)
{
        *p += strspn(*p, " \t");
}

/* Of the same line. */
static bool get_number(const char **p, uint64_t *ret)
{
        uint64_t n = 0;

        skip_blanks(p);
        if (!is_digit(**p))
                return false;
        for (; is_digit(**p); (*p)++)
                n = sum(times(n, 10), (uint64_t)(**p - '0'));
        *ret = n;
        return true;
}

/* The n-th number from here on, 1 being the next one. */
static bool get_nth(const char **p, unsigned n, uint64_t *ret)
{
        while (n-- > 0)
                if (!get_number(p, ret))
                        return false;
        return true;
}

/* NULL: that was the last one. */
static const char *next_line(const char *p)
{
        p = strchr(p, '\n');
        return p && p[1] ? p + 1 : NULL;
}

/* What follows a word at the beginning of a line. NULL: no line begins so. */
static const char *line_of(const char *text, const char *begin)
{
        for (const char *p = text; p; p = next_line(p))
                if (strncmp(p, begin, strlen(begin)) == 0)
                        return p + strlen(begin);
        return NULL;
}

/* One of the prefixes; of those with a number behind it where they want one. */
static bool is_one_of(struct word w, const char *const prefixes[], bool numbered)
{
        for (; *prefixes; prefixes++) {
                size_t len = strlen(*prefixes);

                if (w.len > len && strncmp(w.s, *prefixes, len) == 0 && (!numbered || is_digit(w.s[len])))
                        return true;
        }
        return false;
}

/* ---- memory, processors, load ---- */

uint64_t ts_sample_memory(const char *meminfo)
{
        const char *total = line_of(meminfo, "MemTotal:"), *available = line_of(meminfo, "MemAvailable:");
        uint64_t all_kib, free_kib;

        if (!total || !available || !get_number(&total, &all_kib) || !get_number(&available, &free_kib) || free_kib > all_kib)
                return 0;
        return times(all_kib - free_kib, 1024);
}

void ts_sample_cpu(const char *stat, struct ts_host_sample *s)
{
        enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 }; /* user nice system idle iowait irq softirq steal; guests are in user and nice */
        const char *p = line_of(stat, "cpu ");
        uint64_t n;

        s->cpu_busy = s->cpu_total = 0;
        for (int i = 0; p && i < FIELDS && get_number(&p, &n); i++) {
                s->cpu_total = sum(s->cpu_total, n);
                if (i != IDLE && i != IOWAIT)
                        s->cpu_busy = sum(s->cpu_busy, n);
        }
}

uint64_t ts_sample_load_milli(const char *loadavg)
{
        const char *p = loadavg;
        uint64_t milli;

        if (!get_number(&p, &milli) || *p != '.')
                return 0;
        for (int i = 0; i < 3; i++)
                milli = sum(times(milli, 10), is_digit(p[1]) ? (uint64_t)(*++p - '0') : 0);
        return milli;
}

/* ---- disks ---- */

/* As the kernel names them: "sda1" of "sda", "nvme0n1p1" of "nvme0n1". They come right after their disk. */
static bool is_partition(struct word disk, struct word w)
{
        size_t i = disk.len;

        if (disk.len == 0 || w.len <= disk.len || strncmp(w.s, disk.s, disk.len) != 0)
                return false;
        if (is_digit(disk.s[disk.len - 1]) && w.s[i++] != 'p')
                return false;
        if (i == w.len)
                return false;
        while (i < w.len && is_digit(w.s[i]))
                i++;
        return i == w.len;
}

/* Whole disks only: what is written to a partition, or to what lies on top of disks (LVM and encryption, RAID, caches, images in files), is written to a disk once more, and would count
 * twice; what is in memory is on no disk. By name, since that is all that a text tells; a disk whose name is not known counts. */
uint64_t ts_sample_disks(const char *diskstats)
{
        enum { SECTORS_WRITTEN = 7 }; /* the number of that field behind the name */
        static const char *const others[] = { "loop", "ram", "zram", "dm-", "md", "bcache", "drbd", "zd", "sr", "fd", NULL };
        struct word disk = { "", 0 };
        uint64_t bytes = 0, n;

        for (const char *line = diskstats; line; line = next_line(line)) {
                const char *p = line;
                struct word w;

                if (!get_nth(&p, 2, &n)) /* device number */
                        continue;
                skip_blanks(&p);
                w = (struct word){ p, strcspn(p, " \t\n") };
                if (is_partition(disk, w))
                        continue;
                disk = w;
                p += w.len;
                if (!is_one_of(w, others, true) && get_nth(&p, SECTORS_WRITTEN, &n))
                        bytes = sum(bytes, times(n, SECTOR));
        }
        return bytes;
}

/* ---- network ---- */

/* Not the host's talk with itself and its containers (lo, bridges and what hangs on them), and not what travels within other interfaces' packets (VLANs, bonds, tunnels): it would count twice. */
static bool leads_out(struct word w)
{
        static const char *const others[] = { "veth", "docker", "podman", "cni",   "br-",     "virbr", "vnet",  "bond", "team",
                                              "tun",  "tap",    "wg",     "vxlan", "flannel", "dummy", "ifb", NULL },
                                 *const numbered[] = { "br", NULL };

        return w.len > 0 && !(w.len == 2 && strncmp(w.s, "lo", 2) == 0) && !memchr(w.s, '.', w.len) && !is_one_of(w, others, false) &&
               !is_one_of(w, numbered, true);
}

void ts_sample_net(const char *net_dev, struct ts_host_sample *s)
{
        enum { SENT_AFTER_RECEIVED = 8 }; /* each half of a line has that many numbers */
        uint64_t received, sent;

        s->net_sent_bytes = s->net_received_bytes = 0;
        for (const char *p = net_dev; p; p = next_line(p)) {
                struct word w;
                const char *q;

                skip_blanks(&p);
                w = (struct word){ p, strcspn(p, ":\n") };
                q = p + w.len;
                if (*q++ != ':' || !leads_out(w) || !get_number(&q, &received) || !get_nth(&q, SENT_AFTER_RECEIVED, &sent))
                        continue;
                s->net_received_bytes = sum(s->net_received_bytes, received);
                s->net_sent_bytes = sum(s->net_sent_bytes, sent);
        }
}

/* ---- all of it ---- */

static const char *text_of(const char *path, struct ts_str *text)
{
        return ts_file_read(path, FILE_MAX, text, NULL) < 0 ? "" : ts_str_cstr(text);
}

void ts_sample_read(struct ts_host_sample *ret)
{
        ts_auto_str text = TS_STR_INIT;

        *ret = (struct ts_host_sample){ .mem_used_bytes = ts_sample_memory(text_of("/proc/meminfo", &text)) };
        ts_sample_cpu(text_of("/proc/stat", &text), ret);
        ret->load1_milli = ts_sample_load_milli(text_of("/proc/loadavg", &text));
        ret->disk_write_bytes = ts_sample_disks(text_of("/proc/diskstats", &text));
        ts_sample_net(text_of("/proc/net/dev", &text), ret);
}

/* ---- lines ---- */

/* In their order on a line. */
static const size_t fields[] = {
        offsetof(struct ts_host_sample, mem_used_bytes),
        offsetof(struct ts_host_sample, cpu_busy),
        offsetof(struct ts_host_sample, cpu_total),
        offsetof(struct ts_host_sample, load1_milli),
        offsetof(struct ts_host_sample, disk_write_bytes),
        offsetof(struct ts_host_sample, net_sent_bytes),
        offsetof(struct ts_host_sample, net_received_bytes),
};
_Static_assert(sizeof(fields) / sizeof(fields[0]) * sizeof(uint64_t) == sizeof(struct ts_host_sample), "each has its place on the line");
_Static_assert(TS_ARRAY_LEN(fields) * 20 < TS_SAMPLE_LINE_MAX, "19 digits and what follows them");

size_t ts_sample_line(const struct ts_host_sample *s, char buf[TS_SAMPLE_LINE_MAX])
{
        size_t len = 0;

        for (size_t i = 0; i < TS_ARRAY_LEN(fields); i++) {
                uint64_t n = *(const uint64_t *)(const void *)((const char *)s + fields[i]);

                len += (size_t)snprintf(buf + len, TS_SAMPLE_LINE_MAX - len, "%" PRIu64 "%c", n < NUMBER_MAX ? n : NUMBER_MAX,
                                        i + 1 < TS_ARRAY_LEN(fields) ? ' ' : '\n');
        }
        return len;
}

/* Digits, and `end` behind them. */
static bool take_field(const char **p, const char *end_of_line, char end, uint64_t *ret)
{
        uint64_t n = 0;
        const char *s = *p;

        for (; s < end_of_line && is_digit(*s); s++) {
                uint64_t digit = (uint64_t)(*s - '0');

                if (n > (NUMBER_MAX - digit) / 10)
                        return false;
                n = n * 10 + digit;
        }
        if (s == *p || s == end_of_line || *s != end)
                return false;
        *p = s + 1;
        *ret = n;
        return true;
}

static int take_line(const char *line, size_t len, struct ts_host_sample *ret, struct ts_err *err)
{
        const char *p = line, *end = line + len;
        struct ts_host_sample s = { 0 };

        for (size_t i = 0; i < TS_ARRAY_LEN(fields); i++)
                if (!take_field(&p, end, i + 1 < TS_ARRAY_LEN(fields) ? ' ' : '\n', (uint64_t *)(void *)((char *)&s + fields[i])))
                        return ts_err_set(err, TS_EPROTO, "a line that is no sample");
        *ret = s; /* the newline was the last byte: there is nothing behind it */
        return 0;
}

int ts_sample_next(struct ts_sample_in *in, const char **data, size_t *len, struct ts_host_sample *ret, struct ts_err *err)
{
        while (*len > 0) {
                char c = *(*data)++;

                *len -= 1;
                in->line[in->len++] = c;
                if (c == '\n') {
                        size_t n = in->len;

                        in->len = 0;
                        return take_line(in->line, n, ret, err) < 0 ? -1 : 1;
                }
                if (in->len == sizeof(in->line)) {
                        in->len = 0;
                        return ts_err_set(err, TS_EPROTO, "a line of more than %zu bytes", sizeof(in->line));
                }
        }
        return 0;
}

/* ---- the program ---- */

bool ts_sample_rest(int fd, unsigned interval_ms, uint64_t *next_us)
{
        uint64_t interval_us = (uint64_t)interval_ms * 1000, now_us = ts_now_us();
        struct pollfd p = { .fd = fd, .events = POLLIN };

        *next_us = *next_us + interval_us > now_us ? *next_us + interval_us : now_us + interval_us;
        while (!ts_deadline_passed(*next_us)) {
                int n = poll(&p, 1, ts_deadline_poll_ms(*next_us, -1));

                if (n > 0 || (n < 0 && errno != EINTR))
                        return false;
        }
        return true;
}

int ts_sample_serve(int in_fd, int out_fd, unsigned interval_ms, unsigned patience_ms, struct ts_err *err)
{
        uint64_t next_us = ts_now_us();

        do {
                char line[TS_SAMPLE_LINE_MAX];
                struct ts_host_sample s;

                ts_sample_read(&s);
                if (ts_write_all(out_fd, line, ts_sample_line(&s, line), ts_deadline_in_ms(patience_ms), /* cancellable= */ false, err) < 0)
                        return -1;
        } while (ts_sample_rest(in_fd, interval_ms, &next_us));
        return 0;
}

int ts_sample_main(const char *interval_ms)
{
        unsigned long long ms;

        if (ts_parse_u64(interval_ms, TS_SAMPLE_MIN_MS, TS_SAMPLE_MAX_MS, &ms, NULL) < 0)
                return 2;
        return ts_sample_serve(STDIN_FILENO, STDOUT_FILENO, (unsigned)ms, PATIENCE_MS, NULL) < 0;
}
