/* tests/unit/spread_net.h -- stores that spread to each other over a network in memory.
 *
 * Virtual time, one seed: datagrams are delayed (so they overtake each other), lost and doubled;
 * streams take three times a delay or fail. Who knows whom is told by net_meet() and net_part(), as
 * membership would.
 */
#ifndef TESTS_UNIT_SPREAD_NET_H
#define TESTS_UNIT_SPREAD_NET_H

#include "base/rng.h"
#include "kv/spread.h"

#define NET_KIND 200 /* of records that only stores and spreads look at */

struct net_node {
	struct uuid id;
	struct store *store;   /* NULL: not running */
	struct spread *spread;
	uint64_t counter;      /* its epochs */
	nsec timer;            /* armed for; NSEC_NEVER */
	uint64_t payloads;     /* PUSH datagrams that arrived */
	uint64_t bytes_out, datagrams_out, stream_bytes, streams;
	uint64_t synced, restarts, buried, cloned;
	nsec restart_span;
	uint64_t buried_epoch;
};

struct net_event;

struct net {
	struct now now;
	struct rng rng;
	struct net_node *nodes;
	size_t count;
	struct spread_config spread;          /* for nodes that start */
	struct owner_limits limits;
	nsec delay_min, delay_max;
	unsigned loss, twice, stream_fails;   /* of 1000 */
	unsigned straggle;                    /* of 1000: come two seconds late */
	bool *cut;                            /* count * count: nothing goes from a to b */
	struct net_event **heap;
	size_t heap_count, heap_cap;
	uint64_t events;
};

extern const struct uuid net_cluster;

struct net *net_new(size_t count, uint64_t seed);
void net_free(struct net *);

/* A node begins a new life; its baseline is open. */
void net_start(struct net *, size_t node);
void net_stop(struct net *, size_t node); /* at once; its store is gone */
void net_meet(struct net *, size_t a, size_t b); /* both ways */
void net_part(struct net *, size_t a, size_t b, enum store_member_state);
void net_cut(struct net *, size_t a, size_t b, bool cut); /* both ways */
void net_start_all(struct net *); /* all meet, with empty baselines that have ended */

void net_put(struct net *, size_t node, const char *key, const char *body);
void net_remove(struct net *, size_t node, const char *key);
void net_changed(struct net *, size_t node); /* tells the spread */
/* What `node` holds of `owner` under key; "" when nothing. Terminated, in a static buffer. */
const char *net_get(const struct net *, size_t node, size_t owner, const char *key);
void net_run(struct net *, nsec span);
/* Carries out what the node's spread wants; after every call that feeds it directly. */
void net_drain(struct net *, size_t node);
void net_input(struct net *, size_t node, struct str bytes);
/* Whether all that run hold the same of everybody. */
bool net_equal(const struct net *);
bool net_run_until_equal(struct net *, nsec most, nsec *took);

#endif
