/* api/http.c, api/call.c, api/peer.c: what is on the wire, and what every way of going wrong looks like. */
#include "tests/unit/api_server.h"
#include "tests/unit/unit.h"

#include "api/call.h"
#include "api/http.h"
#include "base/io.h"

#include <poll.h>

static struct ts_err err = TS_ERR_INIT;

/* ---- ordinary requests ---- */

static void serve_ok(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        while (server_read_head(s, fd, head, sizeof(head)) > 0) {
                (void)server_skip(fd, server_body_length(head));
                server_answer(fd, "200 OK", "Libpod-API-Version: 5.4.2\r\nApi-Version: 1.41\r\nDocker-Experimental: true\r\n", head);
        }
}

static struct ts_http *http_of(struct server *s)
{
        struct ts_http *h = NULL;
        struct ts_dial d = { server_dial, s };
        UNIT_OK(ts_http_new(&d, &h, &err));
        return h;
}

static int ask(struct ts_http *h, enum ts_method method, const char *json, unsigned timeout_ms, struct ts_http_answer *a)
{
        struct ts_http_request r = { .method = method, .target = "/v1.32/x%2Fy?a=b", .json = json, .timeout_ms = timeout_ms };
        ts_http_answer_clear(a);
        return ts_http_do(h, &r, a, &err);
}

static void request_and_headers(void)
{
        struct server s = { .serve = serve_ok };
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        UNIT_OK(ask(h, TS_GET, NULL, 0, &a));
        CU_ASSERT_EQUAL(a.status, 200);
        UNIT_STR(a.libpod_version, "5.4.2");
        UNIT_STR(a.api_version, "1.41");
        UNIT_STR(a.experimental, "true");
        const char *head = ts_str_cstr(&a.body); /* echoed */
        CU_ASSERT_PTR_EQUAL(strstr(head, "GET /v1.32/x%2Fy?a=b HTTP/1.1\r\n"), head);
        CU_ASSERT_PTR_NOT_NULL(strstr(head, "Host: localhost\r\n"));
        CU_ASSERT_PTR_NULL(strstr(head, "Expect"));
        UNIT_OK(ask(h, TS_POST, "{\"a\":1}", 0, &a));
        head = ts_str_cstr(&a.body);
        CU_ASSERT_PTR_NOT_NULL(strstr(head, "Content-Type: application/json\r\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(head, "Content-Length: 7\r\n"));
        UNIT_OK(ask(h, TS_POST, NULL, 0, &a));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_str_cstr(&a.body), "Content-Length: 0\r\n"));
        UNIT_OK(ask(h, TS_DELETE, NULL, 0, &a));
        CU_ASSERT_PTR_EQUAL(strstr(ts_str_cstr(&a.body), "DELETE /v1.32/"), ts_str_cstr(&a.body));
        ts_http_free(h);
        server_join(&s);
}

static void connections_are_used_again_but_for_post(void)
{
        struct server s = { .serve = serve_ok };
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        for (int i = 0; i < 3; i++)
                UNIT_OK(ask(h, TS_GET, NULL, 0, &a));
        CU_ASSERT_EQUAL(atomic_load(&s.dials), 1);
        UNIT_OK(ask(h, TS_POST, "{}", 0, &a));
        UNIT_OK(ask(h, TS_POST, "{}", 0, &a));
        CU_ASSERT_EQUAL(atomic_load(&s.dials), 3);
        UNIT_OK(ask(h, TS_DELETE, NULL, 0, &a));
        CU_ASSERT_EQUAL(atomic_load(&s.dials), 3);
        ts_http_free(h);
        server_join(&s);
}

/* Answers one request, then closes: an idle connection that died. */
static void serve_one(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        if (server_read_head(s, fd, head, sizeof(head)) > 0)
                server_answer(fd, "200 OK", "", "{}");
}

static void dead_idle_connection_is_replaced(void)
{
        struct server s = { .serve = serve_one };
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        for (int i = 0; i < 5; i++)
                UNIT_OK(ask(h, TS_GET, NULL, 0, &a));
        CU_ASSERT_EQUAL(atomic_load(&s.dials), 5);
        ts_http_free(h);
        server_join(&s);
}

static void serve_closing(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
        (void)server_skip(fd, 2);
}

static void post_is_never_repeated(void)
{
        struct server s = { .serve = serve_closing };
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        UNIT_FAILS(ask(h, TS_POST, "{}", 0, &a), TS_ECONNECT);
        ts_http_free(h);
        server_join(&s);
        CU_ASSERT_EQUAL(atomic_load(&s.requests), 1);
}

static void serve_nothing(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
}

/* The first connection was dead all along: dialled ahead of time, say. */
static void serve_but_on_the_first(struct server *s, int fd, int nth)
{
        if (nth > 0)
                serve_one(s, fd, nth);
        else
                serve_nothing(s, fd, nth);
}

static void a_question_is_asked_twice_at_most(void)
{
        struct server s = { .serve = serve_but_on_the_first }, silent = { .serve = serve_nothing };
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        UNIT_OK(ask(h, TS_GET, NULL, 0, &a));
        CU_ASSERT_EQUAL(a.status, 200);
        ts_http_free(h);
        server_join(&s);
        CU_ASSERT_EQUAL(atomic_load(&s.dials), 2);
        h = http_of(&silent);
        UNIT_FAILS(ask(h, TS_DELETE, NULL, 0, &a), TS_ECONNECT);
        CU_ASSERT_EQUAL(atomic_load(&silent.requests), 1);
        UNIT_FAILS(ask(h, TS_GET, NULL, 0, &a), TS_ECONNECT);
        CU_ASSERT_EQUAL(atomic_load(&silent.requests), 3);
        ts_http_free(h);
        server_join(&silent);
}

/* Whatever the test says, then the end of the connection. */
static void serve_text(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        if (server_read_head(s, fd, head, sizeof(head)) > 0)
                server_send(fd, s->ctx);
}

static const struct {
        const char *answer;
        enum ts_code code;
} bad_answers[] = {
        { "", TS_ECONNECT },
        { "garbage\r\n\r\n", TS_EPROTO },
        { "\x16\x03\x01 TLS", TS_EPROTO },
        { "SSH-2.0-OpenSSH_9.2\r\n", TS_EPROTO },
        { "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", TS_ECONNECT },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", TS_ECONNECT },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", TS_ECONNECT },
        { "HTTP/1.1 200 OK\r\nContent-Len", TS_ECONNECT },
};

static void bad_answers_are_errors(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(bad_answers); i++) {
                struct server s = { .serve = serve_text, .ctx = bad_answers[i].answer };
                struct ts_http *h = http_of(&s);
                ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
                int rc = ask(h, TS_POST, NULL, 2000, &a);
                bool accepted = rc < 0 && (err.code == bad_answers[i].code || (i == 6 && err.code == TS_EPROTO));
                if (!accepted)
                        (void)printf("\n    answer %zu: %d %s %s\n", i, rc, ts_code_str(err.code), ts_err_message(&err));
                CU_ASSERT_TRUE(accepted);
                ts_err_clear(&err);
                ts_http_free(h);
                server_join(&s);
        }
}

static void serve_huge_body(struct server *s, int fd, int nth)
{
        char head[4096], chunk[8192];
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
        server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 17825792\r\n\r\n");
        memset(chunk, ' ', sizeof(chunk));
        while (send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
                ;
}

static void serve_huge_header(struct server *s, int fd, int nth)
{
        char head[4096], line[1024];
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
        server_send(fd, "HTTP/1.1 200 OK\r\n");
        memset(line, 'a', sizeof(line) - 1);
        memcpy(line, "X-A: ", 5);
        memcpy(line + sizeof(line) - 3, "\r\n", 3);
        for (int i = 0; i < 200 && send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) > 0; i++)
                ;
}

static void huge_answers_are_refused(void)
{
        struct server s[] = { { .serve = serve_huge_body }, { .serve = serve_huge_header } };
        for (size_t i = 0; i < TS_ARRAY_LEN(s); i++) {
                struct ts_http *h = http_of(&s[i]);
                ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
                UNIT_FAILS(ask(h, TS_GET, NULL, 0, &a), TS_ELIMIT);
                ts_http_free(h);
                server_join(&s[i]);
        }
}

/* Reads and says nothing until the other side is gone. */
static void serve_silence(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
        (void)server_skip(fd, SIZE_MAX);
}

static void silence_times_out(void)
{
        struct server s = { .serve = serve_silence };
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        uint64_t before = ts_now_us();
        UNIT_FAILS(ask(h, TS_GET, NULL, 200, &a), TS_ETIMEOUT);
        CU_ASSERT_TRUE(ts_now_us() - before < 2000000);
        ts_http_free(h);
        server_join(&s);
}

static void failed_dial_tells_why(void)
{
        struct server s = { .serve = serve_ok };
        atomic_store(&s.refuse_dials, true);
        struct ts_http *h = http_of(&s);
        ts_auto_http_answer a = TS_HTTP_ANSWER_INIT;
        CU_ASSERT_EQUAL(ask(h, TS_GET, NULL, 0, &a), -1);
        UNIT_STR(ts_err_message(&err), "the test refuses the connection");
        ts_err_clear(&err);
        atomic_store(&s.refuse_dials, false);
        UNIT_OK(ask(h, TS_GET, NULL, 0, &a));
        ts_http_free(h);
        server_join(&s);
}

static const struct {
        int status;
        const char *body;
        enum ts_code code;
        const char *message;
} refusals[] = {
        { 404, "{\"cause\":\"no such container\",\"message\":\"no container\",\"response\":404}", TS_ENOTFOUND, "cannot do it: E says: no container" },
        { 409, "{\"message\":\"in use\"}", TS_ECONFLICT, "cannot do it: E says: in use" },
        { 500, "{\"cause\":\"only a cause\"}", TS_EENGINE, "cannot do it: E says: only a cause" },
        { 500, "{\"message\":\"two\\nlines \\u001b[31m\"}", TS_EENGINE, "cannot do it: E says: two?lines ?[31m" },
        { 502, "<html>", TS_EENGINE, "cannot do it: E says: <html>" },
        { 500, "", TS_EENGINE, "cannot do it: E answers with status 500 and no reason" },
        { 500, "{\"message\":7}", TS_EENGINE, "cannot do it: E says: {\"message\":7}" },
        { 304, "", TS_ECONFLICT, "cannot do it: it is in that state already" },
};

static void refusals_are_understood(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(refusals); i++) {
                CU_ASSERT_EQUAL(ts_http_refusal(refusals[i].status, refusals[i].body, strlen(refusals[i].body), "E", "do it", &err), -1);
                CU_ASSERT_EQUAL(err.code, refusals[i].code);
                CU_ASSERT_EQUAL(err.http_status, refusals[i].status);
                UNIT_STR(ts_err_message(&err), refusals[i].message);
                ts_err_clear(&err);
        }
}

static void urls_are_escaped(void)
{
        ts_auto_str url = TS_STR_INIT;
        UNIT_OK(ts_url_add(&url, "a/b c%?#\xc3\xa9", "/", &err));
        UNIT_STR(url.buf, "a/b%20c%25%3F%23%C3%A9");
        UNIT_OK(ts_url_query(&url, "k", "x&y=z", &err));
        UNIT_OK(ts_url_query(&url, "no", NULL, &err));
        UNIT_OK(ts_url_query(&url, "l", "", &err));
        UNIT_STR(url.buf, "a/b%20c%25%3F%23%C3%A9?k=x%26y%3Dz&l=");
}

/* ---- long calls: the other side's record ---- */

static struct {
        pthread_mutex_t lock;
        char head[4096];
        char body[1 << 20]; /* as on the wire */
        size_t body_len;
        bool ended;           /* the connection */
        atomic_bool head_came;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static size_t seen_len(void)
{
        (void)pthread_mutex_lock(&seen.lock);
        size_t n = seen.body_len;
        (void)pthread_mutex_unlock(&seen.lock);
        return n;
}

static void seen_reset(void)
{
        seen.body_len = 0;
        seen.ended = false;
        atomic_store(&seen.head_came, false);
        *seen.head = '\0';
}

/* Up to want bytes of body as on the wire, or until "0\r\n\r\n", or the end. */
static void record(struct server *s, int fd, size_t want)
{
        char buf[16384];
        if (server_read_head(s, fd, seen.head, sizeof(seen.head)) == 0)
                return;
        atomic_store(&seen.head_came, true);
        while (want == 0 || seen_len() < want) {
                ssize_t n = recv(fd, buf, sizeof(buf), 0);
                if (n <= 0) {
                        seen.ended = true;
                        return;
                }
                (void)pthread_mutex_lock(&seen.lock);
                if (seen.body_len + (size_t)n <= sizeof(seen.body))
                        memcpy(seen.body + seen.body_len, buf, (size_t)n);
                seen.body_len += (size_t)n;
                bool last = want == 0 && seen.body_len >= 5 && memcmp(seen.body + seen.body_len - 5, "0\r\n\r\n", 5) == 0;
                (void)pthread_mutex_unlock(&seen.lock);
                if (last)
                        return;
        }
}

static void serve_upload(struct server *s, int fd, int nth)
{
        const size_t *want = s->ctx;
        (void)nth;
        record(s, fd, want ? *want : 0);
        if (!seen.ended)
                server_answer(fd, "200 OK", "", "{\"Id\":\"0123456789abcdef\"}");
}

static int decode_id(const char *text, size_t len, struct ts_call_result *ret, struct ts_err *e)
{
        (void)len;
        (void)e;
        ret->id = strdup(ts_or(text, ""));
        return 0;
}

static struct ts_call *start(struct server *s, enum ts_call_body body, uint64_t declared, uint64_t own, unsigned timeout_ms, unsigned peer_timeout_ms)
{
        struct ts_dial d = { server_dial, s };
        struct ts_call *c = NULL;
        struct ts_call_start o = { .engine = "E", .doing = "do it", .dial = &d, .ping = &d, .target = "/long", .body = body, .declared_bytes = declared,
                                   .own_bytes = own, .timeout_ms = timeout_ms, .peer_timeout_ms = peer_timeout_ms };
        o.get = body == TS_CALL_DOWNLOAD;
        o.decode = body == TS_CALL_DOWNLOAD ? NULL : decode_id;
        seen_reset();
        UNIT_OK(ts_call_new(&o, &c, &err));
        return c;
}

static void wait_seen(size_t n)
{
        for (int i = 0; i < 200 && seen_len() < n; i++)
                ts_sleep_ms(10);
}

/* ---- uploads ---- */

static char payload[300000];

static void upload_is_whole_only_after_end_body(void)
{
        struct server s = { .serve = serve_upload };
        struct ts_call *c = start(&s, TS_CALL_UPLOAD, 0, 0, 0, 0);
        struct ts_call_result r = { 0 };
        bool refused = true;
        UNIT_OK(ts_write_all(ts_call_body_fd(c), payload, sizeof(payload), 0, false, &err));
        wait_seen(sizeof(payload));
        ts_sleep_ms(100);
        CU_ASSERT_TRUE(seen_len() > sizeof(payload)); /* with the chunks' lengths */
        CU_ASSERT_PTR_NOT_NULL(strstr(seen.head, "Transfer-Encoding: chunked\r\n"));
        CU_ASSERT_PTR_NULL(strstr(seen.head, "Content-Length"));
        CU_ASSERT_PTR_NULL(strstr(seen.head, "Expect"));
        CU_ASSERT_NOT_EQUAL(memcmp(seen.body + seen.body_len - 5, "0\r\n\r\n", 5), 0);
        UNIT_OK(ts_call_end_body(c, &err));
        UNIT_OK(ts_call_finish(c, NULL, NULL, &r, &refused, &err));
        CU_ASSERT_FALSE(refused);
        UNIT_STR(r.id, "{\"Id\":\"0123456789abcdef\"}");
        CU_ASSERT_EQUAL(r.body_bytes, sizeof(payload));
        CU_ASSERT_EQUAL(memcmp(seen.body + seen.body_len - 5, "0\r\n\r\n", 5), 0);
        ts_call_result_clear(&r);
        ts_call_free(c);
        server_join(&s);
}

static void upload_broken_off(bool declared, bool by_free)
{
        struct server s = { .serve = serve_upload };
        size_t whole = sizeof(payload);
        if (declared)
                s.ctx = &whole;
        struct ts_call *c = start(&s, TS_CALL_UPLOAD, declared ? whole : 0, declared ? whole : 0, 0, 0);
        bool refused = true;
        UNIT_OK(ts_write_all(ts_call_body_fd(c), payload, sizeof(payload), 0, false, &err));
        wait_seen(sizeof(payload) - 1);
        if (!by_free) {
                UNIT_FAILS(ts_call_finish(c, NULL, NULL, NULL, &refused, &err), TS_ECANCELED);
                CU_ASSERT_FALSE(refused);
        }
        ts_call_free(c);
        server_join(&s);
        CU_ASSERT_TRUE(seen.ended);
        if (declared) {
                CU_ASSERT_TRUE(seen.body_len < whole); /* all but the last byte had come */
        } else {
                CU_ASSERT_NOT_EQUAL(memcmp(seen.body + seen.body_len - 5, "0\r\n\r\n", 5), 0);
        }
}

static void upload_without_end_is_never_whole(void)
{
        upload_broken_off(false, false);
        upload_broken_off(false, true);
        upload_broken_off(true, false);
        upload_broken_off(true, true);
}

static void declared_length_on_the_wire(void)
{
        static const size_t own = 150000, declared = 1234567890123;
        struct server s = { .serve = serve_upload, .ctx = &own };
        struct ts_call *c = start(&s, TS_CALL_UPLOAD, declared, own, 0, 0);
        struct ts_call_result r = { 0 };
        for (int i = 0; i < 100 && !atomic_load(&seen.head_came); i++)
                ts_sleep_ms(10);
        CU_ASSERT_TRUE(atomic_load(&seen.head_came)); /* the header does not wait for the body: others put bytes behind it */
        ts_sleep_ms(50);
        CU_ASSERT_EQUAL(seen_len(), 0);
        UNIT_OK(ts_write_all(ts_call_body_fd(c), payload, own, 0, false, &err));
        wait_seen(own - 1);
        ts_sleep_ms(50);
        CU_ASSERT_EQUAL(seen_len(), own - 1); /* the last byte waits */
        UNIT_OK(ts_call_end_body(c, &err));
        UNIT_OK(ts_call_finish(c, NULL, NULL, &r, NULL, &err));
        CU_ASSERT_EQUAL(r.body_bytes, own);
        const char *length = strstr(seen.head, "Content-Length: ");
        CU_ASSERT_PTR_NOT_NULL_FATAL(length);
        CU_ASSERT_EQUAL(strncmp(length, "Content-Length: 1234567890123\r\n", 31), 0);
        CU_ASSERT_PTR_NULL(strstr(length + 1, "Content-Length"));
        CU_ASSERT_PTR_NULL(strstr(seen.head, "Transfer-Encoding"));
        CU_ASSERT_PTR_NULL(strstr(seen.head, "Expect"));
        CU_ASSERT_EQUAL(seen.body_len, own);
        CU_ASSERT_EQUAL(memcmp(seen.body, payload, own), 0);
        ts_call_result_clear(&r);
        ts_call_free(c);
        server_join(&s);
}

static void wrong_lengths(void)
{
        struct server s = { .serve = serve_upload };
        struct ts_dial d = { server_dial, &s };
        struct ts_call *c = NULL;
        struct ts_call_start o = { .engine = "E", .doing = "x", .dial = &d, .ping = &d, .target = "/", .body = TS_CALL_UPLOAD, .declared_bytes = 5 };
        UNIT_FAILS(ts_call_new(&o, &c, &err), TS_EINTERNAL);
        o.own_bytes = 6;
        UNIT_FAILS(ts_call_new(&o, &c, &err), TS_EINTERNAL);
        CU_ASSERT_EQUAL(atomic_load(&s.dials), 0);
        static const size_t sent[] = { 0, 1, 9, 11 };
        for (size_t i = 0; i < TS_ARRAY_LEN(sent); i++) {
                struct server t = { .serve = serve_upload };
                bool refused = true;
                c = start(&t, TS_CALL_UPLOAD, 10, 10, 0, 0);
                UNIT_OK(ts_write_all(ts_call_body_fd(c), payload, sent[i], 0, false, &err));
                UNIT_OK(ts_call_end_body(c, &err));
                UNIT_FAILS(ts_call_finish(c, NULL, NULL, NULL, &refused, &err), TS_EPROTO);
                CU_ASSERT_FALSE(refused);
                ts_call_free(c);
                server_join(&t);
                CU_ASSERT_TRUE(seen.body_len < 10);
        }
}

static void serve_early_refusal(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
        (void)server_skip(fd, 1000);
        server_answer(fd, "500 Internal Server Error", "Connection: close\r\n", "{\"message\":\"no space left on device\"}");
        (void)shutdown(fd, SHUT_WR);
        (void)server_skip(fd, SIZE_MAX);
}

static void early_refusal_ends_an_upload(void)
{
        struct server s = { .serve = serve_early_refusal };
        struct ts_call *c = start(&s, TS_CALL_UPLOAD, 0, 0, 0, 0);
        bool refused = false;
        int rc = 0;
        for (int i = 0; i < 1000 && rc == 0; i++)
                rc = ts_write_all(ts_call_body_fd(c), payload, sizeof(payload), 0, false, &err);
        CU_ASSERT_EQUAL(rc, -1); /* broken pipe, not a wait for ever */
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(ts_call_finish(c, NULL, NULL, NULL, &refused, &err), -1);
        CU_ASSERT_TRUE(refused);
        CU_ASSERT_EQUAL(err.http_status, 500);
        UNIT_STR(ts_err_message(&err), "cannot do it: E says: no space left on device");
        ts_err_clear(&err);
        ts_call_free(c);
        server_join(&s);
}

/* ---- downloads ---- */

#define DOWNLOAD_CHUNKS 800

static void serve_download(struct server *s, int fd, int nth)
{
        char head[4096], chunk[4096 + 8];
        const char *end = s->ctx;
        (void)nth;
        (void)server_read_head(s, fd, head, sizeof(head));
        server_send(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        memcpy(chunk, "1000\r\n", 6);
        memset(chunk + 6, 'x', 4096);
        for (int i = 0; i < DOWNLOAD_CHUNKS && send(fd, chunk, 4102, MSG_NOSIGNAL) > 0; i++)
                server_send(fd, "\r\n");
        server_send(fd, end);
}

static uint64_t read_all(int fd)
{
        char buf[65536];
        uint64_t n = 0;
        ssize_t got;
        ts_sleep_ms(100); /* slow at first: everything between must wait */
        while ((got = recv(fd, buf, sizeof(buf), 0)) > 0)
                n += (uint64_t)got;
        return n;
}

static void download_is_streamed(void)
{
        struct server s = { .serve = serve_download, .ctx = "0\r\n\r\n" };
        struct ts_call *c = start(&s, TS_CALL_DOWNLOAD, 0, 0, 0, 0);
        struct ts_call_result r = { 0 };
        bool refused = true;
        UNIT_OK(ts_call_wait_answer(c, NULL, NULL, &err));
        CU_ASSERT_EQUAL(read_all(ts_call_body_fd(c)), DOWNLOAD_CHUNKS * 4096ULL);
        UNIT_OK(ts_call_finish(c, NULL, NULL, &r, &refused, &err));
        CU_ASSERT_EQUAL(r.body_bytes, DOWNLOAD_CHUNKS * 4096ULL);
        CU_ASSERT_FALSE(refused);
        CU_ASSERT_TRUE(ts_call_sent_us(c) > 0 && ts_call_sent_us(c) <= ts_now_us());
        ts_call_free(c);
        server_join(&s);
}

static void broken_download_is_told_by_finish(void)
{
        struct server s = { .serve = serve_download, .ctx = "" };
        struct ts_call *c = start(&s, TS_CALL_DOWNLOAD, 0, 0, 0, 0);
        bool refused = true;
        UNIT_OK(ts_call_wait_answer(c, NULL, NULL, &err));
        (void)read_all(ts_call_body_fd(c));
        UNIT_FAILS(ts_call_finish(c, NULL, NULL, NULL, &refused, &err), TS_ECONNECT);
        CU_ASSERT_FALSE(refused);
        ts_call_free(c);
        server_join(&s);
}

static void refused_download(void)
{
        struct server s = { .serve = serve_text, .ctx = "HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\n{\"message\":\"nobody\"}" };
        struct ts_call *c = start(&s, TS_CALL_DOWNLOAD, 0, 0, 0, 0);
        UNIT_FAILS(ts_call_wait_answer(c, NULL, NULL, &err), TS_ENOTFOUND);
        CU_ASSERT_EQUAL(read_all(ts_call_body_fd(c)), 0);
        UNIT_FAILS(ts_call_finish(c, NULL, NULL, NULL, NULL, &err), TS_ENOTFOUND);
        ts_call_free(c);
        server_join(&s);
}

/* ---- time ---- */

static void count_tick(void *ctx)
{
        ++*(int *)ctx;
}

static void answer_times_out(void)
{
        struct server s = { .serve = serve_silence };
        struct ts_call *c = start(&s, TS_CALL_NO_BODY, 0, 0, 400, 0);
        uint64_t before = ts_now_us();
        int ticks = 0;
        bool refused = true;
        UNIT_FAILS(ts_call_wait_answer(c, count_tick, &ticks, &err), TS_ETIMEOUT);
        CU_ASSERT_TRUE(ts_now_us() - before >= 350000 && ts_now_us() - before < 2000000);
        CU_ASSERT_TRUE(ticks >= 2 && ticks <= 5);
        UNIT_FAILS(ts_call_finish(c, NULL, NULL, NULL, &refused, &err), TS_ETIMEOUT);
        CU_ASSERT_FALSE(refused);
        ts_call_free(c);
        server_join(&s);
}

/* The time of an upload's answer begins with the end of its body. */
static void upload_may_take_its_time(void)
{
        struct server s = { .serve = serve_upload };
        struct ts_call *c = start(&s, TS_CALL_UPLOAD, 0, 0, 300, 0);
        ts_sleep_ms(600);
        UNIT_OK(ts_write_all(ts_call_body_fd(c), "x", 1, 0, false, &err));
        UNIT_OK(ts_call_end_body(c, &err));
        UNIT_OK(ts_call_finish(c, NULL, NULL, NULL, NULL, &err));
        ts_call_free(c);
        server_join(&s);
}

static void free_breaks_at_once(void)
{
        static const struct {
                void (*serve)(struct server *s, int fd, int nth);
                enum ts_call_body body;
        } cases[] = { { serve_silence, TS_CALL_NO_BODY }, { serve_download, TS_CALL_DOWNLOAD }, { serve_silence, TS_CALL_UPLOAD } };
        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                struct server s = { .serve = cases[i].serve, .ctx = "" };
                struct ts_call *c = start(&s, cases[i].body, 0, 0, 0, 0);
                ts_sleep_ms(100); /* nobody reads the download: its thread is in the middle of writing */
                uint64_t before = ts_now_us();
                ts_call_free(c);
                CU_ASSERT_TRUE(ts_now_us() - before < 500000);
                server_join(&s);
        }
        ts_call_free(NULL);
}

static void dial_fails_before_anything_is_sent(void)
{
        struct server s = { .serve = serve_ok };
        struct ts_dial d = { server_dial, &s };
        struct ts_call *c = NULL;
        struct ts_call_start o = { .engine = "E", .doing = "x", .dial = &d, .ping = &d, .target = "/", .body = TS_CALL_DOWNLOAD };
        atomic_store(&s.refuse_dials, true);
        UNIT_FAILS(ts_call_new(&o, &c, &err), TS_ECONNECT);
        CU_ASSERT_PTR_NULL(c);
}

/* The call's own connection is silent; pings are answered until the test ends that. */
static void serve_silent_call(struct server *s, int fd, int nth)
{
        if (nth == 0)
                serve_silence(s, fd, nth);
        else
                serve_one(s, fd, nth);
}

struct peer_watch {
        struct server *s;
        uint64_t begun_us;
};

static void stop_pings_later(void *ctx)
{
        struct peer_watch *w = ctx;
        if (ts_now_us() - w->begun_us > 7500000)
                atomic_store(&w->s->refuse_dials, true);
}

static void silent_peer_is_asked_and_given_up(void)
{
        struct server s = { .serve = serve_silent_call };
        struct ts_call *c = start(&s, TS_CALL_NO_BODY, 0, 0, 0, 1500);
        struct peer_watch w = { &s, ts_now_us() };
        bool refused = true;
        UNIT_FAILS(ts_call_wait_answer(c, stop_pings_later, &w, &err), TS_ECONNECT);
        uint64_t took = ts_now_us() - w.begun_us;
        CU_ASSERT_TRUE(took > 8500000 && took < 14000000); /* 5 s quiet, pings at 5 and 7, then refused from 9 on for 1.5 s */
        CU_ASSERT_TRUE(atomic_load(&s.dials) >= 3);
        UNIT_FAILS(ts_call_finish(c, NULL, NULL, NULL, &refused, &err), TS_ECONNECT);
        CU_ASSERT_FALSE(refused);
        ts_call_free(c);
        server_join(&s);
}

/* ---- opening an engine ---- */

static void serve_ping(struct server *s, int fd, int nth)
{
        char head[4096];
        (void)nth;
        while (server_read_head(s, fd, head, sizeof(head)) > 0) {
                if (strstr(head, "GET /version "))
                        server_answer(fd, "200 OK", "", "{\"ApiVersion\":\"1.32\"}");
                else if (strstr(head, "/_ping "))
                        server_answer(fd, "200 OK", s->ctx, "OK");
                else
                        server_answer(fd, "200 OK", "", "null");
        }
}

static const struct {
        const char *headers;
        enum ts_engine_kind kind;
        enum ts_code code;
} pings[] = {
        { "Libpod-Api-Version: 5.4.2\r\nApi-Version: 1.41\r\n", TS_PODMAN, TS_OK },
        { "Libpod-Api-Version: 4.3.1\r\nApi-Version: 1.41\r\n", TS_PODMAN, TS_OK },
        { "Libpod-Api-Version: 6.0.0-dev\r\n", TS_PODMAN, TS_OK },
        { "Libpod-Api-Version: 3.4.4\r\n", 0, TS_EENGINE },
        { "Libpod-Api-Version: five\r\n", 0, TS_EPROTO },
        { "API-Version: 1.32\r\nDocker-Experimental: true\r\n", TS_DOCKER, TS_OK },
        { "API-Version: 1.99\r\n", TS_DOCKER, TS_OK },
        { "API-Version: 1.24\r\n", 0, TS_EENGINE },
        { "API-Version: 2.0\r\n", 0, TS_EPROTO },
        { "", TS_DOCKER, TS_OK }, /* asks /version */
};

static void engines_are_recognised(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(pings); i++) {
                struct server s = { .serve = serve_ping, .ctx = pings[i].headers };
                struct ts_dial d = { server_dial, &s };
                struct ts_api *a = NULL;
                int rc = ts_api_open(&d, &a, &err);
                CU_ASSERT_EQUAL(err.code, pings[i].code);
                if (pings[i].code == TS_OK) {
                        UNIT_OK(rc);
                        CU_ASSERT_EQUAL(ts_api_kind(a), pings[i].kind);
                        UNIT_OK(ts_api_ping(a, 1000, &err));
                        CU_ASSERT_EQUAL(ts_api_set_restart_policy(a, "web", "no", 0, &err) < 0 && err.hint, i == 1);
                }
                ts_err_clear(&err);
                ts_api_free(a);
                server_join(&s);
        }
}

/* What a Podman of that version is told when only the restart policy is to change. */
struct updated {
        const char *headers, *expected;
        char body[512];
};

static void serve_update(struct server *s, int fd, int nth)
{
        struct updated *u = (struct updated *)(uintptr_t)s->ctx;
        char head[4096];
        (void)nth;
        while (server_read_head(s, fd, head, sizeof(head)) > 0) {
                size_t len = server_body_length(head);
                if (strstr(head, "/update?restartPolicy=always ") && len < sizeof(u->body) &&
                    recv(fd, u->body, len, MSG_WAITALL) != (ssize_t)len)
                        u->body[0] = '\0';
                if (strstr(head, "/_ping "))
                        server_answer(fd, "200 OK", u->headers, "OK");
                else
                        server_answer(fd, "200 OK", "",
                                      "{\"HostConfig\":{\"Ulimits\":[{\"Name\":\"RLIMIT_NOFILE\","
                                      "\"Soft\":1234,\"Hard\":2345},"
                                      "{\"Name\":\"RLIMIT_CORE\",\"Soft\":0,\"Hard\":-1}]}}");
        }
}

static void a_policy_changes_nothing_else(void)
{
        static const char limits[] =
                "{\"r_limits\":[{\"type\":\"NOFILE\",\"soft\":1234,\"hard\":2345},"
                "{\"type\":\"CORE\",\"soft\":0,\"hard\":18446744073709551615}]}";
        struct updated all[] = {
                { "Libpod-Api-Version: 5.1.0\r\n", "null", "" },
                { "Libpod-Api-Version: 5.3.2\r\n", "null", "" },
                { "Libpod-Api-Version: 5.4.2\r\n", "{}", "" },
                { "Libpod-Api-Version: 5.7.1\r\n", "{}", "" },
                { "Libpod-Api-Version: 5.8.0\r\n", limits, "" },
                { "Libpod-Api-Version: 5.8.6\r\n", limits, "" },
                { "Libpod-Api-Version: 6.0.0-dev\r\n", limits, "" },
        };
        for (size_t i = 0; i < TS_ARRAY_LEN(all); i++) {
                struct server s = { .serve = serve_update, .ctx = &all[i] };
                struct ts_dial d = { server_dial, &s };
                struct ts_api *a = NULL;
                UNIT_OK(ts_api_open(&d, &a, &err));
                UNIT_OK(ts_api_set_restart_policy(a, "good", "always", 0, &err));
                ts_api_free(a);
                server_join(&s);
                UNIT_STR(all[i].body, all[i].expected);
        }
}

static void hostile_names_stay_out_of_urls(void)
{
        static const char *const names[] = { "", "..", "../x", "a/b", "a b", "-a", "a?b", "a%2fb", "a\nb", "\xc3\xa9" };
        struct server s = { .serve = serve_ping, .ctx = "API-Version: 1.45\r\n" };
        struct ts_dial d = { server_dial, &s };
        struct ts_api *a = NULL;
        struct ts_container *c = NULL;
        UNIT_OK(ts_api_open(&d, &a, &err));
        int before = atomic_load(&s.requests);
        for (size_t i = 0; i < TS_ARRAY_LEN(names); i++) {
                UNIT_FAILS(ts_api_inspect(a, names[i], &c, &err), TS_EUSAGE);
                UNIT_FAILS(ts_api_remove(a, names[i], true, true, &err), TS_EUSAGE);
                UNIT_FAILS(ts_api_rename(a, "good", names[i], &err), TS_EUSAGE);
        }
        UNIT_FAILS(ts_api_image_remove(a, "../../containers/x", &err), TS_EUSAGE);
        UNIT_FAILS(ts_api_network_remove(a, "..", &err), TS_EUSAGE);
        CU_ASSERT_EQUAL(atomic_load(&s.requests), before);
        UNIT_FAILS(ts_api_inspect(a, "good", &c, &err), TS_EPROTO); /* null */
        ts_api_free(a);
        server_join(&s);
}

static CU_TestInfo tests[] = {
        UNIT(request_and_headers),
        UNIT(connections_are_used_again_but_for_post),
        UNIT(dead_idle_connection_is_replaced),
        UNIT(post_is_never_repeated),
        UNIT(a_question_is_asked_twice_at_most),
        UNIT(bad_answers_are_errors),
        UNIT(huge_answers_are_refused),
        UNIT(silence_times_out),
        UNIT(failed_dial_tells_why),
        UNIT(refusals_are_understood),
        UNIT(urls_are_escaped),
        UNIT(upload_is_whole_only_after_end_body),
        UNIT(upload_without_end_is_never_whole),
        UNIT(declared_length_on_the_wire),
        UNIT(wrong_lengths),
        UNIT(early_refusal_ends_an_upload),
        UNIT(download_is_streamed),
        UNIT(broken_download_is_told_by_finish),
        UNIT(refused_download),
        UNIT(answer_times_out),
        UNIT(upload_may_take_its_time),
        UNIT(free_breaks_at_once),
        UNIT(dial_fails_before_anything_is_sent),
        UNIT(silent_peer_is_asked_and_given_up),
        UNIT(engines_are_recognised),
        UNIT(a_policy_changes_nothing_else),
        UNIT(hostile_names_stay_out_of_urls),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("api_http", tests)
