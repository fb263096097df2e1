/* Memory that is mostly idle and knows what should be in it: $BALLAST_MIB of random pages, of which $BALLAST_RATE MiB a second are written anew, one after the other (only the first $BALLAST_HOT_MIB of them, if that is
 * set); everything is read again and again.
 * Prints a line a second, "N s, all right", or "BAD page N" and ends. On SIGUSR1 it looks at every page at once and says "checked N pages". */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096U
#define PER_MIB 256U
#define TICK_NS 10000000L

static uint64_t *pages;
static uint32_t *versions;
static uint64_t n_pages;
static volatile sig_atomic_t asked;

static uint64_t mix(uint64_t x)
{
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        return x ^ (x >> 31);
}

static uint64_t word(uint64_t page, uint32_t i)
{
        return mix((page << 32 ^ versions[page]) * 512 + i + 0x9e3779b97f4a7c15ULL);
}

static void write_page(uint64_t page)
{
        versions[page]++;
        for (uint32_t i = 0; i < PAGE / 8; i++)
                pages[page * (PAGE / 8) + i] = word(page, i);
}

static void check_page(uint64_t page)
{
        for (uint32_t i = 0; i < PAGE / 8; i++)
                if (pages[page * (PAGE / 8) + i] != word(page, i)) {
                        printf("BAD page %llu\n", (unsigned long long)page);
                        exit(1);
                }
}

static void ask(int s)
{
        (void)s;
        asked = 1;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
        const char *s = getenv(name);

        return s && *s ? strtoul(s, NULL, 10) : otherwise;
}

static double now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void)
{
        unsigned long rate = number("BALLAST_RATE", 16), tick = 0;
        uint64_t w = 0, c = 0, n_hot;
        double due;

        n_pages = (uint64_t)number("BALLAST_MIB", 64) * PER_MIB;
        n_hot = (uint64_t)number("BALLAST_HOT_MIB", 0) * PER_MIB;
        if (n_hot == 0 || n_hot > n_pages)
                n_hot = n_pages;
        pages = mmap(NULL, n_pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        versions = calloc(n_pages, sizeof(*versions));
        if (pages == MAP_FAILED || !versions || n_pages == 0)
                return 1;
        signal(SIGUSR1, ask);
        setvbuf(stdout, NULL, _IOLBF, 0);
        for (uint64_t i = 0; i < n_pages; i++)
                write_page(i);
        printf("ready\n");
        due = now();
        for (;;) {
                /* What is due in a tick of 10 ms; time in which it was frozen is not made up for. */
                unsigned long todo = rate * PER_MIB * (tick % 100 + 1) / 100 - rate * PER_MIB * (tick % 100) / 100;

                for (unsigned long i = 0; i < todo; i++, w = (w + 1) % n_hot)
                        write_page(w);
                for (unsigned long i = 0; i < todo; i++, c = (c + 1) % n_pages)
                        check_page(c);
                if (asked) {
                        asked = 0;
                        for (uint64_t i = 0; i < n_pages; i++)
                                check_page(i);
                        printf("checked %llu pages\n", (unsigned long long)n_pages);
                }
                if (++tick % 100 == 0)
                        printf("%lu s, all right\n", tick / 100);
                due = due + TICK_NS / 1e9 < now() ? now() : due + TICK_NS / 1e9;
                {
                        double left = due - now();
                        struct timespec nap = { 0, left > 0 ? (long)(left * 1e9) : 0 };

                        if (left > 0)
                                nanosleep(&nap, NULL);
                }
        }
}
