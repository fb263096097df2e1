/* What comes packed from the other side: no bytes may crash what unpacks it or make it take much memory, and what is taken for a whole stream is one. */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "transfer/agent/squeeze.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUT_MAX ((off_t)4 << 20) /* what packs well fills a disk; not here */

static int unpack(const uint8_t *data, size_t size)
{
        int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

        if (in < 0 || out < 0 || ftruncate(out, OUT_MAX) < 0 || fcntl(out, F_ADD_SEALS, F_SEAL_GROW) < 0 || ts_write_all(in, data, size, 0, false, NULL) < 0 ||
            lseek(in, 0, SEEK_SET) < 0)
                abort();
        rc = ts_squeeze(in, out, TS_SQUEEZE_UNPACK, NULL);
        (void)close(in);
        (void)close(out);
        return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* A whole stream is none any more with a byte more or less */
        if (unpack(data, size) == 0 && size > 0) {
                uint8_t *more = calloc(1, size + 1);

                if (!more)
                        return 0;
                for (size_t i = 0; i < size; i++)
                        more[i] = data[i];
                if (unpack(more, size + 1) == 0 || unpack(more, size - 1) == 0)
                        abort();
                free(more);
        }
        return 0;
}
