/* conf/: the table, the values, the file syntax, the layers, and that the example agrees with the table. */
#include "tests/unit/unit.h"

#include "base/io.h"
#include "conf/conf.h"
#include "conf/settings.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];
static char paths[4][128];

/* Writes text to file number n of a fresh directory and gives its path. */
static const char *file_with(unsigned n, const char *text)
{
        ts_auto_err err = TS_ERR_INIT;

        if (n == 0 || !dir[0]) {
                (void)snprintf(dir, sizeof(dir), "/tmp/tranship-unit-XXXXXX");
                CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
        }
        (void)snprintf(paths[n], sizeof(paths[n]), "%s/%u.conf", dir, n);
        UNIT_OK(ts_file_write_atomic(paths[n], text, strlen(text), 0600, &err));
        return paths[n];
}

static void files_remove(void)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(paths); i++)
                if (paths[i][0])
                        (void)unlink(paths[i]);
        (void)rmdir(dir);
        memset(paths, 0, sizeof(paths));
        dir[0] = '\0';
}

static void environment_clear(void)
{
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);

        for (size_t i = 0; i < n; i++) {
                char name[64];

                ts_conf_env_name(table[i].key, name);
                (void)unsetenv(name);
        }
}

static const char *const no_files[] = { NULL };

static struct ts_conf *conf_of(const char *text)
{
        const char *const files[] = { file_with(0, text), NULL };
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;

        environment_clear();
        UNIT_OK(ts_conf_load_files(files, true, &c, &err));
        files_remove();
        return c;
}

/* The message of loading this text; the path in front of it is cut off. */
static void expect_failure(const char *text, const char *want_message, const char *want_hint)
{
        const char *const files[] = { file_with(0, text), NULL };
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;
        size_t prefix = strlen(files[0]);

        environment_clear();
        CU_ASSERT_EQUAL(ts_conf_load_files(files, true, &c, &err), -1);
        CU_ASSERT_PTR_NULL(c);
        CU_ASSERT_TRUE(ts_starts(ts_err_message(&err), files[0]));
        UNIT_STR(strlen(ts_err_message(&err)) > prefix ? ts_err_message(&err) + prefix : "", want_message);
        UNIT_STR(err.hint, want_hint);
        files_remove();
}

/* ---- the table ---- */

static void table_is_sound(void)
{
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);

        CU_ASSERT_TRUE(n >= 28);
        for (size_t i = 0; i < n; i++) {
                const struct ts_setting *s = &table[i];
                ts_auto_err err = TS_ERR_INIT;
                struct ts_value v = TS_VALUE_INIT;
                char name[64];

                CU_ASSERT_EQUAL(strspn(s->key, "abcdefghijklmnopqrstuvwxyz_"), strlen(s->key));
                CU_ASSERT_TRUE(strlen(s->key) + strlen("TRANSHIP_") < sizeof(name));
                CU_ASSERT_PTR_NOT_NULL_FATAL(s->help);
                CU_ASSERT_TRUE(strlen(s->help) > 10 && strlen(s->help) < 120 && !strchr(s->help, '\n'));
                CU_ASSERT_NOT_EQUAL(s->help[strlen(s->help) - 1], '.');
                CU_ASSERT_EQUAL(s->type == TS_SET_BOOL, s->arg == NULL);
                CU_ASSERT_TRUE(s->type != TS_SET_ENUM || s->choices);
                CU_ASSERT_TRUE(s->type != TS_SET_DURATION_MS || (s->min < s->max && s->max <= 24 * 3600 * 1000)); /* fits unsigned */
                CU_ASSERT_EQUAL(ts_setting_find(s->key, &err), (int)i);
                CU_ASSERT_STRING_NOT_EQUAL(ts_setting_type_str(s->type), "unknown");
                UNIT_OK(ts_value_parse(s, s->fallback, &v, &err));
                UNIT_STR(v.text, s->fallback); /* the defaults are written canonically */
                ts_value_clear(&v);
                for (size_t j = 0; j < i; j++)
                        CU_ASSERT_STRING_NOT_EQUAL(s->key, table[j].key);
        }
        UNIT_STR(ts_setting_type_str((enum ts_setting_type)99), "unknown");
}

static void env_names(void)
{
        char name[64];

        ts_conf_env_name("connect_timeout", name);
        UNIT_STR(name, "TRANSHIP_CONNECT_TIMEOUT");
}

static void defaults(void)
{
        ts_auto(ts_conf) struct ts_conf *c = conf_of("");

        CU_ASSERT_PTR_NULL(ts_conf_str(c, "from"));
        CU_ASSERT_PTR_NULL(ts_conf_str(c, "staging"));
        UNIT_STR(ts_conf_str(c, "transfer"), "stream");
        UNIT_STR(ts_conf_str(c, "strategy"), "auto");
        UNIT_STR(ts_conf_str(c, "on_verify_failure"), "rollback");
        UNIT_STR(ts_conf_str(c, "podman"), "podman");
        CU_ASSERT_EQUAL(ts_conf_u64(c, "connect_timeout"), 10000);
        CU_ASSERT_EQUAL(ts_conf_u64(c, "peer_timeout"), 30000);
        CU_ASSERT_EQUAL(ts_conf_u64(c, "fence_timeout"), 60000);
        CU_ASSERT_EQUAL(ts_conf_u64(c, "verify_timeout"), 5000);
        CU_ASSERT_EQUAL(ts_conf_u64(c, "checkpoint_timeout"), 600000);
        CU_ASSERT_EQUAL(ts_conf_u64(c, "restore_timeout"), 600000);
        CU_ASSERT_FALSE(ts_conf_bool(c, "accept_new"));
        CU_ASSERT_FALSE(ts_conf_bool(c, "keep_source"));
        CU_ASSERT_EQUAL(ts_conf_list(c, "volume")->n, 0);
        UNIT_STR(ts_conf_origin(c, "to"), "default");
}

/* ---- file syntax ---- */

static void file_syntax(void)
{
        static const char text[] = "\xef\xbb\xbf# a comment\n"
                                   "\n"
                                   "   \t\n"
                                   "to = ssh://b/run/podman/podman.sock   # the other one\n"
                                   "  from=unix:///run/a.sock\r\n"
                                   "verify = \"exec:sh -c x # \\\"y\\\" \\\\ \"   # why\n"
                                   "probe = tcp://h#x:80\n"
                                   "\tkeep_source\t=\tyes\t\n"
                                   "staging =\n"
                                   "podman = \"\"\n"
                                   "connect_timeout = 1500ms";
        ts_auto(ts_conf) struct ts_conf *c = conf_of(text);

        UNIT_STR(ts_conf_str(c, "to"), "ssh://b/run/podman/podman.sock");
        UNIT_STR(ts_conf_str(c, "from"), "unix:///run/a.sock");
        UNIT_STR(ts_conf_str(c, "verify"), "exec:sh -c x # \"y\" \\ ");
        UNIT_STR(ts_conf_str(c, "probe"), "tcp://h#x:80");
        CU_ASSERT_TRUE(ts_conf_bool(c, "keep_source"));
        CU_ASSERT_PTR_NULL(ts_conf_str(c, "staging"));
        CU_ASSERT_PTR_NULL(ts_conf_str(c, "podman"));
        CU_ASSERT_EQUAL(ts_conf_u64(c, "connect_timeout"), 1500);
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_conf_origin(c, "from"), ".conf:5"));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_conf_origin(c, "staging"), ".conf:9"));
}

static void file_failures_name_the_line(void)
{
        static const struct {
                const char *text, *message, *hint;
        } cases[] = {
                { "nonsense", ":1: not of the form 'key = value'", NULL },
                { "\n= x", ":2: not of the form 'key = value'", NULL },
                { "[section]\n", ":1: not of the form 'key = value'", NULL },
                { "# x\nconect_timeout = 5s\n", ":2: unknown key 'conect_timeout'", "did you mean 'connect_timeout'?" },
                { "connect-timeout = 5s\n", ":1: unknown key 'connect-timeout'", "did you mean 'connect_timeout'?" },
                { "TO = x\n", ":1: unknown key 'TO'", "`tranship config` lists the keys" },
                { "frobnication = 5s\n", ":1: unknown key 'frobnication'", "`tranship config` lists the keys" },
                { "= = =\n", ":1: not of the form 'key = value'", NULL },
                { "connect_timeout = soon\n", ":1: connect_timeout: 'soon' is not a duration such as 500ms, 5s, 2m or 1h", NULL },
                { "connect_timeout =\n", ":1: connect_timeout: '' is not a duration such as 500ms, 5s, 2m or 1h", NULL },
                { "connect_timeout = 2h\n", ":1: connect_timeout: '2h' is not between 100ms and 1h", NULL },
                { "connect_timeout = 0\n", ":1: connect_timeout: '0' is not between 100ms and 1h", NULL },
                { "sample = 49ms\n", ":1: sample: '49ms' is not 0 or between 50ms and 1m", NULL },
                { "sample = 61s\n", ":1: sample: '61s' is not 0 or between 50ms and 1m", NULL },
                { "transfer = strem\n", ":1: transfer: 'strem' is not one of auto, scp, stream, tls, shared:DIR", "did you mean 'stream'?" },
                { "transfer = carrier-pigeon\n", ":1: transfer: 'carrier-pigeon' is not one of auto, scp, stream, tls, shared:DIR", NULL },
                { "keep_source = maybe\n", ":1: keep_source: 'maybe' is not one of no, yes, false, true, off, on, 0, 1", NULL },
                { "staging = var/tmp\n", ":1: staging: 'var/tmp' is not an absolute path", NULL },
                { "to = \"x\n", ":1: the closing '\"' is missing", NULL },
                { "to = \"x\\\"\n", ":1: the closing '\"' is missing", NULL },
                { "to = \"x\" y\n", ":1: something follows the closing '\"'", NULL },
                { "to = a\x1b[0mb\n", ":1: to: 'a?[0mb' holds a control character", NULL },
                { "volume = data\n", ":1: volume: 'data' is not of the form NAME=HOW; the last word is replace or shared", NULL },
                { "volume = =shared\n", ":1: volume: '=shared' is not of the form NAME=HOW; the last word is replace or shared", NULL },
                { "volume = data=share\n", ":1: volume: 'data': 'share' is not one of replace, shared", "did you mean 'shared'?" },
                { "volume = ../x=shared\n", ":1: volume: '../x' is not a name", NULL },
                { "bind = srv=copy\n", ":1: bind: 'srv' is not an absolute path", NULL },
                { "skip = a b\n", ":1: skip: 'a b' is not a name", NULL },
        };

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++)
                expect_failure(cases[i].text, cases[i].message, cases[i].hint);
}

static void file_contradicting_itself(void)
{
        const char *const files[] = { file_with(0, "to = a\nfrom = b\nto = c\n"), NULL };
        ts_auto_free char *want = ts_fmt("%s:3: to: already set at %s:1", files[0], files[0]);
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(ts_conf_load_files(files, true, &c, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_EUSAGE);
        UNIT_STR(ts_err_message(&err), want);
        files_remove();
}

static int count_settings(void *ctx, const char *key, const char *value, const char *origin, struct ts_err *err)
{
        (void)key, (void)value, (void)origin, (void)err;
        (*(int *)ctx)++;
        return 0;
}

static void file_with_nul_bytes(void)
{
        static const char text[] = "to = a\nfrom = b\0c\n";
        int n = 0;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(ts_conf_file_parse("f", text, sizeof(text) - 1, count_settings, &n, &err), -1);
        UNIT_STR(ts_err_message(&err), "f:2: a NUL byte");
        CU_ASSERT_EQUAL(n, 1);
        ts_err_clear(&err);
        UNIT_OK(ts_conf_file_parse("f", NULL, 0, count_settings, &n, &err));
}

static void file_bounds(void)
{
        ts_auto_str s = TS_STR_INIT;
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;

        environment_clear();
        UNIT_OK(ts_str_adds(&s, "to = ", &err));
        for (int i = 0; i < TS_CONF_VALUE_MAX; i++)
                UNIT_OK(ts_str_adds(&s, "x", &err));
        {
                const char *const files[] = { file_with(0, s.buf), NULL };

                UNIT_OK(ts_conf_load_files(files, true, &c, &err));
                CU_ASSERT_EQUAL(strlen(ts_conf_str(c, "to")), TS_CONF_VALUE_MAX);
                ts_conf_free(c);
                c = NULL;
                files_remove();
        }
        UNIT_OK(ts_str_adds(&s, "x", &err));
        {
                const char *const files[] = { file_with(0, s.buf), NULL };

                UNIT_FAILS(ts_conf_load_files(files, true, &c, &err), TS_ELIMIT);
                files_remove();
        }
        while (s.len <= TS_CONF_FILE_MAX)
                UNIT_OK(ts_str_adds(&s, "\n# a long comment line", &err));
        {
                const char *const files[] = { file_with(0, s.buf), NULL };

                UNIT_FAILS(ts_conf_load_files(files, true, &c, &err), TS_ELIMIT);
                files_remove();
        }
}

static void file_must_be_trusted(void)
{
        const char *const files[] = { file_with(0, "to = a\n"), NULL };
        const char *const directory[] = { "/etc", NULL }, *const null[] = { "/dev/null", NULL };
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(chmod(files[0], 0666), 0);
        CU_ASSERT_EQUAL(ts_conf_load_files(files, false, &c, &err), -1);
        CU_ASSERT_EQUAL(err.code, TS_EUSAGE);
        CU_ASSERT_PTR_NOT_NULL(err.hint);
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(chmod(files[0], 0664), 0); /* a group of one's own is common */
        UNIT_OK(ts_conf_load_files(files, false, &c, &err));
        ts_conf_free(c);
        c = NULL;
        if (geteuid() == 0 && chown(files[0], 1, 1) == 0) {
                (void)unsetenv("SUDO_UID");
                UNIT_FAILS(ts_conf_load_files(files, false, &c, &err), TS_EUSAGE);
                (void)setenv("SUDO_UID", "1", 1); /* the caller's own */
                UNIT_OK(ts_conf_load_files(files, false, &c, &err));
                (void)unsetenv("SUDO_UID");
                ts_conf_free(c);
                c = NULL;
        }
        UNIT_FAILS(ts_conf_load_files(directory, false, &c, &err), TS_EUSAGE);
        UNIT_OK(ts_conf_load_files(null, true, &c, &err));
        ts_conf_free(c);
        files_remove();
}

static void missing_files(void)
{
        const char *const files[] = { "/nonexistent/a.conf", "/dev/null/b.conf", NULL };
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;

        environment_clear();
        UNIT_OK(ts_conf_load_files(files, false, &c, &err));
        ts_conf_free(c);
        c = NULL;
        UNIT_FAILS(ts_conf_load_files(files, true, &c, &err), TS_ENOTFOUND);
        CU_ASSERT_PTR_NULL(c);
}

/* ---- values ---- */

static void booleans_and_enums(void)
{
        static const struct {
                const char *text;
                bool yes;
        } cases[] = { { "yes", true }, { "true", true },   { "on", true },   { "1", true },
                      { "no", false }, { "false", false }, { "off", false }, { "0", false } };
        ts_auto(ts_conf) struct ts_conf *c = conf_of("");
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                UNIT_OK(ts_conf_set(c, "accept_new", cases[i].text, "--accept-new", &err));
                CU_ASSERT_EQUAL(ts_conf_bool(c, "accept_new"), cases[i].yes);
        }
        UNIT_OK(ts_conf_set(c, "transfer", "scp", "--transfer", &err));
        CU_ASSERT_EQUAL(ts_conf_enum(c, "transfer"), 1);
        UNIT_STR(ts_conf_str(c, "transfer"), "scp");
        UNIT_FAILS(ts_conf_set(c, "transfer", "SCP", "--transfer", &err), TS_EUSAGE);
        UNIT_FAILS(ts_conf_set(c, "transfer", "", "--transfer", &err), TS_EUSAGE);
        UNIT_STR(ts_conf_str(c, "transfer"), "scp"); /* a failure leaves what was there */
}

static void lists(void)
{
        ts_auto(ts_conf) struct ts_conf *c = conf_of("volume = data=replace, logs=shared,,\n"
                                                     "volume = more=shared\n"
                                                     "bind = /srv/a b=copy, /srv/c\\,d=shared, /x=y=copy, /back\\\\slash=copy\n");
        const struct ts_list *l = ts_conf_list(c, "volume");
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL_FATAL(l->n, 3);
        UNIT_STR(l->v[0], "data=replace");
        UNIT_STR(l->v[1], "logs=shared");
        UNIT_STR(l->v[2], "more=shared");
        l = ts_conf_list(c, "bind");
        CU_ASSERT_EQUAL_FATAL(l->n, 4);
        UNIT_STR(l->v[0], "/srv/a b=copy");
        UNIT_STR(l->v[1], "/srv/c,d=shared");
        UNIT_STR(l->v[2], "/x=y=copy");
        UNIT_STR(l->v[3], "/back\\slash=copy");
        UNIT_OK(ts_conf_set(c, "volume", "one=shared", "--volume", &err));  /* the flags replace the file's … */
        UNIT_OK(ts_conf_set(c, "volume", "two=replace", "--volume", &err)); /* … and add to each other */
        UNIT_FAILS(ts_conf_set(c, "volume", "three=no", "--volume", &err), TS_EUSAGE);
        l = ts_conf_list(c, "volume");
        CU_ASSERT_EQUAL_FATAL(l->n, 2);
        UNIT_STR(l->v[0], "one=shared");
        UNIT_STR(l->v[1], "two=replace");
        UNIT_OK(ts_conf_set(c, "bind", "", "--bind", &err)); /* nothing, not even what the file says */
        CU_ASSERT_EQUAL(ts_conf_list(c, "bind")->n, 0);
}

static void list_bounds(void)
{
        ts_auto(ts_conf) struct ts_conf *c = conf_of("");
        ts_auto_str many = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;

        for (int i = 0; i < TS_CONF_ITEMS_MAX; i++)
                UNIT_OK(ts_conf_set(c, "skip", "code", "--skip", &err));
        UNIT_FAILS(ts_conf_set(c, "skip", "code", "--skip", &err), TS_ELIMIT);
        CU_ASSERT_EQUAL(ts_conf_list(c, "skip")->n, TS_CONF_ITEMS_MAX);
        for (int i = 0; i <= TS_CONF_ITEMS_MAX; i++)
                UNIT_OK(ts_str_adds(&many, "c,", &err));
        UNIT_FAILS(ts_conf_set(c, "skip", many.buf, "--skip", &err), TS_ELIMIT);
}

static void home_is_expanded(void)
{
        ts_auto(ts_conf) struct ts_conf *c = conf_of("identity = ~/.ssh/key\nknown_hosts = kh\nssh_config = ~other/x\n");
        ts_auto_free char *home = ts_user_home(), *want = ts_fmt("%s/.ssh/key", ts_or(home, ""));

        UNIT_STR(ts_conf_str(c, "identity"), want);
        UNIT_STR(ts_conf_str(c, "known_hosts"), "kh");
        UNIT_STR(ts_conf_str(c, "ssh_config"), "~other/x");
}

static void durations_are_shown_canonically(void)
{
        static const char *const cases[][2] = { { "0", "0" },           { "90", "90s" },    { "120s", "2m" },      { "60m", "1h" },
                                                { "1500ms", "1500ms" }, { "1000ms", "1s" }, { "3600000ms", "1h" }, { "24h", "24h" } };
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);
        ts_auto_err err = TS_ERR_INIT;

        for (size_t i = 0; i < TS_ARRAY_LEN(cases); i++) {
                struct ts_value v = TS_VALUE_INIT;

                UNIT_OK(ts_value_parse(&table[ts_setting_find("restore_timeout", NULL)], cases[i][0], &v, &err));
                UNIT_STR(v.text, cases[i][1]);
                ts_value_clear(&v);
        }
}

static void nearest_words(void)
{
        static const char *const words[] = { "from", "to", "transfer", "strategy", "volume" };
        char longer[200];

        UNIT_STR(ts_nearest("form", words, 5), "from");
        UNIT_STR(ts_nearest("fxyz", words, 5), NULL);
        UNIT_STR(ts_nearest("fromm", words, 5), "from");
        UNIT_STR(ts_nearest("tranfser", words, 5), "transfer");
        UNIT_STR(ts_nearest("volumes", words, 5), "volume");
        UNIT_STR(ts_nearest("t", words, 5), "to");
        UNIT_STR(ts_nearest("qqqqqq", words, 5), NULL);
        memset(longer, 'a', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        UNIT_STR(ts_nearest(longer, words, 5), NULL);
        UNIT_STR(ts_nearest("x", words, 0), NULL);
}

/* ---- layers ---- */

static void layers_in_order(void)
{
        const char *const files[] = { file_with(0, "to = system\nfrom = system\npodman = system\ndocker = system\nskip = system\n"),
                                      file_with(1, "from = user\npodman = user\ndocker = user\nskip = user\n"), NULL };
        struct ts_conf *c = NULL;
        ts_auto_err err = TS_ERR_INIT;

        environment_clear();
        (void)setenv("TRANSHIP_PODMAN", "env", 1);
        (void)setenv("TRANSHIP_DOCKER", "env", 1);
        (void)setenv("TRANSHIP_FROM", "", 1);   /* empty is unset */
        (void)setenv("TRANSHIP_FAULT", "x", 1); /* not ours to judge */
        UNIT_OK(ts_conf_load_files(files, true, &c, &err));
        UNIT_OK(ts_conf_set(c, "docker", "flag", "--docker", &err));
        UNIT_OK(ts_conf_set(c, "docker", "flag2", "--docker", &err)); /* the last flag wins */
        UNIT_STR(ts_conf_str(c, "to"), "system");
        UNIT_STR(ts_conf_str(c, "from"), "user");
        UNIT_STR(ts_conf_str(c, "podman"), "env");
        UNIT_STR(ts_conf_str(c, "docker"), "flag2");
        CU_ASSERT_EQUAL_FATAL(ts_conf_list(c, "skip")->n, 1);
        UNIT_STR(ts_conf_list(c, "skip")->v[0], "user");
        UNIT_STR(ts_conf_origin(c, "podman"), "TRANSHIP_PODMAN");
        UNIT_STR(ts_conf_origin(c, "docker"), "--docker");
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_conf_origin(c, "to"), "/0.conf:1"));
        CU_ASSERT_PTR_NOT_NULL(strstr(ts_conf_origin(c, "from"), "/1.conf:1"));
        (void)unsetenv("TRANSHIP_FAULT");
        ts_conf_free(c);
        environment_clear();
        files_remove();
}

static void failures_name_their_origin(void)
{
        ts_auto(ts_conf) struct ts_conf *c = conf_of("");
        struct ts_conf *none = NULL;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_EQUAL(ts_conf_set(c, "peer_timeout", "1ms", "--peer-timeout", &err), -1);
        UNIT_STR(ts_err_message(&err), "--peer-timeout: '1ms' is not between 1s and 1h");
        ts_err_clear(&err);
        CU_ASSERT_EQUAL(ts_conf_set(c, "peer-timeout", "1s", "--set", &err), -1);
        UNIT_STR(ts_err_message(&err), "--set: unknown key 'peer-timeout'");
        UNIT_STR(err.hint, "did you mean 'peer_timeout'?");
        ts_err_clear(&err);
        (void)setenv("TRANSHIP_PEER_TIMEOUT", "x", 1);
        CU_ASSERT_EQUAL(ts_conf_load_files(no_files, false, &none, &err), -1);
        UNIT_STR(ts_err_message(&err), "TRANSHIP_PEER_TIMEOUT: 'x' is not a duration such as 500ms, 5s, 2m or 1h");
        ts_err_clear(&err);
        environment_clear();
        CU_ASSERT_EQUAL(ts_conf_set(c, "peer_timeout", "x", "--x", NULL), -1);
        ts_err_set(&err, TS_EIO, "first");
        CU_ASSERT_EQUAL(ts_conf_set(c, "peer_timeout", "x", "--x", &err), -1);
        UNIT_STR(ts_err_message(&err), "first");
}

static void user_file_is_found(void)
{
        ts_auto_err err = TS_ERR_INIT;
        struct ts_conf *c = NULL;
        ts_auto_free char *sub = NULL, *path = NULL;

        environment_clear();
        (void)file_with(0, "");
        sub = ts_fmt("%s/tranship", dir);
        path = ts_fmt("%s/tranship.conf", sub);
        UNIT_OK(ts_mkdir_p(sub, 0700, &err));
        UNIT_OK(ts_file_write_atomic(path, "to = mine\n", 10, 0600, &err));
        (void)setenv("XDG_CONFIG_HOME", dir, 1);
        UNIT_OK(ts_conf_load(&c, &err));
        UNIT_STR(ts_conf_str(c, "to"), "mine");
        CU_ASSERT_TRUE(ts_starts(ts_conf_origin(c, "to"), path));
        ts_conf_free(c);
        c = NULL;
        (void)setenv("XDG_CONFIG_HOME", "relative", 1); /* the specification says: ignore */
        UNIT_OK(ts_conf_load(&c, &err));
        ts_conf_free(c);
        (void)unsetenv("XDG_CONFIG_HOME");
        (void)unlink(path);
        (void)rmdir(sub);
        files_remove();
}

/* Each shown value, set again, gives the same. */
struct again {
        struct ts_conf *copy;
        size_t n;
};
static void set_again(void *ctx, const char *key, const char *value, const char *origin, const char *help)
{
        struct again *a = ctx;
        ts_auto_err err = TS_ERR_INIT;

        CU_ASSERT_PTR_NOT_NULL(origin);
        CU_ASSERT_PTR_NOT_NULL(help);
        UNIT_OK(ts_conf_set(a->copy, key, value, "--again", &err));
        a->n++;
}
static void same_value(void *ctx, const char *key, const char *value, const char *origin, const char *help)
{
        const struct ts_conf *other = ctx;

        (void)origin, (void)help;
        if (strcmp(key, "bind") == 0) {
                CU_ASSERT_EQUAL_FATAL(ts_conf_list(other, key)->n, 2);
                UNIT_STR(ts_conf_list(other, key)->v[0], "/a,b\\c=copy");
                UNIT_STR(value, "/a\\,b\\\\c=copy, /d=shared");
        }
}

static void shown_values_can_be_set_again(void)
{
        ts_auto(ts_conf) struct ts_conf *c =
                conf_of("bind = /a\\,b\\\\c=copy,/d=shared\naccept_new = on\nfence_timeout = 1500ms\nverify = \" x \"\n");
        ts_auto(ts_conf) struct ts_conf *copy = conf_of("");
        struct again a = { copy, 0 };
        size_t n;

        (void)ts_conf_settings(&n);
        ts_conf_each(c, set_again, &a);
        CU_ASSERT_EQUAL(a.n, n);
        ts_conf_each(c, same_value, copy);
        CU_ASSERT_TRUE(ts_conf_bool(copy, "accept_new"));
        CU_ASSERT_EQUAL(ts_conf_u64(copy, "fence_timeout"), 1500);
        UNIT_STR(ts_conf_str(copy, "verify"), " x ");
}

static void free_of_nothing(void)
{
        ts_conf_free(NULL);
}

/* In a child: the wrong key or type aborts. */
static void getters_abort_on_nonsense(void)
{
        for (int i = 0; i < 3; i++) {
                int status = 0;
                pid_t pid = fork();

                if (pid == 0) {
                        struct ts_conf *c = NULL;

                        /* what assert() says is not for this log */
                        if (freopen("/dev/null", "w", stderr) && ts_conf_load_files(no_files, false, &c, NULL) == 0)
                                (void)(i == 0   ? ts_conf_u64(c, "to")
                                       : i == 1 ? ts_conf_bool(c, "no_such_key")
                                                : ts_conf_list(c, "transfer") != NULL);
                        _exit(0);
                }
                CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
                CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        }
}

/* ---- the example ---- */

/* Takes the # from the lines `#key = value`: what remains must load, and give the defaults. */
static void example_shows_the_defaults(void)
{
        ts_auto_str text = TS_STR_INIT, bare = TS_STR_INIT;
        ts_auto_err err = TS_ERR_INIT;
        ts_auto(ts_conf) struct ts_conf *c = NULL;
        char *line, *rest = NULL;
        size_t n;
        const struct ts_setting *table = ts_conf_settings(&n);

        UNIT_OK(ts_file_read(TS_SOURCE_DIR "/conf/tranship.conf.example", TS_CONF_FILE_MAX, &text, &err));
        for (line = strtok_r(text.buf, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                CU_ASSERT_EQUAL(line[0], '#');
                CU_ASSERT_TRUE(strlen(line) <= 140);
                if (line[1] >= 'a' && line[1] <= 'z')
                        UNIT_OK(ts_str_addf(&bare, &err, "%s\n", line + 1));
        }
        c = conf_of(bare.buf);
        for (size_t i = 0; i < n; i++) {
                struct ts_value v = TS_VALUE_INIT;
                const char *origin = ts_conf_origin(c, table[i].key);

                if (strcmp(origin, "default") == 0)
                        (void)printf("\n    the example has no '%s'\n", table[i].key);
                CU_ASSERT_STRING_NOT_EQUAL(origin, "default");
                UNIT_OK(ts_value_parse(&table[i], table[i].fallback, &v, &err));
                if (table[i].type == TS_SET_STRING || table[i].type == TS_SET_ENUM)
                        UNIT_STR(ts_or(ts_conf_str(c, table[i].key), ""), v.text);
                if (table[i].type == TS_SET_DURATION_MS)
                        CU_ASSERT_EQUAL(ts_conf_u64(c, table[i].key), v.number);
                if (table[i].type == TS_SET_BOOL)
                        CU_ASSERT_EQUAL(ts_conf_bool(c, table[i].key), v.number != 0);
                if (table[i].type == TS_SET_LIST)
                        CU_ASSERT_EQUAL(ts_conf_list(c, table[i].key)->n, 0);
                ts_value_clear(&v);
        }
}

static CU_TestInfo tests[] = {
        UNIT(table_is_sound),
        UNIT(env_names),
        UNIT(defaults),
        UNIT(file_syntax),
        UNIT(file_failures_name_the_line),
        UNIT(file_contradicting_itself),
        UNIT(file_with_nul_bytes),
        UNIT(file_bounds),
        UNIT(file_must_be_trusted),
        UNIT(missing_files),
        UNIT(booleans_and_enums),
        UNIT(lists),
        UNIT(list_bounds),
        UNIT(home_is_expanded),
        UNIT(durations_are_shown_canonically),
        UNIT(nearest_words),
        UNIT(layers_in_order),
        UNIT(failures_name_their_origin),
        UNIT(user_file_is_found),
        UNIT(shown_values_can_be_set_again),
        UNIT(free_of_nothing),
        UNIT(getters_abort_on_nonsense),
        UNIT(example_shows_the_defaults),
        CU_TEST_INFO_NULL,
};
UNIT_MAIN("conf", tests)
