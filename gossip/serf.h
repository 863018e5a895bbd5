/* gossip/serf.h -- what stands on membership, as serf has it: a state machine without I/O.
 *
 * SWIM knows who answers; serf tells "left" from "failed" by intents under Lamport clocks, carries
 * user events and queries through the pool, and forgets members after days. Fed are news of SWIM,
 * the user messages and push/pull states of peers, requests of this host, and time. What comes out
 * are actions: SERF_DO_* for the network, SERF_TELL_* for the agent.
 *
 * After every call that feeds it: drain serf_action_next(), then re-arm the one timer with
 * serf_deadline(). What an action points to is borrowed until the next call that feeds.
 *
 * Unlike serf, an agent that meets its own name elsewhere warns and never shuts itself down; and
 * what names pruned members is kept longer than any push/pull round.
 */
#ifndef GOSSIP_SERF_H
#define GOSSIP_SERF_H

#include "base/buf.h"
#include "base/nsec.h"
#include "gossip/keyring.h"
#include "gossip/serf_wire.h"
#include "gossip/swim.h"

/* As Consul and serf number them. */
enum serf_state { SERF_NONE, SERF_ALIVE, SERF_LEAVING, SERF_LEFT, SERF_FAILED };
const char *serf_state_name(enum serf_state);

struct serf_member {
	struct str name, meta;
	struct addr addr;
	struct wire_vsn vsn;
	enum serf_state state;
	uint64_t ltime; /* of the last intent that counted */
	nsec since;     /* of the last change of state */
};

#define SERF_LTIME_MAX ((uint64_t)1 << 62) /* beyond it a clock is a lie: dropped */
#define SERF_EVENT_RING 512
#define SERF_EVENT_SIZE_MAX 512  /* name and payload of an event that starts here */
#define SERF_MESSAGE_MAX 1366    /* bytes of what can be gossiped; larger is not passed on */
#define SERF_QUERY_SIZE_MAX 1024 /* bytes of a query or an answer that we send */
#define SERF_EXPR_MAX 128        /* bytes of a filter's expression */
#define SERF_TIMEOUT_MAX (10 * NSEC_MIN)

struct serf_clocks {
	uint64_t member, event, query;
};

struct serf_config {
	struct str name; /* ours on the wire */
	struct addr advertise;
	struct str meta;             /* our tags, encoded */
	nsec gossip_interval;        /* 0: 200 ms */
	nsec reap_failed, reap_left; /* 0: 72 h */
	nsec leave_wait;             /* 0: 5 s */
	size_t members_max;          /* 0: 65536 */
	bool replay;                 /* deliver events from before our join */
	struct serf_clocks clocks;   /* of our last life; zero: none */
	struct keyring *keys;        /* borrowed; NULL: not encrypted */
};

enum serf_queue { SERF_INTENTS, SERF_QUERIES, SERF_EVENTS }; /* as SWIM's */
enum serf_news { SERF_JOINED, SERF_WENT, SERF_DIED, SERF_UPDATED, SERF_REAPED };
const char *serf_news_name(enum serf_news); /* member-join, member-leave, ... */

enum serf_action_kind {
	SERF_DO_BROADCAST,  /* bytes, by queue; id non-zero: serf_broadcast_done() when through */
	SERF_DO_SEND,       /* bytes to peer as a user message */
	SERF_DO_META,       /* our tags are now bytes: swim_meta_set() */
	SERF_DO_FORGET,     /* peer_name: swim_forget() */
	SERF_DO_RECONNECT,  /* a push/pull with Join to peer, who failed */
	SERF_DO_LEAVE,      /* the intent has spread: swim_leave() */
	SERF_DO_KEYS_SAVE,  /* the keyring changed: write its file */
	SERF_TELL_MEMBER,   /* news about member */
	SERF_TELL_EVENT,    /* event */
	SERF_TELL_QUERY,    /* event: name and payload; id: for serf_respond(), from peer_name */
	SERF_TELL_ACK,      /* to our query id, from peer_name */
	SERF_TELL_ANSWER,   /* bytes, to our query id, from peer_name */
	SERF_TELL_KEYS,     /* keys, to our key query id, from peer_name */
	SERF_TELL_DONE,     /* our query id is over: acks, answers of `expected` */
	SERF_TELL_CONFLICT, /* bytes: a warning. Two claim a name */
	SERF_TELL_DELTA,    /* bytes of a muster agent at peer */
	SERF_TELL_DIGEST,   /* bytes that came with a push/pull of a muster agent */
};

struct serf_action {
	enum serf_action_kind kind;
	enum serf_queue queue;
	enum serf_news news;
	uint64_t id;
	struct addr peer;
	struct str peer_name, bytes;
	struct serf_member member;
	struct serf_event event;
	struct serf_key_response keys;
	size_t acks, answers, expected;
};

struct serf;

struct serf *serf_new(const struct serf_config *, uint64_t seed, nsec now);
void serf_free(struct serf *); /* NULL is fine */

/* What SWIM says of a member: alive or suspect, or dead or left. */
void serf_news(struct serf *, nsec now, const struct swim_member *);
/* A user message, by packet or stream. ERR_INPUT: malformed or unknown; ERR_LIMIT. */
int serf_input(struct serf *, nsec now, const struct addr *from, struct str bytes, struct err *);
/* Our user state for a push/pull is appended; `digest`: our own extra key, may be empty. */
void serf_state_write(struct serf *, struct str digest, struct buf *out);
/* A peer's; empty is fine. `join`: this push/pull is our joining. */
int serf_state_merge(
    struct serf *, nsec now, const struct addr *from, bool join, struct str bytes, struct err *);
void serf_conflict(
    struct serf *, nsec now, const struct swim_member *ours, const struct swim_member *other);
void serf_broadcast_done(struct serf *, nsec now, uint64_t id);
void serf_tick(struct serf *, nsec now);
nsec serf_deadline(const struct serf *);
bool serf_action_next(struct serf *, struct serf_action *out);

/* Requests of this host. */
void serf_joined(struct serf *, nsec now); /* a join's push/pull is done: announces us */
void serf_leave(struct serf *, nsec now);  /* SERF_DO_LEAVE follows */
/* Failed becomes left, a live one refutes. ERR_NOT_FOUND; ERR_REFUSED: about ourselves. */
int serf_force_leave(struct serf *, nsec now, struct str name, bool prune, struct err *);
/* As swim_rename(). SERF_TELL_MEMBER says that we joined under the new name, and nothing of the old
 * one. */
void serf_rename(struct serf *, nsec now, struct str name);
/* ERR_LIMIT: over WIRE_META_MAX. */
int serf_meta_set(struct serf *, nsec now, struct str meta, struct err *);
/* ERR_LIMIT: name and payload over SERF_EVENT_SIZE_MAX. Delivered here too. */
int serf_event_fire(
    struct serf *, nsec now, struct str name, struct str payload, bool cc, struct err *);

struct serf_ask {
	struct str name, payload;
	const struct serf_filter *filters;
	size_t filter_count;
	bool ack;
	uint8_t relay_factor;
	nsec timeout; /* 0: gossip interval x 16 x ceil(log10(n + 1)) */
};
/* ERR_REFUSED: a reserved name; ERR_LIMIT: too large, too many under way. */
int serf_query_start(struct serf *, nsec now, const struct serf_ask *, uint64_t *id, struct err *);
/* Once per query. ERR_NOT_FOUND: answered or over; ERR_LIMIT: too large. */
int serf_respond(struct serf *, nsec now, uint64_t id, struct str payload, struct err *);

enum serf_key_op { SERF_KEY_INSTALL, SERF_KEY_USE, SERF_KEY_REMOVE, SERF_KEY_LIST };
/* Asks all, ourselves too. Ends early when all that are alive have answered. */
int serf_key_start(
    struct serf *, nsec now, enum serf_key_op, struct str key, uint64_t *id, struct err *);

size_t serf_member_count(const struct serf *, enum serf_state); /* SERF_NONE: all */
/* By name, ascending; `after` empty: from the first. */
bool serf_member_next(const struct serf *, struct str after, struct serf_member *out);
bool serf_member_find(const struct serf *, struct str name, struct serf_member *out);
struct serf_clocks serf_clocks(const struct serf *);

struct serf_stats {
	uint64_t malformed, stale, repeated, dropped; /* dropped: beyond a limit of ours */
	uint64_t intents, events, queries, answers, relayed, refutations, reaped, reconnects;
};
struct serf_stats serf_stats(const struct serf *);

#endif
