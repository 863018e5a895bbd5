/* gossip/serf_query.c -- queries: a question to all, answers straight to who asked.
 *
 * In order: sets of names, replies and their relays, queries of others, what the agent answers,
 * queries of ours, time. A query travels like an event, told apart by time and id. One answer and
 * one ack of each node count. Who answers may send a copy through others, for the case that the
 * straight way is broken.
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"
#include "gossip/serf_private.h"

enum { QUERY_ACK = 1, QUERY_STAY = 2, RESPONSE_ACK = 1 };

/* --- sets of names --- */

static bool /* false: was there */
heard_add(struct heard *h, struct str name)
{
	uint64_t hash = XXH3_64bits(name.p == NULL ? "" : name.p, name.n);
	size_t low = 0, high = h->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (h->names[mid] < hash)
			low = mid + 1;
		else
			high = mid;
	}
	if ((low < h->count && h->names[low] == hash) || h->count >= SERF_TABLE_MAX)
		return false;
	if (h->count == h->room)
		h->names = mem_grow(h->names, h->count, &h->room, sizeof *h->names);
	memmove(h->names + low + 1, h->names + low, (h->count - low) * sizeof *h->names);
	h->names[low] = hash;
	h->count++;
	return true;
}

/* --- replies --- */

struct reply { /* where to, and in what words */
	uint64_t ltime;
	uint32_t wire_id, flags;
	struct addr to;
	struct str node, payload;
	uint8_t relay_factor;
};

static int
reply_encode(
    const struct serf *s, const struct reply *r, uint8_t *room, struct str *out, struct err *err)
{
	struct serf_message m = { .type = SERF_QUERY_RESPONSE,
		.u.response = { .ltime = r->ltime,
		    .id = r->wire_id,
		    .flags = r->flags,
		    .from = s->self->m.name,
		    .payload = r->payload,
		    .payload_nil = r->payload.p == NULL } };

	return serf_encode(&m, room, SERF_QUERY_SIZE_MAX, out, err);
}

static void
reply_relay(struct serf *s, const struct reply *r, struct str bytes)
{
	size_t others = serf_alive_count(s), count = r->relay_factor, first;
	struct serf_message m = { .type = SERF_RELAY,
		.u.relay = { .dest = r->to, .dest_name = r->node, .inner = bytes } };
	uint8_t room[SERF_MESSAGE_MAX];
	struct str relayed;

	if (count == 0 || s->count < count + 1 || others == 0)
		return;
	if (serf_encode(&m, room, sizeof room, &relayed, NULL) < 0)
		return;
	first = rng_below(&s->rng, (uint32_t)others);
	for (size_t i = 0; i < count && i < others; i++) {
		const struct member *via = serf_alive_other(s, (first + i) % others);

		serf_send_message(s, &via->m.addr, via->m.name, relayed);
	}
}

static int
reply_send(struct serf *s, const struct reply *r, struct err *err)
{
	uint8_t room[SERF_QUERY_SIZE_MAX];
	struct str bytes;
	int rc = reply_encode(s, r, room, &bytes, err);

	if (rc < 0 || r->to.family == ADDR_NONE || r->to.port == 0)
		return rc;
	serf_send_message(s, &r->to, r->node, bytes);
	reply_relay(s, r, bytes);
	return 0;
}

void
serf_answer(struct serf *s, const struct serf_query *q, struct str payload)
{
	struct reply r = { .ltime = q->ltime,
		.wire_id = q->id,
		.to = q->source,
		.node = q->source_node,
		.payload = payload,
		.relay_factor = q->relay_factor };

	if (reply_send(s, &r, NULL) < 0)
		s->stats.dropped++;
}

/* How long a payload an answer to `q` may carry. */
void
serf_answer_room(const struct serf *s, const struct serf_query *q, size_t *payload_max)
{
	uint8_t room[SERF_QUERY_SIZE_MAX];
	struct reply r = { .ltime = q->ltime, .wire_id = q->id, .payload = STR("") };
	struct str bytes;

	*payload_max = 0;
	if (reply_encode(s, &r, room, &bytes, NULL) == 0 && bytes.n + 4 < SERF_QUERY_SIZE_MAX)
		*payload_max =
		    SERF_QUERY_SIZE_MAX - bytes.n - 4; /* a longer header of the length */
}

static void
query_ack(struct serf *s, const struct serf_query *q)
{
	struct reply r = { .ltime = q->ltime,
		.wire_id = q->id,
		.flags = RESPONSE_ACK,
		.to = q->source,
		.node = q->source_node,
		.relay_factor = q->relay_factor };

	if (reply_send(s, &r, NULL) < 0)
		s->stats.dropped++;
}

/* --- queries of others --- */

/* True at the first sight of this time and id. */
static bool
query_first(struct serf *s, const struct serf_query *q)
{
	struct query_slot *slot = &s->queries[q->ltime % SERF_EVENT_RING];

	if (slot->ltime != q->ltime) {
		slot->ltime = q->ltime;
		slot->count = 0;
	}
	for (size_t i = 0; i < slot->count; i++)
		if (slot->ids[i] == q->id) {
			s->stats.repeated++;
			return false;
		}
	if (slot->count >= SERF_SLOT_MAX) {
		s->stats.dropped++;
		return false;
	}
	if (slot->count == slot->room)
		slot->ids = mem_grow(slot->ids, slot->count, &slot->room, sizeof *slot->ids);
	slot->ids[slot->count++] = q->id;
	return true;
}

static nsec
timeout_of(int64_t wanted)
{
	return wanted < 0 ? 0 : wanted > SERF_TIMEOUT_MAX ? SERF_TIMEOUT_MAX : wanted;
}

static void
ticket_drop(struct serf *s, struct ticket *t)
{
	TAILQ_REMOVE(&s->tickets, t, link);
	s->ticket_count--;
	serf_spend(s, t->node);
	free(t);
}

static void
query_tell(struct serf *s, const struct serf_query *q)
{
	struct ticket *t = mem_new(struct ticket);
	struct serf_action *a;

	*t = (struct ticket){ .id = ++s->last_id,
		.ltime = q->ltime,
		.wire_id = q->id,
		.source = q->source,
		.node = blob_new(q->source_node),
		.relay_factor = q->relay_factor,
		.until = s->now + timeout_of(q->timeout_ns) };
	TAILQ_INSERT_TAIL(&s->tickets, t, link);
	if (++s->ticket_count > SERF_TICKETS_MAX)
		ticket_drop(s, TAILQ_FIRST(&s->tickets));
	a = serf_act(s, SERF_TELL_QUERY);
	if (a == NULL)
		return;
	a->id = t->id;
	a->peer = q->source;
	a->peer_name = blob_str(t->node);
	a->event = (struct serf_event){ .ltime = q->ltime,
		.name = arena_dup(&s->out, q->name),
		.payload = arena_dup(&s->out, q->payload),
		.payload_nil = q->payload_nil };
}

static void
query_for_us(struct serf *s, const struct serf_query *q)
{
	if ((q->flags & QUERY_ACK) != 0)
		query_ack(s, q);
	if (str_starts(q->name, STR(SERF_INTERNAL)))
		serf_internal_query(s, q);
	else
		query_tell(s, q);
}

bool
serf_query_take(struct serf *s, const struct serf_query *q)
{
	struct arena arena;

	if (!serf_witness(s, &s->clock.query, q->ltime))
		return false;
	if (q->ltime + SERF_EVENT_RING < s->clock.query) {
		s->stats.stale++;
		return false;
	}
	if (!query_first(s, q))
		return false;
	s->stats.queries++;
	arena_init(&arena, SERF_READ_BYTES);
	if (serf_filters_match(s, &arena, q))
		query_for_us(s, q);
	arena_done(&arena);
	return (q->flags & QUERY_STAY) == 0;
}

int
serf_respond(struct serf *s, nsec now, uint64_t id, struct str payload, struct err *err)
{
	struct ticket *t;
	struct reply r;
	int rc;

	serf_begin(s, now);
	TAILQ_FOREACH (t, &s->tickets, link)
		if (t->id == id)
			break;
	if (t == NULL || t->until < now)
		return err_set(err, ERR_NOT_FOUND, "the query is over or was answered");
	r = (struct reply){ .ltime = t->ltime,
		.wire_id = t->wire_id,
		.to = t->source,
		.node = blob_str(t->node),
		.payload = payload.p == NULL ? STR("") : payload,
		.relay_factor = t->relay_factor };
	rc = reply_send(s, &r, err);
	if (rc < 0) {
		err_wrap(err, "an answer of %zu bytes", payload.n);
		return rc;
	}
	ticket_drop(s, t);
	return 0;
}

/* --- queries of ours --- */

static void
ask_over(struct serf *s, struct ask *a)
{
	struct serf_action *done;

	TAILQ_REMOVE(&s->asks, a, link);
	s->ask_count--;
	if (a->kind == ASK_CONFLICT)
		serf_internal_over(s, a);
	done = a->kind == ASK_CONFLICT ? NULL : serf_act(s, SERF_TELL_DONE);
	if (done != NULL) {
		done->id = a->id;
		done->acks = a->acks.count;
		done->answers = a->answers.count;
		done->expected = a->expected;
	}
	free(a->acks.names);
	free(a->answers.names);
	free(a);
}

static void
ask_tell(
    struct serf *s, const struct ask *a, enum serf_action_kind kind, const struct serf_response *r)
{
	struct serf_action *tell = serf_act(s, kind);

	if (tell == NULL)
		return;
	tell->id = a->id;
	tell->peer_name = arena_dup(&s->out, r->from);
	tell->bytes = arena_dup(&s->out, r->payload);
}

void
serf_response_take(struct serf *s, const struct serf_response *r)
{
	struct ask *a;

	TAILQ_FOREACH (a, &s->asks, link)
		if (a->ltime == r->ltime && a->wire_id == r->id)
			break;
	if (a == NULL) {
		s->stats.stale++;
		return;
	}
	if (!heard_add((r->flags & RESPONSE_ACK) != 0 ? &a->acks : &a->answers, r->from)) {
		s->stats.repeated++;
		return;
	}
	s->stats.answers++;
	if ((r->flags & RESPONSE_ACK) != 0)
		ask_tell(s, a, SERF_TELL_ACK, r);
	else if (a->kind == ASK_AGENT)
		ask_tell(s, a, SERF_TELL_ANSWER, r);
	else
		serf_internal_answer(s, a, r->from, r->payload);
	if (a->kind == ASK_KEYS && a->answers.count >= a->expected)
		ask_over(s, a);
}

static nsec
timeout_default(const struct serf *s)
{
	unsigned digits = 1; /* ceil(log10(n + 1)) */

	for (size_t n = s->count; n > 9; n /= 10)
		digits++;
	return s->config.gossip_interval * 16 * digits;
}

static int
ask_filters(struct arena *arena, const struct serf_ask *ask, struct serf_query *q)
{
	q->filters = arena_array(arena, struct str, ask->filter_count);
	for (size_t i = 0; i < ask->filter_count; i++) {
		uint8_t *room = arena_alloc(arena, SERF_QUERY_SIZE_MAX);
		struct writer w = wr_of(room, room == NULL ? 0 : SERF_QUERY_SIZE_MAX);

		serf_filter_write(&w, &ask->filters[i]);
		if (w.full || q->filters == NULL)
			return ERR_LIMIT;
		q->filters[q->filter_count++] = wr_done(&w);
	}
	return 0;
}

static struct ask *
ask_add(struct serf *s, enum ask_kind kind, const struct serf_query *q)
{
	struct ask *a = mem_new(struct ask);

	*a = (struct ask){ .id = ++s->last_id,
		.ltime = q->ltime,
		.wire_id = q->id,
		.kind = kind,
		.until = s->now + timeout_of(q->timeout_ns),
		.expected = s->state_count[SERF_ALIVE] };
	TAILQ_INSERT_TAIL(&s->asks, a, link);
	s->ask_count++;
	return a;
}

int
serf_ask_start(
    struct serf *s, enum ask_kind kind, const struct serf_ask *ask, uint64_t *id, struct err *err)
{
	uint8_t room[SERF_QUERY_SIZE_MAX];
	struct serf_message m = { .type = SERF_QUERY,
		.u.query = { .ltime = s->clock.query,
		    .id = rng_u32(&s->rng),
		    .flags = ask->ack ? QUERY_ACK : 0,
		    .source = s->self->m.addr,
		    .source_node = s->self->m.name,
		    .name = ask->name,
		    .payload = ask->payload,
		    .payload_nil = ask->payload.p == NULL,
		    .relay_factor = ask->relay_factor,
		    .timeout_ns = ask->timeout > 0 ? ask->timeout : timeout_default(s) } };
	struct arena arena;
	struct str bytes;
	int rc;

	if (s->ask_count >= SERF_ASKS_MAX)
		return err_set(err, ERR_LIMIT, "%d queries are under way", SERF_ASKS_MAX);
	arena_init(&arena, SERF_READ_BYTES);
	rc = ask_filters(&arena, ask, &m.u.query);
	if (rc == 0)
		rc = serf_encode(&m, room, sizeof room, &bytes, NULL);
	if (rc < 0) {
		err_set(err, rc, "the query takes more than %d bytes", SERF_QUERY_SIZE_MAX);
	} else {
		*id = ask_add(s, kind, &m.u.query)->id;
		serf_pass_on(s, SERF_QUERIES, bytes, 0);
		serf_query_take(s, &m.u.query);
	}
	arena_done(&arena);
	return rc;
}

int
serf_query_start(
    struct serf *s, nsec now, const struct serf_ask *ask, uint64_t *id, struct err *err)
{
	serf_begin(s, now);
	if (str_starts(ask->name, STR(SERF_INTERNAL)))
		return err_set(err, ERR_REFUSED,
		    "queries whose names begin with " SERF_INTERNAL " are between agents");
	return serf_ask_start(s, ASK_AGENT, ask, id, err);
}

/* --- time, life --- */

void
serf_queries_tick(struct serf *s)
{
	struct ask *a, *next_a;
	struct ticket *t, *next_t;

	for (a = TAILQ_FIRST(&s->asks); a != NULL; a = next_a) {
		next_a = TAILQ_NEXT(a, link);
		if (a->until <= s->now)
			ask_over(s, a);
	}
	for (t = TAILQ_FIRST(&s->tickets); t != NULL; t = next_t) {
		next_t = TAILQ_NEXT(t, link);
		if (t->until <= s->now)
			ticket_drop(s, t);
	}
}

nsec
serf_queries_deadline(const struct serf *s)
{
	const struct ask *a;
	const struct ticket *t;
	nsec due = NSEC_NEVER;

	TAILQ_FOREACH (a, &s->asks, link)
		due = nsec_min(due, a->until);
	TAILQ_FOREACH (t, &s->tickets, link)
		due = nsec_min(due, t->until);
	return due;
}

void
serf_queries_done(struct serf *s)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(&s->asks)) != NULL) {
		TAILQ_REMOVE(&s->asks, a, link);
		free(a->acks.names);
		free(a->answers.names);
		free(a);
	}
	while (!TAILQ_EMPTY(&s->tickets))
		ticket_drop(s, TAILQ_FIRST(&s->tickets));
	for (size_t i = 0; i < SERF_EVENT_RING; i++)
		free(s->queries[i].ids);
}
