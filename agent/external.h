/* agent/external.h -- records of nodes that are no agents (/v1/catalog/register, RULES 4, 5).
 *
 * One operation of Consul's catalog API as a value, and what it means as steps for the log
 * (kv/fsm_external.h): planned on the catalog as it is seen here, carried out by Raft. Several may
 * be planned one behind the other; later ones see what earlier ones will have done.
 */
#ifndef AGENT_EXTERNAL_H
#define AGENT_EXTERNAL_H

#include "base/err.h"
#include "kv/fsm_external.h"
#include "kv/store.h"

struct external_register {
	struct node_info node;
	bool skip_node_update;
	bool has_service;
	struct service_info service;
	struct check_info *checks;
	size_t check_count;
};

struct external_deregister {
	struct str node, service_id, check_id; /* only node: the node with all that is on it */
};

#define EXTERNAL_CHECKS_MAX 1024 /* checks in one registration */

/* Adds the steps. 0; ERR_INPUT/ERR_CONFLICT with Consul's text (its handler answers 500 to all of
 * them); ERR_LIMIT: ours. Defaults (ids, status, the type of a check by its definition, weights of 0
 * and 0) are filled in here; node.datacenter is the caller's. A name that is an agent's gets no node
 * record: services and checks are added to that agent's node. */
int external_register(
    const struct store *, const struct external_register *, struct buf *steps, struct err *);
/* Unknown things are fine. What an agent owns is masked until it says so again (RULES 5). */
int external_deregister(
    const struct store *, const struct external_deregister *, struct buf *steps, struct err *);

/* Where an external node is in the network. What an agent says of itself counts more. */
int external_coordinate(
    struct str node, const struct coordinate_info *, struct buf *steps, struct err *);

/* The key of a service's or check's record on a node. */
void external_key(struct buf *, struct str node, struct str id);
/* A record as it is here, without what is planned. */
bool external_find(
    const struct store *, uint16_t kind, struct str key, struct owner_record *out);
/* Whether the steps put this record (*body, borrowed), remove it, or leave it as it is. */
enum external_planned { EXTERNAL_AS_IS, EXTERNAL_PUT, EXTERNAL_GONE };
enum external_planned external_planned(
    const struct buf *steps, uint16_t kind, struct str key, struct str *body);

#endif
