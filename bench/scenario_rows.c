/* mysql-rows: a database of more and more rows, moved back and forth. */
#include "bench/plan.h"
#include "bench/scenarios.h"

const struct ts_scenario_parameter ts_rows_parameters[] = {
        { "rows", "100,500,1000,5000,10000", "100,1000", "of the table" },
        TS_DATABASE_PARAMETERS,
        { NULL, NULL, NULL, NULL },
};

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        return ts_move_one(b, TS_DATABASE, w->option, sample, err);
}

static int ways(struct ts_bench *b, struct ts_err *err)
{
        return ts_add_way(b, &(struct ts_way){ .move = move }, err, "tranship");
}

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        (void)w;
        return ts_database_start(b, (uint64_t)b->x, err);
}

const struct ts_plan ts_rows_plan = { .axis = "rows", .label = "Rows", .unit = "", .ways = ways, .begin = begin, .check = ts_database_check };
