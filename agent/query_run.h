/* agent/query_run.h -- prepared queries carried out: from a name to instances, on the catalog that
 * is here. What the HTTP API and DNS share. No I/O.
 */
#ifndef AGENT_QUERY_RUN_H
#define AGENT_QUERY_RUN_H

#include "base/arena.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/rng.h"
#include "kv/catalog.h"
#include "kv/query.h"

#define QUERY_NOT_FOUND "Query not found" /* Consul's text, with status 404 */

/* Whether a definition may be kept: 0, or an error in Consul's words. */
int query_valid(struct arena *, const struct query_info *, struct err *);

/* The definition that an id or a name stands for; a template is rendered for the name.
 * ERR_NOT_FOUND: there is none. */
int query_get(struct arena *, const struct queries *, struct str id_or_name, struct query_info *out,
    struct err *);

/* Who asks. */
struct query_source {
	struct str agent;   /* node of the agent that was asked: what "_agent" means */
	struct str near;    /* the client's wish, before the query's own; empty: none */
	struct str address; /* of the client: what "_ip" means; empty: not known */
};

struct query_found {
	const struct catalog_service **of; /* in the arena: the nearest first, else shuffled */
	size_t count;
};

/* The instances that a definition asks for. ERR_MEMORY: the arena is full. */
int query_run(struct arena *, struct rng *, const struct catalog *, const struct query_info *,
    const struct query_source *, struct query_found *out, struct err *);

/* The TTL that answers of DNS have; false: the query has none of its own. */
bool query_ttl(const struct query_info *, nsec *out);

#endif
