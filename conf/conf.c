/* The layers: which value is in force and where it came from. Syntax is in file.c, keys and values in settings.c. */
#include "conf/conf.h"

#include "base/io.h"
#include "conf/settings.h"

#include <assert.h>
#include <string.h>

#define SYSTEM_FILE "/etc/tranship/tranship.conf"

enum { LAYER_DEFAULT, LAYER_FIRST_FILE, LAYER_ENVIRONMENT = 1000, LAYER_FLAGS };

struct slot {
        struct ts_value value;
        char *origin;
        unsigned layer;
};
struct ts_conf {
        struct slot slots[TS_CONF_SETTINGS_MAX]; /* in the order of the table */
};

/* ---- setting ---- */

static int slot_replace(struct slot *slot, struct ts_value *value, unsigned layer, const char *origin, struct ts_err *err)
{
        char *copy = strdup(origin);

        if (!copy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        free(slot->origin);
        slot->origin = copy;
        slot->layer = layer;
        ts_value_clear(&slot->value);
        slot->value = *value;
        *value = (struct ts_value)TS_VALUE_INIT;
        return 0;
}

/* A value for a slot that has one of the same layer already: lists grow, flags override, a file contradicts itself. */
static int slot_again(struct slot *slot, const struct ts_setting *s, struct ts_value *value, const char *origin, struct ts_err *err)
{
        if (s->type == TS_SET_LIST)
                return ts_value_append(&slot->value, value, err);
        if (slot->layer == LAYER_FLAGS)
                return slot_replace(slot, value, LAYER_FLAGS, origin, err);
        return ts_err_set(err, TS_EUSAGE, "already set at %s", slot->origin);
}

static int set_in_layer(struct ts_conf *c, unsigned layer, const char *key, const char *text, const char *origin, struct ts_err *err)
{
        __attribute__((cleanup(ts_value_clear))) struct ts_value value = TS_VALUE_INIT;
        ts_auto_err own = TS_ERR_INIT; /* so that the prefixes go to our failure, not to one the caller has already */
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);
        int i = ts_setting_find(key, &own), rc = i;

        if (i >= 0) {
                struct slot *slot = &c->slots[i];

                rc = ts_value_parse(&table[i], text, &value, &own);
                if (rc == 0)
                        rc = slot->layer == layer && layer != LAYER_DEFAULT ? slot_again(slot, &table[i], &value, origin, &own)
                                                                            : slot_replace(slot, &value, layer, origin, &own);
                if (rc < 0 && layer >= LAYER_FIRST_FILE && layer < LAYER_ENVIRONMENT) /* variables and flags name the key themselves */
                        ts_err_prefix(&own, "%s", key);
        }
        if (rc == 0)
                return 0;
        ts_err_prefix(&own, "%s", origin);
        if (err && !ts_err_is_set(err))
                ts_err_move(err, &own);
        return -1;
}

int ts_conf_set(struct ts_conf *c, const char *key, const char *value, const char *origin, struct ts_err *err)
{
        return set_in_layer(c, LAYER_FLAGS, key, value, origin, err);
}

/* ---- loading ---- */

struct file_context {
        struct ts_conf *conf;
        unsigned layer;
};

static int set_from_file(void *ctx, const char *key, const char *value, const char *origin, struct ts_err *err)
{
        const struct file_context *f = ctx;

        return set_in_layer(f->conf, f->layer, key, value, origin, err);
}

static int load_file(struct ts_conf *c, unsigned layer, const char *path, bool must_exist, struct ts_err *err)
{
        struct file_context f = { c, layer };
        ts_auto_err own = TS_ERR_INIT;

        if (ts_conf_file_read(path, set_from_file, &f, &own) == 0)
                return 0;
        if (own.code == TS_ENOTFOUND && !must_exist)
                return 0;
        if (err && !ts_err_is_set(err))
                ts_err_move(err, &own);
        return -1;
}

static int load_defaults(struct ts_conf *c, struct ts_err *err)
{
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);

        for (size_t i = 0; i < n; i++)
                if (set_in_layer(c, LAYER_DEFAULT, table[i].key, table[i].fallback, "default", err) < 0)
                        return -1;
        return 0;
}

static int load_environment(struct ts_conf *c, struct ts_err *err)
{
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);

        for (size_t i = 0; i < n; i++) {
                char name[64];
                const char *value;

                ts_conf_env_name(table[i].key, name);
                value = getenv(name);
                if (value && *value && set_in_layer(c, LAYER_ENVIRONMENT, table[i].key, value, name, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_conf_load_files(const char *const files[], bool must_exist, struct ts_conf **ret, struct ts_err *err)
{
        ts_auto(ts_conf) struct ts_conf *c = calloc(1, sizeof(*c));

        if (!c)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (load_defaults(c, err) < 0)
                return -1;
        for (unsigned i = 0; files[i]; i++)
                if (load_file(c, LAYER_FIRST_FILE + i, files[i], must_exist, err) < 0)
                        return -1;
        if (load_environment(c, err) < 0)
                return -1;
        *ret = TS_TAKE(c);
        return 0;
}

/* NULL when the user has no home, or out of memory: then there is no such file. */
static char *user_file(void)
{
        const char *xdg = getenv("XDG_CONFIG_HOME");
        ts_auto_free char *home = NULL;

        if (xdg && xdg[0] == '/')
                return ts_fmt("%s/tranship/tranship.conf", xdg);
        home = ts_user_home();
        return home ? ts_fmt("%s/.config/tranship/tranship.conf", home) : NULL;
}

int ts_conf_load(struct ts_conf **ret, struct ts_err *err)
{
        ts_auto_free char *user = user_file();
        const char *const files[] = { SYSTEM_FILE, user, NULL };

        return ts_conf_load_files(files, false, ret, err);
}

void ts_conf_free(struct ts_conf *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < TS_ARRAY_LEN(c->slots); i++) {
                ts_value_clear(&c->slots[i].value);
                free(c->slots[i].origin);
        }
        free(c);
}

/* ---- getting ---- */

static const struct slot *slot_of(const struct ts_conf *c, const char *key, unsigned types)
{
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);
        int i = ts_setting_find(key, NULL);

        assert(i >= 0 && (types & 1U << table[i].type));
        if (i < 0 || !(types & 1U << table[i].type)) /* without assertions too */
                abort();
        return &c->slots[i];
}

const char *ts_conf_str(const struct ts_conf *c, const char *key)
{
        const struct slot *slot = slot_of(c, key, 1U << TS_SET_STRING | 1U << TS_SET_ENUM);

        return slot->value.text[0] ? slot->value.text : NULL;
}

bool ts_conf_bool(const struct ts_conf *c, const char *key)
{
        return slot_of(c, key, 1U << TS_SET_BOOL)->value.number != 0;
}

uint64_t ts_conf_u64(const struct ts_conf *c, const char *key)
{
        return slot_of(c, key, 1U << TS_SET_DURATION_MS | 1U << TS_SET_SIZE)->value.number;
}

const struct ts_list *ts_conf_list(const struct ts_conf *c, const char *key)
{
        return &slot_of(c, key, 1U << TS_SET_LIST)->value.list;
}

unsigned ts_conf_enum(const struct ts_conf *c, const char *key)
{
        return (unsigned)slot_of(c, key, 1U << TS_SET_ENUM)->value.number;
}

const char *ts_conf_origin(const struct ts_conf *c, const char *key)
{
        return slot_of(c, key, ~0U)->origin;
}

void ts_conf_each(const struct ts_conf *c, ts_conf_each_fn each, void *ctx)
{
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);

        for (size_t i = 0; i < n; i++)
                each(ctx, table[i].key, c->slots[i].value.text, c->slots[i].origin, table[i].help);
}
