/* kv/marks.c -- which mark a name has. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "kv/marks.h"

#define PIECE 64

unsigned
marks_slot(enum marks_kind kind, struct str name)
{
	uint64_t hash = (uint64_t)kind;

	do {
		char folded[PIECE];
		size_t n = name.n < PIECE ? name.n : PIECE;

		for (size_t i = 0; i < n; i++)
			folded[i] = chr_lower(name.p[i]);
		hash = XXH3_64bits_withSeed(folded, n, hash);
		name = str_skip(name, n);
	} while (name.n > 0);
	return (unsigned)(hash % MARKS);
}
