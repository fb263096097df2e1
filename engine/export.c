/* The connections that carry an archive: the one that the source's engine exports on, and the one that the target's imports from. Between hosts what they carry is packed: an engine asked by its API exports plain
 * tar, most of it zeros. Best effort: an archive travels unpacked where the agent does not run. */
#include "base/io.h"
#include "engine/mig.h"
#include "transfer/packed.h"
#include "transfer/ship.h"
#include <stdlib.h>
#include <unistd.h>

/* The agent, if it runs there. */
static void install(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_err why = TS_ERR_INIT;

        if (m->o->compress == TS_COMPRESS_OFF || ts_host_is_local(e->host))
                return;
        if (ts_agent_install(e->host, &e->agent, &why) == 0) {
                const char *const argv[] = { e->agent, "--version", NULL };

                const char *const hold_argv[] = { e->agent, "hold", NULL };

                if (ts_host_check(e->host, argv, NULL, NULL, &why) == 0 && ts_host_start(e->host, hold_argv, &e->agent_held, &why) == 0)
                        return;
        }
        free(TS_TAKE(e->agent));
        ts_mig_note(m, "the archive travels unpacked: %s", ts_err_message(&why));
}

void ts_archive_prepare(struct ts_mig *m)
{
        install(m, &m->src);
        install(m, &m->dst);
}

static int dial(struct ts_end *e, struct ts_err *err)
{
        int fd = -1;

        ts_packed_free(TS_TAKE(e->packed));
        if (ts_packed_dial(e->host, e->agent, e->socket, e->side == TS_SIDE_SOURCE ? TS_PACKED_DOWN : TS_PACKED_UP, &e->packed, &fd, err) < 0)
                return -1;
        e->packed_fd = fd + 1;
        return 0;
}

/* The one that was dialled ahead, unless it has ended meanwhile. */
static int dial_archive(void *ctx, int *ret_fd, struct ts_err *err)
{
        struct ts_end *e = ctx;

        if (e->packed_fd && !ts_fd_quiet(e->packed_fd - 1)) {
                (void)close(e->packed_fd - 1);
                e->packed_fd = 0;
        }
        if (!e->packed_fd && dial(e, err) < 0)
                return -1;
        *ret_fd = e->packed_fd - 1;
        e->packed_fd = 0;
        return 0;
}

void ts_archive_predial(struct ts_mig *m, struct ts_end *e)
{
        ts_auto_err why = TS_ERR_INIT;

        if (!e->agent)
                return;
        e->archive_dial = (struct ts_dial){ .dial = dial_archive, .ctx = e };
        if (dial(e, &why) == 0)
                e->archive = &e->archive_dial;
        else
                ts_mig_note(m, "the archive travels unpacked: %s", ts_err_message(&why));
}

void ts_archive_hang_up(struct ts_end *e)
{
        if (e->packed_fd)
                (void)close(e->packed_fd - 1);
        e->packed_fd = 0;
        e->archive = NULL;
        ts_packed_free(TS_TAKE(e->packed));
        ts_proc_free(TS_TAKE(e->agent_held));
        free(TS_TAKE(e->agent));
}
