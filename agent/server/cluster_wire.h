/* agent/server/cluster_wire.h -- what agents say to each other about keys and sessions, as bytes.
 *
 * A version, a kind, its fields, then the rest as it is. Raft's own messages travel inside. A call
 * has a number of the asker's; its reply has the same. Numbers are never used twice, not even by
 * the asker's next life: they begin anywhere.
 */
#ifndef AGENT_CLUSTER_WIRE_H
#define AGENT_CLUSTER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"

#define CLUSTER_WIRE_VERSION 1
#define CLUSTER_WIRE_HEAD 96 /* no message has more bytes than this beside its rest */

enum cluster_wire_kind { /* numbers are on the wire: never change one */
	WIRE_RAFT = 1,   /* cluster, from, to, open; rest: Raft's own bytes */
	WIRE_CALL = 2,   /* number, call, seen; rest: what is asked */
	WIRE_REPLY = 3,  /* number, status, index, cluster, term, leader; rest: the result */
	WIRE_CANCEL = 4, /* number: nobody waits for the reply any more */
	WIRE_WHO = 5,    /* who is the leader? */
	WIRE_LEADER = 6, /* cluster, term, leader */
};

enum cluster_call {
	CALL_WRITE = 1,  /* rest: an operation (kv/fsm.h); reply: its result */
	CALL_READ = 2,   /* reply: the index that the reader must have applied */
	CALL_RENEW = 3,  /* rest: a session's id; reply: one byte, 0: no such session */
	CALL_REMOVE = 4, /* rest: be64, a Raft id */
	CALL_HTTP = 5,   /* rest: a request; reply: its answer */
};

enum cluster_reply {
	REPLY_OK = 0,
	REPLY_REFUSED = 1, /* certainly not done; leader: who may do it, zero: not known */
	REPLY_UNSURE = 2,  /* it may be done later */
	REPLY_LIMIT = 3,
	REPLY_INPUT = 4, /* rest: a sentence */
	REPLY_FAILED =
	    5, /* not done, nor soon; rest: a sentence, also where it may be done later */
};

struct cluster_wire {
	enum cluster_wire_kind kind;
	struct uuid cluster, leader;
	uint64_t from, to; /* Raft ids */
	bool open;         /* the sender knows that its cluster takes writes (RULES 8) */
	uint64_t number, index, term;
	uint64_t seen; /* the newest key index that the asker was answered with */
	enum cluster_call call;
	enum cluster_reply status;
	struct str rest; /* borrowed */
};

/* Adds a message. */
void cluster_wire_write(struct buf *, const struct cluster_wire *);
/* ERR_INPUT: broken, or of a newer version. `rest` points into the bytes. */
int cluster_wire_read(struct str, struct cluster_wire *out, struct err *);

#endif
