/* gossip/serf_private.h -- the state behind serf.h, shared by its files.
 *
 *     serf.c           life, clocks, actions, input, push/pull state, time
 *     serf_member.c    the table, intents, what SWIM says, leaving, reaping, reconnecting
 *     serf_event.c     the ring of user events
 *     serf_query.c     the ring of queries, those asked here, those to be answered here
 *     serf_filter.c    does a query mean us
 *     serf_internal.c  queries that agents answer themselves: conflicts, keys
 */
#ifndef GOSSIP_SERF_PRIVATE_H
#define GOSSIP_SERF_PRIVATE_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "base/blob.h"
#include "base/rng.h"
#include "gossip/serf.h"

#define SERF_TABLE_MAX 65536  /* members, when the configuration says nothing */
#define SERF_INTENTS_MAX 4096 /* buffered for unknown names */
#define SERF_PRUNED_MAX 4096  /* death certificates */
#define SERF_INTENT_KEEP (5 * NSEC_MIN)
#define SERF_REAP (72 * NSEC_HOUR)
#define SERF_RECONNECT (30 * NSEC_SEC)
#define SERF_LEAVING_MAX (30 * NSEC_SEC) /* who is alive then did not leave */
#define SERF_ACTIONS_MAX (1u << 18)
#define SERF_ACTION_BYTES (16 * 1024 * 1024)
#define SERF_READ_BYTES (64 * 1024)           /* memory for reading one message */
#define SERF_STATE_BYTES (32 * 1024 * 1024)   /* and one push/pull state */
#define SERF_SLOT_MAX 256                     /* events, and queries, of one Lamport time */
#define SERF_RING_BYTES_MAX (4 * 1024 * 1024) /* of all events in the ring */
#define SERF_ASKS_MAX 64                      /* our queries under way */
#define SERF_TICKETS_MAX 256                  /* queries of others that wait for our answer */
#define SERF_CONFLICT_GAP NSEC_MIN            /* between two votes about our name */

struct member {
	RB_ENTRY(member) by_name;
	TAILQ_ENTRY(member) gone; /* failed, left: the longest first */
	struct serf_member m;     /* name and meta point into the blobs */
	struct blob *name, *meta;
	bool prune; /* to be forgotten once it is gone */
	bool rejoins; /* gone, and a newer join was heard: SWIM will follow */
};
RB_HEAD(members, member);
TAILQ_HEAD(gone_list, member);

struct intent { /* about a name that is not in the table */
	RB_ENTRY(intent) by_name;
	TAILQ_ENTRY(intent) by_age;
	struct blob *name;
	uint64_t ltime;
	nsec until;
	bool leave, pruned; /* pruned: a death certificate */
};
RB_HEAD(intents, intent);
TAILQ_HEAD(intent_list, intent);

struct slot_event {
	struct blob *name, *payload; /* payload NULL: nil */
};

struct slot {
	uint64_t ltime;
	struct slot_event *events;
	size_t count, room, bytes;
};

struct query_slot {
	uint64_t ltime;
	uint32_t *ids;
	size_t count, room;
};

struct heard { /* hashes of names, ascending */
	uint64_t *names;
	size_t count, room;
};

enum ask_kind { ASK_AGENT, ASK_KEYS, ASK_CONFLICT };

struct ask { /* a query of ours */
	TAILQ_ENTRY(ask) link;
	uint64_t id, ltime;
	uint32_t wire_id;
	enum ask_kind kind;
	nsec until;
	struct heard acks, answers;
	size_t expected, agree; /* agree: a conflict's votes for us */
};
TAILQ_HEAD(ask_list, ask);

struct ticket { /* a query that the agent may answer */
	TAILQ_ENTRY(ticket) link;
	uint64_t id, ltime;
	uint32_t wire_id;
	struct addr source;
	struct blob *node;
	uint8_t relay_factor;
	nsec until;
};
TAILQ_HEAD(ticket_list, ticket);

struct serf {
	struct serf_config config; /* name in `self` */
	struct serf_clocks clock;
	struct rng rng;
	struct serf_stats stats;
	struct member *self;
	struct members members;
	struct gone_list failed, left;
	size_t count, state_count[SERF_FAILED + 1];
	struct intents intents;
	struct intent_list buffered, pruned;
	size_t buffered_count, pruned_count;
	struct slot events[SERF_EVENT_RING];
	size_t event_bytes;
	uint64_t event_min;
	struct query_slot queries[SERF_EVENT_RING];
	struct ask_list asks;
	struct ticket_list tickets;
	size_t ask_count, ticket_count;
	uint64_t last_id;
	bool leaving;
	uint64_t leave_id;
	nsec leave_until, reconnect_next, conflict_next;
	nsec leaving_next; /* nobody has been leaving for too long before it */
	nsec now;
	struct serf_action *actions;
	size_t action_at, action_count, action_room;
	struct arena out;    /* bytes of actions */
	struct blob **spent; /* what actions may still point to */
	size_t spent_count, spent_room;
};

/* serf.c */
void serf_begin(struct serf *, nsec now);
struct serf_action *serf_act(struct serf *, enum serf_action_kind); /* NULL: too many */
void serf_spend(struct serf *, struct blob *); /* unref when the actions are drained */
void serf_pass_on(struct serf *, enum serf_queue, struct str bytes, uint64_t id);
void serf_send_message(struct serf *, const struct addr *, struct str name, struct str bytes);
/* Encoded into `room` of SERF_MESSAGE_MAX bytes; ERR_LIMIT: over `max`. */
int serf_encode(
    const struct serf_message *, uint8_t *room, size_t max, struct str *out, struct err *);
bool serf_witness(struct serf *, uint64_t *clock, uint64_t ltime); /* false: beyond belief */
int serf_message(
    struct serf *, const struct addr *from, struct str bytes, bool inner, struct err *);

/* serf_member.c */
void serf_members_init(struct serf *);
void serf_members_done(struct serf *);
struct member *serf_members_find(const struct serf *, struct str name);
bool serf_intent(struct serf *, const struct serf_intent *, bool leave); /* true: pass it on */
void serf_members_tick(struct serf *);
nsec serf_members_deadline(const struct serf *);
size_t serf_alive_count(const struct serf *);
/* The k-th of the alive ones but us, in the order of names. */
struct member *serf_alive_other(const struct serf *, size_t k);
void serf_intent_announce(struct serf *, bool leave, struct str name, bool prune, uint64_t id);

/* serf_event.c */
bool serf_event_take(struct serf *, const struct serf_event *);
void serf_events_done(struct serf *);
/* The ring for a push/pull, in its order, in the arena. */
void serf_events_list(const struct serf *, struct arena *, struct serf_push_pull *out);

/* serf_query.c */
bool serf_query_take(struct serf *, const struct serf_query *);
void serf_response_take(struct serf *, const struct serf_response *);
void serf_queries_done(struct serf *);
void serf_queries_tick(struct serf *);
nsec serf_queries_deadline(const struct serf *);
int serf_ask_start(
    struct serf *, enum ask_kind, const struct serf_ask *, uint64_t *id, struct err *);
void serf_answer(struct serf *, const struct serf_query *, struct str payload);
void serf_answer_room(const struct serf *, const struct serf_query *, size_t *payload_max);

/* serf_filter.c */
bool serf_filters_match(const struct serf *, struct arena *, const struct serf_query *);

/* serf_internal.c: names that begin with _serf_ */
#define SERF_INTERNAL "_serf_"
void serf_internal_query(struct serf *, const struct serf_query *);
void serf_internal_answer(struct serf *, struct ask *, struct str from, struct str payload);
void serf_internal_over(struct serf *, const struct ask *);

#endif
