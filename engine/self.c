/* This process and this machine, as the journal and the lock name them. */
#include "engine/self.h"
#include "base/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ts_self_boot_id(char *buf, size_t size)
{
        ts_auto_str text = TS_STR_INIT;

        buf[0] = '\0';
        if (ts_file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL) < 0)
                return;
        (void)snprintf(buf, size, "%.*s", (int)strcspn(ts_str_cstr(&text), "\n"), ts_str_cstr(&text));
}

int64_t ts_self_start_time(void)
{
        ts_auto_str text = TS_STR_INIT;
        const char *p;

        if (ts_file_read("/proc/self/stat", 4096, &text, NULL) < 0 || !(p = strrchr(ts_str_cstr(&text), ')')))
                return 0;
        for (int field = 2; field < 22 && p; field++)
                p = strchr(p + 1, ' ');
        return p ? strtoll(p, NULL, 10) : 0;
}
