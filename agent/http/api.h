/* agent/http/api.h -- what the handlers of the HTTP API may use, and what they share.
 */
#ifndef AGENT_HTTP_API_H
#define AGENT_HTTP_API_H

#include "agent/server/cluster.h"
#include "agent/pool/events.h"
#include "agent/http/access.h"
#include "agent/http/answers.h"
#include "agent/http/http.h"
#include "agent/local/local.h"
#include "agent/metrics.h"
#include "agent/options.h"
#include "agent/pool/pool.h"
#include "agent/server/server_net_io.h"
#include "base/rng.h"
#include "gossip/coordinate.h"
#include "kv/store.h"

#define API_CACHED_SEEN_MAX 256 /* a power of two */

/* What handlers ask of the agent around them, where asking the pool itself is not enough. A
 * function that is NULL is refused to clients. An answer may come from within the call. */
struct api_ops {
	/* Sends the answer that was put off under a ticket: http_server_finish(). */
	void (*finish)(void *arg, uint64_t ticket, const struct http_reply *);
	/* Joins HOST, HOST:PORT, ADDRESS or [V6]:PORT; api_joined() tells what came of it. */
	void (*join)(void *arg, struct now, struct str target, uint64_t ticket);
	/* Leaves the pool in good order; api_left() when that is through, then the process ends. */
	void (*leave)(void *arg, struct now, uint64_t ticket);
	/* Runs the request that asked the cluster again, with its answer: http_server_resume(). */
	void (*resume)(void *arg, struct now, const struct cluster_action *answer);
	/* Another agent's request, and that it does not wait any more: http_server_carry(). */
	void (*carry)(void *arg, struct now, uint64_t request, struct str bytes);
	void (*carry_drop)(void *arg, uint64_t request);
	/* Asks an agent for its newest records: pool_pull(). NULL: they come by themselves. */
	void (*pull)(void *arg, struct now, const struct uuid *agent);
	/* Reads the config files again, as SIGHUP does, after this turn: api_reloaded() tells. */
	void (*reload)(void *arg, uint64_t ticket);
	/* Takes the figures of all parts into api->metrics. */
	void (*measure)(void *arg, struct now);
	/* What this host is and has: /v1/agent/host. */
	void (*host)(void *arg, struct jw *);
	/* The log from now on, as a stream; NULL with a sentence: there are too many readers. */
	struct http_stream *(*monitor)(void *arg, enum log_level, bool json, struct err *);
	void *arg;
};

#define API_KEYRINGS_MAX 16 /* keyring requests under way */

struct api {
	struct store *store;
	struct local *local;
	struct pool *pool;     /* NULL: this agent is alone */
	struct cluster *cluster;
	struct server_net *net; /* NULL: it speaks to no other agent */
	struct events *events; /* NULL: none are kept */
	struct api_ops ops;
	uint64_t tickets;                                   /* given out: api_later() */
	struct keyring_request *keyrings[API_KEYRINGS_MAX]; /* owned; api_pool_done() */
	struct metrics *metrics; /* NULL: none are kept; timers 0… are those of http_routes */
	struct answers *answers; /* kept ones; NULL: none are */
	const struct options *options;
	struct http_access access;
	const struct identity *identity;
	struct rng rng;
	bool ready; /* RULES 13 */
	/* called after a handler changed the store or fed the pool, so that woken queries run and
	 * the pool's actions are carried out in this turn */
	void (*changed)(void *arg);
	void *changed_arg;
	/* hashes of ?cached queries asked before, which then are answered X-Cache: HIT */
	uint64_t cached_seen[API_CACHED_SEEN_MAX];
};

/* Ends a read of the catalog: the scopes that were read and the index from them. May be called
 * up to WATCH_KEYS_MAX times; the highest index counts. */
void reply_reads(struct api *, const struct http_request *, struct http_reply *, enum watch_kind,
    struct str name);

/* ?dc= other than ours: error reply 500 "No path to datacenter", true. */
bool reply_wrong_dc(struct api *, const struct http_request *, struct http_reply *);

/* What a lower part refused, in its words: 400 for input, 429 over a limit, 500 for what
 * Consul's agent refuses after the request was read, and for the rest. */
void reply_err(struct http_reply *, const struct err *);
/* "Request decode failed: …", 400. */
void reply_decode_failed(struct http_reply *, const struct err *);
void reply_true(struct http_reply *); /* the JSON value true */

/* Puts the answer off: it comes by api->ops.finish() under the ticket that is returned. */
uint64_t api_later(struct api *, struct http_reply *);

/* The store was changed, or the pool was fed: lets woken queries run. */
void api_changed(struct api *);

/* ?cached: X-Cache and Age. Answers are always fresh here; a query asked before counts as a
 * hit of age 0. */
void reply_cached(struct api *, const struct http_request *, struct http_reply *);

/* A boolean in any of the forms Go takes (1 t T TRUE true True …); false: none of them. */
bool bool_parse(struct str, bool *out);

/* Which entries of the catalog a query asks for: ?tag= and ?node-meta= (repeated: all must
 * match), ?near= (in order of the round-trip time from that node). */
struct near_entry;
struct selection {
	struct str *tags;
	size_t tag_count;
	struct pair *meta;
	size_t meta_count;
	struct str near;
	const struct near_entry *sorted; /* NULL: the catalog's own order */
	size_t sorted_count, sorted_at;
};
/* False with an error reply when the arena is full. */
bool selection_read(
    const struct api *, const struct http_request *, struct selection *out, struct http_reply *);
bool selection_has_node(const struct selection *, const struct node_info *);
bool selection_has_tags(const struct selection *, const struct service_info *);
/* Where the answer shows no nodes but their meta decides: it is read too. */
void selection_reads(
    struct api *, const struct http_request *, struct http_reply *, const struct selection *);
/* Before one walk over all nodes, or over the instances of a name (NULL: none): puts them in the
 * order of ?near=. False with an error reply when the arena is full. */
bool selection_sort_nodes(const struct api *, const struct http_request *, struct selection *,
    struct http_reply *);
bool selection_sort_instances(const struct api *, const struct http_request *, struct selection *,
    const struct catalog_name *, struct http_reply *);
/* The walk; NULL starts and ends it. */
const struct catalog_node *selection_node_next(struct selection *, const struct catalog *,
    const struct catalog_node *);
const struct catalog_service *selection_instance_next(struct selection *,
    const struct catalog_name *, const struct catalog_service *);

/* Whether an answer about a name lasts while its scope does: the name is there as it was asked for
 * (another spelling of it would else come or go unseen), and nothing depends on distances. */
bool answer_lasts(
    const struct http_request *, const struct selection *, const struct catalog_name *);

/* A service by its name in any case; the exact spelling wins. NULL: none. */
struct catalog_name *api_name_find(const struct api *, struct str name);
/* Writes to the catalog. The datacenter in a body (empty: ours), another's is an error reply. */
bool api_external_dc(const struct api *, struct str datacenter, struct http_reply *);
/* What the plan of one says is wrong. */
void reply_external_refused(struct http_reply *, const struct err *);
/* Puts what was planned to the cluster; rc and err are the plan's. */
void api_external_write(struct api *, const struct http_request *, const struct buf *steps, int rc,
    const struct err *, struct http_reply *);
/* The plan was overtaken by another change: whether to plan anew; else an error reply. */
#define API_PLANS_MAX 32
bool api_external_again(const struct http_request *, struct http_reply *);
#define API_NEWS_MAX NSEC_SEC /* the longest that an asker's own news are waited for */
/* "ADDRESS:PORT" of the leader of key and external writes; empty: there is none. */
struct str api_leader(const struct api *, struct arena *, struct now);

#endif
