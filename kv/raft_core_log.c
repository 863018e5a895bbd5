/* kv/raft_core_log.c -- the newest entries of the log, in memory.
 *
 * They are sent to followers and applied from here; libraft keeps only their terms. A ring that
 * grows by doubling and never shrinks below what a snapshot leaves.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kv/raft_core_priv.h"

#define CAP_MIN 64

void
core_log_init(struct core_log *l, uint64_t first)
{
	*l = (struct core_log){ .first = first, .last = first - 1 };
}

void
core_log_done(struct core_log *l)
{
	core_log_drop(l, l->last);
	free(l->ring);
	*l = (struct core_log){ .first = 1 };
}

static struct core_entry *
slot(const struct core_log *l, uint64_t index)
{
	return &l->ring[index & (l->cap - 1)];
}

static void
resize(struct core_log *l, size_t cap)
{
	struct core_log old = *l;

	l->ring = mem_alloc(cap * sizeof *l->ring);
	l->cap = cap;
	for (uint64_t i = old.first; i <= old.last; i++)
		*slot(l, i) = *slot(&old, i);
	free(old.ring);
}

void
core_log_add(struct core_log *l, struct core_entry e)
{
	if (l->last + 1 - l->first >= l->cap)
		resize(l, l->cap == 0 ? CAP_MIN : l->cap * 2);
	*slot(l, ++l->last) = e;
	l->bytes += e.size;
}

const struct core_entry *
core_log_at(const struct core_log *l, uint64_t index)
{
	return index < l->first || index > l->last ? NULL : slot(l, index);
}

struct raft_log_entry
core_log_entry(const struct core_log *l, uint64_t index)
{
	const struct core_entry *e = core_log_at(l, index);

	assert(e != NULL);
	return (struct raft_log_entry){ index, e->term, e->type, str_mem(e->bytes, e->size) };
}

struct core_entry
core_log_pop(struct core_log *l)
{
	struct core_entry e;

	assert(l->last >= l->first);
	e = *slot(l, l->last--);
	l->bytes -= e.size;
	return e;
}

void
core_log_drop(struct core_log *l, uint64_t upto)
{
	size_t cap = l->cap, count;

	for (; l->first <= l->last && l->first <= upto; l->first++) {
		struct core_entry *e = slot(l, l->first);

		l->bytes -= e->size;
		free(e->bytes);
	}
	count = l->last + 1 - l->first;
	while (cap > CAP_MIN && count < cap / 4)
		cap /= 2;
	if (cap != l->cap)
		resize(l, cap);
}

unsigned
core_log_trailing(const struct core_log *l, uint64_t index, uint64_t max)
{
	unsigned n = 0;
	size_t bytes = 0;

	while (n < max && n < index) {
		const struct core_entry *e = core_log_at(l, index - n);

		if (e == NULL || bytes + e->size > CORE_TRAIL_BYTES)
			break;
		bytes += e->size;
		n++;
	}
	return n;
}
