/* Probes: what a specification means, and trying until it answers. How a try is made: probe_net.c, probe_exec.c; the client's view of a whole move: prober.c. */
#include "engine/probe_priv.h"

#include "base/io.h"

#include <string.h>

#define SPEC_MAX 4096
#define ARGS_MAX 64
#define TRY_MS 1000
#define PAUSE_MS 20
#define HOST_MARK "{host}"

static const struct {
        const char *name, *prefix;
} kinds[] = {
        [TS_PROBE_TCP] = { "tcp", "tcp://" },
        [TS_PROBE_HTTP] = { "http", "http://" },
        [TS_PROBE_EXEC] = { "exec", "exec:" },
};

const char *ts_probe_kind_str(enum ts_probe_kind k)
{
        return (size_t)k < TS_ARRAY_LEN(kinds) ? kinds[k].name : "unknown";
}

bool ts_try_over(const struct ts_try *t)
{
        return ts_deadline_passed(t->deadline) || (t->stop && atomic_load(t->stop));
}

int ts_try_failed(const struct ts_try *t, const char *what, struct ts_err *err)
{
        if (t->stop && atomic_load(t->stop))
                return ts_err_set(err, TS_ECANCELED, "stopped while %s", what);
        return ts_err_set(err, TS_ETIMEOUT, "timed out while %s", what);
}

char *ts_probe_expand(const char *text, const char *host)
{
        ts_auto_str s = TS_STR_INIT;

        for (const char *p = text;;) {
                const char *mark = strstr(p, HOST_MARK);

                if (!mark)
                        return ts_str_adds(&s, p, NULL) < 0 ? NULL : ts_str_take(&s);
                if (ts_str_add(&s, p, (size_t)(mark - p), NULL) < 0 || ts_str_adds(&s, host, NULL) < 0)
                        return NULL;
                p = mark + strlen(HOST_MARK);
        }
}

/* ---- specifications ---- */

/* HOST is a name, an IPv4 address, [an IPv6 address] or {host}. */
static int parse_host(const char *text, size_t len, char **ret, struct ts_err *err)
{
        bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
        const char *from = bracketed ? text + 1 : text;
        size_t n = bracketed ? len - 2 : len;
        char *host;

        if (!(n == strlen(HOST_MARK) && strncmp(from, HOST_MARK, n) == 0)) {
                if (n == 0 || n > 255 || strspn(from, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%") < n ||
                    (!bracketed && memchr(from, ':', n)))
                        return ts_err_set(err, TS_EUSAGE, "'%.*s' is not a host", (int)(len < 255 ? len : 255), text);
        }
        host = strndup(from, n);
        if (!host)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        *ret = host;
        return 0;
}

static int parse_port(const char *text, size_t len, char **ret, struct ts_err *err)
{
        char digits[8] = "";
        unsigned long long n;

        if (len < sizeof(digits))
                memcpy(digits, text, len);
        if (ts_parse_u64(digits, 1, 65535, &n, NULL) < 0)
                return ts_err_set(err, TS_EUSAGE, "'%.*s' is not a port", (int)(len < 20 ? len : 20), text);
        *ret = ts_fmt("%llu", n);
        return *ret ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

/* HOST[:PORT] of len bytes. */
static int parse_authority(const char *text, size_t len, const char *default_port, struct ts_probe *p, struct ts_err *err)
{
        const char *colon = memrchr(text, ':', len), *bracket = memrchr(text, ']', len);

        if (colon && bracket && colon < bracket)
                colon = NULL; /* of an IPv6 address */
        if (parse_host(text, colon ? (size_t)(colon - text) : len, &p->host, err) < 0)
                return -1;
        if (colon)
                return parse_port(colon + 1, len - (size_t)(colon - text) - 1, &p->port, err);
        if (!default_port)
                return ts_err_set(err, TS_EUSAGE, "'%s' lacks a port", text);
        p->port = ts_strdup0(default_port);
        return p->port ? 0 : ts_err_set(err, TS_ENOMEM, "out of memory");
}

static int parse_tcp(const char *rest, struct ts_probe *p, struct ts_err *err)
{
        return parse_authority(rest, strlen(rest), NULL, p, err);
}

static int parse_http(const char *rest, struct ts_probe *p, struct ts_err *err)
{
        size_t len = strcspn(rest, "/");

        if (strpbrk(rest, " \t#"))
                return ts_err_set(err, TS_EUSAGE, "'%s' has blanks or a fragment", rest);
        p->path = ts_strdup0(rest[len] ? rest + len : "/");
        if (!p->path)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        return parse_authority(rest, len, "80", p, err);
}

static int parse_exec(const char *rest, struct ts_probe *p, struct ts_err *err)
{
        for (const char *s = rest + strspn(rest, " "); *s; s += strspn(s, " ")) {
                size_t len = strcspn(s, " ");

                if (p->argv.n >= ARGS_MAX)
                        return ts_err_set(err, TS_EUSAGE, "more than %d words", ARGS_MAX);
                if (ts_list_addf(&p->argv, err, "%.*s", (int)len, s) < 0)
                        return -1;
                s += len;
        }
        return p->argv.n ? 0 : ts_err_set(err, TS_EUSAGE, "no command is named");
}

static int parse(const char *spec, struct ts_probe *p, struct ts_err *err)
{
        static int (*const parsers[])(const char *rest, struct ts_probe *p, struct ts_err *err) = {
                [TS_PROBE_TCP] = parse_tcp, [TS_PROBE_HTTP] = parse_http, [TS_PROBE_EXEC] = parse_exec
        };

        if (strlen(spec) > SPEC_MAX)
                return ts_err_set(err, TS_EUSAGE, "it is longer than %d bytes", SPEC_MAX);
        for (const char *c = spec; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        return ts_err_set(err, TS_EUSAGE, "it has control characters");
        for (size_t i = 0; i < TS_ARRAY_LEN(kinds); i++)
                if (ts_starts(spec, kinds[i].prefix)) {
                        p->kind = (enum ts_probe_kind)i;
                        p->uses_host = strstr(spec, HOST_MARK) != NULL;
                        return parsers[i](spec + strlen(kinds[i].prefix), p, err);
                }
        ts_err_set(err, TS_EUSAGE, "it is none of tcp://HOST:PORT, http://HOST[:PORT]/path and exec:COMMAND");
        return ts_starts(spec, "https://") ? ts_err_hint(err, "for TLS: exec:curl -fsS %.100s", spec) : -1;
}

int ts_probe_parse(const char *spec, struct ts_probe **ret, struct ts_err *err)
{
        ts_auto(ts_probe) struct ts_probe *p = calloc(1, sizeof(*p));

        if (!p)
                return ts_err_set(err, TS_ENOMEM, "out of memory");
        if (parse(spec, p, err) < 0)
                return ts_err_prefix(err, "probe '%.200s'", spec);
        *ret = TS_TAKE(p);
        return 0;
}

int ts_probe_parse_command(const char *spec, struct ts_probe **ret, struct ts_err *err)
{
        if (!ts_starts(spec, kinds[TS_PROBE_EXEC].prefix))
                return ts_err_set(err, TS_EUSAGE, "'%.200s' is not exec:COMMAND", spec);
        return ts_probe_parse(spec, ret, err);
}

bool ts_probe_is_tame(const struct ts_probe *p, const char *host)
{
        return p->kind != TS_PROBE_EXEC && (ts_streq0(p->host, HOST_MARK) || (host && ts_streq0(p->host, host)));
}

bool ts_probe_asks(const struct ts_probe *p, const char *address)
{
        return p->kind != TS_PROBE_EXEC && address && ts_streq0(p->host, address);
}

bool ts_probe_asks_side(const struct ts_probe *p)
{
        return ts_probe_asks(p, HOST_MARK);
}

void ts_probe_free(struct ts_probe *p)
{
        if (!p)
                return;
        free(p->host);
        free(p->port);
        free(p->path);
        ts_list_clear(&p->argv);
        free(p);
}

/* ---- trying ----
 * TS_ENOTFOUND of a try: there was nothing to ask with (a program, an address). That may be so for a moment only, and is told apart from "no" in the end. */

int ts_probe_try(const struct ts_probe *p, const char *host, const struct ts_try *t, struct ts_err *err)
{
        if (p->uses_host && (!host || !*host))
                return ts_err_set(err, TS_EUSAGE, "the probe names {host}, but the address of that side is not known");
        return p->kind == TS_PROBE_EXEC ? ts_probe_exec(p, host, t, err) : ts_probe_net(p, host, t, err);
}

int ts_probe_once(const struct ts_probe *p, const char *host, ts_deadline deadline, struct ts_err *err)
{
        const struct ts_try t = { .deadline = deadline };

        return ts_probe_try(p, host, &t, err);
}

static ts_deadline earlier(ts_deadline a, ts_deadline b)
{
        return a != 0 && a < b ? a : b;
}

int ts_probe_until(const struct ts_probe *p, const char *host, ts_deadline deadline, struct ts_err *err)
{
        ts_auto_err last = TS_ERR_INIT; /* what was really said: the last try may be cut short, and says only that */

        for (;;) {
                ts_deadline whole = ts_deadline_in_ms(TRY_MS), until = earlier(deadline, whole);
                ts_auto_err why = TS_ERR_INIT;

                if (ts_stop_signal)
                        return ts_err_set(err, TS_ECANCELED, "stopped by signal %d", (int)ts_stop_signal);
                if (ts_probe_once(p, host, until, &why) == 0)
                        return 0;
                if (why.code == TS_EUSAGE || why.code == TS_ENOMEM) {
                        ts_err_set(err, why.code, "%s", ts_err_message(&why));
                        return -1;
                }
                if (!ts_err_is_set(&last) || until == whole || why.code != TS_ETIMEOUT)
                        ts_err_move(&last, &why);
                if (ts_deadline_passed(deadline) && last.code == TS_ENOTFOUND)
                        return ts_err_set(err, TS_EUSAGE, "it could not be run: %s",
                                          ts_err_message(&last));
                if (ts_deadline_passed(deadline))
                        return ts_err_set(err, TS_ETIMEOUT, "no answer in time: %s",
                                          ts_err_message(&last));
                ts_sleep_ms(PAUSE_MS);
        }
}
