/* The result of an experiment, from a file of unknown origin: no bytes may crash the reader, and what it accepts is within its bounds and can be summed up and printed. */
#include "tests/fuzz/fuzz.h"

#include "bench/result.h"
#include "bench/result_text.h"
#include "bench/summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void must(int holds)
{
        if (!holds)
                abort();
}

static void check_name(const char *s)
{
        must(s != NULL);
        for (; *s; s++)
                must((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check(const struct ts_result *r)
{
        check_name(r->scenario);
        must(!strchr(r->scenario, '/') && r->n_samples <= 100000);
        for (size_t i = 0; i < r->n_samples; i++) {
                const struct ts_sample *s = &r->samples[i];

                check_name(s->series);
                check_name(s->environment);
                check_name(s->direction);
                must(s->run >= TS_RESULT_WARM_UP && s->n_figures <= 64 && s->n_responses <= 100000 && isfinite(s->x));
                for (size_t k = 0; k < s->n_figures; k++)
                        must(isfinite(s->figures[k].value) && *s->figures[k].name);
        }
}

static void print(const struct ts_result *r)
{
        ts_auto_str text = TS_STR_INIT, csv = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_result_text(r, false, 80, &text, &err) < 0)
                must(err.code == TS_ELIMIT || err.code == TS_ENOMEM);
        must(ts_result_csv(r, true, &csv, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ts_auto(ts_json) struct ts_json *j = NULL;
        ts_auto_err err = TS_ERR_INIT;
        struct ts_result r = { 0 };

        if (ts_json_parse((const char *)data, size, 0, &j, NULL) < 0)
                return 0;
        if (ts_result_from_json(j, &r, &err) < 0) {
                must(err.code == TS_EPROTO || err.code == TS_ELIMIT);
                return 0;
        }
        check(&r);
        print(&r);
        ts_result_clear(&r);
        return 0;
}
