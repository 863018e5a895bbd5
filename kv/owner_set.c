/* kv/owner_set.c -- records by key and by number, with their sums.
 *
 * Parts: items and sums; the order by number; the table by key; the calls over both.
 *
 * Two trees would cost 64 bytes of links per record; a table of pointers and a list cost about
 * 30, which counts with 100,000 of them. The list serves because numbers arrive nearly in order: a
 * writer's always at the end, a range's one behind the other (the hint), a push's near the end.
 */
#include "kv/owner_set.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "kv/record.h"

#define SLOTS_MIN 16

/* Items and sums. */

static struct owner_item *
owner_item_new(uint16_t kind, struct str key, uint32_t slot_hash)
{
	const size_t head = offsetof(struct owner_item, key); /* without the padding behind it */
	struct owner_item *i = mem_alloc(head + key.n);

	assert(key.n <= RECORD_KEY_MAX);
	memset(i, 0, head);
	i->kind = kind;
	i->slot_hash = slot_hash;
	i->key_len = (uint16_t)key.n;
	if (key.n > 0)
		memcpy(i->key, key.p, key.n);
	return i;
}

void
owner_item_free(struct owner_item *i)
{
	if (i == NULL)
		return;
	blob_unref(i->body);
	free(i);
}

static uint64_t
owner_item_hash(const struct owner_item *i)
{
	struct record r = { .kind = i->kind, .key = owner_item_key(i), .body = blob_str(i->body) };

	return record_hash(&r);
}

static void
owner_set_sum_in(struct owner_set *s, const struct owner_item *i)
{
	if (i->body == NULL) {
		s->gone++;
		return;
	}
	s->live++;
	s->bytes += i->key_len + i->body->n;
	s->hash += owner_item_hash(i);
}

static void
owner_set_sum_out(struct owner_set *s, const struct owner_item *i)
{
	if (i->body == NULL) {
		s->gone--;
		return;
	}
	s->live--;
	s->bytes -= i->key_len + i->body->n;
	s->hash -= owner_item_hash(i);
}

/* The order by number. */

static void
owner_set_link(struct owner_set *s, struct owner_item *i)
{
	struct owner_item *at = TAILQ_LAST(&s->order, owner_items), *next;

	if (at != NULL && at->number > i->number) {
		if (s->hint != NULL && s->hint->number <= i->number) {
			for (at = s->hint; (next = TAILQ_NEXT(at, link)) != NULL; at = next)
				if (next->number > i->number)
					break;
		} else {
			while (at != NULL && at->number > i->number)
				at = TAILQ_PREV(at, owner_items, link);
		}
	}
	if (at == NULL)
		TAILQ_INSERT_HEAD(&s->order, i, link);
	else
		TAILQ_INSERT_AFTER(&s->order, at, i, link);
	s->hint = i;
}

static void
owner_set_unlink(struct owner_set *s, struct owner_item *i)
{
	if (s->hint == i)
		s->hint = TAILQ_PREV(i, owner_items, link);
	TAILQ_REMOVE(&s->order, i, link);
}

struct owner_item *
owner_set_after(const struct owner_set *s, uint64_t number)
{
	struct owner_item *i, *found = NULL;

	if (number == 0)
		return TAILQ_FIRST(&s->order);
	TAILQ_FOREACH_REVERSE(i, &s->order, owner_items, link)
	{
		if (i->number <= number)
			break;
		found = i;
	}
	return found;
}

/* The table by key. */

static uint32_t
owner_slot_hash(uint16_t kind, struct str key)
{
	return (uint32_t)XXH3_64bits_withSeed(key.p, key.n, kind);
}

/* Where the key is, or the free slot where it would go. The table has a free slot. */
static size_t
owner_set_slot(const struct owner_set *s, uint16_t kind, struct str key, uint32_t hash)
{
	size_t mask = s->slot_count - 1, at = hash & mask;

	for (;; at = (at + 1) & mask) {
		const struct owner_item *i = s->slots[at];

		if (i == NULL)
			return at;
		if (i->slot_hash == hash && i->kind == kind && str_eq(owner_item_key(i), key))
			return at;
	}
}

static void
owner_set_resize(struct owner_set *s, size_t slot_count)
{
	struct owner_item **old = s->slots;
	size_t old_count = s->slot_count;

	s->slots = mem_zalloc(slot_count * sizeof *s->slots);
	s->slot_count = slot_count;
	for (size_t n = 0; n < old_count; n++) {
		struct owner_item *i = old[n];

		if (i != NULL)
			s->slots[owner_set_slot(s, i->kind, owner_item_key(i), i->slot_hash)] = i;
	}
	free(old);
}

static void
owner_set_index(struct owner_set *s, struct owner_item *i)
{
	size_t count = s->live + s->gone + 1;

	if (s->slot_count == 0)
		owner_set_resize(s, SLOTS_MIN);
	else if (count > s->slot_count / 4 * 3)
		owner_set_resize(s, s->slot_count * 2);
	s->slots[owner_set_slot(s, i->kind, owner_item_key(i), i->slot_hash)] = i;
}

/* Linear probing without marks: what stands behind the hole and may go there, goes there (Knuth,
 * The Art of Computer Programming 6.4, algorithm R). */
static void
owner_set_unindex(struct owner_set *s, const struct owner_item *i)
{
	size_t mask = s->slot_count - 1;
	size_t hole = owner_set_slot(s, i->kind, owner_item_key(i), i->slot_hash);

	assert(s->slots[hole] == i);
	for (size_t at = (hole + 1) & mask; s->slots[at] != NULL; at = (at + 1) & mask) {
		size_t home = s->slots[at]->slot_hash & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue; /* its home lies behind the hole */
		s->slots[hole] = s->slots[at];
		hole = at;
	}
	s->slots[hole] = NULL;
}

/* Both. */

void
owner_set_init(struct owner_set *s)
{
	memset(s, 0, sizeof *s);
	TAILQ_INIT(&s->order);
}

void
owner_set_done(struct owner_set *s)
{
	struct owner_item *i, *next;

	for (i = TAILQ_FIRST(&s->order); i != NULL; i = next) {
		next = TAILQ_NEXT(i, link);
		owner_item_free(i);
	}
	free(s->slots);
	owner_set_init(s);
}

/* The list's head lies in the set and its first item points there, so a set cannot be copied. */
void
owner_set_move(struct owner_set *to, struct owner_set *from)
{
	owner_set_done(to);
	*to = *from;
	TAILQ_INIT(&to->order);
	TAILQ_CONCAT(&to->order, &from->order, link);
	owner_set_init(from);
}

struct owner_item *
owner_set_find(const struct owner_set *s, uint16_t kind, struct str key)
{
	if (s->slot_count == 0 || key.n > RECORD_KEY_MAX)
		return NULL;
	return s->slots[owner_set_slot(s, kind, key, owner_slot_hash(kind, key))];
}

void
owner_set_add(struct owner_set *s, struct owner_item *i)
{
	owner_set_index(s, i);
	owner_set_link(s, i);
	owner_set_sum_in(s, i);
}

void
owner_set_take(struct owner_set *s, struct owner_item *i)
{
	owner_set_sum_out(s, i);
	owner_set_unlink(s, i);
	owner_set_unindex(s, i);
	if (s->slot_count > SLOTS_MIN && s->live + s->gone < s->slot_count / 8)
		owner_set_resize(s, s->slot_count / 2);
}

struct blob *
owner_set_put(
    struct owner_set *s, uint16_t kind, struct str key, uint64_t number, struct blob *body)
{
	struct owner_item *i = owner_set_find(s, kind, key);
	struct blob *before = NULL;

	if (i == NULL) {
		i = owner_item_new(kind, key, owner_slot_hash(kind, key));
		i->number = number;
		i->body = body;
		owner_set_add(s, i);
		return NULL;
	}
	before = i->body;
	owner_set_sum_out(s, i);
	owner_set_unlink(s, i);
	i->number = number;
	i->body = body;
	owner_set_link(s, i);
	owner_set_sum_in(s, i);
	return before;
}

void
owner_set_rebody(struct owner_set *s, struct owner_item *i, struct blob *body)
{
	owner_set_sum_out(s, i);
	blob_unref(i->body);
	i->body = body;
	owner_set_sum_in(s, i);
}

void
owner_set_drop_gone(struct owner_set *s, uint64_t upto)
{
	struct owner_item *i, *next;

	for (i = TAILQ_FIRST(&s->order); s->gone > 0 && i != NULL && i->number <= upto; i = next) {
		next = TAILQ_NEXT(i, link);
		if (i->body != NULL)
			continue;
		owner_set_take(s, i);
		owner_item_free(i);
	}
}

void
owner_set_number_all(struct owner_set *s, uint64_t number)
{
	struct owner_item *i;

	TAILQ_FOREACH (i, &s->order, link)
		i->number = number;
}
