/* agent/http/http.h -- requests, replies and routes: the words that all of http/ shares.
 *
 * A handler is a function from the agent's state and a request to a reply; it does no I/O and
 * frees nothing. Blocking queries need no code in it: it says which scopes it has read
 * (reply_reads) and the server runs it again when one of them has changed. What the agent has to
 * find out first (join, keyring) is answered later, under a ticket (api_later). What the cluster
 * decides is asked of it, and the handler runs again when its answer is there (api_keys.h).
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
#include "base/uuid.h"
#include "kv/owner.h"
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

struct blob;
struct cluster_action;

/* An owner's records at a moment: what an agent then had registered itself. */
struct http_position {
	struct uuid agent;
	struct epoch epoch;
	uint64_t number;
};

/* What a handler that is run again wants to know of its first run. */
struct http_keep {
	unsigned stage; /* how often it has waited */
	bool carried;   /* another agent was asked for the whole answer */
	bool whole;     /* it deregisters a node, not a part of one */
	nsec began;     /* the server's: when the request came; 0: only now, */
	const struct route *route; /* and for whom */
	struct uuid id;
};

/* Everything points into the connection's buffer or the arena; lives until the reply is made. */
struct http_request {
	enum http_method method;
	struct str method_text;
	struct str target;  /* as sent */
	struct str path;    /* without query, as sent (escapes and all) */
	struct str query;   /* after '?', as sent */
	struct http_header *headers;
	size_t header_count;
	struct str header_lines; /* of a request that is run again: instead of `headers` */
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
	/* run again: */
	const struct cluster_action *answer; /* the cluster's to what was asked; else NULL */
	struct http_keep keep;               /* as the reply then said */
	bool woken;      /* a blocked query for which something has changed, or whose time is over */
	/* carried here from an agent that holds no keys: */
	struct str node;          /* that agent's; else empty */
	struct http_position asks; /* how far its own records had come then (RULES 11) */
	bool wants_records;        /* what it lacks of the external ones goes with the answer */
	struct http_position sees; /* how far it had them. Agent zero: it knew of no cluster */
};

/* "GET"; empty for HTTP_OTHER. */
struct str http_method_text(enum http_method);

/* Value of a header, case-insensitive; empty when missing. */
struct str request_header(const struct http_request *, struct str name);

/* Query parameters. Presence counts for flags: ?stale, ?stale=, ?stale=1. */
bool request_has(const struct http_request *, struct str name);
struct str request_param(const struct http_request *, struct str name); /* the first; else empty */
/* The nth (from 0) of a repeated one; false: no more. */
bool request_param_nth(const struct http_request *, struct str name, size_t n, struct str *out);

/* The address of who asks, as text in the arena: the first whom a proxy names (X-Forwarded-For), else
 * who is connected; of a carried request, what its carrier says. Empty: not known. */
struct str request_asker(const struct http_request *);
#define HTTP_ASKER_PARAM "_asker" /* where the carrier says it, before all other parameters */

/* Fills the parameters from the query. As Go's url.ParseQuery: '&' and ';' part them, '+' is a
 * blank, and what is escaped wrongly is left out. False: more than HTTP_QUERY_PARAMS_MAX. */
bool request_params_read(struct http_request *);

/* Takes the %XX (and with `plus` the '+') out of a text. Points into `in` when there are none,
 * else into the arena. False: a wrong escape, or the arena is full. */
bool percent_decode(struct arena *, struct str in, bool plus, struct str *out);

/* A ticket of the cluster: the number of a request to it, with this bit. */
#define HTTP_TICKET_CLUSTER (UINT64_C(1) << 63)

/* What ?stale and ?consistent ask for, as X-Consul-Effective-Consistency words it. */
struct str request_consistency(const struct http_request *);

/* A body that is fetched in pieces, as fast as the client takes them; at the beginning of a struct
 * of who makes it. Sent in chunks, to HTTP/1.0 until the connection ends. */
struct http_stream {
	/* Adds about `want` bytes, at least one at every call; false: these were the last. */
	bool (*next)(struct http_stream *, size_t want, struct buf *out);
	void (*free)(struct http_stream *); /* also when the client has gone */
	/* May have nothing at a call, and is asked again after http_server_stream_kick(). It ends
	 * with the server, and when the client closes its side. */
	bool live;
	void *owner; /* the server's; set when it has taken the stream over */
};
#define HTTP_STREAM_WANT (128 * 1024)            /* bytes of a piece */
#define HTTP_STREAM_PIECE_MAX (64 * 1024 * 1024) /* over it the connection is closed */

/* What a handler says. `body` is written by it; the rest is filled before it is called. */
struct http_reply {
	int status;               /* 200 */
	struct buf *body;         /* owned by the server */
	struct blob *shared;      /* instead of `body`; borrowed. NULL: `body` is all */
	uint64_t body_hash;       /* with `shared`: of its bytes */
	struct blob *packed;      /* with `shared`: the same as gzip; borrowed. NULL: not made yet */
	struct http_stream *stream; /* the server takes it over; NULL: `body` is all */
	const char *content_type; /* NULL: none; JSON by reply_json(), text by reply_error() */
	struct jw json;           /* writes to body; pretty when asked for */
	struct http_header extra[8]; /* further headers; from the request's arena or static */
	size_t extra_count;
	uint64_t later;           /* a ticket: the answer comes by http_server_finish() or _resume(),
	                           * nothing of this one is sent; 0: this is the answer */
	nsec later_until;         /* monotonic: not waited for any longer; 0: the server's limit */
	struct http_keep keep;    /* with `later` of the cluster: what the next run is told */
	bool lasting;             /* the same while the indexes of `reads` are (answers.h) */
	bool indexed;             /* X-Consul-Index, -KnownLeader, -LastContact belong to it */
	bool index_exact;         /* the index is no order: only the very same one waits */
	bool index_keys;          /* of the keys: the same on all servers (RULES 12) */
	bool leaderless;          /* X-Consul-KnownLeader: false */
	uint64_t contact_ms;      /* X-Consul-LastContact */
	uint64_t index;
	struct watch_key reads[WATCH_KEYS_MAX]; /* in the request's arena */
	size_t read_count;
	nsec wait_until;          /* this is the answer unless one of `reads` changes before; 0: is it */
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
	ROUTE_LEADER = 16,  /* with ROUTE_KEYS: only the leader knows; ?stale: whoever is asked */
	ROUTE_WRITES_CATALOG = 32, /* with ROUTE_KEYS: the carrier wants to see what was written */
	ROUTE_KEYS = 8,     /* needs a server's copy of the keys: carried to one by who has none */
};

/* One endpoint. Paths are matched byte by byte; a final '*' matches the rest (it may be empty and
 * may hold slashes). All methods of one path have rows of their own, next to each other. */
struct route {
	enum http_method method;
	struct str path;
	http_handler *handler;
	unsigned flags;
	const char *help; /* one sentence, for the manual */
};

extern const struct route http_routes[]; /* routes.c; ends with a row of zeros */

#endif
