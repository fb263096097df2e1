/* A whole hostile journal, adopted from a host: whatever it says, what engine/claims.h lets be taken
 * back is this migration's by its own marks. What recover does with it: fuzz_hosts.c. */
#include "tests/fuzz/fuzz.h"

#include "engine/claims.h"
#include "engine/journal_priv.h"

#include <stdlib.h>
#include <string.h>

#define ID "20261120-161502-3fa9c1"
#define CONTAINER "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define BUNDLE "/var/lib/containers/storage/overlay-containers/" CONTAINER "/userdata"
#define VOLUME "/var/lib/containers/storage/volumes/data/_data"

static void must(int holds)
{
        if (!holds)
                abort();
}

/* What other people have on both hosts: nothing of it is at, or below, a path that goes. */
static const char *const others[] = {
        "/etc/passwd", "/home/user/file", "/srv/data/db", "/dev/shm/libpod_lock", "/dev/shm/tranship-20260101-000000-abcdef/pages", "/var/lib/tranship/locks/x", "/var/lib/tranship/journal/" ID ".source",
        "/run/podman/podman.sock", "/run/tranship/20260101-000000-abcdef-source/podman.sock", BUNDLE "/config.json", VOLUME "/rows", "/var/tmp/tranship/20260101-000000-abcdef-source/x",
};

static void goes(const char *path)
{
        size_t len = strlen(path);

        must(path[0] == '/' && path[1] != '\0' && !strstr(path, "/../"));
        for (size_t i = 0; i < TS_ARRAY_LEN(others); i++)
                must(strncmp(others[i], path, len) != 0 || (others[i][len] != '/' && others[i][len] != '\0'));
}

static int ends(const char *path, const char *last)
{
        size_t n = strlen(path), k = strlen(last);

        return n > k && path[n - k - 1] == '/' && strcmp(path + n - k, last) == 0;
}

/* One row a kind: what undo.c would touch for it, and what alone that may be. */
static void touched(const struct ts_facts *f, const struct ts_res *r)
{
        int source = r->side == TS_SIDE_SOURCE;

        switch (r->kind) {
        case TS_RES_LOCK: /* undo.c removes it only with our ID in it */
                must(source && !strcmp(r->name, "/var/lib/tranship/locks/" CONTAINER));
                break;
        case TS_RES_STAGING:
                goes(r->name);
                must(ends(r->name, source ? ID "-source" : ID "-target"));
                break;
        case TS_RES_SERVICE: /* the process that listens there, and its directory */
                must(!strcmp(r->name, source ? "/run/tranship/" ID "-source/podman.sock" : "/run/tranship/" ID "-target/podman.sock"));
                break;
        case TS_RES_IMAGE:
                must(!source && !r->claimed && !strcmp(r->id ? r->id : r->name, r->id ? f->source->image_id : f->source->image_name));
                break;
        case TS_RES_NETWORK: /* by its label */
                must(!source);
                break;
        case TS_RES_VOLUME:
                must(!source);
                if (r->before && strcmp(r->before, "absent") != 0)
                        must(!r->claimed && !strcmp(r->id, VOLUME) && !strcmp(r->before, VOLUME ".tranship-" ID));
                break;
        case TS_RES_CONTAINER: /* by its label, or its mark; an import by the source's ID */
                must(!source && (!f->keeps_id || !r->id || !strcmp(r->id, CONTAINER)));
                break;
        case TS_RES_POLICY:
                must(source && !r->claimed && !strcmp(r->id, CONTAINER) && ts_policy_valid(r->before));
                break;
        case TS_RES_CHECKPOINT:
                must(source && !strcmp(r->id, CONTAINER));
                if (f->podman)
                        must(!strcmp(r->name, BUNDLE "/checkpoint") || !strcmp(r->name, BUNDLE "/pre-checkpoint"));
                else
                        must(!strncmp(r->name, "tranship-" ID, strlen("tranship-" ID)) && !strchr(r->name, '/'));
                break;
        case TS_RES_PATH:
                goes(r->name);
                must(!source && !r->claimed && !strcmp(r->name, "/srv/bind"));
                break;
        case TS_RES_RECORD:
                must(source && !strcmp(r->name, BUNDLE));
                break;
        case TS_RES_DUMP_DIR:
                goes(r->name);
                must(source && ends(r->name, "tranship-" ID));
                break;
        case TS_RES_LINK:
                must(!strcmp(r->name, BUNDLE "/checkpoints") && ends(r->id, "tranship-" ID));
                break;
        case TS_RES_DOOR:
                must(!strcmp(r->name, "tranship_20261120_161502_3fa9c1"));
                break;
        case TS_RES_LOG: /* with its mark */
                goes(r->name);
                must(!source && !r->claimed && !strcmp(r->name, "/srv/web.log"));
                break;
        case TS_RES_RENAME:
        case TS_RES_KIND_MAX:
                must(0);
        }
}

static void all(const struct ts_journal *j, struct ts_facts f)
{
        for (size_t i = 0; i < ts_journal_res_count(j); i++) {
                struct ts_res r = *ts_journal_res(j, i);

                for (int claimed = 0; claimed < 2; claimed++) {
                        r.claimed = claimed != 0;
                        if (!ts_claim_refused(&f, &r))
                                touched(&f, &r);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char type[] = "bind", path[] = "/srv/bind", image[] = "1234", name[] = "web:1", log[] = "/srv/web.log";
        struct ts_mount mount = { .type = type, .source = path };
        const struct ts_container source = { .image_id = image, .image_name = name, .log_path = log, .mounts = &mount, .n_mounts = 1 };
        struct ts_facts f = { .id = ID, .container_id = CONTAINER, .adopted = true, .bundle = { BUNDLE, BUNDLE }, .source = &source, .mountpoint = VOLUME };
        ts_auto(ts_journal) struct ts_journal *j = ts_journal_new();
        struct ts_err err = TS_ERR_INIT;
        int rc;

        must(j != NULL);
        rc = ts_journal_parse(j, (const char *)data, size, &err);
        ts_err_clear(&err);
        if (rc < 0)
                return 0;
        for (unsigned way = 0; way < 8; way++) {
                f.podman = way & 1;
                f.keeps_id = (way & 1) && (way & 2);
                f.archive = f.keeps_id && (way & 4);
                all(j, f);
        }
        f.source = NULL; /* nothing could be asked: what needs an answer is left alone */
        f.bundle[0] = f.bundle[1] = f.mountpoint = NULL;
        for (size_t i = 0; i < ts_journal_res_count(j); i++) {
                const struct ts_res *r = ts_journal_res(j, i);

                if (r->kind == TS_RES_PATH || r->kind == TS_RES_IMAGE || r->kind == TS_RES_RECORD || r->kind == TS_RES_LINK || (r->before && r->kind == TS_RES_VOLUME && strcmp(r->before, "absent") != 0))
                        must(ts_claim_refused(&f, r) != NULL);
        }
        return 0;
}
