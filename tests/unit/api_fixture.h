/* Answers of engines, from tests/fixtures/api: recorded from real ones, or (docker-17.09-documented-*) made by hand after the description of API 1.32. */
#ifndef TRANSHIP_TESTS_UNIT_API_FIXTURE_H
#define TRANSHIP_TESTS_UNIT_API_FIXTURE_H

#include "tests/unit/unit.h"

#include "api/json.h"
#include "base/io.h"
#include "base/str.h"

#ifndef TS_SOURCE_DIR /* the build says it */
#define TS_SOURCE_DIR "."
#endif

static inline char *fixture_text(const char *name)
{
        struct ts_err err = TS_ERR_INIT;
        struct ts_str s = TS_STR_INIT;
        char *path = ts_fmt("%s/tests/fixtures/api/%s.json", TS_SOURCE_DIR, name);
        UNIT_OK(ts_file_read(path, 1 << 20, &s, &err));
        free(path);
        return ts_str_take(&s);
}

static inline struct ts_json *fixture(const char *name)
{
        struct ts_err err = TS_ERR_INIT;
        struct ts_json *j = NULL;
        char *text = fixture_text(name);
        UNIT_OK(ts_json_parse(text, strlen(text), 0, &j, &err));
        free(text);
        return j;
}

#endif
