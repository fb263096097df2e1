/* Diagnostics. Decides how a line looks and that lines of several threads do not mix; does not decide what is worth a line. */
#include "base/log.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES 4096

/* How a level looks: its word before the text, and the colour of that word. */
static const struct {
        const char *word, *colour;
} looks[] = {
        [TS_LOG_ERROR] = { "error: ", "\033[1;31m" },
        [TS_LOG_WARNING] = { "warning: ", "\033[1;33m" },
        [TS_LOG_NOTICE] = { "", "" },
        [TS_LOG_INFO] = { "", "" },
        [TS_LOG_DEBUG] = { "debug: ", "\033[2m" },
};

static struct {
        pthread_mutex_t lock;
        enum ts_level level;
        bool colour;
        uint64_t start_us; /* debug lines carry the seconds since set-up */
        void (*before)(void), (*after)(void);
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = TS_LOG_NOTICE };

void ts_log_setup(enum ts_level level, bool colour)
{
        (void)pthread_mutex_lock(&logger.lock);
        __atomic_store_n(&logger.level, level, __ATOMIC_RELAXED);
        logger.colour = colour;
        logger.start_us = ts_now_us();
        (void)pthread_mutex_unlock(&logger.lock);
}

bool ts_log_enabled(enum ts_level level)
{
        return level <= __atomic_load_n(&logger.level, __ATOMIC_RELAXED);
}

void ts_log_around(void (*before)(void), void (*after)(void))
{
        (void)pthread_mutex_lock(&logger.lock);
        logger.before = before;
        logger.after = after;
        (void)pthread_mutex_unlock(&logger.lock);
}

static void print_line(enum ts_level level, const char *text)
{
        const char *on = logger.colour ? looks[level].colour : "";
        const char *off = *on ? "\033[0m" : "";
        char since[32] = "";

        if (level == TS_LOG_DEBUG)
                (void)snprintf(since, sizeof(since), "+%.3f ", (double)(ts_now_us() - logger.start_us) / 1e6);
        if (logger.before)
                logger.before();
        (void)fprintf(stderr, "%s%s%s%s%s\n", on, looks[level].word, off, since, text);
        (void)fflush(stderr);
        if (logger.after)
                logger.after();
}

void ts_log(enum ts_level level, const char *fmt, ...)
{
        ts_auto_free char *raw = NULL, *line = NULL;
        int saved = errno; /* a debug line between a call and the look at its errno must not matter */
        va_list ap;
        int n;

        if ((size_t)level >= TS_ARRAY_LEN(looks) || !ts_log_enabled(level))
                return;
        va_start(ap, fmt);
        n = vasprintf(&raw, fmt, ap);
        va_end(ap);
        if (n < 0)
                raw = NULL;
        line = raw ? ts_printable(raw, (size_t)n, LINE_MAX_BYTES) : NULL;
        (void)pthread_mutex_lock(&logger.lock);
        print_line(level, line ? line : "(no memory for this line)");
        (void)pthread_mutex_unlock(&logger.lock);
        errno = saved;
}
