/* base/mem.c -- allocation that ends the process rather than returning NULL. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ZEROED_HERE 1024 /* bytes */

static void *
mem_checked(void *p, size_t n)
{
	if (p == NULL && n > 0) {
		fprintf(stderr, "muster: out of memory (%zu bytes wanted)\n", n);
		abort();
	}
	return p;
}

void *
mem_alloc(size_t n)
{
	return mem_checked(malloc(n), n);
}

/* calloc() passes by the lists of freed blocks that malloc() keeps for each thread; large ones come
 * from it as pages that are zero already. */
void *
mem_zalloc(size_t n)
{
	if (n == 0 || n > ZEROED_HERE)
		return mem_checked(calloc(1, n), n);
	return memset(mem_alloc(n), 0, n);
}

void *
mem_realloc(void *p, size_t n)
{
	return mem_checked(realloc(p, n), n);
}

void *
mem_grow(void *array, size_t count, size_t *cap, size_t element_size)
{
	if (count < *cap)
		return array;
	*cap = *cap == 0 ? 4 : *cap * 2;
	if (*cap > SIZE_MAX / element_size)
		mem_checked(NULL, SIZE_MAX);
	return mem_realloc(array, *cap * element_size);
}
