/* agent/pool/pool_rival.c -- two that claim one wire name (RULES 3).
 *
 * Equal ids: one agent, at a new address: taken over. Unequal: about others' names we only warn,
 * unless the one that had it is dead or is called otherwise by now. When it is our own name, one of
 * the two is called NAME~ID from then on, and both sides must come to the same answer:
 *
 *   - Who joins and knows nobody yet gives way to who is there: names that are in use stay. It
 *     reads of the other in the answer to its join, before anything is merged.
 *   - But where that other has just joined us too (two that start at once), the higher id gives
 * way.
 *   - Two that both are members (two pools met) hear of each other by gossip, which may be old.
 *     So we wait a second and ask the other itself; when it still goes by our name, the higher id
 *     gives way. The lower one asks as well, and thereby tells the higher one.
 *
 * A plain serf agent has no id and cannot be renamed; we give way to it only when we join. By its
 * own rule it stops when the pool knows us by that name.
 */
#include <stdio.h>

#include "agent/pool/pool_priv.h"

#define SUFFIX 9 /* "~" and 8 hex digits */

static void
pool_rename(struct pool *p, const struct uuid *other, const struct addr *addr)
{
	struct str name = p->config.name;
	char id[UUID_TEXT_LEN + 1], theirs[UUID_TEXT_LEN + 1], at[ADDR_TEXT_MAX];
	char room[WIRE_NAME_MAX + 1];
	uint8_t tags[WIRE_META_MAX];
	struct writer w = wr_of(tags, sizeof tags);
	struct err err;

	if (name.n > WIRE_NAME_MAX - SUFFIX)
		name.n = WIRE_NAME_MAX - SUFFIX;
	uuid_format(&p->config.self, id);
	snprintf(room, sizeof room, STR_FMT "~%.8s", STR_ARG(name), id);
	p->renames++;
	p->rival.pending = false;
	pool_log(p, LOG_LEVEL_WARN,
	    "name taken name=" STR_FMT
	    " by id=%s at=%s: this agent, id=%s, is called %s in the pool",
	    STR_ARG(p->config.name), uuid_format(other, theirs), addr_format(addr, at), id, room);
	pool_self_forget(p);
	p->renamed = true;
	blob_unref(p->wire_name);
	p->wire_name = blob_new(str_of(room));
	swim_rename(p->swim, p->now.mono, blob_str(p->wire_name));
	serf_rename(p->serf, p->now.mono, blob_str(p->wire_name));
	if (pool_meta_write(p, &w, &err) < 0 ||
	    serf_meta_set(p->serf, p->now.mono, wr_done(&w), &err) < 0)
		pool_log(p, LOG_LEVEL_WARN, "the name to show does not fit the tags: %s", err.text);
	serf_joined(p->serf, p->now.mono);
}

/* Clones (RULES 1): our id lives elsewhere too. Who started lately gives way, the others give it
 * time to; of two that are old the one at the higher address. It may also be ourselves, as we were
 * before we moved or were renamed: nobody answers to that name any more, so SWIM suspects it soon.
 */

static bool
pool_young(const struct pool *p)
{
	return p->now.mono - p->started < POOL_YOUNG;
}

static void
pool_clone_found(struct pool *p, struct str name, const struct addr *addr)
{
	char at[ADDR_TEXT_MAX], id[UUID_TEXT_LEN + 1];

	if (p->cloned || (!pool_young(p) && !pool_addr_above(&p->config.advertise, addr)))
		return;
	p->cloned = true;
	pool_log(p, LOG_LEVEL_ERROR,
	    "id in use name=" STR_FMT " addr=%s: it lives under our id=%s too, a copied data "
	    "directory; we take a new id",
	    STR_ARG(name), addr_format(addr, at), uuid_format(&p->config.self, id));
	pool_act(p, POOL_CLONE);
}

void
pool_clone_seen(struct pool *p)
{
	if (p->clone_at == NSEC_NEVER && !p->cloned)
		p->clone_at = p->now.mono + (pool_young(p) ? POOL_CLONE_WAIT : POOL_CLONE_OLD);
}

static void
pool_clone_tick(struct pool *p)
{
	struct named *n;

	if (p->clone_at > p->now.mono)
		return;
	p->clone_at = NSEC_NEVER;
	RB_FOREACH (n, named_names, &p->names)
		if (n->muster && uuid_eq(&n->id, &p->config.self) && named_alive(n) &&
		    !pool_addr_eq(&n->addr, &p->config.advertise)) {
			if (n->swim == SWIM_ALIVE)
				pool_clone_found(p, n->key, &n->addr);
			pool_clone_seen(p); /* a suspect may refute: nobody tells us then */
		}
}

/* By our very name: SWIM has room for one of the two only. */
static void
pool_clone_meet(struct pool *p, const struct wire_node_state *n, const struct addr *from)
{
	if (!pool_addr_eq(&n->addr, from))
		return;
	if (pool_young(p) || p->rival.old)
		pool_clone_found(p, n->name, &n->addr);
	p->rival.old = true;
}

static bool
pool_knows_nobody(const struct pool *p)
{
	return p->muster_alive + p->plain_alive == 0;
}

void
pool_rival_meet(struct pool *p, const struct addr *from, bool join,
    const struct wire_node_state *nodes, size_t count)
{
	const struct uuid *self = &p->config.self;
	const struct wire_node_state *n = NULL;
	struct tags_read tags;
	struct arena arena;
	bool yield, tie;

	for (size_t i = 0; i < count && n == NULL; i++)
		if (nodes[i].state == SWIM_ALIVE && str_eq(nodes[i].name, blob_str(p->wire_name)))
			n = &nodes[i];
	if (n == NULL || pool_addr_eq(&n->addr, &p->config.advertise))
		return;
	arena_init(&arena, POOL_META_BYTES);
	pool_tags_read(&arena, n->meta, &tags);
	arena_done(&arena);
	tie = tags.muster && uuid_cmp(self, &tags.id) > 0;
	if (join && pool_knows_nobody(p))
		yield = p->rival.pending && uuid_eq(&p->rival.id, &tags.id) ? tie : true;
	else
		yield = pool_addr_eq(&n->addr, from) && tie;
	if (tags.muster && uuid_eq(self, &tags.id))
		pool_clone_meet(p, n, from); /* or ourselves, before we moved: not from there */
	else if (yield && !p->renamed)
		pool_rename(p, &tags.id, &n->addr);
}

/* Somebody claims our name. */
static void
pool_rival_heard(struct pool *p, const struct tags_read *tags, const struct swim_member *other)
{
	bool clone = tags->muster && uuid_eq(&tags->id, &p->config.self);
	nsec wait = clone && p->rival.old ? POOL_CLONE_OLD : POOL_RIVAL_WAIT;

	if ((p->renamed && !clone) || p->rival.pending || p->leaving || p->cloned)
		return;
	p->rival.pending = true;
	p->rival.id = tags->id;
	p->rival.addr = other->addr;
	p->rival.at = p->now.mono + wait;
}

void
pool_rival_tick(struct pool *p)
{
	pool_clone_tick(p);
	if (!p->rival.pending || p->rival.at > p->now.mono)
		return;
	p->rival.pending = false;
	pool_pull_open(p, &p->rival.addr, false);
}

/* Whether the agent that we have under this name goes by another one by now. */
static bool
pool_is_elsewhere(const struct pool *p, const struct uuid *id, struct str name)
{
	const struct who *who = pool_who_find(p, id);

	return who != NULL && who->peer != SPREAD_DOWN && !str_eq(who->at->key, name);
}

void
pool_conflict(struct pool *p, const struct swim_member *ours, const struct swim_member *other)
{
	bool own = str_eq(ours->name, blob_str(p->wire_name)), same;
	struct tags_read here, there;
	struct arena arena;

	arena_init(&arena, POOL_META_BYTES);
	pool_tags_read(&arena, ours->meta, &here);
	pool_tags_read(&arena, other->meta, &there);
	arena_done(&arena); /* ids are values */
	same = here.muster && there.muster && uuid_eq(&here.id, &there.id);
	if (same || (!own && (ours->state >= SWIM_DEAD ||
				 (here.muster && pool_is_elsewhere(p, &here.id, ours->name))))) {
		swim_take_over(p->swim, p->now.mono, other);
		if (own)
			pool_rival_heard(p, &there, other);
		return;
	}
	p->conflicts++;
	if (own)
		pool_rival_heard(p, &there, other);
	if (pool_may_complain(p, &p->conflict_said))
		serf_conflict(p->serf, p->now.mono, ours, other);
	if (!own) /* we may have missed that its holder left */
		swim_doubt(p->swim, p->now.mono, ours->name);
}
