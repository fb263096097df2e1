/* What the files of ship share. */
#ifndef TRANSHIP_TRANSFER_SHIP_IMPL_H
#define TRANSHIP_TRANSFER_SHIP_IMPL_H

#include "transfer/ship.h"
#include "transfer/ship_channels.h"

#include <pthread.h>

struct ts_agent_blob {
        const unsigned char *data;
        size_t len;
        const char *sha256; /* 64 hexadecimal digits */
};
struct ts_agent_blob ts_agent_blob(void);

struct ts_agent {
        char *who; /* the host's name, for messages */
        struct ts_duplex *io;
        struct ts_rate *rate;
        struct ts_channels *channels; /* remote */
        pthread_t thread;             /* local: serves at their_io */
        bool has_thread;
        struct ts_duplex *their_io;
};

#endif
