/* agent/http/conn_private.h -- what conn.c, conn_head.c, conn_chunk.c and conn_write.c share.
 */
#ifndef AGENT_HTTP_CONN_PRIVATE_H
#define AGENT_HTTP_CONN_PRIVATE_H

#include "agent/http/conn.h"
#include "base/spare.h"

/* Room of a connection's buffers while it has a request in hand: what most need. */
#define CONN_IN_ROOM 256
#define CONN_OUT_ROOM 1024
#define CONN_ROOMS_KEPT 128 /* of each */

struct http_work {
	struct http_limits limits;
	const struct route *routes;
	struct buf fixed; /* headers of every reply, as they are sent */
	int64_t date_sec; /* second that `date` shows */
	char date[sizeof "Date: Sat, 21 Nov 2026 09:14:03 GMT"]; /* the line */
	const struct http_conn *owner; /* whose request is in `request`; NULL: nobody's */
	struct http_request request;
	struct http_header headers[HTTP_HEADERS_MAX];
	struct http_header params[HTTP_QUERY_PARAMS_MAX];
	struct arena arena;
	struct spare in_rooms, out_rooms;
};

/* How the body of a request is framed, as its head says. */
struct http_framing {
	uint64_t length; /* 0 without Content-Length */
	bool chunked;
	bool expects_continue;
};

/* conn_head.c. Length of the head at the start of `data` with its empty line, 0 when it is not
 * whole; *scanned remembers how far it has looked. */
size_t http_head_end(struct str data, size_t *scanned);
/* Reads a whole head into a request whose `headers` have room for HTTP_HEADERS_MAX; 0, or the
 * status of an error with *why, a text for the client. */
int http_head_read(struct str head, struct http_request *, struct http_framing *, const char **why);
/* The same of a head that was read before, without fault: but for `keep_alive`, which its headers
 * decide, and these stay in lines. */
void http_head_again(struct str head, struct http_request *);

/* conn_chunk.c. Decodes a chunked body in place: whole chunks move down to the body's end. */
enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_DATA_END, CHUNK_TRAILER, CHUNK_DONE };
struct chunks {
	enum chunk_state state;
	uint64_t left;    /* of the chunk that is being read */
	size_t trailer_n; /* bytes of trailers seen */
	size_t overhead;  /* bytes of chunk extensions seen */
	size_t scanned;   /* of a line that is not whole yet */
};
/* *body: bytes decoded so far, at `p`; *raw: bytes not decoded yet, right behind them. Moves
 * both on. 0: more is needed or CHUNK_DONE; else the status of an error. */
int chunks_decode(struct chunks *, char *p, size_t *body, size_t *raw, size_t body_max,
    size_t trailer_max);

/* conn_write.c */
struct http_answer { /* what the head of a reply is made from */
	int status;
	const char *content_type;
	const struct http_reply *reply;      /* for further headers; may be NULL */
	const struct http_request *request;  /* NULL: none was understood */
	bool http10, close;
	bool stream; /* the length is not known */
	size_t length;
};
void http_head_write(struct http_work *, struct now, const struct http_answer *, struct buf *out);

#endif
