/* Proves to the host who we are: agent keys, then key files, as ssh would, never asking anybody anything. Decides the order and explains a refusal.
 *
 * Not supported, and skipped: keys on FIDO tokens, passwords, and before libssh2 1.11 RSA keys, for
 * which it knows only SHA-1 (refused by OpenSSH since 8.8), and certificates of keys but ECDSA's. */
#include "transfer/ssh.h"

#include "base/io.h"
#include "base/log.h"
#include "transfer/ssh_agent.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KEY_FILE_MAX (64u << 10)
#define KEY_BLOB_MAX 8192
#define TRIES_MAX 16

#if LIBSSH2_VERSION_NUM >= 0x010b00
#define HAVE_RSA_SHA2 true
#else
#define HAVE_RSA_SHA2 false
#endif

struct attempt {
        struct ts_ssh *s;
        struct ts_agent agent;
        const struct ts_agent_key *key; /* being signed with */
        ts_deadline deadline;
        unsigned tries;
        unsigned agent_tries, rsa_skipped, certs_skipped;
        char *locked; /* the first key file with a pass phrase; owned */
        char *cert;   /* the first file with a certificate that cannot be shown; owned */
};

/* ---- key files ---- */

enum file_kind { FILE_PLAIN, FILE_LOCKED, FILE_NO_KEY };

static size_t from_base64(const char *text, size_t len, unsigned char *out, size_t max)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        unsigned long v = 0;
        size_t n = 0;
        unsigned bits = 0;

        for (size_t i = 0; i < len && n < max; i++) {
                const char *d = text[i] ? strchr(digits, text[i]) : NULL;

                if (!d)
                        continue;
                v = v << 6 | (unsigned long)(d - digits);
                bits += 6;
                if (bits >= 8) {
                        bits -= 8;
                        out[n++] = (unsigned char)(v >> bits & 0xff);
                }
        }
        return n;
}

/* The format of OpenSSH (PROTOCOL.key): magic, then the cipher's name; "none" is no pass phrase. */
static enum file_kind openssh_kind(const char *body, size_t len)
{
        static const char magic[] = "openssh-key-v1";
        unsigned char head[sizeof(magic) + 4 + 4];
        size_t n = from_base64(body, len, head, sizeof(head));

        if (n < sizeof(head) || memcmp(head, magic, sizeof(magic)) != 0)
                return FILE_NO_KEY;
        return memcmp(head + sizeof(magic), "\0\0\0\4none", 8) == 0 ? FILE_PLAIN : FILE_LOCKED;
}

static enum file_kind classify(const struct ts_str *text)
{
        static const char openssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
        const char *at = strstr(ts_str_cstr(text), "-----BEGIN ");

        if (!at || !strstr(at, "PRIVATE KEY-----"))
                return FILE_NO_KEY;
        if (ts_starts(at, openssh))
                return openssh_kind(at + strlen(openssh), strlen(at + strlen(openssh)));
        return ts_starts(at, "-----BEGIN ENCRYPTED") || strstr(at, "Proc-Type: 4,ENCRYPTED") ? FILE_LOCKED : FILE_PLAIN;
}

/* An OpenSSH key file names its type in the public half, which comes first and is never encrypted. */
static bool is_rsa(const struct ts_str *text)
{
        static const char openssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
        const char *at = strstr(ts_str_cstr(text), "-----BEGIN ");
        unsigned char head[256];

        if (!at || !ts_starts(at, openssh))
                return at && ts_starts(at, "-----BEGIN RSA ");
        at += strlen(openssh);
        return memmem(head, from_base64(at, strlen(at), head, sizeof(head)), "ssh-rsa", strlen("ssh-rsa")) != NULL;
}

/* A public key or a certificate from a file of one line: type, base64. NULL when it is none. */
static char *public_key(const char *path)
{
        ts_auto_str text = TS_STR_INIT;
        char *save = NULL, *type, *key;

        if (ts_file_read(path, KEY_FILE_MAX, &text, NULL) < 0 || !text.buf ||
            strstr(text.buf, "PRIVATE KEY"))
                return NULL;
        type = strtok_r(text.buf, " \t\n", &save);
        key = type ? strtok_r(NULL, " \t\n", &save) : NULL;
        return key ? ts_strdup0(key) : NULL;
}

/* What IdentityFile names may be the public key itself, whose other half the agent has; else it is
 * beside it, as "file.pub". */
static char *public_half(const char *path)
{
        ts_auto_free char *name = ts_fmt("%s.pub", path);
        char *itself = public_key(path);

        return itself || !name ? itself : public_key(name);
}

/* ---- results of one try ---- */

enum outcome { ACCEPTED, REFUSED, BROKEN };

static enum outcome outcome_of(struct attempt *a, long rc, struct ts_err *err)
{
        if (rc == 0)
                return ACCEPTED;
        if (rc == LIBSSH2_ERROR_EAGAIN) /* err is set: time is up */
                return BROKEN;
        if (ts_ssh_is_lost(a->s, rc)) {
                (void)ts_ssh_fail(a->s, rc, "authentication", err);
                if (a->tries > 1)
                        (void)ts_err_hint(
                                err, "%u keys were tried; `IdentitiesOnly yes` with one IdentityFile in the ssh configuration tries fewer",
                                a->tries);
                return BROKEN;
        }
        return REFUSED;
}

/* ---- the agent ---- */

static unsigned rsa_flags(const unsigned char *data, size_t len)
{
        /* The algorithm libssh2 wants is inside what is signed (RFC 4252, section 7). */
        if (memmem(data, len, "rsa-sha2-512", 12))
                return 4;
        return memmem(data, len, "rsa-sha2-256", 12) ? 2 : 0;
}

static int sign(LIBSSH2_SESSION *session, unsigned char **ret, size_t *ret_len, const unsigned char *data, size_t len, void **abstract)
{
        struct attempt *a = *abstract;
        ts_auto_err failed = TS_ERR_INIT;

        (void)session;
        if (ts_agent_sign(&a->agent, a->key, data, len, rsa_flags(data, len), a->deadline, ret, ret_len, &failed) == 0) {
                ts_ssh_adopt(a->s, *ret);
                return 0;
        }
        ts_debug("ssh to %s: agent key '%s': %s", a->s->conf->alias, a->key->comment, ts_err_message(&failed));
        return -1;
}

static bool blob_is(const struct ts_agent_key *k, const char *type)
{
        size_t len = strlen(type);

        return k->len > 4 + len && k->blob[0] == 0 && k->blob[1] == 0 && k->blob[2] == 0 && k->blob[3] == len &&
               memcmp(k->blob + 4, type, len) == 0;
}

static const char *const key_types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256",
                                         "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" };
static const char cert_suffix[] = "-cert-v01@openssh.com";

static bool is_cert(const struct ts_agent_key *k)
{
        size_t len = k->len > 4 && k->blob[0] == 0 && k->blob[1] == 0
                             ? (size_t)k->blob[2] << 8 | k->blob[3]
                             : 0;

        return len < k->len - 4 && len > strlen(cert_suffix) &&
               memcmp(k->blob + 4 + len - strlen(cert_suffix), cert_suffix, strlen(cert_suffix)) ==
                       0;
}

/* libssh2 says in the signature of what type that is: since 1.11 rightly for every certificate, before
 * for ECDSA's alone. */
static bool is_usable_cert(const struct ts_agent_key *k)
{
        for (size_t i = LIBSSH2_VERSION_NUM >= 0x010b00 ? 0 : 1; i < TS_ARRAY_LEN(key_types); i++) {
                char type[64];

                (void)snprintf(type, sizeof(type), "%s%s", key_types[i], cert_suffix);
                if (blob_is(k, type))
                        return true;
        }
        return false;
}

static bool is_usable(struct attempt *a, const struct ts_agent_key *k)
{
        if (is_cert(k)) {
                a->certs_skipped += !is_usable_cert(k);
                return is_usable_cert(k);
        }
        for (size_t i = 0; i < TS_ARRAY_LEN(key_types); i++) {
                if (blob_is(k, key_types[i]))
                        return true;
        }
        if (!blob_is(k, "ssh-rsa"))
                return false;
        a->rsa_skipped += !HAVE_RSA_SHA2;
        return HAVE_RSA_SHA2;
}

/* shown: the key itself, or a certificate of it. */
static enum outcome try_agent_key(struct attempt *a, const struct ts_agent_key *k,
                                  const struct ts_agent_key *shown, struct ts_err *err)
{
        const char *user = a->s->conf->user;
        void *self = a;
        long rc;

        a->key = k;
        a->tries++;
        a->agent_tries++;
        a->deadline = ts_deadline_in_ms(a->s->conf->connect_timeout_ms);
        rc = TS_SSH_AWAIT(a->s, a->deadline, "authentication", err,
                          libssh2_userauth_publickey(a->s->session, user, shown->blob, shown->len,
                                                     sign, &self));
        return outcome_of(a, rc, err);
}

/* Tries the agent's keys; only = base64 of the one wanted, or NULL for all that were not tried yet. */
static enum outcome try_agent(struct attempt *a, const char *only, struct ts_err *err)
{
        unsigned char wanted[KEY_BLOB_MAX];
        size_t wanted_len = only ? from_base64(only, strlen(only), wanted, sizeof(wanted)) : 0;

        for (size_t i = 0; i < a->agent.n && a->tries < TRIES_MAX; i++) {
                struct ts_agent_key *k = &a->agent.keys[i];
                enum outcome o;

                if (k->len == 0 || (only && (k->len != wanted_len || memcmp(k->blob, wanted, wanted_len) != 0)))
                        continue;
                if (!is_usable(a, k))
                        continue;
                o = try_agent_key(a, k, k, err);
                if (o != REFUSED)
                        return o;
                k->len = 0; /* once is enough */
        }
        return REFUSED;
}

static const char *agent_path(const struct ts_ssh_conf *c)
{
        const char *named = c->identity_agent;

        if (!named || strcmp(named, "SSH_AUTH_SOCK") == 0)
                return getenv("SSH_AUTH_SOCK");
        if (strcmp(named, "none") == 0)
                return NULL;
        return named[0] == '$' && named[1] != '{' ? getenv(named + 1) : named;
}

static void open_agent(struct attempt *a)
{
        const struct ts_ssh_conf *c = a->s->conf;
        const char *path = agent_path(c);
        ts_auto_free char *expanded = NULL;
        ts_auto_err failed = TS_ERR_INIT;

        if (!path || !*path)
                return;
        if (path == c->identity_agent && ts_ssh_conf_expand_file(c, path, &expanded, &failed) < 0) {
                ts_debug("ssh to %s: %s", c->alias, ts_err_message(&failed));
                return;
        }
        path = ts_or(expanded, path);
        /* Its own deadline: an agent that hangs must not use up the time of the key files. */
        if (ts_agent_open(path, ts_deadline_in_ms(c->connect_timeout_ms), &a->agent, &failed) < 0)
                ts_debug("ssh to %s: %s", c->alias, ts_err_message(&failed));
}

/* ---- files ---- */

/* cert: the file with a certificate of the key, or NULL. */
static enum outcome try_file(struct attempt *a, const char *path, const char *cert,
                             struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;
        const char *user = a->s->conf->user;
        enum file_kind kind;
        long rc;

        if (ts_file_read(path, KEY_FILE_MAX, &text, NULL) < 0)
                return REFUSED;
        kind = classify(&text);
        a->rsa_skipped += kind == FILE_PLAIN && !HAVE_RSA_SHA2 && is_rsa(&text);
        explicit_bzero(text.buf, text.len);
        if (kind == FILE_NO_KEY)
                return REFUSED;
        if (kind == FILE_LOCKED) {
                if (!a->locked)
                        a->locked = ts_strdup0(path);
                return REFUSED;
        }
        a->tries++;
        a->deadline = ts_deadline_in_ms(a->s->conf->connect_timeout_ms);
        /* "" and not NULL: OpenSSL would ask the terminal for a pass phrase. */
        rc = TS_SSH_AWAIT(a->s, a->deadline, "authentication", err,
                          libssh2_userauth_publickey_fromfile_ex(
                                  a->s->session, user, (unsigned)strlen(user), cert, path, ""));
        if (rc != 0 && rc != LIBSSH2_ERROR_EAGAIN)
                ts_debug("ssh to %s: key %s was not accepted (%ld)", a->s->conf->alias, path, rc);
        return outcome_of(a, rc, err);
}

/* ---- certificates ---- */

static size_t string_at(const unsigned char *p, size_t left)
{
        size_t len = left >= 4 ? (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]
                               : left;

        return len <= left - 4 && left >= 4 ? 4 + len : left;
}

/* A certificate holds its type, a nonce, and then what the key holds behind its type. */
static bool is_cert_of(const struct ts_agent_key *cert, const struct ts_agent_key *key)
{
        size_t c = string_at(cert->blob, cert->len), k = string_at(key->blob, key->len);

        c += string_at(cert->blob + c, cert->len - c);
        return key->len > k && cert->len - c >= key->len - k &&
               memcmp(cert->blob + c, key->blob + k, key->len - k) == 0;
}

static enum outcome try_cert_by_agent(struct attempt *a, const struct ts_agent_key *cert,
                                      struct ts_err *err)
{
        enum outcome o = REFUSED;

        for (size_t i = 0; i < a->agent.n && o == REFUSED && a->tries < TRIES_MAX; i++) {
                const struct ts_agent_key *k = &a->agent.keys[i];

                if (k->len > 0 && !is_cert(k) && is_cert_of(cert, k))
                        o = try_agent_key(a, k, cert, err);
        }
        return o;
}

/* The certificate in a file, with its key in the agent or in one of the identity files. */
static enum outcome try_cert(struct attempt *a, const char *path, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;
        ts_auto_free char *text = public_key(path);
        unsigned char blob[KEY_BLOB_MAX], half[KEY_BLOB_MAX];
        struct ts_agent_key cert = { .blob = blob };
        enum outcome o;

        if (!text)
                return REFUSED;
        cert.len = from_base64(text, strlen(text), blob, sizeof(blob));
        if (!is_cert(&cert))
                return REFUSED;
        if (!is_usable_cert(&cert)) {
                if (!a->cert)
                        a->cert = ts_strdup0(path);
                return REFUSED;
        }
        o = try_cert_by_agent(a, &cert, err);
        for (size_t i = 0; i < c->identities.n && o == REFUSED && a->tries < TRIES_MAX; i++) {
                ts_auto_free char *public = public_half(c->identities.v[i]);
                struct ts_agent_key key = { .blob = half };

                key.len = public ? from_base64(public, strlen(public), half, sizeof(half)) : 0;
                if (key.len > 0 && is_cert_of(&cert, &key))
                        o = try_file(a, c->identities.v[i], path, err);
        }
        return o;
}

/* As ssh: those that CertificateFile names, and "file-cert.pub" beside a key. */
static enum outcome try_certs(struct attempt *a, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;
        enum outcome o = REFUSED;

        for (size_t i = 0; i < c->certificates.n && o == REFUSED; i++)
                o = try_cert(a, c->certificates.v[i], err);
        for (size_t i = 0; i < c->identities.n && o == REFUSED; i++) {
                ts_auto_free char *beside = ts_fmt("%s-cert.pub", c->identities.v[i]);

                if (beside)
                        o = try_cert(a, beside, err);
        }
        return o;
}

/* As ssh: certificates, then configured keys that the agent holds, then a key named on our command
 * line, then the agent's others, then the other files. */
static enum outcome try_all(struct attempt *a, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;
        enum outcome o = try_certs(a, err);

        for (size_t i = 0; i < c->identities.n && o == REFUSED && a->agent.n; i++) {
                ts_auto_free char *public = public_half(c->identities.v[i]);

                if (public)
                        o = try_agent(a, public, err);
        }
        if (o == REFUSED && c->own_identity && c->identities.n)
                o = try_file(a, c->identities.v[0], NULL, err);
        if (o == REFUSED && !c->identities_only)
                o = try_agent(a, NULL, err);
        for (size_t i = c->own_identity ? 1 : 0; i < c->identities.n && o == REFUSED && a->tries < TRIES_MAX; i++)
                o = try_file(a, c->identities.v[i], NULL, err);
        return o;
}

/* "FILE-cert.pub" lies beside the key that it is of, as ssh-keygen writes it. */
static int explain_cert(const struct attempt *a, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;
        size_t len = a->cert ? strlen(a->cert) : 0, suffix = strlen("-cert.pub");
        ts_auto_free char *key = NULL, *config = NULL, *who = NULL;

        ts_err_set(err, TS_EAUTH,
                   "'%s' accepts no key for user '%s', and the certificate '%s' is of a kind that "
                   "this libssh2 cannot show",
                   c->alias, c->user, ts_or(a->cert, "in the agent"));
        if (len > suffix && strcmp(a->cert + len - suffix, "-cert.pub") == 0) {
                key = ts_shell_word("%.*s.pub", (int)(len - suffix), a->cert);
                config = c->config_file ? ts_shell_word("%s", c->config_file) : NULL;
                who = ts_shell_word("%s@%s", c->user, c->alias);
                return ts_err_hint(err,
                                   "let the host know the key itself: `ssh-copy-id -f -i %s%s%s -p "
                                   "%s %s`; certificates of ECDSA keys work",
                                   ts_or(key, "KEY"), config ? " -F " : "", ts_or(config, ""),
                                   c->port, ts_or(who, "HOST"));
        }
        return ts_err_hint(err,
                           "add the key itself to authorized_keys of '%s' on '%s'; certificates of "
                           "ECDSA keys work",
                           c->user, c->alias);
}

static int explain(const struct attempt *a, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;
        ts_auto_free char *try = ts_ssh_conf_try(c, /* batch= */ true), *key = NULL;

        if (a->cert || a->certs_skipped)
                return explain_cert(a, err);

        if (a->locked) {
                key = ts_shell_word("%s", a->locked);
                ts_err_set(err, TS_EAUTH, "'%s' accepts no key of '%s' that is at hand; '%s' is protected by a pass phrase", c->alias,
                           c->user, a->locked);
                return ts_err_hint(err, "load it into the agent: `ssh-add %s`", ts_or(key, ""));
        }
        ts_err_set(err, TS_EAUTH, "'%s' accepts no key for user '%s' (%u tried, %u of them from the agent)", c->alias, c->user, a->tries,
                   a->agent_tries);
        if (a->rsa_skipped)
                return ts_err_hint(err,
                                   "this libssh2 cannot sign with RSA keys as servers want it "
                                   "today: use an ed25519 key, and check with `%s`",
                                   ts_or(try, "ssh"));
        return ts_err_hint(err, "is '%s' the right user, and does it know your key there? check with `%s`", c->user, ts_or(try, "ssh"));
}

/* "none" first: it asks what the host accepts, and some accept it. Returns 1 when that was all, 0 to go on, -1. */
static int ask_methods(struct ts_ssh *s, struct ts_err *err)
{
        const char *user = s->conf->user, *list = NULL;
        ts_deadline deadline = ts_deadline_in_ms(s->conf->connect_timeout_ms);
        long rc = TS_SSH_AWAIT(s, deadline, "authentication", err,
                               (list = libssh2_userauth_list(s->session, user, (unsigned)strlen(user)))
                                       ? 0
                                       : libssh2_session_last_errno(s->session));

        if (!list && libssh2_userauth_authenticated(s->session))
                return 1;
        if (rc != 0 || !list)
                return rc == LIBSSH2_ERROR_EAGAIN ? -1 : ts_ssh_fail(s, rc, "authentication", err);
        if (strstr(list, "publickey"))
                return 0;
        ts_err_set(err, TS_EAUTH, "'%s' does not accept keys for user '%s'", s->conf->alias, user);
        return ts_err_hint(err, "tranship asks for no passwords: set up a key with ssh-copy-id");
}

int ts_ssh_authenticate(struct ts_ssh *s, struct ts_err *err)
{
        struct attempt a = { .s = s, .agent = TS_AGENT_INIT, .deadline = ts_deadline_in_ms(s->conf->connect_timeout_ms) };
        int r = ask_methods(s, err);
        enum outcome o;

        if (r != 0)
                return r < 0 ? -1 : 0;
        open_agent(&a);
        o = try_all(&a, err);
        if (o == REFUSED)
                (void)explain(&a, err);
        ts_agent_close(&a.agent);
        free(a.locked);
        free(a.cert);
        return o == ACCEPTED ? 0 : -1;
}
