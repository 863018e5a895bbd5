/* agent/http/api.h -- what the handlers of the HTTP API may use, and what they share.
 */
#ifndef AGENT_HTTP_API_H
#define AGENT_HTTP_API_H

#include "agent/http/http.h"
#include "agent/local.h"
#include "agent/options.h"
#include "base/rng.h"
#include "kv/store.h"

struct api {
	struct store *store;
	struct local *local;
	struct external *external;     /* records of nodes that are no agents */
	const struct options *options;
	const struct identity *identity;
	struct rng rng;
	bool ready;                    /* RULES 13 */
	/* called after a handler changed the store, so that woken queries run in this turn */
	void (*changed)(void *arg);
	void *changed_arg;
};

/* Ends a read of the catalog: the scopes that were read and the index from them. */
void reply_reads(struct api *, const struct http_request *, struct http_reply *,
    enum watch_kind, struct str name);

/* ?dc= other than ours: error reply 500 "No path to datacenter", true. */
bool reply_wrong_dc(struct api *, const struct http_request *, struct http_reply *);

#endif
