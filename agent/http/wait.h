/* agent/http/wait.h -- blocking queries: which must wait, for what, how long.
 *
 * ?index=N&wait=D (Consul's blocking queries): the answer is held until its index passes N or
 * D (default 5 min, at most 10 min, plus up to 1/16 of itself at random) is over. An index that
 * another agent gave is answered at once (RULES 12). ?hash= waits for another content. The
 * list of events has an index without order: it waits as long as that is the same.
 * A held query of the catalog is answered when its bytes are others than they would have been
 * when it came (server_nothing_new()): a change that its answer does not show only moves the
 * index that it is told in the end. Readers of keys are answered at any write, as in Consul.
 */
#ifndef AGENT_HTTP_WAIT_H
#define AGENT_HTTP_WAIT_H

#include "agent/http/http.h"
#include "base/rng.h"
#include "kv/index.h"

struct wait_terms {
	bool blocks;     /* the client asked to wait */
	uint64_t index;
	struct str hash; /* instead of an index */
	nsec until;      /* monotonic */
};

/* ?stale, ?consistent and ?max_stale: false with an error reply when they contradict each other
 * or are malformed (Consul: 400). Every mode is answered the same here. */
bool wait_consistency_read(const struct http_request *, struct http_reply *);

/* Reads the parameters; false with an error reply for a bad index or wait (Consul: 400). */
bool wait_terms_read(const struct http_request *, struct rng *, struct wait_terms *out,
    struct http_reply *);

/* Whether the reply just made must be held back rather than sent. */
bool wait_holds(const struct wait_terms *, const struct http_reply *, const struct index_clock *);

#endif
