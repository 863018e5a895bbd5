/* kv/fsm_priv.h -- what the files of the state machine share: fsm.c, fsm_op.c, fsm_replies.c,
 * fsm_snapshot.c. */
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
	struct replies *replies;
	struct watches *watches; /* borrowed; may be NULL */
	uint64_t raft, base, restores;
	uint64_t reap_mark; /* not replicated: the index when the life of tombstones began to run */
	nsec reap_at;
};

/* Takes over the state that was loaded, wakes everybody. Empties `from`. */
void fsm_take(struct fsm *, nsec now, struct fsm *from);

void fsm_add_varint(struct buf *, uint64_t);
void fsm_add_be64(struct buf *, uint64_t);
void fsm_add_session(struct buf *, const struct session_info *);
struct str fsm_read_text(struct reader *, size_t max);
struct uuid fsm_read_uuid(struct reader *);

#endif
