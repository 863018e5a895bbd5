/* gossip/swim.c -- life, input, time, actions, what others may ask; see swim_priv.h for the rest.
 *
 * Every call that feeds stands between swim_begin(), which notices that we stood still and forgets
 * the actions that were drained, and swim_end(), which finds the next deadline.
 */
#include "gossip/swim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gossip/frame.h"
#include "gossip/swim_priv.h"

const struct swim_profile swim_lan = {
	.probe_interval = NSEC_SEC,
	.probe_timeout = 500 * NSEC_MS,
	.gossip_interval = 200 * NSEC_MS,
	.pushpull_interval = 30 * NSEC_SEC,
	.gossip_to_dead = 30 * NSEC_SEC,
	.dead_reclaim = 30 * NSEC_SEC,
	.touch_interval = 400 * NSEC_MS,
	.indirect_checks = 3,
	.gossip_nodes = 3,
	.retransmit_mult = 4,
	.suspicion_mult = 4,
	.suspicion_max_mult = 6,
	.awareness_max = 8,
};

const struct swim_profile swim_local = {
	.probe_interval = NSEC_SEC,
	.probe_timeout = 200 * NSEC_MS,
	.gossip_interval = 100 * NSEC_MS,
	.pushpull_interval = 15 * NSEC_SEC,
	.gossip_to_dead = 15 * NSEC_SEC,
	.dead_reclaim = 15 * NSEC_SEC,
	.touch_interval = 400 * NSEC_MS,
	.indirect_checks = 1,
	.gossip_nodes = 3,
	.retransmit_mult = 2,
	.suspicion_mult = 3,
	.suspicion_max_mult = 6,
	.awareness_max = 8,
};

#define SWIM_MESSAGE_BYTES_MAX (1024 * 1024) /* memory for reading one datagram */

/* Life. */

static void
swim_own(struct str *s)
{
	*s = str_mem(str_dup(*s), s->n);
}

static void
swim_disown(struct str *s)
{
	free((void *)(uintptr_t)s->p);
	*s = STR_NONE;
}

static nsec
swim_stagger(struct swim *s, nsec now, nsec interval)
{
	return now + (nsec)(rng_u64(&s->rng) % (uint64_t)(interval < 1 ? 1 : interval));
}

static void
swim_timers_start(struct swim *s, nsec now)
{
	const struct swim_profile *p = &s->config.profile;

	s->probe_next = swim_stagger(s, now, p->probe_interval);
	s->gossip_next = swim_stagger(s, now, p->gossip_interval);
	s->pushpull_next = swim_stagger(s, now, p->pushpull_interval);
	s->touch_next = swim_stagger(s, now, p->touch_interval);
	s->last = now;
	s->merge_wait = p->pushpull_interval;
	s->gossip_early = s->suspect_next = NSEC_NEVER;
	s->gossip_last = now - NSEC_SEC;
}

struct swim *
swim_new(const struct swim_config *config, uint64_t seed, nsec now)
{
	struct swim *s = mem_new(struct swim);

	assert(config->name.n > 0 && config->name.n <= WIRE_NAME_MAX);
	assert(config->meta.n <= WIRE_META_MAX && config->advertise.family != ADDR_NONE);
	assert(config->overhead <= WIRE_PACKET_BUDGET / 4);
	s->config = *config;
	s->config.name = s->config.meta = STR_NONE; /* from here on in self */
	if (s->config.members_max == 0)
		s->config.members_max = SWIM_MEMBERS_MAX;
	rng_init(&s->rng, seed);
	s->seq = rng_u32(&s->rng) / 2; /* a late ack to our last life must not fit */
	s->awareness.max = config->profile.awareness_max;
	arena_init(&s->out, SWIM_ACTION_BYTES_MAX);
	arena_init(&s->in, SWIM_MESSAGE_BYTES_MAX);
	TAILQ_INIT(&s->probes);
	TAILQ_INIT(&s->relays);
	for (unsigned q = 0; q < SWIM_QUEUES; q++)
		s->queues[q] = broadcast_new(SWIM_QUEUE_MAX);
	swim_table_init(s);
	swim_timers_start(s, now);
	s->self = swim_table_add(s, config->name, &config->advertise);
	swim_table_meta(s->self, config->meta);
	s->self->vsn = config->vsn.pmax == 0 ? wire_vsn_ours : config->vsn;
	swim_claim_self(s, now);
	swim_end(s, now);
	return s;
}

void
swim_free(struct swim *s)
{
	if (s == NULL)
		return;
	swim_probe_done(s);
	swim_table_done(s);
	for (unsigned q = 0; q < SWIM_QUEUES; q++)
		broadcast_free(s->queues[q]);
	swim_disown(&s->payload);
	arena_done(&s->out);
	arena_done(&s->in);
	free(s->actions);
	free(s);
}

/* Time. */

/* Late by more than a scheduler would be: this process stood still, and its clocks say nothing
 * about the others. What they sent meanwhile may be lost, so ask somebody. */
static void
swim_late(struct swim *s, nsec now, nsec lost)
{
	swim_note(s, "stood still for %lld ms", (long long)(lost / NSEC_MS));
	swim_probe_shift(s, lost);
	swim_claim_shift(s, lost);
	awareness_add(&s->awareness, 1);
	if (lost >= s->config.profile.probe_interval)
		s->pushpull_next = now;
}

void
swim_begin(struct swim *s, nsec now)
{
	nsec due = swim_deadline(s);

	if (s->action_at == s->action_count) {
		s->action_at = s->action_count = 0;
		arena_reset(&s->out);
	}
	if (due < s->last)
		due = s->last; /* noticed before, or it comes to it later */
	if (now - due > SWIM_LATE)
		swim_late(s, now, now - due);
	s->last = now;
}

void
swim_end(struct swim *s, nsec now)
{
	nsec interval = s->config.profile.touch_interval;

	swim_claim_deadline_find(s);
	if (s->node_count < 2 && s->buried_count == 0) /* nobody to touch */
		s->touch_next = now + interval;
}

static void
swim_round_tick(struct swim *s, nsec now)
{
	nsec interval = s->config.profile.probe_interval;

	if (s->probe_next > now)
		return;
	s->probe_next += interval;
	if (s->probe_next <= now)
		s->probe_next = now + interval;
	swim_probe_round(s, now);
}

void
swim_tick(struct swim *s, nsec now)
{
	swim_begin(s, now);
	swim_probe_tick(s, now);
	swim_claim_expire(s, now);
	swim_round_tick(s, now);
	swim_merge_tick(s, now);
	swim_gossip_tick(s, now);
	swim_end(s, now);
}

nsec
swim_deadline(const struct swim *s)
{
	nsec next = nsec_min(s->probe_next, s->pushpull_next);

	next = nsec_min(next, s->suspect_next);
	next = nsec_min(next, swim_probe_deadline(s));
	return nsec_min(next, swim_gossip_deadline(s));
}

/* Input. */

static void
swim_user_in(struct swim *s, const struct addr *from, struct str bytes)
{
	struct swim_action *a = swim_act(s, SWIM_USER);

	if (a == NULL)
		return;
	a->peer = *from;
	a->bytes = arena_dup(&s->out, bytes);
}

static void
swim_message_in(struct swim *s, nsec now, const struct addr *from, struct str bytes)
{
	struct wire_message m;

	if (wire_read(&s->in, bytes, &m, NULL) != 0) {
		s->stats.malformed++;
		return;
	}
	switch (m.type) {
	case WIRE_PING:
		swim_probe_ping_in(s, now, from, &m.u.ping);
		break;
	case WIRE_INDIRECT_PING:
		swim_probe_indirect_in(s, now, from, &m.u.indirect);
		break;
	case WIRE_ACK:
		swim_probe_ack_in(s, now, from, &m.u.ack);
		break;
	case WIRE_NACK:
		swim_probe_nack_in(s, now, &m.u.nack);
		break;
	case WIRE_SUSPECT:
		swim_claim_suspect(s, now, &m.u.claim, from);
		break;
	case WIRE_ALIVE:
		swim_claim_alive(s, now, &m.u.alive, false);
		break;
	case WIRE_DEAD:
		swim_claim_dead(s, now, &m.u.claim, from);
		break;
	case WIRE_USER:
		swim_user_in(s, from, m.u.user);
		break;
	default:
		s->stats.malformed++; /* has no business in a datagram */
		break;
	}
}

void
swim_input(struct swim *s, nsec now, const struct addr *from, struct str message)
{
	struct frame_walk walk;
	struct str one;

	swim_begin(s, now);
	s->stats.packets_in++;
	arena_reset(&s->in);
	frame_walk_init(&walk, &s->in, message);
	while (frame_walk_next(&walk, &one))
		swim_message_in(s, now, from, one);
	s->stats.malformed += walk.truncated + walk.refused;
	swim_gossip_heard(s, now, from);
	swim_end(s, now);
}

/* Actions. */

struct swim_action *
swim_act(struct swim *s, enum swim_action_kind kind)
{
	struct swim_action *a;

	if (s->out.full) { /* nobody drains */
		s->stats.dropped++;
		return NULL;
	}
	s->actions = mem_grow(s->actions, s->action_count, &s->action_cap, sizeof *s->actions);
	a = &s->actions[s->action_count++];
	memset(a, 0, sizeof *a);
	a->kind = kind;
	return a;
}

bool
swim_action_next(struct swim *s, struct swim_action *out)
{
	if (s->action_at == s->action_count)
		return false;
	*out = s->actions[s->action_at++];
	return true;
}

void
swim_note(struct swim *s, const char *fmt, ...)
{
	struct swim_action *a;
	char line[1024];
	va_list ap;
	int n;

	if (!s->config.notes || (a = swim_act(s, SWIM_NOTE)) == NULL)
		return;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n > 0)
		a->bytes = arena_dup(&s->out, str_of(line));
}

/* What others may ask. */

void
swim_payload_set(struct swim *s, struct str payload)
{
	struct str old = s->payload;

	s->payload = payload;
	swim_own(&s->payload);
	swim_disown(&old);
}

void
swim_member_of(const struct node *n, struct swim_member *out)
{
	*out = (struct swim_member){
		.name = n->name,
		.meta = n->meta,
		.addr = n->addr,
		.vsn = n->vsn,
		.incarnation = n->incarnation,
		.state = n->state,
		.since = n->since,
	};
}

size_t
swim_count(const struct swim *s)
{
	return s->node_count;
}

size_t
swim_buried(const struct swim *s)
{
	return s->buried_count;
}

bool
swim_member_next(const struct swim *s, size_t *cursor, struct swim_member *out)
{
	if (*cursor >= s->node_count)
		return false;
	swim_member_of(s->nodes[(*cursor)++], out);
	return true;
}

bool
swim_member_find(const struct swim *s, struct str name, struct swim_member *out)
{
	const struct node *n = swim_table_find(s, name);

	if (n == NULL || n->buried)
		return false;
	swim_member_of(n, out);
	return true;
}

unsigned
swim_awareness(const struct swim *s)
{
	return s->awareness.score;
}

struct swim_stats
swim_stats(const struct swim *s)
{
	return s->stats;
}
