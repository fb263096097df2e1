/* Inside conf/: one setting's value, parsed and checked. */
#ifndef TRANSHIP_CONF_SETTINGS_H
#define TRANSHIP_CONF_SETTINGS_H

#include "conf/conf.h"

#define TS_CONF_SETTINGS_MAX 64      /* more than the table has */
#define TS_CONF_VALUE_MAX 4096       /* bytes of one value */
#define TS_CONF_ITEMS_MAX 256        /* items of one list */
#define TS_CONF_FILE_MAX (64 * 1024) /* bytes of one file */

/* By type: text (canonical) for all, number for durations (ms), booleans (0, 1) and enums (index), list for lists. */
struct ts_value {
        char *text;
        uint64_t number;
        struct ts_list list;
};
#define TS_VALUE_INIT { NULL, 0, TS_LIST_INIT }
void ts_value_clear(struct ts_value *v);
/* ret is set only on success. TS_EUSAGE, TS_ELIMIT, TS_ENOMEM. */
int ts_value_parse(const struct ts_setting *s, const char *text, struct ts_value *ret, struct ts_err *err);
/* Adds the items of more to a list and renews its text. v is unchanged on failure. */
int ts_value_append(struct ts_value *v, const struct ts_value *more, struct ts_err *err);

/* The index in the table, or -1 with TS_EUSAGE and the nearest key as a hint. */
int ts_setting_find(const char *key, struct ts_err *err);
/* The one of the n words that text most probably meant, or NULL. Borrowed from words. */
const char *ts_nearest(const char *text, const char *const *words, size_t n);

/* One file: calls set for each of its settings, with "path:line" as origin. A missing file is TS_ENOTFOUND. */
typedef int (*ts_conf_file_set_fn)(void *ctx, const char *key, const char *value, const char *origin, struct ts_err *err);
int ts_conf_file_read(const char *path, ts_conf_file_set_fn set, void *ctx, struct ts_err *err);
/* The same from memory (len bytes, any content). */
int ts_conf_file_parse(const char *path, const char *data, size_t len, ts_conf_file_set_fn set, void *ctx, struct ts_err *err);

#endif
