/* Holds one thing that CRIU has trouble with, and counts on: holder WHAT [DIRECTORY]. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int hold_mptcp(void)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7000) };
        int fd = socket(AF_INET, SOCK_STREAM, 262);

        return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : listen(fd, 5);
}

/* As a compiler at run time has it: shared, executable, not writable, and below the program's own
 * code. */
static int hold_jit(void)
{
        void *want = (void *)0x200000, *p = mmap(want, 1 << 16, PROT_READ | PROT_EXEC,
                                                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        return p == want ? 0 : -1;
}

static int hold_link(void)
{
        int fd = open("one", O_CREAT | O_RDWR, 0600);

        return fd < 0 || write(fd, "kept\n", 5) != 5 || link("one", "two") < 0 ? -1 : unlink("one");
}

static int hold_watch(void)
{
        int fd = inotify_init();

        return fd < 0 || inotify_add_watch(fd, ".", IN_CREATE) < 0 ? -1 : 0;
}

static int hold_lock(void)
{
        int fd = open("locked", O_CREAT | O_RDWR, 0600);

        return fd < 0 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
}

/* The beginning of a datagram; more is said to come. */
static int hold_cork(void)
{
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons(9) };
        int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

        return fd < 0 || setsockopt(fd, IPPROTO_UDP, UDP_CORK, &on, sizeof(on)) < 0 ||
                               connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
                               send(fd, "half", 4, 0) != 4
                       ? -1
                       : 0;
}

/* A connection to ourselves; what goes in has to come out. */
static int loop[2];
static int hold_loop(void)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(a);
        int l = socket(AF_INET, SOCK_STREAM, 0);

        loop[0] = socket(AF_INET, SOCK_STREAM, 0);
        if (l < 0 || bind(l, (struct sockaddr *)&a, len) < 0 || listen(l, 5) < 0 ||
            getsockname(l, (struct sockaddr *)&a, &len) < 0 ||
            connect(loop[0], (struct sockaddr *)&a, len) < 0)
                return -1;
        loop[1] = accept(l, NULL, NULL);
        return loop[1] < 0 ? -1 : 0;
}

static int through_loop(unsigned n)
{
        unsigned back = 0;

        return write(loop[0], &n, sizeof(n)) != sizeof(n) ||
                               read(loop[1], &back, sizeof(back)) != sizeof(back) || back != n
                       ? -1
                       : 0;
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                int (*hold)(void);
        } all[] = { { "mptcp", hold_mptcp },
                    { "jit", hold_jit },
                    { "link", hold_link },
                    { "watch", hold_watch },
                    { "lock", hold_lock },
                    { "cork", hold_cork }, { "loop", hold_loop } };
        int rc = -1;

        if (argc > 2 && chdir(argv[2]) < 0)
                return 2;
        for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(*all); i++)
                if (!strcmp(argv[1], all[i].name))
                        rc = all[i].hold();
        if (rc < 0) {
                perror("holder");
                return 1;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        for (unsigned n = 0;; n++) {
                if (loop[0] && through_loop(n) < 0)
                        return 3;
                printf("%u\n", n);
                (void)nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
        }
}
