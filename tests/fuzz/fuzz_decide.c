/* The model of tests/unit/decide_model.h, its choices made by the input: no input may break a rule of SAFETY, or go on for ever. The first bytes also ask ts_decide() about cases that cannot be. */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/decide_model.h"
#include <stdlib.h>
#include <string.h>

struct bytes {
        const uint8_t *p;
        size_t left;
};

static unsigned pick_byte(void *ctx, unsigned n)
{
        struct bytes *b = ctx;

        if (b->left == 0)
                return 0;
        b->left--;
        return *b->p++ % n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct bytes b = { data, size };
        struct model m = { .pick = pick_byte, .ctx = &b };
        struct ts_case c = { .stage = TS_STAGE_BEGUN };
        const char *why = NULL;

        if (size >= 3) {
                c.stage = (enum ts_stage)data[0];
                c.source = (enum ts_source_seen)data[1];
                c.target = (enum ts_target_seen)data[2];
                if ((unsigned)ts_decide(&c, &why) >= TS_ACT_MAX || !why)
                        abort();
        }
        if (model_walk(&m)) {
                (void)fprintf(stderr, "%s\n", m.wrong);
                abort();
        }
        return 0;
}
