/* gossip/stream.c -- one request or answer over TCP, read as it comes.
 *
 * Reading goes through phases, each of which either has enough bytes to finish or waits for more:
 *
 *     LABEL -> ENVELOPE -> [FRAME] -> [COMPRESSED] -> REQUEST -> DONE
 *
 * FRAME and COMPRESSED replace the bytes by what was inside; from then on all of it is there, and
 * too few bytes means malformed, not "wait". REQUEST remembers how far it understood the request
 * (a push/pull's nodes), so a stream in small pieces is scanned once; what is announced is held
 * against the limits before room is made for it, and nodes are put into an array only when all of
 * them were seen. */
#include "gossip/stream.h"

#include <stdlib.h>

#include "base/mem.h"
#include "gossip/lzw.h"
#include "gossip/pack.h"

#define FRAME_HEAD 5 /* type and length of an encrypted frame */
#define AAD_MAX (FRAME_HEAD + 255)
#define PLAIN_MAX \
	(STREAM_UNPACKED_MAX + STREAM_HEAD_MAX) /* bytes of a request that is not framed */
#define ARENA_MAX (STREAM_NODES_MAX * sizeof(struct wire_node_state) + 8 * 1024 * 1024)

enum phase { LABEL, ENVELOPE, FRAME, COMPRESSED, REQUEST, DONE };

struct stream_in {
	struct frame_config config; /* borrowed inside */
	bool answer;
	enum phase phase;
	struct buf bytes; /* of the innermost layer so far */
	size_t pos;       /* what the phases so far have used up */
	bool whole;       /* no more will come: bytes were inside another layer */
	struct arena arena, scratch;
	/* REQUEST */
	enum wire_type type;
	bool head_done;
	size_t head_at; /* where the type's map stands */
	struct wire_push_pull_head head;
	uint32_t nodes_seen, user_n;
};

struct stream_in *
stream_in_new(const struct frame_config *config, bool answer)
{
	struct stream_in *s = mem_new(struct stream_in);

	s->config = *config;
	s->answer = answer;
	buf_init(&s->bytes, PLAIN_MAX);
	arena_init(&s->arena, ARENA_MAX);
	arena_init(&s->scratch, STREAM_HEAD_MAX);
	return s;
}

void
stream_in_free(struct stream_in *s)
{
	if (s == NULL)
		return;
	buf_done(&s->bytes);
	arena_done(&s->arena);
	arena_done(&s->scratch);
	free(s);
}

size_t
stream_in_held(const struct stream_in *s)
{
	return sizeof *s + s->bytes.room + s->arena.used + s->scratch.used;
}

static struct str
stream_left(const struct stream_in *s)
{
	return str_skip(buf_str(&s->bytes), s->pos);
}

/* Too few bytes: wait for more, or an error when none can come. */
static int
stream_short(const struct stream_in *s, struct err *err)
{
	return s->whole ? err_set(err, ERR_INPUT, "a request announces more than it carries") : 0;
}

/* A piece that was read by cursor: 1 when it was there, else as stream_short(). */
static int
stream_taken(struct stream_in *s, const struct reader *r, const char *what, struct err *err)
{
	if (r->state == RD_SHORT && r->len < STREAM_HEAD_MAX)
		return stream_short(s, err);
	if (r->state != RD_OK)
		return err_set(err, ERR_INPUT, "%s is malformed", what);
	s->pos += r->pos;
	return 1;
}

/* A reader over what is left, but never over more than one map may need. */
static struct reader
stream_reader(const struct stream_in *s)
{
	struct str left = stream_left(s);

	return rd_of(str_head(left, left.n < STREAM_HEAD_MAX ? left.n : STREAM_HEAD_MAX));
}

/* From here on `inner` is all there is. Takes it. */
static void
stream_enter(struct stream_in *s, struct buf *inner)
{
	buf_done(&s->bytes);
	s->bytes = *inner;
	s->pos = 0;
	s->whole = true;
}

/* --- layers; each returns 1 to go on, 0 to wait, < 0 to give up --- */

static int
stream_label(struct stream_in *s, struct err *err)
{
	struct str left = stream_left(s), after = left;
	int rc = 0;

	if (!s->answer) {
		size_t need = left.n < 2 || (uint8_t)left.p[0] != WIRE_LABEL
				  ? 2
				  : 2 + (size_t)(uint8_t)left.p[1];

		if (left.n < need && (uint8_t)left.p[0] == WIRE_LABEL)
			return 0;
		rc = frame_label_open(s->config.label, &after, err);
	}
	if (rc < 0)
		return rc;
	s->pos += left.n - after.n;
	s->phase = ENVELOPE;
	return 1;
}

static bool
stream_has_keys(const struct stream_in *s)
{
	return s->config.keys != NULL && keyring_count(s->config.keys) > 0;
}

static int
stream_envelope(struct stream_in *s, struct err *err)
{
	struct str left = stream_left(s);
	uint8_t type;

	if (left.n == 0)
		return stream_short(s, err);
	type = (uint8_t)left.p[0];
	if (s->whole) /* decrypted */
		s->phase = type == WIRE_COMPRESSED ? COMPRESSED : REQUEST;
	else if (type == WIRE_ENCRYPTED && !stream_has_keys(s))
		return err_set(err, ERR_REFUSED, "an encrypted stream, and we have no keys");
	else if (type != WIRE_ENCRYPTED && stream_has_keys(s) && s->config.verify_incoming)
		return err_set(err, ERR_REFUSED, "a plain stream where encryption is due");
	else
		s->phase = type == WIRE_ENCRYPTED    ? FRAME
			   : type == WIRE_COMPRESSED ? COMPRESSED
						     : REQUEST;
	return 1;
}

/* The frame's head and the label are authenticated with it. */
static struct str
frame_aad(struct str head, struct str label, uint8_t room[AAD_MAX])
{
	struct writer w = wr_of(room, AAD_MAX);

	wr_bytes(&w, head);
	wr_bytes(&w, label);
	return wr_done(&w);
}

static int
stream_frame(struct stream_in *s, struct err *err)
{
	struct reader r = rd_of(stream_left(s));
	struct str head = rd_str(&r, FRAME_HEAD), blob;
	struct reader length = rd_of(head);
	uint8_t room[AAD_MAX];
	struct buf plain;
	uint32_t n;
	int rc;

	if (!rd_ok(&r))
		return 0;
	rd_u8(&length);
	n = rd_be32(&length);
	if (n > STREAM_BLOB_MAX)
		return err_set(err, ERR_LIMIT, "an encrypted frame of %u bytes", n);
	if (n < KEYRING_OVERHEAD)
		return err_set(err, ERR_INPUT, "an encrypted frame of %u bytes", n);
	blob = rd_str(&r, n);
	if (!rd_ok(&r))
		return 0;
	buf_init(&plain, STREAM_BLOB_MAX);
	rc =
	    keyring_open(s->config.keys, blob, frame_aad(head, s->config.label, room), &plain, err);
	if (rc < 0) {
		buf_done(&plain);
		return rc;
	}
	stream_enter(s, &plain);
	s->phase = ENVELOPE;
	return 1;
}

static int
stream_compressed(struct stream_in *s, struct err *err)
{
	struct reader r = rd_of(str_skip(stream_left(s), 1));
	struct str lzw = wire_compressed_read(&r);
	struct buf plain;
	size_t length;
	int rc;

	if (r.state == RD_SHORT)
		return stream_short(s, err);
	if (!rd_ok(&r))
		return err_set(err, ERR_INPUT, "a compressed stream is malformed");
	rc = lzw_length(lzw, STREAM_UNPACKED_MAX, &length, err);
	if (rc < 0)
		return rc;
	buf_init(&plain, length);
	rc = lzw_unpack(lzw, &plain, err);
	if (rc < 0) {
		buf_done(&plain);
		return rc;
	}
	stream_enter(s, &plain);
	s->phase = REQUEST;
	return 1;
}

/* --- the request: first only looked over, until it is known to be all there --- */

static int
push_pull_head(struct stream_in *s, struct err *err)
{
	struct reader r = stream_reader(s);
	int rc;

	wire_push_pull_head_read(&r, &s->head);
	rc = stream_taken(s, &r, "the head of a push/pull", err);
	if (rc <= 0)
		return rc;
	if (s->head.nodes > STREAM_NODES_MAX || s->head.user_state_n > STREAM_BLOB_MAX)
		return err_set(err, ERR_LIMIT, "a push/pull of %u nodes and %u bytes of state",
		    s->head.nodes, s->head.user_state_n);
	s->head_done = true;
	s->head_at = s->pos;
	return 1;
}

static int
push_pull_scan(struct stream_in *s, struct err *err)
{
	int rc = s->head_done ? 1 : push_pull_head(s, err);

	while (rc > 0 && s->nodes_seen < s->head.nodes) {
		struct reader r = stream_reader(s);
		struct wire_node_state node;

		arena_reset(&s->scratch);
		wire_node_read(&r, &s->scratch, &node);
		rc = stream_taken(s, &r, "a node of a push/pull", err);
		if (rc > 0)
			s->nodes_seen++;
	}
	if (rc > 0 && stream_left(s).n < s->head.user_state_n)
		rc = stream_short(s, err);
	return rc;
}

static int
push_pull_parse(struct stream_in *s, struct stream_push_pull *out, struct err *err)
{
	struct reader r = rd_of(str_skip(buf_str(&s->bytes), s->head_at));

	out->join = s->head.join;
	out->node_count = s->head.nodes;
	out->nodes = arena_array(&s->arena, struct wire_node_state, out->node_count);
	for (size_t i = 0; i < out->node_count && out->nodes != NULL && rd_ok(&r); i++)
		wire_node_read(&r, &s->arena, &out->nodes[i]);
	out->user_state = rd_str(&r, s->head.user_state_n);
	if (out->nodes == NULL || !rd_ok(&r))
		return err_set(err, ERR_LIMIT, "a push/pull of %zu nodes takes too much room",
		    out->node_count);
	return 1;
}

static int
user_scan(struct stream_in *s, struct err *err)
{
	struct reader r = stream_reader(s);
	int rc = 1;

	if (!s->head_done) {
		s->user_n = wire_user_head_read(&r);
		rc = stream_taken(s, &r, "the head of a user message", err);
		s->head_done = rc > 0;
	}
	if (rc > 0 && s->user_n > STREAM_BLOB_MAX)
		return err_set(err, ERR_LIMIT, "a user message of %u bytes", s->user_n);
	if (rc > 0 && stream_left(s).n < s->user_n)
		return stream_short(s, err);
	return rc;
}

/* Ping, ack, error: one message whose map tells its own end. */
static int
message_parse(struct stream_in *s, struct stream_request *out, struct err *err)
{
	struct reader r = stream_reader(s);
	struct wire_message m;
	int rc;

	pack_skip(&r, STREAM_HEAD_MAX);
	rc = stream_taken(s, &r, "a message", err);
	if (rc <= 0)
		return rc;
	rc = wire_read(&s->arena, str_skip(buf_str(&s->bytes), s->head_at - 1), &m, err);
	if (rc < 0)
		return rc;
	if (s->type == WIRE_PING)
		out->u.ping = m.u.ping;
	else if (s->type == WIRE_ACK)
		out->u.ack = m.u.ack;
	else
		out->u.error = m.u.error;
	return 1;
}

static int
stream_request(struct stream_in *s, struct stream_request *out, struct err *err)
{
	struct stream_request request;
	int rc;

	if (s->head_at == 0) {
		if (stream_left(s).n == 0)
			return stream_short(s, err);
		s->type = (uint8_t)stream_left(s).p[0];
		s->head_at = ++s->pos;
	}
	memset(&request, 0, sizeof request);
	request.type = s->type;
	switch (s->type) {
	case WIRE_PUSH_PULL:
		rc = push_pull_scan(s, err);
		if (rc > 0)
			rc = push_pull_parse(s, &request.u.push_pull, err);
		break;
	case WIRE_USER:
		rc = user_scan(s, err);
		request.u.user = str_head(stream_left(s), rc > 0 ? s->user_n : 0);
		break;
	case WIRE_PING:
	case WIRE_ACK:
	case WIRE_ERROR:
		rc = message_parse(s, &request, err);
		break;
	default:
		rc = err_set(err, ERR_INPUT, "message type %d is not one of a stream", s->type);
	}
	if (rc > 0) {
		s->phase = DONE;
		*out = request;
	}
	return rc;
}

int
stream_in_feed(struct stream_in *s, struct str bytes, struct stream_request *out, struct err *err)
{
	int rc = 1;

	if (s->phase == DONE)
		return err_set(err, ERR_STATE, "the request was whole before");
	if (!s->whole)
		buf_add(&s->bytes, bytes);
	if (s->bytes.full)
		return err_set(err, ERR_LIMIT, "a stream of more than %zu bytes", s->bytes.cap);
	while (rc > 0 && s->phase != DONE) {
		switch (s->phase) {
		case LABEL:
			rc = s->bytes.n > 0 ? stream_label(s, err) : 0;
			break;
		case ENVELOPE:
			rc = stream_envelope(s, err);
			break;
		case FRAME:
			rc = stream_frame(s, err);
			break;
		case COMPRESSED:
			rc = stream_compressed(s, err);
			break;
		default:
			rc = stream_request(s, out, err);
		}
	}
	return rc;
}

/* --- writing --- */

/* Room at the end for at most `most` bytes; piece_end() keeps what was written of it. */
static struct writer
piece_begin(struct buf *out, size_t most)
{
	char *room = buf_reserve(out, most);
	struct writer w = wr_of(room, most);

	w.full = room == NULL;
	return w;
}

static void
piece_end(struct buf *out, const struct writer *w)
{
	if (w->full)
		out->full = true;
	else
		buf_commit(out, w->pos);
}

static void
push_pull_write(const struct stream_push_pull *p, struct buf *out)
{
	struct wire_push_pull_head head = { p->join, (uint32_t)p->node_count,
		(uint32_t)p->user_state.n };
	struct writer w;

	if (p->node_count > STREAM_NODES_MAX || p->user_state.n > STREAM_BLOB_MAX) {
		out->full = true;
		return;
	}
	w = piece_begin(out, WIRE_HEAD_ROOM);
	wire_push_pull_head_write(&w, &head);
	piece_end(out, &w);
	for (size_t i = 0; i < p->node_count && !out->full; i++) {
		w = piece_begin(out, WIRE_NODE_ROOM(&p->nodes[i]));
		wire_node_write(&w, &p->nodes[i]);
		piece_end(out, &w);
	}
	buf_add(out, p->user_state);
}

static void
user_write(struct str user, struct buf *out)
{
	struct writer w = piece_begin(out, WIRE_HEAD_ROOM);

	if (user.n > STREAM_BLOB_MAX)
		w.full = true;
	wire_user_head_write(&w, (uint32_t)user.n);
	piece_end(out, &w);
	buf_add(out, user);
}

static void
message_write(const struct stream_request *q, struct buf *out)
{
	struct writer w = piece_begin(out, STREAM_HEAD_MAX);
	struct wire_message m;

	memset(&m, 0, sizeof m);
	m.type = q->type;
	if (q->type == WIRE_PING)
		m.u.ping = q->u.ping;
	else if (q->type == WIRE_ACK)
		m.u.ack = q->u.ack;
	else
		m.u.error = q->u.error;
	wire_write(&w, &m);
	piece_end(out, &w);
}

static int
request_write(const struct stream_request *q, struct buf *out, struct err *err)
{
	switch (q->type) {
	case WIRE_PUSH_PULL:
		buf_addc(out, WIRE_PUSH_PULL);
		push_pull_write(&q->u.push_pull, out);
		break;
	case WIRE_USER:
		buf_addc(out, WIRE_USER);
		user_write(q->u.user, out);
		break;
	case WIRE_PING:
	case WIRE_ACK:
	case WIRE_ERROR:
		message_write(q, out);
		break;
	default:
		return err_set(err, ERR_INPUT, "message type %d is not one of a stream", q->type);
	}
	return out->full ? err_set(err, ERR_LIMIT, "a request too large for a stream") : 0;
}

/* On streams memberlist compresses always, also when it gets longer: so do we. */
static int
request_pack(struct buf *body, struct err *err)
{
	struct buf lzw, map;
	struct writer w;

	buf_init(&lzw, LZW_PACKED_MAX(body->n));
	buf_init(&map, WIRE_COMPRESSED_ROOM(LZW_PACKED_MAX(body->n)));
	lzw_pack(buf_str(body), &lzw);
	w = piece_begin(&map, WIRE_COMPRESSED_ROOM(lzw.n));
	wire_compressed_write(&w, buf_str(&lzw));
	piece_end(&map, &w);
	map.full |= lzw.full;
	buf_done(&lzw);
	buf_done(body);
	*body = map;
	return map.full ? err_set(err, ERR_LIMIT, "no memory to compress a request") : 0;
}

static int
request_seal(const struct frame_config *c, struct str body, struct buf *out, struct err *err)
{
	uint8_t head_room[FRAME_HEAD], aad_room[AAD_MAX];
	struct writer head = wr_of(head_room, sizeof head_room);

	if (body.n > STREAM_BLOB_MAX - KEYRING_OVERHEAD)
		return err_set(
		    err, ERR_LIMIT, "a request of %zu bytes for an encrypted stream", body.n);
	wr_u8(&head, WIRE_ENCRYPTED);
	wr_be32(&head, (uint32_t)(KEYRING_OVERHEAD + body.n));
	buf_add(out, wr_done(&head));
	return keyring_seal(
	    c->keys, 1, NULL, body, frame_aad(wr_done(&head), c->label, aad_room), out, err);
}

int
stream_write(const struct frame_config *c, const struct stream_request *q, bool answer,
    struct buf *out, struct err *err)
{
	struct buf body;
	int rc;

	buf_init(&body, PLAIN_MAX);
	rc = request_write(q, &body, err);
	if (rc == 0 && c->compress)
		rc = request_pack(&body, err);
	if (rc == 0 && !answer)
		rc = frame_label_write(c->label, out, err);
	if (rc == 0 && frame_encrypts(c))
		rc = request_seal(c, buf_str(&body), out, err);
	else if (rc == 0)
		buf_add(out, buf_str(&body));
	if (rc == 0 && out->full)
		rc = err_set(err, ERR_LIMIT, "no room for a request");
	buf_done(&body);
	return rc;
}
