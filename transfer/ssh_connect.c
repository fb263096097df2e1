/* Makes a session: the order of the steps, and which algorithms are preferred. Where to connect, whom to trust and how to prove who we are is decided in
 * ssh_dial.c, ssh_hostkey.c and ssh_auth.c. */
#include "transfer/ssh.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static int init_rc;

static void init_library(void)
{
        init_rc = libssh2_init(0);
}

static bool in_list(const char *list, const char *word)
{
        size_t len = strlen(word);

        for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
                if (strncmp(p, word, len) == 0 && (p[len] == ',' || p[len] == '\0'))
                        return true;
        }
        return false;
}

static bool is_supported(const char **methods, int n, const char *word)
{
        for (int i = 0; i < n; i++) {
                if (strcmp(methods[i], word) == 0)
                        return true;
        }
        return false;
}

/* libssh2 before 1.11 would take unknown words out of the list by itself, but with a memcpy() that overlaps. */
int ts_ssh_prefer(struct ts_ssh *s, int method, const char *wanted, const char *allowed, bool *ret_any, struct ts_err *err)
{
        ts_auto_str list = TS_STR_INIT_MAX(8192);
        ts_auto_free char *copy = ts_strdup0(wanted);
        const char **methods = NULL;
        int n = libssh2_session_supported_algs(s->session, method, &methods), r = 0;
        char *save = NULL;

        if (!copy || n < 0)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (char *w = strtok_r(copy, ",", &save); w && r == 0; w = strtok_r(NULL, ",", &save)) {
                if ((!allowed || in_list(allowed, w)) && is_supported(methods, n, w))
                        r = ts_str_addf(&list, err, "%s%s", list.len ? "," : "", w);
        }
        libssh2_free(s->session, methods);
        if (r < 0)
                return -1;
        *ret_any = list.len > 0;
        return list.len == 0 || libssh2_session_method_pref(s->session, method, list.buf) == 0
                       ? 0
                       : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* What is fast first, of what the user's configuration allows. */
static int prefer_fast(struct ts_ssh *s, struct ts_err *err)
{
        static const char ciphers[] =
                "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,chacha20-poly1305@openssh.com";
        static const char macs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256,hmac-sha2-512-etm@openssh.com,hmac-sha2-512";
        const struct {
                int method;
                const char *wanted, *allowed;
        } prefs[] = {
                { LIBSSH2_METHOD_CRYPT_CS, ciphers, s->conf->ciphers },
                { LIBSSH2_METHOD_CRYPT_SC, ciphers, s->conf->ciphers },
                { LIBSSH2_METHOD_MAC_CS, macs, s->conf->macs },
                { LIBSSH2_METHOD_MAC_SC, macs, s->conf->macs },
                { LIBSSH2_METHOD_KEX, s->conf->kex, NULL },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(prefs); i++) {
                bool any = true;

                if (prefs[i].wanted && ts_ssh_prefer(s, prefs[i].method, prefs[i].wanted, prefs[i].allowed, &any, err) < 0)
                        return -1;
                if (!any && prefs[i].allowed && ts_ssh_prefer(s, prefs[i].method, prefs[i].allowed, NULL, &any, err) < 0)
                        return -1;
                if (!any)
                        return ts_err_set(err, TS_EUSAGE, "the ssh configuration of '%s' allows no algorithm (%s) that the ssh library has",
                                          s->conf->alias,
                                          prefs[i].method == LIBSSH2_METHOD_KEX ? "key exchange"
                                          : i < 2                               ? "cipher"
                                                                                : "MAC");
        }
        return 0;
}

static int handshake(struct ts_ssh *s, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(s->conf->connect_timeout_ms);
        long rc = TS_SSH_AWAIT(s, deadline, "ssh handshake", err, libssh2_session_handshake(s->session, s->fd));

        if (rc == 0)
                return 0;
        if (rc != LIBSSH2_ERROR_EAGAIN)
                (void)ts_ssh_fail(s, rc, "the ssh handshake failed", err);
        ts_ssh_blame_proxy(s, err);
        return -1;
}

static int connect_steps(struct ts_ssh *s, struct ts_err *err)
{
        if (ts_ssh_dial(s, err) < 0 || prefer_fast(s, err) < 0 || ts_ssh_prefer_known(s, err) < 0 || handshake(s, err) < 0)
                return -1;
        if (ts_ssh_check_host_key(s, err) < 0 || ts_ssh_authenticate(s, err) < 0)
                return -1;
        s->up = true;
        ts_ssh_heard(s);
        ts_debug("ssh to %s: %s, %s", s->conf->alias, libssh2_session_methods(s->session, LIBSSH2_METHOD_CRYPT_CS),
                 ts_or(libssh2_session_methods(s->session, LIBSSH2_METHOD_MAC_CS), "-"));
        return 0;
}

int ts_ssh_connect(const struct ts_ssh_conf *conf, int stop_fd, struct ts_ssh **ret, struct ts_err *err)
{
        ts_auto(ts_ssh) struct ts_ssh *s = NULL;

        (void)pthread_once(&init_once, init_library);
        if (init_rc)
                return ts_err_set(err, TS_EINTERNAL, "the ssh library does not start: %d", init_rc);
        s = ts_ssh_new(conf, stop_fd);
        if (!s)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (connect_steps(s, err) < 0)
                return -1;
        *ret = TS_TAKE(s);
        return 0;
}
