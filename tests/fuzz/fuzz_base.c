/* What base does to text of the other side: printable lines, quoting, numbers, names. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

/* Undoes ts_shell_quote() for one word as a POSIX shell would; false when it would see more than a word. */
static bool unquote(const char *line, struct ts_str *ret)
{
        for (const char *p = line; *p; p++) {
                if (*p == '\'') {
                        const char *end = strchr(++p, '\'');

                        if (!end || ts_str_add(ret, p, (size_t)(end - p), NULL) < 0)
                                return false;
                        p = end;
                } else if (*p == '\\' && p[1]) {
                        if (ts_str_add(ret, ++p, 1, NULL) < 0)
                                return false;
                } else if (strchr(" \t\"$`;&|<>()*?[]{}~#!^", *p) || ts_str_add(ret, p, 1, NULL) < 0) {
                        return false;
                }
        }
        return true;
}

static void check_quote(const char *word)
{
        const char *const argv[] = { word, NULL };
        ts_auto_free char *line = NULL;
        ts_auto_str back = TS_STR_INIT;

        if (ts_shell_quote(argv, &line, NULL) < 0)
                return;
        if (!unquote(line, &back) || strcmp(ts_str_cstr(&back), word) != 0)
                abort();
}

static void check_printable(const char *data, size_t size)
{
        for (size_t max = 0; max < 40; max += 13) {
                ts_auto_free char *shown = ts_printable(data, size, max), *again = NULL;

                if (!shown || strlen(shown) > max)
                        abort();
                for (const char *p = shown; *p; p++)
                        if ((unsigned char)*p < 0x20 || *p == 0x7f)
                                abort();
                again = ts_printable(shown, strlen(shown), max);
                if (!again || strcmp(shown, again) != 0) /* what is printable stays as it is */
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ts_auto_free char *text = strndup((const char *)data, size);
        unsigned long long n = 0;
        ts_auto_err err = TS_ERR_INIT;

        if (!text)
                return 0;
        check_printable((const char *)data, size);
        check_quote(text);
        if (ts_parse_u64(text, 5, 500, &n, NULL) == 0 && (n < 5 || n > 500))
                abort();
        (void)ts_parse_duration_ms(text, &n, &err);
        if (ts_name_valid(text, 20) && (strlen(text) > 20 || strchr(text, '/') || text[0] == '.'))
                abort();
        return 0;
}
