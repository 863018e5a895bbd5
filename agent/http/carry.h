/* agent/http/carry.h -- a request and its answer as bytes, from an agent that holds no keys to a
 * server that does.
 *
 * Only what decides about the answer goes along: method, path, query and body, and which node asks,
 * with how far its records had come;
 * back come status, the headers that handlers give, and the body. Who writes to the catalog gets the
 * external records that it lacks along with the answer: its client reads them from it next. Connections, dates and lengths
 * are each side's own.
 */
#ifndef AGENT_HTTP_CARRY_H
#define AGENT_HTTP_CARRY_H

#include "agent/http/http.h"
#include "base/err.h"

/* Adds the bytes; node and positions are this agent's. `sees` NULL: no records are wanted. */
void carry_request_write(struct buf *, const struct http_request *, struct str node,
    const struct http_position *asks, const struct http_position *sees);
/* Slices point into the bytes. The caller gives headers, params, arena and now; there are no
 * headers. ERR_INPUT: broken; ERR_REFUSED: of another version. */
int carry_request_read(struct str bytes, struct http_request *out, struct err *);

/* `records`: a range for store_range(); its p NULL: the request did not ask. */
void carry_answer_write(struct buf *, const struct http_reply *, struct str records);
/* Into a reply that is begun (reply_init); headers are copied to the arena. */
int carry_answer_read(struct str bytes, struct arena *, struct http_reply *, struct str *records,
    struct err *);

#endif
