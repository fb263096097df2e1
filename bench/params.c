/* The parameters of a scenario: what may be said, and what was. Does not know what they mean. */
#include "bench/internal.h"

#include "conf/settings.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 64

/* clang-format off */
const struct ts_scenario_parameter ts_common_parameters[] = {
        { "runs",        "10",    "1", "of each kind that count; two before them, one in each direction, do not" },
        { "network",     "",      NULL, "network of the containers, the same on both hosts: one whose addresses can follow them (macvlan)" },
        { "address",     "",      NULL, "address of the container in that network" },
        { "run-options", "",      NULL, "further options of podman run, docker run, split at blanks" },
        { NULL, NULL, NULL, NULL },
};
/* clang-format on */

/* The i-th of the common ones and the scenario's own. */
static const struct ts_scenario_parameter *parameter(const struct ts_scenario *s, size_t i)
{
        for (const struct ts_scenario_parameter *p = ts_common_parameters; p->name; p++)
                if (i-- == 0)
                        return p;
        for (const struct ts_scenario_parameter *p = s->parameters; p->name; p++)
                if (i-- == 0)
                        return p;
        return NULL;
}

static size_t find(const struct ts_scenario *s, const char *name, size_t len)
{
        size_t i = 0;

        for (const struct ts_scenario_parameter *p; (p = parameter(s, i)); i++)
                if (strlen(p->name) == len && !strncmp(p->name, name, len))
                        break;
        return i;
}

static int unknown(const struct ts_scenario *s, const char *name, size_t len, struct ts_err *err)
{
        ts_auto_free char *word = strndup(name, len);
        const char *names[NAMES_MAX] = { NULL }, *near = NULL;

        size_t n = 0;

        for (; n < NAMES_MAX && parameter(s, n); n++)
                names[n] = parameter(s, n)->name;
        near = word ? ts_nearest(word, names, n) : NULL;
        if (near)
                return ts_err_set(err, TS_EUSAGE, "%s has no parameter '%.60s'; did you mean '%s'?", s->name, ts_or(word, ""), near);
        ts_err_set(err, TS_EUSAGE, "%s has no parameter '%.60s'", s->name, ts_or(word, ""));
        return ts_err_hint(err, "tranship bench lists them");
}

static int set_one(struct ts_bench *b, const char *said, struct ts_err *err)
{
        const char *equals = strchr(said, '=');
        size_t i = equals ? find(b->scenario, said, (size_t)(equals - said)) : 0;
        char *copy;

        if (!equals)
                return ts_err_set(err, TS_EUSAGE, "--set: '%.60s' is not NAME=VALUE", said);
        if (!parameter(b->scenario, i))
                return unknown(b->scenario, said, (size_t)(equals - said), err);
        copy = ts_strdup0(equals + 1);
        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        free(b->values.v[i]);
        b->values.v[i] = copy;
        return 0;
}

int ts_params_set(struct ts_bench *b, struct ts_err *err)
{
        const struct ts_scenario_parameter *p;

        for (size_t i = 0; (p = parameter(b->scenario, i)); i++)
                if (ts_list_add(&b->values, b->o->quick && p->quick ? p->quick : ts_or(p->fallback, ""), err) < 0)
                        return -1;
        for (size_t i = 0; b->o->set && i < b->o->set->n; i++)
                if (set_one(b, b->o->set->v[i], err) < 0)
                        return -1;
        for (size_t i = 0; (p = parameter(b->scenario, i)); i++)
                if (!p->fallback && !*b->values.v[i]) {
                        ts_err_set(err, TS_EUSAGE, "%s needs the parameter '%s': %s", b->scenario->name, p->name, p->help);
                        return ts_err_hint(err, "--set %s=VALUE", p->name);
                }
        return 0;
}

/* With the options that every move gets: they belong to what was measured. */
struct ts_json *ts_params_json(const struct ts_bench *b)
{
        struct ts_json *o = ts_json_object();
        ts_auto_str options = TS_STR_INIT;

        for (size_t i = 0; i < b->values.n; i++)
                (void)ts_json_set_str(o, parameter(b->scenario, i)->name, b->values.v[i]);
        for (size_t i = 0; b->o->move_options && i < b->o->move_options->n; i++)
                (void)ts_str_addf(&options, NULL, "%s%s", i ? " " : "", b->o->move_options->v[i]);
        (void)ts_json_set_str(o, "move", ts_str_cstr(&options));
        return o;
}

const char *ts_param(const struct ts_bench *b, const char *name)
{
        size_t i = find(b->scenario, name, strlen(name));

        if (i >= b->values.n)
                abort();
        return b->values.v[i];
}

int ts_param_u64(const struct ts_bench *b, const char *name, uint64_t *ret, struct ts_err *err)
{
        unsigned long long n = 0;

        if (ts_parse_u64(ts_param(b, name), 0, 1ULL << 40, &n, err) < 0)
                return ts_err_prefix(err, "parameter '%s'", name);
        *ret = n;
        return 0;
}

int ts_param_numbers(const struct ts_bench *b, const char *name, double *ret, size_t max, size_t *ret_n, struct ts_err *err)
{
        ts_auto_free char *copy = ts_strdup0(ts_param(b, name));
        size_t n = 0;

        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (char *save = NULL, *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
                char *end = NULL;
                double v = strtod(w, &end);

                if (end == w || *end || !isfinite(v) || v < 0)
                        return ts_err_set(err, TS_EUSAGE, "parameter '%s': '%.40s' is not a number", name, w);
                if (n == max)
                        return ts_err_set(err, TS_EUSAGE, "parameter '%s': more than %zu values", name, max);
                ret[n++] = v;
        }
        if (n == 0)
                return ts_err_set(err, TS_EUSAGE, "parameter '%s': a list of numbers is wanted, with commas between them", name);
        *ret_n = n;
        return 0;
}

static int text_of(const struct ts_scenario_parameter *p, struct ts_str *out, struct ts_err *err)
{
        for (; p->name; p++) {
                if (ts_str_addf(out, err, "    %-12s %s", p->name, p->help) < 0)
                        return -1;
                if (p->fallback && *p->fallback && ts_str_addf(out, err, " [%s]", p->fallback) < 0)
                        return -1;
                if (ts_str_adds(out, "\n", err) < 0)
                        return -1;
        }
        return 0;
}

int ts_scenarios_text(struct ts_str *out, struct ts_err *err)
{
        if (ts_str_adds(out, "Scenarios, and their parameters (--set NAME=VALUE):\n", err) < 0)
                return -1;
        for (const struct ts_scenario *s = ts_scenarios; s->name; s++)
                if (ts_str_addf(out, err, "\n  %s: %s\n", s->name, s->summary) < 0 || text_of(s->parameters, out, err) < 0)
                        return -1;
        return ts_str_adds(out, "\n  All of them:\n", err) < 0 ? -1 : text_of(ts_common_parameters, out, err);
}
