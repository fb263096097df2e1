/* The report as JSON, `tranship.report/1`, both ways from the same tables. Reading is for saved files of unknown origin: types, sizes and names are checked, what is
 * not known is passed over. */
#include "engine/report.h"

#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#define SCHEMA "tranship.report/1"
#define TEXT_MAX 4096
#define LIST_MAX 1000
#define NAMES_MAX 128
#define FIGURE_MAX ((int64_t)1 << 52)     /* what JavaScript and awk still add exactly */
#define LOAD_MAX 1e9
#define READ_EPOCH ((uint64_t)FIGURE_MAX) /* t0_us of a report that was read: room on both sides for what is relative to it */

/* ---- the tables ---- */

struct field {
        const char *object; /* NULL: the report itself */
        const char *key;
        size_t offset;
};
#define AT(member) offsetof(struct ts_report, member)

static const struct field texts[] = {
        { NULL, "id", AT(id) },
        { NULL, "started_at", AT(started_at) },
        { "container", "name", AT(container_name) },
        { "container", "image", AT(image) },
        { "container", "source_id", AT(source_id) },
        { "container", "target_id", AT(target_id) },
        { NULL, "strategy", AT(strategy) },
        { NULL, "transfer", AT(transfer) },
        { "source", "engine", AT(source.engine) },
        { "source", "version", AT(source.version) },
        { "source", "runtime", AT(source.runtime) },
        { "source", "criu", AT(source.criu) },
        { "source", "kernel", AT(source.kernel) },
        { "source", "host", AT(source.host) },
        { "target", "engine", AT(target.engine) },
        { "target", "version", AT(target.version) },
        { "target", "runtime", AT(target.runtime) },
        { "target", "criu", AT(target.criu) },
        { "target", "kernel", AT(target.kernel) },
        { "target", "host", AT(target.host) },
};
static const struct field figures[] = {
        { NULL, "verify_us", AT(verify_us) },          { NULL, "predicted_downtime_us", AT(predicted_us) },
        { "pages", "total", AT(pages.total) },         { "pages", "sent", AT(pages.sent) },
        { "pages", "deduplicated", AT(pages.deduplicated) }, { "pages", "zero", AT(pages.zero) },
        { "bytes", "memory", AT(bytes.memory) },
        { "bytes", "volumes", AT(bytes.volumes) },     { "bytes", "rootfs", AT(bytes.rootfs) },
        { "bytes", "image", AT(bytes.image) },         { "bytes", "archive", AT(bytes.archive) },
        { "bytes", "wire_sent", AT(bytes.wire_sent) }, { "bytes", "wire_received", AT(bytes.wire_received) },
};
static const struct field dump_figures[] = {
        { NULL, "freezing_us", AT(dump.freezing_us) },     { NULL, "frozen_us", AT(dump.frozen_us) },
        { NULL, "memdump_us", AT(dump.memdump_us) },       { NULL, "memwrite_us", AT(dump.memwrite_us) },
        { NULL, "pages_scanned", AT(dump.pages_scanned) }, { NULL, "pages_skipped_parent", AT(dump.pages_skipped_parent) },
        { NULL, "pages_written", AT(dump.pages_written) },
};
static const struct field restore_figures[] = {
        { NULL, "forking_us", AT(restore.forking_us) },         { NULL, "restore_us", AT(restore.restore_us) },
        { NULL, "pages_compared", AT(restore.pages_compared) }, { NULL, "pages_skipped_cow", AT(restore.pages_skipped_cow) },
        { NULL, "pages_restored", AT(restore.pages_restored) },
};
static const struct field probe_figures[] = {
        { NULL, "sent", AT(probe.sent) },
        { NULL, "answered", AT(probe.answered) },
        { NULL, "failed", AT(probe.failed) },
        { NULL, "longest_gap_us", AT(probe.longest_gap_us) },
};
static const char *const probe_kinds[] = { "tcp", "http", "exec" };

static const void *place(const struct ts_report *r, const struct field *f)
{
        return (const char *)r + f->offset;
}

static void *room(struct ts_report *r, const struct field *f)
{
        return (char *)r + f->offset;
}

/* ---- writing ---- */

/* The member object of j, made if it is not there. */
static struct ts_json *object_of(struct ts_json *j, const char *key)
{
        if (key && !ts_json_member(j, key) && ts_json_set(j, key, ts_json_object()) < 0)
                return NULL;
        return key ? ts_json_member(j, key) : j;
}

static int put_texts(struct ts_json *j, const struct ts_report *r)
{
        int bad = 0;

        for (size_t i = 0; i < TS_ARRAY_LEN(texts); i++)
                bad |= ts_json_set_str(object_of(j, texts[i].object), texts[i].key, *(char *const *)place(r, &texts[i]));
        return bad;
}

static int64_t figure(uint64_t n)
{
        return n < (uint64_t)FIGURE_MAX ? (int64_t)n : FIGURE_MAX;
}

static int put_figures(struct ts_json *j, const struct ts_report *r, const struct field *f, size_t n)
{
        int bad = 0;

        for (size_t i = 0; i < n; i++)
                bad |= ts_json_set_int(object_of(j, f[i].object), f[i].key, figure(*(const uint64_t *)place(r, &f[i])));
        return bad;
}

static struct ts_json *phase_json(const struct ts_report_phase *p)
{
        ts_auto(ts_json) struct ts_json *o = ts_json_object();
        int bad = ts_json_set_str(o, "name", ts_or(p->name, "")) | ts_json_set_int(o, "start_us", figure(p->start_us));

        bad |= ts_json_set_int(o, "duration_us", figure(p->duration_us)) | ts_json_set_bool(o, "frozen", p->frozen);
        bad |= ts_json_set_int(o, "bytes", figure(p->bytes));
        return bad ? NULL : TS_TAKE(o);
}

static struct ts_json *phases_json(const struct ts_report_phase *p, unsigned n)
{
        ts_auto(ts_json) struct ts_json *all = ts_json_array();
        int bad = 0;

        for (unsigned i = 0; i < n; i++)
                bad |= ts_json_append(all, phase_json(&p[i]));
        return bad ? NULL : TS_TAKE(all);
}

static struct ts_json *list_json(const struct ts_list *l)
{
        ts_auto(ts_json) struct ts_json *all = ts_json_array();
        int bad = 0;

        for (size_t i = 0; i < l->n; i++)
                bad |= ts_json_append(all, ts_json_new_str(l->v[i]));
        return bad ? NULL : TS_TAKE(all);
}

static int put_criu(struct ts_json *j, const struct ts_report *r)
{
        struct ts_json *criu;
        int bad = 0;

        if (!r->dump.valid && !r->restore.valid)
                return 0;
        criu = object_of(j, "criu");
        if (r->dump.valid)
                bad |= put_figures(object_of(criu, "dump"), r, dump_figures, TS_ARRAY_LEN(dump_figures));
        if (r->restore.valid)
                bad |= put_figures(object_of(criu, "restore"), r, restore_figures, TS_ARRAY_LEN(restore_figures));
        return bad;
}

static int put_probe(struct ts_json *j, const struct ts_report *r)
{
        struct ts_json *probe;

        if (!r->probed)
                return 0;
        probe = object_of(j, "probe");
        if (ts_json_set_str(probe, "kind", r->probe.kind) < 0 || put_figures(probe, r, probe_figures, TS_ARRAY_LEN(probe_figures)) < 0)
                return -1;
        return r->probe.gap_start_us >= r->t0_us ? ts_json_set_int(probe, "gap_start_us", figure(r->probe.gap_start_us - r->t0_us)) : 0;
}

static int put_error(struct ts_json *j, const struct ts_report *r)
{
        struct ts_json *error;

        if (!ts_err_is_set(&r->error))
                return 0;
        error = object_of(j, "error");
        return ts_json_set_str(error, "code", ts_code_str(r->error.code)) | ts_json_set_str(error, "phase", r->error_phase) |
               ts_json_set_str(error, "message", ts_err_message(&r->error)) | ts_json_set_str(error, "hint", r->error.hint);
}

static struct ts_json *freezes_json(const struct ts_report *r)
{
        ts_auto(ts_json) struct ts_json *all = ts_json_array();
        int bad = 0;

        for (unsigned i = 0; i < r->n_precopy_frozen; i++)
                bad |= ts_json_append(all, ts_json_new_int(figure(r->precopy_frozen_us[i])));
        return bad ? NULL : TS_TAKE(all);
}

static const char *const sides[] = { "source", "target" };

static struct ts_json *resource_json(const struct ts_resource *s)
{
        ts_auto(ts_json) struct ts_json *o = ts_json_object();
        int bad = ts_json_set_int(o, "t_us", figure(s->t_us)) | ts_json_set_str(o, "side", sides[s->target]);

        bad |= ts_json_set_str(o, "phase", ts_or(s->phase, "")) | ts_json_set_int(o, "mem_used_bytes", figure(s->mem_used_bytes));
        bad |= ts_json_set(o, "cpu_pct", ts_json_new_real(s->cpu_pct)) | ts_json_set(o, "load1", ts_json_new_real(s->load1));
        bad |= ts_json_set_int(o, "disk_write_bytes", figure(s->disk_write_bytes));
        bad |= ts_json_set_int(o, "net_sent_bytes", figure(s->net_sent_bytes));
        bad |= ts_json_set_int(o, "net_received_bytes", figure(s->net_received_bytes));
        return bad ? NULL : TS_TAKE(o);
}

static int put_resources(struct ts_json *j, const struct ts_report *r)
{
        ts_auto(ts_json) struct ts_json *all = r->n_resources ? ts_json_array() : NULL;

        for (size_t i = 0; i < r->n_resources; i++)
                if (ts_json_append(all, resource_json(&r->resources[i])) < 0)
                        return -1;
        return all ? ts_json_set(j, "resources", TS_TAKE(all)) : r->n_resources ? -1 : 0;
}

struct ts_json *ts_report_json(const struct ts_report *r)
{
        ts_auto(ts_json) struct ts_json *j = ts_json_object();
        int bad = ts_json_set_str(j, "schema", SCHEMA) | ts_json_set_str(j, "tool_version", TS_VERSION);

        bad |= ts_json_set_str(j, "outcome", ts_outcome_str(r->outcome)) | put_texts(j, r);
        if (r->source_not_running)
                bad |= ts_json_set_bool(j, "source_not_running", true);
        bad |= ts_json_set(j, "phases", phases_json(r->phases, r->n_phases));
        bad |= ts_json_set_int(j, "downtime_us", figure(ts_report_downtime_us(r)));
        bad |= ts_json_set_int(j, "migration_time_us", figure(ts_report_migration_us(r)));
        bad |= ts_json_set_int(j, "total_us", figure(ts_report_total_us(r)));
        bad |= put_figures(j, r, figures, TS_ARRAY_LEN(figures)) | put_criu(j, r) | put_probe(j, r) | put_error(j, r);
        bad |= ts_json_set(j, "precopy_frozen_us", freezes_json(r));
        bad |= ts_json_set(j, "rollback", phases_json(r->rollback, r->n_rollback)) | put_resources(j, r);
        bad |= ts_json_set(j, "warnings", list_json(&r->warnings)) | ts_json_set(j, "leftovers", list_json(&r->leftovers));
        return bad ? NULL : TS_TAKE(j);
}

/* ---- reading ---- */

static int malformed(const char *object, const char *key, struct ts_err *err)
{
        return ts_err_set(err, TS_EPROTO, "'%s%s%s' is not as " SCHEMA " has it", ts_or(object, ""), object ? "." : "", key);
}

/* A borrowed name that lives as long as the process, for the fields that point to constants: a phase may be one this version does not have. */
static const char *intern(const char *name)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        static char *names[NAMES_MAX];
        const char *found = NULL;

        if (!name || !ts_name_valid(name, 32))
                return NULL;
        (void)pthread_mutex_lock(&lock);
        for (size_t i = 0; i < NAMES_MAX && !found; i++) {
                if (!names[i])
                        found = names[i] = strdup(name);
                else if (strcmp(names[i], name) == 0)
                        found = names[i];
        }
        (void)pthread_mutex_unlock(&lock);
        return found;
}

/* The member `object` of j, or j itself. *ret NULL: absent. */
static int get_object(const struct ts_json *j, const char *object, const struct ts_json **ret, struct ts_err *err)
{
        const struct ts_json *o = object ? ts_json_member(j, object) : j;

        if (o && !ts_json_is_object(o))
                return malformed(NULL, ts_or(object, "report"), err);
        *ret = o;
        return 0;
}

static int get_text(const struct ts_json *j, const char *object, const char *key, char **ret, struct ts_err *err)
{
        const struct ts_json *o = NULL, *v;
        const char *s;

        if (get_object(j, object, &o, err) < 0)
                return -1;
        v = o ? ts_json_member(o, key) : NULL;
        if (!v)
                return 0;
        s = ts_json_str(v, "", NULL);
        if (!s || strlen(s) > TEXT_MAX)
                return malformed(object, key, err);
        *ret = ts_printable(s, strlen(s), TEXT_MAX); /* it will be shown on a terminal */
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int get_figure(const struct ts_json *j, const char *object, const char *key, uint64_t *ret, struct ts_err *err)
{
        const struct ts_json *o = NULL, *v;
        int64_t n;

        if (get_object(j, object, &o, err) < 0)
                return -1;
        v = o ? ts_json_member(o, key) : NULL;
        n = v ? ts_json_int(v, "", -1) : 0;
        if (n < 0 || n > FIGURE_MAX)
                return malformed(object, key, err);
        *ret = (uint64_t)n;
        return 0;
}

static int get_figures(const struct ts_json *j, struct ts_report *r, const struct field *f, size_t n, struct ts_err *err)
{
        for (size_t i = 0; i < n; i++)
                if (get_figure(j, f[i].object, f[i].key, room(r, &f[i]), err) < 0)
                        return -1;
        return 0;
}

static int get_flag(const struct ts_json *j, const char *key, bool *ret, struct ts_err *err)
{
        const struct ts_json *v = ts_json_member(j, key);

        if (v && ts_json_bool(v, "", false) != ts_json_bool(v, "", true))
                return malformed(NULL, key, err);
        *ret = v && ts_json_bool(v, "", false);
        return 0;
}

static int get_phases(const struct ts_json *j, const char *key, struct ts_report_phase *p, unsigned *ret_n, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, key);

        if (all && (!ts_json_is_array(all) || ts_json_len(all) > TS_REPORT_MAX_PHASES))
                return malformed(NULL, key, err);
        for (size_t i = 0; i < ts_json_len(all); i++, p++) {
                const struct ts_json *o = ts_json_at(all, i);

                p->name = intern(ts_json_str(o, "name", NULL));
                if (!ts_json_is_object(o) || !p->name)
                        return malformed(key, "name", err);
                if (get_figure(o, NULL, "start_us", &p->start_us, err) < 0 ||
                    get_figure(o, NULL, "duration_us", &p->duration_us, err) < 0 || get_figure(o, NULL, "bytes", &p->bytes, err) < 0 ||
                    get_flag(o, "frozen", &p->frozen, err) < 0)
                        return -1;
                *ret_n += 1;
        }
        return 0;
}

static int get_list(const struct ts_json *j, const char *key, struct ts_list *ret, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, key);

        if (all && (!ts_json_is_array(all) || ts_json_len(all) > LIST_MAX))
                return malformed(NULL, key, err);
        for (size_t i = 0; i < ts_json_len(all); i++) {
                const char *s = ts_json_str(ts_json_at(all, i), "", NULL);
                ts_auto_free char *line = s && strlen(s) <= TEXT_MAX ? ts_printable(s, strlen(s), TEXT_MAX) : NULL;

                if (!line)
                        return malformed(NULL, key, err);
                if (ts_list_add(ret, line, err) < 0)
                        return -1;
        }
        return 0;
}

/* Times that are differences in the file become points in time again, all of them relative to one epoch. */
static int get_times(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        uint64_t downtime, migration, total;

        if (get_figure(j, NULL, "downtime_us", &downtime, err) < 0 || get_figure(j, NULL, "migration_time_us", &migration, err) < 0 ||
            get_figure(j, NULL, "total_us", &total, err) < 0)
                return -1;
        r->t0_us = READ_EPOCH + 1; /* so that nothing before it is 0, which says "did not happen" */
        r->end_us = r->t0_us + total;
        if (downtime == 0 && migration == 0)
                return 0;
        r->running_at_us = r->end_us;
        r->frozen_from_us = downtime ? r->end_us - downtime : 0;
        r->prepare_from_us = migration ? r->end_us - migration : 0;
        return 0;
}

static int get_criu(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        const struct ts_json *criu = NULL, *dump = NULL, *restore = NULL;

        if (get_object(j, "criu", &criu, err) < 0)
                return -1;
        if (criu && (get_object(criu, "dump", &dump, err) < 0 || get_object(criu, "restore", &restore, err) < 0))
                return -1;
        r->dump.valid = dump != NULL;
        r->restore.valid = restore != NULL;
        if (dump && get_figures(dump, r, dump_figures, TS_ARRAY_LEN(dump_figures), err) < 0)
                return -1;
        return restore ? get_figures(restore, r, restore_figures, TS_ARRAY_LEN(restore_figures), err) : 0;
}

static int get_freezes(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, "precopy_frozen_us");

        if (all && !ts_json_is_array(all))
                return malformed(NULL, "precopy_frozen_us", err);
        for (size_t i = 0; i < ts_json_len(all) && i < TS_REPORT_MAX_FREEZES; i++) {
                int64_t us = ts_json_int(ts_json_at(all, i), "", -1);

                if (us < 0 || us > FIGURE_MAX)
                        return malformed(NULL, "precopy_frozen_us", err);
                ts_report_frozen(r, (uint64_t)us);
        }
        return 0;
}

static int get_probe(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        const struct ts_json *probe = NULL;
        const char *kind;
        uint64_t gap;

        if (get_object(j, "probe", &probe, err) < 0)
                return -1;
        if (!probe)
                return 0;
        kind = ts_json_str(probe, "kind", "");
        for (size_t i = 0; i < TS_ARRAY_LEN(probe_kinds); i++)
                if (strcmp(kind, probe_kinds[i]) == 0)
                        r->probe.kind = probe_kinds[i];
        if (!r->probe.kind || get_figure(probe, NULL, "gap_start_us", &gap, err) < 0)
                return malformed("probe", "kind", err);
        r->probed = true;
        r->probe.gap_start_us = ts_json_member(probe, "gap_start_us") ? r->t0_us + gap : 0;
        return get_figures(probe, r, probe_figures, TS_ARRAY_LEN(probe_figures), err);
}

static int get_real(const struct ts_json *j, const char *key, double max, double *ret, struct ts_err *err)
{
        const struct ts_json *v = ts_json_member(j, key);
        double d = v ? ts_json_real(v, "", -1) : 0;

        if (!(d >= 0 && d <= max)) /* which a number that is none is not either */
                return malformed("resources", key, err);
        *ret = d;
        return 0;
}

static int get_resource(const struct ts_json *o, struct ts_resource *s, struct ts_err *err)
{
        const char *side = ts_json_str(o, "side", ""), *phase = ts_json_str(o, "phase", "");

        if (!ts_json_is_object(o))
                return malformed(NULL, "resources", err);
        s->target = strcmp(side, sides[1]) == 0;
        if (!s->target && strcmp(side, sides[0]) != 0)
                return malformed("resources", "side", err);
        s->phase = *phase ? intern(phase) : "";
        if (!s->phase)
                return malformed("resources", "phase", err);
        if (get_real(o, "cpu_pct", 100, &s->cpu_pct, err) < 0 || get_real(o, "load1", LOAD_MAX, &s->load1, err) < 0 ||
            get_figure(o, NULL, "t_us", &s->t_us, err) < 0 || get_figure(o, NULL, "mem_used_bytes", &s->mem_used_bytes, err) < 0 ||
            get_figure(o, NULL, "disk_write_bytes", &s->disk_write_bytes, err) < 0)
                return -1;
        return get_figure(o, NULL, "net_sent_bytes", &s->net_sent_bytes, err) < 0 ? -1 : get_figure(o, NULL, "net_received_bytes", &s->net_received_bytes, err);
}

static int get_resources(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        const struct ts_json *all = ts_json_member(j, "resources");
        size_t n = ts_json_len(all);

        if (all && (!ts_json_is_array(all) || n > TS_REPORT_MAX_RESOURCES))
                return malformed(NULL, "resources", err);
        if (n == 0)
                return 0;
        r->resources = calloc(n, sizeof(*r->resources));
        if (!r->resources)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (r->n_resources = 0; r->n_resources < n; r->n_resources++)
                if (get_resource(ts_json_at(all, r->n_resources), &r->resources[r->n_resources], err) < 0)
                        return -1;
        return 0;
}

static int get_error(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        ts_auto_free char *code = NULL, *phase = NULL, *message = NULL, *hint = NULL;
        enum ts_code c = TS_EINTERNAL;

        if (get_text(j, "error", "code", &code, err) < 0 || get_text(j, "error", "phase", &phase, err) < 0 ||
            get_text(j, "error", "message", &message, err) < 0 || get_text(j, "error", "hint", &hint, err) < 0)
                return -1;
        if (!ts_json_member(j, "error"))
                return 0;
        for (c = TS_EINTERNAL; c <= TS_ECANCELED; c++)
                if (ts_streq0(code, ts_code_str(c)))
                        break;
        r->error_phase = intern(phase);
        if (c > TS_ECANCELED || !message || (phase && !r->error_phase))
                return malformed("error", "code", err);
        ts_err_set(&r->error, c, "%s", message);
        if (hint)
                ts_err_hint(&r->error, "%s", hint);
        return 0;
}

static int get_outcome(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        const char *name = ts_json_str(j, "outcome", "");

        for (unsigned o = TS_OUT_UNKNOWN; o <= TS_OUT_CHECKED; o++)
                if (strcmp(name, ts_outcome_str((enum ts_outcome)o)) == 0) {
                        r->outcome = (enum ts_outcome)o;
                        return 0;
                }
        return malformed(NULL, "outcome", err);
}

static int read_all(const struct ts_json *j, struct ts_report *r, struct ts_err *err)
{
        if (!ts_json_is_object(j) || !ts_streq0(ts_json_str(j, "schema", NULL), SCHEMA))
                return malformed(NULL, "schema", err);
        for (size_t i = 0; i < TS_ARRAY_LEN(texts); i++)
                if (get_text(j, texts[i].object, texts[i].key, room(r, &texts[i]), err) < 0)
                        return -1;
        if (get_outcome(j, r, err) < 0 || get_flag(j, "source_not_running", &r->source_not_running, err) < 0 || get_times(j, r, err) < 0 ||
            get_figures(j, r, figures, TS_ARRAY_LEN(figures), err) < 0 || get_phases(j, "phases", r->phases, &r->n_phases, err) < 0 ||
            get_phases(j, "rollback", r->rollback, &r->n_rollback, err) < 0)
                return -1;
        if (get_freezes(j, r, err) < 0 || get_criu(j, r, err) < 0 || get_probe(j, r, err) < 0 || get_resources(j, r, err) < 0 || get_error(j, r, err) < 0)
                return -1;
        return get_list(j, "warnings", &r->warnings, err) < 0 || get_list(j, "leftovers", &r->leftovers, err) < 0 ? -1 : 0;
}

int ts_report_from_json(const struct ts_json *j, struct ts_report *ret, struct ts_err *err)
{
        struct ts_report r;

        ts_report_init(&r);
        if (read_all(j, &r, err) < 0) {
                ts_report_clear(&r);
                return -1;
        }
        *ret = r;
        return 0;
}
