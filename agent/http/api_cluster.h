/* agent/http/api_cluster.h -- what comes from the cluster to the API: answers that clients wait for.
 * Called by whoever carries the cluster's actions out.
 */
#ifndef AGENT_HTTP_API_CLUSTER_H
#define AGENT_HTTP_API_CLUSTER_H

#include "agent/server/cluster.h"
#include "agent/http/api.h"

/* CLUSTER_ANSWER. A request that nobody waits for is passed over. */
void api_cluster_answer(struct api *, struct now, const struct cluster_action *);

/* CLUSTER_ASKED: another agent's request; its answer goes to cluster_served(). CLUSTER_DROPPED: it
 * does not wait any more; one that is not known is passed over. */
void api_cluster_asked(struct api *, struct now, const struct cluster_action *);
void api_cluster_dropped(struct api *, const struct cluster_action *);

#endif
