/* gossip/serf_member.c -- the table of members, and intents, which tell leaving from dying.
 *
 * In order: the table, states, intents for unknown names, intents, what SWIM says, requests of this
 * host, time. Only SWIM introduces a member; an intent about an unknown name waits for it. An
 * intent counts when it is newer, by Lamport time, than the last one that counted.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "gossip/serf_private.h"

/* --- the table --- */

static int
member_cmp(const struct member *a, const struct member *b)
{
	return str_cmp(a->m.name, b->m.name);
}
RB_GENERATE_INTERNAL(members, member, by_name, member_cmp, static __attribute__((unused)))

static int
intent_cmp(const struct intent *a, const struct intent *b)
{
	return str_cmp(blob_str(a->name), blob_str(b->name));
}
RB_GENERATE_INTERNAL(intents, intent, by_name, intent_cmp, static __attribute__((unused)))

struct member *
serf_members_find(const struct serf *s, struct str name)
{
	struct member key = { .m.name = name };

	return RB_FIND(members, (struct members *)(uintptr_t)&s->members, &key);
}

/* Takes over address, versions and tags; true when any is new. */
static bool
member_describe(struct serf *s, struct member *m, const struct swim_member *now)
{
	bool same = addr_eq_ip(&m->m.addr, &now->addr) && m->m.addr.port == now->addr.port &&
		    memcmp(&m->m.vsn, &now->vsn, sizeof m->m.vsn) == 0;

	m->m.addr = now->addr;
	m->m.vsn = now->vsn;
	if (m->meta != NULL && str_eq(m->m.meta, now->meta))
		return !same;
	serf_spend(s, m->meta);
	m->meta = blob_new(now->meta);
	m->m.meta = blob_str(m->meta);
	return true;
}

static struct member *
member_add(struct serf *s, const struct swim_member *now)
{
	struct member *m = mem_new(struct member);

	m->name = blob_new(now->name);
	m->m.name = blob_str(m->name);
	member_describe(s, m, now);
	RB_INSERT(members, &s->members, m);
	s->count++;
	s->state_count[SERF_NONE]++;
	return m;
}

static struct gone_list *
member_list(struct serf *s, enum serf_state state)
{
	return state == SERF_FAILED ? &s->failed : state == SERF_LEFT ? &s->left : NULL;
}

static void
member_state(struct serf *s, struct member *m, enum serf_state state)
{
	if (member_list(s, m->m.state) != NULL)
		TAILQ_REMOVE(member_list(s, m->m.state), m, gone);
	s->state_count[m->m.state]--;
	s->state_count[state]++;
	m->m.state = state;
	m->m.since = s->now;
	m->rejoins = false;
	if (state == SERF_LEAVING)
		s->leaving_next = nsec_min(s->leaving_next, s->now + SERF_LEAVING_MAX);
	if (member_list(s, state) != NULL)
		TAILQ_INSERT_TAIL(member_list(s, state), m, gone);
}

static void
member_tell(struct serf *s, const struct member *m, enum serf_news news)
{
	struct serf_action *a = serf_act(s, SERF_TELL_MEMBER);

	if (a != NULL) {
		a->news = news;
		a->member = m->m;
	}
}

static void
member_drop(struct serf *s, struct member *m)
{
	if (member_list(s, m->m.state) != NULL)
		TAILQ_REMOVE(member_list(s, m->m.state), m, gone);
	s->state_count[m->m.state]--;
	s->count--;
	RB_REMOVE(members, &s->members, m);
	serf_spend(s, m->name);
	serf_spend(s, m->meta);
	free(m);
}

/* --- intents for unknown names --- */

static struct intent *
intent_find(const struct serf *s, struct blob *name)
{
	struct intent key = { .name = name };

	return RB_FIND(intents, (struct intents *)(uintptr_t)&s->intents, &key);
}

static void
intent_drop(struct serf *s, struct intent *i)
{
	TAILQ_REMOVE(i->pruned ? &s->pruned : &s->buffered, i, by_age);
	if (i->pruned)
		s->pruned_count--;
	else
		s->buffered_count--;
	RB_REMOVE(intents, &s->intents, i);
	blob_unref(i->name);
	free(i);
}

static void
intent_queue(struct serf *s, struct intent *i)
{
	nsec reap = s->config.reap_failed > s->config.reap_left ? s->config.reap_failed
								: s->config.reap_left;

	i->until = s->now + (i->pruned ? 2 * reap : SERF_INTENT_KEEP);
	TAILQ_INSERT_TAIL(i->pruned ? &s->pruned : &s->buffered, i, by_age);
	if (i->pruned)
		s->pruned_count++;
	else
		s->buffered_count++;
	if (s->buffered_count > SERF_INTENTS_MAX || s->pruned_count > SERF_PRUNED_MAX) {
		s->stats.dropped++;
		intent_drop(s, TAILQ_FIRST(i->pruned ? &s->pruned : &s->buffered));
	}
}

/* True when it is newer than what waits for that name. A certificate stays one, with the newest
 * time; a join intent beside it waits as part of it. */
static bool
intent_buffer(struct serf *s, struct str name, uint64_t ltime, bool leave, bool pruned)
{
	struct blob *b = blob_new(name);
	struct intent *i = intent_find(s, b);

	if (i != NULL && ltime <= i->ltime && !(pruned && !i->pruned)) {
		blob_unref(b);
		return false;
	}
	if (i == NULL) {
		i = mem_new(struct intent);
		i->name = b;
		RB_INSERT(intents, &s->intents, i);
	} else {
		blob_unref(b);
		TAILQ_REMOVE(i->pruned ? &s->pruned : &s->buffered, i, by_age);
		if (i->pruned)
			s->pruned_count--;
		else
			s->buffered_count--;
	}
	i->ltime = ltime;
	i->leave = leave;
	i->pruned |= pruned;
	intent_queue(s, i);
	return true;
}

/* What waited for this member comes true. A certificate has done its duty: SWIM lets nobody back
 * but who proves to live, perhaps without a join intent, when only a link had been away. */
static void
intent_apply(struct serf *s, struct member *m)
{
	struct intent *i = intent_find(s, m->name);

	if (i == NULL)
		return;
	m->m.ltime = i->ltime;
	if (i->leave && !i->pruned && m != s->self)
		member_state(s, m, SERF_LEAVING);
	intent_drop(s, i);
}

/* --- intents --- */

static void
member_prune(struct serf *s, struct member *m)
{
	struct serf_action *a = serf_act(s, SERF_DO_FORGET);

	if (a != NULL)
		a->peer_name = m->m.name;
	member_tell(s, m, SERF_REAPED);
	if (m->m.state == SERF_LEFT)
		intent_buffer(s, m->m.name, m->m.ltime, true, true);
	member_drop(s, m);
}

/* Failed, or leaving and silent: the intent's word makes it left. */
static void
member_left(struct serf *s, struct member *m)
{
	member_state(s, m, SERF_LEFT);
	member_tell(s, m, SERF_WENT);
}

static bool
leave_intent(struct serf *s, struct member *m, const struct serf_intent *in)
{
	if (m == s->self && !s->leaving) {
		s->stats.refutations++;
		serf_intent_announce(s, false, m->m.name, false, 0);
		return false;
	}
	if (in->ltime > m->m.ltime)
		m->m.ltime = in->ltime;
	m->prune |= in->prune && m != s->self;
	if (m->m.state == SERF_ALIVE)
		member_state(s, m, SERF_LEAVING);
	else if (m->m.state == SERF_FAILED)
		member_left(s, m);
	if (m->prune && m->m.state == SERF_LEFT)
		member_prune(s, m);
	return true;
}

bool
serf_intent(struct serf *s, const struct serf_intent *in, bool leave)
{
	struct member *m = serf_members_find(s, in->node);

	if (!serf_witness(s, &s->clock.member, in->ltime))
		return false;
	s->stats.intents++;
	if (m == NULL)
		return in->node.n > 0 && intent_buffer(s, in->node, in->ltime, leave, false);
	/* Of one who left, each push/pull with a serf agent raises the time by one, and whoever
	 * prunes it may be behind. */
	if (in->ltime <= m->m.ltime && !(leave && in->prune && m->m.state == SERF_LEFT)) {
		s->stats.repeated++;
		return false;
	}
	if (leave)
		return leave_intent(s, m, in);
	m->m.ltime = in->ltime;
	m->prune = false;
	m->rejoins = member_list(s, m->m.state) != NULL;
	if (m->m.state == SERF_LEAVING && !(m == s->self && s->leaving))
		member_state(s, m, SERF_ALIVE);
	return true;
}

/* An intent of our own, here and to all. A join uses the clock as it stands and witnesses it; a
 * leave uses it up. Both advance it by one. */
void
serf_intent_announce(struct serf *s, bool leave, struct str name, bool prune, uint64_t id)
{
	uint8_t room[SERF_MESSAGE_MAX];
	struct serf_message m = { .type = leave ? SERF_LEAVE : SERF_JOIN,
		.u.intent = { .ltime = s->clock.member, .node = name, .prune = prune } };
	struct str bytes;

	if (serf_encode(&m, room, sizeof room, &bytes, NULL) == 0)
		serf_pass_on(s, SERF_INTENTS, bytes, id);
	serf_intent(s, &m.u.intent, leave);
}

/* --- what SWIM says --- */

static void
member_alive(struct serf *s, const struct swim_member *now)
{
	struct member *m = serf_members_find(s, now->name);
	bool back, described;

	if (m == NULL && (s->count >= s->config.members_max || now->name.n == 0)) {
		s->stats.dropped++;
		return;
	}
	back = m == NULL || m->m.state == SERF_FAILED || m->m.state == SERF_LEFT;
	if (m == NULL)
		m = member_add(s, now);
	described = member_describe(s, m, now);
	if (back) {
		m->prune = false;
		member_state(s, m, SERF_ALIVE);
		intent_apply(s, m);
		member_tell(s, m, SERF_JOINED);
	} else if (described) {
		member_tell(s, m, SERF_UPDATED);
	}
}

/* Dead and left are one here, as in serf: the intent makes the difference. */
static void
member_gone(struct serf *s, const struct swim_member *now)
{
	struct member *m = serf_members_find(s, now->name);

	if (m == NULL || (m == s->self && !s->leaving))
		return;
	if (m->m.state == SERF_LEAVING) {
		member_left(s, m);
		if (m->prune)
			member_prune(s, m);
	} else if (m->m.state == SERF_ALIVE) {
		member_state(s, m, SERF_FAILED);
		member_tell(s, m, SERF_DIED);
	}
}

void
serf_news(struct serf *s, nsec now, const struct swim_member *m)
{
	serf_begin(s, now);
	if (m->state == SWIM_ALIVE || m->state == SWIM_SUSPECT)
		member_alive(s, m);
	else
		member_gone(s, m);
}

/* --- requests of this host --- */

void
serf_joined(struct serf *s, nsec now)
{
	serf_begin(s, now);
	s->leaving = false;
	s->leave_until = NSEC_NEVER;
	/* Those who left are passed on with a time that is newer by one: a join must be newer yet.
	 */
	serf_witness(s, &s->clock.member, s->clock.member);
	serf_intent_announce(s, false, s->self->m.name, false, 0);
}

static void
leave_go(struct serf *s)
{
	s->leave_until = NSEC_NEVER;
	s->leave_id = 0;
	serf_act(s, SERF_DO_LEAVE);
}

void
serf_leave(struct serf *s, nsec now)
{
	serf_begin(s, now);
	if (s->leaving)
		return;
	s->leaving = true;
	s->leave_id = ++s->last_id;
	s->leave_until = now + s->config.leave_wait;
	serf_intent_announce(s, true, s->self->m.name, false, s->leave_id);
	if (serf_alive_count(s) == 0)
		leave_go(s);
}

void
serf_broadcast_done(struct serf *s, nsec now, uint64_t id)
{
	serf_begin(s, now);
	if (id != 0 && id == s->leave_id)
		leave_go(s);
}

int
serf_force_leave(struct serf *s, nsec now, struct str name, bool prune, struct err *err)
{
	struct member *m = serf_members_find(s, name);

	serf_begin(s, now);
	if (m == NULL)
		return err_set(
		    err, ERR_NOT_FOUND, "no member is called \"" STR_FMT "\"", STR_ARG(name));
	if (m == s->self)
		return err_set(err, ERR_REFUSED,
		    "\"" STR_FMT "\" is this agent: it can leave, but not be forced to",
		    STR_ARG(name));
	serf_intent_announce(s, true, m->m.name, prune, 0);
	return 0;
}

void
serf_rename(struct serf *s, nsec now, struct str name)
{
	struct member *m = serf_members_find(s, name), *self = s->self;

	serf_begin(s, now);
	if (m == self)
		return;
	if (m != NULL)
		member_drop(s, m);
	RB_REMOVE(members, &s->members, self);
	serf_spend(s, self->name);
	self->name = blob_new(name);
	self->m.name = s->config.name = blob_str(self->name);
	RB_INSERT(members, &s->members, self);
	member_tell(s, self, SERF_JOINED);
}

int
serf_meta_set(struct serf *s, nsec now, struct str meta, struct err *err)
{
	struct swim_member self = { .name = s->self->m.name,
		.addr = s->self->m.addr,
		.vsn = s->self->m.vsn,
		.meta = meta };
	struct serf_action *a;

	serf_begin(s, now);
	if (meta.n > WIRE_META_MAX)
		return err_set(
		    err, ERR_LIMIT, "tags take %zu bytes, the limit is %d", meta.n, WIRE_META_MAX);
	if (!member_describe(s, s->self, &self))
		return 0;
	a = serf_act(s, SERF_DO_META);
	if (a != NULL)
		a->bytes = s->self->m.meta;
	member_tell(s, s->self, SERF_UPDATED);
	return 0;
}

/* --- time --- */

static void
reap_list(struct serf *s, struct gone_list *list, nsec after)
{
	struct member *m;

	while ((m = TAILQ_FIRST(list)) != NULL && m != s->self && m->m.since + after <= s->now) {
		s->stats.reaped++;
		member_prune(s, m);
	}
}

/* With probability failed / alive, one of the failed, whichever. */
static void
reconnect(struct serf *s)
{
	size_t failed = s->state_count[SERF_FAILED], alive = serf_alive_count(s) + 1;
	struct serf_action *a;
	struct member *m;
	uint32_t k;

	if (failed == 0 || (failed < alive && rng_below(&s->rng, (uint32_t)alive) >= failed))
		return;
	k = rng_below(&s->rng, (uint32_t)failed);
	for (m = TAILQ_FIRST(&s->failed); k > 0; k--)
		m = TAILQ_NEXT(m, gone);
	a = serf_act(s, SERF_DO_RECONNECT);
	if (a == NULL)
		return;
	a->peer = m->m.addr;
	a->peer_name = m->m.name;
	s->stats.reconnects++;
}

static void
expire(struct serf *s, struct intent_list *list)
{
	struct intent *i;

	while ((i = TAILQ_FIRST(list)) != NULL && i->until <= s->now)
		intent_drop(s, i);
}

/* An intent may have been of an earlier life, or about somebody else's error, and the join that
 * should have ended it was not heard, or not newer. */
static void
leaving_ends(struct serf *s)
{
	struct member *m;

	if (s->leaving_next > s->now)
		return;
	s->leaving_next = NSEC_NEVER;
	RB_FOREACH (m, members, &s->members) {
		if (m->m.state != SERF_LEAVING || m == s->self)
			continue;
		if (m->m.since + SERF_LEAVING_MAX > s->now)
			s->leaving_next = nsec_min(s->leaving_next, m->m.since + SERF_LEAVING_MAX);
		else
			member_state(s, m, SERF_ALIVE);
	}
}

void
serf_members_tick(struct serf *s)
{
	leaving_ends(s);
	if (s->leave_until <= s->now)
		leave_go(s);
	reap_list(s, &s->failed, s->config.reap_failed);
	reap_list(s, &s->left, s->config.reap_left);
	expire(s, &s->buffered);
	expire(s, &s->pruned);
	if (s->reconnect_next <= s->now) {
		s->reconnect_next = s->now + SERF_RECONNECT;
		if (!s->leaving)
			reconnect(s);
	}
}

nsec
serf_members_deadline(const struct serf *s)
{
	const struct member *failed = TAILQ_FIRST(&s->failed), *left = TAILQ_FIRST(&s->left);
	const struct intent *buffered = TAILQ_FIRST(&s->buffered),
			    *pruned = TAILQ_FIRST(&s->pruned);
	nsec due = nsec_min(nsec_min(s->reconnect_next, s->leave_until), s->leaving_next);

	if (failed != NULL)
		due = nsec_min(due, failed->m.since + s->config.reap_failed);
	if (left != NULL && left != s->self)
		due = nsec_min(due, left->m.since + s->config.reap_left);
	if (buffered != NULL)
		due = nsec_min(due, buffered->until);
	if (pruned != NULL)
		due = nsec_min(due, pruned->until);
	return due;
}

/* --- life, and what others may ask --- */

void
serf_members_init(struct serf *s)
{
	struct swim_member self = { .name = s->config.name,
		.addr = s->config.advertise,
		.meta = s->config.meta,
		.vsn = wire_vsn_ours };

	RB_INIT(&s->members);
	RB_INIT(&s->intents);
	TAILQ_INIT(&s->failed);
	TAILQ_INIT(&s->left);
	TAILQ_INIT(&s->buffered);
	TAILQ_INIT(&s->pruned);
	s->self = member_add(s, &self);
	member_state(s, s->self, SERF_ALIVE);
	member_tell(s, s->self, SERF_JOINED);
	s->config.name = s->self->m.name;
	s->config.meta = STR_NONE; /* from here on in self */
}

void
serf_members_done(struct serf *s)
{
	struct member *m;
	struct intent *i;

	while ((m = RB_ROOT(&s->members)) != NULL)
		member_drop(s, m);
	while ((i = RB_ROOT(&s->intents)) != NULL)
		intent_drop(s, i);
}

size_t
serf_alive_count(const struct serf *s)
{
	return s->state_count[SERF_ALIVE] - (s->self->m.state == SERF_ALIVE ? 1 : 0);
}

struct member *
serf_alive_other(const struct serf *s, size_t k)
{
	struct member *m;

	RB_FOREACH (m, members, (struct members *)(uintptr_t)&s->members)
		if (m != s->self && m->m.state == SERF_ALIVE && k-- == 0)
			return m;
	return NULL;
}

size_t
serf_member_count(const struct serf *s, enum serf_state state)
{
	return state == SERF_NONE ? s->count : s->state_count[state];
}

bool
serf_member_next(const struct serf *s, struct str after, struct serf_member *out)
{
	struct member key = { .m.name = after };
	struct member *m = RB_NFIND(members, (struct members *)(uintptr_t)&s->members, &key);

	if (m != NULL && after.n > 0 && str_eq(m->m.name, after))
		m = RB_NEXT(members, &s->members, m);
	if (m == NULL)
		return false;
	*out = m->m;
	return true;
}

bool
serf_member_find(const struct serf *s, struct str name, struct serf_member *out)
{
	const struct member *m = serf_members_find(s, name);

	if (m == NULL)
		return false;
	*out = m->m;
	return true;
}
