/* The names that Podman and Docker users have given to engines: files in their homes. Private to api/. */
#ifndef TRANSHIP_API_CONNECTIONS_H
#define TRANSHIP_API_CONNECTIONS_H

#include "base/err.h"
#include <stddef.h>

struct ts_connection {
        char *name, *uri, *identity; /* identity may be NULL */
        int prefer;                  /* 1 a Podman system connection, 2 a Docker context */
};
struct ts_connections {
        struct ts_connection *v;
        size_t n;
};

/* Everything that is there. A file that is missing is none; one that cannot be understood is TS_EUSAGE and names the file. Of two Podman connections of one name the later file's counts. */
int ts_connections_load(struct ts_connections *ret, struct ts_err *err);
void ts_connections_clear(struct ts_connections *c);

/* The part of containers.conf that matters: [engine.service_destinations.NAME] uri, identity. Everything else in it is skipped. TS_EUSAGE with the line. */
int ts_containers_conf_parse(const char *text, size_t len, struct ts_connections *add_to, struct ts_err *err);

#endif
