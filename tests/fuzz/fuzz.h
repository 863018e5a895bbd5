/* tests/fuzz/fuzz.h -- what every fuzz target shares.
 *
 * A target defines LLVMFuzzerTestOneInput(). With --enable-fuzzers libFuzzer drives it; otherwise
 * replay_main.c runs it over files, so that `make check` exercises every target with its seeds.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_ASSERT(what)                                                                  \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                           \
		}                                                                          \
	} while (0)

#endif
