/* The agent's program as part of this one. */
#include "transfer/ship_impl.h"

#include <agent_sum.h> /* made by the build: TS_AGENT_SHA256 */

/* clang-format off */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "ts_agent_blob_data:\n"
        ".incbin \"" TS_AGENT_FILE "\"\n"
        ".set ts_agent_blob_end, .\n"
        ".balign 8\n"
        "ts_agent_blob_len:\n"
        ".quad ts_agent_blob_end - ts_agent_blob_data\n"
        ".popsection\n");
/* clang-format on */
extern const unsigned char ts_agent_blob_data[];
extern const uint64_t ts_agent_blob_len;

struct ts_agent_blob ts_agent_blob(void)
{
        return (struct ts_agent_blob){ .data = ts_agent_blob_data, .len = (size_t)ts_agent_blob_len, .sha256 = TS_AGENT_SHA256 };
}
