/* Results and failures as text for people. */
#ifndef TRANSHIP_ENGINE_CLI_RENDER_H
#define TRANSHIP_ENGINE_CLI_RENDER_H

#include "base/err.h"
#include "base/str.h"
#include "engine/move.h"

#include <stdbool.h>

struct ts_paper {
        bool colour, utf8;
        unsigned columns;
};

/* One line a finding, what refuses first, hints below them. */
int ts_render_findings(const struct ts_findings *f, const struct ts_paper *p, struct ts_str *out, struct ts_err *err);
struct ts_json *ts_findings_json(
        const struct ts_findings *f); /* array of {code, severity: error|warning, message, hint, skippable, skipped}; NULL out of memory */
/* How many refuse, and how many are only worth knowing. */
void ts_findings_count(const struct ts_findings *f, size_t *ret_refusing, size_t *ret_warnings);

/* "  → hint" lines; a hint with several commands, divided by " · ", takes a line for each. NULL gives nothing. */
int ts_render_hint(const char *hint, const struct ts_paper *p, struct ts_str *out, struct ts_err *err);
/* What an exit status other than 0 means and what to do now: the lines after the error. hint: with the error's own hint first. */
int ts_render_ending(const struct ts_report *r, int status, bool hint, const struct ts_paper *p, struct ts_str *out, struct ts_err *err);
/* The phases of --dry-run. */
int ts_render_plan(const struct ts_paper *p, struct ts_str *out, struct ts_err *err);

#endif
