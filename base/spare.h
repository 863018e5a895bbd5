/* base/spare.h -- blocks of one size, kept for whoever needs the next one.
 *
 * For what comes and goes with every request: taking the block that was given back last costs a
 * few instructions, and it is still in the cache. At most `max` blocks are kept. One thread only.
 * AddressSanitizer is to see who uses what was given back: for it nothing is kept.
 */
#ifndef BASE_SPARE_H
#define BASE_SPARE_H

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#if defined __SANITIZE_ADDRESS__
#define SPARE_KEEPS 0
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define SPARE_KEEPS 0
#endif
#endif
#ifndef SPARE_KEEPS
#define SPARE_KEEPS 1
#endif

struct spare {
	void *first; /* a free block begins with the address of the next one */
	size_t count, max, size;
};

static inline void
spare_init(struct spare *s, size_t size, size_t max) /* bytes of a block; how many are kept */
{
	*s = (struct spare){ .size = size, .max = SPARE_KEEPS ? max : 0 };
}

/* A block, not cleared: to be given back, or freed by free(). Never NULL. */
static inline void *
spare_take(struct spare *s)
{
	void *p = s->first;

	if (p == NULL)
		return mem_alloc(s->size);
	memcpy(&s->first, p, sizeof s->first);
	s->count--;
	return p;
}

/* Takes a block of that size from malloc(). NULL is fine. */
static inline void
spare_give(struct spare *s, void *p)
{
	if (p == NULL || s->count >= s->max) {
		free(p);
		return;
	}
	memcpy(p, &s->first, sizeof s->first);
	s->first = p;
	s->count++;
}

static inline void
spare_done(struct spare *s) /* frees what is kept */
{
	for (s->max = 0; s->first != NULL;)
		free(spare_take(s));
}

/* An empty buffer that has a block for room already (size <= cap); it may grow beyond it. */
static inline void
buf_init_spare(struct buf *b, size_t cap, struct spare *s)
{
	*b = (struct buf){ .p = spare_take(s), .room = s->size, .cap = cap };
}

/* As buf_done(); the block goes back, if it still is one of that size. */
static inline void
buf_done_spare(struct buf *b, struct spare *s)
{
	if (b->room != s->size) {
		buf_done(b);
		return;
	}
	spare_give(s, b->p);
	*b = (struct buf){ .cap = b->cap };
}

#endif
