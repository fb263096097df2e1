/* Lines for a terminal or a program that may be slow or stopped (Ctrl-S, a full pipe): kept in memory rather than waited for, since a
 * wait in here would lengthen the downtime of the container that is being moved. */
#ifndef TRANSHIP_ENGINE_CLI_OUTBUF_H
#define TRANSHIP_ENGINE_CLI_OUTBUF_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ts_outbuf {
        int fd; /* borrowed */
        struct ts_str pending;
        uint64_t dropped; /* pieces that did not fit */
        int broken;       /* errno of the write that failed; everything is dropped from then on */
};
/* max_bytes: how much may wait for the reader. */
void ts_outbuf_init(struct ts_outbuf *b, int fd, size_t max_bytes);
void ts_outbuf_clear(struct ts_outbuf *b); /* drops what waits */
/* All of it or nothing of it (then it counts as dropped). */
bool ts_outbuf_add(struct ts_outbuf *b, const void *data, size_t len);
/* Writes what can be written within timeout_ms (0: without waiting at all). */
void ts_outbuf_flush(struct ts_outbuf *b, unsigned timeout_ms);

#endif
