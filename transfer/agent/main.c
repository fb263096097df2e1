/* The agent as a program: copied to a host by tranship and started over SSH, it talks on its standard input and output, and ends when nobody talks to it any more. */
#include "base/io.h"
#include "base/mem.h"
#include "transfer/agent/announce.h"
#include "transfer/agent/dial.h"
#include "transfer/agent/flags.h"
#include "transfer/agent/forget.h"
#include "transfer/agent/join.h"
#include "transfer/agent/keep.h"
#include "transfer/agent/link.h"
#include "transfer/agent/sample.h"
#include "transfer/agent/serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define UNFINISHED_S 600 /* ship_agent.c has it, too */
#define PATIENCE_MS 90000U /* without a connection; longer than tranship tries to make one anew */
#define LAST_WORDS_MS 5000U

struct listening {
        struct ts_link *link;
        struct ts_tls_listen *tls;
};

/* The address that its SSH connection came to. NULL: it was not started by sshd. */
static char *ssh_address(void)
{
        const char *s = getenv("SSH_CONNECTION"), *p = s ? strchr(s, ' ') : NULL;

        p = p ? strchr(p + 1, ' ') : NULL;
        return p ? strndup(p + 1, strcspn(p + 1, " ")) : NULL;
}

static int listen_tls(void *ctx, const struct ts_tls_listen_opts *o, unsigned *ret_port, struct ts_err *err)
{
        struct listening *l = ctx;
        ts_auto_free char *address = ssh_address();

        return l->tls || !address ? -1 : ts_tls_listen_start(l->link, address, o, &l->tls, ret_port, err);
}

static int serve(const char *owner, struct ts_err *err)
{
        char name[TS_JOIN_NAME_MAX];
        ts_auto(ts_link) struct ts_link *l = NULL;
        struct listening doors = { 0 };
        ts_auto(ts_duplex) struct ts_duplex *io = NULL;
        int listening = ts_join_listen(owner, name, err), rc = -1;

        if (listening < 0)
                return -1;
        if (ts_link_new(&(struct ts_link_opts){ .closes_both = true, .listen_fd = listening, .patience_ms = PATIENCE_MS }, &l, &io, err) ==
                    0 &&
            ts_link_add(l, STDIN_FILENO, STDOUT_FILENO, -1, err) == 0) {
                doors.link = l;
                rc = ts_agent_serve(io, TS_VERSION, &(struct ts_agent_doors){ name, listen_tls, &doors }, err);
                ts_duplex_close(TS_TAKE(io));
                ts_link_end(l, LAST_WORDS_MS);
                if (doors.tls)
                        ts_tls_listen_free(doors.tls);
        }
        ts_join_forget(name);
        return rc;
}

/* Each one that runs holds a lock of the program's file for as long as it does: its connections are made anew by that file, and it is removed only when nobody does. */
static int lock_self(int how)
{
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

        if (fd >= 0 && flock(fd, how | LOCK_NB) == 0)
                return 0;
        if (fd >= 0)
                (void)close(fd);
        return -1;
}

/* For who will start it by its path later. */
static int hold_self(void)
{
        char buf[64];
        ssize_t n;

        do
                n = read(STDIN_FILENO, buf, sizeof(buf));
        while (n > 0 || (n < 0 && errno == EINTR));
        return 0;
}

/* Copies of this program that were cut off (ship_agent.c has "PATH.…" for what is not whole yet): one
 * that grows is another machine's. */
static void remove_unfinished(const char *dir, const char *name)
{
        size_t len = strlen(name);
        DIR *d = opendir(dir);
        const struct dirent *e;
        struct stat st;

        while (d && (e = readdir(d))) /* NOLINT(concurrency-mt-unsafe): a stream of our own */
                if (strncmp(e->d_name, name, len) == 0 && e->d_name[len] == '.' &&
                    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    st.st_mtime < time(NULL) - UNFINISHED_S)
                        (void)unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                (void)closedir(d);
}

static int remove_self(void)
{
        char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
        char *slash;

        if (lock_self(LOCK_EX) < 0)
                return TS_AGENT_IN_USE;
        path[n < 0 ? 0 : n] = '\0';
        if (n <= 0 || unlink(path) < 0)
                return 1;
        slash = strrchr(path, '/');
        if (slash && slash != path) {
                *slash = '\0';
                remove_unfinished(path, slash + 1);
                ts_join_sweep();
                (void)rmdir(path); /* not while there are those of other versions */
        }
        return 0;
}

int main(int argc, char **argv)
{
        ts_auto_err err = TS_ERR_INIT;
        struct rlimit files;

        ts_ignore_write_signals();
        if (argc == 2 && !strcmp(argv[1], "--version")) {
                (void)puts("tranship-agent " TS_VERSION);
                return 0;
        }
        if (argc == 2 && !strcmp(argv[1], "remove"))
                return remove_self();
        if (argc != 3 || strcmp(argv[1], "sample") != 0) /* it is not missed */
                (void)lock_self(LOCK_SH);
        if (argc == 2 && !strcmp(argv[1], "hold"))
                return hold_self();
        if (argc == 3 && !strcmp(argv[1], "join"))
                return ts_join_main(argv[2]);
        if (argc == 3 && !strcmp(argv[1], "sample"))
                return ts_sample_main(argv[2]);
        if (argc == 3 && !strcmp(argv[1], "announce"))
                return ts_announce_main(argv[2]);
        if (argc >= 3 && !strcmp(argv[1], "forget"))
                return ts_forget_main(argv + 2);
        if (argc == 3 && !strcmp(argv[1], "keep"))
                return ts_keep_main(argv[2]);
        if (argc == 3 && !strcmp(argv[1], "unflag"))
                return ts_unflag_main(argv[2]);
        if (argc == 2 && !strcmp(argv[1], "unpack"))
                return ts_unpack_main();
        if (argc == 4 && !strcmp(argv[1], "dial"))
                return ts_dial_main(argv[2], argv[3]);
        if (argc != 1 && (argc != 3 || strcmp(argv[1], "for") != 0)) { /* "for": whose it is, for who looks at the processes of the host */
                (void)fputs("tranship-agent: started by tranship, not by hand\n", stderr);
                return 2;
        }
        (void)umask(077);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* both versions of each pages file are open */
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        if (serve(argc == 3 ? argv[2] : NULL, &err) == 0)
                return 0;
        (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
        return 1;
}
