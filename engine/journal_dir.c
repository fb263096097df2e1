/* The directory of journals: making, finding, locking and deleting their files. Decides names, permissions and who may write; not what is in them. */
#include "engine/claims.h"
#include "engine/journal_priv.h"

#include "base/clock.h"
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ALLOCATE_BYTES ((off_t)256 << 10)
#define LOCK_TRIES 10 /* whoever asks ts_journal_is_live() holds the lock for a moment */
#define LOCK_WAIT_MS 10

char *ts_journal_path(const char *dir, const char *id)
{
        return ts_fmt("%s/%s" TS_JOURNAL_SUFFIX, dir, id);
}

static int check_id(const char *id, struct ts_err *err)
{
        return ts_journal_id_valid(id) ? 0 : ts_err_set(err, TS_EUSAGE, "'%s' is not the ID of a migration", ts_or(id, ""));
}

/* Blocks behind the end of the file, so that a full disk cannot stop the records that matter. Where the file system cannot do that, it also cannot promise anything. */
static int allocate(int fd, struct ts_err *err)
{
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, ALLOCATE_BYTES) == 0 || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
                return 0;
        return ts_err_errno(err, errno, "cannot allocate space for the journal");
}

static int sync_dir(const char *dir, struct ts_err *err)
{
        ts_auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || fsync(fd) < 0)
                return ts_err_errno(err, errno, "cannot sync the directory '%s'", dir);
        return 0;
}

static int write_new(int fd, const struct ts_str *text, struct ts_err *err)
{
        if (allocate(fd, err) < 0 || ts_write_all(fd, text->buf, text->len, 0, false, err) < 0)
                return -1;
        return fsync(fd) < 0 ? ts_err_errno(err, errno, "cannot sync the journal") : 0;
}

/* A journal appears whole and locked, or not at all: written under another name first. replace: an older copy of the same is there. */
static int publish(struct ts_journal *j, const char *dir, bool replace, struct ts_err *err)
{
        ts_auto_free char *path = ts_journal_path(dir, j->head.id), *tmp = ts_fmt("%s/.new-%s-XXXXXX", dir, j->head.id);
        ts_auto_fd int fd = -1;
        int rc;

        if (!path || !tmp)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        fd = mkostemp(tmp, O_CLOEXEC); /* 0600 */
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot make a file in '%s'", dir);
        rc = write_new(fd, &j->text, err);
        if (rc == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
                rc = ts_err_errno(err, errno, "cannot lock '%s'", tmp);
        if (rc == 0)
                rc = replace ? rename(tmp, path) : link(tmp, path);
        if (rc < 0 && !ts_err_is_set(err)) {
                if (errno == EEXIST)
                        ts_err_set(err, TS_ECONFLICT, "a journal of migration '%s' exists already", j->head.id);
                else
                        ts_err_errno(err, errno, "cannot make the journal '%s'", path);
        }
        if (rc < 0 || !replace)
                (void)unlink(tmp);
        if (rc < 0)
                return -1;
        if (sync_dir(dir, err) < 0) {
                if (!replace) /* nothing was done yet that it could speak of */
                        (void)unlink(path);
                return -1;
        }
        j->fd = TS_TAKE_FD(fd);
        j->path = TS_TAKE(path);
        return 0;
}

int ts_journal_create(const char *dir, const struct ts_journal_head *head, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();
        ts_auto(ts_json) struct ts_json *record = ts_journal_head_record(head);

        if (!j || !record)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_journal_stamp(j, record, err) < 0 || ts_journal_apply(j, record, TS_EINTERNAL, err) < 0 ||
            ts_journal_line(record, &j->text, err) < 0)
                return -1;
        if (ts_mkdir_p(dir, 0700, err) < 0 || publish(j, dir, false, err) < 0)
                return -1;
        *ret = TS_TAKE(j);
        return 0;
}

/* ---- opening ---- */

/* What a journal says is done as us: one that somebody else could have written is none of ours. */
static int check_owner(const char *path, const struct stat *st, struct ts_err *err)
{
        ts_auto_free char *word = NULL;

        if (st->st_uid != geteuid())
                return ts_err_set(err, TS_EPROTO, "'%s' belongs to user %u, not to us: what it says is not followed", path, (unsigned)st->st_uid);
        if (!(st->st_mode & (S_IWGRP | S_IWOTH)))
                return 0;
        ts_err_set(err, TS_EPROTO, "'%s' can be written by other users: what it says is not followed", path);
        word = ts_shell_word("%s", path);
        return ts_err_hint(err, "if nobody has: chmod go-w %s", ts_or(word, "FILE"));
}

static int check_dir(const char *dir, struct ts_err *err)
{
        struct stat st;

        return stat(dir, &st) < 0 ? 0 : check_owner(dir, &st, err);
}

static int open_file(const char *path, const char *id, int flags, int *ret_fd, struct ts_err *err)
{
        ts_auto_fd int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;

        if (fd < 0 && errno == ENOENT)
                return ts_err_set(err, TS_ENOTFOUND, "there is no journal of migration '%s'", id);
        if (fd < 0 || fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot open the journal '%s'", path);
        if (!S_ISREG(st.st_mode))
                return ts_err_set(err, TS_EPROTO, "'%s' is not a file", path);
        if (check_owner(path, &st, err) < 0)
                return -1;
        *ret_fd = TS_TAKE_FD(fd);
        return 0;
}

static int lock_file(int fd, const char *id, struct ts_err *err)
{
        for (int tries = LOCK_TRIES;; tries--) {
                if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                        return 0;
                if (errno != EWOULDBLOCK)
                        return ts_err_errno(err, errno, "cannot lock the journal of '%s'", id);
                if (tries == 0)
                        break;
                ts_sleep_ms(LOCK_WAIT_MS);
        }
        ts_err_set(err, TS_ECONFLICT, "migration '%s' is under way in another process", id);
        return ts_err_hint(err, "see `tranship status %s`", id);
}

/* The name may have been given to another file before we had the lock. */
static bool still_named(int fd, const char *path)
{
        struct stat a, b;

        return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int load(struct ts_journal *j, int fd, const char *id, size_t *ret_file_bytes, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT_MAX(TS_JOURNAL_MAX_BYTES);

        if (ts_read_to_end(fd, &text, 0, err) < 0 || ts_journal_parse(j, ts_str_cstr(&text), text.len, err) < 0)
                return ts_err_prefix(err, "migration '%s'", id);
        if (strcmp(j->head.id, id) != 0)
                return ts_err_set(err, TS_EPROTO, "the journal of '%s' is about migration '%s'", id, j->head.id);
        *ret_file_bytes = text.len;
        return 0;
}

/* The file is what was understood: a torn end goes, an end without newline gets one. */
static int mend(const struct ts_journal *j, size_t file_bytes, struct ts_err *err)
{
        bool same = file_bytes == j->text.len;

        if (!same && file_bytes + 1 == j->text.len && pwrite(j->fd, "\n", 1, (off_t)file_bytes) != 1)
                return ts_err_errno(err, errno, "cannot mend the journal '%s'", j->path);
        if (!same && (ftruncate(j->fd, (off_t)j->text.len) < 0 || fdatasync(j->fd) < 0))
                return ts_err_errno(err, errno, "cannot mend the journal '%s'", j->path);
        (void)allocate(j->fd, NULL); /* a recovery goes on without */
        return 0;
}

int ts_journal_open(const char *dir, const char *id, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();
        size_t file_bytes;

        if (check_id(id, err) < 0)
                return -1;
        if (!j || !(j->path = ts_journal_path(dir, id)))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (check_dir(dir, err) < 0 || open_file(j->path, id, O_RDWR, &j->fd, err) < 0 || lock_file(j->fd, id, err) < 0)
                return -1;
        if (!still_named(j->fd, j->path))
                return ts_err_set(err, TS_ECONFLICT, "the journal of '%s' was replaced by another process", id);
        if (load(j, j->fd, id, &file_bytes, err) < 0 || mend(j, file_bytes, err) < 0)
                return -1;
        *ret = TS_TAKE(j);
        return 0;
}

int ts_journal_read(const char *dir, const char *id, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();
        ts_auto_fd int fd = -1;
        size_t file_bytes;

        if (check_id(id, err) < 0)
                return -1;
        if (!j || !(j->path = ts_journal_path(dir, id)))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (check_dir(dir, err) < 0 || open_file(j->path, id, O_RDONLY, &fd, err) < 0 || load(j, fd, id, &file_bytes, err) < 0)
                return -1;
        *ret = TS_TAKE(j);
        return 0;
}

/* ---- adopting ---- */

static bool is_prefix(const struct ts_str *shorter, const struct ts_str *longer)
{
        return shorter->len <= longer->len && memcmp(shorter->buf, longer->buf, shorter->len) == 0;
}

/* "20261120-161502-3fa9c1": nothing that somebody else's file or table could be called by chance, or by somebody's choice. */
static bool is_own_form(const char *id)
{
        static const char form[] = "dddddddd-dddddd-xxxxxx";

        for (size_t i = 0; i < sizeof(form); i++) {
                const char *of = form[i] == 'd' ? "0123456789" : form[i] == 'x' ? "0123456789abcdef" : form[i] == '-' ? "-" : "";

                if (form[i] == '\0' ? id[i] != '\0' : id[i] == '\0' || !strchr(of, id[i]))
                        return false;
        }
        return true;
}

int ts_journal_from_text(const char *text, size_t len, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();

        if (!j)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_journal_parse(j, text, len, err) < 0)
                return -1;
        if (!is_own_form(j->head.id))
                return ts_err_set(err, TS_EPROTO, "'%s' is not the ID of a migration", j->head.id);
        if (!ts_is_engine_id(j->head.container_id)) /* processes are found by it */
                return ts_err_set(err, TS_EPROTO, "'%s' is not the ID of a container", j->head.container_id);
        *ret = TS_TAKE(j);
        return 0;
}

/* The record that says so, for good: a later recovery on this machine must know it, too. */
static int add_adoption(struct ts_journal *j, const struct ts_adoption *how, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *record = ts_journal_adoption_record(how);

        if (!record)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_journal_stamp(j, record, err) < 0 || ts_journal_apply(j, record, TS_EPROTO, err) < 0 || ts_journal_line(record, &j->text, err) < 0 ? -1 : 0;
}

/* One that was taken over and nothing done for since: without the records that say so it is the host's copy of then. */
static void drop_last_adoptions(struct ts_str *text)
{
        for (;;) {
                const char *end = text->len > 1 ? memrchr(text->buf, '\n', text->len - 1) : NULL;
                size_t from = end ? (size_t)(end + 1 - text->buf) : 0;
                ts_auto(ts_json) struct ts_json *r = NULL;

                if (from == 0 || ts_json_parse(text->buf + from, text->len - from - 1, TS_JOURNAL_MAX_LINE, &r, NULL) < 0 || !ts_streq0(ts_json_str(r, "type", NULL), "adopted"))
                        return;
                text->len = from;
        }
}

/* A journal of that ID is here already: whichever of the two goes on where the other ends is the newer one. One that was adopted earlier is judged anew by what the hosts have now. */
static int adopt_over(const char *dir, struct ts_journal *copy, const struct ts_adoption *how, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *here = NULL, *both = NULL;

        if (ts_journal_open(dir, copy->head.id, &here, err) < 0)
                return -1;
        if (here->adopted_seq >= 0 && !is_prefix(&copy->text, &here->text))
                drop_last_adoptions(&here->text);
        if (!is_prefix(&copy->text, &here->text) && !is_prefix(&here->text, &copy->text)) {
                ts_err_set(err, TS_ECONFLICT, "the journal of '%s' here and the one on the host tell different stories", copy->head.id);
                return ts_err_hint(err, "what is known here: tranship status %s · it is recovered with: tranship recover %s", copy->head.id, copy->head.id);
        }
        if (copy->text.len <= here->text.len && here->adopted_seq < 0) {
                *ret = TS_TAKE(here);
                return 0;
        }
        if (ts_journal_from_text(copy->text.len > here->text.len ? copy->text.buf : here->text.buf, copy->text.len > here->text.len ? copy->text.len : here->text.len, &both, err) < 0 ||
            add_adoption(both, how, err) < 0 || publish(both, dir, true, err) < 0) /* while the old one is still locked */
                return -1;
        *ret = TS_TAKE(both);
        return 0;
}

int ts_journal_adopt(const char *dir, const char *text, size_t len, const struct ts_adoption *how, struct ts_journal **ret, struct ts_err *err)
{
        ts_auto(ts_journal) struct ts_journal *copy = NULL, *j = NULL;
        ts_auto_err why = TS_ERR_INIT;

        if (ts_journal_from_text(text, len, &copy, err) < 0 || ts_journal_from_text(text, len, &j, err) < 0 || ts_mkdir_p(dir, 0700, err) < 0 || add_adoption(j, how, err) < 0)
                return -1;
        if (publish(j, dir, false, &why) == 0) {
                *ret = TS_TAKE(j);
                return 0;
        }
        if (why.code == TS_ECONFLICT)
                return adopt_over(dir, copy, how, ret, err);
        ts_err_move(err, &why);
        return -1;
}

/* ---- the directory ---- */

/* The ID of "ID.jsonl", or NULL. Caller frees. */
static char *id_of(const char *name)
{
        size_t len = strlen(name), suffix = strlen(TS_JOURNAL_SUFFIX);
        ts_auto_free char *id = NULL;

        if (len <= suffix || strcmp(name + len - suffix, TS_JOURNAL_SUFFIX) != 0)
                return NULL;
        id = strndup(name, len - suffix);
        return ts_journal_id_valid(id) ? TS_TAKE(id) : NULL;
}

int ts_journal_ids(const char *dir, struct ts_list *ret, struct ts_err *err)
{
        struct dirent **entries = NULL;
        ts_auto_list ids = TS_LIST_INIT;
        int n = scandir(dir, &entries, NULL, alphasort), rc = 0; /* an ID begins with its time */

        if (n < 0 && errno != ENOENT)
                return ts_err_errno(err, errno, "cannot read the directory '%s'", dir);
        for (int i = 0; i < n; i++) {
                ts_auto_free char *id = rc == 0 ? id_of(entries[i]->d_name) : NULL;

                if (id)
                        rc = ts_list_add(&ids, id, err);
                free(entries[i]);
        }
        free(entries);
        if (rc < 0)
                return -1;
        *ret = ids;
        ids = (struct ts_list)TS_LIST_INIT;
        return 0;
}

int ts_journal_is_live(const char *dir, const char *id)
{
        ts_auto_free char *path = ts_journal_id_valid(id) ? ts_journal_path(dir, id) : NULL;
        ts_auto_fd int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;

        return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK ? 1 : 0;
}

static bool older_than(const char *path, unsigned days)
{
        struct stat st;
        time_t now = time(NULL);

        return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mtime < now && (uint64_t)(now - st.st_mtime) > (uint64_t)days * 86400;
}

void ts_journal_forget(const struct ts_journal *j)
{
        if (j->fd >= 0 && j->path)
                (void)unlink(j->path);
}

void ts_journal_prune(const char *dir, unsigned days)
{
        ts_auto_list ids = TS_LIST_INIT;

        if (ts_journal_ids(dir, &ids, NULL) < 0)
                return;
        for (size_t i = 0; i < ids.n; i++) {
                ts_auto(ts_journal) struct ts_journal *j = NULL;

                if (ts_journal_read(dir, ids.v[i], &j, NULL) == 0 && (j->stage == TS_STAGE_DONE || j->stage == TS_STAGE_ROLLED_BACK) &&
                    older_than(j->path, days) && !ts_journal_is_live(dir, ids.v[i]))
                        (void)unlink(j->path);
        }
}
