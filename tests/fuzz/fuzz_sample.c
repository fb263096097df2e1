/* Lines of an agent and texts of /proc: no bytes may crash what reads them, and what was taken for a sample is one, however it came in pieces. */
#include "tests/fuzz/fuzz.h"

#include "transfer/agent/sample.h"

#include <stdlib.h>
#include <string.h>

/* How many samples come before the first byte that is wrong, given so many at a time; the last of them in *ret. */
static size_t listen_to(const uint8_t *data, size_t size, size_t piece, struct ts_host_sample *ret)
{
        struct ts_sample_in in = { .len = 0 };
        size_t samples = 0;

        for (size_t at = 0; at < size; at += piece) {
                const char *p = (const char *)data + at;
                size_t len = size - at < piece ? size - at : piece;
                int n;

                while ((n = ts_sample_next(&in, &p, &len, ret, NULL)) > 0)
                        samples++;
                if (n < 0)
                        break;
        }
        return samples;
}

static void check_line(const struct ts_host_sample *s)
{
        char line[TS_SAMPLE_LINE_MAX];
        struct ts_host_sample again = { 0 };
        size_t len = ts_sample_line(s, line);

        if (listen_to((const uint8_t *)line, len, len, &again) != 1 || memcmp(s, &again, sizeof(again)) != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ts_host_sample whole = { 0 }, bytes = { 0 }, proc = { 0 };
        char *text = malloc(size + 1);

        if (!text)
                return 0;
        if (listen_to(data, size, size + 1, &whole) != listen_to(data, size, 1, &bytes) || memcmp(&whole, &bytes, sizeof(whole)) != 0)
                abort();
        check_line(&whole);
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';
        proc.mem_used_bytes = ts_sample_memory(text);
        proc.load1_milli = ts_sample_load_milli(text);
        proc.disk_write_bytes = ts_sample_disks(text);
        ts_sample_cpu(text, &proc);
        ts_sample_net(text, &proc);
        if (proc.cpu_busy > proc.cpu_total)
                abort();
        check_line(&proc);
        free(text);
        return 0;
}
