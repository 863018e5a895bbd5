/* kv/spread_push.c -- changes down the tree over the ring of peer ids.
 *
 * A message says where its receiver's stretch of the ring ends. The receiver cuts what lies between
 * itself and that end into branches, sends each branch's first peer the same bytes with that
 * branch's end, and so on: stretches only shrink, so it ends, whatever each believes of the ring;
 * and who knows more peers in its stretch than the sender did reaches those too. A doubtful peer
 * gets its copy from whom it would have branched from, and the next one takes the branch.
 *
 * Parts: the budget; the tree; our own changes into datagrams; what comes in.
 */
#include "base/mem.h"
#include "kv/spread_priv.h"

/* The budget: a token bucket over all copies. */

static void
tokens_fill(struct spread *s, struct now now)
{
	nsec span = now.mono - s->tokens_at;
	uint64_t ms;

	if (span < NSEC_MS)
		return;
	ms = (uint64_t)(span / NSEC_MS);
	s->tokens_at += (nsec)ms * NSEC_MS;
	if (ms > 1000 * 1000) /* more than fills any bucket */
		ms = 1000 * 1000;
	s->tokens += ms * s->config.push_rate / 1000;
	if (s->tokens > s->config.push_burst)
		s->tokens = s->config.push_burst;
}

static bool
tokens_take(struct spread *s, struct now now, uint64_t bytes)
{
	tokens_fill(s, now);
	if (s->tokens < bytes) {
		s->stats.held_back++;
		return false;
	}
	s->tokens -= bytes;
	return true;
}

/* The tree. */

/* One message as it goes down. */
struct relay {
	struct spread *s;
	uint8_t *bytes; /* kind, sender, stretch's end, rest */
	size_t n;
	size_t start, count; /* peers of our stretch, from `start` on around the ring */
	struct uuid stop;    /* our stretch's end */
	uint64_t copies;
};

static void
relay_to(struct relay *r, const struct uuid *peer, const struct uuid *stop)
{
	memcpy(r->bytes + SPREAD_STOP, stop->b, sizeof stop->b);
	spread_send(r->s, peer, str_mem(r->bytes, r->n));
	r->copies++;
}

static const struct spread_peer *
relay_peer(const struct relay *r, size_t i)
{
	return &r->s->peers[(r->start + i) % r->s->peer_count];
}

/* Peers first … end-1 of the stretch: to the first that is up, which passes it on to the others. */
static void
relay_branch(struct relay *r, size_t first, size_t end)
{
	const struct uuid *stop = end == r->count ? &r->stop : &relay_peer(r, end)->id;

	for (size_t i = first; i < end; i++) {
		const struct spread_peer *p = relay_peer(r, i);

		if (p->state == SPREAD_UP) {
			relay_to(r, &p->id, stop);
			return;
		}
		relay_to(r, &p->id, &p->id);
	}
}

/* How many peers lie between ourselves and `stop`, going up around the ring; `stop` being
 * ourselves: all. */
static size_t
stretch(const struct spread *s, const struct uuid *stop)
{
	size_t start = spread_peer_at(s, &s->config.self), end = spread_peer_at(s, stop);

	if (uuid_cmp(&s->config.self, stop) < 0)
		return end - start;
	return s->peer_count - start + end;
}

static size_t
relay_plain(struct relay *r)
{
	size_t n = r->s->config.fanout < r->s->up_count ? r->s->config.fanout : r->s->up_count;

	for (size_t i = 0; i < n; i++)
		relay_to(r, &spread_peer_random(r->s, NULL)->id, &r->s->config.self);
	return n;
}

/* False: the budget is spent. */
static bool
relay(struct spread *s, struct now now, const struct uuid *stop, uint8_t *bytes, size_t n,
    uint64_t *copies)
{
	struct relay r = { .s = s, .bytes = bytes, .n = n, .stop = *stop };
	size_t branches;

	r.count = stretch(s, stop);
	if (r.count == 0)
		return true;
	branches = r.count <= s->config.direct_max ? r.count : s->config.fanout;
	if (!tokens_take(s, now, (uint64_t)branches * n))
		return false;
	r.start = spread_peer_at(s, &s->config.self);
	if (s->config.plain)
		relay_plain(&r);
	else
		for (size_t i = 0; i < branches; i++)
			relay_branch(&r, i * r.count / branches, (i + 1) * r.count / branches);
	*copies += r.copies;
	return true;
}

/* The same bytes as they came, from us. */
static void
pass_on(struct spread *s, struct now now, const struct uuid *stop, struct str message)
{
	if (message.n > s->config.datagram_max)
		return;
	memcpy(s->room, message.p, message.n);
	memcpy(s->room + 1, s->config.self.b, sizeof s->config.self.b);
	relay(s, now, stop, s->room, message.n, &s->stats.passed);
}

/* Our own changes into datagrams. */

/* A datagram being filled with groups. A number's records stay together, since a group says that
 * nothing is missing in it. */
struct push {
	struct spread *s;
	struct now now;
	struct writer w;
	size_t group_at, len_at; /* the open group; 0: none */
	struct uuid owner;
	struct epoch epoch;
	uint64_t run;       /* the number being written */
	uint64_t run_after; /* the number before it */
	size_t run_at;      /* where its records begin */
	uint64_t skip;      /* this number is too large to be pushed */
	uint8_t *tail;      /* a number that moves to the next datagram */
};

static void
push_group_open(struct push *p)
{
	p->group_at = p->w.pos;
	spread_id_write(&p->w, &p->owner);
	spread_epoch_write(&p->w, &p->epoch);
	wr_varint(&p->w, p->run_after);
	p->len_at = p->w.pos;
	wr_be16(&p->w, 0);
	p->run_at = p->w.pos;
}

static void
push_group_close(struct push *p)
{
	size_t n;

	if (p->group_at == 0)
		return;
	n = p->w.pos - p->len_at - 2;
	if (n == 0)
		p->w.pos = p->group_at;
	else
		wr_patch_be16(&p->w, p->len_at, (uint16_t)n);
	p->group_at = 0;
}

static void
push_begin(struct push *p)
{
	p->w = spread_begin(p->s, SPREAD_M_PUSH);
	spread_id_write(&p->w, &p->s->config.self);
	p->group_at = 0;
}

static void
push_flush(struct push *p)
{
	push_group_close(p);
	if (p->w.pos > SPREAD_STOP + sizeof p->owner.b &&
	    !relay(p->s, p->now, &p->s->config.self, p->w.base, p->w.pos, &p->s->stats.pushed))
		spread_announce_now(p->s, p->now, &p->owner);
	push_begin(p);
}

static bool
push_fits(const struct push *p, size_t n)
{
	return n <= p->w.cap - p->w.pos;
}

/* The number's records so far go to a datagram of their own. False: they were alone already. */
static bool
push_run_move(struct push *p)
{
	size_t n = p->w.pos - p->run_at;

	if (p->group_at == SPREAD_STOP + sizeof p->owner.b && p->run_at == p->len_at + 2)
		return false;
	memcpy(p->tail, p->w.base + p->run_at, n);
	p->w.pos = p->run_at;
	push_flush(p);
	push_group_open(p);
	wr_bytes(&p->w, str_mem(p->tail, n));
	return true;
}

static void
push_skip(struct push *p)
{
	p->w.pos = p->run_at;
	p->skip = p->run;
	push_group_close(p);
	spread_announce_now(p->s, p->now, &p->owner);
}

static void
push_record(struct push *p, const struct uuid *owner, uint64_t after, const struct record *r)
{
	size_t size = record_size(r);

	if (p->group_at != 0 && !uuid_eq(&p->owner, owner))
		push_flush(p);
	if (!uuid_eq(&p->owner, owner) || p->run != r->number) {
		p->owner = *owner;
		p->epoch = spread_held(p->s, owner).epoch;
		p->run = r->number;
		p->run_after = after;
		p->skip = 0;
		p->run_at = p->w.pos;
	}
	if (p->skip == r->number)
		return;
	if (p->group_at == 0) {
		if (!push_fits(p, SPREAD_GROUP_HEAD_MAX + size))
			push_flush(p);
		push_group_open(p);
	}
	if (!push_fits(p, size) && (!push_run_move(p) || !push_fits(p, size))) {
		push_skip(p);
		return;
	}
	record_write(&p->w, r);
}

static void
push_baselines(struct spread *s, struct now now)
{
	struct uuid owner;
	struct epoch epoch;
	uint64_t hash;

	while (store_baseline_next(s->store, &owner, &epoch, &hash)) {
		struct writer w = spread_begin(s, SPREAD_M_BASELINE);

		spread_id_write(&w, &s->config.self);
		spread_id_write(&w, &owner);
		spread_epoch_write(&w, &epoch);
		wr_be64(&w, hash);
		relay(s, now, &s->config.self, w.base, w.pos, &s->stats.pushed);
		spread_rumor(s, now, &owner);
	}
}

void
spread_changed(struct spread *s, struct now now)
{
	struct push p = { .s = s, .now = now };
	struct owner_record held;
	struct uuid owner;
	uint64_t after;

	spread_step_begin(s);
	push_baselines(s, now);
	p.tail = mem_alloc(s->config.datagram_max);
	push_begin(&p);
	while (store_news_next(s->store, &owner, &after, &held)) {
		struct record r = { held.kind, held.gone, held.number, held.key,
			blob_str(held.body) };

		if (r.number <= after) /* below the floor: who lacks it takes the whole state */
			spread_announce_now(s, now, &owner);
		else
			push_record(&p, &owner, after, &r);
		spread_rumor(s, now, &owner);
	}
	push_flush(&p);
	free(p.tail);
	spread_announce_urgent(s, now);
	spread_step_end(s, now);
}

/* What comes in. */

static bool
groups_ok(struct reader r)
{
	struct spread_group g;

	if (rd_left(&r) == 0)
		return false;
	while (spread_group_read(&r, &g))
		;
	return rd_ok(&r);
}

static bool
group_take(
    struct spread *s, struct now now, const struct uuid *sender, const struct spread_group *g)
{
	struct digest before = spread_held(s, &g->owner);
	struct digest what = { .owner = g->owner, .epoch = g->epoch, .number = g->last };
	uint64_t applied = store_stats(s->store).applied;
	struct store_needs needs;
	bool news;

	if (spread_is_self(s, &g->owner, g->epoch, g->last))
		return false;
	store_push_run(s->store, now, &g->owner, g->epoch, g->after, g->records, &needs);
	s->stats.applied_push += store_stats(s->store).applied - applied;
	news = spread_noted(s, now, &before, true);
	if (!news)
		spread_certify(s, now, sender, &g->owner, g->epoch);
	if (needs.range)
		spread_want(s, now, sender, &what, false);
	return news;
}

bool
spread_push_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	struct uuid stop = spread_id_read(r);
	struct spread_group g;
	bool news = false;

	if (!rd_ok(r) || !groups_ok(*r))
		return false;
	if (!s->config.plain)
		pass_on(s, now, &stop, message);
	while (spread_group_read(r, &g))
		news |= group_take(s, now, sender, &g);
	if (s->config.plain && news)
		pass_on(s, now, &s->config.self, message);
	return true;
}

bool
spread_baseline_take(struct spread *s, struct now now, const struct uuid *sender, struct reader *r,
    struct str message)
{
	struct uuid stop = spread_id_read(r);
	struct digest d = { .number = 1, .exact = true };

	d.owner = spread_id_read(r);
	d.epoch = spread_epoch_read(r);
	d.hash = rd_be64(r);
	if (!rd_ok(r) || d.epoch.counter == 0)
		return false;
	pass_on(s, now, &stop, message);
	spread_digest_take(s, now, sender, &d);
	return true;
}
