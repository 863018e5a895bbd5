/* agent/pool/pool.c -- life, draining, feeding, time, requests of this host, reading; see pool_priv.h.
 *
 * Every call that feeds stands between pool_begin(), which forgets the actions that were drained,
 * and pool_end(), which lets the inner cores feed each other until none has more to say. What
 * they point to is gone when they are fed again, so an action's bytes are copied.
 */
#include "agent/pool/pool.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/pool/pool_priv.h"
#include "base/mem.h"

/* Actions. */

struct pool_action *
pool_act(struct pool *p, enum pool_action_kind kind)
{
	struct pool_action *a;

	if (p->action_count >= POOL_ACTIONS_MAX || p->out.full) { /* nobody drains */
		p->dropped++;
		return NULL;
	}
	p->actions = mem_grow(p->actions, p->action_count, &p->action_room, sizeof *p->actions);
	a = &p->actions[p->action_count++];
	memset(a, 0, sizeof *a);
	a->kind = kind;
	return a;
}

void
pool_log(struct pool *p, enum log_level level, const char *fmt, ...)
{
	struct pool_action *a = pool_act(p, POOL_LOG);
	char line[LOG_LINE_MAX];
	va_list ap;

	if (a == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	a->level = level;
	a->text = arena_dup(&p->out, str_of(line));
}

/* One line a minute about what others can bring about as often as they like. */
bool
pool_may_complain(struct pool *p, nsec *last)
{
	if (*last != 0 && p->now.mono - *last < POOL_COMPLAIN)
		return false;
	*last = p->now.mono;
	return true;
}

bool
pool_action_next(struct pool *p, struct pool_action *out)
{
	if (p->action_at == p->action_count)
		return false;
	*out = p->actions[p->action_at++];
	return true;
}

/* Draining. */

static void
pool_begin(struct pool *p, struct now now)
{
	p->now = now;
	if (p->action_at < p->action_count)
		return;
	p->action_at = p->action_count = 0;
	arena_reset(&p->out);
}

static void
pool_end(struct pool *p)
{
	bool more = true;

	for (unsigned turn = 0; more && turn < POOL_TURNS_MAX; turn++) {
		more = pool_swim_drain(p);
		more |= pool_serf_drain(p);
		more |=
		    pool_presence_drain(p); /* before the peers that it shows are compared with */
		more |= pool_spread_drain(p);
	}
	pool_epoch_check(p);
	pool_stranger_check(p);
	pool_ready_check(p);
	pool_leave_check(p);
}

/* Life. */

/* A copy with the tags that are ours to say. */
static void
pool_meta_own(struct pool *p, struct arena *own, const struct serf_meta *meta)
{
	struct serf_meta m = *meta;
	struct serf_tag *more = arena_array(own, struct serf_tag, meta->more_count);
	char id[UUID_TEXT_LEN + 1];

	m.muster = SERF_MUSTER_VERSION;
	m.id = arena_dup(own, str_of(uuid_format(&p->config.self, id)));
	m.dc = arena_dup(own, meta->dc);
	m.build = arena_dup(own, meta->build);
	m.cluster = arena_dup(own, meta->cluster);
	m.more_count = more == NULL ? 0 : meta->more_count;
	for (size_t i = 0; i < m.more_count; i++) {
		more[i].key = arena_dup(own, meta->more[i].key);
		more[i].value = arena_dup(own, meta->more[i].value);
	}
	m.more = more;
	p->config.meta = m;
}

int
pool_meta_write(struct pool *p, struct writer *w, struct err *err)
{
	struct serf_meta m = p->config.meta;

	m.name = p->renamed ? p->config.name : STR_NONE;
	return serf_meta_write(w, &m, err);
}

static void
pool_defaults(struct pool_config *c)
{
	size_t room = WIRE_PACKET_BUDGET - c->overhead - 8; /* types, and a compound's table */

	if (c->profile.probe_interval <= 0)
		c->profile = swim_lan;
	if (c->reap <= 0)
		c->reap = POOL_REAP;
	if (c->ready_max <= 0)
		c->ready_max = POOL_READY_MAX;
	if (c->restart_grace <= 0)
		c->restart_grace = POOL_GRACE;
	c->spread.store = c->store;
	c->spread.self = c->self;
	if (c->spread.datagram_max == 0)
		c->spread.datagram_max = SPREAD_DATAGRAM_MAX;
	if (c->spread.datagram_max > room)
		c->spread.datagram_max = room;
}

static void
pool_cores_new(struct pool *p, struct str meta, struct now now)
{
	const struct pool_config *c = &p->config;
	struct swim_config swim = {
		.name = blob_str(p->wire_name),
		.advertise = c->advertise,
		.meta = meta,
		.profile = c->profile,
		.overhead = c->overhead,
		.notes = c->notes,
		.welcome = pool_swim_welcome,
		.welcome_arg = p,
	};
	struct serf_config serf = {
		.name = blob_str(p->wire_name),
		.advertise = c->advertise,
		.meta = meta,
		.gossip_interval = c->profile.gossip_interval,
		.reap_failed = c->reap,
		.reap_left = c->reap,
		.leave_wait = POOL_LEAVE_WAIT,
		.clocks = c->clocks,
		.keys = c->keys,
	};
	struct presence_config presence = {
		.self = c->self,
		.suspicion = (nsec)c->profile.suspicion_mult * c->profile.suspicion_max_mult *
			     c->profile.probe_interval,
		.certificate = 2 * c->reap,
		.hold_share = c->hold_share,
		.damp_flaps = c->damp_flaps,
		.store = c->store,
	};

	p->swim = swim_new(&swim, rng_u64(&p->rng), now.mono);
	p->serf = serf_new(&serf, rng_u64(&p->rng), now.mono);
	p->spread = spread_new(&c->spread, rng_u64(&p->rng), now);
	p->presence = presence_new(&presence, now.mono);
	p->coordinates = coordinates_new(rng_u64(&p->rng));
	if (c->coordinate != NULL)
		(void)coordinates_begin(p->coordinates, c->coordinate);
	p->config.coordinate = NULL;
	pool_payload_set(p);
}

struct pool *
pool_new(const struct pool_config *config, uint64_t seed, struct now now)
{
	struct pool *p = mem_new(struct pool);
	uint8_t room[WIRE_META_MAX];
	struct writer w = wr_of(room, sizeof room);
	struct err err;

	assert(config->name.n > 0 && config->name.n <= WIRE_NAME_MAX && config->store != NULL);
	assert(config->advertise.family != ADDR_NONE && config->advertise.port != 0);
	p->config = *config;
	p->now = now;
	rng_init(&p->rng, seed);
	arena_init(&p->own, POOL_META_BYTES);
	arena_init(&p->out, POOL_ACTION_BYTES);
	pool_defaults(&p->config);
	p->wire_name = blob_new(config->name);
	p->display = blob_ref(p->wire_name);
	p->config.name = blob_str(p->display);
	pool_meta_own(p, &p->own, &config->meta);
	RB_INIT(&p->names);
	RB_INIT(&p->addrs);
	RB_INIT(&p->whos);
	TAILQ_INIT(&p->streams);
	p->ready_at = now.mono + p->config.ready_max;
	p->stranger_at = NSEC_NEVER;
	p->started = now.mono;
	p->clone_at = p->leave_by = p->left_at = NSEC_NEVER;
	if (pool_meta_write(p, &w, &err) < 0) { /* without what was asked for beside our own */
		pool_log(p, LOG_LEVEL_ERROR, "tags left out: %s", err.text);
		p->config.meta.more_count = 0;
		w = wr_of(room, sizeof room);
		if (pool_meta_write(p, &w, NULL) < 0)
			w = wr_of(room, sizeof room);
	}
	pool_cores_new(p, wr_done(&w), now);
	if (!config->awaits)
		pool_ready_set(p);
	pool_end(p);
	return p;
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	pool_streams_done(p);
	pool_members_done(p);
	pool_whos_done(p);
	swim_free(p->swim);
	serf_free(p->serf);
	spread_free(p->spread);
	presence_free(p->presence);
	coordinates_free(p->coordinates);
	blob_unref(p->wire_name);
	blob_unref(p->display);
	free(p->clusters);
	free(p->actions);
	arena_done(&p->out);
	arena_done(&p->own);
	free(p);
}

/* What arrives; streams are in pool_stream.c. */

void
pool_input(struct pool *p, struct now now, const struct addr *from, struct str message)
{
	pool_begin(p, now);
	pool_heard(p, from);
	swim_input(p->swim, now.mono, from, message);
	pool_end(p);
}

void
pool_refused(struct pool *p, struct now now, const struct addr *peer)
{
	pool_begin(p, now);
	pool_refusal(p, peer);
	pool_end(p);
}

bool
pool_request(struct pool *p, struct now now, const struct addr *from,
    const struct stream_request *request, struct arena *arena, struct stream_request *answer)
{
	bool answered;

	pool_begin(p, now);
	answered = pool_request_take(p, from, request, arena, answer);
	pool_end(p);
	return answered;
}

bool
pool_stream_request(
    struct pool *p, struct now now, uint64_t id, struct arena *arena, struct stream_request *out)
{
	bool wanted;

	pool_begin(p, now);
	wanted = pool_stream_write(p, id, arena, out);
	pool_end(p);
	return wanted;
}

void
pool_stream_end(
    struct pool *p, struct now now, uint64_t id, bool refused, const struct stream_request *answer)
{
	pool_begin(p, now);
	pool_stream_over(p, id, refused, answer);
	pool_end(p);
}

void
pool_changed(struct pool *p, struct now now)
{
	pool_begin(p, now);
	spread_changed(p->spread, now);
	pool_end(p);
}

/* Time. */

void
pool_tick(struct pool *p, struct now now)
{
	pool_begin(p, now);
	if (swim_deadline(p->swim) <= now.mono)
		swim_tick(p->swim, now.mono);
	if (serf_deadline(p->serf) <= now.mono)
		serf_tick(p->serf, now.mono);
	if (spread_deadline(p->spread) <= now.mono)
		spread_tick(p->spread, now);
	if (presence_deadline(p->presence) <= now.mono)
		presence_tick(p->presence, now.mono);
	pool_rival_tick(p);
	pool_end(p);
}

nsec
pool_deadline(const struct pool *p)
{
	nsec due = nsec_min(swim_deadline(p->swim), serf_deadline(p->serf));

	due = nsec_min(due, spread_deadline(p->spread));
	due = nsec_min(due, presence_deadline(p->presence));
	due = nsec_min(due, pool_ready_deadline(p));
	due = nsec_min(due, pool_leave_deadline(p));
	due = nsec_min(due, p->clone_at);
	due = nsec_min(due, p->stranger_at);
	if (p->epoch_above > 0)
		due = nsec_min(due, p->epoch_at);
	return p->rival.pending ? nsec_min(due, p->rival.at) : due;
}

/* Requests of this host; those of serf are in pool_serf.c. */

uint64_t
pool_join(struct pool *p, struct now now, const struct addr *addr)
{
	uint64_t id;

	pool_begin(p, now);
	id = pool_join_open(p, addr);
	pool_end(p);
	return id;
}

void
pool_restarting(struct pool *p, struct now now)
{
	pool_begin(p, now);
	pool_failed_as(p, SPREAD_DOUBTFUL); /* they may be back any moment, and would miss it */
	spread_restarting(p->spread, now, p->config.restart_grace);
	pool_failed_as(p, SPREAD_DOWN);
	pool_end(p);
}

void
pool_pull(struct pool *p, struct now now, const struct uuid *id)
{
	pool_begin(p, now);
	spread_pull(p->spread, now, id);
	pool_end(p);
}

void
pool_leave(struct pool *p, struct now now)
{
	pool_begin(p, now);
	if (!p->leaving) {
		p->leaving = true;
		serf_leave(p->serf, now.mono);
	}
	pool_end(p);
}

int
pool_force_leave(struct pool *p, struct now now, struct str name, bool prune, struct err *err)
{
	struct serf_member wire;
	struct pool_member m;
	bool gone; /* meant is who is gone, not who is shown in its place */
	int rc;

	pool_begin(p, now);
	gone = serf_member_find(p->serf, name, &wire) && wire.state != SERF_ALIVE;
	if (!gone && pool_member_find(p, name, &m))
		name = m.wire_name;
	rc = serf_force_leave(p->serf, now.mono, name, prune, err);
	pool_end(p);
	return rc;
}

int
pool_event_fire(
    struct pool *p, struct now now, struct str name, struct str payload, struct err *err)
{
	int rc;

	pool_begin(p, now);
	rc = serf_event_fire(p->serf, now.mono, name, payload, false, err);
	pool_end(p);
	return rc;
}

int
pool_query(
    struct pool *p, struct now now, const struct serf_ask *ask, uint64_t *id, struct err *err)
{
	int rc;

	pool_begin(p, now);
	rc = serf_query_start(p->serf, now.mono, ask, id, err);
	pool_end(p);
	return rc;
}

int
pool_keys(struct pool *p, struct now now, enum serf_key_op op, struct str key, uint64_t *id,
    struct err *err)
{
	int rc;

	pool_begin(p, now);
	/* asked all the same, real agents would log an error each */
	if (p->config.keys == NULL || keyring_count(p->config.keys) == 0)
		rc = err_set(err, ERR_REFUSED, "this agent has no keyring: it does not encrypt");
	else if (p->key_query_count == POOL_KEY_QUERIES_MAX)
		rc = err_set(err, ERR_LIMIT, "%d questions about keys are under way already",
		    POOL_KEY_QUERIES_MAX);
	else
		rc = serf_key_start(p->serf, now.mono, op, key, id, err);
	if (rc == 0)
		p->key_queries[p->key_query_count++] = *id;
	pool_end(p);
	return rc;
}

int
pool_meta_set(struct pool *p, struct now now, const struct serf_meta *meta, struct err *err)
{
	struct serf_meta old = p->config.meta;
	struct arena own; /* then the one that is no longer needed */
	uint8_t room[WIRE_META_MAX];
	struct writer w = wr_of(room, sizeof room);
	int rc;

	pool_begin(p, now);
	arena_init(&own, POOL_META_BYTES);
	pool_meta_own(p, &own, meta);
	rc = pool_meta_write(p, &w, err);
	if (rc == 0)
		rc = serf_meta_set(p->serf, now.mono, wr_done(&w), err);
	if (rc == 0) {
		struct arena before = p->own;

		p->own = own;
		own = before;
	} else {
		p->config.meta = old;
	}
	arena_done(&own);
	pool_end(p);
	return rc;
}

void
pool_presence_configure(struct pool *p, unsigned hold_share, unsigned damp_flaps)
{
	presence_configure(p->presence, hold_share, damp_flaps);
}

/* Reading; members are in pool_member.c. */

bool
pool_ready(const struct pool *p)
{
	return p->ready;
}

struct str
pool_wire_name(const struct pool *p)
{
	return blob_str(p->wire_name);
}

const struct coordinates *
pool_coordinates(const struct pool *p)
{
	return p->coordinates;
}

struct serf_clocks
pool_clocks(const struct pool *p)
{
	return serf_clocks(p->serf);
}

struct pool_stats
pool_stats(const struct pool *p)
{
	return (struct pool_stats){
		.swim = swim_stats(p->swim),
		.serf = serf_stats(p->serf),
		.spread = spread_stats(p->spread),
		.presence = presence_stats(p->presence),
		.awareness = swim_awareness(p->swim),
		.refused_members = p->refused_members,
		.renamed = p->renames,
		.taken_over = p->taken_over,
		.conflicts = p->conflicts,
		.dropped = p->dropped,
	};
}
