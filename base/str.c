/* Strings and lists. Decides bounds and quoting; does not decide what a text means to the engines. */
#include "base/str.h"

#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- growing strings ---- */

static int str_reserve(struct ts_str *s, size_t more, struct ts_err *err)
{
        size_t max = s->max ? s->max : TS_STR_MAX;
        size_t need, cap;
        char *grown;

        if (max > SIZE_MAX / 2) /* so that no sum below wraps */
                max = SIZE_MAX / 2;
        if (s->len > max || more > max - s->len)
                return ts_err_set(err, TS_ELIMIT, "larger than the limit of %zu bytes", max);
        need = s->len + more + 1;
        if (s->buf && need <= s->cap)
                return 0;
        cap = s->cap > max / 2 ? max + 1 : s->cap * 2;
        if (cap < need)
                cap = need < 64 && max >= 63 ? 64 : need;
        grown = realloc(s->buf, cap);
        if (!grown)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        s->buf = grown;
        s->cap = cap;
        return 0;
}

int ts_str_add(struct ts_str *s, const void *data, size_t len, struct ts_err *err)
{
        if (str_reserve(s, len, err) < 0)
                return -1;
        if (len > 0)
                memcpy(s->buf + s->len, data, len);
        s->len += len;
        s->buf[s->len] = '\0';
        return 0;
}

int ts_str_adds(struct ts_str *s, const char *text, struct ts_err *err)
{
        return ts_str_add(s, text, strlen(text), err);
}

/* NULL: out of memory. */
static char *format(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));
static char *format(const char *fmt, va_list ap)
{
        char *text = NULL;

        return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

int ts_str_addf(struct ts_str *s, struct ts_err *err, const char *fmt, ...)
{
        ts_auto_free char *text = NULL;
        va_list ap;

        va_start(ap, fmt);
        text = format(fmt, ap);
        va_end(ap);
        return text ? ts_str_adds(s, text, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_str_add_csv(struct ts_str *s, const char *text, struct ts_err *err)
{
        if (!strpbrk(text, ",\"\r\n"))
                return ts_str_addf(s, err, "%s,", text);
        if (ts_str_adds(s, "\"", err) < 0)
                return -1;
        for (const char *p = text; *p; p++)
                if (ts_str_addf(s, err, "%s%c", *p == '"' ? "\"" : "", *p) < 0)
                        return -1;
        return ts_str_adds(s, "\",", err);
}

const char *ts_str_cstr(const struct ts_str *s)
{
        return s->buf ? s->buf : "";
}

char *ts_str_take(struct ts_str *s)
{
        char *taken = s->buf ? s->buf : strdup("");

        s->buf = NULL;
        s->len = s->cap = 0;
        return taken;
}

void ts_str_clear(struct ts_str *s)
{
        if (!s)
                return;
        free(s->buf);
        s->buf = NULL;
        s->len = s->cap = 0;
}

char *ts_fmt(const char *fmt, ...)
{
        va_list ap;
        char *text;

        va_start(ap, fmt);
        text = format(fmt, ap);
        va_end(ap);
        return text;
}

char *ts_strdup0(const char *s)
{
        return s ? strdup(s) : NULL;
}

/* ---- lists ---- */

/* Takes ownership of s in every case. */
static int list_add_owned(struct ts_list *l, char *s, struct ts_err *err)
{
        char **grown = s ? realloc(l->v, (l->n + 2) * sizeof(*l->v)) : NULL;

        if (!grown) {
                free(s);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        l->v = grown;
        l->v[l->n++] = s;
        l->v[l->n] = NULL;
        return 0;
}

int ts_list_add(struct ts_list *l, const char *s, struct ts_err *err)
{
        return list_add_owned(l, ts_strdup0(s), err);
}

int ts_list_addf(struct ts_list *l, struct ts_err *err, const char *fmt, ...)
{
        va_list ap;
        char *text;

        va_start(ap, fmt);
        text = format(fmt, ap);
        va_end(ap);
        return list_add_owned(l, text, err);
}

bool ts_list_has(const struct ts_list *l, const char *s)
{
        for (size_t i = 0; i < l->n; i++)
                if (strcmp(l->v[i], s) == 0)
                        return true;
        return false;
}

void ts_list_clear(struct ts_list *l)
{
        if (!l)
                return;
        for (size_t i = 0; i < l->n; i++)
                free(l->v[i]);
        free(l->v);
        l->v = NULL;
        l->n = 0;
}

/* ---- the shell ---- */

/* isalnum() would ask the locale. */
static bool is_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* A first word of these is grammar to the shell, not a command; quoted it is a command again. */
static const char *const reserved_words[] = { "case",     "coproc", "do", "done",   "elif", "else", "esac",  "fi",   "for",
                                              "function", "if",     "in", "select", "then", "time", "until", "while" };

static bool word_is_bare(const char *word, bool first)
{
        if (!*word)
                return false;
        for (const char *p = word; *p; p++)
                if (!is_alnum(*p) && !strchr("_./:=@%+,-", *p))
                        return false;
        if (!first)
                return true;
        if (strchr(word, '=')) /* NAME=value in front is an assignment */
                return false;
        for (size_t i = 0; i < TS_ARRAY_LEN(reserved_words); i++)
                if (strcmp(word, reserved_words[i]) == 0)
                        return false;
        return true;
}

static int check_word(const char *word, struct ts_err *err)
{
        for (const char *p = word; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return ts_err_set(err, TS_EUSAGE, "'%s' holds a control character and cannot be part of a command", word);
        return 0;
}

static int add_quoted(struct ts_str *s, const char *word, struct ts_err *err)
{
        if (ts_str_adds(s, "'", err) < 0)
                return -1;
        for (const char *p = word; *p;) {
                size_t plain = strcspn(p, "'");

                if (ts_str_add(s, p, plain, err) < 0)
                        return -1;
                p += plain;
                if (*p == '\'') {
                        if (ts_str_adds(s, "'\\''", err) < 0)
                                return -1;
                        p++;
                }
        }
        return ts_str_adds(s, "'", err);
}

int ts_shell_quote(const char *const argv[], char **ret, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT;
        char *line;

        if (!argv || !argv[0])
                return ts_err_set(err, TS_EUSAGE, "an empty command");
        for (size_t i = 0; argv[i]; i++) {
                if (check_word(argv[i], err) < 0)
                        return -1;
                if (i > 0 && ts_str_adds(&s, " ", err) < 0)
                        return -1;
                if ((word_is_bare(argv[i], i == 0) ? ts_str_adds : add_quoted)(&s, argv[i], err) < 0)
                        return -1;
        }
        line = ts_str_take(&s);
        if (!line)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = line;
        return 0;
}

char *ts_shell_word(const char *fmt, ...)
{
        ts_auto_free char *raw = NULL, *word = NULL;
        ts_auto_str s = TS_STR_INIT;
        va_list ap;

        va_start(ap, fmt);
        raw = format(fmt, ap);
        va_end(ap);
        if (!raw)
                return NULL;
        word = ts_printable(raw, strlen(raw), strlen(raw));
        if (!word)
                return NULL;
        if (word_is_bare(word, /* first= */ false))
                return TS_TAKE(word);
        return add_quoted(&s, word, NULL) < 0 ? NULL : ts_str_take(&s);
}

/* ---- comparing and parsing ---- */

bool ts_streq0(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool ts_starts(const char *s, const char *prefix)
{
        return s && strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The digits at *p, which is moved behind them. False: no digit there, or more than 64 bits. */
static bool scan_digits(const char **p, unsigned long long *ret)
{
        unsigned long long n = 0;
        const char *s = *p;

        for (; *s >= '0' && *s <= '9'; s++) {
                unsigned digit = (unsigned)(*s - '0');

                if (n > (UINT64_MAX - digit) / 10)
                        return false;
                n = n * 10 + digit;
        }
        if (s == *p)
                return false;
        *p = s;
        *ret = n;
        return true;
}

int ts_parse_u64(const char *s, unsigned long long min, unsigned long long max, unsigned long long *ret, struct ts_err *err)
{
        const char *p = ts_or(s, "");
        unsigned long long n;

        if (!scan_digits(&p, &n) || *p || n < min || n > max)
                return ts_err_set(err, TS_EUSAGE, "'%.80s' is not a whole number from %llu to %llu", ts_or(s, ""), min, max);
        *ret = n;
        return 0;
}

int ts_parse_duration_ms(const char *s, unsigned long long *ret_ms, struct ts_err *err)
{
        static const struct {
                const char *unit;
                unsigned long long ms;
        } units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
        const char *p = ts_or(s, "");
        unsigned long long n;

        if (scan_digits(&p, &n))
                for (size_t i = 0; i < TS_ARRAY_LEN(units); i++)
                        if (strcmp(p, units[i].unit) == 0 && n <= UINT64_MAX / units[i].ms) {
                                *ret_ms = n * units[i].ms;
                                return 0;
                        }
        return ts_err_set(err, TS_EUSAGE, "'%.80s' is not a duration such as 500ms, 5s, 2m or 1h", ts_or(s, ""));
}

bool ts_name_valid(const char *s, size_t max)
{
        size_t n;

        if (!s || !is_alnum(s[0]))
                return false;
        for (n = 0; s[n]; n++)
                if (n >= max || (!is_alnum(s[n]) && !strchr("_.-", s[n])))
                        return false;
        return true;
}

/* ---- showing ---- */

/* Bytes of the UTF-8 character at s (len > 0), 0 when it is none. */
static size_t utf8_decode(const unsigned char *s, size_t len, unsigned *ret_point)
{
        static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;
        unsigned point;

        if (n == 0 || n > len)
                return 0;
        point = n == 1 ? s[0] : s[0] & (0xffU >> (n + 1));
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | (s[i] & 0x3fU);
        }
        if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
                return 0;
        *ret_point = point;
        return n;
}

/* Control characters, and those that break or reorder a line: C0, DEL, C1, line and paragraph separators, bidi overrides. */
static bool point_is_shown(unsigned point)
{
        return point >= 0x20 && !(point >= 0x7f && point <= 0x9f) && !(point >= 0x2028 && point <= 0x202e) &&
               !(point >= 0x2066 && point <= 0x2069);
}

char *ts_printable(const char *s, size_t len, size_t max)
{
        size_t in = 0, out = 0;
        char *copy;

        if (!s)
                len = 0;
        copy = malloc((len < max ? len : max) + 1);
        if (!copy)
                return NULL;
        while (in < len && out < max) {
                unsigned point = 0;
                size_t n = utf8_decode((const unsigned char *)s + in, len - in, &point);

                if (n == 0 || !point_is_shown(point)) {
                        copy[out++] = '?';
                        in += n ? n : 1;
                        continue;
                }
                if (n > max - out)
                        break;
                memcpy(copy + out, s + in, n);
                in += n;
                out += n;
        }
        copy[out] = '\0';
        return copy;
}

void ts_human_bytes(unsigned long long bytes, char buf[16])
{
        static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
        double shown = (double)bytes;
        size_t u = 0;

        if (bytes < 1000) {
                (void)snprintf(buf, 16, "%u B", (unsigned)bytes);
                return;
        }
        while (shown >= 999.95 && u + 1 < TS_ARRAY_LEN(units)) { /* 999.95 would be printed as 1000.0 */
                shown /= 1000;
                u++;
        }
        (void)snprintf(buf, 16, "%.1f %s", shown, units[u]);
}
