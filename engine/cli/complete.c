/* What the program tells other programs about its own command line: completion scripts and the documentation's test ask it, so that they
 * cannot drift. */
#include "engine/cli/cli.h"

#include "base/mem.h"
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>

/* ---- --dump-options ----
 * Tab-separated lines, fields may be empty:
 *   command NAME OPERANDS SUMMARY
 *   option  COMMAND --NAME -LETTER TYPE ARGUMENT CHOICE|CHOICE... --no-NAME HELP
 *   setting KEY TYPE DEFAULT VARIABLE HELP
 *   exit    STATUS TEXT */

static void print_choices(const char *const *choices)
{
        for (size_t i = 0; choices && choices[i]; i++)
                ts_cli_print(stdout, "%s%s", i ? "|" : "", choices[i]);
}

static void dump_option(const struct ts_command *c, const struct ts_opt *o)
{
        ts_cli_print(stdout, "option\t%s\t--%s\t%s%.1s\t%s\t%s\t", c->name, o->name, o->letter ? "-" : "",
                     &o->letter, ts_opt_type_str(o->type), ts_opt_arg(o));
        print_choices(ts_opt_choices(o));
        ts_cli_print(stdout, "\t%s%s\t%s\n", ts_opt_can_negate(o) ? "--no-" : "",
                     ts_opt_can_negate(o) ? o->name : "", ts_opt_help(o));
}

int ts_dump_options(void)
{
        size_t n;
        const struct ts_setting *settings = ts_conf_settings(&n);

        for (const struct ts_command *c = ts_commands; c->name; c++) {
                ts_cli_print(stdout, "command\t%s\t%s\t%s\n", c->name, c->operands, c->summary);
                for (const struct ts_opt_group *g = c->groups; g->opts; g++)
                        for (const struct ts_opt *o = g->opts; o->name; o++)
                                dump_option(c, o);
        }
        for (size_t i = 0; i < n; i++) {
                char variable[64];

                ts_conf_env_name(settings[i].key, variable);
                ts_cli_print(stdout, "setting\t%s\t%s\t%s\t%s\t%s\n", settings[i].key,
                             ts_setting_type_str(settings[i].type), settings[i].fallback, variable, settings[i].help);
        }
        for (const struct ts_exit_status *e = ts_exit_statuses; e->text; e++)
                ts_cli_print(stdout, "exit\t%d\t%s\n", e->status, e->text);
        return ts_cli_flush(0);
}

/* ---- __complete ---- */

static void offer(const char *prefix, const char *candidate, const char *begun)
{
        size_t n = strlen(prefix);

        if (strncmp(prefix, begun, n) == 0 ? ts_starts(candidate, begun + n) : ts_starts(prefix, begun))
                ts_cli_print(stdout, "%s%s\n", prefix, candidate);
}

/* Of "word:DIR" the part that is always the same. */
static void offer_choice(const char *choice, const char *begun)
{
        const char *colon = strchr(choice, ':');
        ts_auto_free char *fixed = colon ? ts_fmt("%.*s:/", (int)(colon - choice), choice) : ts_strdup0(choice);

        offer("", ts_or(fixed, ""), begun);
}

static void offer_options(const struct ts_command *c, const char *begun)
{
        for (const struct ts_opt_group *g = c->groups; g->opts; g++)
                for (const struct ts_opt *o = g->opts; o->name; o++) {
                        offer("--", o->name, begun);
                        if (ts_opt_can_negate(o) && strlen(begun) > 2) /* not before somebody begins to type it */
                                offer("--no-", o->name, begun);
                }
}

static const struct ts_opt *option_of_word(const struct ts_command *c, const char *word)
{
        if (ts_starts(word, "--"))
                return ts_opt_find(c->groups, word + 2);
        for (const struct ts_opt_group *g = c->groups; word[0] == '-' && word[1] && !word[2] && g->opts; g++)
                for (const struct ts_opt *o = g->opts; o->name; o++)
                        if (o->letter == word[1])
                                return o;
        return NULL;
}

/* IDs of the journal: those that are not over for recover, all for status. */
static void offer_ids(const struct ts_command *c, const char *begun)
{
        struct ts_statuses all = { NULL, 0 };

        if (ts_status(/* state_dir= */ NULL, &all, /* err= */ NULL) == 0)
                for (size_t i = 0; i < all.n; i++)
                        if (!all.v[i].final || strcmp(c->name, "status") == 0)
                                offer("", ts_or(all.v[i].id, ""), begun);
        ts_statuses_clear(&all);
}

static void offer_scenarios(const char *begun)
{
        for (const struct ts_scenario *s = ts_scenarios; s->name; s++)
                offer("", s->name, begun);
}

static void offer_commands(const char *begun)
{
        for (const struct ts_command *c = ts_commands; c->name; c++)
                offer("", c->name, begun);
        if (begun[0] == '-') {
                offer("--", "help", begun);
                offer("--", "version", begun);
        }
}

int ts_complete(int n, char *const words[])
{
        const char *begun = n > 0 ? words[n - 1] : "", *before = n > 1 ? words[n - 2] : "";
        const struct ts_command *c = n > 1 ? ts_command_find(words[0], /* err= */ NULL) : NULL;
        const struct ts_opt *o;

        if (n > 3 && strcmp(before, "=") == 0) /* bash divides --name=value into three words */
                before = words[n - 3];
        else if (strcmp(begun, "=") == 0)
                begun = "";
        o = c && n > 2 ? option_of_word(c, before) : NULL;
        if (n <= 1)
                offer_commands(begun);
        else if (o && ts_opt_takes_argument(o)) {
                const char *const *choices = ts_opt_choices(o);

                for (; choices && *choices; choices++)
                        offer_choice(*choices, begun);
        } else if (c && begun[0] == '-')
                offer_options(c, begun);
        else if (c && (strcmp(c->name, "status") == 0 || strcmp(c->name, "recover") == 0))
                offer_ids(c, begun);
        else if (c && strcmp(c->name, "bench") == 0)
                offer_scenarios(begun);
        return ts_cli_flush(0);
}
