/* kv/fsm_priv.h -- what the files of the state machine share: fsm.c, fsm_external.c, fsm_op.c,
 * fsm_replies.c, fsm_snapshot.c, autopilot.c. */
#ifndef KV_FSM_PRIV_H
#define KV_FSM_PRIV_H

#include "kv/fsm.h"

/* Last results by agent (fsm_replies.c). */
struct replies;
struct replies *replies_new(void);
void replies_free(struct replies *);
/* Whether this request was answered before, or must not be done any more: then its result has
 * been added. */
bool replies_repeat(const struct replies *, const struct fsm_op *, struct buf *result);
void replies_keep(struct replies *, const struct fsm_op *, uint64_t index, struct str result);
void replies_clear(struct replies *);
void replies_write(const struct replies *, void *to,
    void (*each)(void *to, struct str record)); /* one record per agent, in the order of ids */
bool replies_read(struct replies *, struct str record);

struct fsm {
	struct keys *keys;
	struct sessions *sessions;
	struct queries *queries;
	struct replies *replies;
	struct autopilot autopilot;
	struct owner *external;
	uint64_t external_loading; /* a snapshot's number, while it is being read; else 0 */
	struct buf staged; /* parts of a restore; never over FSM_RESTORE_MAX */
	uint64_t staged_id, staged_total, staged_index; /* index: when the last part came */
	struct watches *watches; /* borrowed; may be NULL */
	uint64_t raft, base, restores;
	bool used;
	uint64_t reap_mark; /* not replicated: the index when the life of tombstones began to run */
	nsec reap_at;
	struct fsm_op *scratch; /* owned: what is being read */
	struct buf result;      /* what is being made */
};

/* External records (fsm_external.c). */
struct owner *external_table_new(void);
/* All steps, checked; false and *unknown as in fsm_step_next(). */
bool external_steps_read(struct reader *, struct str *steps, unsigned *unknown);
bool external_may(const struct fsm *, struct str steps);  /* all conditions hold */
bool external_fits(const struct fsm *, struct str steps); /* within the limits */
void external_do(struct fsm *, uint64_t index, struct str steps);
void external_save(const struct fsm *, void *to, void (*head)(void *to, struct str),
    void (*each)(void *to, struct str));
bool external_load_begin(struct fsm *, struct reader *);
bool external_load(struct fsm *, struct reader *);
void external_load_end(struct fsm *);

/* Takes over the state that was loaded, wakes everybody. Empties `from`. */
void fsm_take(struct fsm *, nsec now, struct fsm *from);

void fsm_add_varint(struct buf *, uint64_t);
void fsm_add_be64(struct buf *, uint64_t);
void fsm_add_session(struct buf *, const struct session_info *);
struct str fsm_read_text(struct reader *, size_t max);
struct uuid fsm_read_uuid(struct reader *);

/* Prepared queries (fsm_query.c): an operation; their part of a snapshot, and back. */
void fsm_query_apply(struct fsm *, const struct fsm_op *, uint64_t index, struct buf *result);
void fsm_query_save(const struct queries *, void *to,
    void (*each)(void *to, struct str record)); /* one record per query, in the order of ids */
bool fsm_query_load(struct queries *, struct reader *, uint64_t index);

#endif
