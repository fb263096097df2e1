/* The frame of a unit test: one file is one CUnit suite and one executable.
 *
 *     static void adds_two(void) { CU_ASSERT_EQUAL(1 + 1, 2); }
 *     static CU_TestInfo tests[] = { UNIT(adds_two), CU_TEST_INFO_NULL };
 *     UNIT_MAIN("arithmetic", tests)
 *
 * The last line of the output is for programs: `unit arithmetic: tests 1 failed 0 asserts 1 failed 0`. The exit status is 0, or 1 when anything
 * failed. With an argument only the tests whose name contains it run. Failed assertions are on stdout as file:line. */
#ifndef TRANSHIP_TESTS_UNIT_UNIT_H
#define TRANSHIP_TESTS_UNIT_UNIT_H

#include "base/err.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT(function) { #function, function }

/* A call that must succeed: shows the message when it does not. err must be the caller's variable. */
#define UNIT_OK(call)                                                                                    \
        do {                                                                                             \
                int unit_rc_ = (call);                                                                   \
                if (unit_rc_ != 0)                                                                       \
                        (void)printf("\n    %s:%d: %s: %s\n", __FILE__, __LINE__, #call, ts_err_message(&err)); \
                CU_ASSERT_EQUAL_FATAL(unit_rc_, 0);                                                      \
        } while (0)
/* A call that must fail with this code; err is empty again afterwards. */
#define UNIT_FAILS(call, want)                                                                           \
        do {                                                                                             \
                CU_ASSERT_EQUAL((call), -1);                                                             \
                if (err.code != (want))                                                                  \
                        (void)printf("\n    %s:%d: %s: code %s: %s\n", __FILE__, __LINE__, #call, ts_code_str(err.code), \
                                     ts_err_message(&err));                                              \
                CU_ASSERT_EQUAL(err.code, (want));                                                       \
                ts_err_clear(&err);                                                                      \
        } while (0)
/* Strings that may be NULL; shows both when they differ. */
#define UNIT_STR(got, want)                                                                              \
        do {                                                                                             \
                const char *unit_got_ = (got), *unit_want_ = (want);                                     \
                int unit_same_ = unit_got_ && unit_want_ ? strcmp(unit_got_, unit_want_) == 0 : unit_got_ == unit_want_; \
                if (!unit_same_)                                                                         \
                        (void)printf("\n    %s:%d: got '%s', want '%s'\n", __FILE__, __LINE__, unit_got_ ? unit_got_ : "(null)", \
                                     unit_want_ ? unit_want_ : "(null)");                                \
                CU_ASSERT_TRUE(unit_same_);                                                              \
        } while (0)

static inline int unit_run(const char *suite, CU_TestInfo *tests, const char *only)
{
        CU_TestInfo chosen[512] = { CU_TEST_INFO_NULL };
        CU_SuiteInfo suites[] = { { suite, NULL, NULL, NULL, NULL, chosen }, CU_SUITE_INFO_NULL };
        unsigned failed;
        size_t n = 0;

        for (CU_TestInfo *t = tests; t->pName && n + 1 < sizeof(chosen) / sizeof(chosen[0]); t++)
                if (!only || strstr(t->pName, only))
                        chosen[n++] = *t;
        if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS) {
                (void)fprintf(stderr, "unit %s: %s\n", suite, CU_get_error_msg());
                return 1;
        }
        CU_basic_set_mode(CU_BRM_VERBOSE);
        (void)CU_basic_run_tests();
        failed = CU_get_number_of_failures();
        (void)printf("unit %s: tests %u failed %u asserts %u failed %u\n", suite, CU_get_number_of_tests_run(), CU_get_number_of_tests_failed(),
                     CU_get_number_of_asserts(), failed);
        CU_cleanup_registry();
        return failed || n == 0 ? 1 : 0;
}

#define UNIT_MAIN(suite, tests)                                                 \
        int main(int argc, char **argv)                                         \
        {                                                                       \
                (void)setvbuf(stdout, NULL, _IOLBF, 0); /* a crash keeps the log */ \
                return unit_run(suite, tests, argc > 1 ? argv[1] : NULL);       \
        }

#endif
