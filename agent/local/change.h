/* agent/local/change.h -- several changes of this agent's records that can be taken back.
 *
 * A registration touches a service, its checks and the journal; when one of them refuses, what
 * was already done must not be seen. Nobody looks between: waiters are answered later.
 */
#ifndef AGENT_CHANGE_H
#define AGENT_CHANGE_H

#include "kv/store.h"

struct change {
	struct store *store;      /* borrowed */
	const struct uuid *owner; /* borrowed */
	struct now now;
	struct change_row *rows;
	size_t count, room;
};

void change_begin(struct change *, struct store *, const struct uuid *owner, struct now);
/* 1: changed, 0: equal, < 0: refused, nothing happened. `full` bodies are refused (ERR_LIMIT). */
int change_put(
    struct change *, uint16_t kind, struct str key, const struct buf *body, struct err *);
void change_remove(struct change *, uint16_t kind, struct str key);
/* What was changed, in order; *cursor starts at 0. Borrowed. */
bool change_next(const struct change *, size_t *cursor, uint16_t *kind, struct str *key);
void change_undo(struct change *);
void change_done(struct change *); /* frees; what was done stays */

#endif
