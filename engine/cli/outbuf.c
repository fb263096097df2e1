/* Output that is never waited for. Decides what happens when the reader is slow; does not know what is written. */
#include "engine/cli/outbuf.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void ts_outbuf_init(struct ts_outbuf *b, int fd, size_t max_bytes)
{
        *b = (struct ts_outbuf){ .fd = fd, .pending = TS_STR_INIT_MAX(max_bytes) };
}

void ts_outbuf_clear(struct ts_outbuf *b)
{
        ts_str_clear(&b->pending);
}

bool ts_outbuf_add(struct ts_outbuf *b, const void *data, size_t len)
{
        if (!b->broken && ts_str_add(&b->pending, data, len, /* err= */ NULL) == 0)
                return true;
        b->dropped++;
        return false;
}

/* Never blocks once poll(2) said that there is room: a pipe or terminal then has PIPE_BUF, a socket is asked not to wait. The
 * descriptor's own flags stay as they are, it may be shared with other processes. */
static ssize_t write_some(int fd, const char *data, size_t len)
{
        ssize_t n = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0 || errno != ENOTSOCK)
                return n;
        return write(fd, data, len < PIPE_BUF ? len : PIPE_BUF);
}

static bool wait_room(int fd, ts_deadline deadline, bool wait)
{
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        return poll(&p, 1, wait ? ts_deadline_poll_ms(deadline, -1) : 0) > 0;
}

void ts_outbuf_flush(struct ts_outbuf *b, unsigned timeout_ms)
{
        ts_deadline deadline = ts_deadline_in_ms(timeout_ms);
        size_t done = 0;

        while (!b->broken && done < b->pending.len) {
                ssize_t n;

                if (!wait_room(b->fd, deadline, timeout_ms > 0))
                        break;
                n = write_some(b->fd, b->pending.buf + done, b->pending.len - done);
                if (n > 0)
                        done += (size_t)n;
                else if (n < 0 && errno != EINTR && errno != EAGAIN)
                        b->broken = errno;
                else if (timeout_ms == 0 || ts_deadline_passed(deadline))
                        break;
        }
        if (done > 0) {
                b->pending.len -= done;
                memmove(b->pending.buf, b->pending.buf + done, b->pending.len + 1);
        }
}
