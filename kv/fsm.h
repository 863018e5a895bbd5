/* kv/fsm.h -- the state machine that the log drives: keys, sessions, transactions,
 * and the records of nodes that are no agents (fsm_external.h).
 *
 * One encoded operation at one Raft index gives one result, on every server the same. `now` only
 * moves deadlines, which are not replicated. An operation that is not understood (a newer
 * version, an unknown command or verb: RULES 14) is refused with its number and changes nothing:
 * the server stops applying and says so.
 *
 * An operation forwarded for an agent carries (agent, epoch, request); a repeat is answered from
 * the last results (RULES 10). A key index is base + Raft index (RULES 12).
 *
 * Bytes of an operation: version, command, be64 stamp, agent, epoch counter and nonce (be64
 * each), be64 request, then what the command needs.
 */
#ifndef KV_FSM_H
#define KV_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/nsec.h"
#include "base/uuid.h"
#include "kv/autopilot.h"
#include "kv/fsm_external.h"
#include "kv/keys.h"
#include "kv/owner.h"
#include "kv/query.h"
#include "kv/session.h"
#include "kv/txn.h"

#define FSM_VERSION 1
/* What a program understands beyond version 1; servers say theirs in their tags, and nothing is
 * proposed that one of them would stop at (RULES 14). */
#define FSM_LEVEL_EXTERNAL 2
#define FSM_LEVEL 2
#define FSM_WINDOW 1024           /* last results kept for an agent: never more on their way */
#define FSM_AGENTS_MAX 16384      /* agents with results kept; the longest silent one goes */
#define FSM_RESULT_KEPT_MAX 16384 /* bytes of a result that is kept for a repeat */
#define FSM_RESULT_MAX (64 * 1024 * 1024)
#define FSM_RESTORE_MAX (512u * 1024 * 1024)
#define FSM_RESTORE_PART (1024 * 1024) /* bytes that are well put into one entry of the log */
#define FSM_TOMBSTONE_LIFE (15 * NSEC_MIN)

enum fsm_command { /* numbers are in logs: never change one */
	FSM_KV = 1,
	FSM_TXN = 2,
	FSM_SESSION_CREATE = 3,
	FSM_SESSION_END = 4,
	FSM_REAP = 5,
	FSM_RESTORE = 6,
	FSM_AUTOPILOT = 7,
	FSM_EXTERNAL = 8,     /* from FSM_LEVEL_EXTERNAL on */
	FSM_EXTERNAL_TXN = 9, /* likewise: a transaction with steps */
	FSM_QUERY = 40,       /* likewise */
	FSM_COMMANDS,
};

/* What made the leader end a session (RULES 7); kept in the log for who asks why. */
enum fsm_cause { FSM_DESTROYED, FSM_EXPIRED, FSM_CHECK, FSM_NODE_LEFT, FSM_NODE_FAILED,
	FSM_NODE_UNKNOWN, FSM_CAUSES };

enum fsm_query_verb { FSM_QUERY_CREATE, FSM_QUERY_UPDATE, FSM_QUERY_DELETE, FSM_QUERY_VERBS };

struct fsm_op {
	enum fsm_command command;
	uint64_t stamp; /* lock delays that are over; fsm_stamp() sets it at the leader */
	struct uuid agent;
	struct epoch epoch;
	uint64_t request; /* 0: not forwarded, never answered from memory */
	size_t kv_count;
	struct session_info session; /* CREATE; END: its id */
	enum fsm_cause cause;
	uint64_t reap_tombstones, reap_delays;
	/* RESTORE: as from fsm_snapshot_next(), or a part of it: which restore it belongs to, where it
	 * begins, and of how many bytes in all (0: this is all). Parts come in order; the last one
	 * restores, and all before it change nothing. A part that does not follow: FSM_FALSE. */
	struct str snapshot;
	uint64_t restore_id, restore_at, restore_total;
	struct autopilot autopilot; /* AUTOPILOT: without its indexes */
	bool cas;                   /* AUTOPILOT: only if it was last set at cas_index */
	uint64_t cas_index;
	/* EXTERNAL, EXTERNAL_TXN: as from fsm_step_add(). A condition that does not hold: FSM_FALSE,
	 * and nothing is done, of a transaction's keys neither. */
	struct str steps;
	enum fsm_query_verb query_verb; /* QUERY */
	struct uuid query_id;
	struct str query; /* packed (query.h); DELETE: empty */
	struct kv_op kv[TXN_OPS_MAX]; /* KV: one. The last member: most operations have none or one,
				       * and the others, some KiB, are neither cleared nor copied */
};

void fsm_op_init(struct fsm_op *, enum fsm_command); /* all else as of zeros, but kv[1] and so on */
void fsm_op_copy(struct fsm_op *to, const struct fsm_op *);

/* Adds the bytes of an operation. ERR_LIMIT when something is over a limit (err says what). */
int fsm_op_write(struct buf *, const struct fsm_op *, struct err *);
/* Slices point into the bytes. ERR_REFUSED: not known here; ERR_INPUT: broken. */
int fsm_op_read(struct str, struct fsm_op *out, struct err *);
/* What an operation that fsm_op_write() made, or fsm_op_read() took, is; FSM_COMMANDS: none. */
enum fsm_command fsm_op_command(struct str);

enum fsm_status { /* first byte of a result */
	FSM_TRUE,
	FSM_FALSE,
	FSM_ERROR,   /* then the text; without Consul's "raft apply failed: " */
	FSM_RESULTS, /* be32 count, then entries for txn_entry_read() */
	FSM_ERRORS,  /* be32 count, then errors for txn_error_read() */
	FSM_LOST,    /* a repeat, done then, but its result was too large to keep */
	FSM_PAST,    /* a repeat from beyond the window or of an older epoch: not done now */
};

struct fsm;

struct fsm *fsm_new(struct watches *); /* borrowed, may be NULL */
void fsm_free(struct fsm *);
struct keys *fsm_keys(struct fsm *);         /* for reading */
struct sessions *fsm_sessions(struct fsm *); /* for reading, and for deadlines */
struct queries *fsm_queries(struct fsm *);   /* for reading */
const struct autopilot *fsm_autopilot(const struct fsm *);
/* External records: numbered by key indexes, tombstones as far as they are remembered. The epoch
 * under which they are published is another than this owner's own. */
const struct owner *fsm_external(const struct fsm *);
struct epoch fsm_external_epoch(const struct fsm *);

/* Applies an entry of the log: `raft` must be above the last. The result is added to `result`.
 * Negative: nothing changed, the log cannot go on here. */
int fsm_apply(struct fsm *, nsec now, uint64_t raft, struct str op, struct buf *result,
    struct err *);
void fsm_skip(struct fsm *, uint64_t raft); /* an entry of Raft's own */
uint64_t fsm_raft_index(const struct fsm *);
uint64_t fsm_index(const struct fsm *); /* base + Raft index of the last applied */
uint64_t fsm_restores(const struct fsm *); /* the restore counter (RULES 19) */
bool fsm_used(const struct fsm *);         /* an operation was ever applied, or a snapshot loaded */
/* Recovery into a new log: every index from now on is above all given before; as entries may be lost
 * it counts as a restore (RULES 19). */
void fsm_renumber(struct fsm *, uint64_t raft);

/* At the leader, before it goes into the log: says in the bytes which lock delays are over by its
 * clock. False: these are no operation. */
bool fsm_stamp(const struct fsm *, nsec now, char *op, size_t n);
/* At the leader, now and then: whether something is old enough to be dropped; then *op is the
 * operation to propose. */
bool fsm_reap_wanted(struct fsm *, nsec now, struct fsm_op *op);

/* A snapshot of the state as it is now, read in pieces while the state goes on changing. */
struct fsm_snapshot;
struct fsm_snapshot *fsm_snapshot_new(struct fsm *);
void fsm_snapshot_free(struct fsm_snapshot *);
/* Adds about `want` bytes (one entry may be longer); false when the end has been added. */
bool fsm_snapshot_next(struct fsm_snapshot *, size_t want, struct buf *out);
void fsm_snapshot_rewind(struct fsm_snapshot *); /* the same bytes from the beginning */

/* The way back: feed pieces of any size, then finish, which swaps the state in and wakes all
 * that wait. Any error leaves the state as it was. */
struct fsm_load;
struct fsm_load *fsm_load_new(nsec now);
void fsm_load_free(struct fsm_load *); /* also after finish */
int fsm_load_feed(struct fsm_load *, struct str, struct err *);
int fsm_load_finish(struct fsm_load *, struct fsm *, struct err *);

#endif
