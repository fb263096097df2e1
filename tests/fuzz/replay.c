/* Runs a fuzz target without libFuzzer: every file of its corpus, then mutations of them from a fixed seed, so that a failure comes back.
 * FUZZ_RUNS (default 2000) mutations, FUZZ_SEED (default 1). The input under way is kept in fuzz-last-input when FUZZ_KEEP is set. */
#include "tests/fuzz/fuzz.h"

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define INPUT_MAX ((size_t)1 << 20)
#define INPUTS_MAX 4096

static uint64_t random_state;

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_next(void)
{
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        return random_state * 2685821657736338717ULL;
}

static size_t random_below(size_t n)
{
        return n ? (size_t)(random_next() % n) : 0;
}

/* Bytes that parsers care about. */
static uint8_t random_byte(void)
{
        static const uint8_t special[] = "\0\n\r\t \"\\{}[]:,/.-+0123456789\x1b\x7f\x80\xff\xc2";

        return random_below(2) ? special[random_below(sizeof(special) - 1)] : (uint8_t)random_next();
}

static void mutate_once(struct ts_str *s)
{
        size_t at = random_below(s->len + 1), n = random_below(s->len - at + 1);
        uint8_t more[16];

        switch (random_below(5)) {
        case 0: /* other byte */
                if (at < s->len)
                        s->buf[at] = (char)random_byte();
                break;
        case 1: /* other bit */
                if (at < s->len)
                        s->buf[at] = (char)((uint8_t)s->buf[at] ^ (1U << random_below(8)));
                break;
        case 2: /* cut */
                memmove(s->buf + at, s->buf + at + n, s->len - at - n);
                s->len -= n;
                break;
        case 3: /* end early */
                s->len = at;
                break;
        default: /* more */
                for (size_t i = 0; i < sizeof(more); i++)
                        more[i] = random_byte();
                (void)ts_str_add(s, more, random_below(sizeof(more)) + 1, NULL);
                break;
        }
        s->buf[s->len] = '\0';
}

/* An exact copy on the heap, so that the sanitizers and valgrind see a read past the end. */
static void run_one(const char *data, size_t len)
{
        uint8_t *exact = malloc(len ? len : 1);

        if (!exact)
                abort();
        if (len)
                memcpy(exact, data, len);
        if (getenv("FUZZ_KEEP"))
                (void)ts_file_write_atomic("fuzz-last-input", data, len, 0644, NULL);
        (void)LLVMFuzzerTestOneInput(exact, len);
        free(exact);
}

static int load(const char *dir, struct ts_str *inputs, size_t *ret_n)
{
        struct dirent **entries = NULL;
        int n = scandir(dir, &entries, NULL, alphasort); /* sorted: the mutations depend on the order */
        size_t loaded = 0;

        for (int i = 0; i < n; i++) {
                ts_auto_free char *path = ts_fmt("%s/%s", dir, entries[i]->d_name);

                if (path && entries[i]->d_name[0] != '.' && loaded < INPUTS_MAX &&
                    ts_file_read(path, INPUT_MAX, &inputs[loaded], NULL) == 0) {
                        inputs[loaded].max = INPUT_MAX;
                        loaded++;
                }
                free(entries[i]);
        }
        free(entries);
        *ret_n = loaded;
        return n < 0 ? -1 : 0;
}

static unsigned long long number(const char *name, unsigned long long fallback)
{
        unsigned long long n = fallback;

        (void)ts_parse_u64(getenv(name), 0, 1ULL << 40, &n, NULL);
        return n;
}

int main(int argc, char **argv)
{
        static struct ts_str inputs[INPUTS_MAX];
        unsigned long long runs = number("FUZZ_RUNS", 2000);
        size_t n = 0;

        random_state = number("FUZZ_SEED", 1) | 1;
        if (argc > 1 && load(argv[1], inputs, &n) < 0)
                (void)printf("no corpus in %s, beginning with nothing\n", argv[1]);
        for (size_t i = 0; i < n; i++)
                run_one(inputs[i].buf, inputs[i].len);
        for (unsigned long long i = 0; i < runs; i++) {
                ts_auto_str s = TS_STR_INIT_MAX(INPUT_MAX);
                size_t pick = random_below(n);

                (void)ts_str_add(&s, n ? inputs[pick].buf : "", n ? inputs[pick].len : 0, NULL);
                for (size_t changes = random_below(8) + 1; changes > 0; changes--)
                        mutate_once(&s);
                run_one(s.buf, s.len);
        }
        for (size_t i = 0; i < n; i++)
                ts_str_clear(&inputs[i]);
        (void)printf("fuzz: inputs %zu mutations %llu\n", n, runs);
        return 0;
}
