/* agent/cmd/holders.h -- who holds the slots of a semaphore, as its key PREFIX/.lock says in JSON:
 * {"Limit":2,"Holders":{"<session>":true}}.
 */
#ifndef AGENT_CMD_HOLDERS_H
#define AGENT_CMD_HOLDERS_H

#include <jansson.h>

#include "agent/cmd/lock.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct holders {
	int64_t limit;
	struct str *ids; /* sorted */
	size_t count;
	uint64_t modify; /* of the key; 0: there is none */
	uint64_t flags;
};

/* From what GET /v1/kv/PREFIX/?recurse answers (NULL: no keys): of the holders those whose session
 * still holds a key there. Without the key nobody holds a slot. All lives in the arena. */
int holders_read(struct arena *, const json_t *list, struct str lock_key, unsigned limit,
    struct holders *out, struct err *);
bool holders_have(const struct holders *, struct str id);
/* With `add` (empty: nobody) and without `drop`. */
void holders_write(const struct holders *, struct str add, struct str drop, struct buf *);

#endif
