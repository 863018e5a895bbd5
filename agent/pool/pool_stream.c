/* agent/pool/pool_stream.c -- streams, both sides; each carries one request and at most one answer.
 *
 * Parts: ours; what we ask; what others ask; merging; what we are answered.
 *
 *     push/pull  SWIM's table, and in its user state serf's and the catalog's digest
 *     ping       SWIM's last try with a member that is silent on UDP
 *     user       what spread asks and answers, after a byte of 0xc5
 */
#include <stdlib.h>

#include "agent/pool/pool_priv.h"
#include "base/mem.h"

#define POOL_STATE_MAX STREAM_BLOB_MAX /* bytes of a user state that we send */

/* Ours. */

static struct stream *
pool_stream_open(
    struct pool *p, enum stream_kind kind, const struct addr *addr, struct str bytes, nsec until)
{
	struct pool_action *a;
	struct stream *s;

	if (p->stream_count >= POOL_STREAMS_MAX || (a = pool_act(p, POOL_OPEN)) == NULL) {
		p->dropped++;
		return NULL;
	}
	s = mem_new(struct stream);
	s->id = a->id = ++p->last_id;
	s->kind = kind;
	s->addr = a->addr = *addr;
	s->bytes = blob_new(bytes);
	a->until = until;
	a->want_answer = true;
	TAILQ_INSERT_TAIL(&p->streams, s, link);
	p->stream_count++;
	return s;
}

static void
pool_stream_free(struct pool *p, struct stream *s)
{
	TAILQ_REMOVE(&p->streams, s, link);
	p->stream_count--;
	blob_unref(s->bytes);
	free(s);
}

static struct stream *
pool_stream_find(struct pool *p, uint64_t id)
{
	struct stream *s;

	TAILQ_FOREACH (s, &p->streams, link)
		if (s->id == id)
			return s;
	return NULL;
}

void
pool_streams_done(struct pool *p)
{
	struct stream *s, *next;

	TAILQ_FOREACH_SAFE (s, &p->streams, link, next)
		pool_stream_free(p, s);
}

bool
pool_pull_open(struct pool *p, const struct addr *addr, bool flag)
{
	struct stream *s =
	    pool_stream_open(p, STREAM_PULL, addr, STR_NONE, p->now.mono + POOL_STREAM_TIME);

	if (s != NULL)
		s->flag = flag;
	return s != NULL;
}

bool
pool_ping_open(struct pool *p, const struct addr *addr, struct str node, uint32_t seq, nsec until)
{
	struct stream *s = pool_stream_open(p, STREAM_PING, addr, node, until);

	if (s != NULL)
		s->seq = seq;
	return s != NULL;
}

bool
pool_ask_open(struct pool *p, const struct addr *addr, struct str bytes, uint64_t ask)
{
	struct stream *s =
	    pool_stream_open(p, STREAM_ASK, addr, bytes, p->now.mono + POOL_STREAM_TIME);

	if (s != NULL)
		s->ask = ask;
	return s != NULL;
}

static void
pool_joined(struct pool *p, uint64_t id, bool ok, struct str text)
{
	struct pool_action *a = pool_act(p, POOL_JOINED);

	if (a == NULL)
		return;
	a->id = id;
	a->ok = ok;
	a->text = arena_dup(&p->out, text);
}

uint64_t
pool_join_open(struct pool *p, const struct addr *addr)
{
	struct stream *s =
	    pool_stream_open(p, STREAM_PULL, addr, STR_NONE, p->now.mono + POOL_STREAM_TIME);

	if (s == NULL) {
		pool_joined(p, ++p->last_id, false, STR("too many streams are under way"));
		return p->last_id;
	}
	s->flag = s->join = true;
	return s->id;
}

/* What we ask, and what we say of ourselves when asked. */

static bool
pool_nodes_write(struct pool *p, struct arena *arena, struct stream_push_pull *out)
{
	size_t most = swim_count(p->swim) + swim_buried(p->swim), cursor = 0;
	struct wire_node_state n;

	out->nodes = arena_array(arena, struct wire_node_state, most);
	if (out->nodes == NULL)
		return false;
	while (out->node_count < most && swim_state_next(p->swim, &cursor, &n)) {
		n.name = arena_dup(arena, n.name); /* what is merged meanwhile changes the table */
		n.meta = arena_dup(arena, n.meta);
		out->nodes[out->node_count++] = n;
	}
	return !arena->full;
}

static bool
pool_state_write(struct pool *p, struct arena *arena, bool join, struct stream_request *out)
{
	struct buf digest, state;
	bool ok;

	*out = (struct stream_request){ .type = WIRE_PUSH_PULL };
	out->u.push_pull.join = join;
	buf_init(&digest, POOL_STATE_MAX / 2);
	buf_init(&state, POOL_STATE_MAX);
	spread_digest_write(p->spread, p->now, &digest);
	serf_state_write(p->serf, digest.full ? STR_NONE : buf_str(&digest), &state);
	if (state.full) { /* what serf knows beside SWIM: the others have it from others */
		p->dropped++;
		buf_clear(&state);
	}
	ok = pool_nodes_write(p, arena, &out->u.push_pull);
	out->u.push_pull.user_state = arena_dup(arena, buf_str(&state));
	buf_done(&digest);
	buf_done(&state);
	return ok && !arena->full;
}

static bool
pool_user_write(struct arena *arena, struct str bytes, struct stream_request *out)
{
	char *room = arena_alloc(arena, bytes.n + 1);
	struct writer w = wr_of(room, room == NULL ? 0 : bytes.n + 1);

	wr_u8(&w, SERF_MUSTER);
	wr_bytes(&w, bytes);
	*out = (struct stream_request){ .type = WIRE_USER };
	out->u.user = wr_done(&w);
	return !w.full;
}

bool
pool_stream_write(struct pool *p, uint64_t id, struct arena *arena, struct stream_request *out)
{
	const struct stream *s = pool_stream_find(p, id);

	if (s == NULL)
		return false;
	if (s->kind == STREAM_PULL)
		return pool_state_write(p, arena, s->flag, out);
	if (s->kind == STREAM_ASK)
		return pool_user_write(arena, blob_str(s->bytes), out);
	*out = (struct stream_request){ .type = WIRE_PING };
	out->u.ping = (struct wire_ping){ .seq = s->seq,
		.node = blob_str(s->bytes),
		.source = p->config.advertise,
		.source_node = blob_str(p->wire_name) };
	return true;
}

/* Merging. */

static int
pool_merge(struct pool *p, const struct addr *from, bool join, const struct stream_push_pull *pp,
    struct err *err)
{
	int rc = swim_merge_check(p->swim, pp->nodes, pp->node_count, err);

	if (rc < 0)
		return rc;
	swim_merge(p->swim, p->now.mono, pp->nodes, pp->node_count);
	/* SWIM's news first: an intent about a name that is not known yet only waits. */
	while (pool_swim_drain(p))
		;
	rc = serf_state_merge(p->serf, p->now.mono, from, join, pp->user_state, err);
	/* Others may have found us first, and hold us for leaving by what they heard of our last
	 * life. */
	if (rc == 0 && (join || !p->joined)) {
		p->joined = true;
		serf_joined(p->serf, p->now.mono);
	}
	return rc;
}

/* What others ask. */

static bool
pool_refuse(struct arena *arena, const struct err *err, struct stream_request *answer)
{
	*answer = (struct stream_request){ .type = WIRE_ERROR };
	answer->u.error = arena_dup(arena, str_of(err->text));
	return answer->u.error.p != NULL;
}

/* The answer shows what we knew before, as memberlist's does. A refused one would otherwise
 * believe that it joined. */
static bool
pool_pull_take(struct pool *p, const struct addr *from, const struct stream_push_pull *pp,
    struct arena *arena, struct stream_request *answer)
{
	struct err err;
	bool ok;

	if (pool_welcome_check(p, pp->nodes, pp->node_count, &err) < 0 ||
	    swim_merge_check(p->swim, pp->nodes, pp->node_count, &err) < 0) {
		if (pool_may_complain(p, &p->refused_said))
			pool_log(p, LOG_LEVEL_WARN, "push/pull refused: %s", err.text);
		return pool_refuse(arena, &err, answer);
	}
	ok = pool_state_write(p, arena, pp->join, answer);
	if (pool_merge(p, from, false, pp, &err) < 0)
		pool_log(p, LOG_LEVEL_WARN, "push/pull not merged: %s", err.text);
	return ok;
}

static bool
pool_ask_take(struct pool *p, struct str bytes, struct arena *arena, struct stream_request *answer)
{
	struct buf out;
	struct err err;
	bool ok;

	buf_init(&out, STREAM_BLOB_MAX - 1);
	ok = spread_request(p->spread, p->now, bytes, &out, &err) == 0 && !out.full;
	ok = ok && pool_user_write(arena, buf_str(&out), answer);
	buf_done(&out);
	return ok;
}

static bool
pool_user_take(struct pool *p, const struct addr *from, struct str bytes, struct arena *arena,
    struct stream_request *answer)
{
	if (bytes.n > 0 && (uint8_t)bytes.p[0] == SERF_MUSTER)
		return pool_ask_take(p, str_skip(bytes, 1), arena, answer);
	serf_input(p->serf, p->now.mono, from, bytes, NULL); /* it counts */
	return false;
}

bool
pool_request_take(struct pool *p, const struct addr *from, const struct stream_request *request,
    struct arena *arena, struct stream_request *answer)
{
	const struct wire_ping *ping = &request->u.ping;

	switch (request->type) {
	case WIRE_PUSH_PULL:
		return pool_pull_take(p, from, &request->u.push_pull, arena, answer);
	case WIRE_USER:
		return pool_user_take(p, from, request->u.user, arena, answer);
	case WIRE_PING:
		if (ping->node.n > 0 && !str_eq(ping->node, blob_str(p->wire_name)))
			return false;
		*answer = (struct stream_request){ .type = WIRE_ACK };
		answer->u.ack = (struct wire_ack){ .seq = ping->seq, .payload_nil = true };
		return true;
	default:
		return false;
	}
}

/* What we are answered. */

static int
pool_pull_merge(
    struct pool *p, const struct stream *s, const struct stream_request *answer, struct err *err)
{
	const struct stream_push_pull *pp = &answer->u.push_pull;
	int rc;

	if (answer->type == WIRE_ERROR)
		return err_set(err, ERR_REFUSED, STR_FMT, STR_ARG(answer->u.error));
	if (answer->type != WIRE_PUSH_PULL)
		return err_set(err, ERR_INPUT, "it answered with something else");
	rc = s->join ? pool_welcome_check(p, pp->nodes, pp->node_count, err) : 0;
	if (rc < 0)
		return rc;
	rc = swim_merge_check(p->swim, pp->nodes, pp->node_count, err);
	if (rc < 0)
		return rc;
	pool_rival_meet(p, &s->addr, s->join, pp->nodes, pp->node_count);
	return pool_merge(p, &s->addr, s->join, pp, err);
}

static void
pool_pull_over(
    struct pool *p, const struct stream *s, bool refused, const struct stream_request *answer)
{
	char at[ADDR_TEXT_MAX];
	struct err err;
	int rc;

	addr_format(&s->addr, at);
	if (answer != NULL)
		rc = pool_pull_merge(p, s, answer, &err);
	else
		rc = err_set(
		    &err, ERR_IO, refused ? "nobody listens there" : "it did not answer in time");
	if (refused)
		pool_refusal(p, &s->addr);
	if (rc < 0)
		err_wrap(&err, "%s", at);
	if (s->join)
		pool_joined(p, s->id, rc == 0, rc < 0 ? str_of(err.text) : STR_NONE);
	else if (rc < 0)
		pool_log(p, LOG_LEVEL_DEBUG, "push/pull failed: %s", err.text);
}

static void
pool_ping_over(
    struct pool *p, const struct stream *s, bool refused, const struct stream_request *answer)
{
	if (refused)
		pool_refusal(p, &s->addr);
	else if (answer != NULL && answer->type == WIRE_ACK && answer->u.ack.seq == s->seq)
		swim_stream_ack(p->swim, p->now.mono, s->seq);
}

static void
pool_ask_over(
    struct pool *p, const struct stream *s, bool refused, const struct stream_request *answer)
{
	struct str bytes = answer != NULL && answer->type == WIRE_USER ? answer->u.user : STR_NONE;
	bool ours = bytes.n > 0 && (uint8_t)bytes.p[0] == SERF_MUSTER;

	if (refused)
		pool_refusal(p, &s->addr);
	spread_answer(p->spread, p->now, s->ask, ours ? str_skip(bytes, 1) : STR_NONE, !ours);
}

void
pool_stream_over(struct pool *p, uint64_t id, bool refused, const struct stream_request *answer)
{
	struct stream *s = pool_stream_find(p, id);

	if (s == NULL)
		return;
	if (answer != NULL)
		pool_heard(p, &s->addr);
	if (s->kind == STREAM_PULL)
		pool_pull_over(p, s, refused, answer);
	else if (s->kind == STREAM_PING)
		pool_ping_over(p, s, refused, answer);
	else
		pool_ask_over(p, s, refused, answer);
	pool_stream_free(p, s);
}
