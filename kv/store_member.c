/* kv/store_member.c -- whose records are shown, whose wait, whose are kept away (RULES 6).
 *
 * Parts: times; states; what membership says; certificates; the clock. A member is UNKNOWN from its
 * first record on until membership names it or its minute is over; ALIVE or FAILED it shows; GONE
 * it is only a certificate, which ends by itself.
 */
#include <stdlib.h>

#include "kv/store_priv.h"

#define UNKNOWN_WAIT (60 * NSEC_SEC)

/* Times. */

/* Keeps the earliest moment of all. It may be too early when it was the one that went: then one
 * look finds nothing to do. */
static void
member_times_set(struct store *s, struct store_member *m, nsec until, nsec gone_until)
{
	m->until = until;
	m->gone_until = gone_until;
	s->due = nsec_min(s->due, nsec_min(until, gone_until));
}

void
store_member_heard(struct store_member *m, struct epoch epoch)
{
	if (epoch.counter > m->heard.counter)
		m->heard = epoch;
}

/* States. */

size_t
store_member_cost(const struct store_member *m)
{
	if (m->state != MEMBER_UNKNOWN)
		return 0;
	return STORE_OWNER_COST + owner_bytes(m->owner) + STORE_RECORD_COST * owner_count(m->owner);
}

static void
member_state_set(struct store *s, struct store_member *m, enum member_state state)
{
	s->unknown_bytes -= store_member_cost(m);
	if (m->owner == NULL && state != MEMBER_GONE)
		m->owner = owner_new(&m->id, &s->config.limits);
	if (m->owner != NULL && state == MEMBER_GONE) {
		owner_free(m->owner);
		m->owner = NULL;
	}
	s->gone_count += state == MEMBER_GONE;
	s->gone_count -= m->state == MEMBER_GONE;
	m->state = state;
	s->unknown_bytes += store_member_cost(m);
	s->version++;
}

/* Without records; without a certificate too nothing is left to keep. */
static void
member_drop(struct store *s, struct store_member *m, struct epoch gone_at, nsec gone_until)
{
	member_state_set(s, m, MEMBER_GONE);
	m->gone_at = gone_at;
	member_times_set(s, m, NSEC_NEVER, gone_at.counter > 0 ? gone_until : NSEC_NEVER);
	if (gone_at.counter > 0)
		return;
	RB_REMOVE(store_members, &s->members, m);
	s->gone_count--;
	free(m);
}

bool
store_member_is_writer(const struct store *s, const struct store_member *m)
{
	return m->owner == s->self || (m->owner != NULL && m->owner == s->cluster);
}

struct store_member *
store_member_for(struct store *s, struct now now, const struct uuid *id, struct epoch epoch)
{
	struct store_member *m = store_member_find(s, id);

	if (m != NULL && m->owner != NULL && owner_is_writer(m->owner))
		return NULL; /* nobody tells us what we wrote */
	if (m != NULL && epoch.counter <= m->gone_at.counter)
		return NULL;
	if (m != NULL && m->state != MEMBER_GONE)
		return m;
	if (s->unknown_bytes + STORE_OWNER_COST > s->config.unknown_bytes_max) {
		s->stats.unknown_dropped++;
		return NULL;
	}
	if (m == NULL)
		m = store_member_add(s, id, MEMBER_GONE);
	member_state_set(s, m, MEMBER_UNKNOWN);
	s->stats.unknown++;
	member_times_set(s, m, now.mono + UNKNOWN_WAIT, m->gone_until);
	return m;
}

/* What membership says. */

static void
member_gone(
    struct store *s, struct catalog_step *step, struct store_member *m, nsec certificate_until)
{
	struct epoch gone_at = m->gone_at;

	if (m->owner == NULL)
		return;
	store_member_heard(m, owner_digest(m->owner).epoch);
	if (certificate_until > 0 && m->heard.counter > gone_at.counter)
		gone_at = m->heard;
	catalog_agent_drop(step, &m->id);
	catalog_cluster_drop(step, &m->id);
	if (certificate_until < m->gone_until && m->gone_until != NSEC_NEVER)
		certificate_until = m->gone_until;
	member_drop(s, m, gone_at, certificate_until);
}

/* Whoever does not live, and whose records a certificate speaks of, is forgotten here as it was
 * where the certificate comes from. Whoever lives, by what membership says, shows what it has until
 * it hears of its own death and begins anew. */
static void
member_bury(struct store *s, struct catalog_step *step, struct store_member *m)
{
	uint64_t counter = m->owner == NULL ? 0 : owner_digest(m->owner).epoch.counter;

	if (m->state == MEMBER_ALIVE || counter == 0 || counter > m->gone_at.counter)
		return;
	if (m->state == MEMBER_UNKNOWN) {
		s->stats.unknown_dropped += owner_count(m->owner);
		member_drop(s, m, m->gone_at, m->gone_until);
		return;
	}
	catalog_agent_drop(step, &m->id);
	owner_free(m->owner);
	m->owner = owner_new(&m->id, &s->config.limits);
	catalog_agent_set(step, m->owner, AGENT_FAILED);
	s->version++;
}

void
store_member(struct store *s, struct now now, const struct uuid *id, enum store_member_state state,
    nsec certificate_until)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct store_member *m = store_member_find(s, id);

	if (m != NULL && store_member_is_writer(s, m))
		return; /* neither joins nor dies */
	if (state == STORE_MEMBER_GONE) {
		if (m != NULL)
			member_gone(s, &step, m, certificate_until);
		return;
	}
	if (m == NULL)
		m = store_member_add(s, id, MEMBER_GONE);
	member_state_set(s, m, state == STORE_MEMBER_ALIVE ? MEMBER_ALIVE : MEMBER_FAILED);
	member_times_set(s, m, NSEC_NEVER, m->gone_until);
	catalog_agent_set(&step, m->owner,
	    state == STORE_MEMBER_FAILED ? AGENT_FAILED
	    : state == STORE_MEMBER_KEPT ? AGENT_KEPT
					 : AGENT_ALIVE);
	member_bury(s, &step, m);
}

void
store_cluster(struct store *s, struct now now, const struct uuid *id, bool shown)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct store_member *m = store_member_find(s, id);

	if (m != NULL && store_member_is_writer(s, m))
		return;
	if (!shown) {
		if (m != NULL)
			member_gone(s, &step, m, 0);
		return;
	}
	if (m == NULL)
		m = store_member_add(s, id, MEMBER_GONE);
	member_state_set(s, m, MEMBER_ALIVE);
	member_times_set(s, m, NSEC_NEVER, m->gone_until);
	catalog_cluster_add(&step, m->owner);
}

/* Certificates. */

static bool
certificate_of(const struct store_member *m, struct now now, struct store_certificate *out)
{
	if (m == NULL || m->gone_at.counter == 0 || m->gone_until <= now.mono)
		return false;
	*out = (struct store_certificate){ m->id, m->gone_at, m->gone_until - now.mono };
	return true;
}

bool
store_certificate_of(
    const struct store *s, struct now now, const struct uuid *id, struct store_certificate *out)
{
	return certificate_of(store_member_find(s, id), now, out);
}

bool
store_certificate_next(
    const struct store *s, struct now now, size_t *cursor, struct store_certificate *out)
{
	struct store_member *m = (struct store_member *)*cursor;

	while ((m = store_member_next(s, m)) != NULL) {
		*cursor = (uintptr_t)m;
		if (certificate_of(m, now, out))
			return true;
	}
	return false;
}

bool
store_certificate(struct store *s, struct now now, const struct store_certificate *c)
{
	struct catalog_step step = catalog_step(s->catalog, now.wall_ms);
	struct store_member *m = store_member_find(s, &c->id);
	nsec left = nsec_min(c->left, STORE_CERTIFICATE_SPAN);

	if (c->epoch.counter == 0 || left <= 0 || (m != NULL && m->owner != NULL && m->owner == s->cluster))
		return false;
	if (store_is_jump(m == NULL ? NULL : m->owner, c->epoch, 0)) {
		s->stats.refused++;
		return false;
	}
	if (m != NULL && m->owner == s->self)
		return c->epoch.counter >= owner_digest(s->self).epoch.counter;
	if (m != NULL && c->epoch.counter <= m->gone_at.counter)
		return false;
	if (m == NULL && s->gone_count >= STORE_CERTIFICATES_MAX) {
		s->stats.refused++;
		return false;
	}
	if (m == NULL)
		m = store_member_add(s, &c->id, MEMBER_GONE);
	m->gone_at = c->epoch;
	member_times_set(s, m, m->until, now.mono + left);
	s->version++;
	member_bury(s, &step, m);
	return false;
}

/* The clock. */

void
store_tick(struct store *s, struct now now)
{
	struct store_member *m, *next;

	if (now.mono < s->due)
		return;
	s->due = NSEC_NEVER;
	RB_FOREACH_SAFE (m, store_members, &s->members, next) {
		struct epoch gone_at = m->gone_at;

		if (m->gone_until <= now.mono) {
			gone_at = (struct epoch){ 0 };
			m->gone_at = gone_at;
			member_times_set(s, m, m->until, NSEC_NEVER);
		}
		if (m->state == MEMBER_UNKNOWN && m->until <= now.mono) {
			s->stats.unknown_dropped += owner_count(m->owner);
			member_drop(s, m, gone_at, m->gone_until);
		} else if (m->state == MEMBER_GONE && gone_at.counter == 0) {
			member_drop(s, m, gone_at, NSEC_NEVER);
		} else {
			member_times_set(s, m, m->until, m->gone_until);
		}
	}
}

nsec
store_deadline(const struct store *s)
{
	return s->due;
}
