/* The far end of a dialled connection, for tests of what goes over the wire: a thread of the test serves each connection with plain socket calls. Framing and failures only; what real
 * engines do is tested with real engines. */
#ifndef TRANSHIP_TESTS_UNIT_API_SERVER_H
#define TRANSHIP_TESTS_UNIT_API_SERVER_H

#include "api/api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_MAX 64

struct server {
        void (*serve)(struct server *s, int fd, int nth); /* nth connection from 0; fd is closed after it */
        const void *ctx;
        atomic_int dials, requests;
        atomic_bool refuse_dials;
        pthread_t threads[SERVER_MAX];
};
struct server_connection {
        struct server *s;
        int fd, nth;
};

static inline void *server_thread(void *arg)
{
        struct server_connection *c = arg;
        c->s->serve(c->s, c->fd, c->nth);
        (void)close(c->fd);
        free(c);
        return NULL;
}

static inline int server_dial(void *ctx, int *ret_fd, struct ts_err *err)
{
        struct server *s = ctx;
        int fds[2];
        if (atomic_load(&s->refuse_dials) || atomic_load(&s->dials) >= SERVER_MAX)
                return ts_err_set(err, TS_ECONNECT, "the test refuses the connection");
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return ts_err_set(err, TS_EIO, "socketpair");
        struct server_connection *c = malloc(sizeof(*c));
        int nth = atomic_fetch_add(&s->dials, 1);
        *c = (struct server_connection){ s, fds[1], nth };
        (void)pthread_create(&s->threads[nth], NULL, server_thread, c);
        *ret_fd = fds[0];
        return 0;
}

/* After everything that talks to it is gone. */
static inline void server_join(struct server *s)
{
        for (int i = 0; i < atomic_load(&s->dials); i++)
                (void)pthread_join(s->threads[i], NULL);
}

/* Reads up to the empty line, not one byte more: the header's length, or 0 when the connection ended before. */
static inline size_t server_read_head(struct server *s, int fd, char *buf, size_t size)
{
        size_t n = 0;
        while (n + 1 < size && recv(fd, buf + n, 1, 0) == 1) {
                n++;
                buf[n] = '\0';
                if (n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0) {
                        atomic_fetch_add(&s->requests, 1);
                        return n;
                }
        }
        return 0;
}

static inline void server_send(int fd, const char *text)
{
        (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static inline void server_answer(int fd, const char *status, const char *headers, const char *body)
{
        char head[1024];
        (void)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n", status, headers, strlen(body));
        server_send(fd, head);
        server_send(fd, body);
}

/* What the header says of the body's length; 0 when it says nothing. */
static inline size_t server_body_length(const char *head)
{
        const char *at = strstr(head, "Content-Length: ");
        return at ? (size_t)strtoull(at + strlen("Content-Length: "), NULL, 10) : 0;
}

/* A body of a known length, to be thrown away. */
static inline size_t server_skip(int fd, size_t len)
{
        char buf[4096];
        size_t n = 0;
        while (n < len) {
                ssize_t got = recv(fd, buf, len - n < sizeof(buf) ? len - n : sizeof(buf), 0);
                if (got <= 0)
                        break;
                n += (size_t)got;
        }
        return n;
}

#endif
