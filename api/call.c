/* Decides how a long request lives: its thread, its body's descriptor, when it ends and what its end means. Does not know what is asked.
 *
 * Three sides: the caller (ts_call_*), the thread (run and libcurl's callbacks), and between them the lock, an eventfd that wakes the thread, and the body's socket pair. The thread blocks in
 * curl_multi_poll, or, when the reader of a download is slow, in push. Both watch the eventfd, so a break-off works at once.
 *
 * An upload ends for the engine only after ts_call_end_body: a plain end of the descriptor breaks the request off. With a declared length the engine takes the last byte for the end, so that byte
 * is held back here until ts_call_end_body too. */
#include "api/call.h"

#include "api/curl_priv.h"
#include "api/peer.h"
#include "base/io.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#define TICK_MS 100
#define BUFFER_BYTES (512L << 10) /* libcurl's, each way */
#define MAX_ANSWER ((size_t)4 << 20)

struct ts_call {
        /* fixed before the thread starts */
        char *engine, *doing, *json;
        enum ts_call_body body;
        uint64_t declared_bytes, own_bytes; /* 0, 0: chunked */
        unsigned timeout_ms;
        ts_call_decode_fn decode;
        uint64_t sent_us;
        int wake_fd;
        int user_fd; /* the caller's end of the body */
        pthread_t thread;
        bool started;

        /* the caller's */
        struct ts_peer *peer;

        /* the thread's */
        CURLM *multi;
        CURL *easy;
        struct curl_slist *headers;
        struct ts_conn conn;
        char error_text[CURL_ERROR_SIZE];
        struct ts_header header;
        int body_fd;
        bool paused; /* an upload waits for its body */
        uint64_t uploaded;
        char last_byte;
        bool has_last;
        struct ts_str answer; /* all but a download; read by the caller when done */
        struct ts_err cause;  /* why a callback gave up */

        /* both */
        atomic_bool ended, broken_off;
        _Atomic uint64_t ended_us, moved_us, body_bytes;
        pthread_mutex_t lock; /* the rest */
        pthread_cond_t changed;
        bool answered, done;
        int status;          /* 0: none came */
        struct ts_err err;   /* why it ended without a complete answer */
};

/* ---- the thread: bodies ---- */

static void moved(struct ts_call *c)
{
        atomic_store(&c->moved_us, ts_now_us());
}

static size_t give_up(struct ts_call *c, enum ts_code code, const char *why)
{
        (void)ts_err_set(&c->cause, code, "%s", why);
        return CURL_READFUNC_ABORT;
}

/* More of the body: the count, 0 at its end, or what libcurl is to be told. */
static ssize_t receive(struct ts_call *c, char *buf, size_t len)
{
        ssize_t got = recv(c->body_fd, buf, len, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
                c->paused = true;
                return CURL_READFUNC_PAUSE;
        }
        if (got > 0)
                return got;
        /* ended is set before the descriptor's end can be seen here */
        return atomic_load(&c->ended) ? 0 : (ssize_t)give_up(c, TS_ECANCELED, "the request's body was broken off");
}

static bool is_bytes(ssize_t got)
{
        return got > 0 && got != CURL_READFUNC_PAUSE && got != CURL_READFUNC_ABORT;
}

static size_t sent(struct ts_call *c, ssize_t got)
{
        c->uploaded += (uint64_t)got;
        atomic_store(&c->body_bytes, c->uploaded);
        moved(c);
        return (size_t)got;
}

/* It leaves when the end of the body is known to be meant, and no byte follows. */
static size_t read_last_byte(struct ts_call *c, char *buf)
{
        char more;
        ssize_t got;
        if (!c->has_last) {
                got = receive(c, &c->last_byte, 1);
                if (got == 0)
                        return give_up(c, TS_EPROTO, "the request's body ended before its declared length");
                if (!is_bytes(got))
                        return (size_t)got;
                c->has_last = true;
        }
        got = receive(c, &more, 1);
        if (is_bytes(got))
                return give_up(c, TS_EPROTO, "the request's body is longer than was declared");
        if (got != 0)
                return (size_t)got;
        *buf = c->last_byte;
        return sent(c, 1);
}

static size_t on_read(char *buf, size_t size, size_t n, void *ctx)
{
        struct ts_call *c = ctx;
        size_t want = size * n;
        if (c->own_bytes > 0) {
                uint64_t left = c->own_bytes - c->uploaded;
                if (left <= 1)
                        return left == 0 ? 0 : read_last_byte(c, buf);
                if (want >= left)
                        want = (size_t)left - 1;
        }
        ssize_t got = receive(c, buf, want);
        if (got == 0 && c->own_bytes > 0)
                return give_up(c, TS_EPROTO, "the request's body ended before its declared length");
        return is_bytes(got) ? sent(c, got) : (size_t)got;
}

/* Everything into the caller's descriptor; waits for a slow reader. */
static bool push(struct ts_call *c, const char *data, size_t len)
{
        while (len > 0) {
                ssize_t n = send(c->body_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n > 0) {
                        data += n;
                        len -= (size_t)n;
                        atomic_fetch_add(&c->body_bytes, (uint64_t)n);
                        continue;
                }
                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return false;
                struct pollfd p[] = { { .fd = c->body_fd, .events = POLLOUT }, { .fd = c->wake_fd, .events = POLLIN } };
                (void)poll(p, 2, -1);
                if (atomic_load(&c->broken_off))
                        return false;
        }
        return true;
}

static bool is_good(int status)
{
        return status >= 200 && status < 300;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
        struct ts_call *c = ctx;
        size_t len = size * n;
        moved(c);
        if (is_good(c->header.status) && c->body == TS_CALL_DOWNLOAD) {
                if (!push(c, data, len))
                        return give_up(c, TS_ECANCELED, "the reader of the answer is gone"), 0;
                moved(c);
                return len;
        }
        if (!is_good(c->header.status)) { /* of a refusal the beginning is enough */
                size_t room = c->answer.len < TS_HTTP_MAX_ERROR ? TS_HTTP_MAX_ERROR - c->answer.len : 0;
                return ts_str_add(&c->answer, data, len < room ? len : room, &c->cause) < 0 ? 0 : len;
        }
        if (c->answer.len + len > MAX_ANSWER)
                return give_up(c, TS_ELIMIT, "the engine's answer is too large"), 0;
        return ts_str_add(&c->answer, data, len, &c->cause) < 0 ? 0 : len;
}

static size_t on_header(char *line, size_t size, size_t n, void *ctx)
{
        struct ts_call *c = ctx;
        size_t len = size * n;
        bool complete = c->header.complete;
        moved(c);
        if (!ts_header_line(&c->header, line, len))
                return give_up(c, TS_ELIMIT, "the header of the engine's answer is too large"), 0;
        if (c->header.complete && !complete) {
                (void)pthread_mutex_lock(&c->lock);
                c->status = c->header.status;
                c->answered = true;
                (void)pthread_cond_broadcast(&c->changed);
                (void)pthread_mutex_unlock(&c->lock);
        }
        return len;
}

/* ---- the thread: its loop ---- */

/* When to give up waiting: for the status line as the caller said, for a short answer's body as for any other call. */
static ts_deadline deadline_of(const struct ts_call *c, uint64_t answered_us)
{
        if (answered_us)
                return c->body == TS_CALL_DOWNLOAD && is_good(c->header.status) ? 0 : answered_us + TS_API_TIMEOUT_MS * 1000ULL;
        uint64_t from = c->body == TS_CALL_UPLOAD ? atomic_load(&c->ended_us) : c->sent_us;
        return c->timeout_ms && from ? from + c->timeout_ms * 1000ULL : 0;
}

static void wait_for_something(struct ts_call *c, ts_deadline deadline)
{
        struct curl_waitfd extra[] = {
                { .fd = c->wake_fd, .events = CURL_WAIT_POLLIN },
                { .fd = c->body_fd, .events = CURL_WAIT_POLLIN },
        };
        uint64_t wakes;
        (void)curl_multi_poll(c->multi, extra, c->paused ? 2 : 1, ts_deadline_poll_ms(deadline, 1000), NULL);
        bool woken = read(c->wake_fd, &wakes, sizeof(wakes)) == (ssize_t)sizeof(wakes);
        if (c->paused && (woken || extra[1].revents)) {
                c->paused = false;
                (void)curl_easy_pause(c->easy, CURLPAUSE_CONT);
        }
}

static int transfer_end(struct ts_call *c, struct ts_err *err)
{
        int left;
        const CURLMsg *m = curl_multi_info_read(c->multi, &left);
        if (!m || m->msg != CURLMSG_DONE)
                return ts_err_set(err, TS_EINTERNAL, "libcurl stopped without a result");
        if (ts_err_is_set(&c->cause)) {
                ts_err_move(err, &c->cause);
                return -1;
        }
        if (m->data.result == CURLE_OK && c->header.complete)
                return 0;
        return ts_curl_error(m->data.result == CURLE_OK ? CURLE_GOT_NOTHING : m->data.result, &c->conn, c->error_text, err);
}

static int transfer(struct ts_call *c, struct ts_err *err)
{
        uint64_t answered_us = 0;
        int running = 1;
        while (true) {
                if (atomic_load(&c->broken_off))
                        return ts_err_set(err, TS_ECANCELED, "broken off");
                if (curl_multi_perform(c->multi, &running) != CURLM_OK)
                        return ts_err_set(err, TS_EINTERNAL, "libcurl failed");
                if (running == 0)
                        return transfer_end(c, err);
                if (c->header.complete && !answered_us)
                        answered_us = ts_now_us();
                ts_deadline d = deadline_of(c, answered_us);
                if (ts_deadline_passed(d))
                        return ts_err_set(err, TS_ETIMEOUT, "no complete answer of the engine in time");
                wait_for_something(c, d);
        }
}

/* Closes the connection before anybody hears of the end. */
static void drop_connection(struct ts_call *c)
{
        if (c->easy && c->multi)
                (void)curl_multi_remove_handle(c->multi, c->easy);
        curl_easy_cleanup(TS_TAKE(c->easy));
        (void)curl_multi_cleanup(TS_TAKE(c->multi));
        ts_closep(&c->conn.fd);
        ts_closep(&c->conn.late_fd);
        c->conn.fd = c->conn.late_fd = -1;
}

static void *run(void *arg)
{
        struct ts_call *c = arg;
        struct ts_err err = TS_ERR_INIT;
        (void)transfer(c, &err);
        drop_connection(c);
        (void)pthread_mutex_lock(&c->lock);
        if (ts_err_is_set(&err) && !ts_err_is_set(&c->err))
                ts_err_move(&c->err, &err);
        if (c->body_fd >= 0)
                (void)close(TS_TAKE_FD(c->body_fd));
        c->done = true;
        (void)pthread_cond_broadcast(&c->changed);
        (void)pthread_mutex_unlock(&c->lock);
        ts_err_clear(&err);
        return NULL;
}

/* ---- starting ---- */

static int call_headers(struct ts_call *c, const struct ts_call_start *s, struct ts_err *err)
{
        char length[64];
        if (ts_curl_header(&c->headers, "Host: localhost", err) < 0 || ts_curl_header(&c->headers, "Expect:", err) < 0)
                return -1;
        if (s->body != TS_CALL_UPLOAD)
                return ts_curl_header(&c->headers, s->json ? "Content-Type: application/json" : "Content-Type:", err);
        if (ts_curl_header(&c->headers, "Content-Type: application/x-tar", err) < 0)
                return -1;
        if (s->own_bytes == 0)
                return ts_curl_header(&c->headers, "Transfer-Encoding: chunked", err);
        (void)snprintf(length, sizeof(length), "Content-Length: %" PRIu64, s->declared_bytes);
        return ts_curl_header(&c->headers, length, err);
}

static void set_body(struct ts_call *c, const struct ts_call_start *s)
{
        if (s->get) {
                (void)curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
                return;
        }
        (void)curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
        if (s->body == TS_CALL_UPLOAD) {
                (void)curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
                (void)curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
                (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, s->own_bytes ? (curl_off_t)s->own_bytes : (curl_off_t)-1);
                (void)curl_easy_setopt(c->easy, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
        } else {
                (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, ts_or(c->json, ""));
                (void)curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(c->json ? strlen(c->json) : 0));
        }
}

static int set_up_curl(struct ts_call *c, const struct ts_call_start *s, struct ts_err *err)
{
        c->multi = curl_multi_init();
        c->easy = curl_easy_init();
        if (!c->multi || !c->easy)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (call_headers(c, s, err) < 0)
                return -1;
        ts_curl_setup(c->easy, &c->conn, s->target, c->headers, c->error_text);
        set_body(c, s);
        (void)curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
        (void)curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
        (void)curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
        (void)curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
        (void)curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
        (void)curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
        if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
                return ts_err_set(err, TS_EINTERNAL, "libcurl does not take the request");
        return 0;
}

static int set_up_body(struct ts_call *c, struct ts_err *err)
{
        int fds[2];
        if (c->body == TS_CALL_NO_BODY)
                return 0;
        if (ts_socketpair(fds, err) < 0)
                return -1;
        c->user_fd = fds[0];
        c->body_fd = fds[1];
        return 0;
}

static int set_up_lock(struct ts_call *c, struct ts_err *err)
{
        pthread_condattr_t attr;
        if (pthread_condattr_init(&attr) != 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&c->changed, &attr);
        (void)pthread_condattr_destroy(&attr);
        (void)pthread_mutex_init(&c->lock, NULL);
        c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return c->wake_fd < 0 ? ts_err_errno(err, errno, "cannot make an eventfd") : 0;
}

static int check_lengths(const struct ts_call_start *s, struct ts_err *err)
{
        if (s->declared_bytes == 0 && s->own_bytes == 0)
                return 0;
        if (s->own_bytes == 0 || s->own_bytes > s->declared_bytes || s->declared_bytes > INT64_MAX)
                return ts_err_set(err, TS_EINTERNAL, "a body of %" PRIu64 " bytes cannot have %" PRIu64 " of its own", s->declared_bytes, s->own_bytes);
        return 0;
}

static struct ts_call *call_alloc(const struct ts_call_start *s)
{
        struct ts_call *c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        c->wake_fd = c->user_fd = c->body_fd = -1;
        c->conn = (struct ts_conn)TS_CONN_INIT;
        c->body = s->body;
        c->declared_bytes = s->declared_bytes;
        c->own_bytes = s->own_bytes;
        c->timeout_ms = s->timeout_ms;
        c->decode = s->decode;
        c->engine = strdup(s->engine);
        c->doing = strdup(s->doing);
        c->json = ts_strdup0(s->json);
        return c;
}

/* Signals are for the threads of the command line. */
static int start_thread(struct ts_call *c, struct ts_err *err)
{
        sigset_t all, before;
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        c->sent_us = ts_now_us();
        atomic_store(&c->moved_us, c->sent_us);
        int rc = pthread_create(&c->thread, NULL, run, c);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc != 0)
                return ts_err_errno(err, rc, "cannot start a thread");
        c->started = true;
        return 0;
}

int ts_call_new(const struct ts_call_start *s, struct ts_call **ret, struct ts_err *err)
{
        if (check_lengths(s, err) < 0 || ts_curl_init(err) < 0)
                return -1;
        ts_auto(ts_call) struct ts_call *c = call_alloc(s);
        if (!c || !c->engine || !c->doing || (s->json && !c->json))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (set_up_lock(c, err) < 0 || set_up_body(c, err) < 0 || set_up_curl(c, s, err) < 0)
                return -1;
        if (s->peer_timeout_ms && ts_peer_new(s->ping, s->peer_timeout_ms, &c->peer, err) < 0)
                return -1;
        if (s->dial->dial(s->dial->ctx, &c->conn.fd, err) < 0 || start_thread(c, err) < 0)
                return -1;
        *ret = TS_TAKE(c);
        return 0;
}

/* ---- the caller ---- */

static void wake(struct ts_call *c)
{
        uint64_t one = 1;
        (void)!write(c->wake_fd, &one, sizeof(one));
}

static void break_off(struct ts_call *c)
{
        atomic_store(&c->broken_off, true);
        wake(c);
}

void ts_call_free(struct ts_call *c)
{
        if (!c)
                return;
        if (c->started) {
                break_off(c);
                (void)pthread_join(c->thread, NULL);
        }
        drop_connection(c);
        ts_peer_free(c->peer);
        curl_slist_free_all(c->headers);
        ts_closep(&c->user_fd);
        ts_closep(&c->body_fd);
        ts_closep(&c->wake_fd);
        ts_str_clear(&c->answer);
        ts_conn_clear(&c->conn);
        ts_err_clear(&c->cause);
        ts_err_clear(&c->err);
        free(c->engine);
        free(c->doing);
        free(c->json);
        if (c->wake_fd >= 0) {
                (void)pthread_cond_destroy(&c->changed);
                (void)pthread_mutex_destroy(&c->lock);
        }
        free(c);
}

uint64_t ts_call_sent_us(const struct ts_call *c)
{
        return c->sent_us;
}

int ts_call_body_fd(struct ts_call *c)
{
        return c->user_fd;
}

int ts_call_end_body(struct ts_call *c, struct ts_err *err)
{
        if (c->body != TS_CALL_UPLOAD)
                return ts_err_set(err, TS_EINTERNAL, "this request has no body to end");
        atomic_store(&c->ended_us, ts_now_us());
        atomic_store(&c->ended, true);
        (void)shutdown(c->user_fd, SHUT_WR); /* fails when the request is over already: ts_call_finish tells */
        wake(c);
        return 0;
}

/* Waits TICK_MS at most. */
static void wait_a_tick(struct ts_call *c)
{
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_nsec += TICK_MS * 1000000L;
        if (t.tv_nsec >= 1000000000L) {
                t.tv_sec++;
                t.tv_nsec -= 1000000000L;
        }
        (void)pthread_cond_timedwait(&c->changed, &c->lock, &t);
}

/* The lock is held, and let go for tick and the peer check. A peer that is gone ends the call: the thread sees the break-off, c->err has the reason. */
static void tick_once(struct ts_call *c, void (*tick)(void *ctx), void *ctx)
{
        ts_auto_err gone = TS_ERR_INIT;
        (void)pthread_mutex_unlock(&c->lock);
        if (tick)
                tick(ctx);
        int rc = c->peer ? ts_peer_step(c->peer, atomic_load(&c->moved_us), &gone) : 0;
        (void)pthread_mutex_lock(&c->lock);
        if (rc < 0 && !c->done && !atomic_load(&c->broken_off)) {
                ts_err_move(&c->err, &gone);
                break_off(c);
        }
}

/* The lock is held and the call is done. */
static int result_of(struct ts_call *c, struct ts_err *err)
{
        if (c->status && !is_good(c->status)) /* also when its body broke off: the status line was final */
                return ts_http_refusal(c->status, c->answer.buf, c->answer.len, c->engine, c->doing, err);
        if (!ts_err_is_set(&c->err))
                return 0;
        (void)ts_err_set(err, c->err.code, "cannot %s: %s", c->doing, ts_err_message(&c->err));
        return -1;
}

int ts_call_wait_answer(struct ts_call *c, void (*tick)(void *ctx), void *ctx, struct ts_err *err)
{
        int rc = 0;
        (void)pthread_mutex_lock(&c->lock);
        while (!c->done && !(c->answered && is_good(c->status))) {
                wait_a_tick(c);
                if (!c->done)
                        tick_once(c, tick, ctx);
        }
        if (!(c->answered && is_good(c->status)))
                rc = result_of(c, err);
        (void)pthread_mutex_unlock(&c->lock);
        return rc;
}

static void wait_done(struct ts_call *c, void (*tick)(void *ctx), void *ctx)
{
        while (!c->done) {
                wait_a_tick(c);
                if (!c->done)
                        tick_once(c, tick, ctx);
        }
}

int ts_call_finish(struct ts_call *c, void (*tick)(void *ctx), void *ctx, struct ts_call_result *ret, bool *ret_refused, struct ts_err *err)
{
        struct ts_call_result r = { 0 };
        if (c->body == TS_CALL_UPLOAD && !atomic_load(&c->ended))
                (void)shutdown(c->user_fd, SHUT_WR); /* the thread sees an end that is none, unless the engine has answered */
        (void)pthread_mutex_lock(&c->lock);
        wait_done(c, tick, ctx);
        if (ret_refused)
                *ret_refused = c->status && !is_good(c->status);
        int rc = result_of(c, err);
        if (rc == 0 && c->decode)
                rc = c->decode(c->answer.buf, c->answer.len, &r, err);
        (void)pthread_mutex_unlock(&c->lock);
        r.body_bytes = atomic_load(&c->body_bytes);
        if (rc == 0 && ret)
                *ret = r;
        else
                ts_call_result_clear(&r);
        return rc;
}

void ts_call_result_clear(struct ts_call_result *r)
{
        free(r->id);
        *r = (struct ts_call_result){ 0 };
}
