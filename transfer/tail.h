/* What a command prints on stderr, bounded. Private to transfer/. */
#ifndef TRANSHIP_TRANSFER_TAIL_H
#define TRANSHIP_TRANSFER_TAIL_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

/* What a command printed on stderr: the last max bytes, or all of it with more than max being an error. */
struct ts_tail {
        struct ts_str text;
        size_t max;
        bool whole;
        bool overflow;
};
/* Never fails: what does not fit in memory is dropped. */
void ts_tail_add(struct ts_tail *t, const char *data, size_t len);

#endif
