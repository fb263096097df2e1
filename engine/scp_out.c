/* The archive as numbered segments on the target host. SCP wants the length first and the export has none, so bytes gather in a segment in memory (a memfd) and one thread sends the full one while the
 * other fills. Memory: two segments. */
#include "base/io.h"
#include "engine/mig.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SEGMENT_BYTES ((uint64_t)16 << 20)

struct ts_scp_out {
        struct ts_mig *m;
        int fd[2];          /* segments in memory */
        unsigned filling;   /* index into fd */
        uint64_t filled;    /* bytes in fd[filling] */
        unsigned number;    /* of the next segment */
        uint64_t sent_bytes;
        pthread_t thread;
        bool sending;       /* thread is to be joined */
        uint64_t sending_bytes;
        char *sending_path;
        int sending_rc;
        struct ts_err sending_err;
};

int ts_scp_out_new(struct ts_mig *m, struct ts_scp_out **ret, struct ts_err *err)
{
        struct ts_scp_out *x = calloc(1, sizeof(*x));

        if (!x)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        x->m = m;
        for (int i = 0; i < 2; i++) {
                x->fd[i] = memfd_create("tranship-segment", MFD_CLOEXEC);
                if (x->fd[i] >= 0)
                        continue;
                (void)ts_err_errno(err, errno, "a segment in memory");
                if (i)
                        (void)close(x->fd[0]);
                free(x);
                return -1;
        }
        *ret = x;
        return 0;
}

static void *send_segment(void *arg)
{
        struct ts_scp_out *x = arg;
        int fd = x->fd[1 - x->filling];

        x->sending_rc = lseek(fd, 0, SEEK_SET) < 0 ? ts_err_errno(&x->sending_err, errno, "segment")
                                                   : ts_host_scp_send(x->m->dst.host, x->sending_path, 0600, x->sending_bytes, fd, NULL, NULL, &x->sending_err);
        return NULL;
}

static int join_sender(struct ts_scp_out *x, struct ts_err *err)
{
        if (!x->sending)
                return 0;
        (void)pthread_join(x->thread, NULL);
        x->sending = false;
        free(TS_TAKE(x->sending_path));
        if (x->sending_rc == 0) {
                x->sent_bytes += x->sending_bytes;
                return 0;
        }
        if (err)
                ts_err_move(err, &x->sending_err);
        ts_err_clear(&x->sending_err);
        return -1;
}

/* Hands the full segment to the thread and takes the other one. */
static int turn(struct ts_scp_out *x, struct ts_err *err)
{
        int rc;

        if (join_sender(x, err) < 0)
                return -1;
        x->sending_path = ts_fmt("%s/seg.%08u", x->m->dst.staging, x->number++);
        if (!x->sending_path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        x->sending_bytes = x->filled;
        x->filling = 1 - x->filling;
        x->filled = 0;
        rc = pthread_create(&x->thread, NULL, send_segment, x);
        if (rc != 0)
                return ts_err_errno(err, rc, "a thread");
        x->sending = true;
        if (lseek(x->fd[x->filling], 0, SEEK_SET) < 0)
                return ts_err_errno(err, errno, "segment");
        return 0;
}

int ts_scp_out_write(void *scp_out, const void *data, size_t len, struct ts_err *err)
{
        struct ts_scp_out *x = scp_out;
        const char *p = data;

        while (len > 0) {
                size_t n = len < SEGMENT_BYTES - x->filled ? len : (size_t)(SEGMENT_BYTES - x->filled);

                if (ts_write_all(x->fd[x->filling], p, n, 0, false, err) < 0)
                        return -1;
                x->filled += n;
                p += n;
                len -= n;
                if (x->filled == SEGMENT_BYTES && turn(x, err) < 0)
                        return -1;
        }
        return 0;
}

int ts_scp_out_flush(struct ts_scp_out *x, uint64_t *ret_bytes, struct ts_err *err)
{
        if ((x->filled && turn(x, err) < 0) || join_sender(x, err) < 0)
                return -1;
        *ret_bytes = x->sent_bytes;
        return 0;
}

void ts_scp_out_free(struct ts_scp_out *x)
{
        if (!x)
                return;
        (void)join_sender(x, NULL);
        (void)close(x->fd[0]);
        (void)close(x->fd[1]);
        free(x);
}
