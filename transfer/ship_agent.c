/* Puts agents on hosts and starts them. Decides where they live: a directory only root can read, a file whose name is its SHA-256. */
#include "transfer/ship_impl.h"

#include "base/io.h"
#include "base/thread.h"
#include "transfer/agent/frame.h"
#include "transfer/agent/serve.h"
#include "transfer/own_dir.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define AGENT_DIR TS_OWN_TOP "/agent"
#define HELLO_MS 20000
#define ENDING_MS 3000 /* agents of ours that were told to end are gone by then */

/* ---- the program on the host ---- */

/* Whether the file is there and is what it should be. */
static int is_right(struct ts_host *h, const char *path, const char *sha256, bool *ret, struct ts_err *err)
{
        const char *const argv[] = { "sha256sum", "--", path, NULL };
        ts_auto_run r = { 0 };

        if (ts_host_run(h, argv, NULL, &r, err) < 0)
                return -1;
        *ret = r.status == 0 && r.out.len > 64 && strncmp(ts_str_cstr(&r.out), sha256, 64) == 0;
        return 0;
}

/* $1 the whole copy, $2 its place. One that has not grown for ten minutes was cut off;
 * somebody else who installs removes it, too, and that is no failure of ours. */
static const char move_script[] =
        "mv -f -- \"$1\" \"$2\" && { find \"${2%/*}\" -maxdepth 1 -type f -name \"${2##*/}.*\" "
        "-mmin +10 -delete 2>/dev/null || :; }";

static int install(struct ts_host *h, const char *path, const struct ts_agent_blob *blob, struct ts_err *err)
{
        ts_auto_free char *tmp = ts_fmt("%s.%llx", path, (unsigned long long)ts_now_us());
        const char *const move[] = { "sh", "-c", move_script, "sh", tmp, path, NULL };
        const char *const drop[] = { "rm", "-f", "--", tmp, NULL };
        bool right = false;

        if (!tmp)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_host_put(h, tmp, 0700, blob->data, blob->len, err) < 0 ||
            is_right(h, tmp, blob->sha256, &right, err) < 0)
                return -1;
        if (right)
                return ts_host_check(h, move, NULL, NULL, err);
        (void)ts_host_check(h, drop, NULL, NULL, NULL);
        return ts_err_set(err, TS_EIO, "the agent that was copied is not the one that was sent");
}

int ts_agent_uninstall(struct ts_host *h, struct ts_err *err)
{
        ts_auto_free char *path = ts_fmt(AGENT_DIR "/%s", ts_agent_blob().sha256);
        const char *const argv[] = { path, "remove", NULL };
        ts_deadline deadline = ts_deadline_in_ms(ENDING_MS);

        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        for (;;) {
                ts_auto_run r = { 0 };

                if (ts_host_run(h, argv, NULL, &r, err) < 0)
                        return -1;
                if (r.status != TS_AGENT_IN_USE || ts_deadline_passed(deadline))
                        return r.status == TS_AGENT_IN_USE;
                ts_sleep_ms(100);
        }
}

int ts_agent_install(struct ts_host *h, char **ret_path, struct ts_err *err)
{
        struct ts_agent_blob blob = ts_agent_blob();
        ts_auto_free char *path = ts_fmt(AGENT_DIR "/%s", blob.sha256);
        bool right = false;

        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (ts_own_dir(h, AGENT_DIR, err) < 0 || is_right(h, path, blob.sha256, &right, err) < 0 || (!right && install(h, path, &blob, err) < 0))
                return -1;
        *ret_path = TS_TAKE(path);
        return 0;
}

static int start_remote(struct ts_host *h, const struct ts_agent_opts *o, struct ts_agent *a,
                        struct ts_err *err)
{
        ts_auto_free char *path = NULL;

        if (ts_agent_install(h, &path, err) < 0)
                return -1;
        return ts_channels_new(h, path, o->owner, o->streams, &a->channels, &a->io, err);
}

/* ---- here ---- */

static void *serve(void *arg)
{
        struct ts_agent *a = arg;

        (void)ts_agent_serve(a->their_io, TS_VERSION, NULL, NULL); /* what is wrong is said in a message */
        ts_duplex_close(TS_TAKE(a->their_io));
        return NULL;
}

static int start_local(struct ts_agent *a, struct ts_err *err)
{
        struct ts_duplex *ends[2];

        if (ts_duplex_new(ends, err) < 0)
                return -1;
        a->io = ends[0];
        a->their_io = ends[1];
        a->has_thread = ts_thread_start(&a->thread, "agent", serve, a, err) == 0;
        return a->has_thread ? 0 : -1;
}

/* ---- both ---- */

static int hear(struct ts_agent *a, struct ts_frame *f, enum ts_frame_type type, ts_deadline deadline, struct ts_err *err)
{
        int n = ts_frame_read(a->io, f, deadline, true, err);

        if (n < 0)
                return -1;
        if (n == 0)
                return ts_err_set(err, TS_ECONNECT, "it ended at once");
        return f->type == type ? 0 : ts_frame_error(f, a->who, err);
}

/* Its HELLO also says where more channels can join it. */
static int hear_hello(struct ts_agent *a, struct ts_frame *f, ts_deadline deadline, char **ret_name, struct ts_err *err)
{
        struct ts_unpack u;
        ts_auto_free char *tool = NULL;

        if (hear(a, f, TS_FRAME_HELLO, deadline, err) < 0)
                return -1;
        u = ts_unpack(f);
        (void)ts_get_u32(&u); /* it judges ours */
        tool = ts_get_text(&u);
        *ret_name = ts_get_text(&u);
        return ts_unpack_end(&u, f, err);
}

static int greet(struct ts_agent *a, const char *directory, char **ret_name, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        ts_deadline deadline = ts_deadline_in_ms(HELLO_MS);

        ts_frame_begin(&f, TS_FRAME_HELLO);
        if (ts_put_u32(&f, TS_AGENT_VERSION, err) < 0 || ts_put_text(&f, TS_VERSION, err) < 0 || ts_put_text(&f, "", err) < 0 ||
            ts_frame_write(a->io, &f, deadline, true, err) < 0)
                return -1;
        ts_frame_begin(&f, TS_FRAME_ROOT);
        if (ts_put_text(&f, directory, err) < 0 || ts_frame_write(a->io, &f, deadline, true, err) < 0)
                return -1;
        return hear_hello(a, &f, deadline, ret_name, err) < 0 ? -1 : hear(a, &f, TS_FRAME_READY, deadline, err);
}

/* The agent listens for who has the key. *ret_port 0: it cannot. */
static int ask_for_port(struct ts_agent *a, const struct ts_agent_opts *o, const unsigned char *key, unsigned *ret_port, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(HELLO_MS);
        ts_auto_frame f = { 0 }, answer = { 0 };
        struct ts_unpack u;
        uint64_t port;
        int rc;

        ts_frame_begin(&f, TS_FRAME_TLS);
        rc = ts_put_u32(&f, o->tls_low, err) < 0 || ts_put_u32(&f, o->tls_high, err) < 0 ||
                             ts_put_u32(&f, ts_channels_silence_ms(a->channels), err) < 0 || ts_put_bytes(&f, key, TS_TLS_KEY, err) < 0 ||
                             ts_frame_write(a->io, &f, deadline, true, err) < 0 || hear(a, &answer, TS_FRAME_READY, deadline, err) < 0
                     ? -1
                     : 0;
        if (f.body.buf)
                OPENSSL_cleanse(f.body.buf, f.body.cap);
        if (rc < 0)
                return -1;
        u = ts_unpack(&answer);
        port = ts_get_u64(&u);
        for (unsigned i = 1; i < 6; i++)
                (void)ts_get_u64(&u);
        if (ts_unpack_end(&u, &answer, err) < 0)
                return -1;
        if (port && (port < o->tls_low || port > o->tls_high))
                return ts_err_set(err, TS_EPROTO, "port %llu is none of those it may listen on", (unsigned long long)port);
        *ret_port = (unsigned)port;
        return 0;
}

/* Data by TLS beside SSH. Where that cannot be it goes as it always does. */
static int open_tls(struct ts_agent *a, const struct ts_agent_opts *o, struct ts_err *err)
{
        unsigned char key[TS_TLS_KEY];
        unsigned port = 0;
        int rc;

        if (!ts_channels_tls_possible(a->channels))
                return 0;
        if (ts_tls_key(key, err) < 0)
                return -1;
        rc = ask_for_port(a, o, key, &port, err);
        if (rc == 0)
                ts_channels_tls(a->channels, port, key);
        OPENSSL_cleanse(key, sizeof(key));
        return rc;
}

int ts_agent_start(struct ts_host *h, const char *directory, const struct ts_agent_opts *o, struct ts_agent **ret, struct ts_err *err)
{
        ts_auto(ts_agent) struct ts_agent *a = calloc(1, sizeof(*a));
        ts_auto_free char *name = NULL;

        if (!a)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        a->who = ts_strdup0(ts_host_name(h));
        if (!a->who)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if ((ts_host_is_local(h) ? start_local(a, err) : start_remote(h, o, a, err)) < 0 ||
            greet(a, directory, &name, err) < 0 || (a->channels && o->tls_high && open_tls(a, o, err) < 0) ||
            (a->channels && ts_channels_keep(a->channels, name, o->patience_ms, err) < 0))
                return ts_err_prefix(err, "agent on '%s'", ts_host_name(h));
        *ret = TS_TAKE(a);
        return 0;
}

bool ts_agent_has_way(const struct ts_agent *a, const struct ts_agent_opts *o)
{
        return !a->channels || !o->tls_high || ts_channels_has_tls(a->channels);
}

void ts_agent_patience(struct ts_agent *a, unsigned ms)
{
        if (a->channels)
                ts_channels_patience(a->channels, ms);
}

void ts_agent_limit(struct ts_agent *source, struct ts_rate *r)
{
        source->rate = r;
}

int ts_agent_pack(struct ts_agent *source, unsigned mode, struct ts_err *err)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_PACK);
        return ts_put_u32(&f, mode, err) < 0 ? -1 : ts_frame_write(source->io, &f, ts_deadline_in_ms(HELLO_MS), true, err);
}

int ts_agent_only(struct ts_agent *source, const char *name, const char *as, struct ts_err *err)
{
        ts_auto_frame f = { 0 };

        ts_frame_begin(&f, TS_FRAME_ONLY);
        return ts_put_text(&f, name, err) < 0 || ts_put_text(&f, as, err) < 0 ||
                               ts_frame_write(source->io, &f, ts_deadline_in_ms(HELLO_MS), true, err) < 0
                       ? -1
                       : 0;
}

int ts_ship_base(struct ts_agent *target, const char *name, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        ts_deadline deadline = ts_deadline_in_ms(HELLO_MS);

        ts_frame_begin(&f, TS_FRAME_BASE);
        if (ts_put_text(&f, name, err) < 0 || ts_frame_write(target->io, &f, deadline, true, err) < 0 ||
            hear(target, &f, TS_FRAME_READY, deadline, err) < 0)
                return ts_err_prefix(err, "agent on '%s'", target->who);
        return 0;
}

void ts_agent_stop(struct ts_agent *a)
{
        ts_duplex_close(TS_TAKE(a->io));
        if (a->channels)
                ts_channels_stop(a->channels);
}

void ts_agent_free(struct ts_agent *a)
{
        ts_agent_stop(a);
        if (a->channels)
                ts_channels_free(a->channels);
        if (a->has_thread)
                (void)pthread_join(a->thread, NULL);
        ts_duplex_close(a->their_io);
        free(a->who);
        free(a);
}
