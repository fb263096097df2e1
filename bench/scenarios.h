/* The scenarios' own data, one file each; put together in bench/scenarios.c. */
#ifndef TRANSHIP_BENCH_SCENARIOS_H
#define TRANSHIP_BENCH_SCENARIOS_H

#include "bench/plan.h"

extern const struct ts_scenario_parameter ts_rows_parameters[], ts_counter_size_parameters[], ts_two_way_parameters[], ts_load_parameters[], ts_sweep_parameters[], ts_strategies_parameters[];
extern const struct ts_plan ts_rows_plan, ts_counter_size_plan, ts_two_way_plan, ts_load_plan, ts_sweep_plan, ts_strategies_plan;

#endif
