/* One file over SCP with libssh2, on a session of the caller's. Decides what counts as delivered: the receiving scp's own word after the last byte, and its exit status.
 *
 * libssh2 does the opening talk; the closing one is ours: a zero byte from us, one from them (or 1, or 2, and a sentence). libssh2's example leaves it out, and then a full disk on the
 * other side goes unnoticed. */
#include "transfer/host_impl.h"

#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define LOOK_US 1000000 /* a wait without progress still calls the progress function this often */
#define PROGRESS_US 50000
#define NOW ((ts_deadline)1)
#define CLOSE_MS 5000
#define ANSWER_MAX 4096

struct scp {
        struct ts_ssh *s;
        LIBSSH2_CHANNEL *ch;
        struct ts_wire *wire;
        const struct ts_source *src;
        const char *path;
        char *block; /* TS_SCP_BLOCK bytes */
        const char *at;
        size_t left; /* of the block */
        uint64_t read_bytes, sent_bytes;
        uint64_t told_us;
        struct ts_str answer; /* what the receiving scp said: \0, or \1 or \2 and a line */
        struct ts_tail errs;
};

static int tell(struct scp *x, bool now, struct ts_err *err)
{
        uint64_t t = ts_now_us();

        if (!x->src->progress || (!now && t - x->told_us < PROGRESS_US))
                return 0;
        x->told_us = t;
        if (x->src->progress(x->src->ctx, x->sent_bytes) == 0)
                return 0;
        return ts_err_set(err, TS_ECANCELED, "stopped after %llu bytes", (unsigned long long)x->sent_bytes);
}

/* ---- opening ---- */

static int open_scp(struct scp *x, unsigned mode, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(x->s->conf->connect_timeout_ms);
        long rc;

        rc = TS_SSH_AWAIT(x->s, deadline, "starting scp", err,
                          ts_ssh_channel_rc(x->s, x->ch = libssh2_scp_send64(x->s->session, x->path, (int)mode,
                                                                             (libssh2_int64_t)x->src->size_bytes, 0, 0)));
        if (x->ch)
                return 0;
        if (rc == LIBSSH2_ERROR_EAGAIN)
                return -1;
        if (ts_ssh_is_lost(x->s, rc))
                return ts_ssh_fail(x->s, rc, "scp", err);
        /* libssh2 keeps the receiver's reason to itself; the caller looks at the directory. */
        return ts_err_set(err, TS_EIO, "'%s' does not accept the file '%s' over scp", x->s->conf->alias, x->path);
}

/* ---- content ---- */

static int next_block(struct scp *x, bool *ret_wait, struct ts_err *err)
{
        uint64_t left = x->src->size_bytes - x->read_bytes;
        size_t want = left < TS_SCP_BLOCK ? (size_t)left : TS_SCP_BLOCK;
        struct pollfd p = { .fd = x->src->fd, .events = POLLIN };
        ssize_t n;

        *ret_wait = false;
        if (x->src->fd < 0) {
                x->at = x->src->data + x->read_bytes;
                x->left = want;
                x->read_bytes += want;
                return 0;
        }
        if (poll(&p, 1, 0) <= 0) {
                *ret_wait = true;
                return 0;
        }
        n = read(x->src->fd, x->block, want);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                *ret_wait = true;
                return 0;
        }
        if (n < 0)
                return ts_err_errno(err, errno, "cannot read what is to be sent");
        if (n == 0)
                return ts_err_set(err, TS_EPROTO, "ended early: %llu of %llu bytes", (unsigned long long)x->read_bytes,
                                  (unsigned long long)x->src->size_bytes);
        x->at = x->block;
        x->left = (size_t)n;
        x->read_bytes += (uint64_t)n;
        return 0;
}

/* Complaints may come while we still send; they are looked at when all is sent, as scp goes on reading. */
static int hear_stream(struct scp *x, int stream, struct ts_err *err)
{
        char buf[1024];
        ssize_t n;

        while ((n = libssh2_channel_read_ex(x->ch, stream, buf, sizeof(buf))) > 0) {
                if (stream)
                        ts_tail_add(&x->errs, buf, (size_t)n);
                else if (x->answer.len + (size_t)n <= ANSWER_MAX)
                        (void)ts_str_add(&x->answer, buf, (size_t)n, NULL);
        }
        return n == 0 || n == LIBSSH2_ERROR_EAGAIN ? 0 : ts_ssh_fail(x->s, n, "scp", err);
}

static int hear(struct scp *x, struct ts_err *err)
{
        return hear_stream(x, 0, err) < 0 ? -1 : hear_stream(x, SSH_EXTENDED_DATA_STDERR, err);
}

static int wait_more(struct scp *x, bool for_input, ts_deadline deadline, struct ts_err *err)
{
        struct pollfd p = { .fd = for_input ? x->src->fd : -1, .events = POLLIN };
        ts_deadline look = ts_now_us() + LOOK_US;

        if (deadline && deadline < look)
                look = deadline;
        if (ts_ssh_wait(x->s, &p, 1, look, err) < 0 || hear(x, err) < 0)
                return -1;
        return tell(x, false, err);
}

static int ended_early(struct scp *x, struct ts_err *err)
{
        if (libssh2_channel_eof(x->ch) != 1)
                return 0;
        return ts_err_set(err, TS_EIO, "the receiving scp ended before it had the whole of '%s'", x->path);
}

static int send_block(struct scp *x, struct ts_err *err)
{
        while (x->left > 0) {
                ssize_t n = libssh2_channel_write(x->ch, x->at, x->left);

                if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
                        return ts_ssh_fail(x->s, n, "scp", err);
                if (n > 0) {
                        x->at += n;
                        x->left -= (size_t)n;
                        x->sent_bytes += (uint64_t)n;
                        atomic_fetch_add(&x->wire->sent, (unsigned long long)n);
                        if (ts_ssh_unsent(x->s) < TS_SSH_OUT_SOFT)
                                continue;
                        if (ts_ssh_wait(x->s, NULL, 0, NOW, err) < 0) /* what the kernel takes now makes room */
                                return -1;
                        if (ts_ssh_unsent(x->s) < TS_SSH_OUT_SOFT)
                                continue;
                }
                if (wait_more(x, false, 0, err) < 0 || ended_early(x, err) < 0)
                        return -1;
        }
        return tell(x, false, err);
}

static int send_content(struct scp *x, struct ts_err *err)
{
        while (x->sent_bytes < x->src->size_bytes) {
                bool wait;

                if (next_block(x, &wait, err) < 0)
                        return -1;
                if (wait && wait_more(x, true, 0, err) < 0)
                        return -1;
                if (send_block(x, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- closing ---- */

static int say_done(struct scp *x, struct ts_err *err)
{
        for (;;) {
                ssize_t n = libssh2_channel_write(x->ch, "", 1);

                if (n == 1)
                        return 0;
                if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
                        return ts_ssh_fail(x->s, n, "scp", err);
                if (wait_more(x, false, 0, err) < 0 || ended_early(x, err) < 0)
                        return -1;
        }
}

/* Writing out what it buffered may take the receiver long: only a lost connection or the progress function ends this wait. */
static int await_answer(struct scp *x, struct ts_err *err)
{
        int rc;

        while ((rc = libssh2_channel_send_eof(x->ch)) == LIBSSH2_ERROR_EAGAIN) {
                if (wait_more(x, false, 0, err) < 0)
                        return -1;
        }
        if (rc != 0)
                return ts_ssh_fail(x->s, rc, "scp", err);
        while (hear(x, err) == 0) {
                if (libssh2_channel_eof(x->ch) == 1)
                        return 0;
                if (wait_more(x, false, 0, err) < 0)
                        return -1;
        }
        return -1;
}

static int close_scp(struct scp *x, int *ret_status, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(CLOSE_MS);
        long rc = TS_SSH_AWAIT(x->s, deadline, "the end of scp", err, libssh2_channel_wait_closed(x->ch));

        if (rc == 0)
                rc = TS_SSH_AWAIT(x->s, deadline, "the end of scp", err, libssh2_channel_close(x->ch));
        if (rc != 0)
                return rc == LIBSSH2_ERROR_EAGAIN ? -1 : ts_ssh_fail(x->s, rc, "scp", err);
        *ret_status = libssh2_channel_get_exit_status(x->ch);
        rc = TS_SSH_AWAIT(x->s, deadline, "the end of scp", err, libssh2_channel_free(x->ch));
        x->ch = NULL;
        if (rc != 0)
                return rc == LIBSSH2_ERROR_EAGAIN ? -1 : ts_ssh_fail(x->s, rc, "scp", err);
        return ts_ssh_flush(x->s, err);
}

static enum ts_code code_of(const char *text)
{
        if (strstr(text, "No space left") || strstr(text, "Disk quota exceeded"))
                return TS_ENOSPC;
        return strstr(text, "No such file") ? TS_ENOTFOUND : TS_EIO;
}

static int complain(struct scp *x, const struct ts_str *from, struct ts_err *err)
{
        ts_auto_free char *line = ts_last_line(from);

        if (!line)
                return 0;
        return ts_err_set(err, code_of(line), "'%s' could not write '%s': %s", x->s->conf->alias, x->path, line);
}

/* The receiver's word: a zero byte and status 0, or a complaint. */
static int judge(struct scp *x, int status, struct ts_err *err)
{
        struct ts_str said = x->answer;

        if (status == 0 && x->answer.len == 1 && x->answer.buf[0] == '\0')
                return 0;
        while (said.len > 0 && (unsigned char)said.buf[0] <= 2) {
                said.buf++;
                said.len--;
        }
        if (complain(x, &said, err) < 0 || complain(x, &x->errs.text, err) < 0)
                return -1;
        return ts_err_set(err, TS_EIO, "'%s' did not confirm '%s': scp ended with status %d", x->s->conf->alias, x->path, status);
}

static int transfer(struct scp *x, unsigned mode, struct ts_scp_end *end, struct ts_err *err)
{
        int status = 0;

        if (open_scp(x, mode, err) < 0)
                return -1;
        end->opened = true;
        if (send_content(x, err) < 0 || say_done(x, err) < 0 || await_answer(x, err) < 0 || close_scp(x, &status, err) < 0)
                return -1;
        end->reusable = true;
        if (judge(x, status, err) < 0)
                return -1;
        return tell(x, true, err);
}

int ts_scp_send(struct ts_ssh *s, struct ts_wire *wire, const char *path, unsigned mode, const struct ts_source *src,
                struct ts_scp_end *ret_end, struct ts_err *err)
{
        struct scp x = { .s = s,
                         .wire = wire,
                         .src = src,
                         .path = path,
                         .answer = TS_STR_INIT_MAX(ANSWER_MAX),
                         .errs = { .text = TS_STR_INIT_MAX(TS_STDERR_TAIL), .max = TS_STDERR_TAIL } };
        int r;

        *ret_end = (struct ts_scp_end){ 0 };
        x.block = src->fd >= 0 ? malloc(TS_SCP_BLOCK) : NULL;
        r = src->fd >= 0 && !x.block ? ts_err_set(err, TS_ENOMEM, "out of memory") : transfer(&x, mode, ret_end, err);
        if (r < 0 && x.ch && x.errs.text.len)
                ts_debug("scp to %s: %s", s->conf->alias, x.errs.text.buf);
        free(x.block);
        ts_str_clear(&x.answer);
        ts_str_clear(&x.errs.text);
        return r;
}
