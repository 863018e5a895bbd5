/* agent/pool/presence.c -- whose services are shown (RULES 16, 17; DESIGN, when things go wrong).
 *
 * Every word about a member ends in member_settle(), which looks at that member as it now stands
 * and says what the store should show; what has to wait is looked at again at its moment. So
 * nothing depends on the order of words, and several reasons to wait simply follow one another.
 *
 * Parts: members; what is to be told; being cut off; reasons to wait; one member; words; time.
 */
#include "agent/pool/presence_private.h"

#include <stdlib.h>

#include "base/mem.h"

#define SUSPICION_DEFAULT (10 * NSEC_SEC)
#define RESTART_MAX_DEFAULT (10 * NSEC_MIN)
#define HOLD_MAX_DEFAULT (5 * NSEC_MIN)
#define DAMP_FLAPS_DEFAULT 2
#define HOLD_LOOK NSEC_SEC /* who is held back is looked at so often: others may be back */

/* Members. */

static int
presence_member_cmp(const struct presence_member *a, const struct presence_member *b)
{
	return uuid_cmp(&a->id, &b->id);
}

RB_GENERATE(presence_members, presence_member, link, presence_member_cmp)

struct presence_member *
presence_find(const struct presence *p, const struct uuid *id)
{
	struct presence_member *at = RB_ROOT(&p->members);

	while (at != NULL) {
		int d = uuid_cmp(id, &at->id);

		if (d == 0)
			return at;
		at = d < 0 ? RB_LEFT(at, link) : RB_RIGHT(at, link);
	}
	return NULL;
}

static struct presence_member *
member_add(struct presence *p, nsec now, const struct uuid *id)
{
	struct presence_member *m;

	if (p->count == PRESENCE_MEMBERS_MAX) {
		p->stats.refused++;
		return NULL;
	}
	m = mem_new(struct presence_member);
	m->id = *id;
	m->known_since = now;
	RB_INSERT(presence_members, &p->members, m);
	p->count++;
	return m;
}

static void
waiting_set(struct presence *p, struct presence_member *m, nsec until)
{
	bool waits = until != NSEC_NEVER;

	m->wait_until = until;
	if (waits == m->waiting)
		return;
	m->waiting = waits;
	if (waits)
		TAILQ_INSERT_TAIL(&p->waiting, m, in_waiting);
	else
		TAILQ_REMOVE(&p->waiting, m, in_waiting);
}

static void
recent_drop(struct presence *p, struct presence_member *m)
{
	if (m->recent)
		TAILQ_REMOVE(&p->recent, m, in_recent);
	m->recent = false;
}

static void
recent_expire(struct presence *p, nsec now)
{
	struct presence_member *m;

	while ((m = TAILQ_FIRST(&p->recent)) != NULL && now - m->failed_at > p->config.suspicion)
		recent_drop(p, m);
}

/* Only ever through here, so that the counts hold. */
static void
failed_set(struct presence *p, nsec now, struct presence_member *m, bool failed)
{
	if (m->failed == failed)
		return;
	p->failed += failed ? 1 : (size_t)-1;
	if (m->episode)
		p->returned += failed ? (size_t)-1 : 1;
	m->failed = failed;
	recent_drop(p, m);
	if (failed) {
		m->failed_at = now;
		m->recent = true;
		TAILQ_INSERT_TAIL(&p->recent, m, in_recent);
	} else {
		m->restart_until = m->restart_next;
		m->restart_next = m->refused_at = 0;
		m->left = false;
	}
	m->hold_until = 0;
	m->damped = false;
}

static void
episode_set(struct presence *p, struct presence_member *m, bool in)
{
	if (m->episode == in)
		return;
	m->episode = in;
	p->episode += in ? 1 : (size_t)-1;
	if (!m->failed)
		p->returned += in ? 1 : (size_t)-1;
}

/* What is to be told. Each member is listed at most once, in the order of the first change. */

static void
pending_add(struct presence *p, struct presence_member *m)
{
	if (!m->pending)
		TAILQ_INSERT_TAIL(&p->pending, m, in_pending);
	m->pending = true;
}

static void
show(struct presence *p, nsec now, struct presence_member *m, enum presence_shown shown,
    const char *why)
{
	if (m->shown == shown)
		return;
	if (shown == SHOWN_HIDDEN) {
		m->hidden_at = now;
		if (m->shown != SHOWN_NOT) {
			memmove(m->hides + 1, m->hides, sizeof m->hides - sizeof m->hides[0]);
			m->hides[0] = now;
		}
	}
	m->shown = shown;
	m->why = why;
	pending_add(p, m);
}

bool
presence_next(struct presence *p, struct presence_show *out)
{
	static const enum store_member_state states[] = {
		[SHOWN_ALIVE] = STORE_MEMBER_ALIVE,
		[SHOWN_KEPT] = STORE_MEMBER_KEPT,
		[SHOWN_HIDDEN] = STORE_MEMBER_FAILED,
	};
	struct presence_member *m = TAILQ_FIRST(&p->pending);

	if (m == NULL)
		return false;
	TAILQ_REMOVE(&p->pending, m, in_pending);
	m->pending = false;
	*out = (struct presence_show){
		.id = m->id,
		.state = m->gone ? STORE_MEMBER_GONE : states[m->shown],
		.certificate_until = m->gone ? m->certificate_until : 0,
		.why = m->why,
	};
	if (m->gone)
		free(m);
	return true;
}

/* Being cut off. */

/* Its host answered when it failed, if only by a refusal. */
static bool
is_dead_for_sure(const struct presence *p, const struct presence_member *m)
{
	return m->refused_at > 0 && m->failed_at - m->refused_at <= p->config.suspicion;
}

/* An announced restart is no loss of contact: it counts on neither side. So does who was never seen
 * alive, or has become known only within the window. */
static bool
is_lost(const struct presence *p, nsec now, const struct presence_member *m)
{
	return m->shown != SHOWN_NOT && m->restart_until <= m->failed_at &&
	       !is_dead_for_sure(p, m) && now - m->known_since > p->config.suspicion;
}

/* Nobody is heard: with two or more others there, that is hardly their doing. */
static bool
is_silent(const struct presence *p, nsec now)
{
	return p->heard_at > 0 && now - p->heard_at > PRESENCE_SILENCE && p->count >= 2;
}

/* More than half of all that were there, ourselves among them, within one suspicion time. */
static bool
lost_half(const struct presence *p, nsec now)
{
	const struct presence_member *m;
	size_t lost = 0, there = 1 + p->count - p->failed;

	TAILQ_FOREACH (m, &p->recent, in_recent)
		lost += is_lost(p, now, m);
	return lost >= 2 && lost * 2 > there + lost;
}

static bool
lost_in_silence(const struct presence *p, nsec now, const struct presence_member *m)
{
	return is_silent(p, now) && m->shown != SHOWN_NOT && !is_dead_for_sure(p, m);
}

static void member_settle(struct presence *, nsec now, struct presence_member *);

static void
cut_off_begin(struct presence *p, nsec now)
{
	struct presence_member *m;

	p->cut_off = true;
	p->silent = is_silent(p, now);
	p->contact = false;
	p->cut_off_since = now;
	p->cut_off_until = now + PRESENCE_CUT_OFF_MAX;
	p->stats.cut_offs++;
	TAILQ_FOREACH (m, &p->recent, in_recent)
		if (m->shown != SHOWN_NOT && !is_dead_for_sure(p, m))
			episode_set(p, m, true);
	TAILQ_FOREACH (m, &p->recent, in_recent)
		member_settle(p, now, m);
}

static void
cut_off_end(struct presence *p, nsec now)
{
	struct presence_member *m;

	p->cut_off = false;
	RB_FOREACH (m, presence_members, &p->members)
		episode_set(p, m, false);
	RB_FOREACH (m, presence_members, &p->members)
		if (m->failed)
			member_settle(p, now, m);
}

static void
cut_off_until_set(struct presence *p, nsec now, nsec until)
{
	struct presence_member *m;

	if (until == p->cut_off_until)
		return;
	p->cut_off_until = until;
	RB_FOREACH (m, presence_members, &p->members)
		if (m->episode && m->failed)
			member_settle(p, now, m);
}

/* There is contact again: who is still lost has one suspicion time to follow. */
static void
cut_off_contact(struct presence *p, nsec now)
{
	cut_off_until_set(p, now, nsec_min(p->cut_off_until, now + p->config.suspicion));
}

/* One that was back is lost again; if it was all the contact there was, we are where we were. */
static void
cut_off_contact_lost(struct presence *p, nsec now)
{
	if (p->returned == 0 && !p->contact)
		cut_off_until_set(p, now, p->cut_off_since + PRESENCE_CUT_OFF_MAX);
}

/* Reasons to wait. Each gives the moment until which the hiding waits, or 0. */

static nsec
wait_for_restart(const struct presence_member *m, nsec now)
{
	return m->restart_until > now ? m->restart_until : 0;
}

static nsec
wait_for_contact(const struct presence *p, const struct presence_member *m)
{
	return p->cut_off && m->episode ? p->cut_off_until : 0;
}

static nsec
wait_for_calm(struct presence *p, nsec now, struct presence_member *m)
{
	nsec oldest = m->hides[p->config.damp_flaps - 1];

	if (oldest == 0 || now - oldest >= PRESENCE_FLAP_WINDOW)
		return 0;
	p->stats.damped += !m->damped;
	m->damped = true;
	return oldest + PRESENCE_FLAP_WINDOW;
}

static nsec
wait_for_others(struct presence *p, nsec now, struct presence_member *m)
{
	if ((m->hold_until > 0 && m->hold_until <= now) || !presence_share_exceeded(p, now, m))
		return 0;
	if (m->hold_until == 0) {
		m->hold_until = now + p->config.hold_max;
		p->stats.held++;
	}
	return nsec_min(m->hold_until, now + HOLD_LOOK);
}

/* One member. */

static void
member_keep(struct presence *p, nsec now, struct presence_member *m, nsec until, const char *why)
{
	waiting_set(p, m, until);
	show(p, now, m, SHOWN_KEPT, why);
}

static void
failed_settle(struct presence *p, nsec now, struct presence_member *m)
{
	nsec until;

	if ((until = wait_for_restart(m, now)) > 0) {
		/* No mark: a restart as announced is nobody's news. */
		waiting_set(p, m, until);
		if (m->shown != SHOWN_KEPT)
			show(p, now, m, SHOWN_ALIVE, "restarting: shown until its grace is over");
	} else if ((until = wait_for_contact(p, m)) > 0) {
		member_keep(p, now, m, until, "kept: we seem to be cut off ourselves");
	} else if (m->shown == SHOWN_NOT || m->shown == SHOWN_HIDDEN) {
		waiting_set(p, m, NSEC_NEVER);
		show(p, now, m, SHOWN_HIDDEN, "failed");
	} else if ((until = wait_for_calm(p, now, m)) > 0) {
		member_keep(p, now, m, until, "kept: it comes and goes too often");
	} else if ((until = wait_for_others(p, now, m)) > 0) {
		member_keep(p, now, m, until, "kept: too much of a service would be hidden");
	} else {
		waiting_set(p, m, NSEC_NEVER);
		show(p, now, m, SHOWN_HIDDEN, "failed");
	}
}

static void
member_settle(struct presence *p, nsec now, struct presence_member *m)
{
	if (m->failed) {
		failed_settle(p, now, m);
		return;
	}
	waiting_set(p, m, NSEC_NEVER);
	show(p, now, m, SHOWN_ALIVE, "alive");
}

/* Words. */

static void
word_alive(struct presence *p, nsec now, struct presence_member *m)
{
	failed_set(p, now, m, false);
	member_settle(p, now, m);
	if (p->cut_off && p->returned == p->episode)
		cut_off_end(p, now); /* all are back */
	else if (p->cut_off && m->episode)
		cut_off_contact(p, now);
}

static void
word_failed(struct presence *p, nsec now, struct presence_member *m)
{
	m->left = false;
	if (m->failed)
		return;
	failed_set(p, now, m, true);
	if (p->cut_off && m->shown != SHOWN_NOT) {
		bool again = m->episode;

		episode_set(p, m, !is_dead_for_sure(p, m));
		member_settle(p, now, m);
		if (again)
			cut_off_contact_lost(p, now);
	} else if (!p->cut_off && (lost_half(p, now) || lost_in_silence(p, now, m))) {
		cut_off_begin(p, now); /* settles this one too */
	} else {
		member_settle(p, now, m);
	}
}

/* Its records go, whatever was waiting. A member that was never known is told of too: the store may
 * hold records of its that came some other way. */
static void
word_gone(struct presence *p, nsec now, struct presence_member *m, const char *why)
{
	failed_set(p, now, m, false);
	episode_set(p, m, false);
	waiting_set(p, m, NSEC_NEVER);
	RB_REMOVE(presence_members, &p->members, m);
	p->count--;
	m->gone = true;
	m->why = why;
	m->certificate_until = now + p->config.certificate;
	pending_add(p, m);
	if (p->cut_off && p->episode == 0)
		cut_off_end(p, now);
}

/* Who said that it would be back is waited for, whatever others say: that it left may be said of
 * its former life, and hit the next one late. Who does not want to wait prunes it. */
static void
word_left(struct presence *p, nsec now, struct presence_member *m)
{
	if (m->shown == SHOWN_NOT || m->restart_until <= now) {
		word_gone(p, now, m, "left");
		return;
	}
	word_failed(p, now, m);
	m->left = true;
}

static struct presence_member *
stays_away(const struct presence *p, nsec now)
{
	struct presence_member *m;

	TAILQ_FOREACH (m, &p->waiting, in_waiting)
		if (m->left && m->restart_until <= now)
			return m;
	return NULL;
}

void
presence_member(struct presence *p, nsec now, const struct uuid *id, enum presence_word word)
{
	struct presence_member *m;

	if (uuid_eq(id, &p->config.self))
		return;        /* nobody tells us how we are */
	presence_tick(p, now); /* it may be gone by that */
	m = presence_find(p, id);
	if (m == NULL && (m = member_add(p, now, id)) == NULL)
		return;
	switch (word) {
	case PRESENCE_ALIVE:
		word_alive(p, now, m);
		break;
	case PRESENCE_FAILED:
		word_failed(p, now, m);
		break;
	case PRESENCE_LEFT:
		word_left(p, now, m);
		break;
	case PRESENCE_REAPED:
		word_gone(p, now, m, "reaped");
		break;
	}
}

void
presence_restarts(struct presence *p, nsec now, const struct uuid *id, nsec grace)
{
	struct presence_member *m;
	nsec until;

	presence_tick(p, now);
	m = presence_find(p, id);
	if (m == NULL || grace <= 0)
		return;
	grace = nsec_min(grace, p->config.restart_max);
	if (m->failed)
		m->restart_next = now + grace;
	until = (m->failed ? m->failed_at : now) + grace;
	if (until <= now || until <= m->restart_until)
		return;
	p->stats.restarts += m->restart_until <= now;
	m->restart_until = until;
	if (m->failed)
		member_settle(p, now, m);
}

void
presence_returned(struct presence *p, const struct uuid *id)
{
	struct presence_member *m = presence_find(p, id);

	if (m == NULL)
		return;
	m->restart_next = 0;
	if (!m->failed)
		m->restart_until = 0;
}

void
presence_heard(struct presence *p, nsec now)
{
	p->heard_at = now;
	if (!p->cut_off || !p->silent)
		return;
	p->silent = false;
	p->contact = true;
	cut_off_contact(p, now);
}

void
presence_refused(struct presence *p, nsec now, const struct uuid *id)
{
	struct presence_member *m;

	presence_tick(p, now);
	m = presence_find(p, id);
	if (m == NULL)
		return;
	m->refused_at = now;
	if (p->heard_at > 0)
		p->heard_at = now;
	if (!p->cut_off)
		return;
	p->silent = false;
	p->contact = true;
	cut_off_contact(p, now);
	if (m->failed && m->episode) {
		episode_set(p, m, false);
		member_settle(p, now, m);
	}
}

void
presence_configure(struct presence *p, unsigned hold_share, unsigned damp_flaps)
{
	if (damp_flaps == 0)
		damp_flaps = DAMP_FLAPS_DEFAULT;
	p->config.hold_share = hold_share;
	p->config.damp_flaps = damp_flaps < PRESENCE_FLAPS_MAX ? damp_flaps : PRESENCE_FLAPS_MAX;
}

/* Time. */

void
presence_tick(struct presence *p, nsec now)
{
	struct presence_member *m, *next;

	recent_expire(p, now);
	while ((m = stays_away(p, now)) != NULL)
		word_gone(p, now, m, "left");
	if (p->cut_off && p->cut_off_until <= now)
		cut_off_end(p, now);
	TAILQ_FOREACH_SAFE (m, &p->waiting, in_waiting, next)
		if (m->wait_until <= now)
			member_settle(p, now, m);
}

nsec
presence_deadline(const struct presence *p)
{
	nsec at = p->cut_off ? p->cut_off_until : NSEC_NEVER;
	const struct presence_member *m;

	TAILQ_FOREACH (m, &p->waiting, in_waiting)
		at = nsec_min(at, m->wait_until);
	return at;
}

/* Life and reading. */

struct presence *
presence_new(const struct presence_config *config, nsec now)
{
	struct presence *p = mem_new(struct presence);

	(void)now; /* nothing is known yet, so nothing has a moment */
	p->config = *config;
	if (p->config.suspicion == 0)
		p->config.suspicion = SUSPICION_DEFAULT;
	if (p->config.restart_max == 0)
		p->config.restart_max = RESTART_MAX_DEFAULT;
	if (p->config.hold_max == 0)
		p->config.hold_max = HOLD_MAX_DEFAULT;
	presence_configure(p, config->hold_share, config->damp_flaps);
	TAILQ_INIT(&p->pending);
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->recent);
	return p;
}

void
presence_free(struct presence *p)
{
	struct presence_member *m;

	if (p == NULL)
		return;
	while ((m = TAILQ_FIRST(&p->pending)) != NULL) {
		TAILQ_REMOVE(&p->pending, m, in_pending);
		if (m->gone)
			free(m);
	}
	while ((m = RB_ROOT(&p->members)) != NULL) {
		RB_REMOVE(presence_members, &p->members, m);
		free(m);
	}
	free(p);
}

bool
presence_cut_off(const struct presence *p)
{
	return p->cut_off;
}

struct presence_stats
presence_stats(const struct presence *p)
{
	struct presence_stats stats = p->stats;
	const struct presence_member *m;

	stats.members = p->count;
	stats.failed = p->failed;
	TAILQ_FOREACH (m, &p->waiting, in_waiting)
		stats.kept++;
	return stats;
}
