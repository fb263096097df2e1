/* Diagnostics to stderr and events to programs. Set up once by the command line; libraries only call ts_debug. */
#ifndef TRANSHIP_BASE_LOG_H
#define TRANSHIP_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum ts_level { TS_LOG_ERROR, TS_LOG_WARNING, TS_LOG_NOTICE, TS_LOG_INFO, TS_LOG_DEBUG };

/* level: the chattiest that is shown (NOTICE by default; --verbose INFO, twice DEBUG; --quiet ERROR). colour: caller checked isatty and NO_COLOR. */
void ts_log_setup(enum ts_level level, bool colour);
bool ts_log_enabled(enum ts_level level);
void ts_log(enum ts_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3))); /* thread-safe, one line */
#define ts_debug(...) ts_log(TS_LOG_DEBUG, __VA_ARGS__)
/* Called before a line is printed and after, so that a progress bar can step aside. Both may be NULL. */
void ts_log_around(void (*before)(void), void (*after)(void));

#endif
