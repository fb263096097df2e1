/* HTTP to an engine over descriptors that somebody else connected. Private to api/; libcurl is seen by http.c and call.c only.
 *
 * No proxy, no redirect, no netrc, no name is resolved, HTTP/1.1 only. An idle connection is used again for GET and DELETE. A POST always gets a new one: libcurl silently repeats a request
 * whose reused connection turned out to be dead, and what a POST does must not be done twice. */
#ifndef TRANSHIP_API_HTTP_H
#define TRANSHIP_API_HTTP_H

#include "api/api.h"

#define TS_HTTP_MAX_BODY ((size_t)16 << 20)   /* bytes of a JSON answer */
#define TS_HTTP_MAX_HEADER ((size_t)64 << 10) /* bytes of an answer's header */
#define TS_HTTP_MAX_ERROR ((size_t)64 << 10)  /* bytes kept of the body of a refusal */

struct ts_http; /* keeps one connection; one thread at a time */
int ts_http_new(const struct ts_dial *dial, struct ts_http **ret, struct ts_err *err); /* connects nothing */
void ts_http_free(struct ts_http *h);
TS_DEFINE_AUTO(ts_http, ts_http_free);

enum ts_method { TS_GET, TS_POST, TS_DELETE };
struct ts_http_request {
        enum ts_method method;
        const char *target; /* "/v1.32/containers/json?all=1", escaped */
        const char *json;   /* POST: the body, or NULL: empty */
        unsigned timeout_ms; /* for everything, connecting included; 0 = TS_API_TIMEOUT_MS */
        size_t max_body;     /* 0 = TS_HTTP_MAX_BODY */
};
struct ts_http_answer {
        int status;
        struct ts_str body;
        char api_version[16], libpod_version[32], experimental[8]; /* of the headers of that name, cut; "" = none */
};
#define TS_HTTP_ANSWER_INIT { .status = 0 }
void ts_http_answer_clear(struct ts_http_answer *a);
#define ts_auto_http_answer __attribute__((cleanup(ts_http_answer_clear))) struct ts_http_answer

/* 0 for every complete answer, whatever its status. TS_ECONNECT, TS_ETIMEOUT, TS_EPROTO, TS_ELIMIT. *ret must be empty. */
int ts_http_do(struct ts_http *h, const struct ts_http_request *r, struct ts_http_answer *ret, struct ts_err *err);

/* Turns a refusal into err: "cannot <doing>: <engine> says: <its message>". Podman: {"cause","message","response"}, Docker: {"message"}; anything else is shown as it came. */
int ts_http_refusal(int status, const char *body, size_t len, const char *engine, const char *doing, struct ts_err *err);

/* Appends text with everything but unreserved characters and those of keep as %XX. */
int ts_url_add(struct ts_str *url, const char *text, const char *keep, struct ts_err *err);
/* Appends "?key=value" or "&key=value"; value NULL: nothing. */
int ts_url_query(struct ts_str *url, const char *key, const char *value, struct ts_err *err);

#endif
