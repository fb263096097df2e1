/* A request in a thread of its own: how podman.c and docker.c start what api.h calls a struct ts_call. Private to api/. */
#ifndef TRANSHIP_API_CALL_H
#define TRANSHIP_API_CALL_H

#include "api/http.h"

enum ts_call_body {
        TS_CALL_NO_BODY,  /* nothing or a short JSON goes up, a short answer comes down */
        TS_CALL_UPLOAD,   /* the request's body comes through ts_call_body_fd */
        TS_CALL_DOWNLOAD, /* the answer's body goes there */
};

/* answer: NULL when it was empty. */
typedef int (*ts_call_decode_fn)(const char *text, size_t len, struct ts_call_result *ret, struct ts_err *err);

struct ts_call_start {
        const char *engine;          /* for messages: "Podman" */
        const char *doing;           /* for messages: "checkpoint container 'web'" */
        const struct ts_dial *dial;  /* of the request */
        const struct ts_dial *ping;  /* of the peer check */
        const char *target;          /* it is a POST but for downloads that say get */
        bool get;
        const char *json;            /* with TS_CALL_NO_BODY: the body, or NULL */
        enum ts_call_body body;
        uint64_t declared_bytes, own_bytes; /* see struct ts_restore */
        unsigned timeout_ms;         /* 0 = none; from the start, or from ts_call_end_body of an upload, to the status line */
        unsigned peer_timeout_ms;    /* 0 = no check */
        ts_call_decode_fn decode;    /* of a 2xx answer that is not a download, or NULL */
};
/* Dials in the caller's thread: a failure here means that nothing was sent. Strings are copied. */
int ts_call_new(const struct ts_call_start *s, struct ts_call **ret, struct ts_err *err);

#endif
