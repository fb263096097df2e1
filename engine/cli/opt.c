/* Option parsing. Decides what a command line says by a table; does not decide what it means. getopt_long is underneath. */
#include "engine/cli/opt.h"

#include "base/mem.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 128
#define NAME_SIZE 32
#define FIRST_VALUE 0x1000 /* what getopt_long returns for long option n; above every letter */

/* A table flattened for getopt_long. A boolean setting is there twice: as itself and as no-NAME. */
struct words {
        const struct ts_opt *opts[OPTIONS_MAX];
        bool negated[OPTIONS_MAX];
        char names[OPTIONS_MAX][NAME_SIZE];
        struct option long_opts[OPTIONS_MAX + 1];
        const char *name_list[OPTIONS_MAX + 1];
        char letters[2 * OPTIONS_MAX + 2];
        size_t n;
};

static const char *const type_names[] = {
        [TS_OPT_FLAG] = "flag",         [TS_OPT_COUNT] = "count",     [TS_OPT_STRING] = "string", [TS_OPT_LIST] = "list",  [TS_OPT_CHOICE] = "choice",
        [TS_OPT_OPTIONAL] = "optional", [TS_OPT_SETTING] = "setting", [TS_OPT_PATH] = "path",
};

const char *ts_opt_type_str(enum ts_opt_type t)
{
        return type_names[t];
}

static void setting_key(const struct ts_opt *o, char buf[NAME_SIZE])
{
        (void)snprintf(buf, NAME_SIZE, "%s", o->name);
        for (char *p = buf; *p; p++)
                if (*p == '-')
                        *p = '_';
}

const struct ts_setting *ts_opt_setting(const struct ts_opt *o)
{
        char key[NAME_SIZE];
        size_t n;
        const struct ts_setting *all = ts_conf_settings(&n);

        if (o->type != TS_OPT_SETTING && o->type != TS_OPT_PATH)
                return NULL;
        setting_key(o, key);
        for (size_t i = 0; i < n; i++)
                if (strcmp(all[i].key, key) == 0)
                        return &all[i];
        abort();
}

bool ts_opt_can_negate(const struct ts_opt *o)
{
        const struct ts_setting *s = ts_opt_setting(o);

        return s && s->type == TS_SET_BOOL;
}

bool ts_opt_takes_argument(const struct ts_opt *o)
{
        switch (o->type) {
        case TS_OPT_FLAG:
        case TS_OPT_COUNT:
        case TS_OPT_OPTIONAL:
                return false;
        case TS_OPT_SETTING:
                return !ts_opt_can_negate(o);
        case TS_OPT_STRING:
        case TS_OPT_LIST:
        case TS_OPT_CHOICE:
        case TS_OPT_PATH:
                return true;
        }
        return false;
}

const struct ts_opt *ts_opt_find(const struct ts_opt_group *groups, const char *name)
{
        for (; groups->opts; groups++)
                for (const struct ts_opt *o = groups->opts; o->name; o++)
                        if (strcmp(o->name, name) == 0)
                                return o;
        return NULL;
}

/* ---- the table for getopt_long ---- */

static int add_word(struct words *w, const struct ts_opt *o, bool negated, struct ts_err *err)
{
        int has = ts_opt_takes_argument(o) ? required_argument : o->type == TS_OPT_OPTIONAL ? optional_argument : no_argument;
        size_t i = w->n;

        if (i == OPTIONS_MAX)
                return ts_err_set(err, TS_EINTERNAL, "more than %d options in a table", OPTIONS_MAX);
        (void)snprintf(w->names[i], sizeof(w->names[i]), "%s%s", negated ? "no-" : "", o->name);
        w->opts[i] = o;
        w->negated[i] = negated;
        w->name_list[i] = w->names[i];
        w->long_opts[i] = (struct option){ w->names[i], has, NULL, FIRST_VALUE + (int)i };
        if (o->letter && !negated) {
                char *end = w->letters + strlen(w->letters);

                (void)snprintf(end, 3, "%c%s", o->letter, has == required_argument ? ":" : "");
        }
        w->n++;
        return 0;
}

static int make_words(const struct ts_opt_group *groups, struct words *w, struct ts_err *err)
{
        *w = (struct words){ .letters = ":" }; /* tells a missing argument from an unknown option */
        for (; groups->opts; groups++)
                for (const struct ts_opt *o = groups->opts; o->name; o++)
                        if (add_word(w, o, false, err) < 0 || (ts_opt_can_negate(o) && add_word(w, o, true, err) < 0))
                                return -1;
        return 0;
}

static size_t word_of_letter(const struct words *w, int letter)
{
        for (size_t i = 0; i < w->n; i++)
                if (w->opts[i]->letter == letter && !w->negated[i])
                        return i;
        return w->n;
}

/* ---- what getopt_long refused ---- */

static int unknown_option(const struct words *w, const char *name, struct ts_err *err)
{
        const char *near = ts_opt_nearest(name, w->name_list);

        if (near)
                return ts_err_set(err, TS_EUSAGE, "unknown option '--%.60s'; did you mean '--%s'?", name, near);
        return ts_err_set(err, TS_EUSAGE, "unknown option '--%.60s'", name);
}

static int ambiguous_option(const struct words *w, const char *name, size_t len, struct ts_err *err)
{
        ts_auto_str list = TS_STR_INIT;

        for (size_t i = 0; i < w->n; i++)
                if (strncmp(w->names[i], name, len) == 0 && ts_str_addf(&list, err, "%s'--%s'", list.len ? ", " : "", w->names[i]) < 0)
                        return -1;
        return ts_err_set(err, TS_EUSAGE, "option '--%.60s' is ambiguous: %s", name, ts_str_cstr(&list));
}

static int refused_option(const struct words *w, int c, const char *word, struct ts_err *err)
{
        ts_auto_free char *name = NULL;
        size_t len;

        if (c == ':' && optopt < FIRST_VALUE)
                return ts_err_set(err, TS_EUSAGE, "option '-%c' needs %s", optopt, ts_opt_arg(w->opts[word_of_letter(w, optopt)]));
        if (c == ':')
                return ts_err_set(err, TS_EUSAGE, "option '--%s' needs %s", w->names[optopt - FIRST_VALUE],
                                  ts_opt_arg(w->opts[optopt - FIRST_VALUE]));
        if (optopt >= FIRST_VALUE)
                return ts_err_set(err, TS_EUSAGE, "option '--%s' takes no argument", w->names[optopt - FIRST_VALUE]);
        if (optopt)
                return ts_err_set(err, TS_EUSAGE, "unknown option '-%c'", optopt);
        len = strcspn(word + 2, "=");
        name = ts_fmt("%.*s", (int)(len > 64 ? 64 : len), word + 2);
        if (!name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < w->n; i++)
                if (len > 0 && strncmp(w->names[i], name, strlen(name)) == 0)
                        return ambiguous_option(w, name, strlen(name), err);
        return unknown_option(w, name, err);
}

/* ---- values ---- */

static int check_choice(const struct ts_opt *o, const char *value, struct ts_err *err)
{
        ts_auto_str list = TS_STR_INIT;

        for (const char *const *c = o->choices; *c; c++)
                if (strcmp(*c, value) == 0)
                        return 0;
        for (const char *const *c = o->choices; *c; c++)
                if (ts_str_addf(&list, err, "%s%s", !list.len ? "" : c[1] ? ", " : " or ", *c) < 0)
                        return -1;
        return ts_err_set(err, TS_EUSAGE, "'--%s' takes %s, not '%.60s'", o->name, ts_str_cstr(&list), value);
}

static int store_setting(const struct ts_opt *o, const char *value, struct ts_list *list, struct ts_err *err)
{
        ts_auto_free char *cwd = NULL;
        char key[NAME_SIZE];

        setting_key(o, key);
        if (o->type != TS_OPT_PATH || *value == '/')
                return ts_list_addf(list, err, "%s=%s", key, value);
        cwd = getcwd(NULL, 0);
        if (!cwd)
                return ts_err_errno(err, errno, "cannot find out the working directory");
        return ts_list_addf(list, err, "%s=%s/%s", key, strcmp(cwd, "/") == 0 ? "" : cwd, value);
}

static int store(const struct ts_opt *o, bool negated, const char *value, void *into, struct ts_err *err)
{
        void *field = (char *)into + o->offset;

        switch (o->type) {
        case TS_OPT_FLAG:
                *(bool *)field = true;
                return 0;
        case TS_OPT_COUNT:
                ++*(unsigned *)field;
                return 0;
        case TS_OPT_CHOICE:
                if (check_choice(o, value, err) < 0)
                        return -1;
                *(const char **)field = value;
                return 0;
        case TS_OPT_STRING:
                if (!*value)
                        return ts_err_set(err, TS_EUSAGE, "'--%s' needs %s, not nothing", o->name, ts_opt_arg(o));
                *(const char **)field = value;
                return 0;
        case TS_OPT_LIST:
                return ts_list_add(field, value, err);
        case TS_OPT_OPTIONAL:
                *(const char **)field = ts_or(value, "");
                return 0;
        case TS_OPT_SETTING:
        case TS_OPT_PATH:
                if (value && !*value)
                        return ts_err_set(err, TS_EUSAGE, "'--%s' needs %s, not nothing", o->name, ts_opt_arg(o));
                return store_setting(o, value ? value : negated ? "no" : "yes", field, err);
        }
        return ts_err_set(err, TS_EINTERNAL, "option '%s' has no type", o->name);
}

/* "--events FILE" as two words, where FILE cannot be the name of a container. */
static bool is_separate_file(const char *word)
{
        return word && (strcmp(word, "-") == 0 || ts_starts(word, "fd:") || strchr(word, '/'));
}

static int take_option(const struct words *w, int c, int argc, char **argv, void *into, struct ts_err *err)
{
        size_t i = c >= FIRST_VALUE ? (size_t)(c - FIRST_VALUE) : word_of_letter(w, c);
        const struct ts_opt *o = i < w->n ? w->opts[i] : NULL;
        const char *value = optarg;

        if (!o)
                return ts_err_set(err, TS_EINTERNAL, "getopt_long found an option that is not in the table");
        if (o->type == TS_OPT_OPTIONAL && !value && optind < argc && argv[optind][0] && (argv[optind][0] != '-' || !argv[optind][1]) &&
            is_separate_file(argv[optind]))
                value = argv[optind++];
        return store(o, w->negated[i], value, into, err);
}

int ts_opt_parse(const struct ts_opt_group *groups, int argc, char **argv, void *into, struct ts_list *operands, struct ts_err *err)
{
        struct words w;
        int c;

        if (make_words(groups, &w, err) < 0)
                return -1;
        optind = 0; /* glibc: start afresh */
        opterr = 0;
        while ((c = getopt_long(argc, argv, w.letters, w.long_opts, NULL)) != -1) {
                if (c == '?' || c == ':')
                        return refused_option(&w, c, argv[optind - 1], err);
                if (take_option(&w, c, argc, argv, into, err) < 0)
                        return -1;
        }
        for (int i = optind; i < argc; i++)
                if (ts_list_add(operands, argv[i], err) < 0)
                        return -1;
        return 0;
}

int ts_opt_apply_settings(const struct ts_list *settings, struct ts_conf *conf, struct ts_err *err)
{
        for (size_t i = 0; i < settings->n; i++) {
                const char *equals = strchr(settings->v[i], '=');
                ts_auto_free char *key = strndup(settings->v[i], (size_t)(equals - settings->v[i])),
                                  *origin = ts_fmt("--%s", ts_or(key, ""));

                if (!key || !origin)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                for (char *p = origin + 2; *p; p++)
                        if (*p == '_')
                                *p = '-';
                if (ts_conf_set(conf, key, equals + 1, origin, err) < 0)
                        return -1;
        }
        return 0;
}
