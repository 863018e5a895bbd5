/* gossip/swim_gossip.c -- packets, and what rides on them.
 *
 * Parts: packets; the queues; rounds of gossip; touches; nudges.
 *
 * Every packet to a member is filled with queued messages, membership's first, up to the budget.
 * A round of gossip is a few packets with nothing else in them to random members: one per tick
 * while anything is queued, and a few ahead of the tick when something is new.
 */
#include <string.h>

#include "gossip/swim_priv.h"

/* Packets. */

size_t
swim_gossip_room(const struct swim *s) /* type and count of a compound apart */
{
	return WIRE_PACKET_BUDGET - 2 - s->config.overhead;
}

static unsigned
swim_gossip_limit(const struct swim *s, unsigned queue)
{
	/* memberlist counts its table, serf also those that failed or left before. */
	size_t n = s->node_count + (queue == SWIM_MEMBERSHIP ? 0 : s->buried_count);

	return broadcast_limit(s->config.profile.retransmit_mult, n);
}

/* Adds what is queued to the parts there are. */
static size_t
swim_gossip_fill(struct swim *s, struct str *parts, size_t count, size_t room)
{
	for (unsigned q = 0; q < SWIM_QUEUES; q++)
		count += broadcast_take(
		    s->queues[q], &room, parts + count, WIRE_COMPOUND_SEND_MAX - count);
	return count;
}

static void
swim_gossip_filled(struct swim *s)
{
	uint64_t id;

	for (unsigned q = 0; q < SWIM_QUEUES; q++)
		broadcast_sent(s->queues[q], swim_gossip_limit(s, q));
	while (broadcast_done_next(s->queues[SWIM_MEMBERSHIP], &id))
		s->left = true; /* our leave is the only one that asks */
}

static void
swim_gossip_emit(struct swim *s, const struct addr *to, const struct node *n,
    const struct str *parts, size_t count)
{
	struct swim_action *a = swim_act(s, SWIM_SEND);
	size_t size = 2;
	struct writer w;
	uint8_t *room;

	if (a == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		size += BROADCAST_PART + parts[i].n;
	room = arena_alloc(&s->out, size);
	if (room == NULL) {
		s->action_count--;
		s->stats.dropped++;
		return;
	}
	w = wr_of(room, size);
	if (count == 1)
		wr_bytes(&w, parts[0]);
	else
		wire_compound_write(&w, parts, count);
	a->peer = *to;
	a->bytes = wr_done(&w);
	a->crc = n != NULL && n->vsn.pmax >= 5;
	s->stats.packets_out++;
	s->stats.bytes_out += a->bytes.n;
}

#define SWIM_GIVEN_MAX 2

/* What rides along goes to members only: a forged source must not be flooded by us. */
static void
swim_gossip_send_parts(struct swim *s, const struct addr *to, const struct node *n,
    struct str *parts, size_t count, bool fill)
{
	size_t room = swim_gossip_room(s);

	for (size_t i = 0; i < count; i++) {
		size_t part = parts[i].n + BROADCAST_PART;

		room -= part < room ? part : room;
	}
	if (fill && n != NULL && !n->buried && n->state != SWIM_LEFT)
		count = swim_gossip_fill(s, parts, count, room);
	swim_gossip_emit(s, to, n, parts, count);
	swim_gossip_filled(s);
}

void
swim_gossip_send(struct swim *s, nsec now, const struct addr *to, const struct node *n,
    const struct wire_message *messages, size_t count, bool fill)
{
	uint8_t bytes[SWIM_GIVEN_MAX * WIRE_PACKET_BUDGET];
	struct str parts[WIRE_COMPOUND_SEND_MAX];
	struct writer w = wr_of(bytes, sizeof bytes);

	(void)now;
	for (size_t i = 0; i < count && i < SWIM_GIVEN_MAX; i++) {
		size_t at = w.pos;

		wire_write(&w, &messages[i]);
		parts[i] = str_mem(bytes + at, w.pos - at);
	}
	if (w.full) {
		s->stats.dropped++;
		return;
	}
	swim_gossip_send_parts(s, to, n, parts, count, fill);
}

/* Nothing rides along: whom the upper layer talks to is not chosen at random, and a message's
 * few sends would be spent on one who just told it. */
int
swim_send(struct swim *s, nsec now, const struct addr *peer, struct str user)
{
	uint8_t bytes[WIRE_PACKET_BUDGET];
	struct str parts[WIRE_COMPOUND_SEND_MAX];
	struct writer w = wr_of(bytes, sizeof bytes);

	wr_u8(&w, WIRE_USER);
	wr_bytes(&w, user);
	parts[0] = wr_done(&w);
	if (w.full || parts[0].n > swim_gossip_room(s)) {
		s->stats.dropped++;
		return ERR_LIMIT;
	}
	swim_begin(s, now);
	swim_gossip_send_parts(s, peer, swim_table_first_at(s, peer), parts, 1, false);
	swim_end(s, now);
	return 0;
}

/* The queues. */

static bool
swim_gossip_pending(const struct swim *s)
{
	if (s->node_count < 2)
		return false;
	for (unsigned q = 0; q < SWIM_QUEUES; q++)
		if (broadcast_count(s->queues[q]) > 0)
			return true;
	return false;
}

/* Something new: the first packets with it leave now, if the tick's share of early rounds is not
 * used up. */
static void
swim_gossip_wake(struct swim *s, nsec now)
{
	nsec interval = s->config.profile.gossip_interval;

	if (s->gossip_next < now) { /* it slept */
		s->gossip_next += (now - s->gossip_next + interval - 1) / interval * interval;
		s->early_left = SWIM_EARLY_MAX;
	}
	if (s->early_left == 0 || s->gossip_early != NSEC_NEVER)
		return;
	s->gossip_early = s->gossip_last + SWIM_EARLY_GAP;
	if (s->gossip_early < now)
		s->gossip_early = now;
}

void
swim_gossip_queue(struct swim *s, nsec now, unsigned queue, struct str name,
    const struct wire_message *m, uint64_t done_id)
{
	uint8_t bytes[WIRE_PACKET_BUDGET];
	struct writer w = wr_of(bytes, swim_gossip_room(s) - BROADCAST_PART);

	wire_write(&w, m);
	if (w.full) { /* it would stay queued for ever */
		s->stats.dropped++;
		return;
	}
	broadcast_add(s->queues[queue], name, wr_done(&w), done_id);
	swim_gossip_wake(s, now);
}

int
swim_broadcast_in(struct swim *s, nsec now, enum swim_queue queue, struct str bytes,
    uint64_t done_id, struct err *err)
{
	struct wire_message m = { .type = WIRE_USER };
	size_t max = swim_gossip_room(s) - BROADCAST_PART - 1;

	if (bytes.n > max)
		return err_set(
		    err, ERR_LIMIT, "%zu bytes do not fit a packet: at most %zu", bytes.n, max);
	swim_begin(s, now);
	m.u.user = bytes;
	swim_gossip_queue(s, now, SWIM_MEMBERSHIP + 1 + queue, STR_NONE, &m, done_id);
	swim_end(s, now);
	return 0;
}

int
swim_broadcast(struct swim *s, nsec now, struct str bytes, uint64_t done_id, struct err *err)
{
	return swim_broadcast_in(s, now, SWIM_EVENTS, bytes, done_id, err);
}

bool
swim_broadcast_done(struct swim *s, uint64_t *done_id)
{
	for (unsigned q = SWIM_MEMBERSHIP + 1; q < SWIM_QUEUES; q++)
		if (broadcast_done_next(s->queues[q], done_id))
			return true;
	return false;
}

/* Rounds of gossip. */

static bool
swim_gossip_suits(const struct swim *s, nsec now, const struct node *n)
{
	if (n->state == SWIM_DEAD)
		return now - n->since <= s->config.profile.gossip_to_dead;
	return n->state <= SWIM_SUSPECT;
}

#define SWIM_TARGETS_MAX 16

static void
swim_gossip_round(struct swim *s, nsec now)
{
	struct node *targets[SWIM_TARGETS_MAX];
	size_t max = s->config.profile.gossip_nodes, count;

	s->gossip_last = now;
	count = swim_table_pick(s, now, swim_gossip_suits, NULL, targets,
	    max < SWIM_TARGETS_MAX ? max : SWIM_TARGETS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct str parts[WIRE_COMPOUND_SEND_MAX];
		size_t n = swim_gossip_fill(s, parts, 0, swim_gossip_room(s));

		if (n == 0)
			return;
		swim_gossip_emit(s, &targets[i]->addr, targets[i], parts, n);
		swim_gossip_filled(s);
	}
}

/* Touches: so that the host of a dead process can refuse something soon; and buried members that
 * live after all, behind a link that is back, hear from us. */

static struct node *
swim_gossip_touch_buried(struct swim *s)
{
	size_t skip = s->touches / SWIM_TOUCH_BURIED % s->buried_count;
	struct node *n = TAILQ_FIRST(&s->buried);

	while (skip-- > 0)
		n = TAILQ_NEXT(n, link);
	return n->state == SWIM_DEAD ? n : NULL;
}

static struct node *
swim_gossip_touch_next(struct swim *s)
{
	for (size_t tries = s->node_count; tries > 0; tries--) {
		struct node *n = s->nodes[s->touch_at++ % s->node_count];

		if (n != s->self && n->state != SWIM_LEFT)
			return n;
	}
	return NULL;
}

static void
swim_gossip_touch(struct swim *s, nsec now)
{
	struct wire_message m = { .type = WIRE_NACK }; /* of seq 0, which is nobody's */
	struct node *n = NULL;
	bool alone = s->node_count < 2;

	s->touches++;
	if (s->buried_count > 0 && (alone || s->touches % SWIM_TOUCH_BURIED == 0))
		n = swim_gossip_touch_buried(s);
	else if (now - s->gossip_last >= s->config.profile.touch_interval)
		n = swim_gossip_touch_next(s); /* else gossip touched more than one */
	if (n == NULL || s->left)
		return;
	s->stats.touches++;
	swim_gossip_send(s, now, &n->addr, NULL, &m, 1, false); /* as to a stranger: without CRC */
}

/* When it was late, what it missed is not made up for. */
static bool
swim_gossip_due(nsec now, nsec *next, nsec interval)
{
	if (*next > now)
		return false;
	*next += interval;
	if (*next <= now)
		*next = now + interval;
	return true;
}

void
swim_gossip_tick(struct swim *s, nsec now)
{
	const struct swim_profile *p = &s->config.profile;

	if (swim_gossip_pending(s)) {
		if (swim_gossip_due(now, &s->gossip_next, p->gossip_interval)) {
			s->early_left = SWIM_EARLY_MAX;
			swim_gossip_round(s, now);
		} else if (s->gossip_early <= now) {
			s->early_left--;
			swim_gossip_round(s, now);
		}
	}
	if (s->gossip_early <= now)
		s->gossip_early = NSEC_NEVER;
	if (p->touch_interval > 0 && swim_gossip_due(now, &s->touch_next, p->touch_interval))
		swim_gossip_touch(s, now);
}

nsec
swim_gossip_deadline(const struct swim *s)
{
	nsec next = NSEC_NEVER;

	if (swim_gossip_pending(s))
		next = nsec_min(s->gossip_next, s->gossip_early);
	if (s->config.profile.touch_interval > 0)
		next = nsec_min(next, s->touch_next);
	return next;
}

/* Nudges: who does not stand as well with us as it must think hears of it, from us, directly. */

void
swim_gossip_nudge(struct swim *s, nsec now, struct node *n, const struct addr *to)
{
	struct wire_message m = { .type = n->state == SWIM_SUSPECT ? WIRE_SUSPECT : WIRE_DEAD };

	if (n->state == SWIM_ALIVE) /* moved, or started anew, and we have not heard */
		m.type = WIRE_SUSPECT;
	if (n->nudged_at != 0 && now - n->nudged_at < SWIM_NUDGE_GAP)
		return;
	n->nudged_at = now;
	s->stats.nudges++;
	m.u.claim = (struct wire_claim){
		.incarnation = n->incarnation,
		.node = n->name,
		.from = n->state == SWIM_LEFT ? n->name : s->self->name,
	};
	swim_gossip_send(s, now, to, n, &m, 1, false);
}

void
swim_gossip_heard(struct swim *s, nsec now, const struct addr *from)
{
	struct node *n;
	bool alive = false;

	for (n = swim_table_first_at(s, from); n != NULL; n = swim_table_next_at(n)) {
		if (n->state > SWIM_SUSPECT)
			continue;
		alive |= n->state == SWIM_ALIVE;
		n->refused_at = 0;
		if (n->state == SWIM_SUSPECT && n->suspicion.hurry != NSEC_NEVER) {
			suspicion_calm(&n->suspicion);
			s->suspect_stale = true;
		}
	}
	if (alive) /* somebody else had the address before */
		return;
	for (n = swim_table_first_at(s, from); n != NULL; n = swim_table_next_at(n))
		if (n != s->self && (n->state != SWIM_LEFT || now - n->since > SWIM_LINGER))
			swim_gossip_nudge(s, now, n, from);
}
