/* See thread.h. */
#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

int ts_thread_start(pthread_t *ret, const char *name, void *(*run)(void *arg), void *arg, struct ts_err *err)
{
        sigset_t all, old;
        int e;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &old);
        e = pthread_create(ret, NULL, run, arg);
        (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
        if (e)
                return ts_err_errno(err, e, "cannot start a thread");
        (void)pthread_setname_np(*ret, name);
        return 0;
}
