/* base/ when memory runs out. */
#include "tests/unit/torture.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <unistd.h>

static int errors(struct ts_err *err)
{
        ts_auto_err own = TS_ERR_INIT;

        (void)err;
        ts_err_errno(&own, EIO, "cannot %s", "write");
        ts_err_prefix(&own, "file '%s'", "x");
        ts_err_hint(&own, "free %d bytes", 1);
        return own.code == TS_EIO && *ts_err_message(&own) ? 0 : -1; /* the code survives in any case */
}

static int strings(struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT;
        ts_auto_list l = TS_LIST_INIT;
        const char *const argv[] = { "ls", "it's a", "b", NULL };
        ts_auto_free char *line = NULL;

        for (int i = 0; i < 50; i++)
                if (ts_str_addf(&s, err, "%d,", i) < 0)
                        return -1;
        if (ts_list_add(&l, "a", err) < 0 || ts_list_addf(&l, err, "b%d", 2) < 0)
                return -1;
        return ts_shell_quote(argv, &line, err);
}

static int files(struct ts_err *err)
{
        static char path[] = "/tmp/tranship-unit-memory";
        ts_auto_str s = TS_STR_INIT;
        int rc = -1;

        if (ts_file_write_atomic(path, "x", 1, 0600, err) == 0 && ts_file_read(path, 10, &s, err) == 0)
                rc = ts_mkdir_p("/tmp", 0700, err);
        (void)unlink(path);
        return rc;
}

static int state(struct ts_err *err)
{
        ts_auto_free char *path = NULL;

        (void)err;
        (void)setenv("TRANSHIP_STATE_DIR", "/x", 1);
        path = ts_state_dir();
        return 0; /* unknown is an answer */
}

static void errors_without_memory(void)
{
        torture(errors);
}
static void strings_without_memory(void)
{
        torture(strings);
}
static void files_without_memory(void)
{
        torture(files);
}
static void state_without_memory(void)
{
        torture(state);
}

static CU_TestInfo tests[] = {
        UNIT(errors_without_memory), UNIT(strings_without_memory), UNIT(files_without_memory), UNIT(state_without_memory),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("base-memory", tests)
