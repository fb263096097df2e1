/* Decides whether a field of an answer has the form its table demands. Does not know which fields there are: the tables are beside the structs they fill. */
#include "api/decode.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX 4096

/* ---- forms of strings ---- */

static bool has_control(const char *s)
{
        for (; *s; s++)
                if ((unsigned char)*s < 0x20 || *s == 0x7f)
                        return true;
        return false;
}

static bool has_dotdot(const char *path)
{
        for (const char *p = path; (p = strstr(p, "..")); p += 2)
                if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
                        return true;
        return false;
}

static const char *check_hex_id(const char *s)
{
        if (ts_starts(s, "sha256:"))
                s += strlen("sha256:");
        size_t n = strspn(s, "0123456789abcdef");
        return s[n] == '\0' && n >= 12 && n <= 64 ? s : NULL;
}

const char *ts_form_check(enum ts_form form, const char *s, size_t max)
{
        if (strlen(s) > (max ? max : DEFAULT_MAX))
                return NULL;
        switch (form) {
        case TS_HEX_ID:
                return check_hex_id(s);
        case TS_NAME:
                s += *s == '/';
                return ts_name_valid(s, max ? max : DEFAULT_MAX) ? s : NULL;
        case TS_PATH:
                return *s == '/' && !has_dotdot(s) ? s : NULL;
        case TS_TEXT:
        case TS_TEXTS:
        case TS_TEXT_VALUES:
                return has_control(s) ? NULL : s;
        case TS_RAW_TEXT:
                return s;
        case TS_INT:
        case TS_SIZE:
        case TS_BOOL:
                break;
        }
        return NULL;
}

/* ---- one field ---- */

static int bad(const struct ts_field *f, const char *what, struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "the engine's answer about the %s makes no sense at '%s'", what, f->path);
}

static int put_string(const struct ts_field *f, const struct ts_json *v, char **to, const char *what, struct ts_err *err)
{
        const char *s = ts_json_str(v, "", NULL);
        if (!s)
                return bad(f, what, err);
        if (*s == '\0' && !f->required)
                return 0;
        s = ts_form_check(f->form, s, f->max);
        if (!s)
                return bad(f, what, err);
        free(*to);
        *to = strdup(s);
        return *to ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int put_texts(const struct ts_field *f, const struct ts_json *v, struct ts_list *to, const char *what, struct ts_err *err)
{
        size_t n = ts_json_len(v);
        if (!ts_json_is_array(v) || n > TS_DECODE_MAX_ITEMS)
                return bad(f, what, err);
        for (size_t i = 0; i < n; i++) {
                const char *s = ts_json_str(ts_json_at(v, i), "", NULL);
                if (!s || !ts_form_check(f->form, s, f->max))
                        return bad(f, what, err);
                if (ts_list_add(to, s, err) < 0)
                        return -1;
        }
        return 0;
}

static int put_text_values(const struct ts_field *f, const struct ts_json *v, struct ts_list *to, const char *what, struct ts_err *err)
{
        const char *key;
        struct ts_json *value;
        if (!ts_json_is_object(v) || ts_json_len(v) > TS_DECODE_MAX_ITEMS)
                return bad(f, what, err);
        for (void *it = NULL; (it = ts_json_each(v, it, &key, &value));) {
                const char *s = ts_json_str(value, "", NULL);
                if (!s || strlen(s) > (f->max ? f->max : DEFAULT_MAX) || !ts_form_check(f->form, key, f->max))
                        return bad(f, what, err);
                if (ts_list_addf(to, err, "%s=%s", key, s) < 0)
                        return -1;
        }
        return 0;
}

static int put_number(const struct ts_field *f, const struct ts_json *v, void *to, const char *what, struct ts_err *err)
{
        if (!ts_json_is_int(v))
                return bad(f, what, err);
        int64_t n = ts_json_int(v, "", 0);
        if (f->form == TS_SIZE && n < 0)
                return bad(f, what, err);
        memcpy(to, &n, sizeof(n));
        return 0;
}

static const struct ts_json *find(const struct ts_json *j, const char *path)
{
        while (true) {
                char one[128];
                size_t n = strcspn(path, "|");
                if (n >= sizeof(one))
                        return NULL;
                memcpy(one, path, n);
                one[n] = '\0';
                const struct ts_json *v = ts_json_get(j, one);
                if (!ts_json_is_null(v) && !(ts_json_is_string(v) && *ts_json_str(v, "", "") == '\0'))
                        return v;
                if (path[n] == '\0')
                        return NULL;
                path += n + 1;
        }
}

static int put(const struct ts_field *f, const struct ts_json *v, char *to, const char *what, struct ts_err *err)
{
        switch (f->form) {
        case TS_INT:
        case TS_SIZE:
                return put_number(f, v, to, what, err);
        case TS_BOOL:
                if (!ts_json_is_bool(v))
                        return bad(f, what, err);
                *(bool *)to = ts_json_bool(v, "", false);
                return 0;
        case TS_TEXTS:
                return put_texts(f, v, (struct ts_list *)(void *)to, what, err);
        case TS_TEXT_VALUES:
                return put_text_values(f, v, (struct ts_list *)(void *)to, what, err);
        case TS_TEXT:
        case TS_RAW_TEXT:
        case TS_HEX_ID:
        case TS_NAME:
        case TS_PATH:
                break;
        }
        return put_string(f, v, (char **)(void *)to, what, err);
}

int ts_decode(const struct ts_json *j, const struct ts_field *fields, size_t n, void *into, const char *what, struct ts_err *err)
{
        if (!ts_json_is_object(j))
                return ts_err_set(err, TS_EPROTO, "the engine's answer about the %s is not an object", what);
        for (const struct ts_field *f = fields; f < fields + n; f++) {
                const struct ts_json *v = find(j, f->path);
                if (!v && f->required)
                        return ts_err_set(err, TS_EPROTO, "the engine's answer about the %s has no '%s'", what, f->path);
                if (v && put(f, v, (char *)into + f->offset, what, err) < 0)
                        return -1;
        }
        return 0;
}

void ts_decode_free(const struct ts_field *fields, size_t n, void *from)
{
        for (const struct ts_field *f = fields; f < fields + n; f++) {
                void *at = (char *)from + f->offset;
                switch (f->form) {
                case TS_TEXTS:
                case TS_TEXT_VALUES:
                        ts_list_clear(at);
                        break;
                case TS_TEXT:
                case TS_RAW_TEXT:
                case TS_HEX_ID:
                case TS_NAME:
                case TS_PATH:
                        free(*(char **)at);
                        *(char **)at = NULL;
                        break;
                case TS_INT:
                case TS_SIZE:
                case TS_BOOL:
                        break;
                }
        }
}

int ts_decode_array(const struct ts_json *j, size_t size, void *ret_array, size_t *ret_n, const char *what, struct ts_err *err)
{
        size_t n = ts_json_len(j);
        if (n > TS_DECODE_MAX_ITEMS)
                return ts_err_set(err, TS_ELIMIT, "the engine's answer has more than %d entries of %s", TS_DECODE_MAX_ITEMS, what);
        if (n == 0) {
                *ret_n = 0;
                return 0;
        }
        void *v = calloc(n, size);
        if (!v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        memcpy(ret_array, &v, sizeof(v));
        *ret_n = n;
        return 0;
}
