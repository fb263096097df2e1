/* Options explained: --help, and the nearest name to a mistyped one. Decides how it reads; knows no option. */
#include "engine/cli/opt.h"

#include "base/mem.h"
#include "engine/cli/term.h"

#include <stdint.h>
#include <string.h>

#define HELP_AT 30 /* column of the explanations */
#define NAME_MAX_BYTES 40

const char *ts_opt_arg(const struct ts_opt *o)
{
        const struct ts_setting *s = ts_opt_setting(o);

        return ts_or(s ? s->arg : o->arg, "");
}

const char *ts_opt_help(const struct ts_opt *o)
{
        const struct ts_setting *s = ts_opt_setting(o);

        return ts_or(s ? s->help : o->help, "");
}

const char *const *ts_opt_choices(const struct ts_opt *o)
{
        const struct ts_setting *s = ts_opt_setting(o);

        if (s)
                return s->type == TS_SET_ENUM ? s->choices : NULL;
        return o->type == TS_OPT_CHOICE ? o->choices : NULL;
}

/* "auto|scp|stream", or what the table calls the argument. */
static int add_argument(const struct ts_opt *o, struct ts_str *out, struct ts_err *err)
{
        const char *const *choices = ts_opt_choices(o);

        if (!choices)
                return ts_str_adds(out, ts_opt_arg(o), err);
        for (size_t i = 0; choices[i]; i++)
                if (ts_str_addf(out, err, "%s%s", i ? "|" : "", choices[i]) < 0)
                        return -1;
        return 0;
}

static int add_names(const struct ts_opt *o, struct ts_str *out, struct ts_err *err)
{
        if ((o->letter ? ts_str_addf(out, err, "  -%c, ", o->letter) : ts_str_adds(out, "      ", err)) < 0)
                return -1;
        if (ts_str_addf(out, err, "--%s%s", ts_opt_can_negate(o) ? "[no-]" : "", o->name) < 0)
                return -1;
        if (o->type == TS_OPT_OPTIONAL)
                return ts_str_addf(out, err, "[=%s]", ts_opt_arg(o));
        if (!ts_opt_takes_argument(o))
                return 0;
        return ts_str_adds(out, " ", err) < 0 ? -1 : add_argument(o, out, err);
}

static int add_option(const struct ts_opt *o, unsigned columns, struct ts_str *out, struct ts_err *err)
{
        const struct ts_setting *s = ts_opt_setting(o);
        bool has_default = s && s->type != TS_SET_BOOL && s->fallback[0];
        ts_auto_str names = TS_STR_INIT;
        ts_auto_free char *help = has_default ? ts_fmt("%s [%s]", ts_opt_help(o), s->fallback) : ts_fmt("%s", ts_opt_help(o));
        unsigned at;

        if (!help)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (add_names(o, &names, err) < 0 || ts_str_adds(out, ts_str_cstr(&names), err) < 0)
                return -1;
        at = ts_text_columns(ts_str_cstr(&names));
        if (at + 2 > HELP_AT ? ts_str_addf(out, err, "\n%*s", HELP_AT, "") < 0 : ts_str_addf(out, err, "%*s", (int)(HELP_AT - at), "") < 0)
                return -1;
        return ts_text_wrap(out, help, HELP_AT, HELP_AT, columns, err);
}

int ts_opt_help_text(const struct ts_opt_group *groups, unsigned columns, struct ts_str *out, struct ts_err *err)
{
        for (; groups->opts; groups++) {
                if (ts_str_addf(out, err, "\n%s:\n", groups->title) < 0)
                        return -1;
                for (const struct ts_opt *o = groups->opts; o->name; o++)
                        if (add_option(o, columns, out, err) < 0)
                                return -1;
        }
        return 0;
}

/* ---- did you mean ---- */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
        unsigned ab = a < b ? a : b;

        return ab < c ? ab : c;
}

/* Edits (insert, delete, replace, swap two neighbours) from a to b. */
static unsigned distance(const char *a, const char *b)
{
        unsigned rows[3][NAME_MAX_BYTES + 1];
        size_t n = strlen(a), m = strlen(b);

        if (n > NAME_MAX_BYTES || m > NAME_MAX_BYTES)
                return UINT32_MAX;
        for (size_t j = 0; j <= m; j++)
                rows[0][j] = (unsigned)j;
        for (size_t i = 1; i <= n; i++) {
                unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

                row[0] = (unsigned)i;
                for (size_t j = 1; j <= m; j++) {
                        row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < row[j])
                                row[j] = above2[j - 2] + 1;
                }
        }
        return rows[n % 3][m];
}

static size_t common_prefix(const char *a, const char *b)
{
        size_t n = 0;

        while (a[n] && a[n] == b[n])
                n++;
        return n;
}

const char *ts_opt_nearest(const char *word, const char *const names[])
{
        unsigned best_distance = (unsigned)(strlen(word) / 3 + 1);
        const char *best = NULL;

        for (; *names; names++) {
                unsigned d = distance(word, *names);

                if (d > best_distance || (best && d == best_distance && common_prefix(word, *names) <= common_prefix(word, best)))
                        continue;
                best = *names;
                best_distance = d;
        }
        return best;
}
