/* agent/watch_plan.h -- "watches": what to wait for, and what to do when it changes.
 *
 * A plan is read from Consul's parameters (a config file's `watches`, or the flags of muster
 * watch): a request of the HTTP API that is sent again and again, each time waiting for another
 * index, and a handler for what has changed. The state of one says which answers are news. No I/O.
 */
#ifndef AGENT_WATCH_PLAN_H
#define AGENT_WATCH_PLAN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/nsec.h"
#include "kv/entity.h"

#define WATCH_ARGS_MAX 256
#define WATCH_HTTP_TIMEOUT (10 * NSEC_SEC) /* of a handler, unless it says */
#define WATCH_DATA_MAX (64 * 1024 * 1024)  /* bytes that a handler is given */

enum plan_type {
	PLAN_KEY,
	PLAN_KEYPREFIX,
	PLAN_SERVICES,
	PLAN_NODES,
	PLAN_SERVICE,
	PLAN_CHECKS,
	PLAN_EVENT,
};

/* Slices live in the arena. */
struct watch_plan {
	enum plan_type type;
	struct str path; /* with the query, without index */
	/* the handler: a program; or a line for the shell; or a URL */
	struct str *args;
	size_t arg_count;
	struct str line;
	struct str url, method;
	struct pair *headers;
	size_t header_count;
	nsec timeout; /* of the URL */
	bool tls_skip_verify;
};

/* Consul's names. `handled`: a handler must be there. ERR_INPUT names what is wrong. */
int watch_plan_read(
    struct watch_plan *, struct arena *, const json_t *, bool handled, struct err *);

struct watch_state {
	uint64_t index;
	bool known;        /* there was an answer */
	unsigned failures; /* in a row */
	struct buf last;   /* what the handler got last */
};

void watch_state_init(struct watch_state *);
void watch_state_done(struct watch_state *);
/* The next request. */
void watch_state_path(const struct watch_plan *, const struct watch_state *, struct buf *path);
/* An answer, with its X-Consul-Index. True: the handler is to be called with what is in
 * state->last. */
bool watch_state_answer(
    const struct watch_plan *, struct watch_state *, int status, uint64_t index, struct str body);
/* There was none, or an error: how long to wait before the next request. */
nsec watch_state_failed(struct watch_state *);

#endif
