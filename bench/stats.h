/* What a list of measurements says. No claim without its uncertainty: a 95 % interval of the median, by bootstrap, which assumes nothing about how the measurements are distributed. */
#ifndef TRANSHIP_BENCH_STATS_H
#define TRANSHIP_BENCH_STATS_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct ts_stats {
        size_t n;
        double mean, sd; /* of the sample (n - 1); 0 where n is 1 */
        double least, q1, median, q3, most;
        double low, high; /* of the median: 95 % (the percentile method); both the median where n is 1 */
};
/* values: n of them, finite, in any order and any unit; stays as it is. The same values give the same interval. TS_EUSAGE: none. TS_ENOMEM. */
int ts_stats(const double *values, size_t n, struct ts_stats *ret, struct ts_err *err);

/* The next of a sequence (xorshift64): *state is not 0 at its begin. For drawing and for orders, not for secrets. */
uint64_t ts_stats_random(uint64_t *state);

#endif
