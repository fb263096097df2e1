/* The error object. Decides how messages are built and bounded (one printable line); does not decide who is told. */
#include "base/err.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef ts_err_set /* what err.h tells the analyzer */
#undef ts_err_errno
#undef ts_err_prefix
#undef ts_err_hint

/* Longer texts come only from the other side; an error line nobody reads to its end helps nobody. */
#define MESSAGE_MAX 2048

static const char *const code_names[] = {
        [TS_OK] = "ok",
        [TS_EINTERNAL] = "internal",
        [TS_EUSAGE] = "usage",
        [TS_EREFUSED] = "refused",
        [TS_ENOTFOUND] = "not-found",
        [TS_ECONFLICT] = "conflict",
        [TS_EIO] = "io",
        [TS_ENOSPC] = "no-space",
        [TS_ENOMEM] = "no-memory",
        [TS_EPROTO] = "protocol",
        [TS_ELIMIT] = "limit",
        [TS_ETIMEOUT] = "timeout",
        [TS_ECONNECT] = "connect",
        [TS_EAUTH] = "auth",
        [TS_EENGINE] = "engine",
        [TS_ECOMMAND] = "command",
        [TS_ECANCELED] = "canceled",
};

const char *ts_code_str(enum ts_code code)
{
        size_t i = (size_t)code;

        return i < TS_ARRAY_LEN(code_names) ? code_names[i] : "unknown";
}

/* One printable line, or NULL out of memory: ts_err_message() then falls back to the code's name. */
__attribute__((format(printf, 1, 0))) static char *format_line(const char *fmt, va_list ap)
{
        ts_auto_free char *raw = NULL;

        if (vasprintf(&raw, fmt, ap) < 0) {
                raw = NULL; /* its value is undefined after a failure */
                return NULL;
        }
        return ts_printable(raw, strlen(raw), MESSAGE_MAX);
}

int ts_err_set(struct ts_err *err, enum ts_code code, const char *fmt, ...)
{
        va_list ap;

        if (!err || err->code != TS_OK)
                return -1;
        err->code = code == TS_OK ? TS_EINTERNAL : code;
        va_start(ap, fmt);
        err->message = format_line(fmt, ap);
        va_end(ap);
        return -1;
}

static enum ts_code code_of_errno(int sys_errno)
{
        switch (sys_errno) {
        case ENOSPC:
        case EDQUOT:
                return TS_ENOSPC;
        case ENOMEM:
                return TS_ENOMEM;
        default:
                return TS_EIO;
        }
}

int ts_err_errno(struct ts_err *err, int sys_errno, const char *fmt, ...)
{
        ts_auto_free char *what = NULL;
        char text[128];
        va_list ap;

        if (!err || err->code != TS_OK)
                return -1;
        va_start(ap, fmt);
        what = format_line(fmt, ap);
        va_end(ap);
        err->code = code_of_errno(sys_errno);
        err->sys_errno = sys_errno;
        err->message = ts_fmt("%s: %s", what ? what : ts_code_str(err->code), strerror_r(sys_errno, text, sizeof(text)));
        return -1;
}

int ts_err_prefix(struct ts_err *err, const char *fmt, ...)
{
        ts_auto_free char *prefix = NULL;
        char *joined;
        va_list ap;

        if (!ts_err_is_set(err))
                return -1;
        va_start(ap, fmt);
        prefix = format_line(fmt, ap);
        va_end(ap);
        joined = prefix ? ts_fmt("%s: %s", prefix, ts_err_message(err)) : NULL;
        if (joined) { /* without memory the shorter message stays */
                free(err->message);
                err->message = joined;
        }
        return -1;
}

int ts_err_hint(struct ts_err *err, const char *fmt, ...)
{
        va_list ap;

        if (!ts_err_is_set(err) || err->hint)
                return -1;
        va_start(ap, fmt);
        err->hint = format_line(fmt, ap);
        va_end(ap);
        return -1;
}

void ts_err_move(struct ts_err *to, struct ts_err *from)
{
        if (!from || to == from)
                return;
        if (!to) {
                ts_err_clear(from);
                return;
        }
        ts_err_clear(to);
        *to = *from;
        *from = (struct ts_err)TS_ERR_INIT;
}

void ts_err_clear(struct ts_err *err)
{
        if (!err)
                return;
        free(err->message);
        free(err->hint);
        *err = (struct ts_err)TS_ERR_INIT;
}

const char *ts_err_message(const struct ts_err *err)
{
        if (!err)
                return ts_code_str(TS_OK);
        return err->message ? err->message : ts_code_str(err->code);
}

const char *ts_hint_next(const char **rest, size_t *ret_len)
{
        static const char divider[] = " · ";
        const char *at = *rest + strspn(*rest, " "), *end = strstr(at, divider);
        size_t len = end ? (size_t)(end - at) : strlen(at);

        *rest = end ? end + strlen(divider) : NULL;
        while (len > 0 && at[len - 1] == ' ')
                len--;
        *ret_len = len;
        return at;
}
