/* Keeps the end, or a bounded whole, of what a command complains. */
#include "transfer/tail.h"

#include <string.h>

void ts_tail_add(struct ts_tail *t, const char *data, size_t len)
{
        size_t keep;

        if (t->text.len + len <= t->max) {
                (void)ts_str_add(&t->text, data, len, NULL);
                return;
        }
        t->overflow = true;
        if (t->whole)
                return;
        if (len > t->max) {
                data += len - t->max;
                len = t->max;
        }
        keep = t->max - len < t->text.len ? t->max - len : t->text.len;
        if (t->text.buf) {
                memmove(t->text.buf, t->text.buf + t->text.len - keep, keep);
                t->text.len = keep;
                t->text.buf[keep] = '\0';
        }
        (void)ts_str_add(&t->text, data, len, NULL);
}
