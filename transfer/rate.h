/* A limit on how fast bytes go, shared by all flows of a move. Thread-safe. */
#ifndef TRANSHIP_TRANSFER_RATE_H
#define TRANSHIP_TRANSFER_RATE_H

#include "base/err.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct ts_rate;
struct ts_rate *ts_rate_new(uint64_t bytes_per_s); /* at least 1; NULL out of memory */
void ts_rate_free(struct ts_rate *r);
TS_DEFINE_AUTO(ts_rate, ts_rate_free);
/* Waits until so many bytes more may have gone; r NULL: no limit. TS_ECANCELED on ts_stop_signal, and when *given_up (may be NULL) becomes true. */
int ts_rate_take(struct ts_rate *r, uint64_t bytes, const _Atomic bool *given_up, struct ts_err *err);

#endif
