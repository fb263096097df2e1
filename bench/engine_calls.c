/* The engine's own checkpoint and restore, on one host, nothing travels. */
#include "bench/plan.h"

#include "engine/reach.h"

#include <string.h>

#define CALL_TIMEOUT_MS 600000U

static int dial(void *ctx, int *ret_fd, struct ts_err *err)
{
        struct ts_bench_end *e = ctx;
        ts_auto_list fallback = TS_LIST_INIT;

        return ts_socket_dial_argv(e->program.v[0], e->socket, &fallback, err) < 0 ? -1 : ts_host_dial_unix(e->host, e->socket, (const char *const *)fallback.v, ret_fd, err);
}

static int finish(struct ts_call *c, double *ret_s, uint64_t from_us, struct ts_err *err)
{
        if (ts_call_wait_answer(c, NULL, NULL, err) < 0 || ts_call_finish(c, NULL, NULL, NULL, NULL, err) < 0)
                return -1;
        *ret_s = (double)(ts_now_us() - from_us) / 1e6;
        return 0;
}

int ts_engine_calls(struct ts_bench *b, const char *name, struct ts_json *sample, const char *prefix, struct ts_err *err)
{
        struct ts_bench_end *e = TS_FROM(b);
        ts_auto(ts_api) struct ts_api *api = NULL;
        ts_auto(ts_container) struct ts_container *c = NULL;
        ts_auto(ts_call) struct ts_call *dump = NULL;
        ts_auto(ts_call) struct ts_call *restore = NULL;
        const char *const id = "tranship-bench";
        struct ts_checkpoint out = { .name = id, .keep = true, .tcp_established = true, .file_locks = true, .ignore_rootfs = true, .timeout_ms = CALL_TIMEOUT_MS };
        struct ts_restore in = { .name = id, .keep = true, .tcp_established = true, .file_locks = true, .timeout_ms = CALL_TIMEOUT_MS };
        ts_auto_free char *dump_name = ts_fmt("%scheckpoint_s", prefix), *restore_name = ts_fmt("%srestore_s", prefix), *whole_name = ts_fmt("%sdowntime_s", prefix);
        double dump_s = 0, restore_s = 0;
        uint64_t from;

        if (!dump_name || !restore_name || !whole_name)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_api_open(&(struct ts_dial){ dial, e }, &api, err) < 0 || ts_api_inspect(api, name, &c, err) < 0)
                return -1;
        from = ts_now_us();
        if (ts_api_checkpoint(api, c->id, &out, &dump, err) < 0 || finish(dump, &dump_s, from, err) < 0)
                return ts_err_prefix(err, "the engine's own checkpoint");
        from = ts_now_us();
        if (ts_api_restore(api, c->id, &in, &restore, err) < 0 || finish(restore, &restore_s, from, err) < 0)
                return ts_err_prefix(err, "the engine's own restore");
        if (e->kind == TS_DOCKER)
                (void)ts_api_checkpoint_delete(api, c->id, id, NULL);
        ts_set_figure(sample, dump_name, dump_s);
        ts_set_figure(sample, restore_name, restore_s);
        ts_set_figure(sample, whole_name, dump_s + restore_s);
        return 0;
}
