/* transfer/agent/tls.c, tls_listen.c: who has the key gets through, nobody else does, and a link takes TLS before anything else. */
#include "tests/unit/unit.h"

#include "base/clock.h"
#include "base/io.h"
#include "transfer/agent/link.h"
#include "transfer/agent/tls.h"
#include "transfer/agent/tls_listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define LONG_MS 20000

static const unsigned char key[TS_TLS_KEY] = "one key", other_key[TS_TLS_KEY] = "another key";

/* ---- two sides ---- */

struct side {
        int fd;
        enum ts_tls_side side;
        const unsigned char *key;
        unsigned ms;
        struct ts_tls *tls;
        struct ts_err err;
        pthread_t thread;
};

static void *open_side(void *arg)
{
        struct side *s = arg;

        (void)ts_tls_open(s->fd, s->side, s->key, ts_deadline_in_ms(s->ms), -1, &s->tls, &s->err);
        if (!s->tls)
                (void)shutdown(s->fd, SHUT_RDWR);
        return NULL;
}

static void side_free(struct side *s)
{
        if (s->tls)
                ts_tls_free(s->tls);
        ts_closep(&s->fd);
        ts_err_clear(&s->err);
}

/* Both say hello. */
static void meet(struct side s[2], const unsigned char *client, const unsigned char *server)
{
        int pair[2];
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_socketpair(pair, &err));
        s[0] = (struct side){ .fd = pair[0], .side = TS_TLS_CLIENT, .key = client, .ms = LONG_MS };
        s[1] = (struct side){ .fd = pair[1], .side = TS_TLS_SERVER, .key = server, .ms = LONG_MS };
        for (size_t i = 0; i < 2; i++)
                CU_ASSERT_EQUAL_FATAL(pthread_create(&s[i].thread, NULL, open_side, &s[i]), 0);
        for (size_t i = 0; i < 2; i++)
                (void)pthread_join(s[i].thread, NULL);
}

static void the_key_fits(void)
{
        enum { LEN = 300000 };
        static unsigned char out[LEN], in[LEN];
        struct side s[2];
        atomic_ullong sent = 0, received = 0;
        size_t put = 0, got = 0;

        meet(s, key, key);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s[0].tls);
        CU_ASSERT_PTR_NOT_NULL_FATAL(s[1].tls);
        ts_tls_count(s[0].tls, &sent, NULL);
        ts_tls_count(s[1].tls, NULL, &received);
        for (size_t i = 0; i < LEN; i++)
                out[i] = (unsigned char)(i * 7 + i / 251);
        while (got < LEN) {
                ssize_t n = put < LEN ? ts_tls_write(s[0].tls, out + put, LEN - put) : 0;

                CU_ASSERT_TRUE_FATAL(n >= 0 || errno == EAGAIN);
                put += n > 0 ? (size_t)n : 0;
                n = ts_tls_read(s[1].tls, in + got, LEN - got);
                CU_ASSERT_TRUE_FATAL(n > 0 || (n < 0 && errno == EAGAIN));
                got += n > 0 ? (size_t)n : 0;
        }
        CU_ASSERT_EQUAL(memcmp(in, out, LEN), 0);
        CU_ASSERT_EQUAL(atomic_load(&sent), LEN);
        CU_ASSERT_EQUAL(atomic_load(&received), LEN);
        ts_closep(&s[0].fd);
        CU_ASSERT_TRUE(ts_tls_read(s[1].tls, in, 1) < 0 && errno != EAGAIN); /* an end that nobody has signed is none */
        side_free(&s[0]);
        side_free(&s[1]);
}

static void another_key(void)
{
        struct side s[2];

        meet(s, key, other_key);
        for (size_t i = 0; i < 2; i++) {
                CU_ASSERT_PTR_NULL(s[i].tls);
                CU_ASSERT_TRUE(s[i].err.code == TS_EAUTH || s[i].err.code == TS_ECONNECT);
                side_free(&s[i]);
        }
}

/* ---- strangers ---- */

static void says_nothing(void)
{
        int pair[2], stop[2];
        struct ts_tls *tls = NULL;
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_socketpair(pair, &err));
        UNIT_OK(ts_pipe(stop, &err));
        UNIT_FAILS(ts_tls_open(pair[0], TS_TLS_SERVER, key, ts_deadline_in_ms(20), -1, &tls, &err), TS_ETIMEOUT);
        UNIT_FAILS(ts_tls_open(pair[0], TS_TLS_CLIENT, key, ts_deadline_in_ms(20), -1, &tls, &err), TS_ETIMEOUT);
        (void)!write(stop[1], "x", 1);
        UNIT_FAILS(ts_tls_open(pair[0], TS_TLS_SERVER, key, ts_deadline_in_ms(LONG_MS), stop[0], &tls, &err), TS_ECANCELED);
        for (size_t i = 0; i < 2; i++) {
                (void)close(pair[i]);
                (void)close(stop[i]);
        }
}

static void speaks_no_tls(void)
{
        static const char *const words[] = { "SSH-2.0-OpenSSH_9.2\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\x01" };

        for (size_t i = 0; i < TS_ARRAY_LEN(words); i++)
                for (int side = 0; side < 2; side++) {
                        int pair[2];
                        struct ts_tls *tls = NULL;
                        ts_auto_err err = TS_ERR_INIT;

                        UNIT_OK(ts_socketpair(pair, &err));
                        (void)send(pair[1], words[i], strlen(words[i]), MSG_NOSIGNAL);
                        (void)shutdown(pair[1], SHUT_WR);
                        CU_ASSERT_EQUAL(ts_tls_open(pair[0], (enum ts_tls_side)side, key, ts_deadline_in_ms(LONG_MS), -1, &tls, &err), -1);
                        CU_ASSERT_TRUE(err.code == TS_EAUTH || err.code == TS_ECONNECT);
                        (void)close(pair[0]);
                        (void)close(pair[1]);
                }
}

/* A server that proves itself with a certificate of its own instead. */
struct impostor {
        int fd;
        bool got_in;
        pthread_t thread;
};

static void *pretend(void *arg)
{
        struct impostor *x = arg;
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        EVP_PKEY *k = EVP_EC_gen("P-256");
        X509 *cert = X509_new();
        SSL *ssl;

        (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
        (void)X509_gmtime_adj(X509_getm_notBefore(cert), -1000);
        (void)X509_gmtime_adj(X509_getm_notAfter(cert), 1000000);
        (void)X509_set_pubkey(cert, k);
        (void)X509_sign(cert, k, EVP_sha256());
        (void)SSL_CTX_use_certificate(ctx, cert);
        (void)SSL_CTX_use_PrivateKey(ctx, k);
        ssl = SSL_new(ctx);
        (void)SSL_set_fd(ssl, x->fd);
        x->got_in = SSL_accept(ssl) == 1 && SSL_read(ssl, &(char){ 0 }, 1) > 0;
        (void)shutdown(x->fd, SHUT_RDWR);
        SSL_free(ssl);
        X509_free(cert);
        EVP_PKEY_free(k);
        SSL_CTX_free(ctx);
        return NULL;
}

static void a_certificate_is_no_key(void)
{
        struct impostor x = { 0 };
        struct ts_tls *tls = NULL;
        int pair[2];
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_socketpair(pair, &err));
        x.fd = pair[1];
        CU_ASSERT_EQUAL_FATAL(pthread_create(&x.thread, NULL, pretend, &x), 0);
        UNIT_FAILS(ts_tls_open(pair[0], TS_TLS_CLIENT, key, ts_deadline_in_ms(LONG_MS), -1, &tls, &err), TS_EAUTH);
        (void)shutdown(pair[0], SHUT_RDWR);
        (void)pthread_join(x.thread, NULL);
        CU_ASSERT_FALSE(x.got_in);
        (void)close(pair[0]);
        (void)close(pair[1]);
}

/* ---- a link ---- */

struct linked {
        struct ts_link *a, *b;
        struct ts_duplex *io_a, *io_b;
        struct ts_tls_listen *listen;
        unsigned port;
        atomic_ullong by_tls;
};

static void linked_new(struct linked *x)
{
        struct ts_tls_listen_opts o = { .silence_ms = 5000 };
        ts_auto_err err = TS_ERR_INIT;
        int pair[2];

        *x = (struct linked){ 0 };
        memcpy(o.key, key, sizeof(key));
        UNIT_OK(ts_link_new(&(struct ts_link_opts){ .names = true, .listen_fd = -1, .patience_ms = LONG_MS }, &x->a, &x->io_a, &err));
        UNIT_OK(ts_link_new(&(struct ts_link_opts){ .listen_fd = -1, .patience_ms = LONG_MS }, &x->b, &x->io_b, &err));
        UNIT_OK(ts_socketpair(pair, &err));
        UNIT_OK(ts_link_add(x->a, pair[0], pair[0], -1, &err));
        UNIT_OK(ts_link_add(x->b, pair[1], pair[1], -1, &err));
        UNIT_OK(ts_tls_listen_start(x->b, "127.0.0.1", &o, &x->listen, &x->port, &err));
}

static int reach(const struct linked *x)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)x->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
        ts_tls_tune(fd, 5000);
        return fd;
}

/* The descriptor is the link's, for breaking it. */
static int join(struct linked *x)
{
        struct ts_link_state st = { .strands = 1 };
        struct ts_tls *tls = NULL;
        int fd = reach(x);
        ts_auto_err err = TS_ERR_INIT;

        UNIT_OK(ts_tls_open(fd, TS_TLS_CLIENT, key, ts_deadline_in_ms(LONG_MS), -1, &tls, &err));
        ts_tls_count(tls, &x->by_tls, NULL);
        UNIT_OK(ts_link_add_tls(x->a, fd, tls, &err));
        ts_link_watch(x->a, LONG_MS, &st);
        st.strands = 1;
        ts_link_watch(x->b, LONG_MS, &st);
        CU_ASSERT_EQUAL(st.strands, 2);
        return fd;
}

static void linked_free(struct linked *x)
{
        ts_duplex_close(x->io_a);
        ts_duplex_close(x->io_b);
        ts_link_end(x->a, 5000);
        ts_link_end(x->b, 5000);
        ts_tls_listen_free(x->listen);
        ts_link_free(x->a);
        ts_link_free(x->b);
}

struct talk {
        struct ts_duplex *io;
        size_t len;
        int break_fd; /* in the middle */
        pthread_t thread;
};

static unsigned char byte_at(size_t i)
{
        return (unsigned char)(i ^ i >> 8 ^ i >> 16);
}

static void *say(void *arg)
{
        struct talk *t = arg;
        static unsigned char buf[65536];

        for (size_t i = 0; i < t->len; i += sizeof(buf)) {
                for (size_t k = 0; k < sizeof(buf); k++)
                        buf[k] = byte_at(i + k);
                if (t->break_fd >= 0 && i == t->len / 2)
                        (void)shutdown(t->break_fd, SHUT_RDWR);
                if (ts_duplex_write(t->io, NULL, 0, buf, sizeof(buf), 0, false, NULL) < 0)
                        break;
        }
        return NULL;
}

static void talk(struct linked *x, size_t len, int break_fd)
{
        struct talk t = { .io = x->io_a, .len = len, .break_fd = break_fd };
        static unsigned char buf[65536];
        size_t wrong = 0;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL_FATAL(pthread_create(&t.thread, NULL, say, &t), 0);
        for (size_t i = 0; i < len; i += sizeof(buf)) {
                UNIT_OK(ts_duplex_read_exact(x->io_b, buf, sizeof(buf), ts_deadline_in_ms(LONG_MS), false, &err));
                for (size_t k = 0; k < sizeof(buf); k++)
                        wrong += buf[k] != byte_at(i + k);
        }
        (void)pthread_join(t.thread, NULL);
        CU_ASSERT_EQUAL(wrong, 0);
}

/* The sender counts what it has written after it wrote it: the reader may be ahead of that. */
static bool went_by_tls(struct linked *x, unsigned long long least)
{
        const ts_deadline until = ts_deadline_in_ms(LONG_MS);

        while (atomic_load(&x->by_tls) < least && !ts_deadline_passed(until))
                ts_sleep_ms(1);
        return atomic_load(&x->by_tls) >= least;
}

static void tls_goes_first(void)
{
        struct linked x;

        linked_new(&x);
        talk(&x, MIB, -1);
        CU_ASSERT_EQUAL(atomic_load(&x.by_tls), 0);
        (void)join(&x);
        talk(&x, 32 * MIB, -1);
        CU_ASSERT_TRUE(went_by_tls(&x, 32 * MIB));
        linked_free(&x);
}

/* What was on its way comes by the other strand, and a new one takes over again. */
static void tls_breaks(void)
{
        struct linked x;
        unsigned long long before;

        linked_new(&x);
        talk(&x, 64 * MIB, join(&x));
        before = atomic_load(&x.by_tls);
        CU_ASSERT_TRUE(before > 16 * MIB && before < 48 * MIB);
        (void)join(&x);
        talk(&x, 16 * MIB, -1);
        CU_ASSERT_TRUE(went_by_tls(&x, before + 16 * MIB));
        linked_free(&x);
}

/* They are no strands, and keep nobody else out for long. */
static void strangers_at_the_door(void)
{
        struct linked x;
        struct ts_link_state st = { .strands = 1 };
        struct ts_tls *tls = NULL;
        int silent, noisy, wrong;
        ts_auto_err err = TS_ERR_INIT;

        linked_new(&x);
        noisy = reach(&x);
        (void)send(noisy, "hello?\r\n\r\n", 10, MSG_NOSIGNAL);
        wrong = reach(&x);
        CU_ASSERT_EQUAL(ts_tls_open(wrong, TS_TLS_CLIENT, other_key, ts_deadline_in_ms(LONG_MS), -1, &tls, &err), -1);
        silent = reach(&x);
        ts_link_watch(x.b, 50, &st);
        CU_ASSERT_EQUAL(st.strands, 1);
        (void)join(&x);
        (void)close(silent);
        (void)close(noisy);
        (void)close(wrong);
        linked_free(&x);
}

static void ports(void)
{
        struct linked x;
        struct ts_tls_listen_opts o = { 0 };
        struct ts_tls_listen *l = NULL;
        unsigned port = 0;
        ts_auto_err err = TS_ERR_INIT;

        linked_new(&x);
        o.low = o.high = x.port;
        UNIT_FAILS(ts_tls_listen_start(x.b, "127.0.0.1", &o, &l, &port, &err), TS_EIO);
        UNIT_FAILS(ts_tls_listen_start(x.b, "somewhere", &o, &l, &port, &err), TS_EIO);
        o.high = x.port < 65000 ? x.port + 200 : 65535;
        UNIT_OK(ts_tls_listen_start(x.b, "127.0.0.1", &o, &l, &port, &err));
        CU_ASSERT_TRUE(port > o.low && port <= o.high);
        ts_tls_listen_free(l);
        linked_free(&x);
}

static CU_TestInfo tests[] = { UNIT(the_key_fits),   UNIT(another_key), UNIT(says_nothing),          UNIT(speaks_no_tls), UNIT(a_certificate_is_no_key),
                               UNIT(tls_goes_first), UNIT(tls_breaks),  UNIT(strangers_at_the_door), UNIT(ports),         CU_TEST_INFO_NULL };
UNIT_MAIN("tls", tests)
