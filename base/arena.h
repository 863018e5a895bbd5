/* base/arena.h -- memory that dies together: one request, one parsed message.
 *
 * Blocks are handed out in a row and freed all at once. A cap bounds what one arena may hold;
 * past it (or past memory) allocation returns NULL, sets `full` and keeps failing.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena_block;

struct arena {
	struct arena_block *blocks; /* owned, newest first */
	size_t used, cap;           /* bytes held from the heap; the most there may be */
	bool full;
};

void arena_init(struct arena *, size_t cap); /* holds no memory yet */
void arena_done(struct arena *);             /* frees all; fit for arena_init() again */
void arena_reset(struct arena *);            /* frees all but keeps one small block for reuse */

/* n zero bytes, aligned for any type; NULL when full. */
void *arena_alloc(struct arena *, size_t n);

/* A terminated copy; STR_NONE when full. */
struct str arena_dup(struct arena *, struct str);

/* printf into the arena, terminated; STR_NONE when full. */
struct str arena_fmt(struct arena *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* count zeroed elements of a type, or NULL (also when the product overflows). */
#define arena_array(arena, type, count) \
	((count) > SIZE_MAX / sizeof(type) ? NULL : (type *)arena_alloc(arena, (count) * sizeof(type)))

#endif
