/* The syntax of a configuration file, and whether it may be trusted. Does not know which keys exist. */
#include "conf/settings.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r';
}

static char *trim(char *s)
{
        size_t n;

        while (is_blank(*s))
                s++;
        for (n = strlen(s); n > 0 && is_blank(s[n - 1]); n--)
                s[n - 1] = '\0';
        return s;
}

/* Cuts a comment off: # at the start or after a blank. */
static void cut_comment(char *s)
{
        for (char *p = s; *p; p++)
                if (*p == '#' && (p == s || is_blank(p[-1]))) {
                        *p = '\0';
                        return;
                }
}

/* s begins with a double quote. Unescapes in place; *ret is the content. */
static int unquote(char *s, char **ret, struct ts_err *err)
{
        char *in = s + 1, *out = s;

        for (; *in && *in != '"'; in++) {
                if (*in == '\\' && (in[1] == '"' || in[1] == '\\'))
                        in++;
                *out++ = *in;
        }
        if (*in != '"')
                return ts_err_set(err, TS_EUSAGE, "the closing '\"' is missing");
        in++;
        cut_comment(in);
        if (*trim(in))
                return ts_err_set(err, TS_EUSAGE, "something follows the closing '\"'");
        *out = '\0';
        *ret = s;
        return 0;
}

/* One line without its newline, writable. A line without a setting leaves *ret_key NULL. */
static int split_line(char *line, char **ret_key, char **ret_value, struct ts_err *err)
{
        char *key = trim(line), *equals, *value;

        if (!*key || *key == '#')
                return 0;
        equals = strchr(key, '=');
        if (!equals || equals == key)
                return ts_err_set(err, TS_EUSAGE, "not of the form 'key = value'");
        *equals = '\0';
        value = trim(equals + 1);
        if (*value == '"') {
                if (unquote(value, &value, err) < 0)
                        return -1;
        } else {
                cut_comment(value);
                value = trim(value);
        }
        *ret_value = value;
        *ret_key = trim(key);
        return 0;
}

static int parse_line(const char *origin, const char *text, size_t len, ts_conf_file_set_fn set, void *ctx, struct ts_err *err)
{
        ts_auto_free char *line = strndup(text, len);
        char *key = NULL, *value = NULL;

        if (!line)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (strlen(line) != len) {
                ts_err_set(err, TS_EUSAGE, "a NUL byte");
                return ts_err_prefix(err, "%s", origin);
        }
        if (split_line(line, &key, &value, err) < 0)
                return ts_err_prefix(err, "%s", origin);
        return key ? set(ctx, key, value, origin, err) : 0;
}

int ts_conf_file_parse(const char *path, const char *data, size_t len, ts_conf_file_set_fn set, void *ctx, struct ts_err *err)
{
        const char *p = data, *end = data + len;

        if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) /* the mark some editors put in front */
                p += 3;
        for (unsigned line = 1; p < end; line++) {
                const char *newline = memchr(p, '\n', (size_t)(end - p));
                size_t n = (size_t)((newline ? newline : end) - p);
                ts_auto_free char *origin = ts_fmt("%s:%u", path, line);

                if (!origin)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (parse_line(origin, p, n, set, ctx, err) < 0)
                        return -1;
                p += n + 1;
        }
        return 0;
}

/* What it says may be run on the hosts as root (probe, podman): so the same rule as ssh has for its own file. */
static int check_trust(int fd, const char *path, struct ts_err *err)
{
        const char *sudo_uid = getenv("SUDO_UID");
        unsigned long long caller = 0;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return ts_err_errno(err, errno, "cannot look at '%s'", path);
        if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* /dev/null is a way to say: none */
                return ts_err_set(err, TS_EUSAGE, "'%s' is not a file", path);
        if (geteuid() == 0 && sudo_uid)
                (void)ts_parse_u64(sudo_uid, 0, UINT32_MAX, &caller, NULL);
        if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != caller) {
                ts_err_set(err, TS_EUSAGE, "'%s' belongs to another user (%u)", path, (unsigned)st.st_uid);
                return ts_err_hint(err, "chown it, or name another file with --config");
        }
        if (S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH)) {
                ts_auto_free char *word = ts_shell_word("%s", path);

                ts_err_set(err, TS_EUSAGE, "'%s' can be written by everybody", path);
                return ts_err_hint(err, "chmod o-w %s", ts_or(word, "FILE"));
        }
        return 0;
}

int ts_conf_file_read(const char *path, ts_conf_file_set_fn set, void *ctx, struct ts_err *err)
{
        ts_auto_str s = TS_STR_INIT_MAX(TS_CONF_FILE_MAX);
        ts_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return ts_err_set(err, TS_ENOTFOUND, "no file '%s'", path);
        if (fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", path);
        if (check_trust(fd, path, err) < 0)
                return -1;
        if (ts_read_to_end(fd, &s, 0, err) < 0)
                return ts_err_prefix(err, "cannot read '%s'", path);
        return ts_conf_file_parse(path, ts_str_cstr(&s), s.len, set, ctx, err);
}
