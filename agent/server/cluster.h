/* agent/server/cluster.h -- keys and sessions for this agent, wherever they are decided: as a core without
 * I/O.
 *
 * A server holds a Raft core (kv/raft_core.h) and a copy of all keys; any other agent holds neither
 * and asks the leader. Here is who founds the cluster and who is in it (RULES 8, 9, 17), what is
 * forwarded and repeated (RULES 10), what a reader waits for (RULES 11), and what ends a session
 * (RULES 7). One server with -bootstrap or -dev is a cluster of one.
 *
 * After every call that feeds it: drain cluster_action_next(), carry the actions out in their
 * order, re-arm the one timer with cluster_deadline(). What an action points to is borrowed until
 * the next call that feeds. Answers come as actions, never from within a call.
 */
#ifndef AGENT_CLUSTER_H
#define AGENT_CLUSTER_H

#include "kv/fsm.h"
#include "kv/raft_core.h"
#include "kv/raft_vote_io.h"
#include "kv/store.h"

#define CLUSTER_NO_LEADER "No cluster leader" /* Consul's text, with status 500 */
#define CLUSTER_ASKED_MAX 16384               /* requests without an answer, of one agent */
#define CLUSTER_SERVED_MAX 65536              /* of others, at a server */
#define CLUSTER_HTTP_MAX (64 * 1024 * 1024)   /* bytes of a forwarded request or its answer */

struct cluster_config {
	struct store *store; /* borrowed: nodes, checks and members that sessions depend on */
	struct uuid self;
	struct epoch epoch; /* of this life: forwarded writes are numbered within it */
	bool server, bootstrap;
	bool joins;         /* there is a place to join: founds nothing before cluster_synced(),
			     * or 10 s (RULES 8) */
	unsigned expect;    /* 0: not asked for */
	nsec suspicion_max; /* the ordinary, unshortened one (RULES 7) */
	struct watches *watches;                   /* borrowed: woken by keys and sessions */
	uint64_t snapshot_entries, snapshot_bytes; /* as in struct raft_core_config */
	bool notes;
};

struct cluster_disk { /* what the server's folder held; NULL for none: a new log */
	struct raft_vote vote;
	struct raft_core_found found;
	struct fsm *fsm; /* taken over, also after an error; the snapshot is in it */
};

/* A member of the pool, as gossip has it. */
struct cluster_member {
	struct uuid agent, cluster; /* cluster: of the tag; zero: none */
	uint64_t raft_id;           /* of the tag; 0: no server, or one without a log */
	bool server, alive, left;
	bool formed; /* it holds an N-voter configuration, or was founded with -bootstrap */
	unsigned expect;
	uint32_t version; /* of the protocol between servers */
	nsec since;       /* monotonic: when it became (not) alive */
};

enum cluster_action_kind {
	CLUSTER_SEND,    /* agent, bytes: to its cluster_input(). Not before every VOTE that came
			  * ahead of it is durable */
	CLUSTER_RAFT,    /* raft: VOTE (write all of `vote`), TRUNCATE, APPEND, SNAPSHOT,
			  * INSTALLED, DROP for the disk; SEND_SNAPSHOT: raft.bytes and the data
			  * to `agent`'s cluster_install(), behind the VOTEs too */
	CLUSTER_FOUNDED, /* vote: a new log begins: its files are made anew, with this identity,
			  * before the next action; snapshots go too. What was queued for the old
			  * files is never told as durable. A zero cluster_id: none yet */
	CLUSTER_TAGS,    /* cluster, raft_id, formed: what our tags say from now on */
	CLUSTER_ANSWER,  /* request, code, text, index, bytes */
	CLUSTER_ASKED,   /* agent, request, bytes: an agent that holds no copy asks for HTTP: answer
			  * by cluster_served() */
	CLUSTER_DROPPED, /* request: it does not wait any more (CLUSTER_ASKED) */
	CLUSTER_APPLIED, /* keys or sessions changed: blocked readers may be due */
	CLUSTER_LEADER,  /* agent: of the new leader; zero: there is none */
	CLUSTER_LOG,     /* level, text: a line for the log, room "raft" */
};

struct cluster_action {
	enum cluster_action_kind kind;
	struct uuid agent, cluster;
	uint64_t raft_id, request, index;
	bool formed;
	int code, level;
	struct raft_core_action raft;
	struct raft_vote vote;
	struct str bytes, text;
};

struct cluster;

/* `disk` (may be NULL) is borrowed for the call, but for its fsm. */
int cluster_new(const struct cluster_config *, const struct cluster_disk *, uint64_t seed,
    struct now, struct cluster **out, struct err *);
void cluster_free(struct cluster *); /* NULL is fine */
void cluster_tick(struct cluster *, struct now);
nsec cluster_deadline(const struct cluster *);
bool cluster_action_next(struct cluster *, struct cluster_action *out);

/* What happens around it. */
void cluster_member_set(struct cluster *, struct now, const struct cluster_member *);
void cluster_member_gone(struct cluster *, struct now, const struct uuid *agent); /* reaped */
void cluster_synced(struct cluster *, struct now);        /* the catalog is whole (RULES 7, 13) */
void cluster_store_changed(struct cluster *, struct now); /* sessions may have lost their checks */
/* From an agent whose identity the transport has made sure of. */
int cluster_input(struct cluster *, struct now, const struct uuid *from, struct str, struct err *);
int cluster_install(struct cluster *, struct now, const struct uuid *from, struct str bytes,
    int (*read)(void *arg, size_t want, struct buf *, struct err *), void *arg, struct err *);
void cluster_lost(struct cluster *, struct now, const struct uuid *agent); /* its connection */
void cluster_durable(struct cluster *, struct now, uint64_t raft_index);
void cluster_snapshot_stored(struct cluster *, struct now, uint64_t raft_index);
/* The disk takes nothing at present, and why; empty: it does again. Who leads alone refuses writes,
 * who does not lets another lead. */
void cluster_disk_failing(struct cluster *, struct now, struct str why);
void cluster_served(struct cluster *, struct now, uint64_t request, struct str answer);
/* Graceful stop: leadership goes elsewhere; done when cluster_may_stop(). */
void cluster_stop(struct cluster *, struct now);
bool cluster_may_stop(const struct cluster *);

/* Requests of this agent's API. The number is not 0; exactly one ANSWER follows, unless it is
 * cancelled. Its code: 0; ERR_STATE: text is Consul's, status 500 (no leader, leadership lost);
 * ERR_LIMIT: too much at once, 429; ERR_INPUT: 400. */

/* A write: bytes are the result (kv/fsm.h), index the key index, and it is applied here. agent,
 * epoch and request of the operation are filled in here. Slices are borrowed for the call. */
uint64_t cluster_write(struct cluster *, struct now, const struct fsm_op *);

enum cluster_read { CLUSTER_DEFAULT, CLUSTER_CONSISTENT, CLUSTER_STALE };
/* On a server: with code 0 fsm may be read as it then is. Stale ones are answered in the same turn,
 * but for those that come before cluster_in_step(): like others, or when no leader is found. */
uint64_t cluster_read(struct cluster *, struct now, enum cluster_read);
/* On a server: nothing is to be waited for, fsm may be read this very moment; so it is for stale
 * reads once the copy is in step, and at the leader that is the only voter. */
bool cluster_readable(const struct cluster *, struct now, enum cluster_read);
/* On any other agent: a whole HTTP request and its answer, as bytes (agent/http/carry.h). */
uint64_t cluster_ask_http(struct cluster *, struct now, struct str request);
/* It only reads: when the server is lost, another one is asked. Without this it fails then. */
void cluster_repeatable(struct cluster *, uint64_t request);
/* A session's TTL begins anew, at the leader. Bytes: one byte, 0 when there is no such session. */
uint64_t cluster_renew(struct cluster *, struct now, const struct uuid *session);
/* Operator: a server leaves the configuration. */
uint64_t cluster_remove(struct cluster *, struct now, uint64_t raft_id);
void cluster_cancel(struct cluster *, uint64_t request);

/* The copy has caught up with the leader since the start, or there was none for 10 s, or no copy.
 */
bool cluster_in_step(const struct cluster *, struct now);
struct fsm *cluster_fsm(struct cluster *); /* NULL: this agent holds no copy */

struct cluster_status {
	bool server, leader;
	bool known_leader;
	bool in_step;        /* cluster_in_step() */
	struct uuid cluster; /* its id; zero: of none yet. Who is no server: the leader's */
	bool formed;         /* this id stays (RULES 8) */
	struct uuid leader_agent;
	nsec last_contact; /* how long ago the leader was heard; the leader's own: 0 */
	struct raft_core_status raft;
};
struct cluster_status cluster_status(const struct cluster *, struct now);
/* At the leader: how far the log of a server is known to be durable, and when it was last heard
 * (monotonic; its own: now). False: this is not the leader, or there is no such server. */
bool cluster_progress(
    const struct cluster *, struct now, uint64_t raft_id, uint64_t *match, nsec *heard);
size_t cluster_servers(
    const struct cluster *, struct raft_core_server out[RAFT_CORE_SERVERS_MAX]); /* 0: unknown */

#endif
