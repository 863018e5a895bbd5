/* agent/pool_twin.c -- two that run under one id: a disk was copied (RULES 1).
 *
 * A member that has our id, at another address, is most often ourselves: before we moved, or in
 * our last life under another name. So nothing is believed that others say; we ask at that
 * address, and when whoever answers says of itself that it has our id, there are two of us.
 *
 * One takes another id, and both come to the same answer: who meets the other while it joins, and
 * knows nobody yet, is the later starter and gives way; of two that are members already, the
 * one at the higher address. Members wait a while before they ask, so that a joiner is first.
 */
#include "agent/pool_priv.h"

#define POOL_TWIN_WAIT (5 * NSEC_SEC) /* before a member asks, and asks again */

void
pool_twin_heard(struct pool *p, const struct addr *at)
{
	if (pool_addr_eq(at, &p->config.advertise) || p->twin.at != NSEC_NEVER || p->leaving)
		return;
	p->twin = (struct twin){ .addr = *at, .at = p->now.mono + POOL_TWIN_WAIT };
}

/* Whoever is known under our id by another name; `alive`: and seems to live. */
static void
twin_look(struct pool *p, bool alive)
{
	struct named *n;

	RB_FOREACH (n, named_names, &p->names)
		if (n->muster && uuid_eq(&n->id, &p->config.self) &&
		    !str_eq(blob_str(n->name), blob_str(p->wire_name)) &&
		    (!alive || n->state == SERF_ALIVE))
			pool_twin_heard(p, &n->addr);
}

void
pool_twin_suspect(struct pool *p)
{
	twin_look(p, false);
}

void
pool_twin_tick(struct pool *p)
{
	struct addr addr = p->twin.addr;

	if (p->twin.at > p->now.mono)
		return;
	p->twin.at = NSEC_NEVER;
	pool_pull_open(p, &addr, false);
	if (!p->twin.joining)
		twin_look(p, true); /* until it is gone, or one of us is somebody else */
}

/* Its own entry is the one thing that an agent knows for certain. */
static bool
is_us(const struct pool *p, const struct wire_node_state *n)
{
	struct tags_read tags;
	struct arena arena;

	if (n->state != SWIM_ALIVE || pool_addr_eq(&n->addr, &p->config.advertise))
		return false;
	arena_init(&arena, POOL_META_BYTES);
	pool_tags_read(&arena, n->meta, &tags);
	arena_done(&arena);
	return tags.muster && uuid_eq(&tags.id, &p->config.self);
}

static void
twin_lives(struct pool *p, const struct wire_node_state *n, bool joining)
{
	char at[ADDR_TEXT_MAX], id[UUID_TEXT_LEN + 1];
	struct pool_action *a;

	if (!joining && pool_addr_cmp(&p->config.advertise, &n->addr) < 0)
		return; /* it will see us, too */
	pool_log(p, LOG_LEVEL_WARN, "id taken id=%s by name=" STR_FMT " at=%s: a copy of one disk",
	    uuid_format(&p->config.self, id), STR_ARG(n->name), addr_format(&n->addr, at));
	a = pool_act(p, POOL_CLONE);
	if (a != NULL)
		a->id = owner_digest(store_owner(p->config.store, &p->config.self)).epoch.counter;
}

/* A push/pull's answer, before it is merged. */
void
pool_twin_meet(struct pool *p, const struct addr *from, bool join,
    const struct wire_node_state *nodes, size_t count)
{
	bool joining = join && pool_knows_nobody(p);

	for (size_t i = 0; i < count; i++) {
		if (!is_us(p, &nodes[i]))
			continue;
		if (pool_addr_eq(&nodes[i].addr, from)) {
			twin_lives(p, &nodes[i], joining || p->twin.joining);
			return;
		}
		if (joining) { /* asked at once */
			p->twin = (struct twin){
				.addr = nodes[i].addr, .at = p->now.mono, .joining = true
			};
		}
	}
	if (pool_addr_eq(from, &p->twin.addr))
		p->twin.joining = false;
}
