/* What a journal that came from a host may have done (claims.h): one row a kind of resource. Decides by names and by who said it; asks nothing. */
#include "engine/claims.h"

#include "base/mem.h"
#include "base/str.h"
#include "engine/lock.h"

#include <string.h>

char *ts_service_socket(const char *id, enum ts_side side)
{
        return ts_fmt(TS_SERVICE_DIR "/%s-%s/podman.sock", id, ts_side_str(side));
}

/* nftables names: letters, digits, underscore. */
char *ts_door_table(const char *id)
{
        char *name = ts_fmt("tranship_%s", id);

        for (char *p = name; p && *p; p++)
                if (*p == '-')
                        *p = '_';
        return name;
}

bool ts_is_engine_id(const char *id)
{
        return id && strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

bool ts_policy_valid(const char *policy)
{
        unsigned long long n;

        if (ts_streq0(policy, "no") || ts_streq0(policy, "always") || ts_streq0(policy, "unless-stopped") || ts_streq0(policy, "on-failure"))
                return true;
        return policy && ts_starts(policy, "on-failure:") && ts_parse_u64(policy + strlen("on-failure:"), 0, 1000000, &n, NULL) == 0;
}

bool ts_claim_is_volume(const struct ts_facts *f, const char *name)
{
        for (size_t i = 0; f->source && i < f->source->n_mounts; i++)
                if (ts_streq0(f->source->mounts[i].type, "volume") && ts_streq0(f->source->mounts[i].name, name))
                        return true;
        return false;
}

/* Takes over made. */
static bool equals(char *made, const char *name)
{
        bool same = made && name && strcmp(made, name) == 0;

        free(made);
        return same;
}

/* The path is DIR/LAST, and LAST is `made`, which is taken over. *ret_parent: how long DIR is. */
static bool ends_in(const char *path, char *made, size_t *ret_parent)
{
        const char *slash = path ? strrchr(path, '/') : NULL;

        *ret_parent = slash ? (size_t)(slash - path) : 0;
        return equals(made, slash ? slash + 1 : NULL) && path[0] == '/';
}

static bool is_dir(const char *path, size_t len, const char *dir)
{
        return dir && strlen(dir) == len && strncmp(path, dir, len) == 0;
}

#define NOT_SUCH "no migration makes it so"
#define ONLY_CLAIMED "only the other host says that this migration made it"
#define NOT_ITS "it is not the container's, as its engine says now"

static const char *lock(const struct ts_facts *f, const struct ts_res *r)
{
        return equals(ts_lock_path(f->container_id), r->name) ? NULL : NOT_SUCH;
}

static const char *staging(const struct ts_facts *f, const struct ts_res *r)
{
        size_t dir;

        if (!ends_in(r->name, ts_fmt("%s-%s", f->id, ts_side_str(r->side)), &dir))
                return NOT_SUCH;
        return !r->claimed || is_dir(r->name, dir, f->staging) || is_dir(r->name, dir, "/var/tmp/tranship") || ts_starts(r->name, "/var/lib/tranship/") ? NULL : ONLY_CLAIMED;
}

static const char *service(const struct ts_facts *f, const struct ts_res *r)
{
        return equals(ts_service_socket(f->id, r->side), r->name) ? NULL : NOT_SUCH;
}

static const char *image(const struct ts_facts *f, const struct ts_res *r)
{
        if (r->claimed)
                return ONLY_CLAIMED;
        return f->source && r->name && (r->id ? ts_streq0(r->id, f->source->image_id) : ts_streq0(r->name, f->source->image_name)) ? NULL : NOT_ITS;
}

static const char *labelled(const struct ts_facts *f, const struct ts_res *r)
{
        (void)f;
        return r->name ? NULL : NOT_SUCH;
}

static const char *volume(const struct ts_facts *f, const struct ts_res *r)
{
        if (!r->before || !strcmp(r->before, "absent"))
                return labelled(f, r);
        if (r->claimed)
                return ONLY_CLAIMED;
        if (!f->mountpoint || !ts_streq0(r->id, f->mountpoint))
                return "the engine says that the volume lies elsewhere";
        return equals(ts_fmt("%s.tranship-%s", f->mountpoint, f->id), r->before) ? NULL : NOT_SUCH;
}

/* In place and cold it is marked; an import is the source's container, by its ID. */
static const char *container(const struct ts_facts *f, const struct ts_res *r)
{
        if (f->keeps_id && r->id && !ts_streq0(r->id, f->container_id))
                return NOT_SUCH;
        return f->archive && r->claimed ? ONLY_CLAIMED : NULL;
}

static const char *policy(const struct ts_facts *f, const struct ts_res *r)
{
        if (!ts_streq0(r->id, f->container_id))
                return "it is another container's";
        if (!ts_policy_valid(r->before))
                return "no engine has such a restart policy";
        return r->claimed ? ONLY_CLAIMED : NULL;
}

static const char *checkpoint(const struct ts_facts *f, const struct ts_res *r)
{
        ts_auto_free char *name = ts_fmt("tranship-%s", f->id);

        if (!name || !r->name || !ts_streq0(r->id, f->container_id))
                return "it is another container's";
        if (!f->podman) {
                size_t len = strlen(name);

                if (!ts_starts(r->name, name))
                        return NOT_SUCH;
                if (r->name[len] == '\0')
                        return NULL;
                return !strncmp(r->name + len, "-r", 2) && r->name[len + 2] && strspn(r->name + len + 2, "0123456789") == strlen(r->name + len + 2) ? NULL : NOT_SUCH;
        }
        if (!f->bundle[TS_SIDE_SOURCE])
                return "the source's engine does not say where the container's directory is";
        return equals(ts_fmt("%s/checkpoint", f->bundle[TS_SIDE_SOURCE]), r->name) || equals(ts_fmt("%s/pre-checkpoint", f->bundle[TS_SIDE_SOURCE]), r->name) ? NULL : NOT_ITS;
}

static const char *rename_back(const struct ts_facts *f, const struct ts_res *r)
{
        (void)f;
        (void)r;
        return NOT_SUCH;
}

static const char *path(const struct ts_facts *f, const struct ts_res *r)
{
        if (r->claimed)
                return ONLY_CLAIMED;
        for (size_t i = 0; f->source && i < f->source->n_mounts; i++)
                if (ts_streq0(f->source->mounts[i].type, "bind") && ts_streq0(f->source->mounts[i].source, r->name))
                        return NULL;
        return "it is no bind mount of the container, as its engine says now";
}

static const char *record(const struct ts_facts *f, const struct ts_res *r)
{
        return r->name && ts_streq0(f->bundle[r->side], r->name) ? NULL : NOT_ITS;
}

static const char *dump_dir(const struct ts_facts *f, const struct ts_res *r)
{
        size_t dir;

        if (!ends_in(r->name, ts_fmt("tranship-%s", f->id), &dir))
                return NOT_SUCH;
        return !r->claimed || is_dir(r->name, dir, TS_MEMORY_DIR) ? NULL : ONLY_CLAIMED;
}

static const char *checkpoints_link(const struct ts_facts *f, const struct ts_res *r)
{
        size_t dir;

        if (!f->bundle[r->side] || !equals(ts_fmt("%s/checkpoints", f->bundle[r->side]), r->name))
                return NOT_ITS;
        return ends_in(r->id, ts_fmt("tranship-%s", f->id), &dir) ? NULL : NOT_SUCH;
}

static const char *door(const struct ts_facts *f, const struct ts_res *r)
{
        return equals(ts_door_table(f->id), r->name) ? NULL : NOT_SUCH;
}

/* Podman's log that is not beside the container: undo.c removes it only with the mark beside it that has our ID. */
static const char *log_file(const struct ts_facts *f, const struct ts_res *r)
{
        if (r->claimed)
                return ONLY_CLAIMED;
        return f->source && r->name && ts_streq0(f->source->log_path, r->name) ? NULL : NOT_ITS;
}

enum where { SOURCE = 1, TARGET = 2, BOTH = 3 };
static const struct {
        const char *(*refused)(const struct ts_facts *f, const struct ts_res *r);
        enum where where; /* a move makes it there, and nowhere else */
} kinds[TS_RES_KIND_MAX] = {
        [TS_RES_LOCK] = { lock, SOURCE },
        [TS_RES_STAGING] = { staging, BOTH },
        [TS_RES_SERVICE] = { service, BOTH },
        [TS_RES_IMAGE] = { image, TARGET },
        [TS_RES_NETWORK] = { labelled, TARGET },
        [TS_RES_VOLUME] = { volume, TARGET },
        [TS_RES_CONTAINER] = { container, TARGET },
        [TS_RES_POLICY] = { policy, SOURCE },
        [TS_RES_CHECKPOINT] = { checkpoint, SOURCE },
        [TS_RES_RENAME] = { rename_back, BOTH },
        [TS_RES_PATH] = { path, TARGET },
        [TS_RES_RECORD] = { record, SOURCE },
        [TS_RES_DUMP_DIR] = { dump_dir, SOURCE },
        [TS_RES_LINK] = { checkpoints_link, BOTH },
        [TS_RES_DOOR] = { door, BOTH },
        [TS_RES_LOG] = { log_file, TARGET },
};

const char *ts_claim_refused(const struct ts_facts *f, const struct ts_res *r)
{
        if (!f->adopted)
                return NULL;
        if ((unsigned)r->kind >= TS_RES_KIND_MAX || !kinds[r->kind].refused || !((unsigned)kinds[r->kind].where & 1U << r->side))
                return NOT_SUCH;
        return kinds[r->kind].refused(f, r);
}

/* Every stage from restore-sent on is in each copy that can be reached before what it allows; so two honest copies stand apart only where a host could not be reached, or in the moment between two writes. What the
 * longer one says has then to be seen. */
const char *ts_claim_dispute(enum ts_stage a, enum ts_stage b, enum ts_target_seen target)
{
        enum ts_stage less = a < b ? a : b, more = a < b ? b : a;
        bool nothing_there = target == TS_TARGET_ABSENT || target == TS_TARGET_CREATED;
        bool back = more == TS_STAGE_RESTORE_FAILED || (more >= TS_STAGE_VERIFY_FAILED && more <= TS_STAGE_ROLLED_BACK);
        bool fenced = more >= TS_STAGE_TARGET_FENCED && more <= TS_STAGE_ROLLED_BACK;

        if (a == b || more < TS_STAGE_RESTORE_SENT || target == TS_TARGET_UNREACHABLE)
                return NULL;
        if (less < TS_STAGE_RESTORE_SENT && !fenced)
                return "one host's copy of the journal says that the target may run, the other one's does not know of it";
        if (back && !nothing_there)
                return "only one host's copy of the journal says that the target is given up, and there is a container";
        if (!back && more != TS_STAGE_RESTORE_SENT && target != TS_TARGET_RUNNING)
                return "only one host's copy of the journal says that the target was restored, and it does not run";
        return NULL;
}
