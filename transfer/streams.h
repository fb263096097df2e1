/* How many SSH streams one agent gets: more while more bring more. A pure function of what was measured, so that tests can play it. */
#ifndef TRANSHIP_TRANSFER_STREAMS_H
#define TRANSHIP_TRANSFER_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#define TS_STREAMS_AUTO_MAX 8U
#define TS_STREAMS_LOOK_MS 500U /* how long one measurement should be */

struct ts_streams {
        unsigned max; /* 1: never more than one */
        /* Zero at first: */
        double before;   /* bytes a second with one stream less; 0: nothing is being tried */
        bool fresh;      /* the number has just changed: this measurement says nothing */
        unsigned pause;  /* so many measurements until the next try, … */
        unsigned paused; /* … and so many after the last one that brought nothing */
};
/* With n streams so many bytes went in so much time; idle: the streams were not busy all the time. How many there should be: n, or one more. */
unsigned ts_streams_look(struct ts_streams *s, unsigned n, uint64_t bytes, uint64_t us, bool idle);

#endif
