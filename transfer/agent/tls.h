/* TLS 1.3 over a TCP connection between tranship and an agent, for a strand of their link (link.h) that is faster than an SSH channel.
 *
 * Both sides know each other by one key, which went over SSH before (RFC 8446, external PSK with ECDHE): there are no certificates, and a side without the key does not get past the handshake.
 * OpenSSL. One thread at a time. */
#ifndef TRANSHIP_TRANSFER_AGENT_TLS_H
#define TRANSHIP_TRANSFER_AGENT_TLS_H

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define TS_TLS_KEY 32U /* bytes */

struct ts_tls;
enum ts_tls_side { TS_TLS_CLIENT, TS_TLS_SERVER };

/* Random bytes. TS_EINTERNAL. */
int ts_tls_key(unsigned char ret[TS_TLS_KEY], struct ts_err *err);
/* A connection from a connected socket, which becomes non-blocking and stays the caller's. Says hello; stop_fd (-1: none) readable ends it.
 * TS_EAUTH: the other side does not have the key, or this is no TLS at all; TS_ECONNECT, TS_ETIMEOUT, TS_ECANCELED, TS_EINTERNAL. */
int ts_tls_open(int fd, enum ts_tls_side side, const unsigned char key[TS_TLS_KEY], ts_deadline deadline, int stop_fd, struct ts_tls **ret,
                struct ts_err *err);
void ts_tls_free(struct ts_tls *t);
TS_DEFINE_AUTO(ts_tls, ts_tls_free);

/* Like read() and write() of a non-blocking socket. A write that was not possible must be repeated with the same bytes; they may lie elsewhere. */
ssize_t ts_tls_read(struct ts_tls *t, void *buf, size_t len);
ssize_t ts_tls_write(struct ts_tls *t, const void *buf, size_t len);

/* What goes through it is added there. */
void ts_tls_count(struct ts_tls *t, atomic_ullong *sent, atomic_ullong *received);
/* A silent peer is noticed by the kernel within about that time, and a reader and a writer get an error. */
void ts_tls_tune(int fd, unsigned silence_ms);

#endif
