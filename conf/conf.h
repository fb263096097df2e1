/* Configuration in layers, the later ones stronger:
 *
 *     built-in defaults
 *     /etc/tranship/tranship.conf
 *     ${XDG_CONFIG_HOME:-~/.config}/tranship/tranship.conf   (under sudo the calling user's)
 *     environment TRANSHIP_<KEY>                             (an empty variable counts as unset)
 *     flags                                                  (ts_conf_set)
 *
 * One table (ts_conf_settings) says what there is; parsing, `tranship config`, the flags and the manual are all made from it.
 *
 * File: `key = value` lines. A # at the start of a line or after a blank begins a comment. A value in double quotes may hold # and
 * outer blanks; \" and \\ are what they look like there. A scalar may stand once in a file. Lists: items separated by commas (\, is a
 * comma within an item), and further lines of the same file, or further flags, add items; a stronger layer replaces the whole list.
 * At most 64 KiB. A file that somebody else owns, or that everybody may write, is refused.
 *
 * Not thread-safe while it is being set; reading only afterwards is. Nothing here connects or blocks. */
#ifndef TRANSHIP_CONF_CONF_H
#define TRANSHIP_CONF_CONF_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ts_setting_type {
        TS_SET_STRING,
        TS_SET_BOOL,        /* yes/no, true/false, on/off, 1/0 */
        TS_SET_DURATION_MS, /* 500ms, 5s, 2m, 1h; a bare number is seconds */
        TS_SET_SIZE,        /* bytes: 500K, 100M, 1.5G (powers of 1024) */
        TS_SET_ENUM,        /* one of choices */
        TS_SET_LIST         /* see form */
};

/* What an item of a list, or a string, must look like. */
enum ts_setting_form {
        TS_FORM_ANY,
        TS_FORM_FILE,        /* on this machine: "~/" is the home of ts_user_home(), relative to the working directory otherwise */
        TS_FORM_PATH,        /* on a host: absolute */
        TS_FORM_WORD,        /* [A-Za-z0-9][A-Za-z0-9_.-]* */
        TS_FORM_NAME_CHOICE, /* WORD=one of choices */
        TS_FORM_PATH_CHOICE, /* absolute path=one of choices */
        TS_FORM_PORTS        /* LOW-HIGH, or one */
};

struct ts_setting {
        const char *key; /* "connect_timeout"; the variable is TRANSHIP_CONNECT_TIMEOUT, the flag --connect-timeout */
        enum ts_setting_type type;
        enum ts_setting_form form;
        const char *fallback;       /* the default as text; "": none */
        uint64_t min, max;          /* durations: milliseconds; sizes: bytes */
        bool or_zero;               /* of a duration: 0, for none, is below min and allowed */
        const char *const *choices; /* NULL-terminated; NULL when there are none */
        const char *arg;            /* how help calls the value: "ENGINE", "DURATION"; NULL for booleans */
        const char *help;           /* one line, lower case, with the unit */
};

/* The whole table, static. */
const struct ts_setting *ts_conf_settings(size_t *ret_n);
/* "TRANSHIP_CONNECT_TIMEOUT". Caller's buffer. */
void ts_conf_env_name(const char *key, char buf[64]);
const char *ts_setting_type_str(enum ts_setting_type type); /* "string", "bool", … */

struct ts_conf;
/* Defaults, both files (those that exist) and the environment. TS_EUSAGE: the message begins with file:line or the variable, the hint
 * has the nearest key or choice; TS_ELIMIT, TS_EIO, TS_ENOMEM. */
int ts_conf_load(struct ts_conf **ret, struct ts_err *err);
/* The same with other files: NULL-terminated, weakest first. They must exist if must_exist (`--config FILE`). */
int ts_conf_load_files(const char *const files[], bool must_exist, struct ts_conf **ret, struct ts_err *err);
void ts_conf_free(struct ts_conf *c);
TS_DEFINE_AUTO(ts_conf, ts_conf_free);

/* Sets in the strongest layer, that of the flags. origin says where the value came from ("--to") and begins the message of a failure;
 * copied. TS_EUSAGE: no such key (with a hint), or not a value for it. The old value stays on failure. */
int ts_conf_set(struct ts_conf *c, const char *key, const char *value, const char *origin, struct ts_err *err);

/* Getters. A key that does not exist or is of another type is a bug of the caller and aborts. What is returned is borrowed until the
 * next set. */
const char *ts_conf_str(const struct ts_conf *c, const char *key);            /* strings and enums; NULL when empty */
bool ts_conf_bool(const struct ts_conf *c, const char *key);                  /* booleans */
uint64_t ts_conf_u64(const struct ts_conf *c, const char *key);               /* durations: milliseconds */
const struct ts_list *ts_conf_list(const struct ts_conf *c, const char *key); /* lists; never NULL */
unsigned ts_conf_enum(const struct ts_conf *c, const char *key);              /* enums: index into choices */
/* "default", "/etc/tranship/tranship.conf:12", "TRANSHIP_TO", "--to" */
const char *ts_conf_origin(const struct ts_conf *c, const char *key);

/* Every setting in the order of the table; value is in its canonical text, which set accepts again. All borrowed for the call. */
typedef void (*ts_conf_each_fn)(void *ctx, const char *key, const char *value, const char *origin, const char *help);
void ts_conf_each(const struct ts_conf *c, ts_conf_each_fn each, void *ctx);

/* TS_FORM_PORTS. -1: not of that form. */
int ts_parse_ports(const char *text, unsigned *ret_low, unsigned *ret_high);

#endif
