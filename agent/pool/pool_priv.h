/* agent/pool/pool_priv.h -- the state behind pool.h, shared by its files.
 *
 *     pool.c         life, feeding, draining, time, actions, reading, requests of this host
 *     pool_swim.c    what SWIM does: datagrams, news, probes' answers; whom it may take in
 *     pool_serf.c    what serf does: gossip, events, queries, keys; leaving
 *     pool_spread.c  what the catalog's spreading and presence do; readiness
 *     pool_stream.c  streams, both sides: push/pull, ping, the catalog's ranges
 *     pool_member.c  members by wire name and address, as serf and SWIM tell of them
 *     pool_who.c     other muster agents by id, and what follows for the catalog
 *     pool_roster.c  reading the members
 *     pool_rival.c   two that claim one name
 */
#ifndef AGENT_POOL_PRIV_H
#define AGENT_POOL_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "agent/pool/pool.h"
#include "base/arena.h"
#include "base/blob.h"
#include "base/rng.h"

#define POOL_ACTIONS_MAX (1u << 18)
#define POOL_ACTION_BYTES (64 * 1024 * 1024) /* what actions point to */
#define POOL_TURNS_MAX 1000                  /* of draining, in one call; the rest in the next */
#define POOL_STREAM_TIME (10 * NSEC_SEC)     /* as memberlist's, both sides */
#define POOL_READY_MAX (10 * NSEC_SEC)       /* RULES 13 */
#define POOL_GRACE (30 * NSEC_SEC)           /* RULES 17 */
#define POOL_REAP (72 * NSEC_HOUR)
#define POOL_LEAVE_WAIT (400 * NSEC_MS)   /* for the intent to spread: a few rounds of gossip */
#define POOL_LEAVE_MAX (2 * NSEC_SEC)     /* for the leave itself to spread */
#define POOL_LINGER NSEC_SEC              /* then we still answer: memberlist's propagate delay */
#define POOL_TOLD_MAX 64                  /* whom we tell ourselves that we leave, as SWIM does */
#define POOL_RIVAL_WAIT NSEC_SEC          /* before we ask who claims our name */
#define POOL_YOUNG NSEC_MIN               /* who started so lately gives its id up first */
#define POOL_CLONE_WAIT (5 * NSEC_SEC)    /* one that does not live is suspected by then */
#define POOL_CLONE_OLD (30 * NSEC_SEC)    /* the same, for who is not young */
#define POOL_EPOCH_GAP NSEC_SEC           /* between new epochs of ours */
#define POOL_STRANGER_WAIT (3 * NSEC_SEC) /* gossip of a new member may come after its records */
#define POOL_COMPLAIN NSEC_MIN            /* between two log lines about one trouble */
#define POOL_KEY_QUERIES_MAX 64           /* as serf's, of all kinds */
#define POOL_PLACED 100                   /* round-trip times that place us in the network */
#define POOL_PLACE_TOLD 4                 /* from then on one ack in so many tells where */
#define POOL_META_BYTES (16 * 1024)       /* memory for reading one member's tags */

struct who;

struct named { /* one wire name that serf knows */
	RB_ENTRY(named) by_name, by_addr;
	TAILQ_ENTRY(named) of_who;
	struct str key; /* = name */
	struct blob *name, *display;
	struct addr addr;
	enum serf_state state; /* SERF_LEAVING counts as alive */
	enum swim_state swim;
	bool muster, server;
	bool replaced;           /* failed, and another lives at its address (RULES 3) */
	struct uuid id, cluster; /* zero: none */
	struct who *who;         /* NULL: we ourselves, or no muster agent */
};
RB_HEAD(named_names, named);
RB_HEAD(named_addrs, named);
RB_PROTOTYPE(named_names, named, by_name, )
RB_PROTOTYPE(named_addrs, named, by_addr, )

struct who { /* one other muster agent, under all the wire names it ever had here */
	RB_ENTRY(who) by_id;
	struct uuid id;
	TAILQ_HEAD(, named) names;
	struct named *at; /* the best of them: that is how it is reached */
	bool told, reaped;
	enum presence_word word; /* … that presence was told */
	enum spread_peer_state peer;
	struct uuid cluster;    /* held for it; zero: none */
	uint64_t restart_epoch; /* counter of the life that announced a restart; 0: none did */
};
RB_HEAD(whos, who);
RB_PROTOTYPE(whos, who, by_id, )

struct cluster { /* a virtual owner that members speak of (RULES 4) */
	struct uuid id;
	size_t holders;
};

enum stream_kind { STREAM_PULL, STREAM_PING, STREAM_ASK };

struct stream { /* that we opened */
	TAILQ_ENTRY(stream) link;
	uint64_t id;
	enum stream_kind kind;
	struct addr addr;
	struct blob *bytes; /* PING: the node's name; ASK: the request */
	bool flag;          /* PULL: the Join flag on the wire */
	bool join;          /* PULL: it answers pool_join() */
	uint32_t seq;       /* PING */
	uint64_t ask;       /* ASK */
};

struct rival { /* who claims our name, as far as we were told; with our own id too: a clone */
	bool pending;
	struct uuid id;
	struct addr addr;
	nsec at;  /* then we ask it itself */
	bool old; /* a clone that was met once while we were not young */
};

struct pool {
	struct pool_config config; /* name in display, meta in own */
	struct arena own;
	struct rng rng;
	struct now now;
	struct swim *swim;
	struct serf *serf;
	struct spread *spread;
	struct presence *presence;
	struct coordinates *coordinates;
	struct blob *wire_name, *display;
	bool renamed;

	struct named_names names;
	struct named_addrs addrs;
	struct whos whos;
	size_t replaced_count, muster_alive, plain_alive; /* others */
	struct cluster *clusters;
	size_t cluster_count, cluster_room;

	TAILQ_HEAD(, stream) streams;
	size_t stream_count;
	uint64_t last_id;
	uint64_t key_queries[POOL_KEY_QUERIES_MAX];
	size_t key_query_count;
	struct rival rival;
	nsec started, clone_at; /* clone_at: we look whether our id lives elsewhere */
	bool cloned;            /* told */
	uint64_t epoch_above;   /* a new epoch above this one is due; 0: none */
	nsec epoch_at;          /* … not before */
	nsec stranger_at;       /* owners that are no members are asked after; NSEC_NEVER: none */
	uint64_t strangers;     /* so many there were */

	bool ready, joined; /* joined: at least once */
	nsec ready_at;
	bool leaving, gone, left; /* asked; SWIM said so; told */
	nsec leave_by, left_at;
	bool cut_off;
	nsec refused_said, conflict_said;
	uint64_t refused_members, renames, taken_over, conflicts;

	struct pool_action *actions; /* [action_at, action_count) */
	size_t action_at, action_count, action_room;
	struct arena out; /* what they point to */
	uint64_t dropped;
	bool store_changed; /* by presence: spread has not heard */
};

/* pool.c */
struct pool_action *pool_act(struct pool *, enum pool_action_kind); /* NULL: nobody drains */
void pool_log(struct pool *, enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool pool_may_complain(struct pool *, nsec *last);
bool pool_addr_eq(const struct addr *, const struct addr *);
bool pool_addr_above(const struct addr *, const struct addr *);    /* an order, for ties */
int pool_meta_write(struct pool *, struct writer *, struct err *); /* our tags, encoded */

/* Draining one core each; true when there was something. */
bool pool_swim_drain(struct pool *);
bool pool_serf_drain(struct pool *);
bool pool_spread_drain(struct pool *);
bool pool_presence_drain(struct pool *);

/* pool_swim.c */
bool pool_swim_welcome(void *pool, const struct wire_alive *);
int pool_welcome_check(struct pool *, const struct wire_node_state *, size_t count, struct err *);
void pool_payload_set(struct pool *);

/* pool_serf.c */
void pool_leave_check(struct pool *);
nsec pool_leave_deadline(const struct pool *);

/* pool_spread.c */
void pool_epoch_check(struct pool *);
void pool_ready_set(struct pool *);
void pool_stranger_check(struct pool *);
void pool_ready_check(struct pool *);
nsec pool_ready_deadline(const struct pool *);

/* pool_stream.c. False: too many are under way. */
bool pool_pull_open(struct pool *, const struct addr *, bool flag);
bool pool_ping_open(struct pool *, const struct addr *, struct str node, uint32_t seq, nsec until);
bool pool_ask_open(struct pool *, const struct addr *, struct str bytes, uint64_t ask);
uint64_t pool_join_open(struct pool *, const struct addr *);
bool pool_request_take(struct pool *, const struct addr *from, const struct stream_request *,
    struct arena *, struct stream_request *answer);
bool pool_stream_write(struct pool *, uint64_t id, struct arena *, struct stream_request *out);
void pool_stream_over(
    struct pool *, uint64_t id, bool refused, const struct stream_request *answer);
void pool_streams_done(struct pool *);

/* pool_member.c */
void pool_member_news(struct pool *, enum serf_news, const struct serf_member *);
void pool_member_swim(struct pool *, struct str name); /* SWIM thinks otherwise of it */
void pool_tell_all(struct pool *, struct str user);    /* one by one, POOL_TOLD_MAX at most */
void pool_self_forget(struct pool *);                  /* before it comes back by another name */
struct named *pool_named_find(const struct pool *, struct str name);
void pool_members_done(struct pool *);
/* Something came from there: evidence for presence when it is a member's. */
void pool_heard(struct pool *, const struct addr *from);
/* Nobody listens there: evidence for presence, then for SWIM. */
void pool_refusal(struct pool *, const struct addr *peer);
struct tags_read { /* what we want of a member's tags */
	bool muster, server;
	struct uuid id, cluster;
	struct str display; /* in the arena or the meta; empty: none */
};
void pool_tags_read(struct arena *, struct str meta, struct tags_read *out);

/* pool_who.c */
struct who *pool_who_find(const struct pool *, const struct uuid *);
struct who *pool_who_for(struct pool *, const struct uuid *); /* made where it is missing */
void pool_who_restarts(
    struct pool *, const struct uuid *id, uint64_t epoch, nsec grace); /* it said so */
void pool_who_settle(struct pool *, struct who *); /* looks at its names again, tells what is new;
						    * without any it is freed */
void pool_who_belongs(struct pool *, struct named *, struct who *); /* NULL: to nobody */
void pool_failed_as(struct pool *, enum spread_peer_state);         /* spread has the failed so */
void pool_whos_done(struct pool *);
static inline bool
named_alive(const struct named *n)
{
	return n->state == SERF_ALIVE || n->state == SERF_LEAVING;
}

/* pool_roster.c */
void pool_member_fill(const struct named *, const struct serf_member *, struct pool_member *out);

/* pool_rival.c */
void pool_conflict(struct pool *, const struct swim_member *ours, const struct swim_member *other);
/* Before the answer to a push/pull of ours is merged. `from`: whose answer it is. */
void pool_rival_meet(struct pool *, const struct addr *from, bool join,
    const struct wire_node_state *, size_t count);
void pool_rival_tick(struct pool *);
/* One that lives elsewhere, by another name, goes by our id. */
void pool_clone_seen(struct pool *);

#endif
