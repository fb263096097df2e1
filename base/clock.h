/* Time: one clock for everything measured or awaited. */
#ifndef TRANSHIP_BASE_CLOCK_H
#define TRANSHIP_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Microseconds of CLOCK_BOOTTIME. */
uint64_t ts_now_us(void);
/* A point in time to wait for; 0 = never. */
typedef uint64_t ts_deadline;
ts_deadline ts_deadline_in_ms(uint64_t timeout_ms); /* 0 ms = never */
/* What poll(2) wants: milliseconds left (rounded up, at most cap_ms unless cap_ms < 0), 0 when passed, -1 for never. */
int ts_deadline_poll_ms(ts_deadline d, int cap_ms);
bool ts_deadline_passed(ts_deadline d);
/* "2026-08-21T09:15:02.123456Z", caller's buffer. */
void ts_utc_now(char buf[32]);
/* Such a text, also with another offset from UTC, as microseconds since 1970; 0: it is none, or older. NULL is fine. */
uint64_t ts_utc_us(const char *text);
/* Blocks without busy waiting; woken early by a signal. */
void ts_sleep_ms(unsigned ms);

#endif
