/* agent/pool/nearness.c -- see nearness.h. */
#include "agent/pool/nearness.h"

#include "agent/pool/coordinate_publish.h"

bool
nearness_coordinate(
    const struct catalog *catalog, const struct catalog_node *node, struct serf_coordinate *out)
{
	struct coordinate_info info;
	struct serf_coordinate c;

	if (!catalog_node_coordinate(catalog, node, &info))
		return false;
	c = coordinate_of_info(&info);
	if (!coordinate_valid(&c))
		return false;
	*out = c;
	return true;
}

struct nearness
nearness_from(const struct catalog *catalog, struct str node)
{
	struct nearness from = { .catalog = catalog, .node = catalog_node_find(catalog, node) };

	if (from.node == NULL)
		from.node = catalog_node_find_nocase(catalog, node);
	from.known = from.node != NULL && nearness_coordinate(catalog, from.node, &from.at);
	return from;
}

nsec
nearness_to(const struct nearness *from, const struct catalog_node *node)
{
	struct serf_coordinate at;

	if (node == from->node)
		return -1;
	if (!from->known || !nearness_coordinate(from->catalog, node, &at))
		return NSEC_NEVER;
	return coordinate_distance(&from->at, &at);
}
