/* Decides how a request reaches an engine and which answers are acceptable at all. Does not know what is asked. */
#include "api/http.h"

#include "api/curl_priv.h"
#include "base/io.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct ts_http {
        CURL *easy;
        struct ts_conn conn;
        char error_text[CURL_ERROR_SIZE];
        /* the request under way */
        CURLcode rc;
        struct ts_header header;
        struct ts_http_answer *answer;
        size_t max_body;
        struct ts_err err; /* why a callback gave up */
};

/* ---- shared with call.c ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode once_rc;
static void init_once(void)
{
        once_rc = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int ts_curl_init(struct ts_err *err)
{
        (void)pthread_once(&once, init_once);
        return once_rc == CURLE_OK ? 0 : ts_err_set(err, TS_EINTERNAL, "libcurl does not start: %s", curl_easy_strerror(once_rc));
}

/* ---- handing over a connected descriptor ----
 *
 * libcurl's way is to return it here and to say CURL_SOCKOPT_ALREADY_CONNECTED. 7.88 (Debian 12's) forgets that and calls connect() all the same, which fails on a connected Unix socket; and no version
 * before 8.10 ever uses a connection again whose other end has no Internet address. Those are given a stand-in, a datagram socket, for which connect() succeeds and sends nothing; and before the first byte
 * of the request is written, the connected descriptor is put in its place under the same number. */

#if LIBCURL_VERSION_NUM >= 0x075000
#define NEEDS_PREREQ /* there is none before 7.80: then every request dials */
#endif

static bool needs_stand_in(void)
{
        const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
        return v->version_num >= 0x075000 && v->version_num < 0x080a00;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct ts_conn *c = ctx;
        int fd = TS_TAKE_FD(c->fd);
        (void)purpose;
        (void)address;
        if (fd < 0 && c->dial.dial) {
                ts_err_clear(&c->err);
                if (c->dial.dial(c->dial.ctx, &fd, &c->err) < 0)
                        return CURL_SOCKET_BAD;
        }
        if (fd < 0 || !needs_stand_in())
                return fd < 0 ? CURL_SOCKET_BAD : fd;
        ts_closep(&c->late_fd);
        c->late_fd = fd;
        c->stand_in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return c->stand_in < 0 ? CURL_SOCKET_BAD : c->stand_in;
}

static int socket_is_connected(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
        (void)ctx;
        (void)fd;
        (void)purpose;
        return needs_stand_in() ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ALREADY_CONNECTED;
}

#ifdef NEEDS_PREREQ
/* Called before each request is written, also on a connection that is used again. */
static int before_request(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
        struct ts_conn *c = ctx;
        (void)ip;
        (void)local_ip;
        (void)port;
        (void)local_port;
        if (c->late_fd < 0)
                return CURL_PREREQFUNC_OK;
        ts_auto_fd int late = TS_TAKE_FD(c->late_fd);
        int place = TS_TAKE_FD(c->stand_in);
        return ts_set_nonblock(late, true, &c->err) < 0 || dup3(late, place, O_CLOEXEC) < 0 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}
#endif

void ts_conn_clear(struct ts_conn *c)
{
        ts_closep(&c->fd);
        ts_closep(&c->late_fd);
        ts_err_clear(&c->err);
        *c = (struct ts_conn)TS_CONN_INIT; /* the stand-in is libcurl's */
}

/* ---- options ---- */

void ts_curl_setup(CURL *easy, struct ts_conn *conn, const char *target, struct curl_slist *headers, char *error_text)
{
        /* An address, not a name: nothing is looked up, and there is one attempt only. It is never connected to. */
        ts_auto_free char *url = ts_fmt("http://127.0.0.1%s", target);
        *error_text = '\0';
        (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
        (void)curl_easy_setopt(easy, CURLOPT_URL, url);
        (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "tranship/" TS_VERSION);
        (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
        (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
        (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
        (void)curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
        (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
        (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
#else
        (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTP);
#endif
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, conn);
        (void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, socket_is_connected);
#ifdef NEEDS_PREREQ
        (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
        (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, conn);
#endif
}

int ts_curl_header(struct curl_slist **list, const char *line, struct ts_err *err)
{
        struct curl_slist *longer = curl_slist_append(*list, line);
        if (!longer) {
                curl_slist_free_all(TS_TAKE(*list));
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        *list = longer;
        return 0;
}

bool ts_header_line(struct ts_header *h, const char *line, size_t len)
{
        h->bytes += len;
        if (h->bytes > TS_HTTP_MAX_HEADER)
                return false;
        if (len >= 12 && memcmp(line, "HTTP/1.", 7) == 0 && line[8] == ' ') {
                h->status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'); /* libcurl has seen to it that these are digits */
        } else if (h->status >= 200 && (len == 0 || *line == '\r' || *line == '\n')) {
                h->complete = true;
        }
        return true;
}

struct meaning {
        CURLcode rc;
        enum ts_code code;
        const char *text;
};
static const struct meaning meanings[] = {
        { CURLE_OPERATION_TIMEDOUT, TS_ETIMEOUT, "no complete answer of the engine in time" },
        { CURLE_COULDNT_CONNECT, TS_ECONNECT, "cannot connect to the engine" },
        { CURLE_GOT_NOTHING, TS_ECONNECT, "the engine closed the connection without an answer" },
        { CURLE_PARTIAL_FILE, TS_ECONNECT, "the connection to the engine ended within an answer" },
        { CURLE_RECV_ERROR, TS_ECONNECT, "lost the connection to the engine" },
        { CURLE_SEND_ERROR, TS_ECONNECT, "lost the connection to the engine" },
        { CURLE_WEIRD_SERVER_REPLY, TS_EPROTO, "the engine's answer is not HTTP" },
        { CURLE_UNSUPPORTED_PROTOCOL, TS_EPROTO, "the engine's answer is not HTTP" }, /* HTTP/0.9, as libcurl calls anything without a status line */
        { CURLE_BAD_CONTENT_ENCODING, TS_EPROTO, "the engine's answer cannot be decoded" },
        { CURLE_OUT_OF_MEMORY, TS_ENOMEM, "out of memory" },
};

int ts_curl_error(CURLcode rc, struct ts_conn *conn, const char *error_text, struct ts_err *err)
{
        const char *why = *error_text ? error_text : curl_easy_strerror(rc);
        ts_auto_free char *clean = ts_printable(why, strlen(why), 200);
        if (ts_err_is_set(&conn->err)) {
                if (err && !ts_err_is_set(err))
                        ts_err_move(err, &conn->err);
                return -1;
        }
        for (size_t i = 0; i < TS_ARRAY_LEN(meanings); i++)
                if (meanings[i].rc == rc)
                        return ts_err_set(err, meanings[i].code, "%s (%s)", meanings[i].text, ts_or(clean, "?"));
        return ts_err_set(err, TS_EPROTO, "talking to the engine failed: %s", ts_or(clean, "?"));
}

/* ---- an ordinary request ---- */

int ts_http_new(const struct ts_dial *dial, struct ts_http **ret, struct ts_err *err)
{
        if (ts_curl_init(err) < 0)
                return -1;
        ts_auto(ts_http) struct ts_http *h = calloc(1, sizeof(*h));
        if (!h)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        h->conn = (struct ts_conn)TS_CONN_INIT;
        h->conn.dial = *dial;
        h->easy = curl_easy_init();
        if (!h->easy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = TS_TAKE(h);
        return 0;
}

void ts_http_free(struct ts_http *h)
{
        if (!h)
                return;
        curl_easy_cleanup(h->easy);
        ts_conn_clear(&h->conn);
        ts_err_clear(&h->err);
        free(h);
}

void ts_http_answer_clear(struct ts_http_answer *a)
{
        ts_str_clear(&a->body);
        *a = (struct ts_http_answer)TS_HTTP_ANSWER_INIT;
}

static void keep_header(struct ts_http_answer *a, const char *line, size_t len)
{
        const struct {
                const char *name;
                char *to;
                size_t size;
        } wanted[] = {
                { "Api-Version:", a->api_version, sizeof(a->api_version) },
                { "Libpod-API-Version:", a->libpod_version, sizeof(a->libpod_version) },
                { "Docker-Experimental:", a->experimental, sizeof(a->experimental) },
        };
        for (size_t i = 0; i < TS_ARRAY_LEN(wanted); i++) {
                size_t n = strlen(wanted[i].name), out = 0;
                if (len < n || strncasecmp(line, wanted[i].name, n) != 0)
                        continue;
                for (; n < len && out + 1 < wanted[i].size; n++)
                        if (line[n] > ' ' && line[n] < 0x7f)
                                wanted[i].to[out++] = line[n];
                wanted[i].to[out] = '\0';
        }
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
        struct ts_http *h = ctx;
        size_t len = size * n;
        if (!ts_header_line(&h->header, line, len)) {
                (void)ts_err_set(&h->err, TS_ELIMIT, "the header of the engine's answer is larger than %zu bytes", TS_HTTP_MAX_HEADER);
                return 0;
        }
        keep_header(h->answer, line, len);
        return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
        struct ts_http *h = ctx;
        if (h->answer->body.len + size * n > h->max_body) {
                (void)ts_err_set(&h->err, TS_ELIMIT, "the engine's answer is larger than %zu bytes", h->max_body);
                return 0;
        }
        return ts_str_add(&h->answer->body, data, size * n, &h->err) < 0 ? 0 : size * n;
}

static void set_method(CURL *easy, const struct ts_http_request *r)
{
        switch (r->method) {
        case TS_GET:
                (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
                break;
        case TS_DELETE:
                (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
                break;
        case TS_POST:
                (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
                (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ts_or(r->json, ""));
                (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(r->json ? strlen(r->json) : 0));
                (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
                break;
        }
}

static int request_headers(const struct ts_http_request *r, struct curl_slist **ret, struct ts_err *err)
{
        if (ts_curl_header(ret, "Host: localhost", err) < 0 || ts_curl_header(ret, "Expect:", err) < 0 ||
            ts_curl_header(ret, "Accept: application/json", err) < 0)
                return -1;
        return r->method == TS_POST ? ts_curl_header(ret, r->json ? "Content-Type: application/json" : "Content-Type:", err) : 0;
}

static int perform(struct ts_http *h, const struct ts_http_request *r, struct curl_slist *headers, bool fresh, struct ts_http_answer *ret,
                   struct ts_err *err)
{
        h->header = (struct ts_header){ 0 };
        h->answer = ret;
        h->max_body = r->max_body ? r->max_body : TS_HTTP_MAX_BODY;
        ts_err_clear(&h->err);
        ts_err_clear(&h->conn.err);
        curl_easy_reset(h->easy); /* connections stay */
        ts_curl_setup(h->easy, &h->conn, r->target, headers, h->error_text);
        set_method(h->easy, r);
        if (fresh)
                (void)curl_easy_setopt(h->easy, CURLOPT_FRESH_CONNECT, 1L);
        (void)curl_easy_setopt(h->easy, CURLOPT_MAXCONNECTS, 1L);
        (void)curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)(r->timeout_ms ? r->timeout_ms : TS_API_TIMEOUT_MS));
        (void)curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header);
        (void)curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, h);
        (void)curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_body);
        (void)curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
        h->rc = curl_easy_perform(h->easy);
        h->answer = NULL;
        if (ts_err_is_set(&h->err)) {
                if (err && !ts_err_is_set(err))
                        ts_err_move(err, &h->err);
                return -1;
        }
        if (h->rc != CURLE_OK)
                return ts_curl_error(h->rc, &h->conn, h->error_text, err);
        if (!h->header.complete) /* libcurl 7.88 takes an end within the header for its end */
                return ts_curl_error(CURLE_GOT_NOTHING, &h->conn, h->error_text, err);
        ret->status = h->header.status;
        return 0;
}

/* A question may be asked again where the connection turned out to be dead: one that was kept, or dialled ahead of time. Anything else may have been heard; and where none can be made, another try makes none. */
static bool may_repeat(const struct ts_http *h, const struct ts_http_request *r, const struct ts_err *failed)
{
        return r->method == TS_GET && failed->code == TS_ECONNECT && h->header.bytes == 0 && h->rc != CURLE_COULDNT_CONNECT;
}

int ts_http_do(struct ts_http *h, const struct ts_http_request *r, struct ts_http_answer *ret, struct ts_err *err)
{
        struct curl_slist *headers = NULL;
        ts_auto_err failed = TS_ERR_INIT;
        int rc;
        if (request_headers(r, &headers, err) < 0)
                return -1;
        rc = perform(h, r, headers, false, ret, &failed);
        if (rc < 0 && may_repeat(h, r, &failed)) {
                ts_err_clear(&failed);
                rc = perform(h, r, headers, true, ret, &failed);
        }
        curl_slist_free_all(headers);
        if (rc < 0 && err && !ts_err_is_set(err))
                ts_err_move(err, &failed);
        return rc;
}

/* ---- refusals ---- */

static enum ts_code code_of(int status)
{
        return status == 404 ? TS_ENOTFOUND : status == 409 || status == 304 ? TS_ECONFLICT : TS_EENGINE;
}

int ts_http_refusal(int status, const char *body, size_t len, const char *engine, const char *doing, struct ts_err *err)
{
        ts_auto_err ignored = TS_ERR_INIT;
        ts_auto(ts_json) struct ts_json *j = NULL;
        bool first = !ts_err_is_set(err);
        (void)ts_json_parse(ts_or(body, ""), len, TS_HTTP_MAX_ERROR, &j, &ignored);
        const char *says = ts_json_str(j, "message", ts_json_str(j, "cause", NULL));
        ts_auto_free char *text = says ? ts_printable(says, strlen(says), 2000) : ts_printable(body, len, 300);
        if (status == 304)
                (void)ts_err_set(err, code_of(status), "cannot %s: it is in that state already", doing);
        else if (!text || *text == '\0')
                (void)ts_err_set(err, code_of(status), "cannot %s: %s answers with status %d and no reason", doing, engine, status);
        else
                (void)ts_err_set(err, code_of(status), "cannot %s: %s says: %s", doing, engine, text);
        if (err && first)
                err->http_status = status;
        return -1;
}

/* ---- URLs ---- */

int ts_url_add(struct ts_str *url, const char *text, const char *keep, struct ts_err *err)
{
        for (const char *p = text; *p; p++) {
                bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~", *p) || strchr(keep, *p);
                if ((plain ? ts_str_add(url, p, 1, err) : ts_str_addf(url, err, "%%%02X", (unsigned)(unsigned char)*p)) < 0)
                        return -1;
        }
        return 0;
}

int ts_url_query(struct ts_str *url, const char *key, const char *value, struct ts_err *err)
{
        if (!value)
                return 0;
        if (ts_str_addf(url, err, "%c%s=", strchr(ts_str_cstr(url), '?') ? '&' : '?', key) < 0)
                return -1;
        return ts_url_add(url, value, "", err);
}
