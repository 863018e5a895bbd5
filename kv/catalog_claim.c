/* kv/catalog_claim.c -- who of several claimants shows; nodes come, change and go.
 *
 * A node's name goes to an agent before an external record; among agents to one that lives, then
 * to one that is kept (RULES 16), then to the lowest id (RULES 3). A service or check id on a node
 * goes to the node's own agent before an external record (RULES 5). Nothing is decided for good:
 * each place is looked up again, in the owners, when a record that claims it has changed.
 *
 * Parts: looking up; what is aside; places on a node; nodes; agents; what the store tells; virtual
 * owners.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "kv/catalog_priv.h"

/* Looking up. */

/* The body of an agent's record as it may be shown; NULL: none, or a mask hides it. */
static struct blob *
agent_body(
    const struct catalog *c, const struct catalog_agent *agent, uint16_t kind, struct str key)
{
	struct owner_record r;

	if (!owner_find(agent->owner, kind, key, &r) || r.gone)
		return NULL;
	return catalog_masked(c, agent->owner, kind, key) ? NULL : r.body;
}

/* The virtual owner whose record of this key shows; NULL: none has it. */
static const struct owner *
cluster_of(const struct catalog *c, uint16_t kind, struct str key)
{
	struct owner_record r;

	for (size_t i = 0; i < c->cluster_count; i++)
		if (owner_find(c->clusters[i], kind, key, &r) && !r.gone)
			return c->clusters[i];
	return NULL;
}

/* With its number; NULL and 0: there is none. */
static struct blob *
cluster_record(const struct catalog *c, uint16_t kind, struct str key, uint64_t *number)
{
	const struct owner *cluster = cluster_of(c, kind, key);
	struct owner_record r;

	*number = 0;
	if (cluster == NULL || !owner_find(cluster, kind, key, &r))
		return NULL;
	*number = r.number;
	return r.body;
}

static struct blob *
cluster_body(const struct catalog *c, uint16_t kind, struct str key)
{
	uint64_t unused;

	return cluster_record(c, kind, key, &unused);
}

/* Its place among them, or their count. */
static size_t
cluster_find(const struct catalog *c, const struct uuid *id)
{
	size_t i = 0;

	while (i < c->cluster_count && !uuid_eq(owner_id(c->clusters[i]), id))
		i++;
	return i;
}

static bool
cluster_any(const struct catalog *c)
{
	for (size_t i = 0; i < c->cluster_count; i++)
		if (owner_count(c->clusters[i]) > 0)
			return true;
	return false;
}

static struct catalog_agent *
agent_find(const struct catalog *c, const struct uuid *id)
{
	struct catalog_agent *at = RB_ROOT(&c->agents);

	while (at != NULL) {
		int d = uuid_cmp(id, &at->id);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, by_id) : RB_RIGHT(at, by_id);
	}
	return NULL;
}

/* Who holds a name: of those with the best life the first. */
static struct catalog_agent *
agent_of_name(struct catalog *c, struct str name)
{
	struct catalog_agent probe = { .name = name };
	struct catalog_agent *first = RB_NFIND(catalog_agent_names, &c->agent_names, &probe);
	struct catalog_agent *at, *best = first;

	if (first == NULL || !str_eq(first->name, name))
		return NULL;
	for (at = first; at != NULL && str_eq(at->name, name);
	     at = RB_NEXT(catalog_agent_names, &c->agent_names, at))
		if (at->life < best->life)
			best = at;
	return best;
}

/* What is aside. */

static void
aside_set(struct catalog *c, uint16_t kind, struct str key, bool there)
{
	struct catalog_aside probe = { .kind = kind, .key = key };
	struct catalog_aside *at = RB_FIND(catalog_asides, &c->asides, &probe);
	char *copy;

	if ((at != NULL) == there)
		return;
	if (kind == RECORD_MASK)
		c->mask_count += there ? 1 : (size_t)-1;
	if (!there) {
		RB_REMOVE(catalog_asides, &c->asides, at);
		free(at);
		return;
	}
	at = mem_zalloc(sizeof *at + key.n);
	copy = (char *)(at + 1);
	if (key.n > 0)
		memcpy(copy, key.p, key.n);
	at->kind = kind;
	at->key = str_mem(copy, key.n);
	RB_INSERT(catalog_asides, &c->asides, at);
}

/* Places on a node. */

/* An id's place is the agent's: it has such a record, or the catalog itself speaks there. */
static bool
slot_is_taken(
    const struct catalog_node *node, uint16_t kind, struct str id, const struct blob *body)
{
	return body != NULL ||
	       (node->agent && kind == RECORD_CHECK && str_eq(id, STR(CATALOG_SERF_CHECK)));
}

/* `id` must outlive the call. */
static void
slot_refresh(struct catalog_step *step, struct catalog_node *node, uint16_t kind, struct str id)
{
	struct catalog *c = step->c;
	struct blob *body = NULL, *external = NULL;
	struct catalog_source source = { 0 };
	struct catalog_key k;
	bool taken;

	if (node->source != NULL)
		body = agent_body(c, node->source, kind, id);
	taken = slot_is_taken(node, kind, id, body);
	if ((cluster_any(c) || !RB_EMPTY(&c->asides)) &&
	    catalog_external_key(&k, node->info.name, id)) {
		external = cluster_record(c, kind, k.key, &source.number);
		aside_set(c, kind, k.key, external != NULL && taken);
	}
	source.external = !taken;
	if (!taken)
		body = external;
	if (kind == RECORD_SERVICE)
		catalog_service_set(step, node, id, body, source);
	else
		catalog_check_set(step, node, id, body, source);
}

/* The same for an object that is there, whose id goes with it. */
static void
slot_refresh_shown(struct catalog_step *step, struct catalog_node *node, uint16_t kind,
    struct str id, struct blob *body)
{
	blob_ref(body);
	slot_refresh(step, node, kind, id);
	blob_unref(body);
}

/* External records that have waited for this node. Showing one takes it off the list. */
static void
node_attach_aside(struct catalog_step *step, struct catalog_node *node, uint16_t kind)
{
	const struct catalog_aside *at, *next;
	struct str of, id;
	struct catalog_key prefix, own;

	if (!catalog_external_key(&prefix, node->info.name, STR_NONE))
		return;
	for (at = catalog_aside_next(step->c, kind, prefix.key, NULL); at != NULL; at = next) {
		next = catalog_aside_next(step->c, kind, prefix.key, at);
		memcpy(own.bytes, at->key.p, at->key.n);
		if (catalog_external_key_read(str_mem(own.bytes, at->key.n), &of, &id))
			slot_refresh(step, node, kind, id);
	}
}

/* All that the present claimants have for this node: what shows, what its agent has, what waits. */
static void
node_sync(struct catalog_step *step, struct catalog_node *node)
{
	const struct owner_range all = { .upto = UINT64_MAX };
	struct catalog_service *s, *next_service;
	struct catalog_check *check, *next_check;
	struct owner_record r;
	uint64_t cursor = 0;

	for (s = catalog_service_next(node, NULL); s != NULL; s = next_service) {
		next_service = catalog_service_next(node, s);
		slot_refresh_shown(step, node, RECORD_SERVICE, s->info.id, s->body);
	}
	for (check = catalog_check_next(node, NULL); check != NULL; check = next_check) {
		next_check = catalog_check_next(node, check);
		if (check->body != NULL)
			slot_refresh_shown(step, node, RECORD_CHECK, check->info.id, check->body);
	}
	while (node->source != NULL && owner_range_next(node->source->owner, &all, &cursor, &r))
		if (!r.gone && (r.kind == RECORD_SERVICE || r.kind == RECORD_CHECK))
			slot_refresh(step, node, r.kind, r.key);
	node_attach_aside(step, node, RECORD_SERVICE);
	node_attach_aside(step, node, RECORD_CHECK);
	if (node->agent) /* an external one steps aside */
		slot_refresh(step, node, RECORD_CHECK, STR(CATALOG_SERF_CHECK));
}

/* Nodes. */

static void
node_link(struct catalog *c, struct catalog_node *node)
{
	if (node->info.id.n > 0)
		RB_INSERT(catalog_node_ids, &c->node_ids, node);
	if (node->info.address.n > 0)
		RB_INSERT(catalog_node_addresses, &c->node_addresses, node);
}

static void
node_unlink(struct catalog *c, struct catalog_node *node)
{
	if (node->info.id.n > 0)
		RB_REMOVE(catalog_node_ids, &c->node_ids, node);
	if (node->info.address.n > 0)
		RB_REMOVE(catalog_node_addresses, &c->node_addresses, node);
}

static void
node_source_set(struct catalog *c, struct catalog_node *node, struct catalog_agent *source)
{
	node->source = source;
	node->agent = source != NULL;
	node->owner =
	    *owner_id(source != NULL ? source->owner : cluster_of(c, RECORD_NODE, node->info.name));
}

static void
node_touch(struct catalog_step *step, struct str name, bool lives)
{
	marks_move(&step->c->marks->of[marks_slot(MARKS_NODE, name)]);
	catalog_touch(step, WATCH_NODES, STR_NONE, true);
	catalog_touch(step, WATCH_NODE, name, lives);
}

/* Of an external node's record. */
static uint64_t
node_number(const struct catalog *c, struct str name)
{
	uint64_t number;

	cluster_record(c, RECORD_NODE, name, &number);
	return number;
}

/* Takes `arrays`. */
static struct catalog_node *
node_add(struct catalog_step *step, struct blob *body, const struct node_info *info, void *arrays,
    struct catalog_agent *source)
{
	struct catalog_node *node = mem_new(struct catalog_node);

	node->info = *info;
	node->arrays = arrays;
	node->body = blob_ref(body);
	node->modify_index =
	    source == NULL ? node_number(step->c, info->name) : catalog_step_index(step);
	node->create_index = node->modify_index;
	node_source_set(step->c, node, source);
	RB_INSERT(catalog_nodes, &step->c->nodes, node);
	node_link(step->c, node);
	step->c->counts.nodes++;
	node_touch(step, node->info.name, true);
	return node;
}

/* Takes `arrays`. */
static void
node_replace(struct catalog_step *step, struct catalog_node *node, struct blob *body,
    const struct node_info *info, void *arrays, struct catalog_agent *source)
{
	uint64_t number = source == NULL ? node_number(step->c, info->name) : node->modify_index;
	bool equal =
	    number == node->modify_index && str_eq(blob_str(node->body), blob_str(body));
	struct blob *old = node->body;
	struct catalog_service *s = NULL;

	node_unlink(step->c, node);
	free(node->arrays);
	node->info = *info;
	node->arrays = arrays;
	node->body = blob_ref(body);
	node_link(step->c, node);
	blob_unref(old);
	if (equal)
		return;
	node->modify_index = source == NULL ? number : catalog_step_index(step);
	node_touch(step, node->info.name, true);
	while ((s = catalog_service_next(node, s)) != NULL)
		catalog_touch_service(step, s->info.name);
}

/* An external record that was shown on a node that goes. */
static void
slot_vacate(struct catalog *c, const struct catalog_node *node, uint16_t kind, struct str id)
{
	struct catalog_key k;

	if (catalog_external_key(&k, node->info.name, id))
		aside_set(c, kind, k.key, cluster_body(c, kind, k.key) != NULL);
}

static void
node_empty(struct catalog_step *step, struct catalog_node *node)
{
	struct catalog_service *s;
	struct catalog_check *check;
	struct blob *keep; /* the id is in it */

	catalog_serf_remove(step, node);
	node->agent = false; /* that check's id is one like others now */
	while ((check = catalog_check_next(node, NULL)) != NULL) {
		keep = blob_ref(check->body);
		slot_vacate(step->c, node, RECORD_CHECK, check->info.id);
		catalog_check_set(step, node, check->info.id, NULL, (struct catalog_source){ 0 });
		blob_unref(keep);
	}
	while ((s = catalog_service_next(node, NULL)) != NULL) {
		keep = blob_ref(s->body);
		slot_vacate(step->c, node, RECORD_SERVICE, s->info.id);
		catalog_service_set(step, node, s->info.id, NULL, (struct catalog_source){ 0 });
		blob_unref(keep);
	}
}

/* Nobody claims the name any more. External records on it wait for whoever may come. */
static void
node_drop(struct catalog_step *step, struct catalog_node *node)
{
	struct catalog *c = step->c;

	node_empty(step, node);
	RB_REMOVE(catalog_nodes, &c->nodes, node);
	node_unlink(c, node);
	c->counts.nodes--;
	node_touch(step, node->info.name, false);
	catalog_forget(step, WATCH_NODE_CHECKS, node->info.name);
	free(node->arrays);
	blob_unref(node->body);
	free(node);
}

/* A node record's body, when it is for this name. */
static bool
node_load(struct blob *body, struct str name, struct node_info *info, void **arrays)
{
	*arrays = NULL;
	if (body == NULL || node_unpack_owned(arrays, blob_str(body), info, NULL) < 0)
		return false;
	if (str_eq(info->name, name))
		return true;
	free(*arrays);
	return false;
}

/* Looks up who holds the name. `name` must outlive the call. */
static void
node_refresh(struct catalog_step *step, struct str name)
{
	struct catalog *c = step->c;
	struct catalog_agent *source = agent_of_name(c, name);
	struct blob *body = source != NULL ? source->body : cluster_body(c, RECORD_NODE, name);
	struct catalog_node *node = catalog_node_find(c, name);
	struct node_info info;
	bool moved;
	void *arrays;

	if (name.n == 0 || !node_load(body, name, &info, &arrays)) {
		if (node != NULL)
			node_drop(step, node);
		return;
	}
	moved = node == NULL || node->source != source;
	if (node == NULL) {
		node = node_add(step, body, &info, arrays, source);
	} else {
		node_replace(step, node, body, &info, arrays, source);
		node_source_set(c, node, source);
	}
	if (source != NULL)
		catalog_serf_set(step, node, source->life);
	else
		catalog_serf_remove(step, node);
	if (moved)
		node_sync(step, node);
}

/* Agents. */

/* Its node record may have changed: its name goes where that says. */
static void
agent_refresh(struct catalog_step *step, struct catalog_agent *agent)
{
	struct catalog *c = step->c;
	struct blob *before = agent->body, *body = agent_body(c, agent, RECORD_NODE, STR_NONE);
	struct str old_name = agent->name;
	struct node_info info = { 0 };
	void *arrays = NULL;

	if (body != NULL && node_unpack_owned(&arrays, blob_str(body), &info, NULL) < 0)
		body = NULL;
	free(arrays);
	if (before != NULL)
		RB_REMOVE(catalog_agent_names, &c->agent_names, agent);
	agent->body = body == NULL ? NULL : blob_ref(body);
	agent->name = body == NULL ? STR_NONE : info.name;
	if (body != NULL)
		RB_INSERT(catalog_agent_names, &c->agent_names, agent);
	if (before != NULL && !str_eq(old_name, agent->name))
		node_refresh(step, old_name);
	if (body != NULL)
		node_refresh(step, agent->name);
	blob_unref(before);
}

void
catalog_agent_set(struct catalog_step *step, const struct owner *owner, enum agent_life life)
{
	struct catalog_agent *agent = agent_find(step->c, owner_id(owner));

	if (agent == NULL) {
		agent = mem_new(struct catalog_agent);
		agent->id = *owner_id(owner);
		agent->owner = owner;
		RB_INSERT(catalog_agents, &step->c->agents, agent);
	}
	agent->life = life;
	agent_refresh(step, agent);
}

void
catalog_agent_drop(struct catalog_step *step, const struct uuid *id)
{
	struct catalog_agent *agent = agent_find(step->c, id);

	if (agent == NULL)
		return;
	RB_REMOVE(catalog_agents, &step->c->agents, agent);
	if (agent->body != NULL) {
		RB_REMOVE(catalog_agent_names, &step->c->agent_names, agent);
		node_refresh(step, agent->name);
	}
	blob_unref(agent->body);
	free(agent);
}

bool
catalog_node_coordinate(
    const struct catalog *c, const struct catalog_node *node, struct coordinate_info *out)
{
	struct blob *body = node->source != NULL
				? agent_body(c, node->source, RECORD_COORDINATE, STR_NONE)
				: cluster_body(c, RECORD_COORDINATE, node->info.name);

	return body != NULL && coordinate_unpack(blob_str(body), out, NULL) == 0;
}

/* What the store tells. */

static void
agent_record_changed(
    struct catalog_step *step, struct catalog_agent *agent, uint16_t kind, struct str key)
{
	struct catalog_node *node;

	if (kind == RECORD_NODE && key.n == 0)
		agent_refresh(step, agent);
	if (kind == RECORD_COORDINATE && key.n == 0) /* nobody else's answers show it */
		catalog_touch(step, WATCH_COORDINATES, STR_NONE, true);
	if ((kind != RECORD_SERVICE && kind != RECORD_CHECK) || agent->body == NULL)
		return;
	node = catalog_node_find(step->c, agent->name);
	if (node != NULL && node->source == agent)
		slot_refresh(step, node, kind, key);
}

static void
cluster_record_changed(struct catalog_step *step, uint16_t kind, struct str key)
{
	bool there = cluster_body(step->c, kind, key) != NULL;
	struct catalog_agent *agent;
	struct catalog_node *node;
	struct str name, id;
	struct uuid owner;

	if (kind == RECORD_NODE) {
		node_refresh(step, key);
	} else if (kind == RECORD_COORDINATE) {
		catalog_touch(step, WATCH_COORDINATES, STR_NONE, true);
	} else if (kind == RECORD_MASK) {
		aside_set(step->c, kind, key, there);
		if (!catalog_mask_key_read(key, &owner, &kind, &id))
			return;
		agent = agent_find(step->c, &owner);
		if (agent != NULL)
			agent_record_changed(step, agent, kind, id);
	} else if (kind == RECORD_SERVICE || kind == RECORD_CHECK) {
		if (!catalog_external_key_read(key, &name, &id))
			return;
		node = catalog_node_find(step->c, name);
		if (node != NULL)
			slot_refresh(step, node, kind, id);
		else
			aside_set(step->c, kind, key, there);
	}
}

void
catalog_record_changed(
    struct catalog_step *step, const struct uuid *owner, uint16_t kind, struct str key)
{
	struct catalog_agent *agent;

	if (cluster_find(step->c, owner) < step->c->cluster_count) {
		cluster_record_changed(step, kind, key);
		return;
	}
	agent = agent_find(step->c, owner);
	if (agent != NULL)
		agent_record_changed(step, agent, kind, key);
}

void
catalog_epoch_changed(struct catalog_step *step, const struct uuid *owner)
{
	struct str prefix = str_mem(owner->b, sizeof owner->b), of;
	struct catalog_agent *agent = agent_find(step->c, owner);
	const struct catalog_aside *mask = NULL;
	struct uuid id;
	uint16_t kind;

	if (agent == NULL)
		return;
	while ((mask = catalog_aside_next(step->c, RECORD_MASK, prefix, mask)) != NULL)
		if (catalog_mask_key_read(mask->key, &id, &kind, &of))
			agent_record_changed(step, agent, kind, of);
}

/* Virtual owners. */

static void
cluster_refresh(struct catalog_step *step, const struct owner *cluster)
{
	const struct owner_range all = { .upto = UINT64_MAX };
	struct owner_record r;
	uint64_t cursor = 0;

	while (owner_range_next(cluster, &all, &cursor, &r))
		if (!r.gone)
			cluster_record_changed(step, r.kind, r.key);
}

bool
catalog_cluster_add(struct catalog_step *step, const struct owner *cluster)
{
	struct catalog *c = step->c;
	size_t at = c->cluster_count;

	if (cluster_find(c, owner_id(cluster)) < c->cluster_count)
		return true;
	if (c->cluster_count == CATALOG_CLUSTERS_MAX)
		return false;
	for (; at > 0 && uuid_cmp(owner_id(cluster), owner_id(c->clusters[at - 1])) < 0; at--)
		c->clusters[at] = c->clusters[at - 1];
	c->clusters[at] = cluster;
	c->cluster_count++;
	cluster_refresh(step, cluster);
	return true;
}

void
catalog_cluster_drop(struct catalog_step *step, const struct uuid *id)
{
	struct catalog *c = step->c;
	size_t at = cluster_find(c, id);
	const struct owner *cluster;

	if (at == c->cluster_count)
		return;
	cluster = c->clusters[at];
	c->cluster_count--;
	for (; at < c->cluster_count; at++)
		c->clusters[at] = c->clusters[at + 1];
	cluster_refresh(step, cluster);
}
