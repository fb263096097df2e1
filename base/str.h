/* Growing strings with a maximum, string lists, and the one shell-quoting function. */
#ifndef TRANSHIP_BASE_STR_H
#define TRANSHIP_BASE_STR_H

#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* buf is always NUL-terminated once anything was added (len excludes the NUL); NULL before. */
struct ts_str {
        char *buf;
        size_t len; /* bytes without the NUL */
        size_t cap; /* bytes allocated */
        size_t max; /* bytes allowed; 0 = TS_STR_MAX */
};
#define TS_STR_INIT { NULL, 0, 0, 0 }
#define TS_STR_INIT_MAX(m) { NULL, 0, 0, (m) }
#define TS_STR_MAX ((size_t)64 << 20)

/* All add functions: 0, or -1 with TS_ELIMIT or TS_ENOMEM (err may be NULL); the content is unchanged on failure. */
int ts_str_add(struct ts_str *s, const void *data, size_t len, struct ts_err *err);
int ts_str_adds(struct ts_str *s, const char *text, struct ts_err *err);
int ts_str_addf(struct ts_str *s, struct ts_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* One field of CSV (RFC 4180), with the comma after it. */
int ts_str_add_csv(struct ts_str *s, const char *text, struct ts_err *err);
const char *ts_str_cstr(const struct ts_str *s); /* never NULL */
char *ts_str_take(struct ts_str *s);             /* hands the memory over (never NULL but out of memory); s is empty afterwards */
void ts_str_clear(struct ts_str *s);
#define ts_auto_str __attribute__((cleanup(ts_str_clear))) struct ts_str

/* asprintf that never fails silently: NULL only out of memory. Caller frees. */
char *ts_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *ts_strdup0(const char *s); /* strdup, NULL stays NULL */

/* A list of owned strings, for argument vectors and names. v is NULL-terminated once anything was added. */
struct ts_list {
        char **v;
        size_t n;
};
#define TS_LIST_INIT { NULL, 0 }
int ts_list_add(struct ts_list *l, const char *s, struct ts_err *err); /* copies; TS_ENOMEM for NULL, so that a failed ts_fmt() may be passed on */
int ts_list_addf(struct ts_list *l, struct ts_err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool ts_list_has(const struct ts_list *l, const char *s);
void ts_list_clear(struct ts_list *l);
#define ts_auto_list __attribute__((cleanup(ts_list_clear))) struct ts_list

/* Quotes argv (NULL-terminated) for a POSIX shell, one space between the words: the only way a command of ours reaches one. Words made only of
 * [A-Za-z0-9_./:=@%+,-] stay bare (but for a first word the shell would take for an assignment or a keyword), all others go into single quotes.
 * TS_EUSAGE for an empty argv and when a word holds a control character, newline and tab included: shells disagree about them. */
int ts_shell_quote(const char *const argv[], char **ret, struct ts_err *err);
/* One word of a command that a person is told to type, quoted in the same way; a control character
 * becomes '?'. For every path and every name in a hint: NULL only out of memory, caller frees. */
char *ts_shell_word(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* s, or "" / a fallback. Borrowed. */
static inline const char *ts_or(const char *s, const char *fallback) { return s ? s : fallback; }
bool ts_streq0(const char *a, const char *b); /* both NULL are equal */
bool ts_starts(const char *s, const char *prefix);
/* A decimal number of [min, max] and nothing else. TS_EUSAGE otherwise. */
int ts_parse_u64(const char *s, unsigned long long min, unsigned long long max, unsigned long long *ret, struct ts_err *err);
/* "5", "5s", "500ms", "2m", "1h" → milliseconds (no unit: seconds). */
int ts_parse_duration_ms(const char *s, unsigned long long *ret_ms, struct ts_err *err);
/* Only [A-Za-z0-9][A-Za-z0-9_.-]*, 1..max bytes: what the engines allow as a name. Rejects "..", "/" and the like by that. */
bool ts_name_valid(const char *s, size_t max);
/* Makes a one-line printable copy of text from the other side (control characters become '?', cut at max bytes). Caller frees. */
char *ts_printable(const char *s, size_t len, size_t max);
/* Human size, e.g. "268.4 MB" (decimal units, as the engines print). Writes at most 16 bytes with the NUL. */
void ts_human_bytes(unsigned long long bytes, char buf[16]);

#endif
