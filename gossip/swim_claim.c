/* gossip/swim_claim.c -- what a claim (alive, suspect, dead) does to the table.
 *
 * Parts: telling of changes; us: start, refutation; alive; suspect; dead; ends of suspicions;
 * leaving.
 *
 * The higher incarnation wins; within one, the worse news. Only a member raises its own, so all
 * settle on one answer (SWIM 4.2; there a death is final, here as in memberlist one may come
 * back). Stricter than memberlist in one point: a member that died or left comes back only with
 * a higher incarnation, even at another address or when its entry's time is over; to learn of
 * that it is told directly (a nudge) and refutes.
 */
#include <assert.h>
#include <string.h>

#include "gossip/swim_priv.h"

/* Telling of changes. */

static void
swim_claim_news(struct swim *s, const struct node *n, enum swim_state was, bool joined)
{
	struct swim_action *a = swim_act(s, SWIM_NEWS);

	if (a == NULL)
		return;
	swim_member_of(n, &a->member);
	a->member.name = arena_dup(&s->out, n->name);
	a->member.meta = arena_dup(&s->out, n->meta);
	a->was = was;
	a->joined = joined;
}

static void
swim_claim_spread(struct swim *s, nsec now, enum wire_type type, const struct node *n,
    struct str from, uint64_t done_id)
{
	struct wire_message m = { .type = type };

	m.u.claim = (struct wire_claim){ n->incarnation, n->name, from };
	swim_gossip_queue(s, now, SWIM_MEMBERSHIP, n->name, &m, done_id);
}

static struct wire_message
swim_claim_alive_message(const struct node *n)
{
	struct wire_message m = { .type = WIRE_ALIVE };

	m.u.alive = (struct wire_alive){
		.incarnation = n->incarnation,
		.node = n->name,
		.addr = n->addr,
		.meta = n->meta,
		.meta_nil = n->meta.n == 0,
		.vsn = n->vsn,
		.vsn_whole = true,
		.addr_ok = true,
	};
	return m;
}

static void
swim_claim_spread_alive(struct swim *s, nsec now, const struct node *n)
{
	struct wire_message m = swim_claim_alive_message(n);

	swim_gossip_queue(s, now, SWIM_MEMBERSHIP, n->name, &m, 0);
}

static void
swim_claim_state(struct swim *s, nsec now, struct node *n, enum swim_state state)
{
	if (n->state == SWIM_SUSPECT) {
		TAILQ_REMOVE(&s->suspects, n, link);
		s->suspect_stale = true;
	}
	if (n->state != state)
		n->since = now;
	n->state = state;
	if (state == SWIM_SUSPECT) {
		TAILQ_INSERT_TAIL(&s->suspects, n, link);
		s->suspect_stale = true;
	}
	if (state >= SWIM_DEAD)
		swim_probe_cancel(s, n);
	n->accused_by_us = n->accused_by_others = false;
}

static bool
swim_claim_absurd(struct swim *s, uint32_t incarnation, uint32_t known)
{
	if (incarnation <= SWIM_INCARNATION_HIGH || incarnation < known ||
	    incarnation - known <= SWIM_INCARNATION_LEAP)
		return false;
	s->stats.dropped++;
	return true;
}

/* Us. */

static void
swim_claim_raise(struct swim *s, nsec now, uint32_t above)
{
	struct node *self = s->self;

	if (above < self->incarnation)
		above = self->incarnation;
	if (above == UINT32_MAX)
		return; /* nothing is higher */
	self->incarnation = above + 1;
	swim_claim_spread_alive(s, now, self);
}

/* Somebody says something else about us than we do. Who told us hears it first: it may be the
 * only one that can hear us at all. */
static void
swim_claim_refute(
    struct swim *s, nsec now, uint32_t accused, struct str accuser, const struct addr *from)
{
	swim_claim_raise(s, now, accused);
	awareness_add(&s->awareness, 1);
	s->stats.refutations++;
	s->pushpull_next = nsec_min(s->pushpull_next, now + NSEC_SEC); /* what else did we miss? */
	swim_note(s, "refute " STR_FMT ", incarnation %u", STR_ARG(accuser), s->self->incarnation);
	if (from != NULL) {
		struct wire_message m = swim_claim_alive_message(s->self);

		swim_gossip_send(s, now, from, swim_table_first_at(s, from), &m, 1, false);
	}
}

void
swim_claim_self(struct swim *s, nsec now)
{
	s->self->state = SWIM_ALIVE;
	s->self->since = now;
	swim_claim_raise(s, now, 0);
}

void
swim_meta_set(struct swim *s, nsec now, struct str meta)
{
	assert(meta.n <= WIRE_META_MAX);
	swim_begin(s, now);
	if (!s->leaving && !str_eq(meta, s->self->meta)) {
		swim_table_meta(s->self, meta);
		swim_claim_raise(s, now, 0);
	}
	swim_end(s, now);
}

void
swim_rename(struct swim *s, nsec now, struct str name)
{
	struct node *n = swim_table_find(s, name), *self = s->self;
	uint32_t above = self->incarnation;

	assert(name.n > 0 && name.n <= WIRE_NAME_MAX);
	if (n == self)
		return;
	swim_begin(s, now);
	broadcast_forget(s->queues[SWIM_MEMBERSHIP], self->name);
	if (n != NULL) {
		if (n->incarnation > above)
			above = n->incarnation;
		swim_claim_state(s, now, n, SWIM_DEAD); /* ends its probes and suspicion */
		broadcast_forget(s->queues[SWIM_MEMBERSHIP], n->name);
		swim_table_drop(s, n);
	}
	swim_table_rename(s, self, name);
	swim_claim_raise(s, now, above);
	swim_end(s, now);
}

/* Alive. */

static bool
swim_claim_sane(const struct wire_alive *a)
{
	return a->vsn_whole && a->addr_ok && a->addr.family != ADDR_NONE && a->addr.port != 0 &&
	       a->node.n > 0 && a->node.n <= WIRE_NAME_MAX && a->meta.n <= WIRE_META_MAX &&
	       a->vsn.pmin != 0 && a->vsn.pmax != 0 && a->vsn.pmin <= a->vsn.pmax;
}

/* Asked again only when it says something new of itself. */
static bool
swim_claim_welcome(struct swim *s, const struct node *n, const struct wire_alive *a)
{
	if (s->config.welcome == NULL || n == s->self)
		return true;
	if (n != NULL && !n->buried && str_eq(n->meta, a->meta))
		return true;
	if (s->config.welcome(s->config.welcome_arg, a))
		return true;
	s->stats.dropped++;
	return false;
}

static bool
swim_claim_vsn_eq(const struct wire_vsn *a, const struct wire_vsn *b)
{
	return memcmp(a, b, sizeof *a) == 0; /* six bytes without gaps */
}

static void
swim_claim_about_us(struct swim *s, nsec now, const struct wire_alive *a)
{
	const struct node *self = s->self;

	if (a->incarnation < self->incarnation)
		return;
	if (a->incarnation == self->incarnation && str_eq(a->meta, self->meta) &&
	    swim_claim_vsn_eq(&a->vsn, &self->vsn))
		return;
	swim_claim_refute(s, now, a->incarnation, STR("other tags"), NULL);
}

static void
swim_claim_conflict(struct swim *s, nsec now, struct node *n, const struct wire_alive *a)
{
	struct swim_action *act;

	s->stats.dropped++;
	if (n->conflict_at != 0 && now - n->conflict_at < SWIM_CONFLICT_GAP)
		return;
	n->conflict_at = now;
	act = swim_act(s, SWIM_CONFLICT);
	if (act == NULL)
		return;
	swim_member_of(n, &act->member);
	act->member.name = arena_dup(&s->out, n->name);
	act->member.meta = arena_dup(&s->out, n->meta);
	act->peer = a->addr;
	act->other = (struct swim_member){
		.name = act->member.name,
		.meta = arena_dup(&s->out, a->meta),
		.addr = a->addr,
		.vsn = a->vsn,
		.incarnation = a->incarnation,
		.state = SWIM_ALIVE,
		.since = now,
	};
}

/* Whether a name that is known at one address may be claimed from another. Who missed that the
 * holder left finds it silent, and is alone with that: all others know the next one by then. */
static bool
swim_claim_may_move(const struct swim *s, nsec now, const struct node *n)
{
	nsec reclaim = s->config.profile.dead_reclaim;

	if (n->state == SWIM_LEFT || n->buried)
		return true;
	if (n->state == SWIM_SUSPECT && n->accused_by_us)
		return true;
	return n->state == SWIM_DEAD && reclaim > 0 && now - n->since > reclaim;
}

static void
swim_claim_revive(struct swim *s, nsec now, struct node *n, const struct wire_alive *a, bool new)
{
	enum swim_state was = n->state;
	bool moved = !swim_addr_eq(&n->addr, &a->addr);
	bool changed = new || moved || was != SWIM_ALIVE || !str_eq(n->meta, a->meta) ||
		       !swim_claim_vsn_eq(&n->vsn, &a->vsn);

	if (n->buried)
		swim_table_raise(s, n);
	if (moved) {
		swim_probe_cancel(s, n);
		swim_table_move(s, n, &a->addr);
	}
	if (!str_eq(n->meta, a->meta))
		swim_table_meta(n, a->meta);
	n->vsn = a->vsn;
	n->incarnation = a->incarnation;
	n->refused_at = 0;
	swim_claim_state(s, now, n, SWIM_ALIVE);
	swim_claim_spread_alive(s, now, n);
	s->revived += was >= SWIM_DEAD;
	if (changed)
		swim_claim_news(s, n, was, new);
	if (was == SWIM_DEAD && !new) /* it missed things, or we did */
		swim_merge_with(s, now, n);
}

void
swim_claim_alive(struct swim *s, nsec now, const struct wire_alive *a, bool take_over)
{
	bool moved, known; /* to another address; and known to be the same node's */
	struct node *n;

	if (!swim_claim_sane(a)) {
		s->stats.dropped++;
		return;
	}
	n = swim_table_find(s, a->node);
	if (n == s->self && s->leaving)
		return;
	if (swim_claim_absurd(s, a->incarnation, n == NULL ? 0 : n->incarnation) ||
	    !swim_claim_welcome(s, n, a))
		return;
	if (n == NULL) {
		if (a->incarnation == 0)
			return;
		n = swim_table_add(s, a->node, &a->addr);
		if (n == NULL) {
			s->stats.dropped++;
			return;
		}
		swim_claim_revive(s, now, n, a, true);
		return;
	}
	moved = !swim_addr_eq(&n->addr, &a->addr);
	known = take_over || (now < n->moving_until && swim_addr_eq(&n->moving, &a->addr));
	if (moved && !known && (n == s->self || !swim_claim_may_move(s, now, n))) {
		swim_claim_conflict(s, now, n, a);
		return;
	}
	if (n == s->self) {
		swim_claim_about_us(s, now, a);
		return;
	}
	if (a->incarnation > n->incarnation) {
		swim_claim_revive(s, now, n, a, false);
		return;
	}
	if (moved && known) { /* what it answers needs no asking again */
		n->moving = a->addr;
		n->moving_until = now + SWIM_MOVING;
	}
	/* Old news; or a new process under an old name, which must hear how high we count. Just
	 * after the death it is the former. */
	if ((moved && known) || (n->state >= SWIM_DEAD && now - n->since > NSEC_SEC))
		swim_gossip_nudge(s, now, n, &a->addr);
}

void
swim_take_over(struct swim *s, nsec now, const struct swim_member *other)
{
	char name[WIRE_NAME_MAX], meta[WIRE_META_MAX]; /* what an action points to ends in begin */
	struct wire_alive a = {
		.incarnation = other->incarnation,
		.node = str_mem(name, other->name.n),
		.addr = other->addr,
		.meta = str_mem(meta, other->meta.n),
		.vsn = other->vsn,
		.vsn_whole = true,
		.addr_ok = true,
	};

	if (other->name.n > sizeof name || other->meta.n > sizeof meta)
		return;
	memcpy(name, other->name.n == 0 ? "" : other->name.p, other->name.n);
	memcpy(meta, other->meta.n == 0 ? "" : other->meta.p, other->meta.n);
	swim_begin(s, now);
	swim_claim_alive(s, now, &a, true);
	swim_end(s, now);
}

/* Suspect. */

/* An accusation that was refuted already: who spreads it missed that, and gossip may have
 * forgotten it by now. */
static void
swim_claim_correct(struct swim *s, nsec now, struct node *n, const struct addr *from)
{
	struct wire_message m = swim_claim_alive_message(n);

	if (n->state != SWIM_ALIVE || from == NULL)
		return;
	if (n != s->self && n->corrected_at != 0 && now - n->corrected_at < SWIM_NUDGE_GAP)
		return;
	n->corrected_at = now;
	s->stats.nudges++;
	swim_gossip_send(s, now, from, swim_table_first_at(s, from), &m, 1, false);
}

static bool
swim_claim_credible(const struct swim *s, struct str from) /* an accuser that is somebody */
{
	const struct node *n = swim_table_find(s, from);

	return n != NULL && n != s->self && n->state <= SWIM_SUSPECT;
}

static void
swim_claim_accuser(struct swim *s, struct node *n, struct str from)
{
	if (str_eq(from, s->self->name))
		n->accused_by_us = true;
	else if (swim_claim_credible(s, from))
		n->accused_by_others = true;
}

static void
swim_claim_suspicion(struct swim *s, nsec now, struct node *n, const struct wire_claim *c)
{
	const struct swim_profile *p = &s->config.profile;

	n->incarnation = c->incarnation;
	swim_claim_state(s, now, n, SWIM_SUSPECT);
	suspicion_start(&n->suspicion, now, c->from, suspicion_k(p->suspicion_mult, s->node_count),
	    suspicion_min(p->suspicion_mult, s->node_count, p->probe_interval),
	    p->suspicion_max_mult);
	swim_claim_accuser(s, n, c->from);
	s->stats.suspicions++;
	swim_claim_spread(s, now, WIRE_SUSPECT, n, c->from, 0);
	if (n->accused_by_others)
		swim_probe_suspected(s, now, n);
	swim_probe_evidence(s, now, n);
}

static void
swim_claim_confirm(struct swim *s, nsec now, struct node *n, const struct wire_claim *c)
{
	bool ours = str_eq(c->from, s->self->name), first_of_us = ours && !n->accused_by_us;

	if (c->incarnation > n->incarnation) { /* refuted meanwhile, and accused anew */
		swim_claim_suspicion(s, now, n, c);
		return;
	}
	swim_claim_accuser(s, n, c->from);
	if (suspicion_confirm(&n->suspicion, c->from) || first_of_us) {
		s->suspect_stale = true;
		swim_claim_spread(s, now, WIRE_SUSPECT, n, c->from, 0);
	}
	swim_probe_evidence(s, now, n);
}

void
swim_claim_suspect(struct swim *s, nsec now, const struct wire_claim *c, const struct addr *from)
{
	struct node *n = swim_table_find(s, c->node);

	if (n == NULL || swim_claim_absurd(s, c->incarnation, n->incarnation))
		return;
	if (c->incarnation < n->incarnation) {
		swim_claim_correct(s, now, n, from);
		return;
	}
	if (n->state == SWIM_SUSPECT) {
		swim_claim_confirm(s, now, n, c);
		return;
	}
	if (n->state != SWIM_ALIVE)
		return;
	if (n == s->self) {
		swim_claim_refute(s, now, c->incarnation, c->from, from);
		return;
	}
	swim_claim_suspicion(s, now, n, c);
	swim_claim_news(s, n, SWIM_ALIVE, false);
}

void
swim_claim_accuse(struct swim *s, nsec now, struct node *n)
{
	struct wire_claim c = { n->incarnation, n->name, s->self->name };

	swim_claim_suspect(s, now, &c, NULL);
}

/* Dead. */

static void
swim_claim_us_dead(struct swim *s, nsec now, const struct wire_claim *c, const struct addr *from)
{
	if (!s->leaving) {
		swim_claim_refute(s, now, c->incarnation, c->from, from);
		return;
	}
	if (c->incarnation > s->self->incarnation) /* our own leave must be as high */
		s->self->incarnation = c->incarnation;
}

void
swim_claim_dead(struct swim *s, nsec now, const struct wire_claim *c, const struct addr *from)
{
	struct node *n = swim_table_find(s, c->node);
	enum swim_state was;

	if (n == NULL || swim_claim_absurd(s, c->incarnation, n->incarnation))
		return;
	if (c->incarnation < n->incarnation) {
		swim_claim_correct(s, now, n, from);
		return;
	}
	if (n == s->self) {
		swim_claim_us_dead(s, now, c, from);
		return;
	}
	was = n->state;
	if (was >= SWIM_DEAD)
		return;
	n->incarnation = c->incarnation;
	swim_claim_state(s, now, n, str_eq(c->from, c->node) ? SWIM_LEFT : SWIM_DEAD);
	if (n->state == SWIM_DEAD)
		s->stats.deaths++;
	swim_claim_spread(s, now, WIRE_DEAD, n, c->from, 0);
	swim_claim_news(s, n, was, false);
}

/* Ends of suspicions. */

void
swim_claim_deadline_find(struct swim *s)
{
	const struct node *n;

	if (!s->suspect_stale)
		return;
	s->suspect_next = NSEC_NEVER;
	TAILQ_FOREACH (n, &s->suspects, link)
		s->suspect_next = nsec_min(s->suspect_next, suspicion_deadline(&n->suspicion));
	s->suspect_stale = false;
}

void
swim_claim_shift(struct swim *s, nsec by)
{
	struct node *n;

	TAILQ_FOREACH (n, &s->suspects, link)
		suspicion_shift(&n->suspicion, by);
	s->suspect_stale = true;
}

void
swim_claim_expire(struct swim *s, nsec now)
{
	struct node *n, *next;

	swim_claim_deadline_find(s);
	if (s->suspect_next > now)
		return;
	TAILQ_FOREACH_SAFE (n, &s->suspects, link, next) {
		struct wire_claim c = { n->incarnation, n->name, s->self->name };

		if (suspicion_deadline(&n->suspicion) <= now)
			swim_claim_dead(s, now, &c, NULL);
	}
}

/* Leaving. */

static bool
swim_claim_alone(const struct swim *s)
{
	for (size_t i = 0; i < s->node_count; i++)
		if (s->nodes[i] != s->self && s->nodes[i]->state <= SWIM_SUSPECT)
			return false;
	return true;
}

static bool
swim_claim_cares(const struct swim *s, nsec now, const struct node *n)
{
	(void)s;
	(void)now;
	return n->state <= SWIM_SUSPECT;
}

/* Gossip misses one in a hundred or so; a pool of the usual size is told one by one as well. */
static void
swim_claim_farewell(struct swim *s, nsec now)
{
	struct node *told[SWIM_FAREWELL_MAX];
	size_t count = swim_table_pick(s, now, swim_claim_cares, NULL, told, SWIM_FAREWELL_MAX);
	struct wire_message m = { .type = WIRE_DEAD };

	m.u.claim = (struct wire_claim){ s->self->incarnation, s->self->name, s->self->name };
	for (size_t i = 0; i < count; i++)
		swim_gossip_send(s, now, &told[i]->addr, told[i], &m, 1, false);
}

void
swim_leave(struct swim *s, nsec now)
{
	if (s->leaving)
		return;
	swim_begin(s, now);
	s->leaving = true;
	swim_claim_state(s, now, s->self, SWIM_LEFT);
	swim_claim_news(s, s->self, SWIM_ALIVE, false);
	swim_claim_spread(s, now, WIRE_DEAD, s->self, s->self->name, 1);
	swim_claim_farewell(s, now);
	s->left = swim_claim_alone(s);
	swim_end(s, now);
}

bool
swim_leave_done(const struct swim *s)
{
	return s->left;
}

void
swim_forget(struct swim *s, nsec now, struct str name)
{
	struct node *n = swim_table_find(s, name);

	if (n == NULL || n == s->self)
		return;
	swim_begin(s, now);
	swim_claim_state(s, now, n, SWIM_LEFT);
	broadcast_forget(s->queues[SWIM_MEMBERSHIP], n->name);
	if (!n->buried)
		swim_table_bury(s, now, n);
	swim_end(s, now);
}
