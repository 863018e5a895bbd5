/* tests/sim/pool_sim_agent.c -- what a simulated agent does, and when: its actions, its seconds,
 * what waits while it stands still. See pool_sim.h. */
#include "base/mem.h"
#include "tests/sim/pool_sim_priv.h"

#define INBOX_MAX (256 * 1024) /* bytes that wait for a paused process */

/* What an agent does. */

void
pool_host_epoch(struct pool_sim *sim, size_t i, uint64_t above)
{
	struct pool_host *host = &sim->hosts[i];

	if (host->disk.epoch < above)
		host->disk.epoch = above;
	host->epoch = (struct epoch){ ++host->disk.epoch, rng_u64(&host->rng) };
}

/* Its id is another's: it comes back as somebody new, with what runs on its host. */
static void
host_cloned(struct pool_sim *sim, size_t i)
{
	sim->clones++;
	pool_sim_crash(sim, i);
	pool_sim_wipe(sim, i);
	pool_sim_start(sim, i, 0);
}

/* False: the process is another one now, or none. */
static bool
host_act(struct pool_sim *sim, size_t i, const struct pool_action *a)
{
	struct pool_host *host = &sim->hosts[i];

	switch (a->kind) {
	case POOL_SEND:
		pool_sim_send(sim, i, a);
		break;
	case POOL_OPEN:
		pool_sim_open(sim, i, a);
		break;
	case POOL_MEMBER:
		pool_sim_tell(
		    sim, i, "%s " STR_FMT, serf_news_name(a->news), STR_ARG(a->member.wire_name));
		break;
	case POOL_JOINED:
		sim->joined += a->ok;
		sim->join_failed += !a->ok;
		pool_sim_tell(sim, i, "joined: " STR_FMT, STR_ARG(a->ok ? STR("yes") : a->text));
		break;
	case POOL_READY:
		pool_sim_tell(sim, i, "ready");
		host->ready = true;
		break;
	case POOL_LEFT:
		pool_sim_tell(sim, i, "left");
		pool_sim_crash(sim, i);
		return false;
	case POOL_EPOCH:
		pool_sim_tell(sim, i, "a new epoch above %llu", (unsigned long long)a->id);
		sim->epochs++;
		pool_host_epoch(sim, i, a->id);
		store_epoch_begin(host->store, pool_sim_now(sim, i), host->epoch);
		if (host->baseline)
			store_baseline_end(host->store, pool_sim_now(sim, i));
		pool_changed(host->pool, pool_sim_now(sim, i));
		break;
	case POOL_CLONE:
		pool_sim_tell(sim, i, "our id is in use elsewhere");
		host_cloned(sim, i);
		return false;
	case POOL_LOG:
		pool_sim_tell(sim, i, STR_FMT, STR_ARG(a->text));
		break;
	case POOL_KEYS_SAVE:
	case POOL_EVENT:
	case POOL_KEYS:
	case POOL_KEYS_DONE:
	case POOL_ANSWER:
	case POOL_DONE:
		break;
	}
	return true;
}

void
pool_sim_drain(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];
	struct pool_action a;
	unsigned life = host->life;
	struct pool_event *e;
	nsec next;

	while (host->pool != NULL && host->life == life && pool_action_next(host->pool, &a))
		if (!host_act(sim, i, &a))
			return;
	if (host->pool == NULL || host->life != life)
		return;
	if (sim->on_drained != NULL)
		sim->on_drained(sim, i);
	next = nsec_min(pool_deadline(host->pool), store_deadline(host->store));
	if (next == NSEC_NEVER)
		return;
	next -= host->mono_ahead;
	if (next < sim->net.now)
		next = sim->net.now;
	if (host->tick_at >= sim->net.now && host->tick_at <= next && host->tick_at != 0)
		return; /* wakes early enough, and looks again */
	host->tick_at = next;
	e = pool_event_new(sim, POOL_EVENT_TICK, i, i, next - sim->net.now);
	pool_event_post(sim, e);
}

/* Everybody has the addresses of all to join. Who knows of nobody tries one each second; and every
 * half minute or so each tries one that it does not show: two that found only each other must not
 * stay an island. */
static bool
host_shows(const struct pool_sim *sim, size_t i, size_t j)
{
	struct pool_member m;

	return pool_member_by_id(sim->hosts[i].pool, &sim->hosts[j].disk.id, &m) &&
	       m.state == SERF_ALIVE && addr_eq_ip(&m.addr, &sim->hosts[j].addr);
}

void
pool_host_join(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];
	size_t n = sim->config.hosts, at = rng_below(&sim->net.rng, (uint32_t)n);
	bool now_and_then = rng_below(&sim->net.rng, 30) == 0;

	if (sim->no_rejoin || host->leaving ||
	    (!now_and_then && pool_member_count(host->pool, SERF_ALIVE) > 1))
		return;
	for (size_t k = 0; k < n; k++, at = (at + 1) % n)
		if (at != i && pool_sim_live(sim, at) && !host_shows(sim, i, at)) {
			pool_join(host->pool, pool_sim_now(sim, i), &sim->hosts[at].addr);
			return;
		}
}

/* Time. */

static void
host_second(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	pool_event_post(sim, pool_event_new(sim, POOL_EVENT_SECOND, i, i, NSEC_SEC));
	host->disk.clocks = pool_clocks(host->pool);
	pool_host_join(sim, i);
}

static void
host_baseline(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	host->baseline = true;
	store_baseline_end(host->store, pool_sim_now(sim, i));
	pool_changed(host->pool, pool_sim_now(sim, i));
}

static void
host_tick(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];
	struct now now = pool_sim_now(sim, i);

	if (store_deadline(host->store) <= now.mono)
		store_tick(host->store, now);
	if (pool_deadline(host->pool) <= now.mono)
		pool_tick(host->pool, now);
}

static void
host_event(struct pool_sim *sim, struct pool_event *e)
{
	switch (e->kind) {
	case POOL_EVENT_TICK:
		if (sim->hosts[e->to].tick_at != e->due.at)
			return;
		sim->hosts[e->to].tick_at = 0;
		host_tick(sim, e->to);
		break;
	case POOL_EVENT_SECOND:
		host_second(sim, e->to);
		break;
	case POOL_EVENT_BASELINE:
		host_baseline(sim, e->to);
		break;
	default:
		pool_sim_net_event(sim, e);
	}
}

static bool
event_is_from_outside(const struct pool_event *e)
{
	return e->kind == POOL_EVENT_DATAGRAM || e->kind == POOL_EVENT_CONNECT;
}

static bool
inbox_add(struct pool_host *host, struct pool_event *e)
{
	if (host->inbox_bytes + e->bytes.n > INBOX_MAX && e->kind == POOL_EVENT_DATAGRAM)
		return false;
	host->inbox_bytes += e->bytes.n;
	if (host->inbox == NULL)
		host->inbox = e;
	else
		host->inbox_last->next = e;
	host->inbox_last = e;
	return true;
}

void
pool_inbox_clear(struct pool_host *host)
{
	struct pool_event *e;

	while ((e = host->inbox) != NULL) {
		host->inbox = e->next;
		pool_event_free(e);
	}
	host->inbox_bytes = 0;
}

/* A request to a process that was killed after it had accepted. */
static void
reset_stream(struct pool_sim *sim, const struct pool_event *e)
{
	struct pool_event *back;

	if (e->kind != POOL_EVENT_REQUEST || !net_open(&sim->net, e->to, e->from))
		return;
	back = pool_event_new(sim, POOL_EVENT_ANSWER, e->to, e->from, net_latency(&sim->net));
	back->life = e->from_life;
	back->stream = e->stream;
	pool_event_post(sim, back);
}

/* True: the event is kept. */
static bool
pool_sim_arrive(struct pool_sim *sim, struct pool_event *e)
{
	struct pool_host *host = &sim->hosts[e->to];

	if (e->from != e->to && host->host_down)
		return false;
	if (event_is_from_outside(e)) {
		if (host->pool == NULL) {
			pool_sim_refuse(sim, e);
			return false;
		}
	} else if (host->pool == NULL || host->life != e->life) {
		reset_stream(sim, e);
		return false;
	}
	if (host->paused && e->kind != POOL_EVENT_CONNECT)
		return inbox_add(host, e);
	host_event(sim, e);
	return false;
}

void
pool_sim_run(struct pool_sim *sim, nsec span)
{
	nsec end = sim->net.now + span;
	struct net_event *due;

	while ((due = net_next(&sim->net, end)) != NULL) {
		struct pool_event *e = (struct pool_event *)due;
		size_t to = e->to;

		if (!pool_sim_arrive(sim, e))
			pool_event_free(e);
		if (!sim->hosts[to].paused)
			pool_sim_drain(sim, to);
	}
}

/* Standing still. */

void
pool_sim_pause(struct pool_sim *sim, size_t i)
{
	if (sim->hosts[i].pool == NULL || sim->hosts[i].paused)
		return;
	pool_sim_tell(sim, i, "stands still");
	sim->hosts[i].paused = true;
}

/* One pass over what has waited: what came from others, or the agent's own timers. */
static void
host_catch_up(struct pool_sim *sim, size_t i, bool own)
{
	struct pool_host *host = &sim->hosts[i];
	struct pool_event *e, *waiting = host->inbox;
	unsigned life = host->life;

	host->inbox = NULL;
	host->inbox_bytes = 0;
	while ((e = waiting) != NULL) {
		waiting = e->next;
		e->next = NULL;
		if (host->life == life && !own && e->from == e->to) {
			inbox_add(host, e);
			continue;
		}
		if (host->life == life) {
			host_event(sim, e);
			pool_sim_drain(sim, i);
		}
		pool_event_free(e);
	}
}

/* As after SIGCONT: what waits in the sockets is read before timers are looked at. */
void
pool_sim_resume(struct pool_sim *sim, size_t i)
{
	struct pool_host *host = &sim->hosts[i];

	if (!host->paused)
		return;
	pool_sim_tell(sim, i, "goes on");
	host->paused = false;
	host_catch_up(sim, i, false);
	host_catch_up(sim, i, true);
	pool_sim_drain(sim, i);
}
