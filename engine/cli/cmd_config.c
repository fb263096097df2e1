/* tranship config. Decides how settings are printed; conf/ knows what they are. */
#include "engine/cli/cli.h"

#include "api/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define KEY_COLUMNS 18
#define VALUE_COLUMNS 24

/* As a configuration file wants it: what is printed can be one. */
static int add_quoted(const char *value, struct ts_str *out)
{
        size_t n = strlen(value);

        if (n > 0 && !strpbrk(value, "#\"") && value[0] != ' ' && value[n - 1] != ' ')
                return ts_str_adds(out, value, NULL);
        (void)ts_str_adds(out, "\"", NULL);
        for (; *value; value++)
                (void)ts_str_addf(out, NULL, "%s%c", strchr("\"\\", *value) ? "\\" : "", *value);
        return ts_str_adds(out, "\"", NULL);
}

static void add_line(void *ctx, const char *key, const char *value, const char *origin, const char *help)
{
        ts_auto_str text = TS_STR_INIT;

        (void)help;
        if (add_quoted(value, &text) == 0)
                (void)ts_str_addf(ctx, NULL, "%-*s = %-*s # %s\n", KEY_COLUMNS, key, VALUE_COLUMNS, ts_str_cstr(&text), origin);
}

static void add_member(void *ctx, const char *key, const char *value, const char *origin, const char *help)
{
        struct ts_json *o = ts_json_object();

        (void)ts_json_set_str(o, "value", value);
        (void)ts_json_set_str(o, "origin", origin);
        (void)ts_json_set_str(o, "help", help);
        (void)ts_json_set(ctx, key, o);
}

static int print_json(const struct ts_conf *conf)
{
        ts_auto(ts_json) struct ts_json *all = ts_json_object();
        ts_auto_free char *text = NULL;

        if (!all)
                return -1;
        ts_conf_each(conf, add_member, all);
        text = ts_json_text(all, /* pretty= */ true);
        if (text)
                ts_cli_print(stdout, "%s\n", text);
        return text ? 0 : -1;
}

int ts_cmd_config(struct ts_cli *cli)
{
        ts_auto_str text = TS_STR_INIT;

        if (cli->args.json)
                return ts_cli_flush(print_json(cli->conf) < 0 ? 1 : 0);
        ts_conf_each(cli->conf, add_line, &text);
        ts_cli_print(stdout, "%s", ts_str_cstr(&text));
        return ts_cli_flush(0);
}
