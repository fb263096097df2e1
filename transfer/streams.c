/* See streams.h. A stream alone may be limited by a window, a lossy path or one core; whether it is shows only with another one beside it. */
#include "transfer/streams.h"

#define WORTH 1.15
#define PAUSE 20U
#define PAUSE_MAX 640U

unsigned ts_streams_look(struct ts_streams *s, unsigned n, uint64_t bytes, uint64_t us, bool idle)
{
        double rate = us ? (double)bytes * 1e6 / (double)us : 0;

        if (n == 0 || n >= s->max || idle) {
                s->before = 0;
                return n;
        }
        if (s->fresh) {
                s->fresh = false;
                return n;
        }
        if (s->before > 0) {
                bool better = rate > s->before * WORTH;

                s->before = 0;
                s->paused = better ? 0 : s->paused == 0 ? PAUSE : s->paused < PAUSE_MAX ? 2 * s->paused : PAUSE_MAX;
                s->pause = s->paused;
        }
        if (s->pause) {
                s->pause--;
                return n;
        }
        s->before = rate;
        s->fresh = true;
        return n + 1;
}
