/* Results and failures for people. Decides the words around what the engine found; does not decide where they are printed. */
#include "engine/cli/render.h"

#include "api/json.h"
#include "base/mem.h"
#include "engine/cli/term.h"
#include "engine/phases.h"

#include <string.h>

#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define YELLOW "\033[33m"
#define GREEN "\033[32m"
#define DIM "\033[2m"
#define OFF "\033[0m"
#define CODE_COLUMNS_MAX 24u

static const char *on(const struct ts_paper *p, const char *colour)
{
        return p->colour ? colour : "";
}

static bool refuses(const struct ts_finding *f)
{
        return !f->warning && !f->skipped;
}

void ts_findings_count(const struct ts_findings *f, size_t *ret_refusing, size_t *ret_warnings)
{
        *ret_refusing = *ret_warnings = 0;
        for (size_t i = 0; i < f->n; i++)
                ++*(refuses(&f->v[i]) ? ret_refusing : ret_warnings);
}

/* ---- hints ---- */

/* Each part is one line, however long: it may be a command, and the line that a terminal breaks by
 * itself is still one where it is pasted. */
static int add_hint(const char *hint, unsigned indent, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        while (hint) {
                size_t len;
                const char *part = ts_hint_next(&hint, &len);

                if (ts_str_addf(out, err, "%*s%s %.*s\n", (int)indent, "",
                                ts_mark(TS_MARK_ARROW, p->utf8), (int)len, part) < 0)
                        return -1;
        }
        return 0;
}

int ts_render_hint(const char *hint, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        return add_hint(hint, 2, p, out, err);
}

/* ---- findings ---- */

static unsigned code_columns(const struct ts_findings *f)
{
        unsigned widest = 0;

        for (size_t i = 0; i < f->n; i++) {
                unsigned n = ts_text_columns(f->v[i].code);

                widest = n > widest ? n : widest;
        }
        return widest < CODE_COLUMNS_MAX ? widest : CODE_COLUMNS_MAX;
}

static int add_finding(const struct ts_finding *f, unsigned code_wide, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        bool bad = refuses(f);
        unsigned at = 2 + 2 + code_wide + 2;
        ts_auto_free char *message = ts_fmt("%s%s", ts_or(f->message, ""), f->skipped ? " (skipped, as asked)" : "");

        if (!message)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_str_addf(out, err, "  %s%s%s %s", on(p, bad ? RED : YELLOW), ts_mark(bad ? TS_MARK_FAILED : TS_MARK_WARNING, p->utf8),
                        on(p, OFF), on(p, BOLD)) < 0 ||
            ts_text_add(out, f->code, code_wide, /* pad= */ true, p->utf8, err) < 0 || ts_str_addf(out, err, "%s  ", on(p, OFF)) < 0 ||
            ts_text_wrap(out, message, at, at, p->columns, err) < 0 || add_hint(f->skipped ? NULL : f->hint, 6, p, out, err) < 0)
                return -1;
        if (bad && f->skippable) {
                ts_auto_free char *skip = ts_fmt("--skip %s to go on in spite of it", f->code);

                return skip ? add_hint(skip, 6, p, out, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

int ts_render_findings(const struct ts_findings *f, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        unsigned code_wide = code_columns(f);

        for (int warnings = 0; warnings <= 1; warnings++)
                for (size_t i = 0; i < f->n; i++)
                        if (refuses(&f->v[i]) == !warnings && add_finding(&f->v[i], code_wide, p, out, err) < 0)
                                return -1;
        return 0;
}

struct ts_json *ts_findings_json(const struct ts_findings *f)
{
        struct ts_json *all = ts_json_array();

        for (size_t i = 0; all && i < f->n; i++) {
                const struct ts_finding *v = &f->v[i];
                struct ts_json *o = ts_json_object();

                (void)ts_json_set_str(o, "code", v->code);
                (void)ts_json_set_str(o, "severity", refuses(v) ? "error" : "warning");
                (void)ts_json_set_str(o, "message", v->message);
                (void)ts_json_set_str(o, "hint", v->hint);
                (void)ts_json_set_bool(o, "skippable", v->skippable);
                (void)ts_json_set_bool(o, "skipped", v->skipped);
                (void)ts_json_append(all, o);
        }
        return all;
}

/* ---- endings ---- */

/* What is said last, by exit status; the ID of the migration follows `next`. */
static const struct ending {
        int status;
        const char *what, *next;
} endings[] = {
        { 3, "nothing was changed", NULL },
        { 4, "rolled back: the source is as it was", NULL },
        { 5, "moved, but something was left to clean up", "once the cause is gone: tranship recover" },
        { 6, "a person must look: it is not certain which side is to have the container", "what the journal knows: tranship status" },
        { 7, "the container's memory is lost; its files are intact on the source", NULL },
};

static int add_list(const char *title, const struct ts_list *l, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        if (l->n > 0 && ts_str_addf(out, err, "  %s:\n", title) < 0)
                return -1;
        for (size_t i = 0; i < l->n; i++)
                if (ts_str_addf(out, err, "  %s%s%s ", on(p, YELLOW), ts_mark(TS_MARK_WARNING, p->utf8), on(p, OFF)) < 0 ||
                    ts_text_wrap(out, l->v[i], 4, 4, p->columns, err) < 0)
                        return -1;
        return 0;
}

static int add_ending(const struct ending *e, const char *id, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        ts_auto_free char *next = NULL;

        if (ts_str_addf(out, err, "%s\n", e->what) < 0)
                return -1;
        if (!e->next || !id)
                return 0;
        next = ts_fmt("%s %s", e->next, id);
        return next ? ts_render_hint(next, p, out, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_render_ending(const struct ts_report *r, int status, bool hint, const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        bool person = status == 6; /* then everything that is known goes to the person, whatever else was printed where */

        if ((hint || person) && ts_render_hint(r->error.hint, p, out, err) < 0)
                return -1;
        if (person && (add_list("warnings", &r->warnings, p, out, err) < 0 || add_list("left as they are", &r->leftovers, p, out, err) < 0))
                return -1;
        if (status == 4 && r->source_not_running)
                return ts_str_adds(out, "rolled back, but the source does not run: it ended by itself, or somebody stopped it\n", err);
        for (size_t i = 0; i < TS_ARRAY_LEN(endings); i++)
                if (endings[i].status == status)
                        return add_ending(&endings[i], r->id, p, out, err);
        return 0;
}

int ts_render_plan(const struct ts_paper *p, struct ts_str *out, struct ts_err *err)
{
        if (ts_str_adds(out, "would run:\n", err) < 0)
                return -1;
        for (const struct ts_phase *ph = ts_phases; ph->name; ph++) {
                bool done = ph->flags & TS_PHASE_CHECK, frozen = ph->flags & TS_PHASE_FROZEN;
                const char *mark = done ? ts_mark(TS_MARK_OK, p->utf8) : " ";

                if (ts_str_addf(out, err, "  %s%s%s %s%s%s\n", on(p, GREEN), mark, on(p, OFF), ph->name,
                                done     ? ": done just now"
                                : frozen ? ": frozen"
                                         : "",
                                ph->flags & TS_PHASE_COMMITS ? ", then the target has it" : "") < 0)
                        return -1;
        }
        return 0;
}
