/* Moves of an experiment: runs of `tranship move`, whose reports are what is measured. Decides how they are called; does not decide which. */
#include "bench/plan.h"

#include "base/io.h"
#include "transfer/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define REPORT_MAX_BYTES ((size_t)64 << 20)
#define ERRORS_MAX_BYTES ((size_t)64 << 10)
#define LOOK_EVERY_MS 5U
#define SAID_MAX 1000
#define MUST_LOOK 6 /* this exit status and those above it */

static int add_words(struct ts_list *to, const struct ts_list *from, struct ts_err *err)
{
        for (size_t i = 0; from && i < from->n; i++)
                if (ts_list_add(to, from->v[i], err) < 0)
                        return -1;
        return 0;
}

/* Options that come later win: the way's over the environment's over the user's. */
static int command_line(struct ts_bench *b, const struct ts_moving *m, const char *name, const char *option, struct ts_list *l, struct ts_err *err)
{
        if (ts_list_add(l, b->o->self, err) < 0 || ts_list_words(l, "move --quiet --progress never --sample 200ms --no-keep-source", err) < 0 || add_words(l, b->o->move_options, err) < 0 ||
            add_words(l, &b->options, err) < 0 || ts_list_words(l, option, err) < 0)
                return -1;
        return ts_list_addf(l, err, "--from=%s", b->ends[m->from].spec) < 0 || ts_list_addf(l, err, "--to=%s", b->ends[1 - m->from].spec) < 0 ||
                               ts_list_addf(l, err, "--report=%s", m->report) < 0 || ts_list_add(l, "--", err) < 0 || ts_list_add(l, name, err) < 0
                       ? -1
                       : 0;
}

static void moving_clear(struct ts_moving *m)
{
        if (m->report)
                (void)unlink(m->report);
        if (m->errors)
                (void)unlink(m->errors);
        free(TS_TAKE(m->report));
        free(TS_TAKE(m->errors));
        m->pid = 0;
}

int ts_moving_start(struct ts_bench *b, const char *name, unsigned from, const char *option, struct ts_moving *ret, struct ts_err *err)
{
        ts_auto_list argv = TS_LIST_INIT;
        ts_auto_fd int errors = -1;
        pid_t pid = 0;

        *ret = (struct ts_moving){ .from = from, .report = ts_fmt("%s/%u.json", b->directory, b->n_moves), .errors = ts_fmt("%s/%u.err", b->directory, b->n_moves) };
        b->n_moves++;
        if (!ret->report || !ret->errors) {
                moving_clear(ret);
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        }
        errors = open(ret->errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (errors < 0 || command_line(b, ret, name, option, &argv, err) < 0 ||
            ts_spawn(&(struct ts_spawn){ .argv = (const char *const *)argv.v, .in = -1, .out = -1, .errs = errors }, &pid, err) < 0) {
                ts_err_set(err, TS_EIO, "cannot write '%s'", ret->errors);
                moving_clear(ret);
                return -1;
        }
        ret->pid = pid;
        return 0;
}

/* A move has its own limits of time, and goes back when it is told to stop: it is never killed from here. */
static int wait_for(int pid)
{
        bool told = false;
        int raw = 0, got;

        while ((got = waitpid(pid, &raw, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
                if (ts_stop_signal && !told)
                        told = kill(pid, SIGINT) == 0;
                ts_sleep_ms(LOOK_EVERY_MS);
        }
        return got < 0 ? 1 : ts_wait_status(raw);
}

/* All that it said, in one line. */
static char *what_it_said(const char *path)
{
        ts_auto_str text = TS_STR_INIT, line = TS_STR_INIT;

        (void)ts_file_read(path, ERRORS_MAX_BYTES, &text, NULL);
        for (char *save = NULL, *s = text.buf ? strtok_r(text.buf, "\n", &save) : NULL; s; s = strtok_r(NULL, "\n", &save)) {
                s += strspn(s, " \t");
                if (*s)
                        (void)ts_str_addf(&line, NULL, "%s%s", line.len ? "; " : "", s);
        }
        return ts_printable(ts_str_cstr(&line), line.len, SAID_MAX);
}

static int read_report(const struct ts_moving *m, struct ts_json **ret, struct ts_err *err)
{
        ts_auto_str text = TS_STR_INIT;

        return ts_file_read(m->report, REPORT_MAX_BYTES, &text, err) < 0 || ts_json_parse(ts_str_cstr(&text), text.len, REPORT_MAX_BYTES, ret, err) < 0 ? -1 : 0;
}

int ts_moving_end(struct ts_bench *b, struct ts_moving *m, struct ts_json *sample, struct ts_err *err)
{
        ts_auto(ts_json) struct ts_json *report = NULL;
        int status = wait_for(m->pid), rc = 0;

        if (ts_stop_signal)
                rc = ts_err_set(err, TS_ECANCELED, "stopped");
        else if (status != 0) {
                ts_auto_free char *said = what_it_said(m->errors);

                rc = ts_err_set(err, TS_ECOMMAND, "a move ended with exit status %d: %s", status, ts_or(said, ""));
                (void)ts_err_hint(err, "its report is '%s', what it said '%s'", m->report, m->errors);
                b->must_look |= status >= MUST_LOOK;
                free(TS_TAKE(m->report)); /* both files stay */
                free(TS_TAKE(m->errors));
        } else {
                rc = read_report(m, &report, err);
        }
        moving_clear(m);
        if (rc < 0)
                return -1;
        if (ts_report_figures(report, m->from == 1, sample, err) < 0)
                return -1;
        return ts_json_set(sample, "report", TS_TAKE(report)) < 0 ? ts_err_set(err, TS_ENOMEM, "out of memory") : 0;
}

int ts_move_one(struct ts_bench *b, const char *name, const char *option, struct ts_json *sample, struct ts_err *err)
{
        struct ts_moving m;

        if (ts_moving_start(b, name, b->at, option, &m, err) < 0 || ts_moving_end(b, &m, sample, err) < 0)
                return -1;
        b->at = 1 - b->at;
        return 0;
}
