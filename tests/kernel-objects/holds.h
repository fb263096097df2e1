/* What an object of holds.c is made of. */
#ifndef HOLDS_H
#define HOLDS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each object has a process of its own: make() makes it there, check() says whether it is still what it
 * was, and leaves it so: it is asked again after the next move. */
struct object {
        const char *name;
        int (*make)(void), (*check)(void);
};
#define OBJECT(name)                             \
        {                                        \
#name, name##_make, name##_check \
        }
#define END                      \
        {                        \
                NULL, NULL, NULL \
        }
extern const struct object pipe_objects[], inet_objects[], file_objects[], memory_objects[],
        event_objects[], process_objects[];

/* Both return -1; the first adds what errno says. */
int failed(const char *what);
int differs(const char *what);
#define TRY(x)                             \
        do {                               \
                if ((long)(x) < 0)         \
                        return failed(#x); \
        } while (0)
#define WANT(x)                             \
        do {                                \
                if (!(x))                   \
                        return differs(#x); \
        } while (0)

/* Writes a text; reads just that text, and nothing after it, and writes it again at the other end. */
int put(int fd, const char *text);
int through(int from, int to, const char *text);
/* Milliseconds; returns 0. */
int nap(int ms);
/* A child that sleeps until it is killed, or until its parent dies. */
pid_t sleeper(void);
#endif
