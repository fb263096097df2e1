/* See gnuplot.h. Decides how gnuplot is started and what it may cost; what is drawn is decided by the charts. */
#include "bench/gnuplot.h"

#include "base/io.h"
#include "base/mem.h"
#include "transfer/spawn.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#define DEADLINE_MS 60000
#define PICTURE_MAX ((size_t)16 << 20)
#define SAID_MAX 400U
#define PIXELS_PER_INCH 96.0
#define NOT_FOUND 127 /* as ts_spawn() has it */

static const char *const formats[] = { [TS_CHART_SVG] = "svg", [TS_CHART_PNG] = "png", [TS_CHART_PDF] = "pdf" };

const char *ts_chart_format_str(enum ts_chart_format f)
{
        return formats[f];
}

int ts_chart_format_parse(const char *name, enum ts_chart_format *ret, struct ts_err *err)
{
        for (size_t i = 0; i < TS_ARRAY_LEN(formats); i++)
                if (strcmp(name, formats[i]) == 0) {
                        *ret = (enum ts_chart_format)i;
                        return 0;
                }
        return ts_err_set(err, TS_EUSAGE, "no format of charts is called '%s'", name);
}

static bool continues(char c)
{
        return ((unsigned char)c & 0xc0) == 0x80; /* within a character of UTF-8 */
}

/* gnuplot's own way to have a quote in quotes ('') ends the string where two of them meet, or where it begins with one: what follows would be commands. So no quote gets in at all. */
int ts_gnuplot_quote(struct ts_str *out, const char *text, size_t max_chars, struct ts_err *err)
{
        size_t chars = 0;

        if (ts_str_adds(out, "'", err) < 0)
                return -1;
        for (const char *p = text; *p; p++) {
                bool control = (unsigned char)*p < 0x20 || *p == 0x7f;

                chars += !continues(*p);
                if (max_chars && chars > max_chars)
                        return ts_str_adds(out, "…'", err);
                if (*p == '\'' ? ts_str_adds(out, "’", err) < 0 : ts_str_addf(out, err, "%c", control ? ' ' : *p) < 0)
                        return -1;
        }
        return ts_str_adds(out, "'", err);
}

/* The scripts give the sizes of fonts in pixels, as SVG has them; the others take them for points. */
static int add_terminal(struct ts_str *s, enum ts_chart_format f, unsigned width, unsigned height, struct ts_err *err)
{
        switch (f) {
        case TS_CHART_SVG:
                return ts_str_addf(s, err, "set terminal svg size %u,%u dynamic noenhanced font 'sans-serif,13' linewidth 1 background 'white'\n", width, height);
        case TS_CHART_PNG:
                return ts_str_addf(s, err, "set terminal pngcairo size %u,%u noenhanced font 'sans,13' fontscale 1.5 linewidth 2 pointscale 2 background 'white'\n",
                                   2 * width, 2 * height);
        case TS_CHART_PDF:
        default:
                return ts_str_addf(s, err, "set terminal pdfcairo size %.2fin,%.2fin noenhanced font 'sans,13' fontscale 0.75 linewidth 1.3 background 'white'\n",
                                   width / PIXELS_PER_INCH, height / PIXELS_PER_INCH);
        }
}

/* An unnamed file in memory that holds s, to be read from its begin: it never fills up, as a pipe would. */
static int memory_file(const char *name, const struct ts_str *s, struct ts_err *err)
{
        ts_auto_fd int fd = memfd_create(name, MFD_CLOEXEC);

        if (fd < 0)
                return ts_err_errno(err, errno, "cannot make a file in memory");
        if (s && (ts_write_all(fd, s->buf, s->len, /* deadline= */ 0, /* cancellable= */ false, err) < 0))
                return -1;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return ts_err_errno(err, errno, "cannot rewind a file in memory");
        return TS_TAKE_FD(fd);
}

/* What it printed on stderr, as the reason. */
static int failed(int status, int errs, struct ts_err *err)
{
        char said[SAID_MAX] = "";
        ssize_t n = pread(errs, said, sizeof(said) - 1, 0);
        ts_auto_free char *text = n > 0 ? ts_printable(said, (size_t)n, sizeof(said)) : NULL;

        if (status == NOT_FOUND) {
                ts_err_set(err, TS_ENOTFOUND, "charts are drawn by gnuplot, which is not there");
                return ts_err_hint(err, "install gnuplot-nox");
        }
        return ts_err_set(err, TS_ECOMMAND, "gnuplot ended with status %d: %s", status, text && *text ? text : "it said nothing");
}

static int run(int in, int errs, struct ts_str *ret, struct ts_err *err)
{
        static const char *const argv[] = { "gnuplot", "--default-settings", "-", NULL };
        ts_deadline deadline = ts_deadline_in_ms(DEADLINE_MS);
        int fds[2] = { -1, -1 }, status = 0;
        pid_t pid = 0;

        if (ts_pipe(fds, err) < 0)
                return -1;
        ts_auto_fd int out = fds[0], theirs = fds[1];
        if (ts_spawn(&(struct ts_spawn){ .argv = argv, .in = in, .out = theirs, .errs = errs }, &pid, err) < 0)
                return -1;
        (void)close(TS_TAKE_FD(theirs));
        if (ts_read_to_end(out, ret, deadline, err) < 0) {
                ts_kill_and_reap(pid);
                return ts_err_prefix(err, "gnuplot");
        }
        if (ts_reap(pid, deadline, &status, err) < 0)
                return ts_err_prefix(err, "gnuplot");
        return status == 0 ? 0 : failed(status, errs, err);
}

int ts_gnuplot_draw(const struct ts_str *script, enum ts_chart_format f, unsigned width, unsigned height, struct ts_str *ret, struct ts_err *err)
{
        ts_auto_str all = TS_STR_INIT, picture = TS_STR_INIT_MAX(PICTURE_MAX);
        ts_auto_fd int in = -1, errs = -1;

        if (ts_str_adds(&all, "set encoding utf8\n", err) < 0 || add_terminal(&all, f, width, height, err) < 0 ||
            ts_str_add(&all, ts_str_cstr(script), script->len, err) < 0)
                return -1;
        in = memory_file("gnuplot-script", &all, err);
        errs = in < 0 ? -1 : memory_file("gnuplot-errors", NULL, err);
        if (errs < 0 || run(in, errs, &picture, err) < 0)
                return -1;
        if (picture.len == 0)
                return ts_err_set(err, TS_ECOMMAND, "gnuplot drew nothing");
        ts_str_clear(ret);
        *ret = picture;
        picture = (struct ts_str)TS_STR_INIT;
        return 0;
}
