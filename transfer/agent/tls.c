/* See tls.h. Decides version, cipher and how the key is used, and that records go to the kernel many at a time. */
#include "transfer/agent/tls.h"

#include "base/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define IDENTITY "tranship"
#define READ_AHEAD ((size_t)256 << 10)
#define QUEUE ((size_t)256 << 10) /* records that wait to be sent: at least those of one write, and their own bytes */
#define WRITE_MAX (QUEUE / 2)
#define TURN ((size_t)1 << 20)    /* bytes that one read may take from the kernel: a flood must come back, too */
#define RECORD 16384U
#define REKEY_AFTER (1U << 23) /* records under one key: AES-GCM's limit is 2^24.5 (RFC 8446, 5.5) */

struct ts_tls {
        SSL_CTX *ctx;
        SSL *ssl;
        int fd;
        struct {
                unsigned char *buf; /* QUEUE bytes */
                size_t from, to;
                size_t plain; /* bytes of a write under way that are in it, or went */
        } out;
        unsigned char key[TS_TLS_KEY];
        struct {
                unsigned char *buf; /* READ_AHEAD bytes */
                size_t from, to;
        } in;
        size_t turn_left; /* bytes that this read may still take from the kernel */
        unsigned records; /* written since the last key */
        atomic_ullong *sent, *received; /* NULL: nobody counts */
};

int ts_tls_key(unsigned char ret[TS_TLS_KEY], struct ts_err *err)
{
        return getrandom(ret, TS_TLS_KEY, 0) == (ssize_t)TS_TLS_KEY ? 0 : ts_err_set(err, TS_EINTERNAL, "no random numbers");
}

/* ---- the key, as OpenSSL wants it: a session that both sides have had before ---- */

static SSL_SESSION *session_of(SSL *ssl)
{
        static const unsigned char aes_128_gcm_sha256[] = { 0x13, 0x01 };
        const struct ts_tls *t = SSL_get_app_data(ssl);
        const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
        SSL_SESSION *s = SSL_SESSION_new();

        if (s && cipher && SSL_SESSION_set1_master_key(s, t->key, TS_TLS_KEY) == 1 && SSL_SESSION_set_cipher(s, cipher) == 1 &&
            SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) == 1)
                return s;
        SSL_SESSION_free(s);
        return NULL;
}

static int offer_key(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len, SSL_SESSION **ret)
{
        (void)md; /* there is one cipher */
        *ret = session_of(ssl);
        *id = (const unsigned char *)IDENTITY;
        *id_len = strlen(IDENTITY);
        return *ret != NULL;
}

static int find_key(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **ret)
{
        *ret = id_len == strlen(IDENTITY) && memcmp(id, IDENTITY, id_len) == 0 ? session_of(ssl) : NULL;
        return 1;
}

/* ---- what OpenSSL reads, and writes: into a queue that always takes it ---- */

/* What recv() says. */
static ssize_t refill(struct ts_tls *t)
{
        size_t most = t->turn_left < READ_AHEAD ? t->turn_left : READ_AHEAD;
        ssize_t n = -1;

        errno = EAGAIN;
        if (most)
                n = recv(t->fd, t->in.buf, most, MSG_DONTWAIT);
        t->in.from = 0;
        t->in.to = n > 0 ? (size_t)n : 0;
        t->turn_left -= t->in.to;
        return n;
}

/* OpenSSL could read ahead by itself; but then it moves all that is left to the front, for every record. */
static int take(BIO *bio, char *data, int len)
{
        struct ts_tls *t = BIO_get_data(bio);
        ssize_t n = t->in.from < t->in.to ? 1 : refill(t);
        size_t there;

        BIO_clear_retry_flags(bio);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                BIO_set_retry_read(bio);
        if (n <= 0 || len <= 0)
                return (int)n;
        there = t->in.to - t->in.from;
        n = (ssize_t)((size_t)len < there ? (size_t)len : there);
        memcpy(data, t->in.buf + t->in.from, (size_t)n);
        t->in.from += (size_t)n;
        return (int)n;
}

static int enqueue(BIO *bio, const char *data, int len)
{
        struct ts_tls *t = BIO_get_data(bio);

        if (len < 0 || (size_t)len > QUEUE - t->out.to)
                return -1;
        memcpy(t->out.buf + t->out.to, data, (size_t)len);
        t->out.to += (size_t)len;
        return len;
}

static long control(BIO *bio, int command, long number, void *p)
{
        (void)bio;
        (void)number;
        (void)p;
        return command == BIO_CTRL_FLUSH;
}

/* 1: nothing waits any more; 0: not now; -1: errno. */
static int flush(struct ts_tls *t)
{
        while (t->out.from < t->out.to) {
                ssize_t n = send(t->fd, t->out.buf + t->out.from, t->out.to - t->out.from, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -1;
                t->out.from += (size_t)n;
        }
        t->out.from = t->out.to = 0;
        return 1;
}

static BIO_METHOD *method; /* as long as the process: its number is one of few */

static void make_method(void)
{
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tranship");
        if (method && (BIO_meth_set_write(method, enqueue) != 1 || BIO_meth_set_read(method, take) != 1 || BIO_meth_set_ctrl(method, control) != 1)) {
                BIO_meth_free(method);
                method = NULL;
        }
}

static int add_bio(struct ts_tls *t)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        BIO *bio;

        (void)pthread_once(&once, make_method);
        t->out.buf = malloc(QUEUE);
        t->in.buf = malloc(READ_AHEAD);
        bio = t->out.buf && t->in.buf && method ? BIO_new(method) : NULL;
        if (!bio)
                return -1;
        BIO_set_data(bio, t);
        BIO_set_init(bio, 1);
        SSL_set_bio(t->ssl, bio, bio);
        return 0;
}

/* ---- making one ---- */

static int fail(const char *what, struct ts_err *err)
{
        char text[256];

        ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
        return ts_err_set(err, TS_EINTERNAL, "%s: %s", what, text);
}

/* Nothing of the host's OpenSSL configuration: a static program cannot load what it may name. */
static int prepare(struct ts_tls *t, int fd, enum ts_tls_side side, struct ts_err *err)
{
        (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
        t->ctx = SSL_CTX_new(TLS_method());
        if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION) != 1 ||
            SSL_CTX_set_ciphersuites(t->ctx, "TLS_AES_128_GCM_SHA256") != 1 || SSL_CTX_set_num_tickets(t->ctx, 0) != 1)
                return fail("TLS", err);
        (void)SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
        /* A certificate instead of the key: nobody's is trusted. */
        SSL_CTX_set_verify(t->ctx, side == TS_TLS_CLIENT ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_psk_use_session_callback(t->ctx, offer_key);
        SSL_CTX_set_psk_find_session_callback(t->ctx, find_key);
        t->ssl = SSL_new(t->ctx);
        t->fd = fd;
        if (!t->ssl || SSL_set_app_data(t->ssl, t) != 1 || add_bio(t) < 0)
                return fail("TLS", err);
        if (side == TS_TLS_SERVER)
                SSL_set_accept_state(t->ssl);
        else
                SSL_set_connect_state(t->ssl);
        return 0;
}

static int await(struct ts_tls *t, short events, ts_deadline deadline, int stop_fd, struct ts_err *err)
{
        struct pollfd p[2] = { { .fd = t->fd, .events = events }, { .fd = stop_fd, .events = POLLIN } };

        if (poll(p, 2, ts_deadline_poll_ms(deadline, -1)) > 0 && p[1].revents)
                return ts_err_set(err, TS_ECANCELED, "connecting was cancelled");
        return ts_deadline_passed(deadline) ? ts_err_set(err, TS_ETIMEOUT, "no answer in time") : 0;
}

static int shake_hands(struct ts_tls *t, ts_deadline deadline, int stop_fd, struct ts_err *err)
{
        for (;;) {
                int rc, why, sent;

                ERR_clear_error();
                t->turn_left = TURN;
                rc = SSL_do_handshake(t->ssl);
                why = SSL_get_error(t->ssl, rc);
                while ((sent = flush(t)) == 0)
                        if (await(t, POLLOUT, deadline, stop_fd, err) < 0)
                                return -1;
                if (rc == 1 && sent == 1)
                        return 0;
                if (why == SSL_ERROR_SSL)
                        return ts_err_set(err, TS_EAUTH, "the other side does not have the key (%s)",
                                          ts_or(ERR_reason_error_string(ERR_peek_last_error()), "unknown"));
                if (sent < 0 || why != SSL_ERROR_WANT_READ)
                        return ts_err_set(err, TS_ECONNECT, "the connection ended");
                if (await(t, POLLIN, deadline, stop_fd, err) < 0)
                        return -1;
        }
}

int ts_tls_open(int fd, enum ts_tls_side side, const unsigned char key[TS_TLS_KEY], ts_deadline deadline, int stop_fd, struct ts_tls **ret,
                struct ts_err *err)
{
        ts_auto(ts_tls) struct ts_tls *t = calloc(1, sizeof(*t));

        if (!t)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        memcpy(t->key, key, TS_TLS_KEY);
        if (ts_set_nonblock(fd, true, err) < 0 || prepare(t, fd, side, err) < 0 || shake_hands(t, deadline, stop_fd, err) < 0)
                return -1;
        /* Says that the key was used */
        if (!SSL_session_reused(t->ssl))
                return ts_err_set(err, TS_EAUTH, "the other side does not use the key");
        OPENSSL_cleanse(t->key, sizeof(t->key));
        *ret = TS_TAKE(t);
        return 0;
}

void ts_tls_free(struct ts_tls *t)
{
        SSL_free(t->ssl);
        SSL_CTX_free(t->ctx);
        free(t->out.buf);
        free(t->in.buf);
        OPENSSL_cleanse(t->key, sizeof(t->key));
        free(t);
}

/* ---- bytes ---- */

ssize_t ts_tls_read(struct ts_tls *t, void *buf, size_t len)
{
        size_t n = 0;
        int rc, why;

        ERR_clear_error();
        t->turn_left = TURN;
        rc = SSL_read_ex(t->ssl, buf, len, &n);
        if (rc == 1) {
                if (t->received)
                        atomic_fetch_add(t->received, n);
                return (ssize_t)n;
        }
        why = SSL_get_error(t->ssl, rc);
        if (why == SSL_ERROR_ZERO_RETURN)
                return 0;
        errno = why == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
        return -1;
}

/* Nothing waits when one begins, and the queue has room for all of it. */
static int begin_write(struct ts_tls *t, const void *buf, size_t len)
{
        size_t n = 0;

        if (t->records > REKEY_AFTER && SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
                t->records = 0;
        ERR_clear_error();
        if (SSL_write_ex(t->ssl, buf, len < WRITE_MAX ? len : WRITE_MAX, &n) != 1) {
                errno = ECONNRESET;
                return -1;
        }
        t->out.plain = n;
        t->records += (unsigned)(n / RECORD) + 1;
        return 0;
}

ssize_t ts_tls_write(struct ts_tls *t, const void *buf, size_t len)
{
        ssize_t n;

        if (!t->out.plain && (len == 0 || begin_write(t, buf, len) < 0))
                return len ? -1 : 0;
        switch (flush(t)) {
        case 0:
                errno = EAGAIN;
                return -1;
        case 1:
                break;
        default:
                return -1;
        }
        n = (ssize_t)t->out.plain;
        t->out.plain = 0;
        if (t->sent)
                atomic_fetch_add(t->sent, (unsigned long long)n);
        return n;
}

void ts_tls_count(struct ts_tls *t, atomic_ullong *sent, atomic_ullong *received)
{
        t->sent = sent;
        t->received = received;
}

void ts_tls_tune(int fd, unsigned silence_ms)
{
        int on = 1, every = (int)(silence_ms / 4000 ? silence_ms / 4000 : 1), times = 3;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &every, sizeof(every));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof(silence_ms));
}
