/* The target's side of the agent: no frames may crash it, write outside its directory, show a dump that was not complete, or leave anything there.
 *
 * The input is frames as on the wire. The directory lies in another one, which must be empty but for it afterwards. */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "transfer/agent/receive.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Removes what is in it. How many there were. */
static unsigned empty(const char *dir)
{
        DIR *d = opendir(dir);
        unsigned n = 0;

        if (!d)
                abort();
        for (const struct dirent *e; (e = readdir(d));) {
                ts_auto_free char *path = ts_fmt("%s/%s", dir, e->d_name);

                if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
                        continue;
                n++;
                if (!path || unlink(path) < 0)
                        abort();
        }
        (void)closedir(d);
        return n;
}

static bool feed(struct ts_receive *r, const uint8_t *data, size_t size)
{
        bool complete = false;

        while (size >= 8) {
                ts_auto_frame f = { 0 };
                size_t len = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
                bool round = false;

                len = len < size - 8 ? len : size - 8;
                ts_frame_begin(&f, (enum ts_frame_type)data[4]);
                if (ts_put_bytes(&f, data + 8, len, NULL) < 0)
                        abort();
                if (ts_receive_frame(r, &f, &round, NULL) < 0)
                        break;
                complete |= round && f.body.len && f.body.buf[0] == 1; /* a final one */
                data += 8 + len;
                size -= 8 + len;
        }
        return complete;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char top[] = "/tmp/tranship-fuzz-XXXXXX";
        ts_auto_free char *dir = NULL;
        struct ts_receive *r = ts_receive_new();
        bool complete;

        if (!r || !mkdtemp(top))
                abort();
        dir = ts_fmt("%s/in", top);
        if (!dir || mkdir(dir, 0700) < 0 || ts_receive_root(r, dir, NULL) < 0)
                abort();
        complete = feed(r, data, size);
        ts_receive_free(r);
        if (empty(dir) > 0 && !complete)
                abort();
        if (rmdir(dir) < 0 || rmdir(top) < 0)
                abort();
        return 0;
}
