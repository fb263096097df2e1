/* conf/ when memory runs out. */
#include "tests/unit/torture.h"

#include "conf/conf.h"
#include "conf/settings.h"

static int set_value(void *ctx, const char *key, const char *value, const char *origin, struct ts_err *err)
{
        return ts_conf_set(ctx, key, value, origin, err);
}

static int accepted(struct ts_err *err)
{
        static const char text[] =
                "to = x\nbind = /a=copy, /b\\,=shared\nverify = \"a b\"\nskip = x\npeer_timeout = 5s\ntransfer = scp\nskip = y\n";
        static const char *const none[] = { "/nonexistent", NULL };
        ts_auto(ts_conf) struct ts_conf *c = NULL;

        if (ts_conf_load_files(none, false, &c, err) < 0)
                return -1;
        if (ts_conf_file_parse("f", text, sizeof(text) - 1, set_value, c, err) < 0)
                return -1;
        return ts_conf_set(c, "volume", "a=shared", "--volume", err);
}

static int refused(struct ts_err *err)
{
        static const char *const bad[][2] = {
                { "tp", "x" }, { "transfer", "strem" }, { "peer_timeout", "1ms" }, { "volume", "a=b" }, { "to", "\n" }
        };
        static const char *const none[] = { NULL };
        ts_auto(ts_conf) struct ts_conf *c = NULL;

        if (ts_conf_load_files(none, false, &c, err) < 0)
                return -1;
        for (size_t i = 0; i < TS_ARRAY_LEN(bad); i++)
                if (ts_conf_set(c, bad[i][0], bad[i][1], "--flag", NULL) == 0)
                        return -1;
        return 0;
}

static void accepted_without_memory(void)
{
        torture(accepted);
}
static void refused_without_memory(void)
{
        torture(refused);
}

static CU_TestInfo tests[] = { UNIT(accepted_without_memory), UNIT(refused_without_memory), CU_TEST_INFO_NULL };
UNIT_MAIN("conf-memory", tests)
