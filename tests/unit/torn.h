/* tests/unit/torn.h -- how much of a write a full disk takes, for fakes of one. */
#ifndef TESTS_UNIT_TORN_H
#define TESTS_UNIT_TORN_H

#include <stddef.h>

/* Half of what the write brings, but for the zeros at its end, which change nothing. */
static inline size_t
torn_half(const char *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n / 2;
}

#endif
