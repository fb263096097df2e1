/* Time. Decides which clock is used and how waits are rounded (never early); does not decide how long anything may take. */
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t ts_now_us(void)
{
        struct timespec ts = { 0, 0 };

        /* BOOTTIME goes on while a laptop sleeps: a move that was suspended in the middle must see its deadlines pass. */
        (void)clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

ts_deadline ts_deadline_in_ms(uint64_t timeout_ms)
{
        uint64_t now;

        if (timeout_ms == 0)
                return 0;
        now = ts_now_us();
        if (timeout_ms > (UINT64_MAX - now) / 1000)
                return UINT64_MAX;
        return now + timeout_ms * 1000;
}

int ts_deadline_poll_ms(ts_deadline d, int cap_ms)
{
        int most = cap_ms < 0 ? INT_MAX : cap_ms;
        uint64_t now, left_ms;

        if (d == 0)
                return cap_ms < 0 ? -1 : cap_ms;
        now = ts_now_us();
        if (d <= now)
                return 0;
        left_ms = (d - now - 1) / 1000 + 1;
        return left_ms > (uint64_t)most ? most : (int)left_ms;
}

bool ts_deadline_passed(ts_deadline d)
{
        return d != 0 && ts_now_us() >= d;
}

void ts_utc_now(char buf[32])
{
        struct timespec ts = { 0, 0 };
        struct tm tm = { 0 };
        size_t n;

        (void)clock_gettime(CLOCK_REALTIME, &ts);
        (void)gmtime_r(&ts.tv_sec, &tm);
        n = strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
        (void)snprintf(buf + n, 32 - n, ".%06uZ", (unsigned)(ts.tv_nsec / 1000) % 1000000);
}

void ts_sleep_ms(unsigned ms)
{
        struct timespec ts = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL); /* EINTR is the point: whoever sleeps looks at the world again */
}

/* "+02:00", "-03:30"; anything else is UTC. */
static time_t offset_s(const char *zone)
{
        long hours, minutes;
        char *end = NULL;

        if (*zone != '+' && *zone != '-')
                return 0;
        hours = strtol(zone + 1, &end, 10);
        if (end != zone + 3 || *end != ':')
                return 0;
        minutes = strtol(zone + 4, &end, 10);
        if (end != zone + 6 || hours < 0 || minutes < 0)
                return 0;
        return (*zone == '-' ? -1 : 1) * ((time_t)hours * 3600 + (time_t)minutes * 60);
}

uint64_t ts_utc_us(const char *text)
{
        struct tm tm = { 0 };
        const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
        time_t t = rest ? timegm(&tm) : 0;
        uint64_t us = 0;

        if (t <= 0)
                return 0;
        if (*rest == '.')
                for (uint64_t unit = 100000; unit && *++rest >= '0' && *rest <= '9'; unit /= 10)
                        us += unit * (uint64_t)(*rest - '0');
        while (*rest == '.' || (*rest >= '0' && *rest <= '9'))
                rest++;
        t -= offset_s(rest);
        return t <= 0 ? 0 : (uint64_t)t * 1000000 + us;
}
