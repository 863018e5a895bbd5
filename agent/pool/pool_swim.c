/* agent/pool/pool_swim.c -- what SWIM does, and whom it may take in. */
#include "agent/pool/pool_priv.h"

/* Whom we take in: neither Consul's agents nor another datacenter's. */

static int
pool_member_check(
    struct pool *p, struct str name, const struct addr *addr, struct str meta, struct err *err)
{
	struct swim_member m = { .name = name, .addr = *addr, .meta = meta };

	return serf_meta_check(&m, p->config.meta.dc, err);
}

bool
pool_swim_welcome(void *pool, const struct wire_alive *a)
{
	struct pool *p = pool;
	struct err err;

	if (pool_member_check(p, a->node, &a->addr, a->meta, &err) == 0)
		return true;
	p->refused_members++;
	if (pool_may_complain(p, &p->refused_said))
		pool_log(p, LOG_LEVEL_WARN, "member refused: %s", err.text);
	return false;
}

/* Of a whole push/pull, before any of it is taken. */
int
pool_welcome_check(
    struct pool *p, const struct wire_node_state *nodes, size_t count, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		if (nodes[i].state == SWIM_ALIVE)
			rc =
			    pool_member_check(p, nodes[i].name, &nodes[i].addr, nodes[i].meta, err);
	if (rc < 0)
		p->refused_members++;
	return rc;
}

/* Where we are in the network, told by our acks. At first by each; once we have our place, and move
 * but little, by some: it is most of what an idle agent's probes weigh. */
void
pool_payload_set(struct pool *p)
{
	uint64_t samples = coordinates_samples(p->coordinates);
	uint8_t room[256];
	struct writer w = wr_of(room, sizeof room);

	if (samples > POOL_PLACED && rng_below(&p->rng, POOL_PLACE_TOLD) != 0) {
		swim_payload_set(p->swim, STR_NONE);
		return;
	}
	serf_coordinate_write(&w, coordinates_ours(p->coordinates));
	if (!w.full)
		swim_payload_set(p->swim, wr_done(&w));
}

static void
pool_acked(struct pool *p, const struct swim_action *a)
{
	struct serf_coordinate theirs;

	if (a->rtt > 0 && a->rtt <= COORDINATE_RTT_MAX && a->bytes.n > 0 &&
	    serf_coordinate_read(a->bytes, &theirs, NULL) == 0)
		coordinates_observe(p->coordinates, a->peer_name, a->rtt, &theirs);
	pool_payload_set(p);
}

static void
pool_datagram(struct pool *p, const struct swim_action *a)
{
	struct str bytes = arena_dup(&p->out, a->bytes);
	struct pool_action *out = bytes.p == NULL ? NULL : pool_act(p, POOL_SEND);

	if (out == NULL)
		return;
	out->addr = a->peer;
	out->bytes = bytes;
	out->crc = a->crc;
}

static void
pool_swim_act(struct pool *p, const struct swim_action *a)
{
	switch (a->kind) {
	case SWIM_SEND:
		pool_datagram(p, a);
		break;
	case SWIM_STREAM_PING:
		pool_ping_open(p, &a->peer, a->peer_name, a->seq, a->until);
		break;
	case SWIM_PUSH_PULL:
		pool_pull_open(p, &a->peer, a->join);
		break;
	case SWIM_NEWS:
		serf_news(p->serf, p->now.mono, &a->member);
		pool_member_swim(p, a->member.name);
		break;
	case SWIM_USER:
		serf_input(p->serf, p->now.mono, &a->peer, a->bytes, NULL); /* it counts */
		break;
	case SWIM_CONFLICT:
		pool_conflict(p, &a->member, &a->other);
		break;
	case SWIM_ACKED:
		pool_acked(p, a);
		break;
	case SWIM_NOTE:
		pool_log(p, LOG_LEVEL_DEBUG, STR_FMT, STR_ARG(a->bytes));
		break;
	}
}

bool
pool_swim_drain(struct pool *p)
{
	struct swim_action a;
	bool any = false;
	uint64_t done;

	for (; swim_action_next(p->swim, &a); any = true)
		pool_swim_act(p, &a);
	for (; swim_broadcast_done(p->swim, &done); any = true)
		serf_broadcast_done(p->serf, p->now.mono, done);
	return any;
}
