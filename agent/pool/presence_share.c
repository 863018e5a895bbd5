/* agent/pool/presence_share.c -- whether hiding one more node takes away too much of a service.
 *
 * Counted are the instances that agents own. Those of nodes hidden for long are neither part of the
 * whole nor of what is missing: a host that was taken out of service yesterday is no reason to keep
 * a dead one in answers today. Who is hidden is asked of presence and not of the catalog, which has
 * not yet been told of all.
 */
#include "agent/pool/presence_private.h"
#include "kv/catalog.h"

/* The node that an agent's records make, when it holds its name. */
static struct catalog_node *
node_of(const struct catalog *c, const struct uuid *id)
{
	char text[UUID_TEXT_LEN + 1];
	struct catalog_node *node = catalog_node_find_id(c, str_of(uuid_format(id, text)));

	return node != NULL && node->agent && uuid_eq(&node->owner, id) ? node : NULL;
}

static bool
name_exceeds(const struct presence *p, nsec now, const struct presence_member *m,
    const struct catalog_name *name)
{
	const struct catalog_service *s = NULL;
	uint64_t all = 0, own = 0, hidden = 0;

	while ((s = catalog_instance_next(name, s)) != NULL) {
		const struct presence_member *other;

		all++;
		if (s->external || !s->node->agent)
			continue;
		if (uuid_eq(&s->node->owner, &m->id)) {
			own++;
			continue;
		}
		other = presence_find(p, &s->node->owner);
		if (other == NULL || other->shown != SHOWN_HIDDEN)
			continue;
		if (now - other->hidden_at < p->config.hold_max)
			hidden++;
		else
			all--;
	}
	return hidden > 0 && (hidden + own) * 100 > all * p->config.hold_share;
}

bool
presence_share_exceeded(const struct presence *p, nsec now, const struct presence_member *m)
{
	const struct catalog_node *node;
	const struct catalog_service *s = NULL;

	if (p->config.hold_share == 0 || p->config.store == NULL)
		return false;
	node = node_of(store_catalog(p->config.store), &m->id);
	while (node != NULL && (s = catalog_service_next(node, s)) != NULL)
		if (!s->external && name_exceeds(p, now, m, s->of))
			return true;
	return false;
}
