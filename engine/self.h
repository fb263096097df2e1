/* This process and this machine, as the journal and the lock name them. */
#ifndef TRANSHIP_ENGINE_SELF_H
#define TRANSHIP_ENGINE_SELF_H

#include <stddef.h>
#include <stdint.h>

void ts_self_boot_id(char *buf, size_t size);   /* "" when it cannot be read */
int64_t ts_self_start_time(void);               /* /proc/self/stat field 22, clock ticks since boot; 0 when it cannot be read */

#endif
