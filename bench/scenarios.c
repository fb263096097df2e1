/* The experiments, as data. */
#include "bench/scenarios.h"

#include "conf/settings.h"

#include <string.h>

/* clang-format off */
const struct ts_scenario ts_scenarios[] = {
        { "mysql-rows",   "a database of more and more rows, back and forth",                 ts_rows_parameters,         &ts_rows_plan },
        { "counter-size", "a counter that has run for a while: its archive and the bytes",    ts_counter_size_parameters, &ts_counter_size_plan },
        { "two-way",      "one and more services in one direction and in both at once",       ts_two_way_parameters,      &ts_two_way_plan },
        { "load",         "a database with many writers, and what its clients see",           ts_load_parameters,         &ts_load_plan },
        { "memory-sweep", "memory, how fast it changes, bandwidth; against what is possible", ts_sweep_parameters,        &ts_sweep_plan },
        { "strategies",   "all ways to move a database, and what people do by hand",          ts_strategies_parameters,   &ts_strategies_plan },
        { NULL, NULL, NULL, NULL },
};
/* clang-format on */

const struct ts_scenario *ts_scenario_find(const char *name, struct ts_err *err)
{
        const char *names[TS_ARRAY_LEN(ts_scenarios)] = { NULL }, *near;
        size_t n = 0;

        for (; ts_scenarios[n].name; n++) {
                if (!strcmp(ts_scenarios[n].name, name))
                        return &ts_scenarios[n];
                names[n] = ts_scenarios[n].name;
        }
        near = ts_nearest(name, names, n);
        if (near)
                ts_err_set(err, TS_EUSAGE, "no scenario '%.60s'; did you mean '%s'?", name, near);
        else
                ts_err_set(err, TS_EUSAGE, "no scenario '%.60s'", name);
        ts_err_hint(err, "tranship bench lists them");
        return NULL;
}
