/* agent/cmd/call_io.h -- requests to the agent side by side, for a command that waits for other
 * things too (libcurl's multi).
 */
#ifndef AGENT_CMD_CALL_IO_H
#define AGENT_CMD_CALL_IO_H

#include <poll.h>

#include "agent/cmd/client.h"
#include "agent/cmd/lock.h"
#include "base/nsec.h"

struct calls;

struct calls *calls_new(struct http_client *, size_t slots); /* borrowed */
void calls_free(struct calls *);                             /* NULL is fine */
/* One in each slot; the answer may take `time`. */
void calls_begin(
    struct calls *, size_t slot, const char *method, struct str path, struct str body, nsec time);
void calls_drop(struct calls *, size_t slot);
/* Waits at most `wait` for news, or until fd can be read: true. */
bool calls_wait(struct calls *, int fd, nsec wait);
/* The next answer that has come, borrowed until the slot is used again. */
bool calls_next(struct calls *, size_t *slot, struct lock_answer *out);

#endif
