/* agent/pool/coordinate_publish.h -- when this agent's coordinate is worth telling everybody.
 *
 * Probes teach an agent the coordinates of those it has probed; answers about all nodes need all of
 * them. So each agent has its own as a record of the catalog (RECORD_COORDINATE) and renews it only
 * when it has moved notably, seldom, and the more seldom the larger the pool is: a pool that is
 * at rest is silent. A plain value without I/O:
 *
 *     at coordinate_publish_deadline():
 *         if (coordinate_publish(&p, now, pool_coordinates(pool), members, &info))
 *             local_coordinate_put(local, now, &info, &err);
 */
#ifndef AGENT_COORDINATE_PUBLISH_H
#define AGENT_COORDINATE_PUBLISH_H

#include <stdbool.h>

#include "base/nsec.h"
#include "base/rng.h"
#include "gossip/coordinate.h"
#include "kv/entity.h"

#define COORDINATE_PUBLISH_FIRST (20 * NSEC_SEC)    /* after the start: a few samples are in */
#define COORDINATE_PUBLISH_INTERVAL (60 * NSEC_SEC) /* the shortest between two */
#define COORDINATE_PUBLISH_LOOK (10 * NSEC_SEC) /* how often it is looked whether it has moved */
#define COORDINATE_PUBLISH_RATE 4               /* a second, all members of the pool together */

struct coordinate_publish {
	struct rng rng;
	bool told;
	struct serf_coordinate last; /* as it was told */
	uint64_t samples;            /* there were then */
	nsec at;                     /* the next look */
};

/* `last`: what the catalog says of us already (catalog_node_coordinate()); NULL: nothing. */
void coordinate_publish_init(
    struct coordinate_publish *, uint64_t seed, nsec now, const struct coordinate_info *last);
/* True: `out` is to be put now. Before its moment has come nothing happens. members: of the pool.
 */
bool coordinate_publish(struct coordinate_publish *, nsec now, const struct coordinates *,
    size_t members, struct coordinate_info *out);
nsec coordinate_publish_deadline(const struct coordinate_publish *);

/* The same numbers in the words of either room. */
struct serf_coordinate coordinate_of_info(const struct coordinate_info *);
struct coordinate_info coordinate_to_info(const struct serf_coordinate *);

#endif
