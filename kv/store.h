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

#include "base/buf.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/uuid.h"
#include "kv/catalog.h"
#include "kv/index.h"
#include "kv/owner.h"
#include "kv/watch.h"

struct store;

struct store_config {
	struct uuid self;    /* this agent */
	struct uuid cluster; /* a virtual owner that this store writes itself, without a log; zero:
			      * none */
	bool cluster_writer; /* we are who writes them: its epoch begins with ours, so that what
			      * others still hold of an earlier one does not come back */
	struct epoch epoch;  /* this start's epoch, already synced to disk */
	struct owner_limits limits;
	uint64_t index_ceiling;   /* the one on disk (index.h) */
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
int store_remove(
    struct store *, struct now, const struct uuid *owner, uint16_t kind, struct str key);
/* The local sources are reconciled: the baseline of this epoch is complete (RULES 1). */
void store_baseline_end(struct store *, struct now);
/* A new epoch for our own records while we run, synced to disk before (RULES 6: our death was
 * certified). Its baseline is what we hold: complete at once, or when store_baseline_end() says. */
void store_epoch_begin(struct store *, struct now, struct epoch);

/* Typed helpers over store_put(): pack, then put. For external records info->node (services and
 * checks) or info->name (nodes) says where; for own records `node` is empty. */
int store_put_node(
    struct store *, struct now, const struct uuid *owner, const struct node_info *, struct err *);
int store_put_service(struct store *, struct now, const struct uuid *owner,
    const struct service_info *, struct err *);
int store_put_check(
    struct store *, struct now, const struct uuid *owner, const struct check_info *, struct err *);
int store_remove_service(
    struct store *, struct now, const struct uuid *owner, struct str node, struct str id);
int store_remove_check(
    struct store *, struct now, const struct uuid *owner, struct str node, struct str id);
/* store_remove_service() of the virtual owner takes the service's external checks with it, as
 * Consul does; an agent removes its own one by one.
 * store_remove_node(): an external node with everything external on it, in one step. */
int store_remove_node(struct store *, struct now, struct str node);

/* Deregistering an agent's own record through the catalog (RULES 5): hides exactly the version
 * that is shown now, until its owner asserts it again. 1, or 0 when there is no such record. */
int store_mask(struct store *, struct now, const struct uuid *owner, uint16_t kind, struct str key,
    struct err *);
/* The same as a record of the virtual owner, for the log to decide: 1, 0 or negative likewise. The
 * buffers are begun; what they hold is thrown away. */
int store_mask_make(const struct store *, const struct uuid *owner, uint16_t kind, struct str key,
    struct buf *mask_key, struct buf *mask_body, struct err *);
/* The next mask that hides nothing any more, nor ever will: its owner has said something newer.
 * False: no more. *cursor starts at NULL and is good until the store changes. */
bool store_mask_ended_next(const struct store *, const void **cursor, struct str *mask_key);
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
/* Servers of the pool publish the external records of their cluster as the virtual owner `id`
 * (RULES 4): shown as long as somebody speaks of it. Two formed clusters merge here (RULES 8): of
 * two records with one key that of the lower id shows. */
void store_cluster(struct store *, struct now, const struct uuid *id, bool shown);

/* Servers: what the log has decided, `from`, is the virtual owner `id` in this epoch (RULES 4, 19).
 * Whatever is new or gone there shows at once; `tell`: our news say so to others, which is for one
 * server to do. All servers hold the same under the same numbers, so any of them may give it. The
 * id is never another one later. */
void store_cluster_take(struct store *, struct now, const struct uuid *id, struct epoch,
    const struct owner *from, bool tell);
/* The virtual owner that this store writes or takes; NULL: none. */
const struct owner *store_cluster_owner(const struct store *);
bool store_cluster_is_taken(const struct store *, const struct uuid *id);

/* Certificates of death (RULES 6) travel with the time they have left: clocks differ. */
struct store_certificate {
	struct uuid id;
	struct epoch epoch;
	nsec left;
};
#define STORE_CERTIFICATES_MAX 8192 /* of ids that are no members, taken from others */
#define STORE_CERTIFICATE_SPAN (30 * 24 * NSEC_HOUR) /* the longest that is taken from others */
/* In order of id; *cursor starts at 0 and is good until the store changes. */
bool store_certificate_next(
    const struct store *, struct now, size_t *cursor, struct store_certificate *out);
bool store_certificate_of(
    const struct store *, struct now, const struct uuid *, struct store_certificate *out);
/* Another agent's. One that is known keeps the end it has, so none is renewed by going round.
 * Records of a failed member that it speaks of go; who lives, by what membership says, keeps them
 * until it hears of its own death and begins a new epoch. True: it is ours, at or above our epoch.
 */
bool store_certificate(struct store *, struct now, const struct store_certificate *);

/* From other agents. `needs` tells what to ask the sender for, if anything. */
struct store_needs {
	bool range; /* ask for this owner's records after `after` */
	uint64_t after;
	bool whole; /* ask for the whole state */
};
void store_push(struct store *, struct now, const struct uuid *owner, struct epoch,
    const struct record *, struct store_needs *needs);
/* Everything numbered in (after, the last one's number] as it came from its owner at once: well
 * formed records, numbers rising, at least one, after >= 1. Where nothing is missing before them
 * they move the number together; else each counts for itself, as in store_push(). */
void store_push_run(struct store *, struct now, const struct uuid *owner, struct epoch,
    uint64_t after, struct str records, struct store_needs *needs);
/* One encoded range: owner id, struct owner_range, records (delta.h writes and reads it). */
int store_range(
    struct store *, struct now, struct str bytes, struct store_needs *needs, struct err *);
/* An owner announces a new epoch's baseline by its hash (RULES 1). */
void store_baseline(struct store *, struct now, const struct uuid *owner, struct epoch,
    uint64_t hash, struct store_needs *needs);

/* Whether records of this epoch and number would be let in: no certificate keeps them away, they
 * are not our own, and it is no jump (RULES 6, 18). */
bool store_takes(const struct store *, const struct uuid *, struct epoch, uint64_t number);

/* What to gossip: our own changes, in order. False: no more. Borrowed until the next change.
 * `after`: of this owner everything numbered up to it was given before, or cannot be any more: a
 * record at or below it tells only those who take a whole state. The records of a baseline are
 * not among them: store_baseline_next() gives its hash, once, and comes first. */
bool store_news_next(struct store *, struct uuid *owner, uint64_t *after, struct owner_record *out);
bool store_baseline_next(struct store *, struct uuid *owner, struct epoch *, uint64_t *hash);

/* Word of a digest. The certificate of who goes covers every epoch that was heard of, not only the
 * one whose records are here. */
void store_heard(struct store *, const struct uuid *owner, struct epoch);

/* All owners' digests, sorted by id; *cursor starts at 0. Others are not told of owners that are
 * no members, nor of what a certificate keeps away. */
bool store_digest_next(const struct store *, size_t *cursor, struct digest *out);
bool store_digest_of(const struct store *, const struct uuid *, struct digest *out);
const struct owner *store_owner(const struct store *, const struct uuid *id);
uint64_t store_version(const struct store *); /* rises when digests may have changed */

bool store_has_unknown(const struct store *); /* an owner that is no member has records here */

/* Timers: unknown owners' records expire, certificates end. */
void store_tick(struct store *, struct now);
nsec store_deadline(const struct store *); /* at times too early */

/* Counters for metrics. */
struct store_stats {
	uint64_t applied, stale, gaps, refused, hash_mismatch, whole_transfers;
	uint64_t unknown, unknown_dropped; /* owners that were no members; their records */
};
struct store_stats store_stats(const struct store *);

#endif
