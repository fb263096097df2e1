/* The lines of the progress display: from facts to one line of text. */
#ifndef TRANSHIP_ENGINE_CLI_PROGRESS_DRAW_H
#define TRANSHIP_ENGINE_CLI_PROGRESS_DRAW_H

#include "base/str.h"
#include "engine/event.h"

#include <stdbool.h>
#include <stdint.h>

struct ts_look {
        bool colour, utf8;
        unsigned columns;
};
/* The phase under way. */
struct ts_active {
        char phase[32]; /* "": none */
        char what[96];  /* what moves, or what is waited for */
        bool frozen, waiting;
        uint64_t start_us;
        uint64_t frozen_from_us;           /* when the first frozen phase began, 0: not frozen */
        uint64_t bytes, total_bytes, rate; /* rate: bytes a second; 0 = not known */
        unsigned frame;
};
/* All append one line without its end and give 0, or -1 out of memory. */
int ts_draw_active(const struct ts_active *a, const struct ts_look *look, uint64_t now_us,
                   struct ts_str *out); /* never wider than the terminal */
int ts_draw_plain(const struct ts_active *a, const struct ts_look *look, uint64_t now_us, struct ts_str *out);
int ts_draw_phase_end(const struct ts_event *e, const struct ts_look *look, struct ts_str *out);
int ts_draw_remark(const struct ts_event *e, const struct ts_look *look, struct ts_str *out);
int ts_draw_stopping(const struct ts_look *look, struct ts_str *out);
/* "0.412 s", "12.3 s", "3:07", "1:02:03" */
void ts_draw_duration(uint64_t us, char buf[16]);

#endif
