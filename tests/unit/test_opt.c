/* The option tables of the commands and their parser. */
#include "engine/cli/opt.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "engine/cli/cli.h"
#include "tests/unit/unit.h"

#include <limits.h>
#include <stdint.h>
#include <unistd.h>

/* One parse of a line divided at blanks; ends the test's memory by itself. */
struct parsed {
        struct ts_args args;
        struct ts_list operands;
        struct ts_err err;
        int rc;
        char *words[32];
        char line[512];
};
static void parsed_clear(struct parsed *p)
{
        ts_list_clear(&p->args.settings);
        ts_list_clear(&p->operands);
        ts_err_clear(&p->err);
}
#define auto_parsed __attribute__((cleanup(parsed_clear))) struct parsed

static void parse(struct parsed *p, const char *command, const char *line)
{
        const struct ts_command *c = ts_command_find(command, NULL);
        int n = 0;

        memset(p, 0, sizeof(*p));
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        (void)snprintf(p->line, sizeof(p->line), "%s %s", command, line);
        for (char *save = NULL, *word = strtok_r(p->line, " ", &save); word && n < 31; word = strtok_r(NULL, " ", &save))
                p->words[n++] = word;
        p->rc = ts_opt_parse(c->groups, n, p->words, &p->args, &p->operands, &p->err);
}

static void fails(const char *command, const char *line, const char *message)
{
        auto_parsed p;

        parse(&p, command, line);
        CU_ASSERT_EQUAL(p.rc, -1);
        CU_ASSERT_EQUAL(p.err.code, TS_EUSAGE);
        UNIT_STR(ts_err_message(&p.err), message);
}

static void kinds(void)
{
        auto_parsed p;

        parse(&p, "move", "web --to ssh://h --cold -vv --verbose --json --events=fd:3");
        CU_ASSERT_EQUAL_FATAL(p.rc, 0);
        CU_ASSERT_TRUE(p.args.cold && p.args.json && !p.args.quiet);
        CU_ASSERT_EQUAL(p.args.verbose, 3);
        UNIT_STR(p.args.events, "fd:3");
        CU_ASSERT_EQUAL(p.operands.n, 1);
        UNIT_STR(p.operands.v[0], "web");
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "to=ssh://h"));
}

static void choices(void)
{
        auto_parsed p;

        parse(&p, "report", "--format csv a b");
        CU_ASSERT_EQUAL(p.rc, 0);
        UNIT_STR(p.args.format, "csv");
        CU_ASSERT_EQUAL(p.operands.n, 2);
        fails("report", "--format xml a", "'--format' takes text, csv, json, prometheus or html, not 'xml'");
}

static void unique_prefixes(void)
{
        auto_parsed p;

        parse(&p, "move", "--transf scp --keep --verify tcp://x:1");
        CU_ASSERT_EQUAL(p.rc, 0);
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "transfer=scp"));
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "keep_source=yes"));
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "verify=tcp://x:1"));
        fails("move", "--verif x", "option '--verif' is ambiguous: '--verify', '--verify-timeout'");
}

static void refused(void)
{
        fails("move", "--foo", "unknown option '--foo'; did you mean '--from'?");
        fails("move", "--jsno", "unknown option '--jsno'; did you mean '--json'?");
        fails("move", "--keep-sauce=1", "unknown option '--keep-sauce'; did you mean '--keep-source'?");
        fails("move", "--entirely-different", "unknown option '--entirely-different'");
        fails("move", "-X", "unknown option '-X'");
        fails("move", "--json=yes", "option '--json' takes no argument");
        fails("move", "--keep-source=yes", "option '--keep-source' takes no argument");
        fails("move", "--to", "option '--to' needs ENGINE");
        fails("move", "web -i", "option '-i' needs FILE");
        fails("move", "--to=", "'--to' needs ENGINE, not nothing");
        fails("status", "--to x", "unknown option '--to'");
}

static void negation(void)
{
        auto_parsed p;

        parse(&p, "move", "--no-keep-source --no-accept-new");
        CU_ASSERT_EQUAL(p.rc, 0);
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "keep_source=no"));
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "accept_new=no"));
        fails("move", "--no-json", "unknown option '--no-json'; did you mean '--json'?");
}

static void optional_argument_as_a_word(void)
{
        static const struct {
                const char *line, *events, *operand;
        } cases[] = {
                { "--events web", "", "web" },
                { "--events=- web", "-", "web" },
                { "--events - web", "-", "web" },
                { "web --events", "", "web" },
                { "--events fd:7 web", "fd:7", "web" },
                { "--events ./x web", "./x", "web" },
                { "web --events /tmp/x", "/tmp/x", "web" },
                { "--events --json web", "", "web" },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                auto_parsed p;

                parse(&p, "move", cases[i].line);
                CU_ASSERT_EQUAL(p.rc, 0);
                UNIT_STR(p.args.events, cases[i].events);
                CU_ASSERT_EQUAL_FATAL(p.operands.n, 1);
                UNIT_STR(p.operands.v[0], cases[i].operand);
        }
}

static void end_of_options(void)
{
        auto_parsed p;

        parse(&p, "report", "-- --format -");
        CU_ASSERT_EQUAL(p.rc, 0);
        CU_ASSERT_EQUAL_FATAL(p.operands.n, 2);
        UNIT_STR(p.operands.v[0], "--format");
        UNIT_STR(p.operands.v[1], "-");
}

static void relative_paths(void)
{
        char cwd[PATH_MAX], want[PATH_MAX + 64];
        auto_parsed p;

        CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(cwd, sizeof(cwd)));
        (void)snprintf(want, sizeof(want), "identity=%s/keys/id", strcmp(cwd, "/") == 0 ? "" : cwd);
        parse(&p, "move", "-i keys/id -F /etc/x --staging here");
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, want));
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "ssh_config=/etc/x"));
        CU_ASSERT_TRUE(ts_list_has(&p.args.settings, "staging=here")); /* on the hosts: conf/ refuses it */
}

static void settings_reach_conf(void)
{
        const char *const none[] = { NULL };
        ts_auto(ts_conf) struct ts_conf *conf = NULL;
        ts_auto_err err = TS_ERR_INIT;
        auto_parsed p;

        UNIT_OK(ts_conf_load_files(none, false, &conf, &err));
        parse(&p, "move", "--to ssh://h --connect-timeout 500ms --volume a=replace --volume b=shared --accept-new");
        UNIT_OK(ts_opt_apply_settings(&p.args.settings, conf, &err));
        UNIT_STR(ts_conf_str(conf, "to"), "ssh://h");
        CU_ASSERT_EQUAL(ts_conf_u64(conf, "connect_timeout"), 500);
        CU_ASSERT_EQUAL(ts_conf_list(conf, "volume")->n, 2);
        CU_ASSERT_TRUE(ts_conf_bool(conf, "accept_new"));
        UNIT_STR(ts_conf_origin(conf, "connect_timeout"), "--connect-timeout");
}

static void bad_settings(void)
{
        static const char *const lines[] = { "--connect-timeout soon", "--transfer pigeon", "--volume a=burn",
                                             "--bind x=copy",          "--skip ../x",       "--staging here" };
        const char *const none[] = { NULL };

        for (size_t i = 0; i < TS_ARRAY_LEN(lines); i++) {
                ts_auto(ts_conf) struct ts_conf *conf = NULL;
                ts_auto_err err = TS_ERR_INIT;
                auto_parsed p;

                UNIT_OK(ts_conf_load_files(none, false, &conf, &err));
                parse(&p, "move", lines[i]);
                CU_ASSERT_EQUAL(p.rc, 0);
                CU_ASSERT_EQUAL(ts_opt_apply_settings(&p.args.settings, conf, &err), -1);
                CU_ASSERT_EQUAL(err.code, TS_EUSAGE);
                CU_ASSERT_TRUE(ts_starts(ts_err_message(&err), "--"));
        }
}

/* ---- the tables ---- */

static void each_option(void (*visit)(const struct ts_command *c, const struct ts_opt *o))
{
        for (const struct ts_command *c = ts_commands; c->name; c++)
                for (const struct ts_opt_group *g = c->groups; g->opts; g++)
                        for (const struct ts_opt *o = g->opts; o->name; o++)
                                visit(c, o);
}

static void well_formed(const struct ts_command *c, const struct ts_opt *o)
{
        unsigned same_name = 0, same_letter = 0;

        for (const struct ts_opt_group *g = c->groups; g->opts; g++)
                for (const struct ts_opt *other = g->opts; other->name; other++) {
                        same_name += strcmp(o->name, other->name) == 0;
                        same_letter += o->letter && o->letter == other->letter;
                }
        CU_ASSERT_EQUAL(same_name, 1);
        CU_ASSERT_TRUE(same_letter <= 1);
        CU_ASSERT_TRUE(*ts_opt_help(o) != '\0');
        CU_ASSERT_EQUAL(ts_opt_takes_argument(o) || o->type == TS_OPT_OPTIONAL, *ts_opt_arg(o) != '\0');
        CU_ASSERT_TRUE(!ts_opt_setting(o) || (!o->help && !o->arg)); /* said once, in conf/ */
}

static void in_help(const struct ts_command *c, const struct ts_opt *o)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        ts_auto_free char *name = ts_fmt("--%s%s", ts_opt_can_negate(o) ? "[no-]" : "", o->name);

        UNIT_OK(ts_command_help(c, 100, &text, &err));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&text), name));
}

static void tables_are_well_formed(void)
{
        each_option(well_formed);
}
static void help_names_every_option(void)
{
        each_option(in_help);
}

static void every_setting_is_an_option_of_move(void)
{
        const struct ts_command *move = ts_command_find("move", NULL);
        size_t n;
        const struct ts_setting *all = ts_conf_settings(&n);

        for (size_t i = 0; i < n; i++) {
                char name[64];

                (void)snprintf(name, sizeof(name), "%s", all[i].key);
                for (char *p = name; *p; p++)
                        *p = *p == '_' ? '-' : *p;
                if (!ts_opt_find(move->groups, name))
                        (void)printf("\n    no option --%s\n", name);
                CU_ASSERT_PTR_NOT_NULL(ts_opt_find(move->groups, name));
        }
}

static void exit_statuses_are_in_order(void)
{
        int n = 0;

        for (const struct ts_exit_status *e = ts_exit_statuses; e->text; e++)
                CU_ASSERT_EQUAL(e->status, n++);
        CU_ASSERT_EQUAL(n, 8);
}

static void unknown_commands(void)
{
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_PTR_NULL(ts_command_find("mvoe", &err));
        UNIT_STR(ts_err_message(&err), "unknown command 'mvoe'; did you mean 'move'?");
        ts_err_clear(&err);
        CU_ASSERT_PTR_NULL(ts_command_find("juggle", &err));
        UNIT_STR(ts_err_message(&err), "unknown command 'juggle'");
}

static void nearest(void)
{
        static const char *const names[] = { "from", "to", "transfer", "cold", NULL };

        UNIT_STR(ts_opt_nearest("fromm", names), "from");
        UNIT_STR(ts_opt_nearest("form", names), "from");
        UNIT_STR(ts_opt_nearest("tranfser", names), "transfer");
        UNIT_STR(ts_opt_nearest("ot", names), "to");
        CU_ASSERT_PTR_NULL(ts_opt_nearest("everything", names));
        CU_ASSERT_PTR_NULL(ts_opt_nearest("a-name-that-is-much-longer-than-any-option-may-be", names));
}

static CU_TestInfo tests[] = {
        UNIT(kinds),
        UNIT(choices),
        UNIT(unique_prefixes),
        UNIT(refused),
        UNIT(negation),
        UNIT(optional_argument_as_a_word),
        UNIT(end_of_options),
        UNIT(relative_paths),
        UNIT(settings_reach_conf),
        UNIT(bad_settings),
        UNIT(tables_are_well_formed),
        UNIT(help_names_every_option),
        UNIT(every_setting_is_an_option_of_move),
        UNIT(exit_statuses_are_in_order),
        UNIT(unknown_commands),
        UNIT(nearest),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("opt", tests)
