/* An inspect answer of unknown origin: parsed, decoded, written again, and made into requests for a copy. */
#include "tests/fuzz/fuzz.h"

#include "api/api_priv.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool holds)
{
        if (!holds)
                abort();
}

/* What is written can be read again and is the same. */
static void round_trip(const struct ts_json *j)
{
        ts_auto(ts_json) struct ts_json *again = NULL;
        ts_auto_free char *text = ts_json_text(j, false);
        expect(text && ts_json_parse(text, strlen(text), 0, &again, NULL) == 0);
        ts_auto_free char *second = ts_json_text(again, false);
        expect(second && strcmp(text, second) == 0);
}

static void make_copies(const struct ts_json *inspect)
{
        static const int minors[] = { 32, 43, 51 };
        for (size_t i = 0; i < TS_ARRAY_LEN(minors); i++) {
                ts_auto(ts_json) struct ts_json *body = NULL, *spec = ts_json_object(), *podman = NULL;
                ts_auto_list warnings = TS_LIST_INIT;
                struct ts_create c = { .name = "n", .image_ref = "i", .inspect = inspect, .spec = spec, .extra_label = "k=v" };
                if (ts_docker_create_body(&c, minors[i], &body, &warnings, NULL) == 0) {
                        expect(strcmp(ts_json_str(body, "HostConfig.RestartPolicy.Name", ""), "no") == 0);
                        expect(!ts_json_get(body, "HostConfig.AutoRemove"));
                }
                if (ts_podman_create_body(NULL, &c, &podman, &warnings, NULL) == 0)
                        expect(strcmp(ts_json_str(podman, "restart_policy", ""), "no") == 0 && !ts_json_bool(podman, "remove", true));
        }
}

static void check_container(const struct ts_container *c)
{
        expect(c->id && strspn(c->id, "0123456789abcdef") == strlen(c->id));
        expect(c->name && ts_name_valid(c->name, 255));
        expect(!c->upper_dir || (c->upper_dir[0] == '/' && !strstr(c->upper_dir, "/../")));
        for (size_t i = 0; i < c->n_mounts; i++)
                expect(c->mounts[i].destination[0] == '/');
        for (size_t i = 0; i < c->n_ports; i++)
                expect(c->ports[i].container_port > 0 && c->ports[i].container_port < 65536 && c->ports[i].host_port < 65536);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct ts_json *j = NULL;
        struct ts_err err = TS_ERR_INIT;
        ts_auto(ts_container) struct ts_container *c = NULL;
        if (ts_json_parse((const char *)data, size, 1 << 20, &j, &err) < 0) {
                expect(err.code == TS_EPROTO || err.code == TS_ELIMIT);
                ts_err_clear(&err);
                return 0;
        }
        round_trip(j);
        make_copies(j);
        if (ts_container_decode(j, &c, &err) == 0)
                check_container(c);
        ts_err_clear(&err);
        return 0;
}
