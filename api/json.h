/* JSON for everybody who is not allowed to see jansson: the journal, reports, contexts. A thin, bounded layer. */
#ifndef TRANSHIP_API_JSON_H
#define TRANSHIP_API_JSON_H

#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ts_json; /* reference counted; a borrowed child is valid while its root is */

#define TS_JSON_MAX_DEPTH 128 /* the parser refuses deeper input */

/* Parses text of at most max bytes (0 = 16 MiB). TS_EPROTO names line and column, TS_ELIMIT. Duplicate keys are TS_EPROTO.
 * Integers above INT64_MAX, which jansson cannot hold, are kept and written again as they were; look-ups see them as absent. */
int ts_json_parse(const char *text, size_t len, size_t max, struct ts_json **ret, struct ts_err *err);
void ts_json_free(struct ts_json *j);
TS_DEFINE_AUTO(ts_json, ts_json_free);
struct ts_json *ts_json_copy(const struct ts_json *j); /* deep */
char *ts_json_text(const struct ts_json *j, bool pretty); /* caller frees; NULL only out of memory. Compact text has no newline. Keys keep their order. */

/* Look-ups take a path "State.Pid" ("" is j itself; a key that holds a dot cannot be named: use ts_json_member). Absent, null and wrong types give the fallback. Borrowed results. */
struct ts_json *ts_json_get(const struct ts_json *j, const char *path);
struct ts_json *ts_json_member(const struct ts_json *j, const char *key); /* one level, literal key */
const char *ts_json_str(const struct ts_json *j, const char *path, const char *fallback); /* the fallback too where it holds a NUL */
int64_t ts_json_int(const struct ts_json *j, const char *path, int64_t fallback);
bool ts_json_bool(const struct ts_json *j, const char *path, bool fallback);
double ts_json_real(const struct ts_json *j, const char *path, double fallback);
size_t ts_json_len(const struct ts_json *j); /* of an array or object; 0 for everything else */
struct ts_json *ts_json_at(const struct ts_json *array, size_t i);
/* Iterates an object's members in order; for (it = NULL; (it = ts_json_each(obj, it, &key, &value));) */
void *ts_json_each(const struct ts_json *object, void *it, const char **ret_key, struct ts_json **ret_value);
bool ts_json_is_object(const struct ts_json *j);
bool ts_json_is_array(const struct ts_json *j);
bool ts_json_is_string(const struct ts_json *j);
bool ts_json_is_int(const struct ts_json *j);
bool ts_json_is_bool(const struct ts_json *j);
bool ts_json_is_null(const struct ts_json *j); /* absent too */
bool ts_json_equal(const struct ts_json *a, const struct ts_json *b);

/* Building. NULL on out of memory; a NULL value passed to set/append is ignored and reported as -1, so chains can be checked at the end. */
struct ts_json *ts_json_object(void);
struct ts_json *ts_json_array(void);
struct ts_json *ts_json_new_str(const char *s); /* invalid UTF-8 is replaced; NULL gives null */
struct ts_json *ts_json_new_int(int64_t n);
struct ts_json *ts_json_new_bool(bool b);
struct ts_json *ts_json_new_real(double d);
int ts_json_set(struct ts_json *object, const char *key, struct ts_json *value); /* takes value over, also on failure */
int ts_json_set_str(struct ts_json *object, const char *key, const char *s);     /* NULL: the key is left out */
int ts_json_set_int(struct ts_json *object, const char *key, int64_t n);
int ts_json_set_bool(struct ts_json *object, const char *key, bool b);
int ts_json_del(struct ts_json *object, const char *key);
int ts_json_append(struct ts_json *array, struct ts_json *value); /* takes value over */

#endif
