/* agent/server/cluster_priv.h -- what the files of the cluster share.
 *
 * cluster.c: life, actions, time. cluster_found.c: whose log this is. cluster_server.c: who is in
 * the configuration. cluster_ask*.c: requests of this agent. cluster_serve.c: requests of others.
 * cluster_session.c: what ends a session.
 */
#ifndef AGENT_CLUSTER_PRIV_H
#define AGENT_CLUSTER_PRIV_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

#include "agent/server/cluster.h"
#include "agent/server/cluster_wire.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/spare.h"

/* Flags of the vote file. */
#define CLUSTER_FORMED 1u  /* an N-voter configuration was held: this identity stays (RULES 8) */
#define CLUSTER_OPEN 2u    /* all N held it: writes are taken */
#define CLUSTER_FOUNDER 4u /* the log began here; without an entry it never did */

#define CLUSTER_GONE 64
#define CLUSTER_ROOM 256 /* bytes that most requests and notes need */
#define CLUSTER_KEPT 128 /* blocks of memory of each kind, for the next requests */
#define CLUSTER_BYTES_MAX ((size_t)128 * 1024 * 1024) /* of requests that wait, and of notes */

struct cluster_note { /* an action that waits, with what it points to */
	TAILQ_ENTRY(cluster_note) link;
	struct cluster_action act;
	struct buf bytes;
};

struct cluster_peer { /* a member of the pool */
	RB_ENTRY(cluster_peer) link;
	struct cluster_member m;
	bool warned; /* of another formed cluster */
};
RB_HEAD(cluster_peers, cluster_peer);

/* A request of this agent. */
enum ask_state {
	ASK_WAITING,  /* for a leader, or for its turn */
	ASK_LOCAL,    /* in our Raft core */
	ASK_SENT,     /* to another agent */
	ASK_APPLYING, /* decided: until it is applied here */
};

struct cluster_ask {
	RB_ENTRY(cluster_ask) by_number, by_due;
	TAILQ_ENTRY(cluster_ask) link; /* in its state's list */
	TAILQ_ENTRY(cluster_ask) write_link;
	uint64_t number;
	uint64_t write; /* request number of a forwarded write; 0: no write */
	enum cluster_call call;
	enum ask_state state;
	bool unsure;     /* it may have been done */
	bool repeatable; /* HTTP: it only reads */
	bool stale;      /* READ: without a leader the copy will do as it is */
	struct uuid to;  /* SENT */
	uint64_t round;  /* SENT, READ: the number of the call that it shares with others */
	nsec since, due; /* asked; given up */
	nsec sent;       /* SENT: when */
	uint64_t index;  /* APPLYING: key index */
	struct buf bytes, result;
};
RB_HEAD(cluster_asks, cluster_ask);
RB_HEAD(cluster_dues, cluster_ask);
TAILQ_HEAD(cluster_ask_list, cluster_ask);

/* A request of another agent. */
struct cluster_serve {
	RB_ENTRY(cluster_serve) by_call, by_number;
	TAILQ_ENTRY(cluster_serve) link; /* behind: waits until we have applied `seen` */
	struct uuid agent;
	uint64_t call_number, number;
	enum cluster_call call;
	struct uuid session; /* RENEW */
	bool behind;
	uint64_t seen;
	nsec due;
	struct buf bytes; /* HTTP, while behind */
};
RB_HEAD(cluster_calls, cluster_serve);
RB_HEAD(cluster_serves, cluster_serve);
TAILQ_HEAD(cluster_serve_list, cluster_serve);

struct cluster_track;
RB_HEAD(cluster_tracks, cluster_track);

struct cluster {
	struct cluster_config config;
	struct rng rng;
	struct now turn; /* the moment of the step that is being drained */
	uint64_t numbers;

	/* whose log (cluster_found.c) */
	struct fsm *fsm;        /* NULL: no server */
	struct raft_core *raft; /* NULL: no log yet */
	struct raft_vote vote;  /* as handed out */
	struct buf first;       /* founding: the first entry, until it is durable */
	bool founding, stopping, synced, stopped;
	bool in_step;        /* the copy has been as new as the leader's, in this life of the log */
	struct buf disk_why; /* it takes nothing; empty: it does */
	nsec disk_at;        /* writes on their way are told so */
	nsec started, synced_at, stateless_at, leaderless_at, settle_at, stop_at;
	struct uuid told_cluster;
	uint64_t told_raft_id;
	bool told_formed;

	/* who leads */
	bool leading; /* writes are taken here */
	bool led;     /* an entry of our own term is applied: deadlines of sessions run here */
	bool leader_known;
	struct uuid leader; /* agent */
	uint64_t leader_term;
	struct uuid leader_cluster;
	struct uuid who; /* the server asked last */
	nsec who_at;

	/* servers (cluster_server.c) */
	struct cluster_peers peers;
	struct raft_core_server servers[RAFT_CORE_SERVERS_MAX]; /* as of the last CHANGED */
	size_t server_count;
	size_t peer_count, failed_count, there_count; /* there: not left */
	uint64_t change; /* the number of a change under way; 0: none */
	nsec change_at;
	nsec autopilot_at, reap_at;
	uint64_t form_target, form_term;
	struct server_seen {
		uint64_t id, match;
		nsec heard; /* or when this leadership began */
	} seen[RAFT_CORE_SERVERS_MAX];
	size_t seen_count;
	uint64_t gone[CLUSTER_GONE]; /* servers that we took out, as a ring */
	size_t gone_count;
	bool removed; /* we were taken out */

	/* requests */
	struct cluster_asks asks;
	struct cluster_dues dues;
	struct cluster_ask_list waiting, local, sent, carried, applying, writes;
	size_t ask_count, ask_bytes;
	uint64_t write_numbers, index_seen;
	bool pump;
	nsec retry_at;
	struct cluster_note *round_note; /* a call for reads that has not left: more may join */
	uint64_t round;                  /* its number */
	struct cluster_calls calls;
	struct cluster_serves serves;
	struct cluster_serve_list behind;
	size_t serve_count;
	struct fsm_op *scratch;

	/* sessions */
	struct cluster_tracks tracks;
	size_t track_count;
	bool sessions_dirty;
	nsec sessions_at;
	nsec sessions_met; /* when new ones were looked for, and the table's index then */
	uint64_t sessions_index;

	struct spare spare_asks, spare_notes, spare_rooms;

	TAILQ_HEAD(cluster_notes, cluster_note) notes;
	struct cluster_note *told; /* what the last action points to */
	uint64_t dropped;          /* bad messages */
};

/* cluster.c */
struct cluster_note *cluster_note(struct cluster *, enum cluster_action_kind);
void cluster_note_drop(struct cluster *, struct cluster_note *);
void cluster_say(struct cluster *, enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void cluster_send(struct cluster *, const struct uuid *to, const struct cluster_wire *);
void cluster_changed(struct cluster *); /* role, leader, configuration: look again */
void cluster_gone(struct cluster *);    /* there is no Raft core any more */
/* What a write hears that waits for a disk which takes nothing. */
void cluster_disk_text(const struct cluster *, char *out, size_t cap);
void cluster_leader_set(struct cluster *, bool known, const struct uuid *agent);
struct raft_core_status cluster_raft_status(const struct cluster *);

/* cluster_found.c */
void cluster_found_look(struct cluster *); /* found, or drop what was founded, where it is due */
nsec cluster_found_deadline(const struct cluster *);
int cluster_found_restore(struct cluster *, const struct cluster_disk *, struct err *);
void cluster_found_durable(struct cluster *, uint64_t index);
/* The first message of the cluster that has taken us in. False: not for us. */
bool cluster_found_adopt(struct cluster *, const struct cluster_wire *);
void cluster_found_anew(struct cluster *); /* we were taken out: a new log, in the same cluster */
void cluster_found_flags(struct cluster *, uint32_t add);
void cluster_found_tags(struct cluster *);

/* cluster_server.c */
RB_PROTOTYPE(cluster_peers, cluster_peer, link, cluster_peer_cmp)
struct cluster_peer *cluster_peer_find(const struct cluster *, const struct uuid *agent);
bool cluster_server_agent(const struct cluster *, uint64_t raft_id, struct uuid *agent);
bool cluster_server_is(const struct cluster *, uint64_t raft_id, const struct uuid *agent);
bool cluster_server_votes(const struct cluster *); /* we do */
bool cluster_server_alone(const struct cluster *);
unsigned cluster_server_level(const struct cluster *); /* what all servers understand (RULES 14) */
bool cluster_server_usable(const struct cluster_peer *);
void cluster_server_formed(struct cluster *); /* at the leader: do all N hold it? */
void cluster_server_led(struct cluster *);    /* a leadership begins */
void cluster_server_tick(struct cluster *);   /* autopilot */
nsec cluster_server_deadline(const struct cluster *);
int cluster_server_remove(struct cluster *, uint64_t number, uint64_t raft_id, struct err *);
bool cluster_server_answer(struct cluster *, const struct raft_core_action *);

/* cluster_ask*.c */
void cluster_ask_pump(struct cluster *);
bool cluster_ask_answer(struct cluster *, const struct raft_core_action *);
void cluster_ask_reply(struct cluster *, const struct uuid *from, const struct cluster_wire *);
void cluster_ask_lost(struct cluster *, const struct uuid *agent);
void cluster_ask_local_lost(struct cluster *);
void cluster_ask_local_fail(struct cluster *, struct str why); /* writes */
void cluster_ask_led(struct cluster *);                        /* another leader, or none */
void cluster_ask_applied(struct cluster *);
void cluster_ask_tick(struct cluster *);
nsec cluster_ask_deadline(const struct cluster *);
void cluster_ask_free(struct cluster *);

/* cluster_serve.c: what a leader does for an agent, itself included. */
int cluster_lead(struct cluster *, uint64_t number, enum cluster_call, const struct uuid *agent,
    struct str bytes, struct err *);
/* The result of an answer with code 0: what goes back, and the key index that belongs to it. */
struct str cluster_lead_done(struct cluster *, enum cluster_call, const struct uuid *session,
    const struct raft_core_action *, uint64_t *index);
void cluster_serve_call(struct cluster *, const struct uuid *from, const struct cluster_wire *);
void cluster_serve_cancel(struct cluster *, const struct uuid *from, uint64_t call_number);
bool cluster_serve_answer(struct cluster *, const struct raft_core_action *);
void cluster_serve_lost(struct cluster *, const struct uuid *agent);
void cluster_serve_local_lost(struct cluster *);
void cluster_serve_local_fail(struct cluster *, struct str why); /* writes */
void cluster_serve_applied(struct cluster *);
void cluster_serve_tick(struct cluster *);
nsec cluster_serve_deadline(const struct cluster *);
void cluster_serve_free(struct cluster *);

/* cluster_session.c */
void cluster_session_met(struct cluster *); /* after something was applied */
void cluster_session_tick(struct cluster *);
nsec cluster_session_deadline(const struct cluster *);
void cluster_session_free(struct cluster *);

#endif
