/* The two hosts of an experiment, and the engines' own command lines on them. Decides which program speaks to which engine; knows no scenario. */
#include "bench/internal.h"

#include "base/io.h"
#include "base/log.h"
#include "engine/reach.h"

#include <arpa/inet.h>
#include <string.h>

#define CLI_TIMEOUT_MS 120000U
#define PULL_TIMEOUT_MS 3600000U
#define REMOVE_TIMEOUT_MS 60000U
#define LOCKED 75 /* the exit status that we ask flock(1) for */
#define IN_REACH_WITHIN_MS 60000U

int ts_list_words(struct ts_list *l, const char *words, struct ts_err *err)
{
        ts_auto_free char *copy = ts_strdup0(ts_or(words, ""));

        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (char *save = NULL, *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save))
                if (ts_list_add(l, w, err) < 0)
                        return -1;
        return 0;
}

/* Podman's own command line works on the storage that its service has; Docker's needs the socket. */
static int set_program(const struct ts_bench *b, struct ts_bench_end *e, struct ts_err *err)
{
        if (e->kind == TS_PODMAN)
                return ts_list_add(&e->program, b->o->podman, err);
        return ts_list_add(&e->program, b->o->docker, err) < 0 || ts_list_add(&e->program, "--host", err) < 0 ||
                               ts_list_addf(&e->program, err, "unix://%s", e->socket) < 0
                       ? -1
                       : 0;
}

int ts_bench_end_open(struct ts_bench *b, struct ts_bench_end *e, const char *letter, const char *spec, struct ts_err *err)
{
        struct ts_ssh_opts ssh = b->o->ssh;
        const char *found = NULL;

        e->letter = letter;
        e->spec = spec;
        if (ts_endpoint_parse(spec, &e->ep, err) < 0)
                return -1;
        if (!ssh.identity)
                ssh.identity = e->ep->identity;
        if ((e->ep->remote ? ts_host_ssh(e->ep->user, e->ep->host, e->ep->port, &ssh, &e->host, err) : ts_host_local(&e->host, err)) < 0)
                return ts_err_prefix(err, "host of '%s'", spec);
        if (ts_socket_find(e->host, e->ep, e->ep->prefer, &found, err) < 0)
                return -1;
        e->kind = ts_socket_kind(found);
        e->socket = ts_strdup0(found);
        return e->socket ? set_program(b, e, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* A lock on the host, by a command there that ends with our connection. Its name is that of the socket: the host may have several engines. */
int ts_bench_end_hold(struct ts_bench_end *e, const char *directory, struct ts_err *err)
{
        ts_auto_free char *path = ts_fmt("%s/tranship-bench%s.lock", directory, e->socket);
        const char *const argv[] = { "flock", "--close", "--nonblock", "--conflict-exit-code=75", path, "cat", NULL };
        ts_deadline deadline = ts_deadline_in_ms(CLI_TIMEOUT_MS);
        char byte = 'x';
        int status = 0;

        if (e->held && ts_fd_quiet(ts_proc_fd(e->held)))
                return 0;
        ts_proc_free(TS_TAKE(e->held));
        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (char *p = path + strlen(directory) + 1; *p; p++)
                *p = (char)(*p == '/' ? '-' : *p);
        if (ts_host_start(e->host, argv, &e->held, err) < 0)
                return -1;
        if (ts_write_all(ts_proc_fd(e->held), &byte, 1, deadline, true, NULL) == 0 && ts_read_exact(ts_proc_fd(e->held), &byte, 1, deadline, true, NULL) == 0)
                return 0;
        if (ts_stop_signal)
                return ts_err_set(err, TS_ECANCELED, "stopped");
        if (ts_proc_wait(e->held, deadline, &status, err) < 0)
                return -1;
        if (status != LOCKED)
                return ts_err_set(err, TS_ECOMMAND, "flock on %s: %.200s", e->letter, ts_proc_stderr(e->held));
        ts_err_set(err, TS_ECONFLICT, "another experiment is under way with the engine of %s", e->spec);
        return ts_err_hint(err, "wait for its end: the two would remove each other's containers. If A and B are one engine, nothing can move");
}

void ts_bench_end_close(struct ts_bench_end *e)
{
        ts_proc_free(TS_TAKE(e->held));
        ts_list_clear(&e->program);
        ts_host_free(TS_TAKE(e->host));
        ts_endpoint_free(TS_TAKE(e->ep));
        free(TS_TAKE(e->socket));
}

/* ---- command lines ---- */

int ts_cli_argv(struct ts_bench_end *e, const struct ts_list *args, unsigned timeout_ms, char **ret_out, struct ts_err *err)
{
        struct ts_run_opts o = { .timeout_ms = timeout_ms };
        ts_auto_list all = TS_LIST_INIT;

        for (size_t i = 0; i < e->program.n; i++)
                if (ts_list_add(&all, e->program.v[i], err) < 0)
                        return -1;
        for (size_t i = 0; i < args->n; i++)
                if (ts_list_add(&all, args->v[i], err) < 0)
                        return -1;
        if (ts_host_check(e->host, (const char *const *)all.v, &o, ret_out, err) < 0)
                return ts_err_prefix(err, "%s %s on %s", e->program.v[0], args->n ? args->v[0] : "", e->letter);
        return 0;
}

int ts_cli(struct ts_bench_end *e, const char *const words[], char **ret_out, struct ts_err *err)
{
        ts_auto_list args = TS_LIST_INIT;

        for (; *words; words++)
                if (ts_list_add(&args, *words, err) < 0)
                        return -1;
        return ts_cli_argv(e, &args, CLI_TIMEOUT_MS, ret_out, err);
}

/* Of the same address the same hardware address, as after a move: who talked to the container of the run before it would go on asking for that one, up to a minute. */
static int add_address(struct ts_list *l, const char *address, struct ts_err *err)
{
        unsigned char a[4];

        if (ts_list_add(l, "--ip", err) < 0 || ts_list_add(l, address, err) < 0)
                return -1;
        if (inet_pton(AF_INET, address, a) != 1)
                return 0;
        return ts_list_addf(l, err, "--mac-address=02:74:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3]);
}

int ts_cli_run(struct ts_bench *b, struct ts_bench_end *e, const char *name, const char *options, const char *image, const struct ts_list *args, struct ts_err *err)
{
        ts_auto_list l = TS_LIST_INIT;
        const char *network = ts_param(b, "network"), *address = ts_param(b, "address");

        if (ts_list_words(&l, "run --detach --label " TS_BENCH_LABELLED " --name", err) < 0 || ts_list_add(&l, name, err) < 0)
                return -1;
        if (*network && (ts_list_add(&l, "--network", err) < 0 || ts_list_add(&l, network, err) < 0))
                return -1;
        if (*address && add_address(&l, address, err) < 0)
                return -1;
        if (ts_list_words(&l, options, err) < 0 || ts_list_words(&l, ts_param(b, "run-options"), err) < 0 || ts_list_add(&l, image, err) < 0)
                return -1;
        for (size_t i = 0; args && i < args->n; i++)
                if (ts_list_add(&l, args->v[i], err) < 0)
                        return -1;
        return ts_cli_argv(e, &l, CLI_TIMEOUT_MS, NULL, err);
}

/* To its end, however long; but not after Ctrl-C. */
static int pull(struct ts_bench_end *e, const char *image, struct ts_err *err)
{
        ts_auto_list l = TS_LIST_INIT;
        ts_auto(ts_proc) struct ts_proc *p = NULL;
        ts_deadline deadline = ts_deadline_in_ms(PULL_TIMEOUT_MS);
        char said[4096];
        ssize_t n;

        for (size_t i = 0; i < e->program.n; i++)
                if (ts_list_add(&l, e->program.v[i], err) < 0)
                        return -1;
        if (ts_list_add(&l, "pull", err) < 0 || ts_list_add(&l, image, err) < 0 || ts_host_start(e->host, (const char *const *)l.v, &p, err) < 0)
                return -1;
        while ((n = ts_read_some(ts_proc_fd(p), said, sizeof(said), deadline, true, err)) > 0)
                ;
        return n < 0 ? -1 : ts_proc_finish(p, deadline, err);
}

int ts_bench_end_image(struct ts_bench *b, struct ts_bench_end *e, struct ts_err *err)
{
        const char *image = ts_param(b, "image");
        ts_auto_free char *what = ts_fmt("%s is not on %s: it is pulled", image, e->letter);
        ts_auto_err why = TS_ERR_INIT;

        if (ts_cli(e, TS_WORDS("image", "inspect", image), NULL, NULL) == 0)
                return 0;
        if (b->o->say)
                b->o->say(b->o->say_ctx, ts_or(what, image));
        if (pull(e, image, &why) == 0)
                return 0;
        if (ts_stop_signal)
                return ts_err_set(err, TS_ECANCELED, "stopped");
        ts_log(TS_LOG_WARNING, "%s: it cannot be pulled on %s: %s", image, e->letter, ts_err_message(&why));
        return 0;
}

int ts_client_ready(struct ts_bench *b, struct ts_err *err)
{
        if (!b->probe || ts_probe_until(b->probe, ts_host_address(TS_FROM(b)->host), ts_deadline_in_ms(IN_REACH_WITHIN_MS), err) == 0)
                return 0;
        return ts_err_prefix(err, "the probe, before a move");
}

/* ---- what is ours ---- */

/* kind: "container" or "volume". What is removed has our label, or, where an engine forgot that on its way, our name. */
static int remove_kind(struct ts_bench_end *e, const char *kind, const char *list_words, const char *remove_words, struct ts_err *err)
{
        ts_auto_list list = TS_LIST_INIT, drop = TS_LIST_INIT;
        ts_auto_free char *found = NULL;
        size_t fixed;

        if (ts_list_words(&list, kind, err) < 0 || ts_list_words(&list, list_words, err) < 0 ||
            ts_cli_argv(e, &list, REMOVE_TIMEOUT_MS, &found, err) < 0)
                return -1;
        if (ts_list_words(&drop, kind, err) < 0 || ts_list_words(&drop, remove_words, err) < 0)
                return -1;
        fixed = drop.n;
        for (char *save = NULL, *w = strtok_r(found, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
                if (ts_list_add(&drop, w, err) < 0)
                        return -1;
        return drop.n == fixed ? 0 : ts_cli_argv(e, &drop, REMOVE_TIMEOUT_MS, NULL, err);
}

static int remove_ours(struct ts_bench_end *e, struct ts_err *err)
{
        return remove_kind(e, "container", "ls --all --quiet --filter label=" TS_BENCH_LABELLED,
                           e->kind == TS_PODMAN ? "rm --force --time 0 --volumes" : "rm --force --volumes", err) < 0 ||
                               remove_kind(e, "volume", "ls --quiet --filter label=" TS_BENCH_LABELLED, "rm", err) < 0 ||
                               remove_kind(e, "volume", "ls --quiet --filter name=^tranship-bench-", "rm", err) < 0
                       ? -1
                       : 0;
}

/* Both sides, whatever is wrong with one. */
int ts_remove_ours(struct ts_bench *b, struct ts_err *err)
{
        int rc = 0;

        for (size_t i = 0; i < TS_ARRAY_LEN(b->ends); i++)
                if (b->ends[i].host && remove_ours(&b->ends[i], rc == 0 ? err : NULL) < 0)
                        rc = -1;
        return rc;
}
