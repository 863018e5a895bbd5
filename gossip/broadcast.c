/* gossip/broadcast.c -- the queue of what is yet to be told; see broadcast.h.
 *
 * Two trees over the same items: by turn (every item that is not just taken) and by name (those
 * that have one). Taken items wait in a list until broadcast_sent().
 */
#include "gossip/broadcast.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "base/mem.h"

struct broadcast_item {
	RB_ENTRY(broadcast_item) by_turn, by_name;
	TAILQ_ENTRY(broadcast_item) link; /* while taken */
	uint64_t id, done_id;
	unsigned sent;
	struct str bytes, name; /* behind the item */
};

RB_HEAD(broadcast_turns, broadcast_item);
RB_HEAD(broadcast_names, broadcast_item);

struct broadcast {
	struct broadcast_turns turns;
	struct broadcast_names names;
	TAILQ_HEAD(, broadcast_item) taken;
	size_t count, count_max, bytes;
	uint64_t id;
	uint64_t *done; /* ids to give back; [done_at, done_count) */
	size_t done_at, done_count, done_cap;
};

static int
broadcast_turn_cmp(const struct broadcast_item *a, const struct broadcast_item *b)
{
	if (a->sent != b->sent)
		return a->sent < b->sent ? -1 : 1;
	if (a->bytes.n != b->bytes.n)
		return a->bytes.n > b->bytes.n ? -1 : 1;
	return a->id == b->id ? 0 : a->id > b->id ? -1 : 1;
}

static int
broadcast_name_cmp(const struct broadcast_item *a, const struct broadcast_item *b)
{
	return str_cmp(a->name, b->name);
}

#define BROADCAST_TREE static __attribute__((unused))
RB_GENERATE_INTERNAL(broadcast_turns, broadcast_item, by_turn, broadcast_turn_cmp, BROADCAST_TREE)
RB_GENERATE_INTERNAL(broadcast_names, broadcast_item, by_name, broadcast_name_cmp, BROADCAST_TREE)

struct broadcast *
broadcast_new(size_t count_max)
{
	struct broadcast *b = mem_new(struct broadcast);

	RB_INIT(&b->turns);
	RB_INIT(&b->names);
	TAILQ_INIT(&b->taken);
	b->count_max = count_max;
	return b;
}

/* Of an item that is in the tree of turns no more. */
static void
broadcast_end(struct broadcast *b, struct broadcast_item *i)
{
	if (i->name.n > 0)
		RB_REMOVE(broadcast_names, &b->names, i);
	if (i->done_id != 0) {
		b->done = mem_grow(b->done, b->done_count, &b->done_cap, sizeof *b->done);
		b->done[b->done_count++] = i->done_id;
	}
	b->count--;
	b->bytes -= i->bytes.n;
	free(i);
}

static void
broadcast_drop(struct broadcast *b, struct broadcast_item *i)
{
	RB_REMOVE(broadcast_turns, &b->turns, i);
	broadcast_end(b, i);
}

void
broadcast_free(struct broadcast *b)
{
	struct broadcast_item *i;

	if (b == NULL)
		return;
	broadcast_sent(b, 0);
	while ((i = RB_ROOT(&b->turns)) != NULL)
		broadcast_drop(b, i);
	free(b->done);
	free(b);
}

void
broadcast_forget(struct broadcast *b, struct str name)
{
	struct broadcast_item key = { .name = name },
			      *i = RB_FIND(broadcast_names, &b->names, &key);

	assert(TAILQ_EMPTY(&b->taken));
	if (i != NULL)
		broadcast_drop(b, i);
}

void
broadcast_add(struct broadcast *b, struct str name, struct str bytes, uint64_t done_id)
{
	struct broadcast_item *i;
	char *room;

	broadcast_forget(b, name);
	if (b->count >= b->count_max && b->count > 0)
		broadcast_drop(b, RB_MAX(broadcast_turns, &b->turns));
	i = mem_alloc(sizeof *i + bytes.n + name.n);
	room = (char *)(i + 1);
	*i = (struct broadcast_item){
		.id = ++b->id,
		.done_id = done_id,
		.bytes = str_mem(room, bytes.n),
		.name = str_mem(room + bytes.n, name.n),
	};
	if (bytes.n > 0)
		memcpy(room, bytes.p, bytes.n);
	if (name.n > 0)
		memcpy(room + bytes.n, name.p, name.n);
	RB_INSERT(broadcast_turns, &b->turns, i);
	if (name.n > 0)
		RB_INSERT(broadcast_names, &b->names, i);
	b->count++;
	b->bytes += bytes.n;
}

bool
broadcast_done_next(struct broadcast *b, uint64_t *done_id)
{
	if (b->done_at == b->done_count) {
		b->done_at = b->done_count = 0;
		return false;
	}
	*done_id = b->done[b->done_at++];
	return true;
}

/* The first item at or behind (sent, room) either fits, or is of a later turn: then look for what
 * fits among those. */
size_t
broadcast_take(struct broadcast *b, size_t *room, struct str *parts, size_t max)
{
	struct broadcast_item key = { .id = UINT64_MAX }, *i;
	size_t count = 0;

	while (count < max && *room >= BROADCAST_PART) {
		key.bytes.n = *room - BROADCAST_PART;
		i = RB_NFIND(broadcast_turns, &b->turns, &key);
		if (i == NULL)
			break;
		if (i->bytes.n > key.bytes.n) {
			assert(i->sent > key.sent);
			key.sent = i->sent;
			continue;
		}
		key.sent = i->sent;
		RB_REMOVE(broadcast_turns, &b->turns, i);
		TAILQ_INSERT_TAIL(&b->taken, i, link);
		parts[count++] = i->bytes;
		*room -= i->bytes.n + BROADCAST_PART;
	}
	return count;
}

void
broadcast_sent(struct broadcast *b, unsigned limit)
{
	struct broadcast_item *i;

	while ((i = TAILQ_FIRST(&b->taken)) != NULL) {
		TAILQ_REMOVE(&b->taken, i, link);
		if (++i->sent >= limit)
			broadcast_end(b, i);
		else
			RB_INSERT(broadcast_turns, &b->turns, i);
	}
}

size_t
broadcast_count(const struct broadcast *b)
{
	return b->count;
}

size_t
broadcast_bytes(const struct broadcast *b)
{
	return b->bytes;
}

unsigned
broadcast_limit(unsigned mult, size_t n)
{
	unsigned digits = 0;
	size_t reach = 1; /* 10^digits */

	while (reach < n + 1 && digits < 19) {
		reach *= 10;
		digits++;
	}
	return mult * digits;
}
