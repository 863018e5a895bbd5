/* agent/pool/pool_serf.c -- what serf does; leaving. */
#include "agent/pool/pool_priv.h"

/* What the agent is told. */

static void
pool_event(struct pool *p, const struct serf_event *e)
{
	struct pool_action *a = pool_act(p, POOL_EVENT);

	if (a == NULL)
		return;
	a->event = *e;
	a->event.name = arena_dup(&p->out, e->name);
	a->event.payload = arena_dup(&p->out, e->payload);
}

static void
pool_answer(struct pool *p, const struct serf_action *s)
{
	struct pool_action *a = pool_act(p, POOL_ANSWER);

	if (a == NULL)
		return;
	a->id = s->id;
	a->name = arena_dup(&p->out, s->peer_name);
	a->bytes = arena_dup(&p->out, s->bytes);
}

static void
pool_keys_answer(struct pool *p, const struct serf_action *s)
{
	struct str *keys = arena_array(&p->out, struct str, s->keys.key_count);
	struct pool_action *a = pool_act(p, POOL_KEYS);

	if (a == NULL)
		return;
	a->id = s->id;
	a->name = arena_dup(&p->out, s->peer_name);
	a->keys = s->keys;
	a->keys.message = arena_dup(&p->out, s->keys.message);
	a->keys.primary = arena_dup(&p->out, s->keys.primary);
	a->keys.keys = keys;
	if (keys == NULL)
		a->keys.key_count = 0;
	for (size_t i = 0; i < a->keys.key_count; i++)
		keys[i] = arena_dup(&p->out, s->keys.keys[i]);
}

static void
pool_query_over(struct pool *p, const struct serf_action *s)
{
	enum pool_action_kind kind = POOL_DONE;
	struct pool_action *a;

	for (size_t i = 0; i < p->key_query_count; i++) {
		if (p->key_queries[i] != s->id)
			continue;
		p->key_queries[i] = p->key_queries[--p->key_query_count];
		kind = POOL_KEYS_DONE;
		break;
	}
	a = pool_act(p, kind);
	if (a == NULL)
		return;
	a->id = s->id;
	a->answers = s->answers;
	a->expected = s->expected;
}

/* What goes out. */

static void
pool_broadcast(struct pool *p, const struct serf_action *s)
{
	enum swim_queue queue = s->queue == SERF_INTENTS   ? SWIM_INTENTS
				: s->queue == SERF_QUERIES ? SWIM_QUERIES
							   : SWIM_EVENTS;

	if (p->leaving && s->id != 0) /* who hears of the leave first takes it for a death */
		pool_tell_all(p, s->bytes);
	if (swim_broadcast_in(p->swim, p->now.mono, queue, s->bytes, s->id, NULL) < 0 && s->id != 0)
		serf_broadcast_done(p->serf, p->now.mono, s->id);
}

static void
pool_serf_act(struct pool *p, const struct serf_action *a)
{
	switch (a->kind) {
	case SERF_DO_BROADCAST:
		pool_broadcast(p, a);
		break;
	case SERF_DO_SEND:
		swim_send(p->swim, p->now.mono, &a->peer, a->bytes);
		break;
	case SERF_DO_META:
		swim_meta_set(p->swim, p->now.mono, a->bytes);
		break;
	case SERF_DO_FORGET:
		swim_forget(p->swim, p->now.mono, a->peer_name);
		break;
	case SERF_DO_RECONNECT:
		pool_pull_open(p, &a->peer, true);
		break;
	case SERF_DO_LEAVE:
		p->leave_by = p->now.mono + POOL_LEAVE_MAX;
		p->gone = true;
		swim_leave(p->swim, p->now.mono);
		break;
	case SERF_DO_KEYS_SAVE:
		pool_act(p, POOL_KEYS_SAVE);
		break;
	case SERF_TELL_MEMBER:
		pool_member_news(p, a->news, &a->member);
		break;
	case SERF_TELL_EVENT:
		pool_event(p, &a->event);
		break;
	case SERF_TELL_ANSWER:
		pool_answer(p, a);
		break;
	case SERF_TELL_KEYS:
		pool_keys_answer(p, a);
		break;
	case SERF_TELL_DONE:
		pool_query_over(p, a);
		break;
	case SERF_TELL_CONFLICT:
		pool_log(p, LOG_LEVEL_WARN, STR_FMT, STR_ARG(a->bytes));
		break;
	case SERF_TELL_DELTA:
		spread_input(p->spread, p->now, a->bytes);
		break;
	case SERF_TELL_DIGEST:
		spread_digest_read(p->spread, p->now, a->bytes);
		break;
	case SERF_TELL_QUERY: /* nothing here answers queries */
	case SERF_TELL_ACK:
		break;
	}
}

bool
pool_serf_drain(struct pool *p)
{
	struct serf_action a;
	bool any = false;

	for (; serf_action_next(p->serf, &a); any = true)
		pool_serf_act(p, &a);
	return any;
}

/* Leaving: the intent spreads (serf), then the leave itself (SWIM); then we still answer for a
 * moment, so that nobody suspects a member that has left. Nobody there: no moment. */

void
pool_leave_check(struct pool *p)
{
	bool alone = p->muster_alive + p->plain_alive == 0;

	if (!p->gone || p->left)
		return;
	if (p->left_at == NSEC_NEVER && (swim_leave_done(p->swim) || p->leave_by <= p->now.mono))
		p->left_at = p->now.mono + (alone ? 0 : POOL_LINGER);
	if (p->left_at > p->now.mono)
		return;
	p->left = true;
	pool_act(p, POOL_LEFT);
}

nsec
pool_leave_deadline(const struct pool *p)
{
	if (!p->gone || p->left)
		return NSEC_NEVER;
	return nsec_min(p->left_at, p->leave_by);
}
