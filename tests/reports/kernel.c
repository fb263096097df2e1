/* Holds kernel objects that a checkpoint loses ("lost") or that CRIU cannot dump ("stuck"), says "ready", and goes on. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int hold(const char *what)
{
        if (strcmp(what, "affinity") == 0) {
                cpu_set_t one;
                CPU_ZERO(&one);
                CPU_SET(0, &one);
                return sched_setaffinity(0, sizeof(one), &one);
        }
        if (strcmp(what, "slack") == 0)
                return prctl(PR_SET_TIMERSLACK, 777000UL, 0UL, 0UL, 0UL);
        if (strcmp(what, "ioprio") == 0)
                return (int)syscall(SYS_ioprio_set, 1, 0, 3 << 13);
        if (strcmp(what, "semaphore") == 0) {
                struct sembuf up = { .sem_op = 1, .sem_flg = SEM_UNDO };
                int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
                return id < 0 ? -1 : semop(id, &up, 1);
        }
        if (strcmp(what, "datagram") == 0) {
                struct sockaddr_in to = { .sin_family = AF_INET,
                                          .sin_addr = { htonl(INADDR_LOOPBACK) } };
                socklen_t len = sizeof(to);
                int fd = socket(AF_INET, SOCK_DGRAM, 0);
                return bind(fd, (struct sockaddr *)&to, len) < 0 ||
                                       getsockname(fd, (struct sockaddr *)&to, &len) < 0 ||
                                       sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len) != 1
                               ? -1
                               : 0;
        }
        if (strcmp(what, "packet") == 0) {
                int fds[2];
                return pipe2(fds, O_DIRECT);
        }
        if (strcmp(what, "mqueue") == 0)
                return mq_open("/it", O_CREAT | O_RDWR, 0600, NULL) < 0 ? -1 : 0;
        if (strcmp(what, "backlog") == 0) {
                struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0it" };
                int a = socket(AF_UNIX, SOCK_STREAM, 0), b = socket(AF_UNIX, SOCK_STREAM, 0);
                return bind(a, (struct sockaddr *)&to, 5) < 0 || listen(a, 5) < 0 ||
                                       connect(b, (struct sockaddr *)&to, 5) < 0
                               ? -1
                               : 0;
        }
        return -1;
}

int main(int argc, char **argv)
{
        if (argc < 2 || hold(argv[1]) < 0) {
                perror(argc > 1 ? argv[1] : "what");
                return 1;
        }
        (void)printf("ready\n");
        (void)fflush(stdout);
        for (;;)
                (void)sleep(1);
}
