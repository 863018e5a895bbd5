/* gossip/swim_probe.c -- is it alive? Rounds, checks, probes for others, evidence of refusal.
 *
 * Parts: asking; verdicts; answers; evidence; for others; time.
 *
 * A probe: a ping; without an ack within probe_timeout, at the same time others are asked to ping
 * and the member itself is pinged over TCP; an answer by any way until the end of the (scaled)
 * probe interval is fine. The round's probe takes the members in shuffled order, one per interval
 * (SWIM 4.3; Lifeguard's nacks and scaling). A check is the same out of turn, for a member whose
 * host refused a packet, or of whom others say it is suspect: it asks all ways at once, and fails
 * as soon as the host has refused and every helper has come back without an answer.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "gossip/swim_priv.h"

/* Asking. */

static void
swim_probe_free(struct swim *s, struct probe *p)
{
	TAILQ_REMOVE(&s->probes, p, link);
	s->probe_count--;
	free(p);
}

static struct probe *
swim_probe_of(const struct swim *s, const struct node *n)
{
	struct probe *p;

	TAILQ_FOREACH (p, &s->probes, link)
		if (p->target == n)
			return p;
	return NULL;
}

static struct wire_message
swim_probe_ping(const struct swim *s, uint32_t seq, struct str node)
{
	struct wire_message m = { .type = WIRE_PING };

	m.u.ping = (struct wire_ping){
		.seq = seq,
		.node = node,
		.source = s->self->addr,
		.source_node = s->self->name,
	};
	return m;
}

/* To a suspect together with the accusation, so that it can refute at once. */
static void
swim_probe_ask(struct swim *s, nsec now, const struct probe *p)
{
	const struct node *n = p->target;
	struct wire_message m[2] = { swim_probe_ping(s, p->seq, n->name),
		{ .type = WIRE_SUSPECT } };
	bool suspect = n->state == SWIM_SUSPECT;

	m[1].u.claim = (struct wire_claim){ n->incarnation, n->name, s->self->name };
	swim_gossip_send(s, now, &n->addr, n, m, suspect ? 2 : 1, !suspect);
}

static bool
swim_probe_helps(const struct swim *s, nsec now, const struct node *n)
{
	(void)s;
	(void)now;
	return n->state == SWIM_ALIVE;
}

#define SWIM_HELPERS_MAX 16

static void
swim_probe_ask_others(struct swim *s, nsec now, struct probe *p)
{
	struct node *helpers[SWIM_HELPERS_MAX];
	struct node *n = p->target;
	size_t max = s->config.profile.indirect_checks, count;

	p->indirect_at = NSEC_NEVER;
	count = swim_table_pick(
	    s, now, swim_probe_helps, n, helpers, max < SWIM_HELPERS_MAX ? max : SWIM_HELPERS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct wire_message m = { .type = WIRE_INDIRECT_PING };

		m.u.indirect = (struct wire_indirect_ping){
			.seq = p->seq,
			.node = n->name,
			.target = n->addr,
			.nack = helpers[i]->vsn.pmax >= 4,
			.source = s->self->addr,
			.source_node = s->self->name,
		};
		p->expected += m.u.indirect.nack;
		swim_gossip_send(s, now, &helpers[i]->addr, helpers[i], &m, 1, true);
	}
	if (n->vsn.pmax >= 3) {
		struct swim_action *a = swim_act(s, SWIM_STREAM_PING);

		if (a == NULL)
			return;
		a->peer = n->addr;
		a->peer_name = arena_dup(&s->out, n->name);
		a->seq = p->seq;
		a->until = p->deadline;
	}
}

static struct probe *
swim_probe_start(struct swim *s, nsec now, struct node *n, nsec length)
{
	struct probe *p = mem_new(struct probe);

	*p = (struct probe){
		.target = n,
		.seq = ++s->seq,
		.sent = now,
		.indirect_at = now + s->config.profile.probe_timeout,
		.deadline = now + length,
	};
	TAILQ_INSERT_TAIL(&s->probes, p, link);
	s->probe_count++;
	s->stats.probes++;
	swim_probe_ask(s, now, p);
	return p;
}

void
swim_probe_check(struct swim *s, nsec now, struct node *n, bool last)
{
	struct probe *p = swim_probe_of(s, n);

	if (s->probe_count >= SWIM_CHECKS_MAX && p == NULL)
		return;
	if (p == NULL || last) { /* the last round is a whole one */
		swim_probe_cancel(s, n);
		p = swim_probe_start(s, now, n, s->config.profile.probe_interval);
	}
	p->last |= last;
	p->refused |= n->refused_at != 0;
	n->checked_at = now;
	if (p->indirect_at != NSEC_NEVER)
		swim_probe_ask_others(s, now, p);
}

static bool
swim_probe_round_busy(const struct swim *s)
{
	struct probe *p;

	TAILQ_FOREACH (p, &s->probes, link)
		if (p->round)
			return true;
	return false;
}

/* The next member in the order. */
void
swim_probe_round(struct swim *s, nsec now)
{
	if (s->left || swim_probe_round_busy(s))
		return;
	for (size_t tries = s->node_count + 1; tries > 0; tries--) {
		struct node *n;

		if (s->probe_at >= s->node_count) {
			swim_table_shuffle(s, now);
			s->probe_at = 0;
		}
		n = s->nodes[s->probe_at++];
		if (n == s->self || n->state >= SWIM_DEAD || swim_probe_of(s, n) != NULL)
			continue;
		swim_probe_start(
		    s, now, n, awareness_scale(&s->awareness, s->config.profile.probe_interval))
		    ->round = true;
		return;
	}
}

void
swim_probe_cancel(struct swim *s, const struct node *n)
{
	struct probe *p, *next;

	TAILQ_FOREACH_SAFE (p, &s->probes, link, next)
		if (p->target == n)
			swim_probe_free(s, p);
}

/* Verdicts. */

static void
swim_probe_succeed(struct swim *s, struct probe *p)
{
	struct node *n = p->target;

	if (p->round)
		awareness_add(&s->awareness, -1);
	n->refused_at = 0;
	if (n->state == SWIM_SUSPECT && n->suspicion.hurry != NSEC_NEVER) {
		suspicion_calm(&n->suspicion);
		s->suspect_stale = true;
	}
	swim_probe_free(s, p);
}

static void
swim_probe_fail(struct swim *s, nsec now, struct probe *p)
{
	struct node *n = p->target;

	if (p->stream_acked) { /* UDP is in the way, but it lives */
		swim_note(s, STR_FMT " answers by stream only", STR_ARG(n->name));
		swim_probe_succeed(s, p);
		return;
	}
	if (p->round && p->expected > 0)
		awareness_add(
		    &s->awareness, p->nacks < p->expected ? (int)(p->expected - p->nacks) : 0);
	else if (p->round)
		awareness_add(&s->awareness, 1);
	s->stats.probes_failed++;
	swim_note(s, "no ack from " STR_FMT "%s", STR_ARG(n->name), p->refused ? ", refused" : "");
	swim_probe_free(s, p);
	swim_claim_accuse(s, now, n);
}

/* Refused by the host, and nobody who was asked got an answer. */
static bool
swim_probe_hopeless(const struct probe *p)
{
	return p->refused && p->indirect_at == NSEC_NEVER && p->expected > 0 &&
	       p->nacks >= p->expected && !p->stream_acked && !p->last;
}

/* Answers. */

static struct probe *
swim_probe_by_seq(const struct swim *s, uint32_t seq)
{
	struct probe *p;

	TAILQ_FOREACH (p, &s->probes, link)
		if (p->seq == seq)
			return p;
	return NULL;
}

static struct relay *
swim_probe_relay_by_seq(const struct swim *s, uint32_t seq)
{
	struct relay *r;

	TAILQ_FOREACH (r, &s->relays, link)
		if (r->seq == seq)
			return r;
	return NULL;
}

static void
swim_probe_relay_end(struct swim *s, nsec now, struct relay *r, bool acked)
{
	struct wire_message m = { .type = acked ? WIRE_ACK : WIRE_NACK };
	struct addr asker = r->asker;
	bool tell = acked || r->nack;

	if (acked)
		m.u.ack = (struct wire_ack){ .seq = r->asker_seq, .payload_nil = true };
	else
		m.u.nack.seq = r->asker_seq;
	TAILQ_REMOVE(&s->relays, r, link);
	s->relay_count--;
	free(r);
	if (tell)
		swim_gossip_send(s, now, &asker, swim_table_first_at(s, &asker), &m, 1, true);
}

static void
swim_probe_acked(struct swim *s, nsec now, const struct probe *p, const struct wire_ack *ack)
{
	struct swim_action *a = swim_act(s, SWIM_ACKED);

	if (a == NULL)
		return;
	a->peer = p->target->addr;
	a->peer_name = arena_dup(&s->out, p->target->name);
	a->rtt = now - p->sent;
	a->bytes = arena_dup(&s->out, ack->payload);
}

void
swim_probe_ack_in(struct swim *s, nsec now, const struct addr *from, const struct wire_ack *ack)
{
	struct probe *p = swim_probe_by_seq(s, ack->seq);
	struct relay *r;

	if (p != NULL) {
		if (swim_addr_eq(from, &p->target->addr)) /* not by a helper */
			swim_probe_acked(s, now, p, ack);
		swim_probe_succeed(s, p);
		return;
	}
	r = swim_probe_relay_by_seq(s, ack->seq);
	if (r != NULL)
		swim_probe_relay_end(s, now, r, true);
}

void
swim_probe_nack_in(struct swim *s, nsec now, const struct wire_nack *nack)
{
	struct probe *p = swim_probe_by_seq(s, nack->seq);

	if (p == NULL || p->indirect_at != NSEC_NEVER || p->nacks >= p->expected)
		return;
	p->nacks++;
	if (swim_probe_hopeless(p))
		swim_probe_fail(s, now, p);
}

void
swim_stream_ack(struct swim *s, nsec now, uint32_t seq)
{
	struct probe *p = swim_probe_by_seq(s, seq);

	swim_begin(s, now);
	if (p != NULL)
		p->stream_acked = true;
	swim_end(s, now);
}

/* Evidence. */

/* Refused here and accused elsewhere: one more round, then it is dead. Our own accusation goes
 * out too, so that whoever accused it first, and was refused, can do the same. */
void
swim_probe_evidence(struct swim *s, nsec now, struct node *n)
{
	if (n->state != SWIM_SUSPECT || n->refused_at == 0 ||
	    now - n->refused_at > SWIM_EVIDENCE_KEEP)
		return;
	if (!n->accused_by_us) {
		swim_claim_accuse(s, now, n); /* comes back here */
		return;
	}
	if (!n->accused_by_others || n->suspicion.hurry != NSEC_NEVER)
		return;
	swim_note(s, STR_FMT " refused and accused: one more round", STR_ARG(n->name));
	suspicion_hurry(&n->suspicion, now + s->config.profile.probe_interval);
	s->suspect_stale = true;
	swim_probe_check(s, now, n, true);
}

static void
swim_probe_refused_one(struct swim *s, nsec now, struct node *n)
{
	struct probe *p;

	if (n == s->self || n->state >= SWIM_DEAD || n->buried)
		return;
	n->refused_at = now;
	p = swim_probe_of(s, n);
	if (p != NULL) {
		p->refused = true;
		if (p->indirect_at != NSEC_NEVER)
			swim_probe_ask_others(s, now, p);
		if (swim_probe_hopeless(p)) {
			swim_probe_fail(s, now, p);
			return;
		}
	} else if (n->state == SWIM_ALIVE &&
		   (n->checked_at == 0 ||
		       now - n->checked_at >= s->config.profile.probe_interval)) {
		swim_probe_check(s, now, n, false);
	}
	swim_probe_evidence(s, now, n);
}

/* A suspicion of others is looked into by some: a ping with the accusation, so that the suspect
 * refutes, or its host refuses. Silence says nothing here: then the round's probes decide. */
void
swim_probe_suspected(struct swim *s, nsec now, struct node *n)
{
	struct probe p = { .target = n, .seq = ++s->seq };

	if (s->node_count <= SWIM_CHECKERS ||
	    rng_below(&s->rng, (uint32_t)s->node_count) < SWIM_CHECKERS)
		swim_probe_ask(s, now, &p);
}

/* For others. */

void
swim_probe_ping_in(struct swim *s, nsec now, const struct addr *from, const struct wire_ping *ping)
{
	struct wire_message m = { .type = WIRE_ACK };
	struct addr to =
	    ping->source.family != ADDR_NONE && ping->source.port != 0 ? ping->source : *from;

	if (ping->node.n > 0 && !str_eq(ping->node, s->self->name)) {
		s->stats.dropped++;
		return;
	}
	if (ping->source_node.n > 0 && swim_table_find(s, ping->source_node) == NULL)
		swim_merge_pinger(s, now, &to);
	m.u.ack = (struct wire_ack){
		.seq = ping->seq,
		.payload = s->payload,
		.payload_nil = s->payload.n == 0,
	};
	swim_gossip_send(s, now, &to, swim_table_first_at(s, &to), &m, 1, true);
}

void
swim_probe_indirect_in(
    struct swim *s, nsec now, const struct addr *from, const struct wire_indirect_ping *ask)
{
	struct wire_message m;
	struct relay *r;

	if (s->relay_count >= SWIM_RELAYS_MAX || ask->target.family == ADDR_NONE) {
		s->stats.dropped++;
		return;
	}
	r = mem_new(struct relay);
	*r = (struct relay){
		.seq = ++s->seq,
		.asker_seq = ask->seq,
		.asker =
		    ask->source.family != ADDR_NONE && ask->source.port != 0 ? ask->source : *from,
		.target = ask->target,
		.nack = ask->nack,
		.deadline = now + s->config.profile.probe_timeout,
	};
	if (r->target.port == 0)
		r->target.port = s->self->addr.port;
	TAILQ_INSERT_TAIL(&s->relays, r, link);
	s->relay_count++;
	m = swim_probe_ping(s, r->seq, ask->node);
	swim_gossip_send(s, now, &r->target, swim_table_first_at(s, &r->target), &m, 1, true);
}

void
swim_refused(struct swim *s, nsec now, const struct addr *peer)
{
	struct relay *r, *next_relay;
	struct node *n, *next;

	swim_begin(s, now);
	s->stats.refusals++;
	TAILQ_FOREACH_SAFE (r, &s->relays, link, next_relay)
		if (swim_addr_eq(&r->target, peer))
			swim_probe_relay_end(s, now, r, false);
	for (n = swim_table_first_at(s, peer); n != NULL; n = next) {
		next = swim_table_next_at(n);
		swim_probe_refused_one(s, now, n);
	}
	swim_end(s, now);
}

void
swim_doubt(struct swim *s, nsec now, struct str name)
{
	struct node *n = swim_table_find(s, name);

	if (n == NULL || n == s->self || n->state != SWIM_ALIVE || n->buried)
		return;
	swim_begin(s, now);
	swim_probe_check(s, now, n, false);
	swim_end(s, now);
}

/* Time. */

nsec
swim_probe_deadline(const struct swim *s)
{
	const struct relay *r = TAILQ_FIRST(&s->relays);
	const struct probe *p;
	nsec next = r == NULL ? NSEC_NEVER : r->deadline;

	TAILQ_FOREACH (p, &s->probes, link)
		next = nsec_min(next, nsec_min(p->indirect_at, p->deadline));
	return next;
}

/* A verdict may begin or end other probes: look again from the start after each. */
static bool
swim_probe_tick_one(struct swim *s, nsec now)
{
	struct probe *p;

	TAILQ_FOREACH (p, &s->probes, link) {
		if (p->deadline <= now) {
			swim_probe_fail(s, now, p);
			return true;
		}
		if (p->indirect_at <= now)
			swim_probe_ask_others(s, now, p);
	}
	return false;
}

void
swim_probe_tick(struct swim *s, nsec now)
{
	struct relay *r;

	while ((r = TAILQ_FIRST(&s->relays)) != NULL && r->deadline <= now)
		swim_probe_relay_end(s, now, r, false);
	while (swim_probe_tick_one(s, now))
		;
}

void
swim_probe_shift(struct swim *s, nsec by)
{
	struct probe *p;
	struct relay *r;

	TAILQ_FOREACH (p, &s->probes, link) {
		p->deadline += by;
		if (p->indirect_at != NSEC_NEVER)
			p->indirect_at += by;
	}
	TAILQ_FOREACH (r, &s->relays, link)
		r->deadline += by;
}

void
swim_probe_done(struct swim *s)
{
	struct probe *p;
	struct relay *r;

	while ((p = TAILQ_FIRST(&s->probes)) != NULL)
		swim_probe_free(s, p);
	while ((r = TAILQ_FIRST(&s->relays)) != NULL) {
		TAILQ_REMOVE(&s->relays, r, link);
		free(r);
	}
}
