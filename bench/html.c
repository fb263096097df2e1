/* See html.h. Decides what may stand in a page; what does is decided in page.c. */
#include "bench/html.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

int ts_html_text(struct ts_str *out, const char *text, struct ts_err *err)
{
        static const char special[] = "&<>\"'";
        static const char *const escaped[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&#39;" };

        for (const char *p = text; *p;) {
                size_t plain = strcspn(p, special);

                if (ts_str_add(out, p, plain, err) < 0)
                        return -1;
                p += plain;
                if (*p && ts_str_adds(out, escaped[strchr(special, *p++) - special], err) < 0)
                        return -1;
        }
        return 0;
}

int ts_html_add(struct ts_str *out, struct ts_err *err, const char *format, ...)
{
        va_list args;
        int rc = 0;

        va_start(args, format);
        for (const char *p = format; *p && rc == 0;) {
                size_t plain = strcspn(p, "%");

                rc = ts_str_add(out, p, plain, err);
                p += plain;
                if (rc == 0 && *p == '%') {
                        rc = ts_html_text(out, va_arg(args, const char *), err);
                        p += 2; /* %s */
                }
        }
        va_end(args);
        return rc;
}

static int add_cells(struct ts_str *out, const struct ts_table *t, size_t row, struct ts_err *err)
{
        if (ts_str_adds(out, "<tr>", err) < 0)
                return -1;
        for (size_t c = 0; c < t->columns; c++) {
                const char *cell = t->cells.v[row * t->columns + c];

                if (ts_html_add(out, err, row == 0 ? "<th scope=\"col\">%s</th>" : c == 0 ? "<th scope=\"row\">%s</th>" : "<td>%s</td>", cell) < 0)
                        return -1;
        }
        return ts_str_adds(out, "</tr>\n", err);
}

int ts_html_table(struct ts_str *out, const struct ts_table *t, const char *caption, struct ts_err *err)
{
        size_t rows = t->columns ? t->cells.n / t->columns : 0;

        if (rows == 0)
                return 0;
        if (ts_str_adds(out, "<div class=\"wide\"><table>\n", err) < 0 || (caption && ts_html_add(out, err, "<caption>%s</caption>\n", caption) < 0) ||
            ts_str_adds(out, "<thead>", err) < 0 || add_cells(out, t, 0, err) < 0 || ts_str_adds(out, "</thead>\n<tbody>\n", err) < 0)
                return -1;
        for (size_t row = 1; row < rows; row++)
                if (add_cells(out, t, row, err) < 0)
                        return -1;
        return ts_str_adds(out, "</tbody></table></div>\n", err);
}

/* ---- SVG ---- */

static const char *const drawing[] = { "svg", "g", "path", "text", "tspan", "circle", "rect", "polygon", "polyline", "line", "ellipse", "use", "defs", "clipPath", "pattern" };

/* The name of the element whose tag begins at p ("<" or "</"), if it is one that may be here. */
static bool draws(const char *p)
{
        const char *name = p + 1 + (p[1] == '/');
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

        for (size_t i = 0; i < TS_ARRAY_LEN(drawing); i++)
                if (strlen(drawing[i]) == len && strncmp(drawing[i], name, len) == 0)
                        return true;
        return false;
}

/* The end of the tag at p, behind its ">"; quotes may hold one. NULL: it has none. */
static const char *tag_end(const char *p)
{
        char quote = 0;

        for (; *p; p++) {
                if (quote)
                        quote = *p == quote ? 0 : quote;
                else if (*p == '"' || *p == '\'')
                        quote = *p;
                else if (*p == '>')
                        return p + 1;
        }
        return NULL;
}

/* What is in gnuplot's tags, and what a page wants there instead; %: the prefix. */
static const struct {
        const char *from, *to;
} changes[] = {
        { " id=\"", " id=\"%" },
        { " id='", " id='%" },
        { "xlink:href='#", "href='#%" },
        { "xlink:href=\"#", "href=\"#%" },
        { "url(#", "url(#%" },
        { " color=\"#FFFFFF\"", "" }, /* what is drawn in it is to be seen on a dark page, too */
        { " color=\"black\"", "" },
        { "\"black\"", "\"currentColor\"" },
        { "'black'", "'currentColor'" },
        { "rgb(  0,   0,   0)", "currentColor" },
        { "rgb(0,0,0)", "currentColor" },
        { "#000000", "currentColor" },
        { "font-family=\"sans-serif\"", "" },
};

static int add_change(struct ts_str *out, const char *to, const char *prefix, struct ts_err *err)
{
        const char *at = strchr(to, '%');

        return at ? ts_str_addf(out, err, "%.*s%s%s", (int)(at - to), to, prefix, at + 1) : ts_str_adds(out, to, err);
}

static int add_tag(struct ts_str *out, const char *p, const char *end, const char *prefix, struct ts_err *err)
{
        while (p < end) {
                size_t i = 0;

                while (i < TS_ARRAY_LEN(changes) && strncmp(p, changes[i].from, strlen(changes[i].from)) != 0)
                        i++;
                if (i < TS_ARRAY_LEN(changes) ? add_change(out, changes[i].to, prefix, err) < 0 : ts_str_add(out, p, 1, err) < 0)
                        return -1;
                p += i < TS_ARRAY_LEN(changes) ? strlen(changes[i].from) : 1;
        }
        return 0;
}

/* "on…" attributes would be scripts. */
static bool is_harmless(const char *p, const char *end)
{
        char quote = 0;

        for (const char *q = p; q < end; q++) {
                if (quote)
                        quote = *q == quote ? 0 : quote;
                else if (*q == '"' || *q == '\'')
                        quote = *q;
                else if (isspace((unsigned char)*q) && tolower((unsigned char)q[1]) == 'o' && tolower((unsigned char)q[2]) == 'n')
                        return false;
        }
        return true;
}

/* Behind an element without anything that is wanted: gnuplot's names of plots and of itself, filters nobody uses, groups with nothing in them. p: it is wanted; NULL: it does not end. */
static const char *skip_unwanted(const char *p, const char *end)
{
        static const char *const names[] = { "<title>", "<desc>", "<filter " };
        const char *after = end + strspn(end, " \t\r\n");

        if (ts_starts(p, "<g ") && ts_starts(after, "</g>"))
                return after + strlen("</g>");
        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++)
                if (ts_starts(p, names[i])) {
                        after = strstr(end, "</");
                        return after ? tag_end(after) : NULL;
                }
        return p;
}

static int add_element(struct ts_str *out, const char *open, const char *end, const char *prefix, bool *seen_background, struct ts_err *err)
{
        if (!*seen_background && ts_starts(open, "<rect")) { /* the page has its own */
                *seen_background = true;
                return 0;
        }
        if (!draws(open) || !is_harmless(open, end))
                return ts_err_set(err, TS_EPROTO, "gnuplot drew '%.20s', which has no place in a page", open);
        return add_tag(out, open, end, prefix, err);
}

static int add_body(struct ts_str *out, const char *p, const char *prefix, struct ts_err *err)
{
        bool seen_background = false;

        while (*p) {
                const char *open = strchrnul(p, '<'), *end = *open ? tag_end(open) : open, *after = end ? skip_unwanted(open, end) : NULL;

                if (!after)
                        return ts_err_set(err, TS_EPROTO, "gnuplot's SVG ends early");
                if (ts_str_add(out, p, (size_t)(open - p), err) < 0)
                        return -1;
                if (after == open && *open && add_element(out, open, end, prefix, &seen_background, err) < 0)
                        return -1;
                p = after == open ? end : after;
        }
        return 0;
}

int ts_html_svg(struct ts_str *out, const char *svg, const char *prefix, const char *label, struct ts_err *err)
{
        const char *begin = strstr(svg, "<svg"), *end = begin ? tag_end(begin) : NULL, *box = begin ? strstr(begin, "viewBox=\"") : NULL;

        if (!end || !box || box > end)
                return ts_err_set(err, TS_EPROTO, "gnuplot drew no SVG");
        box += strlen("viewBox=\"");
        if (ts_html_add(out, err, "<svg role=\"img\" aria-label=\"%s\" viewBox=\"", label) < 0 || ts_str_add(out, box, strspn(box, "0123456789. "), err) < 0 ||
            ts_str_adds(out, "\">", err) < 0)
                return -1;
        return add_body(out, end, prefix, err);
}
