/* agent/http/http.h -- requests, replies and routes: the words that all of http/ shares.
 *
 * A handler is a function from the agent's state and a request to a reply; it does no I/O and
 * frees nothing. Blocking queries need no code in it: it says which scopes it has read
 * (reply_reads) and the server runs it again when one of them has changed. What the agent has to
 * find out first (join, keyring) is answered later, under a ticket (api_later).
 */
#ifndef AGENT_HTTP_HTTP_H
#define AGENT_HTTP_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/nsec.h"
#include "base/str.h"
#include "kv/watch.h"

enum http_method {
	HTTP_GET = 1, HTTP_PUT = 2, HTTP_POST = 4, HTTP_DELETE = 8, HTTP_HEAD = 16,
	HTTP_OPTIONS = 32, HTTP_OTHER = 64,
};

struct http_header {
	struct str name, value;
};

#define HTTP_HEADERS_MAX 128
#define HTTP_HEAD_BYTES_MAX (64 * 1024)        /* request line and headers */
#define HTTP_BODY_BYTES_MAX (4 * 1024 * 1024)  /* unless the route allows more */
#define HTTP_LARGE_BYTES_MAX (64 * 1024 * 1024) /* for routes that are ROUTE_LARGE */
#define HTTP_QUERY_PARAMS_MAX 128
#define HTTP_WAIT_DEFAULT (5 * NSEC_MIN)
#define HTTP_WAIT_MAX (10 * NSEC_MIN)
#define HTTP_LATER_MAX (60 * NSEC_SEC) /* the longest an answer may be put off */

/* Everything points into the connection's buffer or the arena; lives until the reply is made. */
struct http_request {
	enum http_method method;
	struct str method_text;
	struct str target;  /* as sent */
	struct str path;    /* without query, as sent (escapes and all) */
	struct str query;   /* after '?', as sent */
	struct http_header *headers;
	size_t header_count;
	struct str body;
	bool keep_alive;
	unsigned version_minor; /* HTTP/1.x */
	struct addr peer;
	struct arena *arena;
	struct str tail;    /* what the route's '*' matched, percent-decoded */
	/* the query's parameters, decoded, in order */
	struct http_header *params;
	size_t param_count;
	const struct route *route;
	struct now now;
};

/* Value of a header, case-insensitive; empty when missing. */
struct str request_header(const struct http_request *, struct str name);

/* Query parameters. Presence counts for flags: ?stale, ?stale=, ?stale=1. */
bool request_has(const struct http_request *, struct str name);
struct str request_param(const struct http_request *, struct str name); /* the first; else empty */
/* The nth (from 0) of a repeated one; false: no more. */
bool request_param_nth(const struct http_request *, struct str name, size_t n, struct str *out);

/* Fills the parameters from the query. As Go's url.ParseQuery: '&' and ';' part them, '+' is a
 * blank, and what is escaped wrongly is left out. False: more than HTTP_QUERY_PARAMS_MAX. */
bool request_params_read(struct http_request *);

/* Takes the %XX (and with `plus` the '+') out of a text. Points into `in` when there are none,
 * else into the arena. False: a wrong escape, or the arena is full. */
bool percent_decode(struct arena *, struct str in, bool plus, struct str *out);

/* What ?stale and ?consistent ask for, as X-Consul-Effective-Consistency words it. */
struct str request_consistency(const struct http_request *);

/* What a handler says. `body` is written by it; the rest is filled before it is called. */
struct http_reply {
	int status;               /* 200 */
	struct buf *body;         /* owned by the server */
	const char *content_type; /* NULL: none; JSON by reply_json(), text by reply_error() */
	struct jw json;           /* writes to body; pretty when asked for */
	struct http_header extra[8]; /* further headers; from the request's arena or static */
	size_t extra_count;
	uint64_t later;           /* a ticket: the answer comes by http_server_finish(), nothing of
	                           * this one is sent; 0: this is the answer */
	bool indexed;             /* X-Consul-Index, -KnownLeader, -LastContact belong to it */
	bool index_exact;         /* the index is no order: only the very same one waits */
	uint64_t index;
	struct watch_key reads[WATCH_KEYS_MAX]; /* in the request's arena */
	size_t read_count;
	bool hash_blocking;       /* ?hash=: `hash` is the content's, instead of an index */
	struct str hash;
	bool park;                /* set by the server: nothing has changed yet */
};

/* 200 without a body; what it says will be written to `body`. */
void reply_init(struct http_reply *, struct buf *body, bool pretty);

/* An answer in JSON: sets the content type and returns the writer. */
struct jw *reply_json(struct http_reply *);
/* A plain-text error, as Consul words it; whatever was in the body is thrown away. */
void reply_error(struct http_reply *, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void reply_header(struct http_reply *, struct str name, struct str value);

struct api; /* what handlers may use: api.h */

typedef void http_handler(struct api *, const struct http_request *, struct http_reply *);

enum route_flags {
	ROUTE_BLOCKS = 1,   /* ?index= and ?wait= mean something */
	ROUTE_CATALOG = 2,  /* reads the catalog: 500 "No cluster leader" until ready (RULES 13) */
	ROUTE_LARGE = 4,    /* bodies up to HTTP_LARGE_BYTES_MAX */
};

/* One endpoint. Paths are matched byte by byte; a final '*' matches the rest (it may be empty and
 * may hold slashes). All methods of one path have rows of their own, next to each other. */
struct route {
	enum http_method method;
	const char *path;
	http_handler *handler;
	unsigned flags;
	const char *help; /* one sentence, for the manual */
};

extern const struct route http_routes[]; /* routes.c; ends with a row of zeros */

#endif
