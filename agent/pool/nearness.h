/* agent/pool/nearness.h -- how far nodes are from one, by the coordinates in the catalog.
 *
 * As Consul: what has no coordinate is farther than all else. Beyond it: the node itself is always
 * the nearest, also when nobody has a coordinate.
 */
#ifndef AGENT_NEARNESS_H
#define AGENT_NEARNESS_H

#include <stdbool.h>

#include "base/nsec.h"
#include "gossip/coordinate.h"
#include "kv/catalog.h"

struct nearness {
	const struct catalog *catalog;
	const struct catalog_node *node; /* NULL: there is no such node */
	bool known;                      /* it has a coordinate */
	struct serf_coordinate at;
};

/* From a node by its name; the exact spelling wins over others. */
struct nearness nearness_from(const struct catalog *, struct str node);
/* An estimated round-trip time; -1: it is the node itself, NSEC_NEVER: not known. */
nsec nearness_to(const struct nearness *, const struct catalog_node *);

/* Where a node is, as the catalog knows it and reckons with it; false: it does not. */
bool nearness_coordinate(
    const struct catalog *, const struct catalog_node *, struct serf_coordinate *out);

#endif
