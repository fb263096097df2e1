/* The target's side of a tree: no frames may crash it, or make, change or remove anything outside its directory.
 *
 * The input is frames as on the wire. Beside the directory lies another one with a file in it, which a link that is followed, or a path that climbs, would reach. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/frames.h"
#include "tests/unit/remove_tree.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/agent/flags.h"
#include "transfer/agent/tree_receive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void feed(struct ts_tree_receive *t, const uint8_t *data, size_t size)
{
        ts_auto_frame f = { 0 };
        bool round = false;

        while (next_frame(&data, &size, &f) && ts_tree_receive_frame(t, &f, &round, NULL) == 0)
                continue;
}

static unsigned flags_at(const char *path)
{
        ts_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? ~0U : ts_flags_of(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char top[] = "/tmp/tranship-fuzz-XXXXXX";
        ts_auto_free char *dir = NULL, *out = NULL, *file = NULL;
        struct ts_tree_receive *t = ts_tree_receive_new();
        ts_auto_str still = TS_STR_INIT;
        unsigned flags, flags_out;
        struct stat st;
        int fd = -1;

        if (!t || !mkdtemp(top))
                abort();
        dir = ts_fmt("%s/in", top);
        out = ts_fmt("%s/out", top);
        file = ts_fmt("%s/out/file", top);
        if (!dir || !out || !file || mkdir(dir, 0700) < 0 || mkdir(out, 0700) < 0 || ts_file_write_atomic(file, "precious", 8, 0640, NULL) < 0 ||
            (fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 || ts_tree_receive_root(t, fd, NULL) < 0)
                abort();
        flags = flags_at(file);
        flags_out = flags_at(out);
        feed(t, data, size);
        ts_tree_receive_free(t);
        (void)close(fd);
        if (ts_file_read(file, 100, &still, NULL) < 0 || strcmp(ts_str_cstr(&still), "precious") != 0 || stat(file, &st) < 0 || (st.st_mode & 07777) != 0640 || stat(out, &st) < 0 ||
            (st.st_mode & 07777) != 0700 || st.st_nlink != 2)
                abort();
        if (flags_at(file) != flags || flags_at(out) != flags_out)
                abort();
        if (ts_unflag_main(top) != 0 || remove_tree(top) != 0)
                abort();
        return 0;
}
