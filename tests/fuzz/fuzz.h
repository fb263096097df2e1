/* What a fuzz target defines: tests/fuzz/fuzz_<name>.c, corpus in tests/fuzz/corpus/<name>/. Called by libFuzzer (preset fuzz) or by replay.c.
 * Must not keep state between calls, must not leak, and must abort() when what it checks does not hold. Returns 0. */
#ifndef TRANSHIP_TESTS_FUZZ_FUZZ_H
#define TRANSHIP_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
