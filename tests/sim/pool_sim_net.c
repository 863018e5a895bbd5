/* tests/sim/pool_sim_net.c -- datagrams and streams between simulated agents. See pool_sim.h.
 *
 * A stream is CONNECT -> CONNECTED, REQUEST -> ANSWER, each one way through the network at its
 * moment; what does not get through leaves the opener waiting until EXPIRED. TCP sends again what
 * the weather loses, so loss delays a stream, and now and then breaks it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gossip/frame.h"
#include "tests/sim/pool_sim_priv.h"

#define RETRANSMIT (200 * NSEC_MS)
#define WALK_MAX (64 * 1024)
#define STREAM_MAX ((size_t)64 << 20)

static const struct frame_config *
framing(const struct pool_sim *sim)
{
	static const struct frame_config plain, compressed = { .compress = true };

	return sim->config.framed ? &compressed : &plain;
}

/* Datagrams. */

static void
datagram_post(struct pool_sim *sim, size_t from, size_t to, struct str bytes)
{
	struct pool_event *e =
	    pool_event_new(sim, POOL_EVENT_DATAGRAM, from, to, net_latency(&sim->net));

	e->addr = sim->hosts[from].addr;
	e->bytes = str_mem(str_dup(bytes), bytes.n);
	pool_event_post(sim, e);
}

static bool
is_dry(struct pool_sim *sim, size_t from)
{
	if (sim->dry_count == 0 || sim->dry_from != from)
		return false;
	sim->dry_count--;
	return true;
}

static void
datagram_deliver(struct pool_sim *sim, size_t from, const struct addr *addr, struct str bytes)
{
	size_t to = pool_sim_at(sim, addr);

	if (is_dry(sim, from) || to == SIZE_MAX || !net_open(&sim->net, from, to) ||
	    net_chance(&sim->net, sim->net.loss)) {
		sim->lost++;
		return;
	}
	datagram_post(sim, from, to, bytes);
	if (net_chance(&sim->net, sim->net.twice))
		datagram_post(sim, from, to, bytes);
}

void
pool_sim_send(struct pool_sim *sim, size_t from, const struct pool_action *a)
{
	struct str bytes = a->bytes;
	struct buf sealed;

	buf_init(&sealed, WIRE_PACKET_MAX);
	if (sim->config.framed) {
		struct err err = { 0 };

		if (frame_seal(framing(sim), a->bytes, a->crc, &sealed, &err) < 0) {
			fprintf(stderr, "frame_seal: %s\n", err.text);
			abort();
		}
		bytes = buf_str(&sealed);
	}
	sim->datagrams++;
	sim->datagram_bytes += bytes.n + sim->config.overhead;
	if (a->bytes.n + sim->config.overhead > WIRE_PACKET_BUDGET)
		sim->over_budget++;
	if (sim->on_sent != NULL)
		sim->on_sent(sim, from, a->bytes, bytes.n + sim->config.overhead, false);
	datagram_deliver(sim, from, &a->addr, bytes);
	buf_done(&sealed);
}

void
pool_sim_refuse(struct pool_sim *sim, const struct pool_event *e)
{
	struct pool_event *r;

	if (sim->config.silent_hosts || sim->hosts[e->to].host_down ||
	    !net_open(&sim->net, e->to, e->from) || net_chance(&sim->net, sim->net.loss))
		return;
	r = pool_event_new(sim,
	    e->kind == POOL_EVENT_CONNECT ? POOL_EVENT_UNCONNECTED : POOL_EVENT_REFUSED, e->to,
	    e->from, net_latency(&sim->net));
	r->addr = sim->hosts[e->to].addr;
	r->life = e->from_life;
	r->stream = e->stream;
	pool_event_post(sim, r);
}

static void
datagram_arrives(struct pool_sim *sim, const struct pool_event *e)
{
	struct pool_host *host = &sim->hosts[e->to];
	struct frame_walk walk;
	struct arena arena;
	struct str opened = e->bytes, message;

	arena_init(&arena, WALK_MAX);
	if (sim->config.framed && frame_open(framing(sim), &arena, e->bytes, &opened, NULL) < 0)
		abort();
	frame_walk_init(&walk, &arena, opened);
	while (frame_walk_next(&walk, &message))
		pool_input(host->pool, pool_sim_now(sim, e->to), &e->addr, message);
	arena_done(&arena);
}

/* Streams, at their opener's. */

static struct pool_stream *
stream_find(const struct pool_host *host, uint64_t id)
{
	for (size_t i = 0; i < host->stream_count; i++)
		if (host->streams[i].id == id)
			return &host->streams[i];
	return NULL;
}

static void
stream_close(struct pool_host *host, struct pool_stream *s)
{
	*s = host->streams[--host->stream_count];
}

static nsec
stream_latency(struct pool_sim *sim)
{
	nsec took = net_latency(&sim->net);

	while (net_chance(&sim->net, sim->net.loss))
		took += RETRANSMIT;
	return took;
}

void
pool_sim_open(struct pool_sim *sim, size_t from, const struct pool_action *a)
{
	struct pool_host *host = &sim->hosts[from];
	struct pool_event *e = pool_event_new(sim, POOL_EVENT_EXPIRED, from, from, 0);
	size_t to = pool_sim_at(sim, &a->addr);
	nsec until = a->until - host->mono_ahead;

	if (host->stream_count >= POOL_STREAMS_MAX)
		sim->over_streams++;
	host->streams =
	    mem_grow(host->streams, host->stream_count, &host->stream_cap, sizeof *host->streams);
	host->streams[host->stream_count++] = (struct pool_stream){
		.id = a->id,
		.want_answer = a->want_answer,
		.broken = net_chance(&sim->net, sim->net.loss / 10),
	};
	e->stream = a->id;
	e->due.at = until < sim->net.now ? sim->net.now : until;
	pool_event_post(sim, e);
	if (to == SIZE_MAX || !net_open(&sim->net, from, to))
		return;
	e = pool_event_new(sim, POOL_EVENT_CONNECT, from, to, stream_latency(sim));
	e->stream = a->id;
	pool_event_post(sim, e);
}

/* What the agent says through a stream, as bytes. */
static struct str
stream_bytes(struct pool_sim *sim, size_t from, const struct stream_request *request, bool answer)
{
	struct buf bytes;
	struct err err = { 0 };

	buf_init(&bytes, STREAM_MAX);
	if (stream_write(framing(sim), request, answer, &bytes, &err) != 0) {
		fprintf(stderr, "stream_write: %s\n", err.text);
		abort();
	}
	sim->stream_bytes += bytes.n;
	if (sim->on_sent != NULL)
		sim->on_sent(sim, from, buf_str(&bytes), bytes.n, true);
	return buf_str(&bytes);
}

static void
stream_connected(struct pool_sim *sim, const struct pool_event *e)
{
	struct pool_host *host = &sim->hosts[e->to];
	struct pool_stream *s = stream_find(host, e->stream);
	struct stream_request request = { 0 };
	struct pool_event *sent;
	struct arena arena;

	if (s == NULL)
		return;
	arena_init(&arena, STREAM_MAX);
	sim->streams++;
	if (!pool_stream_request(
		host->pool, pool_sim_now(sim, e->to), e->stream, &arena, &request)) {
		stream_close(host, s);
		goto out;
	}
	sent = pool_event_new(sim, POOL_EVENT_REQUEST, e->to, e->from, stream_latency(sim));
	sent->stream = e->stream;
	sent->life = e->from_life;
	sent->addr = host->addr;
	sent->want_answer = s->want_answer;
	sent->bytes = stream_bytes(sim, e->to, &request, false);
	if (s->broken || !net_open(&sim->net, e->to, e->from))
		pool_event_free(sent);
	else
		pool_event_post(sim, sent);
	if (s->want_answer)
		goto out;
	stream_close(host, s);
	pool_stream_end(host->pool, pool_sim_now(sim, e->to), e->stream, false, NULL);
out:
	arena_done(&arena);
}

static void
stream_over(struct pool_sim *sim, const struct pool_event *e, bool refused)
{
	struct pool_host *host = &sim->hosts[e->to];
	struct pool_stream *s = stream_find(host, e->stream);

	if (s == NULL)
		return;
	stream_close(host, s);
	pool_stream_end(host->pool, pool_sim_now(sim, e->to), e->stream, refused, NULL);
}

static void
stream_answered(struct pool_sim *sim, const struct pool_event *e)
{
	struct pool_host *host = &sim->hosts[e->to];
	struct pool_stream *s = stream_find(host, e->stream);
	struct stream_in *in;
	struct stream_request answer;
	struct err err = { 0 };
	bool whole;

	if (s == NULL)
		return;
	stream_close(host, s);
	in = stream_in_new(framing(sim), true);
	whole = e->bytes.n > 0 && stream_in_feed(in, e->bytes, &answer, &err) == 1;
	pool_stream_end(
	    host->pool, pool_sim_now(sim, e->to), e->stream, false, whole ? &answer : NULL);
	stream_in_free(in);
}

/* Streams, at the other side. The kernel accepts, also for a process that stands still. */

static void
stream_connect(struct pool_sim *sim, const struct pool_event *e)
{
	struct pool_event *back;

	if (!net_open(&sim->net, e->to, e->from))
		return;
	back = pool_event_new(sim, POOL_EVENT_CONNECTED, e->to, e->from, stream_latency(sim));
	back->life = e->from_life;
	back->from_life = sim->hosts[e->to].life;
	back->stream = e->stream;
	pool_event_post(sim, back);
}

static void
stream_requested(struct pool_sim *sim, const struct pool_event *e)
{
	struct stream_in *in = stream_in_new(framing(sim), false);
	struct stream_request request, answer = { 0 };
	struct pool_event *back;
	struct arena arena;
	struct err err = { 0 };
	bool answers = false;

	arena_init(&arena, STREAM_MAX);
	if (stream_in_feed(in, e->bytes, &request, &err) != 1) {
		fprintf(stderr, "stream_in_feed: %s\n", err.text);
		abort();
	}
	answers = pool_request(
	    sim->hosts[e->to].pool, pool_sim_now(sim, e->to), &e->addr, &request, &arena, &answer);
	back = pool_event_new(sim, POOL_EVENT_ANSWER, e->to, e->from, stream_latency(sim));
	back->life = e->from_life;
	back->stream = e->stream;
	if (answers)
		back->bytes = stream_bytes(sim, e->to, &answer, true);
	if (net_open(&sim->net, e->to, e->from))
		pool_event_post(sim, back);
	else
		pool_event_free(back);
	stream_in_free(in);
	arena_done(&arena);
}

void
pool_sim_net_event(struct pool_sim *sim, struct pool_event *e)
{
	struct pool_host *host = &sim->hosts[e->to];

	switch (e->kind) {
	case POOL_EVENT_DATAGRAM:
		datagram_arrives(sim, e);
		break;
	case POOL_EVENT_REFUSED:
		sim->refused++;
		pool_refused(host->pool, pool_sim_now(sim, e->to), &e->addr);
		break;
	case POOL_EVENT_CONNECT:
		stream_connect(sim, e);
		break;
	case POOL_EVENT_CONNECTED:
		stream_connected(sim, e);
		break;
	case POOL_EVENT_UNCONNECTED:
		stream_over(sim, e, true);
		break;
	case POOL_EVENT_REQUEST:
		stream_requested(sim, e);
		break;
	case POOL_EVENT_ANSWER:
		stream_answered(sim, e);
		break;
	case POOL_EVENT_EXPIRED:
		stream_over(sim, e, false);
		break;
	case POOL_EVENT_TICK:
	case POOL_EVENT_SECOND:
	case POOL_EVENT_BASELINE:
		break;
	}
}
