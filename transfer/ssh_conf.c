/* The user's SSH configuration. Decides how `ssh -G` is asked and how its answer is read; does not decide what is done with it. */
#include "transfer/ssh_conf.h"

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OUTPUT_MAX (256u << 10)
#define RESOLVE_MS 10000
#define FILES_MAX 32
#define CONNECT_MS_DEFAULT 10000
#define PEER_MS_DEFAULT 15000

/* ---- reading the answer ---- */

enum kind { TEXT, TEXT_OR_NONE, FILE_NAME, FILE_LIST, YES_NO, SECONDS, STRICT, UNSUPPORTED };

static const struct field {
        const char *key;
        enum kind kind;
        size_t offset;
} fields[] = {
#define FIELD(key, kind, member)                                \
        {                                                       \
                key, kind, offsetof(struct ts_ssh_conf, member) \
        }
        FIELD("user", TEXT, user),
        FIELD("hostname", TEXT, hostname),
        FIELD("port", TEXT, port),
        FIELD("hostkeyalias", TEXT, host_key_alias),
        FIELD("identityagent", TEXT, identity_agent), /* "none" has its own meaning */
        FIELD("proxyjump", TEXT_OR_NONE, proxy_jump),
        FIELD("proxycommand", TEXT_OR_NONE, proxy_command),
        FIELD("addressfamily", TEXT, family),
        FIELD("ciphers", TEXT, ciphers),
        FIELD("macs", TEXT, macs),
        FIELD("kexalgorithms", TEXT, kex),
        FIELD("hostkeyalgorithms", TEXT, host_key_algorithms),
        FIELD("identityfile", FILE_NAME, identities),
        FIELD("certificatefile", FILE_NAME, certificates),
        FIELD("userknownhostsfile", FILE_LIST, known_hosts),
        FIELD("globalknownhostsfile", FILE_LIST, global_known_hosts),
        FIELD("identitiesonly", YES_NO, identities_only),
        FIELD("connecttimeout", SECONDS, connect_timeout_ms),
        FIELD("stricthostkeychecking", STRICT, accept_new),
        { "proxyusefdpass", UNSUPPORTED, 0 },
#undef FIELD
};

/* `~/x` and `~` are the home of the user whose configuration it is. */
static char *expand_home(const struct ts_ssh_conf *conf, const char *path)
{
        if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && conf->owner.home)
                return ts_fmt("%s%s", conf->owner.home, path + 1);
        return ts_strdup0(path);
}

static int add_file(struct ts_ssh_conf *conf, struct ts_list *list, const char *word, struct ts_err *err)
{
        ts_auto_free char *expanded = NULL;

        if (strcmp(word, "none") == 0)
                return 0;
        if (list->n >= FILES_MAX)
                return ts_err_set(err, TS_ELIMIT, "more than %d files for one setting of '%s' in the ssh configuration", FILES_MAX,
                                  conf->alias);
        expanded = expand_home(conf, word);
        if (!expanded)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return ts_list_add(list, expanded, err);
}

static int add_files(struct ts_ssh_conf *conf, struct ts_list *list, char *words, struct ts_err *err)
{
        char *save = NULL;

        for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
                if (add_file(conf, list, w, err) < 0)
                        return -1;
        }
        return 0;
}

static int set_text(char **member, const char *value, struct ts_err *err)
{
        if (*member) /* ssh's rule: the first one counts */
                return 0;
        *member = ts_strdup0(value);
        return *member ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static bool is_yes(const char *value)
{
        return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
}

static int set_field(struct ts_ssh_conf *conf, const struct field *f, char *value, struct ts_err *err)
{
        void *member = (char *)conf + f->offset;
        unsigned long long seconds;

        switch (f->kind) {
        case TEXT:
                return set_text(member, value, err);
        case TEXT_OR_NONE:
                return strcmp(value, "none") == 0 ? 0 : set_text(member, value, err);
        case FILE_NAME:
                return add_file(conf, member, value, err);
        case FILE_LIST:
                return add_files(conf, member, value, err);
        case YES_NO:
                *(bool *)member = is_yes(value);
                return 0;
        case SECONDS:
                if (ts_parse_u64(value, 1, 3600, &seconds, NULL) == 0) /* else "none" */
                        *(unsigned *)member = (unsigned)seconds * 1000;
                return 0;
        case STRICT: /* no: OpenSSH would accept even a changed key; that we never do */
                *(bool *)member = strcmp(value, "accept-new") == 0 || strcmp(value, "no") == 0 || strcmp(value, "off") == 0 ||
                                  strcmp(value, "false") == 0;
                conf->strict = is_yes(value);
                return 0;
        case UNSUPPORTED:
                if (!is_yes(value))
                        return 0;
                return ts_err_set(err, TS_EUSAGE, "the ssh configuration of '%s' uses '%s', which is not supported", conf->alias, f->key);
        }
        return 0;
}

static int parse_line(struct ts_ssh_conf *conf, char *line, struct ts_err *err)
{
        char *value = strchr(line, ' ');

        if (!value)
                return 0;
        *value++ = '\0';
        for (size_t i = 0; i < TS_ARRAY_LEN(fields); i++) {
                if (strcmp(line, fields[i].key) == 0)
                        return set_field(conf, &fields[i], value, err);
        }
        return 0;
}

static int check_parsed(const struct ts_ssh_conf *conf, struct ts_err *err)
{
        unsigned long long port;

        if (!conf->user || !conf->hostname || !conf->port || !*conf->user || !*conf->hostname)
                return ts_err_set(err, TS_EPROTO, "`ssh -G` did not say user, hostname and port of '%s'", conf->alias);
        if (ts_parse_u64(conf->port, 1, 65535, &port, NULL) < 0)
                return ts_err_set(err, TS_EUSAGE, "'%s' is no port for '%s'", conf->port, conf->alias);
        return 0;
}

int ts_ssh_conf_parse(struct ts_ssh_conf *conf, char *text, struct ts_err *err)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                if (parse_line(conf, line, err) < 0)
                        return -1;
        }
        return check_parsed(conf, err);
}

/* ---- tokens ---- */

static const char *token(const struct ts_ssh_conf *conf, char c, char buf[256])
{
        switch (c) {
        case '%':
                return "%";
        case 'h':
                return conf->hostname;
        case 'p':
                return conf->port;
        case 'r':
                return conf->user;
        case 'n':
                return conf->alias;
        case 'k':
                return ts_or(conf->host_key_alias, conf->alias);
        case 'd':
                return ts_or(conf->owner.home, "");
        case 'u':
                return conf->owner.name ? conf->owner.name : getenv("USER");
        case 'i':
                (void)snprintf(buf, 256, "%lu", (unsigned long)(conf->owner.switch_to ? conf->owner.uid : getuid()));
                return buf;
        case 'l':
        case 'L':
                if (gethostname(buf, 255) < 0)
                        return NULL;
                buf[255] = '\0';
                if (c == 'L')
                        buf[strcspn(buf, ".")] = '\0';
                return buf;
        default:
                return NULL;
        }
}

int ts_ssh_conf_expand(const struct ts_ssh_conf *conf, const char *text, char **ret, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT_MAX(32768);

        for (const char *p = text; *p; p++) {
                char buf[256];
                const char *value;

                if (*p != '%') {
                        if (ts_str_add(&s, p, 1, err) < 0)
                                return -1;
                        continue;
                }
                value = p[1] ? token(conf, p[1], buf) : NULL;
                if (!value)
                        return ts_err_set(err, TS_EUSAGE, "the token '%%%c' in the ssh configuration of '%s' is not supported",
                                          p[1] ? p[1] : ' ', conf->alias);
                if (ts_str_adds(&s, value, err) < 0)
                        return -1;
                p++;
        }
        *ret = ts_str_take(&s);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* ${NAME}, as ssh takes it in the names of files: one that is not set is an error. p is behind the '{'. */
static const char *add_variable(const struct ts_ssh_conf *conf, struct ts_str *s, const char *p,
                                struct ts_err *err)
{
        const char *end = strchr(p, '}'), *value;
        ts_auto_free char *name = end ? strndup(p, (size_t)(end - p)) : NULL;

        if (end && !name) {
                (void)ts_err_set(err, TS_ENOMEM, "out of memory");
                return NULL;
        }
        value = name ? getenv(name) : NULL;
        if (!value) {
                ts_auto_free char *shown = ts_printable(p, end ? (size_t)(end - p) : strlen(p), 60);
                ts_auto_free char *word = ts_shell_word("--preserve-env=%s", ts_or(shown, ""));

                ts_err_set(err, TS_EUSAGE,
                           "the ssh configuration of '%s' uses the variable '%s', which is not set",
                           conf->alias, ts_or(shown, ""));
                (void)ts_err_hint(
                        err,
                        "set it where tranship is started; sudo keeps it with %s",
                        ts_or(word, "--preserve-env"));
                return NULL;
        }
        return ts_str_adds(s, value, err) < 0 ? NULL : end + 1;
}

int ts_ssh_conf_expand_file(const struct ts_ssh_conf *conf, const char *text, char **ret,
                            struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT_MAX(32768);
        ts_auto_free char *tokens = NULL, *home = NULL;
        const char *dollar;

        /* The tokens first: what a variable holds is taken as it is. */
        if (ts_ssh_conf_expand(conf, text, &tokens, err) < 0)
                return -1;
        for (const char *p = tokens; p && *p;) {
                dollar = strstr(p, "${");
                if (ts_str_add(&s, p, dollar ? (size_t)(dollar - p) : strlen(p), err) < 0)
                        return -1;
                p = dollar ? add_variable(conf, &s, dollar + 2, err) : NULL;
                if (dollar && !p)
                        return -1;
        }
        home = expand_home(conf, ts_str_cstr(&s));
        *ret = TS_TAKE(home);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int expand_list(const struct ts_ssh_conf *conf, struct ts_list *list, struct ts_err *err)
{
        for (size_t i = 0; i < list->n; i++) {
                char *expanded;

                if (ts_ssh_conf_expand_file(conf, list->v[i], &expanded, err) < 0)
                        return -1;
                free(list->v[i]);
                list->v[i] = expanded;
        }
        return 0;
}

/* ---- asking ---- */

/* ssh takes its home directory from the password database, not from HOME: so it runs as the user whose configuration counts. A configuration file named on our command line
 * belongs to whoever owns it. */
static int choose_owner(struct ts_ssh_conf *conf, struct ts_err *err)
{
        struct stat st;

        if (ts_user_calling(&conf->owner, err) < 0)
                return -1;
        if (!conf->config_file)
                return 0;
        if (stat(conf->config_file, &st) < 0)
                return ts_err_errno(err, errno, "cannot read the ssh configuration '%s'", conf->config_file);
        if (conf->owner.switch_to && st.st_uid != conf->owner.uid)
                conf->owner.switch_to = false;
        return 0;
}

/* All that our own command line says of the host, as ssh wants it. */
static int asked_words(struct ts_ssh_conf *conf, const char *user, unsigned port,
                       const char *identity, struct ts_err *err)
{
        struct ts_list *argv = &conf->asked;

        if (conf->config_file && (ts_list_add(argv, "-F", err) < 0 || ts_list_add(argv, conf->config_file, err) < 0))
                return -1;
        if (user && *user && (ts_list_add(argv, "-l", err) < 0 || ts_list_add(argv, user, err) < 0))
                return -1;
        if (port && (ts_list_add(argv, "-p", err) < 0 || ts_list_addf(argv, err, "%u", port) < 0))
                return -1;
        if (identity && (ts_list_add(argv, "-i", err) < 0 || ts_list_add(argv, identity, err) < 0))
                return -1;
        return ts_list_add(argv, conf->alias, err);
}

static int add_all(struct ts_list *argv, const struct ts_list *more, struct ts_err *err)
{
        for (size_t i = 0; i < more->n; i++)
                if (ts_list_add(argv, more->v[i], err) < 0)
                        return -1;
        return 0;
}

/* ssh takes the value apart at blanks, and replaces what follows a %. */
int ts_ssh_conf_add_known_hosts(const struct ts_ssh_conf *conf, struct ts_list *argv, const char *before, struct ts_err *err)
{
        ts_auto_str word = TS_STR_INIT;

        for (const char *c = conf->known_hosts.v[0]; *c; c++) {
                if (strchr("\"\\%", *c) && ts_str_add(&word, *c == '%' ? "%" : "\\", 1, err) < 0)
                        return -1;
                if (ts_str_add(&word, c, 1, err) < 0)
                        return -1;
        }
        if (strcspn(conf->known_hosts.v[0], " \t\"'\\#") == strlen(conf->known_hosts.v[0]))
                return ts_list_addf(argv, err, "%sUserKnownHostsFile=%s", before, ts_str_cstr(&word));
        return ts_list_addf(argv, err, "%sUserKnownHostsFile=\"%s\"", before, ts_str_cstr(&word));
}

char *ts_ssh_conf_try(const struct ts_ssh_conf *conf, bool batch)
{
        ts_auto_list argv = TS_LIST_INIT;
        ts_auto_free char *line = NULL;

        if (ts_list_add(&argv, "ssh", NULL) < 0 ||
            (batch && (ts_list_add(&argv, "-o", NULL) < 0 ||
                       ts_list_add(&argv, "BatchMode=yes", NULL) < 0)) ||
            (conf->own_known_hosts &&
             (ts_list_add(&argv, "-o", NULL) < 0 ||
              ts_ssh_conf_add_known_hosts(conf, &argv, "", NULL) < 0)) ||
            add_all(&argv, &conf->asked, NULL) < 0 || ts_list_add(&argv, "true", NULL) < 0 ||
            ts_shell_quote((const char *const *)argv.v, &line, NULL) < 0)
                return ts_fmt("ssh %s true", conf->alias);
        return TS_TAKE(line);
}

/* What is wrong: the first line that is neither a warning nor about a terminal. */
static char *complaint_of(const struct ts_str *s)
{
        const char *line = ts_str_cstr(s), *end;

        for (; *line; line = *end ? end + 1 : end) {
                end = line + strcspn(line, "\r\n");
                if (end > line && !ts_starts(line, "Warning:") && !ts_starts(line, "Pseudo-terminal"))
                        return ts_printable(line, (size_t)(end - line), 300);
        }
        return NULL;
}

static int collect(pid_t pid, int out, int errs, struct ts_str *text, struct ts_err *err)
{
        ts_auto_str complaint = TS_STR_INIT_MAX(16384);
        ts_auto_free char *line = NULL;
        ts_deadline deadline = ts_deadline_in_ms(RESOLVE_MS);
        int status = 0;

        /* stdout first: what ssh says on stderr fits into the pipe. */
        if (ts_read_to_end(out, text, deadline, err) < 0 || ts_read_to_end(errs, &complaint, deadline, err) < 0) {
                ts_kill_and_reap(pid);
                return ts_err_prefix(err, "`ssh -G` for the configuration");
        }
        if (ts_reap(pid, deadline, &status, err) < 0)
                return -1;
        if (status == 0)
                return 0;
        line = complaint_of(&complaint);
        if (status == 127)
                return ts_err_set(err, TS_ENOTFOUND, "there is no `ssh` program, which reads the ssh configuration");
        return ts_err_set(err, TS_EUSAGE, "ssh rejects the host or its configuration: %s", ts_or(line, "no reason given"));
}

static int ask(const struct ts_ssh_conf *conf, const struct ts_list *argv, struct ts_str *text, struct ts_err *err)
{
        int out[2], errs[2];
        pid_t pid;
        int r;

        if (ts_pipe(out, err) < 0)
                return -1;
        if (ts_pipe(errs, err) < 0) {
                (void)close(out[0]);
                (void)close(out[1]);
                return -1;
        }
        r = ts_spawn(
                &(struct ts_spawn){ .argv = (const char *const *)argv->v, .in = -1, .out = out[1], .errs = errs[1], .user = &conf->owner },
                &pid, err);
        (void)close(out[1]);
        (void)close(errs[1]);
        if (r == 0)
                r = collect(pid, out[0], errs[0], text, err);
        (void)close(out[0]);
        (void)close(errs[0]);
        return r;
}

static int check_name(const char *what, const char *name, struct ts_err *err)
{
        if (!name)
                return 0;
        if (!*name || *name == '-' || strlen(name) > 255)
                return ts_err_set(err, TS_EUSAGE, "'%s' is no %s", name, what);
        for (const char *p = name; *p; p++) {
                if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("'\"\\`$;&<>|(){}", *p))
                        return ts_err_set(err, TS_EUSAGE, "the %s has a character that ssh would not take", what);
        }
        return 0;
}

static int set_identity(struct ts_ssh_conf *conf, const char *identity, struct ts_err *err)
{
        if (!identity)
                return 0;
        if (access(identity, R_OK) < 0)
                return ts_err_set(err, TS_ENOTFOUND, "cannot read the identity file '%s': %s", identity, strerror(errno));
        conf->own_identity = true;
        return 0;
}

/* Our own options come last: they win. */
static int apply_opts(struct ts_ssh_conf *conf, const struct ts_ssh_opts *opts, struct ts_err *err)
{
        unsigned limit = opts->connect_timeout_ms   ? opts->connect_timeout_ms
                         : conf->connect_timeout_ms ? conf->connect_timeout_ms
                                                    : CONNECT_MS_DEFAULT;

        if (!conf->connect_timeout_ms || conf->connect_timeout_ms > limit)
                conf->connect_timeout_ms = limit;
        conf->peer_timeout_ms = opts->peer_timeout_ms ? opts->peer_timeout_ms : PEER_MS_DEFAULT;
        conf->own_accept_new = opts->accept_new;
        conf->accept_new = conf->accept_new || opts->accept_new;
        if (!opts->known_hosts)
                return 0;
        ts_list_clear(&conf->known_hosts);
        conf->own_known_hosts = true;
        return ts_list_add(&conf->known_hosts, opts->known_hosts, err);
}

static int load(struct ts_ssh_conf *conf, const char *user, unsigned port, const struct ts_ssh_opts *opts, struct ts_err *err)
{
        ts_auto_list argv = TS_LIST_INIT;
        ts_auto_str text = TS_STR_INIT_MAX(OUTPUT_MAX);

        if (choose_owner(conf, err) < 0 || set_identity(conf, opts->identity, err) < 0)
                return -1;
        if (asked_words(conf, user, port, opts->identity, err) < 0 ||
            ts_list_add(&argv, "ssh", err) < 0 || ts_list_add(&argv, "-G", err) < 0 ||
            add_all(&argv, &conf->asked, err) < 0 || ask(conf, &argv, &text, err) < 0)
                return -1;
        if (!text.buf)
                return ts_err_set(err, TS_EPROTO, "`ssh -G` said nothing about '%s'", conf->alias);
        if (ts_ssh_conf_parse(conf, text.buf, err) < 0 || apply_opts(conf, opts, err) < 0)
                return -1;
        if (expand_list(conf, &conf->identities, err) < 0 ||
            expand_list(conf, &conf->certificates, err) < 0 ||
            expand_list(conf, &conf->known_hosts, err) < 0)
                return -1;
        return expand_list(conf, &conf->global_known_hosts, err);
}

int ts_ssh_conf_load(const char *user, const char *host, unsigned port, const struct ts_ssh_opts *opts, struct ts_ssh_conf *ret,
                     struct ts_err *err)
{
        static const struct ts_ssh_opts no_opts = { 0 };
        struct ts_ssh_conf conf = { 0 };

        *ret = conf;
        if (!opts)
                opts = &no_opts;
        if (check_name("host", ts_or(host, ""), err) < 0 || check_name("user", user && *user ? user : NULL, err) < 0)
                return -1;
        conf.alias = ts_strdup0(host);
        conf.config_file = ts_strdup0(opts->config_file);
        if (!conf.alias || (opts->config_file && !conf.config_file)) {
                ts_ssh_conf_clear(&conf);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        if (load(&conf, user, port, opts, err) < 0) {
                ts_ssh_conf_clear(&conf);
                return -1;
        }
        *ret = conf;
        return 0;
}

void ts_ssh_conf_clear(struct ts_ssh_conf *conf)
{
        char **owned[] = { &conf->alias,
                           &conf->user,
                           &conf->hostname,
                           &conf->port,
                           &conf->host_key_alias,
                           &conf->identity_agent,
                           &conf->proxy_jump,
                           &conf->proxy_command,
                           &conf->family,
                           &conf->ciphers,
                           &conf->macs,
                           &conf->kex,
                           &conf->host_key_algorithms,
                           &conf->config_file };

        for (size_t i = 0; i < TS_ARRAY_LEN(owned); i++) {
                free(*owned[i]);
                *owned[i] = NULL;
        }
        ts_list_clear(&conf->asked);
        ts_list_clear(&conf->identities);
        ts_list_clear(&conf->certificates);
        ts_list_clear(&conf->known_hosts);
        ts_list_clear(&conf->global_known_hosts);
        ts_user_clear(&conf->owner);
}
