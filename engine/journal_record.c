/* Records of the journal: one JSON object a line, checked and added to what is known. Decides what a sound journal is; does not know files.
 *
 * A journal may come from another host (ts_journal_adopt): names in it are later used to remove things, so they are checked here, once, for everybody. */
#include "engine/journal_priv.h"

#include <string.h>

static const char *const side_names[] = { [TS_SIDE_SOURCE] = "source", [TS_SIDE_TARGET] = "target" };
static const char *const state_names[] = {
        [TS_RES_INTENT] = "intent", [TS_RES_MADE] = "made", [TS_RES_UNDONE] = "undone", [TS_RES_KEPT] = "kept"
};
static const char *const kind_names[TS_RES_KIND_MAX] = {
        [TS_RES_LOCK] = "lock",           [TS_RES_STAGING] = "staging", [TS_RES_SERVICE] = "service",
        [TS_RES_IMAGE] = "image",         [TS_RES_NETWORK] = "network", [TS_RES_VOLUME] = "volume",
        [TS_RES_CONTAINER] = "container", [TS_RES_POLICY] = "policy",   [TS_RES_CHECKPOINT] = "checkpoint",
        [TS_RES_RENAME] = "rename",       [TS_RES_PATH] = "path",
        [TS_RES_RECORD] = "record",
        [TS_RES_DUMP_DIR] = "dump-directory",
        [TS_RES_LINK] = "link",
        [TS_RES_DOOR] = "door",
        [TS_RES_LOG] = "log",
};

/* The strings and numbers of the head. */
static const struct head_field {
        const char *key;
        size_t offset;
        bool required;
} head_strings[] = {
        { "id", offsetof(struct ts_journal_head, id), true },
        { "tool_version", offsetof(struct ts_journal_head, tool_version), false },
        { "started_at", offsetof(struct ts_journal_head, started_at), false },
        { "host", offsetof(struct ts_journal_head, host), false },
        { "boot_id", offsetof(struct ts_journal_head, boot_id), false },
        { "source", offsetof(struct ts_journal_head, source), true },
        { "target", offsetof(struct ts_journal_head, target), true },
        { "container_id", offsetof(struct ts_journal_head, container_id), true },
        { "container_name", offsetof(struct ts_journal_head, container_name), true },
        { "container_started_at", offsetof(struct ts_journal_head, container_started_at), false },
        { "strategy", offsetof(struct ts_journal_head, strategy), false },
        { "transfer", offsetof(struct ts_journal_head, transfer), false },
}, head_numbers[] = {
        { "pid", offsetof(struct ts_journal_head, pid), false },
        { "pid_start", offsetof(struct ts_journal_head, pid_start), false },
        { "container_pid", offsetof(struct ts_journal_head, container_pid), false },
};

/* Words of the head that decide what is done. Where there is none, an old version wrote it (recover.c). */
static const struct head_word {
        const char *key; /* in the head, or "options.KEY" */
        const char *known[5];
} head_words[] = {
        { "strategy", { "archive", "in-place", "cold" } },
        { "transfer", { "stream", "scp", "tls", "shared" } },
        { "options.engine", { "Podman", "Docker" } },
};

static char **head_string(struct ts_journal_head *h, const struct head_field *f)
{
        return (char **)(void *)((char *)h + f->offset);
}

static int64_t *head_number(struct ts_journal_head *h, const struct head_field *f)
{
        return (int64_t *)(void *)((char *)h + f->offset);
}

const char *ts_side_str(enum ts_side s)
{
        return (size_t)s < TS_ARRAY_LEN(side_names) ? side_names[s] : "unknown";
}

const char *ts_res_kind_str(enum ts_res_kind k)
{
        return (size_t)k < TS_ARRAY_LEN(kind_names) ? kind_names[k] : "unknown";
}

const char *ts_journal_res_state_str(enum ts_res_state s)
{
        return (size_t)s < TS_ARRAY_LEN(state_names) ? state_names[s] : "unknown";
}

/* The index of name, or -1. */
static int find_name(const char *const names[], size_t n, const char *name)
{
        for (size_t i = 0; name && i < n && names[i]; i++)
                if (strcmp(names[i], name) == 0)
                        return (int)i;
        return -1;
}

/* A word of a later version is never taken for a default: what it stands for may be the opposite. */
static int unknown(const struct ts_journal *j, const char *what, const char *word, enum ts_code code, struct ts_err *err)
{
        ts_auto_free char *shown = ts_printable(ts_or(word, ""), strlen(ts_or(word, "")), 80);
        const char *version = j->head.tool_version;

        ts_err_set(err, code, "its %s '%s' is not known to this version: a newer tranship began it, or it is damaged", what, ts_or(shown, "?"));
        return ts_err_hint(err, "recover it with the version that began it%s%.40s", version ? ": tranship " : "", ts_or(version, ""));
}

void ts_journal_head_clear(struct ts_journal_head *h)
{
        if (!h)
                return;
        for (size_t i = 0; i < TS_ARRAY_LEN(head_strings); i++)
                free(*head_string(h, &head_strings[i]));
        ts_json_free(h->options);
        *h = (struct ts_journal_head){ 0 };
}

bool ts_journal_id_valid(const char *id)
{
        return id && ts_name_valid(id, TS_JOURNAL_MAX_ID);
}

int ts_journal_check_string(const char *what, const char *s, enum ts_code code, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *same = NULL;

        if (!s)
                return 0;
        if (strlen(s) > TS_JOURNAL_MAX_STRING)
                return ts_err_set(err, code, "the %s is longer than %d bytes", what, TS_JOURNAL_MAX_STRING);
        for (const char *p = s; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        return ts_err_set(err, code, "the %s '%s' has control characters", what, s);
        same = ts_json_new_str(s); /* which replaces what is not UTF-8: the name of something else */
        if (!ts_streq0(ts_json_str(same, "", NULL), s))
                return ts_err_set(err, code, "the %s '%s' is not UTF-8", what, s);
        return 0;
}

/* ---- the head ---- */

static int check_head(const struct ts_journal_head *h, enum ts_code code, struct ts_err *err)
{
        if (!ts_journal_id_valid(h->id))
                return ts_err_set(err, code, "'%s' is not the ID of a migration", ts_or(h->id, ""));
        if (!ts_name_valid(ts_or(h->container_id, ""), 128) || !ts_name_valid(ts_or(h->container_name, ""), 255))
                return ts_err_set(err, code, "the journal does not name its container");
        if (h->options && !ts_json_is_object(h->options))
                return ts_err_set(err, code, "the options of the journal are not an object");
        return 0;
}

struct ts_json *ts_journal_head_record(const struct ts_journal_head *h)
{
        ts_auto(ts_json) struct ts_json *j = ts_json_object();
        struct ts_journal_head copy = *h; /* only to read through the table */
        int bad = ts_json_set_str(j, "type", "head") | ts_json_set_str(j, "schema", TS_JOURNAL_SCHEMA);

        for (size_t i = 0; i < TS_ARRAY_LEN(head_strings); i++)
                bad |= ts_json_set_str(j, head_strings[i].key, *head_string(&copy, &head_strings[i]));
        for (size_t i = 0; i < TS_ARRAY_LEN(head_numbers); i++)
                bad |= ts_json_set_int(j, head_numbers[i].key, *head_number(&copy, &head_numbers[i]));
        bad |= ts_json_set(j, "options", h->options ? ts_json_copy(h->options) : ts_json_object());
        return bad ? NULL : TS_TAKE(j);
}

static int check_words(const struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(head_words); i++) {
                const struct head_word *w = &head_words[i];
                const struct ts_json *there = ts_json_get(r, w->key);
                const char *dot = strchr(w->key, '.');

                if (!ts_json_is_null(there) && find_name(w->known, TS_ARRAY_LEN(w->known), ts_json_str(there, "", "")) < 0)
                        return unknown(j, dot ? dot + 1 : w->key, ts_json_str(there, "", NULL), code, err);
        }
        return 0;
}

static int read_head(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        struct ts_journal_head *h = &j->head;
        const struct ts_json *options = ts_json_member(r, "options");

        if (!ts_streq0(ts_json_str(r, "schema", NULL), TS_JOURNAL_SCHEMA))
                return unknown(j, "schema", ts_json_str(r, "schema", NULL), code, err);
        for (size_t i = 0; i < TS_ARRAY_LEN(head_strings); i++) {
                const struct head_field *f = &head_strings[i];
                const char *s = ts_json_str(r, f->key, NULL);

                if (!s && f->required)
                        return ts_err_set(err, code, "'%s' is missing", f->key);
                if (ts_journal_check_string(f->key, s, code, err) < 0)
                        return -1;
                *head_string(h, f) = ts_strdup0(s);
                if (s && !*head_string(h, f))
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        for (size_t i = 0; i < TS_ARRAY_LEN(head_numbers); i++)
                *head_number(h, &head_numbers[i]) = ts_json_int(r, head_numbers[i].key, 0);
        h->options = options ? ts_json_copy(options) : ts_json_object();
        if (!h->options)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return check_head(h, code, err) < 0 ? -1 : check_words(j, r, code, err);
}

/* ---- the records after it ---- */

static bool stage_is_final(enum ts_stage s)
{
        return s == TS_STAGE_DONE || s == TS_STAGE_ROLLED_BACK;
}

/* Never back, nothing after the end, and no commit of a target that was fenced. */
static bool stage_may_follow(enum ts_stage now, enum ts_stage next)
{
        if (stage_is_final(now))
                return next == now;
        if (next == TS_STAGE_COMMITTED && now >= TS_STAGE_TARGET_FENCED && now <= TS_STAGE_ROLLED_BACK)
                return false;
        return next >= now;
}

static int apply_stage(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        const struct ts_json *detail = ts_json_member(r, "detail");
        const char *name = ts_json_str(r, "stage", NULL);
        struct ts_json *copy;
        enum ts_stage s;

        if (ts_stage_parse(name, &s) < 0)
                return unknown(j, "stage", name, code, err);
        if (!stage_may_follow(j->stage, s))
                return ts_err_set(err, code, "the stage cannot go from '%s' to '%s'", ts_stage_str(j->stage), name);
        if (j->only_check)
                return 0;
        copy = ts_json_is_object(detail) ? ts_json_copy(detail) : ts_json_object();
        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        ts_json_free(j->detail[s]);
        j->detail[s] = copy;
        j->before_last = j->stage;
        j->last_stage_seq = j->seq;
        j->stage = s;
        return 0;
}

/* The stage record just before this one was written here but not where it had to be written too: it never counted, and what it announces was not done. */
static int apply_withdrawn(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        (void)r;
        if (j->last_stage_seq < 0 || j->last_stage_seq + 1 != j->seq)
                return ts_err_set(err, code, "there is no stage to withdraw");
        if (j->only_check)
                return 0;
        if (j->before_last != j->stage) {
                ts_json_free(j->detail[j->stage]);
                j->detail[j->stage] = NULL;
        }
        j->stage = j->before_last;
        j->last_stage_seq = -1;
        return 0;
}

/* Absolute, not the root, without "." and "..". */
static bool path_is_clean(const char *path)
{
        bool any = false;

        if (*path != '/')
                return false;
        for (const char *p = path; *p;) {
                size_t len;

                p += strspn(p, "/");
                len = strcspn(p, "/");
                if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
                        return false;
                any = any || len > 0;
                p += len;
        }
        return any;
}

static int check_res(enum ts_res_kind k, const char *name, const char *id, const char *before, enum ts_code code, struct ts_err *err)
{
        bool is_path = k == TS_RES_STAGING || k == TS_RES_PATH;

        if (ts_journal_check_string("name", name, code, err) < 0 || ts_journal_check_string("ID", id, code, err) < 0 ||
            ts_journal_check_string("former value", before, code, err) < 0)
                return -1;
        if (is_path && !name)
                return ts_err_set(err, code, "a %s without a name", ts_res_kind_str(k));
        if (name && (is_path || *name == '/') && !path_is_clean(name))
                return ts_err_set(err, code, "the %s '%s' is not a plain absolute path", ts_res_kind_str(k), name);
        return 0;
}

static void res_clear(struct ts_res *r)
{
        free(r->name);
        free(r->id);
        free(r->before);
}

static int apply_intent(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        int kind = find_name(kind_names, TS_ARRAY_LEN(kind_names), ts_json_str(r, "kind", NULL));
        int side = find_name(side_names, TS_ARRAY_LEN(side_names), ts_json_str(r, "side", NULL));
        const char *name = ts_json_str(r, "name", NULL), *id = ts_json_str(r, "id", NULL), *before = ts_json_str(r, "before", NULL);
        struct ts_res *more;

        if (kind < 0)
                return unknown(j, "kind of resource", ts_json_str(r, "kind", NULL), code, err);
        if (side < 0 || ts_json_int(r, "n", -1) != (int64_t)j->n_res)
                return ts_err_set(err, code, "an intent of no known side or number");
        if (j->n_res >= TS_JOURNAL_MAX_RES)
                return ts_err_set(err, TS_ELIMIT, "more than %d resources", TS_JOURNAL_MAX_RES);
        if (check_res((enum ts_res_kind)kind, name, id, before, code, err) < 0)
                return -1;
        if (j->only_check)
                return 0;
        more = reallocarray(j->res, j->n_res + 1, sizeof(*more));
        if (!more)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        j->res = more;
        more += j->n_res;
        *more = (struct ts_res){ .n = (unsigned)j->n_res, .kind = (enum ts_res_kind)kind, .side = (enum ts_side)side };
        j->n_res++;
        more->seq = j->seq;
        more->name = ts_strdup0(name);
        more->id = ts_strdup0(id);
        more->before = ts_strdup0(before);
        if (!more->name != !name || !more->id != !id || !more->before != !before)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return 0;
}

static struct ts_res *record_res(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        int64_t n = ts_json_int(r, "n", -1);

        if (n >= 0 && (uint64_t)n < j->n_res)
                return &j->res[n];
        (void)ts_err_set(err, code, "there is no resource %lld", (long long)n);
        return NULL;
}

static int apply_res_id(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        struct ts_res *res = record_res(j, r, code, err);
        const char *id = ts_json_str(r, "id", NULL);
        char *copy;

        if (!res || ts_journal_check_string("ID", id, code, err) < 0)
                return -1;
        if (!id)
                return ts_err_set(err, code, "resource %u gets no ID", res->n);
        if (j->only_check)
                return 0;
        copy = ts_strdup0(id);
        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        free(res->id);
        res->id = copy;
        res->seq = j->seq;
        return 0;
}

static int apply_res_state(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        struct ts_res *res = record_res(j, r, code, err);
        int state = find_name(state_names, TS_ARRAY_LEN(state_names), ts_json_str(r, "state", NULL));

        if (!res)
                return -1;
        if (state < 0)
                return unknown(j, "state of a resource", ts_json_str(r, "state", NULL), code, err);
        if (!j->only_check) {
                res->state = (enum ts_res_state)state;
                res->seq = j->seq;
        }
        return 0;
}

static int apply_note(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        (void)j;
        return ts_json_str(r, "text", NULL) ? 0 : ts_err_set(err, code, "a note without text");
}

struct ts_json *ts_journal_adoption_record(const struct ts_adoption *a)
{
        ts_auto(ts_json) struct ts_json *r = ts_json_object();
        int bad = ts_json_set_str(r, "type", "adopted") | ts_json_set_str(r, "from", a->from) | ts_json_set_str(r, "to", a->to);

        for (size_t side = 0; side < TS_ARRAY_LEN(side_names); side++) {
                struct ts_json *copy = ts_json_object();

                bad |= ts_json_set_int(copy, "records", a->records[side]) | ts_json_set_str(copy, "stage", ts_stage_str(a->stage[side]));
                bad |= ts_json_set(r, side_names[side], copy);
        }
        return bad ? NULL : TS_TAKE(r);
}

/* What a host's own copy did not have is only claimed of that host. A copy that goes on behind an earlier adoption was written by who adopted: what came before is as it was judged then. */
static void judge_claims(struct ts_journal *j, const struct ts_adoption *a)
{
        for (size_t i = 0; i < j->n_res; i++) {
                struct ts_res *r = &j->res[i];
                int64_t had = a->records[r->side];

                if (j->adopted_seq < 0 || r->seq >= j->adopted_seq || had <= j->adopted_seq)
                        r->claimed = r->seq >= had;
        }
}

static int apply_adopted(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        struct ts_adoption a = { 0 };

        for (size_t side = 0; side < TS_ARRAY_LEN(side_names); side++) {
                const struct ts_json *copy = ts_json_member(r, side_names[side]);
                const char *stage = ts_json_str(copy, "stage", NULL);

                a.records[side] = ts_json_int(copy, "records", -2);
                if (a.records[side] < -1 || a.records[side] > j->seq)
                        return ts_err_set(err, code, "an adoption that does not say what the %s had", side_names[side]);
                if (ts_stage_parse(stage, &a.stage[side]) < 0)
                        return unknown(j, "stage", stage, code, err);
        }
        if (ts_journal_check_string("from", ts_json_str(r, "from", NULL), code, err) < 0 || ts_journal_check_string("to", ts_json_str(r, "to", NULL), code, err) < 0)
                return -1;
        if (j->only_check)
                return 0;
        judge_claims(j, &a);
        free(j->adoption.from);
        free(j->adoption.to);
        a.from = ts_strdup0(ts_json_str(r, "from", NULL));
        a.to = ts_strdup0(ts_json_str(r, "to", NULL));
        j->adoption = a;
        j->adopted_seq = j->seq;
        return 0;
}

static int apply_head(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err)
{
        return j->seq == 0 && !j->only_check ? read_head(j, r, code, err) : ts_err_set(err, code, "a second head");
}

static const struct {
        const char *type;
        int (*apply)(struct ts_journal *j, const struct ts_json *r, enum ts_code code, struct ts_err *err);
} types[] = {
        { "head", apply_head },     { "stage", apply_stage },         { "withdrawn", apply_withdrawn }, { "intent", apply_intent },
        { "res-id", apply_res_id }, { "res-state", apply_res_state }, { "note", apply_note },
        { "adopted", apply_adopted },
};

int ts_journal_apply(struct ts_journal *j, const struct ts_json *record, enum ts_code code, struct ts_err *err)
{
        const char *type = ts_json_str(record, "type", NULL);

        if (!type || ts_json_int(record, "seq", -1) != j->seq)
                return ts_err_set(err, code, "record %lld is missing or out of order", (long long)j->seq);
        if (j->seq == 0 && strcmp(type, "head") != 0)
                return ts_err_set(err, code, "it does not begin with a head");
        for (size_t i = 0; i < TS_ARRAY_LEN(types); i++)
                if (strcmp(types[i].type, type) == 0) {
                        if (types[i].apply(j, record, code, err) < 0)
                                return -1;
                        j->seq += j->only_check ? 0 : 1;
                        return 0;
                }
        return unknown(j, "kind of record", type, code, err);
}

/* ---- the whole text ---- */

static int apply_line(struct ts_journal *j, const char *line, size_t len, bool last, bool *ret_torn, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *record = NULL;
        ts_auto_err why = TS_ERR_INIT;

        if (ts_json_parse(line, len, TS_JOURNAL_MAX_LINE, &record, &why) < 0) {
                *ret_torn = last && why.code == TS_EPROTO;
                if (*ret_torn)
                        return 0;
                ts_err_set(err, why.code, "%s", ts_err_message(&why));
                return -1;
        }
        if (ts_journal_apply(j, record, TS_EPROTO, err) < 0)
                return -1;
        return ts_str_add(&j->text, line, len, err) < 0 || ts_str_adds(&j->text, "\n", err) < 0 ? -1 : 0;
}

/* A crash leaves a last line without its end, or, where blocks reached the disk out of order, with zeros in it. */
static bool may_be_torn(const char *line, size_t len, bool has_end)
{
        return !has_end || memchr(line, '\0', len) != NULL;
}

int ts_journal_parse(struct ts_journal *j, const char *text, size_t len, struct ts_err *err)
{
        unsigned n = 0;
        bool torn = false;

        if (len > TS_JOURNAL_MAX_BYTES)
                return ts_err_set(err, TS_ELIMIT, "the journal is larger than %zu bytes", TS_JOURNAL_MAX_BYTES);
        for (const char *p = text, *end = text + len; p < end && !torn;) {
                const char *nl = memchr(p, '\n', (size_t)(end - p));
                const char *stop = nl ? nl : end, *next = nl ? nl + 1 : end;
                bool last = next == end && may_be_torn(p, (size_t)(stop - p), nl != NULL);

                n++;
                if (apply_line(j, p, (size_t)(stop - p), last, &torn, err) < 0)
                        return ts_err_prefix(err, "line %u of the journal", n);
                p = next;
        }
        return j->seq > 0 ? 0 : ts_err_set(err, TS_EPROTO, "the journal is empty");
}

struct ts_journal *ts_journal_new(void)
{
        struct ts_journal *j = calloc(1, sizeof(*j));

        if (!j)
                return NULL;
        j->fd = -1;
        j->last_stage_seq = -1;
        j->adopted_seq = -1;
        j->text.max = TS_JOURNAL_MAX_BYTES + 1;
        return j;
}

void ts_journal_free(struct ts_journal *j)
{
        if (!j)
                return;
        if (j->fd >= 0) {
                if (stage_is_final(j->stage) && !j->failed)
                        (void)!ftruncate(j->fd, (off_t)j->text.len); /* gives back what was allocated and not needed */
                (void)close(j->fd);
        }
        for (size_t i = 0; i < j->n_res; i++)
                res_clear(&j->res[i]);
        for (size_t i = 0; i < TS_STAGE_MAX; i++)
                ts_json_free(j->detail[i]);
        free(j->res);
        free(j->adoption.from);
        free(j->adoption.to);
        ts_str_clear(&j->text);
        ts_journal_head_clear(&j->head);
        ts_err_clear(&j->mirror_error);
        free(j->path);
        free(j);
}
