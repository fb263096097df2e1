/* How an experiment is put together: a plan is data and a few functions, the loop (bench/loop.c) is the same for all.
 *
 * for each environment, for each x: begin; for each run, warm-ups first: for each way, in another order each time: [fresh: begin] move, check, keep the sample [fresh: remove, or when all ways are done where
 * they are together]; remove what is ours */
#ifndef TRANSHIP_BENCH_PLAN_H
#define TRANSHIP_BENCH_PLAN_H

#include "api/api.h"
#include "api/endpoint.h"
#include "api/json.h"
#include "bench/bench.h"
#include "bench/result.h"
#include "engine/probe.h"

#define TS_BENCH_LABELLED "tranship.bench=yes"
#define TS_WAYS_MAX 32

struct ts_bench;

/* One of the two hosts. */
struct ts_bench_end {
        const char *letter; /* "a", "b" */
        const char *spec;   /* as the user called the engine */
        struct ts_endpoint *ep;
        struct ts_host *host;
        enum ts_engine_kind kind;
        char *socket;
        struct ts_list program; /* its command line, which speaks to that engine */
        struct ts_proc *held;   /* holds the engine for this experiment */
};

struct ts_way {
        char *series; /* owned */
        int (*move)(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err); /* adds figures; moved: b->at is the other side */
        const char *option;   /* of tranship move, or NULL: words split at blanks */
        double a, b;          /* what the scenario varies beside x */
};

/* What a counter printed last. */
struct ts_count {
        char token[48]; /* "": nothing yet */
        uint64_t n;
};

struct ts_plan {
        const char *axis;  /* the parameter that lists x, or NULL */
        const char *label, *unit;
        bool fresh;        /* a container of its own for each run; b->at is the side of that run, which begin may choose otherwise */
        bool together;     /* with fresh: begin may start what the run's later ways move, too; removed after all of them */
        int (*ways)(struct ts_bench *b, struct ts_err *err);                /* ts_add_way() for each */
        int (*begin)(struct ts_bench *b, const struct ts_way *w, struct ts_err *err); /* starts the workload on b->at; w: NULL unless fresh */
        int (*check)(struct ts_bench *b, struct ts_err *err);               /* after a move: does it still work, is all there? */
};

struct ts_bench {
        const struct ts_bench_opts *o;
        const struct ts_scenario *scenario;
        struct ts_list values; /* of the parameters, in the order of the common ones and then the scenario's */
        struct ts_bench_end ends[2];
        struct ts_way ways[TS_WAYS_MAX];
        size_t n_ways;
        unsigned at;     /* the side that has the workload */
        struct ts_json *result, *samples; /* samples: borrowed from result */
        uint64_t t0_us;
        char *directory; /* of this run's files; removed in the end */
        unsigned n_moves;
        unsigned runs;
        struct ts_probe *probe; /* or NULL */
        /* now */
        char *environment;
        struct ts_list options; /* the environment's, for tranship move */
        double x;
        int run;
        const struct ts_way *moved; /* fresh: the way of this run */
        char *expected; /* by the scenario: what its check wants */
        char *shared_option;
        struct ts_count counts[16]; /* the same, of counters */
        uint64_t started_us[2]; /* by side, of what waits for its turn; 0: nothing does */
        double link_bytes_s, memory_bytes_s; /* as measured */
        uint64_t random;
        bool must_look; /* a move ended so that a person must look: nothing is removed */
        bool hosts_known;
};
#define TS_FROM(b) (&(b)->ends[(b)->at])
#define TS_TO(b) (&(b)->ends[1 - (b)->at])

/* ---- parameters ---- */
const char *ts_param(const struct ts_bench *b, const char *name);            /* its value; "" where that is the default. An unknown name is a bug (abort) */
int ts_param_u64(const struct ts_bench *b, const char *name, uint64_t *ret, struct ts_err *err); /* TS_EUSAGE names it */
int ts_param_numbers(const struct ts_bench *b, const char *name, double *ret, size_t max, size_t *ret_n, struct ts_err *err); /* "100,500,1000" */

/* ---- ways and samples ---- */
int ts_add_way(struct ts_bench *b, const struct ts_way *w, struct ts_err *err, const char *series, ...) __attribute__((format(printf, 4, 5)));
void ts_set_figure(struct ts_json *sample, const char *name, double value);
double ts_get_figure(const struct ts_json *sample, const char *name); /* NAN: none */

/* ---- the engines' own command lines ---- */
/* podman WORDS… or docker WORDS… on that side. ret_out may be NULL. TS_ECOMMAND with the last line that it said. */
#define TS_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
int ts_cli(struct ts_bench_end *e, const char *const words[], char **ret_out, struct ts_err *err);
int ts_cli_argv(struct ts_bench_end *e, const struct ts_list *args, unsigned timeout_ms, char **ret_out, struct ts_err *err);
/* run --detach --label … [--network, --ip] OPTIONS… IMAGE ARGS…: options are split at blanks; args may be NULL. */
int ts_cli_run(struct ts_bench *b, struct ts_bench_end *e, const char *name, const char *options, const char *image, const struct ts_list *args, struct ts_err *err);
/* Everything of ours, containers and volumes, from both sides: after the samples that it was for, and after a failure. */
int ts_remove_ours(struct ts_bench *b, struct ts_err *err);
int ts_list_words(struct ts_list *l, const char *words, struct ts_err *err); /* adds them, split at blanks */

/* ---- moves ---- */
struct ts_moving {
        int pid; /* 0: none */
        unsigned from;
        char *report, *errors; /* files */
};
int ts_moving_start(struct ts_bench *b, const char *name, unsigned from, const char *option, struct ts_moving *ret, struct ts_err *err);
/* Waits for its end and puts report and figures into sample. A move that did not end with exit status 0 is TS_ECOMMAND with what it said. */
int ts_moving_end(struct ts_bench *b, struct ts_moving *m, struct ts_json *sample, struct ts_err *err);
/* Both; b->at is the other side then. */
int ts_move_one(struct ts_bench *b, const char *name, const char *option, struct ts_json *sample, struct ts_err *err);
/* What a report says, as figures (bench/figures.c). TS_EPROTO. */
int ts_report_figures(const struct ts_json *report, bool from_b, struct ts_json *sample, struct ts_err *err);

/* ---- what is moved ---- */
/* bench/database.c: a MariaDB or MySQL; parameters TS_DATABASE_PARAMETERS. */
#define TS_DATABASE "tranship-bench-db"
#define TS_DATABASE_PARAMETERS                                                                                                      \
        { "image", "docker.io/library/mariadb", NULL, "of the database: MariaDB or MySQL, in its data directory /var/lib/mysql" },  \
        { "args", "--innodb-use-native-aio=0", NULL, "arguments of the container, split at blanks (CRIU cannot dump kernel AIO)" }, \
        { "client", "mariadb", NULL, "the SQL client in the image: mariadb or mysql" }
int ts_database_start(struct ts_bench *b, uint64_t rows, struct ts_err *err); /* on b->at, with that many rows; b->expected is what check wants */
int ts_database_check(struct ts_bench *b, struct ts_err *err);
int ts_database_sql(struct ts_bench *b, const char *sql, char **ret_out, struct ts_err *err);
/* bench/counter.c: prints numbers. */
#define TS_COUNTER "tranship-bench-counter"
#define TS_COUNTER_PARAMETERS                                                                                               \
        { "image", "docker.io/library/busybox", NULL, "of the counter: anything with sh" },                                 \
        { "interval", "1", "0.1", "seconds between two numbers" }
/* Options for counters that are on both hosts at once: without a network that is asked for they have none, since each host chooses addresses for itself, and may choose the other's. */
const char *ts_apart(const struct ts_bench *b);
int ts_counter_start(struct ts_bench *b, struct ts_bench_end *e, const char *name, const char *options, struct ts_err *err);
int ts_counter_last(struct ts_bench_end *e, const char *name, struct ts_count *ret, struct ts_err *err); /* what it printed last */
int ts_counter_goes_on(struct ts_bench_end *e, const char *name, const struct ts_count *from, struct ts_err *err); /* it is the same one, past that, and counts */
/* The engine's own checkpoint and restore on one host: what no tool can be faster than by much. Figures checkpoint_s, restore_s, downtime_s into sample. */
int ts_engine_calls(struct ts_bench *b, const char *name, struct ts_json *sample, const char *prefix, struct ts_err *err);

/* ---- another program on this machine, beside a move ---- */
struct ts_beside {
        int pid, fd; /* its output */
        pthread_t thread;
        bool has_thread;
        void (*line)(void *ctx, uint64_t now_us, const char *line); /* called in a thread of its own */
        void *ctx;
};
int ts_beside_start(struct ts_beside *s, const struct ts_list *argv, void (*line)(void *, uint64_t, const char *), void *ctx, struct ts_err *err);
bool ts_beside_runs(const struct ts_beside *s); /* it has not ended by itself */
void ts_beside_stop(struct ts_beside *s);       /* SIGINT, then by force; nothing for one that was not started */

#endif
