/* agent/pool/pool_roster.c -- reading the members: in order, by name, by id. */
#include "agent/pool/pool_priv.h"

void
pool_member_fill(const struct named *n, const struct serf_member *m, struct pool_member *out)
{
	*out = (struct pool_member){
		.name = blob_str(n->display),
		.wire_name = n->key,
		.addr = m->addr,
		.meta = m->meta,
		.vsn = m->vsn,
		.state = n->replaced && m->state == SERF_FAILED ? SERF_LEFT : m->state,
		.id = n->id,
		.muster = n->muster,
		.server = n->server,
		.since = m->since,
	};
}

size_t
pool_member_count(const struct pool *p, enum serf_state state)
{
	size_t count = serf_member_count(p->serf, state);

	if (state == SERF_FAILED)
		return count - p->replaced_count;
	return state == SERF_LEFT ? count + p->replaced_count : count;
}

static bool
named_show(const struct pool *p, const struct named *n, struct pool_member *out)
{
	struct serf_member m;

	if (n == NULL || !serf_member_find(p->serf, n->key, &m))
		return false;
	pool_member_fill(n, &m, out);
	return true;
}

bool
pool_member_next(const struct pool *p, struct str after, struct pool_member *out)
{
	struct named key = { .key = after };
	struct named_names names = p->names;
	struct named *n = RB_NFIND(named_names, &names, &key);

	if (n != NULL && after.n > 0 && str_eq(n->key, after))
		n = RB_NEXT(named_names, NULL, n);
	while (n != NULL && !named_show(p, n, out))
		n = RB_NEXT(named_names, NULL, n);
	return n != NULL;
}

/* Of several that are shown under one name the live one (RULES 3), then the lowest id. */
static bool
named_first(const struct named *a, const struct named *b)
{
	if (named_alive(a) != named_alive(b))
		return named_alive(a);
	return uuid_cmp(&a->id, &b->id) < 0;
}

static const struct named *
named_shown_as(const struct pool *p, struct str name)
{
	struct named_names names = p->names;
	const struct named *best = NULL;
	struct named *n;

	RB_FOREACH (n, named_names, &names)
		if (str_eq(blob_str(n->display), name) && (best == NULL || named_first(n, best)))
			best = n;
	return best;
}

static const struct named *
named_by_id(const struct pool *p, const struct uuid *id)
{
	const struct who *who = pool_who_find(p, id);

	if (uuid_eq(id, &p->config.self))
		return pool_named_find(p, blob_str(p->wire_name));
	return who == NULL ? NULL : who->at;
}

bool
pool_member_find(const struct pool *p, struct str name, struct pool_member *out)
{
	const struct named *n = named_shown_as(p, name);
	struct uuid id;

	if (n == NULL)
		n = pool_named_find(p, name);
	if (n == NULL && uuid_parse(name, &id))
		n = named_by_id(p, &id);
	return named_show(p, n, out);
}

bool
pool_member_by_id(const struct pool *p, const struct uuid *id, struct pool_member *out)
{
	return named_show(p, named_by_id(p, id), out);
}
