/* The frame of the tests against a real sshd: one table of cases, a count of what is left behind after each, skipping with a reason, and the hosts of tests/ssh/run.
 *
 * A case that makes sense for both kinds of host is written once as `static void name_on(struct ts_host *h)`, and BOTH(name) makes two of it. */
#ifndef TRANSHIP_TESTS_SSH_FRAME_H
#define TRANSHIP_TESTS_SSH_FRAME_H

#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "transfer/host.h"
#include "transfer/relay.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASE(function)              \
        {                           \
#function, function \
        }
#define CASES_END          \
        {                  \
                NULL, NULL \
        }
#define BOTH(name)                     \
        static void name##_local(void) \
        {                              \
                on_local(name##_on);   \
        }                              \
        static void name##_ssh(void)   \
        {                              \
                on_ssh(name##_on);     \
        }
#define CASE_BOTH(name) CASE(name##_local), CASE(name##_ssh)

struct test_case {
        const char *name;
        void (*function)(void);
};
extern const struct test_case connect_cases[], run_cases[], flow_cases[], scp_cases[], loss_cases[], relay_cases[], ship_cases[], samples_cases[], packed_cases[];

/* Shows the message when a call fails that must succeed; the case ends. */
#define OK(call)                                                                                                                           \
        do {                                                                                                                               \
                int rc_ = (call);                                                                                                          \
                if (rc_ < 0)                                                                                                               \
                        (void)printf("\n    %s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call, ts_code_str(err.code), ts_err_message(&err)); \
                CU_ASSERT_FATAL(rc_ >= 0);                                                                                                 \
        } while (0)
/* A call that must fail with this code; err keeps it for another look. */
#define FAILS(call, want)                                                                                                             \
        do {                                                                                                                          \
                int rc_;                                                                                                              \
                ts_err_clear(&err);                                                                                                   \
                rc_ = (call);                                                                                                         \
                if (rc_ != -1 || err.code != (want))                                                                                  \
                        (void)printf("\n    %s:%d: %s: returned %d, %s: %s\n", __FILE__, __LINE__, #call, rc_, ts_code_str(err.code), \
                                     ts_err_message(&err));                                                                           \
                CU_ASSERT(rc_ == -1 && err.code == (want));                                                                           \
        } while (0)
#define STR_IS(got, want)                                                                                    \
        do {                                                                                                 \
                const char *got_ = ts_or((got), "(null)"), *want_ = (want);                                  \
                if (strcmp(got_, want_) != 0)                                                                \
                        (void)printf("\n    %s:%d: got '%s', want '%s'\n", __FILE__, __LINE__, got_, want_); \
                CU_ASSERT_STRING_EQUAL(got_, want_);                                                         \
        } while (0)
#define HAS(text, part)                                                                                   \
        do {                                                                                              \
                const char *text_ = ts_or((text), "(null)"), *part_ = (part);                             \
                if (!strstr(text_, part_))                                                                \
                        (void)printf("\n    %s:%d: no '%s' in '%s'\n", __FILE__, __LINE__, part_, text_); \
                CU_ASSERT_PTR_NOT_NULL(strstr(text_, part_));                                             \
        } while (0)
/* The case counts as skipped. */
#define SKIP_UNLESS(condition, reason)     \
        do {                               \
                if (!(condition)) {        \
                        skip_case(reason); \
                        return;            \
                }                          \
        } while (0)
#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

void skip_case(const char *reason);
/* Everything takes longer under valgrind; large transfers are made smaller there. */
bool is_slow(void);

/* A file of the runner's directory; static memory, eight of them in turn. */
const char *lab_path(const char *name);
bool lab_has(const char *name);
/* Options with the runner's configuration file, 2 s for the peer. */
struct ts_ssh_opts lab_opts(void);
struct ts_host *lab_connect(const char *alias); /* ends the case when it fails */
void on_local(void (*f)(struct ts_host *h));
void on_ssh(void (*f)(struct ts_host *h));
/* Lines of the main sshd's log with this text. */
unsigned lab_log_count(const char *text);
void lab_shell(const char *command); /* on this machine, ends the case when it fails */

uint64_t ms_since(uint64_t start_us);
/* Reproducible bytes that do not repeat. */
void fill_pattern(unsigned char *buf, size_t len, uint64_t offset);
bool same_pattern(const unsigned char *buf, size_t len, uint64_t offset);
/* Writes len pattern bytes in a thread, then ends the input. */
struct writer;
struct writer *writer_start(int fd, uint64_t len);
bool writer_join(struct writer *w); /* true: all was written */
/* Reads pattern bytes to the end; how many were right in a row, UINT64_MAX at a wrong one. */
uint64_t read_pattern(int fd, unsigned timeout_ms);

/* A Unix socket on this machine that sends back what it gets, ends when its peer ends. */
struct echo;
struct echo *echo_start(const char *path);
void echo_stop(struct echo *e);
/* What makes a connection to a Unix socket out of stdin and stdout: this program itself. */
const char *const *dial_helper(const char *path);

#endif
