/* agent/http/conn.h -- one HTTP/1.1 connection as a state machine (RFC 9110, 9112).
 *
 * Bytes in, requests out; replies in, bytes out. Keep-alive, pipelining (requests are answered
 * in order, one at a time), chunked request bodies, Expect: 100-continue, limits on head, body
 * and time. Malformed input makes an error reply and then closes.
 *
 * A turn of the shell: http_conn_input(), then http_conn_request() and http_conn_reply() until
 * there is no request, then http_conn_output() and http_conn_sent() while the socket takes it,
 * and last http_conn_settle(). Within a turn nothing is copied: input and reply bodies are
 * borrowed, and what is still needed when the turn ends is copied by http_conn_settle(). So an
 * idle connection holds no buffer, and a parked query holds its request's bytes and no more.
 */
#ifndef AGENT_HTTP_CONN_H
#define AGENT_HTTP_CONN_H

#include "agent/http/http.h"
#include "base/blob.h"

struct http_limits {
	size_t head_max, body_max, body_large_max; /* bytes */
	nsec head_time;   /* from the first byte of a request to its last header, 10 s */
	nsec body_time;   /* for the whole body, 60 s */
	nsec idle_time;   /* between requests, 5 min */
	nsec write_time;  /* without any progress in sending, 30 s */
};
extern const struct http_limits http_limits_default;

/* What the connections of one server share: only one request is looked at at a time, so there
 * is one set of headers, parameters and arena. */
struct http_work;

/* `routes` says which paths take large bodies (NULL: none); `headers` are added to every reply.
 * Both tables are borrowed. */
struct http_work *http_work_new(const struct http_limits *, const struct route *routes,
    const struct http_header *headers, size_t header_count);
void http_work_free(struct http_work *); /* after its connections */

struct http_conn;

struct http_conn *http_conn_new(struct http_work *, const struct addr *peer, struct now);
void http_conn_free(struct http_conn *);

/* Input, borrowed until http_conn_settle(). `eof`: the client will send no more. Memory held
 * stays within the limits: while a request is being answered at most one read's worth more is
 * kept; the shell stops reading when http_conn_wants_input() is false. */
void http_conn_input(struct http_conn *, struct now, struct str bytes);
void http_conn_eof(struct http_conn *, struct now);
bool http_conn_wants_input(const struct http_conn *);

/* The next whole request; NULL: none (yet). The same one again as long as it is not replied to.
 * Borrowed until then, and only until another connection of the same work is asked. */
struct http_request *http_conn_request(struct http_conn *, struct now);

/* The reply to the request got last, in the same turn. The body is borrowed until
 * http_conn_settle(), or shared when given as a blob. HEAD sends no body. */
void http_conn_reply(struct http_conn *, struct now, const struct http_reply *, struct blob *shared);

/* Answers with a plain text and closes, whatever the client sends: too many connections. */
void http_conn_refuse(struct http_conn *, struct now, int status, struct str text);

/* No further request after the one in hand; an idle connection closes. */
void http_conn_stop(struct http_conn *);

/* Output: slices to send, at most `max`; then how much was taken. */
size_t http_conn_output(const struct http_conn *, struct str *slices, size_t max);
void http_conn_sent(struct http_conn *, struct now, size_t bytes);

/* Ends a turn: copies what was borrowed and is still needed, frees what is not. */
void http_conn_settle(struct http_conn *);

nsec http_conn_deadline(const struct http_conn *);
void http_conn_tick(struct http_conn *, struct now);
/* True when our side has said all, but closing now could take the reply away from a client that
 * is still sending: shut the socket down for writing, read on. */
bool http_conn_half_closed(const struct http_conn *);
/* True when everything is sent and the connection is to be closed, or its time has run out. */
bool http_conn_closed(const struct http_conn *);

size_t http_conn_memory(const struct http_conn *); /* bytes it holds from the heap */

#endif
