/* strategies: every way tranship has, the engine's own command line with scp, and the script of the literature, in turns, with the same database. */
#include "bench/plan.h"
#include "bench/scenarios.h"

#include <stdio.h>
#include <string.h>

#define BASELINE_TIMEOUT_MS 600000U

const struct ts_scenario_parameter ts_strategies_parameters[] = {
        { "rows", "10000", "500", "of the table" },
        { "shared", "", NULL, "directory that both hosts have, for --transfer shared:DIR; empty: without that" },
        { "between", "", NULL, "options of ssh and scp on the hosts, by which one reaches the other (-F FILE, -i FILE), split at blanks" },
        { "a-name", "", NULL, "what B's ssh calls A; empty: as in --from" },
        { "b-name", "", NULL, "what A's ssh calls B; empty: as in --to" },
        { "baselines", "yes", NULL, "no: only tranship" },
        TS_DATABASE_PARAMETERS,
        { NULL, NULL, NULL, NULL },
};

/* ---- tranship ---- */

static int move(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        return ts_move_one(b, TS_DATABASE, w->option, sample, err);
}

static int engine(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        (void)w;
        return ts_engine_calls(b, TS_DATABASE, sample, "", err);
}

/* ---- by hand: scripts that run on the source's host, and print the nanoseconds of their steps ---- */

/* A directory of its own on both hosts, which goes away with the script: what is in it is the container's memory. */
#define BEGIN                                                                                                                                         \
        "set -eu; umask 077; d=$(mktemp -d /var/tmp/tranship-bench.XXXXXX); trap 'rm -rf \"$d\"; ssh -n $3 \"$2\" rm -rf \"$d\"' EXIT; "                    \
        "ssh -n $3 \"$2\" mkdir -m 700 \"$d\"; "
/* $1 container, $2 target host, $3 options of ssh and scp. checkpoint (its default zstd), scp, restore. */
static const char podman_cli[] = BEGIN
                                 "a=$d/dump.tar.zst; t0=$(date +%s%N); "
                                 "podman container checkpoint --export \"$a\" --tcp-established --file-locks \"$1\" >/dev/null; t1=$(date +%s%N); "
                                 "scp -q $3 \"$a\" \"$2:$a\"; t2=$(date +%s%N); "
                                 "ssh -n $3 \"$2\" podman container restore --import \"$a\" --tcp-established --file-locks >/dev/null; t3=$(date +%s%N); "
                                 "echo 0 $((t1 - t0)) $((t2 - t1)) $((t3 - t2))";
/* The same, with rsync of the volume $4 before and after, and a gzip export of the container. */
static const char rsync_script[] = BEGIN
                                   "a=$d/dump.tar.gz; "
                                   "v=$(podman volume inspect --format '{{.Mountpoint}}' \"$4\"); t=$(date +%s%N); "
                                   "ssh -n $3 \"$2\" \"podman volume create --label tranship.bench=yes $4 >/dev/null 2>&1; mkdir -p $v\"; "
                                   "rsync -az --delete -e \"ssh $3\" \"$v/\" \"$2:$v/\"; t0=$(date +%s%N); "
                                   "podman container checkpoint --export \"$a\" --compress gzip --ignore-volumes --tcp-established --file-locks \"$1\" >/dev/null; t1=$(date +%s%N); "
                                   "rsync -az --delete -e \"ssh $3\" \"$v/\" \"$2:$v/\"; rsync -az -e \"ssh $3\" \"$a\" \"$2:$a\"; t2=$(date +%s%N); "
                                   "ssh -n $3 \"$2\" podman container restore --import \"$a\" --ignore-volumes --tcp-established --file-locks >/dev/null; t3=$(date +%s%N); "
                                   "echo $((t0 - t)) $((t1 - t0)) $((t2 - t1)) $((t3 - t2))";

static const char *name_of(struct ts_bench *b, unsigned side)
{
        const char *said = ts_param(b, side ? "b-name" : "a-name");

        return *said ? said : b->ends[side].ep->host;
}

static int set_steps(struct ts_json *sample, const char *text, struct ts_err *err)
{
        static const char *const steps[] = { "precopy_s", "checkpoint_s", "transfer_s", "restore_s" };
        double sum = 0, before = 0;
        const char *p = text;

        for (size_t i = 0; i < TS_ARRAY_LEN(steps); i++) {
                char *end = NULL;
                double s = (double)strtoull(p, &end, 10) / 1e9;

                if (end == p)
                        return ts_err_set(err, TS_EPROTO, "the script printed '%.60s'", text);
                ts_set_figure(sample, steps[i], s);
                before = i == 0 ? s : before;
                sum += s;
                p = end;
        }
        ts_set_figure(sample, "downtime_s", sum - before);
        ts_set_figure(sample, "migration_s", sum);
        return 0;
}

/* w->option: the script. */
static int by_hand(struct ts_bench *b, const struct ts_way *w, struct ts_json *sample, struct ts_err *err)
{
        if (!name_of(b, 0) || !name_of(b, 1)) {
                ts_err_set(err, TS_EUSAGE, "how do the hosts call each other? one of them is this machine");
                return ts_err_hint(err, "--set a-name=NAME --set b-name=NAME; or --set baselines=no");
        }

        const char *const argv[] = { "/bin/sh", "-c", w->option, "sh", TS_DATABASE, name_of(b, 1 - b->at), ts_param(b, "between"), TS_DATABASE, NULL };
        struct ts_run_opts o = { .timeout_ms = BASELINE_TIMEOUT_MS };
        ts_auto_free char *out = NULL;

        if (ts_host_check(TS_FROM(b)->host, argv, &o, &out, err) < 0) {
                ts_err_hint(err, "the hosts have to reach each other by ssh: --set between='-F FILE', --set b-name=NAME; or --set baselines=no");
                return -1;
        }
        if (set_steps(sample, out, err) < 0 || ts_cli(TS_FROM(b), TS_WORDS("rm", "--force", TS_DATABASE), NULL, err) < 0 ||
            ts_cli(TS_FROM(b), TS_WORDS("volume", "rm", "--force", TS_DATABASE), NULL, err) < 0)
                return -1;
        b->at = 1 - b->at;
        return 0;
}

/* ---- the plan ---- */

static int begin(struct ts_bench *b, const struct ts_way *w, struct ts_err *err)
{
        uint64_t rows = 0;

        (void)w;
        return ts_param_u64(b, "rows", &rows, err) < 0 ? -1 : ts_database_start(b, rows, err);
}

static const struct {
        bool podman; /* only there */
        const char *series, *option;
        int (*move)(struct ts_bench *, const struct ts_way *, struct ts_json *, struct ts_err *);
        bool baseline;
} table[] = {
        { false, "in-place", "--strategy=in-place", move, false },
        { true, "archive, stream", "--strategy=archive --transfer=stream", move, false },
        { true, "archive, scp", "--strategy=archive --transfer=scp", move, false },
        { false, "engine's own calls", NULL, engine, true },
        { true, "by hand: CLI and scp", podman_cli, by_hand, true },
        { true, "by script: rsync and gzip", rsync_script, by_hand, true },
};

static int ways(struct ts_bench *b, struct ts_err *err)
{
        bool podman = b->ends[0].kind == TS_PODMAN, baselines = strcmp(ts_param(b, "baselines"), "no") != 0;
        const char *shared = ts_param(b, "shared");

        for (size_t i = 0; i < TS_ARRAY_LEN(table); i++)
                if ((podman || !table[i].podman) && (baselines || !table[i].baseline) &&
                    ts_add_way(b, &(struct ts_way){ .move = table[i].move, .option = table[i].option }, err, "%s", table[i].series) < 0)
                        return -1;
        if (!*shared)
                return 0;
        b->shared_option = ts_fmt("--strategy=in-place --transfer=shared:%s", shared);
        return b->shared_option ? ts_add_way(b, &(struct ts_way){ .move = move, .option = b->shared_option }, err, "shared directory") : ts_err_set(err, TS_ENOMEM, "out of memory");
}

const struct ts_plan ts_strategies_plan = { .ways = ways, .begin = begin, .check = ts_database_check };
