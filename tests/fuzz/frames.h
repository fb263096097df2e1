/* An input as frames on the wire: whatever the lengths say, at least something of it is fed. */
#ifndef TRANSHIP_TESTS_FUZZ_FRAMES_H
#define TRANSHIP_TESTS_FUZZ_FRAMES_H

#include "transfer/agent/frame.h"

#include <stdlib.h>

/* Takes the next frame off the input; false at its end. */
static inline bool next_frame(const uint8_t **data, size_t *size, struct ts_frame *f)
{
        size_t len;

        if (*size < 8)
                return false;
        len = (size_t)(*data)[0] | (size_t)(*data)[1] << 8 | (size_t)(*data)[2] << 16;
        len = len < *size - 8 ? len : *size - 8;
        ts_frame_begin(f, (enum ts_frame_type)(*data)[4]);
        if (ts_put_bytes(f, *data + 8, len, NULL) < 0)
                abort();
        *data += 8 + len;
        *size -= 8 + len;
        return true;
}

#endif
