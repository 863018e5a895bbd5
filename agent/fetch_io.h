/* agent/fetch_io.h -- one HTTP exchange at a time for whoever asks: libcurl's multi in the loop.
 *
 * For checks: every exchange has its own connection, proxies of the environment are not used,
 * names are resolved by resolve_io.h before libcurl sees them. No timeouts of its own: cancel.
 * libcurl (and OpenSSL behind it) is set up at the first exchange.
 */
#ifndef AGENT_FETCH_IO_H
#define AGENT_FETCH_IO_H

#include <event2/event.h>

#include "agent/resolve_io.h"
#include "kv/entity.h"

#define FETCH_READ_MAX (1024 * 1024) /* bytes of a body; there it is ended */

struct fetcher;
struct fetch;

struct fetch_result {
	int status;         /* 0: no answer, see error */
	struct str line;    /* "200 OK", as the server says it */
	struct str body;    /* its last bytes, at most keep_max */
	uint64_t body_len;  /* of the whole, as far as it was read */
	struct str trailer; /* value of request.trailer, in headers or trailers */
	struct str trailer_text; /* value of request.trailer_text */
	const char *error;  /* NULL: an answer came, maybe a cut one */
};

/* Borrowed for the call of fetch_start(). */
struct fetch_request {
	struct str url, method; /* method: GET when empty */
	struct str body;
	const struct pair *headers; /* one row per value; an empty value sends none */
	size_t header_count;
	struct str unix_path;   /* of a socket; empty: TCP */
	struct str server_name; /* for TLS, instead of the URL's host */
	const char *trailer, *trailer_text; /* names in lower case; NULL: none */
	bool tls_skip_verify, follow, http2; /* http2: and nothing else */
	size_t keep_max;
	void (*done)(void *arg, const struct fetch_result *); /* once, never before start returns */
	void *arg;
};

struct fetcher *fetcher_new(struct event_base *, struct resolver *); /* both borrowed */
void fetcher_free(struct fetcher *); /* exchanges under way are forgotten */

struct fetch *fetch_start(struct fetcher *, const struct fetch_request *);
void fetch_cancel(struct fetch *); /* done() will not be called. NULL is fine */

#endif
