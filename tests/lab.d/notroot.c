/* Preloaded into servers that refuse to run as root: they are told that they do not. */
#include <unistd.h>

uid_t geteuid(void);
uid_t getuid(void);

uid_t geteuid(void)
{
        return 1000;
}

uid_t getuid(void)
{
        return 1000;
}
