/* Decides which lines of a containers.conf name an engine. Understands as much of TOML as it takes to skip the rest safely: tables, dotted keys, all four kinds of strings, comments, arrays and
 * inline tables over several lines. Inline tables as destinations are not understood; nobody's tool writes them. */
#include "api/connections.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define KEY_PARTS 8
#define KEY_MAX 256
#define VALUE_MAX 4096

struct key {
        char part[KEY_PARTS][KEY_MAX];
        size_t n; /* more parts than fit: counted, not kept */
};
struct toml {
        const char *p, *end;
        unsigned line;
        struct key table;
};

static int bad(const struct toml *t, const char *what, struct ts_err *err)
{
        return ts_err_set(err, TS_EUSAGE, "line %u: %s", t->line, what);
}

static bool at(const struct toml *t, char c)
{
        return t->p < t->end && *t->p == c;
}

static void skip_blanks(struct toml *t)
{
        while (at(t, ' ') || at(t, '\t'))
                t->p++;
}

static void skip_comment(struct toml *t)
{
        while (t->p < t->end && *t->p != '\n')
                t->p++;
}

static void skip_lines(struct toml *t)
{
        while (t->p < t->end) {
                if (*t->p == '#')
                        skip_comment(t);
                else if (*t->p == '\n')
                        t->line++, t->p++;
                else if (*t->p == ' ' || *t->p == '\t' || *t->p == '\r')
                        t->p++;
                else
                        return;
        }
}

/* ---- strings ---- */

/* \n, \t, \", \\ and the like. Unicode escapes are refused: no address needs one. */
static int put_escape(struct toml *t, struct ts_str *to, struct ts_err *err)
{
        static const char from[] = "btnfr\"\\e", into[] = "\b\t\n\f\r\"\\\x1b";
        const char *which = t->p < t->end && *t->p ? strchr(from, *t->p) : NULL;
        if (!which)
                return bad(t, "an escape sequence that is not understood", err);
        t->p++;
        return to ? ts_str_add(to, &into[which - from], 1, err) : 0;
}

/* At the opening quote. to may be NULL. */
static int read_string(struct toml *t, struct ts_str *to, struct ts_err *err)
{
        char quote = *t->p;
        bool long_one = t->end - t->p >= 3 && t->p[1] == quote && t->p[2] == quote;
        t->p += long_one ? 3 : 1;
        while (t->p < t->end) {
                char c = *t->p;
                if (c == quote && (!long_one || (t->end - t->p >= 3 && t->p[1] == quote && t->p[2] == quote))) {
                        t->p += long_one ? 3 : 1;
                        return 0;
                }
                if (c == '\n' && !long_one)
                        break;
                t->line += c == '\n';
                t->p++;
                if (c == '\\' && quote == '"') {
                        /* In a long string a backslash may also end a line, or a text nobody reads here hold escapes of its own: skip what is not wanted. */
                        if (!to && t->p < t->end) {
                                t->line += *t->p == '\n';
                                t->p++;
                        } else if (put_escape(t, to, err) < 0) {
                                return -1;
                        }
                } else if (to && ts_str_add(to, &c, 1, err) < 0) {
                        return -1;
                }
        }
        return bad(t, "a string without an end", err);
}

/* Up to the end of a value that is not wanted. */
static int skip_value(struct toml *t, struct ts_err *err)
{
        int depth = 0;
        while (t->p < t->end && (*t->p != '\n' || depth > 0)) {
                char c = *t->p;
                if (c == '"' || c == '\'') {
                        if (read_string(t, NULL, err) < 0)
                                return -1;
                        continue;
                }
                if (c == '#') {
                        skip_comment(t);
                        continue;
                }
                depth += (c == '[' || c == '{') - (c == ']' || c == '}');
                t->line += c == '\n';
                t->p++;
        }
        return 0;
}

/* ---- keys ---- */

static bool is_bare(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static int read_key_part(struct toml *t, struct key *k, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT_MAX(KEY_MAX - 1);
        const char *from = t->p;
        if (at(t, '"') || at(t, '\'')) {
                if (read_string(t, &text, err) < 0)
                        return -1;
        } else {
                while (t->p < t->end && is_bare(*t->p))
                        t->p++;
                if (t->p == from)
                        return bad(t, "a key was expected", err);
                if (ts_str_add(&text, from, (size_t)(t->p - from), err) < 0)
                        return -1;
        }
        if (k->n < KEY_PARTS)
                memcpy(k->part[k->n], ts_str_cstr(&text), text.len + 1);
        k->n++;
        return 0;
}

static int read_key(struct toml *t, struct key *k, struct ts_err *err)
{
        while (true) {
                skip_blanks(t);
                if (read_key_part(t, k, err) < 0)
                        return -1;
                skip_blanks(t);
                if (!at(t, '.'))
                        return 0;
                t->p++;
        }
}

static int read_table(struct toml *t, struct ts_err *err)
{
        bool array;
        t->p++;
        array = at(t, '[');
        t->p += array;
        t->table.n = 0;
        if (read_key(t, &t->table, err) < 0)
                return -1;
        for (int i = 0; i < 1 + array; i++) {
                if (!at(t, ']'))
                        return bad(t, "']' was expected", err);
                t->p++;
        }
        if (array) /* a list of tables is never ours */
                t->table.n = KEY_PARTS + 1;
        return 0;
}

/* ---- what it means ---- */

static struct ts_connection *connection_of(struct ts_connections *all, const char *name, struct ts_err *err)
{
        for (size_t i = 0; i < all->n; i++)
                if (all->v[i].prefer == 1 && strcmp(all->v[i].name, name) == 0)
                        return &all->v[i];
        struct ts_connection *v = reallocarray(all->v, all->n + 1, sizeof(*v));
        char *copy = strdup(name);
        if (v)
                all->v = v;
        if (!v || !copy) {
                free(copy);
                (void)ts_err_set(err, TS_ENOMEM, "out of memory");
                return NULL;
        }
        v[all->n] = (struct ts_connection){ .name = copy, .prefer = 1 };
        return &v[all->n++];
}

/* engine.service_destinations.NAME.uri, however it is split between the table and the key. */
static int read_value(struct toml *t, const struct key *k, struct ts_connections *all, struct ts_err *err)
{
        bool ours = k->n == 4 && strcmp(k->part[0], "engine") == 0 && strcmp(k->part[1], "service_destinations") == 0 &&
                    (strcmp(k->part[3], "uri") == 0 || strcmp(k->part[3], "identity") == 0);
        if (!ours || !(at(t, '"') || at(t, '\'')))
                return skip_value(t, err);
        ts_auto_str text = TS_STR_INIT_MAX(VALUE_MAX);
        if (read_string(t, &text, err) < 0)
                return -1;
        struct ts_connection *c = connection_of(all, k->part[2], err);
        if (!c)
                return -1;
        char **to = strcmp(k->part[3], "uri") == 0 ? &c->uri : &c->identity;
        free(*to);
        *to = strdup(ts_str_cstr(&text));
        return *to ? skip_value(t, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int read_pair(struct toml *t, struct ts_connections *all, struct ts_err *err)
{
        struct key k = t->table;
        if (read_key(t, &k, err) < 0)
                return -1;
        if (!at(t, '='))
                return bad(t, "'=' was expected", err);
        t->p++;
        skip_blanks(t);
        return read_value(t, &k, all, err);
}

int ts_containers_conf_parse(const char *text, size_t len, struct ts_connections *add_to, struct ts_err *err)
{
        struct toml t = { .p = text, .end = text + len, .line = 1 };
        for (skip_lines(&t); t.p < t.end; skip_lines(&t))
                if ((*t.p == '[' ? read_table(&t, err) : read_pair(&t, add_to, err)) < 0)
                        return -1;
        return 0;
}
