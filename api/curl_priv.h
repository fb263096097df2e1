/* What http.c and call.c share of libcurl. */
#ifndef TRANSHIP_API_CURL_PRIV_H
#define TRANSHIP_API_CURL_PRIV_H

#include "api/http.h"
#include <curl/curl.h>

/* Where libcurl's connection comes from: a descriptor dialled before (taken once), else a call of dial. */
struct ts_conn {
        struct ts_dial dial; /* .dial NULL: only fd */
        int fd;              /* or -1 */
        struct ts_err err;   /* why dial failed */
        int late_fd, stand_in; /* see open_socket in http.c; -1 */
};
#define TS_CONN_INIT { .fd = -1, .late_fd = -1, .stand_in = -1 }
void ts_conn_clear(struct ts_conn *c);

/* Collects the status line and the bounded header of an answer. */
struct ts_header {
        int status;    /* of the last status line; 1xx are passed over */
        size_t bytes;  /* seen so far */
        bool complete; /* the empty line after a final status came */
};

int ts_curl_init(struct ts_err *err); /* once per process, from any thread */
/* The options every request has. error_text: CURL_ERROR_SIZE bytes; it, conn and headers must live as long as the transfer. */
void ts_curl_setup(CURL *easy, struct ts_conn *conn, const char *target, struct curl_slist *headers, char *error_text);
/* Appends to *list, or frees it and gives TS_ENOMEM. */
int ts_curl_header(struct curl_slist **list, const char *line, struct ts_err *err);
/* One line of header, as libcurl's callback hands it over. false: too large. */
bool ts_header_line(struct ts_header *h, const char *line, size_t len);
/* What a failed transfer means. First choice is conn's own err. */
int ts_curl_error(CURLcode rc, struct ts_conn *conn, const char *error_text, struct ts_err *err);

#endif
