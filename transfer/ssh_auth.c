/* Proves to the host who we are: agent keys, then key files, as ssh would, never asking anybody anything. Decides the order and explains a refusal.
 *
 * Not supported, and skipped: certificates, keys on FIDO tokens, passwords. libssh2 before 1.11 signs RSA only with SHA-1, which OpenSSH refuses since 8.8. */
#include "transfer/ssh.h"

#include "base/io.h"
#include "base/log.h"
#include "transfer/ssh_agent.h"

#include <ctype.h>
#include <string.h>

#define KEY_FILE_MAX (64u << 10)
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
        unsigned agent_tries, rsa_skipped;
        char *locked; /* the first key file with a pass phrase; owned */
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

/* The public key beside a private one ("file.pub"): type, base64. NULL when there is none. */
static char *public_half(const char *path)
{
        ts_auto_free char *name = ts_fmt("%s.pub", path);
        ts_auto_str text = TS_STR_INIT;
        char *save = NULL, *type, *key;

        if (!name || ts_file_read(name, KEY_FILE_MAX, &text, NULL) < 0)
                return NULL;
        type = strtok_r(text.buf, " \t\n", &save);
        key = type ? strtok_r(NULL, " \t\n", &save) : NULL;
        return key ? ts_strdup0(key) : NULL;
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

static bool is_usable(struct attempt *a, const struct ts_agent_key *k)
{
        static const char *const types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" };

        for (size_t i = 0; i < TS_ARRAY_LEN(types); i++) {
                if (blob_is(k, types[i]))
                        return true;
        }
        if (!blob_is(k, "ssh-rsa"))
                return false;
        a->rsa_skipped += !HAVE_RSA_SHA2;
        return HAVE_RSA_SHA2;
}

static enum outcome try_agent_key(struct attempt *a, const struct ts_agent_key *k, struct ts_err *err)
{
        const char *user = a->s->conf->user;
        void *self = a;
        long rc;

        a->key = k;
        a->tries++;
        a->agent_tries++;
        a->deadline = ts_deadline_in_ms(a->s->conf->connect_timeout_ms);
        rc = TS_SSH_AWAIT(a->s, a->deadline, "authentication", err,
                          libssh2_userauth_publickey(a->s->session, user, k->blob, k->len, sign, &self));
        return outcome_of(a, rc, err);
}

/* Tries the agent's keys; only = base64 of the one wanted, or NULL for all that were not tried yet. */
static enum outcome try_agent(struct attempt *a, const char *only, struct ts_err *err)
{
        unsigned char wanted[4096];
        size_t wanted_len = only ? from_base64(only, strlen(only), wanted, sizeof(wanted)) : 0;

        for (size_t i = 0; i < a->agent.n && a->tries < TRIES_MAX; i++) {
                struct ts_agent_key *k = &a->agent.keys[i];
                enum outcome o;

                if (k->len == 0 || (only && (k->len != wanted_len || memcmp(k->blob, wanted, wanted_len) != 0)))
                        continue;
                if (!is_usable(a, k))
                        continue;
                o = try_agent_key(a, k, err);
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
        return *named == '$' ? getenv(named + 1) : named;
}

static void open_agent(struct attempt *a)
{
        const struct ts_ssh_conf *c = a->s->conf;
        const char *path = agent_path(c);
        ts_auto_free char *expanded = NULL, *full = NULL;
        ts_auto_err failed = TS_ERR_INIT;

        if (!path || !*path)
                return;
        if (path == c->identity_agent && ts_ssh_conf_expand(c, path, &expanded, NULL) == 0)
                path = expanded;
        if (path[0] == '~' && path[1] == '/' && c->owner.home)
                path = full = ts_fmt("%s%s", c->owner.home, path + 1);
        /* Its own deadline: an agent that hangs must not use up the time of the key files. */
        if (path && ts_agent_open(path, ts_deadline_in_ms(c->connect_timeout_ms), &a->agent, &failed) < 0)
                ts_debug("ssh to %s: %s", c->alias, ts_err_message(&failed));
}

/* ---- files ---- */

static enum outcome try_file(struct attempt *a, const char *path, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;
        const char *user = a->s->conf->user;
        enum file_kind kind;
        long rc;

        if (ts_file_read(path, KEY_FILE_MAX, &text, NULL) < 0)
                return REFUSED;
        kind = classify(&text);
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
                          libssh2_userauth_publickey_fromfile_ex(a->s->session, user, (unsigned)strlen(user), NULL, path, ""));
        if (rc != 0 && rc != LIBSSH2_ERROR_EAGAIN)
                ts_debug("ssh to %s: key %s was not accepted (%ld)", a->s->conf->alias, path, rc);
        return outcome_of(a, rc, err);
}

/* As ssh: configured keys that the agent holds, then a key named on our command line, then the agent's others, then the other files. */
static enum outcome try_all(struct attempt *a, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;
        enum outcome o = REFUSED;

        for (size_t i = 0; i < c->identities.n && o == REFUSED && a->agent.n; i++) {
                ts_auto_free char *public = public_half(c->identities.v[i]);

                if (public)
                        o = try_agent(a, public, err);
        }
        if (o == REFUSED && c->own_identity && c->identities.n)
                o = try_file(a, c->identities.v[0], err);
        if (o == REFUSED && !c->identities_only)
                o = try_agent(a, NULL, err);
        for (size_t i = c->own_identity ? 1 : 0; i < c->identities.n && o == REFUSED && a->tries < TRIES_MAX; i++)
                o = try_file(a, c->identities.v[i], err);
        return o;
}

static int explain(const struct attempt *a, struct ts_err *err)
{
        const struct ts_ssh_conf *c = a->s->conf;

        if (a->locked) {
                ts_err_set(err, TS_EAUTH, "'%s' accepts no key of '%s' that is at hand; '%s' is protected by a pass phrase", c->alias,
                           c->user, a->locked);
                return ts_err_hint(err, "load it into the agent: `ssh-add %s`", a->locked);
        }
        ts_err_set(err, TS_EAUTH, "'%s' accepts no key for user '%s' (%u tried, %u of them from the agent)", c->alias, c->user, a->tries,
                   a->agent_tries);
        if (a->rsa_skipped || (a->tries && !HAVE_RSA_SHA2))
                return ts_err_hint(
                        err,
                        "this libssh2 cannot sign with RSA keys as servers want it today: use an ed25519 key, and check with `ssh %s true`",
                        c->alias);
        return ts_err_hint(err, "check with `ssh -o BatchMode=yes %s true`", c->alias);
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
        return o == ACCEPTED ? 0 : -1;
}
