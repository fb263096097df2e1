/* The name of an engine, and a containers.conf, of unknown origin. */
#include "tests/fuzz/fuzz.h"

#include "api/connections.h"
#include "api/endpoint.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

static void expect(bool holds)
{
        if (!holds)
                abort();
}

/* Fit to be an argument of ssh. */
static void check_word(const char *s)
{
        if (!s)
                return;
        expect(*s && *s != '-');
        for (const char *p = s; *p; p++)
                expect((unsigned char)*p > 0x20 && *p != 0x7f && !strchr("'\"`;|&<>(){}*?!#", *p));
}

static void no_files_of_this_user(void)
{
        static const char *const variables[] = { "XDG_CONFIG_HOME", "DOCKER_CONFIG", "CONTAINERS_CONF" };
        for (size_t i = 0; i < TS_ARRAY_LEN(variables); i++)
                (void)setenv(variables[i], "/nonexistent", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ts_auto(ts_endpoint) struct ts_endpoint *e = NULL;
        struct ts_connections c = { NULL, 0 };
        struct ts_err err = TS_ERR_INIT;
        ts_auto_free char *text = strndup((const char *)data, size);
        expect(text);
        no_files_of_this_user();
        if (ts_endpoint_parse(text, &e, &err) == 0) {
                expect(e->label && (!e->remote || e->host) && e->port < 65536);
                expect(!e->socket || (e->socket[0] == '/' && strlen(e->socket) <= 107));
                check_word(e->user);
                check_word(e->host);
        } else {
                expect(err.code == TS_EUSAGE);
        }
        ts_err_clear(&err);
        if (ts_containers_conf_parse((const char *)data, size, &c, &err) < 0)
                expect(err.code == TS_EUSAGE || err.code == TS_ELIMIT);
        ts_err_clear(&err);
        ts_connections_clear(&c);
        return 0;
}
