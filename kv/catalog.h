/* kv/catalog.h -- the whole cluster's nodes, services and checks, indexed for answers.
 *
 * Built from records (store.h feeds it), read by DNS and HTTP. Indexes: nodes by name, by id and
 * by address; services by (node, id), by name and by address; checks by (node, id) and by
 * service.
 * What is read is borrowed and valid until the store's next change. Every object has Consul's
 * CreateIndex and ModifyIndex, local to this agent (RULES 12) but for external records, whose
 * ModifyIndex is the log's.
 *
 * Two claims to one name: RULES 3 (nodes: the live holder, then the lowest id) and 5 (services
 * and checks on one node: the owner's beats the external one). The loser is kept and shown as
 * soon as the winner goes. A node whose agent has failed keeps its entries; its serfHealth
 * check, made here from what membership says, is critical, so that DNS and ?passing leave it
 * out. Services and checks of a node that is not known (yet) wait unseen.
 */
#ifndef KV_CATALOG_H
#define KV_CATALOG_H

#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/uuid.h"
#include "kv/entity.h"
#include "kv/marks.h"
#include "kv/watch.h"

struct catalog;
struct catalog_agent;
struct catalog_node;
struct catalog_name;

/* A service instance. All of this is read-only for everybody outside catalog*.c. Where info.node
 * or a check's info.service_name are wanted, take node->info.name and the info as it is here: a
 * check that belongs to a service shows that service's present name and tags. */
struct catalog_service {
	struct service_info info; /* slices into body; arrays owned by the catalog */
	struct catalog_node *node;
	struct catalog_name *of;  /* all instances of this name */
	uint64_t create_index, modify_index;
	enum check_status health; /* worst of its checks and its node's checks */
	bool external;            /* an external record, also when the node is an agent's */
	/* links, private to catalog*.c */
	RB_ENTRY(catalog_service) by_node;    /* within the node, by id */
	RB_ENTRY(catalog_service) by_name;    /* within the name, by (node name, id) */
	RB_ENTRY(catalog_service) by_address; /* when it has one: (address, name, node, id) */
	struct blob *body;
	void *arrays;
};

struct catalog_check {
	struct check_info info;
	struct catalog_node *node;
	struct catalog_service *service; /* NULL: of the node (or of a service not there) */
	uint64_t create_index, modify_index;
	enum check_status status;
	bool external;
	RB_ENTRY(catalog_check) by_node;    /* within the node, by id */
	RB_ENTRY(catalog_check) by_service; /* within the node, by (service id, id) */
	struct blob *body; /* NULL: made by the catalog (serfHealth) */
	void *arrays;
};

struct catalog_node {
	struct node_info info;
	bool agent;          /* an agent's own node (else external) */
	struct uuid owner;
	uint64_t create_index, modify_index;
	enum check_status health; /* worst of the node's own checks */
	RB_ENTRY(catalog_node) by_name;
	RB_ENTRY(catalog_node) by_id;      /* when it has an id */
	RB_ENTRY(catalog_node) by_address; /* (address, name) */
	RB_HEAD(catalog_node_services, catalog_service) services; /* by id */
	RB_HEAD(catalog_node_checks, catalog_check) checks;       /* by id */
	RB_HEAD(catalog_node_tied, catalog_check) tied; /* the same checks by (service id, id) */
	size_t service_count, check_count;
	struct blob *body;
	void *arrays;
	struct catalog_agent *source; /* NULL: external */
};

/* One service name and its instances. Lives while it has any. */
struct catalog_name {
	struct str name; /* owned */
	RB_ENTRY(catalog_name) link;
	RB_ENTRY(catalog_name) folded;
	RB_HEAD(catalog_name_services, catalog_service) services; /* by (node name, id) */
	size_t count;
	uint64_t generation; /* index of the last change that an answer about it could show; a
	                        name that went and came back never has an old one */
};

/* The check that says whether a node's agent is alive, as Consul names it. */
#define CATALOG_SERF_CHECK "serfHealth"

/* Reading. Names match exactly here (HTTP); the _nocase forms are DNS's (RFC 4343). */
struct catalog_node *catalog_node_find(const struct catalog *, struct str name);
struct catalog_node *catalog_node_find_nocase(const struct catalog *, struct str name);
struct catalog_node *catalog_node_find_id(const struct catalog *, struct str uuid_text);
struct catalog_name *catalog_name_find(const struct catalog *, struct str name);
struct catalog_name *catalog_name_find_nocase(const struct catalog *, struct str name);

/* NULL ends. The first call passes NULL. Nodes come in order of name without regard to case
 * (then by bytes), as Consul lists them; service names by bytes, as its JSON objects have them.
 * Ids below are ordered like node names. */
struct catalog_node *catalog_node_next(const struct catalog *, const struct catalog_node *);
struct catalog_name *catalog_name_next(const struct catalog *, const struct catalog_name *);
/* Instances of a name, by (node name, id). */
struct catalog_service *catalog_instance_next(const struct catalog_name *,
    const struct catalog_service *);
/* Services and checks of a node, by id. */
struct catalog_service *catalog_service_next(const struct catalog_node *,
    const struct catalog_service *);
struct catalog_service *catalog_service_find(const struct catalog_node *, struct str id);
struct catalog_check *catalog_check_next(const struct catalog_node *, const struct catalog_check *);
struct catalog_check *catalog_check_find(const struct catalog_node *, struct str id);
/* Checks tied to one instance, by id. */
struct catalog_check *catalog_service_check_next(const struct catalog_service *,
    const struct catalog_check *);
/* The node's own checks (without a service id), by id. */
struct catalog_check *catalog_node_check_next(const struct catalog_node *,
    const struct catalog_check *);

/* Where a node is in the network, as its agent last said, or was said of an external one; false: it
 * was not. Not looked at closer: any numbers may be in it. */
bool catalog_node_coordinate(
    const struct catalog *, const struct catalog_node *, struct coordinate_info *out);

/* Addresses for PTR: the first node or service instance (by name) with exactly this address
 * text form; NULL when none. Instances without an address of their own are not found. */
struct catalog_node *catalog_node_by_address(const struct catalog *, struct str address);
struct catalog_service *catalog_service_by_address(const struct catalog *, struct str address);

/* Moved with each change of what an answer about a service, or a node, could show; for threads that
 * keep such answers. Lives as long as the catalog. */
struct marks *catalog_marks(const struct catalog *);

struct catalog_counts {
	size_t nodes, names, services, checks;
};
struct catalog_counts catalog_counts(const struct catalog *);

#endif
