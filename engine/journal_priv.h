/* What the three parts of the journal share: journal.c (the open file), journal_record.c (records to memory), journal_dir.c (the directory). For nobody else. */
#ifndef TRANSHIP_ENGINE_JOURNAL_PRIV_H
#define TRANSHIP_ENGINE_JOURNAL_PRIV_H

#include "base/str.h"
#include "engine/journal.h"

#define TS_JOURNAL_SCHEMA "tranship.journal/1"
#define TS_JOURNAL_MAX_BYTES ((size_t)8 << 20)
#define TS_JOURNAL_MAX_LINE ((size_t)1 << 20)
#define TS_JOURNAL_MAX_RES 4096
#define TS_JOURNAL_MAX_STRING 4096
#define TS_JOURNAL_MAX_ID 64
#define TS_JOURNAL_MAX_MIRRORS 16
#define TS_JOURNAL_SUFFIX ".jsonl"

struct ts_journal {
        struct ts_journal_head head;
        char *path;
        int fd;             /* -1: read-only */
        bool failed;        /* a write failed and could not be taken back: nothing more is written */
        bool only_check;    /* ts_journal_apply() checks and changes nothing */
        struct ts_str text; /* every complete record, as in the file */
        int64_t seq;        /* of the next record */
        enum ts_stage stage;
        struct ts_json *detail[TS_STAGE_MAX];
        enum ts_stage before_last; /* the stage before the last stage record … */
        int64_t last_stage_seq;    /* … and that record's number, -1: none; for a withdrawal */
        struct ts_res *res;
        size_t n_res;
        struct ts_adoption adoption; /* the latest … */
        int64_t adopted_seq;         /* … and its record's number, -1: none */
        struct ts_journal_mirror mirrors[TS_JOURNAL_MAX_MIRRORS];
        unsigned n_mirrors;
        struct ts_err mirror_error; /* the first failure of a copy */
};

struct ts_journal *ts_journal_new(void); /* NULL out of memory */
/* Checks one record and adds what it says to j. code: of a record that makes no sense (TS_EPROTO when reading, TS_EINTERNAL when writing). */
int ts_journal_apply(struct ts_journal *j, const struct ts_json *record, enum ts_code code, struct ts_err *err);
struct ts_json *ts_journal_head_record(const struct ts_journal_head *h); /* without seq and time; NULL out of memory */
/* All of text. Complete records go into j->text; a last one cut short is left out. */
int ts_journal_parse(struct ts_journal *j, const char *text, size_t len, struct ts_err *err);
struct ts_json *ts_journal_adoption_record(const struct ts_adoption *a); /* without seq and time; NULL out of memory */
const char *ts_journal_res_state_str(enum ts_res_state s);
/* An error unless every string of it is sound and survives as JSON text. */
int ts_journal_check_string(const char *what, const char *s, enum ts_code code, struct ts_err *err);

int ts_journal_stamp(const struct ts_journal *j, struct ts_json *record, struct ts_err *err); /* adds seq and time */
int ts_journal_line(const struct ts_json *record, struct ts_str *line,
                    struct ts_err *err); /* adds the record as a line, newline included */

char *ts_journal_path(const char *dir, const char *id); /* NULL out of memory */

#endif
