/* agent/http/conn.h -- one HTTP/1.1 connection as a state machine (RFC 9110, 9112).
 *
 * Bytes in, requests out; replies in, bytes out. Keep-alive, pipelining (requests are answered
 * in order, one at a time), chunked request bodies, Expect: 100-continue, limits on head, body
 * and time. Malformed input makes an error reply and then closes.
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

struct http_conn;

struct http_conn *http_conn_new(const struct http_limits *, const struct addr *peer, struct now);
void http_conn_free(struct http_conn *);

/* Input. `eof`: the client will send no more. Memory held stays within the limits: while a request is
 * being answered at most one read's worth more is kept; the shell stops reading when
 * http_conn_wants_input() is false. */
void http_conn_input(struct http_conn *, struct now, struct str bytes);
void http_conn_eof(struct http_conn *, struct now);
bool http_conn_wants_input(const struct http_conn *);

/* The next whole request, borrowed until it is replied to; NULL: none (yet). */
struct http_request *http_conn_request(struct http_conn *, struct now);

/* The reply to it. The body is copied, or shared when given as a blob. HEAD sends no body. */
void http_conn_reply(struct http_conn *, struct now, const struct http_reply *, struct blob *shared);

/* Output: slices to send, at most `max`; then how much was taken. */
size_t http_conn_output(const struct http_conn *, struct str *slices, size_t max);
void http_conn_sent(struct http_conn *, struct now, size_t bytes);

nsec http_conn_deadline(const struct http_conn *);
void http_conn_tick(struct http_conn *, struct now);
/* True when everything is sent and the connection is to be closed, or its time has run out. */
bool http_conn_closed(const struct http_conn *);

#endif
