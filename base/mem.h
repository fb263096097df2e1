/* Ownership helpers: cleanup attributes and hand-over. No third party, no state. */
#ifndef TRANSHIP_BASE_MEM_H
#define TRANSHIP_BASE_MEM_H

#include <stdlib.h>
#include <unistd.h>

static inline void ts_freep(void *p) { free(*(void **)p); }
static inline void ts_closep(const int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}
#define ts_auto_free __attribute__((cleanup(ts_freep)))
#define ts_auto_fd __attribute__((cleanup(ts_closep)))
/* ts_auto(ts_container) declares nothing by itself: write `ts_auto(ts_container) struct ts_container *c = NULL;`
 * for any type whose header says TS_DEFINE_AUTO(type, free_function). */
#define TS_DEFINE_AUTO(type, free_fn)                    \
        static inline void type##_autop(struct type **p) \
        {                                                \
                if (*p)                                  \
                        free_fn(*p);                     \
        }                                                \
        struct ts_force_semicolon_##type
#define ts_auto(type) __attribute__((cleanup(type##_autop)))
#define TS_TAKE(p)                         \
        __extension__({                    \
                __typeof__(p) took_ = (p); \
                (p) = NULL;                \
                took_;                     \
        })
#define TS_TAKE_FD(fd)            \
        __extension__({           \
                int took_ = (fd); \
                (fd) = -1;        \
                took_;            \
        })
#define TS_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
