/* Moves a directory tree from one host to another: GNU tar on both, the bytes through this machine. Decides which attributes travel and
 * whose fault a failure is; does not compare, and does not know what the tree is for. */
#include "transfer/rootfs.h"

#include "base/clock.h"
#include "transfer/relay.h"
#include "transfer/rootfs_scan.h"
#include <string.h>

#define LAST_WORDS_MS 10000 /* for a tar to say why it ended */
#define FINISH_MS 600000    /* for the target to write back what it buffered */
#define EMPTY_MS 600000

struct end {
        struct ts_host *host;
        const char *dir;
        struct ts_proc *proc;
        bool live; /* its tar may say that files changed under it (status 1) */
};

/* tar's last lines only say that there were earlier ones. */
static char *reason_of(const char *text)
{
        static const char *const empty_words[] = { "Exiting with failure status", "Error is not recoverable", "Child returned status" };
        const char *line = "", *p = text;
        size_t len = 0;

        while (*p) {
                size_t n = strcspn(p, "\n");
                bool says_nothing = n == 0;

                for (size_t i = 0; i < TS_ARRAY_LEN(empty_words); i++)
                        says_nothing |= memmem(p, n, empty_words[i], strlen(empty_words[i])) != NULL;
                if (!says_nothing) {
                        line = p;
                        len = n;
                }
                p += n;
                p += strspn(p, "\n");
        }
        return ts_printable(line, len, 300);
}

/* A write that was cut short is the first sign of a full disk, and tar stops there. */
static enum ts_code code_of(const char *text)
{
        return strstr(text, "No space left on device") || strstr(text, "Disk quota exceeded") || strstr(text, "Wrote only") ? TS_ENOSPC
                                                                                                                            : TS_ECOMMAND;
}

/* GNU tar ends with 0 when it could not set an extended attribute: a lost capability would be noticed much later. */
static int judge_end(const struct end *e, int status, struct ts_err *err)
{
        const char *text = ts_proc_stderr(e->proc);
        ts_auto_free char *reason = NULL;

        if ((status == 0 || (status == 1 && e->live)) && !strstr(text, "Cannot set"))
                return 0;
        reason = reason_of(text);
        return ts_err_set(err, code_of(text), "tar in '%s' on '%s' failed (%d): %s", e->dir, ts_host_name(e->host), status,
                          ts_or(reason, ""));
}

static int finish_end(const struct end *e, uint64_t timeout_ms, struct ts_err *err)
{
        int status = -1;

        if (ts_proc_wait(e->proc, ts_deadline_in_ms(timeout_ms), &status, err) < 0)
                return ts_err_prefix(err, "tar in '%s' on '%s'", e->dir, ts_host_name(e->host));
        return judge_end(e, status, err);
}

/* The pipe broke: the target's tar knows why, if it was that; what the relay saw is only the effect. */
static int blame(const struct end *to, struct ts_err *relay_err, struct ts_err *err)
{
        ts_auto_err own = TS_ERR_INIT;
        int status = -1;

        if (relay_err->code == TS_ECONNECT || relay_err->code == TS_EIO) {
                (void)ts_proc_end_input(to->proc);
                if (ts_proc_wait(to->proc, ts_deadline_in_ms(LAST_WORDS_MS), &status, &own) == 0 && status != 0)
                        (void)judge_end(to, status, err);
        }
        if (!ts_err_is_set(err))
                ts_err_move(err, relay_err);
        else
                ts_err_clear(relay_err);
        return -1;
}

static int pump(struct end *from, struct end *to, const struct ts_copy_opts *o, uint64_t *ret_bytes, struct ts_err *err)
{
        struct ts_err relay_err = TS_ERR_INIT;
        uint64_t bytes = 0;

        (void)ts_proc_end_input(from->proc);
        if (ts_relay(ts_proc_fd(from->proc), ts_proc_fd(to->proc), UINT64_MAX, o->stall_ms, o->progress, o->progress_ctx, &bytes,
                     &relay_err) < 0)
                return blame(to, &relay_err, err);
        if (finish_end(from, FINISH_MS, err) < 0)
                return -1;
        (void)ts_proc_end_input(to->proc);
        if (finish_end(to, FINISH_MS, err) < 0)
                return -1;
        if (ret_bytes)
                *ret_bytes = bytes;
        return 0;
}

static int empty_dir(struct ts_host *h, const char *dir, struct ts_err *err)
{
        const struct ts_run_opts opts = { .timeout_ms = EMPTY_MS };

        if (ts_host_check(h, (const char *const[]){ "env", "LC_ALL=C", "find", dir, "-xdev", "-mindepth", "1", "-delete", NULL }, &opts,
                          NULL, err) < 0)
                return ts_err_prefix(err, "empty '%s' on '%s'", dir, ts_host_name(h));
        return 0;
}

/* tar replaces any name but a directory that is not empty by something else (its --recursive-unlink would empty every directory it
 * meets). So the few directories that are in the target already are shown to the source, and those which are something else there go
 * first. */
static int clear_conflicts(const struct end *from, const struct end *to, struct ts_err *err)
{
        static const char script[] = "cd \"$0\" || exit 1; " /* a command over SSH is one line */
                                     "for p do p=./$p; if [ ! -d \"$p\" ] || [ -L \"$p\" ]; then "
                                     "if [ -e \"$p\" ] || [ -L \"$p\" ]; then printf '%s\\0' \"$p\"; fi; "
                                     "fi; done";
        static const char remove_script[] = "cd \"$0\" && exec rm -rf --one-file-system -- \"$@\"";
        ts_auto_run there = { 0 };
        ts_auto_run differ = { 0 };
        ts_auto_run gone = { 0 };

        if (ts_upper_run(to->host,
                         (const char *const[]){ "env", "LC_ALL=C", "find", to->dir, "-mindepth", "1", "-type", "d", "-printf", "%P\\0",
                                                NULL },
                         NULL, &there, err) < 0)
                return -1;
        if (there.out.len == 0)
                return 0;
        if (ts_upper_run(from->host, (const char *const[]){ "env", "LC_ALL=C", "xargs", "-0", "sh", "-c", script, from->dir, NULL },
                         &there.out, &differ, err) < 0)
                return -1;
        if (differ.out.len == 0)
                return 0;
        return ts_upper_run(to->host, (const char *const[]){ "env", "LC_ALL=C", "xargs", "-0", "sh", "-c", remove_script, to->dir, NULL },
                            &differ.out, &gone, err);
}

/* Labels are the host's policy's; evm is a signature with the host's key. ACLs travel as the attributes they are. */
#define COMMON                                                                                                                     \
        "--numeric-owner", "--xattrs", "--xattrs-include=*", "--xattrs-exclude=security.selinux", "--xattrs-exclude=security.evm", \
                "--blocking-factor=512"

/* extra: options that leave attributes out, NULL-terminated. */
static int start_source(struct end *e, const char *const extra[], struct ts_err *err)
{
        static const char *const fixed[] = { "--create", "--file=-", "--format=posix", "--pax-option=delete=atime,delete=ctime",
                                             "--sparse", COMMON };
        const char *argv[40] = { "env", "LC_ALL=C", "tar", "-C", e->dir };
        size_t n = 5;

        for (size_t i = 0; i < TS_ARRAY_LEN(fixed); i++)
                argv[n++] = fixed[i];
        for (size_t i = 0; extra[i]; i++)
                argv[n++] = extra[i];
        argv[n] = ".";
        return ts_host_start(e->host, argv, &e->proc, err);
}

static int start_target(struct end *e, struct ts_err *err)
{
        const char *const argv[] = { "env",
                                     "LC_ALL=C",
                                     "tar",
                                     "-C",
                                     e->dir,
                                     "--extract",
                                     "--file=-",
                                     "--same-owner",
                                     "--preserve-permissions",
                                     "--read-full-records",
                                     "--delay-directory-restore",
                                     "--warning=no-timestamp",
                                     COMMON,
                                     NULL };

        return ts_host_start(e->host, argv, &e->proc, err);
}

static int copy(struct end *from, struct end *to, const char *const extra[], const struct ts_copy_opts *opts, uint64_t *ret_bytes,
                struct ts_err *err)
{
        static const struct ts_copy_opts none = { 0 };
        const struct ts_copy_opts *o = opts ? opts : &none;
        int rc = -1;

        from->live = o->live;
        if (from->dir[0] != '/' || to->dir[0] != '/')
                return ts_err_set(err, TS_EUSAGE, "'%s' is not an absolute path", from->dir[0] != '/' ? from->dir : to->dir);
        if ((o->empty_target ? empty_dir(to->host, to->dir, err) : clear_conflicts(from, to, err)) < 0)
                return -1;
        if (start_source(from, extra, err) == 0 && start_target(to, err) == 0)
                rc = pump(from, to, o, ret_bytes, err);
        ts_proc_free(from->proc);
        ts_proc_free(to->proc);
        return rc;
}

int ts_tree_copy(struct ts_host *from, const char *from_dir, struct ts_host *to, const char *to_dir, const struct ts_copy_opts *opts,
                 uint64_t *ret_bytes, struct ts_err *err)
{
        static const char *const extra[] = { NULL };
        struct end source = { .host = from, .dir = from_dir }, target = { .host = to, .dir = to_dir };

        return copy(&source, &target, extra, opts, ret_bytes, err);
}

int ts_rootfs_copy_upper(struct ts_host *from, const char *from_upper, struct ts_host *to, const char *to_upper,
                         const struct ts_copy_opts *opts, uint64_t *ret_bytes, struct ts_err *err)
{
        static const char *const extra[] = { "--xattrs-exclude=*.overlay.origin",
                                             "--xattrs-exclude=*.overlay.impure",
                                             "--xattrs-exclude=*.overlay.nlink",
                                             "--xattrs-exclude=*.overlay.upper",
                                             "--xattrs-exclude=*.overlay.uuid",
                                             "--xattrs-exclude=*.overlay.protattr",
                                             NULL };
        struct end source = { .host = from, .dir = from_upper }, target = { .host = to, .dir = to_upper };

        return copy(&source, &target, extra, opts, ret_bytes, err);
}
