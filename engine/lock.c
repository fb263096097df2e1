/* The lock of a container on its source host. Decides how it is made, read and broken atomically with the commands every host has (mkdir, tee, ln, mv, cat, rm, test); whether a stale one
 * may be broken is asked here (ts_lock_stale) and decided by the caller.
 *
 * Making: the content goes to a file of its own name first and gets the lock's name by link(2), which fails if that exists: a lock is never seen half-written. Breaking: rename(2) to a name of
 * our own takes it away from everybody, then its content is compared; another's lock is linked back. Between the two a third one may take the lock: hence ts_lock_check() before the freeze. */
#include "engine/lock.h"

#include "base/clock.h"
#include "base/io.h"
#include "engine/self.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA "tranship.lock/1"
#define CONTENT_MAX ((size_t)16 << 10)
#define FIELD_MAX 512

static const struct {
        const char *key;
        size_t offset;
} texts[] = {
        { "migration", offsetof(struct ts_lock_info, migration) },
        { "token", offsetof(struct ts_lock_info, token) },
        { "host", offsetof(struct ts_lock_info, host) },
        { "boot_id", offsetof(struct ts_lock_info, boot_id) },
        { "machine", offsetof(struct ts_lock_info, machine) },
        { "pid_ns", offsetof(struct ts_lock_info, pid_ns) },
        { "container_id", offsetof(struct ts_lock_info, container_id) },
        { "container_started_at", offsetof(struct ts_lock_info, container_started_at) },
        { "taken_at", offsetof(struct ts_lock_info, taken_at) },
}, numbers[] = {
        { "pid", offsetof(struct ts_lock_info, pid) },
        { "pid_start", offsetof(struct ts_lock_info, pid_start) },
        { "container_pid", offsetof(struct ts_lock_info, container_pid) },
};

static char **text_of(struct ts_lock_info *i, size_t n)
{
        return (char **)(void *)((char *)i + texts[n].offset);
}

static int64_t *number_of(struct ts_lock_info *i, size_t n)
{
        return (int64_t *)(void *)((char *)i + numbers[n].offset);
}

void ts_lock_info_clear(struct ts_lock_info *i)
{
        if (!i)
                return;
        for (size_t n = 0; n < TS_ARRAY_LEN(texts); n++)
                free(*text_of(i, n));
        *i = (struct ts_lock_info){ 0 };
}

char *ts_lock_path(const char *container_id)
{
        return container_id && ts_name_valid(container_id, 128) ? ts_fmt(TS_LOCK_DIR "/%s", container_id) : NULL;
}

/* ---- who we are ---- */

/* The machine ID itself is nobody else's business (machine-id(5)): 64 bits of FNV-1a of it. */
static void machine_digest(char buf[32])
{
        ts_auto_str id = TS_STR_INIT;
        uint64_t h = 14695981039346656037ULL;

        buf[0] = '\0';
        if (ts_file_read("/etc/machine-id", 128, &id, NULL) < 0 || id.len < 32)
                return;
        for (const char *p = "tranship"; *p; p++)
                h = (h ^ (unsigned char)*p) * 1099511628211ULL;
        for (size_t i = 0; i < id.len; i++)
                h = (h ^ (unsigned char)id.buf[i]) * 1099511628211ULL;
        (void)snprintf(buf, 32, "%016" PRIx64, h);
}

static void pid_namespace(char buf[64])
{
        ssize_t n = readlink("/proc/self/ns/pid", buf, 63);

        buf[n > 0 ? n : 0] = '\0';
}

/* One line, for the migration of head and the process of token. NULL out of memory. */
static char *content_for(const struct ts_journal_head *head, const char *token)
{
        ts_auto(ts_json) struct ts_json *j = ts_json_object();
        ts_auto_free char *text = NULL;
        char machine[32], now[32], ns[64];
        struct ts_lock_info i = { .migration = head->id,
                                  .token = (char *)(uintptr_t)token,
                                  .host = head->host,
                                  .boot_id = head->boot_id,
                                  .machine = machine,
                                  .pid_ns = ns,
                                  .pid = head->pid,
                                  .pid_start = head->pid_start,
                                  .container_id = head->container_id,
                                  .container_started_at = head->container_started_at,
                                  .container_pid = head->container_pid,
                                  .taken_at = now };
        int bad = ts_json_set_str(j, "schema", SCHEMA);

        machine_digest(machine);
        pid_namespace(ns);
        ts_utc_now(now);
        for (size_t n = 0; n < TS_ARRAY_LEN(texts); n++)
                bad |= ts_json_set_str(j, texts[n].key, *text_of(&i, n));
        for (size_t n = 0; n < TS_ARRAY_LEN(numbers); n++)
                bad |= ts_json_set_int(j, numbers[n].key, *number_of(&i, n));
        text = bad ? NULL : ts_json_text(j, /* pretty= */ false);
        return text ? ts_fmt("%s\n", text) : NULL;
}

/* ---- reading ---- */

static int parse(const char *text, size_t len, struct ts_lock_info *ret, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        struct ts_lock_info i = { 0 };

        if (ts_json_parse(text, len, CONTENT_MAX, &j, err) < 0)
                return -1;
        if (!ts_streq0(ts_json_str(j, "schema", NULL), SCHEMA) || !ts_name_valid(ts_json_str(j, "migration", ""), 64))
                return ts_err_set(err, TS_EPROTO, "it is not a lock of tranship");
        for (size_t n = 0; n < TS_ARRAY_LEN(texts); n++) {
                const char *s = ts_json_str(j, texts[n].key, "");

                *text_of(&i, n) = ts_printable(s, strlen(s), FIELD_MAX); /* it is shown to people */
                if (!*text_of(&i, n)) {
                        ts_lock_info_clear(&i);
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                }
        }
        for (size_t n = 0; n < TS_ARRAY_LEN(numbers); n++)
                *number_of(&i, n) = ts_json_int(j, numbers[n].key, 0);
        *ret = i;
        return 0;
}

static bool is_there(struct ts_host *h, const char *path)
{
        const char *const argv[] = { "test", "-e", path, NULL };
        ts_auto_run r = { 0 };

        return ts_host_run(h, argv, NULL, &r, NULL) < 0 || r.status != 1; /* not knowing is not "absent" */
}

/* The exact content. TS_ENOTFOUND. */
static int read_content(struct ts_host *h, const char *path, char **ret, struct ts_err *err)
{
        const char *const argv[] = { "cat", "--", path, NULL };
        const struct ts_run_opts opts = { .max_output = CONTENT_MAX };
        ts_auto_run r = { 0 };

        if (ts_host_run(h, argv, &opts, &r, err) < 0)
                return -1;
        if (r.status != 0) {
                if (!is_there(h, path))
                        return ts_err_set(err, TS_ENOTFOUND, "there is no lock '%s'", path);
                return ts_err_set(err, TS_ECOMMAND, "cannot read the lock '%s': %s", path, ts_str_cstr(&r.err));
        }
        *ret = ts_str_take(&r.out);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

int ts_lock_read(struct ts_host *h, const char *path, struct ts_lock_info *ret, char **ret_content, struct ts_err *err)
{
        ts_auto_free char *content = NULL;

        if (read_content(h, path, &content, err) < 0)
                return -1;
        if (parse(content, strlen(content), ret, err) < 0)
                return ts_err_prefix(err, "lock '%s' on %s", path, ts_host_name(h));
        if (ret_content)
                *ret_content = TS_TAKE(content);
        return 0;
}

/* ---- taking ---- */

static int taken(const struct ts_lock_info *i, struct ts_err *err)
{
        ts_err_set(err, TS_ECONFLICT, "container '%.12s' is being moved by migration '%s' (begun on '%s' at %s)", i->container_id,
                   i->migration, i->host, i->taken_at);
        return ts_err_hint(err, "see `tranship status %s` · if its process died: `tranship recover %s` on '%s'", i->migration, i->migration,
                           i->host);
}

static int write_new(struct ts_host *h, const char *path, const char *tmp, const char *content, struct ts_err *err)
{
        ts_auto_free char *dir = ts_strdup0(path);
        const char *const write[] = { "tee", "--", tmp, NULL };
        const struct ts_run_opts opts = { .input = content, .input_len = strlen(content), .max_output = CONTENT_MAX };
        char *slash = dir ? strrchr(dir, '/') : NULL;

        if (!slash || slash == dir)
                return ts_err_set(err, dir ? TS_EINTERNAL : TS_ENOMEM, "cannot make the lock '%s'", path);
        *slash = '\0';
        const char *const make[] = { "mkdir", "-p", "-m", "0700", "--", dir, NULL };
        if (ts_host_check(h, make, NULL, NULL, err) < 0 || ts_host_check(h, write, &opts, NULL, err) < 0)
                return ts_err_prefix(err, "lock on %s", ts_host_name(h));
        return 0;
}

/* 1: it is ours now; 0: the name is taken, or link failed for another reason (in *ret_why). */
static int link_name(struct ts_host *h, const char *from, const char *to, char **ret_why, struct ts_err *err)
{
        const char *const argv[] = { "ln", "--", from, to, NULL };
        ts_auto_run r = { 0 };

        if (ts_host_run(h, argv, NULL, &r, err) < 0)
                return -1;
        if (r.status == 0)
                return 1;
        free(*ret_why);
        *ret_why = ts_printable(ts_str_cstr(&r.err), r.err.len, FIELD_MAX);
        return 0;
}

static bool is_of(const struct ts_lock_info *i, const char *migration, const char *token)
{
        return ts_streq0(i->migration, migration) && ts_streq0(i->token, token);
}

static int link_or_conflict(struct ts_host *h, const char *tmp, const char *path,
                            const char *migration, const char *token, struct ts_err *err)
{
        ts_auto_free char *why = NULL;

        for (int tries = 0; tries < 3; tries++) { /* whoever had it may release it between our two looks */
                struct ts_lock_info now = { 0 };
                ts_auto_free char *content = NULL;
                ts_auto_err look = TS_ERR_INIT;
                int rc = link_name(h, tmp, path, &why, err);

                if (rc != 0)
                        return rc < 0 ? -1 : 0;
                if (ts_lock_read(h, path, &now, &content, &look) == 0) {
                        bool other_process =
                                ts_streq0(now.migration, migration) && !ts_streq0(now.token, token);

                        rc = is_of(&now, migration, token) ? 0
                             : other_process               ? 1
                                                           : taken(&now, err);
                        ts_lock_info_clear(&now);
                        if (rc <= 0)
                                return rc;
                        if (ts_lock_break(h, path, content, &look) == 0)
                                continue;
                }
                if (look.code != TS_ENOTFOUND) {
                        ts_err_set(err, look.code, "%s", ts_err_message(&look));
                        return -1;
                }
        }
        return ts_err_set(err, TS_ECOMMAND, "cannot make the lock '%s': %s", path, ts_or(why, "?"));
}

static void remove_file(struct ts_host *h, const char *path)
{
        const char *const argv[] = { "rm", "-f", "--", path, NULL };
        ts_auto_run r = { 0 };

        (void)ts_host_run(h, argv, NULL, &r, NULL);
}

int ts_lock_take(struct ts_host *h, const char *path, const struct ts_journal_head *head,
                 const char *token, struct ts_err *err)
{
        ts_auto_free char *content = content_for(head, token),
                          *tmp = ts_fmt("%s.new-%s-%s", path, head->id, token);
        int rc;

        if (!content || !tmp)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (write_new(h, path, tmp, content, err) < 0)
                return -1;
        rc = link_or_conflict(h, tmp, path, head->id, token, err);
        remove_file(h, tmp);
        return rc;
}

int ts_lock_check(struct ts_host *h, const char *path, const char *migration, const char *token,
                  struct ts_err *err)
{
        struct ts_lock_info i = { 0 };
        int rc;

        if (ts_lock_read(h, path, &i, NULL, err) < 0)
                return -1;
        rc = is_of(&i, migration, token) ? 0 : taken(&i, err);
        ts_lock_info_clear(&i);
        return rc;
}

/* ---- letting go, and breaking ---- */

/* What was moved away is not what was expected: back with it. */
static int put_back(struct ts_host *h, const char *moved, const char *path, struct ts_err *err)
{
        ts_auto_free char *why = NULL;
        int rc = link_name(h, moved, path, &why, err);

        if (rc == 1) {
                remove_file(h, moved);
                return ts_err_set(err, TS_ECONFLICT, "the lock '%s' was taken by somebody else meanwhile", path);
        }
        if (rc == 0)
                ts_err_set(err, TS_ECONFLICT, "the lock '%s' was taken by two others meanwhile: '%s' is the content of one", path, moved);
        return -1;
}

static int move_away(struct ts_host *h, const char *path, const char *moved, struct ts_err *err)
{
        const char *const argv[] = { "mv", "--", path, moved, NULL };
        ts_auto_run r = { 0 };

        if (ts_host_run(h, argv, NULL, &r, err) < 0)
                return -1;
        if (r.status == 0)
                return 0;
        if (!is_there(h, path))
                return ts_err_set(err, TS_ENOTFOUND, "there is no lock '%s'", path);
        return ts_err_set(err, TS_ECOMMAND, "cannot remove the lock '%s': %s", path, ts_str_cstr(&r.err));
}

int ts_lock_break(struct ts_host *h, const char *path, const char *expected, struct ts_err *err)
{
        ts_auto_free char *now = NULL, *got = NULL, *moved = ts_fmt("%s.gone-%ld-%" PRIu64, path, (long)getpid(), ts_now_us());

        if (!moved)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (read_content(h, path, &now, err) < 0)
                return -1;
        if (strcmp(now, expected) != 0)
                return ts_err_set(err, TS_ECONFLICT, "the lock '%s' was taken by somebody else meanwhile", path);
        if (move_away(h, path, moved, err) < 0 || read_content(h, moved, &got, err) < 0)
                return -1;
        if (strcmp(got, expected) != 0)
                return put_back(h, moved, path, err);
        remove_file(h, moved);
        return 0;
}

/* $1 lock, $2 migration. What processes of this one that were killed had written to become the lock. */
static const char sweep_script[] = "rm -f -- \"$1.new-$2-\"*";

int ts_lock_release(struct ts_host *h, const char *path, const char *migration, const char *token,
                    struct ts_err *err)
{
        const char *const sweep[] = { "/bin/sh", "-c", sweep_script, "sh", path, migration, NULL };
        ts_auto_free char *content = NULL;
        struct ts_lock_info i = { 0 };
        ts_auto_err why = TS_ERR_INIT;
        bool ours;

        (void)ts_host_check(h, sweep, NULL, NULL, NULL);
        if (ts_lock_read(h, path, &i, &content, &why) < 0) {
                if (why.code == TS_ENOTFOUND || why.code == TS_EPROTO)
                        return 0;
                ts_err_set(err, why.code, "%s", ts_err_message(&why));
                return -1;
        }
        ours = is_of(&i, migration, token);
        ts_lock_info_clear(&i);
        if (!ours || ts_lock_break(h, path, content, &why) == 0 || why.code == TS_ENOTFOUND || why.code == TS_ECONFLICT)
                return 0;
        ts_err_set(err, why.code, "%s", ts_err_message(&why));
        return -1;
}

/* ---- stale? ---- */

/* Field 22 of /proc/PID/stat; 0: no such process. The name in field 2 may hold anything, so count from its last ')'. */
static int64_t start_of(int64_t pid)
{
        char path[64];
        ts_auto_str text = TS_STR_INIT;
        const char *p;

        (void)snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
        if (ts_file_read(path, 4096, &text, NULL) < 0 || !(p = strrchr(ts_str_cstr(&text), ')')))
                return 0;
        for (int field = 2; field < 22 && p; field++) {
                p = strchr(p, ' ');
                p = p ? p + 1 : NULL;
        }
        return p ? strtoll(p, NULL, 10) : 0;
}

/* Certain only where a process ID means the same as it did for whoever took the lock. */
static bool process_is_gone(const struct ts_lock_info *i)
{
        char boot[64], machine[32], ns[64];

        ts_self_boot_id(boot, sizeof(boot));
        machine_digest(machine);
        pid_namespace(ns);
        if (!*boot || !*i->boot_id)
                return false;
        if (strcmp(boot, i->boot_id) != 0)
                return *machine && strcmp(machine, i->machine) == 0;
        if (!*ns || strcmp(ns, i->pid_ns) != 0 || i->pid <= 0)
                return false;
        return start_of(i->pid) != i->pid_start;
}

bool ts_lock_stale(const struct ts_lock_info *i, const char *journal_dir)
{
        ts_auto(ts_journal) struct ts_journal *j = NULL;
        ts_auto_err err = TS_ERR_INIT;

        if (!process_is_gone(i))
                return false;
        if (ts_journal_read(journal_dir, i->migration, &j, &err) < 0)
                return err.code == TS_ENOTFOUND;
        return ts_journal_stage(j) == TS_STAGE_DONE || ts_journal_stage(j) == TS_STAGE_ROLLED_BACK;
}
