/* See serve.h. Decides which message may come when. */
#include "transfer/agent/serve.h"

#include "base/io.h"
#include "transfer/agent/receive.h"
#include "transfer/agent/send.h"
#include "transfer/agent/tree_receive.h"
#include "transfer/agent/tree_send.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIFE_MS \
        (24U * 3600 * 1000) /* without a message: a connection that died without a word must not leave it, and what it holds, for ever */
#define LOOK_MS 2           /* how often a growing dump is looked at */

struct agent {
        struct ts_duplex *io;
        const struct ts_agent_doors *doors;
        char *root;
        int root_fd;  /* open on it from the beginning */
        bool follows; /* it may be a link */
        /* What it is for: one of these. */
        struct ts_send *send;
        struct ts_receive *receive;
        struct ts_tree_send *tree_send;
        struct ts_tree_receive *tree_receive;
        struct ts_frame reply, opened;
        struct ts_pack *pack;
        bool watching;
};

static int hello(struct agent *a, struct ts_frame *f, const char *tool, struct ts_err *err)
{
        struct ts_unpack u;
        ts_auto_free char *theirs = NULL, *nowhere = NULL;
        uint32_t version;
        int n;

        ts_frame_begin(&a->reply, TS_FRAME_HELLO);
        if (ts_put_u32(&a->reply, TS_AGENT_VERSION, err) < 0 || ts_put_text(&a->reply, tool, err) < 0 ||
            ts_put_text(&a->reply, a->doors ? a->doors->listens : "", err) < 0 || ts_frame_write(a->io, &a->reply, 0, false, err) < 0)
                return -1;
        n = ts_frame_read(a->io, f, 0, false, err);
        if (n <= 0)
                return n < 0 ? -1 : ts_err_set(err, TS_EPROTO, "nobody said hello");
        u = ts_unpack(f);
        version = ts_get_u32(&u);
        theirs = ts_get_text(&u);
        nowhere = ts_get_text(&u);
        if (f->type != TS_FRAME_HELLO || ts_unpack_end(&u, f, err) < 0)
                return ts_err_set(err, TS_EPROTO, "the first message is no hello");
        return version == TS_AGENT_VERSION
                       ? 0
                       : ts_err_set(err, TS_EPROTO, "version %" PRIu32 " of the messages, not %u", version, TS_AGENT_VERSION);
}

static int say_ready(struct agent *a, const uint64_t figures[6], struct ts_err *err)
{
        ts_frame_begin(&a->reply, TS_FRAME_READY);
        for (size_t i = 0; i < 6; i++)
                if (ts_put_u64(&a->reply, figures[i], err) < 0)
                        return -1;
        return ts_frame_write(a->io, &a->reply, 0, false, err);
}

static int ready(struct agent *a, const struct ts_delta_stats *st, uint64_t bytes, struct ts_err *err)
{
        return say_ready(a, (const uint64_t[]){ st->pages, st->zero, st->same, st->copied, st->sent, bytes }, err);
}

static bool leads_up(const char *path)
{
        size_t len = strlen(path);

        return strstr(path, "/../") || (len >= 3 && !strcmp(path + len - 3, "/.."));
}

/* What an engine will find under the name is what was written to, or what was sent is what it was:
 * nobody put something else there meanwhile. */
static int still_there(const struct agent *a, struct ts_err *err)
{
        struct stat st, held;

        if (fstat(a->root_fd, &held) == 0 && fstatat(AT_FDCWD, a->root, &st, a->follows ? 0 : AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == held.st_dev &&
            st.st_ino == held.st_ino)
                return 0;
        return ts_err_set(err, TS_EPROTO, "'%s' was taken away, or replaced by something else, meanwhile", a->root);
}

/* A path that ends in "/." may lead there by a link; every other one is the directory itself. */
static int set_root(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        ts_auto_free char *path = ts_get_text(&u);
        size_t len;

        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (a->root || path[0] != '/' || leads_up(path))
                return ts_err_set(err, TS_EPROTO, "a second directory, or none");
        len = strlen(path);
        a->follows = len > 2 && !strcmp(path + len - 2, "/.");
        if (a->follows)
                path[len - 2] = '\0';
        a->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (a->follows ? 0 : O_NOFOLLOW));
        if (a->root_fd < 0)
                return ts_err_errno(err, errno, "cannot open '%s'", path);
        a->root = TS_TAKE(path);
        return ready(a, &(struct ts_delta_stats){ 0 }, 0, err);
}

/* What an agent has become it stays. */
static int fresh(const struct agent *a, struct ts_err *err)
{
        return !a->root || a->send || a->receive || a->tree_send || a->tree_receive
                       ? ts_err_set(err, TS_EPROTO, "a message at the wrong time")
                       : 0;
}

static int be_source(struct agent *a, struct ts_err *err)
{
        if (a->send)
                return 0;
        if (fresh(a, err) < 0)
                return -1;
        a->send = ts_send_new(a->io, a->pack);
        return a->send ? ts_send_root(a->send, a->root, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int be_target(struct agent *a, struct ts_err *err)
{
        if (a->receive)
                return 0;
        if (fresh(a, err) < 0)
                return -1;
        a->receive = ts_receive_new();
        return a->receive ? ts_receive_root(a->receive, a->root, err) : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* A name of one component, or the root itself. */
static int start_watching(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f), as_name = u;
        ts_auto_free char *text = ts_get_text(&u);
        char name[256];

        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (strcmp(text, ".") != 0) {
                (void)ts_get_name(&as_name, name);
                if (ts_unpack_end(&as_name, f, err) < 0)
                        return -1;
        }
        if (be_source(a, err) < 0)
                return -1;
        a->watching = true;
        return ts_send_watch(a->send, text, err);
}

static int finish(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        uint32_t kind = ts_get_u32(&u);
        struct ts_delta_stats st = { 0 };

        if (ts_unpack_end(&u, f, err) < 0 || be_source(a, err) < 0)
                return -1;
        if (kind > TS_ROUND_EARLIER)
                return ts_err_set(err, TS_EPROTO, "an unknown kind of a round");
        a->watching = false;
        return ts_send_finish(a->send, (enum ts_round_kind)kind, &st, err) < 0 ? -1 : ready(a, &st, ts_send_bytes(a->send), err);
}

static int be_tree(struct agent *a, struct ts_err *err)
{
        if (a->tree_send)
                return 0;
        if (fresh(a, err) < 0)
                return -1;
        a->tree_send = ts_tree_send_new(a->io, a->pack);
        return a->tree_send ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int only(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        char name[256], as[256];

        (void)ts_get_name(&u, name);
        (void)ts_get_name(&u, as);
        return ts_unpack_end(&u, f, err) < 0 || be_tree(a, err) < 0 ? -1 : ts_tree_send_only(a->tree_send, name, as, err);
}

static int scan_tree(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        uint32_t final = ts_get_u32(&u);
        struct ts_tree_stats st = { 0 };

        if (ts_unpack_end(&u, f, err) < 0 || be_tree(a, err) < 0 || still_there(a, err) < 0)
                return -1;
        if (ts_tree_send_round(a->tree_send, a->root, final, &st, err) < 0)
                return -1;

        const uint64_t figures[] = { st.objects, st.changed, st.removed, st.bytes_read, st.bytes_sent, 0 };
        return say_ready(a, figures, err);
}

/* What comes from the other agent. A tree begins with its root's ENTRY, a dump with anything else. */
static int take_data(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        bool round = false;
        int rc;

        if (f->type == TS_FRAME_ENTRY && !a->tree_receive) {
                if (fresh(a, err) < 0)
                        return -1;
                a->tree_receive = ts_tree_receive_new();
                if (!a->tree_receive)
                        return ts_err_set(err, TS_ENOMEM, "out of memory");
                if (ts_tree_receive_root(a->tree_receive, a->root_fd, err) < 0)
                        return -1;
        }
        if (a->tree_receive)
                rc = ts_tree_receive_frame(a->tree_receive, f, &round, err);
        else
                rc = be_target(a, err) < 0 ? -1 : ts_receive_frame(a->receive, f, &round, err);
        if (rc < 0 || (round && a->tree_receive && still_there(a, err) < 0))
                return -1;
        return round ? say_ready(a,
                                 (const uint64_t[6]){
                                         a->tree_receive ? ts_tree_receive_unset(a->tree_receive)
                                                         : 0 },
                                 err)
                     : 0;
}

/* Beside the root, and nowhere else. */
static int set_base(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        const char *slash = a->root ? strrchr(a->root, '/') : NULL;
        ts_auto_free char *path = NULL;
        char name[256];

        (void)ts_get_name(&u, name);
        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (!slash || !slash[1])
                return ts_err_set(err, TS_EPROTO, "a directory of earlier dumps beside none");
        path = ts_fmt("%.*s%s", (int)(slash + 1 - a->root), a->root, name);
        if (!path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (be_target(a, err) < 0 || ts_receive_base(a->receive, path, err) < 0)
                return -1;
        return ready(a, &(struct ts_delta_stats){ 0 }, 0, err);
}

static int set_pack(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        uint32_t mode = ts_get_u32(&u);

        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (mode > TS_PACK_ON)
                return ts_err_set(err, TS_EPROTO, "an unknown way to pack");
        ts_pack_set(a->pack, (enum ts_pack_mode)mode);
        return 0;
}

static int open_tls(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        struct ts_unpack u = ts_unpack(f);
        struct ts_tls_listen_opts o = { .low = ts_get_u32(&u) };
        const void *key;
        unsigned port = 0;
        int rc;

        o.high = ts_get_u32(&u);
        o.silence_ms = ts_get_u32(&u);
        key = ts_get_bytes(&u, TS_TLS_KEY);
        if (ts_unpack_end(&u, f, err) < 0)
                return -1;
        if (o.low > o.high || o.high > UINT16_MAX || o.silence_ms > INT32_MAX)
                return ts_err_set(err, TS_EPROTO, "ports that make no sense");
        memcpy(o.key, key, TS_TLS_KEY);
        rc = a->doors ? a->doors->tls(a->doors->ctx, &o, &port, NULL) : -1;
        OPENSSL_cleanse(&o, sizeof(o));
        return say_ready(a, (const uint64_t[6]){ rc == 0 ? port : 0 }, err);
}

static int take(struct agent *a, const struct ts_frame *f, struct ts_err *err)
{
        if (f->type == TS_FRAME_PACKED)
                return ts_pack_open(a->pack, f, &a->opened, err) < 0 ? -1 : take_data(a, &a->opened, err);
        if (ts_frame_is_data(f->type))
                return take_data(a, f, err);
        switch (f->type) {
        case TS_FRAME_ROOT:
                return set_root(a, f, err);
        case TS_FRAME_WATCH:
                return start_watching(a, f, err);
        case TS_FRAME_FINISH:
                return finish(a, f, err);
        case TS_FRAME_BASE:
                return set_base(a, f, err);
        case TS_FRAME_PACK:
                return set_pack(a, f, err);
        case TS_FRAME_ONLY:
                return only(a, f, err);
        case TS_FRAME_TLS:
                return open_tls(a, f, err);
        case TS_FRAME_SCAN:
                return scan_tree(a, f, err);
        default:
                return ts_err_set(err, TS_EPROTO, "a message of the unknown type %" PRIu32, f->type);
        }
}

/* While a dump is being written, between messages: sends what there is. 1: a message is there. */
static int watch(struct agent *a, struct ts_err *err)
{
        ts_deadline deadline = ts_deadline_in_ms(LIFE_MS);

        while (a->watching && !ts_deadline_passed(deadline)) {
                struct pollfd p = { .fd = ts_duplex_in_fd(a->io), .events = POLLIN };
                bool more = false;

                if (ts_send_grown(a->send, &more, err) < 0)
                        return -1;
                if (poll(&p, 1, more ? 0 : LOOK_MS) > 0)
                        break;
        }
        return 1;
}

static int serve(struct agent *a, const char *tool, struct ts_err *err)
{
        ts_auto_frame f = { 0 };
        int n = hello(a, &f, tool, err) < 0 ? -1 : 1;

        ts_alive_set(a->io);

        while (n > 0) {
                n = watch(a, err) < 0 ? -1 : ts_frame_read(a->io, &f, ts_deadline_in_ms(LIFE_MS), false, err);
                if (n > 0 && take(a, &f, err) < 0)
                        n = -1;
        }
        return n;
}

int ts_agent_serve(struct ts_duplex *io, const char *tool, const struct ts_agent_doors *doors, struct ts_err *err)
{
        struct agent a = { .io = io, .doors = doors, .pack = ts_pack_new(), .root_fd = -1 };
        ts_auto_err failed = TS_ERR_INIT;
        int rc = a.pack ? serve(&a, tool, &failed) : ts_err_set(&failed, TS_ENOMEM, "out of memory");

        ts_alive_set(NULL);
        if (rc < 0) {
                ts_auto_free char *text = ts_printable(ts_err_message(&failed), strlen(ts_err_message(&failed)), 1000);

                ts_frame_begin(&a.reply, TS_FRAME_ERROR);
                if (text && ts_put_u32(&a.reply, (uint32_t)failed.code, NULL) == 0 && ts_put_text(&a.reply, text, NULL) == 0)
                        (void)ts_frame_write(io, &a.reply, ts_deadline_in_ms(5000), false, NULL);
                ts_err_move(err, &failed);
        }
        if (a.send)
                ts_send_free(a.send);
        if (a.receive)
                ts_receive_free(a.receive);
        if (a.tree_send)
                ts_tree_send_free(a.tree_send);
        if (a.tree_receive)
                ts_tree_receive_free(a.tree_receive);
        if (a.root_fd >= 0)
                (void)close(a.root_fd);
        free(a.root);
        ts_frame_clear(&a.reply);
        ts_frame_clear(&a.opened);
        ts_pack_free(a.pack);
        return rc;
}
