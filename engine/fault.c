/* Fault injection for the test matrix: TRANSHIP_FAULT="PHASE:POINT:ACTION[,PHASE:POINT:ACTION…]". Only in builds with TS_FAULTS.
 * The fault is real (a signal to ourselves, a failing phase); nothing else of the program knows about it. */
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/mig.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#ifdef TS_FAULTS
#define GONE_MS 300 /* at a point called "gone" what was handed to other threads has left this process */

static const struct {
        const char *name;
        int signal;
} actions[] = {
        { "error", 0 }, { "kill", SIGKILL }, { "int", SIGINT }, { "term", SIGTERM }, { "hup", SIGHUP }, { "stop", SIGSTOP },
};

static bool stopped; /* once is enough: some points are passed again and again */

static int act(const char *action, const char *where, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(actions); i++) {
                if (strcmp(action, actions[i].name) != 0)
                        continue;
                if (actions[i].signal == SIGSTOP && stopped)
                        return 0;
                stopped |= actions[i].signal == SIGSTOP;
                if (!actions[i].signal)
                        return ts_err_set(err, TS_EINTERNAL, "injected fault at %s", where);
                (void)raise(actions[i].signal);
                return 0;
        }
        return ts_err_set(err, TS_EUSAGE, "TRANSHIP_FAULT: unknown action '%s'", action);
}

int ts_fault(const char *phase, const char *point, struct ts_err *err)
{
        const char *env = getenv("TRANSHIP_FAULT");
        ts_auto_free char *copy = ts_strdup0(env);
        ts_auto_free char *where = ts_fmt("%s:%s:", phase, point);
        char *save = NULL;

        if (!copy || !where)
                return 0;
        if (!strstr(copy, where))
                return 0;
        if (!strcmp(point, "gone"))
                ts_sleep_ms(GONE_MS);
        for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
                if (ts_starts(word, where) && act(word + strlen(where), where, err) < 0)
                        return -1;
        return 0;
}
#else
typedef int ts_fault_unused; /* an empty translation unit is not C */
#endif
