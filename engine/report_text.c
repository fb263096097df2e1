/* The report for people: the phase table, then the figures, then what is left to know. Decides layout only; nothing is computed here that JSON does not have. */
#include "engine/report.h"

#include "base/mem.h"

#include <inttypes.h>
#include <langinfo.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS_MIN 40
#define COLUMNS_DEFAULT 80
#define NAME_MIN 10
#define NAME_MAX_COLUMNS 24
#define START_WIDE 10
#define DURATION_WIDE 11
#define BYTES_WIDE 12
#define SHARE_WIDE 7 /* "  100 %" */
#define DOWN_WIDE 6  /* "  down" */
#define BAR_MIN 10
#define BAR_MAX 30
#define KEY_WIDE 16
#define TIME_WIDE 8

#define BOLD "\033[1m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define CYAN "\033[36m"
#define OFF "\033[0m"

struct page {
        struct ts_str *out;
        bool colour, utf8, terminal;
        unsigned columns, name_wide, bytes_wide, bar_wide;
        uint64_t downtime_us;
};

static const char *on(const struct page *p, const char *colour)
{
        return p->colour ? colour : "";
}

/* "281.4 ms", "1.204 s" */
static const char *duration_text(uint64_t us, char buf[32])
{
        if (us < 999950)
                (void)snprintf(buf, 32, "%.1f ms", (double)us / 1e3);
        else
                (void)snprintf(buf, 32, us < 1000000000 ? "%.3f s" : "%.1f s", (double)us / 1e6);
        return buf;
}

static const char *seconds_text(uint64_t us, char buf[32])
{
        (void)snprintf(buf, 32, us < 1000000000 ? "%.3f s" : "%.1f s", (double)us / 1e6);
        return buf;
}

static const char *bytes_text(uint64_t bytes, char buf[16])
{
        buf[0] = '\0';
        if (bytes)
                ts_human_bytes(bytes, buf);
        return buf;
}

/* "23,737" */
static const char *count_text(uint64_t n, char buf[32])
{
        char digits[24];
        size_t len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

        for (size_t i = 0; i < len; i++) {
                if (i > 0 && (len - i) % 3 == 0)
                        buf[at++] = ',';
                buf[at++] = digits[i];
        }
        buf[at] = '\0';
        return buf;
}

/* Columns of UTF-8 text without wide characters: everything but continuation bytes. */
static size_t columns_of(const char *s, size_t len)
{
        size_t n = 0;

        for (size_t i = 0; i < len; i++)
                n += ((unsigned char)s[i] & 0xc0) != 0x80;
        return n;
}

/* The length of the next word; a number takes its unit along. */
static size_t word_length(const char *s)
{
        static const char *const units[] = { "s", "ms", "%", "B", "kB", "MB", "GB", "TB" };
        size_t len = strcspn(s, " "), unit;

        if (s[len] != ' ' || strcspn(s, "0123456789") >= len)
                return len;
        unit = strcspn(s + len + 1, " ,;)");
        for (size_t i = 0; i < TS_ARRAY_LEN(units); i++)
                if (unit == strlen(units[i]) && strncmp(s + len + 1, units[i], unit) == 0)
                        return len + 1 + strcspn(s + len + 1, " ");
        return len;
}

/* Text in lines of at most p->columns, broken at blanks; the first begins at column `at`, the others at `indent`. Ends the line. */
static int add_wrapped(const struct page *p, const char *text, size_t at, size_t indent, struct ts_err *err)
{
        bool first = true;

        for (const char *s = text; *s;) {
                size_t len = word_length(s), wide = columns_of(s, len);

                if (!first && at + 1 + wide > p->columns) {
                        if (ts_str_addf(p->out, err, "\n%*s", (int)indent, "") < 0)
                                return -1;
                        at = indent;
                        first = true;
                }
                if (ts_str_addf(p->out, err, "%s%.*s", first ? "" : " ", (int)len, s) < 0)
                        return -1;
                at += wide + (first ? 0 : 1);
                first = false;
                s += len;
                s += strspn(s, " ");
        }
        return ts_str_adds(p->out, "\n", err);
}

/* ---- the table ---- */

/* Eighths of a column where the terminal can. */
static int add_bar(const struct page *p, uint64_t part_us, struct ts_err *err)
{
        static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
        double share = p->downtime_us ? (double)part_us / (double)p->downtime_us : 0;
        unsigned n, full, rest;

        if (share > 1)
                share = 1;
        n = (unsigned)(share * p->bar_wide * 8 + 0.5);
        full = p->utf8 ? n / 8 : (n + 4) / 8;
        rest = p->utf8 ? n % 8 : 0;
        if (ts_str_addf(p->out, err, "%*.0f %%%s%s", SHARE_WIDE - 2, share * 100, full + rest > 0 ? "  " : "", on(p, CYAN)) < 0)
                return -1;
        for (unsigned i = 0; i < full; i++)
                if (ts_str_adds(p->out, p->utf8 ? "█" : "#", err) < 0)
                        return -1;
        return ts_str_addf(p->out, err, "%s%s", eighths[rest], on(p, OFF));
}

/* The downtime begins with the request to the engine, within the first frozen phase, and ends
 * within the last: what a phase has beside it is no part of it, and all shares together are the
 * whole at most. */
static uint64_t part_of_downtime(const struct page *p, const struct ts_report_phase *ph, unsigned n,
                                 unsigned at)
{
        uint64_t left = p->downtime_us;

        for (unsigned i = n - 1; i > at; i--)
                left -= !ph[i].frozen ? 0 : ph[i].duration_us < left ? ph[i].duration_us : left;
        return ph[at].duration_us < left ? ph[at].duration_us : left;
}

static int add_phase(const struct page *p, const struct ts_report_phase *ph, uint64_t part_us,
                     struct ts_err *err)
{
        char start[32], duration[32], bytes[16];

        if (ts_str_addf(p->out, err, "  %-*.*s%*s%*s", (int)p->name_wide, (int)p->name_wide, ts_or(ph->name, ""), START_WIDE,
                        seconds_text(ph->start_us, start), DURATION_WIDE, duration_text(ph->duration_us, duration)) < 0)
                return -1;
        if ((ph->bytes || ph->frozen) && p->bytes_wide &&
            ts_str_addf(p->out, err, "%*s", (int)p->bytes_wide, bytes_text(ph->bytes, bytes)) < 0)
                return -1;
        if (ph->frozen && p->bar_wide == 0 && ts_str_adds(p->out, "  *", err) < 0)
                return -1;
        if (ph->frozen && p->bar_wide && add_bar(p, part_us, err) < 0)
                return -1;
        return ts_str_adds(p->out, "\n", err);
}

static int add_table(const struct page *p, const char *title, const struct ts_report_phase *ph, unsigned n, struct ts_err *err)
{
        if (n == 0)
                return 0;
        if (ts_str_addf(p->out, err, "\n%s  %-*s%*s%*s%*s%s%s\n", on(p, BOLD), (int)p->name_wide, title, START_WIDE, "start", DURATION_WIDE,
                        "duration", (int)p->bytes_wide, p->bytes_wide ? "bytes" : "",
                        p->bar_wide      ? "  share of downtime"
                        : p->downtime_us ? "  down"
                                         : "",
                        on(p, OFF)) < 0)
                return -1;
        for (unsigned i = 0; i < n; i++)
                if (add_phase(p, &ph[i], part_of_downtime(p, ph, n, i), err) < 0)
                        return -1;
        return 0;
}

/* ---- the figures ---- */

static int add_line(const struct page *p, const char *key, const char *text, struct ts_err *err)
{
        if (ts_str_addf(p->out, err, "  %-*s", KEY_WIDE, key) < 0)
                return -1;
        return add_wrapped(p, text, 2 + KEY_WIDE, 2 + KEY_WIDE, err);
}

/* A duration in a column of its own, and what it is. */
static int add_time(const struct page *p, const char *key, uint64_t us, const char *what, bool bold, struct ts_err *err)
{
        char text[32];

        if (us == 0)
                return 0;
        if (ts_str_addf(p->out, err, "  %s%-*s%*s%s%s", on(p, bold ? BOLD : ""), KEY_WIDE, key, TIME_WIDE, duration_text(us, text),
                        on(p, bold ? OFF : ""), *what ? "  " : "") < 0)
                return -1;
        return add_wrapped(p, what, 4 + KEY_WIDE + TIME_WIDE, 4 + KEY_WIDE + TIME_WIDE, err);
}

static int add_times(const struct page *p, const struct ts_report *r, struct ts_err *err)
{
        char answered[32], sent[32];
        ts_auto_free char *client = NULL;

        client = ts_fmt("%s of %s %s probes answered", count_text(r->probe.answered, answered), count_text(r->probe.sent, sent),
                        ts_or(r->probe.kind, ""));
        if (!client)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_str_adds(p->out, "\n", err) < 0 ||
            add_time(p, "downtime", p->downtime_us, "from checkpoint request to verified on the target", true, err) < 0 ||
            add_time(p, "predicted", r->predicted_us, "before the freeze", false, err) < 0 ||
            add_time(p, "client gap", r->probed ? r->probe.longest_gap_us : 0, client, false, err) < 0 ||
            add_time(p, "verification", r->verify_us, p->downtime_us ? "of the downtime" : "", false, err) < 0 ||
            add_time(p, "migration time", ts_report_migration_us(r), "from the start of prepare until then", false, err) < 0)
                return -1;
        return add_time(p, "total", ts_report_total_us(r), "", false, err);
}

/* What happened before the freeze, and what that saved. */
static int add_precopy(const struct page *p, const struct ts_report *r, struct ts_err *err)
{
        ts_auto_str freezes = TS_STR_INIT;
        char a[32], b[32], c[32];
        ts_auto_free char *pages = NULL;

        for (unsigned i = 0; i < r->n_precopy_frozen; i++)
                if (ts_str_addf(&freezes, err, "%s%s", i ? ", " : "", duration_text(r->precopy_frozen_us[i], a)) < 0)
                        return -1;
        if (freezes.len && (ts_str_adds(&freezes, "  while memory was sent ahead", err) < 0 || add_line(p, "frozen before", ts_str_cstr(&freezes), err) < 0))
                return -1;
        if (r->pages.total == 0)
                return 0;
        pages = ts_fmt("%s in the last dump: %s sent, %s there already, the rest zero", count_text(r->pages.total, a), count_text(r->pages.sent, b), count_text(r->pages.deduplicated, c));
        return pages ? add_line(p, "pages", pages, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int add_criu(const struct page *p, const struct ts_report *r, struct ts_err *err)
{
        char a[32], b[32], c[32], n[32];
        ts_auto_free char *dump = NULL, *restore = NULL;

        if (r->dump.valid) {
                dump = ts_fmt("frozen for %s (memory out in %s, written in %s), %s pages", duration_text(r->dump.frozen_us, a),
                              duration_text(r->dump.memdump_us, b), duration_text(r->dump.memwrite_us, c),
                              count_text(r->dump.pages_written, n));
                if (!dump || add_line(p, "CRIU dump", dump, err) < 0)
                        return dump ? -1 : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        if (r->restore.valid) {
                restore = ts_fmt("%s (processes forked in %s), %s pages", duration_text(r->restore.restore_us, a),
                                 duration_text(r->restore.forking_us, b), count_text(r->restore.pages_restored, n));
                if (!restore || add_line(p, "CRIU restore", restore, err) < 0)
                        return restore ? -1 : ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        return 0;
}

static int add_bytes(const struct page *p, const struct ts_report *r, struct ts_err *err)
{
        const struct {
                const char *what;
                uint64_t bytes;
        } kinds[] = {
                { "memory", r->bytes.memory },           { "volumes", r->bytes.volumes },
                { "root file system", r->bytes.rootfs }, { "image", r->bytes.image },
                { "archive", r->bytes.archive },         { "sent", r->bytes.wire_sent },
                { "received", r->bytes.wire_received },
        };
        ts_auto_str text = TS_STR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(kinds); i++) {
                char human[16];

                if (kinds[i].bytes &&
                    ts_str_addf(&text, err, "%s%s %s", text.len ? ", " : "", kinds[i].what, bytes_text(kinds[i].bytes, human)) < 0)
                        return -1;
        }
        return text.len ? add_line(p, "bytes", ts_str_cstr(&text), err) : 0;
}

/* What the hosts were doing meanwhile: everything on them, not the move alone. */
static int add_host(const struct page *p, const struct ts_report *r, bool target, struct ts_err *err)
{
        uint64_t memory = 0, written = 0, n = 0;
        double cpu = 0;
        char a[16], b[16], c[32];
        ts_auto_free char *text = NULL;

        for (size_t i = 0; i < r->n_resources; i++) {
                const struct ts_resource *s = &r->resources[i];

                if (s->target != target)
                        continue;
                n++;
                memory = s->mem_used_bytes > memory ? s->mem_used_bytes : memory;
                cpu += s->cpu_pct;
                written += s->disk_write_bytes;
        }
        if (n == 0)
                return 0;
        ts_human_bytes(memory, a);
        ts_human_bytes(written, b);
        text = ts_fmt("%s of memory in use at most, CPU %.0f %% busy on average, %s written to disks (%s samples)", a, cpu / (double)n, b, count_text(n, c));
        return text ? add_line(p, target ? "target host" : "source host", text, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* Not broken where there is no terminal: it is searched for, and commands are copied from it. */
static int add_message(const struct page *p, const char *text, size_t at, struct ts_err *err)
{
        struct page endless = *p;

        if (!p->terminal)
                endless.columns = UINT_MAX;
        return add_wrapped(&endless, text, at, at, err);
}

static int add_list(const struct page *p, const char *title, const struct ts_list *l, struct ts_err *err)
{
        if (l->n > 0 && ts_str_addf(p->out, err, "\n  %s%s%s\n", on(p, YELLOW), title, on(p, OFF)) < 0)
                return -1;
        for (size_t i = 0; i < l->n; i++) {
                ts_auto_free char *line = ts_printable(l->v[i], strlen(l->v[i]), 4096);

                if (ts_str_addf(p->out, err, "  %s ", p->utf8 ? "•" : "-") < 0 || add_message(p, ts_or(line, ""), 4, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- the first line ---- */

static const char *outcome_colour(enum ts_outcome o)
{
        switch (o) {
        case TS_OUT_MOVED:
        case TS_OUT_CHECKED:
                return GREEN;
        case TS_OUT_LEFTOVERS:
        case TS_OUT_ROLLED_BACK:
        case TS_OUT_REFUSED:
                return YELLOW;
        case TS_OUT_UNKNOWN:
        case TS_OUT_LOST:
        default:
                return RED;
        }
}

static int add_side(struct ts_str *s, const struct ts_report_side *side, struct ts_err *err)
{
        if (!side->engine && !side->host)
                return ts_str_adds(s, "?", err);
        return ts_str_addf(s, err, "%s%s%s%s%s", ts_or(side->engine, "?"), side->version ? " " : "", ts_or(side->version, ""),
                           side->host ? " on " : "", ts_or(side->host, ""));
}

static int add_heading(const struct page *p, const struct ts_report *r, struct ts_err *err)
{
        ts_auto_str sides = TS_STR_INIT;
        const char *name = ts_or(r->container_name, "?"), *outcome = ts_outcome_str(r->outcome);
        size_t at = strlen(name) + strlen(outcome) + 2;

        if (add_side(&sides, &r->source, err) < 0 || ts_str_adds(&sides, p->utf8 ? " → " : " -> ", err) < 0 ||
            add_side(&sides, &r->target, err) < 0)
                return -1;
        if (r->strategy && ts_str_addf(&sides, err, " (%s%s%s)", r->strategy, r->transfer ? ", " : "", ts_or(r->transfer, "")) < 0)
                return -1;
        if (ts_str_addf(p->out, err, "%s%s%s %s%s%s", on(p, BOLD), name, on(p, OFF), on(p, outcome_colour(r->outcome)), outcome,
                        on(p, OFF)) < 0)
                return -1;
        if (!r->source.engine && !r->target.engine)
                return ts_str_adds(p->out, "\n", err);
        if (at + 1 + strcspn(ts_str_cstr(&sides), " ") > p->columns) {
                at = 1;
                if (ts_str_adds(p->out, "\n", err) < 0)
                        return -1;
        }
        return ts_str_adds(p->out, "  ", err) < 0 ? -1 : add_wrapped(p, ts_str_cstr(&sides), at + 1, 2, err);
}

/* Commands are pasted: a line each, which is not broken. */
static int add_hint(const struct page *p, const char *hint, struct ts_err *err)
{
        const char *key = "hint";

        for (; hint; key = "") {
                size_t len;
                const char *part = ts_hint_next(&hint, &len);

                if (ts_str_addf(p->out, err, "  %-*s%.*s\n", KEY_WIDE, key, (int)len, part) < 0)
                        return -1;
        }
        return 0;
}

/* How it came to an end that was not wanted. */
static int add_error(const struct page *p, const struct ts_report *r, struct ts_err *err)
{
        ts_auto_free char *text = NULL;

        if (r->source_not_running &&
            (ts_str_adds(p->out, "\n", err) < 0 ||
             add_line(p, "source", "does not run: it ended by itself, or somebody stopped or removed it", err) < 0))
                return -1;
        if (!ts_err_is_set(&r->error))
                return 0;
        text = ts_fmt("%s%s%s", ts_or(r->error_phase, ""), r->error_phase ? ": " : "", ts_err_message(&r->error));
        if (!text)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_str_adds(p->out, "\n", err) < 0 || ts_str_addf(p->out, err, "  %-*s", KEY_WIDE, "error") < 0 ||
            add_message(p, text, 2 + KEY_WIDE, err) < 0)
                return -1;
        return r->error.hint ? add_hint(p, r->error.hint, err) : 0;
}

static unsigned name_columns(const struct ts_report *r)
{
        size_t most = NAME_MIN;

        for (unsigned i = 0; i < r->n_phases + r->n_rollback; i++) {
                const struct ts_report_phase *ph = i < r->n_phases ? &r->phases[i] : &r->rollback[i - r->n_phases];
                size_t len = strlen(ts_or(ph->name, ""));

                most = len > most ? len : most;
        }
        return (unsigned)(most < NAME_MAX_COLUMNS ? most : NAME_MAX_COLUMNS);
}

int ts_report_text(const struct ts_report *r, bool colour, unsigned columns, struct ts_str *out, struct ts_err *err)
{
        struct page p = { .out = out, .colour = colour, .columns = columns ? columns : COLUMNS_DEFAULT, .terminal = columns != 0 };
        unsigned used;

        if (p.columns < COLUMNS_MIN)
                p.columns = COLUMNS_MIN;
        p.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        p.name_wide = name_columns(r);
        p.downtime_us = ts_report_downtime_us(r);
        used = 2 + p.name_wide + START_WIDE + DURATION_WIDE;
        p.bytes_wide = p.columns >= used + BYTES_WIDE + DOWN_WIDE ? BYTES_WIDE : 0;
        used += BYTES_WIDE + SHARE_WIDE + 2;
        if (p.downtime_us && p.columns >= used + BAR_MIN)
                p.bar_wide = p.columns - used < BAR_MAX ? p.columns - used : BAR_MAX;
        if (add_heading(&p, r, err) < 0 || add_table(&p, "phase", r->phases, r->n_phases, err) < 0 ||
            add_table(&p, "rollback", r->rollback, r->n_rollback, err) < 0)
                return -1;
        if (add_times(&p, r, err) < 0 || add_precopy(&p, r, err) < 0 || add_criu(&p, r, err) < 0 || add_bytes(&p, r, err) < 0)
                return -1;
        if (add_host(&p, r, false, err) < 0 || add_host(&p, r, true, err) < 0 || add_error(&p, r, err) < 0)
                return -1;
        return add_list(&p, "warnings", &r->warnings, err) < 0 || add_list(&p, "left to clean up", &r->leftovers, err) < 0 ? -1 : 0;
}
