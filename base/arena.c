/* base/arena.c -- blocks in a list, allocation by moving a mark. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK 2048 /* first block; later ones double up to ARENA_BLOCK_MAX */
#define ARENA_BLOCK_MAX (256 * 1024)

struct arena_block {
	struct arena_block *next;
	size_t used, room;
	_Alignas(max_align_t) char bytes[];
};

void
arena_init(struct arena *a, size_t cap)
{
	*a = (struct arena){ .cap = cap };
}

static void
arena_free_from(struct arena *a, struct arena_block *b)
{
	while (b != NULL) {
		struct arena_block *next = b->next;

		a->used -= sizeof *b + b->room;
		free(b);
		b = next;
	}
}

void
arena_done(struct arena *a)
{
	arena_free_from(a, a->blocks);
	*a = (struct arena){ .cap = a->cap };
}

void
arena_reset(struct arena *a)
{
	struct arena_block *b = a->blocks;

	a->full = false;
	if (b == NULL)
		return;
	if (b->room > ARENA_BLOCK) {
		arena_done(a);
		return;
	}
	arena_free_from(a, b->next);
	b->next = NULL;
	b->used = 0;
}

static struct arena_block *
arena_block_add(struct arena *a, size_t n)
{
	struct arena_block *b;
	size_t room = a->blocks == NULL ? ARENA_BLOCK : a->blocks->room * 2;

	if (room > ARENA_BLOCK_MAX)
		room = ARENA_BLOCK_MAX;
	if (room < n)
		room = n;
	if (room > a->cap || a->used > a->cap - room)
		room = n; /* the last bytes under the cap */
	if (room > a->cap || a->used > a->cap - room)
		return NULL;
	b = malloc(sizeof *b + room);
	if (b == NULL)
		return NULL;
	*b = (struct arena_block){ .next = a->blocks, .room = room };
	a->blocks = b;
	a->used += sizeof *b + room;
	return b;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	struct arena_block *b = a->blocks;
	const size_t align = _Alignof(max_align_t);
	void *p;

	if (a->full || n > SIZE_MAX - align) {
		a->full = true;
		return NULL;
	}
	n = n == 0 ? align : (n + align - 1) / align * align;
	if (b == NULL || n > b->room - b->used)
		b = arena_block_add(a, n);
	if (b == NULL) {
		a->full = true;
		return NULL;
	}
	p = b->bytes + b->used;
	b->used += n;
	return memset(p, 0, n);
}

struct str
arena_dup(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return STR_NONE;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return str_mem(p, s.n);
}

struct str
arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || (p = arena_alloc(a, (size_t)n + 1)) == NULL)
		return STR_NONE;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return str_mem(p, (size_t)n);
}
