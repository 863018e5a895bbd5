/* agent/http/conn.c -- the connection's states, its input and output (see conn.h).
 *
 *     IDLE -> HEAD -> BODY -> READY -> (reply) -> IDLE …        CLOSING after the last reply
 *
 * Input is data[at, n): the request in hand comes first, what follows it is pipelined. `data` is
 * either borrowed for this turn or `in`, which the connection owns. Output is `out` and then
 * `body`; the latter is borrowed for this turn, or points into `blob`, or into the stream's piece.
 * A stream's next piece is fetched when a turn ends and all before it is sent: one in a turn.
 */
#include "agent/http/conn_private.h"

#include <assert.h>
#include <stdio.h>

#include "agent/http/router.h"
#include "base/mem.h"

#define ARENA_BYTES_MAX (64 * 1024 * 1024)
#define OUT_PENDING_MAX (16 * 1024) /* replies to pipelined requests gather up to this */
#define BODY_INLINE_MAX 4096        /* smaller bodies are copied behind their head */
#define LINGER_TIME (2 * NSEC_SEC)  /* for a client to read our last words */
#define READ_AHEAD_MAX (256 * 1024) /* beyond a request, in one read */

const struct http_limits http_limits_default = {
	.head_max = HTTP_HEAD_BYTES_MAX,
	.body_max = HTTP_BODY_BYTES_MAX,
	.body_large_max = HTTP_LARGE_BYTES_MAX,
	.head_time = 10 * NSEC_SEC,
	.body_time = 60 * NSEC_SEC,
	.idle_time = 5 * NSEC_MIN,
	.write_time = 30 * NSEC_SEC,
};

enum conn_state { CONN_IDLE, CONN_HEAD, CONN_BODY, CONN_READY, CONN_CLOSING };

struct conn_stream {
	struct http_stream *source; /* owned; NULL: the last piece has been fetched */
	struct buf piece;
	bool chunked;
	bool quiet; /* a live one that had nothing when it was asked last */
};

struct http_conn {
	struct http_work *work;
	const char *data;
	size_t n, at;
	struct buf in, out;
	size_t out_sent;
	struct str body;
	struct blob *blob;
	size_t scanned;             /* HEAD: how far its end was looked for */
	size_t head_n, body_n;      /* READY: where the parts of the request end; body decoded */
	size_t body_max;            /* BODY: what this request may send */
	struct chunks *chunks;      /* owned; only while a chunked body arrives */
	struct conn_stream *stream; /* owned; only while a body goes out in pieces */
	nsec since;                 /* the state's clock */
	nsec progress;              /* when output last began or moved */
	struct addr peer;
	uint8_t state;
	bool owned;      /* data is in.p */
	bool delivered;  /* READY: the request was given out before, */
	bool keep_alive; /* and said so */
	bool eof, stop, linger, dead;
};

struct http_work *
http_work_new(const struct http_limits *limits, const struct route *routes,
    const struct http_header *headers, size_t header_count)
{
	struct http_work *w = mem_new(struct http_work);

	w->limits = *limits;
	w->routes = routes;
	w->request.headers = w->headers;
	w->request.params = w->params;
	w->request.arena = &w->arena;
	arena_init(&w->arena, ARENA_BYTES_MAX);
	buf_init(&w->fixed, HTTP_HEAD_BYTES_MAX);
	spare_init(&w->in_rooms, CONN_IN_ROOM, CONN_ROOMS_KEPT);
	spare_init(&w->out_rooms, CONN_OUT_ROOM, CONN_ROOMS_KEPT);
	for (size_t i = 0; i < header_count; i++)
		buf_addf(&w->fixed, STR_FMT ": " STR_FMT "\r\n", STR_ARG(headers[i].name),
		    STR_ARG(headers[i].value));
	return w;
}

void
http_work_free(struct http_work *w)
{
	if (w == NULL)
		return;
	arena_done(&w->arena);
	buf_done(&w->fixed);
	spare_done(&w->in_rooms);
	spare_done(&w->out_rooms);
	free(w);
}

struct http_conn *
http_conn_new(struct http_work *w, const struct addr *peer, struct now now)
{
	struct http_conn *c = mem_new(struct http_conn);

	c->work = w;
	c->peer = *peer;
	c->since = now.mono;
	buf_init(&c->in, w->limits.head_max + w->limits.body_large_max + 2 * READ_AHEAD_MAX);
	buf_init(&c->out, w->limits.head_max + 64 * 1024);
	return c;
}

static void
work_release(struct http_conn *c)
{
	if (c->work->owner == c)
		c->work->owner = NULL;
}

static void
stream_free(struct http_conn *c)
{
	if (c->stream == NULL)
		return;
	if (c->stream->source != NULL)
		c->stream->source->free(c->stream->source);
	buf_done(&c->stream->piece);
	free(c->stream);
	c->stream = NULL;
}

void
http_conn_free(struct http_conn *c)
{
	if (c == NULL)
		return;
	work_release(c);
	stream_free(c);
	buf_done_spare(&c->in, &c->work->in_rooms);
	buf_done_spare(&c->out, &c->work->out_rooms);
	blob_unref(c->blob);
	free(c->chunks);
	free(c);
}

static bool
output_pending(const struct http_conn *c)
{
	return c->out.n > c->out_sent || c->body.n > 0 || c->stream != NULL;
}

/* All is sent, and there will be more some day. */
static bool
stream_quiet(const struct http_conn *c)
{
	return c->stream != NULL && c->stream->quiet && c->out.n == c->out_sent &&
	       c->body.n == 0;
}

static size_t
request_len(const struct http_conn *c)
{
	return c->state == CONN_READY ? c->head_n + c->body_n : 0;
}

/* Input: borrowed first, copied when it must outlive the turn. */

static void
input_own(struct http_conn *c)
{
	if (c->owned)
		return;
	work_release(c); /* its request points into what was borrowed */
	if (c->in.room == 0 && c->n - c->at <= CONN_IN_ROOM)
		buf_init_spare(&c->in, c->in.cap, &c->work->in_rooms);
	buf_add(&c->in, str_mem(c->data + c->at, c->n - c->at));
	c->dead = c->dead || c->in.full;
	c->data = c->in.p;
	c->n = c->in.n;
	c->at = 0;
	c->owned = true;
}

static void
input_drop(struct http_conn *c, size_t n)
{
	c->at += n;
	if (c->at < c->n)
		return;
	buf_clear(&c->in);
	c->data = NULL;
	c->at = c->n = 0;
	c->owned = false;
}

void
http_conn_input(struct http_conn *c, struct now now, struct str bytes)
{
	if (c->dead || c->state == CONN_CLOSING || bytes.n == 0)
		return;
	if (c->state == CONN_IDLE) {
		c->state = CONN_HEAD;
		c->since = now.mono;
	}
	if (c->n == 0) {
		c->data = bytes.p;
		c->n = bytes.n;
		return;
	}
	input_own(c);
	buf_add(&c->in, bytes);
	c->dead = c->dead || c->in.full;
	work_release(c);
	c->data = c->in.p;
	c->n = c->in.n;
}

void
http_conn_eof(struct http_conn *c, struct now now)
{
	(void)now;
	c->eof = true;
}

bool
http_conn_wants_input(const struct http_conn *c)
{
	size_t ahead = c->n - c->at - request_len(c);

	if (c->eof || c->dead)
		return false;
	if (c->state == CONN_CLOSING)
		return c->linger;
	return ahead == 0 || (c->state != CONN_READY && !output_pending(c));
}

/* Replies. */

static void
state_closing(struct http_conn *c, struct now now, bool linger)
{
	work_release(c);
	free(c->chunks);
	c->chunks = NULL;
	c->state = CONN_CLOSING;
	c->linger = linger;
	c->since = now.mono;
	input_drop(c, c->n - c->at);
}

static void
output_begins(struct http_conn *c, struct now now)
{
	if (!output_pending(c))
		c->progress = now.mono;
}

/* What goes wrong before there is a request: the status in the body, as Go's server does it. */
static void
conn_fail(struct http_conn *c, struct now now, int status, const char *why)
{
	struct http_answer a = {
		.status = status,
		.content_type = "text/plain; charset=utf-8",
		.close = true,
		.length = 4 + strlen(why), /* "400 " */
	};

	output_begins(c, now);
	http_head_write(c->work, now, &a, &c->out);
	buf_addf(&c->out, "%03d %s", status, why);
	state_closing(c, now, true);
}

void
http_conn_refuse(struct http_conn *c, struct now now, int status, struct str text)
{
	struct http_answer a = {
		.status = status,
		.content_type = "text/plain; charset=utf-8",
		.close = true,
		.length = text.n,
	};

	output_begins(c, now);
	http_head_write(c->work, now, &a, &c->out);
	buf_add(&c->out, text);
	state_closing(c, now, true);
}

void
http_conn_stop(struct http_conn *c)
{
	c->stop = true;
	if (c->state == CONN_IDLE)
		c->state = CONN_CLOSING;
}

/* Streams. */

#define CHUNK_HEAD "00000000\r\n" /* the size is filled in behind */

static void
stream_begin(struct http_conn *c, struct http_stream *source, bool chunked)
{
	c->stream = mem_new(struct conn_stream);
	c->stream->source = source;
	c->stream->chunked = chunked;
	buf_init(&c->stream->piece, HTTP_STREAM_PIECE_MAX);
}

/* The next piece becomes the body. */
static void
stream_go_on(struct http_conn *c)
{
	struct conn_stream *s = c->stream;
	char size[9];
	size_t empty;
	bool more;

	buf_clear(&s->piece);
	if (s->chunked)
		buf_add(&s->piece, STR(CHUNK_HEAD));
	empty = s->piece.n;
	more = s->source->next(s->source, HTTP_STREAM_WANT, &s->piece) &&
	       !(s->source->live && c->stop);
	s->quiet = more && s->source->live && s->piece.n == empty;
	if (s->quiet)
		return; /* an empty chunk would be the end */
	if (s->chunked && !s->piece.full) {
		snprintf(size, sizeof size, "%08zx", s->piece.n - (sizeof CHUNK_HEAD - 1));
		memcpy(s->piece.p, size, sizeof size - 1);
		if (s->piece.n == empty) /* nothing but the end */
			buf_clear(&s->piece);
		buf_add(&s->piece,
		    more              ? STR("\r\n")
		    : s->piece.n == 0 ? STR("0\r\n\r\n")
				      : STR("\r\n0\r\n\r\n"));
	}
	if (!more) {
		s->source->free(s->source);
		s->source = NULL;
	}
	c->body = buf_str(&s->piece);
	c->dead = c->dead || s->piece.full;
}

void
http_conn_reply(
    struct http_conn *c, struct now now, const struct http_reply *rp, struct blob *shared)
{
	const struct http_request *rq = &c->work->request;
	struct str body = shared != NULL ? blob_str(shared) : buf_str(rp->body);
	struct http_answer a = {
		.status = rp->status,
		.content_type = rp->content_type,
		.reply = rp,
		.request = rq,
		.http10 = rq->version_minor == 0,
		.close =
		    !rq->keep_alive || c->stop || (rp->stream != NULL && rq->version_minor == 0),
		.stream = rp->stream != NULL,
		.length = body.n,
	};
	struct str text = rp->stream != NULL ? STR_NONE : body;

	assert(c->state == CONN_READY && c->work->owner == c && c->body.n == 0);
	output_begins(c, now);
	if (rq->method == HTTP_HEAD)
		text = STR_NONE;
	if (c->out.room == 0 && text.n <= CONN_OUT_ROOM / 2)
		buf_init_spare(&c->out, c->out.cap, &c->work->out_rooms);
	buf_reserve(&c->out, 512 + (text.n <= BODY_INLINE_MAX ? text.n : 0));
	http_head_write(c->work, now, &a, &c->out);
	if (text.n <= BODY_INLINE_MAX) {
		buf_add(&c->out, text);
	} else {
		c->body = text;
		c->blob = shared == NULL ? NULL : blob_ref(shared);
	}
	if (rp->stream != NULL && rq->method != HTTP_HEAD)
		stream_begin(c, rp->stream, !a.http10);
	else if (rp->stream != NULL)
		rp->stream->free(rp->stream);
	work_release(c);
	input_drop(c, c->head_n + c->body_n);
	c->state = c->n > c->at ? CONN_HEAD : CONN_IDLE;
	c->scanned = 0;
	c->delivered = false;
	c->since = now.mono;
	if (a.close)
		state_closing(c, now, c->n > c->at);
	c->dead = c->dead || c->out.full;
}

/* Requests. Each step is 0 when it has done all it can, 1 when there may be more. */

static bool
body_begin(struct http_conn *c, struct now now, const struct http_framing *f)
{
	struct http_work *w = c->work;
	struct str unused;

	c->body_max = w->limits.body_max;
	if (w->routes != NULL && (f->chunked || f->length > c->body_max)) {
		arena_reset(&w->arena);
		if (router_find(w->routes, &w->request, &unused) == ROUTED &&
		    (w->request.route->flags & ROUTE_LARGE) != 0)
			c->body_max = w->limits.body_large_max;
	}
	if (f->length > c->body_max) {
		char why[128];

		snprintf(why, sizeof why,
		    "Request body(%llu bytes) too large, max size: %zu bytes.",
		    (unsigned long long)f->length, c->body_max);
		http_conn_refuse(c, now, 413, str_of(why));
		return false;
	}
	c->state = CONN_BODY;
	c->since = now.mono;
	c->body_n = (size_t)f->length;
	if (f->chunked) {
		input_own(c);
		c->body_n = 0;
		c->chunks = mem_new(struct chunks);
	}
	if (f->expects_continue && c->n - c->at == c->head_n) {
		output_begins(c, now);
		buf_add(&c->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	}
	return true;
}

static bool
step_head(struct http_conn *c, struct now now)
{
	struct http_work *w = c->work;
	struct http_framing f;
	const char *why = "";
	int status;

	if (c->scanned == 0) /* empty lines before a request are none of it */
		while (c->at < c->n && (c->data[c->at] == '\r' || c->data[c->at] == '\n'))
			c->at++;
	if (c->at == c->n) {
		input_drop(c, 0);
		return false;
	}
	c->head_n = http_head_end(str_mem(c->data + c->at, c->n - c->at), &c->scanned);
	if (c->head_n > w->limits.head_max ||
	    (c->head_n == 0 && c->n - c->at >= w->limits.head_max)) {
		conn_fail(c, now, 431, "Request Header Fields Too Large");
		return false;
	}
	if (c->head_n == 0)
		return false;
	w->owner = c;
	w->request.route = NULL;
	status = http_head_read(str_mem(c->data + c->at, c->head_n), &w->request, &f, &why);
	if (status != 0) {
		conn_fail(c, now, status, why);
		return false;
	}
	if (f.chunked || f.length > 0)
		return body_begin(c, now, &f);
	c->body_n = 0;
	c->state = CONN_READY;
	return true;
}

static bool
step_chunks(struct http_conn *c, struct now now)
{
	size_t raw = c->n - c->at - c->head_n - c->body_n;
	int status = chunks_decode(c->chunks, c->in.p + c->at + c->head_n, &c->body_n, &raw,
	    c->body_max, c->work->limits.head_max);

	c->in.n = c->n = c->at + c->head_n + c->body_n + raw;
	if (status == 413)
		conn_fail(c, now, 413, "Request Entity Too Large");
	else if (status == 431)
		conn_fail(c, now, 431, "Request Header Fields Too Large");
	else if (status != 0)
		conn_fail(c, now, 400, "Bad Request");
	if (status != 0 || c->chunks->state != CHUNK_DONE)
		return false;
	free(c->chunks);
	c->chunks = NULL;
	c->state = CONN_READY;
	return true;
}

static bool
step_body(struct http_conn *c, struct now now)
{
	if (c->chunks != NULL)
		return step_chunks(c, now);
	if (c->n - c->at - c->head_n < c->body_n)
		return false;
	c->state = CONN_READY;
	return true;
}

static struct http_request *
request_deliver(struct http_conn *c, struct now now)
{
	struct http_work *w = c->work;
	struct http_request *rq = &w->request;
	struct http_framing f;
	const char *why;

	if (w->owner != c && c->delivered) {
		http_head_again(str_mem(c->data + c->at, c->head_n), rq);
		rq->keep_alive = c->keep_alive;
	} else if (w->owner != c) {
		int status = http_head_read(str_mem(c->data + c->at, c->head_n), rq, &f, &why);

		assert(status == 0); /* it was read before */
	}
	w->owner = c;
	c->delivered = true;
	c->keep_alive = rq->keep_alive;
	arena_reset(&w->arena);
	rq->body = str_mem(c->data + c->at + c->head_n, c->body_n);
	rq->peer = c->peer;
	rq->now = now;
	rq->route = NULL;
	rq->tail = rq->node = STR_NONE;
	rq->asks = rq->sees = (struct http_position){ 0 };
	rq->wants_records = false;
	rq->answer = NULL;
	rq->keep = (struct http_keep){ 0 };
	rq->woken = false;
	if (request_params_read(rq))
		return rq;
	conn_fail(c, now, 400, "Bad Request: too many query parameters");
	return NULL;
}

struct http_request *
http_conn_request(struct http_conn *c, struct now now)
{
	bool more = true;

	if (stream_quiet(c))
		c->progress = now.mono; /* what comes next has not been waited for yet */
	if (c->dead || c->body.n > 0 || c->stream != NULL ||
	    c->out.n - c->out_sent > OUT_PENDING_MAX)
		return NULL;
	while (more) {
		switch ((enum conn_state)c->state) {
		case CONN_IDLE:
		case CONN_CLOSING:
			more = false;
			break;
		case CONN_HEAD:
			more = step_head(c, now);
			break;
		case CONN_BODY:
			more = step_body(c, now);
			break;
		case CONN_READY:
			return request_deliver(c, now);
		}
	}
	if (c->state == CONN_HEAD && c->n == 0)
		c->state = CONN_IDLE; /* there were empty lines only */
	if (c->eof && c->state != CONN_CLOSING)
		state_closing(c, now, false); /* nothing whole will come any more */
	return NULL;
}

/* Output. */

size_t
http_conn_output(const struct http_conn *c, struct str *slices, size_t max)
{
	size_t count = 0;

	if (count < max && c->out.n > c->out_sent)
		slices[count++] = str_skip(buf_str(&c->out), c->out_sent);
	if (count < max && c->body.n > 0)
		slices[count++] = c->body;
	return count;
}

void
http_conn_sent(struct http_conn *c, struct now now, size_t bytes)
{
	size_t head = c->out.n - c->out_sent;

	if (bytes == 0)
		return;
	c->progress = now.mono;
	head = bytes < head ? bytes : head;
	c->out_sent += head;
	if (bytes > head)
		c->body = str_skip(c->body, bytes - head);
	if (c->out.n > c->out_sent || c->body.n > 0)
		return;
	buf_clear(&c->out);
	c->out_sent = 0;
	c->body = STR_NONE;
	blob_unref(c->blob);
	c->blob = NULL;
	if (c->stream != NULL && c->stream->source == NULL)
		stream_free(c);
	if (c->stream == NULL && (c->state == CONN_CLOSING || c->state == CONN_HEAD))
		c->since = now.mono; /* the client could not go on before */
}

void
http_conn_settle(struct http_conn *c)
{
	if (c->n == 0)
		buf_done_spare(&c->in, &c->work->in_rooms);
	else
		input_own(c);
	if (c->at > 0) {
		work_release(c);
		buf_drop_front(&c->in, c->at);
		c->n = c->in.n;
		c->at = 0;
	}
	if (c->stream != NULL && c->body.n == 0 && c->out.n == c->out_sent && !c->dead)
		stream_go_on(c);
	if (c->body.n > 0 && c->blob == NULL && c->stream == NULL) {
		c->blob = blob_new(c->body);
		c->body = blob_str(c->blob);
	}
	if (!output_pending(c))
		buf_done_spare(&c->out, &c->work->out_rooms);
}

/* Time, and the end. */

nsec
http_conn_deadline(const struct http_conn *c)
{
	const struct http_limits *l = &c->work->limits;

	if (stream_quiet(c))
		return NSEC_NEVER;
	if (output_pending(c))
		return c->progress + l->write_time;
	switch ((enum conn_state)c->state) {
	case CONN_IDLE:
		return c->since + l->idle_time;
	case CONN_HEAD:
		return c->since + l->head_time;
	case CONN_BODY:
		return c->since + l->body_time;
	case CONN_CLOSING:
		return c->since + LINGER_TIME;
	case CONN_READY:
		break;
	}
	return NSEC_NEVER;
}

void
http_conn_tick(struct http_conn *c, struct now now)
{
	if (now.mono < http_conn_deadline(c))
		return;
	if (!output_pending(c) && (c->state == CONN_HEAD || c->state == CONN_BODY))
		conn_fail(c, now, 408, "Request Timeout");
	else
		c->dead = true;
}

bool
http_conn_half_closed(const struct http_conn *c)
{
	return c->state == CONN_CLOSING && c->linger && !output_pending(c);
}

bool
http_conn_closed(const struct http_conn *c)
{
	if (c->dead || (c->eof && c->stream != NULL && c->stream->quiet))
		return true;
	return c->state == CONN_CLOSING && !output_pending(c) && (!c->linger || c->eof);
}

size_t
http_conn_memory(const struct http_conn *c)
{
	size_t shared = c->blob == NULL ? 0 : (c->blob->n + sizeof *c->blob) / c->blob->refs;

	return sizeof *c + c->in.room + c->out.room + shared +
	       (c->chunks == NULL ? 0 : sizeof *c->chunks) +
	       (c->stream == NULL ? 0 : sizeof *c->stream + c->stream->piece.room);
}
