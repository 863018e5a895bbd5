/* kv/watch.c -- scopes in one ordered tree, waiters in a list per scope, ready ones in a queue.
 *
 * A waiter is linked into each scope it reads; a touch takes it off all of them and queues it
 * once, so waking costs O(scopes it reads). A scope that names nothing and has no waiter is
 * freed and its index raises the floor of its kind. Invariant: for every scope in the tree,
 * index >= what watch_index() ever said for its key.
 */
#include "kv/watch.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct watch_scope {
	RB_ENTRY(watch_scope) link;
	LIST_HEAD(, watch_link) waiters;
	uint64_t index;
	struct watch_key key; /* the name points behind the struct */
	bool lives;
};

RB_HEAD(watch_tree, watch_scope);

struct watches {
	struct watch_tree scopes;
	TAILQ_HEAD(, waiter) ready;
	uint64_t floors[WATCH_KINDS]; /* the highest index forgotten, per kind */
	uint64_t changes;             /* of any index */
	size_t scope_count, waiter_count;
};

static int
scope_cmp(const struct watch_scope *a, const struct watch_scope *b)
{
	if (a->key.kind != b->key.kind)
		return a->key.kind < b->key.kind ? -1 : 1;
	return str_cmp(a->key.name, b->key.name);
}

RB_GENERATE_INTERNAL(watch_tree, watch_scope, link, scope_cmp, static __attribute__((unused)))

struct watches *
watches_new(void)
{
	struct watches *w = mem_new(struct watches);

	RB_INIT(&w->scopes);
	TAILQ_INIT(&w->ready);
	return w;
}

void
watches_free(struct watches *w)
{
	struct watch_scope *s;

	if (w == NULL)
		return;
	assert(w->waiter_count == 0 && TAILQ_EMPTY(&w->ready));
	while ((s = RB_MIN(watch_tree, &w->scopes)) != NULL) {
		RB_REMOVE(watch_tree, &w->scopes, s);
		free(s);
	}
	free(w);
}

static struct watch_scope *
scope_find(const struct watches *w, struct watch_key key)
{
	struct watch_scope *s = RB_ROOT(&w->scopes), probe = { .key = key };

	while (s != NULL) {
		int c = scope_cmp(&probe, s);

		if (c == 0)
			return s;
		s = c < 0 ? RB_LEFT(s, link) : RB_RIGHT(s, link);
	}
	return NULL;
}

static struct watch_scope *
scope_add(struct watches *w, struct watch_key key)
{
	struct watch_scope *s = mem_zalloc(sizeof *s + key.name.n);
	char *name = (char *)(s + 1);

	if (key.name.n > 0)
		memcpy(name, key.name.p, key.name.n);
	s->key = (struct watch_key){ key.kind, str_mem(name, key.name.n) };
	s->index = w->floors[key.kind];
	LIST_INIT(&s->waiters);
	RB_INSERT(watch_tree, &w->scopes, s);
	w->scope_count++;
	return s;
}

/* Forgets a scope that nobody needs any more. */
static void
scope_settle(struct watches *w, struct watch_scope *s)
{
	if (s->lives || !LIST_EMPTY(&s->waiters))
		return;
	if (s->index > w->floors[s->key.kind]) {
		w->floors[s->key.kind] = s->index;
		w->changes++;
	}
	RB_REMOVE(watch_tree, &w->scopes, s);
	w->scope_count--;
	free(s);
}

uint64_t
watch_index(const struct watches *w, struct watch_key key)
{
	const struct watch_scope *s = scope_find(w, key);

	return s != NULL ? s->index : w->floors[key.kind];
}

void
watch_floor_raise(struct watches *w, uint64_t index)
{
	w->changes++;
	for (size_t kind = 0; kind < WATCH_KINDS; kind++)
		if (index > w->floors[kind])
			w->floors[kind] = index;
}

/* Off all its scopes. Scopes that nobody needs then go, but for `keep`. */
static void
waiter_unlink(struct watches *w, struct waiter *waiter, const struct watch_scope *keep)
{
	for (size_t i = 0; i < waiter->link_count; i++) {
		struct watch_link *l = &waiter->links[i];

		LIST_REMOVE(l, link);
		if (l->scope != keep)
			scope_settle(w, l->scope);
	}
	if (waiter->link_count > 0)
		w->waiter_count--;
	waiter->link_count = 0;
}

static void
scope_touch(struct watches *w, struct watch_scope *s, uint64_t index, bool lives)
{
	struct watch_link *l;

	w->changes++;
	if (index > s->index)
		s->index = index;
	s->lives = lives;
	while ((l = LIST_FIRST(&s->waiters)) != NULL) {
		struct waiter *waiter = l->waiter;

		waiter_unlink(w, waiter, s);
		waiter->ready = true;
		TAILQ_INSERT_TAIL(&w->ready, waiter, ready_link);
	}
	scope_settle(w, s);
}

/* As by a scope that is made for it and forgotten at once. */
static void
touch_unseen(struct watches *w, enum watch_kind kind, uint64_t index)
{
	w->changes++;
	if (index > w->floors[kind])
		w->floors[kind] = index;
}

void
watch_touch(struct watches *w, struct watch_key key, uint64_t index, bool lives)
{
	struct watch_scope *s = scope_find(w, key);

	if (s == NULL && !lives)
		touch_unseen(w, key.kind, index);
	else
		scope_touch(w, s != NULL ? s : scope_add(w, key), index, lives);
}

/* The last scope of a kind that is not after `name`; NULL: none. */
static struct watch_scope *
scope_floor(const struct watches *w, struct watch_key key)
{
	struct watch_scope *s = RB_ROOT(&w->scopes), *best = NULL, probe = { .key = key };

	while (s != NULL) {
		int c = scope_cmp(&probe, s);

		if (c >= 0)
			best = s;
		if (c == 0)
			break;
		s = c < 0 ? RB_LEFT(s, link) : RB_RIGHT(s, link);
	}
	return best != NULL && best->key.kind == key.kind ? best : NULL;
}

/* Walks down from the longest. A prefix of `name` that is longer than what a scope has in common
 * with it stands after that scope; so below the floor of the first n bytes nothing longer than
 * the common part is left to find, and n only falls. */
void
watch_touch_prefixes(struct watches *w, enum watch_kind kind, struct str name, uint64_t index)
{
	struct watch_scope *s;
	size_t n = name.n;

	while ((s = scope_floor(w, (struct watch_key){ kind, str_head(name, n) })) != NULL) {
		size_t same = 0, len = s->key.name.n;

		while (same < len && same < n && s->key.name.p[same] == name.p[same])
			same++;
		if (same == len)
			scope_touch(w, s, index, false); /* may free it */
		if (same == len && len == 0)
			return;
		n = same == len ? len - 1 : same;
	}
}

void
watch_touch_kind(struct watches *w, enum watch_kind kind, uint64_t index)
{
	struct watch_scope probe = { .key = { kind, STR_NONE } };
	struct watch_scope *first = RB_NFIND(watch_tree, &w->scopes, &probe), *s, *next;

	for (s = first; s != NULL && s->key.kind == kind; s = RB_NEXT(watch_tree, &w->scopes, s))
		s->lives = true; /* a waiter that leaves its other scopes must not free the next */
	for (s = first; s != NULL && s->key.kind == kind; s = next) {
		next = RB_NEXT(watch_tree, &w->scopes, s);
		scope_touch(w, s, index, false);
	}
}

void
watch_forget(struct watches *w, struct watch_key key)
{
	struct watch_scope *s = scope_find(w, key);

	if (s == NULL)
		return;
	s->lives = false;
	scope_settle(w, s);
}

void
watch_wait(struct watches *w, struct waiter *waiter, const struct watch_key *keys, size_t count)
{
	assert(waiter->link_count == 0 && !waiter->ready && count <= WATCH_KEYS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct watch_scope *s = scope_find(w, keys[i]);

		if (s == NULL)
			s = scope_add(w, keys[i]);
		waiter->links[i].scope = s;
		waiter->links[i].waiter = waiter;
		LIST_INSERT_HEAD(&s->waiters, &waiter->links[i], link);
	}
	waiter->link_count = count;
	if (count > 0)
		w->waiter_count++;
}

void
watch_cancel(struct watches *w, struct waiter *waiter)
{
	if (waiter->ready) {
		TAILQ_REMOVE(&w->ready, waiter, ready_link);
		waiter->ready = false;
	}
	waiter_unlink(w, waiter, NULL);
}

struct waiter *
watch_ready_next(struct watches *w)
{
	struct waiter *waiter = TAILQ_FIRST(&w->ready);

	if (waiter != NULL) {
		TAILQ_REMOVE(&w->ready, waiter, ready_link);
		waiter->ready = false;
	}
	return waiter;
}

uint64_t
watch_changes(const struct watches *w)
{
	return w->changes;
}

size_t
watch_scope_count(const struct watches *w)
{
	return w->scope_count;
}

size_t
watch_waiter_count(const struct watches *w)
{
	return w->waiter_count;
}
