/* gossip/serf.c -- life, clocks, actions, input, push/pull state, time; see serf_private.h. */
#include "gossip/serf.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gossip/serf_private.h"

/* --- actions --- */

void
serf_spend(struct serf *s, struct blob *b)
{
	if (b == NULL)
		return;
	if (s->spent_count == s->spent_room)
		s->spent = mem_grow(s->spent, s->spent_count, &s->spent_room, sizeof *s->spent);
	s->spent[s->spent_count++] = b;
}

static void
serf_spent_free(struct serf *s)
{
	for (size_t i = 0; i < s->spent_count; i++)
		blob_unref(s->spent[i]);
	s->spent_count = 0;
}

void
serf_begin(struct serf *s, nsec now)
{
	s->now = now;
	if (s->action_at < s->action_count)
		return;
	s->action_at = s->action_count = 0;
	arena_reset(&s->out);
	serf_spent_free(s);
}

struct serf_action *
serf_act(struct serf *s, enum serf_action_kind kind)
{
	struct serf_action *a;

	if (s->action_count >= SERF_ACTIONS_MAX) {
		s->stats.dropped++;
		return NULL;
	}
	if (s->action_count == s->action_room)
		s->actions =
		    mem_grow(s->actions, s->action_count, &s->action_room, sizeof *s->actions);
	a = &s->actions[s->action_count++];
	memset(a, 0, sizeof *a);
	a->kind = kind;
	return a;
}

bool
serf_action_next(struct serf *s, struct serf_action *out)
{
	if (s->action_at == s->action_count)
		return false;
	*out = s->actions[s->action_at++];
	return true;
}

void
serf_pass_on(struct serf *s, enum serf_queue queue, struct str bytes, uint64_t id)
{
	struct str copy = bytes.n <= SERF_MESSAGE_MAX ? arena_dup(&s->out, bytes) : STR_NONE;
	struct serf_action *a = copy.n > 0 ? serf_act(s, SERF_DO_BROADCAST) : NULL;

	if (a == NULL) {
		s->stats.dropped++;
		return;
	}
	a->queue = queue;
	a->bytes = copy;
	a->id = id;
}

static bool
serf_is_self(const struct serf *s, const struct addr *a)
{
	return a->port == s->self->m.addr.port && addr_eq_ip(a, &s->self->m.addr);
}

/* To ourselves without the network, so an agent answers its own query also when it is alone. */
void
serf_send_message(struct serf *s, const struct addr *to, struct str name, struct str bytes)
{
	struct serf_action *a;
	struct str copy;

	if (serf_is_self(s, to)) {
		serf_message(s, to, bytes, true, NULL);
		return;
	}
	copy = arena_dup(&s->out, bytes);
	a = copy.n > 0 ? serf_act(s, SERF_DO_SEND) : NULL;
	if (a == NULL) {
		s->stats.dropped++;
		return;
	}
	a->peer = *to;
	a->peer_name = arena_dup(&s->out, name);
	a->bytes = copy;
}

int
serf_encode(
    const struct serf_message *m, uint8_t *room, size_t max, struct str *out, struct err *err)
{
	struct writer w = wr_of(room, max);

	serf_write(&w, m);
	if (w.full)
		return err_set(err, ERR_LIMIT, "the message takes more than %zu bytes", max);
	*out = wr_done(&w);
	return 0;
}

/* --- clocks (Lamport 1978) --- */

bool
serf_witness(struct serf *s, uint64_t *clock, uint64_t ltime)
{
	if (ltime >= SERF_LTIME_MAX) {
		s->stats.dropped++;
		return false;
	}
	if (ltime >= *clock)
		*clock = ltime + 1;
	return true;
}

struct serf_clocks
serf_clocks(const struct serf *s)
{
	return s->clock;
}

/* --- life --- */

static void
serf_defaults(struct serf_config *c)
{
	if (c->gossip_interval <= 0)
		c->gossip_interval = 200 * NSEC_MS;
	if (c->reap_failed <= 0)
		c->reap_failed = SERF_REAP;
	if (c->reap_left <= 0)
		c->reap_left = SERF_REAP;
	if (c->leave_wait <= 0)
		c->leave_wait = 5 * NSEC_SEC;
	if (c->members_max == 0)
		c->members_max = SERF_TABLE_MAX;
}

struct serf *
serf_new(const struct serf_config *config, uint64_t seed, nsec now)
{
	struct serf *s = mem_new(struct serf);

	assert(config->name.n > 0 && config->name.n <= WIRE_NAME_MAX);
	assert(config->meta.n <= WIRE_META_MAX && config->advertise.family != ADDR_NONE);
	s->config = *config;
	serf_defaults(&s->config);
	s->now = now;
	s->clock = (struct serf_clocks){ 1, 1, 1 };
	serf_witness(s, &s->clock.member, config->clocks.member);
	serf_witness(s, &s->clock.event, config->clocks.event);
	serf_witness(s, &s->clock.query, config->clocks.query);
	rng_init(&s->rng, seed);
	s->last_id = 0;
	s->event_min = config->clocks.event; /* what the last life has seen */
	s->leave_until = s->leaving_next = NSEC_NEVER;
	s->reconnect_next = now + SERF_RECONNECT;
	s->conflict_next = now;
	arena_init(&s->out, SERF_ACTION_BYTES);
	TAILQ_INIT(&s->asks);
	TAILQ_INIT(&s->tickets);
	serf_members_init(s);
	return s;
}

void
serf_free(struct serf *s)
{
	if (s == NULL)
		return;
	serf_members_done(s);
	serf_events_done(s);
	serf_queries_done(s);
	serf_spent_free(s);
	free(s->spent);
	free(s->actions);
	arena_done(&s->out);
	free(s);
}

/* --- input --- */

/* Only answers are relayed, so nobody makes us carry a message that is then carried on. */
static void
serf_relay_take(struct serf *s, const struct serf_relay *relay)
{
	if (relay->inner.n == 0 || relay->inner.n > SERF_QUERY_SIZE_MAX ||
	    (uint8_t)relay->inner.p[0] != SERF_QUERY_RESPONSE) {
		s->stats.dropped++;
		return;
	}
	s->stats.relayed++;
	serf_send_message(s, &relay->dest, relay->dest_name, relay->inner);
}

static void
serf_delta_take(
    struct serf *s, const struct addr *from, enum serf_action_kind kind, struct str bytes)
{
	struct str copy = arena_dup(&s->out, bytes);
	struct serf_action *a = copy.p != NULL ? serf_act(s, kind) : NULL;

	if (a == NULL) {
		s->stats.dropped++;
		return;
	}
	a->peer = *from;
	a->bytes = copy;
}

static int
serf_dispatch(struct serf *s, const struct addr *from, struct str bytes,
    const struct serf_message *m, bool inner, struct err *err)
{
	switch (m->type) {
	case SERF_LEAVE:
	case SERF_JOIN:
		if (serf_intent(s, &m->u.intent, m->type == SERF_LEAVE))
			serf_pass_on(s, SERF_INTENTS, bytes, 0);
		return 0;
	case SERF_USER_EVENT:
		if (serf_event_take(s, &m->u.event))
			serf_pass_on(s, SERF_EVENTS, bytes, 0);
		return 0;
	case SERF_QUERY:
		if (serf_query_take(s, &m->u.query))
			serf_pass_on(s, SERF_QUERIES, bytes, 0);
		return 0;
	case SERF_QUERY_RESPONSE:
		serf_response_take(s, &m->u.response);
		return 0;
	case SERF_RELAY:
		if (!inner)
			serf_relay_take(s, &m->u.relay);
		return 0;
	case SERF_MUSTER:
		serf_delta_take(s, from, SERF_TELL_DELTA, m->u.muster);
		return 0;
	default:
		s->stats.malformed++;
		return err_set(err, ERR_INPUT, "a serf message of type %d by itself", m->type);
	}
}

int
serf_message(struct serf *s, const struct addr *from, struct str bytes, bool inner, struct err *err)
{
	struct serf_message m;
	struct arena arena;
	int rc;

	arena_init(&arena, SERF_READ_BYTES);
	rc = serf_read(&arena, bytes, &m, err);
	if (rc < 0)
		s->stats.malformed++;
	else
		rc = serf_dispatch(s, from, bytes, &m, inner, err);
	arena_done(&arena);
	return rc;
}

int
serf_input(struct serf *s, nsec now, const struct addr *from, struct str bytes, struct err *err)
{
	serf_begin(s, now);
	return serf_message(s, from, bytes, false, err);
}

/* --- push/pull state --- */

/* Who left, with those who were pruned: a peer that missed the intent has them as failed still. */
static void
serf_state_members(const struct serf *s, struct arena *arena, struct serf_push_pull *out)
{
	size_t most = s->count + s->pruned_count;
	struct serf_member m = { 0 };
	const struct intent *i;

	out->status = arena_array(arena, struct serf_status, most);
	out->left = arena_array(arena, struct str, most);
	if (out->status == NULL || out->left == NULL)
		return;
	while (serf_member_next(s, m.name, &m)) {
		out->status[out->status_count++] = (struct serf_status){ m.name, m.ltime };
		/* Not with the time of its new join: that leave would be newer than it. */
		if (m.state == SERF_LEFT && !serf_members_find(s, m.name)->rejoins)
			out->left[out->left_count++] = m.name;
	}
	TAILQ_FOREACH (i, &s->pruned, by_age) {
		if (!i->leave)
			continue;
		out->status[out->status_count++] =
		    (struct serf_status){ blob_str(i->name), i->ltime };
		out->left[out->left_count++] = blob_str(i->name);
	}
}

void
serf_state_write(struct serf *s, struct str digest, struct buf *out)
{
	struct serf_message m = { .type = SERF_PUSH_PULL,
		.u.push_pull = { .ltime = s->clock.member,
		    .event_ltime = s->clock.event,
		    .query_ltime = s->clock.query,
		    .muster = digest } };
	size_t room = 4096 + digest.n + s->event_bytes;
	struct writer w;
	struct arena arena;
	char *p;

	arena_init(&arena, SERF_STATE_BYTES);
	serf_state_members(s, &arena, &m.u.push_pull);
	serf_events_list(s, &arena, &m.u.push_pull);
	for (size_t i = 0; i < m.u.push_pull.status_count; i++)
		room += 2 * m.u.push_pull.status[i].node.n + 32;
	for (size_t i = 0; i < m.u.push_pull.slot_count; i++)
		room += 64 + 64 * m.u.push_pull.slots[i].count;
	p = buf_reserve(out, room);
	if (p != NULL) {
		w = wr_of(p, room);
		serf_write(&w, &m);
		assert(!w.full);
		buf_commit(out, w.pos);
	}
	arena_done(&arena);
}

static int
status_cmp(const void *a, const void *b)
{
	return str_cmp(
	    ((const struct serf_status *)a)->node, ((const struct serf_status *)b)->node);
}

/* Left members first, as leave intents that are newer by one, then all the others as joins. Unlike
 * serf we do not believe them of who is alive: with one more at each telling such a leave outruns
 * any join, and the member's next death would count as a leave. When it did leave, SWIM will say
 * so. Nor is there anything to learn of whom we know as left. */
static void
serf_state_intents(struct serf *s, struct arena *arena, const struct serf_push_pull *p)
{
	bool *gone = arena_array(arena, bool, p->status_count);

	if (p->status_count > 0 && gone == NULL)
		return;
	if (p->status_count > 0)
		qsort(p->status, p->status_count, sizeof *p->status, status_cmp);
	for (size_t i = 0; i < p->left_count; i++) {
		struct serf_status key = { p->left[i], 0 };
		const struct serf_status *at =
		    p->status_count == 0
			? NULL
			: bsearch(&key, p->status, p->status_count, sizeof key, status_cmp);
		uint64_t ltime = at == NULL ? 0 : at->ltime;
		const struct member *m;
		struct serf_intent in = { .ltime = ltime + (ltime < UINT64_MAX),
			.node = p->left[i] };

		if (at != NULL)
			gone[at - p->status] = true;
		m = serf_members_find(s, p->left[i]);
		if (m != NULL &&
		    (m == s->self || (m->m.state != SERF_ALIVE && m->m.state != SERF_LEFT)))
			serf_intent(s, &in, true);
	}
	for (size_t i = 0; i < p->status_count; i++) {
		struct serf_intent in = { .ltime = p->status[i].ltime, .node = p->status[i].node };

		if (!gone[i])
			serf_intent(s, &in, false);
	}
}

static void
serf_state_events(struct serf *s, const struct serf_push_pull *p)
{
	for (size_t i = 0; i < p->slot_count; i++) {
		for (size_t k = 0; k < p->slots[i].count; k++) {
			struct serf_event e = p->slots[i].events[k];

			e.ltime = p->slots[i].ltime;
			serf_event_take(s, &e);
		}
	}
}

static void
serf_state_take(struct serf *s, struct arena *arena, bool join, const struct serf_push_pull *p)
{
	if (p->ltime > 0)
		serf_witness(s, &s->clock.member, p->ltime - 1);
	if (p->event_ltime > 0)
		serf_witness(s, &s->clock.event, p->event_ltime - 1);
	if (p->query_ltime > 0)
		serf_witness(s, &s->clock.query, p->query_ltime - 1);
	serf_state_intents(s, arena, p);
	if (join && !s->config.replay && p->event_ltime > s->event_min &&
	    p->event_ltime < SERF_LTIME_MAX)
		s->event_min = p->event_ltime;
	serf_state_events(s, p);
}

int
serf_state_merge(
    struct serf *s, nsec now, const struct addr *from, bool join, struct str bytes, struct err *err)
{
	struct serf_message m;
	struct arena arena;
	int rc = 0;

	serf_begin(s, now);
	if (bytes.n == 0)
		return 0;
	arena_init(&arena, SERF_STATE_BYTES);
	if ((uint8_t)bytes.p[0] != SERF_PUSH_PULL)
		rc = err_set(err, ERR_INPUT, "a push/pull state of type %d", (uint8_t)bytes.p[0]);
	else
		rc = serf_read(&arena, bytes, &m, err);
	if (rc < 0) {
		s->stats.malformed++;
	} else {
		serf_state_take(s, &arena, join, &m.u.push_pull);
		if (m.u.push_pull.muster.n > 0)
			serf_delta_take(s, from, SERF_TELL_DIGEST, m.u.push_pull.muster);
	}
	arena_done(&arena);
	return rc;
}

/* --- time --- */

void
serf_tick(struct serf *s, nsec now)
{
	serf_begin(s, now);
	serf_members_tick(s);
	serf_queries_tick(s);
}

nsec
serf_deadline(const struct serf *s)
{
	return nsec_min(serf_members_deadline(s), serf_queries_deadline(s));
}

struct serf_stats
serf_stats(const struct serf *s)
{
	return s->stats;
}

const char *
serf_state_name(enum serf_state state)
{
	static const char *const names[] = { "none", "alive", "leaving", "left", "failed" };

	return names[state];
}

const char *
serf_news_name(enum serf_news news)
{
	static const char *const names[] = { "member-join", "member-leave", "member-failed",
		"member-update", "member-reap" };

	return names[news];
}
