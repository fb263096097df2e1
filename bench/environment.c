/* What is around the moves: options for them, and a program that makes it so. */
#include "bench/internal.h"

#include "base/io.h"
#include "base/log.h"

#include <string.h>

#define HOOK_TIMEOUT_MS 300000U
#define HOOK_MAX_BYTES ((size_t)64 << 10)

/* What it prints on its first line. */
static int run_hook(struct ts_bench *b, const char *verb, char **ret_how, struct ts_err *err)
{
        const char *const argv[] = { b->o->hook, verb, b->environment, NULL };
        ts_auto(ts_host) struct ts_host *here = NULL;
        struct ts_run_opts o = { .timeout_ms = HOOK_TIMEOUT_MS, .max_output = HOOK_MAX_BYTES };
        ts_auto_free char *out = NULL;

        if (ts_host_local(&here, err) < 0 || ts_host_check(here, argv, &o, &out, err) < 0)
                return ts_err_prefix(err, "%s %s %s", b->o->hook, verb, b->environment);
        if (ret_how)
                *ret_how = ts_printable(out, strcspn(out, "\n"), 200);
        return 0;
}

int ts_environments_check(const struct ts_list *specs, struct ts_err *err)
{
        ts_auto_list names = TS_LIST_INIT;

        for (size_t i = 0; specs && i < specs->n; i++) {
                ts_auto_free char *name = strndup(specs->v[i], strcspn(specs->v[i], "="));

                if (!name || !ts_name_valid(name, 64))
                        return ts_err_set(err, TS_EUSAGE, "--environment: '%.60s' does not begin with a name", specs->v[i]);
                if (ts_list_has(&names, name))
                        return ts_err_set(err, TS_EUSAGE, "--environment: '%s' is there twice", name);
                if (ts_list_add(&names, name, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_environment_up(struct ts_bench *b, const char *spec, struct ts_err *err)
{
        const char *equals = strchr(spec, '=');
        ts_auto_free char *how = NULL, *full = NULL;
        ts_auto(ts_json) struct ts_json *o = ts_json_object();
        size_t len = equals ? (size_t)(equals - spec) : strlen(spec);

        b->environment = strndup(spec, len);
        if (!b->environment || !o)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_list_words(&b->options, equals ? equals + 1 : "", err) < 0 || (b->o->hook && *b->environment && run_hook(b, "up", &how, err) < 0))
                return -1;
        (void)ts_json_set_str(o, "name", b->environment);
        full = equals && equals[1] ? ts_fmt("%s%s%s", ts_or(how, ""), how && *how ? "; " : "", equals + 1) : ts_strdup0(ts_or(how, ""));
        (void)ts_json_set_str(o, "how", full);
        if (ts_link_facts(b, o, err) < 0)
                return -1;
        return ts_json_append(ts_json_member(b->result, "environments"), TS_TAKE(o)) < 0 ? ts_err_set(err, TS_ENOMEM, "out of memory") : 0;
}

static void warn_of(int rc, const struct ts_err *why)
{
        if (rc < 0)
                ts_log(TS_LOG_WARNING, "%s", ts_err_message(why));
}

void ts_environment_down(struct ts_bench *b)
{
        ts_auto_err why = TS_ERR_INIT;

        if (b->o->hook && b->environment && *b->environment)
                warn_of(run_hook(b, "down", NULL, &why), &why);
        free(TS_TAKE(b->environment));
        ts_list_clear(&b->options);
}
