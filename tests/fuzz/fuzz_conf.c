/* Configuration files: whatever stands in one, loading ends, stays in its bounds, and what was accepted can be shown and set again. */
#include "tests/fuzz/fuzz.h"

#include "conf/conf.h"
#include "conf/settings.h"

#include <string.h>

static int set_value(void *ctx, const char *key, const char *value, const char *origin, struct ts_err *err)
{
        return ts_conf_set(ctx, key, value, origin, err);
}

static void set_again(void *ctx, const char *key, const char *value, const char *origin, const char *help)
{
        (void)origin, (void)help;
        if (ts_conf_set(ctx, key, value, "--again", NULL) < 0)
                abort();
}

static void same(void *ctx, const char *key, const char *value, const char *origin, const char *help)
{
        (void)origin, (void)help;
        if (strlen(value) > (size_t)4 * TS_CONF_FILE_MAX || !ts_conf_origin(ctx, key))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const none[] = { NULL };
        ts_auto(ts_conf) struct ts_conf *c = NULL, *copy = NULL;
        ts_auto_err err = TS_ERR_INIT;

        if (ts_conf_load_files(none, false, &c, NULL) < 0 || ts_conf_load_files(none, false, &copy, NULL) < 0)
                return 0;
        if (ts_conf_file_parse("fuzz.conf", (const char *)data, size, set_value, c, &err) < 0 &&
            !ts_starts(ts_err_message(&err), "fuzz.conf:"))
                abort(); /* every failure says where */
        ts_conf_each(c, set_again, copy);
        ts_conf_each(copy, same, c);
        return 0;
}
