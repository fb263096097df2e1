/* Holds kernel objects, each in a process of its own: holds NAME... It says "NAME ready", or
 * "NAME cannot: WHY". When a file /askK is there (K is 1, 2, ...), each says "NAME kept K" or "NAME lost K: WHY". */
#include "holds.h"

#include <sys/prctl.h>

static const struct object *const all[] = { pipe_objects,   inet_objects,  file_objects,
                                            memory_objects, event_objects, process_objects };
static char why[300];

int failed(const char *what)
{
        (void)snprintf(why, sizeof(why), "%s: %s", what, strerrorname_np(errno));
        return -1;
}

int differs(const char *what)
{
        (void)snprintf(why, sizeof(why), "not %s", what);
        return -1;
}

int put(int fd, const char *text)
{
        TRY(write(fd, text, strlen(text)));
        return 0;
}

int through(int from, int to, const char *text)
{
        char found[256] = "";
        struct pollfd p = { .fd = from, .events = POLLIN };

        if (poll(&p, 1, 0) != 1 || !(p.revents & POLLIN))
                return differs("there to be read");
        TRY(read(from, found, sizeof(found) - 1));
        if (strcmp(found, text) != 0)
                return differs("what was written");
        return put(to, text);
}

int nap(int ms)
{
        (void)poll(NULL, 0, ms);
        return 0;
}

pid_t sleeper(void)
{
        pid_t child = fork();

        if (child == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0UL, 0UL, 0UL);
                for (;;)
                        (void)pause();
        }
        return child;
}

/* One line at once, so that those of several processes do not mix. */
static void say(const char *name, const char *what, int round, const char *because)
{
        char line[500], number[16] = "";
        int n;

        if (round)
                (void)snprintf(number, sizeof(number), " %d", round);
        n = snprintf(line, sizeof(line), "%s %s%s%s%s\n", name, what, number, because ? ": " : "",
                     because ? because : "");
        for (char *c = line; c < line + strlen(name); c++)
                if (*c == '_')
                        *c = '-';
        (void)write(STDOUT_FILENO, line, (size_t)n);
}

static void hold(const struct object *o, int gate)
{
        if (o->make() < 0) {
                say(o->name, "cannot", 0, why);
                _exit(0);
        }
        say(o->name, "ready", 0, NULL);
        for (;;) {
                char round;
                ssize_t n = read(gate, &round, 1);

                if (n == 1 && o->check() == 0)
                        say(o->name, "kept", round, NULL);
                else if (n == 1)
                        say(o->name, "lost", round, why);
                else if (n == 0 || errno != EINTR)
                        _exit(0);
        }
}

struct child {
        const struct object *o;
        pid_t pid;
        int gate;
};

static int begin(struct child *c, const struct object *o)
{
        int gate[2];

        if (pipe2(gate, O_CLOEXEC) < 0)
                return -1;
        *c = (struct child){ o, fork(), gate[1] };
        if (c->pid == 0) {
                for (int fd = gate[1]; fd > STDERR_FILENO; fd--)
                        if (fd != gate[0])
                                (void)close(fd);
                hold(o, gate[0]);
        }
        (void)close(gate[0]);
        return c->pid < 0 ? -1 : 0;
}

static const struct object *find(const char *name)
{
        char known[64];

        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
                for (const struct object *o = all[i]; o->name; o++) {
                        (void)snprintf(known, sizeof(known), "%s", o->name);
                        for (char *c = known; *c; c++)
                                if (*c == '_')
                                        *c = '-';
                        if (strcmp(known, name) == 0)
                                return o;
                }
        return NULL;
}

static void watch(struct child *children, int n)
{
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                for (int i = 0; i < n; i++)
                        if (children[i].pid == pid && status != 0)
                                say(children[i].o->name, "died", WTERMSIG(status), NULL);
}

static int list(void)
{
        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
                for (const struct object *o = all[i]; o->name; o++)
                        say(o->name, "is known", 0, NULL);
        return 0;
}

int main(int argc, char **argv)
{
        static struct child children[400];
        int n = 0;

        if (argc == 2 && strcmp(argv[1], "--list") == 0)
                return list();
        (void)signal(SIGPIPE, SIG_IGN);
        for (int i = 1; i < argc && n < 400; i++) {
                const struct object *o = find(argv[i]);

                if (!o || begin(&children[n++], o) < 0) {
                        say(argv[i], "unknown", 0, NULL);
                        return 1;
                }
        }
        for (char round = 1; n; (void)nap(50)) {
                char ask[16];

                watch(children, n);
                (void)snprintf(ask, sizeof(ask), "/ask%d", round);
                if (access(ask, F_OK) < 0)
                        continue;
                for (int i = 0; i < n; i++)
                        (void)write(children[i].gate, &round, 1);
                round++;
        }
        return 0;
}
