/* The experiments, as data. */
#include "bench/scenarios.h"

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
