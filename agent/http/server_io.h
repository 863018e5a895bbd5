/* agent/http/server_io.h -- the shell: listeners, sockets and timers of the HTTP API.
 *
 * Runs connections (conn.h), finds the route (router.h), calls the handler, parks blocking
 * queries (wait.h) and runs them again when the store says so. A request whose handler has put
 * the answer off (reply->later) is held like a parked one: its connection waits, is let go when
 * the client goes, and is answered 500 when HTTP_LATER_MAX is over. One that has asked the cluster
 * is run again with the answer; what was asked is cancelled when the client goes.
 */
#ifndef AGENT_HTTP_SERVER_IO_H
#define AGENT_HTTP_SERVER_IO_H

#include <event2/event.h>

#include "agent/http/api.h"
#include "agent/http/conn.h"
#include "agent/listen.h"
#include "agent/tls_io.h"
#include "base/addr.h"
#include "base/err.h"

struct http_server_config {
	struct http_limits limits;
	unsigned connections_max;            /* in all; 0: no limit */
	unsigned connections_per_client_max; /* over it: 429 with a text; 0: no limit */
	nsec later_max; /* the longest an answer may be put off; 0: HTTP_LATER_MAX */
	const struct http_header *response_headers; /* added to every answer */
	size_t response_header_count;
	struct ssl_ctx_st *tls; /* for places with TLS; the server takes a reference. NULL: none */
	nsec handshake_max; /* until TLS is agreed on; 0: HTTP_HANDSHAKE_MAX */
	struct listen_mode unix_mode; /* of unix sockets */
};
#define HTTP_HANDSHAKE_MAX (5 * NSEC_SEC)
#define HTTP_HANDSHAKES_MAX 1024 /* at once; over it the one that is under way longest is dropped */

struct http_server;

/* Listens on every place and serves http_routes; ERR_IO names it. api, the response headers and
 * the places' paths are borrowed. A unix socket that nobody answers at is replaced. */
int http_server_new(struct event_base *, struct api *, const struct http_server_config *,
    const struct listen_at *, size_t count, struct http_server **out, struct err *);

/* Connections from now on are begun with this; those that are there go on as they are. */
void http_server_tls(struct http_server *, struct ssl_ctx_st *);

/* The nth address listened on, with its real port; false: no more. */
bool http_server_address(const struct http_server *, size_t n, struct addr *out);

/* Stops accepting; parked queries are answered as they stand; false once all is sent (call it
 * again until then, and give up when your patience ends). Then free. */
bool http_server_stopping(struct http_server *);
void http_server_free(struct http_server *);

/* Runs queries whose scopes have changed; call after every change to the store. Within a
 * handler it only takes note: they run when the handler is done. */
void http_server_wake(struct http_server *);

#define HTTP_LATER_HELD_MAX 256 /* over it: 429, and what comes under the ticket is dropped */

/* The answer to the request that was put off under this ticket: status, content type (static)
 * and body (copied) count, the rest does not. Whose client has gone, or whose time is over, is not
 * known any more: nothing happens. May be called at any time, also before the handler that
 * gave the ticket out has returned. */
void http_server_finish(struct http_server *, uint64_t ticket, const struct http_reply *);

/* The cluster's answer: the request that asked for it is run again. Not within a handler. */
void http_server_resume(struct http_server *, struct now, const struct cluster_action *);

/* A live stream (http.h) has something to send. Not within a handler. */
void http_server_stream_kick(struct http_server *, struct http_stream *);

/* A request that another agent has carried here (carry.h), and its number: it runs like a client's,
 * and its answer goes to cluster_served(). The latter: nobody waits for it any more. */
void http_server_carry(struct http_server *, struct now, uint64_t request, struct str bytes);
void http_server_carry_drop(struct http_server *, uint64_t request);

struct http_server_stats {
	uint64_t requests, errors, refused,
	    timeouts;           /* errors: replies with status 400 and above */
	uint64_t woken, shared; /* parked queries run again; of these answered with shared bytes */
	size_t connections, parked;
	size_t held;    /* wait for an answer that was put off */
	size_t asked;   /* wait for the cluster */
	size_t carried; /* of other agents, in any of these states */
	size_t handshakes;       /* under way */
	uint64_t handshakes_bad; /* that came to nothing */
};
struct http_server_stats http_server_stats(const struct http_server *);

#endif
