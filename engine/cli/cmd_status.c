/* tranship status. Decides how the journals are shown; does not judge them, and asks no host. */
#include "engine/cli/cli.h"

#include "api/json.h"
#include "base/mem.h"
#include "engine/cli/render.h"

#include <stdio.h>
#include <string.h>

/* "running", "interrupted", "over": what a person asks first. */
static const char *state_of(const struct ts_status *s)
{
        return s->final ? "over" : s->live ? "running" : "interrupted";
}

struct column {
        const char *title;
        const char *(*text)(const struct ts_status *s);
};
static const char *text_id(const struct ts_status *s)
{
        return ts_or(s->id, "?");
}
static const char *text_container(const struct ts_status *s)
{
        return ts_or(s->container, "?");
}
static const char *text_stage(const struct ts_status *s)
{
        return ts_or(s->stage, "?");
}
static const char *text_owner(const struct ts_status *s)
{
        return ts_or(s->owner, "unknown");
}
static const char *text_source(const struct ts_status *s)
{
        return ts_or(s->source, "?");
}
static const char *text_target(const struct ts_status *s)
{
        return ts_or(s->target, "?");
}
static const char *text_started(const struct ts_status *s)
{
        return ts_or(s->started_at, "?");
}
static const struct column columns[] = {
        { "ID", text_id },       { "CONTAINER", text_container }, { "STATE", state_of },     { "STAGE", text_stage },
        { "OWNER", text_owner }, { "SOURCE", text_source },       { "TARGET", text_target },
};
#define N_COLUMNS TS_ARRAY_LEN(columns)

static int add_row(const struct ts_status *s, const unsigned widths[N_COLUMNS], bool utf8, struct ts_str *out, struct ts_err *err)
{
        for (size_t i = 0; i < N_COLUMNS; i++) {
                bool last = i + 1 == N_COLUMNS;

                if (ts_text_add(out, s ? columns[i].text(s) : columns[i].title, widths[i], !last, utf8, err) < 0 ||
                    ts_str_adds(out, last ? "\n" : "  ", err) < 0)
                        return -1;
        }
        return 0;
}

static int table(const struct ts_statuses *all, bool utf8, struct ts_str *out, struct ts_err *err)
{
        unsigned widths[N_COLUMNS];

        for (size_t i = 0; i < N_COLUMNS; i++) {
                widths[i] = ts_text_columns(columns[i].title);
                for (size_t k = 0; k < all->n; k++) {
                        unsigned n = ts_text_columns(columns[i].text(&all->v[k]));

                        widths[i] = n > widths[i] ? n : widths[i];
                }
        }
        if (add_row(NULL, widths, utf8, out, err) < 0)
                return -1;
        for (size_t k = 0; k < all->n; k++)
                if (add_row(&all->v[k], widths, utf8, out, err) < 0)
                        return -1;
        for (size_t k = 0; k < all->n; k++)
                if (all->v[k].problem && ts_str_addf(out, err, "%s: %s\n", text_id(&all->v[k]), all->v[k].problem) < 0)
                        return -1;
        return 0;
}

/* One migration, a line a fact; what to do where something is to be done. */
static int details(const struct ts_status *s, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        ts_auto_free char *hint = s->final || s->live || s->problem ? NULL : ts_fmt("tranship recover %s", ts_or(s->id, ""));

        for (size_t i = 0; i < N_COLUMNS; i++) {
                if (ts_str_addf(out, err, "%-10s %s\n", columns[i].title, columns[i].text(s)) < 0)
                        return -1;
        }
        if (ts_str_addf(out, err, "%-10s %s\n", "STARTED", text_started(s)) < 0)
                return -1;
        if (s->problem && ts_str_addf(out, err, "%-10s %s\n", "PROBLEM", s->problem) < 0)
                return -1;
        return ts_render_hint(hint, p, out, err);
}

static struct ts_json *to_json(const struct ts_statuses *all)
{
        struct ts_json *list = ts_json_array();

        for (size_t i = 0; list && i < all->n; i++) {
                const struct ts_status *s = &all->v[i];
                struct ts_json *o = ts_json_object();

                (void)ts_json_set_str(o, "id", s->id);
                (void)ts_json_set_str(o, "container", s->container);
                (void)ts_json_set_str(o, "state", state_of(s));
                (void)ts_json_set_str(o, "stage", s->stage);
                (void)ts_json_set_str(o, "owner", s->owner);
                (void)ts_json_set_str(o, "source", s->source);
                (void)ts_json_set_str(o, "target", s->target);
                (void)ts_json_set_str(o, "started_at", s->started_at);
                if (s->problem)
                        (void)ts_json_set_str(o, "problem", s->problem);
                (void)ts_json_set_bool(o, "live", s->live);
                (void)ts_json_set_bool(o, "final", s->final);
                (void)ts_json_append(list, o);
        }
        return list;
}

/* Leaves only those whose ID begins with id; they stay owned by all. */
static int choose(const struct ts_statuses *all, const char *id, struct ts_statuses *chosen, struct ts_err *err)
{
        chosen->v = calloc(all->n ? all->n : 1, sizeof(*chosen->v));
        if (!chosen->v)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (size_t i = 0; i < all->n; i++)
                if (!id || ts_starts(ts_or(all->v[i].id, ""), id))
                        chosen->v[chosen->n++] = all->v[i];
        if (id && chosen->n == 0) {
                ts_err_set(err, TS_EUSAGE, "no migration '%.80s' is in the journal", id);
                return ts_err_hint(err, "tranship status");
        }
        return 0;
}

static int print(const struct ts_cli *cli, const struct ts_statuses *all, struct ts_err *err)
{
        struct ts_paper p = { .colour = cli->term.out_colour, .utf8 = cli->term.utf8, .columns = ts_term_message_columns(STDOUT_FILENO) };
        ts_auto_str text = TS_STR_INIT;

        if (cli->args.json) {
                ts_auto(ts_json) struct ts_json *j = to_json(all);
                ts_auto_free char *json = j ? ts_json_text(j, /* pretty= */ true) : NULL;

                if (!json)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                ts_cli_print(stdout, "%s\n", json);
                return 0;
        }
        if (all->n == 0) {
                ts_cli_print(stdout, "no migration is in the journal\n");
                return 0;
        }
        if ((cli->operands.n && all->n == 1 ? details(&all->v[0], &p, &text, err) : table(all, p.utf8, &text, err)) < 0)
                return -1;
        ts_cli_print(stdout, "%s", ts_str_cstr(&text));
        return 0;
}

int ts_cmd_status(struct ts_cli *cli)
{
        struct ts_statuses all = { NULL, 0 }, chosen = { NULL, 0 };
        ts_auto_err err = TS_ERR_INIT;
        int status = 0;

        if (ts_status(ts_conf_str(cli->conf, "state_dir"), &all, &err) < 0 ||
            choose(&all, cli->operands.n ? cli->operands.v[0] : NULL, &chosen, &err) < 0 || print(cli, &chosen, &err) < 0)
                status = ts_cli_fail(cli, &err);
        free(chosen.v);
        ts_statuses_clear(&all);
        return ts_cli_flush(status);
}
