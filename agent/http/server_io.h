/* agent/http/server_io.h -- the shell: listeners, sockets and timers of the HTTP API.
 *
 * Runs connections (conn.h), finds the route (router.h), calls the handler, parks blocking
 * queries (wait.h) and runs them again when the store says so.
 */
#ifndef AGENT_HTTP_SERVER_IO_H
#define AGENT_HTTP_SERVER_IO_H

#include <event2/event.h>

#include "agent/http/api.h"
#include "agent/http/conn.h"
#include "base/addr.h"
#include "base/err.h"

struct http_server_config {
	struct http_limits limits;
	unsigned connections_max;            /* in all */
	unsigned connections_per_client_max; /* over it: 429 with a text */
	const struct http_header *response_headers; /* added to every answer */
	size_t response_header_count;
};

struct http_server;

/* Listens on every address; ERR_IO names address and port. api is borrowed. */
int http_server_new(struct event_base *, struct api *, const struct http_server_config *,
    const struct addr *listen, size_t count, struct http_server **out, struct err *);

/* Stops accepting; parked queries are answered as they stand; false once all is sent. Then free. */
bool http_server_stopping(struct http_server *);
void http_server_free(struct http_server *);

/* Runs queries whose scopes have changed; call after every change to the store. */
void http_server_wake(struct http_server *);

struct http_server_stats {
	uint64_t requests, errors, refused, timeouts;
	size_t connections, parked;
};
struct http_server_stats http_server_stats(const struct http_server *);

#endif
