/* kv/catalog_priv.h -- the catalog's inside, for catalog*.c, store*.c and their tests.
 *
 * The catalog is a view: records stay with their owners, and a slot (a node's name, or an id on
 * a node) is looked up anew whenever one of the records that claim it has changed. What does not
 * show is not kept here. All changes of one step share one index, taken at the first of them.
 *
 *     catalog.c         trees, reading
 *     catalog_update.c  services and checks: what a change does to objects, health and scopes
 *     catalog_claim.c   nodes, and who of several claimants shows
 *     catalog_key.c     keys of external records and of masks
 */
#ifndef KV_CATALOG_PRIV_H
#define KV_CATALOG_PRIV_H

#include "kv/catalog.h"
#include "kv/index.h"
#include "kv/owner.h"
#include "kv/watch.h"

/* How an agent whose records may show is; the better one holds a name. */
enum agent_life { AGENT_ALIVE, AGENT_KEPT, AGENT_FAILED };

struct catalog_agent {
	struct uuid id;
	const struct owner *owner; /* borrowed */
	enum agent_life life;
	struct blob *body; /* its node record as last seen; NULL: none */
	struct str name;   /* in body */
	RB_ENTRY(catalog_agent) by_id;
	RB_ENTRY(catalog_agent) by_name; /* (name, id); only with a body */
};

/* An external record that does not show: its node is not known, or its place is taken. Masks,
 * which never show, are listed here too. Only the key; the record is its owner's. */
struct catalog_aside {
	RB_ENTRY(catalog_aside) link; /* (kind, key) */
	uint16_t kind;
	struct str key; /* behind the struct */
};

RB_HEAD(catalog_nodes, catalog_node);
RB_HEAD(catalog_node_ids, catalog_node);
RB_HEAD(catalog_node_addresses, catalog_node);
RB_HEAD(catalog_names, catalog_name);
RB_HEAD(catalog_folded, catalog_name);
RB_HEAD(catalog_addresses, catalog_service);
RB_HEAD(catalog_agents, catalog_agent);
RB_HEAD(catalog_agent_names, catalog_agent);
RB_HEAD(catalog_asides, catalog_aside);

#define CATALOG_CLUSTERS_MAX 64 /* a pool has one, seldom a few */

struct catalog {
	struct catalog_nodes nodes;
	struct catalog_node_ids node_ids;
	struct catalog_node_addresses node_addresses;
	struct catalog_names names;
	struct catalog_folded folded;
	struct catalog_addresses addresses;
	struct catalog_agents agents;
	struct catalog_agent_names agent_names;
	struct catalog_asides asides;
	size_t mask_count;
	struct catalog_counts counts;
	struct watches *watches;     /* borrowed, as all below */
	struct index_clock *index;
	struct marks *marks; /* owned */
	/* The virtual owners, by id; of several with one record the first one's shows. */
	const struct owner *clusters[CATALOG_CLUSTERS_MAX];
	size_t cluster_count;
};

#define CATALOG_TREES(X)                                                                           \
	X(catalog_nodes, catalog_node, by_name, catalog_node_cmp)                                  \
	X(catalog_node_ids, catalog_node, by_id, catalog_node_id_cmp)                              \
	X(catalog_node_addresses, catalog_node, by_address, catalog_node_address_cmp)              \
	X(catalog_names, catalog_name, link, catalog_name_cmp)                                     \
	X(catalog_folded, catalog_name, folded, catalog_folded_cmp)                                \
	X(catalog_addresses, catalog_service, by_address, catalog_address_cmp)                     \
	X(catalog_agents, catalog_agent, by_id, catalog_agent_cmp)                                 \
	X(catalog_agent_names, catalog_agent, by_name, catalog_agent_name_cmp)                     \
	X(catalog_asides, catalog_aside, link, catalog_aside_cmp)                                  \
	X(catalog_node_services, catalog_service, by_node, catalog_service_cmp)                    \
	X(catalog_name_services, catalog_service, by_name, catalog_instance_cmp)                   \
	X(catalog_node_checks, catalog_check, by_node, catalog_check_cmp)                          \
	X(catalog_node_tied, catalog_check, by_service, catalog_tied_cmp)

#define CATALOG_TREE_PROTOTYPE(name, type, field, cmp) RB_PROTOTYPE(name, type, field, cmp)
CATALOG_TREES(CATALOG_TREE_PROTOTYPE)

/* One step: everything that one call into the store changes. */
struct catalog_step {
	struct catalog *c;
	int64_t wall_ms;
	uint64_t index; /* 0: nothing has changed yet */
};

static inline struct catalog_step
catalog_step(struct catalog *c, int64_t wall_ms)
{
	return (struct catalog_step){ c, wall_ms, 0 };
}

/* catalog.c */
struct catalog *catalog_new(struct watches *, struct index_clock *);
void catalog_free(struct catalog *); /* NULL is fine */

/* Of whom a slot is. External: the record's number is its ModifyIndex, the same at every agent, so
 * that a condition on it means the same everywhere; an agent's own: an index of this agent
 * (RULES 12). */
struct catalog_source {
	bool external;
	uint64_t number;
};

/* catalog_update.c. A body of NULL: the slot is empty now. */
uint64_t catalog_step_index(struct catalog_step *);
void catalog_touch(struct catalog_step *, enum watch_kind, struct str name, bool lives);
void catalog_forget(struct catalog_step *, enum watch_kind, struct str name);
void catalog_touch_service(struct catalog_step *, struct str name); /* SERVICE and _HEALTH */
uint64_t catalog_modify_index(struct catalog_step *, struct catalog_source);
void catalog_service_set(struct catalog_step *, struct catalog_node *, struct str id,
    struct blob *body, struct catalog_source);
void catalog_check_set(struct catalog_step *, struct catalog_node *, struct str id,
    struct blob *body, struct catalog_source);
void catalog_serf_set(struct catalog_step *, struct catalog_node *, enum agent_life);
void catalog_serf_remove(struct catalog_step *, struct catalog_node *);
void catalog_service_free(struct catalog_service *);
void catalog_check_free(struct catalog_check *);

/* catalog_claim.c: what the store tells. */

/* An agent's records may show, with this state; also for a change of state. */
void catalog_agent_set(struct catalog_step *, const struct owner *, enum agent_life);
/* They no longer may. */
void catalog_agent_drop(struct catalog_step *, const struct uuid *);
/* A virtual owner's records may show: our own cluster's, or another's (RULES 4, 8). False: there are
 * CATALOG_CLUSTERS_MAX already. */
bool catalog_cluster_add(struct catalog_step *, const struct owner *);
void catalog_cluster_drop(struct catalog_step *, const struct uuid *);
/* This record of an owner has changed, gone, come, or been numbered anew. */
void catalog_record_changed(struct catalog_step *, const struct uuid *owner, uint16_t kind,
    struct str key);
/* The owner's epoch has changed, so masks on its records may have ended. */
void catalog_epoch_changed(struct catalog_step *, const struct uuid *owner);

/* catalog_key.c: keys and bodies of the virtual owner's records. False: it would be too long, or
 * a node's name holds a NUL. */
#define CATALOG_MASK_HEAD 18 /* owner id and kind, before the hidden record's key */
struct catalog_key {
	struct str key; /* in bytes */
	char bytes[RECORD_KEY_MAX];
};
bool catalog_external_key(struct catalog_key *, struct str node, struct str id);
bool catalog_mask_key(struct catalog_key *, const struct uuid *, uint16_t kind, struct str key);
bool catalog_external_key_read(struct str key, struct str *node, struct str *id);
bool catalog_mask_key_read(struct str key, struct uuid *, uint16_t *kind, struct str *of);

struct catalog_mask { /* the version that is hidden */
	struct epoch epoch;
	uint64_t number;
};
#define CATALOG_MASK_MAX 28 /* bytes of a mask's body */
void catalog_mask_write(struct writer *, const struct catalog_mask *);
bool catalog_mask_read(struct str body, struct catalog_mask *out);
/* Whether a mask hides the record as its owner has it now. */
bool catalog_masked(const struct catalog *, const struct owner *, uint16_t kind, struct str key);

/* The asides whose key begins so, in order; NULL starts and ends. */
struct catalog_aside *catalog_aside_next(const struct catalog *, uint16_t kind, struct str prefix,
    const struct catalog_aside *before);

#endif
