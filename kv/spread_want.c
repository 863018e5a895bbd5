/* kv/spread_want.c -- who has news announces it; who is behind asks; who is asked gives ranges.
 *
 * Parts: announcements; wants; ranges out; what comes in. A want is one owner whose records are on
 * their way: asked of one peer, again after a while, of another, and then left to repair.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kv/spread_priv.h"

/* Announcements. What is said of an owner is read when it is said. */

static struct spread_rumor *
rumor_for(struct spread *s, const struct uuid *owner)
{
	for (size_t i = 0; i < s->rumor_count; i++)
		if (uuid_eq(&s->rumors[i].owner, owner))
			return &s->rumors[i];
	if (s->rumor_count == SPREAD_RUMORS_MAX)
		return NULL; /* repair will find it */
	s->rumors[s->rumor_count] = (struct spread_rumor){ .owner = *owner };
	return &s->rumors[s->rumor_count++];
}

void
spread_rumor(struct spread *s, struct now now, const struct uuid *owner)
{
	struct spread_rumor *r = rumor_for(s, owner);

	if (r == NULL)
		return;
	r->left = SPREAD_RUMOR_ROUNDS;
	if (s->announce_at == NSEC_NEVER)
		s->announce_at = now.mono + s->config.announce_after;
}

void
spread_announce_now(struct spread *s, struct now now, const struct uuid *owner)
{
	struct spread_rumor *r = rumor_for(s, owner);

	(void)now;
	if (r != NULL)
		r->urgent = true;
}

/* To whom an announcement goes. */
#define AUDIENCE_MAX 64
struct audience {
	struct uuid ids[AUDIENCE_MAX];
	size_t count;
};

static void
audience_pick(struct spread *s, size_t want, struct audience *a)
{
	a->count = 0;
	if (want > AUDIENCE_MAX)
		want = AUDIENCE_MAX;
	for (size_t tries = 0; a->count < want && tries < 4 * want; tries++) {
		struct spread_peer *p = spread_peer_random(s, NULL);
		bool there = false;

		if (p == NULL)
			return;
		for (size_t i = 0; i < a->count; i++)
			there |= uuid_eq(&a->ids[i], &p->id);
		if (!there)
			a->ids[a->count++] = p->id;
	}
}

static void
announce_send(struct spread *s, const struct audience *a, const struct writer *w)
{
	if (w->pos == SPREAD_HEAD)
		return;
	for (size_t i = 0; i < a->count; i++) {
		spread_send(s, &a->ids[i], wr_done(w));
		s->stats.announced++;
	}
}

static void
announce(struct spread *s, const struct audience *a, bool urgent)
{
	struct writer w = spread_begin(s, SPREAD_M_ANNOUNCE);
	struct digest d;

	for (size_t i = 0; i < s->rumor_count; i++) {
		if (urgent && !s->rumors[i].urgent)
			continue;
		if (!store_digest_of(s->store, &s->rumors[i].owner, &d))
			continue;
		if (w.cap - w.pos < DIGEST_SIZE_MAX) {
			announce_send(s, a, &w);
			w = spread_begin(s, SPREAD_M_ANNOUNCE);
		}
		digest_write(&w, &d);
	}
	announce_send(s, a, &w);
}

static bool
any_urgent(const struct spread *s)
{
	for (size_t i = 0; i < s->rumor_count; i++)
		if (s->rumors[i].urgent)
			return true;
	return false;
}

void
spread_announce_urgent(struct spread *s, struct now now)
{
	struct audience all = { .count = 0 };

	(void)now;
	if (!any_urgent(s))
		return;
	if (s->peer_count > s->config.direct_max || s->peer_count > AUDIENCE_MAX)
		audience_pick(s, s->config.fanout, &all);
	else
		for (size_t i = 0; i < s->peer_count; i++)
			all.ids[all.count++] = s->peers[i].id;
	announce(s, &all, true);
	for (size_t i = 0; i < s->rumor_count; i++)
		s->rumors[i].urgent = false;
}

void
spread_announce_tick(struct spread *s, struct now now)
{
	struct audience a;
	size_t kept = 0;

	if (s->announce_at > now.mono)
		return;
	audience_pick(s, s->config.announce_to, &a);
	announce(s, &a, false);
	for (size_t i = 0; i < s->rumor_count; i++) {
		if (s->rumors[i].left > 0)
			s->rumors[i].left--;
		if (s->rumors[i].left > 0)
			s->rumors[kept++] = s->rumors[i];
	}
	s->rumor_count = kept;
	s->announce_at = kept > 0 ? now.mono + s->config.announce_after : NSEC_NEVER;
}

/* Wants. */

static struct spread_want *
want_find(struct spread *s, const struct uuid *owner)
{
	for (size_t i = 0; i < s->want_count; i++)
		if (uuid_eq(&s->wants[i].owner, owner))
			return &s->wants[i];
	return NULL;
}

static void
want_remove(struct spread *s, struct spread_want *w)
{
	*w = s->wants[--s->want_count];
}

static bool
want_met(const struct spread *s, const struct spread_want *w)
{
	struct digest have = spread_held(s, &w->owner);
	int order = epoch_cmp(&have.epoch, &w->epoch);

	return !w->whole && (order > 0 || (order == 0 && have.number >= w->number));
}

void
spread_want(struct spread *s, struct now now, const struct uuid *peer, const struct digest *what,
    bool whole)
{
	struct spread_want *w = want_find(s, &what->owner);

	if (w != NULL) {
		int order = epoch_cmp(&what->epoch, &w->epoch);

		if (order > 0 || (order == 0 && what->number > w->number)) {
			w->epoch = what->epoch;
			w->number = what->number;
		}
		return;
	}
	if (s->want_count >= SPREAD_WANTS_MAX)
		return;
	s->wants = mem_grow(s->wants, s->want_count, &s->want_cap, sizeof *s->wants);
	s->wants[s->want_count++] = (struct spread_want){
		.owner = what->owner,
		.peer = *peer,
		.epoch = what->epoch,
		.number = what->number,
		.whole = whole,
		.due = true,
		.retry_at = now.mono + SPREAD_WANT_RETRY,
	};
}

void
spread_want_drop(struct spread *s, const struct uuid *owner)
{
	struct spread_want *w = want_find(s, owner);

	if (w != NULL)
		want_remove(s, w);
}

/* All that is due from this peer. */
static void
wants_ask(struct spread *s, const struct uuid *peer)
{
	struct writer w = spread_begin(s, SPREAD_M_WANT);

	for (size_t i = 0; i < s->want_count; i++) {
		struct spread_want *want = &s->wants[i];
		struct digest have;

		if (!want->due || !uuid_eq(&want->peer, peer))
			continue;
		want->due = false;
		if (w.cap - w.pos < DIGEST_SIZE_MAX) {
			spread_send(s, peer, wr_done(&w));
			w = spread_begin(s, SPREAD_M_WANT);
		}
		have = spread_held(s, &want->owner);
		if (want->whole)
			have.number = 0;
		digest_write(&w, &have);
		s->stats.wanted++;
	}
	spread_send(s, peer, wr_done(&w));
}

void
spread_wants_flush(struct spread *s, struct now now)
{
	(void)now;
	for (size_t i = 0; i < s->want_count;) {
		struct uuid peer = s->wants[i].peer;
		size_t due = 0;

		if (want_met(s, &s->wants[i])) {
			want_remove(s, &s->wants[i]);
			continue;
		}
		if (!s->wants[i].due) {
			i++;
			continue;
		}
		for (size_t j = i; j < s->want_count; j++)
			due += s->wants[j].due && uuid_eq(&s->wants[j].peer, &peer);
		if (due <= SPREAD_WANTS_STREAM) {
			wants_ask(s, &peer);
			continue;
		}
		for (size_t j = s->want_count; j-- > i;)
			if (s->wants[j].due && uuid_eq(&s->wants[j].peer, &peer))
				want_remove(s, &s->wants[j]);
		spread_ask_all(s, &peer);
	}
}

/* Once more of the same peer, then of the owner or of anybody; then it is left to repair. */
void
spread_wants_tick(struct spread *s, struct now now)
{
	for (size_t i = 0; i < s->want_count;) {
		struct spread_want *w = &s->wants[i];
		struct spread_peer *p;

		if (w->retry_at > now.mono) {
			i++;
			continue;
		}
		if (want_met(s, w) || ++w->tries >= SPREAD_WANT_TRIES) {
			want_remove(s, w);
			spread_repair_soon(s, now);
			continue;
		}
		p = w->tries == 2 ? spread_peer_find(s, &w->owner) : NULL;
		if (w->tries >= 2 && (p == NULL || p->state != SPREAD_UP))
			p = spread_peer_random(s, &w->peer);
		if (p != NULL)
			w->peer = p->id;
		w->due = true;
		w->retry_at = now.mono + (SPREAD_WANT_RETRY << w->tries);
		i++;
	}
}

nsec
spread_wants_deadline(const struct spread *s)
{
	nsec at = NSEC_NEVER;

	for (size_t i = 0; i < s->want_count; i++)
		at = nsec_min(at, s->wants[i].retry_at);
	return at;
}

/* Ranges out. */

static void
giving_head(struct spread *s, struct buf *b, enum spread_message kind)
{
	char *room = buf_reserve(b, SPREAD_HEAD);
	struct writer w;

	if (room == NULL)
		return;
	w = wr_of(room, SPREAD_HEAD);
	spread_head_write(s, &w, kind);
	buf_commit(b, w.pos);
}

void
spread_giving_begin(struct spread *s, struct spread_giving *g, const struct uuid *to)
{
	*g = (struct spread_giving){ .to = to };
	buf_init(&g->out, s->config.datagram_max);
	buf_init(&g->too_much, s->config.datagram_max);
	giving_head(s, &g->out, SPREAD_M_RANGE);
	giving_head(s, &g->too_much, SPREAD_M_TOO_MUCH);
}

static void
giving_flush(struct spread *s, struct spread_giving *g)
{
	if (g->out.n <= SPREAD_HEAD)
		return;
	spread_send(s, g->to, buf_str(&g->out));
	s->stats.ranges++;
	g->sent++;
	buf_clear(&g->out);
	giving_head(s, &g->out, SPREAD_M_RANGE);
}

static void
giving_too_much(struct spread_giving *g, const struct uuid *owner)
{
	if (g->too_much.cap - g->too_much.n >= sizeof owner->b)
		buf_add(&g->too_much, str_mem(owner->b, sizeof owner->b));
}

void
spread_giving_owner(struct spread *s, struct spread_giving *g, const struct digest *theirs)
{
	enum delta_verdict verdict = delta_compare(s->store, theirs);
	const struct owner *o = store_owner(s->store, &theirs->owner);
	uint64_t after = verdict == DELTA_GIVE ? theirs->number : 0, upto;

	if (verdict < DELTA_GIVE)
		return;
	if (after < owner_floor(o) && !owner_digest(o).exact)
		return; /* only an exact one gives a whole state */
	while (after < owner_digest(o).number) {
		if (g->sent >= SPREAD_RANGES_MAX) {
			giving_too_much(g, &theirs->owner);
			return;
		}
		upto = delta_range_within(o, after, s->config.datagram_max, &g->out);
		if (upto > after) {
			after = upto;
		} else if (g->out.n > SPREAD_HEAD) {
			giving_flush(s, g);
		} else {
			giving_too_much(g, &theirs->owner);
			return;
		}
	}
}

void
spread_giving_end(struct spread *s, struct spread_giving *g)
{
	giving_flush(s, g);
	if (g->too_much.n > SPREAD_HEAD)
		spread_send(s, g->to, buf_str(&g->too_much));
	buf_done(&g->out);
	buf_done(&g->too_much);
}

/* What comes in. */

/* A baseline that we hold under an older label only takes the label (RULES 1). */
static void
baseline_label(struct spread *s, struct now now, const struct digest *d)
{
	struct digest before = spread_held(s, &d->owner);
	struct store_needs needs;

	store_baseline(s->store, now, &d->owner, d->epoch, d->hash, &needs);
	spread_noted(s, now, &before, true);
}

enum delta_verdict
spread_digest_take(
    struct spread *s, struct now now, const struct uuid *sender, const struct digest *d)
{
	const struct spread_peer *p;
	enum delta_verdict verdict;

	if (spread_is_self(s, &d->owner, d->epoch, d->number))
		return delta_compare(s->store, d);
	store_heard(s->store, &d->owner, d->epoch);
	if (d->number == 1 && d->exact)
		baseline_label(s, now, d);
	verdict = delta_compare(s->store, d);
	if (verdict == DELTA_EVEN)
		spread_certify(s, now, sender, &d->owner, d->epoch);
	if (verdict == DELTA_BEHIND)
		spread_want(s, now, sender, d, false);
	if (verdict == DELTA_DIFFERS) {
		p = spread_peer_find(s, &d->owner);
		if (p != NULL && p->state == SPREAD_UP)
			spread_want(s, now, &d->owner, d, true);
	}
	return verdict;
}

bool
spread_announce_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	struct digest d;

	(void)message;
	if (!spread_digests_ok(*r, false))
		return false;
	while (rd_left(r) > 0 && digest_read(r, &d))
		spread_digest_take(s, now, sender, &d);
	return true;
}

bool
spread_want_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	struct spread_giving g;
	struct digest d;

	(void)message;
	(void)now;
	if (!spread_digests_ok(*r, false))
		return false;
	spread_giving_begin(s, &g, sender);
	while (rd_left(r) > 0 && digest_read(r, &d)) {
		spread_is_self(s, &d.owner, d.epoch, d.number);
		spread_giving_owner(s, &g, &d);
	}
	spread_giving_end(s, &g);
	return true;
}

bool
spread_range_take(struct spread *s, struct now now, const struct uuid *sender, struct str bytes,
    enum spread_via via)
{
	struct reader r = rd_of(bytes);
	struct digest before, what = { .number = 0 };
	struct store_needs needs = { 0 };
	struct owner_range range;
	struct spread_want *w;
	uint64_t applied = store_stats(s->store).applied;
	bool news;

	if (!delta_range_head(&r, &what.owner, &range))
		return false;
	what.epoch = range.epoch;
	what.number = range.head;
	if (spread_is_self(s, &what.owner, range.epoch, range.upto))
		return true;
	before = spread_held(s, &what.owner);
	store_range(s->store, now, bytes, &needs, NULL);
	s->stats.applied_repair += store_stats(s->store).applied - applied;
	news = spread_noted(s, now, &before, via != SPREAD_FIRST);
	if (!news && via == SPREAD_DATAGRAM)
		spread_certify(s, now, sender, &what.owner, what.epoch);
	w = want_find(s, &what.owner);
	if (w != NULL) {
		w->whole &= !(range.after == 0 && range.upto == range.head);
		if (want_met(s, w)) {
			want_remove(s, w);
		} else if (news) { /* the next piece is on its way */
			w->tries = 0;
			w->retry_at = now.mono + SPREAD_WANT_RETRY;
		}
	}
	if (needs.range && via == SPREAD_DATAGRAM)
		spread_want(s, now, sender, &what, false);
	if (news && via == SPREAD_DATAGRAM)
		spread_repair_soon(s, now);
	return true;
}

bool
spread_ranges_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	struct str range;

	(void)message;
	if (!spread_ranges_ok(*r))
		return false;
	while (spread_range_next(r, &range))
		spread_range_take(s, now, sender, range, SPREAD_DATAGRAM);
	return true;
}

bool
spread_too_much_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	(void)now;
	(void)message;
	if (rd_left(r) % 16 != 0)
		return false;
	while (rd_left(r) > 0) {
		struct uuid owner = spread_id_read(r);

		if (want_find(s, &owner) == NULL && spread_peer_find(s, sender) == NULL)
			continue; /* a stranger that we asked for nothing */
		spread_want_drop(s, &owner);
		spread_ask_owner(s, sender, &owner);
	}
	return true;
}
