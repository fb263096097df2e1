/* See stats.h. Decides how quartiles are interpolated and how often is drawn. */
#include "bench/stats.h"

#include "base/mem.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define DRAWS 2000U
#define SEED UINT64_C(0x9e3779b97f4a7c15) /* always the same: two readers of a file see the same interval */

static int compare(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Between the two nearest, as most programs do it (type 7 of Hyndman and Fan). */
static double quantile(const double *sorted, size_t n, double q)
{
        double at = q * (double)(n - 1);
        size_t i = (size_t)at;

        return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

uint64_t ts_stats_random(uint64_t *state)
{
        *state ^= *state << 13;
        *state ^= *state >> 7;
        return *state ^= *state << 17;
}

/* draw: room for n; medians: for DRAWS. */
static void interval(const double *sorted, double *draw, double *medians, struct ts_stats *ret)
{
        uint64_t x = SEED;

        for (unsigned d = 0; d < DRAWS; d++) {
                for (size_t i = 0; i < ret->n; i++)
                        draw[i] = sorted[ts_stats_random(&x) % ret->n];
                qsort(draw, ret->n, sizeof(*draw), compare);
                medians[d] = quantile(draw, ret->n, 0.5);
        }
        qsort(medians, DRAWS, sizeof(*medians), compare);
        ret->low = quantile(medians, DRAWS, 0.025);
        ret->high = quantile(medians, DRAWS, 0.975);
}

int ts_stats(const double *values, size_t n, struct ts_stats *ret, struct ts_err *err)
{
        ts_auto_free double *room = NULL;
        double *sorted, sum = 0, squares = 0;

        if (n == 0)
                return ts_err_set(err, TS_EUSAGE, "no measurements");
        room = n <= SIZE_MAX / sizeof(*room) / 2 - DRAWS ? calloc(2 * n + DRAWS, sizeof(*room)) : NULL;
        if (!room)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        sorted = room;
        memcpy(sorted, values, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), compare);
        for (size_t i = 0; i < n; i++)
                sum += sorted[i];
        *ret = (struct ts_stats){ .n = n, .mean = sum / (double)n, .least = sorted[0], .most = sorted[n - 1] };
        for (size_t i = 0; i < n; i++)
                squares += (sorted[i] - ret->mean) * (sorted[i] - ret->mean);
        ret->sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
        ret->q1 = quantile(sorted, n, 0.25);
        ret->median = quantile(sorted, n, 0.5);
        ret->q3 = quantile(sorted, n, 0.75);
        interval(sorted, room + n, room + 2 * n, ret);
        return 0;
}
