/* agent/external.h -- records of nodes that are no agents (/v1/catalog/register, RULES 4, 5).
 *
 * One operation of Consul's catalog API as a value, and what carries it out. Here it is applied
 * at once as the virtual owner and kept in the journal; it is what Raft will apply.
 */
#ifndef AGENT_EXTERNAL_H
#define AGENT_EXTERNAL_H

#include "agent/journal_io.h"
#include "base/err.h"
#include "base/nsec.h"
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

struct external;

struct external *external_new(struct store *, struct journal *, const struct uuid *cluster);
void external_free(struct external *);
/* What the journal holds is put back. */
int external_restore(struct external *, struct now, struct err *);

/* 1: something changed, 0: equal; ERR_INPUT/ERR_CONFLICT with Consul's text (its handler answers
 * 500 to all of them); ERR_LIMIT, ERR_IO: ours. Defaults (ids, status, the type of a check by its
 * definition, weights of 0 and 0) are filled in here; node.datacenter is the caller's. A name
 * that is an agent's gets no node record: services and checks are added to that agent's node. */
int external_register(struct external *, struct now, const struct external_register *, struct err *);
/* Unknown things are fine (0). What an agent owns is masked until it says so again (RULES 5). */
int external_deregister(struct external *, struct now, const struct external_deregister *,
    struct err *);

#endif
