/* Is this the host it says it is? Decides by known_hosts, strictly; a changed key is refused whatever the options say.
 *
 * Names are matched here as OpenSSH does (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: patterns, negation, [host]:port, markers); libssh2 parses and compares the keys and undoes the hashed names.
 * @revoked keys are refused; @cert-authority lines are skipped, as libssh2 knows no host certificates. */
#include "transfer/ssh.h"

#include "base/io.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#define KNOWN_HOSTS_MAX (16u << 20)

/* What libssh2 calls a key's type in each of its three places, and in the protocol. In order of preference. */
static const struct key_type {
        int known;  /* LIBSSH2_KNOWNHOST_KEY_… */
        int actual; /* LIBSSH2_HOSTKEY_TYPE_… */
        const char *name;
        const char *algorithms;
} key_types[] = {
        { LIBSSH2_KNOWNHOST_KEY_ED25519, LIBSSH2_HOSTKEY_TYPE_ED25519, "ssh-ed25519", "ssh-ed25519" },
        { LIBSSH2_KNOWNHOST_KEY_ECDSA_256, LIBSSH2_HOSTKEY_TYPE_ECDSA_256, "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256" },
        { LIBSSH2_KNOWNHOST_KEY_ECDSA_384, LIBSSH2_HOSTKEY_TYPE_ECDSA_384, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" },
        { LIBSSH2_KNOWNHOST_KEY_ECDSA_521, LIBSSH2_HOSTKEY_TYPE_ECDSA_521, "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521" },
        { LIBSSH2_KNOWNHOST_KEY_SSHRSA, LIBSSH2_HOSTKEY_TYPE_RSA, "ssh-rsa", "rsa-sha2-512,rsa-sha2-256,ssh-rsa" },
};

struct known {
        LIBSSH2_KNOWNHOSTS *good, *revoked;
        char *name;     /* under which the key is looked up and added: "host", "[host]:port", or the alias */
        char *fallback; /* "host" when name has a port: such an entry is believed, but not held against the key */
};

static void known_clear(struct known *k)
{
        if (k->good)
                libssh2_knownhost_free(k->good);
        if (k->revoked)
                libssh2_knownhost_free(k->revoked);
        free(k->name);
        free(k->fallback);
}

static int set_names(const struct ts_ssh_conf *c, struct known *k, struct ts_err *err)
{
        bool standard = strcmp(c->port, "22") == 0;

        if (c->host_key_alias)
                k->name = ts_strdup0(c->host_key_alias);
        else
                k->name = standard ? ts_strdup0(c->hostname) : ts_fmt("[%s]:%s", c->hostname, c->port);
        if (!c->host_key_alias && !standard)
                k->fallback = ts_strdup0(c->hostname);
        if (!k->name || (!c->host_key_alias && !standard && !k->fallback))
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (char *p = k->name; *p; p++)
                *p = (char)tolower((unsigned char)*p);
        for (char *p = k->fallback; p && *p; p++)
                *p = (char)tolower((unsigned char)*p);
        return 0;
}

/* ---- reading ---- */

/* One pattern: `*` and `?` only; fnmatch() would give `[` a meaning, so it is escaped. */
static bool pattern_matches(const char *pattern, const char *name)
{
        char escaped[1024];
        size_t n = 0;

        for (const char *p = pattern; *p && n + 2 < sizeof(escaped); p++) {
                if (*p == '[' || *p == ']' || *p == '\\')
                        escaped[n++] = '\\';
                escaped[n++] = (char)tolower((unsigned char)*p);
        }
        escaped[n] = '\0';
        return fnmatch(escaped, name, 0) == 0;
}

/* A comma list of patterns; one that is negated and matches decides against all others. */
static bool list_matches(const char *list, const char *name)
{
        ts_auto_free char *copy = ts_strdup0(list);
        char *save = NULL;
        bool found = false;

        if (!copy || !name)
                return false;
        for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
                bool negated = *w == '!';

                if (!pattern_matches(w + negated, name))
                        continue;
                if (negated)
                        return false;
                found = true;
        }
        return found;
}

/* Unreadable lines are skipped, as OpenSSH does: they cannot make anything trusted.
 *
 * A name of one or two letters goes in twice: libssh2 (hostline() in knownhost.c, 1.11) looks for what hashed names begin with only in longer ones, and takes all others for hashed. */
static void add_line(LIBSSH2_KNOWNHOSTS *to, const char *name, const char *key)
{
        ts_auto_free char *line = strlen(name) > 2 ? ts_fmt("%s %s", name, key) : ts_fmt("%s,%s %s", name, name, key);

        if (line)
                (void)libssh2_knownhost_readline(to, line, strlen(line), LIBSSH2_KNOWNHOST_FILE_OPENSSH);
}

static void read_line(struct known *k, char *line)
{
        LIBSSH2_KNOWNHOSTS *to = k->good;
        char *save = NULL, *names, *key;

        names = strtok_r(line, " \t\r", &save);
        if (!names || *names == '#')
                return;
        if (*names == '@') {
                if (strcmp(names, "@revoked") != 0)
                        return;
                to = k->revoked;
                names = strtok_r(NULL, " \t\r", &save);
        }
        if (!names)
                return;
        key = save + strspn(save, " \t");
        if (*names == '|') {
                add_line(to, names, key);
                return;
        }
        if (list_matches(names, k->name))
                add_line(to, k->name, key);
        if (k->fallback && list_matches(names, k->fallback))
                add_line(to, k->fallback, key);
}

static int read_file(struct known *k, const char *path, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;
        ts_auto_err failed = TS_ERR_INIT;
        char *save = NULL;

        if (ts_file_read(path, KNOWN_HOSTS_MAX, &text, &failed) < 0) {
                if (failed.code == TS_ENOTFOUND)
                        return 0;
                ts_err_move(err, &failed);
                return ts_err_prefix(err, "the known hosts");
        }
        for (char *line = strtok_r(text.buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                read_line(k, line);
        return 0;
}

static int known_load(struct ts_ssh *s, struct known *k, struct ts_err *err)
{
        const struct ts_list *lists[] = { &s->conf->known_hosts, &s->conf->global_known_hosts };

        k->good = libssh2_knownhost_init(s->session);
        k->revoked = libssh2_knownhost_init(s->session);
        if (!k->good || !k->revoked)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (set_names(s->conf, k, err) < 0)
                return -1;
        for (size_t l = 0; l < TS_ARRAY_LEN(lists); l++) {
                for (size_t i = 0; i < lists[l]->n; i++) {
                        if (read_file(k, lists[l]->v[i], err) < 0)
                                return -1;
                }
        }
        return 0;
}

/* ---- before the handshake ---- */

/* Is there an entry of this type for name? Asked with a key that cannot be right: a mismatch is a yes. (The names of hashed entries cannot be listed.) */
static bool has_type(LIBSSH2_KNOWNHOSTS *in, const char *name, int type)
{
        return name &&
               libssh2_knownhost_checkp(in, name, -1, "AAAA", 4, LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_BASE64 | type,
                                        NULL) == LIBSSH2_KNOWNHOST_CHECK_MISMATCH;
}

/* The types that are known come first, so that a server with several keys shows the one that can be checked. The others follow: a server that has none of the known
 * types should be refused with a reason, not by a failed negotiation. */
int ts_ssh_prefer_known(struct ts_ssh *s, struct ts_err *err)
{
        __attribute__((cleanup(known_clear))) struct known k = { 0 };
        ts_auto_str list = TS_STR_INIT_MAX(4096);
        bool any;

        if (known_load(s, &k, err) < 0)
                return -1;
        for (int round = 0; round < 2; round++) {
                for (size_t i = 0; i < TS_ARRAY_LEN(key_types); i++) {
                        bool is_known = has_type(k.good, k.name, key_types[i].known) || has_type(k.good, k.fallback, key_types[i].known);

                        if (is_known == (round == 0) && ts_str_addf(&list, err, "%s%s", list.len ? "," : "", key_types[i].algorithms) < 0)
                                return -1;
                }
        }
        if (ts_ssh_prefer(s, LIBSSH2_METHOD_HOSTKEY, list.buf, s->conf->host_key_algorithms, &any, err) < 0)
                return -1;
        return any ? 0
                   : ts_err_set(err, TS_EUSAGE, "the ssh configuration of '%s' allows no host key algorithm that the ssh library has",
                                s->conf->alias);
}

/* ---- after it ---- */

enum verdict { KEY_GOOD, KEY_REVOKED, KEY_CHANGED, KEY_UNKNOWN };

static bool is_entry(LIBSSH2_KNOWNHOSTS *in, const char *name, const char *key, size_t len, int type)
{
        return name && libssh2_knownhost_checkp(in, name, -1, key, len, LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW | type,
                                                NULL) == LIBSSH2_KNOWNHOST_CHECK_MATCH;
}

static enum verdict judge(const struct known *k, const char *key, size_t len, const struct key_type *t)
{
        if (is_entry(k->revoked, k->name, key, len, t->known) || is_entry(k->revoked, k->fallback, key, len, t->known))
                return KEY_REVOKED;
        if (is_entry(k->good, k->name, key, len, t->known) || is_entry(k->good, k->fallback, key, len, t->known))
                return KEY_GOOD;
        /* Any entry for this name counts, of whatever type: else a stranger would only have to offer another one. */
        for (size_t i = 0; i < TS_ARRAY_LEN(key_types); i++) {
                if (has_type(k->good, k->name, key_types[i].known))
                        return KEY_CHANGED;
        }
        return KEY_UNKNOWN;
}

static char *to_base64(const unsigned char *data, size_t len, bool pad)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *text = malloc((len + 2) / 3 * 4 + 1), *p = text;

        if (!text)
                return NULL;
        for (size_t i = 0; i < len; i += 3) {
                unsigned long v = (unsigned long)data[i] << 16 | (i + 1 < len ? (unsigned long)data[i + 1] << 8 : 0) |
                                  (i + 2 < len ? data[i + 2] : 0);

                *p++ = digits[v >> 18 & 63];
                *p++ = digits[v >> 12 & 63];
                if (i + 1 < len || pad)
                        *p++ = i + 1 < len ? digits[v >> 6 & 63] : '=';
                if (i + 2 < len || pad)
                        *p++ = i + 2 < len ? digits[v & 63] : '=';
        }
        *p = '\0';
        return text;
}

static char *fingerprint(struct ts_ssh *s)
{
        const char *hash = libssh2_hostkey_hash(s->session, LIBSSH2_HOSTKEY_HASH_SHA256);
        ts_auto_free char *text = hash ? to_base64((const unsigned char *)hash, 32, false) : NULL;

        return text ? ts_fmt("SHA256:%s", text) : NULL;
}

/* A new file in the calling user's directory must be the user's. */
static int open_known_hosts(const struct ts_ssh_conf *c, const char *path, struct ts_err *err)
{
        ts_auto_free char *copy = ts_strdup0(path);
        bool is_new = access(path, F_OK) < 0;
        int fd;

        if (!copy || ts_mkdir_p(dirname(copy), 0700, err) < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot add the host key to '%s'", path);
        if (is_new && c->owner.switch_to && fchown(fd, c->owner.uid, c->owner.gid) < 0)
                ts_debug("cannot give %s to its user: %s", path, strerror(errno));
        return fd;
}

static bool ends_in_newline(int fd)
{
        struct stat st;
        char c = '\n';

        if (fstat(fd, &st) == 0 && st.st_size > 0)
                (void)!pread(fd, &c, 1, st.st_size - 1);
        return c == '\n';
}

/* Appended, never rewritten: the file holds things that libssh2 would drop. One write, so that two of us do not mix. */
static int add_key(struct ts_ssh *s, const struct known *k, const char *key, size_t len, const struct key_type *t, struct ts_err *err)
{
        const char *path = s->conf->known_hosts.n ? s->conf->known_hosts.v[0] : NULL;
        ts_auto_free char *text = to_base64((const unsigned char *)key, len, true), *line = NULL;
        ts_auto_fd int fd = -1;

        if (!path) /* UserKnownHostsFile none: nothing is remembered */
                return 0;
        fd = open_known_hosts(s->conf, path, err);
        if (fd < 0)
                return -1;
        line = text ? ts_fmt("%s%s %s %s\n", ends_in_newline(fd) ? "" : "\n", k->name, t->name, text) : NULL;
        if (!line)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_write_all(fd, line, strlen(line), 0, false, err) < 0)
                return ts_err_prefix(err, "cannot add the host key to '%s'", path);
        ts_debug("added the %s key of %s to %s", t->name, k->name, path);
        return 0;
}

static int refuse(struct ts_ssh *s, const struct known *k, enum verdict v, const struct key_type *t, struct ts_err *err)
{
        ts_auto_free char *print = fingerprint(s), *name = NULL, *at = NULL;
        const char *shown = ts_or(print, "unknown");

        if (v == KEY_REVOKED)
                return ts_err_set(err, TS_EAUTH, "the host key of '%s' is marked as revoked", s->conf->alias);
        if (v == KEY_UNKNOWN) {
                ts_auto_free char *try = ts_ssh_conf_try(s->conf, /* batch= */ false);

                ts_err_set(err, TS_EAUTH, "the host key of '%s' is not known", s->conf->alias);
                if (s->conf->strict)
                        return ts_err_hint(err,
                                           "its %s fingerprint is %s: compare it, then accept it with --accept-new (ssh itself does not "
                                           "ask: its configuration has StrictHostKeyChecking yes)",
                                           t->name, shown);
                return ts_err_hint(err,
                                   "its %s fingerprint is %s: compare it, then accept it with `%s` "
                                   "or --accept-new",
                                   t->name, shown, ts_or(try, "ssh"));
        }
        ts_err_set(err, TS_EAUTH,
                   "the host key of '%s' is not the one in known_hosts: somebody may be listening, or the host was installed anew",
                   s->conf->alias);
        name = ts_shell_word("%s", k->name);
        at = s->conf->known_hosts.n ? ts_shell_word("%s", s->conf->known_hosts.v[0]) : NULL;
        return ts_err_hint(err,
                           "its %s fingerprint is now %s: if that is right, `ssh-keygen -R %s -f "
                           "%s` forgets the old one",
                           t->name, shown, ts_or(name, ""), ts_or(at, "~/.ssh/known_hosts"));
}

int ts_ssh_check_host_key(struct ts_ssh *s, struct ts_err *err)
{
        __attribute__((cleanup(known_clear))) struct known k = { 0 };
        const struct key_type *t = NULL;
        enum verdict v;
        size_t len = 0;
        int type = 0;
        const char *key = libssh2_session_hostkey(s->session, &len, &type);

        for (size_t i = 0; i < TS_ARRAY_LEN(key_types); i++) {
                if (key_types[i].actual == type)
                        t = &key_types[i];
        }
        if (!key || !t)
                return ts_err_set(err, TS_EAUTH, "'%s' has a host key of a type that cannot be checked", s->conf->alias);
        if (known_load(s, &k, err) < 0)
                return -1;
        v = judge(&k, key, len, t);
        if (v == KEY_GOOD)
                return 0;
        return v == KEY_UNKNOWN && s->conf->accept_new ? add_key(s, &k, key, len, t, err) : refuse(s, &k, v, t, err);
}
