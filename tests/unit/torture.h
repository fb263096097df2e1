/* Runs a scenario again and again, and each time another allocation of it fails: the call must then fail with TS_ENOMEM or cope, and
 * nothing may stay allocated. Defines malloc() and its relatives for the executable, so it is included from one file only; one thread. Under
 * valgrind and the sanitizers, which have allocators of their own, each scenario simply runs.
 *
 * Scenarios stay away from libc's name services: those of glibc 2.36 crash by themselves when memory runs out. */
#ifndef TRANSHIP_TESTS_UNIT_TORTURE_H
#define TRANSHIP_TESTS_UNIT_TORTURE_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdbool.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NO_TORTURE
#endif
#endif
#else
#define NO_TORTURE
#endif

#ifndef NO_TORTURE
/* glibc's own names: the functions below stand in front of them, for libc's own calls (vasprintf, strdup) too. */
void *__libc_malloc(size_t size);           /* NOLINT(bugprone-reserved-identifier) */
void *__libc_calloc(size_t n, size_t size); /* NOLINT(bugprone-reserved-identifier) */
void *__libc_realloc(void *p, size_t size); /* NOLINT(bugprone-reserved-identifier) */
void __libc_free(void *p);                  /* NOLINT(bugprone-reserved-identifier) */

static long countdown = -1; /* allocations until the one that fails; -1: none does */
static bool failed;
static long live; /* blocks allocated and not yet freed */

static inline bool fails_now(void)
{
        if (countdown < 0 || countdown-- != 0)
                return false;
        failed = true;
        errno = ENOMEM;
        return true;
}

static inline void *counted(void *p)
{
        if (p)
                live++;
        return p;
}

void *malloc(size_t size)
{
        return fails_now() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
        return fails_now() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
        if (fails_now())
                return NULL;
        return p ? __libc_realloc(p, size) : counted(__libc_malloc(size));
}

void free(void *p)
{
        if (p)
                live--;
        __libc_free(p);
}
#else
static long countdown, live;
static bool failed;
#endif

/* Runs scenario with the 1st, the 2nd, … allocation failing, until none does. It returns what the last call returned. */
static inline void torture(int (*scenario)(struct ts_err *err))
{
        (void)scenario(NULL); /* what libc allocates once and keeps */
        for (long n = 0; n < 100000; n++) {
                struct ts_err err = TS_ERR_INIT;
                long before = live;
                int rc;

                failed = false;
                countdown = n;
                rc = scenario(&err);
                countdown = -1;
                if (rc < 0 && err.code != TS_ENOMEM)
                        (void)printf("\n    allocation %ld: code %s: %s\n", n, ts_code_str(err.code), ts_err_message(&err));
                CU_ASSERT_TRUE(rc == 0 || (failed && err.code == TS_ENOMEM));
                ts_err_clear(&err);
                before = live - before;
                if (before != 0)
                        (void)printf("\n    allocation %ld: %ld blocks are lost\n", n, before);
                CU_ASSERT_EQUAL(before, 0);
                if (!failed) /* it ran to its end */
                        return;
        }
        CU_FAIL("no end");
}

#endif
