/* kv/store_priv.h -- the store's inside, for store*.c. */
#ifndef KV_STORE_PRIV_H
#define KV_STORE_PRIV_H

#include <bsd/sys/tree.h>

#include "base/buf.h"
#include "kv/catalog_priv.h"
#include "kv/store.h"

enum member_state {
	MEMBER_GONE,    /* only a certificate is left; no owner */
	MEMBER_UNKNOWN, /* its records wait unseen until membership knows it (RULES 6) */
	MEMBER_ALIVE,
	MEMBER_FAILED,
};

struct store_member {
	RB_ENTRY(store_member) link; /* by id */
	struct uuid id;
	enum member_state state;
	struct owner *owner;  /* owned; NULL when GONE */
	nsec until;           /* UNKNOWN: when it is dropped; else NSEC_NEVER */
	struct epoch gone_at; /* certificate: nothing at or below this epoch is taken */
	struct epoch heard;   /* the newest of which there was word, shown or not */
	nsec gone_until;      /* when that ends; NSEC_NEVER with gone_at.counter 0: none */
};
RB_HEAD(store_members, store_member);
RB_PROTOTYPE(store_members, store_member, link, store_member_cmp)

/* How far the news of one writer have been handed out: all below `number`, and the first `count`
 * of those that carry it (SIZE_MAX: all). */
struct store_news {
	uint64_t number;
	size_t count;
	bool baseline; /* to be told */
	uint64_t hash; /* of the baseline */
};

struct store {
	struct store_config config;
	struct index_clock index;
	struct watches *watches;
	struct catalog *catalog;
	struct store_members members; /* this agent and the virtual owner are in it too */
	struct owner *self, *cluster; /* borrowed from there; cluster: NULL when there is none */
	bool cluster_taken;           /* by store_cluster_take(), so nothing is written here */
	bool cluster_silent;          /* its changes are others' to tell */
	struct store_news self_news, cluster_news;
	bool baseline;        /* the local sources are not yet reconciled */
	uint64_t version;     /* digests may have changed */
	size_t gone_count;    /* certificates without a member */
	nsec due;             /* no member waits for an earlier moment */
	size_t unknown_bytes; /* held for UNKNOWN members */
	struct buf scratch;   /* a body being packed */
	struct store_stats stats;
};

struct store_member *store_member_find(const struct store *, const struct uuid *);
/* In order of id; NULL starts and ends. */
struct store_member *store_member_next(const struct store *, struct store_member *);
struct store_member *store_member_add(struct store *, const struct uuid *, enum member_state);
/* The member whose records of this epoch may come in, UNKNOWN from now on if need be; NULL: our
 * own, or kept away by a certificate, or no room for one more unknown. */
struct store_member *store_member_for(
    struct store *, struct now, const struct uuid *, struct epoch);
bool store_member_is_writer(const struct store *, const struct store_member *);
void store_member_heard(struct store_member *, struct epoch);
/* RULES 18: an epoch or a number too far ahead of what is held. */
bool store_is_jump(const struct owner *, struct epoch, uint64_t number);
/* What an UNKNOWN member holds, in bytes and about; 0 for all others. */
#define STORE_OWNER_COST 512
#define STORE_RECORD_COST 64
size_t store_member_cost(const struct store_member *);

#endif
