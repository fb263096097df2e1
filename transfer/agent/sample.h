/* What a host is doing: memory, processors, disks and network, as its /proc has them. On this machine it is read by a thread of tranship, on another one by the agent's program, started as
 * `sample INTERVAL_MS`, which prints a line each time.
 *
 * Counters go on from the host's start: a sample that was lost costs nothing but itself. Who gets two of them makes the difference. What there is not (in a container, in a namespace) is 0. */
#ifndef TRANSHIP_TRANSFER_AGENT_SAMPLE_H
#define TRANSHIP_TRANSFER_AGENT_SAMPLE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TS_SAMPLE_MIN_MS 50U
#define TS_SAMPLE_MAX_MS 60000U
#define TS_SAMPLE_LINE_MAX 160 /* bytes, with its newline: less than a pipe takes in one piece */

struct ts_host_sample {
        uint64_t mem_used_bytes;      /* MemTotal - MemAvailable */
        uint64_t cpu_busy, cpu_total; /* of all processors, in ticks; busy is what is neither idle nor waits for a disk */
        uint64_t load1_milli;
        uint64_t disk_write_bytes;    /* of whole disks; of what lies on top of them not once more */
        uint64_t net_sent_bytes, net_received_bytes; /* of interfaces that lead out of the host; the same holds */
};

void ts_sample_read(struct ts_host_sample *ret);

/* The parts of it: each from the whole text of a file of /proc. What is not as it should be counts for nothing. */
uint64_t ts_sample_memory(const char *meminfo);
void ts_sample_cpu(const char *stat, struct ts_host_sample *s);
uint64_t ts_sample_load_milli(const char *loadavg);
uint64_t ts_sample_disks(const char *diskstats);
void ts_sample_net(const char *net_dev, struct ts_host_sample *s);

/* As a line, with its newline; its length. */
size_t ts_sample_line(const struct ts_host_sample *s, char buf[TS_SAMPLE_LINE_MAX]);
/* Lines of an agent, as they come in. Zeroed at first. */
struct ts_sample_in {
        char line[TS_SAMPLE_LINE_MAX];
        size_t len;
};
/* The next one of *data, which goes on behind it. 1: there it is; 0: all was taken; -1: TS_EPROTO. */
int ts_sample_next(struct ts_sample_in *in, const char **data, size_t *len, struct ts_host_sample *ret, struct ts_err *err);

/* Until the next tick; late ones are left out. *next_us is the last one before. false: fd, where nothing is expected, says something, or its end. */
bool ts_sample_rest(int fd, unsigned interval_ms, uint64_t *next_us);
/* The program: lines to out_fd until in_fd ends. -1: nobody reads for patience_ms (TS_ETIMEOUT), or will (TS_ECONNECT). */
int ts_sample_serve(int in_fd, int out_fd, unsigned interval_ms, unsigned patience_ms, struct ts_err *err);
int ts_sample_main(const char *interval_ms); /* on the standard descriptors; the exit status */

#endif
