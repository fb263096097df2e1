/* The target's side of the agent: no frames may crash it, write outside its directory, show a dump that was not complete, or leave anything there.
 *
 * The input is frames as on the wire. The directory lies in another one, which must be empty but for it and the one of earlier dumps afterwards. */
#include "tests/fuzz/frames.h"
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
        ts_auto_frame f = { 0 };
        bool complete = false, round = false;

        while (next_frame(&data, &size, &f) && ts_receive_frame(r, &f, &round, NULL) == 0)
                complete |= round && f.body.len && f.body.buf[0] == 1; /* a final one */
        return complete;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char top[] = "/tmp/tranship-fuzz-XXXXXX";
        ts_auto_free char *dir = NULL, *base = NULL;
        struct ts_receive *r = ts_receive_new();
        bool complete;

        if (!r || !mkdtemp(top))
                abort();
        dir = ts_fmt("%s/in", top);
        base = ts_fmt("%s/pre", top);
        if (!dir || !base || mkdir(dir, 0700) < 0 || mkdir(base, 0700) < 0 || ts_receive_root(r, dir, NULL) < 0 ||
            ts_receive_base(r, base, NULL) < 0)
                abort();
        complete = feed(r, data, size);
        ts_receive_free(r);
        if (empty(dir) > 0 && !complete)
                abort();
        (void)empty(base); /* what was complete there stays: its directory's owner removes it */
        if (rmdir(base) < 0 || rmdir(dir) < 0 || rmdir(top) < 0)
                abort();
        return 0;
}
