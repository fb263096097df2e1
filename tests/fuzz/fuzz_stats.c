/* CRIU's statistics: no bytes may crash the parsers, and a time that comes out fits 32 bits. */
#include "tests/fuzz/fuzz.h"

#include "api/criu_stats.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ts_criu_dump d = { 0 };
        struct ts_criu_restore r = { 0 };

        if (ts_criu_stats_parse_dump(data, size, &d, NULL) == 0 && (!d.valid || d.frozen_us > UINT32_MAX || size > TS_CRIU_STATS_MAX))
                abort();
        if (ts_criu_stats_parse_restore(data, size, &r, NULL) == 0 && (!r.valid || r.restore_us > UINT32_MAX))
                abort();
        return 0;
}
