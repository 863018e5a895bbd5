/* kv/spread.c -- spreading: life, actions, peers, what comes in, time.
 *
 * Invariants: every want's and rumor's owner stands once; peers are sorted by id and none is DOWN;
 * at the end of every call that feeds, due wants are asked for and waiting streams begun.
 */
#include "kv/spread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kv/spread_priv.h"

/* Life. */

static void
config_fill(struct spread_config *c)
{
	c->datagram_max = c->datagram_max == 0 ? SPREAD_DATAGRAM_MAX : c->datagram_max;
	assert(c->datagram_max >= 700 && c->datagram_max <= UINT16_MAX); /* BUCKETS need 529 */
	c->direct_max = c->direct_max == 0 ? 32 : c->direct_max;
	c->fanout = c->fanout == 0 ? 8 : c->fanout;
	c->announce_to = c->announce_to == 0 ? 3 : c->announce_to;
	c->announce_after = c->announce_after == 0 ? 100 * NSEC_MS : c->announce_after;
	c->repair_interval = c->repair_interval == 0 ? 5 * NSEC_SEC : c->repair_interval;
	c->push_rate = c->push_rate == 0 ? 8 * 1024 * 1024 : c->push_rate;
	c->push_burst = c->push_burst == 0 ? 1024 * 1024 : c->push_burst;
}

struct spread *
spread_new(const struct spread_config *config, uint64_t seed, struct now now)
{
	struct spread *s = mem_new(struct spread);

	s->config = *config;
	config_fill(&s->config);
	s->store = config->store;
	rng_init(&s->rng, seed);
	s->room = mem_alloc(s->config.datagram_max);
	STAILQ_INIT(&s->out);
	STAILQ_INIT(&s->given);
	TAILQ_INIT(&s->asks);
	s->tokens = s->config.push_burst;
	s->tokens_at = now.mono;
	s->announce_at = s->sync_at = s->compare_next = NSEC_NEVER;
	s->repair_at = now.mono + spread_repair_pause(s);
	return s;
}

static void
outs_free(struct spread_outs *outs)
{
	struct spread_out *o;

	while ((o = STAILQ_FIRST(outs)) != NULL) {
		STAILQ_REMOVE_HEAD(outs, link);
		free(o);
	}
}

void
spread_free(struct spread *s)
{
	struct spread_ask *a;

	if (s == NULL)
		return;
	while ((a = TAILQ_FIRST(&s->asks)) != NULL)
		spread_ask_free(s, a);
	outs_free(&s->out);
	outs_free(&s->given);
	free(s->room);
	free(s->peers);
	free(s->wants);
	free(s);
}

struct spread_stats
spread_stats(const struct spread *s)
{
	return s->stats;
}

/* Actions. */

struct spread_action *
spread_emit(
    struct spread *s, enum spread_action_kind kind, const struct uuid *peer, struct str bytes)
{
	struct spread_out *o;

	if (bytes.n > SPREAD_OUT_MAX - s->out_bytes) {
		s->stats.held_back++;
		return NULL;
	}
	o = mem_alloc(sizeof *o + bytes.n);
	if (bytes.n > 0)
		memcpy(o->bytes, bytes.p, bytes.n);
	o->action = (struct spread_action){
		.kind = kind,
		.peer = *peer,
		.bytes = str_mem(o->bytes, bytes.n),
	};
	s->out_bytes += bytes.n;
	STAILQ_INSERT_TAIL(&s->out, o, link);
	return &o->action;
}

void
spread_send(struct spread *s, const struct uuid *to, struct str bytes)
{
	if (spread_emit(s, SPREAD_SEND, to, bytes) != NULL)
		s->stats.bytes_out += bytes.n;
}

bool
spread_action_next(struct spread *s, struct spread_action *out)
{
	struct spread_out *o = STAILQ_FIRST(&s->out);

	if (o == NULL)
		return false;
	STAILQ_REMOVE_HEAD(&s->out, link);
	STAILQ_INSERT_TAIL(&s->given, o, link);
	s->out_bytes -= o->action.bytes.n;
	*out = o->action;
	return true;
}

void
spread_step_begin(struct spread *s)
{
	outs_free(&s->given);
}

void
spread_step_end(struct spread *s, struct now now)
{
	spread_wants_flush(s, now);
	spread_asks_start(s, now);
}

/* Peers. */

size_t
spread_peer_at(const struct spread *s, const struct uuid *id)
{
	size_t low = 0, high = s->peer_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (uuid_cmp(&s->peers[mid].id, id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct spread_peer *
spread_peer_find(struct spread *s, const struct uuid *id)
{
	size_t at = spread_peer_at(s, id);

	return at < s->peer_count && uuid_eq(&s->peers[at].id, id) ? &s->peers[at] : NULL;
}

/* From a random one on, the next that is UP. */
struct spread_peer *
spread_peer_random(struct spread *s, const struct uuid *but)
{
	size_t from;

	if (s->up_count == 0)
		return NULL;
	from = rng_below(&s->rng, (uint32_t)s->peer_count);
	for (size_t i = 0; i < s->peer_count; i++) {
		struct spread_peer *p = &s->peers[(from + i) % s->peer_count];

		if (p->state == SPREAD_UP && (but == NULL || !uuid_eq(&p->id, but)))
			return p;
	}
	return NULL;
}

void
spread_compare_at(struct spread *s, struct spread_peer *p, nsec at)
{
	p->compare_at = at;
	s->compare_next = nsec_min(s->compare_next, at);
}

static void
peer_remove(struct spread *s, struct spread_peer *p)
{
	size_t at = (size_t)(p - s->peers);

	spread_asks_forget(s, &p->id);
	s->up_count -= p->state == SPREAD_UP;
	s->peer_count--;
	memmove(p, p + 1, (s->peer_count - at) * sizeof *p);
}

static struct spread_peer *
peer_add(struct spread *s, const struct uuid *id)
{
	size_t at = spread_peer_at(s, id);

	if (s->peer_count >= SPREAD_PEERS_MAX)
		return NULL;
	s->peers = mem_grow(s->peers, s->peer_count, &s->peer_cap, sizeof *s->peers);
	memmove(&s->peers[at + 1], &s->peers[at], (s->peer_count - at) * sizeof *s->peers);
	s->peer_count++;
	s->peers[at] = (struct spread_peer){ *id, SPREAD_DOUBTFUL, NSEC_NEVER };
	return &s->peers[at];
}

/* The first one that is met is compared with whole, by stream (RULES 13). All others are greeted
 * with a hash, after a moment that is longer in larger pools: they all see a newcomer at once. */
static void
peer_up(struct spread *s, struct now now, struct spread_peer *p)
{
	if ((!s->synced || s->sync_owed) && !spread_ask_all_pending(s)) {
		spread_ask_all(s, &p->id);
		return;
	}
	spread_compare_at(s, p,
	    now.mono +
		(nsec)rng_below(&s->rng, 1000) * SPREAD_COMPARE_STEP / 1000 * (nsec)s->peer_count);
}

void
spread_peer(struct spread *s, struct now now, const struct uuid *id, enum spread_peer_state state)
{
	struct spread_peer *p = spread_peer_find(s, id);

	spread_step_begin(s);
	if (uuid_eq(id, &s->config.self) || (p == NULL ? SPREAD_DOWN : p->state) == state)
		return;
	if (state == SPREAD_DOWN) {
		peer_remove(s, p);
		return;
	}
	if (p == NULL)
		p = peer_add(s, id);
	if (p == NULL)
		return;
	s->up_count += (state == SPREAD_UP) - (p->state == SPREAD_UP);
	p->state = state;
	if (state == SPREAD_UP)
		peer_up(s, now, p);
	spread_step_end(s, now);
}

void
spread_sync(struct spread *s, struct now now, const struct uuid *peer)
{
	spread_step_begin(s);
	spread_ask_all(s, peer);
	spread_step_end(s, now);
}

void
spread_pull(struct spread *s, struct now now, const struct uuid *peer)
{
	spread_step_begin(s);
	if (spread_peer_find(s, peer) != NULL)
		spread_ask_owner(s, peer, peer);
	spread_step_end(s, now);
}

/* Owners. */

bool
spread_is_self(struct spread *s, const struct uuid *owner, struct epoch epoch, uint64_t number)
{
	struct digest held = spread_held(s, &s->config.self);
	struct epoch ours = held.epoch;
	bool ahead = epoch.counter > ours.counter && epoch.counter - ours.counter <= UINT32_MAX;
	struct spread_action *a;

	if (!uuid_eq(owner, &s->config.self))
		return false;
	if (epoch.counter == ours.counter && epoch.nonce != ours.nonce &&
	    epoch.counter > s->cloned) {
		s->cloned = epoch.counter;
		a = spread_emit(s, SPREAD_CLONED, owner, STR_NONE);
		if (a != NULL)
			a->epoch = epoch.counter;
	}
	/* A number that we never gave: whoever holds it takes no smaller one of ours any more. */
	ahead |= ours.counter > 0 && epoch_cmp(&epoch, &ours) == 0 && number > held.number;
	/* Our disk was restored, or copied: what is said in this epoch would be old (RULES 1). */
	if (ahead && epoch.counter > s->buried) {
		s->buried = epoch.counter;
		a = spread_emit(s, SPREAD_BURIED, owner, STR_NONE);
		if (a != NULL)
			a->epoch = epoch.counter;
	}
	return true;
}

struct digest
spread_held(const struct spread *s, const struct uuid *owner)
{
	const struct owner *o = store_owner(s->store, owner);

	return o == NULL ? (struct digest){ .owner = *owner } : owner_digest(o);
}

bool
spread_noted(struct spread *s, struct now now, const struct digest *before, bool announce)
{
	struct digest after = spread_held(s, &before->owner);

	if (before->number == after.number && before->hash == after.hash &&
	    epoch_cmp(&before->epoch, &after.epoch) == 0)
		return false;
	if (announce)
		spread_rumor(s, now, &before->owner);
	return true;
}

/* What comes in. */

void
spread_input(struct spread *s, struct now now, struct str bytes)
{
	struct reader r = rd_of(bytes);
	const struct spread_kind *kind;
	struct uuid sender;
	uint8_t k;

	spread_step_begin(s);
	if (!spread_head_read(&r, &k, &sender) || uuid_eq(&sender, &s->config.self)) {
		s->stats.malformed++;
		return;
	}
	kind = spread_kind_find(k);
	if (kind == NULL || !kind->take(s, now, &sender, &r, bytes))
		s->stats.malformed++;
	spread_step_end(s, now);
}

void
spread_restarting(struct spread *s, struct now now, nsec span)
{
	struct writer w = spread_begin(s, SPREAD_M_RESTARTING);

	(void)now;
	spread_step_begin(s);
	wr_varint(&w, (uint64_t)(span / NSEC_MS));
	wr_varint(&w, spread_held(s, &s->config.self).epoch.counter);
	for (size_t i = 0; i < s->peer_count; i++)
		spread_send(s, &s->peers[i].id, wr_done(&w));
}

/* Time. */

static void
compare_tick(struct spread *s, struct now now)
{
	if (s->compare_next > now.mono)
		return;
	s->compare_next = NSEC_NEVER;
	for (size_t i = 0; i < s->peer_count; i++) {
		struct spread_peer *p = &s->peers[i];

		if (p->compare_at <= now.mono) {
			p->compare_at = NSEC_NEVER;
			spread_compare(s, &p->id);
		}
		s->compare_next = nsec_min(s->compare_next, p->compare_at);
	}
}

void
spread_tick(struct spread *s, struct now now)
{
	spread_step_begin(s);
	compare_tick(s, now);
	spread_announce_tick(s, now);
	spread_wants_tick(s, now);
	spread_asks_tick(s, now);
	spread_repair_tick(s, now);
	spread_step_end(s, now);
}

nsec
spread_deadline(const struct spread *s)
{
	nsec at = nsec_min(s->compare_next, nsec_min(s->announce_at, s->repair_at));

	return nsec_min(at, nsec_min(spread_wants_deadline(s), spread_asks_deadline(s)));
}
