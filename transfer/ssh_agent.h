/* A client of the SSH agent (the protocol of draft-miller-ssh-agent), with deadlines: libssh2's own would wait for an agent for ever. */
#ifndef TRANSHIP_TRANSFER_SSH_AGENT_H
#define TRANSHIP_TRANSFER_SSH_AGENT_H

#include "base/clock.h"
#include "base/err.h"

#include <stddef.h>

struct ts_agent_key {
        unsigned char *blob; /* the public key as on the wire; owned */
        size_t len;
        char *comment; /* printable; owned */
};
struct ts_agent {
        int fd;
        struct ts_agent_key *keys;
        size_t n;
};
#define TS_AGENT_INIT    \
        {                \
                .fd = -1 \
        }

/* Connects and lists the keys (at most 64). TS_ECONNECT, TS_ETIMEOUT, TS_EPROTO. */
int ts_agent_open(const char *path, ts_deadline deadline, struct ts_agent *ret, struct ts_err *err);
/* Signs data. *ret: the signature without its algorithm's name; malloc'ed. flags: 2 = rsa-sha2-256, 4 = rsa-sha2-512. */
int ts_agent_sign(struct ts_agent *a, const struct ts_agent_key *key, const unsigned char *data, size_t len, unsigned flags,
                  ts_deadline deadline, unsigned char **ret, size_t *ret_len, struct ts_err *err);
void ts_agent_close(struct ts_agent *a);

#endif
