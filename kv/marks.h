/* kv/marks.h -- what has changed, for threads that may not read the catalog.
 *
 * Whoever keeps something made of the catalog notes the mark of what it was made of, before it is
 * made, and compares later: another mark, and it is stale. Marks are few and shared by names with
 * equal hashes, which costs a needless look and is never wrong. The catalog moves them after each
 * change, before anybody is told that the change was made.
 */
#ifndef KV_MARKS_H
#define KV_MARKS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/str.h"

/* 64 KiB, of which only what is used becomes memory. Of 1,000 names in use a change ends the
 * answers of 1.12: its own name's, and those of the 0.12 that share its mark. */
#define MARKS 8192

struct marks {
	_Atomic uint64_t all; /* everything is stale when it moves */
	_Atomic uint64_t of[MARKS];
};

enum marks_kind { MARKS_SERVICE, MARKS_NODE };

/* The mark of a service or node by name; letters' case does not matter. */
unsigned marks_slot(enum marks_kind, struct str name);

static inline void
marks_move(_Atomic uint64_t *mark)
{
	(void)atomic_fetch_add_explicit(mark, 1, memory_order_release);
}

static inline uint64_t
marks_read(const _Atomic uint64_t *mark)
{
	return atomic_load_explicit(mark, memory_order_acquire);
}

#endif
