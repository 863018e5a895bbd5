/* agent/http/near.c -- ?near=: lists in order of the estimated round-trip time from a node.
 *
 * As Consul: what has no coordinate comes last, equals stay in the catalog's order. Beyond it:
 * the node's own entries always come first, also when nobody has a coordinate.
 */
#include <stdlib.h>

#include "agent/coordinate_publish.h"
#include "agent/http/api.h"

struct near_entry { /* of what is sorted */
	nsec distance;
	size_t place; /* in the catalog's order */
	const void *item;
};

struct near_from {
	const struct catalog_node *node; /* NULL: there is no such node */
	bool known;
	struct serf_coordinate at;
};

bool
near_coordinate(const struct catalog_node *node, struct serf_coordinate *out)
{
	struct coordinate_info info;
	struct serf_coordinate c;

	if (!catalog_node_coordinate(node, &info))
		return false;
	c = coordinate_of_info(&info);
	if (!coordinate_valid(&c))
		return false;
	*out = c;
	return true;
}

static struct near_from
from_of(const struct api *api, struct str name)
{
	const struct catalog *catalog = store_catalog(api->store);
	struct near_from from = { .node = catalog_node_find(catalog, name) };

	if (from.node == NULL)
		from.node = catalog_node_find_nocase(catalog, name);
	from.known = from.node != NULL && near_coordinate(from.node, &from.at);
	return from;
}

static nsec
distance_to(const struct near_from *from, const struct catalog_node *node)
{
	struct serf_coordinate at;

	if (node == from->node)
		return -1;
	if (!from->known || !near_coordinate(node, &at))
		return NSEC_NEVER;
	return coordinate_distance(&from->at, &at);
}

static int
entry_order(const void *a, const void *b)
{
	const struct near_entry *x = a, *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->place < y->place ? -1 : 1;
}

/* Room for `count` entries; NULL after an error reply. */
static struct near_entry *
entries_new(const struct http_request *req, size_t count, struct http_reply *reply)
{
	struct near_entry *e = arena_array(req->arena, struct near_entry, count + 1);

	if (e == NULL)
		reply_error(reply, 429, "The answer is too large");
	return e;
}

static void
entries_sort(struct selection *sel, struct near_entry *entries, size_t count)
{
	if (count > 1)
		qsort(entries, count, sizeof *entries, entry_order);
	sel->sorted = entries;
	sel->sorted_count = count;
	sel->sorted_at = 0;
}

static const void *
entries_next(struct selection *sel)
{
	return sel->sorted_at < sel->sorted_count ? sel->sorted[sel->sorted_at++].item : NULL;
}

bool
selection_sort_nodes(const struct api *api, const struct http_request *req, struct selection *sel,
    struct http_reply *reply)
{
	const struct catalog *catalog = store_catalog(api->store);
	struct near_from from;
	struct near_entry *entries;
	struct catalog_node *n = NULL;
	size_t count = 0;

	if (sel->near.n == 0)
		return true;
	entries = entries_new(req, catalog_counts(catalog).nodes, reply);
	if (entries == NULL)
		return false;
	from = from_of(api, sel->near);
	while ((n = catalog_node_next(catalog, n)) != NULL) {
		entries[count] = (struct near_entry){ distance_to(&from, n), count, n };
		count++;
	}
	entries_sort(sel, entries, count);
	return true;
}

bool
selection_sort_instances(const struct api *api, const struct http_request *req,
    struct selection *sel, const struct catalog_name *name, struct http_reply *reply)
{
	struct near_from from;
	struct near_entry *entries;
	struct catalog_service *s = NULL;
	size_t count = 0;

	if (sel->near.n == 0 || name == NULL)
		return true;
	entries = entries_new(req, name->count, reply);
	if (entries == NULL)
		return false;
	from = from_of(api, sel->near);
	while ((s = catalog_instance_next(name, s)) != NULL) {
		entries[count] = (struct near_entry){ distance_to(&from, s->node), count, s };
		count++;
	}
	entries_sort(sel, entries, count);
	return true;
}

const struct catalog_node *
selection_node_next(
    struct selection *sel, const struct catalog *catalog, const struct catalog_node *before)
{
	return sel->sorted != NULL ? entries_next(sel) : catalog_node_next(catalog, before);
}

const struct catalog_service *
selection_instance_next(
    struct selection *sel, const struct catalog_name *name, const struct catalog_service *before)
{
	if (name == NULL)
		return NULL;
	return sel->sorted != NULL ? entries_next(sel) : catalog_instance_next(name, before);
}
