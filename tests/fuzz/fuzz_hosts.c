/* The whole of recover, with journals that two hosts have, against a model of the two: their files,
 * engines and locks. Everything that recover asks for ends here (tests/CMakeLists.txt puts
 * model_NAME in the place of the few functions NAME that run something on a host, speak to an engine,
 * probe or sleep), and is looked at: whatever the copies say, on a host that is honest nothing is
 * touched that is not this migration's by a mark of its own, a host that has no copy is only looked
 * at, and this machine runs nothing.
 *
 * The input: eight hexadecimal digits, the situation; the journal; and after a line of "====" the
 * target's copy, where it is another one. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/remove_tree.h"

#include "api/call.h"
#include "api/http.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/claims.h"
#include "engine/mig.h"
#include "engine/mirror.h"
#include "transfer/host_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID "20261120-161502-3fa9c1"
#define OURS "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define MADE \
        "abababababababababababababababababababababababababababababababab" /* by Docker's create */
#define THEIRS "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
#define IMAGE "1234567890abcdef1234567890abcdef1234567890abcdef1234567890abcdef"
#define ROOT "/var/lib/engine"
#define VOLUME ROOT "/volumes/data/_data"
#define LOCK "/var/lib/tranship/locks/" OURS
#define AGENT "/var/lib/tranship/agent/"
#define DOOR "tranship_20261120_161502_3fa9c1"
#define STARTED "2026-11-20T16:00:00Z"
#define LATER "2026-11-20T17:00:00Z"
#define INVENTORY "2048 1763654400 7"
#define ACTIONS_MAX 4000 /* of a recover that comes to an end */

static void must_hold(bool holds, const char *what)
{
        if (holds)
                return;
        (void)fprintf(stderr, "it does not hold that %s\n", what);
        abort();
}
#define must(what) must_hold((what), #what)

/* ---- the situation ---- */

enum bit {
        DOCKER,
        COPY_SOURCE,
        COPY_TARGET,
        OUR_LOCK,
        OTHER_LOCK,
        SOURCE_STATE, /* two bits */
        SOURCE_STATE_2,
        TARGET_STATE, /* three bits */
        TARGET_STATE_2,
        TARGET_STATE_3,
        LABELLED_NETWORK,
        LABELLED_VOLUME,
        VOLUME_USED,
        PROBE_FAILS,
        IMAGE_NAMED,
        MARKED, /* an import that keeps the ID has this migration's signature */
        SOURCE_SILENT,
        TARGET_SILENT,
        SOURCE_LIES,
        TARGET_LIES,
        KEEP,
        TARGET_IS_DEAD,
        COLD_START,
        BY_ID,
        NO_PROBE,
        COMMANDS_FAIL
};
enum { RUNS, STOPPED, GONE, RAN_ON };                         /* the source's container */
enum { ABSENT, CREATED, SERVES, SERVED, STRANGER, NAMESAKE }; /* the target's */

struct file {
        char *path, *text;
};

struct side {
        enum ts_side side;
        bool silent, lies, has_copy;
        struct file files[24];
};

static struct {
        uint32_t bits;
        struct side side[2];
        unsigned source, target;     /* their containers' states */
        bool network, volume, image; /* on the target */
        unsigned actions;
} world;

static bool is(enum bit b)
{
        return world.bits >> b & 1;
}

static bool podman(void)
{
        return !is(DOCKER);
}

static char *bundle_of(const char *id)
{
        return podman() ? ts_fmt(ROOT "/overlay-containers/%s/userdata", id)
                        : ts_fmt(ROOT "/containers/%s", id);
}

/* The container on the target has the source's ID where it was imported. */
static const char *target_id(void)
{
        return podman() ? OURS : MADE;
}

/* ---- files ---- */

static struct file *find(struct side *s, const char *path)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(s->files); i++)
                if (ts_streq0(s->files[i].path, path))
                        return &s->files[i];
        return NULL;
}

static void file_drop(struct file *f)
{
        if (!f)
                return;
        free(TS_TAKE(f->path));
        free(TS_TAKE(f->text));
}

static void file_put(struct side *s, const char *path, const void *text, size_t len)
{
        file_drop(find(s, path));
        for (size_t i = 0; i < TS_ARRAY_LEN(s->files); i++)
                if (!s->files[i].path) {
                        s->files[i].path = strdup(path);
                        s->files[i].text = strndup(text, len);
                        return;
                }
}

/* ---- what may be touched ---- */

extern const char __executable_start, _end; /* NOLINT(cert-dcl51-cpp): the linker calls them so */

/* A text of the program's own. */
static bool is_constant(const char *s)
{
        return s >= &__executable_start && s < &_end;
}

static bool one_of(const char *s, const char *const *all, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!strcmp(s, all[i]))
                        return true;
        return false;
}

static bool below(const char *path, const char *dir)
{
        size_t n = strlen(dir);

        return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool last_is(const char *path, const char *last)
{
        const char *slash = strrchr(path, '/');

        return slash && strcmp(slash + 1, last) == 0;
}

static bool own_path(const struct side *s, const char *path)
{
        ts_auto_free char *bundle = bundle_of(s->side == TS_SIDE_SOURCE ? OURS : target_id());
        ts_auto_free char *staging = ts_fmt(ID "-%s", ts_side_str(s->side));
        ts_auto_free char *service = ts_fmt("/run/tranship/%s", staging);
        ts_auto_free char *copy = ts_fmt(TS_MIRROR_DIR "/" ID ".%s", ts_side_str(s->side));
        bool target = s->side == TS_SIDE_TARGET;

        must(bundle && staging && service && copy);
        must(path[0] == '/' && !strstr(path, "/../") && !last_is(path, ".."));
        if (below(path, service) || !strncmp(path, copy, strlen(copy)))
                return true;
        if (!strncmp(path, LOCK, strlen(LOCK)) && !strchr(path + strlen(LOCK), '/'))
                return true;
        if (last_is(path, staging) || last_is(path, "stopped") || last_is(path, "aside"))
                return strstr(path, staging) != NULL;
        if (last_is(path, "tranship-" ID) ||
            strstr(path, "/tranship-" ID "/")) /* a dump's directory */
                return true;
        if (target && (below(path, VOLUME) || below(path, VOLUME ".tranship-" ID)))
                return true;
        if (!target && below(path, VOLUME)) /* only to look at */
                return true;
        if (!strncmp(path, AGENT, strlen(AGENT)) &&
            !strchr(path + strlen(AGENT), '/')) /* this program, by its digest */
                return true;
        return below(path, bundle) || !strcmp(path, "/srv/bind") || !strcmp(path, "/srv/web.log") ||
               !strcmp(path, "/srv/web.log.tranship-" ID);
}

/* Engines' own: read, never removed. */
static bool of_the_host(const char *text)
{
        static const char *const known[] = {
                "/etc/machine-id",
                TS_MIRROR_DIR,
                "/run/engine.sock",
                ROOT,
                "/run/docker/runtime-runc/moby",
                "/var/lib/tranship/locks",
                "/var/lib/tranship/agent",
                "/var/lib/tranship",
                "/",
        };

        return one_of(text, known, TS_ARRAY_LEN(known)) ||
               !strcmp(text, "/run/containerd/io.containerd.runtime.v2.task/moby/" MADE
                             "/config.json");
}

/* An argument that is no text of the program's own. */
static bool own_word(const struct side *s, const char *word)
{
        static const char dump[] = "tranship-" ID;
        static const char *const words[] = {
                "",       ID,         OURS,    DOOR,  MADE, "runc", dump, "podman",
                "docker", "10.0.0.9", STARTED, LATER, "-f", "-rf",  "--", "--one-file-system",
        };

        if (word[0] == '/')
                return of_the_host(word) || own_path(s, word);
        if (one_of(word, words, TS_ARRAY_LEN(words)))
                return true;
        return strspn(word, "0123456789abcdef -") == strlen(word) &&
               strlen(word) == 67; /* a digest */
}

static void looked_at(const struct side *s, const char *const argv[])
{
        static const char *const programs[] = { "/bin/sh", "cat",       "date", "grep", "ln",
                                                "ls",      "mkdir",     "mv",   "nft",  "rm",
                                                "rmdir",   "sha256sum", "stat", "sync", "tee",
                                                "test",    "true" };
        static const char *const removers[] = { "rm", "rmdir", "mv", "ln", "tee", "mkdir" };
        bool changes, reads;

        must(++world.actions < ACTIONS_MAX);
        must(argv[0] && one_of(argv[0], programs, TS_ARRAY_LEN(programs)));
        if (s->lies)
                return;
        if (!strcmp(argv[0], "/bin/sh"))
                must(argv[1] && !strcmp(argv[1], "-c") && argv[2] && is_constant(argv[2]));
        changes = one_of(argv[0], removers, TS_ARRAY_LEN(removers));
        reads = !strcmp(argv[0], "cat") || !strcmp(argv[0], "test");
        for (size_t i = 1; argv[i]; i++) {
                if (is_constant(argv[i]) || (reads && below(argv[i], "/var/lib/tranship/locks")))
                        continue;
                must_hold(own_word(s, argv[i]), argv[i]);
                must(!changes || !of_the_host(argv[i]) ||
                     !strcmp(argv[i], "/var/lib/tranship/locks"));
        }
}

/* ---- commands ---- */

static int silent(const struct side *s, struct ts_err *err)
{
        return s->silent ? ts_err_set(err, TS_ECONNECT, "no route to host") : 0;
}

static struct side *side_of(const struct ts_host *h)
{
        return &world.side[ts_streq0(h->name, "b.example")];
}

/* A shell script, by what it does; its status. */
static int script(struct side *s, const char *text, const char *const arg[], struct ts_str *out)
{
        struct file *f = arg[0] ? find(s, arg[0]) : NULL;

        if (strstr(text, "head -n 1") || strstr(text, "exec cat --")) {
                if (!f)
                        return 1;
                (void)ts_str_add(out, f->text,
                                 strstr(text, "head -n 1") ? strcspn(f->text, "\n") + 1
                                                           : strlen(f->text),
                                 NULL);
                if (strstr(text, "mv -f --") && strcmp(arg[0], arg[1]) != 0) {
                        ts_auto_free char *whole = strdup(f->text);

                        must(whole != NULL);
                        file_put(s, arg[1], whole, strlen(whole));
                        file_drop(find(s, arg[0]));
                }
                return 0;
        }
        if (strstr(text, "sha256sum <\"$1/inventory.img\"") && !strstr(text, "ctrd-checkpoint"))
                (void)ts_str_adds(out, IMAGE "  -", NULL);
        return is(COMMANDS_FAIL) ? 1 : 0;
}

static int command(struct side *s, const char *const argv[], const struct ts_run_opts *o,
                   struct ts_str *out)
{
        size_t n = 0, last;
        struct file *f;

        while (argv[n])
                n++;
        last = n - 1;
        if (!strcmp(argv[0], "/bin/sh"))
                return script(s, argv[2], argv + 4, out);
        if (!strcmp(argv[0], "date"))
                (void)ts_str_adds(out, LATER, NULL);
        if (!strcmp(argv[0], "stat")) /* the dump's inventory */
                (void)ts_str_adds(out, INVENTORY, NULL);
        if (!strcmp(argv[0], "cat")) {
                f = find(s, argv[last]);
                if (!strcmp(argv[last], "/etc/machine-id"))
                        (void)ts_str_addf(out, NULL, "machine-%s", ts_side_str(s->side));
                else if (f)
                        (void)ts_str_adds(out, f->text, NULL);
                else
                        return 1;
        }
        if (!strcmp(argv[0], "ls")) {
                for (size_t i = 0; i < TS_ARRAY_LEN(s->files); i++)
                        if (s->files[i].path && below(s->files[i].path, argv[last]))
                                (void)ts_str_addf(out, NULL, "%s\n",
                                                  strrchr(s->files[i].path, '/') + 1);
        } else if (!strcmp(argv[0], "test")) {
                if (!strcmp(argv[1], "-S"))
                        return strcmp(argv[last], "/run/engine.sock") != 0;
                if (!strncmp(argv[last], LOCK, strlen(LOCK)))
                        return !find(s, argv[last]);
                return !is(MARKED);
        } else if (!strcmp(argv[0], "tee")) {
                file_put(s, argv[last], ts_or(o ? o->input : NULL, ""), o ? o->input_len : 0);
        } else if (!strcmp(argv[0], "ln")) {
                f = find(s, argv[last - 1]);
                if (!f || find(s, argv[last]))
                        return 1;
                file_put(s, argv[last], f->text, strlen(f->text));
        } else if (!strcmp(argv[0], "mv")) {
                ts_auto_free char *text = NULL;

                f = find(s, argv[last - 1]);
                if (!f)
                        return 1;
                text = TS_TAKE(f->text);
                file_drop(f);
                file_put(s, argv[last], text, strlen(text));
        } else if (!strcmp(argv[0], "rm")) {
                for (size_t i = 1; i < n; i++)
                        file_drop(find(s, argv[i]));
        }
        return 0;
}

int model_ts_host_run(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts,
                      struct ts_run_result *ret, struct ts_err *err);
int model_ts_host_run(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts,
                      struct ts_run_result *ret, struct ts_err *err)
{
        struct side *s = side_of(h);

        *ret = (struct ts_run_result){ .out = TS_STR_INIT, .err = TS_STR_INIT };
        looked_at(s, argv);
        if (silent(s, err) < 0)
                return -1;
        ret->status = command(s, argv, opts, &ret->out);
        return 0;
}

int model_ts_host_check(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts,
                        char **ret_out, struct ts_err *err);
int model_ts_host_check(struct ts_host *h, const char *const argv[], const struct ts_run_opts *opts,
                        char **ret_out, struct ts_err *err)
{
        ts_auto_run r = { 0 };

        if (model_ts_host_run(h, argv, opts, &r, err) < 0)
                return -1;
        if (r.status != 0)
                return ts_err_set(err, TS_ECOMMAND, "status %d", r.status);
        if (ret_out) {
                *ret_out = ts_str_take(&r.out);
                if (*ret_out && **ret_out && (*ret_out)[strlen(*ret_out) - 1] == '\n')
                        (*ret_out)[strlen(*ret_out) - 1] = '\0';
        }
        return 0;
}

/* What goes on for longer cannot be had. */
int model_ts_host_start(struct ts_host *h, const char *const argv[], struct ts_proc **ret,
                        struct ts_err *err);
int model_ts_host_start(struct ts_host *h, const char *const argv[], struct ts_proc **ret,
                        struct ts_err *err)
{
        struct side *s = side_of(h);

        (void)ret;
        looked_at(s, argv);
        return silent(s, err) < 0 ? -1 : ts_err_set(err, TS_ECOMMAND, "cannot be started");
}

int model_ts_host_put(struct ts_host *h, const char *path, unsigned mode, const void *data,
                      size_t len, struct ts_err *err);
int model_ts_host_put(struct ts_host *h, const char *path, unsigned mode, const void *data,
                      size_t len, struct ts_err *err)
{
        struct side *s = side_of(h);

        (void)mode;
        must(s->lies || own_path(s, path));
        if (silent(s, err) < 0)
                return -1;
        file_put(s, path, data, len);
        return 0;
}

/* ---- hosts: only the two that the command line names ---- */

static void host_free(struct ts_host *h)
{
        free(h->name);
        free(h->address);
        free(h);
}

int model_ts_host_ssh(const char *user, const char *host, unsigned port,
                      const struct ts_ssh_opts *opts, struct ts_host **ret, struct ts_err *err);
int model_ts_host_ssh(const char *user, const char *host, unsigned port,
                      const struct ts_ssh_opts *opts, struct ts_host **ret, struct ts_err *err)
{
        static const struct ts_host_ops ops = { .free = host_free };
        bool target = ts_streq0(host, "b.example");
        struct ts_host *h;

        (void)port;
        (void)opts;
        must(!user && (target || ts_streq0(host, "a.example")));
        if (silent(&world.side[target], err) < 0)
                return -1;
        h = calloc(1, sizeof(*h));
        must(h != NULL);
        h->ops = &ops;
        h->name = ts_strdup0(host);
        h->address = ts_strdup0("10.0.0.9");
        *ret = h;
        return 0;
}

int model_ts_host_local(struct ts_host **ret, struct ts_err *err);
int model_ts_host_local(struct ts_host **ret, struct ts_err *err)
{
        (void)ret;
        (void)err;
        abort(); /* nobody named this machine */
}

int model_ts_host_dial_unix(struct ts_host *h, const char *path, const char *const fallback_argv[],
                            int *ret_fd, struct ts_err *err);
int model_ts_host_dial_unix(struct ts_host *h, const char *path, const char *const fallback_argv[],
                            int *ret_fd, struct ts_err *err)
{
        (void)h;
        (void)path;
        (void)fallback_argv;
        (void)ret_fd;
        return ts_err_set(err, TS_ECONNECT, "nothing listens there");
}

int model_ts_probe_until(const struct ts_probe *p, const char *host, ts_deadline deadline,
                         struct ts_err *err);
int model_ts_probe_until(const struct ts_probe *p, const char *host, ts_deadline deadline,
                         struct ts_err *err)
{
        (void)deadline;
        must(ts_streq0(host, "10.0.0.9"));
        must(ts_probe_is_tame(p, "b.example") || ts_probe_is_tame(p, host));
        return is(PROBE_FAILS) ? ts_err_set(err, TS_ECOMMAND, "no answer") : 0;
}

void model_ts_sleep_ms(unsigned ms);
void model_ts_sleep_ms(unsigned ms)
{
        (void)ms;
}

/* ---- engines ---- */

struct connection { /* what api/ has for a struct ts_http */
        struct side *s;
};

int model_ts_http_new(const struct ts_dial *dial, struct ts_http **ret, struct ts_err *err);
int model_ts_http_new(const struct ts_dial *dial, struct ts_http **ret, struct ts_err *err)
{
        const struct ts_end *e = dial->ctx;
        struct connection *c = calloc(1, sizeof(*c));

        (void)err;
        must(c != NULL);
        c->s = &world.side[e->side];
        *ret = (struct ts_http *)(void *)c;
        return 0;
}

void model_ts_http_free(struct ts_http *h);
void model_ts_http_free(struct ts_http *h)
{
        free(h);
}

static char *container_json(const struct side *s, const char *id, const char *name,
                            const char *state, bool labelled, const char *started,
                            bool checkpointed)
{
        ts_auto_free char *dir = bundle_of(id);
        bool source = s->side == TS_SIDE_SOURCE;

        must(dir != NULL);
        return ts_fmt("{\"Id\":\"%s\",\"Name\":\"%s\",\"Image\":\"" IMAGE
                      "\",\"ImageName\":\"web:1\",\"Created\":\"" STARTED "\",\"StaticDir\":\"%s\","
                      "\"State\":{\"Status\":\"%s\",\"Pid\":%d,\"ExitCode\":137,\"StartedAt\":\"%"
                      "s\",\"FinishedAt\":\"" LATER "\",\"Checkpointed\":%s%s},"
                      "\"Config\":{\"Labels\":{%s}},\"HostConfig\":{\"RestartPolicy\":{\"Name\":"
                      "\"no\"},\"LogConfig\":{\"Type\":\"k8s-file\",\"Path\":\"/srv/web.log\"}},"
                      "\"Mounts\":[{\"Type\":\"volume\",\"Name\":\"%s\",\"Source\":\"%s\","
                      "\"Destination\":\"/data\",\"RW\":true},"
                      "{\"Type\":\"bind\",\"Source\":\"/srv/bind\",\"Destination\":\"/"
                      "bind\",\"RW\":true}],\"NetworkSettings\":{\"Networks\":{\"%s\":{}}}}",
                      id, name, dir, state,
                      strcmp(state, "running") != 0 ? 0
                      : source                      ? 4711
                                                    : 815,
                      started, checkpointed ? "true" : "false",
                      !source && !strcmp(state, "exited")
                              ? ",\"Restored\":true,\"RestoredAt\":\"" LATER "\""
                              : "",
                      labelled ? "\"tranship.migration\":\"" ID "\"" : "",
                      !strcmp(id, THEIRS) && !is(VOLUME_USED) ? "theirs" : "data",
                      !strcmp(id, THEIRS) && !is(VOLUME_USED) ? "/srv/theirs" : VOLUME,
                      !strcmp(id, THEIRS) ? "theirs" : "net");
}

static char *container_of(const struct side *s, const char *ref)
{
        static const char *const source_states[] = { "running", "exited", "", "running" };
        static const char *const target_states[] = { "",       "created", "running",
                                                     "exited", "running", "running" };

        if (!strcmp(ref, THEIRS) || !strcmp(ref, "db"))
                return container_json(s, THEIRS, "db", "running", false, STARTED, false);
        if (s->lies)
                return container_json(s, ts_is_engine_id(ref) ? ref : MADE, "web",
                                      target_states[1 + world.actions % 3], true, STARTED, false);
        if (s->side == TS_SIDE_SOURCE) {
                if (world.source == GONE || (strcmp(ref, OURS) != 0 && strcmp(ref, "web") != 0))
                        return NULL;
                return container_json(s, OURS, "web", source_states[world.source], false,
                                      world.source == RAN_ON ? LATER : STARTED,
                                      world.source == STOPPED && podman());
        }
        if (world.target == ABSENT || (strcmp(ref, "web") != 0 && strcmp(ref, target_id()) != 0))
                return NULL;
        return container_json(s, target_id(), "web", target_states[world.target],
                              world.target < STRANGER, LATER, false);
}

static bool is_there(const struct side *s, const char *ref)
{
        ts_auto_free char *json = container_of(s, ref);

        return json != NULL;
}

static char *thing(const char *name, const char *mountpoint, bool ours)
{
        return ts_fmt("{\"Name\":\"%s\",\"name\":\"%s\",\"Mountpoint\":\"%s\",\"Labels\":{%s},"
                      "\"labels\":{%s}}",
                      name, name, mountpoint, ours ? "\"tranship.migration\":\"" ID "\"" : "",
                      ours ? "\"tranship.migration\":\"" ID "\"" : "");
}

static char *info(const struct side *s)
{
        (void)s;
        return podman() ? ts_strdup0("{\"version\":{\"Version\":\"5.4.2\"},\"host\":{\"arch\":"
                                     "\"amd64\",\"ociRuntime\":{\"name\":\"runc\"}},\"store\":{"
                                     "\"graphRoot\":\"" ROOT "\"}}")
                        : ts_strdup0("{\"ServerVersion\":\"26.1.5\",\"Architecture\":\"x86_64\","
                                     "\"DefaultRuntime\":\"runc\",\"ID\":\"engine\","
                                     "\"DockerRootDir\":\"" ROOT "\"}");
}

/* The last part of "…/containers/REF/json". */
static char *ref_in(const char *target, const char *what)
{
        const char *at = strstr(target, what);

        if (!at)
                return NULL;
        at += strlen(what);
        return strndup(at, strcspn(at, "/?"));
}

static char *get(const struct side *s, const char *target)
{
        bool source = s->side == TS_SIDE_SOURCE;
        ts_auto_free char *container = ref_in(target, "/containers/"),
                          *network = ref_in(target, "/networks/"),
                          *volume = ref_in(target, "/volumes/"),
                          *image = ref_in(target, "/images/");

        if (strstr(target, "/info"))
                return info(s);
        if (strstr(target, "/containers/json")) /* Docker tells more of each here */
                return ts_strdup0("[{\"Id\":\"" THEIRS "\",\"Names\":[\"/"
                                  "db\"],\"State\":\"running\",\"Mounts\":[{\"Type\":\"volume\","
                                  "\"Name\":\"theirs\",\"Destination\":\"/data\"}]}]");
        if (container)
                return container_of(s, container);
        if (network)
                return !strcmp(network, "net") && (source || world.network)
                               ? thing("net", "", !source && is(LABELLED_NETWORK))
                       : !strcmp(network, "theirs") ? thing("theirs", "", false)
                                                    : NULL;
        if (volume)
                return !strcmp(volume, "data") && (source || world.volume)
                               ? thing("data", VOLUME, !source && is(LABELLED_VOLUME))
                       : !strcmp(volume, "theirs") ? thing("theirs", "/srv/theirs", false)
                                                   : NULL;
        if (image)
                return world.image ? ts_fmt("{\"Id\":\"" IMAGE "\",\"RepoTags\":[%s]}",
                                            is(IMAGE_NAMED) ? "\"web:1\"" : "")
                                   : NULL;
        return NULL;
}

/* What changes something: on an honest host only what the migration made, or moved. */
static void change_is_ours(const struct side *s, bool removal, const char *target)
{
        bool source = s->side == TS_SIDE_SOURCE;
        ts_auto_free char *container = ref_in(target, "/containers/"),
                          *network = ref_in(target, "/networks/"),
                          *volume = ref_in(target, "/volumes/"),
                          *image = ref_in(target, "/images/");

        if (getenv("FUZZ_SHOW"))
                fprintf(stderr, "%s %s %s\n", ts_side_str(s->side), removal ? "DELETE" : "POST",
                        target);
        must(s->has_copy || (source && is(OUR_LOCK)));
        must((container != NULL) + (network != NULL) + (volume != NULL) + (image != NULL) == 1);
        if (strstr(target, "/checkpoints/"))
                must(strstr(target, "/checkpoints/tranship-" ID) != NULL);
        if (container && source) {
                must(!strcmp(container, OURS));
                if (removal &&
                    !strstr(target,
                            "/checkpoints/")) /* committed, as both say, and nobody uses it */
                        must(world.side[1].has_copy && world.source == STOPPED);
        } else if (container && ts_is_engine_id(container) && !is_there(s, container)) {
                ; /* of no container: nothing is touched */
        } else if (container) {
                must(!strcmp(container, target_id()) &&
                     (world.target == CREATED || world.target == SERVES || world.target == SERVED ||
                      (podman() && is(MARKED))));
                must(removal || strstr(target, "/update"));
        } else if (network) {
                must(removal && !source && !strcmp(network, "net") && is(LABELLED_NETWORK));
        } else if (volume) {
                must(removal && !strcmp(volume, "data"));
                must(source ? !is(VOLUME_USED) && world.source == GONE : is(LABELLED_VOLUME));
        } else if (image) {
                must(!source && (!strcmp(image, IMAGE) || !strcmp(image, "web:1")));
        }
}

static void change(const struct side *s, const char *target)
{
        bool source = s->side == TS_SIDE_SOURCE;

        if (strstr(target, "/checkpoints/"))
                return;
        if (strstr(target, "/containers/") && source)
                world.source = GONE;
        else if (strstr(target, "/containers/"))
                world.target = ABSENT;
        else if (!source && strstr(target, "/networks/"))
                world.network = false;
        else if (!source && strstr(target, "/volumes/"))
                world.volume = false;
        else if (!source && strstr(target, "/images/"))
                world.image = false;
}

int model_ts_http_do(struct ts_http *h, const struct ts_http_request *r, struct ts_http_answer *ret,
                     struct ts_err *err);
int model_ts_http_do(struct ts_http *h, const struct ts_http_request *r, struct ts_http_answer *ret,
                     struct ts_err *err)
{
        struct side *s = ((struct connection *)(void *)h)->s;
        ts_auto_free char *text = NULL;

        must(++world.actions < ACTIONS_MAX);
        if (r->method != TS_GET && !s->lies)
                change_is_ours(s, r->method == TS_DELETE, r->target);
        if (silent(s, err) < 0)
                return -1;
        (void)snprintf(ret->api_version, sizeof(ret->api_version), "1.45");
        if (podman())
                (void)snprintf(ret->libpod_version, sizeof(ret->libpod_version), "5.4.2");
        ret->status = 200;
        if (strstr(r->target, "_ping"))
                return 0;
        if (r->method == TS_GET) {
                text = get(s, r->target);
                ret->status = text ? 200 : 404;
                return ts_str_adds(&ret->body, ts_or(text, "{\"message\":\"no such thing\"}"), err);
        }
        if (r->method == TS_DELETE)
                change(s, r->target);
        else if (s->side == TS_SIDE_SOURCE && strstr(r->target, "/start"))
                world.source = RUNS;
        else if (s->side == TS_SIDE_SOURCE && strstr(r->target, "/stop"))
                world.source = STOPPED;
        return ts_str_adds(&ret->body, "{}", err);
}

/* A restore on the source: it is sent, it happens, and its answer is lost. */
int model_ts_call_new(const struct ts_call_start *c, struct ts_call **ret, struct ts_err *err);
int model_ts_call_new(const struct ts_call_start *c, struct ts_call **ret, struct ts_err *err)
{
        const struct ts_end *e = c->dial->ctx;
        struct side *s = &world.side[e->side];

        (void)ret;
        must(++world.actions < ACTIONS_MAX);
        if (!s->lies) {
                change_is_ours(s, false, c->target);
                must(s->side == TS_SIDE_SOURCE && world.source == STOPPED);
        }
        if (silent(s, err) < 0)
                return -1;
        if (s->side == TS_SIDE_SOURCE)
                world.source = RUNS;
        return ts_err_set(err, TS_ECONNECT, "the connection broke");
}

/* ---- a run ---- */

/* A host that is honest has no copy about a container that was not moved: root wrote it. */
static bool is_believable(struct side *s)
{
        const struct file *f = find(s, s->side == TS_SIDE_TARGET ? TS_MIRROR_DIR "/" ID ".target"
                                                                 : TS_MIRROR_DIR "/" ID ".source");
        ts_auto(ts_journal) struct ts_journal *j = NULL;

        if (!f || s->lies || ts_journal_from_text(f->text, strlen(f->text), &j, NULL) < 0)
                return true;
        return !strcmp(ts_journal_head(j)->container_id, OURS);
}

static void begin(const char *text, size_t len)
{
        const char *other = memmem(text, len, "\n====\n", 6);
        size_t first = other ? (size_t)(other - text) + 1 : len;

        world.source = is(SOURCE_STATE) + 2U * is(SOURCE_STATE_2);
        world.target = (is(TARGET_STATE) + 2U * is(TARGET_STATE_2) + 4U * is(TARGET_STATE_3)) %
                       (NAMESAKE + 1);
        world.network = world.volume = world.image = true;
        for (int i = 0; i < 2; i++) {
                struct side *s = &world.side[i];

                s->side = (enum ts_side)i;
                s->silent = is(i ? TARGET_SILENT : SOURCE_SILENT);
                s->lies = is(i ? TARGET_LIES : SOURCE_LIES);
                s->has_copy = is(i ? COPY_TARGET : COPY_SOURCE);
                if (s->has_copy && i && other)
                        file_put(s, TS_MIRROR_DIR "/" ID ".target", other + 6, len - first - 5);
                else if (s->has_copy)
                        file_put(s,
                                 i ? TS_MIRROR_DIR "/" ID ".target"
                                   : TS_MIRROR_DIR "/" ID ".source",
                                 text, first);
        }
        if (is(OUR_LOCK) || is(OTHER_LOCK)) {
                ts_auto_free char *lock = ts_fmt(
                        "{\"schema\":\"tranship.lock/1\",\"migration\":\"%s\",\"token\":\"t\"}\n",
                        is(OUR_LOCK) ? ID : "20260101-000000-abcdef");

                must(lock != NULL);
                file_put(&world.side[0], LOCK, lock, strlen(lock));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char state[] = "/dev/shm/tranship-fuzz-XXXXXX", digits[9] = "";
        struct ts_report report = { 0 };

        if (size < 9)
                return 0;
        ts_log_setup(getenv("FUZZ_SHOW") ? TS_LOG_DEBUG : TS_LOG_ERROR, false);
        must(mkdtemp(state) != NULL);
        memcpy(digits, data, 8);
        memset(&world, 0, sizeof(world));
        world.bits = (uint32_t)strtoul(digits, NULL, 16);
        begin((const char *)data + 9, size - 9);

        struct ts_recover_opts o = {
                .from = "ssh://a.example/run/engine.sock",
                .to = "ssh://b.example/run/engine.sock",
                .id = is(BY_ID) ? ID : NULL,
                .container = is(BY_ID) ? NULL : "web",
                .target_is_dead = is(TARGET_IS_DEAD),
                .cold_start = is(COLD_START),
                .move = { .state_dir = state,
                          .podman = "podman",
                          .docker = "docker",
                          .verify = is(NO_PROBE) ? "none" : NULL,
                          .verify_timeout_ms = 1,
                          .fence_timeout_ms = 1,
                          .peer_timeout_ms = 1,
                          .reconnect_timeout_ms = 1,
                          .on_verify_failure = is(KEEP) ? TS_VERIFY_KEEP : TS_VERIFY_ROLLBACK }
        };

        ts_report_init(&report);
        if (is_believable(&world.side[0]) && is_believable(&world.side[1]))
                (void)ts_recover(&o, &report);
        if (getenv("FUZZ_SHOW"))
                fprintf(stderr, "%u actions, outcome %d: %s\n", world.actions, (int)report.outcome,
                        ts_err_message(&report.error));
        ts_report_clear(&report);
        must(remove_tree(state) == 0);
        for (int i = 0; i < 2; i++)
                for (size_t k = 0; k < TS_ARRAY_LEN(world.side[i].files); k++)
                        file_drop(&world.side[i].files[k]);
        return 0;
}
