/* kv/catalog.c -- the catalog's trees, and reading them.
 *
 * Order: node names and ids compare without regard to case first and by bytes then, which makes
 * one tree serve exact lookups, DNS's lookups and listings in Consul's order. Service names have
 * two trees, since Consul lists them by bytes.
 */
#include "kv/catalog.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kv/catalog_priv.h"

static int
fold_cmp(struct str a, struct str b)
{
	int c = str_cmp_nocase(a, b);

	return c != 0 ? c : str_cmp(a, b);
}

static int
catalog_node_cmp(const struct catalog_node *a, const struct catalog_node *b)
{
	return fold_cmp(a->info.name, b->info.name);
}

static int
catalog_node_id_cmp(const struct catalog_node *a, const struct catalog_node *b)
{
	int c = str_cmp_nocase(a->info.id, b->info.id);

	return c != 0 ? c : catalog_node_cmp(a, b);
}

static int
catalog_node_address_cmp(const struct catalog_node *a, const struct catalog_node *b)
{
	int c = str_cmp(a->info.address, b->info.address);

	return c != 0 ? c : catalog_node_cmp(a, b);
}

static int
catalog_name_cmp(const struct catalog_name *a, const struct catalog_name *b)
{
	return str_cmp(a->name, b->name);
}

static int
catalog_folded_cmp(const struct catalog_name *a, const struct catalog_name *b)
{
	return fold_cmp(a->name, b->name);
}

static int
catalog_service_cmp(const struct catalog_service *a, const struct catalog_service *b)
{
	return fold_cmp(a->info.id, b->info.id);
}

static int
catalog_instance_cmp(const struct catalog_service *a, const struct catalog_service *b)
{
	int c = a->node == b->node ? 0 : catalog_node_cmp(a->node, b->node);

	return c != 0 ? c : catalog_service_cmp(a, b);
}

static int
catalog_address_cmp(const struct catalog_service *a, const struct catalog_service *b)
{
	int c = str_cmp(a->info.address, b->info.address);

	if (c == 0)
		c = str_cmp(a->info.name, b->info.name);
	return c != 0 ? c : catalog_instance_cmp(a, b);
}

static int
catalog_check_cmp(const struct catalog_check *a, const struct catalog_check *b)
{
	return fold_cmp(a->info.id, b->info.id);
}

static int
catalog_tied_cmp(const struct catalog_check *a, const struct catalog_check *b)
{
	int c = fold_cmp(a->info.service_id, b->info.service_id);

	return c != 0 ? c : catalog_check_cmp(a, b);
}

static int
catalog_agent_cmp(const struct catalog_agent *a, const struct catalog_agent *b)
{
	return uuid_cmp(&a->id, &b->id);
}

static int
catalog_agent_name_cmp(const struct catalog_agent *a, const struct catalog_agent *b)
{
	int c = str_cmp(a->name, b->name);

	return c != 0 ? c : uuid_cmp(&a->id, &b->id);
}

static int
catalog_aside_cmp(const struct catalog_aside *a, const struct catalog_aside *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return str_cmp(a->key, b->key);
}

#define CATALOG_TREE_GENERATE(name, type, field, cmp) RB_GENERATE(name, type, field, cmp)
CATALOG_TREES(CATALOG_TREE_GENERATE)

struct catalog *
catalog_new(struct watches *watches, struct index_clock *index)
{
	struct catalog *c = mem_new(struct catalog);

	c->watches = watches;
	c->index = index;
	c->marks = mem_new(struct marks);
	return c;
}

static void
catalog_node_empty(struct catalog_node *node)
{
	struct catalog_service *s;
	struct catalog_check *check;

	while ((check = RB_ROOT(&node->checks)) != NULL) {
		RB_REMOVE(catalog_node_checks, &node->checks, check);
		catalog_check_free(check);
	}
	while ((s = RB_ROOT(&node->services)) != NULL) {
		RB_REMOVE(catalog_node_services, &node->services, s);
		catalog_service_free(s);
	}
}

void
catalog_free(struct catalog *c)
{
	struct catalog_node *node;
	struct catalog_name *name;
	struct catalog_agent *agent;
	struct catalog_aside *aside;

	if (c == NULL)
		return;
	while ((node = RB_ROOT(&c->nodes)) != NULL) {
		RB_REMOVE(catalog_nodes, &c->nodes, node);
		catalog_node_empty(node);
		free(node->arrays);
		blob_unref(node->body);
		free(node);
	}
	while ((name = RB_ROOT(&c->names)) != NULL) {
		RB_REMOVE(catalog_names, &c->names, name);
		free(name);
	}
	while ((agent = RB_ROOT(&c->agents)) != NULL) {
		RB_REMOVE(catalog_agents, &c->agents, agent);
		blob_unref(agent->body);
		free(agent);
	}
	while ((aside = RB_ROOT(&c->asides)) != NULL) {
		RB_REMOVE(catalog_asides, &c->asides, aside);
		free(aside);
	}
	free(c->marks);
	free(c);
}

struct marks *
catalog_marks(const struct catalog *c)
{
	return c->marks;
}

/* Reading. The loops below do what RB_FIND does, on trees that are const here. */

struct catalog_node *
catalog_node_find(const struct catalog *c, struct str name)
{
	struct catalog_node *at = RB_ROOT(&c->nodes);

	while (at != NULL) {
		int d = fold_cmp(name, at->info.name);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, by_name) : RB_RIGHT(at, by_name);
	}
	return NULL;
}

/* The first of those whose names differ in case only. */
struct catalog_node *
catalog_node_find_nocase(const struct catalog *c, struct str name)
{
	struct catalog_node *at = RB_ROOT(&c->nodes), *found = NULL;

	while (at != NULL) {
		int d = str_cmp_nocase(name, at->info.name);

		if (d == 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, by_name) : RB_RIGHT(at, by_name);
	}
	return found;
}

struct catalog_node *
catalog_node_find_id(const struct catalog *c, struct str id)
{
	struct catalog_node *at = RB_ROOT(&c->node_ids), *found = NULL;

	if (id.n == 0)
		return NULL;
	while (at != NULL) {
		int d = str_cmp_nocase(id, at->info.id);

		if (d == 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, by_id) : RB_RIGHT(at, by_id);
	}
	return found;
}

struct catalog_node *
catalog_node_by_address(const struct catalog *c, struct str address)
{
	struct catalog_node *at = RB_ROOT(&c->node_addresses), *found = NULL;

	while (at != NULL) {
		int d = str_cmp(address, at->info.address);

		if (d == 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, by_address) : RB_RIGHT(at, by_address);
	}
	return found;
}

struct catalog_service *
catalog_service_by_address(const struct catalog *c, struct str address)
{
	struct catalog_service *at = RB_ROOT(&c->addresses), *found = NULL;

	while (at != NULL) {
		int d = str_cmp(address, at->info.address);

		if (d == 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, by_address) : RB_RIGHT(at, by_address);
	}
	return found;
}

struct catalog_name *
catalog_name_find(const struct catalog *c, struct str name)
{
	struct catalog_name *at = RB_ROOT(&c->names);

	while (at != NULL) {
		int d = str_cmp(name, at->name);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, link) : RB_RIGHT(at, link);
	}
	return NULL;
}

struct catalog_name *
catalog_name_find_nocase(const struct catalog *c, struct str name)
{
	struct catalog_name *at = RB_ROOT(&c->folded), *found = NULL;

	while (at != NULL) {
		int d = str_cmp_nocase(name, at->name);

		if (d == 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, folded) : RB_RIGHT(at, folded);
	}
	return found;
}

struct catalog_service *
catalog_service_find(const struct catalog_node *node, struct str id)
{
	struct catalog_service *at = RB_ROOT(&node->services);

	while (at != NULL) {
		int d = fold_cmp(id, at->info.id);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, by_node) : RB_RIGHT(at, by_node);
	}
	return NULL;
}

struct catalog_check *
catalog_check_find(const struct catalog_node *node, struct str id)
{
	struct catalog_check *at = RB_ROOT(&node->checks);

	while (at != NULL) {
		int d = fold_cmp(id, at->info.id);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, by_node) : RB_RIGHT(at, by_node);
	}
	return NULL;
}

/* Links are written through pointers to the objects, never through the const heads. */
#define TREE_MIN(head, field, out)                                                 \
	for ((out) = RB_ROOT(head); (out) != NULL && RB_LEFT(out, field) != NULL;) \
	(out) = RB_LEFT(out, field)
#define TREE_AFTER(tree, type, at) tree##_RB_NEXT((type *)(uintptr_t)(at))

struct catalog_node *
catalog_node_next(const struct catalog *c, const struct catalog_node *before)
{
	struct catalog_node *at;

	if (before != NULL)
		return TREE_AFTER(catalog_nodes, struct catalog_node, before);
	TREE_MIN(&c->nodes, by_name, at);
	return at;
}

struct catalog_name *
catalog_name_next(const struct catalog *c, const struct catalog_name *before)
{
	struct catalog_name *at;

	if (before != NULL)
		return TREE_AFTER(catalog_names, struct catalog_name, before);
	TREE_MIN(&c->names, link, at);
	return at;
}

struct catalog_service *
catalog_instance_next(const struct catalog_name *name, const struct catalog_service *before)
{
	struct catalog_service *at;

	if (before != NULL)
		return TREE_AFTER(catalog_name_services, struct catalog_service, before);
	TREE_MIN(&name->services, by_name, at);
	return at;
}

struct catalog_service *
catalog_service_next(const struct catalog_node *node, const struct catalog_service *before)
{
	struct catalog_service *at;

	if (before != NULL)
		return TREE_AFTER(catalog_node_services, struct catalog_service, before);
	TREE_MIN(&node->services, by_node, at);
	return at;
}

struct catalog_check *
catalog_check_next(const struct catalog_node *node, const struct catalog_check *before)
{
	struct catalog_check *at;

	if (before != NULL)
		return TREE_AFTER(catalog_node_checks, struct catalog_check, before);
	TREE_MIN(&node->checks, by_node, at);
	return at;
}

/* The checks of a node that name this service id: one run in the tree of tied checks. */
static struct catalog_check *
tied_next(
    const struct catalog_node *node, struct str service_id, const struct catalog_check *before)
{
	struct catalog_check *at = RB_ROOT(&node->tied), *found = NULL;

	if (before != NULL) {
		found = TREE_AFTER(catalog_node_tied, struct catalog_check, before);
		return found != NULL && str_eq(found->info.service_id, service_id) ? found : NULL;
	}
	while (at != NULL) {
		int d = fold_cmp(service_id, at->info.service_id);

		if (d == 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, by_service) : RB_RIGHT(at, by_service);
	}
	return found;
}

struct catalog_check *
catalog_service_check_next(const struct catalog_service *s, const struct catalog_check *before)
{
	return tied_next(s->node, s->info.id, before);
}

struct catalog_check *
catalog_node_check_next(const struct catalog_node *node, const struct catalog_check *before)
{
	return tied_next(node, STR_NONE, before);
}

struct catalog_aside *
catalog_aside_next(
    const struct catalog *c, uint16_t kind, struct str prefix, const struct catalog_aside *before)
{
	struct catalog_aside probe = { .kind = kind, .key = prefix };
	struct catalog_aside *at = RB_ROOT(&c->asides), *found = NULL;

	if (before != NULL)
		found = TREE_AFTER(catalog_asides, struct catalog_aside, before);
	while (before == NULL && at != NULL) {
		int d = catalog_aside_cmp(&probe, at);

		if (d <= 0)
			found = at;
		at = d <= 0 ? RB_LEFT(at, link) : RB_RIGHT(at, link);
	}
	if (found == NULL || found->kind != kind || !str_starts(found->key, prefix))
		return NULL;
	return found;
}

struct catalog_counts
catalog_counts(const struct catalog *c)
{
	return c->counts;
}
