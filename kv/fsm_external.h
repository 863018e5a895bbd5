/* kv/fsm_external.h -- records of nodes that are no agents, as the log decides them (RULES 4, 5).
 *
 * What was decided is a table of records like an agent's own (owner.h), numbered by key indexes; the
 * servers publish it as one virtual owner. Bodies are opaque here, but for the service that a check
 * belongs to.
 *
 * Steps are planned where the catalog is seen (agent/external.h), so a step may be a condition: when
 * one does not hold any more none of the others is done, and the plan is made anew. Steps come
 * encoded, one behind the other: verb, varint kind, key with a varint length, then what the verb
 * needs.
 */
#ifndef KV_FSM_EXTERNAL_H
#define KV_FSM_EXTERNAL_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "kv/owner.h"

#define FSM_STEPS_MAX 16384                   /* of one operation */
#define FSM_STEPS_BYTES_MAX (4 * 1024 * 1024) /* of one operation */

enum fsm_step_verb { /* numbers are in logs: never change one */
	FSM_PUT = 1,
	FSM_REMOVE = 2,
	FSM_REMOVE_NODE = 3,    /* key: a node's name; its record and all external ones on it */
	FSM_REMOVE_SERVICE = 4, /* key: as of the service; its record and its external checks */
	FSM_IF_AT = 5,          /* the record is there under this number; 0: it is not there */
	FSM_IF_LIVE = 6,        /* it is there */
	FSM_STEP_VERBS,
};

struct fsm_step {
	enum fsm_step_verb verb;
	uint16_t kind; /* enum record_kind; NODE and SERVICE for the two large removals */
	struct str key;
	struct str body; /* PUT */
	uint64_t number; /* IF_AT */
};

/* Adds one step. ERR_LIMIT: its key or body is too long, or there is no room. */
int fsm_step_add(struct buf *, const struct fsm_step *, struct err *);
/* The next one; false at the end, or at what is broken (the reader's state tells), or at a verb
 * that is not known here: then *unknown is its number. */
bool fsm_step_next(struct reader *, struct fsm_step *out, unsigned *unknown);

#endif
