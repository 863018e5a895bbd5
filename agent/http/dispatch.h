/* agent/http/dispatch.h -- from a request to a reply: route, preconditions, handler.
 *
 * No I/O. Everything Consul's own wrapper around its handlers answers is answered here: unknown
 * paths, methods, redirects, contradicting parameters, a catalog that is not ready.
 */
#ifndef AGENT_HTTP_DISPATCH_H
#define AGENT_HTTP_DISPATCH_H

#include "agent/http/api.h"
#include "agent/http/wait.h"

struct dispatched {
	struct wait_terms terms; /* of routes that block */
	bool hold;    /* nothing has changed yet: park it until terms.until */
	bool changes; /* a handler ran that may have changed the store */
};

/* `body` receives the reply's body. */
void dispatch(const struct route *table, struct api *, struct http_request *, struct buf *body,
    struct http_reply *, struct dispatched *out);

#endif
