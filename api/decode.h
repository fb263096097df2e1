/* JSON into structs by table: one row is the schema, the decoder and the documentation of a field.
 *
 * Everything decoded comes from the other side: each string has a maximum and a form. Absent, null and "" leave the field as it is (NULL, 0, false) unless the row says TS_REQUIRED. */
#ifndef TRANSHIP_API_DECODE_H
#define TRANSHIP_API_DECODE_H

#include "api/json.h"
#include "base/err.h"
#include "base/str.h"
#include <stddef.h>

enum ts_form {
        TS_TEXT,     /* char *: any text without control characters */
        TS_RAW_TEXT, /* char *: any text */
        TS_HEX_ID,   /* char *: 12 to 64 hex digits; "sha256:" before them is dropped */
        TS_NAME,     /* char *: a name of the engines (ts_name_valid); "/" before it is dropped */
        TS_PATH,     /* char *: absolute, no ".." in it */
        TS_INT,      /* int64_t */
        TS_SIZE,     /* uint64_t, not negative */
        TS_BOOL,     /* bool */
        TS_TEXTS,    /* struct ts_list: an array of TS_TEXT; max is for each, their number is bounded too */
        TS_TEXT_VALUES /* struct ts_list: "key=value" for each member of an object of strings */
};
enum { TS_OPTIONAL = 0, TS_REQUIRED = 1 };

struct ts_field {
        const char *path; /* "State.Pid"; alternatives are separated by '|', the first that is there counts */
        enum ts_form form;
        size_t offset;
        int required;
        size_t max; /* bytes of a string; 0 = 4096 */
};

#define TS_DECODE_MAX_ITEMS 65536 /* of one array */

/* what: for messages ("container"). TS_EPROTO; what was decoded before stays in *into and belongs to the caller. */
int ts_decode(const struct ts_json *j, const struct ts_field *fields, size_t n, void *into, const char *what, struct ts_err *err);
/* Frees what the table's rows own. */
void ts_decode_free(const struct ts_field *fields, size_t n, void *from);
/* Allocates zeroed elements for the members of j (an array or object; anything else and an empty one give 0 of them, *ret_array stays as it is).
 * ret_array: the address of a pointer. TS_ELIMIT, TS_ENOMEM. */
int ts_decode_array(const struct ts_json *j, size_t size, void *ret_array, size_t *ret_n, const char *what, struct ts_err *err);
/* The check of one form, for strings that are keys of objects. The result is where the wanted text begins in s, or NULL. */
const char *ts_form_check(enum ts_form form, const char *s, size_t max);

#endif
