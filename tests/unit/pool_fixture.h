/* tests/unit/pool_fixture.h -- several pools with their stores, wired in memory, in virtual time.
 *
 * Everything goes through the real framing. Hosts are 10.0.0.1, 10.0.0.2 …; names a, b, c … unless
 * a test says otherwise. A host may be cut off from another, or be silent (no refusals).
 */
#ifndef TESTS_UNIT_POOL_FIXTURE_H
#define TESTS_UNIT_POOL_FIXTURE_H

#include "agent/pool/pool.h"
#include "base/rng.h"
#include "tests/unit/test.h"

enum { A, B, C, D, E, F, WORLD_MAX };

#define WORLD_LATENCY NSEC_MS

struct world_node {
	struct pool *pool; /* NULL: no process */
	struct store *store;
	struct keyring *keys;
	char name[64];
	struct uuid id, cluster;
	struct addr addr;
	const char *dc; /* dc1 */
	const struct serf_tag *more;
	size_t more_count;
	bool silent; /* the host does not refuse */
	bool awaits;
	bool changed; /* its store: the pool has not heard */
	unsigned life;
	uint64_t epoch;
	/* What came out of it. */
	struct buf story; /* log lines of info and above, events, answers */
	bool ready, left;
	unsigned joins_ok, joins_failed, keys_saved, epochs, clones;
	char join_text[256];
	size_t datagrams, bytes, largest; /* sealed */
	nsec ready_at, left_at;
	uint64_t key_answers, key_done;
	size_t user_0xc5; /* messages of the catalog sent */
	/* Not one of ours: no process, answers a push/pull with this list. */
	const struct wire_node_state *fake;
	size_t fake_count, fake_heard_muster; /* … messages of the catalog that came to it */
};

struct world_event;
struct world {
	struct now now;
	struct world_node nodes[WORLD_MAX];
	bool cut[WORLD_MAX][WORLD_MAX];     /* [from][to] */
	bool udp_cut[WORLD_MAX][WORLD_MAX]; /* … for datagrams only */
	struct world_event *queue;
	unsigned ticks; /* at this very moment */
	bool encrypt;
	unsigned loss; /* of a thousand datagrams */
	struct rng rng;
	struct swim_profile profile;
	nsec reap;
};

/* A member that is not ours, as it stands in a push/pull: alive, with these tags ("key=value", NULL
 * ends). The tags lie in `room`. */
struct wire_node_state world_fake_node(
    struct world *, unsigned node, uint8_t room[WIRE_META_MAX], const char *const *tags);

struct world *world_new(void);
struct world *world_of(unsigned count); /* so many with a service each, joined, and all alike */
void world_free(struct world *);
void world_start(struct world *, unsigned node); /* a new process; same id and name */
void world_kill(struct world *, unsigned node);  /* its host refuses, unless it is silent */
void world_run(struct world *, nsec span);
/* Until `cond` holds, at most `max`; how long it took, or fails. */
typedef bool world_cond(struct world *, const void *arg);
nsec world_until(struct world *, nsec max, world_cond *, const void *arg, const char *what);
/* The contrary: fails when it holds within the span. */
void world_never(struct world *, nsec span, world_cond *, const void *arg, const char *what);
void world_join(struct world *, unsigned node, unsigned via); /* and runs a little */
void world_cut(struct world *, unsigned one, unsigned other, bool cut);
void world_drain(struct world *, unsigned node); /* after feeding a pool from outside */

/* What `at` says of `about`: serf's state by the wire name, "-" when it is not known. */
const char *world_state(struct world *, unsigned at, unsigned about);
/* A service of `about` in the catalog of `at`: shown and passing, known but hidden, or not there.
 */
enum world_shown { NOT_THERE, HIDDEN, SHOWN };
enum world_shown world_shown(struct world *, unsigned at, unsigned about);
/* Until the living of the first `count` have it so; how long it took. */
nsec world_until_shown(struct world *, nsec max, unsigned count, unsigned about, enum world_shown);
nsec world_until_service(struct world *, unsigned count, unsigned of, const char *id);
nsec world_until_ready(struct world *, nsec max, unsigned node);
bool world_told(struct world *, unsigned node, const char *text);  /* in its story */
void world_service(struct world *, unsigned node, const char *id); /* registers one there */

#endif
