/* The agent as a program: copied to a host by tranship and started over SSH, it talks on its standard input and output and ends with them. */
#include "transfer/agent/serve.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
        ts_auto_err err = TS_ERR_INIT;
        struct rlimit files;

        if (argc == 2 && !strcmp(argv[1], "--version")) {
                (void)puts("tranship-agent " TS_VERSION);
                return 0;
        }
        if (argc != 1) {
                (void)fputs("tranship-agent: started by tranship, not by hand\n", stderr);
                return 2;
        }
        (void)signal(SIGPIPE, SIG_IGN);
        (void)umask(077);
        if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* both versions of each pages file are open */
                files.rlim_cur = files.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &files);
        }
        if (ts_agent_serve(STDIN_FILENO, STDOUT_FILENO, TS_VERSION, &err) == 0)
                return 0;
        (void)fprintf(stderr, "tranship-agent: %s\n", ts_err_message(&err));
        return 1;
}
