/* agent/pool/pool_spread.c -- what the catalog's spreading and presence do; readiness (RULES 13). */
#include "agent/pool/pool_priv.h"

/* Spreading. */

/* A datagram to one peer. Only whoever announces our protocol has an id here. */
static void
pool_spread_send(struct pool *p, const struct spread_action *a)
{
	const struct who *who = pool_who_find(p, &a->peer);
	uint8_t room[WIRE_PACKET_BUDGET];
	struct writer w = wr_of(room, sizeof room);

	wr_u8(&w, SERF_MUSTER);
	wr_bytes(&w, a->bytes);
	if (who == NULL || who->at == NULL || w.full) {
		p->dropped++;
		return;
	}
	swim_send(p->swim, p->now.mono, &who->at->addr, wr_done(&w));
}

static void
pool_spread_ask(struct pool *p, const struct spread_action *a)
{
	const struct who *who = pool_who_find(p, &a->peer);
	uint64_t ask = a->ask;

	if (who != NULL && who->at != NULL && pool_ask_open(p, &who->at->addr, a->bytes, ask))
		return;
	spread_answer(p->spread, p->now, ask, STR_NONE, true);
}

/* A new epoch above the one that is certified, or was written by a disk that is no longer ours. One
 * a second: each costs a write to disk and a baseline, and two that share an id outbid each other
 * until one gives it up (pool_rival.c). */
void
pool_epoch_check(struct pool *p)
{
	struct pool_action *a;

	if (p->epoch_above == 0 || p->epoch_at > p->now.mono)
		return;
	a = pool_act(p, POOL_EPOCH);
	if (a != NULL)
		a->id = p->epoch_above;
	p->epoch_above = 0;
	p->epoch_at = p->now.mono + POOL_EPOCH_GAP;
}

/* Gossip misses one in a hundred in a pool of ten. Who has records and is no member is in
 * somebody's table; mostly it is in ours too before the time is over (RULES 6). */
void
pool_stranger_check(struct pool *p)
{
	uint64_t strangers = store_stats(p->config.store).unknown;

	if (p->stranger_at == NSEC_NEVER && strangers != p->strangers) {
		p->stranger_at = p->now.mono + POOL_STRANGER_WAIT;
	} else if (p->stranger_at <= p->now.mono) {
		p->stranger_at = NSEC_NEVER;
		if (store_has_unknown(p->config.store))
			swim_stranger(p->swim, p->now.mono);
	}
	p->strangers = strangers;
}

static void
pool_epoch_wanted(struct pool *p, uint64_t above)
{
	if (above > p->epoch_above)
		p->epoch_above = above;
}

static void
pool_spread_act(struct pool *p, const struct spread_action *a)
{
	switch (a->kind) {
	case SPREAD_SEND:
		pool_spread_send(p, a);
		break;
	case SPREAD_ASK:
		pool_spread_ask(p, a);
		break;
	case SPREAD_SYNCED:
		pool_ready_set(p);
		break;
	case SPREAD_RESTARTS:
		pool_who_restarts(p, &a->peer, a->epoch, a->span);
		break;
	case SPREAD_BURIED:
	case SPREAD_CLONED: /* whether a clone lives, membership knows better */
		pool_epoch_wanted(p, a->epoch);
		break;
	}
}

bool
pool_spread_drain(struct pool *p)
{
	struct spread_action a;
	bool any = false;

	if (p->store_changed) {
		p->store_changed = false;
		spread_changed(p->spread, p->now);
	}
	for (; spread_action_next(p->spread, &a); any = true)
		pool_spread_act(p, &a);
	return any;
}

/* Presence. */

static const char *
pool_shown(enum store_member_state state)
{
	static const char *const words[] = {
		[STORE_MEMBER_ALIVE] = "shown",
		[STORE_MEMBER_FAILED] = "hidden",
		[STORE_MEMBER_GONE] = "gone",
		[STORE_MEMBER_KEPT] = "kept",
	};

	return words[state];
}

bool
pool_presence_drain(struct pool *p)
{
	struct presence_show show;
	bool any = false, cut_off;

	for (; presence_next(p->presence, &show); any = true) {
		char id[UUID_TEXT_LEN + 1];

		store_member(p->config.store, p->now, &show.id, show.state, show.certificate_until);
		p->store_changed = true;
		pool_log(p, LOG_LEVEL_DEBUG, "presence id=%s state=%s why=\"%s\"",
		    uuid_format(&show.id, id), pool_shown(show.state),
		    show.why == NULL ? "" : show.why);
	}
	cut_off = presence_cut_off(p->presence);
	if (cut_off != p->cut_off)
		pool_log(p, cut_off ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
		    cut_off ? "cut off: more than half of the members are lost at once, their "
			      "services stay as they were"
			    : "no longer cut off");
	p->cut_off = cut_off;
	return any;
}

/* Readiness. */

void
pool_ready_set(struct pool *p)
{
	if (p->ready)
		return;
	p->ready = true;
	pool_act(p, POOL_READY);
}

/* Who has nobody to learn a catalog from need not wait: a pool of plain serf agents, or the time is
 * over and nobody was reached. While a peer is there its answer is awaited. */
void
pool_ready_check(struct pool *p)
{
	if (p->ready || p->muster_alive > 0)
		return;
	if (p->ready_at <= p->now.mono || (p->joined && p->plain_alive > 0))
		pool_ready_set(p);
}

nsec
pool_ready_deadline(const struct pool *p)
{
	return p->ready || p->muster_alive > 0 ? NSEC_NEVER : p->ready_at;
}
