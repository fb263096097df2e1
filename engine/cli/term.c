/* Terminals. Decides what a terminal can show and how wide texts are; does not decide what is shown. */
#include "engine/cli/term.h"

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define COLUMNS_DEFAULT 80
#define COLUMNS_MIN 20
#define COLUMNS_MAX 1000

static bool can_move(int fd)
{
        const char *term = getenv("TERM");

        return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

static bool wants_colour(const char *colour, bool tty)
{
        const char *no = getenv("NO_COLOR"); /* no-color.org: set and not empty */

        if (strcmp(colour, "auto") != 0)
                return strcmp(colour, "always") == 0;
        return tty && !(no && *no);
}

void ts_term_init(struct ts_term *t, const char *colour)
{
        /* Only LC_CTYPE: numbers keep their point, in what people read as in JSON. */
        bool known = setlocale(LC_CTYPE, "") != NULL;

        t->out_tty = can_move(STDOUT_FILENO);
        t->err_tty = can_move(STDERR_FILENO);
        t->utf8 = known && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        t->out_colour = wants_colour(colour, t->out_tty);
        t->err_colour = wants_colour(colour, t->err_tty);
}

static unsigned columns_or(int fd, unsigned fallback)
{
        struct winsize size = { 0 };
        unsigned long long columns = 0;
        const char *set = getenv("COLUMNS");

        if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
                columns = size.ws_col;
        else if (!set || ts_parse_u64(set, 1, COLUMNS_MAX, &columns, /* err= */ NULL) < 0)
                return fallback;
        return columns < COLUMNS_MIN ? COLUMNS_MIN : columns > COLUMNS_MAX ? COLUMNS_MAX : (unsigned)columns;
}

unsigned ts_term_columns(int fd)
{
        return columns_or(fd, COLUMNS_DEFAULT);
}

unsigned ts_term_message_columns(int fd)
{
        return columns_or(fd, isatty(fd) ? COLUMNS_DEFAULT : TS_COLUMNS_ENDLESS);
}

const char *ts_mark(enum ts_mark m, bool utf8)
{
        static const char *const marks[][2] = {
                [TS_MARK_OK] = { "+", "✓" },       [TS_MARK_FAILED] = { "x", "✗" }, [TS_MARK_WARNING] = { "!", "!" },
                [TS_MARK_ARROW] = { "->", "→" },   [TS_MARK_BACK] = { "<-", "↩" },  [TS_MARK_DASH] = { "-", "─" },
                [TS_MARK_ELLIPSIS] = { "~", "…" },
        };

        return marks[m][utf8];
}

/* Bytes of the character at s (at least 1) and its columns. */
static size_t next_char(const char *s, unsigned *ret_columns)
{
        mbstate_t state = { 0 };
        wchar_t c = 0;
        size_t n = mbrtowc(&c, s, MB_LEN_MAX, &state);
        int columns;

        if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
                *ret_columns = 1;
                return 1;
        }
        columns = wcwidth(c);
        *ret_columns = columns < 0 ? 1 : (unsigned)columns;
        return n;
}

unsigned ts_text_columns(const char *text)
{
        unsigned total = 0, columns;

        while (*text) {
                text += next_char(text, &columns);
                total += columns;
        }
        return total;
}

static int add_blanks(struct ts_str *out, unsigned n, struct ts_err *err)
{
        return n ? ts_str_addf(out, err, "%*s", (int)n, "") : 0;
}

int ts_text_add(struct ts_str *out, const char *text, unsigned columns, bool pad, bool utf8, struct ts_err *err)
{
        bool cut = ts_text_columns(text) > columns;
        unsigned room = cut && columns > 0 ? columns - 1 : columns, used = 0;
        const char *p = text;

        while (*p) {
                unsigned wide;
                size_t n = next_char(p, &wide);

                if (used + wide > room)
                        break;
                used += wide;
                p += n;
        }
        if (ts_str_add(out, text, (size_t)(p - text), err) < 0)
                return -1;
        if (cut && columns > 0) {
                if (ts_str_adds(out, ts_mark(TS_MARK_ELLIPSIS, utf8), err) < 0)
                        return -1;
                used++;
        }
        return pad && used < columns ? add_blanks(out, columns - used, err) : 0;
}

/* How far the word at p goes: what is quoted, in ticks or in the quotes of a shell, stays on one
 * line, or it would be something else where it is pasted. An apostrophe stands behind a letter, and
 * opens nothing. */
static size_t word_length(const char *p)
{
        size_t n = 0;

        for (char before = ' '; p[n] && p[n] != ' '; before = p[n++]) {
                const char *end = p + n;

                if ((p[n] != '\'' && p[n] != '`') || !strchr(" (=\"", before))
                        continue;
                do
                        end = strchr(end + 1, p[n]);
                while (end && end[1] && !strchr(" ,;:.)`", end[1]));
                if (end)
                        n = (size_t)(end - p);
        }
        return n;
}

int ts_text_wrap(struct ts_str *out, const char *text, unsigned at, unsigned indent, unsigned columns, struct ts_err *err)
{
        bool begun = false; /* a word is on this line */

        for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
                size_t n = word_length(p);
                ts_auto_str word = TS_STR_INIT;
                unsigned wide;

                if (ts_str_add(&word, p, n, err) < 0)
                        return -1;
                p += n;
                wide = ts_text_columns(ts_str_cstr(&word));
                if (begun && columns != TS_COLUMNS_ENDLESS && at + 1 + wide > columns) {
                        if (ts_str_adds(out, "\n", err) < 0 || add_blanks(out, indent, err) < 0)
                                return -1;
                        at = indent;
                        begun = false;
                }
                if ((begun && ts_str_adds(out, " ", err) < 0) || ts_str_adds(out, ts_str_cstr(&word), err) < 0)
                        return -1;
                at += wide + (begun ? 1 : 0);
                begun = true;
        }
        return ts_str_adds(out, "\n", err);
}
