/* The lines of the progress display. Decides how they look; knows no terminal, thread or clock. */
#include "engine/cli/progress_draw.h"

#include "base/mem.h"
#include "engine/cli/term.h"

#include <stdio.h>
#include <string.h>

#define PHASE_COLUMNS 11
#define TEXT_MAX 1024 /* bytes of a remark: texts may come from an engine */
#define BAR_COLUMNS_MAX 24u
#define BAR_COLUMNS_MIN 8u
#define LEFT_MAX_S 360000 /* a guess beyond 100 hours is none */

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define CYAN "\033[36m"
#define OFF "\033[0m"

static const char *on(const struct ts_look *look, const char *colour)
{
        return look->colour ? colour : "";
}

void ts_draw_duration(uint64_t us, char buf[16])
{
        unsigned long long s = us / 1000000;

        if (us < 10000000)
                (void)snprintf(buf, 16, "%.3f s", (double)us / 1e6);
        else if (s < 100)
                (void)snprintf(buf, 16, "%.1f s", (double)us / 1e6);
        else if (s < 3600)
                (void)snprintf(buf, 16, "%llu:%02llu", s / 60, s % 60);
        else
                (void)snprintf(buf, 16, "%llu:%02llu:%02llu", s / 3600 % 1000000, s / 60 % 60, s % 60);
}

static const char *spinner(const struct ts_active *a, const struct ts_look *look)
{
        static const char *const dots[] = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" };
        static const char *const ascii[] = { "|", "/", "-", "\\" };

        return look->utf8 ? dots[a->frame % TS_ARRAY_LEN(dots)] : ascii[a->frame % TS_ARRAY_LEN(ascii)];
}

static int add_bar(const struct ts_active *a, const struct ts_look *look, unsigned columns, struct ts_str *out)
{
        double share = a->total_bytes ? (double)a->bytes / (double)a->total_bytes : 0;
        unsigned full = share >= 1 ? columns : (unsigned)(share * columns);

        for (unsigned i = 0; i < columns; i++) {
                const char *cell = look->utf8 ? (i < full ? "█" : "░") : (i < full ? "#" : ".");

                if (ts_str_adds(out, cell, NULL) < 0)
                        return -1;
        }
        return ts_str_addf(out, NULL, " %3u%%  ", share >= 1 ? 100 : (unsigned)(share * 100));
}

/* "128.0 MB of 268.4 MB  112.0 MB/s  0:01 left"; a bar says the total by itself. */
static int add_amounts(const struct ts_active *a, bool bar, struct ts_str *out)
{
        char bytes[16], total[16], rate[16];

        if (a->bytes == 0 && a->total_bytes == 0)
                return 0;
        ts_human_bytes(a->bytes, bytes);
        ts_human_bytes(a->total_bytes, total);
        ts_human_bytes(a->rate, rate);
        if (ts_str_addf(out, NULL, "%8s", bytes) < 0)
                return -1;
        if (a->total_bytes && !bar && ts_str_addf(out, NULL, " of %s", total) < 0)
                return -1;
        if (a->rate && ts_str_addf(out, NULL, "  %8s/s", rate) < 0)
                return -1;
        if (a->rate && a->total_bytes > a->bytes) {
                uint64_t s = (a->total_bytes - a->bytes) / a->rate;

                if (s < LEFT_MAX_S && ts_str_addf(out, NULL, "  %u:%02u left", (unsigned)(s / 60), (unsigned)(s % 60)) < 0)
                        return -1;
        }
        return ts_str_adds(out, "  ", NULL);
}

/* While it is frozen the downtime so far is what counts, otherwise the time of the phase. */
static int add_times(const struct ts_active *a, uint64_t now_us, struct ts_str *out)
{
        bool down = a->frozen && a->frozen_from_us;
        uint64_t from = down ? a->frozen_from_us : a->start_us;
        char since[16];

        ts_draw_duration(now_us > from ? now_us - from : 0, since);
        return ts_str_addf(out, NULL, "%s%s", down ? "down " : "", since);
}

/* Everything after the phase's name, before it is cut to the terminal. */
static int add_details(const struct ts_active *a, const struct ts_look *look, unsigned bar, uint64_t now_us, struct ts_str *out)
{
        if (!a->waiting && bar && add_bar(a, look, bar, out) < 0)
                return -1;
        if (!a->waiting && add_amounts(a, bar > 0, out) < 0)
                return -1;
        if (add_times(a, now_us, out) < 0)
                return -1;
        return a->what[0] ? ts_str_addf(out, NULL, "  %s%s", a->waiting ? "waiting: " : "", a->what) : 0;
}

static unsigned bar_columns(const struct ts_active *a, const struct ts_look *look)
{
        unsigned n = look->columns / 7; /* at 80 columns everything but the name of the data fits */

        return !a->total_bytes || n < BAR_COLUMNS_MIN ? 0 : n > BAR_COLUMNS_MAX ? BAR_COLUMNS_MAX : n;
}

int ts_draw_active(const struct ts_active *a, const struct ts_look *look, uint64_t now_us, struct ts_str *out)
{
        ts_auto_str details = TS_STR_INIT;
        unsigned used = 2 + PHASE_COLUMNS + 1; /* the last column stays free: some terminals wrap when it is written */

        if (add_details(a, look, bar_columns(a, look), now_us, &details) < 0 ||
            ts_str_addf(out, NULL, "%s%s%s ", on(look, CYAN), spinner(a, look), on(look, OFF)) < 0)
                return -1;
        if (ts_str_adds(out, on(look, BOLD), NULL) < 0 ||
            ts_text_add(out, a->phase, PHASE_COLUMNS, /* pad= */ true, look->utf8, NULL) < 0 ||
            ts_str_addf(out, NULL, "%s ", on(look, OFF)) < 0)
                return -1;
        return ts_text_add(out, ts_str_cstr(&details), look->columns > used + 1 ? look->columns - used - 1 : 0, /* pad= */ false,
                           look->utf8, NULL);
}

int ts_draw_plain(const struct ts_active *a, const struct ts_look *look, uint64_t now_us, struct ts_str *out)
{
        ts_auto_str details = TS_STR_INIT;

        if (add_details(a, look, /* bar= */ 0, now_us, &details) < 0)
                return -1;
        return ts_str_addf(out, NULL, "%s %-*s %s", ts_mark(TS_MARK_ELLIPSIS, look->utf8), PHASE_COLUMNS, a->phase, ts_str_cstr(&details));
}

int ts_draw_phase_end(const struct ts_event *e, const struct ts_look *look, struct ts_str *out)
{
        char took[16], bytes[16], rate[16];
        const char *mark = ts_mark(e->ok ? TS_MARK_OK : TS_MARK_FAILED, look->utf8);

        ts_draw_duration(e->duration_us, took);
        ts_human_bytes(e->bytes, bytes);
        ts_human_bytes(e->duration_us ? (uint64_t)((double)e->bytes * 1e6 / (double)e->duration_us) : 0, rate);
        if (ts_str_addf(out, NULL, "%s%s%s %-*s %9s", on(look, e->ok ? GREEN : RED), mark, on(look, OFF), PHASE_COLUMNS,
                        ts_or(e->phase, ""), took) < 0)
                return -1;
        if (e->bytes && ts_str_addf(out, NULL, "  %9s  %9s/s", bytes, rate) < 0)
                return -1;
        if (e->frozen && ts_str_addf(out, NULL, "  %sfrozen%s", on(look, CYAN), on(look, OFF)) < 0)
                return -1;
        return e->ok ? 0 : ts_str_addf(out, NULL, "  %sfailed%s", on(look, RED), on(look, OFF));
}

/* How the other kinds look. */
static const struct remark {
        enum ts_event_kind kind;
        enum ts_mark mark;
        const char *colour, *prefix;
} remarks[] = {
        { TS_EV_WARNING, TS_MARK_WARNING, YELLOW, "" },
        { TS_EV_NOTE, TS_MARK_DASH, DIM, "" },
        { TS_EV_ROLLBACK, TS_MARK_BACK, YELLOW, "rolling back: " },
        { TS_EV_WAITING, TS_MARK_ELLIPSIS, DIM, "waiting: " },
        { TS_EV_COMMIT, TS_MARK_OK, GREEN, "committed: it runs on the target" },
};

static int draw_begin(const struct ts_event *e, const struct ts_look *look, struct ts_str *out)
{
        return ts_str_addf(out, NULL, "%s%s%s%s%s", on(look, BOLD), ts_or(e->text, ""), on(look, OFF), e->phase ? "  " : "",
                           ts_or(e->phase, ""));
}

int ts_draw_remark(const struct ts_event *e, const struct ts_look *look, struct ts_str *out)
{
        const char *raw = e->kind == TS_EV_COMMIT ? "" : ts_or(e->text, "");

        if (e->kind == TS_EV_BEGIN)
                return draw_begin(e, look, out);
        for (size_t i = 0; i < TS_ARRAY_LEN(remarks); i++) {
                const struct remark *r = &remarks[i];
                ts_auto_free char *text = NULL;

                if (r->kind != e->kind)
                        continue;
                text = ts_printable(raw, strlen(raw), TEXT_MAX);
                return ts_str_addf(out, NULL, "%s%s%s %s%s", on(look, r->colour), ts_mark(r->mark, look->utf8), on(look, OFF), r->prefix,
                                   ts_or(text, ""));
        }
        return -1;
}

int ts_draw_stopping(const struct ts_look *look, struct ts_str *out)
{
        return ts_str_addf(out, NULL, "%s%s%s stopping: going back to a safe state, please wait", on(look, YELLOW),
                           ts_mark(TS_MARK_WARNING, look->utf8), on(look, OFF));
}
