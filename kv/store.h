/* kv/store.h -- the replicated store: owners below, catalog and watches on top.
 *
 * The one door to kv/ for everybody who changes something. Local writers (this agent's own
 * records, and the external records of the virtual owner) use store_put() and
 * store_remove(); what arrives from other agents comes through store_push() and
 * store_range_*(); what membership says through store_member(). Every change updates the
 * catalog, gives indexes, wakes waiters and leaves news to be gossiped. No I/O, no clock: the
 * moment is passed in. RULES.md 1-6, 12, 14, 15.
 */
#ifndef KV_STORE_H
#define KV_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/nsec.h"
#include "base/uuid.h"
#include "kv/catalog.h"
#include "kv/index.h"
#include "kv/owner.h"
#include "kv/watch.h"

struct store;

struct store_config {
	struct uuid self;      /* this agent */
	struct uuid cluster;   /* the virtual owner of external records (RULES 4) */
	struct epoch epoch;    /* this start's epoch, already synced to disk */
	struct owner_limits limits;
	uint64_t index_ceiling; /* the one on disk (index.h) */
	size_t unknown_bytes_max; /* for records of owners that are no members yet (RULES 6) */
};

/* This agent is a member, alive, from the start; its baseline is open until
 * store_baseline_end(). Reserve a ceiling (index_ceiling_wanted(), sync, index_ceiling_set() on
 * store_index()) before the first client is answered. */
struct store *store_new(const struct store_config *, struct now);
void store_free(struct store *); /* no waiter may be left. NULL is fine */

struct catalog *store_catalog(const struct store *);
struct watches *store_watches(const struct store *);
struct index_clock *store_index(const struct store *);

/* Local writes. 1: changed; 0: equal, nothing happened, nobody woken; < 0: refused.
 * `owner` is the config's self or cluster. */
int store_put(struct store *, struct now, const struct uuid *owner, uint16_t kind, struct str key,
    struct str body, struct err *);
int store_remove(struct store *, struct now, const struct uuid *owner, uint16_t kind,
    struct str key);
/* The local sources are reconciled: the baseline of this epoch is complete (RULES 1). */
void store_baseline_end(struct store *, struct now);

/* Typed helpers over store_put(): pack, then put. For external records info->node (services and
 * checks) or info->name (nodes) says where; for own records `node` is empty. */
int store_put_node(struct store *, struct now, const struct uuid *owner, const struct node_info *,
    struct err *);
int store_put_service(struct store *, struct now, const struct uuid *owner,
    const struct service_info *, struct err *);
int store_put_check(struct store *, struct now, const struct uuid *owner, const struct check_info *,
    struct err *);
int store_remove_service(struct store *, struct now, const struct uuid *owner, struct str node,
    struct str id);
int store_remove_check(struct store *, struct now, const struct uuid *owner, struct str node,
    struct str id);
/* store_remove_service() of the virtual owner takes the service's external checks with it, as
 * Consul does; an agent removes its own one by one.
 * store_remove_node(): an external node with everything external on it, in one step. */
int store_remove_node(struct store *, struct now, struct str node);

/* Deregistering an agent's own record through the catalog (RULES 5): hides exactly the version
 * that is shown now, until its owner asserts it again. 1, or 0 when there is no such record. */
int store_mask(struct store *, struct now, const struct uuid *owner, uint16_t kind, struct str key,
    struct err *);
/* Asserts again what masks hide of our own; call at most every STORE_ASSERT_INTERVAL. Returns
 * how many records it renewed. */
#define STORE_ASSERT_INTERVAL (60 * NSEC_SEC)
size_t store_assert_masked(struct store *, struct now);

/* Membership, as gossip reports it. Only records of members are shown. */
enum store_member_state {
	STORE_MEMBER_ALIVE,
	STORE_MEMBER_FAILED,
	STORE_MEMBER_GONE,
	STORE_MEMBER_KEPT, /* failed, and shown all the same; its serfHealth passes and says so */
};
/* GONE: left, reaped or pruned: its records go, and a certificate (id, epoch) keeps what is at
 * or below that epoch away until `certificate_until` (0: none). */
void store_member(struct store *, struct now, const struct uuid *id, enum store_member_state,
    nsec certificate_until);

/* From other agents. `needs` tells what to ask the sender for, if anything. */
struct store_needs {
	bool range;      /* ask for this owner's records after `after` */
	uint64_t after;
	bool whole;      /* ask for the whole state */
};
void store_push(struct store *, struct now, const struct uuid *owner, struct epoch,
    const struct record *, struct store_needs *needs);
/* One encoded range: owner id, struct owner_range, records (delta.h writes and reads it). */
int store_range(struct store *, struct now, struct str bytes, struct store_needs *needs,
    struct err *);
/* An owner announces a new epoch's baseline by its hash (RULES 1). */
void store_baseline(struct store *, struct now, const struct uuid *owner, struct epoch,
    uint64_t hash, struct store_needs *needs);

/* What to gossip: our own changes, in order. False: no more. Borrowed until the next change. */
bool store_news_next(struct store *, struct uuid *owner, struct owner_record *out);

/* All owners' digests, sorted by id; *cursor starts at 0. */
bool store_digest_next(const struct store *, size_t *cursor, struct digest *out);
const struct owner *store_owner(const struct store *, const struct uuid *id);

/* Timers: unknown owners' records expire, certificates end. */
void store_tick(struct store *, struct now);
nsec store_deadline(const struct store *);

/* Counters for metrics. */
struct store_stats {
	uint64_t applied, stale, gaps, refused, hash_mismatch, whole_transfers, unknown_dropped;
};
struct store_stats store_stats(const struct store *);

#endif
