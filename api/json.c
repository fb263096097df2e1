/* Decides how JSON of unknown origin is bounded and how it is written. Knows nothing of what the documents mean.
 *
 * A struct ts_json is a json_t: the casts are in this file only. A string with \u0000 in it (a runtime's error text may have one) is written again as it was, but nobody is given it. Two things jansson does not do are done on the text: the depth is counted before the parser recurses,
 * and integers above INT64_MAX (Podman's "no limit" is 2^64-1), for which jansson has no type, are carried as marked strings and written as numbers again. */
#include "api/json.h"

#include "base/str.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define DEFAULT_MAX ((size_t)16 << 20)
#define MARK '\x01' /* first character of a string that stands for an unsigned 64-bit number */
#define MARK_TEXT "\"\\u0001"

static inline json_t *to_json(const struct ts_json *j)
{
        return (json_t *)(uintptr_t)j;
}
static inline struct ts_json *from_json(json_t *j)
{
        return (struct ts_json *)j;
}

/* ---- text before jansson sees it ---- */

/* Past the closing quote of the string that begins at p, or end. */
static const char *skip_string(const char *p, const char *end)
{
        for (p++; p < end; p++) {
                if (*p == '\\')
                        p++;
                else if (*p == '"')
                        return p + 1;
        }
        return end;
}

static bool is_number_char(char c)
{
        return isdigit((unsigned char)c) || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

/* A run of digits that only fits an unsigned 64-bit number. */
static bool is_big(const char *digits, size_t len)
{
        static const char int64_max[] = "9223372036854775807", uint64_max[] = "18446744073709551615";
        for (size_t i = 0; i < len; i++)
                if (!isdigit((unsigned char)digits[i]))
                        return false;
        if (len == 19)
                return memcmp(digits, int64_max, 19) > 0;
        return len == 20 && *digits == '1' && memcmp(digits, uint64_max, 20) <= 0;
}

struct scan {
        int depth, deepest;
        size_t big; /* numbers that need a mark */
};

/* One pass: counts the depth and, with out, copies the text with the big numbers marked. */
static int scan_text(const char *text, size_t len, struct scan *s, struct ts_str *out, struct ts_err *err)
{
        const char *end = text + len, *from = text;
        for (const char *p = text; p < end;) {
                if (*p == '"') {
                        p = skip_string(p, end);
                } else if (isdigit((unsigned char)*p) || *p == '-') {
                        const char *number = p;
                        while (p < end && is_number_char(*p))
                                p++;
                        if (!is_big(number, (size_t)(p - number)))
                                continue;
                        s->big++;
                        if (out && (ts_str_add(out, from, (size_t)(number - from), err) < 0 ||
                                    ts_str_addf(out, err, MARK_TEXT "%.*s\"", (int)(p - number), number) < 0))
                                return -1;
                        from = p;
                } else {
                        if (*p == '[' || *p == '{')
                                s->deepest = ++s->depth > s->deepest ? s->depth : s->deepest;
                        else if (*p == ']' || *p == '}')
                                s->depth--;
                        p++;
                }
        }
        return out ? ts_str_add(out, from, (size_t)(end - from), err) : 0;
}

static int load(const char *text, size_t len, struct ts_json **ret, struct ts_err *err)
{
        json_error_t e;
        json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
        if (!j && json_error_code(&e) == json_error_out_of_memory)
                return ts_err_set(err, TS_ENOMEM, "out of memory reading JSON");
        if (!j) {
                ts_auto_free char *why = ts_printable(e.text, strlen(e.text), 120);
                return ts_err_set(err, TS_EPROTO, "not JSON: %s, line %d, column %d", ts_or(why, "?"), e.line, e.column);
        }
        *ret = from_json(j);
        return 0;
}

int ts_json_parse(const char *text, size_t len, size_t max, struct ts_json **ret, struct ts_err *err)
{
        struct scan s = { 0 };
        if (max == 0)
                max = DEFAULT_MAX;
        if (len > max)
                return ts_err_set(err, TS_ELIMIT, "JSON of %zu bytes is larger than the %zu allowed", len, max);
        (void)scan_text(text, len, &s, NULL, NULL);
        if (s.deepest > TS_JSON_MAX_DEPTH)
                return ts_err_set(err, TS_EPROTO, "JSON is nested deeper than %d", TS_JSON_MAX_DEPTH);
        if (s.big == 0)
                return load(text, len, ret, err);
        ts_auto_str marked = TS_STR_INIT_MAX(len + s.big * 10 + 1);
        s = (struct scan){ 0 };
        if (scan_text(text, len, &s, &marked, err) < 0)
                return -1;
        return load(marked.buf, marked.len, ret, err);
}

void ts_json_free(struct ts_json *j)
{
        json_decref(to_json(j));
}

struct ts_json *ts_json_copy(const struct ts_json *j)
{
        return from_json(json_deep_copy(to_json(j)));
}

/* Takes the marks out again, in place: the text only gets shorter. */
static void unmark(char *text)
{
        char *to = strstr(text, MARK_TEXT);
        if (!to)
                return;
        for (const char *p = to; *p;) {
                const char *digits = p + strlen(MARK_TEXT);
                size_t n = ts_starts(p, MARK_TEXT) ? strspn(digits, "0123456789") : 0;
                if (n > 0 && digits[n] == '"' && is_big(digits, n)) {
                        memmove(to, digits, n);
                        to += n;
                        p = digits + n + 1;
                } else if (*p == '\\' && p[1]) {
                        *to++ = *p++;
                        *to++ = *p++;
                } else {
                        *to++ = *p++;
                }
        }
        *to = '\0';
}

char *ts_json_text(const struct ts_json *j, bool pretty)
{
        char *text = j ? json_dumps(to_json(j), JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT)) : strdup("null");
        if (text)
                unmark(text);
        return text;
}

/* ---- look-ups ---- */

struct ts_json *ts_json_member(const struct ts_json *j, const char *key)
{
        return from_json(json_object_get(to_json(j), key));
}

struct ts_json *ts_json_get(const struct ts_json *j, const char *path)
{
        json_t *at = to_json(j);
        while (at && *path) {
                size_t n = strcspn(path, ".");
                char key[128];
                if (n >= sizeof(key))
                        return NULL;
                memcpy(key, path, n);
                key[n] = '\0';
                at = json_object_get(at, key);
                path += n + (path[n] == '.');
        }
        return from_json(at);
}

const char *ts_json_str(const struct ts_json *j, const char *path, const char *fallback)
{
        const json_t *v = to_json(ts_json_get(j, path));
        const char *s = json_string_value(v);
        return s && strlen(s) == json_string_length(v) ? s : fallback;
}

int64_t ts_json_int(const struct ts_json *j, const char *path, int64_t fallback)
{
        const json_t *v = to_json(ts_json_get(j, path));
        return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool ts_json_bool(const struct ts_json *j, const char *path, bool fallback)
{
        const json_t *v = to_json(ts_json_get(j, path));
        return json_is_boolean(v) ? json_is_true(v) : fallback;
}

double ts_json_real(const struct ts_json *j, const char *path, double fallback)
{
        const json_t *v = to_json(ts_json_get(j, path));
        return json_is_number(v) ? json_number_value(v) : fallback;
}

size_t ts_json_len(const struct ts_json *j)
{
        return json_is_array(to_json(j)) ? json_array_size(to_json(j)) : json_object_size(to_json(j));
}

struct ts_json *ts_json_at(const struct ts_json *array, size_t i)
{
        return from_json(json_array_get(to_json(array), i));
}

void *ts_json_each(const struct ts_json *object, void *it, const char **ret_key, struct ts_json **ret_value)
{
        json_t *o = to_json(object);
        it = it ? json_object_iter_next(o, it) : json_object_iter(o);
        if (it) {
                *ret_key = json_object_iter_key(it);
                *ret_value = from_json(json_object_iter_value(it));
        }
        return it;
}

bool ts_json_is_object(const struct ts_json *j)
{
        return json_is_object(to_json(j));
}
bool ts_json_is_array(const struct ts_json *j)
{
        return json_is_array(to_json(j));
}
bool ts_json_is_string(const struct ts_json *j)
{
        return json_is_string(to_json(j));
}
bool ts_json_is_int(const struct ts_json *j)
{
        return json_is_integer(to_json(j));
}
bool ts_json_is_bool(const struct ts_json *j)
{
        return json_is_boolean(to_json(j));
}
bool ts_json_is_null(const struct ts_json *j)
{
        return !j || json_is_null(to_json(j));
}
bool ts_json_equal(const struct ts_json *a, const struct ts_json *b)
{
        return json_equal(to_json(a), to_json(b)) == 1;
}

/* ---- building ---- */

struct ts_json *ts_json_object(void)
{
        return from_json(json_object());
}
struct ts_json *ts_json_array(void)
{
        return from_json(json_array());
}
struct ts_json *ts_json_new_int(int64_t n)
{
        return from_json(json_integer(n));
}
struct ts_json *ts_json_new_bool(bool b)
{
        return from_json(json_boolean(b));
}
struct ts_json *ts_json_new_real(double d)
{
        return from_json(json_real(d));
}

/* The length of the UTF-8 sequence at p, or 0: overlong forms, surrogates and what lies past U+10FFFF are none. */
static size_t utf8_len(const unsigned char *p)
{
        size_t n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
                return 0;
        return n;
}

struct ts_json *ts_json_new_str(const char *s)
{
        if (!s)
                return from_json(json_null());
        json_t *j = json_string(s);
        if (j)
                return from_json(j);
        ts_auto_str clean = TS_STR_INIT;
        for (const char *p = s; *p;) {
                size_t n = utf8_len((const unsigned char *)p);
                if (ts_str_add(&clean, n > 0 ? p : "\xef\xbf\xbd", n > 0 ? n : 3, NULL) < 0)
                        return NULL;
                p += n > 0 ? n : 1;
        }
        return from_json(json_string(ts_str_cstr(&clean)));
}

int ts_json_set(struct ts_json *object, const char *key, struct ts_json *value)
{
        return json_object_set_new(to_json(object), key, to_json(value));
}

int ts_json_set_str(struct ts_json *object, const char *key, const char *s)
{
        return s ? ts_json_set(object, key, ts_json_new_str(s)) : 0;
}

int ts_json_set_int(struct ts_json *object, const char *key, int64_t n)
{
        return ts_json_set(object, key, ts_json_new_int(n));
}

int ts_json_set_bool(struct ts_json *object, const char *key, bool b)
{
        return ts_json_set(object, key, ts_json_new_bool(b));
}

int ts_json_del(struct ts_json *object, const char *key)
{
        return json_object_del(to_json(object), key);
}

int ts_json_append(struct ts_json *array, struct ts_json *value)
{
        return json_array_append_new(to_json(array), to_json(value));
}
