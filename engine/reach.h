/* Where an engine's socket is on a host, and how it is reached where SSH cannot forward a socket. */
#ifndef TRANSHIP_ENGINE_REACH_H
#define TRANSHIP_ENGINE_REACH_H

#include "api/api.h"
#include "api/endpoint.h"
#include "transfer/host.h"

/* By the socket's path: nothing has been asked yet. */
enum ts_engine_kind ts_socket_kind(const char *path);
/* The path that ep names, or where sockets usually are; of a kind (0: any). Borrowed from ep, or static. TS_EUSAGE: there are two, of different kinds; TS_ENOTFOUND; what ts_host_run() says. */
int ts_socket_find(struct ts_host *h, const struct ts_endpoint *ep, int want, const char **ret, struct ts_err *err);
/* The engine's own program as a tunnel to that socket: adds its command line. */
int ts_socket_dial_argv(const char *program, const char *socket, struct ts_list *ret, struct ts_err *err);

#endif
