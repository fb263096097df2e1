/* See own_dir.h. */
#include "transfer/own_dir.h"

#include <string.h>

/* $1 path, $2 how; exit 4: it is not safe, and why is printed. */
static const char script[] = TS_UNSAFE_SH "if unsafe \"$1\" \"$2\"; then exit 4; fi; exit 0";

static bool is_plain(const char *path)
{
        for (const char *p = path; *p == '/'; p += 1 + strcspn(p + 1, "/"))
                if (strcspn(p + 1, "/") <= 2 && p[1] == '.' &&
                    (strcspn(p + 1, "/") == 1 || p[2] == '.'))
                        return false;
        return path[0] == '/';
}

static int look(struct ts_host *h, const char *path, const char *how, struct ts_err *err)
{
        const char *const argv[] = { "/bin/sh", "-c", script, "sh", path, how, NULL };
        ts_auto_free char *why = NULL;
        ts_auto_run r = { 0 };

        if (!is_plain(path))
                return ts_err_set(err, TS_EUSAGE, "'%s' is no plain absolute path", path);
        if (ts_host_run(h, argv, NULL, &r, err) < 0)
                return -1;
        if (r.status == 0)
                return 0;
        why = ts_printable(ts_str_cstr(r.out.len ? &r.out : &r.err),
                           r.out.len ? r.out.len : r.err.len, 300);
        return ts_err_set(err, TS_EREFUSED, "'%s' on '%s' is not root's alone: %s", path,
                          ts_host_name(h), ts_or(why, "?"));
}

int ts_own_dir(struct ts_host *h, const char *path, struct ts_err *err)
{
        return look(h, path, "make", err);
}

int ts_own_dir_check(struct ts_host *h, const char *path, bool sticky, struct ts_err *err)
{
        return look(h, path, sticky ? "sticky" : "look", err);
}
