/* The error object: what failed, in words a user can act on.
 *
 * Convention of the whole program: a function that can fail returns 0 or -1 and takes `struct ts_err *err` last.
 * Success never touches err. The first failure wins: setting an err that is already set is a no-op, so a failing
 * cleanup cannot hide the cause. err may be NULL. */
#ifndef TRANSHIP_BASE_ERR_H
#define TRANSHIP_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum ts_code {
        TS_OK = 0,
        TS_EINTERNAL, /* a bug, or something nobody foresaw */
        TS_EUSAGE,    /* the command line, the configuration, a malformed name or address */
        TS_EREFUSED,  /* preflight says no */
        TS_ENOTFOUND, /* no such container, image, volume, file */
        TS_ECONFLICT, /* exists already, in use, locked by another migration */
        TS_EIO,       /* errno of a local or remote file operation */
        TS_ENOSPC,    /* a disk is full */
        TS_ENOMEM,
        TS_EPROTO,   /* the other side sent what it must not */
        TS_ELIMIT,   /* larger than the bound we set */
        TS_ETIMEOUT, /* a deadline passed; the other side may or may not have acted */
        TS_ECONNECT, /* could not reach, or lost, the other side; it may or may not have acted */
        TS_EAUTH,    /* SSH said no: key, host key */
        TS_EENGINE,  /* a final answer of the engine: it refused or failed (http_status is set) */
        TS_ECOMMAND, /* a command on a host ended with another status than 0 */
        TS_ECANCELED /* a signal asked us to stop */
};

struct ts_err {
        enum ts_code code;
        int sys_errno;   /* errno, or 0 */
        int http_status; /* 100..599, or 0 */
        char *message;   /* one line, lower case; owned */
        char *hint;      /* what the user can do, or NULL; owned */
};

#define TS_ERR_INIT { .code = TS_OK }

/* Sets *err unless it is set already or NULL. Always returns -1, so `return ts_err_set(…)` reads well. */
int ts_err_set(struct ts_err *err, enum ts_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with errno's text appended and sys_errno kept; ENOSPC, EDQUOT and ENOMEM choose their own code. */
int ts_err_errno(struct ts_err *err, int sys_errno, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "fmt: " before the message. Returns -1. */
int ts_err_prefix(struct ts_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Sets the hint unless there is one. Returns -1. */
int ts_err_hint(struct ts_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Moves from to to (to must be unset or is cleared first); from is empty afterwards. */
void ts_err_move(struct ts_err *to, struct ts_err *from);
void ts_err_clear(struct ts_err *err); /* back to TS_ERR_INIT; NULL is fine */
/* Never NULL: the message, or the code's name. */
const char *ts_err_message(const struct ts_err *err);
const char *ts_code_str(enum ts_code code); /* "internal", "usage", "refused", … : stable, used in reports */
static inline bool ts_err_is_set(const struct ts_err *err) { return err && err->code != TS_OK; }

#ifdef __clang_analyzer__ /* it sees one file at a time: told that these return -1, it does not follow failures as successes */
#define ts_err_set(...) ((void)ts_err_set(__VA_ARGS__), -1)
#define ts_err_errno(...) ((void)ts_err_errno(__VA_ARGS__), -1)
#define ts_err_prefix(...) ((void)ts_err_prefix(__VA_ARGS__), -1)
#define ts_err_hint(...) ((void)ts_err_hint(__VA_ARGS__), -1)
#endif

#define ts_auto_err __attribute__((cleanup(ts_err_clear))) struct ts_err

/* A hint's parts, divided by " · ", one by one: *rest goes on behind it, NULL at the end. Borrowed,
 * without blanks around it, and not ended by NUL. */
const char *ts_hint_next(const char **rest, size_t *ret_len);

#endif
