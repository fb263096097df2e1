/* Copies of the journal on hosts: the script that writes them there, and finding them again. Decides the protocol with the script; what a copy means is the journal's business. */
#include "engine/mirror.h"

#include "base/clock.h"
#include "base/io.h"
#include "engine/journal_priv.h"

#include <string.h>

#define LOOK_MAX 256
#define KEEP_MAX 64
#define ANSWER_MAX 64
#define SHORT_ID 12
#define AGAIN ".again" /* … while the one whose connection broke is written anew */
#define TAKEN ".taken" /* the end of a copy's name when another machine recovers from it */

/* $1: the file; $2: "first", or "again". Lines that begin with a brace are added; `sync` makes them safe, puts a first batch in the place of an older copy, and is answered. Everything else, and every
 * failure, ends it. One line: shells disagree about newlines in quoted arguments. A host without sync(1) for single files syncs everything.
 *
 * Whoever recovers from another machine takes the file away before reading it. So this looks, after every batch, whether the name still leads to what it writes: if not, a slow first machine does not get
 * its "ok" for restore-sent, and what was read there is what it had. "again", after a connection broke, therefore first takes our copy away itself: a rename happens once, for one of the two; whoever comes
 * too late finds nothing, the other machine until the new copy is whole, this one for good. What it took may be the other machine's own by then: then what that one took first is still there. */
static const char script[] =
        "umask 077; f=$1; d=${f%/*}; c=$f.new; "
        "taken() { echo '" TS_MIRROR_TAKEN "' >&2; exit 3; }; "
        "if [ \"$2\" != first ]; then mv -- \"$f\" \"$f" AGAIN "\" 2>/dev/null || taken; "
        "[ ! -e \"$f" TAKEN "\" ] || { mv -f -- \"$f" AGAIN "\" \"$f\"; taken; }; fi; "
        "mkdir -p \"$d\" && exec 3>\"$c\" || exit 1; echo ready; "
        "while IFS= read -r l; do case $l in "
        "'{'*) printf '%s\\n' \"$l\" >&3 || exit 1;; "
        "sync) { sync \"$c\" || sync; } 2>/dev/null || exit 1; "
        "if [ \"$c\" != \"$f\" ]; then mv -f \"$c\" \"$f\" && { sync \"$d\" || sync; } 2>/dev/null || exit 1; c=$f; rm -f \"$f" AGAIN
        "\"; fi; "
        "[ /proc/self/fd/3 -ef \"$f\" ] || taken; echo ok;; "
        "*) exit 2;; esac; done";

struct ts_mirror {
        struct ts_proc *proc;
        char *where; /* host and file, for messages */
        char *error; /* of the first append that failed */
};

static char *copy_path(const char *dir, const char *id, enum ts_side side)
{
        return ts_journal_id_valid(id) ? ts_fmt("%s/%s.%s", ts_or(dir, TS_MIRROR_DIR), id, ts_side_str(side)) : NULL;
}

/* ---- writing ---- */

/* A line that is exactly `want`. */
static int expect(struct ts_mirror *m, const char *want, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(TS_MIRROR_TIMEOUT_MS);
        char line[ANSWER_MAX] = "";
        size_t len = 0;

        while (len == 0 || line[len - 1] != '\n') {
                ssize_t n = len < sizeof(line) - 1
                                    ? ts_read_some(ts_proc_fd(m->proc), line + len, 1, deadline, /* cancellable= */ false, err)
                                    : 0;

                if (n < 0)
                        return -1;
                if (n == 0) { /* its end: stderr says why */
                        if (ts_proc_finish(m->proc, deadline, err) == 0)
                                ts_err_set(err, TS_EPROTO, "the script ended early");
                        return -1;
                }
                len += (size_t)n;
        }
        line[len - 1] = '\0';
        return strcmp(line, want) == 0 ? 0 : ts_err_set(err, TS_EPROTO, "the script answered something else than '%s'", want);
}

static int append(void *ctx, const char *lines, size_t len, struct ts_err *err)
{
        struct ts_mirror *m = ctx;
        ts_auto_err why = TS_ERR_INIT;
        ts_deadline deadline = ts_deadline_in_ms(TS_MIRROR_TIMEOUT_MS);
        int fd = ts_proc_fd(m->proc);

        if (m->error)
                return ts_err_set(err, TS_EIO, "%s", m->error);
        if (ts_write_all(fd, lines, len, deadline, /* cancellable= */ false, &why) == 0 &&
            ts_write_all(fd, "sync\n", 5, deadline, false, &why) == 0 && expect(m, "ok", &why) == 0)
                return 0;
        (void)ts_err_prefix(&why, "copy of the journal on %s", m->where);
        m->error = ts_strdup0(ts_err_message(&why));
        ts_err_set(err, why.code, "%s", ts_err_message(&why));
        return -1;
}

int ts_mirror_start(struct ts_host *h, const char *dir, const char *id, enum ts_side side, bool again, struct ts_mirror **ret,
                    struct ts_err *err)
{
        ts_auto(ts_mirror) struct ts_mirror *m = calloc(1, sizeof(*m));
        ts_auto_free char *path = copy_path(dir, id, side);
        const char *const argv[] = { "/bin/sh", "-c", script, "sh", path, again ? "again" : "first", NULL };

        if (!m || !path)
                return ts_err_set(err, m ? TS_EINTERNAL : TS_ENOMEM, "cannot name the copy of the journal");
        m->where = ts_fmt("'%s' in '%s'", ts_host_name(h), path);
        if (!m->where)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_host_start(h, argv, &m->proc, err) < 0 || expect(m, "ready", err) < 0)
                return ts_err_prefix(err, "copy of the journal on %s", m->where);
        *ret = TS_TAKE(m);
        return 0;
}

struct ts_journal_mirror ts_mirror_hook(struct ts_mirror *m)
{
        return (struct ts_journal_mirror){ .append = append, .ctx = m };
}

const char *ts_mirror_error(const struct ts_mirror *m)
{
        return m ? m->error : NULL;
}

void ts_mirror_free(struct ts_mirror *m)
{
        if (!m)
                return;
        ts_proc_free(m->proc);
        free(m->where);
        free(m->error);
        free(m);
}

int ts_mirror_remove(struct ts_host *h, const char *dir, const char *id, enum ts_side side, struct ts_err *err)
{
        ts_auto_free char *path = copy_path(dir, id, side), *unfinished = path ? ts_fmt("%s.new", path) : NULL,
                          *taken = path ? ts_fmt("%s" TAKEN, path) : NULL, *again = path ? ts_fmt("%s" AGAIN, path) : NULL;
        const char *const argv[] = { "rm", "-f", "--", path, unfinished, taken, again, NULL };

        if (!path || !unfinished || !taken || !again)
                return ts_err_set(err, TS_EINTERNAL, "cannot name the copy of the journal");
        return ts_host_check(h, argv, NULL, NULL, err);
}

/* ---- finding ---- */

static void copy_clear(struct ts_mirror_copy *c)
{
        free(c->id);
        free(c->container_id);
        free(c->container_name);
        ts_str_clear(&c->text);
        *c = (struct ts_mirror_copy){ 0 };
}

void ts_mirror_copies_clear(struct ts_mirror_copies *c)
{
        for (size_t i = 0; i < c->n; i++)
                copy_clear(&c->v[i]);
        free(c->v);
        *c = (struct ts_mirror_copies){ 0 };
}

static bool is_taken(const char *file)
{
        size_t len = strlen(file), end = strlen(TAKEN);

        return len > end && strcmp(file + len - end, TAKEN) == 0;
}

/* "ID.source" or "ID.target", and both when they were taken */
static bool is_copy_name(const char *file, enum ts_side side)
{
        size_t len = strlen(file) - (is_taken(file) ? strlen(TAKEN) : 0);
        ts_auto_free char *name = strndup(file, len);
        const char *dot = name ? strrchr(name, '.') : NULL;
        ts_auto_free char *id = dot ? strndup(name, (size_t)(dot - name)) : NULL;

        return dot && strcmp(dot + 1, ts_side_str(side)) == 0 && ts_journal_id_valid(id);
}

static bool matches(const struct ts_json *head, const char *key)
{
        const char *id = ts_json_str(head, "container_id", "");

        return ts_streq0(ts_json_str(head, "id", NULL), key) || ts_streq0(ts_json_str(head, "container_name", NULL), key) ||
               strcmp(id, key) == 0 || (strlen(key) >= SHORT_ID && ts_starts(id, key));
}

static int copy_new(const struct ts_json *head, struct ts_str *text, struct ts_mirror_copy *ret, struct ts_err *err)
{
        struct ts_mirror_copy c = { .id = ts_strdup0(ts_json_str(head, "id", "")),
                                    .container_id = ts_strdup0(ts_json_str(head, "container_id", "")),
                                    .container_name = ts_strdup0(ts_json_str(head, "container_name", "")) };

        if (!c.id || !c.container_id || !c.container_name) {
                copy_clear(&c);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        c.text = *text;
        *text = (struct ts_str)TS_STR_INIT;
        *ret = c;
        return 0;
}

/* What a crash left of a last line is no part of it. */
static size_t whole_lines(const struct ts_str *text)
{
        const char *end = text->len ? memrchr(text->buf, '\n', text->len) : NULL;

        return end ? (size_t)(end + 1 - text->buf) : 0;
}

static bool one_begins_the_other(const struct ts_str *a, const struct ts_str *b)
{
        size_t la = whole_lines(a), lb = whole_lines(b);

        return memcmp(ts_str_cstr(a), ts_str_cstr(b), la < lb ? la : lb) == 0;
}

/* Takes over what c holds. */
static int keep(struct ts_mirror_copies *all, struct ts_mirror_copy *c, struct ts_err *err)
{
        struct ts_mirror_copy *more;

        for (size_t i = 0; i < all->n; i++) {
                if (strcmp(all->v[i].id, c->id) != 0)
                        continue;
                all->v[i].differs |= !one_begins_the_other(&all->v[i].text, &c->text);
                c->differs |= all->v[i].differs;
                if (c->text.len > all->v[i].text.len) {
                        struct ts_mirror_copy shorter = all->v[i];

                        all->v[i] = *c;
                        *c = shorter;
                }
                copy_clear(c);
                return 0;
        }
        if (all->n >= KEEP_MAX) {
                copy_clear(c);
                return 0;
        }
        more = reallocarray(all->v, all->n + 1, sizeof(*more));
        if (!more) {
                copy_clear(c);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        all->v = more;
        all->v[all->n++] = *c;
        return 0;
}

/* A file that cannot be read, or is no journal, is passed over; a host that is lost is an error. */
static int run(struct ts_host *h, const char *const argv[], size_t max, struct ts_run_result *r, bool *ret_ok, struct ts_err *err)
{
        const struct ts_run_opts opts = { .max_output = max };
        ts_auto_err why = TS_ERR_INIT;

        *ret_ok = false;
        if (ts_host_run(h, argv, &opts, r, &why) == 0)
                *ret_ok = r->status == 0;
        else if (why.code != TS_ELIMIT) {
                ts_err_set(err, why.code, "%s", ts_err_message(&why));
                return -1;
        }
        return 0;
}

/* A file, ours, and no link to one: whoever could write into the directory would speak in the name of its host. $1. */
#define IS_OURS "[ -f \"$1\" ] && [ ! -L \"$1\" ] && [ -O \"$1\" ] || exit 1; "
static const char head_script[] = IS_OURS "exec head -n 1 -- \"$1\"";
/* Takes it away from who writes it, then reads it. $1 the copy, $2 its new name. */
static const char take_script[] = IS_OURS "[ \"$1\" = \"$2\" ] || mv -f -- \"$1\" \"$2\" || exit 1; exec cat -- \"$2\"";
static const char read_script[] = IS_OURS "exec cat -- \"$1\"";

/* A copy is of the migration that its file is called by: under that name nothing else is written,
 * taken away or removed. */
static bool is_named(const char *path, const struct ts_json *head)
{
        const char *file = strrchr(path, '/'), *id = ts_json_str(head, "id", "");

        return file && ts_starts(file + 1, id) && file[1 + strlen(id)] == '.';
}

static int look_at(struct ts_host *h, const char *path, const char *key, bool take, struct ts_mirror_copies *ret, struct ts_err *err)
{
        ts_auto_free char *taken = is_taken(path) ? ts_strdup0(path) : ts_fmt("%s" TAKEN, path);
        const char *const first[] = { "/bin/sh", "-c", head_script, "sh", path, NULL };
        const char *const whole[] = { "/bin/sh", "-c", take ? take_script : read_script, "sh", path, taken, NULL };
        ts_auto_run line = { 0 }, text = { 0 };
        ts_auto(ts_json) struct ts_json *head = NULL;
        struct ts_mirror_copy c;
        bool ok;

        if (!taken)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (run(h, first, TS_JOURNAL_MAX_LINE, &line, &ok, err) < 0)
                return -1;
        if (!ok || ts_json_parse(ts_str_cstr(&line.out), line.out.len, TS_JOURNAL_MAX_LINE, &head, NULL) < 0 ||
            !is_named(path, head) || !matches(head, key))
                return 0;
        if (run(h, whole, TS_JOURNAL_MAX_BYTES, &text, &ok, err) < 0)
                return -1;
        if (!ok)
                return 0;
        return copy_new(head, &text.out, &c, err) < 0 ? -1 : keep(ret, &c, err);
}

static int list(struct ts_host *h, const char *dir, enum ts_side side, struct ts_list *ret, struct ts_err *err)
{
        const char *const argv[] = { "ls", "-1", "--", dir, NULL };
        ts_auto_run r = { 0 };
        bool ok;

        if (run(h, argv, 0, &r, &ok, err) < 0)
                return -1;
        for (const char *p = ok ? ts_str_cstr(&r.out) : ""; *p;) {
                size_t len = strcspn(p, "\n");
                ts_auto_free char *name = strndup(p, len);

                if (name && is_copy_name(name, side) && ts_list_add(ret, name, err) < 0)
                        return -1;
                p += len + (p[len] == '\n');
        }
        return 0;
}

static int newest_first(const void *a, const void *b)
{
        return strcmp(*(char *const *)b, *(char *const *)a); /* an ID begins with its time; the host's ls may sort by its own rules */
}

/* However many others there are: those of the migration that was asked for come first. */
static void ours_first(struct ts_list *names, const char *key)
{
        size_t len = strlen(key), n = 0;

        for (size_t i = 0; i < names->n; i++) {
                char *name = names->v[i];

                if (strncmp(name, key, len) != 0 || name[len] != '.')
                        continue;
                memmove(&names->v[n + 1], &names->v[n], (i - n) * sizeof(*names->v));
                names->v[n++] = name;
        }
}

int ts_mirror_fetch(struct ts_host *h, const char *dir, const char *key, enum ts_side side, bool take, struct ts_mirror_copies *ret, struct ts_err *err)
{
        ts_auto_list names = TS_LIST_INIT;

        dir = ts_or(dir, TS_MIRROR_DIR);
        if (list(h, dir, side, &names, err) < 0)
                return -1;
        if (names.n > 1)
                qsort(names.v, names.n, sizeof(*names.v), newest_first);
        ours_first(&names, key);
        for (size_t i = 0; i < names.n && i < LOOK_MAX; i++) {
                ts_auto_free char *path = ts_fmt("%s/%s", dir, names.v[i]);

                if (!path)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (look_at(h, path, key, take, ret, err) < 0)
                        return -1;
        }
        return 0;
}
