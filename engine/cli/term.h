/* What the terminal can do, and texts measured in its columns. */
#ifndef TRANSHIP_ENGINE_CLI_TERM_H
#define TRANSHIP_ENGINE_CLI_TERM_H

#include "base/err.h"
#include "base/str.h"

#include <limits.h>
#include <stdbool.h>

struct ts_term {
        bool out_tty, err_tty;       /* stdout, stderr are terminals that can move the cursor */
        bool utf8;                   /* the locale's character set */
        bool out_colour, err_colour; /* asked for, or a terminal and NO_COLOR not set */
};
/* colour: "auto", "always" or "never". Reads the environment (TERM, NO_COLOR, locale) and sets LC_CTYPE, nothing else of the locale. */
void ts_term_init(struct ts_term *t, const char *colour);
/* Columns of the terminal behind fd; COLUMNS, then 80 where there is none. Never below 20. */
unsigned ts_term_columns(int fd);
/* The same for messages, which programs search and people copy commands from: they are not broken where there is no terminal. */
#define TS_COLUMNS_ENDLESS UINT_MAX
unsigned ts_term_message_columns(int fd);

/* A mark for people, in ASCII where the locale is not UTF-8. */
enum ts_mark { TS_MARK_OK, TS_MARK_FAILED, TS_MARK_WARNING, TS_MARK_ARROW, TS_MARK_BACK, TS_MARK_DASH, TS_MARK_ELLIPSIS };
const char *ts_mark(enum ts_mark m, bool utf8);

/* Columns text takes; what is not text in this locale counts one a byte. */
unsigned ts_text_columns(const char *text);
/* Appends text cut to columns (with an ellipsis) and, if pad, filled up with blanks. */
int ts_text_add(struct ts_str *out, const char *text, unsigned columns, bool pad, bool utf8, struct ts_err *err);
/* Appends text in lines of at most columns, broken at blanks, every line but the first indented; ends with a newline. at: where the first
 * line begins. A word of a line's length stays whole. */
int ts_text_wrap(struct ts_str *out, const char *text, unsigned at, unsigned indent, unsigned columns, struct ts_err *err);

#endif
