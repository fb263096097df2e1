/* A database as a workload: rows that must all be there afterwards. Decides what it is filled with and what is compared. */
#include "bench/plan.h"

#include "base/io.h"

#include <stdio.h>
#include <string.h>

#define READY_WITHIN_MS 120000U
#define SQL_TIMEOUT_MS 120000U
#define LOOK_EVERY_MS 200U
#define VOLUME "tranship-bench-db:/var/lib/mysql"
#define ENVIRONMENT "--env MARIADB_ALLOW_EMPTY_ROOT_PASSWORD=1 --env MYSQL_ALLOW_EMPTY_PASSWORD=1"

int ts_database_sql(struct ts_bench *b, const char *sql, char **ret_out, struct ts_err *err)
{
        ts_auto_list args = TS_LIST_INIT;

        /* Over TCP: while it makes its first tables it does not listen there. */
        return ts_list_words(&args, "exec " TS_DATABASE, err) < 0 || ts_list_add(&args, ts_param(b, "client"), err) < 0 ||
                               ts_list_words(&args, "--user=root --host=127.0.0.1 --batch --skip-column-names --execute", err) < 0 ||
                               ts_list_add(&args, sql, err) < 0
                       ? -1
                       : ts_cli_argv(TS_FROM(b), &args, SQL_TIMEOUT_MS, ret_out, err);
}

static int wait_ready(struct ts_bench *b, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(READY_WITHIN_MS);

        for (;;) {
                ts_auto_err why = TS_ERR_INIT;

                if (ts_database_sql(b, "SELECT 1", NULL, &why) == 0)
                        return 0;
                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped");
                if (ts_deadline_passed(deadline)) {
                        ts_err_move(err, &why);
                        return ts_err_prefix(err, "the database does not answer");
                }
                ts_sleep_ms(LOOK_EVERY_MS);
        }
}

/* By doubling: MySQL 5.7 has nothing else that is quick. */
static int fill(struct ts_bench *b, uint64_t rows, struct ts_err *err)
{
        if (ts_database_sql(b, "CREATE DATABASE bench", NULL, err) < 0 ||
            ts_database_sql(b, "CREATE TABLE bench.t (id INT PRIMARY KEY, v CHAR(64)) ENGINE=InnoDB", NULL, err) < 0)
                return -1;
        if (rows && ts_database_sql(b, "INSERT INTO bench.t VALUES (1, SHA2(1, 256))", NULL, err) < 0)
                return -1;
        for (uint64_t n = 1; n < rows; n *= 2) {
                ts_auto_free char *sql = ts_fmt("INSERT INTO bench.t SELECT id + %llu, SHA2(id + %llu, 256) FROM bench.t WHERE id + %llu <= %llu", (unsigned long long)n,
                                                (unsigned long long)n, (unsigned long long)n, (unsigned long long)rows);

                if (!sql)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (ts_database_sql(b, sql, NULL, err) < 0)
                        return -1;
        }
        return 0;
}

static int sum(struct ts_bench *b, char **ret, struct ts_err *err)
{
        return ts_database_sql(b, "SELECT COUNT(*) FROM bench.t; CHECKSUM TABLE bench.t", ret, err);
}

int ts_database_start(struct ts_bench *b, uint64_t rows, struct ts_err *err)
{
        ts_auto_list args = TS_LIST_INIT;
        ts_auto_free char *wanted = ts_fmt("%llu\n", (unsigned long long)rows);

        free(TS_TAKE(b->expected));
        if (!wanted)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_cli(TS_FROM(b), TS_WORDS("volume", "create", "--label", TS_BENCH_LABELLED, TS_DATABASE), NULL, err) < 0 || ts_list_words(&args, ts_param(b, "args"), err) < 0 ||
            ts_cli_run(b, TS_FROM(b), TS_DATABASE, "--volume " VOLUME " " ENVIRONMENT, ts_param(b, "image"), &args, err) < 0)
                return -1;
        if (wait_ready(b, err) < 0 || fill(b, rows, err) < 0 || sum(b, &b->expected, err) < 0)
                return -1;
        return ts_starts(b->expected, wanted) ? 0 : ts_err_set(err, TS_EINTERNAL, "the database was not filled: %.60s", b->expected);
}

int ts_database_check(struct ts_bench *b, struct ts_err *err)
{
        ts_auto_free char *now = NULL;

        if (sum(b, &now, err) < 0)
                return ts_err_prefix(err, "after the move");
        return ts_streq0(now, b->expected) ? 0 : ts_err_set(err, TS_EIO, "after the move the table is another one: '%.60s', not '%.60s'", now, b->expected);
}
