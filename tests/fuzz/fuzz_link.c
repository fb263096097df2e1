/* transfer/agent/link.c: whatever comes over a strand, from either side; memory stays bounded, and what the program gets ends. The first byte chooses the side, the rest is what comes. */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "transfer/agent/link.h"

#include <sys/socket.h>

static void read_all(int fd)
{
        char buf[4096];

        while (ts_read_some(fd, buf, sizeof(buf), ts_deadline_in_ms(5000), false, NULL) > 0)
                ;
}

static void hear_all(struct ts_duplex *io)
{
        char buf[4096];

        while (ts_duplex_read(io, buf, sizeof(buf), ts_deadline_in_ms(5000), false, NULL) > 0)
                ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        ts_auto(ts_link) struct ts_link *l = NULL;
        ts_auto(ts_duplex) struct ts_duplex *io = NULL;
        ts_auto_fd int theirs = -1;
        int strand[2];

        if (size < 1 || size > 100000 || ts_socketpair(strand, NULL) < 0)
                return 0;
        theirs = strand[1];
        if (ts_link_new(&(struct ts_link_opts){ .names = data[0] & 1, .listen_fd = -1, .patience_ms = 60000 }, &l, &io, NULL) < 0)
                return 0;
        (void)ts_link_add(l, strand[0], strand[0], -1, NULL);
        ts_link_forsake(l, true);
        (void)ts_duplex_write(io, NULL, 0, "something to acknowledge", 24, ts_deadline_in_ms(5000), false, NULL);
        (void)ts_write_all(theirs, data + 1, size - 1, ts_deadline_in_ms(5000), false, NULL);
        (void)shutdown(theirs, SHUT_WR);
        hear_all(io);
        ts_duplex_end(io);
        read_all(theirs);
        return 0;
}
