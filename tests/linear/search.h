/* tests/linear/search.h -- is there an order of the operations on one key, each at a moment between
 * its invoke and its return, in which every answer is right? (Linearizability: Herlihy and Wing
 * 1990.)
 *
 * The search is that of Wing and Gong (1993) with Lowe's memory of what was tried (2017): extend an
 * order by any operation that nobody waits behind, step back where none fits, and never try the
 * same set of operations in the same state of the key twice. Keys are looked at one by one, which
 * is enough: linearizability is local.
 *
 * What keeps it short:
 * - An operation of unknown outcome may stand anywhere after its invoke, or nowhere. Those that
 *   are alike in all but their invoke are taken in turn; and of two searches that differ in these
 *   only, the one that has spent less is enough.
 * - One that only looks (a get, a "no") and fits is taken at once, without alternatives: whatever
 *   order there is with it later, there is one with it here too.
 * - All values that were written once and never read are one value.
 * - A value that is written by one operation only does not come back: while somebody has still to
 *   read it, it is not overwritten. Nor is it written where the index is past what its readers saw.
 */
#ifndef TESTS_LINEAR_SEARCH_H
#define TESTS_LINEAR_SEARCH_H

#include "tests/linear/key_model.h"

#define SEARCH_STEPS_MAX 20000000               /* operations tried, of one key */
#define SEARCH_PLAIN_MAX 2000000                /* the same, for the report of a violation */
#define SEARCH_MEMORY_MAX (1024 * 1024 * 1024u) /* bytes of what was tried */

enum search_verdict {
	SEARCH_LINEAR,
	SEARCH_VIOLATION,
	SEARCH_UNDECIDED, /* a limit was reached */
};

struct search_result {
	enum search_verdict verdict;
	uint64_t steps;
	/* The order found, or one of the longest that explains its answers: places among the given
	 * operations. Owned. */
	size_t *order;
	size_t order_n;
	struct key_state state; /* after it */
};

/* ops[] and places[] (the session's among the key's; key_model.h) are borrowed for the call. */
struct search_result search_key(const struct op *const *ops, const unsigned *places, size_t count);
void search_result_done(struct search_result *);

#endif
