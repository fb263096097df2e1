/* The journal that is open: every record is on the disk before the call that makes it returns. Decides the order of local file, copies and memory; what a sound record is
 * says journal_record.c, files and names are in journal_dir.c. */
#include "engine/journal_priv.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Stages that announce what cannot be taken back without a fence: a copy that another machine could recover from must know them too. checkpoint-sent is one of them so
 * that a copy that broke earlier stops the move before the container is frozen, not after. */
static bool stage_needs_mirrors(enum ts_stage s)
{
        return s == TS_STAGE_CHECKPOINT_SENT || s == TS_STAGE_RESTORE_SENT;
}

const struct ts_journal_head *ts_journal_head(const struct ts_journal *j)
{
        return &j->head;
}

enum ts_stage ts_journal_stage(const struct ts_journal *j)
{
        return j->stage;
}

const struct ts_json *ts_journal_detail(const struct ts_journal *j, enum ts_stage s)
{
        return (unsigned)s < TS_STAGE_MAX ? j->detail[s] : NULL;
}

const struct ts_adoption *ts_journal_adoption(const struct ts_journal *j)
{
        return j->adopted_seq < 0 ? NULL : &j->adoption;
}

const char *ts_journal_text(const struct ts_journal *j)
{
        return j->text.len ? j->text.buf : "";
}

int64_t ts_journal_records(const struct ts_journal *j)
{
        return j->seq;
}

size_t ts_journal_res_count(const struct ts_journal *j)
{
        return j->n_res;
}

const struct ts_res *ts_journal_res(const struct ts_journal *j, size_t n)
{
        return n < j->n_res ? &j->res[n] : NULL;
}

/* ---- writing ---- */

static int write_at(int fd, const char *data, size_t len, size_t offset)
{
        while (len > 0) {
                ssize_t n = pwrite(fd, data, len, (off_t)offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        errno = n == 0 ? EIO : errno;
                        return -1;
                }
                data += n;
                offset += (size_t)n;
                len -= (size_t)n;
        }
        return 0;
}

/* The line is on the disk, or the file is as before. */
static int write_line(struct ts_journal *j, const char *line, size_t len, struct ts_err *err)
{
        int e;

        if (write_at(j->fd, line, len, j->text.len) == 0 && fdatasync(j->fd) == 0)
                return 0;
        e = errno;
        if (ftruncate(j->fd, (off_t)j->text.len) < 0 || fdatasync(j->fd) < 0)
                j->failed = true;
        return ts_err_errno(err, e, "cannot write the journal '%s'", j->path);
}

int ts_journal_stamp(const struct ts_journal *j, struct ts_json *record, struct ts_err *err)
{
        char utc[32];

        ts_utc_now(utc);
        if (ts_json_set_int(record, "seq", j->seq) < 0 || ts_json_set_int(record, "t_us", (int64_t)ts_now_us()) < 0 ||
            ts_json_set_str(record, "at", utc) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return 0;
}

/* Tells the copies; one that fails once is left alone from then on, or every step of a rollback would wait for it. -1: not all have it. */
static int tell_mirrors(struct ts_journal *j, const char *line, size_t len, struct ts_err *err)
{
        int rc = 0;

        for (unsigned i = 0; i < j->n_mirrors; i++) {
                struct ts_journal_mirror *m = &j->mirrors[i];
                ts_auto_err why = TS_ERR_INIT;

                if (!m->broken && m->append(m->ctx, line, len, &why) == 0)
                        continue;
                if (!ts_err_is_set(&j->mirror_error))
                        ts_err_move(&j->mirror_error, &why);
                m->broken = true;
                rc = ts_err_set(err, j->mirror_error.code, "%s", ts_err_message(&j->mirror_error));
        }
        return rc;
}

static int writable(const struct ts_journal *j, struct ts_err *err)
{
        if (j->fd < 0)
                return ts_err_set(err, TS_EINTERNAL, "the journal '%s' was opened for reading", j->head.id);
        if (j->failed)
                return ts_err_set(err, TS_EIO, "the journal '%s' cannot be written any more", j->path);
        return 0;
}

/* Would the record make sense? Asked before it is in the file. */
static int check(struct ts_journal *j, const struct ts_json *record, struct ts_err *err)
{
        int rc;

        j->only_check = true;
        rc = ts_journal_apply(j, record, TS_EINTERNAL, err);
        j->only_check = false;
        return rc;
}

/* What is written is what would be read: jansson, short of memory, leaves parts out and says nothing. */
int ts_journal_line(const struct ts_json *record, struct ts_str *line, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *again = NULL;
        ts_auto_free char *text = ts_json_text(record, /* pretty= */ false);

        if (!text)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (strlen(text) >= TS_JOURNAL_MAX_LINE)
                return ts_err_set(err, TS_ELIMIT, "a record of the journal is too large");
        if (ts_json_parse(text, strlen(text), TS_JOURNAL_MAX_LINE, &again, NULL) < 0 || !ts_json_equal(again, record))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_str_adds(line, text, err) < 0 ? -1 : ts_str_adds(line, "\n", err);
}

static int room_for(const struct ts_journal *j, size_t len, struct ts_err *err)
{
        return j->text.len + len <= TS_JOURNAL_MAX_BYTES ? 0 : ts_err_set(err, TS_ELIMIT, "the journal '%s' is too large", j->path);
}

/* The record goes to the file, to memory, to the copies. -1: not in the file and not in memory. *ret_mirrors: what the copies said. Takes record over. */
static int append(struct ts_journal *j, struct ts_json *record, int *ret_mirrors, struct ts_err *mirrors_err, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *owned = record;
        ts_auto_str line = TS_STR_INIT;

        if (!owned)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (writable(j, err) < 0 || ts_journal_stamp(j, owned, err) < 0 || check(j, owned, err) < 0 ||
            ts_journal_line(owned, &line, err) < 0 || room_for(j, line.len, err) < 0 || write_line(j, line.buf, line.len, err) < 0)
                return -1;
        if (ts_str_add(&j->text, line.buf, line.len, err) < 0 || ts_journal_apply(j, owned, TS_EINTERNAL, err) < 0) {
                j->failed = true; /* out of memory: the file knows more than we do */
                return -1;
        }
        *ret_mirrors = tell_mirrors(j, line.buf, line.len, mirrors_err);
        return 0;
}

/* For records whose copies may fail: ts_mirror_error() tells, and the stages that need them find out. */
static int append_leniently(struct ts_journal *j, struct ts_json *record, struct ts_err *err)
{
        int mirrors;

        return append(j, record, &mirrors, NULL, err);
}

static struct ts_json *record_new(const char *type)
{
        ts_auto(ts_json) struct ts_json *r = ts_json_object();

        return ts_json_set_str(r, "type", type) < 0 ? NULL : TS_TAKE(r);
}

/* ---- records ---- */

int ts_journal_set_stage(struct ts_journal *j, enum ts_stage s, struct ts_json *detail, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *r = record_new("stage"), *withdrawn = record_new("withdrawn");
        ts_auto_err why = TS_ERR_INIT;
        int mirrors;

        if ((detail && ts_json_set(r, "detail", detail) < 0) || ts_json_set_str(r, "stage", ts_stage_str(s)) < 0 || !withdrawn)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (append(j, TS_TAKE(r), &mirrors, &why, err) < 0)
                return -1;
        if (mirrors == 0 || !stage_needs_mirrors(s))
                return 0;
        /* Without the withdrawal (the disk is full, we die here) the journal claims more than happened: the cautious side. */
        (void)append_leniently(j, TS_TAKE(withdrawn), NULL);
        ts_err_set(err, why.code, "%s", ts_err_message(&why));
        return ts_err_prefix(err, "the stage '%s' is not in every copy of the journal", ts_stage_str(s));
}

int ts_journal_intent(struct ts_journal *j, enum ts_res_kind k, enum ts_side side, const char *name, const char *id, const char *before,
                      unsigned *ret_n, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *r = record_new("intent");
        unsigned n = (unsigned)j->n_res;

        /* Before they are JSON: there, what is not UTF-8 would already be the name of something else. */
        if (ts_journal_check_string("name", name, TS_EUSAGE, err) < 0 || ts_journal_check_string("ID", id, TS_EUSAGE, err) < 0 ||
            ts_journal_check_string("former value", before, TS_EUSAGE, err) < 0)
                return -1;
        if ((ts_json_set_int(r, "n", n) | ts_json_set_str(r, "kind", ts_res_kind_str(k)) | ts_json_set_str(r, "side", ts_side_str(side)) |
             ts_json_set_str(r, "name", name) | ts_json_set_str(r, "id", id) | ts_json_set_str(r, "before", before)) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (append_leniently(j, TS_TAKE(r), err) < 0)
                return -1;
        if (ret_n)
                *ret_n = n;
        return 0;
}

int ts_journal_res_id(struct ts_journal *j, unsigned n, const char *id, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *r = record_new("res-id");

        if (ts_journal_check_string("ID", id, TS_EUSAGE, err) < 0)
                return -1;
        if ((ts_json_set_int(r, "n", n) | ts_json_set_str(r, "id", id)) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return append_leniently(j, TS_TAKE(r), err);
}

int ts_journal_res_state(struct ts_journal *j, unsigned n, enum ts_res_state state, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *r = record_new("res-state");

        if ((ts_json_set_int(r, "n", n) | ts_json_set_str(r, "state", ts_journal_res_state_str(state))) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return append_leniently(j, TS_TAKE(r), err);
}

int ts_journal_note(struct ts_journal *j, const char *text, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *r = record_new("note");
        ts_auto_free char *line = ts_printable(ts_or(text, ""), strlen(ts_or(text, "")), TS_JOURNAL_MAX_STRING);

        if (!line || ts_json_set_str(r, "text", line) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return append_leniently(j, TS_TAKE(r), err);
}

int ts_journal_renew_mirror(struct ts_journal *j, const void *ctx, struct ts_err *err)
{
        bool broken = false;

        for (unsigned i = 0; i < j->n_mirrors; i++) {
                struct ts_journal_mirror *m = &j->mirrors[i];

                if (m->ctx == ctx) {
                        if (m->append(m->ctx, j->text.buf, j->text.len, err) < 0)
                                return -1;
                        m->broken = false;
                }
                broken |= m->broken;
        }
        if (!broken)
                ts_err_clear(&j->mirror_error);
        return 0;
}

bool ts_journal_mirrors_broken(const struct ts_journal *j)
{
        return ts_err_is_set(&j->mirror_error);
}

int ts_journal_add_mirror(struct ts_journal *j, const struct ts_journal_mirror *m, struct ts_err *err)
{
        if (j->n_mirrors >= TS_JOURNAL_MAX_MIRRORS)
                return ts_err_set(err, TS_EINTERNAL, "more than %d copies of a journal", TS_JOURNAL_MAX_MIRRORS);
        if (m->append(m->ctx, j->text.buf, j->text.len, err) < 0)
                return -1;
        j->mirrors[j->n_mirrors] = *m;
        j->mirrors[j->n_mirrors++].broken = false;
        return 0;
}
