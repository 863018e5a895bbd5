/* agent/pool/pool.h -- this agent's part in the pool: SWIM, serf, the catalog's spreading, coordinates
 * and presence as one core without I/O, clock or globals.
 *
 * It is what an agent is to the others, so the simulator runs thousands of it (tests/sim), and the
 * shell (pool_io.h) only carries bytes. Inside, every arrow between the cores is drawn here:
 *
 *     swim  --news-->      serf --news-->  presence --shows-->  store
 *     swim  --acks-->      coordinates --payload--> swim
 *     store --news-->      spread --messages--> swim (datagrams), streams
 *     swim  --user-->      serf --0xc5--> spread
 *
 * After every call that feeds it: drain pool_action_next(), then re-arm the one timer with
 * pool_deadline(). What an action points to is borrowed until the next call that feeds.
 *
 * Members are keyed by wire name, as SWIM has them; a muster agent's id decides who it is
 * (RULES 3): same id at a new address is taken over at once; another live id that holds our
 * name makes us announce NAME~<first 8 of our id>, with the display name in the tag "name"; a live
 * id at the address of a failed one has replaced it.
 */
#ifndef AGENT_POOL_H
#define AGENT_POOL_H

#include "agent/pool/presence.h"
#include "base/log.h"
#include "gossip/coordinate.h"
#include "gossip/keyring.h"
#include "gossip/serf.h"
#include "gossip/serf_meta.h"
#include "gossip/stream.h"
#include "gossip/swim.h"
#include "kv/spread.h"
#include "kv/store.h"

#define POOL_EVENTS_MAX 256 /* user events kept for /v1/event/list, as Consul */
#define POOL_STREAMS_MAX 256 /* under way at once */

struct pool_config {
	struct store *store;  /* borrowed */
	struct uuid self;
	struct str name;      /* display name; the wire name unless another holds it */
	struct addr advertise;
	struct serf_meta meta; /* dc, id, build, server, port …; `muster`, `id` and "name" are ours */
	struct swim_profile profile;
	struct keyring *keys;  /* borrowed; NULL: plain */
	size_t overhead;       /* bytes that framing adds to a datagram */
	nsec reap;             /* 0: 72 h */
	struct serf_clocks clocks; /* of our last life */
	const struct serf_coordinate *coordinate; /* of our last life, for this call; NULL: none */
	bool awaits;           /* there is somewhere to join: not ready before (RULES 13) */
	nsec ready_max;        /* 0: 10 s: ready without a peer */
	nsec restart_grace;    /* what pool_restarting() announces; 0: 30 s */
	unsigned hold_share, damp_flaps; /* presence.h */
	struct spread_config spread; /* store and self are filled in here */
	bool notes;            /* debug lines of SWIM are wanted */
};

enum pool_action_kind {
	POOL_SEND,      /* one datagram to addr: bytes, unframed; crc: the peer knows the header */
	POOL_OPEN,      /* a stream to addr, under `id`, at most until `until`; want_answer. When it
	                 * stands pool_stream_request(), at its end pool_stream_end() */
	POOL_KEYS_SAVE, /* the keyring changed: write its file before this counts */
	POOL_MEMBER,    /* member, news: for the log, watches, and what is kept for a rejoin */
	POOL_EVENT,     /* event: a user event was delivered here */
	POOL_JOINED,    /* pool_join() `id` is over: ok, or text says why not */
	POOL_KEYS,      /* pool_keys() `id`: one agent's answer: keys, from name */
	POOL_KEYS_DONE, /* pool_keys() `id` is over: answers of expected */
	POOL_ANSWER,    /* pool_query() `id`: one agent's answer: bytes, from name */
	POOL_DONE,      /* pool_query() `id` is over */
	POOL_READY,     /* the first whole exchange is done, or the wait is over (RULES 13) */
	POOL_LEFT,      /* pool_leave() is through: the process may end */
	POOL_EPOCH,     /* our death is certified: begin a new epoch above `id` (RULES 6) */
	POOL_CLONE,     /* our id lives elsewhere too: take a new id (RULES 1) */
	POOL_LOG,       /* level, text: one line for the log, room "gossip" */
};

struct pool_member { /* as it is shown */
	struct str name;      /* display name */
	struct str wire_name;
	struct addr addr;
	struct str meta;      /* encoded tags: serf_tags_read() */
	struct wire_vsn vsn;
	enum serf_state state;
	struct uuid id;       /* all zero: no muster agent */
	bool muster, server;
	nsec since;
};

struct pool_action {
	enum pool_action_kind kind;
	uint64_t id;
	struct addr addr;
	struct str bytes, text, name;
	bool crc, want_answer, ok;
	nsec until;
	enum serf_news news;
	struct pool_member member;
	struct serf_event event;
	struct serf_key_response keys;
	size_t answers, expected;
	enum log_level level;
};

struct pool;

struct pool *pool_new(const struct pool_config *, uint64_t seed, struct now);
void pool_free(struct pool *); /* NULL is fine */

/* What arrives. `message`: single, unframed. */
void pool_input(struct pool *, struct now, const struct addr *from, struct str message);
void pool_refused(struct pool *, struct now, const struct addr *peer);
/* Somebody else's stream: its request; true and *answer when there is one (slices in the arena). */
bool pool_request(struct pool *, struct now, const struct addr *from,
    const struct stream_request *, struct arena *, struct stream_request *answer);
/* Ours. False: no longer wanted, close it. */
bool pool_stream_request(
    struct pool *, struct now, uint64_t id, struct arena *, struct stream_request *out);
/* answer NULL: none came. refused: nobody listens there. */
void pool_stream_end(struct pool *, struct now, uint64_t id, bool refused,
    const struct stream_request *answer);

void pool_changed(struct pool *, struct now); /* the store has news: told at once */
/* This member says that it has newer records of its own: they are asked for, not waited for. */
void pool_pull(struct pool *, struct now, const struct uuid *id);
void pool_tick(struct pool *, struct now);
nsec pool_deadline(const struct pool *);
bool pool_action_next(struct pool *, struct pool_action *out);

/* Requests of this host. */
uint64_t pool_join(struct pool *, struct now, const struct addr *); /* POOL_JOINED follows */
void pool_leave(struct pool *, struct now);                         /* POOL_LEFT follows */
void pool_restarting(struct pool *, struct now); /* we stop and come back: nothing is hidden */
int pool_force_leave(struct pool *, struct now, struct str name, bool prune, struct err *);
int pool_event_fire(struct pool *, struct now, struct str name, struct str payload, struct err *);
int pool_query(struct pool *, struct now, const struct serf_ask *, uint64_t *id, struct err *);
/* ERR_REFUSED: not encrypted here; ERR_LIMIT: too many under way; ERR_INPUT: no key. */
int pool_keys(struct pool *, struct now, enum serf_key_op, struct str key, uint64_t *id,
    struct err *);
/* New tags; only dc, server, port, expect, bootstrap, cluster, raft, build, more. */
int pool_meta_set(struct pool *, struct now, const struct serf_meta *, struct err *);
void pool_presence_configure(struct pool *, unsigned hold_share, unsigned damp_flaps);

/* Reading. */
bool pool_ready(const struct pool *);
size_t pool_member_count(const struct pool *, enum serf_state); /* SERF_NONE: all */
/* In order of wire name; `after` empty: from the first. */
bool pool_member_next(const struct pool *, struct str after, struct pool_member *out);
/* By display name, wire name or id, in this order. */
bool pool_member_find(const struct pool *, struct str name, struct pool_member *out);
bool pool_member_by_id(const struct pool *, const struct uuid *, struct pool_member *out);
struct str pool_wire_name(const struct pool *);
const struct coordinates *pool_coordinates(const struct pool *);
struct serf_clocks pool_clocks(const struct pool *);

struct pool_stats {
	struct swim_stats swim;
	struct serf_stats serf;
	struct spread_stats spread;
	struct presence_stats presence;
	unsigned awareness;
	uint64_t refused_members; /* that may not be in our pool: Consul's, or of another dc */
	uint64_t renamed, taken_over, conflicts;
	uint64_t dropped; /* by a limit of the pool itself */
};
struct pool_stats pool_stats(const struct pool *);

#endif
