/* base/mem.c -- allocation that ends the process rather than returning NULL. */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>

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

void *
mem_zalloc(size_t n)
{
	return mem_checked(calloc(1, n), n);
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
