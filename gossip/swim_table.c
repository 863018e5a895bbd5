/* gossip/swim_table.c -- the members: by name, by address, in the order of the round, buried.
 *
 * `nodes` holds everybody but the buried, us too, each knowing its slot. A member that is dead or
 * left for longer than it is gossiped to leaves `nodes` when the round begins anew: it is buried,
 * without its meta, and counts nowhere; but name, address and incarnation stay, so that only
 * something newer revives it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gossip/swim_priv.h"

static int
swim_addr_cmp(const struct addr *a, const struct addr *b)
{
	int c;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	c = memcmp(a->bytes, b->bytes, a->family == ADDR_V6 ? 16 : 4);
	if (c != 0)
		return c;
	return a->port == b->port ? 0 : a->port < b->port ? -1 : 1;
}

bool
swim_addr_eq(const struct addr *a, const struct addr *b) /* the scope is our own affair */
{
	return swim_addr_cmp(a, b) == 0;
}

static int
node_name_cmp(const struct node *a, const struct node *b)
{
	return str_cmp(a->name, b->name);
}

static int
node_addr_cmp(const struct node *a, const struct node *b)
{
	int c = swim_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : str_cmp(a->name, b->name);
}

RB_GENERATE(node_names, node, by_name, node_name_cmp)
RB_GENERATE(node_addrs, node, by_addr, node_addr_cmp)

static struct str
node_own(struct str s)
{
	return s.n == 0 ? STR_NONE : str_mem(str_dup(s), s.n);
}

static void
node_disown(struct str *s)
{
	free((void *)(uintptr_t)s->p);
	*s = STR_NONE;
}

void
swim_table_init(struct swim *s)
{
	RB_INIT(&s->names);
	RB_INIT(&s->addrs);
	TAILQ_INIT(&s->suspects);
	TAILQ_INIT(&s->buried);
}

static void
swim_table_free(struct swim *s, struct node *n)
{
	RB_REMOVE(node_names, &s->names, n);
	RB_REMOVE(node_addrs, &s->addrs, n);
	node_disown(&n->name);
	node_disown(&n->meta);
	free(n);
}

void
swim_table_done(struct swim *s)
{
	struct node *n;

	while ((n = RB_ROOT(&s->names)) != NULL)
		swim_table_free(s, n);
	free(s->nodes);
}

struct node *
swim_table_find(const struct swim *s, struct str name)
{
	struct node key = { .name = name };
	struct node_names names = s->names;

	return RB_FIND(node_names, &names, &key);
}

struct node *
swim_table_first_at(const struct swim *s, const struct addr *addr)
{
	struct node key = { .addr = *addr };
	struct node_addrs addrs = s->addrs;
	struct node *n = RB_NFIND(node_addrs, &addrs, &key);

	return n != NULL && swim_addr_eq(&n->addr, addr) ? n : NULL;
}

struct node *
swim_table_next_at(struct node *n)
{
	struct node *next = RB_NEXT(node_addrs, NULL, n);

	return next != NULL && swim_addr_eq(&n->addr, &next->addr) ? next : NULL;
}

/* Into the order at a random place: who is there moves to the end. */
static void
swim_table_place(struct swim *s, struct node *n)
{
	size_t at = rng_below(&s->rng, (uint32_t)s->node_count + 1);

	s->nodes = mem_grow(s->nodes, s->node_count, &s->node_cap, sizeof(struct node *));
	s->nodes[s->node_count] = s->nodes[at];
	if (at < s->node_count)
		s->nodes[s->node_count]->slot = s->node_count;
	s->nodes[at] = n;
	n->slot = at;
	s->node_count++;
}

static void
swim_table_displace(struct swim *s, const struct node *n)
{
	struct node *last = s->nodes[--s->node_count];

	assert(s->nodes[n->slot] == n || last == n);
	s->nodes[n->slot] = last;
	last->slot = n->slot;
}

static void
swim_table_unbury(struct swim *s, struct node *n)
{
	assert(n->buried);
	TAILQ_REMOVE(&s->buried, n, link);
	s->buried_count--;
	n->buried = false;
}

struct node *
swim_table_add(struct swim *s, struct str name, const struct addr *addr)
{
	struct node *n;

	if (s->node_count >= s->config.members_max)
		return NULL;
	n = mem_new(struct node);
	n->name = node_own(name);
	n->addr = *addr;
	n->state = SWIM_DEAD;
	RB_INSERT(node_names, &s->names, n);
	RB_INSERT(node_addrs, &s->addrs, n);
	swim_table_place(s, n);
	return n;
}

void
swim_table_drop(struct swim *s, struct node *n)
{
	if (n->buried)
		swim_table_unbury(s, n);
	else
		swim_table_displace(s, n);
	swim_table_free(s, n);
}

void
swim_table_rename(struct swim *s, struct node *n, struct str name)
{
	struct str old = n->name;

	RB_REMOVE(node_names, &s->names, n);
	RB_REMOVE(node_addrs, &s->addrs, n);
	n->name = node_own(name);
	node_disown(&old);
	RB_INSERT(node_names, &s->names, n);
	RB_INSERT(node_addrs, &s->addrs, n);
}

void
swim_table_move(struct swim *s, struct node *n, const struct addr *addr)
{
	RB_REMOVE(node_addrs, &s->addrs, n);
	n->addr = *addr;
	RB_INSERT(node_addrs, &s->addrs, n);
}

void
swim_table_meta(struct node *n, struct str meta)
{
	struct str old = n->meta;

	n->meta = node_own(meta); /* may be part of the old one */
	node_disown(&old);
}

void
swim_table_bury(struct swim *s, nsec now, struct node *n)
{
	assert(n != s->self && n->state >= SWIM_DEAD && !n->buried);
	swim_probe_cancel(s, n);
	swim_table_displace(s, n);
	node_disown(&n->meta);
	n->buried = true;
	n->since = now;
	TAILQ_INSERT_TAIL(&s->buried, n, link);
	s->buried_count++;
	while (s->buried_count > SWIM_BURIED_MAX) {
		struct node *oldest = TAILQ_FIRST(&s->buried);

		swim_table_unbury(s, oldest);
		swim_table_free(s, oldest);
	}
}

void
swim_table_raise(struct swim *s, struct node *n)
{
	swim_table_unbury(s, n);
	swim_table_place(s, n);
}

/* Buries whom nobody gossips to any more and forgets the longest buried; then a new order. */
void
swim_table_shuffle(struct swim *s, nsec now)
{
	struct node *n, *next;

	for (size_t i = s->node_count; i-- > 0;) {
		n = s->nodes[i];
		if (n != s->self && n->state >= SWIM_DEAD &&
		    now - n->since > s->config.profile.gossip_to_dead)
			swim_table_bury(s, now, n);
	}
	TAILQ_FOREACH_SAFE (n, &s->buried, link, next) {
		if (now - n->since <= SWIM_BURIED_KEEP)
			continue;
		swim_table_unbury(s, n);
		swim_table_free(s, n);
	}
	for (size_t i = s->node_count; i > 1; i--) { /* Fisher and Yates */
		size_t j = rng_below(&s->rng, (uint32_t)i);

		n = s->nodes[i - 1];
		s->nodes[i - 1] = s->nodes[j];
		s->nodes[j] = n;
		s->nodes[i - 1]->slot = i - 1;
		s->nodes[j]->slot = j;
	}
}

/* In a small table every one is looked at, so that the only one that suits is found. */
static size_t
swim_table_pick_all(struct swim *s, nsec now, swim_pick_fn *suits, const struct node *but,
    struct node **out, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < s->node_count; i++) { /* a reservoir of max (Vitter's R) */
		struct node *n = s->nodes[i];
		size_t at = count;

		if (n == but || n == s->self || !suits(s, now, n))
			continue;
		if (count++ >= max)
			at = rng_below(&s->rng, (uint32_t)count);
		if (at < max)
			out[at] = n;
	}
	return count < max ? count : max;
}

/* Up to max different members that suit, at random. In a large table few misses are expected; in
 * one of mostly dead ones the search gives up after three times its length, as memberlist's does.
 */
size_t
swim_table_pick(struct swim *s, nsec now, swim_pick_fn *suits, const struct node *but,
    struct node **out, size_t max)
{
	size_t count = 0;

	if (s->node_count <= SWIM_SMALL)
		return swim_table_pick_all(s, now, suits, but, out, max);
	for (size_t tries = 3 * s->node_count; tries > 0 && count < max; tries--) {
		struct node *n = s->nodes[rng_below(&s->rng, (uint32_t)s->node_count)];
		bool taken = n == but || n == s->self || !suits(s, now, n);

		for (size_t i = 0; i < count; i++)
			taken |= out[i] == n;
		if (!taken)
			out[count++] = n;
	}
	return count;
}
