/* Threads beside the main one, which alone gets the signals. */
#ifndef TRANSHIP_BASE_THREAD_H
#define TRANSHIP_BASE_THREAD_H

#include "base/err.h"
#include <pthread.h>

/* name: at most 15 characters, for ps and profiles. To be joined by the caller. TS_EIO, TS_ENOMEM. */
int ts_thread_start(pthread_t *ret, const char *name, void *(*run)(void *arg), void *arg, struct ts_err *err);

#endif
