/* agent/pool/pool_io.c -- the pool's core on sockets, timers and names.
 *
 * Parts: what comes in (datagrams, streams, names, time), each of which feeds a core and says so;
 * what goes out: the one drain of both cores, pool_io_step().
 */
#include "agent/pool/pool_io.h"

#include <bsd/sys/queue.h>
#include <stdlib.h>

#include "agent/loop.h"
#include "agent/resolve_io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"

/* One name being looked up. */
struct pool_name {
	LIST_ENTRY(pool_name) link;
	struct pool_io *io;
	struct resolve *resolve;
	uint64_t id;
};

/* A join that the pool carries out for join.h, or join.h for a user. */
struct pool_ticket {
	LIST_ENTRY(pool_ticket) link;
	uint64_t ours, theirs;
};
LIST_HEAD(pool_tickets, pool_ticket);

struct pool_io {
	struct pool_io_config config;
	struct gossip_io *gossip;
	struct join *join;
	struct resolver *resolver;
	LIST_HEAD(, pool_name) names;
	struct pool_tickets tries, requests;
	struct loop_timer *timer;
};

static void
pool_io_fed(struct pool_io *io)
{
	io->config.fed(io->config.arg);
}

/* ---- tickets ---- */

static void
ticket_add(struct pool_tickets *list, uint64_t ours, uint64_t theirs)
{
	struct pool_ticket *t = mem_alloc(sizeof *t);

	*t = (struct pool_ticket){ .ours = ours, .theirs = theirs };
	LIST_INSERT_HEAD(list, t, link);
}

static bool
ticket_take(struct pool_tickets *list, uint64_t ours, uint64_t *theirs)
{
	struct pool_ticket *t;

	LIST_FOREACH (t, list, link)
		if (t->ours == ours)
			break;
	if (t == NULL)
		return false;
	*theirs = t->theirs;
	LIST_REMOVE(t, link);
	free(t);
	return true;
}

static void
tickets_free(struct pool_tickets *list)
{
	uint64_t theirs;

	while (!LIST_EMPTY(list))
		ticket_take(list, LIST_FIRST(list)->ours, &theirs);
}

/* ---- what comes in ---- */

static void
pool_io_message(void *arg, const struct addr *from, struct str message)
{
	struct pool_io *io = arg;

	pool_input(io->config.pool, loop_now(), from, message);
}

static void
pool_io_turn_done(void *arg)
{
	pool_io_fed(arg);
}

static void
pool_io_refused(void *arg, const struct addr *peer)
{
	struct pool_io *io = arg;

	pool_refused(io->config.pool, loop_now(), peer);
	pool_io_fed(io);
}

static bool
pool_io_request(void *arg, const struct addr *from, const struct stream_request *request,
    struct arena *arena, struct stream_request *answer)
{
	struct pool_io *io = arg;
	bool some = pool_request(io->config.pool, loop_now(), from, request, arena, answer);

	pool_io_fed(io);
	return some;
}

static bool
pool_io_opened(void *arg, uint64_t id, struct arena *arena, struct stream_request *out)
{
	struct pool_io *io = arg;

	return pool_stream_request(io->config.pool, loop_now(), id, arena, out);
}

static void
pool_io_closed(void *arg, uint64_t id, enum gossip_why why, const struct stream_request *answer)
{
	struct pool_io *io = arg;

	pool_stream_end(io->config.pool, loop_now(), id, why == GOSSIP_REFUSED,
	    why == GOSSIP_DONE ? answer : NULL);
	pool_io_fed(io);
}

static void
pool_io_resolved(void *arg, const struct addr *addrs, size_t count, const char *why)
{
	struct pool_name *n = arg;
	struct pool_io *io = n->io;

	join_resolved(io->join, loop_now().mono, n->id, addrs, count, why);
	LIST_REMOVE(n, link);
	free(n);
	pool_io_fed(io);
}

static void
pool_io_due(void *arg)
{
	struct pool_io *io = arg;
	struct now now = loop_now();

	if (pool_deadline(io->config.pool) <= now.mono)
		pool_tick(io->config.pool, now);
	if (join_deadline(io->join) <= now.mono)
		join_tick(io->join, now.mono);
	pool_io_fed(io);
}

/* ---- what goes out ---- */

static void
pool_io_joined(struct pool_io *io, struct now now, const struct pool_action *a)
{
	uint64_t id;

	if (ticket_take(&io->tries, a->id, &id))
		join_tried(io->join, now.mono, id, a->ok, a->text);
}

static void
pool_io_member(struct pool_io *io, struct now now, const struct pool_action *a)
{
	size_t alive = pool_member_count(io->config.pool, SERF_ALIVE);

	if (a->member.state == SERF_ALIVE)
		join_known(io->join, now.mono, &a->member.addr);
	else if (a->member.state == SERF_FAILED || a->news == SERF_REAPED)
		join_lost(io->join, now.mono, &a->member.addr);
	join_others(io->join, now.mono, alive > 0 ? alive - 1 : 0);
	io->config.told(io->config.arg, a);
}

static void
pool_io_act(struct pool_io *io, struct now now, const struct pool_action *a)
{
	switch (a->kind) {
	case POOL_SEND:
		gossip_io_send(io->gossip, &a->addr, a->bytes, a->crc);
		break;
	case POOL_OPEN:
		gossip_io_open(io->gossip, a->id, &a->addr, a->want_answer, a->until - now.mono);
		break;
	case POOL_JOINED:
		pool_io_joined(io, now, a);
		break;
	case POOL_MEMBER:
		pool_io_member(io, now, a);
		break;
	case POOL_LOG:
		log_at(a->level, "gossip", STR_FMT, STR_ARG(a->text));
		break;
	default:
		io->config.told(io->config.arg, a);
	}
}

/* Looking up may be over before it has begun: the name is in the list before. */
static void
pool_io_resolve(struct pool_io *io, const struct join_action *a)
{
	struct pool_name *n = mem_alloc(sizeof *n);
	struct resolve *started;
	bool there = false;
	struct pool_name *at;

	*n = (struct pool_name){ .io = io, .id = a->id };
	LIST_INSERT_HEAD(&io->names, n, link);
	started = resolve_start(io->resolver, a->host, pool_io_resolved, n);
	LIST_FOREACH (at, &io->names, link)
		there |= at == n;
	if (there)
		n->resolve = started;
}

static void
pool_io_join_act(struct pool_io *io, struct now now, const struct join_action *a)
{
	uint64_t ticket;

	switch (a->kind) {
	case JOIN_RESOLVE:
		pool_io_resolve(io, a);
		break;
	case JOIN_TRY:
		ticket_add(&io->tries, pool_join(io->config.pool, now, &a->addr), a->id);
		break;
	case JOIN_ANSWER:
		if (ticket_take(&io->requests, a->id, &ticket))
			io->config.joined(io->config.arg, ticket, a->joined, a->text);
		break;
	case JOIN_FAILED:
		io->config.failed(io->config.arg, a->text);
		break;
	case JOIN_LOG:
		log_at(a->level, "gossip", STR_FMT, STR_ARG(a->text));
	}
}

/* Each core may feed the other (a join tried, a try asked for), so both are drained until neither
 * wants anything. */
void
pool_io_step(struct pool_io *io)
{
	struct now now = loop_now();
	struct pool_action a;
	struct join_action j;
	bool more = true;

	while (more) {
		more = false;
		while (pool_action_next(io->config.pool, &a)) {
			pool_io_act(io, now, &a);
			more = true;
		}
		while (join_action_next(io->join, &j)) {
			pool_io_join_act(io, now, &j);
			more = true;
		}
	}
	loop_timer_arm(
	    io->timer, nsec_min(pool_deadline(io->config.pool), join_deadline(io->join)));
}

void
pool_io_join(struct pool_io *io, struct str target, uint64_t ticket)
{
	ticket_add(&io->requests, join_request(io->join, loop_now().mono, target), ticket);
	pool_io_fed(io);
}

struct gossip_io_stats
pool_io_stats(const struct pool_io *io)
{
	return gossip_io_stats(io->gossip);
}

/* ---- life ---- */

int
pool_io_new(const struct pool_io_config *config, struct pool_io **out, struct err *err)
{
	struct pool_io *io = mem_zalloc(sizeof *io);
	struct gossip_io_config gossip = {
		.base = config->base,
		.bind = config->bind,
		.frame = config->frame,
		.arg = io,
		.message = pool_io_message,
		.turn_done = pool_io_turn_done,
		.refused = pool_io_refused,
		.request = pool_io_request,
		.opened = pool_io_opened,
		.closed = pool_io_closed,
	};
	uint64_t seed;
	int rc;

	os_random(&seed, sizeof seed);
	io->config = *config;
	io->resolver = resolver_new(config->base);
	io->join = join_new(&config->join, seed, loop_now().mono);
	io->timer = loop_timer_new(config->base, pool_io_due, io);
	rc = gossip_io_new(&gossip, &io->gossip, err);
	if (rc < 0) {
		pool_io_free(io);
		return rc;
	}
	*out = io;
	return 0;
}

void
pool_io_free(struct pool_io *io)
{
	struct pool_name *n;

	if (io == NULL)
		return;
	while ((n = LIST_FIRST(&io->names)) != NULL) {
		resolve_cancel(n->resolve);
		LIST_REMOVE(n, link);
		free(n);
	}
	tickets_free(&io->tries);
	tickets_free(&io->requests);
	gossip_io_free(io->gossip);
	join_free(io->join);
	resolver_free(io->resolver);
	loop_timer_free(io->timer);
	free(io);
}
