/* Options of one command: a table that is parsed, explained, completed and dumped. Knows words, not what they do. */
#ifndef TRANSHIP_ENGINE_CLI_OPT_H
#define TRANSHIP_ENGINE_CLI_OPT_H

#include "base/err.h"
#include "base/str.h"
#include "conf/conf.h"

#include <stdbool.h>
#include <stddef.h>

/* What an option is, and what its field holds. */
enum ts_opt_type {
        TS_OPT_FLAG,   /* bool: no argument */
        TS_OPT_COUNT,  /* unsigned: no argument, counts how often it was given */
        TS_OPT_STRING, /* const char *: the last one counts */
        TS_OPT_LIST,   /* struct ts_list: every one of them, in their order */
        TS_OPT_CHOICE, /* const char *: one of choices */
        /* const char *, "" without an argument. A word of its own is taken only where it cannot be a name: "-", fd:N, or with a slash. */
        TS_OPT_OPTIONAL,
        /* struct ts_list of "key=value": a setting of conf/ (the key is the name with '_' for '-'), whose type, argument and help count. A
         * boolean takes no argument; --no-NAME is there too. */
        TS_OPT_SETTING,
        TS_OPT_PATH /* the same for a path on this machine: a relative one is made absolute */
};
const char *ts_opt_type_str(enum ts_opt_type t); /* "flag", "count", … : the words of --dump-options */

struct ts_opt {
        const char *name; /* without the dashes; NULL ends a group */
        char letter;      /* short form, or 0 */
        enum ts_opt_type type;
        const char *arg;            /* what --help calls the argument: "FILE"; NULL where there is none, and for settings */
        size_t offset;              /* of the field in what ts_opt_parse fills */
        const char *const *choices; /* CHOICE: NULL-terminated */
        const char *help;           /* one line; NULL for settings */
};
struct ts_opt_group {
        const char *title; /* heading in --help */
        const struct ts_opt *opts;
};

/* Parses argv[1..] into the struct at `into` (zero-initialised by the caller; strings are borrowed from argv, lists are copies). Unique
 * prefixes do, "--" ends the options, operands may stand anywhere. TS_EUSAGE, with the nearest name for an unknown one. groups is ended
 * by one without opts; argv is permuted. Not thread-safe (getopt). */
int ts_opt_parse(const struct ts_opt_group *groups, int argc, char **argv, void *into, struct ts_list *operands, struct ts_err *err);

/* The option with exactly this long name, or NULL. */
const struct ts_opt *ts_opt_find(const struct ts_opt_group *groups, const char *name);
/* Of a SETTING or PATH; NULL for others. A name without a setting is a bug (abort). */
const struct ts_setting *ts_opt_setting(const struct ts_opt *o);
bool ts_opt_takes_argument(const struct ts_opt *o); /* must have one */
bool ts_opt_can_negate(const struct ts_opt *o);     /* a boolean setting: --no-NAME too, against what a file or the environment says */
/* Borrowed, never NULL: from the table, or from conf/. */
const char *ts_opt_arg(const struct ts_opt *o);
const char *ts_opt_help(const struct ts_opt *o);
/* The words that may be its argument, NULL-terminated, or NULL if anything goes. */
const char *const *ts_opt_choices(const struct ts_opt *o);
/* Gives conf the settings of a list that ts_opt_parse filled, with "--name" as their origin. */
int ts_opt_apply_settings(const struct ts_list *settings, struct ts_conf *conf, struct ts_err *err);
/* Appends "  -q, --quiet   only errors" lines, wrapped to columns. */
int ts_opt_help_text(const struct ts_opt_group *groups, unsigned columns, struct ts_str *out, struct ts_err *err);

/* The name of names (NULL-terminated) nearest to word, or NULL when none is near: for "did you mean". */
const char *ts_opt_nearest(const char *word, const char *const names[]);

#endif
