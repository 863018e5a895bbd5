/* agent/http/near.c -- ?near=: lists in order of the estimated round-trip time from a node.
 *
 * As Consul: what has no coordinate comes last, equals stay in the catalog's order (nearness.h).
 */
#include <stdlib.h>

#include "agent/http/api.h"
#include "agent/pool/nearness.h"

struct near_entry { /* of what is sorted */
	nsec distance;
	size_t place; /* in the catalog's order */
	const void *item;
};

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
	struct nearness from;
	struct near_entry *entries;
	struct catalog_node *n = NULL;
	size_t count = 0;

	if (sel->near.n == 0)
		return true;
	entries = entries_new(req, catalog_counts(catalog).nodes, reply);
	if (entries == NULL)
		return false;
	from = nearness_from(store_catalog(api->store), sel->near);
	while ((n = catalog_node_next(catalog, n)) != NULL) {
		entries[count] = (struct near_entry){ nearness_to(&from, n), count, n };
		count++;
	}
	entries_sort(sel, entries, count);
	return true;
}

bool
selection_sort_instances(const struct api *api, const struct http_request *req,
    struct selection *sel, const struct catalog_name *name, struct http_reply *reply)
{
	struct nearness from;
	struct near_entry *entries;
	struct catalog_service *s = NULL;
	size_t count = 0;

	if (sel->near.n == 0 || name == NULL)
		return true;
	entries = entries_new(req, name->count, reply);
	if (entries == NULL)
		return false;
	from = nearness_from(store_catalog(api->store), sel->near);
	while ((s = catalog_instance_next(name, s)) != NULL) {
		entries[count] = (struct near_entry){ nearness_to(&from, s->node), count, s };
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
