/* gossip/swim_merge.c -- push/pull: whole tables, compared.
 *
 * Parts: when and with whom; our table to show; versions; the other's table.
 */
#include "gossip/swim_priv.h"

/* When and with whom. */

static bool
swim_merge_suits(const struct swim *s, nsec now, const struct node *n)
{
	(void)s;
	(void)now;
	return n->state == SWIM_ALIVE;
}

static void
swim_merge_ask(struct swim *s, const struct addr *addr, struct str name)
{
	struct swim_action *a = swim_act(s, SWIM_PUSH_PULL);

	if (a == NULL)
		return;
	a->peer = *addr;
	a->peer_name = arena_dup(&s->out, name);
}

/* Out of turn; at most one a second. */
static void
swim_merge_ask_soon(struct swim *s, nsec now, const struct addr *addr, struct str name)
{
	if (s->merge_soon > now)
		return;
	s->merge_soon = now + NSEC_SEC;
	swim_merge_ask(s, addr, name);
}

void
swim_merge_with(struct swim *s, nsec now, const struct node *n)
{
	swim_merge_ask_soon(s, now, &n->addr, n->name);
}

/* The larger the pool, the rarer: up to 32 members once an interval, up to 64 every second … */
static nsec
swim_merge_interval(const struct swim *s)
{
	nsec times = 1;

	for (size_t n = 32; n < s->node_count; n *= 2)
		times++;
	return times * s->config.profile.pushpull_interval;
}

/* There was somebody whom gossip had not told us of; look again soon, then ever more rarely.
 * When many start at once, the first gossip of each reaches few. */
void
swim_merge_unsettled(struct swim *s, nsec now)
{
	s->merge_wait = NSEC_SEC;
	s->pushpull_next =
	    nsec_min(s->pushpull_next, now + NSEC_SEC + (nsec)rng_below(&s->rng, 1000) * NSEC_MS);
}

/* Somebody who knows us, and of whom we have not heard: nobody knows better than it whom we lack.
 * Two that started while the rest did not answer would else stay by themselves until it is the
 * rest's turn. */
void
swim_merge_pinger(struct swim *s, nsec now, const struct addr *from)
{
	swim_merge_unsettled(s, now);
	swim_merge_ask_soon(s, now, from, STR_NONE);
}

void
swim_stranger(struct swim *s, nsec now)
{
	swim_begin(s, now);
	s->pushpull_next =
	    nsec_min(s->pushpull_next, now + (nsec)rng_below(&s->rng, 2000) * NSEC_MS);
	swim_end(s, now);
}

void
swim_merge_tick(struct swim *s, nsec now)
{
	struct node *n;

	if (s->pushpull_next > now)
		return;
	s->merge_wait = nsec_min(2 * s->merge_wait, swim_merge_interval(s));
	s->pushpull_next = now + s->merge_wait;
	if (!s->left && swim_table_pick(s, now, swim_merge_suits, NULL, &n, 1) == 1)
		swim_merge_ask(s, &n->addr, n->name);
}

/* Our table to show. The buried too: who revives with them in it hears what it missed. */

bool
swim_state_next(const struct swim *s, size_t *cursor, struct wire_node_state *out)
{
	const struct node *n;

	if (*cursor < s->node_count) {
		n = s->nodes[*cursor];
	} else {
		size_t skip = *cursor - s->node_count;

		n = TAILQ_FIRST(&s->buried);
		while (n != NULL && skip-- > 0)
			n = TAILQ_NEXT(n, link);
	}
	if (n == NULL)
		return false;
	(*cursor)++;
	*out = (struct wire_node_state){
		.name = n->name,
		.addr = n->addr,
		.meta = n->meta,
		.meta_nil = n->meta.n == 0,
		.vsn_whole = true,
		.addr_ok = true,
		.incarnation = n->incarnation,
		.state = n->state,
		.vsn = n->vsn,
	};
	return true;
}

/* Versions: what all that live can speak must include what each one speaks. */

struct swim_range {
	uint8_t pmin, pmax, dmin, dmax; /* highest minimum, lowest maximum */
};

static void
swim_range_narrow(struct swim_range *r, const struct wire_vsn *v)
{
	if (v->pmin > r->pmin)
		r->pmin = v->pmin;
	if (v->pmax < r->pmax)
		r->pmax = v->pmax;
	if (v->dmin > r->dmin)
		r->dmin = v->dmin;
	if (v->dmax < r->dmax)
		r->dmax = v->dmax;
}

static int
swim_range_check(
    const struct swim_range *r, struct str name, const struct wire_vsn *v, struct err *err)
{
	if (v->pcur < r->pmin || v->pcur > r->pmax)
		return err_set(err, ERR_REFUSED, STR_FMT " speaks protocol %u, the pool %u to %u",
		    STR_ARG(name), v->pcur, r->pmin, r->pmax);
	if (v->dcur < r->dmin || v->dcur > r->dmax)
		return err_set(err, ERR_REFUSED,
		    STR_FMT " speaks delegate protocol %u, the pool %u to %u", STR_ARG(name),
		    v->dcur, r->dmin, r->dmax);
	return 0;
}

int
swim_merge_check(
    const struct swim *s, const struct wire_node_state *states, size_t count, struct err *err)
{
	struct swim_range r = { 0, UINT8_MAX, 0, UINT8_MAX };
	int rc = 0;

	for (size_t i = 0; i < s->node_count; i++)
		if (s->nodes[i]->state == SWIM_ALIVE)
			swim_range_narrow(&r, &s->nodes[i]->vsn);
	for (size_t i = 0; i < count; i++)
		if (states[i].state == SWIM_ALIVE && states[i].vsn_whole)
			swim_range_narrow(&r, &states[i].vsn);
	for (size_t i = 0; i < s->node_count && rc == 0; i++)
		rc = swim_range_check(&r, s->nodes[i]->name, &s->nodes[i]->vsn, err);
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct wire_vsn none = { 0 };

		rc = swim_range_check(
		    &r, states[i].name, states[i].vsn_whole ? &states[i].vsn : &none, err);
	}
	return rc;
}

/* The other's table. Who is dead there is a suspect here: it may only have been cut off from there.
 */

static void
swim_merge_one(struct swim *s, nsec now, const struct wire_node_state *w)
{
	struct wire_alive alive = {
		.incarnation = w->incarnation,
		.node = w->name,
		.addr = w->addr,
		.meta = w->meta,
		.meta_nil = w->meta_nil,
		.vsn = w->vsn,
		.vsn_whole = w->vsn_whole,
		.addr_ok = w->addr_ok,
	};
	struct wire_claim claim = { w->incarnation, w->name, s->self->name };

	if (w->state == SWIM_ALIVE) {
		if (alive.addr.port == 0)
			alive.addr.port = s->self->addr.port;
		swim_claim_alive(s, now, &alive, false);
	} else if (w->state == SWIM_LEFT) {
		claim.from = w->name;
		swim_claim_dead(s, now, &claim, NULL);
	} else if (w->state <= SWIM_DEAD) {
		swim_claim_suspect(s, now, &claim, NULL);
	} else {
		s->stats.malformed++;
	}
}

void
swim_merge(struct swim *s, nsec now, const struct wire_node_state *states, size_t count)
{
	uint64_t revived = s->revived;

	swim_begin(s, now);
	for (size_t i = 0; i < count; i++)
		swim_merge_one(s, now, &states[i]);
	if (s->revived != revived)
		swim_merge_unsettled(s, now);
	swim_end(s, now);
}
