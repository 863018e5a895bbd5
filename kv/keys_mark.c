/* kv/keys_mark.c -- tombstones and lock delays: small notes on keys, by key and by index.
 *
 * The highest tombstone below a prefix is looked for from two sides at once, newest first and
 * in the order of keys: the first to finish has the answer. A busy prefix has a new one, a quiet
 * prefix has few, so either is short.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "kv/keys_priv.h"

static struct str
mark_key(const struct mark *m)
{
	return str_mem(m->key, m->key_n);
}

static int
mark_cmp(const struct mark *a, const struct mark *b)
{
	return str_cmp(mark_key(a), mark_key(b));
}

RB_GENERATE_INTERNAL(mark_tree, mark, link, mark_cmp, static __attribute__((unused)))

void
marks_init(struct marks *m)
{
	RB_INIT(&m->tree);
	TAILQ_INIT(&m->queue);
	m->count = 0;
}

void
marks_done(struct marks *m)
{
	struct mark *one, *next;

	TAILQ_FOREACH_SAFE(one, &m->queue, queue_link, next)
		free(one);
	marks_init(m);
}

struct mark *
marks_first(const struct marks *m, struct str from)
{
	struct mark *one = RB_ROOT(&m->tree), *best = NULL;

	while (one != NULL) {
		int c = str_cmp(from, mark_key(one));

		if (c <= 0)
			best = one;
		one = c <= 0 ? RB_LEFT(one, link) : RB_RIGHT(one, link);
	}
	return best;
}

struct mark *
marks_next(struct mark *one)
{
	return RB_NEXT(mark_tree, NULL, one);
}

struct mark *
mark_find(const struct marks *m, struct str key)
{
	struct mark *one = marks_first(m, key);

	return one != NULL && str_eq(mark_key(one), key) ? one : NULL;
}

struct mark *
mark_set(struct marks *m, struct str key, uint64_t index)
{
	struct mark *one = mark_find(m, key);

	if (one == NULL) {
		one = mem_zalloc(sizeof *one + key.n);
		one->key_n = (uint32_t)key.n;
		if (key.n > 0)
			memcpy(one->key, key.p, key.n);
		RB_INSERT(mark_tree, &m->tree, one);
		m->count++;
	} else {
		TAILQ_REMOVE(&m->queue, one, queue_link);
	}
	one->index = index;
	TAILQ_INSERT_TAIL(&m->queue, one, queue_link);
	return one;
}

void
mark_drop(struct marks *m, struct mark *one)
{
	if (one == NULL)
		return;
	RB_REMOVE(mark_tree, &m->tree, one);
	TAILQ_REMOVE(&m->queue, one, queue_link);
	m->count--;
	free(one);
}

uint64_t
marks_reap(struct marks *m, uint64_t index)
{
	struct mark *one;
	uint64_t highest = 0;

	while ((one = TAILQ_FIRST(&m->queue)) != NULL && one->index <= index) {
		highest = one->index;
		mark_drop(m, one);
	}
	return highest;
}

static int
index_cmp(const void *a, const void *b)
{
	const struct mark *x = *(struct mark *const *)a, *y = *(struct mark *const *)b;

	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return mark_cmp(x, y);
}

void
marks_sort(struct marks *m)
{
	struct mark **all, *one;
	size_t n = 0;

	if (m->count == 0)
		return;
	all = mem_alloc(m->count * sizeof *all);
	TAILQ_FOREACH(one, &m->queue, queue_link)
		all[n++] = one;
	qsort(all, n, sizeof *all, index_cmp);
	TAILQ_INIT(&m->queue);
	for (size_t i = 0; i < n; i++)
		TAILQ_INSERT_TAIL(&m->queue, all[i], queue_link);
	free(all);
}

uint64_t
marks_most(const struct marks *m, struct str prefix, uint64_t most)
{
	struct mark *newest = TAILQ_LAST(&m->queue, mark_queue), *below = marks_first(m, prefix);
	uint64_t seen = most; /* from the side that goes by key */

	for (;;) {
		if (newest == NULL || newest->index <= most)
			return most;
		if (str_starts(mark_key(newest), prefix))
			return newest->index;
		newest = TAILQ_PREV(newest, mark_queue, queue_link);
		if (below == NULL || !str_starts(mark_key(below), prefix))
			return seen;
		if (below->index > seen)
			seen = below->index;
		below = marks_next(below);
	}
}
