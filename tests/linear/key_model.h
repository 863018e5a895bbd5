/* tests/linear/key_model.h -- one key as Consul's state store has it: what an operation does to it
 * and whether an answer is the one it gives.
 *
 * A write does not tell its ModifyIndex; the next read does. Until then the index is known to be
 * above the last one seen: 0 with `floor`. LockIndex is known always: an ordinary write sets it to
 * 0, a new holder adds 1. Flags are no part of it. Values should be written once only: then a value
 * read names its writer.
 */
#ifndef TESTS_LINEAR_KEY_MODEL_H
#define TESTS_LINEAR_KEY_MODEL_H

#include "base/buf.h"
#include "tests/linear/history.h"

#define KEY_SESSIONS_MAX 256        /* that one key is named with */
#define KEY_VALUE_UNREAD UINT32_MAX /* stands for each value that no read told */

struct key_state {
	uint64_t index, floor; /* ModifyIndex, or 0: something above floor */
	uint64_t lock_index;
	int64_t closed;                        /* ns; lock delay: not acquired before; 0: none */
	uint64_t ended[KEY_SESSIONS_MAX / 64]; /* by the session's place among the key's */
	uint32_t value, session;
	uint32_t there; /* a bool, as wide as its neighbours: compared as bytes */
	uint32_t unused;
};

/* `place` is of op->session among the key's sessions. True: the answer is right in this state,
 * which becomes what it is afterwards. False: *why (may be NULL) says what is wrong, borrowed for
 * ever. */
bool key_model_step(struct key_state *, const struct op *, unsigned place, const char **why);

void key_model_write(struct buf *, const struct history *, const struct key_state *);
/* "get = v12, index 7" */
void key_model_write_op(struct buf *, const struct history *, const struct op *);

#endif
