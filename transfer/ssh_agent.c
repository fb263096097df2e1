/* Talks to the SSH agent. Decides nothing but how long to wait; which key is used is ssh_auth.c's business. */
#include "transfer/ssh_agent.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define REPLY_MAX (256u << 10)
#define KEYS_MAX 64

enum { REQUEST_IDENTITIES = 11, IDENTITIES_ANSWER = 12, SIGN_REQUEST = 13, SIGN_RESPONSE = 14 };

/* ---- the wire: big-endian lengths ---- */

struct reader {
        const unsigned char *p;
        size_t left;
};

static bool get_u32(struct reader *r, uint32_t *ret)
{
        if (r->left < 4)
                return false;
        *ret = (uint32_t)r->p[0] << 24 | (uint32_t)r->p[1] << 16 | (uint32_t)r->p[2] << 8 | r->p[3];
        r->p += 4;
        r->left -= 4;
        return true;
}

static bool get_string(struct reader *r, const unsigned char **ret, size_t *ret_len)
{
        uint32_t len;

        if (!get_u32(r, &len) || len > r->left)
                return false;
        *ret = r->p;
        *ret_len = len;
        r->p += len;
        r->left -= len;
        return true;
}

static int put_u32(struct ts_str *s, size_t v, struct ts_err *err)
{
        unsigned char b[4] = { (unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v };

        return ts_str_add(s, b, 4, err);
}

static int put_string(struct ts_str *s, const void *data, size_t len, struct ts_err *err)
{
        return put_u32(s, len, err) < 0 ? -1 : ts_str_add(s, data, len, err);
}

/* Sends a request and reads the answer, whose first byte must be `expected`. */
static int transact(int fd, const struct ts_str *request, unsigned char expected, ts_deadline deadline, struct ts_str *reply,
                    struct ts_err *err)
{
        ts_auto_str framed = TS_STR_INIT_MAX(REPLY_MAX);
        ts_auto_free char *body = NULL;
        unsigned char head[4];
        struct reader r = { head, 4 };
        uint32_t len = 0;

        if (put_string(&framed, request->buf, request->len, err) < 0 || ts_write_all(fd, framed.buf, framed.len, deadline, false, err) < 0)
                return -1;
        if (ts_read_exact(fd, head, 4, deadline, false, err) < 0)
                return -1;
        (void)get_u32(&r, &len);
        if (len == 0 || len > REPLY_MAX)
                return ts_err_set(err, TS_EPROTO, "the ssh agent sent an answer of %u bytes", (unsigned)len);
        body = malloc(len);
        if (!body)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_read_exact(fd, body, len, deadline, false, err) < 0)
                return -1;
        if ((unsigned char)body[0] != expected)
                return ts_err_set(err, TS_EAUTH, "the ssh agent refuses");
        return ts_str_add(reply, body + 1, len - 1, err);
}

/* ---- keys ---- */

static int add_key(struct ts_agent *a, struct reader *r, struct ts_err *err)
{
        const unsigned char *blob, *comment;
        size_t blob_len, comment_len;
        struct ts_agent_key *k = &a->keys[a->n];

        if (!get_string(r, &blob, &blob_len) || !get_string(r, &comment, &comment_len) || blob_len == 0)
                return ts_err_set(err, TS_EPROTO, "the ssh agent sent a damaged list of keys");
        k->blob = malloc(blob_len);
        k->comment = ts_printable((const char *)comment, comment_len, 100);
        if (!k->blob || !k->comment) {
                free(k->blob);
                free(k->comment);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        memcpy(k->blob, blob, blob_len);
        k->len = blob_len;
        a->n++;
        return 0;
}

static int list_keys(struct ts_agent *a, ts_deadline deadline, struct ts_err *err)
{
        static const char op = REQUEST_IDENTITIES;
        ts_auto_str request = TS_STR_INIT, reply = TS_STR_INIT_MAX(REPLY_MAX);
        struct reader r;
        uint32_t n = 0;

        if (ts_str_add(&request, &op, 1, err) < 0 || transact(a->fd, &request, IDENTITIES_ANSWER, deadline, &reply, err) < 0)
                return -1;
        r = (struct reader){ (const unsigned char *)ts_str_cstr(&reply), reply.len };
        if (!get_u32(&r, &n))
                return ts_err_set(err, TS_EPROTO, "the ssh agent sent a damaged list of keys");
        a->keys = calloc(KEYS_MAX, sizeof(*a->keys));
        if (!a->keys)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (uint32_t i = 0; i < n && i < KEYS_MAX; i++) {
                if (add_key(a, &r, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_agent_open(const char *path, ts_deadline deadline, struct ts_agent *ret, struct ts_err *err)
{
        struct ts_agent a = TS_AGENT_INIT;
        struct sockaddr_un addr = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(addr.sun_path))
                return ts_err_set(err, TS_EUSAGE, "the path of the ssh agent's socket is too long");
        memcpy(addr.sun_path, path, strlen(path) + 1);
        /* Non-blocking: an agent with a full backlog is an agent that does not work. */
        a.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (a.fd < 0)
                return ts_err_errno(err, errno, "cannot make a socket");
        if (connect(a.fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
                ts_err_set(err, TS_ECONNECT, "cannot reach the ssh agent at '%s': %s", path, strerror(errno));
                ts_agent_close(&a);
                return -1;
        }
        if (list_keys(&a, deadline, err) < 0) {
                ts_agent_close(&a);
                return -1;
        }
        *ret = a;
        return 0;
}

int ts_agent_sign(struct ts_agent *a, const struct ts_agent_key *key, const unsigned char *data, size_t len, unsigned flags,
                  ts_deadline deadline, unsigned char **ret, size_t *ret_len, struct ts_err *err)
{
        static const char op = SIGN_REQUEST;
        ts_auto_str request = TS_STR_INIT_MAX(REPLY_MAX), reply = TS_STR_INIT_MAX(REPLY_MAX);
        const unsigned char *whole, *algorithm, *signature;
        size_t whole_len, algorithm_len, signature_len;
        struct reader r;

        if (ts_str_add(&request, &op, 1, err) < 0 || put_string(&request, key->blob, key->len, err) < 0 ||
            put_string(&request, data, len, err) < 0 || put_u32(&request, flags, err) < 0)
                return -1;
        if (transact(a->fd, &request, SIGN_RESPONSE, deadline, &reply, err) < 0)
                return -1;
        r = (struct reader){ (const unsigned char *)ts_str_cstr(&reply), reply.len };
        if (!get_string(&r, &whole, &whole_len))
                return ts_err_set(err, TS_EPROTO, "the ssh agent sent a damaged signature");
        r = (struct reader){ whole, whole_len };
        if (!get_string(&r, &algorithm, &algorithm_len) || !get_string(&r, &signature, &signature_len) || signature_len == 0)
                return ts_err_set(err, TS_EPROTO, "the ssh agent sent a damaged signature");
        *ret = malloc(signature_len);
        if (!*ret)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        memcpy(*ret, signature, signature_len);
        *ret_len = signature_len;
        return 0;
}

void ts_agent_close(struct ts_agent *a)
{
        if (a->fd >= 0)
                (void)close(a->fd);
        for (size_t i = 0; i < a->n; i++) {
                free(a->keys[i].blob);
                free(a->keys[i].comment);
        }
        free(a->keys);
        *a = (struct ts_agent)TS_AGENT_INIT;
}
